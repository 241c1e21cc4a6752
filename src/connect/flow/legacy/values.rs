//! Values of the older format: a text, or a name in a namespace that stands for a reference.
//!
//! Invariant: what is written of a reference is read as it.

use serde_json::{Value, json};

use super::super::path;

/// What the console calls the system's values that flows of ours ask for.
const SYSTEM: [(&str, &str); 6] = [
    ("Dialed Number", "$.SystemEndpoint.Address"),
    ("Customer Number", "$.CustomerEndpoint.Address"),
    ("InstanceARN", "$.InstanceARN"),
    ("ContactId", "$.ContactId"),
    ("InitialContactId", "$.InitialContactId"),
    ("Channel", "$.Channel"),
];

const EXTERNAL: &str = "$.External.";

/// A value as the language has it: a text.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        other => other.to_string(),
    }
}

/// The reference that a name in a namespace stands for, or the text that it is.
pub(super) fn of_namespace(namespace: Option<&str>, value: &Value) -> String {
    let name = text(value);
    match namespace {
        _ if name.starts_with('$') => name,
        None => name,
        Some("System") => match SYSTEM.iter().find(|(known, _)| *known == name) {
            Some((_, path)) => (*path).to_owned(),
            None => format!("$.System['{name}']"),
        },
        Some("User Defined") => format!("$.Attributes.{name}"),
        Some("External") => format!("{EXTERNAL}{name}"),
        Some(other) => format!("$['{other}'].{name}"),
    }
}

/// Whether a text is a reference: the console marks what is.
pub(super) fn is_dynamic(text: &str) -> bool {
    matches!(path::written(text), path::Written::Reference(_))
}

/// A parameter of this name.
pub(super) fn parameter(name: &str, text: &str) -> Value {
    let (namespace, value) = in_namespace(text);
    json!({"name": name, "value": value, "namespace": namespace})
}

/// The namespace and name of a reference; a text has no namespace.
pub(super) fn in_namespace(text: &str) -> (Option<&str>, &str) {
    if let Some((name, _)) = SYSTEM.iter().find(|(_, path)| *path == text) {
        return (Some("System"), name);
    }
    match text.strip_prefix(EXTERNAL) {
        Some(name) if is_dynamic(text) => (Some("External"), name),
        // It is written whole, as the vendor's instructions have it.
        _ if path::attribute(text).is_some() => (Some("User Defined"), text),
        _ => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_of_a_reference_is_read_as_it() {
        for text in [
            "",
            "hello",
            "$5",
            "$.InstanceARN",
            "$.SystemEndpoint.Address",
            "$.CustomerEndpoint.Address",
            "$.Attributes.a",
            "$.Attributes['a b']",
            "$.External.a.b",
            "$.External.",
            "$.Lex.SessionAttributes.Tool",
            "$.Nothing",
        ] {
            let (namespace, value) = in_namespace(text);
            assert_eq!(of_namespace(namespace, &json!(value)), text);
        }
        assert_eq!(of_namespace(Some("User Defined"), &json!("a")), "$.Attributes.a");
        assert_eq!(of_namespace(Some("System"), &json!("New One")), "$.System['New One']");
        assert_eq!((text(&json!(60)), text(&json!(true)), text(&json!(null))), ("60".into(), "True".into(), "".into()));
    }
}
