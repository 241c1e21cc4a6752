//! SipEndpoint: transactions of the whole process, and every farewell.
//!
//! It outlives all calls. Invariant: a dialog has one owner: its call, or, from the farewell on, a
//! [`Leaving`] machine in here.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use actix::{Actor, AsyncContext, Context, Handler, Message, Recipient, SpawnHandle};
use bellhop_sip::DialogId;
use bellhop_sip::dialog::teardown::{self, Farewell, Leaving};
use bellhop_sip::dialog::vetting::{Vetted, Vetting};
use bellhop_sip::dialog::{Input, LocalIdentity};
use bellhop_sip::hop::{Hop, Transport};
use bellhop_sip::locate::NameResolver;
use bellhop_sip::message::parse::{self, Malformed};
use bellhop_sip::message::{self, Method, Request, Response, StatusCode};
use bellhop_sip::networks::Source;
use bellhop_sip::source_guard::{Offence, RefusalTag, SHUT_OUT_FOR, SourceGuard};
use bellhop_sip::transaction::{ClientKey, Layer, Output, ServerKey};
use bellhop_tenancy::networks;
use bytes::Bytes;
use ipnet::IpNet;

use super::call_registry::{CallId, CallRegistry};
use super::delivery::{Delivery, DeliveryId};
use super::pace::Pace;
use crate::drive::Tell;
use crate::metrics;
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
    /// Whether the far end of this hop is there: a connection is alive once the far end has acknowledged something that was sent
    /// just now. Always answers within a bound of its own.
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

/// Bytes of one message arrived.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Arrived {
    /// The bytes.
    pub bytes: Bytes,
    /// From where.
    pub hop: Hop,
}

/// A hop could not be reached.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct TransportFailed(pub Hop);

/// Answer a transaction.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Respond {
    /// Which.
    pub key: ServerKey,
    /// With what.
    pub response: Response,
}

/// This dialog has an owner from here on, who hears of all that belongs to it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct OwnDialog {
    /// The dialog.
    pub dialog: DialogId,
    /// The INVITE's transaction, for CANCEL.
    pub invite: ServerKey,
    /// The owner.
    pub owner: Recipient<Tell<Input>>,
    /// The connection, or the socket, that the dialog came by.
    pub flow: u64,
    /// Whose it is.
    pub call: CallId,
    /// Where its will lies.
    pub registry: Arc<CallRegistry>,
}

/// Carry out a farewell: the dialog is ours from here on.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CarryOut {
    /// Whose it is; [`CallLeft`] names it.
    pub call: CallId,
    /// The dialog.
    pub dialog: DialogId,
    /// How to leave.
    pub farewell: Farewell,
}

/// A farewell has been carried out: nothing of the call is left on the wire.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CallLeft {
    /// Which.
    pub call: CallId,
    /// Nobody answered the BYE, by no way there was.
    pub bye_unanswered: bool,
}

/// A connection has ended: what was handed to it may never have arrived.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct FlowLost(pub u64);

/// Whether a dialog came by this connection: it is not closed for being idle then.
#[derive(Debug, Message)]
#[rtype(result = "bool")]
pub struct IsFlowUsed(pub u64);

/// An INVITE for a new call, vetted; answer it by [`Respond`] or by taking its dialog.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CallOffered {
    /// Its transaction.
    pub key: ServerKey,
    /// The INVITE.
    pub invite: Request,
    /// From where.
    pub hop: Hop,
    /// How we name ourselves there.
    pub local: LocalIdentity,
    /// A fresh tag of ours.
    pub local_tag: String,
    /// The host name that was asked for in TLS.
    pub server_name: Option<Arc<str>>,
    /// Whether not anybody can send from there: the listener's networks, or a client certificate.
    pub restricted: bool,
}

/// A call was taken: its caller hears 100, and its source owes nothing.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Taken {
    /// The INVITE's transaction.
    pub key: ServerKey,
    /// The 100.
    pub trying: Response,
    /// Where the INVITE came from.
    pub hop: Hop,
}

