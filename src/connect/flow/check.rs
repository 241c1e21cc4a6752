//! What is wrong with a flow, all of it at once: by what Amazon Connect takes, and by what has to be so for callers to find an agent.
//!
//! Amazon Connect tells its problems when a flow is imported, one at a time, and nothing of ours. What only it can know, whether a
//! queue exists for instance, is not looked at. Invariant: whatever flow is given, a check ends, and no finding is made up of
//! another: each is told at the block where it is mended.

mod code;
mod contract;
mod graph;
mod parameters;
mod tables;
mod values;

#[cfg(test)]
mod mutated;
#[cfg(test)]
mod tests;

pub use code::{Code, Level};

use std::fmt;

use super::reading::shortened;
use super::{Action, Flow};
use crate::InstanceArn;
use graph::Graph;

/// Most findings that are told: what has more is no flow that somebody would mend.
pub const FINDINGS_MAX: usize = 500;

/// What is known of the tenant whose flow it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The instance that the flow is imported into.
    pub instance: Option<InstanceArn>,
    /// The agents' page up to `session_history_key`, without `=`.
    pub screen_pop_url: Option<String>,
}

/// Something that is wrong with a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub code: Code,
    /// How bad it is.
    pub level: Level,
    /// At which block; none of what is wrong with the whole flow.
    pub block: Option<Block>,
    /// The parameter or branch of the block.
    pub field: Option<String>,
    /// What is wrong, in words: `is not a text`.
    pub told: String,
}

/// A block, as somebody finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its identifier in the flow.
    pub identifier: String,
    /// What the console calls it.
    pub name: String,
}

impl Finding {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        self.code.remedy()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}] ", self.level, self.code)?;
        if let Some(Block { identifier, name }) = &self.block {
            write!(f, "block {identifier} ({name})")?;
            match &self.field {
                Some(field) => write!(f, ", {field}: ")?,
                None => write!(f, ": ")?,
            }
        }
        write!(f, "{}; {}", self.told, self.remedy())
    }
}

/// Tells everything that is wrong with a flow, the blocks in their order.
pub fn validate(flow: &Flow, known: &Known) -> Vec<Finding> {
    let mut findings = Findings::default();
    let graph = Graph::of(flow);
    graph::check(&graph, &mut findings);
    for action in &flow.actions {
        parameters::check(action, &mut findings);
    }
    values::check(flow, known, &mut findings);
    contract::check(&graph, known, &mut findings);
    findings.in_order(flow)
}

/// What has been found.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    /// Of the whole flow.
    fn flow(&mut self, code: Code, told: impl Into<String>) {
        self.push(Finding { code, level: code.level(), block: None, field: None, told: told.into() });
    }

    /// Of a block.
    fn block(&mut self, code: Code, action: &Action, told: impl Into<String>) {
        let block = Some(Block::of(action));
        self.push(Finding { code, level: code.level(), block, field: None, told: told.into() });
    }

    /// Of a parameter or branch of a block.
    fn field(&mut self, code: Code, action: &Action, field: &str, told: impl Into<String>) {
        let (block, field) = (Some(Block::of(action)), Some(shortened(field)));
        self.push(Finding { code, level: code.level(), block, field, told: told.into() });
    }

    fn push(&mut self, finding: Finding) {
        if self.0.len() < FINDINGS_MAX {
            self.0.push(finding);
        }
    }

    /// What is wrong with the whole flow, then block by block as the file has them.
    fn in_order(mut self, flow: &Flow) -> Vec<Finding> {
        let places: std::collections::BTreeMap<String, usize> =
            flow.actions.iter().enumerate().rev().map(|(at, action)| (shortened(&action.identifier), at + 1)).collect();
        let place = |finding: &Finding| match &finding.block {
            None => 0,
            Some(block) => places.get(&block.identifier).copied().unwrap_or(usize::MAX),
        };
        self.0.sort_by_key(place);
        self.0
    }
}

impl Block {
    fn of(action: &Action) -> Self {
        Self { identifier: shortened(&action.identifier), name: shortened(action.action_type.block()) }
    }
}
