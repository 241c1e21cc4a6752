//! What every request is checked for before anybody is bothered with it (RFC 3261 section 8.2).
//!
//! Invariant: a request is answered here, or belongs to a dialog, or is an INVITE that could become a call. Driver:
//! `actors/reception/sip_endpoint.rs`.

use std::collections::{HashMap, VecDeque};

use super::DialogId;
use super::session_timer::{self, MIN_SE};
use super::uas::{ACCEPT, ALLOW, SUPPORTED, capabilities};
use crate::message::{CSeq, Method, NameAddr, Request, Response, Scheme, StatusCode, Uri};

/// INVITEs remembered to find merged requests; older ones are forgotten.
pub const REMEMBERED_MAX: usize = 16_384;

/// What to do with a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Vetted {
    /// Answer it with this.
    Answer(Box<Response>),
    /// It has a To tag: a dialog's.
    Inside,
    /// An INVITE for a new call.
    NewCall,
}

/// The checks, with what they must remember.
#[derive(Debug, Default)]
pub struct Vetting {
    /// By Call-ID.
    invites: HashMap<String, Remembered>,
    /// Call-IDs as they came, with their numbers: one that is forgotten and comes again has another.
    order: VecDeque<(String, u64)>,
    came: u64,
    closed: bool,
}

/// A merged request has its twin's Call-ID, From tag and CSeq, and another branch (RFC 3261 section 8.2.2.2).
#[derive(Debug, PartialEq, Eq)]
struct Remembered {
    from_tag: String,
    cseq: u32,
    via: String,
    came: u64,
}

