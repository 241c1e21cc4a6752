//! The endpoint's way out over real sockets.
//!
//! Invariant: nothing here waits: what a connection cannot take is told as a failure of it, and what takes time is a future with
//! a bound.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bellhop_sip::dialog::LocalIdentity;
use bellhop_sip::hop::{Hop, Transport};
use bellhop_sip::networks::{self, Source};
use bytes::Bytes;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;

use super::connection::{Connected, Connection, Standing, prepared, serve};
use super::listen::{Listen, Protocol};
use super::{Shared, lock};
use crate::drive::Tell;
use crate::metrics;
use crate::signalling::liveness;
use crate::signalling::messages::EndpointInput;
use crate::signalling::wire::{Reached, Wire};

/// How long opening a connection may take.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(4);

/// The endpoint's way out; clones share their sockets.
#[derive(Clone)]
pub struct SocketWire(pub(super) Arc<Shared>);

impl Wire for SocketWire {
    fn transmit(&mut self, hop: Hop, bytes: Bytes) {
        match hop.transport {
            Transport::Udp => {
                let sent = self.0.udp.get(&hop.flow).map(|socket| socket.try_send_to(&bytes, hop.remote));
                if !matches!(sent, Some(Ok(_))) {
                    metrics::sip_dropped("unsendable");
                }
            }
            Transport::Tcp | Transport::Tls => {
                let open = lock(&self.0.connections).get(&hop.flow).cloned();
                if !open.is_some_and(|connection| connection.queue.push(bytes)) {
                    self.failed(hop);
                }
            }
        }
    }

    fn is_open(&self, hop: Hop) -> bool {
        !hop.transport.is_reliable() || lock(&self.0.connections).contains_key(&hop.flow)
    }

    fn is_alive(&mut self, hop: Hop) -> Reached<bool> {
        let socket = lock(&self.0.connections).get(&hop.flow).map(|connection| Arc::clone(&connection.socket));
        Box::pin(async move {
            match socket {
                Some(socket) => liveness::is_alive(socket).await,
                None => !hop.transport.is_reliable() && is_routable(hop.remote),
            }
        })
    }

    fn open(&mut self, transport: Transport, remote: SocketAddr, host: Option<String>) -> Reached<Option<Hop>> {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            match transport {
                Transport::Udp => shared.socket_towards(remote).filter(|hop| is_routable(hop.remote)),
                Transport::Tcp | Transport::Tls => {
                    let opening = connect(shared, transport, remote, host);
                    tokio::time::timeout(CONNECT_WITHIN, opening).await.ok()?
                }
            }
        })
    }

    fn identity(&self, hop: Hop) -> LocalIdentity {
        let shared = &self.0;
        let listener = match hop.transport {
            Transport::Udp => shared.listeners.get(hop.flow as usize).map(|listen| listen.address),
            Transport::Tcp | Transport::Tls => {
                let local = lock(&shared.connections).get(&hop.flow).map(|connection| connection.local);
                let listening = shared.listeners.iter().filter(|l| l.protocol != Protocol::Udp).map(|l| l.address);
                let same_port = local.and_then(|local| listening.clone().find(|l| l.port() == local.port()));
                // A connection that we opened ourselves comes from any port: we are called back where we listen.
                let serves = |listen: &&Listen| listen.protocol.serves(hop.transport);
                let own = shared.listeners.iter().find(serves).map(|listen| listen.address);
                let listener = same_port.or(own);
                listener.map(|l| SocketAddr::new(local.map_or(l.ip(), |local| local.ip()), l.port()))
            }
        };
        let bound = listener.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 5060)));
        let ip = match shared.advertise {
            Some(ip) => ip,
            None if bound.ip().is_unspecified() => local_ip_towards(hop.remote),
            None => bound.ip(),
        };
        let host_port = SocketAddr::new(ip, bound.port());
        let parameter = match hop.transport {
            Transport::Udp => "",
            Transport::Tcp => ";transport=tcp",
            Transport::Tls => ";transport=tls",
        };
        let listed = shared.listeners.iter().flat_map(|listen| networks::listing(&listen.sources, hop.remote.ip()));
        LocalIdentity {
            contact: format!("<sip:{host_port}{parameter}>"),
            via_sent_by: host_port.to_string(),
            networks: listed.copied().collect(),
        }
    }

    fn server_name(&self, hop: Hop) -> Option<Arc<str>> {
        lock(&self.0.connections).get(&hop.flow)?.standing.server_name.clone()
    }

    fn is_listed(&self, hop: Hop) -> bool {
        match hop.transport {
            Transport::Udp => self.0.listeners.get(hop.flow as usize).is_some_and(|l| l.lists(hop.remote.ip())),
            Transport::Tcp | Transport::Tls => {
                lock(&self.0.connections).get(&hop.flow).is_some_and(|connection| connection.standing.listed)
            }
        }
    }

    fn has_certificate(&self, hop: Hop) -> bool {
        let certified = |connection: &Connection| connection.standing.certified;
        hop.transport == Transport::Tls && lock(&self.0.connections).get(&hop.flow).is_some_and(certified)
    }

    fn welcome(&mut self, hop: Hop) {
        let source = Source::of(hop.remote.ip());
        self.0.doors.welcome(source);
        self.0.known.welcome(crate::now(), source);
        if let Some(connection) = lock(&self.0.connections).get(&hop.flow) {
            connection.welcome.store(true, Ordering::Relaxed);
        }
    }

    fn turn_away(&mut self, source: Source, until: Instant) {
        self.0.doors.turn_away(crate::now(), source, until);
        for connection in lock(&self.0.connections).values() {
            if !connection.is_known() && Source::of(connection.remote.ip()) == source {
                connection.close.notify_one();
            }
        }
    }
}

