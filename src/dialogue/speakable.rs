//! Cuts a text into parts that can be spoken one after the other.
//!
//! No text reaches a synthesizer whole: a part has at most [`PART_CHARACTERS_MAX`] characters to be heard and
//! [`PART_BYTES_MAX`] bytes in all, whatever the text is made of. It is cut at the end of a sentence if there is one far
//! enough, else of a clause, else of a word, else between two characters. Markup is not cut: elements that are open where
//! a part ends are closed there and opened again in the next. Invariant: the words of the parts are the words of the
//! text, in order; a text that is short enough is left as it is.

use crate::markup::{self, Tag, TagKind};
use crate::sentences::ends_sentence;

/// Most characters of a part that are heard: about twenty seconds.
pub const PART_CHARACTERS_MAX: usize = 300;
/// Most bytes of a part, markup included: fewer than any service takes.
pub const PART_BYTES_MAX: usize = 4096;
/// A sentence or a clause that ends before so many characters is no place to cut.
const PART_CHARACTERS_MIN: usize = PART_CHARACTERS_MAX / 4;
/// Elements that are open at once; what is deeper is spoken without its markup.
const OPEN_MAX: usize = 8;
/// Bytes of a tag; a longer one is left out.
const TAG_BYTES_MAX: usize = 192;

/// Bytes of a word and its blank, as most are.
const WORD_BYTES: usize = 5;

/// What ends after a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Nothing,
    Word,
    Clause,
    Sentence,
}

/// A piece that is not cut.
#[derive(Clone, Copy)]
enum Piece<'a> {
    Tag(Tag<'a>),
    Word { text: &'a str, characters: usize, end: End },
}

impl Piece<'_> {
    fn bytes(&self) -> usize {
        match self {
            Self::Tag(tag) => tag.text.len(),
            Self::Word { text, .. } => text.len(),
        }
    }
}

/// The parts of a text, in order. None of them is empty; a text without a word has none.
pub fn cut(text: &str) -> Vec<String> {
    if text.len() <= PART_BYTES_MAX && text.chars().count() <= PART_CHARACTERS_MAX {
        let text = text.trim();
        return if text.is_empty() { vec![] } else { vec![text.to_owned()] };
    }
    let mut pieces = Vec::with_capacity(text.len() / WORD_BYTES + 1);
    pieces.extend(Pieces(text));
    let mut parts = vec![];
    let mut open: Vec<Tag<'_>> = vec![];
    let (mut rest, mut text) = (pieces.as_slice(), text);
    while !rest.is_empty() {
        let (part, after) = rest.split_at(length_of_part(rest));
        rest = after;
        let (written, left) = text.split_at(part.iter().map(Piece::bytes).sum());
        text = left;
        let mut spoken = String::with_capacity(written.len());
        spoken.extend(open.iter().map(|tag| tag.text));
        let mut words = false;
        if part.iter().all(|piece| matches!(piece, Piece::Word { .. })) {
            spoken.push_str(written);
            words = !written.trim().is_empty();
        } else {
            for piece in part {
                match piece {
                    Piece::Word { text, .. } => {
                        spoken.push_str(text);
                        words |= !text.trim().is_empty();
                    }
                    Piece::Tag(tag) => write(tag, &mut open, &mut spoken),
                }
            }
        }
        let end = spoken.trim_end().len();
        spoken.truncate(end);
        for tag in open.iter().rev() {
            spoken.push_str(&format!("</{}>", tag.name));
        }
        let pauses = part.iter().any(|piece| matches!(piece, Piece::Tag(Tag { kind: TagKind::Empty, .. })));
        if words || pauses {
            spoken.drain(..spoken.len() - spoken.trim_start().len());
            parts.push(spoken);
        }
    }
    parts
}

/// Writes a tag if elements stay nested with it.
fn write<'a>(tag: &Tag<'a>, open: &mut Vec<Tag<'a>>, spoken: &mut String) {
    if tag.text.len() > TAG_BYTES_MAX {
        return;
    }
    match tag.kind {
        TagKind::Empty => spoken.push_str(tag.text),
        TagKind::Aside => {}
        TagKind::Opens if open.len() < OPEN_MAX => {
            spoken.push_str(tag.text);
            open.push(*tag);
        }
        TagKind::Closes if open.last().is_some_and(|last| last.name == tag.name) => {
            spoken.push_str(tag.text);
            open.pop();
        }
        TagKind::Opens | TagKind::Closes => {}
    }
}

