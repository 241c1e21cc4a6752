//! Call records, written together with the events that tell of them.
//!
//! Invariant: a record and the event that tells of it are written in one transaction, in which its call also ceases to be
//! under way.

use std::collections::HashSet;
use std::time::Duration;

use bellhop_call::figures::{Figures, WantedFigures};
use bellhop_call::ports::{
    Answer, CallRecords, Dropped, Entry, KeptCall, ListedCall, RecordWriter, UnderWay, Usage, Wanted, WantedUsage,
    Written,
};
use bellhop_call::record::CallRecord;
use serde::Serialize;

use super::deed::Deed;
use super::events::{Event, make_place};
use super::{SqlStore, Trouble, answer, args, unix_now, within};
use crate::storage::database::{Row, Transaction};

const FIND: &str = "SELECT session, call, tenant, caller, began_unix_ms, details, timeline FROM call_records
    WHERE (session = $1 OR call = $1 OR sip_call_id = $1) AND expires_unix > $2
    ORDER BY began_unix_ms DESC LIMIT 1";

/// The latest calls of a tenant, or of everybody: each is a text of its own, so that a database that has not seen the arguments plans
/// by the index of tenants where there is one.
macro_rules! latest {
    ($whose:literal) => {
        concat!(
            "SELECT session, call, tenant, caller, dialled, began_unix_ms, lasted_ms, ended, ending, failure_details, turns
    FROM call_records WHERE ",
            $whose,
            " AND began_unix_ms >= $2 AND began_unix_ms < $3
        AND began_unix_ms <= $4 AND (began_unix_ms < $4 OR session > $5)
        AND (CAST($6 AS TEXT) IS NULL OR ltrim(caller, '+') = $6)
        AND (CAST($7 AS TEXT) IS NULL OR ltrim(caller, '+') = $7 OR ltrim(dialled, '+') = $7)
        AND (CAST($8 AS TEXT) IS NULL OR ended = $8 OR ending = $8)
        AND lasted_ms > $9
        AND (CAST($10 AS TEXT) IS NULL OR lower(failure_details) LIKE $10 ESCAPE '!'
            OR CAST($11 AS TEXT) LIKE '%,' || replace(ending, '_', '!_') || ',%' ESCAPE '!')
        AND expires_unix > $12
    ORDER BY began_unix_ms DESC, session LIMIT $13"
        )
    };
}

const LATEST_OF_ALL: &str = latest!("CAST($1 AS TEXT) IS NULL");
const LATEST: &str = latest!("tenant = $1");

/// Every table that holds something of a tenant by its name.
pub(super) const KNOWS: &str = "SELECT 1 WHERE EXISTS (SELECT 1 FROM call_records WHERE tenant = $1)
    OR EXISTS (SELECT 1 FROM calls_under_way WHERE tenant = $1)
    OR EXISTS (SELECT 1 FROM log_events WHERE tenant = $1)
    OR EXISTS (SELECT 1 FROM recorded_calls WHERE tenant = $1)
    OR EXISTS (SELECT 1 FROM session_histories WHERE tenant = $1)
    OR EXISTS (SELECT 1 FROM usage_days WHERE tenant = $1)
    OR EXISTS (SELECT 1 FROM wait_hours WHERE tenant = $1)
    OR EXISTS (SELECT 1 FROM writes_in_flight WHERE tenant = $1)";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 4] = [FIND, LATEST_OF_ALL, LATEST, KNOWS];

impl RecordWriter for SqlStore {
    fn write<'a>(&'a self, entries: &'a [Entry]) -> Answer<'a, Written> {
        if entries.is_empty() {
            return Box::pin(std::future::ready(Ok(Written::default())));
        }
        answer(async move { within(self.database.again(|| self.write_all(entries))).await })
    }
}

