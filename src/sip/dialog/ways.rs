//! The ways a request inside a dialog can go, the best first, and the request on its way by each in turn.
//!
//! A connection that the dialog came by serves whatever its address (RFC 5923 in spirit: the far end opened it for this). When
//! it is gone, RFC 3261 section 12.2.1.1 and RFC 3263 section 4 say where a new one leads: the first route, else the remote
//! target; a name is looked up. TLS stays TLS. Invariant: every request inside a dialog has at least one way, and no more than
//! [`WAYS_MAX`] are tried. Driver: `src/sip/endpoint/delivery.rs`.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;

use crate::hop::{Hop, Transport};
use crate::message::{Request, Scheme, Uri, Via};
use crate::networks::may_name;

/// Ways tried for one request, the addresses of names included.
pub const WAYS_MAX: usize = 6;

/// One way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// What the dialog came by: our socket and the far end's address, or a connection that is still open.
    Flow(Hop),
    /// An address: a datagram, or a new connection.
    Address {
        /// What is spoken there.
        transport: Transport,
        /// The address and port that it goes to.
        remote: SocketAddr,
        /// The name that led there: what a certificate must name.
        host: Option<String>,
    },
    /// A host that has to be looked up first (RFC 3263).
    Host {
        /// What is spoken there.
        transport: Transport,
        /// The host, as a URI or a Via names it.
        host: String,
        /// Its port; without one NAPTR and SRV records are asked.
        port: Option<u16>,
    },
}

/// Where a message came from, and what may be reached from there ([`may_name`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    source: IpAddr,
    networks: Arc<[IpNet]>,
}

impl Reach {
    /// Of a dialog that came from this address, which stands on this list.
    pub fn from_source(source: IpAddr, networks: Arc<[IpNet]>) -> Self {
        Self { source, networks }
    }

    /// Whether a request may be sent there.
    pub fn covers(&self, ip: IpAddr) -> bool {
        may_name(self.source, ip, &self.networks)
    }
}

/// All ways of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ways {
    /// Those not tried yet, the best first.
    left: VecDeque<Way>,
    reach: Reach,
    tried: usize,
}

impl Ways {
    /// The ways of a dialog that came by `hop`: `routed` is its first route, `target` its remote target.
    pub(super) fn of_dialog(hop: Hop, reach: Reach, routed: Option<&Uri>, target: Option<&Uri>) -> Self {
        let mut this = Self { left: VecDeque::new(), reach, tried: 0 };
        if hop.transport.is_reliable() {
            this.push(Way::Flow(hop));
        }
        for uri in [routed, target].into_iter().flatten() {
            for transport in transports(uri, hop.transport) {
                this.push_uri(uri, transport);
            }
        }
        // Datagrams go where the far end says it is, and else to where it spoke from.
        if !hop.transport.is_reliable() {
            this.left.iter_mut().for_each(|way| way.use_socket(hop));
            this.push(Way::Flow(hop));
        }
        this
    }

    fn push_uri(&mut self, uri: &Uri, transport: Transport) {
        let host = uri.param("maddr").map_or(uri.host.as_str(), |maddr| maddr);
        let host = host.trim_matches(['[', ']']);
        match host.parse::<IpAddr>() {
            Ok(ip) if self.reach.covers(ip) => {
                let remote = SocketAddr::new(ip, uri.port.unwrap_or(transport.default_port()));
                self.push(Way::Address { transport, remote, host: None });
            }
            Ok(_) => {}
            Err(_) if host.is_empty() => {}
            Err(_) => self.push(Way::Host { transport, host: host.to_owned(), port: uri.port }),
        }
    }

    fn push(&mut self, way: Way) {
        if !self.left.contains(&way) && self.left.len() < WAYS_MAX {
            self.left.push_back(way);
        }
    }

    /// The best way that was not tried yet. A host comes back by [`Ways::found`] once it was looked up.
    pub fn next_way(&mut self) -> Option<Way> {
        let way = self.left.pop_front()?;
        if !matches!(way, Way::Host { .. }) {
            if self.tried == WAYS_MAX {
                return None;
            }
            self.tried += 1;
        }
        Some(way)
    }

