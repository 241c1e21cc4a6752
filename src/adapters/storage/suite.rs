//! What every store promises, whatever it is made of: each promise takes the place of a store as its argument.
//!
//! A store puts itself through all of them with `promises!`; a promise that it left out is dead code, which `make lint`
//! refuses.

mod figured;
mod listed;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bellhop_call::ending::Ending;
use bellhop_call::ports::{
    Change, Entry, Forgotten, NotClaimed, Per, SPOOL_BYTES_MAX, Swept, Usage, Wanted, WantedUsage,
};
use bellhop_call::record::{CallRecord, Opening};
use bellhop_connect::SessionHistoryKey;
use bellhop_connect::handoff::StoreFailed;
use bellhop_connect::ports::{Counted, HistoriesKept, History, NotedWrite, Reader};
use bellhop_connect::session_history_key::FiledAs;
use bellhop_dialogue::call_facts::CallFacts;
use serde_json::{Value, json};

use super::Store;
pub(super) use figured::{
    GOOD, Had, NEW_YEAR, calls_that_are_up_are_told_of_their_tenant, figures_are_of_what_is_kept,
    figures_of_who_is_forgotten_name_nobody, first, whoever_left_anything_behind_is_known,
};
pub(super) use listed::{
    a_list_of_calls_is_narrowed_by_what_is_known_of_them, calls_that_begin_at_once_are_listed_page_by_page_once_each,
};

/// Where a store keeps what it has; empty at first.
pub(super) trait Place {
    /// Opens it as one more process.
    async fn open(&self) -> Arc<dyn Store>;

    /// Everything that is there expires.
    async fn let_all_expire(&self);

    /// Whoever reads a history has read it for as long as one read lasts.
    async fn let_all_reads_end(&self);
}

/// Makes a test of each promise, for a kind of place that is made of the test's name.
macro_rules! promises {
    ($place:ty) => {
        $crate::storage::suite::promises! { $place:
            what_is_stored_is_found_after_reopening
            what_has_expired_is_gone
            a_history_is_read_as_often_as_it_may_be_and_a_reload_is_no_read
            however_many_come_at_once_no_read_is_given_twice
            a_call_is_found_by_each_of_its_names_until_it_expires
            many_at_once_are_written_as_one_after_the_other
            events_wait_in_order_until_they_are_delivered_and_are_never_doubled
            a_caller_is_forgotten_everywhere_and_nobody_else_is
            what_has_expired_is_swept
            a_receiver_that_never_comes_keeps_only_its_latest_events_and_nobody_elses_go
            calls_of_a_server_that_died_are_found_by_the_next_one_and_no_others
            a_write_that_was_in_flight_is_found_by_the_next_server_until_it_is_settled
            a_key_that_was_given_away_is_void_for_the_next_server_unless_it_was_earned
            a_store_has_one_server_and_the_second_is_told
            a_call_is_counted_once_and_stays_counted_when_its_record_is_gone
            periods_of_usage_are_told_page_by_page
            figures_are_of_what_is_kept
            figures_of_who_is_forgotten_name_nobody
            calls_that_are_up_are_told_of_their_tenant
            whoever_left_anything_behind_is_known
            a_list_of_calls_is_narrowed_by_what_is_known_of_them
            calls_that_begin_at_once_are_listed_page_by_page_once_each
        }
    };
    ($place:ty: $($promise:ident)+) => {
        $(
            #[tokio::test]
            async fn $promise() {
                $crate::storage::suite::$promise(&<$place>::new(stringify!($promise))).await;
            }
        )+
    };
}
pub(super) use promises;

pub(super) const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn name(byte: u8) -> FiledAs {
    SessionHistoryKey::from_random([byte; 20]).filed_as()
}

pub(super) fn history() -> History {
    History { tenant: "acme".into(), json: "{}".into() }
}

