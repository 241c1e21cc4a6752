//! A call's history as it is stored, for the agent who takes over: why the caller is handed over, what the assistant knows of
//! them, and what was said.
//!
//! Everything in it is what people may read: masked ([`Redaction`]), without what acts on a reader ([`readable`]). Invariants:
//! it prints itself redacted; only [`SessionRecord::to_json`] shows the words, and that goes to the store; a record of an
//! earlier version is read too.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::readable::readable;
use crate::redaction::Redaction;
use crate::response::ConnectToAgent;
use crate::transcript::{Line, Speaker, Transcript};

/// A call's history as it is stored and shown.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// The caller as the INVITE named them.
    pub caller: String,
    /// The number that was dialled, as the INVITE has it.
    pub dialled: String,
    /// When the call began, in milliseconds since 1970.
    pub began_unix_ms: i64,
    /// The lines, redacted as the tenant wants it.
    pub transcript: Transcript,
    /// `message_to_human_agent`: why the caller is handed over. It is the transcript's last note too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `custom_data`, as it goes along: by the attribute's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub custom_data: BTreeMap<String, String>,
    /// The language of the conversation, a BCP 47 tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Where the integration's people are, as the time zone database names it; none for UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The integration that the call was for, by its name on the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integration: Option<String>,
    /// The call's name in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// Who may read it, as the integration had it then.
    #[serde(default)]
    pub readers: Readers,
}

/// Who may read a conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Readers {
    /// Whoever has its key.
    #[default]
    WhoHasTheKey,
    /// Who has it, and is signed in as one of the tenant's people.
    Agents,
}

impl SessionRecord {
    /// The same with what the assistant said of the hand-over, and the attributes that go along.
    pub fn handed_over<'a>(
        mut self,
        transfer: &ConnectToAgent,
        attributes: impl Iterator<Item = (&'a str, &'a str)>,
        redaction: &Redaction,
    ) -> Self {
        let mut notes = self.transcript.lines().iter().rev().filter(|line| line.speaker == Speaker::Note);
        let reason = transfer.message_to_human_agent.as_ref().and_then(|_| notes.next());
        self.reason = reason.map(|line| line.text.clone()).filter(|text| !text.is_empty());
        let shown = |text: &str| redaction.apply(readable(text).trim()).into_owned();
        self.custom_data = attributes.map(|(name, value)| (shown(name), shown(value))).collect();
        self
    }

    /// What the caller typed, in order, with digits masked where that was asked for.
    pub fn collected(&self) -> impl Iterator<Item = &Line> {
        self.transcript.lines().iter().filter(|line| line.speaker == Speaker::CallerDigits)
    }

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
    use std::time::Duration;

    #[test]
    fn a_record_survives_the_store_and_prints_nothing() {
        let mut transcript = Transcript::default();
        transcript.speak(Duration::from_millis(1500), 7, "Hello.", &Redaction::default());
        transcript.push(Duration::from_secs(3), Speaker::Caller, "my secret");
        transcript.interrupt(7);
        let record = SessionRecord { caller: "+1".into(), transcript, ..SessionRecord::default() };
        assert!(!format!("{record:?}").contains("secret"));
        let back = SessionRecord::from_json(&record.to_json()).expect("own form");
        assert_eq!(back.to_json(), record.to_json());
        assert!(back.transcript.lines()[0].interrupted);
    }

    #[test]
    fn a_record_of_before_there_were_reasons_is_read() {
        let old = r#"{"caller":"+1","dialled":"+2","began_unix_ms":5,"transcript":[]}"#;
        let read = SessionRecord::from_json(old).expect("readable");
        assert_eq!((read.reason, read.custom_data.len()), (None, 0));
        assert_eq!((read.language, read.time_zone, read.integration, read.call), (None, None, None, None));
        assert_eq!(read.readers, Readers::WhoHasTheKey);
    }

    #[test]
    fn what_a_caller_typed_is_told_in_order_and_as_it_is_shown() {
        let mut transcript = Transcript::default();
        transcript.push(Duration::ZERO, Speaker::CallerDigits, "1");
        transcript.push(Duration::ZERO, Speaker::Caller, "one moment");
        transcript.caller(Duration::ZERO, Speaker::CallerDigits, "4111111111111111", &Redaction::default());
        transcript.push(Duration::ZERO, Speaker::CallerDigits, "••••");
        let record = SessionRecord { transcript, ..SessionRecord::default() };
        let collected: Vec<&str> = record.collected().map(|line| line.text.as_str()).collect();
        assert_eq!((collected[0], collected[2]), ("1", "••••"));
        assert!(!collected[1].contains("41111") && collected.len() == 3, "{collected:?}");
    }

    #[test]
    fn an_agent_reads_why_and_what_is_known_with_card_numbers_masked() {
        let redaction = Redaction::default();
        let message_to_human_agent = Some("Wants a refund for 4111 1111 1111 1111.".to_owned());
        let mut transcript = Transcript::default();
        transcript.note(Duration::ZERO, message_to_human_agent.as_deref().unwrap_or_default(), &redaction);
        let transfer = ConnectToAgent { message_to_human_agent, ..ConnectToAgent::default() };
        let attributes = [("card", "4111 1111 1111 1111"), ("turn", "a\u{202e}b")].into_iter();
        let record =
            SessionRecord { transcript, ..SessionRecord::default() }.handed_over(&transfer, attributes, &redaction);
        assert!(!record.to_json().contains("4111 1111"), "{}", record.to_json());
        assert!(record.reason.as_deref().is_some_and(|reason| reason.starts_with("Wants a refund")));
        assert_eq!(record.custom_data["turn"], "ab");
    }

    #[test]
    fn without_a_message_an_earlier_note_is_no_reason() {
        let mut transcript = Transcript::default();
        transcript.push(Duration::ZERO, Speaker::Note, "the caller was not understood");
        let record = SessionRecord { transcript, ..SessionRecord::default() };
        let record = record.handed_over(&ConnectToAgent::default(), std::iter::empty(), &Redaction::default());
        assert_eq!(record.reason, None);
    }
}
