//! What the call does besides Amazon Connect: transfer by SIP, and the way out of a failure where no contact flow takes
//! over.
//!
//! ```text
//! Talking -hold, REFER-> Transferring -outcome-> BYE | back to Talking | last words, BYE
//! a failure -> FailingOver: last words -> REFER to the tenant's target | BYE
//! ```
//! Invariant: the BYE of a transfer follows its outcome, never precedes it; a call that is failing over is not saved twice; a
//! key that went along is void unless the transfer came about, and one in a BYE goes out last and alone as for Amazon Connect.

use std::sync::Arc;
use std::time::Duration;

use actix::Context;
use bellhop_connect::ports::History;
use bellhop_connect::session_history_key::{FiledAs, SessionHistoryKey};
use bellhop_dialogue::ports::SpeechRequest;
use bellhop_dialogue::response::SipTarget;
use bellhop_dialogue::response::sip_target::{HeadersBy, TransferMethod};
use bellhop_dialogue::turn_loop::SayId;
use bellhop_sip::dialog::refer::{SendMethod, Transfer};
use bellhop_sip::message::{Scheme, StatusCode, Uri};
use bellhop_tenancy::tenant::{FailureBeforeAnswer, HoldOnTransfer, OnTransferFailure};
use bellhop_tenancy::transfer_targets::{Target, TransferTargets};

use super::PREPARE_MAX;
use super::children::tell;
use super::messages::{Cut, FileHistory, HandoffWasImpossible, Hold, Refer, Resume, Speak};
use super::supervisor::{Call, Goal};
use crate::reception::VoidKey;
use crate::reception::call_registry::Void;
use crate::supervision::{ChildName, Failure, Stop};
use bellhop_call::ending::{Broken, Ending};
use bellhop_call::phase::PhaseName;

/// The longest the last words of a call may take.
const LAST_WORDS_MAX: Duration = Duration::from_secs(20);
/// The longest a transfer may take; SipDialog bounds the REFER itself.
const TRANSFER_MAX: Duration = Duration::from_secs(120);
/// The name of the last words.
pub(super) const LAST_WORDS: SayId = SayId(u64::MAX - 1);

/// What is under way.
#[derive(Default)]
pub(super) struct WayOut {
    /// The failure that the call is being led out of: the first reason, whatever else happens on the way.
    pub(super) failing: Option<Ending>,
    /// Whom the caller is handed over to once the conversation is stored.
    target: Option<SipTarget>,
    /// A REFER that waits for the hold.
    transfer: Option<Transfer>,
    /// What follows the last words.
    after_words: Option<AfterWords>,
}

enum AfterWords {
    Transfer(Transfer),
    Leave,
}

impl Call {
    /// Stores the conversation before the caller is handed over by SIP; a store that fails or is slow keeps nobody waiting.
    pub(super) fn prepare_transfer(&mut self, target: SipTarget, history: History, ctx: &mut Context<Self>) {
        if let Some(host) = target.uri.as_deref().and_then(|uri| self.forbidden(uri)) {
            let why =
                format!("the assistant may not transfer callers to {host}: it is not in tenants.sip.transfer_targets");
            tracing::warn!(call = %self.seed.id, tenant = self.tenant(), "{why}");
            self.journal.write(|record, now| record.warn(now, "transfer_target_refused", why));
            return self.transfer_ended(Err(StatusCode(403)), ctx);
        }
        self.way_out.target = Some(target);
        tell(&self.children.connect_handoff, FileHistory { history });
        self.within(PREPARE_MAX, ctx, |this, ctx| this.history_filed(None, ctx));
    }

    /// Where a target leads that is not on the tenant's list: its host, or what kind of target it is; never a number.
    fn forbidden(&self, uri: &str) -> Option<String> {
        let tenant = &self.seed.services.tenant;
        if tenant.transfer_targets == TransferTargets::Anywhere {
            return None;
        }
        let Some(uri) = Uri::parse(uri) else { return Some("what is no URI".to_owned()) };
        let rest = uri.as_str().split_once(':').map_or("", |(_, rest)| rest);
        let (user, host) = match uri.scheme {
            Scheme::Tel => (Some(rest), None),
            // The host that is written is not the one that is called.
            Scheme::Sip | Scheme::Sips if uri.param("maddr").is_some() => return Some("a URI with maddr".to_owned()),
            Scheme::Sip | Scheme::Sips => (rest.rsplit_once('@').map(|(user, _)| user), Some(uri.host.as_str())),
            Scheme::Other(_) => return Some("a URI of another scheme".to_owned()),
        };
        let failure = tenant.failover.as_ref().and_then(|failover| Uri::parse(failover.target.as_deref()?));
        let failure = failure.as_ref().map(|uri| uri.host.as_str()).filter(|host| !host.is_empty());
        let allowed = tenant.transfer_targets.allow(Target { user, host }, self.seed.hop.remote.ip(), failure);
        (!allowed).then(|| host.unwrap_or("a number").to_owned())
    }

