//! Rows of the tables of tenants, and lists of them.
//!
//! Invariant: a column that holds what no program of ours writes is an error, and no panic.

use std::str::FromStr;

use bellhop_tenancy::Number;
use bellhop_tenancy::access::{Role, Standing};
use bellhop_tenancy::id::{Id, TenantId};
use bellhop_tenancy::settings::{Table, json};
use bellhop_tenancy::store::{Listed, PAGE_MAX, Page, SecretHint, Stamp, StoreError};

use super::{Row, Trouble};

/// A text that is something else in writing.
pub(super) fn parsed<T: FromStr>(row: &Row, column: usize) -> Result<T, Trouble> {
    row.text(column)?.parse().map_err(|_| Trouble::Unexpected { column })
}

/// The same, or nothing.
pub(super) fn optional<T: FromStr>(row: &Row, column: usize) -> Result<Option<T>, Trouble> {
    let text = row.optional_text(column)?;
    text.map(|text| text.parse().map_err(|_| Trouble::Unexpected { column })).transpose()
}

pub(super) fn text(row: &Row, column: usize) -> Result<String, Trouble> {
    row.text(column).map(str::to_owned)
}

pub(super) fn optional_text(row: &Row, column: usize) -> Result<Option<String>, Trouble> {
    Ok(row.optional_text(column)?.map(str::to_owned))
}

pub(super) fn flag(row: &Row, column: usize) -> Result<bool, Trouble> {
    Ok(row.integer(column)? != 0)
}

pub(super) fn number(row: &Row, column: usize) -> Result<Number, Trouble> {
    Number::parse(row.text(column)?).map_err(|_| Trouble::Unexpected { column })
}

/// A whole number of a type of less.
pub(super) fn small<T: TryFrom<i64>>(row: &Row, column: usize) -> Result<T, Trouble> {
    T::try_from(row.integer(column)?).map_err(|_| Trouble::Unexpected { column })
}

/// `created_unix_ms, changed_unix_ms, revision, change`, from a column on.
pub(super) fn stamp(row: &Row, column: usize) -> Result<Stamp, Trouble> {
    Ok(Stamp {
        created_unix_ms: row.integer(column)?,
        changed_unix_ms: row.integer(column + 1)?,
        revision: row.integer(column + 2)?,
        change: row.integer(column + 3)?,
    })
}

/// `owner, path, last_four, set_unix_ms`
pub(super) fn hint(row: &Row) -> Result<SecretHint, Trouble> {
    Ok(SecretHint { path: text(row, 1)?, last_four: optional_text(row, 2)?, set_unix_ms: row.integer(3)? })
}

/// A document as it is written down.
pub(super) fn table(row: &Row, column: usize) -> Result<Table, Trouble> {
    json::read(row.text(column)?).map_err(|_| Trouble::Unexpected { column })
}

/// `tenant, role`, from a column on.
pub(super) fn standing(row: &Row, column: usize) -> Result<Standing, Trouble> {
    let (tenant, role) = (optional::<TenantId>(row, column)?, parsed::<Role>(row, column + 1)?);
    Standing::of(role, tenant).ok_or(Trouble::Unexpected { column })
}

/// What comes before every identifier, for the beginning of a list.
pub(super) fn after(page: Page) -> String {
    page.after.map(|id| id.to_string()).unwrap_or_default()
}

/// What comes after every identifier, for a list from its end.
pub(super) fn before(page: Page) -> String {
    page.after.map_or_else(|| "g".to_owned(), |id| id.to_string())
}

/// How many rows to ask for: one more than are shown tells whether there are more.
pub(super) fn wanted(page: Page) -> i64 {
    i64::from(page.count.clamp(1, PAGE_MAX)) + 1
}

/// The page that rows make, of which one more was asked for than is shown.
pub(super) fn listed<T>(
    rows: &[Row],
    page: Page,
    read: impl Fn(&Row) -> Result<T, Trouble>,
    id: impl Fn(&T) -> Id,
) -> Result<Listed<T>, StoreError> {
    let count = wanted(page) as usize - 1;
    let items: Vec<T> = rows.iter().take(count).map(read).collect::<Result<_, _>>()?;
    let next = if rows.len() > count { items.last().map(id) } else { None };
    Ok(Listed { items, next })
}
