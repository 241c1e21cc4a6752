//! Where a message came from and where the next one goes.

use std::fmt;
use std::net::SocketAddr;

/// The transport protocol of a hop, as written in a Via header (RFC 3261 section 18).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams: requests and final responses are retransmitted by timers.
    Udp,
    /// A byte stream: framed by Content-Length, never retransmitted.
    Tcp,
    /// The same inside TLS.
    Tls,
}

impl Transport {
    /// Whether the transport itself delivers: timers A, E and G stay off, D, I, J and K are zero.
    pub fn is_reliable(self) -> bool {
        self != Self::Udp
    }

    /// The port where nothing names another (RFC 3261 section 19.1.2).
    pub fn default_port(self) -> u16 {
        if self == Self::Tls { 5061 } else { 5060 }
    }

    /// The token of the Via header.
    pub fn token(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.token())
    }
}

/// One hop: a remote address, reached over one of our listeners or connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hop {
    /// The protocol spoken to it.
    pub transport: Transport,
    /// The far end's address as seen from here.
    pub remote: SocketAddr,
    /// Which socket: the listener's number for UDP, the connection's for TCP and TLS.
    pub flow: u64,
}
