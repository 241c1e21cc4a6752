//! The database as a whole: what is stored, what is found, and what is left when the disk says no.

use std::path::PathBuf;
use std::time::Instant;

use bellhop_call::record::{CallRecord, EndReason, Opening};
use bellhop_connect::SessionHistoryKey;
use bellhop_connect::ports::{NotedWrite, WriteNotes};
use bellhop_dialogue::call_facts::CallFacts;
use serde_json::{Value, json};
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

use super::*;

mod durability;

/// A folder of its own with a database in it, gone with this.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("bellhop-database-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    fn url(&self) -> String {
        format!("sqlite://{}", self.file("").display())
    }

    fn file(&self, suffix: &str) -> PathBuf {
        self.0.join(format!("bellhop.db{suffix}"))
    }

    async fn open(&self) -> Database {
        Database::open(&self.url()).await.expect("opens")
    }

    /// Somebody else's connection: it sees what is committed, and can lock everybody out.
    async fn stranger(&self) -> SqliteConnection {
        SqliteConnection::connect(&self.url()).await.expect("connects")
    }

    /// Whether these bytes lie anywhere on the disk.
    fn holds(&self, text: &str) -> bool {
        ["", "-wal"].iter().any(|suffix| {
            let bytes = std::fs::read(self.file(suffix)).unwrap_or_default();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn of(tenant: &str) -> Wanted {
    Wanted { tenant: Some(tenant.to_owned()), ..Wanted::default() }
}

/// The database takes no page more, as a full disk takes none.
async fn fill(database: &Database) {
    let full = database
        .connections
        .maintain(async |connection| sqlx::raw_sql("PRAGMA max_page_count = 1").execute(connection).await.map(drop));
    full.await.expect("set");
}

fn long_history() -> History {
    History { tenant: "acme".into(), json: json!({"caller": "+1", "words": "x".repeat(20_000)}).to_string() }
}

fn name(byte: u8) -> FiledAs {
    SessionHistoryKey::from_random([byte; 20]).filed_as()
}

fn history() -> History {
    History { tenant: "acme".into(), json: "{}".into() }
}

#[tokio::test]
async fn what_is_stored_is_found_after_reopening() {
    let path = std::env::temp_dir().join(format!("bellhop-test-{}.db", std::process::id()));
    let url = format!("sqlite://{}", path.display());
    let store = Database::open(&url).await.expect("opens").histories(Duration::from_secs(60));
    store.store(name(1), history()).await.expect("stored");
    assert_eq!(store.store(name(1), history()).await, Err(StoreFailed), "a name is used once");
    drop(store);
    let store = Database::open(&url).await.expect("opens again").histories(Duration::from_secs(60));
    assert_eq!(store.find(&name(1)).await.expect("answers"), Some(history()));
    assert_eq!(store.find(&name(2)).await.expect("answers"), None);
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
    }
}

#[tokio::test]
async fn what_has_expired_is_gone() {
    let database = Database::open("sqlite::memory:").await.expect("opens");
    let store = database.histories(Duration::ZERO);
    store.store(name(1), history()).await.expect("stored");
    assert_eq!(store.find(&name(1)).await.expect("answers"), None);
    assert_eq!(database.records().sweep().await.expect("sweeps").histories, 1);
}

#[tokio::test]
async fn a_place_that_is_none_is_one_sentence() {
    let error = Database::open("sqlite:///nowhere/at/all.db").await.expect_err("no such folder");
    assert!(error.to_string().starts_with("the database sqlite:///nowhere/at/all.db cannot be opened"), "{error}");
}

/// `bellhop calls` in the wrong folder must not answer "no calls" from a database that it made itself.
#[tokio::test]
async fn a_database_that_is_only_asked_is_never_made() {
    let path = std::env::temp_dir().join(format!("bellhop-asked-{}.db", std::process::id()));
    let error = Database::open_existing(&format!("sqlite://{}", path.display())).await.expect_err("nothing is there");
    assert!(error.to_string().contains("cannot be opened"), "{error}");
    assert!(!path.exists());
}

fn call(session: &str, caller: &str, keep: Duration) -> Entry {
    let facts = CallFacts { caller: caller.into(), sip_call_id: format!("sip-{session}"), ..CallFacts::default() };
    let opening = Opening {
        session: session.into(),
        call: format!("c-{session}"),
        tenant: "acme".into(),
        facts,
        ..Opening::default()
    };
    let now = Instant::now();
    let mut record = CallRecord::open(opening, now);
    record.close(now, EndReason::CallerHangup, None);
    Entry::Call { record: Box::new(record), keep, told: true }
}

fn turn(session: &str, n: u32) -> Entry {
    let caller = if session == "b" { "+12065550199" } else { "+12065550100" };
    let (tenant, session, caller) = ("acme".into(), session.into(), caller.into());
    Entry::Turn { tenant, session, caller, log: json!({"turn": n, "request": "words"}) }
}

const DAY: Duration = Duration::from_secs(86_400);

async fn records() -> (Database, SqliteRecords) {
    let database = Database::open("sqlite::memory:").await.expect("opens");
    let records = database.records();
    (database, records)
}

fn later() -> i64 {
    (unix_now() + 1) * 1000
}

#[tokio::test]
async fn a_call_is_found_by_each_of_its_names_until_it_expires() {
    let (_database, records) = records().await;
    let waiting = records.write(&[call("a", "+15550001", DAY), call("b", "+15550002", Duration::ZERO)]).await;
    assert_eq!(waiting.expect("written").waiting, ["acme"]);
    for name in ["a", "c-a", "sip-a"] {
        assert_eq!(records.find(name).await.expect("answers").expect("is there").session, "a", "{name}");
    }
    assert!(records.find("b").await.expect("answers").is_none(), "it was not to be kept");
    assert_eq!(records.latest(&of("acme"), 5).await.expect("answers").len(), 1);
    assert_eq!(records.latest(&of("other"), 5).await.expect("answers").len(), 0);
    assert_eq!(records.due("acme", later(), 9).await.expect("answers").len(), 2, "both are told");
}

#[tokio::test]
async fn events_wait_in_order_until_they_are_delivered_and_are_never_doubled() {
    let (_database, records) = records().await;
    records.write(&[turn("a", 0), turn("a", 1)]).await.expect("written");
    records.write(&[turn("a", 1), call("a", "+1", DAY)]).await.expect("written");
    let due = records.due("acme", later(), 9).await.expect("answers");
    let ids: Vec<&str> = due.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids, ["a:turn:0", "a:turn:1", "a:cdr"]);
    let body: Value = serde_json::from_str(&due[2].body).expect("JSON");
    assert_eq!(body["event"], json!({"name": "cdr_logged", "id": "a:cdr"}));
    assert_eq!(body["payload"]["global_session_id"], "a");
    let later_on = Change::Postponed { id: "a:turn:1".into(), due_unix_ms: later() + 60_000 };
    records.settle(&[Change::Delivered { id: "a:turn:0".into() }, later_on]).await.expect("written");
    let due = records.due("acme", later(), 9).await.expect("answers");
    assert_eq!(due.iter().map(|event| event.id.as_str()).collect::<Vec<_>>(), ["a:cdr"]);
    records.settle(&[Change::Delivered { id: "a:cdr".into() }]).await.expect("gone");
    assert_eq!(records.next_due("acme").await.expect("answers"), Some(later() + 60_000));
    let due = records.due("acme", later() + 60_000, 9).await.expect("answers");
    assert_eq!(due[0].attempts, 1);
}

#[tokio::test]
async fn a_caller_is_forgotten_everywhere_and_nobody_else_is() {
    let (database, records) = records().await;
    let entries = [call("a", "+12065550100", DAY), turn("a", 0), call("b", "+12065550199", DAY), turn("b", 0)];
    records.write(&entries).await.expect("written");
    let histories = database.histories(DAY);
    for (n, caller) in [(1, "+12065550100"), (2, "+12065550199")] {
        let history = History { tenant: "acme".into(), json: json!({"caller": caller}).to_string() };
        let name = SessionHistoryKey::from_random([n; 20]).filed_as();
        histories.store(name, history).await.expect("stored");
    }
    let nothing = Forgotten { log_emptied: true, ..Forgotten::default() };
    assert_eq!(records.forget("+1 206 555-0100", Some("other")).await.expect("answers"), nothing);
    assert_eq!(records.calls_of("+1 206 555-0100", None).await.expect("answers"), ["c-a"]);
    let gone = records.forget("+1 206 555-0100", None).await.expect("answers");
    assert_eq!(gone, Forgotten { records: 1, histories: 1, events: 2, log_emptied: true });
    let left: Vec<String> =
        records.due("acme", later(), 9).await.expect("answers").into_iter().map(|event| event.id).collect();
    assert_eq!(left, ["b:cdr", "b:turn:0"]);
    assert!(records.find("b").await.expect("answers").is_some());
}

#[tokio::test]
async fn what_has_expired_is_swept() {
    let (_database, records) = records().await;
    records.write(&[call("a", "+1", DAY)]).await.expect("written");
    assert_eq!(records.sweep().await.expect("sweeps"), Swept::default());
    for table in ["call_records", "log_events"] {
        let query = format!("UPDATE {table} SET expires_unix = 1");
        let mut transaction = records.connections.begin().await.expect("begun");
        sqlx::query(sqlx::AssertSqlSafe(query)).execute(transaction.connection()).await.expect("set");
        transaction.commit().await.expect("set");
    }
    assert!(records.find("a").await.expect("answers").is_none());
    assert_eq!(records.sweep().await.expect("sweeps"), Swept { records: 1, events: 1, ..Swept::default() });
}

/// SQLite rolls a transaction back by itself when the disk is full; what comes later must not land in what is left of it.
#[tokio::test]
async fn after_a_full_disk_what_is_stored_is_committed() {
    let place = Place::new("full");
    let database = place.open().await;
    let (records, histories) = (database.records(), database.histories(DAY));
    fill(&database).await;
    let many: Vec<Entry> = (0..200).map(|n| turn("a", n)).collect();
    assert!(records.write(&many).await.is_err_and(|why| why.may_pass()), "full");
    fill(&database).await;
    assert_eq!(histories.store(name(1), long_history()).await, Err(StoreFailed), "full");
    assert!(histories.is_ready().await, "the disk has place again: it is tried");
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
    let place = Place::new("read-only");
    let database = place.open().await;
    let read_only = database
        .connections
        .maintain(async |connection| sqlx::raw_sql("PRAGMA query_only = ON").execute(connection).await.map(drop));
    read_only.await.expect("set");
    let histories = database.histories(DAY);
    assert_eq!(histories.store(name(1), history()).await, Err(StoreFailed));
    histories.store(name(1), history()).await.expect("stored");
    assert_eq!(histories.find(&name(1)).await.expect("answers"), Some(history()));
    histories.void(name(1)).await.expect("made void");
    assert_eq!(histories.find(&name(1)).await.expect("answers"), None);
}

#[tokio::test]
async fn a_history_that_was_dropped_half_way_leaves_no_transaction_open() {
    let place = Place::new("dropped");
    let database = place.open().await;
    let mut stranger = place.stranger().await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut stranger).await.expect("locked");
    let histories = database.histories(DAY);
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
    let place = Place::new("nothing");
    let database = place.open().await;
    let mut stranger = place.stranger().await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut stranger).await.expect("locked");
    assert!(database.records().write(&[]).await.is_ok());
}

