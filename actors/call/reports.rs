//! What the children report to the call, and what each report means to it.
//!
//! Invariant: a report is turned into one call of the supervisor, or handed on to one other child; no report decides.

use actix::{AsyncContext, Context, Handler, Message};
use bellhop_media::dtmf::rfc4733::Press;
use bellhop_tenancy::tenant::OnTransferFailure;

use super::children::{is_quieted, tell};
use super::messages::{
    CallerHungUp, ConfigureSpeech, Cut, CutSpeech, DialogConfirmed, DigitPressed, EndConversation, FellSilent, GoOn,
    HandOff, HandoffCommitted, HandoffImpossible, HandoffPrepared, HandoffRefused, HandoffUncertain,
    HandoffWasImpossible, HangUp, Heard, HistoryFiled, HoldAnswered, HushSpeech, Hypothesis, InterimHeard, Interrupted,
    Listen, MediaMoved, MediaSilent, NetworkPoor, NetworkWarned, NotUnderstood, PauseListening, PlayAudio, PlaySound,
    PlaybackCut, PlaybackFinished, PlaybackReady, Played, PressByInfo, PressKeys, Pressed, RecognizerReady,
    ReplyArrived, Rest, ResumeListening, ResumeSpeech, Say, SendKeys, Speak, SpeechEnded, SpeechStarted, StopRepeating,
    StopSound, TransferEnded, TransferProgressed, Understand, UtteranceHeard, UtteranceNotUnderstood, WasCut, WayBack,
};
use super::supervisor::{Call, Goal};
use super::transfer::LAST_WORDS;
use crate::supervision::{ChildDown, ChildName, Exit, Failure};
use bellhop_call::ending::{Broken, Ending};
use bellhop_call::phase::PhaseName;

/// The assistant's first reply has been handed on completely.
#[derive(Message)]
#[rtype(result = "()")]
struct ReplyRead;

impl Handler<ChildDown> for Call {
    type Result = ();

    fn handle(&mut self, down: ChildDown, ctx: &mut Context<Self>) {
        self.children.forget(down.child);
        match self.phase {
            PhaseName::Leaving => self.finish_when_empty(ctx),
            PhaseName::Quieting if down.exit == Exit::Finished && is_quieted(down.child) => self.commit_when_quiet(ctx),
            // Those who are not needed any more have been stopped; without a voice the last words are left out.
            _ if self.is_failing_over() && down.exit == Exit::Finished => {}
            PhaseName::FailingOver if down.child == ChildName::TtsPlayback => self.words_said(ctx),
            _ => {
                tracing::warn!(call = %self.seed.id, child = %down.child, exit = ?down.exit, ran_for = ?down.ran_for, "child down");
                self.fail(Ending::of_exit(down.child, &down.exit), ctx);
            }
        }
    }
}

/// One handler a message: what it means to the call.
macro_rules! on {
    ($($message:ident { $($field:ident),* } => |$this:ident, $ctx:ident| $body:expr;)+) => {
        $(impl Handler<$message> for Call {
            type Result = ();

            fn handle(&mut self, $message { $($field),* }: $message, $ctx: &mut Context<Self>) {
                let $this = self;
                $body
            }
        })+
    };
}