/// A call was not taken: its answer goes out once and leaves no memory (RFC 3261 section 8.2.7).
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Refuse {
    /// The INVITE's transaction.
    pub key: ServerKey,
    /// The INVITE.
    pub invite: Request,
    /// Its answer.
    pub response: Response,
    /// Where the INVITE came from.
    pub hop: Hop,
    /// Whether it was refused for what it is: such refusals shut a source out in the end.
    pub offence: Option<Offence>,
}

/// From here on OPTIONS outside dialogs get 503.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CloseDoors;

/// The process ends: farewells that wait for an ACK wait no longer (RFC 3261 section 15 has nobody left to wait).
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct WaitNoLonger;

/// How much is still going on: transactions and farewells.
#[derive(Debug, Message)]
#[rtype(result = "usize")]
pub struct CountOpen;

/// How many SIP transactions live.
#[derive(Debug, Message)]
#[rtype(result = "usize")]
pub struct CountTransactions;

/// Listen to these networks whatever they do, and no longer to those of before.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Trust(pub Vec<IpNet>);

/// The actor.
pub struct SipEndpoint {
    pub(super) layer: Layer,
    vetting: Vetting,
    guard: SourceGuard,
    refusal_tag: RefusalTag,
    /// The networks that tenants list: trusted as the listeners' are.
    trusted: Arc<[IpNet]>,
    pub(super) wire: Box<dyn Wire>,
    reception: Recipient<CallOffered>,
    over: Recipient<CallLeft>,
    pub(super) calls: HashMap<DialogId, Owner>,
    leaving: HashMap<DialogId, Leave>,
    invites: HashMap<ServerKey, Recipient<Tell<Input>>>,
    /// Cancelled before their call had come to be: told to its owner as soon as there is one.
    early_cancels: HashSet<ServerKey>,
    /// Requests inside dialogs on their way, and the transactions that carry them.
    pub(super) deliveries: HashMap<DeliveryId, Delivery>,
    pub(super) carried: HashMap<ClientKey, DeliveryId>,
    pub(super) next_delivery: DeliveryId,
    /// Looks up the names of next hops; without one names are ways less.
    pub(super) names: Option<Arc<dyn NameResolver>>,
    timer: Option<(Instant, SpawnHandle)>,
}

/// The call a dialog belongs to, and its INVITE's transaction.
pub(super) struct Owner {
    call: Recipient<Tell<Input>>,
    invite: ServerKey,
    /// The connection, or the socket, that its last message came by.
    flow: u64,
    pace: Pace,
}

/// A farewell that is being carried out.
struct Leave {
    call: CallId,
    machine: Leaving,
    unanswered: bool,
}

