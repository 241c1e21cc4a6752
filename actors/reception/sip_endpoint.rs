//! SipEndpoint: transactions of the whole process, and every farewell.
//!
//! It outlives all calls. Invariant: a dialog has one owner: its call's SipDialog, or, from the farewell on, a
//! [`Leaving`] machine in here.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Instant;

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message, Recipient, SpawnHandle};
use bellhop_sip::DialogId;
use bellhop_sip::dialog::LocalIdentity;
use bellhop_sip::dialog::leaving::{self, Farewell, Leaving};
use bellhop_sip::dialog::vetting::{Vetted, Vetting};
use bellhop_sip::hop::{Hop, Transport};
use bellhop_sip::message::parse::{self, Malformed};
use bellhop_sip::message::{self, Method, Request, Response, StatusCode, Via, stamp_via};
use bellhop_sip::transaction::{ClientKey, Layer, Output, ServerKey};
use bytes::Bytes;

use crate::call::messages::{InviteCancelled, RequestInside};
use crate::call::sip_dialog::SipDialog;
use crate::metrics;

/// Most messages waiting for the endpoint; beyond it the network's retransmissions are the queue.
pub const MAILBOX: usize = 4096;

/// The way out: real sockets, or a test's carrier.
pub trait Wire {
    /// Sends bytes to a hop. A hop that cannot be reached comes back as [`TransportFailed`].
    fn transmit(&mut self, hop: Hop, bytes: Bytes);
    /// How we name ourselves to this hop.
    fn identity(&self, hop: Hop) -> LocalIdentity;
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
    wire: Box<dyn Wire>,
    reception: Recipient<CallOffered>,
    dialogs: HashMap<DialogId, Owner>,
    invites: HashMap<ServerKey, Addr<SipDialog>>,
    byes: HashMap<ClientKey, DialogId>,
    timer: Option<(Instant, SpawnHandle)>,
}

enum Owner {
    Call { owner: Addr<SipDialog>, invite: ServerKey },
    Leaving(Leaving),
}

