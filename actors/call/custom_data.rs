//! What became of the custom data of a hand-off that Amazon Connect would refuse as they are: told to log, record and agent.
//!
//! Invariant: names are told, never values; the hand-off goes on.

use bellhop_connect::contact_attributes::{Change, ContactAttributes};
use bellhop_dialogue::redaction::Redaction;
use bellhop_dialogue::response::ConnectToAgent;
use bellhop_dialogue::transcript::{Speaker, Transcript};

use super::journal::CUSTOM_DATA;
use super::supervisor::Call;

/// Most changes that are told one by one.
const TOLD_MAX: usize = 20;

impl Call {
    /// The transcript with a note of the changes, if there are any.
    pub(super) fn tell_of_custom_data(&self, transfer: &ConnectToAgent, transcript: &Transcript) -> Transcript {
        let mut transcript = transcript.clone();
        let (_, changes) = ContactAttributes::from_custom_data(transfer.custom_data.as_ref());
        if changes.is_empty() {
            return transcript;
        }
        let redaction = &self.seed.services.conversation.redaction;
        let told = told(&changes, redaction);
        tracing::warn!(call = %self.seed.id, tenant = self.tenant(), changes = told, "custom data were changed");
        transcript.note(crate::now() - self.seed.began, &told, redaction);
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
