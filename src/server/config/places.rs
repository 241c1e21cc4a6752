//! Where everything of the file stands, so that a mistake found later (in a script, by an engine) is told with its line too.
//!
//! A path is `tenants[3].assistant.script`; people are told `tenants.acme.assistant.script`. Invariant: a path that is not
//! in the file has the place of the nearest section around it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::mistakes::{Mistake, Mistakes};
use super::position::Position;

/// The places of one file; clones share them.
#[derive(Debug, Clone)]
pub struct Places(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: PathBuf,
    of: BTreeMap<String, Place>,
    tenants: Vec<Option<String>>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    key: Position,
    value: Position,
}

/// Offsets become lines by halving, so that a file with thousands of keys is read once.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl Lines<'_> {
    fn at(&self, offset: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line - 1).copied().unwrap_or_default();
        let within = Position::of(self.text.get(start..).unwrap_or_default(), offset.saturating_sub(start));
        Position { line, column: within.column }
    }
}

impl Places {
    pub(super) fn of(file: &Path, text: &str, table: &DeTable<'_>) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let (lines, mut of) = (Lines { text, starts }, BTreeMap::new());
        walk("", table, &lines, &mut of);
        let name = |tenant: &DeValue<'_>| tenant.get("name")?.get_ref().as_str().map(str::to_owned);
        let tenants = match table.get("tenants").map(|value| value.get_ref()) {
            Some(DeValue::Array(all)) => all.iter().map(|tenant| name(tenant.get_ref())).collect(),
            _ => vec![],
        };
        Self(Arc::new(Inner { file: file.to_owned(), of, tenants }))
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.0.file
    }

    /// A mistake in a value, or in a section that lacks something.
    pub fn mistake(&self, path: &str, why: String) -> Mistake {
        self.tell(path, why, |place| place.value)
    }

    /// A mistake in a key.
    pub(super) fn mistake_in_key(&self, path: &str, why: String) -> Mistake {
        self.tell(path, why, |place| place.key)
    }

    /// Mistakes that were found in what the file names: path and why.
    pub fn mistakes(&self, found: Vec<(String, String)>) -> Mistakes {
        found.into_iter().map(|(path, why)| self.mistake(&path, why)).collect()
    }

    /// What people are told of a path.
    pub(super) fn spoken(&self, path: &str) -> String {
        let element = path.rsplit_once('[').is_some_and(|(list, index)| list != "tenants" && index.ends_with(']'));
        let path = if element { path.rsplit_once('[').map_or(path, |(list, _)| list) } else { path };
        let named = tenant_of(path).and_then(|n| Some((n, self.0.tenants.get(n)?.as_deref()?)));
        match named {
            Some((n, name)) if !name.is_empty() => {
                path.replacen(&format!("tenants[{n}]"), &format!("tenants.{name}"), 1)
            }
            _ => path.to_owned(),
        }
    }

    fn tell(&self, path: &str, why: String, place: impl Fn(&Place) -> Position) -> Mistake {
        let mut around = path;
        let at = loop {
            if let Some(found) = self.0.of.get(around) {
                break Some(place(found));
            }
            let Some(end) = around.rfind(['.', '[']) else { break None };
            around = &around[..end];
        };
        Mistake { file: self.0.file.clone(), at, key: self.spoken(path), why, tenant: tenant_of(path) }
    }
}

/// The tenant that a path leads into.
fn tenant_of(path: &str) -> Option<usize> {
    path.strip_prefix("tenants[")?.split_once(']')?.0.parse().ok()
}

fn walk(path: &str, table: &DeTable<'_>, lines: &Lines<'_>, places: &mut BTreeMap<String, Place>) {
    for (key, value) in table {
        let path = if path.is_empty() { key.get_ref().to_string() } else { format!("{path}.{}", key.get_ref()) };
        let place = Place { key: lines.at(key.span().start), value: lines.at(value.span().start) };
        places.insert(path.clone(), place);
        match value.get_ref() {
            DeValue::Table(table) => walk(&path, table, lines, places),
            DeValue::Array(array) => {
                for (n, element) in array.iter().enumerate() {
                    let path = format!("{path}[{n}]");
                    let at = lines.at(element.span().start);
                    places.insert(path.clone(), Place { key: at, value: at });
                    if let DeValue::Table(table) = element.get_ref() {
                        walk(&path, table, lines, places);
                    }
                }
            }
            _ => {}
        }
    }
}
