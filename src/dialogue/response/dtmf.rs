//! `dtmf`: gather digits (`collect`), or press them (`send`).

use serde_json::Value;

use super::{Response, number};

/// What a collection waits for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DtmfCollect {
    /// So many digits end it (1 to 100).
    pub count: Option<usize>,
    /// This key ends it and is not part of the text.
    pub termination_key: Option<char>,
}

/// Keys to press towards the caller.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DtmfSend {
    /// In order.
    pub keys: Vec<KeyPress>,
    /// Milliseconds between two.
    pub interval_ms: u32,
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPress {
    /// `0`–`9`, `*`, `#`, `A`–`D`.
    pub key: char,
    /// How long it is held, in milliseconds.
    pub duration_ms: u32,
    /// Its level in −dBm0, 0 to 63.
    pub volume: u8,
}

/// A collection needs a count or a termination key, a sending needs keys; other commands are not served.
pub(super) fn read(item: &Value) -> Option<Response> {
    let command = item.get("command_info")?;
    let parameters = command.get("parameters").unwrap_or(command);
    match command.get("type")?.as_str()? {
        "collect" => collect(parameters),
        "send" => send(parameters),
        _ => None,
    }
}

fn send(parameters: &Value) -> Option<Response> {
    let key = |digit: &Value| {
        let code = number(digit.get("code"))? as usize;
        // A level may be written as the negative number it is.
        let volume = digit.get("volume").and_then(Value::as_f64).map_or(0.0, f64::abs).min(63.0);
        Some(KeyPress {
            key: "0123456789*#ABCD".chars().nth(code)?,
            duration_ms: number(digit.get("duration")).unwrap_or(200).clamp(40, 5000) as u32,
            volume: volume as u8,
        })
    };
    let keys: Vec<KeyPress> = parameters.get("digits")?.as_array()?.iter().filter_map(key).take(KEYS_MAX).collect();
    let interval_ms = number(parameters.get("send_interval")).unwrap_or(200).clamp(20, 5000) as u32;
    (!keys.is_empty()).then_some(Response::SendKeys(DtmfSend { keys, interval_ms }))
}

/// Most keys of one `send`.
const KEYS_MAX: usize = 32;

fn collect(parameters: &Value) -> Option<Response> {
    let count = number(parameters.get("count")).map(|count| count.clamp(1, 100) as usize);
    let termination_key = parameters.get("termination_key").and_then(Value::as_str).and_then(|key| key.chars().next());
    (count.is_some() || termination_key.is_some()).then_some(Response::Dtmf(DtmfCollect { count, termination_key }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_collection_is_read_as_published() {
        let item = json!({"response_type": "dtmf", "command_info": {"type": "collect",
            "parameters": {"termination_key": "#", "count": "16", "ignore_speech": "true"}}});
        assert_eq!(read(&item), Some(Response::Dtmf(DtmfCollect { count: Some(16), termination_key: Some('#') })));
    }

    #[test]
    fn keys_to_send_are_read_with_their_defaults() {
        let item = json!({"command_info": {"type": "send", "parameters": {
            "digits": [{"code": "11", "duration": 300, "volume": -8}, {"code": 5}], "send_interval": "100"}}});
        let keys = vec![
            KeyPress { key: '#', duration_ms: 300, volume: 8 },
            KeyPress { key: '5', duration_ms: 200, volume: 0 },
        ];
        assert_eq!(read(&item), Some(Response::SendKeys(DtmfSend { keys, interval_ms: 100 })));
    }

    #[test]
    fn what_has_no_end_is_no_collection() {
        assert_eq!(read(&json!({"command_info": {"type": "collect", "parameters": {}}})), None);
        assert_eq!(read(&json!({"command_info": {"type": "send"}})), None);
        assert_eq!(read(&json!({"command_info": {"type": "send", "parameters": {"digits": [{"code": "99"}]}}})), None);
    }
}
