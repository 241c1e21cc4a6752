//! The endpoint of a process: whose a message is, what is answered without bothering anybody, and by which way a request of
//! ours goes.
//!
//! ```text
//! request   outside a dialog -vetted-> answered | a new call is offered      | its source is shut out: dropped
//!           inside           -> the owner | the teardown of a call that left | nobody: 481
//! CANCEL    -> the owner of its INVITE | remembered until there is one
//! response  -> whoever sent the request, by the delivery that carried it
//! ```
//! Invariant: a dialog has one owner: its call, or, from the teardown on, a [`crate::dialog::teardown::Terminating`] machine in
//! here. Its words are in `endpoint/events.rs`, the ways of what we send in `endpoint/delivery.rs`, calls that have left in
//! `endpoint/teardowns.rs`. Driver: `actors/signalling/endpoint.rs`.

mod delivery;
mod events;
mod teardowns;
#[cfg(test)]
mod tests;

pub use delivery::BYE_PATIENCE;
pub use events::{DeliveryId, Input, Output, Ownership, Refusal, World};

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Instant;

use bytes::Bytes;

use crate::dialog::pace::Pace;
use crate::dialog::vetting::{Vetted, Vetting};
use crate::dialog::{self, DialogId};
use crate::hop::{Hop, Transport};
use crate::message::parse::{self, Malformed};
use crate::message::{Message, Method, Request, StatusCode};
use crate::networks::Source;
use crate::source_guard::{Offence, RefusalTag, SourceGuard};
use crate::transaction::{self, Layer, ServerKey};

use delivery::{Deliveries, Delivery};
use teardowns::Leave;

/// The endpoint.
#[derive(Debug)]
pub struct Endpoint<O, C> {
    layer: Layer,
    vetting: Vetting,
    guard: SourceGuard,
    refusal_tag: RefusalTag,
    calls: HashMap<DialogId, Owned<O>>,
    terminating: HashMap<DialogId, Leave<C>>,
    invites: HashMap<ServerKey, O>,
    /// Cancelled before their call had come to be: told to its owner as soon as there is one.
    early_cancels: HashSet<ServerKey>,
    deliveries: Deliveries<O>,
    /// What is done next, once all that is to be sent has been told: it may want to know something of the world.
    steps: VecDeque<Step>,
    outputs: VecDeque<Output<O, C>>,
}

/// The call a dialog belongs to, and its INVITE's transaction.
#[derive(Debug)]
struct Owned<O> {
    owner: O,
    invite: ServerKey,
    /// The connection, or the socket, that its last message came by.
    flow: u64,
    pace: Pace,
}

/// What goes on by itself.
#[derive(Debug)]
enum Step {
    /// A delivery takes its next way.
    NextWay(DeliveryId),
    /// A delivery goes by this hop.
    Carry(DeliveryId, Hop),
    /// A refusal counts against the source of this hop.
    Count(Hop, Offence),
}

impl<O: Clone, C: Copy> Endpoint<O, C> {
    /// An endpoint that knows nobody yet. `secret` is random, for the life of the process.
    pub fn new(secret: [u8; 32]) -> Self {
        Self {
            layer: Layer::default(),
            vetting: Vetting::default(),
            guard: SourceGuard::default(),
            refusal_tag: RefusalTag::new(secret),
            calls: HashMap::new(),
            terminating: HashMap::new(),
            invites: HashMap::new(),
            early_cancels: HashSet::new(),
            deliveries: Deliveries::default(),
            steps: VecDeque::new(),
            outputs: VecDeque::new(),
        }
    }

    /// One thing happened, or is to be done.
    pub fn handle(&mut self, now: Instant, input: Input<O, C>) {
        match input {
            Input::Arrived { bytes, hop } => self.arrived(now, &bytes, hop),
            Input::TransportFailed(hop) => {
                self.outputs.push_back(Output::Dropped("unsendable"));
                self.layer.transport_failed(hop);
            }
            Input::FlowLost(flow) => self.layer.flow_lost(flow),
            Input::Respond { key, response } => {
                if !response.status.is_provisional() {
                    self.early_cancels.remove(&key);
                }
                self.layer.respond(now, &key, response);
            }
            Input::Own(ownership) => self.own(now, ownership),
            Input::ForgetInvite(invite) => _ = self.early_cancels.remove(&invite),
            Input::Taken { key, trying, hop } => {
                self.guard.accepted(Source::of(hop.remote.ip()));
                self.outputs.push_back(Output::Welcomed(hop));
                self.layer.respond(now, &key, trying);
            }
            Input::Refuse(refusal) => self.refuse(refusal),
            Input::Send { dialog, request, ways } => {
                // Whoever asks too late, after the teardown, asks nobody.
                if let Some(owner) = self.owner(&dialog) {
                    self.deliver(Delivery::asked(dialog, request, ways, owner));
                }
            }
            Input::Acknowledge { dialog, request, ways } => self.deliver(Delivery::ack(dialog, request, ways)),
            Input::FindWayBack { dialog, ways } => {
                if let Some(owner) = self.owner(&dialog) {
                    self.deliver(Delivery::way_back(dialog, ways, owner));
                }
            }
            Input::Opened { delivery, hop: Some(hop) } | Input::Probed { delivery, alive: Some(hop) } => {
                self.deliveries.way_told(delivery);
                self.steps.push_back(Step::Carry(delivery, hop));
            }
            Input::Opened { delivery, hop: None } | Input::Probed { delivery, alive: None } => {
                self.deliveries.way_told(delivery);
                self.steps.push_back(Step::NextWay(delivery));
            }
            Input::Located { delivery, transport, host, addresses } => {
                self.deliveries.way_told(delivery);
                self.deliveries.located(delivery, |ways| ways.found(transport, &host, &addresses));
                self.steps.push_back(Step::NextWay(delivery));
            }
            Input::CarryOut { call, dialog, teardown, branch } => self.carry_out(now, call, &dialog, teardown, branch),
            Input::WaitNoLonger => self.wait_no_longer(now),
            Input::CloseDoors => self.vetting.close_doors(),
        }
    }

