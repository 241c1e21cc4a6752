//! What somebody is saying: its frames, what has been made of it so far, and when it is over.
//!
//! Invariant: an interim result is of this utterance; one that says the same as the one before changes nothing, unless it is stable now.

use std::fmt;
use std::time::Duration;

use bellhop_media::voice_activity::Voice;

use super::Output;
use crate::end_of_turn::words::Expected;
use crate::end_of_turn::{Change, EndOfTurn, EndedBy, PAUSED_AFTER, Rules, Words};

/// The longest interim result that is looked at.
const INTERIM_BYTES_MAX: usize = 2000;

/// An utterance.
pub(super) struct Utterance {
    end: EndOfTurn,
    /// So much speech is told of; none once it was.
    sustained: Option<Duration>,
    /// The last interim result.
    interim: Option<String>,
}

/// Where it stands, and nothing that was said.
impl fmt::Debug for Utterance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Utterance({:?}, interim: {})", self.end, self.interim.is_some())
    }
}

/// What a frame leads to.
#[derive(Default)]
pub(super) struct Step {
    pub(super) told: Vec<Output>,
    pub(super) ended: Option<EndedBy>,
}

impl Utterance {
    /// It begins.
    pub(super) fn new(rules: Rules, sustained: Duration) -> Self {
        Self { end: EndOfTurn::new(rules), sustained: Some(sustained), interim: None }
    }

    /// Its next frame.
    pub(super) fn frame(&mut self, voice: Voice) -> Step {
        let mut step = Step::default();
        match self.end.frame(voice) {
            Some(Change::Paused) => step.told.push(Output::Paused),
            Some(Change::Resumed) => step.told.push(Output::Resumed),
            Some(Change::Ended(by)) => step.ended = Some(by),
            None => {}
        }
        let sounded = self.end.sounded();
        step.told.extend(self.sustained.take_if(|enough| *enough <= sounded).map(|_| Output::SpeechSustained));
        step
    }

    /// What has been made of it so far; it may be behind, and may change unless it is stable.
    pub(super) fn interim(&mut self, expected: &Expected, text: String, stable: bool) {
        // What is longer is no phrase, and not worth the time of a call's thread.
        let may_count = !text.trim().is_empty() && text.len() <= INTERIM_BYTES_MAX;
        if may_count && (stable || self.interim.as_ref() != Some(&text)) {
            self.end.interim(expected.judge(&text), stable);
            self.interim = Some(text);
        }
    }

    /// What was made of it so far may be of another.
    pub(super) fn forget_interim(&mut self) {
        if self.interim.take().is_some() {
            self.end.forget_interim();
        }
    }

    /// What has been made of all of it up to the pause that it is in, and how that looks; it looks like nothing if it goes on by now.
    pub(super) fn understood_so_far(&mut self, expected: &Expected, text: Option<&str>) -> Option<Words> {
        let looks = text.filter(|_| self.silence() >= PAUSED_AFTER).map(|text| expected.judge(text));
        match looks {
            Some(looks) => self.end.understood(looks),
            None => self.end.goes_on(),
        }
        looks
    }

    pub(super) fn change_rules(&mut self, rules: Rules) {
        self.end.change_rules(rules);
    }

    /// Since when it has been silent.
    pub(super) fn silence(&self) -> Duration {
        self.end.silence()
    }

    /// Whether there was an interim result of it.
    pub(super) fn has_words(&self) -> bool {
        self.interim.is_some()
    }

    /// The last interim result.
    pub(super) fn into_interim(self) -> Option<String> {
        self.interim
    }
}
