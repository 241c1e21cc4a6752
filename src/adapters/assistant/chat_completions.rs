//! `chat_completions`: any language model behind the chat completions API, streamed and spoken by sentence.
//!
//! The model hands over, hangs up and asks for digits by tools; what happens to the caller otherwise (silence, keys, a
//! failed transfer) is told to it in brackets. Invariant: the conversation travels in the turn's context, bounded to
//! [`MESSAGES_MAX`]; nothing of it is kept here.

use std::collections::BTreeMap;
use std::time::Duration;

use bellhop_dialogue::ports::{
    Assistant, Fields, Part, PartSink, Pending, ServiceFailure, TurnInput, TurnReply, TurnRequest,
};
use bellhop_dialogue::sentences::Sentences;
use serde_json::{Value, json};

use super::streamed::each_object;
use crate::http;

/// Messages kept of a conversation; the oldest fall off, the prompt never does.
pub const MESSAGES_MAX: usize = 60;
/// The longest a turn may take in all.
pub const TURN_MAX: Duration = Duration::from_secs(120);

/// What to look at when it refuses.
const HINTS: [(u16, &str); 4] = [
    (401, "check the key"),
    (403, "check the key"),
    (404, "check the URL and the model"),
    (429, "its limit is reached"),
];

/// What the model is told before the tenant's own prompt.
const ON_THE_TELEPHONE: &str = "You are on the telephone: everything you write is spoken. Use short sentences, no lists, no \
markup, no emoji. What stands in brackets was not said by the caller but happened. Use the tools to transfer the caller to \
a person, to end the call, or to ask for digits.";

/// What the settings say.
#[derive(Clone)]
pub struct Settings {
    /// The API's base, like `https://api.openai.com/v1`.
    pub url: String,
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
}

impl ChatCompletions {
    /// An assistant; nothing is asked yet.
    pub fn new(settings: Settings) -> Self {
        let client = http::builder().timeout(TURN_MAX).build().expect("the client is made of constants");
        Self { client, settings }
    }

    async fn ask(&self, request: TurnRequest, parts: PartSink) -> Result<TurnReply, ServiceFailure> {
        let mut messages: Vec<Value> =
            request.context.get("messages").and_then(Value::as_array).cloned().unwrap_or_default();
        if let (TurnInput::Start, Some(greeting)) = (&request.input, &self.settings.greeting) {
            messages.push(json!({"role": "assistant", "content": greeting}));
            let generic = vec![json!({"response_type": "text", "text": greeting})];
            return Ok(TurnReply { generic, context: json!({"messages": messages}), ..TurnReply::default() });
        }
        messages.push(json!({"role": "user", "content": told(&request)}));
        let surplus = messages.len().saturating_sub(MESSAGES_MAX);
        messages.drain(..surplus);
        let prompt = json!({"role": "system", "content": format!("{ON_THE_TELEPHONE}\n\n{}", self.settings.prompt)});
        let all: Vec<&Value> = std::iter::once(&prompt).chain(&messages).collect();
        let mut body = Value::Object(self.settings.parameters.clone());
        body["model"] = json!(self.settings.model);
        body["stream"] = json!(true);
        body["messages"] = json!(all);
        body["tools"] = tools();
        let url = format!("{}/chat/completions", self.settings.url.trim_end_matches('/'));
        let mut post = self.client.post(url).header("Content-Type", "application/json");
        if let Some(key) = &self.settings.api_key {
            post = post.bearer_auth(key);
        }
        let response = post.body(body.to_string()).send().await.map_err(|error| http::failure(&error))?;
        let response = http::accepted(response, &HINTS)?;
        let mut completion = Completion::new(parts);
        each_object(response, |object| completion.take(&object)).await?;
        completion.finish(messages)
    }
}

