//! What is wrong with a document, told by the path where it stands.

use std::fmt;

/// One mistake of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where: `tenants[3].assistant.script`; empty for the whole document.
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

impl Mistake {
    /// A mistake in what stands at a path.
    pub fn of_value(path: impl Into<String>, why: impl Into<String>) -> Self {
        Self { path: path.into(), part: Part::Value, why: why.into() }
    }
}

impl fmt::Display for Mistake {
    /// `sip.realm: has quotes or backslashes`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.why)
    }
}
