//! What lists of calls promise, whatever the database.

use std::time::{Duration, Instant};

use bellhop_call::ending::{Broken, Ending};
use bellhop_call::failure::{ChildName, Failure};
use bellhop_call::ports::{Entry, ListedCall, Wanted, WantedWords};
use bellhop_call::record::{CallRecord, Opening};
use bellhop_dialogue::call_facts::CallFacts;

use super::{DAY, END_OF_JUNE, Place, lasted, of};

const TWENTY_SECONDS: Duration = Duration::from_secs(20);

/// A call of `acme` that ended in some way.
fn over(session: &str, [caller, dialled]: [&str; 2], seconds: u64, ending: &Ending, details: Option<&str>) -> Entry {
    let facts = CallFacts { caller: caller.into(), dialled: dialled.into(), ..CallFacts::default() };
    let (call, session) = (format!("c-{session}"), session.to_owned());
    let began_unix_ms = END_OF_JUNE + i64::try_from(seconds).unwrap_or_default();
    let opening =
        Opening { session, call, tenant: "acme".into(), facts: facts.into(), began_unix_ms, ..Opening::default() };
    let began = Instant::now();
    let mut record = CallRecord::open(opening, began);
    record.close(began + Duration::from_secs(seconds), ending, details.map(str::to_owned));
    Entry::Call { record: Box::new(record), keep: DAY, told: false }
}

pub(in crate::storage) async fn a_list_of_calls_is_narrowed_by_what_is_known_of_them(place: &impl Place) {
    let store = place.open().await;
    let silent = Ending::Failed { child: ChildName::SipDialog, failure: Broken::Failure(Failure::MediaTimeout) };
    let (ann, bob, line, other) = ("+12065550100", "+12065550199", "+18005550123", "+18005550124");
    let calls = [
        over("a", [ann, line], 10, &Ending::CallerHungUp, None),
        over("b", [bob, line], 20, &silent, Some("sip_dialog: No audio_ from the far end 100%")),
        over("c", [ann, other], 30, &Ending::OperatorHungUp, Some("operator_hung_up")),
        lasted("theirs", "other", END_OF_JUNE, 99_000),
    ];
    store.write(&calls).await.expect("written");
    let found = async |wanted: Wanted| -> Vec<String> {
        let tenant = wanted.tenant.clone().or(Some("acme".to_owned()));
        let listed = store.latest(&Wanted { tenant, ..wanted }, 9).await.expect("answers");
        listed.into_iter().map(|call| call.session).collect()
    };
    let all = Wanted::default;
    assert_eq!(found(all()).await, ["c", "b", "a"]);
    assert_eq!(store.latest(&all(), 9).await.expect("answers").len(), 4, "everybody's");
    assert_eq!(found(Wanted { number: Some("+1 (206) 555-0100".into()), ..all() }).await, ["c", "a"]);
    assert_eq!(found(Wanted { number: Some("1 800 5550123".into()), ..all() }).await, ["b", "a"]);
    assert_eq!(found(Wanted { caller: Some(line.into()), ..all() }).await, Vec::<String>::new());
    assert_eq!(found(Wanted { longer_than: Some(TWENTY_SECONDS), ..all() }).await, ["c"]);
    assert_eq!(found(Wanted { reason: Some("failed".into()), ..all() }).await, ["c", "b"]);
    assert_eq!(found(Wanted { reason: Some("failed_media_timeout".into()), ..all() }).await, ["b"]);
    let from = Some(END_OF_JUNE + 20);
    assert_eq!(found(Wanted { from_unix_ms: from, until_unix_ms: Some(END_OF_JUNE + 30), ..all() }).await, ["b"]);
    let words = |text: &str, endings: Vec<&'static str>| {
        let words = Some(WantedWords { text: text.into(), endings });
        Wanted { words, ..all() }
    };
    assert_eq!(found(words("no AUDIO_ from", vec![])).await, ["b"]);
    assert_eq!(found(words("100%", vec![])).await, ["b"], "a sign of patterns stands for itself");
    assert_eq!(found(words("_", vec![])).await, ["c", "b"]);
    assert_eq!(found(words("hung up", vec!["caller_hung_up", "operator_hung_up"])).await, ["c", "a"]);
    assert_eq!(found(words("x", vec!["caller_hung"])).await, Vec::<String>::new(), "an ending is meant whole");
    let b = &store.latest(&words("far end", vec![]), 1).await.expect("answers")[0];
    let kept = store.find_call("b").await.expect("answers").expect("is there");
    assert_eq!(*b, ListedCall::of(&kept), "the columns say what the record says");
    assert_eq!((b.milliseconds, b.turns, b.ending.as_str()), (20_000, 0, "failed_media_timeout"));
}

pub(in crate::storage) async fn calls_that_begin_at_once_are_listed_page_by_page_once_each(place: &impl Place) {
    let store = place.open().await;
    let calls: Vec<Entry> = (0..9).map(|n| lasted(&format!("s{n}"), "acme", END_OF_JUNE + n / 4, 1)).collect();
    store.write(&calls).await.expect("written");
    let (mut wanted, mut seen) = (of("acme"), vec![]);
    while let Some(call) = store.latest(&wanted, 1).await.expect("answers").pop() {
        wanted.after = Some((call.began_unix_ms, call.session.clone()));
        seen.push(call.session);
    }
    assert_eq!(seen, ["s8", "s4", "s5", "s6", "s7", "s0", "s1", "s2", "s3"]);
}
