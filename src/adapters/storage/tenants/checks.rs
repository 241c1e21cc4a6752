//! What texts may be that people give.
//!
//! Invariant: what a database does not keep (NUL, in PostgreSQL) is a mistake of who gave it, and so is what no page could show.

use bellhop_tenancy::access::{Author, Standing};
use bellhop_tenancy::store::{Revision, StoreError};
use bellhop_tenancy::tenant::why_no_name;

/// Most characters of a name.
pub(super) const NAME_MAX: usize = 100;
/// Most characters of a title or a description.
pub(super) const TEXT_MAX: usize = 256;

/// A text of at least one character.
pub(super) fn text(field: &str, text: &str, max: usize) -> Result<(), StoreError> {
    match text.trim().is_empty() {
        true => Err(mistake(field, "is empty")),
        false => optional_text(field, text, max),
    }
}

/// A text that may say nothing.
pub(super) fn optional_text(field: &str, text: &str, max: usize) -> Result<(), StoreError> {
    if text.chars().count() > max {
        return Err(mistake(field, format!("has more than {max} characters")));
    }
    match text.contains(char::is_control) {
        true => Err(mistake(field, "has a character that cannot be seen: a line end, a tabulator or another")),
        false => Ok(()),
    }
}

/// The name of a tenant.
pub(super) fn tenant_name(name: &str) -> Result<(), StoreError> {
    if let Some(why) = why_no_name(name) {
        return Err(mistake("name", why));
    }
    match name.eq_ignore_ascii_case("none") {
        true => Err(mistake("name", "is what metrics call those who belong to no tenant: take another name")),
        false => Ok(()),
    }
}

pub(super) fn mistake(field: &str, why: impl Into<String>) -> StoreError {
    StoreError::Mistake { field: field.to_owned(), why: why.into() }
}

/// Whether the newest revision is the one that was seen.
pub(super) fn newest_is(newest: Revision, seen: Revision) -> Result<(), StoreError> {
    if newest == seen { Ok(()) } else { Err(StoreError::Changed { newest }) }
}

/// Whether there is room for one more.
pub(super) fn room(count: i64, limit: u64) -> Result<(), StoreError> {
    if count.unsigned_abs() < limit { Ok(()) } else { Err(StoreError::TooMany { limit }) }
}

/// Whether somebody may give a standing: to nobody more than they have, and nowhere else.
pub(super) fn may_give(by: &Author, standing: Standing) -> Result<(), StoreError> {
    let own = by.signed_in.standing();
    let reaches = own.tenant().is_none_or(|tenant| standing.tenant() == Some(tenant));
    if !reaches {
        return Err(StoreError::NotFound);
    }
    match standing.role() > own.role() {
        true => Err(mistake("role", format!("is more than you may do yourself: you are {}", own.role()))),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_can_be_kept_and_seen() {
        assert!(text("title", "Ünïcode \u{1f4de}", TEXT_MAX).is_ok());
        assert!(optional_text("description", "", TEXT_MAX).is_ok());
        let long = "é".repeat(TEXT_MAX + 1);
        for (given, told) in [
            ("", "`title` is empty"),
            (" \u{a0}", "`title` is empty"),
            ("a\0b", "`title` has a character that cannot be seen: a line end, a tabulator or another"),
            ("a\nb", "`title` has a character that cannot be seen: a line end, a tabulator or another"),
            (long.as_str(), "`title` has more than 256 characters"),
        ] {
            assert_eq!(text("title", given, TEXT_MAX).expect_err(told).to_string(), told);
        }
    }
}
