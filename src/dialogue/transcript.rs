//! What was said, by whom and when: what an agent reads.
//!
//! Every line is what a person may read: without what is masked ([`Redaction`]), without markup and what acts on a
//! reader ([`readable`]). A line is told again if what comes after it shows that a number goes over both
//! ([`Transcript::revised_since`]). Invariant: it prints itself redacted; only its form in the store
//! ([`SessionRecord`](crate::session_record::SessionRecord)) shows the words.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::readable::readable;
use crate::redaction::Redaction;

/// Most lines kept of one call; the oldest fall off.
pub const LINES_MAX: usize = 2000;
/// Most bytes of their words: what beyond them the lines of a call hold, the oldest lose.
pub const BYTES_MAX: usize = 1024 * 1024;
/// Most bytes of a note; an agent reads no book.
pub(crate) const NOTE_BYTES_MAX: usize = 16 * 1024;
/// Lines of one side that a number may go over.
const TOGETHER_MAX: usize = 24;
/// Bytes of these lines.
const TOGETHER_BYTES_MAX: usize = 8192;

/// Who spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// The caller, by voice.
    Caller,
    /// The caller, by keys.
    #[serde(rename = "caller_keys")]
    CallerDigits,
    /// The assistant.
    Assistant,
    /// A note for the agent.
    Note,
}

/// One line.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Milliseconds since the call began.
    pub at_ms: u64,
    /// Whose line it is.
    pub speaker: Speaker,
    /// The words, redacted.
    pub text: String,
    /// Whether the caller cut it off; then it has the words that were heard.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    /// Whether what comes next may show that its end is a part of something to mask.
    #[serde(skip)]
    pub open: bool,
    /// The name of the clip that speaks it.
    #[serde(skip)]
    clip: Option<u64>,
    /// Counts up from the first line.
    #[serde(skip)]
    number: usize,
}

/// A line is other than it was told.
#[derive(Clone, PartialEq, Eq)]
pub struct Revision {
    /// The line as it was told before.
    pub was: String,
    /// The line as it reads now.
    pub is: String,
}

/// It never shows words.
impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Revision")
    }
}

/// The last lines of one side as they were said.
type Recent = VecDeque<(usize, String)>;

/// The lines of one call.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Transcript {
    lines: Vec<Line>,
    #[serde(skip)]
    added: usize,
    #[serde(skip)]
    caller: Recent,
    #[serde(skip)]
    assistant: Recent,
    #[serde(skip)]
    revised: Vec<Revision>,
}

impl Transcript {
    /// Adds a line as it is.
    pub fn push(&mut self, at: Duration, speaker: Speaker, text: impl Into<String>) {
        self.add(at, speaker, None, text.into());
    }

    /// Adds what the caller said or pressed. An utterance without a word is none.
    pub fn caller(&mut self, at: Duration, speaker: Speaker, text: &str, redaction: &Redaction) {
        let text = readable(text);
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        let goes_on = self.lines.iter().rev().find(|line| is_callers(line.speaker)).is_some_and(|line| line.open);
        self.add(at, speaker, None, text.to_owned());
        self.mask(Side::Caller, text, redaction);
        if let Some(line) = self.lines.last_mut() {
            line.open = redaction.may_go_on(text, goes_on);
        }
    }

    /// Adds what a clip begins to say.
    pub fn speak(&mut self, at: Duration, clip: u64, text: &str, redaction: &Redaction) {
        let text = readable(text);
        self.add(at, Speaker::Assistant, Some(clip), text.trim().to_owned());
        self.mask(Side::Assistant, text.trim(), redaction);
    }

    /// Adds a note for the agent, its beginning if it is long. One that is said again, as an assistant does whose hand-off
    /// failed, moves to its new place.
    pub fn note(&mut self, at: Duration, text: &str, redaction: &Redaction) {
        // What is looked through goes on a little further: a number that the cut goes through is masked whole.
        let beginning = &text[..text.floor_char_boundary(NOTE_BYTES_MAX + TOGETHER_BYTES_MAX)];
        let text = readable(beginning);
        let mut shown = redaction.apply(text.trim()).into_owned();
        if shown.len() > NOTE_BYTES_MAX {
            shown.truncate(shown.floor_char_boundary(NOTE_BYTES_MAX));
            shown.push('…');
        }
        if let Some(before) = self.lines.iter().rposition(|line| line.speaker == Speaker::Note && line.text == shown) {
            self.lines.remove(before);
        }
        self.push(at, Speaker::Note, shown);
    }

