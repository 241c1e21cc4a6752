//! SIP, SDP and INFO as the field sends them: the cases of `cases/signalling.yaml` and `cases/digits.yaml` that are read off
//! the wire, each under its own name.
//!
//! A case names its test, and gives it what is data in it. The other cases of the two files belong to the tests of audio,
//! connections and admission.

use std::time::Duration;

use bellhop_actors::signalling::endpoint::SipEndpoint;
use bellhop_actors::signalling::messages::{CallLeft, CallOffered};
use bellhop_actors::signalling::transport::{Bound, Listen, Protocol};
use bellhop_sip::dialog::capabilities::ACCEPT;
use bellhop_sip::hop::{Hop, Transport};
use bellhop_sip::message::framing::{Framed, Framer};
use bellhop_sip::message::{Message, Method, NameAddr, Response};
use bellhop_tests::Stage;
use bellhop_tests::carrier::{Habits, hop};
use bellhop_tests::stage::{Choices, INVITE, play};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The cases that have a test in here.
const COVERED: [&str; 15] = [
    "a Via whose rport is filled in already",
    "a body of several parts",
    "a sips call",
    "reliable ringing without an offer",
    "a refresher in capital letters, with blanks",
    "odd names",
    "what RFC 4475 asks",
    "a good message and garbage behind it in one TCP segment",
    "a refused INVITE that is tried again",
    "a folded Content-Length over TCP",
    "odd lines of SDP that do not touch the audio",
    "a private re-INVITE, quickly",
    "INFO in its other dresses",
    "telephone-event with a channel count",
    "telephone-event without rtpmap",
];

fn cases() -> Vec<Value> {
    let files = [include_str!("cases/signalling.yaml"), include_str!("cases/digits.yaml")];
    files.iter().flat_map(|text| serde_saphyr::from_str::<Vec<Value>>(text).expect("a list of cases")).collect()
}

/// The case of this name.
fn case(name: &str) -> Value {
    assert!(COVERED.contains(&name), "{name} is in the list");
    let found = cases().into_iter().find(|case| case["name"] == name);
    found.unwrap_or_else(|| panic!("no case {name}"))
}

#[test]
fn every_covered_case_is_in_its_file() {
    COVERED.iter().for_each(|name| drop(case(name)));
}

/// Plays on a stage of its own and gives back what was seen there.
fn seen_on_stage<T: 'static + Send, F: Future<Output = T> + 'static>(test: impl FnOnce(Stage) -> F + 'static) -> T {
    let (tell, told) = std::sync::mpsc::channel();
    play(Choices::default(), move |stage| async move {
        let _ = tell.send(test(stage).await);
    });
    told.recv().expect("the test ran")
}

/// The last status that an INVITE gets.
fn outcome(invite: &str) -> u16 {
    let invite = invite.to_owned();
    seen_on_stage(|stage| async move {
        stage.carrier.sends(&invite);
        stage.pass(1500).await;
        stage.carrier.statuses().last().copied().expect("an answer")
    })
}

fn head_and_body() -> (&'static str, &'static str) {
    INVITE.split_once("Content-Type: application/sdp\n\n").expect("both")
}

/// A request inside the dialog of [`INVITE`], with a body of this type.
fn inside(stage: &Stage, method: &str, number: u32, content_type: &str, body: &str) -> String {
    let tag = stage.carrier.to_tag();
    let body = body.replace("\r\n", "\n").replace('\n', "\r\n");
    let content = if content_type.is_empty() { String::new() } else { format!("Content-Type: {content_type}\n") };
    format!(
        "{method} sip:203.0.113.7:5060 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{method}{number}\nMax-Forwards: 70\nFrom: <sip:+12065550100@10.0.58.47:5060>;tag=far\nTo: <sip:+18005550123@203.0.113.7:5060>;transport=UDP;tag={tag}\nCall-ID: call-1\nCSeq: {number} {method}\nContact: <sip:10.0.58.47:5060>\n{content}Content-Length: {}\n\n{body}",
        body.len()
    )
}

