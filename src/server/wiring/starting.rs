//! The steps of a start: ports are bound, tenants described, actors started, and watched.
//!
//! Invariant: what can fail comes before the first call is taken. Their order stands in [`super::Server::start`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use actix::{Actor, Addr, AsyncContext, Context};
use actix_rt::Arbiter;
use bellhop_actors::media_shard::PacketPort;
use bellhop_actors::media_shard::udp_port::UdpPort;
use bellhop_actors::metrics;
use bellhop_actors::node::call_registry::CallRegistry;
use bellhop_actors::node::live_contacts::LiveContacts;
use bellhop_actors::node::port_pool::PortPool;
use bellhop_actors::reception::admission::Admission;
use bellhop_actors::reception::{Attach, CallHung, Reception, ReceptionSettings};
use bellhop_actors::services::{Observer, Services};
use bellhop_actors::signalling::endpoint::SipEndpoint;
use bellhop_actors::signalling::transport::{Bound, SocketWire};
use bellhop_actors::supervision::watchdog::{HUNG_AFTER, Look, Watchdog};
use bellhop_adapters::dns::Dns;
use bellhop_call::ending::Ending;
use bellhop_sip::digest::Challenger;
use bellhop_sip::locate::NameResolver;
use bellhop_tenancy::directory::{Directory, NumberTaken};
use bellhop_tenancy::quota::{Quota, Shares};
use bellhop_tenancy::register::Register;
use ipnet::IpNet;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::noting::Noting;
use super::tenants::{Origin, Ready, Workshop, WrittenContacts};
use super::{Everybody, StartError};
use crate::config::{self, Config, Mistakes};
use crate::engines::{Engines, TenantEngines};
use crate::live::{self, Both, HangUp, Live};
use crate::main_thread::MainBeat;
use crate::series::Series;
use crate::tls_identity;

/// The sockets of SIP. RTP is tried as well: an address that is none of this machine would fail every call, and no start.
pub(super) async fn bind(config: &Config) -> Result<Bound, StartError> {
    let identity = match &config.sip.tls {
        None => {
            metrics::certificate_expires(0);
            None
        }
        Some(files) => Some(tls_identity::serve(files)?),
    };
    let bound = Bound::bind(&config.sip.listen, config.sip.advertise, identity).await.map_err(|(listen, error)| {
        StartError::Sip { protocol: listen.protocol.label(), address: listen.address, error }
    })?;
    let address = config.media.bind;
    UdpPort::bind(SocketAddr::new(address, 0)).map_err(|error| StartError::Media { address, error })?;
    Ok(bound)
}

/// Every tenant with its services, and what a former process left in flight of its contacts.
pub(super) fn open_tenants(
    workshop: &Workshop,
    config: &Config,
    engines: Engines,
    skipped: &[(String, Mistakes)],
    register: &mut Register,
) -> Result<(Everybody, Vec<WrittenContacts>), Mistakes> {
    let made = config.tenants.iter().zip(engines.of);
    let serve = |(one, engines): (&config::Tenant, TenantEngines)| {
        let (settings, mark, origin) = (one.settings.clone(), one.mark, Origin::File);
        let tenant = register.enrol(&settings.name, settings.limits());
        let (name, written) = (settings.name.clone(), Arc::clone(&one.written));
        let ready = Ready { name, settings, mark, origin, written, numbers: None, engines, receiver: None };
        workshop.serve(ready, tenant)
    };
    let (served, written): (Vec<_>, Vec<_>) = made.map(serve).unzip();
    let directory = Directory::new(served.into_iter().map(Arc::new)).map_err(|number| taken(config, &number))?;
    let skipped = skipped.iter().map(|(name, mistakes)| (name.clone(), mistakes.list().len())).collect();
    let everybody = Everybody { directory, skipped, ..Everybody::default() };
    register.serve(everybody.limits());
    Ok((everybody, written.into_iter().flatten().collect()))
}

/// A number of two tenants, as a mistake of the configuration.
pub(super) fn taken(config: &Config, taken: &NumberTaken) -> Mistakes {
    config.places.mistakes(vec![("tenants".to_owned(), taken.to_string())])
}

/// Metrics of the node and of every tenant; who is not served, and why, is logged.
pub(super) fn describe(config: &Config, skipped: &[(String, Mistakes)], series: &Series) {
    let names: Vec<&str> = config.tenants.iter().map(|tenant| tenant.settings.name.as_str()).collect();
    let known = names.iter().copied().chain(skipped.iter().map(|(name, _)| name.as_str()));
    known.for_each(|tenant| series.begin(tenant));
    metrics::describe(&names);
    metrics::build(env!("CARGO_PKG_VERSION"));
    metrics::node_limits(config.sip.max_calls, config.media.pairs());
    for tenant in &config.tenants {
        metrics::tenant_limit(&tenant.settings.name, tenant.settings.max_calls);
    }
    for (name, mistakes) in skipped {
        metrics::tenant_skipped(name, true);
        for why in mistakes.lines() {
            tracing::error!(tenant = name, why, "a tenant is not served: mend this, and send SIGHUP");
        }
    }
}

