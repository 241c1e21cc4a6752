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
mod failing;
mod handing_over;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bellhop_connect::session_history_key::{FiledAs, SessionHistoryKey};
use bellhop_dialogue::response::{ConnectToAgent, SipTarget};
use bellhop_dialogue::transcript::Transcript;
use bellhop_sip::dialog::refer::Transfer;
use bellhop_sip::message::StatusCode;
use bellhop_tenancy::Tenant;

use self::deadline::Deadline;
use crate::ending::{Broken, Ending, Refusal};
use crate::failure::{ChildName, Exit, Failure};
use crate::phase::PhaseName;

/// The longest the caller hears ringing while services connect and the greeting is made; then the call is answered.
pub const SETUP_MAX: Duration = Duration::from_secs(4);
/// The longest a history may take to be stored.
pub const PREPARE_MAX: Duration = Duration::from_secs(3);
/// The longest the other children may take to stop before the key is spent.
pub const QUIESCE_MAX: Duration = Duration::from_millis(500);
/// The longest it may take to know that a BYE would arrive.
pub const WAY_BACK_MAX: Duration = Duration::from_secs(5);
/// The longest a commit may take: more than the budget of the adapter, which answers first unless it hangs.
pub const COMMIT_MAX: Duration = Duration::from_secs(6);
/// The longest a transfer by SIP may take; the dialog bounds the REFER itself.
pub const TRANSFER_MAX: Duration = Duration::from_secs(120);
/// The longest the announcement of a call may take.
pub const ANNOUNCEMENT_MAX: Duration = Duration::from_secs(20);
/// The longest a teardown may take before children are dropped where they are.
pub const TEARDOWN_MAX: Duration = Duration::from_secs(1);
/// The oldest a call may become.
pub const CALL_AGE_MAX: Duration = Duration::from_secs(4 * 3600);

/// Who is stopped before a failover.
const NOT_NEEDED_TO_FAIL_OVER: [ChildName; 2] = [ChildName::TurnLoop, ChildName::SttStream];

/// What a call began with, and keeps.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Whose call it is.
    pub tenant: Arc<Tenant>,
    /// Where its SIP came from.
    pub source: IpAddr,
    /// Whether a contact flow takes over when we leave.
    pub in_contact_flow: bool,
}

/// Where a call is.
#[derive(Debug)]
enum State {
    /// No final response yet.
    Offered { readiness: Readiness, goal: Option<Goal> },
    /// 2xx sent, no ACK.
    Answering { then: Then },
    /// The conversation.
    Talking,
    /// The history is being stored.
    Preparing { preparation: Preparation },
    /// Who could still fail is being stopped; then, with nobody left to wait for, it is found out whether a BYE would arrive.
    Quiescing { completion: Completion, waiting_for: Vec<ChildName> },
    /// The request to Amazon Connect is in flight.
    Committing { completion: Completion, first_failure: Option<Ending> },
    /// The attribute is there: nothing left but the BYE.
    HandedOff,
    /// The far end has been asked to call somebody else, or is being put on hold first.
    Transferring { after_hold: Option<Transfer>, cause: Option<Ending> },
    /// Something broke, and the caller is told before they are transferred or the call ends.
    FailingOver { cause: Ending, then: Option<Transfer> },
    /// The teardown is ordered; children stop.
    Terminating,
}

/// What must be there before the call is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Readiness {
    recognizer: bool,
    greeting: bool,
    says_something: bool,
}

/// What the conversation ended in.
#[derive(Debug, Clone, PartialEq)]
pub enum Goal {
    /// The caller is handed over.
    HandOff {
        /// How.
        transfer: ConnectToAgent,
        /// What was said.
        transcript: Transcript,
    },
    /// The call ends.
    HangUp {
        /// Headers of the BYE.
        headers: Vec<(String, String)>,
    },
}

/// What follows the ACK.
#[derive(Debug)]
enum Then {
    /// The conversation, or what it has ended in already.
    Talk(Option<Goal>),
    /// The call fails over from this failure.
    FailOver(Ending),
}

/// What the history is stored for.
#[derive(Debug)]
enum Preparation {
    /// A hand-off to Amazon Connect.
    HandOff,
    /// A transfer by SIP.
    Transfer(SipTarget),
}

/// What is done last, and alone.
#[derive(Debug, Clone)]
enum Completion {
    /// The key is spent; the one request carries these names.
    HandOff { names: Vec<String> },
    /// The flow is told to disconnect.
    HangUp { headers: Vec<(String, String)> },
    /// Whoever sent us the call sends it on, by the headers of our BYE.
    TransferByBye { headers: Vec<(String, String)> },
}

