//! The store with a spool, on a PostgreSQL that goes away and comes back: what every store promises, and that nothing is lost or
//! doubled.

use std::path::PathBuf;
use std::sync::atomic::AtomicU32;

use bellhop_call::ports::{CallRecords, Change, Entry, LogEvents, RecordWriter, Retention};
use bellhop_connect::handoff::StoreFailed;
use bellhop_connect::ports::{Counted, FiledHistories, History, Note, NotedWrite, Reader};
use sqlx::Row;

use super::*;
use crate::storage::places::{Folder, Tables};
use crate::storage::sql::histories::hashed;
use crate::storage::suite::{DAY, Place, call, for_reads, history, later, name, promises, turn};

/// A database, and spools beside it.
struct Beside {
    tables: Tables,
    folder: Folder,
    opened: AtomicU32,
}

impl Place for Beside {
    async fn open(&self) -> Arc<dyn Store> {
        // For the lease of others.
        let _ = self.tables.open().await;
        let store = self.store(&format!("-{}", self.opened.fetch_add(1, Ordering::Relaxed))).await;
        self.tables.make_steady().await;
        Arc::new(store)
    }

    async fn let_all_expire(&self) {
        self.tables.let_all_expire().await;
    }

    async fn let_all_reads_end(&self) {
        self.tables.let_all_reads_end().await;
    }
}

promises!(Beside);

impl Beside {
    fn new(name: &str) -> Self {
        Self::of(Tables::new(&format!("beside_{name}")), name)
    }

    fn apart(name: &str) -> Self {
        Self::of(Tables::apart(name), name)
    }

    fn of(tables: Tables, name: &str) -> Self {
        Self { tables, folder: Folder::new(&format!("beside-{name}")), opened: AtomicU32::new(0) }
    }

    fn spool(&self, which: &str) -> PathBuf {
        self.folder.file(which)
    }

    async fn store(&self, which: &str) -> SpooledStore {
        SpooledStore::open(self.tables.store().await, &self.spool(which)).await.expect("opens")
    }

    async fn number(&self, sql: &'static str) -> i64 {
        let row = sqlx::query(sql).fetch_one(&mut self.tables.stranger().await).await.expect("answers");
        row.try_get(0).expect("a number")
    }
}

/// Waits until the database has everything.
async fn is_back(store: &SpooledStore) {
    let back = async {
        while store.spooled().is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), back).await.expect("it is tried again");
}

fn stored(n: u8) -> Vec<Deed> {
    let History { tenant, json } = history();
    vec![Deed::History { filed_as: hashed(&name(n)), tenant, json, expires_unix: i64::MAX, lent_by: None, reads: None }]
}

/// How many calls there were, as usage tells.
async fn counted(store: &SpooledStore) -> u64 {
    use bellhop_call::ports::{Per, WantedUsage};
    let wanted = WantedUsage { per: Per::Month, tenant: None, from: None, until: None, after: None };
    store.usage(&wanted, 99).await.expect("answers").iter().map(|usage| usage.calls).sum()
}

async fn events(store: &SpooledStore) -> Vec<String> {
    let due = store.due("acme", later(), 99).await.expect("answers");
    due.into_iter().map(|event| event.id).collect()
}

#[tokio::test]
async fn what_is_written_while_the_database_is_away_is_found_and_is_there_once_when_it_is_back() {
    let place = Beside::apart("outage");
    let (store, other) = (place.store("").await, place.store("other").await);
    let histories = store.histories(DAY.into());
    for n in [1, 7] {
        histories.lend(name(n), history()).await.expect("stored");
    }
    other.histories(DAY.into()).store(name(6), history()).await.expect("stored");
    store.write(&[turn("a", 0)]).await.expect("written");
    assert!(store.is_ready().await && store.spooled().is_none());
    place.tables.cluster.stop();
    assert!(store.is_ready().await, "calls need not go elsewhere");
    assert_eq!(store.spooled(), Some(Spooled::default()));
    histories.earned(name(1)).await.expect("noted");
    for n in [2, 3, 4] {
        histories.lend(name(n), history()).await.expect("stored");
    }
    histories.store(name(5), history()).await.expect("stored");
    histories.earned(name(2)).await.expect("noted");
    for n in [3, 7] {
        histories.void(name(n)).await.expect("void");
    }
    for (n, is_there) in [(1, true), (2, true), (3, false), (4, true), (5, true), (7, false)] {
        assert_eq!(store.find_history(&name(n)).await.expect("answers").is_some(), is_there, "{n}");
    }
    assert!(store.find_history(&name(6)).await.is_err(), "it is in the database, and nobody says that it is not there");
    store.write(&[turn("a", 1), turn("a", 2), call("a", "+12065550100", DAY)]).await.expect("written");
    assert!(store.forget("+12065550100", None).await.is_err(), "what waits would come again");
    assert!(store.spooled().is_some_and(|spooled| spooled.entries == 11 && spooled.bytes > 0), "{:?}", store.spooled());
    place.tables.cluster.start();
    is_back(&store).await;
    for (n, is_there) in [(1, true), (2, true), (3, false), (4, true), (5, true), (6, true), (7, false)] {
        assert_eq!(store.find_history(&name(n)).await.expect("answers").is_some(), is_there, "{n}");
    }
    assert_eq!(place.number("SELECT count(*) FROM lent_histories").await, 1);
    assert_eq!(events(&store).await, ["a:turn:0", "a:turn:1", "a:turn:2", "a:cdr"]);
    assert_eq!(store.find_call("c-a").await.expect("answers").map(|call| call.session), Some("a".into()));
    assert_eq!(store.0.spool.taken(), Spooled::default());
    let told = store.write(&[turn("b", 0)]).await.expect("written").waiting;
    assert!(told.contains(&"acme".to_owned()), "who delivers is told of what was replayed");
    assert_eq!(store.forget("+12065550100", None).await.expect("answers").records, 1);
    assert!(!place.folder.holds("words"), "nothing of it is left on the disk");
}

