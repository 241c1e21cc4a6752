//! The way out: what the endpoint sends by.
//!
//! Invariant: nothing here decides by which way a message goes; a wire says what is open, and opens what it is told to.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use bellhop_sip::dialog::LocalIdentity;
use bellhop_sip::hop::{Hop, Transport};
use bellhop_sip::networks::Source;
use bytes::Bytes;

/// What a [`Wire`] finds out.
pub type Reached<T> = Pin<Box<dyn Future<Output = T>>>;

/// Real sockets, or a test's carrier.
pub trait Wire {
    /// Sends bytes to a hop. The endpoint is told of a hop that cannot be reached, and of a connection that ends, as
    /// [`TransportFailed`](bellhop_sip::endpoint::Input::TransportFailed) and
    /// [`FlowLost`](bellhop_sip::endpoint::Input::FlowLost).
    fn transmit(&mut self, hop: Hop, bytes: Bytes);
    /// Whether what this hop goes by is open: sockets always are, connections until they end.
    fn is_open(&self, _: Hop) -> bool {
        true
    }
    /// Whether the far end of this hop is there: a connection is alive once the far end has acknowledged something that was sent
    /// just now. Always answers within a bound of its own.
    fn is_alive(&mut self, _: Hop) -> Reached<bool> {
        Box::pin(std::future::ready(true))
    }
    /// Opens a connection, or finds the socket for datagrams. Always answers within a bound of its own.
    fn open(&mut self, transport: Transport, remote: SocketAddr, host: Option<String>) -> Reached<Option<Hop>>;
    /// How we name ourselves to this hop.
    fn identity(&self, hop: Hop) -> LocalIdentity;
    /// The host name that the far end of this hop asked for in TLS (SNI).
    fn server_name(&self, _: Hop) -> Option<Arc<str>> {
        None
    }
    /// Whether the source of this hop stands on the list of the listener it came by: it is believed, and listened to
    /// whatever it does.
    fn is_listed(&self, _: Hop) -> bool {
        false
    }
    /// Whether the far end of this hop has shown a client certificate of ours.
    fn has_certificate(&self, _: Hop) -> bool {
        false
    }
    /// A call that came by this hop was taken.
    fn welcome(&mut self, hop: Hop);
    /// No new connection of this source is taken until then, and those by which no call was taken are closed.
    fn turn_away(&mut self, source: Source, until: Instant);
}
