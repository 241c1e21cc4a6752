//! Who is believed, in virtual time: strangers, those who write in a trunk's name, and scanners. The cases of
//! `tests/cases/signalling.yaml` that this file covers are listed in [`CASES`].

use std::net::SocketAddr;
use std::path::Path;

use bellhop_sip::hop::{Hop, Transport};
use bellhop_sip::message::{Message, Method};
use bellhop_tests::Stage;
use bellhop_tests::carrier::{Habits, hop};
use bellhop_tests::stage::{Choices, INVITE, play};
use serde_json::json;

/// Each has a test under its name, here or where it is said.
const CASES: [(&str, &str); 7] = [
    ("a PBX that pings by what we do not speak", "a_pbx_that_pings_by_what_we_do_not_speak"),
    ("a private Contact from a private source, without Record-Route", "in src/sip/dialog/tests.rs"),
    ("spoofed requests in a trunk's name", "spoofed_requests_in_a_trunks_name"),
    ("twenty INVITEs that are never acknowledged, from one address", "twenty_invites_that_are_never_acknowledged"),
    ("4,096 connections with one byte each from one address", "in actors/signalling/doors.rs"),
    ("a refused INVITE that is tried again", "a_refused_invite_that_is_tried_again"),
    ("a challenge to a stranger is not remembered", "a_challenge_to_a_stranger_is_not_remembered"),
];

#[test]
fn the_cases_of_this_file_are_those_of_the_field() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/signalling.yaml");
    let text = std::fs::read_to_string(path).expect("the cases are carried over");
    for (name, _) in CASES {
        assert!(text.lines().any(|line| line.strip_prefix("- name: ") == Some(name)), "{name}");
    }
}

fn at(address: &str, transport: Transport, flow: u64) -> Hop {
    Hop { transport, remote: address.parse().expect("an address"), flow }
}

fn stranger() -> Hop {
    at("198.51.100.66:5060", Transport::Udp, 0)
}

/// The nth call: another dialog, another transaction.
fn call(n: usize) -> String {
    INVITE
        .replace("z9hG4bKinvite", &format!("z9hG4bKcall{n}"))
        .replace("call-1", &format!("call-{n}"))
        .replace("contact-1", &format!("contact-{n}"))
}

/// A request outside any dialog.
fn outside(method: &str, n: usize) -> String {
    format!(
        "{method} sip:203.0.113.7 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{method}{n}\nMax-Forwards: 70\nFrom: <sip:pbx@192.0.2.1>;tag=p{n}\nTo: <sip:203.0.113.7>\nCall-ID: {method}-{n}\nCSeq: {n} {method}\nContact: <sip:pbx@192.0.2.1>\nEvent: keep-alive\nContent-Length: 0\n\n"
    )
}

/// What was answered to a Call-ID, 100 aside.
fn answers(stage: &Stage, call_id: &str) -> Vec<u16> {
    let of = |message: Message| match message {
        Message::Response(response) if response.headers.get("Call-ID") == Some(call_id) => Some(response.status.0),
        _ => None,
    };
    stage.carrier.seen().into_iter().filter_map(of).filter(|status| *status > 100).collect()
}

/// Acknowledges the refusal of an INVITE that this hop sent, by the tag that was sent there.
fn acknowledges(stage: &Stage, from: Hop, call_id: &str) {
    let refusal = stage.carrier.seen_with_hops().into_iter().rev().find_map(|(message, to)| match message {
        Message::Response(response) if response.headers.get("Call-ID") == Some(call_id) && to == from => Some(response),
        _ => None,
    });
    let Some(refusal) = refusal else { return };
    let header = |name| refusal.headers.get(name).unwrap_or_default().to_owned();
    let number = header("CSeq").split(' ').next().unwrap_or("1").to_owned();
    let ack = format!(
        "ACK sip:203.0.113.7 SIP/2.0\nVia: {}\nFrom: {}\nTo: {}\nCall-ID: {call_id}\nCSeq: {number} ACK\nContent-Length: 0\n\n",
        header("Via"),
        header("From"),
        header("To")
    );
    stage.carrier.sends_from(from, &ack);
}

/// The BYE of the caller inside a dialog.
fn bye(call_id: &str, from_tag: &str, to_tag: &str) -> String {
    format!(
        "BYE sip:203.0.113.7:5060 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKbye{call_id}\nFrom: <sip:+12065550100@10.0.58.47:5060>;tag={from_tag}\nTo: <sip:+18005550123@203.0.113.7:5060>;transport=UDP;tag={to_tag}\nCall-ID: {call_id}\nCSeq: 9 BYE\nContent-Length: 0\n\n"
    )
}

