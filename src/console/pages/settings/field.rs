//! A setting as a field of a form: what is shown of it, and what somebody typed of it as a merge patch.
//!
//! Invariant: what is left as it was shown is in no patch, so that what a form cannot say stays; whether what was typed is good is REST's to
//! say.

use bellhop_tenancy::settings::Asks;
use serde_json::{Map, Value, json};

use super::super::form::Form;
use super::super::tabs::Field;

/// A field as it is shown.
pub(super) struct Shown {
    pub(super) path: &'static str,
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    /// What it is if nobody says.
    pub(super) usually: String,
    /// What it may say.
    pub(super) limit: String,
    pub(super) control: Control,
}

/// How it is typed.
pub(super) enum Control {
    Line(String),
    /// Several lines; with the name of a box that says that it is empty on purpose, and whether that is ticked.
    Lines(String, Option<Nothing>),
    /// One of these, or as usual.
    Choice(Vec<Offer>),
    /// Any of these.
    Boxes(Vec<Offer>),
}

/// A box that says that a field is empty on purpose.
pub(super) struct Nothing {
    pub(super) name: String,
    pub(super) told: &'static str,
    pub(super) is_ticked: bool,
}

/// What can be chosen.
pub(super) struct Offer {
    pub(super) word: &'static str,
    pub(super) told: &'static str,
    pub(super) is_chosen: bool,
}

/// The value at a path of settings.
pub(super) fn at<'a>(settings: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(settings, |value, key| &value[key])
}

/// A patch that sets a path.
pub(super) fn set(patch: &mut Value, path: &str, value: Value) {
    let mut place = patch;
    for key in path.split('.') {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        place = &mut place[key];
    }
    *place = value;
}

/// What a field shows of what is kept.
fn text_of(kept: &Value) -> String {
    match kept {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(text_of).collect::<Vec<_>>().join("\n"),
        other => other.to_string(),
    }
}

/// The name of the box that says that a field is empty on purpose.
fn nothing_of(path: &str) -> String {
    format!("{path}.nothing")
}

/// Whether it is that: an empty text or list.
fn is_nothing(kept: &Value) -> bool {
    kept.as_str().is_some_and(|text| text.trim().is_empty()) || kept.as_array().is_some_and(Vec::is_empty)
}

impl Shown {
    /// Of what is kept, or was typed.
    pub(super) fn of(field: &'static Field, settings: &Value, typed: Option<&Form>) -> Self {
        let kept = at(settings, field.path);
        let text = match typed {
            Some(form) => form.text(field.path).to_owned(),
            None => text_of(kept),
        };
        let offers = |chosen: &dyn Fn(&str) -> bool| {
            let offer = |(word, told): &(&'static str, &'static str)| Offer { word, told, is_chosen: chosen(word) };
            field.words.iter().map(offer).collect()
        };
        let nothing = (!field.nothing.is_empty()).then(|| Nothing {
            name: nothing_of(field.path),
            told: field.nothing,
            is_ticked: typed.map_or(is_nothing(kept), |form| form.has(&nothing_of(field.path))),
        });
        let control = match field.asks() {
            Asks::Flag | Asks::Choice(_) => Control::Choice(offers(&|word| text == word)),
            Asks::Texts if !field.words.is_empty() => {
                let chosen: Vec<String> = match typed {
                    Some(form) => form.all(field.path),
                    None => text.lines().map(str::to_owned).collect(),
                };
                Control::Boxes(offers(&|word| chosen.iter().any(|chosen| chosen == word)))
            }
            Asks::Texts | Asks::TextsOrNone | Asks::Message { .. } => Control::Lines(text, nothing),
            _ => Control::Line(text),
        };
        let limit = match field.asks() {
            Asks::Number { least, most } => format!("A whole number from {least} to {most}."),
            Asks::Message { chars_max: Some(most) } => format!("At most {most} characters."),
            _ => String::new(),
        };
        let usually = field.usually();
        Self { path: field.path, name: field.name, help: field.help, usually, limit, control }
    }

    /// The id of what explains it.
    pub(super) fn help_id(&self) -> String {
        format!("help-{}", self.path)
    }

    /// Whether what it usually is stands among what is chosen from.
    pub(super) fn is_choice(&self) -> bool {
        matches!(self.control, Control::Choice(_))
    }

