//! Typed views of the headers the engine decides by: Via, CSeq, and addresses with parameters.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::net::{IpAddr, SocketAddr};

use super::params::{self, Params};
use super::uri::{Uri, split_host_port};
use super::{Headers, Method};

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
        let number = params::number::<u32>(words.next()?).filter(|n| *n < 1 << 31)?;
        let method = Method::from_token(words.next()?);
        words.next().is_none().then_some(Self { number, method })
    }

    /// That of a message, if it has a readable one.
    pub fn of(headers: &Headers) -> Option<Self> {
        headers.get("CSeq").and_then(Self::parse)
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

/// One Via value (RFC 3261 section 20.42, RFC 3581), as it stands in its header.
#[derive(Debug, Clone)]
pub struct Via<'a> {
    /// The version of the protocol: `2.0`, or what cannot be served and is told so.
    pub version: &'a str,
    /// The transport token, in any case.
    pub transport: &'a str,
    /// The sent-by host; IPv6 without brackets.
    pub host: Cow<'a, str>,
    /// The sent-by port.
    pub port: Option<u16>,
    /// The whole of it.
    text: &'a str,
}

impl<'a> Via<'a> {
    /// Reads `SIP/2.0/UDP host:port;branch=…`, with white space wherever the grammar allows it.
    pub fn parse(text: &'a str) -> Option<Self> {
        let head = params::pieces(text).next().unwrap_or_default().trim();
        let mut protocol = head.splitn(3, '/').map(str::trim);
        let (name, version, rest) = (protocol.next()?, protocol.next()?, protocol.next()?);
        if !name.eq_ignore_ascii_case("SIP") {
            return None;
        }
        let (transport, sent_by) = rest.split_once(|c: char| c.is_whitespace())?;
        let sent_by = sent_by.trim();
        let (host, port) = if sent_by.contains(char::is_whitespace) {
            let together: String = sent_by.chars().filter(|c| !c.is_whitespace()).collect();
            let (host, port) = split_host_port(&together)?;
            (Cow::Owned(host.to_owned()), port)
        } else {
            let (host, port) = split_host_port(sent_by)?;
            (Cow::Borrowed(host), port)
        };
        Some(Self { version, transport, host, port, text })
    }

    /// The branch parameter.
    pub fn branch(&self) -> Option<Cow<'a, str>> {
        self.param("branch")
    }

    /// The value of a parameter.
    pub fn param(&self, name: &str) -> Option<Cow<'a, str>> {
        params::value(self.text, name)
    }

    /// All parameters.
    pub fn params(&self) -> Params {
        params::split(self.text).1
    }

    /// Where responses go over UDP: to the source, by its port where `rport` is asked for, else by that of sent-by
    /// (RFC 3261 section 18.2.2, RFC 3581 section 4). Whatever `received` and `rport` say already, the source is what was seen.
    pub fn response_address(&self, source: SocketAddr) -> SocketAddr {
        let port = if self.param("rport").is_some() { source.port() } else { self.port.unwrap_or(5060) };
        SocketAddr::new(source.ip(), port)
    }
}

/// Stamps a top Via value with `received` and `rport` as the server that got it from `source`
/// (RFC 3261 section 18.2.1, RFC 3581 section 4). What a client filled in itself is replaced: it is a guess, this was seen.
pub(super) fn stamp_via(value: &str, via: &Via<'_>, source: SocketAddr) -> String {
    let source_ip = source.ip().to_canonical();
    let (mut out, mut rport) = (String::with_capacity(value.len() + 40), None);
    for (n, piece) in params::pieces(value).enumerate() {
        let name = piece.split('=').next().unwrap_or_default().trim();
        if n > 0 && name.eq_ignore_ascii_case("received") {
            continue;
        }
        if n > 0 && name.eq_ignore_ascii_case("rport") {
            if rport.replace(source.port()).is_none() {
                _ = write!(out, ";rport={}", source.port());
            }
            continue;
        }
        if n > 0 {
            out.push(';');
        }
        out.push_str(piece);
    }
    let same_host = via.host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical() == source_ip);
    if rport.is_some() || !same_host {
        _ = write!(out, ";received={source_ip}");
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
    params: Params,
}

