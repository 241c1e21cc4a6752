//! `[[tenants]]`: one tenant, with its services.

use std::time::Duration;

use bellhop_actors::call::leg::Silence;
use bellhop_actors::services::{Codec, MediaPolicy, Security};
use bellhop_connect::InstanceArn;
use bellhop_tenancy::Number;
use bellhop_tenancy::quota::Quota;
use bellhop_tenancy::tenant::{FailureBeforeAnswer, OnTransferFailure, Ringing};

use super::reader::Section;
use super::services::{AssistantKind, Ranked, RecognizerKind, SynthesizerKind};
use super::{Connect, TEXT_MAX, Tenant, conversation, read_text, records, services, sip};

const HTTP: [&str; 2] = ["http://", "https://"];

pub(super) fn read(section: &Section<'_>) -> Tenant {
    section.begin_mark();
    let name = read_name(section);
    let numbers = read_numbers(section);
    let sip = sip::read_tenant_sip(&section.section("sip"));
    let language = read_language(section);
    let tenant = bellhop_tenancy::Tenant {
        name,
        numbers,
        calls: Quota::new(section.number("max_calls", 1..=100_000).unwrap_or(100)),
        ringing: if section.flag("ring_while_connecting").unwrap_or(true) { Ringing::On } else { Ringing::Off },
        before_answer: match section.choice("on_setup_failure", &["answer_then_bye", "service_unavailable"]) {
            Some(1) => FailureBeforeAnswer::ServiceUnavailable,
            _ => FailureBeforeAnswer::AnswerThenBye,
        },
        on_transfer_failure: match section.flag("disconnect_on_transfer_failure") {
            Some(false) => OnTransferFailure::Continue,
            Some(true) | None => OnTransferFailure::Disconnect,
        },
        hold: sip.hold,
        transfer_failure_message: sip.transfer_failure_message,
        // Where a contact flow takes over, it knows better.
        failover: (!section.has("connect")).then_some(sip.failover),
        login: sip.login,
        sources: sip.sources,
        transfer_targets: sip.transfer_targets,
        server_name: sip.server_name,
        contact_id_header: read_header_name(section, "contact_id_header"),
        frame_ancestors: section.list("frame_ancestors", origin).unwrap_or_default(),
        language,
    };
    let recording = section.optional_section("recording").map(|section| {
        let folder = section.required_text("folder");
        let days = section.number("keep_days", 1..=3650).map(|days| Duration::from_secs(days as u64 * 24 * 3600));
        section.finish();
        ((!folder.is_empty()).then(|| section.relative(&folder)), days)
    });
    let assistant = section.required_section("assistant").map(|s| services::read_assistants(&s));
    let speech_to_text = section.required_section("speech_to_text").map(|s| services::read_recognizers(&s));
    let text_to_speech =
        section.required_section("text_to_speech").map(|s| services::read_synthesizers(&s, &tenant.language));
    let speech_to_text = speech_to_text.unwrap_or_default();
    let embedded = matches!(speech_to_text.first(), Some(Ranked { kind: RecognizerKind::Pocketsphinx, .. }));
    let scripts = assistant.iter().flatten().filter_map(|assistant| match &assistant.kind {
        AssistantKind::Scripted { script } => read_text(script, TEXT_MAX).ok(),
        _ => None,
    });
    scripts.for_each(|script| section.leads_to(&script));
    let mut settings = Tenant {
        index: section.index().unwrap_or_default(),
        mark: section.mark(),
        conversation: conversation::read(&section.section("conversation"), embedded),
        records: records::read(&section.section("records")),
        invite_headers: sip.invite_headers.into(),
        recordings: recording.as_ref().and_then(|(folder, _)| folder.clone()),
        keep_recordings: recording.and_then(|(_, keep)| keep),
        media: read_media_policy(&section.section("media")),
        connect: section.optional_section("connect").and_then(|section| read_connect(&section)),
        assistant: assistant.unwrap_or_default(),
        speech_to_text,
        text_to_speech: text_to_speech.unwrap_or_default(),
        tenant,
    };
    tell_of_languages(section, &settings);
    section.finish();
    settings.mark = section.mark();
    settings
}

/// A name is a label of metrics and a part of file names; `none` is the label of calls that belong to nobody.
fn read_name(section: &Section<'_>) -> String {
    let name = section.required_text("name");
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !plain || name.len() > 64 {
        section.mistake("name", &format!("`{name}` must be of letters, digits, - and _, at most 64"));
    } else if name.eq_ignore_ascii_case("none") {
        section.mistake("name", "`none` is what metrics call those who belong to no tenant: take another name");
    }
    name
}