#[tokio::test]
async fn reads_are_counted_while_the_database_is_away_and_it_is_told_of_them() {
    let place = Beside::apart("reads");
    let store = place.store("").await;
    let histories = store.histories(for_reads(2));
    histories.store(name(1), history()).await.expect("stored");
    let (ann, bob, eve) = (Reader::at("a"), Reader::at("b"), Reader::at("e"));
    let read = async |n: u8, by: &Reader| store.count_read(&name(n), by).await.expect("answers");
    assert_eq!(read(1, &ann).await, Counted::New, "the database counts it");
    place.tables.cluster.stop();
    histories.store(name(2), history()).await.expect("stored");
    for n in [1, 2] {
        assert_eq!(read(n, &ann).await, if n == 1 { Counted::GoesOn } else { Counted::New });
        assert_eq!(read(n, &bob).await, Counted::New, "{n}");
        assert_eq!((read(n, &bob).await, read(n, &eve).await), (Counted::GoesOn, Counted::UsedUp), "{n}");
    }
    assert!(store.count_read(&name(3), &eve).await.is_err(), "nobody knows");
    place.tables.cluster.start();
    is_back(&store).await;
    let left = place.number("SELECT CAST(sum(reads_left) AS BIGINT) FROM session_histories").await;
    assert_eq!(left, 0);
    assert_eq!((read(2, &bob).await, read(2, &eve).await), (Counted::GoesOn, Counted::UsedUp));
}

#[tokio::test]
async fn a_spool_that_is_full_or_fails_makes_things_as_they_are_without_one() {
    let place = Beside::apart("full");
    let small = SpooledStore::with_room(place.tables.store().await, &place.spool("-small"), 10).await.expect("opens");
    let failing = place.store("-failing").await;
    place.tables.cluster.stop();
    let folder = place.spool("-failing").parent().expect("a folder").to_path_buf();
    for (store, breaks) in [(&small, false), (&failing, true)] {
        if breaks {
            std::fs::remove_dir_all(&folder).expect("gone");
        }
        let (histories, notes) = (store.histories(DAY.into()), store.write_notes("acme"));
        assert_eq!(histories.store(name(1), history()).await, Err(StoreFailed));
        let write = NotedWrite { contact_id: "c1".into(), names: vec!["topic".into()] };
        assert!(notes.note(write).await.is_err());
        assert!(store.write(&[turn("a", 0)]).await.is_err_and(|why| why.may_pass()));
    }
    assert!(!failing.is_ready().await, "calls had better go elsewhere");
    place.tables.cluster.start();
    for (n, store) in [(1, &small), (2, &failing)] {
        is_back(store).await;
        store.histories(DAY.into()).store(name(n), history()).await.expect("stored");
    }
}

#[tokio::test]
async fn what_was_replayed_by_a_process_that_died_before_it_could_delete_it_is_not_replayed_again() {
    let place = Beside::new("twice");
    let store = place.store("").await;
    let spool = Spool::open(&place.spool("-other"), SPOOL_BYTES).await.expect("opens");
    let entries = [turn("a", 0), turn("a", 1)];
    spool.keep(entries.iter().map(|entry| store.0.primary.deeds_of(entry).0).collect()).await.expect("kept");
    let note = NotedWrite { contact_id: "c1".into(), names: vec!["topic".into()] };
    spool.keep(vec![vec![store.0.primary.notes_of("acme").noted(&note)]]).await.expect("kept");
    let kept = spool.next().await.expect("answers");
    store.0.primary.replay(spool.name(), &kept).await.expect("replayed");
    store.settle(&[Change::Delivered { id: "a:turn:0".into() }]).await.expect("written");
    store.0.primary.replay(spool.name(), &kept).await.expect("replayed");
    assert_eq!(events(&store).await, ["a:turn:1"], "what was delivered does not come again");
    assert_eq!(place.number("SELECT count(*) FROM writes_in_flight").await, 1);
    spool.keep(vec![stored(1)]).await.expect("kept");
    let kept = spool.next().await.expect("answers");
    store.0.primary.replay(spool.name(), &kept).await.expect("replayed");
    assert_eq!(store.find_history(&name(1)).await.expect("answers"), Some(history()), "what is new is");
}

