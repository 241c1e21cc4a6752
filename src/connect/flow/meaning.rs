//! Whether two flows mean the same: what a contact meets in them is the same, whatever the blocks are called and drawn like.
//!
//! Invariant: both are walked together from their starts, and each pair of blocks is looked at once.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Action, ActionType, ErrorType, Flow};

/// Where two flows part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{one} and {other} differ in {what}")]
pub struct Difference {
    /// A block of the one.
    pub one: String,
    /// The block of the other that stands in its place.
    pub other: String,
    /// In what.
    pub what: &'static str,
}

/// The first difference in meaning, if there is one.
pub fn difference(one: &Flow, other: &Flow) -> Option<Difference> {
    let mut seen = BTreeSet::new();
    let mut waiting = vec![(one.start.as_str(), other.start.as_str())];
    while let Some(pair) = waiting.pop() {
        if !seen.insert(pair) {
            continue;
        }
        let differ = |what| Some(Difference { one: pair.0.to_owned(), other: pair.1.to_owned(), what });
        match (one.action(pair.0), other.action(pair.1)) {
            (None, None) => {}
            (Some(left), Some(right)) => match branches(left, right) {
                Ok(pairs) => waiting.extend(pairs),
                Err(what) => return differ(what),
            },
            _ => return differ("whether there is such a block"),
        }
    }
    None
}

/// The pairs that two actions of the same meaning lead to.
fn branches<'a>(left: &'a Action, right: &'a Action) -> Result<Vec<(&'a str, &'a str)>, &'static str> {
    if left.action_type != right.action_type {
        return Err("what they are");
    }
    if with_defaults(left) != with_defaults(right) {
        return Err("their parameters");
    }
    let mut pairs = vec![];
    match (taken_next(left), taken_next(right)) {
        (None, None) => {}
        (Some(left), Some(right)) => pairs.push((left, right)),
        _ => return Err("whether they lead on"),
    }
    if left.conditions.len() != right.conditions.len() {
        return Err("their conditions");
    }
    for (left, right) in left.conditions.iter().zip(&right.conditions) {
        if (&left.operator, &left.operands) != (&right.operator, &right.operands) {
            return Err("their conditions");
        }
        pairs.push((left.next.as_str(), right.next.as_str()));
    }
    if left.errors.len() != right.errors.len() {
        return Err("their errors");
    }
    for branch in &left.errors {
        let same = right.errors.iter().find(|other| other.error == branch.error).ok_or("their errors")?;
        pairs.push((branch.next.as_str(), same.next.as_str()));
    }
    Ok(pairs)
}

/// Where an action leads when all went well, if it ever does: a comparison goes on by its conditions or as none of them is met,
/// and what queues a contact ends the flow.
fn taken_next(action: &Action) -> Option<&str> {
    let is_taken = match action.action_type {
        ActionType::Compare => action.on(&ErrorType::NoMatchingCondition).is_none(),
        ActionType::TransferContactToQueue => false,
        _ => true,
    };
    action.next.as_deref().filter(|_| is_taken)
}

/// The parameters of an action, with those that mean the same where they are left out.
pub(super) fn with_defaults(action: &Action) -> Map<String, Value> {
    let mut parameters = action.parameters.clone();
    let (name, default) = match action.action_type {
        ActionType::TransferParticipantToThirdParty => ("ContinueFlowExecution", "True"),
        ActionType::UpdateContactAttributes => ("TargetContact", "Current"),
        _ => return parameters,
    };
    parameters.entry(name).or_insert_with(|| json!(default));
    parameters
}

#[cfg(test)]
mod tests {
    use super::super::handing_over::tests::parts;
    use super::*;

    #[test]
    fn names_are_no_meaning_and_everything_else_is() {
        let flow = Flow::handing_over(&parts());
        let changed = |change: fn(&mut Flow)| {
            let mut other = flow.clone();
            change(&mut other);
            difference(&flow, &other).map(|difference| difference.what)
        };
        let renamed = |flow: &mut Flow| {
            let mut text = super::super::language::written(flow).to_string();
            for name in ["transfer", "check", "log"] {
                text = text.replace(&format!("\"{name}\""), &format!("\"{name} 2\""));
            }
            *flow = super::super::read(&text).expect("a flow");
        };
        assert_eq!(changed(renamed), None);
        assert_eq!(changed(|flow| flow.actions.reverse()), None);
        assert_eq!(changed(|flow| flow.actions[6].next = None), None, "what queues a contact ends the flow");
        for (change, what) in [
            ((|flow| flow.start = "clear".into()) as fn(&mut Flow), "what they are"),
            (|flow| flow.start = "nowhere".into(), "whether there is such a block"),
            (|flow| flow.actions[5].parameters = Map::new(), "their parameters"),
            (|flow| flow.actions[4].next = None, "whether they lead on"),
            (|flow| flow.actions[3].conditions.clear(), "their conditions"),
            (|flow| flow.actions[3].conditions[0].operands.clear(), "their conditions"),
            (|flow| flow.actions[3].conditions[0].next = "to_queue".into(), "what they are"),
            (|flow| flow.actions[2].errors[1].error = ErrorType::Other("Late".into()), "their errors"),
            (|flow| flow.actions[2].errors.truncate(1), "their errors"),
        ] {
            assert_eq!(changed(change), Some(what));
        }
    }
}
