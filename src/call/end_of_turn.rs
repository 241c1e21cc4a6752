//! The end of what a caller says: decided frame by frame, by how long they have been silent, by what the recognizer makes of it
//! so far, and by what is expected.
//!
//! ```text
//!           silent for PAUSED_AFTER                    silent for as long as the words call for
//! Sounding -----------------> Pause (Paused) --------------------------------------------> Ended
//!     ^-------sounds (Resumed)-------'
//! ```
//! A whole expected phrase that stays what it is ends soon; what is the beginning of one, a number half dictated, or a sentence that
//! hangs on its last word gets longer than usual. Where a look found no whole phrase there is one more in the same pause
//! ([`LOOK_AGAIN_AFTER`]): the last sound of a word may be so quiet that it was taken for silence. Invariants: an utterance never
//! ends in a frame that has voice, unless it has gone on for [`UTTERANCE_MAX`]; it never goes on for longer than that, nor after [`Rules::silence_max`] without voice. It knows
//! frames, and no clock. Driver: `speech_in.rs`.

pub mod words;

use std::time::Duration;

use bellhop_dialogue::turn_loop::{Silences, UTTERANCE_MAX};
use bellhop_media::FRAME_MS;
use bellhop_media::voice_activity::Voice;

/// Silence that ends an utterance, unless the assistant configures another.
pub const END_OF_PHRASE: Duration = Duration::from_millis(700);
/// Silence after which it is worth a look at what was said so far: shorter ones are inside of words.
pub const PAUSED_AFTER: Duration = Duration::from_millis(100);
/// Silence after which it is worth another look, if the first found no whole phrase.
pub const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(300);
/// So much of a silence may be heard as fading voice: what a model of voice activity says of an end that lies further back is of
/// something else.
const FADING_MAX: Duration = Duration::from_millis(120);
/// How far interim results may be behind the audio: only with so much more silence are they about all that was said.
const LAG: Duration = Duration::from_millis(200);

/// When an utterance ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Silence after which it ends if nothing better is known.
    pub silence: Duration,
    /// What the words have to say in it; none if they have nothing.
    pub by_words: Option<Silences>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { silence: END_OF_PHRASE, by_words: Some(Silences::default()) }
    }
}

impl Rules {
    /// The longest silence that they wait for.
    pub fn silence_max(&self) -> Duration {
        self.by_words.map_or(self.silence, |words| words.unfinished.max(self.silence))
    }

    fn of(&self, words: Words) -> (Duration, EndedBy) {
        match (words, self.by_words) {
            (Words::Complete, Some(rules)) if rules.complete < self.silence => {
                (rules.complete, EndedBy::ExpectedPhrase)
            }
            (Words::Unfinished, Some(rules)) if rules.unfinished > self.silence => {
                (rules.unfinished, EndedBy::UnfinishedPhrase)
            }
            _ => (self.silence, EndedBy::Silence),
        }
    }
}

/// What the words of an utterance look like so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// They may be all, or not.
    Open,
    /// They are all that is expected.
    Complete,
    /// More has to come.
    Unfinished,
}

/// Why an utterance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// So long a silence ends any.
    Silence,
    /// A whole phrase that was expected, and a short silence.
    ExpectedPhrase,
    /// Nothing followed words that should go on.
    UnfinishedPhrase,
    /// The recognizer says that it has ended.
    Recognizer,
    /// It went on for too long.
    Longest,
}

impl EndedBy {
    /// As a record tells it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::ExpectedPhrase => "expected_phrase",
            Self::UnfinishedPhrase => "unfinished_phrase",
            Self::Recognizer => "recognizer",
            Self::Longest => "longest",
        }
    }
}

/// What a frame changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The caller has been silent for [`PAUSED_AFTER`], or for [`LOOK_AGAIN_AFTER`].
    Paused,
    /// They go on.
    Resumed,
    /// That was all.
    Ended(EndedBy),
}

