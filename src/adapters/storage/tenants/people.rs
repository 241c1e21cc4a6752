//! Who looks after users, and after their sessions and tokens (`credentials.rs`) and invitations (`invitations.rs`).
//!
//! Invariant: there is always an operator who may sign in, once there was one; who may not sign in has no session and no token.

use bellhop_tenancy::access::{Author, CredentialKind, Role, Scope, Standing};
use bellhop_tenancy::id::{Id, TenantId};
use bellhop_tenancy::store::{
    Answer, Invitation, KeptCredential, KeptInvitation, KeptUser, Listed, NewToken, Owner, Page, People, Revision,
    StoreError, UserChange,
};

use super::change::{Change, Noted};
use super::checks::{self, mistake, newest_is};
use super::rows::{after, listed, text, wanted};
use super::users::{self, add_ways, kept};
use super::{SqlTenants, answer, args, credentials, invitations, within};

const LIST: &str = "SELECT id, login, tenant, role, password, enabled, created_unix_ms, changed_unix_ms, revision
    FROM users WHERE (tenant = $1 OR $1 IS NULL) AND id > $2 ORDER BY id LIMIT $3";
const WAYS: &str = "SELECT i.user_id, i.issuer, i.subject FROM identities i JOIN users u ON u.id = i.user_id
    WHERE (u.tenant = $1 OR $1 IS NULL) AND u.id >= $2 AND u.id <= $3 ORDER BY i.user_id, i.issuer, i.subject";
const OTHER_OPERATORS: &str = "SELECT count(*) FROM users WHERE tenant IS NULL AND enabled = 1 AND id <> $1";
const UPDATE: &str = "UPDATE users SET role = $2, enabled = $3, changed_unix_ms = $4, revision = $5 WHERE id = $1";
const SIGN_OUT: &str = "DELETE FROM credentials WHERE user_id = $1";
const FORGET_WAYS: &str = "DELETE FROM identities WHERE user_id = $1";
const DELETE: &str = "DELETE FROM users WHERE id = $1";
const TENANT_NAME: &str = "SELECT name FROM tenants WHERE id = $1 AND deleted_unix_ms IS NULL";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 8] = [LIST, WAYS, OTHER_OPERATORS, UPDATE, SIGN_OUT, FORGET_WAYS, DELETE, TENANT_NAME];

impl People for SqlTenants {
    fn users<'a>(&'a self, scope: &'a Scope, page: Page) -> Answer<'a, Listed<KeptUser>> {
        answer(async move {
            let tenant = within(scope);
            let rows = self.fetch(LIST, args![tenant.as_deref(), &after(page), wanted(page)]).await?;
            let mut page = listed(&rows, page, kept, |user| user.id)?;
            if let (Some(first), Some(last)) = (page.items.first(), page.items.last()) {
                let (first, last) = (first.id.to_string(), last.id.to_string());
                let ways = self.fetch(WAYS, args![tenant.as_deref(), &first, &last]).await?;
                add_ways(&mut page.items, &ways)?;
            }
            Ok(page)
        })
    }

    fn user<'a>(&'a self, scope: &'a Scope, id: Id) -> Answer<'a, KeptUser> {
        answer(async move {
            let id = id.to_string();
            let mut user = kept(&self.find(users::ONE, args![&id, within(scope).as_deref()]).await?)?;
            add_ways(std::slice::from_mut(&mut user), &self.fetch(users::WAYS, args![&id]).await?)?;
            Ok(user)
        })
    }

    fn change_user<'a>(&'a self, by: &'a Author, id: Id, seen: Revision, change: UserChange) -> Answer<'a, KeptUser> {
        answer(async move {
            let mut open = self.begin().await?;
            let changed = alter(&mut open, by, (id, seen), change).await;
            self.end(open, changed).await
        })
    }

    fn delete_user<'a>(&'a self, by: &'a Author, id: Id, seen: Revision) -> Answer<'a, ()> {
        answer(async move {
            let mut change = self.begin().await?;
            let deleted = delete(&mut change, by, (id, seen)).await;
            self.end(change, deleted).await
        })
    }

    fn invitations<'a>(&'a self, scope: &'a Scope, page: Page) -> Answer<'a, Listed<KeptInvitation>> {
        answer(invitations::list(self, scope, page))
    }

    fn invite<'a>(&'a self, by: &'a Author, invitation: Invitation) -> Answer<'a, KeptInvitation> {
        answer(async move {
            checks::may_give(by, invitation.standing)?;
            let mut change = self.begin().await?;
            let invited = invitations::add(&mut change, by, invitation).await;
            self.end(change, invited).await
        })
    }

