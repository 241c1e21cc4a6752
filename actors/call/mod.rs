//! One call: a supervisor and its children, messages between them, and how it ends.
//!
//! Invariant: any unasked exit of any child ends the call; the first reason wins.

mod band;
mod children;
pub mod connect_handoff;
mod history;
pub mod jitter_buffer;
pub mod journal;
pub mod leg;
mod leg_listeners;
pub mod messages;
mod setting_up;
pub mod sip_dialog;
pub mod stt_stream;
pub mod supervisor;
pub mod tts_playback;
pub mod turn_loop;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, Addr, Context, Handler, Recipient};
use bellhop_call::fault_injection::FaultInjection;
use bellhop_call::lifecycle::Input;
use bellhop_connect::ContactReference;
use bellhop_dialogue::call_facts::CallFacts;
use bellhop_dialogue::turn_loop as turn_loop_core;
use bellhop_sip::dialog::LocalIdentity;
use bellhop_sip::message::Headers;
use bellhop_sip::sdp::LocalMedia;
use bellhop_sip::transaction::ServerKey;
use bellhop_sip::{Hop, Request};
use bellhop_tenancy::quota::Permit;
use bytes::Bytes;

use crate::drive::Tell;
use crate::media_shard::PacketPort;
use crate::node::call_registry::{CallId, CallRegistry};
use crate::node::port_pool::{PortPair, PortPool};
use crate::services::Services;
use crate::signalling::endpoint::SipEndpoint;
use crate::supervision::{Exit, Failure, Fault, Link, Strike};

use journal::FileRecord;
use messages::{CallEnded, VoidKey};

/// Opens the port of a leg, given its RTP port number.
pub type OpenPort = Arc<dyn Fn(u16) -> io::Result<Box<dyn PacketPort>> + Send + Sync>;

/// Where children report to: the supervisor, as far as they know.
pub(crate) type Reports = Recipient<Tell<Input>>;

/// Where children tell what happens in the conversation: the turn loop, as far as they know.
pub(crate) type Conversation = Recipient<Tell<turn_loop_core::Input>>;

/// How long an injected fault blocks a thread that carries calls: the watchdog has ended them long before.
pub const BLOCKED_FOR: Duration = Duration::from_secs(30);
/// How many port pairs that others hold are tried before a call is refused: a few milliseconds.
pub(crate) const PORT_TRIES: usize = 256;
/// Messages that may wait for a child.
pub(crate) const CHILD_MAILBOX: usize = 64;

/// What a call begins with.
pub struct NewCall {
    /// Names the call in this server's log and in its registry.
    pub id: CallId,
    /// The server transaction of the INVITE: what is answered.
    pub key: ServerKey,
    /// The INVITE as it was parsed; only its first line once the call is set up.
    pub invite: Request,
    /// Where it came from.
    pub hop: Hop,
    /// How we name ourselves there.
    pub local: LocalIdentity,
    /// The tag of our To header (RFC 3261 section 19.3).
    pub local_tag: String,
    /// When the INVITE came.
    pub began: Instant,
    /// Calls that were active then.
    pub active_calls: usize,
    /// Our side of the stream.
    pub media: LocalMedia,
    /// The tenant with its services.
    pub services: Arc<Services>,
    /// The contact, as far as the INVITE tells.
    pub contact: ContactReference,
    /// Its places, of node and tenant; returned when the call is dropped.
    pub permits: [Permit; 2],
    /// What its source holds of calls without an ACK; returned with the ACK.
    pub unacknowledged: Vec<Permit>,
    /// Its ports; returned when the call is dropped.
    pub ports: PortPair,
    /// Where other ports are drawn from when somebody else squats on these.
    pub port_pool: PortPool,
    /// Opens the leg's port.
    pub open_port: OpenPort,
    /// What the record and the assistant are told of it.
    pub facts: Arc<CallFacts>,
    /// Where the teardown plan of the call is deposited, and its beat is counted.
    pub registry: Arc<CallRegistry>,
    /// Sends what the dialog has to say.
    pub endpoint: Addr<SipEndpoint>,
    /// What it tells who made it.
    pub reception: ToReception,
    /// A fault to inject.
    pub fault_injection: Option<FaultInjection>,
}

/// What a call tells who made it, and outlives it.
#[derive(Clone)]
pub struct ToReception {
    /// It is over: its teardown plan is carried out.
    pub(crate) ended: Recipient<CallEnded>,
    /// The key of a transfer that failed opens nothing any more.
    pub(crate) voids: Recipient<VoidKey>,
    /// A record that waits for what comes of the teardown.
    pub(crate) files: Recipient<FileRecord>,
    /// A fault to inject there.
    pub(crate) strikes: Recipient<Strike>,
}

impl ToReception {
    /// All of it told to one actor.
    pub(crate) fn of<A>(address: &Addr<A>) -> Self
    where
        A: Actor<Context = Context<A>> + Handler<CallEnded> + Handler<VoidKey> + Handler<FileRecord> + Handler<Strike>,
    {
        let to = address;
        Self {
            ended: to.clone().recipient(),
            voids: to.clone().recipient(),
            files: to.clone().recipient(),
            strikes: to.clone().recipient(),
        }
    }
}

impl NewCall {
    /// The call is set up: what the INVITE says is known to who needs it. With its final response, which the dialog gives, nobody has the
    /// datagram that it came in.
    pub(crate) fn set_up(&mut self) {
        (self.invite.headers, self.invite.body) = (Headers::default(), Bytes::new());
    }
}

/// What every child answers to: the order to stop, and a fault for fault injection.
macro_rules! child {
    ($actor:ty) => {
        impl actix::Handler<crate::supervision::Stop> for $actor {
            type Result = ();

            fn handle(&mut self, _: crate::supervision::Stop, ctx: &mut Self::Context) {
                self.link.exit(crate::supervision::Exit::Finished);
                actix::ActorContext::stop(ctx);
            }
        }

        impl actix::Handler<crate::supervision::Strike> for $actor {
            type Result = ();

            fn handle(
                &mut self,
                crate::supervision::Strike(fault): crate::supervision::Strike,
                ctx: &mut Self::Context,
            ) {
                crate::call::strike(fault, &self.link, ctx);
            }
        }
    };
}
pub(crate) use child;

/// Dies of an injected fault.
pub(crate) fn strike<A>(fault: Fault, link: &Link, ctx: &mut Context<A>)
where
    A: Actor<Context = Context<A>>,
{
    match fault {
        Fault::Error => {
            link.exit(Exit::Failed(Failure::Injected));
            ctx.stop();
        }
        Fault::Panic => panic!("a fault was injected"),
        Fault::BlockThread => std::thread::sleep(BLOCKED_FOR),
        Fault::KillShard => {
            actix_rt::Arbiter::current().stop();
        }
        // The call sees to these: no child knows either of them.
        Fault::KillEndpoint | Fault::KillReception | Fault::BlockReception => {}
    }
}
