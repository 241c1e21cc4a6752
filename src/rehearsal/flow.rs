//! A contact flow of version 2019-10-30, really run: the ten action types of the sample flow.
//!
//! A value that is one path, `$.InstanceARN` or `$.Attributes.NAME`, is resolved; a path inside a text is text, as
//! nothing says that Amazon Connect fills it there. Invariant: a flow runs up to its transfer, waits for how the call
//! ended, and runs on to a queue or to the end; whatever it does is in its [`Flow::path`].

use std::collections::BTreeMap;

use serde_json::Value;

/// Most actions one run may take; a ring of actions is an error.
const ACTIONS_MAX: usize = 250;

/// The sample flow: transfers to the gateway, then to a queue or to the end.
pub const SAMPLE: &str = include_str!("flow-2019-10-30-example.json");
/// Where the sample flow supposes the agent's page, `http.public_url`: to be replaced with one's own.
pub const SAMPLE_PUBLIC_URL: &str = "https://bellhop.example";

/// Where a run stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// At the transfer to the gateway.
    Transferring {
        /// The User-to-User information it passes on.
        user_to_user: String,
    },
    /// In an agent's queue.
    Queued {
        /// The queue's ARN.
        queue: String,
    },
    /// At the end: the caller was disconnected.
    Disconnected,
}

/// How the transfer's call ended, as the flow sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferOutcome {
    /// The far end answered and hung up.
    Success,
    /// The far end refused.
    CallFailed,
    /// The far end did not answer in time.
    Timeout,
}

/// Why a flow cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("flow: {0}")]
pub struct BadFlow(pub String);

/// One contact in a flow.
#[derive(Debug, Clone)]
pub struct Flow {
    actions: BTreeMap<String, Value>,
    at: String,
    queue: String,
    /// The contact's attributes, shared with the API by who owns this.
    pub attributes: BTreeMap<String, String>,
    /// What `$.` paths mean.
    pub system: BTreeMap<String, String>,
    /// The identifiers of the actions taken.
    pub path: Vec<String>,
}

impl Flow {
    /// A contact at the beginning of a flow.
    pub fn begin(json: &str, system: BTreeMap<String, String>) -> Result<Self, BadFlow> {
        let flow: Value = serde_json::from_str(json).map_err(|error| BadFlow(error.to_string()))?;
        let list = flow["Actions"].as_array().ok_or_else(|| BadFlow("no Actions".into()))?;
        let actions: BTreeMap<String, Value> = list
            .iter()
            .filter_map(|action| Some((action["Identifier"].as_str()?.to_owned(), action.clone())))
            .collect();
        let at = flow["StartAction"].as_str().ok_or_else(|| BadFlow("no StartAction".into()))?.to_owned();
        Ok(Self { actions, at, queue: String::new(), attributes: BTreeMap::new(), system, path: vec![] })
    }

    /// Runs until the flow waits or ends.
    pub fn run(&mut self) -> Result<Stop, BadFlow> {
        for _ in 0..ACTIONS_MAX {
            let action =
                self.actions.get(&self.at).cloned().ok_or_else(|| BadFlow(format!("no action {}", self.at)))?;
            self.path.push(self.at.clone());
            let parameters = &action["Parameters"];
            match action["Type"].as_str().unwrap_or_default() {
                "UpdateFlowLoggingBehavior" | "MessageParticipant" => self.next(&action)?,
                "UpdateContactAttributes" => {
                    for (name, value) in parameters["Attributes"].as_object().into_iter().flatten() {
                        let value = self.resolve(value.as_str().unwrap_or_default());
                        self.attributes.insert(name.clone(), value);
                    }
                    self.next(&action)?;
                }
                "Compare" => self.compare(&action)?,
                "UpdateContactTargetQueue" => {
                    self.queue = parameters["QueueId"].as_str().unwrap_or_default().to_owned();
                    self.next(&action)?;
                }
                "TransferContactToQueue" => return Ok(Stop::Queued { queue: self.queue.clone() }),
                "DisconnectParticipant" => return Ok(Stop::Disconnected),
                "TransferParticipantToThirdParty" => {
                    let told = parameters["VoiceConnector"]["UserToUserInformation"].as_str().unwrap_or_default();
                    return Ok(Stop::Transferring { user_to_user: self.resolve(told) });
                }
                other => return Err(BadFlow(format!("action type {other} is not rehearsed"))),
            }
        }
        Err(BadFlow("runs in a ring".into()))
    }

    /// The transfer's call is over: runs on.
    pub fn transferred(&mut self, outcome: TransferOutcome) -> Result<Stop, BadFlow> {
        let action = self.actions.get(&self.at).cloned().unwrap_or_default();
        let error = match outcome {
            TransferOutcome::Success => None,
            TransferOutcome::CallFailed => Some("CallFailed"),
            TransferOutcome::Timeout => Some("ConnectionTimeLimitExceeded"),
        };
        match error {
            None => self.next(&action)?,
            Some(error) => self.go(branch(&action["Transitions"]["Errors"], "ErrorType", error))?,
        }
        self.run()
    }

