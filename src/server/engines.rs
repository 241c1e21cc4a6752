//! Opens the speech engines and assistants that the configuration names.
//!
//! Invariant: an engine is opened once in the life of the process and only if somebody uses it; every mistake is told at once,
//! with its key. Slow: it belongs on a thread of its own.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use bellhop_adapters::assistant::chat_completions::{self, ChatCompletions};
use bellhop_adapters::assistant::scripted::{BadScript, Script, ScriptMistake, Scripted};
use bellhop_adapters::assistant::watson::{self, WatsonAssistant};
use bellhop_adapters::assistant::webhook::Webhook;
use bellhop_adapters::fallback::{InOrder, OnSwitch};
use bellhop_adapters::iam::{Authentication, Tokens};
use bellhop_adapters::reach::Reach;
use bellhop_adapters::recording::Folder;
use bellhop_adapters::speech_to_text::counting::Counting;
use bellhop_adapters::speech_to_text::pocketsphinx::{MODEL, NoRecognizer, Pocketsphinx};
use bellhop_adapters::speech_to_text::watson::WatsonSpeechToText;
use bellhop_adapters::text_to_speech::NoSynthesizer;
use bellhop_adapters::text_to_speech::cache::{Budget, Cached};
use bellhop_adapters::text_to_speech::espeak::Espeak;
use bellhop_adapters::text_to_speech::flite::Flite;
use bellhop_adapters::text_to_speech::watson::{Transport, WatsonTextToSpeech};
use bellhop_adapters::turns::Turns;
use bellhop_amazon_speech::Account;
use bellhop_amazon_speech::polly::Polly;
use bellhop_amazon_speech::transcribe::Transcribe;
use bellhop_dialogue::ports::{Assistant, Recognizer, Synthesizer};
use bellhop_dialogue::turn_loop::Policy;
use bellhop_tenancy::settings::{
    self, AmazonService, AssistantKind, Ranked, RecognizerKind, SynthesizerKind, TenantSettings, WatsonCredentials,
    WatsonService,
};

use crate::config::{Config, Mistake, Mistakes, TEXT_MAX, can_be_folder, read_text};
use crate::policy;

/// Threads that recognise speech.
const DECODERS: usize = 2;

/// The services of all tenants, in their order. Those of a tenant with mistakes are not whole.
pub(crate) struct Engines {
    pub(crate) of: Vec<TenantEngines>,
}

/// Why the engines are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To find mistakes: nothing is created.
    Check,
    /// To serve calls.
    Serve,
}

