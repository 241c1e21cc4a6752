//! Transactions (RFC 3261 section 17, RFC 6026): one layer that matches messages and runs the timers of all.
//!
//! Invariant: every message and every expired timer goes through one transition of `client.rs` or `server.rs`; the layer
//! only finds the transaction, and forgets it when it has terminated. Driver: `endpoint.rs`.

mod client;
mod server;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::hop::Hop;
use crate::message::{CSeq, Message, Method, Request, Response, StatusCode, Via};

use client::Client;
use server::Server;

/// The round-trip estimate (RFC 3261 section 17.1.1.1).
pub const T1: Duration = Duration::from_millis(500);
/// The longest interval between retransmissions.
pub const T2: Duration = Duration::from_secs(4);
/// How long a message may live in the network.
pub const T4: Duration = Duration::from_secs(5);
/// 64·T1: the end of timers B, F, H, J, L and M.
pub const TIMEOUT: Duration = Duration::from_secs(32);

/// How long a final response to an INVITE of ours may take after a provisional one: timer C of a proxy (RFC 3261 section
/// 16.6), which has no client transaction wait for ever.
pub const TIMER_C: Duration = Duration::from_secs(180);

/// Names one server transaction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerKey(Arc<str>);

/// Names one client transaction: the branch of its Via and the method.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientKey(Arc<str>);

/// What the layer tells its user, or the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send these bytes.
    Transmit {
        /// To where.
        hop: Hop,
        /// The message as it is understood.
        message: Message,
        /// The message as it goes on the wire.
        bytes: Bytes,
    },
    /// Send a message once more, as it was sent before.
    Retransmit {
        /// To where.
        hop: Hop,
        /// The status of a response; none of a request.
        status: Option<StatusCode>,
        /// Its bytes.
        bytes: Bytes,
    },
    /// A new request has come; answer it with [`Layer::respond`].
    Request {
        /// The server transaction that the request came in.
        key: ServerKey,
        /// The request.
        request: Request,
        /// Where it came from.
        hop: Hop,
    },
    /// An ACK for a 2xx: it belongs to a dialog, not to a transaction.
    Ack {
        /// The request.
        request: Request,
        /// Where it came from.
        hop: Hop,
    },
    /// A CANCEL that matches an INVITE still in Proceeding; its own 200 has been sent.
    Cancelled {
        /// The INVITE's transaction.
        invite: ServerKey,
    },
    /// A response for one of our requests.
    Response {
        /// Our transaction.
        key: ClientKey,
        /// The response.
        response: Response,
    },
    /// One of our requests had no final response within 64·T1.
    NoResponse {
        /// Our transaction.
        key: ClientKey,
    },
    /// One of our requests could not be sent, or what carried it is gone (RFC 3261 section 18.4).
    Unsendable {
        /// Our transaction.
        key: ClientKey,
    },
    /// No ACK came for a failure response of ours (timer H), or its transport failed.
    NoAck {
        /// The INVITE's transaction.
        key: ServerKey,
    },
}

/// All transactions of one endpoint.
#[derive(Debug, Default)]
pub struct Layer {
    servers: HashMap<ServerKey, Server>,
    clients: HashMap<ClientKey, Client>,
    timers: BinaryHeap<Reverse<(Instant, u64, TimerOf)>>,
    armed: u64,
    outputs: VecDeque<Output>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum TimerOf {
    Server(ServerKey),
    Client(ClientKey),
}

impl Layer {
    /// A message has arrived.
    pub fn receive(&mut self, now: Instant, message: Message, hop: Hop) {
        match message {
            Message::Request(request) => self.receive_request(now, request, hop),
            Message::Response(response) => self.receive_response(now, response),
        }
    }

    /// Answers a request. A response for a transaction that has ended is dropped: the far end has gone on.
    pub fn respond(&mut self, now: Instant, key: &ServerKey, response: Response) {
        if let Some(server) = self.servers.get_mut(key) {
            server.respond(now, response, &mut self.outputs);
            self.settle_server(key);
        }
    }

