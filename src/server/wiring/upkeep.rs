//! What a server does for its store beside the calls: it takes back what a former process left in flight, lists that
//! process's calls as lost, and deletes what has expired.
//!
//! Invariants: what was left behind is touched only by who alone has the database; nothing here holds a call up, and a store
//! that fails is asked again more and more slowly.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bellhop_actors::metrics;
use bellhop_adapters::recording;
use bellhop_adapters::storage::Store;
use bellhop_call::ports::{CallsUnderWay, Claim, Entry, LogEvents, RecordWriter, Retention, SoleUse};
use bellhop_call::record::CallRecord;
use bellhop_connect::handoff::WriteOutcome;
use bellhop_connect::ports::{HandoffsLeftBehind, StoreError};
use tokio::sync::mpsc;

use super::tenants::{Current, Everybody, WrittenContacts};

/// How often what has expired is deleted.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// The first pause before a store that fails is asked again; it doubles up to [`STORE_PAUSE_MAX`].
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const STORE_PAUSE_MAX: Duration = Duration::from_secs(60);
/// How often a database that another server has is asked for.
const CLAIM_EVERY: Duration = Duration::from_secs(30);
/// How often the store is asked what waits in it for log webhooks.
const MEASURE_EVERY: Duration = Duration::from_secs(10);
/// Records of tenants that are none any more are kept so long.
const KEEP_OF_NOBODY: Duration = Duration::from_secs(30 * 24 * 3600);

/// What goes on as long as the server lives.
pub(super) struct Upkeep {
    later: mpsc::UnboundedSender<WrittenContacts>,
}

impl Upkeep {
    /// A tenant was added: what a former process left in flight of it is taken back too.
    pub(super) fn look_after(&self, contacts: WrittenContacts) {
        let _ = self.later.send(contacts);
    }
}

/// Starts all of it on this thread's runtime.
pub(super) async fn start(store: &Arc<dyn Store>, current: Arc<Current>, contacts: Vec<WrittenContacts>) -> Upkeep {
    let (later, mut added) = mpsc::unbounded_channel();
    let served = Arc::clone(&current);
    // At once, so that a second server is told before it has a call.
    let first = store.claim().await;
    if let Err(error) = &first {
        tracing::error!(%error, "what a former server left behind is not looked after: give each server a database of its own");
    }
    let left = store.clone();
    actix_rt::spawn(async move {
        let _claim = claimed(&*left, first.ok()).await;
        for one in contacts {
            actix_rt::spawn(take_back(left.clone(), one));
        }
        until_it_works(async || list_lost(&*left, &*left, &served).await).await;
        let void = until_it_works(async || left.void_lent().await).await;
        if void > 0 {
            tracing::warn!(keys = void, "transfers that a former server died in: their keys are void");
        }
        while let Some(one) = added.recv().await {
            actix_rt::spawn(take_back(left.clone(), one));
        }
        // The claim lives as long as the process.
        std::future::pending::<()>().await;
    });
    actix_rt::spawn(sweep_now_and_then(store.clone(), Arc::clone(&current)));
    actix_rt::spawn(watch_backlog(store.clone(), current));
    Upkeep { later }
}

/// What waits for the log webhooks becomes a metric; a store that does not answer is told by readiness.
async fn watch_backlog(events: Arc<dyn LogEvents>, current: Arc<Current>) {
    loop {
        tokio::time::sleep(MEASURE_EVERY).await;
        let everybody = current.everybody();
        let told = everybody.settings().filter(|settings| settings.records.webhook.is_some());
        let tenants: Vec<&String> = told.map(|settings| &settings.name).collect();
        if tenants.is_empty() {
            continue;
        }
        let Ok(waiting) = events.backlog().await else { continue };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        for tenant in tenants {
            let of = waiting.iter().find(|(name, ..)| name == tenant);
            let (count, since) = of.map_or((0, now), |(_, count, since)| (*count, since.unsigned_abs()));
            metrics::log_events_waiting(tenant, count, now.saturating_sub(since) as f64);
        }
    }
}

