//! Call records, and the events that wait for a tenant's log webhook.
//!
//! Invariant: a record and the event that tells of it are written in one transaction; an event is deleted only once it was
//! delivered, has expired, or its call was forgotten, so that it survives the death of the process.

use std::time::Duration;

use bellhop_dialogue::call_record::CallRecord;
use serde_json::{Value, json};
use sqlx::sqlite::SqlitePool;
use sqlx::{Row, Sqlite, Transaction};

use super::unix_now;

/// How long an event waits for its receiver before it is given up.
pub const EVENT_KEPT: Duration = Duration::from_secs(72 * 3600);

/// The records of all tenants.
#[derive(Debug, Clone)]
pub struct SqliteRecords {
    pool: SqlitePool,
}

/// Something to be written.
#[derive(Debug)]
pub enum Entry {
    /// A call is over.
    Call {
        /// Its record.
        record: Box<CallRecord>,
        /// How long it is kept; not at all if that is nothing.
        keep: Duration,
        /// Whether the webhook is told.
        told: bool,
    },
    /// A turn is over.
    Turn {
        /// The tenant.
        tenant: String,
        /// The session of its call.
        session: String,
        /// Who called.
        caller: String,
        /// `message_logged`.
        log: Value,
    },
}

/// A record as it is kept.
#[derive(Clone, PartialEq)]
pub struct KeptCall {
    /// `global_session_id`
    pub session: String,
    /// The name in the log.
    pub call: String,
    /// Whose.
    pub tenant: String,
    /// When it began, in milliseconds since 1970.
    pub began_unix_ms: i64,
    /// The call detail record, as JSON.
    pub details: String,
    /// The timeline, as JSON.
    pub timeline: String,
}

/// It never shows what was said.
impl std::fmt::Debug for KeptCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeptCall({})", self.session)
    }
}

/// An event that waits.
#[derive(Clone, PartialEq)]
pub struct Waiting {
    /// Names the event: the same however often it is sent.
    pub id: String,
    /// The body to be posted.
    pub body: String,
    /// How often it was tried.
    pub attempts: u32,
}

/// It never shows what was said.
impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Waiting({}, {} attempts)", self.id, self.attempts)
    }
}

/// What was forgotten of a caller.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Forgotten {
    /// Names of the calls whose records were deleted.
    pub calls: Vec<String>,
    /// How many session histories were deleted.
    pub histories: u64,
}

pub(super) const TABLES: [&str; 5] = [
    "CREATE TABLE IF NOT EXISTS call_records (
        session TEXT PRIMARY KEY NOT NULL,
        call TEXT NOT NULL,
        sip_call_id TEXT NOT NULL,
        tenant TEXT NOT NULL,
        caller TEXT NOT NULL,
        began_unix_ms INTEGER NOT NULL,
        expires_unix INTEGER NOT NULL,
        details TEXT NOT NULL,
        timeline TEXT NOT NULL
    ) STRICT",
    "CREATE INDEX IF NOT EXISTS call_records_expiry ON call_records (expires_unix)",
    "CREATE INDEX IF NOT EXISTS call_records_began ON call_records (began_unix_ms)",
    "CREATE TABLE IF NOT EXISTS log_events (
        id TEXT PRIMARY KEY NOT NULL,
        tenant TEXT NOT NULL,
        session TEXT NOT NULL,
        caller TEXT NOT NULL,
        body TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        due_unix_ms INTEGER NOT NULL,
        expires_unix INTEGER NOT NULL
    ) STRICT",
    "CREATE INDEX IF NOT EXISTS log_events_due ON log_events (tenant, due_unix_ms)",
];

impl SqliteRecords {
    pub(super) fn new(pool: SqlitePool) -> Self {
        Self { pool }
    }

