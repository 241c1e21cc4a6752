//! The OpenAPI 3.1 document, made of the table of routes.
//!
//! Invariant: each answer that the frame gives on behalf of a route (`door.rs`) is told of here by what its row says.

use actix_web::http::{Method, StatusCode};
use utoipa::openapi::header::Header;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, Parameter as Told, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathItem, PathsBuilder, Ref,
    RefOr, Required, Response, ResponseBuilder, ResponsesBuilder,
};

use super::route::{Gives, Parameter, Route, Takes};
use crate::API;
use crate::problem::{MEDIA_TYPE, ProblemBody};
use crate::shape::Shape;
use crate::sign_in::{self, SignInRoute};

/// The document of a table.
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
    for route in routes.iter().filter(|route| route.documented) {
        for shape in shapes(route) {
            components = with_shape(components, shape);
        }
        paths = paths.path(format!("{API}{}", route.path), PathItem::new(method(route), operation(route)));
    }
    for route in &sign_in::ROUTES {
        for shape in [route.takes, shape_of(route.gives)].into_iter().flatten() {
            components = with_shape(components, shape);
        }
        paths = paths.path(format!("{API}{}", route.path), PathItem::new(method_of(route), operation_of(route)));
    }
    let none: [&str; 0] = [];
    let security = ["token", "session"].map(|scheme| SecurityRequirement::new(scheme, none));
    let components: Components = components.build();
    OpenApiBuilder::new().info(info).paths(paths).components(Some(components)).security(Some(security)).build()
}

fn shape_of(gives: sign_in::Gives) -> Option<Shape> {
    match gives {
        sign_in::Gives::Nothing => None,
        sign_in::Gives::One(shape) | sign_in::Gives::Made(shape) | sign_in::Gives::Page(shape) => Some(shape),
    }
}

