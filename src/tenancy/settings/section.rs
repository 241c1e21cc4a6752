//! Reads sections of a document and gathers mistakes instead of stopping at the first.
//!
//! Invariant: every key of a section is either read or told as unknown; a first mistake brings no followers: what a misspelt
//! key stands for is not told as missing, and what was badly said is not judged further. *Required* and *given* mean the same
//! everywhere: an empty text, an empty list and an empty secret are mistakes, unless the key says that silence is meant.

use std::cell::RefCell;
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use super::value::{Table, Value};
use crate::likely::{hint, likely};
use crate::secret::Secret;

/// One mistake of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where: `tenants[3].assistant.script`.
    pub path: String,
    /// In which part of that.
    pub part: Part,
    /// What, and what to do.
    pub why: String,
}

/// What of a path is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The key itself: nobody knows it.
    Key,
    /// What it says, or that a section lacks it.
    Value,
}

/// What a document speaks of and does not hold.
pub trait Surroundings {
    /// The secret that stands at `env:NAME` or `file:PATH`, as one line; else a sentence without its subject.
    fn secret_at(&self, place: &str) -> Result<String, String>;

    /// A path of the document: relative ones start where it lies.
    fn path(&self, written: &str) -> PathBuf;
}

/// Where a reading gathers what it finds.
pub struct Gathered<'a> {
    around: &'a dyn Surroundings,
    found: RefCell<Vec<Mistake>>,
    mark: RefCell<DefaultHasher>,
    deprecated: RefCell<Vec<String>>,
}

/// Two of one mark say the same: what is written, and what that leads to (secrets, scripts). Shows nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(u64);

impl Mark {
    /// That of a value alone.
    pub fn of(value: &Value) -> Self {
        let mut mark = DefaultHasher::new();
        value.hash(&mut mark);
        Self(mark.finish())
    }
}

impl<'a> Gathered<'a> {
    /// Nothing yet.
    pub fn new(around: &'a dyn Surroundings) -> Self {
        Self { around, found: RefCell::default(), mark: RefCell::default(), deprecated: RefCell::default() }
    }

    fn add(&self, path: String, part: Part, why: String) {
        self.found.borrow_mut().push(Mistake { path, part, why });
    }

    /// A sentence for each old name that the document still uses; they are told once.
    pub fn take_deprecated(&self) -> Vec<String> {
        self.deprecated.take()
    }

    /// All that was found.
    pub fn into_mistakes(self) -> Vec<Mistake> {
        self.found.into_inner()
    }
}

/// One section of a document.
pub struct Section<'a> {
    path: String,
    table: Option<&'a Table>,
    gathered: &'a Gathered<'a>,
    read: RefCell<BTreeSet<String>>,
    missing: RefCell<Vec<(String, String)>>,
    secrets: RefCell<BTreeMap<String, String>>,
}

impl<'a> Section<'a> {
    /// The whole of a document.
    pub fn root(table: &'a Table, gathered: &'a Gathered<'a>) -> Self {
        Self::at(String::new(), Some(table), gathered)
    }

    fn at(path: String, table: Option<&'a Table>, gathered: &'a Gathered<'a>) -> Self {
        let (read, missing, secrets) = Default::default();
        Self { path, table, gathered, read, missing, secrets }
    }

    /// A mistake in what a key says; `key[3]` is the fourth of its list.
    pub fn mistake(&self, key: &str, why: &str) {
        self.gathered.add(self.path_of(key), Part::Value, why.to_owned());
    }

    /// Which of a list of sections this is.
    pub fn index(&self) -> Option<usize> {
        self.path.rsplit_once('[')?.1.strip_suffix(']')?.parse().ok()
    }

    /// Begins the mark of a section with all that is written in it.
    pub fn begin_mark(&self) {
        let mut mark = DefaultHasher::new();
        self.table.hash(&mut mark);
        self.gathered.mark.replace(mark);
    }

