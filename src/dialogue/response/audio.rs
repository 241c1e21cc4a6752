//! `audio`: play a sound file.

use serde_json::Value;

use super::Response;
use super::fields::{flag, text};

/// A sound as the assistant asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audio {
    /// Where it is: a WAV file, mono, 16-bit PCM, 8000 Hz.
    pub source: String,
    /// Whether it is repeated until the next turn completes.
    pub repeats: bool,
}

pub(super) fn read(item: &Value) -> Option<Response> {
    let repeats = item.pointer("/channel_options/voice_telephony/loop").or_else(|| item.get("loop"));
    Some(Response::Audio(Audio { source: text(item.get("source"))?, repeats: flag(repeats).unwrap_or(false) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_published_example_is_read() {
        let item = json!({"response_type": "audio", "source": "https://x.com/music.wav",
            "channel_options": {"voice_telephony": {"loop": "true"}}, "title": "ignored"});
        assert_eq!(
            read(&item),
            Some(Response::Audio(Audio { source: "https://x.com/music.wav".into(), repeats: true }))
        );
        assert_eq!(read(&json!({"response_type": "audio"})), None);
    }
}
