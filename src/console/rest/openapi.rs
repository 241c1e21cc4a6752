//! The OpenAPI 3.1 document, made of the tables of routes: REST's, and the sign-in's.
//!
//! Invariant: each route of both is told of, by what its row says, and no other is. What a route is told as: `openapi/operation.rs`.

mod of_rest;
mod of_sign_in;
mod operation;

use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathItem, PathsBuilder};

use super::route::Route;
use crate::API;
use crate::problem::ProblemBody;
use crate::shape::Shape;
use crate::sign_in;

/// The document of a table, and of the sign-in's.
pub(super) fn document(routes: &[Route]) -> OpenApi {
    let info = InfoBuilder::new()
        .title("Bellhop")
        .version("1")
        .description(Some("Tenants, and all that belongs to them: changed while calls run. How to: docs/rest.md."))
        .build();
    let mut components = ComponentsBuilder::new()
        .security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)))
        .security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("__Host-bellhop"))));
    components = with_shape(components, Shape::of::<ProblemBody<'static>>());
    let mut paths = PathsBuilder::new();
    let of_rest = routes.iter().filter(|route| route.documented).map(of_rest::operation);
    for operation in of_rest.chain(sign_in::ROUTES.iter().map(of_sign_in::operation)) {
        components = operation.shapes.iter().fold(components, |components, shape| with_shape(components, *shape));
        let (path, method) = (format!("{API}{}", operation.path), operation.method.clone());
        paths = paths.path(path, PathItem::new(method, operation.written()));
    }
    let none: [&str; 0] = [];
    let security = ["token", "session"].map(|scheme| SecurityRequirement::new(scheme, none));
    let components: Components = components.build();
    OpenApiBuilder::new().info(info).paths(paths).components(Some(components)).security(Some(security)).build()
}

fn with_shape(components: ComponentsBuilder, shape: Shape) -> ComponentsBuilder {
    let mut parts = vec![((shape.name)().into_owned(), (shape.schema)())];
    (shape.parts)(&mut parts);
    parts.into_iter().fold(components, |components, (name, schema)| components.schema(name, schema))
}
