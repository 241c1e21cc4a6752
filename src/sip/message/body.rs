//! Finds what is meant for us in the body of a message: alone, or among the parts of a multipart (RFC 5621).
//!
//! A part that says `handling=required` and is not understood refuses the message; one that says nothing is passed over, as
//! carriers put ISUP (RFC 3204) and locations (RFC 6442) beside the session description without a word about them. A body
//! that is no multipart must be understood unless it says `handling=optional` (RFC 3261 section 8.2.3). Invariant: every
//! body of every message is read through [`find`].

use bytes::Bytes;

use super::params::{self, Params};
use super::{Headers, parse};

/// The content type of session descriptions.
pub const SDP: &str = "application/sdp";
/// Most parts in one multipart.
pub const PARTS_MAX: usize = 16;
/// How deep multiparts may stand in each other.
const NESTING_MAX: usize = 3;

/// A body that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its content type without parameters, in lower case.
    pub content_type: String,
    /// Its content, as it came.
    pub body: Bytes,
}

/// Something in the body has to be understood, and is not: 415.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a body part that must be understood is not")]
pub struct NotUnderstood;

/// The first body of one of the `wanted` types (in lower case); `None` where there is none and none is missed.
pub fn find(headers: &Headers, body: &Bytes, wanted: &[&str]) -> Result<Option<Part>, NotUnderstood> {
    if body.is_empty() { Ok(None) } else { look(headers, body, wanted, 0) }
}

/// The session description of a message.
pub(super) fn session_description(headers: &Headers, body: &Bytes) -> Result<Option<Bytes>, NotUnderstood> {
    Ok(find(headers, body, &[SDP])?.map(|part| part.body))
}

fn look(headers: &Headers, body: &Bytes, wanted: &[&str], depth: usize) -> Result<Option<Part>, NotUnderstood> {
    let (content_type, params) = content_type(headers, body, depth);
    if is_plain(headers) {
        if wanted.contains(&content_type.as_str()) {
            return Ok(Some(Part { content_type, body: body.clone() }));
        }
        let parts = content_type.strip_prefix("multipart/").filter(|_| depth < NESTING_MAX);
        if let Some((kind, parts)) = parts.zip(params.get("boundary").and_then(|boundary| parts_of(body, boundary))) {
            let found: Vec<_> = parts.iter().map(|(headers, body)| look(headers, body, wanted, depth + 1)).collect();
            return match chosen(kind, found) {
                Err(NotUnderstood) if is_optional(headers, depth) => Ok(None),
                chosen => chosen,
            };
        }
    }
    if is_optional(headers, depth) { Ok(None) } else { Err(NotUnderstood) }
}

/// The parts of `multipart/alternative` say the same, the best last (RFC 2046 section 5.1.4): the last that is understood
/// counts. Of all others every part counts, and the first that is wanted is taken.
fn chosen(kind: &str, found: Vec<Result<Option<Part>, NotUnderstood>>) -> Result<Option<Part>, NotUnderstood> {
    if kind == "alternative" {
        let understood = found.iter().rev().find_map(|part| part.clone().ok().flatten());
        return if understood.is_some() { Ok(understood) } else { found.into_iter().next().unwrap_or(Ok(None)) };
    }
    let all: Vec<Option<Part>> = found.into_iter().collect::<Result<_, _>>()?;
    Ok(all.into_iter().flatten().next())
}

/// The type, without blanks and in lower case, and its parameters. A body that says nothing of itself and begins as a
/// session description does is one.
fn content_type(headers: &Headers, body: &Bytes, depth: usize) -> (String, Params) {
    let (content_type, params) = params::split(headers.get("Content-Type").unwrap_or_default());
    let content_type: String = content_type.chars().filter(|c| !c.is_whitespace()).collect();
    match content_type.is_empty() {
        true if depth == 0 && body.starts_with(b"v=") => (SDP.to_owned(), params),
        _ => (content_type.to_ascii_lowercase(), params),
    }
}

/// Whether the bytes are the content itself: neither compressed nor encoded.
fn is_plain(headers: &Headers) -> bool {
    let says = |name, plain: &[&str]| {
        headers.list(name).iter().all(|value| plain.iter().any(|plain| value.eq_ignore_ascii_case(plain)))
    };
    says("Content-Encoding", &["identity"]) && says("Content-Transfer-Encoding", &["7bit", "8bit", "binary"])
}

fn is_optional(headers: &Headers, depth: usize) -> bool {
    let handling = headers.get("Content-Disposition").and_then(|value| {
        let (_, params) = params::split(value);
        params.get("handling").map(str::to_ascii_lowercase)
    });
    match handling.as_deref() {
        Some("optional") => true,
        Some("required") => false,
        Some(_) | None => depth > 0,
    }
}

