//! HTTP: one file per resource.
//!
//! Invariant: nothing here is cached, and a page never tells more than its key opens.

pub mod agent_page;
pub mod health;
mod page_words;

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::web::Data;
use actix_web::{App, HttpServer};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::wiring::Server;

/// What every resource may use.
#[derive(Clone)]
pub struct Shared {
    /// The running server.
    pub server: Arc<Server>,
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
}

/// Installs the recorder of all metrics; once per process.
pub fn install_metrics() -> anyhow::Result<PrometheusHandle> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &bellhop_actors::metrics::BUCKETS)?
        .set_buckets_for_metric(Matcher::Suffix("_ratio".to_owned()), &bellhop_actors::metrics::RATIO_BUCKETS)?
        .set_buckets_for_metric(Matcher::Suffix("_score".to_owned()), &bellhop_actors::metrics::SCORE_BUCKETS)?;
    Ok(builder.install_recorder()?)
}

/// Binds and serves; returns where. The error names the address.
pub fn serve(listen: SocketAddr, shared: Shared) -> anyhow::Result<SocketAddr> {
    let data = Data::new(shared.clone());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(data.clone())
            .service(health::healthz)
            .service(health::readyz)
            .service(health::metrics)
            .service(agent_page::agent_page)
            .service(agent_page::load_agent_app)
    })
    .workers(1)
    .disable_signals()
    .bind(listen)
    .map_err(|error| anyhow::anyhow!("http.listen: {listen} cannot be bound: {error}"))?;
    let bound = server.addrs().first().copied().unwrap_or(listen);
    actix_rt::spawn(server.run());
    actix_rt::spawn(async move {
        loop {
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            shared.metrics.run_upkeep();
        }
    });
    Ok(bound)
}
