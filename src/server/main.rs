//! The command line: `serve`, `check`, `calls`, `secrets`, `audit`, `operator`, `voices`, `test-connection`, `flow`, `demo`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use bellhop::cli::calls::Calls;
use bellhop::cli::flow::Flows;
use bellhop::cli::tenants::{AuditTrail, Operator, Secrets};
use bellhop::config::{Mistakes, Reading};
use bellhop::console::{self, Console, claim};
use bellhop::http::{self, Pages, Shared};
use bellhop::log;
use bellhop::signals::{self, Patience, Signals};
use bellhop::terminal;
use bellhop::tls_identity;
use bellhop::wiring::{self, Server};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
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
    /// Look after the secrets that are kept in the database.
    #[command(subcommand)]
    Secrets(Secrets),
    /// Look after the record of who changed what.
    #[command(subcommand)]
    Audit(AuditTrail),
    /// Say who runs the server.
    #[command(subcommand)]
    Operator(Operator),
    /// List the models and voices that a tenant's speech services offer.
    Voices(OfTenant),
    /// Tell whether Amazon Connect would let a tenant's hand-offs through, and what to do if not; nothing is written.
    TestConnection(OfTenant),
    /// Look at contact flows of Amazon Connect.
    #[command(subcommand)]
    Flow(Flows),
    /// What `voices` was called until this release.
    #[command(hide = true)]
    Offers(OfTenant),
    /// Place one real call to a server on embedded defaults, and keep serving.
    Demo(bellhop::demo::Options),
}

/// What is logged if RUST_LOG says nothing. Of requests that are none the library tells as errors: any stranger could fill the log.
const USUAL_LOG: &str = "info,actix_http::h1::dispatcher=off";

/// One tenant of a file.
#[derive(clap::Args)]
struct OfTenant {
    /// The configuration file.
    #[arg(long)]
    config: PathBuf,
    /// The tenant's name.
    #[arg(long)]
    tenant: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::try_parse().unwrap_or_else(|told| {
        // `--help` and `--version` are answers too.
        if let Err(error) = told.print()
            && !told.use_stderr()
        {
            terminal::lost(&error);
        }
        std::process::exit(told.exit_code())
    });
    let result = match arguments.command {
        Command::Serve { config } => {
            log::start(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(USUAL_LOG)));
            on_its_own(async move { serve(&config).await })
        }
        Command::Check { config } => check(&config),
        Command::Voices(of) => actix_rt::System::new().block_on(voices(&of)),
        Command::TestConnection(of) => {
            actix_rt::System::new().block_on(bellhop::cli::connection::test(&of.config, &of.tenant))
        }
        Command::Flow(command) => bellhop::cli::flow::run(&command),
        Command::Offers(of) => {
            eprintln!("`bellhop offers` is now called `bellhop voices`: the next release knows the new name alone");
            actix_rt::System::new().block_on(voices(&of))
        }
        Command::Calls(command) => actix_rt::System::new().block_on(bellhop::cli::calls::run(command)),
        Command::Secrets(command) => actix_rt::System::new().block_on(bellhop::cli::tenants::secrets(command)),
        Command::Audit(command) => actix_rt::System::new().block_on(bellhop::cli::tenants::audit(command)),
        Command::Operator(command) => actix_rt::System::new().block_on(bellhop::cli::tenants::operator(command)),
        Command::Demo(options) => {
            log::start(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error")));
            actix_rt::System::new().block_on(bellhop::demo::run(options))
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            match error.downcast_ref::<Mistakes>() {
                Some(mistakes) => {
                    let lines = mistakes.lines();
                    terminal::complain(&lines.join("\n"));
                    terminal::complain(&format!("bellhop: mistakes: {}; nothing was started", lines.len()));
                }
                None => terminal::complain(&format!("bellhop: {error:#}")),
            }
            ExitCode::FAILURE
        }
    }
}

