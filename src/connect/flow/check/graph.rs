//! The blocks of a flow and the ways between them: start, targets, reach, rings, identifiers.
//!
//! Invariant: a walk looks at each block once.

use std::collections::BTreeMap;

use super::super::reading::shortened;
use super::super::{ACTIONS_MAX, Action, ActionType, ErrorType, Flow, IDENTIFIER_CHARS_MAX, INBOUND};
use super::{Code, Findings};

/// A flow whose branches have been followed.
pub(super) struct Graph<'a> {
    pub(super) flow: &'a Flow,
    /// The blocks by their identifiers: of two of one name, the first.
    named: BTreeMap<&'a str, usize>,
    /// The ways out of each block.
    pub(super) ways: Vec<Vec<Way<'a>>>,
    /// Which blocks a contact may come to.
    pub(super) reached: Vec<bool>,
}

/// A way from one block to another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) by: By<'a>,
    pub(super) to: usize,
}

/// What leads there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By<'a> {
    /// All went well.
    Next,
    /// It stands there, and no contact takes it: a comparison goes on by conditions, and what queues a contact ends the flow.
    Never,
    /// The condition at this place holds.
    Condition(usize),
    /// Something went wrong.
    Error(&'a ErrorType),
}

impl By<'_> {
    /// Whether a contact goes there when nothing goes wrong.
    pub(super) fn is_of_success(self) -> bool {
        matches!(self, Self::Next | Self::Condition(_) | Self::Error(ErrorType::NoMatchingCondition))
    }

    /// What the branch is called.
    pub(super) fn name(self) -> String {
        match self {
            Self::Next | Self::Never => "Success".to_owned(),
            Self::Condition(at) => format!("condition {}", at + 1),
            Self::Error(error) => shortened(error.name()),
        }
    }
}

/// All branches of an action, with where they lead.
fn branches(action: &Action) -> impl Iterator<Item = (By<'_>, &str)> {
    let compares = action.action_type == ActionType::Compare && action.on(&ErrorType::NoMatchingCondition).is_some();
    let never = compares || action.action_type == ActionType::TransferContactToQueue;
    let next = action.next.as_deref().map(move |next| (if never { By::Never } else { By::Next }, next));
    let conditions = action.conditions.iter().enumerate().map(|(at, one)| (By::Condition(at), one.next.as_str()));
    let errors = action.errors.iter().map(|branch| (By::Error(&branch.error), branch.next.as_str()));
    next.into_iter().chain(conditions).chain(errors)
}

