//! How many calls at once.
//!
//! Invariant: a permit given is returned exactly once, by being dropped. Enforced in `actors/reception/admission.rs`.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A limit on simultaneous calls, of a tenant or of the node; clones share it.
#[derive(Debug, Clone)]
pub struct Quota(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    limit: AtomicUsize,
    taken: AtomicUsize,
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
pub struct Permit(Arc<Counted>);

impl Quota {
    /// A quota of so many calls.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Counted { limit: AtomicUsize::new(limit), taken: AtomicUsize::new(0) }))
    }

    /// From now on it is so many, for whoever holds it; a lower one ends no call.
    pub fn change_limit(&self, limit: usize) {
        self.0.limit.store(limit, Ordering::Release);
    }

    /// Takes a place.
    pub fn acquire(&self) -> Result<Permit, QuotaExceeded> {
        let limit = self.limit();
        let take = |taken: usize| (taken < limit).then_some(taken + 1);
        self.0
            .taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, take)
            .map(|_| Permit(Arc::clone(&self.0)))
            .map_err(|_| QuotaExceeded { limit })
    }

    /// How many places there are.
    pub fn limit(&self) -> usize {
        self.0.limit.load(Ordering::Acquire)
    }

    /// How many places are taken.
    pub fn taken(&self) -> usize {
        self.0.taken.load(Ordering::Acquire)
    }
}

/// What one holder may have of a quota for a while, so that places stay for others.
///
/// Invariant: what is remembered is what is held: a holder with nothing is forgotten.
#[derive(Debug)]
pub struct Shares<K>(HashMap<K, Quota>);

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
            self.0.retain(|_, share| share.taken() > 0);
        }
        let share = self.0.entry(holder).or_insert_with(|| Quota::new(limit));
        share.change_limit(limit);
        share.acquire()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::AcqRel);
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
    fn a_limit_that_changes_ends_no_call_and_forgets_none() {
        let quota = Quota::new(2);
        let held_elsewhere = quota.clone();
        let held = [quota.acquire().expect("free"), quota.acquire().expect("free")];
        quota.change_limit(1);
        assert_eq!((held_elsewhere.acquire().expect_err("full"), quota.taken()), (QuotaExceeded { limit: 1 }, 2));
        quota.change_limit(3);
        let third = held_elsewhere.acquire().expect("one more than before");
        assert_eq!(quota.acquire().expect_err("full"), QuotaExceeded { limit: 3 });
        drop((held, third));
        assert_eq!(quota.taken(), 0, "each place comes back once");
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
