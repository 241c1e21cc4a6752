//! Amazon Transcribe: StartStreamTranscription (Transcribe Streaming API reference), one stream per call, with partial
//! results.
//!
//! Audio is linear at the line's rate. What an assistant configures takes effect on a new stream between two utterances; of
//! parameters made for Watson the language of `model` is understood. Invariant: that of
//! [`bellhop_adapters::speech_to_text::session`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_transcribestreaming::Client;
use aws_sdk_transcribestreaming::config::{BehaviorVersion, Region, SharedCredentialsProvider, retry::RetryConfig};
use aws_sdk_transcribestreaming::error::ProvideErrorMetadata;
use aws_sdk_transcribestreaming::primitives::Blob;
use aws_sdk_transcribestreaming::primitives::event_stream::EventStreamSender;
use aws_sdk_transcribestreaming::types::error::AudioStreamError;
use aws_sdk_transcribestreaming::types::{
    AudioEvent, AudioStream, ItemType, LanguageCode, MediaEncoding, PartialResultsStability, Result as Transcribed,
    TranscriptResultStream, VocabularyFilterMethod,
};
use bellhop_adapters::speech_to_text::session::{self, Broken, Changed, Coding, Event};
use bellhop_adapters::task;
use bellhop_dialogue::ports::{
    Fields, ModelOrVoice, Pending, Recognizer, RecognizerConfig, RecognizerEvent, RecognizerSink, RecognizerStream,
    ServiceFailure,
};
use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc;

use crate::{Account, failure, http_client, language_of, text};

/// The longest a stream may take to begin.
pub const CONNECT_MAX: Duration = Duration::from_secs(4);
/// Events of the service that may wait.
const EVENTS_MAX: usize = 64;
/// Pieces of audio that may wait for the SDK: the backlog of a session and as much again. More is a service that does not read.
const AUDIO_WAITING_MAX: usize = 300;
/// The parameters it takes, under the names of the API.
const PARAMETERS: [&str; 6] = [
    "language_code",
    "vocabulary_name",
    "vocabulary_filter_name",
    "vocabulary_filter_method",
    "language_model_name",
    "partial_results_stability",
];

/// The service, as one tenant uses it.
#[derive(Clone)]
pub struct Transcribe(Arc<Service>);

struct Service {
    sdk: Client,
    language: String,
    parameters: Fields,
}

impl Transcribe {
    /// The service in an account, for a language like `en-US` unless the assistant says another.
    pub fn new(account: &Account, language: &str, parameters: Fields) -> Self {
        let mut config = aws_sdk_transcribestreaming::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(account.region.clone()))
            .credentials_provider(SharedCredentialsProvider::new(account.credentials()))
            .http_client(http_client(account.endpoint.as_ref()))
            .stalled_stream_protection(aws_sdk_transcribestreaming::config::StalledStreamProtectionConfig::disabled())
            .retry_config(RetryConfig::disabled());
        config.set_endpoint_url(account.endpoint.as_ref().map(|endpoint| endpoint.url().to_owned()));
        Self(Arc::new(Service { sdk: Client::from_conf(config.build()), language: language.to_owned(), parameters }))
    }
}

/// What a stream is asked for with.
#[derive(Debug, Clone, PartialEq)]
struct Terms {
    line_rate: u32,
    parameters: BTreeMap<&'static str, String>,
}

impl session::Service for Service {
    type Terms = Terms;
    type Connection = Stream;