#[tokio::test]
async fn a_locked_database_is_told_in_time_and_stores_again_once_it_is_free() {
    let place = Place::new("locked");
    let database = place.open().await;
    let mut stranger = place.stranger().await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut stranger).await.expect("locked");
    let began = Instant::now();
    let histories = database.histories(DAY);
    assert_eq!(histories.store(name(1), history()).await, Err(StoreFailed));
    assert!(began.elapsed() <= WRITE_MAX + Duration::from_secs(1));
    assert!(!histories.is_ready().await, "nothing can be stored");
    assert_eq!(histories.find(&name(1)).await.expect("it can be read"), None);
    sqlx::raw_sql("ROLLBACK").execute(&mut stranger).await.expect("free");
    assert!(histories.is_ready().await);
    histories.store(name(1), history()).await.expect("stored");
}

#[tokio::test]
async fn a_database_that_was_deleted_or_replaced_is_opened_anew() {
    let place = Place::new("replaced");
    let database = place.open().await;
    let histories = database.histories(DAY);
    histories.store(name(1), history()).await.expect("stored");
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(place.file(suffix));
    }
    histories.store(name(2), history()).await.expect("stored");
    assert_eq!(histories.find(&name(2)).await.expect("answers"), Some(history()));
    assert_eq!(histories.find(&name(1)).await.expect("answers"), None, "that file is gone");
    drop((database, histories));
    let again = place.open().await.histories(DAY);
    assert_eq!(again.find(&name(2)).await.expect("answers"), Some(history()), "it lies where the next start looks");
}

