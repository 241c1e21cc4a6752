//! What the actors of a call say to each other. Orders are imperatives, reports are past tense, data are nouns.

use std::sync::Arc;

use actix::Message;
use bellhop_connect::handoff::Impossible;
use bellhop_connect::session_history_key::{FiledAs, SessionHistoryKey};
use bellhop_dialogue::ports::SpeechRequest;
use bellhop_dialogue::response::{ConnectToAgent, DtmfSend};
use bellhop_dialogue::transcript::Transcript;
use bellhop_dialogue::turn_loop::SayId;
use bellhop_dialogue::{Fields, Json};
use bellhop_media::dtmf::Digit;
use bellhop_media::dtmf::rfc4733::Press;
use bellhop_media::dtmf::two_ways::Way;
use bellhop_sip::StatusCode;

use crate::reception::call_registry::CallId;
use bellhop_call::ending::Ending;

macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident $body:tt)+) => {
        $(messages!(@one $(#[$doc])* $name $body);)+
    };
    (@one $(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Message)]
        #[rtype(result = "()")]
        pub struct $name { $($(#[$fdoc])* pub $field: $type),* }
    };
}

messages! {
    // Call -> SipDialog
    /// Send 180.
    Ring {}
    /// Send the 200.
    Answer {}
    /// Answer the offer like this, and not as before.
    Redescribe {
        /// Our side of the stream.
        media: bellhop_sip::sdp::LocalMedia,
        /// The answer.
        sdp: String,
        /// What it agrees on.
        agreed: bellhop_sip::sdp::Agreed,
    }
    /// Make sure that a BYE would reach the far end.
    FindWayBack {}
    /// Put the far end on hold.
    Hold {}
    /// End the hold.
    Resume {}
    /// Press keys by INFO.
    PressByInfo {
        /// Which.
        keys: DtmfSend,
    }
    // SipDialog -> Call
    /// The ACK is here, and audio is agreed on.
    DialogConfirmed {}
    /// Our hold, or its end, was answered; what the far end does not accept changes nothing.
    HoldAnswered {}
    /// The far end tells how the transfer goes.
    TransferProgressed {
        /// The status of the target so far.
        status: StatusCode,
    }
    /// The transfer has its outcome.
    TransferEnded {
        /// A failure is the target's status, or that of the REFER itself.
        outcome: Result<(), StatusCode>,
    }
    /// Whether a BYE would reach the far end.
    WayBack {
        /// It would: a connection is alive, or was opened anew, or needs none.
        known: bool,
    }
    /// BYE or CANCEL came.
    CallerHungUp {}
    /// The far end named a new address for its audio.
    MediaMoved {
        /// The session description of a re-INVITE.
        agreed: bellhop_sip::sdp::Agreed,
    }

    // JitterBuffer, SipDialog -> Call
    /// A key was pressed; perhaps it comes by the other way too.
    DigitPressed {
        /// Which, and for how long.
        press: Press,
        /// How it came.
        way: Way,
    }
    /// The caller's audio comes with much jitter.
    NetworkPoor {}
    /// Nothing was heard of the far end for the media timeout, though it should send.
    MediaSilent {}

    // Call -> JitterBuffer
    /// Other audio will be agreed on; the leg still rests.
    MediaPlanned {
        /// Which.
        agreed: bellhop_sip::sdp::Agreed,
    }

    // Call -> SttStream
    /// The line has another rate; nothing was heard yet.
    LineChanged {
        /// Samples per second.
        line_rate: u32,
    }
    /// What the caller may say from here on.
    Listen {
        /// `None` for anything.
        phrases: Option<Arc<[String]>>,
    }
    /// Take no audio of the caller: neither the recognizer nor a recording hears it.
    PauseListening {}
    /// Take it again.
    ResumeListening {}
    // SttStream -> Call
    /// The recognizer is connected.
    RecognizerReady {}
    /// The caller began to speak.
    SpeechStarted {}
    /// The caller is silent again.
    SpeechEnded {}
    /// The recognizer has first words.
    InterimHeard {}
    /// An utterance was recognised.
    UtteranceHeard {
        /// The words; never logged.
        heard: Utterance,
    }
    /// An utterance was not understood.
    UtteranceNotUnderstood {}

    /// How the caller is understood from here on.
    Understand {
        /// The root fields of `speech_to_text`.
        fields: Fields,
    }

    // Call -> TtsPlayback
    /// Speak this after what waits.
    Speak {
        /// Its name.
        id: SayId,
        /// The words, with their voice.
        speech: SpeechRequest,
    }
    /// Play this after what waits.
    PlayAudio {
        /// Its name.
        id: SayId,
        /// Where it is.
        source: String,
        /// Whether it is repeated until [`StopRepeating`].
        repeats: bool,
    }
    /// What is repeated shall end.
    StopRepeating {}
    /// Silence now; keep what waits.
    Rest {}
    /// Go on where the rest began.
    GoOn {}
    /// Press these after what waits.
    PressKeys {
        /// Their name.
        id: SayId,
        /// Which.
        keys: DtmfSend,
    }
    /// Silence now; forget what waits.
    Cut {}
    // TtsPlayback -> Call
    /// The first audio is there to be played.
    PlaybackReady {}
    /// A text was spoken to its last sample.
    PlaybackFinished {
        /// Which.
        id: SayId,
    }

    /// A clip was cut off, or would have been next.
    PlaybackCut {
        /// Which.
        id: SayId,
        /// How much of it was heard, 0 to 1.
        share: f32,
    }

    // Call -> TurnLoop
    /// Begin the conversation.
    Begin {}
    /// See [`UtteranceHeard`].
    Heard {
        /// The words.
        heard: Utterance,
    }
    /// See [`UtteranceNotUnderstood`].
    NotUnderstood {}
    /// See [`SpeechStarted`].
    Interrupted {}
    /// See [`SpeechEnded`].
    FellSilent {}
    /// See [`InterimHeard`].
    Hypothesis {}
    /// See [`PlaybackCut`].
    WasCut {
        /// Which.
        id: SayId,
        /// How much of it was heard, 0 to 1.
        share: f32,
    }
    /// See [`DigitPressed`].
    Pressed {
        /// Which.
        digit: Digit,
    }
    /// See [`PlaybackFinished`].
    Played {
        /// Which.
        id: SayId,
    }
    /// See [`NetworkPoor`].
    NetworkWarned {}
    /// No hand-off is possible; the call goes on.
    HandoffWasImpossible {}
    // TurnLoop -> Call
    /// Speak.
    Say {
        /// Its name.
        id: SayId,
        /// The words, with their voice; the rate of the line is not known here.
        speech: SpeechRequest,
    }
    /// Play a sound.
    PlaySound {
        /// Its name.
        id: SayId,
        /// Where it is.
        source: String,
        /// Whether it is repeated until [`StopSound`].
        repeats: bool,
    }
    /// What is repeated shall end.
    StopSound {}
    /// Silence the caller's ear.
    CutSpeech {}
    /// Silence it for a moment.
    HushSpeech {}
    /// The moment is over.
    ResumeSpeech {}
    /// How the caller is understood from here on.
    ConfigureSpeech {
        /// The root fields of `speech_to_text`.
        fields: Fields,
    }
    /// The assistant has replied: `silent` if the reply has nothing to say.
    ReplyArrived {
        /// What the caller may say from here on.
        phrases: Option<Arc<[String]>>,
    }
    /// Hand the caller over.
    HandOff {
        /// How.
        transfer: ConnectToAgent,
        /// What was said.
        transcript: Transcript,
    }
    /// Press keys towards the caller.
    SendKeys {
        /// Their name.
        id: SayId,
        /// Which.
        keys: DtmfSend,
    }
    /// Hang up.
    EndConversation {
        /// Headers of the BYE.
        headers: Vec<(String, String)>,
    }

    // Call -> ConnectHandoff
    /// Store the history and have a key ready.
    PrepareHandoff {
        /// How.
        transfer: ConnectToAgent,
        /// The history.
        history: bellhop_connect::ports::History,
    }
    /// Store the history for a transfer by SIP.
    FileHistory {
        /// The history.
        history: bellhop_connect::ports::History,
    }
    /// Spend the key.
    CommitHandoff {}
    /// Tell the flow to disconnect.
    MarkHangup {}
    // ConnectHandoff -> Call
    /// The history is stored under this key, or could not be.
    HistoryFiled {
        /// The key, and the name it opens; both print themselves redacted.
        filed: Option<(SessionHistoryKey, FiledAs)>,
    }
    /// Ready to commit.
    HandoffPrepared {
        /// Every name that the one request will carry.
        names: Vec<String>,
    }
    /// Not possible; nothing was written.
    HandoffImpossible {
        /// Why.
        why: Impossible,
    }
    /// The attribute is there.
    HandoffCommitted {}
    /// The attribute is not there.
    HandoffRefused {}
    /// The attribute may have been there and was taken back.
    HandoffUncertain {}

    // Reception -> Call
    /// Leave.
    HangUp {
        /// Why.
        ending: Ending,
    }
    // Call -> Reception
    /// The call is over: open its will.
    CallEnded {
        /// Which.
        id: CallId,
        /// Why.
        ending: Ending,
        /// Headers of the BYE: names and values.
        headers: Vec<(String, String)>,
    }

    // MediaShard -> its actors
    /// A batch of caller audio.
    CallerAudio {
        /// Some frames.
        samples: Samples,
        /// Samples in one of them: 160 at 8 kHz, 320 at 16 kHz.
        frame_samples: usize,
    }
    /// A clip started or finished.
    ClipEvent {
        /// Which.
        event: bellhop_media::playout::Event,
    }
    /// The leg's slice panicked.
    LegFailed {
        /// The panic's message.
        message: String,
    }
    /// Nothing was heard of the far end for too long.
    LegSilent {}
    /// A key was pressed.
    LegDigit {
        /// The press.
        press: Press,
    }
}

/// What a recognizer made of an utterance; it prints itself redacted.
#[derive(Clone, PartialEq)]
pub struct Utterance {
    /// The words.
    pub text: String,
    /// 0 to 1.
    pub confidence: f32,
    /// The recognizer's own result.
    pub result: Option<Json>,
}

impl std::fmt::Debug for Utterance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Utterance({} bytes)", self.text.len())
    }
}

/// Audio samples: too many to print.
pub struct Samples(pub Vec<i16>);

impl std::fmt::Debug for Samples {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Samples({})", self.0.len())
    }
}
