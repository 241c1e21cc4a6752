//! The contact flow that hands a caller to us and goes on after our BYE: a graph of actions, without IO.
//!
//! One graph is written and read in two formats: the flow language (`flow/language.rs`) and the export of older consoles
//! (`flow/legacy.rs`). What an action does is told in the words of the language, whatever it was read from
//! (<https://docs.aws.amazon.com/connect/latest/APIReference/flow-language.html>).
//!
//! Invariant: what is read and not changed is written in its format as it was, down to what nobody here knows.

mod branches;
pub mod check;
mod does;
mod format;
mod found;
mod handing_over;
pub mod language;
pub mod legacy;
mod meaning;
pub mod path;
mod reading;

pub use branches::{Condition, ErrorBranch, ErrorType, Operator};
pub use check::{Finding, Known, validate};
pub use does::{AfterTransfer, BadParameter, Does, Prompt, Transfer};
pub use format::{Foreign, Format};
pub use found::{DEPTH_MAX, FLOW_BYTES_MAX, of_value, read};
pub use handing_over::{ANSWERED_WITHIN_SECONDS, KEY_PATH, Parts, VoiceConnectorType, screen_pop_url};
pub use meaning::{Difference, difference};
pub use reading::{ACTIONS_READ_MAX, Unreadable};

use serde_json::{Map, Value};

/// Most actions of a flow.
pub const ACTIONS_MAX: usize = 250;
/// Most characters of an action's identifier.
pub const IDENTIFIER_CHARS_MAX: usize = 50;
/// The type of flow that a phone number leads to, as exports name it: *inbound*.
pub const INBOUND: &str = "contactFlow";

/// A flow: its first action, and all of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Flow {
    /// Where it begins.
    pub start: String,
    /// All actions, in the order in which they are written.
    pub actions: Vec<Action>,
    /// The type of flow that it is imported into, where the file says it: [`INBOUND`].
    pub kind: Option<String>,
    /// What else the file said.
    pub as_read: AsRead,
}

/// An action, and where it leads.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// Names it in its flow.
    pub identifier: String,
    /// What kind of action it is.
    pub action_type: ActionType,
    /// Its parameters, as the flow language has them.
    pub parameters: Map<String, Value>,
    /// What comes next when all went well; nothing after what ends the flow.
    pub next: Option<String>,
    /// Where it goes on instead if a condition holds: the first that does.
    pub conditions: Vec<Condition>,
    /// What comes next when something went wrong.
    pub errors: Vec<ErrorBranch>,
    /// What else the file said.
    pub as_read: AsRead,
}

/// What a file said, for whoever writes it again. It is no part of what a flow means: any two are equal.
#[derive(Debug, Clone, Default)]
pub struct AsRead(pub(crate) Option<(Format, Value)>);

impl PartialEq for AsRead {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl AsRead {
    /// What a file of this format said.
    pub(crate) fn of(&self, format: Format) -> Option<&Value> {
        self.0.as_ref().filter(|(read, _)| *read == format).map(|(_, value)| value)
    }
}

/// The kinds of action that are known here, by the names of the flow language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActionType {
    /// *Set logging behavior*
    UpdateFlowLoggingBehavior,
    /// *Set recording and analytics behavior*
    UpdateContactRecordingBehavior,
    /// *Set contact attributes*
    UpdateContactAttributes,
    /// *Transfer to phone number*, which a Voice Connector is as well
    TransferParticipantToThirdParty,
    /// *Check contact attributes*
    Compare,
    /// *Set working queue*
    UpdateContactTargetQueue,
    /// *Transfer to queue*
    TransferContactToQueue,
    /// *Transfer to flow*
    TransferToFlow,
    /// *Play prompt*
    MessageParticipant,
    /// *Disconnect*
    DisconnectParticipant,
    /// *Invoke AWS Lambda function*
    InvokeLambdaFunction,
    /// *Set event flow*
    UpdateContactEventHooks,
    /// Any other, as a format names it.
    Other(Format, String),
}