/// The decision of one utterance.
#[derive(Debug)]
pub struct EndOfTurn {
    rules: Rules,
    words: Words,
    /// Whether the words may be behind the audio.
    lags: bool,
    /// The looks of this pause.
    looks: Looks,
    /// Frames without sound since the last that had some, and since the words are what they are.
    silent: u64,
    unchanged: u64,
    /// Frames of the utterance.
    frames: u64,
    /// Frames that sounded since the last pause.
    sounded: u64,
}

/// What has come of the looks of a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looks {
    /// Nothing so far.
    Awaited,
    /// What the first has found.
    First,
    /// There is another.
    Second,
}

fn frames(duration: Duration) -> u64 {
    (duration.as_millis() as u64).div_ceil(FRAME_MS).max(1)
}

impl EndOfTurn {
    /// An utterance begins.
    pub fn new(rules: Rules) -> Self {
        let looks = Looks::Awaited;
        Self { rules, words: Words::Open, lags: false, looks, silent: 0, unchanged: 0, frames: 0, sounded: 0 }
    }

    /// The next frame, of somebody who speaks.
    pub fn frame(&mut self, voice: Voice) -> Option<Change> {
        self.frames += 1;
        self.unchanged += 1;
        if self.frames > frames(UTTERANCE_MAX) {
            return Some(Change::Ended(EndedBy::Longest));
        }
        let was_paused = self.silent >= frames(PAUSED_AFTER);
        match voice {
            Voice::None | Voice::Began | Voice::Sounding => {
                (self.silent, self.sounded) = (0, self.sounded + 1);
                if was_paused {
                    // What was made of it was not all, and a row of short sounds is no long one.
                    (self.words, self.looks, self.sounded) = (Words::Open, Looks::Awaited, 1);
                    return Some(Change::Resumed);
                }
                return None;
            }
            Voice::Fading => self.silent = (self.silent + 1).min(frames(FADING_MAX)),
            Voice::Silent => self.silent += 1,
        }
        let (silence, by) = self.wanted();
        if voice == Voice::Silent && self.silent >= frames(silence) {
            return Some(Change::Ended(by));
        }
        let begins = !was_paused && self.silent >= frames(PAUSED_AFTER);
        let found_all = self.words == Words::Complete;
        let again = self.looks == Looks::First && !found_all && self.silent >= frames(LOOK_AGAIN_AFTER);
        match () {
            () if begins => self.looks = Looks::Awaited,
            () if again => self.looks = Looks::Second,
            () => return None,
        }
        Some(Change::Paused)
    }

    /// The silence that ends it as things are.
    fn wanted(&self) -> (Duration, EndedBy) {
        match self.rules.of(self.words) {
            // Words that came just now may be other ones soon.
            (_, EndedBy::ExpectedPhrase) if self.unchanged < frames(PAUSED_AFTER) => {
                (self.rules.silence, EndedBy::Silence)
            }
            (silence, EndedBy::ExpectedPhrase) if self.lags => {
                ((silence + LAG).min(self.rules.silence), EndedBy::ExpectedPhrase)
            }
            wanted => wanted,
        }
    }

    /// What the recognizer makes of all that was said up to the last pause: it is that, whatever comes after a silence.
    pub fn understood(&mut self, words: Words) {
        (self.words, self.lags, self.unchanged) = (words, false, frames(PAUSED_AFTER));
        self.looked();
    }

    /// What the recognizer has made of it so far, which may be behind, and may change unless it is stable.
    pub fn interim(&mut self, words: Words, stable: bool) {
        (self.words, self.lags) = (words, true);
        self.unchanged = if stable { frames(PAUSED_AFTER) } else { 0 };
    }

    /// What the recognizer made of it so far was of something else.
    pub fn forget_interim(&mut self) {
        self.words = Words::Open;
    }

    /// What was understood was not all, or it was not understood.
    pub fn goes_on(&mut self) {
        self.words = Words::Open;
        self.looked();
    }

