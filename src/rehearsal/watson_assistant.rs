//! A stand-in for watsonx Assistant v2 and for the IAM that gives it tokens.
//!
//! It requires the token, keeps sessions and their context, refuses what the real service refuses (no version, line breaks
//! or more than 2,048 characters in `input.text`, unknown keys under `context.integrations`), and answers in one piece or as
//! server-sent events. What it says is a table from the caller's text to `generic[]`.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use crate::{LOOPBACK, serve_http};

/// The API key it believes.
pub const API_KEY: &str = "rehearsal-api-key";

/// What it does wrong next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misbehaviour {
    /// Answers a message with this status.
    Refuse(u16),
    /// Waits before it answers as it should.
    Delay(Duration),
    /// Forgets every session.
    ForgetSessions,
    /// Breaks a stream off after its first event.
    BreakOff,
}

/// The stand-in; clones share their state.
#[derive(Clone, Default)]
pub struct StandIn(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    replies: BTreeMap<String, Value>,
    sessions: BTreeMap<String, Value>,
    opened: usize,
    tokens: usize,
    messages: Vec<Value>,
    misbehave: VecDeque<Misbehaviour>,
}

/// Keys that may stand under `context.integrations`.
const INTEGRATIONS: [&str; 13] = [
    "chat",
    "voice_telephony",
    "text_messaging",
    "whatsapp",
    "slack",
    "facebook",
    "teams",
    "channel",
    "service_desk",
    "zendesk",
    "salesforce",
    "intercom",
    "liveengage",
];

impl StandIn {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it answers to a text; `""` is the greeting.
    pub fn replies(&self, text: &str, generic: Value) {
        self.state().replies.insert(text.to_owned(), generic);
    }

    /// What it does wrong with the next message.
    pub fn misbehave(&self, how: Misbehaviour) {
        self.state().misbehave.push_back(how);
    }

    /// The messages it accepted.
    pub fn messages(&self) -> Vec<Value> {
        self.state().messages.clone()
    }

    /// Sessions that are open, and how many were opened in all.
    pub fn sessions(&self) -> (usize, usize) {
        let state = self.state();
        (state.sessions.len(), state.opened)
    }

    /// Serves on loopback until the process ends; IAM is at `/identity/token`.
    pub fn serve(&self) -> std::io::Result<SocketAddr> {
        let state = Data::new(self.clone());
        serve_http(LOOPBACK, "assistant-stand-in", move |app| {
            app.app_data(state.clone())
                .route("/identity/token", web::post().to(token))
                .route("/v2/assistants/{assistant}/sessions", web::post().to(open))
                .route("/v2/assistants/{assistant}/sessions/{session}", web::delete().to(close))
                .route("/v2/assistants/{assistant}/message", web::post().to(message))
                .route("/v2/assistants/{assistant}/sessions/{session}/message", web::post().to(message))
                .route("/v2/assistants/{a}/environments/{e}/message_stream", web::post().to(message))
                .route(
                    "/v2/assistants/{a}/environments/{e}/sessions/{session}/message_stream",
                    web::post().to(message),
                );
        })
    }
}

async fn token(stand_in: Data<StandIn>, body: String) -> HttpResponse {
    if !body.contains(&format!("apikey={API_KEY}"))
        || !body.contains("grant_type=urn%3Aibm%3Aparams%3Aoauth%3Agrant-type%3Aapikey")
    {
        return HttpResponse::BadRequest()
            .json(json!({"errorCode": "BXNIM0415E", "errorMessage": "Provided API key could not be found."}));
    }
    stand_in.state().tokens += 1;
    HttpResponse::Ok().json(json!({"access_token": "rehearsal-token", "token_type": "Bearer", "expires_in": 3600}))
}

/// Token and version, as every call needs them.
fn refused(request: &HttpRequest) -> Option<HttpResponse> {
    let error = |status: u16, text: &str| {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Some(HttpResponse::build(status).json(json!({"error": text, "code": status.as_u16()})))
    };
    let shown = request.headers().get("Authorization").and_then(|value| value.to_str().ok());
    if shown != Some("Bearer rehearsal-token") {
        return error(401, "Unauthorized");
    }
    if !request.query_string().contains("version=20") {
        return error(400, "Bad Request: version is required");
    }
    None
}

