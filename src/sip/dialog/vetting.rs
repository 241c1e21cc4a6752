//! What every request is checked for before anybody is bothered with it (RFC 3261 section 8.2).
//!
//! Invariant: a request is answered here, or belongs to a dialog, or is an INVITE that could become a call. What is remembered
//! of a request has a size that nobody out there chooses. Driver: `src/sip/endpoint.rs`.

use std::collections::{HashMap, VecDeque};

use sha2::{Digest as _, Sha256};

use super::DialogId;
use super::capabilities::{ACCEPT, ALLOW, SUPPORTED, capabilities};
use super::session_timer::{self, MIN_SE};
use crate::message::{CSeq, Headers, Method, Request, Response, Scheme, StatusCode, Uri, Via, params};

/// INVITEs that go on, remembered to find merged requests; older ones are forgotten.
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
    /// By Call-ID: those without a final response, and those that became a call which is not over yet.
    invites: HashMap<Hashed, Remembered>,
    /// Call-IDs as they came, with the number of what was remembered then.
    order: VecDeque<(Hashed, u64)>,
    remembered: u64,
    closed: bool,
}

/// A merged request has the Call-ID, From tag and CSeq of one that goes on, and another branch (RFC 3261 section 8.2.2.2).
/// What was refused goes on no more: it is tried again with the same three, by proxies that fail over too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Remembered {
    number: u64,
    from_tag: Hashed,
    cseq: u32,
    /// The branch of the top Via.
    branch: Hashed,
}

/// What stands for a text of a stranger's, however long: a datagram may be one Call-ID of 64 KiB, and its source is anybody's
/// to write.
type Hashed = [u8; 32];

fn hashed(text: &str) -> Hashed {
    Sha256::digest(text).into()
}

