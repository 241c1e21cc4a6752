//! Who asks: read from what every request shows, before its handler begins.
//!
//! Invariant: `Authorization` wins: where it is there, a cookie is not looked at, and one that is not right signs nobody in.
//! A secret that others could have read on its way signs nobody in either.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use bellhop_tenancy::Secret;
use bellhop_tenancy::access::{Author, CredentialKind, Role, Scope, SecretHash, ShownBy, SignedIn};
use bellhop_tenancy::id::Id;

use crate::problem::Problem;

use super::arrival::{Arrival, Way};
use super::cookie::Cookie;
use super::{SignIn, csrf, secrets};

/// What is said to whoever shows nothing, or nothing that is right.
const WHO: &str = "sign in, or send `Authorization: Bearer` with a token";

/// Somebody who is signed in, and may ask this by the way they are: what else they may is for who serves the resource.
#[derive(Debug, Clone)]
pub struct Visitor {
    signed_in: SignedIn,
    from: IpAddr,
    csrf_token: Option<String>,
}

/// What a request shows.
pub(super) enum Shown {
    Nothing,
    Token(Secret),
    Session(Secret),
}

impl Visitor {
    /// Who is signed in.
    pub fn signed_in(&self) -> &SignedIn {
        &self.signed_in
    }

    /// Whose things they reach.
    pub fn scope(&self) -> Scope {
        self.signed_in.scope()
    }

    /// What they may do.
    pub fn role(&self) -> Role {
        self.signed_in.role()
    }

    /// Who changes something, for the audit.
    pub fn author(&self) -> Author {
        Author { signed_in: self.signed_in.clone(), from: self.from.to_string() }
    }

    /// The address that they come from.
    pub fn from(&self) -> IpAddr {
        self.from
    }

    /// The token that changes need besides the cookie; none for who shows a token of their own.
    pub fn csrf_token(&self) -> Option<&str> {
        self.csrf_token.as_deref()
    }

    /// Refuses a token what makes others: whoever found one must not be able to stay.
    pub fn in_person(&self) -> Result<(), Problem> {
        if self.signed_in.is_by_token() {
            return Err(Problem::forbidden("a token cannot do this: sign in with a browser"));
        }
        Ok(())
    }

    /// Refuses a token the end of another token or of a session: it may be one that may less than whose they are.
    pub fn may_end(&self, id: Id) -> Result<(), Problem> {
        if self.signed_in.is_by_token() && self.signed_in.credential() != Some(id) {
            return Err(Problem::forbidden("a token ends itself alone: sign in with a browser"));
        }
        Ok(())
    }

    pub(super) fn new(signed_in: SignedIn, from: IpAddr, csrf_token: Option<String>) -> Self {
        Self { signed_in, from, csrf_token }
    }

    /// Whoever sends a request, or why it is nobody.
    pub(super) async fn of(request: &HttpRequest) -> Result<Self, Problem> {
        Self::read(request, None).await
    }

    /// The same of who sends a form, with the token that stands in it.
    pub(crate) async fn of_form(request: &HttpRequest, csrf_token: &str) -> Result<Self, Problem> {
        Self::read(request, Some(csrf_token)).await
    }

    /// Whoever's cookie comes with a request, wherever that was made: to be shown a page, and to change nothing.
    pub(crate) async fn seen(request: &HttpRequest) -> Result<Self, Problem> {
        let sign_in = SignIn::of(request)?;
        let Shown::Session(secret) = Shown::of(request, &sign_in)? else { return Err(Problem::unauthorized(WHO)) };
        Self::of_session(&sign_in, request, &secret).await
    }

    /// Whose session a secret is that came with a request.
    pub(super) async fn of_session(sign_in: &SignIn, request: &HttpRequest, secret: &Secret) -> Result<Self, Problem> {
        let arrival = sign_in.arrival(request)?;
        must_be_private(arrival)?;
        sign_in.limits.shown(arrival.address)?;
        let signed_in = sign_in.admit(CredentialKind::Session, secret, shown_by(request)).await?;
        let signed_in = signed_in.ok_or_else(|| Problem::unauthorized("the session is over: sign in again"))?;
        Ok(Self::new(signed_in, arrival.address, Some(csrf::token(secret))))
    }

