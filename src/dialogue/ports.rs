//! What the conversation needs of the world: an assistant, a recognizer, a synthesizer.
//!
//! Invariant: no method of a port blocks; whatever takes time is a future or an event, and every adapter keeps a deadline
//! of its own.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;

/// A future that an adapter returns; it runs on whatever thread asked for it.
pub type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

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
        /// What it said.
        why: String,
    },
}

/// What the caller did, as the assistant is told.
#[derive(Clone, PartialEq)]
pub enum TurnInput {
    /// The call begins.
    Start,
    /// The caller said something.
    Speech {
        /// The recognised words.
        text: String,
        /// 0 to 1.
        confidence: f32,
    },
    /// The caller said something that was not understood.
    NotUnderstood,
    /// The caller pressed keys.
    Digits {
        /// The keys.
        digits: String,
        /// Whether a collection got what it asked for.
        succeeded: bool,
    },
    /// The caller was silent.
    PostResponseTimeout,
    /// The transfer asked for was impossible.
    CallTransferFailed,
}

impl TurnInput {
    /// `input.text` of the vendor's message API.
    pub fn text(&self) -> &str {
        match self {
            Self::Start => "",
            Self::Speech { text, .. } => text,
            Self::NotUnderstood => "vgwSTTResultFiltered",
            Self::Digits { digits, .. } => digits,
            Self::PostResponseTimeout => "vgwPostResponseTimeout",
            Self::CallTransferFailed => "vgwCallTransferFailed",
        }
    }

    /// The label of metrics and of the call record's `request.type`.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Speech { .. } => "speech_to_text",
            Self::NotUnderstood => "speech_to_text_result_filtered",
            Self::Digits { .. } => "dtmf",
            Self::PostResponseTimeout => "post_response_timeout",
            Self::CallTransferFailed => "transfer_failed",
        }
    }

    /// All labels, so that every series exists from the start.
    pub const LABELS: [&'static str; 6] = [
        "start",
        "speech_to_text",
        "speech_to_text_result_filtered",
        "dtmf",
        "post_response_timeout",
        "transfer_failed",
    ];
}

impl fmt::Debug for TurnInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TurnInput({})", self.label())
    }
}

/// One message to the assistant.
#[derive(Debug, Clone)]
pub struct TurnRequest {
    /// Counts up from 0; a retry has the number of its first try.
    pub number: u32,
    /// What the caller did.
    pub input: TurnInput,
    /// Whether the caller interrupted the reply before.
    pub barge_in_occurred: bool,
    /// What the assistant returned last, to be given back; `Null` at the start.
    pub context: Value,
}

/// What the assistant answers.
#[derive(Clone, Default)]
pub struct TurnReply {
    /// `output.generic[]` of the vendor's message API.
    pub generic: Vec<Value>,
    /// Handed back with the next turn.
    pub context: Value,
    /// What the caller may say next, if the assistant knows; narrows recognition.
    pub phrases: Option<Arc<[String]>>,
}

impl fmt::Debug for TurnReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TurnReply({} responses)", self.generic.len())
    }
}

/// An assistant: the brain of a conversation.
pub trait Assistant: Send + Sync {
    /// One turn. The same request twice gets the same reply: the conversation's state travels in `context`.
    fn turn(&self, request: TurnRequest) -> Pending<Result<TurnReply, ServiceFailure>>;
}

/// What a recognizer reports, in the order of what was said.
#[derive(Clone, PartialEq)]
pub enum Heard {
    /// A hypothesis that may still change.
    Interim {
        /// The words.
        text: String,
    },
    /// The words of one utterance.
    Final {
        /// The words.
        text: String,
        /// 0 to 1.
        confidence: f32,
    },
    /// An utterance ended and was not understood.
    NotUnderstood,
    /// The recognizer is gone and will not come back.
    Lost(ServiceFailure),
}

impl fmt::Debug for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interim { .. } => "Interim",
            Self::Final { .. } => "Final",
            Self::NotUnderstood => "NotUnderstood",
            Self::Lost(_) => "Lost",
        })
    }
}

/// Where a recognizer reports to; called from any thread.
pub type HeardSink = Box<dyn Fn(Heard) + Send + Sync>;

/// A speech recognizer.
pub trait Recognizer: Send + Sync {
    /// Samples per second that its streams want: 8000 or 16000.
    fn sample_rate(&self) -> u32;

    /// Opens a stream for one call.
    fn open(&self, sink: HeardSink) -> Pending<Result<Box<dyn RecognizerStream>, ServiceFailure>>;
}

/// One call's stream to a recognizer. Dropping it ends it.
pub trait RecognizerStream: Send {
    /// Audio in order, linear 16 bit at the recognizer's rate, silence included.
    fn hear(&mut self, samples: &[i16]);

    /// The voice activity detector heard speech begin, in audio not longer ago than 200 ms.
    fn utterance_began(&mut self);

    /// The voice activity detector heard the utterance end.
    fn utterance_ended(&mut self);

    /// What the caller may say from here on; `None` for anything.
    fn expect(&mut self, phrases: Option<Arc<[String]>>);
}

/// Synthesised speech.
#[derive(Clone)]
pub struct Speech {
    /// Linear 16-bit samples.
    pub samples: Arc<[i16]>,
    /// Samples per second.
    pub sample_rate: u32,
}

impl fmt::Debug for Speech {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Speech({} samples at {} Hz)", self.samples.len(), self.sample_rate)
    }
}

/// A speech synthesizer.
pub trait Synthesizer: Send + Sync {
    /// Speaks a text, for a line of so many samples per second. The speech may have another rate: that of the voice.
    fn synthesize(&self, text: String, line_rate: u32) -> Pending<Result<Speech, ServiceFailure>>;
}
