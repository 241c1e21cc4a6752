//! One WebSocket connection to the service: opening, starting, audio out, messages in.

use std::time::Duration;

use bellhop_dialogue::ports::{Fields, ServiceFailure};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::super::session::{self, Broken, Changed, Event};
use super::results::{Transaction, read_results};
use super::{Service, Terms};
use crate::http::CONNECT_MAX;
use crate::websocket;

/// The longest the service may take to say that it listens again after a `stop`.
const RESTART_MAX: Duration = Duration::from_secs(3);
/// The longest a goodbye may take.
const CLOSE_MAX: Duration = Duration::from_secs(1);
/// Most bytes of a message: results of a long utterance with alternatives, word by word.
const MESSAGE_MAX: usize = 1 << 20;
/// Most pieces of audio that wait for the service to listen again: some seconds. One that takes longer is broken.
const HELD_BACK_MAX: usize = 128;

pub(super) struct Connection {
    socket: websocket::Socket,
    transaction: Transaction,
    /// Audio that came while the service was being started anew.
    held_back: Option<(Fields, Vec<Bytes>)>,
}

impl Connection {
    pub(super) async fn open(service: &Service, terms: &Terms) -> Result<Self, ServiceFailure> {
        let refused = |why: String| ServiceFailure::Unavailable { why };
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&terms.query).finish();
        let url = format!("{}/v1/recognize?{query}", service.url.url().replacen("http", "ws", 1));
        let mut request = url.into_client_request().map_err(|_| refused("its URL is none".to_owned()))?;
        if let Some(authentication) = &service.authentication {
            let token = authentication.token().await?;
            let bearer = format!("Bearer {token}").parse().map_err(|_| refused("its token is none".to_owned()))?;
            request.headers_mut().insert("Authorization", bearer);
        }
        let upgrade = websocket::connect(request, service.url.reach(), &service.tls, MESSAGE_MAX);
        let (mut socket, response) = match tokio::time::timeout(CONNECT_MAX, upgrade).await {
            Err(_) => return Err(ServiceFailure::Overdue),
            Ok(Ok(connected)) => connected,
            Ok(Err(Error::Http(response))) => {
                return Err(refused(format!("the upgrade was refused with status {}", response.status().as_u16())));
            }
            Ok(Err(error)) => return Err(websocket::failure(&error)),
        };
        let transaction = Transaction::of(|name| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        });
        let start = Message::text(Value::Object(terms.start.clone()).to_string());
        socket.send(start).await.map_err(|_| refused("it broke off".to_owned()))?;
        Ok(Self { socket, transaction, held_back: None })
    }

    /// Other parameters: the service is stopped, gives what it has, listens, and is started anew.
    async fn restart(&mut self, start: &Fields) -> Result<(), Broken> {
        if self.held_back.is_none() {
            let stop = self.socket.send(Message::text(json!({"action": "stop"}).to_string()));
            tokio::time::timeout(RESTART_MAX, stop).await.map_err(|_| Broken)?.map_err(|_| Broken)?;
        }
        let kept = self.held_back.take().map(|(_, kept)| kept).unwrap_or_default();
        self.held_back = Some((start.clone(), kept));
        Ok(())
    }
}

impl session::Connection<Service> for Connection {
    async fn send_audio(&mut self, bytes: Bytes) -> Result<(), Broken> {
        if let Some((_, held_back)) = &mut self.held_back {
            held_back.push(bytes);
            return if held_back.len() > HELD_BACK_MAX { Err(Broken) } else { Ok(()) };
        }
        self.socket.send(Message::binary(bytes)).await.map_err(|_| Broken)
    }

    /// What the caller may say next, if the service wants to know.
    async fn expect_phrases(&mut self, service: &Service, phrases: Option<&[String]>) -> Result<(), Broken> {
        if !service.takes_phrases {
            return Ok(());
        }
        let message = json!({"action": "expect", "phrases": phrases});
        self.socket.send(Message::text(message.to_string())).await.map_err(|_| Broken)
    }

    /// Parameters of the query need another connection; the others are given with another start.
    async fn change(&mut self, from: &Terms, to: &Terms) -> Result<Changed, Broken> {
        if from.query != to.query {
            return Ok(Changed::Elsewhere);
        }
        self.restart(&to.start).await.map(|()| Changed::Here)
    }

    /// The next message; may be given up at any time without losing one.
    async fn next(&mut self) -> Event {
        let message = match self.socket.next().await {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Event::Closed,
            Some(Ok(_)) => return Event::Nothing,
        };
        let Ok(message) = bellhop_dialogue::json::read(message.as_bytes()) else { return Event::Nothing };
        if let Some(error) = message.get("error").and_then(Value::as_str) {
            tracing::warn!(error, "the recognizer ended the session: another is opened");
            return Event::Closed;
        }
        if let Some(warnings) = message.get("warnings") {
            tracing::warn!(%warnings, "the recognizer does not know a parameter");
        }
        if self.held_back.is_some() && message.get("state").and_then(Value::as_str) == Some("listening") {
            return Event::Waits;
        }
        match read_results(&message, &self.transaction) {
            heard if heard.is_empty() => Event::Nothing,
            heard => Event::Results(heard),
        }
    }

    /// The service has stopped: it is started anew, with what was held back.
    async fn go_on(&mut self) -> Result<(), Broken> {
        let Some((start, kept)) = self.held_back.take() else { return Ok(()) };
        self.socket.send(Message::text(Value::Object(start).to_string())).await.map_err(|_| Broken)?;
        for bytes in kept {
            self.socket.send(Message::binary(bytes)).await.map_err(|_| Broken)?;
        }
        Ok(())
    }

    async fn close(&mut self) {
        let _ = tokio::time::timeout(CLOSE_MAX, self.socket.close(None)).await;
    }
}
