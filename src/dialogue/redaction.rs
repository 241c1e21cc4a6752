//! What must not stand in a transcript: card numbers, and what a tenant's own patterns find.
//!
//! The assistant gets the words as they were; whoever reads the conversation later does not. A number may be split over
//! lines: [`Redaction::together`] looks at lines that were said one after the other. Invariant: a text without a finding is
//! left as it is.

mod cards;
mod digits;
mod number_words;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

pub use regex::Regex;
use regex::RegexBuilder;

/// What stands where something was.
const MASK: char = '•';
/// The most that a tenant's pattern may take once it is compiled: whoever runs calls compiles it too.
const PATTERN_BYTES_MAX: usize = 2 * 1024 * 1024;

/// What is masked.
#[derive(Clone)]
pub struct Redaction {
    cards: bool,
    patterns: Arc<[Regex]>,
}

/// How many digits a text has, in figures or in words.
pub fn digits_in(text: &str) -> usize {
    digits::digits(text).iter().map(|token| token.digits.len()).sum()
}

impl Redaction {
    /// Card numbers, and what these patterns find.
    pub fn new(cards: bool, patterns: Vec<Regex>) -> Self {
        Self { cards, patterns: patterns.into() }
    }

    /// A tenant's pattern, or why it is none.
    pub fn pattern(text: &str) -> Result<Regex, String> {
        let built = RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).build();
        built.map_err(|error| error.to_string().lines().last().unwrap_or_default().to_owned())
    }

    /// The text without what must not be read.
    pub fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let found = self.cards_in(text);
        self.without_patterns(mask(text, 0, &found))
    }

    /// Lines that were said one after the other, without what must not be read in any of them or over several.
    pub fn together<'a>(&self, lines: &[&'a str]) -> Vec<Cow<'a, str>> {
        let text = lines.join("\n");
        let found = self.cards_in(&text);
        let mut begin = 0;
        let shown = lines.iter().map(|line| {
            let at = begin;
            begin += line.len() + 1;
            self.without_patterns(mask(line, at, &found))
        });
        shown.collect()
    }

    fn cards_in(&self, text: &str) -> Vec<Range<usize>> {
        if !self.cards {
            return vec![];
        }
        let mut found = cards::find(text, &digits::digits(text));
        found.sort_by_key(|range| range.start);
        found
    }

    fn without_patterns<'a>(&self, mut text: Cow<'a, str>) -> Cow<'a, str> {
        for pattern in self.patterns.iter() {
            if pattern.is_match(&text) {
                let mask = |found: &regex::Captures<'_>| MASK.to_string().repeat(found[0].chars().count());
                text = Cow::Owned(pattern.replace_all(&text, mask).into_owned());
            }
        }
        text
    }

    /// Whether the end of a text may be the beginning of a number that the next one completes; `open` if the text goes on
    /// one itself.
    pub(crate) fn may_go_on(&self, text: &str, open: bool) -> bool {
        let tokens = digits::digits(text);
        let Some(last) = tokens.last() else { return false };
        let words = text[last.range.end..].split_whitespace().filter(|word| word.contains(char::is_alphabetic)).count();
        self.cards && cards::may_go_on(&tokens, words > WORDS_AFTER_MAX, open)
    }
}

/// A text that may be the beginning of something to mask, as whoever cannot wait for the rest may see it.
pub fn cautious(text: &str) -> String {
    let found: Vec<Range<usize>> = digits::digits(text).into_iter().map(|token| token.range).collect();
    mask(text, 0, &found).into_owned()
}

/// Words after digits that another line may go on with.
const WORDS_AFTER_MAX: usize = 4;

