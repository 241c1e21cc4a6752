//! Assistants, services and integrations.
//!
//! Invariant: a document is kept with its secrets and with what it uses, or not at all; one that is used stays. How secrets are
//! sealed: `sealed.rs`.

use std::collections::BTreeMap;

use bellhop_tenancy::Secret;
use bellhop_tenancy::access::{Author, Scope};
use bellhop_tenancy::id::{Id, TenantId};
use bellhop_tenancy::settings::json;
use bellhop_tenancy::store::{
    Answer, Documents, Kept, KeptKind, LastTest, Listed, NewDocument, OF_A_TENANT_MAX, Page, Revision, SecretHint,
    Stamp, StoreError,
};

use super::change::{Change, Noted};
use super::checks::{self, NAME_MAX, mistake, newest_is};
use super::rows::{after, hint, listed, optional_text, parsed, stamp, table, text, wanted};
use super::sealed::{self, NewSecrets};
use super::{Row, SqlTenants, Trouble, answer, args, integrations, new_id, versions, within};

/// Most bytes of a document as JSON.
const DOCUMENT_BYTES_MAX: usize = 256 << 10;
/// Most documents that one names.
const USES_MAX: usize = 64;

const LIST: &str =
    "SELECT id, tenant, kind, name, document, created_unix_ms, changed_unix_ms, revision, change, instance, last_test
    FROM documents WHERE kind = $1 AND (tenant = $2 OR $2 IS NULL) AND id > $3 ORDER BY id LIMIT $4";
const HINTS: &str =
    "SELECT s.owner, s.path, s.last_four, s.set_unix_ms FROM secrets s JOIN documents d ON d.id = s.owner
    WHERE d.kind = $1 AND (d.tenant = $2 OR $2 IS NULL) AND d.id >= $3 AND d.id <= $4 ORDER BY s.owner, s.path";
const ONE: &str =
    "SELECT id, tenant, kind, name, document, created_unix_ms, changed_unix_ms, revision, change, instance, last_test
    FROM documents WHERE id = $1 AND kind = $2 AND (tenant = $3 OR $3 IS NULL)";
const TENANT: &str = "SELECT id FROM tenants WHERE id = $1 AND deleted_unix_ms IS NULL AND (id = $2 OR $2 IS NULL)";
const COUNT: &str = "SELECT count(*) FROM documents WHERE tenant = $1 AND kind = $2";
const OF_NAME: &str = "SELECT id FROM documents WHERE tenant = $1 AND kind = $2 AND name = $3 AND id <> $4";
const INSERT: &str =
    "INSERT INTO documents (id, tenant, kind, name, document, instance, numbers_change, created_unix_ms,
    changed_unix_ms, revision, change) VALUES ($1, $2, $3, $4, $5, $6, $10, $7, $8, $9, $10)";
const UPDATE: &str =
    "UPDATE documents SET name = $2, document = $3, instance = $4, changed_unix_ms = $5, revision = $6,
    change = $7, kind = $8 WHERE id = $1";
const USED: &str = "SELECT id FROM documents WHERE id = $1 AND tenant = $2 AND kind <> 'integration'";
const FORGET_USES: &str = "DELETE FROM document_uses WHERE document = $1";
const USE: &str = "INSERT INTO document_uses (document, uses) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const USERS: &str = "SELECT d.name FROM documents d JOIN document_uses u ON u.document = d.id WHERE u.uses = $1
    ORDER BY d.name LIMIT 4";
const TESTED: &str = "UPDATE documents SET last_test = $2 WHERE id = $1";
const DELETE: &str = "DELETE FROM documents WHERE id = $1";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 14] =
    [LIST, HINTS, ONE, TENANT, COUNT, OF_NAME, INSERT, UPDATE, USED, FORGET_USES, USE, USERS, TESTED, DELETE];

/// A document as it is written down.
struct Written {
    json: String,
    uses: Vec<Id>,
    instance: Option<String>,
}

impl Documents for SqlTenants {
    fn documents<'a>(&'a self, scope: &'a Scope, kind: KeptKind, page: Page) -> Answer<'a, Listed<Kept>> {
        answer(async move {
            let tenant = within(scope);
            let after = after(page);
            let which = args![word(kind), tenant.as_deref(), &after, wanted(page)];
            let rows = self.fetch(LIST, which).await?;
            let mut page = listed(&rows, page, kept_and_tested, |document| document.id)?;
            let (Some(first), Some(last)) = (page.items.first(), page.items.last()) else { return Ok(page) };
            let (first, last) = (first.id.to_string(), last.id.to_string());
            let mut hints = BTreeMap::<Id, Vec<SecretHint>>::new();
            for row in self.fetch(HINTS, args![word(kind), tenant.as_deref(), &first, &last]).await? {
                hints.entry(parsed(&row, 0)?).or_default().push(hint(&row)?);
            }
            for document in &mut page.items {
                document.secrets = hints.remove(&document.id).unwrap_or_default();
            }
            Ok(page)
        })
    }

