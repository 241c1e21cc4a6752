//! Reads tables and gathers mistakes instead of stopping at the first.
//!
//! Invariant: every key of a section is either read or told as unknown.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bellhop_actors::call::phase::PhaseName;
use bellhop_actors::reception::Drill;
use bellhop_actors::supervision::{ChildName, Fault};
use bellhop_dialogue::Fields;
use bellhop_tenancy::Secret;
use toml::{Table, Value};

/// One mistake: where and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    file: PathBuf,
    key: String,
    why: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => write!(f, "{}: {}", self.file.display(), self.why),
            key => write!(f, "{}: {key}: {}", self.file.display(), self.why),
        }
    }
}

/// Every mistake of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    pub(super) fn one(file: &Path, key: &str, why: String) -> Self {
        Self::found(file, vec![(key.to_owned(), why)])
    }

    /// Mistakes that were found in what the file names: key and why.
    pub fn found(file: &Path, found: Vec<(String, String)>) -> Self {
        Self(found.into_iter().map(|(key, why)| Mistake { file: file.to_owned(), key, why }).collect())
    }

    /// All of them.
    pub fn list(&self) -> &[Mistake] {
        &self.0
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Mistakes {}

/// Where a reading gathers what it finds.
pub(super) struct Gathered {
    file: PathBuf,
    found: RefCell<Vec<(String, String)>>,
}

impl Gathered {
    pub(super) fn in_file(file: &Path) -> Self {
        Self { file: file.to_owned(), found: RefCell::default() }
    }

    fn add(&self, key: &str, why: String) {
        self.found.borrow_mut().push((key.to_owned(), why));
    }

    pub(super) fn into_result<T>(self, good: T) -> Result<T, Mistakes> {
        let found = self.found.into_inner();
        if found.is_empty() { Ok(good) } else { Err(Mistakes::found(&self.file, found)) }
    }
}

/// One table of the file.
pub(super) struct Section<'a> {
    path: String,
    table: Option<&'a Table>,
    mistakes: &'a Gathered,
    read: RefCell<BTreeSet<String>>,
}

impl<'a> Section<'a> {
    pub(super) fn root(table: &'a Table, mistakes: &'a Gathered) -> Self {
        Self { path: String::new(), table: Some(table), mistakes, read: RefCell::default() }
    }

    pub(super) fn mistake(&self, key: &str, why: &str) {
        self.mistakes.add(&self.path_of(key), why.to_owned());
    }

    /// A section that may be missing: everything in it has a default, or is told as missing.
    pub(super) fn section(&self, key: &str) -> Section<'a> {
        let table = self.get(key).and_then(|value| match value {
            Value::Table(table) => Some(table),
            _ => {
                self.mistake(key, "is not a section");
                None
            }
        });
        Section { path: self.path_of(key), table, mistakes: self.mistakes, read: RefCell::default() }
    }

    pub(super) fn optional_section(&self, key: &str) -> Option<Section<'a>> {
        self.table?.contains_key(key).then(|| self.section(key))
    }

    pub(super) fn sections(&self, key: &str) -> Vec<Section<'a>> {
        let tables = match self.get(key) {
            Some(Value::Array(array)) => array.iter().filter_map(Value::as_table).collect(),
            Some(_) => {
                self.mistake(key, "is not a list of sections: write [[tenants]]");
                vec![]
            }
            None => vec![],
        };
        let section = |(n, table)| Section {
            path: format!("{}[{n}]", self.path_of(key)),
            table: Some(table),
            mistakes: self.mistakes,
            read: RefCell::default(),
        };
        tables.into_iter().enumerate().map(section).collect()
    }

    pub(super) fn text(&self, key: &str) -> Option<String> {
        match self.get(key)? {
            Value::String(text) => Some(text.clone()),
            other => {
                self.mistake(key, &format!("is a {} where a text is expected", other.type_str()));
                None
            }
        }
    }

    pub(super) fn required_text(&self, key: &str) -> String {
        if self.get(key).is_none() {
            self.mistake(key, "is missing");
        }
        self.text(key).unwrap_or_default()
    }

    pub(super) fn texts(&self, key: &str) -> Option<Vec<String>> {
        let Value::Array(array) = self.get(key)? else {
            self.mistake(key, "is not a list of texts");
            return None;
        };
        let texts: Vec<String> = array.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect();
        if texts.len() != array.len() {
            self.mistake(key, "is not a list of texts");
        }
        Some(texts)
    }

    pub(super) fn number(&self, key: &str, range: RangeInclusive<usize>) -> Option<usize> {
        let number = self.get(key)?.as_integer().and_then(|n| usize::try_from(n).ok()).filter(|n| range.contains(n));
        if number.is_none() {
            self.mistake(key, &format!("is not a whole number from {} to {}", range.start(), range.end()));
        }
        number
    }

    /// A number from 0 to 1.
    pub(super) fn share(&self, key: &str) -> Option<f32> {
        let value = self.get(key)?;
        let number = value.as_float().or_else(|| value.as_integer().map(|n| n as f64));
        let share = number.filter(|share| (0.0..=1.0).contains(share)).map(|share| share as f32);
        if share.is_none() {
            self.mistake(key, "is not a number from 0 to 1");
        }
        share
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        let flag = self.get(key)?.as_bool();
        if flag.is_none() {
            self.mistake(key, "is neither true nor false");
        }
        flag
    }

    pub(super) fn parsed<T: FromStr>(&self, key: &str, expected: &str) -> Option<T> {
        let text = self.text(key)?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.mistake(key, &format!("`{text}` is not {expected}"));
        }
        parsed
    }

    pub(super) fn choice(&self, key: &str, choices: &[&str]) -> Option<usize> {
        let text = self.text(key)?;
        let chosen = choices.iter().position(|choice| *choice == text);
        if chosen.is_none() {
            self.mistake(key, &format!("`{text}` is none of: {}", choices.join(", ")));
        }
        chosen
    }

    pub(super) fn required_choice(&self, key: &str, choices: &[&str]) -> Option<usize> {
        if self.get(key).is_none() {
            self.mistake(key, &format!("is missing: one of {}", choices.join(", ")));
        }
        self.choice(key, choices)
    }

    /// Whether a key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// A table of a service's own parameters, handed on as they are.
    pub(super) fn fields(&self, key: &str) -> Fields {
        match self.get(key) {
            None => Fields::new(),
            Some(Value::Table(table)) => {
                serde_json::to_value(table).ok().and_then(|value| value.as_object().cloned()).unwrap_or_default()
            }
            Some(_) => {
                self.mistake(key, "is not a table like { model = \"en-US_Telephony\" }");
                Fields::new()
            }
        }
    }

    /// A secret: itself, `env:NAME`, or `file:/path`.
    pub(super) fn secret(&self, key: &str) -> Secret {
        let text = self.required_text(key);
        let found = if let Some(name) = text.strip_prefix("env:") {
            std::env::var(name).map_err(|_| format!("the environment variable {name} is not set"))
        } else if let Some(path) = text.strip_prefix("file:") {
            let read = std::fs::read_to_string(path).map(|text| text.trim().to_owned());
            read.map_err(|error| format!("the file {path} cannot be read: {error}"))
        } else {
            Ok(text)
        };
        match found {
            Ok(secret) => Secret::new(secret),
            Err(why) => {
                self.mistake(key, &why);
                Secret::new("")
            }
        }
    }

    /// Tells every key that nobody read.
    pub(super) fn finish(&self) {
        let read = self.read.borrow();
        for key in self.table.into_iter().flat_map(Table::keys).filter(|key| !read.contains(*key)) {
            self.mistake(key, "is not a known key");
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
