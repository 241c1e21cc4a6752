//! YAML as it stands in the file: every value and every key with its line and column, keys that come twice included.
//!
//! Invariant: nothing is judged here but what is no YAML; the reader of scripts finds everything else, all at once.

use std::cell::Cell;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;
use serde_saphyr::{DuplicateKeyPolicy, Spanned};

use super::ScriptMistake;

/// Line and column, from 1.
pub(super) type At = (usize, usize);

/// A value and where it begins.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) at: At,
    pub(super) is: Is,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(super) enum Is {
    Nothing,
    Scalar(Json),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// How deep a script may be nested: the stack of the thread that reads it holds some forty levels.
const SCRIPT_DEPTH_MAX: usize = 24;

/// A key and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) at: At,
}

impl Node {
    /// Reads one document.
    pub(super) fn parse(yaml: &str) -> Result<Self, ScriptMistake> {
        let options = serde_saphyr::options! {
            duplicate_keys: DuplicateKeyPolicy::PassThrough,
            strict_booleans: true,
            with_snippet: false,
        };
        serde_saphyr::from_str_with_options(yaml.trim_start_matches('\u{feff}'), options).map_err(|error| {
            let at = error.location().map(|at| (at.line() as usize, at.column() as usize)).filter(|at| at.0 > 0);
            // Where it is has been told apart; the rest of the message is one sentence.
            let why = error.to_string();
            let sentence = why.lines().next().unwrap_or_default();
            let sentence = sentence.rsplit_once(" at line ").map_or(sentence, |(sentence, _)| sentence);
            ScriptMistake { at, why: in_our_words(sentence) }
        })
    }

    /// What it is called in a mistake.
    pub(super) fn kind(&self) -> &'static str {
        match &self.is {
            Is::Nothing => "nothing",
            Is::Scalar(Json::Bool(_)) => "true or false",
            Is::Scalar(Json::Number(_)) => "a number",
            Is::Scalar(_) => "a text",
            Is::List(_) => "a list",
            Is::Map(_) => "a map",
        }
    }

    /// The same value for those who read JSON.
    pub(super) fn json(&self) -> Json {
        match &self.is {
            Is::Nothing => Json::Null,
            Is::Scalar(value) => value.clone(),
            Is::List(list) => list.iter().map(Self::json).collect(),
            Is::Map(map) => Json::Object(map.iter().map(|(key, value)| (key.name.clone(), value.json())).collect()),
        }
    }

    /// The value under a key.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        let Is::Map(map) = &self.is else { return None };
        map.iter().find(|(key, _)| key.name == name).map(|(_, value)| value)
    }
}

/// What the reader of YAML says, without what only its callers understand.
fn in_our_words(sentence: &str) -> String {
    if sentence.starts_with("multiple YAML documents") {
        return "a second document begins here (`---`): a script is one".to_owned();
    }
    if sentence.starts_with("budget breached") {
        return "is larger than a script can be: 250,000 keys and values".to_owned();
    }
    format!("not YAML: {sentence}")
}

thread_local! {
    /// How deep the node stands that is being read: what aliases bring in counts, which the parser's own limit does not see.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// One level more, until it is left.
struct Level;

impl Level {
    fn enter<E: serde::de::Error>() -> Result<Self, E> {
        let depth = DEPTH.get();
        if depth == SCRIPT_DEPTH_MAX {
            return Err(E::custom(format!("it is nested more than {SCRIPT_DEPTH_MAX} deep")));
        }
        DEPTH.set(depth + 1);
        Ok(Self)
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get().saturating_sub(1));
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let _level = Level::enter()?;
        let Spanned { value, referenced, .. } = Spanned::<Is>::deserialize(deserializer)?;
        Ok(Self { at: (referenced.line() as usize, referenced.column() as usize), is: value })
    }
}

impl<'de> Deserialize<'de> for Is {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Is;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Is, E> {
        Ok(Is::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Is, E> {
        Ok(Is::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Is, E> {
        Ok(Is::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Is, E> {
        Ok(Is::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Is, E> {
        Ok(Is::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Is, E> {
        Ok(Is::Nothing)
    }

    fn visit_none<E>(self) -> Result<Is, E> {
        Ok(Is::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Is, D::Error> {
        Is::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Is, A::Error> {
        let mut list = vec![];
        while let Some(node) = seq.next_element()? {
            list.push(node);
        }
        Ok(Is::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Is, A::Error> {
        let mut entries = vec![];
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let at = (key.referenced.line() as usize, key.referenced.column() as usize);
            entries.push((Key { name: key.value, at }, map.next_value()?));
        }
        Ok(Is::Map(entries))
    }
}