impl Vetting {
    /// Judges a request that opened a server transaction.
    pub fn judge(&mut self, request: &Request) -> Vetted {
        let answer = |status: u16| request.respond(StatusCode(status), Some("refused"));
        let address = |name| request.headers.get(name).and_then(|value| NameAddr::parse(value).ok());
        let inside = address("To").is_some_and(|to| to.tag().is_some());
        let required = request.headers.list("Require");
        let known = |tag: &&&str| !SUPPORTED.split(", ").any(|known| known.eq_ignore_ascii_case(tag));
        let unknown: Vec<&str> = required.iter().filter(known).copied().collect();
        if !unknown.is_empty() && !matches!(request.method, Method::Ack | Method::Cancel) {
            return Vetted::Answer(Box::new(answer(420).with("Unsupported", unknown.join(", "))));
        }
        if inside {
            return Vetted::Inside;
        }
        match request.method {
            Method::Invite => {}
            Method::Options if self.closed => return Vetted::Answer(Box::new(answer(503).with("Retry-After", "30"))),
            Method::Options => return Vetted::Answer(Box::new(capabilities(answer(200)))),
            Method::Bye => return Vetted::Answer(Box::new(answer(481))),
            _ => return Vetted::Answer(Box::new(answer(405).with("Allow", ALLOW))),
        }
        if request.headers.get("Max-Forwards").is_some_and(|hops| hops.parse() == Ok(0u8)) {
            return Vetted::Answer(Box::new(answer(483)));
        }
        if Uri::parse(&request.uri).is_none_or(|uri| matches!(uri.scheme, Scheme::Other(_))) {
            return Vetted::Answer(Box::new(answer(416)));
        }
        let content_type =
            request.headers.get("Content-Type").map(|value| value.split(';').next().unwrap_or_default().trim());
        let foreign_body = !request.body.is_empty()
            && (!content_type.is_some_and(|content| content.eq_ignore_ascii_case(ACCEPT))
                || request
                    .headers
                    .get("Content-Encoding")
                    .is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")));
        if foreign_body {
            return Vetted::Answer(Box::new(answer(415).with("Accept", ACCEPT)));
        }
        if request.headers.list("Contact").is_empty() {
            return Vetted::Answer(Box::new(answer(400).with("Warning", "399 bellhop \"Missing Contact\"")));
        }
        if session_timer::asked(request).is_err() {
            return Vetted::Answer(Box::new(answer(422).with("Min-SE", MIN_SE.to_string())));
        }
        if self.is_merged(request) {
            return Vetted::Answer(Box::new(answer(482)));
        }
        Vetted::NewCall
    }

    /// An INVITE was refused: its transaction is not ongoing any more, and whoever tries again (another way, after a 503, or
    /// with a login) keeps its numbers (RFC 3261 sections 8.2.2.2 and 16.7). `response` is what it got.
    pub fn refused(&mut self, response: &Response) {
        let (Some(call_id), Some(via)) = (response.headers.get("Call-ID"), response.headers.get("Via")) else { return };
        if self.invites.get(call_id).is_some_and(|known| known.via == via) {
            self.invites.remove(call_id);
        }
    }

    /// A call is over: a later INVITE with its numbers is no twin.
    pub fn call_over(&mut self, dialog: &DialogId) {
        self.invites.remove(&dialog.call_id);
    }

    /// From here on health probes hear that the node takes no calls.
    pub fn close_doors(&mut self) {
        self.closed = true;
    }

    fn is_merged(&mut self, request: &Request) -> bool {
        let headers = &request.headers;
        let from = headers.get("From").and_then(|from| NameAddr::parse(from).ok());
        let call_id = headers.get("Call-ID").unwrap_or_default();
        let invite = Remembered {
            from_tag: from.and_then(|from| from.tag().map(str::to_owned)).unwrap_or_default(),
            cseq: headers.get("CSeq").and_then(CSeq::parse).map_or(0, |cseq| cseq.number),
            via: headers.get("Via").unwrap_or_default().to_owned(),
            came: self.came,
        };
        if let Some(known) = self.invites.get(call_id)
            && known.from_tag == invite.from_tag
            && known.cseq == invite.cseq
        {
            return known.via != invite.via;
        }
        if self.order.len() >= REMEMBERED_MAX
            && let Some((oldest, came)) = self.order.pop_front()
            && self.invites.get(&oldest).is_some_and(|known| known.came == came)
        {
            self.invites.remove(&oldest);
        }
        self.order.push_back((call_id.to_owned(), self.came));
        self.came += 1;
        self.invites.insert(call_id.to_owned(), invite);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, extra: &[(&str, &str)]) -> Request {
        let mut request = Request::new(Method::from_token(method), "sip:+1800@h");
        for (name, value) in [
            ("Via", "SIP/2.0/UDP h;branch=z9hG4bK1"),
            ("From", "<sip:c@d>;tag=f"),
            ("To", "<sip:+1800@h>"),
            ("Call-ID", "c"),
            ("CSeq", "1 X"),
            ("Contact", "<sip:c@d>"),
        ] {
            request.headers.push(name, value);
        }
        request.headers.set("CSeq", &format!("1 {method}"));
        for (name, value) in extra {
            match *name {
                "body" => request.body = bytes::Bytes::copy_from_slice(value.as_bytes()),
                "uri" => request.uri = (*value).to_owned(),
                _ => request.headers.set(name, value),
            }
        }
        request
    }

    fn status(vetted: &Vetted) -> String {
        match vetted {
            Vetted::Answer(response) => response.status.0.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn every_request_gets_its_class_of_answer() {
        for (method, extra, expected) in [
            ("INVITE", &[][..], "NewCall"),
            ("INVITE", &[("To", "<sip:a@b>;tag=x")], "Inside"),
            ("BYE", &[("To", "<sip:a@b>;tag=x")], "Inside"),
            ("BYE", &[], "481"),
            ("OPTIONS", &[], "200"),
            ("REGISTER", &[], "405"),
            ("FROBNICATE", &[], "405"),
            ("INVITE", &[("Max-Forwards", "0")], "483"),
            ("INVITE", &[("uri", "http://x")], "416"),
            ("INVITE", &[("body", "x"), ("Content-Type", "text/plain")], "415"),
            ("INVITE", &[("body", "x"), ("Content-Type", "application/SDP;charset=utf-8")], "NewCall"),
            ("INVITE", &[("body", "x"), ("Content-Type", "application/sdp"), ("Content-Encoding", "gzip")], "415"),
            ("INVITE", &[("Require", "100rel, x")], "420"),
            ("INVITE", &[("Require", "100rel, timer")], "NewCall"),
            ("INVITE", &[("Supported", "timer"), ("Session-Expires", "60")], "422"),
            ("INVITE", &[("Contact", "")], "400"),
        ] {
            assert_eq!(status(&Vetting::default().judge(&request(method, extra))), expected, "{method} {extra:?}");
        }
    }

    #[test]
    fn a_merged_request_is_a_loop_until_the_call_is_over() {
        let mut vetting = Vetting::default();
        let twin = request("INVITE", &[("Via", "SIP/2.0/UDP h;branch=z9hG4bK2")]);
        assert_eq!(vetting.judge(&request("INVITE", &[])), Vetted::NewCall);
        assert_eq!(status(&vetting.judge(&twin)), "482");
        vetting.call_over(&DialogId { call_id: "c".into(), local_tag: String::new(), remote_tag: String::new() });
        assert_eq!(vetting.judge(&twin), Vetted::NewCall);
    }

    /// The case "a refused INVITE that is tried again" of `tests/cases/signalling.yaml`.
    #[test]
    fn a_refused_invite_may_be_tried_again() {
        let mut vetting = Vetting::default();
        let twin = request("INVITE", &[("Via", "SIP/2.0/UDP h;branch=z9hG4bK2")]);
        assert_eq!(vetting.judge(&request("INVITE", &[])), Vetted::NewCall);
        vetting.refused(&twin.respond(StatusCode(482), Some("t")));
        assert_eq!(status(&vetting.judge(&twin)), "482", "the twin's own refusal is not the first one's");
        vetting.refused(&request("INVITE", &[]).respond(StatusCode(503), Some("t")));
        assert_eq!(vetting.judge(&twin), Vetted::NewCall);
        for n in 0..REMEMBERED_MAX + 10 {
            let other = request("INVITE", &[("Call-ID", &n.to_string())]);
            let _ = vetting.judge(&other);
            vetting.refused(&other.respond(StatusCode(403), Some("t")));
        }
        assert!(vetting.invites.len() <= 1 && vetting.order.len() <= REMEMBERED_MAX);
    }

    #[test]
    fn a_closed_node_says_so_to_health_probes() {
        let mut vetting = Vetting::default();
        vetting.close_doors();
        assert_eq!(status(&vetting.judge(&request("OPTIONS", &[]))), "503");
    }
}
