//! Sessions of browsers: how one begins, what it shows of who is signed in, and how it ends.
//!
//! Invariant: a sign-in makes a session of a new secret and ends the one that the browser had, so that a secret which
//! somebody planted is never one that signs in.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, SET_COOKIE, USER_AGENT};
use actix_web::web;
use actix_web::{HttpRequest, HttpResponse};
use bellhop_tenancy::access::{CredentialKind, Role, SESSION_MAX, SecretHash, ShownBy};
use bellhop_tenancy::id::Id;
use bellhop_tenancy::store::{KeptCredential, NewSession, Owner};
use serde::Serialize;
use utoipa::ToSchema;

use super::arrival::Arrival;
use super::body::{answer, done};
use super::cookie::Cookie;
use super::listing::{Asked, List, time};
use super::resource::{Served, identifier};
use super::visitor::{self, Visitor};
use super::{SignIn, csrf, secrets};
use crate::problem::Problem;

/// Most characters that are kept of what a browser calls itself.
const BROWSER_SHOWN: usize = 200;

/// Who is signed in, and how one may sign in.
#[derive(Serialize, ToSchema)]
pub(super) struct Session {
    /// Nobody, or who.
    signed_in: Option<Who>,
    /// What changes need in `X-CSRF-Token` besides the cookie.
    csrf_token: Option<String>,
    /// How one may sign in here.
    ways: Vec<Way>,
}

/// Somebody who is signed in.
#[derive(Serialize, ToSchema)]
struct Who {
    user: Option<String>,
    login: String,
    role: String,
    tenant: Option<Tenant>,
    /// The session or token that was shown.
    credential: Option<String>,
    by_token: bool,
}

/// Where they belong.
#[derive(Serialize, ToSchema)]
#[schema(as = TenantOfSession)]
struct Tenant {
    id: String,
    name: String,
}

/// How one may sign in.
#[derive(Serialize, ToSchema)]
#[schema(as = WayToSignIn)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Way {
    /// `POST /api/v1/sign-in`
    Password,
    /// `POST /api/v1/sign-in/openid-connect`
    OpenIdConnect {
        /// What people call the identity provider.
        name: String,
    },
}

/// A session as it is listed.
#[derive(Serialize, ToSchema)]
#[schema(as = ListedSession)]
pub(super) struct Listed {
    id: String,
    user: String,
    /// What the browser calls itself.
    browser: String,
    from: String,
    created_at: String,
    seen_at: String,
    expires_at: String,
    /// Whether it is the one that asks.
    current: bool,
}

/// A session that began.
pub(crate) struct Began {
    /// Whose.
    pub(crate) visitor: Visitor,
    /// What the browser is given.
    pub(crate) cookie: HeaderValue,
}

impl SignIn {
    /// What a program is answered whose session began.
    pub(super) async fn told(
        &self,
        Began { visitor, cookie }: Began,
        status: StatusCode,
    ) -> Result<HttpResponse, Problem> {
        let mut response = answer(status, &self.shown(Some(&visitor)).await?);
        response.headers_mut().append(SET_COOKIE, cookie);
        Ok(response)
    }

    /// Begins a session of a user: who they are, and the cookie that says so.
    pub(super) async fn begin_session(
        &self,
        request: &HttpRequest,
        arrival: Arrival,
        user: Id,
    ) -> Result<Began, Problem> {
        self.begin_session_by(Cookie::Session, request, arrival, user).await
    }

    /// The same by a cookie.
    pub(super) async fn begin_session_by(
        &self,
        cookie: Cookie,
        request: &HttpRequest,
        arrival: Arrival,
        user: Id,
    ) -> Result<Began, Problem> {
        let secret = secrets::fresh(&self.random);
        let browser =
            request.headers().get(USER_AGENT).map(|name| String::from_utf8_lossy(name.as_bytes()).into_owned());
        let session = NewSession {
            user,
            hash: SecretHash::of(&secret),
            name: browser.unwrap_or_default().chars().take(BROWSER_SHOWN).collect(),
            from: arrival.address.to_string(),
            expires_unix_ms: self.now().saturating_add(i64::try_from(SESSION_MAX.as_millis()).unwrap_or(i64::MAX)),
        };
        self.end_that_of(cookie, request).await?;
        self.ports.sign_ins.add_session(session).await?;
        let signed_in =
            self.admit(CredentialKind::Session, &secret, ShownBy::Somebody).await?.ok_or_else(Problem::internal)?;
        let visitor = Visitor::new(signed_in, arrival.address, Some(csrf::token(&secret)));
        let cookie = cookie.given(secret.expose(), SESSION_MAX, self.settings.is_secure());
        Ok(Began { visitor, cookie })
    }

    /// Ends the session that a browser had before.
    async fn end_that_of(&self, cookie: Cookie, request: &HttpRequest) -> Result<(), Problem> {
        let before = cookie.read(request, self.settings.is_secure()).ok().flatten();
        let Some(secret) = before.and_then(|text| secrets::plausible(&text)) else { return Ok(()) };
        let known = self.known(CredentialKind::Session, &secret, ShownBy::Somebody).await?;
        if let Some(session) = known.and_then(|signed_in| signed_in.credential()) {
            self.ports.sign_ins.end_session(session).await?;
        }
        Ok(())
    }