    fn add(&mut self, at: Duration, speaker: Speaker, clip: Option<u64>, text: String) {
        let bytes = |lines: &[Line]| lines.iter().map(|line| line.text.len()).sum::<usize>();
        let mut held = bytes(&self.lines) + text.len();
        let fallen = self.lines.iter().enumerate().take_while(|(n, line)| {
            let falls = self.lines.len() - n >= LINES_MAX || held > BYTES_MAX;
            held -= if falls { line.text.len() } else { 0 };
            falls
        });
        let fallen = fallen.count();
        self.lines.drain(..fallen);
        let (at_ms, number) = (at.as_millis() as u64, self.added);
        self.added += 1;
        self.lines.push(Line { at_ms, speaker, text, interrupted: false, open: false, clip, number });
    }

    /// Masks the last line, and those before it that belong to the same number.
    fn mask(&mut self, side: Side, text: &str, redaction: &Redaction) {
        let newest = self.added - 1;
        let recent = match side {
            Side::Caller => &mut self.caller,
            Side::Assistant => &mut self.assistant,
        };
        recent.push_back((newest, text.to_owned()));
        let bytes = |recent: &Recent| recent.iter().map(|(_, text)| text.len()).sum::<usize>();
        while recent.len() > TOGETHER_MAX || recent.len() > 1 && bytes(recent) > TOGETHER_BYTES_MAX {
            recent.pop_front();
        }
        let said: Vec<&str> = recent.iter().map(|(_, text)| text.as_str()).collect();
        let shown = redaction.together(&said);
        for ((number, _), shown) in recent.iter().zip(shown) {
            let Some(line) = self.lines.iter_mut().rev().find(|line| line.number == *number) else { continue };
            if line.text != shown {
                let was = std::mem::replace(&mut line.text, shown.into_owned());
                if *number != newest {
                    self.revised.push(Revision { was, is: line.text.clone() });
                }
            }
        }
    }

    /// A clip was cut off.
    pub fn interrupt(&mut self, clip: u64) {
        if let Some(line) = self.lines.iter_mut().rev().find(|line| line.clip == Some(clip)) {
            line.interrupted = true;
        }
    }

    /// So much of a clip that was cut off was heard, 0 to 1: the words beyond it were never said.
    pub fn heard(&mut self, clip: u64, share: f32) {
        let Some(at) = self.lines.iter().rposition(|line| line.clip == Some(clip) && line.interrupted) else { return };
        let number = self.lines[at].number;
        for (_, said) in self.assistant.iter_mut().filter(|(line, _)| *line == number) {
            *said = begun(said, share);
        }
        let text = begun(&self.lines[at].text, share);
        if text.is_empty() {
            self.lines.remove(at);
            self.assistant.retain(|(line, _)| *line != number);
        } else {
            self.lines[at].text = text;
        }
    }

    /// The lines in order.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The lines that were added since there had been so many in all, and how many there have been now; those that were
    /// taken back or fell off count too.
    pub fn since(&self, added: usize) -> (&[Line], usize) {
        let new = self.added.saturating_sub(added).min(self.lines.len());
        (&self.lines[self.lines.len() - new..], self.added)
    }
}

impl Transcript {
    /// The lines that are other than they were told, since there had been so many of them, and how many there have been
    /// now.
    pub fn revised_since(&self, revised: usize) -> (&[Revision], usize) {
        (self.revised.get(revised..).unwrap_or_default(), self.revised.len())
    }
}

/// Whose lines belong together.
#[derive(Clone, Copy)]
enum Side {
    Caller,
    Assistant,
}

fn is_callers(speaker: Speaker) -> bool {
    matches!(speaker, Speaker::Caller | Speaker::CallerDigits)
}

