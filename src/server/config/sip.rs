//! What the file says about SIP: `[sip]` and `[sip.tls]`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bellhop_actors::signalling::transport::{Listen, Protocol};
use bellhop_tenancy::host_name::is_host_name;
use bellhop_tenancy::networks;
use ipnet::IpNet;

use super::node;
use super::reader::Section;
use super::tls::{Tls, read_tls};

/// `[sip]`
#[derive(Debug, Clone)]
pub struct Sip {
    /// `listen`
    pub listen: Vec<Listen>,
    /// `advertise`
    pub advertise: Option<IpAddr>,
    /// `public_name`: what callers' sides call this server.
    pub public_name: Option<String>,
    /// `max_calls`
    pub max_calls: usize,
    /// `drain_seconds`
    pub drain: Duration,
    /// `[sip.tls]`
    pub tls: Option<Tls>,
}

pub(super) fn read_sip(section: &Section<'_>) -> Sip {
    let tls = section.optional_section("tls").and_then(|section| read_tls("sip.tls", &section));
    let default = [
        "udp:0.0.0.0:5060",
        "tcp:0.0.0.0:5060",
        if section.has("tls") { "tcp+tls:0.0.0.0:5061" } else { "tcp:0.0.0.0:5061" },
    ];
    let usual = || default.iter().filter_map(|text| read_listen(text).ok()).collect();
    let sip = Sip {
        listen: section.list("listen", read_listen).unwrap_or_else(usual),
        advertise: node::read_reachable(section),
        public_name: read_public_name(section),
        max_calls: section.number("max_calls", 1..=100_000).unwrap_or(1000),
        drain: Duration::from_secs(section.number("drain_seconds", 0..=86_400).unwrap_or(30) as u64),
        tls,
    };
    if !section.has("tls") && sip.listen.iter().any(|l| matches!(l.protocol, Protocol::Tls | Protocol::Either)) {
        section.mistake("listen", "TLS is listened for, and there is no [sip.tls] with certificate and key");
    }
    section.finish();
    sip
}

/// A host name (RFC 1123 section 2.1), as a Voice Connector's route takes it.
fn read_public_name(section: &Section<'_>) -> Option<String> {
    let name = section.text("public_name")?;
    if !is_host_name(&name) || !name.contains('.') {
        section.mistake("public_name", &format!("`{name}` is not a host name like \"sip.example.com\""));
        return None;
    }
    Some(name.to_ascii_lowercase())
}

/// `tcp+tls:0.0.0.0:5061`, or `udp:0.0.0.0:5060 from 192.0.2.0/24, 198.51.100.7`.
fn read_listen(text: &str) -> Result<Listen, String> {
    let (place, from) = text.split_once(" from").map_or((text, None), |(place, from)| (place, Some(from)));
    let parsed = place.trim().split_once(':').and_then(|(protocol, address)| {
        let all = [Protocol::Udp, Protocol::Tcp, Protocol::Tls, Protocol::Either];
        let protocol = all.into_iter().find(|known| known.label() == protocol)?;
        Some((protocol, address.trim().parse().ok()?))
    });
    let (protocol, address) = parsed.ok_or_else(|| format!(
        "`{text}` is not like \"udp:0.0.0.0:5060\", \"tcp:…\", \"tls:…\" or \"tcp+tls:0.0.0.0:5061 from 192.0.2.0/24\""
    ))?;
    if node::is_no_host(SocketAddr::ip(&address)) {
        return Err(format!("`{text}`: {} is an address of many: name one of this machine", address.ip()));
    }
    // No network at all would mean everybody.
    let sources: Result<Vec<_>, _> =
        from.into_iter().flat_map(|from| from.split(',')).map(|net| read_nets(net.trim())).collect();
    Ok(Listen { protocol, address, sources: sources?.concat() })
}

/// A network, one address, or the networks of a name.
fn read_nets(text: &str) -> Result<Vec<IpNet>, String> {
    networks::parse(text).map_err(|why| why.to_string())
}
