//! The store of calls in a database: session histories, call records, what waits to be told, notes of what is under way.
//!
//! Invariant: once [`HistoryStore::store`] resolves well, the history survives the death of the process, and the page shows
//! it: committed, and read back by a connection that sees nothing else. A row is filed under the hash of its key, so that
//! the database alone opens no conversation.

mod claim;
pub(super) mod deed;
mod events;
mod figures;
mod forgetting;
pub(super) mod histories;
pub(super) mod in_flight;
mod lent;
pub(super) mod reads;
mod records;
mod replay;
mod rows;
mod servers;
mod under_way;
mod usage;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bellhop_call::ports::{Answer, Readiness};
use bellhop_connect::ports::{HistoriesKept, HistoryStore, StoreError, WriteNotes};
use futures_util::TryFutureExt;

use super::Store;
use super::database::{CannotOpen, Database, Trouble, args, unix_now, within};
use histories::Histories;
use in_flight::InFlight;
pub(super) use replay::spooled_as;
use servers::Alive;

const READ: &str = "SELECT 1";
/// Something that is written for certain: a row whose values stay as they are is written by no SQLite.
const WRITE: &str = "INSERT INTO servers (name, seen_unix, steady_unix) VALUES ('', 0, 0)";
const TAKE_BACK: &str = "DELETE FROM servers WHERE name = ''";

/// Every text of this file.
#[cfg(test)]
const ALL: [&str; 3] = [READ, WRITE, TAKE_BACK];

/// The store of calls; clones share it.
#[derive(Debug, Clone)]
pub struct SqlStore {
    database: Database,
    /// Names this process among all that ever wrote to the database.
    server: Arc<str>,
    /// Of a database that is shared: tells the others that this server lives.
    _alive: Option<Arc<Alive>>,
}

impl SqlStore {
    /// Opens or creates a database ([`Database::open`]) as one more server.
    pub async fn open(url: &str, password: Option<&str>) -> Result<Self, CannotOpen> {
        Self::join(Database::open(url, password).await?).await.map_err(|why| CannotOpen::of(url, why))
    }

    /// Opens the database of a server, for who only looks at it; one that is not there is an error.
    pub async fn open_existing(url: &str, password: Option<&str>) -> Result<Self, CannotOpen> {
        Ok(Self::of(Database::open_existing(url, password).await?))
    }

    /// The store in an open database, for one more server.
    async fn join(database: Database) -> Result<Self, Trouble> {
        let store = Self::of(database);
        if !store.database.is_shared() {
            return Ok(store);
        }
        let alive = servers::join(&store.database, &store.server).await?;
        Ok(Self { _alive: Some(Arc::new(alive)), ..store })
    }

    fn of(database: Database) -> Self {
        let server: String = rand::random::<[u8; 8]>().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { database, server: server.into(), _alive: None }
    }

    /// What it is kept in.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The histories, as what they are made of.
    pub(super) fn histories_kept(&self, kept: HistoriesKept) -> Histories {
        Histories::new(self.database.clone(), Arc::clone(&self.server), kept)
    }

    /// The notes of a tenant, as what they are made of.
    pub(super) fn notes_of(&self, tenant: &str) -> InFlight {
        InFlight::new(self.database.clone(), Arc::clone(&self.server), tenant)
    }

    /// Writes something, and takes it back.
    pub(super) async fn probe(&self) -> Result<(), Trouble> {
        let mut transaction = self.database.begin().await?;
        transaction.execute(WRITE, args![]).await?;
        transaction.execute(TAKE_BACK, args![]).await?;
        transaction.commit().await
    }
}

impl Store for SqlStore {
    fn histories(&self, kept: HistoriesKept) -> Arc<dyn HistoryStore> {
        Arc::new(self.histories_kept(kept))
    }

    fn write_notes(&self, tenant: &str) -> Arc<dyn WriteNotes> {
        Arc::new(self.notes_of(tenant))
    }
}

impl Readiness for SqlStore {
    fn is_ready(&self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(async {
            let reads = self.database.fetch(READ, args![]).await.is_ok();
            reads && (!self.database.is_failing() || within(self.probe()).await.is_ok())
        })
    }
}

/// What a store answers through a port. A block would have room for the work twice.
pub(super) fn answer<'a, T>(work: impl Future<Output = Result<T, Trouble>> + Send + 'a) -> Answer<'a, T> {
    Box::pin(work.map_err(StoreError::from))
}

#[cfg(test)]
mod tests;
