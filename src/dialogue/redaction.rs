//! What must not stand in a transcript: card numbers, and what a tenant's own patterns find.
//!
//! The assistant gets the words as they were; whoever reads the conversation later does not. Invariant: a text without a
//! finding is left as it is.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

pub use regex::Regex;

/// Digits of a payment card's number (ISO/IEC 7812).
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
/// Of these so many may be shown.
const SHOWN: usize = 4;
/// What stands where something was.
const MASK: char = '•';

/// What is masked.
#[derive(Clone)]
pub struct Redaction {
    cards: bool,
    patterns: Arc<[Regex]>,
}

impl Redaction {
    /// Card numbers, and what these patterns find.
    pub fn new(cards: bool, patterns: Vec<Regex>) -> Self {
        Self { cards, patterns: patterns.into() }
    }

    /// A tenant's pattern, or why it is none.
    pub fn pattern(text: &str) -> Result<Regex, String> {
        Regex::new(text).map_err(|error| error.to_string().lines().last().unwrap_or_default().to_owned())
    }

    /// The text without what must not be read.
    pub fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        if self.cards
            && let Some(masked) = without_cards(&text)
        {
            text = Cow::Owned(masked);
        }
        for pattern in self.patterns.iter() {
            if pattern.is_match(&text) {
                let mask = |found: &regex::Captures<'_>| MASK.to_string().repeat(found[0].chars().count());
                text = Cow::Owned(pattern.replace_all(&text, mask).into_owned());
            }
        }
        text
    }
}

impl Default for Redaction {
    /// Card numbers alone.
    fn default() -> Self {
        Self::new(true, vec![])
    }
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redaction(cards: {}, {} patterns)", self.cards, self.patterns.len())
    }
}

/// Masks all but the last digits of every card number; `None` if there is none.
fn without_cards(text: &str) -> Option<String> {
    let characters: Vec<char> = text.chars().collect();
    let mut masked = characters.clone();
    let mut at = 0;
    while at < characters.len() {
        if !characters[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        // A run of digits, in groups or not.
        let mut places = vec![];
        let mut end = at;
        while end < characters.len() {
            let follows = characters.get(end + 1).is_some_and(char::is_ascii_digit);
            match characters[end] {
                digit if digit.is_ascii_digit() => places.push(end),
                ' ' | '-' if follows => {}
                _ => break,
            }
            end += 1;
        }
        let digits: Vec<u32> = places.iter().filter_map(|place| characters[*place].to_digit(10)).collect();
        if CARD_DIGITS.contains(&digits.len()) && checks_out(&digits) {
            places.iter().take(places.len() - SHOWN).for_each(|place| masked[*place] = MASK);
        }
        at = end;
    }
    (masked != characters).then(|| masked.into_iter().collect())
}

/// The check digit of ISO/IEC 7812 (Luhn).
fn checks_out(digits: &[u32]) -> bool {
    let doubled = |(n, digit): (usize, &u32)| match (n % 2, digit * 2) {
        (0, _) => *digit,
        (_, twice) if twice > 9 => twice - 9,
        (_, twice) => twice,
    };
    digits.iter().rev().enumerate().map(doubled).sum::<u32>() % 10 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_numbers_keep_their_last_four_digits() {
        let redaction = Redaction::default();
        assert_eq!(redaction.apply("it is 4111 1111-1111 1111, ok?"), "it is •••• ••••-•••• 1111, ok?");
        assert_eq!(redaction.apply("5555555555554444"), "••••••••••••4444");
        for other in ["call +1 800 555 0123", "4111111111111112", "my order 1234567890123", "12 34", ""] {
            assert!(matches!(redaction.apply(other), Cow::Borrowed(_)), "{other}");
        }
        assert_eq!(Redaction::new(false, vec![]).apply("5555555555554444"), "5555555555554444");
    }

    #[test]
    fn a_tenants_patterns_mask_what_they_find() {
        let patterns = vec![Redaction::pattern(r"(?i)\bID-\d+\b").expect("a pattern")];
        let redaction = Redaction::new(true, patterns);
        assert_eq!(redaction.apply("it is id-4711 and Id-12"), "it is ••••••• and •••••");
        assert!(Redaction::pattern("(").is_err_and(|why| !why.is_empty()));
        assert!(!format!("{redaction:?}").contains("ID-"));
    }
}
