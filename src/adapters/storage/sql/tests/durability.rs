//! What is told as stored is on the disk, and nothing else is: each precaution of `connections.rs` by itself, so that
//! the loss of one is not hidden by the others.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// Three ways for a statement to fail: it alone is undone, what it did before stays, the whole transaction is gone. After the
/// first two SQLite leaves the transaction open, as it does after a violated constraint; after the last, as after a full disk,
/// the connection is in none.
const FAILURES: [&str; 3] = ["ABORT", "FAIL", "ROLLBACK"];

/// Turn 13 cannot be written.
async fn break_turn_13(database: &SqlStore, how: &str) {
    let trigger = format!(
        "CREATE TRIGGER broken BEFORE INSERT ON log_events WHEN new.id LIKE '%:turn:13'
        BEGIN SELECT RAISE({how}, 'injected'); END"
    );
    alter(database, &trigger).await;
}

/// The files as they are now, opened elsewhere: what the death of the process would leave.
async fn as_if_killed(place: &Folder) -> (Folder, SqlStore) {
    static COPIES: AtomicU32 = AtomicU32::new(0);
    let copy = Folder::new(&format!("copy-{}", COPIES.fetch_add(1, Ordering::Relaxed)));
    for suffix in ["", "-wal"] {
        std::fs::copy(place.file(suffix), copy.file(suffix)).expect("copied");
    }
    let database = copy.database().await;
    (copy, database)
}

#[tokio::test]
async fn after_a_statement_that_failed_what_is_stored_outlives_the_process_and_what_failed_does_not() {
    for how in FAILURES {
        let place = Folder::new(&format!("failed-{how}"));
        let database = place.database().await;
        let (records, histories) = (&database, database.histories(DAY.into()));
        break_turn_13(&database, how).await;
        let turns: Vec<Entry> = (10..15).map(|n| turn("a", n)).collect();
        records.write(&turns).await.expect_err("turn 13 fails");
        histories.store(name(1), history()).await.expect("stored");
        records.write(&[turn("b", 0)]).await.expect("written");
        let (_copy, found) = as_if_killed(&place).await;
        assert_eq!(found.find_history(&name(1)).await.expect("answers"), Some(history()), "{how}");
        let events = found.due("acme", later(), 99).await.expect("answers");
        let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
        assert_eq!(ids, ["b:turn:0"], "{how}: all or nothing");
    }
}

/// The note that a key is lent is written before the history: left in an open transaction, the next one would commit it, and
/// the next start would make a key void that an agent may hold.
#[tokio::test]
async fn what_a_failed_transaction_began_is_committed_by_no_later_one() {
    let place = Folder::new("begun");
    let database = place.database().await;
    let histories = database.histories(DAY.into());
    histories.store(name(1), history()).await.expect("stored");
    assert_eq!(histories.lend(name(1), history()).await, Err(StoreFailed), "a name is used once");
    histories.store(name(2), history()).await.expect("stored");
    let (_copy, found) = as_if_killed(&place).await;
    assert_eq!(found.void_lent().await.expect("answers"), 0);
    for n in [1, 2] {
        assert_eq!(found.find_history(&name(n)).await.expect("answers"), Some(history()), "{n}");
    }
}

#[tokio::test]
async fn what_is_told_as_written_is_in_the_files_by_then() {
    let place = Folder::new("told");
    let database = place.database().await;
    database.histories(DAY.into()).store(name(1), history()).await.expect("stored");
    let (_copy, found) = as_if_killed(&place).await;
    assert!(found.find_history(&name(1)).await.expect("answers").is_some());
    database.histories(DAY.into()).void(name(1)).await.expect("made void");
    let (_copy, found) = as_if_killed(&place).await;
    assert!(found.find_history(&name(1)).await.expect("answers").is_none());
    let write = NotedWrite { contact_id: "c".into(), names: vec!["topic".into()] };
    database.write_notes("acme").note(write.clone()).await.expect("noted");
    let (_copy, found) = as_if_killed(&place).await;
    assert_eq!(found.writes_in_flight("acme").await.expect("answers"), [write]);
}

