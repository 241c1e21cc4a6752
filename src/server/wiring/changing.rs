//! From what is served to what somebody wants served instead: the configuration's file (`reload.rs`) or the store of tenants.
//!
//! Invariants: a call keeps what it began with; what is refused stays as it was, by name; who says nothing of another's tenants
//! takes none of them away. Who comes and who goes is decided in `src/tenancy/succession.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellhop_actors::metrics;
use bellhop_actors::reception::Serve;
use bellhop_adapters::log_webhook::LogWebhook;
use bellhop_tenancy::register::Register;
use bellhop_tenancy::succession::{Absent, Change, Succession, Wanted, succeed};
use bellhop_tenancy::tenant::Limits;

use super::Server;
use super::tenants::{Everybody, Origin, Ready, Served, Workshop, WrittenContacts};
use super::upkeep::Upkeep;
use crate::engines::Shared;
use crate::series::Series;

/// How long after its end a tenant's log webhook is told of the calls it had: they last four hours at most.
const CALLS_OVER: Duration = Duration::from_secs(5 * 3600);

/// What a server needs to change its tenants.
pub(super) struct Changing {
    shared: Arc<Mutex<Shared>>,
    workshop: Workshop,
    upkeep: Upkeep,
    register: Register,
    series: Series,
    /// What tenants of the store may have, whatever their integrations were served with.
    kept_limits: BTreeMap<String, Limits>,
}

/// What is said of who shall be served.
pub(super) struct Said {
    /// By whom: integrations of another origin stay as they are.
    pub(super) origin: Origin,
    pub(super) found: Vec<Found>,
    /// The mistakes of each that has some, as lines, by name.
    pub(super) bad: BTreeMap<String, Vec<String>>,
    /// What becomes of those of this origin that are not found.
    pub(super) absent: Absent,
    /// [`Everybody::taken`]; none where it stays as it was.
    pub(super) taken: Option<BTreeSet<String>>,
}

/// One integration.
pub(super) enum Found {
    /// It is as it was.
    Same(String),
    /// It is new, or another than before.
    Newer(Box<Ready>),
    /// It has mistakes.
    Bad(String),
}

/// What came of it.
pub(super) struct Came {
    pub(super) change: Change,
    /// Who is not served as was said, with the reasons, by name.
    pub(super) refused: BTreeMap<String, Vec<String>>,
}

/// The server is ending, and nothing changes any more.
pub(super) struct Ending;

impl Changing {
    pub(super) fn new(shared: Shared, workshop: Workshop, upkeep: Upkeep, register: Register, series: Series) -> Self {
        let (shared, kept_limits) = (Arc::new(Mutex::new(shared)), BTreeMap::new());
        Self { shared, workshop, upkeep, register, series, kept_limits }
    }

    /// With the next change the tenants of the store may have this.
    pub(super) fn limit(&mut self, kept: BTreeMap<String, Limits>) {
        self.kept_limits = kept;
    }

    /// What the engines of all tenants share, for who opens some: slow, and on a thread of its own.
    pub(super) fn shared(&self) -> Arc<Mutex<Shared>> {
        Arc::clone(&self.shared)
    }

    /// Drops the series of tenants that are gone, once their last values have been shown.
    pub(super) fn drop_series(&mut self, now: &Everybody) {
        self.register.settle(|name| now.knows(name), |name| self.series.end(name));
    }

    /// Serves what is said, as far as that can be; must be called on an actix system. Once it returns each new call gets the
    /// newest.
    pub(super) async fn apply(&mut self, server: &Server, before: &Everybody, said: Said) -> Result<Came, Ending> {
        let Said { origin, found, bad: mut refused, absent, taken: is_taken } = said;
        let Made { mut wanted, receivers, left_behind } = self.make(found);
        let others = before.directory.all().iter().filter(|served| served.origin != origin);
        wanted.extend(others.map(|served| Wanted::Same(served.integration().id.clone())));
        let Succession { directory, change, refused: taken } = succeed(&before.directory, &wanted, absent);
        for taken in taken {
            tracing::warn!(integration = taken.integration, why = %taken, "a number is somebody else's");
            let told = if origin == Origin::Store { taken.told_to_tenant() } else { taken.to_string() };
            refused.entry(taken.integration).or_default().push(told);
        }
        let skipped = match origin {
            Origin::Store => before.skipped.clone(),
            Origin::File => {
                let not_served = refused.iter().filter(|(name, _)| directory.find(name).is_none());
                not_served.map(|(name, why)| (name.clone(), why.len())).collect()
            }
        };
        let taken = is_taken.unwrap_or_else(|| before.taken.clone());
        let now = Everybody { directory, skipped, taken };
        let Ok(services) = now.services() else { return Err(Ending) };
        self.describe(before, &now, &change);
        // Between two INVITEs; once this is answered, each new call gets the newest.
        server.reception.send(Serve(Arc::new(services))).await.map_err(|_| Ending)?;
        self.settle(before, &now, &change, receivers, left_behind);
        server.current.becomes(now);
        Ok(Came { change, refused })
    }

