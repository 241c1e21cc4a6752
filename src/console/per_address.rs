//! Places that are shared by addresses: none takes them all.
//!
//! Invariant: a place is given back when it is dropped, and an address that has none is not remembered. Who counts as one address:
//! a subscriber owns all of an IPv6 /64.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

/// How many places each address has.
pub(crate) struct PerAddress {
    each: usize,
    taken: Mutex<BTreeMap<IpAddr, usize>>,
}

/// One of them, until it is dropped.
pub(crate) struct Place {
    of: &'static PerAddress,
    address: IpAddr,
}

impl PerAddress {
    /// So many for each.
    pub(crate) const fn new(each: usize) -> Self {
        Self { each, taken: Mutex::new(BTreeMap::new()) }
    }

    /// One more for an address; none if it has all of its own.
    pub(crate) fn place(&'static self, address: IpAddr) -> Option<Place> {
        let address = counted(address);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of = taken.entry(address).or_default();
        (*of < self.each).then(|| {
            *of += 1;
            Place { of: self, address }
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.of.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of) = taken.get_mut(&self.address) {
            *of -= 1;
            if *of == 0 {
                taken.remove(&self.address);
            }
        }
    }
}

fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_takes_all_places_and_what_is_given_back_is_free() {
        static PLACES: PerAddress = PerAddress::new(2);
        let at = |text: &str| text.parse::<IpAddr>().expect("an address");
        let first = PLACES.place(at("192.0.2.1"));
        let second = PLACES.place(at("::ffff:192.0.2.1"));
        assert!(first.is_some() && second.is_some() && PLACES.place(at("192.0.2.1")).is_none());
        let _other = PLACES.place(at("192.0.2.2")).expect("each has its own");
        drop(first);
        assert!(PLACES.place(at("192.0.2.1")).is_some());
        let _near = (PLACES.place(at("2001:db8::1")), PLACES.place(at("2001:db8::2")));
        assert!(PLACES.place(at("2001:db8::3")).is_none() && PLACES.place(at("2001:db8:0:1::3")).is_some());
        drop(second);
        drop((_other, _near));
        assert!(PLACES.taken.lock().expect("no panic").is_empty());
    }
}
