//! The far end of one dialog: what it does, and what it is owed.

use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bellhop_sip::dialog::acceptor::Acceptor;
use bellhop_sip::dialog::{Input, LocalIdentity, Output, refer};
use bellhop_sip::hop::{Hop, Transport};
use bellhop_sip::message::{Message, Method, Request, StatusCode, params};
use bellhop_sip::transaction::{Layer, Output as Layered, ServerKey};

/// What a far end does in a dialog, a byte for each step: every request of it gets one final response.
pub(super) fn dialog(bytes: &[u8]) {
    let [kind, steps @ ..] = bytes else { return };
    let Some(mut far_end) = FarEnd::calling(*kind) else { return };
    steps.iter().for_each(|step| far_end.step(*step));
    far_end.comes_to_rest();
}

const HOP: Hop = Hop {
    transport: Transport::Udp,
    remote: SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 5060),
    flow: 0,
};
const US: &str = "<sip:+1800@h>;tag=tag";

struct FarEnd {
    now: Instant,
    layer: Layer,
    acceptor: Acceptor,
    number: u32,
    rseq: u32,
    /// Our requests that have no response yet.
    asked: VecDeque<Request>,
    /// Requests of the far end: those sent, and those with a final response.
    awaited: HashSet<ServerKey>,
    answered: HashSet<ServerKey>,
}

impl FarEnd {
    /// One that sends an INVITE; the bits of `kind` are its headers.
    fn calling(kind: u8) -> Option<Self> {
        let mut invite = inside(Method::Invite, 1, "<sip:+1800@h>");
        for (bit, name, value) in [(1, "Require", "100rel"), (2, "Supported", "timer"), (4, "Allow", "UPDATE")] {
            if kind & bit != 0 {
                invite.headers.push(name, value);
            }
        }
        if kind & 8 != 0 {
            invite = described(invite);
        }
        if kind & 16 != 0 {
            invite.headers.push("Session-Expires", "90;refresher=uas");
        }
        let (now, mut layer) = (Instant::now(), Layer::default());
        let first = keyed(&mut layer, &invite, now);
        let identity = LocalIdentity { contact: "<sip:203.0.113.7>".into(), ..LocalIdentity::default() };
        let acceptor = Acceptor::new(invite, first, HOP, "tag", &identity).ok()?;
        let (asked, awaited, answered) = Default::default();
        Some(Self { now, layer, acceptor, number: 1, rseq: 0, asked, awaited, answered })
    }

    fn step(&mut self, step: u8) {
        let Some(input) = self.input(step) else { return };
        self.acceptor.handle(self.now, input);
        let mut outputs = 0;
        while let Some(output) = self.acceptor.poll() {
            outputs += 1;
            assert!(outputs < 100, "it comes to rest");
            self.carry_out(output, step);
        }
        assert_eq!(self.awaited.len(), self.answered.len(), "nobody waits for an answer after step {step}");
    }

    /// What a byte means: something of ours, a response or a request; `None` where there is nothing to respond to.
    fn input(&mut self, step: u8) -> Option<Input> {
        let sdp = || "v=0".to_owned();
        Some(match step % 26 {
            0 => Input::Ring { sdp: sdp() },
            1 => Input::Answer { sdp: sdp() },
            2 => Input::Cancelled,
            3 => Input::Acked { ack: inside(Method::Ack, 1, US), hop: HOP },
            4 => Input::Acked { ack: described(inside(Method::Ack, self.number, US)), hop: HOP },
            5 => Input::Reoffer { sdp: sdp() },
            6 => {
                let (target, headers) = ("sip:a@b".to_owned(), vec![]);
                Input::Refer(refer::Transfer { target, headers, send_method: refer::SendMethod::Custom })
            }
            7 => Input::SendDigit('5', Duration::from_millis(100)),
            8 => {
                self.now += Duration::from_millis(500 << (step / 26));
                self.acceptor.handle_timeout(self.now);
                Input::NoResponse { method: Method::Update, number: self.number }
            }
            9..=14 => {
                let status = [100, 200, 202, 408, 481, 491][usize::from(step % 26 - 9)];
                let ours = if status == 100 { self.asked.front().cloned() } else { self.asked.pop_front() };
                let response = ours?.respond(StatusCode(status), None);
                let plain = (step / 26).is_multiple_of(2);
                Input::Response(if plain { response } else { response.with_body("application/sdp", "v=0") })
            }
            _ => {
                let request = self.request(step);
                let key = keyed(&mut self.layer, &request, self.now);
                self.awaited.insert(key.clone());
                Input::Request { key, request, hop: HOP }
            }
        })
    }

