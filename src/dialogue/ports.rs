//! What the conversation needs of the world: an assistant, a recognizer, a synthesizer.
//!
//! Invariant: no method of a port blocks; whatever takes time is a future or an event, and every adapter keeps a deadline
//! of its own.

use std::fmt;
use std::future::Future;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::turn_loop::Policy;

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
        /// What it said.
        why: String,
    },
    /// It cannot do it now and may soon: it restarts, or its limit is reached.
    #[error("the service failed: {why}")]
    NotNow {
        /// What it said.
        why: String,
        /// When it wants to be asked again at the earliest, if it said so: `Retry-After` of HTTP.
        retry_after: Option<Duration>,
    },
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
        /// 0 to 1.
        confidence: f32,
        /// The recognizer's own result, if it has one: `speech_to_text_result`.
        result: Option<Value>,
    },
    /// The caller said something that was not understood, or not well enough.
    NotUnderstood,
    /// The caller pressed keys.
    Digits {
        /// The keys.
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
    pub fn needs_no_caller(&self) -> bool {
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
    pub context: Value,
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
            context,
        }
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

impl fmt::Debug for TurnRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TurnRequest({}, {:?})", self.number, self.input)
    }
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
    /// Who answered.
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

/// An assistant: the brain of a conversation.
pub trait Assistant: Send + Sync {
    /// One turn. The same request twice gets the same reply: the conversation's state travels in `context`.
    fn turn(&self, request: TurnRequest, parts: PartSink) -> Pending<Result<TurnReply, ServiceFailure>>;

    /// The conversation with this context is over; what the service keeps of it may go.
    fn ended(&self, _context: Value) -> Pending<()> {
        Box::pin(std::future::ready(()))
    }
}

/// What a recognizer reports, in the order of what was said.
#[derive(Clone, PartialEq)]
pub enum RecognizerEvent {
    /// Words that may still change.
    InterimResult {
        /// The words.
        text: String,
    },
    /// The words of one utterance.
    FinalResult {
        /// The words.
        text: String,
        /// 0 to 1.
        confidence: f32,
        /// The recognizer's own result, if it has one.
        result: Option<Value>,
    },
    /// An utterance ended and was not understood.
    NotUnderstood,
    /// Another service serves the stream from here on.
    ServedBy {
        /// Its kind.
        service: &'static str,
        /// Whether it stands in for one that is preferred.
        stands_in: bool,
    },
    /// The service broke off and is connected to again; nothing that was said is lost.
    Reconnecting {
        /// Why.
        why: ServiceFailure,
    },
    /// The recognizer is gone and will not come back.
    Lost(ServiceFailure),
}

impl fmt::Debug for RecognizerEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InterimResult { .. } => "InterimResult",
            Self::FinalResult { .. } => "FinalResult",
            Self::NotUnderstood => "NotUnderstood",
            Self::ServedBy { .. } => "ServedBy",
            Self::Reconnecting { .. } => "Reconnecting",
            Self::Lost(_) => "Lost",
        })
    }
}

/// Where a recognizer reports to; called from any thread.
pub type RecognizerSink = Box<dyn Fn(RecognizerEvent) + Send + Sync>;

/// A model or a voice that a service offers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelOrVoice {
    /// As it is configured.
    pub name: String,
    /// BCP 47 tag.
    pub language: String,
    /// `female` or `male`, of a voice.
    pub gender: Option<String>,
    /// The lines it is for, if not all of them.
    pub band: Option<Band>,
}

/// The bandwidth of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Band {
    /// 8 kHz.
    Narrow,
    /// 16 kHz.
    Broad,
}

/// A speech recognizer.
pub trait Recognizer: Send + Sync {
    /// Samples per second that its streams want, 8000 or 16000, for a line of so many.
    fn sample_rate(&self, line_rate: u32) -> u32;

    /// Opens a stream for one call.
    fn open(
        &self,
        config: RecognizerConfig,
        sink: RecognizerSink,
    ) -> Pending<Result<Box<dyn RecognizerStream>, ServiceFailure>>;

    /// Its models; empty if there is no choice.
    fn models(&self) -> Pending<Result<Vec<ModelOrVoice>, ServiceFailure>> {
        Box::pin(std::future::ready(Ok(vec![])))
    }
}

/// How a stream is configured.
#[derive(Clone, Default)]
pub struct RecognizerConfig {
    /// Samples per second of the line: 8000 or 16000; the narrowband or the broadband parameters hold.
    pub line_rate: u32,
    /// The service's own parameters: `narrowband_recognize` or `broadband_recognize` as the assistant configured it.
    pub parameters: Map<String, Value>,
}

