//! Cuts a text that is still being made into sentences that can be spoken already.
//!
//! Safe for abbreviations, initials, numbers and markup; for scripts that write no spaces between sentences too. Invariant:
//! the sentences together with the rest are the text, but for the white space between them.

use crate::markup;
use crate::words::Beginnings;

/// Words with a full stop that do not end a sentence, in lower case, of several languages.
const ABBREVIATIONS: [&str; 44] = [
    "mr", "mrs", "ms", "dr", "prof", "sr", "jr", "st", "no", "nr", "vs", "etc", "approx", "dept", "est", "inc", "ltd",
    "co", "corp", "e.g", "i.e", "a.m", "p.m", "u.s", "bzw", "ca", "usw", "z.b", "d.h", "u.a", "evtl", "ggf", "str",
    "tel", "hr", "fr", "mme", "m", "p.ex", "av", "ud", "sra", "srta", "pág",
];
/// How they begin.
static BEGINNINGS: Beginnings = Beginnings::of(&[&ABBREVIATIONS]);
/// Shorter sentences wait for the next: single words sound chopped.
const CHARACTERS_MIN: usize = 12;
/// The same for scripts whose characters are syllables.
const WIDE_MIN: usize = 4;
/// A longer text without an end does not wait for it.
const WAITING_BYTES_MAX: usize = 4096;

/// Gathers text and gives sentences.
#[derive(Debug, Default)]
pub struct Sentences {
    text: String,
}

impl Sentences {
    /// More of the text; the sentences that are complete now.
    pub fn push(&mut self, text: &str) -> Vec<String> {
        self.text.push_str(text);
        let mut complete = vec![];
        while let Some(end) = self.end_of_sentence() {
            let rest = self.text.split_off(end);
            let sentence = std::mem::replace(&mut self.text, rest.trim_start().to_owned());
            complete.push(sentence.trim().to_owned());
        }
        // What has no end so far is looked through again with every piece: it goes on in parts.
        if self.text.len() > WAITING_BYTES_MAX && !self.text.contains("<speak") {
            complete.extend(self.words().or_else(|| self.finish()));
        }
        complete
    }

    /// Whether something waits for its end.
    pub fn is_waiting(&self) -> bool {
        !self.text.trim().is_empty()
    }

    /// Who cannot wait for the sentence: what is there up to the end of a clause, if that can be spoken by itself.
    pub fn clause(&mut self) -> Option<String> {
        let ends = |text: &str, at: usize| {
            text[..at].ends_with([',', ';', ':', '–', '—', '،', '؛']) && text[..at].chars().count() >= CHARACTERS_MIN
        };
        let wide = self.text.rfind(['、', '，', '；', '：']).map(|at| at + '、'.len_utf8());
        let wide = wide.filter(|at| self.places().is_some() && self.text[..*at].chars().count() > WIDE_MIN);
        self.cut(|text, at| ends(text, at)).or_else(|| self.take(wide?))
    }

    /// Who cannot wait any longer: what is there up to the last word that is whole; where no spaces are written, all of it.
    pub fn words(&mut self) -> Option<String> {
        self.cut(|_, _| true).or_else(|| {
            let wide = self.text.chars().all(|c| !c.is_whitespace() && !c.is_ascii());
            let all = self.text.len();
            (wide && self.places().is_some() && self.text.chars().count() > WIDE_MIN).then(|| self.take(all))?
        })
    }

    /// Cuts at the last white space that may be one.
    fn cut(&mut self, may_be: impl Fn(&str, usize) -> bool) -> Option<String> {
        let at = self
            .places()?
            .into_iter()
            .rev()
            .find(|at| may_be(self.text[..*at].trim_end(), self.text[..*at].trim_end().len()))?;
        self.take(at)
    }

    fn take(&mut self, at: usize) -> Option<String> {
        let rest = self.text.split_off(at);
        let piece = std::mem::replace(&mut self.text, rest.trim_start().to_owned());
        let piece = piece.trim();
        (!piece.is_empty()).then(|| piece.to_owned())
    }

