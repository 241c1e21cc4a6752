//! One function for each parser of bytes from the network: it may answer anything and must not panic.
//!
//! `tests/fuzzing.rs` runs them briefly with seeded mutations of the corpus; `tests/fuzz/` hands them to libFuzzer.

mod dialog;

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
use bellhop_sip::dialog::vetting::Vetting;
use bellhop_sip::dialog::ways::WAYS_MAX;
use bellhop_sip::dialog::{Dialog, LocalIdentity, info, refer, session_timer};
use bellhop_sip::digest::{Challenger, Login, Verdict};
use bellhop_sip::hop::{Hop, Transport};
use bellhop_sip::message::framing::Framer;
use bellhop_sip::message::{CSeq, Message, Method, NameAddr, Request, StatusCode, Uri, Via, params, parse};
use bellhop_sip::sdp::crypto::{CryptoLine, KeyMaterial};
use bellhop_sip::sdp::{self, LocalMedia};
use bytes::Bytes;

use self::dialog::dialog;

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