fn wrong_number(n: usize) -> String {
    call(n).replace("+18005550123", "1000").replace(&format!("call-{n}"), &format!("scan-{n}"))
}

/// A tenant whom anybody can call, or the carrier's network alone.
fn choices(strangers: bool) -> Choices {
    if strangers { Choices::open("") } else { Choices::default() }
}

#[test]
fn what_a_stranger_says_of_a_contact_counts_for_nothing() {
    for (strangers, hands_over) in [(false, true), (true, false)] {
        play(choices(strangers), move |stage| async move {
            stage.call_answered().await;
            stage.caller_says("agent").await;
            stage.settle().await;
            assert!(stage.carrier.statuses().contains(&200), "the call itself is served");
            assert_eq!(stage.services.has_key(), hands_over, "strangers: {strangers}");
            assert_eq!(stage.leaks().await, Vec::<String>::new());
        });
    }
    // Neither the end of a conversation, nor another instance's name, is the stranger's to write.
    play(Choices::open(""), |stage| async move {
        stage.carrier.sends(&INVITE.replace("instance/abc", "instance/other"));
        stage.pass(2000).await;
        assert!(stage.carrier.statuses().contains(&200), "it is not believed, so it is not refused either");
        stage.caller_says("goodbye").await;
        stage.settle().await;
        assert_eq!(stage.services.writes_and_blanks(), (0, 0));
        let (record, _) = stage.services.records().pop().expect("a record");
        assert!(record["warnings_and_errors"].to_string().contains("contact_unknown"), "{record}");
    });
}

#[test]
fn a_contact_has_one_live_call() {
    play(Choices::default(), |stage| async move {
        stage.call_answered().await;
        let second = call(2).replace("contact-2", "CONTACT-1").replace("tag=far", "tag=far2");
        stage.carrier.sends(&second);
        stage.pass(2000).await;
        assert_eq!(answers(&stage, "call-2").last(), Some(&200), "it is served, without the contact");
        stage.carrier.sends(&bye("call-2", "far2", &stage.carrier.to_tag()));
        stage.pass(1000).await;
        assert_eq!(stage.services.writes_and_blanks(), (0, 0), "the second writes nothing");
        let (record, _) = stage.services.records().pop().expect("the second one's record");
        let warnings = record["warnings_and_errors"].to_string();
        assert!(warnings.contains("another call that is up has the same contact"), "{warnings}");
        // The first one goes on as if nothing had been.
        stage.caller_says("agent").await;
        stage.settle().await;
        assert!(stage.services.has_key());
        // And once it is over, the flow may transfer the same contact again.
        stage.carrier.sends(&call(3).replace("contact-3", "contact-1"));
        stage.pass(2000).await;
        stage.caller_says("goodbye").await;
        stage.settle().await;
        assert!(stage.services.attributes()["SessionHistoryKey"].contains("hangup"));
        assert_eq!(stage.leaks().await, Vec::<String>::new());
    });
}

#[test]
fn a_login_restricts_who_is_believed_and_a_host_name_does_not() {
    play(Choices::open("sip.server_name = \"acme-7f3a.example.com\""), |stage| async move {
        stage.carrier.speaks_tls("acme-7f3a.example.com");
        stage.call_answered().await;
        stage.caller_says("agent").await;
        stage.settle().await;
        assert!(!stage.services.has_key(), "a name that is sent in the clear is no secret");
    });
}

/// The case "a PBX that pings by what we do not speak".
#[test]
fn a_pbx_that_pings_by_what_we_do_not_speak() {
    for strangers in [false, true] {
        play(choices(strangers), |stage| async move {
            for n in 0..180 {
                for method in ["NOTIFY", "REGISTER", "SUBSCRIBE"] {
                    stage.carrier.sends(&outside(method, n));
                    stage.pass(1).await;
                    assert!(
                        matches!(answers(&stage, &format!("{method}-{n}")).last(), Some(405 | 489)),
                        "{method} {n}"
                    );
                }
                stage.carrier.forget();
            }
            stage.call_answered().await;
            assert_eq!(stage.carrier.statuses().last(), Some(&200));
        });
    }
}

