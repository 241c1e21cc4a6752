//! Refused INVITEs.
//!
//! Invariant: strangers fill no disk: what is alike becomes a count, each tenant has a bound and so has nobody, and the oldest make
//! room; those of one tenant push out nobody else's.

use std::collections::{BTreeMap, BTreeSet};

use bellhop_tenancy::access::Scope;
use bellhop_tenancy::id::{Id, TenantId};
use bellhop_tenancy::store::{Answer, KeptRefusal, Listed, NewRefusal, Page, Refusals, StoreError};
use sha2::{Digest, Sha256};

use super::change::Change;
use super::checks::TEXT_MAX;
use super::rows::{before, listed, number, optional_text, parsed, small, text, wanted};
use super::{Row, SqlTenants, Trouble, answer, args, within};

/// For how long what is alike is counted in one line, in milliseconds.
const FLOOD_MS: i64 = 10 * 60_000;
/// Most lines of a tenant.
const OF_A_TENANT: i64 = 1_000;
/// Most lines of numbers of nobody.
const OF_NOBODY: i64 = 5_000;
/// Most refusals that are taken at once; more are of a flood.
const AT_ONCE_MAX: usize = 500;

const ALIKE: &str =
    "SELECT id FROM refusals WHERE flood = $1 AND first_unix_ms > $2 ORDER BY first_unix_ms DESC LIMIT 1";
const COUNT: &str = "UPDATE refusals SET count = count + $2, at_unix_ms = $3 WHERE id = $1";
const INSERT: &str =
    "INSERT INTO refusals (id, flood, tenants, first_unix_ms, at_unix_ms, count, number, source, transport,
    server_name, status, reason) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
const OF: &str = "INSERT INTO refusal_tenants (refusal, tenant) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const THERE: &str = "SELECT id FROM tenants WHERE id = $1 AND deleted_unix_ms IS NULL";
const LIST_OF_ALL: &str =
    "SELECT id, first_unix_ms, at_unix_ms, count, number, source, transport, server_name, status, reason
    FROM refusals WHERE id < $1 ORDER BY id DESC LIMIT $2";
const LIST_OF_ONE: &str = "SELECT r.id, r.first_unix_ms, r.at_unix_ms, r.count, r.number, r.source, r.transport,
    r.server_name, r.status, r.reason FROM refusal_tenants t JOIN refusals r ON r.id = t.refusal
    WHERE t.tenant = $1 AND t.refusal < $2 ORDER BY t.refusal DESC LIMIT $3";
const LIST_OF_NOBODY: &str =
    "SELECT id, first_unix_ms, at_unix_ms, count, number, source, transport, server_name, status, reason
    FROM refusals WHERE tenants = 0 AND id < $1 ORDER BY id DESC LIMIT $2";
const TENANTS: &str = "SELECT refusal, tenant FROM refusal_tenants
    WHERE (tenant = $1 OR $1 IS NULL) AND refusal >= $2 AND refusal <= $3";
const DROP_OF_ONE: &str = "DELETE FROM refusal_tenants WHERE tenant = $1 AND refusal IN
    (SELECT refusal FROM refusal_tenants WHERE tenant = $1 ORDER BY refusal DESC LIMIT 1000 OFFSET $2)";
const DROP_OF_NOBODY: &str = "DELETE FROM refusals WHERE id IN
    (SELECT id FROM refusals WHERE tenants = 0 ORDER BY id DESC LIMIT 1000 OFFSET $1)";
const DROP_ABANDONED: &str = "DELETE FROM refusals WHERE tenants > 0
    AND NOT EXISTS (SELECT 1 FROM refusal_tenants t WHERE t.refusal = refusals.id)";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 12] = [
    ALIKE,
    COUNT,
    INSERT,
    OF,
    THERE,
    LIST_OF_ALL,
    LIST_OF_ONE,
    LIST_OF_NOBODY,
    TENANTS,
    DROP_OF_ONE,
    DROP_OF_NOBODY,
    DROP_ABANDONED,
];

impl Refusals for SqlTenants {
    fn note_refusals(&self, refusals: Vec<NewRefusal>) -> Answer<'_, ()> {
        answer(async move {
            if refusals.is_empty() {
                return Ok(());
            }
            let mut change = self.begin().await?;
            let noted = note(&mut change, refusals).await;
            self.end(change, noted).await
        })
    }

    fn refusals<'a>(&'a self, scope: &'a Scope, page: Page) -> Answer<'a, Listed<KeptRefusal>> {
        answer(async move {
            let (tenant, before) = (within(scope), before(page));
            let rows = match &tenant {
                None => self.fetch(LIST_OF_ALL, args![&before, wanted(page)]).await?,
                Some(tenant) => self.fetch(LIST_OF_ONE, args![tenant, &before, wanted(page)]).await?,
            };
            let mut page = listed(&rows, page, kept, |refusal| refusal.id)?;
            let (Some(last), Some(first)) = (page.items.first(), page.items.last()) else { return Ok(page) };
            let (first, last) = (first.id.to_string(), last.id.to_string());
            let mut of = BTreeMap::<Id, Vec<TenantId>>::new();
            for row in self.fetch(TENANTS, args![tenant.as_deref(), &first, &last]).await? {
                of.entry(parsed(&row, 0)?).or_default().push(parsed(&row, 1)?);
            }
            for refusal in &mut page.items {
                refusal.refusal.tenants = of.remove(&refusal.id).unwrap_or_default();
            }
            Ok(page)
        })
    }

    fn refusals_of_nobody<'a>(&'a self, scope: &'a Scope, page: Page) -> Answer<'a, Listed<KeptRefusal>> {
        answer(async move {
            if within(scope).is_some() {
                return Ok(Listed { items: vec![], next: None });
            }
            let rows = self.fetch(LIST_OF_NOBODY, args![&before(page), wanted(page)]).await?;
            listed(&rows, page, kept, |refusal| refusal.id)
        })
    }
}

