//! Databases of former, present and later programs, and of two programs that start at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier};

use bellhop_call::figures::Slot;
use bellhop_call::ports::{CallRecords, CallsUnderWay, LogEvents, Retention};
use bellhop_connect::ports::{FiledHistories, HandoffsLeftBehind, NotedWrite};

use sqlx::Row;

use super::*;
use crate::storage::SqlStore;
use crate::storage::Store;
use crate::storage::places::Folder;
use crate::storage::suite::{DAY, NEW_YEAR, first, history, later, name};

/// The digests of what was released. A migration that is edited would give new databases another shape than those that have it
/// already: write one more instead, and add its digest here.
const RELEASED: [(&str, &str); 12] = [
    (
        "cc29b328489611cb11d6af39957cf0c6efc87221d38f105e37cfa5d987f1dab6",
        "70b9fb12d2466b274c812eb9a20c532333897ddba47437d287b15f3619af9949",
    ),
    (
        "8a015e344e1a014fc217df392ce050bc8ec51a7525bcf70b2aff9539ef40a1cc",
        "68636c86c2c676f43a8bd4044d29491c26964140c9d2756aeeeff6366a484c0c",
    ),
    (
        "2cc84a115e776a527289a64d3426dcd469232ed11cb9678d842da04bc3387eab",
        "29414150387465fb75824f0173e09faf81232088660ad0489558b7788afe5ec1",
    ),
    (
        "eb7f71527a049e04f929d9b342820a50fdd18d27b6a38dc922d94290922ad790",
        "41660384dcd701ef6a4e4f89e7692ed423e2d402e8cce662697e26ced3d758b6",
    ),
    (
        "7de43a955c894bb76d971f974dcad669082af0e001078d5a56b87cb228e69bd7",
        "cc84cc3f230fa60e3e2140443b99c06517cb3a9d258bad4f6e083745c2dc72c8",
    ),
    (
        "c0c4333dc5c6c5ea45bfb713720eb7be54e82bcf10ca0c1e6f1617327f98b3f1",
        "1dfbf0846313836a6ed1109170a1c6cbd56d1dd28e2649e310e116c5a9d210ff",
    ),
    (
        "2b5eb7e687ccbac2449285335f4898fe33809eb9eea58a329eaa6953d92efdbc",
        "1087a46e428895824e82146e682f0300b1d5feb9bdc533b1abfb94db56699fd4",
    ),
    (
        "2cb0a7b0047ed6507a82cdadf1ca67a882e606e5875a6e6ca43154f626a856c3",
        "3c66badd22a058411b50585a6ff4c577a841283de96f1ddef14fcc0efcf90397",
    ),
    (
        "c774b68cb9ff259f03bf13174eedf15b14612607b02a6f400e4631046f18e14b",
        "25e6dbfa5e7f8e21a703a89b42b29311213186120d6dd346db2b18dfb3a46762",
    ),
    (
        "8951c9b04ec9552cb46ae641804344db26b98528de92ac13a92beb5367c4e8a9",
        "6b5285d31d5d98ca87bc83820e277be7b22eedca76260e94d2cfce0ef9596a4e",
    ),
    (
        "5a676c4ad053ab7d67bb258c64fa40cb0c5183e6694d9020529bea53bb31f1fc",
        "087cfa5e516069922a1d9422a61f9a4240f9cea4bcb6158da7107cd337ca44ed",
    ),
    (
        "678042b8750a690533f7b7bbfc0f4c10cfc3c22b1de4a64bed50b2b5db14a3b9",
        "678042b8750a690533f7b7bbfc0f4c10cfc3c22b1de4a64bed50b2b5db14a3b9",
    ),
];

/// A later program's migration: a table more.
const LATER: Migration = Migration {
    number: MIGRATIONS.len() as i64 + 1,
    name: "9999_later",
    sqlite: "CREATE TABLE later (id INTEGER) STRICT",
    postgres: "CREATE TABLE later (id BIGINT)",
};

