//! A value as a literal: of Terraform's language, of YAML, of a POSIX shell.
//!
//! Invariant: what is written is one literal on its own, whose value is the one given: no text ends it, and nothing in it is
//! evaluated. A shell cannot hold the character 0: it is left out there.

use std::fmt::Write as _;

use serde_json::Value;

/// For Terraform: a quoted template in which `${` and `%{` stand for themselves (*Strings and Templates*).
pub(super) fn terraform(value: &Value) -> String {
    let Value::String(text) = value else { return value.to_string() };
    let mut written = String::from("\"");
    for (at, c) in text.char_indices() {
        match c {
            '"' | '\\' => written.extend(['\\', c]),
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '\t' => written.push_str("\\t"),
            '$' | '%' if text[at + 1..].starts_with('{') => written.extend([c, c]),
            c if c.is_control() => {
                let _ = write!(written, "\\u{:04x}", u32::from(c));
            }
            c => written.push(c),
        }
    }
    written + "\""
}

/// For YAML 1.1: a double-quoted scalar; a truth too, as parameters of a stack have none.
pub(super) fn yaml(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Bool(is) => is.to_string(),
        other => return other.to_string(),
    };
    let mut written = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => written.extend(['\\', c]),
            ' '..='~' => written.push(c),
            c => {
                let _ = write!(written, "\\U{:08X}", u32::from(c));
            }
        }
    }
    written + "\""
}

/// For a shell: between single quotes, in which nothing means anything but the quote.
pub(super) fn shell(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    format!("'{}'", text.replace('\0', "").replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_text_ends_its_literal() {
        let text = json!("a\"b'c\\d${e}%{f}$(g)`h`\n$${i}");
        assert_eq!(terraform(&text), r#""a\"b'c\\d$${e}%%{f}$(g)`h`\n$$${i}""#);
        assert_eq!(yaml(&text), r#""a\"b'c\\d${e}%{f}$(g)`h`\U0000000A$${i}""#);
        assert_eq!(shell(&text), "'a\"b'\\''c\\d${e}%{f}$(g)`h`\n$${i}'");
    }

    #[test]
    fn numbers_and_truths_are_themselves() {
        assert_eq!([terraform(&json!(5061)), yaml(&json!(5061)), shell(&json!(5061))], ["5061", "5061", "'5061'"]);
        assert_eq!([terraform(&json!(true)), yaml(&json!(true)), shell(&json!(true))], ["true", "\"true\"", "'true'"]);
    }
}
