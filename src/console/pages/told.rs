//! What is told of something that was not done, for people.

use crate::problem::Problem;

/// A sentence, and one for each field.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    pub(super) detail: String,
    pub(super) faults: Vec<String>,
}

impl From<&Problem> for Told {
    fn from(problem: &Problem) -> Self {
        let fault = |fault: &crate::problem::Fault| {
            let place = fault.pointer.as_deref().or(fault.parameter.as_deref()).unwrap_or_default();
            let place = place.trim_start_matches("#/").trim_start_matches("settings/").replace('/', " › ");
            if place.is_empty() { fault.detail.clone() } else { format!("{place}: {}", fault.detail) }
        };
        // What REST says of the body of a request is said of a form in other words.
        let detail = if problem.errors().is_empty() { problem.detail() } else { "Nothing was changed:" };
        Self { detail: detail.to_owned(), faults: problem.errors().iter().map(fault).collect() }
    }
}
