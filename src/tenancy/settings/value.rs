//! What a document says, whatever it was written in: TOML, JSON, a form.
//!
//! Invariant: nothing is judged here: a number keeps the digits it was written in, so that a mistake in it can quote them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// One value of a document. It does not print what it holds, which may be a secret.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// Nothing at all, where a format can say so.
    Nothing,
    /// A text.
    Text(String),
    /// A whole number: as it was written, and what that is if it is not out of all bounds.
    Whole {
        /// As it was written.
        written: String,
        /// What it is.
        number: Option<i128>,
    },
    /// A number with a point, as it was written.
    Fraction(String),
    /// True or false.
    Flag(bool),
    /// A date, as it was written.
    Date(String),
    /// A list.
    List(Vec<Value>),
    /// A section.
    Table(Table),
}

/// Keys with what they say, in the order of the document.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Table(Vec<(String, Value)>);

impl Table {
    /// What a key says.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// All of it.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }
}

impl FromIterator<(String, Value)> for Table {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(keys: I) -> Self {
        Self(keys.into_iter().collect())
    }
}

impl Value {
    /// What it is, with its article.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Text(_) => "a text",
            Self::Whole { .. } => "a whole number",
            Self::Fraction(_) => "a number with a point",
            Self::Flag(_) => "true or false",
            Self::Date(_) => "a date",
            Self::List(_) => "a list",
            Self::Table(_) => "a section",
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

/// Whatever serde reads becomes a document. Formats that know where things stand (TOML) are better walked by who keeps that.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

fn whole(number: impl fmt::Display + TryInto<i128>) -> Value {
    Value::Whole { written: number.to_string(), number: number.try_into().ok() }
}

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(whole(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(whole(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Fraction(number.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = vec![];
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut keys = vec![];
        while let Some(entry) = map.next_entry()? {
            keys.push(entry);
        }
        Ok(Value::Table(keys.into_iter().collect()))
    }
}
