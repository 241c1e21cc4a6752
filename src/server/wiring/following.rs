//! A node follows the store of tenants: what is changed there is served here, and the store is told what came of it.
//!
//! Invariant: calls are served by what was applied last while the store does not answer; a change that came while another was
//! applied is applied next. What the store says: `kept.rs`; what comes of it: `changing.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bellhop_actors::metrics;
use bellhop_tenancy::access::SignedIn;
use bellhop_tenancy::id::TenantId;
use bellhop_tenancy::store::{AppliedBy, Everything, NodeSays, NotApplied, StoreError, TenantStore};
use bellhop_tenancy::succession::{Absent, Change};

use super::changing::{Came, Ending, Said, lock};
use super::kept::{self, Around, KeptFound};
use super::noting::{Known, Noting};
use super::tenants::{Everybody, Origin};
use super::{Reloading, Running, Server};

/// The pause after the store did not answer.
const SILENCE_PAUSE: Duration = Duration::from_secs(2);
/// How long a start waits for what the store says.
const FIRST_WITHIN: Duration = Duration::from_secs(30);

/// A node and the store that it follows.
pub(super) struct Following {
    tenants: Arc<dyn TenantStore>,
    noting: Arc<Noting>,
    /// What this node is called in the store.
    node: String,
    /// What it serves by now; who changes that holds this.
    applied: tokio::sync::Mutex<Option<AppliedBy>>,
}

impl Following {
    /// Nothing is applied yet.
    pub(super) fn new(tenants: Arc<dyn TenantStore>, noting: Arc<Noting>) -> Self {
        let host = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Self { tenants, noting, node: format!("{host}:{}", std::process::id()), applied: tokio::sync::Mutex::default() }
    }

    /// The names of all tenants of the store, in lower case.
    pub(super) fn names(&self) -> BTreeSet<String> {
        self.noting.names()
    }

    /// The tenant of a name.
    pub(super) fn tenant(&self, name: &str) -> Option<TenantId> {
        self.noting.tenant(name)
    }

    /// What this node is called in the store.
    pub(super) fn node(&self) -> &str {
        &self.node
    }

    /// The store.
    pub(super) fn tenants(&self) -> Arc<dyn TenantStore> {
        Arc::clone(&self.tenants)
    }
}

/// Follows the store for as long as the process lives.
pub async fn follow_store(server: Arc<Server>) {
    let mut is_silent = false;
    loop {
        let came = async {
            server.following.tenants.wait().await?;
            server.catch_up(Again::IfNewer).await
        };
        match came.await {
            Ok(()) => {
                if std::mem::take(&mut is_silent) {
                    tracing::info!("the store of tenants answers again");
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut is_silent, true) {
                    tracing::error!(%error, "the store of tenants does not answer: calls are served by what was applied last");
                }
                tokio::time::sleep(SILENCE_PAUSE).await;
            }
        }
    }
}

/// When what the store says is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// If there is a newer change.
    IfNewer,
    /// In any case: what stands beside it is another.
    Always,
}

impl Server {
    /// The first time, which a store that does not answer holds up for a while and does not prevent.
    pub(super) async fn catch_up_at_first(&self) {
        let told = match tokio::time::timeout(FIRST_WITHIN, self.catch_up(Again::Always)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("it did not answer within {} s", FIRST_WITHIN.as_secs()),
        };
        tracing::error!(error = told, "the store of tenants cannot be read: its tenants are served once it can");
    }

    /// Serves what the store says, and tells it so.
    pub(super) async fn catch_up(&self, again: Again) -> Result<(), StoreError> {
        let Following { tenants, noting, node, applied } = &self.following;
        let mut applied = applied.lock().await;
        let newest = tenants.newest_change().await?;
        let now = match applied.take() {
            Some(before) if before.change == newest && again == Again::IfNewer => before,
            _ => {
                let everything = Arc::new(tenants.everything(&SignedIn::on_this_machine("server")).await?);
                let change = everything.change;
                noting.knows(Known::of(&everything));
                let mut reloading = self.reloading.lock().await;
                let Ok(not_applied) = reloading.serve_kept(self, everything).await else { return Ok(()) };
                metrics::store_applied(change, not_applied.len());
                AppliedBy { node: node.clone(), change, not_applied, says: NodeSays::default() }
            }
        };
        let now = AppliedBy { says: self.says(), ..now };
        tenants.note_applied(applied.insert(now).clone()).await
    }
}

impl Reloading {
    /// Serves everything of the store as far as that can be; what cannot is returned, and logged.
    async fn serve_kept(&mut self, server: &Server, everything: Arc<Everything>) -> Result<Vec<NotApplied>, Ending> {
        let before = server.current.everybody();
        let change = everything.change;
        let (shared, around) = (self.changing.shared(), Self::around(&before, server.running()));
        // Engines are loaded, and packages may be missing: off this thread.
        let opened = tokio::task::spawn_blocking(move || kept::read(&everything, &around, &mut lock(&shared)));
        let KeptFound { found, bad, ids, limits } = opened.await.map_err(|_| Ending)?;
        self.changing.limit(limits);
        let said = Said { origin: Origin::Store, found, bad, absent: Absent::Remove, taken: None };
        let came = self.changing.apply(server, &before, said).await?;
        tell(change, &came);
        let not_applied = came.refused.into_iter().filter_map(|(integration, why)| {
            for why in &why {
                tracing::warn!(integration, why, "an integration is not served as it is kept");
            }
            Some(NotApplied { integration: *ids.get(&integration)?, why })
        });
        Ok(not_applied.collect())
    }

    fn around(before: &Everybody, running: Running) -> Around {
        let (kept, of_file): (Vec<_>, Vec<_>) =
            before.directory.all().iter().partition(|served| served.origin == Origin::Store);
        let kept = kept.into_iter().map(|served| {
            let integration = served.integration();
            (integration.id.clone(), (served.mark, integration.numbers.clone()))
        });
        let is_taken = |name: &&String| before.taken.contains(&name.to_ascii_lowercase());
        let skipped = before.skipped.iter().map(|(name, _)| name).filter(|name| !is_taken(name));
        let names = of_file.into_iter().map(|served| &served.settings.name).chain(skipped);
        Around { before: kept.collect(), of_file: names.map(|name| name.to_ascii_lowercase()).collect(), running }
    }
}

fn tell(change: i64, Came { change: Change { added, changed, removed }, refused }: &Came) {
    if [added, changed, removed].iter().all(|names| names.is_empty()) && refused.is_empty() {
        return;
    }
    tracing::info!(
        change,
        added = added.join(" "),
        changed = changed.join(" "),
        removed = removed.join(" "),
        refused = refused.len(),
        "a change of the store is applied"
    );
}