    /// The addresses of a host, best first: they are the next ways. Those out of reach are left out.
    pub fn found(&mut self, transport: Transport, host: &str, addresses: &[SocketAddr]) {
        let within: Vec<SocketAddr> = addresses.iter().copied().filter(|at| self.reach.covers(at.ip())).collect();
        for &remote in within.iter().take(WAYS_MAX).rev() {
            self.left.push_front(Way::Address { transport, remote, host: Some(host.to_owned()) });
        }
    }

    /// Only those that show whether they lead somewhere: a connection is there or not, a datagram is only hoped for. A dialog
    /// that came by datagrams has no others.
    pub fn provable(mut self) -> Self {
        if matches!(self.left.front(), Some(Way::Flow(hop)) if hop.transport.is_reliable()) {
            self.left.retain(|way| way.transport().is_reliable());
        }
        self
    }

    /// Whether no way is left.
    pub fn is_exhausted(&self) -> bool {
        self.left.is_empty() || self.tried == WAYS_MAX
    }

    /// The best way, for whoever only wants to know.
    pub fn first(&self) -> Option<&Way> {
        self.left.front()
    }
}

impl Way {
    fn transport(&self) -> Transport {
        match self {
            Self::Flow(hop) => hop.transport,
            Self::Address { transport, .. } | Self::Host { transport, .. } => *transport,
        }
    }

    /// An address that is reached by our own socket of a dialog.
    fn use_socket(&mut self, hop: Hop) {
        if let Self::Address { transport, remote, host: None } = self
            && *transport == hop.transport
            && remote.is_ipv4() == hop.remote.is_ipv4()
        {
            *self = Self::Flow(Hop { remote: *remote, ..hop });
        }
    }
}

/// What may be spoken to a URI, given what the dialog came by: TLS stays TLS, a stream may fall back to datagrams where the
/// URI does not ask for a stream.
fn transports(uri: &Uri, came_by: Transport) -> Vec<Transport> {
    let asked = uri.param("transport").map(str::to_ascii_lowercase);
    let secure = came_by == Transport::Tls || uri.scheme == Scheme::Sips || asked.as_deref() == Some("tls");
    match (secure, came_by, asked.as_deref()) {
        (true, _, _) => vec![Transport::Tls],
        (false, Transport::Udp, Some("tcp")) => vec![Transport::Udp, Transport::Tcp],
        (false, Transport::Udp, _) => vec![Transport::Udp],
        (false, _, Some("tcp")) => vec![Transport::Tcp],
        (false, _, _) => vec![Transport::Tcp, Transport::Udp],
    }
}

/// Whether a request's Via names this transport.
pub fn is_written_for(request: &Request, transport: Transport) -> bool {
    let via = request.headers.get("Via").and_then(Via::parse);
    via.is_some_and(|via| via.transport.eq_ignore_ascii_case(transport.token()))
}

