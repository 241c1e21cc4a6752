//! Requests inside dialogs on their way: by the best way first, by the next one where a transport fails, and for a BYE where
//! nobody answers, or somebody on the way who could not pass it on (RFC 3261 section 18.4, RFC 3263 section 4.3). Part of
//! `endpoint.rs`.
//!
//! ```text
//! next way -a connection that is open-> carried       | asked first whether it lives, where only a way is wanted
//!          -an address-> opened -> carried            | cannot be opened: next way
//!          -a name-> looked up -> next way            | none left: no answer
//! carried  -final response-> over                     | transport failed: next way
//!          -408, 503, or 4 s of nothing, to a BYE-> next way
//! ```
//! Invariant: a delivery ends once: answered, or with nothing left to try; whoever asked for it hears of either. The ways are
//! those of `src/sip/dialog/ways.rs`.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use super::{DeliveryId, Endpoint, Output, Step, World};
use crate::dialog::ways::{self, Way, Ways};
use crate::dialog::{self, DialogId};
use crate::hop::Hop;
use crate::message::{CSeq, Message, Method, Request, Response};
use crate::transaction::{ClientKey, T2};

/// How long a BYE waits for its answer before the next way is tried beside it: bytes handed to a socket are not sent, and a
/// Contact may name an address where nobody is.
pub const BYE_PATIENCE: Duration = T2;

/// Something that shall reach the far end of a dialog.
#[derive(Debug)]
pub(super) struct Delivery<O> {
    dialog: DialogId,
    request: Request,
    ways: Ways,
    purpose: Purpose<O>,
    /// Ways tried so far.
    tries: usize,
    /// Transactions that still run.
    running: Vec<ClientKey>,
    /// Ways that are being looked up, opened or probed.
    asked_for: usize,
}

#[derive(Debug)]
enum Purpose<O> {
    Bye,
    Ack,
    Asked { owner: O, method: Method, number: u32 },
    WayBack { owner: O },
}

impl<O> Delivery<O> {
    pub(super) fn bye(dialog: DialogId, request: Request, ways: Ways) -> Self {
        Self::new(dialog, request, ways, Purpose::Bye)
    }

    pub(super) fn ack(dialog: DialogId, request: Request, ways: Ways) -> Self {
        Self::new(dialog, request, ways, Purpose::Ack)
    }

    pub(super) fn asked(dialog: DialogId, request: Request, ways: Ways, owner: O) -> Self {
        let method = request.method.clone();
        let number = request.headers.get("CSeq").and_then(CSeq::parse).map_or(0, |cseq| cseq.number);
        Self::new(dialog, request, ways, Purpose::Asked { owner, method, number })
    }

    pub(super) fn way_back(dialog: DialogId, ways: Ways, owner: O) -> Self {
        let nothing = Request::new(Method::Options, "sip:nobody.invalid");
        Self::new(dialog, nothing, ways.provable(), Purpose::WayBack { owner })
    }

    fn new(dialog: DialogId, request: Request, ways: Ways, purpose: Purpose<O>) -> Self {
        Self { dialog, request, ways, purpose, tries: 0, running: vec![], asked_for: 0 }
    }

    fn wants_only_a_way(&self) -> bool {
        matches!(self.purpose, Purpose::WayBack { .. })
    }
}

/// All deliveries of one endpoint.
#[derive(Debug)]
pub(super) struct Deliveries<O> {
    under_way: HashMap<DeliveryId, Delivery<O>>,
    /// The transactions that carry them.
    carried: HashMap<ClientKey, DeliveryId>,
    /// When the next way of a BYE is tried beside this try.
    patience: BTreeMap<(Instant, DeliveryId), usize>,
    next: u64,
}

impl<O> Default for Deliveries<O> {
    fn default() -> Self {
        Self { under_way: HashMap::new(), carried: HashMap::new(), patience: BTreeMap::new(), next: 0 }
    }
}

impl<O> Deliveries<O> {
    pub(super) fn begin(&mut self, delivery: Delivery<O>) -> DeliveryId {
        let id = DeliveryId(self.next);
        self.next += 1;
        self.under_way.insert(id, delivery);
        id
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.patience.first_key_value().map(|((at, _), _)| *at)
    }

    /// A way that was asked for is there, or is not to be had.
    pub(super) fn way_told(&mut self, id: DeliveryId) {
        if let Some(delivery) = self.under_way.get_mut(&id) {
            delivery.asked_for = delivery.asked_for.saturating_sub(1);
        }
    }

    /// The addresses of a host of its ways.
    pub(super) fn located(&mut self, id: DeliveryId, found: impl FnOnce(&mut Ways)) {
        if let Some(delivery) = self.under_way.get_mut(&id) {
            found(&mut delivery.ways);
        }
    }

    /// A BYE whose answer was waited for long enough, and that has another way.
    pub(super) fn impatient(&mut self, now: Instant) -> Vec<DeliveryId> {
        let mut due = vec![];
        while let Some(entry) = self.patience.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((_, id), tries) = entry.remove_entry();
            let waits = |delivery: &Delivery<O>| delivery.tries == tries && !delivery.ways.is_exhausted();
            due.extend(self.under_way.get(&id).filter(|delivery| waits(delivery)).map(|_| id));
        }
        due
    }

    /// The dialog has another owner: what its call still asked for interests nobody.
    pub(super) fn forget(&mut self, dialog: &DialogId) {
        self.under_way.retain(|_, delivery| delivery.dialog != *dialog);
        let under_way = &self.under_way;
        self.carried.retain(|_, of| under_way.contains_key(of));
    }

    fn end(&mut self, id: DeliveryId) -> Option<Delivery<O>> {
        let delivery = self.under_way.remove(&id)?;
        delivery.running.iter().for_each(|key| _ = self.carried.remove(key));
        Some(delivery)
    }
}

