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
    alarm: Alarm,
}

impl<M> Drive<M> {
    /// Puts a core behind the wheel.
    pub fn new(core: M) -> Self {
        Self { core, alarm: Alarm::default() }
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
    let deadline = actor.drive().core.deadline();
    arm(actor, ctx, deadline, |actor| &mut actor.drive().alarm, expire);
}

fn expire<A: Driven>(actor: &mut A, ctx: &mut Context<A>) {
    actor.drive().core.handle_timeout(crate::now());
    pump(actor, ctx);
}

/// The one timer of an actor, for the deadline of its core.
#[derive(Debug, Default)]
pub struct Alarm(Option<(Instant, SpawnHandle)>);

/// Sets an actor's alarm: at the deadline `expire` is called, once. Where the process stood still meanwhile, what arrived in that
/// time has its turn first.
pub fn arm<A: Actor<Context = Context<A>>>(
    actor: &mut A,
    ctx: &mut Context<A>,
    deadline: Option<Instant>,
    alarm: fn(&mut A) -> &mut Alarm,
    expire: fn(&mut A, &mut Context<A>),
) {
    let Alarm(armed) = alarm(actor);
    if deadline == armed.map(|(at, _)| at) {
        return;
    }
    if let Some((_, handle)) = armed.take() {
        ctx.cancel_future(handle);
    }
    let Some(at) = deadline else { return };
    let rings = move |actor: &mut A, ctx: &mut Context<A>| {
        *alarm(actor) = Alarm::default();
        expire(actor, ctx);
    };
    let handle = ctx.run_later(at.saturating_duration_since(crate::now()), move |actor, ctx| {
        if was_away(at, crate::now()) {
            let handle = ctx.run_later(GRACE, rings);
            *alarm(actor) = Alarm(Some((at, handle)));
        } else {
            rings(actor, ctx);
        }
    });
    *armed = Some((at, handle));
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
