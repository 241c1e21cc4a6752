//! HTTP: one file per resource.
//!
//! Invariant: nothing here is cached, and a page never tells more than its key opens. Every resource answers GET and HEAD,
//! and 405 with `Allow` to what else it is asked (RFC 9110 sections 9.1 and 15.5.6).

pub mod agent_page;
pub mod health;
mod page_words;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::http::header::ALLOW;
use actix_web::web::{self, Data};
use actix_web::{App, FromRequest, Handler, HttpResponse, HttpServer, Resource, Responder};

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
        Ok(listener)
    });
    listener.map_err(|error| CannotBind { key, address, error })
}

/// A port is taken or not ours.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {address} cannot be bound: {error}")]
pub struct CannotBind {
    key: &'static str,
    address: SocketAddr,
    error: std::io::Error,
}

/// Serves on ports that are bound; returns where the pages are, and where the metrics if they are apart.
pub fn serve(
    pages: TcpListener,
    metrics: Option<TcpListener>,
    shared: Shared,
) -> std::io::Result<(SocketAddr, Option<SocketAddr>)> {
    let address = pages.local_addr()?;
    let apart = metrics.as_ref().map(TcpListener::local_addr).transpose()?;
    let (data, beside, console) = (Data::new(shared.clone()), metrics.is_none(), shared.console.clone());
    let server = HttpServer::new(move || {
        let app = App::new()
            .app_data(data.clone())
            .service(resource("/healthz", health::healthz))
            .service(resource("/readyz", health::readyz))
            .service(resource("/loadAgentAppFrame.html", agent_page::agent_page))
            .service(resource("/loadAgentApp.js", agent_page::load_agent_app));
        let app = app.configure(|config| {
            if let Some(console) = &console {
                console.configure(config);
            }
        });
        if beside { app.service(resource("/metrics", health::metrics)) } else { app }
    });
    actix_rt::spawn(server.workers(1).disable_signals().listen(pages)?.run());
    if let Some(listener) = metrics {
        let data = Data::new(shared.clone());
        let server = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .service(resource("/healthz", health::healthz))
                .service(resource("/metrics", health::metrics))
        });
        actix_rt::spawn(server.workers(1).disable_signals().listen(listener)?.run());
    }
    actix_rt::spawn(async move {
        loop {
            tokio::time::sleep(METRICS_TIDIED_EVERY).await;
            shared.metrics.run_upkeep();
        }
    });
    Ok((address, apart))
}

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
