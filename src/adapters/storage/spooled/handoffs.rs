//! What hand-offs leave, while the database answers and while it is away: histories, and notes of writes.
//!
//! Invariant: a history is told as stored once it was read back from where it was committed; a key that is void here is not shown,
//! wherever its history is.

use bellhop_connect::handoff::StoreFailed;
use bellhop_connect::ports::{
    Counted, FiledHistories, HandoffsLeftBehind, HistoriesKept, History, HistoryStore, Note, NotedWrite, Pending,
    Reader, StoreError, WriteNotes,
};
use bellhop_connect::session_history_key::FiledAs;

use super::SpooledStore;
use crate::storage::database::Trouble;
use crate::storage::spool::Known;
use crate::storage::sql::deed::Deed;
use crate::storage::sql::histories::{self, Given, hashed};
use crate::storage::sql::in_flight::{self, InFlight};
use crate::storage::sql::reads;
use crate::storage::sql::spooled_as;

impl FiledHistories for SpooledStore {
    fn find_history(&self, name: &FiledAs) -> Pending<Result<Option<History>, StoreError>> {
        let (filed_as, this, in_database) = (hashed(name), self.clone(), self.0.primary.find_history(name));
        Box::pin(async move {
            // What is deleted here is in the database by then: so it is looked for here first.
            if this.0.is_away() {
                match this.0.spool.find(&filed_as).await {
                    Ok(Known::Filed(history, _)) => return Ok(Some(history)),
                    Ok(Known::Void) => return Ok(None),
                    Ok(Known::Nothing) => {}
                    Err(error) => tracing::error!(%error, "the spool cannot be read"),
                }
            }
            let found = tokio::time::timeout(super::DIRECT_WITHIN, in_database).await;
            let found = found.unwrap_or_else(|_| Err(Trouble::Overdue.into()));
            // Of what is not there the database alone can tell.
            found.or_else(|error| this.0.recent.find(&filed_as).map(Some).ok_or(error))
        })
    }

    fn count_read(&self, name: &FiledAs, by: &Reader) -> Pending<Result<Counted, StoreError>> {
        let (filed_as, this) = (hashed(name), self.clone());
        let reader = reads::hashed(&filed_as, by);
        Box::pin(async move { this.count(&filed_as, &reader).await.map_err(StoreError::from) })
    }
}

impl HandoffsLeftBehind for SpooledStore {
    fn writes_in_flight(&self, tenant: &str) -> Pending<Result<Vec<NotedWrite>, StoreError>> {
        self.0.primary.writes_in_flight(tenant)
    }

    fn void_lent(&self) -> Pending<Result<u64, StoreError>> {
        self.0.primary.void_lent()
    }
}

/// Stores histories that are kept so.
#[derive(Clone)]
pub(super) struct Histories {
    store: SpooledStore,
    direct: histories::Histories,
}

impl Histories {
    pub(super) fn new(store: SpooledStore, kept: HistoriesKept) -> Self {
        Self { direct: store.0.primary.histories_kept(kept), store }
    }

    async fn insert(self, name: FiledAs, history: History, given: Given) -> Result<(), Trouble> {
        let filed_as = hashed(&name);
        let deed = || Deed::History {
            filed_as: filed_as.clone(),
            tenant: history.tenant.clone(),
            json: history.json.clone(),
            expires_unix: self.direct.expires(),
            lent_by: (given == Given::Lent).then(|| self.direct.server().to_owned()),
            reads: self.direct.reads(),
        };
        let direct = self.direct.insert(&filed_as, &history, given);
        let is_kept = self.store.write_or_keep(async { direct.await.map(|()| false) }, || vec![vec![deed()]], |_| true);
        let is_kept = is_kept.await?;
        if !is_kept {
            self.store.0.recent.keep(&filed_as, &history, self.direct.reads());
        } else if matches!(self.store.0.spool.find(&filed_as).await?, Known::Nothing) {
            // It may be in the database by now.
            let found = self.store.0.primary.find_history(&name).await;
            return found.ok().flatten().map(drop).ok_or(Trouble::NotReadBack);
        }
        Ok(())
    }

    async fn change(self, deed: Deed) -> Result<(), Trouble> {
        self.store.change(deed).await
    }
}

impl SpooledStore {
    /// One deed that answers nothing.
    async fn change(&self, deed: Deed) -> Result<(), Trouble> {
        let again = deed.clone();
        self.write_or_keep(deed.alone(self.0.primary.database()), || vec![vec![again]], |_| ()).await
    }
}

impl HistoryStore for Histories {
    fn store(&self, name: FiledAs, history: History) -> Pending<Result<(), StoreFailed>> {
        let this = self.clone();
        Box::pin(async move { this.insert(name, history, Given::Kept).await.map_err(histories::told("stored")) })
    }

    fn lend(&self, name: FiledAs, history: History) -> Pending<Result<(), StoreFailed>> {
        let this = self.clone();
        Box::pin(async move { this.insert(name, history, Given::Lent).await.map_err(histories::told("stored")) })
    }

    fn earned(&self, name: FiledAs) -> Pending<Result<(), StoreFailed>> {
        let (this, earned) = (self.clone(), Deed::Earned { filed_as: hashed(&name) });
        Box::pin(async move { this.change(earned).await.map_err(histories::told("kept for good")) })
    }

    fn void(&self, name: FiledAs) -> Pending<Result<(), StoreFailed>> {
        let (this, void) = (self.clone(), Deed::Void { filed_as: hashed(&name) });
        this.store.0.recent.forget(&hashed(&name));
        Box::pin(async move { this.change(void).await.map_err(histories::told("made void")) })
    }
}

/// One tenant's notes. Those of the spool have numbers below zero.
#[derive(Clone)]
pub(super) struct Notes {
    store: SpooledStore,
    direct: InFlight,
}

impl Notes {
    pub(super) fn new(store: SpooledStore, tenant: &str) -> Self {
        Self { direct: store.0.primary.notes_of(tenant), store }
    }

    async fn insert(self, write: NotedWrite) -> Result<Note, Trouble> {
        let deed = || vec![vec![self.direct.noted(&write)]];
        let number = |numbers: &[i64]| numbers.first().copied().unwrap_or_default();
        self.store.write_or_keep(self.direct.insert(&write), deed, |numbers| Note(-number(numbers))).await
    }
}

impl WriteNotes for Notes {
    fn note(&self, write: NotedWrite) -> Pending<Result<Note, StoreFailed>> {
        let this = self.clone();
        Box::pin(async move { this.insert(write).await.map_err(in_flight::told("noted")) })
    }

    fn nothing_written(&self, Note(id): Note) -> Pending<Result<(), StoreFailed>> {
        let struck = match id {
            0.. => self.direct.struck(id),
            _ => self.direct.struck_spooled(spooled_as(self.store.0.spool.name(), -id)),
        };
        let store = self.store.clone();
        Box::pin(async move { store.change(struck).await.map_err(in_flight::told("struck out")) })
    }

    fn settled(&self, contact_id: String) -> Pending<Result<(), StoreFailed>> {
        let (store, settled) = (self.store.clone(), self.direct.settled_of(contact_id));
        Box::pin(async move { store.change(settled).await.map_err(in_flight::told("struck out")) })
    }
}
