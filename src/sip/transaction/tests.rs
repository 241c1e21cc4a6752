//! The figures as golden transition tables: every timer on virtual time, both transports.

use super::*;
use crate::hop::Transport;
use crate::message::StatusCode;

fn hop(transport: Transport) -> Hop {
    Hop { transport, remote: "192.0.2.1:5060".parse().expect("address"), flow: 0 }
}

fn request(method: &str, branch: &str) -> Request {
    let mut request = Request::new(Method::from_token(method), "sip:a@b");
    for (name, value) in [
        ("Via", format!("SIP/2.0/UDP h;branch=z9hG4bK{branch}")),
        ("From", "<sip:c@d>;tag=f".into()),
        ("To", "<sip:a@b>".into()),
        ("Call-ID", "call".into()),
        ("CSeq", format!("1 {method}")),
    ] {
        request.headers.push(name, &value);
    }
    request
}

/// Runs a plan: `+MS` lets time pass, `METHOD` receives a request, `NNN` answers it or receives a response; the result
/// is what came out, in order.
struct Bench {
    layer: Layer,
    now: Instant,
    start: Instant,
    transport: Transport,
    server: Option<(ServerKey, Request)>,
    client: Option<Request>,
    log: Vec<String>,
}

impl Bench {
    fn new(transport: Transport) -> Self {
        let now = Instant::now();
        Self { layer: Layer::default(), now, start: now, transport, server: None, client: None, log: vec![] }
    }

    fn play(mut self, plan: &str) -> String {
        for step in plan.split_whitespace() {
            if let Some(ms) = step.strip_prefix('+') {
                let until = self.now + Duration::from_millis(ms.parse().expect("number"));
                while let Some(at) = self.layer.deadline().filter(|at| *at <= until) {
                    self.now = at;
                    self.layer.handle_timeout(at);
                    self.drain();
                }
                self.now = until;
            } else if let Some(method) = step.strip_prefix("send:") {
                let request = request(method, "c");
                self.client = Some(request.clone());
                self.layer.request(self.now, request, hop(self.transport));
            } else if let Ok(status) = step.parse::<u16>() {
                if let Some(request) = &self.client {
                    let response = request.respond(StatusCode(status), Some("t"));
                    self.layer.receive(self.now, Message::Response(response), hop(self.transport));
                } else if let Some((key, request)) = self.server.clone() {
                    self.layer.respond(self.now, &key, request.respond(StatusCode(status), Some("t")));
                }
            } else {
                self.layer.receive(self.now, Message::Request(request(step, "s")), hop(self.transport));
            }
            self.drain();
        }
        self.log.push(format!("{} left", self.layer.len()));
        self.log.join(" ")
    }

    fn drain(&mut self) {
        while let Some(output) = self.layer.poll() {
            let at = (self.now - self.start).as_millis();
            let what = match output {
                Output::Transmit { message: Message::Request(r), .. } => format!(">{}", r.method),
                Output::Transmit { message: Message::Response(r), .. } => format!(">{}", r.status.0),
                Output::Retransmit { status, bytes, .. } => match crate::message::parse::message(&bytes) {
                    Ok(Message::Request(r)) if status.is_none() => format!(">{}", r.method),
                    Ok(Message::Response(r)) if status == Some(r.status) => format!(">{}", r.status.0),
                    other => panic!("{other:?} is no {status:?}"),
                },
                Output::Request { key, request, .. } => {
                    let text = format!("up:{}", request.method);
                    self.server = Some((key, request));
                    text
                }
                Output::Ack { .. } => "up:ACK".into(),
                Output::Cancelled { .. } => "up:CANCEL".into(),
                Output::Response { response, .. } => format!("up:{}", response.status.0),
                Output::NoResponse { .. } => "up:timeout".into(),
                Output::Unsendable { .. } => "up:unsendable".into(),
                Output::NoAck { .. } => "up:no-ack".into(),
            };
            self.log.push(format!("{at}{what}"));
        }
    }
}

