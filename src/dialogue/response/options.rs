//! `option` and `suggestion`: a list to choose from, by key or by word; and how such a list is spoken.

use serde_json::{Map, Value, json};

use super::Response;
use super::fields::{flag, text};
use crate::plain_text;

/// Most characters of a prefix: it is said before each choice.
const PREFIX_CHARACTERS_MAX: usize = 200;
/// What a disambiguation begins with when the author gave no title.
const DID_YOU_MEAN: &str = "Did you mean?";
/// The words of the first positions, unless the author configured others.
const NUMBER_WORDS: [&str; 9] = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/// A list to choose from.
#[derive(Clone, PartialEq)]
pub struct OptionList {
    /// Spoken before the choices.
    pub title: Option<String>,
    /// In order; the first is chosen by the key 1.
    pub choices: Vec<Choice>,
    /// Whether the assistant did not know what was meant.
    pub(crate) disambiguates: bool,
}

/// One choice of a list.
#[derive(Clone, PartialEq)]
pub struct Choice {
    /// Spoken when the list is offered.
    pub label: String,
    /// `value.input`: what the next message sends, verbatim.
    pub input: Map<String, Value>,
}

impl std::fmt::Debug for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Choice")
    }
}

impl std::fmt::Debug for OptionList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OptionList({})", self.choices.len())
    }
}

/// `vgwActSetOptionsConfig` and `vgwActSetDisambiguationConfig`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OptionsConfig {
    /// Spoken before a label; `%s` stands for the position.
    pub prefix: Option<String>,
    /// The word that chooses each position.
    pub(crate) match_words: Option<Vec<String>>,
    /// Keys alone choose.
    pub(crate) keys_only: bool,
}

impl OptionsConfig {
    pub(super) fn read(parameters: &Value) -> Self {
        let prefix = text(parameters.get("prefixText")).map(|prefix| plain_text::of_markdown(&prefix));
        let prefix = prefix.map(|prefix| prefix.chars().take(PREFIX_CHARACTERS_MAX).collect());
        let words = |value: &Value| value.as_array()?.iter().map(|word| text(Some(word))).collect();
        Self {
            prefix,
            match_words: parameters.get("matchWord").and_then(words),
            keys_only: flag(parameters.get("disableSpeech")).unwrap_or(false),
        }
    }

    /// How a choice is offered; positions count from 1.
    pub fn offer(&self, position: usize, label: &str) -> String {
        match &self.prefix {
            Some(prefix) => format!("{} {label}", prefix.replace("%s", &position.to_string())),
            None => format!("{position}. {label}"),
        }
    }

    /// The choice that the caller's words name: the word of its position, its number, or its label.
    pub fn named<'a>(&self, choices: &'a [Choice], said: &str) -> Option<&'a Choice> {
        if self.keys_only {
            return None;
        }
        let said = plain(said);
        let word = |n: usize| match &self.match_words {
            Some(words) => words.get(n).map(String::as_str),
            None => NUMBER_WORDS.get(n).copied(),
        };
        // A label may be a number: what a caller reads out is meant before its position.
        let by_label = choices.iter().find(|choice| plain(&choice.label) == said);
        let by_position = |n: &usize| word(*n).is_some_and(|word| plain(word) == said) || said == (n + 1).to_string();
        by_label.or_else(|| choices.get((0..choices.len()).find(by_position)?))
    }
}

/// Words alone, in lower case.
fn plain(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").to_lowercase()
}

pub(super) fn read(item: &Value, disambiguates: bool) -> Option<Response> {
    let list = item.get(if disambiguates { "suggestions" } else { "options" })?.as_array()?;
    let choice = |entry: &Value| {
        let label = text(entry.get("label")).map(|label| plain_text::of_markdown(&label))?;
        Some(Choice { input: input(entry, &label), label })
    };
    let choices: Vec<Choice> = list.iter().filter_map(choice).take(CHOICES_MAX).collect();
    let title = text(item.get("title")).map(|title| plain_text::of_markdown(&title));
    let title = title.filter(|title| !title.is_empty()).or_else(|| disambiguates.then(|| DID_YOU_MEAN.to_owned()));
    (!choices.is_empty()).then_some(Response::Options(OptionList { title, choices, disambiguates }))
}

