//! What is wrong with a configuration and the files it names.
//!
//! Invariant: a mistake says where (file, line, column, key), what, and what to do; none is printed twice.

use std::fmt;
use std::path::{Path, PathBuf};

use super::position::Position;
use crate::terminal::printable;

/// One mistake: where and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    pub(super) file: PathBuf,
    pub(super) at: Option<Position>,
    pub(super) key: String,
    pub(super) why: String,
    pub(super) tenant: Option<usize>,
}

impl Mistake {
    /// A mistake of a file that a tenant's section names, at a place of that file.
    pub fn within(file: &Path, at: Option<(usize, usize)>, tenant: usize, why: String) -> Self {
        let at = at.map(|(line, column)| Position { line, column });
        Self { file: file.to_owned(), at, key: String::new(), why, tenant: Some(tenant) }
    }

    /// Which of the tenants it belongs to, in the file's order; none if it belongs to the server.
    pub fn tenant(&self) -> Option<usize> {
        self.tenant
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(at) = self.at {
            write!(f, "{at}:")?;
        }
        if !self.key.is_empty() {
            write!(f, " {}:", printable(&self.key))?;
        }
        write!(f, " {}", printable(&self.why))
    }
}

/// Every mistake that was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// One that is the whole file's.
    pub(super) fn one(file: &Path, at: Option<Position>, why: String) -> Self {
        Self(vec![Mistake { file: file.to_owned(), at, key: String::new(), why, tenant: None }])
    }

    /// All of them.
    pub fn list(&self) -> &[Mistake] {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds others.
    pub fn extend(&mut self, others: impl IntoIterator<Item = Mistake>) {
        self.0.extend(others);
    }

    /// What was good, if there is no mistake.
    pub fn or<T>(self, good: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(good) } else { Err(self) }
    }

    /// Those of the tenants, and those of the server.
    pub fn of_tenants_alone(&self) -> bool {
        self.0.iter().all(|mistake| mistake.tenant.is_some())
    }

    /// As they are printed: in the order of the files, each once.
    pub fn lines(&self) -> Vec<String> {
        let mut files: Vec<&Path> = vec![];
        for mistake in &self.0 {
            if !files.contains(&mistake.file.as_path()) {
                files.push(&mistake.file);
            }
        }
        let rank = |mistake: &Mistake| files.iter().position(|file| *file == mistake.file);
        let mut sorted: Vec<&Mistake> = self.0.iter().collect();
        sorted.sort_by_key(|mistake| (rank(mistake), mistake.at));
        let mut lines: Vec<String> = vec![];
        for line in sorted.iter().map(ToString::to_string) {
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        lines
    }
}

impl FromIterator<Mistake> for Mistakes {
    fn from_iter<I: IntoIterator<Item = Mistake>>(mistakes: I) -> Self {
        Self(mistakes.into_iter().collect())
    }
}

impl IntoIterator for Mistakes {
    type Item = Mistake;
    type IntoIter = std::vec::IntoIter<Mistake>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

impl std::error::Error for Mistakes {}
