//! Why a call ended: closed, classified once.
//!
//! Invariant: `label` is the metric's label, `sip_reason` the Reason header of our BYE (RFC 3326); neither tells anything
//! personal.

use crate::failure::{ChildName, Exit, Failure};

/// `call.ending` of a call whose server died while it was up.
pub const LOST: &str = "lost";
/// The same of one whose end nobody told.
pub const BROKEN_OFF: &str = "broken_off";

/// Why a call is over: what the record, the metrics and the log are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The caller hung up (BYE), or cancelled.
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
    /// It had lasted for as long as a call may.
    TooLong,
    /// The call never came about.
    Refused(Refusal),
    /// Something broke.
    Failed {
        /// The child that failed first.
        child: ChildName,
        /// How it failed.
        failure: Broken,
    },
}

/// How a call ended, for the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// The caller was handed to an agent or transferred.
    AssistantTransfer,
    /// The assistant ended the conversation.
    AssistantHangup,
    /// The caller hung up.
    CallerHangup,
    /// Something broke.
    Failed,
}

impl EndReason {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::AssistantTransfer, Self::AssistantHangup, Self::CallerHangup, Self::Failed];

    /// The word in the record.
    pub fn label(self) -> &'static str {
        match self {
            Self::AssistantTransfer => "assistant_transfer",
            Self::AssistantHangup => "assistant_hangup",
            Self::CallerHangup => "caller_hangup",
            Self::Failed => "failed",
        }
    }
}

/// Why a call was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Refusal {
    UnknownNumber,
    ForeignInstance,
    QuotaExceeded,
    /// More calls of its tenant began in a second than may.
    RateExceeded,
    NodeFull,
    NoPorts,
    Draining,
    NotAcceptable,
    /// Its source, or all strangers together, hold too many calls that nobody acknowledged.
    Unacknowledged,
}

/// How a child failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// It reported the failure itself.
    Failure(Failure),
    /// It panicked.
    Panic,
    /// It did not do its part within its deadline.
    Overdue,
    /// It ended without being asked to.
    Vanished,
}

/// The labels of all endings, in one list: every series exists from the start.
macro_rules! labels {
    ($($label:ident $text:literal)+) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        enum Label { $($label),+ }

        impl Label {
            const fn text(self) -> &'static str {
                match self { $(Self::$label => $text),+ }
            }
        }

        impl Ending {
            /// Every label.
            pub const LABELS: &'static [&'static str] = &[$(Label::$label.text()),+];
        }
    };
}

labels! {
    CallerHungUp "caller_hung_up"
    AssistantEnded "assistant_ended"
    HandedOff "handed_off"
    Transferred "transferred"
    OperatorHungUp "operator_hung_up"
    Drained "drained"
    TooLong "too_long"
    UnknownNumber "refused_unknown_number"
    ForeignInstance "refused_foreign_instance"
    QuotaExceeded "refused_quota"
    RateExceeded "refused_rate"
    NodeFull "refused_node_full"
    NoPorts "refused_no_ports"
    Draining "refused_draining"
    NotAcceptable "refused_not_acceptable"
    Unacknowledged "refused_unacknowledged"
    Service "failed_service"
    Handoff "failed_handoff"
    HandoffUncertain "failed_handoff_uncertain"
    Signalling "failed_signalling"
    Transfer "failed_transfer"
    MediaTimeout "failed_media_timeout"
    Panic "failed_panic"
    Overdue "failed_overdue"
}

impl Ending {
    /// What a child's unasked exit means.
    pub(crate) fn of_exit(child: ChildName, exit: &Exit) -> Self {
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
            Self::OperatorHungUp | Self::Drained | Self::TooLong | Self::Refused(_) | Self::Failed { .. } => {
                EndReason::Failed
            }
        }
    }

    /// The metric label.
    pub fn label(&self) -> &'static str {
        self.kind().text()
    }

    fn kind(&self) -> Label {
        match self {
            Self::CallerHungUp => Label::CallerHungUp,
            Self::AssistantEnded => Label::AssistantEnded,
            Self::HandedOff => Label::HandedOff,
            Self::Transferred => Label::Transferred,
            Self::OperatorHungUp => Label::OperatorHungUp,
            Self::Drained => Label::Drained,
            Self::TooLong => Label::TooLong,
            Self::Refused(refusal) => match refusal {
                Refusal::UnknownNumber => Label::UnknownNumber,
                Refusal::ForeignInstance => Label::ForeignInstance,
                Refusal::QuotaExceeded => Label::QuotaExceeded,
                Refusal::RateExceeded => Label::RateExceeded,
                Refusal::NodeFull => Label::NodeFull,
                Refusal::NoPorts => Label::NoPorts,
                Refusal::Draining => Label::Draining,
                Refusal::NotAcceptable => Label::NotAcceptable,
                Refusal::Unacknowledged => Label::Unacknowledged,
            },
            Self::Failed { failure, .. } => match failure {
                Broken::Failure(
                    Failure::RecognizerLost | Failure::SynthesizerLost | Failure::AssistantLost | Failure::Injected,
                ) => Label::Service,
                Broken::Failure(Failure::HandoffImpossible | Failure::HandoffRefused) => Label::Handoff,
                Broken::Failure(Failure::HandoffUncertain) => Label::HandoffUncertain,
                Broken::Failure(
                    Failure::NeverAcked | Failure::NoMedia | Failure::SessionExpired | Failure::NoWayBack,
                ) => Label::Signalling,
                Broken::Failure(Failure::TransferFailed) => Label::Transfer,
                Broken::Failure(Failure::MediaTimeout) => Label::MediaTimeout,
                Broken::Panic | Broken::Failure(Failure::AudioPath) => Label::Panic,
                Broken::Overdue | Broken::Vanished => Label::Overdue,
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
            Self::TooLong => (200, "call lasted too long"),
            Self::Refused(_) => (503, "call refused"),
            Self::Failed { failure: Broken::Failure(failure), .. } => match failure {
                Failure::RecognizerLost => (500, "speech recognition lost"),
                Failure::SynthesizerLost => (500, "speech synthesis lost"),
                Failure::AssistantLost => (500, "assistant lost"),
                Failure::HandoffImpossible => (500, "hand-off impossible"),
                Failure::HandoffRefused => (500, "hand-off refused"),
                Failure::HandoffUncertain => (500, "hand-off uncertain"),
                Failure::NoWayBack => (408, "no way back"),
                Failure::NeverAcked => (408, "ACK timeout"),
                Failure::NoMedia => (488, "no audio agreed"),
                Failure::MediaTimeout => (408, "media timeout"),
                Failure::SessionExpired => (408, "session expired"),
                Failure::TransferFailed => (500, "transfer failed"),
                Failure::AudioPath | Failure::Injected => (500, "internal failure"),
            },
            Self::Failed { .. } => (500, "internal failure"),
        };
        format!("SIP;cause={cause};text=\"{text}\"")
    }
}
