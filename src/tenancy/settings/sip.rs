//! `sip`: who may call, where callers may be transferred to, and what they are told when that fails.

use ipnet::IpNet;

use super::section::Section;
use crate::host_name::is_host_name;
use crate::integration::{Failover, HoldOnTransfer, Login};
use crate::networks;
use crate::transfer_targets::TransferTargets;

/// Spoken when a call fails where no contact flow takes over.
const FAILURE_MESSAGE: &str = "Call being transferred to an agent due to a technical problem. Good bye.";
/// Spoken when a transfer fails.
const TRANSFER_FAILURE_MESSAGE: &str = "Call transfer to an agent failed. Please try again later. Good bye.";
/// The longest message (vendor's limit).
const MESSAGE_MAX: usize = 150;

/// What a tenant wants of SIP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SipSettings {
    /// `user`, `password`, `realm`
    pub login: Option<Login>,
    /// `sources`
    pub sources: Vec<IpNet>,
    /// `transfer_targets`
    pub transfer_targets: TransferTargets,
    /// `server_name`
    pub server_name: Option<String>,
    /// `invite_headers`
    pub invite_headers: Vec<String>,
    /// `hold_on_transfer`
    pub hold: HoldOnTransfer,
    /// `transfer_failure_message`; none for silence.
    pub transfer_failure_message: Option<String>,
    /// `failure_message` and `failure_target`: for tenants without `connect`.
    pub failover: Failover,
}

/// A network, one address, or the networks of a name.
fn nets(text: &str) -> Result<Vec<IpNet>, String> {
    networks::parse(text).map_err(|why| why.to_string())
}

/// RFC 3261 section 25.1: a token.
pub(super) fn header_name(text: &str) -> Result<String, String> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b);
    if text.bytes().all(token) { Ok(text.to_owned()) } else { Err(format!("`{text}` is not a header's name")) }
}

pub(super) fn read(section: &Section<'_>) -> SipSettings {
    let message = |key: &str, default: &str| {
        let text = section.message(key, MESSAGE_MAX).unwrap_or_else(|| default.to_owned());
        Some(text).filter(|text| !text.trim().is_empty())
    };
    let settings = SipSettings {
        login: read_login(section),
        sources: section.list("sources", nets).unwrap_or_default().concat(),
        transfer_targets: read_targets(section),
        server_name: section.text("server_name").filter(|name| is_host(section, name)),
        invite_headers: section.list("invite_headers", header_name).unwrap_or_default(),
        hold: match section.flag("hold_on_transfer") {
            Some(false) => HoldOnTransfer::Leave,
            Some(true) | None => HoldOnTransfer::Hold,
        },
        transfer_failure_message: message("transfer_failure_message", TRANSFER_FAILURE_MESSAGE),
        failover: Failover {
            message: message("failure_message", FAILURE_MESSAGE),
            target: read_failure_target(section),
        },
    };
    section.finish();
    settings
}

/// What it is else is judged by who refers callers to it.
fn read_failure_target(section: &Section<'_>) -> Option<String> {
    let target = section.text("failure_target")?;
    // RFC 3261 section 19.1.1 advises against it, and this goes in clear text to the caller's side.
    let user = target.split_once(':').and_then(|(_, rest)| rest.split_once('@')).map_or("", |(user, _)| user);
    if user.contains(':') {
        section.mistake("failure_target", "names a password, which would be shown and sent to the caller's side");
        return None;
    }
    Some(target)
}

fn read_login(section: &Section<'_>) -> Option<Login> {
    // A user that is badly said is one all the same: what belongs to it is read.
    let with_user = section.has("user").then(|| {
        let realm = section.text("realm").unwrap_or_else(|| "bellhop".to_owned());
        (section.text("user"), realm, section.secret("password"))
    });
    let login = with_user.and_then(|(user, realm, password)| Some(Login { realm, user: user?, password }));
    if login.as_ref().is_some_and(|login| login.realm.contains(['"', '\\'])) {
        section.mistake("realm", "has quotes or backslashes");
    }
    if login.is_none() && !section.has("user") {
        for key in ["password", "realm"].into_iter().filter(|key| section.has(key)) {
            section.mistake(key, "belongs to a `user`, and there is none");
            section.text_or_silence(key);
        }
    }
    login
}

/// An empty list is a list here: nobody is transferred anywhere.
fn read_targets(section: &Section<'_>) -> TransferTargets {
    let Some(texts) = section.texts_or_none("transfer_targets") else { return TransferTargets::default() };
    TransferTargets::parse(&texts).unwrap_or_else(|why| {
        section.mistake("transfer_targets", &why.to_string());
        TransferTargets::default()
    })
}

/// A name that nobody can ask for would turn every call away.
fn is_host(section: &Section<'_>, name: &str) -> bool {
    let is_one = is_host_name(name);
    if !is_one {
        section.mistake("server_name", &format!("`{name}` is not a host name like \"acme.sip.example.com\""));
    }
    is_one
}
