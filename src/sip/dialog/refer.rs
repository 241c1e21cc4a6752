//! Blind transfer (RFC 3515, RFC 5589 section 6.1): the REFER, and the far end's reports about it.
//!
//! Invariant: a transfer is what its NOTIFY says; 202 is no success. Values that could break out of a header are refused.
//! Driver: `uas.rs`.

use std::fmt::Write;

use crate::message::Request;

/// How the author's headers travel (vendor's `transfer_headers_send_method`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SendMethod {
    /// As headers of the REFER.
    #[default]
    Custom,
    /// As URI headers of our Contact.
    Contact,
    /// As `?name=value` of the Refer-To URI.
    ReferTo,
}

/// Where to, and what goes along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// A `sip:`, `sips:` or `tel:` URI.
    pub target: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// How they travel.
    pub send_method: SendMethod,
}

/// Why a transfer cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unacceptable {
    /// The target is no URI to transfer to.
    #[error("the target is not a sip:, sips: or tel: URI")]
    Target,
    /// A header's name or value would break the message.
    #[error("a header's name or value has characters that do not belong there")]
    Header,
}

impl Transfer {
    /// Checks target and headers.
    pub fn check(&self) -> Result<(), Unacceptable> {
        let target = self.target.to_ascii_lowercase();
        let scheme =
            ["sip:", "sips:", "tel:"].iter().any(|scheme| target.starts_with(scheme) && target.len() > scheme.len());
        if !scheme || target.contains(|c: char| c.is_control() || c.is_whitespace() || "<>\"".contains(c)) {
            return Err(Unacceptable::Target);
        }
        check_headers(&self.headers)
    }

    /// Writes Refer-To, Referred-By and the headers into a REFER of the dialog.
    pub fn write(&self, referred_by: &str, contact: &str, refer: &mut Request) {
        let mut target = self.target.clone();
        match self.send_method {
            SendMethod::Custom => {
                self.headers.iter().for_each(|(name, value)| refer.headers.push(name, value));
            }
            SendMethod::Contact => {
                let inside = contact.trim_start_matches('<').trim_end_matches('>');
                refer.headers.set("Contact", &format!("<{}>", with_uri_headers(inside, &self.headers)));
            }
            SendMethod::ReferTo => target = with_uri_headers(&target, &self.headers),
        }
        refer.headers.push("Refer-To", &format!("<{target}>"));
        refer.headers.push("Referred-By", referred_by);
    }
}

/// Headers that may be added to a message: token names, values without line ends.
pub fn check_headers(headers: &[(String, String)]) -> Result<(), Unacceptable> {
    let token =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b));
    // What a message is routed, matched and framed by is not the author's to say.
    let ours = [
        "via",
        "from",
        "to",
        "call-id",
        "cseq",
        "contact",
        "route",
        "record-route",
        "content-length",
        "content-type",
        "max-forwards",
        "refer-to",
        "referred-by",
        "reason",
    ];
    let good = |(name, value): &(String, String)| {
        token(name)
            && !ours.contains(&name.to_ascii_lowercase().as_str())
            && !value.contains(char::is_control)
            && value.len() <= 1024
    };
    if headers.iter().all(good) { Ok(()) } else { Err(Unacceptable::Header) }
}

/// `?name=value&…` behind a URI, escaped (RFC 3261 section 19.1.1); `;` too, which many parsers end a URI at.
fn with_uri_headers(uri: &str, headers: &[(String, String)]) -> String {
    let mut out = uri.to_owned();
    for (n, (name, value)) in headers.iter().enumerate() {
        let joint = if n == 0 && !uri.contains('?') { '?' } else { '&' };
        let _ = write!(out, "{joint}{}={}", escaped(name), escaped(value));
    }
    out
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()[]/:$".contains(&byte) {
            out.push(byte as char);
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// What a NOTIFY of a transfer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The status of the transfer's own INVITE so far.
    pub status: u16,
    /// Whether it is the last word.
    pub terminated: bool,
}

