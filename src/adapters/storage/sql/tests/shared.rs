//! The store in PostgreSQL, which several servers share and whose own server may go away: what every store promises, and what is
//! left when it says no.

use sqlx::{Executor, Row};

use super::*;
use crate::storage::Database;
use crate::storage::places::Tables;

promises!(Tables);

impl Tables {
    fn database_name(&self) -> &str {
        self.url.rsplit('/').next().expect("a name")
    }

    /// Whoever is connected is not any more.
    fn cut_all_off(&self) {
        let all = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        self.cluster.psql(self.database_name(), all);
    }

    async fn set(&self, setting: &str) {
        self.cluster.psql("postgres", &format!("ALTER DATABASE \"{}\" {setting}", self.database_name()));
        self.cut_all_off();
    }

    async fn number(&self, sql: &'static str) -> i64 {
        let row = sqlx::query(sql).fetch_one(&mut self.stranger().await).await.expect("answers");
        row.try_get(0).expect("a number")
    }
}

#[tokio::test]
async fn every_text_is_understood_by_postgres_too() {
    let place = Tables::new("prepared");
    let _store = place.store().await;
    let mut stranger = place.stranger().await;
    for sql in every_text() {
        if let Err(why) = (&mut stranger).prepare(sqlx::SqlStr::from_static(sql)).await {
            panic!("{sql}: {why}");
        }
    }
}

