//! Figures of calls: counted by the database, of what is kept of calls and of what triggers counted as records came (`migrations/`).
//!
//! Invariant: no record is opened for a figure: what is counted stands in indexes. How many calls are counted one by one is bounded
//! ([`COUNTED_AT_ONCE_MAX`]).

use std::collections::BTreeMap;

use bellhop_call::figures::{
    COUNTED_AT_ONCE_MAX, Endings, Figures, HOUR_MS, OfTenant, TENANTS_MAX, Waits, WantedFigures,
};

use super::{SqlStore, Trouble, args, unix_now};
use crate::storage::database::{Argument, Row};

/// How long what callers waited is kept.
const KEPT_HOURS: i64 = 100 * 24;
/// Longer than any call lasts: those that began before may be up.
const CALL_MAX_MS: i64 = 12 * HOUR_MS;
/// Most endings that are told apart, over all slots.
const ENDINGS_MAX: u32 = 20_000;

const ENDINGS_OF_ALL: &str = "SELECT began_unix_ms / $1 AS slot, end_reason, failure, count(*),
        CAST(sum(ended_unix_ms - began_unix_ms) AS BIGINT)
    FROM call_records WHERE began_unix_ms >= $2 AND began_unix_ms < $3
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 LIMIT $4";
const ENDINGS_OF_ONE: &str = "SELECT began_unix_ms / $1 AS slot, end_reason, failure, count(*),
        CAST(sum(ended_unix_ms - began_unix_ms) AS BIGINT)
    FROM call_records WHERE began_unix_ms >= $2 AND began_unix_ms < $3 AND tenant = $5
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 LIMIT $4";
const WAITS_OF_ALL: &str = "SELECT hour / $1 AS slot, below_ms, CAST(sum(turns) AS BIGINT) FROM wait_hours
    WHERE hour >= $2 AND hour < $3 GROUP BY 1, 2 ORDER BY 1, 2";
const WAITS_OF_ONE: &str = "SELECT hour / $1 AS slot, below_ms, CAST(sum(turns) AS BIGINT) FROM wait_hours
    WHERE hour >= $2 AND hour < $3 AND tenant = $4 GROUP BY 1, 2 ORDER BY 1, 2";
const TENANTS: &str = "SELECT tenant, count(*) AS calls,
        CAST(sum(CASE WHEN end_reason = 'failed' THEN 1 ELSE 0 END) AS BIGINT),
        CAST(sum(CASE WHEN end_reason = 'assistant_transfer' THEN 1 ELSE 0 END) AS BIGINT)
    FROM call_records WHERE began_unix_ms >= $1 AND began_unix_ms < $2
    GROUP BY tenant ORDER BY calls DESC, tenant LIMIT $3";
const UP_OF_ALL: &str = "SELECT count(*) FROM calls_under_way";
const UP_OF_ONE: &str = "SELECT count(*) FROM calls_under_way WHERE tenant = $1";

/// Goes along beginnings and ends of calls; slots in which nothing begins have a step of their own.
macro_rules! at_once {
    ($whose:literal) => {
        concat!(
            "WITH RECURSIVE slots (at) AS (
                SELECT CAST($2 AS BIGINT) UNION ALL SELECT at + $1 FROM slots WHERE at + $1 < $3
            ), calls (began, ended) AS (
                SELECT began_unix_ms, ended_unix_ms FROM call_records
                WHERE began_unix_ms >= $4 AND began_unix_ms < $3",
            $whose,
            "), steps (at, step) AS (
                SELECT began, 1 FROM calls UNION ALL SELECT ended, -1 FROM calls UNION ALL SELECT at, 0 FROM slots
            ), counted (at, up) AS (SELECT at, sum(step) OVER (ORDER BY at, step) FROM steps)
            SELECT at / $1, CAST(max(up) AS BIGINT) FROM counted WHERE at >= $2 AND at < $3 GROUP BY 1"
        )
    };
}

const AT_ONCE_OF_ALL: &str = at_once!("");
const AT_ONCE_OF_ONE: &str = at_once!(" AND tenant = $5");
pub(super) const SWEEP: &str = "DELETE FROM wait_hours WHERE (tenant, hour, below_ms) IN
    (SELECT tenant, hour, below_ms FROM wait_hours WHERE hour < $1 LIMIT $2)";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 10] = [
    ENDINGS_OF_ALL,
    ENDINGS_OF_ONE,
    WAITS_OF_ALL,
    WAITS_OF_ONE,
    TENANTS,
    UP_OF_ALL,
    UP_OF_ONE,
    AT_ONCE_OF_ALL,
    AT_ONCE_OF_ONE,
    SWEEP,
];

