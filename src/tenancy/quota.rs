//! How many calls at once.
//!
//! Invariant: a permit given is returned exactly once, by being dropped. Enforced in `actors/reception/admission.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A limit on simultaneous calls, of a tenant or of the node.
#[derive(Debug, Clone)]
pub struct Quota {
    limit: usize,
    taken: Arc<AtomicUsize>,
}

/// The limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("all {limit} calls are taken")]
pub struct QuotaExceeded {
    /// The limit.
    pub limit: usize,
}

/// One call's place.
#[derive(Debug)]
pub struct Permit(Arc<AtomicUsize>);

impl Quota {
    /// A quota of so many calls.
    pub fn new(limit: usize) -> Self {
        Self { limit, taken: Arc::default() }
    }

    /// Takes a place.
    pub fn acquire(&self) -> Result<Permit, QuotaExceeded> {
        let limit = self.limit;
        let take = |taken: usize| (taken < limit).then_some(taken + 1);
        self.taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, take)
            .map(|_| Permit(Arc::clone(&self.taken)))
            .map_err(|_| QuotaExceeded { limit })
    }

    /// How many places are taken.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Acquire)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back() {
        let quota = Quota::new(2);
        let (first, _second) = (quota.acquire().expect("free"), quota.acquire().expect("free"));
        assert_eq!(quota.acquire().expect_err("full"), QuotaExceeded { limit: 2 });
        drop(first);
        assert!(quota.acquire().is_ok());
        assert_eq!(quota.taken(), 1);
    }
}