/// What the caller did, as a message to the model.
fn told(request: &TurnRequest) -> String {
    let what = match &request.input {
        TurnInput::Start => "[The caller is on the line. Greet them.]".to_owned(),
        TurnInput::Speech { text, .. } => text.trim().to_owned(),
        TurnInput::Digits { digits, succeeded: true } => format!("[The caller pressed {digits} on the keypad.]"),
        TurnInput::Digits { digits, succeeded: false } => {
            format!("[The caller pressed only {digits} on the keypad, and then nothing.]")
        }
        TurnInput::Choice { .. } => request.input.text().to_owned(),
        TurnInput::PostResponseTimeout => "[The caller says nothing.]".to_owned(),
        TurnInput::FinalUtteranceTimeout => "[The caller speaks on and on.]".to_owned(),
        TurnInput::NetworkWarning => "[The connection to the caller is bad.]".to_owned(),
        TurnInput::NotUnderstood => "[The caller said something that was not understood.]".to_owned(),
        TurnInput::NoInput => "[Go on.]".to_owned(),
        TurnInput::SmsFailed => "[No text message could be sent.]".to_owned(),
        TurnInput::CallTransferFailed => "[The transfer failed: the caller is still on the line.]".to_owned(),
    };
    if request.barge_in_occurred { format!("[The caller interrupted you.] {what}") } else { what }
}

fn tools() -> Value {
    let tool = |name: &str, description: &str, properties: Value| {
        let parameters = json!({"type": "object", "properties": properties});
        json!({"type": "function", "function": {"name": name, "description": description, "parameters": parameters}})
    };
    json!([
        tool(
            "connect_to_agent",
            "Transfers the caller to a person. Say so first.",
            json!({
                "message_to_human_agent": {"type": "string", "description": "What the agent should know."},
                "custom_data": {"type": "object", "additionalProperties": {"type": "string"},
                    "description": "Names and values that are shown to the agent."},
            })
        ),
        tool("end_session", "Ends the call. Say good bye first.", json!({})),
        tool(
            "collect_digits",
            "Asks for digits on the keypad. Ask for them in words first.",
            json!({
                "count": {"type": "integer", "description": "So many digits end it."},
                "termination_key": {"type": "string", "description": "This key ends it, like #."},
                "secret": {"type": "boolean", "description": "Whether the digits are not for anybody to read."},
            })
        ),
    ])
}

/// Puts a reply together from the pieces of a stream.
struct Completion {
    parts: PartSink,
    sentences: Sentences,
    content: String,
    /// Name and arguments by index.
    calls: BTreeMap<u64, (String, String)>,
    finished: bool,
}

impl Completion {
    fn new(parts: PartSink) -> Self {
        Self { parts, sentences: Sentences::default(), content: String::new(), calls: BTreeMap::new(), finished: false }
    }

    /// Takes a piece, or a whole completion of a service that does not stream.
    fn take(&mut self, object: &Value) -> bool {
        let Some(choice) = object.pointer("/choices/0") else { return false };
        let piece = choice.get("delta").or_else(|| choice.get("message")).unwrap_or(&Value::Null);
        if let Some(text) = piece.get("content").and_then(Value::as_str) {
            self.content.push_str(text);
            self.sentences.push(text).into_iter().for_each(|text| self.say(text));
        }
        for (n, call) in piece.get("tool_calls").and_then(Value::as_array).into_iter().flatten().enumerate() {
            let index = call.get("index").and_then(Value::as_u64).unwrap_or(n as u64);
            let (name, arguments) = self.calls.entry(index).or_default();
            let text = |place: &str| call.pointer(place).and_then(Value::as_str).unwrap_or_default();
            name.push_str(text("/function/name"));
            arguments.push_str(text("/function/arguments"));
        }
        self.finished |= choice.get("finish_reason").is_some_and(Value::is_string);
        self.finished
    }

    fn say(&self, text: String) {
        (self.parts)(Part::Item(json!({"response_type": "text", "text": text})));
    }

