//! The flow that is given to tenants, filled in with what is theirs.
//!
//! ```text
//! log → clear → transfer → check ─ hangup ───────────────────────────────▶ hangup
//!                  │          └─ else ▶ screen_pop ▶ set_queue ▶ to_queue ▶ hangup
//!                  └ failed, late, error ▶ a sentence ────▶ set_queue          └ full ▶ a sentence ▶ hangup
//! ```
//!
//! Invariant: no failure before the queue loses the caller: it leads to the queue. Nothing is recorded or analysed.

use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};

use super::{Action, ActionType, AsRead, ErrorType, Flow, INBOUND, Operator};
use crate::InstanceArn;

/// What a flow is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// The connector that leads to us.
    pub voice_connector_arn: String,
    /// The queue of the agents.
    pub queue_arn: String,
    /// The agents' page up to `session_history_key`, without `=`.
    pub screen_pop_url: String,
}

/// Where agents see a conversation, of our own `http.public_url`: without its last `=`, as the page of agents puts it there.
pub fn screen_pop_url(public_url: &str) -> String {
    format!("{public_url}/loadAgentAppFrame.html?session_history_key")
}

/// Seconds that we may take to answer.
pub const ANSWERED_WITHIN_SECONDS: u32 = 60;
/// The attribute that we write, as a flow refers to it.
pub const KEY_PATH: &str = "$.Attributes.SessionHistoryKey";

/// Which kind of connector leads to us: it stands in the flow beside the connector's ARN.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VoiceConnectorType {
    /// A Voice Connector of the Amazon Chime SDK.
    #[default]
    ChimeConnector,
    /// An *external voice transfer connector*, which Amazon Connect was told of.
    CallTransferConnector,
}

impl VoiceConnectorType {
    /// Both.
    pub const ALL: [Self; 2] = [Self::ChimeConnector, Self::CallTransferConnector];

    /// Its name in the flow language.
    pub fn word(self) -> &'static str {
        match self {
            Self::ChimeConnector => "ChimeConnector",
            Self::CallTransferConnector => "CallTransferConnector",
        }
    }
}

impl fmt::Display for VoiceConnectorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// There is no such connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no type of voice connector: ChimeConnector or CallTransferConnector")]
pub struct UnknownConnectorType;

impl FromStr for VoiceConnectorType {
    type Err = UnknownConnectorType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|known| known.word() == text).ok_or(UnknownConnectorType)
    }
}

impl Parts {
    /// Whether the queue is one of an instance.
    pub fn are_of(&self, instance: &InstanceArn) -> bool {
        self.queue_arn.strip_prefix(&instance.to_string()).is_some_and(|rest| rest.starts_with("/queue/"))
    }
}

/// What a caller hears.
const FAILED: &str = "We could not reach the assistant. I connect you to an agent.";
const LATE: &str = "The assistant did not answer. I connect you to an agent.";
const ERROR: &str = "Something went wrong. I connect you to an agent.";
const FULL: &str = "All agents are busy. Please call again later.";

impl Flow {
    /// The flow that hands callers over to us by a Voice Connector, and from us to agents.
    pub fn handing_over(parts: &Parts) -> Self {
        Self::handing_over_by(VoiceConnectorType::ChimeConnector, parts)
    }

    /// The same by a connector of this type.
    pub fn handing_over_by(connector: VoiceConnectorType, parts: &Parts) -> Self {
        use ActionType as Is;
        use ErrorType::{
            CallFailed, ConnectionTimeLimitExceeded, NoMatchingCondition, NoMatchingError, QueueAtCapacity,
        };
        let attributes = |all: Value| json!({"Attributes": all, "TargetContact": "Current"});
        let pop = json!({"screenPopURL": parts.screen_pop_url, "sessionHistoryKey": KEY_PATH});
        let say = |identifier: &str, words: &str, next: &str| {
            Action::new(identifier, Is::MessageParticipant, json!({"Text": words})).then(next).or(NoMatchingError, next)
        };
        let actions = vec![
            Action::new("log", Is::UpdateFlowLoggingBehavior, json!({"FlowLoggingBehavior": "Enabled"})).then("clear"),
            // Of an earlier transfer of the same contact there may be one.
            Action::new("clear", Is::UpdateContactAttributes, attributes(json!({"SessionHistoryKey": ""})))
                .then("transfer")
                .or(NoMatchingError, "transfer"),
            Action::new("transfer", Is::TransferParticipantToThirdParty, transfer(connector, parts))
                .then("check")
                .or(CallFailed, "say_failed")
                .or(ConnectionTimeLimitExceeded, "say_late")
                .or(NoMatchingError, "say_error"),
            Action::new("check", Is::Compare, json!({"ComparisonValue": KEY_PATH}))
                .then("screen_pop")
                .when(Operator::TextContains, "hangup", "hangup")
                .or(NoMatchingCondition, "screen_pop"),
            Action::new("screen_pop", Is::UpdateContactAttributes, attributes(pop))
                .then("set_queue")
                .or(NoMatchingError, "set_queue"),
            Action::new("set_queue", Is::UpdateContactTargetQueue, json!({"QueueId": parts.queue_arn}))
                .then("to_queue")
                .or(NoMatchingError, "to_queue"),
            Action::new("to_queue", Is::TransferContactToQueue, json!({}))
                .then("hangup")
                .or(QueueAtCapacity, "say_full")
                .or(NoMatchingError, "say_full"),
            say("say_failed", FAILED, "set_queue"),
            say("say_late", LATE, "set_queue"),
            say("say_error", ERROR, "set_queue"),
            say("say_full", FULL, "hangup"),
            Action::new("hangup", Is::DisconnectParticipant, json!({})),
        ];
        Self { start: "log".to_owned(), actions, kind: Some(INBOUND.to_owned()), as_read: AsRead::default() }
    }