pub(super) fn call(session: &str, caller: &str, keep: Duration) -> Entry {
    let facts = CallFacts { caller: caller.into(), sip_call_id: format!("sip-{session}"), ..CallFacts::default() };
    let opening = Opening {
        session: session.into(),
        call: format!("c-{session}"),
        tenant: "acme".into(),
        facts: facts.into(),
        ..Opening::default()
    };
    let now = Instant::now();
    let mut record = CallRecord::open(opening, now);
    record.close(now, &Ending::CallerHungUp, None);
    Entry::Call { record: Box::new(record), keep, told: true }
}

pub(super) fn turn(session: &str, n: u32) -> Entry {
    let caller = if session == "b" { "+12065550199" } else { "+12065550100" };
    let (tenant, session, caller) = ("acme".into(), session.into(), caller.into());
    Entry::Turn { tenant, session, caller, log: json!({"turn": n, "request": "words"}) }
}

/// An event that was written by now is due then.
pub(super) fn later() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
    (now.as_secs() as i64 + 1) * 1000
}

fn of(tenant: &str) -> Wanted {
    Wanted { tenant: Some(tenant.to_owned()), ..Wanted::default() }
}

pub(super) async fn what_is_stored_is_found_after_reopening(place: &impl Place) {
    {
        let histories = place.open().await.histories(DAY.into());
        histories.store(name(1), history()).await.expect("stored");
        assert_eq!(histories.store(name(1), history()).await, Err(StoreFailed), "a name is used once");
    }
    let store = place.open().await;
    assert_eq!(store.find_history(&name(1)).await.expect("answers"), Some(history()));
    assert_eq!(store.find_history(&name(2)).await.expect("answers"), None);
    assert!(store.is_ready().await);
}

pub(super) async fn what_has_expired_is_gone(place: &impl Place) {
    let store = place.open().await;
    store.histories(Duration::ZERO.into()).store(name(1), history()).await.expect("stored");
    assert_eq!(store.find_history(&name(1)).await.expect("answers"), None);
    assert_eq!(store.sweep().await.expect("sweeps").histories, 1);
}

/// Kept for a day, and so many reads.
pub(super) fn for_reads(reads: u32) -> HistoriesKept {
    HistoriesKept { lasts: DAY, reads: Some(reads) }
}

pub(super) async fn a_history_is_read_as_often_as_it_may_be_and_a_reload_is_no_read(place: &impl Place) {
    let store = place.open().await;
    store.histories(for_reads(2)).store(name(1), history()).await.expect("stored");
    store.histories(DAY.into()).store(name(2), history()).await.expect("stored");
    let (ann, bob) = (Reader::at("192.0.2.1"), Reader::user("bob"));
    let read = async |n: u8, by: &Reader| store.count_read(&name(n), by).await.expect("answers");
    assert_eq!(read(3, &ann).await, Counted::UsedUp, "there is none");
    assert_eq!(read(1, &ann).await, Counted::New);
    assert_eq!(read(1, &ann).await, Counted::GoesOn);
    assert_eq!(read(1, &bob).await, Counted::New);
    assert_eq!((read(1, &bob).await, read(1, &ann).await), (Counted::GoesOn, Counted::UsedUp));
    assert!(store.find_history(&name(1)).await.expect("answers").is_some(), "somebody reads it");
    for by in [&ann, &ann, &bob, &ann] {
        assert_ne!(read(2, by).await, Counted::UsedUp, "any number");
    }
    place.let_all_reads_end().await;
    assert_eq!(read(1, &bob).await, Counted::UsedUp);
    assert_eq!(store.find_history(&name(1)).await.expect("answers"), None, "as if it had never been");
    assert_eq!(read(2, &ann).await, Counted::New);
    place.let_all_expire().await;
    assert_eq!(read(2, &ann).await, Counted::UsedUp);
}