/// The case "spoofed requests in a trunk's name": what UDP says shuts nobody out, not of a dialog, not over a connection, and
/// not over UDP either.
#[test]
fn spoofed_requests_in_a_trunks_name() {
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        play(Choices::open(""), move |stage| async move {
            let trunk = Hop { transport, flow: if transport == Transport::Udp { 0 } else { 70_000 }, ..hop() };
            stage.carrier.habits(Habits { acks: false, answers_bye: true });
            stage.carrier.sends_from(trunk, INVITE);
            stage.pass(2000).await;
            let tag = stage.carrier.to_tag();
            let inside = |method: &str, number: u32| {
                format!(
                    "{method} sip:203.0.113.7:5060 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{method}in\nFrom: <sip:+12065550100@10.0.58.47:5060>;tag=far\nTo: <sip:+18005550123@203.0.113.7:5060>;transport=UDP;tag={tag}\nCall-ID: call-1\nCSeq: {number} {method}\nContent-Length: 0\n\n"
                )
            };
            stage.carrier.sends_from(trunk, &inside("ACK", 1));
            stage.pass(100).await;
            // Nobody acknowledges these: whoever sends them does not see what they are answered.
            for n in 0..100 {
                stage.carrier.sends_from(hop(), &outside("REGISTER", n));
                stage.carrier.sends_from(hop(), &wrong_number(n));
                stage.pass(1).await;
            }
            stage.carrier.forget();
            stage.carrier.sends_from(trunk, &inside("BYE", 2));
            stage.pass(100).await;
            assert_eq!(answers(&stage, "call-1"), [200], "BYE over {transport}");
            stage.carrier.sends_from(trunk, &call(1000));
            stage.pass(2000).await;
            assert!(answers(&stage, "call-1000").contains(&200), "INVITE over {transport}");
        });
    }
}

/// `docs/sip.md`: twenty refusals in a row of a source that is proven shut it out for two minutes.
#[test]
fn a_scanner_that_is_proven_is_shut_out_for_two_minutes() {
    play(Choices::open(""), |stage| async move {
        let answered = |stage: &Stage, from: usize, to: usize| {
            (from..to).filter(|n| !answers(stage, &format!("scan-{n}")).is_empty()).count()
        };
        for n in 0..60 {
            stage.carrier.sends_from(stranger(), &wrong_number(n));
            stage.pass(10).await;
            acknowledges(&stage, stranger(), &format!("scan-{n}"));
            stage.pass(10).await;
        }
        assert_eq!(answered(&stage, 0, 60), 20);
        stage.carrier.sends_from(stranger(), &outside("OPTIONS", 1));
        stage.pass(10).await;
        assert_eq!(answers(&stage, "OPTIONS-1"), [0u16; 0]);
        stage.carrier.sends_from(at("198.51.100.67:5060", Transport::Udp, 0), &wrong_number(100));
        stage.pass(10).await;
        assert_eq!(answered(&stage, 100, 101), 1, "its neighbour is another");
        stage.pass(118_000).await;
        stage.carrier.sends_from(stranger(), &wrong_number(101));
        stage.pass(10).await;
        assert_eq!(answered(&stage, 101, 102), 0, "not before two minutes");
        stage.pass(2000).await;
        stage.carrier.sends_from(stranger(), &wrong_number(102));
        stage.pass(10).await;
        assert_eq!(answered(&stage, 102, 103), 1, "and not for ever");
    });
}

#[test]
fn who_stands_on_a_tenants_list_is_never_shut_out() {
    play(Choices::default(), |stage| async move {
        for n in 0..60 {
            stage.carrier.sends(&wrong_number(n));
            stage.pass(10).await;
            acknowledges(&stage, hop(), &format!("scan-{n}"));
            stage.pass(10).await;
        }
        assert_eq!(answers(&stage, "scan-59"), [403]);
    });
}

/// A change of the configuration puts a network on a tenant's list, and takes it off again.
#[test]
fn the_newest_lists_say_who_is_never_shut_out() {
    play(Choices::open(""), |stage| async move {
        let answered = async |from: usize| {
            for n in from..from + 60 {
                stage.carrier.sends_from(stranger(), &wrong_number(n));
                stage.pass(10).await;
                acknowledges(&stage, stranger(), &format!("scan-{n}"));
                stage.pass(10).await;
            }
            (from..from + 60).filter(|n| !answers(&stage, &format!("scan-{n}")).is_empty()).count()
        };
        stage.serves([stage.acme_after("sip.sources = [\"198.51.100.0/24\"]")]).await;
        assert_eq!(answered(0).await, 60);
        stage.serves([stage.acme.clone()]).await;
        assert_eq!(answered(100).await, 20);
    });
}

