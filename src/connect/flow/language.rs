//! The language of contact flows, version 2019-10-30 (Amazon Connect API, *Flow language*): what the API, Terraform and CloudFormation take.
//!
//! Invariant: what is written has the parameters of its type and no other, each as the text that the language wants; what was
//! read and not changed is as it was.

use serde_json::{Map, Value, json};

use super::reading::Place;
use super::{
    Action, ActionType, AsRead, Condition, ErrorBranch, ErrorType, Flow, Foreign, Format, Operator, Unreadable,
};

/// Its version.
pub const VERSION: &str = "2019-10-30";

/// What an export says of itself: the console shows it, and refuses to import a flow into one of another type.
const NAME: &str = "Bellhop: assistant, then agents";
/// What it is, for whoever has the file alone.
const DESCRIPTION: &str = "Hands callers over to an assistant, and from it to a queue of agents. Import it into a flow of the type inbound: another type refuses it.";

/// Writes a flow that is made of what the language knows, as the API takes it, which is told the type of the flow beside it: *inbound*.
pub fn written(flow: &Flow) -> Value {
    let mut file = match flow.as_read.of(Format::Language) {
        Some(Value::Object(file)) => file.clone(),
        _ => head(flow),
    };
    file.insert("StartAction".to_owned(), json!(flow.start));
    file.insert("Actions".to_owned(), flow.actions.iter().map(action).collect());
    Value::Object(file)
}

/// Writes any flow as consoles export it: with what it is called, and the type of flow that it is imported into.
pub(super) fn write(flow: &Flow) -> Result<Value, Foreign> {
    let knows = |action: &Action| !matches!(action.action_type, ActionType::Other(Format::Legacy, _));
    Foreign::refused(flow, Format::Language, knows)?;
    let mut file = written(flow);
    if flow.as_read.of(Format::Language).is_none() {
        let metadata = &mut file["Metadata"];
        metadata["name"] = json!(NAME);
        metadata["description"] = json!(DESCRIPTION);
        metadata["type"] = json!(flow.kind);
    }
    Ok(file)
}

/// What stands around the actions.
fn head(flow: &Flow) -> Map<String, Value> {
    let positions = flow.actions.iter().enumerate().map(|(n, action)| {
        let (x, y) = position(n);
        (action.identifier.clone(), json!({"position": {"x": x, "y": y}}))
    });
    let head = json!({
        "Version": VERSION,
        "Metadata": {
            "entryPointPosition": {"x": 20, "y": 20},
            "ActionMetadata": positions.collect::<Map<_, _>>(),
        },
    });
    if let Value::Object(head) = head { head } else { Map::new() }
}

/// Where the console draws a block: four in a row.
pub(super) fn position(n: usize) -> (usize, usize) {
    (160 + 260 * (n % 4), 20 + 220 * (n / 4))
}

fn action(action: &Action) -> Value {
    let read = action.as_read.of(Format::Language).and_then(Value::as_object);
    if let Some(read) = read
        && of_action(&Place::of_read(read)).is_ok_and(|same| same == *action)
    {
        return Value::Object(read.clone());
    }
    let mut written = read.cloned().unwrap_or_default();
    written.insert("Identifier".to_owned(), json!(action.identifier));
    written.insert("Type".to_owned(), json!(action.action_type.name()));
    written.insert("Parameters".to_owned(), Value::Object(action.parameters.clone()));
    written.insert("Transitions".to_owned(), Value::Object(transitions(action)));
    Value::Object(written)
}

fn transitions(action: &Action) -> Map<String, Value> {
    let mut transitions = Map::new();
    // What queues a contact and what compares have a way on in this language, which is never taken: the older format has none.
    let unsaid = || match action.action_type {
        ActionType::TransferContactToQueue => action.on(&ErrorType::NoMatchingError),
        ActionType::Compare => action.on(&ErrorType::NoMatchingCondition),
        _ => None,
    };
    if let Some(next) = action.next.as_deref().or_else(unsaid) {
        transitions.insert("NextAction".to_owned(), json!(next));
    }
    if !action.conditions.is_empty() {
        let condition = |Condition { operator, operands, next }: &Condition| json!({"NextAction": next, "Condition": {"Operator": operator.name(), "Operands": operands}});
        transitions.insert("Conditions".to_owned(), action.conditions.iter().map(condition).collect());
    }
    if !action.errors.is_empty() {
        let error = |ErrorBranch { error, next }: &ErrorBranch| json!({"ErrorType": error.name(), "NextAction": next});
        transitions.insert("Errors".to_owned(), action.errors.iter().map(error).collect());
    }
    transitions
}

/// Reads a file.
pub(super) fn read(file: &Place<'_>) -> Result<Flow, Unreadable> {
    if file.says("Version")? != VERSION {
        return Err(file.bad("Version", format!("is not {VERSION}")));
    }
    let start = file.says("StartAction")?.to_owned();
    let actions = file.blocks("Actions")?.into_iter().map(|block| {
        let mut action = of_action(&block)?;
        action.as_read = AsRead(Some((Format::Language, Value::Object(block.object.clone()))));
        Ok(action)
    });
    let actions = actions.collect::<Result<_, Unreadable>>()?;
    let kind = match file.within("Metadata")? {
        Some(metadata) => metadata.may_say("type")?.map(str::to_owned),
        None => None,
    };
    let mut head = file.object.clone();
    head.remove("Actions");
    let as_read = AsRead(Some((Format::Language, Value::Object(head))));
    Ok(Flow { start, actions, kind, as_read })
}