pub(super) async fn however_many_come_at_once_no_read_is_given_twice(place: &impl Place) {
    let (one, other) = (place.open().await, place.open().await);
    one.histories(for_reads(3)).store(name(1), history()).await.expect("stored");
    let reads = (0..16u8).map(|n| {
        let store = if n % 2 == 0 { &one } else { &other };
        store.count_read(&name(1), &Reader::at(&n.to_string()))
    });
    let counted = futures_util::future::join_all(reads.map(tokio::spawn)).await;
    let counted: Vec<_> = counted.into_iter().map(|read| read.expect("no panic").expect("answers")).collect();
    assert_eq!(counted.iter().filter(|counted| **counted == Counted::New).count(), 3, "{counted:?}");
    assert_eq!(counted.iter().filter(|counted| **counted == Counted::UsedUp).count(), 13, "{counted:?}");
}

pub(super) async fn a_call_is_found_by_each_of_its_names_until_it_expires(place: &impl Place) {
    let store = place.open().await;
    let waiting = store.write(&[call("a", "+15550001", DAY), call("b", "+15550002", Duration::ZERO)]).await;
    assert_eq!(waiting.expect("written").waiting, ["acme"]);
    for name in ["a", "c-a", "sip-a"] {
        assert_eq!(store.find_call(name).await.expect("answers").expect("is there").session, "a", "{name}");
    }
    assert!(store.find_call("b").await.expect("answers").is_none(), "it was not to be kept");
    assert_eq!(store.latest(&of("acme"), 5).await.expect("answers").len(), 1);
    assert_eq!(store.latest(&of("other"), 5).await.expect("answers").len(), 0);
    assert_eq!(store.due("acme", later(), 9).await.expect("answers").len(), 2, "both are told");
}

/// Whole statements of many rows, and what is left over; calls that begin and end in one batch; a row that comes twice.
pub(super) async fn many_at_once_are_written_as_one_after_the_other(place: &impl Place) {
    let store = place.open().await;
    let over = |n: usize| call(&format!("s{n:02}"), "+15550001", DAY);
    let began = |entry: Entry| match entry {
        Entry::Call { record, .. } => Entry::Began { opening: Box::new(record.opening().clone()), recorded: true },
        other => other,
    };
    let up = call("up", "+15550002", DAY);
    let mut all: Vec<Entry> = (0..37).map(over).chain([up]).map(began).collect();
    all.extend((0..20).map(|n| turn("s00", n)));
    all.extend((0..37).chain([5]).map(over));
    assert_eq!(store.write(&all).await.expect("written").waiting, ["acme"]);
    store.write(&[over(36)]).await.expect("written");
    assert_eq!(store.latest(&of("acme"), 99).await.expect("answers").len(), 37);
    let up: Vec<String> = store.up("acme", 99).await.expect("answers").into_iter().map(|up| up.session).collect();
    assert_eq!(up, ["up"]);
    let due = store.due("acme", later(), 99).await.expect("answers");
    assert_eq!(due.len(), 20 + 37);
    let of_turns: Vec<&str> = due.iter().map(|due| due.id.as_str()).filter(|id| id.contains(":turn:")).collect();
    assert_eq!(of_turns, (0..20).map(|n| format!("s00:turn:{n}")).collect::<Vec<_>>(), "in their order");
}

pub(super) async fn events_wait_in_order_until_they_are_delivered_and_are_never_doubled(place: &impl Place) {
    let store = place.open().await;
    store.write(&[turn("a", 0), turn("a", 1)]).await.expect("written");
    store.write(&[turn("a", 1), call("a", "+1", DAY)]).await.expect("written");
    let due = store.due("acme", later(), 9).await.expect("answers");
    let ids: Vec<&str> = due.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids, ["a:turn:0", "a:turn:1", "a:cdr"]);
    let body: Value = serde_json::from_str(&due[2].body).expect("JSON");
    assert_eq!(body["event"], json!({"name": "cdr_logged", "id": "a:cdr"}));
    assert_eq!(body["payload"]["global_session_id"], "a");
    let then = later() + 60_000;
    let later_on = Change::Postponed { id: "a:turn:1".into(), due_unix_ms: then };
    store.settle(&[Change::Delivered { id: "a:turn:0".into() }, later_on]).await.expect("written");
    let due = store.due("acme", later(), 9).await.expect("answers");
    assert_eq!(due.iter().map(|event| event.id.as_str()).collect::<Vec<_>>(), ["a:cdr"]);
    store.settle(&[Change::Delivered { id: "a:cdr".into() }]).await.expect("gone");
    assert_eq!(store.next_due("acme").await.expect("answers"), Some(then));
    let due = store.due("acme", then, 9).await.expect("answers");
    assert_eq!(due[0].attempts, 1);
}

