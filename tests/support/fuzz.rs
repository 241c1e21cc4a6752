//! One function for each parser of bytes from the network: it may answer anything and must not panic.
//!
//! `tests/fuzzing.rs` runs them briefly with seeded mutations of the corpus; `tests/fuzz/` hands them to libFuzzer.

use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bellhop_media::codec::Codec;
use bellhop_media::dtmf::rfc4733::EventReceiver;
use bellhop_media::g711::Law;
use bellhop_media::latch::Expected;
use bellhop_media::receiver::{EventFormat, Receiver, StreamFormat};
use bellhop_media::rtcp::{Control, Time};
use bellhop_media::rtp::Packet;
use bellhop_media::srtp::{Inbound, MasterKey, Suite};
use bellhop_sip::dialog::acceptor::Acceptor;
use bellhop_sip::dialog::vetting::Vetting;
use bellhop_sip::dialog::ways::WAYS_MAX;
use bellhop_sip::dialog::{Dialog, Input, LocalIdentity, Output as Said, info, refer, session_timer};
use bellhop_sip::digest::{Challenger, Login, Verdict};
use bellhop_sip::hop::{Hop, Transport};
use bellhop_sip::message::framing::Framer;
use bellhop_sip::message::{CSeq, Message, Method, NameAddr, Request, StatusCode, Uri, Via, params, parse};
use bellhop_sip::sdp::crypto::{CryptoLine, KeyMaterial};
use bellhop_sip::sdp::{self, LocalMedia};
use bellhop_sip::transaction::{Layer, Output as Layered};
use bytes::Bytes;

/// What takes bytes from the network.
pub type Target = fn(&[u8]);

/// Every target by the name of its corpus.
pub const TARGETS: [(&str, Target); 10] = [
    ("sip", sip),
    ("addresses", addresses),
    ("multipart", multipart),
    ("dialog", dialog),
    ("sdp", session_description),
    ("rtp", rtp),
    ("rtcp", rtcp),
    ("srtp", srtp),
    ("telephone_event", telephone_event),
    ("user_to_user", user_to_user),
];

/// A datagram, and the same bytes as a stream: messages, their views, and what is asked of a request.
pub fn sip(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    if let Ok(message) = parse::message(&bytes) {
        let again = parse::message(&message.to_bytes());
        assert!(again.is_ok(), "what was understood is written understandably");
        if let Message::Request(request) = &message {
            let _ = Vetting::default().judge(request);
            let _ = (session_timer::asked(request), info::read(request), refer::progress(request));
        }
    }
    let mut framer = Framer::default();
    for part in bytes.chunks(61) {
        framer.push(part);
        while let Ok(Some(_)) = framer.take() {}
    }
    if let Err(error) = framer.take() {
        let from = Hop { transport: Transport::Tcp, remote: SocketAddr::from(([192, 0, 2, 1], 5060)), flow: 1 };
        let _ = framer.refusal(error, from);
    }
}

/// Each line as every small thing that a header or an attribute holds.
pub fn addresses(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let hop = Hop { transport: Transport::Tls, remote: SocketAddr::from(([192, 0, 2, 1], 5061)), flow: 1 };
    let mut challenger = Challenger::new([7; 32]);
    for line in text.lines() {
        let (head, params) = params::split(line);
        assert!(head.len() + params.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() <= line.len());
        let _ = (Via::parse(line), CSeq::parse(line), CryptoLine::parse(line));
        if let Ok(uri) = refer::target(line) {
            assert!(uri.params().all(|(name, _)| name != "method"), "{line}");
        }
        if let Ok(address) = NameAddr::parse(line) {
            assert_eq!(Uri::parse(address.uri.as_str()).as_ref(), Some(&address.uri), "{line}");
        }
        let mut invite = Request::new(Method::Invite, "sip:+1800@h");
        for (name, value) in [("From", line), ("To", line), ("Contact", line), ("Record-Route", line), ("Via", line)] {
            invite.headers.push(name, value);
        }
        for (name, value) in [("Call-ID", "c"), ("CSeq", "1 INVITE"), ("Authorization", line)] {
            invite.headers.push(name, value);
        }
        let login = Login { realm: "acme", user: "trunk", password: "secret" };
        assert_ne!(challenger.judge(Duration::ZERO, &invite, login), Verdict::Accepted);
        assert_ne!(challenger.judge_nobody(Duration::ZERO, &invite, "acme"), Verdict::Accepted);
        if let Ok(mut dialog) = Dialog::from_invite(&invite, hop, "tag", &LocalIdentity::default()) {
            let (bye, mut ways) = dialog.request(Method::Bye, "z9hG4bKb");
            assert!(std::iter::from_fn(|| ways.next_way()).count() <= WAYS_MAX);
            let mut stamped = bye.clone();
            let _ = (stamped.stamp(hop), bye.respond(StatusCode(200), Some("t")));
        }
    }
}

