//! Contact attributes, made acceptable before they are sent (UpdateContactAttributes, Amazon Connect API reference).
//!
//! Whatever an assistant writes into `custom_data`, the hand-off goes on: a name gets the letters that the API takes, a value
//! becomes text, and what cannot go along is left out; all of it is told by name. Invariant: a [`ContactAttributes`] holds
//! no reserved name, only names of letters, digits, `-` and `_`, and stays within [`BYTES_MAX`] even with a session history
//! key added. It never holds that key itself: only [`crate::SessionHistoryKey`] can become an attribute.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use crate::session_history_key::{ATTRIBUTE, ATTRIBUTE_BYTES_MAX};

/// All attributes of a contact together, names and values in UTF-8 bytes.
pub const BYTES_MAX: usize = 32_768;
/// Longest name: longer ones are cut.
pub(crate) const NAME_BYTES_MAX: usize = 256;

/// Most attributes.
pub(crate) const ENTRIES_MAX: usize = 1000;

/// Names the contact flow and the gateway use between themselves.
pub const RESERVED: [&str; 3] = [ATTRIBUTE, "sessionHistoryKey", "screenPopURL"];

/// Attributes that will be accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContactAttributes(BTreeMap<String, String>);

/// What became of an entry of `custom_data` that could not go along as it is. It prints names, never values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It has another name.
    Renamed {
        /// What the assistant called it.
        name: String,
        /// The attribute's name.
        to: String,
    },
    /// A list or an object: the value is its JSON.
    AsJson {
        /// The attribute's name.
        name: String,
    },
    /// It is left out.
    LeftOut {
        /// What the assistant called it.
        name: String,
        /// Why it cannot be an attribute.
        why: Omission,
    },
    /// `custom_data` is no object: nothing of it goes along.
    NoObject,
}

/// Why an entry is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Omission {
    /// The name belongs to the integration.
    Reserved,
    /// It has no name.
    Nameless,
    /// All attributes together would be too large.
    TooLarge,
}

/// Characters of a name that are told.
const TOLD_CHARACTERS: usize = 60;

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |name: &str| name.chars().filter(|c| !c.is_control()).take(TOLD_CHARACTERS).collect::<String>();
        match self {
            Self::Renamed { name, to } => write!(f, "`{}` is called `{}`", short(name), short(to)),
            Self::AsJson { name } => write!(f, "`{}` is a list or an object and goes along as JSON", short(name)),
            Self::LeftOut { name, why } => write!(f, "`{}` is left out: {why}", short(name)),
            Self::NoObject => f.write_str("all of it is left out: it is not an object"),
        }
    }
}

impl fmt::Display for Omission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reserved => f.write_str("the name is reserved"),
            Self::Nameless => f.write_str("it has no name"),
            Self::TooLarge => write!(f, "at most {ENTRIES_MAX} attributes of {BYTES_MAX} bytes in all go along"),
        }
    }
}

impl ContactAttributes {
    /// Makes attributes of the `custom_data` of a `connect_to_agent` response, and tells what is other than it was. Numbers
    /// and booleans become text, lists and objects their JSON, `null` is empty. If there is too much, the largest go.
    pub fn from_custom_data(custom_data: Option<&Value>) -> (Self, Vec<Change>) {
        let object: Cow<'_, Map<String, Value>> = match custom_data {
            None | Some(Value::Null) => return (Self::default(), vec![]),
            Some(Value::Object(object)) => Cow::Borrowed(object),
            // Some assistants write the object as text.
            Some(Value::String(text)) => match serde_json::from_str(text) {
                Ok(object) => Cow::Owned(object),
                Err(_) => return (Self::default(), vec![Change::NoObject]),
            },
            Some(_) => return (Self::default(), vec![Change::NoObject]),
        };
        let (mut attributes, mut changes) = (BTreeMap::new(), vec![]);
        // Whose name is good keeps it, whatever others are called.
        let (good, other): (Vec<_>, Vec<_>) = object.iter().partition(|(name, _)| is_acceptable(name));
        for (n, (name, value)) in good.into_iter().chain(other).enumerate() {
            let omit = |why| Change::LeftOut { name: name.clone(), why };
            if n >= ENTRIES_MAX {
                changes.push(omit(Omission::TooLarge));
                continue;
            }
            let wanted = acceptable(name);
            if wanted.is_empty() {
                changes.push(omit(Omission::Nameless));
                continue;
            }
            if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(&wanted)) {
                changes.push(omit(Omission::Reserved));
                continue;
            }
            let to = free(&attributes, wanted);
            if matches!(value, Value::Array(_) | Value::Object(_)) {
                changes.push(Change::AsJson { name: to.clone() });
            }
            if to != *name {
                changes.push(Change::Renamed { name: name.clone(), to: to.clone() });
            }
            attributes.insert(to, text(value));
        }
        let kept = fitting(attributes, &mut changes);
        (Self(kept), changes)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

