//! Wires configuration, adapters and actors into a running server.
//!
//! Invariant: everything that can be wrong is found before the first socket is served, and every socket is bound before the
//! first call; a server starts whole, or not at all, or without the tenants that its operator lets it skip. Tenants change
//! while calls run: `reload.rs`.

mod reload;
pub(crate) mod store;
mod targets;
mod tenants;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix::{Actor, Addr, AsyncContext, Context};
use actix_rt::Arbiter;
use bellhop_actors::media_shard::PacketPort;
use bellhop_actors::media_shard::udp_port::UdpPort;
use bellhop_actors::node::call_registry::CallRegistry;
use bellhop_actors::node::live_contacts::LiveContacts;
use bellhop_actors::node::port_pool::PortPool;
use bellhop_actors::reception::admission::Admission;
use bellhop_actors::reception::{
    Attach, CallHung, Drain, HURRY_WITHIN, LEAVE_WITHIN, LeaveNow, Reception, ReceptionSettings, last_resort,
};
use bellhop_actors::services::Observer;
use bellhop_actors::signalling::endpoint::SipEndpoint;
use bellhop_actors::signalling::transport::{Bound, Listen, SocketWire};
use bellhop_actors::supervision::watchdog::{HUNG_AFTER, Look, Watchdog};
use bellhop_adapters::dns::Dns;
use bellhop_adapters::log_webhook::LogWebhook;
use bellhop_adapters::sounds::WebSounds;
use bellhop_amazon_connect::Limiters;
use bellhop_call::ending::Ending;
use bellhop_call::ports::Readiness;
use bellhop_connect::ports::FiledHistories;
use bellhop_sip::digest::Challenger;
use bellhop_sip::locate::NameResolver;
use bellhop_tenancy::directory::{Directory, NumberTaken};
use bellhop_tenancy::quota::{Quota, Shares};
use bellhop_tenancy::tenant::Tenant;
use ipnet::IpNet;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::config::{Config, Mistakes, Reading};
use crate::engines::{Engines, Purpose, Shared};
use crate::http::Series;
use crate::live::{self, Both, HangUp, Live};
use crate::main_thread::MainBeat;
use crate::process;
use crate::records::{self, Books};
use crate::tls_identity;
use crate::upkeep;
use reload::Reloading;
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
    reception: Addr<Reception>,
    wire: SocketWire,
    died: Arc<Notify>,
    drain: Duration,
    books: Books,
    socket: Option<JoinHandle<()>>,
    current: Arc<Current>,
    reloading: tokio::sync::Mutex<Reloading>,
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
        /// Where.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// RTP cannot be sent from where it should be.
    #[error("media.bind: {address} cannot be bound: {error}")]
    Media {
        /// Where.
        address: IpAddr,
        /// Why.
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
    if let Some(Err(bad)) = config.sip.tls.as_ref().map(tls_identity::check) {
        mistakes.extend([config.places.mistake(&format!("sip.tls.{}", bad.key), bad.why)]);
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
        let identity = match &config.sip.tls {
            None => {
                bellhop_actors::metrics::certificate_expires(0);
                None
            }
            Some(files) => Some(tls_identity::serve(files)?),
        };
        let bound =
            Bound::bind(&config.sip.listen, config.sip.advertise, identity).await.map_err(|(listen, error)| {
                StartError::Sip { protocol: listen.protocol.label(), address: listen.address, error }
            })?;
        // An address that is none of this machine would fail every call, and no start.
        let bind = config.media.bind;
        UdpPort::bind(SocketAddr::new(bind, 0)).map_err(|error| StartError::Media { address: bind, error })?;
        let store = store::open(&config.storage.url).await;
        let store = store.map_err(|error| StartError::Storage { why: error.to_string() })?;
        let registry = Arc::new(CallRegistry::new(Instant::now()));
        let (live, socket) = serve_live(&config.storage.url, &registry).await;
        let observer: Arc<dyn Observer> = match observer {
            Some(observer) => Arc::new(Both(live, observer)),
            None => live,
        };
        let books = Books::open(&store, receivers);
        let workshop = Workshop {
            store: store.clone(),
            histories: config.storage.time_to_live,
            observer: Arc::clone(&observer),
            books: books.clone(),
            limiters: Limiters::default(),
            sounds: WebSounds::new(config.sounds.private_networks),
        };
        let made = config.tenants.iter().zip(engines.of);
        let (served, written): (Vec<_>, Vec<_>) =
            made.map(|(tenant, engines)| workshop.serve(tenant.clone(), engines, None)).unzip();
        let taken = |taken: NumberTaken| config.places.mistakes(vec![("tenants".to_owned(), taken.to_string())]);
        let everybody = Everybody {
            directory: Directory::new(served.into_iter().map(Arc::new)).map_err(taken)?,
            skipped: skipped.iter().map(|(name, mistakes)| (name.clone(), mistakes.list().len())).collect(),
        };
        let directory = Arc::new(everybody.services().map_err(taken)?);
        let current = Arc::new(Current::default());
        current.becomes(everybody);
        let names: Vec<&str> = config.tenants.iter().map(|tenant| tenant.settings.name.as_str()).collect();
        let known = names.iter().copied().chain(skipped.iter().map(|(name, _)| name.as_str()));
        known.for_each(|tenant| series.begin(tenant));
        bellhop_actors::metrics::describe(&names);
        bellhop_actors::metrics::build(env!("CARGO_PKG_VERSION"));
        bellhop_actors::metrics::node_limits(config.sip.max_calls, config.media.pairs());
        for tenant in &config.tenants {
            bellhop_actors::metrics::tenant_limit(&tenant.settings.name, tenant.settings.max_calls);
        }
        for (name, mistakes) in &skipped {
            bellhop_actors::metrics::tenant_skipped(name, true);
            for why in mistakes.lines() {
                tracing::error!(tenant = name, why, "a tenant is not served: mend this, and send SIGHUP");
            }
        }
        let arbiters: Vec<Arbiter> = (0..config.media.shards).map(|_| Arbiter::new()).collect();
        let open_port = move |port: u16| {
            UdpPort::bind(SocketAddr::new(bind, port)).map(|port| Box::new(port) as Box<dyn PacketPort>)
        };
        let ports = PortPool::new(config.media.ports.0, config.media.ports.1);
        let held = ports.set_aside_held(Instant::now(), |port| UdpPort::bind(SocketAddr::new(bind, port)).map(drop));
        if held > 0 {
            let free = ports.free(Instant::now());
            tracing::warn!(held, free, "other programs hold pairs of media.ports: calls use the free ones");
        }
        let trusted: Vec<IpNet> =
            directory.all().iter().flat_map(|services| services.tenant.sources.iter().copied()).collect();
        let settings = ReceptionSettings {
            admission: Admission {
                directory,
                node: Quota::new(config.sip.max_calls),
                ports,
                open: true,
                contacts: LiveContacts::default(),
                unacknowledged: Shares::default(),
                challenger: Challenger::new(rand::random()),
                epoch: Instant::now(),
            },
            media_address: config.media_address(),
            open_port: Arc::new(open_port),
            shards: arbiters.iter().map(Arbiter::handle).collect(),
            new_shard: Arc::new(|| Arbiter::new().handle()),
            registry: Arc::clone(&registry),
            fault_injection: config.fault_injection,
            observer: Some(Arc::clone(&observer)),
            numbers: config.serve.numbers,
        };
        let reception = Reception::new(settings).start();
        let sip = bound.addresses();
        let (wire, serving) = bound.split();
        let last_wire = wire.clone();
        let offers = reception.clone().recipient();
        let names = match Dns::of_the_system() {
            Ok(dns) => Some(Arc::new(dns) as Arc<dyn NameResolver>),
            Err(error) => {
                tracing::warn!(%error, "names in SIP routes are not looked up: requests go to where the call came from");
                None
            }
        };
        let endpoint = SipEndpoint::create(|ctx: &mut Context<SipEndpoint>| {
            reception.do_send(Attach(ctx.address()));
            let endpoint = SipEndpoint::new(Box::new(wire), offers, reception.clone().recipient()).trusting(trusted);
            match names {
                Some(names) => endpoint.with_names(names),
                None => endpoint,
            }
        });
        serving.start(&endpoint);
        let (watched, hung_to) = (Arc::clone(&registry), reception.clone());
        let died = Arc::new(Notify::new());
        let (dies, endpoint_is) = (Arc::clone(&died), endpoint.clone());
        let mut main = MainBeat::start().listener();
        let wire_of_main = last_wire.clone();
        let watchdog = Watchdog::start(move |look| match look {
            Look::Steady(_) if !endpoint_is.connected() || !hung_to.connected() => dies.notify_one(),
            Look::Steady(now) => {
                main.listen(now, &watched, &wire_of_main);
                watched.hung(now, HUNG_AFTER).into_iter().for_each(|call| hung_to.do_send(CallHung(call)));
            }
            Look::Standstill(now, lasted) => {
                watched.forgive(now);
                main.forgive(now);
                bellhop_actors::metrics::standstill(lasted);
                tracing::warn!(?lasted, calls = watched.len(), "the process stood still; its calls go on");
            }
        })
        .map_err(StartError::Thread)?;
        let written = written.into_iter().flatten().collect();
        let upkeep = upkeep::start(&store, Arc::clone(&current), written).await;
        let drain = config.sip.drain;
        let reloading = Reloading::new(config, shared, workshop, upkeep, series);
        Ok(Self {
            sip,
            registry,
            histories: store.clone(),
            readiness: store,
            open: Arc::new(AtomicBool::new(true)),
            reception,
            wire: last_wire,
            died,
            drain,
            books,
            socket,
            current,
            reloading: tokio::sync::Mutex::new(reloading),
            _watchdog: watchdog,
            _arbiters: arbiters,
        })
    }

    /// What the engine knows of a tenant that is served.
    pub fn tenant(&self, name: &str) -> Option<Arc<Tenant>> {
        self.current.everybody().directory.find(name).map(|served| served.tenant())
    }

    /// Tenants that are not served for their mistakes, and how many those are.
    pub fn skipped(&self) -> Vec<(String, usize)> {
        self.current.everybody().skipped.clone()
    }

    /// Brings up to date what is no event: who rests, and what the process takes.
    pub fn measure(&self) {
        self.current.everybody().directory.all().iter().for_each(|served| served.measure());
        // Whoever reads the configuration again does so himself.
        if let Ok(mut reloading) = self.reloading.try_lock() {
            reloading.drop_series(&self.current.everybody());
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
        let limit = self.drain + LEAVE_WITHIN + HURRY_WITHIN + Duration::from_secs(2);
        let _ = tokio::time::timeout(limit, told.recv()).await;
        // The last BYE and its answer.
        tokio::time::sleep(Duration::from_millis(200)).await;
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

/// How long what is written may take to be written when somebody is in a hurry.
const FLUSH_WITHIN: Duration = Duration::from_millis(200);

/// Where `bellhop calls` connects to; a server without it serves calls all the same.
async fn serve_live(database: &str, registry: &Arc<CallRegistry>) -> (Arc<Live>, Option<JoinHandle<()>>) {
    let live = Live::new();
    let calls = Arc::clone(registry);
    let hang_up: HangUp = Arc::new(move |call| calls.hang_up(call, Ending::OperatorHungUp));
    let serving = match live::beside(database) {
        Some(path) => Some(live.clone().serve(path, hang_up).await),
        None => None,
    };
    (Arc::new(live), serving)
}
