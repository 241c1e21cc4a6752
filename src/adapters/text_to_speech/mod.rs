//! Synthesizers.

pub mod cache;
pub mod espeak;
pub mod flite;
pub mod pcm;
pub mod watson;

/// Why a synthesizer cannot start: a sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoSynthesizer(pub String);
