//! What the caller says: audio of the line becomes utterances for a recognizer, and its results words for the conversation.
//!
//! ```text
//! Connecting -connected-> Connected -the line has another rate-> Connecting
//!      | refused, overdue     | lost
//!      '------> Lost <--------'
//! ```
//! Invariant: the recognizer gets every sample that arrives while it is connected, in order and at its rate, with the beginning
//! and end of utterances, and pauses in them, at their places; what an earlier connection reports is ignored; a recognizer that is lost for good
//! is reported once; of an utterance that was taken from an interim result nothing is reported twice. It stands beside the call's lifecycle and not in `src/media/`, which knows no words. Driver:
//! `actors/call/stt_stream.rs`, which keeps the stream.

mod exchange;
mod taken;
#[cfg(test)]
mod tests;
mod utterance;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use bellhop_dialogue::Fields;
use bellhop_dialogue::ports::{RecognizerConfig, RecognizerEvent, ServiceFailure};
use bellhop_dialogue::turn_loop::Silences;
use bellhop_media::resample::Upsampler;
use bellhop_media::voice_activity::{Voice, VoiceActivity};
use bellhop_media::{FRAME_SAMPLES, Frame, SAMPLE_RATE};

use crate::end_of_turn::words::Expected;
use crate::end_of_turn::{END_OF_PHRASE, EndedBy, PAUSED_AFTER, Rules, Words};
pub use exchange::{Connection, Input, Output};
use taken::{ResultOf, Taken};
use utterance::{Step, Utterance};

/// The longest a recognizer may take to connect.
pub const CONNECT_MAX: Duration = Duration::from_secs(10);
/// An interim result that comes later after the end of an utterance is not of that: of a cough many services say nothing at all.
const LATE_INTERIM_MAX: Duration = Duration::from_secs(1);
/// The gain of the mirror band that a 16 kHz recognizer gets (none: it helps some voices and hurts others).
const MIRROR_GAIN: f32 = 0.0;

/// The machine of one leg.
pub struct SpeechIn {
    state: State,
    connection: Connection,
    settings: Settings,
    /// Knows how loud it is where the caller is, however often nobody listens in between.
    activity: VoiceActivity,
    ears: Ears,
    /// Audio of the line that is being looked at, and its last frame if that is for a recognizer of another rate.
    batch: Option<Batch>,
    /// What audio waits in the jitter buffer.
    delay: Duration,
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
        /// What utterances were understood as before the recognizer gave their results, which are awaited.
        taken: Taken,
    },
    /// It is gone for good.
    Lost,
}

/// Whether the caller is listened to.
enum Ears {
    /// What they are saying.
    Open(Option<Utterance>),
    Closed,
}

/// What of a tenant's settings says how its callers are listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listening {
    /// What words have to say in it when an utterance ends; none if nothing.
    pub by_words: Option<Silences>,
    /// So much speech is meant for us, whether it is understood or not.
    pub sustained: Duration,
}

/// How the caller is understood.
struct Settings {
    line_rate: u32,
    listening: Listening,
    /// The root fields of `speech_to_text` that were configured last, for every band.
    fields: Option<Fields>,
    expected: Expected,
}

impl Settings {
    fn config(&self) -> RecognizerConfig {
        match &self.fields {
            Some(fields) => RecognizerConfig::of_line(self.line_rate, fields),
            None => RecognizerConfig { line_rate: self.line_rate, ..RecognizerConfig::default() },
        }
    }

