//! Number words, and how two or three of them make one number.
//!
//! German and Dutch say the unit first and write one word (`einundvierzig`), Italian writes one word too (`quarantuno`); the
//! others say the tens first: `forty one`, `cuarenta y uno`, `quatre-vingt-onze`. Invariant: a word that is an ordinary one in
//! another language (`um`, `un`, `once`, `seize`) is a number beside other number words of its own language alone.

use std::cell::OnceCell;

use crate::words::Beginnings;

/// Units from 0 to 9.
const UNITS: [&[&str]; 10] = [
    &["zero", "oh", "o", "null", "cero", "zéro", "nul"],
    &["one", "eins", "uno", "une", "een", "één", "um", "uma", "un"],
    &["two", "zwei", "zwo", "dos", "deux", "due", "twee", "dois", "duas"],
    &["three", "drei", "tres", "trois", "tre", "drie", "três"],
    &["four", "vier", "cuatro", "quatre", "quattro", "quatro"],
    &["five", "fünf", "fuenf", "cinco", "cinq", "cinque", "vijf"],
    &["six", "sechs", "seis", "sei", "zes", "meia"],
    &["seven", "sieben", "siete", "sept", "sette", "zeven", "sete"],
    &["eight", "acht", "ocho", "huit", "otto", "oito"],
    &["nine", "neun", "nueve", "neuf", "nove", "negen"],
];

/// From 10 to 19. French has none from 17 on: it says `dix-sept`.
const TEENS: [&[&str]; 10] = [
    &["ten", "dez", "zehn", "dix", "diez", "dieci", "tien"],
    &["eleven", "onze", "elf", "once", "undici"],
    &["twelve", "doze", "zwölf", "zwoelf", "douze", "doce", "dodici", "twaalf"],
    &["thirteen", "treze", "dreizehn", "treize", "trece", "tredici", "dertien"],
    &["fourteen", "catorze", "quatorze", "vierzehn", "catorce", "quattordici", "veertien"],
    &["fifteen", "quinze", "fünfzehn", "fuenfzehn", "quince", "quindici", "vijftien"],
    &["sixteen", "dezesseis", "dezasseis", "sechzehn", "seize", "dieciséis", "dieciseis", "sedici", "zestien"],
    &["seventeen", "dezessete", "dezassete", "siebzehn", "diecisiete", "diciassette", "zeventien"],
    &["eighteen", "dezoito", "achtzehn", "dieciocho", "diciotto", "achttien"],
    &["nineteen", "dezenove", "dezanove", "neunzehn", "diecinueve", "diciannove", "negentien"],
];

/// From 20 to 90, where the unit comes after them.
const TENS: [&[&str]; 8] = [
    &["twenty", "vinte", "veinte", "vingt", "vingts", "venti"],
    &["thirty", "trinta", "treinta", "trente", "trenta"],
    &["forty", "quarenta", "cuarenta", "quarante", "quaranta"],
    &["fifty", "cinquenta", "cincuenta", "cinquante", "cinquanta"],
    &["sixty", "sessenta", "sesenta", "soixante", "sessanta"],
    &["seventy", "setenta", "septante", "settanta"],
    &["eighty", "oitenta", "ochenta", "huitante", "octante", "ottanta"],
    &["ninety", "noventa", "nonante", "novanta"],
];

/// The same where it comes before them, in one word.
const TENS_AFTER_UNITS: [&[&str]; 8] = [
    &["zwanzig", "twintig"],
    &["dreißig", "dreissig", "dertig"],
    &["vierzig", "veertig"],
    &["fünfzig", "fuenfzig", "vijftig"],
    &["sechzig", "zestig"],
    &["siebzig", "zeventig"],
    &["achtzig", "tachtig"],
    &["neunzig", "negentig"],
];

/// What the unit is tied to them with: German, Dutch.
const TIES: [&str; 3] = ["und", "en", "ën"];

/// Italian tens without their last letter, which is lost before a vowel.
const ITALIAN: [&str; 8] = ["vent", "trent", "quarant", "cinquant", "sessant", "settant", "ottant", "novant"];