/// The parts between the delimiters (RFC 2046 section 5.1.1); the last may lack its own. `None` for more than [`PARTS_MAX`],
/// and without any.
fn parts_of(body: &Bytes, boundary: &str) -> Option<Vec<(Headers, Bytes)>> {
    let mut parts = vec![];
    let (mut at, mut begin) = (0, None);
    while at < body.len() {
        let end = body[at..].iter().position(|byte| *byte == b'\n').map_or(body.len(), |found| at + found + 1);
        let line = body[at..end].trim_ascii_end();
        let delimiter = line.strip_prefix(b"--").and_then(|line| line.strip_prefix(boundary.as_bytes()));
        if let Some(closes) = delimiter.filter(|rest| rest.is_empty() || *rest == b"--").map(|rest| !rest.is_empty()) {
            parts.extend(begin.take().map(|begin| part(&body.slice(begin..at))));
            if closes {
                break;
            }
            begin = Some(end);
        }
        at = end;
    }
    parts.extend(begin.map(|begin| part(&body.slice(begin..))));
    (1..=PARTS_MAX).contains(&parts.len()).then_some(parts)
}

/// Headers and content of one part; the line end before the next delimiter belongs to the delimiter.
fn part(bytes: &Bytes) -> (Headers, Bytes) {
    let content = bytes.strip_suffix(b"\n").map_or(&bytes[..], |rest| rest.strip_suffix(b"\r").unwrap_or(rest));
    let content = bytes.slice_ref(content);
    if content.starts_with(b"\n") || content.starts_with(b"\r\n") {
        let skip = if content.starts_with(b"\n") { 1 } else { 2 };
        return (Headers::default(), content.slice(skip..));
    }
    match parse::split_head(&content) {
        Some((head, body_at)) => (parse::part_headers(head), content.slice(body_at..)),
        None => (parse::part_headers(&content), Bytes::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sought(content_type: &str, body: &str) -> Result<Option<String>, NotUnderstood> {
        let mut headers = Headers::default();
        for line in content_type.split('\n') {
            let (name, value) = line.split_once(": ").unwrap_or(("Content-Type", line));
            headers.push(name, value);
        }
        let body = Bytes::copy_from_slice(body.replace('\n', "\r\n").as_bytes());
        let found = session_description(&headers, &body)?;
        Ok(found.map(|found| String::from_utf8_lossy(&found).into_owned()))
    }

    const SDP_PART: &str = "--b\nContent-Type: application/sdp\n\nv=0\no=x\n";

    #[test]
    fn the_session_description_is_found_wherever_it_stands() {
        let found = |text: &str| Ok(Some(text.to_owned()));
        let isup = |more: &str| format!("--b\nContent-Type: application/ISUP;version=x\n{more}\nv=0 is not here\n");
        let mixed = "Multipart / Mixed ; Boundary = \"b\"";
        let (one, optional) = (isup(""), isup("Content-Disposition: signal ; Handling = OPTIONAL\n"));
        let required = isup("Content-Disposition: signal;handling=required\n");
        for (content_type, body, expected) in [
            ("application/sdp", "v=0".to_owned(), found("v=0")),
            ("Application / SDP ; charset=x", "v=0".to_owned(), found("v=0")),
            ("X: y", "v=0".to_owned(), found("v=0")),
            ("text/plain", "v=0".to_owned(), Err(NotUnderstood)),
            ("text/plain\nContent-Disposition: render;handling=optional", "hi".to_owned(), Ok(None)),
            ("application/sdp\nContent-Encoding: gzip", "v=0".to_owned(), Err(NotUnderstood)),
            (mixed, String::new(), Ok(None)),
            (mixed, format!("{SDP_PART}{one}--b--\n"), found("v=0\r\no=x")),
            (mixed, format!("preamble\n{one}{SDP_PART}--b--\nepilogue"), found("v=0\r\no=x")),
            (mixed, format!("{optional}{SDP_PART}--b--"), found("v=0\r\no=x")),
            (mixed, format!("{required}{SDP_PART}--b--"), Err(NotUnderstood)),
            (mixed, format!("{SDP_PART}{required}"), Err(NotUnderstood)),
            (mixed, format!("{one}--b--"), Ok(None)),
            (mixed, "no parts".to_owned(), Err(NotUnderstood)),
            ("multipart/mixed", SDP_PART.to_owned(), Err(NotUnderstood)),
            (mixed, format!("--b\n\nplain text\n{SDP_PART}"), found("v=0\r\no=x")),
            (
                mixed,
                format!("--b\nc: multipart/related;boundary=c\n\n{}--c--\n{one}--b--", SDP_PART.replace("--b", "--c")),
                found("v=0\r\no=x"),
            ),
            (
                "multipart/alternative;boundary=b",
                format!("{required}{SDP_PART}{}--b--", SDP_PART.replace("o=x", "o=y")),
                found("v=0\r\no=y"),
            ),
        ] {
            assert_eq!(sought(content_type, &body), expected, "{content_type} {body}");
        }
        let many = isup("").repeat(PARTS_MAX) + SDP_PART;
        assert_eq!(sought("multipart/mixed;boundary=b", &many), Err(NotUnderstood));
    }
}
