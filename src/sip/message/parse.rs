//! The front parser: bytes from the network become a [`Message`], or a reason why not.
//!
//! Invariant: no input panics and none is trusted; what can still be answered is answered with the right 4xx, what
//! cannot is dropped. rsip's own parsers are never called: they know no compact names, folding,
//! `tel:` or unknown methods, drop Via values after a comma and ignore Content-Length.

use std::borrow::Cow;

use bytes::Bytes;

use super::headers::{expand, has_control, single_line};
use super::params;
use super::{CSeq, Headers, Message, Method, NameAddr, REQUEST_HEADERS, Request, Response, StatusCode, Uri, Via};

/// Most headers in one message, each element of a list that is split counted; more is abuse.
pub const HEADERS_MAX: usize = 256;

/// The longest start line and headers of a message that are taken.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// The reason phrase for a message that says its length twice.
pub(super) const LENGTHS_DIFFER: &str = "Content-Lengths Differ";

/// Why bytes did not become a usable message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Malformed {
    /// Not SIP, or nothing that could be answered.
    Garbage(&'static str),
    /// A request that is wrong but has what a response needs.
    Answerable {
        /// The request, as far as it was understood.
        request: Box<Request>,
        /// What to answer: 400, 416, 505 or 513.
        status: StatusCode,
        /// Why, for the reason phrase.
        why: &'static str,
    },
}

/// Parses one datagram, or one message cut from a stream by [`super::framing`]. Its head is as long as a stream's at most
/// ([`HEAD_BYTES_MAX`]): whatever is remembered of a request, and of its answers, is bounded by that.
pub fn message(bytes: &Bytes) -> Result<Message, Malformed> {
    let (head, body_at) = split_head(bytes).ok_or(Malformed::Garbage("no end of headers"))?;
    let (start, headers, wrong) = read_head(head)?;
    let body = bytes.slice(body_at..);
    let too_long = head.len() > HEAD_BYTES_MAX;
    match start.strip_prefix("SIP/") {
        Some(_) if too_long => Err(Malformed::Garbage("headers too long")),
        Some(rest) => response(rest, headers, body).map(Message::Response),
        None => match request(&start, headers, Some(body), wrong)? {
            request if too_long => {
                let (request, status) = (Box::new(request), StatusCode(513));
                Err(Malformed::Answerable { request, status, why: "Message Too Large" })
            }
            request => Ok(Message::Request(request)),
        },
    }
}

/// The request of a head alone, whose body has no end that could be told.
pub(super) fn head(head: &[u8]) -> Result<Request, Malformed> {
    let (start, headers, wrong) = read_head(head)?;
    request(&start, headers, None, wrong)
}

/// The headers of a body part.
pub(super) fn part_headers(head: &[u8]) -> Headers {
    let mut headers = Headers::default();
    let head = String::from_utf8_lossy(head);
    for (line, _) in unfold(&head).take(HEADERS_MAX) {
        if let Some((name, value)) = named(&line) {
            headers.push(expand(name), value);
        }
    }
    headers
}

/// What a head says of the length of its body: the same to who cuts a stream and to who parses the message.
pub(super) fn content_length_in(head: &[u8]) -> Result<Option<usize>, &'static str> {
    let head = String::from_utf8_lossy(head);
    let length = |line: &str| {
        let (name, value) = named(line)?;
        expand(name).eq_ignore_ascii_case("Content-Length").then(|| value.to_owned())
    };
    let lengths: Vec<String> = unfold(&head).skip(1).filter_map(|(line, _)| length(&line)).collect();
    one_length(lengths.iter().map(String::as_str))
}