/// Words that are numbers in one language and something else in another, and words of that one alone.
const AMBIGUOUS: [(&str, &[&str]); 4] = [("um", PORTUGUESE), ("un", FRENCH), ("seize", FRENCH), ("once", SPANISH)];
const PORTUGUESE: &[&str] = &[
    "dois",
    "duas",
    "quatro",
    "sete",
    "oito",
    "dez",
    "doze",
    "treze",
    "vinte",
    "trinta",
    "quarenta",
    "cinquenta",
    "sessenta",
    "oitenta",
];
const FRENCH: &[&str] = &[
    "zéro",
    "deux",
    "trois",
    "quatre",
    "cinq",
    "sept",
    "huit",
    "neuf",
    "dix",
    "douze",
    "treize",
    "vingt",
    "trente",
    "quarante",
    "cinquante",
    "soixante",
];
const SPANISH: &[&str] = &[
    "cero",
    "dos",
    "cuatro",
    "cinco",
    "siete",
    "ocho",
    "nueve",
    "diez",
    "doce",
    "trece",
    "catorce",
    "quince",
    "veinte",
    "treinta",
    "cuarenta",
    "cincuenta",
    "sesenta",
    "ochenta",
];

/// The longest number word, in bytes.
const WORD_MAX: usize = 20;

/// How number words begin; the last of them are written in one word with what follows.
pub(super) const BEGINNINGS: Beginnings = Beginnings::of(&UNITS)
    .and_of(&TEENS)
    .and_of(&TENS)
    .and_of(&TENS_AFTER_UNITS)
    .and_of(&[&ITALIAN, &["ein", "veinti"]]);

/// What a word says.
pub(super) struct Said {
    /// Values from 0 to 9: one, or two.
    pub(super) digits: Vec<u8>,
    /// What may come after it that makes one number with it.
    pub(super) takes: Takes,
}

/// What may come after a number word that makes one number with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    /// `forty one`.
    Unit,
    /// `dix-sept`.
    UnitFromSeven,
    /// `soixante et onze`, `quatre-vingt-douze`.
    UnitOrTeen,
}

/// Which ambiguous words are numbers in a text, once one of them is met.
pub(super) struct Company<'a> {
    text: &'a str,
    are_numbers: OnceCell<[bool; AMBIGUOUS.len()]>,
}

impl<'a> Company<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { text, are_numbers: OnceCell::new() }
    }

    fn are_numbers(&self) -> [bool; AMBIGUOUS.len()] {
        *self.are_numbers.get_or_init(|| numbers_beside_others(self.text))
    }

    /// What a word in small letters says, if it is a number here.
    pub(super) fn read(&self, word: &str) -> Option<Said> {
        let ambiguous = AMBIGUOUS.iter().position(|(one, _)| *one == word);
        if word.len() > WORD_MAX || ambiguous.is_some_and(|n| !self.are_numbers()[n]) {
            return None;
        }
        let digits = of_word(word)?;
        let takes = match word {
            "dix" => Takes::UnitFromSeven,
            "soixante" => Takes::UnitOrTeen,
            _ if place(&TENS, word).is_some() => Takes::Unit,
            _ => Takes::Nothing,
        };
        Some(Said { digits, takes })
    }
}

fn numbers_beside_others(text: &str) -> [bool; AMBIGUOUS.len()] {
    let mut are_numbers = [false; AMBIGUOUS.len()];
    for word in text.split(|c: char| !c.is_alphabetic()).filter(|word| (3..=WORD_MAX).contains(&word.len())) {
        let word = word.to_lowercase();
        for (is_number, (_, beside)) in are_numbers.iter_mut().zip(AMBIGUOUS) {
            *is_number |= beside.contains(&&*word);
        }
    }
    are_numbers
}

