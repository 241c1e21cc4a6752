//! What an address tells: whether it is one of the internet's, who it counts as, and whom its owner may name to us.
//!
//! Invariant: these are the only readers of address ranges in this workspace. Whoever fetches or dials what somebody else
//! named asks [`is_public`] or [`may_name`]; whoever counts by source counts by [`Source`]. Ranges: the IANA registries of
//! special-purpose addresses (RFC 6890), read 2026-11-26.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Who an address counts as: an IPv4 address, or the /64 of an IPv6 address, since a subscriber owns all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source(IpAddr);

impl Source {
    /// The source that this address belongs to.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                Self(IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)))
            }
            v4 => Self(v4),
        }
    }
}

/// How far an address reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Realm {
    /// Of this machine alone.
    Machine,
    /// Of one link: neighbours, and the metadata services of clouds.
    Link,
    /// Of one site: private and shared networks.
    Site,
    /// Of everybody. Addresses of documentation belong to nobody; they stand for the internet's, as in every example.
    Internet,
    /// Of no single host: unspecified, multicast, broadcast, reserved, or a tunnel to an address that is not told.
    Nobody,
}

/// Whether an address is one of the internet's: a host there can be asked for without reaching into a network of ours.
/// False for private, shared, loopback, link-local, documentation, benchmark, multicast, broadcast and reserved addresses,
/// and for IPv6 addresses that lead to such an IPv4 address.
pub fn is_public(address: IpAddr) -> bool {
    realm(address) == Realm::Internet && !is_documentation(address.to_canonical())
}

/// The whole list where it has the address, else nothing.
pub fn listing(list: &[IpNet], address: IpAddr) -> &[IpNet] {
    if list.iter().any(|net| net.contains(&address.to_canonical())) { list } else { &[] }
}

/// Whether who speaks from `source` may have us send to `target`, an address of a Contact or a route. The source itself,
/// the internet's, and those of `networks`, the list that the source stands on, always; a private address only for who is
/// nearer than the internet: a stranger out there must not aim us at our own networks, and a route is no better than a
/// Contact.
pub fn may_name(source: IpAddr, target: IpAddr, networks: &[IpNet]) -> bool {
    let (source, target) = (source.to_canonical(), target.to_canonical());
    match realm(target) {
        Realm::Nobody => false,
        Realm::Internet => true,
        near => source == target || networks.iter().any(|net| net.contains(&target)) || realm(source) <= near,
    }
}

fn realm(address: IpAddr) -> Realm {
    match address.to_canonical() {
        IpAddr::V4(v4) => realm_v4(v4),
        IpAddr::V6(v6) => realm_v6(v6),
    }
}

fn realm_v4(v4: Ipv4Addr) -> Realm {
    match v4.octets() {
        [0 | 224.., ..] => Realm::Nobody,
        [127, ..] => Realm::Machine,
        [169, 254, ..] => Realm::Link,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] | [198, 18..=19, ..] | [192, 0, 0, _] => {
            Realm::Site
        }
        // The anycast of 6to4 relays (RFC 7526).
        [192, 88, 99, _] => Realm::Nobody,
        _ => Realm::Internet,
    }
}

fn realm_v6(v6: Ipv6Addr) -> Realm {
    let segments = v6.segments();
    let embedded = || Ipv4Addr::from(u32::from(segments[6]) << 16 | u32::from(segments[7]));
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 1] => Realm::Machine,
        // NAT64 (RFC 6052): the far end is the IPv4 address in it.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => match realm_v4(embedded()) {
            Realm::Internet if !is_documentation(IpAddr::V4(embedded())) => Realm::Internet,
            _ => Realm::Nobody,
        },
        [0xfe80..=0xfebf, ..] => Realm::Link,
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Realm::Site,
        // Teredo, ORCHID and their like (2001::/23), and 6to4: tunnels.
        [0x2001, 0..=0x1ff, ..] | [0x2002, ..] => Realm::Nobody,
        // What is allocated to hosts (RFC 4291 section 2.4); IPv4-compatible addresses are not.
        [0x2000..=0x3fff, ..] => Realm::Internet,
        _ => Realm::Nobody,
    }
}

fn is_documentation(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => matches!(v4.octets(), [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _]),
        IpAddr::V6(v6) => matches!(v6.segments(), [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for public in
            ["8.8.8.8", "100.63.255.255", "100.128.0.1", "172.32.0.1", "192.0.1.1", "198.20.0.1", "223.255.0.1"]
        {
            assert!(is_public(ip(public)), "{public}");
        }
        for public in ["2606:4700::1", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"] {
            assert!(is_public(ip(public)), "{public}");
        }
        for private in [
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.0.192",
            "192.0.2.1",
            "192.168.0.1",
            "192.88.99.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
        ] {
            assert!(!is_public(ip(private)), "{private}");
            assert!(!is_public(ip(&format!("::ffff:{private}"))), "{private} mapped");
            assert!(!is_public(ip(&format!("64:ff9b::{private}"))), "{private} behind NAT64");
            assert!(!is_public(ip(&format!("::{private}"))), "{private} compatible");
        }
        for private in [
            "::",
            "::1",
            "::8.8.8.8",
            "2002:7f00:1::1",
            "2002:808:808::1",
            "2001::1",
            "2001:db8::1",
            "3fff:fff::1",
            "64:ff9b:1::8.8.8.8",
            "100::1",
            "5f00::1",
            "fc00::1",
            "fd00::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "feff::1",
            "ff02::1",
        ] {
            assert!(!is_public(ip(private)), "{private}");
        }
    }

    #[test]
    fn who_is_out_there_cannot_aim_us_at_our_own_networks() {
        let (out_there, pbx, here) = (ip("8.8.8.8"), ip("10.0.0.5"), ip("127.0.0.1"));
        for (source, target, may) in [
            (out_there, "8.8.8.8", true),
            (out_there, "9.9.9.9", true),
            (out_there, "10.0.0.9", false),
            (out_there, "100.64.0.9", false),
            (out_there, "127.0.0.1", false),
            (out_there, "169.254.169.254", false),
            (out_there, "::ffff:10.0.0.9", false),
            (out_there, "64:ff9b::10.0.0.9", false),
            (out_there, "fd00::9", false),
            (out_there, "255.255.255.255", false),
            (pbx, "10.0.0.5", true),
            (pbx, "192.168.7.9", true),
            (pbx, "8.8.8.8", true),
            (pbx, "127.0.0.1", false),
            (pbx, "169.254.169.254", false),
            (pbx, "224.0.1.75", false),
            (here, "10.0.0.9", true),
            (here, "127.0.0.2", true),
        ] {
            assert_eq!(may_name(source, ip(target), &[]), may, "{source} names {target}");
        }
        let listed = ["10.0.0.0/24".parse().expect("a network")];
        assert!(may_name(out_there, ip("10.0.0.9"), &listed));
        assert!(!may_name(out_there, ip("10.0.1.9"), &listed));
    }

    #[test]
    fn a_subscriber_of_ipv6_is_one_source() {
        assert_eq!(Source::of(ip("2001:db8:1:2::1")), Source::of(ip("2001:db8:1:2:ffff::9")));
        assert_ne!(Source::of(ip("2001:db8:1:2::1")), Source::of(ip("2001:db8:1:3::1")));
        assert_eq!(Source::of(ip("::ffff:192.0.2.1")), Source::of(ip("192.0.2.1")));
        assert_ne!(Source::of(ip("192.0.2.1")), Source::of(ip("192.0.2.2")));
    }
}
