//! Plans: what a tenant may have.

use crate::access::Author;
use crate::plan::Plan;

use super::{Answer, Revision, Stamp};

/// A plan as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptPlan {
    /// Its name.
    pub name: String,
    /// Calls at once, of all integrations together.
    pub calls: u32,
    /// Calls that may begin in a second; none for any number.
    pub calls_per_second: Option<u32>,
    /// Whether calls may be handed over to Amazon Connect.
    pub contact_center: bool,
    /// Whether Bellhop brings it; such a one is not changed.
    pub built_in: bool,
    /// When, and which revision.
    pub stamp: Stamp,
}

impl KeptPlan {
    /// What it says.
    pub fn plan(&self) -> Plan {
        let Self { name, calls, calls_per_second, contact_center, .. } = self.clone();
        Plan { name, calls, calls_per_second, contact_center }
    }
}

/// Keeps plans. Everybody sees them; only an operator changes them.
pub trait Plans: Send + Sync {
    /// All of them, by name.
    fn plans(&self) -> Answer<'_, Vec<KeptPlan>>;

    /// Makes one, or changes the one of this revision; its tenants get what it says then.
    fn put_plan<'a>(&'a self, by: &'a Author, plan: KeptPlan, seen: Option<Revision>) -> Answer<'a, KeptPlan>;

    /// Deletes one that nobody has.
    fn delete_plan<'a>(&'a self, by: &'a Author, name: &'a str, seen: Revision) -> Answer<'a, ()>;
}
