//! `users` and `invitations`: who may sign in, and who is asked to.
//!
//! Invariant: whoever changes who there is does so in person: a token that somebody found makes nobody an admin. Nobody gives more than
//! they have, and the link of an invitation is shown once.

use bellhop_tenancy::access::{Role, Standing};
use bellhop_tenancy::id::TenantId;
use bellhop_tenancy::settings::patch::merge;
use bellhop_tenancy::settings::{Table, Value};
use bellhop_tenancy::store::{Invitation, KeptInvitation, KeptUser, SignInWay, StoreError, UserChange};
use serde::Serialize;
use utoipa::ToSchema;

use super::asked::Asked;
use super::fields::{self, Fields};
use super::given::Given;
use super::route::{OF_TENANT, Outcome, Route};
use super::shown::time;
use crate::problem::{Fault, Problem};
use crate::sign_in::claim::Link;

/// Most characters of a login.
const LOGIN_CHARS_MAX: usize = 256;
/// Days that an invitation is good for if nobody says.
const DAYS_USUAL: usize = 7;
/// Most days that one is good for.
const DAYS_MAX: usize = 30;
const DAY_MS: i64 = 86_400_000;

/// A user as they are shown.
#[derive(Serialize, ToSchema)]
struct User {
    id: String,
    login: String,
    /// `agent`, `viewer`, `admin` or `operator`
    role: String,
    /// Where they belong; null for an operator.
    tenant: Option<String>,
    /// Whether they have a password.
    has_password: bool,
    /// Identity providers that they sign in by.
    providers: Vec<String>,
    /// Whether they may sign in.
    enabled: bool,
    created_at: String,
    changed_at: String,
    revision: i64,
}

/// What changes of a user; what is not named stays.
#[derive(ToSchema)]
#[allow(dead_code)] // its shape is told; it is read by its fields
struct ChangedUser {
    /// `agent`, `viewer` or `admin`; an operator stays one.
    role: String,
    /// Whether they may sign in; who may not is signed out everywhere.
    enabled: bool,
}

/// Somebody who is asked to become a user.
#[derive(Serialize, ToSchema)]
struct Invited {
    id: String,
    /// For whom: the login that is proposed.
    login: String,
    role: String,
    tenant: Option<String>,
    created_at: String,
    expires_at: String,
    /// What they open; shown once, when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

/// An invitation to be made.
#[derive(ToSchema)]
#[allow(dead_code)] // its shape is told; it is read by its fields
struct NewInvitation {
    /// For whom: an address of mail, or any other name.
    #[schema(max_length = 256)]
    login: String,
    /// `agent`, `viewer`, `admin` or `operator`
    role: String,
    /// The identifier of a tenant: of an operator for whoever belongs to one.
    #[schema(required = false)]
    tenant: String,
    /// How long it is good for; 7 if it is left out.
    #[schema(required = false, minimum = 1, maximum = 30)]
    days: u32,
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/users", Role::Admin, "Lists users", users).pages::<User>().with(OF_TENANT),
        Route::get("/users/{id}", Role::Admin, "Shows a user", user).gives::<User>(),
        Route::patch::<ChangedUser, _, _>("/users/{id}", Role::Admin, "Changes a user", change)
            .gives::<User>()
            .in_person(),
        Route::delete("/users/{id}", Role::Admin, "Deletes a user with their sessions and tokens", delete).in_person(),
        Route::get("/invitations", Role::Admin, "Lists invitations that wait", invitations)
            .pages::<Invited>()
            .with(OF_TENANT),
        Route::post("/invitations", Role::Admin, "Invites somebody; the link is shown once", invite)
            .takes::<NewInvitation>()
            .makes::<Invited>()
            .shown_once()
            .in_person(),
        Route::delete("/invitations/{id}", Role::Admin, "Takes an invitation back", revoke).unconditional().in_person(),
    ]
}

impl User {
    fn of(kept: KeptUser) -> Self {
        let provider = |way: &SignInWay| match way {
            SignInWay::OpenId { issuer, .. } => Some(issuer.clone()),
            SignInWay::Password => None,
        };
        Self {
            id: kept.id.to_string(),
            role: kept.standing.role().to_string(),
            tenant: kept.standing.tenant().map(|tenant| tenant.to_string()),
            has_password: kept.ways.contains(&SignInWay::Password),
            providers: kept.ways.iter().filter_map(provider).collect(),
            login: kept.login,
            enabled: kept.enabled,
            created_at: time(kept.stamp.created_unix_ms),
            changed_at: time(kept.stamp.changed_unix_ms),
            revision: kept.stamp.revision,
        }
    }

    fn given(kept: KeptUser) -> Given {
        let revision = kept.stamp.revision;
        Given::one(&Self::of(kept)).tagged(revision)
    }
}