    /// Answers a request once and forgets it (RFC 3261 section 8.2.7): who never came to be a call costs no memory, and whoever
    /// forged its source sends it one datagram, not eleven. Should the answer be lost, the request comes again.
    pub fn respond_statelessly(&mut self, key: &ServerKey, response: Response) {
        if let Some(server) = self.servers.remove(key) {
            self.transmit(Message::Response(response), server.hop());
        }
    }

    /// Forgets a request without an answer.
    pub fn ignore(&mut self, key: &ServerKey) {
        self.servers.remove(key);
    }

    /// Sends a request in a transaction of its own. Its top Via must carry a fresh branch. ACK for a 2xx is no
    /// transaction: send it with [`Layer::transmit`].
    pub fn request(&mut self, now: Instant, request: Request, hop: Hop) -> ClientKey {
        let key = client_key(&request.headers, &request.method);
        let client = Client::start(now, key.clone(), request, hop, &mut self.outputs);
        self.clients.insert(key.clone(), client);
        self.settle_client(&key);
        key
    }

    /// Sends a message outside any transaction: an ACK for a 2xx.
    pub fn transmit(&mut self, message: Message, hop: Hop) {
        let bytes = message.to_bytes();
        self.outputs.push_back(Output::Transmit { hop, message, bytes });
    }

    /// Nobody waits for this request's answer any more: it is not sent again.
    pub fn abandon(&mut self, key: &ClientKey) {
        self.clients.remove(key);
    }

    /// The transport could not deliver to this hop.
    pub fn transport_failed(&mut self, hop: Hop) {
        self.give_up(|client| client.awaits(|its| its == hop));
    }

    /// A connection has ended: what was handed to it may never have arrived (RFC 3261 section 18.4).
    pub fn flow_lost(&mut self, flow: u64) {
        self.give_up(|client| client.awaits(|its| its.transport.is_reliable() && its.flow == flow));
    }

    fn give_up(&mut self, dead: impl Fn(&Client) -> bool) {
        let dead: Vec<ClientKey> =
            self.clients.iter().filter(|(_, client)| dead(client)).map(|(key, _)| key.clone()).collect();
        for key in dead {
            self.clients.remove(&key);
            self.outputs.push_back(Output::Unsendable { key });
        }
    }

