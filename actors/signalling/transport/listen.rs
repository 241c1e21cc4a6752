//! A listening address: what is spoken there, and who may.
//!
//! Invariant: who stands on no list of a listener that has one is not answered at all.

use std::net::{IpAddr, SocketAddr};

use bellhop_sip::hop::Transport;
use ipnet::IpNet;

/// A listening address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// What is spoken there.
    pub protocol: Protocol,
    /// The address and port that are bound.
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
    pub(super) fn serves(self, transport: Transport) -> bool {
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
    pub(super) fn takes(&self, source: SocketAddr) -> bool {
        let ip = source.ip().to_canonical();
        self.sources.is_empty() || self.sources.iter().any(|net| net.contains(&ip))
    }

    /// Whether somebody stands on its list, and is believed for it.
    pub(super) fn lists(&self, source: IpAddr) -> bool {
        bellhop_tenancy::networks::is_listed(&self.sources, source)
    }
}
