//! From where a request comes, and whether anybody could read it on its way.
//!
//! Invariant: what a header says of the client is believed of a proxy that is listed in `http.behind` alone, and where two
//! headers say different things, of nobody: a proxy writes one of them, and whoever asks could have sent the other.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::header::FORWARDED;
use ipnet::IpNet;

use super::settings::Settings;

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrival {
    /// The client's address, as far as it is known.
    pub(super) address: IpAddr,
    /// How it came.
    pub(super) way: Way,
}

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// By TLS, or from this machine.
    Private,
    /// Where others could read it.
    Open,
}

/// `Forwarded` and `X-Forwarded-For` contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Contradiction;

/// What proxies said, each after those before it: whom they heard of, and by which scheme.
struct Told {
    clients: Vec<Option<IpAddr>>,
    https: bool,
}

impl Arrival {
    /// Of a request.
    pub(super) fn of(request: &HttpRequest, settings: &Settings) -> Result<Self, Contradiction> {
        let peer = request.peer_addr().map(|peer| peer.ip().to_canonical());
        let Some(peer) = peer else {
            // No address: not by a socket of the network that is known here.
            return Ok(Self { address: IpAddr::from([0, 0, 0, 0]), way: Way::Open });
        };
        let (forwarded, x_forwarded) = (forwarded(request), x_forwarded(request));
        if !is_in(peer, &settings.behind) {
            // Whoever forwards from this machine and is not listed may have got it from anywhere.
            let from_here = peer.is_loopback() && forwarded.is_none() && x_forwarded.is_none();
            let way = if settings.tls || from_here { Way::Private } else { Way::Open };
            return Ok(Self { address: peer, way });
        }
        let heard = |told: &Told| told.heard(peer, &settings.behind);
        let (address, https) = match (forwarded, x_forwarded) {
            (Some(one), Some(other)) if heard(&one) != heard(&other) => return Err(Contradiction),
            (Some(one), Some(other)) => (heard(&one), one.https && other.https),
            (Some(told), None) | (None, Some(told)) => (heard(&told), told.https),
            (None, None) => (peer, false),
        };
        Ok(Self { address, way: if https { Way::Private } else { Way::Open } })
    }
}

impl Told {
    /// The client: the last who is no proxy of ours, going back from the one that speaks to us.
    fn heard(&self, peer: IpAddr, behind: &[IpNet]) -> IpAddr {
        let mut nearest = peer;
        for client in self.clients.iter().rev() {
            let Some(client) = client else { break };
            nearest = *client;
            if !is_in(nearest, behind) {
                break;
            }
        }
        nearest
    }
}

fn is_in(address: IpAddr, networks: &[IpNet]) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// The elements of a header in all its lines.
fn elements(request: &HttpRequest, name: &str) -> Option<Vec<String>> {
    let lines: Vec<&str> = request.headers().get_all(name).map(|line| line.to_str().unwrap_or_default()).collect();
    let elements = lines.iter().flat_map(|line| line.split(',')).map(|element| element.trim().to_owned());
    (!lines.is_empty()).then(|| elements.collect())
}

/// `X-Forwarded-For: client, proxy` and `X-Forwarded-Proto: https`
fn x_forwarded(request: &HttpRequest) -> Option<Told> {
    let clients = elements(request, "X-Forwarded-For");
    let schemes = elements(request, "X-Forwarded-Proto");
    if clients.is_none() && schemes.is_none() {
        return None;
    }
    let clients = clients.unwrap_or_default().iter().map(|client| node(client)).collect();
    Some(Told { clients, https: schemes.is_some_and(|all| all.last().is_some_and(|last| last == "https")) })
}

/// `Forwarded: for=192.0.2.43;proto=https, for="[2001:db8::1]:4711"` (RFC 7239)
fn forwarded(request: &HttpRequest) -> Option<Told> {
    let elements = elements(request, FORWARDED.as_str())?;
    let clients = elements.iter().map(|element| parameter(element, "for").and_then(node)).collect();
    let https = elements.last().is_some_and(|last| parameter(last, "proto").is_some_and(|scheme| scheme == "https"));
    Some(Told { clients, https })
}

fn parameter<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    let pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim_matches('"'));
    // One that comes twice is none.
    values.next().filter(|_| values.next().is_none())
}

