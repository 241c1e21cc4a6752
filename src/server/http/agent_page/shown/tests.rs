//! What of a record stands on the page, and that nothing of it acts there.

use std::time::Duration;

use bellhop_dialogue::redaction::Redaction;
use bellhop_dialogue::transcript::Transcript;

use super::*;

fn conversation(record: SessionRecord, language: &str) -> Conversation {
    Conversation { record, language: language.to_owned(), ancestors: vec![], csrf_token: None }
}

fn shown(record: &SessionRecord, language: &str) -> String {
    show(&conversation(record.clone(), language), "_ab", "n")
}

fn record() -> SessionRecord {
    let mut transcript = Transcript::default();
    transcript.push(Duration::from_secs(60), Speaker::Assistant, "Good day.");
    transcript.push(Duration::from_secs(61), Speaker::Caller, "<script>alert(1)</script>");
    transcript.push(Duration::from_secs(62), Speaker::Note, "Wants <i>money</i> back.");
    SessionRecord {
        caller: "+1<b>".into(),
        dialled: "+2".into(),
        began_unix_ms: 1_700_000_000_000,
        transcript,
        reason: Some("Wants <i>money</i> back.".into()),
        custom_data: [("topic".to_owned(), "<u>loan</u>".to_owned())].into(),
        ..SessionRecord::default()
    }
}

fn page(lines: &[(Speaker, &str)]) -> String {
    let mut transcript = Transcript::default();
    lines.iter().for_each(|(speaker, text)| transcript.push(Duration::from_secs(1), *speaker, *text));
    shown(&SessionRecord { caller: "+1\u{202e}".into(), transcript, ..SessionRecord::default() }, "en")
}

/// What a reader sees of the page, without the text that is to be copied.
fn seen(html: &str) -> &str {
    html.split("<details").next().expect("a page")
}

/// What is to be copied, as a browser has it.
fn copied(html: &str) -> String {
    let text = html.split("<textarea").nth(1).and_then(|rest| rest.split('>').nth(1)).expect("a text");
    text.split("</textarea").next().expect("its end").replace("&#60;", "<").replace("&#62;", ">").replace("&#38;", "&")
}

/// The case "right to left" of tests/cases/replies.yaml.
#[test]
fn a_script_stands_in_its_own_direction_and_nothing_turns_the_page() {
    let html = page(&[(Speaker::Assistant, "رقم الطلب 4711, تم."), (Speaker::Caller, "a\u{202e}b\u{2067}c")]);
    assert!(html.contains("<p dir=\"auto\">رقم الطلب 4711, تم.</p>"), "{html}");
    assert!(html.contains("<p dir=\"auto\">abc</p>"), "{html}");
    assert!(!html.contains(['\u{202e}', '\u{2067}']) && html.contains("<bdi dir=\"ltr\">+1</bdi>"));
}

/// `signs beside markup` of tests/cases/replies.yaml.
#[test]
fn no_tag_is_shown_of_whoever_stored_the_line() {
    let html = page(&[(Speaker::Assistant, "Welcome to AT&T. <break time=\"300ms\"/> Is 3 < 5?")]);
    assert!(html.contains("Welcome to AT&#38;T. Is 3 &#60; 5?") && !seen(&html).contains("break "), "{html}");
}

/// Whatever anybody stored: a caller's side its display name, a caller their words, an assistant its data, an operator names.
#[test]
fn what_was_stored_cannot_become_markup_wherever_it_stands() {
    for evil in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "</textarea><script>alert(1)</script>",
        "</style><script>alert(1)</script>",
        "'-alert(1)-'",
        "javascript:alert(1)",
        "{{ 7 * 7 }}<svg/onload=alert(1)>",
    ] {
        let mut transcript = Transcript::default();
        for speaker in [Speaker::Caller, Speaker::CallerDigits, Speaker::Assistant, Speaker::Note] {
            transcript.push(Duration::from_secs(1), speaker, evil);
        }
        let record = SessionRecord {
            caller: evil.into(),
            dialled: evil.into(),
            transcript,
            reason: Some(format!("{evil} ")),
            custom_data: [(evil.to_owned(), evil.to_owned())].into(),
            language: Some(evil.into()),
            time_zone: Some(evil.into()),
            integration: Some(evil.into()),
            call: Some(evil.into()),
            ..SessionRecord::default()
        };
        let conversation = Conversation { csrf_token: Some(evil.into()), ..conversation(record, evil) };
        let html = show(&conversation, evil, "n");
        let plain = shown(&SessionRecord::default(), "en");
        let marks = |html: &str, mark: &str| html.matches(mark).count();
        for mark in ["<script", "</script", "<img", "<svg", "</textarea", "</style"] {
            assert_eq!(marks(&html, mark), marks(&plain, mark), "{mark} of {evil}: {html}");
        }
        assert!(!html.contains("\"><img"), "an attribute ends where ours ends: {html}");
        let title = html.split("<title>").nth(1).and_then(|rest| rest.split("</title>").next()).expect("a title");
        assert_eq!(title, "Conversation");
    }
}

