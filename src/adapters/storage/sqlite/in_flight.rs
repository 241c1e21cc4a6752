//! Notes of contacts that are being written to, so that what was in flight when the process died can be taken back.
//!
//! Invariant: a note is on the disk before the request that it is of leaves; it is deleted only when the outcome is known.

use std::sync::Arc;

use bellhop_connect::handoff::StoreFailed;
use bellhop_connect::ports::{HandoffsLeftBehind, NOTE_KEPT, Note, NotedWrite, Pending, StoreError, WriteNotes};
use sqlx::Row;

use super::connections::{Connections, within};
use super::{Database, Trouble, answer, unix_now};

impl HandoffsLeftBehind for Database {
    fn writes_in_flight(&self, tenant: &str) -> Pending<Result<Vec<NotedWrite>, StoreError>> {
        let (tenant, server, readers) = (tenant.to_owned(), Arc::clone(&self.server), self.connections.readers());
        answer(async move {
            let query =
                "SELECT contact_id, names FROM writes_in_flight WHERE tenant = ? AND server <> ? AND noted_unix > ?
                ORDER BY id";
            let since = unix_now().saturating_sub_unsigned(NOTE_KEPT.as_secs());
            let asked = sqlx::query(query).bind(tenant).bind(&*server).bind(since);
            let rows = asked.fetch_all(&readers).await?;
            let read = |row: &sqlx::sqlite::SqliteRow| {
                let names: &str = row.try_get(1)?;
                Ok(NotedWrite { contact_id: row.try_get(0)?, names: names.split('\n').map(str::to_owned).collect() })
            };
            rows.iter().map(read).collect()
        })
    }

    fn void_lent(&self) -> Pending<Result<u64, StoreError>> {
        let this = self.clone();
        answer(async move { within(this.void_left_behind()).await })
    }
}

/// One tenant's notes.
#[derive(Debug, Clone)]
pub(super) struct InFlight {
    connections: Connections,
    server: Arc<str>,
    tenant: Arc<str>,
}

impl InFlight {
    pub(super) fn new(connections: Connections, server: Arc<str>, tenant: &str) -> Self {
        Self { connections, server, tenant: tenant.into() }
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
