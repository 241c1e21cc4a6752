//! `text`: speak.

use serde_json::Value;

use super::Response;
use super::fields::text;
use crate::plain_text;

/// Markdown is for pages: its signs are not spoken. The runtime form has `text`; the authoring form `values[0].text` is
/// accepted too.
pub(super) fn read(item: &Value) -> Option<Response> {
    let given = item.get("text").or_else(|| item.pointer("/values/0/text"))?;
    let said = text(Some(given)).map(|text| plain_text::of_markdown(&text));
    // An empty text is one that says nothing.
    said.or_else(|| given.is_string().then(String::new)).map(|text| Response::Text { text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_forms_are_read() {
        let expected = Some(Response::Text { text: "hi".into() });
        assert_eq!(read(&json!({"text": " hi "})), expected);
        assert_eq!(read(&json!({"values": [{"text": "hi"}]})), expected);
        assert_eq!(read(&json!({"text": 7})), Some(Response::Text { text: "7".into() }));
        assert_eq!(read(&json!({"text": "**7** <break/>"})), Some(Response::Text { text: "7 <break/>".into() }));
        assert_eq!(read(&json!({"text": ["a"]})), None);
    }
}
