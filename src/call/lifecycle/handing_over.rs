//! How a caller is handed over: the key spent last and alone, a transfer by SIP with its outcome awaited.

use std::time::{Duration, Instant};

use bellhop_connect::session_history_key::{ATTRIBUTE, FiledAs, SessionHistoryKey};
use bellhop_dialogue::response::SipTarget;
use bellhop_dialogue::response::sip_target::{HeadersBy, TransferMethod};
use bellhop_sip::dialog::refer::{SendMethod, Transfer};
use bellhop_sip::message::StatusCode;
use bellhop_tenancy::integration::{HoldOnTransfer, OnTransferFailure};

use super::deadline::Reason;
use super::transfer;
use super::{
    COMMIT_MAX, Completion, Goal, Lifecycle, Order, PREPARE_MAX, PREPARED_TOLD_WITHIN, Preparation, QUIESCE_MAX, State,
    TRANSFER_MAX, Told, WAY_BACK_MAX, failed,
};
use crate::ending::Ending;
use crate::failure::{ChildName, Failure};

impl Lifecycle {
    /// Works towards what the conversation ended in.
    pub(super) fn pursue(&mut self, now: Instant, goal: Goal) {
        match goal {
            Goal::HangUp { headers } => self.quiesce(now, Completion::HangUp { headers }),
            Goal::HandOff { transfer, transcript } => match transfer.sip.clone() {
                Some(target) if !self.terms.in_contact_flow => {
                    if let Some(host) = target.uri.as_deref().and_then(|uri| transfer::forbidden(&self.terms, uri)) {
                        self.order(Order::Report(Told::TargetForbidden { host }));
                        return self.transfer_failed(now, StatusCode(403), None);
                    }
                    self.order(Order::FileHistory { transfer, transcript });
                    self.prepare(now, Preparation::Transfer(target), PREPARE_MAX);
                }
                _ => {
                    self.order(Order::PrepareHandoff { transfer, transcript });
                    // The child bounds the store itself.
                    self.prepare(now, Preparation::HandOff, PREPARE_MAX + PREPARED_TOLD_WITHIN);
                }
            },
        }
    }

    fn prepare(&mut self, now: Instant, preparation: Preparation, within: Duration) {
        self.enter(State::Preparing { preparation });
        self.arm(now, within, Reason::History);
    }

    pub(super) fn handoff_prepared(&mut self, now: Instant, names: Vec<String>) {
        if let State::Preparing { preparation: Preparation::HandOff } = self.state {
            self.quiesce(now, Completion::HandOff { names });
        }
    }

    pub(super) fn handoff_impossible(&mut self, now: Instant) {
        match &mut self.state {
            State::Preparing { preparation: Preparation::HandOff } => {
                match self.terms.integration.on_transfer_failure {
                    OnTransferFailure::Continue => self.talk_on(),
                    OnTransferFailure::Disconnect => {
                        self.fail(now, ChildName::ConnectHandoff, Failure::HandoffImpossible);
                    }
                }
            }
            // The conversation ended; without a contact there is nobody to tell.
            State::Committing { completion, first_failure } => {
                let headers = completion.take_headers();
                let ending = first_failure.take().unwrap_or(Ending::AssistantEnded);
                self.order(Order::WithdrawBlank);
                self.terminate(now, ending, headers);
            }
            State::Offered { .. }
            | State::Answering { .. }
            | State::Talking
            | State::Preparing { preparation: Preparation::Transfer(_) }
            | State::Quiescing { .. }
            | State::HandedOff
            | State::Transferring { .. }
            | State::FailingOver { .. }
            | State::Terminating => {}
        }
    }

    /// The conversation goes on, and is told why.
    fn talk_on(&mut self) {
        self.deadline = None;
        self.enter(State::Talking);
        self.order(Order::TellHandoffImpossible);
    }

