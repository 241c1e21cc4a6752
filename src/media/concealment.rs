//! Packet-loss concealment by repeating the last pitch period (after ITU-T G.711 Appendix I).
//!
//! Invariant: a gap begins and ends without a step: both edges are overlapped, and after [`SILENT_AFTER_FRAMES`] lost
//! frames the bridge has faded out.

use crate::FRAME_SAMPLES;
use crate::region::Region;

/// Frames after which a gap is silence.
pub const SILENT_AFTER_FRAMES: u32 = 3;

// Samples at 8 kHz; doubled at 16 kHz.
const HISTORY: usize = 400;
/// The shortest period of a voice: 200 Hz, the highest that matters for a bridge of 60 ms.
const PITCH_MIN: usize = 40;
/// The longest: 66 Hz.
const PITCH_MAX: usize = 120;
const OVERLAP: usize = 32; // 4 ms

/// Conceals the losses of one stream.
#[derive(Debug)]
pub struct Concealer {
    scale: usize,
    /// The last samples, as a ring: the latest stands before `end`. While a gap is bridged they stand in their order.
    buffer: Vec<i16>,
    end: usize,
    pitch: usize,
    at: usize,
    lost_frames: u32,
}

impl Concealer {
    /// A concealer for audio at this rate: 8000 or 16000.
    pub fn new(sample_rate: u32) -> Self {
        let scale = (sample_rate / 8000).max(1) as usize;
        Self {
            scale,
            buffer: vec![0; HISTORY * scale],
            end: HISTORY * scale,
            pitch: PITCH_MIN * scale,
            at: 0,
            lost_frames: 0,
        }
    }

    /// Where the next frame is remembered.
    pub(crate) fn end(&self) -> Region {
        Region::at(self.buffer[self.end % self.buffer.len()..].as_ptr(), FRAME_SAMPLES * self.scale * size_of::<i16>())
    }

    /// A 20 ms frame arrived: remembers it, and blends it with the bridge if it ends a gap.
    pub fn good(&mut self, frame: &mut [i16]) {
        if self.lost_frames > 0 {
            let (gain, overlap) = (self.gain(), OVERLAP * self.scale);
            for (n, sample) in frame.iter_mut().take(overlap).enumerate() {
                let bridge = f32::from(self.bridge_sample()) * gain;
                let share = n as f32 / overlap as f32;
                *sample = (f32::from(*sample) * share + bridge * (1.0 - share)) as i16;
            }
            self.lost_frames = 0;
        }
        self.end %= self.buffer.len();
        let (before, behind) = frame.split_at(frame.len().min(self.buffer.len() - self.end));
        self.buffer[self.end..self.end + before.len()].copy_from_slice(before);
        self.buffer[..behind.len()].copy_from_slice(behind);
        self.end = if behind.is_empty() { self.end + before.len() } else { behind.len() };
    }

    /// A frame is missing: fills in a bridge.
    pub fn conceal(&mut self, frame: &mut [i16]) {
        if self.lost_frames == 0 {
            self.buffer.rotate_left(self.end);
            self.end = self.buffer.len();
            self.pitch = self.estimate_pitch(frame.len());
            self.at = 0;
        }
        let from = self.gain();
        self.lost_frames += 1;
        let (to, length) = (self.gain(), frame.len() as f32);
        for (n, sample) in frame.iter_mut().enumerate() {
            let gain = from + (to - from) * n as f32 / length;
            *sample = (f32::from(self.bridge_sample()) * gain) as i16;
        }
    }

    fn gain(&self) -> f32 {
        match self.lost_frames {
            0 => 1.0,
            n if n >= SILENT_AFTER_FRAMES => 0.0,
            n => 1.0 - n as f32 / SILENT_AFTER_FRAMES as f32,
        }
    }

    /// The last pitch period over and over; its seam is overlapped with the samples before it.
    fn bridge_sample(&mut self) -> i16 {
        let (period, seam) = (self.end - self.pitch, OVERLAP * self.scale / 2);
        let sample = f32::from(self.buffer[period + self.at]);
        let until_seam = self.pitch - self.at;
        let blended = if until_seam <= seam {
            let share = until_seam as f32 / seam as f32;
            sample * share + f32::from(self.buffer[period + self.at - self.pitch]) * (1.0 - share)
        } else {
            sample
        };
        self.at = (self.at + 1) % self.pitch;
        blended as i16
    }

    fn estimate_pitch(&self, frame: usize) -> usize {
        let end = self.end;
        let tail = &self.buffer[end - frame..end];
        let score = |lag: usize| {
            let shifted = &self.buffer[end - frame - lag..end - lag];
            let (mut cross, mut energy) = (0f32, 1f32);
            for (a, b) in tail.iter().zip(shifted).step_by(2 * self.scale) {
                cross += f32::from(*a) * f32::from(*b);
                energy += f32::from(*b) * f32::from(*b);
            }
            cross / energy.sqrt()
        };
        let lags = (PITCH_MIN..=PITCH_MAX).map(|lag| lag * self.scale);
        lags.max_by(|a, b| score(*a).total_cmp(&score(*b))).unwrap_or(PITCH_MIN * self.scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FRAME_SAMPLES, Frame};

    fn tone(frame: usize) -> Frame {
        std::array::from_fn(|n| {
            let t = (frame * FRAME_SAMPLES + n) as f32 / 8000.0;
            ((t * 100.0 * std::f32::consts::TAU).sin() * 8000.0) as i16
        })
    }

    fn worst_step(samples: &[i16]) -> i32 {
        samples.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max().unwrap_or(0)
    }

    #[test]
    fn a_gap_is_bridged_alike_wherever_the_ring_begins() {
        let period: Vec<i16> =
            (0..80).map(|n| ((n as f32 / 80.0 * std::f32::consts::TAU).sin() * 8000.0) as i16).collect();
        let bridge = |gap: usize| {
            let mut concealer = Concealer::new(8000);
            let mut frame: Frame = std::array::from_fn(|n| period[n % 80]);
            (0..gap).for_each(|_| concealer.good(&mut frame));
            (0..2).for_each(|_| concealer.conceal(&mut frame));
            let bridged = frame;
            frame = std::array::from_fn(|n| period[n % 80]);
            concealer.good(&mut frame);
            (bridged, frame)
        };
        // The ring has two and a half frames: five begin it anew.
        assert!((4..9).all(|gap| bridge(gap) == bridge(3)));
        assert!(bridge(3).0.iter().any(|sample| sample.abs() > 2000));
    }

    #[test]
    fn a_short_gap_in_a_voiced_sound_is_hardly_there() {
        let mut concealer = Concealer::new(8000);
        let mut out = vec![];
        for n in 0..12 {
            let mut frame = tone(n);
            if n == 6 {
                concealer.conceal(&mut frame)
            } else {
                concealer.good(&mut frame)
            }
            out.extend(frame);
        }
        assert!(worst_step(&out) < 1400, "a clean tone steps by 630, this by {}", worst_step(&out));
        let bridge = &out[6 * FRAME_SAMPLES..7 * FRAME_SAMPLES];
        assert!(bridge.iter().any(|s| s.abs() > 4000), "the bridge sounds");
    }

    #[test]
    fn a_long_gap_fades_to_silence() {
        let mut concealer = Concealer::new(8000);
        (0..5).for_each(|n| concealer.good(&mut tone(n)));
        let mut frame = [0; FRAME_SAMPLES];
        (0..SILENT_AFTER_FRAMES + 1).for_each(|_| concealer.conceal(&mut frame));
        assert!(frame.iter().all(|s| *s == 0));
    }
}
