//! `assistant`, `speech_to_text`, `text_to_speech`: which services a tenant uses, and which take over from them.

use std::cell::Cell;
use std::path::PathBuf;

use serde_json::{Map, Value as Json};

use super::HTTP;
use super::section::Section;
use crate::secret::Secret;

/// The key of a service by itself that says which port it serves.
pub(super) const PORT: &str = "port";
/// The sections that services stand in.
pub(super) const PORTS: [&str; 2] = ["speech_to_text", "text_to_speech"];

/// A service's own parameters, by name.
pub type Parameters = Map<String, Json>;

/// `assistant`
#[derive(Debug, Clone, PartialEq)]
pub enum AssistantKind {
    /// `kind = "scripted"`
    Scripted {
        /// `script` or `script_text`
        script: Script,
    },
    /// `kind = "webhook"`
    Webhook {
        /// `url`
        url: String,
        /// `secret`
        secret: Secret,
    },
    /// `kind = "chat_completions"`
    ChatCompletions {
        /// `url`: the API's base.
        url: String,
        /// `model`
        model: String,
        /// `api_key`
        api_key: Option<Secret>,
        /// `prompt`
        prompt: String,
        /// `greeting`
        greeting: Option<String>,
        /// `parameters`
        parameters: Parameters,
    },
    /// `kind = "watson"`
    Watson {
        /// `url` and credentials.
        service: WatsonService,
        /// `assistant_id`
        assistant: String,
        /// `environment_id`: with it, replies are streamed.
        environment: Option<String>,
        /// `stateful`
        stateful: bool,
    },
}

/// The script of a scripted assistant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Script {
    /// `script`: a file, relative to where the document lies.
    File(PathBuf),
    /// `script_text`: the script itself.
    Text(String),
}

impl AssistantKind {
    /// Names it in call records: the vendor's identifier, or the kind.
    pub fn id(&self) -> &str {
        match self {
            Self::Scripted { .. } => "scripted",
            Self::Webhook { .. } => "webhook",
            Self::ChatCompletions { model, .. } => model,
            Self::Watson { assistant, environment, .. } => environment.as_ref().unwrap_or(assistant),
        }
    }
}

/// `speech_to_text`
#[derive(Debug, Clone, PartialEq)]
pub enum RecognizerKind {
    /// `kind = "pocketsphinx"`
    Pocketsphinx,
    /// `kind = "counting"`: for load tests.
    Counting,
    /// `kind = "watson"`
    Watson(WatsonService),
    /// `kind = "transcribe"`
    Transcribe(AmazonService),
    /// `kind = "worker"`
    Worker {
        /// `url`
        url: String,
        /// `token`
        token: Option<Secret>,
        /// `parameters`
        parameters: Parameters,
    },
}

/// `text_to_speech`
#[derive(Debug, Clone, PartialEq)]
pub enum SynthesizerKind {
    /// `kind = "flite"`
    Flite {
        /// `voice`
        voice: String,
    },
    /// `kind = "espeak"`
    Espeak {
        /// `voice`
        voice: String,
    },
    /// `kind = "watson"`
    Watson {
        /// `url` and credentials.
        service: WatsonService,
        /// `transport = "websocket"`
        by_socket: bool,
    },
    /// `kind = "polly"`
    Polly(AmazonService),
}

/// An Amazon service: an account in a Region.
#[derive(Debug, Clone, PartialEq)]
pub struct AmazonService {
    /// `region`
    pub region: String,
    /// `access_key_id`
    pub access_key_id: Secret,
    /// `secret_access_key`
    pub secret_access_key: Secret,
    /// `endpoint_url`
    pub endpoint_url: Option<String>,
    /// `parameters`: the service's own, under those of the assistant.
    pub parameters: Parameters,
}

/// A Watson service: where it is, and who we are to it.
#[derive(Debug, Clone, PartialEq)]
pub struct WatsonService {
    /// `url`
    pub url: String,
    /// `api_key` or `token`
    pub credentials: WatsonCredentials,
    /// `parameters`: the service's own, under those of the assistant.
    pub parameters: Parameters,
}

