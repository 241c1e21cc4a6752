//! Entries of numbers as they are kept, one by one (`numbers.rs`) or as a list (`number_lists.rs`).
//!
//! Invariant: of another tenant's number nothing is said but that it has it.

use bellhop_tenancy::access::Author;
use bellhop_tenancy::id::{Id, TenantId};
use bellhop_tenancy::store::{KeptNumber, NumberEntry, StoreError};

use super::change::{Change, Noted};
use super::rows::{flag, number, parsed, stamp, text};
use super::{Row, Trouble};

pub(super) const OF_INTEGRATION: &str = "SELECT id, tenant, number, description, integration, confirmed,
    first_call_unix_ms, created_unix_ms, changed_unix_ms, revision, change FROM numbers
    WHERE integration = $1 AND (tenant = $2 OR $2 IS NULL) ORDER BY id";
pub(super) const COUNT: &str = "SELECT count(*) FROM numbers WHERE tenant = $1";
pub(super) const HOLDER: &str = "SELECT n.tenant, d.name FROM numbers n LEFT JOIN documents d ON d.id = n.integration
    WHERE n.number = $1 AND n.instance = $2 AND n.id <> $3";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 3] = [OF_INTEGRATION, COUNT, HOLDER];

/// Why a number is not free, from a row of [`HOLDER`]; of another tenant nothing is said but that it has it.
pub(super) fn taken(row: &Row, tenant: TenantId, e164: &str) -> Result<String, Trouble> {
    Ok(match (parsed::<TenantId>(row, 0)? == tenant, row.optional_text(1)?) {
        (true, Some(integration)) => format!("the number {e164} leads to the integration `{integration}` already"),
        _ => format!("the number {e164} is another tenant's"),
    })
}

pub(super) async fn note(
    change: &mut Change,
    by: &Author,
    action: &str,
    (tenant, id): (TenantId, Id),
    fields: Vec<&str>,
) -> Result<(), StoreError> {
    let fields = fields.into_iter().map(str::to_owned).collect();
    change.note(by, Noted { action, tenant: Some(tenant), on: Some(id.to_string()), fields }).await
}

pub(super) fn kept(row: &Row) -> Result<KeptNumber, Trouble> {
    Ok(KeptNumber {
        id: parsed(row, 0)?,
        tenant: parsed(row, 1)?,
        entry: NumberEntry { number: number(row, 2)?, description: text(row, 3)?, integration: parsed(row, 4)? },
        confirmed: flag(row, 5)?,
        first_call_unix_ms: row.optional_integer(6)?,
        stamp: stamp(row, 7)?,
    })
}
