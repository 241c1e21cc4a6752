//! What the caller hears: texts, sounds and digits are turned into clips on the line, in order and ahead of need.
//!
//! ```text
//! text   Splitting -> Between parts <-> Making a part ─┐
//! sound  Source -> Fetching -> Sound | Nothing ────────┼-> handed to the line -> finished | dropped
//! digits ──────────────────────────────────────────────┘
//! anything -a text cannot be made-> Lost
//! ```
//! A text is split into parts before any synthesizer sees it, and is heard while the rest of it is still being made: part by
//! part, no more than [`AHEAD_MAX`] ahead of what is heard and no more than [`AT_ONCE`] at once; of a long text that nothing
//! is heard of yet the first alone, so that nobody's second stands before another's first. Sounds are fetched no further
//! ahead. A part that a synthesizer has no time for is asked for again while the caller hears what is there.
//!
//! Invariants: clips are queued in the order of their texts; each utterance is reported as played once or is dropped once;
//! after a cut nothing that was asked for before it is queued, and nothing is made for it; whatever is waited for has a
//! deadline. It stands beside the call's lifecycle and not in `src/media/`, which knows no text. Driver:
//! `actors/call/tts_playback.rs`.

mod ahead;
mod item;
mod queue;
#[cfg(test)]
mod tests;
mod text;

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use bellhop_dialogue::ports::{Origin, ServiceFailure, Speech, SpeechRequest};
use bellhop_dialogue::response::DtmfSend;
use bellhop_dialogue::turn_loop::SayId;
use bellhop_media::codec::Codec;
use bellhop_media::playout::{Event, Playout, Sound};
use bellhop_media::sound_cache::SoundCache;

use self::queue::Queue;

/// The longest a text may take to be split, a part of it to become audio, or a sound to be fetched.
pub const WORK_MAX: Duration = Duration::from_secs(8);
/// With so much audio waiting to be heard, no more is made.
pub const AHEAD_MAX: Duration = Duration::from_secs(20);
/// Parts of texts that are made at once, and sounds that are fetched at once.
pub const AT_ONCE: usize = 2;
/// The longest that the first words wait for a synthesizer that has too much to do.
pub const OVERLOADED_MAX: Duration = Duration::from_secs(6);
/// A longer text, in bytes, is split on a thread that paces no audio.
pub const SPLIT_HERE_MAX: usize = 4096;
/// How soon a synthesizer that had no time is asked again.
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// How soon it is looked at the earliest whether more has to be made.
const LOOKED_AFTER: Duration = Duration::from_millis(500);
/// A part of so many characters is heard for longer than the next one takes.
const LONG_CHARACTERS: usize = 100;

/// The name of the announcement.
const ANNOUNCEMENT: SayId = SayId(u64::MAX - 1);

/// Names one piece of work that the driver does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Job(pub u64);

/// What happened. It does not print itself: much of it are words.
pub enum Input {
    /// Speak this after what waits.
    Say {
        /// Its name.
        id: SayId,
        /// The words, with their voice; the rate of the line is not known yet.
        speech: SpeechRequest,
    },
    /// Play this after what waits.
    Play {
        /// Its name.
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
        /// Which.
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
        /// Which.
        id: SayId,
        /// How much of it was heard, 0 to 1.
        share: f32,
    },
    /// A text cannot be spoken: the synthesizer is lost.
    Failed(ServiceFailure),
}

/// What speech goes out by.
#[derive(Debug)]
pub struct Line<'a> {
    /// The sender of the leg.
    pub playout: &'a mut Playout,
    /// Clips that are coded already.
    pub cache: &'a mut SoundCache,
}

/// The machine of one leg.
pub struct SpeechOut {
    state: State,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
enum State {
    /// It takes orders.
    Serving(Queue),
    /// A text could not be made: nothing is queued any more.
    Lost,
}

/// Why to look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// So much was heard that more may be made.
    AskAhead,
    /// A synthesizer that had no time may have some.
    AskAgain,
    /// A job has had its time.
    Overdue(Job),
}

/// A job that is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Work {
    job: Job,
    began: Instant,
}

impl Work {
    fn begun(job: Job, began: Instant) -> Self {
        Self { job, began }
    }

    fn until(self) -> Instant {
        self.began + WORK_MAX
    }
}

/// What a step of the machine works with.
struct Turn<'a, 'l> {
    now: Instant,
    line: &'a mut Line<'l>,
    outputs: &'a mut VecDeque<Output>,
}

impl Turn<'_, '_> {
    fn order(&mut self, output: Output) {
        self.outputs.push_back(output);
    }
}

/// Where it stands, and nothing that is said.
impl fmt::Debug for SpeechOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            State::Serving(queue) => write!(f, "SpeechOut(Serving, {} wait)", queue.waiting.len()),
            State::Lost => f.write_str("SpeechOut(Lost)"),
        }
    }
}

impl Default for SpeechOut {
    fn default() -> Self {
        Self { state: State::Serving(Queue::default()), outputs: VecDeque::new() }
    }
}

impl SpeechOut {
    /// One thing happened.
    pub fn handle(&mut self, now: Instant, line: &mut Line<'_>, input: Input) {
        self.step(now, line, |queue, turn| queue.handle(turn, input));
    }

    /// The deadline passed; early calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant, line: &mut Line<'_>) {
        while let State::Serving(queue) = &self.state
            && let Some((_, reason)) = queue.deadline().filter(|(at, _)| *at <= now)
        {
            self.step(now, line, |queue, turn| queue.expired(turn, reason));
        }
    }

    /// What to do next; drain until `None`.
    pub fn poll(&mut self) -> Option<Output> {
        let next = self.outputs.pop_front();
        if next.is_none() {
            self.outputs = VecDeque::new(); // bursts are few, and calls are long: they hold no room for the next
        }
        next
    }

    /// When to call [`SpeechOut::handle_timeout`].
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Serving(queue) => queue.deadline().map(|(at, _)| at),
            State::Lost => None,
        }
    }

    fn step(
        &mut self,
        now: Instant,
        line: &mut Line<'_>,
        step: impl FnOnce(&mut Queue, &mut Turn<'_, '_>) -> Result<(), ServiceFailure>,
    ) {
        let State::Serving(queue) = &mut self.state else { return };
        if let Err(failure) = step(queue, &mut Turn { now, line, outputs: &mut self.outputs }) {
            self.state = State::Lost;
            self.outputs.push_back(Output::Failed(failure));
        }
    }
}
