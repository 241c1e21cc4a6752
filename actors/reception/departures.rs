//! How calls depart: teardown plans taken, teardowns carried out, records filed, and the end of all calls when the
//! process ends. Part of
//! `mod.rs`.
//!
//! Invariant: a teardown plan is taken once; a record is kept once it is known what came of the teardown, and in the
//! end in any case; a drain ends when nothing of any call is left, or in time.

use std::time::{Duration, Instant};

use actix::{ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use bellhop_call::ending::Ending;
use bellhop_sip::dialog::teardown::Teardown;
use tracing::Instrument;

use super::{HURRY_WITHIN, LEAVE_WITHIN, Reception};
use crate::call::connect_handoff::BLANK_WITHIN;
use crate::call::journal::FileRecord;
use crate::call::messages::VoidKey;
use crate::drive::Tell;
use crate::metrics;
use crate::node::call_registry::{CallId, TeardownPlan, Void};
use crate::signalling::messages::{CallLeft, CarryOut, EndpointInput};
use bellhop_call::lifecycle::PREPARE_MAX;

/// The pauses after which it is tried again to note that a transfer came about.
const EARNED_AGAIN_AFTER: [Duration; 3] = [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(5)];

/// What is left of a call that sends a BYE.
#[derive(Default)]
pub(super) struct Terminating {
    /// Its record, once the call has nothing to add.
    record: Option<FileRecord>,
    /// What came of its teardown.
    left: Option<CallLeft>,
    /// The key that goes out in the BYE itself: void unless that was answered.
    in_bye: Option<Void>,
}

/// How much time there is to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    Orderly,
    Hurried,
}

/// Take no more calls; tear those still there down at `by`, and tell when all are gone.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Drain {
    /// When calls that are still up are torn down.
    pub by: Instant,
    /// Told when the last call has left.
    pub done: tokio::sync::mpsc::UnboundedSender<()>,
}

/// Every call ends now, by its teardown plan; tells when all have left, or after [`HURRY_WITHIN`].
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct LeaveNow {
    /// Told when all that could be said was said.
    pub done: tokio::sync::mpsc::UnboundedSender<()>,
}

impl Reception {
    /// Takes a call's teardown plan, if nobody has: the one teardown of every call, whatever ended it.
    pub(super) fn close_for(
        &mut self,
        id: CallId,
        ending: &Ending,
        headers: Vec<(String, String)>,
        ctx: &mut Context<Self>,
    ) {
        let _in_call = self.settings.registry.span(id).entered();
        let Some(plan) = self.settings.registry.take_plan(id) else { return };
        if let Some(tenant) = self.settings.registry.tenant_of(id) {
            metrics::call_ended(&tenant, ending.label());
        }
        if let Some(lent) = plan.void.clone() {
            match (&plan.teardown, ending) {
                // It is in the headers of this BYE: what came of it is known when that is answered.
                (Teardown::Bye { .. }, Ending::Transferred) if !headers.is_empty() => {
                    self.terminating.entry(id).or_default().in_bye = Some(lent);
                }
                (_, Ending::Transferred) if headers.is_empty() => self.earned(lent, ctx),
                _ => self.void(lent, ctx),
            }
        }
        let teardown = plan.teardown.because(&ending.sip_reason()).with_headers(headers);
        self.carry_out(id, TeardownPlan { teardown, ..plan }, ctx);
    }

    /// Carries a teardown plan out: takes an uncertain key back first, then sends a BYE.
    pub(super) fn carry_out(&mut self, id: CallId, plan: TeardownPlan, ctx: &mut Context<Self>) {
        self.terminating.entry(id).or_default();
        let endpoint = self.endpoint().clone();
        let order = CarryOut { call: id, dialog: plan.dialog, teardown: plan.teardown };
        match plan.blank {
            None => endpoint.do_send(order),
            Some(blank) => {
                let blanking = blank.blanker.blank(blank.contact_id, blank.names);
                let within = if self.pace == Pace::Hurried { HURRY_WITHIN / 2 } else { BLANK_WITHIN };
                let then = async move {
                    let _ = tokio::time::timeout(within, blanking).await;
                    endpoint.do_send(order);
                };
                ctx.spawn(then.in_current_span().into_actor(self));
            }
        }
    }

    /// Makes a key void: what it opens is deleted.
    fn void(&mut self, Void { histories, name }: Void, ctx: &mut Context<Self>) {
        self.voiding += 1;
        let voiding = async move {
            if !matches!(tokio::time::timeout(PREPARE_MAX, histories.void(name)).await, Ok(Ok(()))) {
                tracing::error!(
                    "the key of a transfer that failed could not be made void: it opens the conversation until that expires"
                );
            }
        };
        ctx.spawn(voiding.in_current_span().into_actor(self).map(|(), this, _| {
            this.voiding -= 1;
            this.look_for_the_end();
        }));
    }

    /// A key that was given away was earned: the next start lets it be.
    fn earned(&mut self, Void { histories, name }: Void, ctx: &mut Context<Self>) {
        self.voiding += 1;
        let earning = async move {
            for pause in EARNED_AGAIN_AFTER {
                if matches!(tokio::time::timeout(PREPARE_MAX, histories.earned(name.clone())).await, Ok(Ok(()))) {
                    return;
                }
                tokio::time::sleep(pause).await;
            }
            tracing::error!("that a transfer came about could not be noted: the next start makes its key void");
        };
        ctx.spawn(earning.in_current_span().into_actor(self).map(|(), this, _| {
            this.voiding -= 1;
            this.look_for_the_end();
        }));
    }

