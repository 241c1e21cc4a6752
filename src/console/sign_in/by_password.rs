//! Signing in by a password, and changing it.
//!
//! Invariant: every try that is let through computes one hash, whether the login is known or not, and is answered by the
//! same words; no try is let through beyond the limits of its address and of its login.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use bellhop_tenancy::Secret;
use serde::Deserialize;
use utoipa::ToSchema;

use super::SignIn;
use super::body::{Body, done};
use super::cookie::Cookie;
use super::hashing::Compared;
use super::password;
use super::resource::Served;
use super::sessions::Began;
use super::visitor::Visitor;
use crate::problem::{Fault, Problem};

/// The body of a sign-in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignInBody {
    login: String,
    password: String,
}

/// The body of a change.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordBody {
    current_password: String,
    password: String,
}

/// `POST /sign-in`
async fn sign_in(request: HttpRequest, body: Body<SignInBody>) -> Result<HttpResponse, Problem> {
    let sign_in = SignIn::of(&request)?;
    let SignInBody { login, password } = body.0;
    let began = sign_in.by_password(&request, &login, Secret::new(password)).await?;
    sign_in.told(began, StatusCode::OK).await
}

/// `PUT /session/password`: other sessions of theirs end.
async fn change(request: HttpRequest, visitor: Visitor, body: Body<PasswordBody>) -> Result<HttpResponse, Problem> {
    let PasswordBody { current_password, password } = body.0;
    SignIn::of(&request)?.change_password(&visitor, Secret::new(current_password), password).await?;
    Ok(done())
}

impl SignIn {
    /// Whoever knows their password has another from now on; other sessions of theirs end.
    pub(crate) async fn change_password(
        &self,
        visitor: &Visitor,
        current: Secret,
        password: String,
    ) -> Result<(), Problem> {
        visitor.in_person()?;
        let who = visitor.signed_in();
        self.limits.password(visitor.from(), who.name())?;
        let kept = self.ports.sign_ins.password(who.name()).await?.filter(|row| Some(row.user) == who.user());
        let Some(row) = kept else {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "you have no password: you sign in by an identity provider",
            ));
        };
        if self.hashing.compare(Some(row.phc), current).await? == Compared::Wrong {
            self.failed(who.name(), &visitor.from().to_string()).await;
            return Err(Problem::faults(vec![Fault::at("#/current_password", "is wrong")]));
        }
        if let Some(why) = password::refused(&password, who.name()) {
            return Err(Problem::faults(vec![Fault::at("#/password", why)]));
        }
        let phc = self.hash(Secret::new(password)).await?;
        self.ports.sign_ins.set_password(row.user, &phc, who.credential()).await?;
        Ok(())
    }

    /// Somebody who knows the password of a login begins a session.
    pub(crate) async fn by_password(
        &self,
        request: &HttpRequest,
        login: &str,
        password: Secret,
    ) -> Result<Began, Problem> {
        self.by_password_with(Cookie::Session, request, login, password).await
    }

    /// The same, whose session has a cookie.
    pub(super) async fn by_password_with(
        &self,
        cookie: Cookie,
        request: &HttpRequest,
        login: &str,
        password: Secret,
    ) -> Result<Began, Problem> {
        let arrival = self.arrival_of_nobody(request)?;
        let from = arrival.address.to_string();
        self.limits.password(arrival.address, login)?;
        let kept = self.ports.sign_ins.password(login).await?;
        let compared = self.hashing.compare(kept.as_ref().map(|row| row.phc.clone()), password.clone()).await?;
        let (Some(row), Compared::Right { weaker }) = (kept, compared) else {
            self.failed(login, &from).await;
            return Err(Problem::unauthorized("the login or the password is wrong"));
        };
        if weaker {
            // The old hash is good for another day if this does not succeed.
            if let Ok(phc) = self.hash(password).await
                && let Err(error) = self.ports.sign_ins.keep_rehashed(row.user, &row.phc, &phc).await
            {
                tracing::warn!(%error, "a password could not be hashed anew");
            }
        }
        let began = self.begin_session_by(cookie, request, arrival, row.user).await;
        self.noted(login, &from, began).await
    }

    /// The hash of a password with a salt of its own.
    pub(super) async fn hash(&self, password: Secret) -> Result<String, Problem> {
        let mut salt = [0; password::SALT_BYTES];
        (self.random)(&mut salt);
        self.hashing.hash(password, salt).await
    }

    /// Notes whether the session of somebody who is who they say began.
    pub(super) async fn noted<T>(&self, login: &str, from: &str, began: Result<T, Problem>) -> Result<T, Problem> {
        match began {
            Ok(_) => self.notes.succeeded(&self.ports, login, from).await,
            Err(_) => self.failed(login, from).await,
        }
        began
    }

    /// Somebody did not sign in.
    pub(super) async fn failed(&self, login: &str, from: &str) {
        self.notes.failed(&self.ports, login, from, (self.clock.monotonic)()).await;
    }
}

/// Its resources.
pub(super) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(Served::at("/sign-in").post(sign_in).whole())
        .service(Served::at("/session/password").put(change).whole());
}
