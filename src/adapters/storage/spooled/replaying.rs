//! What waits in the spool goes into the database once that is back.
//!
//! Invariant: it goes in its order, exactly once (`sql/replay.rs`), and only what is in the database is deleted from the spool; writes go past the
//! spool again only when it is empty, which nobody can change meanwhile; what the database never will take holds nothing up.

use std::sync::atomic::Ordering;
use std::sync::{PoisonError, Weak};
use std::time::Duration;

use bellhop_call::ports::Written;

use super::Inner;
use crate::storage::database::{Trouble, within};
use crate::storage::sql::deed::Kept;

/// The pause before a database that is away is tried again; it doubles up to [`TRIED_AFTER_MAX`].
const TRIED_AFTER: Duration = Duration::from_secs(1);
/// The longest pause.
const TRIED_AFTER_MAX: Duration = Duration::from_secs(8);

/// Looks after the spool for as long as somebody has the store.
pub(super) async fn stay(store: Weak<Inner>) {
    let mut pause = TRIED_AFTER;
    loop {
        tokio::time::sleep(pause).await;
        let Some(store) = store.upgrade() else { return };
        if !store.is_away() {
            continue;
        }
        match come_back(&store).await {
            Ok(()) => pause = TRIED_AFTER,
            Err(error) => {
                pause = (pause * 2).min(TRIED_AFTER_MAX);
                tracing::warn!(%error, again_in = ?pause, "what waits in the spool cannot go into the database yet");
            }
        }
    }
}

/// Replays everything; then the database is written to again.
pub(super) async fn come_back(store: &Inner) -> Result<(), Trouble> {
    let mut writes = 0;
    loop {
        // A spool that fails, and that nothing waits in, keeps nobody from the database.
        let kept = match store.spool.taken().entries {
            0 => vec![],
            _ => store.spool.next().await?,
        };
        if !kept.is_empty() {
            writes += kept.len();
            replay(store, &kept).await?;
            continue;
        }
        within(store.primary.probe()).await?;
        let _nobody_else = store.turn.write().await;
        if store.spool.is_empty().await? {
            store.away.store(false, Ordering::Release);
            break;
        }
    }
    store.spool.shrink().await;
    tracing::info!(writes, "the database is back, and has what waited in the spool");
    Ok(())
}

async fn replay(store: &Inner, kept: &[Kept]) -> Result<(), Trouble> {
    match store.primary.replay(store.spool.name(), kept).await {
        Ok(written) => tell(store, written),
        Err(why) if why.may_pass() => return Err(why),
        Err(_) => one_by_one(store, kept).await?,
    }
    store.spool.delete(kept).await
}

/// What the database refuses is lost alone.
async fn one_by_one(store: &Inner, kept: &[Kept]) -> Result<(), Trouble> {
    for one in kept {
        match store.primary.replay(store.spool.name(), std::slice::from_ref(one)).await {
            Ok(written) => tell(store, written),
            Err(why) if why.may_pass() => return Err(why),
            Err(error) => {
                tracing::error!(%error, "the database refuses what was kept in the spool: it is lost");
            }
        }
    }
    Ok(())
}

fn tell(store: &Inner, written: Written) {
    let mut told = store.told.lock().unwrap_or_else(PoisonError::into_inner);
    for tenant in written.waiting {
        if !told.waiting.contains(&tenant) {
            told.waiting.push(tenant);
        }
    }
    for dropped in written.dropped {
        match told.dropped.iter_mut().find(|one| one.tenant == dropped.tenant) {
            Some(one) => one.events += dropped.events,
            None => told.dropped.push(dropped),
        }
    }
}
