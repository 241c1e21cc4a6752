//! What each node says that it serves.
//!
//! Invariant: one that was not heard of for [`LIVES_MS`] is none.

use bellhop_tenancy::store::{AppliedBy, NotApplied, StoreError};
use serde_json::{Value, json};

use super::rows::text;
use super::{Row, SqlTenants, Trouble, args, unix_now_ms};

/// How long a node is one after it was heard of, in milliseconds: each says what it serves every few seconds.
const LIVES_MS: i64 = 30_000;
/// Integrations that a node names as not applied.
const NOT_APPLIED_MAX: usize = 1_000;

const NOTE: &str = "INSERT INTO nodes (name, seen_unix_ms, change, not_applied, says) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (name) DO UPDATE SET seen_unix_ms = excluded.seen_unix_ms, change = excluded.change,
        not_applied = excluded.not_applied, says = excluded.says";
const SWEEP: &str = "DELETE FROM nodes WHERE seen_unix_ms <= $1";
const LIST: &str = "SELECT name, change, not_applied, says FROM nodes WHERE seen_unix_ms > $1 ORDER BY name";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 3] = [NOTE, SWEEP, LIST];

impl SqlTenants {
    pub(super) async fn note_node(&self, applied: &AppliedBy) -> Result<(), StoreError> {
        let not_applied = applied.not_applied.iter().take(NOT_APPLIED_MAX);
        let not_applied: Vec<Value> = not_applied.map(|not| json!([not.integration.to_string(), not.why])).collect();
        let now = unix_now_ms();
        let mut transaction = self.0.database.begin().await?;
        transaction.execute(SWEEP, args![now - LIVES_MS]).await?;
        let (name, json) = (&applied.node, Value::Array(not_applied).to_string());
        let says = serde_json::to_string(&applied.says).map_err(|_| Trouble::Unexpected { column: 3 })?;
        transaction.execute(NOTE, args![name, now, applied.change, &json, &says]).await?;
        Ok(transaction.commit().await?)
    }

    pub(super) async fn nodes(&self) -> Result<Vec<AppliedBy>, StoreError> {
        let rows = self.fetch(LIST, args![unix_now_ms() - LIVES_MS]).await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }
}

fn read(row: &Row) -> Result<AppliedBy, Trouble> {
    let column = 2;
    let not_applied: Vec<(String, Vec<String>)> =
        serde_json::from_str(row.text(column)?).map_err(|_| Trouble::Unexpected { column })?;
    let each = not_applied.into_iter().map(|(integration, why)| {
        let integration = integration.parse().map_err(|_| Trouble::Unexpected { column })?;
        Ok(NotApplied { integration, why })
    });
    let not_applied = each.collect::<Result<_, Trouble>>()?;
    let says = serde_json::from_str(row.text(3)?).map_err(|_| Trouble::Unexpected { column: 3 })?;
    Ok(AppliedBy { node: text(row, 0)?, change: row.integer(1)?, not_applied, says })
}