/// What was committed into a log that has lost its name would be gone with this process.
#[tokio::test]
async fn a_log_that_was_deleted_loses_no_later_history() {
    let place = Place::new("log");
    let database = place.open().await;
    let histories = database.histories(DAY);
    histories.store(name(1), history()).await.expect("stored");
    std::fs::remove_file(place.file("-wal")).expect("there");
    histories.store(name(2), history()).await.expect("stored");
    let mut stranger = place.stranger().await;
    let count = sqlx::query("SELECT count(*) FROM session_histories").fetch_one(&mut stranger).await;
    assert_eq!(count.and_then(|row| row.try_get::<i64, _>(0)).expect("answers"), 2);
}

#[tokio::test]
async fn what_was_forgotten_or_has_expired_lies_nowhere_on_the_disk() {
    let place = Place::new("forgotten");
    let database = place.open().await;
    let records = database.records();
    for (session, caller) in [("s-forgotten", "+12065550100"), ("s-expired", "+12065550199")] {
        let Entry::Turn { tenant, .. } = turn(session, 0) else { unreachable!("a turn") };
        let log = json!({"turn": 0, "words": format!("secret words of {session}")});
        let turn = Entry::Turn { tenant, session: session.into(), caller: caller.into(), log };
        records.write(&[call(session, caller, DAY), turn]).await.expect("written");
    }
    let history =
        History { tenant: "acme".into(), json: json!({"caller": "+12065550100", "a": "secret history"}).to_string() };
    database.histories(DAY).store(name(1), history).await.expect("stored");
    assert!(place.holds("secret words of s-forgotten") && place.holds("secret history"));
    assert!(records.forget("12065550100", None).await.expect("answers").log_emptied);
    for gone in ["secret words of s-forgotten", "secret history", "c-s-forgotten", "+12065550100"] {
        assert!(!place.holds(gone), "{gone}");
    }
    assert!(place.holds("secret words of s-expired"));
    for table in ["call_records", "log_events"] {
        let query = format!("UPDATE {table} SET expires_unix = 1");
        let mut transaction = records.connections.begin().await.expect("begun");
        sqlx::query(sqlx::AssertSqlSafe(query)).execute(transaction.connection()).await.expect("set");
        transaction.commit().await.expect("set");
    }
    records.sweep().await.expect("sweeps");
    assert!(!place.holds("s-expired"), "expiry is no less thorough");
}

