//! What single keys of a section say: texts, numbers, flags, choices, lists.
//!
//! Invariant: *required* and *given* mean the same everywhere: an empty text, an empty list and an empty secret are
//! mistakes, unless the key says that silence is meant; an empty field of a form was left out.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use serde_json::{Map, Value as Json};

use super::asks::Asks;
use super::section::Section;
use super::value::{Table, Value};
use crate::likely::hint;

impl Section<'_> {
    /// A text that may be empty, where that means something.
    pub fn text_or_silence(&self, key: &str) -> Option<String> {
        self.asks(key, || Asks::Message { chars_max: None });
        match self.get(key)? {
            Value::Text(text) => Some(text.clone()),
            Value::Field(text) => {
                self.gathered.was_read_as(self.path_of(key), Value::Text(text.clone()));
                Some(text.clone())
            }
            other => {
                self.mistake(key, &format!("is {} where a text is expected", other.kind()));
                None
            }
        }
    }

    /// What is said aloud: a text that may be empty, of so many characters at most.
    pub fn message(&self, key: &str, chars_max: usize) -> Option<String> {
        self.asks(key, || Asks::Message { chars_max: Some(chars_max) });
        let text = self.text_or_silence(key)?;
        if text.chars().count() > chars_max {
            self.mistake(key, &format!("is longer than {chars_max} characters"));
        }
        Some(text)
    }

    /// Notes what a key is asked for.
    pub(super) fn asks(&self, key: &str, asks: impl FnOnce() -> Asks) {
        self.gathered.is_asked(|| self.path_of(key), asks);
    }

    /// A text; an empty one is a mistake.
    pub fn text(&self, key: &str) -> Option<String> {
        self.asks(key, || Asks::Text);
        self.given(key)?;
        let text = self.text_or_silence(key)?;
        if text.trim().is_empty() {
            self.mistake(key, "is empty: say what it is, or leave the key out");
            return None;
        }
        Some(text)
    }

    /// A text that must be there; empty if it is not, which has been told then.
    pub fn required_text(&self, key: &str) -> String {
        self.asks(key, || Asks::Text);
        match self.get(key) {
            None => self.miss(key, "is missing"),
            Some(Value::Text(text) | Value::Field(text)) if text.trim().is_empty() => {
                self.mistake(key, "is empty, and it is required");
                return String::new();
            }
            Some(_) => {}
        }
        self.text(key).unwrap_or_default()
    }

    /// A file or folder that must be named; empty if it is not, which has been told then. Where a document may name none,
    /// `instead` says what to do.
    pub(super) fn required_path(&self, key: &str, instead: &str) -> PathBuf {
        self.asks(key, || Asks::File);
        if self.has(key) && !self.gathered.around().has_files() {
            let _ = self.text(key);
            let why = format!("names a file of the server, which its operator's file alone may: {instead}");
            self.mistake(key, &why);
            return PathBuf::new();
        }
        match self.required_text(key) {
            text if text.is_empty() => PathBuf::new(),
            text => self.relative(&text),
        }
    }

    /// A list of texts, none of them empty; an empty list is a mistake.
    pub fn texts(&self, key: &str) -> Option<Vec<String>> {
        self.asks(key, || Asks::Texts);
        if matches!(self.given(key)?, Value::List(array) if array.is_empty()) {
            self.mistake(key, "is an empty list: name something, or leave the key out");
        }
        self.texts_or_none(key)
    }

    /// The same where an empty list means nobody.
    pub fn texts_or_none(&self, key: &str) -> Option<Vec<String>> {
        self.asks(key, || Asks::TextsOrNone);
        let texts = self.texts_with_places(key)?;
        Some(texts.into_iter().map(|(_, text)| text).collect())
    }

    /// A list of texts, each of which means something; those that do not are told with their own place.
    pub fn list<T>(&self, key: &str, read: impl Fn(&str) -> Result<T, String>) -> Option<Vec<T>> {
        self.asks(key, || Asks::Texts);
        if matches!(self.given(key)?, Value::List(array) if array.is_empty()) {
            self.mistake(key, "is an empty list: name something, or leave the key out");
        }
        let each =
            |(n, text): (usize, String)| read(&text).map_err(|why| self.mistake(&format!("{key}[{n}]"), &why)).ok();
        Some(self.texts_with_places(key)?.into_iter().filter_map(each).collect())
    }

    /// The texts of a list, each with its index there.
    fn texts_with_places(&self, key: &str) -> Option<Vec<(usize, String)>> {
        let Value::List(array) = self.given(key)? else {
            self.mistake(key, "is not a list of texts like [\"one\", \"two\"]");
            return None;
        };
        let text = |(n, value): (usize, &Value)| {
            let place = format!("{key}[{n}]");
            match value {
                Value::Text(text) if !text.trim().is_empty() => return Some((n, text.clone())),
                Value::Field(text) if !text.trim().is_empty() => {
                    self.gathered.was_read_as(self.path_of(&place), Value::Text(text.clone()));
                    return Some((n, text.clone()));
                }
                Value::Field(_) => {}
                Value::Text(_) => self.mistake(&place, "an empty text is none"),
                other => self.mistake(&place, &format!("{} where a text is expected", other.kind())),
            }
            None
        };
        Some(array.iter().enumerate().filter_map(text).collect())
    }

    /// A number or a flag: what a field of a form stands for is noted.
    fn asked(&self, key: &str) -> Option<Cow<'_, Value>> {
        let value = self.given(key)?.as_asked();
        if let Cow::Owned(read) = &value {
            self.gathered.was_read_as(self.path_of(key), read.clone());
        }
        Some(value)
    }

    /// A whole number within a range.
    pub fn number(&self, key: &str, range: RangeInclusive<usize>) -> Option<usize> {
        self.asks(key, || Asks::Number { least: *range.start(), most: *range.end() });
        let value = self.asked(key)?;
        let (first, last) = (range.start(), range.end());
        let Value::Whole { written, number } = value.as_ref() else {
            self.mistake(key, &format!("is {} where a whole number from {first} to {last} is expected", value.kind()));
            return None;
        };
        let number = number.and_then(|n| usize::try_from(n).ok()).filter(|n| range.contains(n));
        if number.is_none() {
            self.mistake(key, &format!("`{written}` is not a whole number from {first} to {last}"));
        }
        number
    }

    /// A number from 0 to 1.
    pub fn share(&self, key: &str) -> Option<f32> {
        self.asks(key, || Asks::Share);
        let number = match self.asked(key)?.as_ref() {
            Value::Fraction(written) | Value::Whole { written, .. } => written.parse::<f32>().ok(),
            _ => None,
        };
        let share = number.filter(|share| (0.0..=1.0).contains(share));
        if share.is_none() {
            self.mistake(key, "is not a number from 0 to 1");
        }
        share
    }

    /// True or false.
    pub fn flag(&self, key: &str) -> Option<bool> {
        self.asks(key, || Asks::Flag);
        let Value::Flag(flag) = *self.asked(key)? else {
            self.mistake(key, "is neither true nor false (without quotes)");
            return None;
        };
        Some(flag)
    }

    /// A text that means something; `expected` is what, with its article.
    pub fn parsed<T: FromStr>(&self, key: &str, expected: &str) -> Option<T> {
        let text = self.text(key)?;
        let parsed = text.trim().parse().ok();
        if parsed.is_none() {
            self.mistake(key, &format!("`{text}` is not {expected}"));
        }
        parsed
    }

    /// One of some words: which.
    pub fn choice(&self, key: &str, choices: &[&str]) -> Option<usize> {
        self.asks(key, || Asks::Choice(choices.iter().map(|choice| (*choice).to_owned()).collect()));
        let text = self.text(key)?;
        let chosen = choices.iter().position(|choice| *choice == text);
        if chosen.is_none() {
            let hint = hint(&text, choices.iter().copied());
            self.mistake(key, &format!("`{text}` is none of {}{hint}", choices.join(", ")));
        }
        chosen
    }

    /// The same where it must be there.
    pub fn required_choice(&self, key: &str, choices: &[&str]) -> Option<usize> {
        if self.given(key).is_none() {
            self.miss(key, &format!("is missing: one of {}", choices.join(", ")));
        }
        self.choice(key, choices)
    }

    /// An URL of one of these schemes, with a host; empty if it is none, which has been told then.
    pub fn required_url(&self, key: &str, schemes: &[&str]) -> String {
        let url = self.required_text(key);
        if url.is_empty() || self.is_url(key, &url, schemes) { url } else { String::new() }
    }

    /// The same where the key may be missing.
    pub fn url(&self, key: &str, schemes: &[&str]) -> Option<String> {
        self.text(key).filter(|url| self.is_url(key, url, schemes))
    }

    fn is_url(&self, key: &str, url: &str, schemes: &[&str]) -> bool {
        let rest = schemes.iter().find_map(|scheme| url.strip_prefix(scheme));
        let why = match rest {
            None => Some(format!("does not begin with {}", schemes.join(" or "))),
            Some(_) if url.contains(|c: char| c.is_whitespace() || c.is_control()) => Some("holds a blank".to_owned()),
            Some(rest) => refused_authority(rest.split(['/', '?', '#']).next().unwrap_or_default()),
        };
        if let Some(why) = &why {
            self.mistake(key, &format!("`{}` {why}", without_user(url)));
        } else {
            self.gathered.names_url(self.path_of(key), url);
        }
        why.is_none()
    }

    /// A service's own parameters, handed on as they are (a whole number beyond 64 bits as the nearest fraction).
    pub fn parameters(&self, key: &str) -> Map<String, Json> {
        let Some(value) = self.given(key) else { return Map::new() };
        let Value::Table(table) = value else {
            self.mistake(key, "is not a table like { model = \"en-US_Telephony\" }");
            return Map::new();
        };
        let table = self.settled(table);
        self.gathered.was_read_as(self.path_of(key), Value::Table(table.clone()));
        table.iter().map(|(key, value)| (key.to_owned(), json(value))).collect()
    }

    /// Nobody knows of which kind the parameters of a service are: a field that looks like a number is one.
    fn settled(&self, table: &Table) -> Table {
        let settle = |value: &Value| match value {
            Value::Table(table) => Value::Table(self.settled(table)),
            other => other.as_asked().into_owned(),
        };
        table
            .iter()
            .filter(|(_, value)| !value.is_blank())
            .map(|(key, value)| (key.to_owned(), settle(value)))
            .collect()
    }
}

