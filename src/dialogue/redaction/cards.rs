//! Finds the numbers of payment cards (ISO/IEC 7812) among digits, and the code that goes with them.
//!
//! Card, expiry and code come in one row, in groups, over several utterances, in words. A number is one if its check digit
//! is right and it has the first digits and the length of a card scheme; alone between other characters, any first digits
//! will do. Invariant: a number whose check digit is wrong stays as it is.

use std::ops::Range;

use super::digits::{Gap, Token};

/// Digits of a payment card's number.
const DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
/// Of these so many may be shown.
const SHOWN: usize = 4;
/// Digits in a row that are surely more than one number.
const ONE_NUMBER_MAX: usize = 19;
/// Words that announce a card's code.
const CODE_WORDS: [&str; 18] = [
    "code",
    "cvv",
    "cvc",
    "cvn",
    "csc",
    "cid",
    "security",
    "pin",
    "verification",
    "back",
    "prüfziffer",
    "prüfnummer",
    "sicherheitscode",
    "kartenprüfnummer",
    "cryptogramme",
    "código",
    "codice",
    "segurança",
];
/// The same in languages without blanks: within whatever stands before the code.
const CODE_SIGNS: [&str; 9] =
    ["安全码", "安全碼", "验证码", "驗證碼", "セキュリティ", "暗証番号", "セキュリティー", "보안", "비밀번호"];
/// Digits of a code.
const CODE_DIGITS: std::ops::RangeInclusive<usize> = 3..=4;
/// Words before a code of which one announces it.
const ANNOUNCED_WITHIN: usize = 6;
/// Lines after a card in which its code may stand alone.
const LINES_AFTER_MAX: usize = 4;

/// The bytes to mask.
pub(super) fn find(text: &str, tokens: &[Token]) -> Vec<Range<usize>> {
    let mut masked = vec![];
    let mut at = 0;
    let mut last_card: Option<usize> = None;
    while at < tokens.len() {
        let Some(end) = card_at(tokens, at) else {
            at += 1;
            continue;
        };
        let shown_from = shown_from(&tokens[at..end]) + at;
        masked.extend(tokens[at..shown_from].iter().map(|token| token.range.clone()));
        // Expiry and code in the same row.
        let row = tokens[end..].iter().take_while(|token| token.gap <= Gap::Signs).count();
        masked.extend(tokens[end..end + row].iter().map(|token| token.range.clone()));
        at = end + row;
        last_card = Some(at);
    }
    if last_card.is_some() {
        masked.extend(codes(text, tokens, last_card.unwrap_or(0)));
    }
    masked
}

/// Where a card's number ends that begins with this digit.
fn card_at(tokens: &[Token], begin: usize) -> Option<usize> {
    let begins_group = is_edge(tokens, begin);
    let singly = tokens[begin].gap != Gap::Nothing;
    if !begins_group && !singly && !is_more_than_a_number(tokens, begin) {
        return None;
    }
    let mut digits: Vec<u8> = Vec::with_capacity(*DIGITS.end());
    let mut candidates = vec![];
    for (n, token) in tokens[begin..].iter().enumerate() {
        if (n > 0 && token.gap == Gap::Far) || digits.len() + token.digits.len() > *DIGITS.end() {
            break;
        }
        digits.extend(&token.digits);
        if !DIGITS.contains(&digits.len()) || !checks_out(&digits) {
            continue;
        }
        let end = begin + n + 1;
        let ends_group = is_edge(tokens, end);
        let inside = &tokens[begin + 1..end];
        let close = inside.iter().all(|token| token.gap <= Gap::Signs);
        let alone = close
            && (begin == 0 || tokens[begin].gap > Gap::Signs)
            && tokens.get(end).is_none_or(|next| next.gap > Gap::Signs);
        let in_one_row = (begin + 1..end).all(|n| !is_edge(tokens, n));
        // Digits one by one may be anything that is counted: a card begins or ends their row.
        let placed = if begins_group || !singly { ends_group || in_one_row } else { ends_group && in_one_row };
        let of_scheme = placed && is_of_scheme(&digits);
        if of_scheme || alone {
            candidates.push((usual(digits.len()), end));
        }
    }
    candidates.into_iter().min().map(|(_, end)| end)
}

/// Whether a group of digits begins here, or the last has ended. Digits that stand one by one are one group.
fn is_edge(tokens: &[Token], at: usize) -> bool {
    let Some(token) = tokens.get(at).filter(|_| at > 0) else { return true };
    let single = |n: usize| {
        (n == 0 || tokens[n].gap != Gap::Nothing) && tokens.get(n + 1).is_none_or(|next| next.gap != Gap::Nothing)
    };
    match token.gap {
        Gap::Nothing => false,
        Gap::Signs => !(single(at - 1) && single(at)),
        Gap::Words | Gap::Line | Gap::Far => true,
    }
}

