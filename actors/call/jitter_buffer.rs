//! JitterBuffer: owns the inbound core of the leg, which the shard pushes and pulls.
//!
//! Invariant: a failure of the audio path is a failure of this actor, so that it ends the call like any other.

use std::rc::Rc;

use actix::{Actor, ActorContext, Addr, Context, Handler};
use bellhop_sip::sdp::Agreed;

use super::child;
use super::journal::Journal;
use super::leg::{self, Silence};
use super::messages::{DigitPressed, LegDigit, LegFailed, LegSilent, MediaMoved, MediaSilent};
use super::supervisor::Call;
use crate::media_shard::LegCores;
use crate::supervision::{ChildName, Exit, Failure, Link};

/// The actor.
pub struct JitterBuffer {
    pub(super) link: Link,
    pub(super) call: Addr<Call>,
    pub(super) cores: Rc<LegCores>,
    pub(super) agreed: Option<Agreed>,
    pub(super) silence: Silence,
    pub(super) journal: Journal,
}

impl Actor for JitterBuffer {
    type Context = Context<Self>;
}

child!(JitterBuffer, ChildName::JitterBuffer);

impl Handler<LegDigit> for JitterBuffer {
    type Result = ();

    fn handle(&mut self, LegDigit { press }: LegDigit, _: &mut Self::Context) {
        self.journal.write(|record, now| record.key_pressed(now));
        self.call.do_send(DigitPressed { digit: press.digit });
    }
}

impl Handler<LegSilent> for JitterBuffer {
    type Result = ();

    fn handle(&mut self, _: LegSilent, _: &mut Self::Context) {
        self.call.do_send(MediaSilent {});
    }
}

impl Handler<LegFailed> for JitterBuffer {
    type Result = ();

    fn handle(&mut self, LegFailed { message }: LegFailed, ctx: &mut Self::Context) {
        tracing::error!(message, "a leg's slice panicked");
        self.link.exit(Exit::Failed(Failure::AudioPath));
        ctx.stop();
    }
}

impl Handler<MediaMoved> for JitterBuffer {
    type Result = ();

    fn handle(&mut self, MediaMoved { agreed }: MediaMoved, _: &mut Self::Context) {
        leg::apply(&self.cores, self.agreed.as_ref(), &agreed, self.silence);
        self.cores.set_mode(leg::mode_of(agreed.direction), crate::now());
        self.journal.write(|record, now| record.media_agreed(now, agreed.codec.name(), agreed.keys.is_some()));
        self.agreed = Some(agreed);
    }
}
