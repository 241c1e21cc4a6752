//! What is deleted is gone: from the tables, from their free pages, from the write-ahead log, and from the disk.
//!
//! Every connection that writes has `secure_delete`, so that what is deleted is overwritten in its pages; the log, which still
//! has the pages as they were, is emptied afterwards; free pages go back to the file system. Invariant: nobody waits for more
//! than [`DELETED_AT_ONCE`] rows.

use std::collections::HashSet;
use std::time::Duration;

use sqlx::Row;

use super::connections::within;
use super::records::{SqliteRecords, plain_number};
use super::{DELETED_AT_ONCE, NOTE_KEPT, Trouble, unix_now};

/// Free pages given back at once.
const PAGES_AT_ONCE: u32 = 2000;
/// Tries to empty the log while others read.
const TRIES: u32 = 5;

/// What was forgotten of a caller.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Forgotten {
    /// How many records.
    pub records: u64,
    /// How many session histories.
    pub histories: u64,
    /// How many events that waited.
    pub events: u64,
    /// Whether the write-ahead log was emptied; if not, a reader was in the way, and the next sweep of the server does it.
    pub log_emptied: bool,
}

/// What had expired.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Swept {
    /// Call records.
    pub records: u64,
    /// Session histories.
    pub histories: u64,
    /// Events that were never delivered.
    pub events: u64,
    /// Notes of writes that nobody could take back.
    pub notes: u64,
}

impl SqliteRecords {
    /// The names of a caller's calls: those that have a record, that are up, or that only a recording is left of. A number
    /// is meant in whatever way it is written.
    pub async fn calls_of(&self, caller: &str, tenant: Option<&str>) -> Result<Vec<String>, sqlx::Error> {
        let query = "SELECT call FROM call_records WHERE ltrim(caller, '+') = ?1 AND (?2 IS NULL OR tenant = ?2)
            UNION SELECT call FROM calls_under_way WHERE ltrim(caller, '+') = ?1 AND (?2 IS NULL OR tenant = ?2)
            UNION SELECT call FROM recorded_calls WHERE ltrim(caller, '+') = ?1 AND (?2 IS NULL OR tenant = ?2)";
        let rows =
            sqlx::query(query).bind(plain_number(caller)).bind(tenant).fetch_all(&self.connections.readers()).await?;
        rows.iter().map(|row| row.try_get(0)).collect()
    }

    /// Deletes everything that is kept of a caller in the database. Recordings are the caller's to delete first: after this
    /// nobody knows which they were.
    pub async fn forget(&self, caller: &str, tenant: Option<&str>) -> Result<Forgotten, Trouble> {
        let plain = plain_number(caller);
        let mut forgotten = within(async {
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
                let done = sqlx::query(query).bind(&plain).bind(tenant).execute(transaction.connection()).await?;
                gone.push(done.rows_affected());
            }
            transaction.commit().await?;
            Ok(Forgotten { records: gone[0], histories: gone[1], events: gone[2], log_emptied: false })
        })
        .await?;
        forgotten.log_emptied = self.shrink().await?;
        Ok(forgotten)
    }

    /// Every call whose caller is known.
    pub async fn known_calls(&self) -> Result<HashSet<String>, sqlx::Error> {
        let query = "SELECT call FROM call_records UNION SELECT call FROM calls_under_way UNION SELECT call FROM recorded_calls";
        let rows = sqlx::query(query).fetch_all(&self.connections.readers()).await?;
        rows.iter().map(|row| row.try_get(0)).collect()
    }

    /// The calls that a recording is said to be of and that are over.
    pub async fn recorded(&self) -> Result<Vec<String>, sqlx::Error> {
        let query = "SELECT call FROM recorded_calls WHERE call NOT IN (SELECT call FROM calls_under_way)";
        let rows = sqlx::query(query).fetch_all(&self.connections.readers()).await?;
        rows.iter().map(|row| row.try_get(0)).collect()
    }

    /// The recordings of these calls are gone.
    pub async fn recordings_gone(&self, calls: &[String]) -> Result<(), Trouble> {
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
    }

    /// Deletes what has expired.
    pub async fn sweep(&self) -> Result<Swept, Trouble> {
        let now = unix_now();
        let swept = Swept {
            histories: self.sweep_table("session_histories", "expires_unix", now).await?,
            records: self.sweep_table("call_records", "expires_unix", now).await?,
            events: self.sweep_table("log_events", "expires_unix", now).await?,
            notes: self
                .sweep_table("writes_in_flight", "noted_unix", now.saturating_sub_unsigned(NOTE_KEPT.as_secs()))
                .await?,
        };
        self.shrink().await?;
        Ok(swept)
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
                tokio::time::sleep(Duration::from_millis(100)).await;
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
