//! The JSON of a document: a row of a database, the body of a request.
//!
//! Invariant: what is written and read again says the same; a mistake in the text quotes nothing of it, which may be a
//! secret.

use super::mistake::Mistake;
use super::value::{Table, Value};

/// Reads a document; a mistake if it is no JSON, or no object.
pub fn read(text: &str) -> Result<Table, Mistake> {
    match serde_json::from_str(text) {
        Ok(Value::Table(table)) => Ok(table),
        Ok(other) => Err(Mistake::of_value("", format!("is {} where a section is expected", other.kind()))),
        Err(error) => Err(Mistake::of_value("", format!("is not JSON: {error}"))),
    }
}

/// Writes a document. Secrets that stand in it are written too: set them apart first ([`super::SetApart`]).
pub fn write(document: &Table) -> String {
    serde_json::to_string(document).expect("keys are texts, and values are of JSON's kinds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_and_read_again_says_the_same() {
        let text = r#"{"name":"acme","numbers":["+1"],"max_calls":7,"deep":{"a":[true,null,{"b":-1}],"c":0.25},"most":18446744073709551615}"#;
        let document = read(text).expect("JSON");
        assert_eq!(write(&document), text);
        assert_eq!(read(&write(&document)), Ok(document));
    }

    #[test]
    fn what_is_no_document_is_told_without_what_it_says() {
        for (text, told) in [
            (r#"{"key": "s3cret"#, "is not JSON: EOF while parsing a string at line 1 column 15"),
            (r#"{"key": "s3cret", "key": 1}"#, "is not JSON: `key` is there twice at line 1 column 27"),
            (r#"["s3cret"]"#, "is a list where a section is expected"),
            (r#"{"a": s3cret}"#, "is not JSON: expected value at line 1 column 7"),
        ] {
            assert_eq!(read(text).expect_err(text).to_string(), told);
        }
        assert!(read(&"[".repeat(100_000)).is_err(), "depth has a limit");
    }
}
