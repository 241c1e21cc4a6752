//! Where no contact flow takes over: transfers, and the way out of a failure, in virtual time.

use bellhop_actors::call::phase::PhaseName;
use bellhop_actors::reception::Drill;
use bellhop_actors::supervision::{ChildName, Fault};
use bellhop_sip::message::{Method, Request, StatusCode};
use bellhop_tenancy::tenant::{Failover, HoldOnTransfer};
use bellhop_tests::Stage;
use bellhop_tests::stage::{Choices, play};

fn trunk(child: ChildName, target: Option<&str>, hold: HoldOnTransfer) -> Choices {
    let drill = Drill { child, phase: PhaseName::Talking, fault: Fault::Panic };
    let failover = Failover { message: Some("we are sorry".into()), target: target.map(str::to_owned) };
    Choices { drill: Some(drill), failover: Some(failover), hold, ..Choices::default() }
}

fn answers(stage: &Stage, request: &Request, status: u16) {
    let response = request.respond(StatusCode(status), None);
    stage.carrier.sends(&String::from_utf8_lossy(&response.to_bytes()));
}

fn notify(stage: &Stage, fragment: &str) {
    let tag = stage.carrier.to_tag();
    stage.carrier.sends(&format!("NOTIFY sip:203.0.113.7:5060 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKnotify\nFrom: <sip:+12065550100@10.0.58.47:5060>;tag=far\nTo: <sip:+18005550123@203.0.113.7:5060>;transport=UDP;tag={tag}\nCall-ID: call-1\nCSeq: 9 NOTIFY\nEvent: refer\nSubscription-State: terminated\nContent-Length: {}\n\n{fragment}", fragment.len()));
}

#[test]
fn a_failure_is_told_the_caller_who_is_then_referred_on() {
    for child in [ChildName::TurnLoop, ChildName::SttStream, ChildName::ConnectHandoff] {
        let choices = trunk(child, Some("sip:desk@pbx.example.com"), HoldOnTransfer::Leave);
        play(choices, move |stage| async move {
            stage.call_answered().await;
            stage.pass(3000).await;
            assert!(stage.services.said().iter().any(|text| text == "we are sorry"), "{child}");
            let refer = stage.carrier.requests(&Method::Refer).pop().expect("a REFER");
            assert_eq!(refer.headers.get("Refer-To"), Some("<sip:desk@pbx.example.com>"));
            answers(&stage, &refer, 202);
            stage.pass(5000).await;
            assert!(stage.carrier.requests(&Method::Bye).is_empty(), "{child}: no BYE before the outcome");
            notify(&stage, "SIP/2.0 200 OK");
            stage.settle().await;
            assert_eq!(stage.carrier.requests(&Method::Bye).len(), 1, "{child}");
            assert_eq!(stage.leaks().await, Vec::<String>::new(), "{child}");
        });
    }
}

#[test]
fn a_call_that_fails_while_it_rings_is_answered_and_led_out() {
    let choices = trunk(ChildName::TurnLoop, Some("sip:desk@pbx.example.com"), HoldOnTransfer::Leave);
    let drill = choices.drill.map(|drill| Drill { phase: PhaseName::Offered, ..drill });
    play(Choices { drill, ..choices }, |stage| async move {
        stage.call_answered().await;
        stage.pass(3000).await;
        assert!(stage.carrier.statuses().contains(&200));
        assert!(stage.services.said().iter().any(|text| text == "we are sorry"));
        let refer = stage.carrier.requests(&Method::Refer).pop().expect("a REFER");
        answers(&stage, &refer, 202);
        notify(&stage, "SIP/2.0 200 OK");
        stage.settle().await;
        assert_eq!(stage.carrier.requests(&Method::Bye).len(), 1);
        assert_eq!(stage.leaks().await, Vec::<String>::new());
    });
}

#[test]
fn without_a_target_the_words_are_followed_by_a_bye() {
    play(trunk(ChildName::TurnLoop, None, HoldOnTransfer::Hold), |stage| async move {
        stage.call_answered().await;
        stage.settle().await;
        assert!(stage.services.said().iter().any(|text| text == "we are sorry"));
        assert!(stage.carrier.requests(&Method::Refer).is_empty());
        assert_eq!(stage.carrier.requests(&Method::Bye).len(), 1);
        assert_eq!(stage.leaks().await, Vec::<String>::new());
    });
}

#[test]
fn a_call_without_a_voice_is_referred_in_silence() {
    play(trunk(ChildName::TtsPlayback, Some("sip:desk@pbx"), HoldOnTransfer::Leave), |stage| async move {
        stage.call_answered().await;
        stage.pass(100).await;
        assert_eq!(stage.carrier.requests(&Method::Refer).len(), 1);
        assert!(!stage.services.said().iter().any(|text| text == "we are sorry"));
    });
}

#[test]
fn a_refused_transfer_of_a_failed_call_ends_it_with_words() {
    play(trunk(ChildName::TurnLoop, Some("sip:desk@pbx"), HoldOnTransfer::Leave), |stage| async move {
        stage.call_answered().await;
        stage.pass(3000).await;
        let refer = stage.carrier.requests(&Method::Refer).pop().expect("a REFER");
        answers(&stage, &refer, 603);
        stage.settle().await;
        assert!(stage.services.said().iter().any(|text| text == "the transfer failed"));
        assert_eq!(stage.carrier.requests(&Method::Bye).len(), 1);
        assert_eq!(stage.leaks().await, Vec::<String>::new());
    });
}

#[test]
fn the_death_of_the_dialog_itself_is_a_plain_bye() {
    play(trunk(ChildName::SipDialog, Some("sip:desk@pbx"), HoldOnTransfer::Hold), |stage| async move {
        stage.call_answered().await;
        stage.settle().await;
        assert_eq!(stage.carrier.requests(&Method::Bye).len(), 1);
        assert_eq!(stage.leaks().await, Vec::<String>::new());
    });
}
