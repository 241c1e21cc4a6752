//! The digits of what somebody said, typed or wrote: in which script, in figures or in words, and what stands between them.
//!
//! Chinese, Japanese and Korean put no blank between words: their numerals count wherever they stand, their number words
//! in a row of [`ROW_MIN`] or alone between other signs. What the words of a language say is in `number_words.rs`.
//!
//! Invariant: a digit knows the bytes it was written with, so that they and nothing else can be masked.

use std::ops::Range;

use super::number_words::{self, Company, Said, Takes};
use crate::words::Beginnings;

/// One digit, or the two of a word like `eleven`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// Values from 0 to 9.
    pub(super) digits: Vec<u8>,
    /// Where it stands in the text, in bytes.
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
/// So many number words one after the other, with nothing between them, are no ordinary words of a language without blanks.
const ROW_MIN: usize = 4;
/// Words that say nothing.
const FILLERS: [&str; 17] = [
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
    "e",
];

/// Words that multiply what comes behind them.
const TIMES: [&str; 2] = ["double", "triple"];
/// How words begin that are looked at.
static KNOWN: Beginnings = number_words::BEGINNINGS.and_of(&[&FILLERS, &TIMES]);

/// Every digit of a text, in order.
pub(super) fn digits(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = vec![];
    let mut between = Between::default();
    let mut times = 1;
    let mut unspaced = Unspaced::default();
    let company = Company::of(text);
    let mut takes = Takes::Nothing;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let at = text.len() - rest.len();
        let mut says_tens = None;
        let (found, length) = match value(c) {
            Some(digit) => (Some(vec![digit]), c.len_utf8()),
            None if is_unspaced(c) => match unspaced.number(rest) {
                Some((digit, length)) => (Some(vec![digit]), length),
                None => (None, c.len_utf8()),
            },
            None if c.is_alphabetic() => {
                let length = rest.find(|c: char| !c.is_alphabetic() || is_unspaced(c)).unwrap_or(rest.len());
                let says = read(&rest[..length], &company, &mut times, &mut between);
                says_tens = says.as_ref().map(|said| said.takes);
                (says.map(|said| said.digits), length)
            }
            None => (None, c.len_utf8()),
        };
        rest = &rest[length..];
        let goes_on = is_unspaced(c) && std::mem::replace(&mut unspaced.in_word, found.is_none());
        unspaced.in_word &= is_unspaced(c);
        unspaced.after_word = c.is_alphabetic() && found.is_none();
        let Some(mut digits) = found else {
            between.count(c, goes_on);
            continue;
        };
        let ended = at..at + length;
        if times > 1 {
            digits = digits.repeat(std::mem::replace(&mut times, 1));
        }
        let gap = std::mem::take(&mut between).gap_before(&digits);
        // "forty" and "one" are two digits, and so are the three words of "quatre-vingt-un".
        let last = tokens.last_mut().filter(|_| gap == Gap::Signs);
        let joined = last.and_then(|last| {
            let before = &text[last.range.clone()];
            let (both, now) = number_words::joined(&last.digits, takes, before, &digits, &text[ended.clone()])?;
            (last.digits, last.range.end) = (both, ended.end);
            Some(now)
        });
        takes = joined.unwrap_or_else(|| {
            tokens.push(Token { digits, range: ended, gap });
            says_tens.unwrap_or(Takes::Nothing)
        });
    }
    tokens
}

/// What a word says, if it is a number. One that multiplies, or says nothing, is noted.
fn read(word: &str, company: &Company<'_>, times: &mut usize, between: &mut Between) -> Option<Said> {
    if !KNOWN.may_have(word) {
        return None;
    }
    let word = word.to_lowercase();
    let says = company.read(&word);
    match TIMES.iter().position(|one| *one == word) {
        Some(place) => *times = place + 2,
        None if says.is_none() && FILLERS.contains(&&*word) => between.fillers += 1,
        None => {}
    }
    says
}

/// What has been read since the last digit.
#[derive(Default)]
struct Between {
    signs: usize,
    words: usize,
    lines: usize,
    /// Words among them that say nothing.
    fillers: usize,
}

