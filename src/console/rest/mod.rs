//! REST: `/api/v1`, over the ports of `bellhop_tenancy::store` and of [`crate::ports`]. How to use it: `docs/rest.md`.
//!
//! Each resource is a file with its rows of the table of routes (`route.rs`); `door.rs` is the way of every request. Invariant: what
//! is not in the table is not there, and what is in it asks who is signed in, may no less than its row says, and is in the OpenAPI
//! document.

mod answers;
mod arrivals;
mod asked;
mod body;
mod by_sign_in;
mod calls;
mod conditions;
mod connections;
mod dashboard;
mod deployments;
mod documents;
mod door;
mod events;
mod fields;
mod flows;
mod given;
mod idempotency;
mod inquiry;
mod judging;
mod names;
mod nodes;
mod numbers;
mod of_file;
mod openapi;
mod people;
mod plans;
mod reached;
mod readers;
mod recordings;
mod reference;
mod room;
mod route;
mod shown;
mod tenants;
#[cfg(test)]
pub(crate) mod tests;
mod told;
mod trials;
mod usage;
mod versions;

use std::sync::Arc;

use actix_web::web::{self, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use bellhop_call::ports::CallRecords;
// What the timeline of a call is made of, for who reads it in the same process.
pub(crate) use bellhop_call::record::{Event, Speaker, What};
use bellhop_connect::ports::FiledHistories;
use bellhop_tenancy::access::{Author, SignedIn};
use bellhop_tenancy::store::TenantStore;
use futures_util::future::LocalBoxFuture;

use crate::API;
use crate::ports::{File, Judge, LiveCalls, Node, Reached, Reasons, Recordings, Trials};
use crate::problem::Problem;
use crate::sign_in::Random;
pub(crate) use bellhop_connect::flow::screen_pop_url;
pub use by_sign_in::BySignIn;
pub use calls::HISTORY_READ;
use door::House;
pub use inquiry::Inquiry;
use route::Route;

/// Finds out who asks: 401 if nobody is signed in, 403 if it may have been another site that had a browser ask.
pub trait Door: Send + Sync {
    /// Who sends a request.
    fn who<'a>(&'a self, request: &'a HttpRequest) -> LocalBoxFuture<'a, Result<Author, Problem>>;

    /// What tells later whether whoever sent a request is still signed in.
    fn presence(&self, request: &HttpRequest) -> Result<Box<dyn Presence>, Problem>;
}

/// Whether somebody who reads on and on is still signed in.
pub trait Presence {
    /// Whether they are, as they were: not so once their session or token has ended, or they may less or were disabled.
    fn lasts<'a>(&'a self, by: &'a SignedIn) -> LocalBoxFuture<'a, bool>;
}

/// What requests are answered with.
pub struct Ports {
    /// Finds out who asks.
    pub door: Arc<dyn Door>,
    /// Everything that is kept of tenants.
    pub store: Arc<dyn TenantStore>,
    /// What the configuration's file says of tenants.
    pub file: Arc<dyn File>,
    /// Where callers' sides reach this server.
    pub reached: Arc<dyn Reached>,
    /// The server itself.
    pub node: Arc<dyn Node>,
    /// Judges settings by what only the server knows.
    pub judge: Arc<dyn Judge>,
    /// Asks services.
    pub trials: Arc<dyn Trials>,
    /// Calls that are up.
    pub calls: Arc<dyn LiveCalls>,
    /// Calls that are over.
    pub records: Arc<dyn CallRecords>,
    /// What was heard in them.
    pub recordings: Arc<dyn Recordings>,
    /// Their conversations.
    pub histories: Arc<dyn FiledHistories>,
    /// Why calls are refused.
    pub reasons: Arc<dyn Reasons>,
    /// `http.public_url` without a slash at its end: what links begin with.
    pub public_url: String,
    /// What links are made of.
    pub random: Random,
}

/// The REST API of a server; one for all its threads.
#[derive(Clone)]
pub struct Rest(Arc<House>);

impl Rest {
    /// Of these ports.
    pub fn new(ports: Ports) -> Self {
        Self(Arc::new(House::new(Arc::new(ports), routes())))
    }

    /// Registers every resource.
    pub fn configure(&self, config: &mut ServiceConfig) {
        let mut scope = web::scope(API);
        let mut paths: Vec<&'static str> = self.0.routes.iter().map(|route| route.path).collect();
        paths.sort_unstable();
        paths.dedup();
        // Of two patterns that fit the first is taken: `import` before `{id}`, which sorts after letters.
        for path in paths {
            let house = self.0.clone();
            let answered =
                move |request: HttpRequest, payload: Payload| door::serve(house.clone(), path, request, payload);
            scope = scope.service(web::resource(path).to(answered));
        }
        config.service(scope.default_service(web::to(nothing_here)));
    }
}

async fn nothing_here() -> HttpResponse {
    answers::finish(Problem::not_found().error_response(), &answers::request_id())
}

/// Every route there is.
fn routes() -> Vec<Route> {
    [
        reference::routes(),
        plans::routes(),
        tenants::routes(),
        documents::routes(),
        versions::routes(),
        numbers::routes(),
        people::routes(),
        told::routes(),
        usage::routes(),
        dashboard::routes(),
        arrivals::routes(),
        nodes::routes(),
        calls::routes(),
        events::routes(),
        recordings::routes(),
        trials::routes(),
        connections::routes(),
        reached::routes(),
        flows::routes(),
        deployments::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
