//! `GET /loadAgentAppFrame.html?session_history_key=…`: the conversation, for the agent who takes over.
//!
//! What was said stands in the direction of its own script (`dir="auto"`), and nothing in it reaches beyond its place: it is
//! isolated, and made [`readable`] again whoever stored it. Invariant: a key that is malformed, unknown or expired gets the same page after the same
//! work.

use actix_web::web::{Data, Query};
use actix_web::{HttpResponse, HttpResponseBuilder, get, http::StatusCode};
use askama::Template;
use bellhop_connect::session_history_key::{RANDOM_BYTES, SessionHistoryKey, filed_under};
use bellhop_dialogue::readable::readable;
use bellhop_dialogue::transcript::{SessionRecord, Speaker};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Shared;

#[derive(serde::Deserialize)]
struct Asked {
    session_history_key: Option<String>,
}

#[derive(Template)]
#[template(path = "agent_page.html")]
struct Page<'a> {
    nonce: &'a str,
    caller: String,
    dialled: String,
    began: String,
    lines: Vec<Line>,
}

struct Line {
    at: String,
    who: &'static str,
    class: &'static str,
    text: String,
    interrupted: bool,
}

#[derive(Template)]
#[template(path = "agent_page_unknown.html")]
struct Unknown<'a> {
    nonce: &'a str,
}

#[get("/loadAgentAppFrame.html")]
pub(super) async fn agent_page(shared: Data<Shared>, asked: Query<Asked>) -> HttpResponse {
    let asked = asked.into_inner().session_history_key.unwrap_or_default();
    // What can be no key is looked up all the same, under a name that nobody has.
    let name = filed_under(&asked)
        .unwrap_or_else(|| SessionHistoryKey::from_random(rand::random::<[u8; RANDOM_BYTES]>()).filed_as());
    // The one style sheet is named by a value nobody can guess, so that nothing else on the page can style or run.
    let nonce = format!("{:032x}", rand::random::<u128>());
    let found = match shared.server.histories.find(&name).await {
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
            let ancestors = shared.server.tenants.get(&tenant).map(|tenant| tenant.frame_ancestors.clone());
            answer(StatusCode::OK, &ancestors.unwrap_or_default(), &nonce).body(show(&record, &nonce))
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
        "default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}"
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

fn show(record: &SessionRecord, nonce: &str) -> String {
    let began = Timestamp::from_millisecond(record.began_unix_ms).unwrap_or_default();
    let clock = |at_ms: u64, form: &str| {
        let at = Timestamp::from_millisecond(record.began_unix_ms + at_ms as i64).unwrap_or(began);
        at.to_zoned(TimeZone::UTC).strftime(form).to_string()
    };
    let lines = record.transcript.lines().iter().map(|line| {
        let (who, class) = match line.speaker {
            Speaker::Caller => ("Caller", "caller"),
            Speaker::CallerKeys => ("Caller (keys)", "caller"),
            Speaker::Assistant => ("Assistant", "assistant"),
            Speaker::Note => ("Note", "note"),
        };
        let at = clock(line.at_ms, "%H:%M:%S");
        Line { at, who, class, text: readable(&line.text).into_owned(), interrupted: line.interrupted }
    });
    let html = Page {
        nonce,
        caller: readable(&record.caller).into_owned(),
        dialled: readable(&record.dialled).into_owned(),
        began: clock(0, "%Y-%m-%d %H:%M:%S UTC"),
        lines: lines.collect(),
    };
    html.render().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellhop_dialogue::transcript::Transcript;
    use std::time::Duration;

    fn page(lines: &[(Speaker, &str)]) -> String {
        let mut transcript = Transcript::default();
        lines.iter().for_each(|(speaker, text)| transcript.push(Duration::from_secs(1), *speaker, *text));
        let (caller, dialled) = ("+1\u{202e}".into(), "+2".into());
        show(&SessionRecord { caller, dialled, began_unix_ms: 1_700_000_000_000, transcript }, "n")
    }

    /// `right to left` of tests/cases/replies.yaml.
    #[test]
    fn a_script_stands_in_its_own_direction_and_nothing_turns_the_page() {
        let html = page(&[(Speaker::Assistant, "رقم الطلب 4711, تم."), (Speaker::Caller, "a\u{202e}b\u{2067}c")]);
        assert!(html.contains("<p dir=\"auto\">رقم الطلب 4711, تم.</p>"), "{html}");
        assert!(html.contains("<p dir=\"auto\">abc</p>"), "{html}");
        assert!(!html.contains(['\u{202e}', '\u{2067}']) && html.contains("<bdi>+1</bdi>"));
    }

    /// `signs beside markup` of tests/cases/replies.yaml.
    #[test]
    fn no_tag_is_shown_of_whoever_stored_the_line() {
        let html = page(&[(Speaker::Assistant, "Welcome to AT&T. <break time=\"300ms\"/> Is 3 < 5?")]);
        assert!(html.contains("Welcome to AT&#38;T. Is 3 &#60; 5?") && !html.contains("break"), "{html}");
    }

    #[test]
    fn what_was_said_cannot_become_markup() {
        let mut transcript = Transcript::default();
        transcript.push(Duration::from_secs(61), Speaker::Caller, "<script>alert(1)</script>");
        let record = SessionRecord {
            caller: "+1<b>".into(),
            dialled: "+2".into(),
            began_unix_ms: 1_700_000_000_000,
            transcript,
        };
        let html = show(&record, "n");
        assert!(!html.contains("<script>") && !html.contains("<b>") && html.contains("22:14:21"), "{html}");
    }
}