fn read_numbers(section: &Section<'_>) -> Vec<Number> {
    if !section.has("numbers") {
        section.miss("numbers", "is missing: list the numbers callers dial, like [\"+18005550123\"]");
        return vec![];
    }
    let numbers = section.list("numbers", |text| Number::parse(text).map_err(|error| error.to_string()));
    let numbers = numbers.unwrap_or_default();
    for (n, number) in numbers.iter().enumerate() {
        if numbers[..n].contains(number) {
            section.mistake("numbers", &format!("{} is in the list twice", number.e164()));
        }
    }
    numbers
}

fn read_language(section: &Section<'_>) -> String {
    let language = section.text("language").unwrap_or_else(|| "en-US".to_owned());
    let mut subtags = language.split('-');
    let primary = subtags.next().unwrap_or_default();
    let plain = |tag: &str| (1..=8).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric());
    let good =
        (2..=3).contains(&primary.len()) && primary.bytes().all(|b| b.is_ascii_alphabetic()) && subtags.all(plain);
    if !good {
        section.mistake("language", &format!("`{language}` is not a language tag like \"en-US\""));
        return "en-US".to_owned();
    }
    language
}

/// RFC 3261 section 25.1: a token.
pub(super) fn header_name(text: &str) -> Result<String, String> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b);
    if text.bytes().all(token) { Ok(text.to_owned()) } else { Err(format!("`{text}` is not a header's name")) }
}

fn read_header_name(section: &Section<'_>, key: &str) -> Option<String> {
    let text = section.text(key)?;
    header_name(&text).map_err(|why| section.mistake(key, &why)).ok()
}

/// A source of Content-Security-Policy that is an origin: scheme and host, perhaps with a port.
fn origin(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let host = host.strip_suffix('/').unwrap_or(host);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:*[]".contains(c);
    if !host.is_empty() && host.chars().all(plain) {
        return Ok(text.to_owned());
    }
    Err(format!("`{text}` is not an origin like \"https://acme.my.connect.aws\": http:// or https://, and a host"))
}

fn tell_of_languages(section: &Section<'_>, settings: &Tenant) {
    let language = &settings.tenant.language;
    if language.split('-').next().is_some_and(|primary| primary.eq_ignore_ascii_case("en")) {
        return;
    }
    for recognizer in &settings.speech_to_text {
        if matches!(recognizer.kind, RecognizerKind::Pocketsphinx) {
            let why = format!("pocketsphinx understands English alone, and the language is {language}");
            section.mistake(&recognizer.key("speech_to_text.kind"), &why);
        }
    }
    for synthesizer in &settings.text_to_speech {
        if matches!(synthesizer.kind, SynthesizerKind::Flite { .. }) {
            let why = format!("flite speaks English alone, and the language is {language}: use espeak");
            section.mistake(&synthesizer.key("text_to_speech.kind"), &why);
        }
    }
}

fn read_media_policy(section: &Section<'_>) -> MediaPolicy {
    let default = MediaPolicy::default();
    let named = |text: &str| {
        let codec = Codec::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(text));
        codec.ok_or_else(|| format!("`{text}` is none of pcmu, pcma, g722, opus"))
    };
    let policy = MediaPolicy {
        codecs: section.list("codecs", named).filter(|codecs| !codecs.is_empty()).map_or(default.codecs, Into::into),
        security: match section.choice("srtp", &["off", "preferred", "required"]) {
            Some(0) => Security::Off,
            Some(2) => Security::Required,
            _ => Security::Preferred,
        },
        silence: match section.flag("suppress_silence") {
            Some(true) => Silence::Suppressed,
            Some(false) | None => Silence::Sent,
        },
        timeout: Duration::from_secs(section.number("timeout_seconds", 5..=86_400).unwrap_or(60) as u64),
    };
    section.finish();
    policy
}

fn read_connect(section: &Section<'_>) -> Option<Connect> {
    let arn = section.required_text("instance_arn");
    let parsed = arn.parse::<InstanceArn>();
    if let (Err(error), false) = (&parsed, arn.is_empty()) {
        section.mistake("instance_arn", &error.to_string());
    }
    let (access_key_id, secret_access_key) = (section.secret("access_key_id"), section.secret("secret_access_key"));
    let endpoint_url = section.url("endpoint_url", &HTTP);
    section.finish();
    Some(Connect { instance: parsed.ok()?, access_key_id, secret_access_key, endpoint_url })
}