impl<'a> Graph<'a> {
    pub(super) fn of(flow: &'a Flow) -> Self {
        let named: BTreeMap<&str, usize> =
            flow.actions.iter().enumerate().rev().map(|(at, action)| (action.identifier.as_str(), at)).collect();
        let ways = |action: &'a Action| {
            branches(action).filter_map(|(by, to)| named.get(to).map(|to| Way { by, to: *to })).collect()
        };
        let ways = flow.actions.iter().map(ways).collect();
        let mut graph = Self { flow, named, ways, reached: vec![] };
        let start = graph.start().into_iter();
        graph.reached = graph.walk(start, |_, way| way.by != By::Never);
        graph
    }

    pub(super) fn start(&self) -> Option<usize> {
        self.named.get(self.flow.start.as_str()).copied()
    }

    pub(super) fn action(&self, at: usize) -> &'a Action {
        &self.flow.actions[at]
    }

    /// The blocks that contacts may come to, in their order.
    pub(super) fn reached(&self) -> impl Iterator<Item = (usize, &'a Action)> {
        self.flow.actions.iter().enumerate().filter(|(at, _)| self.reached[*at])
    }

    /// Which blocks are come to from these by ways that may be taken.
    pub(super) fn walk(&self, from: impl Iterator<Item = usize>, may: impl Fn(usize, &Way<'a>) -> bool) -> Vec<bool> {
        let mut seen = vec![false; self.ways.len()];
        let mut waiting: Vec<usize> = from.collect();
        while let Some(at) = waiting.pop() {
            if !std::mem::replace(&mut seen[at], true) {
                waiting.extend(self.ways[at].iter().filter(|way| may(at, way)).map(|way| way.to));
            }
        }
        seen
    }

    /// Which blocks lead to one of these, however far: the walk against the ways.
    pub(super) fn leading_to(&self, is_end: impl Fn(usize) -> bool) -> Vec<bool> {
        let mut back = vec![vec![]; self.ways.len()];
        for (at, ways) in self.ways.iter().enumerate() {
            for way in ways.iter().filter(|way| way.by != By::Never) {
                back[way.to].push(at);
            }
        }
        let mut seen = vec![false; self.ways.len()];
        let mut waiting: Vec<usize> = (0..self.ways.len()).filter(|at| is_end(*at)).collect();
        while let Some(at) = waiting.pop() {
            if !std::mem::replace(&mut seen[at], true) {
                waiting.extend(&back[at]);
            }
        }
        seen
    }

    /// Groups of blocks that lead to one another by ways that may be taken (Tarjan's strongly connected components).
    fn rings(&self, may: impl Fn(usize, &Way<'a>) -> bool) -> Vec<Vec<usize>> {
        let next: Vec<Vec<usize>> = (0..self.ways.len())
            .map(|at| self.ways[at].iter().filter(|way| may(at, way)).map(|way| way.to).collect())
            .collect();
        let mut search =
            Rings { next: &next, order: vec![None; next.len()], low: vec![0; next.len()], ..Rings::default() };
        for at in 0..next.len() {
            search.from(at);
        }
        search.found.retain(|ring| ring.len() > 1 || next[ring[0]].contains(&ring[0]));
        search.found.iter_mut().for_each(|ring| ring.sort_unstable());
        search.found
    }
}

#[derive(Default)]
struct Rings<'n> {
    next: &'n [Vec<usize>],
    order: Vec<Option<usize>>,
    low: Vec<usize>,
    count: usize,
    open: Vec<usize>,
    is_open: std::collections::BTreeSet<usize>,
    found: Vec<Vec<usize>>,
}

impl Rings<'_> {
    /// Without recursion: a flow is as long as somebody makes it.
    fn from(&mut self, root: usize) {
        if self.order[root].is_some() {
            return;
        }
        let mut path = vec![(root, 0)];
        self.enter(root);
        while let Some((at, branch)) = path.last_mut() {
            let at = *at;
            match self.next[at].get(*branch).copied() {
                Some(to) => {
                    *branch += 1;
                    match self.order[to] {
                        None => {
                            self.enter(to);
                            path.push((to, 0));
                        }
                        Some(order) if self.is_open.contains(&to) => self.low[at] = self.low[at].min(order),
                        Some(_) => {}
                    }
                }
                None => {
                    path.pop();
                    if let Some((before, _)) = path.last() {
                        self.low[*before] = self.low[*before].min(self.low[at]);
                    }
                    self.leave(at);
                }
            }
        }
    }

    fn enter(&mut self, at: usize) {
        self.order[at] = Some(self.count);
        self.low[at] = self.count;
        self.count += 1;
        self.open.push(at);
        self.is_open.insert(at);
    }

    fn leave(&mut self, at: usize) {
        if self.order[at] != Some(self.low[at]) {
            return;
        }
        let mut ring = vec![];
        while let Some(one) = self.open.pop() {
            self.is_open.remove(&one);
            ring.push(one);
            if one == at {
                break;
            }
        }
        self.found.push(ring);
    }
}

/// Characters that no identifier may have (API reference, *Actions in the flow language*).
const REFUSED_CHARACTERS: &str = "(%:\\/)=$,;[]{}";
/// Words that none may be.
const REFUSED_WORDS: [&str; 9] = [
    "__proto__",
    "constructor",
    "__defineGetter__",
    "__defineSetter__",
    "toString",
    "hasOwnProperty",
    "isPrototypeOf",
    "propertyIsEnumerable",
    "toLocaleString",
];
/// Most blocks of a ring that are named.
const NAMED_MAX: usize = 8;

