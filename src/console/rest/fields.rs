//! The fields of a resource's own body: names, titles, limits. Documents of settings are read in `src/tenancy/settings/`.
//!
//! Invariant: every mistake of a body is told at once, in the sentences of the one reader of documents; a field that nobody reads is
//! a mistake.

use std::ops::RangeInclusive;
use std::str::FromStr;

use bellhop_tenancy::settings::{Alone, Gathered, Section, Table};

use crate::problem::Problem;

/// The fields of a body.
pub(super) struct Fields<'a>(Section<'a>);

/// Reads the fields of a body; every mistake if there is one.
pub(super) fn read<T>(document: &Table, read: impl FnOnce(&Fields<'_>) -> T) -> Result<T, Problem> {
    let gathered = Gathered::new(&Alone);
    let fields = Fields(Section::root(document, &gathered));
    let value = read(&fields);
    fields.0.finish();
    drop(fields);
    let mistakes = gathered.into_mistakes();
    if mistakes.is_empty() { Ok(value) } else { Err(Problem::mistakes(&mistakes, document)) }
}

impl Fields<'_> {
    /// One line of text that must be there.
    pub(super) fn line(&self, key: &str, chars_max: usize) -> String {
        let text = self.0.required_text(key);
        self.bounded(key, text, chars_max)
    }

    /// The same if it is there; an empty one is nothing.
    pub(super) fn line_or_none(&self, key: &str, chars_max: usize) -> String {
        let text = self.0.text_or_silence(key).unwrap_or_default();
        self.bounded(key, text, chars_max)
    }

    fn bounded(&self, key: &str, text: String, chars_max: usize) -> String {
        if text.chars().count() > chars_max {
            self.0.mistake(key, &format!("is longer than {chars_max} characters"));
        } else if text.contains(char::is_control) {
            self.0.mistake(key, "is more than one line of text");
        }
        text
    }

    /// What a text that must be there means.
    pub(super) fn parsed<T: FromStr>(&self, key: &str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        self.meant(key, |text| text.parse().map_err(|error: T::Err| error.to_string()))
    }

    /// What a text means if it is there.
    pub(super) fn parsed_or_none<T: FromStr>(&self, key: &str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        if self.0.has(key) { self.parsed(key) } else { self.0.text_or_silence(key).and(None) }
    }

    /// The same by whoever reads it.
    pub(super) fn meant<T>(&self, key: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = self.0.required_text(key);
        if text.is_empty() {
            return None; // told
        }
        read(&text).map_err(|why| self.0.mistake(key, &why)).ok()
    }

    /// One of some words that must be there.
    pub(super) fn choice(&self, key: &str, words: &[&str]) -> Option<usize> {
        self.0.required_choice(key, words)
    }

    /// A whole number that must be there.
    pub(super) fn number(&self, key: &str, range: RangeInclusive<usize>) -> Option<usize> {
        if !self.0.has(key) {
            self.0.miss(key, "is missing");
        }
        self.0.number(key, range)
    }

    /// A whole number if it is there.
    pub(super) fn number_or_none(&self, key: &str, range: RangeInclusive<usize>) -> Option<usize> {
        self.0.number(key, range)
    }

    /// True or false, which must be there.
    pub(super) fn required_flag(&self, key: &str) -> Option<bool> {
        if !self.0.has(key) {
            self.0.miss(key, "is missing");
        }
        self.0.flag(key)
    }

    /// True or false; that is what it is if it is not there.
    pub(super) fn flag(&self, key: &str, usual: bool) -> bool {
        self.0.flag(key).unwrap_or(usual)
    }
}
