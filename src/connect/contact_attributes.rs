//! Contact attributes, checked before they are sent (UpdateContactAttributes, Amazon Connect API reference).
//!
//! Invariant: a [`ContactAttributes`] holds no reserved name and stays within [`BYTES_MAX`] even with a session history key
//! added. It never holds that key itself: only [`crate::SessionHistoryKey`] can become an attribute.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::session_history_key::{ATTRIBUTE, ATTRIBUTE_BYTES_MAX};

/// All attributes of a contact together, names and values in UTF-8 bytes.
pub const BYTES_MAX: usize = 32_768;

/// Names the contact flow and the gateway use between themselves.
pub const RESERVED: [&str; 3] = [ATTRIBUTE, "sessionHistoryKey", "screenPopURL"];

/// Attributes that will be accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContactAttributes(BTreeMap<String, String>);

/// Why custom data cannot become attributes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unacceptable {
    /// Only letters, digits, `-` and `_` are allowed.
    #[error("attribute name `{name}` is not of letters, digits, - and _")]
    Name {
        /// The name.
        name: String,
    },
    /// The name belongs to the integration.
    #[error("attribute name `{name}` is reserved")]
    Reserved {
        /// The name.
        name: String,
    },
    /// The value is neither text, number nor boolean.
    #[error("the value of attribute `{name}` is not text, a number or a boolean")]
    Value {
        /// The name.
        name: String,
    },
    /// `custom_data` is not an object.
    #[error("custom_data is not an object")]
    Shape,
    /// Too much in all.
    #[error("the attributes take {bytes} bytes with the session history key, {BYTES_MAX} are allowed")]
    TooLarge {
        /// What they take.
        bytes: usize,
    },
}

impl ContactAttributes {
    /// Checks the `custom_data` of a `connect_to_agent` response. Numbers and booleans become text, `null` is empty.
    pub fn from_custom_data(custom_data: Option<&Value>) -> Result<Self, Unacceptable> {
        let object = match custom_data {
            None | Some(Value::Null) => return Ok(Self::default()),
            Some(Value::Object(object)) => object,
            Some(_) => return Err(Unacceptable::Shape),
        };
        let mut attributes = BTreeMap::new();
        for (name, value) in object {
            let name = name.clone();
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
                return Err(Unacceptable::Name { name });
            }
            if RESERVED.contains(&name.as_str()) {
                return Err(Unacceptable::Reserved { name });
            }
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Bool(yes) => yes.to_string(),
                Value::Null => String::new(),
                Value::Array(_) | Value::Object(_) => return Err(Unacceptable::Value { name }),
            };
            attributes.insert(name, text);
        }
        let bytes =
            attributes.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() + ATTRIBUTE_BYTES_MAX;
        if bytes > BYTES_MAX {
            return Err(Unacceptable::TooLarge { bytes });
        }
        Ok(Self(attributes))
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn custom_data_becomes_text() {
        let data = json!({"reason": "loan", "tries": 3, "vip": true, "note": null});
        let attributes = ContactAttributes::from_custom_data(Some(&data)).expect("good");
        let pairs: Vec<_> = attributes.iter().collect();
        assert_eq!(pairs, [("note", ""), ("reason", "loan"), ("tries", "3"), ("vip", "true")]);
    }

    #[test]
    fn what_the_api_would_refuse_is_refused_before() {
        for (data, expected) in [
            (json!({"a b": 1}), Unacceptable::Name { name: "a b".into() }),
            (json!({"": 1}), Unacceptable::Name { name: String::new() }),
            (json!({"SessionHistoryKey": "hangup"}), Unacceptable::Reserved { name: "SessionHistoryKey".into() }),
            (json!({"a": {"b": 1}}), Unacceptable::Value { name: "a".into() }),
            (json!(["a"]), Unacceptable::Shape),
            (
                json!({"a": "x".repeat(BYTES_MAX)}),
                Unacceptable::TooLarge { bytes: BYTES_MAX + 1 + ATTRIBUTE_BYTES_MAX },
            ),
        ] {
            assert_eq!(ContactAttributes::from_custom_data(Some(&data)), Err(expected));
        }
    }
}
