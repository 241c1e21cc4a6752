//! A stand-in for Watson Speech to Text: its WebSocket, with everything a client has to be ready for.
//!
//! It requires the token, answers `start` with `listening`, warns of parameters it does not know, hears utterances by their
//! loudness and gives at least one interim result before each final, honours `stop`, lets a session that starves run out, and
//! fails when it is told to. Which words it hears is said beforehand.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bellhop_media::g711::Law;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Message, http};

use crate::LOOPBACK;

/// The bearer token it believes.
pub const TOKEN: &str = "rehearsal-token";
/// A session without audio for so long is over.
const STARVED: Duration = Duration::from_secs(30);
/// Louder is speech.
const LOUD: i16 = 1000;
/// Milliseconds of speech until an interim result, and of silence until a final.
const INTERIM_MS: usize = 200;
const FINAL_MS: usize = 400;

/// Parameters of the `start` message that it knows.
const KNOWN: [&str; 20] = [
    "action",
    "content-type",
    "interim_results",
    "inactivity_timeout",
    "smart_formatting",
    "profanity_filter",
    "redaction",
    "end_of_phrase_silence_time",
    "split_transcript_at_phrase_end",
    "speech_detector_sensitivity",
    "background_audio_suppression",
    "low_latency",
    "max_alternatives",
    "grammar_name",
    "customization_weight",
    "character_insertion_bias",
    "speech_begin_event",
    "speech_event_sensitivity",
    "sad_module",
    "timestamps",
];

/// What it does wrong next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misbehaviour {
    /// Refuses the next upgrade with this status.
    RefuseUpgrade(u16),
    /// Drops the connection without a word in the middle of the next utterance.
    DropInUtterance,
    /// Says an error and closes after the next utterance began.
    Error(&'static str),
}

/// The stand-in; clones share their state.
#[derive(Clone, Default)]
pub struct StandIn(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    words: VecDeque<(String, f64)>,
    misbehave: VecDeque<Misbehaviour>,
    upgrades: Vec<String>,
    starts: Vec<Value>,
    bytes: usize,
}

impl StandIn {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the next utterance is taken for.
    pub fn will_hear(&self, words: &str, confidence: f64) {
        self.state().words.push_back((words.to_owned(), confidence));
    }

    /// What it does wrong next.
    pub fn misbehave(&self, how: Misbehaviour) {
        self.state().misbehave.push_back(how);
    }

    /// The queries of the connections that were opened.
    pub fn upgrades(&self) -> Vec<String> {
        self.state().upgrades.clone()
    }

    /// The `start` messages.
    pub fn starts(&self) -> Vec<Value> {
        self.state().starts.clone()
    }

    /// Bytes of audio.
    pub fn bytes(&self) -> usize {
        self.state().bytes
    }

    fn take(&self, wanted: fn(&Misbehaviour) -> bool) -> Option<Misbehaviour> {
        let mut state = self.state();
        let next = state.misbehave.front().is_some_and(wanted);
        next.then(|| state.misbehave.pop_front()).flatten()
    }

    /// Serves on loopback, on a thread of its own, until the process ends.
    pub fn serve(&self) -> std::io::Result<SocketAddr> {
        let listener = std::net::TcpListener::bind(LOOPBACK)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let this = self.clone();
        std::thread::Builder::new().name("speech-stand-in".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let served: std::io::Result<()> = runtime.block_on(async move {
                let listener = TcpListener::from_std(listener)?;
                loop {
                    let (stream, _) = listener.accept().await?;
                    let this = this.clone();
                    tokio::spawn(async move { this.connection(stream).await });
                }
            });
            served
        })?;
        Ok(address)
    }

    #[allow(clippy::result_large_err)] // the library's own type
    async fn connection(&self, stream: TcpStream) {
        let accepted = tokio_tungstenite::accept_hdr_async(stream, |request: &Request, response: Response| {
            self.accept(request, response)
        });
        let Ok(socket) = accepted.await else { return };
        Session { stand_in: self.clone(), socket, wide: false, index: 0, loud_ms: 0, quiet_ms: 0, interim: false }
            .serve()
            .await;
    }

    #[allow(clippy::result_large_err)] // the library's own type
    fn accept(&self, request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
        let refuse = |status: u16| {
            let mut refused = ErrorResponse::new(Some("{\"error\": \"refused\"}".to_owned()));
            *refused.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
            Err(refused)
        };
        if let Some(Misbehaviour::RefuseUpgrade(status)) =
            self.take(|how| matches!(how, Misbehaviour::RefuseUpgrade(_)))
        {
            return refuse(status);
        }
        let query = request.uri().query().unwrap_or_default();
        let shown = request.headers().get("Authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        if shown != format!("Bearer {TOKEN}") && !query.contains(&format!("access_token={TOKEN}")) {
            return refuse(403);
        }
        self.state().upgrades.push(query.to_owned());
        let ids = [("x-global-transaction-id", "global-1"), ("x-dp-watson-tran-id", "watson-1")];
        for (name, value) in ids {
            response.headers_mut().insert(name, http::HeaderValue::from_static(value));
        }
        Ok(response)
    }
}

