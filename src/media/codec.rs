//! Audio codecs behind one door: PCMU and PCMA (ITU-T G.711), G.722 (RFC 3551 section 4.5.2) and Opus (RFC 7587).
//!
//! Invariant: bytes from the network never panic a decoder; what cannot be decoded is a lost packet. G.711 and Opus work
//! without allocation; the G.722 library gives its result in a vector.

use std::fmt;

use audiopus::coder::{Decoder as OpusDecoder, Encoder as OpusEncoder};
use audiopus::{Application, Bitrate, Channels, MutSignals, SampleRate, packet};
use ezk_g722::libg722::Bitrate as G722Rate;
use ezk_g722::libg722::decoder::Decoder as G722Decoder;
use ezk_g722::libg722::encoder::Encoder as G722Encoder;

use crate::g711::Law;

/// The bit rate of Opus that is sent, for one channel of wideband speech.
pub const OPUS_BITS_PER_SECOND: i32 = 24_000;
/// The longest packet that can arrive: 120 ms (RFC 6716 section 3).
pub const PACKET_MS_MAX: usize = 120;

/// A codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 in one of its laws: 8 kHz.
    G711(Law),
    /// G.722 at 64 kbit/s: 16 kHz audio on an RTP clock of 8 kHz.
    G722,
    /// Opus: coded and decoded at 16 kHz here, on an RTP clock of 48 kHz.
    Opus,
}

impl Codec {
    /// Samples per second of the decoded audio.
    pub fn sample_rate(self) -> u32 {
        match self {
            Self::G711(_) => 8000,
            Self::G722 | Self::Opus => 16_000,
        }
    }

    /// Ticks per second of its RTP timestamps.
    pub fn clock_rate(self) -> u32 {
        match self {
            Self::G711(_) | Self::G722 => 8000,
            Self::Opus => 48_000,
        }
    }

    /// Samples of a 20 ms frame of decoded audio.
    pub fn frame_samples(self) -> usize {
        self.sample_rate() as usize / 50
    }

    /// How long a payload sounds, in milliseconds times 8; 0 if it cannot be told.
    pub fn duration_ticks(self, payload: &[u8]) -> i64 {
        match self {
            // Both carry 8 bytes a millisecond.
            Self::G711(_) | Self::G722 => payload.len() as i64,
            Self::Opus => opus_ticks(payload),
        }
    }
}

/// The table of contents byte of an Opus packet (RFC 6716 section 3.1).
fn opus_ticks(payload: &[u8]) -> i64 {
    let Some(toc) = payload.first() else { return 0 };
    let config = toc >> 3;
    let frame = match config {
        0..12 => [80, 160, 320, 480][usize::from(config & 3)],
        12..16 => [80, 160][usize::from(config & 1)],
        _ => [20, 40, 80, 160][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => i64::from(payload.get(1).copied().unwrap_or(0) & 0x3f),
    };
    if frame * frames > PACKET_MS_MAX as i64 * 8 { 0 } else { frame * frames }
}

/// The decoding side of one stream.
pub enum Decoder {
    /// Without state.
    G711(Law),
    /// With the predictor of both bands.
    G722(Box<G722Decoder>),
    /// With the state of libopus; `None` only where libopus could not give one.
    Opus(Option<Box<OpusDecoder>>),
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::G711(_) => "Decoder(G711)",
            Self::G722(_) => "Decoder(G722)",
            Self::Opus(_) => "Decoder(Opus)",
        })
    }
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    pub fn new(codec: Codec) -> Self {
        match codec {
            Codec::G711(law) => Self::G711(law),
            Codec::G722 => Self::G722(Box::new(G722Decoder::new(G722Rate::Mode1_64000, false, false))),
            Codec::Opus => Self::Opus(OpusDecoder::new(SampleRate::Hz16000, Channels::Mono).ok().map(Box::new)),
        }
    }

    /// Decodes a payload into the front of `samples`; how many samples it made, `None` if it is damaged.
    pub fn decode(&mut self, payload: &[u8], samples: &mut [i16]) -> Option<usize> {
        match self {
            Self::G711(law) => {
                let length = payload.len().min(samples.len());
                law.decode_into(&payload[..length], &mut samples[..length]);
                Some(length)
            }
            Self::G722(decoder) => {
                let room = payload.len().min(samples.len() / 2);
                let decoded = decoder.decode(&payload[..room]);
                samples[..decoded.len()].copy_from_slice(&decoded);
                Some(decoded.len())
            }
            Self::Opus(decoder) => {
                let packet = packet::Packet::try_from(payload).ok()?;
                let signals = MutSignals::try_from(samples).ok()?;
                decoder.as_mut()?.decode(Some(packet), signals, false).ok()
            }
        }
    }

    /// Whether a payload surely makes so many samples, no more and no fewer.
    pub fn fills(&self, payload: &[u8], samples: usize) -> bool {
        matches!(self, Self::G711(_)) && payload.len() == samples
    }

    /// Bridges a lost packet with the codec's own means; `false` if it has none.
    pub fn conceal(&mut self, samples: &mut [i16]) -> bool {
        let Self::Opus(Some(decoder)) = self else { return false };
        let Ok(signals) = MutSignals::try_from(&mut *samples) else { return false };
        matches!(decoder.decode(None, signals, false), Ok(length) if length == samples.len())
    }
}