/// The services of one.
pub(crate) struct TenantEngines {
    pub(crate) recordings: Option<Folder>,
    pub(crate) assistant: Arc<dyn Assistant>,
    pub(crate) recognizer: Arc<dyn Recognizer>,
    pub(crate) synthesizer: Arc<dyn Synthesizer>,
    /// How its conversations are led; mistakes of it are told with those of the document.
    pub(crate) conversation: Policy,
    /// What the assistants say whatever happens.
    pub(crate) known_texts: Vec<String>,
    /// Which services are left alone, by port.
    pub(crate) at_rest: [(&'static str, AtRest); 3],
    /// Each of the services by kind, in order: for those who want to choose.
    pub(crate) choices: Choices,
}

/// The services of one port by name, and whether each is left alone for its failures.
pub(crate) type AtRest = Box<dyn Fn() -> Vec<(&'static str, bool)> + Send + Sync>;

/// The speech services of one tenant, by kind.
pub(crate) struct Choices {
    pub(crate) recognizers: Vec<(&'static str, Arc<dyn Recognizer>)>,
    pub(crate) synthesizers: Vec<(&'static str, Arc<dyn Synthesizer>)>,
}

/// Settings, and how far the URLs that they name may lead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whose<'a> {
    pub(crate) settings: &'a TenantSettings,
    pub(crate) reach: Reach,
}

/// What is wrong with what settings name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EngineMistake {
    /// By its path in the settings.
    Of(settings::Mistake),
    /// In a file that they name, at a line and column of it.
    Within {
        /// The file.
        file: PathBuf,
        /// Line and column, from 1.
        at: Option<(usize, usize)>,
        /// What, and what to do.
        why: String,
    },
}

/// What is wrong: the key of the first service of its port, and why; or a file that is named there, with a place in it.
enum Found {
    Key(&'static str, String),
    Script(PathBuf, BadScript),
    /// The same of a script that stands in the document itself.
    ScriptText(BadScript),
}

impl Found {
    /// As mistakes; `service` is what the key belongs to.
    fn told<T>(self, service: &Ranked<T>) -> Vec<EngineMistake> {
        let of = |key: &str, why| EngineMistake::Of(settings::Mistake::of_value(service.key(key), why));
        match self {
            Self::Key(key, why) => vec![of(key, why)],
            Self::Script(file, BadScript(mistakes)) => mistakes
                .into_iter()
                .map(|ScriptMistake { at, why }| EngineMistake::Within { file: file.clone(), at, why })
                .collect(),
            Self::ScriptText(bad) => script_mistakes(bad).map(|why| of("assistant.script_text", why)).collect(),
        }
    }
}

/// What tenants share, for as long as the process lives.
#[derive(Default)]
pub(crate) struct Shared {
    flite: Option<Result<Flite, NoSynthesizer>>,
    sphinx: Option<Result<Pocketsphinx, NoRecognizer>>,
    espeak_turns: Option<Turns>,
    /// What each tenant has of these, by its name.
    own: HashMap<String, Own>,
    /// What tenants had who are no more: the next ones have it.
    spare: Vec<Own>,
    /// What all voices keep of what they spoke.
    spoken: Budget,
    /// The services of one API key share its tokens.
    tokens: HashMap<(String, Option<String>, Reach), Arc<Tokens>>,
}

/// One tenant's ways to what all share: its load and that of others take turns there.
#[derive(Default)]
struct Own {
    flite: Option<Flite>,
    sphinx: Option<Pocketsphinx>,
    espeak: Option<Turns>,
}

impl Engines {
    /// Opens what the tenants name, as far as it goes, and tells every mistake there is.
    pub(crate) fn open(shared: &mut Shared, config: &Config, purpose: Purpose) -> (Self, Mistakes) {
        let (mut mistakes, mut of) = (vec![], vec![]);
        shared.look_again();
        for tenant in &config.tenants {
            let whose = Whose { settings: &tenant.settings, reach: Reach::Everywhere };
            let (engines, found) = TenantEngines::open(shared, whose, purpose);
            of.push(engines);
            mistakes.extend(found.into_iter().map(|mistake| match mistake {
                EngineMistake::Of(mistake) => config.places.mistake(&tenant.path(&mistake.path), mistake.why),
                EngineMistake::Within { file, at, why } => Mistake::within(&file, at, tenant.index, why),
            }));
        }
        (Self { of }, mistakes.into_iter().collect())
    }
}

impl TenantEngines {
    /// Opens what settings name, as far as it goes, with every mistake.
    pub(crate) fn open(shared: &mut Shared, whose: Whose<'_>, purpose: Purpose) -> (Self, Vec<EngineMistake>) {
        let settings = whose.settings;
        let (name, mut mistakes, mut scripts) = (&settings.name, vec![], Scripts::default());
        let assistants = opened(&settings.assistant, &mut mistakes, |kind| shared.assistant(whose, kind, &mut scripts));
        let Scripts { phrases, texts } = scripts;
        let recognizers =
            opened(&settings.speech_to_text, &mut mistakes, |kind| shared.recognizer(whose, kind, &phrases));
        let synthesizers = opened(&settings.text_to_speech, &mut mistakes, |kind| shared.synthesizer(whose, kind));
        let recordings = settings.recording.folder.as_deref().and_then(|path| {
            let opened = can_be_folder(path).and_then(|()| match purpose {
                Purpose::Check => Ok(None),
                Purpose::Serve => Folder::open(path).map(Some).map_err(|error| {
                    format!("the folder {} cannot be made, or not be written to: {error}", path.display())
                }),
            });
            let tell = |why| mistakes.push(EngineMistake::Of(settings::Mistake::of_value("recording.folder", why)));
            opened.map_err(tell).ok().flatten()
        });
        let choices = Choices { recognizers: recognizers.clone(), synthesizers: synthesizers.clone() };
        let assistant = InOrder::new(assistants, told(name, "assistant"));
        let recognizer = InOrder::new(recognizers, told(name, "speech_to_text"));
        let synthesizer = InOrder::new(synthesizers, told(name, "text_to_speech"));
        let engines = Self {
            recordings,
            conversation: policy::of(&settings.conversation).0,
            known_texts: texts,
            choices,
            at_rest: [
                ("assistant", at_rest(&assistant)),
                ("speech_to_text", at_rest(&recognizer)),
                ("text_to_speech", at_rest(&synthesizer)),
            ],
            assistant: Arc::new(assistant),
            recognizer: Arc::new(recognizer),
            synthesizer: Arc::new(synthesizer),
        };
        (engines, mistakes)
    }
}

/// What is known of what will be heard and said.
#[derive(Default)]
struct Scripts {
    /// What callers may say.
    phrases: Vec<String>,
    /// What is said to them.
    texts: Vec<String>,
}

impl Scripts {
    fn take(&mut self, script: &Script) {
        self.phrases.extend(script.phrases());
        self.texts.extend(script.texts());
    }
}

/// What is wrong with a script that stands in a document, with line and column of the script.
pub(crate) fn script_mistakes(BadScript(mistakes): BadScript) -> impl Iterator<Item = String> {
    mistakes.into_iter().map(|ScriptMistake { at, why }| match at {
        Some((line, column)) => format!("line {line}, column {column}: {why}"),
        None => why,
    })
}

/// What is wrong with the scripts that stand in a document itself, by path.
pub(crate) fn mistakes_of_scripts(settings: &TenantSettings) -> Vec<settings::Mistake> {
    let of = |service: &Ranked<AssistantKind>| match &service.kind {
        AssistantKind::Scripted { script: settings::Script::Text(text) } => {
            let told = Script::parse(text).err().map(|bad| Found::ScriptText(bad).told(service)).unwrap_or_default();
            let of_document = told.into_iter().filter_map(|mistake| match mistake {
                EngineMistake::Of(mistake) => Some(mistake),
                EngineMistake::Within { .. } => None,
            });
            of_document.collect()
        }
        _ => vec![],
    };
    settings.assistant.iter().flat_map(of).collect()
}

fn at_rest<S: ?Sized + Send + Sync + 'static>(services: &InOrder<S>) -> AtRest {
    let services = services.clone();
    Box::new(move || services.at_rest())
}

/// The services of one port that could be opened, in their order.
fn opened<K, S: ?Sized>(
    kinds: &[Ranked<K>],
    mistakes: &mut Vec<EngineMistake>,
    mut open: impl FnMut(&K) -> Result<(&'static str, Arc<S>), Found>,
) -> Vec<(&'static str, Arc<S>)> {
    let mut services = vec![];
    for service in kinds {
        match open(&service.kind) {
            Ok(one) => services.push(one),
            Err(found) => mistakes.extend(found.told(service)),
        }
    }
    services
}

fn account(service: &AmazonService, reach: Reach) -> Account {
    Account {
        region: service.region.clone(),
        access_key_id: service.access_key_id.expose().to_owned(),
        secret_access_key: service.secret_access_key.expose().to_owned(),
        endpoint: service.endpoint_url.as_deref().map(|url| reach.at(url)),
    }
}

/// A switch from one service to the next is told in the log and counted.
fn told(tenant: &str, port: &'static str) -> OnSwitch {
    let tenant = tenant.to_owned();
    Arc::new(move |from, to| {
        tracing::warn!(port, from, to, "another service takes over");
        bellhop_actors::metrics::service_switched(&tenant, port);
    })
}

impl Shared {
    /// What could not be opened may have come since; tokens that nobody uses are none.
    pub(crate) fn look_again(&mut self) {
        self.flite = self.flite.take().filter(Result::is_ok);
        self.sphinx = self.sphinx.take().filter(Result::is_ok);
        self.tokens.retain(|_, tokens| Arc::strong_count(tokens) > 1);
    }

    /// Takes back what tenants have who are none of these.
    pub(crate) fn keep_for(&mut self, is_served: impl Fn(&str) -> bool) {
        let gone = self.own.extract_if(|name, _| !is_served(name));
        self.spare.extend(gone.map(|(_, own)| own));
    }

    fn own(&mut self, tenant: &str) -> &mut Own {
        let Self { own, spare, .. } = self;
        own.entry(tenant.to_owned()).or_insert_with(|| spare.pop().unwrap_or_default())
    }

    /// An assistant with its kind; `expected` gains what it may want a caller to say, as far as that is known beforehand.
    fn assistant(
        &mut self,
        Whose { settings: TenantSettings { name: tenant, .. }, reach }: Whose<'_>,
        kind: &AssistantKind,
        scripts: &mut Scripts,
    ) -> Result<(&'static str, Arc<dyn Assistant>), Found> {
        match kind {
            AssistantKind::Scripted { script: settings::Script::Text(text) } => {
                let parsed = Script::parse(text).map_err(Found::ScriptText)?;
                scripts.take(&parsed);
                Ok(("scripted", Arc::new(Scripted::new(parsed))))
            }
            AssistantKind::Scripted { script: settings::Script::File(script) } => {
                let cannot = |why| Found::Key("assistant.script", format!("the file {} {why}", script.display()));
                let text = read_text(script, TEXT_MAX).map_err(cannot)?;
                let parsed = Script::parse(&text).map_err(|bad| Found::Script(script.clone(), bad))?;
                scripts.take(&parsed);
                Ok(("scripted", Arc::new(Scripted::new(parsed))))
            }
            AssistantKind::Webhook { url, secret } => {
                let webhook = Webhook::new(reach.at(url), tenant, secret.expose());
                let webhook = webhook.map_err(|why| Found::Key("assistant.url", format!("`{url}`: {why}")))?;
                Ok(("webhook", Arc::new(webhook)))
            }
            AssistantKind::ChatCompletions { url, model, api_key, prompt, greeting, parameters } => {
                scripts.texts.extend(greeting.clone());
                let settings = chat_completions::Settings {
                    url: reach.at(url),
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
                    url: reach.at(&service.url),
                    assistant: assistant.clone(),
                    environment: environment.clone(),
                    stateful: *stateful,
                };
                Ok(("watson", Arc::new(WatsonAssistant::new(settings, self.authentication(service, reach)))))
            }
        }
    }

    fn recognizer(
        &mut self,
        Whose { settings: tenant, reach }: Whose<'_>,
        kind: &RecognizerKind,
        expected: &[String],
    ) -> Result<(&'static str, Arc<dyn Recognizer>), Found> {
        match kind {
            RecognizerKind::Counting => Ok(("counting", Arc::new(Counting::default()))),
            RecognizerKind::Watson(service) => {
                let authentication = self.authentication(service, reach);
                let service =
                    WatsonSpeechToText::new(reach.at(&service.url), service.parameters.clone(), authentication);
                Ok(("watson", Arc::new(service)))
            }
            RecognizerKind::Transcribe(service) => {
                let service = Transcribe::new(&account(service, reach), &tenant.language, service.parameters.clone());
                Ok(("transcribe", Arc::new(service)))
            }
            RecognizerKind::Worker { url, token, parameters } => {
                let token = token.as_ref().map(|token| token.expose());
                Ok(("worker", Arc::new(WatsonSpeechToText::worker(reach.at(url), parameters.clone(), token))))
            }
            RecognizerKind::Pocketsphinx => {
                let engine = self.sphinx.get_or_insert_with(|| Pocketsphinx::open(MODEL, DECODERS)).clone();
                let engine = engine.map_err(|error| Found::Key("speech_to_text.kind", error.to_string()))?;
                let unknown = engine.unknown_words(expected.to_vec());
                if !unknown.is_empty() {
                    let why = format!(
                        "the phrases of assistant.script have words that the recognizer's dictionary lacks: {}",
                        unknown.join(", ")
                    );
                    return Err(Found::Key("speech_to_text.kind", why));
                }
                let own = self.own(&tenant.name).sphinx.get_or_insert_with(|| engine.for_another_tenant());
                Ok(("pocketsphinx", Arc::new(own.clone())))
            }
        }
    }

    fn synthesizer(
        &mut self,
        Whose { settings: TenantSettings { name: tenant, .. }, reach }: Whose<'_>,
        kind: &SynthesizerKind,
    ) -> Result<(&'static str, Arc<dyn Synthesizer>), Found> {
        let told = |key| move |error: NoSynthesizer| Found::Key(key, error.to_string());
        match kind {
            SynthesizerKind::Flite { voice } => {
                let engine = self.flite.get_or_insert_with(Flite::open).clone();
                let engine = engine.map_err(told("text_to_speech.kind"))?;
                let own = self.own(tenant).flite.get_or_insert_with(|| engine.for_another_tenant());
                let voice = own.voice(voice).map_err(told("text_to_speech.voice"))?;
                Ok(("flite", Arc::new(Cached::new(voice, &self.spoken))))
            }
            SynthesizerKind::Espeak { voice } => {
                let turns = self.espeak_turns.get_or_insert_with(Espeak::turns).clone();
                let own = self.own(tenant).espeak.get_or_insert_with(|| turns.lane()).clone();
                let voice = Espeak::open(voice, own).map_err(told("text_to_speech.voice"))?;
                Ok(("espeak", Arc::new(Cached::new(voice, &self.spoken))))
            }
            SynthesizerKind::Polly(service) => {
                let voice = Polly::new(&account(service, reach), service.parameters.clone());
                Ok(("polly", Arc::new(Cached::new(voice, &self.spoken))))
            }
            SynthesizerKind::Watson { service, by_socket } => {
                let authentication = self.authentication(service, reach);
                let transport = if *by_socket { Transport::WebSocket } else { Transport::Http };
                let voice = WatsonTextToSpeech::new(
                    reach.at(&service.url),
                    transport,
                    service.parameters.clone(),
                    authentication,
                );
                Ok(("watson", Arc::new(Cached::new(voice, &self.spoken))))
            }
        }
    }

    fn authentication(&mut self, service: &WatsonService, reach: Reach) -> Authentication {
        match &service.credentials {
            WatsonCredentials::Token(token) => Authentication::Bearer(token.expose().into()),
            WatsonCredentials::ApiKey(key, url) => {
                let (key, url) = (key.expose(), url.as_deref());
                // Who may not reach a place has no tokens of it.
                let shared = self.tokens.entry((key.to_owned(), url.map(str::to_owned), reach));
                let at = url.map(|url| reach.at(url));
                Authentication::Iam(Arc::clone(shared.or_insert_with(|| Arc::new(Tokens::new(key, at)))))
            }
        }
    }
}
