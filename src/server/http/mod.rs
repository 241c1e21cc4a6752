//! HTTP: one file per resource.
//!
//! Invariant: nothing here is cached, and a page never tells more than its key opens. Every resource answers GET and HEAD, or
//! takes a form, and answers 405 with `Allow` to what else it is asked (RFC 9110 sections 9.1 and 15.5.6).

pub mod agent_page;
pub mod health;
mod page_words;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::http::header::ALLOW;
use actix_web::web::{self, Data};
use actix_web::{App, FromRequest, Handler, HttpResponse, HttpServer, Resource, Responder};

use bellhop_actors::signalling::tls::TlsIdentity;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::TcpUserTimeout;
use rustls::ServerConfig;

use crate::console::Console;
use crate::series::Series;
use crate::wiring::Server;

/// What every resource may use.
#[derive(Clone)]
pub struct Shared {
    /// The running server.
    pub server: Arc<Server>,
    /// The series of all metrics.
    pub metrics: Series,
    /// REST and the sign-in, if they are served.
    pub console: Option<Console>,
}

/// Installs the recorder of all metrics; once per process.
pub fn install_metrics() -> anyhow::Result<Series> {
    let series = Series::new()?;
    metrics::set_global_recorder(series.clone())?;
    Ok(series)
}

/// Takes a port, so that a taken one is told before anything lives; `key` is what the configuration calls it.
pub fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, CannotBind> {
    let listener = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        // Connections have it of their listener. Whoever asks and asks, and never reads, holds one no longer than this.
        setsockopt(&listener, TcpUserTimeout, &READ_WITHIN_MS)?;
        Ok(listener)
    });
    listener.map_err(|error| CannotBind { key, address, error })
}

/// The longest that a client may read nothing of what it is sent, in milliseconds (RFC 5482).
const READ_WITHIN_MS: u32 = 30_000;

/// A port is taken or not ours.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {address} cannot be bound: {error}")]
pub struct CannotBind {
    key: &'static str,
    address: SocketAddr,
    error: std::io::Error,
}

/// Where pages, REST and the agent's page are served, and how.
pub struct Pages {
    /// The port.
    pub listener: TcpListener,
    /// `[http.tls]`
    pub tls: Option<Arc<TlsIdentity>>,
    /// Whether metrics are told there too.
    pub with_metrics: bool,
}

/// Serves on ports that are bound; returns where the pages are, and where health and metrics if they are apart.
pub fn serve(
    pages: Pages,
    operations: Option<TcpListener>,
    shared: Shared,
) -> std::io::Result<(SocketAddr, Option<SocketAddr>)> {
    let address = pages.listener.local_addr()?;
    let apart = operations.as_ref().map(TcpListener::local_addr).transpose()?;
    let (data, with_metrics, console) = (Data::new(shared.clone()), pages.with_metrics, shared.console.clone());
    let server = HttpServer::new(move || {
        let app = App::new()
            .app_data(data.clone())
            .service(resource("/healthz", health::healthz))
            .service(resource("/loadAgentAppFrame.html", agent_page::agent_page))
            .service(resource("/loadAgentApp.js", agent_page::load_agent_app));
        let app = app.configure(|config| {
            if let Some(console) = &console {
                console.configure(config);
                config.service(form("/loadAgentAppSignIn", agent_page::signs_in));
                config.service(form("/loadAgentAppSignOut", agent_page::signs_out));
            }
        });
        if with_metrics {
            app.service(resource("/readyz", health::readyz)).service(resource("/metrics", health::metrics))
        } else {
            app.service(resource("/readyz", health::readyz_without_names))
        }
    });
    let server = server.workers(1).max_connections(CONNECTIONS_MAX).disable_signals();
    let server = match &pages.tls {
        Some(identity) => server.listen_rustls_0_23(pages.listener, tls_of(identity)?)?,
        None => server.listen(pages.listener)?,
    };
    actix_rt::spawn(server.run());
    if let Some(listener) = operations {
        let data = Data::new(shared.clone());
        let server = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .service(resource("/healthz", health::healthz))
                .service(resource("/readyz", health::readyz))
                .service(resource("/metrics", health::metrics))
        });
        actix_rt::spawn(server.workers(1).max_connections(CONNECTIONS_MAX).disable_signals().listen(listener)?.run());
    }
    actix_rt::spawn(async move {
        loop {
            tokio::time::sleep(METRICS_TIDIED_EVERY).await;
            shared.metrics.run_upkeep();
            shared.server.live().tidy();
        }
    });
    Ok((address, apart))
}

/// TLS 1.2 and 1.3 with the certificate as it is at the time of each handshake.
fn tls_of(identity: &Arc<TlsIdentity>) -> std::io::Result<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = versions.map_err(std::io::Error::other)?.with_no_client_auth();
    Ok(config.with_cert_resolver(identity.certificates()))
}

/// Connections of one listener at once: others wait to be taken.
const CONNECTIONS_MAX: usize = 2_000;
/// How often what histograms gathered is put into their buckets.
const METRICS_TIDIED_EVERY: std::time::Duration = std::time::Duration::from_secs(5);

/// A resource that may be read.
fn resource<F, Args>(path: &str, read: F) -> Resource
where
    F: Handler<Args> + Clone,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::resource(path).route(web::get().to(read.clone())).route(web::head().to(read)).default_service(web::to(
        || async { HttpResponse::MethodNotAllowed().insert_header((ALLOW, "GET, HEAD")).finish() },
    ))
}

/// A resource that takes a form.
fn form<F, Args>(path: &str, send: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::resource(path)
        .route(web::post().to(send))
        .default_service(web::to(|| async { HttpResponse::MethodNotAllowed().insert_header((ALLOW, "POST")).finish() }))
}

#[cfg(test)]
mod tests {
    use nix::sys::socket::getsockopt;

    use super::*;

    #[test]
    fn a_connection_is_not_held_by_who_never_reads() {
        let listener = bind("http.listen", SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        listener.set_nonblocking(false).expect("a socket");
        let client = std::net::TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
        let (connection, _) = listener.accept().expect("a client");
        assert_eq!(getsockopt(&connection, TcpUserTimeout).expect("known"), READ_WITHIN_MS);
        drop(client);
    }
}
