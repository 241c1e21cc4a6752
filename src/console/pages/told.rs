//! What is told of something that was not done, for people: a sentence, and one for each field, tied to it.
//!
//! Invariant: what is wrong with a field that the form has is shown at that field and led to from the summary; what is wrong elsewhere
//! stands in the summary alone. Nothing that was typed is repeated but by whoever told the fault.

use super::form::Form;
use super::tabs::name_of;
use crate::problem::{Fault, Problem};

/// A sentence, and one for each field.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    pub(super) detail: String,
    pub(super) faults: Vec<AtField>,
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AtField {
    /// The name of the field of the form; none where the form has no such field.
    pub(super) field: Option<String>,
    /// Where it is, in words; empty for the whole.
    pub(super) place: String,
    pub(super) detail: String,
}

impl Told {
    /// What a problem says of a form that was sent.
    pub(super) fn of(problem: &Problem, form: &Form) -> Self {
        // What REST says of the body of a request is said of a form in other words.
        let detail = if problem.errors().is_empty() { problem.detail() } else { "Nothing was changed:" };
        let faults = problem.errors().iter().map(|fault| AtField::of(fault, form)).collect();
        Self { detail: detail.to_owned(), faults }
    }
}

/// Where there is no form.
impl From<&Problem> for Told {
    fn from(problem: &Problem) -> Self {
        Self::of(problem, &Form::default())
    }
}

impl AtField {
    fn of(fault: &Fault, form: &Form) -> Self {
        let place = fault.pointer.as_deref().or(fault.parameter.as_deref()).unwrap_or_default();
        let keys: Vec<&str> = place.trim_start_matches("#").split('/').filter(|key| !key.is_empty()).collect();
        let keys = keys.strip_prefix(&["settings"]).unwrap_or(&keys);
        Self { field: field_of(keys, form), place: place_of(keys), detail: fault.detail.clone() }
    }
}

/// What fields are called that stand on no tab of the settings, by their last key.
const NAMES: [(&str, &str); 22] = [
    ("access_key_id", "Access Key ID"),
    ("api_key", "API key"),
    ("assistant_id", "Assistant ID"),
    ("current_password", "The password that you have"),
    ("endpoint_url", "Endpoint URL"),
    ("environment_id", "Environment ID"),
    ("frame_ancestors", "Access URL of your instance"),
    ("greeting", "Its first words"),
    ("instance_arn", "Amazon Connect Instance ARN"),
    ("login", "Login"),
    ("model", "Model"),
    ("name", "Called"),
    ("number", "Number"),
    ("password", "Password"),
    ("prompt", "What it is told of its task"),
    ("queue_arn", "Queue ARN"),
    ("role_arn", "Role ARN"),
    ("script_text", "Script"),
    ("secret", "Secret"),
    ("secret_access_key", "Access Key secret"),
    ("url", "URL"),
    ("voice_connector_arn", "Voice Connector ARN"),
];

/// A place of a document in the words that people see at its field, or in its keys where there is none.
fn place_of(keys: &[&str]) -> String {
    let named: Vec<&str> = keys.iter().copied().filter(|key| key.parse::<usize>().is_err()).collect();
    let last = named.last().copied().unwrap_or_default();
    let of_key = || NAMES.into_iter().find(|(key, _)| *key == last).map(|(_, name)| name);
    let name = name_of(&named.join(".")).or_else(of_key).map_or_else(|| named.join(" › "), str::to_owned);
    match keys.last().and_then(|key| key.parse::<usize>().ok()) {
        Some(at) => format!("{name}, number {}", at + 1),
        None => name,
    }
}

/// Keys of documents that forms call otherwise: a document has a name, and what is new is called something.
const CALLED_OTHERWISE: [(&str, &str); 2] = [("name", "called"), ("frame_ancestors", "access_url")];

/// The field of a form that a place of a document is typed into: `sip.sources` for the third of `sip/sources`, or that of its last key.
fn field_of(keys: &[&str], form: &Form) -> Option<String> {
    let named: Vec<&str> = keys.iter().copied().take_while(|key| key.parse::<usize>().is_err()).collect();
    let last = named.last().copied().unwrap_or_default();
    let also = CALLED_OTHERWISE.into_iter().find(|(key, _)| *key == last).map_or(last, |(_, field)| field);
    let names = [keys.join("."), named.join("."), last.to_owned(), also.to_owned()];
    names.into_iter().find(|name| !name.is_empty() && form.has(name))
}

/// What is wrong with a field, for its template (`fault.html`).
pub(super) fn at(told: &Option<Told>, field: &str) -> Option<String> {
    let faults = told.iter().flat_map(|told| &told.faults);
    let own: Vec<&str> =
        faults.filter(|fault| fault.field.as_deref() == Some(field)).map(|fault| fault.detail.as_str()).collect();
    (!own.is_empty()).then(|| own.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_tied_to_the_field_that_it_was_typed_into() {
        let form =
            Form(["sip.sources", "url", "called"].into_iter().map(|name| (name.to_owned(), String::new())).collect());
        let fault = |pointer: &str| Problem::faults(vec![Fault::at(pointer, "is wrong")]);
        for (pointer, field, place) in [
            ("#/settings/sip/sources/2", Some("sip.sources"), "Where calls may come from, number 3"),
            ("#/settings/url", Some("url"), "URL"),
            ("#/settings/connect/url", Some("url"), "URL"),
            ("#/name", Some("called"), "Called"),
            ("#/settings/other/thing", None, "other › thing"),
            ("#/settings", None, ""),
            ("#", None, ""),
        ] {
            let told = Told::of(&fault(pointer), &form);
            let of_field =
                AtField { field: field.map(str::to_owned), place: place.to_owned(), detail: "is wrong".to_owned() };
            assert_eq!(told.faults, [of_field], "{pointer}");
            assert_eq!(field.and_then(|field| at(&Some(told), field)), field.map(|_| "is wrong".to_owned()));
        }
        assert_eq!(at(&None, "url"), None);
    }
}