#[test]
fn what_was_released_is_never_edited_and_every_file_is_applied() {
    for database in ["sqlite", "postgres"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("storage/migrations").join(database);
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .expect("a folder")
            .map(|file| file.expect("readable").file_name().to_string_lossy().into_owned())
            .collect();
        files.sort();
        let names: Vec<String> = MIGRATIONS.iter().map(|migration| format!("{}.sql", migration.name)).collect();
        assert_eq!(names, files, "{database}");
    }
    for (n, migration) in (1..).zip(MIGRATIONS) {
        assert_eq!(migration.number, n);
        assert!(migration.name.starts_with(&format!("{n:04}_")), "{}", migration.name);
    }
    let digests = MIGRATIONS.iter().map(|migration| (digest(migration.sqlite), digest(migration.postgres)));
    let released = RELEASED.map(|(sqlite, postgres)| (sqlite.to_owned(), postgres.to_owned()));
    assert_eq!(digests.collect::<Vec<_>>(), released);
}

/// Databases of former programs, with rows in every table: of one that wrote its version down and no migrations, and of one that
/// wrote two migrations down.
const FORMER: [&str; 2] = ["sqlite_version_2", "sqlite_migrations_2"];

fn of_version_2(name: &str) -> Folder {
    former(FORMER[0], name)
}

fn former(fixture: &str, name: &str) -> Folder {
    let place = Folder::new(name);
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/databases").join(fixture).with_extension("db");
    std::fs::copy(fixture, place.file("")).expect("copied");
    place
}

/// How many rows each table has, but the one that migrations are written down in.
async fn rows(place: &Folder) -> BTreeMap<String, i64> {
    let mut stranger = place.stranger().await;
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('schema_migrations')";
    let mut rows = BTreeMap::new();
    for table in sqlx::query(tables).fetch_all(&mut stranger).await.expect("answers") {
        let table: String = table.try_get(0).expect("a name");
        let count = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}")));
        rows.insert(table, count.fetch_one(&mut stranger).await.and_then(|row| row.try_get(0)).expect("answers"));
    }
    rows
}

/// Numbers and names of what is written down.
async fn written_down(place: &Folder) -> Vec<(i64, String)> {
    let query = "SELECT number, name FROM schema_migrations ORDER BY number";
    let rows = sqlx::query(query).fetch_all(&mut place.stranger().await).await.expect("answers");
    rows.iter().map(|row| (row.try_get(0).expect("a number"), row.try_get(1).expect("a name"))).collect()
}

fn all() -> Vec<(i64, String)> {
    MIGRATIONS.iter().map(|migration| (migration.number, migration.name.to_owned())).collect()
}

#[tokio::test]
async fn a_database_of_a_former_program_opens_and_keeps_what_it_has() {
    for fixture in FORMER {
        keeps_what_it_has(&former(fixture, fixture)).await;
    }
}

async fn keeps_what_it_has(place: &Folder) {
    let before = rows(place).await;
    assert!(before.len() == 9 && before.values().all(|rows| *rows > 0), "{before:?}");
    for start in ["the first", "the second"] {
        let database = place.database().await;
        let after = rows(place).await;
        assert!(before.iter().all(|(table, rows)| after.get(table) == Some(rows)), "{start} start: {after:?}");
        assert_eq!(written_down(place).await, all(), "{start} start");
        for (n, words) in [(1, "history 1"), (2, "history 2")] {
            let found = database.find_history(&name(n)).await.expect("answers").expect("is kept");
            assert!(found.json.contains(words), "{}", found.json);
        }
        let call = database.find_call("sip-over").await.expect("answers").expect("is kept");
        assert_eq!((&*call.session, &*call.caller), ("over", "+12065550100"));
        assert_eq!(database.due("acme", later(), 9).await.expect("answers").len(), 3);
        let up = database.calls_left_behind().await.expect("answers");
        assert_eq!(up.iter().map(|call| &*call.session).collect::<Vec<_>>(), ["up"]);
        assert_eq!(database.calls_of("+1 206 555 0100", None).await.expect("answers"), ["c-over", "c-up"]);
    }
    // A note is kept for a day: this one's day is over.
    let again = "UPDATE writes_in_flight SET noted_unix = unixepoch()";
    sqlx::raw_sql(again).execute(&mut place.stranger().await).await.expect("set");
    let database = place.database().await;
    let left = database.writes_in_flight("acme").await.expect("answers");
    let write = NotedWrite { contact_id: "contact".into(), names: vec!["topic".into(), "SessionHistoryKey".into()] };
    assert_eq!(left, [write]);
    assert_eq!(database.void_lent().await.expect("answers"), 1, "the triggers and notes are in force");
    database.histories(DAY.into()).store(name(3), history()).await.expect("stored");
}

