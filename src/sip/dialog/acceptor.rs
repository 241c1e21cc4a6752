//! An INVITE that we answer, up to its ACK: ringing, the reliable 180, the 2xx repeated until its ACK, CANCEL.
//!
//! ```text
//! Offered -answer-> Answering -ACK-> Confirmed -BYE-> Ended
//!    | CANCEL/reject -> Ended   | 64*T1 without ACK: reported, the call then leaves
//! ```
//! From the ACK on it is `session.rs` that decides; who has offered what before the 2xx is in `exchange.rs`. Invariant:
//! [`Acceptor::teardown`] always says how to leave from here, so that somebody else can. Driver: `actors/call/sip_dialog.rs`.

use std::time::Instant;

use bytes::Bytes;

use super::capabilities::{ALLOW, capabilities, not_understood};
use super::events::{Input, Output};
use super::exchange::Exchange;
use super::reliable::{self, Unacknowledged};
use super::repeated::Repeated;
use super::session::{self, Session, Then, Wish, described_in};
use super::session_timer::{self, SessionTimer};
use super::teardown::Teardown;
use super::{Dialog, LocalIdentity};
use crate::hop::Hop;
use crate::message::body::SDP;
use crate::message::{CSeq, Method, NotUnderstood, Request, Response, StatusCode};
use crate::transaction::ServerKey;

#[cfg(test)]
mod tests;

/// The machine.
#[derive(Debug)]
pub struct Acceptor {
    session: Session,
    invite: Request,
    key: ServerKey,
    state: State,
    provisional: Option<Unacknowledged>,
    exchange: Exchange,
    /// The session description of a 200 that waits for the PRACK of the 180.
    answer_waits: Option<String>,
    rseq: u32,
}

#[derive(Debug)]
enum State {
    Offered,
    Answering(Repeated),
    Confirmed,
    Ended,
}

impl Acceptor {
    /// Takes over an INVITE. `local_tag` is random. Errors are the status to refuse it with.
    pub fn new(
        invite: Request,
        key: ServerKey,
        hop: Hop,
        local_tag: &str,
        local: &LocalIdentity,
    ) -> Result<Self, StatusCode> {
        let dialog = Dialog::from_invite(&invite, hop, local_tag, local)?;
        let exchange = Exchange::of_invite(&invite).map_err(|NotUnderstood| StatusCode(415))?;
        let timer = session_timer::asked(&invite).map_err(|_| StatusCode(422))?;
        let session = Session::new(dialog, SessionTimer::Ahead(timer), local_tag, &invite.headers);
        // Any number will do to begin with (RFC 3262 section 3); it may not be foreseen by those off the path.
        let rseq = u32::from_str_radix(local_tag.get(..7).unwrap_or("1"), 16).unwrap_or(1).max(1);
        let state = State::Offered;
        Ok(Self { session, invite, key, state, provisional: None, exchange, answer_waits: None, rseq })
    }

    /// The dialog.
    pub fn dialog(&self) -> &Dialog {
        &self.session.standing.dialog
    }

    /// How to leave from here. `answer_sdp` is the answer to give when the policy is to answer before the teardown.
    pub fn teardown(&self, before_answer: BeforeAnswer<'_>, reason: &str) -> Teardown {
        match &self.state {
            State::Offered => match before_answer {
                BeforeAnswer::Reject(status) => {
                    Teardown::Reject { key: self.key.clone(), response: self.final_response(status) }
                }
                BeforeAnswer::AnswerThenBye { sdp } => Teardown::AnswerThenBye {
                    key: self.key.clone(),
                    answer: self.answer(sdp),
                    dialog: self.dialog().clone(),
                    reason: reason.to_owned(),
                },
            },
            State::Answering(Repeated { answer, until, .. }) => Teardown::ByeOnceAcked {
                key: self.key.clone(),
                answer: answer.clone(),
                dialog: self.dialog().clone(),
                reason: reason.to_owned(),
                until: *until,
            },
            State::Confirmed => {
                Teardown::Bye { dialog: self.dialog().clone(), reason: reason.to_owned(), headers: vec![] }
            }
            State::Ended => Teardown::Nothing,
        }
    }

    /// The far end's offer, as long as nothing has answered it.
    pub fn unanswered_offer(&self) -> Option<Bytes> {
        let unanswered = matches!(self.state, State::Offered) && self.answer_waits.is_none();
        self.invite.session_description().ok().flatten().filter(|_| unanswered)
    }