/// The words of a text that had begun when so much of it was heard, 0 to 1.
pub(crate) fn begun(text: &str, share: f32) -> String {
    let words: Vec<&str> = text.split_inclusive(char::is_whitespace).collect();
    let length: usize = words.iter().map(|word| word.chars().count()).sum();
    let spoken = length as f32 * share.clamp(0.0, 1.0);
    let mut so_far = 0;
    // A word counts once it was begun.
    let begun = words.iter().take_while(|word| {
        let began = (so_far as f32) < spoken;
        so_far += word.chars().count();
        began
    });
    begun.copied().collect::<String>().trim_end().to_owned()
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transcript({} lines)", self.lines.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_was_cut_off_the_words_begun_are_shown() {
        for (share, expected) in [(0.0, None), (0.1, Some("one")), (0.5, Some("one two")), (1.0, Some("one two three"))]
        {
            let mut transcript = Transcript::default();
            transcript.speak(Duration::ZERO, 1, "one two three", &Redaction::default());
            transcript.heard(1, 0.0);
            assert_eq!(transcript.lines().len(), 1, "it was not cut");
            transcript.interrupt(1);
            transcript.heard(1, share);
            assert_eq!(transcript.lines().first().map(|line| line.text.as_str()), expected);
        }
    }

    #[test]
    fn what_is_new_is_told_once_even_if_lines_are_taken_back() {
        let mut transcript = Transcript::default();
        transcript.speak(Duration::ZERO, 1, "never heard", &Redaction::default());
        let (new, seen) = transcript.since(0);
        assert_eq!((new.len(), seen), (1, 1));
        transcript.interrupt(1);
        transcript.heard(1, 0.0);
        transcript.push(Duration::ZERO, Speaker::Caller, "stop");
        let (new, seen) = transcript.since(seen);
        assert_eq!((new.len(), new[0].text.as_str(), seen), (1, "stop", 2));
        assert_eq!(transcript.since(seen).0.len(), 0);
    }

    #[test]
    fn a_transcript_is_bounded() {
        let mut transcript = Transcript::default();
        (0..LINES_MAX + 5).for_each(|n| transcript.push(Duration::ZERO, Speaker::Caller, n.to_string()));
        assert_eq!((transcript.lines().len(), transcript.lines()[0].text.as_str()), (LINES_MAX, "5"));
    }

    fn bytes(transcript: &Transcript) -> usize {
        transcript.lines().iter().map(|line| line.text.len()).sum()
    }

    #[test]
    fn a_transcript_of_books_is_bounded_too() {
        let mut transcript = Transcript::default();
        let book = |n: usize| format!("{n} {}", "word ".repeat(800));
        let lines = BYTES_MAX as u64 / 2500;
        (0..lines).for_each(|n| {
            transcript.speak(Duration::ZERO, n, &book(n as usize), &Redaction::default());
        });
        assert!((BYTES_MAX / 2..=BYTES_MAX).contains(&bytes(&transcript)), "{}", bytes(&transcript));
        let last = transcript.lines().last().expect("the newest stay");
        assert!(last.text.starts_with(&format!("{} word", lines - 1)));
        assert_eq!(transcript.since(lines as usize - 1).0.len(), 1);
    }

    /// A hand-off that fails every time, with a message of a megabyte.
    #[test]
    fn a_note_is_short_and_said_once() {
        let mut transcript = Transcript::default();
        let message = "wants a loan ".repeat(80_000);
        for _ in 0..20 {
            transcript.push(Duration::ZERO, Speaker::Caller, "and?");
            transcript.note(Duration::ZERO, &message, &Redaction::default());
        }
        let notes: Vec<&Line> = transcript.lines().iter().filter(|line| line.speaker == Speaker::Note).collect();
        assert_eq!((notes.len(), transcript.lines().last().map(|line| line.speaker)), (1, Some(Speaker::Note)));
        assert!(notes[0].text.len() <= NOTE_BYTES_MAX + 3 && notes[0].text.ends_with('…'));
        let number = format!("{} 4111 1111 1111 1111", "x".repeat(NOTE_BYTES_MAX - 10));
        transcript.note(Duration::ZERO, &number, &Redaction::default());
        assert!(!transcript.lines().last().expect("it").text.contains("4111"), "no card is shown by a cut through it");
    }
}