/// The case "twenty INVITEs that are never acknowledged, from one address", by one number and with lists and without.
#[test]
fn twenty_invites_that_are_never_acknowledged() {
    for strangers in [true, false] {
        let attacker = if strangers { stranger() } else { at("192.0.2.66:5060", Transport::Udp, 0) };
        play(Choices { node_max_calls: 12, ..choices(strangers) }, move |stage| async move {
            stage.carrier.habits(Habits { acks: false, answers_bye: true });
            for n in 0..20 {
                stage.carrier.sends_from(attacker, &call(100 + n));
                stage.pass(1).await;
            }
            stage.pass(1000).await;
            let last = |n: usize| answers(&stage, &format!("call-{}", 100 + n)).last().copied();
            let taken = (0..20).filter(|n| last(*n) == Some(200)).count();
            assert!((1..10).contains(&taken), "{taken} of ten places");
            assert_eq!(last(19), Some(503), "the rest hears that it may come back");
            stage.carrier.habits(Habits { acks: true, answers_bye: true });
            stage.call_answered().await;
            assert!(answers(&stage, "call-1").contains(&200), "others get in");
            stage.carrier.forget();
            stage.settle().await;
            stage.carrier.hangs_up();
            stage.settle().await;
            assert_eq!(stage.leaks().await, Vec::<String>::new());
        });
    }
}

#[test]
fn calls_that_are_acknowledged_are_not_held_against_their_source() {
    play(Choices { node_max_calls: 10, ..Choices::open("") }, |stage| async move {
        for n in 0..10 {
            stage.carrier.sends(&call(n).replace("tag=far", &format!("tag=far{n}")));
            stage.pass(2000).await;
            assert!(answers(&stage, &format!("call-{n}")).contains(&200), "call {n}");
        }
    });
}

/// The case "a refused INVITE that is tried again".
#[test]
fn a_refused_invite_that_is_tried_again() {
    for wait in [1000, 40_000] {
        play(Choices { node_max_calls: 1, ..Choices::default() }, move |stage| async move {
            stage.call_answered().await;
            let bye = bye("call-1", "far", &stage.carrier.to_tag());
            stage.carrier.sends(&call(2));
            stage.pass(100).await;
            assert_eq!(answers(&stage, "call-2"), [503]);
            stage.carrier.sends(&bye);
            stage.pass(wait).await;
            stage.carrier.sends(&call(2).replace("z9hG4bKcall2", "z9hG4bKanother"));
            stage.pass(2000).await;
            assert_eq!(answers(&stage, "call-2").last(), Some(&200), "after {wait} ms");
        });
    }
}

/// The case "a challenge to a stranger is not remembered": one datagram for one, and no transaction.
#[test]
fn a_challenge_to_a_stranger_is_not_remembered() {
    for (transport, status) in [(Transport::Udp, 403), (Transport::Tls, 401)] {
        let login = "[sip]\nrealm = \"acme\"\nuser = \"trunk\"\npassword = \"secret\"";
        play(Choices::open(login), move |stage| async move {
            stage.carrier.habits(Habits { acks: false, answers_bye: true });
            for n in 0..10_000 {
                let source = SocketAddr::from(([198, 51, 100, (n % 250) as u8], 5060));
                stage.carrier.sends_from(Hop { transport, remote: source, flow: 70_000 + n as u64 }, &call(n));
                if n % 100 == 0 {
                    stage.pass(1).await;
                }
            }
            stage.pass(40_000).await;
            assert_eq!(stage.carrier.statuses(), vec![status; 10_000]);
            assert_eq!(stage.transactions().await, 0);
        });
    }
}

/// Floods of what we do not serve are answered once each and leave nothing behind.
#[test]
fn what_never_becomes_a_call_costs_no_memory() {
    play(Choices::open(""), |stage| async move {
        let bye = outside("BYE", 1).replace("To: <sip:203.0.113.7>", "To: <sip:203.0.113.7>;tag=nobody");
        for (n, request) in ["REGISTER", "MESSAGE", "SUBSCRIBE", "OPTIONS", "CANCEL", "BYE"].iter().enumerate() {
            (0..50).for_each(|k| stage.carrier.sends_from(stranger(), &outside(request, 100 * n + k)));
            stage.pass(10).await;
        }
        stage.carrier.sends_from(stranger(), &bye);
        stage.pass(10).await;
        assert_eq!(stage.transactions().await, 0);
        assert_eq!(stage.carrier.statuses().len(), 301);
    });
}

