//! The life of one INVITE that we answer: ringing, the 2xx repeated until its ACK, requests inside, the end.
//!
//! ```text
//! Offered -answer-> Answering -ACK-> Confirmed -BYE-> Ended
//!    | CANCEL/reject -> Ended   | 64*T1 without ACK: reported, the call then leaves
//! ```
//! Invariant: [`Uas::will`] always says how to leave from here, so that somebody else can. Driver:
//! `actors/call/sip_dialog.rs`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::leaving::Farewell;
use super::{Dialog, LocalIdentity};
use crate::hop::Hop;
use crate::message::{Method, Request, Response, StatusCode};
use crate::transaction::{ServerKey, T1, T2, TIMEOUT};

/// The methods we serve, for the Allow header.
pub const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS";
/// The extensions we support; none yet.
pub const SUPPORTED: &str = "";
/// The bodies we accept.
pub const ACCEPT: &str = "application/sdp";

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// Send 180.
    Ring,
    /// Send the 200 with this session description.
    Answer {
        /// The SDP answer, or our offer for an INVITE without one.
        sdp: String,
    },
    /// The INVITE's transaction was cancelled.
    Cancelled,
    /// An ACK for our 2xx.
    Acked {
        /// The ACK: it carries the answer when the offer was ours.
        ack: Request,
    },
    /// A request inside the dialog.
    Request {
        /// Its transaction.
        key: ServerKey,
        /// The request.
        request: Request,
    },
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Answer a transaction.
    Respond {
        /// Which.
        key: ServerKey,
        /// With what.
        response: Response,
    },
    /// The way to leave has changed: deposit the new will.
    WillChanged,
    /// The ACK has come. `body` is the SDP answer if the offer was ours.
    Confirmed {
        /// The ACK's body, empty without one.
        body: bytes::Bytes,
    },
    /// No ACK within 64·T1.
    NeverAcked,
    /// CANCEL: the INVITE has been answered with 487.
    CallerCancelled,
    /// BYE: it has been answered with 200.
    CallerHungUp {
        /// The Reason header of the BYE (RFC 3326), if any.
        reason: Option<String>,
    },
    /// A re-INVITE with this offer; answer it with [`Uas::answer_reinvite`].
    Reinvited {
        /// Its transaction.
        key: ServerKey,
        /// The request.
        request: Request,
    },
}

/// The machine.
#[derive(Debug)]
pub struct Uas {
    dialog: Dialog,
    invite: Request,
    key: ServerKey,
    state: State,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
enum State {
    Offered,
    Answering { answer: Response, again: Instant, interval: Duration, until: Instant },
    Confirmed,
    Ended,
}

impl Uas {
    /// Takes over an INVITE. Errors are the status to refuse it with.
    pub fn new(
        invite: Request,
        key: ServerKey,
        hop: Hop,
        local_tag: &str,
        local: &LocalIdentity,
    ) -> Result<Self, StatusCode> {
        let dialog = Dialog::from_invite(&invite, hop, local_tag, local)?;
        Ok(Self { dialog, invite, key, state: State::Offered, outputs: VecDeque::new() })
    }

    /// The dialog.
    pub fn dialog(&self) -> &Dialog {
        &self.dialog
    }

    /// How to leave from here. `answer_sdp` is the answer to give when the policy is to answer before leaving.
    pub fn will(&self, before_answer: BeforeAnswer<'_>, reason: &str) -> Farewell {
        match &self.state {
            State::Offered => match before_answer {
                BeforeAnswer::Reject(status) => {
                    Farewell::Reject { key: self.key.clone(), response: self.final_response(status) }
                }
                BeforeAnswer::AnswerThenBye { sdp } => Farewell::AnswerThenBye {
                    key: self.key.clone(),
                    answer: self.answer(sdp),
                    dialog: self.dialog.clone(),
                    reason: reason.to_owned(),
                },
            },
            State::Answering { answer, until, .. } => Farewell::ByeOnceAcked {
                key: self.key.clone(),
                answer: answer.clone(),
                dialog: self.dialog.clone(),
                reason: reason.to_owned(),
                until: *until,
            },
            State::Confirmed => Farewell::Bye { dialog: self.dialog.clone(), reason: reason.to_owned() },
            State::Ended => Farewell::Nothing,
        }
    }

