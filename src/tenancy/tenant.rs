//! A tenant: who is charged for calls and told of them, and how many he may have.
//!
//! Several integrations of a tenant ([`crate::integration`]) share one [`Tenant`], and with it one count of calls.

use crate::quota::Quota;

/// Whose calls these are.
#[derive(Debug)]
pub struct Tenant {
    /// Its name: letters, digits, `-` and `_`; the label of its metrics, and whose the records of its calls are.
    pub name: String,
    /// Its limit on simultaneous calls, those of all its integrations together.
    pub calls: Quota,
}
