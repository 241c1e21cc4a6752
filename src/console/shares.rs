//! Places that are shared: there are so many, and of these so many for each who takes some.
//!
//! Invariant: a place is free again when it is dropped, however that comes about, and who has none is not remembered.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

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

    #[test]
    fn a_customer_of_a_network_is_one_however_they_come() {
        let at = |text: &str| network(text.parse().expect("an address"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
        assert_eq!(at("2001:db8::1"), at("2001:db8::2"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
    }
}
