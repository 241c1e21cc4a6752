//! Pumps a pure core from an actix context: hand in, drain, re-arm one timer.
//!
//! Invariant: after [`put`] or a timer every output of the core was carried out and its deadline is armed.

use std::time::Instant;

use actix::{Actor, AsyncContext, Context, Message, SpawnHandle};

use crate::supervision::watchdog::{GRACE, was_away};

/// A pure core with four doors.
pub trait Machine {
    /// What can happen.
    type Input;
    /// What it wants done.
    type Output;

    /// One thing happened; never blocks, never fails.
    fn handle(&mut self, now: Instant, input: Self::Input);
    /// The deadline passed; early calls are harmless.
    fn handle_timeout(&mut self, now: Instant);
    /// What to do next; drain until `None`.
    fn poll(&mut self) -> Option<Self::Output>;
    /// When to wake.
    fn deadline(&self) -> Option<Instant>;
}

/// An input of a core, told to the actor that drives it.
#[derive(Debug)]
pub struct Tell<I>(pub I);

impl<I: 'static> Message for Tell<I> {
    type Result = ();
}

/// A core with its armed timer.
#[derive(Debug)]
pub struct Drive<M> {
    /// The core.
    pub core: M,
    armed: Option<(Instant, SpawnHandle)>,
}

impl<M> Drive<M> {
    /// Puts a core behind the wheel.
    pub fn new(core: M) -> Self {
        Self { core, armed: None }
    }
}

/// An actor that drives a core.
pub trait Driven: Actor<Context = Context<Self>> {
    /// Its core.
    type Core: Machine;

    /// The core and its timer.
    fn drive(&mut self) -> &mut Drive<Self::Core>;

    /// Does what the core says.
    fn carry_out(&mut self, output: <Self::Core as Machine>::Output, ctx: &mut Context<Self>);
}

/// Hands an input to the core and carries out what follows.
pub fn put<A: Driven>(actor: &mut A, ctx: &mut Context<A>, input: <A::Core as Machine>::Input) {
    actor.drive().core.handle(crate::now(), input);
    pump(actor, ctx);
}

/// Drains the core and re-arms its timer.
pub fn pump<A: Driven>(actor: &mut A, ctx: &mut Context<A>) {
    while let Some(output) = actor.drive().core.poll() {
        actor.carry_out(output, ctx);
    }
    let drive = actor.drive();
    let deadline = drive.core.deadline();
    if deadline == drive.armed.map(|(at, _)| at) {
        return;
    }
    if let Some((_, handle)) = drive.armed.take() {
        ctx.cancel_future(handle);
    }
    let Some(at) = deadline else { return };
    let wait = at.saturating_duration_since(crate::now());
    let handle = ctx.run_later(wait, move |actor, ctx| {
        if !was_away(at, crate::now()) {
            return expire(actor, ctx);
        }
        // The process stood still: what arrived meanwhile has its turn first.
        let handle = ctx.run_later(GRACE, expire);
        actor.drive().armed = Some((at, handle));
    });
    actor.drive().armed = Some((at, handle));
}

fn expire<A: Driven>(actor: &mut A, ctx: &mut Context<A>) {
    let drive = actor.drive();
    drive.armed = None;
    drive.core.handle_timeout(crate::now());
    pump(actor, ctx);
}

macro_rules! machine {
    ($core:ty, $input:ty, $output:ty) => {
        impl Machine for $core {
            type Input = $input;
            type Output = $output;

            fn handle(&mut self, now: Instant, input: $input) {
                <$core>::handle(self, now, input);
            }

            fn handle_timeout(&mut self, now: Instant) {
                <$core>::handle_timeout(self, now);
            }

            fn poll(&mut self) -> Option<$output> {
                <$core>::poll(self)
            }

            fn deadline(&self) -> Option<Instant> {
                <$core>::deadline(self)
            }
        }
    };
}

machine!(bellhop_call::lifecycle::Lifecycle, bellhop_call::lifecycle::Input, bellhop_call::lifecycle::Order);
machine!(bellhop_call::speech_in::SpeechIn, bellhop_call::speech_in::Input, bellhop_call::speech_in::Output);
machine!(bellhop_sip::dialog::acceptor::Acceptor, bellhop_sip::dialog::Input, bellhop_sip::dialog::Output);
machine!(bellhop_dialogue::TurnLoop, bellhop_dialogue::turn_loop::Input, bellhop_dialogue::turn_loop::Output);
