//! Real sockets for SIP: UDP, TCP and TLS listeners, and the connections they accept or we open.
//!
//! Invariant: everything is bounded: the endpoint's mailbox, a connection's write queue, the number of connections, the
//! bytes of an unfinished message, and how long a connection may be idle. What does not fit is dropped with a count.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};

use actix::Addr;
use tokio::net::UdpSocket;

use self::connection::Connection;
use self::turns::Known;
use super::doors::Doors;
use super::endpoint::SipEndpoint;
use super::tls::TlsIdentity;

mod connection;
mod inbox;
mod listen;
mod serving;
mod socket_wire;
#[cfg(test)]
mod tests;
mod turns;
mod unattended;
mod writing;

pub use connection::IDLE_MAX;
pub use listen::{Listen, Protocol};
pub use serving::{Bound, HANDSHAKE_WITHIN, Serving};
pub use socket_wire::{CONNECT_WITHIN, SocketWire};
pub use turns::{DATAGRAMS_PER_TURN, KNOWN_FOR, KNOWN_SOURCES_MAX, STRANGER_DATAGRAMS_MAX, STRANGERS_DATAGRAMS_MAX};
pub use unattended::Unattended;
pub use writing::{WRITE_BYTES_MAX, WRITE_QUEUE, WRITTEN_WITHIN};

/// What listeners, connections and the way out have in common.
struct Shared {
    listeners: Vec<Listen>,
    advertise: Option<IpAddr>,
    tls: Option<Arc<TlsIdentity>>,
    udp: HashMap<u64, Arc<UdpSocket>>,
    connections: Mutex<HashMap<u64, Connection>>,
    next_flow: AtomicU64,
    doors: Doors,
    known: Known,
    /// Somebody is being asked to make room.
    making_room: AtomicBool,
    endpoint: Mutex<Option<Addr<SipEndpoint>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
