//! Refused INVITEs.
//!
//! Every store promises: there is a bound of them; what is refused again and again for one reason is one line with a count.

use crate::Number;
use crate::access::Scope;
use crate::id::{Id, TenantId};

use super::{Answer, Listed, Page};

/// A refused INVITE to be kept; what it is asked by is the same for a flood.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRefusal {
    /// The tenants whose number it was; nobody for a number of nobody's.
    pub tenants: Vec<TenantId>,
    /// When, in milliseconds since 1970.
    pub at_unix_ms: i64,
    /// The number, if it was one.
    pub number: Option<Number>,
    /// From where: an address without its port.
    pub source: String,
    /// UDP, TCP or TLS.
    pub transport: String,
    /// The host name that was asked for in TLS.
    pub server_name: Option<String>,
    /// What it was answered.
    pub status: u16,
    /// The reason by its word: `nobodys_number`.
    pub reason: String,
}

/// A refused INVITE, or many that are alike.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptRefusal {
    /// Names it.
    pub id: Id,
    /// What was refused last.
    pub refusal: NewRefusal,
    /// How many.
    pub count: u64,
    /// When the first of them came, in milliseconds since 1970.
    pub first_unix_ms: i64,
}

/// Keeps refusals.
pub trait Refusals: Send + Sync {
    /// Writes some down.
    fn note_refusals(&self, refusals: Vec<NewRefusal>) -> Answer<'_, ()>;

    /// Those that the scope reaches, the newest first. Of a tenant those for its numbers; only who reaches everybody sees those
    /// for numbers of nobody.
    fn refusals<'a>(&'a self, scope: &'a Scope, page: Page) -> Answer<'a, Listed<KeptRefusal>>;

    /// Those for numbers of nobody, the newest first; none for a scope that does not reach everybody.
    fn refusals_of_nobody<'a>(&'a self, scope: &'a Scope, page: Page) -> Answer<'a, Listed<KeptRefusal>>;
}