    /// The same flow with what is a tenant's own in place of what was somebody else's: the connector of each transfer, each
    /// queue that is named, and the agents' page wherever the flow names one.
    pub fn filled_with(mut self, parts: &Parts) -> Self {
        for action in &mut self.actions {
            match action.action_type {
                ActionType::TransferParticipantToThirdParty => {
                    if let Some(Value::Object(connector)) = action.parameters.get_mut("VoiceConnector") {
                        connector.insert("VoiceConnectorArn".to_owned(), json!(parts.voice_connector_arn));
                    }
                }
                ActionType::UpdateContactTargetQueue if action.parameters.contains_key("QueueId") => {
                    action.parameters.insert("QueueId".to_owned(), json!(parts.queue_arn));
                }
                ActionType::UpdateContactAttributes => {
                    if let Some(Value::Object(attributes)) = action.parameters.get_mut("Attributes")
                        && attributes.contains_key("screenPopURL")
                    {
                        attributes.insert("screenPopURL".to_owned(), json!(parts.screen_pop_url));
                    }
                }
                _ => {}
            }
        }
        self
    }
}

fn transfer(connector: VoiceConnectorType, parts: &Parts) -> Value {
    json!({
        "ThirdPartyConnectionTimeLimitSeconds": ANSWERED_WITHIN_SECONDS.to_string(),
        "ContinueFlowExecution": "True",
        "VoiceConnector": {
            "VoiceConnectorType": connector.word(),
            "VoiceConnectorArn": parts.voice_connector_arn,
            "ToUser": "$.SystemEndpoint.Address",
            "FromUser": "$.CustomerEndpoint.Address",
            "UserToUserInformation": "$.InstanceARN",
        },
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::{Format, difference, read};
    use super::*;

    pub(in crate::flow) fn parts() -> Parts {
        Parts {
            voice_connector_arn: "arn:aws:chime:us-east-1:111122223333:vc/EXAMPLE".into(),
            queue_arn: "arn:aws:connect:us-east-1:111122223333:instance/INSTANCE/queue/QUEUE".into(),
            screen_pop_url: "https://bellhop.example/loadAgentAppFrame.html?session_history_key".into(),
        }
    }

    #[test]
    fn a_queue_is_of_its_instance() {
        let of = |instance: &str| parts().are_of(&instance.parse().expect("an ARN"));
        assert!(of("arn:aws:connect:us-east-1:111122223333:instance/INSTANCE"));
        assert!(!of("arn:aws:connect:us-east-1:111122223333:instance/INSTANC"));
    }

    /// A flow of the vendor's shape and with its faults, which is nobody's: as the seed's instructions have it built.
    pub(in crate::flow) const VENDOR_SAMPLE_SHAPE: &str =
        include_str!("../../../tests/golden/flows/vendor_sample_shape_legacy.json");

    /// The golden files: the vendor's flow with the tenant's own in it, in both formats.
    #[test]
    fn the_vendors_flow_is_filled_with_what_is_the_tenants_and_means_the_same_in_both_formats() {
        let (theirs, parts) = (read(VENDOR_SAMPLE_SHAPE).expect("a flow"), parts());
        let filled = theirs.clone().filled_with(&parts);
        for (format, golden) in [
            (Format::Legacy, include_str!("../../../tests/golden/flows/vendor_sample_shape_filled_legacy.json")),
            (Format::Language, include_str!("../../../tests/golden/flows/vendor_sample_shape_filled_2019-10-30.json")),
        ] {
            let written = serde_json::to_string_pretty(&filled.written(format).expect("written")).expect("JSON") + "\n";
            assert!(written == golden, "{written}");
            let back = read(golden).expect("a flow");
            assert_eq!(difference(&back, &filled), None);
            assert!(!golden.contains("444455556666") && !golden.contains("appdomain"), "nothing of theirs is left");
            assert_eq!(back.kind.as_deref(), Some(INBOUND));
        }
        assert_eq!(difference(&theirs, &filled).map(|difference| difference.what), Some("their parameters"));
        assert_eq!(theirs.written(Format::Legacy), Ok(serde_json::from_str(VENDOR_SAMPLE_SHAPE).expect("JSON")));
    }

    #[test]
    fn the_type_of_the_connector_stands_beside_its_arn() {
        for connector in VoiceConnectorType::ALL {
            let flow = Flow::handing_over_by(connector, &parts());
            let transfer = &flow.action("transfer").expect("it is there").parameters;
            assert_eq!(transfer["VoiceConnector"]["VoiceConnectorType"], connector.word());
            assert_eq!(connector.word().parse(), Ok(connector));
        }
        assert_eq!("Other".parse::<VoiceConnectorType>(), Err(UnknownConnectorType));
    }
}
