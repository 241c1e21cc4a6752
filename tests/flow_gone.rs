//! A column of the failure matrix: the connection that a call came by is gone, noticed or not, in every phase.
//!
//! Bytes handed to a socket are not sent. For each: the BYE arrives by a connection of our own where the far end listens; and
//! where it does not, no key is written for a contact that nobody can be sent back to, and the record tells.

use std::task::Poll;

use bellhop_call::phase::PhaseName;
use bellhop_sip::message::Method;
use bellhop_tests::Stage;
use bellhop_tests::carrier::{Flow, Habits, Moment};
use bellhop_tests::services::Behaviour;
use bellhop_tests::stage::{Choices, INVITE, play};
use serde_json::json;

/// Lets time pass in small steps until something is so.
async fn until(stage: &Stage, what: &str, so: impl Fn(&Stage) -> bool) {
    for _ in 0..4000 {
        if so(stage) {
            return;
        }
        stage.pass(5).await;
    }
    panic!("never came: {what}");
}

/// Plays a call until it is in a phase.
async fn reach(stage: &Stage, phase: PhaseName) {
    match phase {
        PhaseName::Offered => {
            stage.carrier.sends(INVITE);
            stage.pass(10).await;
        }
        PhaseName::Answering => {
            stage.carrier.habits(Habits { acks: false, answers_bye: true });
            stage.call_answered().await;
        }
        PhaseName::Talking => stage.call_answered().await,
        PhaseName::Preparing => {
            stage.call_answered().await;
            stage.caller_says("agent").await;
            until(stage, "the store is asked", |stage| !stage.services.stored().is_empty()).await;
        }
        PhaseName::Committing => {
            stage.call_answered().await;
            stage.caller_says("agent").await;
            until(stage, "the writer is asked", |stage| stage.services.writes_and_blanks().0 == 1).await;
        }
        // These two are over at once: the connection is lost in the middle of what happens in them.
        PhaseName::Quiescing | PhaseName::HandedOff => stage.call_answered().await,
        PhaseName::Transferring => {
            stage.services.replies("agent", refers(json!({"uri": "sip:desk@192.0.2.1"})));
            stage.call_answered().await;
            stage.caller_says("agent").await;
            until(stage, "a REFER", |stage| !stage.carrier.requests(&Method::Refer).is_empty()).await;
        }
        PhaseName::FailingOver => {
            stage.call_answered().await;
            let lost = bellhop_dialogue::ports::ServiceFailure::Overdue;
            stage.services.hears(&bellhop_dialogue::ports::RecognizerEvent::Lost(lost));
            until(stage, "announcement", |stage| stage.services.said().iter().any(|text| text == "we are sorry")).await;
        }
        PhaseName::Terminating => unreachable!("the teardown itself is in tests of its own"),
    }
}

/// The connection is lost now, or in the middle of a phase that no waiting meets.
fn lose(stage: &Stage, phase: PhaseName, flow: Flow) {
    match phase {
        PhaseName::Quiescing => stage.carrier.flow_becomes_at(Moment::Asked, flow),
        PhaseName::HandedOff => stage.carrier.flow_becomes_at(Moment::Bye, flow),
        _ => stage.carrier.flow_becomes(flow),
    }
}

/// The assistant of a tenant without Amazon Connect refers the caller to a desk.
fn refers(sip: serde_json::Value) -> serde_json::Value {
    json!([{"response_type": "connect_to_agent", "transfer_info": {"target": {"service_desk": {"sip": sip}}}}])
}

/// A tenant without Amazon Connect.
fn trunk() -> Choices {
    Choices::trunk(
        "[sip]\nfailure_message = \"we are sorry\"\nfailure_target = \"sip:desk@192.0.2.1\"\nhold_on_transfer = false",
    )
}

fn every_cell(listens: bool, check: impl Fn(&Stage, PhaseName, &str) + Copy + 'static) {
    // A way that is lost while a call terminates is lost while its BYE is on it: `HandedOff`.
    for phase in PhaseName::ALL.into_iter().filter(|phase| *phase != PhaseName::Terminating) {
        for flow in [Flow::Closed, Flow::Resets, Flow::Silent] {
            let choices = match phase {
                PhaseName::Transferring | PhaseName::FailingOver => trunk(),
                _ => Choices::default(),
            };
            play(choices, move |stage| async move {
                let what = format!("{flow:?} while {}, listens: {listens}", phase.label());
                stage.carrier.speaks_tcp(listens);
                reach(&stage, phase).await;
                lose(&stage, phase, flow);
                stage.pass(50).await;
                stage.caller_says("agent").await;
                for _ in 0..4 {
                    stage.settle().await;
                }
                if phase == PhaseName::Offered && !stage.services.records()[0].1.is_empty() {
                    // Nothing of the far end is left that could ask for an end of this call: its 200 or its BYE runs out.
                    stage.pass(200_000).await;
                }
                assert_eq!(stage.leaks().await, Vec::<String>::new(), "{what}");
                assert_eq!(stage.services.records().len(), 1, "{what}: one record");
                check(&stage, phase, &what);
            });
        }
    }
}