pub(super) fn check(graph: &Graph<'_>, findings: &mut Findings) {
    let flow = graph.flow;
    if let Some(kind) = flow.kind.as_deref().filter(|kind| *kind != INBOUND) {
        findings.flow(Code::FlowType, format!("it is a flow of the type {}", shortened(kind)));
    }
    if graph.start().is_none() {
        findings
            .flow(Code::StartMissing, format!("it starts at {}, and there is no such block", shortened(&flow.start)));
    }
    if flow.actions.len() > ACTIONS_MAX {
        findings
            .flow(Code::TooManyBlocks, format!("it has {} blocks, and {ACTIONS_MAX} are allowed", flow.actions.len()));
    }
    let standing = graph.walk(graph.start().into_iter(), |_, _| true);
    for (at, action) in flow.actions.iter().enumerate() {
        identifier(graph, at, findings);
        targets(graph, action, findings);
        if graph.start().is_some() && !standing[at] && graph.named[action.identifier.as_str()] == at {
            findings.block(Code::BlockUnreached, action, "no way leads to it");
        }
    }
    rings(graph, findings);
}

fn identifier(graph: &Graph<'_>, at: usize, findings: &mut Findings) {
    let action = graph.action(at);
    let name = action.identifier.as_str();
    if graph.named[name] != at {
        findings.block(Code::IdentifierTaken, action, "another block has its identifier");
    }
    if name.chars().count() > IDENTIFIER_CHARS_MAX {
        findings.block(
            Code::IdentifierLong,
            action,
            format!("its identifier has more than {IDENTIFIER_CHARS_MAX} characters"),
        );
    }
    if name.is_empty()
        || name.contains(|c| REFUSED_CHARACTERS.contains(c))
        || REFUSED_WORDS.contains(&name)
        || name == "valueOf"
    {
        findings.block(Code::IdentifierRefused, action, "its identifier is one that Amazon Connect refuses");
    }
}

fn targets(graph: &Graph<'_>, action: &Action, findings: &mut Findings) {
    for (by, to) in branches(action) {
        if !graph.named.contains_key(to) {
            findings.field(
                Code::TargetMissing,
                action,
                &by.name(),
                format!("leads to {}, and there is no such block", shortened(to)),
            );
        }
    }
    let has_branches = action.next.is_some() || !action.conditions.is_empty();
    match action.action_type {
        ActionType::DisconnectParticipant if has_branches => {
            findings.block(Code::NextRefused, action, "it leads on, and the contact is over");
        }
        // A transfer to another flow goes on there; of a comparison the way is the one that no condition leads to.
        ActionType::DisconnectParticipant | ActionType::TransferContactToQueue | ActionType::TransferToFlow => {}
        ActionType::Compare if action.on(&ErrorType::NoMatchingCondition).is_some() => {}
        ActionType::Other(..) => {}
        _ if action.next.is_none() => findings.field(Code::NextMissing, action, "Success", "leads nowhere"),
        _ => {}
    }
}

/// Rings of blocks in which a contact would run without end: what waits for somebody, or counts, is none that is known here.
fn rings(graph: &Graph<'_>, findings: &mut Findings) {
    let runs_on = |at: usize| !matches!(graph.action(at).action_type, ActionType::Other(..));
    // The way on after a transfer is taken once the far end has hung up.
    let waited = |at: usize, way: &Way<'_>| {
        graph.action(at).action_type == ActionType::TransferParticipantToThirdParty && way.by == By::Next
    };
    let rings = graph.rings(|at, way| way.by != By::Never && runs_on(at) && runs_on(way.to) && !waited(at, way));
    for ring in rings {
        let names: Vec<String> =
            ring.iter().take(NAMED_MAX).map(|at| shortened(&graph.action(*at).identifier)).collect();
        let more = if ring.len() > NAMED_MAX { ", …" } else { "" };
        let told = format!("a contact may run without end: {}{more}", names.join(", "));
        findings.block(Code::Ring, graph.action(ring[0]), told);
    }
}
