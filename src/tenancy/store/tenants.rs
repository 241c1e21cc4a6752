//! Tenants themselves.

use crate::access::{Author, Scope};
use crate::id::TenantId;

use super::{Answer, Listed, Page, Revision, Stamp};

/// A tenant as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptTenant {
    /// Names it for ever.
    pub id: TenantId,
    /// Its name: the label of its metrics; a name is never given twice, not even after its tenant was deleted.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// The name of its plan.
    pub plan: String,
    /// Whether it is served.
    pub state: TenantState,
    /// When, and which revision.
    pub stamp: Stamp,
}

/// Whether a tenant is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenantState {
    /// Its calls are taken.
    Active,
    /// They are not; it keeps everything.
    Suspended,
}

/// A tenant to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTenant {
    /// Its name, as the name of a tenant in a file.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// The name of its plan.
    pub plan: String,
}

/// What changes of a tenant; what is none stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TenantChange {
    /// What people call it.
    pub title: Option<String>,
    /// The name of its plan.
    pub plan: Option<String>,
    /// Whether it is served.
    pub state: Option<TenantState>,
}

/// Keeps tenants. Only who reaches everybody makes and deletes them.
pub trait Tenants: Send + Sync {
    /// Those that the scope reaches.
    fn tenants<'a>(&'a self, scope: &'a Scope, page: Page) -> Answer<'a, Listed<KeptTenant>>;

    /// One of them.
    fn tenant<'a>(&'a self, scope: &'a Scope, id: TenantId) -> Answer<'a, KeptTenant>;

    /// Makes one, with a data key of its own.
    fn add_tenant<'a>(&'a self, by: &'a Author, tenant: NewTenant) -> Answer<'a, KeptTenant>;

    /// Changes one whose revision is this.
    fn change_tenant<'a>(
        &'a self,
        by: &'a Author,
        id: TenantId,
        seen: Revision,
        change: TenantChange,
    ) -> Answer<'a, KeptTenant>;

    /// Deletes one with all that belongs to it. Its name stays taken, and the records of its calls until they expire.
    fn delete_tenant<'a>(&'a self, by: &'a Author, id: TenantId, seen: Revision) -> Answer<'a, ()>;
}
