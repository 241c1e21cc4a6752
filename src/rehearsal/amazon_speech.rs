//! A stand-in for Amazon Transcribe (streaming) and Amazon Polly, in one Region of one account.
//!
//! It checks the signatures of requests (those of the events in a stream it does not), reads and writes event streams, hears
//! utterances by their loudness with a partial result before each final one, and speaks a hum as long as a text would take.
//! Which words it hears is said beforehand.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use actix_web::web::{self, Bytes, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::sigv4::AccessKey;
use crate::sigv4::{self, Scope};
use crate::{LOOPBACK, serve_http};

/// The Region it is in.
pub const REGION: &str = "eu-west-2";
/// Louder is speech.
const LOUD: i16 = 1000;
/// Milliseconds of speech until a partial result, and of silence until a final one.
const PARTIAL_MS: usize = 200;
const FINAL_MS: usize = 400;
/// Samples a character takes, at 8 kHz: 50 ms.
const SAMPLES_A_CHARACTER: usize = 400;

/// The stand-in; clones share their state.
#[derive(Clone)]
pub struct StandIn {
    key: Arc<AccessKey>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    words: VecDeque<(String, f64)>,
    drops: usize,
    streams: Vec<String>,
    spoken: Vec<Value>,
}

impl StandIn {
    /// One that knows this key.
    pub fn new(key: AccessKey) -> Self {
        Self { key: Arc::new(key), state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the next utterance is taken for.
    pub fn will_hear(&self, words: &str, confidence: f64) {
        self.state().words.push_back((words.to_owned(), confidence));
    }

    /// It breaks off in the middle of the next utterance.
    pub fn will_break_off(&self) {
        self.state().drops += 1;
    }

    /// The headers `x-amzn-transcribe-…` of each stream, in order, as `name=value` joined by `;`.
    pub fn streams(&self) -> Vec<String> {
        self.state().streams.clone()
    }

    /// The orders to speak.
    pub fn spoken(&self) -> Vec<Value> {
        self.state().spoken.clone()
    }

    /// Serves on loopback until the process ends.
    pub fn serve(&self) -> std::io::Result<SocketAddr> {
        let state = Data::new(self.clone());
        serve_http(LOOPBACK, "amazon-speech-stand-in", move |app| {
            app.app_data(state.clone())
                .route("/stream-transcription", web::post().to(transcribe))
                .route("/v1/speech", web::post().to(speak))
                .route("/v1/voices", web::get().to(voices));
        })
    }

    fn refusal(&self, request: &HttpRequest, hash: &str, service: &str) -> Option<HttpResponse> {
        let scope = Scope { key: &self.key, token: None, region: REGION, service };
        let why = sigv4::verify(request, hash, &scope, SystemTime::now()).err()?;
        Some(refused(403, "InvalidSignatureException", &why.to_string()))
    }
}

fn refused(status: u16, kind: &str, why: &str) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(status).unwrap_or_default();
    HttpResponse::build(status).insert_header(("x-amzn-errortype", kind)).json(json!({"message": why}))
}

async fn voices(request: HttpRequest, stand_in: Data<StandIn>) -> HttpResponse {
    if let Some(refusal) = stand_in.refusal(&request, &sigv4::hash(b""), "polly") {
        return refusal;
    }
    // Two pages.
    let page = match request.query_string().contains("NextToken") {
        false => json!({"Voices": [{"Id": "Amy", "LanguageCode": "en-GB", "Gender": "Female"}], "NextToken": "2"}),
        true => json!({"Voices": [{"Id": "Matthew", "LanguageCode": "en-US", "Gender": "Male"}]}),
    };
    HttpResponse::Ok().json(page)
}

async fn speak(request: HttpRequest, stand_in: Data<StandIn>, body: Bytes) -> HttpResponse {
    if let Some(refusal) = stand_in.refusal(&request, &sigv4::hash(&body), "polly") {
        return refusal;
    }
    let order: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = order["Text"].as_str().unwrap_or_default();
    if order["TextType"] == "ssml" && !is_ssml_it_takes(text) {
        return refused(400, "InvalidSsmlException", "Invalid SSML request");
    }
    let Some(rate) = order["SampleRate"].as_str().and_then(|rate| rate.parse::<usize>().ok()) else {
        return refused(400, "InvalidSampleRateException", "The specified sample rate is not valid.");
    };
    if order["OutputFormat"] != "pcm" || order["VoiceId"].as_str().is_none() {
        return refused(400, "ValidationException", "voice or format");
    }
    stand_in.state().spoken.push(order.clone());
    let samples = text.chars().count() * SAMPLES_A_CHARACTER * rate / 8000;
    let hum = (0..samples).map(|n| ((n as f64 * 400.0 / rate as f64 * std::f64::consts::TAU).sin() * 8000.0) as i16);
    HttpResponse::Ok()
        .content_type("audio/pcm")
        .insert_header(("x-amzn-RequestId", "polly-1"))
        .body(hum.flat_map(i16::to_le_bytes).collect::<Vec<u8>>())
}

/// A document of elements that it knows, with no sign left bare.
fn is_ssml_it_takes(text: &str) -> bool {
    const ELEMENTS: [&str; 12] =
        ["speak", "break", "emphasis", "lang", "mark", "p", "phoneme", "prosody", "s", "say-as", "sub", "w"];
    let known = |name: &str| ELEMENTS.contains(&name) || name.starts_with("amazon:");
    let tags = text.split('<').skip(1).all(|tag| {
        let name = tag.trim_start_matches('/').split([' ', '/', '>']).next().unwrap_or_default();
        tag.contains('>') && known(name)
    });
    let references = text.split('&').skip(1).all(|after| after.split_once(';').is_some_and(|(name, _)| name.len() < 6));
    text.starts_with("<speak") && text.ends_with("</speak>") && tags && references
}

async fn transcribe(request: HttpRequest, stand_in: Data<StandIn>, mut body: Payload) -> HttpResponse {
    // The body is signed event by event; the request as if it had none.
    if let Some(refusal) = stand_in.refusal(&request, &sigv4::hash(b""), "transcribe") {
        return refusal;
    }
    let mut asked: Vec<String> = request
        .headers()
        .iter()
        .filter_map(|(name, value)| {
            Some(format!("{}={}", name.as_str().strip_prefix("x-amzn-transcribe-")?, value.to_str().ok()?))
        })
        .collect();
    asked.sort();
    let rate =
        request.headers().get("x-amzn-transcribe-sample-rate").and_then(|value| value.to_str().ok()?.parse().ok());
    let Some(rate) = rate else { return refused(400, "BadRequestException", "no sample rate") };
    stand_in.state().streams.push(asked.join(";"));
    let (events, results) = mpsc::unbounded_channel::<Result<Bytes, std::io::Error>>();
    actix_web::rt::spawn(async move {
        let mut ear = Ear { stand_in: (**stand_in).clone(), rate, events, loud_ms: 0, quiet_ms: 0, partial: false };
        let mut bytes = Vec::new();
        while let Some(Ok(chunk)) = body.next().await {
            bytes.extend_from_slice(&chunk);
            while let Some((message, length)) = read_message(&bytes) {
                // The signed message carries the event's own.
                let audio = read_message(message).map_or(&[][..], |(audio, _)| audio);
                if !ear.hear(audio) {
                    return;
                }
                bytes.drain(..length);
            }
        }
    });
    let stream = futures_util::stream::unfold(results, async |mut results| Some((results.recv().await?, results)));
    HttpResponse::Ok()
        .content_type("application/vnd.amazon.eventstream")
        .insert_header(("x-amzn-transcribe-session-id", "session-1"))
        .streaming(stream)
}

/// Hears utterances in one stream.
struct Ear {
    stand_in: StandIn,
    rate: usize,
    events: mpsc::UnboundedSender<Result<Bytes, std::io::Error>>,
    loud_ms: usize,
    quiet_ms: usize,
    partial: bool,
}

impl Ear {
    /// Listens in pieces of 20 ms; `false` ends the stream.
    fn hear(&mut self, audio: &[u8]) -> bool {
        for piece in audio.chunks(self.rate / 25) {
            let loud = piece.chunks_exact(2).any(|pair| i16::from_le_bytes([pair[0], pair[1]]).saturating_abs() > LOUD);
            if loud {
                (self.loud_ms, self.quiet_ms) = (self.loud_ms + 20, 0);
            } else if self.loud_ms > 0 {
                self.quiet_ms += 20;
            }
            if self.loud_ms >= PARTIAL_MS && !self.partial {
                let mut state = self.stand_in.state();
                if state.drops > 0 {
                    state.drops -= 1;
                    return false;
                }
                let words = state.words.front().map(|(words, _)| words.clone()).unwrap_or_default();
                drop(state);
                self.partial = true;
                self.tell(words.split(' ').next().unwrap_or_default(), true, 0.0);
            }
            if self.quiet_ms >= FINAL_MS {
                (self.loud_ms, self.quiet_ms) = (0, 0);
                let heard = self.stand_in.state().words.pop_front();
                if let (true, Some((words, confidence))) = (std::mem::take(&mut self.partial), heard) {
                    self.tell(&words, false, confidence);
                }
            }
        }
        true
    }