/// Whether more digits stand in a row around a digit than one number has.
fn is_more_than_a_number(tokens: &[Token], at: usize) -> bool {
    let joined = |token: &&Token| token.gap == Gap::Nothing;
    let before = tokens[..=at].iter().rev().take(ONE_NUMBER_MAX).take_while(joined).count();
    let after = tokens[at + 1..].iter().take(ONE_NUMBER_MAX).take_while(joined).count();
    before + 1 + after > ONE_NUMBER_MAX
}

/// The most usual length comes first: what follows it is expiry and code.
fn usual(length: usize) -> usize {
    [16, 15, 14, 19, 18, 17, 13].iter().position(|usual| *usual == length).unwrap_or(usize::MAX)
}

/// Whether a scheme gives out numbers of these first digits and this length.
fn is_of_scheme(digits: &[u8]) -> bool {
    let first = |n: usize| digits[..n].iter().fold(0u32, |number, digit| number * 10 + u32::from(*digit));
    match (first(1), first(2), first(4), digits.len()) {
        (4, _, _, 13 | 16 | 19) => true,                       // Visa
        (_, 51..=55, _, 16) | (_, _, 2221..=2720, 16) => true, // Mastercard
        (_, 34 | 37, _, 15) => true,                           // American Express
        (_, 30 | 36 | 38 | 39, _, 14..=19) => true,            // Diners Club
        (_, _, 3528..=3589, 16..=19) => true,                  // JCB
        (6, _, _, 16..=19) => true,                            // Discover, UnionPay, RuPay, Maestro
        (_, 50 | 56..=58, _, 13..=19) => true,                 // Maestro
        (_, _, 2200..=2205 | 9792, 16..=19) => true,           // Mir, Troy
        _ => false,
    }
}

/// The first of the tokens with the last digits, which may be shown.
fn shown_from(card: &[Token]) -> usize {
    let mut shown = 0;
    let from = card.iter().rposition(|token| {
        shown += token.digits.len();
        shown > SHOWN
    });
    from.map_or(card.len(), |from| from + 1)
}

/// The codes that go with a card: announced by a word, or alone in a line soon after it.
fn codes(text: &str, tokens: &[Token], after: usize) -> Vec<Range<usize>> {
    let (mut found, mut begin) = (vec![], 0);
    let mut lines_after = 0;
    while begin < tokens.len() {
        // Digits in words stand apart, and are one code.
        let in_words = !text[tokens[begin].range.clone()].chars().all(char::is_numeric);
        let close = if in_words { Gap::Signs } else { Gap::Nothing };
        let end = begin + 1 + tokens[begin + 1..].iter().take_while(|token| token.gap <= close).count();
        let digits: usize = tokens[begin..end].iter().map(|token| token.digits.len()).sum();
        let before = &text[begin.checked_sub(1).map_or(0, |last| tokens[last].range.end)..tokens[begin].range.start];
        let next = &text[tokens[end - 1].range.end..tokens.get(end).map_or(text.len(), |next| next.range.start)];
        lines_after += if begin >= after { before.matches('\n').count() } else { 0 };
        let words = before.rsplit('\n').next().unwrap_or_default().to_lowercase();
        let mut words = words.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).rev();
        let announced = words
            .by_ref()
            .take(ANNOUNCED_WITHIN)
            .any(|word| CODE_WORDS.contains(&word) || CODE_SIGNS.iter().any(|sign| word.contains(sign)));
        let alone = (1..=LINES_AFTER_MAX).contains(&lines_after)
            && before.contains('\n')
            && (next.contains('\n') || end == tokens.len());
        if CODE_DIGITS.contains(&digits) && (announced || alone) {
            found.extend(tokens[begin..end].iter().map(|token| token.range.clone()));
        }
        begin = end;
    }
    found
}

/// The check digit of ISO/IEC 7812 (Luhn).
fn checks_out(digits: &[u8]) -> bool {
    let doubled = |(n, digit): (usize, &u8)| match (n % 2, u32::from(*digit) * 2) {
        (0, twice) => twice / 2,
        (_, twice) if twice > 9 => twice - 9,
        (_, twice) => twice,
    };
    digits.iter().rev().enumerate().map(doubled).sum::<u32>() % 10 == 0
}

/// Whether the digits that a text ends in may be the beginning of a card's number, or `open` says that it goes on one.
pub(super) fn may_go_on(tokens: &[Token], ends_in_words: bool, open: bool) -> bool {
    if ends_in_words {
        return false;
    }
    let Some(last) = tokens.len().checked_sub(1) else { return false };
    let begin = (1..=last).rev().find(|n| tokens[*n].gap > Gap::Words).unwrap_or(0);
    let row: Vec<u8> = tokens[begin..].iter().flat_map(|token| token.digits.clone()).collect();
    let begins_like_one = matches!(row[0], 3..=6) || row[0] == 2 && row.get(1).is_none_or(|second| *second <= 7);
    row.len() < *DIGITS.end() && (open || begins_like_one)
}
