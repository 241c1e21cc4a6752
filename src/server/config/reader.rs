//! Reads tables and gathers mistakes instead of stopping at the first.
//!
//! Invariant: every key of a section is either read or told as unknown; a first mistake brings no followers: what a misspelt
//! key stands for is not told as missing, and what was badly said is not judged further. *Required* and *given* mean the same
//! everywhere: an empty text, an empty list and an empty secret are mistakes, unless the key says that silence is meant.

use std::cell::RefCell;
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bellhop_call::drill::Drill;
use bellhop_call::failure::{ChildName, Fault};
use bellhop_call::phase::PhaseName;
use bellhop_dialogue::Fields;
use bellhop_tenancy::Secret;
use serde_json::Value as Json;
use toml::de::{DeTable, DeValue};

use super::files::{SECRET_MAX, read_text};
use super::mistakes::{Mistake, Mistakes};
use super::places::Places;
use bellhop_adapters::likely::{hint, likely};

/// Where a reading gathers what it finds.
pub(super) struct Gathered {
    places: Places,
    folder: PathBuf,
    found: RefCell<Vec<Mistake>>,
    mark: RefCell<DefaultHasher>,
}

/// Two of one mark say the same: what is written, and what that leads to (secrets, scripts). Shows nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark(u64);

/// The keys of a table that belong to no tenant, by path, each with its mark.
pub(super) fn marks_of_node(table: &DeTable<'_>) -> BTreeMap<String, Mark> {
    let mut marks = BTreeMap::new();
    let node = table.iter().filter(|(key, _)| key.get_ref() != "tenants");
    node.for_each(|(key, value)| mark_leaves(key.get_ref(), value.get_ref(), &mut marks));
    marks
}

fn mark_leaves(path: &str, value: &DeValue<'_>, marks: &mut BTreeMap<String, Mark>) {
    if let DeValue::Table(table) = value {
        let each = table.iter().map(|(key, value)| (format!("{path}.{}", key.get_ref()), value.get_ref()));
        return each.for_each(|(path, value)| mark_leaves(&path, value, marks));
    }
    let mut mark = DefaultHasher::new();
    json(value).to_string().hash(&mut mark);
    marks.insert(path.to_owned(), Mark(mark.finish()));
}

impl Gathered {
    pub(super) fn new(places: Places) -> Self {
        let folder = places.file().parent().unwrap_or(Path::new("")).to_owned();
        Self { places, folder, found: RefCell::default(), mark: RefCell::default() }
    }

    fn add(&self, path: &str, why: String) {
        let mistake = self.places.mistake(path, why);
        self.found.borrow_mut().push(mistake);
    }

    pub(super) fn into_mistakes(self) -> Mistakes {
        self.found.into_inner().into_iter().collect()
    }
}

/// One table of the file.
pub(super) struct Section<'a> {
    path: String,
    table: Option<&'a DeTable<'a>>,
    gathered: &'a Gathered,
    read: RefCell<BTreeSet<String>>,
    missing: RefCell<Vec<(String, String)>>,
    secrets: RefCell<BTreeMap<String, String>>,
}

impl<'a> Section<'a> {
    pub(super) fn root(table: &'a DeTable<'a>, gathered: &'a Gathered) -> Self {
        Self::at(String::new(), Some(table), gathered)
    }

    fn at(path: String, table: Option<&'a DeTable<'a>>, gathered: &'a Gathered) -> Self {
        let (read, missing, secrets) = Default::default();
        Self { path, table, gathered, read, missing, secrets }
    }

    /// A mistake in what a key says; `key[3]` is the fourth of its list.
    pub(super) fn mistake(&self, key: &str, why: &str) {
        self.gathered.add(&self.path_of(key), why.to_owned());
    }

    /// Which of a list of sections this is.
    pub(super) fn index(&self) -> Option<usize> {
        self.path.rsplit_once('[')?.1.strip_suffix(']')?.parse().ok()
    }

    /// Begins the mark of a section with all that is written in it.
    pub(super) fn begin_mark(&self) {
        let mut mark = DefaultHasher::new();
        let written = self.table.into_iter().flatten();
        written.for_each(|(key, value)| (key.get_ref(), json(value.get_ref()).to_string()).hash(&mut mark));
        self.gathered.mark.replace(mark);
    }

    /// What a section leads to goes into its mark.
    pub(super) fn leads_to(&self, text: &str) {
        text.hash(&mut *self.gathered.mark.borrow_mut());
    }

    /// The mark of what has been read since it was begun.
    pub(super) fn mark(&self) -> Mark {
        Mark(self.gathered.mark.borrow().finish())
    }

    /// How many mistakes there are by now, in the whole file.
    pub(super) fn mistakes(&self) -> usize {
        self.gathered.found.borrow().len()
    }

