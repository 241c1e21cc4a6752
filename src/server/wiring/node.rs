//! What this node says of itself to the others, and to who sets up callers' sides.
//!
//! Invariant: callers' sides are told one address of a node, wherever they are told it: in the store and on its own pages.

use std::sync::atomic::Ordering;

use bellhop_actors::signalling::transport::{Listen, Protocol};
use bellhop_tenancy::store::NodeSays;

use super::Server;
use crate::config::Sip;

/// The port of SIP over TLS, where nothing is listened to by TCP.
pub(crate) const USUAL_PORT: u16 = 5061;

/// What callers' sides call a server: its name, or its address if it has none.
pub(crate) fn host(sip: &Sip) -> Option<String> {
    sip.public_name.clone().or_else(|| sip.advertise.map(|address| address.to_string()))
}

/// The listener that they reach by TCP: one that speaks TLS too, if there is one.
pub(crate) fn listener(listens: &[Listen]) -> Option<&Listen> {
    let by = |wanted: Protocol| listens.iter().find(|listen| listen.protocol == wanted);
    by(Protocol::Either).or_else(|| by(Protocol::Tls)).or_else(|| by(Protocol::Tcp))
}

impl Server {
    /// What is told to the store.
    pub(super) fn says(&self) -> NodeSays {
        NodeSays {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            calls: self.registry.len() as u64,
            is_draining: !self.open.load(Ordering::Acquire),
            sip_host: host(&self.running.sip),
            sip_port: listener(&self.sip).map_or(USUAL_PORT, |listen| listen.address.port()),
        }
    }

    /// What this node is called in the store.
    pub(crate) fn node(&self) -> &str {
        self.following.node()
    }
}
