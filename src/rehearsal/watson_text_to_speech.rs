//! A stand-in for Watson Text to Speech over HTTP and WebSocket: raw audio of a hum, as long as a text would take.
//!
//! It requires the token and a text of at most 5 KB, knows µ-law, A-law and linear audio with a rate, and answers 400 to
//! markup that is not well-formed.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::web::{self, Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use bellhop_media::g711::Law;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::watson_speech::TOKEN;
use crate::{LOOPBACK, serve_http};

/// Samples a character takes, at 8 kHz: 50 ms.
const SAMPLES_A_CHARACTER: usize = 400;
/// Bytes of audio in one message of a socket.
const CHUNK: usize = 1600;

/// The stand-in; clones share what they were asked.
#[derive(Clone, Default)]
pub struct StandIn(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    spoken: Vec<(String, String)>,
    by_socket: usize,
    /// Bytes after which the next socket breaks off.
    breaks_off: Option<usize>,
}

impl StandIn {
    /// The texts it spoke, each with the query of its request.
    pub fn spoken(&self) -> Vec<(String, String)> {
        self.state().spoken.clone()
    }

    /// How many of them by WebSocket.
    pub fn by_socket(&self) -> usize {
        self.state().by_socket
    }

    /// The next socket breaks off after so many bytes of audio.
    pub fn will_break_off(&self, after: usize) {
        self.state().breaks_off = Some(after);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves on loopback until the process ends.
    pub fn serve(&self) -> std::io::Result<SocketAddr> {
        let state = Data::new(self.clone());
        let http = serve_http(LOOPBACK, "voice-stand-in", move |app| {
            let voices = || async {
                HttpResponse::Ok().json(json!({"voices": [
                    {"name": "en-US_MichaelV3Voice", "language": "en-US", "gender": "male", "customizable": true}]}))
            };
            app.app_data(state.clone())
                .route("/v1/synthesize", web::post().to(synthesize))
                .route("/v1/voices", web::get().to(voices));
        })?;
        // In front of it stands who tells sockets from requests.
        let listener = std::net::TcpListener::bind(LOOPBACK)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let this = self.clone();
        std::thread::Builder::new().name("voice-stand-in-front".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let served: std::io::Result<()> = runtime.block_on(async move {
                let listener = TcpListener::from_std(listener)?;
                loop {
                    let (stream, _) = listener.accept().await?;
                    tokio::spawn(this.clone().connection(stream, http));
                }
            });
            served
        })?;
        Ok(address)
    }

    async fn connection(self, mut stream: TcpStream, http: SocketAddr) {
        let mut head = [0; 4];
        if !matches!(stream.peek(&mut head).await, Ok(1..)) {
            return;
        }
        if !head.starts_with(b"GET ") || !is_upgrade(&stream).await {
            let Ok(mut inside) = TcpStream::connect(http).await else { return };
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut inside).await;
            return;
        }
        let mut query = String::new();
        #[allow(clippy::result_large_err)] // the library's own type
        let accepted = tokio_tungstenite::accept_hdr_async(stream, |request: &Request, mut response: Response| {
            let shown = request.headers().get("Authorization").and_then(|value| value.to_str().ok());
            if shown != Some(&format!("Bearer {TOKEN}")) {
                let mut refused = ErrorResponse::new(None);
                *refused.status_mut() = StatusCode::FORBIDDEN;
                return Err(refused);
            }
            query = request.uri().query().unwrap_or_default().to_owned();
            response.headers_mut().insert("x-global-transaction-id", HeaderValue::from_static("global-2"));
            Ok(response)
        });
        let Ok(mut socket) = accepted.await else { return };
        let Some(Ok(Message::Text(message))) = socket.next().await else { return };
        let message: Value = serde_json::from_str(&message).unwrap_or_default();
        let (text, accept) = (message["text"].as_str(), message["accept"].as_str().unwrap_or_default());
        let end = async |mut socket: WebSocketStream<TcpStream>, error: Option<String>| {
            let code = if error.is_some() { CloseCode::Error } else { CloseCode::Normal };
            if let Some(error) = error {
                let _ = socket.send(Message::text(json!({"error": error}).to_string())).await;
            }
            let _ = socket.close(Some(CloseFrame { code, reason: "".into() })).await;
        };
        let audio = match text {
            None | Some("") => return end(socket, Some("Required parameter \"text\" is missing.".into())).await,
            Some(text) => match hum(text, accept) {
                Err(error) => return end(socket, Some(error.into())).await,
                Ok(audio) => audio,
            },
        };
        let breaks_off = {
            let mut state = self.state();
            state.spoken.push((text.unwrap_or_default().to_owned(), query));
            state.by_socket += 1;
            state.breaks_off.take()
        };
        let streams = json!({"binary_streams": [{"content_type": accept}]}).to_string();
        let _ = socket.send(Message::text(streams)).await;
        let mut sent = 0;
        for chunk in audio.chunks(CHUNK) {
            if breaks_off.is_some_and(|after| sent >= after)
                || socket.send(Message::binary(chunk.to_vec())).await.is_err()
            {
                return;
            }
            sent += chunk.len();
        }
        end(socket, None).await;
    }
}