#[tokio::test]
async fn space_is_given_back_to_the_file_system() {
    let place = Place::new("space");
    let database = place.open().await;
    let records = database.records();
    let log = |n: u32| json!({"turn": n, "words": "x".repeat(20_000)});
    let turns: Vec<Entry> = (0..200)
        .map(|n| Entry::Turn { tenant: "acme".into(), session: "a".into(), caller: "+12065550100".into(), log: log(n) })
        .collect();
    records.write(&turns).await.expect("written");
    let length = |suffix| std::fs::metadata(place.file(suffix)).map_or(0, |file| file.len());
    let before = length("") + length("-wal");
    records.forget("+12065550100", None).await.expect("answers");
    assert!(before > 4_000_000 && length("") + length("-wal") < 200_000, "{before} {} {}", length(""), length("-wal"));
}

#[tokio::test]
async fn a_receiver_that_never_comes_keeps_only_its_latest_events_and_nobody_elses_go() {
    let (_database, records) = records().await;
    records.write(&[turn("b", 7)]).await.expect("written");
    let big = |tenant: &str, n: u32| Entry::Turn {
        tenant: tenant.into(),
        session: "a".into(),
        caller: "+1".into(),
        log: json!({"turn": n, "words": "x".repeat(3 << 20)}),
    };
    let mut dropped = 0;
    for n in 0..25 {
        let written = records.write(&[big("dead", n)]).await.expect("written");
        dropped += written.dropped.iter().map(|dropped| dropped.events).sum::<u64>();
        assert!(written.dropped.iter().all(|dropped| dropped.tenant == "dead"));
    }
    let due = records.due("dead", later(), 99).await.expect("answers");
    let bytes: usize = due.iter().map(|event| event.body.len()).sum();
    assert!(bytes as i64 <= SPOOL_BYTES_MAX && dropped == 25 - due.len() as u64 && dropped > 0, "{bytes} {dropped}");
    assert_eq!(due.last().map(|event| event.id.as_str()), Some("a:turn:24"), "the oldest made place");
    assert_eq!(records.due("acme", later(), 9).await.expect("answers").len(), 1);
}