fn told(stage: &Stage, warning: &str) -> bool {
    let records = stage.services.records();
    records[0].0.to_string().contains(warning) || format!("{:?}", records[0].1).contains(warning) || {
        records[0].1.iter().any(|event| event.what.told().contains(warning))
    }
}

/// The key that went along with a REFER opens nothing: the transfer did not come about.
fn void_if_given_away(stage: &Stage, phase: PhaseName, what: &str) {
    assert_eq!(stage.services.voided(), usize::from(phase == PhaseName::Transferring), "{what}");
}

#[test]
fn the_bye_arrives_by_a_new_connection_where_the_far_end_listens() {
    every_cell(true, |stage, phase, what| {
        assert_eq!(stage.carrier.requests(&Method::Bye).len(), 1, "{what}");
        assert!(stage.carrier.connections_opened() >= 1, "{what}");
        let hands_off = match phase {
            PhaseName::Offered | PhaseName::Answering | PhaseName::Transferring | PhaseName::FailingOver => false,
            PhaseName::Talking
            | PhaseName::Preparing
            | PhaseName::Quiescing
            | PhaseName::Committing
            | PhaseName::HandedOff
            | PhaseName::Terminating => true,
        };
        assert_eq!(stage.services.has_key(), hands_off, "{what}: {:?}", stage.services.writes_and_blanks());
        void_if_given_away(stage, phase, what);
        assert!(!told(stage, "nobody answered the BYE"), "{what}");
    });
}

/// The case "the flow is gone and nobody said so".
#[test]
fn no_key_is_written_for_a_caller_who_cannot_be_sent_back() {
    every_cell(false, |stage, phase, what| {
        // What is in flight when the connection dies cannot be unsaid; everything before it is not said.
        let in_flight = matches!(phase, PhaseName::Committing | PhaseName::HandedOff);
        assert_eq!(stage.services.has_key(), in_flight, "{what}: {:?}", stage.services.writes_and_blanks());
        void_if_given_away(stage, phase, what);
        assert!(
            told(stage, "nobody answered the BYE"),
            "{what}: the record tells: {:?}",
            stage.services.records()[0].1
        );
    });
}

/// The connection is reset by the BYE itself: the key is there, the BYE arrives by another way.
#[test]
fn a_bye_that_is_answered_by_a_reset_goes_by_another_way() {
    play(Choices::default(), |stage| async move {
        stage.carrier.speaks_tcp(true);
        stage.call_answered().await;
        stage.caller_says("agent").await;
        until(&stage, "the key is written", |stage| stage.services.has_key()).await;
        stage.carrier.flow_becomes(Flow::Resets);
        stage.settle().await;
        assert_eq!(stage.carrier.requests(&Method::Bye).len(), 1);
        assert_eq!(stage.carrier.connections_opened(), 1);
        assert_eq!(stage.carrier.last_hop().map(|hop| hop.remote.to_string()).as_deref(), Some("192.0.2.1:5060"));
        assert!(!told(&stage, "nobody answered the BYE"));
    });
}

/// `end_session`: the same law holds for the word that disconnects.
#[test]
fn no_hangup_is_written_where_no_bye_would_arrive() {
    play(Choices::default(), |stage| async move {
        stage.carrier.speaks_tcp(false);
        stage.call_answered().await;
        stage.carrier.flow_becomes(Flow::Silent);
        stage.caller_says("goodbye").await;
        for _ in 0..3 {
            stage.settle().await;
        }
        assert_eq!(stage.services.writes_and_blanks(), (0, 0));
        assert!(told(&stage, "nobody answered the BYE"));
        assert_eq!(stage.leaks().await, Vec::<String>::new());
    });
}

