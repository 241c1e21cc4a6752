//! What an action does, read from its parameters: for whoever runs a flow or asks what becomes of a caller.
//!
//! Invariant: parameters of another shape than Amazon Connect takes are told, and nothing is supposed in their place.

use serde_json::{Map, Value};

use super::{Action, ActionType};

/// What an action does.
#[derive(Debug, Clone, PartialEq)]
pub enum Does<'a> {
    /// Nothing that a caller or we would notice: logging, recording, event flows.
    Passes,
    /// Sets attributes of the contact: all, or none.
    SetAttributes(Vec<(&'a str, &'a str)>),
    /// Carries the caller to a connector, or to a number.
    Transfer(Transfer<'a>),
    /// Looks at a value; its conditions say what follows.
    Compare(&'a str),
    /// Chooses a queue.
    SetQueue(&'a str),
    /// Puts the caller into the queue.
    TransferToQueue,
    /// Says something.
    Say(Prompt<'a>),
    /// Ends the contact.
    Disconnect,
    /// What only Amazon Connect can do.
    Elsewhere,
}

/// A transfer.
#[derive(Debug, Clone, PartialEq)]
pub struct Transfer<'a> {
    /// The connector's ARN; none of a transfer to a number.
    pub voice_connector_arn: Option<&'a str>,
    /// Who is called.
    pub to_user: Option<&'a str>,
    /// Who calls.
    pub from_user: Option<&'a str>,
    /// What goes along.
    pub user_to_user: Option<&'a str>,
    /// Whether the flow goes on once the far end has hung up.
    pub after: AfterTransfer,
}

/// What follows a transfer that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterTransfer {
    /// The flow goes on once the far end has hung up.
    FlowGoesOn,
    /// The contact ends with the call.
    ContactEnds,
}

/// What is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prompt<'a> {
    /// A text; references in it are filled in.
    Text(&'a str),
    /// A text of the Speech Synthesis Markup Language; references in it are filled in.
    Ssml(&'a str),
    /// A recording: its identifier or ARN.
    Recording(&'a str),
    /// A file of S3.
    File,
}

/// A parameter that is not as it has to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("block {identifier}: {parameter} {why}")]
pub struct BadParameter {
    /// Of which action.
    pub identifier: String,
    /// Which.
    pub parameter: String,
    /// What it has to be.
    pub why: &'static str,
}

impl Action {
    /// What it does.
    pub fn does(&self) -> Result<Does<'_>, BadParameter> {
        let own = Of { action: self, within: "", parameters: &self.parameters };
        Ok(match &self.action_type {
            ActionType::UpdateFlowLoggingBehavior
            | ActionType::UpdateContactRecordingBehavior
            | ActionType::UpdateContactEventHooks => Does::Passes,
            ActionType::UpdateContactAttributes => Does::SetAttributes(own.attributes()?),
            ActionType::TransferParticipantToThirdParty => Does::Transfer(own.transfer()?),
            ActionType::Compare => Does::Compare(own.text("ComparisonValue")?),
            ActionType::UpdateContactTargetQueue => Does::SetQueue(match own.may_be("AgentId")? {
                Some(agent) => agent,
                None => own.text("QueueId")?,
            }),
            ActionType::TransferContactToQueue => Does::TransferToQueue,
            ActionType::MessageParticipant => Does::Say(own.prompt()?),
            ActionType::DisconnectParticipant => Does::Disconnect,
            ActionType::TransferToFlow | ActionType::InvokeLambdaFunction | ActionType::Other(..) => Does::Elsewhere,
        })
    }
}

/// Parameters of an action, or of an object in them.
struct Of<'a> {
    action: &'a Action,
    within: &'static str,
    parameters: &'a Map<String, Value>,
}

impl<'a> Of<'a> {
    fn bad(&self, parameter: &str, why: &'static str) -> BadParameter {
        let parameter = format!("{}{parameter}", self.within);
        BadParameter { identifier: self.action.identifier.clone(), parameter, why }
    }

    fn may_be(&self, name: &str) -> Result<Option<&'a str>, BadParameter> {
        match self.parameters.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.bad(name, "is not a text")),
        }
    }

    fn text(&self, name: &str) -> Result<&'a str, BadParameter> {
        self.may_be(name)?.ok_or_else(|| self.bad(name, "is missing"))
    }

    fn attributes(&self) -> Result<Vec<(&'a str, &'a str)>, BadParameter> {
        let Some(Value::Object(all)) = self.parameters.get("Attributes") else {
            return Err(self.bad("Attributes", "is not an object"));
        };
        let text = |(name, value): (&'a String, &'a Value)| match value {
            Value::String(text) => Ok((name.as_str(), text.as_str())),
            _ => Err(self.bad(&format!("Attributes.{name}"), "is not a text")),
        };
        all.iter().map(text).collect()
    }

    fn transfer(&self) -> Result<Transfer<'a>, BadParameter> {
        let after = match self.may_be("ContinueFlowExecution")? {
            None | Some("True") => AfterTransfer::FlowGoesOn,
            Some("False") => AfterTransfer::ContactEnds,
            Some(_) => return Err(self.bad("ContinueFlowExecution", "is neither \"True\" nor \"False\"")),
        };
        let parameters = match self.parameters.get("VoiceConnector") {
            None => {
                let number = Some(self.text("ThirdPartyPhoneNumber")?);
                let transfer =
                    Transfer { voice_connector_arn: None, to_user: number, from_user: None, user_to_user: None, after };
                return Ok(transfer);
            }
            Some(Value::Object(connector)) => connector,
            Some(_) => return Err(self.bad("VoiceConnector", "is not an object")),
        };
        let connector = Of { action: self.action, within: "VoiceConnector.", parameters };
        Ok(Transfer {
            voice_connector_arn: Some(connector.text("VoiceConnectorArn")?),
            to_user: connector.may_be("ToUser")?,
            from_user: connector.may_be("FromUser")?,
            user_to_user: connector.may_be("UserToUserInformation")?,
            after,
        })
    }

    fn prompt(&self) -> Result<Prompt<'a>, BadParameter> {
        let file = self.parameters.get("Media").map(|_| Prompt::File);
        let said = [
            self.may_be("Text")?.map(Prompt::Text),
            self.may_be("SSML")?.map(Prompt::Ssml),
            self.may_be("PromptId")?.map(Prompt::Recording),
            file,
        ];
        let mut said = said.into_iter().flatten();
        match (said.next(), said.next()) {
            (Some(prompt), None) => Ok(prompt),
            _ => Err(self.bad("Text, SSML, PromptId", "have to be exactly one")),
        }
    }
}
