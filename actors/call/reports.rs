//! What the children report to the call, and what each report means to it.
//!
//! Invariant: a report is turned into one call of the supervisor, or handed on to one other child; no report decides.

use actix::{AsyncContext, Context, Handler, Message};
use bellhop_call::failure::Failure;
use bellhop_call::lifecycle::{Goal, Input};
use bellhop_media::dtmf::rfc4733::Press;

use super::LAST_WORDS;
use super::children::tell;
use super::messages::{
    CallerHungUp, ConfigureSpeech, Cut, CutSpeech, DialogConfirmed, DigitPressed, EndConversation, FellSilent, GoOn,
    HandOff, HandoffCommitted, HandoffImpossible, HandoffPrepared, HandoffRefused, HandoffUncertain, HangUp, Heard,
    HistoryFiled, HoldAnswered, HushSpeech, Hypothesis, InterimHeard, Interrupted, Listen, MediaMoved, MediaSilent,
    NetworkPoor, NetworkWarned, NotUnderstood, PauseListening, PlayAudio, PlaySound, PlaybackCut, PlaybackFinished,
    PlaybackReady, Played, PressByInfo, PressKeys, Pressed, RecognizerReady, ReplyArrived, Rest, ResumeListening,
    ResumeSpeech, Say, SendKeys, Speak, SpeechEnded, SpeechStarted, StopRepeating, StopSound, TransferEnded,
    TransferProgressed, Understand, UtteranceHeard, UtteranceNotUnderstood, WasCut, WayBack,
};
use super::supervisor::Call;
use crate::drive::put;

/// The assistant's first reply has been handed on completely.
#[derive(Message)]
#[rtype(result = "()")]
struct ReplyRead;

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
    DialogConfirmed {} => |this, ctx| put(this, ctx, Input::DialogConfirmed);
    HoldAnswered {} => |this, ctx| put(this, ctx, Input::HoldAnswered);
    TransferProgressed { status } => |this, _ctx| {
        tracing::info!(call = %this.seed.id, tenant = this.tenant(), status = status.0, "the transfer goes on");
    };
    TransferEnded { outcome } => |this, ctx| put(this, ctx, Input::TransferEnded(outcome));
    WayBack { known } => |this, ctx| put(this, ctx, Input::WayBack { known });
    CallerHungUp {} => |this, ctx| put(this, ctx, Input::CallerHungUp);
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
    MediaSilent {} => |this, ctx| put(this, ctx, Input::MediaSilent);
    // From SttStream.
    RecognizerReady {} => |this, ctx| put(this, ctx, Input::RecognizerReady);
    SpeechStarted {} => |this, _ctx| tell(&this.children.turn_loop, Interrupted {});
    SpeechEnded {} => |this, _ctx| tell(&this.children.turn_loop, FellSilent {});
    InterimHeard {} => |this, _ctx| tell(&this.children.turn_loop, Hypothesis {});
    UtteranceHeard { heard } => |this, _ctx| tell(&this.children.turn_loop, Heard { heard });
    UtteranceNotUnderstood {} => |this, _ctx| tell(&this.children.turn_loop, NotUnderstood {});
    // From TtsPlayback.
    PlaybackReady {} => |this, ctx| put(this, ctx, Input::PlaybackReady);
    PlaybackFinished { id } => |this, ctx| if id == LAST_WORDS {
        put(this, ctx, Input::LastWordsSaid);
    } else {
        tell(&this.children.turn_loop, Played { id });
    };
    PlaybackCut { id, share } => |this, _ctx| tell(&this.children.turn_loop, WasCut { id, share });
    // From TurnLoop.
    Say { id, speech } => |this, ctx| {
        put(this, ctx, Input::SaysSomething);
        tell(&this.children.tts_playback, Speak { id, speech });
    };
    PlaySound { id, source, repeats } => |this, ctx| {
        put(this, ctx, Input::SaysSomething);
        tell(&this.children.tts_playback, PlayAudio { id, source, repeats });
    };
    StopSound {} => |this, _ctx| tell(&this.children.tts_playback, StopRepeating {});
    HushSpeech {} => |this, _ctx| tell(&this.children.tts_playback, Rest {});
    ResumeSpeech {} => |this, _ctx| tell(&this.children.tts_playback, GoOn {});
    ConfigureSpeech { fields } => |this, ctx| {
        this.prefer_band(&fields, ctx);
        tell(&this.children.stt_stream, Understand { fields });
    };
    CutSpeech {} => |this, _ctx| tell(&this.children.tts_playback, Cut {});
    ReplyArrived { phrases } => |this, ctx| {
        tell(&this.children.stt_stream, Listen { phrases });
        // What the reply says stands behind this message already.
        ctx.notify(ReplyRead);
    };
    HandOff { transfer, transcript } => |this, ctx| put(this, ctx, Input::ConversationEnded(Goal::HandOff { transfer, transcript }));
    SendKeys { id, keys } => |this, ctx| {
        put(this, ctx, Input::SaysSomething);
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
    EndConversation { headers } => |this, ctx| put(this, ctx, Input::ConversationEnded(Goal::HangUp { headers }));
    // From ConnectHandoff.
    HistoryFiled { filed } => |this, ctx| put(this, ctx, Input::HistoryFiled(filed));
    HandoffPrepared { names } => |this, ctx| put(this, ctx, Input::HandoffPrepared { names });
    HandoffImpossible { why } => |this, ctx| {
        tracing::warn!(call = %this.seed.id, tenant = this.tenant(), %why, "no hand-off");
        put(this, ctx, Input::HandoffImpossible);
    };
    HandoffCommitted {} => |this, ctx| put(this, ctx, Input::HandoffEnded(Ok(())));
    HandoffRefused {} => |this, ctx| put(this, ctx, Input::HandoffEnded(Err(Failure::HandoffRefused)));
    HandoffUncertain {} => |this, ctx| put(this, ctx, Input::HandoffEnded(Err(Failure::HandoffUncertain)));
    // From Reception.
    HangUp { ending } => |this, ctx| put(this, ctx, Input::HangUp(ending));
}

impl Handler<ReplyRead> for Call {
    type Result = ();

    fn handle(&mut self, _: ReplyRead, ctx: &mut Context<Self>) {
        put(self, ctx, Input::ReplyRead);
    }
}

impl Call {
    fn pause_recording(&self, paused: bool) {
        let Some(cores) = &self.cores else { return };
        if let Some(recorder) = cores.recorder.borrow_mut().as_mut() {
            recorder.pause(paused);
        }
    }

    /// Keys go by INFO where telephone-event was not agreed on and the far end says that it takes INFO.
    fn keys_go_by_info(&self) -> bool {
        let allow = self.seed.invite.headers.list("Allow");
        let events = self.cores.as_ref().is_some_and(|cores| cores.playout.borrow().format().telephone_event.is_some());
        !events && allow.iter().any(|method| method.eq_ignore_ascii_case("INFO"))
    }
}
