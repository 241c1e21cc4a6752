//! Who has offered what before the 2xx of an INVITE (RFC 3261 section 13.2.1, RFC 3262 section 5).
//!
//! ```text
//! Theirs                 the answer is in our 2xx
//! Wanted -180 that wants a PRACK-> Ours -PRACK with the answer-> Settled: the 2xx carries nothing
//!    | else: the offer is in our 2xx, the answer in its ACK
//! ```
//! Invariant: nothing is offered in a response that may get lost. Driver: `acceptor.rs`.

use crate::message::{NotUnderstood, Request};

/// Where the first exchange stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exchange {
    /// The INVITE carried an offer.
    Theirs,
    /// It carried none: the offer is to be ours.
    Wanted,
    /// Our offer went out in a 180 that is repeated until its PRACK.
    Ours,
    /// The PRACK brought the answer.
    Settled,
}

impl Exchange {
    pub(super) fn of_invite(invite: &Request) -> Result<Self, NotUnderstood> {
        Ok(if invite.session_description()?.is_some() { Self::Theirs } else { Self::Wanted })
    }

    /// A provisional response goes out reliably: whether it carries our offer.
    pub(super) fn offers_reliably(&mut self) -> bool {
        let offers = matches!(self, Self::Wanted);
        if offers {
            *self = Self::Ours;
        }
        offers
    }

    /// A PRACK carries a description: whether it is the answer to our offer.
    pub(super) fn answered(&mut self) -> bool {
        let is_answer = matches!(self, Self::Ours);
        if is_answer {
            *self = Self::Settled;
        }
        is_answer
    }

    pub(super) fn is_ours(self) -> bool {
        matches!(self, Self::Ours)
    }

    pub(super) fn is_settled(self) -> bool {
        matches!(self, Self::Settled)
    }
}