/// The same request for another try: a transaction of its own, named by what carries it (RFC 3261 section 8.1.1.7).
pub fn rewritten(mut request: Request, transport: Transport, sent_by: &str, branch: &str) -> Request {
    let via = format!("SIP/2.0/{} {sent_by};rport;branch={branch}", transport.token());
    request.headers.set("Via", &via);
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(transport: Transport, remote: &str) -> Hop {
        Hop { transport, remote: remote.parse().expect("an address"), flow: 7 }
    }

    impl Ways {
        fn of(hop: Hop, routed: Option<&Uri>, target: Option<&Uri>) -> Self {
            Self::of_dialog(hop, Reach::from_source(hop.remote.ip(), Arc::default()), routed, target)
        }
    }

    /// Every way in a word.
    fn told(mut ways: Ways) -> Vec<String> {
        let tell = |way| match way {
            Way::Flow(hop) => format!("flow {}", hop.remote),
            Way::Address { transport, remote, .. } => format!("{transport} {remote}"),
            Way::Host { transport, host, port } => format!("{transport} {host} {port:?}"),
        };
        std::iter::from_fn(|| ways.next_way()).map(tell).collect()
    }

    #[test]
    fn a_dialog_has_every_way_that_its_own_words_give() {
        use Transport::{Tcp, Tls, Udp};
        for (came_by, source, route, target, expected) in [
            // The Voice Connector: a private Contact behind its Record-Route.
            (Udp, "3.80.16.13:5060", Some("sip:3.80.16.13;lr"), "sip:10.0.58.47:5060", vec!["flow 3.80.16.13:5060"]),
            (
                Tcp,
                "3.80.16.13:33333",
                Some("sip:3.80.16.13;lr"),
                "sip:10.0.58.47:5060",
                vec!["flow 3.80.16.13:33333", "TCP 3.80.16.13:5060", "UDP 3.80.16.13:5060"],
            ),
            (
                Tls,
                "3.80.16.13:33333",
                Some("sip:edge.example:5061;transport=tls;lr"),
                "sip:198.51.100.1",
                vec!["flow 3.80.16.13:33333", "TLS edge.example Some(5061)", "TLS 198.51.100.1:5061"],
            ),
            (Udp, "3.80.16.13:33333", None, "sip:10.0.58.47:5060", vec!["flow 3.80.16.13:33333"]),
            (Udp, "10.0.0.1:33333", None, "sip:10.0.58.47", vec!["flow 10.0.58.47:5060", "flow 10.0.0.1:33333"]),
            (
                Tcp,
                "192.0.2.1:40000",
                None,
                "sip:a@192.0.2.1:5080;transport=tcp",
                vec!["flow 192.0.2.1:40000", "TCP 192.0.2.1:5080"],
            ),
            (Udp, "192.0.2.1:5060", None, "sip:pbx.example", vec!["UDP pbx.example None", "flow 192.0.2.1:5060"]),
            (Tcp, "192.0.2.1:5060", None, "tel:+1800", vec!["flow 192.0.2.1:5060"]),
        ] {
            let (route, target) = (route.and_then(Uri::parse), Uri::parse(target));
            let ways = Ways::of(hop(came_by, source), route.as_ref(), target.as_ref());
            assert_eq!(told(ways), expected, "{came_by} from {source}, {route:?} {target:?}");
        }
    }

    #[test]
    fn a_name_leads_to_its_addresses_but_not_into_our_own_network() {
        let target = Uri::parse("sip:pbx.example:5070").expect("a URI");
        let mut ways = Ways::of(hop(Transport::Udp, "192.0.2.1:5060"), None, Some(&target));
        let Some(Way::Host { host, port, .. }) = ways.next_way() else { panic!("a name") };
        let found = ["10.0.0.1:5070", "192.0.2.9:5070", "127.0.0.1:5070", "192.0.2.8:5070"];
        let found: Vec<SocketAddr> = found.iter().map(|at| at.parse().expect("an address")).collect();
        ways.found(Transport::Udp, &host, &found);
        assert_eq!(port, Some(5070));
        assert_eq!(told(ways), ["UDP 192.0.2.9:5070", "UDP 192.0.2.8:5070", "flow 192.0.2.1:5060"]);
    }

    #[test]
    fn a_datagram_proves_nothing_where_a_connection_could() {
        let target = Uri::parse("sip:192.0.2.1:5080").expect("a URI");
        let stream = Ways::of(hop(Transport::Tcp, "192.0.2.1:40000"), None, Some(&target));
        assert_eq!(told(stream.provable()), ["flow 192.0.2.1:40000", "TCP 192.0.2.1:5080"]);
        let datagrams = Ways::of(hop(Transport::Udp, "192.0.2.1:40000"), None, Some(&target));
        assert_eq!(told(datagrams.provable()), ["flow 192.0.2.1:5080", "flow 192.0.2.1:40000"]);
    }

    #[test]
    fn ways_are_bounded() {
        let target = Uri::parse("sip:many.example").expect("a URI");
        let mut ways = Ways::of(hop(Transport::Tcp, "192.0.2.1:5060"), None, Some(&target));
        let many: Vec<SocketAddr> = (1..=200).map(|n| SocketAddr::from(([198, 51, 100, n], 5060))).collect();
        ways.found(Transport::Tcp, "many.example", &many);
        ways.found(Transport::Tcp, "many.example", &many);
        assert_eq!(told(ways).len(), WAYS_MAX);
    }
}
