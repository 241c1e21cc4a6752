//! The shape of a body, for the OpenAPI document.

use std::borrow::Cow;

use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

/// What a body is made of.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// What it is called.
    pub(crate) name: fn() -> Cow<'static, str>,
    /// Itself.
    pub(crate) schema: fn() -> RefOr<Schema>,
    /// What it is made of.
    pub(crate) parts: fn(&mut Vec<(String, RefOr<Schema>)>),
}

impl Shape {
    pub(crate) const fn of<T: ToSchema>() -> Self {
        Self { name: T::name, schema: T::schema, parts: T::schemas }
    }
}
