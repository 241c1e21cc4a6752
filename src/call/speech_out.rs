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
mod exchange;
mod item;
mod queue;
#[cfg(test)]
mod tests;
mod text;

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use bellhop_dialogue::ports::ServiceFailure;
use bellhop_dialogue::turn_loop::SayId;
use bellhop_media::playout::Playout;
use bellhop_media::sound_cache::SoundCache;

pub use self::exchange::{Input, Job, Output};
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
        bellhop_dialogue::outputs::next(&mut self.outputs)
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
