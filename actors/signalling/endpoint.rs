//! SipEndpoint: drives the endpoint's core: sockets and mailboxes on one side, whose a message is on the other.
//!
//! It outlives all calls, and carries out every teardown. Invariant: whose a message is, and what is answered without a call,
//! is decided in `src/sip/endpoint.rs`; by which way a request goes, in `delivery.rs`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use actix::{Actor, AsyncContext, Context, Handler, Recipient, SpawnHandle};
use bellhop_sip::DialogId;
use bellhop_sip::dialog::LocalIdentity;
use bellhop_sip::endpoint::{Endpoint, Output, Ownership, Refusal, World};
use bellhop_sip::hop::{Hop, Transport};
use bellhop_sip::locate::NameResolver;
use bellhop_sip::message::parse::{self, Malformed};
use bellhop_sip::message::{self, Method, Request};
use bellhop_sip::networks::Source;
use bellhop_sip::source_guard::SHUT_OUT_FOR;
use bellhop_sip::transaction::{ClientKey, ServerKey};
use bellhop_tenancy::networks;
use bytes::Bytes;
use ipnet::IpNet;

use super::delivery::{Delivery, DeliveryId};
use super::messages::{
    Arrived, CallLeft, CallOffered, CarryOut, CloseDoors, CountOpen, CountTransactions, FlowLost, IsFlowUsed,
    OwnDialog, Owner, Refuse, Respond, Taken, TransportFailed, Trust, WaitNoLonger,
};
use crate::drive::Tell;
use crate::metrics;
use crate::node::call_registry::CallId;
use crate::supervision::Strike;
use crate::supervision::watchdog::{GRACE, was_away};

/// Most messages waiting for the endpoint; beyond it the network's retransmissions are the queue.
pub const MAILBOX: usize = 4096;

/// What a [`Wire`] finds out.
pub type Reached<T> = Pin<Box<dyn Future<Output = T>>>;

/// The way out: real sockets, or a test's carrier.
pub trait Wire {
    /// Sends bytes to a hop. A hop that cannot be reached comes back as [`TransportFailed`], a connection that ends as
    /// [`FlowLost`].
    fn transmit(&mut self, hop: Hop, bytes: Bytes);
    /// Whether what this hop goes by is open: sockets always are, connections until they end.
    fn is_open(&self, _: Hop) -> bool {
        true
    }
    /// Whether the far end of this hop is there: a connection is alive once the far end has acknowledged something that
    /// was sent just now. Always answers within a bound of its own.
    fn is_alive(&mut self, _: Hop) -> Reached<bool> {
        Box::pin(std::future::ready(true))
    }
    /// Opens a connection, or finds the socket for datagrams. Always answers within a bound of its own.
    fn open(&mut self, transport: Transport, remote: SocketAddr, host: Option<String>) -> Reached<Option<Hop>>;
    /// How we name ourselves to this hop.
    fn identity(&self, hop: Hop) -> LocalIdentity;
    /// The host name that the far end of this hop asked for in TLS (SNI).
    fn server_name(&self, _: Hop) -> Option<Arc<str>> {
        None
    }
    /// Whether the source of this hop stands on the list of the listener it came by: it is believed, and listened to
    /// whatever it does.
    fn is_listed(&self, _: Hop) -> bool {
        false
    }
    /// Whether the far end of this hop has shown a client certificate of ours.
    fn has_certificate(&self, _: Hop) -> bool {
        false
    }
    /// A call that came by this hop was taken.
    fn welcome(&mut self, _: Hop) {}
    /// No new connection of this source is taken until then, and those by which no call was taken are closed.
    fn turn_away(&mut self, _: Source, _until: Instant) {}
}

/// The actor.
pub struct SipEndpoint {
    pub(super) core: Endpoint<Owner, CallId>,
    /// The networks that tenants list: trusted as the listeners' are.
    trusted: Arc<[IpNet]>,
    pub(super) wire: Box<dyn Wire>,
    reception: Recipient<CallOffered>,
    over: Recipient<CallLeft>,
    /// Requests inside dialogs on their way, and the transactions that carry them.
    pub(super) deliveries: HashMap<DeliveryId, Delivery>,
    pub(super) carried: HashMap<ClientKey, DeliveryId>,
    pub(super) next_delivery: DeliveryId,
    /// Looks up the names of next hops; without one names are ways less.
    pub(super) names: Option<Arc<dyn NameResolver>>,
    timer: Option<(Instant, SpawnHandle)>,
}

/// What the core cannot know.
struct Outside<'a> {
    trusted: &'a [IpNet],
    wire: &'a dyn Wire,
}

