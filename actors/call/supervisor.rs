//! Call: the supervisor. It starts the children, hands what they report to the call's core, and carries out what that orders.
//!
//! It decides nothing: what a report means where the call is stands in `src/call/lifecycle.rs`. Invariant: an order is
//! carried out before the next report is read.

use std::rc::Rc;
use std::sync::Arc;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler};
use bellhop_call::ending::{Ending, Refusal};
use bellhop_call::fault_injection::FaultInjection;
use bellhop_call::lifecycle::{Input, Lifecycle, Order, Terms, Told};
use bellhop_call::phase::PhaseName;
use bellhop_call::speech_out;
use bellhop_dialogue::turn_loop;
use bellhop_sip::dialog;
use bellhop_sip::dialog::teardown::Teardown;

use super::children::{Children, tell};
use super::journal::Journal;
use super::leg;
use super::messages::{
    Answer, CallEnded, CommitHandoff, EndHold, FileHistory, FindWayBack, Hold, MarkHangup, PrepareHandoff, VoidKey,
};
use super::{NewCall, strike};
use crate::drive::{Drive, Driven, Tell, put};
use crate::media_shard::{LegCores, LegHandle};
use crate::metrics;
use crate::node::call_registry::{Blank, HangUp, Void};
use crate::supervision::watchdog::BEAT_EVERY;
use crate::supervision::{ChildDown, ChildName, Exit, Fault, Link, Stop, Strike};

/// Drives the lifecycle of one call.
pub struct Call {
    pub(super) link: Link,
    pub(super) new_call: NewCall,
    pub(super) journal: Journal,
    drive: Drive<Lifecycle>,
    pub(super) cores: Option<Rc<LegCores>>,
    pub(super) leg: Option<LegHandle>,
    pub(super) children: Children,
}

impl Call {
    /// A call that has not started.
    pub fn new(new_call: NewCall, link: Link) -> Self {
        let services = &new_call.services;
        let terms = Terms {
            integration: Arc::clone(&services.integration),
            source: new_call.hop.remote.ip(),
            in_contact_flow: services.instance.is_some(),
        };
        Self {
            link,
            journal: Journal::open(&new_call),
            drive: Drive::new(Lifecycle::new(crate::now(), terms)),
            new_call,
            cores: None,
            leg: None,
            children: Children::default(),
        }
    }

    pub(super) fn tenant(&self) -> &str {
        &self.new_call.services.integration.tenant.name
    }

    /// A fault is injected as soon as the state it is configured for is entered.
    fn note_state(&mut self, phase: PhaseName, ctx: &mut Context<Self>) {
        tracing::debug!(phase = phase.label(), "phase");
        if let Some(injected) = self.new_call.fault_injection.filter(|injected| injected.phase == phase) {
            self.inject(injected, ctx);
        }
    }

    fn inject(&mut self, injected: FaultInjection, ctx: &mut Context<Self>) {
        let fault = Strike(injected.fault);
        match injected.fault {
            Fault::KillEndpoint => self.new_call.endpoint.do_send(fault),
            Fault::KillReception | Fault::BlockReception => self.new_call.reception.strikes.do_send(fault),
            _ if injected.child == ChildName::Call => strike(injected.fault, &self.link, ctx),
            Fault::Error | Fault::Panic | Fault::BlockThread | Fault::KillShard => {
                self.children.strike(injected.child, fault);
            }
        }
    }

    /// Who learns how the hand-off is going: the log, and the record where the tenant should read it.
    fn told(&self, told: &Told) {
        match told {
            Told::TargetForbidden { host } => {
                let why = format!(
                    "the assistant may not transfer callers to {host}: it is not in tenants.sip.transfer_targets"
                );
                tracing::warn!("{why}");
                self.journal.write(|record, now| record.warn(now, "transfer_target_refused", why));
            }
            Told::TransferUnacceptable(why) => tracing::warn!(%why, "no transfer"),
            Told::TransferWithoutKey => {
                tracing::warn!("the conversation is not stored: transferring without a key");
            }
            Told::TransferFailed { status } => {
                tracing::warn!(status = status.0, "the transfer failed");
            }
            Told::FailingOver { label } => tracing::warn!(reason = label, "failing over"),
        }
    }

    /// The BYE first, then the children.
    fn terminate(&mut self, ending: Ending, headers: Vec<(String, String)>) {
        tracing::info!(reason = ending.label(), detail = ?ending, "call ended");
        if let Some(quality) = self.cores.as_deref().and_then(leg::quality) {
            metrics::call_quality(self.tenant(), &quality);
            tracing::info!(
                loss = quality.loss,
                jitter_ms = quality.jitter.as_millis(),
                round_trip_ms = quality.round_trip.map(|trip| trip.as_millis()),
                far_end_loss = quality.far_end_loss,
                mos = quality.mean_opinion_score,
                "call audio"
            );
        }
        self.journal.end(&ending, self.cores.as_deref(), self.new_call.registry.teardown(self.new_call.id));
        self.new_call.reception.ended.do_send(CallEnded { id: self.new_call.id, ending, headers });
        self.leg = None;
        self.children.stop_all();
    }

