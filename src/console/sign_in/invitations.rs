//! Accepting an invitation: how somebody becomes a user.
//!
//! Invariant: nobody becomes a user, and least of all an operator, but by an invitation's secret, which makes one user once; a
//! secret that is unknown, used or over gets the same answer.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use bellhop_tenancy::Secret;
use bellhop_tenancy::access::SecretHash;
use bellhop_tenancy::store::{KeptUser, NewUser, StoreError};
use serde::Deserialize;
use utoipa::ToSchema;

use super::arrival::Arrival;
use super::body::Body;
use super::resource::Served;
use super::sessions::Began;
use super::{SignIn, password, secrets};
use crate::problem::{Fault, Problem};

/// Most characters of a login.
const LOGIN_MAX: usize = 200;

/// The body of who accepts.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Acceptance {
    /// What stood behind the `#` of the link.
    pub(crate) secret: String,
    /// How they want to be called; what the invitation proposes if it is left out.
    pub(crate) login: Option<String>,
    /// Their password.
    pub(crate) password: String,
}

/// `POST /invitations/accept`
async fn accept(request: HttpRequest, body: Body<Acceptance>) -> Result<HttpResponse, Problem> {
    let sign_in = SignIn::of(&request)?;
    let began = sign_in.joins(&request, body.0).await?;
    sign_in.told(began, StatusCode::CREATED).await
}

pub(super) fn no_such_invitation() -> Problem {
    let detail = "the invitation is not known, was used or is over: ask for another";
    Problem::new(StatusCode::NOT_FOUND, detail)
}

/// Why somebody cannot be called so.
pub(super) fn refused_login(login: &str) -> Option<String> {
    let length = login.chars().count();
    if !(1..=LOGIN_MAX).contains(&length) {
        return Some(format!("has {length} characters: between 1 and {LOGIN_MAX}"));
    }
    let bad = login.chars().any(char::is_control) || login.trim() != login;
    bad.then(|| "has a control character, or a blank at its beginning or end".to_owned())
}

impl SignIn {
    /// Somebody who is invited becomes a user with a password, and begins a session.
    pub(crate) async fn joins(&self, request: &HttpRequest, acceptance: Acceptance) -> Result<Began, Problem> {
        let arrival = self.arrival_of_nobody(request)?;
        let Acceptance { secret, login, password } = acceptance;
        let (hash, proposed) = self.shown_invitation(&secret, arrival).await?;
        let login = login.unwrap_or(proposed);
        let faults: Vec<Fault> = [
            refused_login(&login).map(|why| Fault::at("#/login", why)),
            password::refused(&password, &login).map(|why| Fault::at("#/password", why)),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !faults.is_empty() {
            return Err(Problem::faults(faults));
        }
        let password_phc = Some(self.hash(Secret::new(password)).await?);
        let user = NewUser { login, password_phc, open_id: None };
        let user = self.accepted(&hash, user, &arrival.address.to_string()).await?;
        self.begin_session(request, arrival, user.id).await
    }

    /// Somebody shows an invitation: its hash, and what it proposes to call them.
    pub(super) async fn shown_invitation(
        &self,
        secret: &str,
        arrival: Arrival,
    ) -> Result<(SecretHash, String), Problem> {
        self.limits.invitation(arrival.address)?;
        match self.invited(secret).await? {
            Some(invited) => Ok(invited),
            None => {
                self.failed("", &arrival.address.to_string()).await;
                Err(no_such_invitation())
            }
        }
    }

    /// Makes a user of an invitation; it may have been used since it was shown.
    pub(super) async fn accepted(&self, hash: &SecretHash, user: NewUser, from: &str) -> Result<KeptUser, Problem> {
        self.ports.sign_ins.accept(hash, user, from).await.map_err(|error| match error {
            StoreError::NotFound => no_such_invitation(),
            error => error.into(),
        })
    }

    /// The hash of an invitation that waits, and whom it is for.
    pub(super) async fn invited(&self, secret: &str) -> Result<Option<(SecretHash, String)>, Problem> {
        let Some(secret) = secrets::plausible(secret) else { return Ok(None) };
        let hash = SecretHash::of(&secret);
        let invitation = self.ports.sign_ins.invitation(&hash, self.now()).await?;
        Ok(invitation.map(|(login, _)| (hash, login)))
    }
}

/// Its resources.
pub(super) fn configure(config: &mut web::ServiceConfig) {
    config.service(Served::at("/invitations/accept").post(accept).whole());
}