on! {
    // From SipDialog.
    DialogConfirmed {} => |this, ctx| this.confirmed(ctx);
    HoldAnswered {} => |this, _ctx| this.held();
    TransferProgressed { status } => |this, _ctx| {
        tracing::info!(call = %this.seed.id, tenant = this.tenant(), status = status.0, "the transfer goes on");
    };
    TransferEnded { outcome } => |this, ctx| if this.phase == PhaseName::Transferring {
        this.transfer_ended(outcome, ctx);
    };
    WayBack { known } => |this, ctx| this.way_back(known, ctx);
    CallerHungUp {} => |this, ctx| this.end_as(this.phase.on_caller_hang_up(), Ending::CallerHungUp, ctx);
    MediaMoved { agreed } => |this, _ctx| tell(&this.children.jitter_buffer, MediaMoved { agreed });
    // From JitterBuffer, and from SipDialog.
    DigitPressed { press, way } => |this, _ctx| {
        let Press { digit, held } = press;
        if this.presses.is_new(crate::now(), way, digit, held) {
            this.journal.write(|record, now| record.key_pressed(now));
            tell(&this.children.turn_loop, Pressed { digit });
        }
    };
    NetworkPoor {} => |this, _ctx| tell(&this.children.turn_loop, NetworkWarned {});
    MediaSilent {} => |this, ctx| {
        let failure = Broken::Failure(Failure::MediaTimeout);
        this.fail(Ending::Failed { child: ChildName::JitterBuffer, failure }, ctx);
    };
    // From SttStream.
    RecognizerReady {} => |this, ctx| {
        this.readiness.recognizer = true;
        this.answer_when_ready(ctx);
    };
    SpeechStarted {} => |this, _ctx| tell(&this.children.turn_loop, Interrupted {});
    SpeechEnded {} => |this, _ctx| tell(&this.children.turn_loop, FellSilent {});
    InterimHeard {} => |this, _ctx| tell(&this.children.turn_loop, Hypothesis {});
    UtteranceHeard { heard } => |this, _ctx| tell(&this.children.turn_loop, Heard { heard });
    UtteranceNotUnderstood {} => |this, _ctx| tell(&this.children.turn_loop, NotUnderstood {});
    // From TtsPlayback.
    PlaybackReady {} => |this, ctx| {
        this.readiness.greeting = true;
        this.answer_when_ready(ctx);
    };
    PlaybackFinished { id } => |this, ctx| if id == LAST_WORDS {
        this.words_said(ctx);
    } else {
        tell(&this.children.turn_loop, Played { id });
    };
    PlaybackCut { id, share } => |this, _ctx| tell(&this.children.turn_loop, WasCut { id, share });
    // From TurnLoop.
    Say { id, speech } => |this, _ctx| {
        this.readiness.says_something = true;
        tell(&this.children.tts_playback, Speak { id, speech });
    };
    PlaySound { id, source, repeats } => |this, _ctx| {
        this.readiness.says_something = true;
        tell(&this.children.tts_playback, PlayAudio { id, source, repeats });
    };
    StopSound {} => |this, _ctx| tell(&this.children.tts_playback, StopRepeating {});
    HushSpeech {} => |this, _ctx| tell(&this.children.tts_playback, Rest {});
    ResumeSpeech {} => |this, _ctx| tell(&this.children.tts_playback, GoOn {});
    ConfigureSpeech { fields } => |this, _ctx| {
        this.prefer_band(&fields);
        tell(&this.children.stt_stream, Understand { fields });
    };
    CutSpeech {} => |this, _ctx| tell(&this.children.tts_playback, Cut {});
    ReplyArrived { phrases } => |this, ctx| {
        tell(&this.children.stt_stream, Listen { phrases });
        // What the reply says stands behind this message already.
        ctx.notify(ReplyRead);
    };
    HandOff { transfer, transcript } => |this, ctx| {
        this.goal = Some(Goal::HandOff { transfer, transcript });
        this.answer_when_ready(ctx);
        this.pursue(ctx);
    };
    SendKeys { id, keys } => |this, _ctx| {
        this.readiness.says_something = true;
        if this.keys_go_by_info() {
            tell(&this.children.sip_dialog, PressByInfo { keys });
            tell(&this.children.turn_loop, Played { id });
        } else {
            tell(&this.children.tts_playback, PressKeys { id, keys });
        }
    };
    PauseListening {} => |this, _ctx| {
        this.pause_recording(true);
        tell(&this.children.stt_stream, PauseListening {});
    };
    ResumeListening {} => |this, _ctx| {
        this.pause_recording(false);
        tell(&this.children.stt_stream, ResumeListening {});
    };
    EndConversation { headers } => |this, ctx| {
        this.goal = Some(Goal::HangUp { headers });
        this.answer_when_ready(ctx);
        this.pursue(ctx);
    };
    // From ConnectHandoff.
    HistoryFiled { filed } => |this, ctx| this.history_filed(filed, ctx);
    HandoffPrepared { names } => |this, ctx| if this.phase == PhaseName::Preparing {
        this.attribute_names = names;
        this.quiet(ctx);
    };
    HandoffImpossible { why } => |this, ctx| {
        tracing::warn!(call = %this.seed.id, tenant = this.tenant(), %why, "no hand-off");
        match this.phase {
            PhaseName::Preparing => match this.seed.services.tenant.on_transfer_failure {
                OnTransferFailure::Continue => {
                    this.goal = None;
                    this.no_deadline(ctx);
                    this.enter(PhaseName::Talking, ctx);
                    tell(&this.children.turn_loop, HandoffWasImpossible {});
                }
                OnTransferFailure::Disconnect => {
                    let failure = Broken::Failure(Failure::HandoffImpossible);
                    this.fail(Ending::Failed { child: ChildName::ConnectHandoff, failure }, ctx);
                }
            },
            // The conversation ended; without a contact there is nobody to tell.
            PhaseName::Committing => {
                this.seed.registry.deposit_blank(this.seed.id, None);
                let ending = this.ending.take().unwrap_or(Ending::AssistantEnded);
                this.leave(ending, ctx);
            }
            _ => {}
        }
    };
    HandoffCommitted {} => |this, ctx| this.outcome(Ok(()), ctx);
    HandoffRefused {} => |this, ctx| this.outcome(Err(Failure::HandoffRefused), ctx);
    HandoffUncertain {} => |this, ctx| this.outcome(Err(Failure::HandoffUncertain), ctx);
    // From Reception.
    HangUp { ending } => |this, ctx| if this.phase != PhaseName::Committing {
        this.fail(ending, ctx);
    };
}

impl Handler<ReplyRead> for Call {
    type Result = ();

    fn handle(&mut self, _: ReplyRead, ctx: &mut Context<Self>) {
        if !self.readiness.says_something {
            self.readiness.greeting = true;
        }
        self.answer_when_ready(ctx);
    }
}
