//! `watson`: IBM Watson Speech to Text over its WebSocket, with interim results; and `worker`, a program of anybody's that
//! speaks the documented part of the same protocol (`docs/recognizer-worker.md`).
//!
//! One connection per call. What the assistant configures goes where the service wants it: some parameters into the query
//! of the connection, the others into the `start` message; a change of the first kind connects anew, one of the second
//! starts anew, both between two utterances. Invariant: every sample that was heard since the last result reaches some
//! connection, in order, as long as no more than [`BACKLOG_MAX`] is waiting; a lost connection is opened again up to
//! [`RECONNECTS`] times in a row before the recognizer is lost.

mod connection;
mod results;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bellhop_dialogue::ports::{
    Fields, Heard, HeardSink, Pending, Recognizer, RecognizerConfig, RecognizerStream, ServiceFailure,
};
use bellhop_media::g711::Law;
use serde_json::json;
use tokio::sync::mpsc;

use crate::iam::Authentication;
use connection::{Connection, Event};

/// Parameters that belong to the query of the connection; all others go into the `start` message.
pub const QUERY_PARAMETERS: [&str; 6] = [
    "model",
    "acoustic_customization_id",
    "version",
    "x-watson-learning-opt-out",
    "base_model_version",
    "language_customization_id",
];
/// Tries to connect again in a row.
pub const RECONNECTS: u32 = 4;
/// The pause before the first of them but one; it doubles.
const PAUSE: Duration = Duration::from_millis(250);
/// Audio kept while there is no connection, and of an utterance that has no result yet.
pub const BACKLOG_MAX: Duration = Duration::from_secs(15);
/// Without audio for so long, silence is sent: the service ends sessions that starve.
const STARVING: Duration = Duration::from_secs(1);

/// The service, as one tenant uses it.
#[derive(Clone)]
pub struct WatsonSpeechToText(Arc<Service>);

struct Service {
    /// `wss://api.{location}.speech-to-text.watson.cloud.ibm.com/instances/{id}`
    url: String,
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
    pub fn new(url: &str, parameters: Fields, authentication: Authentication) -> Self {
        Self::at(url, parameters, Some(authentication), false)
    }

    /// A worker at a `ws://`, `wss://`, `http://` or `https://` URL; the token is shown if there is one.
    pub fn worker(url: &str, parameters: Fields, token: Option<&str>) -> Self {
        Self::at(url, parameters, token.map(|token| Authentication::Bearer(token.into())), true)
    }

    fn at(url: &str, parameters: Fields, authentication: Option<Authentication>, takes_phrases: bool) -> Self {
        let url = url.trim_end_matches('/').replacen("http", "ws", 1);
        Self(Arc::new(Service { url, parameters, authentication, takes_phrases, tls: crate::http::tls() }))
    }
}

/// How one connection is asked for, and how it is started.
#[derive(Debug, Clone, PartialEq)]
struct Terms {
    query: Vec<(String, String)>,
    start: Fields,
}

impl Service {
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
}

/// What the stream is told, in the order in which the caller speaks.
enum Order {
    Audio(Vec<u8>),
    UtteranceBegan,
    UtteranceEnded,
    Configure(RecognizerConfig),
    Expect(Option<Arc<[String]>>),
}

impl Recognizer for WatsonSpeechToText {
    fn sample_rate(&self, line_rate: u32) -> u32 {
        if line_rate > 8000 { 16_000 } else { 8000 }
    }

    fn open(
        &self,
        config: RecognizerConfig,
        sink: HeardSink,
    ) -> Pending<Result<Box<dyn RecognizerStream>, ServiceFailure>> {
        let service = Arc::clone(&self.0);
        Box::pin(async move {
            let terms = service.terms(&config);
            let connection = connect(&service, &terms, RECONNECTS).await?;
            let (orders, inbox) = mpsc::unbounded_channel();
            let wide = config.line_rate > 8000;
            let session = Session {
                service,
                sink,
                terms,
                wanted: None,
                line_rate: config.line_rate,
                phrases: None,
                backlog: Backlog::new(if wide { 32_000 } else { 8000 }),
                speaking: false,
                silence: if wide { 0 } else { Law::Mu.silence() },
            };
            tokio::spawn(session.run(connection, inbox));
            Ok(Box::new(Stream { orders, wide }) as Box<dyn RecognizerStream>)
        })
    }
}

struct Stream {
    orders: mpsc::UnboundedSender<Order>,
    wide: bool,
}

impl RecognizerStream for Stream {
    fn hear(&mut self, samples: &[i16]) {
        let bytes = if self.wide {
            samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
        } else {
            Law::Mu.encode_all(samples)
        };
        let _ = self.orders.send(Order::Audio(bytes));
    }

    fn utterance_began(&mut self) {
        let _ = self.orders.send(Order::UtteranceBegan);
    }

    fn utterance_ended(&mut self) {
        let _ = self.orders.send(Order::UtteranceEnded);
    }

    fn expect(&mut self, phrases: Option<Arc<[String]>>) {
        let _ = self.orders.send(Order::Expect(phrases));
    }

    fn configure(&mut self, config: RecognizerConfig) {
        let _ = self.orders.send(Order::Configure(config));
    }
}

/// Audio since the last result, bounded: what a new connection is told first.
struct Backlog {
    chunks: VecDeque<Vec<u8>>,
    bytes: usize,
    limit: usize,
}

impl Backlog {
    fn new(bytes_per_second: usize) -> Self {
        Self { chunks: VecDeque::new(), bytes: 0, limit: bytes_per_second * BACKLOG_MAX.as_secs() as usize }
    }

