//! JSON as services write it: half of a surrogate pair, which some of them cut an emoji into, is no reason to lose a reply.
//!
//! Invariant: what serde_json reads is read as it reads it, its bound of nesting included.

use serde_json::{Error, Value};

/// What stands for half a character.
const REPLACEMENT: &[u8] = b"\\ufffd";

/// Reads a document; an escape that is half a character (RFC 8259 section 8.2) becomes U+FFFD.
pub fn read(document: &[u8]) -> Result<Value, Error> {
    let first = serde_json::from_slice(document);
    match first {
        Err(error) if error.is_syntax() => match without_halves(document) {
            Some(whole) => serde_json::from_slice(&whole),
            None => Err(error),
        },
        read => read,
    }
}

/// The document with its halves replaced; `None` if it has none.
fn without_halves(document: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::with_capacity(document.len());
    let (mut at, mut found) = (0, false);
    while at < document.len() {
        let length = match (document[at], unit(document, at)) {
            (b'\\', Some(0xd800..=0xdbff)) => match unit(document, at + 6) {
                Some(0xdc00..=0xdfff) => 12,
                _ => 0,
            },
            (b'\\', Some(0xdc00..=0xdfff)) => 0,
            (b'\\', Some(_)) => 6,
            (b'\\', None) => 2,
            _ => 1,
        };
        if length == 0 {
            found = true;
            whole.extend_from_slice(REPLACEMENT);
            at += 6;
        } else {
            let end = (at + length).min(document.len());
            whole.extend_from_slice(&document[at..end]);
            at = end;
        }
    }
    found.then_some(whole)
}

/// The value of the escape `\uXXXX` that begins here.
fn unit(document: &[u8], at: usize) -> Option<u32> {
    let hex = document.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u32::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn half_a_character_costs_itself_alone() {
        for (document, text) in [
            (r#"["a\ud83d b"]"#, "a\u{fffd} b"),
            (r#"["\ude00\ud83d\ude00\ud83d"]"#, "\u{fffd}😀\u{fffd}"),
            (r#"["\\ud83d \ud83d\n"]"#, "\\ud83d \u{fffd}\n"),
            (r#"["plain \u00e9"]"#, "plain é"),
        ] {
            assert_eq!(read(document.as_bytes()).expect("JSON"), json!([text]), "{document}");
        }
    }

    #[test]
    fn what_is_no_json_is_none_and_nesting_has_a_bound() {
        for document in ["[", "\\ud83d", "[\"\\ud83d", "", "\\", "[\"\\u12\"]"] {
            assert!(read(document.as_bytes()).is_err(), "{document}");
        }
        assert!(read("[".repeat(100_000).as_bytes()).is_err());
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(read(deep.as_bytes()).is_err());
    }
}