impl Between {
    /// Counts a character that is no digit; one that goes on with a word is no word of its own.
    fn count(&mut self, c: char, goes_on: bool) {
        let plain = !c.is_alphabetic();
        self.lines += usize::from(c == '\n');
        self.signs += usize::from(plain && c != '\n' && c != '%');
        self.words += usize::from(!plain && !goes_on);
    }

    /// How far these digits are from the ones before. The "double" before two that are alike is a part of them.
    fn gap_before(self, digits: &[u8]) -> Gap {
        let Self { signs, words, lines, fillers } = self;
        let doubled = digits.len() > 1 && words > fillers && digits.windows(2).all(|d| d[0] == d[1]);
        match (lines, words.saturating_sub(fillers + usize::from(doubled)), signs) {
            (0, 0, 0) if fillers == 0 => Gap::Nothing,
            (0, 0, signs) if signs <= SIGNS_MAX + 2 * fillers => Gap::Signs,
            (0, words, _) if words <= WORDS_MAX => Gap::Words,
            (_, words, _) if words <= WORDS_MAX => Gap::Line,
            _ => Gap::Far,
        }
    }
}

/// Where the reader stands in a language without blanks.
#[derive(Default)]
struct Unspaced {
    /// Number words that are still to come in this row.
    row: usize,
    /// Whether the sign before belongs to a word that is none of them.
    in_word: bool,
    /// Whether the sign before is a letter of a word, in whatever script.
    after_word: bool,
}

impl Unspaced {
    /// The number word that a text begins with, and its bytes, if it is in a row of them or stands alone.
    fn number(&mut self, text: &str) -> Option<(u8, usize)> {
        if self.row == 0 {
            let (mut count, mut rest) = (0, text);
            while let Some((_, length)) = syllables(rest) {
                (count, rest) = (count + 1, &rest[length..]);
            }
            let stands_alone = !self.after_word && !rest.chars().next().is_some_and(char::is_alphabetic);
            self.row = if count >= ROW_MIN || stands_alone { count } else { 0 };
        }
        self.row = self.row.checked_sub(1)?;
        syllables(text)
    }
}

/// Kana, Han and Hangul.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}')
}

/// The Japanese or Korean number word that a text begins with, and its bytes.
fn syllables(text: &str) -> Option<(u8, usize)> {
    const WORDS: [&[&str]; 10] = [
        &["ゼロ", "ぜろ", "れい", "レイ", "まる", "マル", "공", "영", "제로"],
        &["いち", "イチ", "ひと", "일", "하나"],
        &["に", "ニ", "이", "둘"],
        &["さん", "サン", "삼", "셋"],
        &["よん", "ヨン", "し", "シ", "사", "넷"],
        &["ごー", "ご", "ゴ", "오", "다섯"],
        &["ろく", "ロク", "육", "륙", "여섯"],
        &["なな", "ナナ", "しち", "シチ", "칠", "일곱"],
        &["はち", "ハチ", "팔", "여덟"],
        &["きゅう", "キュウ", "きゅー", "く", "ク", "구", "아홉"],
    ];
    let found = WORDS.iter().enumerate().flat_map(|(digit, words)| {
        words.iter().filter(|word| text.starts_with(**word)).map(move |word| (digit as u8, word.len()))
    });
    // Of two that begin alike the longer is meant.
    found.max_by_key(|(_, length)| *length)
}

/// The value of a decimal digit of a script that telephones and keyboards write, and of a numeral that says one.
fn value(c: char) -> Option<u8> {
    if c.is_ascii() {
        return c.to_digit(10).map(|digit| digit as u8);
    }
    let zeros = [
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
        '〇' | '零' => return Some(0),
        '一' | '壹' | '壱' | '幺' => return Some(1),
        '二' | '贰' | '貳' | '弐' | '两' | '兩' => return Some(2),
        '三' | '叁' | '參' | '参' => return Some(3),
        '四' | '肆' => return Some(4),
        '五' | '伍' => return Some(5),
        '六' | '陆' | '陸' => return Some(6),
        '七' | '柒' => return Some(7),
        '八' | '捌' => return Some(8),
        '九' | '玖' => return Some(9),
        '❶'..='❾' => return Some((c as u32 - '❶' as u32) as u8 + 1),
        _ => {}
    }
    let offset = |zero: char| (c as u32).checked_sub(zero as u32).filter(|offset| *offset < 10);
    zeros.into_iter().find_map(offset).map(|digit| digit as u8)
}