#[test]
fn a_via_whose_rport_is_filled_in_already() {
    let case = case("a Via whose rport is filled in already");
    let via = case["via"].as_str().expect("a Via").to_owned();
    let (response, goes_to) = seen_on_stage(|stage| async move {
        let options = INVITE.split("Content-Type").next().expect("a head").replace("INVITE", "OPTIONS") + "\n";
        let usual = "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKinvite";
        let source = Hop { remote: "192.0.2.1:40000".parse().expect("an address"), ..hop() };
        stage.carrier.arrives(source, options.replace(usual, &via).replace('\n', "\r\n").as_bytes());
        stage.pass(50).await;
        let response = stage.carrier.last_response(200, &Method::Options).expect("a 200");
        (response, stage.carrier.last_hop().expect("sent").remote)
    });
    assert_eq!(goes_to, "192.0.2.1:40000".parse().expect("an address"), "the source, not what the Via says");
    let via = response.headers.get("Via").expect("a Via");
    assert!(via.contains(";rport=40000") && via.contains(";received=192.0.2.1"), "{via}");
    assert!(!via.contains("4444") && !via.contains("10.1.2.3"), "{via}");
}

/// SDP and something else in one body.
fn multipart(other: &str, first: bool, disposition: Option<&str>) -> String {
    let (_, sdp) = head_and_body();
    let sdp = format!("--mime\nContent-Type: application/sdp\n\n{sdp}\n");
    let said = disposition.map_or(String::new(), |value| format!("Content-Disposition: {value}\n"));
    let other = format!("--mime\nContent-Type: {other}\n{said}\n\u{1}\u{0} <m=audio 1 RTP/AVP 0>\n");
    let parts = if first { sdp + &other } else { other + &sdp };
    format!("{parts}--mime--\n")
}

#[test]
fn a_body_of_several_parts() {
    case("a body of several parts");
    let mixed = "multipart/mixed;boundary=\"mime\"";
    for other in ["application/ISUP;version=nxv3;base=etsi121", "application/pidf+xml"] {
        for first in [true, false] {
            for (disposition, expected) in [
                (None, 200),
                (Some("signal;handling=optional"), 200),
                (Some("signal ; Handling = OPTIONAL"), 200),
                (Some("signal;handling=required"), 415),
            ] {
                let body = multipart(other, first, disposition);
                let (head, _) = head_and_body();
                let what = format!("{other} {first} {disposition:?}");
                assert_eq!(outcome(&format!("{head}Content-Type: {mixed}\n\n{body}")), expected, "{what}");
                // Inside a dialog the same; what was agreed on is answered, and a refusal leaves the call as it was.
                let answers = seen_on_stage(move |stage| async move {
                    stage.call_answered().await;
                    let mut answers = vec![];
                    for (number, method) in [(2, "INVITE"), (3, "UPDATE")] {
                        stage.carrier.forget();
                        stage.carrier.sends(&inside(&stage, method, number, mixed, &body));
                        stage.pass(100).await;
                        let answer = stage.carrier.last_response(expected, &Method::from_token(method));
                        answers.push(answer.map(|answer| (answer.session_description().is_some(), answer)));
                    }
                    answers
                });
                for answer in answers {
                    let (described, answer) = answer.unwrap_or_else(|| panic!("{expected} for {what}"));
                    assert_eq!(described, expected == 200, "{what}");
                    assert_eq!(answer.headers.get("Accept").is_some(), expected == 415, "{what}");
                }
            }
        }
    }
    assert!(ACCEPT.contains("multipart/mixed"), "and says that it can");
}

