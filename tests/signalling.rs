//! SIP as the far end sees it, in virtual time.

use std::time::Duration;

use bellhop_actors::reception::Drain;
use bellhop_sip::message::{Message, Method};
use bellhop_tests::Stage;
use bellhop_tests::stage::{Choices, INVITE, play};

fn statuses_of(invite: &str) -> Vec<u16> {
    let (told, tell) = std::sync::mpsc::channel();
    let invite = invite.to_owned();
    play(Choices::default(), move |stage| async move {
        stage.carrier.sends(&invite);
        stage.pass(3000).await;
        let _ = told.send(stage.carrier.statuses());
    });
    tell.recv().expect("the test ran")
}

fn inside(stage: &Stage, method: &str, number: u32) -> String {
    let tag = stage.carrier.to_tag();
    format!(
        "{method} sip:203.0.113.7:5060 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{method}{number}\nFrom: <sip:+12065550100@10.0.58.47:5060>;tag=far\nTo: <sip:+18005550123@203.0.113.7:5060>;transport=UDP;tag={tag}\nCall-ID: call-1\nCSeq: {number} {method}\nContent-Length: 0\n\n"
    )
}

#[test]
fn a_call_is_tried_rung_and_answered() {
    assert_eq!(statuses_of(INVITE), [100, 180, 200]);
}

#[test]
fn what_cannot_become_a_call_gets_its_status() {
    for (from, to, expected) in [
        ("INVITE sip:+18005550123", "INVITE sip:+18005550199", 200), // the To header still leads to the tenant
        ("+18005550123", "+18005550199", 403),
        ("instance/abc", "instance/other", 403),
        ("RTP/AVP 0 101", "RTP/AVP 18", 488),
        ("v=0", "hello", 400),
        ("application/sdp", "text/plain", 415),
        ("Max-Forwards: 69", "Max-Forwards: 0", 483),
        ("CSeq: 1 INVITE", "CSeq: 1 BYE", 400),
        ("sip:+18005550123@203.0.113.7:5060 SIP", "http://x SIP", 416),
        ("Max-Forwards: 69", "Require: 100rel, nonsense", 420),
        ("Max-Forwards: 69", "Supported: timer\nSession-Expires: 30", 422),
    ] {
        let statuses = statuses_of(&INVITE.replace(from, to));
        assert_eq!(statuses.last(), Some(&expected), "{from} -> {to}: {statuses:?}");
    }
}

#[test]
fn requests_outside_dialogs_are_answered_by_their_class() {
    for (method, expected) in [("OPTIONS", 200), ("REGISTER", 405), ("BYE", 481), ("CANCEL", 481), ("WHATEVER", 405)] {
        let text = INVITE.split("Content-Type").next().expect("headers").replace("INVITE", method) + "\n";
        assert_eq!(statuses_of(&text), [expected], "{method}");
    }
}

#[test]
fn a_retransmitted_invite_makes_no_second_call() {
    play(Choices::default(), |stage| async move {
        stage.carrier.sends(INVITE);
        stage.carrier.sends(INVITE);
        stage.pass(2000).await;
        stage.carrier.sends(INVITE);
        stage.pass(500).await;
        assert_eq!(stage.carrier.statuses().iter().filter(|s| **s == 200).count(), 1);
        let merged = INVITE.replace("z9hG4bKinvite", "z9hG4bKother");
        stage.carrier.sends(&merged);
        stage.pass(500).await;
        assert_eq!(stage.carrier.statuses().last(), Some(&482));
    });
}

#[test]
fn cancel_ends_a_ringing_call() {
    play(Choices::default(), |stage| async move {
        stage.services.assistant(bellhop_tests::services::Behaviour::Silent);
        stage.carrier.sends(INVITE);
        stage.pass(500).await;
        let cancel = INVITE.split("Content-Type").next().expect("headers").replace("INVITE", "CANCEL") + "\n";
        stage.carrier.sends(&cancel);
        stage.settle().await;
        assert_eq!(stage.carrier.statuses(), [100, 180, 200, 487]);
        assert!(stage.carrier.requests(&Method::Bye).is_empty());
        assert_eq!(stage.leaks().await, Vec::<String>::new());
    });
}

/// The CANCEL overtakes the call's coming to be.
#[test]
fn cancel_right_behind_the_invite_is_not_lost() {
    play(Choices::default(), |stage| async move {
        let cancel = INVITE.split("Content-Type").next().expect("headers").replace("INVITE", "CANCEL") + "\n";
        stage.carrier.sends(INVITE);
        stage.carrier.sends(&cancel);
        stage.settle().await;
        let statuses = stage.carrier.statuses();
        assert_eq!(statuses.last(), Some(&487), "{statuses:?}");
        assert!(stage.carrier.requests(&Method::Bye).is_empty());
        assert_eq!(stage.leaks().await, Vec::<String>::new());
    });
}

#[test]
fn the_caller_hangs_up_in_the_middle_of_a_sentence() {
    play(Choices::default(), |stage| async move {
        stage.carrier.sends(INVITE);
        stage.pass(300).await;
        stage.carrier.sends(&inside(&stage, "BYE", 2));
        stage.settle().await;
        assert_eq!(stage.carrier.statuses(), [100, 180, 200, 200]);
        assert!(stage.carrier.requests(&Method::Bye).is_empty());
        assert_eq!(stage.leaks().await, Vec::<String>::new());
        assert_eq!(stage.services.writes_and_blanks(), (0, 0));
    });
}