    fn tell(&self, words: &str, partial: bool, confidence: f64) {
        let items: Vec<Value> = words
            .split(' ')
            .map(|word| json!({"Content": word, "Type": "pronunciation", "Confidence": confidence}))
            .collect();
        let alternative = json!({"Transcript": words, "Items": if partial { json!([]) } else { json!(items) }});
        let result = json!({"IsPartial": partial, "ResultId": "r", "Alternatives": [alternative]});
        let payload = json!({"Transcript": {"Results": [result]}}).to_string();
        let headers =
            [(":message-type", "event"), (":event-type", "TranscriptEvent"), (":content-type", "application/json")];
        let _ = self.events.send(Ok(write_message(&headers, payload.as_bytes()).into()));
    }
}

/// The payload of the first message in an event stream, and the message's length; none if it is not whole.
fn read_message(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
    let (total, headers) = (number(0)?, number(4)?);
    let payload = bytes.get(12 + headers..total.checked_sub(4)?)?;
    (bytes.len() >= total).then_some((payload, total))
}

/// A message of an event stream: lengths and their checksum, headers, payload, checksum.
fn write_message(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    const TEXT: u8 = 7;
    let mut named = vec![];
    for (name, value) in headers {
        named.push(name.len() as u8);
        named.extend_from_slice(name.as_bytes());
        named.push(TEXT);
        named.extend_from_slice(&(value.len() as u16).to_be_bytes());
        named.extend_from_slice(value.as_bytes());
    }
    let mut message = ((named.len() + payload.len() + 16) as u32).to_be_bytes().to_vec();
    message.extend_from_slice(&(named.len() as u32).to_be_bytes());
    message.extend_from_slice(&crc32fast::hash(&message).to_be_bytes());
    message.extend_from_slice(&named);
    message.extend_from_slice(payload);
    message.extend_from_slice(&crc32fast::hash(&message).to_be_bytes());
    message
}
