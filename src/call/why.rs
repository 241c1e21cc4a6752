//! Why a call is over, by one word: the word that `docs/errors.md` explains.
//!
//! Invariant: an ending has one word, and what the record says of an ending leads back to it ([`word_of`]), as long as the record tells the
//! one from the other.

use crate::ending::{BROKEN_OFF, Broken, Ending, LOST};
use crate::failure::{ChildName, Failure};
use crate::record::{self, EndReason};

/// The words of what no failure of its own stands for.
const PANICKED: &str = "panicked";
const OVERDUE: &str = "overdue";
const VANISHED: &str = "vanished";
const SERVER_LOST: &str = "server_lost";
const CALL_BROKE_OFF: &str = "broke_off";

/// All failures with their words, in one list: none is without.
macro_rules! failures {
    ($($failure:ident $word:literal)+) => {
        impl Failure {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$failure),+];

            /// Its word.
            pub fn word(&self) -> &'static str {
                match self { $(Self::$failure => $word),+ }
            }
        }
    };
}

failures! {
    RecognizerLost "recognizer_lost"
    SynthesizerLost "synthesizer_lost"
    AssistantLost "assistant_lost"
    NeverAcked "never_acked"
    NoMedia "no_media"
    SessionExpired "session_expired"
    TransferFailed "transfer_failed"
    MediaTimeout "media_timeout"
    NoWayBack "no_way_back"
    HandoffImpossible "handoff_impossible"
    HandoffRefused "handoff_refused"
    HandoffUncertain "handoff_uncertain"
    AudioPath "audio_path"
    Injected "injected"
}

impl Broken {
    /// Its word.
    fn word(&self) -> &'static str {
        match self {
            Self::Failure(failure) => failure.word(),
            Self::Panic => PANICKED,
            Self::Overdue => OVERDUE,
            Self::Vanished => VANISHED,
        }
    }

    /// It in a sentence, without a word of the conversation.
    fn told(&self) -> String {
        match self {
            Self::Failure(failure) => failure.to_string(),
            Self::Panic => "it panicked".to_owned(),
            Self::Overdue => "it took too long".to_owned(),
            Self::Vanished => "it ended unasked".to_owned(),
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        Failure::ALL.iter().cloned().map(Self::Failure).chain([Self::Panic, Self::Overdue, Self::Vanished])
    }
}

impl Ending {
    /// Its word: that of the failure, where something failed.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Failed { failure, .. } => failure.word(),
            Self::CallerHungUp
            | Self::AssistantEnded
            | Self::HandedOff
            | Self::Transferred
            | Self::OperatorHungUp
            | Self::Drained
            | Self::TooLong
            | Self::Refused(_) => self.label(),
        }
    }

    /// `failure_details` of its record: what broke, without a word of the conversation.
    pub fn details(&self) -> Option<String> {
        match self {
            Self::Failed { child, failure } => Some(format!("{child}: {}", failure.told())),
            Self::Refused(_) | Self::OperatorHungUp | Self::Drained | Self::TooLong => Some(self.label().to_owned()),
            Self::CallerHungUp | Self::AssistantEnded | Self::HandedOff | Self::Transferred => None,
        }
    }
}

/// Every word there is: of endings that did not fail, of failures, and of calls whose server or supervisor died.
pub fn words() -> Vec<&'static str> {
    let labels = Ending::LABELS.iter().copied().filter(|label| !label.starts_with("failed_"));
    labels.chain(Broken::all().map(|broken| broken.word())).chain([SERVER_LOST, CALL_BROKE_OFF]).collect()
}

/// The endings (`call.ending`) under which records of a word stand whose `failure_details` do not say it themselves; of records from before
/// there was an ending, their `end_reason`.
pub fn endings_of(word: &str) -> Vec<&'static str> {
    let own = Ending::LABELS.iter().copied().filter(|label| *label == word || word_of_ending(label) == Some(word));
    let other = match word {
        "caller_hung_up" => Some(EndReason::CallerHangup.label()),
        "assistant_ended" => Some(EndReason::AssistantHangup.label()),
        "handed_off" => Some(EndReason::AssistantTransfer.label()),
        OVERDUE | VANISHED => Some("failed_overdue"),
        SERVER_LOST => Some(LOST),
        CALL_BROKE_OFF => Some(BROKEN_OFF),
        _ => None,
    };
    own.chain(other).collect()
}

/// The word of an ending by its label (`call.ending`), where that leaves no choice: several failures share some labels.
pub fn word_of_ending(ending: &str) -> Option<&'static str> {
    let failed = |failure| Ending::Failed { child: ChildName::Call, failure };
    let mut words = Broken::all().filter(|broken| failed(broken.clone()).label() == ending).map(|broken| broken.word());
    words.next().filter(|_| words.next().is_none())
}

/// The word of an ending as a record tells it: by `end_reason` and `failure_details`. None for what another version wrote.
pub fn word_of(reason: &str, details: Option<&str>) -> Option<&'static str> {
    let reason = EndReason::ALL.into_iter().find(|known| known.label() == reason)?;
    match reason {
        EndReason::CallerHangup => Some(Ending::CallerHungUp.label()),
        EndReason::AssistantHangup => Some(Ending::AssistantEnded.label()),
        EndReason::AssistantTransfer => Some(Ending::HandedOff.label()),
        EndReason::Failed => of_failed(details?),
    }
}

fn of_failed(details: &str) -> Option<&'static str> {
    match details {
        record::LOST => return Some(SERVER_LOST),
        record::BROKEN_OFF => return Some(CALL_BROKE_OFF),
        _ => {}
    }
    if let Some(label) = Ending::LABELS.iter().find(|label| **label == details) {
        return Some(label);
    }
    let (_, told) = details.split_once(": ")?;
    Broken::all().find(|broken| broken.told() == told).map(|broken| broken.word())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::ending::Refusal;

    #[test]
    fn what_a_record_says_of_an_ending_leads_back_to_its_word() {
        let failed = ChildName::ALL
            .into_iter()
            .flat_map(|child| Broken::all().map(move |failure| Ending::Failed { child, failure }));
        let others = [
            Ending::CallerHungUp,
            Ending::AssistantEnded,
            Ending::HandedOff,
            Ending::OperatorHungUp,
            Ending::Drained,
            Ending::TooLong,
            Ending::Refused(Refusal::NotAcceptable),
        ];
        let known: BTreeSet<&str> = words().into_iter().collect();
        for ending in failed.chain(others) {
            let found = word_of(ending.record_reason().label(), ending.details().as_deref());
            assert_eq!(found, Some(ending.word()), "{ending:?}");
            assert!(known.contains(ending.word()), "{ending:?}");
        }
        // The record tells a transfer by SIP and one by the flow alike.
        assert_eq!(word_of("assistant_transfer", None), Some("handed_off"));
        assert_eq!(word_of("failed", Some(record::LOST)), Some(SERVER_LOST));
        assert_eq!(word_of("failed", Some(record::BROKEN_OFF)), Some(CALL_BROKE_OFF));
        for unknown in [("failed", Some("of another version")), ("failed", None), ("exploded", None)] {
            assert_eq!(word_of(unknown.0, unknown.1), None, "{unknown:?}");
        }
    }

    #[test]
    fn a_word_stands_for_one_ending() {
        let all = words();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
    }
}