    /// One thing happened.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match (&self.state, input) {
            (State::Offered, Input::Ring) => {
                let response = self
                    .invite
                    .respond(StatusCode(180), Some(&self.dialog.id.local_tag))
                    .with("Contact", self.dialog.contact());
                self.respond(self.key.clone(), response);
            }
            (State::Offered, Input::Answer { sdp }) => {
                let answer = self.answer(&sdp);
                self.respond(self.key.clone(), answer.clone());
                self.state = State::Answering { answer, again: now + T1, interval: T1, until: now + TIMEOUT };
                self.outputs.push_back(Output::WillChanged);
            }
            (State::Offered, Input::Cancelled) => {
                self.respond(self.key.clone(), self.final_response(StatusCode(487)));
                self.end();
                self.outputs.push_back(Output::CallerCancelled);
            }
            (State::Answering { .. }, Input::Acked { ack }) => {
                self.state = State::Confirmed;
                self.outputs.push_back(Output::WillChanged);
                self.outputs.push_back(Output::Confirmed { body: ack.body });
            }
            (_, Input::Request { key, request }) => self.inside(key, request),
            // Late or repeated: the state has moved on, nothing is left to do.
            (State::Offered, Input::Acked { .. })
            | (State::Answering { .. }, Input::Ring | Input::Answer { .. } | Input::Cancelled)
            | (State::Confirmed | State::Ended, _) => {}
        }
    }

    /// The deadline passed: repeat the 2xx, or report that no ACK came (RFC 3261 section 13.3.1.4).
    pub fn handle_timeout(&mut self, now: Instant) {
        let State::Answering { answer, again, interval, until } = &mut self.state else { return };
        if *until <= now {
            self.outputs.push_back(Output::NeverAcked);
            // Leaving sends the BYE at once: its own `until` is the same instant.
            *until = now + TIMEOUT;
            *again = now + TIMEOUT;
        } else if *again <= now {
            *interval = (*interval * 2).min(T2);
            *again = now + *interval;
            let response = answer.clone();
            self.outputs.push_back(Output::Respond { key: self.key.clone(), response });
        }
    }

    /// What to do next; drain until `None`.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to wake.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Answering { again, until, .. } => Some(*again.min(until)),
            State::Offered | State::Confirmed | State::Ended => None,
        }
    }

    /// Answers a re-INVITE: with a session description, or with the status that leaves the session as it was.
    pub fn answer_reinvite(&mut self, key: ServerKey, request: &Request, outcome: Result<String, StatusCode>) {
        let response = match outcome {
            Ok(sdp) => request
                .respond(StatusCode(200), None)
                .with("Contact", self.dialog.contact())
                .with("Allow", ALLOW)
                .with_body(ACCEPT, sdp),
            Err(status) => request.respond(status, None),
        };
        self.respond(key, response);
    }

    fn inside(&mut self, key: ServerKey, request: Request) {
        if matches!(self.state, State::Ended) {
            return self.respond(key, request.respond(StatusCode(481), None));
        }
        if let Err(status) = self.dialog.admit(&request) {
            return self.respond(key, request.respond(status, None));
        }
        match request.method {
            Method::Bye => {
                self.respond(key, request.respond(StatusCode(200), None));
                if matches!(self.state, State::Offered) {
                    // BYE inside an early dialog ends the INVITE too (RFC 3261 section 15.1.2).
                    self.respond(self.key.clone(), self.final_response(StatusCode(487)));
                }
                self.end();
                let reason = request.headers.get("Reason").map(str::to_owned);
                self.outputs.push_back(Output::CallerHungUp { reason });
            }
            Method::Options => self.respond(key, capabilities(request.respond(StatusCode(200), None))),
            Method::Invite => match self.state {
                State::Confirmed => self.outputs.push_back(Output::Reinvited { key, request }),
                // An INVITE is still open here (RFC 3261 section 14.2).
                _ => self.respond(key, request.respond(StatusCode(500), None).with("Retry-After", "2")),
            },
            _ => self.respond(key, request.respond(StatusCode(405), None).with("Allow", ALLOW)),
        }
    }

    fn answer(&self, sdp: &str) -> Response {
        let response = self.invite.respond(StatusCode(200), Some(&self.dialog.id.local_tag));
        capabilities(response.with("Contact", self.dialog.contact())).with_body(ACCEPT, sdp.to_owned())
    }

    fn final_response(&self, status: StatusCode) -> Response {
        let response = self.invite.respond(status, Some(&self.dialog.id.local_tag));
        if status.0 == 503 { response.with("Retry-After", "5") } else { response }
    }

    fn respond(&mut self, key: ServerKey, response: Response) {
        self.outputs.push_back(Output::Respond { key, response });
    }

    fn end(&mut self) {
        self.state = State::Ended;
        self.outputs.push_back(Output::WillChanged);
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

/// Adds Allow, Supported and Accept (RFC 3261 section 11.2).
pub fn capabilities(response: Response) -> Response {
    response.with("Allow", ALLOW).with("Supported", SUPPORTED).with("Accept", ACCEPT)
}
