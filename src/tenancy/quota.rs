//! How many calls at once.
//!
//! Invariant: a permit given is returned exactly once, by being dropped. Enforced in `actors/reception/admission.rs`.

use std::collections::HashMap;
use std::hash::Hash;
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

    /// The same limit on the calls of an older quota too: a tenant that changes keeps count of the calls it has. Whoever still
    /// holds the older one is counted here and judged there.
    #[must_use]
    pub fn going_on_from(&self, older: &Self) -> Self {
        Self { limit: self.limit, taken: Arc::clone(&older.taken) }
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

    /// How many places there are.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// How many places are taken.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Acquire)
    }
}

/// What one holder may have of a quota for a while, so that places stay for others.
///
/// Invariant: what is remembered is what is held: a holder with nothing is forgotten.
#[derive(Debug)]
pub struct Shares<K>(HashMap<K, Arc<AtomicUsize>>);

/// Holders that are remembered before those with nothing are looked for.
const HOLDERS_KEPT: usize = 1024;

impl<K> Default for Shares<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Hash + Eq> Shares<K> {
    /// Takes one for a holder that may have so many.
    pub fn acquire(&mut self, holder: K, limit: usize) -> Result<Permit, QuotaExceeded> {
        if self.0.len() >= HOLDERS_KEPT {
            self.0.retain(|_, taken| taken.load(Ordering::Acquire) > 0);
        }
        let taken = Arc::clone(self.0.entry(holder).or_default());
        Quota { limit, taken }.acquire()
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

    #[test]
    fn a_newer_limit_counts_the_calls_of_the_older_one() {
        let older = Quota::new(2);
        let held = [older.acquire().expect("free"), older.acquire().expect("free")];
        let lower = Quota::new(1).going_on_from(&older);
        assert_eq!((lower.acquire().expect_err("full"), lower.taken()), (QuotaExceeded { limit: 1 }, 2));
        let higher = Quota::new(3).going_on_from(&lower);
        let third = higher.acquire().expect("one more than before");
        assert_eq!(higher.acquire().expect_err("full"), QuotaExceeded { limit: 3 });
        drop((held, third));
        assert_eq!((older.taken(), lower.taken(), higher.taken()), (0, 0, 0), "each place comes back once");
    }

    #[test]
    fn a_holder_has_its_share_and_no_more() {
        let mut shares = Shares::default();
        let held: Vec<Permit> = (0..2).map(|_| shares.acquire(1, 2).expect("within its share")).collect();
        assert!(shares.acquire(1, 2).is_err());
        assert!(shares.acquire(2, 2).is_ok(), "another's is its own");
        drop(held);
        assert!(shares.acquire(1, 2).is_ok());
        (0..100_000).for_each(|holder| drop(shares.acquire(holder, 1)));
        assert!(shares.0.len() <= HOLDERS_KEPT, "who holds nothing is forgotten");
    }
}