fn is_acceptable(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(is_acceptable_byte)
}

fn is_acceptable_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// The name in letters, digits, `-` and `_`: another character becomes `_`.
fn acceptable(name: &str) -> String {
    let acceptable = |c: char| if c.is_ascii() && is_acceptable_byte(c as u8) { c } else { '_' };
    name.trim().chars().map(acceptable).take(NAME_BYTES_MAX).collect()
}

/// The name, or with a number behind it if another has it.
fn free(taken: &BTreeMap<String, String>, name: String) -> String {
    if !taken.contains_key(&name) {
        return name;
    }
    let short: String = name.chars().take(NAME_BYTES_MAX - 8).collect();
    (2..).map(|n: usize| format!("{short}_{n}")).find(|name| !taken.contains_key(name)).unwrap_or(name)
}

/// A value as text, without characters that no request may hold.
fn text(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(yes) => yes.to_string(),
        Value::Null => String::new(),
        Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    if text.contains(is_refused) { text.replace(is_refused, "") } else { text }
}

fn is_refused(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\r' | '\t')
}

/// What there is room for beside the session history key: the smallest first, so that most go along.
fn fitting(attributes: BTreeMap<String, String>, changes: &mut Vec<Change>) -> BTreeMap<String, String> {
    let mut by_size: Vec<(String, String)> = attributes.into_iter().collect();
    by_size.sort_by_key(|(name, value)| name.len() + value.len());
    let mut bytes = ATTRIBUTE_BYTES_MAX;
    let mut kept = BTreeMap::new();
    for (name, value) in by_size {
        bytes += name.len() + value.len();
        if bytes <= BYTES_MAX {
            kept.insert(name, value);
        } else {
            changes.push(Change::LeftOut { name, why: Omission::TooLarge });
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn made(data: &Value) -> (Vec<(String, String)>, Vec<String>) {
        let (attributes, changes) = ContactAttributes::from_custom_data(Some(data));
        let pairs = attributes.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        (pairs.collect(), changes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn custom_data_becomes_text() {
        let (pairs, changes) = made(&json!({"reason": "loan", "tries": 3, "vip": true, "note": null}));
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("note", ""), ("reason", "loan"), ("tries", "3"), ("vip", "true")]);
        assert_eq!(changes, [""; 0]);
    }

    #[test]
    fn what_the_api_would_refuse_goes_along_in_another_form_and_is_told() {
        let (pairs, changes) = made(
            &json!({"Customer Name": "Ada", "tags": ["a", "b"], "nested": {"x": 1}, "topic": "loan",
            "größe": 3, "bell": "a\u{7}b", "": 1, " SessionHistoryKey ": "hangup", "screenpopurl": "x", "Customer_Name": "Bob"}),
        );
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expected = [
            ("Customer_Name", "Bob"),
            ("Customer_Name_2", "Ada"),
            ("bell", "ab"),
            ("gr__e", "3"),
            ("nested", "{\"x\":1}"),
            ("tags", "[\"a\",\"b\"]"),
            ("topic", "loan"),
        ];
        assert_eq!(pairs, expected);
        for told in [
            "`Customer Name` is called `Customer_Name_2`",
            "`größe` is called `gr__e`",
            "`tags` is a list or an object and goes along as JSON",
            "`` is left out: it has no name",
            "` SessionHistoryKey ` is left out: the name is reserved",
            "`screenpopurl` is left out: the name is reserved",
        ] {
            assert!(changes.iter().any(|change| change == told), "{told}: {changes:?}");
        }
        assert!(!changes.concat().contains("Ada"), "names alone are told");
    }

    #[test]
    fn custom_data_of_another_shape_costs_itself_alone() {
        assert_eq!(made(&json!(["a"])), (vec![], vec!["all of it is left out: it is not an object".to_owned()]));
        assert_eq!(made(&json!("{\"topic\": \"loan\"}")).0, [("topic".to_owned(), "loan".to_owned())]);
        assert_eq!(made(&json!("loan")).1.len(), 1);
    }

    #[test]
    fn what_is_too_large_is_left_out_and_the_rest_goes_along() {
        let many: Map<String, Value> = (0..3000).map(|n| (format!("n{n}"), json!("x".repeat(20)))).collect();
        for data in [json!({"book": "x".repeat(BYTES_MAX), "topic": "loan"}), Value::Object(many)] {
            let (pairs, changes) = made(&data);
            let bytes: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
            assert!(bytes + ATTRIBUTE_BYTES_MAX <= BYTES_MAX && !pairs.is_empty() && !changes.is_empty(), "{bytes}");
        }
        let long = json!({"n".repeat(40_000): 1});
        assert_eq!(made(&long).0[0].0.len(), NAME_BYTES_MAX);
    }
}
