//! The whole of a tenant's document.
//!
//! Invariant: what is read without mistakes can serve, as far as that can be known without looking further than the
//! document; what only others can judge (an ARN, a pattern, where a transfer may go) is here as it was written.

use std::collections::HashSet;
use std::net::Ipv6Addr;
use std::sync::Arc;

use crate::host_name::is_host_name;
use crate::integration::{FailureBeforeAnswer, Integration, OnTransferFailure, OwnNumber, Right, Ringing};
use crate::number::Number;
use crate::tenant::{CALLS_MAX, CALLS_PER_SECOND_MAX, Limits, Tenant, why_no_name};

use super::connect::{self, ConnectSettings};
use super::conversation::{self, ConversationSettings};
use super::flow::{self, FlowSettings};
use super::media::{self, MediaSettings};
use super::records::{self, RecordSettings, RecordingSettings};
use super::section::Section;
use super::services::{self, AssistantKind, Ranked, RecognizerKind, Script, SynthesizerKind};
use super::sip::{self, SipSettings, header_name};
use super::{Mark, NamedUrl};

/// Longest name of a time zone, in characters: the database has none of half of it.
const TIME_ZONE_CHARS_MAX: usize = 64;

/// All that a tenant's document says, with the defaults of what it does not say.
#[derive(Debug, Clone, PartialEq)]
pub struct TenantSettings {
    /// `name`
    pub name: String,
    /// `numbers`
    pub numbers: Vec<Number>,
    /// `language`: a BCP 47 tag.
    pub language: String,
    /// `max_calls`: calls at once.
    pub max_calls: usize,
    /// `max_calls_per_second`: calls that may begin in a second; none for any number.
    pub max_calls_per_second: Option<u32>,
    /// `ring_while_connecting`
    pub ringing: Ringing,
    /// `on_setup_failure`
    pub before_answer: FailureBeforeAnswer,
    /// `disconnect_on_transfer_failure`
    pub on_transfer_failure: OnTransferFailure,
    /// `contact_id_header`
    pub contact_id_header: Option<String>,
    /// `frame_ancestors`
    pub frame_ancestors: Vec<String>,
    /// `time_zone`: a name of the time zone database; none for UTC.
    pub time_zone: Option<String>,
    /// `sip`
    pub sip: SipSettings,
    /// `media`
    pub media: MediaSettings,
    /// `conversation`
    pub conversation: ConversationSettings,
    /// `recording`
    pub recording: RecordingSettings,
    /// `records`
    pub records: RecordSettings,
    /// `connect`; none where calls come from elsewhere.
    pub connect: Option<ConnectSettings>,
    /// `flow`
    pub flow: FlowSettings,
    /// `assistant` and those that take over from it, in order.
    pub assistant: Vec<Ranked<AssistantKind>>,
    /// `speech_to_text`, the same.
    pub speech_to_text: Vec<Ranked<RecognizerKind>>,
    /// `text_to_speech`, the same.
    pub text_to_speech: Vec<Ranked<SynthesizerKind>>,
    /// Every URL among these.
    pub urls: Vec<NamedUrl>,
}

impl TenantSettings {
    /// Reads the section of a tenant; what has mistakes is left out, or is the default. With the mark of all it says.
    pub fn read(section: &Section<'_>) -> (Self, Mark) {
        // Which no call asks for.
        section.begin_mark_but("flow");
        let language = read_language(section);
        let speech_to_text = section.required_section("speech_to_text").map(|s| services::read_recognizers(&s));
        let speech_to_text = speech_to_text.unwrap_or_default();
        let embedded = matches!(speech_to_text.first(), Some(Ranked { kind: RecognizerKind::Pocketsphinx, .. }));
        let assistant = section.required_section("assistant").map(|s| services::read_assistants(&s));
        let (assistant, free_of_side_effects) = assistant.unwrap_or_default();
        let text_to_speech =
            section.required_section("text_to_speech").map(|s| services::read_synthesizers(&s, &language));
        let mut settings = Self {
            name: read_name(section),
            numbers: read_numbers(section),
            max_calls: section.number("max_calls", 1..=CALLS_MAX as usize).unwrap_or(100),
            max_calls_per_second: section
                .number("max_calls_per_second", 1..=CALLS_PER_SECOND_MAX as usize)
                .and_then(|calls| u32::try_from(calls).ok()),
            ringing: if section.flag("ring_while_connecting").unwrap_or(true) { Ringing::On } else { Ringing::Off },
            before_answer: match section.choice("on_setup_failure", &["answer_then_bye", "service_unavailable"]) {
                Some(1) => FailureBeforeAnswer::ServiceUnavailable,
                _ => FailureBeforeAnswer::AnswerThenBye,
            },
            on_transfer_failure: match section.flag("disconnect_on_transfer_failure") {
                Some(false) => OnTransferFailure::Continue,
                Some(true) | None => OnTransferFailure::Disconnect,
            },
            contact_id_header: read_header_name(section, "contact_id_header"),
            frame_ancestors: section.list("frame_ancestors", origin).unwrap_or_default(),
            time_zone: read_time_zone(section),
            sip: sip::read(&section.section("sip")),
            media: media::read(&section.section("media")),
            conversation: conversation::read(&section.section("conversation"), embedded, free_of_side_effects),
            recording: section.optional_section("recording").map(|s| records::read_recording(&s)).unwrap_or_default(),
            records: records::read(&section.section("records")),
            connect: section.optional_section("connect").map(|section| connect::read(&section)),
            flow: flow::read(&section.section("flow")),
            assistant,
            speech_to_text,
            text_to_speech: text_to_speech.unwrap_or_default(),
            language,
            urls: vec![],
        };
        settings.urls = section.urls();
        settings.tell_of_languages(section);
        let instance_arn = settings.connect.as_ref().map(|connect| connect.instance_arn.as_str());
        flow::tell_of_instance(section, &settings.flow, instance_arn);
        settings.scripts().for_each(|script| section.leads_to_file(script));
        section.finish();
        (settings, section.mark())
    }

