//! What the words of an utterance look like: whole, or as if more had to come.
//!
//! Invariant: what is expected decides before the words themselves do; who expects nothing is told that words are unfinished only where they
//! plainly are. Nothing is allocated for the phrases: there may be a thousand, and results come several times a second.

use std::sync::Arc;

use bellhop_dialogue::redaction::digits_in;
use bellhop_dialogue::words::words;

use super::Words;

/// Words that nobody ends a sentence with, and sounds of somebody who thinks, in several languages.
const GO_ON: [&str; 30] = [
    "and", "or", "but", "because", "um", "uhm", "uh", "er", "erm", "the", "my", "und", "oder", "aber", "weil", "äh",
    "ähm", "et", "ou", "mais", "euh", "pero", "porque", "eh", "ehm", "oppure", "maar", "omdat", "mas", "ahm",
];
/// So many digits in a row are being dictated.
const DICTATED_MIN: usize = 3;

/// What a caller may say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// One of these; none for anything.
    pub phrases: Option<Arc<[String]>>,
    /// So many digits.
    pub digits: Option<usize>,
}

impl Expected {
    /// What these words look like.
    pub fn judge(&self, text: &str) -> Words {
        let said: Vec<&str> = words(text).collect();
        let Some(last) = said.last() else { return Words::Open };
        let digits = digits_in(text);
        match self.digits {
            Some(wanted) if digits >= wanted => return Words::Complete,
            Some(_) if digits > 0 => return Words::Unfinished,
            _ => {}
        }
        let (mut is_whole, mut is_begun) = (false, false);
        for phrase in self.phrases.iter().flat_map(|phrases| phrases.iter()) {
            match begins(phrase, &said) {
                Some(true) => is_whole = true,
                Some(false) => is_begun = true,
                None => {}
            }
        }
        let dictates = digits >= DICTATED_MIN && said.iter().all(|word| digits_in(word) > 0);
        match (is_whole, is_begun) {
            (true, false) => Words::Complete,
            (true, true) => Words::Open,
            (false, true) => Words::Unfinished,
            (false, false) if dictates || GO_ON.iter().any(|word| is_word(word, last)) => Words::Unfinished,
            (false, false) => Words::Open,
        }
    }
}

/// Whether a phrase begins with what was said, and if so, whether it is that.
fn begins(phrase: &str, said: &[&str]) -> Option<bool> {
    let mut phrase = words(phrase);
    said.iter()
        .all(|word| phrase.next().is_some_and(|expected| is_word(expected, word)))
        .then(|| phrase.next().is_none())
}

fn is_word(one: &str, other: &str) -> bool {
    one.chars().flat_map(char::to_lowercase).eq(other.chars().flat_map(char::to_lowercase))
}

/// What follows the words of a text in another that begins with them; none if it does not.
pub fn rest<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    let mut rest = text;
    for word in words(before) {
        let begin = rest.find(|c: char| c.is_alphanumeric() || c == '\'')?;
        rest = &rest[begin..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '\'').unwrap_or(rest.len());
        if !is_word(&rest[..end], word) {
            return None;
        }
        rest = &rest[end..];
    }
    Some(rest.trim_start_matches(|c: char| !c.is_alphanumeric()).trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_whole_open_or_unfinished() {
        const PHRASES: &[&str] = &["Yes", "yes, please", "I'd like to talk to an agent", "Goodbye."];
        let expected = |phrases: &[&str], digits| {
            let phrases = (!phrases.is_empty()).then(|| phrases.iter().map(|phrase| (*phrase).to_owned()).collect());
            Expected { phrases, digits }
        };
        for (phrases, digits, text, looks) in [
            (PHRASES, None, "goodbye", Words::Complete),
            (PHRASES, None, "yes", Words::Open),
            (PHRASES, None, "YES PLEASE", Words::Complete),
            (PHRASES, None, "i'd like to talk", Words::Unfinished),
            (PHRASES, None, "i'd like to talk to an agent now", Words::Open),
            (PHRASES, None, "something else and", Words::Unfinished),
            (PHRASES, None, "", Words::Open),
            (&[], None, "I want to pay my bill", Words::Open),
            (&[], None, "I want to pay my bill and, um", Words::Unfinished),
            (&[], None, "Ich möchte bezahlen und", Words::Unfinished),
            (&[], None, "four", Words::Open),
            (&[], None, "four seven one", Words::Unfinished),
            (&[], None, "my number is four seven one", Words::Open),
            (&[], Some(4), "four seven one", Words::Unfinished),
            (&[], Some(4), "four seven one one", Words::Complete),
            (&[], Some(4), "4711", Words::Complete),
            (&[], Some(4), "I do not know it", Words::Open),
        ] {
            assert_eq!(expected(phrases, digits).judge(text), looks, "{text}");
        }
    }

    #[test]
    fn what_follows_is_told_in_its_own_words() {
        assert_eq!(rest("Yes, please. Two of them", "yes please"), Some("Two of them"));
        assert_eq!(rest("yes please", "Yes, please."), Some(""));
        assert_eq!(rest("no thanks", "yes"), None);
        assert_eq!(rest("yes", "yes please"), None);
    }
}
