//! What a call waits for, and what is done when it never comes.

use std::time::{Duration, Instant};

use bellhop_sip::message::StatusCode;

use super::{Lifecycle, Order, State, Then, overdue};
use crate::ending::Ending;
use crate::failure::ChildName;

/// When to look again, and why.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    at: Instant,
    reason: Reason,
}

/// What is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// Services and greeting.
    Setup,
    /// The history in its store.
    History,
    /// The end of the children that quiesce.
    Children,
    /// Whether a BYE would arrive.
    WayBack,
    /// The outcome of the request.
    Commit,
    /// The outcome of a transfer by SIP.
    Transfer,
    /// The end of the announcement.
    Announcement,
    /// The end of all children.
    Teardown,
}

impl Lifecycle {
    pub(super) fn arm(&mut self, now: Instant, within: Duration, reason: Reason) {
        self.deadline = Some(Deadline { at: now + within, reason });
    }

    /// When to wake.
    pub fn deadline(&self) -> Option<Instant> {
        let terminating = matches!(self.state, State::Terminating) || self.live.is_empty();
        let too_old = (!terminating).then_some(self.too_old);
        self.deadline.map(|deadline| deadline.at).into_iter().chain(too_old).min()
    }

    /// The deadline passed; early calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(Deadline { reason, .. }) = self.deadline.take_if(|deadline| deadline.at <= now) {
            self.expired(now, reason);
        }
        if self.too_old <= now && !matches!(self.state, State::Terminating) {
            // Once: what is in flight then has its own deadline.
            self.too_old = now + super::CALL_AGE_MAX;
            self.end(now, Ending::TooLong);
        }
    }

    fn expired(&mut self, now: Instant, reason: Reason) {
        match (reason, &mut self.state) {
            (Reason::Setup, State::Offered { goal, .. }) => {
                let goal = goal.take();
                self.answer(Then::Talk(goal));
            }
            (Reason::History, State::Preparing { preparation: super::Preparation::Transfer(_) }) => {
                self.history_filed(now, None);
            }
            (Reason::History, State::Preparing { .. }) => self.end(now, overdue(ChildName::ConnectHandoff)),
            (Reason::Children, State::Quiescing { waiting_for, .. }) => {
                let late = waiting_for.first().copied().unwrap_or(ChildName::Call);
                self.end(now, overdue(late));
            }
            (Reason::WayBack, State::Quiescing { .. }) => self.way_back(now, false),
            (Reason::Commit, State::Committing { first_failure, .. }) => {
                let ending = first_failure.take().unwrap_or_else(|| overdue(ChildName::ConnectHandoff));
                self.give_up_commit(now, ending);
            }
            (Reason::Transfer, State::Transferring { .. }) => self.transfer_ended(now, Err(StatusCode(408))),
            (Reason::Announcement, State::FailingOver { .. }) => self.announcement_played(now),
            (Reason::Teardown, State::Terminating) => {
                self.order(Order::AbandonAll);
                self.live.clear();
                self.order(Order::Finish);
            }
            // Each state arms its own and leaves none behind.
            (reason, state) => unreachable!("{reason:?} awaited in {state:?}"),
        }
    }
}
