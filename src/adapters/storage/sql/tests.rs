//! The database as a file: what every store promises, and what is left when the disk says no.

use std::time::{Duration, Instant};

use bellhop_call::ports::{CallRecords, Change, Entry, LogEvents, RecordWriter, Retention};
use bellhop_connect::handoff::StoreFailed;
use bellhop_connect::ports::{FiledHistories, HandoffsLeftBehind, History, NotedWrite};
use serde_json::json;
use sqlx::{Executor, Row};

use super::histories::hashed;
use super::*;
use crate::storage::WRITE_MAX;
use crate::storage::places::Folder;
use crate::storage::suite::{DAY, Place, call, history, later, name, promises, turn};

mod durability;
mod figured;
mod shared;

promises!(Folder);

/// The database takes no page more, as a full disk takes none.
async fn fill(database: &SqlStore) {
    alter(database, "PRAGMA max_page_count = 1").await;
}

/// Somebody does something to the database that we never would.
async fn alter(database: &SqlStore, statement: &str) {
    let statement = sqlx::AssertSqlSafe(statement.to_owned());
    let altered = database
        .database
        .sqlite()
        .maintain(async |connection| sqlx::raw_sql(statement).execute(connection).await.map(drop));
    altered.await.expect("altered");
}

fn long_history() -> History {
    History { tenant: "acme".into(), json: json!({"caller": "+1", "words": "x".repeat(20_000)}).to_string() }
}

/// A future that is handed on by blocks doubles with each: 60 KiB were moved seven times for each write.
#[tokio::test]
async fn a_write_has_room_for_its_work_once() {
    let place = Folder::new("room");
    let database = place.database().await;
    let entries = [call("acme", "+1", DAY)];
    let (work, written) = (size_of_val(&database.write_all(&entries)), size_of_val(&*database.write(&entries)));
    assert!(written < work * 5 / 4, "{written} bytes for {work}");
}

/// Nobody would ever see it under way: that is neither written nor deleted again.
#[tokio::test]
async fn a_call_that_begins_and_ends_in_one_batch_is_never_written_as_under_way() {
    let place = Folder::new("passing");
    let database = place.database().await;
    let trigger = "CREATE TRIGGER broken BEFORE INSERT ON calls_under_way BEGIN SELECT RAISE(ABORT, 'injected'); END";
    alter(&database, trigger).await;
    let ended = call("a", "+1", DAY);
    let Entry::Call { record, .. } = &ended else { panic!("a record") };
    let began = || Entry::Began { opening: Box::new(record.opening().clone()), recorded: true };
    database.write(&[began(), turn("a", 1), call("a", "+1", DAY)]).await.expect("written");
    assert!(database.find_call("a").await.expect("answers").is_some());
    database.write(&[call("a", "+1", DAY), began()]).await.expect_err("it is up again, whatever came before");
    database.write(&[began()]).await.expect_err("it is up");
}

/// What is kept by a name would be seen by the next who gets it.
#[tokio::test]
async fn whatever_is_kept_by_a_tenants_name_is_asked_for() {
    let place = Folder::new("named");
    let _database = place.database().await;
    let mut stranger = place.stranger().await;
    let tables = sqlx::query(
        "SELECT name FROM sqlite_master AS made WHERE type = 'table'
        AND EXISTS (SELECT 1 FROM pragma_table_info(made.name) WHERE name = 'tenant') ORDER BY name",
    );
    let tables = tables.fetch_all(&mut stranger).await.expect("answers");
    // By an identifier, which nobody gets twice; the last counts what another holds.
    let others = [
        "audit",
        "credentials",
        "document_versions",
        "documents",
        "invitations",
        "numbers",
        "refusal_tenants",
        "secrets",
        "users",
        "log_spools",
    ];
    let names: Vec<String> = tables.iter().map(|table| table.get(0)).collect();
    let is_asked_for = |name: &str| records::KNOWS.contains(&format!(" {name} "));
    let forgotten: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| !others.contains(name) && !is_asked_for(name)).collect();
    assert!(forgotten.is_empty(), "{forgotten:?}");
}

#[tokio::test]
async fn a_place_that_is_none_is_one_sentence() {
    let error = SqlStore::open("sqlite:///nowhere/at/all.db", None).await.expect_err("no such folder");
    assert!(error.to_string().starts_with("the database sqlite:///nowhere/at/all.db cannot be opened"), "{error}");
}

/// `bellhop calls` in the wrong folder must not answer "no calls" from a database that it made itself.
#[tokio::test]
async fn a_database_that_is_only_asked_is_never_made() {
    let own = tempfile::tempdir().expect("a folder");
    let path = own.path().join("asked.db");
    let error =
        SqlStore::open_existing(&format!("sqlite://{}", path.display()), None).await.expect_err("nothing is there");
    assert!(error.to_string().contains("cannot be opened"), "{error}");
    assert!(!path.exists());
}

