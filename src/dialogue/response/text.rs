//! `text`: speak.

use serde_json::Value;

use super::Response;

/// The runtime form has `text`; the authoring form `values[0].text` is accepted too.
pub(super) fn read(item: &Value) -> Option<Response> {
    let text = item.get("text").or_else(|| item.pointer("/values/0/text"))?.as_str()?.trim();
    Some(Response::Text { text: text.to_owned() })
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
        assert_eq!(read(&json!({"text": 7})), None);
    }
}
