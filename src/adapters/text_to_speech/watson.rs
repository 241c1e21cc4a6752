//! `watson`: IBM Watson Text to Speech over HTTP or WebSocket, at the line's own rate and coding. Audio is handed on as it
//! comes.
//!
//! A request has a deadline of [`SERVICE_WITHIN`]; what the assistant configures (`voice`, `rate_percentage` …) goes over what the
//! tenant configured. What is sent is well-formed SSML; if the service refuses its markup, the words alone are sent, once.
//! Invariant: no more than [`TEXT_MAX`] bytes are sent, and no more than [`SERVICE_AUDIO_BYTES_MAX`] taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bellhop_dialogue::ports::{
    AudioSink, Fields, ModelOrVoice, Pending, ServiceFailure, Speech, SpeechRequest, Synthesizer,
};
use bellhop_dialogue::ssml::{self, Ssml};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::pcm::Growing;
use super::{SERVICE_AUDIO_BYTES_MAX, SERVICE_WITHIN};
use crate::http;
use crate::http::LIST_BYTES_MAX;
use crate::iam::Authentication;
use crate::reach::Endpoint;
use crate::websocket;

/// Most bytes of a text, markup included.
pub const TEXT_MAX: usize = 5 * 1024;
/// What to look at when it refuses.
const HINTS: [(u16, &str); 4] = [
    (400, "it did not accept the text or the voice"),
    (401, "check the API key"),
    (403, "check the API key"),
    (404, "check the URL"),
];
/// What goes into the query.
const QUERY_PARAMETERS: [&str; 5] =
    ["voice", "customization_id", "rate_percentage", "pitch_percentage", "spell_out_mode"];

/// How texts are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// By HTTP, on connections that stay open.
    #[default]
    Http,
    /// By a WebSocket for each text; by HTTP where that fails.
    WebSocket,
}

/// The service, as one tenant uses it.
#[derive(Clone)]
pub struct WatsonTextToSpeech {
    client: reqwest::Client,
    tls: Arc<rustls::ClientConfig>,
    url: Endpoint,
    transport: Transport,
    parameters: Fields,
    authentication: Authentication,
}

impl WatsonTextToSpeech {
    /// The service at `https://api.{location}.text-to-speech.watson.cloud.ibm.com/instances/{id}`.
    pub fn new(
        url: impl Into<Endpoint>,
        transport: Transport,
        parameters: Fields,
        authentication: Authentication,
    ) -> Self {
        let url = url.into().without_slash();
        let client =
            http::builder(url.reach()).timeout(SERVICE_WITHIN).build().expect("the client is made of constants");
        Self { client, tls: http::tls(), url, transport, parameters, authentication }
    }

