//! What a call is told, and what it orders: reports in the past tense, orders imperative.

use std::time::Duration;

use bellhop_connect::session_history_key::{FiledAs, SessionHistoryKey};
use bellhop_dialogue::response::ConnectToAgent;
use bellhop_dialogue::transcript::Transcript;
use bellhop_sip::dialog::refer::{Transfer, Unacceptable};
use bellhop_sip::message::StatusCode;

use crate::ending::{Ending, Refusal};
use crate::failure::{ChildName, Exit, Failure};
use crate::phase::PhaseName;

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
        /// The child that is gone.
        child: ChildName,
        /// Stopped as ordered, or by a failure, a panic or its deadline.
        exit: Exit,
    },
    /// Somebody outside wants the call to end.
    HangUp(Ending),
}

/// What the conversation ended in.
#[derive(Debug, Clone, PartialEq)]
pub enum Goal {
    /// The caller is handed over.
    HandOff {
        /// The assistant's `connect_to_agent`.
        transfer: Box<ConnectToAgent>,
        /// The conversation up to here.
        transcript: Transcript,
    },
    /// The call ends.
    HangUp {
        /// Headers of the BYE.
        headers: Vec<(String, String)>,
    },
}

/// What to do.
#[derive(Debug)]
pub enum Order {
    /// Log the state that was entered, and inject the fault that is configured for it.
    NoteState(PhaseName),
    /// Send the 200.
    Answer,
    /// Give back the place among the calls without an ACK: the far end has proven that it is there.
    ReleaseUnacknowledged,
    /// Store the history and have a key ready.
    PrepareHandoff {
        /// The assistant's `connect_to_agent`.
        transfer: Box<ConnectToAgent>,
        /// The conversation up to here.
        transcript: Transcript,
    },
    /// Store the history for a transfer by SIP.
    FileHistory {
        /// The assistant's `connect_to_agent`.
        transfer: Box<ConnectToAgent>,
        /// The conversation up to here.
        transcript: Transcript,
    },
    /// Stop these children within so long; those that live longer are dropped.
    Stop {
        /// In no order.
        children: Vec<ChildName>,
        /// From now on.
        within: Duration,
    },
    /// Find out whether a BYE would reach the far end.
    FindWayBack,
    /// Take the leg off its shard: no audio goes in or out any more.
    DeregisterLeg,
    /// Add to the teardown plan: blank these attributes of the contact first.
    DepositBlank {
        /// All attributes of the one request that is in flight.
        names: Vec<String>,
    },
    /// Take that out of the plan: the outcome of the request is known.
    WithdrawBlank,
    /// Spend the key.
    CommitHandoff,
    /// Tell the flow to disconnect.
    MarkHangup,
    /// Tell the conversation that no hand-off is possible.
    TellHandoffImpossible,
    /// Add to the teardown plan: make this key, which the far end has, void unless the transfer came about.
    DepositVoid(FiledAs),
    /// Take that out of the plan and do it now.
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
        /// What the record and the metrics are told.
        ending: Ending,
        /// Headers of the BYE: names and values.
        headers: Vec<(String, String)>,
    },
    /// Drop the children that have not stopped.
    AbandonAll,
    /// Nobody is left.
    Finish,
}

const _: () = assert!(size_of::<Order>() <= 144, "room for four of them is made with each input");

/// What happened that somebody should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The assistant may not transfer callers there: a host, or what kind of target it is; never a number.
    TargetForbidden {
        /// The host of the target, or what kind of target it is.
        host: String,
    },
    /// The transfer cannot be written.
    TransferUnacceptable(Unacceptable),
    /// The conversation is not stored: the transfer carries no key.
    TransferWithoutKey,
    /// The far end, or its target, does not take the transfer.
    TransferFailed {
        /// The target's, or that of the REFER.
        status: StatusCode,
    },
    /// The call fails over from this failure.
    FailingOver {
        /// [`Ending::label`] of the failure.
        label: &'static str,
    },
}
