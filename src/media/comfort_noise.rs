//! Comfort noise (RFC 3389): what a sender that falls silent wants to be heard instead.
//!
//! Invariant: a level of silence fills a frame with noise of that level and nothing louder. The spectral coefficients are
//! left out: a telephone line's noise is white enough.

/// The static payload type of comfort noise with an 8 kHz clock.
pub const PAYLOAD_TYPE: u8 = 13;

/// A source of noise at one level.
#[derive(Debug, Clone)]
pub struct Noise {
    amplitude: i32,
    state: u32,
}

impl Noise {
    /// Reads the first byte of a payload: the level in −dBov, 0 to 127. `None` for an empty payload.
    pub fn from_payload(payload: &[u8]) -> Option<Self> {
        let level = f32::from(payload.first()? & 0x7f);
        // White noise between ±a has a mean square of a²/3.
        let amplitude = 32_768.0 * 10f32.powf(-level / 20.0) * 3f32.sqrt();
        Some(Self { amplitude: amplitude.min(32_767.0) as i32, state: 0x2545_f491 })
    }

    /// Fills a frame.
    pub fn fill(&mut self, frame: &mut [i16]) {
        for sample in frame {
            self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let random = (self.state >> 16) as i32 - 32_768;
            *sample = (random * self.amplitude / 32_768) as i16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_the_one_asked_for() {
        for level in [30u8, 50, 70] {
            let mut frame = [0; 8000];
            Noise::from_payload(&[level, 1, 2]).expect("a level").fill(&mut frame);
            let power = frame.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / 8000.0;
            let measured = -20.0 * (power.sqrt() / 32_768.0).log10();
            assert!((measured - f64::from(level)).abs() < 1.5, "{level}: {measured}");
        }
        assert!(Noise::from_payload(&[]).is_none());
    }
}
