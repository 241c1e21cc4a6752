//! `[tenants.records]`: what is kept of calls, for how long, and who is told.

use std::time::Duration;

use bellhop_tenancy::Secret;

use super::reader::Section;

/// `[tenants.records]`
#[derive(Debug, Clone)]
pub struct Records {
    /// `keep_days`: not at all if that is nothing.
    pub keep: Duration,
    /// `history_hours`, if they differ from those of `[storage]`.
    pub histories: Option<Duration>,
    /// `[tenants.records.webhook]`
    pub webhook: Option<RecordsWebhook>,
}

/// `[tenants.records.webhook]`
#[derive(Debug, Clone)]
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

const DAY: u64 = 24 * 3600;

/// Reads the section.
pub(super) fn read(section: &Section<'_>) -> Records {
    let records = Records {
        keep: Duration::from_secs(section.number("keep_days", 0..=3650).unwrap_or(30) as u64 * DAY),
        histories: section.number("history_hours", 1..=24 * 365).map(|hours| Duration::from_secs(hours as u64 * 3600)),
        webhook: section.optional_section("webhook").map(|section| read_webhook(&section)),
    };
    section.finish();
    records
}

fn read_webhook(section: &Section<'_>) -> RecordsWebhook {
    let url = section.required_url("url", &["http://", "https://"]);
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
    let mut headers = vec![];
    for name in section.names() {
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

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use std::path::Path;
    use std::time::Duration;

    fn with(records: &str) -> Result<Config, String> {
        let text = format!(
            "[[tenants]]\nname = \"acme\"\nnumbers = [\"+18005550123\"]\n\
             [tenants.assistant]\nkind = \"scripted\"\nscript = \"a.yaml\"\n\
             [tenants.speech_to_text]\nkind = \"counting\"\n[tenants.text_to_speech]\nkind = \"flite\"\n{records}"
        );
        Config::parse(&text, Path::new("c.toml")).map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn records_are_kept_for_a_month_unless_told_otherwise() {
        let config = with("").expect("good");
        assert_eq!(config.tenants[0].records.keep, Duration::from_secs(30 * 86_400));
        assert!(config.tenants[0].records.webhook.is_none());
        let config = with("[tenants.records]\nkeep_days = 0\nhistory_hours = 2\n").expect("good");
        assert_eq!(config.tenants[0].records.keep, Duration::ZERO);
        assert_eq!(config.tenants[0].records.histories, Some(Duration::from_secs(7200)));
    }

    #[test]
    fn a_webhook_is_read_and_its_mistakes_are_told() {
        let webhook = "[tenants.records.webhook]\nurl = \"https://example.com/log\"\nsecret = \"s\"\n";
        let config = with(&format!("{webhook}events = [\"message_logged\"]\nheaders = {{ X-A = \"b\" }}\n"));
        let read = config.expect("good").tenants[0].records.webhook.clone().expect("there");
        assert_eq!((read.calls, read.turns, read.headers.len()), (false, true, 1));
        assert!(!format!("{read:?}").contains("\"b\""), "values of headers are secret");
        for (more, told) in [
            ("events = [\"calls\"]", "`calls` is neither"),
            ("events = []", "is an empty list"),
            ("headers = { \"a b\" = \"c\" }", "`a b` is not a header"),
            ("headers = { a = 1 }", "headers.a: is a whole number where a text is expected"),
            ("color = \"red\"", "color"),
        ] {
            let why = with(&format!("{webhook}{more}\n")).expect_err(more);
            assert!(why.contains(told) && why.contains("tenants.acme.records.webhook"), "{why}");
        }
    }
}
