//! What can break in a call: who, of what, and how it ended.
//!
//! Invariant: the lists are closed; each failure is classified once, in `ending.rs`. Driver: `actors/supervision/`.

use std::fmt;

/// The children of a call, and the call itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum ChildName {
    Call,
    SipDialog,
    JitterBuffer,
    SttStream,
    TtsPlayback,
    TurnLoop,
    ConnectHandoff,
}

impl ChildName {
    /// All names; the first is the supervisor.
    pub const ALL: [Self; 7] = [
        Self::Call,
        Self::SipDialog,
        Self::JitterBuffer,
        Self::SttStream,
        Self::TtsPlayback,
        Self::TurnLoop,
        Self::ConnectHandoff,
    ];

    /// All but the supervisor, in order of start.
    pub(crate) const CHILDREN: [Self; 6] = {
        let [_, sip_dialog, jitter_buffer, stt_stream, tts_playback, turn_loop, connect_handoff] = Self::ALL;
        [sip_dialog, jitter_buffer, stt_stream, tts_playback, turn_loop, connect_handoff]
    };

    /// Whether it is stopped before a key is spent: all are but the two that spend it and send the BYE.
    pub(crate) fn quiesces(self) -> bool {
        match self {
            Self::JitterBuffer | Self::SttStream | Self::TtsPlayback | Self::TurnLoop => true,
            Self::Call | Self::SipDialog | Self::ConnectHandoff => false,
        }
    }

    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::SipDialog => "sip_dialog",
            Self::JitterBuffer => "jitter_buffer",
            Self::SttStream => "stt_stream",
            Self::TtsPlayback => "tts_playback",
            Self::TurnLoop => "turn_loop",
            Self::ConnectHandoff => "connect_handoff",
        }
    }
}

impl fmt::Display for ChildName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// Why a child could not go on. Closed: each is classified once, in `call/ending.rs`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The recognizer is gone.
    #[error("the recognizer was lost")]
    RecognizerLost,
    /// The synthesizer is gone.
    #[error("the synthesizer was lost")]
    SynthesizerLost,
    /// The assistant is gone.
    #[error("the assistant was lost")]
    AssistantLost,
    /// No ACK within 64·T1.
    #[error("the answer was never acknowledged")]
    NeverAcked,
    /// The far end's session description is unusable.
    #[error("no audio could be agreed on")]
    NoMedia,
    /// The session timer ran out, or the far end does not know the dialog any more.
    #[error("the session has expired")]
    SessionExpired,
    /// The caller could not be transferred.
    #[error("the transfer failed")]
    TransferFailed,
    /// The far end sends no audio any more.
    #[error("no audio from the far end")]
    MediaTimeout,
    /// No BYE would reach the far end: its connection is gone, and no other can be opened.
    #[error("there is no way back to the far end")]
    NoWayBack,
    /// A hand-off known to be impossible before anything was written.
    #[error("the hand-off was impossible")]
    HandoffImpossible,
    /// Amazon Connect refused the attributes.
    #[error("the hand-off was refused")]
    HandoffRefused,
    /// Nobody knows whether Amazon Connect took the attributes; they were taken back.
    #[error("the outcome of the hand-off is uncertain")]
    HandoffUncertain,
    /// A panic on the audio path.
    #[error("the audio path failed")]
    AudioPath,
    /// A fault to inject.
    #[error("a fault was injected")]
    Injected,
}

/// How an actor ended. It shows itself without the message of a panic, which may hold what a caller said.
#[derive(Clone, PartialEq, Eq)]
pub enum Exit {
    /// As ordered.
    Finished,
    /// It could not go on.
    Failed(Failure),
    /// It panicked.
    Panicked {
        /// It may hold what a caller said.
        message: String,
    },
    /// It did not stop or answer in time and was dropped.
    Overdue,
}

impl std::fmt::Debug for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Finished => f.write_str("Finished"),
            Self::Failed(failure) => write!(f, "Failed({failure:?})"),
            Self::Panicked { .. } => f.write_str("Panicked"),
            Self::Overdue => f.write_str("Overdue"),
        }
    }
}

/// A kind of death, for fault injection and for the failure matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// It reports that it cannot go on.
    Error,
    /// It panics in a handler.
    Panic,
    /// It blocks its whole thread for good: only the watchdog can tell.
    BlockThread,
    /// Ends the thread that carries the call, its media shard and every other call on it.
    KillShard,
    /// The endpoint panics, which every call needs: its transactions and the teardowns under way are gone.
    KillEndpoint,
    /// The same for Reception.
    KillReception,
    /// Reception blocks the main thread for good: only the watchdog can tell.
    BlockReception,
}

impl Fault {
    /// The kinds that any child can die of.
    pub const ALL: [Self; 7] = [
        Self::Error,
        Self::Panic,
        Self::BlockThread,
        Self::KillShard,
        Self::KillEndpoint,
        Self::KillReception,
        Self::BlockReception,
    ];

    /// The word in configuration.
    pub fn label(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Panic => "panic",
            Self::BlockThread => "block_thread",
            Self::KillShard => "kill_shard",
            Self::KillEndpoint => "kill_endpoint",
            Self::KillReception => "kill_reception",
            Self::BlockReception => "block_reception",
        }
    }
}
