//! Tenants without IO: their settings as a document, numbers, networks, the directory and what succeeds it, quotas,
//! transfer targets, secrets, who may do what, and the ports to who keeps all that.
//!
//! Invariant: a call to a number leads to one tenant or to none.
#![cfg_attr(test, allow(clippy::disallowed_methods))] // tests bring their own time

pub mod access;
pub mod call_rate;
pub mod directory;
pub mod host_name;
pub mod id;
pub mod identity_provider;
pub mod integration;
pub mod likely;
pub mod networks;
pub mod number;
pub mod plan;
pub mod quota;
pub mod register;
pub mod secret;
pub mod settings;
pub mod store;
pub mod succession;
pub mod tenant;
pub mod transfer_targets;

pub use integration::Integration;
pub use number::Number;
pub use secret::Secret;
pub use tenant::Tenant;
