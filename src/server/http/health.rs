//! `/healthz`: the process lives. `/readyz`: it takes calls. `/metrics`: what it does.

use std::sync::atomic::Ordering;

use actix_web::web::Data;
use actix_web::{HttpResponse, Responder, get};

use super::Shared;

#[get("/healthz")]
pub(super) async fn healthz() -> impl Responder {
    HttpResponse::Ok().content_type("text/plain").body("ok\n")
}

#[get("/readyz")]
pub(super) async fn readyz(shared: Data<Shared>) -> impl Responder {
    let mut reasons = vec![];
    if !shared.server.open.load(Ordering::Acquire) {
        reasons.push("draining");
    }
    if shared.server.registry.has_hung() {
        reasons.push("a call's thread is stuck");
    }
    if !shared.server.histories.is_ready().await {
        reasons.push("the database does not answer");
    }
    match reasons.as_slice() {
        [] => HttpResponse::Ok().content_type("text/plain").body("ready\n"),
        reasons => HttpResponse::ServiceUnavailable().content_type("text/plain").body(reasons.join("\n") + "\n"),
    }
}

#[get("/metrics")]
pub(super) async fn metrics(shared: Data<Shared>) -> impl Responder {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(shared.metrics.render())
}