fn method_of(route: &SignInRoute) -> HttpMethod {
    match route.method {
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

/// What the sign-in may answer besides.
const OF_SIGN_IN: [StatusCode; 13] = [
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

fn operation_of(route: &SignInRoute) -> OperationBuilder {
    let words = route.path.trim_matches('/').replace(['{', '}', '-'], "_").replace('/', "_");
    let who = match (route.least, route.in_person) {
        (None, _) => "For anybody.".to_owned(),
        (Some(least), true) => format!("For the role *{least}* and those above it, in person: a token may not."),
        (Some(least), false) => format!("For the role *{least}*, and those above it."),
    };
    let (status, response) = match route.gives {
        sign_in::Gives::Nothing => (StatusCode::NO_CONTENT, Response::new("It was done.")),
        sign_in::Gives::One(shape) => (StatusCode::OK, told("Itself.", reference(shape)).build()),
        sign_in::Gives::Made(shape) => (StatusCode::CREATED, told("What was made.", reference(shape)).build()),
        sign_in::Gives::Page(shape) => (StatusCode::OK, told("A list.", list_of(shape)).build()),
    };
    let responses = ResponsesBuilder::new().response(status.as_str(), response);
    let responses = OF_SIGN_IN.into_iter().fold(responses, with_problem);
    let body = route.takes.map(|shape| json_body("application/json", reference(shape)));
    let mut operation = OperationBuilder::new()
        .operation_id(Some(format!("{}_{words}", route.method.to_ascii_lowercase())))
        .tag("sign-in")
        .summary(Some(route.summary))
        .description(Some(who))
        .request_body(body)
        .responses(responses);
    if route.least.is_none() {
        operation = operation.security(SecurityRequirement::default());
    }
    if route.path.contains("{id}") {
        operation = operation.parameter(parameter(ParameterIn::Path, "id", true, "Which."));
    }
    if matches!(route.gives, sign_in::Gives::Page(_)) {
        for (name, says) in [
            ("limit", "How many at most: 1 to 200, 50 if it is left out."),
            ("after", "`next` of the page before."),
            ("everybody", "`true` for those of all whom one looks after."),
        ] {
            operation = operation.parameter(parameter(ParameterIn::Query, name, false, says));
        }
    }
    operation
}

fn with_shape(components: ComponentsBuilder, shape: Shape) -> ComponentsBuilder {
    let mut parts = vec![((shape.name)().into_owned(), (shape.schema)())];
    (shape.parts)(&mut parts);
    parts.into_iter().fold(components, |components, (name, schema)| components.schema(name, schema))
}

fn shapes(route: &Route) -> Vec<Shape> {
    let taken = match route.takes {
        Takes::Json(shape) | Takes::MergePatch(shape) => Some(shape),
        Takes::Nothing | Takes::Csv => None,
    };
    let given = match route.gives {
        Gives::One(shape) | Gives::Made(shape) | Gives::Page(shape) | Gives::All(shape) => Some(shape),
        Gives::Nothing | Gives::Text(_) => None,
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

fn operation(route: &Route) -> OperationBuilder {
    let words = route.path.trim_matches('/').replace(['{', '}', '.', '-'], "_").replace('/', "_");
    let tag = route.path.split('/').nth(1).unwrap_or_default();
    let mut operation = OperationBuilder::new()
        .operation_id(Some(format!("{}_{words}", route.method.as_str().to_ascii_lowercase())))
        .tag(tag)
        .summary(Some(route.summary))
        .description(Some(format!("For the role *{}*, and those above it.", route.least)))
        .request_body(request_body(route))
        .responses(responses(route));
    for parameter in parameters(route) {
        operation = operation.parameter(parameter);
    }
    operation
}

fn text() -> Schema {
    Schema::Object(ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).build())
}

fn parameter(place: ParameterIn, name: &str, required: bool, says: &str) -> Told {
    let required = if required { Required::True } else { Required::False };
    let told = ParameterBuilder::new().name(name).parameter_in(place).required(required);
    told.description(Some(says.to_owned())).schema(Some(text())).build()
}

fn parameters(route: &Route) -> Vec<Told> {
    let told = parameter;
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut all: Vec<Told> = in_path.map(|name| told(ParameterIn::Path, name, true, "Which.")).collect();
    let in_query = |Parameter { name, says, required }: &Parameter| told(ParameterIn::Query, name, *required, says);
    all.extend(route.query.iter().map(in_query));
    if route.conditional {
        all.push(told(ParameterIn::Header, "If-Match", true, "The `ETag` of what you have seen; never `*`."));
    }
    if matches!(route.gives, Gives::One(_)) && route.method == Method::GET {
        all.push(told(ParameterIn::Header, "If-None-Match", false, "The `ETag` of what you have."));
    }
    if route.takes_keys() {
        let says = "A text of your own: sent again with it within 24 hours, a request is not carried out twice.";
        all.push(told(ParameterIn::Header, "Idempotency-Key", false, says));
    }
    all
}

fn request_body(route: &Route) -> Option<RequestBody> {
    let (media_type, schema) = match route.takes {
        Takes::Nothing => return None,
        Takes::Json(shape) => ("application/json", reference(shape)),
        Takes::MergePatch(shape) => ("application/merge-patch+json", patch_of(shape)),
        Takes::Csv => ("text/csv", RefOr::T(text())),
    };
    Some(json_body(media_type, schema))
}

fn json_body(media_type: &str, schema: RefOr<Schema>) -> RequestBody {
    let content = ContentBuilder::new().schema(Some(schema)).build();
    RequestBodyBuilder::new().content(media_type, content).required(Some(Required::True)).build()
}

fn reference(shape: Shape) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name((shape.name)()))
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

fn responses(route: &Route) -> ResponsesBuilder {
    let mut all = ResponsesBuilder::new();
    let (status, response) = success(route);
    all = all.response(status.as_str(), response);
    if matches!(route.gives, Gives::One(_)) && route.method == Method::GET {
        all = all.response("304", Response::new("It is as you have seen it."));
    }
    problems(route).into_iter().fold(all, with_problem)
}

fn with_problem(all: ResponsesBuilder, status: StatusCode) -> ResponsesBuilder {
    let schema = RefOr::Ref(Ref::from_schema_name("Problem"));
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let told = ResponseBuilder::new().description(status.canonical_reason().unwrap_or_default());
    all.response(status.as_str(), told.content(MEDIA_TYPE, content).build())
}

fn told(says: &str, schema: RefOr<Schema>) -> ResponseBuilder {
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(says).content("application/json", content)
}

fn success(route: &Route) -> (StatusCode, Response) {
    let header = |says: &str| {
        let mut header = Header::new(text());
        header.description = Some(says.to_owned());
        header
    };
    let etag = || header("Names the state that is shown, for `If-Match` and `If-None-Match`.");
    match route.gives {
        Gives::Nothing => (StatusCode::NO_CONTENT, Response::new("It was done.")),
        Gives::One(shape) => (StatusCode::OK, told("Itself.", reference(shape)).header("ETag", etag()).build()),
        Gives::Made(shape) => {
            let made = told("What was made.", reference(shape)).header("ETag", etag());
            (StatusCode::CREATED, made.header("Location", header("Its address.")).build())
        }
        Gives::Page(shape) | Gives::All(shape) => (StatusCode::OK, told("A list.", list_of(shape)).build()),
        Gives::Text(media_type) => {
            let content = ContentBuilder::new().schema(Some(text())).build();
            (StatusCode::OK, ResponseBuilder::new().description("Itself.").content(media_type, content).build())
        }
    }
}

fn list_of(shape: Shape) -> RefOr<Schema> {
    let next = ObjectBuilder::new()
        .schema_type(SchemaType::Array(vec![Type::String, Type::Null]))
        .description(Some("`after` of the next page; null at the end."));
    let object = ObjectBuilder::new()
        .property("items", ArrayBuilder::new().items(reference(shape)).build())
        .required("items")
        .property("next", next.build())
        .required("next");
    RefOr::T(Schema::Object(object.build()))
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
    if route.path.ends_with("/try") || route.path.ends_with("/offers") {
        all.push(StatusCode::BAD_GATEWAY);
    }
    if route.conditional {
        all.extend([StatusCode::PRECONDITION_FAILED, StatusCode::PRECONDITION_REQUIRED]);
    }
    all.sort_by_key(StatusCode::as_u16);
    all.dedup();
    all
}