/// Start line and headers, and what is wrong with a line of them.
fn read_head(head: &[u8]) -> Result<(String, Headers, Option<&'static str>), Malformed> {
    let head = String::from_utf8_lossy(head);
    let mut lines = unfold(&head);
    let (start, _) = lines.next().ok_or(Malformed::Garbage("empty message"))?;
    let mut headers = Headers::with_room(REQUEST_HEADERS);
    let mut wrong = None;
    let mut count = 0;
    for (line, clean) in lines {
        count += match named(&line) {
            Some((name, value)) => push(&mut headers, name, value),
            None => {
                wrong = Some("Malformed Header Line");
                1
            }
        };
        if count > HEADERS_MAX {
            return Err(Malformed::Garbage("too many headers"));
        }
        if !clean {
            wrong = Some("Control Character In Header");
        }
    }
    Ok((start.into_owned(), headers, wrong))
}

/// Name and value of a header line.
fn named(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    let name = name.trim_end();
    is_token(name).then(|| (name, value.trim()))
}

/// Without a body its length is not asked for.
fn request(
    start: &str,
    headers: Headers,
    body: Option<Bytes>,
    wrong: Option<&'static str>,
) -> Result<Request, Malformed> {
    let start = start.trim_end_matches([' ', '\t']);
    let (method, rest) = start.split_once(' ').ok_or(Malformed::Garbage("malformed start line"))?;
    let (uri, version) = rest.rsplit_once(' ').ok_or(Malformed::Garbage("malformed request line"))?;
    if !is_token(method) || !version.get(..4).is_some_and(|name| name.eq_ignore_ascii_case("SIP/")) {
        return Err(Malformed::Garbage("malformed request line"));
    }
    let is_whole = body.is_some();
    let body = body.unwrap_or_default();
    let mut request = Request { method: Method::from_token(method), uri: uri.to_owned(), headers, body };
    // A Via is all that an answer needs to find its way; whatever else is missing is what it says.
    if request.headers.get("Via").and_then(Via::parse).is_none() {
        return Err(Malformed::Garbage("nothing to answer to"));
    }
    let refuse = |request: Request, status, why| {
        let request = Box::new(request);
        Err(Malformed::Answerable { request, status: StatusCode(status), why })
    };
    if !version.eq_ignore_ascii_case("SIP/2.0") {
        return refuse(request, 505, "Version Not Supported");
    }
    let fault = wrong.or_else(|| request_fault(&request));
    let length = if is_whole { content_length(&request.headers, request.body.len()) } else { Ok(0) };
    match (fault, length) {
        (Some(why), _) | (None, Err(why)) => refuse(request, 400, why),
        (None, Ok(length)) => {
            request.body.truncate(length);
            Ok(request)
        }
    }
}

fn request_fault(request: &Request) -> Option<&'static str> {
    let headers = &request.headers;
    for (name, missing, repeated) in [
        ("To", "Missing To", "Repeated To"),
        ("From", "Missing From", "Repeated From"),
        ("Call-ID", "Missing Call-ID", "Repeated Call-ID"),
        ("CSeq", "Missing CSeq", "Repeated CSeq"),
    ] {
        match headers.all(name).count() {
            0 => return Some(missing),
            1 => {}
            _ => return Some(repeated),
        }
    }
    if headers.all("Max-Forwards").count() > 1 {
        return Some("Repeated Max-Forwards");
    }
    for (name, why) in [("To", "Malformed To"), ("From", "Malformed From")] {
        if !NameAddr::is_readable(headers.get(name)?) {
            return Some(why);
        }
    }
    if headers.all("Via").any(|via| Via::parse(via).is_none_or(|via| via.version != "2.0")) {
        return Some("Malformed Via");
    }
    match CSeq::parse(headers.get("CSeq")?) {
        None => return Some("Malformed CSeq"),
        Some(cseq) if cseq.method != request.method => return Some("CSeq Method Mismatch"),
        Some(_) => {}
    }
    if headers.get("Max-Forwards").is_some_and(|hops| params::number::<u8>(hops).is_none()) {
        return Some("Malformed Max-Forwards");
    }
    if !Uri::is_readable(&request.uri) {
        return Some("Malformed Request-URI");
    }
    None
}

