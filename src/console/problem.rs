//! What is said when something is not done: problem details (RFC 9457).
//!
//! Invariant: a problem is made of sentences of this program; what somebody sent stands in none but as a JSON string, and in
//! no header. What is not there is told in the same words whether it never was or is another's, and of a fault of this program
//! the log alone knows more.

use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CACHE_CONTROL, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use bellhop_tenancy::settings::{Mistake, Table};
use bellhop_tenancy::store::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::pointer::pointer;

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// How long somebody waits who asks while the store does not answer.
const STORE_AWAY: Duration = Duration::from_secs(5);
/// Most mistakes that one problem tells; who has more learns of the others when these are mended.
const FAULTS_MAX: usize = 100;

/// Why something is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    errors: Vec<Fault>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What is wrong with one field, or one parameter of the query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Fault {
    /// Where it stands in the body: a JSON pointer as the fragment of a URI (RFC 6901 section 6).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "#/sip/sources/2")]
    pub pointer: Option<String>,
    /// Which parameter of the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// What is wrong, and what to do.
    pub detail: String,
}

impl Problem {
    /// With a sentence of what is the matter and what to do.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), errors: vec![], headers: vec![] }
    }

    /// 401: nobody is signed in by what was shown.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::UNAUTHORIZED, detail);
        problem.headers.push((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        problem
    }

    /// 403: whoever asks may not.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 404: there is none, or none that whoever asks may see.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is no such thing, or none that you may see")
    }

    /// 405, with what may be asked.
    pub fn method_not_allowed(allow: &str) -> Self {
        let problem = Self::new(StatusCode::METHOD_NOT_ALLOWED, format!("this may be asked by {allow}"));
        problem.with(ALLOW, allow)
    }

    /// 412: it was changed since it was seen.
    pub fn changed(newest: i64) -> Self {
        let detail = format!("it has been changed since: its revision is {newest}: read it again, and decide anew");
        Self::new(StatusCode::PRECONDITION_FAILED, detail)
    }

    /// 422: fields say what may not be.
    pub fn faults(mut errors: Vec<Fault>) -> Self {
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "the body has mistakes: `errors` names each");
        errors.truncate(FAULTS_MAX);
        problem.errors = errors;
        problem
    }

    /// 422: mistakes of a document, by their places in it.
    pub fn mistakes(mistakes: &[Mistake], document: &Table) -> Self {
        let fault = |mistake: &Mistake| Fault::at(pointer(&mistake.path, document), &mistake.why);
        Self::faults(mistakes.iter().take(FAULTS_MAX).map(fault).collect())
    }

    /// 400: a parameter of the query says what may not be.
    pub fn parameter(name: &str, why: impl Into<String>) -> Self {
        let detail = why.into();
        let mut problem = Self::new(StatusCode::BAD_REQUEST, format!("the query has a mistake: `{name}` {detail}"));
        problem.errors = vec![Fault { pointer: None, parameter: Some(name.to_owned()), detail }];
        problem
    }

    /// 500: a fault of this program, which the log tells.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the server could not do this: its log says why")
    }

    /// The same with a header of a text that is ours.
    #[must_use]
    pub fn with(mut self, name: HeaderName, text: &str) -> Self {
        self.headers.extend(HeaderValue::from_str(text).ok().map(|value| (name, value)));
        self
    }

    /// Too much at once: when to come again, in whole seconds and at least one.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.headers.push((RETRY_AFTER, HeaderValue::from(seconds.max(1))));
        self
    }

    /// What is wrong with each field.
    pub fn errors(&self) -> &[Fault] {
        &self.errors
    }

    /// The headers that it is answered with besides those of every problem.
    pub fn headers(&self) -> impl Iterator<Item = &(HeaderName, HeaderValue)> {
        self.headers.iter()
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Its sentence.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl Fault {
    /// What is wrong at a place of the body.
    pub fn at(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: Some(pointer.into()), parameter: None, detail: detail.into() }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => Self::not_found(),
            StoreError::Changed { newest } => Self::changed(newest),
            StoreError::Taken(_) | StoreError::InUse(_) | StoreError::TooMany { .. } | StoreError::Sealed { .. } => {
                Self::new(StatusCode::CONFLICT, error.to_string())
            }
            StoreError::Mistake { field, why } => {
                let place = pointer(&field, &Table::default());
                Self::faults(vec![Fault::at(place, why)])
            }
            // What a database says may hold what was sent to it: it is for the log of who runs the server.
            StoreError::Unavailable(why) => {
                tracing::warn!(%why, "the store does not answer");
                let detail = "what is kept cannot be reached at the moment: try again later";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(STORE_AWAY)
            }
            StoreError::Refused(why) => {
                tracing::error!(%why, "the store refuses what it was asked");
                Self::internal()
            }
        }
    }
}