/// The first line is a content type, the rest a body: whatever is sought in bodies.
pub fn multipart(bytes: &[u8]) {
    let (line, body) = bytes.split_at(bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len()));
    for method in [Method::Invite, Method::Info, Method::Notify] {
        let mut request = Request::new(method, "sip:+1800@h");
        for (name, value) in [("Event", "refer"), ("Content-Type", &String::from_utf8_lossy(line))] {
            request.headers.push(name, value);
        }
        request.body = Bytes::copy_from_slice(body.get(1..).unwrap_or_default());
        if let Ok(Some(found)) = request.session_description() {
            assert!(found.len() <= request.body.len());
        }
        let _ = (info::read(&request), refer::progress(&request));
    }
}

/// What a far end does in a dialog, a byte for each step: every request of it gets one final response.
pub fn dialog(bytes: &[u8]) {
    let [kind, steps @ ..] = bytes else { return };
    let mut now = Instant::now();
    let hop = Hop { transport: Transport::Udp, remote: SocketAddr::from(([192, 0, 2, 1], 5060)), flow: 0 };
    let inside = |method: Method, number: u32, to: &str| {
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
    };
    let mut layer = Layer::default();
    let mut keyed = |request: &Request, now: Instant| {
        layer.receive(now, Message::Request(request.clone()), hop);
        std::iter::from_fn(|| layer.poll())
            .find_map(|output| if let Layered::Request { key, .. } = output { Some(key) } else { None })
            .expect("a new transaction")
    };
    let mut invite = inside(Method::Invite, 1, "<sip:+1800@h>");
    for (bit, name, value) in [(1, "Require", "100rel"), (2, "Supported", "timer"), (4, "Allow", "UPDATE")] {
        if kind & bit != 0 {
            invite.headers.push(name, value);
        }
    }
    if kind & 8 != 0 {
        invite = invite.with_body("application/sdp", "v=0");
    }
    if kind & 16 != 0 {
        invite.headers.push("Session-Expires", "90;refresher=uas");
    }
    let first = keyed(&invite, now);
    let identity = LocalIdentity { contact: "<sip:203.0.113.7>".into(), ..LocalIdentity::default() };
    let Ok(mut acceptor) = Acceptor::new(invite, first, hop, "tag", &identity) else { return };
    let (mut number, mut rseq, mut asked) = (1, 0, VecDeque::new());
    let (mut awaited, mut answered) = (HashSet::new(), HashSet::new());
    for step in steps {
        let described = |request: Request| request.with_body("application/sdp", "v=0");
        let mut request = |method| {
            number += 1;
            inside(method, number, "<sip:+1800@h>;tag=tag")
        };
        let rack = |request: Request| {
            let mut request = request;
            request.headers.push("RAck", &format!("{rseq} 1 INVITE"));
            request
        };
        let sdp = || "v=0".to_owned();
        let input = match step % 26 {
            0 => Input::Ring { sdp: sdp() },
            1 => Input::Answer { sdp: sdp() },
            2 => Input::Cancelled,
            3 => Input::Acked { ack: inside(Method::Ack, 1, "<sip:+1800@h>;tag=tag"), hop },
            4 => Input::Acked { ack: described(inside(Method::Ack, number, "<sip:+1800@h>;tag=tag")), hop },
            5 => Input::Reoffer { sdp: sdp() },
            6 => {
                let (target, headers) = ("sip:a@b".to_owned(), vec![]);
                Input::Refer(refer::Transfer { target, headers, send_method: refer::SendMethod::Custom })
            }
            7 => Input::SendDigit('5', Duration::from_millis(100)),
            8 => {
                now += Duration::from_millis(500 << (step / 26));
                acceptor.handle_timeout(now);
                Input::NoResponse { method: Method::Update, number }
            }
            9..=14 => {
                let status = [100, 200, 202, 408, 481, 491][usize::from(step % 26 - 9)];
                let Some(ours): Option<Request> =
                    (if status == 100 { asked.front().cloned() } else { asked.pop_front() })
                else {
                    continue;
                };
                let response = ours.respond(StatusCode(status), None);
                Input::Response(if step / 26 % 2 == 0 {
                    response
                } else {
                    response.with_body("application/sdp", "v=0")
                })
            }
            other => {
                let request = match other {
                    15 => described(request(Method::Invite)),
                    16 => request(Method::Invite),
                    17 => described(request(Method::Update)),
                    18 => request(Method::Update),
                    19 => rack(request(Method::Prack)),
                    20 => described(rack(request(Method::Prack))),
                    21 => request(Method::Prack),
                    22 => request(Method::Info),
                    23 => request(Method::Notify),
                    24 => request(Method::Options),
                    _ if step / 26 == 0 => request(Method::Bye),
                    _ => request(Method::Other("ODD".into())),
                };
                let key = keyed(&request, now);
                awaited.insert(key.clone());
                Input::Request { key, request, hop }
            }
        };
        acceptor.handle(now, input);
        let mut steps = 0;
        while let Some(output) = acceptor.poll() {
            steps += 1;
            assert!(steps < 100, "it comes to rest");
            match output {
                Said::Respond { key, response } => {
                    if let Some(sent) = response.headers.get("RSeq").and_then(params::number) {
                        rseq = sent;
                    }
                    if !response.status.is_provisional() && awaited.contains(&key) && response.status.0 != 200 {
                        assert!(answered.insert(key), "one final response");
                    } else if response.status.0 == 200 && awaited.contains(&key) {
                        answered.insert(key); // of an INVITE it is repeated until the ACK
                    }
                }
                Said::Send { request, .. } => asked.push_back(request),
                Said::Reinvited { key, request } => {
                    let refusal = request.respond(StatusCode(488), None);
                    acceptor.answer_reinvite(now, key, &request, if step % 2 == 0 { Ok(sdp()) } else { Err(refusal) });
                }
                _ => {}
            }
        }
        assert_eq!(awaited.len(), answered.len(), "nobody waits for an answer after step {step}");
    }
    // Everything that is under way has an end in time, but a call that is up.
    for _ in 0..200 {
        let Some(at) = acceptor.deadline() else { return };
        assert!(at >= now, "no deadline is left behind");
        now = at;
        acceptor.handle_timeout(at);
        while acceptor.poll().is_some() {}
        assert!(acceptor.deadline().is_none_or(|next| next > at), "a deadline that passed is another's");
    }
}

