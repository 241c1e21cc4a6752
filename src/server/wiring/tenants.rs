//! An integration as it is served: what its settings say, and the services that were opened for it.
//!
//! Invariant: who is served is one value that is swapped whole ([`Current`]); whoever has taken it out keeps it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use bellhop_actors::node::call_registry::CallId;
use bellhop_actors::services::{CallRecorder, Observer, RecordingSink, Services};
use bellhop_adapters::log_webhook::LogWebhook;
use bellhop_adapters::noted_writes::NotedWrites;
use bellhop_adapters::reach::Reach;
use bellhop_adapters::recording::{Folder, Name, Recording};
use bellhop_adapters::sounds::WebSounds;
use bellhop_adapters::storage::Store;
use bellhop_amazon_connect::{Client, Limiters};
use bellhop_connect::ports::{AttributeBlanker, AttributeWriter, HistoriesKept, NoContacts};
use bellhop_connect::{Connection, InstanceArn};
use bellhop_tenancy::directory::{Directory, NumberTaken};
use bellhop_tenancy::integration::OwnNumber;
use bellhop_tenancy::settings::{TenantSettings, Written};
use bellhop_tenancy::tenant::Limits;
use bellhop_tenancy::{Integration, Tenant};

use super::connections::connection;
use super::targets::Targets;
use super::warming;
use crate::config::{Aws, Config, Mark, reach};
use crate::engines::{AtRest, TenantEngines, Whose};
use crate::records::Books;

/// One integration.
pub(crate) struct Served {
    /// What was said of it.
    pub(crate) settings: TenantSettings,
    /// Tells whether another reading says the same.
    pub(crate) mark: Mark,
    /// Where that stands.
    pub(crate) origin: Origin,
    /// As it is written in the file; nothing of one that stands in the store.
    pub(super) written: Arc<Written>,
    services: Arc<Services>,
    at_rest: [(&'static str, AtRest); 3],
}

/// Where an integration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// In the configuration's file.
    File,
    /// In the store of tenants.
    Store,
}

/// An integration to be served: what is said of it, and what was opened for it.
pub(super) struct Ready {
    /// [`Integration::id`]
    pub(super) name: String,
    pub(super) settings: TenantSettings,
    pub(super) mark: Mark,
    pub(super) origin: Origin,
    /// [`Served`] says what that is.
    pub(super) written: Arc<Written>,
    /// Its numbers, where each has a right of its own.
    pub(super) numbers: Option<Vec<OwnNumber>>,
    pub(super) engines: TenantEngines,
    /// Who is told of its calls.
    pub(super) receiver: Option<LogWebhook>,
}

/// An integration's contacts, for what may have to be taken back.
pub(super) struct WrittenContacts {
    pub(super) integration: String,
    pub(super) writes: NotedWrites,
}

/// Everybody who is served, and who is not.
#[derive(Default)]
pub(crate) struct Everybody {
    /// By number and name.
    pub(crate) directory: Directory<Served>,
    /// Tenants that are not served for their mistakes, and how many those are.
    pub(crate) skipped: Vec<(String, usize)>,
    /// Those of them whose names tenants of the store have, in lower case: calls by these names are those tenants'.
    pub(crate) taken: BTreeSet<String>,
}

/// Everybody who is served now.
#[derive(Default)]
pub(crate) struct Current(RwLock<Arc<Everybody>>);

/// What the services of tenants are made of that all of them share; it lives as long as the process.
pub(super) struct Workshop {
    pub(super) store: Arc<dyn Store>,
    /// How long histories can be read, unless a tenant says otherwise.
    pub(super) histories: Duration,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) books: Books,
    pub(super) limiters: Limiters,
    /// Who assumes roles.
    pub(super) aws: Aws,
    /// How far what tenants of the store name may lead.
    pub(super) reach: Reach,
    pub(super) sounds: WebSounds,
}

impl Current {
    /// Those of this moment.
    pub(crate) fn everybody(&self) -> Arc<Everybody> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on it is these.
    pub(super) fn becomes(&self, everybody: Everybody) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(everybody);
    }
}

impl Everybody {
    /// For Reception: one look-up from a number to all that a call needs.
    pub(super) fn services(&self) -> Result<Directory<Services>, NumberTaken> {
        Directory::new(self.directory.all().iter().map(|served| Arc::clone(&served.services)))
    }

