//! Why a model did not answer, told to the operator with what to do.
//!
//! Services say it in as many ways as there are: `error` with a message, `error` as a text, `detail`, `object: error`. Their
//! words are told, for nothing else helps; but in one line, cut, without numbers, and not where they repeat the caller.

use bellhop_dialogue::ports::ServiceFailure;
use serde_json::Value;

use crate::http;

/// Most characters that are told of a service's own words.
const TOLD_MAX: usize = 160;
/// So many digits in a row may be somebody's.
const DIGITS_MAX: usize = 4;

/// What to look at, by status.
const HINTS: [(u16, &str); 6] = [
    (401, "check the key"),
    (402, "check its credit"),
    (403, "check the key"),
    (404, "check the URL and the model"),
    (413, "the conversation is too long for it"),
    (429, "its limit is reached"),
];

/// Words by which services say that a model has no tools.
const NO_TOOLS: [&str; 9] = [
    "does not support tools",
    "does not support function",
    "doesn't support tools",
    "tool use is not supported",
    "tools are not supported",
    "tools is not supported",
    "that support tool use",
    "--enable-auto-tool-choice",
    "tools param requires",
];
const TOOLS_REMEDY: &str = "this model has no tools, by which it hands over, hangs up and asks for digits: choose a model that \
has them, or let its server offer them (vLLM: --enable-auto-tool-choice and --tool-call-parser; llama.cpp: --jinja)";

/// Words by which services say that a conversation is too long.
const TOO_LONG: [&str; 4] =
    ["context_length_exceeded", "maximum context length", "available context size", "prompt is too long"];

/// What an object says of an error, if it does; `said` is what the caller said last.
pub(super) fn in_stream(object: &Value, said: &str) -> Option<ServiceFailure> {
    let (words, code) = error_of(object)?;
    // Without a status of its own it may pass: it came while the service was at work.
    let why = format!("it broke off with an error: {}", told(&words, said));
    Some(match code.filter(|code| (400..500).contains(code) && *code != 429) {
        Some(_) => ServiceFailure::Unavailable { why },
        None => ServiceFailure::NotNow { why, retry_after: None },
    })
}

/// What a status and its body say.
pub(super) fn of_status(
    status: u16,
    body: &[u8],
    retry_after: Option<std::time::Duration>,
    said: &str,
) -> ServiceFailure {
    let text = String::from_utf8_lossy(body);
    let words = serde_json::from_slice(body).ok().and_then(|object| error_of(&object)).map(|(words, _)| words);
    let lower = text.to_ascii_lowercase();
    let is_any = |all: &[&str]| all.iter().any(|words| lower.contains(words));
    let hint = if is_any(&NO_TOOLS) {
        Some(TOOLS_REMEDY)
    } else if is_any(&TOO_LONG) {
        Some("the conversation is too long for it: raise its context size, or shorten the prompt")
    } else {
        HINTS.iter().find(|(of, _)| *of == status).map(|(_, hint)| *hint)
    };
    let mut why = format!("HTTP status {status}");
    if let Some(hint) = hint {
        why = format!("{why}: {hint}");
    }
    if let Some(words) = words {
        why = format!("{why} ({})", told(&words, said));
    }
    http::refusal(status, why, retry_after)
}

/// An error's words and its status.
fn error_of(object: &Value) -> Option<(String, Option<u64>)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let error = object.get("error").filter(|error| !error.is_null());
    let at = match error {
        Some(error) => error,
        None if object.get("choices").is_some() => return None,
        None if object["object"] == "error" || object["type"] == "error" || object.get("detail").is_some() => object,
        None => return None,
    };
    let words = ["message", "detail", "msg", "error", "type"].into_iter().find_map(|name| text(at.get(name)?));
    let words = words.or_else(|| text(at)).or_else(|| text(object.get("message")?));
    let code = ["code", "status", "status_code"].into_iter().find_map(|name| {
        let code = at.get(name)?;
        code.as_u64().or_else(|| code.as_str()?.parse().ok())
    });
    Some((words.unwrap_or_else(|| "it does not say which".to_owned()), code))
}

/// A service's own words, as they may be told.
fn told(words: &str, said: &str) -> String {
    let said = said.trim().to_lowercase();
    if said.chars().count() > 3 && words.to_lowercase().contains(&said) {
        return "its words repeat the caller's".to_owned();
    }
    let line: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TOLD_MAX).collect();
    let mut told = String::with_capacity(line.len());
    let mut digits = String::new();
    for c in line.chars().chain([' ']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        told.push_str(if digits.len() > DIGITS_MAX { "…" } else { &digits });
        digits.clear();
        told.push(c);
    }
    told.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn why(failure: ServiceFailure) -> String {
        failure.to_string()
    }

    #[test]
    fn errors_are_understood_in_every_form() {
        for error in [
            json!({"error": {"message": "model is overloaded", "code": 529}}),
            json!({"error": "model is overloaded"}),
            json!({"object": "error", "message": "model is overloaded", "code": 503}),
            json!({"type": "error", "error": {"type": "overloaded_error", "message": "model is overloaded"}}),
            json!({"detail": "model is overloaded"}),
            json!({"choices": [], "error": {"message": "model is overloaded", "code": "429"}}),
        ] {
            let failure = in_stream(&error, "hi").unwrap_or_else(|| panic!("{error}"));
            assert!(matches!(failure, ServiceFailure::NotNow { .. }), "{error}");
            assert!(why(failure).contains("model is overloaded"), "{error}");
        }
        let lasting = in_stream(&json!({"error": {"message": "no such model", "code": 404}}), "hi");
        assert!(matches!(lasting, Some(ServiceFailure::Unavailable { .. })));
        for none in [json!({"choices": [], "error": null}), json!({"usage": {}}), json!([])] {
            assert!(in_stream(&none, "hi").is_none(), "{none}");
        }
    }

    #[test]
    fn a_model_without_tools_is_told_with_its_remedy() {
        for body in [
            r#"{"error":{"message":"registry.ollama.ai/library/gemma:latest does not support tools"}}"#,
            r#"{"object":"error","message":"\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set"}"#,
            r#"{"error":{"code":500,"message":"tools param requires --jinja flag"}}"#,
            r#"{"error":{"message":"No endpoints found that support tool use."}}"#,
        ] {
            let told = why(of_status(400, body.as_bytes(), None, "hi"));
            assert!(told.contains("no tools") && told.contains("--jinja"), "{told}");
        }
        assert!(why(of_status(404, b"<html>", None, "hi")).ends_with("check the URL and the model"));
    }

    #[test]
    fn nobodys_numbers_and_words_are_told() {
        let told = |message: &str| {
            why(of_status(400, json!({"error": {"message": message}}).to_string().as_bytes(), None, "My cat"))
        };
        assert!(told("cannot parse 'my cat'").contains("repeat"));
        let masked = told(&format!("bad number 4111111111111111 at 17\nof {}", "x".repeat(500)));
        assert!(masked.contains("number … at 17 of") && !masked.contains("4111") && masked.len() < 300, "{masked}");
    }
}
