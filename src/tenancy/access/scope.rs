//! Whose things somebody reaches.
//!
//! Invariant: nobody outside of this folder makes a [`Scope`]; it is taken from who is signed in, and narrowed, never
//! widened.

use crate::id::{Id, TenantId};

use super::role::{Role, Standing};

/// Whose things a request reaches: one tenant's, or everybody's. Every query of a tenant's table takes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope(Reach);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Everybody,
    Tenant(TenantId),
}

/// Who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// The user; none for who is on the machine itself.
    user: Option<Id>,
    /// The session or token that was shown.
    credential: Option<Id>,
    /// What they are called.
    name: String,
    standing: Standing,
    /// By a token: it cannot make others.
    by_token: bool,
}

/// Who changes something, for the audit.
#[derive(Debug, Clone)]
pub struct Author {
    /// Who is signed in.
    pub signed_in: SignedIn,
    /// From where: an address, or `this machine`.
    pub from: String,
}

impl Scope {
    /// The one tenant it reaches; none if it reaches everybody.
    pub fn tenant(&self) -> Option<TenantId> {
        match self.0 {
            Reach::Everybody => None,
            Reach::Tenant(tenant) => Some(tenant),
        }
    }

    /// Whether it reaches a tenant.
    pub fn reaches(&self, tenant: TenantId) -> bool {
        self.tenant().is_none_or(|own| own == tenant)
    }

    /// The same for one tenant alone; none where it does not reach that tenant.
    pub fn narrowed(&self, tenant: TenantId) -> Option<Self> {
        self.reaches(tenant).then_some(Self(Reach::Tenant(tenant)))
    }
}

impl SignedIn {
    pub(super) fn new(user: Id, credential: Id, name: String, standing: Standing, by_token: bool) -> Self {
        Self { user: Some(user), credential: Some(credential), name, standing, by_token }
    }

    /// Whoever can start this program with its configuration, or is the program: they have the store itself. For the command
    /// line and for what the server does by itself; `what` says which.
    pub fn on_this_machine(what: &str) -> Self {
        let standing = Standing::Operator;
        Self { user: None, credential: None, name: what.to_owned(), standing, by_token: false }
    }

    /// Whose things they reach.
    pub fn scope(&self) -> Scope {
        Scope(self.standing.tenant().map_or(Reach::Everybody, Reach::Tenant))
    }

    /// What they may do.
    pub fn role(&self) -> Role {
        self.standing.role()
    }

    /// What they are.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Their user.
    pub fn user(&self) -> Option<Id> {
        self.user
    }

    /// The session or token that they showed.
    pub fn credential(&self) -> Option<Id> {
        self.credential
    }

    /// What they are called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it was a token that they showed.
    pub fn is_by_token(&self) -> bool {
        self.by_token
    }
}
