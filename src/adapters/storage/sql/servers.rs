//! The servers that share a database: each says now and then that it lives, and what it began is its own until it was silent
//! for a lease.
//!
//! Invariant: what a living server has is never taken for left behind, also not after the database was away or stood still: who
//! looks must itself have been seen without a gap for a lease, in which everybody else was seen too. Times are those of the
//! database's clock. A SQLite has one server at a time, by a lock (`claim.rs`): there the table is empty, and everybody else is
//! gone.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::{Database, Trouble, args, within};
use crate::task;

/// How long a server that is not seen counts as alive.
const LEASE: Duration = Duration::from_secs(60);
/// How often a server says that it lives.
const SEEN_EVERY: Duration = Duration::from_secs(10);
/// The longest time between two of these without a gap: one was late by all that a write may take.
const STEADY_WITHIN: Duration = Duration::from_secs(25);
/// Servers that were not seen for so long are forgotten.
const SERVERS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

const SEEN: &str = "INSERT INTO servers (name, seen_unix, steady_unix) VALUES ($1, unixepoch(), unixepoch())
    ON CONFLICT (name) DO UPDATE SET seen_unix = excluded.seen_unix, steady_unix =
        CASE WHEN servers.seen_unix < unixepoch() - $2 THEN excluded.steady_unix ELSE servers.steady_unix END";
const FORGET: &str = "DELETE FROM servers WHERE seen_unix < unixepoch() - $1";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 2] = [SEEN, FORGET];

/// The condition that a row of a `server` was left behind, asked by server `$1`; `$2` is the [`lease`].
macro_rules! left_behind {
    () => {
        "server <> $1 AND NOT EXISTS (SELECT 1 FROM servers WHERE name = server AND seen_unix > unixepoch() - $2)
        AND NOT EXISTS (SELECT 1 FROM servers WHERE name = $1 AND steady_unix > unixepoch() - $2)"
    };
}
pub(super) use left_behind;

/// [`LEASE`] in seconds.
pub(super) fn lease() -> i64 {
    LEASE.as_secs() as i64
}

/// Says that a server lives, for as long as somebody has this.
#[derive(Debug)]
pub(super) struct Alive(JoinHandle<()>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Makes a server known to the others; it is when this resolves.
pub(super) async fn join(database: &Database, server: &Arc<str>) -> Result<Alive, Trouble> {
    within(seen(database, server)).await?;
    Ok(Alive(task::spawn(stay(database.clone(), Arc::downgrade(server)))))
}

async fn stay(database: Database, server: Weak<str>) {
    loop {
        tokio::time::sleep(SEEN_EVERY).await;
        let Some(server) = server.upgrade() else { return };
        if let Err(error) = within(seen(&database, &server)).await {
            tracing::warn!(%error, "other servers cannot be told that this one lives");
        }
    }
}

pub(super) async fn seen(database: &Database, server: &str) -> Result<(), Trouble> {
    let mut transaction = database.begin().await?;
    transaction.execute(SEEN, args![server, STEADY_WITHIN.as_secs() as i64]).await?;
    transaction.commit().await
}

/// Forgets servers that are long gone, and all that was theirs with them.
pub(super) async fn forget(database: &Database) -> Result<(), Trouble> {
    let mut transaction = database.begin().await?;
    transaction.execute(FORGET, args![SERVERS_KEPT.as_secs() as i64]).await?;
    transaction.commit().await
}
