//! One sign-in by an identity provider, from the request that began it to the browser that comes back: kept in a cookie of that browser.
//!
//! Invariant: what comes back is believed in the browser alone that began, for [`LASTS`], on whichever node it arrives. State,
//! nonce and verifier are derived of a secret that is in the cookie and nowhere else, and of all that was asked for: none of
//! them tells another, and nobody exchanges what is asked for under them.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use bellhop_tenancy::Secret;
use bellhop_tenancy::identity_provider::AuthorizationRequest;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::cookie::Cookie;
use super::{SignIn, secrets};

/// How long somebody may take at the provider.
pub(super) const LASTS: Duration = Duration::from_secs(600);
/// Most bytes of a path to return to.
const PATH_BYTES_MAX: usize = 512;

/// What somebody wants of a sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wanted {
    /// The path, below `http.public_url`, that the browser goes to afterwards.
    pub(super) return_to: String,
    /// The secret of an invitation that they accept by this, and how they want to be called.
    pub(super) invitation: Option<(String, String)>,
}

/// A sign-in that has begun.
pub(super) struct Authorization {
    secret: Secret,
    /// What it is about, as it stands in the cookie.
    about: String,
    pub(super) wanted: Wanted,
}

/// What stands in the cookie beside the secret.
#[derive(Serialize, Deserialize)]
struct About {
    wanted: Wanted,
    until_unix_ms: i64,
}

impl Authorization {
    /// A new one.
    pub(super) fn begin(sign_in: &SignIn, wanted: Wanted) -> Self {
        let lasts = i64::try_from(LASTS.as_millis()).unwrap_or(i64::MAX);
        let about = About { wanted: wanted.clone(), until_unix_ms: sign_in.now().saturating_add(lasts) };
        let about = BASE64URL.encode(serde_json::to_vec(&about).expect("texts and a number"));
        Self { secret: secrets::fresh(&sign_in.random), about, wanted }
    }

    /// That which the browser of a request has begun and not waited too long with.
    pub(super) fn of(sign_in: &SignIn, request: &HttpRequest) -> Option<Self> {
        let value = Cookie::Authorization.read(request, sign_in.settings.is_secure()).ok().flatten()?;
        let (secret, about) = value.split_once('.')?;
        let secret = secrets::plausible(secret)?;
        let told: About = serde_json::from_slice(&BASE64URL.decode(about).ok()?).ok()?;
        let good = sign_in.now() < told.until_unix_ms && refused_path(&told.wanted.return_to).is_none();
        good.then(|| Self { secret, about: about.to_owned(), wanted: told.wanted })
    }

    /// The cookie that keeps it.
    pub(super) fn cookie(&self, sign_in: &SignIn) -> HeaderValue {
        let value = format!("{}.{}", self.secret.expose(), self.about);
        Cookie::Authorization.given(&value, LASTS, sign_in.settings.is_secure())
    }

    /// Whether what came back is of this one.
    pub(super) fn is_of(&self, state: &str) -> bool {
        BASE64URL.decode(state).is_ok_and(|state| self.mac("state").verify_slice(&state).is_ok())
    }

    /// What the provider is asked, and asked to send back to.
    pub(super) fn request(&self, redirect_uri: String) -> AuthorizationRequest {
        let [state, nonce, code_verifier] =
            ["state", "nonce", "code verifier"].map(|what| BASE64URL.encode(self.mac(what).finalize().into_bytes()));
        AuthorizationRequest { redirect_uri, state, nonce, code_verifier: Secret::new(code_verifier) }
    }

    fn mac(&self, what: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.expose().as_bytes()).expect("a key of any length");
        // No purpose has a full stop, and neither has base64url.
        for part in ["bellhop openid connect ", what, ".", &self.about] {
            mac.update(part.as_bytes());
        }
        mac
    }
}

