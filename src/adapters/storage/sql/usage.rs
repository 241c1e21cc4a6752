//! How much was called: what a trigger counts as records come (`migrations/`).
//!
//! Invariant: a call is counted once, in the transaction that writes its record, and stays counted when the record is gone.

use bellhop_call::ports::{Per, Usage, WantedUsage};

use super::{SqlStore, Trouble, args, unix_now};
use crate::storage::database::Row;

/// How long days are kept: three years, and some.
const KEPT_DAYS: i64 = 1_100;
const DAY_SECONDS: i64 = 86_400;

const USAGE: &str = "SELECT period, tenant, calls, milliseconds FROM (
        SELECT substr(day, 1, CAST($1 AS INTEGER)) AS period, tenant, CAST(sum(calls) AS BIGINT) AS calls,
            CAST(sum(milliseconds) AS BIGINT) AS milliseconds
        FROM usage_days WHERE (tenant = $2 OR $2 IS NULL) AND (day >= $3 OR $3 IS NULL) AND (day < $4 OR $4 IS NULL)
        GROUP BY 1, 2
    ) AS periods
    WHERE period < $5 OR (period = $5 AND tenant > $6) OR $5 IS NULL
    ORDER BY period DESC, tenant LIMIT $7";
pub(super) const SWEEP: &str = "DELETE FROM usage_days WHERE (day, tenant) IN
    (SELECT day, tenant FROM usage_days WHERE day < $1 LIMIT $2)";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 2] = [USAGE, SWEEP];

/// The first day that is kept.
pub(super) fn first_kept() -> String {
    let seconds = unix_now().saturating_sub(KEPT_DAYS * DAY_SECONDS);
    let at = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    at.strftime("%Y-%m-%d").to_string()
}

impl SqlStore {
    pub(super) async fn counted(&self, wanted: &WantedUsage, count: u32) -> Result<Vec<Usage>, Trouble> {
        let characters: i64 = match wanted.per {
            Per::Day => 10,
            Per::Month => 7,
        };
        let (tenant, from, until) = (wanted.tenant.as_deref(), wanted.from.as_deref(), wanted.until.as_deref());
        let after = wanted.after.as_ref().map(|(period, tenant)| (period.as_str(), tenant.as_str())).unzip();
        let which = args![characters, tenant, from, until, after.0, after.1, count];
        self.database.fetch(USAGE, which).await?.iter().map(usage).collect()
    }
}

fn usage(row: &Row) -> Result<Usage, Trouble> {
    let number = |column| row.integer(column).map(|number| u64::try_from(number).unwrap_or(0));
    Ok(Usage {
        period: row.text(0)?.to_owned(),
        tenant: row.text(1)?.to_owned(),
        calls: number(2)?,
        milliseconds: number(3)?,
    })
}
