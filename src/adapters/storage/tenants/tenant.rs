//! Tenants themselves: each with a data key of its own, which is gone once it is deleted.
//!
//! Invariant: a name is never given twice, and a tenant that was deleted leaves its name and lines of the audit, and nothing else.

use bellhop_tenancy::access::{Author, Scope};
use bellhop_tenancy::id::{Id, TenantId};
use bellhop_tenancy::store::{
    Answer, KeptTenant, Listed, NewTenant, Page, Revision, Stamp, StoreError, TenantChange, TenantState, Tenants,
};

use super::change::{Change, Noted};
use super::checks::{self, TEXT_MAX, mistake, newest_is};
use super::rows::{after, listed, parsed, stamp, text, wanted};
use super::{Row, SqlTenants, Trouble, answer, args, everybodys, new_id, within};
use crate::secrets::DataKey;

/// Most tenants of a store.
const TENANTS_MAX: u64 = 10_000;

const LIST: &str =
    "SELECT id, name, title, plan, state, created_unix_ms, changed_unix_ms, revision, change FROM tenants
    WHERE deleted_unix_ms IS NULL AND (id = $1 OR $1 IS NULL) AND id > $2 ORDER BY id LIMIT $3";
const ONE: &str = "SELECT id, name, title, plan, state, created_unix_ms, changed_unix_ms, revision, change FROM tenants
    WHERE id = $1 AND deleted_unix_ms IS NULL AND (id = $2 OR $2 IS NULL)";
const COUNT: &str = "SELECT count(*) FROM tenants WHERE deleted_unix_ms IS NULL";
const OF_NAME: &str = "SELECT deleted_unix_ms FROM tenants WHERE folded_name = $1";
const PLAN: &str = "SELECT name FROM plans WHERE name = $1";
const INSERT: &str = "INSERT INTO tenants (id, name, folded_name, title, plan, state, data_key, master_key,
    created_unix_ms, changed_unix_ms, revision, change) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
const UPDATE: &str =
    "UPDATE tenants SET title = $2, plan = $3, state = $4, changed_unix_ms = $5, revision = $6, change = $7
    WHERE id = $1";
const BURY: &str = "UPDATE tenants SET title = '', data_key = NULL, master_key = NULL, deleted_unix_ms = $2,
    changed_unix_ms = $2, revision = $3, change = $4 WHERE id = $1";
/// All that belongs to a tenant, what names others before what is named.
const BELONGINGS: [&str; 12] = [
    "DELETE FROM secrets WHERE tenant = $1",
    "DELETE FROM numbers WHERE tenant = $1",
    "DELETE FROM document_uses WHERE document IN (SELECT id FROM documents WHERE tenant = $1)",
    "DELETE FROM documents WHERE tenant = $1",
    "DELETE FROM document_versions WHERE tenant = $1",
    "DELETE FROM answered_requests WHERE author IN (SELECT id FROM users WHERE tenant = $1)",
    "DELETE FROM credentials WHERE tenant = $1 OR user_id IN (SELECT id FROM users WHERE tenant = $1)",
    "DELETE FROM identities WHERE user_id IN (SELECT id FROM users WHERE tenant = $1)",
    "DELETE FROM users WHERE tenant = $1",
    "DELETE FROM invitations WHERE tenant = $1",
    "DELETE FROM refusals WHERE tenants > 0 AND id IN (SELECT refusal FROM refusal_tenants WHERE tenant = $1)
        AND NOT EXISTS (SELECT 1 FROM refusal_tenants o WHERE o.refusal = refusals.id AND o.tenant <> $1)",
    "DELETE FROM refusal_tenants WHERE tenant = $1",
];

/// Every text of this file.
#[cfg(test)]
pub(super) fn all() -> Vec<&'static str> {
    [&[LIST, ONE, COUNT, OF_NAME, PLAN, INSERT, UPDATE, BURY][..], &BELONGINGS[..]].concat()
}

impl Tenants for SqlTenants {
    fn tenants<'a>(&'a self, scope: &'a Scope, page: Page) -> Answer<'a, Listed<KeptTenant>> {
        answer(async move {
            let rows = self.fetch(LIST, args![within(scope).as_deref(), &after(page), wanted(page)]).await?;
            listed(&rows, page, kept, |tenant| tenant.id.0)
        })
    }

    fn tenant<'a>(&'a self, scope: &'a Scope, id: TenantId) -> Answer<'a, KeptTenant> {
        answer(async move { Ok(kept(&self.find(ONE, args![&id.to_string(), within(scope).as_deref()]).await?)?) })
    }

    fn add_tenant<'a>(&'a self, by: &'a Author, tenant: NewTenant) -> Answer<'a, KeptTenant> {
        Box::pin(async move {
            everybodys(by)?;
            let id = TenantId(new_id());
            // A command may take its time: nobody waits for it in a transaction.
            let wrapped = self.wrapped(id).await?;
            answer(async move {
                let mut change = self.begin().await?;
                let added = add(&mut change, by, (id, &wrapped, self.0.keys.current_id()), tenant).await;
                self.end(change, added).await
            })
            .await
        })
    }

    fn change_tenant<'a>(
        &'a self,
        by: &'a Author,
        id: TenantId,
        seen: Revision,
        change: TenantChange,
    ) -> Answer<'a, KeptTenant> {
        answer(async move {
            let mut open = self.begin().await?;
            let changed = alter(&mut open, by, id, seen, change).await;
            self.end(open, changed).await
        })
    }

    fn delete_tenant<'a>(&'a self, by: &'a Author, id: TenantId, seen: Revision) -> Answer<'a, ()> {
        answer(async move {
            everybodys(by)?;
            let mut change = self.begin().await?;
            let deleted = delete(&mut change, by, id, seen).await;
            self.end(change, deleted).await
        })
    }
}