impl Invited {
    fn of(kept: KeptInvitation, link: Option<String>) -> Self {
        Self {
            id: kept.id.to_string(),
            login: kept.login,
            role: kept.standing.role().to_string(),
            tenant: kept.standing.tenant().map(|tenant| tenant.to_string()),
            created_at: time(kept.created_unix_ms),
            expires_at: time(kept.expires_unix_ms),
            link,
        }
    }
}

async fn users(asked: Asked) -> Outcome {
    let listed = asked.ports.store.users(&asked.scope().await?, asked.page()?).await?;
    Ok(Given::page(listed, User::of))
}

async fn find(asked: &Asked) -> Result<KeptUser, Problem> {
    Ok(asked.ports.store.user(&asked.by.signed_in.scope(), asked.id()?).await?)
}

async fn user(asked: Asked) -> Outcome {
    find(&asked).await.map(User::given)
}

async fn change(asked: Asked) -> Outcome {
    let kept = find(&asked).await?;
    let seen = asked.expect(kept.stamp.revision)?;
    let before: Table = [
        ("role".to_owned(), Value::Text(kept.standing.role().to_string())),
        ("enabled".to_owned(), Value::Flag(kept.enabled)),
    ]
    .into_iter()
    .collect();
    let read = |fields: &Fields<'_>| (fields.parsed::<Role>("role"), fields.required_flag("enabled"));
    let (role, enabled) = fields::read(&merge(&before, &asked.document()), read)?;
    let change = UserChange {
        role: role.filter(|role| *role != kept.standing.role()),
        enabled: enabled.filter(|enabled| *enabled != kept.enabled),
    };
    let changed = asked.ports.store.change_user(&asked.by, kept.id, seen, change).await?;
    Ok(User::given(changed))
}

async fn delete(asked: Asked) -> Outcome {
    let kept = find(&asked).await?;
    let seen = asked.expect(kept.stamp.revision)?;
    asked.ports.store.delete_user(&asked.by, kept.id, seen).await?;
    Ok(Given::done())
}

async fn invitations(asked: Asked) -> Outcome {
    let listed = asked.ports.store.invitations(&asked.scope().await?, asked.page()?).await?;
    Ok(Given::page(listed, |kept| Invited::of(kept, None)))
}

async fn invite(asked: Asked) -> Outcome {
    let read = |fields: &Fields<'_>| {
        let (login, role) = (fields.line("login", LOGIN_CHARS_MAX), fields.parsed::<Role>("role"));
        (login, role, fields.parsed_or_none::<TenantId>("tenant"), fields.number_or_none("days", 1..=DAYS_MAX))
    };
    let (login, role, tenant, days) = fields::read(&asked.document(), read)?;
    let standing = standing(&asked, role.ok_or_else(Problem::internal)?, tenant).await?;
    let link = Link::fresh(&asked.ports.public_url, &asked.ports.random);
    let lasts = DAY_MS.saturating_mul(days.unwrap_or(DAYS_USUAL) as i64);
    let expires_unix_ms = asked.at_unix_ms.saturating_add(lasts);
    let invitation = Invitation { login, standing, hash: link.hash, expires_unix_ms };
    let kept = asked.ports.store.invite(&asked.by, invitation).await?;
    let id = kept.id;
    Ok(Given::made("/invitations", id, &Invited::of(kept, Some(link.url.expose().to_owned()))))
}

/// What somebody is invited to be: no more than who invites them.
async fn standing(asked: &Asked, role: Role, tenant: Option<TenantId>) -> Result<Standing, Problem> {
    let (own, fault) = (asked.by.signed_in.scope(), |at: &str, why: &str| Problem::faults(vec![Fault::at(at, why)]));
    if role > asked.by.signed_in.role() {
        return Err(fault("#/role", "is more than you are"));
    }
    let tenant = match (own.tenant(), tenant) {
        (own, None) => own.filter(|_| role != Role::Operator),
        (_, Some(tenant)) => {
            let reached = own.narrowed(tenant).ok_or(StoreError::NotFound);
            let found = match reached {
                Ok(scope) => asked.ports.store.tenant(&scope, tenant).await.map(|_| ()),
                Err(error) => Err(error),
            };
            found.map_err(|error| match error {
                StoreError::NotFound => fault("#/tenant", "is no tenant"),
                error => error.into(),
            })?;
            Some(tenant)
        }
    };
    let misfit = "goes with the roles agent, viewer and admin, which need it; an operator is of no tenant";
    Standing::of(role, tenant).ok_or_else(|| fault("#/tenant", misfit))
}

async fn revoke(asked: Asked) -> Outcome {
    asked.ports.store.revoke_invitation(&asked.by, asked.id()?).await?;
    Ok(Given::done())
}
