//! Call records, written together with the events that tell of them.
//!
//! Invariant: a record and the event that tells of it are written in one transaction, in which its call also ceases to be
//! under way.

use std::time::Duration;

use bellhop_call::ports::{Answer, CallRecords, Dropped, Entry, KeptCall, RecordWriter, Wanted, Written};
use bellhop_call::record::CallRecord;
use serde_json::Value;
use sqlx::Row;

use super::connections::{Transaction, within};
use super::events::Event;
use super::{Database, Trouble, answer, unix_now};

impl RecordWriter for Database {
    fn write<'a>(&'a self, entries: &'a [Entry]) -> Answer<'a, Written> {
        if entries.is_empty() {
            return Box::pin(std::future::ready(Ok(Written::default())));
        }
        answer(within(async move {
            let mut transaction = self.connections.begin().await?;
            let mut written = Written::default();
            for entry in entries {
                if let Some(tenant) = self.put(&mut transaction, entry).await? {
                    written.waiting.push(tenant);
                }
            }
            written.waiting.sort();
            written.waiting.dedup();
            for tenant in &written.waiting {
                match super::events::make_place(&mut transaction, tenant).await? {
                    0 => {}
                    events => written.dropped.push(Dropped { tenant: tenant.clone(), events }),
                }
            }
            transaction.commit().await?;
            Ok(written)
        }))
    }
}

impl Database {
    /// Writes one entry; returns the tenant for whom an event waits now.
    async fn put(&self, transaction: &mut Transaction, entry: &Entry) -> Result<Option<String>, Trouble> {
        match entry {
            Entry::Began { opening, recorded } => {
                self.began(transaction, opening).await?;
                if *recorded {
                    let query = "INSERT OR IGNORE INTO recorded_calls (call, tenant, caller) VALUES (?, ?, ?)";
                    let insert =
                        sqlx::query(query).bind(&opening.call).bind(&opening.tenant).bind(&opening.facts.caller);
                    insert.execute(transaction.connection()).await?;
                }
                Ok(None)
            }
            Entry::Call { record, keep, told } => {
                let (opening, details) = (record.opening(), record.details());
                let query = "DELETE FROM calls_under_way WHERE session = ?";
                sqlx::query(query).bind(&opening.session).execute(transaction.connection()).await?;
                if !keep.is_zero() {
                    insert_call(transaction, record, &details, *keep).await?;
                }
                if !told {
                    return Ok(None);
                }
                let id = format!("{}:cdr", opening.session);
                let (tenant, session, caller) = (&opening.tenant, &opening.session, &opening.facts.caller);
                Event { id, tenant, session, caller }.insert(transaction, "cdr_logged", &details).await?;
                Ok(Some(tenant.clone()))
            }
            Entry::Turn { tenant, session, caller, log } => {
                let id = format!("{session}:turn:{}", log["turn"]);
                Event { id, tenant, session, caller }.insert(transaction, "message_logged", log).await?;
                Ok(Some(tenant.clone()))
            }
        }
    }
}

impl CallRecords for Database {
    fn find_call<'a>(&'a self, name: &'a str) -> Answer<'a, Option<KeptCall>> {
        answer(async move {
            let query = "SELECT session, call, tenant, caller, began_unix_ms, details, timeline FROM call_records
                WHERE (session = ?1 OR call = ?1 OR sip_call_id = ?1) AND expires_unix > ?2
                ORDER BY began_unix_ms DESC LIMIT 1";
            let asked = sqlx::query(query).bind(name).bind(unix_now());
            let row = asked.fetch_optional(&self.connections.readers()).await?;
            Ok(row.as_ref().map(kept).transpose()?)
        })
    }

    fn latest<'a>(&'a self, wanted: &'a Wanted, count: u32) -> Answer<'a, Vec<KeptCall>> {
        answer(async move {
            let query = "SELECT session, call, tenant, caller, began_unix_ms, details, timeline FROM call_records
                WHERE (?1 IS NULL OR tenant = ?1) AND (?2 IS NULL OR ltrim(caller, '+') = ?2)
                    AND (?3 IS NULL OR json_extract(details, '$.call.end_reason') = ?3)
                    AND (?4 IS NULL OR began_unix_ms >= ?4) AND (?5 IS NULL OR began_unix_ms < ?5)
                    AND expires_unix > ?6
                ORDER BY began_unix_ms DESC LIMIT ?7";
            let rows = sqlx::query(query)
                .bind(&wanted.tenant)
                .bind(wanted.caller.as_deref().map(plain_number))
                .bind(&wanted.reason)
                .bind(wanted.from_unix_ms)
                .bind(wanted.until_unix_ms)
                .bind(unix_now())
                .bind(count)
                .fetch_all(&self.connections.readers())
                .await?;
            Ok(rows.iter().map(kept).collect::<Result<_, _>>()?)
        })
    }
}

/// A number without what people write around its digits; a name as it is.
pub(super) fn plain_number(caller: &str) -> String {
    let digits: String = caller.chars().filter(char::is_ascii_digit).collect();
    if digits.len() < 3 { caller.trim_start_matches('+').to_owned() } else { digits }
}

fn kept(row: &sqlx::sqlite::SqliteRow) -> Result<KeptCall, sqlx::Error> {
    Ok(KeptCall {
        session: row.try_get(0)?,
        call: row.try_get(1)?,
        tenant: row.try_get(2)?,
        caller: row.try_get(3)?,
        began_unix_ms: row.try_get(4)?,
        details: row.try_get(5)?,
        timeline: row.try_get(6)?,
    })
}

async fn insert_call(
    transaction: &mut Transaction,
    record: &CallRecord,
    details: &Value,
    keep: Duration,
) -> Result<(), Trouble> {
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
    insert.execute(transaction.connection()).await?;
    Ok(())
}