    fn finish(mut self, mut messages: Vec<Value>) -> Result<TurnReply, ServiceFailure> {
        let failed = |why: &str| ServiceFailure::Unavailable { why: why.to_owned() };
        if !self.finished {
            return Err(failed("its reply broke off"));
        }
        if let Some(rest) = self.sentences.finish() {
            self.say(rest);
        }
        let generic: Vec<Value> =
            self.calls.values().filter_map(|(name, arguments)| carried_out(name, arguments)).collect();
        if self.content.trim().is_empty() && generic.is_empty() {
            return Err(failed("its reply is empty"));
        }
        let tools: Vec<String> = self.calls.values().map(|(name, _)| format!("[{name}]")).collect();
        let kept = format!("{} {}", self.content.trim(), tools.join(" "));
        messages.push(json!({"role": "assistant", "content": kept.trim()}));
        Ok(TurnReply { generic, context: json!({"messages": messages}), ..TurnReply::default() })
    }
}

/// A tool as a response.
fn carried_out(name: &str, arguments: &str) -> Option<Value> {
    let arguments: Value = serde_json::from_str(arguments).unwrap_or_default();
    let given = |name: &str| arguments.get(name).filter(|value| !value.is_null()).cloned();
    match name {
        "connect_to_agent" => {
            let mut item = json!({"response_type": "connect_to_agent"});
            if let Some(note) = given("message_to_human_agent") {
                item["message_to_human_agent"] = note;
            }
            item["transfer_info"] = json!({"target": {"amazon_connect": {"custom_data": given("custom_data").unwrap_or_else(|| json!({}))}}});
            Some(item)
        }
        "end_session" => Some(json!({"response_type": "end_session"})),
        "collect_digits" => {
            let mut parameters = json!({"mask": given("secret").unwrap_or(json!(false))});
            if let Some(count) = given("count") {
                parameters["count"] = count;
            }
            if given("termination_key").is_some() || given("count").is_none() {
                parameters["termination_key"] = given("termination_key").unwrap_or(json!("#"));
            }
            Some(json!({"response_type": "dtmf", "command_info": {"type": "collect", "parameters": parameters}}))
        }
        _ => None,
    }
}