/// Reception with its shards: one thread each.
pub(super) fn reception(
    config: &Config,
    directory: Arc<Directory<Services>>,
    registry: &Arc<CallRegistry>,
    observer: &Arc<dyn Observer>,
) -> (Addr<Reception>, Vec<Arbiter>) {
    let bind = config.media.bind;
    let arbiters: Vec<Arbiter> = (0..config.media.shards).map(|_| Arbiter::new()).collect();
    let open_port =
        move |port: u16| UdpPort::bind(SocketAddr::new(bind, port)).map(|port| Box::new(port) as Box<dyn PacketPort>);
    let settings = ReceptionSettings {
        admission: Admission {
            directory,
            node: Quota::new(config.sip.max_calls),
            ports: ports(config),
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
        registry: Arc::clone(registry),
        fault_injection: config.fault_injection,
        observer: Some(Arc::clone(observer)),
        numbers: config.serve.numbers,
    };
    (Reception::new(settings).start(), arbiters)
}

/// The ports of calls, without those that other programs hold.
fn ports(config: &Config) -> PortPool {
    let bind = config.media.bind;
    let ports = PortPool::new(config.media.ports.0, config.media.ports.1);
    let held = ports.set_aside_held(Instant::now(), |port| UdpPort::bind(SocketAddr::new(bind, port)).map(drop));
    if held > 0 {
        let free = ports.free(Instant::now());
        tracing::warn!(held, free, "other programs hold pairs of media.ports: calls use the free ones");
    }
    ports
}

/// The endpoint, attached to Reception before the first packet is read.
pub(super) fn endpoint(wire: SocketWire, reception: &Addr<Reception>, trusted: Vec<IpNet>) -> Addr<SipEndpoint> {
    let offers = reception.clone().recipient();
    let names = match Dns::of_the_system() {
        Ok(dns) => Some(Arc::new(dns) as Arc<dyn NameResolver>),
        Err(error) => {
            tracing::warn!(%error, "names in SIP routes are not looked up: requests go to where the call came from");
            None
        }
    };
    SipEndpoint::create(|ctx: &mut Context<SipEndpoint>| {
        reception.do_send(Attach(ctx.address()));
        let endpoint = SipEndpoint::new(Box::new(wire), offers, reception.clone().recipient()).trusting(trusted);
        match names {
            Some(names) => endpoint.with_names(names),
            None => endpoint,
        }
    })
}

/// All who see calls, as one.
pub(super) fn observers(live: Arc<Live>, noting: Arc<Noting>, another: Option<Arc<dyn Observer>>) -> Arc<dyn Observer> {
    let ours = Arc::new(Both(live, noting));
    match another {
        Some(another) => Arc::new(Both(ours, another)),
        None => ours,
    }
}

/// The watchdog of calls, of the main thread and of the process; who waits for the [`Notify`] learns that Reception or the
/// endpoint is gone.
pub(super) fn watch(
    registry: &Arc<CallRegistry>,
    reception: &Addr<Reception>,
    endpoint: Addr<SipEndpoint>,
    wire: SocketWire,
) -> Result<(Watchdog, Arc<Notify>), StartError> {
    let (watched, hung_to) = (Arc::clone(registry), reception.clone());
    let died = Arc::new(Notify::new());
    let dies = Arc::clone(&died);
    let mut main = MainBeat::start().listener();
    let watchdog = Watchdog::start(move |look| match look {
        Look::Steady(_) if !endpoint.connected() || !hung_to.connected() => dies.notify_one(),
        Look::Steady(now) => {
            main.listen(now, &watched, &wire);
            watched.hung(now, HUNG_AFTER).into_iter().for_each(|call| hung_to.do_send(CallHung(call)));
        }
        Look::Standstill(now, lasted) => {
            watched.forgive(now);
            main.forgive(now);
            metrics::standstill(lasted);
            tracing::warn!(?lasted, calls = watched.len(), "the process stood still; its calls go on");
        }
    })
    .map_err(StartError::Thread)?;
    Ok((watchdog, died))
}

/// Where `bellhop calls` connects to; a server without it serves calls all the same.
pub(super) async fn serve_live(config: &Config, registry: &Arc<CallRegistry>) -> (Arc<Live>, Option<JoinHandle<()>>) {
    let live = Live::new();
    let calls = Arc::clone(registry);
    let hang_up: HangUp = Arc::new(move |call| calls.hang_up(call, Ending::OperatorHungUp));
    let database = &config.storage.url;
    let serving = match live::socket_of(config.operations.socket.as_deref(), database) {
        Some(path) => Some(live.clone().serve(path, hang_up).await),
        None => {
            tracing::info!(why = live::without_socket(database), "`bellhop calls` cannot reach this server");
            None
        }
    };
    (Arc::new(live), serving)
}
