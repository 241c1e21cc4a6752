//! An INVITE that we answer, up to its ACK: ringing, the reliable 180, the 2xx repeated until its ACK, CANCEL.
//!
//! ```text
//! Offered -answer-> Answering -ACK-> Confirmed -BYE-> Ended
//!    | CANCEL/reject -> Ended   | 64*T1 without ACK: reported, the call then leaves
//! ```
//! From the ACK on it is `session.rs` that decides; what matters only until the 2xx is in `acceptor/offered.rs`. Invariant:
//! [`Acceptor::teardown`] always says how to leave from here, so that somebody else can. Driver: `actors/call/sip_dialog.rs`.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::capabilities::not_understood;
use super::events::{Input, Output};
use super::exchange::Exchange;
use super::repeated::Repeated;
use super::session::{self, Session, Then, Wish, described_in};
use super::session_timer::{self, SessionTimer};
use super::teardown::Teardown;
use super::{Dialog, LocalIdentity};
use crate::hop::Hop;
use crate::message::{Method, Request, Response, StatusCode};
use crate::transaction::ServerKey;

use offered::Offered;

mod offered;
#[cfg(test)]
mod tests;

/// The machine.
#[derive(Debug)]
pub struct Acceptor {
    session: Session,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The INVITE has no final response yet.
    Offered(Box<Offered>),
    /// The 2xx is out, and repeated until its ACK.
    Answering {
        answer: Repeated,
        /// Who has offered what: an UPDATE may offer anew once that is settled.
        exchange: Exchange,
    },
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
        let offered = Offered::new(invite, key, local_tag)?;
        let timer = session_timer::asked(&offered.invite).map_err(|_| StatusCode(422))?;
        let session = Session::new(dialog, SessionTimer::Ahead(timer), local_tag, &offered.invite.headers);
        Ok(Self { session, state: State::Offered(Box::new(offered)) })
    }

    /// The dialog.
    pub fn dialog(&self) -> &Dialog {
        &self.session.standing.dialog
    }

    /// How to leave from here. `answer_sdp` is the answer to give when the policy is to answer before the teardown.
    pub fn teardown(&self, before_answer: BeforeAnswer<'_>, reason: &str) -> Teardown {
        let (standing, dialog, reason) = (&self.session.standing, self.dialog().clone(), reason.to_owned());
        match &self.state {
            State::Offered(offered) => {
                let key = offered.key.clone();
                match before_answer {
                    BeforeAnswer::Reject(status) => {
                        Teardown::Reject { key, response: offered.final_response(standing, status) }
                    }
                    BeforeAnswer::AnswerThenBye { sdp } => {
                        let answer = Arc::new(offered.answer(standing, sdp));
                        Teardown::AnswerThenBye { key, answer, dialog, reason }
                    }
                }
            }
            State::Answering { answer: Repeated { key, answer, until, .. }, .. } => {
                let (key, answer, until) = (key.clone(), answer.clone(), *until);
                Teardown::ByeOnceAcked { key, answer, dialog, reason, until }
            }
            State::Confirmed => Teardown::Bye { dialog, reason, headers: vec![] },
            State::Ended => Teardown::Nothing,
        }
    }

    /// The far end's offer, as long as nothing has answered it.
    pub fn unanswered_offer(&self) -> Option<Bytes> {
        match &self.state {
            State::Offered(offered) if offered.answer_waits.is_none() => {
                offered.invite.session_description().ok().flatten()
            }
            State::Offered(_) | State::Answering { .. } | State::Confirmed | State::Ended => None,
        }
    }

    /// One thing happened.
    pub fn handle(&mut self, now: Instant, input: Input) {
        let standing = &mut self.session.standing;
        match (&mut self.state, input) {
            (State::Offered(offered), Input::Ring { sdp }) => offered.ring(standing, now, sdp),
            (State::Offered(offered), Input::Answer { sdp }) if offered.awaits_prack() => {
                offered.answer_waits = Some(sdp);
            }
            (State::Offered(_), Input::Answer { sdp }) => self.send_answer(now, sdp),
            (State::Offered(offered), Input::Cancelled) => {
                standing.respond(offered.key.clone(), offered.final_response(standing, StatusCode(487)));
                self.end();
                self.say(Output::CallerCancelled);
            }
            (State::Offered(_) | State::Answering { .. }, Input::Request { key, request, hop }) => {
                self.asked_early(now, key, request, hop);
            }
            (State::Answering { answer, .. }, Input::Acked { ack, hop }) if answer.is_acknowledged_by(&ack) => {
                standing.dialog.came_by(hop);
                self.state = State::Confirmed;
                self.say(Output::TeardownChanged);
                self.say(Output::Confirmed { body: described_in(&ack) });
            }
            (State::Confirmed, input) => {
                if self.session.handle(now, input) == Then::Over {
                    self.state = State::Ended;
                }
            }
            (State::Offered(_) | State::Answering { .. } | State::Ended, Input::WayBack(found)) => {
                standing.way_back(found);
            }
            (State::Ended, Input::Request { key, request, .. }) => {
                self.respond(key, request.respond(StatusCode(481), None));
            }
            // Too early, late or repeated: nothing is left to do.
            (State::Offered(_) | State::Answering { .. }, Input::Acked { .. })
            | (State::Answering { .. }, Input::Ring { .. } | Input::Answer { .. } | Input::Cancelled)
            | (
                State::Offered(_) | State::Answering { .. },
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
        let standing = &mut self.session.standing;
        match &mut self.state {
            State::Offered(offered) => {
                if let Some(refusal) = offered.repeat_provisional(standing, now) {
                    standing.respond(offered.key.clone(), refusal);
                    self.end();
                    self.say(Output::NeverAcked);
                }
            }
            State::Answering { answer, .. } => {
                if !answer.repeat(now, &mut standing.outputs) {
                    self.say(Output::NeverAcked);
                }
            }
            State::Confirmed => self.session.handle_timeout(now),
            State::Ended => {}
        }
    }

    /// What to do next; drain until `None`.
    pub fn poll(&mut self) -> Option<Output> {
        self.session.standing.poll()
    }

    /// When to wake.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Offered(offered) => offered.deadline(),
            State::Answering { answer, .. } => Some(answer.deadline()),
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
        if let State::Offered(offered) = &mut self.state
            && let (Some(waits), Ok(sdp)) = (&mut offered.answer_waits, &outcome)
        {
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
        if let State::Offered(offered) = &self.state {
            // BYE inside an early dialog ends the INVITE too (RFC 3261 section 15.1.2).
            let refusal = offered.final_response(&self.session.standing, StatusCode(487));
            self.session.standing.respond(offered.key.clone(), refusal);
        }
        self.end();
        self.session.hung_up(request);
    }

    /// Another offer before the first exchange is over, or a refresh.
    fn offered_early(&mut self, now: Instant, key: ServerKey, request: Request) {
        let (exchange, is_answered) = match &self.state {
            State::Offered(offered) => (offered.exchange, false),
            State::Answering { exchange, .. } => (*exchange, true),
            State::Confirmed | State::Ended => return,
        };
        match session::wish(&request) {
            Err(refusal) => self.respond(key, refusal),
            Ok(Wish::Refresh) => self.session.refreshed(now, key, &request),
            // What was offered before the 2xx is answered: an UPDATE may offer anew (RFC 3311 section 5.1), one at a time
            // (section 5.2).
            Ok(Wish::Offer) if request.method == Method::Update && exchange.is_settled() => {
                self.session.offered(key, request);
            }
            // The first INVITE has no final response yet.
            Ok(Wish::Offer) if !is_answered && !exchange.is_ours() => self.respond(key, session::later(&request)),
            // It has, and only its ACK is missing; or our offer is not answered.
            Ok(Wish::Offer) => self.respond(key, request.respond(StatusCode(491), None)),
        }
    }

    /// The 200 goes out, to be repeated until its ACK.
    fn send_answer(&mut self, now: Instant, sdp: String) {
        let State::Offered(offered) = &self.state else { return };
        let standing = &mut self.session.standing;
        let (key, answer) = (offered.key.clone(), offered.answer(standing, &sdp));
        standing.respond(key.clone(), answer.clone());
        standing.sdp = sdp;
        standing.timer.start(now);
        let exchange = offered.exchange;
        let answer = Repeated::new(now, key, offered.number(), Arc::new(answer), false);
        self.state = State::Answering { answer, exchange };
        self.say(Output::TeardownChanged);
    }

    fn prack(&mut self, now: Instant, key: ServerKey, request: &Request) {
        let Ok(described) = request.session_description() else { return self.respond(key, not_understood(request)) };
        let State::Offered(offered) = &mut self.state else {
            return self.respond(key, request.respond(StatusCode(481), None));
        };
        if !offered.acknowledged_by(request) {
            return self.respond(key, request.respond(StatusCode(481), None));
        }
        match described {
            Some(body) if offered.exchange.answered() => {
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
        if let State::Offered(offered) = &mut self.state
            && !offered.awaits_prack()
            && let Some(sdp) = offered.answer_waits.take()
        {
            self.send_answer(now, sdp);
        }
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
