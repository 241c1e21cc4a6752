//! `watson`: IBM Watson Speech to Text over its WebSocket, with interim results; and `worker`, a program of anybody's that
//! speaks the documented part of the same protocol (`docs/recognizer-worker.md`).
//!
//! One connection per call. What the assistant configures goes where the service wants it: some parameters into the query
//! of the connection, the others into the `start` message; a change of the first kind connects anew, one of the second
//! starts anew, both between two utterances. Invariant: that of [`session`].

mod connection;
mod results;

use std::sync::Arc;

use bellhop_dialogue::ports::{
    Band, Fields, ModelOrVoice, Pending, Recognizer, RecognizerConfig, RecognizerSink, RecognizerStream, ServiceFailure,
};
use serde_json::{Value, json};

use super::session::{self, Coding};
use crate::http;
use crate::http::{LIST_BYTES_MAX, LISTED_WITHIN};
use crate::iam::Authentication;
use crate::reach::Endpoint;
use connection::Connection;

/// Parameters that belong to the query of the connection; all others go into the `start` message.
pub(crate) const QUERY_PARAMETERS: [&str; 6] = [
    "model",
    "acoustic_customization_id",
    "version",
    "x-watson-learning-opt-out",
    "base_model_version",
    "language_customization_id",
];
/// What to look at when the list is refused.
const HINTS: [(u16, &str); 3] = [(401, "check the API key"), (403, "check the API key"), (404, "check the URL")];

/// The service, as one tenant uses it.
#[derive(Clone)]
pub struct WatsonSpeechToText(Arc<Service>);

struct Service {
    /// `https://api.{location}.speech-to-text.watson.cloud.ibm.com/instances/{id}`
    url: Endpoint,
    /// The tenant's own parameters, under those of the assistant.
    parameters: Fields,
    /// None where nobody asks who we are.
    authentication: Option<Authentication>,
    /// Whether it wants to know what the caller may say.
    takes_phrases: bool,
    tls: Arc<rustls::ClientConfig>,
}

impl WatsonSpeechToText {
    /// The service at an `https://` (or, for stand-ins, `http://`) URL.
    pub fn new(url: impl Into<Endpoint>, parameters: Fields, authentication: Authentication) -> Self {
        Self::at(url.into(), parameters, Some(authentication), false)
    }

    /// A worker at a `ws://`, `wss://`, `http://` or `https://` URL; the token is shown if there is one.
    pub fn worker(url: impl Into<Endpoint>, parameters: Fields, token: Option<&str>) -> Self {
        Self::at(url.into(), parameters, token.map(|token| Authentication::Bearer(token.into())), true)
    }

    fn at(url: Endpoint, parameters: Fields, authentication: Option<Authentication>, takes_phrases: bool) -> Self {
        let url = url.without_slash();
        Self(Arc::new(Service { url, parameters, authentication, takes_phrases, tls: crate::http::tls() }))
    }
}

/// How one connection is asked for, and how it is started.
#[derive(Debug, Clone, PartialEq)]
struct Terms {
    query: Vec<(String, String)>,
    start: Fields,
}

impl session::Service for Service {
    type Terms = Terms;
    type Connection = Connection;