#[tokio::test]
async fn calls_of_a_server_that_died_are_found_by_the_next_one_and_no_others() {
    let place = Place::new("lost");
    let opening = |session: &str| {
        let facts = CallFacts { caller: "+12065550100".into(), ..CallFacts::default() };
        Box::new(Opening {
            session: session.into(),
            call: format!("c-{session}"),
            tenant: "acme".into(),
            facts,
            ..Opening::default()
        })
    };
    {
        let records = place.open().await.records();
        let began = ["over", "up"].map(|session| Entry::Began { opening: opening(session), recorded: session == "up" });
        records.write(&began).await.expect("written");
        records.write(&[call("over", "+12065550100", DAY)]).await.expect("written");
        assert!(records.left_behind().await.expect("answers").is_empty(), "they are its own");
    }
    let records = place.open().await.records();
    records.write(&[Entry::Began { opening: opening("mine"), recorded: false }]).await.expect("written");
    let lost = records.left_behind().await.expect("answers");
    assert_eq!(lost.iter().map(|call| call.session.as_str()).collect::<Vec<_>>(), ["up"]);
    assert_eq!(lost[0].opening, *opening("up"));
    let record = Box::new(CallRecord::lost(lost[0].opening.clone(), Instant::now()));
    records.write(&[Entry::Call { record, keep: DAY, told: false }]).await.expect("written");
    assert!(records.left_behind().await.expect("answers").is_empty());
    let details = records.find("up").await.expect("answers").expect("is listed").details;
    assert!(details.contains("lost: the server ended"), "{details}");
    assert_eq!(records.under_way("c-mine").await.expect("answers").map(|call| call.session), Some("mine".into()));
    assert_eq!(records.calls_of("+1 206-555-0100", None).await.expect("answers"), ["c-mine", "c-over", "c-up"]);
}

#[tokio::test]
async fn a_write_that_was_in_flight_is_found_by_the_next_server_until_it_is_settled() {
    let place = Place::new("flight");
    let write = |contact: &str| NotedWrite {
        contact_id: contact.into(),
        names: vec!["topic".into(), "SessionHistoryKey".into()],
    };
    {
        let notes = place.open().await.in_flight("acme");
        let refused = notes.note(write("refused")).await.expect("noted");
        for contact in ["landed", "lost", "blanked"] {
            notes.note(write(contact)).await.expect("noted");
        }
        notes.nothing_written(refused).await.expect("struck out");
        notes.settled("landed".into()).await.expect("struck out");
        assert!(notes.left_behind().await.expect("answers").is_empty(), "they are its own");
    }
    let database = place.open().await;
    assert!(database.in_flight("other").left_behind().await.expect("answers").is_empty());
    let notes = database.in_flight("acme");
    assert_eq!(notes.left_behind().await.expect("answers"), [write("lost"), write("blanked")]);
    notes.settled("blanked".into()).await.expect("struck out");
    assert_eq!(notes.left_behind().await.expect("answers"), [write("lost")]);
}