/// An address header that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("address is malformed")]
pub struct MalformedAddress;

impl NameAddr {
    /// Reads one address. In the form without brackets everything after `;` belongs to the header, as RFC 3261
    /// section 20.10 rules. Whatever stands before a bracket is the display name, also where it should have been quoted.
    pub fn parse(text: &str) -> Result<Self, MalformedAddress> {
        let Written { quoted, name, uri, behind } = Written::of(text)?;
        let (_, params) = params::split(behind);
        let uri = Uri::parse(uri).ok_or(MalformedAddress)?;
        Ok(Self { display_name: quoted.map_or_else(|| name.to_owned(), params::unescaped), uri, params })
    }

    /// Whether one address can be read.
    pub fn is_readable(text: &str) -> bool {
        Written::of(text).is_ok_and(|written| Uri::is_readable(written.uri))
    }

    /// The tag of an address as it is written, whose URI is not looked at. An empty one is none.
    pub fn tag_in(text: &str) -> Result<Option<Cow<'_, str>>, MalformedAddress> {
        Ok(params::value(Written::of(text)?.behind, "tag").filter(|tag| !tag.is_empty()))
    }

    /// The first of a header's addresses that can be read.
    pub fn first(headers: &Headers, name: &str) -> Option<Self> {
        headers.list(name).into_iter().find_map(|address| Self::parse(address).ok())
    }

    /// The tag parameter. An empty one is none.
    pub fn tag(&self) -> Option<&str> {
        self.param("tag").filter(|tag| !tag.is_empty())
    }

    /// The value of a header parameter.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name)
    }
}

impl Headers {
    /// The tag of the address in `From` or `To`, if it has one.
    pub fn tag(&self, name: &str) -> Option<Cow<'_, str>> {
        NameAddr::tag_in(self.get(name)?).ok().flatten()
    }
}

/// An address as it stands in its header.
struct Written<'a> {
    /// What stands between the marks of a name in quotes.
    quoted: Option<&'a str>,
    /// What stands before a bracket otherwise.
    name: &'a str,
    uri: &'a str,
    /// The parameters of the header with the semicolon before them.
    behind: &'a str,
}

impl<'a> Written<'a> {
    fn of(text: &'a str) -> Result<Self, MalformedAddress> {
        let text = text.trim();
        let (quoted, rest) = match text.strip_prefix('"') {
            Some(rest) => {
                let end = params::closing_quote(rest).ok_or(MalformedAddress)?;
                (Some(&rest[..end]), rest[end + 1..].trim_start())
            }
            None => (None, text),
        };
        let Some(at) = params::Outside::default().find(rest, b'<') else {
            let (uri, behind) = rest.split_at(params::pieces(rest).next().unwrap_or_default().len());
            let bare = Self { quoted, name: "", uri: uri.trim(), behind };
            return if quoted.is_none() { Ok(bare) } else { Err(MalformedAddress) };
        };
        let (uri, behind) = rest[at + 1..].split_once('>').ok_or(MalformedAddress)?;
        let behind = behind.trim_start();
        if !behind.is_empty() && !behind.starts_with(';') {
            return Err(MalformedAddress);
        }
        Ok(Self { quoted, name: rest[..at].trim(), uri: uri.trim(), behind })
    }
}

