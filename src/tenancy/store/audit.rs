//! Who did what.
//!
//! Every store promises: each line holds the hash of the one before it, so that one that is changed or missing is found
//! ([`Audit::verify`]). What was set to what is not in it: names of fields are.

use crate::access::{Author, Scope};
use crate::id::{Id, TenantId};

use super::{Answer, Listed, Page};

/// A line as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLine {
    /// Names it.
    pub id: Id,
    /// Counts lines from 1, without a gap.
    pub number: i64,
    /// When, in milliseconds since 1970.
    pub at_unix_ms: i64,
    /// Who: the user, and what they are called.
    pub user: Option<Id>,
    /// What they are called.
    pub name: String,
    /// From where.
    pub from: String,
    /// What: `tenant.add`, `service.change`, `sign_in`.
    pub action: String,
    /// Whose it is, if it is a tenant's.
    pub tenant: Option<TenantId>,
    /// On what: its identifier.
    pub on: Option<String>,
    /// The fields that changed, by their names.
    pub fields: Vec<String>,
    /// What came of it.
    pub outcome: AuditOutcome,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditOutcome {
    /// It was done.
    Done,
    /// It was refused.
    Refused,
}

/// A line to be kept of what is no change of something that a store keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAuditLine {
    /// What: `call.hang_up`, `service.test`.
    pub action: String,
    /// Whose it is, if it is a tenant's.
    pub tenant: Option<TenantId>,
    /// On what: its identifier.
    pub on: Option<String>,
    /// What came of it.
    pub outcome: AuditOutcome,
}

/// Where a chain is broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainBroken {
    /// A line says something else than when it was written.
    #[error("line {0} of the audit was changed")]
    Changed(i64),
    /// A line is not there.
    #[error("line {0} of the audit is missing")]
    Missing(i64),
}

/// Which lines are wanted; empty texts want all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditWanted {
    /// What an action is or begins with: `sign_in`, `assistant.`.
    pub action: String,
    /// What who did it is called.
    pub name: String,
}

/// Keeps the audit.
pub trait Audit: Send + Sync {
    /// The lines that the scope reaches and that are wanted, the newest first.
    fn audit_of<'a>(&'a self, scope: &'a Scope, wanted: &'a AuditWanted, page: Page) -> Answer<'a, Listed<AuditLine>>;

    /// All lines that the scope reaches, the newest first.
    fn audit<'a>(&'a self, scope: &'a Scope, page: Page) -> Answer<'a, Listed<AuditLine>> {
        static ALL: AuditWanted = AuditWanted { action: String::new(), name: String::new() };
        self.audit_of(scope, &ALL, page)
    }

    /// Writes a line.
    fn note<'a>(&'a self, by: &'a Author, line: NewAuditLine) -> Answer<'a, ()>;

    /// Reads the whole chain; how many lines are right, or where it is broken.
    fn verify(&self) -> Answer<'_, Result<u64, ChainBroken>>;
}
