//! Real sockets for SIP: UDP, TCP and TLS listeners, and the connections they accept or we open.
//!
//! TCP and TLS may share a port: the first byte of a TLS connection is 0x16, which begins no SIP message.
//!
//! Invariant: everything is bounded: the endpoint's mailbox, a connection's write queue, the number of connections, the
//! bytes of an unfinished message, and how long a connection may be idle. What does not fit is dropped with a count.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix::Addr;
use bellhop_sip::dialog::LocalIdentity;
use bellhop_sip::hop::{Hop, Transport};
use bellhop_sip::message::framing::{Framed, Framer};
use bellhop_sip::networks::{self, Source};
use bytes::Bytes;
use ipnet::IpNet;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Notify, mpsc};

use self::inbox::Inbox;
use super::doors::{self, Doors, Guest, Patience, Visit};
use super::endpoint::SipEndpoint;
use super::liveness;
use super::messages::{CountOpen, EndpointInput, IsFlowUsed};
use super::tls::TlsIdentity;
use super::wire::{Reached, Wire};
use crate::drive::Tell;
use crate::metrics;

mod inbox;
#[cfg(test)]
mod tests;
mod unattended;

pub use unattended::Unattended;

/// Messages that may wait for one connection to take them.
pub const WRITE_QUEUE: usize = 64;
/// Bytes that may wait for one connection to take them, beyond what the kernel holds.
pub const WRITE_BYTES_MAX: usize = 128 * 1024;
/// How long a far end may take nothing of what it asked for: as long as a transaction waits. It is gone, or it does not read
/// so that we hold what is meant for it.
pub const WRITTEN_WITHIN: Duration = Duration::from_secs(32);
/// A connection without a byte for this long is closed, unless a call came by it.
pub const IDLE_MAX: Duration = Duration::from_secs(3600);
/// How long a new connection may take to say its first byte, and to shake hands.
pub const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// How long the answers to what came before a message without an end may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);
/// The first byte of a TLS connection: a handshake record (RFC 8446 section 5.1).
const TLS_HANDSHAKE: u8 = 0x16;
/// How long opening a connection may take.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(4);
/// The largest datagram.
const DATAGRAM_MAX: usize = 65_535;

/// A listening address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// What is spoken there.
    pub protocol: Protocol,
    /// Where.
    pub address: SocketAddr,
    /// Who may speak there; empty for anybody. Others are not answered at all.
    pub sources: Vec<IpNet>,
}

/// What is spoken at a listening address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Datagrams.
    Udp,
    /// Plain TCP alone.
    Tcp,
    /// TLS alone.
    Tls,
    /// Plain TCP or TLS, told apart by the first byte.
    Either,
}

impl Protocol {
    fn serves(self, transport: Transport) -> bool {
        match transport {
            Transport::Udp => self == Self::Udp,
            Transport::Tcp => matches!(self, Self::Tcp | Self::Either),
            Transport::Tls => matches!(self, Self::Tls | Self::Either),
        }
    }

    /// The word in the configuration.
    pub fn label(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Either => "tcp+tls",
        }
    }
}

impl Listen {
    fn takes(&self, source: SocketAddr) -> bool {
        let ip = source.ip().to_canonical();
        self.sources.is_empty() || self.sources.iter().any(|net| net.contains(&ip))
    }

    /// Whether somebody stands on its list, and is believed for it.
    fn lists(&self, source: IpAddr) -> bool {
        bellhop_tenancy::networks::is_listed(&self.sources, source)
    }
}

/// Sockets that are bound but not served yet, so that a taken port is known before anything starts.
#[derive(Debug)]
pub struct Bound {
    listeners: Vec<Listener>,
    advertise: Option<IpAddr>,
    tls: Option<Arc<TlsIdentity>>,
}

#[derive(Debug)]
enum Listener {
    Udp(Arc<UdpSocket>, Listen),
    Tcp(TcpListener, Listen),
}