#[tokio::test]
async fn what_a_process_left_in_its_spool_is_replayed_by_the_next_one_and_by_one_alone() {
    let place = Beside::new("left");
    let spool = Spool::open(&place.spool(""), SPOOL_BYTES).await.expect("opens");
    spool.keep((0..70).map(stored).collect()).await.expect("kept");
    let why = SpooledStore::open(place.tables.store().await, &place.spool("")).await.err().expect("taken").to_string();
    assert!(why.contains("another server uses it: give each server a `storage.spool` of its own"), "{why}");
    drop(spool);
    let store = place.store("").await;
    assert_eq!(store.find_history(&name(69)).await.expect("answers"), Some(history()), "it is found at once");
    is_back(&store).await;
    assert_eq!(place.number("SELECT count(*) FROM session_histories").await, 70);
    assert_eq!(store.find_history(&name(69)).await.expect("answers"), Some(history()));
}

#[tokio::test]
async fn what_the_database_refuses_holds_nothing_up() {
    let place = Beside::new("refused");
    let spool = Spool::open(&place.spool(""), SPOOL_BYTES).await.expect("opens");
    let bad = Deed::Settled { tenant: "a zero byte: \0".into(), contact_id: "c1".into() };
    spool.keep(vec![stored(1), vec![bad], stored(2)]).await.expect("kept");
    drop(spool);
    let store = place.store("").await;
    is_back(&store).await;
    assert_eq!(place.number("SELECT count(*) FROM session_histories").await, 2);
}

#[tokio::test]
async fn a_note_that_was_spooled_is_struck_out_wherever_it_is_by_then() {
    let place = Beside::apart("notes");
    let store = place.store("").await;
    let notes = store.write_notes("acme");
    let write = |contact: &str| NotedWrite { contact_id: contact.into(), names: vec!["topic".into()] };
    let before = notes.note(write("before")).await.expect("noted");
    place.tables.cluster.stop();
    let [at_once, afterwards] = ["at once", "afterwards"].map(|contact| notes.note(write(contact)));
    let (at_once, afterwards) = (at_once.await.expect("noted"), afterwards.await.expect("noted"));
    assert!(before > Note(0) && at_once < Note(0) && afterwards < Note(0));
    notes.note(write("settled")).await.expect("noted");
    notes.nothing_written(at_once).await.expect("struck out");
    notes.nothing_written(before).await.expect("struck out");
    notes.settled("settled".into()).await.expect("struck out");
    notes.note(write("left")).await.expect("noted");
    place.tables.cluster.start();
    is_back(&store).await;
    assert_eq!(place.number("SELECT count(*) FROM writes_in_flight").await, 2);
    notes.nothing_written(afterwards).await.expect("struck out");
    let left = "SELECT count(*) FROM writes_in_flight WHERE contact_id = 'left'";
    assert_eq!((place.number("SELECT count(*) FROM writes_in_flight").await, place.number(left).await), (1, 1));
}

/// Another server takes the calls of one that was killed for lost; the spool of that one knows better.
#[tokio::test]
async fn a_record_that_was_spooled_takes_the_place_of_one_that_says_lost() {
    let place = Beside::new("lost");
    let store = place.store("").await;
    let spool = Spool::open(&place.spool("-other"), SPOOL_BYTES).await.expect("opens");
    let Entry::Call { record, .. } = call("a", "+1", DAY) else { unreachable!("a call") };
    let lost = bellhop_call::record::CallRecord::lost(record.opening().clone(), std::time::Instant::now());
    store.write(&[Entry::Call { record: Box::new(lost), keep: DAY, told: true }]).await.expect("written");
    spool.keep(vec![store.0.primary.deeds_of(&call("a", "+1", DAY)).0]).await.expect("kept");
    store.0.primary.replay(spool.name(), &spool.next().await.expect("answers")).await.expect("replayed");
    let details = store.find_call("a").await.expect("answers").expect("is there").details;
    assert!(!details.contains("lost"), "{details}");
    assert_eq!(events(&store).await, ["a:cdr"], "nobody is told twice");
    assert_eq!(counted(&store).await, 1, "and it is counted once");
}
