//! The shape of a reply: `{"output": {"generic": […]}, "context": {…}, "phrases": […]}`.
//!
//! Invariant: what has another shape is a failure that says what was expected and what came, by kinds and names alone: an
//! assistant's mistake is told and not mistaken for silence.

use std::sync::Arc;

use bellhop_dialogue::ports::{ServiceFailure, TurnReply};
use serde_json::Value;

/// Names of an object that are told.
const NAMES_MAX: usize = 6;
/// Characters of a name that are told.
const NAME_CHARACTERS_MAX: usize = 24;

/// Reads a reply.
pub(super) fn reply(message: Value) -> Result<TurnReply, ServiceFailure> {
    let of = |what: &str, came: Option<&Value>| Err(unexpected(what, came));
    let Some(fields) = message.as_object() else { return of("an object with `output`", Some(&message)) };
    let commands = |at: Option<&Value>| {
        at.is_some_and(|at| at.get("vgwAction").is_some() || at.get("vgwActionSequence").is_some())
    };
    match fields.get("output") {
        Some(Value::Object(output)) => match output.get("generic") {
            Some(Value::Array(items)) => {
                if let Some((n, item)) = items.iter().enumerate().find(|(_, item)| !item.is_object()) {
                    return of(&format!("an object as item {n} of `output.generic`"), Some(item));
                }
            }
            None | Some(Value::Null) if commands(fields.get("output")) || commands(fields.get("context")) => {}
            None => return of("`output.generic`, an array (empty to say nothing)", fields.get("output")),
            came => return of("an array as `output.generic`", came),
        },
        None | Some(Value::Null) if commands(fields.get("context")) => {}
        None => return of("an object with `output`", Some(&message)),
        came => return of("an object as `output`", came),
    }
    if let Some(context) = fields.get("context").filter(|context| !context.is_object() && !context.is_null()) {
        return of("an object as `context`", Some(context));
    }
    let phrases = phrases(fields.get("phrases"));
    Ok(TurnReply { phrases, ..TurnReply::from_message(message) })
}

/// What the caller may say next: a list of texts.
fn phrases(given: Option<&Value>) -> Option<Arc<[String]>> {
    let phrases = given?.as_array()?.iter().filter_map(Value::as_str);
    Some(phrases.map(str::to_owned).collect::<Vec<_>>().into())
}

/// A failure: this was expected, that came.
pub(super) fn unexpected(expected: &str, came: Option<&Value>) -> ServiceFailure {
    let came = came.map_or("nothing".to_owned(), kind);
    ServiceFailure::Unavailable { why: format!("its reply has the wrong shape: expected {expected}, got {came}") }
}

/// What a value is, without what it says.
pub(super) fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "true or false".to_owned(),
        Value::Number(_) => "a number".to_owned(),
        Value::String(_) => "a text".to_owned(),
        Value::Array(items) if items.is_empty() => "an empty array".to_owned(),
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Object(fields) if fields.is_empty() => "an empty object".to_owned(),
        Value::Object(fields) => {
            let is_name = |c: &char| c.is_ascii_alphabetic() || "_-.".contains(*c);
            let short = |name: &String| name.chars().filter(is_name).take(NAME_CHARACTERS_MAX).collect::<String>();
            let names: Vec<String> = fields.keys().take(NAMES_MAX).map(short).collect();
            format!("an object with `{}`{}", names.join("`, `"), if fields.len() > NAMES_MAX { ", …" } else { "" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// `replies.yaml`: a reply of the wrong shape.
    #[test]
    fn a_reply_of_the_wrong_shape_is_told_as_one() {
        for (message, told) in [
            (json!([]), "expected an object with `output`, got an empty array"),
            (json!(null), "got null"),
            (json!("hello"), "got a text"),
            (json!({}), "got an empty object"),
            (json!({"reply": "secret", "score": 1}), "got an object with `reply`, `score`"),
            (json!({"output": "hi"}), "expected an object as `output`, got a text"),
            (json!({"output": {}}), "expected `output.generic`"),
            (json!({"output": {"generic": {}}}), "expected an array as `output.generic`"),
            (json!({"output": {"generic": ["hi"]}}), "expected an object as item 0 of `output.generic`, got a text"),
            (json!({"output": {"generic": []}, "context": "x"}), "expected an object as `context`"),
        ] {
            let Err(ServiceFailure::Unavailable { why }) = reply(message.clone()) else { panic!("{message}") };
            assert!(why.contains(told) && !why.contains("secret"), "{why}");
        }
    }

    #[test]
    fn what_assistants_may_leave_out_they_may() {
        for message in [
            json!({"output": {"generic": []}}),
            json!({"output": {"vgwAction": {"command": "vgwActHangup"}}}),
            json!({"context": {"vgwAction": {"command": "vgwActHangup"}}}),
            json!({"output": {"generic": [{"response_type": "text"}]}, "context": null, "phrases": null}),
        ] {
            assert!(reply(message.clone()).is_ok(), "{message}");
        }
    }
}