    /// The tenant of a document that stands for both, a tenant and its one integration; it has no call yet.
    pub fn tenant(&self) -> Tenant {
        Tenant::new(&self.name, self.limits())
    }

    /// What that tenant may have.
    pub fn limits(&self) -> Limits {
        Limits { calls: self.max_calls, calls_per_second: self.max_calls_per_second }
    }

    /// What a call needs to know of the integration, with the numbers of the document as nobody else's. Who reads ARNs adds
    /// the instance.
    pub fn integration(&self, tenant: Arc<Tenant>) -> Integration {
        Integration {
            id: self.name.clone(),
            tenant,
            numbers: self
                .numbers
                .iter()
                .map(|number| OwnNumber { number: number.clone(), right: Right::Sole })
                .collect(),
            instance: None,
            language: self.language.clone(),
            ringing: self.ringing,
            before_answer: self.before_answer,
            on_transfer_failure: self.on_transfer_failure,
            hold: self.sip.hold,
            transfer_failure_message: self.sip.transfer_failure_message.clone(),
            // Where a contact flow takes over, it knows better.
            failover: self.connect.is_none().then(|| self.sip.failover.clone()),
            login: self.sip.login.clone(),
            sources: self.sip.sources.clone(),
            transfer_targets: self.sip.transfer_targets.clone(),
            server_name: self.sip.server_name.clone(),
            contact_id_header: self.contact_id_header.clone(),
            frame_ancestors: self.frame_ancestors.clone(),
            history_readers: self.records.history_readers,
            time_zone: self.time_zone.clone(),
        }
    }

    /// The files of scripted assistants.
    fn scripts(&self) -> impl Iterator<Item = &std::path::Path> {
        self.assistant.iter().filter_map(|assistant| match &assistant.kind {
            AssistantKind::Scripted { script: Script::File(script) } => Some(script.as_path()),
            AssistantKind::Scripted { script: Script::Text(_) } => None,
            AssistantKind::Webhook { .. } | AssistantKind::ChatCompletions { .. } | AssistantKind::Watson { .. } => {
                None
            }
        })
    }

    fn tell_of_languages(&self, section: &Section<'_>) {
        let language = &self.language;
        if language.split('-').next().is_some_and(|primary| primary.eq_ignore_ascii_case("en")) {
            return;
        }
        for recognizer in &self.speech_to_text {
            if matches!(recognizer.kind, RecognizerKind::Pocketsphinx) {
                let why = format!("pocketsphinx understands English alone, and the language is {language}");
                section.mistake(&recognizer.key("speech_to_text.kind"), &why);
            }
        }
        for synthesizer in &self.text_to_speech {
            if matches!(synthesizer.kind, SynthesizerKind::Flite { .. }) {
                let why = format!("flite speaks English alone, and the language is {language}: use espeak");
                section.mistake(&synthesizer.key("text_to_speech.kind"), &why);
            }
        }
    }
}

/// A name is a label of metrics and a part of file names; `none` is the label of calls that belong to nobody.
fn read_name(section: &Section<'_>) -> String {
    let name = section.required_text("name");
    // An empty one has been told.
    if let Some(why) = why_no_name(&name).filter(|_| !name.is_empty()) {
        section.mistake("name", &why);
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
    let mut known = HashSet::new();
    for number in &numbers {
        if !known.insert(number) {
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

/// A name of the time zone database as far as it is one by its letters; whoever has the database knows whether it is there.
fn read_time_zone(section: &Section<'_>) -> Option<String> {
    let name = section.text("time_zone")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "/_+-".contains(c);
    let good = (1..=TIME_ZONE_CHARS_MAX).contains(&name.len())
        && name.chars().all(plain)
        && name.split('/').all(|part| part.starts_with(|c: char| c.is_ascii_alphabetic()));
    if !good {
        section.mistake("time_zone", &format!("`{name}` is not a time zone like \"Europe/London\""));
    }
    good.then_some(name)
}

fn read_header_name(section: &Section<'_>, key: &str) -> Option<String> {
    let text = section.text(key)?;
    header_name(&text).map_err(|why| section.mistake(key, &why)).ok()
}

/// A source of Content-Security-Policy that is an origin: scheme and host, perhaps with a port (CSP Level 3 section 2.3.1). A `*.` stands for
/// the names below one of at least two labels: what everybody can have is no frame of one's own.
fn origin(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let host = host.strip_suffix('/').unwrap_or(host);
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let is_address = || {
        name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok())
    };
    let is_name = match name.strip_prefix("*.") {
        Some(below) => is_host_name(below) && below.contains('.'),
        None => is_host_name(name),
    };
    if (is_name || is_address()) && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0)) {
        return Ok(text.to_owned());
    }
    Err(format!("`{text}` is not an origin like \"https://acme.my.connect.aws\": http:// or https://, and a host"))
}
