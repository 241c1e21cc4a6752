//! Keys in INFO (RFC 2976 as the field uses it), in each of the dresses they come in:
//!
//! | content type | body |
//! |---|---|
//! | `application/dtmf-relay` | lines `Signal=5`, `Duration=160` |
//! | `application/dtmf` | `5`, or such lines |
//! | `application/vnd.nortelnetworks.digits` | lines `p=Digit-Collection`, `y=Digits`, `d=5` |
//! | `audio/telephone-event` | the four bytes of RFC 4733 section 2.3, raw or in hexadecimal, or one of the above |
//!
//! Invariant: one INFO is one key, or the digits that one of Nortel's collected. Driver: `session.rs`.

use std::time::Duration;

use crate::message::{Request, body, params};

/// The content type of what we send.
pub const DTMF_RELAY: &str = "application/dtmf-relay";
/// The content types that are read.
const READ: [&str; 4] =
    [DTMF_RELAY, "application/dtmf", "application/vnd.nortelnetworks.digits", "audio/telephone-event"];
/// The same, for an Accept header.
pub const ACCEPTED: &str =
    "application/dtmf-relay, application/dtmf, application/vnd.nortelnetworks.digits, audio/telephone-event";
/// How long a digit was held of which nothing is said.
const HELD: Duration = Duration::from_millis(160);
/// Most digits of one INFO.
const DIGITS_MAX: usize = 32;
/// The event of a hook flash, which is no key.
const FLASH: u8 = 16;

/// What an INFO carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Info {
    /// Keys, held for so long.
    Keys(String, Duration),
    /// Nothing that is a digit: a probe of the dialog, or a hook flash.
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
    let part = match body::find(&request.headers, &request.body, &READ) {
        Ok(Some(part)) => part,
        Ok(None) => return Info::Empty,
        Err(body::NotUnderstood) => return Info::Foreign,
    };
    let event = (part.content_type == "audio/telephone-event").then(|| telephone_event(&part.body)).flatten();
    event.or_else(|| written(std::str::from_utf8(&part.body).ok()?)).unwrap_or(Info::Foreign)
}

/// Event, end bit and volume, duration: a press in ticks of 8 kHz. Raw, or as eight figures.
fn telephone_event(bytes: &[u8]) -> Option<Info> {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let figures: String = text.trim().trim_start_matches("0x").split_whitespace().collect();
    let hex = (figures.len() == 8).then(|| u32::from_str_radix(&figures, 16).ok()).flatten().map(u32::to_be_bytes);
    let raw = || bytes.first_chunk::<4>().copied().filter(|bytes| bytes[0] <= FLASH);
    let [event, _, high, low] = hex.or_else(raw)?;
    let ticks = u16::from_be_bytes([high, low]);
    let held = if ticks == 0 { HELD } else { Duration::from_millis(u64::from(ticks) / 8) };
    match event {
        FLASH => Some(Info::Empty),
        event => Some(Info::Keys(key_of_event(event)?.to_string(), held)),
    }
}

/// A digit by itself, or lines of names and values.
fn written(text: &str) -> Option<Info> {
    let field = |names: &[&str]| {
        let lines = text.split(['\r', '\n']).filter_map(|line| line.split_once(['=', ':']));
        let mut lines = lines.map(|(name, value)| (name.trim(), value.trim().trim_matches('"')));
        lines.find(|(name, _)| names.iter().any(|wanted| name.eq_ignore_ascii_case(wanted))).map(|(_, value)| value)
    };
    if let Some(digits) = field(&["d"]) {
        let digits: Option<String> = digits.chars().map(|digit| key(digit.encode_utf8(&mut [0; 4]))).collect();
        let digits = digits.filter(|digits| (1..=DIGITS_MAX).contains(&digits.len()))?;
        return Some(Info::Keys(digits, HELD));
    }
    let held = field(&["Duration"]).and_then(params::number).map_or(HELD, Duration::from_millis);
    let signal = field(&["Signal"]).unwrap_or_else(|| text.trim());
    if ["16", "!", "hf", "flash"].iter().any(|flash| signal.eq_ignore_ascii_case(flash)) {
        return Some(Info::Empty);
    }
    Some(Info::Keys(key(signal)?.to_string(), held))
}

/// A digit, by its character or by its event number of two figures.
fn key(text: &str) -> Option<char> {
    match params::number(text).filter(|event| *event >= 10) {
        Some(event) => key_of_event(event),
        None => {
            let mut characters = text.chars();
            let one = characters.next()?.to_ascii_uppercase();
            (characters.next().is_none() && KEYS.contains(one)).then_some(one)
        }
    }
}

/// The digits in the order of their events (RFC 4733 section 3.2).
const KEYS: &str = "0123456789*#ABCD";

fn key_of_event(event: u8) -> Option<char> {
    KEYS.chars().nth(usize::from(event))
}

/// The body of an INFO with a digit.
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
        let digits = |digits: &str, held| Info::Keys(digits.to_owned(), ms(held));
        for (content, body, expected) in [
            ("application/dtmf-relay", "Signal=5\r\nDuration=240\r\n", digits("5", 240)),
            ("application/dtmf-relay", "Signal= #\nDuration= 100", digits("#", 100)),
            ("application/dtmf-relay", "Signal: 5\r", digits("5", 160)),
            ("Application / DTMF-Relay ; x=y", "signal=11", digits("#", 160)),
            ("application/dtmf-relay", "Signal=16", Info::Empty),
            ("application/dtmf-relay", "Signal=17", Info::Foreign),
            ("application/dtmf", "a", digits("A", 160)),
            ("application/dtmf", "10", digits("*", 160)),
            ("application/dtmf", "Signal=7\r\nDuration=90", digits("7", 90)),
            ("application/dtmf", "12345", Info::Foreign),
            ("application/dtmf-relay", "Duration=240", Info::Foreign),
            ("application/vnd.nortelnetworks.digits", "p=Digit-Collection\r\ny=Digits\r\nd=5\r\n", digits("5", 160)),
            ("application/vnd.nortelnetworks.digits", "p=Digit-Collection\ny=Digits\nd=12#\n", digits("12#", 160)),
            ("application/vnd.nortelnetworks.digits", "Signal=5\r\nDuration=100", digits("5", 100)),
            ("application/vnd.nortelnetworks.digits", "d=x", Info::Foreign),
            ("audio/telephone-event", "\u{5}\u{a}\u{3}\u{20}", digits("5", 100)),
            ("audio/telephone-event", "\u{b}\u{a}\u{0}\u{0}", digits("#", 160)),
            ("audio/telephone-event", "0x05 0a 03 20\r\n", digits("5", 100)),
            ("audio/telephone-event", "\u{10}\u{a}\u{3}\u{20}", Info::Empty),
            ("audio/telephone-event;rate=8000", "5", digits("5", 160)),
            ("audio/telephone-event", "\u{7f}\u{a}\u{3}\u{20}", Info::Foreign),
            (
                "multipart/mixed;boundary=b",
                "--b\r\nContent-Type: application/dtmf-relay\r\n\r\nSignal=5\r\n--b--",
                digits("5", 160),
            ),
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
        assert_eq!(read(&request), Info::Keys("#".into(), held));
    }
}
