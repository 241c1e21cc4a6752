//! What the caller says: audio of the line becomes utterances for a recognizer, and its results words for the conversation.
//!
//! ```text
//! Connecting -connected-> Connected -the line has another rate-> Connecting
//!      | refused, overdue     | lost
//!      '------> Lost <--------'
//! ```
//! Invariant: the recognizer gets every sample that arrives while it is connected, in order and at its rate, with the beginning
//! and end of utterances at their places; what an earlier connection reports is ignored; a recognizer that is lost for good
//! is reported once. It stands beside the call's lifecycle and not in `src/media/`, which knows no words. Driver:
//! `actors/call/stt_stream.rs`, which keeps the stream.

mod exchange;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bellhop_dialogue::Fields;
use bellhop_dialogue::ports::{RecognizerConfig, RecognizerEvent, ServiceFailure};
use bellhop_media::resample::Upsampler;
use bellhop_media::voice_activity::{Activity, VoiceActivity};
use bellhop_media::{FRAME_SAMPLES, Frame, SAMPLE_RATE};

pub use exchange::{Connection, Input, Output};

/// Silence that ends an utterance, unless the assistant configures another.
pub const END_OF_PHRASE: Duration = Duration::from_millis(700);
/// The longest a recognizer may take to connect.
pub const CONNECT_MAX: Duration = Duration::from_secs(10);
/// The gain of the mirror band that a 16 kHz recognizer gets (none: it helps some voices and hurts others).
const MIRROR_GAIN: f32 = 0.0;

/// The machine of one leg.
pub struct SpeechIn {
    state: State,
    connection: Connection,
    settings: Settings,
    ears: Ears,
    /// Audio of the line that is being looked at, and its last frame if that is for a recognizer of another rate.
    batch: Option<Batch>,
    converted: Vec<i16>,
    outputs: VecDeque<Output>,
}

/// Audio that came at once.
struct Batch {
    came: Instant,
    samples: Vec<i16>,
    frame_samples: usize,
    /// Where the next frame begins.
    at: usize,
}

enum State {
    /// The recognizer has until then to connect.
    Connecting { by: Instant },
    /// It hears.
    Connected {
        wants_wide: bool,
        upsampler: Upsampler,
        /// When the utterance ended whose result is awaited.
        ended: Option<Instant>,
    },
    /// It is gone for good.
    Lost,
}

/// Whether the caller is listened to.
enum Ears {
    Open(VoiceActivity),
    Closed,
}

/// How the caller is understood.
struct Settings {
    line_rate: u32,
    /// The root fields of `speech_to_text` that were configured last, for every band.
    fields: Option<Fields>,
    phrases: Option<Arc<[String]>>,
}

impl Settings {
    fn config(&self) -> RecognizerConfig {
        match &self.fields {
            Some(fields) => RecognizerConfig::of_line(self.line_rate, fields),
            None => RecognizerConfig { line_rate: self.line_rate, ..RecognizerConfig::default() },
        }
    }

    fn end_of_phrase(&self) -> Duration {
        self.config().end_of_phrase().unwrap_or(END_OF_PHRASE)
    }
}

/// Where it stands, and nothing that was said.
impl fmt::Debug for SpeechIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Connecting { .. } => "Connecting",
            State::Connected { .. } => "Connected",
            State::Lost => "Lost",
        };
        write!(f, "SpeechIn({state}, connection {})", self.connection.0)
    }
}

impl SpeechIn {
    /// A machine for a line of so many samples per second; it begins to connect.
    pub fn new(now: Instant, line_rate: u32) -> Self {
        let mut this = Self {
            state: State::Lost,
            connection: Connection(0),
            settings: Settings { line_rate, fields: None, phrases: None },
            ears: Ears::Open(VoiceActivity::new(END_OF_PHRASE)),
            batch: None,
            converted: vec![],
            outputs: VecDeque::new(),
        };
        this.connect(now);
        this
    }

    /// One thing happened.
    pub fn handle(&mut self, now: Instant, input: Input) {
        if matches!(self.state, State::Lost) {
            return;
        }
        match input {
            Input::Audio { samples, frame_samples } => self.audio(now, samples, frame_samples),
            Input::LineChanged { line_rate } => {
                self.change_settings(|settings| settings.line_rate = line_rate);
                self.connect(now);
            }
            Input::Expect { phrases } => {
                self.settings.phrases.clone_from(&phrases);
                self.order_if_connected(Output::ExpectPhrases(phrases));
            }
            Input::ConfigureRecognizer { fields } => {
                self.change_settings(|settings| settings.fields = Some(fields));
                self.order_if_connected(Output::ConfigureRecognizer(self.settings.config()));
            }
            // What was being said is not waited for any more.
            Input::Listening(false) => self.ears = Ears::Closed,
            Input::Listening(true) => {
                if let Ears::Closed = self.ears {
                    self.ears = Ears::Open(VoiceActivity::new(self.settings.end_of_phrase()));
                }
            }
            Input::Connected { connection, sample_rate } if connection == self.connection => {
                self.connected(sample_rate);
            }
            Input::Refused { connection, failure } if connection == self.connection => self.lost(failure),
            Input::Reported { connection, event } if connection == self.connection => self.reported(now, event),
            // Of a line that has another rate by now.
            Input::Connected { .. } | Input::Refused { .. } | Input::Reported { .. } => {}
        }
    }

