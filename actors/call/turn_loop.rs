//! TurnLoop: drives the conversation's core and asks the assistant.
//!
//! Invariant: the core's deadline bounds every question; an answer that comes late is the core's to ignore.

mod early;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix::fut::WrapFuture;
use actix::{Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message};
use bellhop_call::end_of_turn::words::Expected;
use bellhop_call::lifecycle::{self, Goal};
use bellhop_call::record::CallRecord;
use bellhop_call::{speech_in, speech_out};
use bellhop_dialogue::ports::{Assistant, Part, ServiceFailure, SpeechRequest, TurnReply, TurnRequest};
use bellhop_dialogue::response::DtmfSend;
use bellhop_dialogue::turn_loop::{DropReason, Input, Output, SayId, Tries};
use bellhop_dialogue::{Json, TurnLoop as Core};
use bellhop_media::dtmf::two_ways::TwoWays;

use early::Early;

use super::journal::{CONFIDENCE, Journal, OUT_OF_RANGE};
use super::messages::{DigitPressed, PreferBand, SendDigitsByInfo};
use super::sip_dialog::SipDialog;
use super::stt_stream::SttStream;
use super::tts_playback::TtsPlayback;
use super::{NewCall, Reports, child};
use crate::drive::{Drive, Driven, Tell, put};
use crate::media_shard::LegCores;
use crate::metrics;
use crate::supervision::{Exit, Failure, Link, task};

/// Drives the conversation of one call.
pub struct TurnLoop {
    link: Link,
    to: SpeaksTo,
    cores: Rc<LegCores>,
    /// Whether the far end says that it takes INFO.
    takes_info: bool,
    /// Digits that may come by two ways.
    presses: TwoWays,
    tenant: String,
    drive: Drive<Core>,
    assistant: Arc<dyn Assistant>,
    tries: Tries,
    early: Early,
    journal: Journal,
    /// How much of the transcript is in the journal, and how many of its revisions.
    read: usize,
    revised: usize,
}

/// Whom the conversation speaks to.
pub(super) struct SpeaksTo {
    pub(super) call: Reports,
    pub(super) sip_dialog: Addr<SipDialog>,
    pub(super) stt_stream: Addr<SttStream>,
    pub(super) tts_playback: Addr<TtsPlayback>,
}

impl TurnLoop {
    pub(super) fn new(
        link: Link,
        to: SpeaksTo,
        new_call: &NewCall,
        cores: Rc<LegCores>,
        takes_info: bool,
        journal: Journal,
    ) -> Self {
        let services = &new_call.services;
        Self {
            link,
            to,
            cores,
            takes_info,
            presses: TwoWays::default(),
            tenant: services.integration.tenant.name.clone(),
            drive: Drive::new(Core::new(new_call.began, services.conversation.clone(), Arc::clone(&new_call.facts))),
            assistant: Arc::clone(&services.assistant),
            tries: Tries::default(),
            early: Early::default(),
            journal,
            read: 0,
            revised: 0,
        }
    }

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

    /// Asks the assistant; parts of the reply and its end come through the mailbox.
    fn ask(&mut self, request: TurnRequest, ctx: &mut Context<Self>) {
        metrics::turn(&self.tenant, request.input.label());
        let label = request.input.label();
        self.journal.write(|record, now| record.asked(now, request.number, label));
        let (number, attempt, asked) = (request.number, request.attempt, crate::now());
        self.tries.asked(number, attempt);
        if self.was_asked_early(&request, ctx) {
            return;
        }
        let this = ctx.address();
        let parts = Box::new(move |part| this.do_send(ReplyPart { number, attempt, part }));
        let answer = self.assistant.turn(request, parts).into_actor(self);
        ctx.spawn(answer.map(move |reply, this, ctx| this.answered((number, attempt), asked, reply, ctx)));
    }

    /// A try has come to its end.
    fn answered(
        &mut self,
        (number, attempt): (u32, u32),
        asked: Instant,
        reply: Result<TurnReply, ServiceFailure>,
        ctx: &mut Context<Self>,
    ) {
        metrics::assistant_answered(&self.tenant, crate::now() - asked);
        let told = reply.as_ref().map(|reply| &reply.origin).map_err(ToString::to_string);
        self.journal.write(|record, now| record.replied(now, number, told.as_ref().copied().map_err(String::as_str)));
        if let Err(failure) = &reply {
            tracing::warn!(%failure, "the assistant failed");
        }
        // Through the mailbox: behind the parts that are in there already.
        ctx.address().do_send(Replied { number, attempt, reply });
    }

    fn speech_out(&self, order: speech_out::Input) {
        self.to.tts_playback.do_send(Tell(order));
    }

    fn speech_in(&self, order: speech_in::Input) {
        self.to.stt_stream.do_send(Tell(order));
    }

    fn says_something(&self) {
        self.to.call.do_send(Tell(lifecycle::Input::SaysSomething));
    }

    fn ended(&self, goal: Goal) {
        self.to.call.do_send(Tell(lifecycle::Input::ConversationEnded(goal)));
    }