    fn document<'a>(&'a self, scope: &'a Scope, kind: KeptKind, id: Id) -> Answer<'a, Kept> {
        answer(async move {
            let (tenant, id) = (within(scope), id.to_string());
            let mut document = kept_and_tested(&self.find(ONE, args![&id, word(kind), tenant.as_deref()]).await?)?;
            let hints = self.fetch(HINTS, args![word(kind), tenant.as_deref(), &id, &id]).await?;
            document.secrets = hints.iter().map(hint).collect::<Result<_, _>>()?;
            Ok(document)
        })
    }

    fn add_document<'a>(&'a self, by: &'a Author, tenant: TenantId, document: NewDocument) -> Answer<'a, Kept> {
        Box::pin(async move {
            let secrets = NewSecrets::of(&document)?;
            let key = self.key_for(&by.signed_in.scope(), tenant, &secrets).await?;
            let added = async move {
                let mut change = self.begin().await?;
                let added = add(&mut change, by, tenant, document, &secrets.sealed_by(key.as_deref())).await;
                self.end(change, added).await
            };
            answer(added).await
        })
    }

    fn change_document<'a>(
        &'a self,
        by: &'a Author,
        id: Id,
        seen: Revision,
        document: NewDocument,
        changed: Vec<String>,
    ) -> Answer<'a, Kept> {
        let before = document.kind;
        Box::pin(self.alter_document(by, Given { id, before, seen, document, changed }))
    }

    fn complete_draft<'a>(
        &'a self,
        by: &'a Author,
        id: Id,
        seen: Revision,
        integration: NewDocument,
    ) -> Answer<'a, Kept> {
        let given = Given { id, before: KeptKind::Draft, seen, document: integration, changed: vec![] };
        Box::pin(self.alter_document(by, given))
    }

    fn delete_document<'a>(&'a self, by: &'a Author, kind: KeptKind, id: Id, seen: Revision) -> Answer<'a, ()> {
        answer(async move {
            let mut change = self.begin().await?;
            let deleted = delete(&mut change, by, kind, id, seen).await;
            self.end(change, deleted).await
        })
    }

    fn keep_test<'a>(&'a self, by: &'a Author, kind: KeptKind, id: Id, test: LastTest) -> Answer<'a, ()> {
        answer(async move {
            let mut change = self.begin().await?;
            let kept = write_test(&mut change, by, (kind, id), test).await;
            self.end(change, kept).await
        })
    }

    fn open_secrets<'a>(&'a self, by: &'a Author, kind: KeptKind, id: Id) -> Answer<'a, Vec<(String, Secret)>> {
        Box::pin(async move {
            let noted = answer(async move {
                let mut change = self.begin().await?;
                let noted = note_opened(&mut change, by, kind, id).await;
                self.end(change, noted).await
            });
            let tenant = noted.await?;
            self.open_all(&by.signed_in.scope(), tenant, id).await
        })
    }
}

impl SqlTenants {
    async fn alter_document(&self, by: &Author, given: Given) -> Result<Kept, StoreError> {
        let secrets = NewSecrets::of(&given.document)?;
        let scope = by.signed_in.scope();
        let before = self.document(&scope, given.before, given.id).await?;
        let key = self.key_for(&scope, before.tenant, &secrets).await?;
        let altered = async move {
            let mut change = self.begin().await?;
            let altered = alter(&mut change, by, given, &secrets.sealed_by(key.as_deref())).await;
            self.end(change, altered).await
        };
        answer(altered).await
    }
}

/// What is said of a document that changes.
struct Given {
    id: Id,
    /// What it was of until now.
    before: KeptKind,
    seen: Revision,
    document: NewDocument,
    changed: Vec<String>,
}

