//! The life of a call: from the offer to the teardown, and what is promised in between.
//!
//! ```text
//! Offered -> Answering -> Talking -> Preparing -> Quiescing -> Committing -> HandedOff -> Terminating
//!                            ^  \____________/        \__ transfer by BYE __________________/
//!                            |        Transferring -> Terminating
//!                            +----------'
//! a failure where no contact flow takes over: -> FailingOver -> Transferring or Terminating
//! anything else that breaks, a hang-up of the caller, an order from outside: -> Terminating
//! ```
//! Invariants: `Terminating` is entered once and the first reason wins; a key is spent in `Committing` alone, last and with
//! everybody gone who could still fail, and never after a failure; each state but `Talking` and `Answering`, which the
//! dialog bounds, has a deadline. Driver: `actors/call/supervisor.rs`.

mod deadline;
mod exchange;
mod failing;
mod handing_over;
mod state;
#[cfg(test)]
mod tests;
mod transfer;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bellhop_tenancy::Integration;

use self::deadline::Deadline;
pub use self::exchange::{Goal, Input, Order, Told};
use self::state::{Completion, Preparation, Readiness, State, Then};
use crate::ending::{Broken, Ending, Refusal};
use crate::failure::{ChildName, Exit, Failure};
use crate::phase::PhaseName;

/// The longest the caller hears ringing while services connect and the greeting is made; then the call is answered.
pub(crate) const SETUP_MAX: Duration = Duration::from_secs(4);
/// The longest a history may take to be stored.
pub const PREPARE_MAX: Duration = Duration::from_secs(3);
/// How much longer the child that stores it, and bounds that itself, may take to say so.
const PREPARED_TOLD_WITHIN: Duration = Duration::from_secs(1);
/// The longest the other children may take to stop before the key is spent.
pub(crate) const QUIESCE_MAX: Duration = Duration::from_millis(500);
/// The longest it may take to know that a BYE would arrive.
pub(crate) const WAY_BACK_MAX: Duration = Duration::from_secs(5);
/// The longest a commit may take: more than the budget of the adapter, which answers first unless it hangs.
pub(crate) const COMMIT_MAX: Duration = Duration::from_secs(6);
/// The longest a transfer by SIP may take; the dialog bounds the REFER itself.
pub const TRANSFER_MAX: Duration = Duration::from_secs(120);
/// The longest the announcement of a call may take.
pub(crate) const ANNOUNCEMENT_MAX: Duration = Duration::from_secs(20);
/// The longest a teardown may take before children are dropped where they are.
pub const TEARDOWN_MAX: Duration = Duration::from_secs(1);
/// The oldest a call may become.
pub(crate) const CALL_AGE_MAX: Duration = Duration::from_secs(4 * 3600);

/// Who is stopped before a failover.
const NOT_NEEDED_TO_FAIL_OVER: [ChildName; 2] = [ChildName::TurnLoop, ChildName::SttStream];

/// What a call began with, and keeps.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Whose call it is, and how it shall be treated.
    pub integration: Arc<Integration>,
    /// Where its SIP came from.
    pub source: IpAddr,
    /// Whether a contact flow takes over when we leave.
    pub in_contact_flow: bool,
}

/// The machine of one call.
#[derive(Debug)]
pub struct Lifecycle {
    terms: Terms,
    state: State,
    /// Who lives: what can be ordered, and what a teardown waits for.
    live: Vec<ChildName>,
    deadline: Option<Deadline>,
    /// When the call has lasted for as long as one may.
    too_old: Instant,
    orders: VecDeque<Order>,
}

impl Lifecycle {
    /// A call that has not begun.
    pub fn new(now: Instant, terms: Terms) -> Self {
        let state = State::Offered { readiness: Readiness::default(), goal: None };
        Self { terms, state, live: vec![], deadline: None, too_old: now + CALL_AGE_MAX, orders: VecDeque::new() }
    }

    /// The name of the state.
    pub fn state(&self) -> PhaseName {
        self.state.name()
    }