/// The encoding side of one stream.
pub enum Encoder {
    /// Without state.
    G711(Law),
    /// With the predictor of both bands.
    G722(Box<G722Encoder>),
    /// With the state of libopus; `None` only where libopus could not give one.
    Opus(Option<Box<OpusEncoder>>),
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::G711(_) => "Encoder(G711)",
            Self::G722(_) => "Encoder(G722)",
            Self::Opus(_) => "Encoder(Opus)",
        })
    }
}

impl Encoder {
    /// An encoder at the beginning of a stream.
    pub fn new(codec: Codec) -> Self {
        match codec {
            Codec::G711(law) => Self::G711(law),
            Codec::G722 => Self::G722(Box::new(G722Encoder::new(G722Rate::Mode1_64000, false, false))),
            Codec::Opus => Self::Opus(opus_encoder().map(Box::new)),
        }
    }

    /// Encodes samples at the codec's rate into the front of `payload`; its length, 0 if it could not be encoded.
    pub fn encode(&mut self, samples: &[i16], payload: &mut [u8]) -> usize {
        match self {
            Self::G711(law) => {
                for (code, sample) in payload.iter_mut().zip(samples) {
                    *code = law.encode(*sample);
                }
                samples.len().min(payload.len())
            }
            Self::G722(encoder) => {
                let codes = encoder.encode(samples);
                let length = codes.len().min(payload.len());
                payload[..length].copy_from_slice(&codes[..length]);
                length
            }
            Self::Opus(encoder) => encoder.as_mut().and_then(|e| e.encode(samples, payload).ok()).unwrap_or(0),
        }
    }
}

fn opus_encoder() -> Option<OpusEncoder> {
    let mut encoder = OpusEncoder::new(SampleRate::Hz16000, Channels::Mono, Application::Voip).ok()?;
    encoder.set_bitrate(Bitrate::BitsPerSecond(OPUS_BITS_PER_SECOND)).ok()?;
    encoder.set_complexity(5).ok()?;
    encoder.set_inband_fec(true).ok()?;
    Some(encoder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, samples: usize) -> Vec<i16> {
        let step = 440.0 / f64::from(rate) * std::f64::consts::TAU;
        (0..samples).map(|n| ((n as f64 * step).sin() * 8000.0) as i16).collect()
    }

    fn power(samples: &[i16]) -> f64 {
        samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / samples.len() as f64
    }

    #[test]
    fn what_is_encoded_is_heard_again_at_its_rate_and_length() {
        for codec in [Codec::G711(Law::Mu), Codec::G711(Law::A), Codec::G722, Codec::Opus] {
            let (mut encoder, mut decoder) = (Encoder::new(codec), Decoder::new(codec));
            let frame = codec.frame_samples();
            let sound = tone(codec.sample_rate(), frame * 20);
            let mut heard = vec![];
            for part in sound.chunks(frame) {
                let (mut payload, mut samples) = ([0; 480], [0; 2000]);
                let length = encoder.encode(part, &mut payload);
                assert_eq!(codec.duration_ticks(&payload[..length]), 160, "{codec:?}");
                let made = decoder.decode(&payload[..length], &mut samples).expect("decodes");
                assert_eq!(made, frame, "{codec:?}");
                heard.extend_from_slice(&samples[..made]);
            }
            let (before, after) = (power(&sound[frame * 5..]), power(&heard[frame * 5..]));
            assert!((0.8..1.25).contains(&(after / before)), "{codec:?}: {before} -> {after}");
        }
    }

    #[test]
    fn damaged_payloads_are_no_more_than_lost() {
        let mut state = 7u32;
        for codec in [Codec::G711(Law::Mu), Codec::G722, Codec::Opus] {
            let mut decoder = Decoder::new(codec);
            for length in 0..300 {
                let bytes: Vec<u8> = (0..length)
                    .map(|_| {
                        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        (state >> 24) as u8
                    })
                    .collect();
                assert!((0..=960).contains(&codec.duration_ticks(&bytes)));
                let mut samples = [0; 2000];
                let _ = decoder.decode(&bytes, &mut samples);
            }
        }
    }

    #[test]
    fn only_opus_bridges_a_loss_by_itself() {
        let mut samples = [0; 320];
        assert!(Decoder::new(Codec::Opus).conceal(&mut samples));
        assert!(!Decoder::new(Codec::G722).conceal(&mut samples));
    }
}
