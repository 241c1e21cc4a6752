//! Roles, from the least to the most that one may do.
//!
//! Invariant: an operator belongs to no tenant, everybody else to exactly one. The test is in `credential.rs`.

use std::fmt;
use std::str::FromStr;

use crate::id::TenantId;

/// What somebody may do; each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Reads the conversations that callers are handed over with.
    Agent,
    /// Reads everything of the tenant.
    Viewer,
    /// Changes everything of the tenant.
    Admin,
    /// Changes everything of everybody, and says who there is.
    Operator,
}

/// What somebody of a tenant may do there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TenantRole {
    /// [`Role::Agent`]
    Agent,
    /// [`Role::Viewer`]
    Viewer,
    /// [`Role::Admin`]
    Admin,
}

/// What somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Runs the server.
    Operator,
    /// Belongs to a tenant.
    OfTenant(TenantId, TenantRole),
}

impl Role {
    /// The words of REST and of the store.
    pub const ALL: [(&'static str, Self); 4] =
        [("agent", Self::Agent), ("viewer", Self::Viewer), ("admin", Self::Admin), ("operator", Self::Operator)];
}

impl TenantRole {
    /// The same as a role.
    pub fn role(self) -> Role {
        match self {
            Self::Agent => Role::Agent,
            Self::Viewer => Role::Viewer,
            Self::Admin => Role::Admin,
        }
    }
}

impl Standing {
    /// What they may do.
    pub fn role(self) -> Role {
        match self {
            Self::Operator => Role::Operator,
            Self::OfTenant(_, role) => role.role(),
        }
    }

    /// Where they belong.
    pub fn tenant(self) -> Option<TenantId> {
        match self {
            Self::Operator => None,
            Self::OfTenant(tenant, _) => Some(tenant),
        }
    }

    /// The standing that a role and a tenant make; none for an operator of a tenant, and for others of none.
    pub fn of(role: Role, tenant: Option<TenantId>) -> Option<Self> {
        Some(match (role, tenant) {
            (Role::Operator, None) => Self::Operator,
            (Role::Agent, Some(tenant)) => Self::OfTenant(tenant, TenantRole::Agent),
            (Role::Viewer, Some(tenant)) => Self::OfTenant(tenant, TenantRole::Viewer),
            (Role::Admin, Some(tenant)) => Self::OfTenant(tenant, TenantRole::Admin),
            (Role::Operator, Some(_)) | (Role::Agent | Role::Viewer | Role::Admin, None) => return None,
        })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Agent => "agent",
            Self::Viewer => "viewer",
            Self::Admin => "admin",
            Self::Operator => "operator",
        })
    }
}

/// Not a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a role: one of agent, viewer, admin, operator")]
pub struct UnknownRole(pub String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let known = Self::ALL.into_iter().find(|(word, _)| *word == text);
        known.map(|(_, role)| role).ok_or_else(|| UnknownRole(text.to_owned()))
    }
}