#[tokio::test]
async fn a_server_that_goes_away_is_told_and_what_is_stored_after_its_return_is_there() {
    let place = Tables::apart("away");
    let store = place.store().await;
    let histories = store.histories(DAY.into());
    histories.store(name(1), history()).await.expect("stored");
    place.cluster.stop();
    let began = Instant::now();
    assert_eq!(histories.store(name(2), history()).await, Err(StoreFailed));
    assert!(began.elapsed() <= WRITE_MAX + Duration::from_secs(1));
    assert!(store.find_history(&name(1)).await.is_err_and(|why| why.may_pass()));
    assert!(store.write(&[turn("a", 0)]).await.is_err_and(|why| why.may_pass()));
    assert!(!store.is_ready().await, "nothing can be stored");
    place.cluster.start();
    assert!(store.is_ready().await, "it is tried again");
    histories.store(name(2), history()).await.expect("stored");
    store.write(&[turn("a", 0)]).await.expect("written");
    for n in [1, 2] {
        assert_eq!(store.find_history(&name(n)).await.expect("answers"), Some(history()), "{n}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_in_a_transaction_leaves_nothing_of_it_and_the_next_one_is_another() {
    let place = Tables::new("broken");
    let store = place.store().await;
    let mut transaction = store.database.begin().await.expect("begun");
    transaction.execute(super::super::lent::ALL[0], args!["half", "somebody"]).await.expect("written");
    place.cut_all_off();
    let why = transaction.commit().await.expect_err("it is gone");
    assert!(why.may_pass(), "{why}");
    assert!(store.database.is_failing());
    assert!(store.is_ready().await, "it is tried again");
    store.histories(DAY.into()).store(name(1), history()).await.expect("stored");
    assert_eq!(place.number("SELECT count(*) FROM lent_histories").await, 0);
    assert_eq!(place.number("SELECT count(*) FROM session_histories").await, 1);
}

/// As a standby is, or a primary that was demoted.
#[tokio::test]
async fn a_database_that_can_only_be_read_is_told_and_stores_again_once_it_can_be_written() {
    let place = Tables::new("read_only");
    let store = place.store().await;
    let histories = store.histories(DAY.into());
    histories.store(name(1), history()).await.expect("stored");
    place.set("SET default_transaction_read_only = on").await;
    assert!(store.write(&[turn("a", 0)]).await.is_err_and(|why| why.may_pass()), "it may pass");
    assert!(!store.is_ready().await, "nothing can be stored");
    assert_eq!(store.find_history(&name(1)).await.expect("it can be read"), Some(history()));
    place.set("RESET default_transaction_read_only").await;
    assert!(store.is_ready().await);
    store.write(&[turn("a", 0)]).await.expect("written");
}

#[tokio::test]
async fn a_locked_table_is_told_in_time_and_what_was_dropped_half_way_is_not_there() {
    let place = Tables::new("locked");
    let store = place.store().await;
    let histories = store.histories(DAY.into());
    let mut stranger = place.stranger().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE session_histories").execute(&mut stranger).await.expect("locked");
    let storing = histories.store(name(1), history());
    assert!(tokio::time::timeout(Duration::from_millis(50), storing).await.is_err(), "locked");
    let began = Instant::now();
    assert_eq!(histories.store(name(2), history()).await, Err(StoreFailed));
    assert!(began.elapsed() <= WRITE_MAX + Duration::from_secs(1));
    sqlx::raw_sql("ROLLBACK").execute(&mut stranger).await.expect("free");
    histories.store(name(3), history()).await.expect("stored");
    assert_eq!(place.number("SELECT count(*) FROM session_histories").await, 1);
}

/// What waits for each tenant is counted in a row, and transactions of two servers may want two of them in another order.
#[tokio::test]
async fn what_collides_with_another_server_is_done_again() {
    let place = Tables::new("collides");
    let store = place.store().await;
    let of = |tenant: &str, n: u32| {
        let Entry::Turn { session, caller, log, .. } = turn("a", n) else { unreachable!("a turn") };
        Entry::Turn { tenant: tenant.into(), session: format!("{tenant}-{session}"), caller, log }
    };
    store.write(&[of("one", 0), of("two", 0)]).await.expect("written");
    let mut stranger = place.stranger().await;
    let second = "BEGIN; SET LOCAL deadlock_timeout = '1h'; UPDATE log_spools SET events = events WHERE tenant = 'two'";
    place.cluster.psql(place.database_name(), "GRANT SET ON PARAMETER deadlock_timeout TO bellhop");
    sqlx::raw_sql(second).execute(&mut stranger).await.expect("locked");
    let entries = [of("two", 1), of("one", 1)];
    let (written, ()) = tokio::join!(store.write(&entries), async {
        let waits = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while place.number(waits).await == 0 {
            tokio::task::yield_now().await;
        }
        // Now each waits for the other; the one who looks first, which is not the stranger, is thrown out.
        let first = "UPDATE log_spools SET events = events WHERE tenant = 'one'; ROLLBACK";
        sqlx::raw_sql(first).execute(&mut stranger).await.expect("the other one gave way");
    });
    written.expect("written, the second time");
    assert_eq!(place.number("SELECT count(*) FROM log_events").await, 4);
    assert_eq!(place.number("SELECT CAST(sum(events) AS BIGINT) FROM log_spools").await, 4);
}

#[tokio::test]
async fn every_connection_has_its_limits_and_waits_for_the_disk() {
    let place = Tables::new("settings");
    place.set("SET synchronous_commit = off").await;
    let store = place.store().await;
    for which in ["the first", "the one after a failure"] {
        let mut transaction = store.database.begin().await.expect("begun");
        for (show, value) in [
            ("SHOW synchronous_commit", "on"),
            ("SHOW statement_timeout", "5s"),
            ("SHOW lock_timeout", "2s"),
            ("SHOW idle_in_transaction_session_timeout", "15s"),
        ] {
            let row = transaction.fetch_optional(show, args![]).await.expect("answers").expect("a row");
            assert_eq!(row.text(0).expect("a text"), value, "{which}: {show}");
        }
        // Dropped without a commit: it is thrown away.
    }
}

/// A zero byte is no text of PostgreSQL, and strangers may write one where we keep what they say.
#[tokio::test]
async fn a_zero_byte_is_kept_as_a_sign_that_something_was_there() {
    let place = Tables::new("zero");
    let store = place.store().await;
    store.write(&[call("zero", "+1\x00555", DAY)]).await.expect("written");
    let json = json!({"caller": "+1\x00555", "words": "a\x00b"}).to_string();
    store.histories(DAY.into()).store(name(1), History { tenant: "acme".into(), json }).await.expect("stored");
    let wanted = bellhop_call::ports::Wanted { reason: Some("caller_hangup".into()), ..Default::default() };
    let found = bellhop_call::ports::CallRecords::latest(&store, &wanted, 9).await.expect("answers");
    assert_eq!(found[0].caller, "+1\u{fffd}555");
    assert_eq!(store.forget("+1 555 0100", None).await.expect("answers").histories, 0, "it reads every history");
}

#[tokio::test]
async fn what_a_living_server_has_is_left_alone_until_its_lease_is_over() {
    use bellhop_call::ports::CallsUnderWay;
    let place = Tables::new("lease");
    let (one, other) = (place.store().await, place.store().await);
    let opening = bellhop_call::record::Opening { session: "up".into(), call: "c-up".into(), ..Default::default() };
    one.write(&[Entry::Began { opening: Box::new(opening), recorded: false }]).await.expect("written");
    one.histories(DAY.into()).lend(name(1), history()).await.expect("stored");
    let write = NotedWrite { contact_id: "c".into(), names: vec!["topic".into()] };
    one.write_notes("acme").note(write).await.expect("noted");
    let left_behind = async |store: &SqlStore| {
        let calls = store.calls_left_behind().await.expect("answers").len();
        (calls, store.writes_in_flight("acme").await.expect("answers").len())
    };
    place.make_steady().await;
    assert_eq!(left_behind(&other).await, (0, 0), "it lives");
    assert_eq!(other.void_lent().await.expect("answers"), 0, "it lives");
    let mut stranger = place.stranger().await;
    let silent = "UPDATE servers SET seen_unix = 0 WHERE name IN (SELECT server FROM calls_under_way)";
    sqlx::raw_sql(silent).execute(&mut stranger).await.expect("set");
    // The database was away: everybody was silent, and who lives has not said so yet.
    sqlx::raw_sql("UPDATE servers SET seen_unix = unixepoch() - 40 WHERE seen_unix > 0")
        .execute(&mut stranger)
        .await
        .expect("set");
    servers::seen(&other.database, &other.server).await.expect("told");
    assert_eq!(left_behind(&other).await, (0, 0), "who looks has not looked for long enough");
    assert_eq!(other.void_lent().await.expect("answers"), 0);
    place.make_steady().await;
    servers::seen(&other.database, &other.server).await.expect("told");
    assert_eq!(left_behind(&other).await, (1, 1), "it was silent for a lease");
    assert_eq!(left_behind(&one).await, (0, 0), "they are its own");
    assert_eq!(other.void_lent().await.expect("answers"), 1);
}

#[tokio::test]
async fn a_claim_is_lost_with_its_connection_and_may_be_had_again() {
    use bellhop_call::ports::SoleUse;
    let place = Tables::new("lost_claim");
    let (one, other) = (place.store().await, place.store().await);
    let mut claim = one.claim().await.expect("nobody has it");
    assert!(claim.holds().await);
    place.cut_all_off();
    assert!(!claim.holds().await, "the server has forgotten it");
    let mut theirs = other.claim().await.expect("it is free");
    assert!(theirs.holds().await && !claim.holds().await);
}

/// `docs/database.md` says what a role must be allowed.
#[tokio::test]
async fn a_role_that_may_only_read_and_write_rows_serves_once_the_tables_are_there() {
    let place = Tables::new("clerk");
    place.store().await;
    let clerk = format!("clerk_{}", std::process::id());
    let grants = format!(
        "CREATE ROLE {clerk} LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {clerk}"
    );
    place.cluster.psql(place.database_name(), &grants);
    let url = place.url.replace("bellhop@", &format!("{clerk}@"));
    let store = SqlStore::open(&url, None).await.expect("opens");
    store.write(&[turn("a", 0), call("a", "+12065550100", DAY)]).await.expect("written");
    store.histories(DAY.into()).lend(name(1), history()).await.expect("stored");
    store.sweep().await.expect("sweeps");
    assert!(store.forget("+12065550100", None).await.expect("answers").log_emptied);
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_one_sentence_without_a_password() {
    for (password, url) in
        [(None, "postgres://me:hush@127.0.0.1:1/calls"), (Some("hush"), "postgres://me@127.0.0.1:1/calls")]
    {
        let why = SqlStore::open(url, password).await.expect_err("nobody listens");
        let (told, all) = (why.to_string(), format!("{why:?}"));
        assert!(told.starts_with("the database postgres://me@127.0.0.1:1/calls cannot be opened: "), "{told}");
        assert!(!told.contains("hush") && !all.contains("hush"), "{all}");
    }
    let place = Tables::new("debug");
    let database = Database::open(&place.url.replace("bellhop@", "bellhop:hush@"), Some("hush")).await.expect("opens");
    assert!(!format!("{database:?}").contains("hush"), "{database:?}");
}
