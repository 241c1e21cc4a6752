//! Markup in a text: where a tag is, and the text without any.
//!
//! Invariant: what is no tag by its whole form stays as it is written (`is 3 < 5?`, `AT&T`, `a <b and c> d`), and of
//! what is one nothing is left for a person to read.

use std::borrow::Cow;

/// A longer tag is none.
pub(crate) const TAG_BYTES_MAX: usize = 2048;
/// Tags that a removal may bring forth are removed too, so many times.
const ROUNDS_MAX: usize = 8;

/// A piece of markup at the beginning of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag<'a> {
    /// All of it, from `<` to `>`.
    pub text: &'a str,
    /// The element's name; empty for a comment, a declaration or an instruction.
    pub name: &'a str,
    /// Whether it opens or closes an element, or is empty.
    pub kind: TagKind,
}

/// What a tag does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagKind {
    /// `<a>`
    Opens,
    /// `</a>`
    Closes,
    /// `<a/>`
    Empty,
    /// A comment, a declaration, an instruction.
    Aside,
}

/// The tag that a text begins with.
pub fn tag(text: &str) -> Option<Tag<'_>> {
    let rest = text.strip_prefix('<')?;
    for (begin, end) in [("!--", "-->"), ("![CDATA[", "]]>"), ("!", ">"), ("?", ">")] {
        if let Some(inside) = rest.strip_prefix(begin) {
            let end = 1 + begin.len() + bounded(inside).find(end)? + end.len();
            return Some(Tag { text: &text[..end], name: "", kind: TagKind::Aside });
        }
    }
    let (closes, named) = rest.strip_prefix('/').map_or((false, rest), |named| (true, named));
    let length = named.find(|c: char| !c.is_ascii_alphanumeric() && !":-_".contains(c)).unwrap_or(named.len());
    let name = &named[..length];
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let (attributes, empty) = attributes(bounded(&named[length..]))?;
    let end = text.len() - named.len() + length + attributes;
    let kind = match (closes, empty) {
        (true, _) => TagKind::Closes,
        (false, true) => TagKind::Empty,
        (false, false) => TagKind::Opens,
    };
    Some(Tag { text: &text[..end], name, kind })
}

/// The length of `name="value" … >` and whether it ends in `/>`; a word without a value is no attribute.
fn attributes(text: &str) -> Option<(usize, bool)> {
    let mut rest = text;
    loop {
        let trimmed = rest.trim_start();
        let spaced = trimmed.len() < rest.len();
        if let Some(after) = trimmed.strip_prefix('>') {
            return Some((text.len() - after.len(), false));
        }
        if let Some(after) = trimmed.strip_prefix("/>") {
            return Some((text.len() - after.len(), true));
        }
        if !spaced {
            return None;
        }
        let length = trimmed.find(|c: char| !c.is_ascii_alphanumeric() && !":-_.@".contains(c))?;
        let value = trimmed[length..].trim_start().strip_prefix('=').filter(|_| length > 0)?.trim_start();
        rest = match value.chars().next()? {
            quote @ ('"' | '\'') => &value[1 + value[1..].find(quote)? + 1..],
            _ => &value[value.find(|c: char| c.is_whitespace() || c == '>' || c == '<')?..],
        };
    }
}

