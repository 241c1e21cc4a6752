//! `openapi.json`, and the pages that show it.
//!
//! Invariant: the pages load nothing from elsewhere and run no script but their own files: what Swagger UI brings is in this program.

use std::sync::{Arc, OnceLock};

use bellhop_tenancy::access::Role;
use serde::Serialize;
use utoipa::openapi::schema::{ObjectBuilder, Schema};
use utoipa::openapi::{OpenApi, RefOr};
use utoipa::{PartialSchema, ToSchema};
use utoipa_swagger_ui::Config;

use super::asked::Asked;
use super::given::{Given, Text};
use super::openapi;
use super::route::{Outcome, Route};
use crate::API;
use crate::problem::Problem;

/// Swagger UI puts styles into its elements, and shows pictures that stand in its styles.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// An OpenAPI document.
#[derive(Serialize)]
struct Document(OpenApi);

impl PartialSchema for Document {
    fn schema() -> RefOr<Schema> {
        RefOr::T(Schema::Object(ObjectBuilder::new().build()))
    }
}

impl ToSchema for Document {}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/openapi.json", Role::Agent, "This document", document).gives::<Document>(),
        Route::get("/docs", Role::Agent, "The pages that show it", first_page).gives_text("text/html").undocumented(),
        Route::get("/docs/{file}", Role::Agent, "One of their files", page).gives_text("*/*").undocumented(),
    ]
}

async fn document(_: Asked) -> Outcome {
    static DOCUMENT: OnceLock<Document> = OnceLock::new();
    Ok(Given::one(DOCUMENT.get_or_init(|| Document(openapi::document(&super::routes())))))
}

async fn first_page(_: Asked) -> Outcome {
    Ok(Given::elsewhere("/docs/index.html"))
}

async fn page(asked: Asked) -> Outcome {
    let config = Config::from(format!("{API}/openapi.json")).validator_url("none");
    let file = utoipa_swagger_ui::serve(asked.name("file")?, Arc::new(config)).map_err(|error| {
        tracing::error!(%error, "a page of the REST reference cannot be made");
        Problem::internal()
    })?;
    let file = file.ok_or_else(Problem::not_found)?;
    let (media_type, bytes) = (file.content_type, file.bytes.into_owned());
    Ok(Given::text(Text { media_type, file: None, policy: Some(POLICY), bytes }))
}