    /// White space behind words, outside of tags and brackets; none in a document of markup.
    fn places(&self) -> Option<Vec<usize>> {
        if self.text.contains("<speak") {
            return None;
        }
        let (mut places, mut open, mut after_tag) = (vec![], 0usize, 0);
        let mut before = ' ';
        for (at, c) in self.text.char_indices() {
            if at < after_tag {
                before = c;
                continue;
            }
            match c {
                '[' => open += 1,
                '(' if before == ']' => open += 1,
                ']' | ')' => open = open.saturating_sub(1),
                '<' => match tag(&self.text[at..]) {
                    Tagged::Tag { length } => after_tag = at + length,
                    Tagged::Open => open += 1,
                    Tagged::Text => {}
                },
                c if c.is_whitespace() && open == 0 && !before.is_whitespace() => places.push(at),
                _ => {}
            }
            before = c;
        }
        Some(places)
    }

    /// The text is at its end: what is left of it.
    pub fn finish(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.text);
        let rest = rest.trim();
        (!rest.is_empty()).then(|| rest.to_owned())
    }

    /// Where the first sentence ends, once it is certain.
    fn end_of_sentence(&self) -> Option<usize> {
        let text = &self.text;
        if text.contains("<speak") {
            return None; // a document of markup is spoken whole
        }
        let mut after_tag = 0;
        let mut characters = text.char_indices().peekable();
        while let Some((at, c)) = characters.next() {
            if at < after_tag {
                continue;
            }
            if c == '<' {
                match tag(&text[at..]) {
                    Tagged::Tag { length } => after_tag = at + length,
                    Tagged::Open => return None,
                    Tagged::Text => {}
                }
                continue;
            }
            let wide = matches!(c, '。' | '！' | '？');
            let ends = wide || matches!(c, '.' | '!' | '?' | '…' | '؟' | '।') || c == '\n';
            if !ends {
                continue;
            }
            let mut end = at + c.len_utf8();
            while let Some((at, c)) = characters.next_if(|(_, c)| ".!?…\"'”’»)]".contains(*c)) {
                end = at + c.len_utf8();
            }
            // What follows must be known: "3." may become "3.5".
            let separated = wide || c == '\n' || characters.peek().is_some_and(|(_, next)| next.is_whitespace());
            let long = text[..end].trim().chars().count() >= CHARACTERS_MIN || wide;
            if separated && long && !(c == '.' && is_abbreviation(&text[..at])) {
                return Some(end);
            }
        }
        None
    }
}

/// What a text is that begins with `<`.
enum Tagged {
    /// A tag of so many bytes.
    Tag { length: usize },
    /// It may become one.
    Open,
    /// "3 < 5"
    Text,
}

fn tag(text: &str) -> Tagged {
    if let Some(tag) = markup::tag(text) {
        return Tagged::Tag { length: tag.text.len() };
    }
    let may_be = text.len() == 1 || text[1..].starts_with(|c: char| c.is_ascii_alphabetic() || "/!?".contains(c));
    if may_be && text.len() < markup::TAG_BYTES_MAX && !text[1..].contains('<') { Tagged::Open } else { Tagged::Text }
}

/// Whether a word is the last of a sentence, by the sign that it ends in.
pub(crate) fn ends_sentence(word: &str) -> bool {
    match word.chars().next_back() {
        Some('.') => !is_abbreviation(&word[..word.len() - 1]),
        Some(c) => matches!(c, '!' | '?' | '…' | '؟' | '।' | '。' | '！' | '？'),
        None => false,
    }
}

