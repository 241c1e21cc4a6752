//! The vendor's message API: a turn as the JSON that assistants of that shape read and write.
//!
//! Invariant: what we know of the call stands under `context.integrations` in every request, whatever the assistant left
//! there; what it set under `voice_telephony` comes back to it unchanged.

use serde_json::{Map, Value, json};

use crate::ports::{TurnInput, TurnReply, TurnRequest};

/// Most characters of `input.text`.
const TEXT_MAX: usize = 2048;

impl TurnRequest {
    /// `{"input": …, "context": …}`.
    pub fn message(&self) -> Value {
        let mut input = match &self.input {
            TurnInput::Choice { input, .. } => input.clone(),
            _ => Map::new(),
        };
        input.entry("message_type").or_insert(json!("text"));
        input.insert("text".to_owned(), json!(one_line(self.input.text())));
        input.insert("integrations".to_owned(), json!({"voice_telephony": self.variables()}));
        json!({"input": input, "context": self.context})
    }

    /// `input.integrations.voice_telephony`: what holds for this turn alone.
    pub(crate) fn variables(&self) -> Value {
        let mut variables = Map::new();
        let mut set = |name: &str, value: Value| variables.insert(name.to_owned(), value);
        set("barge_in_occurred", json!(self.barge_in_occurred));
        let by_key = matches!(self.input, TurnInput::Digits { .. } | TurnInput::Choice { by_key: true, .. });
        set("is_dtmf", json!(by_key));
        if let Some(interrupted) = &self.interrupted {
            set("barge_in_heard_text", json!(interrupted.heard));
        }
        if !self.digits_before.is_empty() {
            set("dtmf_digits_before", json!(self.digits_before));
        }
        match &self.input {
            TurnInput::Speech { text, confidence, result } => {
                let own = || {
                    json!({"result_index": 0, "results": [
                    {"final": true, "alternatives": [{"transcript": text, "confidence": confidence}]}]})
                };
                set("speech_to_text_result", result.clone().unwrap_or_else(own));
            }
            TurnInput::Digits { succeeded, .. } => {
                set("dtmf_collection_succeeded", json!(succeeded));
            }
            TurnInput::PostResponseTimeout => {
                set("post_response_timeout_occurred", json!(true));
            }
            TurnInput::FinalUtteranceTimeout => {
                set("final_utterance_timeout_occurred", json!(true));
            }
            TurnInput::Start
            | TurnInput::NotUnderstood
            | TurnInput::NetworkWarning
            | TurnInput::Choice { .. }
            | TurnInput::NoInput
            | TurnInput::SmsFailed
            | TurnInput::CallTransferFailed => {}
        }
        Value::Object(variables)
    }
}

/// Neither line breaks nor tabs, and not too long: the API refuses them.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if matches!(c, '\r' | '\n' | '\t') { ' ' } else { c }).take(TEXT_MAX).collect()
}

impl TurnReply {
    /// Reads `{"output": {"generic": […]}, "context": …}`; what is missing is empty.
    pub fn from_message(mut message: Value) -> Self {
        let output = message.get_mut("output").map(Value::take).unwrap_or_default();
        let generic = output.get("generic").and_then(Value::as_array).cloned().unwrap_or_default();
        let context = message.get_mut("context").map(Value::take).unwrap_or_default();
        // Older assistants leave their commands beside `generic`, or in the context.
        let has_command = |at: &Value| at.get("vgwAction").is_some() || at.get("vgwActionSequence").is_some();
        let legacy = [&output, &context].into_iter().find(|at| has_command(at)).map(|at| {
            let kept = ["vgwAction", "vgwActionSequence"].into_iter();
            kept.filter_map(|name| Some((name.to_owned(), at.get(name)?.clone()))).collect()
        });
        let mut context = context;
        if let Value::Object(context) = &mut context {
            context.remove("vgwAction");
            context.remove("vgwActionSequence");
        }
        Self { generic, legacy: legacy.map_or(Value::Null, Value::Object), context, ..Self::default() }
    }
}