/// As programs before the versions made it: some tables, and no number.
#[tokio::test]
async fn a_database_without_a_version_is_given_its_shape_and_keeps_what_it_has() {
    let place = Folder::new("former");
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
    let database = place.database().await;
    assert_eq!(database.due("acme", later(), 9).await.expect("answers").len(), 1);
    database.histories(DAY.into()).store(name(1), history()).await.expect("stored");
    let mut stranger = place.stranger().await;
    let spool =
        sqlx::query("SELECT events, bytes FROM log_spools WHERE tenant = 'acme'").fetch_one(&mut stranger).await;
    let spool = spool.and_then(|row| Ok((row.try_get::<i64, _>(0)?, row.try_get::<i64, _>(1)?)));
    assert_eq!(spool.expect("counted"), (1, 5));
    let mode =
        sqlx::query("PRAGMA auto_vacuum").fetch_one(&mut stranger).await.and_then(|row| row.try_get::<i64, _>(0));
    assert_eq!(mode.expect("answers"), 2, "it can shrink");
    assert_eq!(written_down(&place).await, all());
}

/// A record from before there were figures: two turns, of which one was waited for.
const OF_BEFORE: &str = r#"INSERT INTO call_records (session, call, sip_call_id, tenant, caller, began_unix_ms, expires_unix, details, timeline)
    VALUES ('a', 'c-a', 'sip-a', 'acme', '+1', 4102444800000, 9999999999, '{"failure_details": "drained", "call": {"milliseconds_elapsed": 1500,
    "end_reason": "failed"}, "assistant_interaction_summaries": [{"turns": [{"latency": {}}, {"latency": {"first_audio_milliseconds": 640}}]}]}', '[]')"#;

/// What [`OF_BEFORE`] is counted as.
async fn counts_what_was_before(database: &SqlStore) {
    let figures = database.figures(&first(Slot::Hour, 1, Some("acme"))).await.expect("answers");
    let [ended] = &figures.endings[..] else { panic!("{:?}", figures.endings) };
    let told = (ended.reason.as_str(), ended.failure.as_deref(), ended.calls, ended.milliseconds);
    assert_eq!(told, ("failed", Some("drained"), 1, 1_500));
    let waits = &figures.waits[&NEW_YEAR];
    assert_eq!((waits.turns(), waits.percentile(50)), (1, Some(std::time::Duration::from_millis(650))));
    assert_eq!(figures.at_once.and_then(|at_once| at_once.get(&NEW_YEAR).copied()), Some(1));
}

#[tokio::test]
async fn records_of_a_former_program_are_counted() {
    let place = Folder::new("former-figures");
    std::fs::File::create(place.file("")).expect("a file");
    let mut former = place.stranger().await;
    migrate(Connection::Sqlite(&mut former), &MIGRATIONS[..7]).await.expect("made");
    sqlx::raw_sql(OF_BEFORE).execute(&mut former).await.expect("written");
    former.close().await.expect("closed");
    counts_what_was_before(&place.database().await).await;
}

/// What lies in the folder.
fn files(place: &Folder) -> BTreeMap<PathBuf, Vec<u8>> {
    let folder = place.file("").parent().expect("a folder").to_owned();
    let files = std::fs::read_dir(folder).expect("readable").map(|file| file.expect("readable").path());
    files.map(|file| (file.clone(), std::fs::read(&file).expect("readable"))).collect()
}