/// The shortest and the longest silence that may end an utterance.
const END_OF_PHRASE: RangeInclusive<Duration> = Duration::from_millis(200)..=Duration::from_secs(5);

impl RecognizerConfig {
    /// The parameters of the line's band, of the root fields of `speech_to_text`.
    pub fn of_line(line_rate: u32, fields: &Fields) -> Self {
        let band = if line_rate > 8000 { "broadband_recognize" } else { "narrowband_recognize" };
        let parameters = fields.get(band).and_then(Value::as_object).cloned().unwrap_or_default();
        Self { line_rate, parameters }
    }

    /// `end_of_phrase_silence_time`: the silence that ends an utterance.
    pub fn end_of_phrase(&self) -> Option<Duration> {
        let value = self.parameters.get("end_of_phrase_silence_time")?;
        let seconds = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
        let silence = Duration::try_from_secs_f64(seconds).ok()?;
        Some(silence.clamp(*END_OF_PHRASE.start(), *END_OF_PHRASE.end()))
    }
}

impl fmt::Debug for RecognizerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecognizerConfig({} Hz, {} parameters)", self.line_rate, self.parameters.len())
    }
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
    fn expect_phrases(&mut self, phrases: Option<Arc<[String]>>);

    /// The parameters changed. What cannot be changed without losing words is changed between two utterances.
    fn configure(&mut self, _config: RecognizerConfig) {}
}

/// Synthesised speech.
#[derive(Clone)]
pub struct Speech {
    /// Linear 16-bit samples.
    pub samples: Arc<[i16]>,
    /// Samples per second.
    pub sample_rate: u32,
    /// Who spoke.
    pub origin: Origin,
}

impl Speech {
    /// Speech of whoever.
    pub fn new(samples: impl Into<Arc<[i16]>>, sample_rate: u32) -> Self {
        Self { samples: samples.into(), sample_rate, origin: Origin::default() }
    }
}

impl fmt::Debug for Speech {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Speech({} samples at {} Hz)", self.samples.len(), self.sample_rate)
    }
}

/// A text to be spoken.
#[derive(Clone, PartialEq)]
pub struct SpeechRequest {
    /// What, possibly SSML.
    pub text: String,
    /// Samples per second of the line. The speech may have another rate: that of the voice.
    pub line_rate: u32,
    /// The service's own parameters, as the assistant configured them: `synthesize`.
    pub parameters: Map<String, Value>,
    /// Whether the speech may be kept for others.
    pub cacheable: bool,
}

impl SpeechRequest {
    /// A text for a line of so many samples per second, with the voice as it is.
    pub fn plain(text: impl Into<String>, line_rate: u32) -> Self {
        Self { text: text.into(), line_rate, parameters: Map::new(), cacheable: true }
    }
}

impl fmt::Debug for SpeechRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpeechRequest({} bytes)", self.text.len())
    }
}

/// Takes audio of a speech that is still being made, with its samples per second: it follows what was handed over before.
pub type AudioSink = Box<dyn Fn(&[i16], u32) + Send + Sync>;

/// A speech synthesizer.
pub trait Synthesizer: Send + Sync {
    /// Speaks a text.
    fn synthesize(&self, request: SpeechRequest) -> Pending<Result<Speech, ServiceFailure>>;

    /// The same, handing over audio as it is made. What was handed over is the beginning of the speech that comes of it.
    fn stream(&self, request: SpeechRequest, _audio: AudioSink) -> Pending<Result<Speech, ServiceFailure>> {
        self.synthesize(request)
    }

    /// Its voices; empty if there is no choice.
    fn voices(&self) -> Pending<Result<Vec<ModelOrVoice>, ServiceFailure>> {
        Box::pin(std::future::ready(Ok(vec![])))
    }
}

/// Fetches the sounds of `audio` responses.
pub trait SoundLibrary: Send + Sync {
    /// The sound at a URL.
    fn fetch(&self, source: String) -> Pending<Result<Speech, ServiceFailure>>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_gets_the_parameters_of_its_band() {
        let Value::Object(fields) = json!({"narrowband_recognize": {"end_of_phrase_silence_time": "1.2"},
            "broadband_recognize": {"end_of_phrase_silence_time": 0.01}})
        else {
            panic!()
        };
        assert_eq!(RecognizerConfig::of_line(8000, &fields).end_of_phrase(), Some(Duration::from_millis(1200)));
        assert_eq!(RecognizerConfig::of_line(16_000, &fields).end_of_phrase(), Some(Duration::from_millis(200)));
        assert_eq!(RecognizerConfig::default().end_of_phrase(), None);
    }
}
