//! SipEndpoint: transactions of the whole process, and every farewell.
//!
//! It outlives all calls. Invariant: a dialog has one owner: its call's SipDialog, or, from the farewell on, a
//! [`Leaving`] machine in here.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, Recipient, SpawnHandle, WrapFuture};
use bellhop_sip::DialogId;
use bellhop_sip::dialog::LocalIdentity;
use bellhop_sip::dialog::leaving::{self, Farewell, Leaving};
use bellhop_sip::dialog::vetting::{Vetted, Vetting};
use bellhop_sip::hop::{Hop, Transport};
use bellhop_sip::locate::{self, NameResolver};
use bellhop_sip::message::parse::{self, Malformed};
use bellhop_sip::message::{self, CSeq, Method, Request, Response, StatusCode};
use bellhop_sip::source_guard::SourceGuard;
use bellhop_sip::transaction::{ClientKey, Layer, Output, ServerKey};
use bytes::Bytes;

use crate::call::messages::{InviteCancelled, NoResponseInside, RequestInside, ResponseInside};
use crate::call::sip_dialog::SipDialog;
use crate::metrics;

/// Most messages waiting for the endpoint; beyond it the network's retransmissions are the queue.
pub const MAILBOX: usize = 4096;

/// How long a request may wait for the address of its next hop.
pub const LOCATE_WITHIN: Duration = Duration::from_secs(2);

/// The way out: real sockets, or a test's carrier.
pub trait Wire {
    /// Sends bytes to a hop. A hop that cannot be reached comes back as [`TransportFailed`].
    fn transmit(&mut self, hop: Hop, bytes: Bytes);
    /// How we name ourselves to this hop.
    fn identity(&self, hop: Hop) -> LocalIdentity;
    /// The host name that the far end of this hop asked for in TLS (SNI).
    fn server_name(&self, _: Hop) -> Option<Arc<str>> {
        None
    }
    /// Whether a source stands on an allow-list: it is listened to whatever it does.
    fn is_trusted(&self, _: IpAddr) -> bool {
        false
    }
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

/// This SipDialog owns the dialog.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct OwnDialog {
    /// The dialog.
    pub dialog: DialogId,
    /// The INVITE's transaction, for CANCEL.
    pub invite: ServerKey,
    /// The owner.
    pub owner: Addr<SipDialog>,
}

/// Send a request inside a dialog, in a transaction; its outcome goes to `owner`.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct SendInside {
    /// The dialog.
    pub dialog: DialogId,
    /// The request.
    pub request: Request,
    /// To where.
    pub hop: Hop,
    /// Who asks.
    pub owner: Addr<SipDialog>,
}

/// Send an ACK.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct SendAck {
    /// The ACK.
    pub request: Request,
    /// To where.
    pub hop: Hop,
}

/// Carry out a farewell: the dialog is ours from here on.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CarryOut {
    /// The dialog.
    pub dialog: DialogId,
    /// How to leave.
    pub farewell: Farewell,
}

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
}

/// What Reception made of a call: refusals shut a source out in the end.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Judged {
    /// Where the INVITE came from.
    pub source: IpAddr,
    /// Whether it was taken, or refused for what it is.
    pub welcome: bool,
}

/// From here on OPTIONS outside dialogs get 503.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CloseDoors;

/// How much is still going on: transactions and farewells.
#[derive(Debug, Message)]
#[rtype(result = "usize")]
pub struct CountOpen;

/// The actor.
pub struct SipEndpoint {
    layer: Layer,
    vetting: Vetting,
    guard: SourceGuard,
    wire: Box<dyn Wire>,
    reception: Recipient<CallOffered>,
    calls: HashMap<DialogId, Owner>,
    leaving: HashMap<DialogId, Leaving>,
    invites: HashMap<ServerKey, Addr<SipDialog>>,
    /// Cancelled before their call had come to be: told to its SipDialog as soon as there is one.
    early_cancels: HashSet<ServerKey>,
    byes: HashMap<ClientKey, DialogId>,
    /// Requests that calls sent inside their dialogs.
    asked: HashMap<ClientKey, Asked>,
    /// Looks up the names of next hops; without one requests go to where the INVITE came from.
    names: Option<Arc<dyn NameResolver>>,
    timer: Option<(Instant, SpawnHandle)>,
}

/// The call a dialog belongs to, and its INVITE's transaction.
struct Owner {
    call: Addr<SipDialog>,
    invite: ServerKey,
}

/// A request that waits for its outcome.
struct Asked {
    dialog: DialogId,
    owner: Addr<SipDialog>,
    method: Method,
    number: u32,
}

impl SipEndpoint {
    /// An endpoint that offers calls to `reception` and sends by `wire`.
    pub fn new(wire: Box<dyn Wire>, reception: Recipient<CallOffered>) -> Self {
        Self {
            layer: Layer::default(),
            vetting: Vetting::default(),
            guard: SourceGuard::default(),
            wire,
            reception,
            calls: HashMap::new(),
            leaving: HashMap::new(),
            invites: HashMap::new(),
            early_cancels: HashSet::new(),
            byes: HashMap::new(),
            asked: HashMap::new(),
            names: None,
            timer: None,
        }
    }

