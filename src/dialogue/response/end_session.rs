//! `end_session`: hang up after everything before it was spoken.

use serde_json::Value;

use super::Response;

pub(super) fn read(_item: &Value) -> Option<Response> {
    Some(Response::EndSession)
}
