//! Places that are shared: there are so many, and of these so many for each who takes some.
//!
//! Invariant: a place is free again when it is dropped, however that comes about, and who has none is not remembered.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// So many places, and who has them.
pub(crate) struct Shares<K> {
    all_max: usize,
    of_one_max: usize,
    taken: Mutex<BTreeMap<K, usize>>,
}

/// One of them, until this is dropped.
pub(crate) struct Place<K: Ord + Copy + 'static> {
    of: &'static Shares<K>,
    who: K,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// Who asks has so many.
    OfOne(usize),
    /// All are taken.
    All,
}

impl<K: Ord + Copy> Shares<K> {
    /// So many in all, and of these so many of one.
    pub(crate) const fn of(all_max: usize, of_one_max: usize) -> Self {
        Self { all_max, of_one_max, taken: Mutex::new(BTreeMap::new()) }
    }

    /// One more place for somebody.
    pub(crate) fn place(&'static self, who: K) -> Result<Place<K>, Full> {
        let mut taken = self.taken();
        let own = taken.get(&who).copied().unwrap_or_default();
        if own >= self.of_one_max {
            return Err(Full::OfOne(own));
        }
        if taken.values().sum::<usize>() >= self.all_max {
            return Err(Full::All);
        }
        taken.insert(who, own + 1);
        Ok(Place { of: self, who })
    }

    fn taken(&self) -> MutexGuard<'_, BTreeMap<K, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Ord + Copy> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self.of.taken();
        if let Some(own) = taken.get_mut(&self.who) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.who);
            }
        }
    }
}

/// Turns that are waited for: so many at once, and of each who takes some one.
pub(crate) struct Turns<K> {
    at_once: Semaphore,
    /// Of those who have one or wait.
    own: Mutex<BTreeMap<K, Weak<Semaphore>>>,
}

/// One of them, until this is dropped.
pub(crate) struct Turn<'a> {
    _at_once: SemaphorePermit<'a>,
    _own: OwnedSemaphorePermit,
}

impl<K: Ord> Turns<K> {
    /// So many at once.
    pub(crate) const fn of(at_once: usize) -> Self {
        Self { at_once: Semaphore::const_new(at_once), own: Mutex::new(BTreeMap::new()) }
    }

    /// Waits for somebody's turn. However many they ask for, one of theirs at most is in front of anybody else's.
    pub(crate) async fn turn(&self, who: K) -> Turn<'_> {
        let own = self.own(who);
        match (own.acquire_owned().await, self.at_once.acquire().await) {
            (Ok(own), Ok(at_once)) => Turn { _at_once: at_once, _own: own },
            _ => unreachable!("nobody closes them"),
        }
    }

    fn own(&self, who: K) -> Arc<Semaphore> {
        let mut all = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, own| own.strong_count() > 0);
        if let Some(own) = all.get(&who).and_then(Weak::upgrade) {
            return own;
        }
        let own = Arc::new(Semaphore::new(1));
        all.insert(who, Arc::downgrade(&own));
        own
    }
}

/// What one customer of a network gets: an address, or with IPv6 a network of 64 bits.
pub(crate) fn network(address: IpAddr) -> [u8; 8] {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            // No network of IPv6 that is given out begins so.
            [0, 0, 0, 0, a, b, c, d]
        }
        IpAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h, ..] = address.octets();
            [a, b, c, d, e, f, g, h]
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_and_all_together_have_no_more_than_their_places() {
        static SHARES: Shares<u8> = Shares::of(32, 8);
        let refused = |who: u8| SHARES.place(who).err();
        let mut held = vec![];
        for who in 0..4 {
            held.extend((0..8).map(|_| SHARES.place(who).expect("a place")));
            assert_eq!(refused(who), Some(Full::OfOne(8)));
        }
        assert_eq!((held.len(), refused(200)), (32, Some(Full::All)));
        held.pop();
        assert_eq!(refused(200), None);
        drop(held);
        assert!(SHARES.taken().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_for_many_turns_waits_for_their_own_and_nobody_else_does() {
        static TURNS: Turns<u8> = Turns::of(2);
        let has = async |who: u8| tokio::time::timeout(Duration::from_secs(1), TURNS.turn(who)).await.ok();
        let first = has(1).await.expect("a turn");
        let others: Vec<_> = (0..8).map(|_| tokio::spawn(TURNS.turn(1))).collect();
        assert!(has(1).await.is_none(), "one of theirs is going on");
        let second = has(2).await.expect("not behind all of the other's");
        assert!(has(3).await.is_none(), "two at once");
        drop(second);
        assert!(has(3).await.is_some());
        drop(first);
        for other in others {
            other.await.expect("its turn came");
        }
        drop(TURNS.own(9));
        let known: Vec<u8> = TURNS.own.lock().expect("no panic").keys().copied().collect();
        assert_eq!(known, [9], "nobody else has one or waits");
    }

    #[test]
    fn a_customer_of_a_network_is_one_however_they_come() {
        let at = |text: &str| network(text.parse().expect("an address"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
        assert_eq!(at("2001:db8::1"), at("2001:db8::2"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
    }
}
