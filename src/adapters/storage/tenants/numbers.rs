//! Numbers, each with the integration that it leads to. Replacing all of an integration: `number_lists.rs`.
//!
//! Invariant: of entries with one number at most one is confirmed.

use bellhop_tenancy::access::{Author, Scope};
use bellhop_tenancy::id::{Id, TenantId};
use bellhop_tenancy::store::{
    Answer, KeptNumber, Listed, NUMBERS_MAX, NumberEntry, NumberList, Numbers, Page, Revision, Stamp, StoreError,
};

use super::change::Change;
use super::checks::{self, TEXT_MAX, mistake, newest_is};
use super::entries::{COUNT, HOLDER, OF_INTEGRATION, kept, note, taken};
use super::integrations::numbers_changed;
use super::rows::{after, listed, wanted};
use super::{SqlTenants, answer, args, bounded, everybodys, new_id, number_lists, within};

const LIST: &str =
    "SELECT id, tenant, number, description, integration, confirmed, first_call_unix_ms, created_unix_ms,
    changed_unix_ms, revision, change FROM numbers
    WHERE (tenant = $1 OR $1 IS NULL) AND id > $2 ORDER BY id LIMIT $3";
const DISPUTED: &str =
    "SELECT id, tenant, number, description, integration, confirmed, first_call_unix_ms, created_unix_ms,
    changed_unix_ms, revision, change FROM numbers n
    WHERE (tenant = $1 OR $1 IS NULL) AND id > $2
    AND EXISTS (SELECT 1 FROM numbers o WHERE o.number = n.number AND o.id <> n.id) ORDER BY id LIMIT $3";
const NEWEST: &str = "SELECT c.change FROM counters c JOIN documents d
    ON d.id = $1 AND d.kind = 'integration' AND (d.tenant = $2 OR $2 IS NULL) WHERE c.one = 1";
const ONE: &str = "SELECT id, tenant, number, description, integration, confirmed, first_call_unix_ms, created_unix_ms,
    changed_unix_ms, revision, change FROM numbers WHERE id = $1 AND (tenant = $2 OR $2 IS NULL)";
const INTEGRATION: &str = "SELECT instance FROM documents WHERE id = $1 AND tenant = $2 AND kind = 'integration'";
const INSERT: &str = "INSERT INTO numbers (id, tenant, integration, number, instance, description, confirmed,
    created_unix_ms, changed_unix_ms, revision, change) VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, $9, $10)";
const UPDATE: &str =
    "UPDATE numbers SET integration = $2, number = $3, instance = $4, description = $5, confirmed = $6,
    first_call_unix_ms = $7, changed_unix_ms = $8, revision = $9, change = $10 WHERE id = $1";
const UNCONFIRM: &str = "UPDATE numbers SET confirmed = 0, changed_unix_ms = $3, revision = revision + 1, change = $4
    WHERE number = $1 AND id <> $2 AND confirmed = 1";
const CONFIRM: &str =
    "UPDATE numbers SET confirmed = $2, changed_unix_ms = $3, revision = $4, change = $5 WHERE id = $1";
const DELETE: &str = "DELETE FROM numbers WHERE id = $1";
const FIRST_CALL: &str = "UPDATE numbers SET first_call_unix_ms = $2 WHERE id = $1 AND first_call_unix_ms IS NULL";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 11] =
    [LIST, DISPUTED, NEWEST, ONE, INTEGRATION, INSERT, UPDATE, UNCONFIRM, CONFIRM, DELETE, FIRST_CALL];

impl Numbers for SqlTenants {
    fn numbers<'a>(&'a self, scope: &'a Scope, page: Page) -> Answer<'a, Listed<KeptNumber>> {
        answer(async move {
            let rows = self.fetch(LIST, args![within(scope).as_deref(), &after(page), wanted(page)]).await?;
            listed(&rows, page, kept, |number| number.id)
        })
    }

    fn disputed<'a>(&'a self, scope: &'a Scope, page: Page) -> Answer<'a, Listed<KeptNumber>> {
        answer(async move {
            let rows = self.fetch(DISPUTED, args![within(scope).as_deref(), &after(page), wanted(page)]).await?;
            listed(&rows, page, kept, |number| number.id)
        })
    }