impl Bound {
    /// Binds every address; the error names the one that failed. Without an identity no listener serves TLS.
    pub async fn bind(
        listen: &[Listen],
        advertise: Option<IpAddr>,
        tls: Option<Arc<TlsIdentity>>,
    ) -> Result<Self, (Listen, io::Error)> {
        let mut listeners = vec![];
        for one in listen {
            let at = |address| Listen { address, ..one.clone() };
            let bound = match one.protocol {
                Protocol::Udp => UdpSocket::bind(one.address)
                    .await
                    .and_then(|socket| socket.local_addr().map(|address| Listener::Udp(Arc::new(socket), at(address)))),
                Protocol::Tcp | Protocol::Tls | Protocol::Either => TcpListener::bind(one.address)
                    .await
                    .and_then(|socket| socket.local_addr().map(|address| Listener::Tcp(socket, at(address)))),
            };
            listeners.push(bound.map_err(|error| (one.clone(), error))?);
        }
        Ok(Self { listeners, advertise, tls })
    }

    /// Where it listens, with the ports the system chose.
    pub fn addresses(&self) -> Vec<Listen> {
        self.listeners
            .iter()
            .map(|listener| match listener {
                Listener::Udp(_, listen) | Listener::Tcp(_, listen) => listen.clone(),
            })
            .collect()
    }

    /// The way out for the endpoint, and the part that serves once the endpoint exists.
    pub fn split(self) -> (SocketWire, Serving) {
        let shared = Arc::new(Shared {
            listeners: self.addresses(),
            advertise: self.advertise,
            tls: self.tls,
            udp: self
                .listeners
                .iter()
                .enumerate()
                .filter_map(|(n, listener)| match listener {
                    Listener::Udp(socket, _) => Some((n as u64, Arc::clone(socket))),
                    Listener::Tcp(..) => None,
                })
                .collect(),
            connections: Mutex::default(),
            next_flow: AtomicU64::new(1 << 16),
            doors: Doors::default(),
            making_room: AtomicBool::new(false),
            endpoint: Mutex::new(None),
        });
        (SocketWire(Arc::clone(&shared)), Serving { shared, listeners: self.listeners })
    }
}

struct Shared {
    listeners: Vec<Listen>,
    advertise: Option<IpAddr>,
    tls: Option<Arc<TlsIdentity>>,
    udp: HashMap<u64, Arc<UdpSocket>>,
    connections: Mutex<HashMap<u64, Connection>>,
    next_flow: AtomicU64,
    doors: Doors,
    /// Somebody is being asked to make room.
    making_room: AtomicBool,
    endpoint: Mutex<Option<Addr<SipEndpoint>>>,
}

#[derive(Clone)]
struct Connection {
    queue: WriteQueue,
    /// The socket, for questions to the kernel.
    socket: Arc<OwnedFd>,
    local: SocketAddr,
    remote: SocketAddr,
    standing: Standing,
    /// A call was taken that came by it: it is not closed for what others of its source do.
    welcome: Arc<AtomicBool>,
    close: Arc<Notify>,
    since: Instant,
}

impl Connection {
    /// Whether it is not closed for what strangers do.
    fn is_known(&self) -> bool {
        self.standing.listed || self.standing.certified || self.welcome.load(Ordering::Relaxed)
    }
}

/// What waits for a connection to take it: [`WRITE_QUEUE`] messages and [`WRITE_BYTES_MAX`] at most.
#[derive(Clone)]
struct WriteQueue {
    messages: mpsc::Sender<Bytes>,
    waiting: Arc<AtomicUsize>,
}

impl WriteQueue {
    fn new() -> (Self, mpsc::Receiver<Bytes>) {
        let (messages, read) = mpsc::channel(WRITE_QUEUE);
        (Self { messages, waiting: Arc::default() }, read)
    }