#[test]
fn server_transactions_follow_figures_7_and_8() {
    use Transport::{Tcp, Udp};
    for (transport, plan, expected) in [
        (Udp, "INVITE INVITE 180 INVITE", "0up:INVITE 0>180 0>180 1 left"),
        (Udp, "INVITE 100 INVITE 180 INVITE", "0up:INVITE 0>100 0>100 0>180 0>180 1 left"),
        (Udp, "INVITE 200 INVITE 200 ACK +32000", "0up:INVITE 0>200 0>200 0up:ACK 0 left"),
        (Udp, "INVITE 486 +1500 ACK INVITE +5000", "0up:INVITE 0>486 500>486 1500>486 0 left"),
        (
            Udp,
            "INVITE 486 +32000",
            "0up:INVITE 0>486 500>486 1500>486 3500>486 7500>486 11500>486 15500>486 19500>486 23500>486 27500>486 31500>486 32000up:no-ack 0 left",
        ),
        (Tcp, "INVITE 486 +5000 ACK", "0up:INVITE 0>486 0 left"),
        (Udp, "INVITE CANCEL 487 ACK +40000", "0up:INVITE 0>200 0up:CANCEL 0>487 0 left"),
        (Udp, "INVITE 200 CANCEL +40000", "0up:INVITE 0>200 0>200 0 left"),
        (Udp, "CANCEL +40000", "0>481 0 left"),
        (Udp, "BYE BYE 200 BYE +31999", "0up:BYE 0>200 0>200 1 left"),
        (Udp, "BYE 200 +32000", "0up:BYE 0>200 0 left"),
        (Tcp, "BYE 200", "0up:BYE 0>200 0 left"),
        (Udp, "OPTIONS 100 OPTIONS 200 100", "0up:OPTIONS 0>100 0>100 0>200 1 left"),
    ] {
        assert_eq!(Bench::new(transport).play(plan), expected, "{transport} {plan}");
    }
}

#[test]
fn client_transactions_follow_figures_5_and_6() {
    use Transport::{Tcp, Udp};
    for (transport, plan, expected) in [
        (Udp, "send:BYE +3500 200 200 +5000", "0>BYE 500>BYE 1500>BYE 3500>BYE 3500up:200 0 left"),
        (
            Udp,
            "send:BYE +32000",
            "0>BYE 500>BYE 1500>BYE 3500>BYE 7500>BYE 11500>BYE 15500>BYE 19500>BYE 23500>BYE 27500>BYE 31500>BYE 32000up:timeout 0 left",
        ),
        (Udp, "send:BYE 100 +4000 481 +5000", "0>BYE 0up:100 4000>BYE 4000up:481 0 left"),
        (Tcp, "send:BYE +31999 200", "0>BYE 31999up:200 0 left"),
        (
            Udp,
            "send:INVITE +500 100 180 +60000 200 200 +32000",
            "0>INVITE 500>INVITE 500up:100 500up:180 60500up:200 60500up:200 0 left",
        ),
        (Udp, "send:INVITE 486 486 +32000", "0>INVITE 0>ACK 0up:486 0>ACK 0 left"),
        (Tcp, "send:INVITE 486", "0>INVITE 0>ACK 0up:486 0 left"),
        (
            Udp,
            "send:INVITE +32000",
            "0>INVITE 500>INVITE 1500>INVITE 3500>INVITE 7500>INVITE 15500>INVITE 31500>INVITE 32000up:timeout 0 left",
        ),
    ] {
        assert_eq!(Bench::new(transport).play(plan), expected, "{transport} {plan}");
    }
}

#[test]
fn a_failed_transport_ends_what_waits_on_it() {
    let mut layer = Layer::default();
    let now = Instant::now();
    let key = layer.request(now, request("BYE", "x"), hop(Transport::Tcp));
    layer.transport_failed(hop(Transport::Tcp));
    assert!(std::iter::from_fn(|| layer.poll()).any(|o| o == Output::Unsendable { key: key.clone() }));
    assert!(layer.is_empty());
}