/// A problem as it is written (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody<'a> {
    /// Names the kind of problem for programs.
    #[schema(example = "urn:bellhop:problem:not-found")]
    r#type: String,
    /// The kind for people.
    title: &'a str,
    /// The status of the answer.
    status: u16,
    /// What is the matter this time, and what to do.
    detail: &'a str,
    /// Each mistake of the request.
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    #[schema(required = false)]
    errors: &'a [Fault],
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let title = self.status.canonical_reason().unwrap_or("Problem");
        let r#type = format!("urn:bellhop:problem:{}", title.to_ascii_lowercase().replace(' ', "-"));
        let (status, detail, errors) = (self.status.as_u16(), self.detail.as_str(), self.errors.as_slice());
        let body = ProblemBody { r#type, title, status, detail, errors };
        let mut response = HttpResponse::build(self.status);
        response.insert_header((CACHE_CONTROL, "no-store"));
        self.headers.iter().for_each(|header| _ = response.append_header(header.clone()));
        response.content_type(MEDIA_TYPE).body(serde_json::to_vec(&body).expect("texts and numbers"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::to_bytes;
    use actix_web::http::header::CONTENT_TYPE;

    #[actix_web::test]
    async fn what_was_sent_stands_in_a_json_string_and_in_no_header() {
        let sent = "a\"\r\nSet-Cookie: x=1";
        let fault = Fault::at(format!("#/{sent}"), sent);
        let response = Problem::faults(vec![fault]).error_response();
        assert_eq!(response.headers().get(CONTENT_TYPE).expect("a type"), MEDIA_TYPE);
        assert!(response.headers().iter().all(|(name, _)| name != "set-cookie"));
        let body = to_bytes(response.into_body()).await.expect("a body");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!((&body["status"], &body["errors"][0]["detail"]), (&422.into(), &sent.into()));
        assert_eq!(body["type"], "urn:bellhop:problem:unprocessable-entity");
    }

    #[actix_web::test]
    async fn what_a_store_does_not_do_has_one_status_each_and_tells_nothing_of_the_database() {
        let boxed = || Box::<dyn std::error::Error + Send + Sync>::from("s3cret column of table people");
        let owner = bellhop_tenancy::id::Id::new(1, [1; 10]);
        let sealed = StoreError::Sealed { owner, field: "api_key".into(), why: "its key is another".into() };
        for (error, status) in [
            (StoreError::NotFound, 404),
            (StoreError::Changed { newest: 7 }, 412),
            (StoreError::Taken("taken".into()), 409),
            (StoreError::InUse("in use".into()), 409),
            (StoreError::TooMany { limit: 9 }, 409),
            (sealed, 409),
            (StoreError::Mistake { field: "title".into(), why: "has a NUL".into() }, 422),
            (StoreError::Unavailable(boxed()), 503),
            (StoreError::Refused(boxed()), 500),
        ] {
            let told = error.to_string();
            let response = Problem::from(error).error_response();
            assert_eq!(response.status(), status, "{told}");
            assert_eq!(response.headers().contains_key(RETRY_AFTER), status == 503);
            let body = to_bytes(response.into_body()).await.expect("a body");
            assert!(!String::from_utf8_lossy(&body).contains("s3cret"), "{body:?}");
        }
    }

    #[test]
    fn whoever_comes_too_soon_is_told_when_to_come_again() {
        for (wait, seconds) in
            [(Duration::ZERO, "1"), (Duration::from_millis(1_001), "2"), (Duration::from_secs(9), "9")]
        {
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many").retry_after(wait);
            assert_eq!(problem.error_response().headers().get(RETRY_AFTER).expect("told"), seconds);
        }
        assert_eq!(
            Problem::unauthorized("no").error_response().headers().get(WWW_AUTHENTICATE).expect("told"),
            "Bearer"
        );
    }
}
