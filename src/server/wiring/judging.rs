//! What a node that runs judges of a tenant's settings beside their document: its listeners, who it is at AWS, where a transfer
//! may go.
//!
//! Invariant: a mistake has the words that the configuration's file is told it in.

use bellhop_tenancy::settings::{Mistake, TenantSettings};

use super::targets;
use crate::config::{Aws, Config, lack_of_tls, need_tls};
use crate::engines::mistakes_of_scripts;

/// What settings are judged by that only a restart changes.
#[derive(Debug, Clone)]
pub(crate) struct Bench {
    aws: Aws,
    lack_of_tls: Option<&'static str>,
}

impl Bench {
    /// Of a node that was started with this.
    pub(crate) fn of(started: &Config) -> Self {
        Self { aws: started.aws.clone(), lack_of_tls: lack_of_tls(&started.sip, true) }
    }

    /// Who the node is at AWS.
    pub(crate) fn aws(&self) -> &Aws {
        &self.aws
    }

    /// Every mistake, by its path in the document.
    pub(crate) fn judge(&self, settings: &TenantSettings) -> Vec<Mistake> {
        let mut mistakes = targets::mistakes(settings, &self.aws);
        mistakes.extend(need_tls(settings, self.lack_of_tls));
        mistakes.extend(mistakes_of_scripts(settings));
        mistakes
    }
}
