//! Parameters of the older format, in which a block has a list of names and values: read as the language has them, and back.
//!
//! Invariant: a parameter that is not known here keeps its name and value, so that a check tells of it.

use serde_json::{Map, Value, json};

use super::super::reading::Place;
use super::super::{Action, ActionType, Unreadable};
use super::values::{is_dynamic, of_namespace, parameter, text};

/// What the connector of a transfer is told, in both formats by the same names.
const CONNECTOR: [&str; 4] = ["VoiceConnectorArn", "ToUser", "FromUser", "UserToUserInformation"];

/// Reads the parameters of a block.
pub(super) fn read(action_type: &ActionType, block: &Place<'_>) -> Result<Map<String, Value>, Unreadable> {
    let mut read = Read::default();
    for parameter in block.each("parameters")? {
        let (name, namespace) = (parameter.says("name")?, parameter.may_say("namespace")?);
        let value = parameter.object.get("value").unwrap_or(&Value::Null);
        let said = Said { name, key: parameter.may_say("key")?, text: of_namespace(namespace, value), value };
        read.take(action_type, said);
    }
    Ok(read.finished(action_type))
}

/// One parameter of a block.
struct Said<'a> {
    name: &'a str,
    key: Option<&'a str>,
    /// As the language has it.
    text: String,
    value: &'a Value,
}

/// What has been read of a block.
#[derive(Default)]
struct Read<'a> {
    parameters: Map<String, Value>,
    attributes: Map<String, Value>,
    connector: Map<String, Value>,
    /// What says how another is meant.
    manner: Map<String, Value>,
    /// The namespace of what is compared stands in a parameter of its own.
    compared: Option<&'a Value>,
}

impl<'a> Read<'a> {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.parameters.insert(name.to_owned(), value.into());
    }

    fn take(&mut self, action_type: &ActionType, said: Said<'a>) {
        use ActionType as Is;
        match (action_type, said.name) {
            (Is::UpdateFlowLoggingBehavior, "LoggingBehavior") => self.put("FlowLoggingBehavior", enabled(&said.text)),
            (Is::UpdateContactAttributes, "Attribute") => {
                self.attributes.insert(said.key.unwrap_or_default().to_owned(), said.text.into());
            }
            (Is::TransferParticipantToThirdParty, "TimeLimit") => {
                self.put("ThirdPartyConnectionTimeLimitSeconds", said.text);
            }
            (Is::TransferParticipantToThirdParty, "PhoneNumber") => self.put("ThirdPartyPhoneNumber", said.text),
            (Is::TransferParticipantToThirdParty, "TransferType") => {
                self.connector.insert("VoiceConnectorType".to_owned(), said.text.into());
            }
            (Is::TransferParticipantToThirdParty, name) if CONNECTOR.contains(&name) => {
                self.connector.insert(name.to_owned(), said.text.into());
            }
            (Is::Compare, "Attribute") => self.compared = Some(said.value),
            (Is::UpdateContactTargetQueue, "Queue") => self.put("QueueId", said.text),
            (Is::UpdateContactTargetQueue, "Agent") => self.put("AgentId", said.text),
            (Is::TransferToFlow, "ContactFlowId") => self.put("ContactFlowId", said.text),
            (Is::MessageParticipant, "AudioPrompt") => self.put("PromptId", said.text),
            (Is::Compare, "Namespace")
            | (Is::TransferParticipantToThirdParty, "BlindTransfer")
            | (Is::MessageParticipant, "Text" | "TextToSpeechType")
            | (
                Is::UpdateContactRecordingBehavior,
                "RecordingBehaviorOption"
                | "RecordingParticipantOption"
                | "AnalyticsBehaviorOption"
                | "AnalyticsLanguageLocaleCode"
                | "AnalyticsCustomVocabulary"
                | "AnalyticsRedactionOption"
                | "AnalyticsRedactionPolicy"
                | "AnalyticsMode",
            ) => {
                self.manner.insert(said.name.to_owned(), said.text.into());
            }
            _ => self.put(said.name, said.value.clone()),
        }
    }

    fn manner(&self, name: &str) -> Option<&str> {
        self.manner.get(name).and_then(Value::as_str)
    }

    fn finished(mut self, action_type: &ActionType) -> Map<String, Value> {
        match action_type {
            ActionType::UpdateContactAttributes => {
                let attributes = std::mem::take(&mut self.attributes);
                self.put("Attributes", attributes);
                self.parameters.entry("TargetContact").or_insert_with(|| json!("Current"));
            }
            ActionType::TransferParticipantToThirdParty => {
                let is_blind = self.manner("BlindTransfer").is_some_and(|text| text.eq_ignore_ascii_case("true"));
                self.put("ContinueFlowExecution", if is_blind { "False" } else { "True" });
                if !self.connector.is_empty() {
                    let connector = std::mem::take(&mut self.connector);
                    self.put("VoiceConnector", connector);
                }
            }
            ActionType::Compare => {
                if let Some(value) = self.compared {
                    let value = of_namespace(self.manner("Namespace"), value);
                    self.put("ComparisonValue", value);
                }
            }
            ActionType::MessageParticipant => {
                let is_ssml = self.manner("TextToSpeechType").is_some_and(|kind| kind.eq_ignore_ascii_case("ssml"));
                if let Some(said) = self.manner("Text").map(str::to_owned) {
                    self.put(if is_ssml { "SSML" } else { "Text" }, said);
                }
            }
            ActionType::UpdateContactRecordingBehavior => self.recording(),
            _ => {}
        }
        self.parameters
    }

    fn recording(&mut self) {
        let who = match (self.manner("RecordingBehaviorOption"), self.manner("RecordingParticipantOption")) {
            (Some("Enable"), Some("Both") | None) => json!(["Agent", "Customer"]),
            (Some("Enable"), Some(one)) => json!([one]),
            _ => json!([]),
        };
        self.put("RecordingBehavior", json!({"RecordedParticipants": who}));
        if self.manner("AnalyticsBehaviorOption").is_none_or(|option| option != "Enable") {
            return;
        }
        let mut analytics = Map::new();
        let mut say = |name: &str, value: Value| analytics.insert(name.to_owned(), value);
        say("Enabled", json!("True"));
        let said = |name: &str| self.manner(name).filter(|text| *text != "None");
        if let Some(language) = said("AnalyticsLanguageLocaleCode") {
            say("AnalyticsLanguage", json!(language));
        }
        if let Some(option) = said("AnalyticsRedactionOption") {
            say("AnalyticsRedactionBehavior", json!(enabled(option)));
        }
        if let Some(results) = said("AnalyticsRedactionPolicy") {
            say("AnalyticsRedactionResults", json!(results));
        }
        if let Some(vocabulary) = said("AnalyticsCustomVocabulary") {
            say("AnalyticsCustomVocabulary", json!(vocabulary));
        }
        if let Some(mode) = said("AnalyticsMode") {
            say("ChannelConfiguration", json!({"Voice": {"AnalyticsModes": [mode]}}));
        }
        self.put("AnalyticsBehavior", analytics);
    }
}