#[test]
fn a_sips_call() {
    case("a sips call");
    let answer = seen_on_stage(|stage| async move {
        stage.carrier.speaks_tls("sip.example.com");
        stage.carrier.sends(&INVITE.replace("INVITE sip:", "INVITE sips:"));
        stage.pass(1500).await;
        stage.carrier.last_response(200, &Method::Invite).expect("a 200")
    });
    let contact = NameAddr::parse(answer.headers.get("Contact").expect("a Contact")).expect("an address");
    assert_eq!(contact.uri.as_str(), "sips:203.0.113.7:5060");
}

#[test]
fn reliable_ringing_without_an_offer() {
    case("reliable ringing without an offer");
    let prack_of = |stage: &Stage, ringing: &Response, number, body: &str| {
        let rseq = ringing.headers.get("RSeq").expect("numbered");
        let content_type = if body.is_empty() { "" } else { "application/sdp" };
        inside(stage, "PRACK", number, content_type, body)
            .replace("Max-Forwards", &format!("RAck: {rseq} 1 INVITE\nMax-Forwards"))
    };
    // The answer is in the PRACK: the audio is agreed on, and the 200 offers nothing again.
    let (offer, answer, sounds) = seen_on_stage(move |stage| async move {
        let (head, sdp) = head_and_body();
        stage.carrier.sends(&format!("{head}Require: 100rel\nContent-Length: 0\n\n"));
        stage.pass(10).await;
        let ringing = stage.carrier.last_response(180, &Method::Invite).expect("a 180");
        stage.carrier.sends(&prack_of(&stage, &ringing, 2, sdp));
        stage.pass(2000).await;
        let answer = stage.carrier.last_response(200, &Method::Invite).expect("a 200");
        (ringing.session_description(), answer, stage.line.sent().iter().any(|packet| packet.4))
    });
    let offer = offer.expect("the first reliable response carries our offer");
    assert!(String::from_utf8_lossy(&offer).contains("m=audio 20000 RTP/AVP 0 8 9 96 101 102"));
    assert_eq!((answer.session_description(), sounds), (None, true));
    // It may carry nothing: then the ACK brings the answer.
    let again = seen_on_stage(move |stage| async move {
        let (head, _) = head_and_body();
        stage.carrier.habits(Habits { acks: false, answers_bye: true });
        stage.carrier.sends(&format!("{head}Require: 100rel\nContent-Length: 0\n\n"));
        stage.pass(10).await;
        let ringing = stage.carrier.last_response(180, &Method::Invite).expect("a 180");
        stage.carrier.sends(&prack_of(&stage, &ringing, 2, ""));
        stage.pass(1500).await;
        stage.carrier.last_response(200, &Method::Invite).expect("a 200").session_description()
    });
    assert!(again.is_some());
    // A PRACK that carries an offer gets an answer.
    let (prack, invite) = seen_on_stage(move |stage| async move {
        let (_, sdp) = head_and_body();
        stage.carrier.sends(&INVITE.replace("Max-Forwards", "Require: 100rel\nMax-Forwards"));
        stage.pass(10).await;
        let ringing = stage.carrier.last_response(180, &Method::Invite).expect("a 180");
        stage.carrier.sends(&prack_of(&stage, &ringing, 2, &sdp.replace("40000", "40002")));
        stage.pass(2000).await;
        let of = |method| stage.carrier.last_response(200, method).expect("a 200").session_description();
        (of(&Method::Prack), of(&Method::Invite))
    });
    assert!(prack.is_some() && invite.is_some());
}