    /// Fires every timer that is due; early calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        while self.timers.peek().is_some_and(|Reverse((at, _, _))| *at <= now) {
            let Some(Reverse((_, _, timer))) = self.timers.pop() else { return };
            match timer {
                TimerOf::Server(key) => {
                    if let Some(server) = self.servers.get_mut(&key) {
                        server.armed.take_if(|at| *at <= now);
                        server.handle_timeout(now, &key, &mut self.outputs);
                        self.settle_server(&key);
                    }
                }
                TimerOf::Client(key) => {
                    if let Some(client) = self.clients.get_mut(&key) {
                        client.armed.take_if(|at| *at <= now);
                        client.handle_timeout(now, &mut self.outputs);
                        self.settle_client(&key);
                    }
                }
            }
        }
    }

    /// What to do next; drain until `None`.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Layer::handle_timeout`].
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((at, _, _))| *at)
    }

    /// How many transactions live: a gauge, and what a leak test counts.
    pub fn len(&self) -> usize {
        self.servers.len() + self.clients.len()
    }

    /// Whether no transaction lives.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn receive_request(&mut self, now: Instant, request: Request, hop: Hop) {
        let key = server_key(&request);
        if let Some(server) = self.servers.get_mut(&key) {
            server.receive(now, &request, &mut self.outputs);
            if request.method == Method::Ack && server.is_accepted() {
                self.outputs.push_back(Output::Ack { request, hop });
            }
            self.settle_server(&key);
            return;
        }
        match request.method {
            Method::Ack => self.outputs.push_back(Output::Ack { request, hop }),
            Method::Cancel => self.cancel(now, key, request, hop),
            _ => {
                let server = Server::start(&request, hop);
                self.servers.insert(key.clone(), server);
                if request.method == Method::Invite && is_inside(&request) {
                    // At once: silence makes the far end retransmit (RFC 3261 section 17.2.1). A new call gets its 100 once it
                    // is admitted: what is refused without state must not be answered provisionally before (section 8.2.7).
                    self.respond(now, &key, request.trying());
                }
                self.outputs.push_back(Output::Request { key, request, hop });
            }
        }
    }

    /// CANCEL is a transaction of its own that names the INVITE by the same branch (RFC 3261 section 9.2).
    fn cancel(&mut self, now: Instant, key: ServerKey, request: Request, hop: Hop) {
        let mut of_invite = request.clone();
        of_invite.method = Method::Invite;
        let invite = server_key(&of_invite);
        let Some(server) = self.servers.get(&invite) else {
            // Of a call that never was: without state, as whatever is refused.
            let response = request.respond(StatusCode(481), Some("cancelled"));
            return self.transmit(Message::Response(response), hop);
        };
        let (hit, tag) = (server.is_proceeding(), server.to_tag());
        self.servers.insert(key.clone(), Server::start(&request, hop));
        let tag = tag.as_deref().or(Some("cancelled"));
        self.respond(now, &key, request.respond(StatusCode(200), tag));
        if hit {
            self.outputs.push_back(Output::Cancelled { invite });
        }
    }

    fn receive_response(&mut self, now: Instant, response: Response) {
        let Some(cseq) = response.headers.get("CSeq").and_then(CSeq::parse) else { return };
        let key = client_key(&response.headers, &cseq.method);
        if let Some(client) = self.clients.get_mut(&key) {
            client.receive(now, response, &mut self.outputs);
            self.settle_client(&key);
        }
    }

    /// Forgets a transaction that has terminated, or sees that a timer runs for it: one for a deadline, however often it is
    /// looked at, or each repeat of a request would be remembered until then.
    fn settle_server(&mut self, key: &ServerKey) {
        let Some(server) = self.servers.get_mut(key) else { return };
        if server.is_terminated() {
            self.servers.remove(key);
        } else if let Some(at) = server.deadline()
            && server.armed.replace(at) != Some(at)
        {
            self.armed += 1;
            self.timers.push(Reverse((at, self.armed, TimerOf::Server(key.clone()))));
        }
    }

    fn settle_client(&mut self, key: &ClientKey) {
        let Some(client) = self.clients.get_mut(key) else { return };
        if client.is_terminated() {
            self.clients.remove(key);
        } else if let Some(at) = client.deadline()
            && client.armed.replace(at) != Some(at)
        {
            self.armed += 1;
            self.timers.push(Reverse((at, self.armed, TimerOf::Client(key.clone()))));
        }
    }
}

/// Whether a request belongs to a dialog: its To has a tag.
fn is_inside(request: &Request) -> bool {
    request.headers.tag("To").is_some()
}

/// RFC 3261 section 17.2.3: branch, sent-by and method, where ACK belongs to its INVITE; requests of RFC 2543 clients,
/// whose branch has no magic cookie, are matched by the fields of that section.
pub(crate) fn server_key(request: &Request) -> ServerKey {
    let headers = &request.headers;
    let method = if request.method == Method::Ack { &Method::Invite } else { &request.method };
    let via = headers.get("Via").and_then(Via::parse);
    if let Some(via) = &via
        && let Some(branch) = via.branch().filter(|branch| branch.starts_with("z9hG4bK") && branch.len() > 7)
    {
        return ServerKey(format!("{branch}|{}|{:?}|{method}", via.host.to_ascii_lowercase(), via.port).into());
    }
    let number = headers.get("CSeq").and_then(CSeq::parse).map(|cseq| cseq.number);
    let (from_tag, call_id) = (headers.tag("From"), headers.get("Call-ID"));
    // What is written otherwise and means the same is the same.
    let via = via.map(|via| (via.version, via.transport.to_ascii_uppercase(), via.params(), via.host, via.port));
    ServerKey(format!("{}|{from_tag:?}|{call_id:?}|{number:?}|{via:?}|{method}", request.uri).into())
}

fn client_key(headers: &crate::message::Headers, method: &Method) -> ClientKey {
    let branch = headers.get("Via").and_then(Via::parse).and_then(|via| via.branch());
    ClientKey(format!("{}|{method}", branch.unwrap_or_default()).into())
}
