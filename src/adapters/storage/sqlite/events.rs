//! The events that wait for a tenant's log webhook.
//!
//! Invariant: an event is deleted only once it was delivered, has expired, its call was forgotten, or a later one needed
//! its place: no tenant's receiver, dead or slow, keeps more than [`SPOOL_EVENTS_MAX`] or [`SPOOL_BYTES_MAX`] of the disk.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::Row;

use super::connections::{Transaction, within};
use super::records::SqliteRecords;
use super::{Trouble, unix_now};

/// How long an event waits for its receiver before it is given up.
pub const EVENT_KEPT: Duration = Duration::from_secs(72 * 3600);
/// Events that wait for one tenant's receiver; the oldest make place.
pub const SPOOL_EVENTS_MAX: i64 = 100_000;
/// Bytes of their bodies; the oldest make place.
pub const SPOOL_BYTES_MAX: i64 = 64 << 20;
/// A body longer than this, in bytes, would push out all others.
const BODY_MAX: usize = 4 << 20;

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

/// What became of an event that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It has arrived.
    Delivered {
        /// Which.
        id: String,
    },
    /// It has not: it is tried again at this time, in milliseconds since 1970.
    Postponed {
        /// Which.
        id: String,
        /// When.
        due_unix_ms: i64,
    },
}

impl SqliteRecords {
    /// Events of a tenant that are due now, the oldest first.
    pub async fn due(&self, tenant: &str, now_ms: i64, count: u32) -> Result<Vec<Waiting>, sqlx::Error> {
        let query = "SELECT id, body, attempts FROM log_events WHERE tenant = ? AND due_unix_ms <= ?
            ORDER BY due_unix_ms, rowid LIMIT ?";
        let rows =
            sqlx::query(query).bind(tenant).bind(now_ms).bind(count).fetch_all(&self.connections.readers()).await?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            Ok(Waiting { id: row.try_get(0)?, body: row.try_get(1)?, attempts: row.try_get(2)? })
        };
        rows.iter().map(read).collect()
    }

    /// When the next event of a tenant is due, in milliseconds since 1970.
    pub async fn next_due(&self, tenant: &str) -> Result<Option<i64>, sqlx::Error> {
        let query = "SELECT min(due_unix_ms) FROM log_events WHERE tenant = ?";
        sqlx::query(query).bind(tenant).fetch_one(&self.connections.readers()).await?.try_get(0)
    }

    /// How many events of each tenant wait, and since when the oldest, in seconds since 1970.
    pub async fn backlog(&self) -> Result<Vec<(String, u64, i64)>, sqlx::Error> {
        let query = "SELECT tenant, COUNT(*), MIN(expires_unix) FROM log_events GROUP BY tenant";
        let rows = sqlx::query(query).fetch_all(&self.connections.readers()).await?;
        let kept = EVENT_KEPT.as_secs() as i64;
        let of = |row: &sqlx::sqlite::SqliteRow| {
            Ok((row.try_get(0)?, row.try_get::<i64, _>(1)?.unsigned_abs(), row.try_get::<i64, _>(2)? - kept))
        };
        rows.iter().map(of).collect()
    }

    /// Writes down what became of events, all or nothing: one transaction, however many there are.
    pub async fn settle(&self, changes: &[Change]) -> Result<(), Trouble> {
        within(async {
            let mut transaction = self.connections.begin().await?;
            for change in changes {
                let query = match change {
                    Change::Delivered { id } => sqlx::query("DELETE FROM log_events WHERE id = ?").bind(id),
                    Change::Postponed { id, due_unix_ms } => {
                        let query = "UPDATE log_events SET attempts = attempts + 1, due_unix_ms = ? WHERE id = ?";
                        sqlx::query(query).bind(due_unix_ms).bind(id)
                    }
                };
                query.execute(transaction.connection()).await?;
            }
            transaction.commit().await
        })
        .await
    }
}

/// Deletes a tenant's oldest events until the rest is within the bounds; returns how many.
pub(super) async fn make_place(transaction: &mut Transaction, tenant: &str) -> Result<u64, Trouble> {
    let query = "SELECT events, bytes FROM log_spools WHERE tenant = ?";
    let spool = sqlx::query(query).bind(tenant).fetch_optional(transaction.connection()).await?;
    let Some(spool) = spool else { return Ok(0) };
    let (mut events, mut bytes): (i64, i64) = (spool.try_get(0)?, spool.try_get(1)?);
    let mut dropped = 0;
    while events > SPOOL_EVENTS_MAX || bytes > SPOOL_BYTES_MAX {
        let query = "DELETE FROM log_events WHERE rowid =
            (SELECT rowid FROM log_events WHERE tenant = ? ORDER BY rowid LIMIT 1) RETURNING length(CAST(body AS BLOB))";
        let gone = sqlx::query(query).bind(tenant).fetch_optional(transaction.connection()).await?;
        let Some(gone) = gone else { break };
        events -= 1;
        bytes -= gone.try_get::<i64, _>(0)?;
        dropped += 1;
    }
    Ok(dropped)
}

/// An event to be told.
pub(super) struct Event<'a> {
    pub(super) id: String,
    pub(super) tenant: &'a str,
    pub(super) session: &'a str,
    pub(super) caller: &'a str,
}

impl Event<'_> {
    pub(super) async fn insert(
        self,
        transaction: &mut Transaction,
        name: &str,
        payload: &Value,
    ) -> Result<(), Trouble> {
        let body = json!({"event": {"name": name, "id": self.id}, "payload": payload}).to_string();
        if body.len() > BODY_MAX {
            tracing::error!(
                tenant = self.tenant,
                event = self.id,
                bytes = body.len(),
                "a log event is too long and is dropped"
            );
            return Ok(());
        }
        let query = "INSERT OR IGNORE INTO log_events (id, tenant, session, caller, body, due_unix_ms, expires_unix)
            VALUES (?, ?, ?, ?, ?, ?, ?)";
        let insert = sqlx::query(query)
            .bind(self.id)
            .bind(self.tenant)
            .bind(self.session)
            .bind(self.caller)
            .bind(body)
            .bind(unix_now() * 1000)
            .bind(unix_now().saturating_add_unsigned(EVENT_KEPT.as_secs()));
        insert.execute(transaction.connection()).await?;
        Ok(())
    }
}