/// The first hour that is kept.
pub(super) fn first_kept() -> i64 {
    unix_now() * 1000 / HOUR_MS - KEPT_HOURS
}

impl SqlStore {
    pub(super) async fn figured(&self, wanted: &WantedFigures) -> Result<Figures, Trouble> {
        let endings = self.endings(wanted).await?;
        let calls: u64 = endings.iter().map(|ended| ended.calls).sum();
        let at_once = if calls > COUNTED_AT_ONCE_MAX { None } else { Some(self.at_once(wanted).await?) };
        let waits = self.waits(wanted).await?;
        let (up, tenants) = match &wanted.tenant {
            Some(tenant) => (self.database.fetch(UP_OF_ONE, args![tenant]).await?, vec![]),
            None => (self.database.fetch(UP_OF_ALL, args![]).await?, self.tenants(wanted).await?),
        };
        let up = up.first().map_or(Ok(0), |row| count(row, 0))?;
        Ok(Figures { endings, waits, at_once, up, tenants })
    }

    /// The rows of a text about all tenants, or of the one about a tenant, whose name is its last argument.
    async fn rows(
        &self,
        tenant: Option<&str>,
        (of_all, of_one): (&'static str, &'static str),
        arguments: &[Argument<'_>],
    ) -> Result<Vec<Row>, Trouble> {
        match tenant {
            None => self.database.fetch(of_all, arguments).await,
            Some(tenant) => self.database.fetch(of_one, &[arguments, args![tenant]].concat()).await,
        }
    }

    async fn endings(&self, wanted: &WantedFigures) -> Result<Vec<Endings>, Trouble> {
        let (slot, tenant) = (wanted.slot.milliseconds(), wanted.tenant.as_deref());
        let which = args![slot, wanted.from_unix_ms, wanted.until_unix_ms, ENDINGS_MAX];
        let rows = self.rows(tenant, (ENDINGS_OF_ALL, ENDINGS_OF_ONE), which).await?;
        let ended = |row: &Row| {
            Ok(Endings {
                slot_unix_ms: row.integer(0)? * slot,
                reason: row.optional_text(1)?.unwrap_or_default().to_owned(),
                failure: row.optional_text(2)?.map(str::to_owned),
                calls: count(row, 3)?,
                milliseconds: row
                    .optional_integer(4)?
                    .map_or(0, |milliseconds| u64::try_from(milliseconds).unwrap_or(0)),
            })
        };
        rows.iter().map(ended).collect()
    }

    async fn waits(&self, wanted: &WantedFigures) -> Result<BTreeMap<i64, Waits>, Trouble> {
        let (slot, tenant) = (wanted.slot.milliseconds(), wanted.tenant.as_deref());
        let which = args![slot / HOUR_MS, wanted.from_unix_ms / HOUR_MS, wanted.until_unix_ms / HOUR_MS];
        let mut waits = BTreeMap::<i64, Waits>::new();
        for row in self.rows(tenant, (WAITS_OF_ALL, WAITS_OF_ONE), which).await? {
            let of_slot = waits.entry(row.integer(0)? * slot).or_default();
            of_slot.add(count(&row, 1)?, count(&row, 2)?);
        }
        Ok(waits)
    }

    async fn at_once(&self, wanted: &WantedFigures) -> Result<BTreeMap<i64, u64>, Trouble> {
        let (slot, tenant) = (wanted.slot.milliseconds(), wanted.tenant.as_deref());
        let (from, until) = (wanted.from_unix_ms, wanted.until_unix_ms);
        let which = args![slot, from, until, from.saturating_sub(CALL_MAX_MS)];
        let rows = self.rows(tenant, (AT_ONCE_OF_ALL, AT_ONCE_OF_ONE), which).await?;
        rows.iter().map(|row| Ok((row.integer(0)? * slot, count(row, 1)?))).collect()
    }

    async fn tenants(&self, wanted: &WantedFigures) -> Result<Vec<OfTenant>, Trouble> {
        let which = args![wanted.from_unix_ms, wanted.until_unix_ms, TENANTS_MAX];
        let of = |row: &Row| {
            let (calls, failed, handed_over) = (count(row, 1)?, count(row, 2)?, count(row, 3)?);
            Ok(OfTenant { tenant: row.text(0)?.to_owned(), calls, failed, handed_over })
        };
        self.database.fetch(TENANTS, which).await?.iter().map(of).collect()
    }
}

fn count(row: &Row, column: usize) -> Result<u64, Trouble> {
    row.integer(column).map(|number| u64::try_from(number).unwrap_or(0))
}