pub(super) async fn a_caller_is_forgotten_everywhere_and_nobody_else_is(place: &impl Place) {
    let store = place.open().await;
    let entries = [call("a", "+12065550100", DAY), turn("a", 0), call("b", "+12065550199", DAY), turn("b", 0)];
    store.write(&entries).await.expect("written");
    let histories = store.histories(DAY.into());
    for (n, caller) in [(1, "+12065550100"), (2, "+12065550199")] {
        let history = History { tenant: "acme".into(), json: json!({"caller": caller}).to_string() };
        let name = SessionHistoryKey::from_random([n; 20]).filed_as();
        histories.store(name, history).await.expect("stored");
    }
    let nothing = Forgotten { log_emptied: true, ..Forgotten::default() };
    assert_eq!(store.forget("+1 206 555-0100", Some("other")).await.expect("answers"), nothing);
    assert_eq!(store.calls_of("+1 206 555-0100", None).await.expect("answers"), ["c-a"]);
    let gone = store.forget("+1 206 555-0100", None).await.expect("answers");
    assert_eq!(gone, Forgotten { records: 1, histories: 1, events: 2, log_emptied: true });
    let left: Vec<String> =
        store.due("acme", later(), 9).await.expect("answers").into_iter().map(|event| event.id).collect();
    assert_eq!(left, ["b:cdr", "b:turn:0"]);
    assert!(store.find_call("b").await.expect("answers").is_some());
}

pub(super) async fn what_has_expired_is_swept(place: &impl Place) {
    let store = place.open().await;
    store.write(&[call("a", "+1", DAY)]).await.expect("written");
    assert_eq!(store.sweep().await.expect("sweeps"), Swept::default());
    place.let_all_expire().await;
    assert!(store.find_call("a").await.expect("answers").is_none());
    assert_eq!(store.sweep().await.expect("sweeps"), Swept { records: 1, events: 1, ..Swept::default() });
}

pub(super) async fn a_receiver_that_never_comes_keeps_only_its_latest_events_and_nobody_elses_go(place: &impl Place) {
    let store = place.open().await;
    store.write(&[turn("b", 7)]).await.expect("written");
    let big = |tenant: &str, n: u32| Entry::Turn {
        tenant: tenant.into(),
        session: "a".into(),
        caller: "+1".into(),
        log: json!({"turn": n, "words": "x".repeat(3 << 20)}),
    };
    let mut dropped = 0;
    for n in 0..25 {
        let written = store.write(&[big("dead", n)]).await.expect("written");
        dropped += written.dropped.iter().map(|dropped| dropped.events).sum::<u64>();
        assert!(written.dropped.iter().all(|dropped| dropped.tenant == "dead"));
    }
    let due = store.due("dead", later(), 99).await.expect("answers");
    let bytes: usize = due.iter().map(|event| event.body.len()).sum();
    assert!(bytes as i64 <= SPOOL_BYTES_MAX && dropped == 25 - due.len() as u64 && dropped > 0, "{bytes} {dropped}");
    assert_eq!(due.last().map(|event| event.id.as_str()), Some("a:turn:24"), "the oldest made place");
    assert_eq!(store.due("acme", later(), 9).await.expect("answers").len(), 1);
}

