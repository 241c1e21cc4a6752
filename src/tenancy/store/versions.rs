//! What assistants said before.
//!
//! Every store promises: each change of an assistant leaves what it says from then on as a version, with who made it; secrets are in none, and the
//! oldest go where there are more than [`VERSIONS_MAX`].

use crate::access::Scope;
use crate::id::Id;
use crate::settings::Table;

use super::{Answer, Revision};

/// Most versions that are kept of an assistant, the one that it is now included.
pub const VERSIONS_MAX: i64 = 50;

/// A version, without what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The revision of the assistant that it was.
    pub revision: Revision,
    /// What the assistant was called.
    pub name: String,
    /// When it became that, in milliseconds since 1970.
    pub changed_unix_ms: i64,
    /// What whoever made it is called; nothing where that was not kept.
    pub by: Option<String>,
}

/// A version with what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptVersion {
    /// Which.
    pub version: Version,
    /// What the assistant said; where a secret stood, `kept:` and its path.
    pub document: Table,
}

/// Keeps versions.
pub trait Versions: Send + Sync {
    /// Those of an assistant that the scope reaches, the newest first; none of one that it does not reach.
    fn versions<'a>(&'a self, scope: &'a Scope, id: Id) -> Answer<'a, Vec<Version>>;

    /// One of them.
    fn version<'a>(&'a self, scope: &'a Scope, id: Id, revision: Revision) -> Answer<'a, KeptVersion>;
}
