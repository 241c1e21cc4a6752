//! What is deleted is gone: from the tables, from their free pages, from the write-ahead log, and from the disk.
//!
//! Every connection that writes has `secure_delete`, so that what is deleted is overwritten in its pages; the log, which still
//! has the pages as they were, is emptied afterwards; free pages go back to the file system. Invariant: nobody waits for more
//! than [`DELETED_AT_ONCE`] rows.

use std::collections::HashSet;
use std::time::Duration;

use bellhop_call::ports::{Answer, Forgotten, Retention, Swept};
use bellhop_connect::ports::NOTE_KEPT;
use sqlx::Row;

use super::connections::within;
use super::records::plain_number;
use super::{DELETED_AT_ONCE, Database, Trouble, answer, unix_now};

/// Free pages given back at once.
const PAGES_AT_ONCE: u32 = 2000;
/// Tries to empty the log while others read.
const TRIES: u32 = 5;
/// The pause between two of them.
const TRIED_AGAIN_AFTER: Duration = Duration::from_millis(100);

impl Retention for Database {
    fn calls_of<'a>(&'a self, caller: &'a str, tenant: Option<&'a str>) -> Answer<'a, Vec<String>> {
        answer(async move {
            let query = "SELECT call FROM call_records WHERE ltrim(caller, '+') = ?1 AND (?2 IS NULL OR tenant = ?2)
                UNION SELECT call FROM calls_under_way WHERE ltrim(caller, '+') = ?1 AND (?2 IS NULL OR tenant = ?2)
                UNION SELECT call FROM recorded_calls WHERE ltrim(caller, '+') = ?1 AND (?2 IS NULL OR tenant = ?2)";
            let asked = sqlx::query(query).bind(plain_number(caller)).bind(tenant);
            let rows = asked.fetch_all(&self.connections.readers()).await?;
            Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
        })
    }

    fn forget<'a>(&'a self, caller: &'a str, tenant: Option<&'a str>) -> Answer<'a, Forgotten> {
        answer(async move {
            let gone = within(self.delete_all_of(&plain_number(caller), tenant)).await?;
            Ok(Forgotten { log_emptied: self.shrink().await?, ..gone })
        })
    }

    fn known_calls(&self) -> Answer<'_, HashSet<String>> {
        answer(async {
            let query = "SELECT call FROM call_records UNION SELECT call FROM calls_under_way
                UNION SELECT call FROM recorded_calls";
            let rows = sqlx::query(query).fetch_all(&self.connections.readers()).await?;
            Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
        })
    }

    fn recorded(&self) -> Answer<'_, Vec<String>> {
        answer(async {
            let query = "SELECT call FROM recorded_calls WHERE call NOT IN (SELECT call FROM calls_under_way)";
            let rows = sqlx::query(query).fetch_all(&self.connections.readers()).await?;
            Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
        })
    }

    fn recordings_gone<'a>(&'a self, calls: &'a [String]) -> Answer<'a, ()> {
        answer(async move {
            for some in calls.chunks(DELETED_AT_ONCE as usize) {
                within(async {
                    let mut transaction = self.connections.begin().await?;
                    for call in some {
                        let query = "DELETE FROM recorded_calls WHERE call = ?";
                        sqlx::query(query).bind(call).execute(transaction.connection()).await?;
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
                histories: self.sweep_table("session_histories", "expires_unix", now).await?,
                records: self.sweep_table("call_records", "expires_unix", now).await?,
                events: self.sweep_table("log_events", "expires_unix", now).await?,
                notes: self.sweep_table("writes_in_flight", "noted_unix", noted_until).await?,
            };
            self.shrink().await?;
            Ok(swept)
        })
    }
}

impl Database {
    async fn delete_all_of(&self, plain: &str, tenant: Option<&str>) -> Result<Forgotten, Trouble> {
        let mut transaction = self.connections.begin().await?;
        let mut gone = vec![];
        for query in [
            "DELETE FROM call_records WHERE ltrim(caller, '+') = ?1 AND (?2 IS NULL OR tenant = ?2)",
            "DELETE FROM session_histories
                WHERE ltrim(json_extract(json, '$.caller'), '+') = ?1 AND (?2 IS NULL OR tenant = ?2)",
            "DELETE FROM log_events WHERE ltrim(caller, '+') = ?1 AND (?2 IS NULL OR tenant = ?2)",
            "DELETE FROM calls_under_way WHERE ltrim(caller, '+') = ?1 AND (?2 IS NULL OR tenant = ?2)",
            "DELETE FROM recorded_calls WHERE ltrim(caller, '+') = ?1 AND (?2 IS NULL OR tenant = ?2)",
        ] {
            let done = sqlx::query(query).bind(plain).bind(tenant).execute(transaction.connection()).await?;
            gone.push(done.rows_affected());
        }
        transaction.commit().await?;
        Ok(Forgotten { records: gone[0], histories: gone[1], events: gone[2], log_emptied: false })
    }

    async fn sweep_table(&self, table: &'static str, column: &'static str, until: i64) -> Result<u64, Trouble> {
        let mut gone = 0;
        loop {
            let query = format!(
                "DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE {column} <= ? LIMIT {DELETED_AT_ONCE})"
            );
            let some = within(async {
                let mut transaction = self.connections.begin().await?;
                let delete = sqlx::query(sqlx::AssertSqlSafe(query)).bind(until);
                let some = delete.execute(transaction.connection()).await?.rows_affected();
                transaction.commit().await?;
                Ok(some)
            })
            .await?;
            gone += some;
            if some < u64::from(DELETED_AT_ONCE) {
                return Ok(gone);
            }
        }
    }

    /// Gives free pages back and empties the log; whether the log is empty now.
    async fn shrink(&self) -> Result<bool, Trouble> {
        let mut free = u32::MAX;
        // Some at a time, and only while it helps: a database that was not made for it keeps its free pages.
        loop {
            let mut left = 0;
            let some = format!("PRAGMA incremental_vacuum({PAGES_AT_ONCE})");
            within(self.connections.maintain(async |connection| {
                sqlx::raw_sql(sqlx::AssertSqlSafe(some)).execute(&mut *connection).await?;
                left = sqlx::query("PRAGMA freelist_count").fetch_one(&mut *connection).await?.try_get(0)?;
                Ok(())
            }))
            .await?;
            if left == 0 || left >= free {
                break;
            }
            free = left;
        }
        for n in 0..TRIES {
            if n > 0 {
                tokio::time::sleep(TRIED_AGAIN_AFTER).await;
            }
            let mut busy = 0;
            within(self.connections.maintain(async |connection| {
                let row = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *connection).await?;
                busy = row.try_get::<i64, _>(0)?;
                Ok(())
            }))
            .await?;
            if busy == 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
