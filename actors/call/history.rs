//! What the agent will read: the conversation, why it is handed over, what became of the custom data that Amazon Connect would
//! refuse as they are.
//!
//! Invariant: names are told, never values; the hand-off goes on.

use std::time::SystemTime;

use bellhop_connect::contact_attributes::{Change, ContactAttributes};
use bellhop_connect::ports::History;
use bellhop_dialogue::redaction::Redaction;
use bellhop_dialogue::response::ConnectToAgent;
use bellhop_dialogue::session_record::{Readers, SessionRecord};
use bellhop_dialogue::transcript::{Speaker, Transcript};
use bellhop_tenancy::integration::HistoryReaders;

use super::journal::CUSTOM_DATA;
use super::supervisor::Call;

/// Most changes that are told one by one.
const TOLD_MAX: usize = 20;

impl Call {
    /// What the agent will read.
    pub(super) fn history(&self, transfer: &ConnectToAgent, transcript: &Transcript) -> History {
        let age = crate::now() - self.new_call.began;
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let integration = &self.new_call.services.integration;
        let record = SessionRecord {
            caller: self.new_call.facts.caller.clone(),
            dialled: self.new_call.facts.dialled.clone(),
            began_unix_ms: since_1970.saturating_sub(age).as_millis() as i64,
            transcript: transcript.clone(),
            language: Some(integration.language.clone()),
            time_zone: integration.time_zone.clone(),
            integration: Some(integration.id.clone()),
            call: Some(self.new_call.id.to_string()),
            readers: match integration.history_readers {
                HistoryReaders::WhoHasTheKey => Readers::WhoHasTheKey,
                HistoryReaders::Agents => Readers::Agents,
            },
            ..SessionRecord::default()
        };
        let (attributes, _) = ContactAttributes::from_custom_data(transfer.custom_data.as_ref());
        let redaction = &self.new_call.services.conversation.redaction;
        let mut record = record.handed_over(transfer, attributes.iter(), redaction);
        record.transcript = self.tell_of_custom_data(transfer, transcript);
        History { tenant: self.tenant().to_owned(), json: record.to_json() }
    }

    /// The transcript with a note of the changes, if there are any.
    fn tell_of_custom_data(&self, transfer: &ConnectToAgent, transcript: &Transcript) -> Transcript {
        let mut transcript = transcript.clone();
        let (_, changes) = ContactAttributes::from_custom_data(transfer.custom_data.as_ref());
        if changes.is_empty() {
            return transcript;
        }
        let redaction = &self.new_call.services.conversation.redaction;
        let told = told(&changes, redaction);
        tracing::warn!(changes = told, "custom data were changed");
        transcript.note(crate::now() - self.new_call.began, &told, redaction);
        let line = transcript.lines().last().map(|line| line.text.clone()).unwrap_or_default();
        self.journal.write(|record, now| {
            record.said(now, Speaker::Note, &line, false);
            record.warn(now, CUSTOM_DATA, line);
        });
        transcript
    }
}

/// The changes in a sentence. A name may be anything that the caller said.
fn told(changes: &[Change], redaction: &Redaction) -> String {
    let mut told: Vec<String> = changes.iter().take(TOLD_MAX).map(ToString::to_string).collect();
    if changes.len() > TOLD_MAX {
        told.push(format!("and {} more", changes.len() - TOLD_MAX));
    }
    redaction.apply(&format!("Custom data for Amazon Connect: {}.", told.join("; "))).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_number_in_a_name_is_told_to_nobody() {
        let name = "my card is 4111 1111 1111 1111".to_owned();
        let to = "my_card_is_4111_1111_1111_1111".to_owned();
        let told = told(&[Change::Renamed { name, to }], &Redaction::default());
        assert!(!told.contains("4111 1111") && !told.contains("4111_1111"), "{told}");
    }
}
