//! Why a call ended: closed, classified once.
//!
//! Invariant: `label` is the metric's label, `sip_reason` the Reason header of our BYE (RFC 3326); neither tells anything
//! personal.

use bellhop_dialogue::call_record::EndReason;

use crate::supervision::{ChildName, Exit, Failure};

/// Why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The caller said goodbye, or cancelled.
    CallerHungUp,
    /// The assistant ended the conversation.
    AssistantEnded,
    /// The contact was handed to the flow with its history.
    HandedOff,
    /// The caller was transferred by SIP.
    Transferred,
    /// An operator hung up.
    OperatorHungUp,
    /// The node was drained and the call outlasted the deadline.
    Drained,
    /// The call never came about.
    Refused(Refusal),
    /// Something broke.
    Failed {
        /// Who.
        child: ChildName,
        /// Of what.
        failure: Broken,
    },
}

/// Why a call was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Refusal {
    UnknownNumber,
    ForeignInstance,
    QuotaExceeded,
    NodeFull,
    NoPorts,
    Draining,
    NotAcceptable,
}

/// What broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// It said so.
    Failure(Failure),
    /// It panicked.
    Panic,
    /// It hung.
    Overdue,
    /// It ended without being asked to.
    Vanished,
}

impl Ending {
    /// Every label, so that every series exists from the start.
    pub const LABELS: [&'static str; 20] = [
        "caller_hung_up",
        "assistant_ended",
        "handed_off",
        "transferred",
        "operator_hung_up",
        "drained",
        "refused_unknown_number",
        "refused_foreign_instance",
        "refused_quota",
        "refused_node_full",
        "refused_no_ports",
        "refused_draining",
        "refused_not_acceptable",
        "failed_service",
        "failed_handoff",
        "failed_signalling",
        "failed_transfer",
        "failed_media_timeout",
        "failed_panic",
        "failed_overdue",
    ];

    /// What a child's unasked exit means.
    pub fn of_exit(child: ChildName, exit: &Exit) -> Self {
        let failure = match exit {
            Exit::Failed(failure) => Broken::Failure(failure.clone()),
            Exit::Panicked { .. } => Broken::Panic,
            Exit::Overdue => Broken::Overdue,
            Exit::Finished => Broken::Vanished,
        };
        Self::Failed { child, failure }
    }

    /// What the supervisor's own end means when it left no ending.
    pub fn of_supervisor(exit: &Exit) -> Self {
        Self::of_exit(ChildName::Call, exit)
    }

    /// The word of the call record.
    pub fn record_reason(&self) -> EndReason {
        match self {
            Self::CallerHungUp => EndReason::CallerHangup,
            Self::AssistantEnded => EndReason::AssistantHangup,
            Self::HandedOff | Self::Transferred => EndReason::AssistantTransfer,
            Self::OperatorHungUp | Self::Drained | Self::Refused(_) | Self::Failed { .. } => EndReason::Failed,
        }
    }

    /// The metric label.
    pub fn label(&self) -> &'static str {
        match self {
            Self::CallerHungUp => "caller_hung_up",
            Self::AssistantEnded => "assistant_ended",
            Self::HandedOff => "handed_off",
            Self::Transferred => "transferred",
            Self::OperatorHungUp => "operator_hung_up",
            Self::Drained => "drained",
            Self::Refused(refusal) => match refusal {
                Refusal::UnknownNumber => "refused_unknown_number",
                Refusal::ForeignInstance => "refused_foreign_instance",
                Refusal::QuotaExceeded => "refused_quota",
                Refusal::NodeFull => "refused_node_full",
                Refusal::NoPorts => "refused_no_ports",
                Refusal::Draining => "refused_draining",
                Refusal::NotAcceptable => "refused_not_acceptable",
            },
            Self::Failed { failure, .. } => match failure {
                Broken::Failure(
                    Failure::RecognizerLost
                    | Failure::SynthesizerLost
                    | Failure::AssistantLost
                    | Failure::MailboxFull
                    | Failure::Injected,
                ) => "failed_service",
                Broken::Failure(Failure::HandoffImpossible | Failure::HandoffRefused) => "failed_handoff",
                Broken::Failure(Failure::NeverAcked | Failure::NoMedia | Failure::SessionExpired) => {
                    "failed_signalling"
                }
                Broken::Failure(Failure::TransferFailed) => "failed_transfer",
                Broken::Failure(Failure::MediaTimeout) => "failed_media_timeout",
                Broken::Panic | Broken::Failure(Failure::AudioPath) => "failed_panic",
                Broken::Overdue | Broken::Vanished => "failed_overdue",
            },
        }
    }

    /// The Reason header of our BYE.
    pub fn sip_reason(&self) -> String {
        let (cause, text) = match self {
            Self::CallerHungUp => (200, "caller hung up"),
            Self::AssistantEnded => (200, "conversation ended"),
            Self::HandedOff => (200, "handed off to agent"),
            Self::Transferred => (200, "transferred"),
            Self::OperatorHungUp => (200, "operator hung up"),
            Self::Drained => (503, "node draining"),
            Self::Refused(_) => (503, "call refused"),
            Self::Failed { failure: Broken::Failure(failure), .. } => match failure {
                Failure::RecognizerLost => (500, "speech recognition lost"),
                Failure::SynthesizerLost => (500, "speech synthesis lost"),
                Failure::AssistantLost => (500, "assistant lost"),
                Failure::HandoffImpossible => (500, "hand-off impossible"),
                Failure::HandoffRefused => (500, "hand-off refused"),
                Failure::NeverAcked => (408, "ACK timeout"),
                Failure::NoMedia => (488, "no audio agreed"),
                Failure::MediaTimeout => (408, "media timeout"),
                Failure::SessionExpired => (408, "session expired"),
                Failure::TransferFailed => (500, "transfer failed"),
                Failure::MailboxFull | Failure::AudioPath | Failure::Injected => (500, "internal failure"),
            },
            Self::Failed { .. } => (500, "internal failure"),
        };
        format!("SIP;cause={cause};text=\"{text}\"")
    }
}