async fn note(change: &mut Change, refusals: Vec<NewRefusal>) -> Result<(), StoreError> {
    let mut alike = BTreeMap::<String, (NewRefusal, i64, i64)>::new();
    for refusal in refusals.into_iter().take(AT_ONCE_MAX) {
        let refusal = tidy(refusal);
        let (flood, at) = (flood(&refusal), refusal.at_unix_ms);
        let known = alike.entry(flood).or_insert_with(|| (refusal.clone(), at, 0));
        known.0.at_unix_ms = known.0.at_unix_ms.max(at);
        known.1 = known.1.min(at);
        known.2 += 1;
    }
    let mut of = BTreeSet::new();
    for (flood, (mut refusal, first, count)) in alike {
        let latest = refusal.at_unix_ms;
        if let Some(row) = change.look(ALIKE, args![&flood, latest - FLOOD_MS]).await? {
            change.execute(COUNT, args![row.text(0)?, count, latest]).await?;
            continue;
        }
        let mut there = vec![];
        for tenant in std::mem::take(&mut refusal.tenants) {
            // Whose it is that stands in a file is not for the store to know.
            if tenant.0.is_of_file() || change.look(THERE, args![&tenant.to_string()]).await?.is_some() {
                there.push(tenant.to_string());
            }
        }
        let id = Id::new(first, rand::random()).to_string();
        insert(change, (&id, &flood), &refusal, (first, count), there.len()).await?;
        for tenant in &there {
            change.execute(OF, args![&id, tenant]).await?;
        }
        of.extend(there);
    }
    for tenant in of {
        change.execute(DROP_OF_ONE, args![&tenant, OF_A_TENANT]).await?;
    }
    change.execute(DROP_OF_NOBODY, args![OF_NOBODY]).await?;
    change.execute(DROP_ABANDONED, args![]).await.map(drop)
}

async fn insert(
    change: &mut Change,
    (id, flood): (&str, &str),
    refusal: &NewRefusal,
    (first, count): (i64, i64),
    tenants: usize,
) -> Result<(), StoreError> {
    let number = refusal.number.as_ref().map(bellhop_tenancy::Number::e164);
    let all = args![
        id,
        flood,
        tenants as i64,
        first,
        refusal.at_unix_ms,
        count,
        number.as_deref(),
        &refusal.source,
        &refusal.transport,
        refusal.server_name.as_deref(),
        i64::from(refusal.status),
        &refusal.reason,
    ];
    change.execute(INSERT, all).await.map(drop)
}

/// What a stranger says, as it can be kept.
fn tidy(mut refusal: NewRefusal) -> NewRefusal {
    let tidy = |text: &str| text.chars().filter(|c| !c.is_control()).take(TEXT_MAX).collect::<String>();
    for text in [&mut refusal.source, &mut refusal.transport, &mut refusal.reason] {
        *text = tidy(text);
    }
    refusal.server_name = refusal.server_name.as_deref().map(tidy);
    refusal.tenants.sort();
    refusal.tenants.dedup();
    refusal
}

/// What those have in common that are alike.
fn flood(refusal: &NewRefusal) -> String {
    let number = refusal.number.as_ref().map(bellhop_tenancy::Number::e164);
    let of = serde_json::json!([
        refusal.tenants.iter().map(ToString::to_string).collect::<Vec<_>>(),
        number,
        refusal.source,
        refusal.status,
        refusal.reason,
    ]);
    Sha256::digest(of.to_string()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn kept(row: &Row) -> Result<KeptRefusal, Trouble> {
    let refusal = NewRefusal {
        tenants: vec![],
        at_unix_ms: row.integer(2)?,
        number: row.optional_text(4)?.map(|_| number(row, 4)).transpose()?,
        source: text(row, 5)?,
        transport: text(row, 6)?,
        server_name: optional_text(row, 7)?,
        status: small(row, 8)?,
        reason: text(row, 9)?,
    };
    Ok(KeptRefusal { id: parsed(row, 0)?, refusal, count: small(row, 3)?, first_unix_ms: row.integer(1)? })
}