impl SqlTenants {
    async fn wrapped(&self, tenant: TenantId) -> Result<String, StoreError> {
        let wrapped = self.0.keys.wrap(&DataKey::generate(), tenant).await;
        wrapped.map_err(|why| StoreError::Unavailable(why.into()))
    }
}

async fn add(
    change: &mut Change,
    by: &Author,
    (id, data_key, master_key): (TenantId, &str, &str),
    tenant: NewTenant,
) -> Result<KeptTenant, StoreError> {
    checks::tenant_name(&tenant.name)?;
    checks::text("title", &tenant.title, TEXT_MAX)?;
    plan_is_there(change, &tenant.plan).await?;
    checks::room(change.count(COUNT, args![]).await?, TENANTS_MAX)?;
    // The label of metrics and a part of file names: where case does not count there may be no two.
    let folded = tenant.name.to_lowercase();
    if let Some(row) = change.look(OF_NAME, args![&folded]).await? {
        let why = match row.optional_integer(0)? {
            None => format!("there is a tenant `{}` already", tenant.name),
            Some(_) => format!("there was a tenant `{}`, and no name is given twice", tenant.name),
        };
        return Err(StoreError::Taken(why));
    }
    let NewTenant { name, title, plan } = tenant;
    let added = KeptTenant { id, name, title, plan, state: TenantState::Active, stamp: change.first_stamp() };
    let (text, stamp) = (id.to_string(), added.stamp);
    let all = args![
        &text,
        &added.name,
        &folded,
        &added.title,
        &added.plan,
        word(added.state),
        data_key,
        master_key,
        stamp.created_unix_ms,
        stamp.changed_unix_ms,
        stamp.revision,
        stamp.change,
    ];
    change.execute(INSERT, all).await?;
    note(change, by, "tenant.add", id, vec![]).await?;
    Ok(added)
}

async fn alter(
    open: &mut Change,
    by: &Author,
    id: TenantId,
    seen: Revision,
    change: TenantChange,
) -> Result<KeptTenant, StoreError> {
    let scope = by.signed_in.scope();
    let text = id.to_string();
    let before = kept(&open.find(ONE, args![&text, within(&scope).as_deref()]).await?)?;
    newest_is(before.stamp.revision, seen)?;
    let mut next = before.clone();
    let mut fields = vec![];
    if let Some(title) = change.title.filter(|title| *title != before.title) {
        checks::text("title", &title, TEXT_MAX)?;
        fields.push("title");
        next.title = title;
    }
    if let Some(plan) = change.plan.filter(|plan| *plan != before.plan) {
        plan_is_there(open, &plan).await?;
        fields.push("plan");
        next.plan = plan;
    }
    if let Some(state) = change.state.filter(|state| *state != before.state) {
        fields.push("state");
        next.state = state;
    }
    if let Some(field) = fields.iter().find(|field| **field != "title")
        && scope.tenant().is_some()
    {
        return Err(mistake(field, "is an operator's to change"));
    }
    if fields.is_empty() {
        return Ok(before);
    }
    next.stamp = open.next_stamp(before.stamp);
    let Stamp { changed_unix_ms, revision, change, .. } = next.stamp;
    let all = args![&text, &next.title, &next.plan, word(next.state), changed_unix_ms, revision, change];
    open.execute(UPDATE, all).await?;
    note(open, by, "tenant.change", id, fields).await?;
    Ok(next)
}

async fn delete(change: &mut Change, by: &Author, id: TenantId, seen: Revision) -> Result<(), StoreError> {
    let (text, scope) = (id.to_string(), by.signed_in.scope());
    let before = kept(&change.find(ONE, args![&text, within(&scope).as_deref()]).await?)?;
    newest_is(before.stamp.revision, seen)?;
    for belonging in BELONGINGS {
        change.execute(belonging, args![&text]).await?;
    }
    let Stamp { changed_unix_ms, revision, change: number, .. } = change.next_stamp(before.stamp);
    change.execute(BURY, args![&text, changed_unix_ms, revision, number]).await?;
    note(change, by, "tenant.delete", id, vec![]).await
}

async fn plan_is_there(change: &mut Change, plan: &str) -> Result<(), StoreError> {
    // What no plan can be called is none; a database may not even take it for a text.
    let found = match checks::text("plan", plan, checks::NAME_MAX) {
        Ok(()) => change.look(PLAN, args![plan]).await?,
        Err(_) => None,
    };
    found.map(drop).ok_or_else(|| mistake("plan", "names no plan that there is"))
}

async fn note(
    change: &mut Change,
    by: &Author,
    action: &str,
    id: TenantId,
    fields: Vec<&str>,
) -> Result<(), StoreError> {
    let fields = fields.into_iter().map(str::to_owned).collect();
    change.note(by, Noted { action, tenant: Some(id), on: Some(id.to_string()), fields }).await
}

/// `id, name, title, plan, state` and a stamp.
pub(super) fn kept(row: &Row) -> Result<KeptTenant, Trouble> {
    Ok(KeptTenant {
        id: TenantId(parsed::<Id>(row, 0)?),
        name: text(row, 1)?,
        title: text(row, 2)?,
        plan: text(row, 3)?,
        state: match row.text(4)? {
            "active" => TenantState::Active,
            "suspended" => TenantState::Suspended,
            _ => return Err(Trouble::Unexpected { column: 4 }),
        },
        stamp: stamp(row, 5)?,
    })
}

fn word(state: TenantState) -> &'static str {
    match state {
        TenantState::Active => "active",
        TenantState::Suspended => "suspended",
    }
}
