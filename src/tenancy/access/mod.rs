//! Who may do what, and to whose.
//!
//! Invariant: a [`Scope`] comes of a secret that was shown and found right ([`Credential::admit`]), or of being on the
//! machine ([`SignedIn::on_this_machine`]); whatever asks a store for a tenant's things has to show one. Whose request it is
//! decides `src/console/`.

mod credential;
mod role;
mod scope;

pub use credential::{Credential, CredentialKind, NotAdmitted, SESSION_IDLE_MAX, SESSION_MAX, SecretHash, ShownBy};
pub use role::{Role, Standing, TenantRole};
pub use scope::{Author, Scope, SignedIn};
