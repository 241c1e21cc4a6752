//! The endpoint of a process: whose a message is, and what is answered without bothering anybody.
//!
//! ```text
//! request   outside a dialog -vetted-> answered | a new call is offered      | its source is shut out: dropped
//!           inside           -> the owner | the teardown of a call that left | nobody: 481
//! CANCEL    -> the owner of its INVITE | remembered until there is one
//! response  -> whoever sent the request
//! ```
//! `O` is how an owner is known, `C` how a call is named to whoever hears of its end. Invariant: a dialog has one owner: its
//! call, or, from the teardown on, a [`crate::dialog::teardown::Terminating`] machine in here. What is sent by which way is
//! not decided here. Driver:
//! `actors/signalling/endpoint.rs`.

mod teardowns;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Instant;

use bytes::Bytes;

use crate::dialog::pace::Pace;
use crate::dialog::vetting::{Vetted, Vetting};
use crate::dialog::ways::Ways;
use crate::dialog::{DialogId, Input};
use crate::hop::{Hop, Transport};
use crate::message::{Message, Method, Request, Response, StatusCode};
use crate::networks::Source;
use crate::source_guard::{Offence, RefusalTag, SourceGuard};
use crate::transaction::{self, ClientKey, Layer, ServerKey};

use teardowns::Leave;

/// What only the world outside knows.
pub trait World<O> {
    /// Whether the source of this hop is listed: it is listened to whatever it does.
    fn is_trusted(&self, hop: Hop) -> bool;
    /// Whether this owner still lives.
    fn lives(&self, owner: &O) -> bool;
}

