//! `GET /loadAgentAppFrame.html?session_history_key=…`: why the caller is handed over, and the conversation, for the agent who
//! takes over; `GET /loadAgentApp.js` puts that page into one of the operator's own.
//!
//! Words around it are in the tenant's language, every text finds its own direction, and times are those of the agent's
//! clock (UTC without JavaScript). Invariant: a key that is malformed, unknown or expired gets the same page after the
//! same work.

use std::borrow::Cow;

use actix_web::web::{Data, Query};
use actix_web::{HttpResponse, HttpResponseBuilder, http::StatusCode};
use askama::Template;
use bellhop_connect::session_history_key::{RANDOM_BYTES, SessionHistoryKey, filed_under};
use bellhop_dialogue::readable::readable;
use bellhop_dialogue::session_record::SessionRecord;
use bellhop_dialogue::transcript::Speaker;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Shared;
use super::page_words::Words;

/// The language of a tenant that is gone.
const ENGLISH: &str = "en";

/// What the address asks for. Whatever else stands there is nobody's concern; of a key that comes twice the first counts.
type Asked = Vec<(String, String)>;

#[derive(Template)]
#[template(path = "agent_page.html")]
struct Page<'a> {
    nonce: &'a str,
    words: &'static Words,
    /// The tenant's, in which the conversation is held.
    language: &'a str,
    caller: Cow<'a, str>,
    dialled: Cow<'a, str>,
    began: At,
    reason: Option<Cow<'a, str>>,
    custom_data: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    lines: Vec<Line<'a>>,
}

struct Line<'a> {
    at: At,
    who: &'static str,
    class: &'static str,
    text: Cow<'a, str>,
    interrupted: bool,
}

/// A time for machines, and for people in UTC.
struct At {
    machine: String,
    utc: String,
}

#[derive(Template)]
#[template(path = "agent_page_unknown.html")]
struct Unknown<'a> {
    nonce: &'a str,
}

pub(super) async fn agent_page(shared: Data<Shared>, asked: Query<Asked>) -> HttpResponse {
    let asked = asked.into_inner().into_iter().find(|(name, _)| name == "session_history_key");
    let asked = asked.map(|(_, key)| key).unwrap_or_default();
    // What can be no key is looked up all the same, under a name that nobody has.
    let name = filed_under(&asked)
        .unwrap_or_else(|| SessionHistoryKey::from_random(rand::random::<[u8; RANDOM_BYTES]>()).filed_as());
    // The one style sheet and the one script are named by a value nobody can guess: nothing else on the page styles or runs.
    let nonce = format!("{:032x}", rand::random::<u128>());
    let found = match shared.server.histories.find_history(&name).await {
        Ok(found) => found,
        Err(error) => {
            tracing::error!(%error, "a session history could not be read");
            return answer(StatusCode::SERVICE_UNAVAILABLE, &[], &nonce)
                .body("The conversation cannot be read just now. Please try again.");
        }
    };
    let record = found.and_then(|history| Some((history.tenant, SessionRecord::from_json(&history.json)?)));
    match record {
        Some((tenant, record)) => {
            tracing::info!(tenant, "a conversation was viewed");
            // A conversation is its tenant's: whoever may frame one of his may frame any.
            let integrations = shared.server.integrations_of(&tenant);
            let ancestors = integrations.iter().flat_map(|one| one.frame_ancestors.iter().cloned()).collect::<Vec<_>>();
            let language = integrations.first().map_or(ENGLISH, |one| one.language.as_str());
            answer(StatusCode::OK, &ancestors, &nonce).body(show(&record, language, &nonce))
        }
        None => {
            let page = Unknown { nonce: &nonce };
            answer(StatusCode::NOT_FOUND, &[], &nonce).body(page.render().unwrap_or_default())
        }
    }
}

fn answer(status: StatusCode, ancestors: &[String], nonce: &str) -> HttpResponseBuilder {
    let ancestors = if ancestors.is_empty() { "'none'".to_owned() } else { ancestors.join(" ") };
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}"
    );
    let mut response = HttpResponse::build(status);
    response
        .content_type("text/html; charset=utf-8")
        .insert_header(("Content-Security-Policy", policy))
        .insert_header(("Cache-Control", "no-store"))
        .insert_header(("Referrer-Policy", "no-referrer"))
        .insert_header(("X-Content-Type-Options", "nosniff"));
    response
}

/// `GET /loadAgentApp.js`: a script for pages of the operator's own, as the hosted integration has it.
pub(super) async fn load_agent_app() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/javascript; charset=utf-8")
        .insert_header(("Cache-Control", "no-store"))
        .insert_header(("Cross-Origin-Resource-Policy", "cross-origin"))
        .insert_header(("X-Content-Type-Options", "nosniff"))
        .body(include_str!("load_agent_app.js"))
}