/// An offer, and the same bytes as an answer.
pub fn session_description(bytes: &[u8]) {
    let local = LocalMedia::new(SocketAddr::from(([192, 0, 2, 1], 4000)), 1, KeyMaterial([7; 92]));
    if let Ok((answer, _)) = sdp::answer(bytes, &local) {
        assert!(sdp::read_answer(answer.as_bytes(), &local).is_ok(), "our own answer is understood: {answer}");
    }
    let _ = sdp::read_answer(bytes, &local);
}

/// Packets of one leg, two bytes of length before each; every codec hears them.
pub fn rtp(bytes: &[u8]) {
    let now = Instant::now();
    let telephone_event = Some(EventFormat { payload_type: 101, clock_rate: 8000 });
    for codec in [Codec::G711(Law::Mu), Codec::G722, Codec::Opus] {
        let format = StreamFormat { codec, payload_type: 0, telephone_event, comfort_noise: Some(13) };
        let source = SocketAddr::from(([192, 0, 2, 1], 4000));
        let mut receiver = Receiver::new(format, Expected::at(source));
        let mut frame = vec![0; receiver.frame_samples()];
        for (n, mut datagram) in datagrams(bytes).into_iter().enumerate() {
            let at = now + Duration::from_millis(n as u64 * 20);
            receiver.push(at, source, &mut datagram);
            receiver.frame(at, &mut frame);
        }
    }
}

/// Compound packets of the far end.
pub fn rtcp(bytes: &[u8]) {
    let mut control = Control::new("fuzz".into());
    for datagram in datagrams(bytes) {
        control.receive(Time { now: Instant::now(), ntp: 7 << 32 }, 7, &datagram);
    }
}

/// Packets that claim to be protected, in every suite.
pub fn srtp(bytes: &[u8]) {
    for suite in Suite::ALL {
        let key = MasterKey::new(suite, &vec![7; suite.key_bytes() + suite.salt_bytes()]).expect("the suite's length");
        for mki_bytes in [0, 4] {
            let mut inbound = Inbound::new(&key, mki_bytes);
            for mut datagram in datagrams(bytes) {
                let _ = inbound.unprotect(&mut datagram);
                let _ = inbound.unprotect_control(&mut datagram);
            }
        }
    }
}

/// Events of one leg.
pub fn telephone_event(bytes: &[u8]) {
    let mut receiver = EventReceiver::new(8000);
    for datagram in datagrams(bytes) {
        if let Some(packet) = Packet::parse(&datagram) {
            receiver.push(&packet);
        }
        receiver.tick(Duration::from_millis(20));
    }
}

/// A User-to-User header, and everything else that tells who the contact is.
pub fn user_to_user(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = bellhop_connect::contact::decode_user_to_user(&text);
    let tenant = crate::documents::INSTANCE.parse().expect("an ARN");
    let headers = text.lines().map(|line| line.split_once(": ").unwrap_or(("User-to-User", line)));
    let _ = bellhop_connect::ContactReference::from_headers(headers, Some("X-Contact"), &tenant);
}

fn datagrams(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![];
    while let [high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low]) % 1500).min(rest.len());
        all.push(rest[..length].to_vec());
        bytes = &rest[length..];
    }
    all
}
