//! What has to be so between a flow and us, so that a caller comes to the assistant, and from it to an agent or to the end.
//!
//! Invariant: what a contact meets is found by following branches, never by the names of blocks.

use super::super::does::AfterTransfer;
use super::super::path::{self, Written};
use super::super::reading::shortened;
use super::super::{Action, ActionType, Does, ErrorType, KEY_PATH, Prompt};
use super::graph::{By, Graph, Way};
use super::{Code, Findings, Known, Level};

/// The attribute that we write.
const KEY: &str = "SessionHistoryKey";
/// What stands in it when nobody has to be asked for.
const HANGUP: &str = "hangup";
/// What may stand in it otherwise: a key, or nothing.
const WANTED: [&str; 2] = ["_0123456789abcdef0123456789abcdef", ""];

pub(super) fn check(graph: &Graph<'_>, known: &Known, findings: &mut Findings) {
    if graph.start().is_none() {
        return;
    }
    let is_queue = |at: usize| graph.action(at).action_type == ActionType::TransferContactToQueue;
    let contract = Contract {
        graph,
        to_queue: graph.leading_to(is_queue),
        onward: graph.leading_to(|at| is_taken_over(graph, at)),
    };
    let transfers: Vec<usize> = graph.reached().filter(|(_, action)| is_to_us(action)).map(|(at, _)| at).collect();
    if transfers.is_empty() {
        findings.flow(Code::TransferMissing, "no caller comes to a Voice Connector");
    }
    if !graph.reached().any(|(at, _)| is_queue(at)) {
        findings.flow(Code::QueueMissing, "no caller comes to a queue");
    }
    for at in transfers {
        contract.transfer(at, findings);
    }
    contract.queues(findings);
    contract.lost(findings);
    for (_, action) in graph.reached() {
        screen_pop(action, known, findings);
    }
}

fn is_to_us(action: &Action) -> bool {
    action.action_type == ActionType::TransferParticipantToThirdParty
        && action.parameters.contains_key("VoiceConnector")
}

/// Whether a contact that comes there is somebody's, and not at its end: a queue, another flow, what is not known here.
fn is_taken_over(graph: &Graph<'_>, at: usize) -> bool {
    let action = graph.action(at);
    match action.action_type {
        ActionType::TransferContactToQueue | ActionType::TransferToFlow => true,
        ActionType::Other(..) => action.next.is_none(),
        _ => false,
    }
}

fn sets<'a>(action: &'a Action, name: &str) -> Option<&'a str> {
    let Ok(Does::SetAttributes(all)) = action.does() else { return None };
    all.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

struct Contract<'g, 'a> {
    graph: &'g Graph<'a>,
    /// Which blocks lead to a queue.
    to_queue: Vec<bool>,
    /// Which lead to somebody or something that goes on with the contact.
    onward: Vec<bool>,
}

impl Contract<'_, '_> {
    fn successors(&self, at: usize) -> Vec<usize> {
        self.graph.ways[at].iter().filter(|way| way.by == By::Next).map(|way| way.to).collect()
    }

    fn transfer(&self, at: usize, findings: &mut Findings) {
        let (graph, action) = (self.graph, self.graph.action(at));
        let Ok(Does::Transfer(transfer)) = action.does() else { return };
        if transfer.after == AfterTransfer::ContactEnds {
            return findings.field(
                Code::TransferEndsFlow,
                action,
                "ContinueFlowExecution",
                "ends the contact with the call",
            );
        }
        if transfer.user_to_user != Some("$.InstanceARN") {
            let field = "VoiceConnector.UserToUserInformation";
            findings.field(Code::UserToUser, action, field, "is not $.InstanceARN, by which we know whose call it is");
        }
        self.key_emptied(at, findings);
        // Nobody comes to the queue but by a check.
        let unchecked =
            graph.walk(self.successors(at).into_iter(), |from, way| way.by != By::Never && !self.is_hangup_check(from));
        if self.is_queue_in(&unchecked) {
            findings.block(Code::HangupUnchecked, action, "callers who need no agent are put into the queue after it");
        }
        for (name, holds) in [("screenPopURL", None), ("sessionHistoryKey", Some(KEY_PATH))] {
            let is_set = |from: usize| {
                let value = sets(graph.action(from), name);
                value.is_some_and(|value| holds.is_none() || path::attribute(value) == Some(KEY))
            };
            let without = graph.walk(self.successors(at).into_iter(), |from, way| {
                way.by.is_of_success() && !is_set(from) && !self.is_of_hangup(from, way)
            });
            if self.is_queue_in(&without) {
                findings.field(Code::AttributeMissing, action, name, "is not set on a way from here to the queue");
            }
        }
    }

    fn is_queue_in(&self, blocks: &[bool]) -> bool {
        let queue = ActionType::TransferContactToQueue;
        blocks.iter().enumerate().any(|(at, is_in)| *is_in && self.graph.action(at).action_type == queue)
    }

    /// What an earlier transfer left would be taken for what this one did.
    fn key_emptied(&self, at: usize, findings: &mut Findings) {
        let graph = self.graph;
        let empties = |from: usize| sets(graph.action(from), KEY) == Some("");
        let full =
            |from: Vec<usize>| graph.walk(from.into_iter(), |from, way| way.by != By::Never && !empties(from))[at];
        let before = findings.0.len();
        if full(graph.start().into_iter().collect()) {
            findings.block(Code::KeyNotEmptied, graph.action(at), "an earlier transfer's key may still be there");
        }
        // Where a contact comes by again, it is.
        let transfers = graph.reached().filter(|(_, action)| is_to_us(action));
        let again: Vec<usize> = transfers.flat_map(|(from, _)| self.successors(from)).collect();
        if full(again) {
            findings.0.truncate(before);
            let told = "the key of the transfer before is still there when a contact comes here again";
            findings.block(Code::KeyNotEmptied, graph.action(at), told);
            findings.0.iter_mut().skip(before).for_each(|finding| finding.level = Level::Problem);
        }
    }

