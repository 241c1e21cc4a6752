//! The parameters and errors of each kind of block (API reference, *Actions in the flow language*; where exports name one otherwise
//! than its page, both are taken).
//!
//! Invariant: one row for each parameter; a kind that has no row is not checked.

use super::super::{ActionType, ErrorType};

/// A parameter.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) need: Need,
    pub(super) kind: Kind,
}

/// Whether it has to be there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Must,
    May,
}

/// What it says.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// A text.
    Text(May),
    /// One of these, fixed.
    OneOf(&'static [&'static str]),
    /// A text of whole seconds from one number to another, or a reference.
    Seconds(u32, u32),
    /// A list of these.
    ListOf(&'static [&'static str]),
    /// An object of these.
    Object(&'static [Parameter]),
    /// An object of these, in which there may be others.
    Open(&'static [Parameter]),
    /// An object of texts, each of which may be a reference.
    Texts,
}

/// Where references may stand in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum May {
    /// The text is one.
    BeReference,
    /// It has to be one.
    OnlyBeReference,
    /// They stand inside of it as well: it is said.
    HaveReferences,
}

use Kind::{ListOf, Object, OneOf, Open, Seconds, Text, Texts};
use May::{BeReference, HaveReferences, OnlyBeReference};
use Need::{May as MayBe, Must};

const fn row(name: &'static str, need: Need, kind: Kind) -> Parameter {
    Parameter { name, need, kind }
}

const SWITCH: Kind = OneOf(&["Enabled", "Disabled"]);
const TRUTH: Kind = OneOf(&["True", "False"]);

const CONNECTOR: &[Parameter] = &[
    row("VoiceConnectorType", Must, OneOf(&["ChimeConnector", "CallTransferConnector"])),
    row("VoiceConnectorArn", Must, Text(BeReference)),
    row("ToUser", Must, Text(BeReference)),
    row("FromUser", Must, Text(BeReference)),
    row("UserToUserInformation", MayBe, Text(BeReference)),
];

const RECORDING: &[Parameter] = &[
    row("RecordedParticipants", Must, ListOf(&["Agent", "Customer"])),
    row("ScreenRecordedParticipants", MayBe, ListOf(&["Agent"])),
    row("IVRRecordingBehavior", MayBe, SWITCH),
];

const ANALYTICS: &[Parameter] = &[row("Enabled", Must, TRUTH), row("AnalyticsRedactionBehavior", MayBe, SWITCH)];

const RESPONSE: &[Parameter] = &[row("ResponseType", Must, OneOf(&["JSON", "STRING_MAP"]))];

/// The parameters of a kind of block; `None` of one that is not known here.
pub(super) fn parameters(action_type: &ActionType) -> Option<&'static [Parameter]> {
    Some(match action_type {
        ActionType::UpdateFlowLoggingBehavior => const { &[row("FlowLoggingBehavior", Must, SWITCH)] },
        ActionType::UpdateContactRecordingBehavior => {
            const { &[row("RecordingBehavior", Must, Object(RECORDING)), row("AnalyticsBehavior", MayBe, Open(ANALYTICS))] }
        }
        ActionType::UpdateContactAttributes => {
            const { &[row("Attributes", Must, Texts), row("TargetContact", Must, OneOf(&["Current", "Related"]))] }
        }
        ActionType::TransferParticipantToThirdParty => {
            const {
                &[
                    row("ThirdPartyPhoneNumber", MayBe, Text(BeReference)),
                    row("ThirdPartyConnectionTimeLimitSeconds", MayBe, Seconds(0, 600)),
                    row("ThirdPartyConnectionTimeoutSeconds", MayBe, Seconds(0, 600)),
                    row("ContinueFlowExecution", MayBe, TRUTH),
                    row("ThirdPartyDTMFDigits", MayBe, Text(BeReference)),
                    row("CallerId", MayBe, Texts),
                    row("VoiceConnector", MayBe, Object(CONNECTOR)),
                ]
            }
        }
        ActionType::Compare => const { &[row("ComparisonValue", Must, Text(OnlyBeReference))] },
        ActionType::UpdateContactTargetQueue => {
            const { &[row("QueueId", MayBe, Text(BeReference)), row("AgentId", MayBe, Text(BeReference))] }
        }
        ActionType::TransferContactToQueue | ActionType::DisconnectParticipant => &[],
        ActionType::TransferToFlow => const { &[row("ContactFlowId", Must, Text(BeReference))] },
        ActionType::MessageParticipant => {
            const {
                &[
                    row("Text", MayBe, Text(HaveReferences)),
                    row("SSML", MayBe, Text(HaveReferences)),
                    row("PromptId", MayBe, Text(BeReference)),
                    row("Media", MayBe, Open(&[])),
                    row("SkipWhenDTMFBufferEnabled", MayBe, OneOf(&["true", "false", "True", "False"])),
                ]
            }
        }
        ActionType::InvokeLambdaFunction => {
            const {
                &[
                    row("LambdaFunctionARN", Must, Text(BeReference)),
                    row("InvocationTimeLimitSeconds", MayBe, Seconds(1, 60)),
                    row("InvocationType", MayBe, OneOf(&["SYNCHRONOUS", "ASYNCHRONOUS"])),
                    row("LambdaInvocationAttributes", MayBe, Open(&[])),
                    row("ResponseValidation", MayBe, Open(RESPONSE)),
                ]
            }
        }
        ActionType::UpdateContactEventHooks => const { &[row("EventHooks", Must, Texts)] },
        ActionType::Other(..) => return None,
    })
}

/// Of which of these parameters exactly one has to be there; none if a kind has no such choice.
pub(super) fn choice(action_type: &ActionType) -> &'static [&'static str] {
    match action_type {
        ActionType::TransferParticipantToThirdParty => &["VoiceConnector", "ThirdPartyPhoneNumber"],
        ActionType::UpdateContactTargetQueue => &["QueueId", "AgentId"],
        ActionType::MessageParticipant => &["Text", "SSML", "PromptId", "Media"],
        _ => &[],
    }
}

/// The errors that a block of a kind must have branches for, and those that it may have besides.
pub(super) fn errors(action_type: &ActionType, goes_on: bool) -> Option<(&'static [ErrorType], &'static [ErrorType])> {
    use ErrorType::{CallFailed, ConnectionTimeLimitExceeded, NoMatchingCondition, NoMatchingError, QueueAtCapacity};
    Some(match action_type {
        ActionType::UpdateFlowLoggingBehavior | ActionType::DisconnectParticipant => (&[], &[]),
        ActionType::UpdateContactRecordingBehavior => (&[], &[NoMatchingError]),
        ActionType::TransferParticipantToThirdParty if goes_on => {
            (&[CallFailed, ConnectionTimeLimitExceeded, NoMatchingError], &[])
        }
        ActionType::Compare => (&[NoMatchingCondition], &[]),
        ActionType::TransferContactToQueue => (&[QueueAtCapacity, NoMatchingError], &[]),
        ActionType::UpdateContactAttributes
        | ActionType::TransferParticipantToThirdParty
        | ActionType::UpdateContactTargetQueue
        | ActionType::TransferToFlow
        | ActionType::MessageParticipant
        | ActionType::InvokeLambdaFunction
        | ActionType::UpdateContactEventHooks => (&[NoMatchingError], &[]),
        ActionType::Other(..) => return None,
    })
}