#[test]
fn requests_inside_a_dialog_are_answered() {
    play(Choices::default(), |stage| async move {
        stage.call_answered().await;
        for (method, number, expected) in [
            ("OPTIONS", 2, 200),
            ("INFO", 3, 200),
            ("INFO", 3, 200),
            ("REFER", 4, 405),
            ("NOTIFY", 5, 481),
            ("OPTIONS", 1, 500),
        ] {
            stage.carrier.sends(&inside(&stage, method, number));
            stage.pass(10).await;
            assert_eq!(stage.carrier.statuses().last(), Some(&expected), "{method} {number}");
        }
        stage.carrier.sends(&inside(&stage, "BYE", 9).replace("Call-ID: call-1", "Call-ID: other"));
        stage.pass(10).await;
        assert_eq!(stage.carrier.statuses().last(), Some(&481));
    });
}

#[test]
fn an_invite_without_an_offer_gets_ours_and_answers_in_its_ack() {
    play(Choices::default(), |stage| async move {
        let (head, body) = INVITE.split_once("Content-Type: application/sdp\n\n").expect("both parts");
        stage.carrier.habits(bellhop_tests::carrier::Habits { acks: false, answers_bye: true });
        stage.carrier.sends(&format!("{head}Content-Length: 0\n\n"));
        stage.pass(1000).await;
        let offer = stage.carrier.seen().iter().rev().find_map(|message| match message {
            Message::Response(response) if response.status.0 == 200 => Some(response.body.clone()),
            _ => None,
        });
        let offer = String::from_utf8_lossy(&offer.expect("a 200")).into_owned();
        assert!(offer.contains("m=audio 20000 RTP/AVP 0 8 9 96 101 102"), "{offer}");
        // Their answer chooses A-law.
        let answer = body.replace("RTP/AVP 0 101", "RTP/AVP 8 101").replace("rtpmap:0 PCMU", "rtpmap:8 PCMA");
        let ack = inside(&stage, "ACK", 1).replace("Content-Length: 0\n", "Content-Type: application/sdp\n") + &answer;
        stage.carrier.sends(&ack);
        stage.pass(1000).await;
        let sent = stage.line.sent();
        assert!(sent.iter().any(|packet| packet.4), "the greeting is heard");
        stage.carrier.sends(&inside(&stage, "BYE", 2));
        stage.settle().await;
        assert_eq!(stage.leaks().await, Vec::<String>::new());
    });
}

/// RFC 3263: a BYE by a route that has a name goes to its address; an unknown name changes nothing.
#[test]
fn a_route_with_a_name_is_looked_up() {
    let edge: std::net::SocketAddr = "198.51.100.9:5080".parse().expect("an address");
    for (host, expected) in [("edge.example.com", edge), ("nobody.example.com", bellhop_tests::carrier::hop().remote)] {
        let choices = Choices { named: Some(("edge.example.com", edge)), ..Choices::default() };
        play(choices, move |stage| async move {
            stage.carrier.habits(bellhop_tests::carrier::Habits { acks: true, answers_bye: true });
            stage.carrier.sends(&INVITE.replace("<sip:192.0.2.1;lr>", &format!("<sip:{host};lr>")));
            stage.pass(2000).await;
            stage.caller_says("goodbye").await;
            stage.settle().await;
            assert_eq!(stage.carrier.requests(&Method::Bye).len(), 1, "{host}");
            assert_eq!(stage.carrier.last_hop().map(|hop| hop.remote), Some(expected), "{host}");
            assert_eq!(stage.leaks().await, Vec::<String>::new());
        });
    }
}

#[test]
fn a_full_node_says_503_with_a_time_to_come_back() {
    let choices = Choices { node_max_calls: 1, ..Choices::default() };
    play(choices, |stage| async move {
        stage.call_answered().await;
        stage.carrier.sends(&second_call());
        stage.pass(1000).await;
        let Some(Message::Response(last)) = stage.carrier.seen().last().cloned() else { panic!("a response") };
        assert_eq!((last.status.0, last.headers.get("Retry-After")), (503, Some("5")));
    });
}

#[test]
fn a_tenant_over_its_quota_hands_the_caller_back_to_its_flow() {
    for (policy, expected) in [("answer_then_bye", 200), ("service_unavailable", 503)] {
        let choices = Choices::tenant(format!("max_calls = 1\non_setup_failure = \"{policy}\""));
        play(choices, move |stage| async move {
            stage.call_answered().await;
            stage.carrier.forget();
            stage.carrier.sends(&second_call());
            stage.pass(1000).await;
            assert!(stage.carrier.statuses().contains(&expected));
            assert_eq!(stage.carrier.requests(&Method::Bye).len(), usize::from(expected == 200));
        });
    }
}

fn second_call() -> String {
    INVITE.replace("z9hG4bKinvite", "z9hG4bKsecond").replace("call-1", "call-2").replace("tag=far", "tag=far2")
}

#[test]
fn a_drained_node_refuses_new_calls_and_tears_the_last_down_at_its_deadline() {
    play(Choices::default(), |stage| async move {
        stage.call_answered().await;
        let (done, mut told) = tokio::sync::mpsc::unbounded_channel();
        let by = bellhop_actors::now() + Duration::from_secs(20);
        stage.reception.do_send(Drain { by, done });
        stage.carrier.sends(&second_call());
        stage.pass(100).await;
        assert_eq!(stage.carrier.statuses().last(), Some(&503));
        assert!(stage.carrier.requests(&Method::Bye).is_empty(), "calls may finish");
        stage.pass(21_000).await;
        let bye = &stage.carrier.requests(&Method::Bye)[0];
        assert_eq!(bye.headers.get("Reason"), Some("SIP;cause=503;text=\"node draining\""));
        assert!(told.recv().await.is_some());
        assert_eq!(stage.leaks().await, Vec::<String>::new());
    });
}
