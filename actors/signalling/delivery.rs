//! Requests inside dialogs on their way: by the best way first, by the next one where a transport fails, and for a BYE where
//! nobody answers, or somebody on the way who could not pass it on (RFC 3261 section 18.4, RFC 3263 section 4.3). Part of
//! `endpoint.rs`.
//!
//! Invariant: a delivery ends once: answered, or with nothing left to try; whoever asked for it hears of either. The ways are
//! those of `src/sip/dialog/ways.rs`.

use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, Handler, Message, Recipient, WrapFuture};
use bellhop_sip::DialogId;
use bellhop_sip::dialog::Input;
use bellhop_sip::dialog::ways::{self, Way, Ways};
use bellhop_sip::hop::Hop;
use bellhop_sip::message::{self, CSeq, Method, Request, Response};
use bellhop_sip::transaction::{ClientKey, T2};

use super::endpoint::SipEndpoint;
use crate::drive::Tell;

/// How long the address of a next hop may be looked up.
pub const LOCATE_WITHIN: Duration = Duration::from_secs(2);
/// How long a BYE waits for its answer before the next way is tried beside it: bytes handed to a socket are not sent, and a
/// Contact may name an address where nobody is.
pub const BYE_PATIENCE: Duration = T2;

/// Send a request inside a dialog, in a transaction; its outcome goes to `owner`.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct SendInside {
    /// The dialog.
    pub dialog: DialogId,
    /// The request.
    pub request: Request,
    /// By which ways.
    pub ways: Ways,
    /// Who asks.
    pub owner: Recipient<Tell<Input>>,
}

/// Send an ACK.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct SendAck {
    /// The dialog.
    pub dialog: DialogId,
    /// The ACK.
    pub request: Request,
    /// By which ways.
    pub ways: Ways,
}

/// Find out whether the far end of a dialog can be reached, by a connection that is alive or by a new one.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct FindWay {
    /// The dialog.
    pub dialog: DialogId,
    /// The ways that a request of it would take.
    pub ways: Ways,
    /// Who wants to know.
    pub answer: Recipient<WayFound>,
}

/// The answer to [`FindWay`]: what a request can go by, or nothing.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct WayFound(pub Option<Hop>);

/// Something that shall reach the far end of a dialog.
pub(super) struct Delivery {
    dialog: DialogId,
    request: Request,
    ways: Ways,
    purpose: Purpose,
    /// Ways tried so far.
    tries: usize,
    /// Transactions that still run.
    running: Vec<ClientKey>,
}

enum Purpose {
    Bye,
    Ack,
    Asked { owner: Recipient<Tell<Input>>, method: Method, number: u32 },
    Probe { answer: Recipient<WayFound> },
}

/// Names a delivery.
pub(super) type DeliveryId = u64;

impl Delivery {
    pub(super) fn bye(dialog: DialogId, request: Request, ways: Ways) -> Self {
        Self::new(dialog, request, ways, Purpose::Bye)
    }

    fn new(dialog: DialogId, request: Request, ways: Ways, purpose: Purpose) -> Self {
        Self { dialog, request, ways, purpose, tries: 0, running: vec![] }
    }
}

impl SipEndpoint {
    /// Begins a delivery.
    pub(super) fn deliver(&mut self, delivery: Delivery, ctx: &mut Context<Self>) {
        let id = self.next_delivery;
        self.next_delivery += 1;
        self.deliveries.insert(id, delivery);
        self.by_next_way(id, ctx);
    }

    fn by_next_way(&mut self, id: DeliveryId, ctx: &mut Context<Self>) {
        while let Some(delivery) = self.deliveries.get_mut(&id) {
            match delivery.ways.next_way() {
                None => return self.nothing_left(id),
                Some(Way::Flow(hop)) if !self.wire.is_open(hop) => {}
                Some(Way::Flow(hop)) => return self.by_flow(id, hop, ctx),
                Some(Way::Address { transport, remote, host }) => {
                    let opening = self.wire.open(transport, remote, host).into_actor(self);
                    ctx.spawn(opening.map(move |hop, this, ctx| {
                        match hop {
                            Some(hop) => this.carry(id, hop, ctx),
                            None => this.by_next_way(id, ctx),
                        }
                        this.pump(ctx);
                    }));
                    return;
                }
                Some(Way::Host { transport, host, port }) => {
                    let Some(names) = &self.names else { continue };
                    let locating = names.locate(transport, host.clone(), port);
                    let locating = tokio::time::timeout(LOCATE_WITHIN, locating).into_actor(self);
                    ctx.spawn(locating.map(move |found, this, ctx| {
                        if let Some(delivery) = this.deliveries.get_mut(&id) {
                            delivery.ways.found(transport, &host, &found.unwrap_or_default());
                        }
                        this.by_next_way(id, ctx);
                        this.pump(ctx);
                    }));
                    return;
                }
            }
        }
    }

    /// What is open is used as it is; who only asks whether it is alive waits for the far end's word.
    fn by_flow(&mut self, id: DeliveryId, hop: Hop, ctx: &mut Context<Self>) {
        let probes = self.deliveries.get(&id).is_some_and(|delivery| matches!(delivery.purpose, Purpose::Probe { .. }));
        if !probes {
            return self.carry(id, hop, ctx);
        }
        let probing = self.wire.is_alive(hop).into_actor(self);
        ctx.spawn(probing.map(move |alive, this, ctx| {
            if alive {
                this.carry(id, hop, ctx)
            } else {
                this.by_next_way(id, ctx)
            }
            this.pump(ctx);
        }));
    }