/// What is no URL as it is told: what stands before an `@` in it may be a password.
fn without_user(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://…@{host}"),
        None => url.to_owned(),
    }
}

/// Why host and port of an URL (RFC 3986 section 3.2) are none. A URL is shown and logged: nobody hides a password in it.
fn refused_authority(authority: &str) -> Option<String> {
    if authority.contains('@') {
        let why = "names a user: a URL is shown and logged, so what is secret has keys of its own";
        return Some(why.to_owned());
    }
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) if host.parse::<std::net::Ipv6Addr>().is_ok() => {
            ("::", rest.strip_prefix(':').or(Some(rest)))
        }
        Some(_) => ("", None),
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let plain = |c: char| c.is_alphanumeric() || "-._~:%!$&'()*+,;=".contains(c);
    if host.is_empty() || !host.chars().all(plain) {
        return Some("names no host".to_owned());
    }
    let good = port.is_none_or(|port| port.is_empty() || port.parse::<u16>().is_ok_and(|port| port > 0));
    (!good).then(|| "has a port that is none".to_owned())
}

fn json(value: &Value) -> Json {
    match value {
        Value::Nothing => Json::Null,
        Value::Text(text) | Value::Field(text) | Value::Date(text) => text.as_str().into(),
        Value::Whole { number, written } => match number.map(|n| (i64::try_from(n), u64::try_from(n))) {
            Some((Ok(number), _)) => number.into(),
            Some((_, Ok(number))) => number.into(),
            _ => written.replace('_', "").parse::<f64>().map_or(Json::Null, Into::into),
        },
        Value::Fraction(written) => written.parse::<f64>().map_or(Json::Null, Into::into),
        Value::Flag(flag) => (*flag).into(),
        Value::List(list) => list.iter().map(json).collect(),
        Value::Table(table) => Json::Object(table.iter().map(|(key, value)| (key.to_owned(), json(value))).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_host_and_a_port_and_no_user() {
        for (authority, why) in [
            ("bot.example", None),
            ("bot.example:8443", None),
            ("bücher.example", None),
            ("127.0.0.1:1", None),
            ("[2001:db8::1]:8080", None),
            ("[::1]", None),
            ("bot.example:", None),
            ("", Some("names no host")),
            (":80", Some("names no host")),
            ("[::zz]", Some("names no host")),
            ("a\\b", Some("names no host")),
            ("bot.example:99999", Some("has a port that is none")),
            ("u:PW", Some("has a port that is none")),
            ("[::1]x", Some("has a port that is none")),
        ] {
            assert_eq!(refused_authority(authority).as_deref(), why, "{authority}");
        }
        let why = refused_authority("u:pw@bot.example").expect("a user");
        assert!(why.starts_with("names a user") && !why.contains("pw"), "{why}");
        assert_eq!(without_user("https://u:p/w@bot.example"), "https://…@bot.example");
    }
}
