//! `nodes`: the servers that share a store, and the end of the one that is asked.
//!
//! Invariant: what is told of a node is what it said of itself within the last half minute; one that is not heard of is none.

use actix_web::http::StatusCode;
use bellhop_tenancy::access::Role;
use bellhop_tenancy::store::{AppliedBy, AuditOutcome, NewAuditLine};
use serde::Serialize;
use utoipa::ToSchema;

use super::asked::Asked;
use super::given::Given;
use super::route::{Outcome, Route};
use crate::problem::Problem;

/// A server.
#[derive(Serialize, ToSchema)]
struct Node {
    name: String,
    /// Whether it is the one that is asked.
    this: bool,
    /// Empty for one that is older than this.
    version: String,
    /// Calls that are up on it.
    calls: u64,
    /// Whether it takes no more calls.
    draining: bool,
    /// The newest change of the store that it serves.
    change: i64,
    /// Whether there is no newer one.
    current: bool,
    /// How many integrations it does not serve as they are kept.
    not_applied: usize,
    /// What callers' sides call it; null if it does not know.
    sip_host: Option<String>,
    sip_port: u16,
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/nodes", Role::Operator, "Lists the servers that share this store", list).lists::<Node>(),
        Route::post(
            "/nodes/this/drain",
            Role::Operator,
            "Has the server that is asked take no more calls, see those off that are up, and end",
            drain,
        )
        .in_person(),
    ]
}

async fn list(asked: Asked) -> Outcome {
    let (newest, this) = (asked.ports.store.newest_change().await?, asked.ports.node.name());
    let node = |AppliedBy { node, change, not_applied, says }| Node {
        this: node == this,
        name: node,
        version: says.version,
        calls: says.calls,
        draining: says.is_draining,
        change,
        current: change >= newest,
        not_applied: not_applied.len(),
        sip_host: says.sip_host,
        sip_port: says.sip_port,
    };
    let nodes = asked.ports.store.applied().await?;
    Ok(Given::list(nodes.into_iter().map(node).collect(), None))
}

async fn drain(asked: Asked) -> Outcome {
    let (action, on) = ("node.drain".to_owned(), Some(asked.ports.node.name().to_owned()));
    let line = NewAuditLine { action, tenant: None, on, outcome: AuditOutcome::Done };
    asked.ports.store.note(&asked.by, line).await?;
    let begun = asked.ports.node.drain();
    begun.map(|()| Given::done()).map_err(|why| Problem::new(StatusCode::SERVICE_UNAVAILABLE, why))
}