impl ActionType {
    /// Those with a name of their own.
    pub const KNOWN: [Self; 12] = [
        Self::UpdateFlowLoggingBehavior,
        Self::UpdateContactRecordingBehavior,
        Self::UpdateContactAttributes,
        Self::TransferParticipantToThirdParty,
        Self::Compare,
        Self::UpdateContactTargetQueue,
        Self::TransferContactToQueue,
        Self::TransferToFlow,
        Self::MessageParticipant,
        Self::DisconnectParticipant,
        Self::InvokeLambdaFunction,
        Self::UpdateContactEventHooks,
    ];

    /// Its name in the flow language; of another, as its format has it.
    pub fn name(&self) -> &str {
        match self {
            Self::UpdateFlowLoggingBehavior => "UpdateFlowLoggingBehavior",
            Self::UpdateContactRecordingBehavior => "UpdateContactRecordingBehavior",
            Self::UpdateContactAttributes => "UpdateContactAttributes",
            Self::TransferParticipantToThirdParty => "TransferParticipantToThirdParty",
            Self::Compare => "Compare",
            Self::UpdateContactTargetQueue => "UpdateContactTargetQueue",
            Self::TransferContactToQueue => "TransferContactToQueue",
            Self::TransferToFlow => "TransferToFlow",
            Self::MessageParticipant => "MessageParticipant",
            Self::DisconnectParticipant => "DisconnectParticipant",
            Self::InvokeLambdaFunction => "InvokeLambdaFunction",
            Self::UpdateContactEventHooks => "UpdateContactEventHooks",
            Self::Other(_, name) => name,
        }
    }

    /// What the console calls its block.
    pub fn block(&self) -> &str {
        match self {
            Self::UpdateFlowLoggingBehavior => "Set logging behavior",
            Self::UpdateContactRecordingBehavior => "Set recording and analytics behavior",
            Self::UpdateContactAttributes => "Set contact attributes",
            Self::TransferParticipantToThirdParty => "Transfer to phone number",
            Self::Compare => "Check contact attributes",
            Self::UpdateContactTargetQueue => "Set working queue",
            Self::TransferContactToQueue => "Transfer to queue",
            Self::TransferToFlow => "Transfer to flow",
            Self::MessageParticipant => "Play prompt",
            Self::DisconnectParticipant => "Disconnect",
            Self::InvokeLambdaFunction => "AWS Lambda function",
            Self::UpdateContactEventHooks => "Set event flow",
            Self::Other(_, name) => name,
        }
    }
}

impl Action {
    /// One that does this, and leads nowhere yet.
    pub fn new(identifier: &str, action_type: ActionType, parameters: Value) -> Self {
        let parameters = if let Value::Object(parameters) = parameters { parameters } else { Map::new() };
        Self {
            identifier: identifier.to_owned(),
            action_type,
            parameters,
            next: None,
            conditions: vec![],
            errors: vec![],
            as_read: AsRead::default(),
        }
    }

    /// Leads on when all went well.
    pub fn then(mut self, next: &str) -> Self {
        self.next = Some(next.to_owned());
        self
    }

    /// Leads there when this goes wrong.
    pub fn or(mut self, error: ErrorType, next: &str) -> Self {
        self.errors.push(ErrorBranch { error, next: next.to_owned() });
        self
    }

    /// Leads there when this holds.
    pub fn when(mut self, operator: Operator, operand: &str, next: &str) -> Self {
        self.conditions.push(Condition { operator, operands: vec![operand.to_owned()], next: next.to_owned() });
        self
    }

    /// Where an error of this type leads: where nothing is said of it, as any other does.
    pub fn on(&self, error: &ErrorType) -> Option<&str> {
        let of = |wanted: &ErrorType| self.errors.iter().find(|branch| branch.error == *wanted);
        of(error).or_else(|| of(&ErrorType::NoMatchingError)).map(|branch| branch.next.as_str())
    }
}

impl Flow {
    /// The action of this name: the first, if there are several.
    pub fn action(&self, identifier: &str) -> Option<&Action> {
        self.actions.iter().find(|action| action.identifier == identifier)
    }

    /// Writes it in a format; an action that only the other format has a name for cannot be.
    pub fn written(&self, format: Format) -> Result<Value, Foreign> {
        match format {
            Format::Language => language::write(self),
            Format::Legacy => legacy::write(self),
        }
    }
}