    /// The conversation can be read under this key, by whom the caller is handed over to.
    pub(super) fn history_filed(&mut self, filed: Option<(SessionHistoryKey, FiledAs)>, ctx: &mut Context<Self>) {
        let Some(mut target) = self.way_out.target.take().filter(|_| self.phase == PhaseName::Talking) else { return };
        self.no_deadline(ctx);
        match filed {
            Some((key, name)) => {
                // From here on whoever opens the will makes the key void, unless the transfer came about.
                let histories = Arc::clone(&self.seed.services.histories);
                self.seed.registry.deposit_void(self.seed.id, Some(Void { histories, name }));
                let header = key.into_sip_header(&target.headers);
                target.headers.push(header);
            }
            None => {
                tracing::warn!(call = %self.seed.id, tenant = self.tenant(), "the conversation is not stored: transferring without a key")
            }
        }
        self.transfer_by_sip(&target, ctx);
    }

    /// Hands the caller over by SIP, as the assistant asked.
    fn transfer_by_sip(&mut self, target: &SipTarget, ctx: &mut Context<Self>) {
        match &target.method {
            TransferMethod::Hangup { target_header } => {
                let mut headers: Vec<(String, String)> =
                    target.uri.iter().map(|uri| (target_header.clone(), uri.clone())).collect();
                headers.extend(target.headers.clone());
                self.goal = Some(Goal::TransferByBye { headers });
                self.pursue(ctx);
            }
            TransferMethod::Refer(headers_by) => {
                let send_method = match headers_by {
                    HeadersBy::Custom => SendMethod::Custom,
                    HeadersBy::Contact => SendMethod::Contact,
                    HeadersBy::ReferTo => SendMethod::ReferTo,
                };
                let target_uri = target.uri.clone().unwrap_or_default();
                let transfer = Transfer { target: target_uri, headers: target.headers.clone(), send_method };
                self.start_transfer(transfer, ctx);
            }
        }
    }

    fn start_transfer(&mut self, transfer: Transfer, ctx: &mut Context<Self>) {
        if let Err(why) = transfer.check() {
            tracing::warn!(call = %self.seed.id, tenant = self.tenant(), %why, "no transfer");
            return self.transfer_ended(Err(StatusCode(400)), ctx);
        }
        self.enter(PhaseName::Transferring, ctx);
        self.within(TRANSFER_MAX, ctx, |this, ctx| this.transfer_ended(Err(StatusCode(408)), ctx));
        match self.seed.services.tenant.hold {
            HoldOnTransfer::Hold => {
                self.way_out.transfer = Some(transfer);
                tell(&self.children.sip_dialog, Hold {});
            }
            HoldOnTransfer::Leave => tell(&self.children.sip_dialog, Refer { transfer }),
        }
    }

    /// The hold was answered; a far end that does not let itself be held is transferred all the same.
    pub(super) fn held(&mut self) {
        if let Some(transfer) = self.way_out.transfer.take() {
            tell(&self.children.sip_dialog, Refer { transfer });
        }
    }

