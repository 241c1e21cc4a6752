//! Session histories and call records in SQLite, with a time to live.
//!
//! Invariant: once [`HistoryStore::store`] resolves, the history survives the death of the process: write-ahead log,
//! synchronised on every commit. A row is filed under the hash of its key, so that the file alone opens no conversation.

mod records;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use bellhop_connect::handoff::StoreFailed;
use bellhop_connect::ports::{History, HistoryStore, Pending};
use bellhop_connect::session_history_key::FiledAs;
use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

pub use records::{EVENT_KEPT, Entry, Forgotten, KeptCall, SqliteRecords, Waiting};

/// Connections at once.
const CONNECTIONS: u32 = 4;

/// An open database.
#[derive(Debug, Clone)]
pub struct Database {
    pool: SqlitePool,
}

/// The histories of one tenant or of all: they differ in how long they are kept.
#[derive(Debug, Clone)]
pub struct SqliteHistories {
    pool: SqlitePool,
    time_to_live: Duration,
}

/// Why the store cannot be opened: a sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[error("the database {url} cannot be opened: {error}")]
pub struct CannotOpen {
    url: String,
    error: sqlx::Error,
}

impl Database {
    /// Opens or creates the database of an URL like `sqlite://bellhop.db` or `sqlite::memory:`.
    pub async fn open(url: &str) -> Result<Self, CannotOpen> {
        Self::open_or(url, true).await
    }

    /// Opens the database of a server; one that is not there is an error.
    pub async fn open_existing(url: &str) -> Result<Self, CannotOpen> {
        Self::open_or(url, false).await
    }

    async fn open_or(url: &str, create: bool) -> Result<Self, CannotOpen> {
        let cannot = |error| CannotOpen { url: url.to_owned(), error };
        let options = SqliteConnectOptions::from_str(url)
            .map_err(cannot)?
            .create_if_missing(create)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(2));
        // It holds what callers say: its owner's alone, and so are the files that SQLite puts beside it.
        let path = options.get_filename();
        if create && !url.contains(":memory:") && !path.exists() {
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            made.map_err(|error| cannot(error.into()))?;
        }
        let connections = if url.contains(":memory:") { 1 } else { CONNECTIONS };
        let pool = SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(Duration::from_secs(3))
            .connect_with(options)
            .await
            .map_err(cannot)?;
        let histories = "CREATE TABLE IF NOT EXISTS session_histories (
            filed_as TEXT PRIMARY KEY NOT NULL,
            tenant TEXT NOT NULL,
            json TEXT NOT NULL,
            expires_unix INTEGER NOT NULL
        ) STRICT";
        let index = "CREATE INDEX IF NOT EXISTS session_histories_expiry ON session_histories (expires_unix)";
        for table in [histories, index].into_iter().chain(records::TABLES) {
            sqlx::query(table).execute(&pool).await.map_err(cannot)?;
        }
        Ok(Self { pool })
    }

    /// The histories, those stored from here on kept for so long.
    pub fn histories(&self, time_to_live: Duration) -> SqliteHistories {
        SqliteHistories { pool: self.pool.clone(), time_to_live }
    }

    /// The call records.
    pub fn records(&self) -> SqliteRecords {
        SqliteRecords::new(self.pool.clone())
    }
}

impl SqliteHistories {
    /// The history filed under a name, unless it has expired.
    pub async fn find(&self, name: &FiledAs) -> Result<Option<History>, sqlx::Error> {
        let query = "SELECT tenant, json FROM session_histories WHERE filed_as = ? AND expires_unix > ?";
        let row = sqlx::query(query).bind(hashed(name)).bind(unix_now()).fetch_optional(&self.pool).await?;
        row.map(|row| Ok(History { tenant: row.try_get(0)?, json: row.try_get(1)? })).transpose()
    }

    /// Deletes what has expired; returns how many.
    pub async fn sweep(&self) -> Result<u64, sqlx::Error> {
        let query = sqlx::query("DELETE FROM session_histories WHERE expires_unix <= ?").bind(unix_now());
        Ok(query.execute(&self.pool).await?.rows_affected())
    }

    /// Whether the database answers.
    pub async fn is_ready(&self) -> bool {
        sqlx::query("SELECT 1").execute(&self.pool).await.is_ok()
    }
}

impl HistoryStore for SqliteHistories {
    fn store(&self, name: FiledAs, history: History) -> Pending<Result<(), StoreFailed>> {
        let (pool, expires) = (self.pool.clone(), unix_now() + self.time_to_live.as_secs() as i64);
        Box::pin(async move {
            let query = "INSERT INTO session_histories (filed_as, tenant, json, expires_unix) VALUES (?, ?, ?, ?)";
            let insert = sqlx::query(query)
                .bind(hashed(&name))
                .bind(history.tenant)
                .bind(history.json)
                .bind(expires)
                .execute(&pool);
            insert.await.map(|_| ()).map_err(|error| {
                tracing::error!(%error, "a session history could not be stored");
                StoreFailed
            })
        })
    }

    fn void(&self, name: FiledAs) -> Pending<Result<(), StoreFailed>> {
        let pool = self.pool.clone();
        Box::pin(async move {
            let delete =
                sqlx::query("DELETE FROM session_histories WHERE filed_as = ?").bind(hashed(&name)).execute(&pool);
            delete.await.map(|_| ()).map_err(|error| {
                tracing::error!(%error, "a session history could not be made void");
                StoreFailed
            })
        })
    }
}

fn hashed(name: &FiledAs) -> String {
    Sha256::digest(name.expose()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unix_now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellhop_connect::SessionHistoryKey;

    fn name(byte: u8) -> FiledAs {
        SessionHistoryKey::from_random([byte; 20]).filed_as()
    }

    fn history() -> History {
        History { tenant: "acme".into(), json: "{}".into() }
    }

    #[tokio::test]
    async fn what_is_stored_is_found_after_reopening() {
        let path = std::env::temp_dir().join(format!("bellhop-test-{}.db", std::process::id()));
        let url = format!("sqlite://{}", path.display());
        let store = Database::open(&url).await.expect("opens").histories(Duration::from_secs(60));
        store.store(name(1), history()).await.expect("stored");
        assert_eq!(store.store(name(1), history()).await, Err(StoreFailed), "a name is used once");
        drop(store);
        let store = Database::open(&url).await.expect("opens again").histories(Duration::from_secs(60));
        assert_eq!(store.find(&name(1)).await.expect("answers"), Some(history()));
        assert_eq!(store.find(&name(2)).await.expect("answers"), None);
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
        }
    }

    #[tokio::test]
    async fn what_has_expired_is_gone() {
        let store = Database::open("sqlite::memory:").await.expect("opens").histories(Duration::ZERO);
        store.store(name(1), history()).await.expect("stored");
        assert_eq!(store.find(&name(1)).await.expect("answers"), None);
        assert_eq!(store.sweep().await.expect("sweeps"), 1);
    }

    #[tokio::test]
    async fn a_place_that_is_none_is_one_sentence() {
        let error = Database::open("sqlite:///nowhere/at/all.db").await.expect_err("no such folder");
        assert!(error.to_string().starts_with("the database sqlite:///nowhere/at/all.db cannot be opened"), "{error}");
    }
}
