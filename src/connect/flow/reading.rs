//! Places in a file of either format, which anybody may have written: what stands there, and what is wrong with it. Who reads which format: `found.rs`.
//!
//! Invariant: what is wrong is told in one sentence that names block and field.

use std::fmt;

use serde_json::{Map, Value};

/// Most actions that are read: what has more than a flow may have is still told of.
pub const ACTIONS_READ_MAX: usize = 1000;

/// Why a file is no flow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Unreadable {
    /// The block, where it has a name.
    pub block: Option<String>,
    /// The field: a JSON pointer (RFC 6901) into the file; empty for all of it.
    pub pointer: String,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(block) = &self.block {
            write!(f, "block {}: ", shortened(block))?;
        }
        match self.pointer.trim_start_matches('/') {
            "" => write!(f, "the flow {}", self.what),
            field => write!(f, "{} {}", shortened(field), self.what),
        }
    }
}

/// Most characters of a name or value that are told.
const TOLD_CHARS: usize = 120;

/// A text as it is told: in one line, and no longer than it may be.
pub(crate) fn shortened(text: &str) -> String {
    let mut told: String = text.chars().filter(|c| !c.is_control()).take(TOLD_CHARS).collect();
    if text.chars().nth(TOLD_CHARS).is_some() {
        told.push('…');
    }
    told
}

/// An object in a file, and where it stands.
#[derive(Clone)]
pub(super) struct Place<'a> {
    pub(super) object: &'a Map<String, Value>,
    pointer: String,
    block: Option<&'a str>,
}

impl<'a> Place<'a> {
    pub(super) fn of(value: &'a Value) -> Result<Self, Unreadable> {
        Self::at(value, String::new(), None)
    }

    /// A block that has been read before.
    pub(super) fn of_read(object: &'a Map<String, Value>) -> Self {
        Self { object, pointer: String::new(), block: None }
    }

    fn at(value: &'a Value, pointer: String, block: Option<&'a str>) -> Result<Self, Unreadable> {
        match value {
            Value::Object(object) => Ok(Self { object, pointer, block }),
            _ => Err(Unreadable { block: block.map(str::to_owned), pointer, what: "is not an object".to_owned() }),
        }
    }

    /// It is the block of this name, so that what is wrong with it is told with its name.
    pub(super) fn named(mut self, block: &'a str) -> Self {
        self.block = Some(block);
        self
    }

    /// What is wrong with a field of it.
    pub(super) fn bad(&self, field: &str, what: impl Into<String>) -> Unreadable {
        let slash = if field.is_empty() { "" } else { "/" };
        let pointer = format!("{}{slash}{field}", self.pointer);
        Unreadable { block: self.block.map(str::to_owned), pointer, what: what.into() }
    }

    /// A text that may be left out, or be null.
    pub(super) fn may_say(&self, field: &str) -> Result<Option<&'a str>, Unreadable> {
        match self.object.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.bad(field, "is not a text")),
        }
    }

    pub(super) fn says(&self, field: &str) -> Result<&'a str, Unreadable> {
        self.may_say(field)?.ok_or_else(|| self.bad(field, "is missing"))
    }

    /// An object that may be left out.
    pub(super) fn within(&self, field: &str) -> Result<Option<Self>, Unreadable> {
        let pointer = || format!("{}/{field}", self.pointer);
        self.object.get(field).map(|value| Self::at(value, pointer(), self.block)).transpose()
    }

    /// The objects of a list; none if it is left out.
    pub(super) fn each(&self, field: &str) -> Result<Vec<Self>, Unreadable> {
        let list = match self.object.get(field) {
            None => return Ok(vec![]),
            Some(Value::Array(list)) => list,
            Some(_) => return Err(self.bad(field, "is not a list")),
        };
        let place = |(at, value)| Self::at(value, format!("{}/{field}/{at}", self.pointer), self.block);
        list.iter().enumerate().map(place).collect()
    }

    /// The blocks of a file: of another number than a flow can have none is read.
    pub(super) fn blocks(&self, field: &str) -> Result<Vec<Self>, Unreadable> {
        let blocks = self.each(field)?;
        match blocks.len() {
            0 => Err(self.bad(field, "has no block")),
            1..=ACTIONS_READ_MAX => Ok(blocks),
            _ => Err(self.bad(field, format!("has more than {ACTIONS_READ_MAX} blocks"))),
        }
    }
}