pub(super) async fn calls_of_a_server_that_died_are_found_by_the_next_one_and_no_others(place: &impl Place) {
    let opening = |session: &str| {
        let facts = CallFacts { caller: "+12065550100".into(), ..CallFacts::default() };
        Box::new(Opening {
            session: session.into(),
            call: format!("c-{session}"),
            tenant: "acme".into(),
            facts: facts.into(),
            ..Opening::default()
        })
    };
    {
        let store = place.open().await;
        let began = ["over", "up"].map(|session| Entry::Began { opening: opening(session), recorded: session == "up" });
        store.write(&began).await.expect("written");
        store.write(&[call("over", "+12065550100", DAY)]).await.expect("written");
        assert!(store.calls_left_behind().await.expect("answers").is_empty(), "they are its own");
    }
    let store = place.open().await;
    store.write(&[Entry::Began { opening: opening("mine"), recorded: false }]).await.expect("written");
    let lost = store.calls_left_behind().await.expect("answers");
    assert_eq!(lost.iter().map(|call| call.session.as_str()).collect::<Vec<_>>(), ["up"]);
    assert_eq!(lost[0].opening, *opening("up"));
    let record = Box::new(CallRecord::lost(lost[0].opening.clone(), Instant::now()));
    store.write(&[Entry::Call { record, keep: DAY, told: false }]).await.expect("written");
    assert!(store.calls_left_behind().await.expect("answers").is_empty());
    let details = store.find_call("up").await.expect("answers").expect("is listed").details;
    assert!(details.contains("lost: the server ended"), "{details}");
    assert_eq!(store.under_way("c-mine").await.expect("answers").map(|call| call.session), Some("mine".into()));
    assert_eq!(store.calls_of("+1 206-555-0100", None).await.expect("answers"), ["c-mine", "c-over", "c-up"]);
}

pub(super) async fn a_write_that_was_in_flight_is_found_by_the_next_server_until_it_is_settled(place: &impl Place) {
    let write = |contact: &str| NotedWrite {
        contact_id: contact.into(),
        names: vec!["topic".into(), "SessionHistoryKey".into()],
    };
    {
        let store = place.open().await;
        let notes = store.write_notes("acme");
        let refused = notes.note(write("refused")).await.expect("noted");
        for contact in ["landed", "lost", "blanked"] {
            notes.note(write(contact)).await.expect("noted");
        }
        notes.nothing_written(refused).await.expect("struck out");
        notes.settled("landed".into()).await.expect("struck out");
        assert!(store.writes_in_flight("acme").await.expect("answers").is_empty(), "they are its own");
    }
    let store = place.open().await;
    assert!(store.writes_in_flight("other").await.expect("answers").is_empty());
    let notes = store.write_notes("acme");
    assert_eq!(store.writes_in_flight("acme").await.expect("answers"), [write("lost"), write("blanked")]);
    notes.settled("blanked".into()).await.expect("struck out");
    assert_eq!(store.writes_in_flight("acme").await.expect("answers"), [write("lost")]);
}

pub(super) async fn a_key_that_was_given_away_is_void_for_the_next_server_unless_it_was_earned(place: &impl Place) {
    {
        let store = place.open().await;
        let histories = store.histories(DAY.into());
        for n in [1, 2, 3] {
            histories.lend(name(n), history()).await.expect("stored");
        }
        histories.store(name(4), history()).await.expect("stored");
        histories.earned(name(2)).await.expect("noted");
        histories.void(name(3)).await.expect("void");
        assert_eq!(store.void_lent().await.expect("answers"), 0, "they are its own");
    }
    let store = place.open().await;
    assert_eq!(store.void_lent().await.expect("answers"), 1);
    for (n, is_there) in [(1, false), (2, true), (3, false), (4, true)] {
        assert_eq!(store.find_history(&name(n)).await.expect("answers").is_some(), is_there, "{n}");
    }
    assert_eq!(store.void_lent().await.expect("answers"), 0);
}

pub(super) async fn a_store_has_one_server_and_the_second_is_told(place: &impl Place) {
    let (one, other) = (place.open().await, place.open().await);
    let claim = one.claim().await.expect("nobody has it");
    let why = other.claim().await.expect_err("taken");
    assert!(matches!(why, NotClaimed::Taken { .. } | NotClaimed::Shared), "{why}");
    drop(claim);
    assert!(other.claim().await.expect("it is free again").holds().await);
}

