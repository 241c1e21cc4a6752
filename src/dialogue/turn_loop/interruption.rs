//! What was heard of a reply, so that the next turn can say so if the caller interrupted it.
//!
//! Invariant: only what the playback told counts as heard of a clip that was cut; of the clips before it all does, of those
//! behind it nothing.

use super::SayId;
use crate::ports::{Interrupted, TurnInput};
use crate::transcript::begun;

/// Most bytes of a reply that are remembered as heard; what was said first is forgotten first.
const HEARD_BYTES_MAX: usize = 64 * 1024;

/// The reply that is being heard.
#[derive(Default)]
pub(super) struct Heard {
    /// Clips that began to be heard, with their words.
    clips: Vec<(SayId, String)>,
    bytes: usize,
    cut: Cut,
    /// The last turn that was asked, and the last whose context came back.
    asked: Option<(u32, TurnInput)>,
    known: Option<u32>,
}

/// How the reply ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// It was heard to its end, as far as is known.
    #[default]
    Not,
    /// It was cut; how much of it was heard is not known yet.
    Awaited,
    /// It was cut, and its clips hold what was heard.
    Told,
}

impl Heard {
    /// A clip begins to be heard.
    pub(super) fn begins(&mut self, id: SayId, words: &str) {
        self.bytes += words.len();
        self.clips.push((id, words.to_owned()));
        while self.bytes > HEARD_BYTES_MAX && self.clips.len() > 1 {
            self.bytes -= self.clips.remove(0).1.len();
        }
    }

    /// A reply begins, or another part of the one before that is still being heard.
    pub(super) fn reply_begins(&mut self) {
        (self.clips, self.bytes, self.cut) = (vec![], 0, Cut::Not);
    }

    /// The caller interrupts.
    pub(super) fn cut(&mut self) {
        self.cut = Cut::Awaited;
    }

    /// The reply came too late to be spoken.
    pub(super) fn nothing(&mut self) {
        (self.clips, self.bytes, self.cut) = (vec![], 0, Cut::Told);
    }

    /// So much of the clip that was cut was heard, 0 to 1.
    pub(super) fn was_cut(&mut self, id: SayId, share: f32) {
        if self.cut != Cut::Awaited {
            return;
        }
        self.clips.retain_mut(|(clip, words)| {
            if *clip == id {
                *words = begun(words, share);
            }
            *clip <= id
        });
        self.cut = Cut::Told;
    }

    pub(super) fn awaits_cut(&self) -> bool {
        self.cut == Cut::Awaited
    }

    /// The context of this turn came back.
    pub(super) fn context_of(&mut self, turn: u32) {
        self.known = Some(turn);
    }

    /// What the next turn says of the reply, before its words are settled.
    pub(super) fn interrupted(&self) -> Option<Interrupted> {
        (self.cut != Cut::Not).then(|| Interrupted {
            heard: String::new(),
            unknown_turn: self.asked.as_ref().filter(|(n, _)| self.known != Some(*n)).map(|(_, input)| input.clone()),
        })
    }

    /// The words that were heard, once the next turn goes out. If nobody told, what began counts.
    pub(super) fn settle(&mut self) -> Option<String> {
        let heard = (self.cut != Cut::Not).then(|| {
            let words: Vec<&str> = self.clips.iter().map(|(_, words)| words.trim()).collect();
            words.join(" ").trim().to_owned()
        });
        self.reply_begins();
        heard
    }

    /// A turn is asked.
    pub(super) fn turn_asked(&mut self, number: u32, input: &TurnInput) {
        self.asked = Some((number, input.clone()));
    }
}
