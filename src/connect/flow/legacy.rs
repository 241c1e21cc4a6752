//! The export of older consoles, version 1: a list of `modules` with `branches` and `parameters`, as the vendor's sample flow is.
//!
//! No document says how it is made; what is read and written here is what exports have. Blocks are named by UUIDs there. How
//! parameters are written: `legacy/parameters.rs`.
//!
//! Invariant: what is written here is read here as the same action; an action of which that is not so is refused by name.

mod parameters;
mod values;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::language::position;
use super::meaning::with_defaults;
use super::reading::Place;
use super::{
    Action, ActionType, AsRead, Condition, ErrorBranch, ErrorType, Flow, Foreign, Format, INBOUND, Operator, Unreadable,
};

/// Its version.
pub const VERSION: &str = "1";

/// The types of blocks, each with its `target` where it has one.
const TYPES: [(ActionType, &str, Option<&str>); 10] = [
    (ActionType::UpdateFlowLoggingBehavior, "SetLoggingBehavior", None),
    (ActionType::UpdateContactRecordingBehavior, "SetRecordingBehavior", None),
    (ActionType::UpdateContactAttributes, "SetAttributes", None),
    (ActionType::TransferParticipantToThirdParty, "Transfer", Some("PhoneNumber")),
    (ActionType::Compare, "CheckAttribute", None),
    (ActionType::UpdateContactTargetQueue, "SetQueue", None),
    (ActionType::TransferContactToQueue, "Transfer", Some("Queue")),
    (ActionType::TransferToFlow, "Transfer", Some("Flow")),
    (ActionType::MessageParticipant, "PlayPrompt", None),
    (ActionType::DisconnectParticipant, "Disconnect", None),
];

/// What errors are called.
const ERRORS: [(ErrorType, &str); 5] = [
    (ErrorType::CallFailed, "CallFailure"),
    (ErrorType::ConnectionTimeLimitExceeded, "Timeout"),
    (ErrorType::NoMatchingCondition, "NoMatch"),
    (ErrorType::QueueAtCapacity, "AtCapacity"),
    (ErrorType::NoMatchingError, "Error"),
];

/// What comparisons are called; the first of several is written.
const OPERATORS: [(Operator, &str); 12] = [
    (Operator::Equals, "Equals"),
    (Operator::TextContains, "Contains"),
    (Operator::TextStartsWith, "StartsWith"),
    (Operator::TextEndsWith, "EndsWith"),
    (Operator::NumberGreaterThan, "GreaterThan"),
    (Operator::NumberGreaterThan, "GT"),
    (Operator::NumberGreaterOrEqualTo, "GreaterThanOrEqualTo"),
    (Operator::NumberGreaterOrEqualTo, "GTE"),
    (Operator::NumberLessThan, "LessThan"),
    (Operator::NumberLessThan, "LT"),
    (Operator::NumberLessOrEqualTo, "LessThanOrEqualTo"),
    (Operator::NumberLessOrEqualTo, "LTE"),
];

fn error_of(name: &str) -> ErrorType {
    let known = ERRORS.iter().find(|(_, known)| *known == name);
    known.map_or_else(|| ErrorType::Other(name.to_owned()), |(error, _)| error.clone())
}

fn error_name(error: &ErrorType) -> &str {
    ERRORS.iter().find(|(known, _)| known == error).map_or_else(|| error.name(), |(_, name)| name)
}

fn operator_of(name: &str) -> Operator {
    let known = OPERATORS.iter().find(|(_, known)| *known == name);
    known.map_or_else(|| Operator::Other(name.to_owned()), |(operator, _)| operator.clone())
}

fn operator_name(operator: &Operator) -> &str {
    OPERATORS.iter().find(|(known, _)| known == operator).map_or_else(|| operator.name(), |(_, name)| name)
}

/// Reads a file.
pub(super) fn read(file: &Place<'_>) -> Result<Flow, Unreadable> {
    let start = file.says("start")?.to_owned();
    if file.may_say("version")?.is_some_and(|version| version != VERSION) {
        return Err(file.bad("version", format!("is not {VERSION}")));
    }
    let actions = file.blocks("modules")?.into_iter().map(|block| {
        let mut action = of_block(&block)?;
        action.as_read = AsRead(Some((Format::Legacy, Value::Object(block.object.clone()))));
        Ok(action)
    });
    let actions = actions.collect::<Result<_, Unreadable>>()?;
    let kind = file.may_say("type")?.map(str::to_owned);
    let mut head = file.object.clone();
    head.remove("modules");
    Ok(Flow { start, actions, kind, as_read: AsRead(Some((Format::Legacy, Value::Object(head)))) })
}

