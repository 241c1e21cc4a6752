//! `dtmf` with `command_info.type` `collect`: gather digits.

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

/// A collection needs a count or a termination key; other commands are not served.
pub(super) fn read(item: &Value) -> Option<Response> {
    let command = item.get("command_info")?;
    if command.get("type")?.as_str()? != "collect" {
        return None;
    }
    let parameters = command.get("parameters").unwrap_or(command);
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
    fn what_has_no_end_is_no_collection() {
        assert_eq!(read(&json!({"command_info": {"type": "collect", "parameters": {}}})), None);
        assert_eq!(read(&json!({"command_info": {"type": "send"}})), None);
    }
}
