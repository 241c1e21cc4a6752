//! A store that goes on while its database is away: what is written then goes into a spool on this server's disk, and from
//! there into the database once that is back.
//!
//! ```text
//!             a write fails, or a look at readiness does
//!   direct ────────────────────────────────────────────▶ away: every write goes into the spool
//!      ▲                                                   │
//!      └── the database takes writes, and the spool is empty (`spooled/replaying.rs`)
//! ```
//!
//! Invariant: what is told as written is on the disk of the database or of the spool, and reaches the database in the order in which
//! it was written, once: nothing is written past what waits. A spool that is full or fails makes a store that is away fail.

mod handoffs;
mod reads;
mod recent;
mod records;
mod replaying;

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bellhop_call::ports::{Claim, NotClaimed, Readiness, SoleUse, Spooled, Written};
use bellhop_connect::ports::{HistoriesKept, HistoryStore, WriteNotes};
use tokio::sync::RwLock;
use tokio::task::JoinHandle;

use super::database::{CannotOpen, Trouble};
use super::spool::{SPOOL_BYTES, Spool};
use super::sql::deed::Deed;
use super::{SqlStore, Store};
use crate::task;
use handoffs::{Histories, Notes};
use recent::Recent;

/// The longest that a caller waits for a database that may be away: then it is, and nobody waits for it any more.
const DIRECT_WITHIN: Duration = Duration::from_millis(1500);

/// A store with a spool; clones share it.
#[derive(Clone)]
pub struct SpooledStore(Arc<Inner>);

struct Inner {
    primary: SqlStore,
    spool: Spool,
    recent: Recent,
    away: AtomicBool,
    /// Who counts a read while the database is away has it: nobody else looks at what is left meanwhile.
    counting: tokio::sync::Mutex<()>,
    /// Who puts something into the spool has it; who ends the use of the spool has it alone.
    turn: RwLock<()>,
    /// What became of events that were replayed, for whoever writes next.
    told: Mutex<Written>,
    replaying: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let replaying = self.replaying.get_mut().unwrap_or_else(PoisonError::into_inner);
        replaying.take().inspect(JoinHandle::abort);
    }
}

impl SpooledStore {
    /// A store with the spool at a path, which is made if it is not there. What a former process left in it is replayed.
    pub async fn open(primary: SqlStore, spool: &Path) -> Result<Self, CannotOpen> {
        Self::with_room(primary, spool, SPOOL_BYTES).await
    }

    async fn with_room(primary: SqlStore, spool: &Path, room: u64) -> Result<Self, CannotOpen> {
        let spool = Spool::open(spool, room).await?;
        // What is left in it goes first.
        let away = AtomicBool::new(spool.taken().entries > 0);
        let inner = Arc::new(Inner {
            primary,
            spool,
            recent: Recent::default(),
            away,
            counting: tokio::sync::Mutex::default(),
            turn: RwLock::default(),
            told: Mutex::default(),
            replaying: Mutex::default(),
        });
        let task = task::spawn(replaying::stay(Arc::downgrade(&inner)));
        *inner.replaying.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        Ok(Self(inner))
    }

    /// Writes to the database, or, while that is away, into the spool; what the database never would take is an error.
    async fn write_or_keep<T>(
        &self,
        direct: impl Future<Output = Result<T, Trouble>>,
        deeds: impl FnOnce() -> Vec<Vec<Deed>>,
        kept: impl FnOnce(&[i64]) -> T,
    ) -> Result<T, Trouble> {
        self.write_or(direct, async { Ok(kept(&self.0.spool.keep(deeds()).await?)) }).await
    }

    /// Writes to the database, or, while that is away, does something else, which may put things into the spool.
    async fn write_or<T>(
        &self,
        direct: impl Future<Output = Result<T, Trouble>>,
        otherwise: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        let mut direct = Some(direct);
        loop {
            if !self.0.is_away()
                && let Some(direct) = direct.take()
            {
                match self.0.in_time(direct).await {
                    Err(why) if why.may_pass() => {}
                    done => return done,
                }
            }
            let _turn = self.0.turn.read().await;
            // Who waited for the turn may find that it is back.
            if direct.is_some() && !self.0.is_away() {
                continue;
            }
            self.0.went_away();
            return otherwise.await;
        }
    }
}

impl Inner {
    fn is_away(&self) -> bool {
        self.away.load(Ordering::Acquire)
    }

    fn went_away(&self) {
        if !self.away.swap(true, Ordering::AcqRel) {
            tracing::error!("the database is away: what is written goes into the spool until it is back");
        }
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
        tokio::time::timeout(DIRECT_WITHIN, work).await.unwrap_or(Err(Trouble::Overdue))
    }
}

impl Store for SpooledStore {
    fn histories(&self, kept: HistoriesKept) -> Arc<dyn HistoryStore> {
        Arc::new(Histories::new(self.clone(), kept))
    }

    fn write_notes(&self, tenant: &str) -> Arc<dyn WriteNotes> {
        Arc::new(Notes::new(self.clone(), tenant))
    }
}

impl Readiness for SpooledStore {
    fn is_ready(&self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(async {
            if !self.0.is_away() {
                let ready = tokio::time::timeout(DIRECT_WITHIN, self.0.primary.is_ready()).await;
                if ready.unwrap_or(false) {
                    return true;
                }
                let _turn = self.0.turn.read().await;
                self.0.went_away();
            }
            self.0.spool.is_ready().await
        })
    }

    fn spooled(&self) -> Option<Spooled> {
        self.0.is_away().then(|| self.0.spool.taken())
    }
}

impl SoleUse for SpooledStore {
    fn claim(&self) -> Pin<Box<dyn Future<Output = Result<Claim, NotClaimed>> + Send + '_>> {
        self.0.primary.claim()
    }
}

#[cfg(test)]
mod tests;
