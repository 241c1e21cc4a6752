//! What is told of a document, and in which words.

use std::path::PathBuf;

use super::*;

struct Nowhere;

impl Surroundings for Nowhere {
    fn secret_at(&self, place: &str) -> Result<String, String> {
        if place == "env:HELD" { Ok("held".into()) } else { Err("is not set in the environment".into()) }
    }

    fn path(&self, written: &str) -> PathBuf {
        PathBuf::from("/etc").join(written)
    }
}

/// Reads a document of JSON as a tenant's section is read; the mistakes as `path: why`.
fn mistakes(json: &str) -> Vec<String> {
    let Value::Table(table) = serde_json::from_str(json).expect("JSON") else { panic!("a section") };
    let gathered = Gathered::new(&Nowhere);
    let root = Section::root(&table, &gathered);
    root.required_text("name");
    root.list("numbers", |text| crate::Number::parse(text).map_err(|error| error.to_string()));
    root.number("max_calls", 1..=100);
    root.flag("ring");
    root.choice("on_setup_failure", &["answer_then_bye", "service_unavailable"]);
    root.share("confidence");
    if let Some(section) = root.required_section("connect") {
        section.secret("key");
        section.required_url("url", &["https://"]);
        section.finish();
    }
    root.section("media").finish();
    root.finish();
    let told = gathered.into_mistakes().into_iter();
    let mut told: Vec<String> = told.map(|Mistake { path, why, .. }| format!("{path}: {why}")).collect();
    told.sort();
    told
}

#[test]
fn a_document_that_is_no_toml_is_told_every_mistake_at_once_in_the_same_words() {
    let good = r#"{"name": "acme", "numbers": ["+18005550123"], "max_calls": 7, "ring": true, "confidence": 0.5,
        "connect": {"key": "env:HELD", "url": "https://a"}}"#;
    assert_eq!(mistakes(good), [""; 0]);
    let bad = r#"{"nmae": "acme", "numbers": ["+18005550123", 7, "call me"], "max_calls": 1e3, "ring": "yes",
        "on_setup_failure": "service_unavailible", "confidence": 7, "connect": {"key": "env:LOST", "url": null},
        "media": [], "speed": 3}"#;
    assert_eq!(
        mistakes(bad),
        [
            "confidence: is not a number from 0 to 1",
            "connect.key: `env:LOST` is not set in the environment",
            "connect.url: is nothing where a text is expected",
            "max_calls: is a number with a point where a whole number from 1 to 100 is expected",
            "media: is a list where a section is expected",
            "nmae: is not a known key: did you mean `name`?",
            "numbers[1]: a whole number where a text is expected",
            "numbers[2]: `call me` is not a telephone number: digits with an optional leading +, blanks, dots, dashes and brackets; 3 to 15 digits",
            "on_setup_failure: `service_unavailible` is none of answer_then_bye, service_unavailable: did you mean `service_unavailable`?",
            "ring: is neither true nor false (without quotes)",
            "speed: is not a known key",
        ]
    );
}

#[test]
fn a_mark_tells_whether_two_documents_say_the_same_and_shows_nothing() {
    let mark = |json: &str, leads_to: &str| {
        let Value::Table(table) = serde_json::from_str(json).expect("JSON") else { panic!("a section") };
        let gathered = Gathered::new(&Nowhere);
        let root = Section::root(&table, &gathered);
        root.begin_mark_but("flow");
        root.leads_to(leads_to);
        assert!(!format!("{table:?}").contains("s3cret"), "{table:?}");
        root.mark()
    };
    let first = mark(r#"{"key": "s3cret"}"#, "a script");
    assert_eq!(first, mark(r#"{ "key":   "s3cret" }"#, "a script"));
    assert_eq!(first, mark(r#"{"key": "s3cret", "flow": {"done": ["number"]}}"#, "a script"), "no call asks for it");
    assert_ne!(first, mark(r#"{"key": "s4cret"}"#, "a script"));
    assert_ne!(first, mark(r#"{"key": "s3cret"}"#, "another"), "what it leads to counts too");
}

/// The least that a tenant says, as the fields of a page, with others.
fn page(more: &[(&'static str, &'static str)]) -> Reading {
    let least = [
        ("name", "acme"),
        ("numbers[0]", "+18005550123"),
        ("assistant.kind", "scripted"),
        ("assistant.script", "acme.yaml"),
        ("speech_to_text.kind", "counting"),
        ("text_to_speech.kind", "flite"),
    ];
    let kept = least.into_iter().filter(|(path, _)| !more.iter().any(|(other, _)| other == path));
    let (document, mistakes) = form::read(kept.chain(more.iter().copied()));
    assert_eq!(mistakes, []);
    Reading::of(&document, &Nowhere)
}

#[test]
fn an_empty_field_of_a_form_was_left_out() {
    let plain = page(&[]);
    let empty = page(&[
        ("max_calls", ""),
        ("ring_while_connecting", " "),
        ("numbers[1]", ""),
        ("sip.sources[0]", ""),
        ("sip.user", ""),
        ("sip.password", ""),
        ("connect.instance_arn", ""),
        ("connect.access_key_id", ""),
        ("assistant.url", ""),
        ("assistant.fallback.kind", ""),
        ("recording.folder", ""),
    ]);
    assert_eq!((empty.settings, empty.mistakes), (plain.settings, plain.mistakes));
    assert_eq!(json::write(&empty.document), json::write(&plain.document));
    let told = |more| page(more).mistakes.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(told(&[("name", "")]), ["name: is empty, and it is required"]);
    assert_eq!(told(&[("numbers[0]", "")])[0].split(':').next(), Some("numbers"));
    assert_eq!(told(&[("assistant.kind", "")])[0].split(" of ").next(), Some("assistant.kind: is missing: one"));
    let silence = page(&[("sip.transfer_failure_message", "")]);
    assert_eq!((silence.settings.sip.transfer_failure_message, silence.mistakes), (None, vec![]));
}

#[test]
fn a_field_of_a_form_is_a_number_or_a_flag_where_one_is_asked_for() {
    let read = page(&[
        ("name", "7"),
        ("max_calls", " 12 "),
        ("ring_while_connecting", "false"),
        ("conversation.confidence_threshold", "0.25"),
        ("sip.transfer_failure_message", "true"),
        ("speech_to_text.kind", "worker"),
        ("speech_to_text.url", "wss://worker.example"),
        ("speech_to_text.parameters.beam", "5"),
        ("speech_to_text.parameters.model", "small"),
    ]);
    assert_eq!(read.mistakes, []);
    let settings = &read.settings;
    assert_eq!((settings.name.as_str(), settings.max_calls), ("7", 12));
    let written = json::write(&read.document);
    for part in [
        r#""name":"7""#,
        r#""max_calls":12"#,
        r#""ring_while_connecting":false"#,
        r#""confidence_threshold":0.25"#,
        r#""transfer_failure_message":"true""#,
        r#""parameters":{"beam":5,"model":"small"}"#,
    ] {
        assert!(written.contains(part), "{part} in {written}");
    }
    let again = Reading::of(&json::read(&written).expect("JSON"), &Nowhere);
    assert_eq!((&again.settings, again.mistakes), (settings, vec![]));
}
