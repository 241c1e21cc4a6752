//! The far end of the wire: a carrier that keeps every message and answers as carriers do.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix::Addr;
use bellhop_actors::drive::Tell;
use bellhop_actors::signalling::endpoint::SipEndpoint;
use bellhop_actors::signalling::liveness;
use bellhop_actors::signalling::messages::EndpointInput;
use bellhop_actors::signalling::wire::{Reached, Wire};
use bellhop_sip::dialog::LocalIdentity;
use bellhop_sip::hop::{Hop, Transport};
use bellhop_sip::message::{CSeq, Message, Method, NameAddr, Request, Response, StatusCode, parse};
use bellhop_sip::networks::Source;
use bytes::Bytes;

/// What the carrier does by itself.
#[derive(Debug, Clone, Copy)]
pub struct Habits {
    /// Acknowledges final responses to its INVITEs.
    pub acks: bool,
    /// Answers a BYE.
    pub answers_bye: bool,
}

/// What becomes of the connection that the call came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// It lives.
    Alive,
    /// The far end closed it, and we saw that.
    Closed,
    /// It is gone and nobody said so: the next packet is answered with RST.
    Resets,
    /// It is gone and nobody says so, ever.
    Silent,
}

/// A call that came over TCP.
#[derive(Debug, Clone, Copy)]
struct Stream {
    flow: Flow,
    /// Whether the far end takes connections where its Record-Route and Contact say that it listens.
    listens: bool,
    opened: u64,
    /// What becomes of it at a moment that no test can meet by waiting.
    lost: Option<(Moment, Flow)>,
}

/// A moment in which a connection can be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The far end is asked whether it is there.
    Asked,
    /// The BYE is handed to it.
    Bye,
}

/// The number of the connection that the call came by; those that we open follow.
const FLOW: u64 = 1 << 16;

/// The carrier; clones share its memory.
#[derive(Clone)]
pub struct Carrier(Rc<RefCell<Inner>>);

struct Inner {
    endpoint: Option<Addr<SipEndpoint>>,
    seen: Vec<Message>,
    hops: Vec<Hop>,
    tls: Option<&'static str>,
    stream: Option<Stream>,
    habits: Habits,
    to_tag: Option<String>,
    /// An address of the carrier's where nobody is.
    deaf_at: Option<SocketAddr>,
}

/// Where the carrier is.
pub fn hop() -> Hop {
    Hop { transport: Transport::Udp, remote: "192.0.2.1:5060".parse().expect("an address"), flow: 0 }
}

impl Carrier {
    pub(crate) fn new() -> Self {
        let habits = Habits { acks: true, answers_bye: true };
        Self(Rc::new(RefCell::new(Inner {
            endpoint: None,
            seen: vec![],
            hops: vec![],
            tls: None,
            stream: None,
            habits,
            to_tag: None,
            deaf_at: None,
        })))
    }

    pub(crate) fn attach(&self, endpoint: Addr<SipEndpoint>) {
        self.0.borrow_mut().endpoint = Some(endpoint);
    }

    /// Speaks TLS from here on, and asked for this host name.
    pub fn speaks_tls(&self, server_name: &'static str) {
        self.0.borrow_mut().tls = Some(server_name);
    }

    /// Speaks TCP from here on; `listens` for connections of ours too, or not.
    pub fn speaks_tcp(&self, listens: bool) {
        self.0.borrow_mut().stream = Some(Stream { flow: Flow::Alive, listens, opened: 0, lost: None });
    }

    /// Something happens to the connection that the call came by.
    pub fn flow_becomes(&self, flow: Flow) {
        if let Some(stream) = &mut self.0.borrow_mut().stream {
            stream.flow = flow;
        }
        if flow == Flow::Closed {
            self.tell(EndpointInput::FlowLost(FLOW));
        }
    }

    /// The same at a moment to come.
    pub fn flow_becomes_at(&self, moment: Moment, flow: Flow) {
        if let Some(stream) = &mut self.0.borrow_mut().stream {
            stream.lost = Some((moment, flow));
        }
    }

    fn comes(&self, moment: Moment) {
        let lost = self.0.borrow().stream.and_then(|stream| stream.lost);
        if let Some((_, flow)) = lost.filter(|(at, _)| *at == moment) {
            self.flow_becomes(flow);
        }
    }

    /// How many connections the gateway opened.
    pub fn connections_opened(&self) -> u64 {
        self.0.borrow().stream.map_or(0, |stream| stream.opened)
    }

    fn tell(&self, input: EndpointInput) {
        if let Some(endpoint) = &self.0.borrow().endpoint {
            endpoint.do_send(Tell(input));
        }
    }