impl World<Owner> for Outside<'_> {
    fn is_trusted(&self, hop: Hop) -> bool {
        networks::is_listed(self.trusted, hop.remote.ip()) || self.wire.is_listed(hop)
    }

    fn lives(&self, owner: &Owner) -> bool {
        owner.connected()
    }
}

impl SipEndpoint {
    /// An endpoint that offers calls to `reception`, sends by `wire`, and tells `over` when a teardown has been carried out.
    pub fn new(wire: Box<dyn Wire>, reception: Recipient<CallOffered>, over: Recipient<CallLeft>) -> Self {
        Self {
            core: Endpoint::new(rand::random()),
            trusted: Arc::default(),
            wire,
            reception,
            over,
            deliveries: HashMap::new(),
            carried: HashMap::new(),
            next_delivery: 0,
            names: None,
            timer: None,
        }
    }

    /// The same; sources in these networks are listened to whatever they do.
    pub fn trusting(mut self, networks: impl IntoIterator<Item = IpNet>) -> Self {
        self.trusted = networks.into_iter().collect();
        self
    }

    /// The same, with a resolver for the names of next hops.
    pub fn with_names(mut self, names: Arc<dyn NameResolver>) -> Self {
        self.names = Some(names);
        self
    }

    /// Drains everything until all is quiet, then arms the timer.
    pub(super) fn pump(&mut self, ctx: &mut Context<Self>) {
        loop {
            let outside = Outside { trusted: &self.trusted, wire: &*self.wire };
            let Some(output) = self.core.poll(crate::now(), &outside) else { break };
            self.carry_out(output, ctx);
        }
        metrics::sip_transactions(self.core.transactions());
        self.arm(ctx);
    }

    fn carry_out(&mut self, output: Output<Owner, CallId>, ctx: &mut Context<Self>) {
        match output {
            Output::Transmit { hop, message, bytes } => {
                if let message::Message::Response(response) = &message {
                    metrics::sip_response(response.status.0);
                }
                self.wire.transmit(hop, bytes);
            }
            Output::Offered { key, invite, hop } => self.offer(key, invite, hop),
            Output::Tell { owner, input } => owner.do_send(Tell(input)),
            Output::Response { key, response } => self.answered(&key, response, ctx),
            Output::NoResponse { key, unsendable } => self.went_astray(&key, unsendable, ctx),
            Output::Deliver { dialog, request, ways } => self.deliver(Delivery::bye(dialog, request, ways), ctx),
            Output::Left { call, bye_unanswered } => self.over.do_send(CallLeft { call, bye_unanswered }),
            Output::ShutOut { hop, until } => {
                tracing::warn!(source = %hop.remote.ip(), seconds = SHUT_OUT_FOR.as_secs(), "a source is shut out: it was refused again and again");
                self.wire.turn_away(Source::of(hop.remote.ip()), until);
            }
            Output::Dropped(why) => metrics::sip_dropped(why),
        }
    }

    fn offer(&self, key: ServerKey, invite: Request, hop: Hop) {
        let local = self.wire.identity(hop);
        let local_tag = format!("{:016x}", rand::random::<u64>());
        let server_name = self.wire.server_name(hop);
        let restricted = self.wire.is_listed(hop) || self.wire.has_certificate(hop);
        self.reception.do_send(CallOffered { key, invite, hop, local, local_tag, server_name, restricted });
    }

    fn arm(&mut self, ctx: &mut Context<Self>) {
        let deadline = self.core.deadline();
        if deadline == self.timer.map(|(at, _)| at) {
            return;
        }
        if let Some((_, handle)) = self.timer.take() {
            ctx.cancel_future(handle);
        }
        let Some(at) = deadline else { return };
        let handle = ctx.run_later(at.saturating_duration_since(crate::now()), move |this, ctx| {
            if !was_away(at, crate::now()) {
                return this.expire(ctx);
            }
            // The process stood still: what arrived meanwhile has its turn first.
            let handle = ctx.run_later(GRACE, Self::expire);
            this.timer = Some((at, handle));
        });
        self.timer = Some((at, handle));
    }

    fn expire(&mut self, ctx: &mut Context<Self>) {
        self.timer = None;
        self.core.handle_timeout(crate::now());
        self.pump(ctx);
    }

    /// A BYE was answered, or no way is left to try.
    pub(super) fn bye_ended(&mut self, dialog: &DialogId, answered: bool) {
        if self.core.bye_ended(crate::now(), dialog, answered) {
            metrics::bye_unanswered();
            tracing::warn!(sip_call_id = dialog.call_id, "nobody answered the BYE, by no way there is");
        }
    }
}