    /// The same, with a resolver for the names of next hops.
    pub fn with_names(mut self, names: Arc<dyn NameResolver>) -> Self {
        self.names = Some(names);
        self
    }

    /// Sends a request inside a dialog, once its next hop is known; `sent` hears of its transaction.
    fn send(
        &mut self,
        request: Request,
        hop: Hop,
        ctx: &mut Context<Self>,
        sent: impl FnOnce(&mut Self, ClientKey) + 'static,
    ) {
        let named = locate::named_next_hop(&request).filter(|_| hop.transport == Transport::Udp);
        let (Some((host, port)), Some(names)) = (named, &self.names) else {
            let key = self.layer.request(crate::now(), request, hop);
            return sent(self, key);
        };
        let locating = tokio::time::timeout(LOCATE_WITHIN, names.locate(host, port)).into_actor(self);
        ctx.spawn(locating.map(move |found, this, ctx| {
            let found = found.unwrap_or_default().into_iter().find(|at| at.is_ipv4() == hop.remote.is_ipv4());
            let hop = Hop { remote: found.unwrap_or(hop.remote), ..hop };
            let key = this.layer.request(crate::now(), request, hop);
            sent(this, key);
            this.pump(ctx);
        }));
    }

    /// Drains everything until all is quiet, then arms the timer.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        while let Some(output) = self.layer.poll() {
            match output {
                Output::Transmit { hop, message, bytes } => {
                    if let message::Message::Response(response) = &message {
                        metrics::sip_response(response.status.0);
                    }
                    self.wire.transmit(hop, bytes);
                }
                Output::Request { key, request, hop } => self.request(key, request, hop, ctx),
                Output::Ack { request, hop } => self.inside(None, request, hop, ctx),
                Output::Cancelled { invite } => match self.invites.get(&invite) {
                    Some(owner) => owner.do_send(InviteCancelled {}),
                    None => {
                        self.early_cancels.insert(invite);
                    }
                },
                Output::Response { key, response } => self.answered(&key, response, ctx),
                Output::NoResponse { key } => match self.asked.remove(&key) {
                    Some(Asked { owner, method, number, .. }) => owner.do_send(NoResponseInside { method, number }),
                    None => self.bye_ended(&key, ctx),
                },
                Output::NoAck { .. } => {}
            }
        }
        metrics::sip_transactions(self.layer.len());
        self.arm(ctx);
    }

    fn arm(&mut self, ctx: &mut Context<Self>) {
        let leaving = self.leaving.values().filter_map(Leaving::deadline);
        let deadline = leaving.chain(self.layer.deadline()).min();
        if deadline == self.timer.map(|(at, _)| at) {
            return;
        }
        if let Some((_, handle)) = self.timer.take() {
            ctx.cancel_future(handle);
        }
        let Some(at) = deadline else { return };
        let handle = ctx.run_later(at.saturating_duration_since(crate::now()), |this, ctx| {
            this.timer = None;
            let now = crate::now();
            this.layer.handle_timeout(now);
            let due: Vec<DialogId> = this.leaving_due(now);
            for dialog in due {
                if let Some(leaving) = this.leaving.get_mut(&dialog) {
                    leaving.handle_timeout(now);
                }
                this.settle(&dialog, ctx);
            }
            this.pump(ctx);
        });
        self.timer = Some((at, handle));
    }

    fn leaving_due(&self, now: Instant) -> Vec<DialogId> {
        let due = |leaving: &Leaving| leaving.deadline().is_some_and(|at| at <= now);
        self.leaving.iter().filter(|(_, leaving)| due(leaving)).map(|(id, _)| id.clone()).collect()
    }

    fn request(&mut self, key: ServerKey, request: Request, hop: Hop, ctx: &mut Context<Self>) {
        match self.vetting.judge(&request) {
            Vetted::Answer(response) => {
                // What no caller of ours would ask: a scanner's questions.
                if matches!(response.status.0, 403 | 405 | 416 | 481) {
                    self.guard.refused(crate::now(), hop.remote.ip());
                }
                self.layer.respond(crate::now(), &key, *response);
            }
            Vetted::Inside => self.inside(Some(key), request, hop, ctx),
            Vetted::NewCall => {
                let local = self.wire.identity(hop);
                let local_tag = format!("{:016x}", rand::random::<u64>());
                let server_name = self.wire.server_name(hop);
                self.reception.do_send(CallOffered { key, invite: request, hop, local, local_tag, server_name });
            }
        }
    }

    fn answered(&mut self, key: &ClientKey, response: Response, ctx: &mut Context<Self>) {
        let is_final = !response.status.is_provisional();
        let Some(asked) = self.asked.get(key) else {
            if is_final {
                self.bye_ended(key, ctx);
            }
            return;
        };
        // A 2xx to an INVITE may come again, and wants another ACK then: it is forgotten with the dialog.
        let over = is_final && !(asked.method == Method::Invite && response.status.is_success());
        asked.owner.do_send(ResponseInside { response });
        if over {
            self.asked.remove(key);
        }
    }

    /// A request inside a dialog, or an ACK (which has no transaction).
    fn inside(&mut self, key: Option<ServerKey>, request: Request, hop: Hop, ctx: &mut Context<Self>) {
        let now = crate::now();
        let dialog = DialogId::of_request(&request);
        // A call that is gone without a farewell in here (its thread came back too late) owns nothing any more.
        self.forget_if_gone(dialog.as_ref());
        if let Some(owner) = dialog.as_ref().and_then(|dialog| self.calls.get(dialog)) {
            return owner.call.do_send(RequestInside { key, request, hop });
        }
        let Some((dialog, leaving)) = dialog.and_then(|id| self.leaving.get_mut(&id).map(|leaving| (id, leaving)))
        else {
            if let Some(key) = key {
                self.layer.respond(now, &key, request.respond(StatusCode(481), None));
            }
            return;
        };
        match (&request.method, key) {
            (Method::Ack, _) => leaving.acked(now),
            (Method::Bye, Some(key)) => {
                leaving.caller_hung_up();
                self.layer.respond(now, &key, request.respond(StatusCode(200), None));
            }
            (_, Some(key)) => self.layer.respond(now, &key, request.respond(StatusCode(481), None)),
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

    fn bye_ended(&mut self, key: &ClientKey, ctx: &mut Context<Self>) {
        let Some(dialog) = self.byes.remove(key) else { return };
        if let Some(leaving) = self.leaving.get_mut(&dialog) {
            leaving.bye_ended();
        }
        self.settle(&dialog, ctx);
    }

    /// Carries out what a farewell wants next, and forgets the dialog when all is said.
    fn settle(&mut self, dialog: &DialogId, ctx: &mut Context<Self>) {
        let now = crate::now();
        while let Some(leaving) = self.leaving.get_mut(dialog) {
            match leaving.poll() {
                Some(leaving::Output::Respond { key, response }) => {
                    self.early_cancels.remove(&key);
                    self.layer.respond(now, &key, response);
                }
                Some(leaving::Output::Request { request, hop }) => {
                    let of = dialog.clone();
                    self.send(request, hop, ctx, move |this, key| {
                        this.byes.insert(key, of);
                    });
                }
                None => {
                    if leaving.is_done() {
                        self.leaving.remove(dialog);
                    }
                    return;
                }
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
        let source = hop.remote.ip();
        if self.guard.is_shut_out(crate::now(), source) && !self.wire.is_trusted(source) {
            return metrics::sip_dropped("shut_out");
        }
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

    fn handle(&mut self, OwnDialog { dialog, invite, owner }: OwnDialog, _: &mut Self::Context) {
        // A farewell that came first keeps the dialog.
        if !self.leaving.contains_key(&dialog) {
            if self.early_cancels.remove(&invite) {
                owner.do_send(InviteCancelled {});
            }
            self.invites.insert(invite.clone(), owner.clone());
            self.calls.insert(dialog, Owner { call: owner, invite });
        }
    }
}

impl Handler<Judged> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, Judged { source, welcome }: Judged, _: &mut Self::Context) {
        if welcome {
            self.guard.accepted(source);
        } else {
            self.guard.refused(crate::now(), source);
        }
    }
}

impl Handler<SendInside> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, SendInside { dialog, request, hop, owner }: SendInside, ctx: &mut Self::Context) {
        // Whoever asks too late, after the farewell, asks nobody.
        if self.calls.contains_key(&dialog) {
            let method = request.method.clone();
            let number = request.headers.get("CSeq").and_then(CSeq::parse).map_or(0, |cseq| cseq.number);
            self.send(request, hop, ctx, move |this, key| {
                this.asked.insert(key, Asked { dialog, owner, method, number });
            });
            self.pump(ctx);
        }
    }
}

impl Handler<SendAck> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, SendAck { request, hop }: SendAck, ctx: &mut Self::Context) {
        self.layer.transmit(message::Message::Request(request), hop);
        self.pump(ctx);
    }
}

impl Handler<CarryOut> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, CarryOut { dialog, farewell }: CarryOut, ctx: &mut Self::Context) {
        metrics::farewell(farewell.name());
        if let Some(Owner { invite, .. }) = self.calls.remove(&dialog) {
            self.invites.remove(&invite);
        }
        let branch = format!("z9hG4bK{:016x}", rand::random::<u64>());
        self.vetting.call_over(&dialog);
        self.asked.retain(|_, asked| asked.dialog != dialog);
        self.leaving.insert(dialog.clone(), Leaving::begin(crate::now(), farewell, branch));
        self.settle(&dialog, ctx);
        self.pump(ctx);
    }
}

impl Handler<CloseDoors> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, _: CloseDoors, _: &mut Self::Context) {
        self.vetting.close_doors();
    }
}

impl Handler<CountOpen> for SipEndpoint {
    type Result = usize;

    fn handle(&mut self, _: CountOpen, _: &mut Self::Context) -> usize {
        self.calls.len() + self.leaving.len()
    }
}