    fn numbers_of<'a>(&'a self, scope: &'a Scope, integration: Id) -> Answer<'a, (Vec<KeptNumber>, i64)> {
        answer(async move {
            let (id, tenant) = (integration.to_string(), within(scope));
            // The number first: what changes after it refuses whoever shows it.
            let newest = self.find(NEWEST, args![&id, tenant.as_deref()]).await?.integer(0)?;
            let rows = self.fetch(OF_INTEGRATION, args![&id, tenant.as_deref()]).await?;
            Ok((rows.iter().map(kept).collect::<Result<_, _>>()?, newest))
        })
    }

    fn number<'a>(&'a self, scope: &'a Scope, id: Id) -> Answer<'a, KeptNumber> {
        answer(async move { Ok(kept(&self.find(ONE, args![&id.to_string(), within(scope).as_deref()]).await?)?) })
    }

    fn add_number<'a>(&'a self, by: &'a Author, tenant: TenantId, number: NumberEntry) -> Answer<'a, KeptNumber> {
        answer(async move {
            let tenant = by.signed_in.scope().narrowed(tenant).map(|_| tenant).ok_or(StoreError::NotFound)?;
            let mut change = self.begin().await?;
            let added = add(&mut change, by, tenant, number).await;
            self.end(change, added).await
        })
    }

    fn change_number<'a>(
        &'a self,
        by: &'a Author,
        id: Id,
        seen: Revision,
        number: NumberEntry,
    ) -> Answer<'a, KeptNumber> {
        answer(async move {
            let mut change = self.begin().await?;
            let altered = alter(&mut change, by, id, seen, number).await;
            self.end(change, altered).await
        })
    }

    fn confirm_number<'a>(&'a self, by: &'a Author, id: Id, seen: Revision, confirmed: bool) -> Answer<'a, KeptNumber> {
        answer(async move {
            everybodys(by)?;
            let mut change = self.begin().await?;
            let done = confirm(&mut change, by, id, seen, confirmed).await;
            self.end(change, done).await
        })
    }

    fn delete_number<'a>(&'a self, by: &'a Author, id: Id, seen: Revision) -> Answer<'a, ()> {
        answer(async move {
            let mut change = self.begin().await?;
            let deleted = delete(&mut change, by, id, seen).await;
            self.end(change, deleted).await
        })
    }

    fn replace_numbers<'a>(&'a self, by: &'a Author, tenant: TenantId, list: NumberList) -> Answer<'a, ()> {
        Box::pin(bounded(number_lists::REPLACED_WITHIN, async move {
            let tenant = by.signed_in.scope().narrowed(tenant).map(|_| tenant).ok_or(StoreError::NotFound)?;
            let mut change = self.begin().await?;
            let replaced = number_lists::replace(&mut change, by, tenant, list).await;
            self.end(change, replaced).await
        }))
    }

    fn note_first_call(&self, id: Id, at_unix_ms: i64) -> Answer<'_, ()> {
        answer(async move {
            let mut transaction = self.0.database.begin().await?;
            transaction.execute(FIRST_CALL, args![&id.to_string(), at_unix_ms]).await?;
            Ok(transaction.commit().await?)
        })
    }
}

async fn add(change: &mut Change, by: &Author, tenant: TenantId, entry: NumberEntry) -> Result<KeptNumber, StoreError> {
    checks::optional_text("description", &entry.description, TEXT_MAX)?;
    let instance = instance_of(change, tenant, entry.integration).await?;
    let id = new_id();
    is_free(change, tenant, id, &entry, &instance).await?;
    checks::room(change.count(COUNT, args![&tenant.to_string()]).await?, NUMBERS_MAX)?;
    let stamp = change.first_stamp();
    insert(change, tenant, &entry, id, &instance).await?;
    numbers_changed(change, &entry.integration.to_string()).await?;
    note(change, by, "number.add", (tenant, id), vec![]).await?;
    Ok(KeptNumber { id, tenant, entry, confirmed: false, first_call_unix_ms: None, stamp })
}

/// One that is known to be free.
async fn insert(
    change: &mut Change,
    tenant: TenantId,
    entry: &NumberEntry,
    id: Id,
    instance: &str,
) -> Result<(), StoreError> {
    let Stamp { created_unix_ms, changed_unix_ms, revision, change: number } = change.first_stamp();
    let (id, tenant, integration) = (id.to_string(), tenant.to_string(), entry.integration.to_string());
    let (e164, description) = (entry.number.e164(), &entry.description);
    let stamp = (created_unix_ms, changed_unix_ms, revision, number);
    let all = args![&id, &tenant, &integration, &e164, instance, description, stamp.0, stamp.1, stamp.2, stamp.3];
    change.execute(INSERT, all).await.map(drop)
}