    fn request(&mut self, step: u8) -> Request {
        self.number += 1;
        let request = |method| inside(method, self.number, US);
        let prack = || {
            let mut request = request(Method::Prack);
            request.headers.push("RAck", &format!("{} 1 INVITE", self.rseq));
            request
        };
        match step % 26 {
            15 => described(request(Method::Invite)),
            16 => request(Method::Invite),
            17 => described(request(Method::Update)),
            18 => request(Method::Update),
            19 => prack(),
            20 => described(prack()),
            21 => request(Method::Prack),
            22 => request(Method::Info),
            23 => request(Method::Notify),
            24 => request(Method::Options),
            _ if step / 26 == 0 => request(Method::Bye),
            _ => request(Method::Other("ODD".into())),
        }
    }

    fn carry_out(&mut self, output: Output, step: u8) {
        match output {
            Output::Respond { key, response } => {
                if let Some(sent) = response.headers.get("RSeq").and_then(params::number) {
                    self.rseq = sent;
                }
                if !response.status.is_provisional() && self.awaited.contains(&key) {
                    let first = self.answered.insert(key);
                    // The 200 to an INVITE is repeated until the ACK.
                    assert!(first || response.status.0 == 200, "one final response");
                }
            }
            Output::Send { request, .. } => self.asked.push_back(request),
            Output::Reinvited { key, request } => {
                let refusal = request.respond(StatusCode(488), None);
                let answer = if step.is_multiple_of(2) { Ok("v=0".to_owned()) } else { Err(refusal) };
                self.acceptor.answer_reinvite(self.now, key, &request, answer);
            }
            _ => {}
        }
    }

    /// Everything that is under way has an end in time, but a call that is up.
    fn comes_to_rest(&mut self) {
        for _ in 0..200 {
            let Some(at) = self.acceptor.deadline() else { return };
            assert!(at >= self.now, "no deadline is left behind");
            self.now = at;
            self.acceptor.handle_timeout(at);
            while self.acceptor.poll().is_some() {}
            assert!(self.acceptor.deadline().is_none_or(|next| next > at), "a deadline that passed is another's");
        }
    }
}

/// A request of the dialog.
fn inside(method: Method, number: u32, to: &str) -> Request {
    let mut request = Request::new(method, "sip:+1800@h");
    let cseq = format!("{number} {}", request.method);
    let via = format!("SIP/2.0/UDP h;branch=z9hG4bK{number}");
    for (name, value) in [("Via", via.as_str()), ("From", "<sip:c@d>;tag=f"), ("To", to), ("Call-ID", "c")] {
        request.headers.push(name, value);
    }
    for (name, value) in [("CSeq", cseq.as_str()), ("Contact", "<sip:c@192.0.2.1>")] {
        request.headers.push(name, value);
    }
    request
}

fn described(request: Request) -> Request {
    request.with_body("application/sdp", "v=0")
}

/// The transaction of a request that is new.
fn keyed(layer: &mut Layer, request: &Request, now: Instant) -> ServerKey {
    layer.receive(now, Message::Request(request.clone()), HOP);
    std::iter::from_fn(|| layer.poll())
        .find_map(|output| if let Layered::Request { key, .. } = output { Some(key) } else { None })
        .expect("a new transaction")
}
