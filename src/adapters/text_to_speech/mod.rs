//! Synthesizers.

pub mod cache;
pub mod espeak;
pub mod flite;
pub mod pcm;
pub mod watson;

use std::time::Duration;

/// The longest that a text may take of an engine of this machine, waiting included.
pub const EMBEDDED_WITHIN: Duration = Duration::from_secs(6);
/// The longest that a text may wait for an engine of this machine to begin: sooner than a service counts as slow
/// (`SLOW` of the fallback), for it is not the engine that is.
pub const EMBEDDED_BEGINS_WITHIN: Duration = Duration::from_secs(3);
/// The longest that a text may take of a service.
pub const SERVICE_WITHIN: Duration = Duration::from_secs(7);
/// Most bytes of audio that are taken of a service for one text: five minutes of 16 bits at 16 kHz.
pub const SERVICE_AUDIO_BYTES_MAX: usize = 5 * 60 * 32_000;

/// Why a synthesizer cannot start: a sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoSynthesizer(pub String);
