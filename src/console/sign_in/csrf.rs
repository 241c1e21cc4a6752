//! Whether a request that changes something comes from our own pages, and not from another site in whose hands a browser is.
//!
//! Invariant: with a cookie nothing is changed unless three things agree: where the browser says that the request comes from
//! (`Origin`), how it stands to us (`Sec-Fetch-Site`), and a token that only our pages can read.
//!
//! A credential in `Authorization` needs none of it: no browser adds one by itself.

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::ORIGIN;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use bellhop_tenancy::Secret;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::settings::{Origin, Settings};

/// The header with the token.
pub const TOKEN_HEADER: &str = "X-CSRF-Token";

/// What the token is derived for.
const PURPOSE: &[u8] = b"bellhop csrf token";

/// Whether a method changes nothing (RFC 9110 section 9.2.1).
pub(super) fn is_safe(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE].contains(method)
}

/// The token of a session: whoever has it has the session's secret, or got it of us.
pub(super) fn token(session: &Secret) -> String {
    BASE64URL.encode(mac(session).finalize().into_bytes())
}

/// Why a request with the cookie of a session is not believed to be of our pages.
/// `in_form` is the token that a form without a script sends in its body; else it stands in a header.
pub(super) fn refused_of_session(
    request: &HttpRequest,
    ours: &Origin,
    session: &Secret,
    in_form: Option<&str>,
) -> Option<&'static str> {
    let site = match one(request, "Sec-Fetch-Site") {
        Ok(site) => site,
        Err(why) => return Some(why),
    };
    match one(request, ORIGIN.as_str()) {
        Ok(None) if site != Some("same-origin") => {
            Some("the request says neither its Origin nor that it is of the same origin: send Origin")
        }
        _ => refused_of_nobody(request, ours).or_else(|| refused_by_token(request, session, in_form)),
    }
}

/// The same of somebody who is not signed in: programs say nothing of where they come from, and browsers always do.
pub(super) fn refused_of_nobody(request: &HttpRequest, ours: &Origin) -> Option<&'static str> {
    match one(request, "Sec-Fetch-Site") {
        Ok(None | Some("same-origin" | "none")) => {}
        Ok(Some(_)) => return Some("the browser says that another site asks this (Sec-Fetch-Site)"),
        Err(why) => return Some(why),
    }
    match one(request, ORIGIN.as_str()) {
        Ok(Some(origin)) if origin != ours.as_str() => {
            Some("the request comes of another origin than `http.public_url`: open the pages by that address")
        }
        Ok(_) => None,
        Err(why) => Some(why),
    }
}

/// Why what a form sends is not believed to be of our pages, whoever is signed in.
pub(crate) fn refused_of_others(request: &HttpRequest, settings: &Settings) -> Option<&'static str> {
    refused_of_nobody(request, &settings.origin)
}

fn refused_by_token(request: &HttpRequest, session: &Secret, in_form: Option<&str>) -> Option<&'static str> {
    let shown = match one(request, TOKEN_HEADER).map(|shown| shown.or(in_form)) {
        Ok(Some(shown)) => shown,
        Ok(None) => return Some("X-CSRF-Token is missing: GET /api/v1/session tells it"),
        Err(why) => return Some(why),
    };
    let right = BASE64URL.decode(shown).is_ok_and(|shown| mac(session).verify_slice(&shown).is_ok());
    (!right).then_some("X-CSRF-Token is not this session's: GET /api/v1/session tells it")
}

/// The value of a header that comes once at most.
fn one<'a>(request: &'a HttpRequest, name: &str) -> Result<Option<&'a str>, &'static str> {
    let mut values = request.headers().get_all(name);
    match (values.next(), values.next()) {
        (_, Some(_)) => Err("one of Origin, Sec-Fetch-Site and X-CSRF-Token came twice"),
        (None, None) => Ok(None),
        (Some(value), None) => {
            value.to_str().map(Some).map_err(|_| "one of Origin, Sec-Fetch-Site and X-CSRF-Token is no text")
        }
    }
}

fn mac(session: &Secret) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(session.expose().as_bytes()).expect("a key of any length");
    mac.update(PURPOSE);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};
    use actix_web::test::TestRequest;

    const OURS: &str = "https://bellhop.example";

    fn request(origin: Option<&[u8]>, site: Option<&str>, token: Option<&str>) -> HttpRequest {
        let name = |name: &str| HeaderName::try_from(name).expect("a name");
        let headers = [
            origin.map(|origin| (ORIGIN, HeaderValue::from_bytes(origin).expect("bytes"))),
            site.map(|site| (name("Sec-Fetch-Site"), HeaderValue::from_str(site).expect("text"))),
            token.map(|token| (name(TOKEN_HEADER), HeaderValue::from_str(token).expect("text"))),
        ];
        headers.into_iter().flatten().fold(TestRequest::default(), TestRequest::append_header).to_http_request()
    }

    /// Every origin × every relation × every token: which of them is believed.
    #[test]
    fn only_what_our_own_pages_send_changes_something_of_a_session() {
        let (session, other) = (Secret::new("mine"), Secret::new("another's"));
        let ours = Origin::parse(OURS).expect("an origin");
        let (right, wrong) = (token(&session), token(&other));
        let origins: [Option<&[u8]>; 7] = [
            None,
            Some(OURS.as_bytes()),
            Some(b"null"),
            Some(b"http://bellhop.example"),
            Some(b"https://bellhop.example.evil"),
            Some(b"https://bellhop.example:8443"),
            Some(b"\xff"),
        ];
        let sites =
            [None, Some("same-origin"), Some("none"), Some("same-site"), Some("cross-site"), Some("SAME-ORIGIN")];
        let tokens = [None, Some(right.as_str()), Some(wrong.as_str()), Some(""), Some("%%%")];
        let mut believed = vec![];
        for origin in origins {
            for site in sites {
                for token in tokens {
                    let request = request(origin, site, token);
                    if refused_of_session(&request, &ours, &session, None).is_none() {
                        believed.push((origin.is_some(), site, token == Some(right.as_str())));
                    }
                }
            }
        }
        let expected = [
            (false, Some("same-origin"), true),
            (true, None, true),
            (true, Some("same-origin"), true),
            (true, Some("none"), true),
        ];
        assert_eq!(believed, expected);
    }

    #[test]
    fn who_is_not_signed_in_may_be_a_program_and_no_other_site() {
        let ours = Origin::parse(OURS).expect("an origin");
        for (origin, site, good) in [
            (None, None, true),
            (Some(OURS), None, true),
            (Some(OURS), Some("same-origin"), true),
            (None, Some("cross-site"), false),
            (Some(OURS), Some("same-site"), false),
            (Some("https://evil.example"), None, false),
            (Some("null"), None, false),
        ] {
            let request = request(origin.map(str::as_bytes), site, None);
            assert_eq!(refused_of_nobody(&request, &ours).is_none(), good, "{origin:?} {site:?}");
        }
    }

    #[test]
    fn a_header_that_comes_twice_is_not_believed() {
        let (session, ours) = (Secret::new("mine"), Origin::parse(OURS).expect("an origin"));
        let right = token(&session);
        for (name, value) in [("Origin", OURS), ("Sec-Fetch-Site", "same-origin"), (TOKEN_HEADER, &right)] {
            let request = TestRequest::default()
                .append_header(("Origin", OURS))
                .append_header(("Sec-Fetch-Site", "same-origin"))
                .append_header((TOKEN_HEADER, right.as_str()))
                .append_header((name, value));
            assert!(refused_of_session(&request.to_http_request(), &ours, &session, None).is_some(), "{name}");
        }
    }
}
