//! Invitations: each makes one user, once.
//!
//! Invariant: what is kept of the secret in a link is its hash; an invitation that was accepted or is over is not there.

use bellhop_tenancy::access::{Author, Scope, SecretHash};
use bellhop_tenancy::id::Id;
use bellhop_tenancy::store::{Invitation, KeptInvitation, Listed, Page, StoreError};

use super::change::{Change, Noted};
use super::checks;
use super::rows::{after, listed, parsed, standing, text, wanted};
use super::users::{check_login, column};
use super::{Row, SqlTenants, Trouble, args, new_id, unix_now_ms, within};

/// Most invitations of a tenant that wait, and most for operators.
const INVITATIONS_MAX: u64 = 1_000;

const LIST: &str = "SELECT id, login, tenant, role, created_unix_ms, expires_unix_ms FROM invitations
    WHERE (tenant = $1 OR $1 IS NULL) AND id > $2 AND expires_unix_ms > $3 ORDER BY id LIMIT $4";
const ONE: &str = "SELECT id, login, tenant, role, created_unix_ms, expires_unix_ms FROM invitations
    WHERE id = $1 AND (tenant = $2 OR $2 IS NULL) AND expires_unix_ms > $3";
pub(super) const OF_HASH: &str = "SELECT id, login, tenant, role, created_unix_ms, expires_unix_ms FROM invitations
    WHERE hash = $1 AND expires_unix_ms > $2";
const TENANT: &str = "SELECT id FROM tenants WHERE id = $1 AND deleted_unix_ms IS NULL";
const SWEEP: &str = "DELETE FROM invitations WHERE expires_unix_ms <= $1";
const COUNT: &str = "SELECT count(*) FROM invitations WHERE tenant = $1 OR (tenant IS NULL AND $1 IS NULL)";
const INSERT: &str = "INSERT INTO invitations (id, hash, login, tenant, role, created_unix_ms, expires_unix_ms)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
const DELETE: &str = "DELETE FROM invitations WHERE id = $1";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 8] = [LIST, ONE, OF_HASH, TENANT, SWEEP, COUNT, INSERT, DELETE];

pub(super) async fn list(store: &SqlTenants, scope: &Scope, page: Page) -> Result<Listed<KeptInvitation>, StoreError> {
    let (tenant, after) = (within(scope), after(page));
    let which = args![tenant.as_deref(), &after, unix_now_ms(), wanted(page)];
    let rows = store.fetch(LIST, which).await?;
    listed(&rows, page, kept, |invitation| invitation.id)
}

pub(super) async fn add(
    change: &mut Change,
    by: &Author,
    invitation: Invitation,
) -> Result<KeptInvitation, StoreError> {
    check_login(&invitation.login)?;
    let Invitation { login, standing, hash, expires_unix_ms } = invitation;
    let (tenant, role, now) = (column(standing.tenant()), standing.role().to_string(), change.now_ms);
    if let Some(tenant) = &tenant {
        change.find(TENANT, args![tenant]).await?;
    }
    change.execute(SWEEP, args![now]).await?;
    checks::room(change.count(COUNT, args![tenant.as_deref()]).await?, INVITATIONS_MAX)?;
    let id = new_id();
    let (text, hash, login) = (id.to_string(), hash.hex(), login.trim().to_owned());
    let all = args![&text, &hash, &login, tenant.as_deref(), &role, now, expires_unix_ms];
    change.execute(INSERT, all).await?;
    let noted = Noted { action: "invitation.add", tenant: standing.tenant(), on: Some(text), fields: vec![] };
    change.note(by, noted).await?;
    Ok(KeptInvitation { id, login, standing, created_unix_ms: now, expires_unix_ms })
}

pub(super) async fn revoke(change: &mut Change, by: &Author, id: Id) -> Result<(), StoreError> {
    let (text, scope) = (id.to_string(), within(&by.signed_in.scope()));
    let invitation = kept(&change.find(ONE, args![&text, scope.as_deref(), change.now_ms]).await?)?;
    change.execute(DELETE, args![&text]).await?;
    let tenant = invitation.standing.tenant();
    change.note(by, Noted { action: "invitation.delete", tenant, on: Some(text), fields: vec![] }).await
}

/// Takes the invitation of a hash away, for who accepts it.
pub(super) async fn take(change: &mut Change, hash: &SecretHash) -> Result<KeptInvitation, StoreError> {
    let invitation = kept(&change.find(OF_HASH, args![&hash.hex(), change.now_ms]).await?)?;
    change.execute(DELETE, args![&invitation.id.to_string()]).await?;
    Ok(invitation)
}

pub(super) fn kept(row: &Row) -> Result<KeptInvitation, Trouble> {
    Ok(KeptInvitation {
        id: parsed(row, 0)?,
        login: text(row, 1)?,
        standing: standing(row, 2)?,
        created_unix_ms: row.integer(4)?,
        expires_unix_ms: row.integer(5)?,
    })
}
