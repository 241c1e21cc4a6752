//! The digits of what somebody said, typed or wrote: in which script, in figures or in words, and what stands between them.
//!
//! Invariant: a digit knows the bytes it was written with, so that they and nothing else can be masked.

use std::ops::Range;

/// One digit, or the two of a word like `eleven`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// Values from 0 to 9.
    pub(super) digits: Vec<u8>,
    /// Its bytes.
    pub(super) range: Range<usize>,
    /// What stands before it.
    pub(super) gap: Gap,
}

/// What stands between a digit and the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Gap {
    /// Nothing.
    Nothing,
    /// A few signs, or a word that only fills.
    Signs,
    /// A few words.
    Words,
    /// The end of a line and perhaps a few words: something else was said or done between.
    Line,
    /// More.
    Far,
}

/// Signs between two groups of one number.
const SIGNS_MAX: usize = 6;
/// Words between two groups of one number.
const WORDS_MAX: usize = 4;
/// Words that say nothing.
const FILLERS: [&str; 16] = [
    "hesitation",
    "uh",
    "um",
    "er",
    "and",
    "then",
    "dash",
    "space",
    "point",
    "dot",
    "minus",
    "äh",
    "ähm",
    "und",
    "y",
    "et",
];

/// Every digit of a text, in order.
pub(super) fn digits(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = vec![];
    let (mut signs, mut words, mut lines, mut fillers) = (0, 0, 0, 0);
    let mut times = 1;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let at = text.len() - rest.len();
        let (found, length) = match value(c) {
            Some(digit) => (Some(vec![digit]), c.len_utf8()),
            None if c.is_alphabetic() => {
                let length = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
                let word = rest[..length].to_lowercase();
                match word.as_str() {
                    "double" => (times, words) = (2, words),
                    "triple" => (times, words) = (3, words),
                    filler if FILLERS.contains(&filler) => fillers += 1,
                    _ => {}
                }
                (of_word(&word).filter(|_| length < 12), length)
            }
            None => (None, c.len_utf8()),
        };
        rest = &rest[length..];
        let Some(mut digits) = found else {
            let plain = !c.is_alphabetic();
            lines += usize::from(c == '\n');
            signs += usize::from(plain && c != '\n' && c != '%');
            words += usize::from(!plain);
            continue;
        };
        let ended = at..at + length;
        if times > 1 {
            digits = digits.repeat(std::mem::replace(&mut times, 1));
        }
        let silent =
            fillers + usize::from(digits.len() > 1 && words > fillers && digits.windows(2).all(|d| d[0] == d[1]));
        let gap = match (lines, words.saturating_sub(silent), signs) {
            (0, 0, 0) if fillers == 0 => Gap::Nothing,
            (0, 0, signs) if signs <= SIGNS_MAX + 2 * fillers => Gap::Signs,
            (0, words, _) if words <= WORDS_MAX => Gap::Words,
            (_, words, _) if words <= WORDS_MAX => Gap::Line,
            _ => Gap::Far,
        };
        // "forty" and "one" are two digits.
        if let (Some(tens), [unit]) = (tokens.last_mut(), digits.as_slice())
            && gap == Gap::Signs
            && *unit > 0
            && tens.digits.len() == 2
            && tens.digits[1] == 0
            && of_word(&text[tens.range.clone()].to_lowercase()).is_some()
        {
            tens.digits[1] = *unit;
            tens.range.end = ended.end;
        } else {
            tokens.push(Token { digits, range: ended, gap });
        }
        (signs, words, lines, fillers) = (0, 0, 0, 0);
    }
    tokens
}

/// The value of a decimal digit of a script that telephones and keyboards write.
fn value(c: char) -> Option<u8> {
    let zeros = [
        '0',
        '\u{660}',
        '\u{6f0}',
        '\u{7c0}',
        '\u{966}',
        '\u{9e6}',
        '\u{a66}',
        '\u{ae6}',
        '\u{b66}',
        '\u{be6}',
        '\u{c66}',
        '\u{ce6}',
        '\u{d66}',
        '\u{e50}',
        '\u{ed0}',
        '\u{f20}',
        '\u{1040}',
        '\u{17e0}',
        '\u{1810}',
        '\u{ff10}',
        '\u{1d7ce}',
        '\u{1d7d8}',
        '\u{1d7e2}',
        '\u{1d7ec}',
        '\u{1d7f6}',
        '\u{1fbf0}',
    ];
    match c {
        '⁰' | '₀' | '⓪' | '⓿' => return Some(0),
        '¹' => return Some(1),
        '²' => return Some(2),
        '³' => return Some(3),
        '⁴'..='⁹' => return Some((c as u32 - '⁰' as u32) as u8),
        '₁'..='₉' => return Some((c as u32 - '₀' as u32) as u8),
        '①'..='⑨' => return Some((c as u32 - '①' as u32) as u8 + 1),
        '❶'..='❾' => return Some((c as u32 - '❶' as u32) as u8 + 1),
        _ => {}
    }
    let offset = |zero: char| (c as u32).checked_sub(zero as u32).filter(|offset| *offset < 10);
    zeros.into_iter().find_map(offset).map(|digit| digit as u8)
}

/// The digits that a word says.
fn of_word(word: &str) -> Option<Vec<u8>> {
    const UNITS: [&[&str]; 10] = [
        &["zero", "oh", "o", "null", "cero", "zéro", "nul"],
        &["one", "eins", "uno", "une", "een", "één"],
        &["two", "zwei", "zwo", "dos", "deux", "due", "twee"],
        &["three", "drei", "tres", "trois", "tre", "drie"],
        &["four", "vier", "cuatro", "quatre", "quattro"],
        &["five", "fünf", "cinco", "cinq", "cinque", "vijf"],
        &["six", "sechs", "seis", "sei", "zes"],
        &["seven", "sieben", "siete", "sept", "sette", "zeven"],
        &["eight", "acht", "ocho", "huit", "otto"],
        &["nine", "neun", "nueve", "neuf", "nove", "negen"],
    ];
    const TEENS: [&str; 10] =
        ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"];
    const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    if let Some(unit) = UNITS.iter().position(|words| words.contains(&word)) {
        return Some(vec![unit as u8]);
    }
    if let Some(teen) = TEENS.iter().position(|teen| *teen == word) {
        return Some(vec![1, teen as u8]);
    }
    TENS.iter().position(|tens| *tens == word).map(|tens| vec![tens as u8 + 2, 0])
}
