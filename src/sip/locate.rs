//! Where a request goes whose next hop has a name (RFC 3263): what to look up, in which order, and what the answers mean.
//!
//! We send inside dialogs alone, over the transport the dialog came by: an open connection is used whatever its name, so that
//! only datagrams need an address. Invariant: a name that cannot be resolved changes nothing; the request goes to where the
//! INVITE came from. The port is served by `src/adapters/dns.rs`, the driver is `actors/reception/sip_endpoint.rs`.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;

use crate::message::{NameAddr, Request, Uri};

/// A future that an adapter returns.
pub type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Looks names up for requests over UDP.
pub trait NameResolver: Send + Sync {
    /// The addresses of a host, the first to be tried first; none if it has none. Without a port NAPTR and SRV are asked.
    fn locate(&self, host: String, port: Option<u16>) -> Pending<Vec<SocketAddr>>;
}

/// The name of a request's next hop: of its first Route, else of its Request-URI. `None` where that is an address.
pub fn named_next_hop(request: &Request) -> Option<(String, Option<u16>)> {
    let route = request.headers.list("Route").first().and_then(|route| NameAddr::parse(route).ok());
    let uri = match route {
        Some(route) => route.uri,
        None => Uri::parse(&request.uri)?,
    };
    let host = uri.param("maddr").map_or(uri.host.clone(), str::to_owned);
    let is_address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    (!is_address && !host.is_empty()).then_some((host, uri.port))
}

/// A NAPTR record as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naptr {
    /// Lower first.
    pub order: u16,
    /// Lower first within an order.
    pub preference: u16,
    /// `SIP+D2U` is SIP over UDP.
    pub service: String,
    /// The name of the SRV records.
    pub replacement: String,
}

/// The name whose SRV records lead to SIP over UDP: that of the best NAPTR record, else the usual one (RFC 3263 section 4.1).
pub fn srv_name(host: &str, mut records: Vec<Naptr>) -> String {
    records.retain(|record| record.service.eq_ignore_ascii_case("SIP+D2U"));
    records.sort_by_key(|record| (record.order, record.preference));
    records.into_iter().next().map_or_else(|| format!("_sip._udp.{host}"), |record| record.replacement)
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
    use crate::message::Method;

    #[test]
    fn names_are_found_where_they_count() {
        for (uri, route, expected) in [
            ("sip:a@192.0.2.1", None, None),
            ("sip:a@[2001:db8::1]:5070", None, None),
            ("sip:a@pbx.example.com", None, Some(("pbx.example.com", None))),
            ("sip:a@pbx.example.com:5070", None, Some(("pbx.example.com", Some(5070)))),
            ("sip:a@192.0.2.1", Some("<sip:edge.example.com;lr>"), Some(("edge.example.com", None))),
            ("sip:a@pbx.example.com", Some("<sip:192.0.2.9;lr>, <sip:edge.example.com;lr>"), None),
            ("tel:+1800", None, None),
        ] {
            let mut request = Request::new(Method::Bye, uri);
            if let Some(route) = route {
                request.headers.push("Route", route);
            }
            let expected = expected.map(|(host, port): (&str, _)| (host.to_owned(), port));
            assert_eq!(named_next_hop(&request), expected, "{uri} {route:?}");
        }
    }

    #[test]
    fn naptr_leads_to_udp_or_the_usual_name_is_asked() {
        let naptr = |order, service: &str, replacement: &str| Naptr {
            order,
            preference: 10,
            service: service.into(),
            replacement: replacement.into(),
        };
        let records = vec![naptr(1, "SIP+D2T", "t"), naptr(20, "sip+d2u", "late"), naptr(10, "SIP+D2U", "early")];
        assert_eq!(srv_name("x.example", records), "early");
        assert_eq!(srv_name("x.example", vec![naptr(1, "SIPS+D2T", "s")]), "_sip._udp.x.example");
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
