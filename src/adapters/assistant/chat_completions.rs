//! `chat_completions`: any language model behind the chat completions API, streamed and spoken by sentence.
//!
//! The model hands over, hangs up and asks for digits by tools; what happens to the caller otherwise (silence, keys, a
//! failed transfer) is told to it in brackets. Its dialects are read in `completion`, the conversation is kept by `history`.
//! Invariant: the conversation travels in the turn's context, bounded to [`MESSAGES_MAX`]; nothing of it is kept here.

mod completion;
mod hidden;
mod history;
mod refusal;
#[cfg(test)]
mod tests;
mod tools;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use bellhop_dialogue::ports::{
    Assistant, Fields, PartSink, Pending, ServiceFailure, TurnInput, TurnReply, TurnRequest,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::streamed::{Next, Values};
use crate::http;
use crate::reach::Endpoint;
use completion::{Complete, Completion, Taken};
use history::History;
pub use history::MESSAGES_MAX;

/// Most bytes of a stream: a token of a thought costs hundreds.
const STREAM_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most bytes that are read of a refusal.
const REFUSAL_BYTES_MAX: usize = 16 * 1024;

/// Most bytes of one message.
const CONTENT_MAX: usize = 16 * 1024;
/// How words that were cut off are marked.
const INTERRUPTED: &str = "[interrupted]";
/// What the model is told before the tenant's own prompt.
const ON_THE_TELEPHONE: &str = "You are on the telephone: everything you write is spoken. Use short sentences, no lists, no \
markup, no emoji. What stands in brackets was not said by the caller but happened. Use the tools to transfer the caller to \
a person, to end the call, or to ask for digits.";

/// What the settings say.
#[derive(Clone)]
pub struct Settings {
    /// The API's base, like `https://api.openai.com/v1`.
    pub url: Endpoint,
    /// The model.
    pub model: String,
    /// The key, if the service wants one.
    pub api_key: Option<String>,
    /// What the model is told of its task.
    pub prompt: String,
    /// The first words; without them the model makes its own.
    pub greeting: Option<String>,
    /// More parameters of the request, like `temperature`.
    pub parameters: Fields,
}

/// A language model on the telephone.
#[derive(Clone)]
pub struct ChatCompletions {
    client: reqwest::Client,
    settings: Settings,
    /// Whether the model writes its thoughts first, with no mark before them.
    thinks_first: Arc<AtomicBool>,
}

impl ChatCompletions {
    /// An assistant; nothing is asked yet.
    pub fn new(settings: Settings) -> Self {
        let client = http::builder(settings.url.reach())
            .timeout(super::TURN_MAX)
            .build()
            .expect("the client is made of constants");
        Self { client, settings, thinks_first: Arc::default() }
    }

    async fn ask(&self, request: TurnRequest, parts: PartSink) -> Result<TurnReply, ServiceFailure> {
        let mut history = History::of(&request);
        if let (TurnInput::Start, Some(greeting)) = (&request.input, &self.settings.greeting) {
            history.answer(greeting, &[]);
            let generic = vec![json!({"response_type": "text", "text": greeting})];
            return Ok(TurnReply { generic, context: history.context(), ..TurnReply::default() });
        }
        let said = request.input.text().to_owned();
        let response = self.post(&mut history, &said).await?;
        let Complete { content, calls, generic, thinks_first } =
            read(response, Completion::new(parts, self.thinks_first.load(Ordering::Relaxed), said)).await?;
        if thinks_first {
            self.thinks_first.store(true, Ordering::Relaxed);
        }
        history.answer(&content, &calls);
        Ok(TurnReply { generic, context: history.context(), ..TurnReply::default() })
    }

    async fn post(&self, history: &mut History, said: &str) -> Result<reqwest::Response, ServiceFailure> {
        let prompt = json!({"role": "system", "content": format!("{ON_THE_TELEPHONE}\n\n{}", self.settings.prompt)});
        let all: Vec<&Value> = std::iter::once(&prompt).chain(history.messages()).collect();
        let mut body = Value::Object(self.settings.parameters.clone());
        body["model"] = json!(self.settings.model);
        body["stream"] = json!(true);
        body["messages"] = json!(all);
        body["tools"] = tools::schema();
        let url = format!("{}/chat/completions", self.settings.url.url().trim_end_matches('/'));
        let mut post = self.client.post(url).header("Content-Type", "application/json");
        if let Some(key) = &self.settings.api_key {
            post = post.bearer_auth(key);
        }
        let response = post.body(body.to_string()).send().await.map_err(|error| http::failure(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let retry_after = http::retry_after(&response, SystemTime::now());
        let body = http::body(response, REFUSAL_BYTES_MAX).await.unwrap_or_default();
        Err(refusal::of_status(status.as_u16(), &body, retry_after, said))
    }
}

/// Reads a completion to its end.
async fn read(response: reqwest::Response, mut completion: Completion) -> Result<Complete, ServiceFailure> {
    let mut values = Values::new(response, STREAM_BYTES_MAX);
    loop {
        let next = match completion.spoken.deadline() {
            None => values.next().await?,
            Some(at) => match tokio::time::timeout_at(at, values.next()).await {
                Ok(next) => next?,
                Err(_) => {
                    completion.spoken.hurry(Instant::now());
                    continue;
                }
            },
        };
        match next {
            Next::Value(value) => match completion.take(&value, Instant::now()) {
                Taken::More => {}
                Taken::Finished => break,
                Taken::Failed(failure) => {
                    values.drain().await;
                    return Err(failure);
                }
            },
            Next::Done => break,
            Next::End => return completion.finish(false, Instant::now()),
        }
    }
    let complete = completion.finish(true, Instant::now());
    values.drain().await;
    complete
}

impl Assistant for ChatCompletions {
    fn turn(&self, request: TurnRequest, parts: PartSink) -> Pending<Result<TurnReply, ServiceFailure>> {
        let this = self.clone();
        Box::pin(async move { this.ask(request, parts).await })
    }
}
