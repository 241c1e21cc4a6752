//! The assistant: one turn of the conversation is asked, and replied to at once or part by part.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::{Origin, Pending, ServiceFailure};
use crate::policy::Policy;

/// An assistant: the brain of a conversation.
pub trait Assistant: Send + Sync {
    /// One turn. The same request twice gets the same reply: the conversation's state travels in `context`.
    fn turn(&self, request: TurnRequest, parts: PartSink) -> Pending<Result<TurnReply, ServiceFailure>>;

    /// The conversation with this context is over; what the service keeps of it may go.
    fn ended(&self, _context: Value) -> Pending<()> {
        Box::pin(std::future::ready(()))
    }
}

/// What the caller did, as the assistant is told.
#[derive(Clone, PartialEq)]
pub enum TurnInput {
    /// The call begins.
    Start,
    /// The caller said something.
    Speech {
        /// The recognised words, as the recognizer gave them.
        text: String,
        /// How sure the recognizer is: 0 to 1.
        confidence: f32,
        /// The recognizer's own result, if it has one: `speech_to_text_result`.
        result: Option<Value>,
    },
    /// The caller said something that was not understood, or not well enough.
    NotUnderstood,
    /// The caller pressed keys.
    Digits {
        /// Of `0` to `9`, `*` and `#`, in the order of the presses.
        digits: String,
        /// Whether a collection got what it asked for.
        succeeded: bool,
    },
    /// The caller chose from a list.
    Choice {
        /// The input that the author laid down for it.
        input: Map<String, Value>,
        /// Whether by a key.
        by_key: bool,
    },
    /// The caller was silent.
    PostResponseTimeout,
    /// The caller did not come to an end.
    FinalUtteranceTimeout,
    /// Nothing: the reply wanted a turn at once.
    NoInput,
    /// The caller's audio comes badly.
    NetworkWarning,
    /// A text message could not be sent.
    SmsFailed,
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
            Self::Choice { input, .. } => input.get("text").and_then(Value::as_str).unwrap_or_default(),
            Self::PostResponseTimeout => "vgwPostResponseTimeout",
            Self::FinalUtteranceTimeout => "vgwFinalUtteranceTimeout",
            Self::NoInput => "vgwNoInputTurn",
            Self::NetworkWarning => "vgwNetworkWarningMessage",
            Self::SmsFailed => "vgwSMSFailed",
            Self::CallTransferFailed => "vgwCallTransferFailed",
        }
    }

    /// Whether the caller did nothing for it: a turn like that may follow another without end.
    pub(crate) fn needs_no_caller(&self) -> bool {
        match self {
            Self::NoInput
            | Self::SmsFailed
            | Self::CallTransferFailed
            | Self::NetworkWarning
            | Self::PostResponseTimeout
            | Self::FinalUtteranceTimeout => true,
            Self::Start | Self::Speech { .. } | Self::NotUnderstood | Self::Digits { .. } | Self::Choice { .. } => {
                false
            }
        }
    }

    /// The label of metrics and of the call record's `request.type`.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Speech { .. } => "speech_to_text",
            Self::NotUnderstood => "speech_to_text_result_filtered",
            Self::Digits { .. } | Self::Choice { by_key: true, .. } => "dtmf",
            Self::Choice { by_key: false, .. } => "speech_to_text",
            Self::PostResponseTimeout => "post_response_timeout",
            Self::FinalUtteranceTimeout => "final_utterance_timeout",
            Self::NoInput => "no_input_turn",
            Self::NetworkWarning => "network_warning",
            Self::SmsFailed => "sms_failure",
            Self::CallTransferFailed => "transfer_failed",
        }
    }

    /// All labels, so that every series exists from the start.
    pub const LABELS: [&'static str; 10] = [
        "start",
        "speech_to_text",
        "speech_to_text_result_filtered",
        "dtmf",
        "post_response_timeout",
        "final_utterance_timeout",
        "no_input_turn",
        "network_warning",
        "sms_failure",
        "transfer_failed",
    ];
}

impl fmt::Debug for TurnInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TurnInput({})", self.label())
    }
}

/// One message to the assistant.
#[derive(Clone)]
pub struct TurnRequest {
    /// Counts up from 0; a retry has the number of its first try.
    pub number: u32,
    /// Which try it is: 1 for the first.
    pub attempt: u32,
    /// How long the turn loop waits for this try: for its first words, and from each [`Part`] of it to the next.
    pub patience: Duration,
    /// What the caller did.
    pub input: TurnInput,
    /// Whether the caller interrupted the reply before.
    pub barge_in_occurred: bool,
    /// What was heard of the reply before, if not all of it.
    pub interrupted: Option<Interrupted>,
    /// Keys that were pressed before this and did not become a turn of their own: a collection that was not complete when
    /// the caller spoke. Empty for none.
    pub digits_before: String,
    /// What the assistant returned last, to be given back, with what we know of the call under `integrations`.
    pub context: Arc<Value>,
}

impl TurnRequest {
    /// A turn after a reply that was heard to its end.
    pub fn new(number: u32, input: TurnInput, context: Value) -> Self {
        Self {
            number,
            attempt: 1,
            patience: Policy::default().assistant,
            input,
            barge_in_occurred: false,
            interrupted: None,
            digits_before: String::new(),
            context: context.into(),
        }
    }
}

impl fmt::Debug for TurnRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TurnRequest({}, {:?})", self.number, self.input)
    }
}

/// A reply that was not heard to its end: whoever keeps a history takes the words that were heard for what was said.
#[derive(Clone, PartialEq, Default)]
pub struct Interrupted {
    /// The assistant's words as far as they were heard; empty if none of them was.
    pub heard: String,
    /// The turn whose reply it was, if `context` does not know of that turn: its reply was still being made.
    pub unknown_turn: Option<TurnInput>,
}

impl fmt::Debug for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Interrupted({} bytes heard, {:?})", self.heard.len(), self.unknown_turn)
    }
}

/// What the assistant answers.
#[derive(Clone, Default)]
pub struct TurnReply {
    /// `output.generic[]` of the vendor's message API, without what was handed over as [`Part::Item`].
    pub generic: Vec<Value>,
    /// Older commands beside `generic`: an object with `vgwAction` or `vgwActionSequence`; `Null` for none.
    pub legacy: Value,
    /// Handed back with the next turn.
    pub context: Value,
    /// What the caller may say next, if the assistant knows; narrows recognition.
    pub phrases: Option<Arc<[String]>>,
    /// The service that answered, and whether it stands in for another.
    pub origin: Origin,
}

impl fmt::Debug for TurnReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TurnReply({} responses)", self.generic.len())
    }
}

/// What is there of a reply while the rest of it is still being made.
#[derive(Clone, PartialEq)]
pub enum Part {
    /// An item of `generic[]`: it is carried out at once.
    Item(Value),
    /// Nothing to be heard yet, but the reply is being made: who waits for it waits anew.
    Progress,
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Item(_) => "Item",
            Self::Progress => "Progress",
        })
    }
}

/// Takes parts of a reply.
pub type PartSink = Box<dyn Fn(Part) + Send + Sync>;
