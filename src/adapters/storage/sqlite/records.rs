//! Call records, written together with the events that tell of them.
//!
//! Invariant: a record and the event that tells of it are written in one transaction, in which its call also ceases to be
//! under way.

use std::sync::Arc;
use std::time::Duration;

use bellhop_call::record::{CallRecord, Opening};
use serde_json::Value;
use sqlx::Row;

use super::connections::{Connections, Transaction, within};
use super::events::Event;
use super::{Trouble, unix_now};

/// The records of all tenants.
#[derive(Debug, Clone)]
pub struct SqliteRecords {
    pub(super) connections: Connections,
    pub(super) server: Arc<str>,
}

/// Something to be written.
#[derive(Debug)]
pub enum Entry {
    /// A call begins.
    Began {
        /// What is known of it.
        opening: Box<Opening>,
        /// Whether it is recorded.
        recorded: bool,
    },
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

impl Entry {
    /// Whose it is.
    pub fn tenant(&self) -> &str {
        match self {
            Self::Began { opening, .. } => &opening.tenant,
            Self::Call { record, .. } => &record.opening().tenant,
            Self::Turn { tenant, .. } => tenant,
        }
    }
}

/// What came of writing.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Tenants for whom events wait.
    pub waiting: Vec<String>,
    /// Tenants whose oldest events made place.
    pub dropped: Vec<Dropped>,
}

/// Events that nobody took and that made place for later ones.
#[derive(Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Whose.
    pub tenant: String,
    /// How many.
    pub events: u64,
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
    /// Who called.
    pub caller: String,
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

/// Which calls are wanted; `None` stands for all.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Of this tenant.
    pub tenant: Option<String>,
    /// From this number, in whatever way it is written.
    pub caller: Option<String>,
    /// That ended so: `end_reason` of the call detail record.
    pub reason: Option<String>,
    /// That began at this time or later, in milliseconds since 1970.
    pub from_unix_ms: Option<i64>,
    /// That began before this time.
    pub until_unix_ms: Option<i64>,
}

impl SqliteRecords {
    /// Writes entries, all or none. For none of them no store is asked.
    pub async fn write(&self, entries: &[Entry]) -> Result<Written, Trouble> {
        if entries.is_empty() {
            return Ok(Written::default());
        }
        within(async {
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
        })
        .await
    }

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

    /// A call by its session, its name in the log, or its SIP `Call-ID` (of calls with the same, the latest).
    pub async fn find(&self, name: &str) -> Result<Option<KeptCall>, sqlx::Error> {
        let query = "SELECT session, call, tenant, caller, began_unix_ms, details, timeline FROM call_records
            WHERE (session = ?1 OR call = ?1 OR sip_call_id = ?1) AND expires_unix > ?2
            ORDER BY began_unix_ms DESC LIMIT 1";
        let row = sqlx::query(query).bind(name).bind(unix_now()).fetch_optional(&self.connections.readers()).await?;
        row.as_ref().map(kept).transpose()
    }

    /// The latest calls of those that are wanted, the newest first.
    pub async fn latest(&self, wanted: &Wanted, count: u32) -> Result<Vec<KeptCall>, sqlx::Error> {
        let query = "SELECT session, call, tenant, caller, began_unix_ms, details, timeline FROM call_records
            WHERE (?1 IS NULL OR tenant = ?1) AND (?2 IS NULL OR ltrim(caller, '+') = ?2)
                AND (?3 IS NULL OR json_extract(details, '$.call.end_reason') = ?3)
                AND (?4 IS NULL OR began_unix_ms >= ?4) AND (?5 IS NULL OR began_unix_ms < ?5) AND expires_unix > ?6
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
        rows.iter().map(kept).collect()
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