impl Actor for SipEndpoint {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<Arrived> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, Arrived { bytes, mut hop }: Arrived, ctx: &mut Self::Context) {
        match parse::message(&bytes) {
            Ok(mut message) => {
                if let message::Message::Request(request) = &mut message {
                    hop.remote = request.stamp(hop);
                }
                self.core.receive(crate::now(), message, hop);
            }
            Err(Malformed::Answerable { mut request, status, why }) => {
                metrics::sip_dropped("malformed");
                // Answered without state: garbage earns no transaction (RFC 3261 section 8.2.7). Never an ACK.
                if request.method != Method::Ack {
                    hop.remote = request.stamp(hop);
                    let mut response = request.respond(status, Some("malformed"));
                    why.clone_into(&mut response.reason);
                    self.core.transmit(message::Message::Response(response), hop);
                }
            }
            Err(Malformed::Garbage(_)) => metrics::sip_dropped("malformed"),
        }
        self.pump(ctx);
    }
}

impl Handler<TransportFailed> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, TransportFailed(hop): TransportFailed, ctx: &mut Self::Context) {
        metrics::sip_dropped("unsendable");
        self.core.transport_failed(hop);
        self.pump(ctx);
    }
}

impl Handler<FlowLost> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, FlowLost(flow): FlowLost, ctx: &mut Self::Context) {
        self.core.flow_lost(flow);
        self.pump(ctx);
    }
}

impl Handler<IsFlowUsed> for SipEndpoint {
    type Result = bool;

    fn handle(&mut self, IsFlowUsed(flow): IsFlowUsed, _: &mut Self::Context) -> bool {
        self.core.is_flow_used(flow)
    }
}

impl Handler<Respond> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, Respond { key, response }: Respond, ctx: &mut Self::Context) {
        self.core.respond(crate::now(), &key, response);
        self.pump(ctx);
    }
}

impl Handler<OwnDialog> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, own: OwnDialog, ctx: &mut Self::Context) {
        let OwnDialog { dialog, invite, owner, flow, call, registry } = own;
        // A teardown that came first keeps the dialog, and one that is over already (the thread of the call was stuck and
        // came back too late) leaves nothing to own. While the plan is there no teardown has begun.
        if registry.has_plan(call) {
            self.core.own(crate::now(), Ownership { dialog, invite, owner, flow });
        } else {
            self.core.forget_invite(&invite);
        }
        self.pump(ctx);
    }
}

impl Handler<Taken> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, Taken { key, trying, hop }: Taken, ctx: &mut Self::Context) {
        self.wire.welcome(hop);
        self.core.taken(crate::now(), &key, trying, hop);
        self.pump(ctx);
    }
}

impl Handler<Refuse> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, Refuse { key, invite, response, hop, offence }: Refuse, ctx: &mut Self::Context) {
        let outside = Outside { trusted: &self.trusted, wire: &*self.wire };
        self.core.refuse(crate::now(), Refusal { key, invite, response, hop, offence }, &outside);
        self.pump(ctx);
    }
}

impl Handler<CarryOut> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, CarryOut { call, dialog, teardown }: CarryOut, ctx: &mut Self::Context) {
        metrics::teardown(teardown.name());
        let branch = format!("z9hG4bK{:016x}", rand::random::<u64>());
        self.forget_asked(&dialog);
        self.core.carry_out(crate::now(), call, &dialog, teardown, branch);
        self.pump(ctx);
    }
}

impl Handler<Strike> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, _: Strike, _: &mut Self::Context) {
        panic!("a fault was injected");
    }
}

impl Handler<Trust> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, Trust(networks): Trust, _: &mut Self::Context) {
        self.trusted = networks.into();
    }
}

impl Handler<CloseDoors> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, _: CloseDoors, _: &mut Self::Context) {
        self.core.close_doors();
    }
}

impl Handler<WaitNoLonger> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, _: WaitNoLonger, ctx: &mut Self::Context) {
        self.core.wait_no_longer(crate::now());
        self.pump(ctx);
    }
}

impl Handler<CountOpen> for SipEndpoint {
    type Result = usize;

    fn handle(&mut self, _: CountOpen, _: &mut Self::Context) -> usize {
        self.core.dialogs()
    }
}

impl Handler<CountTransactions> for SipEndpoint {
    type Result = usize;

    fn handle(&mut self, _: CountTransactions, _: &mut Self::Context) -> usize {
        self.core.transactions()
    }
}
