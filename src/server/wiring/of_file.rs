//! Tenants of the configuration's file for who may look at them: those that are served, and those that are not for their mistakes.

use std::collections::BTreeSet;
use std::sync::Arc;

use bellhop_console::ports::{File, FileIntegration, FileTenant};
use bellhop_tenancy::settings::{TenantSettings, Written};

use super::tenants::{Current, Origin, Served};

/// What the file says by now.
pub(crate) struct OfFile(pub(super) Arc<Current>);

impl File for OfFile {
    fn tenants(&self) -> Vec<FileTenant> {
        let everybody = self.0.everybody();
        let served = everybody.directory.all().iter().filter(|served| served.origin == Origin::File);
        let served = served.map(|served| FileTenant {
            name: served.settings.name.clone(),
            integration: Some(Arc::clone(served) as Arc<dyn FileIntegration>),
            is_taken: false,
        });
        let skipped = everybody.skipped.iter().map(|(name, _)| FileTenant {
            name: name.clone(),
            integration: None,
            is_taken: everybody.taken.contains(&name.to_ascii_lowercase()),
        });
        // A name that stands twice is one tenant's: of the one that is served, if one is.
        let mut known = BTreeSet::new();
        served.chain(skipped).filter(|tenant| known.insert(tenant.name.to_ascii_lowercase())).collect()
    }
}

impl FileIntegration for Served {
    fn written(&self) -> &Written {
        &self.written
    }

    fn settings(&self) -> &TenantSettings {
        &self.settings
    }
}
