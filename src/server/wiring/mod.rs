//! Wires configuration, adapters and actors into a running server.
//!
//! Invariant: everything that can be wrong is found before the first socket is served, and every socket is bound before the
//! first call; a server starts whole, or not at all, or without the tenants that its operator lets it skip. Tenants change
//! while calls run: `reload.rs` (those of the file), `following.rs` (those of the store).

mod changing;
mod connections;
mod following;
mod judging;
mod kept;
pub(crate) mod node;
mod noting;
mod of_file;
mod reload;
mod starting;
pub(crate) mod store;
mod targets;
mod tenants;
mod upkeep;
mod warming;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix::Addr;
use actix_rt::Arbiter;
use bellhop_actors::node::call_registry::CallRegistry;
use bellhop_actors::reception::{Drain, HURRY_WITHIN, LEAVE_WITHIN, LeaveNow, Reception, last_resort};
use bellhop_actors::services::Observer;
use bellhop_actors::signalling::transport::{Listen, SocketWire};
use bellhop_actors::supervision::watchdog::Watchdog;
use bellhop_adapters::log_webhook::LogWebhook;
use bellhop_call::ports::{CallRecords, Readiness};
use bellhop_connect::ports::FiledHistories;
use bellhop_tenancy::Integration;
use bellhop_tenancy::id::TenantId;
use bellhop_tenancy::register::Register;
use bellhop_tenancy::store::TenantStore;
use ipnet::IpNet;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::config::{Config, Mistakes, Reading};
use crate::engines::{Engines, Purpose, Shared};
use crate::live::Live;
use crate::process;
use crate::records::{self, Books};
use crate::series::Series;
use crate::tls_identity;
use changing::Changing;
pub(crate) use connections::connection;
use following::Following;
pub use following::follow_store;
pub(crate) use judging::{Running, out_of_reach};
use noting::Noting;
pub(crate) use of_file::OfFile;
pub use reload::reload_on_hang_up;
pub use targets::Targets;
pub(crate) use targets::judge;
use tenants::Workshop;
pub(crate) use tenants::{Current, Everybody};

/// What a configuration names, opened and found good.
pub struct Prepared {
    /// The configuration, without the tenants that are skipped.
    pub config: Config,
    /// Tenants that have mistakes and are not served, because `serve.skip_bad_tenants` allows it.
    pub skipped: Vec<(String, Mistakes)>,
    engines: Engines,
    shared: Shared,
    receivers: Vec<(String, LogWebhook)>,
}

/// What changes a server's tenants; one at a time.
struct Reloading {
    /// What the node was started with: all but tenants stays so.
    started: Config,
    changing: Changing,
}

/// A server that serves calls.
pub struct Server {
    /// Where SIP is heard, with the ports the system chose.
    pub sip: Vec<Listen>,
    /// All calls.
    pub registry: Arc<CallRegistry>,
    /// The histories, for the agent's page.
    pub histories: Arc<dyn FiledHistories>,
    /// Whether calls had better go elsewhere.
    pub readiness: Arc<dyn Readiness>,
    /// Whether new calls are welcome.
    pub open: Arc<AtomicBool>,
    /// Calls that are over.
    pub records: Arc<dyn CallRecords>,
    live: Arc<Live>,
    running: Running,
    reception: Addr<Reception>,
    wire: SocketWire,
    died: Arc<Notify>,
    drain: Duration,
    books: Books,
    socket: Option<JoinHandle<()>>,
    current: Arc<Current>,
    reloading: tokio::sync::Mutex<Reloading>,
    following: Following,
    _watchdog: Watchdog,
    _arbiters: Vec<Arbiter>,
}

