//! The Amazon Connect API behind the ports that write and blank contact attributes.
//!
//! A package of its own: the SDK compiles for minutes. Invariant: every request waits its turn in the account's rate
//! limiter, and the whole order, retries and waits included, ends within [`BUDGET`].

mod update_contact_attributes;

pub use update_contact_attributes::{BUDGET, Client, Credentials, Limiters};
