//! Names of SIP hosts, by the system's DNS servers (RFC 3263), with hickory's resolver and its cache.
//!
//! Invariant: an error is an empty list: whoever asks has another way.

use std::net::{IpAddr, SocketAddr};

use bellhop_sip::hop::Transport;
use bellhop_sip::locate::{NameResolver, Naptr, Pending, Srv, in_order, srv_name};
use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::{RData, RecordType};

/// SRV records followed; more is no list of servers.
const TARGETS_MAX: usize = 8;

/// A resolver.
#[derive(Clone)]
pub struct Dns(TokioResolver);

/// The system's DNS configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("DNS cannot be used: {0}")]
pub struct NoDns(String);

impl Dns {
    /// A resolver that asks the servers of `/etc/resolv.conf`; must be called on a tokio runtime.
    pub fn of_the_system() -> Result<Self, NoDns> {
        let builder = TokioResolver::builder_tokio().map_err(|error| NoDns(error.to_string()))?;
        builder.build().map(Self).map_err(|error| NoDns(error.to_string()))
    }

    async fn records(&self, name: &str, kind: RecordType) -> Vec<RData> {
        match self.0.lookup(name, kind).await {
            Ok(found) => found.answers().iter().map(|record| record.data.clone()).collect(),
            Err(_) => vec![],
        }
    }

    async fn servers(&self, transport: Transport, host: &str) -> Vec<Srv> {
        let naptr = self.records(host, RecordType::NAPTR).await.into_iter().filter_map(|data| match data {
            RData::NAPTR(naptr) => Some(Naptr {
                order: naptr.order,
                preference: naptr.preference,
                service: String::from_utf8_lossy(&naptr.services).into_owned(),
                replacement: naptr.replacement.to_utf8(),
            }),
            _ => None,
        });
        let name = srv_name(transport, host, naptr.collect());
        let srv = self.records(&name, RecordType::SRV).await.into_iter().filter_map(|data| match data {
            RData::SRV(srv) => {
                Some(Srv { priority: srv.priority, weight: srv.weight, port: srv.port, target: srv.target.to_utf8() })
            }
            _ => None,
        });
        in_order(srv.collect(), |below| rand::random::<u32>() % below.max(1))
    }

    async fn addresses(&self, host: &str) -> Vec<IpAddr> {
        self.0.lookup_ip(host).await.map(|found| found.iter().collect()).unwrap_or_default()
    }

    async fn find(self, transport: Transport, host: String, port: Option<u16>) -> Vec<SocketAddr> {
        let servers = if port.is_none() { self.servers(transport, &host).await } else { vec![] };
        let mut found = vec![];
        for server in servers.into_iter().take(TARGETS_MAX) {
            let addresses = self.addresses(&server.target).await;
            found.extend(addresses.into_iter().map(|ip| SocketAddr::new(ip, server.port)));
        }
        if found.is_empty() {
            let port = port.unwrap_or(transport.default_port());
            found.extend(self.addresses(&host).await.into_iter().map(|ip| SocketAddr::new(ip, port)));
        }
        found
    }
}

impl NameResolver for Dns {
    fn locate(&self, transport: Transport, host: String, port: Option<u16>) -> Pending<Vec<SocketAddr>> {
        Box::pin(self.clone().find(transport, host, port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::Resolver;
    use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
    use hickory_resolver::net::runtime::TokioRuntimeProvider;
    use tokio::net::UdpSocket;

    fn name(text: &str) -> Vec<u8> {
        let labels = text.split('.').filter(|label| !label.is_empty());
        let mut bytes: Vec<u8> = labels.flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect();
        bytes.push(0);
        bytes
    }

    /// What a zone says: name, type, data.
    fn zone() -> Vec<(Vec<u8>, u16, Vec<u8>)> {
        let naptr = [&[0, 10, 0, 50, 1, b's', 7][..], b"SIP+D2U", &[0], &name("_sip._udp.far.example")].concat();
        let srv = |priority: u16, port: u16, target: &str| {
            [&priority.to_be_bytes()[..], &[0, 1], &port.to_be_bytes(), &name(target)].concat()
        };
        vec![
            (name("far.example"), 35, naptr),
            (name("_sip._udp.far.example"), 33, srv(20, 5080, "two.example")),
            (name("_sip._udp.far.example"), 33, srv(10, 5070, "one.example")),
            (name("one.example"), 1, vec![192, 0, 2, 1]),
            (name("two.example"), 1, vec![192, 0, 2, 2]),
        ]
    }

    /// Answers from the zone, on loopback.
    async fn serve(socket: UdpSocket) {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let query = &buffer[..length];
            let end = 12 + query[12..].iter().position(|byte| *byte == 0).expect("a name") + 1;
            let asked = (query[12..end].to_ascii_lowercase(), u16::from_be_bytes([query[end], query[end + 1]]));
            let found: Vec<_> =
                zone().into_iter().filter(|(name, kind, _)| (name, *kind) == (&asked.0, asked.1)).collect();
            let mut answer = query[..2].to_vec();
            answer.extend([0x85, 0x80, 0, 1, 0, found.len() as u8, 0, 0, 0, 0]);
            answer.extend(&query[12..end + 4]);
            for (name, kind, data) in found {
                answer.extend(name);
                answer.extend(kind.to_be_bytes());
                answer.extend([0, 1, 0, 0, 0, 60]);
                answer.extend((data.len() as u16).to_be_bytes());
                answer.extend(data);
            }
            let _ = socket.send_to(&answer, from).await;
        }
    }

    #[tokio::test]
    async fn naptr_srv_and_addresses_are_followed_in_their_order() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let at = socket.local_addr().expect("bound");
        tokio::spawn(serve(socket));
        let mut udp = ConnectionConfig::udp();
        udp.port = at.port();
        let server = NameServerConfig::new(at.ip(), true, vec![udp]);
        let config = ResolverConfig::from_name_servers(vec![server]);
        let built = Resolver::builder_with_config(config, TokioRuntimeProvider::default()).build();
        let dns = Dns(built.expect("a resolver"));
        let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let located = dns.locate(Transport::Udp, "far.example".into(), None).await;
        assert_eq!(located, [address("192.0.2.1:5070"), address("192.0.2.2:5080")]);
        assert_eq!(dns.locate(Transport::Udp, "one.example".into(), None).await, [address("192.0.2.1:5060")]);
        assert_eq!(dns.locate(Transport::Udp, "two.example".into(), Some(7)).await, [address("192.0.2.2:7")]);
        assert_eq!(dns.locate(Transport::Udp, "nobody.example".into(), None).await, []);
    }
}
