//! What a good file says that its author may not have meant.
//!
//! Invariant: a warning stops nothing; `check` prints each, `serve` logs each.

use std::net::IpAddr;

use bellhop_actors::signalling::transport::{Listen, Protocol};
use bellhop_tenancy::networks::restricts;
use bellhop_tenancy::settings::SipSettings;

use crate::config::{Config, Sip, Tenant};
use crate::tls_identity;

/// What is said where metrics are told nowhere.
const HIDDEN_METRICS: &str = "http.listen: others than this machine reach it, so /metrics, which names tenants, is not there: name a listener for it in operations.listen";

/// What is said where whoever reaches this machine reads them.
const OPEN_METRICS: &str = "operations.listen: an address that is not private, and /metrics, which names tenants, asks nobody who they are: keep strangers from that port, or name a private address";

impl Config {
    /// Every warning: key, what is so, and what to do.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings_heard_by(&self.sip)
    }

    /// The same where SIP is heard by other listeners than the file's.
    pub(crate) fn warnings_heard_by(&self, sip: &Sip) -> Vec<String> {
        let files = sip.tls.iter().chain(&self.http.tls).flat_map(tls_identity::warnings);
        let hidden = self.hides_metrics().then(|| HIDDEN_METRICS.to_owned());
        let open = self.tells_everybody_metrics().then(|| OPEN_METRICS.to_owned());
        files.chain(hidden).chain(open).chain(self.open_tenants(sip)).chain(self.deprecated.iter().cloned()).collect()
    }

    /// Metrics name tenants: they are nothing for a listener that everybody reaches.
    pub fn hides_metrics(&self) -> bool {
        self.operations.listen.is_none() && !self.http.listen.ip().to_canonical().is_loopback()
    }

    fn tells_everybody_metrics(&self) -> bool {
        self.operations.listen.is_some_and(|(_, listen)| match listen.ip().to_canonical() {
            IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_private() && !ip.is_link_local(),
            IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unique_local() && !ip.is_unicast_link_local(),
        })
    }

    fn open_tenants(&self, sip: &Sip) -> Vec<String> {
        let open = |tenant: &&Tenant| tenant.settings.connect.is_some() && anybody_may_call(&tenant.settings.sip);
        let Some(listener) = sip.listen.iter().find(|listen| is_open(sip, listen)) else { return vec![] };
        let warn = |tenant: &Tenant| {
            format!(
                "tenant `{}`: anybody can call it over {}:{}, so its calls are served without their contact and no hand-off is possible: list networks in `sip.listen` (\"… from aws-chime-voice-connector:us-east-1\") or in `tenants.sip.sources`, or ask for a login or a client certificate",
                tenant.settings.name,
                listener.protocol.label(),
                listener.address,
            )
        };
        self.tenants.iter().filter(open).map(warn).collect()
    }
}

/// Whether strangers are heard there.
fn is_open(sip: &Sip, listen: &Listen) -> bool {
    let certified = listen.protocol == Protocol::Tls && sip.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    !certified && !restricted(&listen.sources)
}

fn anybody_may_call(sip: &SipSettings) -> bool {
    sip.login.is_none() && !restricted(&sip.sources)
}

/// Whether a list keeps strangers out: it is there, and no entry is nearly everybody.
fn restricted(networks: &[ipnet::IpNet]) -> bool {
    !networks.is_empty() && networks.iter().all(restricts)
}