impl Assistant for ChatCompletions {
    fn turn(&self, request: TurnRequest, parts: PartSink) -> Pending<Result<TurnReply, ServiceFailure>> {
        let this = self.clone();
        Box::pin(async move { this.ask(request, parts).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Answer, serve};
    use std::sync::{Arc, Mutex};

    fn request(input: TurnInput) -> TurnRequest {
        let context = json!({"messages": [{"role": "assistant", "content": "Hello."}], "integrations": {"x": 1}});
        TurnRequest { barge_in_occurred: true, ..TurnRequest::new(1, input, context) }
    }

    async fn asked(
        answer: Answer,
        input: TurnInput,
        greeting: Option<&str>,
    ) -> (Result<TurnReply, ServiceFailure>, Vec<String>, Value) {
        let (url, requests) = serve(vec![answer]).await;
        let parameters = json!({"temperature": 0.2, "stream": false}).as_object().cloned().unwrap_or_default();
        let assistant = ChatCompletions::new(Settings {
            url: format!("{url}/v1/"),
            model: "m-1".into(),
            api_key: Some("k3y".into()),
            prompt: "You sell bells.".into(),
            greeting: greeting.map(str::to_owned),
            parameters,
        });
        let parts = Arc::new(Mutex::new(vec![]));
        let sink = Arc::clone(&parts);
        let take = Box::new(move |part: Part| {
            let Part::Item(item) = part else { return };
            sink.lock().expect("alone").push(item["text"].as_str().unwrap_or("?").to_owned())
        });
        let reply = assistant.turn(request(input), take).await;
        let parts = parts.lock().expect("alone").clone();
        let sent = requests.lock().expect("alone").first().cloned().unwrap_or_default();
        let body = sent.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
        (reply, parts, serde_json::from_str(&body).unwrap_or_default())
    }

    fn stream(pieces: &[Value]) -> Answer {
        let events: String = pieces.iter().map(|piece| format!("data: {}\n\n", json!({"choices": [piece]}))).collect();
        Answer::new(200, "text/event-stream", format!(": hello\n\n{events}data: [DONE]\n\n"))
    }

    fn says(text: &str) -> TurnInput {
        TurnInput::Speech { text: text.into(), confidence: 1.0, result: None }
    }

    #[tokio::test]
    async fn a_completion_is_spoken_by_sentence_and_its_tools_are_carried_out() {
        let answer = stream(&[
            json!({"delta": {"role": "assistant", "content": ""}}),
            json!({"delta": {"content": "Of course I can. I will"}}),
            json!({"delta": {"content": " transfer you now."}}),
            json!({"delta": {"tool_calls": [{"index": 0, "function": {"name": "connect_to_agent", "arguments": "{\"message_to_human"}}]}}),
            json!({"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "_agent\": \"wants a bell\"}"}}]}}),
            json!({"delta": {}, "finish_reason": "tool_calls"}),
        ]);
        let (reply, parts, body) = asked(answer, says("a person please "), None).await;
        assert_eq!(parts, ["Of course I can.", "I will transfer you now."]);
        let reply = reply.expect("a reply");
        assert_eq!(reply.generic[0]["message_to_human_agent"], "wants a bell");
        let kept = reply.context["messages"].as_array().expect("messages");
        assert_eq!(
            kept.last().expect("kept")["content"],
            "Of course I can. I will transfer you now. [connect_to_agent]"
        );
        assert!(reply.context.get("integrations").is_none());
        assert_eq!((&body["model"], &body["stream"], &body["temperature"]), (&json!("m-1"), &json!(true), &json!(0.2)));
        assert!(body["messages"][0]["content"].as_str().is_some_and(|text| text.ends_with("You sell bells.")));
        assert_eq!(body["messages"][2]["content"], "[The caller interrupted you.] a person please");
    }

    #[tokio::test]
    async fn digits_are_asked_for_and_told() {
        let call = json!({"delta": {"tool_calls": [{"index": 0, "function": {"name": "collect_digits", "arguments": "{\"count\": 4, \"secret\": true}"}}]}, "finish_reason": "tool_calls"});
        let (reply, _, body) =
            asked(stream(&[call]), TurnInput::Digits { digits: "12".into(), succeeded: true }, None).await;
        let item = &reply.expect("a reply").generic[0];
        assert_eq!(item["command_info"]["parameters"], json!({"count": 4, "mask": true}));
        assert!(body["messages"][2]["content"].as_str().is_some_and(|text| text.contains("pressed 12")));
    }

    #[tokio::test]
    async fn a_greeting_needs_no_model_and_a_whole_completion_is_read_too() {
        let whole = Answer::json(
            200,
            &json!({"choices": [{"message": {"content": "Good morning."}, "finish_reason": "stop"}]}),
        );
        let (reply, parts, _) = asked(whole, TurnInput::Start, None).await;
        assert!(reply.is_ok() && parts == ["Good morning."]);
        let (reply, parts, body) = asked(stream(&[]), TurnInput::Start, Some("Hello from Acme.")).await;
        assert_eq!(
            (reply.expect("a reply").generic[0]["text"].clone(), parts.len(), body),
            (json!("Hello from Acme."), 0, Value::Null)
        );
    }

    #[tokio::test]
    async fn what_is_no_reply_is_a_failure() {
        for (answer, hint) in [
            (stream(&[json!({"delta": {"content": "Of course I can. I wi"}})]), "broke off"),
            (stream(&[json!({"delta": {}, "finish_reason": "stop"})]), "empty"),
            (Answer::json(401, &json!({})), "key"),
        ] {
            let (reply, ..) = asked(answer, says("hi"), None).await;
            let Err(ServiceFailure::Unavailable { why }) = reply else { panic!("a failure") };
            assert!(why.contains(hint), "{why}");
        }
    }
}
