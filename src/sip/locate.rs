//! Where a request goes whose next hop has a name (RFC 3263): what to look up, in which order, and what the answers mean.
//!
//! We send inside dialogs alone, over the transport the dialog came by: an open connection is used whatever its name,
//! so that only datagrams and new connections need an address. Invariant: a name that cannot be resolved is a way less
//! (`dialog/ways.rs`), never an error. The port is served by `src/adapters/dns.rs`, the driver is
//! `actors/signalling/endpoint.rs`.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use crate::hop::Transport;

/// A future that an adapter returns.
pub type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Looks the names of SIP hosts up.
pub trait NameResolver: Send + Sync {
    /// The addresses of a host that speaks a transport, the first to be tried first; none if it has none. Without a port NAPTR
    /// and SRV are asked.
    fn locate(&self, transport: Transport, host: String, port: Option<u16>) -> Pending<Vec<SocketAddr>>;
}

/// A NAPTR record as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naptr {
    /// Lower first.
    pub order: u16,
    /// Lower first within an order.
    pub preference: u16,
    /// `SIP+D2U` is SIP over UDP, `SIP+D2T` over TCP, `SIPS+D2T` over TLS.
    pub service: String,
    /// The name of the SRV records.
    pub replacement: String,
}

/// The name whose SRV records lead to SIP over a transport: that of the best NAPTR record, else the usual one (RFC 3263
/// section 4.1).
pub fn srv_name(transport: Transport, host: &str, mut records: Vec<Naptr>) -> String {
    let (service, usual) = match transport {
        Transport::Udp => ("SIP+D2U", "_sip._udp"),
        Transport::Tcp => ("SIP+D2T", "_sip._tcp"),
        Transport::Tls => ("SIPS+D2T", "_sips._tcp"),
    };
    records.retain(|record| record.service.eq_ignore_ascii_case(service));
    records.sort_by_key(|record| (record.order, record.preference));
    records.into_iter().next().map_or_else(|| format!("{usual}.{host}"), |record| record.replacement)
}

/// An SRV record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Srv {
    /// Lower first.
    pub priority: u16,
    /// The share among those of a priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host.
    pub target: String,
}

/// Orders records as RFC 2782 says: by priority, and within one by weighted lot. `draw` gives a number below its argument.
pub fn in_order(mut records: Vec<Srv>, mut draw: impl FnMut(u32) -> u32) -> Vec<Srv> {
    // Those without weight stand first, so that they have a small chance of their own.
    records.sort_by_key(|record| (record.priority, record.weight > 0));
    let mut ordered = vec![];
    while let Some(priority) = records.first().map(|record| record.priority) {
        let equal = records.iter().take_while(|record| record.priority == priority).count();
        let total: u32 = records[..equal].iter().map(|record| u32::from(record.weight)).sum();
        let lot = draw(total + 1);
        let mut sum = 0;
        let chosen = records[..equal].iter().position(|record| {
            sum += u32::from(record.weight);
            sum >= lot
        });
        ordered.push(records.remove(chosen.unwrap_or(0)));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn naptr_leads_to_the_transport_or_the_usual_name_is_asked() {
        let naptr = |order, service: &str, replacement: &str| Naptr {
            order,
            preference: 10,
            service: service.into(),
            replacement: replacement.into(),
        };
        let records = vec![naptr(1, "SIP+D2T", "t"), naptr(20, "sip+d2u", "late"), naptr(10, "SIP+D2U", "early")];
        assert_eq!(srv_name(Transport::Udp, "x.example", records.clone()), "early");
        assert_eq!(srv_name(Transport::Tcp, "x.example", records), "t");
        assert_eq!(srv_name(Transport::Udp, "x.example", vec![naptr(1, "SIPS+D2T", "s")]), "_sip._udp.x.example");
        assert_eq!(srv_name(Transport::Tcp, "x.example", vec![]), "_sip._tcp.x.example");
        assert_eq!(srv_name(Transport::Tls, "x.example", vec![]), "_sips._tcp.x.example");
    }

    #[test]
    fn priority_goes_first_and_weight_shares() {
        let srv = |priority, weight, target: &str| Srv { priority, weight, port: 5060, target: target.into() };
        let records = vec![srv(20, 0, "backup"), srv(10, 1, "small"), srv(10, 9, "big")];
        let mut firsts = [0, 0];
        for lot in 0..=10 {
            let ordered = in_order(records.clone(), |below| lot.min(below - 1));
            assert_eq!(ordered[2].target, "backup");
            firsts[usize::from(ordered[0].target == "big")] += 1;
        }
        assert_eq!(firsts, [2, 9]);
    }
}
