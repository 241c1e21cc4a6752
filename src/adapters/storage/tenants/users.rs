//! Users as they are kept, with how they sign in.
//!
//! Invariant: a login is one's own, whatever its case.

use std::collections::BTreeMap;

use bellhop_tenancy::access::Standing;
use bellhop_tenancy::id::{Id, TenantId};
use bellhop_tenancy::store::{KeptUser, NewUser, SignInWay, Stamp, StoreError};

use super::change::Change;
use super::checks::{self, mistake};
use super::rows::{flag, parsed, standing, text};
use super::{Row, Trouble, args, new_id};

/// Most characters of a login.
const LOGIN_MAX: usize = 200;
/// Most bytes of a password's hash, an issuer or a subject.
const WAY_BYTES_MAX: usize = 2_000;
/// Most people of a tenant, and most operators.
const PEOPLE_MAX: u64 = 1_000;

pub(super) const ONE: &str =
    "SELECT id, login, tenant, role, password, enabled, created_unix_ms, changed_unix_ms, revision
    FROM users WHERE id = $1 AND (tenant = $2 OR $2 IS NULL)";
pub(super) const WAYS: &str =
    "SELECT user_id, issuer, subject FROM identities WHERE user_id = $1 ORDER BY issuer, subject";
const OF_LOGIN: &str = "SELECT id FROM users WHERE folded_login = $1";
const COUNT: &str = "SELECT count(*) FROM users WHERE tenant = $1 OR (tenant IS NULL AND $1 IS NULL)";
const OF_IDENTITY: &str = "SELECT user_id FROM identities WHERE issuer = $1 AND subject = $2";
const INSERT: &str = "INSERT INTO users (id, login, folded_login, tenant, role, password, enabled, created_unix_ms,
    changed_unix_ms, revision) VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $7, 1)";
const IDENTIFY: &str = "INSERT INTO identities (issuer, subject, user_id) VALUES ($1, $2, $3)";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 7] = [ONE, WAYS, OF_LOGIN, COUNT, OF_IDENTITY, INSERT, IDENTIFY];

/// As a login is compared.
pub(super) fn folded(login: &str) -> String {
    login.trim().to_lowercase()
}

/// What an invitation and a user may be called.
pub(super) fn check_login(login: &str) -> Result<(), StoreError> {
    checks::text("login", login, LOGIN_MAX)
}

/// Makes a user.
pub(super) async fn add(change: &mut Change, standing: Standing, user: NewUser) -> Result<KeptUser, StoreError> {
    check_login(&user.login)?;
    let NewUser { login, password_phc, open_id } = user;
    let login = login.trim().to_owned();
    if password_phc.is_none() && open_id.is_none() {
        return Err(mistake("password", "is missing, and nobody else says who this is"));
    }
    let (issuer, subject) = open_id.clone().unwrap_or_default();
    for (field, given) in
        [("password", password_phc.as_deref().unwrap_or_default()), ("issuer", &issuer), ("subject", &subject)]
    {
        if given.len() > WAY_BYTES_MAX || given.contains(char::is_control) {
            return Err(mistake(field, "cannot be kept"));
        }
    }
    if change.look(OF_LOGIN, args![&folded(&login)]).await?.is_some() {
        return Err(StoreError::Taken(format!("there is a user `{login}` already")));
    }
    if open_id.is_some() && change.look(OF_IDENTITY, args![&issuer, &subject]).await?.is_some() {
        return Err(StoreError::Taken("whom the provider names is a user already".to_owned()));
    }
    let tenant = standing.tenant().map(|tenant| tenant.to_string());
    checks::room(change.count(COUNT, args![tenant.as_deref()]).await?, PEOPLE_MAX)?;
    let (id, now, role) = (new_id(), change.now_ms, standing.role().to_string());
    let (text, folded) = (id.to_string(), folded(&login));
    let all = args![&text, &login, &folded, tenant.as_deref(), &role, password_phc.as_deref(), now];
    change.execute(INSERT, all).await?;
    if open_id.is_some() {
        change.execute(IDENTIFY, args![&issuer, &subject, &text]).await?;
    }
    let password = password_phc.map(|_| SignInWay::Password);
    let ways = password.into_iter().chain(open_id.map(|(issuer, subject)| SignInWay::OpenId { issuer, subject }));
    let stamp = Stamp { created_unix_ms: now, changed_unix_ms: now, revision: 1, change: 0 };
    Ok(KeptUser { id, login, standing, ways: ways.collect(), enabled: true, stamp })
}

/// A user, as [`ONE`] has them; how else than by a password they sign in stands elsewhere.
pub(super) fn kept(row: &Row) -> Result<KeptUser, Trouble> {
    let password = row.optional_text(4)?.map(|_| SignInWay::Password);
    Ok(KeptUser {
        id: parsed(row, 0)?,
        login: text(row, 1)?,
        standing: standing(row, 2)?,
        ways: password.into_iter().collect(),
        enabled: flag(row, 5)?,
        // What nodes serve does not depend on users: no change of the feed is theirs.
        stamp: Stamp {
            created_unix_ms: row.integer(6)?,
            changed_unix_ms: row.integer(7)?,
            revision: row.integer(8)?,
            change: 0,
        },
    })
}

/// Adds the ways of users from rows of `user_id, issuer, subject`.
pub(super) fn add_ways(users: &mut [KeptUser], rows: &[Row]) -> Result<(), Trouble> {
    let mut ways = BTreeMap::<Id, Vec<SignInWay>>::new();
    for row in rows {
        let way = SignInWay::OpenId { issuer: text(row, 1)?, subject: text(row, 2)? };
        ways.entry(parsed(row, 0)?).or_default().push(way);
    }
    for user in users {
        user.ways.extend(ways.remove(&user.id).unwrap_or_default());
    }
    Ok(())
}

/// The tenant of a standing as a column has it.
pub(super) fn column(tenant: Option<TenantId>) -> Option<String> {
    tenant.map(|tenant| tenant.to_string())
}