    /// Ends the session that somebody asks by, in person; its cookie is to be [taken back](Self::no_cookie).
    pub(crate) async fn ends(&self, visitor: &Visitor) -> Result<(), Problem> {
        visitor.in_person()?;
        if let Some(session) = visitor.signed_in().credential() {
            self.ports.sign_ins.end_session(session).await?;
        }
        Ok(())
    }

    /// Takes the cookie of a session back.
    pub(crate) fn no_cookie(&self) -> HeaderValue {
        Cookie::Session.taken_back(self.settings.is_secure())
    }

    /// What is shown of who is signed in.
    pub(super) async fn shown(&self, visitor: Option<&Visitor>) -> Result<Session, Problem> {
        let provider = self.ports.provider.as_ref().map(|provider| provider.name().to_owned());
        let ways = [Way::Password].into_iter().chain(provider.map(|name| Way::OpenIdConnect { name })).collect();
        let Some(visitor) = visitor else { return Ok(Session { signed_in: None, csrf_token: None, ways }) };
        let who = visitor.signed_in();
        let tenant = match who.standing().tenant() {
            Some(id) => Some(Tenant { id: id.to_string(), name: self.ports.people.tenant_name(id).await? }),
            None => None,
        };
        let signed_in = Who {
            user: who.user().map(|id| id.to_string()),
            login: who.name().to_owned(),
            role: who.role().to_string(),
            tenant,
            credential: who.credential().map(|id| id.to_string()),
            by_token: who.is_by_token(),
        };
        Ok(Session { signed_in: Some(signed_in), csrf_token: visitor.csrf_token().map(str::to_owned), ways })
    }
}

/// `GET /session`: who I am. Whoever's cookie is over is told that they are nobody, and how to become somebody.
async fn session(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let sign_in = SignIn::of(&request)?;
    let visitor = match Visitor::of(&request).await {
        Ok(visitor) => Some(visitor),
        Err(problem) if problem.status() == StatusCode::UNAUTHORIZED && !visitor::shows_a_token(&request) => None,
        Err(problem) => return Err(problem),
    };
    Ok(answer(StatusCode::OK, &sign_in.shown(visitor.as_ref()).await?))
}

/// `POST /sign-out`
async fn sign_out(request: HttpRequest, visitor: Visitor) -> Result<HttpResponse, Problem> {
    let sign_in = SignIn::of(&request)?;
    sign_in.ends(&visitor).await?;
    Ok(without_cookie(&sign_in))
}

/// `GET /sessions`: one's own, or with `everybody=true` those of all whom one looks after.
async fn sessions(request: HttpRequest, visitor: Visitor) -> Result<HttpResponse, Problem> {
    let (sign_in, asked) = (SignIn::of(&request)?, Asked::of(&request)?);
    let (owner, page) = (asked.owner(&visitor)?, asked.page()?);
    let listed = sign_in.ports.people.credentials(&visitor.author(), CredentialKind::Session, owner, page).await?;
    let current = visitor.signed_in().credential();
    Ok(answer(StatusCode::OK, &List::of(listed, |kept| show(kept, current))))
}

fn show(kept: KeptCredential, current: Option<Id>) -> Listed {
    Listed {
        id: kept.id.to_string(),
        user: kept.user.to_string(),
        browser: kept.name,
        from: kept.from,
        created_at: time(kept.created_unix_ms),
        seen_at: time(kept.seen_unix_ms),
        expires_at: time(kept.expires_unix_ms),
        current: current == Some(kept.id),
    }
}

/// `DELETE /sessions/{id}`: one's own, or of somebody whom one looks after.
async fn end_session(request: HttpRequest, visitor: Visitor) -> Result<HttpResponse, Problem> {
    let (sign_in, id) = (SignIn::of(&request)?, identifier(&request)?);
    visitor.may_end(id)?;
    sign_in.ports.people.revoke(&visitor.author(), CredentialKind::Session, reach(&visitor), id).await?;
    Ok(if visitor.signed_in().credential() == Some(id) { without_cookie(&sign_in) } else { done() })
}

/// Whose sessions and tokens somebody may end.
pub(super) fn reach(visitor: &Visitor) -> Owner {
    if visitor.role() >= Role::Admin { Owner::Anybody } else { Owner::Own }
}

fn without_cookie(sign_in: &SignIn) -> HttpResponse {
    let mut response = done();
    response.headers_mut().append(SET_COOKIE, sign_in.no_cookie());
    response
}

/// Its resources.
pub(super) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(Served::at("/session").get(session).whole())
        .service(Served::at("/sign-out").post(sign_out).whole())
        .service(Served::at("/sessions").get(sessions).whole())
        .service(Served::at("/sessions/{id}").delete(end_session).whole());
}
