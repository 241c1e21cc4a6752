//! SIP messages: requests, responses and their headers, with `rsip` as the container of headers.
//!
//! Invariant: bytes from the network reach these types only through [`parse`], never through rsip's own parsers.

pub mod body;
pub mod framing;
mod headers;
pub mod params;
pub mod parse;
mod uri;
mod views;

use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;

use crate::hop::{Hop, Transport};

pub use body::NotUnderstood;
pub use headers::Headers;
pub(crate) use headers::expand;
pub use uri::{Scheme, Uri};
pub(crate) use views::with_tag;
pub use views::{CSeq, MalformedAddress, NameAddr, Via};

/// Headers that most requests have at most.
const REQUEST_HEADERS: usize = 16;
/// Headers that most responses have at most.
const RESPONSE_HEADERS: usize = 12;

/// A SIP request or response (RFC 3261 section 7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

/// A request with its headers in wire order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is asked for.
    pub method: Method,
    /// The Request-URI as it stood on the wire.
    pub uri: String,
    /// Headers, unfolded, compact names expanded, order kept.
    pub headers: Headers,
    /// The body, cut to Content-Length.
    pub body: Bytes,
}

/// A response with its headers in wire order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status, 100 to 699.
    pub status: StatusCode,
    /// The reason phrase.
    pub reason: String,
    /// Headers, as in [`Request::headers`].
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
}

impl Message {
    /// The headers of either kind.
    pub fn headers(&self) -> &Headers {
        match self {
            Self::Request(request) => &request.headers,
            Self::Response(response) => &response.headers,
        }
    }

    /// The bytes for the wire, with a Content-Length that is true.
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::Request(request) => request.to_bytes(),
            Self::Response(response) => response.to_bytes(),
        }
    }

    /// The first line without its line end, for ladders.
    pub fn start_line(&self) -> String {
        match self {
            Self::Request(request) => format!("{} {} SIP/2.0", request.method, request.uri),
            Self::Response(response) => format!("SIP/2.0 {} {}", response.status.0, response.reason),
        }
    }
}

impl Request {
    /// A request with no headers yet.
    pub fn new(method: Method, uri: impl Into<String>) -> Self {
        Self { method, uri: uri.into(), headers: Headers::default(), body: Bytes::new() }
    }

    /// The bytes for the wire.
    pub fn to_bytes(&self) -> Bytes {
        serialise(&format!("{} {} SIP/2.0", self.method, self.uri), &self.headers, &self.body)
    }

    /// Adds a body and its Content-Type.
    pub fn with_body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.headers.set("Content-Type", content_type);
        self.body = body.into();
        self
    }

    /// The session description, wherever in the body it stands; `None` without one.
    pub fn session_description(&self) -> Result<Option<Bytes>, NotUnderstood> {
        body::session_description(&self.headers, &self.body)
    }

    /// A response to this request with the headers that RFC 3261 section 8.2.6.2 copies: every Via, From, To, Call-ID
    /// and CSeq; `to_tag` is added to To if it has none (except for 100). Record-Route is copied into responses that
    /// can create a dialog (section 12.1.1).
    pub fn respond(&self, status: StatusCode, to_tag: Option<&str>) -> Response {
        let mut headers = Headers::with_room(RESPONSE_HEADERS);
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            headers.copy(name, &self.headers);
        }
        if let (Some(tag), Some(to)) = (to_tag, self.headers.get("To"))
            && status.0 != 100
            && NameAddr::tag_in(to).is_ok_and(|tag| tag.is_none())
        {
            let tagged = with_tag(to, tag);
            headers.set("To", &tagged);
        }
        if self.method == Method::Invite && status.0 > 100 && status.0 < 300 {
            headers.copy("Record-Route", &self.headers);
        }
        Response { status, reason: status.reason().to_owned(), headers, body: Bytes::new() }
    }

    /// Stamps the top Via with where the request came from, and returns where its responses go (RFC 3261 section 18.2,
    /// RFC 3581): over UDP to `received` and `rport`; over TCP by the same connection, and if that is gone to the port of
    /// sent-by.
    pub fn stamp(&mut self, from: Hop) -> SocketAddr {
        let source = from.remote;
        let Some(top) = self.headers.get("Via") else { return source };
        let Some(via) = Via::parse(top) else { return source };
        let answered_at = match from.transport {
            Transport::Udp => via.response_address(source),
            Transport::Tcp => SocketAddr::new(source.ip(), via.port.unwrap_or(5060)),
            Transport::Tls => SocketAddr::new(source.ip(), via.port.unwrap_or(5061)),
        };
        let stamped = views::stamp_via(top, &via, source);
        self.headers.set_first("Via", &stamped);
        answered_at
    }

    /// The Timestamp header goes back in a 100 (RFC 3261 section 8.2.6.1).
    pub fn trying(&self) -> Response {
        let mut response = self.respond(StatusCode(100), None);
        if let Some(stamp) = self.headers.get("Timestamp") {
            response.headers.push("Timestamp", stamp);
        }
        response
    }
}