    /// Whether there is room.
    fn push(&self, bytes: Bytes) -> bool {
        let length = bytes.len();
        let fits = self.waiting.load(Ordering::Relaxed).saturating_add(length) <= WRITE_BYTES_MAX;
        let queued = fits && self.messages.try_send(bytes).is_ok();
        if queued {
            self.waiting.fetch_add(length, Ordering::Relaxed);
        }
        queued
    }
}

/// Hands over what waits, until nobody sends any more; false if the far end takes nothing.
async fn write_out(
    mut writer: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Bytes>,
    waiting: Arc<AtomicUsize>,
) -> bool {
    while let Some(bytes) = queue.recv().await {
        let written = async { writer.write_all(&bytes).await.is_ok() && writer.flush().await.is_ok() };
        if !tokio::time::timeout(WRITTEN_WITHIN, written).await.unwrap_or(false) {
            return false;
        }
        waiting.fetch_sub(bytes.len(), Ordering::Relaxed);
    }
    let _ = writer.shutdown().await;
    true
}

/// What is known of who opened a connection.
#[derive(Debug, Clone, Default)]
struct Standing {
    /// The host name that the far end asked for (SNI).
    server_name: Option<Arc<str>>,
    /// Whether it stands on the listener's list.
    listed: bool,
    /// Whether it has shown a client certificate.
    certified: bool,
}

/// The endpoint's way out; clones share their sockets.
#[derive(Clone)]
pub struct SocketWire(Arc<Shared>);

/// The listeners, ready to serve.
pub struct Serving {
    shared: Arc<Shared>,
    listeners: Vec<Listener>,
}

impl Serving {
    /// Starts to serve; the tasks live on the current thread.
    pub fn start(self, endpoint: &Addr<SipEndpoint>) {
        *lock(&self.shared.endpoint) = Some(endpoint.clone());
        for (number, listener) in self.listeners.into_iter().enumerate() {
            let shared = Arc::clone(&self.shared);
            let endpoint = endpoint.clone();
            match listener {
                Listener::Udp(socket, listen) => {
                    actix_rt::spawn(read_datagrams(socket, number as u64, listen, endpoint));
                }
                Listener::Tcp(listener, listen) => {
                    actix_rt::spawn(accept(listener, Arc::new(listen), shared, endpoint));
                }
            }
        }
    }
}

async fn read_datagrams(socket: Arc<UdpSocket>, flow: u64, listen: Listen, endpoint: Addr<SipEndpoint>) {
    let mut buffer = vec![0; DATAGRAM_MAX];
    loop {
        // An error here is an ICMP message about something we sent; the socket goes on.
        let Ok((length, remote)) = socket.recv_from(&mut buffer).await else { continue };
        let bytes = &buffer[..length];
        if bytes.iter().all(|b| b"\r\n\0 ".contains(b)) {
            continue; // keep-alive
        }
        if !listen.takes(remote) {
            metrics::sip_dropped("source");
            continue;
        }
        let hop = Hop { transport: Transport::Udp, remote, flow };
        let arrived = EndpointInput::Arrived { bytes: Bytes::copy_from_slice(bytes), hop };
        if endpoint.try_send(Tell(arrived)).is_err() {
            metrics::sip_dropped("overload");
        }
    }
}

