//! What a node that runs judges of a tenant's settings beside their document: its listeners, who it is at AWS, where a transfer
//! may go.
//!
//! Invariant: a mistake has the words that the configuration's file is told it in.

use bellhop_adapters::reach::Reach;
use bellhop_tenancy::settings::{Mistake, NamedUrl, TenantSettings};

use super::targets;
use crate::config::{Aws, Config, Listeners, Sip, need_tls, reach};
use crate::engines::mistakes_of_scripts;

/// What tenants are judged by that only a restart changes.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) sip: Sip,
    /// Who the node is there.
    pub(crate) aws: Aws,
    /// How far the URLs of tenants of the database may lead.
    pub(crate) reach: Reach,
}

impl Running {
    /// Of a node that was started with this.
    pub(crate) fn of(started: &Config) -> Self {
        Self { sip: started.sip.clone(), aws: started.aws.clone(), reach: reach(started.egress.private_networks) }
    }

    /// Every mistake of a tenant of the database, by its path in the document.
    pub(crate) fn judge(&self, settings: &TenantSettings) -> Vec<Mistake> {
        let mut mistakes = targets::mistakes(settings, &self.aws);
        mistakes.extend(need_tls(settings, Listeners::Running(&self.sip)));
        mistakes.extend(mistakes_of_scripts(settings));
        mistakes.extend(out_of_reach(settings, self.reach));
        mistakes
    }
}

/// The URLs that hold an address which is out of reach.
pub(crate) fn out_of_reach(settings: &TenantSettings, reach: Reach) -> impl Iterator<Item = Mistake> {
    settings.urls.iter().filter_map(move |NamedUrl { path, url }| {
        let why = reach.refuses(url)?;
        Some(Mistake::of_value(path.clone(), format!("`{url}`: {why} (egress.private_networks)")))
    })
}