#[tokio::test]
async fn a_key_that_was_given_away_is_void_for_the_next_server_unless_it_was_earned() {
    let place = Place::new("lent");
    {
        let histories = place.open().await.histories(DAY);
        for n in [1, 2, 3] {
            histories.lend(name(n), history()).await.expect("stored");
        }
        histories.store(name(4), history()).await.expect("stored");
        histories.earned(name(2)).await.expect("noted");
        histories.void(name(3)).await.expect("void");
        assert_eq!(histories.void_left_behind().await.expect("answers"), 0, "they are its own");
    }
    let histories = place.open().await.histories(DAY);
    assert_eq!(histories.void_left_behind().await.expect("answers"), 1);
    for (n, is_there) in [(1, false), (2, true), (3, false), (4, true)] {
        assert_eq!(histories.find(&name(n)).await.expect("answers").is_some(), is_there, "{n}");
    }
    assert_eq!(histories.void_left_behind().await.expect("answers"), 0);
}

/// A database of the version before this one, as it made it.
#[tokio::test]
async fn a_former_database_is_given_its_shape_and_keeps_what_it_has() {
    let place = Place::new("former");
    std::fs::File::create(place.file("")).expect("a file");
    let mut former = place.stranger().await;
    let tables = "CREATE TABLE session_histories (filed_as TEXT PRIMARY KEY NOT NULL, tenant TEXT NOT NULL,
            json TEXT NOT NULL, expires_unix INTEGER NOT NULL) STRICT;
        CREATE TABLE log_events (id TEXT PRIMARY KEY NOT NULL, tenant TEXT NOT NULL, session TEXT NOT NULL,
            caller TEXT NOT NULL, body TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
            due_unix_ms INTEGER NOT NULL, expires_unix INTEGER NOT NULL) STRICT;
        INSERT INTO log_events VALUES ('e', 'acme', 's', '+1', '12345', 0, 0, 9999999999)";
    sqlx::raw_sql(tables).execute(&mut former).await.expect("made");
    former.close().await.expect("closed");
    let database = place.open().await;
    assert_eq!(database.records().due("acme", later(), 9).await.expect("answers").len(), 1);
    database.histories(DAY).store(name(1), history()).await.expect("stored");
    let mut stranger = place.stranger().await;
    let spool =
        sqlx::query("SELECT events, bytes FROM log_spools WHERE tenant = 'acme'").fetch_one(&mut stranger).await;
    let spool = spool.and_then(|row| Ok((row.try_get::<i64, _>(0)?, row.try_get::<i64, _>(1)?)));
    assert_eq!(spool.expect("counted"), (1, 5));
    let mode =
        sqlx::query("PRAGMA auto_vacuum").fetch_one(&mut stranger).await.and_then(|row| row.try_get::<i64, _>(0));
    assert_eq!(mode.expect("answers"), 2, "it can shrink");
    sqlx::raw_sql("PRAGMA user_version = 99").execute(&mut stranger).await.expect("set");
    drop(database);
    let why = Database::open(&place.url()).await.expect_err("a later version's").to_string();
    assert!(why.contains("made by a later version of Bellhop (its version is 99)"), "{why}");
}

#[tokio::test]
async fn a_database_has_one_server_and_the_second_is_told() {
    let place = Place::new("claim");
    let (one, other) = (place.open().await, place.open().await);
    let claim = one.claim().expect("nobody has it");
    let why = other.claim().expect_err("taken").to_string();
    assert_eq!(why, format!("another server uses this database (process {})", std::process::id()));
    drop(claim);
    other.claim().expect("it is free again");
}
