//! Keys in INFO (RFC 2976 as the field uses it): `application/dtmf-relay` and `application/dtmf`.
//!
//! Invariant: one INFO is one key. Driver: `uas.rs`.

use std::time::Duration;

use crate::message::Request;

/// The content type of what we send.
pub const DTMF_RELAY: &str = "application/dtmf-relay";
/// The content types that are read.
pub const ACCEPTED: &str = "application/dtmf-relay, application/dtmf";

/// What an INFO carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Info {
    /// A key, held for so long.
    Key(char, Duration),
    /// Nothing: a probe of the dialog.
    Empty,
    /// Something else: 415.
    Foreign,
    /// A package that was not agreed on (RFC 6086): 469.
    Package,
}

/// Reads an INFO.
pub fn read(request: &Request) -> Info {
    if request.headers.get("Info-Package").is_some() {
        return Info::Package;
    }
    let content_type = request.headers.get("Content-Type").unwrap_or_default();
    let content_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let Ok(text) = std::str::from_utf8(&request.body) else { return Info::Foreign };
    match content_type.as_str() {
        "" if request.body.is_empty() => Info::Empty,
        "application/dtmf-relay" => {
            let field = |name: &str| {
                text.lines()
                    .filter_map(|line| line.split_once('='))
                    .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
            };
            let held = field("Duration").and_then(|(_, ms)| ms.trim().parse().ok()).unwrap_or(160);
            match field("Signal").and_then(|(_, signal)| key(signal.trim())) {
                Some(digit) => Info::Key(digit, Duration::from_millis(held)),
                None => Info::Foreign,
            }
        }
        "application/dtmf" => {
            key(text.trim()).map_or(Info::Foreign, |digit| Info::Key(digit, Duration::from_millis(160)))
        }
        _ => Info::Foreign,
    }
}

/// A key, by its character or by its event number of two figures.
fn key(text: &str) -> Option<char> {
    let number = |text: &str| text.parse::<usize>().ok().filter(|n| (10..16).contains(n));
    match number(text) {
        Some(event) => "*#ABCD".chars().nth(event - 10),
        None => {
            let mut characters = text.chars();
            let one = characters.next()?.to_ascii_uppercase();
            (characters.next().is_none() && "0123456789*#ABCD".contains(one)).then_some(one)
        }
    }
}

/// The body of an INFO with a key.
pub fn body(key: char, held: Duration) -> String {
    format!("Signal={key}\r\nDuration={}\r\n", held.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Method;

    #[test]
    fn the_bodies_of_the_field_are_read() {
        let ms = Duration::from_millis;
        for (content, body, expected) in [
            ("application/dtmf-relay", "Signal=5\r\nDuration=240\r\n", Info::Key('5', ms(240))),
            ("application/dtmf-relay", "Signal= #\nDuration= 100", Info::Key('#', ms(100))),
            ("Application/DTMF-Relay;x=y", "signal=11", Info::Key('#', ms(160))),
            ("application/dtmf", "a", Info::Key('A', ms(160))),
            ("application/dtmf", "10", Info::Key('*', ms(160))),
            ("application/dtmf", "12345", Info::Foreign),
            ("application/dtmf-relay", "Duration=240", Info::Foreign),
            ("text/plain", "5", Info::Foreign),
            ("", "", Info::Empty),
        ] {
            let mut request = Request::new(Method::Info, "sip:a@b");
            if !content.is_empty() {
                request.headers.push("Content-Type", content);
            }
            request.body = bytes::Bytes::copy_from_slice(body.as_bytes());
            assert_eq!(read(&request), expected, "{content} {body}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let held = Duration::from_millis(200);
        let request = Request::new(Method::Info, "sip:a@b").with_body(DTMF_RELAY, body('#', held));
        assert_eq!(read(&request), Info::Key('#', held));
    }
}