async fn alter(
    change: &mut Change,
    by: &Author,
    id: Id,
    seen: Revision,
    entry: NumberEntry,
) -> Result<KeptNumber, StoreError> {
    checks::optional_text("description", &entry.description, TEXT_MAX)?;
    let (text, scope) = (id.to_string(), within(&by.signed_in.scope()));
    let before = kept(&change.find(ONE, args![&text, scope.as_deref()]).await?)?;
    newest_is(before.stamp.revision, seen)?;
    let tenant = before.tenant;
    let instance = instance_of(change, tenant, entry.integration).await?;
    is_free(change, tenant, id, &entry, &instance).await?;
    let differs = [
        ("number", entry.number != before.entry.number),
        ("description", entry.description != before.entry.description),
        ("integration", entry.integration != before.entry.integration),
    ];
    let fields: Vec<&str> = differs.into_iter().filter(|(_, is)| *is).map(|(field, _)| field).collect();
    if fields.is_empty() {
        return Ok(before);
    }
    // Another number, or another instance, is another's to confirm and waits for a call of its own.
    let is_same = fields == ["description"];
    let confirmed = before.confirmed && is_same;
    let first_call_unix_ms = before.first_call_unix_ms.filter(|_| entry.number == before.entry.number);
    let stamp = change.next_stamp(before.stamp);
    let Stamp { changed_unix_ms, revision, change: number, .. } = stamp;
    let (integration, e164) = (entry.integration.to_string(), entry.number.e164());
    let all = args![
        &text,
        &integration,
        &e164,
        &instance,
        &entry.description,
        i64::from(confirmed),
        first_call_unix_ms,
        changed_unix_ms,
        revision,
        number,
    ];
    change.execute(UPDATE, all).await?;
    numbers_changed(change, &integration).await?;
    numbers_changed(change, &before.entry.integration.to_string()).await?;
    note(change, by, "number.change", (tenant, id), fields).await?;
    Ok(KeptNumber { id, tenant, entry, confirmed, first_call_unix_ms, stamp })
}

async fn confirm(
    change: &mut Change,
    by: &Author,
    id: Id,
    seen: Revision,
    confirmed: bool,
) -> Result<KeptNumber, StoreError> {
    let text = id.to_string();
    let before = kept(&change.find(ONE, args![&text, None::<&str>]).await?)?;
    newest_is(before.stamp.revision, seen)?;
    if before.confirmed == confirmed {
        return Ok(before);
    }
    let stamp = change.next_stamp(before.stamp);
    let Stamp { changed_unix_ms, revision, change: number, .. } = stamp;
    if confirmed {
        change.execute(UNCONFIRM, args![&before.entry.number.e164(), &text, changed_unix_ms, number]).await?;
    }
    change.execute(CONFIRM, args![&text, i64::from(confirmed), changed_unix_ms, revision, number]).await?;
    note(change, by, "number.confirm", (before.tenant, id), vec!["confirmed"]).await?;
    Ok(KeptNumber { confirmed, stamp, ..before })
}

async fn delete(change: &mut Change, by: &Author, id: Id, seen: Revision) -> Result<(), StoreError> {
    let (text, scope) = (id.to_string(), within(&by.signed_in.scope()));
    let before = kept(&change.find(ONE, args![&text, scope.as_deref()]).await?)?;
    newest_is(before.stamp.revision, seen)?;
    change.execute(DELETE, args![&text]).await?;
    numbers_changed(change, &before.entry.integration.to_string()).await?;
    note(change, by, "number.delete", (before.tenant, id), vec![]).await
}

/// The instance of an integration of a tenant; `''` for none.
async fn instance_of(change: &mut Change, tenant: TenantId, integration: Id) -> Result<String, StoreError> {
    let row = change.look(INTEGRATION, args![&integration.to_string(), &tenant.to_string()]).await?;
    let row = row.ok_or_else(|| mistake("integration", "is none of the tenant's integrations"))?;
    Ok(row.optional_text(0)?.unwrap_or_default().to_owned())
}

async fn is_free(
    change: &mut Change,
    tenant: TenantId,
    id: Id,
    entry: &NumberEntry,
    instance: &str,
) -> Result<(), StoreError> {
    let e164 = entry.number.e164();
    match change.look(HOLDER, args![&e164, instance, &id.to_string()]).await? {
        None => Ok(()),
        Some(row) => Err(StoreError::Taken(taken(&row, tenant, &e164)?)),
    }
}
