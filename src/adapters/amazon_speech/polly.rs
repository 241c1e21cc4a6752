//! Amazon Polly: SynthesizeSpeech (Polly API reference), linear audio at the line's rate.
//!
//! What the assistant configures goes over what the tenant configured, under the names of the API (`voice_id`, `engine`,
//! `language_code`, `lexicon_names`); a Watson voice is left out. A text with tags is sent as well-formed SSML, any other as
//! text; if the service refuses the markup, the words alone are sent, once. Invariant: no more than [`TEXT_MAX`] characters
//! are sent, and no more than [`SERVICE_AUDIO_BYTES_MAX`] bytes taken.

use aws_sdk_polly::Client;
use aws_sdk_polly::config::timeout::TimeoutConfig;
use aws_sdk_polly::config::{BehaviorVersion, Region, SharedCredentialsProvider, retry::RetryConfig};
use aws_sdk_polly::error::ProvideErrorMetadata;
use aws_sdk_polly::operation::RequestId;
use aws_sdk_polly::types::{Engine, LanguageCode, OutputFormat, TextType, VoiceId};
use bellhop_adapters::text_to_speech::pcm::Growing;
use bellhop_dialogue::ports::{
    AudioSink, Fields, ModelOrVoice, Pending, ServiceFailure, Speech, SpeechRequest, Synthesizer,
};
use bellhop_dialogue::ssml::Ssml;

use crate::{Account, failure, http_client, language_of, text};
use bellhop_adapters::text_to_speech::{SERVICE_AUDIO_BYTES_MAX, SERVICE_WITHIN};

/// Most characters of a text, markup included (Polly's own limit).
pub const TEXT_MAX: usize = 6000;
/// Most pages of voices that are read.
const PAGES_MAX: usize = 20;
/// What it says of markup that it does not take.
const MARKUP_REFUSED: [&str; 2] = ["InvalidSsmlException", "SsmlMarksNotSupportedForTextTypeException"];

/// The service, as one tenant uses it.
#[derive(Clone)]
pub struct Polly {
    sdk: Client,
    parameters: Fields,
}

impl Polly {
    /// The service in an account; `parameters` hold at least `voice_id`.
    pub fn new(account: &Account, parameters: Fields) -> Self {
        let mut config = aws_sdk_polly::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(account.region.clone()))
            .credentials_provider(SharedCredentialsProvider::new(account.credentials()))
            .http_client(http_client(account.endpoint.as_ref()))
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().operation_timeout(SERVICE_WITHIN).build());
        config.set_endpoint_url(account.endpoint.as_ref().map(|endpoint| endpoint.url().to_owned()));
        Self { sdk: Client::from_conf(config.build()), parameters }
    }

    async fn speak(&self, request: SpeechRequest, sink: AudioSink) -> Result<Speech, ServiceFailure> {
        let ssml = Ssml::read(&request.text);
        let document = Some(ssml.document()).filter(|_| ssml.has_tags());
        if let Some(document) = document.filter(|document| document.chars().count() <= TEXT_MAX) {
            match self.ask(&request, document, TextType::Ssml, &sink).await {
                Err(ServiceFailure::Unavailable { why }) if MARKUP_REFUSED.contains(&why.as_str()) => {
                    tracing::warn!(why, "the markup of a text was refused: its words are spoken plainly");
                }
                spoken => return spoken,
            }
        }
        self.ask(&request, ssml.spoken(), TextType::Text, &sink).await
    }

    async fn ask(
        &self,
        request: &SpeechRequest,
        said: String,
        kind: TextType,
        sink: &AudioSink,
    ) -> Result<Speech, ServiceFailure> {
        let failed = |why: String| ServiceFailure::Unavailable { why };
        if said.chars().count() > TEXT_MAX {
            return Err(failed(format!("the text has more than {TEXT_MAX} characters")));
        }
        let parameter = |name: &str| text(&request.parameters, name).or_else(|| text(&self.parameters, name));
        // `voice` is Watson's word; what stands there may be a voice of ours all the same.
        let voice = text(&request.parameters, "voice").filter(|voice| language_of(voice).is_none());
        let voice = text(&request.parameters, "voice_id").or(voice).or_else(|| text(&self.parameters, "voice_id"));
        let rate = if request.line_rate > 8000 { 16_000 } else { 8000 };
        let lexicons = parameter("lexicon_names")
            .map(|names| names.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>());
        let order = self
            .sdk
            .synthesize_speech()
            .text(said)
            .text_type(kind)
            .output_format(OutputFormat::Pcm)
            .sample_rate(rate.to_string())
            .set_voice_id(voice.as_deref().map(VoiceId::from))
            .set_engine(parameter("engine").as_deref().map(Engine::from))
            .set_language_code(parameter("language_code").as_deref().map(LanguageCode::from))
            .set_lexicon_names(lexicons);
        let spoken = order.send().await.map_err(|error| failure(&error, error.code()))?;
        let transaction = spoken.request_id().map(Into::into);
        let (mut audio, mut growing) = (spoken.audio_stream, Growing::linear(rate));
        while let Some(chunk) = audio.next().await {
            growing.push(&chunk.map_err(|_| failed("it broke off".to_owned()))?, sink);
            if growing.bytes() > SERVICE_AUDIO_BYTES_MAX {
                return Err(failed(format!("its answer has more than {SERVICE_AUDIO_BYTES_MAX} bytes")));
            }
        }
        let (samples, rate) = growing.finish();
        if samples.is_empty() {
            return Err(failed("it gave no audio".to_owned()));
        }
        let mut speech = Speech::new(samples, rate);
        speech.origin.transaction = transaction;
        Ok(speech)
    }

    async fn list(&self) -> Result<Vec<ModelOrVoice>, ServiceFailure> {
        let (mut voices, mut next) = (vec![], None);
        for _ in 0..PAGES_MAX {
            let page = self.sdk.describe_voices().set_next_token(next).send().await;
            let page = page.map_err(|error| failure(&error, error.code()))?;
            voices.extend(page.voices().iter().map(|voice| ModelOrVoice {
                name: voice.id().map(|id| id.as_str().to_owned()).unwrap_or_default(),
                language: voice.language_code().map(|code| code.as_str().to_owned()).unwrap_or_default(),
                gender: voice.gender().map(|gender| gender.as_str().to_lowercase()),
                band: None,
            }));
            next = page.next_token;
            if next.is_none() {
                break;
            }
        }
        Ok(voices)
    }
}

impl Synthesizer for Polly {
    fn synthesize(&self, request: SpeechRequest) -> Pending<Result<Speech, ServiceFailure>> {
        self.stream(request, Box::new(|_, _| {}))
    }

    fn stream(&self, request: SpeechRequest, audio: AudioSink) -> Pending<Result<Speech, ServiceFailure>> {
        let this = self.clone();
        Box::pin(async move { this.speak(request, audio).await })
    }

    fn voices(&self) -> Pending<Result<Vec<ModelOrVoice>, ServiceFailure>> {
        let this = self.clone();
        Box::pin(async move { this.list().await })
    }
}
