//! Headers in wire order, held by `rsip`.
//!
//! Invariant: names compare without case and are long ([`expand`]), so that no header goes by another name than it is looked
//! for by; values are single lines without control characters, whoever wrote them; order and repetition are kept.

use std::borrow::Cow;

use rsip::headers::UntypedHeader;
use rsip::{Header, headers};

/// The headers of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(rsip::Headers);

/// The names that rsip has a variant for: one table serves both directions.
macro_rules! known_headers {
    ($($name:literal => $variant:ident),+ $(,)?) => {
        fn container(name: &str, value: &str) -> Header {
            let (name, value) = (expand(name), &*single_line(value));
            $(if name.eq_ignore_ascii_case($name) {
                return Header::$variant(headers::$variant::new(value));
            })+
            Header::Other(name.to_owned(), value.to_owned())
        }

        fn parts(header: &Header) -> (&str, &str) {
            match header {
                $(Header::$variant(inner) => ($name, inner.value()),)+
                Header::Other(name, value) => (name, value),
                // The container only ever holds what `container` made.
                _ => ("", ""),
            }
        }
    };
}

known_headers! {
    "Via" => Via, "From" => From, "To" => To, "Call-ID" => CallId, "CSeq" => CSeq, "Contact" => Contact,
    "Max-Forwards" => MaxForwards, "Route" => Route, "Record-Route" => RecordRoute,
    "Content-Type" => ContentType, "Content-Length" => ContentLength, "Allow" => Allow, "Supported" => Supported,
    "Require" => Require, "Accept" => Accept, "Unsupported" => Unsupported, "Retry-After" => RetryAfter,
    "Warning" => Warning, "User-Agent" => UserAgent, "Server" => Server, "Timestamp" => Timestamp,
    "Expires" => Expires, "Subject" => Subject, "Authorization" => Authorization,
    "WWW-Authenticate" => WwwAuthenticate, "Proxy-Require" => ProxyRequire, "Event" => Event,
    "Content-Encoding" => ContentEncoding,
}

impl Headers {
    /// No headers, and room for so many.
    pub(crate) fn with_room(headers: usize) -> Self {
        Self(Vec::with_capacity(headers).into())
    }

    /// The first value of a header.
    pub fn get(&self, name: &str) -> Option<&str> {
        let name = expand(name);
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Every value of a header, one per header line.
    pub fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        let name = expand(name);
        self.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Every element of a comma-separated header, over all its lines (RFC 3261 section 7.3.1).
    pub fn list(&self, name: &str) -> Vec<&str> {
        self.all(name).flat_map(split_list).collect()
    }

    /// Names and values in wire order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(parts)
    }

    /// Adds every value that others have of a header.
    pub fn copy(&mut self, name: &str, from: &Self) {
        let name = expand(name);
        let values = from.0.iter().filter(|header| parts(header).0.eq_ignore_ascii_case(name));
        values.for_each(|header| self.0.push(header.clone()));
    }

    /// Adds a header at the end.
    pub fn push(&mut self, name: &str, value: &str) {
        self.0.push(container(name, value));
    }

    /// Replaces every occurrence of a header by one value, in the place of the first.
    pub fn set(&mut self, name: &str, value: &str) {
        let name = expand(name);
        let is_it = |header: &Header| parts(header).0.eq_ignore_ascii_case(name);
        let mut all: Vec<Header> = std::mem::take(&mut self.0).into();
        match all.iter().position(is_it) {
            None => all.push(container(name, value)),
            Some(first) => {
                all[first] = container(name, value);
                let mut at = 0;
                all.retain(|header| {
                    at += 1;
                    at <= first + 1 || !is_it(header)
                });
            }
        }
        self.0 = all.into();
    }

    /// Replaces the first occurrence of a header and leaves the others: the top Via.
    pub fn set_first(&mut self, name: &str, value: &str) {
        let name = expand(name);
        let mut all: Vec<Header> = std::mem::take(&mut self.0).into();
        if let Some(first) = all.iter_mut().find(|header| parts(header).0.eq_ignore_ascii_case(name)) {
            *first = container(name, value);
        }
        self.0 = all.into();
    }
}

/// Compact names (RFC 3261 section 20 and the registrations since). Whoever compares a header's name with a list of his own
/// expands it first.
pub(crate) fn expand(name: &str) -> &str {
    let [letter] = name.as_bytes() else { return name };
    match letter.to_ascii_lowercase() {
        b'v' => "Via",
        b'f' => "From",
        b't' => "To",
        b'i' => "Call-ID",
        b'm' => "Contact",
        b'c' => "Content-Type",
        b'l' => "Content-Length",
        b'e' => "Content-Encoding",
        b'k' => "Supported",
        b's' => "Subject",
        b'o' => "Event",
        b'r' => "Refer-To",
        b'b' => "Referred-By",
        b'u' => "Allow-Events",
        b'x' => "Session-Expires",
        b'a' => "Accept-Contact",
        b'j' => "Reject-Contact",
        b'd' => "Request-Disposition",
        b'y' => "Identity",
        _ => name,
    }
}

/// A text without control characters but the tab: each is a blank.
pub(super) fn single_line(text: &str) -> Cow<'_, str> {
    if has_control(text) { text.replace(|c: char| c.is_ascii_control() && c != '\t', " ").into() } else { text.into() }
}

/// Whether a text has control characters other than the tab.
pub(super) fn has_control(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t')
}

/// Splits at commas outside quotes and angle brackets.
pub(crate) fn split_list(value: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped, mut angled) = (false, false, false);
    value
        .split(move |c| {
            if escaped {
                escaped = false;
                return false;
            }
            match c {
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                '<' if !quoted => angled = true,
                '>' if !quoted => angled = false,
                ',' if !quoted && !angled => return true,
                _ => {}
            }
            false
        })
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_split_outside_quotes_and_brackets() {
        let mut headers = Headers::default();
        headers.push("Record-Route", "<sip:a;x=1,2;lr>, \"b, c\" <sip:d;lr>");
        headers.push("record-route", "<sip:e>");
        assert_eq!(headers.list("Record-Route"), ["<sip:a;x=1,2;lr>", "\"b, c\" <sip:d;lr>", "<sip:e>"]);
    }

    #[test]
    fn no_header_goes_by_another_name_or_over_its_line() {
        let mut headers = Headers::default();
        headers.push("l", "400");
        headers.push("V", "SIP/2.0/UDP h\r\nX-Evil: 1");
        headers.push("X-A", "b\rc\td");
        let expected = [("Content-Length", "400"), ("Via", "SIP/2.0/UDP h  X-Evil: 1"), ("X-A", "b c\td")];
        assert_eq!(headers.iter().collect::<Vec<_>>(), expected);
        assert_eq!(headers.get("v"), headers.get("Via"));
        headers.set("L", "0");
        assert_eq!(headers.all("l").collect::<Vec<_>>(), ["0"]);
    }

    #[test]
    fn setting_replaces_all_in_the_first_place() {
        let mut headers = Headers::default();
        for (name, value) in [("X-A", "1"), ("To", "t"), ("x-a", "2")] {
            headers.push(name, value);
        }
        headers.set("X-A", "3");
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("X-A", "3"), ("To", "t")]);
    }
}