impl SipEndpoint {
    /// An endpoint that offers calls to `reception` and sends by `wire`.
    pub fn new(wire: Box<dyn Wire>, reception: Recipient<CallOffered>) -> Self {
        Self {
            layer: Layer::default(),
            vetting: Vetting::default(),
            wire,
            reception,
            dialogs: HashMap::new(),
            invites: HashMap::new(),
            byes: HashMap::new(),
            timer: None,
        }
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
                Output::Request { key, request, hop } => self.request(key, request, hop),
                Output::Ack { request, .. } => self.inside(None, request),
                Output::Cancelled { invite } => {
                    if let Some(owner) = self.invites.get(&invite) {
                        owner.do_send(InviteCancelled {});
                    }
                }
                Output::Response { key, response } => {
                    if !response.status.is_provisional() {
                        self.bye_ended(&key);
                    }
                }
                Output::NoResponse { key } => self.bye_ended(&key),
                Output::NoAck { .. } => {}
            }
        }
        metrics::sip_transactions(self.layer.len());
        self.arm(ctx);
    }

    fn arm(&mut self, ctx: &mut Context<Self>) {
        let leaving = self.dialogs.values().filter_map(|owner| match owner {
            Owner::Leaving(leaving) => leaving.deadline(),
            Owner::Call { .. } => None,
        });
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
                if let Some(Owner::Leaving(leaving)) = this.dialogs.get_mut(&dialog) {
                    leaving.handle_timeout(now);
                }
                this.settle(&dialog);
            }
            this.pump(ctx);
        });
        self.timer = Some((at, handle));
    }

    fn leaving_due(&self, now: Instant) -> Vec<DialogId> {
        let due = |owner: &Owner| matches!(owner, Owner::Leaving(l) if l.deadline().is_some_and(|at| at <= now));
        self.dialogs.iter().filter(|(_, owner)| due(owner)).map(|(id, _)| id.clone()).collect()
    }

    fn request(&mut self, key: ServerKey, request: Request, hop: Hop) {
        match self.vetting.judge(&request) {
            Vetted::Answer(response) => self.layer.respond(crate::now(), &key, *response),
            Vetted::Inside => self.inside(Some(key), request),
            Vetted::NewCall => {
                let local = self.wire.identity(hop);
                let local_tag = format!("{:016x}", rand::random::<u64>());
                self.reception.do_send(CallOffered { key, invite: request, hop, local, local_tag });
            }
        }
    }

    /// A request inside a dialog, or an ACK (which has no transaction).
    fn inside(&mut self, key: Option<ServerKey>, request: Request) {
        let dialog = DialogId::of_request(&request);
        match dialog.as_ref().and_then(|dialog| self.dialogs.get_mut(dialog)) {
            Some(Owner::Call { owner, .. }) => owner.do_send(RequestInside { key, request }),
            Some(Owner::Leaving(leaving)) => {
                let now = crate::now();
                match (request.method.clone(), key) {
                    (Method::Ack, _) => leaving.acked(now),
                    (method, Some(key)) => {
                        if method == Method::Bye {
                            leaving.caller_hung_up();
                        }
                        let status = if method == Method::Bye { 200 } else { 481 };
                        self.layer.respond(now, &key, request.respond(StatusCode(status), None));
                    }
                    (_, None) => {}
                }
                if let Some(dialog) = dialog {
                    self.settle(&dialog);
                }
            }
            None => {
                if let Some(key) = key {
                    self.layer.respond(crate::now(), &key, request.respond(StatusCode(481), None));
                }
            }
        }
    }

    fn bye_ended(&mut self, key: &ClientKey) {
        let Some(dialog) = self.byes.remove(key) else { return };
        if let Some(Owner::Leaving(leaving)) = self.dialogs.get_mut(&dialog) {
            leaving.bye_ended();
        }
        self.settle(&dialog);
    }

    /// Carries out what a farewell wants next, and forgets the dialog when all is said.
    fn settle(&mut self, dialog: &DialogId) {
        let now = crate::now();
        while let Some(Owner::Leaving(leaving)) = self.dialogs.get_mut(dialog) {
            match leaving.poll() {
                Some(leaving::Output::Respond { key, response }) => self.layer.respond(now, &key, response),
                Some(leaving::Output::Request { request, hop }) => {
                    let key = self.layer.request(now, request, hop);
                    self.byes.insert(key, dialog.clone());
                }
                None => {
                    if leaving.is_done() {
                        self.dialogs.remove(dialog);
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
        match parse::message(&bytes) {
            Ok(mut message) => {
                if let message::Message::Request(request) = &mut message {
                    stamp(request, &mut hop);
                }
                self.layer.receive(crate::now(), message, hop);
            }
            Err(Malformed::Answerable { mut request, status, why }) => {
                metrics::sip_dropped("malformed");
                // Answered without state: garbage earns no transaction (RFC 3261 section 8.2.7). Never an ACK.
                if request.method != Method::Ack {
                    stamp(&mut request, &mut hop);
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

/// Stamps the top Via with the source, and says where responses go (RFC 3261 section 18.2.2, RFC 3581): over UDP to
/// `received` and `rport`; over TCP by the same connection, and if that is gone to the port of sent-by.
fn stamp(request: &mut Request, hop: &mut Hop) {
    let source: SocketAddr = hop.remote;
    let Some(top) = request.headers.get("Via") else { return };
    let stamped = stamp_via(top, source);
    if let Some(via) = Via::parse(&stamped) {
        hop.remote = match hop.transport {
            Transport::Udp => via.response_address(source),
            Transport::Tcp => SocketAddr::new(source.ip(), via.port.unwrap_or(5060)),
        };
    }
    request.headers.set_first("Via", &stamped);
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
        self.layer.respond(crate::now(), &key, response);
        self.pump(ctx);
    }
}

impl Handler<OwnDialog> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, OwnDialog { dialog, invite, owner }: OwnDialog, _: &mut Self::Context) {
        // A farewell that came first keeps the dialog.
        if !self.dialogs.contains_key(&dialog) {
            self.invites.insert(invite.clone(), owner.clone());
            self.dialogs.insert(dialog, Owner::Call { owner, invite });
        }
    }
}

impl Handler<CarryOut> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, CarryOut { dialog, farewell }: CarryOut, ctx: &mut Self::Context) {
        metrics::farewell(farewell.name());
        if let Some(Owner::Call { invite, .. }) = self.dialogs.get(&dialog) {
            self.invites.remove(invite);
        }
        let branch = format!("z9hG4bK{:016x}", rand::random::<u64>());
        self.vetting.call_over(&dialog);
        self.dialogs.insert(dialog.clone(), Owner::Leaving(Leaving::begin(crate::now(), farewell, branch)));
        self.settle(&dialog);
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
        self.dialogs.len()
    }
}
