//! A stand-in for Watson Text to Speech over HTTP: raw audio of a hum, as long as a text would take.
//!
//! It requires the token and a text of at most 5 KB, knows µ-law, A-law and linear audio with a rate, and answers 400 to
//! markup that is not well-formed.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::web::{self, Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use bellhop_media::g711::Law;
use serde_json::{Value, json};

use crate::watson_speech::TOKEN;
use crate::{LOOPBACK, serve_http};

/// Samples a character takes, at 8 kHz: 50 ms.
const SAMPLES_A_CHARACTER: usize = 400;

/// The stand-in; clones share what they were asked.
#[derive(Clone, Default)]
pub struct StandIn(Arc<Mutex<Vec<(String, String)>>>);

impl StandIn {
    /// The texts it spoke, each with the query of its request.
    pub fn spoken(&self) -> Vec<(String, String)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves on loopback until the process ends.
    pub fn serve(&self) -> std::io::Result<SocketAddr> {
        let state = Data::new(self.clone());
        serve_http(LOOPBACK, "voice-stand-in", move |app| {
            let voices = || async {
                HttpResponse::Ok().json(json!({"voices": [
                    {"name": "en-US_MichaelV3Voice", "language": "en-US", "gender": "male", "customizable": true}]}))
            };
            app.app_data(state.clone())
                .route("/v1/synthesize", web::post().to(synthesize))
                .route("/v1/voices", web::get().to(voices));
        })
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
    if text.len() > 5 * 1024 || text.matches('<').count() != text.matches('>').count() {
        return bad("Invalid SSML");
    }
    let accept = header("Accept");
    let rate = accept.split("rate=").nth(1).and_then(|rate| rate.parse::<usize>().ok());
    let Some(rate) = rate.filter(|rate| (8000..=192_000).contains(rate)) else {
        return bad("Unsupported mimetype. Supported mimetypes are: [audio/mulaw, audio/alaw, audio/l16]");
    };
    let samples = text.chars().count() * SAMPLES_A_CHARACTER * rate / 8000;
    let hum = (0..samples).map(|n| ((n as f64 * 400.0 / rate as f64 * std::f64::consts::TAU).sin() * 8000.0) as i16);
    let audio: Vec<u8> = match accept.split(';').next() {
        Some("audio/mulaw") => hum.map(|sample| Law::Mu.encode(sample)).collect(),
        Some("audio/alaw") => hum.map(|sample| Law::A.encode(sample)).collect(),
        Some("audio/l16") => hum.flat_map(i16::to_le_bytes).collect(),
        _ => return bad("Unsupported mimetype. Supported mimetypes are: [audio/mulaw, audio/alaw, audio/l16]"),
    };
    let asked = (text.to_owned(), request.query_string().to_owned());
    stand_in.0.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
    HttpResponse::Ok().content_type(accept).body(audio)
}
