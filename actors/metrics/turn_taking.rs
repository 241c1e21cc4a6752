//! Who has the word: replies that callers cut off, questions that were asked before they had finished.
//!
//! Invariant: these are counts of events, of each tenant from zero.

use metrics::{counter, describe_counter};

const BARGE_INS: &str = "bellhop_barge_ins_total";
const EARLY_QUESTIONS: &str = "bellhop_early_questions_total";

/// What becomes of a question that was put to the assistant before the caller had finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarlyQuestion {
    /// It was asked for good then.
    Asked,
    /// Nobody asked it.
    Forgotten,
}

impl EarlyQuestion {
    fn label(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Forgotten => "forgotten",
        }
    }
}

pub(super) fn describe() {
    describe_counter!(BARGE_INS, "Replies the caller cut off.");
    let early =
        "Questions put to the assistant before the caller had finished, by whether they were asked for good then.";
    describe_counter!(EARLY_QUESTIONS, early);
}

pub(super) fn describe_tenant(tenant: &str) {
    counter!(BARGE_INS, "tenant" => tenant.to_owned()).absolute(0);
    for outcome in [EarlyQuestion::Asked, EarlyQuestion::Forgotten] {
        counter!(EARLY_QUESTIONS, "tenant" => tenant.to_owned(), "outcome" => outcome.label()).absolute(0);
    }
}

/// The caller cut a reply off.
pub fn barge_in(tenant: &str) {
    counter!(BARGE_INS, "tenant" => tenant.to_owned()).increment(1);
}

/// It is known what becomes of an early question.
pub fn asked_early(tenant: &str, outcome: EarlyQuestion) {
    counter!(EARLY_QUESTIONS, "tenant" => tenant.to_owned(), "outcome" => outcome.label()).increment(1);
}