/// The context of the next request: what the assistant returned, with what we know of the call.
pub(crate) fn with_integrations(context: &Value, ours: Map<String, Value>) -> Value {
    let mut context = match context {
        Value::Object(map) => map.clone(),
        _ => Map::new(),
    };
    let integrations = context.entry("integrations").or_insert_with(|| json!({}));
    if !integrations.is_object() {
        *integrations = json!({});
    }
    for (name, value) in ours {
        match (integrations.get_mut(&name), value) {
            (Some(Value::Object(theirs)), Value::Object(value)) => theirs.extend(value),
            (_, value) => integrations[name] = value,
        }
    }
    Value::Object(context)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call_facts::CallFacts;

    fn request(input: TurnInput) -> TurnRequest {
        TurnRequest::new(1, input, Value::Null)
    }

    #[test]
    fn the_published_example_is_what_we_send() {
        let result = json!({"result_index": 0, "results": [{"final": true, "alternatives": [
            {"transcript": "agent ", "confidence": 0.78}]}], "transactionID": "43dd"});
        let said = TurnInput::Speech { text: "agent ".into(), confidence: 0.78, result: Some(result.clone()) };
        let message = request(said).message();
        assert_eq!(message["input"]["text"], "agent ");
        let expected = json!({"speech_to_text_result": result, "is_dtmf": false, "barge_in_occurred": false});
        assert_eq!(message["input"]["integrations"]["voice_telephony"], expected);
    }

    #[test]
    fn flags_tell_what_ended_the_wait() {
        let flags = |input| request(input).variables();
        assert_eq!(flags(TurnInput::PostResponseTimeout)["post_response_timeout_occurred"], true);
        assert_eq!(flags(TurnInput::FinalUtteranceTimeout)["final_utterance_timeout_occurred"], true);
        let digits = flags(TurnInput::Digits { digits: "12".into(), succeeded: false });
        assert_eq!((&digits["is_dtmf"], &digits["dtmf_collection_succeeded"]), (&json!(true), &json!(false)));
    }

    #[test]
    fn a_choice_sends_what_its_author_laid_down() {
        let Value::Object(input) = json!({"text": "sales", "suggestion_id": "7", "intents": []}) else { panic!() };
        let message = request(TurnInput::Choice { input, by_key: true }).message();
        assert_eq!((&message["input"]["suggestion_id"], &message["input"]["text"]), (&json!("7"), &json!("sales")));
        assert_eq!(message["input"]["integrations"]["voice_telephony"]["is_dtmf"], true);
    }

    #[test]
    fn text_is_one_line_of_bounded_length() {
        let long = format!("a\r\n\tb{}", "c".repeat(5000));
        let message = request(TurnInput::Speech { text: long, confidence: 1.0, result: None }).message();
        let text = message["input"]["text"].as_str().expect("text");
        assert!(text.starts_with("a   b") && text.chars().count() == 2048);
    }

    #[test]
    fn what_we_know_stands_beside_what_the_assistant_set() {
        let facts = CallFacts {
            caller: "+1859".into(),
            dialled: "+1888".into(),
            invite_headers: vec![("X-customer-name".into(), "my_name".into())],
            ..CallFacts::default()
        };
        let theirs = json!({"skills": 1, "integrations": {"chat": {"a": 1}, "voice_telephony": {"post_response_timeout_count": 9000}}});
        let context = with_integrations(&theirs, facts.integrations());
        assert_eq!(context.pointer("/skills"), Some(&json!(1)));
        assert_eq!(context.pointer("/integrations/chat/a"), Some(&json!(1)));
        assert_eq!(context.pointer("/integrations/channel/name"), Some(&json!("Phone")));
        assert_eq!(context.pointer("/integrations/voice_telephony/post_response_timeout_count"), Some(&json!(9000)));
        assert_eq!(context.pointer("/integrations/voice_telephony/private/user_phone_number"), Some(&json!("+1859")));
        assert_eq!(
            context.pointer("/integrations/voice_telephony/sip_custom_invite_headers/X-customer-name"),
            Some(&json!("my_name"))
        );
        assert!(!format!("{facts:?}").contains("859"));
    }

    #[test]
    fn a_reply_is_read_with_older_commands_beside_it() {
        let reply = TurnReply::from_message(json!({"output": {"generic": [{"response_type": "text"}],
            "vgwAction": {"command": "vgwActHangup"}}, "context": {"skills": {}}}));
        assert_eq!((reply.generic.len(), &reply.legacy), (1, &json!({"vgwAction": {"command": "vgwActHangup"}})));
        let reply = TurnReply::from_message(json!({"context": {"vgwAction": {"command": "vgwActHangup"}, "a": 1}}));
        assert_eq!((reply.context, reply.legacy.is_null()), (json!({"a": 1}), false));
    }
}
