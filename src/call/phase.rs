//! Where a call is, and what a failure there means to the world. Pure.
//!
//! ```text
//! Offered -> Answering -> Talking -> Preparing -> Quieting -> Committing -> HandedOff
//!    \___________\___________\__________\____________\____________\____________\-> Leaving
//! Talking -> Transferring (by SIP);  a failure where no contact flow takes over -> FailingOver -> Transferring
//! ```
//! Invariant: a key can only be on the wire in `Committing`, and stays there only through `HandedOff`.

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
    Quieting,
    /// The request is in flight.
    Committing,
    /// The attribute is there: nothing left but the BYE.
    HandedOff,
    /// The farewell is said.
    Leaving,
}

impl PhaseName {
    /// Those that every call with a hand-off goes through, in order.
    pub const LIVE: [Self; 7] = {
        let [offered, answering, talking, preparing, quieting, committing, handed_off, ..] = Self::DRILLED;
        [offered, answering, talking, preparing, quieting, committing, handed_off]
    };

    /// Every phase in which a call can be struck by a fault: those of a hand-off, and those of a transfer by SIP.
    pub const DRILLED: [Self; 9] = [
        Self::Offered,
        Self::Answering,
        Self::Talking,
        Self::Preparing,
        Self::Quieting,
        Self::Committing,
        Self::HandedOff,
        Self::Transferring,
        Self::FailingOver,
    ];

    /// The word in configuration and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Answering => "answering",
            Self::Talking => "talking",
            Self::Transferring => "transferring",
            Self::FailingOver => "failing_over",
            Self::Preparing => "preparing",
            Self::Quieting => "quieting",
            Self::Committing => "committing",
            Self::HandedOff => "handed_off",
            Self::Leaving => "leaving",
        }
    }

    /// What a failure in this phase demands before the BYE.
    pub fn on_failure(self) -> OnFailure {
        match self {
            Self::Offered
            | Self::Answering
            | Self::Talking
            | Self::Transferring
            | Self::FailingOver
            | Self::Preparing
            | Self::Quieting => OnFailure::Leave,
            Self::Committing => OnFailure::AwaitOutcomeThenBlank,
            Self::HandedOff => OnFailure::LeaveHandedOff,
            Self::Leaving => OnFailure::Ignore,
        }
    }

    /// What the caller's hang-up means in this phase.
    pub fn on_caller_hang_up(self) -> OnFailure {
        match self {
            // The contact is over: let the request end, blank nothing.
            Self::Committing => OnFailure::AwaitOutcome,
            Self::HandedOff => OnFailure::LeaveHandedOff,
            Self::Leaving => OnFailure::Ignore,
            Self::Offered
            | Self::Answering
            | Self::Talking
            | Self::Transferring
            | Self::FailingOver
            | Self::Preparing
            | Self::Quieting => OnFailure::Leave,
        }
    }
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Say goodbye now; no key was written.
    Leave,
    /// The request may have gone out: await its outcome within its budget, take the key back, say goodbye.
    AwaitOutcomeThenBlank,
    /// Await the outcome, then end.
    AwaitOutcome,
    /// The hand-off had succeeded; it stays a success.
    LeaveHandedOff,
    /// The farewell is said already; the first reason won.
    Ignore,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_failures_is_as_written() {
        let table: Vec<String> = PhaseName::LIVE
            .into_iter()
            .chain([PhaseName::Transferring, PhaseName::FailingOver, PhaseName::Leaving])
            .map(|p| {
                format!(
                    "{:<10} any child dies: {:?}; caller hangs up: {:?}",
                    p.label(),
                    p.on_failure(),
                    p.on_caller_hang_up()
                )
            })
            .collect();
        let golden = include_str!("../../tests/golden/phase_x_failure.txt");
        assert_eq!(table.join("\n"), golden.trim_end());
    }
}
