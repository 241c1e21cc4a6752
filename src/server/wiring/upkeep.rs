//! What a server does for its store beside the calls: it takes back what a former process left in flight, lists that
//! process's calls as lost, and deletes what has expired.
//!
//! Servers that share a database die at any time, so it is looked again and again. Invariants: what was left behind is touched only
//! by who has the claim, which is asked for before each look; nothing here holds a call up, and a store that fails is asked again
//! more and more slowly.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bellhop_actors::metrics;
use bellhop_adapters::recording;
use bellhop_adapters::storage::Store;
use bellhop_call::ports::{CallsUnderWay, Claim, Entry, LogEvents, NotClaimed, RecordWriter, Retention, SoleUse};
use bellhop_call::record::CallRecord;
use bellhop_connect::handoff::WriteOutcome;
use bellhop_connect::ports::{HandoffsLeftBehind, StoreError};
use tokio::sync::mpsc;

use super::tenants::{Current, Everybody, WrittenContacts};

/// How often what has expired is deleted.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// How often is looked whether another server left something behind.
const LOOK_AFTER_EVERY: Duration = Duration::from_secs(10);
/// The first pause before a store that fails is asked again; it doubles up to [`STORE_PAUSE_MAX`].
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const STORE_PAUSE_MAX: Duration = Duration::from_secs(60);
/// How often a database that another server has is asked for.
const CLAIM_EVERY: Duration = Duration::from_secs(15);
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
    let (later, added) = mpsc::unbounded_channel();
    // At once, so that a second server is told before it has a call.
    let first = store.claim().await;
    match &first {
        Ok(_) => {}
        Err(why @ NotClaimed::Shared) => tracing::info!(%why, "this server serves calls alone"),
        Err(error) => {
            tracing::error!(%error, "what a former server left behind is not looked after: give each server a database of its own");
        }
    }
    let contacts = contacts.into_iter().map(LeftContacts::of).collect();
    actix_rt::spawn(look_now_and_then(store.clone(), Arc::clone(&current), contacts, added, first.ok()));
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

/// Looks for what others left behind, for as long as this server lives; who has no claim waits for one.
async fn look_now_and_then(
    store: Arc<dyn Store>,
    current: Arc<Current>,
    mut contacts: Vec<LeftContacts>,
    mut added: mpsc::UnboundedReceiver<WrittenContacts>,
    first: Option<Claim>,
) {
    let mut claim = claimed(&*store, first).await;
    let mut pause = STORE_PAUSE;
    loop {
        if !claim.holds().await {
            tracing::warn!("the claim to the database was lost with its connection");
            claim = claimed(&*store, None).await;
            continue;
        }
        let wait = match look(&store, &current, &mut contacts).await {
            Ok(()) => {
                pause = STORE_PAUSE;
                LOOK_AFTER_EVERY
            }
            Err(error) => {
                let again_in = pause;
                tracing::warn!(%error, ?again_in, "what a former server left behind cannot be read yet");
                pause = (pause * 2).min(STORE_PAUSE_MAX);
                again_in
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            // An integration that was added, or changed.
            Some(one) = added.recv() => {
                contacts.retain(|known| known.of.integration != one.integration);
                contacts.push(LeftContacts::of(one));
            }
        }
    }
}

/// An integration's contacts, and those of them that were tried: each is taken back once, however it ends.
struct LeftContacts {
    of: WrittenContacts,
    tried: HashSet<String>,
}

impl LeftContacts {
    fn of(of: WrittenContacts) -> Self {
        Self { of, tried: HashSet::new() }
    }
}

/// Looks once for everything that another server left behind.
async fn look(store: &Arc<dyn Store>, current: &Current, contacts: &mut [LeftContacts]) -> Result<(), StoreError> {
    for one in contacts {
        take_back(&**store, one).await?;
    }
    list_lost(&**store, &**store, current).await?;
    let void = store.void_lent().await?;
    if void > 0 {
        tracing::warn!(keys = void, "transfers that a former server died in: their keys are void");
    }
    Ok(())
}

/// Blanks what a former process was writing when it died.
async fn take_back(store: &dyn HandoffsLeftBehind, contacts: &mut LeftContacts) -> Result<(), StoreError> {
    let WrittenContacts { integration, writes } = &contacts.of;
    let left = store.writes_in_flight(integration).await?;
    contacts.tried.retain(|tried| left.iter().any(|write| write.contact_id == *tried));
    for write in left.into_iter().filter(|write| contacts.tried.insert(write.contact_id.clone())) {
        let (integration, writes) = (integration.clone(), writes.clone());
        actix_rt::spawn(async move {
            if writes.take_back(write).await == WriteOutcome::Done {
                tracing::warn!(integration, "a hand-off that a former server died in was taken back");
            } else {
                tracing::error!(integration, "a hand-off that a former server died in could not be taken back");
            }
        });
    }
    Ok(())
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