    /// What each tenant that is served may have.
    pub(super) fn limits(&self) -> impl Iterator<Item = (&str, Limits)> {
        self.directory.all().iter().map(|served| (served.tenant().name.as_str(), served.settings.limits()))
    }

    /// The names of tenants that have an integration that is served, each as often as it has one.
    pub(super) fn tenants(&self) -> impl Iterator<Item = &str> {
        self.directory.all().iter().map(|served| served.tenant().name.as_str())
    }

    /// Whether a tenant of this name is served, or is not for its mistakes.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.of_tenant(name).next().is_some() || self.skipped.iter().any(|(skipped, _)| skipped == name)
    }

    /// Whether calls of a tenant of this name are those of the file's.
    pub(super) fn is_of_file(&self, name: &str) -> bool {
        let all = self.directory.all().iter().filter(|served| served.origin == Origin::File);
        all.map(|served| &served.settings.name).any(|known| known.eq_ignore_ascii_case(name))
    }

    /// The integrations of a tenant.
    pub(super) fn of_tenant(&self, name: &str) -> impl Iterator<Item = &Served> {
        self.directory.all().iter().map(|served| &**served).filter(move |served| served.tenant().name == name)
    }

    /// Which services are left alone for their failures becomes a metric: of a tenant, those that any of its integrations
    /// leaves alone.
    pub(super) fn measure(&self) {
        let mut all: BTreeMap<(&str, &str, &str), bool> = BTreeMap::new();
        for served in self.directory.all() {
            for (port, at_rest) in &served.at_rest {
                for (service, rests) in at_rest() {
                    *all.entry((&served.tenant().name, port, service)).or_default() |= rests;
                }
            }
        }
        for ((tenant, port, service), rests) in all {
            bellhop_actors::metrics::service_at_rest(tenant, port, service, rests);
        }
    }

    /// What is said of each.
    pub(crate) fn settings(&self) -> impl Iterator<Item = &TenantSettings> {
        self.directory.all().iter().map(|served| &served.settings)
    }
}

impl AsRef<Integration> for Served {
    fn as_ref(&self) -> &Integration {
        &self.services.integration
    }
}

impl Served {
    /// What the engine knows of it.
    pub(super) fn integration(&self) -> Arc<Integration> {
        Arc::clone(&self.services.integration)
    }

    /// Whose it is.
    pub(super) fn tenant(&self) -> &Tenant {
        &self.services.integration.tenant
    }

    /// It is served no more, or not by these services: none of them rests.
    pub(super) fn forget(&self) {
        for (port, at_rest) in &self.at_rest {
            for (service, _) in at_rest() {
                bellhop_actors::metrics::service_at_rest(&self.tenant().name, port, service, false);
            }
        }
    }
}

impl Workshop {
    /// What a configuration says of it.
    pub(super) fn of(config: &Config, store: &Arc<dyn Store>, observer: &Arc<dyn Observer>, books: &Books) -> Self {
        Self {
            store: Arc::clone(store),
            histories: config.storage.time_to_live,
            observer: Arc::clone(observer),
            books: books.clone(),
            limiters: Limiters::default(),
            aws: config.aws.clone(),
            reach: reach(config.egress.private_networks),
            sounds: WebSounds::new(reach(config.sounds.private_networks)),
        }
    }

