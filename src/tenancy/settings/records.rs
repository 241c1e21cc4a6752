//! `records` and `recording`: what is kept of calls, for how long, and who is told.

use std::path::PathBuf;
use std::time::Duration;

use super::HTTP;
use super::asks::Asks;
use super::section::Section;
use crate::integration::HistoryReaders;
use crate::secret::Secret;

/// Which recordings of audio are made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordingSettings {
    /// `folder`: with it, every call is recorded there.
    pub folder: Option<PathBuf>,
    /// `keep_days`; none for ever.
    pub keep: Option<Duration>,
}

/// What is kept of calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordSettings {
    /// `keep_days`: not at all if that is nothing.
    pub keep: Duration,
    /// `history_hours`, if they differ from those of the store.
    pub histories: Option<Duration>,
    /// `history_reads`: how often a history may be read; none for any number.
    pub history_reads: Option<u32>,
    /// `history_sign_in`
    pub history_readers: HistoryReaders,
    /// `webhook`
    pub webhook: Option<RecordsWebhook>,
}

/// Who is told of calls and turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordsWebhook {
    /// `url`
    pub url: String,
    /// `secret`
    pub secret: Secret,
    /// `headers`; their values are as secret as the secret.
    pub headers: Vec<(String, Secret)>,
    /// `events` names `cdr_logged`
    pub calls: bool,
    /// `events` names `message_logged`
    pub turns: bool,
}

/// Longest secret, in characters (the vendor's limit).
const SECRET_MAX: usize = 1024;

/// Most reads of a history that a limit allows.
const HISTORY_READS_MAX: usize = 1000;

const DAY: u64 = 24 * 3600;

pub(super) fn read_recording(section: &Section<'_>) -> RecordingSettings {
    let folder = section.required_path("folder", "ask the operator for recordings");
    let keep = section.number("keep_days", 1..=3650).map(|days| Duration::from_secs(days as u64 * DAY));
    section.finish();
    RecordingSettings { folder: (!folder.as_os_str().is_empty()).then_some(folder), keep }
}

pub(super) fn read(section: &Section<'_>) -> RecordSettings {
    let records = RecordSettings {
        keep: Duration::from_secs(section.number("keep_days", 0..=3650).unwrap_or(30) as u64 * DAY),
        histories: section.number("history_hours", 1..=24 * 365).map(|hours| Duration::from_secs(hours as u64 * 3600)),
        history_reads: section
            .number("history_reads", 1..=HISTORY_READS_MAX)
            .and_then(|reads| u32::try_from(reads).ok()),
        history_readers: match section.flag("history_sign_in") {
            Some(true) => HistoryReaders::Agents,
            Some(false) | None => HistoryReaders::WhoHasTheKey,
        },
        webhook: section.optional_section("webhook").map(|section| read_webhook(&section)),
    };
    section.finish();
    records
}

fn read_webhook(section: &Section<'_>) -> RecordsWebhook {
    let url = section.required_url("url", &HTTP);
    let secret = section.secret("secret");
    if secret.expose().chars().count() > SECRET_MAX {
        section.mistake("secret", "has more than 1024 characters");
    }
    let event = |text: &str| match text {
        "cdr_logged" | "message_logged" => Ok(text.to_owned()),
        other => Err(format!("`{other}` is neither cdr_logged nor message_logged")),
    };
    let events = section.list("events", event).unwrap_or_else(|| vec!["cdr_logged".to_owned()]);
    let headers = section.optional_section("headers").map(|section| read_headers(&section)).unwrap_or_default();
    let webhook = RecordsWebhook {
        url,
        secret,
        headers,
        calls: events.iter().any(|event| event == "cdr_logged"),
        turns: events.iter().any(|event| event == "message_logged"),
    };
    section.finish();
    webhook
}

/// Headers of one's own; each value is a secret, which may stand elsewhere.
fn read_headers(section: &Section<'_>) -> Vec<(String, Secret)> {
    section.has_any_names(Asks::Secrets);
    let mut headers = vec![];
    for name in section.names().into_iter().filter(|name| section.has(name)) {
        let value = section.secret(&name);
        if value.expose().is_empty() {
            continue;
        }
        if is_header(&name, value.expose()) {
            headers.push((name, value));
        } else {
            section.mistake(&name, &format!("`{name}` is not a header with a text"));
        }
    }
    section.finish();
    headers
}

/// RFC 9110 section 5: a token, and a value without line ends.
fn is_header(name: &str, value: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(token) && value.bytes().all(|b| b == b'\t' || (b' '..0x7f).contains(&b))
}