    /// What a section leads to goes into its mark.
    pub fn leads_to(&self, text: &str) {
        text.hash(&mut *self.gathered.mark.borrow_mut());
    }

    /// The mark of what has been read since it was begun.
    pub fn mark(&self) -> Mark {
        Mark(self.gathered.mark.borrow().finish())
    }

    /// How many mistakes there are by now, in the whole document.
    pub fn mistakes(&self) -> usize {
        self.gathered.found.borrow().len()
    }

    /// A path that the document names: relative ones start where it lies.
    pub fn relative(&self, path: &str) -> PathBuf {
        self.gathered.around.path(path)
    }

    /// A section that may be missing: everything in it has a default, or is told as missing.
    pub fn section(&self, key: &str) -> Section<'a> {
        let table = match self.get(key) {
            None => None,
            Some(Value::Table(table)) => Some(table),
            Some(other) => {
                self.mistake(key, &format!("is {} where a section is expected", other.kind()));
                None
            }
        };
        Section::at(self.path_of(key), table, self.gathered)
    }

    /// The same; none if it is not there.
    pub fn optional_section(&self, key: &str) -> Option<Section<'a>> {
        let section = self.section(key);
        section.table.is_some().then_some(section)
    }

    /// A section that may be missing, also under the name it had one release ago, which is told as deprecated.
    pub fn renamed_section(&self, key: &str, old: &str) -> Option<Section<'a>> {
        if self.has(key) || !self.has(old) {
            return self.optional_section(key);
        }
        self.deprecate(&format!("`[{}]`", self.path_of(old)), &format!("`[{key}]`"));
        self.optional_section(old)
    }

    /// Notes that an old name was used: it is read by this release and not by the next.
    fn deprecate(&self, old: &str, new: &str) {
        self.gathered
            .deprecated
            .borrow_mut()
            .push(format!("{old} is now called {new}: the next release knows the new name alone"));
    }

    /// A section that must be there; without it there is one mistake, and none for what would stand in it.
    pub fn required_section(&self, key: &str) -> Option<Section<'a>> {
        if !self.has(key) {
            self.miss(key, "is missing: add this section");
        }
        self.optional_section(key)
    }

    /// A list of sections that must be there, and have one at least.
    pub fn sections(&self, key: &str) -> Vec<Section<'a>> {
        let Some(value) = self.get(key) else {
            self.miss(key, &format!("is missing: add a section, [[{key}]]"));
            return vec![];
        };
        let Value::List(array) = value else {
            // `[tenants.assistant]` below `[[tenant]]`: the header alone is misspelt.
            match likely(key, self.unread().iter().map(String::as_str)) {
                Some(written) => {
                    self.get(written);
                    self.mistake_in_key(written, format!("is not a known key: did you mean `{key}`?"));
                }
                None => {
                    self.mistake(key, &format!("is not a list of sections: write [[{key}]] before the first of them"));
                }
            }
            return vec![];
        };
        if array.is_empty() {
            self.mistake(key, &format!("is empty: add a section, [[{key}]]"));
        }
        let section = |(n, element): (usize, &'a Value)| {
            let path = format!("{}[{n}]", self.path_of(key));
            let Value::Table(table) = element else {
                self.gathered.add(path, Part::Value, format!("is not a section: write [[{key}]]"));
                return None;
            };
            Some(Section::at(path, Some(table), self.gathered))
        };
        array.iter().enumerate().filter_map(section).collect()
    }

    /// A text that may be empty, where that means something.
    pub fn text_or_silence(&self, key: &str) -> Option<String> {
        match self.get(key)? {
            Value::Text(text) => Some(text.clone()),
            other => {
                self.mistake(key, &format!("is {} where a text is expected", other.kind()));
                None
            }
        }
    }

    /// A text; an empty one is a mistake.
    pub fn text(&self, key: &str) -> Option<String> {
        let text = self.text_or_silence(key)?;
        if text.trim().is_empty() {
            self.mistake(key, "is empty: say what it is, or leave the key out");
            return None;
        }
        Some(text)
    }

    /// A text that must be there; empty if it is not, which has been told then.
    pub fn required_text(&self, key: &str) -> String {
        match self.get(key) {
            None => self.miss(key, "is missing"),
            Some(Value::Text(text)) if text.trim().is_empty() => {
                self.mistake(key, "is empty, and it is required");
                return String::new();
            }
            Some(_) => {}
        }
        self.text(key).unwrap_or_default()
    }

    /// A list of texts, none of them empty; an empty list is a mistake.
    pub fn texts(&self, key: &str) -> Option<Vec<String>> {
        if matches!(self.get(key)?, Value::List(array) if array.is_empty()) {
            self.mistake(key, "is an empty list: name something, or leave the key out");
        }
        self.texts_or_none(key)
    }

    /// The same where an empty list means nobody.
    pub fn texts_or_none(&self, key: &str) -> Option<Vec<String>> {
        let Value::List(array) = self.get(key)? else {
            self.mistake(key, "is not a list of texts like [\"one\", \"two\"]");
            return None;
        };
        let text = |(n, value): (usize, &Value)| match value {
            Value::Text(text) if !text.trim().is_empty() => Some(text.clone()),
            Value::Text(_) => {
                self.mistake(&format!("{key}[{n}]"), "an empty text is none");
                None
            }
            other => {
                self.mistake(&format!("{key}[{n}]"), &format!("{} where a text is expected", other.kind()));
                None
            }
        };
        Some(array.iter().enumerate().filter_map(text).collect())
    }

    /// A list of texts, each of which means something; those that do not are told with their own place.
    pub fn list<T>(&self, key: &str, read: impl Fn(&str) -> Result<T, String>) -> Option<Vec<T>> {
        self.texts(key)?;
        let Value::List(array) = self.get(key)? else { return None };
        let texts = array.iter().enumerate().filter_map(|(n, value)| match value {
            Value::Text(text) => Some((n, text.as_str())),
            _ => None,
        });
        let each = |(n, text): (usize, &str)| read(text).map_err(|why| self.mistake(&format!("{key}[{n}]"), &why)).ok();
        Some(texts.filter(|(_, text)| !text.trim().is_empty()).filter_map(each).collect())
    }

    /// A whole number within a range.
    pub fn number(&self, key: &str, range: RangeInclusive<usize>) -> Option<usize> {
        let value = self.get(key)?;
        let (first, last) = (range.start(), range.end());
        let Value::Whole { written, number } = value else {
            self.mistake(key, &format!("is {} where a whole number from {first} to {last} is expected", value.kind()));
            return None;
        };
        let number = number.and_then(|n| usize::try_from(n).ok()).filter(|n| range.contains(n));
        if number.is_none() {
            self.mistake(key, &format!("`{written}` is not a whole number from {first} to {last}"));
        }
        number
    }

    /// A number from 0 to 1.
    pub fn share(&self, key: &str) -> Option<f32> {
        let number = match self.get(key)? {
            Value::Fraction(written) | Value::Whole { written, .. } => written.parse::<f32>().ok(),
            _ => None,
        };
        let share = number.filter(|share| (0.0..=1.0).contains(share));
        if share.is_none() {
            self.mistake(key, "is not a number from 0 to 1");
        }
        share
    }

    /// True or false.
    pub fn flag(&self, key: &str) -> Option<bool> {
        let Value::Flag(flag) = self.get(key)? else {
            self.mistake(key, "is neither true nor false (without quotes)");
            return None;
        };
        Some(*flag)
    }

    /// A text that means something; `expected` is what, with its article.
    pub fn parsed<T: FromStr>(&self, key: &str, expected: &str) -> Option<T> {
        let text = self.text(key)?;
        let parsed = text.trim().parse().ok();
        if parsed.is_none() {
            self.mistake(key, &format!("`{text}` is not {expected}"));
        }
        parsed
    }

    /// One of some words: which.
    pub fn choice(&self, key: &str, choices: &[&str]) -> Option<usize> {
        let text = self.text(key)?;
        let chosen = choices.iter().position(|choice| *choice == text);
        if chosen.is_none() {
            let hint = hint(&text, choices.iter().copied());
            self.mistake(key, &format!("`{text}` is none of {}{hint}", choices.join(", ")));
        }
        chosen
    }

    /// The same where some words have changed since the last release: `(old, new)`; an old one is told as deprecated.
    pub fn renamed_choice(&self, key: &str, choices: &[&str], renamed: &[(&str, &str)]) -> Option<usize> {
        let Some(Value::Text(written)) = self.get(key) else { return self.choice(key, choices) };
        let Some((old, new)) = renamed.iter().find(|(old, _)| old == written) else { return self.choice(key, choices) };
        self.deprecate(&format!("{}: `{old}`", self.path_of(key)), &format!("`{new}`"));
        choices.iter().position(|choice| choice == new)
    }

    /// The same where it must be there.
    pub fn required_choice(&self, key: &str, choices: &[&str]) -> Option<usize> {
        if self.get(key).is_none() {
            self.miss(key, &format!("is missing: one of {}", choices.join(", ")));
        }
        self.choice(key, choices)
    }

    /// An URL of one of these schemes, with a host; empty if it is none, which has been told then.
    pub fn required_url(&self, key: &str, schemes: &[&str]) -> String {
        let url = self.required_text(key);
        if url.is_empty() || self.is_url(key, &url, schemes) { url } else { String::new() }
    }

    /// The same where the key may be missing.
    pub fn url(&self, key: &str, schemes: &[&str]) -> Option<String> {
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
    pub fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.get(key).is_some())
    }

    /// The names of everything in a table whose keys are anybody's.
    pub fn names(&self) -> Vec<String> {
        self.table.into_iter().flat_map(Table::iter).map(|(key, _)| key.to_owned()).collect()
    }

    /// A table of a service's own parameters, handed on as it is.
    pub fn table(&self, key: &str) -> Option<&'a Table> {
        let Value::Table(table) = self.get(key)? else {
            self.mistake(key, "is not a table like { model = \"en-US_Telephony\" }");
            return None;
        };
        Some(table)
    }

    /// A secret that must be there: itself, `env:NAME`, or `file:/path`. Empty if it is not, which has been told then.
    pub fn secret(&self, key: &str) -> Secret {
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
        if ["env:", "file:"].contains(&text.trim()) {
            return Err("names nothing".to_owned());
        }
        if text.starts_with("env:") || text.starts_with("file:") {
            return self.gathered.around.secret_at(text);
        }
        Ok(text.to_owned())
    }

    /// Tells every key that nobody read, and every one that is missing and not merely misspelt.
    pub fn finish(&self) {
        let meant = self.finish_missing();
        let known: Vec<String> = self.read.borrow().iter().filter(|key| !self.has(key)).cloned().collect();
        for key in self.unread().iter().filter(|key| !meant.contains(key)) {
            let hint = hint(key, known.iter().map(String::as_str));
            self.mistake_in_key(key, format!("is not a known key{hint}"));
        }
    }

    /// Tells what is missing, and does not judge the rest; returns the keys that were meant to be those.
    pub fn finish_missing(&self) -> Vec<String> {
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
        self.gathered.add(self.path_of(key), Part::Key, why);
    }

    /// Notes that something is missing, unless it turns out to be misspelt.
    pub fn miss(&self, key: &str, why: &str) {
        let mut missing = self.missing.borrow_mut();
        if !missing.iter().any(|(known, _)| known == key) {
            missing.push((key.to_owned(), why.to_owned()));
        }
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.read.borrow_mut().insert(key.to_owned());
        self.table?.get(key)
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nowhere;

    impl Surroundings for Nowhere {
        fn secret_at(&self, place: &str) -> Result<String, String> {
            if place == "env:HELD" { Ok("held".into()) } else { Err("is not set in the environment".into()) }
        }

        fn path(&self, written: &str) -> PathBuf {
            PathBuf::from("/etc").join(written)
        }
    }

    /// Reads a document of JSON as a tenant's section is read; the mistakes as `path: why`.
    fn mistakes(json: &str) -> Vec<String> {
        let Value::Table(table) = serde_json::from_str(json).expect("JSON") else { panic!("a section") };
        let gathered = Gathered::new(&Nowhere);
        let root = Section::root(&table, &gathered);
        root.required_text("name");
        root.list("numbers", |text| crate::Number::parse(text).map_err(|error| error.to_string()));
        root.number("max_calls", 1..=100);
        root.flag("ring");
        root.choice("on_setup_failure", &["answer_then_bye", "service_unavailable"]);
        root.share("confidence");
        if let Some(section) = root.required_section("connect") {
            section.secret("key");
            section.required_url("url", &["https://"]);
            section.finish();
        }
        root.section("media").finish();
        root.finish();
        let told = gathered.into_mistakes().into_iter();
        let mut told: Vec<String> = told.map(|Mistake { path, why, .. }| format!("{path}: {why}")).collect();
        told.sort();
        told
    }

    #[test]
    fn a_document_that_is_no_toml_is_told_every_mistake_at_once_in_the_same_words() {
        let good = r#"{"name": "acme", "numbers": ["+18005550123"], "max_calls": 7, "ring": true, "confidence": 0.5,
            "connect": {"key": "env:HELD", "url": "https://a"}}"#;
        assert_eq!(mistakes(good), [""; 0]);
        let bad = r#"{"nmae": "acme", "numbers": ["+18005550123", 7, "call me"], "max_calls": 1e3, "ring": "yes",
            "on_setup_failure": "service_unavailible", "confidence": 7, "connect": {"key": "env:LOST", "url": null},
            "media": [], "speed": 3}"#;
        assert_eq!(
            mistakes(bad),
            [
                "confidence: is not a number from 0 to 1",
                "connect.key: `env:LOST` is not set in the environment",
                "connect.url: is nothing where a text is expected",
                "max_calls: is a number with a point where a whole number from 1 to 100 is expected",
                "media: is a list where a section is expected",
                "nmae: is not a known key: did you mean `name`?",
                "numbers[1]: a whole number where a text is expected",
                "numbers[2]: `call me` is not a telephone number: digits with an optional leading +, blanks, dots, dashes and brackets; 3 to 15 digits",
                "on_setup_failure: `service_unavailible` is none of answer_then_bye, service_unavailable: did you mean `service_unavailable`?",
                "ring: is neither true nor false (without quotes)",
                "speed: is not a known key",
            ]
        );
    }

    #[test]
    fn a_mark_tells_whether_two_documents_say_the_same_and_shows_nothing() {
        let mark = |json: &str, leads_to: &str| {
            let Value::Table(table) = serde_json::from_str(json).expect("JSON") else { panic!("a section") };
            let gathered = Gathered::new(&Nowhere);
            let root = Section::root(&table, &gathered);
            root.begin_mark();
            root.leads_to(leads_to);
            assert!(!format!("{table:?}").contains("s3cret"), "{table:?}");
            root.mark()
        };
        let first = mark(r#"{"key": "s3cret"}"#, "a script");
        assert_eq!(first, mark(r#"{ "key":   "s3cret" }"#, "a script"));
        assert_ne!(first, mark(r#"{"key": "s4cret"}"#, "a script"));
        assert_ne!(first, mark(r#"{"key": "s3cret"}"#, "another"), "what it leads to counts too");
    }
}
