//! What the machine of what the caller says is told, and what it orders.

use std::sync::Arc;
use std::time::Duration;

use bellhop_dialogue::Fields;
use bellhop_dialogue::ports::{Json, RecognizerConfig, RecognizerEvent, ServiceFailure};

use crate::end_of_turn::EndedBy;
use crate::end_of_turn::words::Expected;

/// Names one connection to a recognizer of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Connection(pub u32);

/// What happened. It does not print itself: much of it are words.
pub enum Input {
    /// Some frames of the line.
    Audio {
        /// Linear samples.
        samples: Vec<i16>,
        /// Samples in a frame of 20 ms: 160 at 8 kHz, 320 at 16 kHz.
        frame_samples: usize,
        /// How long it has waited in the jitter buffer.
        delay: Duration,
    },
    /// The line has another rate; nothing was said yet.
    LineChanged {
        /// Samples per second.
        line_rate: u32,
    },
    /// What the caller may say from here on.
    Expect {
        /// Phrases, or so many digits.
        expected: Expected,
    },
    /// How the caller is understood from here on.
    ConfigureRecognizer {
        /// The root fields of `speech_to_text`.
        fields: Fields,
    },
    /// Whether the caller is listened to.
    Listening(bool),
    /// The recognizer is connected.
    Connected {
        /// By which connection.
        connection: Connection,
        /// Samples per second that it wants: 8000 or 16000.
        sample_rate: u32,
    },
    /// It cannot be connected.
    Refused {
        /// By which connection.
        connection: Connection,
        /// What the service failed of.
        failure: ServiceFailure,
    },
    /// It has heard something.
    Reported {
        /// By which connection.
        connection: Connection,
        /// A result, or what became of the service.
        event: RecognizerEvent,
    },
}

/// What to do. It does not print itself: some of it are words.
pub enum Output {
    /// Connect the recognizer, in place of whatever connection there is; tell [`Input::Connected`] or [`Input::Refused`].
    Connect {
        /// The connection.
        connection: Connection,
        /// How it shall understand.
        config: RecognizerConfig,
    },
    /// The recognizer is connected and configured.
    RecognizerReady,
    /// Tell the recognizer what the caller may say.
    ExpectPhrases(Option<Arc<[String]>>),
    /// Tell the recognizer how to understand.
    ConfigureRecognizer(RecognizerConfig),
    /// So many samples of the line were taken.
    Taken {
        /// Samples of one channel.
        samples: usize,
    },
    /// Give the recognizer a frame of so many samples: [`SpeechIn::frame`](super::SpeechIn::frame). It is there until the next look.
    Hear {
        /// Its length.
        samples: usize,
    },
    /// The caller began to speak: in the audio that follows, or at most 200 ms before it.
    SpeechStarted,
    /// The caller has been silent for a moment: a recognizer that can may look at what they have said.
    Paused,
    /// They go on.
    Resumed,
    /// What they have said may be all.
    MayBeAll {
        /// As the recognizer wrote it.
        text: String,
        /// 0 to 1.
        confidence: f32,
    },
    /// They have spoken for so long that it is meant for us.
    SpeechSustained,
    /// The caller has stopped.
    SpeechEnded {
        /// Since so long, as the caller sees it: what waited in the jitter buffer is counted.
        silence: Duration,
        /// How loud they spoke, in dB below full scale.
        level: f32,
        /// What told.
        by: EndedBy,
    },
    /// The recognizer has its result, or none, so long after the caller stopped.
    Recognised {
        /// From the end of the utterance to its result.
        took: Duration,
    },
    /// First words, which may change.
    InterimResult,
    /// The words of an utterance.
    FinalResult {
        /// The words.
        text: String,
        /// 0 to 1.
        confidence: f32,
        /// The recognizer's own result.
        result: Option<Json>,
    },
    /// An utterance was not understood.
    NotUnderstood,
    /// Another service listens from here on.
    ServedBy {
        /// Its kind.
        service: &'static str,
        /// Whether it stands in for one that is preferred.
        stands_in: bool,
    },
    /// The service broke off and is connected to again.
    Reconnecting {
        /// What the service failed of.
        why: ServiceFailure,
    },
    /// The recognizer is lost.
    Failed(ServiceFailure),
}