/// Runs something as a task of its own. What `block_on` itself waits for is looked at whenever any task of the thread is woken.
fn on_its_own<T: 'static>(work: impl Future<Output = T> + 'static) -> T {
    let done = actix_rt::System::new().block_on(async { actix_rt::spawn(work).await });
    // Nobody aborts it.
    done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

fn check(path: &std::path::Path) -> anyhow::Result<()> {
    let config = wiring::check(Reading::of_file(path)?)?;
    let file = path.display();
    config.warnings().iter().for_each(|warning| terminal::print(&format!("{file}: warning: {warning}")));
    terminal::print(&format!("{file}: good: {} tenants", config.tenants.len()));
    Ok(())
}

async fn voices(of: &OfTenant) -> anyhow::Result<()> {
    for line in bellhop::cli::voices::list(&of.config, &of.tenant).await? {
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

/// A server that has no operator invites one: whoever can read what it prints, or the file, may be it.
async fn invite_first_operator(server: &Server, public_url: &str, configuration: &std::path::Path) {
    let link = match console::claim_link(server, public_url).await {
        Ok(Some(link)) => link,
        Ok(None) => return,
        Err(error) => {
            return tracing::error!(%error, "nobody can be invited to be the first operator: restart once the store answers");
        }
    };
    let told = format!("become the operator of this server, once and within 24 hours: {}", link.expose());
    // Not into the log; and whoever reads no further ends no server.
    let _ = writeln!(std::io::stdout(), "{told}");
    let folder = configuration.parent().filter(|folder| !folder.as_os_str().is_empty());
    match claim::keep(&link, folder.unwrap_or(std::path::Path::new("."))) {
        Ok(file) => tracing::info!(file = %file.display(), "the link by which somebody becomes operator is in a file"),
        Err(error) => {
            tracing::warn!(%error, "the link by which somebody becomes operator was printed, and is in no file")
        }
    }
}

async fn serve(path: &std::path::Path) -> anyhow::Result<()> {
    raise_descriptor_limit();
    let reading = Reading::of_file(path)?;
    // Models take a moment to load and packages may be missing: off this thread, and before any socket.
    let prepared = tokio::task::spawn_blocking(move || wiring::prepare(reading)).await??;
    prepared.config.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
    let pages = prepared.config.http.clone();
    let page = http::bind("http.listen", pages.listen)?;
    let operations = prepared.config.operations.listen.map(|(key, address)| http::bind(key, address)).transpose()?;
    let with_metrics = operations.is_none() && !prepared.config.hides_metrics();
    let tls = pages.tls.as_ref().map(tls_identity::serve).transpose()?;
    let tenants = prepared.config.tenants.len();
    let metrics = http::install_metrics()?;
    let mut signals = Signals::listen()?;
    let hang_up = signal(SignalKind::hangup())?;
    let server = tokio::select! {
        started = Server::start(prepared, None, metrics.clone()) => Arc::new(started?),
        // There is no call yet.
        _ = signals.wish() => return Ok(()),
    };
    let public_url = pages.public_url.as_str();
    let console = Some(Console::of(&server, &pages)?);
    invite_first_operator(&server, public_url, path).await;
    let shared = Shared { server: Arc::clone(&server), metrics, console };
    let (address, metrics_address) = http::serve(Pages { listener: page, tls, with_metrics }, operations, shared)?;
    for listen in &server.sip {
        tracing::info!(transport = listen.protocol.label(), address = %listen.address, "SIP is heard");
    }
    if let Some(address) = metrics_address {
        tracing::info!(%address, "metrics are told");
    }
    tracing::info!(%address, public_url, tenants, skipped = server.skipped().len(), "serving");
    actix_rt::spawn(wiring::reload_on_hang_up(Arc::clone(&server), path.to_owned(), hang_up));
    actix_rt::spawn(wiring::follow_store(Arc::clone(&server)));
    Ok(signals::serve(&server, &mut signals, Patience::Drain).await?)
}
