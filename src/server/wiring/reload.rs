//! The configuration is read again while calls run (SIGHUP): what is good of its tenants is served from then on.
//!
//! Invariants: services are opened off the threads of calls, and only those of tenants that changed; nobody is taken away by a
//! file that cannot be read to its end. What comes of what was read: `changing.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellhop_actors::metrics::{self, ConfigurationRead};
use bellhop_tenancy::succession::{Absent, Change};
use tokio::signal::unix::Signal;

use super::changing::{Came, Ending, Found, Said, lock};
use super::following::Again;
use super::judging::Running;
use super::tenants::{Everybody, Origin, Ready};
use super::{Reloading, Server, open};
use crate::config::{self, Config, Mark, Mistake, Mistakes, Reading};
use crate::engines::{Purpose, Shared};

/// What a file says, with the services of those of its tenants that changed.
struct Opened {
    config: Config,
    /// In the file's order.
    tenants: Vec<Found>,
    /// The mistakes of each tenant that has some, as lines.
    bad: BTreeMap<String, Vec<String>>,
    /// Of the server itself, or of tenants without a name.
    mistakes: Mistakes,
}

/// Reads the configuration again on each signal, for as long as the process lives.
pub async fn reload_on_hang_up(server: Arc<Server>, path: PathBuf, mut hang_up: Signal) {
    while hang_up.recv().await.is_some() {
        let came = server.reload(&path).await;
        // A name may be free, or taken, that a tenant of the store has.
        if let Err(error) = server.catch_up(Again::Always).await {
            tracing::warn!(%error, "the store of tenants does not answer: its tenants stay as they were");
        }
        metrics::configuration_read(came);
    }
}

impl Server {
    /// Reads a configuration, serves what is good of its tenants, and says in the log what came of it.
    async fn reload(&self, path: &Path) -> ConfigurationRead {
        let mut reloading = self.reloading.lock().await;
        let before = self.current.everybody();
        let (shared, file) = (reloading.changing.shared(), path.to_owned());
        let of_file = before.directory.all().iter().filter(|served| served.origin == Origin::File);
        let marks = of_file.map(|served| (served.settings.name.clone(), served.mark)).collect();
        let running = self.running.clone();
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

/// Reads a file and opens what changed; slow, and on a thread of its own.
fn read(
    path: &Path,
    running: &Running,
    before: &BTreeMap<String, Mark>,
    shared: &mut Shared,
) -> Result<Opened, Mistakes> {
    let Reading { mut config, mut mistakes } = Reading::of_file_again(path, &running.sip)?;
    config.aws = running.aws.clone();
    let all = std::mem::take(&mut config.tenants);
    if all.is_empty() && !before.is_empty() {
        // Half a file looks like this too, where what makes pages stands before the tenants.
        let why = "has no section any more, and there were some: they stay until the server starts with this file";
        mistakes.extend([config.places.mistake("tenants", why.to_owned())]);
    }
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
    let (mut engines, mut receivers) = (engines.of.into_iter(), receivers.into_iter().collect::<BTreeMap<_, _>>());
    let found = |tenant: config::Tenant| {
        let (name, same) = (tenant.settings.name.clone(), is_same(&tenant));
        let engines = if same { None } else { engines.next() };
        match engines {
            _ if name.is_empty() || bad.contains_key(&name) => Found::Bad(name),
            Some(engines) => {
                let config::Tenant { settings, mark, written, .. } = tenant;
                let receiver = receivers.remove(&name);
                let (origin, numbers) = (Origin::File, None);
                Found::Newer(Box::new(Ready { name, settings, mark, origin, written, numbers, engines, receiver }))
            }
            None => Found::Same(name),
        }
    };
    let tenants = all.iter().cloned().map(found).collect();
    let bad = bad.into_iter().map(|(name, mistakes)| (name, mistakes.lines())).collect();
    Ok(Opened { config, tenants, bad, mistakes: of_nobody })
}

impl Reloading {
    async fn apply(&mut self, server: &Server, before: &Everybody, opened: Opened) -> ConfigurationRead {
        let Opened { config, mut tenants, mut bad, mistakes } = opened;
        let mut names = server.following.names();
        // Whoever is served by the file has the name, whoever came to the store with it since.
        names.retain(|name| !before.is_of_file(name));
        let taken = Some(refuse_names(&names, &mut tenants, &mut bad));
        let absent = if mistakes.is_empty() { Absent::Remove } else { Absent::Keep };
        let said = Said { origin: Origin::File, found: tenants, bad, absent, taken };
        let came = match self.changing.apply(server, before, said).await {
            Ok(came) => came,
            Err(Ending) => return refuse(&["the server is ending".to_owned()]),
        };
        self.tell(&config, &mistakes);
        tell_tenants(&server.current.everybody(), &came);
        match came.refused.is_empty() && mistakes.is_empty() {
            true => ConfigurationRead::Applied,
            false => ConfigurationRead::InPart,
        }
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

/// A name is a tenant's of the store already: calls and records of two would be one's. Those that are refused, in lower case.
fn refuse_names(
    taken: &BTreeSet<String>,
    found: &mut Vec<Found>,
    bad: &mut BTreeMap<String, Vec<String>>,
) -> BTreeSet<String> {
    let mut refused = BTreeSet::new();
    for one in found {
        if let Found::Newer(ready) = one
            && taken.contains(&ready.name.to_ascii_lowercase())
        {
            let why = format!("a tenant of the store is called `{}` too: give this one another name", ready.name);
            refused.insert(ready.name.to_ascii_lowercase());
            bad.entry(ready.name.clone()).or_default().push(why);
            *one = Found::Bad(ready.name.clone());
        }
    }
    refused
}

fn tell_tenants(now: &Everybody, Came { change: Change { added, changed, removed }, refused }: &Came) {
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
