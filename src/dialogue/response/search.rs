//! `search`: what a search found; its header and the body of the first result are spoken.

use serde_json::Value;

use super::Response;
use super::fields::text;
use crate::plain_text;

/// Most characters of a result that are spoken.
const CHARACTERS_MAX: usize = 5000;

pub(super) fn read(item: &Value) -> Option<Response> {
    let results = ["primary_results", "results", "additional_results"];
    let first = results.iter().find_map(|list| item.get(list)?.as_array()?.first());
    let body = first.and_then(|first| {
        let highlight = first.pointer("/highlight/body/0").or_else(|| first.pointer("/answers/0/text"));
        text(first.get("body")).or_else(|| text(highlight)).or_else(|| text(first.get("title")))
    });
    let parts: Vec<String> = text(item.get("header")).into_iter().chain(body).collect();
    // Results are cut from pages: neither their markup nor their Markdown is meant for a voice.
    let spoken: String = plain_text::of_page(&parts.join("\n")).chars().take(CHARACTERS_MAX - 1).collect();
    (!spoken.is_empty()).then_some(Response::Text { text: spoken })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_header_and_the_first_body_are_spoken() {
        let item =
            json!({"header": "I found this.", "primary_results": [{"body": "We open at nine."}, {"body": "no"}]});
        assert_eq!(read(&item), Some(Response::Text { text: "I found this. We open at nine.".into() }));
        let page = json!({"primary_results": [{"highlight": {"body": ["We <em>open</em> at **nine**.\n\n* [Map](http://x)"]}}]});
        assert_eq!(read(&page), Some(Response::Text { text: "We open at nine. Map".into() }));
        let long = json!({"results": [{"body": "a".repeat(9000)}]});
        assert!(matches!(read(&long), Some(Response::Text { text }) if text.len() == 4999));
        assert_eq!(read(&json!({"primary_results": []})), None);
    }
}