    /// How a text is asked for: with its markup, unless it is too long for that or it is to be without.
    fn order(&self, request: &SpeechRequest, markup: bool) -> Result<Order, ServiceFailure> {
        let said = Ssml::read(&request.text);
        let with_markup = Some(said.fragment()).filter(|text| markup && text.len() <= TEXT_MAX);
        let marked_up = with_markup.is_some() && said.has_tags();
        let text = with_markup.unwrap_or_else(|| ssml::escaped(&said.spoken()));
        if text.len() > TEXT_MAX {
            return Err(failed(&format!("the text has more than {TEXT_MAX} bytes")));
        }
        let mut parameters = self.parameters.clone();
        parameters.extend(request.parameters.clone());
        let given = QUERY_PARAMETERS.iter().filter_map(|name| Some((*name, parameters.get(*name)?)));
        let written =
            given.map(|(name, value)| (name, value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(written).finish();
        Ok(Order { text, marked_up, query, wide: request.line_rate > 8000 })
    }

    async fn speak(&self, request: SpeechRequest, audio: AudioSink) -> Result<Speech, ServiceFailure> {
        let audio = Arc::new(audio);
        let onwards = Arc::clone(&audio);
        let order = self.order(&request, true)?;
        let refused = match self.ask(&order, Box::new(move |samples, rate| onwards(samples, rate))).await {
            Ok(speech) => return Ok(speech),
            Err(Refusal::OfMarkup(failure)) if order.marked_up => failure,
            Err(Refusal::OfMarkup(failure) | Refusal::Other(failure)) => return Err(failure),
        };
        tracing::warn!(failure = %refused, "the markup of a text was refused: its words are spoken plainly");
        let order = self.order(&request, false)?;
        let spoken = self.ask(&order, Box::new(move |samples, rate| audio(samples, rate))).await;
        spoken.map_err(|(Refusal::OfMarkup(failure) | Refusal::Other(failure))| failure)
    }

    async fn ask(&self, order: &Order, audio: AudioSink) -> Result<Speech, Refusal> {
        let token = self.authentication.token().await?;
        if self.transport == Transport::Http {
            return self.speak_by_http(order, &token, &audio).await;
        }
        let (begun, audio) = (Arc::new(AtomicBool::new(false)), Arc::new(audio));
        let (told, onwards) = (Arc::clone(&begun), Arc::clone(&audio));
        let sink: AudioSink = Box::new(move |samples, rate| {
            told.store(true, Ordering::Release);
            onwards(samples, rate);
        });
        let by_socket = tokio::time::timeout(SERVICE_WITHIN, self.speak_by_socket(order, &token, &sink));
        let failure = match by_socket.await.unwrap_or(Err(ServiceFailure::Overdue.into())) {
            Err(Refusal::Other(failure)) => failure,
            spoken_or_refused => return spoken_or_refused,
        };
        tracing::warn!(%failure, "speech by WebSocket failed: asking by HTTP");
        // What was handed over is the beginning of the same speech.
        let begun = begun.load(Ordering::Acquire);
        let sink: AudioSink = Box::new(move |samples, rate| {
            if !begun {
                audio(samples, rate);
            }
        });
        self.speak_by_http(order, &token, &sink).await
    }

    async fn speak_by_http(&self, order: &Order, token: &str, audio: &AudioSink) -> Result<Speech, Refusal> {
        let post = self.client.post(format!("{}/v1/synthesize?{}", self.url, order.query)).bearer_auth(token);
        let post = post.header("Content-Type", "application/json").header("Accept", order.accept());
        let sent = post.body(json!({"text": order.text}).to_string()).send().await;
        let sent = sent.map_err(|error| http::failure(&error))?;
        let refused = sent.status() == reqwest::StatusCode::BAD_REQUEST;
        let accepted = http::accepted(sent, &HINTS);
        let mut response =
            accepted.map_err(|failure| if refused { Refusal::OfMarkup(failure) } else { Refusal::Other(failure) })?;
        let transaction = http::transaction(&response);
        let mut growing = order.growing();
        while let Some(chunk) = response.chunk().await.map_err(|error| http::failure(&error))? {
            growing.push(&chunk, audio);
            bounded(&growing)?;
        }
        Ok(spoken(growing, transaction)?)
    }

    /// One request a connection: the text goes out, what it is coded in and then the audio come in.
    async fn speak_by_socket(&self, order: &Order, token: &str, audio: &AudioSink) -> Result<Speech, Refusal> {
        let url = format!("{}/v1/synthesize?{}", self.url.url().replacen("http", "ws", 1), order.query);
        let mut request = url.into_client_request().map_err(|_| failed("its URL is none"))?;
        let bearer = format!("Bearer {token}").parse().map_err(|_| failed("its token is none"))?;
        request.headers_mut().insert("Authorization", bearer);
        let upgrade = websocket::connect(request, self.url.reach(), &self.tls, SERVICE_AUDIO_BYTES_MAX);
        let (mut socket, response) = match upgrade.await {
            Ok(connected) => connected,
            Err(Error::Http(response)) => {
                let status = response.status().as_u16();
                return Err(failed(&format!("the upgrade was refused with status {status}")).into());
            }
            Err(error) => return Err(websocket::failure(&error).into()),
        };
        let transaction = response.headers().get("x-global-transaction-id");
        let transaction = transaction.and_then(|value| value.to_str().ok()).map(Arc::from);
        let message = json!({"text": order.text, "accept": order.accept()});
        socket.send(Message::text(message.to_string())).await.map_err(|_| failed("it broke off"))?;
        let mut growing = order.growing();
        loop {
            match socket.next().await {
                Some(Ok(Message::Binary(bytes))) => {
                    growing.push(&bytes, audio);
                    bounded(&growing)?;
                }
                Some(Ok(Message::Text(text))) => {
                    let told: Value = serde_json::from_str(&text).unwrap_or_default();
                    if told.get("error").is_some() {
                        // Its own text may repeat ours.
                        return Err(Refusal::OfMarkup(failed("it did not accept the text or the voice")));
                    }
                    if let Some(warnings) = told.get("warnings") {
                        tracing::warn!(%warnings, "the synthesizer does not know a parameter");
                    }
                }
                Some(Ok(Message::Close(Some(frame)))) if frame.code == CloseCode::Normal => {
                    return Ok(spoken(growing, transaction)?);
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(failed("it broke off").into()),
            }
        }
    }

    async fn list(&self) -> Result<Vec<ModelOrVoice>, ServiceFailure> {
        let token = self.authentication.token().await?;
        let sent = self.client.get(format!("{}/v1/voices", self.url)).bearer_auth(token).send().await;
        let response = http::accepted(sent.map_err(|error| http::failure(&error))?, &HINTS)?;
        let listed = http::json(response, LIST_BYTES_MAX).await?;
        let voices = listed.get("voices").and_then(Value::as_array).cloned().unwrap_or_default();
        let text = |voice: &Value, name: &str| voice.get(name).and_then(Value::as_str).map(str::to_owned);
        let offer = |voice: &Value| {
            Some(ModelOrVoice {
                name: text(voice, "name")?,
                language: text(voice, "language")?,
                gender: text(voice, "gender"),
                band: None,
            })
        };
        Ok(voices.iter().filter_map(offer).collect())
    }
}

/// Why there is no speech.
enum Refusal {
    /// The text may be to blame.
    OfMarkup(ServiceFailure),
    /// It is not.
    Other(ServiceFailure),
}

impl From<ServiceFailure> for Refusal {
    fn from(failure: ServiceFailure) -> Self {
        Self::Other(failure)
    }
}

/// A text as it is asked for.
struct Order {
    text: String,
    /// Whether there is markup in it.
    marked_up: bool,
    query: String,
    wide: bool,
}

impl Order {
    fn accept(&self) -> &'static str {
        if self.wide { "audio/l16;rate=16000" } else { "audio/mulaw;rate=8000" }
    }

    fn growing(&self) -> Growing {
        if self.wide { Growing::linear(16_000) } else { Growing::mu_law() }
    }
}

fn failed(why: &str) -> ServiceFailure {
    ServiceFailure::Unavailable { why: why.to_owned() }
}

fn bounded(growing: &Growing) -> Result<(), ServiceFailure> {
    if growing.bytes() > SERVICE_AUDIO_BYTES_MAX {
        return Err(failed(&format!("its answer has more than {SERVICE_AUDIO_BYTES_MAX} bytes")));
    }
    Ok(())
}

fn spoken(growing: Growing, transaction: Option<Arc<str>>) -> Result<Speech, ServiceFailure> {
    let (samples, sample_rate) = growing.finish();
    if samples.is_empty() {
        return Err(failed("it gave no audio"));
    }
    let mut speech = Speech::new(samples, sample_rate);
    speech.origin.transaction = transaction;
    Ok(speech)
}

impl Synthesizer for WatsonTextToSpeech {
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

#[cfg(test)]
mod tests {
    use bellhop_call::line_audio::linear;

    use super::*;
    use crate::testing::{Answer, serve};

    async fn spoken(line_rate: u32, answer: Answer) -> (Result<Speech, ServiceFailure>, String) {
        let (url, requests) = serve(vec![answer]).await;
        let tenant = json!({"voice": "en-US_MichaelV3Voice", "rate_percentage": 5});
        let tenant = tenant.as_object().cloned().unwrap_or_default();
        let service = WatsonTextToSpeech::new(&url, Transport::Http, tenant, Authentication::Bearer("t0ken".into()));
        let voice = json!({"voice": "de-DE_BirgitV3Voice", "unknown": 1}).as_object().cloned().unwrap_or_default();
        let request = SpeechRequest { parameters: voice, ..SpeechRequest::plain("1 < 2 & 3", line_rate) };
        let speech = service.synthesize(request).await;
        let request = requests.lock().expect("alone").first().cloned().unwrap_or_default();
        (speech, request)
    }

    #[tokio::test]
    async fn a_text_is_spoken_at_the_lines_rate_with_the_assistants_voice() {
        let (speech, request) = spoken(8000, Answer::bytes("audio/mulaw", vec![0xff, 0x80])).await;
        assert_eq!(&linear(&speech.expect("speech").samples)[..], &[0, 32_124]);
        assert!(request.starts_with("POST /v1/synthesize?voice=de-DE_BirgitV3Voice&rate_percentage=5 "), "{request}");
        let head = request.to_ascii_lowercase();
        assert!(head.contains("accept: audio/mulaw;rate=8000") && head.contains("authorization: bearer t0ken"));
        assert!(request.ends_with(r#"{"text":"1 &lt; 2 &amp; 3"}"#), "{request}");
        let (speech, _) = spoken(16_000, Answer::bytes("audio/l16", vec![1, 0, 0xff, 0xff])).await;
        let speech = speech.expect("speech");
        assert_eq!((&linear(&speech.samples)[..], speech.sample_rate), (&[1, -1][..], 16_000));
    }

    #[tokio::test]
    async fn failures_say_what_to_look_at() {
        for (answer, hint) in [
            (Answer::json(401, &json!({})), "API key"),
            (Answer::json(400, &json!({"error": "1 < 2"})), "voice"),
            (Answer::bytes("audio/mulaw", vec![]), "no audio"),
        ] {
            let (speech, _) = spoken(8000, answer).await;
            let Err(ServiceFailure::Unavailable { why }) = speech else { panic!("a failure") };
            assert!(why.contains(hint) && !why.contains("1 <"), "{why}");
        }
    }

    #[tokio::test]
    async fn a_text_whose_markup_is_refused_is_spoken_plainly_once() {
        let service = |url: &str| {
            WatsonTextToSpeech::new(url, Transport::Http, Fields::new(), Authentication::Bearer("t0ken".into()))
        };
        let audio = || Answer::bytes("audio/mulaw", vec![0xff; 80]);
        let refusal = || Answer::json(400, &json!({}));
        let (url, requests) = serve(vec![refusal(), audio()]).await;
        let marked_up = SpeechRequest::plain("<x:y>Tom</x:y> & <sub alias=\"Jerry\">J</sub>", 8000);
        assert!(service(&url).synthesize(marked_up).await.is_ok());
        let sent = requests.lock().expect("alone").clone();
        assert!(sent[0].ends_with(r#"{"text":"<x:y>Tom</x:y> &amp; <sub alias=\"Jerry\">J</sub>"}"#), "{}", sent[0]);
        assert!(sent[1].ends_with(r#"{"text":"Tom &amp; Jerry"}"#), "{}", sent[1]);
        for (text, tries) in [("<x:y>a</x:y>", 2), ("a < b", 1)] {
            let (url, requests) = serve(vec![refusal(), refusal(), audio()]).await;
            assert!(service(&url).synthesize(SpeechRequest::plain(text, 8000)).await.is_err());
            assert_eq!(requests.lock().expect("alone").len(), tries, "{text}");
        }
    }
}
