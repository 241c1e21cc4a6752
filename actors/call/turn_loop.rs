//! TurnLoop: drives the conversation's core and asks the assistant.
//!
//! Invariant: the core's deadline bounds every question; an answer that comes late is the core's to ignore.

use std::sync::Arc;

use actix::fut::WrapFuture;
use actix::{Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message};
use bellhop_call::record::CallRecord;
use bellhop_dialogue::TurnLoop as Core;
use bellhop_dialogue::ports::{Assistant, Part, ServiceFailure, SpeechRequest, TurnReply};
use bellhop_dialogue::turn_loop::{Dropped, Input, Output, Tries};

use super::child;
use super::journal::{CONFIDENCE, Journal, OUT_OF_RANGE};
use super::messages::{
    Begin, ConfigureSpeech, CutSpeech, EndConversation, FellSilent, HandOff, HandoffWasImpossible, Heard, HushSpeech,
    Hypothesis, Interrupted, NetworkWarned, NotUnderstood, PauseListening, PlaySound, Played, Pressed, ReplyArrived,
    ResumeListening, ResumeSpeech, Say, SendKeys, StopSound, WasCut,
};
use super::supervisor::Call;
use crate::drive::{Drive, Driven, put};
use crate::metrics;
use crate::supervision::{Exit, Failure, Link};

/// The actor.
pub struct TurnLoop {
    pub(super) link: Link,
    pub(super) call: Addr<Call>,
    pub(super) tenant: String,
    pub(super) drive: Drive<Core>,
    pub(super) assistant: Arc<dyn Assistant>,
    pub(super) tries: Tries,
    pub(super) journal: Journal,
    /// How much of the transcript is in the journal, and how many of its revisions.
    pub(super) read: usize,
    pub(super) revised: usize,
}

impl TurnLoop {
    /// Writes down what the transcript has gained, and what of it is other than it was.
    fn copy_lines(&mut self) {
        let transcript = self.drive.core.transcript();
        let (revisions, revised) = transcript.revised_since(self.revised);
        for revision in revisions {
            self.journal.write(|record, _| record.revised(&revision.was, &revision.is));
        }
        let (lines, read) = transcript.since(self.read);
        for line in lines {
            self.journal.write(|record, now| record.said(now, line.speaker, &line.text, line.open));
        }
        (self.read, self.revised) = (read, revised);
    }
}

/// A part of a reply that is still being made, from whatever thread.
#[derive(Message)]
#[rtype(result = "()")]
struct ReplyPart {
    number: u32,
    attempt: u32,
    part: Part,
}

impl Handler<ReplyPart> for TurnLoop {
    type Result = ();

    fn handle(&mut self, ReplyPart { number, attempt, part }: ReplyPart, ctx: &mut Self::Context) {
        if self.tries.takes_part(number, attempt, &part) {
            put(self, ctx, Input::ReplyPart { number, part });
        }
    }
}

/// The end of a reply, or of the try.
#[derive(Message)]
#[rtype(result = "()")]
struct Replied {
    number: u32,
    attempt: u32,
    reply: Result<TurnReply, ServiceFailure>,
}

impl Handler<Replied> for TurnLoop {
    type Result = ();

    fn handle(&mut self, Replied { number, attempt, reply }: Replied, ctx: &mut Self::Context) {
        if !self.tries.takes_end(number, attempt, reply.is_ok()) {
            return;
        }
        put(self, ctx, Input::Replied { number, reply });
        let data = self.drive.core.custom_data();
        self.journal.write(|record, _| record.custom_data(data));
    }
}

impl Actor for TurnLoop {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        let over = self.assistant.ended(self.drive.core.context().clone());
        actix::spawn(over);
    }
}

impl Driven for TurnLoop {
    type Core = Core;

    fn drive(&mut self) -> &mut Drive<Core> {
        &mut self.drive
    }

