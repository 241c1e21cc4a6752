//! Opens the speech engines and assistants that the configuration names.
//!
//! Invariant: an engine is opened once and only if somebody uses it; every mistake is told at once, with its key.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use bellhop_adapters::assistant::chat_completions::{self, ChatCompletions};
use bellhop_adapters::assistant::scripted::{Script, Scripted};
use bellhop_adapters::assistant::watson::{self, WatsonAssistant};
use bellhop_adapters::assistant::webhook::Webhook;
use bellhop_adapters::fallback::{InOrder, OnSwitch};
use bellhop_adapters::iam::{Authentication, Tokens};
use bellhop_adapters::recording::Folder;
use bellhop_adapters::speech_to_text::counting::Counting;
use bellhop_adapters::speech_to_text::pocketsphinx::{MODEL, NoRecognizer, Pocketsphinx};
use bellhop_adapters::speech_to_text::watson::WatsonSpeechToText;
use bellhop_adapters::text_to_speech::NoSynthesizer;
use bellhop_adapters::text_to_speech::cache::Cached;
use bellhop_adapters::text_to_speech::espeak::Espeak;
use bellhop_adapters::text_to_speech::flite::Flite;
use bellhop_adapters::text_to_speech::watson::{Transport, WatsonTextToSpeech};
use bellhop_adapters::turns::Turns;
use bellhop_amazon_speech::Account;
use bellhop_amazon_speech::polly::Polly;
use bellhop_amazon_speech::transcribe::Transcribe;
use bellhop_dialogue::ports::{Assistant, Recognizer, Synthesizer};

use crate::config::{
    AmazonService, AssistantKind, Config, Mistakes, RecognizerKind, SynthesizerKind, WatsonCredentials, WatsonService,
};

/// Threads that recognise speech.
const DECODERS: usize = 2;

/// The services of all tenants, by name.
pub(crate) struct Engines {
    pub(crate) of: HashMap<String, TenantEngines>,
}

/// The services of one.
pub(crate) struct TenantEngines {
    pub(crate) recordings: Option<Folder>,
    pub(crate) assistant: Arc<dyn Assistant>,
    pub(crate) recognizer: Arc<dyn Recognizer>,
    pub(crate) synthesizer: Arc<dyn Synthesizer>,
    /// Each of the services by kind, in order: for those who want to choose.
    pub(crate) choices: Choices,
}