    /// Digits go by INFO where telephone-event was not agreed on and the far end says that it takes INFO; then nobody tells when
    /// they were heard.
    fn send_digits(&self, id: SayId, digits: DtmfSend, ctx: &mut Context<Self>) {
        self.says_something();
        if self.takes_info && self.cores.playout.borrow().format().telephone_event.is_none() {
            self.to.sip_dialog.do_send(SendDigitsByInfo { digits });
            ctx.notify(Tell(Input::Played(id)));
        } else {
            self.speech_out(speech_out::Input::SendDigits { id, digits });
        }
    }
}

/// A reply has been handed on completely.
#[derive(Message)]
#[rtype(result = "()")]
struct ReplyRead;

impl Handler<ReplyRead> for TurnLoop {
    type Result = ();

    fn handle(&mut self, _: ReplyRead, _: &mut Self::Context) {
        self.to.call.do_send(Tell(lifecycle::Input::ReplyRead));
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
        task::spawn(over);
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
            Output::Ask(request) => self.ask(*request, ctx),
            Output::AskEarly(request) => self.ask_early(*request, ctx),
            Output::ForgetEarly => self.forget_early(ctx),
            Output::Say { id, text, voice, cacheable } => {
                self.journal.write(|record, now| record.wants_heard(now, "text_to_speech", id));
                let parameters = Arc::unwrap_or_clone(voice);
                let speech = SpeechRequest { parameters, cacheable, ..SpeechRequest::plain(&*text, 0) };
                self.says_something();
                self.speech_out(speech_out::Input::Say { id, speech });
            }
            Output::Play { id, source, repeats } => {
                self.journal.write(|record, now| record.wants_heard(now, "url", id));
                self.says_something();
                self.speech_out(speech_out::Input::Play { id, source, repeats });
            }
            Output::Did(kind) => {
                self.journal.write(|record, now| record.did(now, kind));
            }
            Output::StopRepeating => self.speech_out(speech_out::Input::StopRepeating),
            Output::Pause => self.speech_out(speech_out::Input::Pause),
            Output::Resume => self.speech_out(speech_out::Input::Resume),
            Output::ConfigureRecognizer(fields) => {
                match fields.get("band_preference").and_then(Json::as_str) {
                    Some("broadband") => self.to.sip_dialog.do_send(PreferBand { broad: true }),
                    Some("narrowband") => self.to.sip_dialog.do_send(PreferBand { broad: false }),
                    _ => {}
                }
                self.speech_in(speech_in::Input::ConfigureRecognizer { fields });
            }
            Output::Dropped(why) => {
                metrics::utterance_dropped(&self.tenant, why);
                self.journal.write(|record, now| match why {
                    DropReason::Echo => record.echo_heard(now),
                    DropReason::Confidence => {
                        record.warn(now, CONFIDENCE, "an utterance was not understood well enough")
                    }
                    DropReason::NoBargeIn => {}
                });
            }
            Output::Cut => {
                metrics::barge_in(&self.tenant);
                self.journal.write(CallRecord::interrupted);
                self.speech_out(speech_out::Input::Cut);
            }
            Output::Expect { phrases, digits } => {
                self.speech_in(speech_in::Input::Expect { expected: Expected { phrases, digits } });
                // Behind what the reply says, which follows.
                ctx.notify(ReplyRead);
            }
            Output::HandOff(transfer) => {
                self.journal.write(|record, now| record.did(now, "transfer"));
                let transcript = self.drive.core.transcript().clone();
                self.ended(Goal::HandOff { transfer, transcript });
            }
            Output::Listening(on) => {
                if let Some(recorder) = self.cores.recorder.borrow_mut().as_mut() {
                    recorder.pause(!on);
                }
                self.speech_in(speech_in::Input::Listening(on));
            }
            Output::SendDigits { id, digits } => {
                self.journal.write(|record, now| record.wants_heard(now, "dtmf", id));
                self.send_digits(id, digits, ctx);
            }
            Output::EndConversation { headers } => {
                self.journal.write(|record, now| record.did(now, "hangup"));
                self.ended(Goal::HangUp { headers });
            }
            Output::Skipped { response_type } => {
                metrics::response_skipped(&self.tenant);
                tracing::warn!(response_type, "a response of this type is not served");
            }
            Output::OutOfRange(refused) => {
                self.journal.write(|record, now| record.warn(now, OUT_OF_RANGE, refused.to_string()));
            }
            Output::Failed(failure) => {
                tracing::warn!(%failure, "the assistant is lost");
                self.link.exit(Exit::Failed(Failure::AssistantLost));
                ctx.stop();
            }
        }
    }
}

child!(TurnLoop);

impl Handler<Tell<Input>> for TurnLoop {
    type Result = ();

    fn handle(&mut self, Tell(input): Tell<Input>, ctx: &mut Self::Context) {
        put(self, ctx, input);
    }
}

impl Handler<DigitPressed> for TurnLoop {
    type Result = ();

    fn handle(&mut self, DigitPressed { press, way }: DigitPressed, ctx: &mut Self::Context) {
        if self.presses.is_new(crate::now(), way, press.digit, press.held) {
            self.journal.write(|record, now| record.key_pressed(now));
            put(self, ctx, Input::Pressed(press.digit.as_char()));
        }
    }
}
