//! What the document tells of a route of REST.
//!
//! Invariant: each answer that the frame gives on behalf of a route (`door.rs`) is told of here by what its row says.

use actix_web::http::{Method, StatusCode};
use utoipa::openapi::path::{HttpMethod, Parameter as Told, ParameterIn};
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{RefOr, Response};

use super::operation::{Operation, answer, body, done, header, list_of, parameter, reference, text};
use crate::rest::route::{Gives, Route, Takes};
use crate::shape::Shape;

const JSON: &str = "application/json";

pub(super) fn operation(route: &Route) -> Operation {
    Operation {
        method: method(route),
        path: route.path,
        tag: route.path.split('/').nth(1).unwrap_or_default(),
        summary: route.summary,
        least: Some(route.least),
        in_person: route.in_person,
        shapes: shapes(route),
        body: request_body(route),
        parameters: parameters(route),
        answers: answers(route),
        problems: problems(route),
    }
}

fn shapes(route: &Route) -> Vec<Shape> {
    let taken = match route.takes {
        Takes::Json(shape) | Takes::MergePatch(shape) => Some(shape),
        Takes::Nothing | Takes::Csv => None,
    };
    let given = match route.gives {
        Gives::One(shape) | Gives::Made(shape) | Gives::Page(shape) | Gives::All(shape) => Some(shape),
        Gives::Nothing | Gives::Text(_) | Gives::Parts(_) => None,
    };
    taken.into_iter().chain(given).collect()
}

fn method(route: &Route) -> HttpMethod {
    match route.method {
        Method::POST => HttpMethod::Post,
        Method::PATCH => HttpMethod::Patch,
        Method::DELETE => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn is_conditional_read(route: &Route) -> bool {
    matches!(route.gives, Gives::One(_)) && route.method == Method::GET
}

fn parameters(route: &Route) -> Vec<Told> {
    let in_query = route.query.iter().map(|one| parameter(ParameterIn::Query, one.name, one.required, one.says));
    let mut all: Vec<Told> = in_query.collect();
    let mut header = |name, required, says| all.push(parameter(ParameterIn::Header, name, required, says));
    if route.conditional {
        header("If-Match", true, "The `ETag` of what you have seen; never `*`.");
    }
    if is_conditional_read(route) {
        header("If-None-Match", false, "The `ETag` of what you have.");
    }
    if route.takes_keys() {
        let says = "A text of your own: sent again with it within 24 hours, a request is not carried out twice.";
        header("Idempotency-Key", false, says);
    }
    all
}

fn request_body(route: &Route) -> Option<RequestBody> {
    Some(match route.takes {
        Takes::Nothing => return None,
        Takes::Json(shape) => body(JSON, reference(shape)),
        Takes::MergePatch(shape) => body("application/merge-patch+json", patch_of(shape)),
        Takes::Csv => body("text/csv", RefOr::T(text())),
    })
}

/// A merge patch may leave out every field, and names no other.
fn patch_of(shape: Shape) -> RefOr<Schema> {
    match (shape.schema)() {
        RefOr::T(Schema::Object(mut object)) => {
            object.required.clear();
            RefOr::T(Schema::Object(object))
        }
        other => other,
    }
}

fn answers(route: &Route) -> Vec<(StatusCode, Response)> {
    let etag = || header("Names the state that is shown, for `If-Match` and `If-None-Match`.");
    let good = match route.gives {
        Gives::Nothing => (StatusCode::NO_CONTENT, done()),
        Gives::One(shape) => (StatusCode::OK, answer("Itself.", JSON, reference(shape)).header("ETag", etag()).build()),
        Gives::Made(shape) => {
            let made = answer("What was made.", JSON, reference(shape)).header("ETag", etag());
            (StatusCode::CREATED, made.header("Location", header("Its address.")).build())
        }
        Gives::Page(shape) | Gives::All(shape) => (StatusCode::OK, answer("A list.", JSON, list_of(shape)).build()),
        Gives::Text(media_type) | Gives::Parts(media_type) => {
            (StatusCode::OK, answer("Itself.", media_type, RefOr::T(text())).build())
        }
    };
    let known = (StatusCode::NOT_MODIFIED, Response::new("It is as you have seen it."));
    let part = match route.gives {
        Gives::Parts(media_type) => {
            let part = answer("The part of it that `Range` asks for.", media_type, RefOr::T(text())).build();
            Some((StatusCode::PARTIAL_CONTENT, part))
        }
        _ => None,
    };
    std::iter::once(good).chain(is_conditional_read(route).then_some(known)).chain(part).collect()
}

/// What may be in the way of a route.
fn problems(route: &Route) -> Vec<StatusCode> {
    let mut all = vec![
        StatusCode::BAD_REQUEST,
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
        StatusCode::NOT_FOUND,
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::INTERNAL_SERVER_ERROR,
        StatusCode::SERVICE_UNAVAILABLE,
    ];
    if !matches!(route.gives, Gives::Nothing) {
        all.push(StatusCode::NOT_ACCEPTABLE);
    }
    if !route.method.is_safe() {
        all.extend([StatusCode::REQUEST_TIMEOUT, StatusCode::CONFLICT, StatusCode::UNSUPPORTED_MEDIA_TYPE]);
    }
    if !matches!(route.takes, Takes::Nothing) {
        all.extend([StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNPROCESSABLE_ENTITY]);
    }
    if route.takes_keys() {
        all.push(StatusCode::UNPROCESSABLE_ENTITY);
    }
    if route.conditional {
        all.extend([StatusCode::PRECONDITION_FAILED, StatusCode::PRECONDITION_REQUIRED]);
    }
    all.extend(&route.problems);
    all.sort_by_key(StatusCode::as_u16);
    all.dedup();
    all
}
