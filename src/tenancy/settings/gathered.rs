//! What one reading of a document gathers: its mistakes, its mark, and what its fields and secrets turned out to be.
//!
//! Invariant: a document speaks of the world only through its [`Surroundings`]; nothing here opens a file or asks for a
//! variable.

use std::cell::RefCell;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use super::asks::{Asks, Setting};
use super::mistake::{Mistake, Part};
use super::value::{Table, Value};

/// What a document speaks of and does not hold.
pub trait Surroundings {
    /// Whether a secret's text names a place where the secret stands, like `env:NAME` and `file:PATH`.
    fn refers(&self, text: &str) -> bool {
        text.starts_with("env:") || text.starts_with("file:")
    }

    /// The secret that stands at such a place, as one line; else a sentence without its subject. Whoever takes documents
    /// from others than the operator refuses places that only the operator may name.
    fn secret_at(&self, place: &str) -> Result<String, String>;

    /// Whether the document may name files and folders of this machine.
    fn has_files(&self) -> bool {
        true
    }

    /// A path of the document: relative ones start where it lies.
    fn path(&self, written: &str) -> PathBuf {
        PathBuf::from(written)
    }

    /// The text of a file that the document names; none if it cannot be read, which is told by whoever opens it.
    fn text_at(&self, _: &Path) -> Option<String> {
        None
    }
}

/// Nothing around: a document that speaks of itself alone.
#[derive(Debug, Clone, Copy)]
pub struct Alone;

impl Surroundings for Alone {
    fn secret_at(&self, _: &str) -> Result<String, String> {
        Err("is a place, and there is none".to_owned())
    }
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

/// An URL that a document names, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedUrl {
    /// Its path in the document.
    pub path: String,
    /// As it is written.
    pub url: String,
}

/// Where a reading gathers what it finds.
pub struct Gathered<'a> {
    around: &'a dyn Surroundings,
    found: RefCell<Vec<Mistake>>,
    mark: RefCell<DefaultHasher>,
    settled: RefCell<Vec<(String, Value)>>,
    literal: RefCell<Vec<String>>,
    deprecated: RefCell<Vec<String>>,
    urls: RefCell<Vec<NamedUrl>>,
    /// What is asked of each key, where somebody wants to know.
    outline: Option<RefCell<Vec<Setting>>>,
}

impl<'a> Gathered<'a> {
    /// Nothing yet.
    pub fn new(around: &'a dyn Surroundings) -> Self {
        let (found, mark, settled, literal, deprecated, urls) = Default::default();
        Self { around, found, mark, settled, literal, deprecated, urls, outline: None }
    }

    /// The same, which notes what is asked of each key.
    pub(super) fn noting(around: &'a dyn Surroundings) -> Self {
        Self { outline: Some(RefCell::default()), ..Self::new(around) }
    }

    /// What was asked of each key, in the order of asking.
    pub(super) fn into_outline(self) -> Vec<Setting> {
        self.outline.map(RefCell::into_inner).unwrap_or_default()
    }

    /// A key is asked for this; what was asked of it first is what it is.
    pub(super) fn is_asked(&self, path: impl FnOnce() -> String, asks: impl FnOnce() -> Asks) {
        let Some(outline) = &self.outline else { return };
        let (path, mut outline) = (path(), outline.borrow_mut());
        if !outline.iter().any(|known| known.path == path) {
            outline.push(Setting { path, asks: asks() });
        }
    }

    /// A sentence for each old name that the document still uses; they are told once.
    pub fn take_deprecated(&self) -> Vec<String> {
        self.deprecated.take()
    }

    /// All that was found.
    pub fn into_mistakes(self) -> Vec<Mistake> {
        self.found.into_inner()
    }

    /// The paths of secrets that stand in the document itself.
    pub fn literal_secrets(&self) -> Vec<String> {
        self.literal.borrow().clone()
    }

    /// The document with its fields as what they were read as, and without those that say nothing: what is kept of a
    /// form.
    pub fn settle(&self, document: &Table) -> Table {
        let mut settled = document.clone();
        for (path, value) in self.settled.borrow().iter() {
            if let Some(field) = settled.at_mut(path) {
                *field = value.clone();
            }
        }
        settled.without_blanks()
    }

    pub(super) fn around(&self) -> &'a dyn Surroundings {
        self.around
    }

    pub(super) fn add(&self, path: String, part: Part, why: String) {
        self.found.borrow_mut().push(Mistake { path, part, why });
    }

    pub(super) fn count(&self) -> usize {
        self.found.borrow().len()
    }

    pub(super) fn begin_mark(&self, written: Option<&Table>) {
        let mut mark = DefaultHasher::new();
        written.hash(&mut mark);
        self.mark.replace(mark);
    }

    pub(super) fn leads_to(&self, text: &str) {
        text.hash(&mut *self.mark.borrow_mut());
    }

    pub(super) fn mark(&self) -> Mark {
        Mark(self.mark.borrow().finish())
    }

    pub(super) fn deprecate(&self, sentence: String) {
        self.deprecated.borrow_mut().push(sentence);
    }

    /// A field of a form was read as this.
    pub(super) fn was_read_as(&self, path: String, value: Value) {
        self.settled.borrow_mut().push((path, value));
    }

    /// An URL is asked on behalf of who wrote the document.
    pub(super) fn names_url(&self, path: String, url: &str) {
        self.urls.borrow_mut().push(NamedUrl { path, url: url.to_owned() });
    }

    /// Those that stand in the section of this path.
    pub(super) fn urls_of(&self, section: &str) -> Vec<NamedUrl> {
        let urls = self.urls.borrow();
        let within = |named: &NamedUrl| {
            let path = match section.is_empty() {
                true => named.path.as_str(),
                false => named.path.strip_prefix(section)?.strip_prefix('.')?,
            };
            Some(NamedUrl { path: path.to_owned(), url: named.url.clone() })
        };
        urls.iter().filter_map(within).collect()
    }

    /// A secret stands in the document.
    pub(super) fn holds_secret(&self, path: String) {
        self.literal.borrow_mut().push(path);
    }
}
