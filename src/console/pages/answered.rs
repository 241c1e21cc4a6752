//! What REST answered, as pages read it.
//!
//! Invariant: what is not there is empty and no trouble: REST says what there is, and a page shows that.

use actix_web::http::StatusCode;
use serde_json::Value;

use crate::problem::Problem;

/// The items of a list of REST.
pub(super) fn list_of(listed: &Value) -> &[Value] {
    listed["items"].as_array().map_or(&[], Vec::as_slice)
}

/// A text of what REST answered; empty where there is none.
pub(super) fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

/// For pages that show what was wrong with what was sent.
pub(super) fn status_of(problem: Option<&Problem>) -> StatusCode {
    problem.map_or(StatusCode::OK, Problem::status)
}
