//! Where an assistant may have callers transferred to: hosts and numbers that the operator lists, or anywhere.
//!
//! Invariant: whoever talks an assistant into naming a target gets no further than this list; what cannot be read with
//! certainty is refused. By default a caller can be sent back to the host that the call came from and to that of the
//! tenant's `failure_target`. Enforced in `src/call/lifecycle/`, before anything of the transfer is sent.

use std::net::IpAddr;

use crate::host_name::is_host_name;

/// Where callers may be transferred to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferTargets {
    /// Wherever the assistant says.
    Anywhere,
    /// To one of these, and nowhere if there is none.
    Listed(Vec<TransferRule>),
}

impl Default for TransferTargets {
    fn default() -> Self {
        Self::Listed(vec![TransferRule { number: None, host: None }])
    }
}

/// One entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferRule {
    /// What the number begins with, `+` included; any user where there is none.
    number: Option<String>,
    /// The host, or `*.` and a domain; none for the hosts of the default.
    host: Option<String>,
}

/// Not an entry of the list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is neither a host like \"pbx.example.com\", nor the beginning of a number like \"+4420\", nor both like \"+4420@pbx.example.com\"; \"anywhere\" stands alone"
)]
pub struct MalformedRule(String);

/// A target as the assistant named it, taken apart by who can parse URIs.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The user part, or the number of a tel URI, unescaped, parameters included.
    pub user: Option<&'a str>,
    /// The host; none for a tel URI.
    pub host: Option<&'a str>,
}

impl TransferTargets {
    /// Reads the list; `anywhere` alone, or entries.
    pub fn parse(texts: &[String]) -> Result<Self, MalformedRule> {
        if let [one] = texts
            && one.trim() == "anywhere"
        {
            return Ok(Self::Anywhere);
        }
        texts.iter().map(|text| TransferRule::parse(text)).collect::<Result<_, _>>().map(Self::Listed)
    }

    /// Whether a target is on the list. `from` is where the call came from, `failure_host` the host of `failure_target`.
    pub fn allow(&self, target: Target<'_>, from: IpAddr, failure_host: Option<&str>) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Listed(rules) => rules.iter().any(|rule| rule.allows(target, from, failure_host)),
        }
    }
}

impl TransferRule {
    fn parse(text: &str) -> Result<Self, MalformedRule> {
        let malformed = || MalformedRule(text.to_owned());
        let text = text.trim();
        let (number, host) = match text.split_once('@') {
            Some((number, host)) => (Some(number), Some(host)),
            None if text.parse::<IpAddr>().is_ok() => (None, Some(text)),
            None if text.starts_with('+') || text.bytes().all(|b| b.is_ascii_digit()) => (Some(text), None),
            None => (None, Some(text)),
        };
        let number = number.map(|number| plain_number(number).ok_or_else(malformed)).transpose()?;
        if host.is_some_and(|host| !is_host(host)) || text == "anywhere" {
            return Err(malformed());
        }
        Ok(Self { number, host: host.map(plain_host) })
    }

    fn allows(&self, target: Target<'_>, from: IpAddr, failure_host: Option<&str>) -> bool {
        let number_fits = self.number.as_ref().is_none_or(|begins| {
            target.user.and_then(plain_number).is_some_and(|number| number.starts_with(begins.as_str()))
        });
        let host_fits = match (target.host.map(plain_host), &self.host) {
            (Some(host), Some(listed)) => match listed.strip_prefix('*') {
                Some(domain) => host.ends_with(domain) && host.len() > domain.len(),
                None => host == *listed,
            },
            (Some(host), None) => {
                let is_origin = host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical() == from.to_canonical());
                is_origin || failure_host.map(plain_host).is_some_and(|failure| failure == host)
            }
            // A number without a host: only who lists numbers has said anything about it.
            (None, listed) => listed.is_none() && self.number.is_some(),
        };
        number_fits && host_fits
    }
}

