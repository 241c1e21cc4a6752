//! A completion, put together from the pieces of a stream in whichever dialect it comes.
//!
//! What counts as what: text is `content`, as a text or as parts, and a `refusal`; thoughts (`reasoning_content`, `reasoning`,
//! parts of type `thinking`, marks in the text) are a sign of life and nothing else. A tool call is `tool_calls` or the older
//! `function_call`, in pieces or whole, arguments as text or as an object; a new name with a new id, or without one after
//! arguments that are whole, is a new call, whatever its index. The end is a `finish_reason` that says something, `[DONE]`, or
//! the end of the body. Invariants: at most [`CALLS_MAX`] calls of [`ARGUMENTS_MAX`] bytes, and [`CONTENT_MAX`] bytes of text:
//! a model that does not come to an end is cut off there, and what it said counts.

use bellhop_dialogue::plain_text;
use bellhop_dialogue::ports::{PartSink, ServiceFailure};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::shape;
use super::super::spoken::Spoken;
use super::hidden::Hidden;
use super::{CONTENT_MAX, INTERRUPTED, refusal, tools};

/// Most tool calls of a reply.
const CALLS_MAX: usize = 16;
/// Most bytes of the arguments of one.
const ARGUMENTS_MAX: usize = 64 * 1024;

/// A tool call.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Call {
    index: Option<u64>,
    /// Empty if the service gave none.
    pub(super) id: String,
    pub(super) name: String,
    text: String,
    whole: Option<Value>,
}

impl Call {
    /// An object; empty if the model wrote none.
    pub(super) fn arguments(&self) -> Value {
        let read = || self.read().unwrap_or_else(|| json!({}));
        self.whole.clone().unwrap_or_else(read)
    }

    fn read(&self) -> Option<Value> {
        let value: Value = bellhop_dialogue::json::read(self.text.trim().as_bytes()).ok()?;
        // Some write the object as a text.
        let value = value.as_str().and_then(|text| bellhop_dialogue::json::read(text.as_bytes()).ok()).unwrap_or(value);
        value.is_object().then_some(value)
    }

    fn is_whole(&self) -> bool {
        self.whole.is_some() || self.read().is_some()
    }
}

/// What a piece meant for the stream.
#[derive(Debug, PartialEq)]
pub(super) enum Taken {
    /// More comes.
    More,
    /// It is complete.
    Finished,
    /// It failed.
    Failed(ServiceFailure),
}

/// What is there of a completion.
pub(super) struct Completion {
    pub(super) spoken: Spoken,
    hidden: Hidden,
    content: String,
    calls: Vec<Call>,
    finish_reason: Option<String>,
    thought: bool,
    /// What came that is no completion.
    foreign: Option<Value>,
    /// What the caller said.
    said: String,
}

/// A completion that is complete.
pub(super) struct Complete {
    pub(super) content: String,
    pub(super) calls: Vec<Call>,
    /// The calls as responses.
    pub(super) generic: Vec<Value>,
    /// Whether the model thinks first, without a mark before.
    pub(super) thinks_first: bool,
}

impl Completion {
    pub(super) fn new(parts: PartSink, thinks_first: bool, said: String) -> Self {
        Self {
            spoken: Spoken::new(parts, |text| plain_text::of_page(&text.replace(INTERRUPTED, ""))),
            hidden: Hidden::new(thinks_first),
            content: String::new(),
            calls: vec![],
            finish_reason: None,
            thought: false,
            foreign: None,
            said,
        }
    }

    /// Takes a piece, or a whole completion of a service that does not stream.
    pub(super) fn take(&mut self, object: &Value, now: Instant) -> Taken {
        if let Some(failure) = refusal::in_stream(object, &self.said) {
            return Taken::Failed(failure);
        }
        let Some(choices) = object.get("choices").and_then(Value::as_array) else {
            self.foreign.get_or_insert_with(|| object.clone());
            return Taken::More;
        };
        // Of several the first is heard; what has none tells of usage or filters.
        let choice =
            choices.iter().find(|choice| choice.get("index").is_none_or(|index| index == 0 || index.is_null()));
        let Some(choice) = choice else { return Taken::More };
        let piece =
            ["delta", "message"].into_iter().find_map(|name| choice.get(name).filter(|piece| piece.is_object()));
        if let Some(piece) = piece {
            self.piece(piece, now);
        }
        if let Some(text) = choice.get("text").and_then(Value::as_str) {
            self.text(text, now);
        }
        let reason = choice.get("finish_reason").and_then(Value::as_str).filter(|reason| !reason.trim().is_empty());
        if let Some(reason) = reason {
            self.finish_reason = Some(reason.to_owned());
        }
        let is_finished = self.finish_reason.is_some() || self.content.len() >= CONTENT_MAX;
        if is_finished { Taken::Finished } else { Taken::More }
    }

    fn piece(&mut self, piece: &Value, now: Instant) {
        let thoughts = ["reasoning_content", "reasoning", "thinking", "reasoning_details"];
        if thoughts.iter().any(|name| piece.get(*name).is_some_and(|thought| !thought.is_null() && thought != "")) {
            self.thought = true;
            self.spoken.alive(now);
        }
        for name in ["content", "refusal"] {
            match piece.get(name) {
                Some(Value::String(text)) => self.text(text, now),
                Some(Value::Array(parts)) => parts.iter().for_each(|part| self.part(part, now)),
                Some(part @ Value::Object(_)) => self.part(part, now),
                _ => {}
            }
        }
        let calls = match piece.get("tool_calls") {
            Some(Value::Array(calls)) => calls.as_slice(),
            Some(call @ Value::Object(_)) => std::slice::from_ref(call),
            _ => &[],
        };
        for (n, call) in calls.iter().enumerate() {
            self.call(call, call.get("function").unwrap_or(call), n);
            self.spoken.alive(now);
        }
        if let Some(function) = piece.get("function_call").filter(|call| call.is_object()) {
            self.call(&Value::Null, function, 0);
            self.spoken.alive(now);
        }
    }

