//! Ringing, its PRACK, and who has offered what before the 2xx of an INVITE (RFC 3261 section 13.2.1, RFC 3262 section 5).
//!
//! ```text
//! Theirs                 the answer is in our 2xx
//! Wanted -180 that wants a PRACK-> Ours -PRACK with the answer-> Settled: the 2xx carries nothing
//!    | else: the offer is in our 2xx, the answer in its ACK
//! ```
//! Invariant: nothing is offered in a response that may get lost. Part of `acceptor.rs`.

use std::time::Instant;

use super::acceptor::{ALLOW, Input, Output, Uas, not_understood};
use super::reliable::{self, Unacknowledged};
use crate::message::body::SDP;
use crate::message::{CSeq, NotUnderstood, Request, StatusCode};
use crate::transaction::ServerKey;

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

impl Uas {
    pub(super) fn ring(&mut self, now: Instant, sdp: String) {
        let ringing = self.invite.respond(StatusCode(180), Some(&self.dialog.id.local_tag));
        let mut ringing = ringing.with("Contact", self.dialog.contact()).with("Allow", ALLOW);
        if reliable::is_required(&self.invite) && self.provisional.is_none() {
            if self.exchange.offers_reliably() {
                ringing = ringing.with_body(SDP, sdp.clone());
                self.sdp = sdp;
            }
            self.rseq += 1;
            let waiting = Unacknowledged::new(now, ringing, self.rseq);
            self.respond(self.key.clone(), waiting.response.clone());
            self.provisional = Some(waiting);
        } else {
            self.respond(self.key.clone(), ringing);
        }
    }

    pub(super) fn repeat_provisional(&mut self, now: Instant) {
        let Some(waiting) = &mut self.provisional else { return };
        match waiting.due(now) {
            Some(reliable::Due::Repeat) => {
                let response = waiting.response.clone();
                self.respond(self.key.clone(), response);
            }
            Some(reliable::Due::GiveUp) => {
                self.provisional = None;
                self.respond(self.key.clone(), self.final_response(StatusCode(504)));
                self.end();
                self.outputs.push_back(Output::NeverAcked);
            }
            None => {}
        }
    }

    pub(super) fn prack(&mut self, now: Instant, key: ServerKey, request: &Request) {
        let Ok(described) = request.session_description() else { return self.respond(key, not_understood(request)) };
        let invite = self.invite.headers.get("CSeq").and_then(CSeq::parse);
        let mine = |waiting: &mut Unacknowledged| {
            invite.as_ref().is_some_and(|invite| reliable::acknowledges(request, waiting.rseq, invite))
        };
        if self.provisional.take_if(mine).is_none() {
            return self.respond(key, request.respond(StatusCode(481), None));
        }
        match described {
            Some(body) if self.exchange.answered() => {
                self.respond(key, request.respond(StatusCode(200), None));
                self.outputs.push_back(Output::AnsweredEarly { body });
            }
            // An offer of its own: its answer goes back in the 200 (RFC 3262 section 5), and what waits goes behind it.
            Some(_) => return self.reinvited(key, request.clone()),
            None => self.respond(key, request.respond(StatusCode(200), None)),
        }
        self.answer_what_waits(now);
    }

    /// Sends the 200 of the INVITE, if it waited for the PRACK of the 180.
    pub(super) fn answer_what_waits(&mut self, now: Instant) {
        if self.provisional.is_none()
            && let Some(sdp) = self.answer_waits.take()
        {
            self.handle(now, Input::Answer { sdp });
        }
    }
}