    /// Stops everybody but SipDialog and ConnectHandoff, then finds out whether a BYE would arrive: the key is spent last and
    /// alone, and never where nobody could be told.
    fn quiesce(&mut self, now: Instant, completion: Completion) {
        let waiting_for: Vec<ChildName> = self.live.iter().copied().filter(|child| child.quiesces()).collect();
        let children = waiting_for.clone();
        self.enter(State::Quiescing { completion, waiting_for });
        self.order(Order::Stop { children, within: QUIESCE_MAX });
        self.arm(now, QUIESCE_MAX, Reason::Children);
        self.find_way_back_when_quiet(now);
    }

    /// Asked last: a way that was there before the others had stopped may be gone.
    pub(super) fn find_way_back_when_quiet(&mut self, now: Instant) {
        if let State::Quiescing { waiting_for, .. } = &self.state
            && waiting_for.is_empty()
        {
            self.order(Order::FindWayBack);
            self.arm(now, WAY_BACK_MAX, Reason::WayBack);
        }
    }

    pub(super) fn way_back(&mut self, now: Instant, known: bool) {
        let State::Quiescing { completion, waiting_for } = &self.state else { return };
        if !waiting_for.is_empty() {
            return;
        }
        if !known {
            return self.fail(now, ChildName::SipDialog, Failure::NoWayBack);
        }
        let completion = completion.clone();
        self.order(Order::DeregisterLeg);
        match &completion {
            Completion::TransferByBye { headers } => {
                let headers = headers.clone();
                return self.terminate(now, Ending::Transferred, headers);
            }
            Completion::HandOff { names } => {
                self.order(Order::DepositBlank { names: names.clone() });
                self.order(Order::CommitHandoff);
            }
            Completion::HangUp { .. } => {
                self.order(Order::DepositBlank { names: vec![ATTRIBUTE.to_owned()] });
                self.order(Order::MarkHangup);
            }
        }
        self.enter(State::Committing { completion, first_failure: None });
        self.arm(now, COMMIT_MAX, Reason::Commit);
    }

    /// A commit in flight is known: the attribute is there, or why it is not.
    pub(super) fn handoff_ended(&mut self, now: Instant, outcome: Result<(), Failure>) {
        let State::Committing { completion, first_failure } = &mut self.state else { return };
        let success = completion.success();
        let headers = completion.take_headers();
        match (first_failure.take(), outcome) {
            // The caller is gone: the contact is over, nothing is taken back.
            (Some(Ending::CallerHungUp), _) => self.give_up_commit(now, Ending::CallerHungUp),
            // A failure came first: what landed is taken back by who opens the plan.
            (Some(first), Ok(())) => self.terminate(now, first, vec![]),
            (Some(first), Err(_)) => {
                self.order(Order::WithdrawBlank);
                self.terminate(now, first, vec![]);
            }
            (None, Ok(())) => {
                self.order(Order::WithdrawBlank);
                self.enter(State::HandedOff);
                self.terminate(now, success, headers);
            }
            (None, Err(failure)) => {
                self.order(Order::WithdrawBlank);
                self.terminate(now, failed(ChildName::ConnectHandoff, failure), vec![]);
            }
        }
    }

    /// Nobody will tell what became of the request.
    pub(super) fn give_up_commit(&mut self, now: Instant, ending: Ending) {
        if ending == Ending::CallerHungUp {
            self.order(Order::WithdrawBlank);
        }
        self.terminate(now, ending, vec![]);
    }

    /// The conversation can be read under this key, by whom the caller is handed over to. A store that fails or is slow keeps
    /// nobody waiting.
    pub(super) fn history_filed(&mut self, now: Instant, filed: Option<(SessionHistoryKey, FiledAs)>) {
        let State::Preparing { preparation: Preparation::Transfer(target) } = &self.state else { return };
        let mut target = target.clone();
        self.deadline = None;
        match filed {
            Some((key, name)) => {
                self.order(Order::DepositVoid(name));
                let header = key.into_sip_header(&target.headers);
                target.headers.push(header);
            }
            None => self.order(Order::Report(Told::TransferWithoutKey)),
        }
        self.transfer(now, target);
    }

