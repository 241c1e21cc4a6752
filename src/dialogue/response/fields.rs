//! Fields as authors write them: numbers and flags also as strings.

use serde_json::{Map, Value};

/// A whole number, also as a string.
pub(crate) fn number(value: Option<&Value>) -> Option<u64> {
    match value? {
        Value::Number(number) => number.as_u64().or_else(|| number.as_f64().map(|n| n as u64)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// `true` or `false`, also as a string; the vendor's older commands say `Yes` and `No`.
pub(crate) fn flag(value: Option<&Value>) -> Option<bool> {
    match value? {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" => Some(true),
            "false" | "no" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// A text that says something.
pub(crate) fn text(value: Option<&Value>) -> Option<String> {
    let text = value?.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// An object, or the object that a string holds.
pub(crate) fn object(value: Option<&Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(map)) => map.clone(),
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
        _ => Map::new(),
    }
}

/// The `type` of `command_info` and its parameters, which stand in an object of their own or beside the type.
pub(crate) fn command(item: &Value) -> Option<(&str, &Value)> {
    let command = item.get("command_info")?;
    Some((command.get("type")?.as_str()?, command.get("parameters").unwrap_or(command)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_flags_and_objects_may_be_strings() {
        for count in [json!(4), json!("4"), json!(4.0)] {
            assert_eq!(number(Some(&count)), Some(4));
        }
        for yes in [json!(true), json!("true"), json!("Yes")] {
            assert_eq!(flag(Some(&yes)), Some(true));
        }
        assert_eq!((flag(Some(&json!("maybe"))), flag(Some(&json!(1)))), (None, None));
        assert_eq!(object(Some(&json!("{\"a\": 1}"))), object(Some(&json!({"a": 1}))));
        assert_eq!((text(Some(&json!("  "))), text(Some(&json!(" a ")))), (None, Some("a".into())));
    }
}
