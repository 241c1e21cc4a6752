//! Reading a flow from a file, in whichever of both formats it is found to be.
//!
//! Invariant: whatever is given, reading ends within its bounds, in a flow or in one sentence that names block and field.

use serde_json::Value;

use super::reading::{Place, Unreadable};
use super::{Flow, language, legacy};

/// Most bytes of a file: the API takes 256,000 characters, and editors indent them.
pub const FLOW_BYTES_MAX: usize = 1024 * 1024;
/// How deep a file may be nested: flows have about eight levels.
pub const DEPTH_MAX: usize = 24;

/// Reads the text of a file, in whichever of both formats it is.
pub fn read(text: &str) -> Result<Flow, Unreadable> {
    let all = |what: String| Unreadable { block: None, pointer: String::new(), what };
    if text.len() > FLOW_BYTES_MAX {
        return Err(all(format!("has more than {FLOW_BYTES_MAX} bytes")));
    }
    // Editors put a mark of their own before the text.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let value: Value = serde_json::from_str(text)
        .map_err(|error| all(format!("is not JSON: see line {}, column {}", error.line(), error.column())))?;
    of_value(&value)
}

/// Reads what has been read as JSON.
pub fn of_value(value: &Value) -> Result<Flow, Unreadable> {
    if is_deeper(value, DEPTH_MAX) {
        let what = format!("is nested more than {DEPTH_MAX} deep");
        return Err(Unreadable { block: None, pointer: String::new(), what });
    }
    let file = Place::of(value)?;
    if file.object.contains_key("modules") {
        legacy::read(&file)
    } else if file.object.contains_key("Actions") {
        language::read(&file)
    } else {
        Err(file.bad("", "is none: it has neither Actions nor modules"))
    }
}

fn is_deeper(value: &Value, than: usize) -> bool {
    let Some(than) = than.checked_sub(1) else { return true };
    match value {
        Value::Array(list) => list.iter().any(|value| is_deeper(value, than)),
        Value::Object(object) => object.values().any(|value| is_deeper(value, than)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::ACTIONS_READ_MAX;
    use super::*;

    #[test]
    fn what_is_no_flow_is_told_with_block_and_field() {
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        let many = format!(
            r#"{{"Version":"2019-10-30","StartAction":"a","Actions":[{}{{}}]}}"#,
            "{},".repeat(ACTIONS_READ_MAX)
        );
        for (text, told) in [
            ("", "the flow is not JSON: see line 1, column 0"),
            ("{\n\"a\" 1}", "the flow is not JSON: see line 2, column 5"),
            ("[]", "the flow is not an object"),
            ("{}", "the flow is none: it has neither Actions nor modules"),
            (&deep, "the flow is nested more than 24 deep"),
            (&"x".repeat(FLOW_BYTES_MAX + 1), "the flow has more than 1048576 bytes"),
            (&many, "Actions has more than 1000 blocks"),
            (r#"{"Actions":[]}"#, "Version is missing"),
            (r#"{"Version":"2020-01-01","Actions":[]}"#, "Version is not 2019-10-30"),
            (r#"{"Version":"2019-10-30","StartAction":"a","Actions":[]}"#, "Actions has no block"),
            (r#"{"Version":"2019-10-30","StartAction":"a","Actions":7}"#, "Actions is not a list"),
            (r#"{"Version":"2019-10-30","StartAction":7,"Actions":[{}]}"#, "StartAction is not a text"),
            (r#"{"Version":"2019-10-30","StartAction":"a","Actions":[{}]}"#, "Actions/0/Identifier is missing"),
            (
                r#"{"Version":"2019-10-30","StartAction":"a","Actions":[{"Identifier":"a","Type":"Wait","Parameters":[]}]}"#,
                "block a: Actions/0/Parameters is not an object",
            ),
            (
                r#"{"Version":"2019-10-30","StartAction":"a","Actions":[{"Identifier":"a","Type":"Compare","Transitions":{"Conditions":[{"NextAction":"a","Condition":{"Operator":"Equals","Operands":[1]}}]}}]}"#,
                "block a: Actions/0/Transitions/Conditions/0/Condition/Operands has more than texts in it",
            ),
            (r#"{"modules":[{}]}"#, "start is missing"),
            (r#"{"modules":[{}],"start":"a","version":"2"}"#, "version is not 1"),
            (r#"{"modules":[{}],"start":"a","version":"1"}"#, "modules/0/id is missing"),
            (
                r#"{"modules":[{"id":"a","type":"PlayPrompt","branches":[{"condition":"Success"}]}],"start":"a"}"#,
                "block a: modules/0/branches/0/transition is missing",
            ),
            (
                r#"{"modules":[{"id":"a","type":"PlayPrompt","parameters":{"Text":"x"}}],"start":"a"}"#,
                "block a: modules/0/parameters is not a list",
            ),
        ] {
            assert_eq!(read(text).expect_err(text).to_string(), told);
        }
    }
}
