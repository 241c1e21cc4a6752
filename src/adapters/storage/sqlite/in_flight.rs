//! Notes of contacts that are being written to, so that what was in flight when the process died can be taken back.
//!
//! Invariant: a note is on the disk before the request that it is of leaves; it is deleted only when the outcome is known.

use std::sync::Arc;
use std::time::Duration;

use bellhop_connect::handoff::StoreFailed;
use bellhop_connect::ports::{Note, NotedWrite, Pending, WriteNotes};
use sqlx::Row;

use super::connections::{Connections, within};
use super::{Trouble, unix_now};

/// How long a note waits for somebody who can take its write back. The session history that the key is of expires too.
pub const NOTE_KEPT: Duration = Duration::from_secs(24 * 3600);

/// One tenant's notes.
#[derive(Debug, Clone)]
pub struct InFlight {
    connections: Connections,
    server: Arc<str>,
    tenant: Arc<str>,
}

impl InFlight {
    pub(super) fn new(connections: Connections, server: Arc<str>, tenant: &str) -> Self {
        Self { connections, server, tenant: tenant.into() }
    }

    /// What other processes left in flight. Only for who is alone on the database.
    pub async fn left_behind(&self) -> Result<Vec<NotedWrite>, sqlx::Error> {
        let query =
            "SELECT contact_id, names FROM writes_in_flight WHERE tenant = ? AND server <> ? AND noted_unix > ?";
        let rows = sqlx::query(query)
            .bind(&*self.tenant)
            .bind(&*self.server)
            .bind(unix_now().saturating_sub_unsigned(NOTE_KEPT.as_secs()))
            .fetch_all(&self.connections.readers())
            .await?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            let names: &str = row.try_get(1)?;
            Ok(NotedWrite { contact_id: row.try_get(0)?, names: names.split('\n').map(str::to_owned).collect() })
        };
        rows.iter().map(read).collect()
    }

    async fn insert(self, NotedWrite { contact_id, names }: NotedWrite) -> Result<Note, Trouble> {
        let mut transaction = self.connections.begin().await?;
        let query =
            "INSERT INTO writes_in_flight (server, tenant, contact_id, names, noted_unix) VALUES (?, ?, ?, ?, ?)";
        let insert = sqlx::query(query)
            .bind(&*self.server)
            .bind(&*self.tenant)
            .bind(contact_id)
            // A name is of letters, digits, - and _.
            .bind(names.join("\n"))
            .bind(unix_now());
        let id = insert.execute(transaction.connection()).await?.last_insert_rowid();
        transaction.commit().await?;
        Ok(Note(id))
    }

    async fn delete(self, query: &'static str, of: String) -> Result<(), Trouble> {
        let mut transaction = self.connections.begin().await?;
        sqlx::query(query).bind(&*self.tenant).bind(of).execute(transaction.connection()).await?;
        transaction.commit().await
    }
}

impl WriteNotes for InFlight {
    fn note(&self, write: NotedWrite) -> Pending<Result<Note, StoreFailed>> {
        let this = self.clone();
        Box::pin(async move { within(this.insert(write)).await.map_err(told("noted")) })
    }

    fn nothing_written(&self, Note(id): Note) -> Pending<Result<(), StoreFailed>> {
        let query = "DELETE FROM writes_in_flight WHERE tenant = ? AND id = CAST(? AS INTEGER)";
        let deleting = self.clone().delete(query, id.to_string());
        Box::pin(async move { within(deleting).await.map_err(told("struck out")) })
    }

    fn settled(&self, contact_id: String) -> Pending<Result<(), StoreFailed>> {
        let query = "DELETE FROM writes_in_flight WHERE tenant = ? AND contact_id = ?";
        let deleting = self.clone().delete(query, contact_id);
        Box::pin(async move { within(deleting).await.map_err(told("struck out")) })
    }
}

fn told(what: &'static str) -> impl FnOnce(Trouble) -> StoreFailed {
    move |error| {
        tracing::error!(%error, "a write of contact attributes could not be {what}");
        StoreFailed
    }
}
