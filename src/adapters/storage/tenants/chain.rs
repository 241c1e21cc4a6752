//! A line of the audit as it is kept, with its hash over itself and the hash before it.
//!
//! Invariant: whatever is said of a line is in its hash, each thing in its place.

use bellhop_tenancy::store::{AuditLine, AuditOutcome, StoreError};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::rows::{optional, parsed, text};
use super::{Row, Trouble, args};
use crate::storage::database::Transaction;

const INSERT: &str = "INSERT INTO audit
    (number, id, at_unix_ms, user_id, name, made_from, action, tenant, target, fields, outcome, hash)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 1] = [INSERT];

/// The hash of a line after another.
pub(super) fn hash(before: &str, line: &AuditLine) -> String {
    let of = json!([
        before,
        line.number,
        line.id.to_string(),
        line.at_unix_ms,
        line.user.map(|user| user.to_string()),
        line.name,
        line.from,
        line.action,
        line.tenant.map(|tenant| tenant.to_string()),
        line.on,
        line.fields,
        word(line.outcome),
    ]);
    Sha256::digest(of.to_string()).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) async fn insert(transaction: &mut Transaction, line: &AuditLine, hash: &str) -> Result<(), StoreError> {
    let (id, user, tenant) =
        (line.id.to_string(), line.user.map(|user| user.to_string()), line.tenant.map(|tenant| tenant.to_string()));
    let fields = json!(line.fields).to_string();
    let all = args![
        line.number,
        &id,
        line.at_unix_ms,
        user.as_deref(),
        &line.name,
        &line.from,
        &line.action,
        tenant.as_deref(),
        line.on.as_deref(),
        &fields,
        word(line.outcome),
        hash,
    ];
    transaction.execute(INSERT, all).await?;
    Ok(())
}

pub(super) fn read(row: &Row) -> Result<AuditLine, Trouble> {
    Ok(AuditLine {
        number: row.integer(0)?,
        id: parsed(row, 1)?,
        at_unix_ms: row.integer(2)?,
        user: optional(row, 3)?,
        name: text(row, 4)?,
        from: text(row, 5)?,
        action: text(row, 6)?,
        tenant: optional(row, 7)?,
        on: row.optional_text(8)?.map(str::to_owned),
        fields: serde_json::from_str(row.text(9)?).map_err(|_| Trouble::Unexpected { column: 9 })?,
        outcome: match row.text(10)? {
            "done" => AuditOutcome::Done,
            "refused" => AuditOutcome::Refused,
            _ => return Err(Trouble::Unexpected { column: 10 }),
        },
    })
}

fn word(outcome: AuditOutcome) -> &'static str {
    match outcome {
        AuditOutcome::Done => "done",
        AuditOutcome::Refused => "refused",
    }
}