async fn accept(listener: TcpListener, listen: Arc<Listen>, shared: Arc<Shared>, endpoint: Addr<SipEndpoint>) {
    loop {
        match listener.accept().await {
            Ok((_, remote)) if !listen.takes(remote) => metrics::sip_dropped("source"),
            Ok((stream, remote)) => {
                let source = Source::of(remote.ip());
                let Some(visit) = shared.doors.enter(crate::now(), source, listen.lists(remote.ip())) else {
                    metrics::sip_dropped("overload");
                    if shared.doors.wants_room(crate::now(), source) {
                        actix_rt::spawn(make_room(Arc::clone(&shared), source, endpoint.clone()));
                    }
                    continue;
                };
                let (listen, shared, endpoint) = (Arc::clone(&listen), Arc::clone(&shared), endpoint.clone());
                actix_rt::spawn(welcome(stream, remote, listen, shared, endpoint, visit));
            }
            // Out of descriptors, most likely: wait for some to come back.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Has a stranger's connection closed by which no call came, for the next try of this source.
async fn make_room(shared: Arc<Shared>, newcomer: Source, endpoint: Addr<SipEndpoint>) {
    if shared.making_room.swap(true, Ordering::Relaxed) {
        return;
    }
    let guests: Vec<Guest> = lock(&shared.connections)
        .iter()
        .filter(|(_, connection)| !connection.is_known())
        .map(|(flow, connection)| Guest {
            flow: *flow,
            source: Source::of(connection.remote.ip()),
            since: connection.since,
        })
        .collect();
    if let Some(flow) = doors::makes_room(crate::now(), newcomer, &guests) {
        let is_used = endpoint.send(IsFlowUsed(flow)).await.unwrap_or(true);
        match lock(&shared.connections).get(&flow) {
            Some(connection) if is_used => connection.welcome.store(true, Ordering::Relaxed),
            Some(connection) => connection.close.notify_one(),
            None => {}
        }
    }
    shared.making_room.store(false, Ordering::Relaxed);
}

/// Finds out by the first byte what is spoken, and shakes hands.
async fn welcome(
    stream: TcpStream,
    remote: SocketAddr,
    listen: Arc<Listen>,
    shared: Arc<Shared>,
    endpoint: Addr<SipEndpoint>,
    visit: Visit,
) {
    let Ok((local, socket)) = prepared(&stream) else { return };
    let mut first = [0];
    let peeked = tokio::time::timeout(HANDSHAKE_WITHIN, stream.peek(&mut first)).await;
    if !matches!(peeked, Ok(Ok(1))) {
        return;
    }
    let flow = shared.next_flow.fetch_add(1, Ordering::Relaxed);
    let secure = first[0] == TLS_HANDSHAKE;
    let standing = Standing { listed: listen.lists(remote.ip()), ..Standing::default() };
    match (listen.protocol, secure, shared.tls.clone()) {
        (Protocol::Tcp | Protocol::Either, false, _) => {
            let hop = Hop { transport: Transport::Tcp, remote, flow };
            serve(stream, Connected { local, socket, standing, visit: Some(visit) }, hop, shared, endpoint);
        }
        (Protocol::Tls | Protocol::Either, true, Some(identity)) => {
            match tokio::time::timeout(HANDSHAKE_WITHIN, identity.acceptor().accept(stream)).await {
                Ok(Ok(stream)) => {
                    let session = stream.get_ref().1;
                    let server_name = session.server_name().map(Arc::from);
                    // One that was asked for was verified, or there would be no session.
                    let certified = session.peer_certificates().is_some_and(|chain| !chain.is_empty());
                    let standing = Standing { server_name, certified, ..standing };
                    let hop = Hop { transport: Transport::Tls, remote, flow };
                    serve(stream, Connected { local, socket, standing, visit: Some(visit) }, hop, shared, endpoint);
                }
                Ok(Err(error)) => {
                    tracing::debug!(%error, "a TLS handshake failed");
                    metrics::sip_dropped("tls");
                }
                Err(_) => metrics::sip_dropped("tls"),
            }
        }
        // What is not spoken here is not answered.
        (Protocol::Udp | Protocol::Tcp | Protocol::Tls | Protocol::Either, _, _) => metrics::sip_dropped("protocol"),
    }
}

/// What is known of a connection besides its bytes.
struct Connected {
    local: SocketAddr,
    socket: Arc<OwnedFd>,
    standing: Standing,
    /// Its place, if somebody else opened it.
    visit: Option<Visit>,
}

/// Makes a new connection ready: small messages go out at once, and a far end that is gone is noticed.
fn prepared(stream: &TcpStream) -> io::Result<(SocketAddr, Arc<OwnedFd>)> {
    stream.set_nodelay(true)?;
    liveness::keep_alive(stream);
    Ok((stream.local_addr()?, Arc::new(stream.as_fd().try_clone_to_owned()?)))
}

/// Serves one connection, reading and writing, until it ends.
fn serve<S>(stream: S, connected: Connected, hop: Hop, shared: Arc<Shared>, endpoint: Addr<SipEndpoint>)
where
    S: AsyncRead + AsyncWrite + 'static,
{
    let Connected { local, socket, standing, visit } = connected;
    let (queue, messages) = WriteQueue::new();
    let close = Arc::new(Notify::new());
    let mut patience = Patience::new(crate::now(), standing.listed || standing.certified || visit.is_none());
    let connection = Connection {
        queue: queue.clone(),
        socket,
        local,
        remote: hop.remote,
        standing,
        // Our own is for a call.
        welcome: Arc::new(AtomicBool::new(visit.is_none())),
        close: Arc::clone(&close),
        since: crate::now(),
    };
    lock(&shared.connections).insert(hop.flow, connection);
    let (mut reader, writer) = tokio::io::split(stream);
    let broken = Arc::new(Notify::new());
    let (breaks, waiting) = (Arc::clone(&broken), Arc::clone(&queue.waiting));
    let writing = actix_rt::spawn(async move {
        if !write_out(writer, messages, waiting).await {
            breaks.notify_one();
        }
    });
    actix_rt::spawn(async move {
        let (mut framer, mut inbox) = (Framer::default(), Inbox::default());
        'connection: loop {
            let limit = patience.limit(crate::now());
            let read = tokio::select! {
                read = tokio::time::timeout(limit.unwrap_or(IDLE_MAX), inbox.read(&mut reader, &mut framer)) => read,
                () = broken.notified() => break,
                () = close.notified() => break,
            };
            match read {
                Ok(Ok(length)) if length > 0 => {}
                Ok(_) => break,
                // Keep-alive says that the far end is there: a connection of a call is not closed for its silence.
                Err(_) if limit.is_none() && endpoint.send(IsFlowUsed(hop.flow)).await.unwrap_or(false) => continue,
                Err(_) => break,
            }
            let mut messages = 0;
            loop {
                match framer.take() {
                    Ok(None) => break,
                    Ok(Some(Framed::Ping)) => {
                        let _ = queue.push(Bytes::from_static(b"\r\n"));
                    }
                    Ok(Some(Framed::Message(bytes))) => {
                        messages += 1;
                        // Nothing of a stream is dropped: while datagrams keep the endpoint busy, its reader waits.
                        // A dead endpoint reads nothing, and the last resort still sends a BYE by this connection.
                        let _ = endpoint.send(Tell(EndpointInput::Arrived { bytes, hop })).await;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a SIP connection is closed");
                        metrics::sip_dropped("malformed");
                        // What stood before is answered first: it waits in the endpoint's mailbox. Then what ended it.
                        let _ = tokio::time::timeout(ANSWERED_WITHIN, endpoint.send(CountOpen)).await;
                        if let Some(bytes) = framer.refusal(error, hop) {
                            let _ = queue.push(bytes);
                        }
                        break 'connection;
                    }
                }
            }
            patience.heard(crate::now(), messages, framer.has_begun());
        }
        lock(&shared.connections).remove(&hop.flow);
        // Whoever waits for an answer on it waits for nothing (RFC 3261 section 18.4).
        endpoint.do_send(Tell(EndpointInput::FlowLost(hop.flow)));
        drop(queue);
        // Whatever is queued still goes out; then the writer ends with the last sender.
        let _ = tokio::time::timeout(Duration::from_secs(5), writing).await;
        drop(visit);
    });
}

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
        self.0.doors.welcome(Source::of(hop.remote.ip()));
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
    /// The same for another thread, while that of the connections' writers is stuck.
    pub fn unattended(&self) -> Unattended {
        Unattended { wire: self.clone(), opened_from: self.0.next_flow.load(Ordering::Relaxed) }
    }

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

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
