//! Reading a flow from a file of either format, which anybody may have written.
//!
//! Invariant: whatever is given, reading ends within its bounds, in a flow or in one sentence that names block and field.

use std::fmt;

use serde_json::{Map, Value};

use super::{Flow, language, legacy};

/// Most bytes of a file: the API takes 256,000 characters, and editors indent them.
pub const BYTES_MAX: usize = 1024 * 1024;
/// How deep a file may be nested: flows have about eight levels.
pub const DEPTH_MAX: usize = 24;
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

/// Reads the text of a file, in whichever of both formats it is.
pub fn read(text: &str) -> Result<Flow, Unreadable> {
    let all = |what: String| Unreadable { block: None, pointer: String::new(), what };
    if text.len() > BYTES_MAX {
        return Err(all(format!("has more than {BYTES_MAX} bytes")));
    }
    // Editors put a mark of their own before the text.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let value: Value = serde_json::from_str(text)
        .map_err(|error| all(format!("is not JSON: see line {}, column {}", error.line(), error.column())))?;
    of_value(&value)
}

/// Reads what has been read as JSON.
pub fn of_value(value: &Value) -> Result<Flow, Unreadable> {
    if is_deeper(value, DEPTH_MAX) {
        let what = format!("is nested more than {DEPTH_MAX} deep");
        return Err(Unreadable { block: None, pointer: String::new(), what });
    }
    let file = Place::of(value)?;
    if file.object.contains_key("modules") {
        legacy::read(&file)
    } else if file.object.contains_key("Actions") {
        language::read(&file)
    } else {
        Err(file.bad("", "is none: it has neither Actions nor modules"))
    }
}

fn is_deeper(value: &Value, than: usize) -> bool {
    let Some(than) = than.checked_sub(1) else { return true };
    match value {
        Value::Array(list) => list.iter().any(|value| is_deeper(value, than)),
        Value::Object(object) => object.values().any(|value| is_deeper(value, than)),
        _ => false,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_flow_is_told_with_block_and_field() {
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        let many = format!(
            r#"{{"Version":"2019-10-30","StartAction":"a","Actions":[{}{{}}]}}"#,
            "{},".repeat(ACTIONS_READ_MAX)
        );
        for (text, told) in [
            ("", "the flow is not JSON: see line 1, column 0"),
            ("{\n\"a\" 1}", "the flow is not JSON: see line 2, column 5"),
            ("[]", "the flow is not an object"),
            ("{}", "the flow is none: it has neither Actions nor modules"),
            (&deep, "the flow is nested more than 24 deep"),
            (&"x".repeat(BYTES_MAX + 1), "the flow has more than 1048576 bytes"),
            (&many, "Actions has more than 1000 blocks"),
            (r#"{"Actions":[]}"#, "Version is missing"),
            (r#"{"Version":"2020-01-01","Actions":[]}"#, "Version is not 2019-10-30"),
            (r#"{"Version":"2019-10-30","StartAction":"a","Actions":[]}"#, "Actions has no block"),
            (r#"{"Version":"2019-10-30","StartAction":"a","Actions":7}"#, "Actions is not a list"),
            (r#"{"Version":"2019-10-30","StartAction":7,"Actions":[{}]}"#, "StartAction is not a text"),
            (r#"{"Version":"2019-10-30","StartAction":"a","Actions":[{}]}"#, "Actions/0/Identifier is missing"),
            (
                r#"{"Version":"2019-10-30","StartAction":"a","Actions":[{"Identifier":"a","Type":"Wait","Parameters":[]}]}"#,
                "block a: Actions/0/Parameters is not an object",
            ),
            (
                r#"{"Version":"2019-10-30","StartAction":"a","Actions":[{"Identifier":"a","Type":"Compare","Transitions":{"Conditions":[{"NextAction":"a","Condition":{"Operator":"Equals","Operands":[1]}}]}}]}"#,
                "block a: Actions/0/Transitions/Conditions/0/Condition/Operands has more than texts in it",
            ),
            (r#"{"modules":[{}]}"#, "start is missing"),
            (r#"{"modules":[{}],"start":"a","version":"2"}"#, "version is not 1"),
            (r#"{"modules":[{}],"start":"a","version":"1"}"#, "modules/0/id is missing"),
            (
                r#"{"modules":[{"id":"a","type":"PlayPrompt","branches":[{"condition":"Success"}]}],"start":"a"}"#,
                "block a: modules/0/branches/0/transition is missing",
            ),
            (
                r#"{"modules":[{"id":"a","type":"PlayPrompt","parameters":{"Text":"x"}}],"start":"a"}"#,
                "block a: modules/0/parameters is not a list",
            ),
        ] {
            assert_eq!(read(text).expect_err(text).to_string(), told);
        }
    }
}
