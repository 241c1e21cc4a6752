//! What is deleted is gone: from the tables, and then from the disk (`Database::shrink`).
//!
//! Invariant: nobody waits for more than [`DELETED_AT_ONCE`] rows.

use std::collections::HashSet;

use bellhop_call::ports::{Answer, Forgotten, Retention, Swept};
use bellhop_connect::ports::NOTE_KEPT;

use super::records::plain_number;
use super::{SqlStore, Trouble, answer, args, figures, servers, unix_now, usage, within};
use crate::storage::database::{Argument, Row};

/// Rows deleted in one transaction: nobody waits longer for their turn than for these.
const DELETED_AT_ONCE: u32 = 500;

const CALLS_OF: &str = "SELECT call FROM call_records WHERE ltrim(caller, '+') = $1 AND (tenant = $2 OR $2 IS NULL)
    UNION SELECT call FROM calls_under_way WHERE ltrim(caller, '+') = $1 AND (tenant = $2 OR $2 IS NULL)
    UNION SELECT call FROM recorded_calls WHERE ltrim(caller, '+') = $1 AND (tenant = $2 OR $2 IS NULL)
    ORDER BY call";
const KNOWN: &str = "SELECT call FROM call_records UNION SELECT call FROM calls_under_way
    UNION SELECT call FROM recorded_calls";
const RECORDED: &str = "SELECT call FROM recorded_calls WHERE call NOT IN (SELECT call FROM calls_under_way)";
const RECORDING_GONE: &str = "DELETE FROM recorded_calls WHERE call = $1";

const FORGET_RECORDS: &str = "DELETE FROM call_records WHERE ltrim(caller, '+') = $1 AND (tenant = $2 OR $2 IS NULL)";
const FORGET_HISTORIES: &str = "DELETE FROM session_histories
    WHERE ltrim(json_extract(json, '$.caller'), '+') = $1 AND (tenant = $2 OR $2 IS NULL)";
const FORGET_EVENTS: &str = "DELETE FROM log_events WHERE ltrim(caller, '+') = $1 AND (tenant = $2 OR $2 IS NULL)";
const FORGET_UNDER_WAY: &str =
    "DELETE FROM calls_under_way WHERE ltrim(caller, '+') = $1 AND (tenant = $2 OR $2 IS NULL)";
const FORGET_RECORDED: &str =
    "DELETE FROM recorded_calls WHERE ltrim(caller, '+') = $1 AND (tenant = $2 OR $2 IS NULL)";

const SWEEP_HISTORIES: &str = "DELETE FROM session_histories WHERE filed_as IN
    (SELECT filed_as FROM session_histories WHERE expires_unix <= $1 LIMIT $2)";
const SWEEP_RECORDS: &str = "DELETE FROM call_records WHERE session IN
    (SELECT session FROM call_records WHERE expires_unix <= $1 LIMIT $2)";
const SWEEP_EVENTS: &str = "DELETE FROM log_events WHERE id IN
    (SELECT id FROM log_events WHERE expires_unix <= $1 LIMIT $2)";
const SWEEP_NOTES: &str = "DELETE FROM writes_in_flight WHERE id IN
    (SELECT id FROM writes_in_flight WHERE noted_unix <= $1 LIMIT $2)";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 13] = [
    CALLS_OF,
    KNOWN,
    RECORDED,
    RECORDING_GONE,
    FORGET_RECORDS,
    FORGET_HISTORIES,
    FORGET_EVENTS,
    FORGET_UNDER_WAY,
    FORGET_RECORDED,
    SWEEP_HISTORIES,
    SWEEP_RECORDS,
    SWEEP_EVENTS,
    SWEEP_NOTES,
];

impl Retention for SqlStore {
    fn calls_of<'a>(&'a self, caller: &'a str, tenant: Option<&'a str>) -> Answer<'a, Vec<String>> {
        answer(async move { self.names(CALLS_OF, args![&plain_number(caller), tenant]).await })
    }

    fn forget<'a>(&'a self, caller: &'a str, tenant: Option<&'a str>) -> Answer<'a, Forgotten> {
        answer(async move {
            let (plain, database) = (plain_number(caller), &self.database);
            let gone = within(database.again(|| self.delete_all_of(&plain, tenant))).await?;
            Ok(Forgotten { log_emptied: self.database.shrink().await?, ..gone })
        })
    }

    fn known_calls(&self) -> Answer<'_, HashSet<String>> {
        answer(async { self.names(KNOWN, args![]).await })
    }

    fn recorded(&self) -> Answer<'_, Vec<String>> {
        answer(async { self.names(RECORDED, args![]).await })
    }

    fn recordings_gone<'a>(&'a self, calls: &'a [String]) -> Answer<'a, ()> {
        answer(async move {
            for some in calls.chunks(DELETED_AT_ONCE as usize) {
                within(async {
                    let mut transaction = self.database.begin().await?;
                    for call in some {
                        transaction.execute(RECORDING_GONE, args![call]).await?;
                    }
                    transaction.commit().await
                })
                .await?;
            }
            Ok(())
        })
    }

    fn sweep(&self) -> Answer<'_, Swept> {
        answer(async {
            let now = unix_now();
            let noted_until = now.saturating_sub_unsigned(NOTE_KEPT.as_secs());
            let swept = Swept {
                histories: self.sweep_until(SWEEP_HISTORIES, now).await?,
                records: self.sweep_until(SWEEP_RECORDS, now).await?,
                events: self.sweep_until(SWEEP_EVENTS, now).await?,
                notes: self.sweep_until(SWEEP_NOTES, noted_until).await?,
            };
            self.sweep_until(usage::SWEEP, &usage::first_kept()).await?;
            self.sweep_until(figures::SWEEP, figures::first_kept()).await?;
            within(servers::forget(&self.database)).await?;
            self.database.shrink().await?;
            Ok(swept)
        })
    }
}

impl SqlStore {
    async fn names<C: FromIterator<String>>(
        &self,
        sql: &'static str,
        arguments: &[Argument<'_>],
    ) -> Result<C, Trouble> {
        let rows = self.database.fetch(sql, arguments).await?;
        rows.iter().map(|row: &Row| row.text(0).map(str::to_owned)).collect()
    }

    async fn delete_all_of(&self, plain: &str, tenant: Option<&str>) -> Result<Forgotten, Trouble> {
        let mut transaction = self.database.begin().await?;
        let whose = args![plain, tenant];
        let gone = Forgotten {
            records: transaction.execute(FORGET_RECORDS, whose).await?,
            histories: transaction.execute(FORGET_HISTORIES, whose).await?,
            events: transaction.execute(FORGET_EVENTS, whose).await?,
            log_emptied: false,
        };
        transaction.execute(FORGET_UNDER_WAY, whose).await?;
        transaction.execute(FORGET_RECORDED, whose).await?;
        transaction.commit().await?;
        Ok(gone)
    }

    async fn sweep_until<'a>(&self, sql: &'static str, until: impl Into<Argument<'a>>) -> Result<u64, Trouble> {
        let (until, mut gone) = (until.into(), 0);
        loop {
            let some = within(self.database.again(|| async {
                let mut transaction = self.database.begin().await?;
                let some = transaction.execute(sql, args![until, DELETED_AT_ONCE]).await?;
                transaction.commit().await?;
                Ok(some)
            }))
            .await?;
            gone += some;
            if some < u64::from(DELETED_AT_ONCE) {
                return Ok(gone);
            }
        }
    }
}
