//! A tenant: who is charged for calls and told of them, and how many he may have.
//!
//! Several integrations of a tenant ([`crate::integration`]) share one [`Tenant`], and with it one count of calls and one pace.

use crate::call_rate::CallRate;
use crate::quota::Quota;

/// Whose calls these are. One value lives as long as anybody serves the tenant or has a call of his ([`crate::register`]).
#[derive(Debug)]
pub struct Tenant {
    /// Its name: letters, digits, `-` and `_`; the label of its metrics, and whose the records of its calls are.
    pub name: String,
    /// Its limit on simultaneous calls, those of all its integrations together.
    pub calls: Quota,
    /// Its limit on calls that begin in a second.
    pub rate: CallRate,
}

/// Most calls at once of a tenant.
pub const CALLS_MAX: u32 = 100_000;
/// Most calls a second of a tenant that has such a limit.
pub const CALLS_PER_SECOND_MAX: u32 = 1_000;

/// What a tenant may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Calls at once.
    pub calls: usize,
    /// Calls that may begin in a second; none for any number.
    pub calls_per_second: Option<u32>,
}

impl Tenant {
    /// One that has no call yet.
    pub fn new(name: impl Into<String>, limits: Limits) -> Self {
        let rate = CallRate::new(limits.calls_per_second);
        Self { name: name.into(), calls: Quota::new(limits.calls), rate }
    }

    /// What it may have.
    pub fn limits(&self) -> Limits {
        Limits { calls: self.calls.limit(), calls_per_second: self.rate.per_second() }
    }

    /// From now on it may have this; a lower limit ends no call.
    pub fn change_limits(&self, limits: Limits) {
        self.calls.change_limit(limits.calls);
        self.rate.change(limits.calls_per_second);
    }
}

/// A name is a label of metrics and a part of file names; why a text is none.
pub fn why_no_name(name: &str) -> Option<String> {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let good = plain && (1..=64).contains(&name.len());
    (!good).then(|| format!("`{name}` must be of letters, digits, - and _, at most 64"))
}
