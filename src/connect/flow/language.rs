//! The language of contact flows, version 2019-10-30 (Amazon Connect API, *Flow language*): what the API, Terraform and CloudFormation take.
//!
//! Invariant: what is written has the parameters of its type and no other, each as the text that the language wants.

use serde_json::{Value, json};

use super::{ANSWERED_WITHIN_SECONDS, Action, Does, ErrorType, Flow};

/// Its version.
pub const VERSION: &str = "2019-10-30";

/// Writes a flow; it is imported into one of the type *inbound*.
pub fn written(flow: &Flow) -> Value {
    let positions = flow.actions.iter().enumerate().map(|(n, action)| {
        // Where the console draws it: four in a row.
        let (x, y) = (160 + 260 * (n % 4), 20 + 220 * (n / 4));
        (action.identifier.to_owned(), json!({"position": {"x": x, "y": y}}))
    });
    json!({
        "Version": VERSION,
        "StartAction": flow.start,
        "Metadata": {
            "entryPointPosition": {"x": 20, "y": 20},
            "ActionMetadata": positions.collect::<serde_json::Map<_, _>>(),
        },
        "Actions": flow.actions.iter().map(action).collect::<Vec<_>>(),
    })
}

fn action(Action { identifier, does, next, errors }: &Action) -> Value {
    let mut transitions = serde_json::Map::new();
    if let Some(next) = next {
        transitions.insert("NextAction".to_owned(), json!(next));
    }
    if let Does::Contains { text, then, .. } = does {
        let condition = json!({"NextAction": then, "Condition": {"Operator": "TextContains", "Operands": [text]}});
        transitions.insert("Conditions".to_owned(), json!([condition]));
    }
    if !errors.is_empty() {
        let errors: Vec<Value> =
            errors.iter().map(|(error, next)| json!({"ErrorType": word(*error), "NextAction": next})).collect();
        transitions.insert("Errors".to_owned(), json!(errors));
    }
    let (kind, parameters) = written_action(does);
    json!({"Identifier": identifier, "Type": kind, "Parameters": parameters, "Transitions": transitions})
}

fn written_action(does: &Does) -> (&'static str, Value) {
    match does {
        Does::Log => ("UpdateFlowLoggingBehavior", json!({"FlowLoggingBehavior": "Enabled"})),
        Does::SetAttributes(attributes) => {
            let all: serde_json::Map<String, Value> =
                attributes.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
            ("UpdateContactAttributes", json!({"Attributes": all, "TargetContact": "Current"}))
        }
        Does::Transfer { voice_connector_arn } => (
            "TransferParticipantToThirdParty",
            json!({
                "ThirdPartyConnectionTimeLimitSeconds": ANSWERED_WITHIN_SECONDS.to_string(),
                "ContinueFlowExecution": "True",
                "VoiceConnector": {
                    "VoiceConnectorType": "ChimeConnector",
                    "VoiceConnectorArn": voice_connector_arn,
                    "ToUser": "$.SystemEndpoint.Address",
                    "FromUser": "$.CustomerEndpoint.Address",
                    "UserToUserInformation": "$.InstanceARN",
                },
            }),
        ),
        Does::Contains { value, .. } => ("Compare", json!({"ComparisonValue": value})),
        Does::SetQueue(queue_arn) => ("UpdateContactTargetQueue", json!({"QueueId": queue_arn})),
        Does::TransferToQueue => ("TransferContactToQueue", json!({})),
        Does::Say(text) => ("MessageParticipant", json!({"Text": text})),
        Does::Disconnect => ("DisconnectParticipant", json!({})),
    }
}

fn word(error: ErrorType) -> &'static str {
    match error {
        ErrorType::CallFailed => "CallFailed",
        ErrorType::ConnectionTimeLimitExceeded => "ConnectionTimeLimitExceeded",
        ErrorType::NoMatchingCondition => "NoMatchingCondition",
        ErrorType::QueueAtCapacity => "QueueAtCapacity",
        ErrorType::NoMatchingError => "NoMatchingError",
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::parts;
    use super::*;

    /// The golden file: what is downloaded, byte for byte. Whoever changes a flow looks at what changes here.
    #[test]
    fn a_flow_is_written_as_it_was_looked_at() {
        let written = serde_json::to_string_pretty(&written(&Flow::handing_over(&parts()))).expect("JSON") + "\n";
        let golden = include_str!("../../../tests/golden/flows/handing_over_2019-10-30.json");
        assert!(written == golden, "{written}");
    }
}
