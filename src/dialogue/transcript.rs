//! What was said, by whom and when: what an agent reads.
//!
//! Invariant: it prints itself redacted; only [`SessionRecord::to_json`] shows the words, and that goes to the store.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Most lines kept of one call; the oldest fall off.
pub const LINES_MAX: usize = 2000;

/// Who spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// The caller, by voice.
    Caller,
    /// The caller, by keys.
    CallerKeys,
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
    /// Who.
    pub speaker: Speaker,
    /// What.
    pub text: String,
    /// Whether the caller cut it off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
}

/// The lines of one call.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Transcript(Vec<Line>);

impl Transcript {
    /// Adds a line.
    pub fn push(&mut self, at: Duration, speaker: Speaker, text: impl Into<String>) {
        if self.0.len() == LINES_MAX {
            self.0.remove(0);
        }
        self.0.push(Line { at_ms: at.as_millis() as u64, speaker, text: text.into(), interrupted: false });
    }

    /// Marks the assistant's last line as cut off.
    pub fn interrupt(&mut self) {
        if let Some(line) = self.0.iter_mut().rev().find(|line| line.speaker == Speaker::Assistant) {
            line.interrupted = true;
        }
    }

    /// The lines in order.
    pub fn lines(&self) -> &[Line] {
        &self.0
    }
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transcript({} lines)", self.0.len())
    }
}

/// A call's history as it is stored and shown.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// The caller as the INVITE named them.
    pub caller: String,
    /// The dialled number.
    pub dialled: String,
    /// When the call began, in milliseconds since 1970.
    pub began_unix_ms: i64,
    /// What was said.
    pub transcript: Transcript,
}

impl SessionRecord {
    /// The form in the store.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a record is plain data")
    }

    /// Reads the form in the store.
    pub fn from_json(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }
}

impl fmt::Debug for SessionRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionRecord({:?})", self.transcript)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_the_store_and_prints_nothing() {
        let mut transcript = Transcript::default();
        transcript.push(Duration::from_millis(1500), Speaker::Assistant, "Hello.");
        transcript.push(Duration::from_secs(3), Speaker::Caller, "my secret");
        transcript.interrupt();
        let record = SessionRecord { caller: "+1".into(), dialled: "+2".into(), began_unix_ms: 5, transcript };
        assert!(!format!("{record:?}").contains("secret"));
        let back = SessionRecord::from_json(&record.to_json()).expect("own form");
        assert_eq!(back, record);
        assert!(back.transcript.lines()[0].interrupted);
    }

    #[test]
    fn a_transcript_is_bounded() {
        let mut transcript = Transcript::default();
        (0..LINES_MAX + 5).for_each(|n| transcript.push(Duration::ZERO, Speaker::Caller, n.to_string()));
        assert_eq!((transcript.lines().len(), transcript.lines()[0].text.as_str()), (LINES_MAX, "5"));
    }
}