/// SQLite rolls a transaction back by itself when the disk is full; what comes later must not land in what is left of it.
#[tokio::test]
async fn after_a_full_disk_what_is_stored_is_committed() {
    let place = Folder::new("full");
    let database = place.database().await;
    let (records, histories) = (&database, database.histories(DAY.into()));
    fill(&database).await;
    let many: Vec<Entry> = (0..200).map(|n| turn("a", n)).collect();
    assert!(records.write(&many).await.is_err_and(|why| why.may_pass()), "full");
    fill(&database).await;
    assert_eq!(histories.store(name(1), long_history()).await, Err(StoreFailed), "full");
    assert!(database.is_ready().await, "the disk has place again: it is tried");
    histories.store(name(2), long_history()).await.expect("stored");
    records.write(&many).await.expect("written");
    let mut stranger = place.stranger().await;
    for (table, rows) in [("session_histories", 1), ("log_events", 200)] {
        let count = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}")));
        let count: i64 = count.fetch_one(&mut stranger).await.and_then(|row| row.try_get(0)).expect("answers");
        assert_eq!(count, rows, "{table}: others see it, so it is committed");
    }
}

#[tokio::test]
async fn a_read_only_disk_is_told_and_nothing_is_left_of_it_afterwards() {
    let place = Folder::new("read-only");
    let database = place.database().await;
    let read_only = database
        .database
        .sqlite()
        .maintain(async |connection| sqlx::raw_sql("PRAGMA query_only = ON").execute(connection).await.map(drop));
    read_only.await.expect("set");
    let histories = database.histories(DAY.into());
    assert_eq!(histories.store(name(1), history()).await, Err(StoreFailed));
    histories.store(name(1), history()).await.expect("stored");
    assert_eq!(database.find_history(&name(1)).await.expect("answers"), Some(history()));
    histories.void(name(1)).await.expect("made void");
    assert_eq!(database.find_history(&name(1)).await.expect("answers"), None);
}

#[tokio::test]
async fn a_history_that_was_dropped_half_way_leaves_no_transaction_open() {
    let place = Folder::new("dropped");
    let database = place.database().await;
    let mut stranger = place.stranger().await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut stranger).await.expect("locked");
    let histories = database.histories(DAY.into());
    let storing = histories.store(name(1), history());
    assert!(tokio::time::timeout(Duration::from_millis(50), storing).await.is_err(), "locked");
    sqlx::raw_sql("ROLLBACK").execute(&mut stranger).await.expect("free");
    histories.store(name(2), history()).await.expect("stored");
    let count = sqlx::query("SELECT count(*) FROM session_histories WHERE filed_as = ?").bind(hashed(&name(2)));
    let count: i64 = count.fetch_one(&mut stranger).await.and_then(|row| row.try_get(0)).expect("answers");
    assert_eq!(count, 1);
}

/// The end of the process asks for what is left to be written, and waits for it.
#[tokio::test]
async fn nothing_is_written_at_once_whatever_the_store_does() {
    let place = Folder::new("nothing");
    let database = place.database().await;
    let mut stranger = place.stranger().await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut stranger).await.expect("locked");
    assert!(database.write(&[]).await.is_ok());
}

#[tokio::test]
async fn a_locked_database_is_told_in_time_and_stores_again_once_it_is_free() {
    let place = Folder::new("locked");
    let database = place.database().await;
    let mut stranger = place.stranger().await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut stranger).await.expect("locked");
    let began = Instant::now();
    let histories = database.histories(DAY.into());
    assert_eq!(histories.store(name(1), history()).await, Err(StoreFailed));
    assert!(began.elapsed() <= WRITE_MAX + Duration::from_secs(1));
    assert!(!database.is_ready().await, "nothing can be stored");
    assert_eq!(database.find_history(&name(1)).await.expect("it can be read"), None);
    sqlx::raw_sql("ROLLBACK").execute(&mut stranger).await.expect("free");
    assert!(database.is_ready().await);
    histories.store(name(1), history()).await.expect("stored");
}

#[tokio::test]
async fn a_database_that_was_deleted_or_replaced_is_opened_anew() {
    let place = Folder::new("replaced");
    let database = place.database().await;
    let histories = database.histories(DAY.into());
    histories.store(name(1), history()).await.expect("stored");
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(place.file(suffix));
    }
    histories.store(name(2), history()).await.expect("stored");
    assert_eq!(database.find_history(&name(2)).await.expect("answers"), Some(history()));
    assert_eq!(database.find_history(&name(1)).await.expect("answers"), None, "that file is gone");
    drop((database, histories));
    let again = place.database().await;
    assert_eq!(
        again.find_history(&name(2)).await.expect("answers"),
        Some(history()),
        "it lies where the next start looks"
    );
}

