//! `bellhop test-connection`: whether a tenant's hand-offs would be let through, and what to do if not.
//!
//! Invariant: nothing is written to any contact, and the exit code tells what the text does.

use std::path::Path;

use anyhow::{Context, bail};
use bellhop_adapters::reach::Reach;
use bellhop_amazon_connect::{Limiters, Tester};
use bellhop_connect::ports::ConnectionTester;

use crate::engines::Whose;
use crate::terminal::print;
use crate::wiring::connection;

/// Tests it, and prints what was asked and what came of it.
pub async fn test(path: &Path, tenant: &str) -> anyhow::Result<()> {
    let (config, index) = super::of_tenant(path, tenant)?;
    let settings = &config.tenants[index].settings;
    // What keeps it from being one was told with the reading.
    let opened = connection(Whose { settings, reach: Reach::Everywhere }, &config.aws);
    let Some(connection) = opened.ok().context("the connection has mistakes")? else {
        bail!("{tenant} has no section `connect`: its calls do not come from Amazon Connect");
    };
    let report = Tester::new(&Limiters::default()).test(connection).await;
    for request in &report.requests {
        let took = request.took.as_secs_f64() * 1000.0;
        print(&format!("{:<24} {:<40} {took:>7.1} ms", request.action.to_string(), request.answered));
    }
    print(&format!("{tenant}: {}", report.outcome));
    let Some(remedy) = report.outcome.remedy() else { return Ok(()) };
    print(&remedy);
    bail!("{tenant}: hand-offs would end in a BYE without attribute")
}