    /// Changes its habits.
    pub fn habits(&self, habits: Habits) {
        self.0.borrow_mut().habits = habits;
    }

    /// From here on nothing that is sent there arrives anywhere.
    pub fn deaf_at(&self, address: SocketAddr) {
        self.0.borrow_mut().deaf_at = Some(address);
    }

    /// Sends a text as a message; line ends become CRLF.
    pub fn sends(&self, text: &str) {
        let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
        self.deliver(Bytes::copy_from_slice(text.as_bytes()));
    }

    /// The same from elsewhere, or by another transport.
    pub fn sends_from(&self, hop: Hop, text: &str) {
        let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
        if let Some(endpoint) = &self.0.borrow().endpoint {
            endpoint.do_send(Tell(EndpointInput::Arrived { bytes: Bytes::copy_from_slice(text.as_bytes()), hop }));
        }
    }

    /// Every message the gateway sent, with where it went.
    pub fn seen_with_hops(&self) -> Vec<(Message, Hop)> {
        let inner = self.0.borrow();
        inner.seen.iter().cloned().zip(inner.hops.iter().copied()).collect()
    }

    /// Bytes arrive by another hop than usual, as they are.
    pub fn arrives(&self, hop: Hop, bytes: &[u8]) {
        if let Some(endpoint) = &self.0.borrow().endpoint {
            endpoint.do_send(Tell(EndpointInput::Arrived { bytes: Bytes::copy_from_slice(bytes), hop }));
        }
    }

    /// The caller hangs up.
    pub fn hangs_up(&self) {
        let tag = self.to_tag();
        self.sends(&format!(
            "BYE sip:203.0.113.7:5060 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKbye\nFrom: <sip:+12065550100@10.0.58.47:5060>;tag=far\nTo: <sip:+18005550123@203.0.113.7:5060>;transport=UDP;tag={tag}\nCall-ID: call-1\nCSeq: 9 BYE\nContent-Length: 0\n\n"
        ));
    }

    /// The tag the gateway gave the dialog.
    pub fn to_tag(&self) -> String {
        self.0.borrow().to_tag.clone().unwrap_or_default()
    }

    /// Every message the gateway sent.
    pub fn seen(&self) -> Vec<Message> {
        self.0.borrow().seen.clone()
    }

    /// Forgets what was seen.
    pub fn forget(&self) {
        let mut inner = self.0.borrow_mut();
        inner.seen.clear();
        inner.hops.clear();
    }

    /// The distinct requests of a method that were seen, retransmissions left out.
    pub fn requests(&self, method: &Method) -> Vec<Request> {
        let mut distinct: Vec<Request> = vec![];
        for message in self.seen() {
            if let Message::Request(request) = message
                && request.method == *method
                && !distinct.contains(&request)
            {
                distinct.push(request);
            }
        }
        distinct
    }

    /// The last response of this status to a request of this method.
    pub fn last_response(&self, status: u16, method: &Method) -> Option<Response> {
        let is_it = |response: &Response| {
            let cseq = response.headers.get("CSeq").and_then(CSeq::parse);
            response.status.0 == status && cseq.is_some_and(|cseq| cseq.method == *method)
        };
        self.seen().into_iter().rev().find_map(|message| match message {
            Message::Response(response) => Some(response).filter(is_it),
            Message::Request(_) => None,
        })
    }

    /// Where the last message went.
    pub fn last_hop(&self) -> Option<Hop> {
        self.0.borrow().hops.last().copied()
    }

    /// The statuses seen, in order, retransmissions included.
    pub fn statuses(&self) -> Vec<u16> {
        let status = |message: Message| match message {
            Message::Response(response) => Some(response.status.0),
            Message::Request(_) => None,
        };
        self.seen().into_iter().filter_map(status).collect()
    }

    fn deliver(&self, bytes: Bytes) {
        if let Some(endpoint) = &self.0.borrow().endpoint {
            let inner = self.0.borrow();
            let hop = match (inner.stream, inner.tls) {
                // What the far end says comes by its latest connection.
                (Some(stream), _) => Hop { transport: Transport::Tcp, flow: FLOW + stream.opened, ..hop() },
                (None, Some(_)) => Hop { transport: Transport::Tls, ..hop() },
                (None, None) => hop(),
            };
            endpoint.do_send(Tell(EndpointInput::Arrived { bytes, hop }));
        }
    }