    fn terms(&self, config: &RecognizerConfig) -> Terms {
        let mut all = self.parameters.clone();
        all.extend(config.parameters.clone());
        let mut query: Vec<(String, String)> = vec![];
        for name in QUERY_PARAMETERS {
            if let Some(value) = all.remove(name) {
                query.push((name.to_owned(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
            }
        }
        let rate = if config.line_rate > 8000 { "audio/l16;rate=16000" } else { "audio/mulaw;rate=8000" };
        let fixed = [
            ("action", json!("start")),
            ("content-type", json!(rate)),
            ("interim_results", json!(true)),
            ("inactivity_timeout", json!(-1)),
        ];
        all.extend(fixed.map(|(name, value)| (name.to_owned(), value)));
        Terms { query, start: all }
    }

    fn coding(&self, line_rate: u32) -> Coding {
        if line_rate > 8000 { Coding::Linear } else { Coding::MuLaw }
    }

    async fn connect(&self, terms: &Terms) -> Result<Connection, ServiceFailure> {
        Connection::open(self, terms).await
    }
}

impl Recognizer for WatsonSpeechToText {
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

    /// `GET /v1/models`; a worker is not asked.
    fn models(&self) -> Pending<Result<Vec<ModelOrVoice>, ServiceFailure>> {
        let service = Arc::clone(&self.0);
        Box::pin(async move {
            if service.takes_phrases {
                return Ok(vec![]);
            }
            let client = http::builder(service.url.reach())
                .timeout(LISTED_WITHIN)
                .build()
                .expect("the client is made of constants");
            let get = client.get(format!("{}/v1/models", service.url.url().replacen("ws", "http", 1)));
            let get = match &service.authentication {
                Some(authentication) => get.bearer_auth(authentication.token().await?),
                None => get,
            };
            let response = http::accepted(get.send().await.map_err(|error| http::failure(&error))?, &HINTS)?;
            let listed = http::json(response, LIST_BYTES_MAX).await?;
            let models = listed.get("models").and_then(Value::as_array).cloned().unwrap_or_default();
            Ok(models.iter().filter_map(read_model).collect())
        })
    }
}

fn read_model(model: &Value) -> Option<ModelOrVoice> {
    let band = match model.get("rate").and_then(Value::as_u64)? {
        ..=8000 => Band::Narrow,
        _ => Band::Broad,
    };
    let text = |name: &str| model.get(name).and_then(Value::as_str).map(str::to_owned);
    Some(ModelOrVoice { name: text("name")?, language: text("language")?, gender: None, band: Some(band) })
}

#[cfg(test)]
mod tests {
    use super::session::Service as _;
    use super::*;

    fn fields(value: Value) -> Fields {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn parameters_go_where_the_service_wants_them() {
        let tenant =
            fields(json!({"model": "en-US_Telephony", "x-watson-learning-opt-out": true, "profanity_filter": false}));
        let service = WatsonSpeechToText::new("https://x/instances/1/", tenant, Authentication::Bearer("t".into()));
        let parameters = fields(
            json!({"language_customization_id": "c 1", "profanity_filter": true, "interim_results": false, "grammar_name": "g"}),
        );
        let terms = service.0.terms(&RecognizerConfig { line_rate: 8000, parameters });
        assert_eq!(service.0.url.url(), "https://x/instances/1");
        assert_eq!(
            terms.query,
            [
                ("model".into(), "en-US_Telephony".into()),
                ("x-watson-learning-opt-out".into(), "true".into()),
                ("language_customization_id".into(), "c 1".into()),
            ]
        );
        let expected = json!({"action": "start", "content-type": "audio/mulaw;rate=8000", "interim_results": true,
            "inactivity_timeout": -1, "profanity_filter": true, "grammar_name": "g"});
        assert_eq!(Value::Object(terms.start), expected);
    }

    #[tokio::test]
    async fn models_are_listed_with_their_band() {
        let listed = json!({"models": [
            {"name": "en-US_Telephony", "language": "en-US", "rate": 8000, "url": "x", "description": "y"},
            {"name": "de-DE_Multimedia", "language": "de-DE", "rate": 16000}, {"no": "model"}]});
        let (url, requests) = crate::testing::serve(vec![crate::testing::Answer::json(200, &listed)]).await;
        let service = WatsonSpeechToText::new(&url, Fields::new(), Authentication::Bearer("t0ken".into()));
        let models = service.models().await.expect("a list");
        let told: Vec<_> = models.iter().map(|model| (model.name.as_str(), model.band)).collect();
        assert_eq!(told, [("en-US_Telephony", Some(Band::Narrow)), ("de-DE_Multimedia", Some(Band::Broad))]);
        let request = requests.lock().expect("alone")[0].clone();
        assert!(request.starts_with("GET /v1/models ") && request.contains("Bearer t0ken"), "{request}");
    }
}
