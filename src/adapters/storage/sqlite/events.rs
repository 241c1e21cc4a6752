//! The events that wait for a tenant's log webhook.
//!
//! Invariant: what waits for each receiver is counted by triggers, in the transaction that adds or removes it.

use bellhop_call::ports::{Answer, Change, EVENT_KEPT, LogEvents, SPOOL_BYTES_MAX, SPOOL_EVENTS_MAX, Waiting};
use serde_json::{Value, json};
use sqlx::Row;

use super::connections::{Transaction, within};
use super::{Database, Trouble, answer, unix_now};

/// A body longer than this, in bytes, would push out all others.
const BODY_MAX: usize = 4 << 20;

impl LogEvents for Database {
    fn due<'a>(&'a self, tenant: &'a str, now_ms: i64, count: u32) -> Answer<'a, Vec<Waiting>> {
        answer(async move {
            let query = "SELECT id, body, attempts FROM log_events WHERE tenant = ? AND due_unix_ms <= ?
                ORDER BY due_unix_ms, rowid LIMIT ?";
            let asked = sqlx::query(query).bind(tenant).bind(now_ms).bind(count);
            let rows = asked.fetch_all(&self.connections.readers()).await?;
            let read = |row: &sqlx::sqlite::SqliteRow| {
                Ok(Waiting { id: row.try_get(0)?, body: row.try_get(1)?, attempts: row.try_get(2)? })
            };
            rows.iter().map(read).collect()
        })
    }

    fn next_due<'a>(&'a self, tenant: &'a str) -> Answer<'a, Option<i64>> {
        answer(async move {
            let query = "SELECT min(due_unix_ms) FROM log_events WHERE tenant = ?";
            Ok(sqlx::query(query).bind(tenant).fetch_one(&self.connections.readers()).await?.try_get(0)?)
        })
    }

    fn backlog(&self) -> Answer<'_, Vec<(String, u64, i64)>> {
        answer(async {
            let query = "SELECT tenant, COUNT(*), MIN(expires_unix) FROM log_events GROUP BY tenant";
            let rows = sqlx::query(query).fetch_all(&self.connections.readers()).await?;
            let kept = EVENT_KEPT.as_secs() as i64;
            let of = |row: &sqlx::sqlite::SqliteRow| {
                Ok((row.try_get(0)?, row.try_get::<i64, _>(1)?.unsigned_abs(), row.try_get::<i64, _>(2)? - kept))
            };
            rows.iter().map(of).collect()
        })
    }

    /// One transaction, however many there are.
    fn settle<'a>(&'a self, changes: &'a [Change]) -> Answer<'a, ()> {
        answer(within(async move {
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
        }))
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