    async fn read(request: &HttpRequest, in_form: Option<&str>) -> Result<Self, Problem> {
        let sign_in = SignIn::of(request)?;
        let arrival = sign_in.arrival(request)?;
        let visitor = Self::known(request, &sign_in, arrival, in_form).await;
        if visitor.as_ref().is_err_and(|problem| problem.status() == StatusCode::UNAUTHORIZED) {
            sign_in.limits.stranger(arrival.address)?;
        }
        visitor
    }

    async fn known(
        request: &HttpRequest,
        sign_in: &SignIn,
        arrival: Arrival,
        in_form: Option<&str>,
    ) -> Result<Self, Problem> {
        let shown = Shown::of(request, sign_in)?;
        if !matches!(shown, Shown::Nothing) {
            must_be_private(arrival)?;
            sign_in.limits.shown(arrival.address)?;
        }
        let visitor = |signed_in, csrf_token| Self::new(signed_in, arrival.address, csrf_token);
        match shown {
            Shown::Nothing => Err(Problem::unauthorized(WHO)),
            Shown::Token(secret) => {
                let signed_in = sign_in.admit(CredentialKind::Token, &secret, ShownBy::Somebody).await?;
                Ok(visitor(signed_in.ok_or_else(|| Problem::unauthorized("the token is not known, or is over"))?, None))
            }
            Shown::Session(secret) => {
                let signed_in = sign_in.admit(CredentialKind::Session, &secret, ShownBy::Somebody).await?;
                let signed_in = signed_in.ok_or_else(|| Problem::unauthorized("the session is over: sign in again"))?;
                if !csrf::is_safe(request.method())
                    && let Some(why) = csrf::refused_of_session(request, &sign_in.settings.origin, &secret, in_form)
                {
                    return Err(Problem::forbidden(why));
                }
                Ok(visitor(signed_in, Some(csrf::token(&secret))))
            }
        }
    }
}

impl FromRequest for Visitor {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let known = request.extensions().get::<Self>().cloned();
        let request = request.clone();
        Box::pin(async move {
            match known {
                Some(known) => Ok(known),
                None => {
                    let visitor = Self::of(&request).await?;
                    request.extensions_mut().insert(visitor.clone());
                    Ok(visitor)
                }
            }
        })
    }
}

impl Shown {
    pub(super) fn of(request: &HttpRequest, sign_in: &SignIn) -> Result<Self, Problem> {
        let mut authorizations = request.headers().get_all(AUTHORIZATION);
        if let Some(value) = authorizations.next() {
            let text = value.to_str().ok().filter(|_| authorizations.next().is_none());
            let bearer =
                text.and_then(|text| text.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"));
            let token = bearer.and_then(|(_, token)| secrets::plausible_token(token.trim()));
            return token.map(Self::Token).ok_or_else(|| {
                Problem::unauthorized("`Authorization` is not `Bearer` and a token of this server, whole and once")
            });
        }
        let cookie = Cookie::Session.read(request, sign_in.settings.is_secure());
        let cookie =
            cookie.map_err(|_| Problem::unauthorized("the cookie of the session came twice: sign in again"))?;
        let Some(value) = cookie else { return Ok(Self::Nothing) };
        let secret =
            secrets::plausible(&value).ok_or_else(|| Problem::unauthorized("the session is over: sign in again"))?;
        Ok(Self::Session(secret))
    }
}

/// The header of what a part of a page asks again by itself: whoever left their desk is signed out all the same.
const BY_ITSELF: &str = "Bellhop-Polls";

/// Who has the cookie shown that comes with a request.
fn shown_by(request: &HttpRequest) -> ShownBy {
    let is_by_itself = csrf::is_safe(request.method()) && request.headers().contains_key(BY_ITSELF);
    if is_by_itself { ShownBy::Itself } else { ShownBy::Somebody }
}

/// Whether a request shows a token, right or not.
pub(super) fn shows_a_token(request: &HttpRequest) -> bool {
    request.headers().contains_key(AUTHORIZATION)
}

/// Refuses what others could have read on its way.
pub(super) fn must_be_private(arrival: Arrival) -> Result<(), Problem> {
    match arrival.way {
        Way::Private => Ok(()),
        Way::Open => Err(Problem::forbidden(
            "no secret is taken over plain HTTP: use https, or list the proxy that speaks it in `http.behind`",
        )),
    }
}

impl SignIn {
    /// That of the server which a request came to.
    pub(crate) fn of(request: &HttpRequest) -> Result<Data<Self>, Problem> {
        let missing = || Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "this server has no sign-in");
        request.app_data::<Data<Self>>().cloned().ok_or_else(missing)
    }

