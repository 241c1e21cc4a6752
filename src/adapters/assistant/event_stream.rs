//! Values out of a body that is still coming: server-sent events, or JSON one after the other.
//!
//! Server-sent events are read as the HTML standard has them (a byte order mark; LF, CR and CRLF; comments; events of several
//! lines of data), JSON as RFC 8259, with a mark too, in one line or many. What it is shows in the first character, for not
//! every service names it rightly. Invariants: the same values whatever the pieces were; a value is given as soon as its last
//! bracket is there; no more than [`VALUE_BYTES_MAX`] are held.

use serde_json::{Value, json};

/// Most bytes of one value.
pub(super) const VALUE_BYTES_MAX: usize = 1024 * 1024;

/// What a body says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    /// A JSON object, or an array.
    Value(Value),
    /// `[DONE]`: nothing comes after it.
    Done,
    /// A value is longer than [`VALUE_BYTES_MAX`].
    TooLong,
}

/// Reads a body.
#[derive(Default)]
pub(super) struct EventStream {
    form: Form,
    json: Json,
    said: Vec<Said>,
    /// How much of a byte order mark was there.
    mark: usize,
}

#[derive(Default)]
enum Form {
    #[default]
    Unknown,
    Json,
    Events(Lines),
}

const MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

impl EventStream {
    /// More of the body; what it said with that.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Said> {
        for byte in bytes {
            self.byte(*byte);
        }
        std::mem::take(&mut self.said)
    }

    /// The body is at its end.
    pub(super) fn finish(&mut self) -> Vec<Said> {
        self.byte(b'\n');
        std::mem::take(&mut self.said)
    }

    fn byte(&mut self, byte: u8) {
        if matches!(self.form, Form::Unknown) {
            match byte {
                b if self.mark < MARK.len() && b == MARK[self.mark] => return self.mark += 1,
                b if b.is_ascii_whitespace() => return,
                b'{' | b'[' => self.form = Form::Json,
                _ => self.form = Form::Events(Lines::default()),
            }
            self.mark = MARK.len();
        }
        match &mut self.form {
            Form::Json | Form::Unknown => self.json.byte(byte, &mut self.said),
            Form::Events(lines) => lines.byte(byte, &mut self.json, &mut self.said),
        }
    }
}

/// Lines of an event stream.
#[derive(Default)]
struct Lines {
    line: Vec<u8>,
    after_cr: bool,
    event: String,
}

impl Lines {
    fn byte(&mut self, byte: u8, json: &mut Json, said: &mut Vec<Said>) {
        let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
        match byte {
            b'\n' if after_cr => {}
            b'\n' | b'\r' => self.end_line(json, said),
            _ if self.line.len() < VALUE_BYTES_MAX => self.line.push(byte),
            _ => {
                self.line.clear();
                said.push(Said::TooLong);
            }
        }
    }

