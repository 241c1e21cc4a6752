//! How a call leaves: the one teardown of every call, as data and as the machine that carries it out.
//!
//! ```text
//! Reject -> done      AnswerThenBye -> AwaitingAck     ByeOnceAcked -> AwaitingAck     Bye -> BYE sent -> done
//!                     AwaitingAck -ACK or 64*T1-> BYE sent
//! ```
//! Invariant: a [`Teardown`] has no field for a contact attribute, so that no way to leave can write one. It is plain
//! data: the call deposits it before it is needed, and the endpoint can carry it out when the call is dead. Driver:
//! `src/sip/endpoint.rs`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Dialog;
use super::ways::{WAYS_MAX, Ways};
use crate::message::{CSeq, Method, Request, Response};
use crate::transaction::{ServerKey, T1, T2, TIMEOUT};

/// How to leave, given where the call is. Headers of the BYE are all that a tenant can add; there is no field for an
/// attribute of the contact, so that no failure path carries one: each variant is what stands here, and nothing more.
///
/// ```
/// # use bellhop_sip::dialog::teardown::Teardown;
/// # fn all(teardown: Teardown) {
/// match teardown {
///     Teardown::Reject { key: _, response: _ } => {}
///     Teardown::AnswerThenBye { key: _, answer: _, dialog: _, reason: _ } => {}
///     Teardown::ByeOnceAcked { key: _, answer: _, dialog: _, reason: _, until: _ } => {}
///     Teardown::Bye { dialog: _, reason: _, headers: _ } => {}
///     Teardown::Nothing => {}
/// }
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Teardown {
    /// The INVITE has no final response yet: refuse it.
    Reject {
        /// The server transaction that the request came in.
        key: ServerKey,
        /// The refusal.
        response: Response,
    },
    /// The INVITE has no final response yet: answer, then send a BYE.
    AnswerThenBye {
        /// The server transaction that the request came in.
        key: ServerKey,
        /// The 200.
        answer: Arc<Response>,
        /// The dialog that the 200 opens.
        dialog: Dialog,
        /// The Reason header of the BYE (RFC 3326).
        reason: String,
    },
    /// The 2xx is out, its ACK is not in: no BYE before it, or before 64·T1 have passed (RFC 3261 section 15).
    ByeOnceAcked {
        /// The INVITE's transaction, through which the 2xx is repeated.
        key: ServerKey,
        /// The 200.
        answer: Arc<Response>,
        /// The dialog.
        dialog: Dialog,
        /// The Reason header of the BYE.
        reason: String,
        /// 64·T1 after the 200.
        until: Instant,
    },
    /// Send a BYE now.
    Bye {
        /// The dialog.
        dialog: Dialog,
        /// The Reason header of the BYE.
        reason: String,
        /// Headers of the tenant's own: names and values, checked.
        headers: Vec<(String, String)>,
    },
    /// The far end sent a BYE first, or was sent one already.
    Nothing,
}

impl Teardown {
    /// The same teardown with another Reason for the BYE.
    pub fn because(mut self, text: &str) -> Self {
        match &mut self {
            Self::AnswerThenBye { reason, .. } | Self::ByeOnceAcked { reason, .. } | Self::Bye { reason, .. } => {
                text.clone_into(reason);
            }
            Self::Reject { .. } | Self::Nothing => {}
        }
        self
    }

    /// The same teardown with headers of the tenant's own on the BYE. Those that do not belong there are left out, and so
    /// are all where no BYE is sent from an established dialog.
    pub fn with_headers(mut self, more: Vec<(String, String)>) -> Self {
        if let Self::Bye { headers, .. } = &mut self {
            headers.extend(
                more.into_iter().filter(|header| super::refer::check_headers(std::slice::from_ref(header)).is_ok()),
            );
        }
        self
    }

    /// The messages that carry it out, as a ladder names them.
    pub fn messages(&self) -> Vec<String> {
        let bye = || Method::Bye.to_string();
        match self {
            Self::Reject { response, .. } => vec![response.summary()],
            Self::AnswerThenBye { answer, .. } => vec![answer.summary(), bye()],
            Self::ByeOnceAcked { .. } | Self::Bye { .. } => vec![bye()],
            Self::Nothing => vec![],
        }
    }

    /// What goes over the wire, for logs: a word, never an address.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Reject { .. } => "reject",
            Self::AnswerThenBye { .. } => "answer_then_bye",
            Self::ByeOnceAcked { .. } => "bye_once_acked",
            Self::Bye { .. } => "bye",
            Self::Nothing => "nothing",
        }
    }
}

