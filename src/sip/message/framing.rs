//! Cuts a byte stream into messages by Content-Length (RFC 3261 section 18.3, keep-alives of RFC 5626 section 3.5.1).
//!
//! Invariant: the buffer never grows beyond [`HEAD_BYTES_MAX`] + [`BODY_BYTES_MAX`].

use bytes::{Buf, Bytes, BytesMut};

use super::parse::split_head;

/// The longest start line and headers taken from a stream.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
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
}

/// The reading side of one connection.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: BytesMut,
}

impl Framer {
    /// Takes bytes as they arrived, in segments of any size.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether a message has begun that is not whole yet.
    pub fn has_begun(&self) -> bool {
        self.buffer.iter().any(|byte| !b"\r\n".contains(byte))
    }

    /// The next message, or `None` until more bytes come.
    pub fn take(&mut self) -> Result<Option<Framed>, FramingError> {
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
        let length = content_length(head).ok_or(FramingError::NoContentLength)?;
        if length > BODY_BYTES_MAX {
            return Err(FramingError::BodyTooLong);
        }
        if self.buffer.len() < body_at + length {
            return Ok(None);
        }
        Ok(Some(Framed::Message(self.buffer.split_to(body_at + length).freeze())))
    }
}

fn content_length(head: &[u8]) -> Option<usize> {
    head.split(|b| *b == b'\n').find_map(|line| {
        let line = std::str::from_utf8(line).ok()?;
        let (name, value) = line.split_once(':')?;
        let name = name.trim_end();
        (name.eq_ignore_ascii_case("Content-Length") || name.eq_ignore_ascii_case("l"))
            .then(|| value.trim().parse().ok())
            .flatten()
    })
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
}