#[tokio::test]
async fn a_database_of_a_later_program_is_refused_by_a_sentence_and_not_touched() {
    // As a later Bellhop leaves it, and as one does that keeps no table of migrations and no write-ahead log.
    for later in ["migrations", "number"] {
        let place = of_version_2(&format!("later-{later}"));
        let mut theirs = place.stranger().await;
        if later == "migrations" {
            migrate(Connection::Sqlite(&mut theirs), &[MIGRATIONS, &[LATER]].concat()).await.expect("migrated");
        } else {
            let number = format!("PRAGMA journal_mode = DELETE; PRAGMA user_version = {}", LATER.number);
            sqlx::raw_sql(sqlx::AssertSqlSafe(number)).execute(&mut theirs).await.expect("set");
        }
        theirs.close().await.expect("closed");
        let before = files(&place);
        for why in [SqlStore::open(&place.url(), None).await, SqlStore::open_existing(&place.url(), None).await] {
            let why = why.expect_err("a later program's").to_string();
            let sentence = format!(
                "the database {} cannot be opened: a later version of Bellhop made it (its shape is number {}, and this \
                 program knows {}): start that version or a later one, or name another database",
                place.url(),
                LATER.number,
                MIGRATIONS.len()
            );
            assert_eq!(why, sentence);
        }
        assert!(files(&place) == before, "{later}: it was touched: {:?}", files(&place).keys());
    }
}

#[tokio::test]
async fn a_database_whose_migration_has_the_number_and_not_the_text_is_refused() {
    let place = Folder::new("foreign");
    std::fs::File::create(place.file("")).expect("a file");
    let mut theirs = place.stranger().await;
    migrate(Connection::Sqlite(&mut theirs), &[MIGRATIONS[0], Migration { sqlite: LATER.sqlite, ..MIGRATIONS[1] }])
        .await
        .expect("migrated");
    theirs.close().await.expect("closed");
    let why = SqlStore::open(&place.url(), None).await.expect_err("another program's").to_string();
    assert!(why.contains("its migration number 2 is not this program's"), "{why}");
}

/// The disk is full in mid-migration, or the migration is wrong for what is there.
#[tokio::test]
async fn a_migration_that_fails_leaves_the_database_as_it_was() {
    let place = of_version_2("failed");
    let before = rows(&place).await;
    let broken = Migration {
        sqlite: "CREATE TABLE more (id INTEGER) STRICT; DELETE FROM call_records; DROP TABLE none",
        ..LATER
    };
    let mut theirs = place.stranger().await;
    migrate(Connection::Sqlite(&mut theirs), &[MIGRATIONS, &[broken]].concat())
        .await
        .expect_err("there is no such table");
    theirs.close().await.expect("closed");
    assert_eq!(rows(&place).await, before);
    let database = place.database().await;
    assert!(database.find_call("over").await.expect("answers").is_some());
    assert_eq!(written_down(&place).await, all());
}

/// A service manager starts the new one before the old one is gone; `bellhop calls` is asked meanwhile.
#[test]
fn programs_that_start_at_once_apply_each_migration_once() {
    const AT_ONCE: usize = 8;
    for round in 0..10 {
        let place = match round % 2 {
            0 => Folder::new(&format!("at-once-{round}")),
            _ => of_version_2(&format!("at-once-{round}")),
        };
        let start = Arc::new(Barrier::new(AT_ONCE));
        let programs: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                let (url, start) = (place.url(), Arc::clone(&start));
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                    start.wait();
                    let opened = runtime.expect("a runtime").block_on(SqlStore::open(&url, None));
                    opened.map(drop).map_err(|why| why.to_string())
                })
            })
            .collect();
        for program in programs {
            assert_eq!(program.join().expect("no panic"), Ok(()), "round {round}");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        assert_eq!(runtime.block_on(written_down(&place)), all(), "round {round}");
    }
}

mod postgres {
    //! The same of PostgreSQL.

    use super::*;
    use crate::storage::places::Tables;

    async fn written_down(place: &Tables) -> Vec<(i64, String)> {
        let query = "SELECT number, name FROM schema_migrations ORDER BY number";
        let rows = sqlx::query(query).fetch_all(&mut place.stranger().await).await.expect("answers");
        rows.iter().map(|row| (row.try_get(0).expect("a number"), row.try_get(1).expect("a name"))).collect()
    }