fn of_block(block: &Place<'_>) -> Result<Action, Unreadable> {
    let identifier = block.says("id")?;
    let block = block.clone().named(identifier);
    let (name, target) = (block.says("type")?, block.may_say("target")?);
    let known = TYPES.into_iter().find(|(_, known, at)| *known == name && *at == target);
    let action_type =
        known.map_or_else(|| ActionType::Other(Format::Legacy, name.to_owned()), |(action_type, ..)| action_type);
    let parameters = parameters::read(&action_type, &block)?;
    let mut action = Action::new(identifier, action_type, Value::Object(parameters));
    for branch in block.each("branches")? {
        let next = branch.says("transition")?.to_owned();
        match branch.says("condition")? {
            "Success" if action.next.is_none() => action.next = Some(next),
            "Evaluate" => {
                let operator = operator_of(branch.may_say("conditionType")?.unwrap_or("Equals"));
                let operands = branch.object.get("conditionValue").map(values::text).into_iter().collect();
                action.conditions.push(Condition { operator, operands, next });
            }
            other => action.errors.push(ErrorBranch { error: error_of(other), next }),
        }
    }
    Ok(action)
}

/// Writes any flow.
pub(super) fn write(flow: &Flow) -> Result<Value, Foreign> {
    let ids = Ids::of(flow);
    Foreign::refused(flow, Format::Legacy, |action| unchanged(action).is_some() || can_be_written(action, &ids))?;
    let mut file = match flow.as_read.of(Format::Legacy) {
        Some(Value::Object(file)) => file.clone(),
        _ => head(flow),
    };
    let blocks = flow.actions.iter().enumerate();
    let block = |(n, action): (usize, &Action)| match unchanged(action) {
        Some(read) => read.clone(),
        None => Value::Object(written(action, &ids, position(n))),
    };
    file.insert("start".to_owned(), json!(ids.of_action(&flow.start)));
    file.insert("modules".to_owned(), blocks.map(block).collect());
    Ok(Value::Object(file))
}

/// What stands around the blocks.
fn head(flow: &Flow) -> Map<String, Value> {
    let kind = flow.kind.as_deref().unwrap_or(INBOUND);
    let head = json!({
        "version": VERSION,
        "type": kind,
        "metadata": {
            "entryPointPosition": {"x": 20, "y": 20}, "snapToGrid": false, "name": "bellhop", "type": kind, "status": "saved",
            "description": "Import it into a flow of the type inbound: another type refuses it.",
        },
    });
    if let Value::Object(head) = head { head } else { Map::new() }
}

/// The block as it was read, if it still means that.
fn unchanged(action: &Action) -> Option<&Value> {
    let read = action.as_read.of(Format::Legacy)?;
    let same = of_block(&Place::of_read(read.as_object()?)).is_ok_and(|same| same == *action);
    same.then_some(read)
}

/// Whether what is written of it is read as what it is.
fn can_be_written(action: &Action, ids: &Ids<'_>) -> bool {
    let block = written(action, ids, position(0));
    let same = |read: Action| {
        read.action_type == action.action_type
            && with_defaults(&read) == with_defaults(action)
            && read.conditions.len() == action.conditions.len()
    };
    of_block(&Place::of_read(&block)).is_ok_and(same)
}

fn written(action: &Action, ids: &Ids<'_>, (x, y): (usize, usize)) -> Map<String, Value> {
    let (parameters, mut metadata) = parameters::write(action);
    metadata.insert("position".to_owned(), json!({"x": x, "y": y}));
    if !action.conditions.is_empty() {
        metadata.insert("conditionMetadata".to_owned(), action.conditions.iter().map(drawn).collect());
    }
    let known = TYPES.iter().find(|(known, ..)| *known == action.action_type);
    let (name, target) = known.map_or((action.action_type.name(), None), |(_, name, target)| (*name, *target));
    let mut block = Map::new();
    block.insert("id".to_owned(), json!(ids.of_action(&action.identifier)));
    block.insert("type".to_owned(), json!(name));
    block.insert("branches".to_owned(), branches(action, ids).into());
    block.insert("parameters".to_owned(), parameters.into());
    block.insert("metadata".to_owned(), Value::Object(metadata));
    if let Some(target) = target {
        block.insert("target".to_owned(), json!(target));
    }
    block
}

fn branches(action: &Action, ids: &Ids<'_>) -> Vec<Value> {
    let branch = |name: &str, next: &str| json!({"condition": name, "transition": ids.of_action(next)});
    // A comparison goes on by its conditions or by none of them; what queues a contact ends its flow.
    let goes_on = !matches!(action.action_type, ActionType::Compare | ActionType::TransferContactToQueue);
    let success = action.next.as_deref().filter(|_| goes_on).map(|next| branch("Success", next));
    let evaluated = action.conditions.iter().map(|Condition { operator, operands, next }| {
        json!({
            "condition": "Evaluate", "conditionType": operator_name(operator),
            "conditionValue": operands.first().map_or("", String::as_str), "transition": ids.of_action(next),
        })
    });
    let errors = action.errors.iter().map(|ErrorBranch { error, next }| branch(error_name(error), next));
    success.into_iter().chain(evaluated).chain(errors).collect()
}