    /// One thing happened.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Began => self.began(now),
            Input::Refused(refusal) => self.refused(now, refusal),
            Input::RecognizerReady => self.readied(|readiness| readiness.recognizer = true),
            Input::LineChanged => self.readied(|readiness| readiness.recognizer = false),
            Input::PlaybackReady => self.readied(|readiness| readiness.greeting = true),
            Input::SaysSomething => self.readied(|readiness| readiness.says_something = true),
            // A reply that says nothing has no audio to wait for.
            Input::ReplyRead => self.readied(|readiness| readiness.greeting |= !readiness.says_something),
            Input::DialogConfirmed => self.confirmed(now),
            Input::CallerHungUp => self.end(now, Ending::CallerHungUp),
            Input::ConversationEnded(goal) => self.conversation_ended(now, goal),
            Input::HandoffPrepared { names } => self.handoff_prepared(now, names),
            Input::HandoffImpossible => self.handoff_impossible(now),
            Input::HandoffEnded(outcome) => self.handoff_ended(now, outcome),
            Input::HistoryFiled(filed) => self.history_filed(now, filed),
            Input::HoldAnswered => self.held(),
            Input::TransferEnded(outcome) => self.transfer_ended(now, outcome),
            Input::WayBack { known } => self.way_back(now, known),
            Input::MediaSilent => self.fail(now, ChildName::JitterBuffer, Failure::MediaTimeout),
            Input::AnnouncementPlayed => self.announcement_played(now),
            Input::ChildDown { child, exit } => self.child_down(now, child, &exit),
            // What is in flight has to be known first: whoever orders this twice waits as everybody does.
            Input::HangUp(_) if matches!(self.state, State::Committing { .. }) => {}
            Input::HangUp(ending) => self.end(now, ending),
        }
    }

    /// What to do next; drain until `None`.
    pub fn poll(&mut self) -> Option<Order> {
        bellhop_dialogue::outputs::next(&mut self.orders)
    }

    fn order(&mut self, order: Order) {
        self.orders.push_back(order);
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.order(Order::NoteState(self.state.name()));
    }

    fn lives(&self, child: ChildName) -> bool {
        self.live.contains(&child)
    }

    fn began(&mut self, now: Instant) {
        if let State::Offered { .. } = self.state
            && self.live.is_empty()
        {
            self.live = ChildName::CHILDREN.to_vec();
            self.arm(now, SETUP_MAX, deadline::Reason::Setup);
            self.order(Order::NoteState(PhaseName::Offered));
        }
    }

    fn refused(&mut self, now: Instant, refusal: Refusal) {
        if self.live.is_empty() {
            self.terminate(now, Ending::Refused(refusal), vec![]);
        }
    }

    fn readied(&mut self, ready: impl FnOnce(&mut Readiness)) {
        if let State::Offered { readiness, .. } = &mut self.state {
            ready(readiness);
            self.answer_when_ready();
        }
    }

    fn answer_when_ready(&mut self) {
        let State::Offered { readiness, goal } = &mut self.state else { return };
        if readiness.recognizer && (readiness.greeting || goal.is_some()) {
            let goal = goal.take();
            self.answer(Then::Talk(goal));
        }
    }

    /// The dialog bounds what follows: 64·T1 for the ACK.
    fn answer(&mut self, then: Then) {
        self.deadline = None;
        self.order(Order::Answer);
        self.enter(State::Answering { then });
    }

    fn confirmed(&mut self, now: Instant) {
        let State::Answering { then } = &mut self.state else { return };
        let then = std::mem::replace(then, Then::Talk(None));
        self.order(Order::ReleaseUnacknowledged);
        match then {
            Then::FailOver(cause) => self.fail_over(now, cause),
            Then::Talk(goal) => {
                self.enter(State::Talking);
                if let Some(goal) = goal {
                    self.pursue(now, goal);
                }
            }
        }
    }

    fn conversation_ended(&mut self, now: Instant, ended_in: Goal) {
        match &mut self.state {
            State::Offered { goal, .. } => {
                *goal = Some(ended_in);
                self.answer_when_ready();
            }
            State::Answering { then: Then::Talk(goal) } => *goal = Some(ended_in),
            State::Talking => self.pursue(now, ended_in),
            // It has ended before, or the call is failing over.
            State::Answering { then: Then::FailOver(_) }
            | State::Preparing { .. }
            | State::Quiescing { .. }
            | State::Committing { .. }
            | State::HandedOff
            | State::Transferring { .. }
            | State::FailingOver { .. }
            | State::Terminating => {}
        }
    }

    fn child_down(&mut self, now: Instant, child: ChildName, exit: &Exit) {
        let Some(at) = self.live.iter().position(|live| *live == child) else { return };
        self.live.remove(at);
        match &mut self.state {
            State::Terminating => return self.finish_when_empty(),
            State::Quiescing { waiting_for, .. } if *exit == Exit::Finished && waiting_for.contains(&child) => {
                waiting_for.retain(|waiting| *waiting != child);
                return self.find_way_back_when_quiet(now);
            }
            // Without a voice there is no announcement.
            State::FailingOver { .. } if child == ChildName::TtsPlayback && *exit != Exit::Finished => {
                return self.announcement_played(now);
            }
            _ => {}
        }
        let failing_over = matches!(self.state, State::FailingOver { .. } | State::Transferring { cause: Some(_), .. });
        if failing_over && *exit == Exit::Finished && NOT_NEEDED_TO_FAIL_OVER.contains(&child) {
            return;
        }
        self.end(now, Ending::of_exit(child, exit));
    }

    /// The one teardown: the BYE first, then the children.
    fn terminate(&mut self, now: Instant, ending: Ending, headers: Vec<(String, String)>) {
        if let State::Terminating = self.state {
            return;
        }
        self.state = State::Terminating;
        self.order(Order::Terminate { ending, headers });
        self.arm(now, TEARDOWN_MAX, deadline::Reason::Teardown);
        self.finish_when_empty();
    }

    fn finish_when_empty(&mut self) {
        if self.live.is_empty() {
            self.deadline = None;
            self.order(Order::Finish);
        }
    }
}

/// Something failed of itself.
fn failed(child: ChildName, failure: Failure) -> Ending {
    Ending::Failed { child, failure: Broken::Failure(failure) }
}

fn overdue(child: ChildName) -> Ending {
    Ending::Failed { child, failure: Broken::Overdue }
}