    fn looked(&mut self) {
        if self.looks == Looks::Awaited {
            self.looks = Looks::First;
        }
    }

    /// Since when it has been silent.
    pub fn silence(&self) -> Duration {
        Duration::from_millis(self.silent * FRAME_MS)
    }

    /// How much of it sounded since the last pause.
    pub fn sounded(&self) -> Duration {
        Duration::from_millis(self.sounded * FRAME_MS)
    }

    /// The rules change; what has been heard stays heard.
    pub fn change_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    fn rules(by_words: Option<Silences>) -> Rules {
        Rules { silence: END_OF_PHRASE, by_words }
    }

    /// One step of a plan: a frame, or what the recognizer says.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        Frame(Voice),
        Understood(Words),
        Interim(Words, bool),
    }

    fn step(core: &mut EndOfTurn, step: Step) -> Option<Change> {
        match step {
            Step::Frame(voice) => return core.frame(voice),
            Step::Understood(words) => core.understood(words),
            Step::Interim(words, stable) => core.interim(words, stable),
        }
        None
    }

    /// `s` sounds, `f` fades, `.` is silent, ten frames where a letter is capital (and `_`); `C`, `U`, `O` in angles is what was understood, in
    /// round brackets what it is so far, in braces what it stays.
    fn plan(text: &str) -> Vec<Step> {
        let mut steps = vec![];
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            let mut words = || match letters.next() {
                Some('C') => Words::Complete,
                Some('U') => Words::Unfinished,
                _ => Words::Open,
            };
            match letter {
                's' => steps.push(Step::Frame(Voice::Sounding)),
                'S' => steps.extend([Step::Frame(Voice::Sounding); 10]),
                'f' => steps.push(Step::Frame(Voice::Fading)),
                'F' => steps.extend([Step::Frame(Voice::Fading); 10]),
                '.' => steps.push(Step::Frame(Voice::Silent)),
                '_' => steps.extend([Step::Frame(Voice::Silent); 10]),
                '<' => steps.push(Step::Understood(words())),
                '(' => steps.push(Step::Interim(words(), false)),
                '{' => steps.push(Step::Interim(words(), true)),
                _ => {}
            }
        }
        steps
    }

    /// What comes of a plan: each change with the time of its frame.
    fn played(rules: Rules, text: &str) -> String {
        let (mut core, mut at, mut told) = (EndOfTurn::new(rules), 0, vec![]);
        for next in plan(text) {
            at += if let Step::Frame(_) = next { FRAME_MS } else { 0 };
            match step(&mut core, next) {
                Some(Change::Ended(by)) => {
                    told.push(format!("{at} ended by {} after {} ms", by.label(), core.silence().as_millis()));
                    break;
                }
                Some(change) => told.push(format!("{at} {change:?}")),
                None => {}
            }
        }
        told.join(", ")
    }

    #[test]
    fn the_golden_table_of_decisions() {
        const PLANS: [(&str, &str); 21] = [
            ("nothing is known", "SS_ _ _ _ _ _ _ _"),
            ("a whole phrase is understood in the pause", "SS.....<C>_ _ _ _"),
            ("it is understood after more than a short silence", "SS_ _<C>_ _ _"),
            ("a whole phrase, and the caller goes on", "SS.....<C>...SS_ _ _ _ _"),
            ("the beginning of a phrase", "SS.....<U>_ _ _ _ _ _ _ _"),
            ("the beginning of a phrase, and the rest of it", "SS.....<U>_ _SS.....<C>_ _"),
            ("all but its last sound at the first look", "SS.....<U>_.<C>_ _ _ _"),
            ("not understood at either look", "SS.....<O>_.<O>_ _ _ _"),
            ("it was understood, and is none of those expected", "SS.....<O>_ _ _ _ _"),
            ("a whole phrase as an interim result while they speak", "S(C)S_ _ _ _"),
            ("an interim result that comes late", "SS_ _..(C)_ _ _"),
            ("one that comes late and is stable", "SS_ _..{C}_ _ _"),
            (
                "interim results that change all the while",
                "SS_(C)...(C)...(C)...(C)...(C)...(C)...(C)...(C)...(C)...(C)_ _",
            ),
            ("an interim result that is not all", "S(U)S_ _ _ _ _ _ _ _"),
            ("voice that fades", "SSFF_ _ _ _ _"),
            ("voice that fades after a whole phrase", "SSfffff<C>ff_ _ _"),
            ("a short pause in a word", "SS...SS_ _ _ _ _"),
            ("pauses one after the other", "S......S......S......_ _ _ _"),
            ("a click in the silence", "SS_ _s_ _ _ _ _ _"),
            ("a click after a whole phrase was understood", "SS.....<C>..s_ _ _ _ _"),
            (
                "it sounds without end",
                "SSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSS",
            ),
        ];
        let by_words = rules(Some(Silences::default()));
        let mut table = String::new();
        for (name, text) in PLANS {
            table +=
                &format!("# {name}\nwords    {}\nsilence  {}\n", played(by_words, text), played(rules(None), text));
        }
        let golden = include_str!("../../tests/golden/end_of_turn.txt");
        // A change of when an utterance ends is a change of that file: `WRITE_GOLDEN=path` writes it, and its diff is what is reviewed.
        if let Ok(path) = std::env::var("WRITE_GOLDEN") {
            std::fs::write(path, &table).expect("written");
        }
        let other = table.lines().zip(golden.lines()).find(|(is, was)| is != was);
        assert!(table == golden, "tests/golden/end_of_turn.txt says otherwise: {other:?}");
    }

    #[test]
    fn it_always_ends_never_in_voice_and_never_later_than_it_may() {
        for seed in 0..2000 {
            let mut chance = StdRng::seed_from_u64(seed);
            let ms = |range: std::ops::RangeInclusive<u64>, chance: &mut StdRng| {
                Duration::from_millis(chance.random_range(range))
            };
            let by_words = chance
                .random_bool(0.8)
                .then(|| Silences { complete: ms(100..=2000, &mut chance), unfinished: ms(100..=5000, &mut chance) });
            let rules = Rules { silence: ms(200..=5000, &mut chance), by_words };
            // Frames since the last that sounded, of these the last without any voice, and all.
            let (mut core, mut silent, mut quiet, mut count) = (EndOfTurn::new(rules), 0, 0, 0);
            let ended = loop {
                let sounds = chance.random_bool(0.02 + 0.9 * f64::from(u8::from(count % 97 < 40)));
                let words = [Words::Open, Words::Complete, Words::Unfinished][chance.random_range(0..3)];
                let next = match chance.random_range(0..20) {
                    0 => Step::Understood(words),
                    1 => Step::Interim(words, chance.random_bool(0.3)),
                    2 if silent > 0 => Step::Frame(Voice::Fading),
                    _ if sounds && count < 1400 => Step::Frame(Voice::Sounding),
                    _ => Step::Frame(Voice::Silent),
                };
                if let Step::Frame(voice) = next {
                    count += 1;
                    silent = if voice == Voice::Sounding { 0 } else { silent + 1 };
                    quiet = if voice == Voice::Silent { quiet + 1 } else { 0 };
                }
                match step(&mut core, next) {
                    Some(Change::Ended(by)) => break (by, next),
                    _ => assert!(quiet < frames(rules.silence_max()), "{seed}"),
                }
            };
            match ended {
                (EndedBy::Longest, _) => assert!(count > frames(UTTERANCE_MAX), "{seed}"),
                (_, Step::Frame(Voice::Silent)) => {
                    let least = rules.silence.min(by_words.map_or(rules.silence, |words| words.complete));
                    assert!(silent >= frames(least), "{seed}: {ended:?}");
                }
                _ => panic!("{seed}: {ended:?} {rules:?} {core:?}"),
            }
        }
    }
}