    /// A path that the file names: relative ones start at the file's own folder.
    pub(super) fn relative(&self, path: &str) -> PathBuf {
        self.gathered.folder.join(path)
    }

    /// A section that may be missing: everything in it has a default, or is told as missing.
    pub(super) fn section(&self, key: &str) -> Section<'a> {
        let table = match self.get(key) {
            None => None,
            Some(DeValue::Table(table)) => Some(table),
            Some(_) => {
                self.mistake(
                    key,
                    &format!("is not a section: write [{}]", self.gathered.places.spoken(&self.path_of(key))),
                );
                None
            }
        };
        Section::at(self.path_of(key), table, self.gathered)
    }

    pub(super) fn optional_section(&self, key: &str) -> Option<Section<'a>> {
        let section = self.section(key);
        section.table.is_some().then_some(section)
    }

    /// A section that must be there; without it there is one mistake, and none for what would stand in it.
    pub(super) fn required_section(&self, key: &str) -> Option<Section<'a>> {
        if !self.has(key) {
            self.miss(key, "is missing: add this section");
        }
        self.optional_section(key)
    }

    pub(super) fn sections(&self, key: &str) -> Vec<Section<'a>> {
        let Some(value) = self.get(key) else {
            self.miss(key, "is missing: add a section, [[tenants]]");
            return vec![];
        };
        let DeValue::Array(array) = value else {
            // `[tenants.assistant]` below `[[tenant]]`: the header alone is misspelt.
            match likely(key, self.unread().iter().map(String::as_str)) {
                Some(written) => {
                    self.get(written);
                    self.mistake_in_key(written, format!("is not a known key: did you mean `{key}`?"));
                }
                None => self.mistake(key, "is not a list of sections: write [[tenants]] before the first of them"),
            }
            return vec![];
        };
        if array.is_empty() {
            self.mistake(key, "is empty: add a section, [[tenants]]");
        }
        let section = |(n, element): (usize, &'a toml::Spanned<DeValue<'a>>)| {
            let path = format!("{}[{n}]", self.path_of(key));
            let DeValue::Table(table) = element.get_ref() else {
                self.gathered.add(&path, "is not a section: write [[tenants]]".to_owned());
                return None;
            };
            Some(Section::at(path, Some(table), self.gathered))
        };
        array.iter().enumerate().filter_map(section).collect()
    }

    /// A text that may be empty, where that means something.
    pub(super) fn text_or_silence(&self, key: &str) -> Option<String> {
        match self.get(key)? {
            DeValue::String(text) => Some(text.to_string()),
            other => {
                self.mistake(key, &format!("is {} where a text is expected", kind(other)));
                None
            }
        }
    }

    /// A text; an empty one is a mistake.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        let text = self.text_or_silence(key)?;
        if text.trim().is_empty() {
            self.mistake(key, "is empty: say what it is, or leave the key out");
            return None;
        }
        Some(text)
    }

    /// A text that must be there; empty if it is not, which has been told then.
    pub(super) fn required_text(&self, key: &str) -> String {
        match self.get(key) {
            None => self.miss(key, "is missing"),
            Some(DeValue::String(text)) if text.trim().is_empty() => {
                self.mistake(key, "is empty, and it is required");
                return String::new();
            }
            Some(_) => {}
        }
        self.text(key).unwrap_or_default()
    }

    /// A list of texts, none of them empty; an empty list is a mistake.
    pub(super) fn texts(&self, key: &str) -> Option<Vec<String>> {
        if matches!(self.get(key)?, DeValue::Array(array) if array.is_empty()) {
            self.mistake(key, "is an empty list: name something, or leave the key out");
        }
        self.texts_or_none(key)
    }

    /// The same where an empty list means nobody.
    pub(super) fn texts_or_none(&self, key: &str) -> Option<Vec<String>> {
        let DeValue::Array(array) = self.get(key)? else {
            self.mistake(key, "is not a list of texts like [\"one\", \"two\"]");
            return None;
        };
        let text = |(n, value): (usize, &toml::Spanned<DeValue<'_>>)| match value.get_ref() {
            DeValue::String(text) if !text.trim().is_empty() => Some(text.to_string()),
            DeValue::String(_) => {
                self.mistake(&format!("{key}[{n}]"), "an empty text is none");
                None
            }
            other => {
                self.mistake(&format!("{key}[{n}]"), &format!("{} where a text is expected", kind(other)));
                None
            }
        };
        Some(array.iter().enumerate().filter_map(text).collect())
    }

    /// A list of texts, each of which means something; those that do not are told with their own place.
    pub(super) fn list<T>(&self, key: &str, read: impl Fn(&str) -> Result<T, String>) -> Option<Vec<T>> {
        self.texts(key)?;
        let DeValue::Array(array) = self.get(key)? else { return None };
        let texts = array.iter().enumerate().filter_map(|(n, value)| Some((n, value.get_ref().as_str()?)));
        let each = |(n, text): (usize, &str)| read(text).map_err(|why| self.mistake(&format!("{key}[{n}]"), &why)).ok();
        Some(texts.filter(|(_, text)| !text.trim().is_empty()).filter_map(each).collect())
    }

    pub(super) fn number(&self, key: &str, range: RangeInclusive<usize>) -> Option<usize> {
        let value = self.get(key)?;
        let (first, last) = (range.start(), range.end());
        let DeValue::Integer(written) = value else {
            self.mistake(key, &format!("is {} where a whole number from {first} to {last} is expected", kind(value)));
            return None;
        };
        let number = i128::from_str_radix(written.as_str(), written.radix()).ok();
        let number = number.and_then(|n| usize::try_from(n).ok()).filter(|n| range.contains(n));
        if number.is_none() {
            self.mistake(key, &format!("`{written}` is not a whole number from {first} to {last}"));
        }
        number
    }

    /// A number from 0 to 1.
    pub(super) fn share(&self, key: &str) -> Option<f32> {
        let number = match self.get(key)? {
            DeValue::Float(written) => written.as_str().parse::<f32>().ok(),
            DeValue::Integer(written) => written.as_str().parse::<f32>().ok(),
            _ => None,
        };
        let share = number.filter(|share| (0.0..=1.0).contains(share));
        if share.is_none() {
            self.mistake(key, "is not a number from 0 to 1");
        }
        share
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        let DeValue::Boolean(flag) = self.get(key)? else {
            self.mistake(key, "is neither true nor false (without quotes)");
            return None;
        };
        Some(*flag)
    }

    pub(super) fn parsed<T: FromStr>(&self, key: &str, expected: &str) -> Option<T> {
        let text = self.text(key)?;
        let parsed = text.trim().parse().ok();
        if parsed.is_none() {
            self.mistake(key, &format!("`{text}` is not {expected}"));
        }
        parsed
    }

    pub(super) fn choice(&self, key: &str, choices: &[&str]) -> Option<usize> {
        let text = self.text(key)?;
        let chosen = choices.iter().position(|choice| *choice == text);
        if chosen.is_none() {
            let hint = hint(&text, choices.iter().copied());
            self.mistake(key, &format!("`{text}` is none of {}{hint}", choices.join(", ")));
        }
        chosen
    }

    pub(super) fn required_choice(&self, key: &str, choices: &[&str]) -> Option<usize> {
        if self.get(key).is_none() {
            self.miss(key, &format!("is missing: one of {}", choices.join(", ")));
        }
        self.choice(key, choices)
    }

    /// An URL of one of these schemes, with a host; empty if it is none, which has been told then.
    pub(super) fn required_url(&self, key: &str, schemes: &[&str]) -> String {
        let url = self.required_text(key);
        if url.is_empty() || self.is_url(key, &url, schemes) { url } else { String::new() }
    }

    /// The same where the key may be missing.
    pub(super) fn url(&self, key: &str, schemes: &[&str]) -> Option<String> {
        self.text(key).filter(|url| self.is_url(key, url, schemes))
    }

    fn is_url(&self, key: &str, url: &str, schemes: &[&str]) -> bool {
        let rest = schemes.iter().find_map(|scheme| url.strip_prefix(scheme));
        let why = match rest {
            None => Some(format!("does not begin with {}", schemes.join(" or "))),
            Some(rest) if rest.is_empty() || rest.starts_with(['/', ':', '?', '#']) => Some("names no host".to_owned()),
            Some(_) if url.contains(|c: char| c.is_whitespace() || c.is_control()) => Some("holds a blank".to_owned()),
            Some(_) => None,
        };
        if let Some(why) = &why {
            self.mistake(key, &format!("`{url}` {why}"));
        }
        why.is_none()
    }

    /// Whether a key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// The names of everything in a table whose keys are anybody's.
    pub(super) fn names(&self) -> Vec<String> {
        self.table.into_iter().flat_map(|table| table.keys().map(|key| key.get_ref().to_string())).collect()
    }

    /// A table of a service's own parameters, handed on as they are.
    pub(super) fn fields(&self, key: &str) -> Fields {
        match self.get(key) {
            None => Fields::new(),
            Some(DeValue::Table(table)) => {
                table.iter().map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref()))).collect()
            }
            Some(_) => {
                self.mistake(key, "is not a table like { model = \"en-US_Telephony\" }");
                Fields::new()
            }
        }
    }

    /// A secret that must be there: itself, `env:NAME`, or `file:/path`. Empty if it is not, which has been told then.
    pub(super) fn secret(&self, key: &str) -> Secret {
        let text = self.required_text(key);
        if text.is_empty() {
            return Secret::new("");
        }
        let refers = text.starts_with("env:") || text.starts_with("file:");
        if let Some(other) = refers.then(|| self.secrets.borrow_mut().insert(text.clone(), key.to_owned())).flatten()
            && other != key
        {
            self.mistake(key, &format!("names the same place as `{other}`: they are two secrets"));
        }
        let found = self.find_secret(&text).and_then(|secret| match secret.trim() {
            "" => Err("is empty".to_owned()),
            kept if kept.contains(char::is_control) => Err("is more than one line of text".to_owned()),
            _ => Ok(secret),
        });
        match found {
            Ok(secret) => {
                self.leads_to(&secret);
                Secret::new(secret)
            }
            Err(why) => {
                let source = if refers { format!("`{text}` ") } else { String::new() };
                self.mistake(key, &format!("{source}{why}"));
                Secret::new("")
            }
        }
    }

    fn find_secret(&self, text: &str) -> Result<String, String> {
        let one_line = |text: String| text.trim_start_matches('\u{feff}').trim().to_owned();
        if ["env:", "file:"].contains(&text.trim()) {
            return Err("names nothing".to_owned());
        }
        if let Some(name) = text.strip_prefix("env:") {
            return std::env::var(name.trim()).map(one_line).map_err(|error| match error {
                std::env::VarError::NotPresent => "is not set in the environment".to_owned(),
                std::env::VarError::NotUnicode(_) => "is not UTF-8 text".to_owned(),
            });
        }
        match text.strip_prefix("file:") {
            Some(path) => read_text(&self.relative(path.trim()), SECRET_MAX).map(one_line),
            None => Ok(text.to_owned()),
        }
    }

    /// Tells every key that nobody read, and every one that is missing and not merely misspelt.
    pub(super) fn finish(&self) {
        let meant = self.finish_missing();
        let known: Vec<String> = self.read.borrow().iter().filter(|key| !self.has(key)).cloned().collect();
        for key in self.unread().iter().filter(|key| !meant.contains(key)) {
            let hint = hint(key, known.iter().map(String::as_str));
            self.mistake_in_key(key, format!("is not a known key{hint}"));
        }
    }

    /// Tells what is missing, and does not judge the rest; returns the keys that were meant to be those.
    pub(super) fn finish_missing(&self) -> Vec<String> {
        let (unread, mut meant) = (self.unread(), vec![]);
        for (key, why) in self.missing.borrow_mut().drain(..) {
            match likely(&key, unread.iter().map(String::as_str)) {
                Some(written) => {
                    self.mistake_in_key(written, format!("is not a known key: did you mean `{key}`?"));
                    meant.push(written.to_owned());
                }
                None => self.mistake(&key, &why),
            }
        }
        meant
    }

    fn unread(&self) -> Vec<String> {
        self.names().into_iter().filter(|key| !self.read.borrow().contains(key)).collect()
    }

    fn mistake_in_key(&self, key: &str, why: String) {
        let mistake = self.gathered.places.mistake_in_key(&self.path_of(key), why);
        self.gathered.found.borrow_mut().push(mistake);
    }

    /// Notes that something is missing, unless it turns out to be misspelt.
    pub(super) fn miss(&self, key: &str, why: &str) {
        let mut missing = self.missing.borrow_mut();
        if !missing.iter().any(|(known, _)| known == key) {
            missing.push((key.to_owned(), why.to_owned()));
        }
    }

    fn get(&self, key: &str) -> Option<&'a DeValue<'a>> {
        self.read.borrow_mut().insert(key.to_owned());
        Some(self.table?.get(key)?.get_ref())
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// What a value is, with its article.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

fn json(value: &DeValue<'_>) -> Json {
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).map_or(Json::Null, Into::into),
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Json::Null, Into::into),
        DeValue::Boolean(flag) => (*flag).into(),
        DeValue::Datetime(date) => date.to_string().into(),
        DeValue::Array(array) => array.iter().map(|element| json(element.get_ref())).collect(),
        DeValue::Table(table) => {
            Json::Object(table.iter().map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref()))).collect())
        }
    }
}

/// `[drill]`: child, phase and fault of a failure to rehearse.
pub(super) fn drill(section: &Section<'_>) -> Option<Drill> {
    let children = ChildName::ALL.map(ChildName::label);
    let phases = PhaseName::DRILLED.map(PhaseName::label);
    let faults = Fault::ALL.map(Fault::label);
    let child = section.required_choice("child", &children);
    let phase = section.required_choice("phase", &phases);
    let fault = section.required_choice("fault", &faults);
    section.finish();
    Some(Drill { child: ChildName::ALL[child?], phase: PhaseName::DRILLED[phase?], fault: Fault::ALL[fault?] })
}
