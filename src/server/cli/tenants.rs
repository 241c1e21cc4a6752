//! `bellhop secrets`, `bellhop audit` and `bellhop operator`: what is done with the store of tenants beside the server, which may be serving.
//!
//! Invariant: nothing of a secret is printed but the link of an invitation; the exit code tells what the text does.

use std::path::{Path, PathBuf};

use anyhow::bail;
use bellhop_console::sign_in::claim;
use bellhop_tenancy::access::{Author, SignedIn};
use bellhop_tenancy::store::Audit;
use clap::Subcommand;

use crate::config::{Config, Mistakes, Reading};
use crate::console;
use crate::terminal::print;
use crate::wiring::store;

/// `bellhop secrets …`
#[derive(Debug, Subcommand)]
pub enum Secrets {
    /// Open every secret of the database, and say which do not open.
    Check {
        /// The server's configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Wrap the keys of all tenants under `storage.master_key` that are wrapped under `storage.previous_master_key`.
    Rotate {
        /// The server's configuration file.
        #[arg(long)]
        config: PathBuf,
    },
}

/// `bellhop audit …`
#[derive(Debug, Subcommand)]
pub enum AuditTrail {
    /// Read the whole audit, and say whether a line was changed or is missing.
    Verify {
        /// The server's configuration file.
        #[arg(long)]
        config: PathBuf,
    },
}

/// `bellhop operator …`
#[derive(Debug, Subcommand)]
pub enum Operator {
    /// Print a link by which somebody becomes operator, once and within 24 hours.
    Invite {
        /// The server's configuration file.
        #[arg(long)]
        config: PathBuf,
        /// The login that is proposed.
        #[arg(long, default_value = "operator")]
        login: String,
    },
}

/// The server's part of a configuration; mistakes of tenants are nobody's concern here.
fn read(path: &Path) -> anyhow::Result<Config> {
    let Reading { config, mistakes } = Reading::of_file(path)?;
    let of_server: Mistakes = mistakes.into_iter().filter(|mistake| mistake.tenant().is_none()).collect();
    Ok(of_server.or(config)?)
}

fn author() -> Author {
    Author { signed_in: SignedIn::on_this_machine("command line"), from: "this machine".to_owned() }
}

/// Does it.
pub async fn secrets(command: Secrets) -> anyhow::Result<()> {
    match command {
        Secrets::Check { config } => {
            let store = store::open_tenants(&read(&config)?.storage).await?;
            let (opened, unopened) = store.check_secrets(&author()).await?;
            for secret in &unopened {
                print(&format!("{}: {} of {}: {}", secret.tenant, secret.path, secret.owner, secret.why));
            }
            print(&format!("secrets that open: {opened}, that do not: {}", unopened.len()));
            if unopened.is_empty() { Ok(()) } else { bail!("what does not open has to be set again, or its key found") }
        }
        Secrets::Rotate { config } => {
            let store = store::open_tenants(&read(&config)?.storage).await?;
            let (rotated, left) = store.rotate(&author()).await?;
            left.iter().for_each(|left| print(&format!("{}: {}", left.tenant, left.why)));
            print(&format!("keys of tenants wrapped anew: {rotated}, left as they were: {}", left.len()));
            match left.is_empty() {
                true => Ok(()),
                false => bail!("keep storage.previous_master_key until none is left"),
            }
        }
    }
}

/// Does it.
pub async fn audit(command: AuditTrail) -> anyhow::Result<()> {
    let AuditTrail::Verify { config } = command;
    let store = store::open_tenants(&read(&config)?.storage).await?;
    match store.verify().await? {
        Ok(lines) => print(&format!("lines that are as they were written: {lines}")),
        Err(broken) => bail!("{broken}"),
    }
    Ok(())
}

/// Does it.
pub async fn operator(command: Operator) -> anyhow::Result<()> {
    let Operator::Invite { config, login } = command;
    let config = read(&config)?;
    let store = store::open_tenants(&config.storage).await?;
    let link = console::new_link(&config.http.public_url);
    let link = claim::invite_operator(&store, link, &login, console::unix_now_ms()).await?;
    print(link.expose());
    Ok(())
}