/// One number of two that stand beside each other, and what it takes in turn; none if they are two.
pub(super) fn joined(first: &[u8], takes: Takes, before: &str, second: &[u8], word: &str) -> Option<(Vec<u8>, Takes)> {
    let is = |text: &str, one: &str| text.eq_ignore_ascii_case(one);
    match (takes, first, second) {
        (Takes::Unit | Takes::UnitOrTeen, [tens, 0], [unit @ 1..=9]) => Some((vec![*tens, *unit], Takes::Nothing)),
        (Takes::UnitFromSeven, [tens, 0], [unit @ 7..=9]) => Some((vec![*tens, *unit], Takes::Nothing)),
        (Takes::UnitOrTeen, [tens, 0], [1, unit]) => {
            let takes = if is(word, "dix") { Takes::UnitFromSeven } else { Takes::Nothing };
            Some((vec![tens + 1, *unit], takes))
        }
        (_, [4], [2, 0]) if is(before, "quatre") && (is(word, "vingt") || is(word, "vingts")) => {
            Some((vec![8, 0], Takes::UnitOrTeen))
        }
        _ => None,
    }
}

/// The digits that a word says.
fn of_word(word: &str) -> Option<Vec<u8>> {
    if let Some(unit) = place(&UNITS, word) {
        return Some(vec![unit]);
    }
    if let Some(teen) = place(&TEENS, word) {
        return Some(vec![1, teen]);
    }
    if let Some(tens) = place(&TENS, word).or_else(|| place(&TENS_AFTER_UNITS, word)) {
        return Some(vec![tens + 2, 0]);
    }
    unit_first(word).or_else(|| spanish_twenties(word)).or_else(|| italian(word))
}

fn place(table: &[&[&str]], word: &str) -> Option<u8> {
    table.iter().position(|words| words.contains(&word)).map(|place| place as u8)
}

/// `einundvierzig`, `tweeëntwintig`.
fn unit_first(word: &str) -> Option<Vec<u8>> {
    let tied = |tens: &&str| word.strip_suffix(*tens).filter(|rest| !rest.is_empty());
    let (tens, rest) =
        TENS_AFTER_UNITS.iter().zip(2..).find_map(|(words, n)| Some((n, words.iter().find_map(tied)?)))?;
    let unit = TIES.iter().find_map(|tie| match rest.strip_suffix(tie)? {
        "ein" => Some(1),
        unit => place(&UNITS, unit),
    })?;
    Some(vec![tens, unit])
}

/// `veintiuno`, `veintidós`.
fn spanish_twenties(word: &str) -> Option<Vec<u8>> {
    let unit = match word.strip_prefix("veinti")? {
        "ún" | "una" => 1,
        "dós" => 2,
        "trés" => 3,
        "séis" => 6,
        unit => place(&UNITS, unit)?,
    };
    Some(vec![2, unit])
}

/// `ventuno`, `trentadue`, `quarantotto`, `cinquantatré`.
fn italian(word: &str) -> Option<Vec<u8>> {
    let (tens, rest) = ITALIAN.iter().zip(2..).find_map(|(stem, n)| Some((n, word.strip_prefix(stem)?)))?;
    let unit = match rest {
        "un" | "uno" | "una" => 1,
        "otto" => 8,
        _ => match rest.strip_prefix(['i', 'a'])? {
            "tré" => 3,
            unit => place(&UNITS, unit)?,
        },
    };
    Some(vec![tens, unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_word_begins_as_one_and_few_others_do() {
        let beginnings = BEGINNINGS;
        let lists = UNITS.iter().chain(&TEENS).chain(&TENS).chain(&TENS_AFTER_UNITS);
        for word in lists.copied().flatten().chain(&ITALIAN).chain(&["einundvierzig", "veintiuno"]) {
            assert!(beginnings.may_have(word) && beginnings.may_have(&word.to_uppercase()), "{word}");
        }
        let others = ["All", "our", "agents", "are", "busy", "please", "hold", "the", "line"];
        let known: Vec<_> = others.iter().filter(|word| beginnings.may_have(word)).collect();
        assert_eq!(known, [&"the"], "as three does");
        assert!(beginnings.may_have("ünf") && beginnings.may_have("m"));
    }
}
