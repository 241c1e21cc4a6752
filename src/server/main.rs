//! The command line: `serve`, `check`, `calls`, `demo`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use bellhop::calls::Calls;
use bellhop::config::Config;
use bellhop::http::{self, Shared};
use bellhop::signals::{self, Patience, Signals};
use bellhop::terminal;
use bellhop::wiring::{self, Server};
use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Answers the phone for an AI assistant, and carries the caller and the conversation to an agent in Amazon Connect.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve calls until SIGTERM, then let them finish.
    Serve {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Tell every mistake of a configuration file, and start nothing.
    Check {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// See what calls are doing, and what became of them.
    #[command(subcommand)]
    Calls(Calls),
    /// List the models and voices that a tenant's speech services offer.
    Offers {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// The tenant's name.
        #[arg(long)]
        tenant: String,
    },
    /// Place one real call to a server on embedded defaults, and keep serving.
    Demo {
        /// Exit after the call: 0 only if the caller reached the agent's queue with the conversation.
        #[arg(long)]
        once: bool,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Serve { config } => {
            log(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")));
            actix_rt::System::new().block_on(serve(&config))
        }
        Command::Check { config } => check(&config),
        Command::Offers { config, tenant } => actix_rt::System::new().block_on(offers(&config, &tenant)),
        Command::Calls(command) => actix_rt::System::new().block_on(bellhop::calls::run(command)),
        Command::Demo { once } => {
            log(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error")));
            actix_rt::System::new().block_on(bellhop::demo::run(once))
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::complain(&format!("bellhop: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// JSON lines on standard error.
fn log(filter: EnvFilter) {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .with_writer(|| terminal::PrintableLog)
        .init();
}

fn check(path: &std::path::Path) -> anyhow::Result<()> {
    let config = Config::read(path)?;
    wiring::check(&config, path)?;
    let file = path.display();
    config.warnings().iter().for_each(|warning| terminal::print(&format!("{file}: warning: {warning}")));
    terminal::print(&format!("{file}: good: {} tenants", config.tenants.len()));
    Ok(())
}

async fn offers(config: &std::path::Path, tenant: &str) -> anyhow::Result<()> {
    for line in bellhop::offers::list(config, tenant).await? {
        terminal::print(&line);
    }
    Ok(())
}

/// A call takes a descriptor: the soft limit of most shells is far below what the hard one allows.
fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

async fn serve(path: &std::path::Path) -> anyhow::Result<()> {
    raise_descriptor_limit();
    let config = Config::read(path)?;
    config.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
    let metrics = http::install_metrics()?;
    let mut signals = Signals::listen()?;
    let server = Arc::new(Server::start(&config, path, None).await?);
    let address = http::serve(config.http.listen, Shared { server: Arc::clone(&server), metrics })?;
    for listen in &server.sip {
        tracing::info!(transport = listen.protocol.label(), address = %listen.address, "SIP is heard");
    }
    tracing::info!(%address, public_url = config.http.public_url, tenants = config.tenants.len(), "serving");
    Ok(signals::serve(&server, &mut signals, Patience::Drain).await?)
}