    fn transfer(&mut self, now: Instant, target: SipTarget) {
        let SipTarget { uri, method, headers } = target;
        let send_method = match method {
            TransferMethod::Hangup { target_header } => {
                let target = uri.map(|uri| (target_header, uri));
                let headers = target.into_iter().chain(headers).collect();
                return self.quiesce(now, Completion::TransferByBye { headers });
            }
            TransferMethod::Refer(HeadersBy::Custom) => SendMethod::Custom,
            TransferMethod::Refer(HeadersBy::Contact) => SendMethod::Contact,
            TransferMethod::Refer(HeadersBy::ReferTo) => SendMethod::ReferTo,
        };
        let transfer = Transfer { target: uri.unwrap_or_default(), headers, send_method };
        self.start_transfer(now, transfer, None);
    }

    pub(super) fn start_transfer(&mut self, now: Instant, transfer: Transfer, cause: Option<Ending>) {
        if let Err(why) = transfer.check() {
            self.order(Order::Report(Told::TransferUnacceptable(why)));
            return self.transfer_failed(now, StatusCode(400), cause);
        }
        match self.terms.integration.hold {
            HoldOnTransfer::Hold => {
                self.enter(State::Transferring { after_hold: Some(transfer), cause });
                self.order(Order::Hold);
            }
            HoldOnTransfer::Leave => {
                self.enter(State::Transferring { after_hold: None, cause });
                self.order(Order::Refer(transfer));
            }
        }
        self.arm(now, TRANSFER_MAX, Reason::Transfer);
    }

    /// A far end that does not let itself be held is transferred all the same.
    pub(super) fn held(&mut self) {
        if let State::Transferring { after_hold, .. } = &mut self.state
            && let Some(transfer) = after_hold.take()
        {
            self.order(Order::Refer(transfer));
        }
    }

    pub(super) fn transfer_ended(&mut self, now: Instant, outcome: Result<(), StatusCode>) {
        let State::Transferring { cause, .. } = &mut self.state else { return };
        let cause = cause.take();
        match outcome {
            Ok(()) => self.terminate(now, cause.unwrap_or(Ending::Transferred), vec![]),
            Err(status) => self.transfer_failed(now, status, cause),
        }
    }

    fn transfer_failed(&mut self, now: Instant, status: StatusCode, cause: Option<Ending>) {
        self.deadline = None;
        self.order(Order::Report(Told::TransferFailed { status }));
        self.order(Order::VoidKey);
        if let State::Transferring { .. } = self.state
            && self.terms.integration.hold == HoldOnTransfer::Hold
        {
            self.order(Order::EndHold);
        }
        let message = self.terms.integration.transfer_failure_message.clone();
        let broken = || failed(ChildName::SipDialog, Failure::TransferFailed);
        match (cause, self.terms.integration.on_transfer_failure) {
            (Some(cause), _) => self.announce(now, cause, message, None),
            (None, OnTransferFailure::Continue) => self.talk_on(),
            (None, OnTransferFailure::Disconnect) => self.announce(now, broken(), message, None),
        }
    }
}

impl Completion {
    /// What the call ends as when it comes about.
    fn success(&self) -> Ending {
        match self {
            Self::HandOff { .. } => Ending::HandedOff,
            Self::HangUp { .. } => Ending::AssistantEnded,
            Self::TransferByBye { .. } => Ending::Transferred,
        }
    }

    /// The headers of the BYE.
    fn take_headers(&mut self) -> Vec<(String, String)> {
        match self {
            Self::HandOff { .. } => vec![],
            Self::HangUp { headers } | Self::TransferByBye { headers } => std::mem::take(headers),
        }
    }
}