    /// One thing happened.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match (&self.state, input) {
            (State::Offered, Input::Ring { sdp }) => self.ring(now, sdp),
            // A far end that insists on acknowledging the 180 has its turn first.
            (State::Offered, Input::Answer { sdp }) if self.provisional.is_some() => self.answer_waits = Some(sdp),
            (State::Offered, Input::Answer { sdp }) => self.send_answer(now, sdp),
            (State::Offered, Input::Cancelled) => {
                self.respond(self.key.clone(), self.final_response(StatusCode(487)));
                self.end();
                self.say(Output::CallerCancelled);
            }
            (State::Offered | State::Answering(_), Input::Request { key, request, hop }) => {
                self.asked_early(now, key, request, hop);
            }
            (State::Answering(_), Input::Acked { ack, hop }) => {
                self.session.standing.dialog.came_by(hop);
                self.state = State::Confirmed;
                self.say(Output::TeardownChanged);
                self.say(Output::Confirmed { body: described_in(&ack) });
            }
            (State::Confirmed, input) => {
                if self.session.handle(now, input) == Then::Over {
                    self.state = State::Ended;
                }
            }
            (State::Offered | State::Answering(_) | State::Ended, Input::WayBack(found)) => {
                self.session.standing.way_back(found);
            }
            (State::Ended, Input::Request { key, request, .. }) => {
                self.respond(key, request.respond(StatusCode(481), None));
            }
            // Too early, late or repeated: nothing is left to do.
            (State::Offered, Input::Acked { .. })
            | (State::Answering(_), Input::Ring { .. } | Input::Answer { .. } | Input::Cancelled)
            | (
                State::Offered | State::Answering(_),
                Input::Reoffer { .. }
                | Input::Refer(_)
                | Input::SendDigit(..)
                | Input::Response(_)
                | Input::NoResponse { .. },
            )
            | (State::Ended, _) => {}
        }
    }

    /// The deadline passed: repeat what awaits an ACK or PRACK, or what a session does.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.state {
            State::Offered => self.repeat_provisional(now),
            State::Answering(repeated) => {
                if !repeated.repeat(now, &mut self.session.standing.outputs) {
                    self.say(Output::NeverAcked);
                }
            }
            State::Confirmed => self.session.handle_timeout(now),
            State::Ended => {}
        }
    }

    /// What to do next; drain until `None`.
    pub fn poll(&mut self) -> Option<Output> {
        self.session.standing.outputs.pop_front()
    }

    /// When to wake.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Offered => self.provisional.as_ref().map(Unacknowledged::deadline),
            State::Answering(repeated) => Some(repeated.deadline()),
            State::Confirmed => self.session.deadline(),
            State::Ended => None,
        }
    }

    /// Answers what was reported as [`Output::Reinvited`]: with a session description, or with a refusal that leaves the
    /// session as it was.
    pub fn answer_reinvite(
        &mut self,
        now: Instant,
        key: ServerKey,
        request: &Request,
        outcome: Result<String, Response>,
    ) {
        if let (Some(waits), Ok(sdp)) = (&mut self.answer_waits, &outcome) {
            waits.clone_from(sdp);
        }
        self.session.answer_reinvite(now, key, request, outcome);
        self.answer_what_waits(now);
    }

    /// A request before the ACK.
    fn asked_early(&mut self, now: Instant, key: ServerKey, request: Request, hop: Hop) {
        if !self.session.admits(&key, &request, hop) {
            return;
        }
        match request.method {
            Method::Bye => self.bye(key, &request),
            Method::Invite | Method::Update => self.offered_early(now, key, request),
            Method::Prack => self.prack(now, key, &request),
            _ => self.session.serve(key, &request),
        }
    }

    fn bye(&mut self, key: ServerKey, request: &Request) {
        self.respond(key, request.respond(StatusCode(200), None));
        if matches!(self.state, State::Offered) {
            // BYE inside an early dialog ends the INVITE too (RFC 3261 section 15.1.2).
            self.respond(self.key.clone(), self.final_response(StatusCode(487)));
        }
        self.end();
        self.session.hung_up(request);
    }

    /// Another offer before the first exchange is over, or a refresh.
    fn offered_early(&mut self, now: Instant, key: ServerKey, request: Request) {
        match session::wish(&request) {
            Err(refusal) => self.respond(key, refusal),
            Ok(Wish::Refresh) => self.session.refreshed(now, key, &request),
            // What was offered before the 2xx is answered: an UPDATE may offer anew (RFC 3311 section 5.1).
            Ok(Wish::Offer) if request.method == Method::Update && self.exchange.is_settled() => {
                self.session.reinvited(key, request);
            }
            // The first INVITE has no final response yet.
            Ok(Wish::Offer) if matches!(self.state, State::Offered) && !self.exchange.is_ours() => {
                self.respond(key, session::later(&request));
            }
            // It has, and only its ACK is missing; or our offer is not answered.
            Ok(Wish::Offer) => self.respond(key, request.respond(StatusCode(491), None)),
        }
    }

    /// The 200 goes out, to be repeated until its ACK.
    fn send_answer(&mut self, now: Instant, sdp: String) {
        let answer = self.answer(&sdp);
        self.respond(self.key.clone(), answer.clone());
        let number = self.invite.headers.get("CSeq").and_then(CSeq::parse).map_or(0, |cseq| cseq.number);
        self.session.standing.sdp = sdp;
        self.session.standing.timer.start(now);
        self.state = State::Answering(Repeated::new(now, self.key.clone(), number, answer, false));
        self.say(Output::TeardownChanged);
    }

    fn ring(&mut self, now: Instant, sdp: String) {
        let ringing = self.invite.respond(StatusCode(180), Some(&self.dialog().id.local_tag));
        let mut ringing = ringing.with("Contact", self.dialog().contact()).with("Allow", ALLOW);
        if reliable::is_required(&self.invite) && self.provisional.is_none() {
            if self.exchange.offers_reliably() {
                ringing = ringing.with_body(SDP, sdp.clone());
                self.session.standing.sdp = sdp;
            }
            self.rseq += 1;
            let waiting = Unacknowledged::new(now, ringing, self.rseq);
            self.respond(self.key.clone(), waiting.response.clone());
            self.provisional = Some(waiting);
        } else {
            self.respond(self.key.clone(), ringing);
        }
    }

    fn repeat_provisional(&mut self, now: Instant) {
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
                self.say(Output::NeverAcked);
            }
            None => {}
        }
    }

    fn prack(&mut self, now: Instant, key: ServerKey, request: &Request) {
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
                self.say(Output::AnsweredEarly { body });
            }
            // An offer of its own: its answer goes back in the 200 (RFC 3262 section 5), and what waits goes behind it.
            Some(_) => return self.session.reinvited(key, request.clone()),
            None => self.respond(key, request.respond(StatusCode(200), None)),
        }
        self.answer_what_waits(now);
    }

    /// Sends the 200 of the INVITE, if it waited for the PRACK of the 180.
    fn answer_what_waits(&mut self, now: Instant) {
        if self.provisional.is_none()
            && let Some(sdp) = self.answer_waits.take()
        {
            self.handle(now, Input::Answer { sdp });
        }
    }

    fn answer(&self, sdp: &str) -> Response {
        let response = self.invite.respond(StatusCode(200), Some(&self.dialog().id.local_tag));
        let response = capabilities(response.with("Contact", self.dialog().contact()));
        let response = match self.session.standing.timer.agreement() {
            Some(agreed) => agreed.in_answer(response),
            None => response,
        };
        // What was agreed on by 180 and PRACK is not offered again (RFC 3261 section 13.2.1).
        if self.exchange.is_settled() { response } else { response.with_body(SDP, sdp.to_owned()) }
    }

    fn final_response(&self, status: StatusCode) -> Response {
        let response = self.invite.respond(status, Some(&self.dialog().id.local_tag));
        if status.0 == 503 { response.with("Retry-After", "5") } else { response }
    }

    fn respond(&mut self, key: ServerKey, response: Response) {
        self.session.standing.respond(key, response);
    }

    fn say(&mut self, output: Output) {
        self.session.standing.say(output);
    }

    fn end(&mut self) {
        self.state = State::Ended;
        self.say(Output::TeardownChanged);
    }
}

/// What the policy is for a call that fails before it was answered.
#[derive(Debug, Clone, Copy)]
pub enum BeforeAnswer<'a> {
    /// Refuse with this status.
    Reject(StatusCode),
    /// Answer with this session description and hang up at once: the contact flow then takes its Success branch.
    AnswerThenBye {
        /// The SDP answer.
        sdp: &'a str,
    },
}
