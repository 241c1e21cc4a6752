//! Session histories: stored for the agent's page, found by it, void when the transfer did not come about.
//!
//! Invariant: what is told as stored was read back by a connection that sees nothing but what is committed; what is only lent
//! has a note of it in the same transaction (`lent.rs`).

use std::sync::Arc;

use bellhop_connect::handoff::StoreFailed;
use bellhop_connect::ports::{
    Counted, FiledHistories, HistoriesKept, History, HistoryStore, Pending, Reader, StoreError,
};
use bellhop_connect::session_history_key::FiledAs;
use sha2::{Digest, Sha256};

use super::deed::Deed;
use super::{Database, SqlStore, Trouble, answer, args, lent, reads, unix_now, within};

/// What was read as often as it may be is looked for as what never was; only while somebody reads it, it is there.
const FIND: &str = "SELECT tenant, json FROM session_histories WHERE filed_as = $1 AND expires_unix > $2
    AND (reads_left IS NULL OR reads_left > 0 OR read_until_unix > $2)";
const INSERT: &str = "INSERT INTO session_histories (filed_as, tenant, json, expires_unix, reads_left)
    VALUES ($1, $2, $3, $4, $5)";
const IS_THERE: &str = "SELECT 1 FROM session_histories WHERE filed_as = $1";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 3] = [FIND, INSERT, IS_THERE];

impl FiledHistories for SqlStore {
    fn find_history(&self, name: &FiledAs) -> Pending<Result<Option<History>, StoreError>> {
        let (filed_as, database) = (hashed(name), self.database.clone());
        answer(async move {
            let row = database.fetch_optional(FIND, args![&filed_as, unix_now()]).await?;
            row.map(|row| Ok(History { tenant: row.text(0)?.to_owned(), json: row.text(1)?.to_owned() })).transpose()
        })
    }

    fn count_read(&self, name: &FiledAs, by: &Reader) -> Pending<Result<Counted, StoreError>> {
        let (filed_as, this) = (hashed(name), self.clone());
        let reader = reads::hashed(&filed_as, by);
        answer(async move { this.count_one(&filed_as, &reader).await })
    }
}

/// Stores histories that are kept so.
#[derive(Debug, Clone)]
pub(in crate::storage) struct Histories {
    database: Database,
    server: Arc<str>,
    kept: HistoriesKept,
}

impl Histories {
    pub(super) fn new(database: Database, server: Arc<str>, kept: HistoriesKept) -> Self {
        Self { database, server, kept }
    }

    /// Stores a history under the hash of its name, and looks whether it is there.
    pub(in crate::storage) async fn insert(
        &self,
        filed_as: &str,
        history: &History,
        given: Given,
    ) -> Result<(), Trouble> {
        let mut transaction = self.database.begin().await?;
        if given == Given::Lent {
            lent::note(&mut transaction, filed_as, &self.server).await?;
        }
        let reads = self.kept.reads.map(i64::from);
        transaction.execute(INSERT, args![filed_as, &history.tenant, &history.json, self.expires(), reads]).await?;
        transaction.commit().await?;
        // The page reads by another connection: what that one does not see, no agent would.
        match self.database.fetch_optional(IS_THERE, args![filed_as]).await? {
            Some(_) => Ok(()),
            None => Err(Trouble::NotReadBack),
        }
    }

    /// When what is stored now expires, in seconds since 1970.
    pub(in crate::storage) fn expires(&self) -> i64 {
        unix_now().saturating_add_unsigned(self.kept.lasts.as_secs())
    }

    /// How often what is stored now may be read.
    pub(in crate::storage) fn reads(&self) -> Option<u32> {
        self.kept.reads
    }

    /// The server whose notes these are.
    pub(in crate::storage) fn server(&self) -> &str {
        &self.server
    }
}

impl HistoryStore for Histories {
    fn store(&self, name: FiledAs, history: History) -> Pending<Result<(), StoreFailed>> {
        let this = self.clone();
        Box::pin(
            async move { within(this.insert(&hashed(&name), &history, Given::Kept)).await.map_err(told("stored")) },
        )
    }

    fn lend(&self, name: FiledAs, history: History) -> Pending<Result<(), StoreFailed>> {
        let this = self.clone();
        Box::pin(
            async move { within(this.insert(&hashed(&name), &history, Given::Lent)).await.map_err(told("stored")) },
        )
    }

    fn earned(&self, name: FiledAs) -> Pending<Result<(), StoreFailed>> {
        let this = self.clone();
        let earned = Deed::Earned { filed_as: hashed(&name) };
        Box::pin(async move { within(earned.alone(&this.database)).await.map_err(told("kept for good")) })
    }

    fn void(&self, name: FiledAs) -> Pending<Result<(), StoreFailed>> {
        let this = self.clone();
        let void = Deed::Void { filed_as: hashed(&name) };
        Box::pin(async move { within(void.alone(&this.database)).await.map_err(told("made void")) })
    }
}

/// Whether a key waits in here for its hand-off, or goes out before it is known what comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) enum Given {
    /// It waits.
    Kept,
    /// It goes out.
    Lent,
}

pub(in crate::storage) fn told(what: &'static str) -> impl FnOnce(Trouble) -> StoreFailed {
    move |error| {
        tracing::error!(%error, "a session history could not be {what}");
        StoreFailed
    }
}

pub(in crate::storage) fn hashed(name: &FiledAs) -> String {
    Sha256::digest(name.expose()).iter().map(|byte| format!("{byte:02x}")).collect()
}