/// What happened: what children, Reception and the driver report.
#[derive(Debug)]
pub enum Input {
    /// All children live.
    Began,
    /// The INVITE has been refused; no child lives.
    Refused(Refusal),
    /// The recognizer is connected.
    RecognizerReady,
    /// The recognizer has to be connected anew: the line has another rate.
    LineChanged,
    /// The first audio is there to be played.
    PlaybackReady,
    /// The assistant wants something heard.
    SaysSomething,
    /// The assistant's first reply has been handed on completely.
    ReplyRead,
    /// The ACK is here, and audio is agreed on.
    DialogConfirmed,
    /// BYE or CANCEL came.
    CallerHungUp,
    /// What the conversation ended in.
    ConversationEnded(Goal),
    /// The hand-off is ready to be committed; the one request will carry these names.
    HandoffPrepared {
        /// `SessionHistoryKey` among them.
        names: Vec<String>,
    },
    /// No hand-off is possible; nothing was written.
    HandoffImpossible,
    /// The request has its outcome.
    HandoffEnded(Result<(), Failure>),
    /// The history for a transfer by SIP is stored under this key, or could not be.
    HistoryFiled(Option<(SessionHistoryKey, FiledAs)>),
    /// Our hold, or its end, was answered; what the far end does not accept changes nothing.
    HoldAnswered,
    /// The transfer by SIP has its outcome; a failure is the target's status, or that of the REFER itself.
    TransferEnded(Result<(), StatusCode>),
    /// Whether a BYE would reach the far end.
    WayBack {
        /// It would: a connection is alive, or was opened anew, or needs none.
        known: bool,
    },
    /// Nothing was heard of the far end for the media timeout, though it should send.
    MediaSilent,
    /// The announcement was played to its end, or cannot be.
    AnnouncementPlayed,
    /// A child is gone.
    ChildDown {
        /// Who.
        child: ChildName,
        /// Of what.
        exit: Exit,
    },
    /// Somebody outside wants the call to end.
    HangUp(Ending),
}

/// What to do.
#[derive(Debug)]
pub enum Order {
    /// A state was entered.
    Entered(PhaseName),
    /// Send the 200.
    Answer,
    /// The far end has proven that it is there.
    Acknowledged,
    /// Store the history and have a key ready.
    PrepareHandoff {
        /// How the caller is handed over.
        transfer: ConnectToAgent,
        /// What was said.
        transcript: Transcript,
    },
    /// Store the history for a transfer by SIP.
    FileHistory {
        /// How the caller is handed over.
        transfer: ConnectToAgent,
        /// What was said.
        transcript: Transcript,
    },
    /// Stop these children within so long.
    Stop {
        /// Who.
        children: Vec<ChildName>,
        /// Who lives longer is dropped.
        within: Duration,
    },
    /// Find out whether a BYE would reach the far end.
    FindWayBack,
    /// No audio goes in or out any more.
    DeregisterLeg,
    /// From here on whoever opens the teardown plan takes these names back first.
    AttributesInFlight {
        /// All of the one request.
        names: Vec<String>,
    },
    /// The fate of the names is known.
    AttributesKnown,
    /// Spend the key.
    CommitHandoff,
    /// Tell the flow to disconnect.
    MarkHangup,
    /// Tell the conversation that no hand-off is possible.
    HandoffWasImpossible,
    /// From here on whoever opens the teardown plan makes the key void, unless the transfer came about.
    KeyGivenAway(FiledAs),
    /// The key that was given away opens nothing any more.
    VoidKey,
    /// Put the far end on hold.
    Hold,
    /// End the hold.
    EndHold,
    /// Ask the far end to call somebody else.
    Refer(Transfer),
    /// Silence whatever is heard and say this.
    Announce(String),
    /// Tell the log, and the record where a tenant should read it.
    Report(Told),
    /// The teardown: the BYE first, by whoever holds the plan; then all children stop.
    Terminate {
        /// Why.
        ending: Ending,
        /// Headers of the BYE: names and values.
        headers: Vec<(String, String)>,
    },
    /// Drop the children that have not stopped.
    AbandonAll,
    /// Nobody is left.
    Finish,
}

/// What happened that somebody should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The assistant may not transfer callers there: a host, or what kind of target it is; never a number.
    TargetForbidden {
        /// Where it leads.
        host: String,
    },
    /// The transfer cannot be written.
    TransferUnacceptable(bellhop_sip::dialog::refer::Unacceptable),
    /// The conversation is not stored: the transfer carries no key.
    TransferWithoutKey,
    /// The far end, or its target, does not take the transfer.
    TransferFailed {
        /// The target's, or that of the REFER.
        status: StatusCode,
    },
    /// The call fails over from this failure.
    FailingOver {
        /// The ending's.
        label: &'static str,
    },
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
        self.orders.pop_front()
    }

    fn order(&mut self, order: Order) {
        self.orders.push_back(order);
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.order(Order::Entered(self.state.name()));
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
            self.order(Order::Entered(PhaseName::Offered));
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
        self.order(Order::Acknowledged);
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

impl State {
    fn name(&self) -> PhaseName {
        match self {
            Self::Offered { .. } => PhaseName::Offered,
            Self::Answering { .. } => PhaseName::Answering,
            Self::Talking => PhaseName::Talking,
            Self::Preparing { .. } => PhaseName::Preparing,
            Self::Quiescing { .. } => PhaseName::Quiescing,
            Self::Committing { .. } => PhaseName::Committing,
            Self::HandedOff => PhaseName::HandedOff,
            Self::Transferring { .. } => PhaseName::Transferring,
            Self::FailingOver { .. } => PhaseName::FailingOver,
            Self::Terminating => PhaseName::Terminating,
        }
    }

    /// The failure that the call is failing over from: the first reason, whatever else happens on the way.
    fn cause(&self) -> Option<&Ending> {
        match self {
            Self::Answering { then: Then::FailOver(cause) }
            | Self::Transferring { cause: Some(cause), .. }
            | Self::FailingOver { cause, .. } => Some(cause),
            Self::Offered { .. }
            | Self::Answering { then: Then::Talk(_) }
            | Self::Talking
            | Self::Preparing { .. }
            | Self::Quiescing { .. }
            | Self::Committing { .. }
            | Self::HandedOff
            | Self::Transferring { cause: None, .. }
            | Self::Terminating => None,
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
