//! A recognizer by WebSocket, as Watson's protocol has it and the worker's: it understands an utterance every so many seconds of audio,
//! whatever is said, with interim results in the three seconds before.
//!
//! Invariant: what it says depends on how much audio came and on nothing else.

use std::sync::Arc;

use anyhow::{Result, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::asked::Asked;

/// Interim results in a second of an utterance.
const INTERIM_PER_SECOND: usize = 2;
/// Seconds of an utterance.
const UTTERANCE_SECONDS: usize = 3;
/// What is read and written at once: a call sends less.
const BUFFER_BYTES: usize = 4096;

/// Serves one call.
pub(crate) async fn serve(stream: TlsStream<TcpStream>, asked: Arc<Asked>, turn_seconds: usize) -> Result<()> {
    asked.met(stream.get_ref().1);
    let nth = asked.connections.add(1) as usize;
    let sizes = WebSocketConfig::default().read_buffer_size(BUFFER_BYTES).write_buffer_size(0);
    let socket = tokio_tungstenite::accept_async_with_config(stream, Some(sizes)).await?;
    // No two calls understand at once, or all of them would.
    let ahead = nth % turn_seconds;
    let mut session = Session { socket, asked, turn_seconds, bytes_per_second: 0, bytes: 0, steps: 0, ahead, nth: 0 };
    while let Some(message) = session.socket.next().await {
        match message? {
            Message::Text(text) => session.order(&serde_json::from_str(&text)?).await?,
            Message::Binary(bytes) => session.hear(bytes.len()).await?,
            Message::Close(_) => return Ok(()),
            _ => {}
        }
    }
    Ok(())
}

struct Session {
    socket: WebSocketStream<TlsStream<TcpStream>>,
    asked: Arc<Asked>,
    turn_seconds: usize,
    bytes_per_second: usize,
    bytes: usize,
    /// Parts of a second that were listened to, [`INTERIM_PER_SECOND`] each.
    steps: usize,
    /// Seconds that its first utterance comes sooner.
    ahead: usize,
    /// Utterances so far.
    nth: usize,
}

impl Session {
    async fn order(&mut self, order: &Value) -> Result<()> {
        match order["action"].as_str() {
            Some("start") => {
                self.bytes_per_second = match order["content-type"].as_str() {
                    Some("audio/mulaw;rate=8000") => 8000,
                    Some("audio/l16;rate=16000") => 32_000,
                    _ => bail!("no such audio"),
                };
                self.say(&json!({"state": "listening"})).await
            }
            Some("stop") => self.say(&json!({"state": "listening"})).await,
            _ => Ok(()),
        }
    }

    async fn hear(&mut self, bytes: usize) -> Result<()> {
        self.asked.pieces.add(1);
        self.asked.audio_bytes.add(bytes);
        self.bytes += bytes;
        while self.bytes_per_second > 0 && self.bytes * INTERIM_PER_SECOND / self.bytes_per_second > self.steps {
            self.steps += 1;
            self.understand().await?;
        }
        Ok(())
    }

    /// What there is to say after another part of a second.
    async fn understand(&mut self) -> Result<()> {
        let turn = self.turn_seconds * INTERIM_PER_SECOND;
        let at = (self.steps + self.ahead * INTERIM_PER_SECOND) % turn;
        let words = "where is the parcel that you sent last week";
        if at == 0 {
            let text = format!("{words} {}", self.nth);
            let alternative = json!({"transcript": text, "confidence": 0.93});
            self.say(&json!({"result_index": self.nth, "results": [{"final": true, "alternatives": [alternative]}]}))
                .await?;
            self.asked.utterances.add(1);
            self.nth += 1;
        } else if turn - at < UTTERANCE_SECONDS * INTERIM_PER_SECOND {
            let so_far = UTTERANCE_SECONDS * INTERIM_PER_SECOND - (turn - at);
            let text: Vec<&str> = words.split(' ').take(so_far + 1).collect();
            let result = json!({"final": false, "alternatives": [{"transcript": text.join(" ")}]});
            self.say(&json!({"result_index": self.nth, "results": [result]})).await?;
        }
        Ok(())
    }

    async fn say(&mut self, message: &Value) -> Result<()> {
        Ok(self.socket.send(Message::text(message.to_string())).await?)
    }
}
