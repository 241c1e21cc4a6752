//! SipDialog: drives the dialog's core, and keeps the call's will up to date.
//!
//! Started first, stopped last. Invariant: whenever the way to leave changes, the new will is deposited before anybody is
//! told of the change.

use std::sync::Arc;

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler};
use bellhop_sip::dialog::uas::{BeforeAnswer, Input, Output, Uas};
use bellhop_sip::message::StatusCode;
use bellhop_sip::sdp::{self, LocalMedia};
use bellhop_sip::transaction::ServerKey;
use bellhop_tenancy::tenant::FailureBeforeAnswer;

use super::child;
use super::messages::{Answer, CallerHungUp, DialogConfirmed, InviteCancelled, MediaMoved, RequestInside, Ring};
use super::supervisor::Call;
use crate::drive::{Drive, Driven, put};
use crate::reception::call_registry::{CallId, CallRegistry};
use crate::reception::sip_endpoint::{OwnDialog, Respond, SipEndpoint};
use crate::supervision::{ChildName, Exit, Failure, Link};

/// The actor.
pub struct SipDialog {
    pub(super) link: Link,
    pub(super) call: Addr<Call>,
    pub(super) id: CallId,
    pub(super) drive: Drive<Uas>,
    pub(super) invite: ServerKey,
    pub(super) sdp: String,
    pub(super) media: LocalMedia,
    pub(super) policy: FailureBeforeAnswer,
    pub(super) registry: Arc<CallRegistry>,
    pub(super) endpoint: Addr<SipEndpoint>,
}

impl SipDialog {
    fn deposit_will(&mut self) {
        let before_answer = match self.policy {
            FailureBeforeAnswer::AnswerThenBye => BeforeAnswer::AnswerThenBye { sdp: &self.sdp },
            FailureBeforeAnswer::ServiceUnavailable => BeforeAnswer::Reject(StatusCode(503)),
        };
        self.registry.deposit(self.id, self.drive.core.will(before_answer, ""));
    }
}

impl Actor for SipDialog {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.deposit_will();
        let dialog = self.drive.core.dialog().id.clone();
        self.endpoint.do_send(OwnDialog { dialog, invite: self.invite.clone(), owner: ctx.address() });
    }
}

impl Driven for SipDialog {
    type Core = Uas;

    fn drive(&mut self) -> &mut Drive<Uas> {
        &mut self.drive
    }

    fn carry_out(&mut self, output: Output, ctx: &mut Context<Self>) {
        match output {
            Output::Respond { key, response } => self.endpoint.do_send(Respond { key, response }),
            Output::WillChanged => self.deposit_will(),
            Output::Confirmed { body } => self.call.do_send(DialogConfirmed { body }),
            Output::NeverAcked => {
                self.link.exit(Exit::Failed(Failure::NeverAcked));
                ctx.stop();
            }
            Output::CallerCancelled | Output::CallerHungUp { .. } => self.call.do_send(CallerHungUp {}),
            Output::Reinvited { key, request } => {
                // The same port and codecs again; a new address of the far end moves the leg.
                let outcome = if request.body.is_empty() {
                    Ok(sdp::offer(&self.media))
                } else {
                    match sdp::answer(&request.body, &self.media) {
                        Ok((sdp, agreed)) => {
                            self.call.do_send(MediaMoved { agreed });
                            Ok(sdp)
                        }
                        Err(_) => Err(StatusCode(488)),
                    }
                };
                self.drive.core.answer_reinvite(key, &request, outcome);
            }
        }
    }
}

child!(SipDialog, ChildName::SipDialog);

impl Handler<Ring> for SipDialog {
    type Result = ();

    fn handle(&mut self, _: Ring, ctx: &mut Self::Context) {
        put(self, ctx, Input::Ring);
    }
}

impl Handler<Answer> for SipDialog {
    type Result = ();

    fn handle(&mut self, _: Answer, ctx: &mut Self::Context) {
        let sdp = self.sdp.clone();
        put(self, ctx, Input::Answer { sdp });
    }
}

impl Handler<InviteCancelled> for SipDialog {
    type Result = ();

    fn handle(&mut self, _: InviteCancelled, ctx: &mut Self::Context) {
        put(self, ctx, Input::Cancelled);
    }
}

impl Handler<RequestInside> for SipDialog {
    type Result = ();

    fn handle(&mut self, RequestInside { key, request }: RequestInside, ctx: &mut Self::Context) {
        match key {
            Some(key) => put(self, ctx, Input::Request { key, request }),
            None => put(self, ctx, Input::Acked { ack: request }),
        }
    }
}