/// A transfer by the headers of our BYE: its key opens something only if the BYE was answered.
#[test]
fn the_key_in_a_bye_that_nobody_answers_is_void() {
    for flow in [Flow::Closed, Flow::Resets, Flow::Silent] {
        for (listens, moment) in
            [(true, Moment::Asked), (true, Moment::Bye), (false, Moment::Asked), (false, Moment::Bye)]
        {
            play(trunk(), move |stage| async move {
                let what = format!("{flow:?} at {moment:?}, listens: {listens}");
                stage.carrier.speaks_tcp(listens);
                stage
                    .services
                    .replies("agent", refers(json!({"uri": "sip:desk@192.0.2.1", "transfer_method": "hangup"})));
                stage.call_answered().await;
                stage.carrier.flow_becomes_at(moment, flow);
                stage.caller_says("agent").await;
                for _ in 0..4 {
                    stage.settle().await;
                }
                assert_eq!(stage.carrier.requests(&Method::Bye).len(), usize::from(listens), "{what}");
                assert_eq!(
                    (stage.services.earned(), stage.services.voided()),
                    (usize::from(listens), usize::from(!listens)),
                    "{what}"
                );
                assert_eq!(told(&stage, "nobody answered the BYE"), !listens, "{what}");
                assert_eq!(stage.leaks().await, Vec::<String>::new(), "{what}");
            });
        }
    }
    for answers_bye in [true, false] {
        play(trunk(), move |stage| async move {
            stage.services.replies("agent", refers(json!({"uri": "sip:desk@192.0.2.1", "transfer_method": "hangup"})));
            stage.call_answered().await;
            stage.carrier.habits(Habits { acks: true, answers_bye });
            stage.caller_says("agent").await;
            for _ in 0..3 {
                stage.settle().await;
            }
            let bye = stage.carrier.requests(&Method::Bye).remove(0);
            assert!(bye.headers.get("User-to-User").is_some(), "the key goes along");
            assert_eq!(stage.services.voided(), usize::from(!answers_bye), "over datagrams, answered: {answers_bye}");
            assert_eq!(stage.services.earned(), usize::from(answers_bye));
        });
    }
}

/// A far end that takes its time over datagrams has no connection to lose.
#[test]
fn a_bye_over_datagrams_that_nobody_answers_is_told() {
    play(Choices::default(), |stage| async move {
        stage.services.writer(Behaviour::Good);
        stage.call_answered().await;
        stage.carrier.habits(Habits { acks: true, answers_bye: false });
        stage.caller_says("agent").await;
        for _ in 0..3 {
            stage.settle().await;
        }
        assert!(stage.services.has_key());
        assert!(told(&stage, "nobody answered the BYE"));
        assert_eq!(stage.leaks().await, Vec::<String>::new());
    });
}

/// The INVITE of somebody whose Contact names another address of his, where nobody is.
fn invite_with_a_dead_contact() -> String {
    let invite = INVITE.replace("Record-Route: <sip:192.0.2.1;lr>\n", "");
    invite.replace("<sip:10.0.58.47:5060;alias=10.0.58.47~5060~1>", "<sip:198.51.100.9:5060>")
}

/// Datagrams for an address where nobody is vanish: half a minute would be a long silence.
#[test]
fn a_bye_over_datagrams_tries_the_next_way_beside_a_silent_one() {
    play(Choices::default(), |stage| async move {
        stage.carrier.habits(Habits { acks: true, answers_bye: false });
        stage.carrier.sends(&invite_with_a_dead_contact());
        stage.pass(1000).await;
        stage.caller_says("goodbye").await;
        until(&stage, "a BYE", |stage| !stage.carrier.requests(&Method::Bye).is_empty()).await;
        let there = |stage: &Stage| stage.carrier.last_hop().map(|hop| hop.remote.to_string());
        assert_eq!(there(&stage).as_deref(), Some("198.51.100.9:5060"));
        stage.carrier.habits(Habits { acks: true, answers_bye: true });
        // The dead address answers nothing; this far end answers whatever arrives.
        stage.carrier.deaf_at("198.51.100.9:5060".parse().expect("an address"));
        stage.pass(5000).await;
        assert_eq!(there(&stage).as_deref(), Some("192.0.2.1:5060"));
        assert_eq!(stage.leaks().await, Vec::<String>::new());
        assert!(!told(&stage, "nobody answered the BYE"));
        stage.carrier.forget();
        stage.pass(30_000).await;
        assert!(stage.carrier.seen().is_empty(), "and nothing is sent again once it was answered");
    });
}

