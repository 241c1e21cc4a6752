//! What a failure means where it strikes: the teardown, the failover first, or the outcome awaited.

use std::time::Instant;

use bellhop_sip::dialog::refer::{SendMethod, Transfer};
use bellhop_tenancy::integration::FailureBeforeAnswer;

use super::deadline::Reason;
use super::{ANNOUNCEMENT_MAX, Lifecycle, NOT_NEEDED_TO_FAIL_OVER, Order, Preparation, State, Then, Told, failed};
use crate::ending::{Broken, Ending};
use crate::failure::{ChildName, Failure};

impl Lifecycle {
    pub(super) fn fail(&mut self, now: Instant, child: ChildName, failure: Failure) {
        self.end(now, failed(child, failure));
    }

    /// Something wants the call to end: the caller, a failure, or somebody outside.
    pub(super) fn end(&mut self, now: Instant, ending: Ending) {
        if self.can_fail_over(&ending) {
            return self.begin_failover(now, ending);
        }
        match &mut self.state {
            // The request may have gone out: its outcome is awaited within its budget, and a key that came of it taken back.
            State::Committing { first_failure, .. } => {
                let first = first_failure.get_or_insert(ending).clone();
                if !self.lives(ChildName::ConnectHandoff) {
                    self.give_up_commit(now, first);
                }
            }
            // The first reason won.
            State::HandedOff | State::Terminating => {}
            state @ (State::Offered { .. }
            | State::Answering { .. }
            | State::Talking
            | State::Preparing { .. }
            | State::Quiescing { .. }
            | State::Transferring { .. }
            | State::FailingOver { .. }) => {
                let ending = state.cause().cloned().unwrap_or(ending);
                self.terminate(now, ending, vec![]);
            }
        }
    }

    /// Whether a failure now is one that the call can fail over from: no contact flow takes over, and the far end hears.
    fn can_fail_over(&self, ending: &Ending) -> bool {
        let integration = &self.terms.integration;
        let far_end_is_there = match ending {
            Ending::Failed { failure: Broken::Failure(failure), .. } => !matches!(
                failure,
                Failure::NeverAcked | Failure::NoMedia | Failure::SessionExpired | Failure::MediaTimeout
            ),
            Ending::Failed { .. } => true,
            _ => false,
        };
        let in_time = match &self.state {
            State::Offered { .. } | State::Answering { then: Then::Talk(_) } => {
                integration.before_answer == FailureBeforeAnswer::AnswerThenBye
            }
            State::Talking | State::Preparing { preparation: Preparation::Transfer(_) } => true,
            State::Answering { then: Then::FailOver(_) }
            | State::Preparing { preparation: Preparation::HandOff }
            | State::Quiescing { .. }
            | State::Committing { .. }
            | State::HandedOff
            | State::Transferring { .. }
            | State::FailingOver { .. }
            | State::Terminating => false,
        };
        let alive = self.lives(ChildName::SipDialog) && self.lives(ChildName::JitterBuffer);
        integration.failover.is_some() && far_end_is_there && in_time && alive
    }

    /// Begins a failover: answers first where that is still to be done.
    fn begin_failover(&mut self, now: Instant, cause: Ending) {
        self.order(Order::Report(Told::FailingOver { label: cause.label() }));
        match &mut self.state {
            State::Offered { .. } => self.answer(Then::FailOver(cause)),
            State::Answering { then } => *then = Then::FailOver(cause),
            _ => self.fail_over(now, cause),
        }
    }

    /// The caller hears what happened, and is referred on where the tenant names somebody.
    pub(super) fn fail_over(&mut self, now: Instant, cause: Ending) {
        let children = NOT_NEEDED_TO_FAIL_OVER.to_vec();
        self.order(Order::Stop { children, within: ANNOUNCEMENT_MAX });
        let failover = self.terms.integration.failover.clone().unwrap_or_default();
        let then = failover.target.map(|target| Transfer { target, headers: vec![], send_method: SendMethod::Custom });
        self.announce(now, cause, failover.message, then);
    }

    /// Has the announcement played; without a voice it is left out.
    pub(super) fn announce(&mut self, now: Instant, cause: Ending, message: Option<String>, then: Option<Transfer>) {
        self.enter(State::FailingOver { cause, then });
        match message.filter(|_| self.lives(ChildName::TtsPlayback)) {
            None => self.announcement_played(now),
            Some(text) => {
                self.arm(now, ANNOUNCEMENT_MAX, Reason::Announcement);
                self.order(Order::Announce(text));
            }
        }
    }

    pub(super) fn announcement_played(&mut self, now: Instant) {
        let State::FailingOver { cause, then } = &mut self.state else { return };
        let (cause, then) = (cause.clone(), then.take());
        self.deadline = None;
        match then {
            Some(transfer) => self.start_transfer(now, transfer, Some(cause)),
            None => self.terminate(now, cause, vec![]),
        }
    }
}
