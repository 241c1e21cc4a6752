//! SIP, SIPS and tel URIs (RFC 3261 section 19.1, RFC 3966), read tolerantly and written back as they stood.

use std::fmt;

use super::params::{self, Params};

/// The scheme of a URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// Anything else, in lower case.
    Other(String),
}

/// A URI, taken apart. `Display` writes the text it was parsed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri {
    raw: String,
    /// Its scheme.
    pub scheme: Scheme,
    /// The user part, or the number of a tel URI; percent-escapes decoded, password and user parameters left out. `None`
    /// where nothing stands before the `@`: who does not say who he is, is nobody by any way of not saying it.
    pub user: Option<String>,
    /// Host name or address; IPv6 without brackets. Empty for tel.
    pub host: String,
    /// The port, if written.
    pub port: Option<u16>,
    params: Params,
    /// What stands behind a `?`, as it was written.
    headers: Option<String>,
}

impl Uri {
    /// Takes a URI apart. `None` for text that has no scheme, contains blanks or has no host where one is due.
    pub fn parse(text: &str) -> Option<Self> {
        let Parts { scheme, user, host, port, behind, headers } = Parts::of(text)?;
        let user = match scheme {
            Scheme::Sip | Scheme::Sips => user.map(unescape).filter(|user| !user.is_empty()),
            Scheme::Tel | Scheme::Other(_) => user.map(str::to_owned),
        };
        let (_, params) = params::split(behind);
        Some(Self {
            raw: text.to_owned(),
            scheme,
            user,
            host: host.to_owned(),
            port,
            params,
            headers: headers.map(str::to_owned),
        })
    }

    /// Whether a text is a URI that could be taken apart.
    pub fn is_readable(text: &str) -> bool {
        Parts::of(text).is_some()
    }

    /// The scheme of a URI that could be taken apart.
    pub fn scheme_of(text: &str) -> Option<Scheme> {
        Parts::of(text).map(|parts| parts.scheme)
    }

    /// The value of a parameter; empty when it stands without one.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name)
    }

    /// Names and values of the parameters, percent-escapes decoded.
    pub fn params(&self) -> impl Iterator<Item = (String, String)> {
        self.params.iter().map(|(name, value)| (unescape(name), unescape(value)))
    }

    /// Names and values of the headers behind a `?` (RFC 3261 section 19.1.1), percent-escapes decoded.
    pub fn headers(&self) -> impl Iterator<Item = (String, String)> {
        self.headers.iter().flat_map(|headers| headers.split('&')).map(|header| {
            let (name, value) = header.split_once('=').unwrap_or((header, ""));
            (unescape(name), unescape(value))
        })
    }

    /// The URI's text.
    pub fn as_str(&self) -> &str {
        &self.raw
    }
}

/// A URI as it stands in its text.
struct Parts<'a> {
    scheme: Scheme,
    user: Option<&'a str>,
    host: &'a str,
    port: Option<u16>,
    /// The parameters with the semicolon before them.
    behind: &'a str,
    headers: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Option<Self> {
        if text.is_empty() || has_blank(text) || text.bytes().any(|byte| matches!(byte, b'<' | b'>' | b'"')) {
            return None;
        }
        let (scheme, rest) = text.split_once(':')?;
        let scheme = match scheme {
            sip if sip.eq_ignore_ascii_case("sip") => Scheme::Sip,
            sips if sips.eq_ignore_ascii_case("sips") => Scheme::Sips,
            tel if tel.eq_ignore_ascii_case("tel") => Scheme::Tel,
            other if other.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) => {
                Scheme::Other(other.to_ascii_lowercase())
            }
            _ => return None,
        };
        match scheme {
            Scheme::Tel => {
                let (number, behind) = before_parameters(rest);
                let user = Some(number).filter(|number| !number.is_empty())?;
                Some(Self { scheme, user: Some(user), host: "", port: None, behind, headers: None })
            }
            Scheme::Other(_) => Some(Self { scheme, user: None, host: rest, port: None, behind: "", headers: None }),
            Scheme::Sip | Scheme::Sips => {
                let (user, rest) = match rest.rsplit_once('@') {
                    Some((user, rest)) => (Some(user), rest),
                    None => (None, rest),
                };
                let (rest, headers) = match rest.split_once('?') {
                    Some((rest, headers)) => (rest, Some(headers)),
                    None => (rest, None),
                };
                let (hostport, behind) = before_parameters(rest);
                let (host, port) = split_host_port(hostport)?;
                let user = user.map(|user| {
                    let user = user.split_once(':').map_or(user, |(user, _)| user);
                    user.split_once(';').map_or(user, |(user, _)| user)
                });
                Some(Self { scheme, user, host, port, behind, headers })
            }
        }
    }
}

/// What stands before the first parameter, and all that stands behind it. A URI has no quotes and no blanks.
fn before_parameters(text: &str) -> (&str, &str) {
    text.split_at(text.find(';').unwrap_or(text.len()))
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.raw)
    }
}

fn has_blank(text: &str) -> bool {
    match text.is_ascii() {
        true => text.bytes().any(|byte| char::from(byte).is_whitespace()),
        false => text.contains(char::is_whitespace),
    }
}

/// Splits `host`, `host:port`, `[v6]` and `[v6]:port`.
pub(crate) fn split_host_port(text: &str) -> Option<(&str, Option<u16>)> {
    if text.is_empty() {
        return None;
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(params::number(port)?))),
            None if rest.is_empty() => Some((host, None)),
            None => None,
        };
    }
    match text.split_once(':') {
        Some((host, port)) if !host.is_empty() => Some((host, Some(params::number(port)?))),
        Some(_) => None,
        None => Some((text, None)),
    }
}

fn unescape(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_voice_connector_uri() {
        let uri = Uri::parse("sip:+16185558387@198.51.100.204:5060;transport=UDP").expect("a good URI");
        assert_eq!(uri.user.as_deref(), Some("+16185558387"));
        assert_eq!((uri.host.as_str(), uri.port, uri.param("transport")), ("198.51.100.204", Some(5060), Some("UDP")));
    }

    #[test]
    fn odd_but_legal_uris() {
        let uri = Uri::parse("sips:a%40b:pw@[2001:db8::1]:5061;lr?x=y").expect("legal");
        assert_eq!((uri.user.as_deref(), uri.host.as_str(), uri.port), (Some("a@b"), "2001:db8::1", Some(5061)));
        assert_eq!(uri.param("lr"), Some(""));
        assert_eq!(Uri::parse("tel:+1-201-555-0123;x=1").expect("tel").user.as_deref(), Some("+1-201-555-0123"));
        assert_eq!(Uri::parse("sip:@h").expect("nobody").user, None);
        assert_eq!(Uri::parse("nobody:x").expect("other").scheme, Scheme::Other("nobody".into()));
        for bad in ["", "sip:", "sip:a b@c", "<sip:a@b>", "sip:a@b:99999", "sip:a@b:+5060"] {
            assert_eq!(Uri::parse(bad), None, "{bad}");
        }
    }
}
