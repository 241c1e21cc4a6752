//! Where the tests of this folder keep what they store.
//!
//! Each place is empty at first, its test's alone, and gone with it.

#[allow(unreachable_pub)] // the tests of the whole have it too
#[path = "../../../tests/support/postgres.rs"]
pub(super) mod postgres;

use std::path::PathBuf;
use std::sync::Arc;

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, PgConnection};

use self::postgres::Cluster;
use super::suite::Place;
use super::{SqlStore, Store};

const READS_END: &str = "UPDATE session_histories SET read_until_unix = 1 WHERE read_until_unix > 1";

/// A folder of its own with a database in it, gone with this.
pub(super) struct Folder(tempfile::TempDir);

impl Place for Folder {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.database().await)
    }

    async fn let_all_expire(&self) {
        let tables = ["session_histories", "call_records", "log_events"];
        let all: String = tables.map(|table| format!("UPDATE {table} SET expires_unix = 1;")).concat();
        sqlx::raw_sql(sqlx::AssertSqlSafe(all)).execute(&mut self.stranger().await).await.expect("set");
    }

    async fn let_all_reads_end(&self) {
        sqlx::raw_sql(READS_END).execute(&mut self.stranger().await).await.expect("set");
    }
}

impl Folder {
    pub(super) fn new(name: &str) -> Self {
        let prefix = format!("bellhop-database-{name}-");
        Self(tempfile::Builder::new().prefix(&prefix).tempdir().expect("a folder"))
    }

    pub(super) fn url(&self) -> String {
        format!("sqlite://{}", self.file("").display())
    }

    pub(super) fn file(&self, suffix: &str) -> PathBuf {
        self.0.path().join(format!("bellhop.db{suffix}"))
    }

    pub(super) async fn database(&self) -> SqlStore {
        SqlStore::open(&self.url(), None).await.expect("opens")
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

/// A PostgreSQL database of its own, in a cluster that is shared or its own.
pub(super) struct Tables {
    pub(super) cluster: Cluster,
    pub(super) url: String,
}

impl Place for Tables {
    /// As one more server, and the only one that still lives.
    async fn open(&self) -> Arc<dyn Store> {
        let _ = sqlx::raw_sql("UPDATE servers SET seen_unix = 0").execute(&mut self.stranger().await).await;
        let store = self.store().await;
        self.make_steady().await;
        Arc::new(store)
    }

    async fn let_all_expire(&self) {
        let tables = ["session_histories", "call_records", "log_events"];
        let all: String = tables.map(|table| format!("UPDATE {table} SET expires_unix = 1;")).concat();
        sqlx::raw_sql(sqlx::AssertSqlSafe(all)).execute(&mut self.stranger().await).await.expect("set");
    }

    async fn let_all_reads_end(&self) {
        sqlx::raw_sql(READS_END).execute(&mut self.stranger().await).await.expect("set");
    }
}

impl Tables {
    pub(super) fn new(name: &str) -> Self {
        Self::of(Cluster::shared(), name)
    }

    /// In a cluster that may be stopped.
    pub(super) fn apart(name: &str) -> Self {
        Self::of(Cluster::own(name), name)
    }

    fn of(cluster: Cluster, name: &str) -> Self {
        let url = cluster.database(name);
        Self { cluster, url }
    }

    pub(super) async fn store(&self) -> SqlStore {
        SqlStore::open(&self.url, None).await.expect("opens")
    }

    /// Whoever lives has lived for a lease.
    pub(super) async fn make_steady(&self) {
        let steady = "UPDATE servers SET steady_unix = 0 WHERE seen_unix > 0";
        sqlx::raw_sql(steady).execute(&mut self.stranger().await).await.expect("set");
    }

    pub(super) async fn stranger(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.expect("connects")
    }
}