    fn compare(&mut self, action: &Value) -> Result<(), BadFlow> {
        let value = self.resolve(action["Parameters"]["ComparisonValue"].as_str().unwrap_or_default());
        let conditions = action["Transitions"]["Conditions"].as_array().cloned().unwrap_or_default();
        for condition in &conditions {
            let operator = condition["Condition"]["Operator"].as_str().unwrap_or_default();
            let operand = condition["Condition"]["Operands"][0].as_str().unwrap_or_default();
            let holds = match operator {
                "Equals" => value == operand,
                "TextContains" => value.contains(operand),
                "TextStartsWith" => value.starts_with(operand),
                "TextEndsWith" => value.ends_with(operand),
                other => return Err(BadFlow(format!("operator {other} is not rehearsed"))),
            };
            if holds {
                return self.go(condition["NextAction"].as_str());
            }
        }
        self.go(branch(&action["Transitions"]["Errors"], "ErrorType", "NoMatchingCondition"))
    }

    fn next(&mut self, action: &Value) -> Result<(), BadFlow> {
        self.go(action["Transitions"]["NextAction"].as_str())
    }

    fn go(&mut self, to: Option<&str>) -> Result<(), BadFlow> {
        self.at = to.ok_or_else(|| BadFlow(format!("{} leads nowhere", self.at)))?.to_owned();
        Ok(())
    }

    fn resolve(&self, text: &str) -> String {
        match text.strip_prefix("$.Attributes.") {
            Some(name) => self.attributes.get(name).cloned().unwrap_or_default(),
            None => self.system.get(text).cloned().unwrap_or_else(|| text.to_owned()),
        }
    }
}

/// The address that the sample page of the Contact Control Panel opens for the agent: the flow's `screenPopURL`, an equals
/// sign, and `sessionHistoryKey` without its first character. `None` where the flow set none of both.
pub fn screen_pop(attributes: &BTreeMap<String, String>) -> Option<String> {
    let key = attributes.get("sessionHistoryKey")?;
    let rest = key.get(key.chars().next()?.len_utf8()..)?;
    Some(format!("{}={rest}", attributes.get("screenPopURL")?))
}

fn branch<'a>(list: &'a Value, key: &str, value: &str) -> Option<&'a str> {
    let hit = list.as_array()?.iter().find(|entry| entry[key] == value);
    let hit = hit.or_else(|| list.as_array()?.iter().find(|entry| entry[key] == "NoMatchingError"));
    hit?["NextAction"].as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The flow that pages give to be imported.
    fn exported() -> String {
        let parts = bellhop_connect::flow::Parts {
            voice_connector_arn: "arn:aws:chime:us-east-1:111122223333:vc/v".into(),
            queue_arn: "arn:aws:connect:us-east-1:111122223333:instance/i/queue/q".into(),
            screen_pop_url: format!("{SAMPLE_PUBLIC_URL}/loadAgentAppFrame.html?session_history_key"),
        };
        bellhop_connect::flow::language::written(&bellhop_connect::flow::Flow::handing_over(&parts)).to_string()
    }

    /// A contact in each flow there is, up to its transfer.
    fn begin() -> [Flow; 2] {
        [SAMPLE.to_owned(), exported()].map(|json| {
            let system = [("$.InstanceARN", "arn:i"), ("$.ContactId", "c1"), ("$.InitialContactId", "ic1")];
            let system = system.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            let mut flow = Flow::begin(&json, system).expect("good");
            let stop = flow.run().expect("runs");
            assert_eq!(stop, Stop::Transferring { user_to_user: "arn:i".into() });
            flow
        })
    }

    #[test]
    fn a_path_inside_a_text_is_text() {
        let inside = r#"{\"i\":\"$.InstanceARN\",\"ic\":\"$.InitialContactId\"}"#;
        let json = SAMPLE.replace("\"$.InstanceARN\"", &format!("\"{inside}\""));
        assert_ne!(json, SAMPLE);
        let system = [("$.InstanceARN".to_owned(), "arn:i".to_owned())].into();
        let stop = Flow::begin(&json, system).expect("good").run();
        let literal = r#"{"i":"$.InstanceARN","ic":"$.InitialContactId"}"#;
        assert_eq!(stop, Ok(Stop::Transferring { user_to_user: literal.into() }));
    }

    #[test]
    fn the_agent_is_shown_the_page_that_the_flow_names() {
        for mut flow in begin() {
            assert_eq!(screen_pop(&flow.attributes), None);
            flow.attributes.insert("SessionHistoryKey".into(), "_abc".into());
            flow.transferred(TransferOutcome::Success).expect("runs");
            let page = format!("{SAMPLE_PUBLIC_URL}/loadAgentAppFrame.html?session_history_key=abc");
            assert_eq!(screen_pop(&flow.attributes), Some(page));
        }
    }

    #[test]
    fn a_key_leads_to_the_queue_and_is_copied_for_the_agent() {
        for mut flow in begin() {
            flow.attributes.insert("SessionHistoryKey".into(), "_abc".into());
            assert!(matches!(flow.transferred(TransferOutcome::Success), Ok(Stop::Queued { .. })));
            assert_eq!(flow.attributes["sessionHistoryKey"], "_abc");
        }
    }

    #[test]
    fn hangup_leads_to_the_end() {
        for mut flow in begin() {
            flow.attributes.insert("SessionHistoryKey".into(), "hangup".into());
            assert_eq!(flow.transferred(TransferOutcome::Success), Ok(Stop::Disconnected));
        }
    }

    #[test]
    fn without_a_key_and_after_failures_the_caller_still_reaches_an_agent() {
        for outcome in [TransferOutcome::Success, TransferOutcome::CallFailed, TransferOutcome::Timeout] {
            for mut flow in begin() {
                assert!(matches!(flow.transferred(outcome), Ok(Stop::Queued { .. })), "{outcome:?}");
            }
        }
    }
}