/// Why a server did not start: one clear sentence.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration, or what it names.
    #[error(transparent)]
    Mistakes(#[from] Mistakes),
    /// A port is taken or not ours.
    #[error("sip.listen: {protocol} {address} cannot be bound: {error}")]
    Sip {
        /// What was to be spoken.
        protocol: &'static str,
        /// The address and port that are bound.
        address: SocketAddr,
        /// What the kernel says.
        error: std::io::Error,
    },
    /// RTP cannot be sent from where it should be.
    #[error("media.bind: {address} cannot be bound: {error}")]
    Media {
        /// The address that is bound.
        address: IpAddr,
        /// What the kernel says.
        error: std::io::Error,
    },
    /// Certificate or key of SIP.
    #[error(transparent)]
    Tls(#[from] tls_identity::BadFile),
    /// The database.
    #[error("storage.url: {why}")]
    Storage {
        /// A sentence with the URL.
        why: String,
    },
    /// The system has no thread to give.
    #[error("a thread could not be started: {0}")]
    Thread(std::io::Error),
}

impl From<store::CannotServe> for StartError {
    fn from(error: store::CannotServe) -> Self {
        Self::Storage { why: error.to_string() }
    }
}

/// Everything that is wrong with a file and with what it names: scripts, voices, packages. Nothing is started or created.
pub fn check(mut reading: Reading) -> Result<Config, Mistakes> {
    let (_, _, found) = open(&mut Shared::default(), &reading.config, Purpose::Check);
    reading.mistakes.extend(found);
    reading.mistakes.or(reading.config)
}

/// Opens what a file names. With `serve.skip_bad_tenants`, a tenant's mistakes cost that tenant alone; those of the server
/// itself cost everybody, and so does a file of which no tenant is good.
pub fn prepare(mut reading: Reading) -> Result<Prepared, Mistakes> {
    let mut shared = Shared::default();
    let (mut engines, mut receivers, found) = open(&mut shared, &reading.config, Purpose::Serve);
    reading.mistakes.extend(found);
    let mut skipped = vec![];
    if reading.config.serve.skip_bad_tenants && reading.mistakes.of_tenants_alone() && !reading.mistakes.is_empty() {
        let (all, indices) = (reading.mistakes.clone(), indices(&reading.config));
        skipped = reading.without_bad_tenants();
        let good = self::indices(&reading.config);
        if good.is_empty() {
            return Err(all);
        }
        let mut kept = indices.iter().map(|index| good.contains(index));
        engines.of.retain(|_| kept.next().unwrap_or(false));
        let names: Vec<&str> = reading.config.tenants.iter().map(|tenant| tenant.settings.name.as_str()).collect();
        receivers.retain(|(name, _)| names.contains(&name.as_str()));
    }
    let config = reading.mistakes.or(reading.config)?;
    Ok(Prepared { config, skipped, engines, shared, receivers })
}

fn indices(config: &Config) -> Vec<usize> {
    config.tenants.iter().map(|tenant| tenant.index).collect()
}

fn open(shared: &mut Shared, config: &Config, purpose: Purpose) -> (Engines, Vec<(String, LogWebhook)>, Mistakes) {
    let (engines, mut mistakes) = Engines::open(shared, config, purpose);
    for bad in config.sip.tls.iter().chain(&config.http.tls).filter_map(|files| tls_identity::check(files).err()) {
        mistakes.extend([config.places.mistake(&format!("{}.{}", bad.section, bad.key), bad.why)]);
    }
    let (receivers, found) = records::receivers(config);
    mistakes.extend(found);
    mistakes.extend(judge(config));
    (engines, receivers, mistakes)
}

impl Server {
    /// Starts a server; must be called on an actix system. Ports are bound before the database is touched: a second server
    /// on the same ones changes nothing.
    pub async fn start(
        prepared: Prepared,
        observer: Option<Arc<dyn Observer>>,
        series: Series,
    ) -> Result<Self, StartError> {
        let Prepared { config, skipped, engines, shared, receivers } = prepared;
        let bound = starting::bind(&config).await?;
        let store::Opened { calls: store, tenants } = store::open(&config.storage).await?;
        let registry = Arc::new(CallRegistry::new(Instant::now()));
        let (live, socket) = starting::serve_live(&config, &registry).await;
        let current = Arc::new(Current::default());
        let noting = Noting::start(tenants.clone(), Arc::clone(&current));
        let observer = starting::observers(live.clone(), noting.clone(), observer);
        let books = Books::open(&store, receivers);
        let workshop = Workshop::of(&config, &store, &observer, &books);
        let mut register = Register::default();
        let (everybody, written) = starting::open_tenants(&workshop, &config, engines, &skipped, &mut register)?;
        let directory = Arc::new(everybody.services().map_err(|taken| starting::taken(&config, &taken))?);
        current.becomes(everybody);
        starting::describe(&config, &skipped, &series);
        let trusted: Vec<IpNet> =
            directory.all().iter().flat_map(|services| services.integration.sources.iter().copied()).collect();
        let (reception, arbiters) = starting::reception(&config, directory, &registry, &observer);
        let sip = bound.addresses();
        let (wire, serving) = bound.split();
        let endpoint = starting::endpoint(wire.clone(), &reception, trusted);
        let (watchdog, died) = starting::watch(&registry, &reception, endpoint.clone(), wire.clone())?;
        let upkeep = upkeep::start(&store, Arc::clone(&current), written).await;
        let (drain, running, open) = (config.sip.drain, Running::of(&config), Arc::new(AtomicBool::new(true)));
        let changing = Changing::new(shared, workshop, upkeep, register, series);
        let reloading = Reloading { started: config, changing };
        let server = Self {
            sip,
            registry,
            histories: store.clone(),
            records: store.clone(),
            live,
            readiness: store,
            open,
            reception,
            wire,
            died,
            drain,
            running,
            books,
            socket,
            current,
            reloading: tokio::sync::Mutex::new(reloading),
            following: Following::new(tenants, noting),
            _watchdog: watchdog,
            _arbiters: arbiters,
        };
        // Whoever calls first is served by what is kept.
        server.catch_up_at_first().await;
        serving.start(&endpoint);
        Ok(server)
    }

    /// What is kept of tenants.
    pub fn tenants(&self) -> Arc<dyn TenantStore> {
        self.following.tenants()
    }

    /// What tells of calls as they happen.
    pub(crate) fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// What the configuration's file says of tenants.
    pub(crate) fn of_file(&self) -> OfFile {
        OfFile(Arc::clone(&self.current))
    }

    /// Tells the folders that calls of a tenant are recorded to, by its name.
    pub(crate) fn recording_folders(&self) -> impl Fn(&str) -> Vec<PathBuf> + Send + Sync + use<> {
        let current = Arc::clone(&self.current);
        move |tenant: &str| {
            let everybody = current.everybody();
            let settings = everybody.settings().filter(|settings| settings.name == tenant);
            settings.filter_map(|settings| settings.recording.folder.clone()).collect()
        }
    }

    /// What settings of tenants are judged by.
    pub(crate) fn running(&self) -> Running {
        self.running.clone()
    }

    /// The identifier of the tenant that calls and conversations know by a name; none of one that is gone.
    pub(crate) fn tenant(&self, name: &str) -> Option<TenantId> {
        self.following.tenant(name)
    }

    /// The integrations of a tenant that are served.
    pub fn integrations_of(&self, tenant: &str) -> Vec<Arc<Integration>> {
        self.current.everybody().of_tenant(tenant).map(|served| served.integration()).collect()
    }

    /// Tenants that are not served for their mistakes, and how many those are.
    pub fn skipped(&self) -> Vec<(String, usize)> {
        self.current.everybody().skipped.clone()
    }

    /// Brings up to date what is no event: who rests, and what the process takes.
    pub fn measure(&self) {
        self.current.everybody().measure();
        bellhop_actors::metrics::spooled(self.readiness.spooled().map(|spooled| (spooled.entries, spooled.bytes)));
        // Whoever reads the configuration again does so himself.
        if let Ok(mut reloading) = self.reloading.try_lock() {
            reloading.changing.drop_series(&self.current.everybody());
        }
        match process::take() {
            Ok(taken) => bellhop_actors::metrics::process(&taken),
            Err(error) => tracing::debug!(%error, "what the process takes cannot be read"),
        }
    }

    /// Takes no more calls, lets those there are finish until the deadline, then tears the rest down.
    pub async fn drain(&self) {
        self.open.store(false, Ordering::Release);
        bellhop_actors::metrics::draining();
        let (done, mut told) = tokio::sync::mpsc::unbounded_channel();
        self.reception.do_send(Drain { by: Instant::now() + self.drain, done });
        let limit = self.drain + LEAVE_WITHIN + HURRY_WITHIN + DRAIN_TOLD_WITHIN;
        let _ = tokio::time::timeout(limit, told.recv()).await;
        // The last BYE and its answer.
        tokio::time::sleep(LAST_BYE_WITHIN).await;
        self.books.flush().await;
        // The socket goes with who serves it.
        if let Some(socket) = &self.socket {
            socket.abort();
        }
    }

    /// Sees every call off at once: by their teardown plans, within [`HURRY_WITHIN`].
    pub async fn leave_now(&self) {
        self.open.store(false, Ordering::Release);
        let (done, mut told) = tokio::sync::mpsc::unbounded_channel();
        self.reception.do_send(LeaveNow { done });
        let _ = tokio::time::timeout(HURRY_WITHIN + FLUSH_WITHIN, told.recv()).await;
        let _ = tokio::time::timeout(FLUSH_WITHIN, self.books.flush()).await;
    }

    /// Resolves when the endpoint or the reception is gone: nobody carries out a teardown any more.
    pub async fn died(&self) {
        self.died.notified().await;
    }

    /// Sends every call a BYE with nothing but the teardown plans and the sockets; how many there were.
    pub async fn last_resort(&self) -> usize {
        self.open.store(false, Ordering::Release);
        let calls = last_resort::carry_out_all(&self.registry, &mut self.wire.clone()).await;
        // The writers of connections have their turn.
        tokio::time::sleep(FLUSH_WITHIN).await;
        let _ = tokio::time::timeout(FLUSH_WITHIN, self.books.flush()).await;
        calls
    }
}

/// How much longer than everybody has to leave it may take to be told that all have left.
const DRAIN_TOLD_WITHIN: Duration = Duration::from_secs(2);
/// How long the last BYE and its answer may take.
const LAST_BYE_WITHIN: Duration = Duration::from_millis(200);
/// How long what is written may take to be written when somebody is in a hurry.
const FLUSH_WITHIN: Duration = Duration::from_millis(200);
