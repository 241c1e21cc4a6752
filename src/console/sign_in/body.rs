//! Bodies of the requests of the sign-in: small JSON.
//!
//! Invariant: a body is read up to a length and for a time, and what it says is in no problem: it may be a password.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{FromRequest, HttpRequest, HttpResponse, dev, web};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// Most bytes of a body: a login and two passwords in any script.
const BYTES_MAX: usize = 8 * 1024;
/// The longest that a body may take to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(10);

/// What a body says.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned + 'static> FromRequest for Body<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut dev::Payload) -> Self::Future {
        let is_json = is_json(request);
        let payload = web::Payload::from_request(request, payload);
        Box::pin(async move {
            if !is_json {
                let detail = "the body is not JSON: send `Content-Type: application/json`";
                return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
            }
            let broken = || Problem::new(StatusCode::BAD_REQUEST, "the body broke off");
            let payload = payload.await.map_err(|_| broken())?;
            let arrived = tokio::time::timeout(ARRIVES_WITHIN, payload.to_bytes_limited(BYTES_MAX)).await;
            let late = || Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time");
            let long =
                || Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body has more than {BYTES_MAX} bytes"));
            let bytes = arrived.map_err(|_| late())?.map_err(|_| long())?.map_err(|_| broken())?;
            serde_json::from_slice(&bytes).map(Self).map_err(|error| unreadable(&error))
        })
    }
}

fn is_json(request: &HttpRequest) -> bool {
    let value = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// Where it is wrong, and not what stands there.
fn unreadable(error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    let what = if error.is_data() {
        "a field is missing, unknown, twice there or of another type"
    } else {
        "the body is no JSON"
    };
    Problem::new(StatusCode::BAD_REQUEST, format!("{what}: line {line}, column {column}"))
}

/// An answer that nobody keeps.
pub(super) fn answer(status: StatusCode, body: &impl Serialize) -> HttpResponse {
    HttpResponse::build(status).insert_header((CACHE_CONTROL, "no-store")).json(body)
}

/// An answer that says nothing but that it is done.
pub(super) fn done() -> HttpResponse {
    HttpResponse::NoContent().insert_header((CACHE_CONTROL, "no-store")).finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Told {
        password: String,
    }

    async fn read(content_type: &str, body: impl Into<web::Bytes>) -> Result<String, (u16, String)> {
        let request = TestRequest::post().insert_header((CONTENT_TYPE, content_type)).set_payload(body);
        let (request, mut payload) = request.to_http_parts();
        let told = Body::<Told>::from_request(&request, &mut payload).await;
        told.map(|told| told.0.password).map_err(|problem| (problem.status().as_u16(), problem.detail().to_owned()))
    }

    #[actix_web::test]
    async fn a_body_is_small_json_and_a_problem_does_not_repeat_it() {
        assert_eq!(read("application/json; charset=utf-8", r#"{"password":"s3cret"}"#).await, Ok("s3cret".into()));
        let long = format!(r#"{{"password":"{}"}}"#, "s3cret".repeat(2_000));
        for (content_type, body, status) in [
            ("text/plain", r#"{"password":"s3cret"}"#.as_bytes(), 415),
            ("application/x-www-form-urlencoded", b"password=s3cret", 415),
            ("application/json", b"s3cret", 400),
            ("application/json", b"", 400),
            ("application/json", b"{\"password\":\"\xffs3cret\"}", 400),
            ("application/json", br#"{"password":"s3cret","s3cret":1}"#, 400),
            ("application/json", br#"{"password":"s3cret","password":"s3cret"}"#, 400),
            ("application/json", br#"{"password":["s3cret"]}"#, 400),
            ("application/json", long.as_bytes(), 413),
        ] {
            let (told, detail) = read(content_type, body.to_vec()).await.expect_err("refused");
            assert_eq!(told, status, "{detail}");
            assert!(!detail.contains("s3cret"), "{detail}");
        }
    }

    #[actix_web::test]
    async fn a_body_that_does_not_come_is_not_waited_for_longer_than_a_time() {
        tokio::time::pause();
        let request = TestRequest::post().insert_header((CONTENT_TYPE, "application/json")).to_http_request();
        let never = futures_util::stream::pending::<Result<web::Bytes, actix_web::error::PayloadError>>();
        let mut payload =
            dev::Payload::Stream { payload: Box::pin(never) as Pin<Box<dyn futures_util::Stream<Item = _>>> };
        let told = Body::<Told>::from_request(&request, &mut payload).await;
        assert_eq!(told.err().expect("refused").status(), StatusCode::REQUEST_TIMEOUT);
    }
}
