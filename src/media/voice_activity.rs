//! Voice activity: when somebody begins to speak, and which frames of what they say sound.
//!
//! ```text
//! Silent -ONSET_FRAMES of the last ONSET_WINDOW voiced-> Speaking -VoiceActivity::end-> Silent
//! ```
//! The model goes on hearing voice for up to 100 ms after the last of it, and in a car or among other people all the time: how loud the voice is, and
//! how loud it is where the caller is, tell where it really ended. Invariant: [`Voice::Began`] comes once between two ends. Driver:
//! `src/call/speech_in.rs`, which decides when an utterance ends.

use std::fmt;

use webrtc_vad::{SampleRate, Vad, VadMode};

use crate::Frame;

/// How many of the last [`ONSET_WINDOW`] frames must be voiced for speech to begin.
pub const ONSET_FRAMES: u32 = 4;
/// The frames looked at for a beginning: 120 ms.
pub const ONSET_WINDOW: u32 = 6;
/// Frames more quiet than this (mean magnitude, about −52 dBm0) are not speech, whatever their shape.
pub const QUIET_MAGNITUDE: u32 = 60;
/// A frame that is so much more quiet than the utterance (26 dB) is what its voice leaves behind.
const FADING: u64 = 20;
/// A voice that is so much louder (20 dB) than the place it is in is heard by the model alone.
const QUIET_PLACE: u64 = 10;
/// In any other, voice is what is louder than the place by so much: five halves (8 dB).
const ABOVE_PLACE: (u32, u32) = (5, 2);

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// Nobody speaks.
    None,
    /// Speech began; the onset lies [`ONSET_WINDOW`] frames back at most.
    Began,
    /// Somebody is speaking.
    Sounding,
    /// The model hears voice, which is far more quiet than the utterance so far.
    Fading,
    /// A pause in what is being said, or its end.
    Silent,
}

/// The detector of one leg. Not `Send`: it stays on the thread of its call.
pub struct VoiceActivity {
    vad: Vad,
    recent: u32,
    speaking: bool,
    /// Sum of the magnitudes of the utterance's voiced frames, and how many there were.
    loudness: (u64, u64),
    place: Place,
}

impl fmt::Debug for VoiceActivity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VoiceActivity").field("speaking", &self.speaking).finish_non_exhaustive()
    }
}

impl Default for VoiceActivity {
    fn default() -> Self {
        Self {
            vad: Vad::new_with_rate_and_mode(SampleRate::Rate8kHz, VadMode::VeryAggressive),
            recent: 0,
            speaking: false,
            loudness: (0, 0),
            place: Place::default(),
        }
    }
}

impl VoiceActivity {
    /// Judges one 20 ms frame.
    pub fn push(&mut self, frame: &Frame) -> Voice {
        let magnitude = magnitude(frame);
        self.place.push(magnitude);
        // One look at the energy is cheap, the model is not.
        let voiced =
            magnitude >= QUIET_MAGNITUDE && self.rises(magnitude) && self.vad.is_voice_segment(frame).unwrap_or(false);
        self.recent = (self.recent << 1 | u32::from(voiced)) & ((1 << ONSET_WINDOW) - 1);
        let (sum, count) = self.loudness;
        let fades = self.speaking && u64::from(magnitude) * FADING * count < sum;
        if voiced && !fades {
            self.loudness = (sum + u64::from(magnitude), count + 1);
        }
        match (self.speaking, voiced) {
            (true, true) if fades => Voice::Fading,
            (true, true) => Voice::Sounding,
            (true, false) => Voice::Silent,
            (false, _) => {
                self.speaking = self.recent.count_ones() >= ONSET_FRAMES;
                if self.recent == 0 {
                    self.loudness = (0, 0);
                }
                if self.speaking { Voice::Began } else { Voice::None }
            }
        }
    }

    /// Whether something so loud may be the caller and not the place.
    fn rises(&self, magnitude: u32) -> bool {
        let (least, (sum, count), (more, than)) = (self.place.level(), self.loudness, ABOVE_PLACE);
        let is_quiet = self.speaking && u64::from(least) * QUIET_PLACE * count < sum;
        is_quiet || magnitude * than >= least * more
    }

    /// The utterance is over.
    pub fn end(&mut self) {
        (self.speaking, self.recent) = (false, 0);
    }

    /// How loud the last utterance was, in dB below full scale: the mean magnitude of its voiced frames.
    pub fn level(&self) -> f32 {
        let (sum, frames) = self.loudness;
        let mean = sum as f32 / frames.max(1) as f32;
        20.0 * (mean.max(1.0) / f32::from(i16::MAX)).log10()
    }
}

