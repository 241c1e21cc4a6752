//! Notes of contacts that are being written to, so that what was in flight when the process died can be taken back.
//!
//! Invariant: a note is on the disk before the request that it is of leaves; it is deleted only when the outcome is known.

use std::sync::Arc;

use bellhop_connect::handoff::StoreFailed;
use bellhop_connect::ports::{HandoffsLeftBehind, NOTE_KEPT, Note, NotedWrite, Pending, StoreError, WriteNotes};

use super::deed::Deed;
use super::servers::{lease, left_behind};
use super::{Database, SqlStore, Trouble, answer, args, unix_now, within};
use crate::storage::database::Row;

const LEFT_BEHIND: &str = concat!(
    "SELECT contact_id, names FROM writes_in_flight WHERE ",
    left_behind!(),
    " AND tenant = $3 AND noted_unix > $4 ORDER BY id"
);
const INSERT: &str = "INSERT INTO writes_in_flight (server, tenant, contact_id, names, noted_unix)
    VALUES ($1, $2, $3, $4, $5) RETURNING id";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 2] = [LEFT_BEHIND, INSERT];

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
pub(in crate::storage) struct InFlight {
    database: Database,
    server: Arc<str>,
    tenant: Arc<str>,
}

impl InFlight {
    pub(super) fn new(database: Database, server: Arc<str>, tenant: &str) -> Self {
        Self { database, server, tenant: tenant.into() }
    }

    /// Notes a write.
    pub(in crate::storage) async fn insert(
        &self,
        NotedWrite { contact_id, names }: &NotedWrite,
    ) -> Result<Note, Trouble> {
        let mut transaction = self.database.begin().await?;
        let names = joined(names);
        let note = args![&*self.server, &*self.tenant, contact_id, &names, unix_now()];
        let row = transaction.fetch_optional(INSERT, note).await?;
        transaction.commit().await?;
        Ok(Note(row.ok_or(Trouble::NotReadBack)?.integer(0)?))
    }

    /// The same note as what is done later.
    pub(in crate::storage) fn noted(&self, NotedWrite { contact_id, names }: &NotedWrite) -> Deed {
        Deed::Noted {
            server: self.server.to_string(),
            tenant: self.tenant.to_string(),
            contact_id: contact_id.clone(),
            names: joined(names),
            noted_unix: unix_now(),
        }
    }

    /// Nothing was written of what a note of this database says.
    pub(in crate::storage) fn struck(&self, id: i64) -> Deed {
        Deed::Struck { tenant: self.tenant.to_string(), id }
    }

    /// Nothing was written of what a note says that came, or will come, by a spool.
    pub(in crate::storage) fn struck_spooled(&self, spooled_as: String) -> Deed {
        Deed::StruckSpooled { tenant: self.tenant.to_string(), spooled_as }
    }

    /// What a contact holds is known.
    pub(in crate::storage) fn settled_of(&self, contact_id: String) -> Deed {
        Deed::Settled { tenant: self.tenant.to_string(), contact_id }
    }
}

/// A name is of letters, digits, - and _.
fn joined(names: &[String]) -> String {
    names.join("\n")
}

impl WriteNotes for InFlight {
    fn note(&self, write: NotedWrite) -> Pending<Result<Note, StoreFailed>> {
        let this = self.clone();
        Box::pin(async move { within(this.insert(&write)).await.map_err(told("noted")) })
    }

    fn nothing_written(&self, Note(id): Note) -> Pending<Result<(), StoreFailed>> {
        let (struck, this) = (self.struck(id), self.clone());
        Box::pin(async move { within(struck.alone(&this.database)).await.map_err(told("struck out")) })
    }

    fn settled(&self, contact_id: String) -> Pending<Result<(), StoreFailed>> {
        let (settled, this) = (self.settled_of(contact_id), self.clone());
        Box::pin(async move { within(settled.alone(&this.database)).await.map_err(told("struck out")) })
    }
}

pub(in crate::storage) fn told(what: &'static str) -> impl FnOnce(Trouble) -> StoreFailed {
    move |error| {
        tracing::error!(%error, "a write of contact attributes could not be {what}");
        StoreFailed
    }
}
