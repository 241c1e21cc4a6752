//! Blind transfer (RFC 3515, RFC 5589 section 6.1): the REFER, and the far end's reports about it.
//!
//! Invariant: a transfer is what its NOTIFY says; 202 is no success. What an author may name is only whom to call and what
//! to tell him: values that could break out of a header, headers that a message is routed, matched, framed or judged by
//! (under any of their names, [`RESERVED`]), and parts of a target that would make another request of it ([`target`]) are
//! refused. Drivers: `requests.rs`, `session.rs`.

use std::fmt::Write;

use crate::message::parse::is_token;
use crate::message::{Request, Scheme, Uri, body, expand, params};

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
    /// The target says more than whom to call.
    #[error(
        "the target has a part that makes another request of the transfer: method, maddr, ttl or a reserved header"
    )]
    TargetPart,
    /// A header's name or value would break the message.
    #[error("a header's name or value has characters that do not belong there")]
    Header,
}

impl Transfer {
    /// Checks target and headers.
    pub fn check(&self) -> Result<(), Unacceptable> {
        target(&self.target)?;
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

/// Reads whom a transfer goes to. Refused is a target that makes another request of it (RFC 3261 section 19.1.5): another
/// method, another address than its host says, a header of the [`RESERVED`], whether escaped or not. So is one that two
/// readers would read as two targets.
pub fn target(text: &str) -> Result<Uri, Unacceptable> {
    let odd = |c: char| c.is_control() || !c.is_ascii() || "<>\"\\^`{}|,".contains(c);
    let uri = Uri::parse(text).filter(|_| !text.contains(odd) && text.matches('@').count() <= 1);
    let uri = uri.ok_or(Unacceptable::Target)?;
    let is_host =
        |host: &str| !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b));
    match uri.scheme {
        Scheme::Sip | Scheme::Sips if is_host(&uri.host) => {}
        Scheme::Tel if !text.contains(['?', '@']) => {}
        Scheme::Sip | Scheme::Sips | Scheme::Tel | Scheme::Other(_) => return Err(Unacceptable::Target),
    }
    let redirects = |name: &str| ["method", "maddr", "ttl"].iter().any(|part| name.eq_ignore_ascii_case(part));
    let headers: Vec<_> = uri.headers().collect();
    if uri.params().any(|(name, _)| redirects(name.trim())) || check_headers(&headers).is_err() {
        return Err(Unacceptable::TargetPart);
    }
    Ok(uri)
}

/// What a message is routed, matched, framed, judged or understood by is not the author's to say.
pub const RESERVED: [&str; 46] = [
    "accept",
    "accept-encoding",
    "allow",
    "allow-events",
    "authorization",
    // Not a header of a message, but the name of its body in a URI.
    "body",
    "call-id",
    "contact",
    "content-disposition",
    "content-encoding",
    "content-length",
    "content-transfer-encoding",
    "content-type",
    "cseq",
    "date",
    "event",
    "expires",
    "from",
    "info-package",
    "join",
    "max-forwards",
    "mime-version",
    "min-se",
    "path",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-require",
    "rack",
    "reason",
    "record-route",
    "recv-info",
    "refer-sub",
    "refer-to",
    "referred-by",
    "replaces",
    "require",
    "route",
    "rseq",
    "service-route",
    "session-expires",
    "subscription-state",
    "supported",
    "target-dialog",
    "to",
    "via",
    "www-authenticate",
];

/// Headers that may be added to a message: token names that are not [`RESERVED`], by their long or their compact form, and
/// values without line ends.
pub fn check_headers(headers: &[(String, String)]) -> Result<(), Unacceptable> {
    let good = |(name, value): &(String, String)| {
        is_token(name)
            && !RESERVED.contains(&expand(name).to_ascii_lowercase().as_str())
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
    let (event, _) = params::split(notify.headers.get("Event")?);
    if !event.eq_ignore_ascii_case("refer") {
        return None;
    }
    let (state, _) = params::split(notify.headers.get("Subscription-State").unwrap_or_default());
    let terminated = state.eq_ignore_ascii_case("terminated");
    let fragment = body::find(&notify.headers, &notify.body, &["message/sipfrag"]).ok().flatten();
    // Some say no content type; what is in there speaks for itself.
    let fragment = fragment.map_or_else(|| notify.body.clone(), |part| part.body);
    let fragment = String::from_utf8_lossy(&fragment);
    let status = fragment.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let is_status = words.next()?.eq_ignore_ascii_case("SIP/2.0");
        words.next().and_then(params::number).filter(|status| is_status && (100..700).contains(status))
    });
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
            // By their compact names, and in any case.
            ("sip:a@b", "l", "400", Err(Unacceptable::Header)),
            ("sip:a@b", "V", "b", Err(Unacceptable::Header)),
            ("sip:a@b", "R", "b", Err(Unacceptable::Header)),
            ("sip:a@b", "x", "90", Err(Unacceptable::Header)),
            ("sip:a@b", "Replaces", "b", Err(Unacceptable::Header)),
            ("sip:a@b", "Require", "b", Err(Unacceptable::Header)),
            ("sip:a@b", "body", "b", Err(Unacceptable::Header)),
            ("sip:a@b", "s", "a subject", Ok(())),
            ("sips:+1800@b:5061;transport=tcp;user=phone", "User-to-User", "04", Ok(())),
            ("sip:a@[2001:db8::1]", "X-A", "b", Ok(())),
            ("sip:a@b?X-A=c&Subject=d", "X-A", "b", Ok(())),
            ("sip:a@b;method=BYE", "X-A", "b", Err(Unacceptable::TargetPart)),
            ("sip:a@b; METHOD = INVITE", "X-A", "b", Err(Unacceptable::Target)),
            ("sip:a@b;%6dethod=BYE", "X-A", "b", Err(Unacceptable::TargetPart)),
            ("sip:a@b;maddr=192.0.2.66", "X-A", "b", Err(Unacceptable::TargetPart)),
            ("sip:a@b?Replaces=c%3Bto-tag%3D1", "X-A", "b", Err(Unacceptable::TargetPart)),
            ("sip:a@b?X-A=c&%52eplaces=d", "X-A", "b", Err(Unacceptable::TargetPart)),
            ("sip:a@b?body=v%3D0", "X-A", "b", Err(Unacceptable::TargetPart)),
            ("sip:a@b?l=400", "X-A", "b", Err(Unacceptable::TargetPart)),
            ("sip:a@b?X-A=c%0D%0AVia%3A%20d", "X-A", "b", Err(Unacceptable::TargetPart)),
            ("sip:a@good.example?X=@evil.example", "X-A", "b", Err(Unacceptable::Target)),
            ("sip:a@good.example,sip:b@evil.example", "X-A", "b", Err(Unacceptable::Target)),
            ("tel:+1800?Replaces=c", "X-A", "b", Err(Unacceptable::Target)),
            ("tel:+1800;method=BYE", "X-A", "b", Err(Unacceptable::TargetPart)),
            ("sip:a@", "X-A", "b", Err(Unacceptable::Target)),
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
            ("Refer ; id=2", " terminated ;reason=x", "sip/2.0  486", Some((486, true))),
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
