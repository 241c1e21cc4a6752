//! Agents who sign in at the page that shows a conversation, which may stand in a frame of another site.
//!
//! Invariant: the cookie of such a session signs nobody in anywhere else: pages and REST do not look at it. Other sites can have a
//! browser send it, so it changes nothing by itself: what a form sends comes of our own pages, with the token that only they can read
//! (`csrf.rs`).

use std::net::IpAddr;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderValue;
use actix_web::web::Payload;
use bellhop_tenancy::Secret;

use super::cookie::Cookie;
use super::visitor::Visitor;
use super::{SignIn, csrf, secrets};
use crate::form_body::FormBody;
use crate::problem::Problem;
use crate::shares::Shares;

/// Most bytes of a form: a login, a password and a key in any script.
const BYTES_MAX: usize = 8 * 1024;
/// The longest that a form may take to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(10);
/// Forms that are read at once, and of these those from one address.
static FORMS: Shares<[u8; 8]> = Shares::of(32, 4);

/// What a form of that page sends. It never shows itself: it holds a password and a key.
pub struct AgentForm(Vec<(String, String)>);

impl AgentForm {
    /// Reads what one of our own pages sends.
    pub async fn read(request: &HttpRequest, payload: Payload) -> Result<Self, Problem> {
        let sign_in = SignIn::of(request)?;
        if let Some(why) = csrf::refused_of_others(request, sign_in.settings()) {
            return Err(Problem::forbidden(why));
        }
        let body = FormBody { bytes_max: BYTES_MAX, within: ARRIVES_WITHIN, shares: &FORMS };
        let bytes = body.read(request, payload, sign_in.address(request)).await?;
        Ok(Self(form_urlencoded::parse(&bytes).into_owned().collect()))
    }

    /// A field; empty if it is not there.
    pub fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// The address that a request comes from, as far as it is known.
pub fn address(request: &HttpRequest) -> Option<IpAddr> {
    match SignIn::of(request) {
        Ok(sign_in) => Some(sign_in.address(request)),
        Err(_) => request.peer_addr().map(|peer| peer.ip()),
    }
}

/// What people call the identity provider, if there is one.
pub fn provider(request: &HttpRequest) -> Option<String> {
    SignIn::of(request).ok()?.provider_name().map(str::to_owned)
}

/// Who is at the page: by a session of that page, or, where the browser sends it, by one of the other pages. A problem other than that it is
/// nobody is told.
pub async fn who(request: &HttpRequest) -> Result<Option<Visitor>, Problem> {
    let sign_in = SignIn::of(request)?;
    if let Some(secret) = secret(request, &sign_in) {
        match Visitor::of_session(&sign_in, request, &secret).await {
            Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => {}
            by_page => return by_page.map(Some),
        }
    }
    match Visitor::seen(request).await {
        Ok(visitor) => Ok(Some(visitor)),
        Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => Ok(None),
        Err(problem) => Err(problem),
    }
}

/// Somebody who knows the password of a login signs in at the page; the cookie that says so.
pub async fn signs_in(request: &HttpRequest, form: &AgentForm) -> Result<HeaderValue, Problem> {
    let (sign_in, password) = (SignIn::of(request)?, Secret::new(form.text("password")));
    let began = sign_in.by_password_with(Cookie::Agent, request, form.text("login").trim(), password).await?;
    Ok(began.cookie)
}

/// Ends the session of whoever is at the page; the cookie is taken back.
pub async fn signs_out(request: &HttpRequest, form: &AgentForm) -> Result<HeaderValue, Problem> {
    let sign_in = SignIn::of(request)?;
    let gone = Cookie::Agent.taken_back(sign_in.settings().is_secure());
    let Some(secret) = secret(request, &sign_in) else { return Ok(gone) };
    let token = Some(form.text("csrf_token"));
    if let Some(why) = csrf::refused_of_session(request, &sign_in.settings().origin, &secret, token) {
        return Err(Problem::forbidden(why));
    }
    match Visitor::of_session(&sign_in, request, &secret).await {
        Ok(visitor) => sign_in.ends(&visitor).await?,
        Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => {}
        Err(problem) => return Err(problem),
    }
    Ok(gone)
}

/// The secret of a session of that page; a cookie that comes twice is none.
fn secret(request: &HttpRequest, sign_in: &SignIn) -> Option<Secret> {
    let value = Cookie::Agent.read(request, sign_in.settings().is_secure()).ok().flatten()?;
    secrets::plausible(&value)
}