#[test]
fn a_refresher_in_capital_letters_with_blanks() {
    let case = case("a refresher in capital letters, with blanks");
    let header = case["header"].as_str().expect("a header").to_owned();
    let refreshes = seen_on_stage(move |stage| async move {
        stage.carrier.sends(&INVITE.replace("Max-Forwards", &format!("Supported: timer\n{header}\nMax-Forwards")));
        stage.pass(2000).await;
        let answer = stage.carrier.last_response(200, &Method::Invite).expect("a 200");
        assert_eq!(answer.headers.get("Session-Expires"), Some("90;refresher=uas"));
        // The caller talks, so that the audio is not missed meanwhile.
        for n in 0..460_u16 {
            stage.line.puts(&bellhop_media::rtp::Packet {
                payload_type: 0,
                marker: n == 0,
                sequence: n,
                timestamp: u32::from(n) * 800,
                ssrc: 7,
                payload: &[0xff; 160],
            });
            stage.pass(100).await;
        }
        stage.carrier.requests(&Method::Invite).len()
    });
    assert_eq!(refreshes, 1, "we refresh");
}

#[test]
fn odd_names() {
    case("odd names");
    let from = "From: <sip:+12065550100@10.0.58.47:5060>;tag=far";
    for (odd, caller) in [
        ("From: Smith; John <sip:+12065550100@10.0.58.47>;tag=far", "+12065550100"),
        ("From: Smith, John; Jr. <sip:+12065550100@10.0.58.47> ; TAG = far", "+12065550100"),
        ("From: <sip:+12065550100@10.0.58.47>;tag=", "+12065550100"),
        ("From: <sip:+12065550100@10.0.58.47>;tag", "+12065550100"),
        ("From: sip:@10.0.58.47;tag=far", "anonymous"),
        ("From: <sip:10.0.58.47>;tag=far", "anonymous"),
        ("From: \"\" <sip:@10.0.58.47>;tag=far", "anonymous"),
    ] {
        let invite = INVITE.replace(from, odd);
        let (status, told) = seen_on_stage(move |stage| async move {
            stage.carrier.sends(&invite);
            stage.pass(2000).await;
            let status = stage.carrier.last_response(200, &Method::Invite).map(|answer| answer.status.0);
            stage.caller_says("goodbye").await;
            stage.settle().await;
            assert_eq!(stage.carrier.requests(&Method::Bye).len(), 1, "the dialog is one");
            assert_eq!(stage.leaks().await, Vec::<String>::new());
            (status, stage.services.last_context())
        });
        assert_eq!(status, Some(200), "{odd}");
        assert!(told.to_string().contains(&format!("\"user_phone_number\":\"{caller}\"")), "{odd}: {told}");
    }
    // An empty To tag is none: the INVITE begins a call, and the answer has our tag alone.
    let to = "To: <sip:+18005550123@203.0.113.7:5060>;transport=UDP";
    for odd in [";tag=", ";tag"] {
        let invite = INVITE.replace(to, &format!("{to}{odd}"));
        let answer = seen_on_stage(move |stage| async move {
            stage.carrier.sends(&invite);
            stage.pass(1500).await;
            stage.carrier.last_response(200, &Method::Invite).expect("a 200")
        });
        let to = answer.headers.get("To").expect("a To");
        assert_eq!(to.matches("tag").count(), 1, "{to}");
    }
}

/// A connection of a stream, cut as the transport cuts it: messages arrive, and what cannot be cut is answered at once.
fn over_tcp(stage: &Stage, text: &str) -> Option<u16> {
    let hop = Hop { transport: Transport::Tcp, flow: 1 << 16, ..hop() };
    let mut framer = Framer::default();
    framer.push(text.replace("\r\n", "\n").replace('\n', "\r\n").replace("SIP/2.0/UDP", "SIP/2.0/TCP").as_bytes());
    loop {
        match framer.take() {
            Ok(Some(Framed::Message(bytes))) => stage.carrier.arrives(hop, &bytes),
            Ok(Some(Framed::Ping)) => {}
            Ok(None) => return None,
            Err(error) => {
                let refusal = framer.refusal(error, hop)?;
                return std::str::from_utf8(&refusal[8..11]).expect("a status").parse().ok();
            }
        }
    }
}

