//! What every store promises of figures.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bellhop_call::ending::Ending;
use bellhop_call::figures::{Endings, HOUR_MS, OfTenant, Slot, WantedFigures};
use bellhop_call::ports::Entry;
use bellhop_call::record::{CallRecord, EndReason, Opening};
use bellhop_dialogue::call_facts::CallFacts;
use bellhop_dialogue::turn_loop::SayId;
use serde_json::json;

use super::{DAY, Place, history, name};

/// The first hour of 2100, which no sweep of ours comes to.
pub(in crate::storage) const NEW_YEAR: i64 = 4_102_444_800_000;

const MINUTE: Duration = Duration::from_secs(60);

/// A call: when it began after [`NEW_YEAR`], and how long it lasted, in minutes; what its caller waited, in milliseconds.
pub(in crate::storage) struct Had {
    pub(in crate::storage) session: &'static str,
    pub(in crate::storage) tenant: &'static str,
    pub(in crate::storage) minutes: (i64, u64),
    pub(in crate::storage) waited_ms: &'static [u64],
    pub(in crate::storage) ended: (EndReason, Option<&'static str>),
}

impl Had {
    /// With the record of it, kept for a day.
    pub(in crate::storage) fn entry(&self) -> Entry {
        let (session, tenant) = (self.session.to_owned(), self.tenant.to_owned());
        let facts = CallFacts { caller: "+12065550100".into(), ..CallFacts::default() };
        let began_unix_ms = NEW_YEAR + self.minutes.0 * 60_000;
        let opening = Opening {
            call: format!("c-{session}"),
            session,
            tenant,
            facts: facts.into(),
            began_unix_ms,
            ..Opening::default()
        };
        let began = Instant::now();
        let mut record = CallRecord::open(opening, began);
        for (n, waited) in (1..).zip(self.waited_ms) {
            record.asked(began, n, "dtmf");
            record.wants_heard(began, "text", SayId(n.into()));
            record.audio_began(began + Duration::from_millis(*waited), SayId(n.into()));
        }
        let (reason, details) = self.ended;
        record.close(began + MINUTE * self.minutes.1 as u32, &ending(reason), details.map(str::to_owned));
        Entry::Call { record: Box::new(record), keep: DAY, told: false }
    }
}

fn ending(reason: EndReason) -> Ending {
    match reason {
        EndReason::CallerHangup => Ending::CallerHungUp,
        EndReason::AssistantHangup => Ending::AssistantEnded,
        EndReason::AssistantTransfer => Ending::HandedOff,
        EndReason::Failed => Ending::TooLong,
    }
}

pub(in crate::storage) const GOOD: (EndReason, Option<&str>) = (EndReason::CallerHangup, None);
const BROKEN: (EndReason, Option<&str>) = (EndReason::Failed, Some("turn_loop: the assistant was lost"));

/// Figures of the first hours or days.
pub(in crate::storage) fn first(slot: Slot, count: i64, tenant: Option<&str>) -> WantedFigures {
    let until_unix_ms = NEW_YEAR + count * slot.milliseconds();
    WantedFigures { tenant: tenant.map(str::to_owned), slot, from_unix_ms: NEW_YEAR, until_unix_ms }
}

fn calls() -> Vec<Entry> {
    let call = |session, tenant, minutes, waited_ms, ended| Had { session, tenant, minutes, waited_ms, ended }.entry();
    let handed_over = (EndReason::AssistantTransfer, None);
    vec![
        // One that began before, and two at once with it; a fourth begins as the second ends.
        call("before", "acme", (-10, 30), &[99_000], GOOD),
        call("one", "acme", (0, 10), &[0, 480, 500], GOOD),
        call("two", "acme", (5, 10), &[2_999, 3_000], handed_over),
        call("three", "acme", (10, 5), &[], GOOD),
        // It lasts over an hour in which none begins.
        call("long", "acme", (59, 90), &[1_000_000], BROKEN),
        call("other", "other", (6, 1), &[10], GOOD),
        call("tomorrow", "acme", (24 * 60, 1), &[40], handed_over),
    ]
}

pub(in crate::storage) async fn figures_are_of_what_is_kept(place: &impl Place) {
    let store = place.open().await;
    store.write(&calls()).await.expect("written");
    store.write(&calls()).await.expect("written twice, kept once");
    // Another server, or the next start, says the same.
    let store = place.open().await;
    let ended = |hour: i64, reason: (EndReason, Option<&str>), calls, minutes: u64| Endings {
        slot_unix_ms: NEW_YEAR + hour * HOUR_MS,
        reason: reason.0.label().to_owned(),
        failure: reason.1.map(str::to_owned),
        calls,
        milliseconds: minutes * 60_000,
    };
    let handed_over = (EndReason::AssistantTransfer, None);
    let hours = store.figures(&first(Slot::Hour, 4, Some("acme"))).await.expect("answers");
    assert_eq!(hours.endings, [ended(0, handed_over, 1, 10), ended(0, GOOD, 2, 15), ended(0, BROKEN, 1, 90)]);
    let hour = |n: i64| NEW_YEAR + n * HOUR_MS;
    let at_once = BTreeMap::from([(hour(0), 3), (hour(1), 1), (hour(2), 1), (hour(3), 0)]);
    assert_eq!(hours.at_once, Some(at_once), "a call that ends as another begins is not up with it");
    let waits = &hours.waits[&NEW_YEAR];
    let ms = |percent| waits.percentile(percent).map(|waited| waited.as_millis());
    assert_eq!(
        (hours.waits.len(), waits.turns(), ms(1), ms(50), ms(66), ms(83)),
        (1, 6, Some(50), Some(550), Some(3_000), Some(3_500))
    );
    assert_eq!(ms(100), Some(610_000), "what is longer than ten minutes is told alike");
    assert_eq!((hours.up, hours.tenants), (0, vec![]));

    let days = store.figures(&first(Slot::Day, 2, None)).await.expect("answers");
    let calls: Vec<(i64, &str, u64)> =
        days.endings.iter().map(|of| (of.slot_unix_ms, of.reason.as_str(), of.calls)).collect();
    let expected = [
        (NEW_YEAR, "assistant_transfer", 1),
        (NEW_YEAR, "caller_hangup", 3),
        (NEW_YEAR, "failed", 1),
        (hour(24), "assistant_transfer", 1),
    ];
    assert_eq!(calls, expected);
    assert_eq!(days.at_once, Some(BTreeMap::from([(NEW_YEAR, 4), (hour(24), 1)])));
    assert_eq!(days.waits[&NEW_YEAR].turns(), 7);
    let of = |tenant: &str, calls, failed, handed_over| OfTenant { tenant: tenant.into(), calls, failed, handed_over };
    assert_eq!(days.tenants, [of("acme", 5, 1, 2), of("other", 1, 0, 0)]);
}

pub(in crate::storage) async fn figures_of_who_is_forgotten_name_nobody(place: &impl Place) {
    let store = place.open().await;
    store.write(&calls()).await.expect("written");
    assert_eq!(store.forget("+12065550100", None).await.expect("answers").records, 7);
    let figures = store.figures(&first(Slot::Hour, 1, None)).await.expect("answers");
    assert_eq!((figures.endings, figures.waits[&NEW_YEAR].turns()), (vec![], 7));
    let minutes = (-NEW_YEAR / 60_000, 1);
    let of_1970 = Had { session: "old", tenant: "acme", minutes, waited_ms: &[10], ended: GOOD }.entry();
    store.write(&[of_1970]).await.expect("written");
    let old = WantedFigures { from_unix_ms: 0, until_unix_ms: HOUR_MS, ..first(Slot::Hour, 1, None) };
    assert_eq!(store.figures(&old).await.expect("answers").waits.len(), 1);
    store.sweep().await.expect("sweeps");
    assert!(store.figures(&old).await.expect("answers").waits.is_empty(), "what is months old is gone");
    assert_eq!(store.figures(&first(Slot::Hour, 1, None)).await.expect("answers").waits.len(), 1);
}

pub(in crate::storage) async fn calls_that_are_up_are_told_of_their_tenant(place: &impl Place) {
    let store = place.open().await;
    let opening = |session: &str, tenant: &str| {
        let (session, call, tenant) = (session.to_owned(), format!("c-{session}"), tenant.to_owned());
        Box::new(Opening { session, call, tenant, began_unix_ms: NEW_YEAR, ..Opening::default() })
    };
    for (session, tenant) in [("a", "acme"), ("b", "acme"), ("c", "other")] {
        store.write(&[Entry::Began { opening: opening(session, tenant), recorded: false }]).await.expect("written");
    }
    let up = store.up("acme", 9).await.expect("answers");
    assert_eq!(up.iter().map(|call| &*call.session).collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!((up[0].opening.clone(), up.len()), (*opening("b", "acme"), 2));
    assert_eq!(store.up("acme", 1).await.expect("answers").len(), 1);
    assert_eq!(store.figures(&first(Slot::Hour, 1, Some("acme"))).await.expect("answers").up, 2);
    assert_eq!(store.figures(&first(Slot::Hour, 1, None)).await.expect("answers").up, 3);
}

pub(in crate::storage) async fn whoever_left_anything_behind_is_known(place: &impl Place) {
    let store = place.open().await;
    let knows = async |tenant: &str| store.knows(tenant).await.expect("answers");
    assert!(!knows("acme").await && !knows("former").await);
    store.histories(DAY.into()).store(name(1), history()).await.expect("stored");
    assert!(knows("acme").await && !knows("former").await);
    // No record is kept of it: what nobody has taken yet is all that is left.
    let told = Entry::Turn { tenant: "former".into(), session: "s".into(), caller: "+1".into(), log: json!({}) };
    store.write(&[told]).await.expect("written");
    assert!(knows("former").await);
}
