//! What a server does for its store beside the calls: it takes back what a former process left in flight, lists that
//! process's calls as lost, and deletes what has expired.
//!
//! Invariants: what was left behind is touched only by who alone has the database; nothing here holds a call up, and a store
//! that fails is asked again more and more slowly.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use bellhop_actors::metrics;
use bellhop_adapters::noted_writes::NotedWrites;
use bellhop_adapters::recording;
use bellhop_adapters::storage::sqlite::{Claim, Database, Entry, InFlight, SqliteRecords, Trouble};
use bellhop_call::record::CallRecord;
use bellhop_connect::handoff::WriteOutcome;

use crate::config::Config;

/// How often what has expired is deleted.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// The first pause before a store that fails is asked again; it doubles up to [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// How often a database that another server has is asked for.
const CLAIM_EVERY: Duration = Duration::from_secs(30);
/// How often the store is asked what waits in it for log webhooks.
const MEASURE_EVERY: Duration = Duration::from_secs(10);
/// Records of tenants that are none any more are kept so long.
const KEEP_OF_NOBODY: Duration = Duration::from_secs(30 * 24 * 3600);

/// A tenant's contacts, for what may have to be taken back.
pub(crate) struct Contacts {
    pub(crate) tenant: String,
    pub(crate) notes: InFlight,
    pub(crate) writes: NotedWrites,
}

/// Starts all of it on this thread's runtime.
pub(crate) fn start(database: &Database, config: &Config, contacts: Vec<Contacts>) {
    let (claiming, records) = (database.clone(), database.records());
    let histories = database.histories(config.storage.time_to_live);
    let kept: HashMap<String, (Duration, bool)> = config
        .tenants
        .iter()
        .map(|settings| {
            let told = settings.records.webhook.as_ref().is_some_and(|webhook| webhook.calls);
            (settings.tenant.name.clone(), (settings.records.keep, told))
        })
        .collect();
    // At once, so that a second server is told before it has a call.
    let first = claiming.claim();
    if let Err(error) = &first {
        tracing::error!(%error, "what a former server left behind is not looked after: give each server a database of its own");
    }
    actix_rt::spawn(async move {
        let _claim = claimed(&claiming, first.ok()).await;
        for one in contacts {
            actix_rt::spawn(take_back(one));
        }
        until_it_works(async || list_lost(&records, &kept).await).await;
        let void = until_it_works(async || histories.void_left_behind().await).await;
        if void > 0 {
            tracing::warn!(keys = void, "transfers that a former server died in: their keys are void");
        }
        // The claim lives as long as the process.
        std::future::pending::<()>().await;
    });
    let recordings = config.tenants.iter().filter_map(|settings| {
        let folder = settings.recordings.clone()?;
        Some(Recordings { folder, tenant: settings.tenant.name.clone(), keep: settings.keep_recordings })
    });
    actix_rt::spawn(sweep_now_and_then(database.records(), recordings.collect()));
    let told = config.tenants.iter().filter(|settings| settings.records.webhook.is_some());
    let told: Vec<String> = told.map(|settings| settings.tenant.name.clone()).collect();
    if !told.is_empty() {
        actix_rt::spawn(watch_backlog(database.records(), told));
    }
}

/// What waits for the log webhooks becomes a metric; a store that does not answer is told by readiness.
async fn watch_backlog(records: SqliteRecords, tenants: Vec<String>) {
    loop {
        tokio::time::sleep(MEASURE_EVERY).await;
        let Ok(waiting) = records.backlog().await else { continue };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        for tenant in &tenants {
            let of = waiting.iter().find(|(name, ..)| name == tenant);
            let (count, since) = of.map_or((0, now), |(_, count, since)| (*count, since.unsigned_abs()));
            metrics::log_events_waiting(tenant, count, now.saturating_sub(since) as f64);
        }
    }
}

async fn claimed(database: &Database, first: Option<Claim>) -> Claim {
    if let Some(claim) = first {
        return claim;
    }
    loop {
        tokio::time::sleep(CLAIM_EVERY).await;
        if let Ok(claim) = database.claim() {
            tracing::info!("the database is this server's alone now");
            return claim;
        }
    }
}

/// Asks until it is answered.
async fn until_it_works<T>(ask: impl AsyncFn() -> Result<T, Trouble>) -> T {
    let mut pause = PAUSE;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => {
                tracing::warn!(%error, again_in = ?pause, "what a former server left behind cannot be read yet")
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Blanks what a former process was writing when it died.
async fn take_back(Contacts { tenant, notes, writes }: Contacts) {
    let left = until_it_works(async || Ok(notes.left_behind().await?)).await;
    for write in left {
        let (tenant, writes) = (tenant.clone(), writes.clone());
        actix_rt::spawn(async move {
            if writes.take_back(write).await == WriteOutcome::Done {
                tracing::warn!(tenant, "a hand-off that a former server died in was taken back");
            } else {
                tracing::error!(tenant, "a hand-off that a former server died in could not be taken back");
            }
        });
    }
}

/// Gives the calls that were up when a former process died their records.
async fn list_lost(records: &SqliteRecords, kept: &HashMap<String, (Duration, bool)>) -> Result<(), Trouble> {
    let lost = records.left_behind().await?;
    let entries: Vec<Entry> = lost
        .into_iter()
        .map(|call| {
            let (keep, told) = kept.get(&call.opening.tenant).copied().unwrap_or((KEEP_OF_NOBODY, false));
            Entry::Call { record: Box::new(CallRecord::lost(call.opening, Instant::now())), keep, told }
        })
        .collect();
    for some in entries.chunks(256) {
        records.write(some).await?;
        tracing::warn!(calls = some.len(), "calls were up when a former server ended: they are listed as lost");
    }
    Ok(())
}

/// Which recordings a tenant has.
struct Recordings {
    folder: PathBuf,
    tenant: String,
    /// For ever, if not so long.
    keep: Option<Duration>,
}

async fn sweep_now_and_then(records: SqliteRecords, recordings: Vec<Recordings>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        match records.sweep().await {
            Ok(swept) if swept.events > 0 => {
                tracing::error!(events = swept.events, "log events were given up: nobody took them for three days");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "what has expired could not be deleted"),
        }
        if let Err(error) = sweep_recordings(&records, &recordings).await {
            tracing::warn!(%error, "old recordings could not be deleted");
        }
    }
}

/// Deletes old recordings, and forgets whose they were.
async fn sweep_recordings(records: &SqliteRecords, recordings: &[Recordings]) -> anyhow::Result<()> {
    let over = records.recorded().await?;
    let mut there = HashSet::new();
    let mut failed = None;
    for Recordings { folder, tenant, keep } in recordings {
        if let Some(keep) = keep
            && let Err(error) = recording::sweep(folder, tenant, *keep)
        {
            failed = Some(error);
        }
        there.extend(recording::list(folder)?.into_iter().map(|(name, _)| name.call));
    }
    let gone: Vec<String> = over.into_iter().filter(|call| !there.contains(call)).collect();
    records.recordings_gone(&gone).await?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}
