//! One document by three readers: TOML, JSON and the pairs of a form.

use std::path::Path;
use std::sync::Arc;

use bellhop_tenancy::Secret;
use bellhop_tenancy::settings::{self, KEPT, Mistake, TenantSettings, form, json};
use toml::Value as Toml;

use super::*;
use crate::policy;
use crate::wiring::Targets;

/// Everything that a document can get wrong, some of it in two places.
const WRONG: &str = r#"
name = "a b"
numbers = ["+18005550123", "call me", "1 800 555 0123"]
max_calls = 0
language = "english"
on_setup_failure = "service_unavailible"
ring_while_connecting = "yes"
contact_id_header = "a b"
frame_ancestors = ["acme"]
colour = "red"
[sip]
user = "trunk"
realm = 'a"b'
sources = ["192.0.2.0/24", "nowhere"]
transfer_targets = ["sip:desk@pbx"]
failure_target = "desk"
invite_headers = "X-Customer"
hold_on_trasfer = true
server_name = "not a host!"
[media]
codecs = ["opus", "mp3"]
srtp = "maybe"
timeout_seconds = 1.5
[conversation]
confidence_threshold = 7
redact = ["[0-9]+", "(", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o"]
post_response_timeout_ms = "soon"
inactivity_timeout_seconds = 99999999999
[recording]
keep_days = 0
[records]
keep_days = -1
[records.webhook]
url = "ftp://example.com"
secret = "env:BELLHOP_NO_SUCH"
events = ["cdr_logged", "calls"]
headers = { "a b" = "c" }
[connect]
instance_arn = "arn:aws:connect:eu-west-2:111122223333:queue/abc"
access_key_id = "env:PATH"
secret_access_key = "env:PATH"
endpoint_url = "https://"
[assistant]
kind = "webhok"
[speech_to_text]
kind = "watson"
url = "https://a b"
parameters = 3
fallback = { kind = "worker", tokn = "t" }
[text_to_speech]
kind = "polly"
region = "Europe"
access_key_id = "file:nowhere"
secret_access_key = "s"
voice = "Amy"
"#;

/// A document that uses every section.
const GOOD: &str = r#"
name = "acme"
numbers = ["+18005550123", "+18005550124"]
max_calls = 7
language = "de-DE"
ring_while_connecting = false
on_setup_failure = "service_unavailable"
[sip]
user = "trunk"
password = "s3cret-login"
sources = ["192.0.2.0/24"]
transfer_targets = ["anywhere"]
transfer_failure_message = ""
[media]
codecs = ["opus", "pcmu"]
timeout_seconds = 10
[conversation]
confidence_threshold = 0.5
notify_on_network_warnings = true
redact = ["[0-9]+"]
[recording]
folder = "calls"
[records]
history_hours = 2
[records.webhook]
url = "https://example.com/log"
secret = "s3cret-log"
headers = { X-Key = "s3cret-header", X-Other = "env:PATH" }
[connect]
instance_arn = "arn:aws:connect:eu-west-2:111122223333:instance/abc"
access_key_id = "AKIA"
secret_access_key = "env:PATH"
[assistant]
kind = "chat_completions"
url = "https://model.example"
model = "m"
prompt = "be kind"
api_key = "s3cret-api"
parameters = { temperature = 0.25, seed = 7, stream = true, stop = "." }
[speech_to_text]
kind = "watson"
url = "https://speech.example"
token = "s3cret-token"
[text_to_speech]
kind = "espeak"
fallback = { kind = "espeak", voice = "en-us" }
"#;

/// Where the documents of these tests lie.
struct Here(Vec<(String, Secret)>);

impl Surroundings for Here {
    fn refers(&self, text: &str) -> bool {
        ["env:", "file:", KEPT].iter().any(|scheme| text.starts_with(scheme))
    }

    fn secret_at(&self, place: &str) -> Result<String, String> {
        let kept = self.0.iter().find(|(path, _)| place.strip_prefix(KEPT) == Some(path));
        match kept {
            Some((_, secret)) => Ok(secret.expose().to_owned()),
            None => BesideFile::of(Path::new("b.toml")).secret_at(place),
        }
    }
}

fn by_toml(text: &str) -> Table {
    document(DeTable::parse(text).expect("TOML").get_ref())
}

fn by_json(text: &str) -> Table {
    let written: Toml = Toml::Table(text.parse().expect("TOML"));
    json::read(&serde_json::to_string(&written).expect("JSON")).expect("an object")
}

fn by_form(text: &str) -> Table {
    let mut pairs = vec![];
    flatten("", &Toml::Table(text.parse().expect("TOML")), &mut pairs);
    // What nobody fills in is sent too.
    pairs.extend(["time_zone", "assistant.script", "media.codecs[2]"].map(|path| (path.into(), String::new())));
    let (table, mistakes) = form::read(pairs);
    assert_eq!(mistakes, []);
    table
}

/// A document as the fields of a page.
fn flatten(path: &str, value: &Toml, pairs: &mut Vec<(String, String)>) {
    match value {
        Toml::Table(table) => {
            for (key, value) in table {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, pairs);
            }
        }
        Toml::Array(list) => {
            list.iter().enumerate().for_each(|(n, value)| flatten(&format!("{path}[{n}]"), value, pairs));
        }
        Toml::String(text) => pairs.push((path.to_owned(), text.clone())),
        other => pairs.push((path.to_owned(), other.to_string())),
    }
}