    /// Hands the request to a hop that is there.
    fn carry(&mut self, id: DeliveryId, hop: Hop, ctx: &mut Context<Self>) {
        let Some(delivery) = self.deliveries.get_mut(&id) else { return };
        delivery.tries += 1;
        let request = if delivery.tries == 1 && ways::is_written_for(&delivery.request, hop.transport) {
            delivery.request.clone()
        } else {
            let branch = format!("z9hG4bK{:016x}", rand::random::<u64>());
            let sent_by = self.wire.identity(hop).via_sent_by;
            ways::rewritten(delivery.request.clone(), hop.transport, &sent_by, &branch)
        };
        match &delivery.purpose {
            Purpose::Probe { answer } => {
                answer.do_send(WayFound(Some(hop)));
                self.deliveries.remove(&id);
            }
            Purpose::Ack => {
                self.core.transmit(message::Message::Request(request), hop);
                self.deliveries.remove(&id);
            }
            Purpose::Bye | Purpose::Asked { .. } => {
                let tries = delivery.tries;
                let impatient = matches!(delivery.purpose, Purpose::Bye);
                let key = self.core.request(crate::now(), request, hop);
                delivery.running.push(key.clone());
                self.carried.insert(key, id);
                if impatient {
                    ctx.run_later(BYE_PATIENCE, move |this, ctx| {
                        let waits = |delivery: &Delivery| delivery.tries == tries && !delivery.ways.is_exhausted();
                        if this.deliveries.get(&id).is_some_and(waits) {
                            this.by_next_way(id, ctx);
                            this.pump(ctx);
                        }
                    });
                }
            }
        }
    }

    /// A transaction of a delivery has ended without an answer; `unsendable` if its transport failed.
    pub(super) fn went_astray(&mut self, key: &ClientKey, unsendable: bool, ctx: &mut Context<Self>) {
        let Some(id) = self.carried.remove(key) else { return };
        let Some(delivery) = self.deliveries.get_mut(&id) else { return };
        delivery.running.retain(|running| running != key);
        // Only a BYE is worth asking again of somebody who was silent for half a minute.
        if unsendable || matches!(delivery.purpose, Purpose::Bye) {
            self.by_next_way(id, ctx);
        } else {
            self.nothing_left(id);
        }
    }

    fn nothing_left(&mut self, id: DeliveryId) {
        let runs = |delivery: &Delivery| !delivery.running.is_empty();
        if self.deliveries.get(&id).is_none_or(runs) {
            return; // one of the tries may still be answered
        }
        let Some(Delivery { dialog, purpose, .. }) = self.deliveries.remove(&id) else { return };
        match purpose {
            Purpose::Bye => self.bye_ended(&dialog, false),
            Purpose::Ack => {}
            Purpose::Asked { owner, method, number } => owner.do_send(Tell(Input::NoResponse { method, number })),
            Purpose::Probe { answer } => answer.do_send(WayFound(None)),
        }
    }

    /// A response for one of our requests.
    pub(super) fn answered(&mut self, key: &ClientKey, response: Response, ctx: &mut Context<Self>) {
        let is_final = !response.status.is_provisional();
        let Some(&id) = self.carried.get(key) else { return };
        let Some(delivery) = self.deliveries.get(&id) else { return };
        let dialog = delivery.dialog.clone();
        match &delivery.purpose {
            // Somebody on the way could not pass it on: the far end was not told.
            Purpose::Bye if matches!(response.status.0, 408 | 503) => self.went_astray(key, true, ctx),
            Purpose::Bye if is_final => {
                let others = delivery.running.iter().filter(|running| *running != key);
                others.for_each(|running| self.core.abandon(running));
                self.end_delivery(id);
                self.bye_ended(&dialog, true);
            }
            Purpose::Asked { owner, method, .. } => {
                // A 2xx to an INVITE may come again, and wants another ACK then: it is forgotten with the dialog.
                let over = is_final && !(*method == Method::Invite && response.status.is_success());
                owner.do_send(Tell(Input::Response(response)));
                if over {
                    self.end_delivery(id);
                }
            }
            Purpose::Bye | Purpose::Ack | Purpose::Probe { .. } => {}
        }
    }

    fn end_delivery(&mut self, id: DeliveryId) {
        if let Some(Delivery { running, .. }) = self.deliveries.remove(&id) {
            running.iter().for_each(|key| _ = self.carried.remove(key));
        }
    }

    /// The dialog has another owner: what its call still asked for interests nobody.
    pub(super) fn forget_asked(&mut self, dialog: &DialogId) {
        self.deliveries.retain(|_, delivery| delivery.dialog != *dialog);
        let deliveries = &self.deliveries;
        self.carried.retain(|_, of| deliveries.contains_key(of));
    }
}

impl Handler<SendInside> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, SendInside { dialog, request, ways, owner }: SendInside, ctx: &mut Self::Context) {
        // Whoever asks too late, after the teardown, asks nobody.
        if self.core.is_owned(&dialog) {
            let method = request.method.clone();
            let number = request.headers.get("CSeq").and_then(CSeq::parse).map_or(0, |cseq| cseq.number);
            self.deliver(Delivery::new(dialog, request, ways, Purpose::Asked { owner, method, number }), ctx);
            self.pump(ctx);
        }
    }
}

impl Handler<SendAck> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, SendAck { dialog, request, ways }: SendAck, ctx: &mut Self::Context) {
        self.deliver(Delivery::new(dialog, request, ways, Purpose::Ack), ctx);
        self.pump(ctx);
    }
}

impl Handler<FindWay> for SipEndpoint {
    type Result = ();

    fn handle(&mut self, FindWay { dialog, ways, answer }: FindWay, ctx: &mut Self::Context) {
        let nothing = Request::new(Method::Options, "sip:nobody.invalid");
        self.deliver(Delivery::new(dialog, nothing, ways.provable(), Purpose::Probe { answer }), ctx);
        self.pump(ctx);
    }
}
