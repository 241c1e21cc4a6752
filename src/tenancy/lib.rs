//! Tenants without IO: numbers, routing, quotas and secrets.
//!
//! Invariant: a dialled number leads to one tenant or to none.
#![cfg_attr(test, allow(clippy::disallowed_methods))] // tests bring their own time

pub mod number;
pub mod quota;
pub mod routing;
pub mod secret;
pub mod tenant;

pub use number::Number;
pub use secret::Secret;
pub use tenant::Tenant;
