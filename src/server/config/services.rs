//! `[tenants.assistant]`, `[tenants.speech_to_text]`, `[tenants.text_to_speech]`: which services a tenant uses.

use std::path::{Path, PathBuf};

use bellhop_dialogue::Fields;
use bellhop_tenancy::Secret;

use super::reader::Section;

/// `[tenants.assistant]`
#[derive(Debug, Clone)]
pub enum AssistantKind {
    /// `kind = "scripted"`
    Scripted {
        /// `script`, relative to the file.
        script: PathBuf,
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
        parameters: Fields,
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

/// `[tenants.speech_to_text]`
#[derive(Debug, Clone)]
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
        parameters: Fields,
    },
}

/// `[tenants.text_to_speech]`
#[derive(Debug, Clone)]
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
#[derive(Debug, Clone)]
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
    pub parameters: Fields,
}

/// A Watson service: where it is, and who we are to it.
#[derive(Debug, Clone)]
pub struct WatsonService {
    /// `url`
    pub url: String,
    /// `api_key` or `token`
    pub credentials: WatsonCredentials,
    /// `parameters`: the service's own, under those of the assistant.
    pub parameters: Fields,
}

/// Who we are to a Watson service.
#[derive(Debug, Clone)]
pub enum WatsonCredentials {
    /// `api_key`, with `iam_url` for another token service than IBM Cloud's.
    ApiKey(Secret, Option<String>),
    /// `token`: a bearer token.
    Token(Secret),
}

/// A service, and those that take over from it, in order: `[tenants.….fallback]`, and its own `fallback`.
fn in_order<T>(section: &Section<'_>, read: impl Fn(&Section<'_>) -> T) -> Vec<T> {
    let mut all = vec![read(section)];
    let mut next = section.optional_section("fallback");
    while let Some(section) = next {
        all.push(read(&section));
        next = section.optional_section("fallback");
        section.finish();
    }
    section.finish();
    all
}

pub(super) fn read_assistants(section: &Section<'_>, path: &Path) -> Vec<AssistantKind> {
    in_order(section, |section| read_assistant(section, path))
}

pub(super) fn read_recognizers(section: &Section<'_>) -> Vec<RecognizerKind> {
    in_order(section, read_recognizer)
}

pub(super) fn read_synthesizers(section: &Section<'_>, language: &str) -> Vec<SynthesizerKind> {
    in_order(section, |section| read_synthesizer(section, language))
}

fn read_assistant(section: &Section<'_>, path: &Path) -> AssistantKind {
    let kind = section.required_choice("kind", &["scripted", "webhook", "watson", "chat_completions"]);
    match kind {
        Some(1) => AssistantKind::Webhook { url: read_url(section), secret: section.secret("secret") },
        Some(2) => AssistantKind::Watson {
            assistant: section.required_text("assistant_id"),
            environment: section.text("environment_id"),
            stateful: section.flag("stateful").unwrap_or(true),
            service: read_watson(section),
        },
        Some(3) => AssistantKind::ChatCompletions {
            url: read_url(section),
            model: section.required_text("model"),
            api_key: section.has("api_key").then(|| section.secret("api_key")),
            prompt: section.required_text("prompt"),
            greeting: section.text("greeting"),
            parameters: section.fields("parameters"),
        },
        _ => {
            let script = section.required_text("script");
            AssistantKind::Scripted { script: path.parent().unwrap_or(Path::new(".")).join(script) }
        }
    }
}

fn read_recognizer(section: &Section<'_>) -> RecognizerKind {
    match section.required_choice("kind", &["pocketsphinx", "counting", "watson", "worker", "transcribe"]) {
        Some(1) => RecognizerKind::Counting,
        Some(2) => RecognizerKind::Watson(read_watson(section)),
        Some(3) => {
            let url = section.required_text("url");
            if !url.is_empty()
                && !["ws://", "wss://", "http://", "https://"].iter().any(|scheme| url.starts_with(scheme))
            {
                section.mistake("url", &format!("`{url}` does not begin with ws:// or wss://"));
            }
            let token = section.has("token").then(|| section.secret("token"));
            RecognizerKind::Worker { url, token, parameters: section.fields("parameters") }
        }
        Some(4) => RecognizerKind::Transcribe(read_amazon(section)),
        _ => RecognizerKind::Pocketsphinx,
    }
}

fn read_synthesizer(section: &Section<'_>, language: &str) -> SynthesizerKind {
    match section.required_choice("kind", &["flite", "espeak", "watson", "polly"]) {
        Some(1) => SynthesizerKind::Espeak { voice: section.text("voice").unwrap_or_else(|| espeak_voice(language)) },
        Some(2) => SynthesizerKind::Watson {
            by_socket: section.choice("transport", &["http", "websocket"]) == Some(1),
            service: read_watson(section),
        },
        Some(3) => {
            let mut service = read_amazon(section);
            let voice = section.required_text("voice");
            service.parameters.insert("voice_id".to_owned(), voice.into());
            SynthesizerKind::Polly(service)
        }
        _ => SynthesizerKind::Flite { voice: section.text("voice").unwrap_or_else(|| "slt".to_owned()) },
    }
}

fn read_url(section: &Section<'_>) -> String {
    read_url_at(section, "url")
}

fn read_url_at(section: &Section<'_>, key: &str) -> String {
    let url = section.required_text(key);
    if !url.is_empty() && !url.starts_with("https://") && !url.starts_with("http://") {
        section.mistake(key, &format!("`{url}` does not begin with http:// or https://"));
    }
    url
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
        endpoint_url: section.has("endpoint_url").then(|| read_url_at(section, "endpoint_url")),
        parameters: section.fields("parameters"),
    }
}

fn read_watson(section: &Section<'_>) -> WatsonService {
    let credentials = if section.has("token") {
        WatsonCredentials::Token(section.secret("token"))
    } else {
        WatsonCredentials::ApiKey(section.secret("api_key"), section.text("iam_url"))
    };
    WatsonService { url: read_url(section), credentials, parameters: section.fields("parameters") }
}

/// espeak-ng names most voices by the primary subtag alone.
fn espeak_voice(language: &str) -> String {
    let language = language.to_ascii_lowercase();
    match language.as_str() {
        "en-us" | "en-gb" | "pt-br" | "fr-be" | "fr-ch" | "es-419" => language,
        _ => language.split('-').next().unwrap_or_default().to_owned(),
    }
}