impl SqlStore {
    pub(in crate::storage) async fn write_all(&self, entries: &[Entry]) -> Result<Written, Trouble> {
        let mut written = Written::default();
        // What waits for a tenant is counted in a row: who takes these in their order is in nobody's way for ever.
        let mut entries: Vec<&Entry> = entries.iter().collect();
        entries.sort_by_key(|entry| entry.tenant());
        let passing = passing(&entries);
        let mut of_tenants: Vec<Vec<Deed>> = vec![];
        for of_tenant in entries.chunk_by(|one, other| one.tenant() == other.tenant()) {
            let mut all = vec![];
            for entry in of_tenant {
                let (deeds, waiting) = self.deeds_of(entry);
                let is_passing = |deed: &Deed| deed.up_or_over().is_some_and(|session| passing.contains(session));
                all.extend(deeds.into_iter().filter(|deed| !is_passing(deed)));
                written.waiting.extend(waiting.map(str::to_owned));
                // To render a batch takes milliseconds, on the thread that answers calls.
                tokio::task::yield_now().await;
            }
            of_tenants.push(all);
        }
        let mut transaction = self.database.begin().await?;
        for deeds in of_tenants {
            Deed::carry_out_all(deeds, &mut transaction).await?;
        }
        make_places(&mut transaction, &mut written).await?;
        transaction.commit().await?;
        Ok(written)
    }

    /// What an entry writes, and the tenant for whom an event waits then.
    pub(in crate::storage) fn deeds_of<'a>(&self, entry: &'a Entry) -> (Vec<Deed>, Option<&'a str>) {
        match entry {
            Entry::Began { opening, recorded } => {
                let began = Deed::Began { server: self.server.to_string(), opening: opening.clone() };
                let (call, tenant, caller) =
                    (opening.call.clone(), opening.tenant.clone(), opening.facts.caller.clone());
                let recorded = recorded.then_some(Deed::Recorded { call, tenant, caller });
                ([Some(began), recorded].into_iter().flatten().collect(), None)
            }
            Entry::Call { record, keep, told } => {
                let (opening, details) = (record.opening(), record.details());
                let over = Deed::Over { session: opening.session.clone() };
                let kept = (!keep.is_zero()).then(|| call_record(record, &details, *keep));
                let id = format!("{}:cdr", opening.session);
                let (tenant, session, caller) = (&*opening.tenant, &*opening.session, &*opening.facts.caller);
                let event = told.then(|| Event { id, tenant, session, caller }.told("cdr_logged", &details)).flatten();
                ([Some(over), kept, event].into_iter().flatten().collect(), told.then_some(tenant))
            }
            Entry::Turn { tenant, session, caller, log } => {
                let id = format!("{session}:turn:{}", log["turn"]);
                let event = Event { id, tenant, session, caller }.told("message_logged", log);
                (event.into_iter().collect(), Some(tenant))
            }
        }
    }
}

/// The calls that both began and ended in one batch: nobody would ever see them under way.
fn passing<'a>(entries: &[&'a Entry]) -> HashSet<&'a str> {
    let mut began = HashSet::new();
    let mut passing = HashSet::new();
    for entry in entries {
        match entry {
            Entry::Began { opening, .. } => _ = began.insert(&*opening.session),
            Entry::Call { record, .. } => passing.extend(began.get(&*record.opening().session)),
            Entry::Turn { .. } => {}
        }
    }
    passing
}

impl CallRecords for SqlStore {
    fn find_call<'a>(&'a self, name: &'a str) -> Answer<'a, Option<KeptCall>> {
        answer(async move {
            let row = self.database.fetch_optional(FIND, args![name, unix_now()]).await?;
            row.as_ref().map(kept).transpose()
        })
    }