impl SocketWire {
    fn failed(&self, hop: Hop) {
        if let Some(endpoint) = lock(&self.0.endpoint).as_ref() {
            endpoint.do_send(Tell(EndpointInput::TransportFailed(hop)));
        }
    }
}

impl Shared {
    /// The socket that reaches an address, for datagrams.
    fn socket_towards(&self, remote: SocketAddr) -> Option<Hop> {
        let fits = |listen: &Listen| listen.protocol == Protocol::Udp && listen.address.is_ipv4() == remote.is_ipv4();
        let flow = self.listeners.iter().position(fits)?;
        Some(Hop { transport: Transport::Udp, remote, flow: flow as u64 })
    }
}

/// Opens a connection and serves it like one that was opened to us.
async fn connect(shared: Arc<Shared>, transport: Transport, remote: SocketAddr, host: Option<String>) -> Option<Hop> {
    let endpoint = lock(&shared.endpoint).clone()?;
    let stream = TcpStream::connect(remote).await.ok()?;
    let (local, socket) = prepared(&stream).ok()?;
    let hop = Hop { transport, remote, flow: shared.next_flow.fetch_add(1, Ordering::Relaxed) };
    let of_streams = |listen: &&Listen| listen.protocol != Protocol::Udp;
    let listed = shared.listeners.iter().filter(of_streams).any(|listen| listen.lists(remote.ip()));
    let standing = Standing { listed, ..Standing::default() };
    let connected = Connected { local, socket, standing, visit: None };
    if transport == Transport::Tcp {
        serve(stream, connected, hop, shared, endpoint);
        return Some(hop);
    }
    let name = match host {
        Some(host) => ServerName::try_from(host).ok()?,
        None => ServerName::from(remote.ip()),
    };
    let connector = shared.tls.as_ref()?.connector();
    match connector.connect(name, stream).await {
        Ok(stream) => {
            serve(stream, connected, hop, shared, endpoint);
            Some(hop)
        }
        Err(error) => {
            tracing::warn!(%error, %remote, "a TLS connection could not be opened again");
            metrics::sip_dropped("tls");
            None
        }
    }
}

/// Whether this machine would send datagrams there at all: no route, or a rule against it, is known before a byte is lost. A
/// datagram that is refused later (a full buffer) is repeated by its transaction like one that vanished.
fn is_routable(remote: SocketAddr) -> bool {
    let any = if remote.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    // Without a socket nothing is known.
    std::net::UdpSocket::bind(any).map_or(true, |socket| socket.connect(remote).is_ok())
}

/// The address this machine would send from: what to advertise when it listens everywhere.
fn local_ip_towards(remote: SocketAddr) -> IpAddr {
    let any = if remote.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let probe =
        std::net::UdpSocket::bind(any).and_then(|socket| socket.connect(remote).and_then(|()| socket.local_addr()));
    probe.map_or(IpAddr::from([127, 0, 0, 1]), |address| address.ip())
}