/// A part of a text that begins at a byte of it, each character masked of what was found in the whole, in order; as it is without a finding.
fn mask<'a>(part: &'a str, begin: usize, found: &[Range<usize>]) -> Cow<'a, str> {
    let end = begin + part.len();
    let mut found =
        found.iter().skip_while(|range| range.end <= begin).take_while(|range| range.start < end).peekable();
    if found.peek().is_none() {
        return Cow::Borrowed(part);
    }
    let shown = part.char_indices().map(|(at, c)| {
        let at = begin + at;
        while found.next_if(|range| range.end <= at).is_some() {}
        if found.peek().is_some_and(|range| range.contains(&at)) { MASK } else { c }
    });
    Cow::Owned(shown.collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_that_takes_much_is_none() {
        assert!(
            Redaction::pattern(r"\b\d{3}-\d{2}-\d{4}\b").is_ok()
                && Redaction::pattern(r"(?i)passport \w{6,12}").is_ok()
        );
        assert!(Redaction::pattern(r"(?:[a-z]{50}x1){20}\w{100}").is_err());
    }

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

    fn shown(text: &str) -> String {
        Redaction::default().apply(text).into_owned()
    }

    #[test]
    fn expiry_and_code_go_with_the_card() {
        assert_eq!(
            shown("my card is 4111 1111 1111 1111 expiry 12 26 code 123"),
            "my card is •••• •••• •••• 1111 expiry 12 26 code •••"
        );
        assert_eq!(shown("4111 1111 1111 1111 12 26 123"), "•••• •••• •••• 1111 •• •• •••");
        assert_eq!(shown("41111111111111111226"), "••••••••••••1111••••");
        assert_eq!(shown("4111111111111111 the security code is 1234."), "••••••••••••1111 the security code is ••••.");
        assert_eq!(
            shown("4111111111111111, código de segurança um dois três"),
            "••••••••••••1111, código de segurança •• •••• ••••"
        );
        assert_eq!(shown("4111111111111111，安全码是一二三"), "••••••••••••1111，安全码是•••");
        assert_eq!(shown("the code is 123"), "the code is 123", "without a card it is any code");
    }

    #[test]
    fn an_ambiguous_word_behind_a_script_without_blanks_is_a_number_beside_others() {
        assert_eq!(digits_in("卡号un deux trois"), 3);
    }

    #[test]
    fn a_card_is_found_in_any_writing() {
        for text in [
            "4111.1111.1111.1111",
            "3782 822463 10005",
            "4111, 1111 / 1111 – 1111",
            "4111\u{a0}1111\u{200b}1111\u{202e}1111",
            "４１１１ １１１１ １１１１ １１１１",
            "٤١١١ ١١١١ ١١١١ ١١١١",
            "four one one one one one one one one one one one one one one one",
            "four one one one, double one double one, triple one one, one one one one",
            "forty one eleven eleven eleven eleven eleven eleven eleven",
            "vier eins eins eins eins eins eins eins eins eins eins eins eins eins eins eins",
            "4111 uh 1111 and 1111 %HESITATION 1111",
            "call 206 555 0100 5555555555554444",
            "order 1234567 and 4111111111111111",
            "1234564111111111111111789",
            "④①①① ①①①① ①①①① ①①①①",
            "⁴¹¹¹ ¹¹¹¹ ¹¹¹¹ ¹¹¹¹",
            "4\u{fe0f}\u{20e3}1\u{fe0f}\u{20e3}1111111111111\u{20e3}1",
            "quattro uno uno uno uno uno uno uno uno uno uno uno uno uno uno uno",
            "vier een een een, een een een een, een een een een, een een een een",
            "quatro um um um um um um um um um um um um um um um",
            "Cinco cinco cinco cinco, cinco cinco cinco cinco, cinco cinco cinco cinco, quatro quatro quatro quatro",
            "quarenta e um onze onze onze onze onze onze onze",
            "卡号是四一一一一一一一一一一一一一一一谢谢",
            "4111 um 1111 um 1111 um 1111",
            "einundvierzig elf elf elf elf elf elf elf",
            "Vierzig elf, elf elf, elf elf, elf zwölf.",
            "fünfundfünfzig fünfundfünfzig fünfundfünfzig fünfundfünfzig fünfundfünfzig fünfundfünfzig vierundvierzig vierundvierzig",
            "quarante et un onze onze onze onze onze onze onze",
            "quarante et un dix onze onze onze onze onze douze",
            "quatre un un un, un un un un, un un un un, un un un un",
            "cinquante-cinq cinquante-cinq cinquante-cinq cinquante-cinq cinquante-cinq cinquante-cinq quarante-quatre quarante-quatre",
            "trente-sept quatre-vingt-deux quatre-vingt-deux vingt-quatre soixante-trois dix zéro zéro cinq",
            "trente-cinq soixante-six zéro zéro vingt vingt trente-six zéro cinq zéro cinq",
            "trente cinquante-six quatre-vingt-treize zéro neuf zéro deux cinquante-neuf zéro quatre",
            "cuarenta y uno once once once once once once once",
            "cincuenta y cinco cincuenta y cinco cincuenta y cinco cincuenta y cinco cincuenta y cinco cincuenta y cinco cuarenta y cuatro cuarenta y cuatro",
            "treinta y siete ochenta y dos ochenta y dos veinticuatro sesenta y tres diez cero cero cinco",
            "quarantuno undici undici undici undici undici undici undici",
            "cinquantacinque cinquantacinque cinquantacinque cinquantacinque cinquantacinque cinquantacinque quarantaquattro quarantaquattro",
            "eenenveertig elf elf elf elf elf elf elf",
            "vijfenvijftig vijfenvijftig vijfenvijftig vijfenvijftig vijfenvijftig vijfenvijftig vierenveertig vierenveertig",
            "四幺幺幺 幺幺幺幺 幺幺幺幺 幺幺幺幺",
            "カードは四一一一の一一一一の一一一一の一一一一です",
            "番号はよんいちいちいちいちいちいちいちいちいちいちいちいちいちいちいちです",
            "ヨン イチ イチ イチ、イチ イチ イチ イチ、イチ イチ イチ イチ、イチ イチ イチ イチ",
            "카드 번호는 사일일일 일일일일 일일일일 일일일일입니다",
            "사 일 일 일 일 일 일 일 일 일 일 일 일 일 일 일",
        ] {
            let shown = shown(text);
            let masked = digits::digits(text).len() - digits::digits(&shown).len();
            assert!(masked >= 6 && !shown.contains("4111") && !shown.contains("5555"), "{text} is shown as {shown}");
        }
    }

    #[test]
    fn other_numbers_stay() {
        for text in [
            "order 1234 5678 9012 3456",
            "call +1 206 555 0100 or +44 20 7946 0958",
            "between 2024 and 2025, at 9.30 or 10.45",
            "one of the two or three who had four",
            &"one two three four five six seven eight nine ten ".repeat(4),
            "IBAN DE89 3704 0044 0532 0130 00",
            "um, I said, um, two and um four",
            "我有一个问题，三明治和两杯咖啡，一共五十块",
            "いちごにしますか、さんまにしますか",
            "이 일은 사실 오늘 이미 구했어요",
            "um café e dois pães, por favor, às sete e meia",
            "Das macht dreizehn Euro fünfzig, um elf Uhr vierzig, am vierzehnten November neunzehnhundertvierundachtzig",
            "C'est le vingt et un mars à quatorze heures trente-deux, pour quatre-vingt-dix-neuf euros, un seul",
            "Son las once y cuarenta, el veintidós de mayo, y cuesta treinta y nueve euros",
            "Sono le undici e quaranta del ventuno marzo: fa ventidue euro e cinquanta",
            "Om elf uur veertig, op drieëntwintig mei, voor negenendertig euro vijftig",
            "once in a while I seize one of two or three",
            "um zehn zwanzig oder um zwölf dreißig, siebzehn oder achtzehn Leute, vierzig elf",
        ] {
            assert_eq!(shown(text), text);
        }
        let both = shown("call me at 206 555 0100 and charge 5555555555554444");
        assert_eq!(both, "call me at 206 555 0100 and charge ••••••••••••4444");
    }

    #[test]
    fn a_card_over_several_lines_is_masked_in_each() {
        let redaction = Redaction::default();
        for (lines, shown) in [
            (&["my card is 4111 1111", "1111 1111 thanks"][..], &["my card is •••• ••••", "•••• 1111 thanks"][..]),
            (
                &["4111", "okay then 1111", "1111 and", "1111", "123"],
                &["••••", "okay then ••••", "•••• and", "1111", "•••"],
            ),
            (&["41111111", "11111111"], &["••••••••", "••••1111"]),
            (&["my zip is 98101", "my number is 206 555 0100"], &["my zip is 98101", "my number is 206 555 0100"]),
        ] {
            assert_eq!(redaction.together(lines), shown);
        }
        assert!(redaction.may_go_on("my card is 4111 1111", false) && !redaction.may_go_on("1111", false));
        assert!(
            redaction.may_go_on("1111", true) && !redaction.may_go_on("206 555 0100 is where you can reach me", false)
        );
        assert_eq!(cautious("it is 4111 1111"), "it is •••• ••••");
    }

    #[test]
    fn a_book_of_digits_takes_no_time_to_speak_of() {
        for text in
            ["4111111111111111".repeat(5000), "4 ".repeat(50_000), "four one ".repeat(10_000), "123\n".repeat(20_000)]
        {
            Redaction::default().apply(&text);
        }
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