    pub(super) fn look_for_the_end(&self) {
        if let Some(drain) = &self.drained
            && self.settings.registry.is_empty()
            && self.terminating.is_empty()
            && self.voiding == 0
        {
            let _ = drain.done.send(());
        }
    }

    /// Takes every teardown plan that is still there: those calls cannot, or may not any more, leave by themselves.
    fn close_all(&mut self, ending: &Ending, ctx: &mut Context<Self>) {
        for id in self.settings.registry.ids() {
            self.close_for(id, ending, vec![], ctx);
        }
    }

    /// Gives teardowns [`HURRY_WITHIN`]; then nobody waits any longer.
    fn hurry(&mut self, ctx: &mut Context<Self>) {
        ctx.run_later(HURRY_WITHIN / 2, |this, _| this.endpoint().do_send(Tell(EndpointInput::WaitNoLonger)));
        ctx.run_later(HURRY_WITHIN, |this, _| {
            this.file_all();
            if let Some(drain) = &this.drained {
                let _ = drain.done.send(());
            }
        });
    }

    /// What is known is kept.
    fn file_all(&mut self) {
        // A key in a BYE that nobody has answered yet is void at the next start.
        for (id, Terminating { record, left, .. }) in self.terminating.drain() {
            if let Some(record) = record {
                let _in_call = self.settings.registry.span(id).entered();
                record.keep(left.is_some_and(|left| left.bye_unanswered));
            }
        }
    }

    /// Keeps the record of a call of which both record and teardown are known, and forgets one that left no record.
    pub(super) fn settle(&mut self, id: CallId) {
        let Some(Terminating { record, left, .. }) = self.terminating.get_mut(&id) else { return };
        let gone = self.settings.registry.tenant_of(id).is_none();
        match (left.as_ref(), record.is_some()) {
            (Some(left), true) => {
                let bye_unanswered = left.bye_unanswered;
                if let Some(record) = record.take() {
                    record.keep(bye_unanswered);
                }
                self.terminating.remove(&id);
            }
            (Some(_), false) if gone => _ = self.terminating.remove(&id),
            (Some(_) | None, _) => {}
        }
        self.look_for_the_end();
    }
}

impl Handler<CallLeft> for Reception {
    type Result = ();

    fn handle(&mut self, left: CallLeft, ctx: &mut Self::Context) {
        let id = left.call;
        let _in_call = self.settings.registry.span(id).entered();
        if left.bye_unanswered {
            tracing::warn!("nobody answered the BYE, by no way there is");
        }
        self.settings.registry.carried_out(id);
        let in_bye = self.terminating.get_mut(&id).and_then(|terminating| terminating.in_bye.take());
        match in_bye {
            Some(lent) if left.bye_unanswered => self.void(lent, ctx),
            Some(lent) => self.earned(lent, ctx),
            None => {}
        }
        if self.turned_away.remove(&id).is_some() {
            self.settings.registry.close(id);
        }
        if let Some(terminating) = self.terminating.get_mut(&id) {
            terminating.left = Some(left);
        }
        self.settle(id);
    }
}

impl Handler<VoidKey> for Reception {
    type Result = ();

    fn handle(&mut self, VoidKey(id, void): VoidKey, ctx: &mut Self::Context) {
        let _in_call = self.settings.registry.span(id).entered();
        self.void(void, ctx);
    }
}

impl Handler<FileRecord> for Reception {
    type Result = ();

    fn handle(&mut self, record: FileRecord, _: &mut Self::Context) {
        let id = record.id;
        let _in_call = self.settings.registry.span(id).entered();
        if self.terminating.contains_key(&id) || self.settings.registry.tenant_of(id).is_some() {
            self.terminating.entry(id).or_default().record = Some(record);
            self.settle(id);
        } else {
            record.keep(false);
        }
    }
}

impl Handler<Drain> for Reception {
    type Result = ();

    fn handle(&mut self, drain: Drain, ctx: &mut Self::Context) {
        self.settings.admission.open = false;
        self.endpoint().do_send(Tell(EndpointInput::CloseDoors));
        let wait = drain.by.saturating_duration_since(crate::now());
        self.drained = Some(drain);
        ctx.run_later(wait, |this, ctx| {
            this.settings.registry.hang_up_all(&Ending::Drained);
            ctx.run_later(LEAVE_WITHIN, |this, ctx| {
                this.close_all(&Ending::Drained, ctx);
                this.hurry(ctx);
            });
        });
        self.look_for_the_end();
    }
}

impl Handler<LeaveNow> for Reception {
    type Result = ();

    fn handle(&mut self, LeaveNow { done }: LeaveNow, ctx: &mut Self::Context) {
        self.settings.admission.open = false;
        self.endpoint().do_send(Tell(EndpointInput::CloseDoors));
        self.pace = Pace::Hurried;
        self.close_all(&Ending::Drained, ctx);
        // The teardown plans are taken; the calls end and hand their records in.
        self.settings.registry.hang_up_all(&Ending::Drained);
        self.drained = Some(Drain { by: crate::now(), done });
        self.hurry(ctx);
        self.look_for_the_end();
    }
}
