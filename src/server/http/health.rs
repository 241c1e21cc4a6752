//! `/healthz`: the process lives. `/readyz`: it takes calls (and which tenants it was let to skip, and whether
//! its database is away). `/metrics`: what it does.

use std::sync::atomic::Ordering;

use actix_web::web::Data;
use actix_web::{HttpResponse, Responder};

use super::Shared;

pub(super) async fn healthz() -> impl Responder {
    HttpResponse::Ok().content_type("text/plain").body("ok\n")
}

/// Where metrics are told, which name tenants too.
pub(super) async fn readyz(shared: Data<Shared>) -> impl Responder {
    ready(&shared, Names::Told).await
}

/// Where strangers ask.
pub(super) async fn readyz_without_names(shared: Data<Shared>) -> impl Responder {
    ready(&shared, Names::Hidden).await
}

/// Whether tenants are named.
#[derive(Clone, Copy)]
enum Names {
    Told,
    Hidden,
}

async fn ready(shared: &Shared, names: Names) -> HttpResponse {
    let mut reasons = vec![];
    if !shared.server.open.load(Ordering::Acquire) {
        reasons.push("draining");
    }
    if shared.server.registry.has_hung() {
        reasons.push("a call's thread is stuck");
    }
    if !shared.server.readiness.is_ready().await {
        reasons.push("the database does not answer");
    }
    match reasons.as_slice() {
        // The others are served: who watches tenants has the metrics, who reads has the reason.
        [] => {
            let skipped = shared.server.skipped();
            let told: String = match names {
                Names::Hidden if skipped.is_empty() => String::new(),
                Names::Hidden => format!("tenants not served: {}\n", skipped.len()),
                Names::Told => {
                    let line = |(name, mistakes)| format!("not served: tenant {name}, mistakes: {mistakes}\n");
                    skipped.into_iter().map(line).collect()
                }
            };
            let spooled = shared.server.readiness.spooled().map_or_else(String::new, |spooled| {
                format!("degraded: the database is away, and {} writes wait in the spool\n", spooled.entries)
            });
            HttpResponse::Ok().content_type("text/plain").body(format!("ready\n{spooled}{told}"))
        }
        reasons => HttpResponse::ServiceUnavailable().content_type("text/plain").body(reasons.join("\n") + "\n"),
    }
}

pub(super) async fn metrics(shared: Data<Shared>) -> impl Responder {
    shared.server.measure();
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(shared.metrics.render())
}