/// How the console draws a condition.
fn drawn(Condition { operator, operands, next }: &Condition) -> Value {
    let (name, operand) = (operator_name(operator), operands.first().map_or("", String::as_str));
    let drawn = json!({"name": name, "value": name, "shortDisplay": name.to_ascii_lowercase()});
    json!({"id": uuid_of(&format!("{name} {operand} {next}")), "operator": drawn, "value": operand})
}

/// What blocks are called: by their identifiers if those are UUIDs or came from such a file, else by one that is made of them.
struct Ids<'a>(BTreeMap<&'a str, String>);

impl<'a> Ids<'a> {
    fn of(flow: &'a Flow) -> Self {
        let id = |action: &'a Action| {
            let identifier = action.identifier.as_str();
            let is_id = action.as_read.of(Format::Legacy).is_some() || is_uuid(identifier);
            (identifier, if is_id { identifier.to_owned() } else { uuid_of(identifier) })
        };
        Self(flow.actions.iter().map(id).collect())
    }

    /// Of a block that is not there, its name: nothing is made up for it.
    fn of_action<'s>(&'s self, identifier: &'s str) -> &'s str {
        self.0.get(identifier).map_or(identifier, String::as_str)
    }
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// A UUID that is always the same for the same text (RFC 9562, version 8).
fn uuid_of(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let mut bytes: Vec<u8> = digest.iter().copied().take(16).collect();
    bytes[6] = 0x80 | (bytes[6] & 0x0f);
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::super::handing_over::tests::parts;
    use super::super::{difference, read};
    use super::*;

    /// The golden file: what is downloaded, byte for byte.
    #[test]
    fn a_flow_is_written_as_it_was_looked_at() {
        let written = Flow::handing_over(&parts()).written(Format::Legacy).expect("written");
        let written = serde_json::to_string_pretty(&written).expect("JSON") + "\n";
        let golden = include_str!("../../../tests/golden/flows/handing_over_legacy.json");
        assert!(written == golden, "{written}");
    }

    #[test]
    fn both_exports_mean_the_same() {
        let flow = Flow::handing_over(&parts());
        let legacy = read(&flow.written(Format::Legacy).expect("written").to_string()).expect("a flow");
        assert_eq!(difference(&flow, &legacy), None);
        let back = read(&legacy.written(Format::Language).expect("written").to_string()).expect("a flow");
        assert_eq!(difference(&flow, &back), None);
    }

    #[test]
    fn what_nobody_knows_is_written_as_it_was_read() {
        let text = r#"{"modules": [
            {"id": "a", "type": "GetUserInput", "branches": [{"condition": "Evaluate", "conditionType": "Equals", "conditionValue": "1", "transition": "b", "x": 1},
                {"condition": "Odd", "transition": "b"}, {"condition": "Success", "transition": "b"}, {"condition": "Success", "transition": "a"}],
             "parameters": [{"name": "Timeout", "value": 5}, {"name": "Timeout", "value": "6"}], "metadata": {"useDynamic": false}},
            {"id": "b", "type": "Disconnect", "branches": [], "parameters": [{"name": "New", "value": null}], "metadata": {}}
        ], "version": "1", "type": "contactFlow", "start": "a", "metadata": {"hash": "abc"}}"#;
        let flow = read(text).expect("a flow");
        assert_eq!(flow.written(Format::Legacy), Ok(serde_json::from_str(text).expect("JSON")));
        let refused = flow.written(Format::Language).expect_err("the language has no such block");
        assert_eq!(refused.to_string(), "block a: the format 2019-10-30 has no GetUserInput");
    }

    #[test]
    fn what_the_format_has_no_word_for_is_refused_by_name() {
        for (action_type, parameters, told) in [
            (
                ActionType::InvokeLambdaFunction,
                json!({}),
                "block set_queue: the format legacy has no InvokeLambdaFunction",
            ),
            (
                ActionType::UpdateContactRecordingBehavior,
                json!({"RecordingBehavior": {"RecordedParticipants": [], "IVRRecordingBehavior": "Enabled"}}),
                "block set_queue: the format legacy has no UpdateContactRecordingBehavior",
            ),
        ] {
            let mut flow = Flow::handing_over(&parts());
            flow.actions[5].action_type = action_type;
            flow.actions[5].parameters = parameters.as_object().expect("an object").clone();
            assert_eq!(flow.written(Format::Legacy).expect_err("refused").to_string(), told);
        }
    }

    #[test]
    fn a_block_is_named_by_a_uuid() {
        let id = uuid_of("transfer");
        assert!(is_uuid(&id) && id == uuid_of("transfer") && id != uuid_of("clear"), "{id}");
        assert!(!is_uuid("transfer") && !is_uuid(""));
    }
}