    fn rules(&self) -> Rules {
        let silence = self.config().end_of_phrase().unwrap_or(END_OF_PHRASE);
        Rules { silence, by_words: self.listening.by_words }
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
    pub fn new(now: Instant, line_rate: u32, listening: Listening) -> Self {
        let mut this = Self {
            state: State::Lost,
            connection: Connection(0),
            settings: Settings { line_rate, listening, fields: None, expected: Expected::default() },
            activity: VoiceActivity::default(),
            ears: Ears::Open(None),
            batch: None,
            delay: Duration::ZERO,
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
            Input::Audio { samples, frame_samples, delay } => {
                self.delay = delay;
                self.audio(Batch { came: now, samples, frame_samples: frame_samples.max(1), at: 0 });
            }
            Input::LineChanged { line_rate } => {
                self.change_settings(|settings| settings.line_rate = line_rate);
                self.connect(now);
            }
            Input::Expect { expected } => {
                self.order_if_connected(Output::ExpectPhrases(expected.phrases.clone()));
                self.settings.expected = expected;
            }
            Input::ConfigureRecognizer { fields } => {
                self.change_settings(|settings| settings.fields = Some(fields));
                self.order_if_connected(Output::ConfigureRecognizer(self.settings.config()));
            }
            // What was being said is not waited for any more.
            Input::Listening(false) => {
                self.activity.end();
                self.ears = Ears::Closed;
            }
            Input::Listening(true) => {
                if let Ears::Closed = self.ears {
                    self.ears = Ears::Open(None);
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
        self.state =
            State::Connected { wants_wide: sample_rate > SAMPLE_RATE, upsampler, ended: None, taken: Taken::default() };
        self.outputs.push_back(Output::ExpectPhrases(self.settings.expected.phrases.clone()));
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

    /// Another band may have other settings; what is being said goes on by them.
    fn change_settings(&mut self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings);
        if let Ears::Open(Some(utterance)) = &mut self.ears {
            utterance.change_rules(self.settings.rules());
        }
    }

    fn audio(&mut self, batch: Batch) {
        if let Ears::Open(_) = self.ears {
            self.outputs.push_back(Output::Taken { samples: batch.samples.len() });
            self.batch = Some(batch);
        }
    }

    /// Takes the next 20 ms of the batch, at 8 or 16 kHz; `false` if there are none.
    fn take_frame(&mut self) -> bool {
        let (Some(batch), Ears::Open(utterance)) = (&mut self.batch, &mut self.ears) else {
            return false;
        };
        let Some(frame) = batch.samples.get(batch.at..batch.at + batch.frame_samples) else {
            self.batch = None;
            return false;
        };
        batch.at += batch.frame_samples;
        let (came, narrow) = (batch.came, narrowed(frame));
        let voice = self.activity.push(&narrow);
        let step = match utterance {
            Some(utterance) => utterance.frame(voice),
            None if voice == Voice::Began => {
                *utterance = Some(Utterance::new(self.settings.rules(), self.settings.listening.sustained));
                self.outputs.push_back(Output::SpeechStarted);
                Step::default()
            }
            None => Step::default(),
        };
        if let State::Connected { wants_wide, upsampler, .. } = &mut self.state {
            self.converted.clear();
            match (*wants_wide, frame.len() > FRAME_SAMPLES) {
                (true, false) => upsampler.push(frame, &mut self.converted),
                (false, true) => self.converted.extend_from_slice(narrow.as_slice()),
                (true, true) | (false, false) => {}
            }
            let samples = if self.converted.is_empty() { frame.len() } else { self.converted.len() };
            self.outputs.push_back(Output::Hear { samples });
        }
        self.outputs.extend(step.told);
        if let Some(by) = step.ended {
            self.end_utterance(came, by);
        }
        true
    }

    /// The utterance is over; one that is whole already is not waited for.
    fn end_utterance(&mut self, at: Instant, by: EndedBy) {
        let Ears::Open(utterance) = &mut self.ears else { return };
        let Some(over) = utterance.take() else { return };
        self.activity.end();
        let (silence, level) = (over.silence() + self.delay, self.activity.level());
        self.outputs.push_back(Output::SpeechEnded { silence, level, by });
        let State::Connected { ended, taken, .. } = &mut self.state else { return };
        match over.into_interim().filter(|_| by == EndedBy::ExpectedPhrase) {
            Some(text) => {
                *ended = None;
                taken.push(at, text.clone());
                self.outputs.push_back(Output::Recognised { took: Duration::ZERO });
                self.outputs.push_back(Output::FinalResult { text, confidence: 1.0, result: None });
            }
            None => *ended = Some(at),
        }
    }

    fn reported(&mut self, now: Instant, event: RecognizerEvent) {
        match event {
            RecognizerEvent::InterimResult { text, stable } => self.interim(now, text, stable),
            RecognizerEvent::SoFar { words } => self.understood_so_far(words),
            RecognizerEvent::FinalResult { text, confidence, result } => {
                if let Some(text) = self.new_of(now, text) {
                    self.end_as_recognized(now);
                    self.result_came(now);
                    self.outputs.push_back(Output::FinalResult { text, confidence, result });
                }
                self.forget_interim();
            }
            RecognizerEvent::NotUnderstood => {
                let taken = match &mut self.state {
                    State::Connected { taken, .. } => taken.pop(now),
                    State::Connecting { .. } | State::Lost => None,
                };
                if taken.is_none() {
                    self.result_came(now);
                    self.outputs.push_back(Output::NotUnderstood);
                }
                self.forget_interim();
            }
            RecognizerEvent::ServedBy { service, stands_in } => {
                // Another, which has heard nothing of it.
                if let State::Connected { taken, .. } = &mut self.state {
                    *taken = Taken::default();
                }
                self.outputs.push_back(Output::ServedBy { service, stands_in });
            }
            // What was taken is told to it again, and its result comes then.
            RecognizerEvent::Reconnecting { why } => self.outputs.push_back(Output::Reconnecting { why }),
            RecognizerEvent::Lost(failure) => self.lost(failure),
        }
    }

    fn interim(&mut self, now: Instant, text: String, stable: bool) {
        let Ears::Open(utterance) = &mut self.ears else { return };
        self.outputs.push_back(Output::InterimResult);
        // What an utterance before it is understood as is nothing of this one.
        let text = match &mut self.state {
            State::Connected { ended: Some(ended), .. } if now.saturating_duration_since(*ended) < LATE_INTERIM_MAX => {
                return;
            }
            State::Connected { taken, .. } => taken.new_of(now, text),
            State::Connecting { .. } | State::Lost => text,
        };
        if let Some(utterance) = utterance {
            utterance.interim(&self.settings.expected, text, stable);
        }
    }

    /// A result has come: what was made of the utterance so far may have been of that.
    fn forget_interim(&mut self) {
        if let Ears::Open(Some(utterance)) = &mut self.ears {
            utterance.forget_interim();
        }
    }

    fn understood_so_far(&mut self, words: Option<(String, f32)>) {
        let Ears::Open(Some(utterance)) = &mut self.ears else { return };
        if words.is_some() {
            self.outputs.push_back(Output::InterimResult);
        }
        let looks = utterance.understood_so_far(&self.settings.expected, words.as_ref().map(|(text, _)| text.as_str()));
        if let (Some((text, confidence)), Some(Words::Open | Words::Complete)) = (words, looks) {
            self.outputs.push_back(Output::MayBeAll { text, confidence });
        }
    }

    /// What a result says that was not taken before it came.
    fn new_of(&mut self, now: Instant, text: String) -> Option<String> {
        let is_begun = matches!(&self.ears, Ears::Open(Some(said)) if said.has_words());
        let State::Connected { taken, ended, .. } = &mut self.state else { return Some(text) };
        match taken.result(now, &text) {
            ResultOf::Nothing => Some(text),
            ResultOf::Taken { rest } => (!rest.is_empty()).then_some(rest),
            // Of the utterance after it, if there is one, else a change of mind that comes too late.
            ResultOf::Other => (ended.is_some() || is_begun).then_some(text),
        }
    }

    /// Words have come that nobody waits for yet, of an utterance that has had some before, or is in a pause: it is over.
    fn end_as_recognized(&mut self, now: Instant) {
        let waits = matches!(self.state, State::Connected { ended: Some(_), .. });
        let is_over = |said: &Utterance| said.has_words() || said.silence() >= PAUSED_AFTER;
        if !waits && matches!(&self.ears, Ears::Open(Some(said)) if is_over(said)) {
            self.end_utterance(now, EndedBy::Recognizer);
        }
    }

    fn result_came(&mut self, now: Instant) {
        if let State::Connected { ended, .. } = &mut self.state
            && let Some(ended) = ended.take()
        {
            self.outputs.push_back(Output::Recognised { took: now.saturating_duration_since(ended) });
        }
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
