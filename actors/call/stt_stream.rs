//! SttStream: drives the core of what the caller says, and keeps the recognizer's stream.
//!
//! Invariant: there is at most one stream, that of the core's last connection; what was opened for another is dropped.

use std::sync::Arc;

use actix::fut::WrapFuture;
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, SpawnHandle};
use bellhop_call::lifecycle;
use bellhop_call::speech_in::{Connection, Input, Listening, Output, SpeechIn};
use bellhop_dialogue::ports::{Recognizer, RecognizerConfig, RecognizerStream};
use bellhop_dialogue::turn_loop::{self, Policy};

use super::journal::{Journal, RECOGNIZER};
use super::{Conversation, Reports, child};
use crate::drive::{Drive, Driven, Tell, pump, put};
use crate::media_shard::Shard;
use crate::metrics;
use crate::services::Services;
use crate::supervision::{Exit, Failure, Link};

/// What the caller says, from the media clock to a recognizer.
pub struct SttStream {
    link: Link,
    call: Reports,
    turn_loop: Conversation,
    tenant: String,
    recognizer: Arc<dyn Recognizer>,
    stream: Option<Box<dyn RecognizerStream>>,
    /// What opens a stream.
    opening: Option<SpawnHandle>,
    drive: Drive<SpeechIn>,
    journal: Journal,
    /// That of the thread, which is warm.
    samples_heard: ::metrics::Counter,
}

impl SttStream {
    pub(super) fn new(
        link: Link,
        (call, turn_loop): (Reports, Conversation),
        services: &Services,
        line_rate: u32,
        journal: Journal,
    ) -> Self {
        let Policy { end_of_turn, sustained, .. } = services.conversation;
        let listening = Listening { by_words: end_of_turn, sustained };
        Self {
            link,
            call,
            turn_loop,
            tenant: services.integration.tenant.name.clone(),
            recognizer: Arc::clone(&services.recognizer),
            stream: None,
            opening: None,
            drive: Drive::new(SpeechIn::new(crate::now(), line_rate, listening)),
            journal,
            samples_heard: Shard::current().families.heard.clone(),
        }
    }

    fn tell(&self, input: turn_loop::Input) {
        self.turn_loop.do_send(Tell(input));
    }

    fn connect(&mut self, connection: Connection, config: RecognizerConfig, ctx: &mut Context<Self>) {
        self.stream = None;
        if let Some(before) = self.opening.take() {
            ctx.cancel_future(before);
        }
        let (address, sample_rate) = (ctx.address(), self.recognizer.sample_rate(config.line_rate));
        let sink = Box::new(move |event| address.do_send(Tell(Input::Reported { connection, event })));
        let opening = self.recognizer.open(config, sink).into_actor(self);
        self.opening = Some(ctx.spawn(opening.map(move |opened, this, ctx| {
            this.opening = None;
            match opened {
                Ok(stream) => {
                    this.stream = Some(stream);
                    put(this, ctx, Input::Connected { connection, sample_rate });
                }
                Err(failure) => put(this, ctx, Input::Refused { connection, failure }),
            }
        })));
    }
}

impl Actor for SttStream {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        pump(self, ctx);
    }
}

impl Driven for SttStream {
    type Core = SpeechIn;

    fn drive(&mut self) -> &mut Drive<SpeechIn> {
        &mut self.drive
    }

    fn carry_out(&mut self, output: Output, ctx: &mut Context<Self>) {
        let stream = self.stream.as_deref_mut();
        match output {
            Output::Connect { connection, config } => self.connect(connection, config, ctx),
            Output::RecognizerReady => self.call.do_send(Tell(lifecycle::Input::RecognizerReady)),
            Output::ExpectPhrases(phrases) => {
                stream.into_iter().for_each(|stream| stream.expect_phrases(phrases.clone()))
            }
            Output::ConfigureRecognizer(config) => {
                stream.into_iter().for_each(|stream| stream.configure(config.clone()))
            }
            Output::Taken { samples } => self.samples_heard.increment(samples as u64),
            Output::Hear { .. } => {
                if let Some(stream) = stream {
                    stream.hear(self.drive.core.frame());
                }
            }
            Output::SpeechStarted => {
                self.journal.write(|record, now| record.speech_began(now));
                stream.into_iter().for_each(|stream| stream.utterance_began());
                self.tell(turn_loop::Input::SpeechStarted);
            }
            Output::Paused => stream.into_iter().for_each(|stream| stream.utterance_paused()),
            Output::Resumed => {
                stream.into_iter().for_each(|stream| stream.utterance_resumed());
                self.tell(turn_loop::Input::SpeechResumed);
            }
            Output::MayBeAll { text, confidence } => self.tell(turn_loop::Input::MayBeAll { text, confidence }),
            Output::SpeechSustained => self.tell(turn_loop::Input::SpeechSustained),
            Output::SpeechEnded { silence, level, by } => {
                self.journal.write(|record, now| record.speech_ended(now, silence, level, by));
                stream.into_iter().for_each(|stream| stream.utterance_ended());
                self.tell(turn_loop::Input::SpeechEnded);
            }
            Output::Recognised { took } => metrics::utterance_recognised(&self.tenant, took),
            Output::InterimResult => self.tell(turn_loop::Input::InterimResult),
            Output::FinalResult { text, confidence, result } => {
                let transaction = result.as_ref().and_then(|result| result.get("transactionID")?.as_str());
                let transaction = transaction.map(str::to_owned);
                self.journal.write(|record, now| record.understood(now, confidence, transaction));
                self.tell(turn_loop::Input::FinalResult { text, confidence, result });
            }
            Output::NotUnderstood => {
                self.journal.write(|record, now| record.not_understood(now));
                self.tell(turn_loop::Input::NotUnderstood);
            }
            Output::ServedBy { service, stands_in } => {
                self.journal.write(|record, now| record.listened_by(now, service, stands_in));
            }
            Output::Reconnecting { why } => {
                let message = format!("{why}; it is connected to again");
                self.journal.write(|record, now| record.warn(now, RECOGNIZER, message));
            }
            Output::Failed(failure) => {
                tracing::warn!(%failure, "the recognizer is lost");
                self.link.exit(Exit::Failed(Failure::RecognizerLost));
                ctx.stop();
            }
        }
    }
}

child!(SttStream);

impl Handler<Tell<Input>> for SttStream {
    type Result = ();

    fn handle(&mut self, Tell(input): Tell<Input>, ctx: &mut Self::Context) {
        put(self, ctx, input);
    }
}
