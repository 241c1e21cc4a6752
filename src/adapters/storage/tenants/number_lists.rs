//! All numbers of an integration at once: all of a list, or nothing of it.
//!
//! Invariant: an entry whose number stays keeps its identifier and what is known of it.

use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;
use std::time::Duration;

use bellhop_tenancy::access::Author;
use bellhop_tenancy::id::TenantId;
use bellhop_tenancy::store::{KeptNumber, NUMBERS_MAX, NumberList, StoreError};

use super::change::Change;
use super::checks::{self, TEXT_MAX, mistake, newest_is};
use super::integrations::numbers_changed;
use super::{Argument, args, entries, new_id};

/// The longest that replacing a list may take: [`NUMBERS_MAX`] of them.
pub(super) const REPLACED_WITHIN: Duration = Duration::from_secs(60);
/// Entries that one statement writes.
const AT_ONCE: usize = 50;
/// Numbers that a refusal names.
const NAMED_MAX: usize = 10;

const INTEGRATION: &str = "SELECT instance, numbers_change FROM documents
    WHERE id = $1 AND tenant = $2 AND kind = 'integration'";
const DESCRIBE: &str = "UPDATE numbers SET description = $2, changed_unix_ms = $3, revision = revision + 1, change = $4
    WHERE id = $1";
const DELETE: &str = "DELETE FROM numbers WHERE id = $1";
const INSERT_ONE: &str = "INSERT INTO numbers (tenant, integration, instance, created_unix_ms, changed_unix_ms, change,
    confirmed, revision, id, number, description) VALUES ($1, $2, $3, $4, $4, $5, 0, 1, $6, $7, $8)";

static INSERT_MANY: LazyLock<String> = LazyLock::new(|| {
    let more = (1..AT_ONCE)
        .map(|n| format!(", ($1, $2, $3, $4, $4, $5, 0, 1, ${}, ${}, ${})", 6 + n * 3, 7 + n * 3, 8 + n * 3));
    more.fold(INSERT_ONE.to_owned(), |text, next| text + &next)
});

/// Every text of this file.
#[cfg(test)]
pub(super) fn all() -> [&'static str; 5] {
    [INTEGRATION, DESCRIBE, DELETE, INSERT_ONE, INSERT_MANY.as_str()]
}

/// What there is to write of a list.
struct Differences {
    added: Vec<(String, String)>,
    described: Vec<(String, String)>,
    gone: Vec<String>,
}

pub(super) async fn replace(
    change: &mut Change,
    by: &Author,
    tenant: TenantId,
    list: NumberList,
) -> Result<(), StoreError> {
    let (of, id) = (tenant.to_string(), list.integration.to_string());
    let row = change.find(INTEGRATION, args![&id, &of]).await?;
    let instance = row.optional_text(0)?.unwrap_or_default().to_owned();
    if row.integer(1)? > list.seen_change {
        newest_is(change.newest(), list.seen_change)?;
    }
    let rows = change.fetch(entries::OF_INTEGRATION, args![&id, of.as_str()]).await?;
    let before = rows.iter().map(entries::kept).collect::<Result<Vec<KeptNumber>, _>>()?;
    let differences = compare(&list, before)?;
    let Differences { added, described, gone } = &differences;
    if added.is_empty() && described.is_empty() && gone.is_empty() {
        return Ok(());
    }
    let count = change.count(entries::COUNT, args![&of]).await?.unsigned_abs();
    if count + added.len() as u64 > NUMBERS_MAX + gone.len() as u64 {
        return Err(StoreError::TooMany { limit: NUMBERS_MAX });
    }
    are_free(change, tenant, added, &instance).await?;
    let (now, number) = (change.now_ms, change.number());
    for id in gone {
        change.execute(DELETE, args![id]).await?;
    }
    for (id, description) in described {
        change.execute(DESCRIBE, args![id, description, now, number]).await?;
    }
    let ids: Vec<String> = added.iter().map(|_| new_id().to_string()).collect();
    for (entries, ids) in added.chunks(AT_ONCE).zip(ids.chunks(AT_ONCE)) {
        let whole = entries.len() == AT_ONCE;
        let common = args![&of, &id, &instance, now, number];
        let each = entries.iter().zip(ids).map(|((e164, description), id)| args3(id, e164, description));
        match whole {
            true => {
                let all: Vec<Argument<'_>> = common.iter().copied().chain(each.flatten()).collect();
                change.execute(INSERT_MANY.as_str(), &all).await?;
            }
            false => {
                for entry in each {
                    change.execute(INSERT_ONE, &[&common[..], &entry[..]].concat()).await?;
                }
            }
        }
    }
    numbers_changed(change, &id).await?;
    entries::note(change, by, "number.replace", (tenant, list.integration), vec!["numbers"]).await
}

fn args3<'a>(id: &'a str, e164: &'a str, description: &'a str) -> [Argument<'a>; 3] {
    [id.into(), e164.into(), description.into()]
}

fn compare(list: &NumberList, before: Vec<KeptNumber>) -> Result<Differences, StoreError> {
    let mut before: BTreeMap<String, KeptNumber> =
        before.into_iter().map(|kept| (kept.entry.number.e164(), kept)).collect();
    let (mut known, mut added, mut described) = (HashSet::new(), vec![], vec![]);
    for (number, description) in &list.numbers {
        let e164 = number.e164();
        checks::optional_text("description", description, TEXT_MAX)?;
        if !known.insert(e164.clone()) {
            return Err(mistake("numbers", format!("has {e164} twice")));
        }
        match before.remove(&e164) {
            None => added.push((e164, description.clone())),
            Some(kept) if kept.entry.description != *description => {
                described.push((kept.id.to_string(), description.clone()));
            }
            Some(_) => {}
        }
    }
    Ok(Differences { added, described, gone: before.into_values().map(|kept| kept.id.to_string()).collect() })
}

async fn are_free(
    change: &mut Change,
    tenant: TenantId,
    added: &[(String, String)],
    instance: &str,
) -> Result<(), StoreError> {
    let mut taken = vec![];
    for (e164, _) in added {
        // No entry has an identifier of nothing.
        if let Some(row) = change.look(entries::HOLDER, args![e164, instance, ""]).await? {
            taken.push(entries::taken(&row, tenant, e164)?);
        }
        if taken.len() > NAMED_MAX {
            taken.truncate(NAMED_MAX);
            taken.push("and more".to_owned());
            break;
        }
    }
    if taken.is_empty() { Ok(()) } else { Err(StoreError::Taken(taken.join("; "))) }
}
