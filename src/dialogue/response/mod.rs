//! The response types of the vendor's `output.generic[]`, one file each, read tolerantly.
//!
//! Invariant: order is kept, an unknown type is [`Response::Unsupported`] and never an error, and numbers and booleans may
//! come as strings.

mod activities;
mod audio;
mod connect_to_agent;
mod dtmf;
mod end_session;
pub(crate) mod fields;
mod options;
mod search;
pub mod sip_target;
mod speech_to_text;
mod text;
mod text_to_speech;
mod user_defined;

use serde_json::Value;

pub use activities::Activities;
pub use audio::Audio;
pub use connect_to_agent::ConnectToAgent;
pub use dtmf::{DigitPress, DtmfCollect, DtmfSend, digit_named};
pub use fields::OutOfRange;
pub use options::{Choice, OptionList, OptionsConfig};
pub use sip_target::SipTarget;
pub use speech_to_text::SpeechToTextUpdate;
pub use text_to_speech::TextToSpeechUpdate;

/// The name of our channel in a `channels` filter.
pub(crate) const CHANNEL: &str = "voice_telephony";

/// One response.
#[derive(Debug, Clone, PartialEq)]
pub enum Response {
    /// Speak.
    Text {
        /// Plain text, or SSML.
        text: String,
    },
    /// Play a sound.
    Audio(Audio),
    /// Offer a list to choose from.
    Options(OptionList),
    /// Change how the caller is understood.
    SpeechToText(SpeechToTextUpdate),
    /// Change the voice.
    TextToSpeech(TextToSpeechUpdate),
    /// Change whether the caller may interrupt.
    BargeIn(BargeInSwitch),
    /// Collect digits.
    Dtmf(DtmfCollect),
    /// Hand the caller over.
    ConnectToAgent(ConnectToAgent),
    /// Take speech or digits again.
    Start(Activities),
    /// Take no speech or digits.
    Stop(Activities),
    /// Send digits towards the caller.
    SendDigits(DtmfSend),
    /// Start a turn at once, while what was said still sounds.
    ForceNoInputTurn,
    /// Keep nothing of what this reply says.
    ExcludeFromCache,
    /// How lists to choose from are offered.
    OptionsConfig(OptionsConfig),
    /// How lists are offered when the assistant did not know what was meant.
    DisambiguationConfig(OptionsConfig),
    /// Send a text message: there is no service for that, which the assistant is told.
    SendSms,
    /// Hang up.
    EndSession {
        /// Headers of the BYE: names and values.
        headers: Vec<(String, String)>,
    },
    /// A type or command that this channel does not serve; counted and skipped.
    Unsupported {
        /// As the assistant wrote it.
        response_type: String,
    },
}

/// Whether the caller may interrupt, and by what; in force until switched again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BargeInSwitch {
    /// What the caller would interrupt with.
    pub by: Means,
    /// Whether that interrupts from here on.
    pub allowed: bool,
}

/// How a caller makes themselves heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// By voice.
    Speech,
    /// By digits.
    Digits,
}

impl Response {
    /// `response[].type` in the call detail record of what is done in silence and does not end the conversation: that
    /// which is heard or ends it is told with its own outputs.
    pub(crate) fn record_types(&self) -> &'static [&'static str] {
        match self {
            Self::SpeechToText(_) => &["speech_to_text_config"],
            Self::BargeIn(BargeInSwitch { by: Means::Speech, allowed: true }) => &["enable_speech_barge_in"],
            Self::BargeIn(BargeInSwitch { by: Means::Speech, allowed: false }) => &["disable_speech_barge_in"],
            Self::BargeIn(BargeInSwitch { by: Means::Digits, allowed: true }) => &["enable_dtmf_barge_in"],
            Self::BargeIn(BargeInSwitch { by: Means::Digits, allowed: false }) => &["disable_dtmf_barge_in"],
            Self::Start(Activities { speech: true, digits: true }) => &["unpause_speech_to_text", "unpause_dtmf"],
            Self::Start(Activities { speech: true, digits: false }) => &["unpause_speech_to_text"],
            Self::Start(Activities { speech: false, digits: true }) => &["unpause_dtmf"],
            Self::Stop(Activities { speech: true, digits: true }) => &["pause_speech_to_text", "pause_dtmf"],
            Self::Stop(Activities { speech: true, digits: false }) => &["pause_speech_to_text"],
            Self::Stop(Activities { speech: false, digits: true }) => &["pause_dtmf"],
            _ => &[],
        }
    }

    /// Whether it ends the conversation.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::ConnectToAgent(_) | Self::EndSession { .. })
    }
}

/// Reads `output.generic[]`, and which parameters of it are as if they were not there; items for other channels are left
/// out.
pub fn read(generic: &[Value]) -> (Vec<Response>, Vec<OutOfRange>) {
    let mut refused = vec![];
    let ours = generic.iter().filter(|item| is_for_us(item));
    let responses = ours.flat_map(|item| read_one(item, &mut refused)).collect();
    (responses, refused)
}

/// Reads what older assistants put beside `generic`: `vgwAction` or `vgwActionSequence`.
pub fn read_legacy(output: &Value) -> (Vec<Response>, Vec<OutOfRange>) {
    let mut refused = vec![];
    (user_defined::read_sequence(output, &mut refused), refused)
}

fn read_one(item: &Value, refused: &mut Vec<OutOfRange>) -> Vec<Response> {
    let response_type = item.get("response_type").and_then(Value::as_str).unwrap_or_default();
    let known = match response_type {
        "text" => text::read(item),
        "audio" => audio::read(item),
        "option" => options::read(item, false),
        "suggestion" => options::read(item, true),
        "search" => search::read(item),
        "speech_to_text" => speech_to_text::read(item),
        "text_to_speech" => text_to_speech::read(item),
        "dtmf" => dtmf::read(item, refused),
        "start_activities" => Some(activities::read(item, true)),
        "stop_activities" => Some(activities::read(item, false)),
        "connect_to_agent" => Some(connect_to_agent::read(item)),
        "end_session" => Some(end_session::read(item)),
        // A link to the chat goes out by text message.
        "channel_transfer" => Some(Response::SendSms),
        "user_defined" => {
            if let Some(responses) = user_defined::read(item, refused) {
                return responses;
            }
            None
        }
        _ => None,
    };
    vec![known.unwrap_or_else(|| Response::Unsupported { response_type: response_type.to_owned() })]
}

/// Without a `channels` list everybody serves an item; with one, only who is listed. An empty list lists nobody out.
fn is_for_us(item: &Value) -> bool {
    let Some(channels) = item.get("channels").and_then(Value::as_array).filter(|list| !list.is_empty()) else {
        return true;
    };
    channels.iter().any(|entry| entry.get("channel").unwrap_or(entry).as_str() == Some(CHANNEL))
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
        let (read, _) = read(&generic);
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
        assert_eq!(read(&generic).0, [Response::Text { text: "both".into() }]);
    }
}
