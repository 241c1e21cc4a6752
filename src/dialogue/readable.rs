//! A text as a person reads it: on the agent's page, in a record, in `bellhop calls`.
//!
//! Invariant: of what is returned nothing acts on whoever shows it: no markup, no control character, nothing that turns
//! the direction of what stands after it, nothing that cannot be seen. A recognizer's mark for a hesitation is no word.

use std::borrow::Cow;

use crate::markup;

/// What recognizers write where a caller hesitated.
pub(crate) const HESITATION: &str = "%HESITATION";
/// Accents on one letter; more than these are no writing.
const ACCENTS_MAX: usize = 4;

/// The words that a person reads of a text; empty if there are none.
pub fn readable(text: &str) -> Cow<'_, str> {
    let text = markup::without(text);
    let text = if text.contains(HESITATION) { Cow::Owned(without_hesitation(&text)) } else { text };
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n')) {
        return text;
    }
    let mut accents = 0;
    let mut shown = |c: char| {
        accents = if is_accent(c) { accents + 1 } else { 0 };
        accents <= ACCENTS_MAX && !acts(c)
    };
    if text.chars().all(&mut shown) {
        return text;
    }
    Cow::Owned(text.chars().map(as_space).filter(|c| shown(*c)).collect())
}

fn without_hesitation(text: &str) -> String {
    let words = text.split(' ').filter(|word| !word.starts_with(HESITATION) || word.len() > HESITATION.len() + 1);
    words.collect::<Vec<_>>().join(" ").replace(HESITATION, "")
}

/// Control characters that stand for white space become it.
fn as_space(c: char) -> char {
    match c {
        '\t' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' => ' ',
        '\u{2028}' | '\u{2029}' => '\n',
        c => c,
    }
}

/// Whether a character acts instead of showing: it controls, it turns the direction, or it is there and not seen.
/// Joiners stay: Persian and Indian scripts are written with them.
fn acts(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}' | '\u{3164}' | '\u{ffa0}' | '\u{e0100}'..='\u{e01ef}' | '\u{200b}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Marks that stand on, under or through a letter, of the scripts that towers are built of.
fn is_accent(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5bd}' | '\u{610}'..='\u{61a}'
        | '\u{64b}'..='\u{65f}' | '\u{6d6}'..='\u{6dc}' | '\u{e31}' | '\u{e34}'..='\u{e3a}' | '\u{e47}'..='\u{e4e}'
        | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_acts_on_who_reads() {
        for (text, read) in [
            ("Welcome. <break time=\"1s\"/> AT&amp;T?", "Welcome. AT&T?"),
            ("agent %HESITATION please", "agent please"),
            ("%HESITATION ", ""),
            ("%HESITATION, yes", "yes"),
            ("a\u{202e}b\u{2066}c\u{200b}d\u{feff}", "abcd"),
            ("red\u{1b}[31m\u{7}\tx\r\ny", "red[31m x \ny"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("ก็็็็็็็", "ก็็็็"),
            ("a\u{489}\u{489}\u{489}\u{489}\u{489}\u{489}", "a\u{489}\u{489}\u{489}\u{489}"),
            ("a\u{3164}b\u{61c}c\u{e0101}d", "abcd"),
            ("Z\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}", "Z\u{300}\u{301}\u{302}\u{303}"),
        ] {
            assert_eq!(readable(text).trim(), read, "{text:?}");
        }
        assert!(matches!(readable("رقم الطلب 4711, تم."), Cow::Borrowed(_)));
    }
}
