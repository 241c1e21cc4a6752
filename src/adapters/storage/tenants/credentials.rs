//! Sessions and tokens.
//!
//! Invariant: what is kept of a secret is its hash; a token is never more than its user is at the time.

use bellhop_tenancy::access::{Author, CredentialKind, SecretHash, Standing};
use bellhop_tenancy::id::{Id, TenantId};
use bellhop_tenancy::store::{KeptCredential, Listed, NewSession, NewToken, Owner, Page, StoreError};

use super::change::{Change, Noted};
use super::checks::{self, NAME_MAX, mistake};
use super::rows::{after, listed, optional, parsed, standing, text, wanted};
use super::users::column;
use super::{Row, SqlTenants, Trouble, args, new_id, unix_now_ms, within};

/// Most tokens of a user.
const TOKENS_MAX: u64 = 100;
/// Most sessions of a user; the oldest ends.
const SESSIONS_MAX: i64 = 20;
/// Characters of what a browser calls itself that are kept.
const BROWSER_MAX: usize = 200;

const LIST: &str = "SELECT c.id, c.kind, c.user_id, c.name, c.tenant, c.role, u.tenant, u.role, c.made_from,
    c.created_unix_ms, c.seen_unix_ms, c.expires_unix_ms FROM credentials c JOIN users u ON u.id = c.user_id
    WHERE c.kind = $1 AND (u.tenant = $2 OR $2 IS NULL) AND (c.user_id = $3 OR $3 IS NULL) AND c.id > $4
    AND c.expires_unix_ms > $5 ORDER BY c.id LIMIT $6";
const ONE: &str = "SELECT c.id, u.id, u.tenant, u.role FROM credentials c JOIN users u ON u.id = c.user_id
    WHERE c.id = $1 AND c.kind = $2 AND (u.tenant = $3 OR $3 IS NULL) AND (c.user_id = $4 OR $4 IS NULL)";
const USER: &str = "SELECT id FROM users WHERE id = $1 AND enabled = 1";
const TENANT: &str = "SELECT id FROM tenants WHERE id = $1 AND deleted_unix_ms IS NULL";
const SWEEP: &str = "DELETE FROM credentials WHERE expires_unix_ms <= $1";
const COUNT: &str = "SELECT count(*) FROM credentials WHERE user_id = $1 AND kind = $2";
const OLDEST: &str = "DELETE FROM credentials WHERE id IN
    (SELECT id FROM credentials WHERE user_id = $1 AND kind = $2 ORDER BY id LIMIT $3)";
const INSERT: &str = "INSERT INTO credentials (id, kind, hash, user_id, name, tenant, role, made_from, created_unix_ms,
    seen_unix_ms, expires_unix_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10)";
const DELETE: &str = "DELETE FROM credentials WHERE id = $1";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 9] = [LIST, ONE, USER, TENANT, SWEEP, COUNT, OLDEST, INSERT, DELETE];

pub(super) async fn list(
    store: &SqlTenants,
    by: &Author,
    (kind, owner): (CredentialKind, Owner),
    page: Page,
) -> Result<Listed<KeptCredential>, StoreError> {
    let (scope, user) = (within(&by.signed_in.scope()), user_of(by, owner)?);
    let after = after(page);
    let which = args![word(kind), scope.as_deref(), user.as_deref(), &after, unix_now_ms(), wanted(page)];
    let rows = store.fetch(LIST, which).await?;
    listed(&rows, page, |row| kept(row, kind), |credential| credential.id)
}

pub(super) async fn add_token(change: &mut Change, by: &Author, token: NewToken) -> Result<KeptCredential, StoreError> {
    checks::text("name", &token.name, NAME_MAX)?;
    let NewToken { name, standing, hash, expires_unix_ms } = token;
    let user = by.signed_in.user().filter(|_| !by.signed_in.is_by_token());
    let user = user.ok_or_else(|| mistake("token", "is made by a user who is signed in, and by no token"))?;
    let (of, now, tenant) = (user.to_string(), change.now_ms, column(standing.tenant()));
    change.find(USER, args![&of]).await?;
    if let Some(tenant) = &tenant {
        change.find(TENANT, args![tenant]).await?;
    }
    change.execute(SWEEP, args![now]).await?;
    let word = word(CredentialKind::Token);
    checks::room(change.count(COUNT, args![&of, word]).await?, TOKENS_MAX)?;
    let (id, role) = (new_id(), standing.role().to_string());
    let (text, hash) = (id.to_string(), hash.hex());
    let made_from = short(&by.from);
    let (tenant, role) = (tenant.as_deref(), Some(role.as_str()));
    let all = args![&text, word, &hash, &of, &name, tenant, role, &made_from, now, expires_unix_ms];
    change.execute(INSERT, all).await?;
    let tenant = by.signed_in.standing().tenant();
    change.note(by, Noted { action: "token.add", tenant, on: Some(text), fields: vec![] }).await?;
    Ok(KeptCredential {
        id,
        kind: CredentialKind::Token,
        user,
        name,
        standing,
        from: made_from,
        created_unix_ms: now,
        seen_unix_ms: now,
        expires_unix_ms,
    })
}