    pub(super) fn transfer_ended(&mut self, outcome: Result<(), StatusCode>, ctx: &mut Context<Self>) {
        if !matches!(self.phase, PhaseName::Transferring | PhaseName::Talking | PhaseName::FailingOver) {
            return;
        }
        self.no_deadline(ctx);
        let Err(status) = outcome else { return self.leave_for(Ending::Transferred, ctx) };
        tracing::warn!(call = %self.seed.id, tenant = self.tenant(), status = status.0, "the transfer failed");
        if let Some(void) = self.seed.registry.deposit_void(self.seed.id, None) {
            self.seed.reception.do_send(VoidKey(void));
        }
        if self.phase == PhaseName::Transferring && self.seed.services.tenant.hold == HoldOnTransfer::Hold {
            tell(&self.children.sip_dialog, Resume {});
        }
        let tenant = &self.seed.services.tenant;
        let message = tenant.transfer_failure_message.clone();
        if self.way_out.failing.is_some() {
            return self.say_last(message, AfterWords::Leave, ctx);
        }
        match tenant.on_transfer_failure {
            OnTransferFailure::Continue => {
                self.goal = None;
                self.enter(PhaseName::Talking, ctx);
                tell(&self.children.turn_loop, HandoffWasImpossible {});
            }
            OnTransferFailure::Disconnect => {
                let failure = Broken::Failure(Failure::TransferFailed);
                self.way_out.failing = Some(Ending::Failed { child: ChildName::SipDialog, failure });
                self.say_last(message, AfterWords::Leave, ctx);
            }
        }
    }

    /// Whether a failure now is one that the caller can be led out of.
    pub(super) fn can_fail_over(&self, ending: &Ending) -> bool {
        let tenant = &self.seed.services.tenant;
        let far_end_is_there = match ending {
            Ending::Failed { failure: Broken::Failure(failure), .. } => !matches!(
                failure,
                Failure::NeverAcked | Failure::NoMedia | Failure::SessionExpired | Failure::MediaTimeout
            ),
            Ending::Failed { .. } => true,
            _ => false,
        };
        let in_time = match self.phase {
            PhaseName::Offered | PhaseName::Answering => tenant.before_answer == FailureBeforeAnswer::AnswerThenBye,
            PhaseName::Talking => true,
            _ => false,
        };
        let alive = self.children.sip_dialog.is_some() && self.children.jitter_buffer.is_some();
        tenant.failover.is_some() && self.way_out.failing.is_none() && far_end_is_there && in_time && alive
    }

    /// Leads the caller out: answers if need be, says what is to be said, refers them on.
    pub(super) fn fail_over(&mut self, ending: Ending, ctx: &mut Context<Self>) {
        tracing::warn!(call = %self.seed.id, tenant = self.tenant(), reason = ending.label(), "failing over");
        self.way_out.failing = Some(ending);
        match self.phase {
            PhaseName::Offered => self.answer(ctx),
            PhaseName::Answering => {}
            _ => self.last_words_of_failure(ctx),
        }
    }

    /// Whether the call is being led out of a failure.
    pub(super) fn is_failing_over(&self) -> bool {
        self.way_out.failing.is_some()
    }

    /// Leaves for the failure that the call is being led out of, else for this reason.
    pub(super) fn leave_for(&mut self, ending: Ending, ctx: &mut Context<Self>) {
        let ending = self.way_out.failing.take().unwrap_or(ending);
        self.leave(ending, ctx);
    }

    pub(super) fn last_words_of_failure(&mut self, ctx: &mut Context<Self>) {
        let by = crate::now() + LAST_WORDS_MAX;
        tell(&self.children.turn_loop, Stop { by });
        tell(&self.children.stt_stream, Stop { by });
        let failover = self.seed.services.tenant.failover.clone().unwrap_or_default();
        let after = match failover.target {
            Some(target) => AfterWords::Transfer(Transfer { target, headers: vec![], send_method: SendMethod::Custom }),
            None => AfterWords::Leave,
        };
        self.say_last(failover.message, after, ctx);
    }

    /// The last thing the caller hears; without a voice it is left out.
    fn say_last(&mut self, message: Option<String>, after: AfterWords, ctx: &mut Context<Self>) {
        self.enter(PhaseName::FailingOver, ctx);
        self.way_out.after_words = Some(after);
        let Some(text) = message.filter(|_| self.children.tts_playback.is_some()) else {
            return self.words_said(ctx);
        };
        self.within(LAST_WORDS_MAX, ctx, Self::words_said);
        tell(&self.children.tts_playback, Cut {});
        tell(&self.children.tts_playback, Speak { id: LAST_WORDS, speech: SpeechRequest::plain(text, 0) });
    }

    pub(super) fn words_said(&mut self, ctx: &mut Context<Self>) {
        match self.way_out.after_words.take() {
            Some(AfterWords::Transfer(transfer)) => self.start_transfer(transfer, ctx),
            Some(AfterWords::Leave) => self.leave_for(Ending::AssistantEnded, ctx),
            None => {}
        }
    }
}