/// Who we are to a Watson service.
#[derive(Debug, Clone, PartialEq)]
pub enum WatsonCredentials {
    /// `api_key`, with `iam_url` for another token service than IBM Cloud's.
    ApiKey(Secret, Option<String>),
    /// `token`: a bearer token.
    Token(Secret),
}

/// One of the services of a port: the first is preferred, the others take over in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked<T> {
    /// How many come before it.
    pub rank: usize,
    /// What it is.
    pub kind: T,
}

impl<T> Ranked<T> {
    /// The path of one of its keys: `assistant.script` of the second is `assistant.fallback.script`.
    pub fn key(&self, key: &str) -> String {
        let (section, key) = key.split_once('.').unwrap_or((key, ""));
        let path = section.to_owned() + &".fallback".repeat(self.rank);
        if key.is_empty() { path } else { format!("{path}.{key}") }
    }
}

/// A service, and those that take over from it, in order: its `fallback`, and its own `fallback`. Those that have
/// mistakes are left out.
fn in_order<T>(section: &Section<'_>, read: impl Fn(&Section<'_>) -> Option<T>) -> Vec<Ranked<T>> {
    let (mut all, mut rank) = (vec![], 0);
    let mut next = read_one(section, rank, &read, &mut all);
    while let Some(section) = next {
        rank += 1;
        next = read_one(&section, rank, &read, &mut all);
    }
    all
}

/// Reads one of them, and returns the section of the next.
fn read_one<'a, T>(
    section: &Section<'a>,
    rank: usize,
    read: impl Fn(&Section<'_>) -> Option<T>,
    all: &mut Vec<Ranked<T>>,
) -> Option<Section<'a>> {
    let before = section.mistakes();
    let kind = read(section);
    let next = section.optional_section("fallback");
    // Which keys it may have depends on its kind: without one, none is judged.
    if kind.is_some() {
        section.finish();
    } else {
        section.finish_missing();
    }
    all.extend(kind.filter(|_| section.mistakes() == before).map(|kind| Ranked { rank, kind }));
    next
}

/// One assistant by itself.
pub(super) fn read_assistant_alone(section: &Section<'_>) {
    let kind = read_assistant(section);
    finish_alone(section, kind.is_some());
}

/// One service by itself; its port stands beside its kind.
pub(super) fn read_service_alone(section: &Section<'_>, language: &str) {
    let known = match section.required_choice(PORT, &PORTS) {
        Some(0) => read_recognizer(section).is_some(),
        Some(_) => read_synthesizer(section, language).is_some(),
        None => false,
    };
    finish_alone(section, known);
}

fn finish_alone(section: &Section<'_>, is_known: bool) {
    if section.has("fallback") {
        section.mistake("fallback", "stands in the integration, which lists in order what it uses");
    }
    let _ = section.optional_section("fallback");
    // Which keys it may have depends on its kind.
    if is_known {
        section.finish();
    } else {
        section.finish_missing();
    }
}

/// The assistants, and whether each of them may be asked for nothing.
pub(super) fn read_assistants(section: &Section<'_>) -> (Vec<Ranked<AssistantKind>>, bool) {
    let all_free = Cell::new(true);
    let assistants = in_order(section, |section| {
        let (kind, is_free) = read_assistant(section)?;
        all_free.set(all_free.get() && is_free);
        Some(kind)
    });
    (assistants, all_free.get())
}

pub(super) fn read_recognizers(section: &Section<'_>) -> Vec<Ranked<RecognizerKind>> {
    in_order(section, read_recognizer)
}

pub(super) fn read_synthesizers(section: &Section<'_>, language: &str) -> Vec<Ranked<SynthesizerKind>> {
    in_order(section, |section| read_synthesizer(section, language))
}

