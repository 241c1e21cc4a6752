//! The history of a conversation as a model reads it: messages whose roles are in turn.
//!
//! Tool calls stand in it as they were made, and the turn that follows one is its result: the digits, or what came instead.
//! So it goes user, assistant, user … whatever happens, with `tool` in place of `user` after a call, one call a message:
//! strict templates refuse two of a role in a row, an assistant that begins, and a user behind a tool. Invariants: at most
//! [`MESSAGES_MAX`] messages, each of at most [`CONTENT_MAX`] bytes; of a reply that was interrupted only the words that were
//! heard, marked as interrupted.

use bellhop_dialogue::ports::{TurnInput, TurnRequest};
use serde_json::{Value, json};

use super::completion::Call;
use super::{CONTENT_MAX, INTERRUPTED};

/// Messages kept of a conversation; the oldest fall off, the prompt never does.
pub const MESSAGES_MAX: usize = 60;

/// Messages, oldest first.
pub(super) struct History(Vec<Value>);

impl History {
    /// What a turn's context holds, with what was heard of the reply before, and the turn itself.
    pub(super) fn of(request: &TurnRequest) -> Self {
        let kept = request.context.get("messages").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut history = Self(kept);
        if let Some(interrupted) = &request.interrupted {
            if let Some(turn) = &interrupted.unknown_turn {
                history.hear(&happened(turn, ""), matches!(turn, TurnInput::Speech { .. }));
                history.answer("", &[]);
            }
            history.only_heard(interrupted.heard.trim());
        }
        let mut what = happened(&request.input, &request.digits_before);
        if request.barge_in_occurred {
            what = format!("[The caller interrupted you.] {what}");
        }
        history.hear(&what, matches!(request.input, TurnInput::Speech { .. }));
        history
    }

    /// The caller's turn.
    fn hear(&mut self, what: &str, in_words: bool) {
        let calls = match self.0.last_mut() {
            Some(last) if last["role"] == "assistant" => {
                last.as_object_mut().and_then(|last| last.remove("tool_calls"))
            }
            _ => None,
        };
        let calls = calls.as_ref().and_then(Value::as_array).cloned().unwrap_or_default();
        if calls.is_empty() {
            return self.push("user", what);
        }
        let content = self.0.pop().map(|mut last| last["content"].take()).unwrap_or_default();
        let newest = calls.len() - 1;
        for (n, call) in calls.into_iter().enumerate() {
            let asked_for_digits = call["function"]["name"] == "collect_digits";
            let result = match (n == newest, asked_for_digits && in_words) {
                (true, true) => format!("[No digits were pressed. The caller said:] {what}"),
                (true, false) => what.to_owned(),
                (false, _) => "[Done.]".to_owned(),
            };
            let result = json!({"role": "tool", "tool_call_id": call["id"], "content": cut(&result)});
            let content = if n == 0 { content.clone() } else { json!("") };
            self.0.push(json!({"role": "assistant", "content": content, "tool_calls": [call]}));
            self.0.push(result);
        }
    }

    /// The assistant's turn.
    pub(super) fn answer(&mut self, content: &str, calls: &[Call]) {
        let mut message = json!({"role": "assistant", "content": cut(content)});
        if !calls.is_empty() {
            let number = self.0.len();
            let each = |(n, call): (usize, &Call)| {
                // Some services want nine letters and digits.
                let id = if call.id.is_empty() { format!("call{number:03}{:02}", n % 100) } else { call.id.clone() };
                let arguments = call.arguments().to_string();
                json!({"id": id, "type": "function", "function": {"name": call.name, "arguments": arguments}})
            };
            message["tool_calls"] = calls.iter().enumerate().map(each).collect();
        }
        self.0.push(message);
    }

    /// The caller heard no more of the last reply than this.
    fn only_heard(&mut self, heard: &str) {
        let Some(last) = self.0.last_mut().filter(|last| last["role"] == "assistant") else { return };
        if !heard.is_empty() {
            last["content"] = json!(format!("{} {INTERRUPTED}", cut(heard)));
        } else if last.get("tool_calls").is_some() {
            last["content"] = json!("");
        } else {
            self.0.pop();
        }
    }

    /// Adds to the last message if that has the same part in the conversation.
    fn push(&mut self, role: &str, content: &str) {
        let last = self.0.last_mut().filter(|last| last["role"] == role || last["role"] == "tool");
        match last {
            Some(last) => {
                let before = last["content"].as_str().unwrap_or_default();
                last["content"] = json!(cut_front(&format!("{before}\n{content}")));
            }
            None => self.0.push(json!({"role": role, "content": cut(content)})),
        }
    }

    /// What goes into the request behind the prompt.
    pub(super) fn messages(&mut self) -> &[Value] {
        let surplus = self.0.len().saturating_sub(MESSAGES_MAX - 1);
        self.0.drain(..surplus);
        while self.0.first().is_some_and(|first| first["role"] == "tool") {
            self.0.remove(0);
        }
        if self.0.first().is_none_or(|first| first["role"] != "user") {
            self.0.insert(0, json!({"role": "user", "content": "[The caller is on the line.]"}));
        }
        &self.0
    }

    /// What is handed back with the next turn.
    pub(super) fn context(mut self) -> Value {
        self.messages();
        json!({"messages": self.0})
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(CONTENT_MAX)]
}

fn cut_front(text: &str) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(CONTENT_MAX))..]
}

/// What the caller did, as a message to the model.
fn happened(input: &TurnInput, digits_before: &str) -> String {
    let what = match input {
        TurnInput::Start => "[The caller is on the line. Greet them.]".to_owned(),
        TurnInput::Speech { text, .. } => text.trim().to_owned(),
        TurnInput::Digits { digits, succeeded: true } => format!("[The caller pressed {digits} on the keypad.]"),
        TurnInput::Digits { digits, succeeded: false } => {
            format!("[The caller pressed only {digits} on the keypad, and then nothing.]")
        }
        TurnInput::Choice { .. } => input.text().to_owned(),
        TurnInput::PostResponseTimeout => "[The caller says nothing.]".to_owned(),
        TurnInput::FinalUtteranceTimeout => "[The caller speaks on and on.]".to_owned(),
        TurnInput::NetworkWarning => "[The connection to the caller is bad.]".to_owned(),
        TurnInput::NotUnderstood => "[The caller said something that was not understood.]".to_owned(),
        TurnInput::NoInput => "[Go on.]".to_owned(),
        TurnInput::SmsFailed => "[No text message could be sent.]".to_owned(),
        TurnInput::CallTransferFailed => "[The transfer failed: the caller is still on the line.]".to_owned(),
    };
    if digits_before.is_empty() { what } else { format!("[The caller pressed {digits_before} on the keypad.] {what}") }
}