/// A power cut takes what was not synchronised. No test can cut the power; it can ask every connection that will write.
#[tokio::test]
async fn every_connection_that_writes_synchronises_each_commit_and_overwrites_what_it_deletes() {
    let place = Folder::new("pragmas");
    let database = place.database().await;
    for which in ["the first", "the one after a failure"] {
        let mut transaction = database.database.sqlite().begin().await.expect("begun");
        for (pragma, value) in [("synchronous", "2"), ("journal_mode", "wal"), ("secure_delete", "1")] {
            let query = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT CAST({pragma} AS TEXT) FROM pragma_{pragma}")));
            let row = query.fetch_one(transaction.connection()).await.expect("answers");
            assert_eq!(row.try_get::<String, _>(0).expect("a text"), value, "{which}: {pragma}");
        }
        // Dropped without a commit: it is thrown away.
    }
}

/// Something deletes each history as it is committed: told as stored, its key would lead an agent to nothing.
#[tokio::test]
async fn what_cannot_be_read_back_is_not_told_as_stored() {
    let place = Folder::new("unread");
    let database = place.database().await;
    let trigger = "CREATE TRIGGER gone AFTER INSERT ON session_histories
        BEGIN DELETE FROM session_histories WHERE filed_as = new.filed_as; END";
    alter(&database, trigger).await;
    let histories = database.histories(DAY.into());
    assert_eq!(histories.store(name(1), history()).await, Err(StoreFailed));
    assert_eq!(histories.lend(name(2), history()).await, Err(StoreFailed));
}

/// The file goes while a transaction is open: what is committed then lies where nobody looks.
#[tokio::test]
async fn what_was_committed_into_a_file_without_a_name_is_not_told_as_written() {
    for suffix in ["", "-wal"] {
        let place = Folder::new(&format!("nameless{suffix}"));
        let database = place.database().await;
        let transaction = database.database.sqlite().begin().await.expect("begun");
        std::fs::remove_file(place.file(suffix)).expect("there");
        assert!(matches!(transaction.commit().await, Err(Trouble::Replaced)), "bellhop.db{suffix}");
        database.histories(DAY.into()).store(name(1), history()).await.expect("stored");
        let found = place.database().await.find_history(&name(1)).await;
        assert_eq!(found.expect("answers"), Some(history()), "bellhop.db{suffix}");
    }
}

/// A write hangs, as on a disk that does not answer, and it has the turn: SQLite's own limit for locks does not help here.
#[tokio::test]
async fn nobody_waits_longer_for_their_turn_than_a_write_may_take() {
    let place = Folder::new("turn");
    let database = place.database().await;
    let (histories, records, notes) = (database.histories(DAY.into()), &database, database.write_notes("acme"));
    let hangs = database.database.sqlite().begin().await.expect("begun");
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let write = NotedWrite { contact_id: "c".into(), names: vec![] };
    let turns = [turn("a", 0)];
    let change = [Change::Delivered { id: "a:turn:0".into() }];
    let gone = ["c".to_owned()];
    let all = async {
        tokio::join!(
            async { assert_eq!(histories.store(name(1), history()).await, Err(StoreFailed)) },
            async { assert_eq!(histories.lend(name(2), history()).await, Err(StoreFailed)) },
            async { assert_eq!(histories.earned(name(2)).await, Err(StoreFailed)) },
            async { assert_eq!(histories.void(name(2)).await, Err(StoreFailed)) },
            async { assert_eq!(notes.note(write).await, Err(StoreFailed)) },
            async { assert_eq!(notes.settled("c".into()).await, Err(StoreFailed)) },
            async { assert!(records.write(&turns).await.is_err_and(|why| why.may_pass())) },
            async { assert!(records.settle(&change).await.is_err()) },
            async { assert!(records.recordings_gone(&gone).await.is_err()) },
            async { assert!(records.forget("+1", None).await.is_err()) },
            async { assert!(records.sweep().await.is_err()) },
            async { assert!(database.void_lent().await.is_err()) },
        )
    };
    tokio::time::timeout(WRITE_MAX + Duration::from_millis(1), all).await.expect("everybody is told in time");
    assert!(began.elapsed() >= WRITE_MAX, "they did wait for it");
    tokio::time::resume();
    drop(hangs);
    histories.store(name(1), history()).await.expect("stored");
}
