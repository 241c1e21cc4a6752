//! The change feed: who waits is woken when there may be something newer.
//!
//! A PostgreSQL tells by NOTIFY, on a connection of its own; a SQLite is looked at. Invariant: nobody sleeps longer than
//! [`LOOK_WITHIN`], whatever is lost on the way.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bellhop_tenancy::Secret;
use bellhop_tenancy::access::SignedIn;
use bellhop_tenancy::store::{Answer, AppliedBy, ChangeFeed, Everything, StoreError, Woken};
use tokio::sync::{Mutex, Notify};
use tokio::time::{sleep, timeout};

use super::{SqlTenants, answer, args, bounded};
use crate::storage::database::Listener;

/// The longest that anybody waits until it is time to look.
const LOOK_WITHIN: Duration = Duration::from_secs(5);
/// How often a database is looked at that tells nothing by itself, or that cannot be reached.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(1);
/// The longest that reading everything may take.
const EVERYTHING_WITHIN: Duration = Duration::from_secs(60);
/// The channel of PostgreSQL: `migrations/postgres/0004_tenants.sql`.
const CHANNEL: &str = "bellhop_changes";

const NEWEST: &str = "SELECT change FROM counters WHERE one = 1";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 1] = [NEWEST];

/// A way to a PostgreSQL on which it can tell of changes.
#[derive(Debug, Clone)]
pub struct ListenOn {
    /// `storage.listen_url`
    pub url: Secret,
    /// `storage.password`
    pub password: Option<Secret>,
}

/// What wakes.
#[derive(Debug)]
pub(super) struct Feed {
    /// A change of this process.
    own: Notify,
    /// The newest change that somebody here has read.
    seen: AtomicI64,
    listen_on: Option<ListenOn>,
    listener: Mutex<Option<Listener>>,
    pub(super) look_every: Duration,
}

impl Feed {
    pub(super) fn new(listen_on: Option<ListenOn>) -> Self {
        let (own, seen, listener) = (Notify::new(), AtomicI64::new(0), Mutex::default());
        Self { own, seen, listen_on, listener, look_every: LOOKED_AT_EVERY }
    }

    /// This process has changed something.
    pub(super) fn tell(&self) {
        self.own.notify_one();
    }
}

impl ChangeFeed for SqlTenants {
    fn newest_change(&self) -> Answer<'_, i64> {
        answer(async {
            let newest = self.find(NEWEST, args![]).await?.integer(0)?;
            self.0.feed.seen.fetch_max(newest, Ordering::Relaxed);
            Ok(newest)
        })
    }

    fn everything<'a>(&'a self, by: &'a SignedIn) -> Answer<'a, Everything> {
        Box::pin(bounded(EVERYTHING_WITHIN, async move {
            if by.scope().tenant().is_some() {
                return Err(StoreError::NotFound);
            }
            let everything = self.read_everything().await?;
            self.0.feed.seen.fetch_max(everything.change, Ordering::Relaxed);
            Ok(everything)
        }))
    }

    fn wait(&self) -> Answer<'_, Woken> {
        Box::pin(async {
            let feed = &self.0.feed;
            let woken = async {
                tokio::select! {
                    () = feed.own.notified() => {}
                    () = self.told() => {}
                }
            };
            Ok(match timeout(LOOK_WITHIN, woken).await {
                Ok(()) => Woken::Told,
                Err(_) => Woken::TimeToLook,
            })
        })
    }

    fn note_applied(&self, applied: AppliedBy) -> Answer<'_, ()> {
        answer(async move { self.note_node(&applied).await })
    }

    fn applied(&self) -> Answer<'_, Vec<AppliedBy>> {
        answer(self.nodes())
    }
}

impl SqlTenants {
    /// Waits for somebody else's change.
    async fn told(&self) {
        if self.0.database.is_shared() {
            self.heard().await;
        } else {
            self.looked().await;
        }
    }

    async fn looked(&self) {
        let feed = &self.0.feed;
        loop {
            sleep(feed.look_every).await;
            let newest = self.0.database.fetch_optional(NEWEST, args![]).await.ok().flatten();
            let newest = newest.and_then(|row| row.integer(0).ok()).unwrap_or_default();
            if newest > feed.seen.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    async fn heard(&self) {
        let feed = &self.0.feed;
        let mut place = feed.listener.lock().await;
        let Some(listener) = place.as_mut() else {
            let by = feed.listen_on.as_ref();
            let by = by.map(|on| (on.url.expose(), on.password.as_ref().map(Secret::expose)));
            match self.0.database.listen(CHANNEL, by).await {
                Ok(listener) => *place = listener,
                Err(error) => {
                    tracing::warn!(%error, "the database is not heard: changes are looked for every few seconds");
                    sleep(LOOK_WITHIN).await;
                }
            }
            // What was told meanwhile was missed.
            return;
        };
        if let Err(error) = listener.told().await {
            tracing::warn!(%error, "the database is heard no more: it is asked anew");
            *place = None;
            drop(place);
            sleep(feed.look_every).await;
        }
    }
}