/// What was committed into a log that has lost its name would be gone with this process.
#[tokio::test]
async fn a_log_that_was_deleted_loses_no_later_history() {
    let place = Folder::new("log");
    let database = place.database().await;
    let histories = database.histories(DAY.into());
    histories.store(name(1), history()).await.expect("stored");
    std::fs::remove_file(place.file("-wal")).expect("there");
    histories.store(name(2), history()).await.expect("stored");
    let mut stranger = place.stranger().await;
    let count = sqlx::query("SELECT count(*) FROM session_histories").fetch_one(&mut stranger).await;
    assert_eq!(count.and_then(|row| row.try_get::<i64, _>(0)).expect("answers"), 2);
}

#[tokio::test]
async fn what_was_forgotten_or_has_expired_lies_nowhere_on_the_disk() {
    let place = Folder::new("forgotten");
    let database = place.database().await;
    let records = &database;
    for (session, caller) in [("s-forgotten", "+12065550100"), ("s-expired", "+12065550199")] {
        let Entry::Turn { tenant, .. } = turn(session, 0) else { unreachable!("a turn") };
        let log = json!({"turn": 0, "words": format!("secret words of {session}")});
        let turn = Entry::Turn { tenant, session: session.into(), caller: caller.into(), log };
        records.write(&[call(session, caller, DAY), turn]).await.expect("written");
    }
    let history =
        History { tenant: "acme".into(), json: json!({"caller": "+12065550100", "a": "secret history"}).to_string() };
    database.histories(DAY.into()).store(name(1), history).await.expect("stored");
    assert!(place.holds("secret words of s-forgotten") && place.holds("secret history"));
    assert!(records.forget("12065550100", None).await.expect("answers").log_emptied);
    for gone in ["secret words of s-forgotten", "secret history", "c-s-forgotten", "+12065550100"] {
        assert!(!place.holds(gone), "{gone}");
    }
    assert!(place.holds("secret words of s-expired"));
    for table in ["call_records", "log_events"] {
        let query = format!("UPDATE {table} SET expires_unix = 1");
        let mut transaction = records.database.sqlite().begin().await.expect("begun");
        sqlx::query(sqlx::AssertSqlSafe(query)).execute(transaction.connection()).await.expect("set");
        transaction.commit().await.expect("set");
    }
    records.sweep().await.expect("sweeps");
    assert!(!place.holds("s-expired"), "expiry is no less thorough");
}

#[tokio::test]
async fn space_is_given_back_to_the_file_system() {
    let place = Folder::new("space");
    let database = place.database().await;
    let records = &database;
    let log = |n: u32| json!({"turn": n, "words": "x".repeat(20_000)});
    let turns: Vec<Entry> = (0..200)
        .map(|n| Entry::Turn { tenant: "acme".into(), session: "a".into(), caller: "+12065550100".into(), log: log(n) })
        .collect();
    records.write(&turns).await.expect("written");
    let length = |suffix| std::fs::metadata(place.file(suffix)).map_or(0, |file| file.len());
    let before = length("") + length("-wal");
    records.forget("+12065550100", None).await.expect("answers");
    // What is left is the tables themselves.
    let after = length("") + length("-wal");
    assert!(before > 4_000_000 && after < before / 10, "{before} {after}");
}

#[tokio::test]
async fn a_second_server_is_told_which_process_has_the_database() {
    let place = Folder::new("claim");
    let (one, other) = (place.open().await, place.open().await);
    let _claim = one.claim().await.expect("nobody has it");
    let why = other.claim().await.expect_err("taken").to_string();
    assert_eq!(why, format!("another server uses this database (process {})", std::process::id()));
}

#[tokio::test]
async fn a_database_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let place = Folder::new("private");
    let database = place.database().await;
    database.histories(DAY.into()).store(name(1), history()).await.expect("stored");
    for suffix in ["", "-wal", "-shm"] {
        let mode = std::fs::metadata(place.file(suffix)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "bellhop.db{suffix}");
    }
}

/// A text that only one database understands is found here, and not on the day it is asked.
#[tokio::test]
async fn every_text_is_understood() {
    let place = Folder::new("prepared");
    let _database = place.database().await;
    let mut stranger = place.stranger().await;
    for sql in every_text().into_iter().chain(crate::storage::spool::ALL) {
        if let Err(why) = stranger.prepare(sqlx::SqlStr::from_static(sql)).await {
            panic!("{sql}: {why}");
        }
    }
}

fn every_text() -> Vec<&'static str> {
    let deeds = deed::all();
    let all: [&[&'static str]; 14] = [
        &ALL,
        &deeds,
        &events::ALL,
        &figures::ALL,
        &forgetting::ALL,
        &histories::ALL,
        &in_flight::ALL,
        &lent::ALL,
        &reads::ALL,
        &records::ALL,
        &replay::ALL,
        &servers::ALL,
        &under_way::ALL,
        &usage::ALL,
    ];
    all.into_iter().flatten().copied().collect()
}
