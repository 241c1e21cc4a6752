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
use bellhop_adapters::iam::{Authentication, Tokens};
use bellhop_adapters::recording::Folder;
use bellhop_adapters::speech_to_text::counting::Counting;
use bellhop_adapters::speech_to_text::pocketsphinx::{MODEL, NoRecognizer, Pocketsphinx};
use bellhop_adapters::speech_to_text::watson::WatsonSpeechToText;
use bellhop_adapters::text_to_speech::NoSynthesizer;
use bellhop_adapters::text_to_speech::cache::Cached;
use bellhop_adapters::text_to_speech::espeak::{AT_ONCE, Espeak};
use bellhop_adapters::text_to_speech::flite::Flite;
use bellhop_adapters::text_to_speech::watson::WatsonTextToSpeech;
use bellhop_dialogue::ports::{Assistant, Recognizer, Synthesizer};
use tokio::sync::Semaphore;

use crate::config::{
    AssistantKind, Config, Mistakes, RecognizerKind, SynthesizerKind, Tenant, WatsonCredentials, WatsonService,
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
}

/// A mistake: the key within the tenant, and why.
type Found = (&'static str, String);

/// What tenants share.
#[derive(Default)]
struct Shared {
    flite: Option<Result<Flite, NoSynthesizer>>,
    sphinx: Option<Result<Pocketsphinx, NoRecognizer>>,
    espeak_turns: Option<Arc<Semaphore>>,
    /// The services of one API key share its tokens.
    tokens: HashMap<(String, Option<String>), Arc<Tokens>>,
}

impl Engines {
    pub(crate) fn open(config: &Config, path: &Path) -> Result<Self, Mistakes> {
        let (mut shared, mut mistakes, mut of) = (Shared::default(), vec![], HashMap::new());
        for (n, tenant) in config.tenants.iter().enumerate() {
            let mut keep = |(key, why): Found| mistakes.push((format!("tenants[{n}].{key}"), why));
            let (assistant, phrases) = match shared.assistant(tenant) {
                Ok((assistant, phrases)) => (Some(assistant), phrases),
                Err(found) => {
                    keep(found);
                    (None, vec![])
                }
            };
            let recognizer = shared.recognizer(tenant, phrases).map_err(&mut keep).ok();
            let synthesizer = shared.synthesizer(tenant).map_err(&mut keep).ok();
            let opened = tenant.recordings.as_deref().map(Folder::open).transpose();
            let recordings = opened.map_err(|error| keep(("recording.folder", error.to_string()))).ok().flatten();
            if let (Some(assistant), Some(recognizer), Some(synthesizer)) = (assistant, recognizer, synthesizer) {
                of.insert(tenant.tenant.name.clone(), TenantEngines { recordings, assistant, recognizer, synthesizer });
            }
        }
        if mistakes.is_empty() { Ok(Self { of }) } else { Err(Mistakes::found(path, mistakes)) }
    }
}

impl Shared {
    /// The assistant, and what it may expect a caller to say, as far as that is known beforehand.
    fn assistant(&mut self, tenant: &Tenant) -> Result<(Arc<dyn Assistant>, Vec<String>), Found> {
        match &tenant.assistant {
            AssistantKind::Scripted { script } => {
                let named = |why: String| ("assistant.script", format!("{}: {why}", script.display()));
                let text =
                    std::fs::read_to_string(script).map_err(|error| named(format!("cannot be read: {error}")))?;
                let script = Script::parse(&text).map_err(|error| named(error.to_string()))?;
                let phrases = script.phrases();
                Ok((Arc::new(Scripted::new(script)), phrases))
            }
            AssistantKind::Webhook { url, secret } => {
                let webhook = Webhook::new(url, &tenant.tenant.name, secret.expose());
                let webhook = webhook.map_err(|why| ("assistant.url", format!("`{url}`: {why}")))?;
                Ok((Arc::new(webhook), vec![]))
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
                Ok((Arc::new(ChatCompletions::new(settings)), vec![]))
            }
            AssistantKind::Watson { service, assistant, environment, stateful } => {
                let settings = watson::Settings {
                    url: service.url.clone(),
                    assistant: assistant.clone(),
                    environment: environment.clone(),
                    stateful: *stateful,
                };
                Ok((Arc::new(WatsonAssistant::new(settings, self.authentication(service))), vec![]))
            }
        }
    }

    fn recognizer(&mut self, tenant: &Tenant, phrases: Vec<String>) -> Result<Arc<dyn Recognizer>, Found> {
        match &tenant.speech_to_text {
            RecognizerKind::Counting => Ok(Arc::new(Counting::default())),
            RecognizerKind::Watson(service) => {
                let authentication = self.authentication(service);
                Ok(Arc::new(WatsonSpeechToText::new(&service.url, service.parameters.clone(), authentication)))
            }
            RecognizerKind::Pocketsphinx => {
                let engine = self.sphinx.get_or_insert_with(|| Pocketsphinx::open(MODEL, DECODERS)).clone();
                let engine = engine.map_err(|error| ("speech_to_text.kind", error.to_string()))?;
                let unknown = engine.unknown_words(phrases);
                if !unknown.is_empty() {
                    let why = format!("the recognizer's dictionary lacks: {}", unknown.join(", "));
                    return Err(("assistant.script", why));
                }
                Ok(Arc::new(engine))
            }
        }
    }

    fn synthesizer(&mut self, tenant: &Tenant) -> Result<Arc<dyn Synthesizer>, Found> {
        let told = |error: NoSynthesizer| ("text_to_speech", error.to_string());
        match &tenant.text_to_speech {
            SynthesizerKind::Flite { voice } => {
                let engine = self.flite.get_or_insert_with(Flite::open).clone();
                let voice = engine.and_then(|engine| engine.voice(voice)).map_err(told)?;
                Ok(Arc::new(Cached::new(voice)))
            }
            SynthesizerKind::Espeak { voice } => {
                let turns = self.espeak_turns.get_or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE)));
                Ok(Arc::new(Cached::new(Espeak::open(voice, Arc::clone(turns)).map_err(told)?)))
            }
            SynthesizerKind::Watson(service) => {
                let authentication = self.authentication(service);
                let voice = WatsonTextToSpeech::new(&service.url, service.parameters.clone(), authentication);
                Ok(Arc::new(Cached::new(voice)))
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