    /// The deadline passed; early calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Connecting { by } if by <= now => self.lost(ServiceFailure::Overdue),
            State::Connecting { .. } | State::Connected { .. } | State::Lost => {}
        }
    }

    /// What to do next; drain until `None`.
    pub fn poll(&mut self) -> Option<Output> {
        while self.outputs.is_empty() && self.take_frame() {}
        self.outputs.pop_front()
    }

    /// When to call [`SpeechIn::handle_timeout`]: a recognizer that does not connect is lost.
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Connecting { by } => Some(by),
            State::Connected { .. } | State::Lost => None,
        }
    }

    /// The frame that was taken last, linear samples at the rate of the recognizer.
    pub fn frame(&self) -> &[i16] {
        match &self.batch {
            Some(batch) if self.converted.is_empty() => &batch.samples[batch.at - batch.frame_samples..batch.at],
            _ => &self.converted,
        }
    }

    fn connect(&mut self, now: Instant) {
        self.connection.0 += 1;
        self.state = State::Connecting { by: now + CONNECT_MAX };
        let config = self.settings.config();
        self.outputs.push_back(Output::Connect { connection: self.connection, config });
    }

    fn connected(&mut self, sample_rate: u32) {
        if !matches!(self.state, State::Connecting { .. }) {
            return;
        }
        let upsampler = Upsampler::with_mirror(MIRROR_GAIN);
        self.state = State::Connected { wants_wide: sample_rate > SAMPLE_RATE, upsampler, ended: None };
        self.outputs.push_back(Output::ExpectPhrases(self.settings.phrases.clone()));
        self.outputs.push_back(Output::ConfigureRecognizer(self.settings.config()));
        self.outputs.push_back(Output::RecognizerReady);
    }

    fn order_if_connected(&mut self, output: Output) {
        if let State::Connected { .. } = self.state {
            self.outputs.push_back(output);
        }
    }

    fn lost(&mut self, failure: ServiceFailure) {
        self.state = State::Lost;
        self.outputs.push_back(Output::Failed(failure));
    }

    /// Another band may have other settings; an utterance is broken off only where the silence that ends it changes.
    fn change_settings(&mut self, change: impl FnOnce(&mut Settings)) {
        let before = self.settings.end_of_phrase();
        change(&mut self.settings);
        let after = self.settings.end_of_phrase();
        if let Ears::Open(activity) = &mut self.ears
            && after != before
        {
            *activity = VoiceActivity::new(after);
        }
    }

    fn audio(&mut self, came: Instant, samples: Vec<i16>, frame_samples: usize) {
        if let Ears::Open(_) = self.ears {
            self.outputs.push_back(Output::Taken { samples: samples.len() });
            self.batch = Some(Batch { came, samples, frame_samples: frame_samples.max(1), at: 0 });
        }
    }

    /// Takes the next 20 ms of the batch, at 8 or 16 kHz; `false` if there are none.
    fn take_frame(&mut self) -> bool {
        let (Some(batch), Ears::Open(activity)) = (&mut self.batch, &mut self.ears) else { return false };
        let Some(frame) = batch.samples.get(batch.at..batch.at + batch.frame_samples) else {
            self.batch = None;
            return false;
        };
        batch.at += batch.frame_samples;
        let narrow = narrowed(frame);
        let change = activity.push(&narrow);
        if change == Some(Activity::Began) {
            self.outputs.push_back(Output::SpeechStarted);
        }
        if let State::Connected { wants_wide, upsampler, ended } = &mut self.state {
            self.converted.clear();
            match (*wants_wide, frame.len() > FRAME_SAMPLES) {
                (true, false) => upsampler.push(frame, &mut self.converted),
                (false, true) => self.converted.extend_from_slice(narrow.as_slice()),
                (true, true) | (false, false) => {}
            }
            let samples = if self.converted.is_empty() { frame.len() } else { self.converted.len() };
            self.outputs.push_back(Output::Hear { samples });
            if change == Some(Activity::Ended) {
                *ended = Some(batch.came);
            }
        }
        if change == Some(Activity::Ended) {
            let (silence, level) = (self.settings.end_of_phrase(), activity.level());
            self.outputs.push_back(Output::SpeechEnded { silence, level });
        }
        true
    }

    fn reported(&mut self, now: Instant, event: RecognizerEvent) {
        if let (State::Connected { ended, .. }, RecognizerEvent::FinalResult { .. } | RecognizerEvent::NotUnderstood) =
            (&mut self.state, &event)
            && let Some(ended) = ended.take()
        {
            self.outputs.push_back(Output::Recognised { took: now.saturating_duration_since(ended) });
        }
        self.outputs.push_back(match event {
            RecognizerEvent::InterimResult { .. } => Output::InterimResult,
            RecognizerEvent::FinalResult { text, confidence, result } => {
                Output::FinalResult { text, confidence, result }
            }
            RecognizerEvent::NotUnderstood => Output::NotUnderstood,
            RecognizerEvent::ServedBy { service, stands_in } => Output::ServedBy { service, stands_in },
            RecognizerEvent::Reconnecting { why } => Output::Reconnecting { why },
            RecognizerEvent::Lost(failure) => return self.lost(failure),
        });
    }
}

/// The frame at 8 kHz: as it is, or each two samples as one.
fn narrowed(frame: &[i16]) -> Cow<'_, Frame> {
    match frame.try_into() {
        Ok(narrow) => Cow::Borrowed(narrow),
        Err(_) => Cow::Owned(std::array::from_fn(|n| {
            frame.get(2 * n..2 * n + 2).map_or(0, |pair| ((i32::from(pair[0]) + i32::from(pair[1])) / 2) as i16)
        })),
    }
}
