//! The store of calls in a database: session histories, call records, what waits to be told, notes of what is under way.
//!
//! Invariant: once [`HistoryStore::store`] resolves well, the history survives the death of the process, and the page shows
//! it: committed, and read back by a connection that sees nothing else. A row is filed under the hash of its key, so that
//! the database alone opens no conversation.

mod claim;
mod events;
mod forgetting;
mod histories;
mod in_flight;
mod lent;
mod records;
mod under_way;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bellhop_call::ports::{Answer, Readiness};
use bellhop_connect::ports::{HistoryStore, StoreError, WriteNotes};

use super::Store;
use super::database::{CannotOpen, Database, Trouble, args, unix_now, within};
use histories::Histories;
use in_flight::InFlight;

const READ: &str = "SELECT 1";
/// Something that is written for certain, and changes nothing.
const WRITE: &str = "UPDATE schema_migrations SET applied_unix = applied_unix WHERE number = $1";

/// Every text of this file.
#[cfg(test)]
const ALL: [&str; 2] = [READ, WRITE];

/// The store of calls; clones share it.
#[derive(Debug, Clone)]
pub struct SqlStore {
    database: Database,
    /// Names this process among all that ever wrote to the database.
    server: Arc<str>,
}

impl SqlStore {
    /// Opens or creates the database of an URL like `sqlite://bellhop.db` or `sqlite::memory:`.
    pub async fn open(url: &str) -> Result<Self, CannotOpen> {
        Ok(Self::of(Database::open(url).await?))
    }

    /// Opens the database of a server; one that is not there is an error.
    pub async fn open_existing(url: &str) -> Result<Self, CannotOpen> {
        Ok(Self::of(Database::open_existing(url).await?))
    }

    /// The store in an open database, for one more process.
    pub fn of(database: Database) -> Self {
        let server: String = rand::random::<[u8; 8]>().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { database, server: server.into() }
    }

    async fn probe(&self) -> Result<(), Trouble> {
        let mut transaction = self.database.begin().await?;
        transaction.execute(WRITE, args![1_i64]).await?;
        transaction.commit().await
    }
}

impl Store for SqlStore {
    fn histories(&self, time_to_live: Duration) -> Arc<dyn HistoryStore> {
        Arc::new(Histories::new(self.database.clone(), Arc::clone(&self.server), time_to_live))
    }

    fn write_notes(&self, tenant: &str) -> Arc<dyn WriteNotes> {
        Arc::new(InFlight::new(self.database.clone(), Arc::clone(&self.server), tenant))
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

/// What a store answers through a port.
fn answer<'a, T>(work: impl Future<Output = Result<T, Trouble>> + Send + 'a) -> Answer<'a, T> {
    Box::pin(async move { work.await.map_err(StoreError::from) })
}

#[cfg(test)]
mod tests;