#[test]
fn what_rfc_4475_asks() {
    case("what RFC 4475 asks");
    let head = INVITE.split("Content-Type").next().expect("a head").replace("INVITE", "OPTIONS");
    let options = format!("{head}Content-Length: 0\n\n");
    let without = |name: &str| {
        let lines = options.split('\n').filter(|line| !line.starts_with(name));
        lines.collect::<Vec<_>>().join("\n")
    };
    let only_a_via =
        "OPTIONS sip:x SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKinsuf\nContent-Length: 0\n\n";
    for (what, message, expected) in [
        ("unknown scheme", options.replace("sip:+18005550123@203.0.113.7:5060 SIP", "nobody:x SIP"), 416),
        ("version", options.replace("5060 SIP/2.0", "5060 SIP/7.0"), 505),
        ("version in the Via too", options.replace("SIP/2.0", "SIP/7.0"), 505),
        ("lengths that differ", options.replace("Content-Length: 0", "Content-Length: 0\nContent-Length: 4"), 400),
        ("lengths that differ, compact", options.replace("Content-Length: 0", "l: 0\nContent-Length: 4"), 400),
        ("a length of no figures", options.replace("Content-Length: 0", "Content-Length: +0"), 400),
        ("no From", without("From"), 400),
        ("no To", without("To"), 400),
        ("no Call-ID", without("Call-ID"), 400),
        ("no CSeq", without("CSeq"), 400),
        ("nothing but a Via", only_a_via.to_owned(), 400),
        ("no length over TCP", without("Content-Length"), 200),
    ] {
        let (by_udp, by_tcp) = seen_on_stage(move |stage| async move {
            stage.carrier.sends(&message);
            stage.pass(50).await;
            let by_udp = stage.carrier.statuses().last().copied();
            stage.carrier.forget();
            let refused = over_tcp(&stage, &message.replace("z9hG4bK", "z9hG4bKtcp"));
            stage.pass(50).await;
            (by_udp, refused.or(stage.carrier.statuses().last().copied()))
        });
        let over_a_stream = if what == "no length over TCP" { 400 } else { expected };
        assert_eq!((by_udp, by_tcp), (Some(expected), Some(over_a_stream)), "{what}");
    }
}

/// Takes offers of calls and leaves them lying.
struct Nobody;

impl actix::Actor for Nobody {
    type Context = actix::Context<Self>;
}

impl actix::Handler<CallOffered> for Nobody {
    type Result = ();

    fn handle(&mut self, _: CallOffered, _: &mut Self::Context) {}
}

impl actix::Handler<CallLeft> for Nobody {
    type Result = ();

    fn handle(&mut self, _: CallLeft, _: &mut Self::Context) {}
}

/// What comes back over a real connection for these bytes, until the other side closes it.
fn over_a_connection(bytes: String) -> String {
    actix_rt::System::new().block_on(async move {
        use actix::Actor;
        let address = "127.0.0.1:0".parse().expect("an address");
        let listen = [Listen { protocol: Protocol::Tcp, address, sources: vec![] }];
        let bound = Bound::bind(&listen, None, None).await.expect("a free port");
        let address = bound.addresses()[0].address;
        let (wire, serving) = bound.split();
        let nobody = Nobody.start();
        let endpoint = SipEndpoint::new(Box::new(wire), nobody.clone().recipient(), nobody.recipient()).start();
        serving.start(&endpoint);
        let mut connection = tokio::net::TcpStream::connect(address).await.expect("a connection");
        connection.write_all(bytes.as_bytes()).await.expect("written");
        let mut answer = vec![];
        let closed = tokio::time::timeout(Duration::from_secs(20), connection.read_to_end(&mut answer)).await;
        assert!(closed.is_ok(), "the connection is closed after {}", String::from_utf8_lossy(&answer));
        String::from_utf8_lossy(&answer).into_owned()
    })
}

