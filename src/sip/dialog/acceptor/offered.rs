//! What an INVITE needs until its final response: ringing, the reliable 180 and its PRACK, and what the 2xx will say. Part of
//! `acceptor.rs`.
//!
//! Invariant: with the final response all of it is gone but who has offered what, which holds until the ACK.

use std::time::Instant;

use crate::dialog::capabilities::{ALLOW, capabilities};
use crate::dialog::exchange::Exchange;
use crate::dialog::reliable::{self, Unacknowledged};
use crate::dialog::standing::Standing;
use crate::message::body::SDP;
use crate::message::{CSeq, NotUnderstood, Request, Response, StatusCode};
use crate::transaction::ServerKey;

/// An INVITE without a final response.
#[derive(Debug)]
pub(super) struct Offered {
    pub(super) invite: Request,
    pub(super) key: ServerKey,
    pub(super) exchange: Exchange,
    provisional: Option<Unacknowledged>,
    /// The session description of a 200 that waits for the PRACK of the 180.
    pub(super) answer_waits: Option<String>,
    rseq: u32,
}

impl Offered {
    /// `seed` is random.
    pub(super) fn new(invite: Request, key: ServerKey, seed: &str) -> Result<Self, StatusCode> {
        let exchange = Exchange::of_invite(&invite).map_err(|NotUnderstood| StatusCode(415))?;
        // Any number will do to begin with (RFC 3262 section 3); it may not be foreseen by those off the path.
        let rseq = u32::from_str_radix(seed.get(..7).unwrap_or("1"), 16).unwrap_or(1).max(1);
        Ok(Self { invite, key, exchange, provisional: None, answer_waits: None, rseq })
    }

    /// The number of the INVITE, which its ACK repeats.
    pub(super) fn number(&self) -> u32 {
        self.invite.headers.get("CSeq").and_then(CSeq::parse).map_or(0, |cseq| cseq.number)
    }

    /// Whether a far end that insists on acknowledging the 180 has its turn first.
    pub(super) fn awaits_prack(&self) -> bool {
        self.provisional.is_some()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.provisional.as_ref().map(Unacknowledged::deadline)
    }

    pub(super) fn ring(&mut self, standing: &mut Standing, now: Instant, sdp: String) {
        let ringing = self.invite.respond(StatusCode(180), Some(&standing.dialog.id.local_tag));
        let mut ringing = ringing.with("Contact", standing.dialog.contact()).with("Allow", ALLOW);
        if reliable::is_required(&self.invite) && self.provisional.is_none() {
            if self.exchange.offers_reliably() {
                ringing = ringing.with_body(SDP, sdp.clone());
                standing.sdp = sdp;
            }
            self.rseq += 1;
            let waiting = Unacknowledged::new(now, ringing, self.rseq);
            standing.respond(self.key.clone(), waiting.response.clone());
            self.provisional = Some(waiting);
        } else {
            standing.respond(self.key.clone(), ringing);
        }
    }

    /// Repeats the 180 when that is due; what the INVITE is refused with if no PRACK came.
    pub(super) fn repeat_provisional(&mut self, standing: &mut Standing, now: Instant) -> Option<Response> {
        let waiting = self.provisional.as_mut()?;
        match waiting.due(now)? {
            reliable::Due::Repeat => {
                standing.respond(self.key.clone(), waiting.response.clone());
                None
            }
            reliable::Due::GiveUp => Some(self.final_response(standing, StatusCode(504))),
        }
    }

    /// Whether a PRACK is that of the 180 which waits for one: it waits no longer.
    pub(super) fn acknowledged_by(&mut self, prack: &Request) -> bool {
        let invite = self.invite.headers.get("CSeq").and_then(CSeq::parse);
        let mine = |waiting: &mut Unacknowledged| {
            invite.as_ref().is_some_and(|invite| reliable::acknowledges(prack, waiting.rseq, invite))
        };
        self.provisional.take_if(mine).is_some()
    }

    /// The 200.
    pub(super) fn answer(&self, standing: &Standing, sdp: &str) -> Response {
        let response = self.invite.respond(StatusCode(200), Some(&standing.dialog.id.local_tag));
        let response = capabilities(response.with("Contact", standing.dialog.contact()));
        let response = match standing.timer.agreement() {
            Some(agreed) => agreed.in_answer(response),
            None => response,
        };
        // What was agreed on by 180 and PRACK is not offered again (RFC 3261 section 13.2.1).
        if self.exchange.is_settled() { response } else { response.with_body(SDP, sdp.to_owned()) }
    }

    pub(super) fn final_response(&self, standing: &Standing, status: StatusCode) -> Response {
        let response = self.invite.respond(status, Some(&standing.dialog.id.local_tag));
        if status.0 == 503 { response.with("Retry-After", "5") } else { response }
    }
}