/// Every mistake, those of the targets too, in one order.
fn mistakes(document: &Table) -> Vec<Mistake> {
    let read = settings::Reading::of(document, &Here(vec![]));
    let (conversation, bad) = policy::of(&read.settings.conversation);
    let (_, more) = Targets::of(&read.settings, Arc::new(read.settings.tenant()), conversation);
    let mut all: Vec<Mistake> = read.mistakes.into_iter().chain(more).chain(bad).collect();
    all.sort_by(|one, other| (&one.path, &one.why).cmp(&(&other.path, &other.why)));
    all
}

#[test]
fn the_same_mistake_has_the_same_sentence_by_every_reader() {
    let toml = mistakes(&by_toml(WRONG));
    assert_eq!(mistakes(&by_json(WRONG)), toml);
    assert_eq!(mistakes(&by_form(WRONG)), toml);
    let told: Vec<String> = toml.iter().map(ToString::to_string).collect();
    for line in [
        "assistant.kind: `webhok` is none of scripted, webhook, watson, chat_completions: did you mean `webhook`?",
        "colour: is not a known key",
        "connect.instance_arn: `arn:aws:connect:eu-west-2:111122223333:queue/abc` is not an instance ARN: expected arn:aws:connect:REGION:ACCOUNT:instance/ID",
        "connect.secret_access_key: names the same place as `access_key_id`: they are two secrets",
        "conversation.inactivity_timeout_seconds: `99999999999` is not a whole number from 10 to 86400",
        "conversation.post_response_timeout_ms: is a text where a whole number from 100 to 600000 is expected",
        "conversation.redact: has 17 patterns, and 16 are the most",
        "media.timeout_seconds: is a number with a point where a whole number from 5 to 86400 is expected",
        "numbers: +18005550123 is in the list twice",
        "recording.folder: is missing",
        "records.keep_days: `-1` is not a whole number from 0 to 3650",
        "records.webhook.secret: `env:BELLHOP_NO_SUCH` is not set in the environment",
        "ring_while_connecting: is neither true nor false (without quotes)",
        "sip.failure_target: `desk` is not a URI like \"sip:+18005550199@pbx.example.com\": the target is not a sip:, sips: or tel: URI",
        "sip.hold_on_trasfer: is not a known key: did you mean `hold_on_transfer`?",
        "sip.password: is missing",
        "sip.server_name: `not a host!` is not a host name like \"acme.sip.example.com\"",
        "speech_to_text.fallback.url: is missing",
    ] {
        assert!(told.iter().any(|one| one == line), "{line} in {told:#?}");
    }
    assert_eq!(told.len(), 44, "{told:#?}");
}

#[test]
fn the_same_document_says_the_same_by_every_reader() {
    let read = |document: &Table| -> TenantSettings {
        assert_eq!(mistakes(document), []);
        settings::Reading::of(document, &Here(vec![])).settings
    };
    let toml = read(&by_toml(GOOD));
    assert_eq!(read(&by_json(GOOD)), toml);
    assert_eq!(read(&by_form(GOOD)), toml);
}

#[test]
fn a_document_is_kept_as_json_without_its_secrets_and_says_the_same_again() {
    for document in [by_toml(GOOD), by_form(GOOD)] {
        let first = settings::Reading::of(&document, &Here(vec![]));
        let settings = first.settings.clone();
        let kept = first.set_apart().expect("a good document");
        let paths: Vec<&str> = kept.secrets.iter().map(|(path, _)| path.as_str()).collect();
        for path in ["sip.password", "records.webhook.headers.X-Key", "connect.access_key_id", "assistant.api_key"] {
            assert!(paths.contains(&path), "{path} in {paths:?}");
        }
        let text = json::write(&kept.document);
        assert!(!text.contains("s3cret") && !text.contains("AKIA"), "{text}");
        assert!(text.contains("env:PATH"), "a reference is kept as it is: {text}");
        let again = settings::Reading::of(&json::read(&text).expect("JSON"), &Here(kept.secrets));
        assert_eq!((&again.settings, again.mistakes.as_slice()), (&settings, &[][..]));
        assert_eq!(json::write(&again.document), text, "nothing is added, and nothing lost");
        assert_eq!(again.secrets, [""; 0], "all of them are kept elsewhere");
    }
}

#[test]
fn a_document_with_mistakes_is_not_set_apart_and_a_user_that_is_badly_said_is_one() {
    let document = by_json(&GOOD.replace("max_calls = 7", "max_calls = \"seven\""));
    let reading = settings::Reading::of(&document, &Here(vec![]));
    assert!(!reading.mistakes.is_empty() && reading.set_apart().is_err(), "what was not understood may hide a secret");
    let told = mistakes(&by_json(&GOOD.replace("user = \"trunk\"", "user = 5")));
    assert_eq!(told.len(), 1, "what belongs to the user is read: {told:?}");
    let blank = GOOD.replace("secret_access_key = \"env:PATH\"", "secret_access_key = \" env:PATH \"");
    let read = |text: &str| settings::Reading::of(&by_json(text), &Here(vec![])).settings.connect;
    assert_eq!(read(&blank), read(GOOD), "blanks around a place are nobody's intention");
    let url = GOOD.replace("https://speech.example", "ftp://u:S3CRET@speech.example");
    let told = format!("{:?}", mistakes(&by_json(&url)));
    assert!(told.contains("ftp://…@speech.example") && !told.contains("S3CRET"), "{told}");
    let large = GOOD.replace("seed = 7", "seed = 9223372036854775807");
    assert_eq!(mistakes(&by_json(&large)), []);
}
