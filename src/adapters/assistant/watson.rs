//! `watson`: IBM watsonx Assistant over its API v2, stateful or stateless, in one piece or as a stream.
//!
//! The id of a stateful session travels in the turn's context under `SESSION`, so that this adapter keeps nothing of a
//! call; it is taken out before the context goes to the service. Invariant: a session that has run out is opened anew once
//! a turn, with the context of the turn, and never twice.

use bellhop_dialogue::ports::{Assistant, PartSink, Pending, ServiceFailure, TurnReply, TurnRequest};
use serde_json::{Value, json};

use super::shape;
use super::streamed::{REPLY_BYTES_MAX, assembled};
use crate::http;
use crate::iam::Authentication;
use crate::reach::Endpoint;

/// The version of the API that is asked for.
pub(crate) const VERSION: &str = "2024-08-25";
/// Where the session's id stands in a turn's context.
const SESSION: &str = "bellhop_session";

/// Which assistant, and how it is spoken to.
#[derive(Clone)]
pub struct WatsonAssistant {
    client: reqwest::Client,
    /// `https://api.{location}.assistant.watson.cloud.ibm.com/instances/{id}`
    url: Endpoint,
    /// Id of the assistant, or of an environment.
    assistant: String,
    /// Id of the environment, for streams.
    environment: Option<String>,
    stateful: bool,
    authentication: Authentication,
}

/// What the settings say.
pub struct Settings {
    /// The service's URL.
    pub url: Endpoint,
    /// Id of the assistant, or of an environment.
    pub assistant: String,
    /// Id of the environment: with it, replies are streamed.
    pub environment: Option<String>,
    /// Whether the service keeps the conversation's state.
    pub stateful: bool,
}

impl WatsonAssistant {
    /// An assistant; nothing is asked yet.
    pub fn new(settings: Settings, authentication: Authentication) -> Self {
        let client = http::builder(settings.url.reach())
            .timeout(super::TURN_MAX)
            .build()
            .expect("the client is made of constants");
        let Settings { url, assistant, environment, stateful } = settings;
        Self { client, url: url.without_slash(), assistant, environment, stateful, authentication }
    }

    fn place(&self, rest: &str) -> String {
        format!("{}/v2/assistants/{}/{rest}?version={VERSION}", self.url, self.assistant)
    }

    async fn post(&self, url: String, body: &Value) -> Result<reqwest::Response, ServiceFailure> {
        let token = self.authentication.token().await?;
        let request = self.client.post(url).bearer_auth(token).header("Content-Type", "application/json");
        request.body(body.to_string()).send().await.map_err(|error| http::failure(&error))
    }

    async fn open_session(&self) -> Result<String, ServiceFailure> {
        let response = self.post(self.place("sessions"), &json!({})).await?;
        let body = http::json(http::accepted(response, &HINTS)?, REPLY_BYTES_MAX).await?;
        let id = body.get("session_id").and_then(Value::as_str).map(str::to_owned);
        id.ok_or_else(|| ServiceFailure::Unavailable { why: "it opened no session".to_owned() })
    }

    fn message_url(&self, session: Option<&str>) -> String {
        let session = session.map(|id| format!("sessions/{id}/")).unwrap_or_default();
        match &self.environment {
            Some(environment) => self.place(&format!("environments/{environment}/{session}message_stream")),
            None => self.place(&format!("{session}message")),
        }
    }

    async fn ask(&self, request: TurnRequest, parts: PartSink) -> Result<TurnReply, ServiceFailure> {
        let mut message = request.message();
        let known = message["context"].as_object_mut().and_then(|context| context.remove(SESSION));
        message["input"]["options"] = json!({"return_context": true});
        // Billing and privacy go by the caller.
        let caller = request.context.pointer("/integrations/channel/private/user/id").and_then(Value::as_str);
        if let Some(caller) = caller.filter(|caller| !caller.is_empty()) {
            message["user_id"] = json!(caller);
        }
        let known = known.as_ref().and_then(Value::as_str).map(str::to_owned);
        let mut session = match (self.stateful, known) {
            (false, _) => None,
            (true, Some(id)) => Some(id),
            (true, None) => Some(self.open_session().await?),
        };
        let mut response = self.post(self.message_url(session.as_deref()), &message).await?;
        if response.status() == reqwest::StatusCode::NOT_FOUND && self.stateful {
            tracing::info!("a session of watsonx Assistant has run out: another is opened");
            session = Some(self.open_session().await?);
            response = self.post(self.message_url(session.as_deref()), &message).await?;
        }
        let response = http::accepted(response, &HINTS)?;
        let transaction = http::transaction(&response);
        let mut reply = if self.environment.is_some() {
            assembled(response, parts).await?
        } else {
            shape::reply(http::json(response, REPLY_BYTES_MAX).await?)?
        };
        if let Some(id) = session {
            if !reply.context.is_object() {
                reply.context = json!({});
            }
            reply.context[SESSION] = json!(id);
        }
        reply.origin.transaction = transaction;
        Ok(reply)
    }
}

/// What to look at when it refuses.
const HINTS: [(u16, &str); 5] = [
    (400, "it did not accept the message"),
    (401, "check the API key"),
    (403, "check the API key"),
    (404, "check the URL and the id of the assistant"),
    (429, "its plan's limit is reached"),
];

impl Assistant for WatsonAssistant {
    fn turn(&self, request: TurnRequest, parts: PartSink) -> Pending<Result<TurnReply, ServiceFailure>> {
        let this = self.clone();
        Box::pin(async move { this.ask(request, parts).await })
    }

    fn ended(&self, context: Value) -> Pending<()> {
        let this = self.clone();
        Box::pin(async move {
            let Some(id) = context.get(SESSION).and_then(Value::as_str) else { return };
            let Ok(token) = this.authentication.token().await else { return };
            let gone = this.client.delete(this.place(&format!("sessions/{id}"))).bearer_auth(token).send().await;
            if let Err(error) = gone {
                tracing::debug!(failure = %http::failure(&error), "a session could not be deleted: it runs out by itself");
            }
        })
    }
}