#[test]
fn why_the_caller_was_handed_over_comes_first_and_once() {
    let html = shown(&record(), "en-US");
    let places = ["Why the caller was handed over", "money", "loan", "Good day."].map(|text| html.find(text));
    assert!(places.is_sorted() && places[0].is_some(), "{places:?} {html}");
    assert_eq!(seen(&html).matches("money").count(), 1, "{html}");
    let html = shown(&SessionRecord { reason: None, ..record() }, "en-US");
    assert!(html.contains("gave no reason") && html.contains("class=\"note\""), "{html}");
}

#[test]
fn the_page_is_in_the_conversations_language_and_every_text_in_its_own_direction() {
    let html = shown(&record(), "de-DE");
    assert!(html.contains("<html lang=\"de\" dir=\"ltr\">") && html.contains("Warum der Anruf"), "{html}");
    assert!(html.contains("<ol lang=\"de-DE\"") && html.contains("<p dir=\"auto\""), "{html}");
    assert!(shown(&record(), "ar-EG").contains("dir=\"rtl\""));
}

/// A value of another direction than the page's stood at the far edge, away from its name.
#[test]
fn what_is_passed_on_stands_beside_its_name_whatever_its_direction() {
    let html = shown(&record(), "ar");
    for cell in ["dt", "dd"] {
        let rule = html.lines().find(|line| line.starts_with(&format!("{cell} {{"))).expect("a rule");
        assert!(rule.contains("text-align: match-parent"), "{rule}");
        assert!(html.contains(&format!("<{cell} dir=\"auto\">")), "{html}");
    }
}

#[test]
fn times_are_told_on_the_integrations_clock() {
    let html = shown(&record(), "en");
    assert!(html.contains("2023-11-14 22:13:20 UTC") && html.contains("22:14:21 UTC"), "{html}");
    let html = shown(&SessionRecord { time_zone: Some("Europe/Berlin".into()), ..record() }, "en");
    assert!(html.contains("2023-11-14 23:13:20 CET") && html.contains("23:14:21 CET"), "{html}");
    assert!(html.contains("Europe/Berlin") && html.contains("datetime=\"2023-11-14T22:13:20Z\""), "{html}");
    let html = shown(&SessionRecord { time_zone: Some("Europe/Nowhere".into()), ..record() }, "en");
    assert!(html.contains("22:13:20 UTC"), "one that is no more: {html}");
}

#[test]
fn a_clock_that_was_wrong_shows_a_page_all_the_same() {
    let record = SessionRecord { began_unix_ms: i64::MAX, ..record() };
    assert!(shown(&record, "en").contains("1970-01-01"));
}

#[test]
fn what_was_typed_is_told_by_itself_and_masked_where_that_was_asked_for() {
    let mut transcript = Transcript::default();
    transcript.caller(Duration::from_secs(1), Speaker::CallerDigits, "4711", &Redaction::default());
    transcript.push(Duration::from_secs(2), Speaker::CallerDigits, "••••");
    transcript.caller(Duration::from_secs(3), Speaker::CallerDigits, "4111111111111111", &Redaction::default());
    let html = shown(&SessionRecord { transcript, ..SessionRecord::default() }, "en");
    let typed = html.split("Typed by the caller").nth(1).and_then(|rest| rest.split("</section>").next()).expect("it");
    assert!(typed.contains("4711") && typed.contains("••••") && typed.contains("1111"), "{typed}");
    assert!(!html.contains("4111111111111111"), "{html}");
    assert!(!shown(&record(), "en").contains("Typed by the caller"), "nothing was");
}

#[test]
fn words_that_were_cut_off_are_marked() {
    let mut transcript = Transcript::default();
    transcript.speak(Duration::from_secs(1), 7, "Our opening hours are", &Redaction::default());
    transcript.interrupt(7);
    let html = shown(&SessionRecord { transcript, ..SessionRecord::default() }, "en");
    assert!(html.contains("interrupted by the caller") && html.contains("<li class=\"assistant cut\">"), "{html}");
    assert!(copied(&html).contains("Our opening hours are (interrupted by the caller)"), "{html}");
}

#[test]
fn all_of_it_can_be_copied() {
    let record = SessionRecord { language: Some("en-US".into()), ..record() };
    let text = copied(&shown(&record, "en-US"));
    let told = [
        "Number called: +2\n",
        "Began: 2023-11-14 22:13:20 UTC\n",
        "Language: en-US\n",
        "Why the caller was handed over: Wants money back.\n",
        "topic: loan\n",
        "[22:14:20 UTC] Assistant: Good day.\n",
    ];
    for line in told {
        assert!(text.contains(line), "{line} in {text}");
    }
}