/// Reads a NOTIFY (RFC 3515 section 2.4.4): `None` if it is not about a transfer.
pub fn progress(notify: &Request) -> Option<Progress> {
    let event = notify.headers.get("Event")?;
    if !event.split(';').next()?.trim().eq_ignore_ascii_case("refer") {
        return None;
    }
    let state = notify.headers.get("Subscription-State").unwrap_or_default().trim_start().to_ascii_lowercase();
    let terminated = state.starts_with("terminated");
    let fragment = std::str::from_utf8(&notify.body).ok()?;
    let status = fragment.lines().find_map(|line| line.trim().strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok());
    // A subscription that ends without a word about the call has failed.
    Some(Progress { status: status.unwrap_or(if terminated { 500 } else { 100 }), terminated })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Method;

    fn transfer(send_method: SendMethod) -> Transfer {
        let headers =
            vec![("User-to-User".to_owned(), "04a1;encoding=hex".to_owned()), ("X-A".to_owned(), "b c".to_owned())];
        Transfer { target: "sip:+18005550199@pbx.example.com".into(), headers, send_method }
    }

    fn written(send_method: SendMethod) -> Request {
        let mut refer = Request::new(Method::Refer, "sip:far@end");
        refer.headers.push("Contact", "<sip:203.0.113.7:5060>");
        transfer(send_method).write("<sip:+1800@h>", "<sip:203.0.113.7:5060>", &mut refer);
        refer
    }

    #[test]
    fn headers_travel_by_each_of_the_three_methods() {
        let custom = written(SendMethod::Custom);
        assert_eq!(custom.headers.get("Refer-To"), Some("<sip:+18005550199@pbx.example.com>"));
        assert_eq!(custom.headers.get("User-to-User"), Some("04a1;encoding=hex"));
        assert_eq!(custom.headers.get("Referred-By"), Some("<sip:+1800@h>"));
        let contact = written(SendMethod::Contact);
        assert_eq!(
            contact.headers.get("Contact"),
            Some("<sip:203.0.113.7:5060?User-to-User=04a1%3Bencoding%3Dhex&X-A=b%20c>")
        );
        let refer_to = written(SendMethod::ReferTo);
        assert_eq!(
            refer_to.headers.get("Refer-To"),
            Some("<sip:+18005550199@pbx.example.com?User-to-User=04a1%3Bencoding%3Dhex&X-A=b%20c>")
        );
        assert_eq!(refer_to.headers.get("X-A"), None);
    }

    #[test]
    fn what_would_break_a_message_is_refused() {
        for (target, name, value, expected) in [
            ("sip:a@b", "X-A", "b", Ok(())),
            ("tel:+1800", "X-A", "b", Ok(())),
            ("http://a", "X-A", "b", Err(Unacceptable::Target)),
            ("sip:", "X-A", "b", Err(Unacceptable::Target)),
            ("sip:a@b>\r\nX: y", "X-A", "b", Err(Unacceptable::Target)),
            ("sip:a@b", "X A", "b", Err(Unacceptable::Header)),
            ("sip:a@b", "Via", "b", Err(Unacceptable::Header)),
            ("sip:a@b", "X-A", "b\r\nX: y", Err(Unacceptable::Header)),
        ] {
            let headers = vec![(name.to_owned(), value.to_owned())];
            let transfer = Transfer { target: target.into(), headers, send_method: SendMethod::Custom };
            assert_eq!(transfer.check(), expected, "{target} {name} {value}");
        }
    }

    #[test]
    fn reports_are_read() {
        for (event, state, body, expected) in [
            ("refer", "active;expires=60", "SIP/2.0 100 Trying\r\n", Some((100, false))),
            ("refer;id=2", "terminated;reason=noresource", "SIP/2.0 200 OK\r\n", Some((200, true))),
            ("refer", "Terminated", "SIP/2.0 486 Busy Here", Some((486, true))),
            ("refer", "terminated", "", Some((500, true))),
            ("presence", "active", "", None),
        ] {
            let mut notify = Request::new(Method::Notify, "sip:a@b");
            notify.headers.push("Event", event);
            notify.headers.push("Subscription-State", state);
            notify.body = bytes::Bytes::copy_from_slice(body.as_bytes());
            assert_eq!(progress(&notify).map(|p| (p.status, p.terminated)), expected, "{event} {state}");
        }
    }
}