/// How many pieces the next part has.
fn length_of_part(pieces: &[Piece<'_>]) -> usize {
    let (mut characters, mut bytes) = (0, 0);
    let mut best = (End::Nothing, 0);
    // What is opened again and closed has its room beside it.
    let bytes_max = PART_BYTES_MAX - 2 * OPEN_MAX * TAG_BYTES_MAX;
    for (n, piece) in pieces.iter().enumerate() {
        let (more, size, end) = match piece {
            Piece::Tag(tag) => (0, tag.text.len().min(TAG_BYTES_MAX), End::Nothing),
            Piece::Word { text, characters, end } => (*characters, text.len(), *end),
        };
        if n > 0 && (characters + more > PART_CHARACTERS_MAX || bytes + size > bytes_max) {
            return if best.1 > 0 { best.1 } else { n };
        }
        (characters, bytes) = (characters + more, bytes + size);
        let end = if characters < PART_CHARACTERS_MIN { end.min(End::Word) } else { end };
        if end > End::Nothing && end >= best.0 {
            best = (end, n + 1);
        }
    }
    pieces.len()
}

/// Goes through a text piece by piece.
struct Pieces<'a>(&'a str);

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if self.0.is_empty() {
            return None;
        }
        if let Some(tag) = markup::tag(self.0) {
            self.0 = &self.0[tag.text.len()..];
            return Some(Piece::Tag(tag));
        }
        if let Some((word, blanks)) = plain_word(self.0.as_bytes()) {
            let (text, rest) = self.0.split_at(word + blanks);
            self.0 = rest;
            return Some(Piece::Word {
                text,
                characters: text.len(),
                end: end_of(&text[..word], text[word..].contains('\n'), true),
            });
        }
        let (mut length, mut characters, mut spaced, mut after_wide) = (0, 0, false, false);
        for (at, c) in self.0.char_indices() {
            let begins_tag = at > 0 && c == '<' && markup::tag(&self.0[at..]).is_some();
            let full = characters >= PART_CHARACTERS_MAX && !joins(c);
            if begins_tag || full || (spaced && !c.is_whitespace()) || (after_wide && !is_wide(c)) {
                break;
            }
            spaced |= c.is_whitespace();
            after_wide = is_wide(c);
            characters += 1;
            length = at + c.len_utf8();
            if characters >= 2 * PART_CHARACTERS_MAX {
                break;
            }
        }
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        Some(Piece::Word { text, characters, end: end_after(text, rest) })
    }
}

/// The lengths of a word of ASCII and of the blanks behind it, as most are; what else a piece may be is looked at one by one.
fn plain_word(text: &[u8]) -> Option<(usize, usize)> {
    let text = &text[..text.len().min(PART_CHARACTERS_MAX)];
    let word = text.iter().position(|byte| !byte.is_ascii_graphic() || *byte == b'<')?;
    let blanks = text[word..].iter().position(|byte| !matches!(byte, b' ' | b'\n' | b'\t'))?;
    (word > 0 && blanks > 0 && text[word + blanks].is_ascii_graphic()).then_some((word, blanks))
}

/// Whether a character belongs to the one before: an accent, a joiner, a sign that chooses a form.
fn joins(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}')
}

fn is_wide(c: char) -> bool {
    matches!(c, '。' | '！' | '？' | '、' | '，' | '；' | '：')
}

fn end_after(text: &str, rest: &str) -> End {
    let spaced = text.ends_with(char::is_whitespace) || rest.is_empty();
    end_of(text.trim_end(), text.contains('\n'), spaced)
}

