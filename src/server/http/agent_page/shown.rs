//! A conversation as it is shown: what the call was, why the caller is handed over, what was collected, and what was said; and all of it
//! once more as a text, to be copied.
//!
//! Words around it are in the conversation's language, every text finds its own direction; times are told on the integration's clock, and
//! by a script on the agent's own beside it. Invariant: nothing that was said, typed or stored becomes markup, and nothing of it stands in the title.

use std::borrow::Cow;
use std::fmt::Write as _;

use askama::Template;
use bellhop_dialogue::readable::readable;
use bellhop_dialogue::session_record::SessionRecord;
use bellhop_dialogue::transcript::Speaker;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::reading::Conversation;
use crate::http::page_words::Words;

/// A day and a time, and the zone that they are told in.
const DAY: &str = "%Y-%m-%d %H:%M:%S %Z";
/// A time in a conversation.
const CLOCK: &str = "%H:%M:%S %Z";

#[derive(Template)]
#[template(path = "agent_page.html")]
struct Page<'a> {
    nonce: &'a str,
    words: &'static Words,
    /// In which the conversation was held.
    language: &'a str,
    caller: Cow<'a, str>,
    dialled: Cow<'a, str>,
    began: At,
    /// The name of the integration's time zone.
    zone: &'a str,
    reason: Option<Cow<'a, str>>,
    collected: Vec<Line<'a>>,
    custom_data: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    lines: Vec<Line<'a>>,
    text: String,
    /// To sign out; none of who is not signed in.
    sign_out: Option<SignOut<'a>>,
}

struct SignOut<'a> {
    csrf_token: &'a str,
    key: &'a str,
}

#[derive(Clone)]
struct Line<'a> {
    at: At,
    who: &'static str,
    class: &'static str,
    text: Cow<'a, str>,
    interrupted: bool,
}

/// A time for machines, and for people on the integration's clock.
#[derive(Clone)]
struct At {
    machine: String,
    told: String,
}

/// The clock of an integration.
struct Clock {
    began_unix_ms: i64,
    zone: TimeZone,
}

impl Clock {
    /// Milliseconds after the call began. A time that is none is its beginning, and that 1970.
    fn at(&self, at_ms: u64, form: &str) -> At {
        let began = Timestamp::from_millisecond(self.began_unix_ms).unwrap_or_default();
        let at = self.began_unix_ms.saturating_add_unsigned(at_ms);
        let at = Timestamp::from_millisecond(at).unwrap_or(began);
        At { machine: at.to_string(), told: at.to_zoned(self.zone.clone()).strftime(form).to_string() }
    }
}

/// The page.
pub(super) fn show(conversation: &Conversation, key: &str, nonce: &str) -> String {
    let Conversation { record, language, csrf_token, .. } = conversation;
    let words = Words::of(language);
    // A zone that this machine knows no more is told in UTC.
    let zone = record.time_zone.as_deref().and_then(|name| Some((name, TimeZone::get(name).ok()?)));
    let (name, zone) = zone.unwrap_or(("UTC", TimeZone::UTC));
    let clock = Clock { began_unix_ms: record.began_unix_ms, zone };
    let lines = lines(record, words, &clock);
    let collected = lines.iter().filter(|line| line.who == words.keys).cloned().collect();
    let mut page = Page {
        nonce,
        words,
        language,
        caller: readable(&record.caller),
        dialled: readable(&record.dialled),
        began: clock.at(0, DAY),
        zone: name,
        reason: record.reason.as_deref().map(readable),
        collected,
        custom_data: record.custom_data.iter().map(|(name, value)| (readable(name), readable(value))).collect(),
        lines,
        text: String::new(),
        sign_out: csrf_token.as_deref().map(|csrf_token| SignOut { csrf_token, key }),
    };
    page.text = page.as_text();
    page.render().unwrap_or_default()
}

fn lines<'a>(record: &'a SessionRecord, words: &'static Words, clock: &Clock) -> Vec<Line<'a>> {
    let line = |line: &'a bellhop_dialogue::transcript::Line| {
        let (who, class) = match line.speaker {
            Speaker::Caller => (words.caller, "caller"),
            Speaker::CallerDigits => (words.keys, "caller"),
            Speaker::Assistant => (words.assistant, "assistant"),
            Speaker::Note => (words.note, "note"),
        };
        Line { at: clock.at(line.at_ms, CLOCK), who, class, text: readable(&line.text), interrupted: line.interrupted }
    };
    let mut lines: Vec<Line> = record.transcript.lines().iter().map(line).collect();
    // What stands above already is not told twice.
    let reason = record.reason.as_deref().map(readable);
    if let Some(at) = lines.iter().rposition(|line| line.class == "note" && Some(&line.text) == reason.as_ref()) {
        lines.remove(at);
    }
    lines
}

impl Page<'_> {
    /// All of it in lines.
    fn as_text(&self) -> String {
        let (words, mut text) = (self.words, String::new());
        let mut tell = |name: &str, value: &str| writeln!(text, "{name}: {value}").expect("a text takes all");
        tell(words.caller, &self.caller);
        tell(words.dialled, &self.dialled);
        tell(words.began, &self.began.told);
        tell(words.language, self.language);
        tell(words.why, self.reason.as_deref().unwrap_or(words.no_reason));
        self.custom_data.iter().for_each(|(name, value)| tell(name, value));
        text.push('\n');
        for line in &self.lines {
            let interrupted = if line.interrupted { format!(" ({})", words.interrupted) } else { String::new() };
            let Line { at, who, text: said, .. } = line;
            writeln!(text, "[{}] {who}: {said}{interrupted}", at.told).expect("a text takes all");
        }
        text
    }
}

#[cfg(test)]
mod tests;
