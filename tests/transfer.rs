//! Where no contact flow takes over: transfers, and failover, in virtual time.

use bellhop_actors::reception::{Drain, LeaveNow};
use bellhop_call::failure::{ChildName, Fault};
use bellhop_call::fault_injection::FaultInjection;
use bellhop_call::phase::PhaseName;
use bellhop_sip::message::{Method, Request, StatusCode};
use bellhop_tests::Stage;
use bellhop_tests::services::Behaviour;
use bellhop_tests::stage::{Choices, play};
use serde_json::json;

/// A trunk whose caller is told that we are sorry, and whose document says this of `sip` too.
fn trunk(child: ChildName, sip: &str) -> Choices {
    let injected = FaultInjection { child, phase: PhaseName::Talking, fault: Fault::Panic };
    let choices = Choices::trunk(format!("[sip]\nfailure_message = \"we are sorry\"\n{sip}"));
    Choices { fault_injection: Some(injected), ..choices }
}

/// Where its failed calls go, without being held before.
const DESK: &str = "failure_target = \"sip:desk@pbx.example.com\"\nhold_on_transfer = false";

/// A trunk whose calls end in silence when they fail, and that is not held while it is transferred.
const SILENT: &str = "[sip]\nfailure_message = \"\"\nhold_on_transfer = false";

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
        let choices = trunk(child, DESK);
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
    let choices = trunk(ChildName::TurnLoop, DESK);
    let injected = choices.fault_injection.map(|injected| FaultInjection { phase: PhaseName::Offered, ..injected });
    play(Choices { fault_injection: injected, ..choices }, |stage| async move {
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
    play(trunk(ChildName::TurnLoop, ""), |stage| async move {
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
    play(trunk(ChildName::TtsPlayback, DESK), |stage| async move {
        stage.call_answered().await;
        stage.pass(100).await;
        assert_eq!(stage.carrier.requests(&Method::Refer).len(), 1);
        assert!(!stage.services.said().iter().any(|text| text == "we are sorry"));
    });
}

#[test]
fn a_refused_transfer_of_a_failed_call_ends_it_with_words() {
    play(trunk(ChildName::TurnLoop, DESK), |stage| async move {
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
    play(trunk(ChildName::SipDialog, "failure_target = \"sip:desk@pbx\""), |stage| async move {
        stage.call_answered().await;
        stage.settle().await;
        assert_eq!(stage.carrier.requests(&Method::Bye).len(), 1);
        assert_eq!(stage.leaks().await, Vec::<String>::new());
    });
}

/// A caller who asks for an agent on a trunk is transferred, and whoever takes over can read the conversation.
#[test]
fn a_transfer_by_sip_carries_the_key_of_the_stored_conversation() {
    for (own_header, store) in [(false, Behaviour::Good), (true, Behaviour::Good), (false, Behaviour::Silent)] {
        let choices = Choices::trunk(format!("{SILENT}\ntransfer_targets = [\"pbx.example.com\"]"));
        play(choices, move |stage| async move {
            let headers =
                if own_header { json!([{"name": "User-to-User", "value": "00;encoding=hex"}]) } else { json!([]) };
            let sip = json!({"uri": "sip:desk@pbx.example.com", "transfer_headers": headers});
            let transfer = json!({"response_type": "connect_to_agent", "transfer_info": {"target": {"service_desk": {"sip": sip}}}});
            stage.services.replies("agent", json!([transfer]));
            stage.services.store(store);
            stage.call_answered().await;
            stage.caller_says("agent").await;
            stage.pass(10_000).await;
            let refer = stage.carrier.requests(&Method::Refer).pop().expect("a REFER, whatever becomes of the store");
            let key = refer.headers.get("X-Watson-Assistant-Session-History-Key");
            let user_to_user = refer.headers.get("User-to-User");
            match (own_header, store) {
                (_, Behaviour::Silent) => assert_eq!((key, user_to_user), (None, None)),
                (true, _) => {
                    assert_eq!(user_to_user, Some("00;encoding=hex"));
                    assert!(key.is_some_and(|key| key.len() == 41), "{key:?}");
                }
                (false, _) => {
                    let value = user_to_user.expect("a key");
                    assert!(value.len() == 82 + 13 && value.ends_with(";encoding=hex") && key.is_none(), "{value}");
                }
            }
            assert_eq!(stage.services.stored().len(), 1);
        });
    }
}

/// A tenant without Amazon Connect whose assistant refers the caller to a desk; the key goes along.
fn refers(stage: &Stage, sip: serde_json::Value) {
    let transfer =
        json!({"response_type": "connect_to_agent", "transfer_info": {"target": {"service_desk": {"sip": sip}}}});
    stage.services.replies("agent", json!([transfer]));
}

/// The rows of the failure matrix that only a transfer by SIP has: every child, dying while the transfer is under way, or while
/// the call fails over.
#[test]
fn a_child_that_dies_during_a_transfer_ends_in_one_bye_and_a_void_key() {
    for child in ChildName::ALL {
        for fault in [Fault::Error, Fault::Panic] {
            let injected = Some(FaultInjection { child, phase: PhaseName::Transferring, fault });
            play(Choices { fault_injection: injected, ..Choices::trunk(SILENT) }, move |stage| async move {
                let what = format!("{child} dies of {} while transferring", fault.label());
                refers(&stage, json!({"uri": "sip:desk@192.0.2.1"}));
                stage.call_answered().await;
                stage.caller_says("agent").await;
                stage.settle().await;
                assert_eq!(stage.carrier.requests(&Method::Bye).len(), 1, "{what}");
                assert_eq!(stage.services.voided(), 1, "{what}: the key opens nothing");
                assert_eq!(stage.services.records().len(), 1, "{what}");
                assert_eq!(stage.leaks().await, Vec::<String>::new(), "{what}");
            });
        }
    }
}

#[test]
fn a_child_that_dies_while_the_caller_is_led_out_ends_in_one_bye() {
    for child in ChildName::ALL {
        for fault in [Fault::Error, Fault::Panic] {
            let injected = Some(FaultInjection { child, phase: PhaseName::FailingOver, fault });
            play(
                Choices { fault_injection: injected, ..trunk(child, "failure_target = \"sip:desk@192.0.2.1\"") },
                move |stage| async move {
                    let what = format!("{child} dies of {} while failing over", fault.label());
                    stage.call_answered().await;
                    stage.services.hears(&bellhop_dialogue::ports::RecognizerEvent::Lost(
                        bellhop_dialogue::ports::ServiceFailure::Overdue,
                    ));
                    stage.pass(5000).await;
                    for refer in stage.carrier.requests(&Method::Refer) {
                        answers(&stage, &refer, 603);
                    }
                    stage.settle().await;
                    assert_eq!(stage.carrier.requests(&Method::Bye).len(), 1, "{what}");
                    assert!(!stage.services.has_key(), "{what}");
                    assert_eq!(stage.services.records().len(), 1, "{what}");
                    assert_eq!(stage.leaks().await, Vec::<String>::new(), "{what}");
                },
            );
        }
    }
}

/// After a failed REFER the call goes on, with a key that was given away and opens nothing any more.
#[test]
fn the_key_of_a_transfer_that_failed_is_void_and_of_one_that_came_about_is_not() {
    for (status, voided) in [(603, 1), (202, 0)] {
        let choices = Choices::trunk(format!("disconnect_on_transfer_failure = false\n{SILENT}"));
        play(choices, move |stage| async move {
            refers(&stage, json!({"uri": "sip:desk@192.0.2.1"}));
            stage.call_answered().await;
            stage.caller_says("agent").await;
            stage.pass(3000).await;
            let refer = stage.carrier.requests(&Method::Refer).pop().expect("a REFER");
            assert!(refer.headers.get("User-to-User").is_some(), "the key goes along");
            answers(&stage, &refer, status);
            if status == 202 {
                notify(&stage, "SIP/2.0 200 OK");
            }
            stage.pass(3000).await;
            assert_eq!(stage.services.voided(), voided, "{status}");
            assert_eq!(stage.services.earned(), 1 - voided, "{status}: the next start lets it be");
            assert_eq!(stage.carrier.requests(&Method::Bye).len(), usize::from(status == 202));
        });
    }
}

/// A transfer by the headers of our BYE: its key goes out last and alone, and not where somebody died meanwhile.
#[test]
fn a_transfer_by_bye_spends_its_key_after_everybody_has_stopped() {
    for died in [None, Some(ChildName::SttStream), Some(ChildName::ConnectHandoff), Some(ChildName::TurnLoop)] {
        let injected = died.map(|child| FaultInjection { child, phase: PhaseName::Quiescing, fault: Fault::Panic });
        play(
            Choices { fault_injection: injected, ..Choices::trunk("sip.failure_message = \"\"") },
            move |stage| async move {
                refers(&stage, json!({"uri": "sip:desk@192.0.2.1", "transfer_method": "hangup"}));
                stage.call_answered().await;
                stage.caller_says("agent").await;
                stage.settle().await;
                let byes = stage.carrier.requests(&Method::Bye);
                assert_eq!(byes.len(), 1, "{died:?}");
                assert_eq!(byes[0].headers.get("User-to-User").is_some(), died.is_none(), "{died:?}");
                assert_eq!(byes[0].headers.get("Transfer-Target").is_some(), died.is_none(), "{died:?}");
                assert_eq!(stage.services.voided(), usize::from(died.is_some()), "{died:?}");
                assert_eq!(stage.leaks().await, Vec::<String>::new(), "{died:?}");
            },
        );
    }
}

/// However the process ends while a transfer is under way: it ends once the key that was given away is void.
#[test]
fn the_process_does_not_end_before_the_key_of_a_broken_transfer_is_void() {
    for end in ["drain", "at once", "last resort"] {
        play(Choices::trunk(SILENT), move |stage| async move {
            refers(&stage, json!({"uri": "sip:desk@192.0.2.1"}));
            stage.call_answered().await;
            stage.caller_says("agent").await;
            stage.pass(3000).await;
            assert_eq!(stage.carrier.requests(&Method::Refer).len(), 1);
            let (done, mut told) = tokio::sync::mpsc::unbounded_channel();
            match end {
                "drain" => stage.reception.do_send(Drain { by: bellhop_actors::now(), done }),
                "at once" => stage.reception.do_send(LeaveNow { done }),
                _ => {
                    stage.last_resort().await;
                    let _ = done.send(());
                }
            }
            told.recv().await.expect("it ends");
            assert_eq!(stage.services.voided(), 1, "{end}");
            assert_eq!(stage.carrier.requests(&Method::Bye).len(), 1, "{end}");
        });
    }
}