fn bounded(text: &str) -> &str {
    let mut end = text.len().min(TAG_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The text without tags, and what stands for a character as that character.
pub fn without(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for _ in 0..ROUNDS_MAX {
        match removed(&text) {
            Some(shorter) => text = Cow::Owned(shorter),
            None => break,
        }
    }
    if text.contains('&') { Cow::Owned(decoded(&text)) } else { text }
}

/// Without its tags; `None` if it has none.
fn removed(text: &str) -> Option<String> {
    let mut kept = String::with_capacity(text.len());
    let (mut rest, mut found) = (text, false);
    while let Some(at) = rest.find('<') {
        kept.push_str(&rest[..at]);
        rest = &rest[at..];
        match tag(rest) {
            Some(tag) => {
                found = true;
                rest = &rest[tag.text.len()..];
                // What stood on both sides of a pause does not grow together, and does not move apart.
                match (separates(&tag), kept.ends_with(char::is_whitespace) || kept.is_empty()) {
                    (true, false) if !rest.starts_with(|c: char| c.is_whitespace() || c.is_ascii_punctuation()) => {
                        kept.push(' ');
                    }
                    (_, true) => rest = rest.trim_start_matches(' '),
                    _ => {}
                }
                if tag.kind == TagKind::Opens && ["script", "style"].contains(&tag.name.to_ascii_lowercase().as_str()) {
                    let end = rest.find("</").unwrap_or(rest.len());
                    rest = &rest[end..];
                }
            }
            None => {
                kept.push('<');
                rest = &rest[1..];
            }
        }
    }
    if !found {
        return None;
    }
    kept.push_str(rest);
    Some(kept.trim().to_owned())
}

/// Whether two words stand apart where it is.
fn separates(tag: &Tag<'_>) -> bool {
    !["b", "i", "u", "em", "strong", "span", "a", "code", "emphasis", "sub", "sup", "mark", "say-as", "phoneme"]
        .contains(&tag.name.to_ascii_lowercase().as_str())
}

/// The characters that `&amp;` and its like stand for.
fn decoded(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        decoded.push_str(&rest[..at]);
        rest = &rest[at..];
        match entity(rest) {
            Some((c, length)) => {
                decoded.push(c);
                rest = &rest[length..];
            }
            None => {
                decoded.push('&');
                rest = &rest[1..];
            }
        }
    }
    decoded.push_str(rest);
    decoded
}

/// The character that a reference at the beginning of a text stands for, and the reference's length.
pub(crate) fn entity(text: &str) -> Option<(char, usize)> {
    let end = text.bytes().take(12).position(|byte| byte == b';')?;
    let name = text.strip_prefix('&')?.get(..end.checked_sub(1)?)?;
    let c = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "ndash" => '–',
        "mdash" => '—',
        "hellip" => '…',
        "euro" => '€',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    };
    Some((c, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_known_by_their_whole_form() {
        for (text, name, kind) in [
            ("<speak>a", "speak", TagKind::Opens),
            ("</speak >", "speak", TagKind::Closes),
            ("<break time='1. s'/>x", "break", TagKind::Empty),
            ("<say-as interpret-as=\"date\" format = \"dmy\">", "say-as", TagKind::Opens),
            ("<!-- a > b -->", "", TagKind::Aside),
            ("<a href=x>", "a", TagKind::Opens),
        ] {
            let tag = tag(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((tag.name, tag.kind), (name, kind), "{text}");
        }
        for none in ["< 5?", "<5>", "<b and c>", "<", "<a", "<a href=\"x>", "<>", "</>", "<a,b>", "<me@example.com>"] {
            assert_eq!(tag(none), None, "{none}");
        }
        assert_eq!(tag(&format!("<a x=\"{}\">", "y".repeat(TAG_BYTES_MAX))), None);
    }

    #[test]
    fn no_tag_is_left_to_read_and_no_sign_is_lost() {
        for (text, shown) in [
            ("Welcome to AT&T. <break time=\"300ms\"/> Is 3 < 5?", "Welcome to AT&T. Is 3 < 5?"),
            ("<speak>AT&amp;T: 3 &lt; 5 &#8364; &#x41; &nope; &</speak>", "AT&T: 3 < 5 € A &nope; &"),
            ("one<break/>two <em>th</em>ree", "one two three"),
            ("<<b>em>alert</<b>em>", "alert"),
            ("<<b>script>alert</<b>script>", ""),
            ("a <b and c> d", "a <b and c> d"),
            ("We <style>b { x: y }</style>open.", "We open."),
        ] {
            assert_eq!(without(text), shown);
        }
        assert!(matches!(without("3 < 5"), Cow::Borrowed(_)));
    }
}
