//! How a call sounds, by numbers: the E-model of ITU-T G.107 in its short form, to a mean opinion score.
//!
//! Invariant: the score lies between 1 and 4.5, falls with loss and with delay, and never rises with either.

use std::time::Duration;

use crate::codec::Codec;

/// What is known of a call's audio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// The codec.
    pub codec: Codec,
    /// Share of packets lost, 0 to 1; those that came too late to be played included.
    pub loss: f32,
    /// One way: half a round trip and the delay of the jitter buffer.
    pub delay: Duration,
}

/// How the audio of a call was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MediaQuality {
    /// Share of the caller's packets that were not heard, 0 to 1.
    pub loss: f32,
    /// Interarrival jitter (RFC 3550 section 6.4.1).
    pub jitter: Duration,
    /// The round trip by RTCP, if the far end reports.
    pub round_trip: Option<Duration>,
    /// Share of our packets that the far end missed of late, if it reports.
    pub far_end_loss: Option<f32>,
    /// The estimate of the E-model, 1 to 4.5.
    pub mean_opinion_score: f32,
}

/// The transmission rating R (G.107 section 7): 0 to 93.2.
pub fn rating(measured: &Measured) -> f32 {
    let delay = measured.delay.as_secs_f32() * 1000.0;
    let delay_impairment = 0.024 * delay + 0.11 * (delay - 177.3).max(0.0);
    // Robustness against loss (G.113 appendix I); Opus and G.722 are not rated there for narrowband, and like G.711 taken
    // as unimpaired by themselves.
    let robustness = match measured.codec {
        Codec::G711(_) => 25.1,
        Codec::G722 => 20.0,
        Codec::Opus => 30.0,
    };
    let percent = measured.loss.clamp(0.0, 1.0) * 100.0;
    let loss_impairment = 95.0 * percent / (percent + robustness);
    (93.2 - delay_impairment - loss_impairment).clamp(0.0, 93.2)
}

/// The mean opinion score of a rating (G.107 annex B).
pub fn mean_opinion_score(measured: &Measured) -> f32 {
    let r = rating(measured);
    (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).clamp(1.0, 4.5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::g711::Law;

    fn score(loss: f32, delay_ms: u64) -> f32 {
        let codec = Codec::G711(Law::Mu);
        mean_opinion_score(&Measured { codec, loss, delay: Duration::from_millis(delay_ms) })
    }

    #[test]
    fn known_points_of_the_model() {
        assert!((4.35..4.45).contains(&score(0.0, 20)), "{}", score(0.0, 20));
        assert!((3.9..4.2).contains(&score(0.02, 100)), "{}", score(0.02, 100));
        assert!(score(0.2, 400) < 2.0);
        assert_eq!(score(1.0, 5000), 1.0);
    }

    #[test]
    fn it_never_rises_with_loss_or_delay() {
        for step in 0..50u8 {
            let (here, there) = (f32::from(step) / 50.0, f32::from(step + 1) / 50.0);
            assert!(score(here, 50) >= score(there, 50));
            assert!(score(0.01, u64::from(step) * 20) >= score(0.01, u64::from(step + 1) * 20));
        }
    }
}
