//! What a block says, held against what blocks of its kind may say: parameters and their types, conditions, errors.
//!
//! Invariant: a block is judged by itself; what its kind is allowed stands in `tables.rs` alone.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::super::path::{self, Written};
use super::super::reading::shortened;
use super::super::{Action, ActionType, Operator};
use super::tables::{self, Kind, May, Need, Parameter};
use super::{Code, Findings};

/// The kinds of block that the language has beside those with a table: they are not checked, and are no surprise.
const UNCHECKED: [&str; 44] = [
    "AssociateContactToCustomerProfile",
    "AuthenticateParticipant",
    "CheckHoursOfOperation",
    "CheckMetricData",
    "CheckOutboundCallStatus",
    "CheckVoiceId",
    "CompleteOutboundCall",
    "ConnectParticipantWithLexBot",
    "CreateCallbackContact",
    "CreateCase",
    "CreateCustomerProfile",
    "CreatePersistentContactAssociation",
    "CreateTask",
    "CreateWisdomSession",
    "DequeueContactAndTransferToQueue",
    "DistributeByPercentage",
    "EndFlowExecution",
    "EndFlowModuleExecution",
    "EvaluateDataTableValues",
    "GetCase",
    "GetCustomerProfile",
    "GetCustomerProfileObject",
    "GetMetricData",
    "GetParticipantInput",
    "InvokeFlowModule",
    "LoadContactContent",
    "Loop",
    "MessageParticipantIteratively",
    "ResumeContact",
    "ShowView",
    "StartOutboundChatContact",
    "StartVoiceIdStream",
    "TagContact",
    "TransferContactToAgent",
    "UnTagContact",
    "UpdateCase",
    "UpdateContactCallbackNumber",
    "UpdateContactData",
    "UpdateContactMediaStreamingBehavior",
    "UpdateContactRecordingAndAnalyticsBehavior",
    "UpdateContactRoutingBehavior",
    "UpdateContactTextToSpeechVoice",
    "UpdateFlowAttributes",
    "Wait",
];

pub(super) fn check(action: &Action, findings: &mut Findings) {
    let Some(table) = tables::parameters(&action.action_type) else {
        let name = action.action_type.name();
        if !UNCHECKED.contains(&name) {
            findings.block(
                Code::TypeUnknown,
                action,
                format!("{} is no kind of block that is known here", shortened(name)),
            );
        }
        return;
    };
    Judged { action, findings }.object(table, Others::Refused, &action.parameters, "");
    choice(action, findings);
    conditions(action, findings);
    errors(action, findings);
}

/// Whether an object may have parameters that stand in no table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    Refused,
    Allowed,
}

struct Judged<'a, 'f> {
    action: &'a Action,
    findings: &'f mut Findings,
}

impl Judged<'_, '_> {
    fn object(&mut self, table: &'static [Parameter], others: Others, values: &Map<String, Value>, within: &str) {
        let place = |name: &str| if within.is_empty() { name.to_owned() } else { format!("{within}.{name}") };
        for parameter in table {
            match values.get(parameter.name) {
                Some(value) => self.value(parameter.kind, value, &place(parameter.name)),
                None if parameter.need == Need::Must => {
                    self.findings.field(Code::ParameterMissing, self.action, &place(parameter.name), "is missing");
                }
                None => {}
            }
        }
        let is_unknown = |name: &String| !table.iter().any(|known| known.name == name);
        for name in values.keys().filter(|name| others == Others::Refused && is_unknown(name)) {
            self.findings.field(Code::ParameterUnknown, self.action, &place(name), "is no parameter of such a block");
        }
    }

    fn is_of_type(&mut self, is: bool, at: &str, expected: &str) -> bool {
        if !is {
            self.findings.field(Code::ParameterType, self.action, at, format!("is not {expected}"));
        }
        is
    }

