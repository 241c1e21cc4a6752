//! Identifiers of what a store holds.
//!
//! Invariant: identifiers sort by when they were made (UUID version 7, RFC 9562 section 5.7), so a list in their order is in
//! the order of making, and a cursor is the last one that was shown.

use std::fmt;
use std::str::FromStr;

use uuid::{Builder, Uuid};

/// An identifier: a UUID of version 7, written in lower case with its dashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(Uuid);

/// Not an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an identifier like `01939f3c-8f2a-7cc1-b3a1-0c1d2e3f4a5b`")]
pub struct MalformedId;

impl Id {
    /// One that is made at a time in milliseconds since 1970, with ten random bytes.
    pub fn new(unix_ms: i64, random: [u8; 10]) -> Self {
        Self(Builder::from_unix_timestamp_millis(unix_ms.max(0).unsigned_abs(), &random).into_uuid())
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for Id {
    type Err = MalformedId;

    /// Reads the one way that [`Id`] is written; other spellings of a UUID are none.
    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let id = Uuid::try_parse(text).map(Self).map_err(|_| MalformedId)?;
        if id.to_string() == text { Ok(id) } else { Err(MalformedId) }
    }
}

/// Whose something is: names a tenant, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(pub Id);

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TenantId {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_sort_by_time_and_have_one_spelling() {
        let (first, second) = (Id::new(1_700_000_000_000, [255; 10]), Id::new(1_700_000_000_001, [0; 10]));
        assert!(first < second && first.to_string() < second.to_string());
        assert_eq!(first.to_string().parse(), Ok(first));
        for other in [first.to_string().to_uppercase(), first.to_string().replace('-', ""), "x".into(), String::new()] {
            assert_eq!(other.parse::<Id>(), Err(MalformedId), "{other}");
        }
    }
}