    fn end_line(&mut self, json: &mut Json, said: &mut Vec<Said>) {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            // What did not become a value in this event will not in the next.
            json.reset();
            self.event.clear();
            return;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = match colon {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line.as_slice(), &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let before = said.len();
        match field {
            b"data" | b"error" => {
                value.iter().chain(b"\n").for_each(|byte| json.byte(*byte, said));
                // Some services name an error in the field or the event alone.
                if field == b"error" || self.event == "error" {
                    said[before..].iter_mut().for_each(as_error);
                }
            }
            b"event" => self.event = String::from_utf8_lossy(value).into_owned(),
            // A line of JSON among others.
            _ if line.starts_with(b"{") => line.iter().for_each(|byte| json.byte(*byte, said)),
            _ => {}
        }
    }
}

fn as_error(said: &mut Said) {
    if let Said::Value(value) = said
        && value.get("error").is_none()
    {
        *value = json!({"error": value.take()});
    }
}

/// Finds values by their brackets.
#[derive(Default)]
struct Json {
    bytes: Vec<u8>,
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl Json {
    fn reset(&mut self) {
        *self = Self::default();
    }

    fn byte(&mut self, byte: u8, said: &mut Vec<Said>) {
        if self.depth == 0 && !matches!(byte, b'{' | b'[') {
            return;
        }
        if self.bytes.len() == VALUE_BYTES_MAX {
            self.reset();
            return said.push(Said::TooLong);
        }
        self.bytes.push(byte);
        match byte {
            _ if std::mem::take(&mut self.escaped) => {}
            b'\\' if self.in_text => self.escaped = true,
            b'"' => self.in_text = !self.in_text,
            _ if self.in_text => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        if self.depth == 0 {
            let text = String::from_utf8_lossy(&self.bytes);
            match bellhop_dialogue::json::read(text.as_bytes()) {
                Ok(value) => said.push(Said::Value(value)),
                Err(_) if text.trim() == "[DONE]" => said.push(Said::Done),
                Err(_) => {} // no JSON after all: not for us
            }
            self.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Vec<Said> {
        let whole = {
            let mut stream = EventStream::default();
            let mut said = stream.push(body.as_bytes());
            said.extend(stream.finish());
            said
        };
        for size in 1..6 {
            let mut stream = EventStream::default();
            let mut said: Vec<Said> = body.as_bytes().chunks(size).flat_map(|bytes| stream.push(bytes)).collect();
            said.extend(stream.finish());
            assert_eq!(said, whole, "in pieces of {size}");
        }
        whole
    }

    fn value(value: Value) -> Said {
        Said::Value(value)
    }

    /// `replies.yaml`: text that begins with a byte order mark, events of several data lines, CR line ends.
    #[test]
    fn marks_line_ends_and_events_of_several_lines_are_read_as_specified() {
        let expected = [value(json!({"a": "é\n{"})), value(json!({"b": [1, 2]})), Said::Done];
        let events = ": hello\nid: 1\nevent: message\ndata: {\"a\":\ndata:   \"é\\n{\"}\n\nretry: 9\ndata:{\"b\": [1, 2]}\n\ndata: [DONE]\n\n";
        for ends in ["\n", "\r", "\r\n"] {
            for mark in ["", "\u{feff}"] {
                assert_eq!(read(&format!("{mark}{}", events.replace('\n', ends))), expected, "{ends:?}");
            }
        }
        assert_eq!(read(events.trim_end()), expected, "the last event is not closed");
        assert_eq!(read("\u{feff}{\"a\":\r\n 1}\r{\"b\": 2}"), [value(json!({"a": 1})), value(json!({"b": 2}))]);
    }

    #[test]
    fn what_services_make_of_it_is_read_too() {
        for (body, expected) in [
            ("data: {\"a\": 1}\ndata: {\"b\": 2}\n\n", vec![value(json!({"a": 1})), value(json!({"b": 2}))]),
            ("error: {\"code\": 500}\n\n", vec![value(json!({"error": {"code": 500}}))]),
            ("event: error\ndata: {\"message\": \"x\"}\n\n", vec![value(json!({"error": {"message": "x"}}))]),
            ("data: [DONE]\n\ndata: [DONE]\n\n", vec![Said::Done, Said::Done]),
            ("data: {\"a\": oops}\n\ndata: {\"b\n\ndata: {\"c\": 1}\n\n", vec![value(json!({"c": 1}))]),
            ("<html>{no}</html>", vec![]),
            ("[]", vec![value(json!([]))]),
            ("data: []\n\n", vec![value(json!([]))]),
        ] {
            assert_eq!(read(body), expected, "{body}");
        }
    }

    #[test]
    fn a_value_without_end_is_told_and_not_kept() {
        for begin in ["data: {\"a\": \"", "{\"a\": \"", "data: "] {
            let mut stream = EventStream::default();
            stream.push(begin.as_bytes());
            let said: Vec<Said> = (0..20).flat_map(|_| stream.push(&[b'x'; VALUE_BYTES_MAX / 10])).collect();
            assert!(said.contains(&Said::TooLong), "{begin}");
            assert!(stream.json.bytes.len() <= VALUE_BYTES_MAX);
        }
    }
}
