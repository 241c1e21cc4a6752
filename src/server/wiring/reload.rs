//! The configuration is read again while calls run (SIGHUP): what is good of its tenants is served from then on.
//!
//! Invariants: a call keeps what it began with; what is refused stays as it was, by name; services are opened off the threads
//! of calls, and only those of tenants that changed; nobody is taken away by a file that cannot be read to its end. Who comes
//! and who goes is decided in `src/tenancy/succession.rs`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellhop_actors::metrics::{self, ConfigurationRead};
use bellhop_actors::reception::Serve;
use bellhop_adapters::log_webhook::LogWebhook;
use bellhop_tenancy::register::Register;
use bellhop_tenancy::succession::{Absent, Change, Succession, Wanted, succeed};
use tokio::signal::unix::Signal;

use super::tenants::{Everybody, Served, Workshop, WrittenContacts};
use super::upkeep::Upkeep;
use super::{Server, open};
use crate::config::{self, Config, Mark, Mistake, Mistakes, Reading, Sip};
use crate::engines::{Purpose, Shared, TenantEngines};
use crate::series::Series;

/// How long after its end a tenant's log webhook is told of the calls it had: they last four hours at most.
const CALLS_OVER: Duration = Duration::from_secs(5 * 3600);

/// What a server needs to change its tenants.
pub(super) struct Reloading {
    /// What the node was started with: all but tenants stays so.
    started: Config,
    shared: Arc<Mutex<Shared>>,
    workshop: Workshop,
    upkeep: Upkeep,
    register: Register,
    series: Series,
}

/// What a file says, with the services of those of its tenants that changed.
struct Opened {
    config: Config,
    /// In the file's order.
    tenants: Vec<Found>,
    /// The mistakes of each tenant that has some, as lines.
    bad: BTreeMap<String, Vec<String>>,
    receivers: BTreeMap<String, LogWebhook>,
    /// Of the server itself, or of tenants without a name.
    mistakes: Mistakes,
}

/// One tenant of a file.
enum Found {
    Same(String),
    Newer(Box<(config::Tenant, TenantEngines)>),
    Bad(String),
}

/// Reads the configuration again on each signal, for as long as the process lives.
pub async fn reload_on_hang_up(server: Arc<Server>, path: PathBuf, mut hang_up: Signal) {
    while hang_up.recv().await.is_some() {
        let came = server.reload(&path).await;
        metrics::configuration_read(came);
    }
}

impl Server {
    /// Reads a configuration, serves what is good of its tenants, and says in the log what came of it.
    async fn reload(&self, path: &Path) -> ConfigurationRead {
        let mut reloading = self.reloading.lock().await;
        let before = self.current.everybody();
        let (shared, file) = (Arc::clone(&reloading.shared), path.to_owned());
        let marks = before.directory.all().iter().map(|served| (served.settings.name.clone(), served.mark)).collect();
        let running = reloading.started.sip.clone();
        let opening = tokio::task::spawn_blocking(move || read(&file, &running, &marks, &mut lock(&shared)));
        match opening.await {
            Ok(Ok(opened)) => reloading.apply(self, &before, opened).await,
            Ok(Err(mistakes)) => refuse(&mistakes.lines()),
            Err(_) => refuse(&["a service could not be opened: its thread panicked".to_owned()]),
        }
    }
}

