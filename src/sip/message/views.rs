//! Typed views of the headers the engine decides by: Via, CSeq, and addresses with parameters.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::Method;
use super::uri::{Uri, split_host_port, split_params};

/// The number and method of a CSeq header (RFC 3261 section 20.16).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CSeq {
    /// Below 2^31.
    pub number: u32,
    /// The method it counts.
    pub method: Method,
}

impl CSeq {
    /// Reads `314159 INVITE`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let number = words.next()?.parse::<u32>().ok().filter(|n| *n < 1 << 31)?;
        let method = Method::from_token(words.next()?);
        words.next().is_none().then_some(Self { number, method })
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

/// One Via value (RFC 3261 section 20.42, RFC 3581).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Via {
    /// The transport token, upper case.
    pub transport: String,
    /// The sent-by host; IPv6 without brackets.
    pub host: String,
    /// The sent-by port.
    pub port: Option<u16>,
    params: Vec<(String, String)>,
    rport_asked: bool,
}

impl Via {
    /// Reads `SIP/2.0/UDP host:port;branch=…`, with white space wherever the grammar allows it.
    pub fn parse(text: &str) -> Option<Self> {
        let (head, params) = split_params(text);
        let mut protocol = head.splitn(3, '/').map(str::trim);
        let (name, version, rest) = (protocol.next()?, protocol.next()?, protocol.next()?);
        if !name.eq_ignore_ascii_case("SIP") || version != "2.0" {
            return None;
        }
        let (transport, sent_by) = rest.split_once(|c: char| c.is_whitespace())?;
        let sent_by: String = sent_by.chars().filter(|c| !c.is_whitespace()).collect();
        let (host, port) = split_host_port(&sent_by)?;
        let rport_asked = params.iter().any(|(name, value)| name.eq_ignore_ascii_case("rport") && value.is_empty());
        Some(Self { transport: transport.to_ascii_uppercase(), host: host.to_owned(), port, params, rport_asked })
    }

    /// The branch parameter.
    pub fn branch(&self) -> Option<&str> {
        self.param("branch")
    }

    /// The value of a parameter.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// Where responses go over UDP: `received`/`rport`, else the sent-by (RFC 3261 section 18.2.2, RFC 3581).
    pub fn response_address(&self, source: SocketAddr) -> SocketAddr {
        let port = match self.param("rport").and_then(|port| port.parse().ok()) {
            Some(port) => port,
            None if self.rport_asked => source.port(),
            None => self.port.unwrap_or(5060),
        };
        SocketAddr::new(source.ip(), port)
    }
}

/// Stamps a top Via value with `received` and `rport` as the server that got it from `source`
/// (RFC 3261 section 18.2.1, RFC 3581 section 4).
pub(super) fn stamp_via(value: &str, source: SocketAddr) -> String {
    let Some(via) = Via::parse(value) else { return value.to_owned() };
    let mut out = value.to_owned();
    if via.rport_asked {
        // The parameter stands there without a value: fill it in where it stands.
        let at = out
            .split(';')
            .scan(0, |start, piece| {
                let here = *start;
                *start += piece.len() + 1;
                Some((here, piece))
            })
            .find(|(_, piece)| piece.trim().eq_ignore_ascii_case("rport"))
            .map(|(start, piece)| start + piece.trim_end().len());
        if let Some(at) = at {
            out.insert_str(at, &format!("={}", source.port()));
        }
    }
    let same_host = via.host.parse::<IpAddr>().is_ok_and(|ip| ip == source.ip());
    if (via.rport_asked || !same_host) && via.param("received").is_none() {
        out.push_str(&format!(";received={}", source.ip()));
    }
    out
}

/// A `name-addr` or `addr-spec` with header parameters: From, To, Contact, Route (RFC 3261 section 20.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAddr {
    /// The display name, unquoted; empty if there is none.
    pub display_name: String,
    /// The URI.
    pub uri: Uri,
    params: Vec<(String, String)>,
}

/// An address header that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("address is malformed")]
pub struct MalformedAddress;

impl NameAddr {
    /// Reads one address. In the form without brackets everything after `;` belongs to the header, as RFC 3261
    /// section 20.10 rules.
    pub fn parse(text: &str) -> Result<Self, MalformedAddress> {
        let text = text.trim();
        let (display, rest) = if let Some(rest) = text.strip_prefix('"') {
            let end = closing_quote(rest).ok_or(MalformedAddress)?;
            (rest[..end].replace("\\\"", "\"").replace("\\\\", "\\"), rest[end + 1..].trim_start())
        } else {
            match text.find('<') {
                Some(at) if !text[..at].contains(';') => (text[..at].trim().to_owned(), &text[at..]),
                _ => (String::new(), text),
            }
        };
        if let Some(rest) = rest.strip_prefix('<') {
            let (uri, tail) = rest.split_once('>').ok_or(MalformedAddress)?;
            let (between, params) = split_params(tail);
            if !between.is_empty() {
                return Err(MalformedAddress);
            }
            let uri = Uri::parse(uri.trim()).ok_or(MalformedAddress)?;
            return Ok(Self { display_name: display, uri, params });
        }
        let (uri, params) = split_params(rest);
        if !display.is_empty() {
            return Err(MalformedAddress);
        }
        Ok(Self { display_name: display, uri: Uri::parse(uri).ok_or(MalformedAddress)?, params })
    }

    /// The tag parameter.
    pub fn tag(&self) -> Option<&str> {
        self.param("tag")
    }

    /// The value of a header parameter.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_with_a_parameter_outside_the_brackets() {
        let to = NameAddr::parse("<sip:+16185558387@198.51.100.204:5060>;transport=UDP").expect("real trace");
        assert_eq!((to.tag(), to.param("transport")), (None, Some("UDP")));
        let from = NameAddr::parse("\"A, \\\"B\\\" <c>\" <sip:x@y>;tag=1").expect("quoted");
        assert_eq!((from.display_name.as_str(), from.tag()), ("A, \"B\" <c>", Some("1")));
        assert!(NameAddr::parse("\"open <sip:x@y>").is_err());
        assert_eq!(NameAddr::parse("sip:x@y;tag=2").expect("bare").tag(), Some("2"));
    }

    #[test]
    fn a_via_is_stamped_with_where_it_came_from() {
        let source: SocketAddr = "192.0.2.7:40000".parse().expect("address");
        assert_eq!(
            stamp_via("SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bKx", source),
            "SIP/2.0/UDP 10.0.0.1:5060;rport=40000;branch=z9hG4bKx;received=192.0.2.7"
        );
        assert_eq!(stamp_via("SIP/2.0/UDP 192.0.2.7;branch=b", source), "SIP/2.0/UDP 192.0.2.7;branch=b");
        let via = Via::parse("SIP / 2.0 / UDP  first.example.com: 4000;branch=z9").expect("white space is legal");
        assert_eq!((via.host.as_str(), via.port), ("first.example.com", Some(4000)));
        assert_eq!(via.response_address(source), "192.0.2.7:4000".parse().expect("address"));
    }
}