#[test]
fn the_assistant_transfers_callers_to_listed_targets_alone() {
    let refer_to = |uri: &'static str| json!([{"response_type": "connect_to_agent", "transfer_info": {"target": {"service_desk": {"sip": {"uri": uri}}}}}]);
    for (list, uri, transferred) in [
        (None, "sip:+18005550199@192.0.2.1", true),
        (None, "sip:agent@desk.example.com", true),
        (None, "sip:+99@premium.example", false),
        (None, "tel:+99123", false),
        (None, "sip:a@192.0.2.1;maddr=203.0.113.99", false),
        (Some("+4420"), "tel:+442079460018", true),
        (Some("+4420"), "tel:+44907", false),
        (Some("+4420"), "tel:+4420;rn=+99123", false),
        (Some("anywhere"), "sip:+99@premium.example", true),
    ] {
        let sip = "[sip]\nfailure_message = \"\"\nfailure_target = \"sip:failures@desk.example.com\"\nhold_on_transfer = false";
        let targets = list.map(|list| format!("transfer_targets = [\"{list}\"]")).unwrap_or_default();
        play(Choices::trunk(format!("{sip}\n{targets}")), move |stage| async move {
            stage.services.replies("desk", refer_to(uri));
            stage.call_answered().await;
            stage.caller_says("desk").await;
            stage.pass(8000).await;
            let named = |message: &Message| message.headers().get("Refer-To").is_some_and(|to| to.contains(uri));
            let referred = stage.carrier.seen().iter().any(named);
            assert_eq!(referred, transferred, "{list:?} {uri}");
            stage.settle().await;
            if !transferred {
                assert!(stage.carrier.requests(&Method::Refer).is_empty());
                assert!(stage.services.said().iter().any(|text| text == "the transfer failed"), "{uri}");
                let (record, _) = stage.services.records().pop().expect("a record");
                let warnings = record["warnings_and_errors"].to_string();
                assert!(warnings.contains("transfer_target_refused") && !warnings.contains("99123"), "{warnings}");
            }
        });
    }
}

/// RFC 4568 section 8: the protocol that carries a key protects it, or the key protects nothing.
#[test]
fn a_key_that_is_required_is_never_shown_where_anybody_reads() {
    let crypto = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\n";
    for (transport, status) in [(Transport::Udp, 488), (Transport::Tcp, 488), (Transport::Tls, 200)] {
        play(Choices::tenant("media.srtp = \"required\""), move |stage| async move {
            stage.carrier.sends_from(Hop { transport, ..hop() }, &(INVITE.replace("RTP/AVP", "RTP/SAVP") + crypto));
            stage.pass(2000).await;
            assert_eq!(answers(&stage, "call-1").last(), Some(&status), "{transport}");
            let shown = stage.carrier.seen().into_iter().any(|message| match message {
                Message::Response(response) => String::from_utf8_lossy(&response.body).contains("a=crypto"),
                Message::Request(_) => false,
            });
            assert_eq!(shown, status == 200, "{transport}");
        });
    }
}

/// Each request inside a dialog is remembered for half a minute: a caller who sends thousands would have us hold them all.
#[test]
fn a_flood_inside_a_dialog_is_answered_and_not_remembered() {
    play(Choices::default(), |stage| async move {
        stage.call_answered().await;
        let to_tag = stage.carrier.to_tag();
        for n in 0..2000 {
            let options = bye("call-1", "far", &to_tag).replace("BYE", "OPTIONS");
            let options = options.replace("z9hG4bKbyecall-1", &format!("z9hG4bKflood{n}"));
            stage.carrier.sends(&options.replace("CSeq: 9 ", &format!("CSeq: {} ", 52_215_700 + n)));
        }
        stage.pass(100).await;
        let answers = answers(&stage, "call-1");
        let of = |status: u16| answers.iter().filter(|answer| **answer == status).count();
        assert!(of(200) <= 110 && of(500) >= 1890, "{} served, {} put off", of(200), of(500));
        assert!(stage.transactions().await <= 120, "{}", stage.transactions().await);
        // Its BYE is heard all the same, and the next second's requests.
        stage.pass(2000).await;
        stage.carrier.forget();
        stage.carrier.sends(&bye("call-1", "far", &to_tag).replace("CSeq: 9 ", "CSeq: 52219999 "));
        stage.pass(100).await;
        assert_eq!(stage.carrier.statuses(), [200]);
        stage.pass(40_000).await;
        assert_eq!(stage.leaks().await, Vec::<String>::new());
    });
}