fn enabled(option: &str) -> &str {
    match option {
        "Enable" => "Enabled",
        "Disable" => "Disabled",
        other => other,
    }
}

fn enable(behavior: &str) -> &str {
    match behavior {
        "Enabled" => "Enable",
        "Disabled" => "Disable",
        other => other,
    }
}

/// The parameters of a block, and what the console notes of them.
pub(super) fn write(action: &Action) -> (Vec<Value>, Map<String, Value>) {
    let mut written = Written::default();
    for (name, value) in &action.parameters {
        written.put(&action.action_type, name, value);
    }
    (written.parameters, written.metadata)
}

#[derive(Default)]
struct Written {
    parameters: Vec<Value>,
    metadata: Map<String, Value>,
}

impl Written {
    fn plain(&mut self, name: &str, value: impl Into<Value>) {
        self.parameters.push(json!({"name": name, "value": value.into()}));
    }

    fn note(&mut self, name: &str, value: impl Into<Value>) {
        self.metadata.insert(name.to_owned(), value.into());
    }

    fn put(&mut self, action_type: &ActionType, name: &str, value: &Value) {
        use ActionType as Is;
        match (action_type, name, value) {
            (Is::UpdateFlowLoggingBehavior, "FlowLoggingBehavior", Value::String(behavior)) => {
                self.plain("LoggingBehavior", enable(behavior));
            }
            (Is::UpdateContactAttributes, "TargetContact", Value::String(target)) if target == "Current" => {}
            (Is::UpdateContactAttributes, "Attributes", Value::Object(all)) => self.attributes(all),
            (Is::TransferParticipantToThirdParty, "ContinueFlowExecution", Value::String(goes_on)) => {
                if goes_on != "True" {
                    self.plain("BlindTransfer", goes_on == "False");
                }
            }
            (Is::TransferParticipantToThirdParty, "ThirdPartyConnectionTimeLimitSeconds", Value::String(limit)) => {
                match limit.parse::<u32>() {
                    Ok(seconds) => self.plain("TimeLimit", seconds),
                    Err(_) => self.parameters.push(parameter("TimeLimit", limit)),
                }
            }
            (Is::TransferParticipantToThirdParty, "ThirdPartyPhoneNumber", Value::String(number)) => {
                self.parameters.push(parameter("PhoneNumber", number));
            }
            (Is::TransferParticipantToThirdParty, "VoiceConnector", Value::Object(connector)) => {
                self.connector(connector);
            }
            (Is::Compare, "ComparisonValue", Value::String(compared)) => {
                let (namespace, value) = super::values::in_namespace(compared);
                self.plain("Attribute", value);
                if let Some(namespace) = namespace {
                    self.plain("Namespace", namespace);
                }
            }
            (Is::UpdateContactTargetQueue, "QueueId", Value::String(queue)) => {
                self.note("useDynamic", is_dynamic(queue));
                self.parameters.push(parameter("Queue", queue));
            }
            (Is::UpdateContactTargetQueue, "AgentId", Value::String(agent)) => {
                self.parameters.push(parameter("Agent", agent));
            }
            (Is::TransferToFlow, "ContactFlowId", Value::String(flow)) => {
                self.parameters.push(parameter("ContactFlowId", flow));
            }
            (Is::MessageParticipant, "Text" | "SSML", Value::String(said)) => {
                self.note("useDynamic", is_dynamic(said));
                self.parameters.push(parameter("Text", said));
                self.plain("TextToSpeechType", if name == "SSML" { "ssml" } else { "text" });
            }
            (Is::MessageParticipant, "PromptId", Value::String(prompt)) => {
                self.parameters.push(parameter("AudioPrompt", prompt));
            }
            (Is::UpdateContactRecordingBehavior, "RecordingBehavior", value) => self.recording(value),
            (Is::UpdateContactRecordingBehavior, "AnalyticsBehavior", Value::Object(analytics)) => {
                self.analytics(analytics);
            }
            _ => self.plain(name, value.clone()),
        }
    }