async fn open(request: HttpRequest, stand_in: Data<StandIn>) -> HttpResponse {
    if let Some(refused) = refused(&request) {
        return refused;
    }
    let mut state = stand_in.state();
    state.opened += 1;
    let id = format!("session-{}", state.opened);
    state.sessions.insert(id.clone(), json!({}));
    HttpResponse::Created().json(json!({"session_id": id}))
}

async fn close(request: HttpRequest, stand_in: Data<StandIn>) -> HttpResponse {
    if let Some(refused) = refused(&request) {
        return refused;
    }
    let id = request.match_info().get("session").unwrap_or_default();
    match stand_in.state().sessions.remove(id) {
        Some(_) => HttpResponse::Ok().json(json!({})),
        None => HttpResponse::NotFound().json(json!({"error": "Invalid Session", "code": 404})),
    }
}

async fn message(request: HttpRequest, stand_in: Data<StandIn>, body: Bytes) -> HttpResponse {
    if let Some(refused) = refused(&request) {
        return refused;
    }
    let bad = |why: &str| HttpResponse::BadRequest().json(json!({"error": why, "code": 400}));
    let Ok(message) = serde_json::from_slice::<Value>(&body) else { return bad("no JSON") };
    let text = message.pointer("/input/text").and_then(Value::as_str).unwrap_or_default().to_owned();
    if text.chars().count() > 2048 || text.contains(['\r', '\n', '\t']) {
        return bad("input.text cannot contain carriage return, newline, or tab characters");
    }
    let integrations = message.pointer("/context/integrations").and_then(Value::as_object);
    if let Some(unknown) =
        integrations.into_iter().flat_map(|map| map.keys()).find(|key| !INTEGRATIONS.contains(&key.as_str()))
    {
        return bad(&format!("context.integrations.{unknown} is not allowed"));
    }
    let misbehaviour = stand_in.state().misbehave.pop_front();
    match misbehaviour {
        Some(Misbehaviour::Refuse(status)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return HttpResponse::build(status).json(json!({"error": "as told"}));
        }
        Some(Misbehaviour::Delay(time)) => tokio::time::sleep(time).await,
        Some(Misbehaviour::ForgetSessions) => stand_in.state().sessions.clear(),
        Some(Misbehaviour::BreakOff) | None => {}
    }
    let mut state = stand_in.state();
    let mut context = message.get("context").cloned().unwrap_or_else(|| json!({}));
    if let Some(session) = request.match_info().get("session") {
        let Some(kept) = state.sessions.get_mut(session) else {
            return HttpResponse::NotFound().json(json!({"error": "Invalid Session", "code": 404}));
        };
        let turns = kept["turns"].as_u64().unwrap_or(0) + 1;
        *kept = json!({"turns": turns});
        context["global"] = json!({"system": {"turn_count": turns}, "session_id": session});
    }
    let generic = state.replies.get(&text).cloned().unwrap_or_else(|| json!([]));
    state.messages.push(message);
    drop(state);
    let reply = json!({"output": {"generic": generic, "intents": [], "entities": []}, "context": context});
    if !request.path().ends_with("message_stream") {
        return HttpResponse::Ok().json(reply);
    }
    let breaks_off = misbehaviour == Some(Misbehaviour::BreakOff);
    HttpResponse::Ok().content_type("text/event-stream").body(events(&reply, breaks_off))
}

/// Texts come in pieces of three words, then whole; then the reply.
fn events(reply: &Value, breaks_off: bool) -> String {
    let mut events = vec![];
    for (id, item) in reply["output"]["generic"].as_array().into_iter().flatten().enumerate() {
        if let Some(text) = item["text"].as_str() {
            let words: Vec<&str> = text.split_inclusive(' ').collect();
            events.extend(words.chunks(3).map(|piece| {
                json!({"partial_item": {"response_type": "text", "text": piece.concat(), "streaming_metadata": {"id": id + 1}}})
            }));
        }
        events.push(json!({"complete_item": item}));
    }
    events.push(json!({"final_response": reply}));
    if breaks_off {
        events.truncate(1);
    }
    events.iter().enumerate().map(|(n, event)| format!("id: {n}\nevent: message\ndata: {event}\n\n")).collect()
}
