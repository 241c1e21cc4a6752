//! The names of the states of a call: in configuration, logs and metrics.
//!
//! Invariant: one name for each state of `lifecycle.rs`, which says what happens in it.

/// The names of the phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PhaseName {
    /// No final response yet.
    Offered,
    /// 2xx sent, no ACK.
    Answering,
    /// The conversation.
    Talking,
    /// The far end has been asked to call somebody else.
    Transferring,
    /// Something broke, and the caller is told before they are transferred or the call ends.
    FailingOver,
    /// The history is being stored.
    Preparing,
    /// The other children are being stopped, the key in hand.
    Quiescing,
    /// The request is in flight.
    Committing,
    /// The attribute is there: nothing left but the BYE.
    HandedOff,
    /// The teardown is ordered.
    Terminating,
}

impl PhaseName {
    /// Those that every call with a hand-off goes through, in order.
    pub const LIVE: [Self; 8] = [
        Self::Offered,
        Self::Answering,
        Self::Talking,
        Self::Preparing,
        Self::Quiescing,
        Self::Committing,
        Self::HandedOff,
        Self::Terminating,
    ];

    /// All of them: in each a fault can be injected.
    pub const ALL: [Self; 10] = {
        let [offered, answering, talking, preparing, quiescing, committing, handed_off, terminating] = Self::LIVE;
        [
            offered,
            answering,
            talking,
            preparing,
            quiescing,
            committing,
            handed_off,
            terminating,
            Self::Transferring,
            Self::FailingOver,
        ]
    };

    /// The word in configuration and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Answering => "answering",
            Self::Talking => "talking",
            Self::Transferring => "transferring",
            Self::FailingOver => "failing_over",
            Self::Preparing => "preparing",
            Self::Quiescing => "quiescing",
            Self::Committing => "committing",
            Self::HandedOff => "handed_off",
            Self::Terminating => "terminating",
        }
    }
}
