//! How a conversation is led: the tenant's settings, and what the assistant changes of them in mid-call.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::redaction::Redaction;
use crate::response::fields::{OutOfRange, within};

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
    /// So many turns in a row may follow each other without the caller and without anything heard; one more and the
    /// assistant counts as lost.
    pub silent_turns: u32,
    /// What interrupts a reply.
    pub barge_in: Trigger,
    /// Whether a reply goes on when what interrupted it was nothing.
    pub resume: bool,
    /// So much speech interrupts a reply for good, whether it is understood or not.
    pub sustained: Duration,
    /// What words have to say in it when the caller's turn ends; none if silence alone does.
    pub end_of_turn: Option<Silences>,
    /// Whether the assistant is asked while it is still being decided whether the caller has finished.
    pub preemptive: bool,
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

/// Silences after which a caller's turn ends, where words have something to say in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silences {
    /// After a whole expected phrase.
    pub complete: Duration,
    /// After words that go on.
    pub unfinished: Duration,
}

impl Default for Silences {
    fn default() -> Self {
        Self { complete: COMPLETE, unfinished: UNFINISHED }
    }
}

/// Silence after a whole expected phrase, unless the tenant sets another.
const COMPLETE: Duration = Duration::from_millis(250);
/// Silence after words that go on, unless the tenant sets another.
const UNFINISHED: Duration = Duration::from_millis(1200);
/// Speech that interrupts for good, unless the tenant sets another.
const SUSTAINED: Duration = Duration::from_millis(600);

/// What interrupts a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trigger {
    /// Speech, as soon as voice activity detection is sure of it.
    #[default]
    Speech,
    /// The recognizer's first words.
    InterimResult,
}

/// The caller's silence after a reply that becomes a turn, unless an assistant says another (the vendor's default).
const POST_RESPONSE: Duration = Duration::from_secs(7);
/// How long an assistant may take, unless it says another time (the vendor's default).
const ASSISTANT_MAX: Duration = Duration::from_secs(5);

impl Default for Policy {
    /// The vendor's defaults.
    fn default() -> Self {
        Self {
            post_response: POST_RESPONSE,
            final_utterance: None,
            assistant: ASSISTANT_MAX,
            inactivity: None,
            silent_turns: SILENT_TURNS,
            barge_in: Trigger::default(),
            resume: true,
            sustained: SUSTAINED,
            end_of_turn: Some(Silences::default()),
            preemptive: false,
            confidence: 0.0,
            notify_filtered: false,
            notify_network: false,
            suppress_echo: true,
            redaction: Redaction::default(),
        }
    }
}

/// Turns in a row without the caller in which nothing is heard, unless the tenant sets another number.
const SILENT_TURNS: u32 = 20;

/// The shortest and longest wait that an assistant may set, in milliseconds.
const WAIT_MS: std::ops::RangeInclusive<u64> = 100..=600_000;

impl Policy {
    /// Takes over what an assistant set in `context.integrations.voice_telephony`; it holds until it is set anew. What is
    /// out of range changes nothing and is returned.
    pub(super) fn update(&mut self, context: &Value) -> Vec<OutOfRange> {
        let mut refused = vec![];
        let Some(set) = context.pointer("/integrations/voice_telephony") else { return refused };
        let mut wait =
            |name: &'static str, from: &Value| Some(Duration::from_millis(within(from, name, WAIT_MS, &mut refused)?));
        if let Some(limit) = wait("post_response_timeout_count", set) {
            self.post_response = limit;
        }
        if let Some(limit) = wait("final_utterance_timeout_count", set) {
            self.final_utterance = Some(limit);
        }
        if let Some(limit) = set.get("turn_settings").and_then(|settings| wait("timeout_count", settings)) {
            self.assistant = limit;
        }
        refused
    }
}

/// Most bytes of `cdr_custom_data` that a record keeps, as JSON: an assistant may add to them in every turn.
pub(super) const CUSTOM_DATA_BYTES_MAX: usize = 64 * 1024;

/// Merges `cdr_custom_data`: new keys are added, known ones overwritten, and an empty text takes a key away. Whether all of
/// it had room: what has none is left out.
pub(super) fn merge_custom_data(kept: &mut Map<String, Value>, context: &Value, redaction: &Redaction) -> bool {
    let Some(Value::Object(given)) = context.pointer("/integrations/voice_telephony/cdr_custom_data") else {
        return true;
    };
    let size = |name: &str, value: &Value| name.len() + value.to_string().len();
    let mut bytes: usize = kept.iter().map(|(name, value)| size(name, value)).sum();
    let mut complete = true;
    for (name, value) in given {
        if let Some(before) = kept.get(name) {
            bytes -= size(name, before);
        }
        let more = if value == "" { 0 } else { size(name, value) };
        if value == "" || bytes + more > CUSTOM_DATA_BYTES_MAX {
            complete &= value == "";
            kept.remove(name);
        } else {
            let value = masked(value, redaction);
            bytes += size(name, &value);
            kept.insert(name.clone(), value);
        }
    }
    complete
}

/// A value as the record may hold it.
fn masked(value: &Value, redaction: &Redaction) -> Value {
    match value {
        Value::String(text) => Value::String(redaction.apply(text).into_owned()),
        Value::Array(all) => all.iter().map(|value| masked(value, redaction)).collect(),
        Value::Object(all) => {
            Value::Object(all.iter().map(|(name, value)| (name.clone(), masked(value, redaction))).collect())
        }
        Value::Number(_) | Value::Bool(_) | Value::Null => value.clone(),
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
    fn a_wait_out_of_range_is_as_if_it_were_not_there() {
        for bad in [json!(0), json!(-1), json!("0"), json!(99), json!(600_001), json!(1e300), json!("NaN"), json!([7])]
        {
            let mut policy = Policy::default();
            let set = json!({"integrations": {"voice_telephony": {"post_response_timeout_count": bad}}});
            assert_eq!(policy.update(&set).len(), 1, "{set}");
            assert_eq!(policy.post_response, Duration::from_secs(7), "{set}");
        }
        let absent = json!({"integrations": {"voice_telephony": {"post_response_timeout_count": null}}});
        assert_eq!(Policy::default().update(&absent).len(), 0);
    }

    #[test]
    fn custom_data_that_grow_without_end_come_to_one() {
        let mut kept = Map::new();
        let mut merge = |n: usize, length: usize| {
            let data = json!({format!("n{n}"): "x".repeat(length)});
            let context = json!({"integrations": {"voice_telephony": {"cdr_custom_data": data}}});
            merge_custom_data(&mut kept, &context, &Redaction::default())
        };
        assert!((0..30).all(|n| merge(n, 2000)));
        assert!(!(30..200).any(|n| merge(n, 6000)));
        assert!(merge(7, 10) && !merge(7, 900_000), "what is there may change");
        assert_eq!(kept.len(), 29);
    }

    #[test]
    fn custom_data_is_merged_and_removed_by_key() {
        let mut kept = Map::new();
        let given = |data: Value| json!({"integrations": {"voice_telephony": {"cdr_custom_data": data}}});
        let mut merge = |data| merge_custom_data(&mut kept, &given(data), &Redaction::default());
        merge(json!({"a": 1, "b": {"c": 2}}));
        merge(json!({"a": "", "b": 3, "d": 4, "e": ["card 4111 1111 1111 1111"]}));
        assert_eq!(Value::Object(kept), json!({"b": 3, "d": 4, "e": ["card •••• •••• •••• 1111"]}));
    }
}
