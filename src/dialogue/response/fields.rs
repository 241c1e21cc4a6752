//! Fields as authors write them: numbers and flags also as strings.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

/// A parameter that is as if it were not there: no number, no whole one, or out of range. It holds no value: what an
/// assistant writes may be anybody's secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not between {} and {}: it is as if it were not there", .range.start(), .range.end())]
pub struct OutOfRange {
    /// As the assistant writes it: `inter_digit_timeout`.
    pub name: &'static str,
    /// What it may be.
    pub range: RangeInclusive<u64>,
}

/// A whole number, also as a string or with a fraction of zero; `None` for anything else.
pub(crate) fn number(value: &Value) -> Option<u64> {
    let exact = |n: f64| (n.fract() == 0.0 && (0.0..=EXACT_MAX).contains(&n)).then_some(n as u64);
    match value {
        Value::Number(number) => number.as_u64().or_else(|| exact(number.as_f64()?)),
        Value::String(text) => text.trim().parse().ok().or_else(|| exact(text.trim().parse().ok()?)),
        _ => None,
    }
}

/// The greatest number of which all before it are exact (2^53).
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// A parameter of an object, if it is there and in range; if it is there and is not, it is told.
pub(crate) fn within(
    from: &Value,
    name: &'static str,
    range: RangeInclusive<u64>,
    refused: &mut Vec<OutOfRange>,
) -> Option<u64> {
    let given = from.get(name).filter(|given| !given.is_null())?;
    let number = number(given).filter(|number| range.contains(number));
    if number.is_none() && refused.len() < REFUSED_MAX {
        refused.push(OutOfRange { name, range });
    }
    number
}

/// Most parameters of one reply that are told.
const REFUSED_MAX: usize = 20;

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

/// A text that says something; a number or a boolean is the text it is written as.
pub(crate) fn text(value: Option<&Value>) -> Option<String> {
    let text = match value? {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Bool(yes) => yes.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// An object, or the object that a string holds.
pub(crate) fn object(value: Option<&Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(map)) => map.clone(),
        Some(Value::String(text)) => match crate::json::read(text.as_bytes()) {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        },
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
        for count in [json!(4), json!("4"), json!(4.0), json!(" 4.0 ")] {
            assert_eq!(number(&count), Some(4));
        }
        for none in
            [json!(-4), json!(4.5), json!("-4"), json!("NaN"), json!("inf"), json!(1e300), json!(true), json!([4])]
        {
            assert_eq!(number(&none), None, "{none}");
        }
        for yes in [json!(true), json!("true"), json!("Yes")] {
            assert_eq!(flag(Some(&yes)), Some(true));
        }
        assert_eq!((flag(Some(&json!("maybe"))), flag(Some(&json!(1)))), (None, None));
        assert_eq!(object(Some(&json!("{\"a\": 1}"))), object(Some(&json!({"a": 1}))));
        assert_eq!((text(Some(&json!("  "))), text(Some(&json!(" a ")))), (None, Some("a".into())));
        assert_eq!((text(Some(&json!(2026))), text(Some(&json!(false)))), (Some("2026".into()), Some("false".into())));
    }

    #[test]
    fn what_is_out_of_range_is_as_if_it_were_not_there_and_is_told() {
        let mut refused = vec![];
        let from = json!({"low": 0, "high": 101, "good": "7", "empty": null});
        let mut read = |name| within(&from, name, 1..=100, &mut refused);
        assert_eq!((read("low"), read("high"), read("good"), read("empty")), (None, None, Some(7), None));
        assert_eq!(refused.iter().map(|refused| refused.name).collect::<Vec<_>>(), ["low", "high"]);
        assert_eq!(refused[0].to_string(), "`low` is not between 1 and 100: it is as if it were not there");
    }
}
