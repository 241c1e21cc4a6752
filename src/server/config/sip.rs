//! What the file says about SIP: `[sip]`, `[sip.tls]`, and `[tenants.sip]`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use bellhop_actors::signalling::transport::{Listen, Protocol};
use bellhop_sip::dialog::refer;
use bellhop_tenancy::networks;
use bellhop_tenancy::tenant::{Failover, HoldOnTransfer, Login};
use bellhop_tenancy::transfer_targets::TransferTargets;
use ipnet::IpNet;

use super::node;
use super::reader::Section;
use super::tenant::header_name;

/// Spoken when a call fails where no contact flow takes over.
const FAILURE_MESSAGE: &str = "Call being transferred to an agent due to a technical problem. Good bye.";
/// Spoken when a transfer fails.
const TRANSFER_FAILURE_MESSAGE: &str = "Call transfer to an agent failed. Please try again later. Good bye.";
/// The longest message (vendor's limit).
const MESSAGE_MAX: usize = 150;

/// `[sip]`
#[derive(Debug, Clone)]
pub struct Sip {
    /// `listen`
    pub listen: Vec<Listen>,
    /// `advertise`
    pub advertise: Option<IpAddr>,
    /// `max_calls`
    pub max_calls: usize,
    /// `drain_seconds`
    pub drain: Duration,
    /// `[sip.tls]`
    pub tls: Option<Tls>,
}

/// `[sip.tls]`: files in PEM, relative to the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// `certificate`: the chain.
    pub certificate: PathBuf,
    /// `key`
    pub key: PathBuf,
    /// `client_ca`: with it, clients must show a certificate of one of these.
    pub client_ca: Option<PathBuf>,
}

/// `[tenants.sip]`
#[derive(Debug, Clone, Default)]
pub(super) struct TenantSip {
    pub(super) login: Option<Login>,
    pub(super) sources: Vec<IpNet>,
    pub(super) transfer_targets: TransferTargets,
    pub(super) server_name: Option<String>,
    pub(super) invite_headers: Vec<String>,
    pub(super) hold: HoldOnTransfer,
    pub(super) transfer_failure_message: Option<String>,
    pub(super) failover: Failover,
}

pub(super) fn read_sip(section: &Section<'_>) -> Sip {
    let tls = section.optional_section("tls").and_then(|section| read_tls(&section));
    let default = [
        "udp:0.0.0.0:5060",
        "tcp:0.0.0.0:5060",
        if section.has("tls") { "tcp+tls:0.0.0.0:5061" } else { "tcp:0.0.0.0:5061" },
    ];
    let usual = || default.iter().filter_map(|text| read_listen(text).ok()).collect();
    let sip = Sip {
        listen: section.list("listen", read_listen).unwrap_or_else(usual),
        advertise: node::read_reachable(section),
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

/// Files that are not named are not looked for.
fn read_tls(section: &Section<'_>) -> Option<Tls> {
    let before = section.mistakes();
    let tls = Tls {
        certificate: section.relative(&section.required_text("certificate")),
        key: section.relative(&section.required_text("key")),
        client_ca: section.text("client_ca").map(|file| section.relative(&file)),
    };
    section.finish();
    (section.mistakes() == before).then_some(tls)
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

/// An empty list is a list here: nobody is transferred anywhere.
fn read_targets(section: &Section<'_>) -> TransferTargets {
    let Some(texts) = section.texts_or_none("transfer_targets") else { return TransferTargets::default() };
    TransferTargets::parse(&texts).unwrap_or_else(|why| {
        section.mistake("transfer_targets", &why.to_string());
        TransferTargets::default()
    })
}

pub(super) fn read_tenant_sip(section: &Section<'_>) -> TenantSip {
    let login = section.text("user").map(|user| Login {
        realm: section.text("realm").unwrap_or_else(|| "bellhop".to_owned()),
        user,
        password: section.secret("password"),
    });
    if login.as_ref().is_some_and(|login| login.realm.contains(['"', '\\'])) {
        section.mistake("realm", "has quotes or backslashes");
    }
    if login.is_none() && !section.has("user") {
        for key in ["password", "realm"].into_iter().filter(|key| section.has(key)) {
            section.mistake(key, "belongs to a `user`, and there is none");
            section.text_or_silence(key);
        }
    }
    let message = |key: &str, default: &str| {
        let text = section.text_or_silence(key).unwrap_or_else(|| default.to_owned());
        if text.chars().count() > MESSAGE_MAX {
            section.mistake(key, &format!("is longer than {MESSAGE_MAX} characters"));
        }
        Some(text).filter(|text| !text.trim().is_empty())
    };
    let tenant = TenantSip {
        login,
        sources: section.list("sources", read_nets).unwrap_or_default().concat(),
        transfer_targets: read_targets(section),
        server_name: section.text("server_name"),
        invite_headers: section.list("invite_headers", header_name).unwrap_or_default(),
        hold: match section.flag("hold_on_transfer") {
            Some(false) => HoldOnTransfer::Leave,
            Some(true) | None => HoldOnTransfer::Hold,
        },
        transfer_failure_message: message("transfer_failure_message", TRANSFER_FAILURE_MESSAGE),
        failover: Failover {
            message: message("failure_message", FAILURE_MESSAGE),
            target: section.text("failure_target"),
        },
    };
    // The reader that the transfer itself goes through: what it refuses there would leave the caller without a failover.
    if let Some((target, why)) = tenant.failover.target.as_deref().and_then(|to| Some((to, refer::target(to).err()?))) {
        section.mistake(
            "failure_target",
            &format!("`{target}` is not a URI like \"sip:+18005550199@pbx.example.com\": {why}"),
        );
    }
    section.finish();
    tenant
}
