//! Voice activity: when somebody begins to speak, and when the utterance has ended.
//!
//! ```text
//! Silent -ONSET_FRAMES of the last ONSET_WINDOW voiced-> Speaking -end_of_phrase without voice-> Silent
//! ```
//! Invariant: [`Activity::Began`] and [`Activity::Ended`] alternate. Driver: `src/call/speech_in.rs`.

use std::fmt;
use std::time::Duration;

use webrtc_vad::{SampleRate, Vad, VadMode};

use crate::{FRAME_MS, Frame};

/// How many of the last [`ONSET_WINDOW`] frames must be voiced for speech to begin.
pub const ONSET_FRAMES: u32 = 4;
/// The frames looked at for a beginning: 120 ms.
pub const ONSET_WINDOW: u32 = 6;
/// Frames more quiet than this (mean magnitude, about −52 dBm0) are not speech, whatever their shape.
pub const QUIET_MAGNITUDE: u32 = 60;

/// What changed with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Speech began; the onset lies [`ONSET_WINDOW`] frames back at most.
    Began,
    /// The utterance ended.
    Ended,
}

/// The detector of one leg. Not `Send`: it stays on the thread of its call.
pub struct VoiceActivity {
    vad: Vad,
    recent: u32,
    speaking: bool,
    silence_frames: u64,
    end_frames: u64,
    /// Sum of the magnitudes of the utterance's voiced frames, and how many there were.
    loudness: (u64, u64),
}

impl fmt::Debug for VoiceActivity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VoiceActivity").field("speaking", &self.speaking).finish_non_exhaustive()
    }
}

impl VoiceActivity {
    /// A detector that ends an utterance after `end_of_phrase` without voice.
    pub fn new(end_of_phrase: Duration) -> Self {
        Self {
            vad: Vad::new_with_rate_and_mode(SampleRate::Rate8kHz, VadMode::VeryAggressive),
            recent: 0,
            speaking: false,
            silence_frames: 0,
            end_frames: (end_of_phrase.as_millis() as u64 / FRAME_MS).max(1),
            loudness: (0, 0),
        }
    }

    /// Judges one 20 ms frame.
    pub fn push(&mut self, frame: &Frame) -> Option<Activity> {
        let magnitude = magnitude(frame);
        let voiced = magnitude >= QUIET_MAGNITUDE && self.vad.is_voice_segment(frame).unwrap_or(false);
        self.recent = (self.recent << 1 | u32::from(voiced)) & ((1 << ONSET_WINDOW) - 1);
        if voiced {
            self.loudness = (self.loudness.0 + u64::from(magnitude), self.loudness.1 + 1);
        }
        if !self.speaking {
            self.speaking = self.recent.count_ones() >= ONSET_FRAMES;
            self.silence_frames = 0;
            if self.recent == 0 {
                self.loudness = (0, 0);
            }
            return self.speaking.then_some(Activity::Began);
        }
        self.silence_frames = if voiced { 0 } else { self.silence_frames + 1 };
        if self.silence_frames < self.end_frames {
            return None;
        }
        self.speaking = false;
        self.recent = 0;
        Some(Activity::Ended)
    }

    /// Whether speech began and has not ended.
    pub fn is_speaking(&self) -> bool {
        self.speaking
    }

    /// How loud the last utterance was, in dB below full scale: the mean magnitude of its voiced frames.
    pub fn level(&self) -> f32 {
        let (sum, frames) = self.loudness;
        let mean = sum as f32 / frames.max(1) as f32;
        20.0 * (mean.max(1.0) / f32::from(i16::MAX)).log10()
    }
}

/// The mean magnitude of a frame.
pub fn magnitude(frame: &[i16]) -> u32 {
    let sum: u64 = frame.iter().map(|sample| u64::from(sample.unsigned_abs())).sum();
    (sum / frame.len().max(1) as u64) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FRAME_SAMPLES;

    /// Something a voice detector takes for a voice: harmonics of 120 Hz under a syllabic envelope.
    fn voiced(n: usize) -> Frame {
        std::array::from_fn(|k| {
            let t = (n * FRAME_SAMPLES + k) as f32 / 8000.0;
            let harmonics: f32 = (1..20).map(|h| (t * 120.0 * h as f32 * std::f32::consts::TAU).sin() / h as f32).sum();
            (harmonics * 6000.0 * (0.6 + 0.4 * (t * 4.0 * std::f32::consts::TAU).sin())) as i16
        })
    }

    #[test]
    fn an_utterance_begins_once_and_ends_once() {
        let mut activity = VoiceActivity::new(Duration::from_millis(600));
        let mut seen = vec![];
        for n in 0..200 {
            let frame = if (50..100).contains(&n) { voiced(n) } else { [0; FRAME_SAMPLES] };
            seen.extend(activity.push(&frame).map(|a| (n, a)));
        }
        let [(began, Activity::Began), (ended, Activity::Ended)] = seen[..] else { panic!("{seen:?}") };
        assert!((50..60).contains(&began), "{began}");
        assert!((125..150).contains(&ended), "{ended}");
    }

    #[test]
    fn silence_and_line_noise_are_not_speech() {
        let mut activity = VoiceActivity::new(Duration::from_millis(600));
        let mut noise = 1u32;
        for _ in 0..500 {
            let frame: Frame = std::array::from_fn(|_| {
                noise = noise.wrapping_mul(1664525).wrapping_add(1013904223);
                (noise >> 26) as i16 - 32
            });
            assert_eq!(activity.push(&frame), None);
        }
    }
}