fn of_action(block: &Place<'_>) -> Result<Action, Unreadable> {
    let identifier = block.says("Identifier")?;
    let block = block.clone().named(identifier);
    let name = block.says("Type")?;
    let known = ActionType::KNOWN.into_iter().find(|known| known.name() == name);
    let action_type = known.unwrap_or_else(|| ActionType::Other(Format::Language, name.to_owned()));
    let parameters = block.within("Parameters")?.map(|parameters| parameters.object.clone()).unwrap_or_default();
    let mut action = Action::new(identifier, action_type, Value::Object(parameters));
    let Some(transitions) = block.within("Transitions")? else { return Ok(action) };
    action.next = transitions.may_say("NextAction")?.map(str::to_owned);
    for branch in transitions.each("Conditions")? {
        action.conditions.push(condition(&branch)?);
    }
    for branch in transitions.each("Errors")? {
        let error = ErrorType::of(branch.says("ErrorType")?);
        action.errors.push(ErrorBranch { error, next: branch.says("NextAction")?.to_owned() });
    }
    Ok(action)
}

fn condition(branch: &Place<'_>) -> Result<Condition, Unreadable> {
    let next = branch.says("NextAction")?.to_owned();
    let condition = branch.within("Condition")?.ok_or_else(|| branch.bad("Condition", "is missing"))?;
    let operands = match condition.object.get("Operands") {
        None => vec![],
        Some(Value::Array(operands)) => {
            let texts: Option<Vec<String>> = operands.iter().map(|one| one.as_str().map(str::to_owned)).collect();
            texts.ok_or_else(|| condition.bad("Operands", "has more than texts in it"))?
        }
        Some(_) => return Err(condition.bad("Operands", "is not a list")),
    };
    Ok(Condition { operator: Operator::of(condition.says("Operator")?), operands, next })
}

#[cfg(test)]
mod tests {
    use super::super::handing_over::tests::parts;
    use super::super::read;
    use super::*;

    /// The golden file: what is downloaded, byte for byte. Whoever changes a flow looks at what changes here.
    #[test]
    fn a_flow_is_written_as_it_was_looked_at() {
        let written = Flow::handing_over(&parts()).written(Format::Language).expect("written");
        let written = serde_json::to_string_pretty(&written).expect("JSON") + "\n";
        let golden = include_str!("../../../tests/golden/flows/handing_over_2019-10-30.json");
        assert!(written == golden, "{written}");
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let flow = Flow::handing_over(&parts());
        let export = flow.written(Format::Language).expect("written");
        assert_eq!(read(&export.to_string()), Ok(flow.clone()));
        // What the API is given is the same without what it is told beside it.
        assert_eq!(read(&written(&flow).to_string()), Ok(Flow { kind: None, ..flow }));
    }

    /// Types, parameters, branches and keys that nobody here knows.
    const UNKNOWN: &str = r#"{
        "Version": "2019-10-30", "StartAction": "wait", "Settings": {"InputParameters": []},
        "Metadata": {"name": "theirs", "Annotations": [{"id": "n", "content": "x"}], "ActionMetadata": {"wait": {"isFriendlyName": true}}},
        "Actions": [
            {"Identifier": "wait", "Type": "Wait", "Parameters": {"TimeLimitSeconds": "60", "Events": ["CustomerReturned"], "n": 1.50},
             "Transitions": {"NextAction": "end", "Other": null,
                "Conditions": [{"NextAction": "end", "Condition": {"Operator": "Resembles", "Operands": ["a", "b"]}}],
                "Errors": [{"ErrorType": "Surprise", "NextAction": "end", "Weight": 3}]}, "Comment": "ours"},
            {"Identifier": "end", "Type": "DisconnectParticipant", "Parameters": {}, "Transitions": {}}
        ]
    }"#;

    #[test]
    fn what_nobody_knows_is_written_as_it_was_read() {
        let flow = read(UNKNOWN).expect("a flow");
        let file: Value = serde_json::from_str(UNKNOWN).expect("JSON");
        assert_eq!(flow.written(Format::Language), Ok(file.clone()));
        // Of a block that was changed, what was not changed stays.
        let mut changed = flow;
        changed.actions[0].parameters.insert("TimeLimitSeconds".to_owned(), json!("30"));
        let written = changed.written(Format::Language).expect("written");
        assert_eq!(written["Actions"][0]["Comment"], "ours");
        assert_eq!(written["Actions"][0]["Parameters"]["TimeLimitSeconds"], "30");
        assert_eq!(written["Actions"][0]["Parameters"]["Events"], file["Actions"][0]["Parameters"]["Events"]);
        assert_eq!(written["Metadata"], file["Metadata"]);
    }
}
