//! How a conversation is led: the tenant's settings, and what the assistant changes of them in mid-call.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::redaction::Redaction;
use crate::response::fields::number;

/// Settings of one conversation.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Silence after a reply until the assistant is told (vendor default 7 s).
    pub post_response: Duration,
    /// The longest the caller may take for one utterance; none for no limit.
    pub final_utterance: Option<Duration>,
    /// One try of the assistant (vendor default 5 s).
    pub assistant: Duration,
    /// Silence of the caller over all turns that ends the call; none for no limit.
    pub inactivity: Option<Duration>,
    /// What interrupts a reply.
    pub barge_in: Trigger,
    /// Whether a reply goes on when what interrupted it was nothing.
    pub resume: bool,
    /// Utterances below this confidence are dropped: 0 to 1.
    pub confidence: f32,
    /// Whether the assistant is told of utterances that were dropped or not understood.
    pub notify_filtered: bool,
    /// Whether the assistant is told that the caller's audio comes badly.
    pub notify_network: bool,
    /// Whether our own voice heard back is dropped.
    pub suppress_echo: bool,
    /// What is masked in the transcript.
    pub redaction: Redaction,
}

/// What interrupts a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trigger {
    /// Speech, as soon as voice activity detection is sure of it.
    #[default]
    Speech,
    /// The recognizer's first words.
    Hypothesis,
}

impl Default for Policy {
    /// The vendor's defaults.
    fn default() -> Self {
        Self {
            post_response: Duration::from_secs(7),
            final_utterance: None,
            assistant: Duration::from_secs(5),
            inactivity: None,
            barge_in: Trigger::default(),
            resume: true,
            confidence: 0.0,
            notify_filtered: false,
            notify_network: false,
            suppress_echo: true,
            redaction: Redaction::default(),
        }
    }
}

/// The shortest and longest wait that an assistant may set.
const WAIT_MS: std::ops::RangeInclusive<u64> = 100..=600_000;

impl Policy {
    /// Takes over what an assistant set in `context.integrations.voice_telephony`; it holds until it is set anew.
    pub(super) fn update(&mut self, context: &Value) {
        let Some(set) = context.pointer("/integrations/voice_telephony") else { return };
        let wait =
            |at: Option<&Value>| number(at).map(|ms| Duration::from_millis(ms.clamp(*WAIT_MS.start(), *WAIT_MS.end())));
        if let Some(limit) = wait(set.get("post_response_timeout_count")) {
            self.post_response = limit;
        }
        if let Some(limit) = wait(set.get("final_utterance_timeout_count")) {
            self.final_utterance = Some(limit);
        }
        if let Some(limit) = wait(set.pointer("/turn_settings/timeout_count")) {
            self.assistant = limit;
        }
    }
}

/// Merges `cdr_custom_data`: new keys are added, known ones overwritten, and an empty text takes a key away.
pub(super) fn merge_custom_data(kept: &mut Map<String, Value>, context: &Value) {
    let Some(Value::Object(given)) = context.pointer("/integrations/voice_telephony/cdr_custom_data") else { return };
    for (name, value) in given {
        if value == "" {
            kept.remove(name);
        } else {
            kept.insert(name.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_an_assistant_sets_holds_until_it_is_set_anew() {
        let mut policy = Policy::default();
        policy.update(&json!({"integrations": {"voice_telephony": {"post_response_timeout_count": "9000",
            "final_utterance_timeout_count": 15000, "turn_settings": {"timeout_count": 12000}}}}));
        policy.update(&json!({"integrations": {"voice_telephony": {}}}));
        let waits = (policy.post_response, policy.final_utterance, policy.assistant);
        let seconds = Duration::from_secs;
        assert_eq!(waits, (seconds(9), Some(seconds(15)), seconds(12)));
    }

    #[test]
    fn custom_data_is_merged_and_removed_by_key() {
        let mut kept = Map::new();
        let given = |data: Value| json!({"integrations": {"voice_telephony": {"cdr_custom_data": data}}});
        merge_custom_data(&mut kept, &given(json!({"a": 1, "b": {"c": 2}})));
        merge_custom_data(&mut kept, &given(json!({"a": "", "b": 3, "d": 4})));
        assert_eq!(Value::Object(kept), json!({"b": 3, "d": 4}));
    }
}