    fn revoke_invitation<'a>(&'a self, by: &'a Author, id: Id) -> Answer<'a, ()> {
        answer(async move {
            let mut change = self.begin().await?;
            let revoked = invitations::revoke(&mut change, by, id).await;
            self.end(change, revoked).await
        })
    }

    fn credentials<'a>(
        &'a self,
        by: &'a Author,
        kind: CredentialKind,
        owner: Owner,
        page: Page,
    ) -> Answer<'a, Listed<KeptCredential>> {
        answer(credentials::list(self, by, (kind, owner), page))
    }

    fn add_token<'a>(&'a self, by: &'a Author, token: NewToken) -> Answer<'a, KeptCredential> {
        answer(async move {
            checks::may_give(by, token.standing)?;
            let mut change = self.begin().await?;
            let added = credentials::add_token(&mut change, by, token).await;
            self.end(change, added).await
        })
    }

    fn revoke<'a>(&'a self, by: &'a Author, kind: CredentialKind, owner: Owner, id: Id) -> Answer<'a, ()> {
        answer(async move {
            let mut change = self.begin().await?;
            let revoked = credentials::revoke(&mut change, by, (kind, owner), id).await;
            self.end(change, revoked).await
        })
    }

    fn tenant_name(&self, tenant: TenantId) -> Answer<'_, String> {
        answer(async move { Ok(text(&self.find(TENANT_NAME, args![&tenant.to_string()]).await?, 0)?) })
    }
}

/// A user whom somebody may change.
async fn find(change: &mut Change, by: &Author, (id, seen): (Id, Revision)) -> Result<KeptUser, StoreError> {
    let (id, scope) = (id.to_string(), within(&by.signed_in.scope()));
    let mut user = kept(&change.find(users::ONE, args![&id, scope.as_deref()]).await?)?;
    add_ways(std::slice::from_mut(&mut user), &change.fetch(users::WAYS, args![&id]).await?)?;
    newest_is(user.stamp.revision, seen)?;
    Ok(user)
}

async fn alter(
    open: &mut Change,
    by: &Author,
    which: (Id, Revision),
    change: UserChange,
) -> Result<KeptUser, StoreError> {
    let mut user = find(open, by, which).await?;
    let mut fields = vec![];
    if let Some(role) = change.role.filter(|role| *role != user.standing.role()) {
        let standing = Standing::of(role, user.standing.tenant());
        user.standing = standing.ok_or_else(|| match role {
            Role::Operator => mistake("role", "cannot be `operator`: this user belongs to a tenant"),
            _ => mistake("role", "of an operator cannot be another: they belong to no tenant"),
        })?;
        checks::may_give(by, user.standing)?;
        fields.push("role".to_owned());
    }
    if let Some(enabled) = change.enabled.filter(|enabled| *enabled != user.enabled) {
        if !enabled {
            is_not_the_last(open, &user).await?;
        }
        user.enabled = enabled;
        fields.push("enabled".to_owned());
    }
    if fields.is_empty() {
        return Ok(user);
    }
    let id = user.id.to_string();
    user.stamp.revision += 1;
    user.stamp.changed_unix_ms = open.now_ms;
    let (role, enabled) = (user.standing.role().to_string(), i64::from(user.enabled));
    open.execute(UPDATE, args![&id, &role, enabled, open.now_ms, user.stamp.revision]).await?;
    if !user.enabled {
        open.execute(SIGN_OUT, args![&id]).await?;
    }
    open.note(by, Noted { action: "user.change", tenant: user.standing.tenant(), on: Some(id), fields }).await?;
    Ok(user)
}

async fn delete(change: &mut Change, by: &Author, which: (Id, Revision)) -> Result<(), StoreError> {
    let user = find(change, by, which).await?;
    is_not_the_last(change, &user).await?;
    let id = user.id.to_string();
    for text in [SIGN_OUT, FORGET_WAYS, DELETE] {
        change.execute(text, args![&id]).await?;
    }
    let tenant = user.standing.tenant();
    change.note(by, Noted { action: "user.delete", tenant, on: Some(id), fields: vec![] }).await
}

/// Nobody could let an operator in any more.
async fn is_not_the_last(change: &mut Change, user: &KeptUser) -> Result<(), StoreError> {
    if user.standing != Standing::Operator || !user.enabled {
        return Ok(());
    }
    match change.count(OTHER_OPERATORS, args![&user.id.to_string()]).await? {
        0 => Err(StoreError::InUse("this is the last operator who may sign in: make another first".to_owned())),
        _ => Ok(()),
    }
}