    /// Writes entries, all or none; returns the tenants for whom events wait.
    pub async fn write(&self, entries: &[Entry]) -> Result<Vec<String>, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let mut waiting = vec![];
        for entry in entries {
            match entry {
                Entry::Call { record, keep, told } => {
                    let details = record.details();
                    if !keep.is_zero() {
                        insert_call(&mut transaction, record, &details, *keep).await?;
                    }
                    let opening = record.opening();
                    if *told {
                        let event = Event {
                            id: format!("{}:cdr", opening.session),
                            tenant: &opening.tenant,
                            session: &opening.session,
                            caller: &opening.facts.caller,
                        };
                        event.insert(&mut transaction, "cdr_logged", &details).await?;
                        waiting.push(opening.tenant.clone());
                    }
                }
                Entry::Turn { tenant, session, caller, log } => {
                    let id = format!("{session}:turn:{}", log["turn"]);
                    let event = Event { id, tenant, session, caller };
                    event.insert(&mut transaction, "message_logged", log).await?;
                    waiting.push(tenant.clone());
                }
            }
        }
        transaction.commit().await?;
        waiting.sort();
        waiting.dedup();
        Ok(waiting)
    }

    /// A call by its session, its name in the log, or its SIP `Call-ID` (of calls with the same, the latest).
    pub async fn find(&self, name: &str) -> Result<Option<KeptCall>, sqlx::Error> {
        let query = "SELECT session, call, tenant, began_unix_ms, details, timeline FROM call_records
            WHERE (session = ?1 OR call = ?1 OR sip_call_id = ?1) AND expires_unix > ?2
            ORDER BY began_unix_ms DESC LIMIT 1";
        let row = sqlx::query(query).bind(name).bind(unix_now()).fetch_optional(&self.pool).await?;
        row.as_ref().map(kept).transpose()
    }

    /// The latest calls, of one tenant or of all, the newest first.
    pub async fn latest(&self, tenant: Option<&str>, count: u32) -> Result<Vec<KeptCall>, sqlx::Error> {
        let query = "SELECT session, call, tenant, began_unix_ms, details, timeline FROM call_records
            WHERE (?1 IS NULL OR tenant = ?1) AND expires_unix > ?2 ORDER BY began_unix_ms DESC LIMIT ?3";
        let rows = sqlx::query(query).bind(tenant).bind(unix_now()).bind(count).fetch_all(&self.pool).await?;
        rows.iter().map(kept).collect()
    }

    /// Deletes everything that is kept of a caller: records, histories, and events that wait. A number is meant in whatever
    /// way it is written.
    pub async fn forget(&self, caller: &str, tenant: Option<&str>) -> Result<Forgotten, sqlx::Error> {
        let digits: String = caller.chars().filter(char::is_ascii_digit).collect();
        let plain = if digits.len() < 3 { caller.to_owned() } else { digits };
        let mut transaction = self.pool.begin().await?;
        let query = "DELETE FROM log_events WHERE ltrim(caller, '+') = ?1 AND (?2 IS NULL OR tenant = ?2)";
        sqlx::query(query).bind(&plain).bind(tenant).execute(&mut *transaction).await?;
        let query =
            "DELETE FROM call_records WHERE ltrim(caller, '+') = ?1 AND (?2 IS NULL OR tenant = ?2) RETURNING call";
        let rows = sqlx::query(query).bind(&plain).bind(tenant).fetch_all(&mut *transaction).await?;
        let query = "DELETE FROM session_histories
            WHERE ltrim(json_extract(json, '$.caller'), '+') = ?1 AND (?2 IS NULL OR tenant = ?2)";
        let histories = sqlx::query(query).bind(&plain).bind(tenant).execute(&mut *transaction).await?.rows_affected();
        transaction.commit().await?;
        let calls = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        Ok(Forgotten { calls, histories })
    }

    /// Deletes what has expired; returns how many records and how many events that were never delivered.
    pub async fn sweep(&self) -> Result<(u64, u64), sqlx::Error> {
        let gone = async |query| {
            let done = sqlx::query(query).bind(unix_now()).execute(&self.pool).await;
            done.map(|done| done.rows_affected())
        };
        Ok((
            gone("DELETE FROM call_records WHERE expires_unix <= ?").await?,
            gone("DELETE FROM log_events WHERE expires_unix <= ?").await?,
        ))
    }

    /// Events of a tenant that are due now, the oldest first.
    pub async fn due(&self, tenant: &str, now_ms: i64, count: u32) -> Result<Vec<Waiting>, sqlx::Error> {
        let query = "SELECT id, body, attempts FROM log_events WHERE tenant = ? AND due_unix_ms <= ?
            ORDER BY due_unix_ms, rowid LIMIT ?";
        let rows = sqlx::query(query).bind(tenant).bind(now_ms).bind(count).fetch_all(&self.pool).await?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            Ok(Waiting { id: row.try_get(0)?, body: row.try_get(1)?, attempts: row.try_get(2)? })
        };
        rows.iter().map(read).collect()
    }

    /// When the next event of a tenant is due, in milliseconds since 1970.
    pub async fn next_due(&self, tenant: &str) -> Result<Option<i64>, sqlx::Error> {
        let query = "SELECT min(due_unix_ms) FROM log_events WHERE tenant = ?";
        sqlx::query(query).bind(tenant).fetch_one(&self.pool).await?.try_get(0)
    }

    /// An event has arrived.
    pub async fn delivered(&self, id: &str) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM log_events WHERE id = ?").bind(id).execute(&self.pool).await.map(drop)
    }

    /// An event has not arrived: it is tried again at this time.
    pub async fn postpone(&self, id: &str, due_ms: i64) -> Result<(), sqlx::Error> {
        let query = "UPDATE log_events SET attempts = attempts + 1, due_unix_ms = ? WHERE id = ?";
        sqlx::query(query).bind(due_ms).bind(id).execute(&self.pool).await.map(drop)
    }
}

