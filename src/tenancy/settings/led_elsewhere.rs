//! Secrets that a change of their document would send to another host than they were given for.
//!
//! Invariant: whoever may change a document and not read its secrets learns none by having them sent to a host of their own. A secret is
//! bound to the URLs beside it and above it in its document, each by scheme, host and port.

use super::document::KEPT;
use super::mistake::Mistake;
use super::value::{Table, Value};

/// The keys that are URLs of ours.
const URLS: [&str; 3] = ["url", "iam_url", "endpoint_url"];
/// Tables whose keys are anybody's: what is called an URL there may be a secret.
const OF_ANYBODY: [&str; 2] = ["headers", "parameters"];

/// A mistake for each secret that stays while an URL that it goes to leads elsewhere. A URL that is no longer there leads to the vendor's own
/// service, and is none.
pub fn led_elsewhere(before: &Table, after: &Table) -> Vec<Mistake> {
    let mut found = vec![];
    look("", (before, after), None, &mut found);
    found
}

fn look(path: &str, (before, after): (&Table, &Table), above: Option<&str>, found: &mut Vec<Mistake>) {
    let nothing = Table::default();
    let table = path.rsplit('.').next().unwrap_or_default();
    let mut own = after.iter().filter(|_| !OF_ANYBODY.contains(&table));
    let moved = own.find_map(|(key, said)| moved(key, before.get(key), said)).or(above);
    for (key, said) in after.iter() {
        let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        match (said, before.get(key)) {
            (Value::Table(after), Some(Value::Table(before))) => look(&path, (before, after), moved, found),
            (Value::Table(after), _) => look(&path, (&nothing, after), moved, found),
            (Value::Text(secret), Some(kept)) if secret.starts_with(KEPT) && kept == said => {
                found.extend(moved.map(|url| {
                    let why = format!(
                        "was given for another host than that of `{url}`: give it again, or leave the URL as it was"
                    );
                    Mistake::of_value(path, why)
                }))
            }
            _ => {}
        }
    }
}

/// The URL of a key that leads elsewhere than before.
fn moved<'a>(key: &str, before: Option<&Value>, after: &'a Value) -> Option<&'a str> {
    let (Value::Text(url) | Value::Field(url)) = after else { return None };
    let same = match before {
        Some(Value::Text(before) | Value::Field(before)) => origin(before) == origin(url),
        _ => false,
    };
    (URLS.contains(&key) && !same).then_some(url)
}

/// Scheme, host and port of an URL (RFC 6454 section 4); the port of a scheme goes without saying.
fn origin(url: &str) -> String {
    let url = url.trim().to_ascii_lowercase();
    let (scheme, rest) = url.split_once("://").unwrap_or(("", &url));
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let port = if scheme.ends_with('s') { ":443" } else { ":80" };
    format!("{scheme}://{}", authority.strip_suffix(port).unwrap_or(authority))
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;

    fn told(before: &str, after: &str) -> Vec<String> {
        let read = |text| json::read(text).expect("JSON");
        led_elsewhere(&read(before), &read(after)).into_iter().map(|mistake| mistake.path).collect()
    }

    #[test]
    fn a_secret_stays_where_it_was_given_for() {
        let webhook = r#"{"url": "https://A.example/turn", "secret": "kept:secret"}"#;
        for (after, expected) in [
            (r#"{"url": "https://a.example:443/other?x", "secret": "kept:secret"}"#, &[][..]),
            (r#"{"url": "https://b.example/turn", "secret": "kept:secret"}"#, &["secret"]),
            (r#"{"url": "http://a.example/turn", "secret": "kept:secret"}"#, &["secret"]),
            (r#"{"url": "https://a.example:8443/turn", "secret": "kept:secret"}"#, &["secret"]),
            (r#"{"url": "https://a.example@b.example/turn", "secret": "kept:secret"}"#, &["secret"]),
            (r#"{"url": "https://b.example/turn", "secret": "given anew"}"#, &[]),
            (r#"{"url": "https://b.example/turn"}"#, &[]),
            (r#"{"secret": "kept:secret"}"#, &[]),
        ] {
            assert_eq!(told(webhook, after), expected, "{after}");
        }
    }

    #[test]
    fn an_url_is_that_of_every_secret_beside_it_and_below() {
        let before = r#"{"connect": {"secret_access_key": "kept:connect.secret_access_key"}, "sip": {"password": "kept:sip.password"},
            "records": {"webhook": {"url": "https://a", "headers": {"X-Key": "kept:records.webhook.headers.X-Key"}}}}"#;
        let after = before.replace("https://a", "https://b");
        assert_eq!(told(before, &after), ["records.webhook.headers.X-Key"]);
        let header = before.replace("\"X-Key\"", "\"url\": \"s3cret\", \"callback_url\": \"s3cret\", \"X-Key\"");
        assert_eq!(told(before, &header), [""; 0], "a header is no URL, whatever it is called");
        let named = before.replace("\"connect\": {", "\"connect\": {\"endpoint_url\": \"https://c\", ");
        assert_eq!(
            told(before, &named),
            ["connect.secret_access_key"],
            "one that was not named before leads elsewhere"
        );
        assert_eq!(told(&named, before), [""; 0], "the vendor's own service");
        assert_eq!(told("{}", before), [""; 0], "of none that was kept nothing is told here");
    }
}