async fn add(
    change: &mut Change,
    by: &Author,
    tenant: TenantId,
    document: NewDocument,
    secrets: &sealed::Sealed<'_>,
) -> Result<Kept, StoreError> {
    let (of, scope) = (tenant.to_string(), within(&by.signed_in.scope()));
    change.find(TENANT, args![&of, scope.as_deref()]).await?;
    let (id, kind) = (new_id(), document.kind);
    let written = check(change, (id, tenant), &document).await?;
    checks::room(change.count(COUNT, args![&of, word(kind)]).await?, OF_A_TENANT_MAX)?;
    let stamp = change.first_stamp();
    let Stamp { created_unix_ms, changed_unix_ms, revision, change: number } = stamp;
    let (text, instance) = (id.to_string(), written.instance.as_deref());
    let all = args![
        &text,
        &of,
        word(kind),
        &document.name,
        &written.json,
        instance,
        created_unix_ms,
        changed_unix_ms,
        revision,
        number,
    ];
    change.execute(INSERT, all).await?;
    write_uses(change, &text, &written.uses).await?;
    let secrets = secrets.write(change, tenant, id).await?;
    let NewDocument { name, document, .. } = document;
    note(change, by, "add", kind, (tenant, id), vec![]).await?;
    let kept = Kept { id, tenant, kind, name, document, secrets, last_test: None, stamp };
    versions::keep(change, &kept, Some(by)).await?;
    Ok(kept)
}

async fn alter(
    change: &mut Change,
    by: &Author,
    given: Given,
    secrets: &sealed::Sealed<'_>,
) -> Result<Kept, StoreError> {
    let Given { id, before, seen, document, changed } = given;
    let (text, kind, scope) = (id.to_string(), document.kind, within(&by.signed_in.scope()));
    let is_another = before != kind;
    let row = change.find(ONE, args![&text, word(before), scope.as_deref()]).await?;
    let (before, instance) = (kept_and_tested(&row)?, optional_text(&row, 9)?);
    newest_is(before.stamp.revision, seen)?;
    // One from before versions were kept is not lost either.
    versions::keep(change, &before, None).await?;
    let (tenant, last_test) = (before.tenant, before.last_test);
    let written = check(change, (id, tenant), &document).await?;
    if is_another {
        let count = change.count(COUNT, args![&tenant.to_string(), word(kind)]).await?;
        checks::room(count, OF_A_TENANT_MAX)?;
    }
    let stamp = change.next_stamp(before.stamp);
    let Stamp { changed_unix_ms, revision, change: number, .. } = stamp;
    let new_instance = written.instance.as_deref();
    let all = args![&text, &document.name, &written.json, new_instance, changed_unix_ms, revision, number, word(kind)];
    change.execute(UPDATE, all).await?;
    if written.instance != instance {
        integrations::move_numbers(change, id, new_instance).await?;
    }
    change.execute(FORGET_USES, args![&text]).await?;
    write_uses(change, &text, &written.uses).await?;
    let secrets = secrets.write(change, tenant, id).await?;
    let NewDocument { name, document, .. } = document;
    note(change, by, if is_another { "add" } else { "change" }, kind, (tenant, id), changed).await?;
    let kept = Kept { id, tenant, kind, name, document, secrets, last_test, stamp };
    versions::keep(change, &kept, Some(by)).await?;
    Ok(kept)
}

async fn delete(change: &mut Change, by: &Author, kind: KeptKind, id: Id, seen: Revision) -> Result<(), StoreError> {
    let (text, scope) = (id.to_string(), within(&by.signed_in.scope()));
    let before = kept(&change.find(ONE, args![&text, word(kind), scope.as_deref()]).await?)?;
    newest_is(before.stamp.revision, seen)?;
    let users = change.fetch(USERS, args![&text]).await?;
    if let Some(first) = users.first() {
        let more = if users.len() > 1 { " and others" } else { "" };
        return Err(StoreError::InUse(format!("the integration `{}`{more} names it", first.text(0)?)));
    }
    integrations::has_no_numbers(change, id).await?;
    sealed::forget(change, id).await?;
    change.execute(FORGET_USES, args![&text]).await?;
    versions::forget(change, &text).await?;
    change.execute(DELETE, args![&text]).await?;
    change.number();
    note(change, by, "delete", kind, (before.tenant, id), vec![]).await
}

/// Reading secrets is told, before they are read.
async fn note_opened(change: &mut Change, by: &Author, kind: KeptKind, id: Id) -> Result<TenantId, StoreError> {
    let scope = within(&by.signed_in.scope());
    let of = kept(&change.find(ONE, args![&id.to_string(), word(kind), scope.as_deref()]).await?)?;
    note(change, by, "open_secrets", kind, (of.tenant, id), vec![]).await?;
    Ok(of.tenant)
}