/// A From or To value that has no tag yet (an empty one is none), with this one.
pub(crate) fn with_tag(value: &str, tag: &str) -> String {
    let tail_at = value.rfind('>').map_or(0, |at| at + 1);
    let mut out = value[..tail_at].to_owned();
    let is_tag = |piece: &str| piece.split('=').next().is_some_and(|name| name.trim().eq_ignore_ascii_case("tag"));
    for (n, piece) in params::pieces(&value[tail_at..]).enumerate().filter(|(n, piece)| *n == 0 || !is_tag(piece)) {
        if n > 0 {
            out.push(';');
        }
        out.push_str(piece);
    }
    out + ";tag=" + tag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_of_an_address_is_that_which_the_whole_of_it_has() {
        for text in [
            "<sip:x@y>;tag=1",
            "sip:x@y;tag=1",
            "\"a;tag=2\" <sip:x@y;tag=3> ; Tag = \"1\"",
            "n <sip:x@y>;a=\"b;tag=2\";tag=1;tag=4",
            "<sip:x@y>;tag=",
            "<sip:x@y>;tag",
            "<sip:x@y>",
            "sip:x@y",
            "\"open <sip:x@y>;tag=1",
            "\"a\" sip:x@y;tag=1",
            "<sip:x@y;tag=1",
            "<sip:x@y> b;tag=1",
        ] {
            let whole = NameAddr::parse(text).map(|address| address.tag().map(str::to_owned));
            assert_eq!(NameAddr::tag_in(text).map(|tag| tag.map(Cow::into_owned)), whole, "{text}");
        }
    }

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
    fn odd_names_are_read_where_the_meaning_is_plain() {
        for (text, name, user, tag) in [
            ("Smith; John <sip:x@y>;tag=1", "Smith; John", Some("x"), Some("1")),
            ("Smith; tag=9, John<sip:x@y> ; Tag = 1", "Smith; tag=9, John", Some("x"), Some("1")),
            ("sip:z@y <sip:x@y>;tag=1", "sip:z@y", Some("x"), Some("1")),
            ("O\"Neil <sip:x@y>;tag=1", "O\"Neil", Some("x"), Some("1")),
            ("\"A;B\" (c) <sip:x@y>;tag=1", "A;B", Some("x"), Some("1")),
            ("<sip:@y>;tag=", "", None, None),
            ("sip:@y;tag", "", None, None),
            ("sip:x@y;p=\"<z>\";tag=1", "", Some("x"), Some("1")),
            ("<sip:x@y;a=b>;c=\"d;e\";tag=1", "", Some("x"), Some("1")),
        ] {
            let address = NameAddr::parse(text).unwrap_or_else(|_| panic!("{text}"));
            let seen = (address.display_name.as_str(), address.uri.user.as_deref(), address.tag());
            assert_eq!(seen, (name, user, tag), "{text}");
        }
    }

    #[test]
    fn a_name_of_escaped_marks_is_read_once() {
        let name = format!("x\"{}", "\\\"".repeat(2_000_000));
        let address = NameAddr::parse(&format!("{name} <sip:x@y>;tag=1")).expect("an odd name");
        assert_eq!((address.display_name.len(), address.tag()), (name.len(), Some("1")));
    }

    #[test]
    fn a_tag_takes_the_place_of_an_empty_one() {
        for (value, expected) in [
            ("<sip:x@y>", "<sip:x@y>;tag=t"),
            ("<sip:x@y;tag=in>;TAG = ;a=b", "<sip:x@y;tag=in>;a=b;tag=t"),
            ("sip:x@y;tag", "sip:x@y;tag=t"),
        ] {
            assert_eq!(with_tag(value, "t"), expected);
        }
    }

    #[test]
    fn a_via_is_stamped_with_where_it_came_from() {
        let source: SocketAddr = "192.0.2.7:40000".parse().expect("address");
        let stamp_via = |value, source| super::stamp_via(value, &Via::parse(value).expect("a Via"), source);
        assert_eq!(
            stamp_via("SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bKx", source),
            "SIP/2.0/UDP 10.0.0.1:5060;rport=40000;branch=z9hG4bKx;received=192.0.2.7"
        );
        assert_eq!(stamp_via("SIP/2.0/UDP 192.0.2.7;branch=b", source), "SIP/2.0/UDP 192.0.2.7;branch=b");
        assert_eq!(
            stamp_via("SIP/2.0/UDP 192.0.2.7;Received = 10.1.2.3; RPORT = 4444 ;branch=b;rport", source),
            "SIP/2.0/UDP 192.0.2.7;rport=40000;branch=b;received=192.0.2.7"
        );
        assert_eq!(stamp_via("SIP/2.0/UDP 192.0.2.7;received=10.1.2.3;b=c", source), "SIP/2.0/UDP 192.0.2.7;b=c");
        let via = Via::parse("SIP / 2.0 / UDP  first.example.com: 4000;branch=z9").expect("white space is legal");
        assert_eq!((&*via.host, via.port), ("first.example.com", Some(4000)));
        assert_eq!(via.response_address(source), "192.0.2.7:4000".parse().expect("address"));
    }
}