impl Response {
    /// The bytes for the wire.
    pub fn to_bytes(&self) -> Bytes {
        serialise(&format!("SIP/2.0 {} {}", self.status.0, self.reason), &self.headers, &self.body)
    }

    /// The session description, wherever in the body it stands. What is not understood in a response is passed over: nobody
    /// could be told.
    pub fn session_description(&self) -> Option<Bytes> {
        body::session_description(&self.headers, &self.body).ok().flatten()
    }

    /// Its status, and to which request: `200 INVITE`.
    pub fn summary(&self) -> String {
        let request = self.headers.get("CSeq").and_then(CSeq::parse);
        request.map_or_else(|| self.status.0.to_string(), |request| format!("{} {}", self.status.0, request.method))
    }

    /// Adds a body and its Content-Type.
    pub fn with_body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.headers.set("Content-Type", content_type);
        self.body = body.into();
        self
    }

    /// Adds a header.
    pub fn with(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.headers.push(name, value.as_ref());
        self
    }
}

fn serialise(start_line: &str, headers: &Headers, body: &Bytes) -> Bytes {
    let headers = || headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("Content-Length"));
    let length = format!("Content-Length: {}\r\n\r\n", body.len());
    let of_headers: usize = headers().map(|(name, value)| name.len() + value.len() + ": \r\n".len()).sum();
    // To the byte: an answer is kept for half a minute.
    let mut out = Vec::with_capacity(start_line.len() + "\r\n".len() + of_headers + length.len() + body.len());
    out.extend_from_slice(start_line.as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in headers() {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(length.as_bytes());
    out.extend_from_slice(body);
    out.into()
}

/// A request method. Unknown ones are kept as written: they are answered with 405, not refused as garbage.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Method {
    Invite,
    Ack,
    Cancel,
    Bye,
    Options,
    Info,
    Update,
    Prack,
    Refer,
    Notify,
    Subscribe,
    Register,
    Message,
    Publish,
    Other(String),
}

