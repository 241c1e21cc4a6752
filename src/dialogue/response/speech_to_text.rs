//! `speech_to_text` / `configure`: how the caller is understood.

use serde_json::{Map, Value};

use super::Response;
use super::fields::{command, object};
use crate::configuration::UpdateStrategy;

/// A change of the recognizer's configuration.
#[derive(Clone, PartialEq)]
pub struct SpeechToTextUpdate {
    /// The root fields given: `narrowband_recognize`, `broadband_recognize`, `band_preference`.
    pub fields: Map<String, Value>,
    /// How they are applied.
    pub(crate) strategy: UpdateStrategy,
}

impl std::fmt::Debug for SpeechToTextUpdate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SpeechToTextUpdate({:?})", self.strategy)
    }
}

/// What decides how audio reaches the recognizer is not the author's to set: dropped silently.
const FIXED: [&str; 5] = ["action", "content-type", "interim_results", "continuous", "inactivity_timeout"];

pub(super) fn read(item: &Value) -> Option<Response> {
    let ("configure", parameters) = command(item)? else { return None };
    Some(update(parameters, UpdateStrategy::read(parameters.get("update_strategy"))))
}

/// The same of the vendor's older command, whose fields have other names.
pub(super) fn read_legacy(parameters: &Value) -> Option<Response> {
    let mut fields = Map::new();
    for (old, new) in [
        ("config", "narrowband_recognize"),
        ("broadbandConfig", "broadband_recognize"),
        ("bandPreference", "band_preference"),
    ] {
        if let Some(value) = parameters.get(old) {
            fields.insert(new.to_owned(), value.clone());
        }
    }
    let strategy = UpdateStrategy::read(parameters.get("updateMethod"));
    (!fields.is_empty()).then(|| update(&Value::Object(fields), strategy))
}

fn update(parameters: &Value, strategy: UpdateStrategy) -> Response {
    let mut fields = Map::new();
    for band in ["narrowband_recognize", "broadband_recognize"] {
        if let Some(given) = parameters.get(band) {
            let mut given = object(Some(given));
            given.retain(|name, _| !FIXED.contains(&name.as_str()));
            fields.insert(band.to_owned(), Value::Object(given));
        }
    }
    if let Some(preference) = parameters.get("band_preference").filter(|value| value.is_string()) {
        fields.insert("band_preference".to_owned(), preference.clone());
    }
    Response::SpeechToText(SpeechToTextUpdate { fields, strategy })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bands_are_read_without_what_is_fixed() {
        let item = json!({"command_info": {"type": "configure", "parameters": {
            "narrowband_recognize": {"model": "en-US_Telephony", "interim_results": false, "smart_formatting": true},
            "band_preference": "broadband", "update_strategy": "merge_once", "unknown": 1}}});
        let Some(Response::SpeechToText(update)) = read(&item) else { panic!("a configuration") };
        assert_eq!(update.strategy, UpdateStrategy::MergeOnce);
        let expected = json!({"narrowband_recognize": {"model": "en-US_Telephony", "smart_formatting": true},
            "band_preference": "broadband"});
        assert_eq!(Value::Object(update.fields), expected);
        assert_eq!(read(&json!({"command_info": {"type": "reboot"}})), None);
    }

    #[test]
    fn the_older_command_is_read() {
        let Some(Response::SpeechToText(update)) =
            read_legacy(&json!({"config": {"model": "m"}, "updateMethod": "replaceOnce"}))
        else {
            panic!("a configuration")
        };
        assert_eq!(update.strategy, UpdateStrategy::ReplaceOnce);
        assert_eq!(update.fields["narrowband_recognize"], json!({"model": "m"}));
    }
}