/// What to do.
#[derive(Debug, Clone)]
pub enum Output<O, C> {
    /// Send these bytes.
    Transmit {
        /// To where.
        hop: Hop,
        /// What.
        message: Message,
        /// Its bytes.
        bytes: Bytes,
    },
    /// An INVITE for a new call, vetted.
    Offered {
        /// Its transaction.
        key: ServerKey,
        /// The INVITE.
        invite: Request,
        /// From where.
        hop: Hop,
    },
    /// Something of a dialog came for its owner.
    Tell {
        /// The owner.
        owner: O,
        /// What came.
        input: Input,
    },
    /// A response for a request that was sent by [`Endpoint::request`].
    Response {
        /// Its transaction.
        key: ClientKey,
        /// The response.
        response: Response,
    },
    /// A request that was sent by [`Endpoint::request`] gets no response.
    NoResponse {
        /// Its transaction.
        key: ClientKey,
        /// What carried it failed: another way may do.
        unsendable: bool,
    },
    /// Send the BYE of a teardown; its outcome is told to [`Endpoint::bye_ended`].
    Deliver {
        /// The dialog.
        dialog: DialogId,
        /// The BYE.
        request: Request,
        /// By which ways.
        ways: Ways,
    },
    /// A teardown has been carried out.
    Left {
        /// Whose.
        call: C,
        /// Nobody answered the BYE.
        bye_unanswered: bool,
    },
    /// A source was refused again and again: its connections are not wanted until then.
    ShutOut {
        /// Where it speaks from.
        hop: Hop,
        /// Until when.
        until: Instant,
    },
    /// A request was not served: why, in a word for a metric.
    Dropped(&'static str),
}

/// Who owns a dialog from now on.
#[derive(Debug, Clone)]
pub struct Ownership<O> {
    /// The dialog.
    pub dialog: DialogId,
    /// The INVITE's transaction, for CANCEL.
    pub invite: ServerKey,
    /// The owner.
    pub owner: O,
    /// The connection, or the socket, that the dialog came by.
    pub flow: u64,
}

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
            outputs: VecDeque::new(),
        }
    }

    /// A message has arrived.
    pub fn receive(&mut self, now: Instant, message: Message, hop: Hop) {
        self.layer.receive(now, message, hop);
    }

    /// What to do next; drain until `None`.
    pub fn poll(&mut self, now: Instant, world: &impl World<O>) -> Option<Output<O, C>> {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return Some(output);
            }
            let output = self.layer.poll()?;
            self.route(now, output, world);
        }
    }

    /// When to call [`Endpoint::handle_timeout`].
    pub fn deadline(&self) -> Option<Instant> {
        let terminating = self.terminating.values().filter_map(|leave| leave.machine.deadline());
        terminating.chain(self.layer.deadline()).min()
    }

    /// The deadline passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.layer.handle_timeout(now);
        self.terminating_timeout(now);
    }

    /// Answers a transaction.
    pub fn respond(&mut self, now: Instant, key: &ServerKey, response: Response) {
        if !response.status.is_provisional() {
            self.early_cancels.remove(key);
        }
        self.layer.respond(now, key, response);
    }

    /// A dialog has an owner, who hears of all that belongs to it; at once of a CANCEL that came before.
    pub fn own(&mut self, now: Instant, Ownership { dialog, invite, owner, flow }: Ownership<O>) {
        if self.early_cancels.remove(&invite) {
            self.tell(owner.clone(), Input::Cancelled);
        }
        self.invites.insert(invite.clone(), owner.clone());
        self.calls.insert(dialog, Owned { owner, invite, flow, pace: Pace::new(now) });
    }

    /// An INVITE that nobody will own: what came for it is forgotten.
    pub fn forget_invite(&mut self, invite: &ServerKey) {
        self.early_cancels.remove(invite);
    }

    /// A call was taken: its caller hears 100, and its source owes nothing.
    pub fn taken(&mut self, now: Instant, key: &ServerKey, trying: Response, hop: Hop) {
        self.guard.accepted(Source::of(hop.remote.ip()));
        self.layer.respond(now, key, trying);
    }

    /// A call was not taken: its answer goes out once and leaves no memory (RFC 3261 section 8.2.7). A refusal for what the
    /// INVITE is counts once its source is proven: over a connection at once, by datagrams when its ACK comes.
    pub fn refuse(&mut self, now: Instant, refusal: Refusal, world: &impl World<O>) {
        let Refusal { key, invite, mut response, hop, offence } = refusal;
        self.early_cancels.remove(&key);
        if let Some(offence) = offence {
            let tag = self.refusal_tag.of(&invite, Source::of(hop.remote.ip()), offence);
            let tagged = invite.respond(response.status, Some(&tag));
            response.headers.set("To", tagged.headers.get("To").unwrap_or_default());
        }
        self.layer.respond_statelessly(&key, response);
        // The answer first: a source that is shut out loses its connections.
        while let Some(output) = self.layer.poll() {
            self.route(now, output, world);
        }
        if let Some(offence) = offence.filter(|_| hop.transport != Transport::Udp) {
            self.count(now, hop, offence, world);
        }
    }

    /// From here on OPTIONS outside dialogs get 503.
    pub fn close_doors(&mut self) {
        self.vetting.close_doors();
    }

    /// Sends a request of ours in a transaction.
    pub fn request(&mut self, now: Instant, request: Request, hop: Hop) -> ClientKey {
        self.layer.request(now, request, hop)
    }

    /// Nobody waits for this request's answer any more.
    pub fn abandon(&mut self, key: &ClientKey) {
        self.layer.abandon(key);
    }

    /// Sends a message outside any transaction.
    pub fn transmit(&mut self, message: Message, hop: Hop) {
        self.layer.transmit(message, hop);
    }

    /// The transport could not deliver to this hop.
    pub fn transport_failed(&mut self, hop: Hop) {
        self.layer.transport_failed(hop);
    }

    /// A connection has ended: what was handed to it may never have arrived.
    pub fn flow_lost(&mut self, flow: u64) {
        self.layer.flow_lost(flow);
    }

    /// Whether the last message of a dialog came by this connection.
    pub fn is_flow_used(&self, flow: u64) -> bool {
        self.calls.values().any(|owned| owned.flow == flow)
    }

    /// Whether a call owns this dialog: no teardown has begun.
    pub fn is_owned(&self, dialog: &DialogId) -> bool {
        self.calls.contains_key(dialog)
    }

    /// How many dialogs there are, those that are being left among them.
    pub fn dialogs(&self) -> usize {
        self.calls.len() + self.terminating.len()
    }

    /// How many transactions live.
    pub fn transactions(&self) -> usize {
        self.layer.len()
    }

    fn tell(&mut self, owner: O, input: Input) {
        self.outputs.push_back(Output::Tell { owner, input });
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
            Layered::Request { key, request, hop } => self.requested(now, key, request, hop, world),
            Layered::Ack { request, hop } => self.inside(now, None, request, hop, world),
            Layered::Cancelled { invite } => match self.invites.get(&invite).cloned() {
                Some(owner) => self.tell(owner, Input::Cancelled),
                None => _ = self.early_cancels.insert(invite),
            },
            Layered::Response { key, response } => self.outputs.push_back(Output::Response { key, response }),
            Layered::NoResponse { key } => {
                self.outputs.push_back(Output::NoResponse { key, unsendable: false });
            }
            Layered::Unsendable { key } => self.outputs.push_back(Output::NoResponse { key, unsendable: true }),
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
                    Some(key) => Input::Request { key, request, hop },
                    None => Input::Acked { ack: request, hop },
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

/// An INVITE that is refused.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// Its transaction.
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
