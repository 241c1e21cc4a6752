//! What the machine of what the caller hears is told, and what it orders.

use std::time::Duration;

use bellhop_dialogue::ports::{Origin, ServiceFailure, Speech, SpeechRequest};
use bellhop_dialogue::response::DtmfSend;
use bellhop_dialogue::turn_loop::SayId;
use bellhop_media::codec::Codec;
use bellhop_media::playout::{Event, Sound};

/// Names one piece of work that the driver does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Job(pub u64);

/// What happened. It does not print itself: much of it are words.
pub enum Input {
    /// Speak this after what waits.
    Say {
        /// The name that the turn loop gave it; events come back by it.
        id: SayId,
        /// The words, with their voice; the rate of the line is not known yet.
        speech: SpeechRequest,
    },
    /// Play this after what waits.
    Play {
        /// The name that the turn loop gave it; events come back by it.
        id: SayId,
        /// Where it is.
        source: String,
        /// Whether it is repeated until [`Input::StopRepeating`].
        repeats: bool,
    },
    /// Send these after what waits.
    SendDigits {
        /// Their name.
        id: SayId,
        /// The digits, with their lengths and pauses in milliseconds.
        digits: DtmfSend,
    },
    /// Silence whatever is heard and say this; report [`Output::AnnouncementPlayed`].
    Announce {
        /// The words.
        text: String,
    },
    /// What is repeated shall end.
    StopRepeating,
    /// Silence now; keep what waits.
    Pause,
    /// Go on where the pause began.
    Resume,
    /// Silence now; forget what waits.
    Cut,
    /// A text was split into parts.
    Split {
        /// By which job.
        job: Job,
        /// Its parts, in order.
        parts: Vec<String>,
    },
    /// Audio of a part that is still being made.
    Audio {
        /// By which job.
        job: Job,
        /// Linear samples; they follow those before.
        samples: Vec<i16>,
        /// So many a second.
        sample_rate: u32,
    },
    /// A part has become audio, or it could not.
    Made {
        /// By which job.
        job: Job,
        /// All of its audio.
        result: Result<Speech, ServiceFailure>,
    },
    /// A sound is there and coded, or it is not to be had.
    Fetched {
        /// By which job.
        job: Job,
        /// For which codec.
        codec: Codec,
        /// The sound as it came, and as the codec plays it.
        result: Result<(Speech, Sound), ServiceFailure>,
    },
    /// A clip started or finished on the line.
    Clip(Event),
}

/// What to do. It does not print itself: some of it are words.
pub enum Output {
    /// Split this text; tell [`Input::Split`].
    Split {
        /// The job.
        job: Job,
        /// The text.
        text: String,
    },
    /// Have this spoken; tell [`Input::Audio`] and [`Input::Made`].
    Synthesize {
        /// The job.
        job: Job,
        /// The part.
        request: SpeechRequest,
    },
    /// Fetch this sound and code it; tell [`Input::Fetched`].
    Fetch {
        /// The job.
        job: Job,
        /// Where it is.
        source: String,
        /// For this codec.
        codec: Codec,
    },
    /// Code this sound, which was fetched for another codec; tell [`Input::Fetched`].
    Encode {
        /// The job.
        job: Job,
        /// The sound.
        speech: Speech,
        /// For this codec.
        codec: Codec,
    },
    /// Nobody waits for this job any more.
    Abandon(Job),
    /// Something was handed to the line.
    PlaybackReady,
    /// The first audio of something is there.
    AudioReady(SayId),
    /// All audio of a part is there, made by somebody else than the one before.
    MadeBy {
        /// Whose part.
        id: SayId,
        /// Who made it.
        origin: Origin,
    },
    /// A synthesizer has answered, or had its time.
    Synthesized {
        /// How long it took.
        took: Duration,
    },
    /// The line fell silent in the middle of a text.
    Underflow,
    /// A sound is not to be had; it is left out.
    SoundMissing(ServiceFailure),
    /// The first sample of something went out.
    AudioBegan(SayId),
    /// The last sample of something went out.
    AudioEnded(SayId),
    /// This was heard to its end, or there is nothing to be heard of it.
    Played(SayId),
    /// The announcement was heard to its end.
    AnnouncementPlayed,
    /// Something was cut off, or would have been next.
    WasCut {
        /// The name that the turn loop gave it.
        id: SayId,
        /// How much of it was heard, 0 to 1.
        share: f32,
    },
    /// A text cannot be spoken: the synthesizer is lost.
    Failed(ServiceFailure),
}
