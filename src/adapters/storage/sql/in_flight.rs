//! Notes of contacts that are being written to, so that what was in flight when the process died can be taken back.
//!
//! Invariant: a note is on the disk before the request that it is of leaves; it is deleted only when the outcome is known.

use std::sync::Arc;

use bellhop_connect::handoff::StoreFailed;
use bellhop_connect::ports::{HandoffsLeftBehind, NOTE_KEPT, Note, NotedWrite, Pending, StoreError, WriteNotes};

use super::servers::{lease, left_behind};
use super::{Database, SqlStore, Trouble, answer, args, unix_now, within};
use crate::storage::database::{Argument, Row};

const LEFT_BEHIND: &str = concat!(
    "SELECT contact_id, names FROM writes_in_flight WHERE ",
    left_behind!(),
    " AND tenant = $3 AND noted_unix > $4 ORDER BY id"
);
const INSERT: &str = "INSERT INTO writes_in_flight (server, tenant, contact_id, names, noted_unix)
    VALUES ($1, $2, $3, $4, $5) RETURNING id";
const NOTHING_WRITTEN: &str = "DELETE FROM writes_in_flight WHERE tenant = $1 AND id = $2";
const SETTLED: &str = "DELETE FROM writes_in_flight WHERE tenant = $1 AND contact_id = $2";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 4] = [LEFT_BEHIND, INSERT, NOTHING_WRITTEN, SETTLED];

impl HandoffsLeftBehind for SqlStore {
    fn writes_in_flight(&self, tenant: &str) -> Pending<Result<Vec<NotedWrite>, StoreError>> {
        let (tenant, this) = (tenant.to_owned(), self.clone());
        answer(async move {
            let since = unix_now().saturating_sub_unsigned(NOTE_KEPT.as_secs());
            let rows = this.database.fetch(LEFT_BEHIND, args![&*this.server, lease(), &tenant, since]).await?;
            let read = |row: &Row| {
                let names = row.text(1)?.split('\n').map(str::to_owned).collect();
                Ok(NotedWrite { contact_id: row.text(0)?.to_owned(), names })
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
    database: Database,
    server: Arc<str>,
    tenant: Arc<str>,
}

impl InFlight {
    pub(super) fn new(database: Database, server: Arc<str>, tenant: &str) -> Self {
        Self { database, server, tenant: tenant.into() }
    }

    async fn insert(self, NotedWrite { contact_id, names }: NotedWrite) -> Result<Note, Trouble> {
        let mut transaction = self.database.begin().await?;
        // A name is of letters, digits, - and _.
        let names = names.join("\n");
        let note = args![&*self.server, &*self.tenant, &contact_id, &names, unix_now()];
        let row = transaction.fetch_optional(INSERT, note).await?;
        transaction.commit().await?;
        Ok(Note(row.ok_or(Trouble::NotReadBack)?.integer(0)?))
    }

    async fn delete(self, sql: &'static str, of: Argument<'_>) -> Result<(), Trouble> {
        let mut transaction = self.database.begin().await?;
        transaction.execute(sql, args![&*self.tenant, of]).await?;
        transaction.commit().await
    }
}

impl WriteNotes for InFlight {
    fn note(&self, write: NotedWrite) -> Pending<Result<Note, StoreFailed>> {
        let this = self.clone();
        Box::pin(async move { within(this.insert(write)).await.map_err(told("noted")) })
    }

    fn nothing_written(&self, Note(id): Note) -> Pending<Result<(), StoreFailed>> {
        let this = self.clone();
        Box::pin(async move { within(this.delete(NOTHING_WRITTEN, id.into())).await.map_err(told("struck out")) })
    }

    fn settled(&self, contact_id: String) -> Pending<Result<(), StoreFailed>> {
        let this = self.clone();
        Box::pin(
            async move { within(this.delete(SETTLED, contact_id.as_str().into())).await.map_err(told("struck out")) },
        )
    }
}

fn told(what: &'static str) -> impl FnOnce(Trouble) -> StoreFailed {
    move |error| {
        tracing::error!(%error, "a write of contact attributes could not be {what}");
        StoreFailed
    }
}
