//! Where a call is, with what only that state knows.

use bellhop_dialogue::response::SipTarget;
use bellhop_sip::dialog::refer::Transfer;

use super::Goal;
use crate::ending::Ending;
use crate::failure::ChildName;
use crate::phase::PhaseName;

/// Where a call is.
#[derive(Debug)]
pub(super) enum State {
    /// No final response yet.
    Offered { readiness: Readiness, goal: Option<Goal> },
    /// 2xx sent, no ACK.
    Answering { then: Then },
    /// The conversation.
    Talking,
    /// The history is being stored.
    Preparing { preparation: Preparation },
    /// Who could still fail is being stopped; then, with nobody left to wait for, it is found out whether a BYE would arrive.
    Quiescing { completion: Completion, waiting_for: Vec<ChildName> },
    /// The request to Amazon Connect is in flight.
    Committing { completion: Completion, first_failure: Option<Ending> },
    /// The attribute is there: nothing left but the BYE.
    HandedOff,
    /// The far end has been asked to call somebody else, or is being put on hold first.
    Transferring { after_hold: Option<Transfer>, cause: Option<Ending> },
    /// Something broke, and the caller is told before they are transferred or the call ends.
    FailingOver { cause: Ending, then: Option<Transfer> },
    /// The teardown is ordered; children stop.
    Terminating,
}

impl State {
    pub(super) fn name(&self) -> PhaseName {
        match self {
            Self::Offered { .. } => PhaseName::Offered,
            Self::Answering { .. } => PhaseName::Answering,
            Self::Talking => PhaseName::Talking,
            Self::Preparing { .. } => PhaseName::Preparing,
            Self::Quiescing { .. } => PhaseName::Quiescing,
            Self::Committing { .. } => PhaseName::Committing,
            Self::HandedOff => PhaseName::HandedOff,
            Self::Transferring { .. } => PhaseName::Transferring,
            Self::FailingOver { .. } => PhaseName::FailingOver,
            Self::Terminating => PhaseName::Terminating,
        }
    }

    /// The failure that the call is failing over from: the first reason, whatever else happens on the way.
    pub(super) fn cause(&self) -> Option<&Ending> {
        match self {
            Self::Answering { then: Then::FailOver(cause) }
            | Self::Transferring { cause: Some(cause), .. }
            | Self::FailingOver { cause, .. } => Some(cause),
            Self::Offered { .. }
            | Self::Answering { then: Then::Talk(_) }
            | Self::Talking
            | Self::Preparing { .. }
            | Self::Quiescing { .. }
            | Self::Committing { .. }
            | Self::HandedOff
            | Self::Transferring { cause: None, .. }
            | Self::Terminating => None,
        }
    }
}

/// What must be there before the call is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Readiness {
    pub(super) recognizer: bool,
    pub(super) greeting: bool,
    pub(super) says_something: bool,
}

/// What follows the ACK.
#[derive(Debug)]
pub(super) enum Then {
    /// The conversation, or what it has ended in already.
    Talk(Option<Goal>),
    /// The call fails over from this failure.
    FailOver(Ending),
}

/// What the history is stored for.
#[derive(Debug)]
pub(super) enum Preparation {
    /// A hand-off to Amazon Connect.
    HandOff,
    /// A transfer by SIP.
    Transfer(SipTarget),
}

/// What is done last, and alone.
#[derive(Debug, Clone)]
pub(super) enum Completion {
    /// The key is spent; the one request carries these names.
    HandOff { names: Vec<String> },
    /// The flow is told to disconnect.
    HangUp { headers: Vec<(String, String)> },
    /// Whoever sent us the call sends it on, by the headers of our BYE.
    TransferByBye { headers: Vec<(String, String)> },
}