impl<O: Clone, C: Copy> Endpoint<O, C> {
    pub(super) fn deliver(&mut self, delivery: Delivery<O>) {
        let id = self.deliveries.begin(delivery);
        self.steps.push_back(Step::NextWay(id));
    }

    pub(super) fn by_next_way(&mut self, now: Instant, id: DeliveryId, world: &impl World<O>) {
        while let Some(delivery) = self.deliveries.under_way.get_mut(&id) {
            let output = match delivery.ways.next_way() {
                None => return self.nothing_left(now, id),
                Some(Way::Flow(hop)) if !world.is_open(hop) => continue,
                // What is open is used as it is; who only asks whether it is alive waits for the far end's word.
                Some(Way::Flow(hop)) if !delivery.wants_only_a_way() => return self.carry(now, id, hop, world),
                Some(Way::Flow(hop)) => Output::Probe { delivery: id, hop },
                Some(Way::Address { transport, remote, host }) => {
                    Output::Open { delivery: id, transport, remote, host }
                }
                Some(Way::Host { transport, host, port }) => Output::Locate { delivery: id, transport, host, port },
            };
            delivery.asked_for += 1;
            return self.outputs.push_back(output);
        }
    }

    /// Hands the request to a hop that is there.
    pub(super) fn carry(&mut self, now: Instant, id: DeliveryId, hop: Hop, world: &impl World<O>) {
        let Some(delivery) = self.deliveries.under_way.get_mut(&id) else { return };
        delivery.tries += 1;
        let request = if delivery.tries == 1 && ways::is_written_for(&delivery.request, hop.transport) {
            delivery.request.clone()
        } else {
            ways::rewritten(delivery.request.clone(), hop.transport, &world.sent_by(hop), &world.fresh_branch())
        };
        match &delivery.purpose {
            Purpose::WayBack { owner } => {
                let owner = owner.clone();
                self.deliveries.end(id);
                self.tell(owner, dialog::Input::WayBack(Some(hop)));
            }
            Purpose::Ack => {
                self.deliveries.end(id);
                self.layer.transmit(Message::Request(request), hop);
            }
            Purpose::Bye | Purpose::Asked { .. } => {
                if matches!(delivery.purpose, Purpose::Bye) {
                    self.deliveries.patience.insert((now + BYE_PATIENCE, id), delivery.tries);
                }
                let key = self.layer.request(now, request, hop);
                delivery.running.push(key.clone());
                self.deliveries.carried.insert(key, id);
            }
        }
    }

    /// A transaction of a delivery has ended without an answer; `unsendable` if its transport failed.
    pub(super) fn went_astray(&mut self, now: Instant, key: &ClientKey, unsendable: bool) {
        let Some(id) = self.deliveries.carried.remove(key) else { return };
        let Some(delivery) = self.deliveries.under_way.get_mut(&id) else { return };
        delivery.running.retain(|running| running != key);
        // Only a BYE is worth asking again of somebody who was silent for half a minute.
        if unsendable || matches!(delivery.purpose, Purpose::Bye) {
            self.steps.push_back(Step::NextWay(id));
        } else {
            self.nothing_left(now, id);
        }
    }

    fn nothing_left(&mut self, now: Instant, id: DeliveryId) {
        // One of the tries may still be answered, and a way that is being opened may still be there.
        let is_over = |delivery: &Delivery<O>| delivery.running.is_empty() && delivery.asked_for == 0;
        if !self.deliveries.under_way.get(&id).is_some_and(is_over) {
            return;
        }
        let Some(Delivery { dialog, purpose, .. }) = self.deliveries.end(id) else { return };
        match purpose {
            Purpose::Bye => self.bye_ended(now, &dialog, Answered::ByNobody),
            Purpose::Ack => {}
            Purpose::Asked { owner, method, number } => self.tell(owner, dialog::Input::NoResponse { method, number }),
            Purpose::WayBack { owner } => self.tell(owner, dialog::Input::WayBack(None)),
        }
    }

    /// A response for one of our requests.
    pub(super) fn answered(&mut self, now: Instant, key: &ClientKey, response: Response) {
        let is_final = !response.status.is_provisional();
        let Some(&id) = self.deliveries.carried.get(key) else { return };
        let Some(delivery) = self.deliveries.under_way.get(&id) else { return };
        match &delivery.purpose {
            // Somebody on the way could not pass it on: the far end was not told.
            Purpose::Bye if matches!(response.status.0, 408 | 503) => self.went_astray(now, key, true),
            Purpose::Bye if is_final => {
                let Some(Delivery { dialog, running, .. }) = self.deliveries.end(id) else { return };
                running.iter().filter(|running| *running != key).for_each(|running| self.layer.abandon(running));
                self.bye_ended(now, &dialog, Answered::ByTheFarEnd);
            }
            Purpose::Asked { owner, method, .. } => {
                // A 2xx to an INVITE may come again, and wants another ACK then: it is forgotten with the dialog.
                let over = is_final && !(*method == Method::Invite && response.status.is_success());
                let owner = owner.clone();
                self.tell(owner, dialog::Input::Response(response));
                if over {
                    self.deliveries.end(id);
                }
            }
            Purpose::Bye | Purpose::Ack | Purpose::WayBack { .. } => {}
        }
    }
}

/// What became of the BYE of a teardown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answered {
    ByTheFarEnd,
    ByNobody,
}

#[cfg(test)]
mod tests;
