//! What the commands of the program do beside `serve`.

pub mod calls;
pub mod connection;
pub mod flow;
pub mod tenants;
pub mod voices;

use std::path::Path;

use anyhow::bail;

use crate::config::{Config, Reading};
use crate::wiring::judge;

/// A file without mistakes, and which of its tenants has this name.
fn of_tenant(path: &Path, tenant: &str) -> anyhow::Result<(Config, usize)> {
    let Reading { config, mut mistakes } = Reading::of_file(path)?;
    mistakes.extend(judge(&config));
    let config = mistakes.or(config)?;
    let Some(found) = config.tenants.iter().position(|one| one.settings.name == tenant) else {
        let names: Vec<&str> = config.tenants.iter().map(|one| one.settings.name.as_str()).collect();
        bail!("there is no tenant `{tenant}`: {}", names.join(", "));
    };
    Ok((config, found))
}
