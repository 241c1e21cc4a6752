//! A custom model and grammar of a recognizer: now, or later.
//!
//! Invariant: one that stands somewhere else than the service is asked by is told before it is kept: it would be found by no call.

use serde_json::{Value, json};

use super::super::answered::text;
use super::super::form::Form;
use crate::problem::{Fault, Problem};

/// What a service has of its own, and what somebody typed of it.
pub(super) struct Custom {
    pub(super) names: [&'static str; 2],
    pub(super) model: String,
    pub(super) grammar: String,
}

/// The fields of the step.
const FIELDS: [&str; 2] = ["custom_model", "grammar"];
/// Of kinds that have such: the parameters, and what each is called there.
const KINDS: [(&str, [&str; 2], [&str; 2]); 2] = [
    ("watson", ["language_customization_id", "grammar_name"], ["Custom language model", "Grammar"]),
    ("transcribe", ["language_model_name", "vocabulary_name"], ["Custom language model", "Custom vocabulary"]),
];

fn of_kind(service: &Value) -> Option<([&'static str; 2], [&'static str; 2])> {
    let kind = service["settings"]["kind"].as_str().unwrap_or_default();
    KINDS.into_iter().find(|(known, ..)| *known == kind).map(|(_, keys, names)| (keys, names))
}

impl Custom {
    /// Of a recognizer that may have one.
    pub(super) fn of(service: &Value, typed: Option<&Form>) -> Option<Self> {
        let (keys, names) = of_kind(service)?;
        let shown = |at: usize| match typed {
            Some(form) => form.line(FIELDS[at]),
            None => text(&service["settings"]["parameters"], keys[at]),
        };
        Some(Self { names, model: shown(0), grammar: shown(1) })
    }
}

/// What was typed, as parameters; nothing where it is what is kept.
pub(super) fn said(service: &Value, form: &Form) -> Result<Option<Value>, Problem> {
    let Some((keys, _)) = of_kind(service) else { return Ok(None) };
    let (mut parameters, mut faults) = (json!({}), vec![]);
    for (key, field) in keys.into_iter().zip(FIELDS) {
        match named(&form.line(field), &text(&service["settings"], "url")) {
            Ok(name) if name == text(&service["settings"]["parameters"], key) => {}
            Ok(name) => parameters[key] = if name.is_empty() { Value::Null } else { name.into() },
            Err(why) => faults.push(Fault::at(format!("#/{field}"), why)),
        }
    }
    if !faults.is_empty() {
        return Err(Problem::faults(faults));
    }
    let says_something = parameters.as_object().is_some_and(|all| !all.is_empty());
    Ok(says_something.then(|| json!({"parameters": parameters})))
}

/// What a model or grammar is called that is given by its name or by its URL.
fn named(typed: &str, service_url: &str) -> Result<String, String> {
    let Some((_, rest)) = typed.split_once("://") else { return Ok(typed.to_owned()) };
    let host = |rest: &str| rest.split(['/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let (own, theirs) = (host(service_url.split_once("://").map_or("", |(_, rest)| rest)), host(rest));
    if own.is_empty() {
        return Err("is a URL: this service is told the name alone".to_owned());
    }
    if own != theirs {
        return Err(format!(
            "is hosted at {theirs}, and the service is at {own}: a custom model or grammar must be hosted where the service is"
        ));
    }
    let last = rest.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/').rsplit('/').next();
    match last.filter(|last| !last.is_empty() && *last != theirs) {
        Some(last) => Ok(last.to_owned()),
        None => Err("is the URL of no model: it ends with the model's id".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str = "https://api.eu-de.speech-to-text.watson.cloud.ibm.com/instances/1";

    #[test]
    fn a_model_is_named_by_its_id_or_by_a_url_of_the_services_place() {
        let of =
            |place: &str| format!("https://api.{place}.speech-to-text.watson.cloud.ibm.com/v1/customizations/74f4");
        assert_eq!(named("74f4", SERVICE), Ok("74f4".to_owned()));
        assert_eq!(named("", SERVICE), Ok(String::new()));
        assert_eq!(named(&of("eu-de"), SERVICE), Ok("74f4".to_owned()));
        assert_eq!(named(&format!("{}/?version=1", of("EU-DE")), SERVICE), Ok("74f4".to_owned()));
        for (typed, url, told) in [
            (of("us-south"), SERVICE, "must be hosted where the service is"),
            (of("eu-de"), "", "is told the name alone"),
            ("https://api.eu-de.speech-to-text.watson.cloud.ibm.com/".to_owned(), SERVICE, "is the URL of no model"),
        ] {
            let why = named(&typed, url).expect_err("refused");
            assert!(why.contains(told), "{typed}: {why}");
        }
    }

    #[test]
    fn what_is_kept_is_not_said_again_and_what_is_emptied_is_taken_away() {
        let service = json!({"settings": {
            "kind": "watson", "url": SERVICE, "parameters": {"language_customization_id": "a", "grammar_name": "g"},
        }});
        let form = |model: &str, grammar: &str| {
            Form(vec![(FIELDS[0].to_owned(), model.to_owned()), (FIELDS[1].to_owned(), grammar.to_owned())])
        };
        assert_eq!(said(&service, &form("a", "g")), Ok(None));
        let other = json!({"parameters": {"language_customization_id": "b", "grammar_name": null}});
        assert_eq!(said(&service, &form("b", "")), Ok(Some(other)));
        let elsewhere = said(&service, &form("https://elsewhere.example/x", "https://elsewhere.example/y"));
        assert_eq!(elsewhere.expect_err("both are told").errors().len(), 2);
        assert_eq!(said(&json!({"settings": {"kind": "pocketsphinx"}}), &form("b", "")), Ok(None));
    }
}