/// A number in digits with its `+`; none for anything else. Parameters lead elsewhere (`rn=`, `phone-context=`, `postd=`),
/// so that a number with some is none.
fn plain_number(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|c| !"-.() ".contains(*c)).collect();
    let rest = digits.strip_prefix('+').unwrap_or(&digits);
    (!rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit())).then_some(digits)
}

/// Names compare without case and without the dot of the root; addresses in their one spelling.
fn plain_host(text: &str) -> String {
    let host = text.trim_matches(['[', ']']);
    match host.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical().to_string(),
        Err(_) => host.trim_end_matches('.').to_ascii_lowercase(),
    }
}

/// An address, a name, or all names below one (`*.example.com`).
fn is_host(text: &str) -> bool {
    let name = text.strip_prefix("*.").unwrap_or(text);
    let name = name.strip_suffix('.').unwrap_or(name);
    text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() || is_host_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn targets(texts: &[&str]) -> TransferTargets {
        TransferTargets::parse(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).expect("a list")
    }

    fn allowed(list: &TransferTargets, user: Option<&str>, host: Option<&str>) -> bool {
        list.allow(Target { user, host }, FROM, Some("desk.example.com"))
    }

    #[test]
    fn by_default_a_caller_goes_back_where_they_came_from() {
        let list = TransferTargets::default();
        for (user, host, yes) in [
            (Some("+18005550199"), Some("192.0.2.1"), true),
            (Some("+18005550199"), Some("::ffff:192.0.2.1"), true),
            (None, Some("Desk.Example.com."), true),
            (Some("+18005550199"), Some("192.0.2.2"), false),
            (Some("+18005550199"), Some("premium.example"), false),
            (Some("+18005550199"), Some("desk.example.com.evil.example"), false),
            (Some("+18005550199"), None, false),
        ] {
            assert_eq!(allowed(&list, user, host), yes, "{user:?} at {host:?}");
        }
    }

    #[test]
    fn hosts_and_numbers_are_listed() {
        let list = targets(&["pbx.example.com", "*.trunk.example", "+4420", "+1800@toll.example"]);
        for (user, host, yes) in [
            (Some("anybody"), Some("PBX.example.com"), true),
            (Some("+99"), Some("a.trunk.example"), true),
            (Some("+99"), Some("trunk.example"), false),
            (Some("+99"), Some("eviltrunk.example"), false),
            (Some("+44 20 7946 0018"), None, true),
            (Some("+442079460018"), Some("192.0.2.1"), true),
            (Some("+442079460018"), Some("evil.example"), false),
            (Some("442079460018"), None, false),
            (Some("+449099"), None, false),
            (Some("+4420;rn=+999"), None, false),
            (Some("+4420;postd=999"), None, false),
            (Some("+1800555"), Some("toll.example"), true),
            (Some("+1900555"), Some("toll.example"), false),
            (None, Some("toll.example"), false),
            (Some("+18005550199"), Some("192.0.2.1"), false),
        ] {
            assert_eq!(allowed(&list, user, host), yes, "{user:?} at {host:?}");
        }
        assert!(allowed(&targets(&["anywhere"]), Some("+99"), Some("evil.example")));
        assert!(!allowed(&targets(&[]), Some("+99"), Some("192.0.2.1")), "an empty list is nowhere");
        assert!(allowed(&targets(&["[2001:DB8::1]"]), None, Some("2001:db8::1")));
        assert!(allowed(&targets(&["198.51.100.7"]), None, Some("198.51.100.7")));
    }

    #[test]
    fn what_is_no_entry_is_told() {
        for bad in ["", "sip:pbx", "+44x", "pbx/example", "@", "+44@", "@pbx", "*", "a b", "a..b", "-pbx", "*.."] {
            assert!(TransferTargets::parse(&[bad.to_owned()]).is_err(), "{bad}");
        }
        assert!(TransferTargets::parse(&["anywhere".into(), "pbx".into()]).is_err(), "it stands alone");
    }
}