/// Nothing of a file is good.
fn refuse(lines: &[String]) -> ConfigurationRead {
    for why in lines {
        tracing::error!(why, "the configuration cannot be read: all stays as it was");
    }
    ConfigurationRead::Refused
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads a file and opens what changed; slow, and on a thread of its own.
fn read(path: &Path, running: &Sip, before: &BTreeMap<String, Mark>, shared: &mut Shared) -> Result<Opened, Mistakes> {
    let Reading { mut config, mut mistakes } = Reading::of_file_again(path, running)?;
    let all = std::mem::take(&mut config.tenants);
    let is_same = |tenant: &config::Tenant| before.get(&tenant.settings.name) == Some(&tenant.mark);
    config.tenants = all.iter().filter(|tenant| !is_same(tenant)).cloned().collect();
    let (engines, receivers, found) = open(shared, &config, Purpose::Serve);
    // The files of `[sip.tls]` are looked after by who serves them.
    mistakes.extend(found.into_iter().filter(|mistake| mistake.tenant().is_some()));
    let name = |index: usize| all.iter().find(|one| one.index == index).map(|one| one.settings.name.as_str());
    let of_tenant = |mistake: &Mistake| mistake.tenant().and_then(name).filter(|name| !name.is_empty());
    let mut bad: BTreeMap<String, Mistakes> = BTreeMap::new();
    let mut of_nobody = Mistakes::default();
    for mistake in mistakes {
        match of_tenant(&mistake) {
            Some(name) => bad.entry(name.to_owned()).or_default().extend([mistake]),
            None => of_nobody.extend([mistake]),
        }
    }
    let mut engines = engines.of.into_iter();
    let found = |tenant: config::Tenant| {
        let (name, same) = (tenant.settings.name.clone(), is_same(&tenant));
        let engines = if same { None } else { engines.next() };
        match engines {
            _ if name.is_empty() || bad.contains_key(&name) => Found::Bad(name),
            Some(engines) => Found::Newer(Box::new((tenant, engines))),
            None => Found::Same(name),
        }
    };
    let tenants = all.iter().cloned().map(found).collect();
    let bad = bad.into_iter().map(|(name, mistakes)| (name, mistakes.lines())).collect();
    Ok(Opened { config, tenants, bad, receivers: receivers.into_iter().collect(), mistakes: of_nobody })
}

impl Reloading {
    pub(super) fn new(
        started: Config,
        shared: Shared,
        workshop: Workshop,
        upkeep: Upkeep,
        register: Register,
        series: Series,
    ) -> Self {
        Self { started, shared: Arc::new(Mutex::new(shared)), workshop, upkeep, register, series }
    }

    /// Drops the series of tenants that are gone, once their last values have been shown.
    pub(super) fn drop_series(&mut self, now: &Everybody) {
        self.register.settle(|name| now.knows(name), |name| self.series.end(name));
    }

    async fn apply(&mut self, server: &Server, before: &Everybody, opened: Opened) -> ConfigurationRead {
        let Opened { config, tenants, bad: mut refused, receivers, mistakes } = opened;
        let (wanted, left_behind) = self.make(tenants);
        let absent = if mistakes.is_empty() { Absent::Remove } else { Absent::Keep };
        let Succession { directory, change, refused: taken } = succeed(&before.directory, &wanted, absent);
        for taken in taken {
            refused.entry(taken.second.clone()).or_default().push(taken.to_string());
        }
        let not_served = refused.iter().filter(|(name, _)| directory.find(name).is_none());
        let skipped = not_served.map(|(name, why)| (name.clone(), why.len())).collect();
        let now = Everybody { directory, skipped };
        let Ok(services) = now.services() else { return refuse(&["two tenants have one number".to_owned()]) };
        let known = change.added.iter().chain(now.skipped.iter().map(|(name, _)| name));
        known.for_each(|name| self.series.begin(name));
        describe(before, &now, &change);
        // Between two INVITEs; once this is answered, each new call gets the newest.
        if server.reception.send(Serve(Arc::new(services))).await.is_err() {
            return refuse(&["the server is ending".to_owned()]);
        }
        self.settle(before, &now, &change, receivers, left_behind);
        self.tell(&config, &mistakes);
        tell_tenants(&now, &change, &refused);
        server.current.becomes(now);
        match refused.is_empty() && mistakes.is_empty() {
            true => ConfigurationRead::Applied,
            false => ConfigurationRead::InPart,
        }
    }

    /// Makes services of what was opened; with what a former process may have left in flight, by name.
    fn make(&mut self, tenants: Vec<Found>) -> (Vec<Wanted<Served>>, BTreeMap<String, WrittenContacts>) {
        let mut left_behind = BTreeMap::new();
        let wanted = tenants.into_iter().map(|found| match found {
            Found::Same(name) => Wanted::Same(name),
            Found::Bad(name) => Wanted::Bad(name),
            Found::Newer(newer) => {
                let (tenant, engines) = *newer;
                let name = tenant.settings.name.clone();
                let whose = self.register.enrol(&name, tenant.settings.limits());
                let (served, contacts) = self.workshop.serve(tenant, engines, whose);
                left_behind.extend(contacts.map(|contacts| (name, contacts)));
                Wanted::Newer(Arc::new(served))
            }
        });
        (wanted.collect(), left_behind)
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
        for name in added.iter().chain(changed) {
            match receivers.remove(name) {
                Some(receiver) => books.deliver(name, receiver),
                None => books.deliver_no_more(name, CALLS_OVER),
            }
        }
        for gone in removed.iter().filter_map(|name| before.directory.find(name)) {
            books.deliver_no_more(&gone.settings.name, CALLS_OVER);
        }
        self.register.serve(now.limits());
        // Those who had nothing but a gauge that says so.
        let mended = before.skipped.iter().filter(|(name, _)| !now.knows(name));
        mended.for_each(|(name, _)| self.register.note_unserved(name));
        added.iter().filter_map(|name| left_behind.remove(name)).for_each(|contacts| self.upkeep.look_after(contacts));
        lock(&self.shared).keep_for(|name| now.directory.find(name).is_some());
    }

    /// What a running server cannot change, and what is wrong or doubtful beside the tenants.
    fn tell(&self, config: &Config, mistakes: &Mistakes) {
        let keys = self.started.differs_in(config);
        if !keys.is_empty() {
            tracing::warn!(
                keys = keys.join(" "),
                "needs a restart: until then these stay as the server was started with"
            );
        }
        config.warnings_heard_by(&self.started.sip).iter().for_each(|warning| tracing::warn!("{warning}"));
        for why in mistakes.lines() {
            tracing::error!(
                why,
                "a mistake outside of the tenants that have a name: until it is mended no tenant is removed"
            );
        }
    }
}

/// The metrics of those who come, change and go.
fn describe(before: &Everybody, now: &Everybody, Change { added, changed, removed }: &Change) {
    before.skipped.iter().for_each(|(name, _)| metrics::tenant_skipped(name, false));
    now.skipped.iter().for_each(|(name, _)| metrics::tenant_skipped(name, true));
    added.iter().for_each(|name| metrics::describe_tenant(name));
    for newer in added.iter().chain(changed).filter_map(|name| now.directory.find(name)) {
        metrics::tenant_limit(&newer.settings.name, newer.settings.max_calls);
    }
    removed.iter().for_each(|name| metrics::tenant_limit(name, 0));
    let older = changed.iter().chain(removed).filter_map(|name| before.directory.find(name));
    older.for_each(|served| served.forget());
}

fn tell_tenants(now: &Everybody, Change { added, changed, removed }: &Change, refused: &BTreeMap<String, Vec<String>>) {
    for (tenant, why) in refused.iter().flat_map(|(name, lines)| lines.iter().map(move |why| (name, why))) {
        match now.directory.find(tenant) {
            Some(_) => tracing::error!(tenant, why, "a change is refused: the tenant is served as it was before"),
            None => tracing::error!(tenant, why, "a tenant is not served: mend this, and send SIGHUP"),
        }
    }
    tracing::info!(
        added = added.join(" "),
        changed = changed.join(" "),
        removed = removed.join(" "),
        refused = refused.keys().map(String::as_str).collect::<Vec<_>>().join(" "),
        tenants = now.directory.all().len(),
        "the configuration has been read again"
    );
}
