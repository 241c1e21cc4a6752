//! One operation as the document tells of it, whichever table it is of.

use actix_web::http::StatusCode;
use bellhop_tenancy::access::Role;
use utoipa::openapi::header::Header;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Required, Response, ResponseBuilder, ResponsesBuilder};

use crate::problem::MEDIA_TYPE;
use crate::shape::Shape;

/// An operation.
pub(super) struct Operation {
    pub(super) method: HttpMethod,
    /// Below [`crate::API`].
    pub(super) path: &'static str,
    /// What it stands under.
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    /// Who may, at least; anybody if it is none.
    pub(super) least: Option<Role>,
    /// Whether a token may not.
    pub(super) in_person: bool,
    /// What its bodies are made of.
    pub(super) shapes: Vec<Shape>,
    pub(super) body: Option<RequestBody>,
    /// But for those of its path.
    pub(super) parameters: Vec<Parameter>,
    /// What it answers when all goes well.
    pub(super) answers: Vec<(StatusCode, Response)>,
    /// What may be in its way.
    pub(super) problems: Vec<StatusCode>,
}

impl Operation {
    /// As the document has it.
    pub(super) fn written(self) -> OperationBuilder {
        let mut operation = OperationBuilder::new()
            .operation_id(Some(self.id()))
            .tag(self.tag)
            .summary(Some(self.summary))
            .description(Some(self.who()))
            .request_body(self.body);
        let in_path = self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        for told in in_path.map(|name| parameter(ParameterIn::Path, name, true, "Which.")).chain(self.parameters) {
            operation = operation.parameter(told);
        }
        if self.least.is_none() {
            operation = operation.security(SecurityRequirement::default());
        }
        let problems = self.problems.into_iter().map(|status| (status, problem(status)));
        let all = self.answers.into_iter().chain(problems);
        operation.responses(
            all.fold(ResponsesBuilder::new(), |all, (status, response)| all.response(status.as_str(), response)),
        )
    }

    fn id(&self) -> String {
        let method = match self.method {
            HttpMethod::Get => "get",
            HttpMethod::Post => "post",
            HttpMethod::Put => "put",
            HttpMethod::Delete => "delete",
            HttpMethod::Patch => "patch",
            HttpMethod::Options => "options",
            HttpMethod::Head => "head",
            HttpMethod::Trace => "trace",
        };
        let words = self.path.trim_matches('/').replace(['{', '}', '.', '-'], "_").replace('/', "_");
        format!("{method}_{words}")
    }

    fn who(&self) -> String {
        match (self.least, self.in_person) {
            (None, _) => "For anybody.".to_owned(),
            (Some(least), true) => format!("For the role *{least}* and those above it, in person: a token may not."),
            (Some(least), false) => format!("For the role *{least}*, and those above it."),
        }
    }
}

fn problem(status: StatusCode) -> Response {
    let schema = RefOr::Ref(Ref::from_schema_name("Problem"));
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let told = ResponseBuilder::new().description(status.canonical_reason().unwrap_or_default());
    told.content(MEDIA_TYPE, content).build()
}

/// A parameter of a place; each is a text.
pub(super) fn parameter(place: ParameterIn, name: &str, required: bool, says: &str) -> Parameter {
    let required = if required { Required::True } else { Required::False };
    let told = ParameterBuilder::new().name(name).parameter_in(place).required(required);
    told.description(Some(says.to_owned())).schema(Some(text())).build()
}

/// A body that has to be there.
pub(super) fn body(media_type: &str, schema: RefOr<Schema>) -> RequestBody {
    let content = ContentBuilder::new().schema(Some(schema)).build();
    RequestBodyBuilder::new().content(media_type, content).required(Some(Required::True)).build()
}

/// An answer in a media type.
pub(super) fn answer(says: &str, media_type: &str, schema: RefOr<Schema>) -> ResponseBuilder {
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(says).content(media_type, content)
}

/// That it was done.
pub(super) fn done() -> Response {
    Response::new("It was done.")
}

/// A header of an answer.
pub(super) fn header(says: &str) -> Header {
    let mut header = Header::new(text());
    header.description = Some(says.to_owned());
    header
}

pub(super) fn text() -> Schema {
    Schema::Object(ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).build())
}

pub(super) fn reference(shape: Shape) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name((shape.name)()))
}

/// A page of a list, or a whole one.
pub(super) fn list_of(shape: Shape) -> RefOr<Schema> {
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