/// Why a browser is not sent to a path: what browsers read as another host, or not as they are shown it.
pub(crate) fn refused_path(path: &str) -> Option<String> {
    if path.len() > PATH_BYTES_MAX {
        return Some(format!("has more than {PATH_BYTES_MAX} bytes"));
    }
    let of_here = path.starts_with('/') && !path.starts_with("//");
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    (!of_here || !plain).then(|| "is not a path of this server like `/calls`".to_owned())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::COOKIE;
    use actix_web::test::TestRequest;

    use super::*;
    use crate::sign_in::stand_in::Kept;

    fn wanted() -> Wanted {
        Wanted { return_to: "/calls?of=today".to_owned(), invitation: Some(("x".to_owned(), "Ann".to_owned())) }
    }

    fn in_browser(cookie: &str) -> HttpRequest {
        TestRequest::default().insert_header((COOKIE, cookie)).to_http_request()
    }

    #[actix_web::test]
    async fn a_sign_in_is_known_in_the_browser_that_began_it_on_every_node_and_for_a_while() {
        let kept = Kept::new();
        let (sign_in, other_node) = (kept.sign_in(), kept.sign_in());
        let began = Authorization::begin(&sign_in, wanted());
        let cookie = began.cookie(&sign_in);
        let pair = cookie.to_str().expect("text").split(';').next().expect("a pair").to_owned();
        let asked = began.request("https://bellhop.example/back".to_owned());
        let back = Authorization::of(&other_node, &in_browser(&pair)).expect("known");
        assert_eq!(back.wanted, wanted());
        assert!(back.is_of(&asked.state));
        let again = back.request("https://bellhop.example/back".to_owned());
        assert_eq!((again.nonce, again.code_verifier), (asked.nonce.clone(), asked.code_verifier.clone()));
        assert_eq!(asked.code_verifier.expose().len(), 43, "RFC 7636 section 4.1");
        let texts = [asked.state.as_str(), &asked.nonce, asked.code_verifier.expose()];
        assert!((0..3).all(|n| texts[n] != texts[(n + 1) % 3]), "{texts:?}");
        for other in [
            "",
            "x",
            &asked.nonce,
            &asked.state[1..],
            &Authorization::begin(&sign_in, wanted()).request(String::new()).state,
        ] {
            assert!(!back.is_of(other), "{other}");
        }
        kept.pass(LASTS);
        assert!(Authorization::of(&sign_in, &in_browser(&pair)).is_none(), "it is over");
    }

    #[actix_web::test]
    async fn what_was_asked_for_cannot_be_exchanged_in_the_cookie() {
        let kept = Kept::new();
        let sign_in = kept.sign_in();
        let (one, other) = (
            Authorization::begin(&sign_in, wanted()),
            Authorization::begin(&sign_in, Wanted { return_to: "/".to_owned(), invitation: None }),
        );
        let state = one.request(String::new()).state;
        let mixed = format!("__Host-bellhop-authorization={}.{}", one.secret.expose(), other.about);
        let mixed = Authorization::of(&sign_in, &in_browser(&mixed)).expect("it can be read");
        assert!(!mixed.is_of(&state));
        let value = format!("{}.{}", one.secret.expose(), one.about);
        for broken in [
            format!("__Host-bellhop-authorization={value}; __Host-bellhop-authorization={value}"),
            format!("bellhop-authorization={value}"),
            format!("__Host-bellhop-authorization={}", one.secret.expose()),
            format!("__Host-bellhop-authorization={}.", one.secret.expose()),
            format!("__Host-bellhop-authorization=.{}", one.about),
            format!("__Host-bellhop-authorization={}.{}", one.secret.expose(), BASE64URL.encode("{}")),
        ] {
            assert!(Authorization::of(&sign_in, &in_browser(&broken)).is_none(), "{broken}");
        }
    }

    #[test]
    fn a_browser_is_sent_to_paths_of_this_server_alone() {
        for path in ["/", "/calls?of=today#a", "/%5C", &format!("/{}", "a".repeat(511))] {
            assert_eq!(refused_path(path), None, "{path}");
        }
        for path in
            ["", "calls", "//evil.example", "/\\evil.example", "https://evil.example", "/a b", "/a\r\nX: y", "/ä"]
        {
            assert!(refused_path(path).is_some(), "{path}");
        }
        assert!(refused_path(&format!("/{}", "a".repeat(512))).is_some());
    }
}