/// An address with or without a port; none for `unknown` and invented names.
fn node(text: &str) -> Option<IpAddr> {
    let bare = text.trim();
    let address =
        bare.parse().ok().or_else(|| bare.parse::<std::net::SocketAddr>().ok().map(|with_port| with_port.ip()));
    let bracketed = || bare.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    address.or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    type Row = (&'static str, &'static [(&'static str, &'static str)], Result<(&'static str, Way), Contradiction>);

    const TABLE: &[Row] = &[
        // Nobody is believed who is not listed.
        ("203.0.113.9", &[], Ok(("203.0.113.9", Way::Open))),
        (
            "203.0.113.9",
            &[("X-Forwarded-For", "127.0.0.1"), ("X-Forwarded-Proto", "https")],
            Ok(("203.0.113.9", Way::Open)),
        ),
        ("127.0.0.1", &[], Ok(("127.0.0.1", Way::Private))),
        ("::ffff:127.0.0.1", &[], Ok(("127.0.0.1", Way::Private))),
        ("::1", &[], Ok(("::1", Way::Private))),
        ("127.0.0.1", &[("X-Forwarded-For", "203.0.113.9")], Ok(("127.0.0.1", Way::Open))),
        ("127.0.0.1", &[("X-Forwarded-Proto", "https")], Ok(("127.0.0.1", Way::Open))),
        ("127.0.0.1", &[("Forwarded", "for=203.0.113.9")], Ok(("127.0.0.1", Way::Open))),
        // A listed proxy.
        ("10.0.0.1", &[], Ok(("10.0.0.1", Way::Open))),
        ("10.0.0.1", &[("X-Forwarded-For", "203.0.113.9")], Ok(("203.0.113.9", Way::Open))),
        (
            "10.0.0.1",
            &[("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https")],
            Ok(("203.0.113.9", Way::Private)),
        ),
        (
            "10.0.0.1",
            &[("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https, http")],
            Ok(("203.0.113.9", Way::Open)),
        ),
        ("10.0.0.1", &[("X-Forwarded-For", "6.6.6.6, 203.0.113.9, 10.0.0.2")], Ok(("203.0.113.9", Way::Open))),
        (
            "10.0.0.1",
            &[("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "203.0.113.9")],
            Ok(("203.0.113.9", Way::Open)),
        ),
        ("10.0.0.1", &[("X-Forwarded-For", "6.6.6.6, nonsense")], Ok(("10.0.0.1", Way::Open))),
        ("10.0.0.1", &[("X-Forwarded-For", "6.6.6.6, unknown, 10.0.0.2")], Ok(("10.0.0.2", Way::Open))),
        ("10.0.0.1", &[("Forwarded", "for=203.0.113.9;proto=https")], Ok(("203.0.113.9", Way::Private))),
        ("10.0.0.1", &[("Forwarded", "For=\"[2001:db8::1]:4711\"; Proto=https")], Ok(("2001:db8::1", Way::Private))),
        ("10.0.0.1", &[("Forwarded", "for=6.6.6.6, for=\"203.0.113.9:99\"")], Ok(("203.0.113.9", Way::Open))),
        ("10.0.0.1", &[("Forwarded", "for=6.6.6.6;for=203.0.113.9")], Ok(("10.0.0.1", Way::Open))),
        ("10.0.0.1", &[("Forwarded", "for=_hidden;proto=https")], Ok(("10.0.0.1", Way::Private))),
        // One of the two was sent by whoever asks.
        ("10.0.0.1", &[("Forwarded", "for=6.6.6.6"), ("X-Forwarded-For", "203.0.113.9")], Err(Contradiction)),
        (
            "10.0.0.1",
            &[("Forwarded", "for=203.0.113.9;proto=https"), ("X-Forwarded-For", "203.0.113.9")],
            Ok(("203.0.113.9", Way::Open)),
        ),
    ];

    #[test]
    fn a_proxy_is_believed_if_it_is_listed_and_does_not_contradict_itself() {
        let mut settings = Settings::at("https://bellhop.example").expect("an address");
        settings.behind = vec!["10.0.0.0/8".parse().expect("a network")];
        for (peer, headers, expected) in TABLE {
            let peer = std::net::SocketAddr::new(peer.parse().expect("an address"), 4711);
            let request = headers.iter().copied().fold(TestRequest::default(), TestRequest::append_header);
            let request = request.peer_addr(peer).to_http_request();
            let expected =
                expected.map(|(address, way)| Arrival { address: address.parse().expect("an address"), way });
            assert_eq!(Arrival::of(&request, &settings), expected, "{peer} {headers:?}");
        }
    }

    #[test]
    fn who_speaks_tls_with_us_is_not_overheard_and_who_has_no_address_may_be() {
        let mut settings = Settings::at("https://bellhop.example").expect("an address");
        let nowhere = Arrival::of(&TestRequest::default().to_http_request(), &settings);
        assert_eq!(nowhere.map(|arrival| arrival.way), Ok(Way::Open));
        settings.tls = true;
        let request = TestRequest::default().peer_addr("203.0.113.9:1".parse().expect("an address"));
        assert_eq!(Arrival::of(&request.to_http_request(), &settings).map(|arrival| arrival.way), Ok(Way::Private));
    }
}
