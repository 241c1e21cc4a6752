//! `text_to_speech`: which voice speaks (`configure`), and whether it may be interrupted.

use serde_json::{Map, Value};

use super::fields::{command, object};
use super::{BargeInSwitch, Means, Response};
use crate::configuration::UpdateStrategy;

/// A change of the voice.
#[derive(Debug, Clone, PartialEq)]
pub struct TextToSpeechUpdate {
    /// The root field `synthesize`: the service's own parameters, like `voice` and `rate_percentage`.
    pub fields: Map<String, Value>,
    /// How they are applied.
    pub(crate) strategy: UpdateStrategy,
}

pub(super) fn read(item: &Value) -> Option<Response> {
    match command(item)? {
        ("configure", parameters) => update(parameters.get("synthesize"), parameters.get("update_strategy")),
        (name, _) => barge_in(name, Means::Speech),
    }
}

/// The same of the vendor's older command.
pub(super) fn read_legacy(parameters: &Value) -> Option<Response> {
    update(parameters.get("config"), parameters.get("updateMethod"))
}

fn update(synthesize: Option<&Value>, strategy: Option<&Value>) -> Option<Response> {
    let synthesize = object(synthesize);
    if synthesize.is_empty() {
        return None;
    }
    let fields = Map::from_iter([("synthesize".to_owned(), Value::Object(synthesize))]);
    Some(Response::TextToSpeech(TextToSpeechUpdate { fields, strategy: UpdateStrategy::read(strategy) }))
}

/// `enable_barge_in` and `disable_barge_in`.
pub(super) fn barge_in(command: &str, by: Means) -> Option<Response> {
    let allowed = match command {
        "enable_barge_in" => true,
        "disable_barge_in" => false,
        _ => return None,
    };
    Some(Response::BargeIn(BargeInSwitch { by, allowed }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn voices_and_barge_in_are_read() {
        let item = json!({"command_info": {"type": "configure", "parameters":
            {"synthesize": {"voice": "en-GB_KateV3Voice", "rate_percentage": -5}}}});
        let Some(Response::TextToSpeech(update)) = read(&item) else { panic!("a voice") };
        assert_eq!(update.strategy, UpdateStrategy::Replace);
        assert_eq!(update.fields["synthesize"]["rate_percentage"], json!(-5));
        let off = read(&json!({"command_info": {"type": "disable_barge_in"}}));
        assert_eq!(off, Some(Response::BargeIn(BargeInSwitch { by: Means::Speech, allowed: false })));
        assert_eq!(read(&json!({"command_info": {"type": "configure", "parameters": {}}})), None);
    }
}