#[test]
fn a_good_message_and_garbage_behind_it_in_one_tcp_segment() {
    case("a good message and garbage behind it in one TCP segment");
    let head = INVITE.split("Content-Type").next().expect("a head").replace("INVITE", "OPTIONS");
    let good = format!("{head}Content-Length: 0\n\n").replace("SIP/2.0/UDP", "SIP/2.0/TCP").replace('\n', "\r\n");
    let starts = |answer: &str| -> Vec<String> {
        answer.lines().filter(|line| line.starts_with("SIP/2.0 ")).map(str::to_owned).collect()
    };
    for garbage in ["garbage and more of it\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\u{0}\u{1}: x\r\n\r\n"] {
        assert_eq!(starts(&over_a_connection(format!("{good}{garbage}"))), ["SIP/2.0 200 OK"], "{garbage:?}");
    }
    let two = good.replace("z9hG4bKinvite", "z9hG4bKtwo");
    let broken = good.replace("Content-Length: 0", "Content-Length: 0\r\nl: 9");
    let answers = starts(&over_a_connection(format!("{good}{two}{broken}")));
    assert_eq!(answers, ["SIP/2.0 200 OK", "SIP/2.0 200 OK", "SIP/2.0 400 Content-Lengths Differ"]);
}

#[test]
fn a_folded_content_length_over_tcp() {
    let case = case("a folded Content-Length over TCP");
    let folded = case["header"].as_str().expect("a header").to_owned();
    let head = INVITE.split("Content-Type").next().expect("a head").replace("INVITE", "OPTIONS");
    for header in [folded.as_str(), "l\t:\r\n\t0", "Content-Length: \r\n 0 \r\nSubject: x\r\n l: 400"] {
        let good = format!("{head}{header}\n\n").replace("\r\n", "\n");
        let statuses = seen_on_stage(move |stage| async move {
            let second = good.replace("z9hG4bKinvite", "z9hG4bKtwo");
            assert_eq!(over_tcp(&stage, &format!("{good}{second}")), None);
            stage.pass(50).await;
            stage.carrier.statuses()
        });
        assert_eq!(statuses, [200, 200], "{header:?}");
    }
}

#[test]
fn a_refused_invite_that_is_tried_again() {
    case("a refused INVITE that is tried again");
    for wait in [1_000, 40_000] {
        let choices = Choices { node_max_calls: 1, ..Choices::default() };
        play(choices, move |stage| async move {
            stage.call_answered().await;
            let bye = inside(&stage, "BYE", 9, "", "");
            let second = INVITE.replace("call-1", "call-2").replace("z9hG4bKinvite", "z9hG4bKa");
            stage.carrier.sends(&second);
            stage.pass(100).await;
            assert_eq!(stage.carrier.statuses().last(), Some(&503));
            stage.carrier.sends(&bye);
            stage.pass(wait).await;
            stage.carrier.forget();
            stage.carrier.sends(&second.replace("z9hG4bKa", "z9hG4bKb"));
            stage.pass(1500).await;
            let answered = stage.carrier.last_response(200, &Method::Invite).is_some();
            assert!(answered, "after {wait} ms: {:?}", stage.carrier.statuses());
            // What goes on has no twin.
            stage.carrier.sends(&second.replace("z9hG4bKa", "z9hG4bKc"));
            stage.pass(100).await;
            assert!(stage.carrier.last_response(482, &Method::Invite).is_some());
        });
    }
}

