//! The listeners: bound before anything starts, then serving: datagrams are read, connections let in.
//!
//! TCP and TLS may share a port: the first byte of a TLS connection is 0x16, which begins no SIP message. Invariant: nobody is
//! let in but through the doors, and what does not fit is dropped with a count.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::Addr;
use bellhop_sip::hop::{Hop, Transport};
use bellhop_sip::networks::Source;
use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::connection::{Connected, Standing, prepared, serve};
use super::listen::{Listen, Protocol};
use super::socket_wire::SocketWire;
use super::turns::{Known, Turn};
use super::{Shared, lock};
use crate::drive::Tell;
use crate::metrics;
use crate::signalling::doors::{self, Doors, Guest, Visit};
use crate::signalling::endpoint::SipEndpoint;
use crate::signalling::messages::{EndpointInput, IsFlowUsed};
use crate::signalling::tls::TlsIdentity;

/// How long a new connection may take to say its first byte, and to shake hands.
pub const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// The first byte of a TLS connection: a handshake record (RFC 8446 section 5.1).
const TLS_HANDSHAKE: u8 = 0x16;
/// The largest datagram that SIP may come in, in bytes.
const SIP_DATAGRAM_BYTES_MAX: usize = 65_535;
/// How long no connection is accepted once one could not be, most likely for want of descriptors.
const ACCEPTED_AGAIN_AFTER: Duration = Duration::from_millis(100);

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
            known: Known::default(),
            making_room: AtomicBool::new(false),
            endpoint: Mutex::new(None),
        });
        (SocketWire(Arc::clone(&shared)), Serving { shared, listeners: self.listeners })
    }
}

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
                    actix_rt::spawn(read_datagrams(socket, number as u64, listen, shared, endpoint));
                }
                Listener::Tcp(listener, listen) => {
                    actix_rt::spawn(accept(listener, Arc::new(listen), shared, endpoint));
                }
            }
        }
    }
}

/// Reads datagrams in turns with the endpoint.
async fn read_datagrams(
    socket: Arc<UdpSocket>,
    flow: u64,
    listen: Listen,
    shared: Arc<Shared>,
    endpoint: Addr<SipEndpoint>,
) {
    let mut buffer = vec![0; SIP_DATAGRAM_BYTES_MAX];
    loop {
        // An error here is an ICMP message about something we sent; the socket goes on.
        let _ = socket.readable().await;
        let mut turn = Turn::default();
        while turn.goes_on() {
            let (length, remote) = match socket.try_recv_from(&mut buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => continue,
            };
            let bytes = &buffer[..length];
            if bytes.iter().all(|b| b"\r\n\0 ".contains(b)) {
                continue; // keep-alive
            }
            if !listen.takes(remote) {
                metrics::sip_dropped("source");
                continue;
            }
            let source = Source::of(remote.ip());
            let is_known = listen.lists(remote.ip()) || shared.known.knows(crate::now(), source);
            let hop = Hop { transport: Transport::Udp, remote, flow };
            let arrived = EndpointInput::Arrived { bytes: Bytes::copy_from_slice(bytes), hop };
            if !(is_known || turn.takes(source)) || endpoint.try_send(Tell(arrived)).is_err() {
                metrics::sip_dropped("overload");
            }
        }
        tokio::task::yield_now().await;
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
            Err(_) => tokio::time::sleep(ACCEPTED_AGAIN_AFTER).await,
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