impl Method {
    /// The method of a token. Methods are case-sensitive (RFC 3261 section 7.1).
    pub fn from_token(token: &str) -> Self {
        match token {
            "INVITE" => Self::Invite,
            "ACK" => Self::Ack,
            "CANCEL" => Self::Cancel,
            "BYE" => Self::Bye,
            "OPTIONS" => Self::Options,
            "INFO" => Self::Info,
            "UPDATE" => Self::Update,
            "PRACK" => Self::Prack,
            "REFER" => Self::Refer,
            "NOTIFY" => Self::Notify,
            "SUBSCRIBE" => Self::Subscribe,
            "REGISTER" => Self::Register,
            "MESSAGE" => Self::Message,
            "PUBLISH" => Self::Publish,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The token as on the wire.
    pub fn token(&self) -> &str {
        match self {
            Self::Invite => "INVITE",
            Self::Ack => "ACK",
            Self::Cancel => "CANCEL",
            Self::Bye => "BYE",
            Self::Options => "OPTIONS",
            Self::Info => "INFO",
            Self::Update => "UPDATE",
            Self::Prack => "PRACK",
            Self::Refer => "REFER",
            Self::Notify => "NOTIFY",
            Self::Subscribe => "SUBSCRIBE",
            Self::Register => "REGISTER",
            Self::Message => "MESSAGE",
            Self::Publish => "PUBLISH",
            Self::Other(token) => token,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.token())
    }
}

/// A status code, 100 to 699.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StatusCode(pub u16);

impl StatusCode {
    /// 1xx.
    pub fn is_provisional(self) -> bool {
        self.0 < 200
    }

    /// 2xx.
    pub fn is_success(self) -> bool {
        (200..300).contains(&self.0)
    }

    /// The default reason phrase (RFC 3261 section 21).
    pub fn reason(self) -> &'static str {
        match self.0 {
            100 => "Trying",
            180 => "Ringing",
            183 => "Session Progress",
            200 => "OK",
            202 => "Accepted",
            302 => "Moved Temporarily",
            400 => "Bad Request",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            406 => "Not Acceptable",
            408 => "Request Timeout",
            413 => "Request Entity Too Large",
            415 => "Unsupported Media Type",
            416 => "Unsupported URI Scheme",
            420 => "Bad Extension",
            401 => "Unauthorized",
            422 => "Session Interval Too Small",
            429 => "Provide Referrer Identity",
            469 => "Bad Info Package",
            480 => "Temporarily Unavailable",
            481 => "Call/Transaction Does Not Exist",
            482 => "Loop Detected",
            483 => "Too Many Hops",
            486 => "Busy Here",
            487 => "Request Terminated",
            488 => "Not Acceptable Here",
            491 => "Request Pending",
            500 => "Server Internal Error",
            501 => "Not Implemented",
            503 => "Service Unavailable",
            504 => "Server Time-out",
            505 => "Version Not Supported",
            513 => "Message Too Large",
            600 => "Busy Everywhere",
            603 => "Decline",
            _ => "Unknown",
        }
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.reason())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_go_where_the_transport_says() {
        let remote = "192.0.2.7:40000".parse().expect("an address");
        for (transport, via, expected) in [
            (Transport::Udp, "SIP/2.0/UDP 10.0.0.1:5070;rport;branch=z9hG4bK1", "192.0.2.7:40000"),
            (Transport::Udp, "SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bK1", "192.0.2.7:5070"),
            (Transport::Tcp, "SIP/2.0/TCP 10.0.0.1;rport;branch=z9hG4bK1", "192.0.2.7:5060"),
        ] {
            let mut request = Request::new(Method::Options, "sip:a@b");
            request.headers.push("Via", via);
            request.headers.push("Via", "SIP/2.0/UDP inner");
            let goes_to = request.stamp(Hop { transport, remote, flow: 0 });
            assert_eq!(goes_to, expected.parse().expect("an address"), "{via}");
            let vias: Vec<&str> = request.headers.all("Via").collect();
            assert!(vias[0].ends_with(";received=192.0.2.7") && vias[1] == "SIP/2.0/UDP inner", "{vias:?}");
        }
    }

    #[test]
    fn a_response_copies_what_the_rfc_says_and_tags_to() {
        let mut invite = Request::new(Method::Invite, "sip:+1800@host");
        invite.headers.push("Via", "SIP/2.0/UDP a;branch=z9hG4bK1");
        invite.headers.push("Via", "SIP/2.0/UDP b;branch=z9hG4bK2");
        invite.headers.push("Record-Route", "<sip:p1;lr>");
        invite.headers.push("From", "<sip:c@a>;tag=f");
        invite.headers.push("To", "<sip:+1800@host>;transport=UDP");
        invite.headers.push("Call-ID", "x");
        invite.headers.push("CSeq", "1 INVITE");
        let ringing = invite.respond(StatusCode(180), Some("t"));
        assert_eq!(ringing.headers.all("Via").count(), 2);
        assert_eq!(ringing.headers.get("To"), Some("<sip:+1800@host>;transport=UDP;tag=t"));
        assert_eq!(ringing.headers.get("Record-Route"), Some("<sip:p1;lr>"));
        assert_eq!(invite.trying().headers.get("To"), Some("<sip:+1800@host>;transport=UDP"));
    }
}