impl Vetting {
    /// Judges a request that opened a server transaction.
    pub fn judge(&mut self, request: &Request) -> Vetted {
        let answer = |status: u16| request.respond(StatusCode(status), Some("refused"));
        let inside = request.headers.tag("To").is_some();
        let required = request.headers.list("Require");
        let known = |tag: &&&str| !SUPPORTED.split(", ").any(|known| known.eq_ignore_ascii_case(tag));
        let unknown: Vec<&str> = required.iter().filter(known).copied().collect();
        if !unknown.is_empty() && !matches!(request.method, Method::Ack | Method::Cancel) {
            return Vetted::Answer(Box::new(answer(420).with("Unsupported", unknown.join(", "))));
        }
        if inside {
            return Vetted::Inside;
        }
        let foreign_scheme = Uri::scheme_of(&request.uri).is_none_or(|scheme| matches!(scheme, Scheme::Other(_)));
        match request.method {
            Method::Invite => {}
            Method::Options if foreign_scheme => return Vetted::Answer(Box::new(answer(416))),
            Method::Options if self.closed => return Vetted::Answer(Box::new(answer(503).with("Retry-After", "30"))),
            Method::Options => return Vetted::Answer(Box::new(capabilities(answer(200)))),
            Method::Bye => return Vetted::Answer(Box::new(answer(481))),
            _ => return Vetted::Answer(Box::new(answer(405).with("Allow", ALLOW))),
        }
        if request.headers.get("Max-Forwards").is_some_and(|hops| params::number(hops) == Some(0u8)) {
            return Vetted::Answer(Box::new(answer(483)));
        }
        if foreign_scheme {
            return Vetted::Answer(Box::new(answer(416)));
        }
        if request.session_description().is_err() {
            let refusal = answer(415).with("Accept", ACCEPT).with("Accept-Encoding", "identity");
            return Vetted::Answer(Box::new(refusal));
        }
        if !takes_descriptions(request) {
            return Vetted::Answer(Box::new(answer(406)));
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

    /// A call is over: a later INVITE with its numbers is no twin.
    pub fn call_over(&mut self, dialog: &DialogId) {
        self.invites.remove(&hashed(&dialog.call_id));
    }

    /// A response goes out. An INVITE that is refused goes on no more.
    pub fn answered(&mut self, response: &Response) {
        let refuses = response.status.0 >= 300
            && response.headers.get("CSeq").and_then(CSeq::parse).is_some_and(|cseq| cseq.method == Method::Invite);
        if !refuses {
            return;
        }
        let call_id = hashed(response.headers.get("Call-ID").unwrap_or_default());
        if self.invites.get(&call_id).is_some_and(|known| known.is(&known_by(&response.headers))) {
            self.invites.remove(&call_id);
        }
    }

    /// From here on health probes hear that the node takes no calls.
    pub fn close_doors(&mut self) {
        self.closed = true;
    }

    fn is_merged(&mut self, request: &Request) -> bool {
        let call_id = hashed(request.headers.get("Call-ID").unwrap_or_default());
        let invite = known_by(&request.headers);
        if let Some(known) = self.invites.get(&call_id)
            && known.from_tag == invite.from_tag
            && known.cseq == invite.cseq
        {
            return known.branch != invite.branch;
        }
        if self.order.len() >= REMEMBERED_MAX
            && let Some((oldest, number)) = self.order.pop_front()
            && self.invites.get(&oldest).is_some_and(|known| known.number == number)
        {
            self.invites.remove(&oldest);
        }
        self.remembered += 1;
        self.order.push_back((call_id, self.remembered));
        self.invites.insert(call_id, Remembered { number: self.remembered, ..invite });
        false
    }
}

/// Whether an INVITE without an offer could read ours: it says no Accept, or one with session descriptions (RFC 3261
/// section 20.1).
fn takes_descriptions(invite: &Request) -> bool {
    let accept = invite.headers.list("Accept");
    let takes = |accept: &&str| {
        let (range, _) = params::split(accept);
        ["application/sdp", "application/*", "*/*"].iter().any(|sdp| range.eq_ignore_ascii_case(sdp))
    };
    accept.is_empty() || !invite.body.is_empty() || accept.iter().any(takes)
}

impl Remembered {
    /// Whether it is the same INVITE, not a twin.
    fn is(&self, other: &Self) -> bool {
        (&self.from_tag, self.cseq, &self.branch) == (&other.from_tag, other.cseq, &other.branch)
    }
}

/// What an INVITE is known by; a response says the same.
fn known_by(headers: &Headers) -> Remembered {
    let via = headers.get("Via").unwrap_or_default();
    let parsed = Via::parse(via);
    let branch = parsed.as_ref().and_then(Via::branch);
    Remembered {
        number: 0,
        from_tag: hashed(&headers.tag("From").unwrap_or_default()),
        cseq: headers.get("CSeq").and_then(CSeq::parse).map_or(0, |cseq| cseq.number),
        branch: hashed(branch.as_deref().unwrap_or(via)),
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
            ("OPTIONS", &[("uri", "nobodyKnowsThisScheme:totallyopaquecontent")], "416"),
            ("INVITE", &[("To", "<sip:a@b>;tag=")], "NewCall"),
            (
                "INVITE",
                &[
                    ("body", "--b\r\nContent-Type: application/isup\r\n\r\nx\r\n--b--"),
                    ("Content-Type", "multipart/mixed;boundary=b"),
                ],
                "NewCall",
            ),
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
            ("INVITE", &[("Accept", "text/nobodyKnowsThis")], "406"),
            ("INVITE", &[("Accept", "text/x, Application/SDP ; q=0.5")], "NewCall"),
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

    /// 482 is for an INVITE that goes on; one that was refused may come again, by another way too.
    #[test]
    fn a_refused_invite_is_no_twin_of_the_next_try() {
        let mut vetting = Vetting::default();
        let first = request("INVITE", &[]);
        let again = request("INVITE", &[("Via", "SIP/2.0/UDP h;branch=z9hG4bK2")]);
        assert_eq!(vetting.judge(&first), Vetted::NewCall);
        vetting.answered(&first.respond(StatusCode(100), None));
        assert_eq!(status(&vetting.judge(&again)), "482");
        vetting.answered(&again.respond(StatusCode(482), Some("t")));
        assert_eq!(status(&vetting.judge(&again)), "482", "the twin's refusal is not the first's");
        vetting.answered(&first.respond(StatusCode(200), Some("t")));
        assert_eq!(status(&vetting.judge(&again)), "482", "it became a call");
        let mut vetting = Vetting::default();
        for (n, refusal) in [503, 401, 403, 488].into_iter().enumerate() {
            let via = format!("SIP/2.0/UDP h;branch=z9hG4bK{n}");
            let attempt = request("INVITE", &[("Via", via.as_str())]);
            assert_eq!(vetting.judge(&attempt), Vetted::NewCall, "{n}");
            vetting.answered(&attempt.respond(StatusCode(refusal), Some("t")));
        }
        assert_eq!(vetting.invites.len(), 0);
    }

    /// A gigabyte could be had by datagrams of a Call-ID each, in anybody's name.
    #[test]
    fn what_is_remembered_of_a_stranger_is_as_large_for_a_long_call_id_as_for_a_short_one() {
        let mut vetting = Vetting::default();
        let long = "x".repeat(60_000);
        let via = format!("SIP/2.0/UDP h;branch=z9hG4bK{long}");
        for n in 0..3 {
            let (call_id, from) = (format!("{long}{n}"), format!("<sip:c@d>;tag={long}"));
            let extra = [("Call-ID", call_id.as_str()), ("From", from.as_str()), ("Via", via.as_str())];
            assert_eq!(vetting.judge(&request("INVITE", &extra)), Vetted::NewCall, "told apart by its last figure");
        }
        assert_eq!(vetting.invites.len(), 3);
        fn owns_nothing<T: Copy>(_: &T) {}
        vetting.order.iter().for_each(owns_nothing);
        vetting.invites.values().for_each(owns_nothing);
    }

    #[test]
    fn a_closed_node_says_so_to_health_probes() {
        let mut vetting = Vetting::default();
        vetting.close_doors();
        assert_eq!(status(&vetting.judge(&request("OPTIONS", &[]))), "503");
    }
}
