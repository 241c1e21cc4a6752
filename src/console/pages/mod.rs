//! Pages: what people see and do in a browser. Each is made on the server of what REST answers to the same person.
//!
//! Invariant: a page asks [`Rest`] and nothing else, so it shows and changes what its reader may see and change; every page is a row of
//! the table, and every row but those of the sign-in needs somebody who is signed in (`visit.rs`). Pages load nothing from elsewhere and run no
//! script but the files of `assets/`.

mod amazon_side;
mod answered;
mod assets;
mod assistants;
mod call_me;
mod calls;
mod chart;
mod copied;
mod dashboard;
mod difference;
mod errors;
mod flow_check;
mod form;
mod frame;
mod integrations;
mod kinds;
mod mend;
mod numbers;
mod part;
mod password;
mod people;
mod refusals;
mod script;
mod server;
mod services;
mod settings;
mod sign_in;
mod tabs;
mod tenant;
mod tenants;
mod told;
mod users;
mod versions;
mod visit;
mod wizard;

use std::sync::Arc;

use actix_web::web::{self, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use crate::problem::Problem;
use crate::rest::Rest;
pub use sign_in::page_of_problem;
use visit::Page;

/// The pages of a server; one for all its threads.
#[derive(Clone)]
pub struct Pages(Arc<House>);

/// What pages are made with.
struct House {
    rest: Rest,
    pages: Vec<Page>,
}

/// What comes of a visit.
type Outcome = Result<HttpResponse, Problem>;

impl Pages {
    /// Over what REST answers.
    pub fn new(rest: Rest) -> Self {
        Self(Arc::new(House { rest, pages: table() }))
    }

    /// Registers every page; the sign-in has to be `Data` of the application.
    pub fn configure(&self, config: &mut ServiceConfig) {
        sign_in::configure(config);
        password::configure(config);
        assets::configure(config);
        for (at, page) in self.0.pages.iter().enumerate() {
            let pages = self.clone();
            let answered =
                move |request: HttpRequest, payload: Payload| visit::serve(pages.clone(), at, request, payload);
            config.service(web::resource(page.path).to(answered));
        }
    }
}

/// Every page that somebody who is signed in may open.
fn table() -> Vec<Page> {
    [
        tenants::pages(),
        dashboard::pages(),
        refusals::pages(),
        call_me::pages(),
        errors::pages(),
        integrations::pages(),
        wizard::pages(),
        amazon_side::pages(),
        flow_check::pages(),
        numbers::pages(),
        assistants::pages(),
        services::pages(),
        calls::pages(),
        versions::pages(),
        people::pages(),
        settings::pages(),
        server::pages(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests;