    /// Whether a block ends what is done with, and lets everybody else on.
    fn is_hangup_check(&self, at: usize) -> bool {
        let action = self.graph.action(at);
        let Ok(Does::Compare(value)) = action.does() else { return false };
        if path::attribute(value) != Some(KEY) {
            return false;
        }
        let leads_on = |value: &str| self.taken(at, value).is_some_and(|way| self.to_queue[way.to]);
        let ends = self.taken(at, HANGUP).is_some_and(|way| !self.onward[way.to]);
        ends && WANTED.iter().all(|value| leads_on(value))
    }

    /// Whether it is the way of those who are done with: no agent is shown anything of theirs.
    fn is_of_hangup(&self, at: usize, way: &Way<'_>) -> bool {
        let compared = match self.graph.action(at).does() {
            Ok(Does::Compare(value)) => path::attribute(value) == Some(KEY),
            _ => false,
        };
        let is_condition = matches!(way.by, By::Condition(_));
        compared && is_condition && self.taken(at, HANGUP).is_some_and(|taken| taken.by == way.by)
    }

    /// The way that a comparison takes with a value.
    fn taken(&self, at: usize, value: &str) -> Option<&Way<'_>> {
        let conditions = &self.graph.action(at).conditions;
        let holds = |condition: &super::super::Condition| {
            condition.operands.first().is_some_and(|operand| condition.operator.holds(value, operand) == Some(true))
        };
        let by = match conditions.iter().position(holds) {
            Some(place) => By::Condition(place),
            None => By::Error(&ErrorType::NoMatchingCondition),
        };
        self.graph.ways[at].iter().find(|way| way.by == by)
    }

    fn queues(&self, findings: &mut Findings) {
        let graph = self.graph;
        let unset = graph.walk(graph.start().into_iter(), |from, way| {
            way.by != By::Never && graph.action(from).action_type != ActionType::UpdateContactTargetQueue
        });
        let is_said = |at: usize| matches!(graph.action(at).does(), Ok(Does::Say(said)) if says(said));
        for (at, action) in
            graph.reached().filter(|(_, action)| action.action_type == ActionType::TransferContactToQueue)
        {
            if unset[at] {
                findings.block(Code::QueueUnset, action, "a way leads here on which no queue is chosen");
            }
            let full = graph.ways[at].iter().filter(|way| way.by == By::Error(&ErrorType::QueueAtCapacity));
            let silent = graph.walk(full.map(|way| way.to), |from, way| way.by != By::Never && !is_said(from));
            let ends = |at: usize| graph.action(at).action_type == ActionType::DisconnectParticipant;
            if silent.iter().enumerate().any(|(at, is_in)| *is_in && ends(at)) {
                let error = ErrorType::QueueAtCapacity;
                findings.field(
                    Code::QueueFullUnsaid,
                    action,
                    error.name(),
                    "hangs up without a word when the queue is full",
                );
            }
        }
    }

    /// Branches by which somebody who could still have come to the queue does not.
    fn lost(&self, findings: &mut Findings) {
        for (at, action) in self.graph.reached() {
            if !self.to_queue[at] || action.action_type == ActionType::TransferContactToQueue {
                continue;
            }
            let hangs_up = if self.is_hangup_check(at) { self.taken(at, HANGUP).map(|way| way.by) } else { None };
            for way in self.graph.ways[at].iter().filter(|way| way.by != By::Never && Some(way.by) != hangs_up) {
                if !self.onward[way.to] && self.ends(way.to) {
                    let to = shortened(&self.graph.action(way.to).identifier);
                    let told = format!("leads to {to}, and from there to the end of the contact");
                    findings.field(Code::CallerLost, action, &way.by.name(), told);
                }
            }
        }
    }

    /// Whether a contact that comes there comes to its end: a branch that leads nowhere is told as such.
    fn ends(&self, at: usize) -> bool {
        let seen = self.graph.walk([at].into_iter(), |_, way| way.by != By::Never);
        let ends = |at: usize| self.graph.action(at).action_type == ActionType::DisconnectParticipant;
        seen.iter().enumerate().any(|(at, is_in)| *is_in && ends(at))
    }
}

fn says(prompt: Prompt<'_>) -> bool {
    match prompt {
        Prompt::Text(text) | Prompt::Ssml(text) | Prompt::Recording(text) => !text.trim().is_empty(),
        Prompt::File => true,
    }
}

/// Which page agents are shown.
fn screen_pop(action: &Action, known: &Known, findings: &mut Findings) {
    let Some(url) = sets(action, "screenPopURL") else { return };
    // What a reference stands for is not known here.
    if path::written(url) != Written::Text {
        return;
    }
    let (bare, field) = (url.trim_end_matches('='), "Attributes.screenPopURL");
    let is_own = match &known.screen_pop_url {
        Some(own) => bare == own,
        None => bare.starts_with("https://") && bare.ends_with("session_history_key"),
    };
    if !is_own {
        let own = known.screen_pop_url.as_deref().unwrap_or("https://…/loadAgentAppFrame.html?session_history_key");
        let told = format!("is `{}`, and ours is `{own}`", shortened(url));
        findings.field(Code::ScreenPopElsewhere, action, field, told);
    } else if bare != url {
        findings.field(Code::ScreenPopEqualsSign, action, field, "ends in an equals sign");
    }
}