/// A test of what the document does not say any more is no test of it, and a slow one is not the last.
async fn write_test(
    change: &mut Change,
    by: &Author,
    (kind, id): (KeptKind, Id),
    test: LastTest,
) -> Result<(), StoreError> {
    let (id, scope) = (id.to_string(), within(&by.signed_in.scope()));
    let which = args![&id, word(kind), scope.as_deref()];
    let mut document = kept_and_tested(&change.find(ONE, which).await?)?;
    let hints = change.fetch(HINTS, args![word(kind), scope.as_deref(), &id, &id]).await?;
    document.secrets = hints.iter().map(hint).collect::<Result<_, _>>()?;
    let is_newer = document.tested().is_none_or(|last| last.at_unix_ms <= test.at_unix_ms);
    if is_newer && test.fingerprint == document.fingerprint() {
        let json = serde_json::to_string(&test).map_err(|_| Trouble::Unexpected { column: 10 })?;
        change.execute(TESTED, args![&id, &json]).await?;
    }
    Ok(())
}

/// Whether a document can be kept, apart from what it means.
async fn check(
    change: &mut Change,
    (id, tenant): (Id, TenantId),
    document: &NewDocument,
) -> Result<Written, StoreError> {
    checks::text("name", &document.name, NAME_MAX)?;
    let json = json::write(&document.document);
    if json.len() > DOCUMENT_BYTES_MAX {
        return Err(mistake("document", format!("is longer than {DOCUMENT_BYTES_MAX} bytes")));
    }
    let (text, tenant, kind) = (id.to_string(), tenant.to_string(), word(document.kind));
    if change.look(OF_NAME, args![&tenant, kind, &document.name, &text]).await?.is_some() {
        return Err(StoreError::Taken(format!("there is {} `{}` already", article(document.kind), document.name)));
    }
    let uses = document.uses.clone();
    if uses.len() > USES_MAX {
        return Err(mistake("uses", format!("names more than {USES_MAX} others")));
    }
    for used in &uses {
        let used = used.to_string();
        if change.look(USED, args![&used, &tenant]).await?.is_none() {
            return Err(mistake(&used, "is no assistant or service of the tenant"));
        }
    }
    let instance = document.instance.clone().filter(|_| document.kind == KeptKind::Integration);
    if let Some(instance) = &instance {
        checks::text("instance", instance, checks::TEXT_MAX)?;
    }
    Ok(Written { json, uses, instance })
}

async fn write_uses(change: &mut Change, document: &str, uses: &[Id]) -> Result<(), StoreError> {
    for used in uses {
        change.execute(USE, args![document, &used.to_string()]).await?;
    }
    Ok(())
}

async fn note(
    change: &mut Change,
    by: &Author,
    what: &str,
    kind: KeptKind,
    (tenant, id): (TenantId, Id),
    fields: Vec<String>,
) -> Result<(), StoreError> {
    let action = format!("{}.{what}", word(kind));
    change.note(by, Noted { action: &action, tenant: Some(tenant), on: Some(id.to_string()), fields }).await
}

/// `id, tenant, kind, name, document` and a stamp; its secrets stand elsewhere.
pub(super) fn kept(row: &Row) -> Result<Kept, Trouble> {
    Ok(Kept {
        id: parsed(row, 0)?,
        tenant: parsed(row, 1)?,
        kind: kind(row, 2)?,
        name: text(row, 3)?,
        document: table(row, 4)?,
        secrets: vec![],
        last_test: None,
        stamp: stamp(row, 5)?,
    })
}

/// The same with its last test, from a row that has it behind all else.
fn kept_and_tested(row: &Row) -> Result<Kept, Trouble> {
    let column = 10;
    let last_test = row.optional_text(column)?.map(serde_json::from_str).transpose();
    Ok(Kept { last_test: last_test.map_err(|_| Trouble::Unexpected { column })?, ..kept(row)? })
}

fn kind(row: &Row, column: usize) -> Result<KeptKind, Trouble> {
    Ok(match row.text(column)? {
        "assistant" => KeptKind::Assistant,
        "service" => KeptKind::Service,
        "integration" => KeptKind::Integration,
        "draft" => KeptKind::Draft,
        _ => return Err(Trouble::Unexpected { column }),
    })
}

pub(super) fn word(kind: KeptKind) -> &'static str {
    match kind {
        KeptKind::Assistant => "assistant",
        KeptKind::Service => "service",
        KeptKind::Integration => "integration",
        KeptKind::Draft => "draft",
    }
}

fn article(kind: KeptKind) -> &'static str {
    match kind {
        KeptKind::Assistant => "an assistant",
        KeptKind::Service => "a service",
        KeptKind::Integration => "an integration",
        KeptKind::Draft => "a draft",
    }
}
