//! JitterBuffer: owns the inbound core of the leg, which the shard pushes and pulls.
//!
//! Invariant: a failure of the audio path is a failure of this actor, so that it ends the call like any other.

use std::rc::Rc;
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Recipient};
use bellhop_call::lifecycle;
use bellhop_dialogue::turn_loop;
use bellhop_media::dtmf::two_ways::Way;
use bellhop_sip::sdp::Agreed;

use super::journal::{JITTER_MAX, Journal};
use super::leg;
use super::messages::{DigitPressed, LegDigit, LegFailed, LegSilent, MediaMoved, MediaPlanned};
use super::{Conversation, Reports, child};
use crate::drive::Tell;
use crate::media_shard::LegCores;
use crate::services::Silence;
use crate::supervision::{Exit, Failure, Link};

/// Tells the call what its leg hears: digits, silence, another codec.
pub struct JitterBuffer {
    pub(super) link: Link,
    pub(super) call: Reports,
    pub(super) turn_loop: Conversation,
    pub(super) digits: Recipient<DigitPressed>,
    pub(super) cores: Rc<LegCores>,
    pub(super) agreed: Option<Agreed>,
    pub(super) silence: Silence,
    pub(super) journal: Journal,
}

/// How often the jitter is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

impl JitterBuffer {
    fn look_at_jitter(&self) {
        let mut receiver = self.cores.receiver.borrow_mut();
        let clock_rate = receiver.format().codec.clock_rate();
        if receiver.reception().is_some_and(|reception| reception.jitter(clock_rate) > JITTER_MAX) {
            self.turn_loop.do_send(Tell(turn_loop::Input::NetworkWarning));
        }
    }
}

impl Actor for JitterBuffer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(LOOK_EVERY, |this, _| this.look_at_jitter());
    }
}

child!(JitterBuffer);

impl Handler<LegDigit> for JitterBuffer {
    type Result = ();

    fn handle(&mut self, LegDigit { press }: LegDigit, _: &mut Self::Context) {
        self.digits.do_send(DigitPressed { press, way: Way::Media });
    }
}

impl Handler<LegSilent> for JitterBuffer {
    type Result = ();

    fn handle(&mut self, _: LegSilent, _: &mut Self::Context) {
        self.call.do_send(Tell(lifecycle::Input::MediaSilent));
    }
}

impl Handler<LegFailed> for JitterBuffer {
    type Result = ();

    fn handle(&mut self, _: LegFailed, ctx: &mut Self::Context) {
        tracing::error!("a leg's slice panicked");
        self.link.exit(Exit::Failed(Failure::AudioPath));
        ctx.stop();
    }
}

impl Handler<MediaPlanned> for JitterBuffer {
    type Result = ();

    fn handle(&mut self, MediaPlanned { agreed }: MediaPlanned, _: &mut Self::Context) {
        leg::apply(&self.cores, self.agreed.as_ref(), &agreed, self.silence);
        self.agreed = Some(agreed);
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