    fn attributes(&mut self, all: &Map<String, Value>) {
        let mut dynamic = vec![];
        for (key, value) in all {
            let text = text(value);
            let mut attribute = parameter("Attribute", &text);
            attribute["key"] = json!(key);
            self.parameters.push(attribute);
            if is_dynamic(&text) {
                dynamic.push(json!(key));
            }
        }
        self.note("dynamicParams", dynamic);
    }

    fn connector(&mut self, connector: &Map<String, Value>) {
        for (name, value) in connector {
            match value {
                Value::String(text) if name == "VoiceConnectorType" => self.plain("TransferType", text.as_str()),
                Value::String(text) if CONNECTOR.contains(&name.as_str()) => {
                    let noted = if name == "UserToUserInformation" { "Uui" } else { name };
                    self.note(&format!("useDynamic{noted}"), is_dynamic(text));
                    self.parameters.push(parameter(name, text));
                }
                other => self.plain(name, other.clone()),
            }
        }
    }

    fn recording(&mut self, behavior: &Value) {
        let participants = behavior["RecordedParticipants"].as_array();
        let names: Vec<&str> = participants.into_iter().flatten().filter_map(Value::as_str).collect();
        self.plain("RecordingBehaviorOption", if names.is_empty() { "Disable" } else { "Enable" });
        match names[..] {
            [] => {}
            [one] => self.plain("RecordingParticipantOption", one),
            _ => self.plain("RecordingParticipantOption", "Both"),
        }
    }

    fn analytics(&mut self, analytics: &Map<String, Value>) {
        for (name, value) in analytics {
            match (name.as_str(), value) {
                ("Enabled", Value::String(text)) if text == "True" => self.plain("AnalyticsBehaviorOption", "Enable"),
                ("AnalyticsLanguage", value) => self.plain("AnalyticsLanguageLocaleCode", value.clone()),
                ("AnalyticsRedactionBehavior", Value::String(text)) => {
                    self.plain("AnalyticsRedactionOption", enable(text));
                }
                ("AnalyticsRedactionResults", value) => self.plain("AnalyticsRedactionPolicy", value.clone()),
                ("ChannelConfiguration", value) => {
                    self.plain("AnalyticsMode", value["Voice"]["AnalyticsModes"][0].clone())
                }
                (name, value) => self.plain(name, value.clone()),
            }
        }
    }
}
