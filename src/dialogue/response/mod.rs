//! The response types of the vendor's `output.generic[]`, one file each, read tolerantly.
//!
//! Invariant: order is kept, an unknown type is [`Response::Unsupported`] and never an error, and numbers and booleans may
//! come as strings.

mod activities;
mod connect_to_agent;
mod dtmf;
mod end_session;
pub mod sip_target;
mod text;

use serde_json::Value;

pub use activities::Activities;
pub use connect_to_agent::ConnectToAgent;
pub use dtmf::{DtmfCollect, DtmfSend, KeyPress};
pub use sip_target::SipTarget;

/// The name of our channel in a `channels` filter.
pub const CHANNEL: &str = "voice_telephony";

/// One response.
#[derive(Debug, Clone, PartialEq)]
pub enum Response {
    /// Speak.
    Text {
        /// What, possibly SSML.
        text: String,
    },
    /// Collect digits.
    Dtmf(DtmfCollect),
    /// Hand the caller over.
    ConnectToAgent(ConnectToAgent),
    /// Take speech or keys again.
    Start(Activities),
    /// Take no speech or keys.
    Stop(Activities),
    /// Press keys towards the caller.
    SendKeys(DtmfSend),
    /// Hang up.
    EndSession {
        /// Headers of the BYE: names and values.
        headers: Vec<(String, String)>,
    },
    /// A type or command that this channel does not serve; counted and skipped.
    Unsupported {
        /// Its `response_type`.
        response_type: String,
    },
}

impl Response {
    /// Whether it ends the conversation.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::ConnectToAgent(_) | Self::EndSession { .. })
    }
}

/// Reads `output.generic[]`; items for other channels are left out.
pub fn read(generic: &[Value]) -> Vec<Response> {
    generic.iter().filter(|item| is_for_us(item)).map(read_one).collect()
}

fn read_one(item: &Value) -> Response {
    let response_type = item.get("response_type").and_then(Value::as_str).unwrap_or_default();
    let known = match response_type {
        "text" => text::read(item),
        "dtmf" => dtmf::read(item),
        "start_activities" => Some(activities::read(item, true)),
        "stop_activities" => Some(activities::read(item, false)),
        "connect_to_agent" => Some(connect_to_agent::read(item)),
        "end_session" => Some(end_session::read(item)),
        _ => None,
    };
    known.unwrap_or_else(|| Response::Unsupported { response_type: response_type.to_owned() })
}

/// Without a `channels` list everybody serves an item; with one, only who is listed.
fn is_for_us(item: &Value) -> bool {
    let Some(channels) = item.get("channels").and_then(Value::as_array) else { return true };
    channels.iter().any(|entry| entry.get("channel").unwrap_or(entry).as_str() == Some(CHANNEL))
}

/// A whole number, also as a string.
fn number(value: Option<&Value>) -> Option<u64> {
    match value? {
        Value::Number(number) => number.as_u64().or_else(|| number.as_f64().map(|n| n as u64)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn order_is_kept_and_the_unknown_is_skipped() {
        let generic = [
            json!({"response_type": "text", "text": "a"}),
            json!({"response_type": "hologram"}),
            json!({"response_type": "end_session"}),
        ];
        let read = read(&generic);
        assert_eq!(
            read,
            [
                Response::Text { text: "a".into() },
                Response::Unsupported { response_type: "hologram".into() },
                Response::EndSession { headers: vec![] }
            ]
        );
    }

    #[test]
    fn other_channels_items_are_not_ours() {
        let generic = [
            json!({"response_type": "text", "text": "web", "channels": [{"channel": "chat"}]}),
            json!({"response_type": "text", "text": "both", "channels": [{"channel": "chat"}, {"channel": "voice_telephony"}]}),
        ];
        assert_eq!(read(&generic), [Response::Text { text: "both".into() }]);
    }

    #[test]
    fn numbers_may_be_strings() {
        for count in [json!(4), json!("4"), json!(4.0)] {
            assert_eq!(number(Some(&count)), Some(4));
        }
    }
}
