//! Where the tests of this folder keep what they store.
//!
//! Each place is empty at first, its test's alone, and gone with it.

use std::path::PathBuf;
use std::sync::Arc;

use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

use super::suite::Place;
use super::{SqlStore, Store};

/// A folder of its own with a database in it, gone with this.
pub(super) struct Folder(PathBuf);

impl Place for Folder {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.database().await)
    }

    async fn let_all_expire(&self) {
        let tables = ["session_histories", "call_records", "log_events"];
        let all: String = tables.map(|table| format!("UPDATE {table} SET expires_unix = 1;")).concat();
        sqlx::raw_sql(sqlx::AssertSqlSafe(all)).execute(&mut self.stranger().await).await.expect("set");
    }
}

impl Folder {
    pub(super) fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("bellhop-database-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    pub(super) fn url(&self) -> String {
        format!("sqlite://{}", self.file("").display())
    }

    pub(super) fn file(&self, suffix: &str) -> PathBuf {
        self.0.join(format!("bellhop.db{suffix}"))
    }

    pub(super) async fn database(&self) -> SqlStore {
        SqlStore::open(&self.url()).await.expect("opens")
    }

    /// Somebody else's connection: it sees what is committed, and can lock everybody out.
    pub(super) async fn stranger(&self) -> SqliteConnection {
        SqliteConnection::connect(&self.url()).await.expect("connects")
    }

    /// Whether these bytes lie anywhere on the disk.
    pub(super) fn holds(&self, text: &str) -> bool {
        ["", "-wal"].iter().any(|suffix| {
            let bytes = std::fs::read(self.file(suffix)).unwrap_or_default();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