/// The speech services of one tenant, by kind.
pub(crate) struct Choices {
    pub(crate) recognizers: Vec<(&'static str, Arc<dyn Recognizer>)>,
    pub(crate) synthesizers: Vec<(&'static str, Arc<dyn Synthesizer>)>,
}

/// A mistake: the key within the tenant, and why.
type Found = (&'static str, String);

/// What tenants share.
#[derive(Default)]
struct Shared {
    flite: Option<Result<Flite, NoSynthesizer>>,
    sphinx: Option<Result<Pocketsphinx, NoRecognizer>>,
    espeak_turns: Option<Turns>,
    /// The services of one API key share its tokens.
    tokens: HashMap<(String, Option<String>), Arc<Tokens>>,
}

impl Engines {
    pub(crate) fn open(config: &Config, path: &Path) -> Result<Self, Mistakes> {
        let (mut shared, mut mistakes, mut of) = (Shared::default(), vec![], HashMap::new());
        for (n, tenant) in config.tenants.iter().enumerate() {
            let mut keep = |(key, why): Found| mistakes.push((format!("tenants[{n}].{key}"), why));
            let name = &tenant.tenant.name;
            let mut phrases = vec![];
            let assistants: Vec<(&str, Arc<dyn Assistant>)> = tenant
                .assistant
                .iter()
                .filter_map(|kind| shared.assistant(name, kind, &mut phrases).map_err(&mut keep).ok())
                .collect();
            let recognizers: Vec<(&'static str, Arc<dyn Recognizer>)> = tenant
                .speech_to_text
                .iter()
                .filter_map(|kind| shared.recognizer(&tenant.tenant.language, kind, &phrases).map_err(&mut keep).ok())
                .collect();
            let synthesizers: Vec<(&'static str, Arc<dyn Synthesizer>)> = tenant
                .text_to_speech
                .iter()
                .filter_map(|kind| shared.synthesizer(kind).map_err(&mut keep).ok())
                .collect();
            let opened = tenant.recordings.as_deref().map(Folder::open).transpose();
            let recordings = opened.map_err(|error| keep(("recording.folder", error.to_string()))).ok().flatten();
            let choices = Choices { recognizers: recognizers.clone(), synthesizers: synthesizers.clone() };
            let engines = TenantEngines {
                recordings,
                choices,
                assistant: Arc::new(InOrder::new(assistants, told(name, "assistant"))),
                recognizer: Arc::new(InOrder::new(recognizers, told(name, "speech_to_text"))),
                synthesizer: Arc::new(InOrder::new(synthesizers, told(name, "text_to_speech"))),
            };
            of.insert(name.clone(), engines);
        }
        if mistakes.is_empty() { Ok(Self { of }) } else { Err(Mistakes::found(path, mistakes)) }
    }
}

fn account(service: &AmazonService) -> Account {
    Account {
        region: service.region.clone(),
        access_key_id: service.access_key_id.expose().to_owned(),
        secret_access_key: service.secret_access_key.expose().to_owned(),
        endpoint_url: service.endpoint_url.clone(),
    }
}

/// A switch from one service to the next is told in the log and counted.
fn told(tenant: &str, port: &'static str) -> OnSwitch {
    let tenant = tenant.to_owned();
    Arc::new(move |from, to| {
        tracing::warn!(tenant, port, from, to, "another service takes over");
        bellhop_actors::metrics::service_switched(&tenant, port);
    })
}

impl Shared {
    /// An assistant with its kind; `expected` gains what it may want a caller to say, as far as that is known beforehand.
    fn assistant(
        &mut self,
        tenant: &str,
        kind: &AssistantKind,
        expected: &mut Vec<String>,
    ) -> Result<(&'static str, Arc<dyn Assistant>), Found> {
        match kind {
            AssistantKind::Scripted { script } => {
                let named = |why: String| ("assistant.script", format!("{}: {why}", script.display()));
                let text =
                    std::fs::read_to_string(script).map_err(|error| named(format!("cannot be read: {error}")))?;
                let script = Script::parse(&text).map_err(|error| named(error.to_string()))?;
                expected.extend(script.phrases());
                Ok(("scripted", Arc::new(Scripted::new(script))))
            }
            AssistantKind::Webhook { url, secret } => {
                let webhook = Webhook::new(url, tenant, secret.expose());
                let webhook = webhook.map_err(|why| ("assistant.url", format!("`{url}`: {why}")))?;
                Ok(("webhook", Arc::new(webhook)))
            }
            AssistantKind::ChatCompletions { url, model, api_key, prompt, greeting, parameters } => {
                let settings = chat_completions::Settings {
                    url: url.clone(),
                    model: model.clone(),
                    api_key: api_key.as_ref().map(|key| key.expose().to_owned()),
                    prompt: prompt.clone(),
                    greeting: greeting.clone(),
                    parameters: parameters.clone(),
                };
                Ok(("chat_completions", Arc::new(ChatCompletions::new(settings))))
            }
            AssistantKind::Watson { service, assistant, environment, stateful } => {
                let settings = watson::Settings {
                    url: service.url.clone(),
                    assistant: assistant.clone(),
                    environment: environment.clone(),
                    stateful: *stateful,
                };
                Ok(("watson", Arc::new(WatsonAssistant::new(settings, self.authentication(service)))))
            }
        }
    }

    fn recognizer(
        &mut self,
        language: &str,
        kind: &RecognizerKind,
        expected: &[String],
    ) -> Result<(&'static str, Arc<dyn Recognizer>), Found> {
        match kind {
            RecognizerKind::Counting => Ok(("counting", Arc::new(Counting::default()))),
            RecognizerKind::Watson(service) => {
                let authentication = self.authentication(service);
                let service = WatsonSpeechToText::new(&service.url, service.parameters.clone(), authentication);
                Ok(("watson", Arc::new(service)))
            }
            RecognizerKind::Transcribe(service) => {
                let service = Transcribe::new(&account(service), language, service.parameters.clone());
                Ok(("transcribe", Arc::new(service)))
            }
            RecognizerKind::Worker { url, token, parameters } => {
                let token = token.as_ref().map(|token| token.expose());
                Ok(("worker", Arc::new(WatsonSpeechToText::worker(url, parameters.clone(), token))))
            }
            RecognizerKind::Pocketsphinx => {
                let engine = self.sphinx.get_or_insert_with(|| Pocketsphinx::open(MODEL, DECODERS)).clone();
                let engine = engine.map_err(|error| ("speech_to_text.kind", error.to_string()))?;
                let unknown = engine.unknown_words(expected.to_vec());
                if !unknown.is_empty() {
                    let why = format!("the recognizer's dictionary lacks: {}", unknown.join(", "));
                    return Err(("assistant.script", why));
                }
                Ok(("pocketsphinx", Arc::new(engine.for_another_tenant())))
            }
        }
    }

    fn synthesizer(&mut self, kind: &SynthesizerKind) -> Result<(&'static str, Arc<dyn Synthesizer>), Found> {
        let told = |error: NoSynthesizer| ("text_to_speech", error.to_string());
        match kind {
            SynthesizerKind::Flite { voice } => {
                let engine = self.flite.get_or_insert_with(Flite::open).clone();
                let voice = engine.and_then(|engine| engine.voice(voice)).map_err(told)?;
                Ok(("flite", Arc::new(Cached::new(voice))))
            }
            SynthesizerKind::Espeak { voice } => {
                let turns = self.espeak_turns.get_or_insert_with(Espeak::turns);
                let voice = Espeak::open(voice, turns.lane()).map_err(told)?;
                Ok(("espeak", Arc::new(Cached::new(voice))))
            }
            SynthesizerKind::Polly(service) => {
                let voice = Polly::new(&account(service), service.parameters.clone());
                Ok(("polly", Arc::new(Cached::new(voice))))
            }
            SynthesizerKind::Watson { service, by_socket } => {
                let authentication = self.authentication(service);
                let transport = if *by_socket { Transport::WebSocket } else { Transport::Http };
                let voice =
                    WatsonTextToSpeech::new(&service.url, transport, service.parameters.clone(), authentication);
                Ok(("watson", Arc::new(Cached::new(voice))))
            }
        }
    }

    fn authentication(&mut self, service: &WatsonService) -> Authentication {
        match &service.credentials {
            WatsonCredentials::Token(token) => Authentication::Bearer(token.expose().into()),
            WatsonCredentials::ApiKey(key, url) => {
                let (key, url) = (key.expose(), url.as_deref());
                let shared = self.tokens.entry((key.to_owned(), url.map(str::to_owned)));
                Authentication::Iam(Arc::clone(shared.or_insert_with(|| Arc::new(Tokens::new(key, url)))))
            }
        }
    }
}