    /// The names of its tables, functions and triggers.
    fn what_is_there(place: &Tables) -> String {
        let database = place.url.rsplit('/').next().expect("a name");
        let all = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace UNION
            SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1";
        place.cluster.psql(database, all)
    }

    #[tokio::test]
    async fn a_database_that_is_only_asked_is_given_no_tables() {
        let place = Tables::new("asked");
        let why = SqlStore::open_existing(&place.url, None).await.expect_err("there is nothing").to_string();
        assert!(why.contains("it is not there: a server makes it"), "{why}");
        assert_eq!(what_is_there(&place), "");
        place.store().await;
        SqlStore::open_existing(&place.url, None).await.expect("a server made it");
        assert_eq!(written_down(&place).await, all());
    }

    #[tokio::test]
    async fn what_is_a_later_or_another_programs_is_refused_by_a_sentence() {
        let place = Tables::new("later");
        let mut theirs = place.stranger().await;
        migrate(Connection::Postgres(&mut theirs), &[MIGRATIONS, &[LATER]].concat()).await.expect("migrated");
        let why = SqlStore::open(&place.url, None).await.expect_err("a later program's").to_string();
        assert!(why.contains(&format!("its shape is number {}", LATER.number)), "{why}");
        let place = Tables::new("foreign");
        let mut theirs = place.stranger().await;
        let other = Migration { postgres: LATER.postgres, ..MIGRATIONS[1] };
        migrate(Connection::Postgres(&mut theirs), &[MIGRATIONS[0], other]).await.expect("migrated");
        let why = SqlStore::open(&place.url, None).await.expect_err("another program's").to_string();
        assert!(why.contains("its migration number 2 is not this program's"), "{why}");
    }

    #[tokio::test]
    async fn records_of_a_former_program_are_counted() {
        let place = Tables::new("former-figures");
        let mut former = place.stranger().await;
        migrate(Connection::Postgres(&mut former), &MIGRATIONS[..7]).await.expect("made");
        sqlx::raw_sql(OF_BEFORE).execute(&mut former).await.expect("written");
        drop(former);
        counts_what_was_before(&place.store().await).await;
    }

    #[tokio::test]
    async fn a_migration_that_fails_leaves_the_database_as_it_was() {
        let place = Tables::new("failed-migration");
        place.store().await;
        let before = what_is_there(&place);
        let broken = Migration { postgres: "CREATE TABLE more (id BIGINT); DROP TABLE none", ..LATER };
        let mut theirs = place.stranger().await;
        let all_of_them = [MIGRATIONS, &[broken]].concat();
        migrate(Connection::Postgres(&mut theirs), &all_of_them).await.expect_err("there is no such table");
        drop(theirs);
        assert_eq!(what_is_there(&place), before);
        place.store().await;
        assert_eq!(written_down(&place).await, all());
    }

    #[tokio::test]
    async fn programs_that_start_at_once_apply_each_migration_once() {
        let place = Tables::new("at-once");
        let start = || SqlStore::open(&place.url, None);
        let opened = tokio::join!(start(), start(), start(), start(), start(), start());
        let opened = [opened.0, opened.1, opened.2, opened.3, opened.4, opened.5];
        for one in opened {
            one.expect("opens");
        }
        assert_eq!(written_down(&place).await, all());
    }

    #[tokio::test]
    async fn a_database_that_cannot_hold_every_text_is_refused() {
        let place = Tables::new("latin");
        place.cluster.psql("postgres", "CREATE DATABASE latin1 ENCODING 'LATIN1' TEMPLATE template0 OWNER bellhop");
        let (server, _) = place.url.rsplit_once('/').expect("a path");
        let why = SqlStore::open(&format!("{server}/latin1"), None).await.expect_err("LATIN1").to_string();
        assert!(why.contains("its encoding is LATIN1: make one with ENCODING 'UTF8'"), "{why}");
    }
}
