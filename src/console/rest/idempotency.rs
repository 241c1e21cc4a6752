//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a POST that may be sent twice.
//!
//! Invariant: of requests of one user under one key and route the first alone is carried out, and what it was answered is kept only
//! if all went well: what was refused may be sent again. Of what failed it is not known whether it was done: it stays begun. An answer that
//! shows something once is not kept at all.

use std::future::Future;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, LOCATION};
use bellhop_tenancy::access::Author;
use bellhop_tenancy::store::{Begun, KeptAnswer, KeyedRequest, TenantStore};
use sha2::{Digest, Sha256};

use super::given::{Given, Said};
use super::route::{Outcome, Route};
use crate::API;
use crate::problem::Problem;

/// Most characters of a key.
const KEY_CHARS_MAX: usize = 255;
/// Most bytes of an answer that is kept.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The key of a request: a string of RFC 8941, or a bare word.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut all = headers.get_all("idempotency-key");
    let Some(value) = all.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|_| all.next().is_none()).map(str::trim).unwrap_or_default();
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let plain = inner.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
    if inner.is_empty() || inner.len() > KEY_CHARS_MAX || !plain {
        let why =
            format!("`Idempotency-Key` is no text like \"8e03978e-40d5-43e8\" of at most {KEY_CHARS_MAX} characters");
        return Err(Problem::new(StatusCode::BAD_REQUEST, why));
    }
    Ok(Some(inner.to_owned()))
}

/// A mark of a body.
pub(super) fn digest(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

/// A request as the store knows it: whose it is, what is asked, its key, and a mark of what it says.
pub(super) fn request(by: &Author, asked: &str, key: &str, fingerprint: &[u8], at_unix_ms: i64) -> KeyedRequest {
    let whose = [
        by.signed_in.user().map(|id| id.to_string()).unwrap_or_default(),
        by.signed_in.scope().tenant().map(|id| id.to_string()).unwrap_or_default(),
        asked.to_owned(),
        key.to_owned(),
    ];
    let mut name = Sha256::new();
    for part in whose {
        // Each with its length: what moves from one to the next is another request.
        name.update((part.len() as u64).to_be_bytes());
        name.update(part);
    }
    KeyedRequest { name: hex(&name.finalize()), fingerprint: hex(fingerprint), at_unix_ms }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Carries a request out if it is the first of its name.
pub(super) async fn once(
    store: &Arc<dyn TenantStore>,
    by: &Author,
    route: &Route,
    request: &KeyedRequest,
    carried_out: impl Future<Output = Outcome>,
) -> Outcome {
    match store.begin(by, request).await? {
        Begun::First => {
            let outcome = carried_out.await;
            let answer = match &outcome {
                Ok(given) => Some(kept(route, given)),
                Err(problem) if problem.status().is_client_error() || route.is_trial => None,
                Err(_) => return outcome,
            };
            if let Err(error) = store.settle(&request.name, answer).await {
                // It was done, or was not: who sends it again is told that this is not known.
                tracing::warn!(%error, "the answer of a request with a key is not kept");
            }
            outcome
        }
        Begun::InFlight => Err(Problem::new(
            StatusCode::CONFLICT,
            "a request with this key has begun, and what became of it is not known yet: ask again, or look what is there",
        )),
        Begun::Another => {
            let why = "this key was another request's: take a new one for each";
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why))
        }
        Begun::Answered(answer) => again(answer),
    }
}

fn kept(route: &Route, given: &Given) -> KeptAnswer {
    let body = match &given.body {
        Said::Json(text) if !route.shown_once && text.len() <= ANSWER_BYTES_MAX => Some(text.clone()),
        Said::Nothing => Some(String::new()),
        Said::Json(_) | Said::Text(_) | Said::Part(_) | Said::Events(_) => None,
    };
    KeptAnswer { status: given.status.as_u16(), location: given.location.clone(), etag: given.etag.clone(), body }
}

fn again(answer: KeptAnswer) -> Outcome {
    let Some(body) = answer.body else {
        let why = "this was done before, and what was answered is not kept: it is shown once, or was too long";
        let problem = Problem::new(StatusCode::CONFLICT, why);
        return Err(match &answer.location {
            Some(location) => problem.with(LOCATION, &format!("{API}{location}")),
            None => problem,
        });
    };
    let body = if body.is_empty() { Said::Nothing } else { Said::Json(body) };
    let status = StatusCode::from_u16(answer.status).map_err(|_| Problem::internal())?;
    Ok(Given { status, etag: answer.etag, location: answer.location, body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};
    use bellhop_tenancy::access::SignedIn;

    #[test]
    fn a_key_is_one_text_of_bounded_length() {
        let read = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                let value = HeaderValue::from_str(value).expect("a header");
                headers.append(HeaderName::from_static("idempotency-key"), value);
            }
            key(&headers).map_err(|problem| problem.status())
        };
        assert_eq!(read(&[]), Ok(None));
        for good in ["\"8e03978e-40d5\"", "8e03978e-40d5"] {
            assert_eq!(read(&[good]), Ok(Some("8e03978e-40d5".to_owned())));
        }
        let long = "k".repeat(KEY_CHARS_MAX + 1);
        for bad in [&["\"a\"", "\"b\""][..], &[""], &["\"\""], &["a b"], &["\"a\"b\""], &["a\\b"], &[&long]] {
            assert_eq!(read(bad), Err(StatusCode::BAD_REQUEST), "{bad:?}");
        }
    }

    #[test]
    fn a_name_is_of_whose_what_and_key_and_tells_none_of_them() {
        let by = Author { signed_in: SignedIn::on_this_machine("test"), from: "here".into() };
        let name = |asked: &str, key: &str, body: &[u8]| request(&by, asked, key, &digest(body), 1);
        let first = name("POST /a?", "k", b"{}");
        assert_eq!(first, name("POST /a?", "k", b"{}"));
        assert_ne!(first.name, name("POST /b?", "k", b"{}").name);
        assert_ne!(first.name, name("POST /a?k", "", b"{}").name, "nothing moves from one part to the next");
        assert_eq!(first.name, name("POST /a?", "k", b"{ }").name);
        assert_ne!(first.fingerprint, name("POST /a?", "k", b"{ }").fingerprint);
        assert!(first.name.len() == 64 && first.fingerprint.len() == 64);
    }
}