impl SipEndpoint {
    /// An endpoint that offers calls to `reception`, sends by `wire`, and tells `over` when a farewell has been carried out.
    pub fn new(wire: Box<dyn Wire>, reception: Recipient<CallOffered>, over: Recipient<CallLeft>) -> Self {
        Self {
            layer: Layer::default(),
            vetting: Vetting::default(),
            guard: SourceGuard::default(),
            refusal_tag: RefusalTag::new(rand::random()),
            trusted: Arc::default(),
            wire,
            reception,
            over,
            calls: HashMap::new(),
            leaving: HashMap::new(),
            invites: HashMap::new(),
            early_cancels: HashSet::new(),
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
        while let Some(output) = self.layer.poll() {
            match output {
                Output::Transmit { hop, message, bytes } => {
                    if let message::Message::Response(response) = &message {
                        metrics::sip_response(response.status.0);
                        self.vetting.answered(response);
                    }
                    self.wire.transmit(hop, bytes);
                }
                Output::Request { key, request, hop } => self.request(key, request, hop, ctx),
                Output::Ack { request, hop } => self.inside(None, request, hop, ctx),
                Output::Cancelled { invite } => match self.invites.get(&invite) {
                    Some(owner) => owner.do_send(Tell(Input::Cancelled)),
                    None => {
                        self.early_cancels.insert(invite);
                    }
                },
                Output::Response { key, response } => self.answered(&key, response, ctx),
                Output::NoResponse { key } => self.went_astray(&key, false, ctx),
                Output::Unsendable { key } => self.went_astray(&key, true, ctx),
                Output::NoAck { .. } => {}
            }
        }
        metrics::sip_transactions(self.layer.len());
        self.arm(ctx);
    }

    fn arm(&mut self, ctx: &mut Context<Self>) {
        let leaving = self.leaving.values().filter_map(|leave| leave.machine.deadline());
        let deadline = leaving.chain(self.layer.deadline()).min();
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
        let now = crate::now();
        self.layer.handle_timeout(now);
        let due: Vec<DialogId> = self.leaving_due(now);
        for dialog in due {
            if let Some(leave) = self.leaving.get_mut(&dialog) {
                leave.machine.handle_timeout(now);
                // Only a BYE that nobody answered ends by a timer.
                leave.unanswered |= leave.machine.is_done();
            }
            self.settle(&dialog, ctx);
        }
        self.pump(ctx);
    }

    fn leaving_due(&self, now: Instant) -> Vec<DialogId> {
        let due = |leave: &Leave| leave.machine.deadline().is_some_and(|at| at <= now);
        self.leaving.iter().filter(|(_, leave)| due(leave)).map(|(id, _)| id.clone()).collect()
    }

    fn request(&mut self, key: ServerKey, request: Request, hop: Hop, ctx: &mut Context<Self>) {
        let inside = DialogId::of_request(&request).is_some();
        if !inside && hop.transport == Transport::Udp && self.is_shut_out(hop) {
            metrics::sip_dropped("shut_out");
            return self.layer.ignore(&key);
        }
        match self.vetting.judge(&request) {
            // Floods of what we do not serve cost no memory.
            Vetted::Answer(response) => self.layer.respond_statelessly(&key, *response),
            Vetted::Inside => self.inside(Some(key), request, hop, ctx),
            Vetted::NewCall => {
                let local = self.wire.identity(hop);
                let local_tag = format!("{:016x}", rand::random::<u64>());
                let server_name = self.wire.server_name(hop);
                let restricted = self.wire.is_listed(hop) || self.wire.has_certificate(hop);
                let offered = CallOffered { key, invite: request, hop, local, local_tag, server_name, restricted };
                self.reception.do_send(offered);
            }
        }
    }

    /// Whether somebody has earned not to be answered; who stands on a list never has.
    fn is_shut_out(&self, hop: Hop) -> bool {
        self.guard.is_shut_out(crate::now(), Source::of(hop.remote.ip())) && !self.is_trusted(hop)
    }

    fn is_trusted(&self, hop: Hop) -> bool {
        networks::is_listed(&self.trusted, hop.remote.ip()) || self.wire.is_listed(hop)
    }

    /// A source that is proven was refused for what it asked.
    fn count(&mut self, hop: Hop, offence: Offence) {
        if self.is_trusted(hop) {
            return;
        }
        let source = Source::of(hop.remote.ip());
        if let Some(until) = self.guard.refused(crate::now(), source, offence) {
            tracing::warn!(source = %hop.remote.ip(), seconds = SHUT_OUT_FOR.as_secs(), "a source is shut out: it was refused again and again");
            self.wire.turn_away(source, until);
        }
    }

    /// A request inside a dialog, or an ACK (which has no transaction).
    fn inside(&mut self, key: Option<ServerKey>, request: Request, hop: Hop, ctx: &mut Context<Self>) {
        let now = crate::now();
        let dialog = DialogId::of_request(&request);
        // A call that is gone without a farewell in here (its thread came back too late) owns nothing any more.
        self.forget_if_gone(dialog.as_ref());
        if let Some(owner) = dialog.as_ref().and_then(|dialog| self.calls.get_mut(dialog)) {
            if let Some(key) = key.as_ref().filter(|_| request.method != Method::Bye && !owner.pace.takes(now)) {
                metrics::sip_dropped("overload");
                let later = request.respond(StatusCode(500), None).with("Retry-After", "1");
                return self.layer.respond_statelessly(key, later);
            }
            owner.flow = hop.flow;
            return owner.call.do_send(Tell(match key {
                Some(key) => Input::Request { key, request, hop },
                None => Input::Acked { ack: request, hop },
            }));
        }
        let leave = dialog.and_then(|id| self.leaving.get_mut(&id).map(|leave| (id, &mut leave.machine)));
        let Some((dialog, leaving)) = leave else {
            match key {
                Some(key) => self.layer.respond_statelessly(&key, request.respond(StatusCode(481), None)),
                // The ACK of a refusal: whoever sends it from there has read what we sent there.
                None if hop.transport == Transport::Udp => {
                    let source = Source::of(hop.remote.ip());
                    if let Some(offence) = self.refusal_tag.acknowledged(&request, source) {
                        self.count(hop, offence);
                    }
                }
                None => {}
            }
            return;
        };
        match (&request.method, key) {
            (Method::Ack, _) => leaving.acked(now),
            (Method::Bye, Some(key)) => {
                leaving.caller_hung_up();
                self.layer.respond(now, &key, request.respond(StatusCode(200), None));
            }
            (_, Some(key)) => self.layer.respond_statelessly(&key, request.respond(StatusCode(481), None)),
            (_, None) => {}
        }
        self.settle(&dialog, ctx);
    }

    fn forget_if_gone(&mut self, dialog: Option<&DialogId>) {
        let gone = dialog.filter(|dialog| self.calls.get(dialog).is_some_and(|owner| !owner.call.connected()));
        if let Some(Owner { invite, .. }) = gone.and_then(|dialog| self.calls.remove(dialog)) {
            self.invites.remove(&invite);
        }
    }

    /// A BYE was answered, or no way is left to try.
    pub(super) fn bye_ended(&mut self, dialog: &DialogId, answered: bool, ctx: &mut Context<Self>) {
        // Where the far end's own BYE came meanwhile nobody is left in silence.
        if !answered && self.leaving.contains_key(dialog) {
            metrics::bye_unanswered();
            tracing::warn!(sip_call_id = dialog.call_id, "nobody answered the BYE, by no way there is");
        }
        if let Some(Leave { machine, unanswered, .. }) = self.leaving.get_mut(dialog) {
            *unanswered = !answered;
            machine.bye_ended();
        }
        self.settle(dialog, ctx);
    }

    /// Carries out what a farewell wants next, and forgets the dialog when all is said.
    fn settle(&mut self, dialog: &DialogId, ctx: &mut Context<Self>) {
        let now = crate::now();
        while let Some(Leave { machine, .. }) = self.leaving.get_mut(dialog) {
            match machine.poll() {
                Some(teardown::Output::Respond { key, response }) => {
                    self.early_cancels.remove(&key);
                    self.layer.respond(now, &key, response);
                }
                Some(teardown::Output::Request { request, ways }) => {
                    self.deliver(Delivery::bye(dialog.clone(), request, ways), ctx);
                }
                None if machine.is_done() => {
                    if let Some(Leave { call, unanswered, .. }) = self.leaving.remove(dialog) {
                        self.over.do_send(CallLeft { call, bye_unanswered: unanswered });
                    }
                    return;
                }
                None => return,
            }
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
                self.layer.receive(crate::now(), message, hop);
            }
            Err(Malformed::Answerable { mut request, status, why }) => {
                metrics::sip_dropped("malformed");
                // Answered without state: garbage earns no transaction (RFC 3261 section 8.2.7). Never an ACK.
                if request.method != Method::Ack {
                    hop.remote = request.stamp(hop);
                    let mut response = request.respond(status, Some("malformed"));
                    why.clone_into(&mut response.reason);
                    self.layer.transmit(message::Message::Response(response), hop);
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
        self.layer.transport_failed(hop);
        self.pump(ctx);
    }
}

impl Handler<FlowLost> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, FlowLost(flow): FlowLost, ctx: &mut Self::Context) {
        self.layer.flow_lost(flow);
        self.pump(ctx);
    }
}

impl Handler<IsFlowUsed> for SipEndpoint {
    type Result = bool;