fn kept(row: &sqlx::sqlite::SqliteRow) -> Result<KeptCall, sqlx::Error> {
    Ok(KeptCall {
        session: row.try_get(0)?,
        call: row.try_get(1)?,
        tenant: row.try_get(2)?,
        began_unix_ms: row.try_get(3)?,
        details: row.try_get(4)?,
        timeline: row.try_get(5)?,
    })
}

async fn insert_call(
    transaction: &mut Transaction<'_, Sqlite>,
    record: &CallRecord,
    details: &Value,
    keep: Duration,
) -> Result<(), sqlx::Error> {
    let opening = record.opening();
    let query = "INSERT OR IGNORE INTO call_records
        (session, call, sip_call_id, tenant, caller, began_unix_ms, expires_unix, details, timeline)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let insert = sqlx::query(query)
        .bind(&opening.session)
        .bind(&opening.call)
        .bind(&opening.facts.sip_call_id)
        .bind(&opening.tenant)
        .bind(&opening.facts.caller)
        .bind(opening.began_unix_ms)
        .bind(unix_now().saturating_add_unsigned(keep.as_secs()))
        .bind(details.to_string())
        .bind(record.timeline());
    insert.execute(&mut **transaction).await.map(drop)
}

/// An event to be told.
struct Event<'a> {
    id: String,
    tenant: &'a str,
    session: &'a str,
    caller: &'a str,
}

impl Event<'_> {
    async fn insert(
        self,
        transaction: &mut Transaction<'_, Sqlite>,
        name: &str,
        payload: &Value,
    ) -> Result<(), sqlx::Error> {
        let body = json!({"event": {"name": name, "id": self.id}, "payload": payload}).to_string();
        let query = "INSERT OR IGNORE INTO log_events (id, tenant, session, caller, body, due_unix_ms, expires_unix)
            VALUES (?, ?, ?, ?, ?, ?, ?)";
        let insert = sqlx::query(query)
            .bind(self.id)
            .bind(self.tenant)
            .bind(self.session)
            .bind(self.caller)
            .bind(body)
            .bind(unix_now() * 1000)
            .bind(unix_now() + EVENT_KEPT.as_secs() as i64);
        insert.execute(&mut **transaction).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Database;
    use super::*;
    use bellhop_connect::SessionHistoryKey;
    use bellhop_connect::ports::{History, HistoryStore};
    use bellhop_dialogue::call_facts::CallFacts;
    use bellhop_dialogue::call_record::{EndReason, Opening};
    use std::time::Instant;

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
        assert_eq!(waiting.expect("written"), ["acme"]);
        for name in ["a", "c-a", "sip-a"] {
            assert_eq!(records.find(name).await.expect("answers").expect("is there").session, "a", "{name}");
        }
        assert!(records.find("b").await.expect("answers").is_none(), "it was not to be kept");
        assert_eq!(records.latest(Some("acme"), 5).await.expect("answers").len(), 1);
        assert_eq!(records.latest(Some("other"), 5).await.expect("answers").len(), 0);
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
        records.delivered("a:turn:0").await.expect("gone");
        records.postpone("a:turn:1", later() + 60_000).await.expect("later");
        let due = records.due("acme", later(), 9).await.expect("answers");
        assert_eq!(due.iter().map(|event| event.id.as_str()).collect::<Vec<_>>(), ["a:cdr"]);
        records.delivered("a:cdr").await.expect("gone");
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
        assert_eq!(records.forget("+1 206 555-0100", Some("other")).await.expect("answers"), Forgotten::default());
        let gone = records.forget("+1 206 555-0100", None).await.expect("answers");
        assert_eq!(gone, Forgotten { calls: vec!["c-a".into()], histories: 1 });
        let left: Vec<String> =
            records.due("acme", later(), 9).await.expect("answers").into_iter().map(|event| event.id).collect();
        assert_eq!(left, ["b:cdr", "b:turn:0"]);
        assert!(records.find("b").await.expect("answers").is_some());
    }

    #[tokio::test]
    async fn what_has_expired_is_swept() {
        let (_database, records) = records().await;
        records.write(&[call("a", "+1", DAY)]).await.expect("written");
        assert_eq!(records.sweep().await.expect("sweeps"), (0, 0));
        for table in ["call_records", "log_events"] {
            let query = format!("UPDATE {table} SET expires_unix = 1");
            sqlx::query(sqlx::AssertSqlSafe(query)).execute(&records.pool).await.expect("set");
        }
        assert!(records.find("a").await.expect("answers").is_none());
        assert_eq!(records.sweep().await.expect("sweeps"), (1, 1));
    }
}
