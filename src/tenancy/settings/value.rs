//! What a document says, whatever it was written in: TOML, JSON, a form.
//!
//! Invariant: nothing is judged here: a number keeps the digits it was written in, so that a mistake in it can quote
//! them.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

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
    /// What a field of a form says: a text, or the number or flag that is asked for. An empty one was left out.
    Field(String),
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

    /// Whether anything stands at a path.
    pub fn says(&self, path: &str) -> bool {
        self.clone().at_mut(path).is_some()
    }

    /// What stands at a path like `sip.sources[2]`, to be changed.
    pub fn at_mut(&mut self, path: &str) -> Option<&mut Value> {
        // A key may hold a dot (the name of a header does now and then): the longest that fits is meant.
        let fits =
            |key: &str| path.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        let (key, value) = self.0.iter_mut().filter(|(key, _)| fits(key)).max_by_key(|(key, _)| key.len())?;
        value.at_mut(path.get(key.len()..)?)
    }

    /// Sets what a key says; at the end where it is new.
    pub(super) fn set(&mut self, key: &str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some((_, said)) => *said = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }

    /// Takes a key out with what it says.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        let at = self.0.iter().position(|(known, _)| known == key)?;
        Some(self.0.remove(at).1)
    }

    /// Leaves out the fields of a form that say nothing, and the sections and lists of nothing else.
    pub(super) fn without_blanks(self) -> Self {
        let said = self.0.into_iter().filter(|(_, value)| !value.is_blank());
        said.map(|(key, value)| (key, value.without_blanks())).collect()
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
            Self::Text(_) | Self::Field(_) => "a text",
            Self::Whole { .. } => "a whole number",
            Self::Fraction(_) => "a number with a point",
            Self::Flag(_) => "true or false",
            Self::Date(_) => "a date",
            Self::List(_) => "a list",
            Self::Table(_) => "a section",
        }
    }

    /// Whether it is a field of a form that was left out, or holds nothing else.
    pub(super) fn is_blank(&self) -> bool {
        match self {
            Self::Field(text) => text.trim().is_empty(),
            Self::List(list) => !list.is_empty() && list.iter().all(Self::is_blank),
            Self::Table(table) => !table.0.is_empty() && table.0.iter().all(|(_, value)| value.is_blank()),
            _ => false,
        }
    }

    /// The number or flag that a field of a form stands for where one is asked for; else what it is.
    pub(super) fn as_asked(&self) -> Cow<'_, Self> {
        let Self::Field(text) = self else { return Cow::Borrowed(self) };
        let text = text.trim();
        let digits = text.trim_start_matches(['+', '-']);
        Cow::Owned(match text {
            "true" | "false" => Self::Flag(text == "true"),
            _ if digits.is_empty() || !digits.starts_with(|c: char| c.is_ascii_digit()) => Self::Text(text.to_owned()),
            _ if digits.bytes().all(|b| b.is_ascii_digit()) => {
                Self::Whole { written: text.to_owned(), number: text.parse().ok() }
            }
            _ if text.parse::<f64>().is_ok() => Self::Fraction(text.to_owned()),
            _ => Self::Text(text.to_owned()),
        })
    }

    fn at_mut(&mut self, rest: &str) -> Option<&mut Self> {
        if rest.is_empty() {
            return Some(self);
        }
        match self {
            Self::Table(table) => table.at_mut(rest.strip_prefix('.')?),
            Self::List(list) => {
                let (index, rest) = rest.strip_prefix('[')?.split_once(']')?;
                list.get_mut(index.parse::<usize>().ok()?)?.at_mut(rest)
            }
            _ => None,
        }
    }

    fn without_blanks(self) -> Self {
        match self {
            Self::Table(table) => Self::Table(table.without_blanks()),
            Self::List(list) => {
                Self::List(list.into_iter().filter(|value| !value.is_blank()).map(Self::without_blanks).collect())
            }
            other => other,
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

/// Whatever serde reads becomes a document. Formats that know where things stand (TOML) are better walked by who keeps
/// that.
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
        let (mut keys, mut known) = (vec![], HashSet::new());
        while let Some((key, value)) = map.next_entry::<String, Value>()? {
            if !known.insert(key.clone()) {
                return Err(A::Error::custom(format_args!("`{key}` is there twice")));
            }
            keys.push((key, value));
        }
        Ok(Value::Table(keys.into_iter().collect()))
    }
}

/// What was written is written again; a number that is out of all bounds becomes the nearest that there is.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nothing => serializer.serialize_unit(),
            Self::Text(text) | Self::Field(text) | Self::Date(text) => serializer.serialize_str(text),
            Self::Whole { number, written } => match number.map(|n| (i64::try_from(n), u64::try_from(n))) {
                Some((Ok(number), _)) => serializer.serialize_i64(number),
                Some((_, Ok(number))) => serializer.serialize_u64(number),
                _ => fraction(written, serializer),
            },
            Self::Fraction(written) => fraction(written, serializer),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::List(list) => serializer.collect_seq(list),
            Self::Table(table) => table.serialize(serializer),
        }
    }
}

fn fraction<S: Serializer>(written: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(written.replace('_', "").parse().unwrap_or(f64::NAN))
}

impl Serialize for Table {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}