    fn value(&mut self, kind: Kind, value: &Value, at: &str) {
        match (kind, value) {
            (Kind::Text(may), Value::String(text)) => self.text(may, text, at),
            (Kind::Text(_), _) => _ = self.is_of_type(false, at, "a text"),
            (Kind::OneOf(words), Value::String(text)) => self.one_of(words, text, at),
            (Kind::OneOf(_), _) => _ = self.is_of_type(false, at, "a text"),
            (Kind::Seconds(from, until), Value::String(text)) => self.seconds(from, until, text, at),
            (Kind::Seconds(..), _) => _ = self.is_of_type(false, at, "a text of seconds, like \"60\""),
            (Kind::ListOf(words), Value::Array(list)) => {
                for one in list {
                    match one.as_str() {
                        Some(text) => self.one_of(words, text, at),
                        None => _ = self.is_of_type(false, at, "a list of texts"),
                    }
                }
            }
            (Kind::ListOf(_), _) => _ = self.is_of_type(false, at, "a list"),
            (Kind::Object(table), Value::Object(values)) => self.object(table, Others::Refused, values, at),
            (Kind::Open(table), Value::Object(values)) => self.object(table, Others::Allowed, values, at),
            (Kind::Texts, Value::Object(values)) => {
                for (name, value) in values {
                    self.value(Kind::Text(May::BeReference), value, &format!("{at}.{name}"));
                }
            }
            (Kind::Object(_) | Kind::Open(_) | Kind::Texts, _) => _ = self.is_of_type(false, at, "an object"),
        }
    }

    fn text(&mut self, may: May, text: &str, at: &str) {
        match (may, path::written(text)) {
            (May::OnlyBeReference, Written::Text | Written::Mixed(_)) => {
                self.findings.field(Code::ReferenceMissing, self.action, at, "is not one reference");
            }
            (May::BeReference, Written::Mixed(_)) => {
                self.findings.field(
                    Code::ReferenceInText,
                    self.action,
                    at,
                    "has a reference inside a text, where it stays as it is written",
                );
            }
            _ => {}
        }
    }

    fn one_of(&mut self, words: &[&str], text: &str, at: &str) {
        if let Written::Reference(_) | Written::Mixed(_) = path::written(text) {
            self.findings.field(Code::ReferenceRefused, self.action, at, "is a reference, and has to be fixed");
        } else if !words.contains(&text) {
            let told = format!("is `{}`, and may be {}", shortened(text), words.join(" or "));
            self.findings.field(Code::ParameterValue, self.action, at, told);
        }
    }

    fn seconds(&mut self, from: u32, until: u32, text: &str, at: &str) {
        let is_good = match path::written(text) {
            Written::Reference(_) => true,
            Written::Text => text.parse::<u32>().is_ok_and(|seconds| (from..=until).contains(&seconds)),
            Written::Mixed(_) => false,
        };
        if !is_good {
            let told = format!("is `{}`, and may be seconds from {from} to {until}", shortened(text));
            self.findings.field(Code::ParameterValue, self.action, at, told);
        }
    }
}

fn choice(action: &Action, findings: &mut Findings) {
    let choice = tables::choice(&action.action_type);
    let chosen = choice.iter().filter(|name| action.parameters.contains_key(**name)).count();
    if !choice.is_empty() && chosen != 1 {
        let told = format!("has {chosen} of {}, and exactly one has to be there", choice.join(", "));
        findings.field(Code::ParameterChoice, action, "Parameters", told);
    }
}

fn conditions(action: &Action, findings: &mut Findings) {
    match (action.action_type == ActionType::Compare, action.conditions.is_empty()) {
        (true, true) => findings.block(Code::ConditionMissing, action, "it compares with nothing"),
        (false, false) => findings.block(Code::ConditionRefused, action, "it has conditions"),
        _ => {}
    }
    for (at, condition) in action.conditions.iter().enumerate() {
        let field = format!("condition {}", at + 1);
        if let Operator::Other(name) = &condition.operator {
            findings.field(Code::OperatorUnknown, action, &field, format!("compares by {}", shortened(name)));
        }
        match &condition.operands[..] {
            [one] if !one.is_empty() => {}
            [_] => findings.field(Code::OperandRefused, action, &field, "compares with an empty text"),
            all => findings.field(Code::OperandRefused, action, &field, format!("compares with {} texts", all.len())),
        }
    }
}

fn errors(action: &Action, findings: &mut Findings) {
    let goes_on = action.parameters.get("ContinueFlowExecution").is_none_or(|value| value != "False");
    let Some((must, may)) = tables::errors(&action.action_type, goes_on) else { return };
    for error in must.iter().filter(|error| !action.errors.iter().any(|branch| branch.error == **error)) {
        findings.field(Code::ErrorMissing, action, error.name(), "has no branch");
    }
    let mut seen = BTreeSet::new();
    for branch in &action.errors {
        let name = branch.error.name();
        if !must.contains(&branch.error) && !may.contains(&branch.error) {
            findings.field(Code::ErrorRefused, action, name, "has a branch, and such a block has no such error");
        } else if !seen.insert(name) {
            findings.field(Code::ErrorRepeated, action, name, "has two branches");
        }
    }
}
