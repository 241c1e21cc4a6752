//! SttStream: hears the caller. It runs voice activity detection, feeds the recognizer, and reports what was said.
//!
//! Invariant: the recognizer gets every sample that arrived, in order, with the beginning and end of utterances at their
//! places; a recognizer that is lost for good ends this actor.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::fut::WrapFuture;
use actix::{Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message};
use bellhop_call::lifecycle;
use bellhop_dialogue::Fields;
use bellhop_dialogue::ports::{Recognizer, RecognizerConfig, RecognizerEvent, RecognizerStream};
use bellhop_dialogue::turn_loop::Input;
use bellhop_media::resample::Upsampler;
use bellhop_media::voice_activity::{Activity, VoiceActivity};
use bellhop_media::{FRAME_SAMPLES, Frame, SAMPLE_RATE};

use super::journal::{Journal, RECOGNIZER};
use super::messages::{CallerAudio, ConfigureRecognizer, Expect, LineChanged, Listening};
use super::turn_loop::TurnLoop;
use super::{Reports, child};
use crate::drive::Tell;
use crate::metrics;
use crate::services::Services;
use crate::supervision::{Exit, Failure, Link};

/// Silence that ends an utterance, unless the assistant configures another.
pub const END_OF_PHRASE: Duration = Duration::from_millis(700);
/// The longest a recognizer may take to connect.
pub const CONNECT_MAX: Duration = Duration::from_secs(10);
/// The gain of the mirror band that a 16 kHz recognizer gets (none: it helps some voices and hurts others).
const MIRROR_GAIN: f32 = 0.0;

/// The actor.
pub struct SttStream {
    link: Link,
    call: Reports,
    turn_loop: Addr<TurnLoop>,
    tenant: String,
    recognizer: Arc<dyn Recognizer>,
    stream: Option<Box<dyn RecognizerStream>>,
    phrases: Option<Arc<[String]>>,
    /// What was configured last, for every band.
    fields: Option<Fields>,
    config: RecognizerConfig,
    end_of_phrase: Duration,
    activity: VoiceActivity,
    upsampler: Upsampler,
    wide: Vec<i16>,
    paused: bool,
    utterance_ended: Option<Instant>,
    journal: Journal,
}

/// What the recognizer reported, from whatever thread.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Reported(RecognizerEvent);

impl SttStream {
    pub(super) fn new(
        link: Link,
        (call, turn_loop): (Reports, Addr<TurnLoop>),
        services: &Services,
        line_rate: u32,
        journal: Journal,
    ) -> Self {
        Self {
            link,
            call,
            turn_loop,
            tenant: services.tenant.name.clone(),
            recognizer: Arc::clone(&services.recognizer),
            stream: None,
            phrases: None,
            fields: None,
            config: RecognizerConfig { line_rate, ..RecognizerConfig::default() },
            end_of_phrase: END_OF_PHRASE,
            activity: VoiceActivity::new(END_OF_PHRASE),
            upsampler: Upsampler::with_mirror(MIRROR_GAIN),
            wide: Vec::new(),
            paused: false,
            utterance_ended: None,
            journal,
        }
    }

    fn configure(&mut self, config: RecognizerConfig) {
        self.config = config;
        let end_of_phrase = self.config.end_of_phrase().unwrap_or(END_OF_PHRASE);
        if end_of_phrase != self.end_of_phrase {
            self.end_of_phrase = end_of_phrase;
            self.activity = VoiceActivity::new(end_of_phrase);
        }
    }

    fn lost(&self, ctx: &mut Context<Self>) {
        self.link.exit(Exit::Failed(Failure::RecognizerLost));
        ctx.stop();
    }