    fn terms(&self, config: &RecognizerConfig) -> Terms {
        let known = |fields: &Fields| -> BTreeMap<&'static str, String> {
            PARAMETERS.into_iter().filter_map(|name| Some((name, text(fields, name)?))).collect()
        };
        let mut parameters = BTreeMap::from([("language_code", self.language.clone())]);
        parameters.extend(known(&self.parameters));
        let model = text(&config.parameters, "model");
        parameters
            .extend(model.as_deref().and_then(language_of).map(|language| ("language_code", language.to_owned())));
        parameters.extend(known(&config.parameters));
        Terms { line_rate: config.line_rate, parameters }
    }

    fn coding(&self, _: u32) -> Coding {
        Coding::Linear
    }

    async fn connect(&self, terms: &Terms) -> Result<Stream, ServiceFailure> {
        let (audio, mut waiting) = mpsc::channel(AUDIO_WAITING_MAX);
        let parameter = |name: &str| terms.parameters.get(name).map(String::as_str);
        let rate = if terms.line_rate > 8000 { 16_000 } else { 8000 };
        // The service may not answer before it hears something: a tenth of a second of silence.
        let _ = audio.try_send(Ok(event(vec![0; rate as usize / 5])));
        let body = futures_util::stream::poll_fn(move |context| waiting.poll_recv(context));
        let start = self
            .sdk
            .start_stream_transcription()
            .media_encoding(MediaEncoding::Pcm)
            .media_sample_rate_hertz(rate)
            .set_language_code(parameter("language_code").map(LanguageCode::from))
            .set_vocabulary_name(parameter("vocabulary_name").map(str::to_owned))
            .set_vocabulary_filter_name(parameter("vocabulary_filter_name").map(str::to_owned))
            .set_vocabulary_filter_method(parameter("vocabulary_filter_method").map(VocabularyFilterMethod::from))
            .set_language_model_name(parameter("language_model_name").map(str::to_owned))
            .set_enable_partial_results_stabilization(parameter("partial_results_stability").map(|_| true))
            .set_partial_results_stability(parameter("partial_results_stability").map(PartialResultsStability::from))
            .audio_stream(EventStreamSender::from(body));
        let started = match tokio::time::timeout(CONNECT_MAX, start.send()).await {
            Err(_) => return Err(ServiceFailure::Overdue),
            Ok(Err(error)) => return Err(failure(&error, error.code())),
            Ok(Ok(started)) => started,
        };
        let session = started.session_id().map(str::to_owned);
        let (told, events) = mpsc::channel(EVENTS_MAX);
        let mut results = started.transcript_result_stream;
        task::spawn(async move {
            loop {
                match results.recv().await {
                    Ok(Some(TranscriptResultStream::TranscriptEvent(transcript))) => {
                        let found = transcript.transcript.and_then(|transcript| transcript.results).unwrap_or_default();
                        let heard: Vec<RecognizerEvent> =
                            found.iter().filter_map(|result| read(result, session.as_deref())).collect();
                        if told.send(heard).await.is_err() {
                            return; // nobody listens any more
                        }
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => return,
                    Err(error) => {
                        tracing::warn!(code = error.code(), "Amazon Transcribe ended the stream");
                        return;
                    }
                }
            }
        });
        Ok(Stream { audio, events })
    }
}

/// One stream to the service.
struct Stream {
    audio: mpsc::Sender<Result<AudioStream, AudioStreamError>>,
    events: mpsc::Receiver<Vec<RecognizerEvent>>,
}

fn event(bytes: Vec<u8>) -> AudioStream {
    AudioStream::AudioEvent(AudioEvent::builder().audio_chunk(Blob::new(bytes)).build())
}

impl session::Connection<Service> for Stream {
    async fn send_audio(&mut self, bytes: Bytes) -> Result<(), Broken> {
        self.audio.try_send(Ok(event(bytes.into()))).map_err(|_| Broken)
    }

    async fn next(&mut self) -> Event {
        match self.events.recv().await {
            None => Event::Closed,
            Some(heard) if heard.is_empty() => Event::Nothing,
            Some(heard) => Event::Results(heard),
        }
    }

    async fn change(&mut self, _: &Terms, _: &Terms) -> Result<Changed, Broken> {
        Ok(Changed::Elsewhere)
    }

    /// An empty event ends the stream; the SDK sends it when no more audio can come.
    async fn close(&mut self) {
        self.audio = mpsc::channel(1).0;
    }
}