    /// Makes an integration's services of its engines; must be called on an actix system. What comes with it is for what a
    /// former process left in flight.
    pub(super) fn serve(&self, ready: Ready, tenant: Arc<Tenant>) -> (Served, Option<WrittenContacts>) {
        let Ready { name: integration, settings, mark, origin, written, numbers, engines, .. } = ready;
        // Their mistakes have been told with the reading: nobody who has some is served.
        let name = tenant.name.clone();
        let (mut targets, _) = Targets::of(&settings, tenant, engines.conversation);
        targets.integration.id = integration;
        if let Some(numbers) = numbers {
            targets.integration.numbers = numbers;
        }
        let reach = match origin {
            Origin::File => Reach::Everywhere,
            Origin::Store => self.reach,
        };
        let whose = Whose { settings: &settings, reach };
        let contacts = Contacts::of(whose, &targets.integration, self);
        let recorder = engines
            .recordings
            .map(|folder| Arc::new(Recordings { folder, tenant: name.clone() }) as Arc<dyn CallRecorder>);
        let lasts = settings.records.histories.unwrap_or(self.histories);
        let histories = self.store.histories(HistoriesKept { lasts, reads: settings.records.history_reads });
        warming::begin(engines.known_texts, &engines.synthesizer, targets.media.companding());
        let services = Services {
            integration: Arc::new(targets.integration),
            media: targets.media,
            recorder,
            instance: contacts.instance,
            assistant: engines.assistant,
            recognizer: engines.recognizer,
            synthesizer: engines.synthesizer,
            sounds: Arc::new(self.sounds.for_another_tenant()),
            conversation: targets.conversation,
            invite_headers: targets.invite_headers,
            attributes: contacts.attributes,
            blanker: contacts.blanker,
            histories,
            assistant_id: settings.assistant[0].kind.id().into(),
            records: self.books.keeper(&name, &settings),
            observer: Some(Arc::clone(&self.observer)),
        };
        let services = Arc::new(services);
        let served = Served { settings, mark, origin, written, services, at_rest: engines.at_rest };
        (served, contacts.written)
    }
}

/// The ports to an integration's contacts.
struct Contacts {
    instance: Option<InstanceArn>,
    attributes: Arc<dyn AttributeWriter>,
    blanker: Arc<dyn AttributeBlanker>,
    /// For what a former process left in flight.
    written: Option<WrittenContacts>,
}

impl Contacts {
    fn of(whose: Whose<'_>, of: &Integration, workshop: &Workshop) -> Self {
        // What keeps a connection from being one was told with the reading.
        let Some(connection) = connection(whose, &workshop.aws).ok().flatten() else {
            let nobody = Arc::new(NoContacts);
            return Self { instance: None, attributes: nobody.clone(), blanker: nobody, written: None };
        };
        warn_if_unreachable(&of.tenant.name, &connection);
        let client = Client::new(&connection, &workshop.limiters);
        let (instance, integration) = (Some(connection.instance), of.id.clone());
        let writes = NotedWrites::new(client, workshop.store.write_notes(&integration));
        let (attributes, blanker) = (Arc::new(writes.clone()), Arc::new(writes.clone()));
        Self { instance, attributes, blanker, written: Some(WrittenContacts { integration, writes }) }
    }
}

/// How long Amazon Connect may take to be reached before it is told that it cannot.
const REACHED_WITHIN: Duration = Duration::from_secs(3);

/// An unreachable service of one tenant is that tenant's trouble: the server starts, and says so.
fn warn_if_unreachable(tenant: &str, connection: &Connection) {
    let region = &connection.instance.region;
    // Amazon's own name may lead to a private endpoint of the operator's network.
    let (url, reach) = match &connection.endpoint_url {
        Some(url) => (url.clone(), reach(connection.private_networks)),
        None => (format!("https://connect.{region}.amazonaws.com"), Reach::Everywhere),
    };
    let (name, rest) = (tenant.to_owned(), url.split("://").nth(1).unwrap_or_default().to_owned());
    let authority = rest.split('/').next().unwrap_or_default().to_owned();
    let port = if url.starts_with("https") { 443 } else { 80 };
    let address = if authority.contains(':') { authority } else { format!("{authority}:{port}") };
    actix_rt::spawn(async move {
        let (host, port) = address.rsplit_once(':').unwrap_or((&address, ""));
        let connect = reach.connect(host, port.parse().unwrap_or_default());
        if !matches!(tokio::time::timeout(REACHED_WITHIN, connect).await, Ok(Ok(_))) {
            tracing::warn!(
                tenant = name,
                endpoint = address,
                "Amazon Connect cannot be reached: this tenant's hand-offs will end in a BYE without attribute"
            );
        }
    });
}

/// Recordings of one tenant, named by tenant, time and call.
struct Recordings {
    folder: Folder,
    tenant: String,
}

impl CallRecorder for Recordings {
    fn begin(&self, call: CallId, sample_rate: u32) -> Box<dyn RecordingSink> {
        let began_unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let name = Name { tenant: self.tenant.clone(), began_unix, call: call.to_string() };
        Box::new(Sink(self.folder.begin(&name.to_string(), sample_rate)))
    }
}

struct Sink(Recording);

impl RecordingSink for Sink {
    fn write(&mut self, samples: Vec<i16>) {
        self.0.write(samples);
    }
}