    fn took(&self, message: Message) {
        let habits = self.0.borrow().habits;
        match &message {
            Message::Response(response) => {
                let to = response.headers.get("To").and_then(|to| NameAddr::parse(to).ok());
                if let Some(tag) = to.and_then(|to| to.tag().map(str::to_owned)) {
                    self.0.borrow_mut().to_tag = Some(tag);
                }
                let of_invite = response.headers.get("CSeq").is_some_and(|cseq| cseq.ends_with("INVITE"));
                if of_invite && response.status.0 >= 200 && habits.acks {
                    let mut ack = Request::new(Method::Ack, "sip:gateway");
                    let branch = if response.status.is_success() { "z9hG4bKack" } else { "z9hG4bKinvite" };
                    ack.headers.push("Via", &format!("SIP/2.0/UDP 192.0.2.1:5060;branch={branch}"));
                    for name in ["From", "To", "Call-ID"] {
                        ack.headers.push(name, response.headers.get(name).unwrap_or_default());
                    }
                    let number = response.headers.get("CSeq").and_then(|cseq| cseq.split(' ').next());
                    ack.headers.push("CSeq", &format!("{} ACK", number.unwrap_or("1")));
                    self.deliver(ack.to_bytes());
                }
            }
            Message::Request(request) if request.method == Method::Bye && habits.answers_bye => {
                self.deliver(request.respond(StatusCode(200), None).to_bytes());
            }
            Message::Request(_) => {}
        }
        self.0.borrow_mut().seen.push(message);
    }
}

impl Wire for Carrier {
    fn transmit(&mut self, hop: Hop, bytes: Bytes) {
        if self.0.borrow().deaf_at == Some(hop.remote) {
            return;
        }
        if hop.flow == FLOW && bytes.starts_with(b"BYE ") {
            self.comes(Moment::Bye);
        }
        let lost = match self.0.borrow().stream {
            Some(stream) if hop.flow == FLOW => Some(stream.flow),
            Some(stream) if !stream.listens => Some(Flow::Silent),
            _ => None,
        };
        match lost {
            Some(Flow::Closed) => return self.tell(EndpointInput::TransportFailed(hop)),
            Some(Flow::Resets) => return self.tell(EndpointInput::FlowLost(FLOW)),
            Some(Flow::Silent) => return,
            Some(Flow::Alive) | None => {}
        }
        self.0.borrow_mut().hops.push(hop);
        let message = parse::message(&bytes).unwrap_or_else(|malformed| match refusal(&bytes) {
            Some(refusal) => Message::Response(refusal),
            None => panic!("the gateway sends well-formed messages: {malformed:?}"),
        });
        self.took(message);
    }

    fn welcome(&mut self, _: Hop) {}

    fn turn_away(&mut self, _: Source, _: Instant) {}

    fn is_open(&self, hop: Hop) -> bool {
        hop.flow != FLOW || self.0.borrow().stream.is_none_or(|stream| stream.flow != Flow::Closed)
    }

    fn is_alive(&mut self, hop: Hop) -> Reached<bool> {
        self.comes(Moment::Asked);
        let alive = hop.flow != FLOW || self.0.borrow().stream.is_none_or(|stream| stream.flow == Flow::Alive);
        Box::pin(async move {
            if !alive {
                tokio::time::sleep(liveness::ALIVE_WITHIN).await;
            }
            alive
        })
    }

    fn open(&mut self, transport: Transport, remote: SocketAddr, _: Option<String>) -> Reached<Option<Hop>> {
        let mut inner = self.0.borrow_mut();
        let hop = match (&mut inner.stream, transport) {
            (_, Transport::Udp) => Some(Hop { transport, remote, flow: 0 }),
            (Some(stream), Transport::Tcp) if stream.listens => {
                stream.opened += 1;
                Some(Hop { transport, remote, flow: FLOW + stream.opened })
            }
            (_, Transport::Tcp | Transport::Tls) => None,
        };
        Box::pin(std::future::ready(hop))
    }

    fn server_name(&self, _: Hop) -> Option<Arc<str>> {
        self.0.borrow().tls.map(Arc::from)
    }

    fn identity(&self, _: Hop) -> LocalIdentity {
        LocalIdentity {
            contact: "<sip:203.0.113.7:5060>".into(),
            via_sent_by: "203.0.113.7:5060".into(),
            ..LocalIdentity::default()
        }
    }
}

/// A refusal of what had too little in it to be answered in full: as much as the request had.
fn refusal(bytes: &[u8]) -> Option<Response> {
    let start = std::str::from_utf8(bytes).ok()?.lines().next()?.strip_prefix("SIP/2.0 ")?;
    let (status, reason) = start.split_once(' ')?;
    let status = StatusCode(status.parse().ok().filter(|status| matches!(status, 400 | 505))?);
    let (headers, body) = (bellhop_sip::Headers::default(), Bytes::new());
    Some(Response { status, reason: reason.to_owned(), headers, body })
}
