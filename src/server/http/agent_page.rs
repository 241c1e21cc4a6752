//! `GET /loadAgentAppFrame.html?session_history_key=…`: why the caller is handed over, and the conversation, for the agent who
//! takes over; `GET /loadAgentApp.js` puts that page into one of the operator's own.
//!
//! Who may read: `agent_page/reading.rs`; what is shown: `agent_page/shown.rs`; what is shown instead: `agent_page/not_here.rs` and
//! `agent_page/signing_in.rs`. Invariant: a key that is malformed, unknown, expired, used up or not here yet gets the same page after the
//! same work, and the same headers. No key reaches a log, a title or a referrer.

mod not_here;
mod reading;
mod shown;
mod signing_in;

use actix_web::web::{Data, Payload, Query};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, http::StatusCode};

use super::Shared;
use super::page_words::Words;
use not_here::not_here;
use reading::{Read, read};
use shown::show;
use signing_in::sign_in_page;

/// Most characters of what was asked for that are asked for again: more than any key has.
const KEY_CHARS_MAX: usize = 128;

/// What the address asks for. Whatever else stands there is nobody's concern; of what comes twice the first counts.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    key: String,
    /// How often this page has asked by itself.
    times: usize,
    /// A sign-in has failed.
    was_wrong: bool,
}

impl Asked {
    fn of(query: &str) -> Self {
        let pairs = Query::<Vec<(String, String)>>::from_query(query).map(Query::into_inner).unwrap_or_default();
        let first = |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        Self {
            key: first("session_history_key").unwrap_or_default().to_owned(),
            times: first("asked").map_or(0, |times| times.parse().unwrap_or(usize::MAX)),
            was_wrong: first("wrong").is_some(),
        }
    }
}

/// The query that asks for a key again. It tells nothing but what was asked for, and no more of that than a key has.
fn query_of(key: &str) -> String {
    let key: String = key.chars().take(KEY_CHARS_MAX).collect();
    format!("?session_history_key={}", urlencoding(&key))
}

/// Percent-encoded but for what is always itself in a query (RFC 3986 section 2.3).
fn urlencoding(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes().map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// `GET /loadAgentAppFrame.html`
pub(super) async fn agent_page(request: HttpRequest, shared: Data<Shared>) -> HttpResponse {
    let asked = Asked::of(request.query_string());
    // The style sheets and scripts are named by a value nobody can guess: nothing else on the page styles or runs.
    let nonce = format!("{:032x}", rand::random::<u128>());
    match read(&shared, &request, &asked.key).await {
        Read::Shown(conversation) => {
            let form = if conversation.csrf_token.is_some() { Form::Own } else { Form::None };
            let mut answer = answer(StatusCode::OK, Framed::By(&conversation.ancestors), form, &nonce);
            answer.body(show(&conversation, &asked.key, &nonce))
        }
        Read::SignIn { ancestors, language } => {
            let mut answer = answer(StatusCode::OK, Framed::By(&ancestors), Form::Own, &nonce);
            answer.body(sign_in_page(&request, &asked, Words::of(&language), &nonce))
        }
        Read::NotHere => answer(StatusCode::NOT_FOUND, Framed::ByAnybody, Form::None, &nonce).body(not_here(
            &asked,
            accepted(&request),
            &nonce,
        )),
        Read::Unavailable => answer(StatusCode::SERVICE_UNAVAILABLE, Framed::ByAnybody, Form::None, &nonce)
            .content_type("text/plain; charset=utf-8")
            .body(accepted(&request).busy),
    }
}

/// `POST /loadAgentAppSignIn`
pub(super) async fn signs_in(request: HttpRequest, payload: Payload) -> HttpResponse {
    signing_in::signs_in(&request, payload).await
}

/// `POST /loadAgentAppSignOut`
pub(super) async fn signs_out(request: HttpRequest, payload: Payload) -> HttpResponse {
    signing_in::signs_out(&request, payload).await
}

/// The words for whoever reads, of whom nothing is known but their browser.
fn accepted(request: &HttpRequest) -> &'static Words {
    let header = request.headers().get(actix_web::http::header::ACCEPT_LANGUAGE);
    Words::accepted(header.and_then(|value| value.to_str().ok()).unwrap_or_default())
}

/// Who may show a page in a frame.
#[derive(Clone, Copy)]
enum Framed<'a> {
    /// These origins; nobody where there are none.
    By(&'a [String]),
    /// Anybody: whose key it is is not known, and nothing is shown or can be pressed that matters. Else an agent whose conversation is
    /// not here yet would see an empty frame.
    ByAnybody,
}

/// Whether a page has a form of ours.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    None,
    /// It needs `Origin`, which browsers keep to themselves where they send no referrer at all; the origin alone tells no key.
    Own,
}

fn answer(status: StatusCode, framed: Framed<'_>, form: Form, nonce: &str) -> HttpResponseBuilder {
    let ancestors = match framed {
        Framed::By([]) => "'none'".to_owned(),
        Framed::By(origins) => origins.join(" "),
        Framed::ByAnybody => "*".to_owned(),
    };
    let (action, referrer) = match form {
        Form::None => ("'none'", "no-referrer"),
        Form::Own => ("'self'", "strict-origin"),
    };
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; base-uri 'none'; form-action {action}; frame-ancestors {ancestors}"
    );
    let mut response = HttpResponse::build(status);
    response
        .content_type("text/html; charset=utf-8")
        .insert_header(("Content-Security-Policy", policy))
        .insert_header(("Cache-Control", "no-store"))
        .insert_header(("Referrer-Policy", referrer))
        .insert_header(("X-Content-Type-Options", "nosniff"))
        .insert_header(("X-Robots-Tag", "noindex"));
    response
}

/// `GET /loadAgentApp.js`: a script for pages of the operator's own, as the hosted integration has it.
pub(super) async fn load_agent_app() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/javascript; charset=utf-8")
        .insert_header(("Cache-Control", "no-store"))
        .insert_header(("Cross-Origin-Resource-Policy", "cross-origin"))
        .insert_header(("X-Content-Type-Options", "nosniff"))
        .body(include_str!("load_agent_app.js"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_whatever_stands_in_it() {
        for (query, key, times, was_wrong) in [
            ("session_history_key=_a&session_history_key=b", "_a", 0, false),
            ("session_history_key==a&asked=3&wrong=1", "=a", 3, true),
            ("asked=-1&session_history_key=%ff", "\u{fffd}", usize::MAX, false),
            ("=&&=x", "", 0, false),
            ("", "", 0, false),
        ] {
            let expected = Asked { key: key.to_owned(), times, was_wrong };
            assert_eq!(Asked::of(query), expected, "{query}");
        }
    }

    #[test]
    fn what_was_asked_for_is_asked_for_again_bounded_and_harmless() {
        assert_eq!(query_of("_0af"), "?session_history_key=_0af");
        assert_eq!(query_of("\"><b>&é"), "?session_history_key=%22%3E%3Cb%3E%26%C3%A9");
        assert_eq!(query_of(&"x".repeat(10_000)).len(), "?session_history_key=".len() + KEY_CHARS_MAX);
    }
}