struct Session {
    stand_in: StandIn,
    socket: WebSocketStream<TcpStream>,
    wide: bool,
    index: usize,
    loud_ms: usize,
    quiet_ms: usize,
    interim: bool,
}

impl Session {
    async fn serve(mut self) {
        let mut started = false;
        loop {
            let message = match tokio::time::timeout(STARVED, self.socket.next()).await {
                Err(_) => return self.close_with("Session timed out.").await,
                Ok(Some(Ok(message))) => message,
                Ok(_) => return,
            };
            match message {
                Message::Text(text) => {
                    let order: Value = serde_json::from_str(&text).unwrap_or_default();
                    match order["action"].as_str() {
                        Some("start") => {
                            if !self.start(&order).await {
                                return;
                            }
                            started = true;
                        }
                        Some("stop") => {
                            self.end_utterance().await;
                            self.say(json!({"state": "listening"})).await;
                            started = false;
                        }
                        _ => return self.close_with("unable to transcode data stream").await,
                    }
                }
                Message::Binary(bytes) if bytes.is_empty() => {
                    self.end_utterance().await;
                    self.say(json!({"state": "listening"})).await;
                    started = false;
                }
                Message::Binary(_) if !started => return self.close_with("No start message").await,
                Message::Binary(bytes) => {
                    self.stand_in.state().bytes += bytes.len();
                    if !self.hear(&bytes).await {
                        return;
                    }
                }
                Message::Close(_) => return,
                _ => {}
            }
        }
    }

    async fn start(&mut self, order: &Value) -> bool {
        self.wide = match order["content-type"].as_str() {
            Some("audio/mulaw;rate=8000" | "audio/basic") => false,
            Some("audio/l16;rate=16000") => true,
            _ => {
                self.close_with("unable to transcode data stream application/octet-stream -> audio/l16").await;
                return false;
            }
        };
        self.stand_in.state().starts.push(order.clone());
        let unknown: Vec<&String> = order
            .as_object()
            .into_iter()
            .flat_map(|map| map.keys())
            .filter(|key| !KNOWN.contains(&key.as_str()))
            .collect();
        if !unknown.is_empty() {
            self.say(json!({"warnings": [format!("Unknown arguments: {unknown:?}.")], "state": "listening"})).await;
        } else {
            self.say(json!({"state": "listening"})).await;
        }
        true
    }

    /// Listens in pieces of 20 ms; `false` ends the connection.
    async fn hear(&mut self, bytes: &[u8]) -> bool {
        let size = if self.wide { 640 } else { 160 };
        for piece in bytes.chunks(size) {
            let loud = if self.wide {
                piece.chunks_exact(2).any(|pair| i16::from_le_bytes([pair[0], pair[1]]).saturating_abs() > LOUD)
            } else {
                piece.iter().any(|code| Law::Mu.decode(*code).saturating_abs() > LOUD)
            };
            if loud {
                (self.loud_ms, self.quiet_ms) = (self.loud_ms + 20, 0);
            } else if self.loud_ms > 0 {
                self.quiet_ms += 20;
            }
            if self.loud_ms >= INTERIM_MS && !self.interim {
                match self.stand_in.take(|how| !matches!(how, Misbehaviour::RefuseUpgrade(_))) {
                    Some(Misbehaviour::DropInUtterance) => return false,
                    Some(Misbehaviour::Error(text)) => {
                        self.close_with(text).await;
                        return false;
                    }
                    _ => {}
                }
                self.interim = true;
                let words = self.stand_in.state().words.front().map(|(words, _)| words.clone()).unwrap_or_default();
                let first = words.split(' ').next().unwrap_or_default().to_owned();
                self.result(json!({"final": false, "alternatives": [{"transcript": format!("{first} ")}]})).await;
            }
            if self.quiet_ms >= FINAL_MS {
                self.end_utterance().await;
            }
        }
        true
    }

    async fn end_utterance(&mut self) {
        (self.loud_ms, self.quiet_ms) = (0, 0);
        if !std::mem::take(&mut self.interim) {
            return;
        }
        let heard = self.stand_in.state().words.pop_front();
        if let Some((words, confidence)) = heard {
            let alternative = json!({"transcript": format!("{words} "), "confidence": confidence});
            self.result(json!({"final": true, "alternatives": [alternative]})).await;
            self.index += 1;
        }
    }

    async fn result(&mut self, result: Value) {
        let message = json!({"result_index": self.index, "results": [result]});
        self.say(message).await;
    }

    async fn say(&mut self, message: Value) {
        let _ = self.socket.send(Message::text(message.to_string())).await;
    }

    async fn close_with(&mut self, error: &str) {
        self.say(json!({"error": error})).await;
        let _ = self.socket.close(Some(CloseFrame { code: CloseCode::Error, reason: "".into() })).await;
    }
}
