//! Numbers, each with the integration that it leads to.
//!
//! Every store promises: of two entries with one number, each has an Amazon Connect instance of its own, which is that of its
//! integration ([`super::NewDocument::instance`]; none counts as one). Which of them a call belongs to decides the directory
//! (`src/tenancy/directory.rs`).

use crate::Number;
use crate::access::{Author, Scope};
use crate::id::{Id, TenantId};

use super::{Answer, Listed, Page, Revision, Stamp};

/// A number as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptNumber {
    /// Names the entry.
    pub id: Id,
    /// Whose it is.
    pub tenant: TenantId,
    /// Where it leads.
    pub entry: NumberEntry,
    /// Whether an operator has said that calls which name no instance are this entry's.
    pub confirmed: bool,
    /// When the first call to it came, in milliseconds since 1970; none while it waits for one.
    pub first_call_unix_ms: Option<i64>,
    /// When, and which revision.
    pub stamp: Stamp,
}

/// What a tenant says of a number.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberEntry {
    /// The number.
    pub number: Number,
    /// What it is for, up to 256 characters.
    pub description: String,
    /// The integration that its calls belong to.
    pub integration: Id,
}

/// All numbers of an integration, to take the place of those it has.
#[derive(Debug, Clone)]
pub struct NumberList {
    /// Whose.
    pub integration: Id,
    /// Its numbers, each with what it is for.
    pub numbers: Vec<(Number, String)>,
    /// The number of the newest change when the list was previewed: one of this integration's numbers since refuses it.
    pub seen_change: i64,
}

/// Keeps numbers.
pub trait Numbers: Send + Sync {
    /// Those that the scope reaches.
    fn numbers<'a>(&'a self, scope: &'a Scope, page: Page) -> Answer<'a, Listed<KeptNumber>>;

    /// Those of them whose number another entry has too: calls that name no instance are one's alone if an operator says so.
    fn disputed<'a>(&'a self, scope: &'a Scope, page: Page) -> Answer<'a, Listed<KeptNumber>>;

    /// All those of an integration, with the number of the newest change.
    fn numbers_of<'a>(&'a self, scope: &'a Scope, integration: Id) -> Answer<'a, (Vec<KeptNumber>, i64)>;

    /// One of them.
    fn number<'a>(&'a self, scope: &'a Scope, id: Id) -> Answer<'a, KeptNumber>;

    /// Makes an entry of a tenant.
    fn add_number<'a>(&'a self, by: &'a Author, tenant: TenantId, number: NumberEntry) -> Answer<'a, KeptNumber>;

    /// Changes one whose revision is this.
    fn change_number<'a>(
        &'a self,
        by: &'a Author,
        id: Id,
        seen: Revision,
        number: NumberEntry,
    ) -> Answer<'a, KeptNumber>;

    /// Says that calls which name no instance are this entry's and no other's; or that they are nobody's. Only who reaches
    /// everybody says so.
    fn confirm_number<'a>(&'a self, by: &'a Author, id: Id, seen: Revision, confirmed: bool) -> Answer<'a, KeptNumber>;

    /// Deletes one.
    fn delete_number<'a>(&'a self, by: &'a Author, id: Id, seen: Revision) -> Answer<'a, ()>;

    /// Replaces all numbers of an integration, or none. Entries whose number stays are kept, with what is known of them.
    fn replace_numbers<'a>(&'a self, by: &'a Author, tenant: TenantId, list: NumberList) -> Answer<'a, ()>;

    /// The first call to an entry came at a time in milliseconds since 1970; later ones change nothing.
    fn note_first_call(&self, id: Id, at_unix_ms: i64) -> Answer<'_, ()>;
}
