//! Networks as operators write them: `192.0.2.0/24`, one address, or the name of somebody's published networks.
//!
//! Invariant: a name stands for exactly what its owner documents; nothing is looked up. Whoever is listed is believed, so a
//! network that is nearly everybody ([`restricts`]) is a list of nobody.
//!
//! Source of the names: *Network configuration and bandwidth requirements*, section "Amazon Chime SDK Voice Connector, SIP
//! signaling", of the Amazon Chime SDK administrator guide (docs.aws.amazon.com/chime-sdk/latest/ag/network-config.html), read
//! 2026-11-22. The same networks stand in AWS's `ip-ranges.json` under the service `CHIME_VOICECONNECTOR`. They are shared by
//! all customers of AWS: they tell that a call comes from a Voice Connector, not from whose.

use std::net::IpAddr;

use ipnet::IpNet;

/// The name of the signalling networks of Amazon Chime SDK Voice Connectors; a Region may follow after a colon.
pub const VOICE_CONNECTOR: &str = "aws-chime-voice-connector";

/// By Region: IPv4.
const VOICE_CONNECTOR_REGIONS: [(&str, &str); 10] = [
    ("us-east-1", "3.80.16.0/23"),
    ("us-west-2", "99.77.253.0/24"),
    ("ap-northeast-1", "99.77.244.0/24"),
    ("ap-northeast-2", "99.77.242.0/24"),
    ("ap-southeast-1", "99.77.240.0/24"),
    ("ap-southeast-2", "99.77.239.0/24"),
    ("ca-central-1", "99.77.233.0/24"),
    ("eu-central-1", "99.77.247.0/24"),
    ("eu-west-1", "99.77.250.0/24"),
    ("eu-west-2", "99.77.249.0/24"),
];
/// One IPv6 network for all Regions.
const VOICE_CONNECTOR_IPV6: &str = "2600:f0f0:c040::/42";

/// Not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedNetwork {
    /// Neither an address, nor a network, nor a name.
    #[error("`{0}` is not a network like \"192.0.2.0/24\", an address, or \"{VOICE_CONNECTOR}:us-east-1\"")]
    Unknown(String),
    /// A name with a Region that its owner does not document.
    #[error("`{name}` is not known for the Region `{region}`: one of {}", regions())]
    UnknownRegion {
        /// The name.
        name: &'static str,
        /// The Region.
        region: String,
    },
}

fn regions() -> String {
    VOICE_CONNECTOR_REGIONS.map(|(region, _)| region).join(", ")
}

/// The networks that a text stands for: one, or those of a name.
pub fn parse(text: &str) -> Result<Vec<IpNet>, MalformedNetwork> {
    let text = text.trim();
    if let Ok(net) = text.parse::<IpNet>() {
        return Ok(vec![net.trunc()]);
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(vec![IpNet::from(address)]);
    }
    let (name, region) = text.split_once(':').unwrap_or((text, ""));
    if name != VOICE_CONNECTOR {
        return Err(MalformedNetwork::Unknown(text.to_owned()));
    }
    let of_region = VOICE_CONNECTOR_REGIONS.iter().filter(|(known, _)| region.is_empty() || *known == region);
    let mut networks: Vec<IpNet> = of_region.map(|(_, net)| constant(net)).collect();
    if networks.is_empty() {
        return Err(MalformedNetwork::UnknownRegion { name: VOICE_CONNECTOR, region: region.to_owned() });
    }
    networks.push(constant(VOICE_CONNECTOR_IPV6));
    Ok(networks)
}

fn constant(net: &str) -> IpNet {
    net.parse().expect("the table holds networks")
}

/// Whether a network leaves anybody out that matters: 0.0.0.0/0 and its halves do not.
pub fn restricts(network: &IpNet) -> bool {
    let least = match network {
        IpNet::V4(_) => 8,
        IpNet::V6(_) => 16,
    };
    network.prefix_len() >= least
}

/// Whether an address stands on a list: in a network that [`restricts`].
pub fn is_listed(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|net| restricts(net) && net.contains(&address.to_canonical()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_addresses_and_names_are_read() {
        assert_eq!(parse("192.0.2.7/24"), Ok(vec![constant("192.0.2.0/24")]));
        assert_eq!(parse(" 192.0.2.7 "), Ok(vec![constant("192.0.2.7/32")]));
        assert_eq!(parse("2001:db8::/32"), Ok(vec![constant("2001:db8::/32")]));
        let virginia = parse("aws-chime-voice-connector:us-east-1").expect("a name");
        assert_eq!(virginia, [constant("3.80.16.0/23"), constant("2600:f0f0:c040::/42")]);
        assert!(is_listed(&virginia, "3.80.17.255".parse().expect("an address")));
        assert!(!is_listed(&virginia, "99.77.253.1".parse().expect("an address")));
        for (region, _) in VOICE_CONNECTOR_REGIONS {
            assert_eq!(parse(&format!("{VOICE_CONNECTOR}:{region}")).map(|nets| nets.len()), Ok(2), "{region}");
        }
        assert_eq!(parse(VOICE_CONNECTOR).map(|nets| nets.len()), Ok(11), "all Regions");
        for bad in ["", "x", "192.0.2.0/33", "aws-chime-voice-connector:mars-1", "aws-chime", "192.0.2.1:5060"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let told = parse("aws-chime-voice-connector:eu-west-9").expect_err("no such Region").to_string();
        assert!(told.contains("eu-west-9") && told.contains("eu-west-2"), "{told}");
    }

    #[test]
    fn a_list_of_everybody_lists_nobody() {
        let anybody: IpAddr = "192.0.2.1".parse().expect("an address");
        for everybody in ["0.0.0.0/0", "128.0.0.0/1", "192.0.0.0/7"] {
            assert!(!is_listed(&[constant(everybody)], anybody), "{everybody}");
        }
        assert!(!is_listed(&[constant("::/0")], "2001:db8::1".parse().expect("an address")));
        assert!(is_listed(&[constant("0.0.0.0/0"), constant("192.0.2.0/24")], anybody));
        assert!(is_listed(&[constant("10.0.0.0/8")], "::ffff:10.1.2.3".parse().expect("an address")));
    }
}
