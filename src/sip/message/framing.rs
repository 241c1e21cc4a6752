//! Cuts a byte stream into messages by Content-Length (RFC 3261 section 18.3, keep-alives of RFC 5626 section 3.5.1).
//!
//! The length is read by the reader that parses the message, so that both see one message. What cannot be cut ends the
//! stream; it is answered first where that is possible ([`Framer::refusal`]). Invariant: the buffer never grows beyond
//! [`HEAD_BYTES_MAX`] + [`BODY_BYTES_MAX`], and a head is read once, however many segments its body comes in.

use bytes::{Buf, Bytes, BytesMut};

use super::parse::{self, HEAD_BYTES_MAX, split_head};
use super::{Method, Request, StatusCode};
use crate::hop::Hop;

/// The longest body taken from a stream.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// What stands next in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framed {
    /// One whole message.
    Message(Bytes),
    /// A double CRLF that wants a single CRLF back.
    Ping,
}

/// Why a stream cannot be read any further; close the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// Headers beyond [`HEAD_BYTES_MAX`].
    #[error("headers exceed {HEAD_BYTES_MAX} bytes")]
    HeadTooLong,
    /// A body beyond [`BODY_BYTES_MAX`].
    #[error("body exceeds {BODY_BYTES_MAX} bytes")]
    BodyTooLong,
    /// Content-Length is mandatory on streams.
    #[error("no readable Content-Length on a stream")]
    NoContentLength,
    /// Two that differ: where the message ends is anybody's guess.
    #[error("two Content-Lengths that differ")]
    ContentLengthsDiffer,
}

impl FramingError {
    /// The status of the answer, and its reason phrase.
    fn status(self) -> (StatusCode, &'static str) {
        match self {
            Self::HeadTooLong | Self::BodyTooLong => (StatusCode(513), "Message Too Large"),
            Self::NoContentLength => (StatusCode(400), "Missing Content-Length"),
            Self::ContentLengthsDiffer => (StatusCode(400), parse::LENGTHS_DIFFER),
        }
    }
}

/// The reading side of one connection.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: BytesMut,
    /// How long the message that has begun is in all, once its head was read: the rest comes without another look at it.
    whole: Option<usize>,
}

impl Framer {
    /// Takes bytes as they arrived, in segments of any size.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Gives back what it holds beyond the bytes that wait: nobody has spoken for a while.
    pub fn rest(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }

    /// How many bytes it holds, in use or not.
    pub fn held(&self) -> usize {
        self.buffer.capacity()
    }

    /// Whether a message has begun that is not whole yet.
    pub fn has_begun(&self) -> bool {
        self.buffer.iter().any(|byte| !b"\r\n".contains(byte))
    }

    /// The next message, or `None` until more bytes come.
    pub fn take(&mut self) -> Result<Option<Framed>, FramingError> {
        if let Some(whole) = self.whole {
            return Ok(self.cut(whole));
        }
        if self.buffer.starts_with(b"\r\n\r\n") {
            self.buffer.advance(4);
            return Ok(Some(Framed::Ping));
        }
        if self.buffer.starts_with(b"\r\n") && self.buffer.get(2).is_some_and(|b| *b != b'\r') {
            self.buffer.advance(2);
        }
        let Some((head, body_at)) = split_head(&self.buffer) else {
            return if self.buffer.len() > HEAD_BYTES_MAX { Err(FramingError::HeadTooLong) } else { Ok(None) };
        };
        if body_at > HEAD_BYTES_MAX {
            return Err(FramingError::HeadTooLong);
        }
        let length = match parse::content_length_in(head) {
            Ok(length) => length.ok_or(FramingError::NoContentLength)?,
            Err(parse::LENGTHS_DIFFER) => return Err(FramingError::ContentLengthsDiffer),
            Err(_) => return Err(FramingError::NoContentLength),
        };
        if length > BODY_BYTES_MAX {
            return Err(FramingError::BodyTooLong);
        }
        Ok(self.cut(body_at + length))
    }

    /// The message that begins the buffer, once all of it is here.
    fn cut(&mut self, whole: usize) -> Option<Framed> {
        let is_here = self.buffer.len() >= whole;
        self.whole = (!is_here).then_some(whole);
        is_here.then(|| Framed::Message(self.buffer.split_to(whole).freeze()))
    }

