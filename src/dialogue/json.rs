//! JSON as services write it: half of a surrogate pair, which some of them cut an emoji into, or a number that no computer
//! holds is no reason to lose a reply.
//!
//! Invariant: what serde_json reads is read as it reads it, its bound of nesting included; a document is gone through once.

use serde_json::{Error, Value};

/// What stands for half a character.
const REPLACEMENT: &[u8] = b"\\ufffd";

/// Words that stand for numbers in the JSON of some languages (Python's `json.dumps` writes them unasked).
const NO_NUMBERS: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];

/// Reads a document. An escape that is half a character (RFC 8259 section 8.2) becomes U+FFFD; a number beyond those that
/// RFC 8259 section 6 expects to be read, and what stands for none, becomes the text it is written as: whoever wanted a
/// number then tells that it is none.
pub fn read(document: &[u8]) -> Result<Value, Error> {
    let first = serde_json::from_slice(document);
    match first {
        Err(error) if error.is_syntax() => match repaired(document) {
            Some(whole) => serde_json::from_slice(&whole),
            None => Err(error),
        },
        read => read,
    }
}

/// The document with what cannot be read replaced; `None` if nothing was.
fn repaired(document: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::with_capacity(document.len() + 16);
    let (mut at, mut found, mut in_text) = (0, false, false);
    while at < document.len() {
        if !in_text && let Some(Number { bytes, is_unreadable }) = number(&document[at..]) {
            let quote: &[u8] = if is_unreadable { b"\"" } else { b"" };
            whole.extend([quote, &document[at..at + bytes], quote].concat());
            found |= is_unreadable;
            at += bytes;
            continue;
        }
        in_text ^= document[at] == b'"';
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

/// A number, or what stands for one, at the beginning of a document's rest.
struct Number {
    bytes: usize,
    is_unreadable: bool,
}

fn number(rest: &[u8]) -> Option<Number> {
    if let Some(word) = NO_NUMBERS.into_iter().find(|word| rest.starts_with(word)) {
        return Some(Number { bytes: word.len(), is_unreadable: true });
    }
    let bytes = rest.iter().take_while(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte)).count();
    let text = std::str::from_utf8(&rest[..bytes]).ok()?;
    // What is no number of JSON either is left to the reader.
    let is_number = bytes > 0 && rest[0] != b'+' && rest[0] != b'.' && rest[bytes - 1].is_ascii_digit();
    let is_beyond = is_number && text.parse().is_ok_and(f64::is_infinite);
    (bytes > 0).then_some(Number { bytes, is_unreadable: is_beyond })
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
    fn a_number_that_no_computer_holds_costs_itself_alone() {
        for (document, value) in [
            (r#"{"a": 1e400, "b": 1}"#, json!({"a": "1e400", "b": 1})),
            (r#"[-1E+999,1.5e3,"1e400 \"1e400"]"#, json!(["-1E+999", 1.5e3, "1e400 \"1e400"])),
            (r#"[NaN, Infinity, -Infinity, "NaN", -0.5]"#, json!(["NaN", "Infinity", "-Infinity", "NaN", -0.5])),
            (r#"["\ud83d",1e400]"#, json!(["\u{fffd}", "1e400"])),
        ] {
            assert_eq!(read(document.as_bytes()).expect("JSON"), value, "{document}");
        }
        let long = "9".repeat(100_000);
        assert_eq!(read(format!("[{long}]").as_bytes()).expect("JSON"), json!([long]));
        for document in ["[1e400", "[+1e400]", "[1e400e]", "[.1, 1e400]", "1e400 1", "[Na]", "[NaNa]", "{1e400: 1}x"] {
            assert!(read(document.as_bytes()).is_err(), "{document}");
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