    fn handle(&mut self, IsFlowUsed(flow): IsFlowUsed, _: &mut Self::Context) -> bool {
        self.calls.values().any(|owner| owner.flow == flow)
    }
}

impl Handler<Respond> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, Respond { key, response }: Respond, ctx: &mut Self::Context) {
        if !response.status.is_provisional() {
            self.early_cancels.remove(&key);
        }
        self.layer.respond(crate::now(), &key, response);
        self.pump(ctx);
    }
}

impl Handler<OwnDialog> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, own: OwnDialog, _: &mut Self::Context) {
        let OwnDialog { dialog, invite, owner, flow, call, registry } = own;
        let cancelled = self.early_cancels.remove(&invite);
        // A farewell that came first keeps the dialog, and one that is over already (the thread of the call was stuck and
        // came back too late) leaves nothing to own. While the will is closed no farewell has begun.
        if !registry.has_will(call) {
            return;
        }
        if cancelled {
            owner.do_send(Tell(Input::Cancelled));
        }
        self.invites.insert(invite.clone(), owner.clone());
        self.calls.insert(dialog, Owner { call: owner, invite, flow, pace: Pace::new(crate::now()) });
    }
}

impl Handler<Taken> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, Taken { key, trying, hop }: Taken, ctx: &mut Self::Context) {
        self.guard.accepted(Source::of(hop.remote.ip()));
        self.wire.welcome(hop);
        self.layer.respond(crate::now(), &key, trying);
        self.pump(ctx);
    }
}

