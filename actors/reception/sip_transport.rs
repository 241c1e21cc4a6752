//! Real sockets for SIP: UDP and TCP listeners, and the connections they accept or we open.
//!
//! Invariant: everything is bounded: the endpoint's mailbox, a connection's write queue, the number of connections, the
//! bytes of an unfinished message, and how long a connection may be idle. What does not fit is dropped with a count.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::Addr;
use bellhop_sip::dialog::LocalIdentity;
use bellhop_sip::hop::{Hop, Transport};
use bellhop_sip::message::framing::{Framed, Framer};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;

use super::sip_endpoint::{Arrived, SipEndpoint, TransportFailed, Wire};
use crate::metrics;

/// Messages that may wait for one connection to take them.
pub const WRITE_QUEUE: usize = 64;
/// Connections at once.
pub const CONNECTIONS_MAX: usize = 4096;
/// A connection without a byte for this long is closed. Longer than any session timer in use.
pub const IDLE_MAX: Duration = Duration::from_secs(3600);
/// How long opening a connection may take.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(4);
/// The largest datagram.
const DATAGRAM_MAX: usize = 65_535;

/// A listening address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// UDP or TCP.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
}

/// Sockets that are bound but not served yet, so that a taken port is known before anything starts.
#[derive(Debug)]
pub struct Bound {
    listeners: Vec<Listener>,
    advertise: Option<IpAddr>,
}

#[derive(Debug)]
enum Listener {
    Udp(Arc<UdpSocket>, SocketAddr),
    Tcp(TcpListener, SocketAddr),
}

impl Bound {
    /// Binds every address; the error names the one that failed.
    pub async fn bind(listen: &[Listen], advertise: Option<IpAddr>) -> Result<Self, (Listen, io::Error)> {
        let mut listeners = vec![];
        for one in listen {
            let bound = match one.transport {
                Transport::Udp => UdpSocket::bind(one.address)
                    .await
                    .and_then(|socket| socket.local_addr().map(|at| Listener::Udp(Arc::new(socket), at))),
                Transport::Tcp => TcpListener::bind(one.address)
                    .await
                    .and_then(|socket| socket.local_addr().map(|at| Listener::Tcp(socket, at))),
            };
            listeners.push(bound.map_err(|error| (*one, error))?);
        }
        Ok(Self { listeners, advertise })
    }

    /// Where it listens, with the ports the system chose.
    pub fn addresses(&self) -> Vec<Listen> {
        self.listeners
            .iter()
            .map(|listener| match listener {
                Listener::Udp(_, address) => Listen { transport: Transport::Udp, address: *address },
                Listener::Tcp(_, address) => Listen { transport: Transport::Tcp, address: *address },
            })
            .collect()
    }

    /// The way out for the endpoint, and the part that serves once the endpoint exists.
    pub fn split(self) -> (SocketWire, Serving) {
        let shared = Arc::new(Shared {
            listeners: self.addresses(),
            advertise: self.advertise,
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
            open: AtomicUsize::new(0),
            endpoint: Mutex::new(None),
        });
        (SocketWire(Arc::clone(&shared)), Serving { shared, listeners: self.listeners })
    }
}

struct Shared {
    listeners: Vec<Listen>,
    advertise: Option<IpAddr>,
    udp: HashMap<u64, Arc<UdpSocket>>,
    connections: Mutex<HashMap<u64, Connection>>,
    next_flow: AtomicU64,
    open: AtomicUsize,
    endpoint: Mutex<Option<Addr<SipEndpoint>>>,
}

#[derive(Clone)]
struct Connection {
    queue: mpsc::Sender<Bytes>,
    local: SocketAddr,
}

/// The endpoint's way out.
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
                Listener::Udp(socket, _) => {
                    actix_rt::spawn(read_datagrams(socket, number as u64, endpoint));
                }
                Listener::Tcp(listener, _) => {
                    actix_rt::spawn(accept(listener, shared, endpoint));
                }
            }
        }
    }
}