/// An assistant, and whether it says that a question which nobody asks after all leaves no trace in it.
fn read_assistant(section: &Section<'_>) -> Option<(AssistantKind, bool)> {
    let kind = section.required_choice("kind", &["scripted", "webhook", "watson", "chat_completions"])?;
    // A script has none.
    let is_free = section.flag("free_of_side_effects").unwrap_or(kind == 0);
    let kind = match kind {
        1 => AssistantKind::Webhook { url: section.required_url("url", &HTTP), secret: section.secret("secret") },
        2 => AssistantKind::Watson {
            assistant: section.required_text("assistant_id"),
            environment: section.text("environment_id"),
            stateful: section.flag("stateful").unwrap_or(true),
            service: read_watson(section),
        },
        3 => AssistantKind::ChatCompletions {
            url: section.required_url("url", &HTTP),
            model: section.required_text("model"),
            api_key: section.has("api_key").then(|| section.secret("api_key")),
            prompt: section.required_text("prompt"),
            greeting: section.text("greeting"),
            parameters: section.parameters("parameters"),
        },
        _ => AssistantKind::Scripted { script: read_script(section) },
    };
    Some((kind, is_free))
}

fn read_script(section: &Section<'_>) -> Script {
    match section.text("script_text") {
        Some(text) => {
            if section.has("script") {
                section.mistake("script_text", "stands beside `script`: one of them is the script");
            }
            let _ = section.text("script");
            Script::Text(text)
        }
        None => Script::File(section.required_path("script", "give the script itself as `script_text`")),
    }
}

fn read_recognizer(section: &Section<'_>) -> Option<RecognizerKind> {
    let kind = section.required_choice("kind", &["pocketsphinx", "counting", "watson", "worker", "transcribe"])?;
    Some(match kind {
        1 => RecognizerKind::Counting,
        2 => RecognizerKind::Watson(read_watson(section)),
        3 => {
            let url = section.required_url("url", &["ws://", "wss://", "http://", "https://"]);
            let token = section.has("token").then(|| section.secret("token"));
            RecognizerKind::Worker { url, token, parameters: section.parameters("parameters") }
        }
        4 => RecognizerKind::Transcribe(read_amazon(section)),
        _ => RecognizerKind::Pocketsphinx,
    })
}

fn read_synthesizer(section: &Section<'_>, language: &str) -> Option<SynthesizerKind> {
    let kind = section.required_choice("kind", &["flite", "espeak", "watson", "polly"])?;
    Some(match kind {
        1 => SynthesizerKind::Espeak { voice: section.text("voice").unwrap_or_else(|| espeak_voice(language)) },
        2 => SynthesizerKind::Watson {
            by_socket: section.choice("transport", &["http", "websocket"]) == Some(1),
            service: read_watson(section),
        },
        3 => {
            let mut service = read_amazon(section);
            let voice = section.required_text("voice");
            service.parameters.insert("voice_id".to_owned(), voice.into());
            SynthesizerKind::Polly(service)
        }
        _ => SynthesizerKind::Flite { voice: section.text("voice").unwrap_or_else(|| "slt".to_owned()) },
    })
}

fn read_amazon(section: &Section<'_>) -> AmazonService {
    let region = section.required_text("region");
    if !region.is_empty() && !region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        section.mistake("region", &format!("`{region}` is not a Region like \"eu-west-2\""));
    }
    AmazonService {
        region,
        access_key_id: section.secret("access_key_id"),
        secret_access_key: section.secret("secret_access_key"),
        endpoint_url: section.url("endpoint_url", &HTTP),
        parameters: section.parameters("parameters"),
    }
}

fn read_watson(section: &Section<'_>) -> WatsonService {
    let credentials = if section.has("token") {
        WatsonCredentials::Token(section.secret("token"))
    } else {
        WatsonCredentials::ApiKey(section.secret("api_key"), section.url("iam_url", &HTTP))
    };
    WatsonService { url: section.required_url("url", &HTTP), credentials, parameters: section.parameters("parameters") }
}

/// espeak-ng names most voices by the primary subtag alone.
fn espeak_voice(language: &str) -> String {
    let language = language.to_ascii_lowercase();
    match language.as_str() {
        "en-us" | "en-gb" | "pt-br" | "fr-be" | "fr-ch" | "es-419" => language,
        _ => language.split('-').next().unwrap_or_default().to_owned(),
    }
}