/// Makes a session of a user who may sign in.
pub(super) async fn add_session(change: &mut Change, session: &NewSession) -> Result<Id, StoreError> {
    let (id, of, now) = (new_id(), session.user.to_string(), change.now_ms);
    change.find(USER, args![&of]).await?;
    change.execute(SWEEP, args![now]).await?;
    let word = word(CredentialKind::Session);
    let over = change.count(COUNT, args![&of, word]).await? + 1 - SESSIONS_MAX;
    if over > 0 {
        change.execute(OLDEST, args![&of, word, over]).await?;
    }
    let (none, expires) = (None::<&str>, session.expires_unix_ms);
    let (name, from) = (short(&session.name), short(&session.from));
    let (text, hash) = (id.to_string(), session.hash.hex());
    let all = args![&text, word, &hash, &of, &name, none, none, &from, now, expires];
    change.execute(INSERT, all).await?;
    Ok(id)
}

pub(super) async fn revoke(
    change: &mut Change,
    by: &Author,
    (kind, owner): (CredentialKind, Owner),
    id: Id,
) -> Result<(), StoreError> {
    let (text, scope, user) = (id.to_string(), within(&by.signed_in.scope()), user_of(by, owner)?);
    let row = change.find(ONE, args![&text, word(kind), scope.as_deref(), user.as_deref()]).await?;
    let tenant = optional::<TenantId>(&row, 2)?;
    change.execute(DELETE, args![&text]).await?;
    let action = format!("{}.delete", word(kind));
    change.note(by, Noted { action: &action, tenant, on: Some(text), fields: vec![] }).await
}

/// Whose: who has no user has no sessions of their own.
fn user_of(by: &Author, owner: Owner) -> Result<Option<String>, StoreError> {
    match owner {
        Owner::Anybody => Ok(None),
        Owner::Own => Ok(Some(by.signed_in.user().ok_or(StoreError::NotFound)?.to_string())),
    }
}

fn kept(row: &Row, kind: CredentialKind) -> Result<KeptCredential, Trouble> {
    Ok(KeptCredential {
        id: parsed(row, 0)?,
        kind,
        user: parsed(row, 2)?,
        name: text(row, 3)?,
        standing: shown(row, 4)?,
        from: text(row, 8)?,
        created_unix_ms: row.integer(9)?,
        seen_unix_ms: row.integer(10)?,
        expires_unix_ms: row.integer(11)?,
    })
}

/// What a credential lets its user do, from `tenant, role` of its own and of its user.
pub(super) fn shown(row: &Row, column: usize) -> Result<Standing, Trouble> {
    let user = standing(row, column + 2)?;
    if row.optional_text(column + 1)?.is_none() {
        return Ok(user);
    }
    let own = standing(row, column)?;
    let least = own.role().min(user.role());
    let of = match (own.tenant(), user.tenant()) {
        (Some(own), Some(user)) if own != user => return Err(Trouble::Unexpected { column }),
        (own, user) => own.or(user),
    };
    Standing::of(least, of).ok_or(Trouble::Unexpected { column })
}

pub(super) fn word(kind: CredentialKind) -> &'static str {
    match kind {
        CredentialKind::Session => "session",
        CredentialKind::Token => "token",
    }
}

/// What a stranger calls itself, as it can be kept.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(BROWSER_MAX).collect()
}

pub(super) fn hash(row: &Row, column: usize) -> Result<SecretHash, Trouble> {
    SecretHash::from_hex(row.text(column)?).ok_or(Trouble::Unexpected { column })
}