    /// Makes services of what was opened.
    fn make(&mut self, found: Vec<Found>) -> Made {
        let (mut receivers, mut left_behind) = (BTreeMap::new(), BTreeMap::new());
        let wanted = found.into_iter().map(|found| match found {
            Found::Same(name) => Wanted::Same(name),
            Found::Bad(name) => Wanted::Bad(name),
            Found::Newer(mut ready) => {
                let name = ready.name.clone();
                receivers.extend(ready.receiver.take().map(|receiver| (name.clone(), receiver)));
                let whose = self.register.enrol(&ready.settings.name, ready.settings.limits());
                let (served, contacts) = self.workshop.serve(*ready, whose);
                left_behind.extend(contacts.map(|contacts| (name, contacts)));
                Wanted::Newer(Arc::new(served))
            }
        });
        Made { wanted: wanted.collect(), receivers, left_behind }
    }

    /// The metrics of those who come, change and go.
    fn describe(&self, before: &Everybody, now: &Everybody, change: &Change) {
        let Change { added, changed, removed } = change;
        let known = now.tenants().chain(now.skipped.iter().map(|(name, _)| name.as_str()));
        known.filter(|name| !before.knows(name)).for_each(|name| self.series.begin(name));
        before.skipped.iter().for_each(|(name, _)| metrics::tenant_skipped(name, false));
        now.skipped.iter().for_each(|(name, _)| metrics::tenant_skipped(name, true));
        let (were, are): (BTreeSet<&str>, BTreeSet<&str>) = (before.tenants().collect(), now.tenants().collect());
        are.difference(&were).for_each(|name| metrics::describe_tenant(name));
        for newer in added.iter().chain(changed).filter_map(|name| now.directory.find(name)) {
            metrics::tenant_limit(&newer.settings.name, newer.settings.max_calls);
        }
        were.difference(&are).for_each(|name| metrics::tenant_limit(name, 0));
        let older = changed.iter().chain(removed).filter_map(|name| before.directory.find(name));
        older.for_each(|served| served.forget());
    }

    /// All that goes along with a change once calls are served by it.
    fn settle(
        &mut self,
        before: &Everybody,
        now: &Everybody,
        Change { added, changed, removed }: &Change,
        mut receivers: BTreeMap<String, LogWebhook>,
        mut left_behind: BTreeMap<String, WrittenContacts>,
    ) {
        let books = &self.workshop.books;
        let mut touched = BTreeSet::new();
        for name in added.iter().chain(changed) {
            let Some(tenant) = now.directory.find(name).map(|served| &served.settings.name) else { continue };
            touched.insert(tenant.as_str());
            if let Some(receiver) = receivers.remove(name) {
                books.deliver(tenant, receiver);
            }
        }
        let gone = removed.iter().filter_map(|name| before.directory.find(name));
        touched.extend(gone.map(|served| served.settings.name.as_str()));
        for tenant in touched {
            if !now.of_tenant(tenant).any(|served| served.settings.records.webhook.is_some()) {
                books.deliver_no_more(tenant, CALLS_OVER);
            }
        }
        let served = now.limits().map(|(name, limits)| (name, *self.kept_limits.get(name).unwrap_or(&limits)));
        self.register.serve(served);
        // Those who had nothing but a gauge that says so.
        let mended = before.skipped.iter().filter(|(name, _)| !now.knows(name));
        mended.for_each(|(name, _)| self.register.note_unserved(name));
        added.iter().filter_map(|name| left_behind.remove(name)).for_each(|contacts| self.upkeep.look_after(contacts));
        lock(&self.shared).keep_for(|tenant| now.of_tenant(tenant).next().is_some());
    }
}

/// What was opened, as services.
struct Made {
    wanted: Vec<Wanted<Served>>,
    /// By the name of the integration, as is what a former process may have left in flight.
    receivers: BTreeMap<String, LogWebhook>,
    left_behind: BTreeMap<String, WrittenContacts>,
}

pub(super) fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
