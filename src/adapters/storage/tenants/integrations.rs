//! What an integration and its numbers have to do with one another.
//!
//! Invariant: the instance of a number is that of its integration, and no other entry has both.

use bellhop_tenancy::id::Id;
use bellhop_tenancy::store::StoreError;

use super::args;
use super::change::Change;

const CROSSING: &str = "SELECT n.number FROM numbers n JOIN numbers o ON o.number = n.number AND o.instance = $2
    AND o.integration <> $1 WHERE n.integration = $1 ORDER BY n.number LIMIT 1";
const MOVE: &str =
    "UPDATE numbers SET instance = $2, confirmed = 0, changed_unix_ms = $3, revision = revision + 1, change = $4
    WHERE integration = $1";
const NUMBERS_CHANGED: &str = "UPDATE documents SET numbers_change = $2 WHERE id = $1";
const COUNT: &str = "SELECT count(*) FROM numbers WHERE integration = $1";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 4] = [CROSSING, MOVE, NUMBERS_CHANGED, COUNT];

/// An integration is of another instance; what an operator confirmed was said of the former.
pub(super) async fn move_numbers(change: &mut Change, id: Id, instance: Option<&str>) -> Result<(), StoreError> {
    let (id, instance) = (id.to_string(), instance.unwrap_or_default());
    if let Some(row) = change.look(CROSSING, args![&id, instance]).await? {
        let number = row.text(0)?;
        return Err(StoreError::Taken(format!("the number {number} is taken already in that Amazon Connect instance")));
    }
    let (now, number) = (change.now_ms, change.number());
    change.execute(MOVE, args![&id, instance, now, number]).await?;
    numbers_changed(change, &id).await
}

/// Numbers of an integration are others from this change on.
pub(super) async fn numbers_changed(change: &mut Change, id: &str) -> Result<(), StoreError> {
    let number = change.number();
    change.execute(NUMBERS_CHANGED, args![id, number]).await.map(drop)
}

pub(super) async fn has_no_numbers(change: &mut Change, id: Id) -> Result<(), StoreError> {
    match change.count(COUNT, args![&id.to_string()]).await? {
        0 => Ok(()),
        1 => Err(StoreError::InUse("a number leads to it".to_owned())),
        count => Err(StoreError::InUse(format!("{count} numbers lead to it"))),
    }
}