    /// Where a request comes from.
    pub(super) fn arrival(&self, request: &HttpRequest) -> Result<Arrival, Problem> {
        Arrival::of(request, &self.settings).map_err(|_| {
            let detail =
                "`Forwarded` and `X-Forwarded-For` say different things: let the proxy write one and remove the other";
            Problem::new(StatusCode::BAD_REQUEST, detail)
        })
    }

    /// The same of somebody who is nobody yet and wants to be somebody: nobody else can read what they send, and it comes of our own pages.
    pub(super) fn arrival_of_nobody(&self, request: &HttpRequest) -> Result<Arrival, Problem> {
        let arrival = self.arrival(request)?;
        must_be_private(arrival)?;
        match csrf::refused_of_nobody(request, &self.settings.origin) {
            Some(why) => Err(Problem::forbidden(why)),
            None => Ok(arrival),
        }
    }

    /// Who a secret is of; nobody if the store knows nobody by it.
    pub(super) async fn admit(
        &self,
        kind: CredentialKind,
        secret: &Secret,
        by: ShownBy,
    ) -> Result<Option<SignedIn>, Problem> {
        let signed_in = self.known(kind, secret, by).await?;
        if signed_in.is_some() {
            self.limits.known(&SecretHash::of(secret))?;
        }
        Ok(signed_in)
    }