async fn claimed(store: &dyn SoleUse, first: Option<Claim>) -> Claim {
    if let Some(claim) = first {
        return claim;
    }
    loop {
        tokio::time::sleep(CLAIM_EVERY).await;
        if let Ok(claim) = store.claim().await {
            tracing::info!("the database is this server's alone now");
            return claim;
        }
    }
}

/// Asks until it is answered.
async fn until_it_works<T>(ask: impl AsyncFn() -> Result<T, StoreError>) -> T {
    let mut pause = STORE_PAUSE;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => {
                tracing::warn!(%error, again_in = ?pause, "what a former server left behind cannot be read yet")
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(STORE_PAUSE_MAX);
    }
}

/// Blanks what a former process was writing when it died.
async fn take_back(store: Arc<dyn HandoffsLeftBehind>, WrittenContacts { integration, writes }: WrittenContacts) {
    let left = until_it_works(async || store.writes_in_flight(&integration).await).await;
    for write in left {
        let (integration, writes) = (integration.clone(), writes.clone());
        actix_rt::spawn(async move {
            if writes.take_back(write).await == WriteOutcome::Done {
                tracing::warn!(integration, "a hand-off that a former server died in was taken back");
            } else {
                tracing::error!(integration, "a hand-off that a former server died in could not be taken back");
            }
        });
    }
}

/// Gives the calls that were up when a former process died their records.
async fn list_lost(calls: &dyn CallsUnderWay, records: &dyn RecordWriter, current: &Current) -> Result<(), StoreError> {
    let (lost, everybody) = (calls.calls_left_behind().await?, current.everybody());
    // Which of a tenant's integrations had the call is not known: it is kept as by the one that keeps calls longest.
    let kept = |tenant: &str| {
        let all = everybody.of_tenant(tenant).map(|served| &served.settings.records);
        let all = all.map(|records| (records.keep, records.webhook.as_ref().is_some_and(|webhook| webhook.calls)));
        all.reduce(|one, other| (one.0.max(other.0), one.1 || other.1))
    };
    let entries: Vec<Entry> = lost
        .into_iter()
        .map(|call| {
            let (keep, told) = kept(&call.opening.tenant).unwrap_or((KEEP_OF_NOBODY, false));
            Entry::Call { record: Box::new(CallRecord::lost(call.opening, Instant::now())), keep, told }
        })
        .collect();
    for some in entries.chunks(256) {
        records.write(some).await?;
        tracing::warn!(calls = some.len(), "calls were up when a former server ended: they are listed as lost");
    }
    Ok(())
}

async fn sweep_now_and_then(kept: Arc<dyn Retention>, current: Arc<Current>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        match kept.sweep().await {
            Ok(swept) if swept.events > 0 => {
                tracing::error!(events = swept.events, "log events were given up: nobody took them for three days");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "what has expired could not be deleted"),
        }
        if let Err(error) = sweep_recordings(&*kept, &current.everybody()).await {
            tracing::warn!(%error, "old recordings could not be deleted");
        }
    }
}

/// Deletes old recordings, and forgets whose they were.
async fn sweep_recordings(kept: &dyn Retention, everybody: &Everybody) -> anyhow::Result<()> {
    let over = kept.recorded().await?;
    let mut there = HashSet::new();
    let mut failed = None;
    for settings in everybody.settings() {
        let Some(folder) = &settings.recording.folder else { continue };
        if let Some(keep) = settings.recording.keep
            && let Err(error) = recording::sweep(folder, &settings.name, keep)
        {
            failed = Some(error);
        }
        there.extend(recording::list(folder)?.into_iter().map(|(name, _)| name.call));
    }
    let gone: Vec<String> = over.into_iter().filter(|call| !there.contains(call)).collect();
    kept.recordings_gone(&gone).await?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}
