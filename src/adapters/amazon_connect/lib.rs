//! The Amazon Connect API behind the ports that write and blank contact attributes, and that test a connection.
//!
//! A package of its own: the SDK compiles for minutes. Invariant: every write waits its turn in the account's rate
//! limiter, and the whole order, retries and waits included, ends within [`BUDGET`]; tests take only turns to spare.
#![cfg_attr(test, allow(clippy::disallowed_methods))] // tests spawn what belongs to no call

mod limiters;
mod role_session;
mod sdk;
mod tester;
mod update_contact_attributes;

pub use limiters::Limiters;
pub use tester::{TEST_MAX, Tester};
pub use update_contact_attributes::{BUDGET, Client};
