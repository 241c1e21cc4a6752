//! SipDialog: drives the dialog's core, keeps the call's teardown plan up to date, and knows what audio was agreed on.
//!
//! Started first, stopped last. Invariant: whenever the way to leave changes, the new teardown plan is deposited before
//! anybody is told of the change.

use std::sync::Arc;

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Recipient};
use bellhop_call::lifecycle;
use bellhop_media::dtmf::Digit;
use bellhop_media::dtmf::rfc4733::Press;
use bellhop_media::dtmf::two_ways::Way;
use bellhop_sip::dialog::acceptor::{Acceptor, BeforeAnswer};
use bellhop_sip::dialog::{Input, Output};
use bellhop_sip::endpoint::Ownership;
use bellhop_sip::message::{NotUnderstood, Request, Response, StatusCode};
use bellhop_sip::sdp::{self, Agreed, Direction, LocalMedia};
use bellhop_sip::transaction::ServerKey;
use bellhop_tenancy::integration::FailureBeforeAnswer;

use super::jitter_buffer::JitterBuffer;
use super::journal::Journal;
use super::messages::{
    Answer, DigitPressed, EndHold, FindWayBack, Hold, MediaMoved, PreferBand, Ring, SendDigitsByInfo,
};
use super::stt_stream::SttStream;
use super::{Reports, child};
use crate::drive::{Drive, Driven, Tell, put};
use crate::node::call_registry::{CallId, CallRegistry};
use crate::signalling::endpoint::SipEndpoint;
use crate::signalling::messages::{EndpointInput, OwnDialog};
use crate::supervision::{Exit, Failure, Link};

/// Drives the dialog of the call, from the ringing to the BYE.
pub struct SipDialog {
    pub(super) link: Link,
    pub(super) call: Reports,
    pub(super) jitter_buffer: Addr<JitterBuffer>,
    pub(super) stt_stream: Addr<SttStream>,
    pub(super) digits: Recipient<DigitPressed>,
    pub(super) id: CallId,
    pub(super) drive: Drive<Acceptor>,
    pub(super) invite: ServerKey,
    pub(super) sdp: String,
    pub(super) media: LocalMedia,
    /// What audio was agreed on; nothing yet where the offer is ours.
    pub(super) agreed: Option<Agreed>,
    pub(super) policy: FailureBeforeAnswer,
    pub(super) registry: Arc<CallRegistry>,
    pub(super) endpoint: Addr<SipEndpoint>,
    pub(super) journal: Journal,
}

impl SipDialog {
    pub(super) fn deposit_plan(&mut self) {
        let before_answer = match self.policy {
            FailureBeforeAnswer::AnswerThenBye => BeforeAnswer::AnswerThenBye { sdp: &self.sdp },
            FailureBeforeAnswer::ServiceUnavailable => BeforeAnswer::Reject(StatusCode(503)),
        };
        self.registry.deposit(self.id, self.drive.core.teardown(before_answer, ""));
    }

    fn tell(&self, report: lifecycle::Input) {
        self.call.do_send(Tell(report));
    }

    fn fail(&self, failure: Failure, ctx: &mut Context<Self>) {
        self.link.exit(Exit::Failed(failure));
        ctx.stop();
    }

    fn move_media(&mut self, agreed: Agreed) {
        self.agreed = Some(agreed.clone());
        self.jitter_buffer.do_send(MediaMoved { agreed });
    }

    /// The far end's answer to an offer of ours.
    fn read_answer(&mut self, body: &[u8]) -> bool {
        match sdp::read_answer(body, &self.media) {
            Ok(agreed) => {
                self.move_media(agreed);
                true
            }
            Err(_) => false,
        }
    }

    /// The answer to a refresh, which repeats what is agreed on or moves the audio.
    fn refreshed(&mut self, body: &[u8]) {
        match sdp::read_answer(body, &self.media) {
            Ok(agreed) if self.agreed.as_ref() != Some(&agreed) => self.move_media(agreed),
            Ok(_) | Err(_) => {}
        }
    }

