//! What is asked over HTTPS: a synthesizer as Watson's is, an assistant by webhook, and who is told of calls.
//!
//! Invariant: every request is answered at once, so that what callers wait is the server's own.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use anyhow::{Context, Result};
use bellhop_media::g711::Law;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::asked::Asked;

/// Samples a character takes, at 8 kHz: 50 ms.
const SAMPLES_A_CHARACTER: usize = 400;
/// Most bytes of a request.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// Serves the requests of one connection, one after the other.
pub(crate) async fn serve(stream: TlsStream<TcpStream>, asked: Arc<Asked>) -> Result<()> {
    asked.met(stream.get_ref().1);
    asked.http_connections.add(1);
    let mut stream = BufReader::with_capacity(4096, stream);
    while let Some((path, body)) = request(&mut stream).await? {
        let answer = answer(&path, &body, &asked);
        stream.write_all(&answer).await?;
        stream.flush().await?;
    }
    Ok(())
}

/// The path and the body of the next request.
async fn request(stream: &mut BufReader<TlsStream<TcpStream>>) -> Result<Option<(String, Vec<u8>)>> {
    let (mut path, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        match (&path, line.split_once(": ")) {
            (None, _) => path = line.split(' ').nth(1).map(str::to_owned),
            (_, Some((name, value))) if name.eq_ignore_ascii_case("content-length") => length = value.parse()?,
            _ => {}
        }
    }
    let mut body = vec![0; length.min(REQUEST_BYTES_MAX)];
    stream.read_exact(&mut body).await?;
    Ok(Some((path.context("a request line")?, body)))
}

fn answer(path: &str, body: &[u8], asked: &Asked) -> Vec<u8> {
    let (media_type, body) = match path.split('?').next() {
        Some("/v1/synthesize") => {
            let speech = hum(body);
            asked.texts.add(1);
            asked.speech_bytes.add(speech.len());
            ("audio/mulaw;rate=8000", speech)
        }
        Some("/assistant") => {
            asked.turns.add(1);
            ("application/json", reply(body).into_bytes())
        }
        _ => {
            asked.events.add(1);
            ("application/json", b"{}".to_vec())
        }
    };
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.into_bytes(), body].concat()
}

/// The audio of a text.
fn hum(body: &[u8]) -> Vec<u8> {
    let message: Value = serde_json::from_slice(body).unwrap_or_default();
    let samples = message["text"].as_str().map_or(0, str::len) * SAMPLES_A_CHARACTER;
    let period: [u8; 20] =
        std::array::from_fn(|n| Law::Mu.encode(((n as f64 * std::f64::consts::TAU / 20.0).sin() * 8000.0) as i16));
    period.iter().copied().cycle().take(samples).collect()
}

/// A greeting for all, and then by turns a text that all are told and one that nobody was told before.
fn reply(body: &[u8]) -> String {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let number = request["turn"]["number"].as_u64().unwrap_or_default();
    let text = if number == 0 {
        "Good morning, how can we help you?".to_owned()
    } else if number.is_multiple_of(2) {
        "We are open from nine to five, Monday to Friday.".to_owned()
    } else {
        let mut hasher = DefaultHasher::new();
        (request["conversation"].as_str(), number).hash(&mut hasher);
        format!("Your parcel {} is on its way. Anything else?", hasher.finish() % 1_000_000)
    };
    let item = json!({"response_type": "text", "text": text});
    json!({"output": {"generic": [item]}, "context": {"asked": number + 1}}).to_string()
}