    /// What to do next; drain until `None`.
    pub fn poll(&mut self, now: Instant, world: &impl World<O>) -> Option<Output<O, C>> {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return Some(output);
            }
            if let Some(output) = self.layer.poll() {
                self.route(now, output, world);
                continue;
            }
            match self.steps.pop_front()? {
                Step::NextWay(delivery) => self.by_next_way(now, delivery, world),
                Step::Carry(delivery, hop) => self.carry(now, delivery, hop, world),
                Step::Count(hop, offence) => self.count(now, hop, offence, world),
            }
        }
    }

    /// When to call [`Endpoint::handle_timeout`].
    pub fn deadline(&self) -> Option<Instant> {
        let terminating = self.terminating.values().filter_map(|leave| leave.machine.deadline());
        terminating.chain(self.layer.deadline()).chain(self.deliveries.deadline()).min()
    }

    /// The deadline passed; early calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.layer.handle_timeout(now);
        self.terminating_timeout(now);
        self.steps.extend(self.deliveries.impatient(now).into_iter().map(Step::NextWay));
    }

    /// Whether the last message of a call came by this connection; calls that are being torn down do not count.
    pub fn is_flow_used(&self, flow: u64) -> bool {
        self.calls.values().any(|owned| owned.flow == flow)
    }

    /// How many dialogs there are, those that are being left among them.
    pub fn dialogs(&self) -> usize {
        self.calls.len() + self.terminating.len()
    }

    /// How many transactions live.
    pub fn transactions(&self) -> usize {
        self.layer.len()
    }

    fn tell(&mut self, owner: O, input: dialog::Input) {
        self.outputs.push_back(Output::Tell { owner, input });
    }

    /// Who owns a dialog: nobody from its teardown on.
    fn owner(&self, dialog: &DialogId) -> Option<O> {
        self.calls.get(dialog).map(|owned| owned.owner.clone())
    }

    fn arrived(&mut self, now: Instant, bytes: &Bytes, mut hop: Hop) {
        match parse::message(bytes) {
            Ok(mut message) => {
                if let Message::Request(request) = &mut message {
                    hop.remote = request.stamp(hop);
                }
                self.layer.receive(now, message, hop);
            }
            Err(Malformed::Answerable { mut request, status, why }) => {
                self.outputs.push_back(Output::Dropped("malformed"));
                // Answered without state: garbage earns no transaction (RFC 3261 section 8.2.7). Never an ACK.
                if request.method != Method::Ack {
                    hop.remote = request.stamp(hop);
                    let mut response = request.respond(status, Some("malformed"));
                    why.clone_into(&mut response.reason);
                    self.layer.transmit(Message::Response(response), hop);
                }
            }
            Err(Malformed::Garbage(_)) => self.outputs.push_back(Output::Dropped("malformed")),
        }
    }

    fn own(&mut self, now: Instant, Ownership { dialog, invite, owner, flow }: Ownership<O>) {
        if self.early_cancels.remove(&invite) {
            self.tell(owner.clone(), dialog::Input::Cancelled);
        }
        self.invites.insert(invite.clone(), owner.clone());
        self.calls.insert(dialog, Owned { owner, invite, flow, pace: Pace::new(now) });
    }

    fn refuse(&mut self, Refusal { key, invite, mut response, hop, offence }: Refusal) {
        self.early_cancels.remove(&key);
        if let Some(offence) = offence {
            let tag = self.refusal_tag.of(&invite, Source::of(hop.remote.ip()), offence);
            let tagged = invite.respond(response.status, Some(&tag));
            response.headers.set("To", tagged.headers.get("To").unwrap_or_default());
        }
        self.layer.respond_statelessly(&key, response);
        // The answer goes first: a source that is shut out loses its connections.
        if let Some(offence) = offence.filter(|_| hop.transport != Transport::Udp) {
            self.steps.push_back(Step::Count(hop, offence));
        }
    }

    fn route(&mut self, now: Instant, output: transaction::Output, world: &impl World<O>) {
        use transaction::Output as Layered;
        match output {
            Layered::Transmit { hop, message, bytes } => {
                if let Message::Response(response) = &message {
                    self.vetting.answered(response);
                }
                self.outputs.push_back(Output::Transmit { hop, message, bytes });
            }
            Layered::Retransmit { hop, status, bytes } => {
                self.outputs.push_back(Output::Retransmit { hop, status, bytes })
            }
            Layered::Request { key, request, hop } => self.requested(now, key, request, hop, world),
            Layered::Ack { request, hop } => self.inside(now, None, request, hop, world),
            Layered::Cancelled { invite } => match self.invites.get(&invite).cloned() {
                Some(owner) => self.tell(owner, dialog::Input::Cancelled),
                None => _ = self.early_cancels.insert(invite),
            },
            Layered::Response { key, response } => self.answered(now, &key, response),
            Layered::NoResponse { key } => self.went_astray(now, &key, false),
            Layered::Unsendable { key } => self.went_astray(now, &key, true),
            Layered::NoAck { .. } => {}
        }
    }

    fn requested(&mut self, now: Instant, key: ServerKey, request: Request, hop: Hop, world: &impl World<O>) {
        let inside = DialogId::of_request(&request).is_some();
        let shut_out = || self.guard.is_shut_out(now, Source::of(hop.remote.ip())) && !world.is_trusted(hop);
        if !inside && hop.transport == Transport::Udp && shut_out() {
            self.outputs.push_back(Output::Dropped("shut_out"));
            return self.layer.ignore(&key);
        }
        match self.vetting.judge(&request) {
            // Floods of what we do not serve cost no memory.
            Vetted::Answer(response) => self.layer.respond_statelessly(&key, *response),
            Vetted::Inside => self.inside(now, Some(key), request, hop, world),
            Vetted::NewCall => self.outputs.push_back(Output::Offered { key, invite: request, hop }),
        }
    }

    /// A request inside a dialog, or an ACK (which has no transaction).
    fn inside(&mut self, now: Instant, key: Option<ServerKey>, request: Request, hop: Hop, world: &impl World<O>) {
        let dialog = DialogId::of_request(&request);
        // A call that is gone without a teardown in here (its thread came back too late) owns nothing any more.
        if let Some(dialog) = &dialog
            && self.calls.get(dialog).is_some_and(|owned| !world.lives(&owned.owner))
        {
            self.disown(dialog);
        }
        let Some(dialog) = dialog else { return self.of_nobody(now, key, &request, hop, world) };
        if let Some(owned) = self.calls.get_mut(&dialog) {
            if let Some(key) = key.as_ref().filter(|_| request.method != Method::Bye && !owned.pace.takes(now)) {
                let later = request.respond(StatusCode(500), None).with("Retry-After", "1");
                self.outputs.push_back(Output::Dropped("overload"));
                return self.layer.respond_statelessly(key, later);
            }
            owned.flow = hop.flow;
            let owner = owned.owner.clone();
            return self.tell(
                owner,
                match key {
                    Some(key) => dialog::Input::Request { key, request, hop },
                    None => dialog::Input::Acked { ack: request, hop },
                },
            );
        }
        if self.terminating.contains_key(&dialog) {
            return self.inside_terminating(now, &dialog, key, &request);
        }
        self.of_nobody(now, key, &request, hop, world);
    }

    /// Nobody's: 481; or the ACK of a refusal: whoever sends it from there has read what we sent there.
    fn of_nobody(&mut self, now: Instant, key: Option<ServerKey>, request: &Request, hop: Hop, world: &impl World<O>) {
        match key {
            Some(key) => self.layer.respond_statelessly(&key, request.respond(StatusCode(481), None)),
            None if hop.transport == Transport::Udp => {
                let source = Source::of(hop.remote.ip());
                if let Some(offence) = self.refusal_tag.acknowledged(request, source) {
                    self.count(now, hop, offence, world);
                }
            }
            None => {}
        }
    }

    fn disown(&mut self, dialog: &DialogId) {
        if let Some(Owned { invite, .. }) = self.calls.remove(dialog) {
            self.invites.remove(&invite);
        }
    }

    /// A source that is proven was refused for what it asked.
    fn count(&mut self, now: Instant, hop: Hop, offence: Offence, world: &impl World<O>) {
        if !world.is_trusted(hop)
            && let Some(until) = self.guard.refused(now, Source::of(hop.remote.ip()), offence)
        {
            self.outputs.push_back(Output::ShutOut { hop, until });
        }
    }
}