impl Handler<Refuse> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, Refuse { key, invite, mut response, hop, offence }: Refuse, ctx: &mut Self::Context) {
        self.early_cancels.remove(&key);
        if let Some(offence) = offence {
            let tag = self.refusal_tag.of(&invite, Source::of(hop.remote.ip()), offence);
            let tagged = invite.respond(response.status, Some(&tag));
            response.headers.set("To", tagged.headers.get("To").unwrap_or_default());
        }
        self.layer.respond_statelessly(&key, response);
        self.pump(ctx);
        if let Some(offence) = offence.filter(|_| hop.transport != Transport::Udp) {
            self.count(hop, offence);
        }
    }
}

impl Handler<CarryOut> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, CarryOut { call, dialog, farewell }: CarryOut, ctx: &mut Self::Context) {
        metrics::farewell(farewell.name());
        if let Some(Owner { invite, .. }) = self.calls.remove(&dialog) {
            self.invites.remove(&invite);
        }
        let branch = format!("z9hG4bK{:016x}", rand::random::<u64>());
        self.vetting.call_over(&dialog);
        self.forget_asked(&dialog);
        let machine = Leaving::begin(crate::now(), farewell, branch);
        self.leaving.insert(dialog.clone(), Leave { call, machine, unanswered: false });
        self.settle(&dialog, ctx);
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
        self.vetting.close_doors();
    }
}

impl Handler<WaitNoLonger> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, _: WaitNoLonger, ctx: &mut Self::Context) {
        let now = crate::now();
        self.leaving.values_mut().for_each(|leave| leave.machine.acked(now));
        let dialogs: Vec<DialogId> = self.leaving.keys().cloned().collect();
        dialogs.iter().for_each(|dialog| self.settle(dialog, ctx));
        self.pump(ctx);
    }
}

impl Handler<CountOpen> for SipEndpoint {
    type Result = usize;

    fn handle(&mut self, _: CountOpen, _: &mut Self::Context) -> usize {
        self.calls.len() + self.leaving.len()
    }
}

impl Handler<CountTransactions> for SipEndpoint {
    type Result = usize;

    fn handle(&mut self, _: CountTransactions, _: &mut Self::Context) -> usize {
        self.layer.len()
    }
}