/// How loud it is where the caller is: the least that was heard in the last two seconds, for between two syllables nothing but the
/// place is heard (R. Martin, "Noise power spectral density estimation based on optimal smoothing and minimum statistics", 2001).
#[derive(Debug)]
struct Place {
    frames: usize,
    smoothed: u32,
    /// The least smoothed magnitude of each block.
    least: [u32; BLOCKS],
}

/// What the last two seconds are made of.
const BLOCKS: usize = 10;
const BLOCK_FRAMES: usize = 10;
/// Blocks before it is known: whoever speaks at once is not the place.
const UNKNOWN_BLOCKS: usize = 2;

impl Default for Place {
    fn default() -> Self {
        Self { frames: 0, smoothed: 0, least: [u32::MAX; BLOCKS] }
    }
}

impl Place {
    fn push(&mut self, magnitude: u32) {
        self.smoothed = if self.frames == 0 { magnitude } else { (3 * self.smoothed + magnitude) / 4 };
        let least = &mut self.least[self.frames / BLOCK_FRAMES % BLOCKS];
        *least = if self.frames.is_multiple_of(BLOCK_FRAMES) { self.smoothed } else { self.smoothed.min(*least) };
        self.frames += 1;
    }

    fn level(&self) -> u32 {
        if self.frames < UNKNOWN_BLOCKS * BLOCK_FRAMES {
            return 0;
        }
        self.least.iter().copied().min().unwrap_or(0)
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
    fn an_utterance_begins_once_and_what_follows_its_last_sound_is_silence() {
        let mut activity = VoiceActivity::default();
        let seen: Vec<Voice> = (0..200)
            .map(|n| activity.push(&if (50..100).contains(&n) { voiced(n) } else { [0; FRAME_SAMPLES] }))
            .collect();
        let began: Vec<usize> = (0..200).filter(|n| seen[*n] == Voice::Began).collect();
        assert!(matches!(began[..], [began] if (50..60).contains(&began)), "{began:?}");
        assert_eq!(seen.iter().rposition(|voice| *voice == Voice::Sounding), Some(99));
        assert!(seen[100..].iter().all(|voice| *voice == Voice::Silent));
    }

    /// The model lags, and a room has noise: neither is what the caller says.
    #[test]
    fn what_a_voice_leaves_behind_does_not_sound() {
        let mut activity = VoiceActivity::default();
        (0..30).for_each(|_| _ = activity.push(&[0; FRAME_SAMPLES]));
        (0..50).for_each(|n| _ = activity.push(&voiced(n)));
        let left: Vec<Voice> = (50..60).map(|n| activity.push(&voiced(n).map(|sample| sample / 64))).collect();
        assert!(left.contains(&Voice::Fading) && !left.contains(&Voice::Sounding), "{left:?}");
        activity.end();
        assert_eq!(activity.push(&[0; FRAME_SAMPLES]), Voice::None);
    }

    /// What is heard in a car: noise below 150 Hz and an engine.
    fn car(frames: usize) -> Vec<Frame> {
        let (mut noise, mut low, mut lower) = (1u32, 0.0_f32, 0.0_f32);
        let mut sample = |n: usize| {
            noise = noise.wrapping_mul(1664525).wrapping_add(1013904223);
            low += 0.11 * ((noise >> 16) as f32 - 32768.0 - low);
            lower += 0.11 * (low - lower);
            let engine: f32 = (1..5).map(|k| (n as f32 * 55.0 * k as f32 / 8000.0 * std::f32::consts::TAU).sin()).sum();
            (lower * 0.4 + engine * 200.0) as i16
        };
        (0..frames).map(|n| std::array::from_fn(|k| sample(n * FRAME_SAMPLES + k))).collect()
    }

    #[test]
    fn a_caller_in_a_car_begins_and_ends() {
        let mut activity = VoiceActivity::default();
        let mut seen = vec![];
        for (n, around) in car(300).into_iter().enumerate() {
            let said = if (150..200).contains(&n) { voiced(n) } else { [0; FRAME_SAMPLES] };
            seen.push(activity.push(&std::array::from_fn(|k| around[k] + said[k])));
            if n == 100 {
                // What began with the car.
                activity.end();
            }
        }
        let began = seen.iter().rposition(|voice| *voice == Voice::Began);
        assert!(began.is_some_and(|began| (150..160).contains(&began)), "{began:?}");
        let last = seen.iter().rposition(|voice| *voice == Voice::Sounding);
        assert!(last.is_some_and(|last| (195..202).contains(&last)), "{last:?}");
    }

    #[test]
    fn silence_and_line_noise_are_not_speech() {
        let mut activity = VoiceActivity::default();
        let mut noise = 1u32;
        for _ in 0..500 {
            let frame: Frame = std::array::from_fn(|_| {
                noise = noise.wrapping_mul(1664525).wrapping_add(1013904223);
                (noise >> 26) as i16 - 32
            });
            assert_eq!(activity.push(&frame), Voice::None);
        }
    }
}
