//! What the endpoint is told: inputs of its core, and what its core cannot be asked.
//!
//! Invariant: nothing is decided here but whether a call still wants its dialog, which its teardown plan knows. Part of
//! `endpoint.rs`.

use actix::{Context, Handler};
use bellhop_sip::endpoint::Ownership;

use super::{SipEndpoint, fresh_branch};
use crate::drive::Tell;
use crate::signalling::messages::{
    CarryOut, CountOpen, CountTransactions, EndpointInput, IsFlowUsed, OwnDialog, Trust,
};
use crate::supervision::Strike;

impl Handler<Tell<EndpointInput>> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, Tell(input): Tell<EndpointInput>, ctx: &mut Context<Self>) {
        self.put(input, ctx);
    }
}

impl Handler<OwnDialog> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, OwnDialog { ownership, call, registry }: OwnDialog, ctx: &mut Context<Self>) {
        // A teardown that came first keeps the dialog, and one that is over already (the thread of the call was stuck and
        // came back too late) leaves nothing to own. While the plan lies there no teardown has begun.
        let Ownership { invite, .. } = &ownership;
        let input = if registry.has_plan(call) {
            EndpointInput::Own(ownership)
        } else {
            EndpointInput::ForgetInvite(invite.clone())
        };
        self.put(input, ctx);
    }
}

impl Handler<CarryOut> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, CarryOut { call, dialog, teardown }: CarryOut, ctx: &mut Context<Self>) {
        self.families.teardown(teardown.name());
        self.put(EndpointInput::CarryOut { call, dialog, teardown, branch: fresh_branch() }, ctx);
    }
}

impl Handler<Trust> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, Trust(networks): Trust, _: &mut Context<Self>) {
        self.trusted = networks.into();
    }
}

impl Handler<IsFlowUsed> for SipEndpoint {
    type Result = bool;

    fn handle(&mut self, IsFlowUsed(flow): IsFlowUsed, _: &mut Context<Self>) -> bool {
        self.core.is_flow_used(flow)
    }
}

impl Handler<CountOpen> for SipEndpoint {
    type Result = usize;

    fn handle(&mut self, _: CountOpen, _: &mut Context<Self>) -> usize {
        self.core.dialogs()
    }
}

impl Handler<CountTransactions> for SipEndpoint {
    type Result = usize;

    fn handle(&mut self, _: CountTransactions, _: &mut Context<Self>) -> usize {
        self.core.transactions()
    }
}

impl Handler<Strike> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, _: Strike, _: &mut Context<Self>) {
        panic!("a fault was injected");
    }
}
