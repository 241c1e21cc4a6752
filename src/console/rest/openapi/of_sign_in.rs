//! What the document tells of a route of the sign-in.

use actix_web::http::StatusCode;
use utoipa::openapi::ResponseBuilder;
use utoipa::openapi::path::{HttpMethod, ParameterIn};

use super::operation::{Operation, answer, body, done, header, list_of, parameter, reference};
use crate::rest::route::{AFTER, LIMIT, Parameter};
use crate::shape::Shape;
use crate::sign_in::{Gives, SignInRoute};

const JSON: &str = "application/json";
const EVERYBODY: Parameter =
    Parameter { name: "everybody", says: "`true` for those of all whom one looks after.", required: false };

/// RFC 6749 section 4.1.2 and RFC 9207.
const CAME_BACK: [Parameter; 4] = [
    Parameter { name: "state", says: "What binds it to the browser that began.", required: false },
    Parameter { name: "code", says: "What the provider tells for, once, who somebody is.", required: false },
    Parameter { name: "error", says: "Why the provider does not.", required: false },
    Parameter { name: "iss", says: "Which provider it is.", required: false },
];

/// What may be in the way of each.
const PROBLEMS: [StatusCode; 13] = [
    StatusCode::BAD_REQUEST,
    StatusCode::UNAUTHORIZED,
    StatusCode::FORBIDDEN,
    StatusCode::NOT_FOUND,
    StatusCode::METHOD_NOT_ALLOWED,
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::CONFLICT,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    StatusCode::UNPROCESSABLE_ENTITY,
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::INTERNAL_SERVER_ERROR,
    StatusCode::SERVICE_UNAVAILABLE,
];

pub(super) fn operation(route: &SignInRoute) -> Operation {
    let (status, response, given, query): (_, _, Option<Shape>, &[Parameter]) = match route.gives {
        Gives::Nothing => (StatusCode::NO_CONTENT, done(), None, &[]),
        Gives::One(shape) => (StatusCode::OK, answer("Itself.", JSON, reference(shape)).build(), Some(shape), &[]),
        Gives::Made(shape) => {
            (StatusCode::CREATED, answer("What was made.", JSON, reference(shape)).build(), Some(shape), &[])
        }
        Gives::Elsewhere => {
            let there = ResponseBuilder::new().description("The browser is signed in, and goes on.");
            (StatusCode::SEE_OTHER, there.header("Location", header("Where to.")).build(), None, &CAME_BACK)
        }
        Gives::Page(shape) => {
            let list = answer("A list.", JSON, list_of(shape)).build();
            (StatusCode::OK, list, Some(shape), &[LIMIT, AFTER, EVERYBODY])
        }
    };
    let in_query = |one: &Parameter| parameter(ParameterIn::Query, one.name, one.required, one.says);
    Operation {
        method: method(route),
        path: route.path,
        tag: "sign-in",
        summary: route.summary,
        least: route.least,
        in_person: route.in_person,
        shapes: route.takes.into_iter().chain(given).collect(),
        body: route.takes.map(|shape| body(JSON, reference(shape))),
        parameters: query.iter().map(in_query).collect(),
        answers: vec![(status, response)],
        problems: PROBLEMS.to_vec(),
    }
}

fn method(route: &SignInRoute) -> HttpMethod {
    match route.method {
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}