    /// Whether it is several fields under one name.
    pub(super) fn is_boxes(&self) -> bool {
        matches!(self.control, Control::Boxes(_))
    }
}

/// Puts what was typed of a field into a patch, if it is not what was shown.
pub(super) fn typed(field: &Field, settings: &Value, form: &Form, patch: &mut Value) {
    let kept = at(settings, field.path);
    let nothing = form.has(&nothing_of(field.path));
    if nothing {
        let empty = if matches!(field.asks(), Asks::Message { .. }) { json!("") } else { json!([]) };
        if *kept != empty {
            set(patch, field.path, empty);
        }
        return;
    }
    let text = match field.asks() {
        Asks::Texts if !field.words.is_empty() => form.all(field.path).join("\n"),
        _ => form.text(field.path).trim().to_owned(),
    };
    if text == text_of(kept).trim() && !is_nothing(kept) {
        return;
    }
    let said = match field.asks() {
        _ if text.is_empty() => Value::Null,
        Asks::Texts | Asks::TextsOrNone => text.lines().map(str::trim).filter(|line| !line.is_empty()).collect(),
        Asks::Flag if text == "true" || text == "false" => json!(text == "true"),
        // What is no number is REST's to refuse, with what was typed.
        Asks::Number { .. } => text.parse::<u64>().map_or_else(|_| json!(text), |number| json!(number)),
        Asks::Share => text.parse::<f64>().map_or_else(|_| json!(text), |number| json!(number)),
        _ => json!(text),
    };
    if !(said.is_null() && kept.is_null()) {
        set(patch, field.path, said);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tabs::TABS;
    use super::*;

    fn patched(path: &str, kept: Value, typed_as: &[(&str, &str)]) -> Value {
        let field = TABS.iter().flat_map(|tab| tab.fields).find(|field| field.path == path).expect("a field");
        let mut settings = json!({});
        set(&mut settings, path, kept);
        let form = Form(typed_as.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect());
        let mut patch = json!({});
        typed(field, &settings, &form, &mut patch);
        at(&patch, path).clone()
    }

    #[test]
    fn what_was_typed_is_what_a_document_says_and_what_was_left_is_not() {
        for (path, kept, text, said) in [
            ("records.keep_days", json!(30), "30", None),
            ("records.keep_days", json!(30), "31", Some(json!(31))),
            ("records.keep_days", json!(30), "many", Some(json!("many"))),
            ("conversation.confidence_threshold", json!(null), "0.25", Some(json!(0.25))),
            ("sip.hold_on_transfer", json!(null), "false", Some(json!(false))),
            ("media.codecs", json!(["opus"]), "opus\n pcmu \n\n", Some(json!(["opus", "pcmu"]))),
            ("sip.transfer_failure_message", json!("Sorry."), "Sorry.", None),
            ("language", json!("de-DE"), "de-DE ", None),
        ] {
            let patch = patched(path, kept.clone(), &[(path, text)]);
            assert_eq!(patch, said.unwrap_or_default(), "{path} {kept} {text}");
        }
        // What is emptied is taken away, which is a null of its own and not what no patch says.
        let mut patch = json!({});
        let field = TABS.iter().flat_map(|tab| tab.fields).find(|field| field.path == "language").expect("a field");
        typed(field, &json!({"language": "de-DE"}), &Form(vec![("language".into(), String::new())]), &mut patch);
        assert_eq!(patch, json!({"language": null}));
    }

    #[test]
    fn an_empty_message_and_an_empty_list_mean_something_and_are_not_lost() {
        let message = "sip.transfer_failure_message";
        assert_eq!(patched(message, json!("Sorry."), &[(message, ""), (&nothing_of(message), "on")]), json!(""));
        assert_eq!(patched(message, json!(""), &[(message, ""), (&nothing_of(message), "on")]), json!(null));
        assert_eq!(patched("sip.transfer_targets", json!(null), &[("sip.transfer_targets.nothing", "on")]), json!([]));
        let boxes = [("records.webhook.events", "cdr_logged"), ("records.webhook.events", "message_logged")];
        let both = json!(["cdr_logged", "message_logged"]);
        assert_eq!(patched("records.webhook.events", json!(["cdr_logged"]), &boxes), both);
        assert_eq!(patched("records.webhook.events", both, &boxes), json!(null));
    }
}