    fn carry_out(&mut self, output: Output, ctx: &mut Context<Self>) {
        self.copy_lines();
        match output {
            Output::Ask(request) => {
                metrics::turn(&self.tenant, request.input.label());
                let label = request.input.label();
                self.journal.write(|record, now| record.asked(now, request.number, label));
                let (number, attempt, asked) = (request.number, request.attempt, crate::now());
                self.tries.asked(number, attempt);
                let this = ctx.address();
                let parts = Box::new(move |part| this.do_send(ReplyPart { number, attempt, part }));
                let answer = self.assistant.turn(request, parts).into_actor(self);
                ctx.spawn(answer.map(move |reply, this, ctx| {
                    metrics::assistant_answered(&this.tenant, crate::now() - asked);
                    let told = reply.as_ref().map(|reply| &reply.origin).map_err(ToString::to_string);
                    this.journal.write(|record, now| {
                        record.replied(now, number, told.as_ref().copied().map_err(String::as_str))
                    });
                    if let Err(failure) = &reply {
                        tracing::warn!(tenant = this.tenant, %failure, "the assistant failed");
                    }
                    // Through the mailbox: behind the parts that are in there already.
                    ctx.address().do_send(Replied { number, attempt, reply });
                }));
            }
            Output::Say { id, text, voice, cacheable } => {
                self.journal.write(|record, now| record.wants_heard(now, "text_to_speech", id));
                let parameters = Arc::unwrap_or_clone(voice);
                let speech = SpeechRequest { parameters, cacheable, ..SpeechRequest::plain(text, 0) };
                self.call.do_send(Say { id, speech });
            }
            Output::Play { id, source, repeats } => {
                self.journal.write(|record, now| record.wants_heard(now, "url", id));
                self.call.do_send(PlaySound { id, source, repeats });
            }
            Output::Did(kind) => {
                self.journal.write(|record, now| record.did(now, kind));
            }
            Output::StopRepeating => self.call.do_send(StopSound {}),
            Output::Hush => self.call.do_send(HushSpeech {}),
            Output::Resume => self.call.do_send(ResumeSpeech {}),
            Output::Understand(fields) => self.call.do_send(ConfigureSpeech { fields }),
            Output::Dropped(why) => {
                metrics::utterance_dropped(&self.tenant, why);
                self.journal.write(|record, now| match why {
                    Dropped::Echo => record.echo_heard(now),
                    Dropped::Confidence => record.warn(now, CONFIDENCE, "an utterance was not understood well enough"),
                    Dropped::NoBargeIn => {}
                });
            }
            Output::Cut => {
                metrics::barge_in(&self.tenant);
                self.journal.write(CallRecord::interrupted);
                self.call.do_send(CutSpeech {});
            }
            Output::Expect(phrases) => self.call.do_send(ReplyArrived { phrases }),
            Output::HandOff(transfer) => {
                self.journal.write(|record, now| record.did(now, "transfer"));
                let transcript = self.drive.core.transcript().clone();
                self.call.do_send(HandOff { transfer, transcript });
            }
            Output::Listening(true) => self.call.do_send(ResumeListening {}),
            Output::Listening(false) => self.call.do_send(PauseListening {}),
            Output::SendKeys { id, keys } => {
                self.journal.write(|record, now| record.wants_heard(now, "dtmf", id));
                self.call.do_send(SendKeys { id, keys });
            }
            Output::EndConversation { headers } => {
                self.journal.write(|record, now| record.did(now, "hangup"));
                self.call.do_send(EndConversation { headers });
            }
            Output::Skipped { response_type } => {
                metrics::response_skipped(&self.tenant);
                tracing::warn!(tenant = self.tenant, response_type, "a response of this type is not served");
            }
            Output::OutOfRange(refused) => {
                self.journal.write(|record, now| record.warn(now, OUT_OF_RANGE, refused.to_string()));
            }
            Output::Failed(failure) => {
                tracing::warn!(tenant = self.tenant, %failure, "the assistant is lost");
                self.link.exit(Exit::Failed(Failure::AssistantLost));
                ctx.stop();
            }
        }
    }
}

child!(TurnLoop);

macro_rules! into_core {
    ($($message:ident { $($field:ident),* } => $input:expr;)+) => {
        $(impl Handler<$message> for TurnLoop {
            type Result = ();

            fn handle(&mut self, $message { $($field),* }: $message, ctx: &mut Self::Context) {
                put(self, ctx, $input);
            }
        })+
    };
}

into_core! {
    Begin {} => Input::Begin;
    Heard { heard } => Input::Heard { text: heard.text, confidence: heard.confidence, result: heard.result };
    NotUnderstood {} => Input::NotUnderstood;
    Interrupted {} => Input::SpeechStarted;
    FellSilent {} => Input::SpeechEnded;
    Hypothesis {} => Input::Hypothesis;
    WasCut { id, share } => Input::WasCut { id, share };
    NetworkWarned {} => Input::NetworkWarning;
    Pressed { digit } => Input::Pressed(digit.as_char());
    Played { id } => Input::Played(id);
    HandoffWasImpossible {} => Input::HandoffImpossible;
}
