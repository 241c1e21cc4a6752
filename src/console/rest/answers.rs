//! Answers as they go out: their headers, and what a conditional GET spares.
//!
//! Invariant: nothing that is answered is cached or guessed at by a browser, and each answer names its request for the log.

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    HeaderName, HeaderValue, LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpRequest, HttpResponse};

use super::conditions;
use super::given::{Given, Part, Said};
use crate::API;

/// Names a request in the log and in its answer.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A name for a request: 16 random hexadecimal digits. One that somebody sends is not taken: it could be anything.
pub(super) fn request_id() -> String {
    format!("{:016x}", rand::random::<u64>())
}

/// The answer to a request.
pub(super) fn answer(request: &HttpRequest, given: Given) -> HttpResponse {
    let etag = given.etag.as_deref();
    let known = request.method().is_safe()
        && etag.is_some_and(|etag| conditions::has_seen(request.headers(), etag) == Ok(true));
    let mut response = HttpResponse::build(if known { StatusCode::NOT_MODIFIED } else { given.status });
    if let Some(etag) = etag {
        response.insert_header((ETAG, etag));
    }
    if let Some(place) = &given.location {
        response.insert_header((LOCATION, format!("{API}{place}")));
    }
    if known {
        return response.finish();
    }
    match given.body {
        Said::Nothing => response.finish(),
        Said::Json(text) => response.insert_header((CONTENT_TYPE, "application/json")).body(text),
        Said::Text(text) => {
            response.insert_header((CONTENT_TYPE, text.media_type));
            if let Some(file) = text.file {
                response.insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{file}\"")));
            }
            if let Some(policy) = text.policy {
                response.insert_header((CONTENT_SECURITY_POLICY, policy));
            }
            response.body(text.bytes)
        }
        Said::Part(Part { media_type, of, wanted, pieces }) => {
            response.insert_header((CONTENT_TYPE, media_type)).insert_header((ACCEPT_RANGES, "bytes"));
            if let Some((from, to)) = wanted {
                response.insert_header((CONTENT_RANGE, format!("bytes {from}-{}/{of}", to - 1)));
            }
            let (from, to) = wanted.unwrap_or((0, of));
            response.body(SizedStream::new(to - from, pieces))
        }
        Said::Events(events) => {
            // A proxy between hands each line on as it comes.
            response.insert_header((CONTENT_TYPE, "text/event-stream")).insert_header(("X-Accel-Buffering", "no"));
            response.streaming(events)
        }
    }
}

/// What every answer has.
pub(super) fn finish(mut response: HttpResponse, request_id: &str) -> HttpResponse {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if !headers.contains_key(CONTENT_SECURITY_POLICY) {
        let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
        headers.insert(CONTENT_SECURITY_POLICY, nothing);
    }
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}
