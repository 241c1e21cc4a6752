//! The recognizer: one stream for each call, audio in, results out.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::{Fields, ModelOrVoice, Pending, ServiceFailure};

/// Opens one stream per call; serves all calls of a tenant.
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

/// One call's stream to a recognizer. Dropping it ends it.
pub trait RecognizerStream: Send {
    /// Audio in order, linear 16 bit at the recognizer's rate, silence included.
    fn hear(&mut self, samples: &[i16]);

    /// The voice activity detector heard speech begin, in audio not longer ago than 200 ms.
    fn utterance_began(&mut self);

    /// The caller has been silent for a moment; what they said so far may be all. Whoever can look at it now, and tell
    /// [`RecognizerEvent::SoFar`], has less to do when it is. Told again in the same pause if that was no whole phrase.
    fn utterance_paused(&mut self) {}

    /// They go on.
    fn utterance_resumed(&mut self) {}

    /// The voice activity detector heard the utterance end.
    fn utterance_ended(&mut self);

    /// What the caller may say from here on; `None` for anything.
    fn expect_phrases(&mut self, phrases: Option<Arc<[String]>>);

    /// The parameters changed. What cannot be changed without losing words is changed between two utterances.
    fn configure(&mut self, _config: RecognizerConfig) {}
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

/// What a recognizer reports, in the order of what was said.
#[derive(Clone, PartialEq)]
pub enum RecognizerEvent {
    /// Words that may still change.
    InterimResult {
        /// As the recognizer wrote them.
        text: String,
        /// Whether it says that they will stay what they are, whatever follows them.
        stable: bool,
    },
    /// What was said up to the last [`RecognizerStream::utterance_paused`], should nothing follow.
    SoFar {
        /// The words, and how sure the recognizer is of them, 0 to 1; none if they are not understood.
        words: Option<(String, f32)>,
    },
    /// The words of one utterance.
    FinalResult {
        /// As the recognizer wrote them.
        text: String,
        /// How sure the recognizer is: 0 to 1.
        confidence: f32,
        /// The recognizer's own result, if it has one.
        result: Option<Value>,
    },
    /// An utterance ended and was not understood.
    NotUnderstood,
    /// Another service serves the stream from here on.
    ServedBy {
        /// Its kind, as in the configuration: `watson`.
        service: &'static str,
        /// Whether it stands in for one that is preferred.
        stands_in: bool,
    },
    /// The service broke off and is connected to again; nothing that was said is lost.
    Reconnecting {
        /// What the lost connection ended in.
        why: ServiceFailure,
    },
    /// The recognizer is gone and will not come back.
    Lost(ServiceFailure),
}

impl fmt::Debug for RecognizerEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InterimResult { .. } => "InterimResult",
            Self::SoFar { .. } => "SoFar",
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