fn show(record: &SessionRecord, language: &str, nonce: &str) -> String {
    let words = Words::of(language);
    let began = Timestamp::from_millisecond(record.began_unix_ms).unwrap_or_default();
    let at = |at_ms: u64, form: &str| {
        let at = record.began_unix_ms.saturating_add_unsigned(at_ms);
        let at = Timestamp::from_millisecond(at).unwrap_or(began);
        At { machine: at.to_string(), utc: at.to_zoned(TimeZone::UTC).strftime(form).to_string() }
    };
    let mut lines: Vec<Line> = record
        .transcript
        .lines()
        .iter()
        .map(|line| {
            let (who, class) = match line.speaker {
                Speaker::Caller => (words.caller, "caller"),
                Speaker::CallerDigits => (words.keys, "caller"),
                Speaker::Assistant => (words.assistant, "assistant"),
                Speaker::Note => (words.note, "note"),
            };
            Line {
                at: at(line.at_ms, "%H:%M:%S"),
                who,
                class,
                text: readable(&line.text),
                interrupted: line.interrupted,
            }
        })
        .collect();
    let reason = record.reason.as_deref().map(readable);
    // What stands above already is not told twice.
    if let Some(at) = lines.iter().rposition(|line| line.class == "note" && Some(&line.text) == reason.as_ref()) {
        lines.remove(at);
    }
    let html = Page {
        nonce,
        words,
        language,
        caller: readable(&record.caller),
        dialled: readable(&record.dialled),
        began: at(0, "%Y-%m-%d %H:%M:%S"),
        reason,
        custom_data: record.custom_data.iter().map(|(name, value)| (readable(name), readable(value))).collect(),
        lines,
    };
    html.render().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellhop_dialogue::transcript::Transcript;
    use std::time::Duration;

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
        }
    }

    fn page(lines: &[(Speaker, &str)]) -> String {
        let mut transcript = Transcript::default();
        lines.iter().for_each(|(speaker, text)| transcript.push(Duration::from_secs(1), *speaker, *text));
        show(&SessionRecord { caller: "+1\u{202e}".into(), transcript, ..SessionRecord::default() }, "en", "n")
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
        assert!(html.contains("Welcome to AT&#38;T. Is 3 &#60; 5?") && !html.contains("break"), "{html}");
    }

    #[test]
    fn what_was_said_cannot_become_markup() {
        let html = show(&record(), "en-US", "n");
        assert!(!html.contains("<script>") && !html.contains("<b>") && html.contains("22:14:21"), "{html}");
        assert!(!html.contains("<i>") && !html.contains("<u>"), "{html}");
    }

    #[test]
    fn why_the_caller_was_handed_over_comes_first_and_once() {
        let html = show(&record(), "en-US", "n");
        let places = ["Why the caller was handed over", "money", "loan", "Good day."].map(|text| html.find(text));
        assert!(places.is_sorted() && places[0].is_some(), "{places:?} {html}");
        assert_eq!(html.matches("money").count(), 1, "{html}");
        let html = show(&SessionRecord { reason: None, ..record() }, "en-US", "n");
        assert!(html.contains("gave no reason") && html.contains("class=\"note\""), "{html}");
    }

    #[test]
    fn the_page_is_in_the_tenants_language_and_every_text_in_its_own_direction() {
        let html = show(&record(), "de-DE", "n");
        assert!(html.contains("<html lang=\"de\" dir=\"ltr\">") && html.contains("Warum der Anruf"), "{html}");
        assert!(html.contains("<ol lang=\"de-DE\">") && html.contains("<p dir=\"auto\""), "{html}");
        assert!(show(&record(), "ar-EG", "n").contains("dir=\"rtl\""));
    }

    /// A value of another direction than the page's stood at the far edge, away from its name.
    #[test]
    fn what_is_passed_on_stands_beside_its_name_whatever_its_direction() {
        let html = show(&record(), "ar", "n");
        for cell in ["dt", "dd"] {
            let rule = html.lines().find(|line| line.starts_with(&format!("{cell} {{"))).expect("a rule");
            assert!(rule.contains("text-align: match-parent"), "{rule}");
            assert!(html.contains(&format!("<{cell} dir=\"auto\">")), "{html}");
        }
    }

    #[test]
    fn a_clock_that_was_wrong_shows_a_page_all_the_same() {
        let record = SessionRecord { began_unix_ms: i64::MAX, ..record() };
        assert!(show(&record, "en", "n").contains("1970-01-01"));
    }
}