fn response(rest: &str, headers: Headers, body: Bytes) -> Result<Response, Malformed> {
    let mut words = rest.splitn(3, ' ');
    let (version, status) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let reason = words.next().unwrap_or_default().to_owned();
    let status = params::number(status).filter(|s| (100..700).contains(s));
    let (Some(status), "2.0") = (status, version) else {
        return Err(Malformed::Garbage("malformed status line"));
    };
    if ["Via", "From", "To", "Call-ID", "CSeq"].iter().any(|name| headers.get(name).is_none()) {
        return Err(Malformed::Garbage("response lacks a required header"));
    }
    let length = content_length(&headers, body.len()).map_err(Malformed::Garbage)?;
    Ok(Response { status: StatusCode(status), reason, headers, body: body.slice(..length) })
}

/// The length of the body: Content-Length, or what there is in a datagram without one (RFC 3261 section 18.3).
fn content_length(headers: &Headers, available: usize) -> Result<usize, &'static str> {
    match one_length(headers.all("Content-Length"))? {
        Some(length) if length > available => Err("Body Shorter Than Content-Length"),
        Some(length) => Ok(length),
        None => Ok(available),
    }
}

/// The one length that all of them say.
fn one_length<'a>(values: impl Iterator<Item = &'a str>) -> Result<Option<usize>, &'static str> {
    let mut found = None;
    for value in values {
        let length = params::number::<usize>(value).ok_or("Malformed Content-Length")?;
        if found.replace(length).is_some_and(|other| other != length) {
            return Err(LENGTHS_DIFFER);
        }
    }
    Ok(found)
}

/// Splits list headers whose every element matters alone (Via, Route, Record-Route) so that one element is one line. Returns
/// how many lines were added, one at least and [`HEADERS_MAX`] and one at most.
fn push(headers: &mut Headers, name: &str, value: &str) -> usize {
    let name = expand(name);
    if ["Via", "Route", "Record-Route"].iter().any(|list| name.eq_ignore_ascii_case(list)) {
        let elements = super::headers::split_list(value).take(HEADERS_MAX + 1);
        elements.map(|element| headers.push(name, element)).count().max(1)
    } else {
        headers.push(name, value);
        1
    }
}

/// The bytes before the blank line, and where the body begins. Leading line ends are skipped (RFC 3261 section 7.5);
/// a bare LF is taken as a line end.
pub(super) fn split_head(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let skip = bytes.iter().take_while(|b| **b == b'\r' || **b == b'\n').count();
    let mut at = skip;
    while let Some(found) = bytes[at..].iter().position(|b| *b == b'\n') {
        at += found + 1;
        match bytes.get(at..) {
            Some([b'\n', ..]) => return Some((&bytes[skip..at], at + 1)),
            Some([b'\r', b'\n', ..]) => return Some((&bytes[skip..at], at + 2)),
            _ => {}
        }
    }
    None
}

/// Lines with continuation lines joined by one blank (RFC 3261 section 7.3.1), and whether each was free of control
/// characters: a bare CR that we passed on would be a line end to somebody. They are replaced by blanks.
fn unfold(head: &str) -> impl Iterator<Item = (Cow<'_, str>, bool)> + '_ {
    let mut lines = head.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).peekable();
    std::iter::from_fn(move || {
        let mut line = Cow::Borrowed(lines.next().filter(|line| !line.is_empty())?);
        while let Some(more) = lines.next_if(|next| next.starts_with([' ', '\t'])) {
            let line = line.to_mut();
            line.truncate(line.trim_end().len());
            line.push(' ');
            line.push_str(more.trim());
        }
        let clean = !has_control(&line);
        Some((if clean { line } else { single_line(&line).into_owned().into() }, clean))
    })
}

pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Message, Malformed> {
        message(&Bytes::copy_from_slice(text.replace('\n', "\r\n").as_bytes()))
    }

    fn status(text: &str) -> u16 {
        match parse(text) {
            Err(Malformed::Answerable { status, .. }) => status.0,
            Err(Malformed::Garbage(_)) => 0,
            Ok(_) => 200,
        }
    }

    /// RFC 4475 section 3.1.1.1: a short tortuous INVITE.
    const TORTUOUS: &str = "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\nTO :\n sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\nfrom   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\n  ;\n  tag = 98asjd8\nMaX-fOrWaRdS: 0068\nCall-ID: wsinv.ndaksdj@192.0.2.1\nContent-Length   : 150\ncseq: 0009\n  INVITE\nVia  : SIP  /   2.0\n /UDP\n    192.0.2.2;branch=390skdjuw\ns :\nNewFangledHeader:   newfangled value\n continued newfangled value\nUnknownHeaderWithUnusualValue: ;;,,;;,;\nContent-Type: application/sdp\nRoute:\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\nv:  SIP  / 2.0  / TCP     spindle.example.com   ;\n  branch  =   z9hG4bK9ikj8  ,\n SIP  /    2.0   / UDP  192.168.255.111   ; branch=\n z9hG4bK30239\nm:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\n      newvalue ;\n  secondparam ; q = 0.33\n\n";

    #[test]
    fn the_tortuous_invite_of_rfc_4475_is_understood() {
        let body = "x".repeat(150);
        let Ok(Message::Request(request)) = parse(&format!("{TORTUOUS}{body}")) else { panic!("valid") };
        assert_eq!(request.headers.all("Via").count(), 3);
        assert_eq!(request.headers.get("CSeq"), Some("0009 INVITE"));
        let to = NameAddr::parse(request.headers.get("To").expect("To")).expect("good");
        assert_eq!(to.tag(), Some("1918181833n"));
        assert_eq!(request.body.len(), 150);
        assert_eq!(request.headers.get("NewFangledHeader"), Some("newfangled value continued newfangled value"));
    }

    const GOOD: &str = "OPTIONS sip:a@b SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\nFrom: <sip:c@d>;tag=1\nTo: <sip:a@b>\nCall-ID: i\nCSeq: 1 OPTIONS\nMax-Forwards: 70\nContent-Length: 0\n\n";

    #[test]
    fn every_fault_gets_its_answer() {
        assert_eq!(status(GOOD), 200);
        for (from, to, expected) in [
            ("CSeq: 1 OPTIONS", "CSeq: 1 INVITE", 400),
            ("CSeq: 1 OPTIONS", "CSeq: 36893488147419103232 OPTIONS", 400),
            ("CSeq: 1 OPTIONS\n", "", 400),
            ("Call-ID: i\n", "", 400),
            ("To: <sip:a@b>", "To: \"open <sip:a@b>", 400),
            ("To: <sip:a@b>", "To: <sip:a@b>\nTo: <sip:x@b>", 400),
            ("Content-Length: 0", "Content-Length: -999", 400),
            ("Content-Length: 0", "Content-Length: 9999", 400),
            ("Max-Forwards: 70", "Max-Forwards: 300", 400),
            ("sip:a@b SIP", "<sip:a@b> SIP", 400),
            ("sip:a@b SIP", "sip:a@b; lr SIP", 400),
            ("SIP/2.0\n", "SIP/7.0\n", 505),
            ("From: <sip:c@d>;tag=1\n", "", 400),
            ("From: <sip:c@d>;tag=1\nTo: <sip:a@b>\nCall-ID: i\n", "", 400),
            ("SIP/2.0/UDP", "SIP/7.0/UDP", 400),
            ("Content-Length: 0", "Content-Length: 0\nl: 5", 400),
            ("Content-Length: 0", "Content-Length: 0\nl: 00", 200),
            ("Content-Length: 0", "Content-Length: +0", 400),
            ("Content-Length: 0", "Content-Length:\n 0", 200),
            ("CSeq: 1 OPTIONS", "CSeq: +1 OPTIONS", 400),
            ("Max-Forwards: 70", "Subject: a\rContent-Length: 9", 400),
            ("Via: SIP/2.0/UDP h;branch=z9hG4bK1\n", "", 0),
            ("OPTIONS sip:a@b SIP/2.0", "hello", 0),
            ("Call-ID: i", &format!("Call-ID: {}", "i".repeat(HEAD_BYTES_MAX)), 513),
            ("Call-ID: i", &format!("Call-ID: {}", "i".repeat(HEAD_BYTES_MAX / 2)), 200),
        ] {
            assert_eq!(status(&GOOD.replacen(from, to, 1)), expected, "{from} -> {to}");
        }
    }

    /// Each becomes a header of its own, in the message and in what answers it.
    #[test]
    fn the_elements_of_lists_are_headers_too() {
        for (elements, expected) in [(HEADERS_MAX - 7, 200), (HEADERS_MAX - 6, 0), (30_000, 0)] {
            let list = format!("Record-Route: {}\nMax-Forwards", vec!["<sip:r;lr>"; elements].join(","));
            assert_eq!(status(&GOOD.replacen("Max-Forwards", &list, 1)), expected, "{elements}");
        }
    }

    #[test]
    fn unknown_methods_and_schemes_are_messages_all_the_same() {
        let text = GOOD
            .replace("OPTIONS", "!interesting-Method0123456789_*+`.%indeed'~")
            .replace("sip:a@b SIP", "nobodyKnows:x SIP");
        assert!(matches!(parse(&text), Ok(Message::Request(Request { method: Method::Other(_), .. }))));
    }

    #[test]
    fn compact_names_and_a_body_longer_than_its_length() {
        let text = GOOD.replace("From:", "f:").replace("Content-Length: 0", "l: 2") + "abcdef";
        let Ok(Message::Request(request)) = parse(&text) else { panic!("valid") };
        assert_eq!((request.headers.get("From"), &request.body[..]), (Some("<sip:c@d>;tag=1"), &b"ab"[..]));
    }

    #[test]
    fn no_prefix_of_a_message_panics() {
        let text = TORTUOUS.replace('\n', "\r\n");
        for end in 0..text.len() {
            let _ = message(&Bytes::copy_from_slice(&text.as_bytes()[..end]));
        }
    }

    /// Network input never panics: the tortuous INVITE and a plain one, with bytes changed, doubled, cut and swapped.
    #[test]
    fn no_mutation_of_a_message_panics() {
        let mut seed = 7u64;
        let mut random = move |n: usize| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as usize % n
        };
        let interesting = b"\r\n\0 :;,<>\"@%=/[]\xff\xc3;";
        for original in [TORTUOUS, GOOD] {
            let original = original.replace('\n', "\r\n").into_bytes();
            for _ in 0..20_000 {
                let mut bytes = original.clone();
                for _ in 0..=random(4) {
                    let at = random(bytes.len());
                    match random(4) {
                        0 => bytes[at] = interesting[random(interesting.len())],
                        1 => bytes.insert(at, interesting[random(interesting.len())]),
                        2 => bytes.truncate(at.max(1)),
                        _ => {
                            let other = random(bytes.len());
                            bytes.swap(at, other);
                        }
                    }
                }
                let bytes = Bytes::from(bytes);
                if let Ok(Message::Request(request)) = message(&bytes) {
                    let again = message(&request.to_bytes()).expect("what was understood is written understandably");
                    assert!(matches!(again, Message::Request(again) if again.method == request.method));
                    let _ = crate::dialog::vetting::Vetting::default().judge(&request);
                }
                let keys = crate::sdp::crypto::KeyMaterial([0; 92]);
                let local = crate::sdp::LocalMedia::new(([127, 0, 0, 1], 9).into(), 1, keys);
                let _ = crate::sdp::answer(&bytes, &local);
            }
        }
    }
}