    /// The last answer of a stream that cannot be read any further: to the request whose end could not be told, if it is one
    /// that can be answered at all. It goes out without a transaction (RFC 3261 section 8.2.7).
    pub fn refusal(&self, error: FramingError, from: Hop) -> Option<Bytes> {
        let (head, _) = split_head(&self.buffer)?;
        let (status, why) = error.status();
        let (mut request, status, why): (Request, _, _) = match parse::head(head) {
            Ok(request) => (request, status, why),
            Err(parse::Malformed::Answerable { request, status, why }) => (*request, status, why),
            Err(parse::Malformed::Garbage(_)) => return None,
        };
        if request.method == Method::Ack {
            return None;
        }
        request.stamp(from);
        let mut response = request.respond(status, Some("malformed"));
        why.clone_into(&mut response.reason);
        Some(response.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &str) -> String {
        format!("BYE sip:a SIP/2.0\r\nVia: x\r\nl: {}\r\n\r\n{body}", body.len())
    }

    #[test]
    fn any_segmentation_gives_the_same_messages() {
        let stream = format!("\r\n\r\n{}\r\n{}{}", message("abc"), message(""), message("\r\n\r\n"));
        for size in 1..stream.len() {
            let mut framer = Framer::default();
            let mut seen = Vec::new();
            for segment in stream.as_bytes().chunks(size) {
                framer.push(segment);
                while let Some(framed) = framer.take().expect("well-formed") {
                    seen.push(framed);
                }
            }
            let bodies: Vec<_> = seen.iter().filter(|f| matches!(f, Framed::Message(_))).collect();
            assert_eq!((seen[0].clone(), bodies.len()), (Framed::Ping, 3), "segments of {size}");
        }
    }

    #[test]
    fn a_head_is_read_once_however_its_body_drips() {
        let stream = message(&"x".repeat(1000)) + &message("y");
        let (head, body) = stream.split_once("\r\n\r\n").expect("a head");
        let mut framer = Framer::default();
        framer.push(head.as_bytes());
        assert_eq!((framer.take(), framer.whole), (Ok(None), None));
        framer.push(b"\r\n\r\n");
        assert_eq!(framer.take(), Ok(None));
        assert_eq!(framer.whole, Some(head.len() + 4 + 1000), "known from here on");
        let mut seen = 0;
        for byte in body.as_bytes() {
            framer.push(&[*byte]);
            while let Some(Framed::Message(_)) = framer.take().expect("well-formed") {
                seen += 1;
                assert_eq!(framer.whole, None, "the next has a head of its own");
            }
        }
        assert_eq!(seen, 2);
    }

    #[test]
    fn the_buffer_is_bounded() {
        let mut framer = Framer::default();
        framer.push(&vec![b'a'; HEAD_BYTES_MAX + 1]);
        assert_eq!(framer.take(), Err(FramingError::HeadTooLong));
        let mut framer = Framer::default();
        framer.push(b"BYE sip:a SIP/2.0\r\nContent-Length: 99999999\r\n\r\n");
        assert_eq!(framer.take(), Err(FramingError::BodyTooLong));
        let mut framer = Framer::default();
        framer.push(b"BYE sip:a SIP/2.0\r\nVia: x\r\n\r\n");
        assert_eq!(framer.take(), Err(FramingError::NoContentLength));
    }

    #[test]
    fn the_length_is_read_as_the_parser_reads_it() {
        for (lines, expected) in [
            ("Content-Length:\r\n 3", Ok(true)),
            ("L :\r\n\t3 ", Ok(true)),
            ("l: 3\r\nContent-Length: 003", Ok(true)),
            ("Subject: x\r\n l: 400\r\nl: 3", Ok(true)),
            ("l: 3\r\nContent-Length: 4", Err(FramingError::ContentLengthsDiffer)),
            ("Content-Length: +3", Err(FramingError::NoContentLength)),
            ("Content-Length: -3", Err(FramingError::NoContentLength)),
            ("Content-Length: 3, 3", Err(FramingError::NoContentLength)),
        ] {
            let mut framer = Framer::default();
            framer.push(format!("BYE sip:a SIP/2.0\r\nVia: x\r\n{lines}\r\n\r\nabcBYE").as_bytes());
            let taken = framer.take().map(|framed| matches!(framed, Some(Framed::Message(m)) if m.ends_with(b"abc")));
            assert_eq!(taken, expected, "{lines}");
        }
    }

    #[test]
    fn what_ends_a_stream_is_answered_where_it_can_be() {
        let from = Hop { transport: crate::Transport::Tcp, remote: ([192, 0, 2, 7], 4000).into(), flow: 1 };
        let good = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nFrom: <sip:c@d>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: i\r\nCSeq: 1 OPTIONS\r\n";
        for (head, expected) in [
            (format!("{good}l: 3\r\nl: 4\r\n\r\n"), Some("SIP/2.0 400 Content-Lengths Differ")),
            (format!("{good}\r\n"), Some("SIP/2.0 400 Missing Content-Length")),
            (format!("{good}l: 99999999\r\n\r\n"), Some("SIP/2.0 513 Message Too Large")),
            (good.replace("b SIP/2.0", "b SIP/7.0") + "\r\n", Some("SIP/2.0 505 Version Not Supported")),
            (good.replace("OPTIONS", "ACK") + "\r\n", None),
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), None),
            ("hello\r\n\r\n".to_owned(), None),
        ] {
            let mut framer = Framer::default();
            framer.push(head.as_bytes());
            let error = framer.take().expect_err("no end");
            let answer = framer.refusal(error, from).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            assert_eq!(answer.as_deref().and_then(|answer| answer.lines().next()), expected, "{head}");
        }
    }
}