/// A call that lasted so long, of which a record is kept for a day.
fn lasted(session: &str, tenant: &str, began_unix_ms: i64, milliseconds: u64) -> Entry {
    let facts = CallFacts { caller: "+12065550100".into(), ..CallFacts::default() };
    let (call, session, tenant) = (format!("c-{session}"), session.to_owned(), tenant.to_owned());
    let opening = Opening { session, call, tenant, facts: facts.into(), began_unix_ms, ..Opening::default() };
    let began = Instant::now();
    let mut record = CallRecord::open(opening, began);
    record.close(began + Duration::from_millis(milliseconds), &Ending::CallerHungUp, None);
    Entry::Call { record: Box::new(record), keep: DAY, told: false }
}

fn all_per(per: Per) -> WantedUsage {
    WantedUsage { per, tenant: None, from: None, until: None, after: None }
}

fn usage(period: &str, tenant: &str, calls: u64, milliseconds: u64) -> Usage {
    Usage { period: period.into(), tenant: tenant.into(), calls, milliseconds }
}

/// The last millisecond of June 2100, which no sweep of ours comes to.
const END_OF_JUNE: i64 = 4_118_083_199_999;

pub(super) async fn a_call_is_counted_once_and_stays_counted_when_its_record_is_gone(place: &impl Place) {
    let store = place.open().await;
    let twice = || [lasted("a", "acme", END_OF_JUNE, 1_500), lasted("old", "acme", 0, 7)];
    store.write(&twice()).await.expect("written");
    store.write(&twice()).await.expect("written");
    store.write(&[lasted("b", "acme", END_OF_JUNE + 1, 500)]).await.expect("written");
    let days =
        [usage("2100-07-01", "acme", 1, 500), usage("2100-06-30", "acme", 1, 1_500), usage("1970-01-01", "acme", 1, 7)];
    assert_eq!(store.usage(&all_per(Per::Day), 9).await.expect("answers"), days);
    assert_eq!(store.forget("+12065550100", None).await.expect("answers").records, 3);
    store.sweep().await.expect("sweeps");
    assert_eq!(store.usage(&all_per(Per::Day), 9).await.expect("answers"), days[..2], "what is years old is gone");
}

pub(super) async fn periods_of_usage_are_told_page_by_page(place: &impl Place) {
    let store = place.open().await;
    let mut calls = vec![];
    for (n, tenant) in ["acme", "other", "acme", "acme"].into_iter().enumerate() {
        calls.push(lasted(&format!("june-{n}"), tenant, END_OF_JUNE - 86_400_000 * n as i64, 1_000));
        calls.push(lasted(&format!("july-{n}"), tenant, END_OF_JUNE + 1, 10));
    }
    store.write(&calls).await.expect("written");
    let all = [
        usage("2100-07", "acme", 3, 30),
        usage("2100-07", "other", 1, 10),
        usage("2100-06", "acme", 3, 3_000),
        usage("2100-06", "other", 1, 1_000),
    ];
    let mut wanted = all_per(Per::Month);
    for expected in &all {
        assert_eq!(store.usage(&wanted, 1).await.expect("answers"), std::slice::from_ref(expected));
        wanted.after = Some((expected.period.clone(), expected.tenant.clone()));
    }
    assert_eq!(store.usage(&wanted, 1).await.expect("answers"), []);
    let theirs = WantedUsage { tenant: Some("other".into()), ..all_per(Per::Month) };
    assert_eq!(store.usage(&theirs, 9).await.expect("answers"), [all[1].clone(), all[3].clone()]);
    let (from, until) = (Some("2100-06-29".into()), Some("2100-07-01".into()));
    let two_days = store.usage(&WantedUsage { from, until, ..all_per(Per::Day) }, 9).await.expect("answers");
    assert_eq!(two_days, [usage("2100-06-30", "acme", 1, 1_000), usage("2100-06-29", "other", 1, 1_000)]);
}