/// What the next message sends for a choice. Its text may have been written as a number or a boolean, and the object
/// around it left out; without any, the label is what a person would say.
fn input(entry: &Value, label: &str) -> Map<String, Value> {
    let value = entry.get("value").unwrap_or(&Value::Null);
    let mut input = match value.get("input").unwrap_or(value) {
        Value::Object(input) => input.clone(),
        scalar => Map::from_iter(text(Some(scalar)).map(|text| ("text".to_owned(), json!(text)))),
    };
    match input.get("text").map(|given| text(Some(given))) {
        Some(Some(given)) => drop(input.insert("text".to_owned(), json!(given))),
        // What was laid down without a text may be chosen by other means, like an intent.
        None if !input.is_empty() => {}
        _ => drop(input.insert("text".to_owned(), json!(label))),
    }
    input
}

/// Most choices that are spoken.
const CHOICES_MAX: usize = 99;

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> OptionList {
        let item = json!({"response_type": "option", "title": "What?", "options": [
            {"label": "Sales", "value": {"input": {"text": "go to sales"}}}, {"label": "Help desk"}, {"value": {}}]});
        match read(&item, false) {
            Some(Response::Options(list)) => list,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_are_read_and_named() {
        let list = list();
        assert_eq!((list.title.as_deref(), list.choices.len()), (Some("What?"), 2));
        let config = OptionsConfig::default();
        assert_eq!(config.offer(1, "Sales"), "1. Sales");
        for said in ["one", " One ", "1", "sales."] {
            let chosen = config.named(&list.choices, said).expect("named");
            assert_eq!(chosen.input["text"], "go to sales", "{said}");
        }
        assert_eq!(config.named(&list.choices, "help desk").map(|c| c.input["text"].clone()), Some(json!("Help desk")));
        assert!(config.named(&list.choices, "three").is_none());
    }

    #[test]
    fn labels_and_values_may_be_numbers_and_booleans() {
        let item = json!({"title": 2027, "options": [{"label": 2025, "value": {"input": {"text": 2025}}},
            {"label": true, "value": {"input": {"text": false, "id": 7}}}, {"label": 2.5, "value": 3},
            {"label": 1, "value": {"input": "one"}}, {"label": "x", "value": {"input": {"intents": []}}}, {"label": null}]});
        let Some(Response::Options(list)) = read(&item, false) else { panic!("a list") };
        let read: Vec<_> =
            list.choices.iter().map(|choice| (choice.label.as_str(), choice.input.get("text"))).collect();
        let text = |text: &'static str| json!(text);
        let expected = [("2025", Some(&text("2025"))), ("true", Some(&text("false"))), ("2.5", Some(&text("3")))];
        assert_eq!((list.title.as_deref(), &read[..3]), (Some("2027"), &expected[..]));
        assert_eq!(read[3..], [("1", Some(&text("one"))), ("x", None)]);
        let named = OptionsConfig::default().named(&list.choices, "1").map(|choice| choice.label.as_str());
        assert_eq!(named, Some("1"), "the label before the position");
    }

    #[test]
    fn the_way_of_offering_is_the_authors() {
        let config = OptionsConfig::read(&json!({"prefixText": "Press or say %s for.", "matchWord": ["red", "blue"]}));
        assert_eq!(config.offer(2, "Blue"), "Press or say 2 for. Blue");
        assert!(config.named(&list().choices, "red").is_some() && config.named(&list().choices, "one").is_none());
        let keys = OptionsConfig::read(&json!({"disableSpeech": "true"}));
        assert!(keys.named(&list().choices, "one").is_none());
    }

    #[test]
    fn titles_and_offers_are_spoken_without_markdown() {
        let item = json!({"title": "**Which** one?", "options": [{"label": "*Sales*"}]});
        let Some(Response::Options(list)) = read(&item, false) else { panic!("a list") };
        let config = OptionsConfig::read(&json!({"prefixText": "**Press** %s for"}));
        assert_eq!(list.title.as_deref(), Some("Which one?"));
        assert_eq!(config.offer(1, &list.choices[0].label), "Press 1 for Sales");
    }

    #[test]
    fn a_suggestion_carries_its_id() {
        let item =
            json!({"suggestions": [{"label": "Cancel", "value": {"input": {"text": "x", "suggestion_id": "7"}}}]});
        let Some(Response::Options(list)) = read(&item, true) else { panic!("a list") };
        assert_eq!(list.title.as_deref(), Some("Did you mean?"));
        assert_eq!(list.choices[0].input["suggestion_id"], "7");
        assert_eq!(read(&item, false), None);
    }
}