    /// One 20 ms frame of the line, at 8 or 16 kHz.
    fn hear(&mut self, frame: &[i16]) {
        let narrow = narrowed(frame);
        let change = self.activity.push(&narrow);
        if change == Some(Activity::Began) {
            self.journal.write(|record, now| record.speech_began(now));
            self.turn_loop.do_send(Tell(Input::SpeechStarted));
        }
        if change == Some(Activity::Ended) {
            let (silence, level) = (self.end_of_phrase, self.activity.level());
            self.journal.write(|record, now| record.speech_ended(now, silence, level));
            self.turn_loop.do_send(Tell(Input::SpeechEnded));
        }
        let Some(stream) = &mut self.stream else { return };
        if change == Some(Activity::Began) {
            stream.utterance_began();
        }
        match (self.recognizer.sample_rate(self.config.line_rate) > SAMPLE_RATE, frame.len() > FRAME_SAMPLES) {
            (true, false) => {
                self.wide.clear();
                self.upsampler.push(frame, &mut self.wide);
                stream.hear(&self.wide);
            }
            (true, true) => stream.hear(frame),
            (false, _) => stream.hear(narrow.as_slice()),
        }
        if change == Some(Activity::Ended) {
            self.utterance_ended = Some(crate::now());
            stream.utterance_ended();
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

impl Actor for SttStream {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.connect(ctx);
    }
}

impl SttStream {
    fn connect(&self, ctx: &mut Context<Self>) {
        let (address, line_rate) = (ctx.address(), self.config.line_rate);
        let sink = Box::new(move |heard| address.do_send(Reported(heard)));
        let opening = self.recognizer.open(self.config.clone(), sink);
        let opening = tokio::time::timeout(CONNECT_MAX, opening).into_actor(self);
        ctx.spawn(opening.map(move |opened, this, ctx| match opened {
            // The line has changed since: another stream is being opened.
            _ if this.config.line_rate != line_rate => {}
            Ok(Ok(mut stream)) => {
                stream.expect_phrases(this.phrases.clone());
                stream.configure(this.config.clone());
                this.stream = Some(stream);
                this.call.do_send(Tell(lifecycle::Input::RecognizerReady));
            }
            Ok(Err(failure)) => {
                tracing::warn!(tenant = this.tenant, %failure, "the recognizer could not be opened");
                this.lost(ctx);
            }
            Err(_) => this.lost(ctx),
        }));
    }
}

child!(SttStream);

impl Handler<CallerAudio> for SttStream {
    type Result = ();

    fn handle(&mut self, CallerAudio { samples, frame_samples }: CallerAudio, _: &mut Self::Context) {
        if self.paused {
            return;
        }
        metrics::samples_heard(samples.0.len());
        for frame in samples.0.chunks_exact(frame_samples) {
            self.hear(frame);
        }
    }
}

impl Handler<Expect> for SttStream {
    type Result = ();

    fn handle(&mut self, Expect { phrases }: Expect, _: &mut Self::Context) {
        self.phrases = phrases;
        if let Some(stream) = &mut self.stream {
            stream.expect_phrases(self.phrases.clone());
        }
    }
}

impl Handler<Listening> for SttStream {
    type Result = ();

    fn handle(&mut self, Listening { on }: Listening, _: &mut Self::Context) {
        self.paused = !on;
        if self.paused {
            // What was being said is not waited for any more.
            self.activity = VoiceActivity::new(self.end_of_phrase);
        }
    }
}

impl Handler<ConfigureRecognizer> for SttStream {
    type Result = ();

    fn handle(&mut self, ConfigureRecognizer { fields }: ConfigureRecognizer, _: &mut Self::Context) {
        self.configure(RecognizerConfig::of_line(self.config.line_rate, &fields));
        self.fields = Some(fields);
        if let Some(stream) = &mut self.stream {
            stream.configure(self.config.clone());
        }
    }
}

impl Handler<LineChanged> for SttStream {
    type Result = ();

    fn handle(&mut self, LineChanged { line_rate }: LineChanged, ctx: &mut Self::Context) {
        // What is configured may be other for another band.
        self.configure(match &self.fields {
            Some(fields) => RecognizerConfig::of_line(line_rate, fields),
            None => RecognizerConfig { line_rate, ..RecognizerConfig::default() },
        });
        self.stream = None;
        self.connect(ctx);
    }
}

impl Handler<Reported> for SttStream {
    type Result = ();

    fn handle(&mut self, Reported(heard): Reported, ctx: &mut Self::Context) {
        if matches!(heard, RecognizerEvent::FinalResult { .. } | RecognizerEvent::NotUnderstood)
            && let Some(ended) = self.utterance_ended.take()
        {
            metrics::utterance_recognised(&self.tenant, crate::now() - ended);
        }
        match heard {
            RecognizerEvent::InterimResult { .. } => self.turn_loop.do_send(Tell(Input::InterimResult)),
            RecognizerEvent::FinalResult { text, confidence, result } => {
                let transaction = result.as_ref().and_then(|result| result.get("transactionID")?.as_str());
                let transaction = transaction.map(str::to_owned);
                self.journal.write(|record, now| record.understood(now, confidence, transaction));
                self.turn_loop.do_send(Tell(Input::FinalResult { text, confidence, result }));
            }
            RecognizerEvent::NotUnderstood => {
                self.journal.write(|record, now| record.not_understood(now));
                self.turn_loop.do_send(Tell(Input::NotUnderstood));
            }
            RecognizerEvent::ServedBy { service, stands_in } => {
                self.journal.write(|record, now| record.listened_by(now, service, stands_in));
            }
            RecognizerEvent::Reconnecting { why } => {
                let message = format!("{why}; it is connected to again");
                self.journal.write(|record, now| record.warn(now, RECOGNIZER, message));
            }
            RecognizerEvent::Lost(failure) => {
                tracing::warn!(tenant = self.tenant, %failure, "the recognizer is lost");
                self.lost(ctx);
            }
        }
    }
}
