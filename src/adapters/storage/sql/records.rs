//! Call records, written together with the events that tell of them.
//!
//! Invariant: a record and the event that tells of it are written in one transaction, in which its call also ceases to be
//! under way.

use std::time::Duration;

use bellhop_call::ports::{
    Answer, CallRecords, Dropped, Entry, KeptCall, RecordWriter, Usage, Wanted, WantedUsage, Written,
};
use bellhop_call::record::CallRecord;
use serde_json::Value;

use super::events::{Event, make_place};
use super::{SqlStore, Trouble, answer, args, unix_now, within};
use crate::storage::database::{Row, Transaction};

const RECORDED: &str = "INSERT INTO recorded_calls (call, tenant, caller) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
const OVER: &str = "DELETE FROM calls_under_way WHERE session = $1";
const INSERT: &str = "INSERT INTO call_records
    (session, call, sip_call_id, tenant, caller, began_unix_ms, expires_unix, details, timeline)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING";
const FIND: &str = "SELECT session, call, tenant, caller, began_unix_ms, details, timeline FROM call_records
    WHERE (session = $1 OR call = $1 OR sip_call_id = $1) AND expires_unix > $2
    ORDER BY began_unix_ms DESC LIMIT 1";
const LATEST: &str = "SELECT session, call, tenant, caller, began_unix_ms, details, timeline FROM call_records
    WHERE (tenant = $1 OR $1 IS NULL) AND (ltrim(caller, '+') = $2 OR $2 IS NULL)
        AND (CAST($3 AS TEXT) IS NULL OR json_extract(details, '$.call.end_reason') = $3)
        AND (began_unix_ms >= $4 OR $4 IS NULL) AND (began_unix_ms < $5 OR $5 IS NULL)
        AND expires_unix > $6
    ORDER BY began_unix_ms DESC LIMIT $7";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 5] = [RECORDED, OVER, INSERT, FIND, LATEST];

impl RecordWriter for SqlStore {
    fn write<'a>(&'a self, entries: &'a [Entry]) -> Answer<'a, Written> {
        if entries.is_empty() {
            return Box::pin(std::future::ready(Ok(Written::default())));
        }
        answer(async move { within(self.database.again(|| self.write_all(entries))).await })
    }
}

impl SqlStore {
    async fn write_all(&self, entries: &[Entry]) -> Result<Written, Trouble> {
        let mut transaction = self.database.begin().await?;
        let mut written = Written::default();
        // What waits for a tenant is counted in a row: who takes these in their order is in nobody's way for ever.
        let mut entries: Vec<&Entry> = entries.iter().collect();
        entries.sort_by_key(|entry| entry.tenant());
        for entry in entries {
            if let Some(tenant) = self.put(&mut transaction, entry).await? {
                written.waiting.push(tenant);
            }
        }
        written.waiting.sort();
        written.waiting.dedup();
        for tenant in &written.waiting {
            match make_place(&mut transaction, tenant).await? {
                0 => {}
                events => written.dropped.push(Dropped { tenant: tenant.clone(), events }),
            }
        }
        transaction.commit().await?;
        Ok(written)
    }

    /// Writes one entry; returns the tenant for whom an event waits now.
    async fn put(&self, transaction: &mut Transaction, entry: &Entry) -> Result<Option<String>, Trouble> {
        match entry {
            Entry::Began { opening, recorded } => {
                self.began(transaction, opening).await?;
                if *recorded {
                    let call = args![&opening.call, &opening.tenant, &opening.facts.caller];
                    transaction.execute(RECORDED, call).await?;
                }
                Ok(None)
            }
            Entry::Call { record, keep, told } => {
                let (opening, details) = (record.opening(), record.details());
                transaction.execute(OVER, args![&opening.session]).await?;
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

impl CallRecords for SqlStore {
    fn find_call<'a>(&'a self, name: &'a str) -> Answer<'a, Option<KeptCall>> {
        answer(async move {
            let row = self.database.fetch_optional(FIND, args![name, unix_now()]).await?;
            row.as_ref().map(kept).transpose()
        })
    }

    fn latest<'a>(&'a self, wanted: &'a Wanted, count: u32) -> Answer<'a, Vec<KeptCall>> {
        answer(async move {
            let caller = wanted.caller.as_deref().map(plain_number);
            let (tenant, reason) = (wanted.tenant.as_deref(), wanted.reason.as_deref());
            let (from, until) = (wanted.from_unix_ms, wanted.until_unix_ms);
            let which = args![tenant, caller.as_deref(), reason, from, until, unix_now(), count];
            self.database.fetch(LATEST, which).await?.iter().map(kept).collect()
        })
    }

    fn usage<'a>(&'a self, wanted: &'a WantedUsage, count: u32) -> Answer<'a, Vec<Usage>> {
        answer(self.counted(wanted, count))
    }
}

/// A number without what people write around its digits; a name as it is.
pub(super) fn plain_number(caller: &str) -> String {
    let digits: String = caller.chars().filter(char::is_ascii_digit).collect();
    if digits.len() < 3 { caller.trim_start_matches('+').to_owned() } else { digits }
}

fn kept(row: &Row) -> Result<KeptCall, Trouble> {
    let text = |column| row.text(column).map(str::to_owned);
    Ok(KeptCall {
        session: text(0)?,
        call: text(1)?,
        tenant: text(2)?,
        caller: text(3)?,
        began_unix_ms: row.integer(4)?,
        details: text(5)?,
        timeline: text(6)?,
    })
}

async fn insert_call(
    transaction: &mut Transaction,
    record: &CallRecord,
    details: &Value,
    keep: Duration,
) -> Result<(), Trouble> {
    let opening = record.opening();
    let expires = unix_now().saturating_add_unsigned(keep.as_secs());
    let (details, timeline) = (details.to_string(), record.timeline());
    let (call, sip_call_id, caller) = (&opening.call, &opening.facts.sip_call_id, &opening.facts.caller);
    let began = opening.began_unix_ms;
    let all = args![&opening.session, call, sip_call_id, &opening.tenant, caller, began, expires, &details, &timeline];
    transaction.execute(INSERT, all).await.map(drop)
}
