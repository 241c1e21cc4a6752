//! What the conversation needs of the world: an assistant, a recognizer, a synthesizer.
//!
//! Invariant: no method of a port blocks; whatever takes time is a future or an event, and every adapter keeps a deadline
//! of its own.

mod assistant;
mod recognizer;
mod synthesizer;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

pub use assistant::{Assistant, Interrupted, Part, PartSink, TurnInput, TurnReply, TurnRequest};
pub use recognizer::{Recognizer, RecognizerConfig, RecognizerEvent, RecognizerSink, RecognizerStream};
pub use synthesizer::{AudioSink, Companding, Samples, SoundLibrary, Speech, SpeechRequest, Synthesizer};

/// A future that an adapter returns; it runs on whatever thread asked for it.
pub type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// JSON as it came from a service.
pub type Json = Value;
/// Named parameters, as a service takes them.
pub type Fields = Map<String, Value>;

/// Why a service did not do its work. The text is for the operator's log and never holds what a caller said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServiceFailure {
    /// It took longer than its deadline.
    #[error("the service did not answer in time")]
    Overdue,
    /// Too much is waiting for it already.
    #[error("the service is overloaded")]
    Overloaded,
    /// It cannot be reached or said no.
    #[error("the service failed: {why}")]
    Unavailable {
        /// In the service's words, for the operator's log.
        why: String,
    },
    /// It cannot do it now and may soon: it restarts, or its limit is reached.
    #[error("the service failed: {why}")]
    NotNow {
        /// In the service's words, for the operator's log.
        why: String,
        /// When it wants to be asked again at the earliest, if it said so: `Retry-After` of HTTP.
        retry_after: Option<Duration>,
    },
}

/// Who did a piece of work, for the call record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The kind of the service; empty if nobody said.
    pub service: &'static str,
    /// Whether it stands in for one that is preferred.
    pub stands_in: bool,
    /// The service's own identifier of the work.
    pub transaction: Option<Arc<str>>,
}

/// A model or a voice that a service offers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelOrVoice {
    /// As it is configured.
    pub name: String,
    /// A BCP 47 tag: `en-US`.
    pub language: String,
    /// `female` or `male`, of a voice.
    pub gender: Option<String>,
    /// The lines it is for, if not all of them.
    pub band: Option<Band>,
}

/// The bandwidth of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Band {
    /// Telephone quality: 8000 samples per second.
    Narrow,
    /// G.722 or Opus: 16,000 samples per second.
    Broad,
}
