//! `bellhop flow check`: everything that is wrong with a contact flow, before Amazon Connect refuses it or a caller is lost by it.
//!
//! Invariant: what is read is bounded, whatever the file is; the exit code tells whether there is a problem, advice is none.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use bellhop_connect::flow::check::Level;
use bellhop_connect::flow::{self, FLOW_BYTES_MAX, Known};
use clap::Subcommand;

use crate::terminal::print;

/// `bellhop flow …`
#[derive(Debug, Subcommand)]
pub enum Flows {
    /// Tell everything that is wrong with a contact flow: one line each, and 1 as exit code if something is a problem.
    Check {
        /// The file, as it was exported or as it is to be imported; `-` reads what comes in.
        file: PathBuf,
        /// The server's configuration file: what the flow names is held against what a tenant says there.
        #[arg(long, requires = "tenant")]
        config: Option<PathBuf>,
        /// The tenant's name.
        #[arg(long, requires = "config")]
        tenant: Option<String>,
    },
}

/// Does what a command says.
pub fn run(command: &Flows) -> anyhow::Result<()> {
    let Flows::Check { file, config, tenant } = command;
    let known = match config.as_deref().zip(tenant.as_deref()) {
        Some((config, tenant)) => known(config, tenant)?,
        None => Known::default(),
    };
    let text = read(file)?;
    let flow = flow::read(&text).with_context(|| file.display().to_string())?;
    let findings = flow::validate(&flow, &known);
    for finding in &findings {
        print(&finding.to_string());
    }
    let problems = findings.iter().filter(|finding| finding.level == Level::Problem).count();
    if problems > 0 {
        bail!("{}: problems: {problems}", file.display());
    }
    print(&format!("{}: good: {} blocks", file.display(), flow.actions.len()));
    Ok(())
}

fn known(config: &Path, tenant: &str) -> anyhow::Result<Known> {
    let (config, index) = super::of_tenant(config, tenant)?;
    let connect = config.tenants[index].settings.connect.as_ref();
    let instance = connect.map(|connect| connect.instance_arn.parse()).transpose()?;
    Ok(Known { instance, screen_pop_url: Some(flow::screen_pop_url(&config.http.public_url)) })
}

/// The text of a file, up to one byte more than a flow may have: reading tells the rest.
fn read(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let most = FLOW_BYTES_MAX as u64 + 1;
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().lock().take(most).read_to_string(&mut text),
        false => File::open(file).and_then(|opened| opened.take(most).read_to_string(&mut text)),
    };
    read.with_context(|| format!("{} cannot be read", file.display()))?;
    Ok(text)
}