/// What the machine wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Answer a transaction.
    Respond {
        /// The server transaction that the request came in.
        key: ServerKey,
        /// With what.
        response: Response,
    },
    /// Send the BYE in a client transaction.
    Request {
        /// The BYE.
        request: Request,
        /// By which ways.
        ways: Ways,
    },
}

/// A teardown on its way.
#[derive(Debug)]
pub struct Terminating {
    state: State,
    branch: String,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
enum State {
    AwaitingAck {
        key: ServerKey,
        answer: Arc<Response>,
        dialog: Dialog,
        reason: String,
        again: Instant,
        interval: Duration,
        until: Instant,
    },
    ByeSent {
        until: Instant,
    },
    Done,
}

impl Terminating {
    /// Begins a teardown. `branch` is a fresh Via branch for the BYE.
    pub fn begin(now: Instant, teardown: Teardown, branch: String) -> Self {
        let mut this = Self { state: State::Done, branch, outputs: VecDeque::new() };
        let await_ack = |key, answer, dialog, reason, until| State::AwaitingAck {
            key,
            answer,
            dialog,
            reason,
            again: now + T1,
            interval: T1,
            until,
        };
        match teardown {
            Teardown::Nothing => {}
            Teardown::Reject { key, response } => this.outputs.push_back(Output::Respond { key, response }),
            Teardown::AnswerThenBye { key, answer, dialog, reason } => {
                this.outputs.push_back(Output::Respond { key: key.clone(), response: Response::clone(&answer) });
                this.state = await_ack(key, answer, dialog, reason, now + TIMEOUT);
            }
            Teardown::ByeOnceAcked { key, answer, dialog, reason, until } => {
                this.state = await_ack(key, answer, dialog, reason, until);
            }
            Teardown::Bye { dialog, reason, headers } => this.bye(now, dialog, &reason, &headers),
        }
        this
    }

    /// An ACK has come: that of the 2xx repeats the number of its INVITE (RFC 3261 section 13.2.2.4), any other is none.
    pub fn acked(&mut self, now: Instant, ack: &Request) {
        let number = |headers| CSeq::of(headers).map(|cseq| cseq.number);
        if let State::AwaitingAck { answer, .. } = &self.state
            && number(&ack.headers) == number(&answer.headers)
        {
            self.wait_no_longer(now);
        }
    }

    /// The BYE goes out without the ACK: nobody is left to wait for it.
    pub fn wait_no_longer(&mut self, now: Instant) {
        if let State::AwaitingAck { dialog, reason, .. } = &self.state {
            let (dialog, reason) = (dialog.clone(), reason.clone());
            self.bye(now, dialog, &reason, &[]);
        }
    }

    /// The far end has sent a BYE itself: nothing is left to send.
    pub fn caller_hung_up(&mut self) {
        self.state = State::Done;
    }

    /// The BYE has its answer, or never will.
    pub fn bye_ended(&mut self) {
        self.state = State::Done;
    }

    /// The deadline passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.state {
            State::AwaitingAck { dialog, reason, until, .. } if *until <= now => {
                let (dialog, reason) = (dialog.clone(), reason.clone());
                self.bye(now, dialog, &reason, &[]);
            }
            State::AwaitingAck { key, answer, again, interval, .. } if *again <= now => {
                *interval = (*interval * 2).min(T2);
                *again = now + *interval;
                self.outputs.push_back(Output::Respond { key: key.clone(), response: Response::clone(answer) });
            }
            State::ByeSent { until } if *until <= now => self.state = State::Done,
            State::AwaitingAck { .. } | State::ByeSent { .. } | State::Done => {}
        }
    }

    /// What to do next; drain until `None`.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to wake.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::AwaitingAck { again, until, .. } => Some(*again.min(until)),
            State::ByeSent { until } => Some(*until),
            State::Done => None,
        }
    }

    /// Whether all has been said.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    fn bye(&mut self, now: Instant, mut dialog: Dialog, reason: &str, headers: &[(String, String)]) {
        let (mut request, ways) = dialog.request(Method::Bye, &self.branch);
        if !reason.is_empty() {
            request.headers.push("Reason", reason);
        }
        headers.iter().for_each(|(name, value)| request.headers.push(name, value));
        self.outputs.push_back(Output::Request { request, ways });
        // A client transaction gives up after 64·T1, and every way gets one; a little longer, and nobody is left to tell us.
        self.state = State::ByeSent { until: now + TIMEOUT * (WAYS_MAX as u32) + T1 };
    }
}