/// What ends with a word, by what stands behind it: the end of a line, a blank or nothing more.
fn end_of(word: &str, line_ends: bool, spaced: bool) -> End {
    if spaced && !line_ends && word.as_bytes().last().is_some_and(u8::is_ascii_alphanumeric) {
        return End::Word;
    }
    let word = word.trim_end_matches(['"', '\'', '”', '’', '»', ')', ']']);
    if line_ends || ends_sentence(word) && (spaced || word.ends_with(is_wide)) {
        End::Sentence
    } else if word.ends_with(is_wide) || spaced && word.ends_with([',', ';', ':', '–', '—', '،', '؛', ')']) {
        End::Clause
    } else if spaced {
        End::Word
    } else {
        End::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        markup::without(text).split_whitespace().map(str::to_owned).collect()
    }

    /// Cuts, and holds the promises that hold for every text.
    fn parts(text: &str) -> Vec<String> {
        let parts = cut(text);
        for part in &parts {
            assert!(part.len() <= PART_BYTES_MAX, "{} bytes", part.len());
            assert!(markup::without(part).chars().count() <= 2 * PART_CHARACTERS_MAX, "{part}");
            let mut open = vec![];
            for piece in Pieces(part) {
                match piece {
                    Piece::Tag(Tag { name, kind: TagKind::Opens, .. }) => open.push(name),
                    Piece::Tag(Tag { name, kind: TagKind::Closes, .. }) => assert_eq!(open.pop(), Some(name), "{part}"),
                    _ => {}
                }
            }
            assert!(open.is_empty(), "{part}");
        }
        parts
    }

    #[test]
    fn a_plain_word_ends_as_any_other_does() {
        let words =
            ["a", "Dr.", "busy.", "why?", "(so!)", "\"no\",", "and;", "he:", "it's", "3.", "x)", "'", "...", "ok.]"];
        for (word, blanks) in words.iter().flat_map(|word| [" ", "\n", " \t ", "\n\n"].map(|blanks| (*word, blanks))) {
            let text = format!("{word}{blanks}");
            assert_eq!(plain_word(format!("{text}x").as_bytes()), Some((word.len(), blanks.len())), "{text:?}");
            assert_eq!(end_of(word, blanks.contains('\n'), true), end_after(&text, "x"), "{text:?}");
        }
        for other in ["a", "a ", " a", "a <b>", "a é", "é a", "a\u{a0}b", "a\rb", ""] {
            let plain = plain_word(other.as_bytes());
            assert!(plain.is_none() || other == "a <b>", "{other:?}: {plain:?}");
        }
    }

    #[test]
    fn a_text_is_cut_where_people_pause() {
        assert_eq!(cut("  Short enough. Really. "), ["Short enough. Really."]);
        assert_eq!(cut(" \n"), Vec::<String>::new());
        let sentence = "This is a sentence of some length, with Dr. Miller in it. ";
        let of_sentences = parts(&sentence.repeat(20));
        assert!(of_sentences.iter().all(|part| part.ends_with("in it.")), "{of_sentences:?}");
        let of_clauses = parts(&"one two three four five six seven, ".repeat(30));
        assert!(of_clauses.iter().all(|part| part.ends_with(',')), "{of_clauses:?}");
        let of_words = parts(&"word ".repeat(500));
        assert!(of_words.iter().all(|part| part.ends_with("word")), "{of_words:?}");
        let wide = parts(&"お電話ありがとうございます。".repeat(60));
        assert!(wide.iter().all(|part| part.ends_with('。')), "{wide:?}");
    }

    #[test]
    fn a_book_of_anything_is_cut_into_bounded_parts_and_no_word_is_lost() {
        for text in [
            "lorem ipsum dolor ".repeat(6000),
            "a, b; c. d! ".repeat(8000),
            format!(
                "<speak>{}</speak>",
                "One is here. Two is <emphasis level=\"strong\">there</emphasis>. ".repeat(2000)
            ),
            format!("<p>{}", "<prosody rate=\"slow\">deep ".repeat(3000)),
            "1 < 2 & 3 > 2 ".repeat(5000),
        ] {
            let parts = parts(&text);
            assert!(parts.len() > 1);
            let heard: Vec<String> = parts.iter().flat_map(|part| words(part)).collect();
            assert_eq!(heard, words(&text), "{}", &text[..40]);
        }
        let unbroken = "x".repeat(100_000);
        assert_eq!(parts(&unbroken).concat(), unbroken);
        let accents = "e\u{301}".repeat(50_000);
        assert!(parts(&accents).iter().all(|part| part.starts_with('e')), "an accent stays with its letter");
    }

    #[test]
    fn markup_without_words_is_bounded_too() {
        let pauses = parts(&"<break time=\"10s\"/>".repeat(5000));
        assert!(pauses.len() > 10);
        assert_eq!(parts(&"<b></b>".repeat(5000)), Vec::<String>::new());
        let long_tag = format!("<audio src=\"{}\"/>{}", "y".repeat(1500), "word ".repeat(1000));
        assert!(parts(&long_tag).concat().starts_with("word"));
    }
}
