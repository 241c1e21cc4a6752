//! The events that wait for a tenant's log webhook.
//!
//! Invariant: what waits for each receiver is counted by triggers, in the transaction that adds or removes it.

use bellhop_call::ports::{Answer, Change, EVENT_KEPT, LogEvents, SPOOL_BYTES_MAX, SPOOL_EVENTS_MAX, Waiting};
use serde::Serialize;

use super::deed::Deed;
use super::{SqlStore, Trouble, answer, args, unix_now, within};
use crate::storage::database::{Row, Transaction};

const DUE: &str = "SELECT id, body, attempts FROM log_events WHERE tenant = $1 AND due_unix_ms <= $2
    ORDER BY due_unix_ms, rowid LIMIT $3";
const NEXT_DUE: &str = "SELECT min(due_unix_ms) FROM log_events WHERE tenant = $1";
const BACKLOG: &str = "SELECT tenant, count(*), min(expires_unix) FROM log_events GROUP BY tenant";
const DELIVERED: &str = "DELETE FROM log_events WHERE id = $1";
const POSTPONED: &str = "UPDATE log_events SET attempts = attempts + 1, due_unix_ms = $1 WHERE id = $2";
const SPOOL: &str = "SELECT events, bytes FROM log_spools WHERE tenant = $1";
const DROP_OLDEST: &str = "DELETE FROM log_events WHERE id =
    (SELECT id FROM log_events WHERE tenant = $1 ORDER BY rowid LIMIT 1) RETURNING octet_length(body)";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 7] = [DUE, NEXT_DUE, BACKLOG, DELIVERED, POSTPONED, SPOOL, DROP_OLDEST];

/// A body longer than this, in bytes, would push out all others.
const BODY_MAX: usize = 4 << 20;

impl LogEvents for SqlStore {
    fn due<'a>(&'a self, tenant: &'a str, now_ms: i64, count: u32) -> Answer<'a, Vec<Waiting>> {
        answer(async move {
            let rows = self.database.fetch(DUE, args![tenant, now_ms, count]).await?;
            let read = |row: &Row| {
                let attempts = u32::try_from(row.integer(2)?).unwrap_or(u32::MAX);
                Ok(Waiting { id: row.text(0)?.to_owned(), body: row.text(1)?.to_owned(), attempts })
            };
            rows.iter().map(read).collect()
        })
    }

    fn next_due<'a>(&'a self, tenant: &'a str) -> Answer<'a, Option<i64>> {
        answer(async move {
            let row = self.database.fetch_optional(NEXT_DUE, args![tenant]).await?;
            row.map_or(Ok(None), |row| row.optional_integer(0))
        })
    }

    fn backlog(&self) -> Answer<'_, Vec<(String, u64, i64)>> {
        answer(async {
            let rows = self.database.fetch(BACKLOG, args![]).await?;
            let kept = EVENT_KEPT.as_secs() as i64;
            let of = |row: &Row| Ok((row.text(0)?.to_owned(), row.integer(1)?.unsigned_abs(), row.integer(2)? - kept));
            rows.iter().map(of).collect()
        })
    }

    /// One transaction, however many there are.
    fn settle<'a>(&'a self, changes: &'a [Change]) -> Answer<'a, ()> {
        answer(async move { within(self.database.again(|| self.settle_all(changes))).await })
    }
}

impl SqlStore {
    async fn settle_all(&self, changes: &[Change]) -> Result<(), Trouble> {
        let mut transaction = self.database.begin().await?;
        for change in changes {
            match change {
                Change::Delivered { id } => transaction.execute(DELIVERED, args![id]).await?,
                Change::Postponed { id, due_unix_ms } => {
                    transaction.execute(POSTPONED, args![*due_unix_ms, id]).await?
                }
            };
        }
        transaction.commit().await
    }
}

/// Deletes a tenant's oldest events until the rest is within the bounds; returns how many.
pub(super) async fn make_place(transaction: &mut Transaction, tenant: &str) -> Result<u64, Trouble> {
    let Some(spool) = transaction.fetch_optional(SPOOL, args![tenant]).await? else { return Ok(0) };
    let (mut events, mut bytes) = (spool.integer(0)?, spool.integer(1)?);
    let mut dropped = 0;
    while events > SPOOL_EVENTS_MAX || bytes > SPOOL_BYTES_MAX {
        let Some(gone) = transaction.fetch_optional(DROP_OLDEST, args![tenant]).await? else { break };
        events -= 1;
        bytes -= gone.integer(0)?;
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

/// What a receiver is sent.
#[derive(Serialize)]
struct Body<'a, P> {
    event: Named<'a>,
    payload: &'a P,
}

#[derive(Serialize)]
struct Named<'a> {
    id: &'a str,
    name: &'a str,
}

impl Event<'_> {
    /// The row of it; none if it is too long.
    pub(super) fn told(self, name: &str, payload: &impl Serialize) -> Option<Deed> {
        let body = Body { event: Named { id: &self.id, name }, payload };
        let body = serde_json::to_string(&body).expect("a payload is plain data");
        if body.len() > BODY_MAX {
            tracing::error!(
                tenant = self.tenant,
                event = self.id,
                bytes = body.len(),
                "a log event is too long and is dropped"
            );
            return None;
        }
        Some(Deed::Event {
            id: self.id,
            tenant: self.tenant.to_owned(),
            session: self.session.to_owned(),
            caller: self.caller.to_owned(),
            body,
            due_unix_ms: unix_now() * 1000,
            expires_unix: unix_now().saturating_add_unsigned(EVENT_KEPT.as_secs()),
        })
    }
}
