//! How audio goes to a service.
//!
//! Invariant: what is coded is added to a piece that has room for it, so that a frame allocates nothing.

use std::time::Duration;

use bellhop_media::g711::Law;

/// How audio is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// G.711 µ-law at 8 kHz.
    MuLaw,
    /// Linear 16 bit, little end first, at the rate of the line.
    Linear,
}

impl Coding {
    pub(super) fn encode(self, samples: &[i16], piece: &mut Vec<u8>) {
        match self {
            Self::MuLaw => piece.extend(samples.iter().map(|sample| Law::Mu.encode(*sample))),
            Self::Linear => samples.iter().for_each(|sample| piece.extend_from_slice(&sample.to_le_bytes())),
        }
    }

    pub(super) fn bytes_per_second(self, line_rate: u32) -> usize {
        let rate = if line_rate > 8000 { 16_000 } else { 8000 };
        if self == Self::Linear { rate * 2 } else { rate }
    }

    /// Bytes of audio that lasts so long.
    pub(super) fn bytes(self, line_rate: u32, of: Duration) -> usize {
        self.bytes_per_second(line_rate) * of.as_millis() as usize / 1000
    }

    /// How long so many bytes last.
    pub(super) fn duration(self, line_rate: u32, bytes: usize) -> Duration {
        Duration::from_secs(bytes as u64) / self.bytes_per_second(line_rate) as u32
    }

    pub(super) fn silence(self) -> u8 {
        if self == Self::MuLaw { Law::Mu.silence() } else { 0 }
    }
}
