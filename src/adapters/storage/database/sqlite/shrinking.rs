//! What was deleted leaves the file: free pages go back to the file system, and the write-ahead log, which still has the
//! pages as they were, is emptied.
//!
//! Invariant: nobody waits for more than [`PAGES_AT_ONCE`].

use std::time::Duration;

use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::{Connections, Trouble, within};

/// Free pages given back at once.
const PAGES_AT_ONCE: u32 = 2000;
/// Tries to empty the log while others read.
const TRIES: u32 = 5;
/// The pause between two of them.
const TRIED_AGAIN_AFTER: Duration = Duration::from_millis(100);

impl Connections {
    /// Gives free pages back and empties the log; whether the log is empty now.
    pub(in super::super) async fn shrink(&self) -> Result<bool, Trouble> {
        let mut free = u32::MAX;
        // Some at a time, and only while it helps: a database that was not made for it keeps its free pages.
        loop {
            let mut left = 0;
            let some = format!("PRAGMA incremental_vacuum({PAGES_AT_ONCE})");
            within(self.maintain(async |connection| {
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
            within(self.maintain(async |connection| {
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

/// A database that was made without it is rewritten once, so that it can shrink. Where that fails it only cannot shrink.
pub(super) async fn make_it_shrink(connection: &mut SqliteConnection) {
    const INCREMENTAL: i64 = 2;
    let mode =
        sqlx::query("PRAGMA auto_vacuum").fetch_one(&mut *connection).await.and_then(|row| row.try_get::<i64, _>(0));
    if !matches!(mode, Ok(mode) if mode != INCREMENTAL) {
        return;
    }
    if let Err(error) = sqlx::raw_sql("PRAGMA auto_vacuum = INCREMENTAL; VACUUM").execute(&mut *connection).await {
        tracing::warn!(%error, "the database could not be rewritten: it does not shrink until the next start");
    }
}
