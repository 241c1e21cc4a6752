//! What the file says about SIP: `[sip]`, `[sip.tls]`, and `[tenants.sip]`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bellhop_actors::reception::sip_transport::{Listen, Protocol};
use bellhop_tenancy::networks;
use bellhop_tenancy::tenant::{Failover, HoldOnTransfer, Login};
use bellhop_tenancy::transfer_targets::TransferTargets;
use ipnet::IpNet;

use super::reader::Section;

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

pub(super) fn read_sip(section: &Section<'_>, path: &Path) -> Sip {
    let tls = section.optional_section("tls").map(|section| read_tls(&section, path));
    let default = [
        "udp:0.0.0.0:5060",
        "tcp:0.0.0.0:5060",
        if tls.is_some() { "tcp+tls:0.0.0.0:5061" } else { "tcp:0.0.0.0:5061" },
    ];
    let texts = section.texts("listen").unwrap_or_else(|| default.map(str::to_owned).to_vec());
    let sip = Sip {
        listen: texts.iter().filter_map(|text| read_listen(text, section)).collect(),
        advertise: section.parsed("advertise", "an IP address like \"203.0.113.7\""),
        max_calls: section.number("max_calls", 1..=100_000).unwrap_or(1000),
        drain: Duration::from_secs(section.number("drain_seconds", 0..=86_400).unwrap_or(30) as u64),
        tls,
    };
    if sip.tls.is_none() && sip.listen.iter().any(|l| matches!(l.protocol, Protocol::Tls | Protocol::Either)) {
        section.mistake("listen", "TLS is listened for, and there is no [sip.tls] with certificate and key");
    }
    section.finish();
    sip
}

fn read_tls(section: &Section<'_>, path: &Path) -> Tls {
    let folder = path.parent().unwrap_or(Path::new("."));
    let tls = Tls {
        certificate: folder.join(section.required_text("certificate")),
        key: folder.join(section.required_text("key")),
        client_ca: section.text("client_ca").map(|file| folder.join(file)),
    };
    section.finish();
    tls
}

/// `tcp+tls:0.0.0.0:5061`, or `udp:0.0.0.0:5060 from 192.0.2.0/24, 198.51.100.7`.
fn read_listen(text: &str, section: &Section<'_>) -> Option<Listen> {
    let (place, from) = text.split_once(" from ").unwrap_or((text, ""));
    let parsed = place.split_once(':').and_then(|(protocol, address)| {
        let all = [Protocol::Udp, Protocol::Tcp, Protocol::Tls, Protocol::Either];
        let protocol = all.into_iter().find(|known| known.label() == protocol)?;
        Some((protocol, address.trim().parse().ok()?))
    });
    let Some((protocol, address)) = parsed else {
        let why = format!(
            "`{text}` is not like \"udp:0.0.0.0:5060\", \"tcp:…\", \"tls:…\" or \"tcp+tls:0.0.0.0:5061 from 192.0.2.0/24\""
        );
        section.mistake("listen", &why);
        return None;
    };
    if text.contains(" from") && from.trim().is_empty() {
        section.mistake("listen", &format!("`{text}` names nobody behind \"from\""));
    }
    let sources = from.split(',').map(str::trim).filter(|net| !net.is_empty());
    Some(Listen { protocol, address, sources: sources.flat_map(|net| read_nets(net, "listen", section)).collect() })
}

/// A network, one address, or the networks of a name.
fn read_nets(text: &str, key: &str, section: &Section<'_>) -> Vec<IpNet> {
    networks::parse(text).unwrap_or_else(|why| {
        section.mistake(key, &why.to_string());
        vec![]
    })
}

fn read_targets(section: &Section<'_>) -> TransferTargets {
    let Some(texts) = section.texts("transfer_targets") else { return TransferTargets::default() };
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
    if let Some(login) = &login
        && (login.realm.contains(['"', '\\']) || login.user.is_empty() || login.password.expose().is_empty())
    {
        section.mistake("user", "user, password and realm must not be empty, and a realm has no quotes");
    }
    let message = |key: &str, default: &str| {
        let text = section.text(key).unwrap_or_else(|| default.to_owned());
        if text.len() > MESSAGE_MAX {
            section.mistake(key, &format!("is longer than {MESSAGE_MAX} characters"));
        }
        Some(text).filter(|text| !text.trim().is_empty())
    };
    let sources = section.texts("sources").unwrap_or_default();
    let tenant = TenantSip {
        login,
        sources: sources.iter().flat_map(|net| read_nets(net, "sources", section)).collect(),
        transfer_targets: read_targets(section),
        server_name: section.text("server_name"),
        invite_headers: section.texts("invite_headers").unwrap_or_default(),
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
    let target = tenant.failover.target.as_deref().unwrap_or("sip:nobody");
    if !["sip:", "sips:", "tel:"].iter().any(|scheme| target.starts_with(scheme)) || target.contains(['<', '>', ' ']) {
        section
            .mistake("failure_target", &format!("`{target}` is not a URI like \"sip:+18005550199@pbx.example.com\""));
    }
    section.finish();
    tenant
}
