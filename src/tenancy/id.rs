//! Identifiers of what a store holds.
//!
//! Invariant: identifiers sort by when they were made (UUID version 7, RFC 9562 section 5.7), so a list in their order is in
//! the order of making, and a cursor is the last one that was shown. What nobody made, as it stands in a file, comes before all.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
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

    /// That of what stands in a configuration's file: the same on every node and after every start, as it is made of these texts.
    pub fn of_file<'a>(what: impl IntoIterator<Item = &'a str>) -> Self {
        let mut digest = Sha256::new();
        for text in what {
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text);
        }
        let mut random = [0; 10];
        random.copy_from_slice(&digest.finalize()[..10]);
        Self::new(0, random)
    }

    /// Whether it is such a one.
    pub fn is_of_file(&self) -> bool {
        self.0.as_bytes()[..6] == [0; 6]
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

impl TenantId {
    /// That of a tenant of a configuration's file, by its name, in which upper and lower case are one.
    pub fn of_file(name: &str) -> Self {
        Self(Id::of_file(["tenant", &name.to_ascii_lowercase()]))
    }
}

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

    #[test]
    fn what_stands_in_a_file_is_called_the_same_everywhere_and_comes_first() {
        let acme = TenantId::of_file("acme");
        assert_eq!(acme.to_string(), "00000000-0000-79ca-89cb-e95c43de2a95", "as every release before has called it");
        assert_eq!(acme.to_string().parse(), Ok(acme));
        assert_eq!(acme, TenantId::of_file("Acme"));
        assert_ne!(Id::of_file(["number", "ab", "c"]), Id::of_file(["number", "a", "bc"]));
        let made = Id::new(1_700_000_000_000, [0; 10]);
        assert!(acme.0 < made && acme.0.is_of_file() && !made.is_of_file());
    }
}