async fn read_datagrams(socket: Arc<UdpSocket>, flow: u64, endpoint: Addr<SipEndpoint>) {
    let mut buffer = vec![0; DATAGRAM_MAX];
    loop {
        // An error here is an ICMP message about something we sent; the socket goes on.
        let Ok((length, remote)) = socket.recv_from(&mut buffer).await else { continue };
        let bytes = &buffer[..length];
        if bytes.iter().all(|b| b"\r\n\0 ".contains(b)) {
            continue; // keep-alive
        }
        let hop = Hop { transport: Transport::Udp, remote, flow };
        if endpoint.try_send(Arrived { bytes: Bytes::copy_from_slice(bytes), hop }).is_err() {
            metrics::sip_dropped("overload");
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, endpoint: Addr<SipEndpoint>) {
    loop {
        match listener.accept().await {
            Ok((stream, remote)) if shared.open.load(Ordering::Relaxed) < CONNECTIONS_MAX => {
                let flow = shared.next_flow.fetch_add(1, Ordering::Relaxed);
                serve(stream, Hop { transport: Transport::Tcp, remote, flow }, Arc::clone(&shared), endpoint.clone());
            }
            Ok(_) => metrics::sip_dropped("overload"),
            // Out of descriptors, most likely: wait for some to come back.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Serves one connection, reading and writing, until it ends.
fn serve(stream: TcpStream, hop: Hop, shared: Arc<Shared>, endpoint: Addr<SipEndpoint>) {
    let _ = stream.set_nodelay(true);
    let Ok(local) = stream.local_addr() else { return };
    let (queue, mut waiting) = mpsc::channel::<Bytes>(WRITE_QUEUE);
    lock(&shared.connections).insert(hop.flow, Connection { queue: queue.clone(), local });
    shared.open.fetch_add(1, Ordering::Relaxed);
    let (mut reader, mut writer) = stream.into_split();
    let writing = actix_rt::spawn(async move {
        while let Some(bytes) = waiting.recv().await {
            if writer.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    actix_rt::spawn(async move {
        let mut framer = Framer::default();
        let mut buffer = vec![0; 16 * 1024];
        'connection: while let Ok(Ok(length)) = tokio::time::timeout(IDLE_MAX, reader.read(&mut buffer)).await {
            if length == 0 {
                break;
            }
            framer.push(&buffer[..length]);
            loop {
                match framer.take() {
                    Ok(None) => break,
                    Ok(Some(Framed::Ping)) => {
                        let _ = queue.try_send(Bytes::from_static(b"\r\n"));
                    }
                    Ok(Some(Framed::Message(bytes))) => {
                        if endpoint.try_send(Arrived { bytes, hop }).is_err() {
                            metrics::sip_dropped("overload");
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a SIP connection is closed");
                        metrics::sip_dropped("malformed");
                        break 'connection;
                    }
                }
            }
        }
        lock(&shared.connections).remove(&hop.flow);
        shared.open.fetch_sub(1, Ordering::Relaxed);
        drop(queue);
        // Whatever is queued still goes out; then the writer ends with the last sender.
        let _ = tokio::time::timeout(Duration::from_secs(5), writing).await;
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
            Transport::Tcp => {
                let open = lock(&self.0.connections).get(&hop.flow).cloned();
                match open {
                    Some(connection) => {
                        if connection.queue.try_send(bytes).is_err() {
                            self.failed(hop);
                        }
                    }
                    // The connection is gone: the far end listens where it came from, or nowhere.
                    None => self.reconnect(hop, bytes),
                }
            }
        }
    }

    fn identity(&self, hop: Hop) -> LocalIdentity {
        let shared = &self.0;
        let listener = match hop.transport {
            Transport::Udp => shared.listeners.get(hop.flow as usize).map(|listen| listen.address),
            Transport::Tcp => {
                let local = lock(&shared.connections).get(&hop.flow).map(|connection| connection.local);
                let listening = shared.listeners.iter().filter(|l| l.transport == Transport::Tcp).map(|l| l.address);
                let same_port = local.and_then(|local| listening.clone().find(|l| l.port() == local.port()));
                same_port.map(|l| SocketAddr::new(local.map_or(l.ip(), |local| local.ip()), l.port()))
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
        };
        LocalIdentity { contact: format!("<sip:{host_port}{parameter}>"), via_sent_by: host_port.to_string() }
    }
}

impl SocketWire {
    fn reconnect(&self, hop: Hop, bytes: Bytes) {
        let shared = Arc::clone(&self.0);
        let endpoint = lock(&shared.endpoint).clone();
        let Some(endpoint) = endpoint else { return };
        actix_rt::spawn(async move {
            match tokio::time::timeout(CONNECT_WITHIN, TcpStream::connect(hop.remote)).await {
                Ok(Ok(stream)) => {
                    serve(stream, hop, Arc::clone(&shared), endpoint);
                    let open = lock(&shared.connections).get(&hop.flow).cloned();
                    if let Some(connection) = open {
                        let _ = connection.queue.try_send(bytes);
                    }
                }
                Ok(Err(_)) | Err(_) => endpoint.do_send(TransportFailed(hop)),
            }
        });
    }

    fn failed(&self, hop: Hop) {
        if let Some(endpoint) = lock(&self.0.endpoint).as_ref() {
            endpoint.do_send(TransportFailed(hop));
        }
    }
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