/// A proxy that could not pass it on has not told the caller.
#[test]
fn a_bye_that_somebody_on_the_way_could_not_pass_on_goes_by_another_way() {
    for status in [503, 408] {
        play(Choices::default(), move |stage| async move {
            stage.carrier.habits(Habits { acks: true, answers_bye: false });
            stage.carrier.sends(&invite_with_a_dead_contact());
            stage.pass(1000).await;
            stage.caller_says("goodbye").await;
            until(&stage, "a BYE", |stage| !stage.carrier.requests(&Method::Bye).is_empty()).await;
            let bye = stage.carrier.requests(&Method::Bye).remove(0);
            let answer = bye.respond(bellhop_sip::message::StatusCode(status), None);
            stage.carrier.sends(&String::from_utf8_lossy(&answer.to_bytes()));
            stage.pass(100).await;
            assert_eq!(stage.carrier.last_hop().map(|hop| hop.remote.to_string()).as_deref(), Some("192.0.2.1:5060"));
            for _ in 0..3 {
                stage.settle().await;
            }
            assert!(told(&stage, "nobody answered the BYE"), "{status}");
            assert_eq!(stage.leaks().await, Vec::<String>::new());
        });
    }
}

/// The endpoint has died: the teardown plans are carried out without it, once each.
#[test]
fn the_last_resort_sends_every_call_one_bye() {
    play(Choices::default(), |stage| async move {
        stage.call_answered().await;
        assert_eq!(stage.last_resort().await, 1);
        assert_eq!(stage.last_resort().await, 0, "a teardown plan is taken once");
        let byes = stage.carrier.requests(&Method::Bye);
        assert_eq!(byes.len(), 1);
        assert_eq!(byes[0].headers.get("Reason"), Some("SIP;cause=503;text=\"node draining\""));
        assert!(!stage.services.has_key());
    });
}

/// What the dead were about to say is said: a teardown plan that was taken and not carried out, and one whose
/// connection is gone.
#[test]
fn the_last_resort_finishes_what_the_dead_had_begun_by_any_way_there_is() {
    for (tcp, flow) in [(false, Flow::Alive), (true, Flow::Alive), (true, Flow::Closed)] {
        play(Choices::default(), move |stage| async move {
            if tcp {
                stage.carrier.speaks_tcp(true);
            }
            stage.call_answered().await;
            stage.carrier.flow_becomes(flow);
            stage.takes_plans();
            assert_eq!(stage.last_resort().await, 1, "TCP: {tcp}, {flow:?}");
            assert_eq!(stage.carrier.requests(&Method::Bye).len(), 1, "TCP: {tcp}, {flow:?}");
            assert_eq!(stage.last_resort().await, 0);
        });
    }
}

/// A call whose thread was stuck until its teardown was over finds nothing left to own.
#[test]
fn a_call_that_begins_after_its_own_teardown_leaves_nothing_behind() {
    for turns in 0..16 {
        play(Choices::default(), move |stage| async move {
            let (done, mut told) = tokio::sync::mpsc::unbounded_channel();
            let reception = stage.reception.clone();
            stage.carrier.sends(INVITE);
            actix_rt::spawn(async move {
                for _ in 0..turns {
                    let mut waited = false;
                    // Behind every actor that has something to do, and no further: what comes next is as if they were stuck.
                    std::future::poll_fn(|context| {
                        context.waker().wake_by_ref();
                        if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }
                    })
                    .await;
                }
                reception.do_send(bellhop_actors::reception::LeaveNow { done });
            });
            told.recv().await.expect("it ends");
            stage.pass(60_000).await;
            assert_eq!(stage.leaks().await, Vec::<String>::new(), "after {turns} turns");
        });
    }
}

/// The case "a named route over TCP whose connection is gone": the name is looked up for requests inside a dialog too.
#[test]
fn a_named_route_over_tcp_whose_connection_is_gone() {
    let edge = "198.51.100.7:5080".parse().expect("an address");
    play(Choices { named: Some(("edge.example.com", edge)), ..Choices::default() }, move |stage| async move {
        stage.carrier.speaks_tcp(true);
        stage.carrier.sends(&INVITE.replace("<sip:192.0.2.1;lr>", "<sip:edge.example.com;transport=tcp;lr>"));
        stage.pass(2000).await;
        stage.carrier.flow_becomes(Flow::Closed);
        stage.caller_says("agent").await;
        stage.settle().await;
        assert_eq!(stage.carrier.requests(&Method::Bye).len(), 1);
        assert_eq!(stage.carrier.last_hop().map(|hop| hop.remote), Some(edge));
        assert!(stage.services.has_key());
        assert_eq!(stage.leaks().await, Vec::<String>::new());
    });
}
