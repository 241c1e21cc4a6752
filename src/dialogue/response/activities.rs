//! `start_activities` and `stop_activities`: whether speech and digits of the caller are taken at all.

use serde_json::Value;

use super::Response;

/// What is started or stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Activities {
    /// Speech: while it is stopped no audio goes to the recognizer, and a recording does not hear the caller.
    pub speech: bool,
    /// `dtmf_collection`: whether digits are listened to.
    pub digits: bool,
}

/// Reads the list; activities that are not ours are left out.
pub(super) fn read(item: &Value, start: bool) -> Response {
    let list = item.get("activities").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let named = |wanted: &str| list.iter().any(|activity| activity.get("type").and_then(Value::as_str) == Some(wanted));
    let activities = Activities { speech: named("speech_to_text_recognition"), digits: named("dtmf_collection") };
    if start { Response::Start(activities) } else { Response::Stop(activities) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_published_example_is_read() {
        let item =
            json!({"activities": [{"type": "speech_to_text_recognition"}, {"type": "dtmf_collection"}, {"type": "x"}]});
        assert_eq!(read(&item, false), Response::Stop(Activities { speech: true, digits: true }));
        assert_eq!(read(&json!({}), true), Response::Start(Activities::default()));
    }
}