    fn confirmed(&mut self, body: &[u8], ctx: &mut Context<Self>) {
        match self.agreed.clone() {
            Some(agreed) => self.move_media(agreed),
            None if self.read_answer(body) => {}
            None => return self.fail(Failure::NoMedia, ctx),
        }
        self.tell(lifecycle::Input::DialogConfirmed);
    }

    /// A description of ours: the version counts up when something in it changed (RFC 3264 section 8).
    fn described(&mut self, describe: impl Fn(&LocalMedia) -> String) -> String {
        let same = describe(&self.media);
        if same == self.sdp {
            return same;
        }
        self.media.version += 1;
        self.sdp = describe(&self.media);
        self.sdp.clone()
    }

    fn reinvited(&mut self, key: ServerKey, request: &Request) {
        let outcome = self.reanswer(request);
        self.drive.core.answer_reinvite(crate::now(), key, request, outcome);
    }

    /// Our description for an offer inside the dialog, or for the lack of one; else the refusal that leaves all as it was.
    fn reanswer(&mut self, request: &Request) -> Result<String, Response> {
        let refuse = |status| request.respond(status, None);
        let offer = request.session_description().map_err(|NotUnderstood| refuse(StatusCode(415)))?;
        let Some(offer) = offer else { return Ok(self.described(sdp::offer)) };
        let (_, agreed) =
            sdp::answer(&offer, &self.media).map_err(|refused| refused.told_in(refuse(refused.status())))?;
        let sdp =
            self.described(|media| sdp::answer(&offer, media).map_or_else(|_| String::new(), |(answer, _)| answer));
        self.move_media(agreed);
        Ok(sdp)
    }

    fn reoffer(&mut self, direction: Direction, ctx: &mut Context<Self>) {
        let Some(agreed) = self.agreed.clone() else { return self.tell(lifecycle::Input::HoldAnswered) };
        let sdp = self.described(|media| sdp::reoffer(media, &agreed, direction));
        put(self, ctx, Input::Reoffer { sdp });
    }
}

impl Actor for SipDialog {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.deposit_plan();
        let dialog = self.drive.core.dialog();
        let (dialog, flow) = (dialog.id.clone(), dialog.hop().flow);
        let (invite, registry) = (self.invite.clone(), Arc::clone(&self.registry));
        let ownership = Ownership { dialog, invite, owner: ctx.address().recipient(), flow };
        self.endpoint.do_send(OwnDialog { ownership, call: self.id, registry });
    }
}

impl Driven for SipDialog {
    type Core = Acceptor;

    fn drive(&mut self) -> &mut Drive<Acceptor> {
        &mut self.drive
    }

