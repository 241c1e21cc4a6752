//! Raw audio as it comes in pieces: G.711 µ-law, or linear 16 bit with the little end first.
//!
//! Invariant: a sample that lies across two pieces is whole.

use bellhop_dialogue::ports::AudioSink;
use bellhop_media::g711::Law;

/// Audio that grows.
pub struct Growing {
    linear: bool,
    sample_rate: u32,
    odd: Option<u8>,
    samples: Vec<i16>,
}

impl Growing {
    /// Linear audio.
    pub fn linear(sample_rate: u32) -> Self {
        Self { linear: true, sample_rate, odd: None, samples: vec![] }
    }

    /// µ-law at 8 kHz.
    pub(crate) fn mu_law() -> Self {
        Self { linear: false, sample_rate: 8000, odd: None, samples: vec![] }
    }

    /// Takes a piece and hands on the samples that are whole now.
    pub fn push(&mut self, bytes: &[u8], audio: &AudioSink) {
        let before = self.samples.len();
        if self.linear {
            let mut rest = bytes;
            if let (Some(low), [high, after @ ..]) = (self.odd, bytes) {
                self.samples.push(i16::from_le_bytes([low, *high]));
                (self.odd, rest) = (None, after);
            }
            let pairs = rest.chunks_exact(2);
            self.odd = pairs.remainder().first().copied().or(self.odd);
            self.samples.extend(pairs.map(|pair| i16::from_le_bytes([pair[0], pair[1]])));
        } else {
            self.samples.extend(bytes.iter().map(|code| Law::Mu.decode(*code)));
        }
        if self.samples.len() > before {
            audio(&self.samples[before..], self.sample_rate);
        }
    }

    /// Bytes so far, as they came.
    pub fn bytes(&self) -> usize {
        self.samples.len() * if self.linear { 2 } else { 1 }
    }

    /// Everything, with its samples per second.
    pub fn finish(self) -> (Vec<i16>, u32) {
        (self.samples, self.sample_rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn a_sample_across_two_pieces_is_whole() {
        let told = Arc::new(Mutex::new(vec![]));
        let heard = Arc::clone(&told);
        let sink: AudioSink =
            Box::new(move |samples, rate| heard.lock().expect("alone").push((samples.to_vec(), rate)));
        let mut growing = Growing::linear(16_000);
        for piece in [&[1u8][..], &[0, 2], &[0], &[9]] {
            growing.push(piece, &sink);
        }
        assert_eq!(*told.lock().expect("alone"), [(vec![1], 16_000), (vec![2], 16_000)]);
        assert_eq!((growing.bytes(), growing.finish().0), (4, vec![1, 2]));
    }
}