/// One result: a partial one may still change.
fn read(result: &Transcribed, session: Option<&str>) -> Option<RecognizerEvent> {
    let best = result.alternatives().first()?;
    let text = best.transcript().unwrap_or_default().trim().to_owned();
    if result.is_partial {
        // Marked where partial results are stabilized (`partial_results_stability`).
        let stable = !best.items().is_empty() && best.items().iter().all(|item| item.stable() == Some(true));
        return (!text.is_empty()).then_some(RecognizerEvent::InterimResult { text, stable });
    }
    if text.is_empty() {
        return Some(RecognizerEvent::NotUnderstood);
    }
    let words = best.items().iter().filter(|item| item.r#type() == Some(&ItemType::Pronunciation));
    let sure: Vec<f64> = words.filter_map(|word| word.confidence()).collect();
    let confidence = if sure.is_empty() { 1.0 } else { sure.iter().sum::<f64>() / sure.len() as f64 };
    // In the shape that assistants know from the hosted integration.
    let told = json!({
        "result_index": 0,
        "results": [{"final": true, "alternatives": [{"transcript": text, "confidence": confidence}]}],
        "transactionID": session,
    });
    Some(RecognizerEvent::FinalResult { text, confidence: confidence as f32, result: Some(told) })
}

impl Recognizer for Transcribe {
    fn sample_rate(&self, line_rate: u32) -> u32 {
        if line_rate > 8000 { 16_000 } else { 8000 }
    }

    fn open(
        &self,
        config: RecognizerConfig,
        sink: RecognizerSink,
    ) -> Pending<Result<Box<dyn RecognizerStream>, ServiceFailure>> {
        Box::pin(session::open(Arc::clone(&self.0), config, sink))
    }

    /// The languages the SDK knows: the API has no list. All of them take both rates.
    fn models(&self) -> Pending<Result<Vec<ModelOrVoice>, ServiceFailure>> {
        let offer = |language: &&str| ModelOrVoice {
            name: (*language).to_owned(),
            language: (*language).to_owned(),
            ..ModelOrVoice::default()
        };
        let all = LanguageCode::values().iter().map(offer).collect();
        Box::pin(std::future::ready(Ok(all)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_transcribestreaming::types::{Alternative, Item};
    use session::Service as _;

    fn fields(value: serde_json::Value) -> Fields {
        value.as_object().cloned().unwrap_or_default()
    }

    fn service(parameters: serde_json::Value) -> Transcribe {
        let account = Account {
            region: "eu-west-2".into(),
            access_key_id: "AKIA".into(),
            secret_access_key: "s".into(),
            endpoint: None,
        };
        Transcribe::new(&account, "en-GB", fields(parameters))
    }

    #[test]
    fn the_assistant_goes_over_the_tenant_and_watsons_parameters_do_no_harm() {
        let service = service(json!({"vocabulary_name": "bank", "color": "red"}));
        let terms =
            |value| service.0.terms(&RecognizerConfig { line_rate: 8000, parameters: fields(value) }).parameters;
        assert_eq!(
            terms(json!({})),
            BTreeMap::from([("language_code", "en-GB".into()), ("vocabulary_name", "bank".into())])
        );
        let changed = terms(json!({"model": "es-ES_Telephony", "vocabulary_name": "x", "smart_formatting": true}));
        assert_eq!(changed, BTreeMap::from([("language_code", "es-ES".into()), ("vocabulary_name", "x".into())]));
        assert_eq!(terms(json!({"model": "es-ES_Telephony", "language_code": "es-US"}))["language_code"], "es-US");
    }

    #[test]
    fn confidence_is_that_of_the_words() {
        let word = |confidence| Item::builder().r#type(ItemType::Pronunciation).confidence(confidence).build();
        let stop = Item::builder().r#type(ItemType::Punctuation).confidence(0.0).build();
        let said = Alternative::builder().transcript("Hello there.").items(word(0.9)).items(word(0.7)).items(stop);
        let result = Transcribed::builder().is_partial(false).alternatives(said.build()).build();
        let Some(RecognizerEvent::FinalResult { text, confidence, .. }) = read(&result, None) else {
            panic!("a final")
        };
        assert_eq!((text.as_str(), (confidence * 100.0).round()), ("Hello there.", 80.0));
        assert_eq!(read(&Transcribed::builder().is_partial(true).build(), None), None);
    }

    #[test]
    fn a_partial_result_is_stable_when_all_of_it_is() {
        let partial = |stable: &[Option<bool>]| {
            let item = |stable: &Option<bool>| Item::builder().set_stable(*stable).build();
            let said = Alternative::builder().transcript("an agent").set_items(Some(stable.iter().map(item).collect()));
            match read(&Transcribed::builder().is_partial(true).alternatives(said.build()).build(), None) {
                Some(RecognizerEvent::InterimResult { stable, .. }) => stable,
                other => panic!("{other:?}"),
            }
        };
        assert!(partial(&[Some(true), Some(true)]));
        assert!([&[Some(true), Some(false)][..], &[None], &[]].iter().all(|items| !partial(items)));
    }
}