    fn carry_out(&mut self, output: Output, ctx: &mut Context<Self>) {
        match output {
            Output::Respond { key, response } => {
                self.journal.write(|record, now| record.sip_sent(now, response.summary()));
                self.endpoint.do_send(Tell(EndpointInput::Respond { key, response }));
            }
            Output::Send { request, ways } => {
                self.journal.write(|record, now| record.sip_sent(now, request.method.to_string()));
                let dialog = self.drive.core.dialog().id.clone();
                self.endpoint.do_send(Tell(EndpointInput::Send { dialog, request, ways }));
            }
            Output::Acknowledge { request, ways } => {
                self.journal.write(|record, now| record.sip_sent(now, "ACK".to_owned()));
                let dialog = self.drive.core.dialog().id.clone();
                self.endpoint.do_send(Tell(EndpointInput::Acknowledge { dialog, request, ways }));
            }
            Output::Rerouted(hop) => {
                tracing::info!(transport = %hop.transport, "the connection of a call is gone: it goes by another");
            }
            Output::WayBack { known } => self.tell(lifecycle::Input::WayBack { known }),
            Output::TeardownChanged => self.deposit_plan(),
            Output::Confirmed { body } => self.confirmed(&body, ctx),
            Output::AnsweredEarly { body } => {
                if !self.read_answer(&body) {
                    self.fail(Failure::NoMedia, ctx);
                }
            }
            Output::NeverAcked => self.fail(Failure::NeverAcked, ctx),
            Output::SessionExpired => self.fail(Failure::SessionExpired, ctx),
            Output::CallerCancelled | Output::CallerHungUp { .. } => self.tell(lifecycle::Input::CallerHungUp),
            Output::Reinvited { key, request } => self.reinvited(key, &request),
            // An answer that cannot be read leaves the audio as it was.
            Output::Reanswered { body } => {
                self.read_answer(&body);
            }
            Output::Refreshed { body } => self.refreshed(&body),
            Output::Reoffered(outcome) => {
                if let Ok(body) = outcome {
                    self.read_answer(&body);
                }
                self.tell(lifecycle::Input::HoldAnswered);
            }
            Output::Digit { digit, held } => {
                if let Some(digit) = Digit::from_char(digit) {
                    self.digits.do_send(DigitPressed { press: Press { digit, held }, way: Way::Signalling });
                }
            }
            Output::TransferProgressed { status } => {
                tracing::info!(status = status.0, "the transfer goes on");
            }
            Output::TransferEnded(outcome) => self.tell(lifecycle::Input::TransferEnded(outcome)),
        }
    }
}

child!(SipDialog);

impl Handler<Tell<Input>> for SipDialog {
    type Result = ();

    fn handle(&mut self, Tell(input): Tell<Input>, ctx: &mut Self::Context) {
        // What comes from the far end stands in the ladder.
        let received = match &input {
            Input::Request { request, .. } => Some(request.method.to_string()),
            Input::Acked { .. } => Some("ACK".to_owned()),
            Input::Response(response) => Some(response.summary()),
            Input::Cancelled => Some("CANCEL".to_owned()),
            _ => None,
        };
        if let Some(line) = received {
            self.journal.write(|record, now| record.sip_received(now, line));
        }
        put(self, ctx, input);
    }
}

impl Handler<PreferBand> for SipDialog {
    type Result = ();

    fn handle(&mut self, PreferBand { broad }: PreferBand, _: &mut Self::Context) {
        self.prefer_band(broad);
    }
}

impl Handler<Ring> for SipDialog {
    type Result = ();

    fn handle(&mut self, _: Ring, ctx: &mut Self::Context) {
        let sdp = self.sdp.clone();
        put(self, ctx, Input::Ring { sdp });
    }
}

impl Handler<Answer> for SipDialog {
    type Result = ();

    fn handle(&mut self, _: Answer, ctx: &mut Self::Context) {
        let sdp = self.sdp.clone();
        put(self, ctx, Input::Answer { sdp });
    }
}

impl Handler<FindWayBack> for SipDialog {
    type Result = ();

    fn handle(&mut self, _: FindWayBack, _: &mut Self::Context) {
        let dialog = self.drive.core.dialog();
        let (dialog, ways) = (dialog.id.clone(), dialog.ways());
        self.endpoint.do_send(Tell(EndpointInput::FindWayBack { dialog, ways }));
    }
}

impl Handler<Hold> for SipDialog {
    type Result = ();

    fn handle(&mut self, _: Hold, ctx: &mut Self::Context) {
        self.reoffer(Direction::SendOnly, ctx);
    }
}

impl Handler<EndHold> for SipDialog {
    type Result = ();

    fn handle(&mut self, _: EndHold, ctx: &mut Self::Context) {
        self.reoffer(Direction::SendRecv, ctx);
    }
}

impl Handler<SendDigitsByInfo> for SipDialog {
    type Result = ();

    fn handle(&mut self, SendDigitsByInfo { digits }: SendDigitsByInfo, ctx: &mut Self::Context) {
        for press in digits.digits {
            put(
                self,
                ctx,
                Input::SendDigit(press.digit, std::time::Duration::from_millis(u64::from(press.duration_ms))),
            );
        }
    }
}