#[test]
fn odd_lines_of_sdp_that_do_not_touch_the_audio() {
    let case = case("odd lines of SDP that do not touch the audio");
    let lines: Vec<&str> = case["lines"].as_array().expect("lines").iter().filter_map(Value::as_str).collect();
    for line in lines {
        let (from, to) = match line {
            "s= in Latin-1" => ("s=-", "s=B\u{fc}ro"),
            "blanks at the end of any line" => ("\n", "  \t\n"),
            "two blanks or a tab in m=" => ("m=audio 40000 RTP/AVP 0", "m=audio  40000\tRTP/AVP   0"),
            "a=rtpmap:0 PCMU (no clock)" => ("a=rtpmap:0 PCMU/8000", "a=rtpmap:0 PCMU"),
            "ptime:0" => ("a=rtpmap:0", "a=ptime:0\na=rtpmap:0"),
            "m=AUDIO 4000 rtp/avp 0" => ("m=audio 40000 RTP/AVP 0 101", "m=AUDIO 40000 rtp/avp 0 101"),
            line if line.starts_with("o=") => ("o=- 1 1 IN IP4 192.0.2.1", line),
            line => panic!("no input for {line}"),
        };
        let (head, sdp) = head_and_body();
        let odd = sdp.replace(from, to);
        assert_ne!(odd, sdp, "{line}");
        let message = format!("{head}Content-Type: application/sdp\n\n{odd}").replace('\n', "\r\n");
        // Latin-1: each character is a byte.
        let bytes: Vec<u8> = message.chars().map(|c| u8::try_from(u32::from(c)).expect("Latin-1")).collect();
        let answered = seen_on_stage(move |stage| async move {
            stage.carrier.arrives(hop(), &bytes);
            stage.pass(1500).await;
            stage.carrier.last_response(200, &Method::Invite).is_some()
        });
        assert!(answered, "{line}");
    }
    // What is needed and cannot be read is named.
    for (from, to, named) in [
        ("m=audio 40000", "m=audio forty", "line 6: m=audio forty RTP/AVP 0 101"),
        ("c=IN IP4 192.0.2.1", "c=IN", "line 4: c=IN"),
        ("RTP/AVP 0 101", "RTP/AVP 18", "305 bellhop"),
    ] {
        let invite = INVITE.replace(from, to);
        let refused = seen_on_stage(move |stage| async move {
            stage.carrier.sends(&invite);
            stage.pass(500).await;
            stage.carrier.last_response(488, &Method::Invite).expect("a 488")
        });
        let warning = refused.headers.get("Warning").expect("a Warning").to_owned();
        assert!(warning.contains(named), "{warning}");
    }
}

#[test]
fn a_private_re_invite_quickly() {
    case("a private re-INVITE, quickly");
    let statuses = seen_on_stage(|stage| async move {
        stage.call_answered().await;
        stage.carrier.habits(Habits { acks: false, answers_bye: true });
        stage.carrier.forget();
        let (_, sdp) = head_and_body();
        stage.carrier.sends(&inside(&stage, "INVITE", 2, "application/sdp", &format!("{sdp}a=sendonly\n")));
        stage.pass(50).await;
        stage.carrier.sends(&inside(&stage, "INVITE", 3, "application/sdp", sdp));
        stage.pass(50).await;
        stage.carrier.statuses().into_iter().filter(|status| *status >= 200).collect::<Vec<_>>()
    });
    assert_eq!(statuses, [200, 200]);
}

#[test]
fn info_in_its_other_dresses() {
    let case = case("INFO in its other dresses");
    let text = case["messages"].as_str().expect("a text");
    let types: Vec<&str> = text.split("Content-Type ").nth(1).expect("types").split(", ").collect();
    let bodies = |content_type: &str| match content_type {
        "application/dtmf-relay" => ("Signal=1\r\nDuration=160\r\n", '1'),
        "application/dtmf" => ("9", '9'),
        "audio/telephone-event" => ("\u{8}\u{a}\u{3}\u{20}", '8'),
        "application/vnd.nortelnetworks.digits" => ("p=Digit-Collection\r\ny=Digits\r\nd=4\r\n", '4'),
        other => panic!("no body for {other}"),
    };
    let infos: Vec<(String, &str)> = types.iter().map(|kind| ((*kind).to_owned(), bodies(kind).0)).collect();
    let expected: String = types.iter().map(|kind| bodies(kind).1).collect();
    let (statuses, asked) = seen_on_stage(move |stage| async move {
        collects_digits(&stage, infos.len());
        stage.call_answered().await;
        stage.caller_says("number").await;
        stage.pass(1000).await;
        stage.carrier.forget();
        for (n, (content_type, body)) in infos.iter().enumerate() {
            stage.carrier.sends(&inside(&stage, "INFO", n as u32 + 2, content_type, body));
            stage.pass(500).await;
        }
        stage.pass(1000).await;
        (stage.carrier.statuses(), stage.services.asked())
    });
    assert_eq!(statuses, vec![200; types.len()]);
    assert_eq!(asked.last(), Some(&expected));
}