    fn part(&mut self, part: &Value, now: Instant) {
        match (part.get("type").and_then(Value::as_str), part) {
            (_, Value::String(text)) => self.text(text, now),
            (Some("text" | "output_text") | None, _) => {
                let text = part.get("text").map(|text| text.get("value").unwrap_or(text)).and_then(Value::as_str);
                self.text(text.unwrap_or_default(), now);
            }
            (Some("refusal"), _) => self.text(part["refusal"].as_str().unwrap_or_default(), now),
            // Thoughts, and what is not for the ear.
            (Some(_), _) => {
                self.thought = true;
                self.spoken.alive(now);
            }
        }
    }

    fn text(&mut self, text: &str, now: Instant) {
        let (text, revoked) = self.hidden.push(text);
        if revoked {
            self.content.clear();
            self.spoken.forget();
        }
        self.say(&text, now);
        self.spoken.alive(now);
    }

    fn say(&mut self, text: &str, now: Instant) {
        let text = &text[..text.floor_char_boundary(CONTENT_MAX.saturating_sub(self.content.len()))];
        self.content.push_str(text);
        if !text.is_empty() {
            self.spoken.hear(now, text);
        }
    }

    /// A tool call, or a piece of one: the `n`th of its message.
    fn call(&mut self, call: &Value, function: &Value, n: usize) {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let index = call.get("index").and_then(Value::as_u64);
        let (id, name) = (text(call.get("id")), text(function.get("name")));
        let place = self.calls.iter().rposition(|known| match (index, id.as_str()) {
            (_, id) if !id.is_empty() && known.id == id => true,
            (Some(index), _) => known.index == Some(index),
            (None, _) => true,
        });
        let known = place.map(|place| &self.calls[place]);
        let is_new = known.is_none_or(|known| {
            let another_id = !id.is_empty() && !known.id.is_empty() && id != known.id;
            let is_full = known.is_whole() || (tools::NAMES.contains(&known.name.as_str()) && known.name != name);
            let again = id.is_empty() && (is_full || (index.is_none() && n > 0));
            !name.is_empty() && !known.name.is_empty() && (another_id || again)
        });
        let place = match place {
            Some(place) if !is_new => place,
            _ if self.calls.len() == CALLS_MAX => return,
            _ => {
                self.calls.push(Call { index, ..Call::default() });
                self.calls.len() - 1
            }
        };
        let known = &mut self.calls[place];
        if known.id.is_empty() {
            known.id = id;
        }
        // Some repeat the name with every piece, some cut it too.
        if known.name != name && !tools::NAMES.contains(&known.name.as_str()) && known.name.len() < 100 {
            known.name.push_str(&name);
        }
        match function.get("arguments").or_else(|| function.get("parameters")) {
            Some(Value::String(piece)) if known.text.len() + piece.len() <= ARGUMENTS_MAX => known.text.push_str(piece),
            Some(whole @ Value::Object(_)) => known.whole = Some(whole.clone()),
            _ => {}
        }
    }

    /// A tool call that the model wrote out, for its server did not take it for one.
    fn written_call(&mut self, text: &str) {
        if let Ok(Value::Object(call)) = bellhop_dialogue::json::read(text.trim().as_bytes()) {
            let call = Value::Object(call);
            self.call(&json!({"index": self.calls.len() + 1000}), call.get("function").unwrap_or(&call), 0);
        }
    }

    /// It is at its end; `marked`: the service said so.
    pub(super) fn finish(mut self, marked: bool, now: Instant) -> Result<Complete, ServiceFailure> {
        let rest = self.hidden.finish();
        self.say(&rest, now);
        for call in std::mem::take(&mut self.hidden.calls) {
            self.written_call(&call);
        }
        let failed = |why: &str| Err(ServiceFailure::Unavailable { why: why.to_owned() });
        if !marked
            && self.finish_reason.is_none()
            && self.calls.iter().any(|call| !call.text.is_empty() && !call.is_whole())
        {
            return failed("its reply broke off in a tool call");
        }
        self.calls.retain(|call| tools::NAMES.contains(&call.name.as_str()));
        let generic: Vec<Value> =
            self.calls.iter().filter_map(|call| tools::carried_out(&call.name, &call.arguments())).collect();
        let content = self.content.replace(INTERRUPTED, "").trim().to_owned();
        if content.is_empty() && generic.is_empty() {
            return match (self.finish_reason.as_deref(), self.foreign) {
                (Some("content_filter"), _) => failed("its reply was kept back by a content filter"),
                (Some("length"), _) if self.thought => {
                    failed("it thought up to its limit and said nothing: raise max_tokens, or let it think less")
                }
                (None, Some(foreign)) => {
                    Err(shape::unexpected("`choices` with a `delta` or a `message`", Some(&foreign)))
                }
                _ => failed("its reply is empty"),
            };
        }
        self.spoken.finish(now);
        Ok(Complete { content, calls: self.calls, generic, thinks_first: self.hidden.was_unopened() })
    }
}
