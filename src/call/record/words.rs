//! The words of a call: lines of the transcript as they are told, revised and settled.
//!
//! Invariant: whoever looks on sees a line that is open masked, until it is settled.

use std::sync::Arc;
use std::time::Instant;

use bellhop_dialogue::redaction::cautious;
use bellhop_dialogue::transcript::Speaker;

use super::{CallRecord, Event, What};

/// Most lines in a row that wait for what comes after them.
const OPEN_MAX: usize = 24;

impl CallRecord {
    /// A line of the transcript; `open` if it may still be revised.
    pub fn said(&mut self, now: Instant, speaker: Speaker, text: &str, open: bool) {
        let callers = matches!(speaker, Speaker::Caller | Speaker::CallerDigits);
        if callers && (!open || self.open.len() == OPEN_MAX) {
            self.settle();
        }
        match speaker {
            Speaker::Caller | Speaker::CallerDigits => self.lines.push(text.to_owned()),
            Speaker::Assistant => {
                if let Some(turn) = self.turns.back_mut() {
                    turn.output.push(text.to_owned());
                }
            }
            Speaker::Note => {}
        }
        let shown = if open { cautious(text) } else { text.to_owned() };
        if open {
            self.open_from.get_or_insert(self.turns_dropped + self.turns.len());
            self.open.push(text.to_owned());
        }
        self.note(now, What::Said { speaker, text: shown });
    }

    /// A line is other than it was told.
    pub fn revised(&mut self, was: &str, is: &str) {
        let of_turns = self.turns.iter_mut().rev().flat_map(|turn| turn.input.iter_mut().chain(&mut turn.output));
        let lines = self.lines.iter_mut().rev().chain(of_turns).chain(self.open.iter_mut().rev());
        lines.filter(|line| *line == was).for_each(|line| is.clone_into(line));
        for event in self.timeline.iter_mut().rev() {
            if says(event, was) {
                say(event, is);
            }
        }
    }

    /// What was open is as it stands.
    pub(super) fn settle(&mut self) {
        // Masked, a line and what it was revised to are alike; of lines that are alike the last is the last.
        for line in self.open.drain(..).rev() {
            let masked = cautious(&line);
            if let Some(event) = self.timeline.iter_mut().rev().find(|event| says(event, &masked)) {
                say(event, &line);
            }
        }
        self.open_from = None;
    }
}

fn says(event: &Event, words: &str) -> bool {
    matches!(&event.what, What::Said { text, .. } if text == words)
}

/// From now on an event says these words; who looks on keeps it as it was.
fn say(event: &mut Arc<Event>, words: &str) {
    if let What::Said { text, .. } = &mut Arc::make_mut(event).what {
        words.clone_into(text);
    }
}
