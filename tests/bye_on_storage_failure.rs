//! The failure matrix, continued: a store that is full, read-only or locked × everything that a hand-off asks of it.
//!
//! A hand-off stores the conversation, notes the write of attributes, and strikes the note out once the outcome is
//! known. A disk that is full or read-only refuses; one that is locked, or hangs, does not answer. How SQLite comes to
//! either is in the tests of `src/adapters/storage/sql/`; the real disk is in `tests/disk_full.rs`.

use std::sync::Arc;

use bellhop_adapters::noted_writes::NotedWrites;
use bellhop_sip::message::Method;
use bellhop_tests::Stage;
use bellhop_tests::services::Behaviour;
use bellhop_tests::stage::{Choices, play};

/// A state of the disk, and how the store behaves in it.
const DISKS: [(&str, Behaviour); 3] =
    [("full", Behaviour::Refuses), ("read-only", Behaviour::Refuses), ("locked", Behaviour::Silent)];

/// From when on the disk is like that.
#[derive(Debug, Clone, Copy, PartialEq)]
enum From {
    /// Before the call.
    Start,
    /// While the caller talks.
    Talking,
    /// Once the conversation is stored.
    Stored,
    /// Once the write is noted.
    Noted,
}

fn choices() -> Choices {
    let noted: bellhop_tests::stage::BetweenContact = |services| {
        let noted = NotedWrites::new(services.clone(), Arc::new(services));
        (Arc::new(noted.clone()), Arc::new(noted))
    };
    Choices { contacts: Some(noted), ..Choices::default() }
}

fn fail(stage: &Stage, from: From, how: Behaviour) {
    let earlier = |point: bool| if point { how } else { Behaviour::Good };
    stage.services.store(earlier(matches!(from, From::Start | From::Talking)));
    stage.services.notes(earlier(from != From::Noted), how);
}

async fn says(stage: &Stage, words: &str) {
    stage.call_answered().await;
    stage.caller_says(words).await;
    stage.settle().await;
}

async fn assert_clean_end(stage: &Stage, what: &str) {
    assert_eq!(stage.carrier.requests(&Method::Bye).len(), 1, "{what}: one BYE");
    assert_eq!(stage.leaks().await, Vec::<String>::new(), "{what}");
    assert_eq!(stage.services.records().len(), 1, "{what}: one record a call");
    assert_eq!(stage.services.began().len(), 1, "{what}: the record was announced");
}

#[test]
fn a_store_that_fails_ends_in_one_bye_and_no_key_unless_the_contact_has_it_already() {
    for (disk, how) in DISKS {
        for from in [From::Start, From::Talking, From::Stored, From::Noted] {
            play(choices(), move |stage| async move {
                let what = format!("the disk is {disk} from {from:?}");
                if from != From::Talking {
                    fail(&stage, from, how);
                }
                stage.call_answered().await;
                fail(&stage, from, how);
                stage.caller_says("agent").await;
                stage.settle().await;
                assert_clean_end(&stage, &what).await;
                // A note that cannot be struck out changes nothing for the caller: the attribute is there.
                assert_eq!(stage.services.has_key(), from == From::Noted, "{what}");
                assert_eq!(stage.services.writes_and_blanks(), (usize::from(from == From::Noted), 0), "{what}");
            });
        }
    }
}

#[test]
fn a_store_that_fails_keeps_no_call_that_was_sent_a_bye() {
    for (disk, how) in DISKS {
        play(choices(), move |stage| async move {
            fail(&stage, From::Start, how);
            says(&stage, "goodbye").await;
            assert_clean_end(&stage, disk).await;
            assert_eq!(stage.services.attributes()["SessionHistoryKey"], "hangup", "{disk}");
        });
    }
}

#[test]
fn an_uncertain_commit_takes_every_name_back() {
    play(choices(), |stage| async move {
        stage.services.writer(Behaviour::Uncertain);
        says(&stage, "agent").await;
        assert_clean_end(&stage, "uncertain").await;
        assert_eq!(stage.services.writes_and_blanks(), (1, 1));
        let left: Vec<_> = stage.services.attributes().into_iter().filter(|(_, value)| !value.is_empty()).collect();
        assert_eq!(left, [], "custom data goes with the key");
    });
}

/// The request has landed, and nobody knows yet: whoever takes the plan then takes back what it wrote.
#[test]
fn a_plan_that_is_taken_in_mid_commit_takes_every_name_back() {
    use bellhop_actors::reception::LeaveNow;
    for last_resort in [true, false] {
        play(choices(), move |stage| async move {
            stage.call_answered().await;
            stage.caller_says("agent").await;
            while stage.services.writes_and_blanks().0 == 0 {
                stage.pass(5).await;
            }
            assert!(stage.services.has_key(), "it has landed");
            if last_resort {
                stage.last_resort().await;
            } else {
                let (done, mut told) = tokio::sync::mpsc::unbounded_channel();
                stage.reception.do_send(LeaveNow { done });
                told.recv().await.expect("it ends");
            }
            let left: Vec<_> = stage.services.attributes().into_iter().filter(|(_, value)| !value.is_empty()).collect();
            assert_eq!(left, [], "last resort: {last_resort}");
            assert_eq!(stage.carrier.requests(&Method::Bye).len(), 1, "last resort: {last_resort}");
        });
    }
}