async fn synthesize(request: HttpRequest, stand_in: Data<StandIn>, body: Bytes) -> HttpResponse {
    let header =
        |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    if header("Authorization") != format!("Bearer {TOKEN}") {
        return HttpResponse::Unauthorized().json(json!({"error": "Unauthorized", "code": 401}));
    }
    let bad = |error: &str| HttpResponse::BadRequest().json(json!({"error": error, "code": 400}));
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    let Some(text) = message["text"].as_str().filter(|text| !text.is_empty()) else {
        return bad("Required parameter \"text\" is missing.");
    };
    let accept = header("Accept");
    match hum(text, &accept) {
        Err(error) => bad(error),
        Ok(audio) => {
            stand_in.state().spoken.push((text.to_owned(), request.query_string().to_owned()));
            HttpResponse::Ok().content_type(accept).insert_header(("x-global-transaction-id", "global-1")).body(audio)
        }
    }
}

/// Whether what has come asks for a WebSocket.
async fn is_upgrade(stream: &TcpStream) -> bool {
    let mut head = [0; 4096];
    loop {
        let Ok(length @ 1..) = stream.peek(&mut head).await else { return false };
        let text = String::from_utf8_lossy(&head[..length]).to_ascii_lowercase();
        if text.contains("\r\n\r\n") {
            return text.contains("upgrade: websocket");
        }
        tokio::task::yield_now().await;
    }
}

/// The audio of a text.
fn hum(text: &str, accept: &str) -> Result<Vec<u8>, &'static str> {
    const UNSUPPORTED: &str = "Unsupported mimetype. Supported mimetypes are: [audio/mulaw, audio/alaw, audio/l16]";
    if text.len() > 5 * 1024 || text.matches('<').count() != text.matches('>').count() {
        return Err("Invalid SSML");
    }
    let rate = accept.split("rate=").nth(1).and_then(|rate| rate.parse::<usize>().ok());
    let Some(rate) = rate.filter(|rate| (8000..=192_000).contains(rate)) else { return Err(UNSUPPORTED) };
    let samples = text.chars().count() * SAMPLES_A_CHARACTER * rate / 8000;
    let hum = (0..samples).map(|n| ((n as f64 * 400.0 / rate as f64 * std::f64::consts::TAU).sin() * 8000.0) as i16);
    Ok(match accept.split(';').next() {
        Some("audio/mulaw") => hum.map(|sample| Law::Mu.encode(sample)).collect(),
        Some("audio/alaw") => hum.map(|sample| Law::A.encode(sample)).collect(),
        Some("audio/l16") => hum.flat_map(i16::to_le_bytes).collect(),
        _ => return Err(UNSUPPORTED),
    })
}