    fn latest<'a>(&'a self, wanted: &'a Wanted, count: u32) -> Answer<'a, Vec<ListedCall>> {
        answer(async move {
            let (tenant, reason) = (wanted.tenant.as_deref(), wanted.reason.as_deref());
            let number = |number: &Option<String>| number.as_deref().map(plain_number);
            let (caller, number) = (number(&wanted.caller), number(&wanted.number));
            let (from, until) = (wanted.from_unix_ms.unwrap_or(i64::MIN), wanted.until_unix_ms.unwrap_or(i64::MAX));
            let after = wanted.after.as_ref().map_or((i64::MAX, ""), |(began, session)| (*began, session.as_str()));
            // Every call lasts longer than less than no time.
            let longer = wanted.longer_than.map_or(-1, |than| i64::try_from(than.as_millis()).unwrap_or(i64::MAX));
            let words = wanted.words.as_ref().map(|words| pattern(&words.text));
            let endings = wanted.words.as_ref().map(|words| format!(",{},", words.endings.join(",")));
            let which = args![
                tenant,
                from,
                until,
                after.0,
                after.1,
                caller.as_deref(),
                number.as_deref(),
                reason,
                longer,
                words.as_deref(),
                endings.as_deref(),
                unix_now(),
                count
            ];
            let text = if tenant.is_some() { LATEST } else { LATEST_OF_ALL };
            self.database.fetch(text, which).await?.iter().map(listed).collect()
        })
    }

    fn usage<'a>(&'a self, wanted: &'a WantedUsage, count: u32) -> Answer<'a, Vec<Usage>> {
        answer(self.counted(wanted, count))
    }

    fn figures<'a>(&'a self, wanted: &'a WantedFigures) -> Answer<'a, Figures> {
        answer(self.figured(wanted))
    }

    fn knows<'a>(&'a self, tenant: &'a str) -> Answer<'a, bool> {
        answer(async move { Ok(self.database.fetch_optional(KNOWS, args![tenant]).await?.is_some()) })
    }

    fn up<'a>(&'a self, tenant: &'a str, count: u32) -> Answer<'a, Vec<UnderWay>> {
        answer(self.up_of(tenant, count))
    }
}

/// A number without what people write around its digits; a name as it is.
pub(super) fn plain_number(caller: &str) -> String {
    let digits: String = caller.chars().filter(char::is_ascii_digit).collect();
    if digits.len() < 3 { caller.trim_start_matches('+').to_owned() } else { digits }
}

/// What `LIKE` finds words by, in whatever case, wherever they stand.
fn pattern(words: &str) -> String {
    let mut pattern = String::from("%");
    for sign in words.to_ascii_lowercase().chars() {
        if matches!(sign, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(sign);
    }
    pattern + "%"
}

fn listed(row: &Row) -> Result<ListedCall, Trouble> {
    let text = |column| row.text(column).map(str::to_owned);
    let number = |column| row.integer(column).map(|number| u64::try_from(number).unwrap_or(0));
    let failure = text(9)?;
    Ok(ListedCall {
        session: text(0)?,
        call: text(1)?,
        tenant: text(2)?,
        caller: text(3)?,
        dialled: text(4)?,
        began_unix_ms: row.integer(5)?,
        milliseconds: number(6)?,
        reason: text(7)?,
        ending: text(8)?,
        failure: (!failure.is_empty()).then_some(failure),
        turns: number(10)?,
    })
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

/// Those for whom events wait, once each, keep no more than they may.
pub(super) async fn make_places(transaction: &mut Transaction, written: &mut Written) -> Result<(), Trouble> {
    written.waiting.sort();
    written.waiting.dedup();
    for tenant in &written.waiting {
        match make_place(transaction, tenant).await? {
            0 => {}
            events => written.dropped.push(Dropped { tenant: tenant.clone(), events }),
        }
    }
    Ok(())
}

fn call_record(record: &CallRecord, details: &impl Serialize, keep: Duration) -> Deed {
    let opening = record.opening();
    Deed::Record {
        session: opening.session.clone(),
        call: opening.call.clone(),
        sip_call_id: opening.facts.sip_call_id.clone(),
        tenant: opening.tenant.clone(),
        caller: opening.facts.caller.clone(),
        began_unix_ms: opening.began_unix_ms,
        expires_unix: unix_now().saturating_add_unsigned(keep.as_secs()),
        details: serde_json::to_string(details).expect("a record is plain data"),
        timeline: record.timeline(),
    }
}
