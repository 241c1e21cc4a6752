//! Tokens, by which programs ask.
//!
//! Invariant: a token is shown once, is over in a year at most, may no more than who makes it, and makes no other: whoever
//! finds one cannot stay.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::web;
use actix_web::{HttpRequest, HttpResponse};
use bellhop_tenancy::access::{CredentialKind, Role, SecretHash, Standing};
use bellhop_tenancy::id::TenantId;
use bellhop_tenancy::store::{KeptCredential, NewToken, StoreError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::{Body, answer, done};
use super::listing::{Asked, List, time};
use super::resource::{Served, identifier};
use super::sessions::reach;
use super::visitor::Visitor;
use super::{SignIn, secrets};
use crate::API;
use crate::problem::{Fault, Problem};

/// The longest that a token lasts: whoever forgets one does not for ever.
const TOKEN_DAYS_MAX: u32 = 365;
/// How long one lasts if nobody says.
const TOKEN_DAYS: u32 = 90;
/// Most characters of what one is for.
const NAME_MAX: usize = 100;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A token to be made.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewToken)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenBody {
    /// What it is for.
    name: String,
    /// What it may do: that of who makes it, or less.
    role: Option<String>,
    /// The tenant that it is of, for a token of an operator that may less than they.
    tenant: Option<String>,
    /// In how many days it is over.
    days: Option<u32>,
}

/// A token as it is listed.
#[derive(Serialize, ToSchema)]
#[schema(as = ListedToken)]
pub(super) struct Listed {
    id: String,
    user: String,
    name: String,
    role: String,
    tenant: Option<String>,
    from: String,
    created_at: String,
    seen_at: String,
    expires_at: String,
}

/// A token as it is shown once.
#[derive(Serialize, ToSchema)]
#[schema(as = MadeToken)]
pub(super) struct Made {
    /// What `Authorization: Bearer` takes. It is not shown again.
    token: String,
    #[serde(flatten)]
    listed: Listed,
}

/// `GET /tokens`: one's own, or with `everybody=true` those of all whom one looks after.
async fn tokens(request: HttpRequest, visitor: Visitor) -> Result<HttpResponse, Problem> {
    let (sign_in, asked) = (SignIn::of(&request)?, Asked::of(&request)?);
    let (owner, page) = (asked.owner(&visitor)?, asked.page()?);
    let listed = sign_in.ports.people.credentials(&visitor.author(), CredentialKind::Token, owner, page).await?;
    Ok(answer(StatusCode::OK, &List::of(listed, show)))
}

fn show(kept: KeptCredential) -> Listed {
    Listed {
        id: kept.id.to_string(),
        user: kept.user.to_string(),
        name: kept.name,
        role: kept.standing.role().to_string(),
        tenant: kept.standing.tenant().map(|id| id.to_string()),
        from: kept.from,
        created_at: time(kept.created_unix_ms),
        seen_at: time(kept.seen_unix_ms),
        expires_at: time(kept.expires_unix_ms),
    }
}

/// `POST /tokens`
async fn make(request: HttpRequest, visitor: Visitor, body: Body<TokenBody>) -> Result<HttpResponse, Problem> {
    visitor.in_person()?;
    let sign_in = SignIn::of(&request)?;
    let body = body.0;
    let mut faults = vec![];
    let length = body.name.chars().count();
    if !(1..=NAME_MAX).contains(&length) || body.name.chars().any(char::is_control) {
        let why = format!("is not between 1 and {NAME_MAX} characters, without control characters");
        faults.push(Fault::at("#/name", why));
    }
    let days = body.days.unwrap_or(TOKEN_DAYS);
    if !(1..=TOKEN_DAYS_MAX).contains(&days) {
        faults.push(Fault::at("#/days", format!("is not between 1 and {TOKEN_DAYS_MAX}")));
    }
    let standing = standing(&visitor, body.role.as_deref(), body.tenant.as_deref());
    let standing = match standing {
        Ok(standing) if faults.is_empty() => standing,
        other => {
            faults.extend(other.err());
            return Err(Problem::faults(faults));
        }
    };
    if let Some(tenant) = standing.tenant() {
        sign_in.ports.people.tenant_name(tenant).await.map_err(|error| match error {
            StoreError::NotFound => Problem::faults(vec![Fault::at("#/tenant", "is no tenant")]),
            error => error.into(),
        })?;
    }
    let secret = secrets::fresh_token(&sign_in.random);
    let lasts = i64::try_from((DAY * days).as_millis()).unwrap_or(i64::MAX);
    let expires_unix_ms = sign_in.now().saturating_add(lasts);
    let token = NewToken { name: body.name, standing, hash: SecretHash::of(&secret), expires_unix_ms };
    let kept = sign_in.ports.people.add_token(&visitor.author(), token).await?;
    let location = format!("{API}/tokens/{}", kept.id);
    let mut response = answer(StatusCode::CREATED, &Made { token: secret.expose().to_owned(), listed: show(kept) });
    let location = location.try_into().map_err(|_| Problem::internal())?;
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

/// What a token may: what its maker may, or less of it.
fn standing(maker: &Visitor, role: Option<&str>, tenant: Option<&str>) -> Result<Standing, Fault> {
    let (own, of) = (maker.role(), maker.signed_in().standing().tenant());
    let role = match role.map(str::parse::<Role>).transpose() {
        Ok(role) => role.unwrap_or(if tenant.is_some() { own.min(Role::Admin) } else { own }),
        Err(error) => return Err(Fault::at("#/role", error.to_string())),
    };
    if role > own {
        return Err(Fault::at("#/role", format!("is more than {own}, which you are")));
    }
    let named =
        tenant.map(str::parse::<TenantId>).transpose().map_err(|error| Fault::at("#/tenant", error.to_string()))?;
    let tenant = match (of, named) {
        (Some(own), Some(named)) if own != named => return Err(Fault::at("#/tenant", "is no tenant")),
        (own, named) => named.or(own),
    };
    let misfit = "goes with `role` agent, viewer or admin, and these need it; an operator is of no tenant";
    Standing::of(role, tenant).ok_or_else(|| Fault::at("#/tenant", misfit))
}

/// `DELETE /tokens/{id}`: one's own, or of somebody whom one looks after.
async fn revoke(request: HttpRequest, visitor: Visitor) -> Result<HttpResponse, Problem> {
    let (sign_in, id) = (SignIn::of(&request)?, identifier(&request)?);
    visitor.may_end(id)?;
    sign_in.ports.people.revoke(&visitor.author(), CredentialKind::Token, reach(&visitor), id).await?;
    Ok(done())
}

/// Its resources.
pub(super) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(Served::at("/tokens").get(tokens).post(make).whole())
        .service(Served::at("/tokens/{id}").delete(revoke).whole());
}