    fn answer(&self) {
        tell(&self.children.sip_dialog, Answer {});
        metrics::call_answered(self.tenant(), crate::now() - self.new_call.began);
        self.journal.write(|record, now| record.answered(now));
    }
}

impl Driven for Call {
    type Core = Lifecycle;

    fn drive(&mut self) -> &mut Drive<Lifecycle> {
        &mut self.drive
    }

    fn carry_out(&mut self, order: Order, ctx: &mut Context<Self>) {
        let (children, new_call) = (&self.children, &mut self.new_call);
        match order {
            Order::NoteState(phase) => self.note_state(phase, ctx),
            Order::Answer => self.answer(),
            Order::ReleaseUnacknowledged => new_call.unacknowledged.clear(),
            Order::PrepareHandoff { transfer, transcript } => {
                let history = self.history(&transfer, &transcript);
                tell(&self.children.connect_handoff, PrepareHandoff { transfer, history });
            }
            Order::FileHistory { transfer, transcript } => {
                let history = self.history(&transfer, &transcript);
                tell(&self.children.connect_handoff, FileHistory { history });
            }
            Order::Stop { children: names, within } => {
                let by = crate::now() + within;
                names.into_iter().for_each(|child| children.stop(child, Stop { by }));
            }
            Order::FindWayBack => tell(&children.sip_dialog, FindWayBack {}),
            Order::DeregisterLeg => self.leg = None,
            Order::DepositBlank { names } => {
                let blanker = Arc::clone(&new_call.services.blanker);
                let contact_id = new_call.contact.initial_contact_id.clone();
                let blank = contact_id.map(|contact_id| Blank { blanker, contact_id, names });
                new_call.registry.deposit_blank(new_call.id, blank);
            }
            Order::WithdrawBlank => new_call.registry.deposit_blank(new_call.id, None),
            Order::CommitHandoff => tell(&children.connect_handoff, CommitHandoff {}),
            Order::MarkHangup => tell(&children.connect_handoff, MarkHangup {}),
            Order::TellHandoffImpossible => tell(&children.turn_loop, Tell(turn_loop::Input::HandoffImpossible)),
            Order::DepositVoid(name) => {
                let histories = Arc::clone(&new_call.services.histories);
                new_call.registry.deposit_void(new_call.id, Some(Void { histories, name }));
            }
            Order::VoidKey => {
                if let Some(void) = new_call.registry.deposit_void(new_call.id, None) {
                    new_call.reception.voids.do_send(VoidKey(new_call.id, void));
                }
            }
            Order::Hold => tell(&children.sip_dialog, Hold {}),
            Order::EndHold => tell(&children.sip_dialog, EndHold {}),
            Order::Refer(transfer) => tell(&children.sip_dialog, Tell(dialog::Input::Refer(transfer))),
            Order::Announce(text) => tell(&children.tts_playback, Tell(speech_out::Input::Announce { text })),
            Order::Report(told) => self.told(&told),
            Order::Terminate { ending, headers } => self.terminate(ending, headers),
            Order::AbandonAll => self.children.abandon_all(),
            Order::Finish => {
                self.journal.hand_in();
                self.link.exit(Exit::Finished);
                ctx.stop();
            }
        }
    }
}

impl Actor for Call {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        tracing::info!(contact_known = self.new_call.contact.initial_contact_id.is_some(), "call began");
        if let Some(why) = self.new_call.contact.unknown {
            self.journal.write(|record, now| record.warn(now, "contact_unknown", why.sentence()));
        }
        if let Some(reference) = self.new_call.contact.sent_as_text.as_ref().map(ToString::to_string) {
            self.journal.write(|record, now| record.warn(now, "sent_as_text", reference));
        }
        if let Err(response) = self.start(ctx) {
            let status = response.status;
            self.new_call
                .registry
                .deposit(self.new_call.id, Teardown::Reject { key: self.new_call.key.clone(), response });
            let refusal = if status.0 == 503 { Refusal::NoPorts } else { Refusal::NotAcceptable };
            return put(self, ctx, Input::Refused(refusal));
        }
        ctx.run_interval(BEAT_EVERY, |this, _| this.new_call.registry.beat(this.new_call.id, crate::now()));
        put(self, ctx, Input::Began);
    }
}

impl Handler<Tell<Input>> for Call {
    type Result = ();

    fn handle(&mut self, Tell(input): Tell<Input>, ctx: &mut Context<Self>) {
        put(self, ctx, input);
    }
}

impl Handler<HangUp> for Call {
    type Result = ();

    fn handle(&mut self, HangUp { ending }: HangUp, ctx: &mut Context<Self>) {
        put(self, ctx, Input::HangUp(ending));
    }
}

impl Handler<ChildDown> for Call {
    type Result = ();

    fn handle(&mut self, ChildDown { child, exit, ran_for }: ChildDown, ctx: &mut Context<Self>) {
        self.children.forget(child);
        if exit != Exit::Finished {
            tracing::warn!(%child, ?exit, ?ran_for, "child down");
        }
        put(self, ctx, Input::ChildDown { child, exit });
    }
}