/// Whether the word before a full stop is none that ends a sentence: an abbreviation, an initial, or the number of a list.
fn is_abbreviation(before: &str) -> bool {
    let word = before.rsplit(char::is_whitespace).next().unwrap_or_default().trim_start_matches(['(', '"', '“']);
    let mut letters = word.chars();
    let initial = letters.next().is_some_and(char::is_alphabetic) && letters.next().is_none();
    if initial || word.bytes().all(|byte| byte.is_ascii_digit()) {
        return true;
    }
    if !BEGINNINGS.may_have(word) {
        return false;
    }
    match word.is_ascii() {
        true => ABBREVIATIONS.iter().any(|one| one.len() == word.len() && one.eq_ignore_ascii_case(word)),
        false => ABBREVIATIONS.contains(&word.to_lowercase().as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same whatever the pieces the text comes in.
    fn split(text: &str) -> Vec<String> {
        let by = |size: usize| {
            let mut sentences = Sentences::default();
            let letters: Vec<char> = text.chars().collect();
            let mut all: Vec<String> =
                letters.chunks(size).flat_map(|piece| sentences.push(&piece.iter().collect::<String>())).collect();
            all.extend(sentences.finish());
            all
        };
        let whole = by(text.len().max(1));
        for size in 1..8 {
            assert_eq!(by(size), whole, "in pieces of {size}");
        }
        whole
    }

    #[test]
    fn an_abbreviation_is_one_in_any_case() {
        assert!(["Prof", "APPROX", "PÁG", "U.S", "7", "x", "É", "(Dr"].into_iter().all(is_abbreviation));
        assert!(!["busy", "approximately", "id"].into_iter().any(is_abbreviation));
    }

    #[test]
    fn sentences_end_where_people_end_them() {
        assert_eq!(
            split("Your order is on its way. Can I help with more?"),
            ["Your order is on its way.", "Can I help with more?"]
        );
        assert_eq!(
            split("He said \"That is all.\" Then he left us."),
            ["He said \"That is all.\"", "Then he left us."]
        );
        assert_eq!(split("Das macht 3.50 Euro. Danke sehr!"), ["Das macht 3.50 Euro.", "Danke sehr!"]);
        assert_eq!(
            split("お電話ありがとうございます。ご用件は何ですか？はい"),
            ["お電話ありがとうございます。", "ご用件は何ですか？", "はい"]
        );
    }

    #[test]
    fn abbreviations_initials_and_numbers_do_not_end_one() {
        for whole in [
            "Please ask for Dr. Miller at the desk.",
            "We open at 9 a.m. on weekdays and later on Sundays.",
            "You can choose 1. sales or 2. service now.",
            "Sie können z.B. morgen kommen oder später.",
            "It was J. R. Smith who called you today.",
            "The version is 2.5.1 at the moment of speaking",
        ] {
            assert_eq!(split(whole), [whole]);
        }
    }

    #[test]
    fn who_cannot_wait_gets_clauses_and_words() {
        let mut sentences = Sentences::default();
        assert!(sentences.push("Well, on Mondays we open at nine, and on Sun").is_empty() && sentences.is_waiting());
        assert_eq!(sentences.clause().as_deref(), Some("Well, on Mondays we open at nine,"));
        assert_eq!((sentences.clause(), sentences.words().as_deref()), (None, Some("and on")));
        assert_eq!((sentences.words(), sentences.finish().as_deref()), (None, Some("Sun")));
        let mut sentences = Sentences::default();
        sentences.push("See [our page, or call us");
        assert_eq!((sentences.clause(), sentences.words().as_deref()), (None, Some("See")));
        sentences.push("](https://example.com/a) and <break time=\"1 s");
        assert_eq!(sentences.words().as_deref(), Some("[our page, or call us](https://example.com/a) and"));
        let mut sentences = Sentences::default();
        sentences.push("I am sorry :( but <break time=\"1 s\"/> we clos");
        assert_eq!(sentences.words().as_deref(), Some("I am sorry :( but <break time=\"1 s\"/> we"));
        let mut sentences = Sentences::default();
        sentences.push("お電話ありがとうございます、少々お待ち");
        assert_eq!(sentences.clause().as_deref(), Some("お電話ありがとうございます、"));
        assert_eq!(sentences.words().as_deref(), Some("少々お待ち"));
    }

    #[test]
    fn a_text_without_an_end_goes_on_in_parts_and_is_whole() {
        let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).count();
        for (begin, piece) in [("word ".repeat(4000), "x "), ("é".repeat(9000), "x"), ("[a ".repeat(4000), "(")] {
            let mut sentences = Sentences::default();
            let mut all = sentences.push(&begin);
            for _ in 0..1000 {
                all.extend(sentences.push(piece));
                assert!(sentences.text.len() <= WAITING_BYTES_MAX, "what waits is looked through with every piece");
            }
            all.extend(sentences.finish());
            assert_eq!(all.iter().map(|text| letters(text)).sum::<usize>(), letters(&begin) + letters(piece) * 1000);
        }
    }

    #[test]
    fn short_ones_wait_and_markup_is_left_whole() {
        assert_eq!(split("Yes. Of course I can."), ["Yes. Of course I can."]);
        assert_eq!(
            split("Wait <break time=\"1. s\"/> a moment. And then go on."),
            ["Wait <break time=\"1. s\"/> a moment.", "And then go on."]
        );
        assert_eq!(split("<speak>One is here. Two is there.</speak>"), ["<speak>One is here. Two is there.</speak>"]);
        assert_eq!(split("Is 3 < 5 for you? I think so. 5 > 3."), ["Is 3 < 5 for you?", "I think so. 5 > 3."]);
        assert_eq!(split("  "), Vec::<String>::new());
    }
}