    fn push(&mut self, chunk: Vec<u8>) {
        self.bytes += chunk.len();
        self.chunks.push_back(chunk);
        while self.bytes > self.limit
            && let Some(oldest) = self.chunks.pop_front()
        {
            self.bytes -= oldest.len();
        }
    }

    /// Keeps about the last half second: the beginning of a word may lie before voice activity is sure of it.
    fn forget(&mut self) {
        let keep = self.limit / BACKLOG_MAX.as_secs() as usize / 2;
        while self.bytes > keep
            && let Some(oldest) = self.chunks.pop_front()
        {
            self.bytes -= oldest.len();
        }
    }
}

/// One call's conversation with the service.
struct Session {
    service: Arc<Service>,
    sink: HeardSink,
    terms: Terms,
    /// Terms to change to once nobody speaks.
    wanted: Option<Terms>,
    line_rate: u32,
    /// What the caller may say, for workers that want to know.
    phrases: Option<Arc<[String]>>,
    backlog: Backlog,
    speaking: bool,
    silence: u8,
}

impl Session {
    async fn run(mut self, mut connection: Connection, mut inbox: mpsc::UnboundedReceiver<Order>) {
        loop {
            let ended = self.serve(&mut connection, &mut inbox).await;
            match ended {
                Ended::Over => return connection.close().await,
                Ended::Reconnect => connection.close().await,
                Ended::Lost => {
                    let why = ServiceFailure::Unavailable { why: "the connection was lost".to_owned() };
                    (self.sink)(Heard::Reconnecting { why });
                }
            }
            match connect(&self.service, &self.terms, RECONNECTS).await {
                Ok(again) => connection = again,
                Err(failure) => return (self.sink)(Heard::Lost(failure)),
            }
            if connection.expect(&self.service, self.phrases.as_deref()).await.is_err() {
                continue;
            }
            // What has no result yet is told again.
            for chunk in &self.backlog.chunks {
                if connection.send_audio(chunk.clone()).await.is_err() {
                    break;
                }
            }
        }
    }

    async fn serve(&mut self, connection: &mut Connection, inbox: &mut mpsc::UnboundedReceiver<Order>) -> Ended {
        loop {
            if !self.speaking
                && let Some(wanted) = self.wanted.take_if(|wanted| *wanted != self.terms)
            {
                let reconnect = wanted.query != self.terms.query;
                self.terms = wanted;
                if reconnect {
                    return Ended::Reconnect;
                }
                if connection.restart(&self.terms.start).await.is_err() {
                    return Ended::Lost;
                }
            }
            tokio::select! {
                order = tokio::time::timeout(STARVING, inbox.recv()) => match order {
                    Ok(None) => return Ended::Over, // the call is over
                    Ok(Some(Order::Audio(bytes))) => {
                        self.backlog.push(bytes.clone());
                        if connection.send_audio(bytes).await.is_err() {
                            return Ended::Lost;
                        }
                    }
                    Ok(Some(Order::UtteranceBegan)) => self.speaking = true,
                    Ok(Some(Order::UtteranceEnded)) => self.speaking = false,
                    Ok(Some(Order::Expect(phrases))) => {
                        self.phrases = phrases;
                        if connection.expect(&self.service, self.phrases.as_deref()).await.is_err() {
                            return Ended::Lost;
                        }
                    }
                    Ok(Some(Order::Configure(config))) => {
                        let config = RecognizerConfig { line_rate: self.line_rate, ..config };
                        self.wanted = Some(self.service.terms(&config));
                    }
                    Err(_) => {
                        let second = if self.line_rate > 8000 { 32_000 } else { 8000 };
                        if connection.send_audio(vec![self.silence; second]).await.is_err() {
                            return Ended::Lost;
                        }
                    }
                },
                event = connection.next() => match event {
                    Event::Results(results) => {
                        for heard in results {
                            if matches!(heard, Heard::Final { .. }) {
                                self.backlog.forget();
                                self.speaking = false;
                            }
                            (self.sink)(heard);
                        }
                    }
                    Event::Nothing => {}
                    Event::Stopped => {
                        if connection.start_again().await.is_err() {
                            return Ended::Lost;
                        }
                    }
                    Event::Closed => return Ended::Lost,
                },
            }
        }
    }
}

enum Ended {
    /// The call is over.
    Over,
    /// The query changed.
    Reconnect,
    /// The service closed, or the network did.
    Lost,
}

async fn connect(service: &Service, terms: &Terms, tries: u32) -> Result<Connection, ServiceFailure> {
    let mut pause = PAUSE;
    let mut last = ServiceFailure::Overdue;
    for n in 0..tries {
        if n > 0 {
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        match Connection::open(service, terms).await {
            Ok(connection) => return Ok(connection),
            Err(failure) => {
                tracing::warn!(%failure, attempt = n + 1, "the recognizer cannot be connected to");
                last = failure;
            }
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

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
        assert_eq!(service.0.url, "wss://x/instances/1");
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

    #[test]
    fn the_backlog_is_bounded_and_keeps_the_last_half_second() {
        let mut backlog = Backlog::new(8000);
        (0..2000).for_each(|_| backlog.push(vec![0; 160]));
        assert!(backlog.bytes <= 15 * 8000 && backlog.bytes == backlog.chunks.iter().map(Vec::len).sum::<usize>());
        backlog.forget();
        assert_eq!(backlog.bytes, 4000);
    }
}
