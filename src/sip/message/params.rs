//! Parameters: the one reader of `value ; name = value ; flag`, for every header, URI and body that has them.
//!
//! Names compare without case, white space may stand around `;` and `=` (RFC 3261 sections 7.3.1 and 25.1), and a quoted
//! value may hold any separator. Invariant: nobody else in this crate takes a value apart at its semicolons, or reads a
//! number that a far end wrote.

use std::borrow::Cow;
use std::str::FromStr;

/// The parameters of a value, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// The value of a parameter, unquoted; empty when it stands without one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Whether a parameter has this word for a value, in any case.
    pub fn says(&self, name: &str, word: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case(word))
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Takes a value apart: what stands before the first `;`, without the blanks around it, and the parameters behind.
pub fn split(text: &str) -> (&str, Params) {
    let mut pieces = pieces(text);
    let head = pieces.next().unwrap_or_default().trim();
    let params = pieces.filter(|piece| !piece.trim().is_empty()).map(|piece| {
        let (name, value) = named(piece);
        (name.to_owned(), unquoted(value))
    });
    (head, Params(params.collect()))
}

/// The value of one parameter of those behind a value, unquoted; empty when it stands without one.
pub(super) fn value<'a>(behind: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let mut read = pieces(behind).skip(1).map(named);
    let (_, value) = read.find(|(one, _)| one.eq_ignore_ascii_case(name))?;
    Some(if value.starts_with('"') { unquoted(value).into() } else { Cow::Borrowed(value) })
}

/// Name and value of a piece.
fn named(piece: &str) -> (&str, &str) {
    let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
    (name.trim(), value.trim())
}

/// The pieces between semicolons that stand outside quotes. A quotation mark that is never closed is a character like others.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    let mut outside = Outside::default();
    std::iter::from_fn(move || {
        let text = rest?;
        let found = outside.find(text, b';');
        rest = found.map(|at| &text[at + 1..]);
        Some(found.map_or(text, |at| &text[..at]))
    })
}

/// Looks for a character of ASCII outside quotes, from one end of a text to the other. Each byte is read twice at most: where one
/// quotation mark is never closed, none behind it is, as all of them are escaped; so nobody looks for their ends again.
#[derive(Debug, Default)]
pub(crate) struct Outside {
    never_closed: bool,
}

impl Outside {
    /// Where the first `wanted` stands in the text, which is what is left behind the last one found.
    pub(crate) fn find(&mut self, text: &str, wanted: u8) -> Option<usize> {
        let bytes = text.as_bytes();
        let mut at = 0;
        while !self.never_closed {
            at += bytes[at..].iter().position(|byte| *byte == wanted || *byte == b'"')?;
            if bytes[at] == wanted {
                return Some(at);
            }
            at += 1;
            match closing_quote(&text[at..]) {
                Some(end) => at += end + 1,
                None => self.never_closed = true,
            }
        }
        bytes[at..].iter().position(|byte| *byte == wanted).map(|found| at + found)
    }
}

/// Where the quotation mark stands that ends a quoted string (RFC 3261 section 25.1), given what follows the first.
pub(crate) fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

/// What stands between quotation marks, its escapes undone; anything else as it is.
pub(crate) fn unquoted(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else { return text.to_owned() };
    unescaped(inner)
}

/// Undoes the escapes of a quoted string.
pub(crate) fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        out.extend(if c == '\\' { characters.next() } else { Some(c) });
    }
    out
}

/// A number of figures alone. What `str::parse` takes besides, a plus sign, is in no grammar of ours.
pub fn number<T: FromStr>(text: &str) -> Option<T> {
    let text = text.trim();
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_blanks_and_quotes_make_no_difference() {
        for text in
            ["90;refresher=uas", "90 ; Refresher = uas", " 90\t;x;REFRESHER=\"uas\" ;", "90;;refresher=uas;y=\"a;b\""]
        {
            let (head, params) = split(text);
            assert_eq!((head, params.get("refresher")), ("90", Some("uas")), "{text}");
        }
        let (_, params) = split("x;a=\"b;c=\\\"d\\\"\";lr;e=\"open;f=1");
        assert_eq!(params.iter().collect::<Vec<_>>(), [("a", "b;c=\"d\""), ("lr", ""), ("e", "\"open"), ("f", "1")]);
    }

    /// A quadratic reader would take minutes here, and a request is read a dozen times.
    #[test]
    fn marks_that_are_never_closed_are_looked_at_once() {
        let text = format!("x;a=\"{};b=1", "\\\"".repeat(2_000_000));
        assert_eq!(pieces(&text).count(), 3);
        let escapes = "\\\"".repeat(3);
        let (_, params) = split(&format!("x;a=\"{escapes};b=\"{escapes};c=1"));
        assert_eq!((params.get("b"), params.get("c")), (None, Some("1")), "the second mark closes the first");
        let (_, params) = split(&format!("x;a=\"{escapes};b={escapes};c=1"));
        assert_eq!(params.get("c"), Some("1"));
    }

    #[test]
    fn a_number_is_figures_alone() {
        for (text, expected) in
            [("7", Some(7)), (" 007 ", Some(7)), ("+7", None), ("-7", None), ("", None), ("300", None)]
        {
            assert_eq!(number::<u8>(text), expected, "{text}");
        }
    }
}
