//! Configurations that an assistant changes in mid-call, for good or for one turn.
//!
//! Invariant: what was changed for one turn is as it was before once the next question is on its way; a lasting change
//! made in between is what it goes back to.

use serde_json::{Map, Value};

/// Most bytes of a configuration, as JSON: an assistant may add to it in every turn, and each text and each connection of a
/// call takes it along.
pub const BYTES_MAX: usize = 64 * 1024;

/// A change that would make a configuration larger than [`BYTES_MAX`]: it stays as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("configure: larger than {BYTES_MAX} bytes")]
pub struct TooLarge;

/// `update_strategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UpdateStrategy {
    /// Each root field given replaces its predecessor; the others stay.
    #[default]
    Replace,
    /// The same for one turn.
    ReplaceOnce,
    /// Only the single parameters given are replaced.
    Merge,
    /// The same for one turn.
    MergeOnce,
}

impl UpdateStrategy {
    /// The name as written today or in the older commands; the default for anything else.
    pub(crate) fn read(value: Option<&Value>) -> Self {
        match value.and_then(Value::as_str) {
            Some("replace_once" | "replaceOnce") => Self::ReplaceOnce,
            Some("merge") => Self::Merge,
            Some("merge_once" | "mergeOnce") => Self::MergeOnce,
            _ => Self::Replace,
        }
    }

    fn is_for_one_turn(self) -> bool {
        matches!(self, Self::ReplaceOnce | Self::MergeOnce)
    }
}

/// A configuration: root fields, most of them objects of parameters.
#[derive(Clone, Default, PartialEq)]
pub struct Configuration {
    lasting: Map<String, Value>,
    /// In force instead until the next question is on its way.
    passing: Option<Map<String, Value>>,
}

impl Configuration {
    /// A configuration to begin with.
    pub fn new(fields: Map<String, Value>) -> Self {
        Self { lasting: fields, passing: None }
    }

    /// What is in force.
    pub fn current(&self) -> &Map<String, Value> {
        self.passing.as_ref().unwrap_or(&self.lasting)
    }

    /// Applies a change, or nothing of it.
    pub fn update(&mut self, strategy: UpdateStrategy, fields: &Map<String, Value>) -> Result<(), TooLarge> {
        let changed = |before: &Map<String, Value>| {
            let mut after = before.clone();
            apply(&mut after, strategy, fields);
            let bytes: usize = after.iter().map(|(name, value)| name.len() + value.to_string().len()).sum();
            if bytes > BYTES_MAX { Err(TooLarge) } else { Ok(after) }
        };
        if strategy.is_for_one_turn() {
            self.passing = Some(changed(self.current())?);
        } else {
            let passing = self.passing.as_ref().map(changed).transpose()?;
            self.lasting = changed(&self.lasting)?;
            self.passing = passing;
        }
        Ok(())
    }

    /// The next question is on its way; returns whether that changed anything.
    pub(crate) fn turn_sent(&mut self) -> bool {
        self.passing.take().is_some_and(|passing| passing != self.lasting)
    }
}

impl std::fmt::Debug for Configuration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Configuration({} fields)", self.current().len())
    }
}

fn apply(to: &mut Map<String, Value>, strategy: UpdateStrategy, fields: &Map<String, Value>) {
    for (name, value) in fields {
        match (strategy, to.get_mut(name), value) {
            (UpdateStrategy::Merge | UpdateStrategy::MergeOnce, Some(Value::Object(old)), Value::Object(new)) => {
                old.extend(new.clone());
            }
            _ => {
                to.insert(name.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("{other} is no object"),
        }
    }

    fn began() -> Configuration {
        Configuration::new(map(json!({"narrow": {"model": "a", "rate": 1}, "wide": {"model": "w"}})))
    }

    #[test]
    fn replace_overwrites_roots_and_keeps_what_is_not_named() {
        let mut configuration = began();
        configuration.update(UpdateStrategy::Replace, &map(json!({"narrow": {"model": "b"}}))).expect("small");
        assert_eq!(configuration.current(), &map(json!({"narrow": {"model": "b"}, "wide": {"model": "w"}})));
        assert!(!configuration.turn_sent());
    }

    #[test]
    fn merge_overwrites_parameters() {
        let mut configuration = began();
        configuration.update(UpdateStrategy::Merge, &map(json!({"narrow": {"model": "b"}, "more": 1}))).expect("small");
        let expected = json!({"narrow": {"model": "b", "rate": 1}, "wide": {"model": "w"}, "more": 1});
        assert_eq!(configuration.current(), &map(expected));
    }

    #[test]
    fn once_is_until_the_next_question_is_sent() {
        for (strategy, expected) in [
            (UpdateStrategy::ReplaceOnce, json!({"model": "b"})),
            (UpdateStrategy::MergeOnce, json!({"model": "b", "rate": 1})),
        ] {
            let mut configuration = began();
            configuration.update(strategy, &map(json!({"narrow": {"model": "b"}}))).expect("small");
            assert_eq!(configuration.current()["narrow"], expected);
            assert!(configuration.turn_sent());
            assert_eq!(configuration, began());
            assert!(!configuration.turn_sent());
        }
    }

    #[test]
    fn a_lasting_change_in_between_is_what_it_goes_back_to() {
        let mut configuration = began();
        configuration.update(UpdateStrategy::MergeOnce, &map(json!({"narrow": {"model": "b"}}))).expect("small");
        configuration.update(UpdateStrategy::Merge, &map(json!({"narrow": {"rate": 9}}))).expect("small");
        assert_eq!(configuration.current()["narrow"], json!({"model": "b", "rate": 9}));
        configuration.turn_sent();
        assert_eq!(configuration.current()["narrow"], json!({"model": "a", "rate": 9}));
    }

    #[test]
    fn what_grows_turn_by_turn_comes_to_an_end_and_stays_as_it_was() {
        let mut configuration = began();
        let more = |n: usize| map(json!({"narrow": {format!("n{n}"): "x".repeat(1000)}}));
        let grown = (0..1000).take_while(|n| configuration.update(UpdateStrategy::Merge, &more(*n)).is_ok()).count();
        assert!((50..=BYTES_MAX / 1000).contains(&grown), "{grown}");
        let before = configuration.clone();
        for strategy in [UpdateStrategy::Replace, UpdateStrategy::ReplaceOnce, UpdateStrategy::MergeOnce] {
            let book = map(json!({"wide": {"words": "x".repeat(BYTES_MAX)}}));
            assert_eq!(configuration.update(strategy, &book), Err(TooLarge));
            assert_eq!(configuration, before);
        }
        assert_eq!(configuration.update(UpdateStrategy::Replace, &map(json!({"narrow": {"model": "b"}}))), Ok(()));
    }
}
