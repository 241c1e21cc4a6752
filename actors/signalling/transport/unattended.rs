//! The sockets without the thread that reads and writes their connections: for the last resort, while that thread is stuck.
//!
//! Datagrams go out as ever. What goes by a plain connection is handed to the kernel here; one under TLS, whose keys
//! are with its writer, is passed over for a new one. Invariant: nothing here waits for the other thread.

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bellhop_sip::dialog::LocalIdentity;
use bellhop_sip::hop::{Hop, Transport};
use bellhop_sip::networks::Source;
use bytes::Bytes;
use nix::sys::socket::{MsgFlags, send};

use super::lock;
use super::socket_wire::SocketWire;
use crate::metrics;
use crate::signalling::wire::{Reached, Wire};

/// A way out that nobody else attends to.
pub struct Unattended {
    wire: SocketWire,
    /// The first connection that was opened by this one.
    opened_from: u64,
}

impl SocketWire {
    /// The same for another thread, while that of the connections' writers is stuck.
    pub fn unattended(&self) -> Unattended {
        Unattended { wire: self.clone(), opened_from: self.0.next_flow.load(Ordering::Relaxed) }
    }
}

impl Unattended {
    fn is_ours(&self, hop: Hop) -> bool {
        hop.flow >= self.opened_from
    }
}

impl Wire for Unattended {
    fn transmit(&mut self, hop: Hop, bytes: Bytes) {
        if hop.transport != Transport::Tcp || self.is_ours(hop) {
            return self.wire.transmit(hop, bytes);
        }
        let socket = lock(&self.wire.0.connections).get(&hop.flow).map(|connection| Arc::clone(&connection.socket));
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        let sent = socket.map(|socket| send(socket.as_raw_fd(), &bytes, flags));
        if sent != Some(Ok(bytes.len())) {
            metrics::sip_dropped("unsendable");
        }
    }

    fn is_open(&self, hop: Hop) -> bool {
        (hop.transport != Transport::Tls || self.is_ours(hop)) && self.wire.is_open(hop)
    }

    fn is_alive(&mut self, hop: Hop) -> Reached<bool> {
        self.wire.is_alive(hop)
    }

    fn open(
        &mut self,
        transport: Transport,
        remote: std::net::SocketAddr,
        host: Option<String>,
    ) -> Reached<Option<Hop>> {
        self.wire.open(transport, remote, host)
    }

    fn identity(&self, hop: Hop) -> LocalIdentity {
        self.wire.identity(hop)
    }

    fn server_name(&self, hop: Hop) -> Option<Arc<str>> {
        self.wire.server_name(hop)
    }

    fn is_listed(&self, hop: Hop) -> bool {
        self.wire.is_listed(hop)
    }

    fn has_certificate(&self, hop: Hop) -> bool {
        self.wire.has_certificate(hop)
    }

    fn welcome(&mut self, hop: Hop) {
        self.wire.welcome(hop);
    }

    fn turn_away(&mut self, source: Source, until: Instant) {
        self.wire.turn_away(source, until);
    }
}
