//! What the turn loop is told, and what it orders.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::ports::{Part, ServiceFailure, TurnReply, TurnRequest};
use crate::response::{ConnectToAgent, DtmfSend, OutOfRange};

/// Names one text, sound or row of digits to be heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SayId(pub u64);

/// What happened. It does not print itself: much of it are words.
pub enum Input {
    /// The call exists: ask for the greeting.
    Begin,
    /// A part of the reply to turn `number` is there, the rest is not.
    ReplyPart {
        /// [`TurnRequest::number`] of the turn that it answers.
        number: u32,
        /// An item of the reply, or that it is still being made.
        part: Part,
    },
    /// The assistant answered turn `number`.
    Replied {
        /// [`TurnRequest::number`] of the turn that it answers.
        number: u32,
        /// The end of the reply, or why this try has none.
        reply: Result<TurnReply, ServiceFailure>,
    },
    /// Voice activity detection heard speech begin.
    SpeechStarted,
    /// It has gone on for so long that it is meant for us, whatever it is.
    SpeechSustained,
    /// What was said so far may be all, as the recognizer has it.
    MayBeAll {
        /// As the recognizer wrote it.
        text: String,
        /// How sure the recognizer is: 0 to 1.
        confidence: f32,
    },
    /// It was not: the caller goes on.
    SpeechResumed,
    /// It heard it end.
    SpeechEnded,
    /// The recognizer has first words, which may still change.
    InterimResult,
    /// An utterance was recognised.
    FinalResult {
        /// As the recognizer wrote them.
        text: String,
        /// How sure the recognizer is: 0 to 1.
        confidence: f32,
        /// The recognizer's own result.
        result: Option<Value>,
    },
    /// An utterance was not understood.
    NotUnderstood,
    /// The caller's audio comes badly.
    NetworkWarning,
    /// A digit was pressed.
    Pressed(char),
    /// A clip was heard to its last sample; of one that repeats, the first time.
    Played(SayId),
    /// A clip was cut off, or would have been next.
    WasCut {
        /// Of the order that is reported on.
        id: SayId,
        /// How much of it was heard, 0 to 1.
        share: f32,
    },
    /// The hand-off cannot be and the tenant wants the call to go on.
    HandoffImpossible,
}

/// What to do. It does not print itself: most of it are words.
pub enum Output {
    /// Ask the assistant.
    Ask(Box<TurnRequest>),
    /// Speak; report [`Input::Played`].
    Say {
        /// Comes back in [`Input::Played`] and [`Input::WasCut`].
        id: SayId,
        /// Plain text, or SSML.
        text: Arc<str>,
        /// The parameters of the voice, shared by the parts of a text.
        voice: Arc<Map<String, Value>>,
        /// Whether the speech may be kept for others.
        cacheable: bool,
    },
    /// Play a sound after what is being said; report [`Input::Played`].
    Play {
        /// Comes back in [`Input::Played`] and [`Input::WasCut`].
        id: SayId,
        /// The URL of the sound.
        source: String,
        /// Whether it is repeated until [`Output::StopRepeating`].
        repeats: bool,
    },
    /// What is repeated shall not be any more.
    StopRepeating,
    /// Silence the caller's ear now and forget what waits; report [`Input::WasCut`].
    Cut,
    /// Silence the caller's ear now and keep what waits.
    Pause,
    /// Go on where the pause began.
    Resume,
    /// Ask the assistant already, and keep what it says: it counts if [`is_same_question`](super::is_same_question) of the next
    /// [`Output::Ask`].
    AskEarly(Box<TurnRequest>),
    /// Nobody will ask what was asked early.
    ForgetEarly,
    /// What the caller may say from here on.
    Expect {
        /// One of these; none for anything.
        phrases: Option<Arc<[String]>>,
        /// So many digits.
        digits: Option<usize>,
    },
    /// How the caller is understood from here on: the root fields of `speech_to_text`.
    ConfigureRecognizer(Map<String, Value>),
    /// Hand the caller over; everything before has been heard.
    HandOff(Box<ConnectToAgent>),
    /// Send digits after what is being said; report [`Input::Played`].
    SendDigits {
        /// Comes back in [`Input::Played`].
        id: SayId,
        /// Digits, their length and the pause between them.
        digits: DtmfSend,
    },
    /// Whether the caller's speech is taken from here on.
    Listening(bool),
    /// Hang up; everything before has been heard.
    EndConversation {
        /// Headers of the BYE.
        headers: Vec<(String, String)>,
    },
    /// A response of a type that is not served was skipped.
    Skipped {
        /// The type, or what else was skipped; no more than its beginning.
        response_type: String,
    },
    /// A parameter is out of range, and as if it were not there.
    OutOfRange(OutOfRange),
    /// Something was done that is not heard: `response[].type` of the call record.
    Did(&'static str),
    /// An utterance was dropped.
    Dropped(DropReason),
    /// The assistant is lost.
    Failed(ServiceFailure),
}

const _: () = assert!(size_of::<Output>() <= 64, "a conversation keeps room for a few of them");

/// Why an utterance was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// The recognizer was not sure enough of it.
    Confidence,
    /// It was our own voice.
    Echo,
    /// The reply may not be interrupted.
    NoBargeIn,
}

impl DropReason {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Confidence, Self::Echo, Self::NoBargeIn];

    /// The label of metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Confidence => "confidence",
            Self::Echo => "echo",
            Self::NoBargeIn => "no_barge_in",
        }
    }
}