    /// The same, however often they asked: to end what they have.
    pub(super) async fn known(
        &self,
        kind: CredentialKind,
        secret: &Secret,
        by: ShownBy,
    ) -> Result<Option<SignedIn>, Problem> {
        let (now, hash) = (self.now(), SecretHash::of(secret));
        let credential = self.ports.sign_ins.credential(kind, &hash, now, by).await?;
        Ok(credential.filter(|kept| kept.kind == kind).and_then(|kept| kept.admit(secret, now).ok()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix_web::http::header::{COOKIE, WWW_AUTHENTICATE};
    use actix_web::test::TestRequest;
    use actix_web::{App, HttpResponse, test, web};
    use bellhop_tenancy::access::{SESSION_IDLE_MAX, SESSION_MAX, Standing, TenantRole};

    use super::*;
    use crate::sign_in::Credentials;
    use crate::sign_in::stand_in::{Kept, PUBLIC_URL, of_tenant};

    async fn who(visitor: Visitor, again: Visitor) -> HttpResponse {
        assert_eq!(visitor.signed_in(), again.signed_in());
        let in_person = visitor.in_person().is_ok();
        HttpResponse::Ok().body(format!("{} {} {in_person}", visitor.signed_in().name(), visitor.from()))
    }

    /// What a server that keeps this answers: the status, and who it says somebody is.
    async fn asked(kept: &std::sync::Arc<Kept>, request: TestRequest) -> (u16, String) {
        let app = App::new().app_data(kept.sign_in()).route("/", web::to(who));
        let app = test::init_service(app).await;
        let response = test::call_service(&app, request.to_request()).await;
        let status = response.status().as_u16();
        assert_eq!(response.headers().contains_key(WWW_AUTHENTICATE), status == 401, "RFC 9110 section 15.5.2");
        let body = test::read_body(response).await;
        (status, String::from_utf8(body.to_vec()).expect("text"))
    }

    fn here(request: TestRequest) -> TestRequest {
        request.peer_addr("127.0.0.1:4711".parse().expect("an address"))
    }

    #[actix_web::test]
    async fn a_session_or_a_token_of_the_store_is_somebody_and_nothing_else_is() {
        let kept = Kept::new();
        let user = kept.user("alice", of_tenant(1, TenantRole::Viewer));
        let (browser, token) = (kept.browser(user), kept.token(user));
        let (good, person) = ((200, "alice 127.0.0.1 false".to_owned()), (200, "alice 127.0.0.1 true".to_owned()));
        let bearer = |text: &str| here(TestRequest::get()).insert_header((AUTHORIZATION, text));
        let with = |cookie: &str| here(TestRequest::get()).insert_header((COOKIE, cookie));
        assert_eq!(asked(&kept, bearer(&format!("Bearer {token}"))).await, good);
        assert_eq!(asked(&kept, bearer(&format!("bearer  {token}"))).await, good);
        assert_eq!(asked(&kept, with(&browser.cookie)).await, person);
        let known = kept.state().lookups;
        let twice = bearer(&format!("Bearer {token}")).append_header((AUTHORIZATION, format!("Bearer {token}")));
        let session_as_token = browser.cookie.replace("__Host-bellhop=", "Bearer ");
        for stranger in [
            here(TestRequest::get()),
            twice,
            bearer(&token),
            bearer(&format!("Basic {token}")),
            bearer("Bearer bh_nothing"),
            bearer(&session_as_token),
            bearer("Basic x").append_header((COOKIE, browser.cookie.clone())),
            with(&format!("{0}; {0}", browser.cookie)),
            with(&format!("__Host-bellhop={token}")),
            with("__Host-bellhop="),
        ] {
            assert_eq!(asked(&kept, stranger).await.0, 401);
        }
        assert_eq!(kept.state().lookups, known, "what cannot be a secret is not looked for");
        let other = with(&format!("__Host-bellhop={}", "A".repeat(43)));
        assert_eq!(asked(&kept, other).await.0, 401);
        kept.state().users.iter_mut().for_each(|user| user.enabled = false);
        assert_eq!(asked(&kept, with(&browser.cookie)).await.0, 401);
        assert_eq!(asked(&kept, bearer(&format!("Bearer {token}"))).await.0, 401);
    }

    #[actix_web::test]
    async fn whoever_reads_on_and_on_is_signed_in_until_they_are_not() {
        let kept = Kept::new();
        let user = kept.user("alice", of_tenant(1, TenantRole::Viewer));
        let (browser, token) = (kept.browser(user), kept.token(user));
        for (header, shown) in [(COOKIE, browser.cookie.clone()), (AUTHORIZATION, format!("Bearer {token}"))] {
            let request = here(TestRequest::get()).app_data(kept.sign_in()).insert_header((header, shown));
            let request = request.to_http_request();
            let visitor = Visitor::of(&request).await.expect("signed in");
            let credentials = Credentials::of(&request).expect("shown");
            assert!(credentials.still_make(visitor.signed_in()).await);
            let enable = |enabled| kept.state().users.iter_mut().for_each(|user| user.enabled = enabled);
            enable(false);
            assert!(!credentials.still_make(visitor.signed_in()).await);
            enable(true);
            assert!(credentials.still_make(visitor.signed_in()).await);
        }
        let nothing = here(TestRequest::get()).app_data(kept.sign_in()).to_http_request();
        let somebody =
            here(TestRequest::get()).app_data(kept.sign_in()).insert_header((COOKIE, browser.cookie.clone()));
        let somebody = Visitor::of(&somebody.to_http_request()).await.expect("signed in");
        assert!(!Credentials::of(&nothing).expect("a sign-in").still_make(somebody.signed_in()).await);
    }

    #[actix_web::test]
    async fn every_method_that_changes_something_needs_more_than_the_cookie() {
        let kept = Kept::new();
        let browser = kept.browser(kept.user("root", Standing::Operator));
        for method in ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"] {
            let request = || {
                let method = actix_web::http::Method::from_bytes(method.as_bytes()).expect("a method");
                here(TestRequest::default().method(method)).insert_header((COOKIE, browser.cookie.clone()))
            };
            let (safe, token) = (["GET", "HEAD", "OPTIONS"].contains(&method), browser.csrf_token.as_str());
            assert_eq!(asked(&kept, request()).await.0, if safe { 200 } else { 403 }, "{method}");
            let proven = request().insert_header(("Origin", PUBLIC_URL)).insert_header((csrf::TOKEN_HEADER, token));
            assert_eq!(asked(&kept, proven).await.0, 200, "{method}");
        }
        let bearer = format!("Bearer {}", kept.token(kept.user("ci", Standing::Operator)));
        let request =
            here(TestRequest::post()).insert_header((AUTHORIZATION, bearer)).insert_header((COOKIE, browser.cookie));
        assert_eq!(asked(&kept, request).await, (200, "ci 127.0.0.1 false".to_owned()), "Authorization wins");
    }

    #[actix_web::test]
    async fn a_session_ends_when_it_is_not_used_and_when_it_is_old() {
        let kept = Kept::new();
        let user = kept.user("root", Standing::Operator);
        let (idle, busy) = (kept.browser(user), kept.browser(user));
        let with = |cookie: &str| here(TestRequest::get()).insert_header((COOKIE, cookie));
        let almost = SESSION_IDLE_MAX - Duration::from_millis(1);
        for _ in 0..24 {
            kept.pass(almost);
            assert_eq!(asked(&kept, with(&busy.cookie)).await.0, 200);
        }
        assert_eq!(asked(&kept, with(&idle.cookie)).await.0, 401);
        kept.pass(SESSION_MAX - almost * 24);
        assert_eq!(asked(&kept, with(&busy.cookie)).await.0, 401);
    }

    /// Somebody has left their desk, and what stands open goes on asking.
    #[actix_web::test]
    async fn a_page_that_asks_by_itself_is_answered_and_keeps_no_session() {
        let kept = Kept::new();
        let browser = kept.browser(kept.user("root", Standing::Operator));
        let seen = async |by_itself: bool| {
            let request = here(TestRequest::get()).insert_header((COOKIE, browser.cookie.clone()));
            let request = if by_itself { request.insert_header((BY_ITSELF, "1")) } else { request };
            Visitor::seen(&request.app_data(kept.sign_in()).to_http_request()).await.is_ok()
        };
        kept.pass(SESSION_IDLE_MAX / 2);
        assert!(seen(false).await, "somebody is there");
        let often = 30;
        for _ in 1..often {
            kept.pass(SESSION_IDLE_MAX / often);
            assert!(seen(true).await);
        }
        kept.pass(SESSION_IDLE_MAX / often);
        assert!(!seen(true).await && !seen(false).await, "nobody was");
    }

    #[actix_web::test]
    async fn a_secret_that_others_could_read_signs_nobody_in() {
        let kept = Kept::new();
        let user = kept.user("root", Standing::Operator);
        let (browser, token) = (kept.browser(user), kept.token(user));
        for request in [
            TestRequest::get().insert_header((COOKIE, browser.cookie)),
            TestRequest::get().insert_header((AUTHORIZATION, format!("Bearer {token}"))),
        ] {
            let request = request.peer_addr("203.0.113.9:1".parse().expect("an address"));
            let request =
                request.insert_header(("X-Forwarded-For", "127.0.0.1")).insert_header(("X-Forwarded-Proto", "https"));
            assert_eq!(asked(&kept, request).await.0, 403);
        }
        assert_eq!(kept.state().lookups, 0);
    }
}