/// The assistant asks for so many digits when it hears "number".
fn collects_digits(stage: &Stage, count: usize) {
    let parameters = json!({"count": count.to_string()});
    let collect = json!([{"response_type": "dtmf", "command_info": {"type": "collect", "parameters": parameters}}]);
    stage.services.replies("number", collect);
}

/// Presses a key on a call whose offer says telephone-event in its own way: what the assistant is told.
fn pressed_with(from: &'static str, to: String) -> Vec<String> {
    seen_on_stage(move |stage| async move {
        collects_digits(&stage, 1);
        let offer = INVITE.replace(from, &to);
        assert_ne!(offer, INVITE);
        stage.carrier.sends(&offer);
        stage.pass(2000).await;
        let answer = stage.carrier.last_response(200, &Method::Invite).expect("a 200");
        let answer = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(answer.contains("a=rtpmap:101 telephone-event/8000\r\n"), "agreed: {answer}");
        stage.caller_says("number").await;
        stage.pass(1000).await;
        stage.presses(&mut 100, 7).await;
        stage.pass(1000).await;
        stage.services.asked()
    })
}

#[test]
fn telephone_event_with_a_channel_count() {
    let case = case("telephone-event with a channel count");
    let line = case["sdp"].as_str().expect("a line").to_owned();
    let asked = pressed_with("a=rtpmap:101 telephone-event/8000", line);
    assert_eq!(asked.last().map(String::as_str), Some("7"));
}

#[test]
fn telephone_event_without_rtpmap() {
    let case = case("telephone-event without rtpmap");
    let fmtp = case["sdp"].as_str().expect("a text").split(", ").nth(1).expect("an a-line").to_owned();
    assert_eq!(fmtp, "a=fmtp:101 0-15");
    let asked = pressed_with("a=rtpmap:101 telephone-event/8000", fmtp);
    assert_eq!(asked.last().map(String::as_str), Some("7"));
}

/// The far end's answers count whoever asked: one to a refresh of ours moves the audio.
#[test]
fn an_answer_to_a_refresh_moves_the_audio() {
    let destinations = seen_on_stage(|stage| async move {
        stage.carrier.sends(
            &INVITE.replace("Max-Forwards", "Supported: timer\nSession-Expires: 90;refresher=uas\nMax-Forwards"),
        );
        stage.pass(2000).await;
        for n in 0..450_u16 {
            stage.line.puts(&bellhop_media::rtp::Packet {
                payload_type: 0,
                marker: n == 0,
                sequence: n,
                timestamp: u32::from(n) * 800,
                ssrc: 7,
                payload: &[0xff; 160],
            });
            stage.pass(100).await;
        }
        let refresh = stage.carrier.requests(&Method::Invite).pop().expect("a refresh");
        let (_, sdp) = head_and_body();
        let moved = sdp.replace("c=IN IP4 192.0.2.1", "c=IN IP4 192.0.2.77").replace('\n', "\r\n");
        let answer = refresh.respond(bellhop_sip::StatusCode(200), None).with_body("application/sdp", moved);
        stage.carrier.arrives(hop(), &Message::Response(answer).to_bytes());
        stage.pass(1000).await;
        stage.line.destinations()
    });
    assert!(destinations.contains(&"192.0.2.77:40000".parse().expect("an address")), "{destinations:?}");
}
