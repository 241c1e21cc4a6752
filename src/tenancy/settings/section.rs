//! Reads sections of a document and gathers mistakes instead of stopping at the first. What single keys say: `keys.rs`,
//! `secrets.rs`.
//!
//! Invariant: every key of a section is either read or told as unknown; a first mistake brings no followers: what a
//! misspelt key stands for is not told as missing, and what was badly said is not judged further.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::asks::Asks;
use super::gathered::{Gathered, Mark, NamedUrl};
use super::mistake::Part;
use super::value::{Table, Value};
use crate::likely::{hint, likely};

/// One section of a document.
pub struct Section<'a> {
    path: String,
    table: Option<&'a Table>,
    pub(super) gathered: &'a Gathered<'a>,
    read: RefCell<BTreeSet<String>>,
    missing: RefCell<Vec<(String, String)>>,
    /// The places of secrets, each with the key that names it.
    pub(super) places: RefCell<BTreeMap<String, String>>,
}

impl<'a> Section<'a> {
    /// The whole of a document.
    pub fn root(table: &'a Table, gathered: &'a Gathered<'a>) -> Self {
        Self::at(String::new(), Some(table), gathered)
    }

    fn at(path: String, table: Option<&'a Table>, gathered: &'a Gathered<'a>) -> Self {
        let (read, missing, places) = Default::default();
        Self { path, table, gathered, read, missing, places }
    }

    /// A mistake in what a key says; `key[3]` is the fourth of its list.
    pub fn mistake(&self, key: &str, why: &str) {
        self.gathered.add(self.path_of(key), Part::Value, why.to_owned());
    }

    /// Which of a list of sections this is.
    pub fn index(&self) -> Option<usize> {
        self.path.rsplit_once('[')?.1.strip_suffix(']')?.parse().ok()
    }

    /// Begins the mark of a section with all that is written in it, but for one key.
    pub fn begin_mark_but(&self, key: &str) {
        let rest = |table: &Table| -> Table {
            let all = table.iter().filter(|(known, _)| *known != key);
            all.map(|(known, value)| (known.to_owned(), value.clone())).collect()
        };
        self.gathered.begin_mark(self.table.map(rest).as_ref());
    }

    /// What a section leads to goes into its mark.
    pub fn leads_to(&self, text: &str) {
        self.gathered.leads_to(text);
    }

    /// So does the text of a file that it names, as far as it can be read.
    pub(super) fn leads_to_file(&self, path: &Path) {
        if let Some(text) = self.gathered.around().text_at(path) {
            self.leads_to(&text);
        }
    }

    /// The mark of what has been read since it was begun.
    pub fn mark(&self) -> Mark {
        self.gathered.mark()
    }

    /// The URLs that were read of this section and what stands in it, by their path there.
    pub fn urls(&self) -> Vec<NamedUrl> {
        self.gathered.urls_of(&self.path)
    }

    /// How many mistakes there are by now, in the whole document.
    pub fn mistakes(&self) -> usize {
        self.gathered.count()
    }

    /// A path that the document names: relative ones start where it lies.
    pub fn relative(&self, path: &str) -> PathBuf {
        self.gathered.around().path(path)
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
        (section.table.is_some() && self.has(key)).then_some(section)
    }

    /// A section that must be there; without it there is one mistake, and none for what would stand in it.
    pub fn required_section(&self, key: &str) -> Option<Section<'a>> {
        if !self.has(key) {
            self.miss(key, "is missing: add this section");
        }
        self.optional_section(key)
    }

    /// A list of sections that must be there, and have one at least; `or_else` says what else can be done.
    pub fn sections(&self, key: &str, or_else: &str) -> Vec<Section<'a>> {
        let Some(value) = self.get(key) else {
            self.miss(key, &format!("is missing: add a section, [[{key}]]{or_else}"));
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

    /// Whether a key is there; a field of a form that was left empty is not.
    pub fn has(&self, key: &str) -> bool {
        self.table.and_then(|table| table.get(key)).is_some_and(|value| !value.is_blank())
    }

    /// The names of everything in a table whose keys are anybody's.
    pub fn names(&self) -> Vec<String> {
        self.table.into_iter().flat_map(Table::iter).map(|(key, _)| key.to_owned()).collect()
    }

    /// Notes that its keys are anybody's, and what each is asked for.
    pub(super) fn has_any_names(&self, asks: Asks) {
        self.gathered.is_asked(|| self.path.clone(), || asks);
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
        let read = self.read.borrow();
        let all = self.table.into_iter().flat_map(Table::iter);
        let unread = all.filter(|(key, value)| !value.is_blank() && !read.contains(*key));
        unread.map(|(key, _)| key.to_owned()).collect()
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

    /// What a key says; from now on it is known.
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.read.borrow_mut().insert(key.to_owned());
        self.table?.get(key)
    }

    /// The same; none for a field of a form that was left empty.
    pub(super) fn given(&self, key: &str) -> Option<&'a Value> {
        self.get(key).filter(|value| !value.is_blank())
    }

    /// All that it says.
    pub(super) fn table(&self) -> Option<&'a Table> {
        self.table
    }

    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}