/// RFC 3261 section 8.2.7: no 100 before, one answer, no memory, and whoever asks again is judged again.
#[test]
fn what_is_refused_without_state_is_answered_once_and_forgotten() {
    let now = Instant::now();
    let mut layer = Layer::default();
    for _ in 0..2 {
        let invite = request("INVITE", "s");
        layer.receive(now, Message::Request(invite.clone()), hop(Transport::Udp));
        let Some(Output::Request { key, .. }) = layer.poll() else { panic!("it goes up, and nothing goes out") };
        layer.respond_statelessly(&key, invite.respond(StatusCode(401), Some("t")));
        assert!(matches!(layer.poll(), Some(Output::Transmit { .. })));
        assert!(layer.is_empty() && layer.deadline().is_none() && layer.poll().is_none());
    }
    layer.receive(now, Message::Request(request("ACK", "s")), hop(Transport::Udp));
    assert!(matches!(layer.poll(), Some(Output::Ack { .. })), "its ACK goes up: it may prove a source");
}

#[test]
fn a_request_that_is_repeated_for_ever_is_remembered_once() {
    let mut layer = Layer::default();
    let (now, from) = (Instant::now(), hop(Transport::Udp));
    let invite = request("INVITE", "1");
    layer.receive(now, Message::Request(invite.clone()), from);
    let key = server_key(&invite);
    layer.respond(now, &key, invite.respond(StatusCode(200), Some("t")));
    for n in 0..1000 {
        let now = now + Duration::from_millis(n);
        layer.receive(now, Message::Request(invite.clone()), from);
        layer.receive(now, Message::Request(request("ACK", "1")), from);
        while layer.poll().is_some() {}
    }
    assert_eq!((layer.len(), layer.timers.len()), (1, 1));
    layer.handle_timeout(now + TIMEOUT);
    assert_eq!((layer.len(), layer.timers.len()), (0, 0));
}

/// A re-INVITE that is answered by 100 alone, or by a caller who has gone meanwhile.
#[test]
fn an_invite_of_ours_without_a_final_response_ends() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut layer = Layer::default();
        let (now, invite) = (Instant::now(), request("INVITE", "1"));
        let key = layer.request(now, invite.clone(), hop(transport));
        for seconds in [1, 100, 179] {
            let trying = invite.respond(StatusCode(100), None);
            layer.receive(now + Duration::from_secs(seconds), Message::Response(trying), hop(transport));
            layer.handle_timeout(now + Duration::from_secs(seconds));
        }
        while layer.poll().is_some() {}
        layer.handle_timeout(now + Duration::from_secs(1) + TIMER_C);
        assert_eq!(layer.poll(), Some(Output::NoResponse { key }), "{transport}");
        assert!(layer.is_empty());
    }
}

/// RFC 3261 section 17.2.3: a client of RFC 2543 has no unique branch, and may write its Via anew.
#[test]
fn without_a_magic_cookie_a_via_is_compared_by_what_it_means() {
    let with = |method, via: &str| {
        let mut request = request(method, "");
        request.headers.set("Via", via);
        request.headers.set("CSeq", &format!("1 {method}"));
        server_key(&request)
    };
    let key = with("INVITE", "SIP/2.0/UDP gw.example.com:5060;branch=1;x=y");
    for same in [
        "SIP/2.0/udp gw.example.com:5060;branch=1;x=y",
        "SIP / 2.0 / UDP  gw.example.com : 5060 ; branch = \"1\" ;x=y;",
    ] {
        assert_eq!(with("INVITE", same), key, "{same}");
        assert_eq!(with("ACK", same), key, "{same}");
    }
    for other in ["SIP/2.0/UDP gw.example.com:5061;branch=1;x=y", "SIP/2.0/UDP gw.example.com:5060;branch=2;x=y"] {
        assert_ne!(with("INVITE", other), key, "{other}");
    }
}
