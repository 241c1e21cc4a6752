//! `scripted`: an assistant in one readable file.
//!
//! ```yaml
//! start: greeting
//! steps:
//!   greeting:
//!     respond:                       # the vendor's generic[] shape, in order
//!       - response_type: text
//!         text: How can I help?
//!     expect:                        # what the caller may say or press, and where that leads
//!       - say: [opening hours, when are you open]
//!         press: "1"
//!         go: hours
//!     otherwise: not_understood      # anything else; default: this step again
//!     silence: still_there           # nothing for the post-response timeout; default: otherwise
//!     transfer_failed: sorry         # vgwCallTransferFailed; default: otherwise
//!     meanwhile: found_it            # vgwNoInputTurn, after vgwActForceNoInputTurn; default: otherwise
//! ```
//! A step with `then: other_step` instead of `expect` goes on with the expectations of the other step after its own
//! responses. A script is checked by the readers that run it (`reading.rs`, `checks.rs`): what has no effect, or can
//! never be reached, is a mistake with its line. Invariant: the current step travels in the turn's context, so that a
//! retried turn gets the same reply.

mod checks;
mod fields;
mod node;
mod reading;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use bellhop_dialogue::ports::{Assistant, PartSink, Pending, ServiceFailure, TurnInput, TurnReply, TurnRequest};
use serde_json::{Value, json};

use crate::speech_to_text::pocketsphinx::normalise;
use node::Node;

/// A script, checked.
#[derive(Debug, Clone)]
pub struct Script {
    start: String,
    steps: BTreeMap<String, Step>,
}

#[derive(Debug, Clone, Default)]
struct Step {
    respond: Vec<Value>,
    expect: Vec<Expectation>,
    then: Option<String>,
    otherwise: Option<String>,
    silence: Option<String>,
    transfer_failed: Option<String>,
    /// Where a turn leads that a reply wants at once (`vgwActForceNoInputTurn`).
    meanwhile: Option<String>,
    /// Where a collection of digits leads, whatever the digits.
    digits: Option<String>,
}

#[derive(Debug, Clone)]
struct Expectation {
    say: Vec<String>,
    press: Option<String>,
    go: String,
}

/// What is wrong with a script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(|mistake| mistake.why.as_str()).collect::<Vec<_>>().join("; "))]
pub struct BadScript(pub Vec<ScriptMistake>);

/// One mistake of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptMistake {
    /// Line and column, from 1; none if it is the whole file's.
    pub at: Option<(usize, usize)>,
    /// What is wrong, in a sentence.
    pub why: String,
}

impl Script {
    /// Reads a script and checks it: every mistake at once.
    pub fn parse(yaml: &str) -> Result<Self, BadScript> {
        let root = Node::parse(yaml).map_err(|mistake| BadScript(vec![mistake]))?;
        let mut read = reading::read(&root);
        let whole = checks::check(&read);
        read.mistakes.extend(whole);
        read.mistakes.sort_by_key(|mistake| mistake.at);
        if read.mistakes.is_empty() { Ok(read.script) } else { Err(BadScript(read.mistakes)) }
    }

    /// Every phrase that any step listens for.
    pub fn phrases(&self) -> Vec<String> {
        self.steps.values().flat_map(|step| step.expect.iter().flat_map(|e| e.say.clone())).collect()
    }

    /// What it says whatever happens, the greeting first.
    pub fn texts(&self) -> Vec<String> {
        let greeting = self.steps.get(&self.start);
        let others = self.steps.iter().filter(|(name, _)| **name != self.start).map(|(_, step)| step);
        let texts = greeting.into_iter().chain(others).flat_map(|step| &step.respond);
        let text = |response: &Value| match response["response_type"].as_str()? {
            "text" => Some(response["text"].as_str()?.to_owned()),
            "connect_to_agent" => Some(response.pointer("/agent_available/message")?.as_str()?.to_owned()),
            _ => None,
        };
        texts.filter_map(text).collect()
    }

    /// How many alternatives each step that listens offers.
    pub fn alternatives(&self) -> BTreeMap<&str, usize> {
        let count = |step: &Step| step.expect.iter().map(|e| e.say.len()).sum::<usize>();
        self.steps
            .iter()
            .filter(|(_, step)| !step.expect.is_empty())
            .map(|(name, s)| (name.as_str(), count(s)))
            .collect()
    }

    /// The step whose expectations are in force at a step.
    fn listening_at<'a>(&'a self, name: &'a str) -> &'a str {
        let mut at = name;
        // A ring of `then`, which is a mistake, listens nowhere.
        for _ in 0..self.steps.len() {
            match self.steps.get(at).and_then(|step| step.then.as_deref()) {
                Some(next) => at = next,
                None => return at,
            }
        }
        at
    }

    fn next(&self, at: &str, input: &TurnInput) -> String {
        let listening = self.listening_at(at);
        let Some(step) = self.steps.get(listening) else { return self.start.clone() };
        let otherwise = || step.otherwise.clone().unwrap_or_else(|| listening.to_owned());
        let found = match input {
            TurnInput::Start => Some(self.start.clone()),
            TurnInput::Speech { text, .. } => {
                let said = normalise(text);
                let hit = step.expect.iter().find(|e| e.say.iter().any(|phrase| normalise(phrase) == said));
                hit.map(|e| e.go.clone())
            }
            TurnInput::Digits { digits, .. } => {
                let hit = step.expect.iter().find(|e| e.press.as_deref() == Some(digits));
                hit.map(|e| e.go.clone()).or_else(|| step.digits.clone())
            }
            TurnInput::Choice { input, .. } => {
                let said = normalise(input.get("text").and_then(Value::as_str).unwrap_or_default());
                let hit = step.expect.iter().find(|e| e.say.iter().any(|phrase| normalise(phrase) == said));
                hit.map(|e| e.go.clone())
            }
            TurnInput::PostResponseTimeout | TurnInput::FinalUtteranceTimeout => step.silence.clone(),
            TurnInput::NoInput => step.meanwhile.clone(),
            TurnInput::CallTransferFailed => step.transfer_failed.clone(),
            TurnInput::NotUnderstood | TurnInput::SmsFailed | TurnInput::NetworkWarning => None,
        };
        found.unwrap_or_else(otherwise)
    }

    fn reply(&self, request: &TurnRequest) -> TurnReply {
        let at = request.context.get("step").and_then(Value::as_str).unwrap_or(&self.start);
        let next = self.next(at, &request.input);
        let Some(step) = self.steps.get(&next) else { return TurnReply::default() };
        let listening = self.steps.get(self.listening_at(&next)).unwrap_or(step);
        let phrases: Arc<[String]> = listening.expect.iter().flat_map(|e| e.say.clone()).collect();
        TurnReply {
            generic: step.respond.clone(),
            context: json!({ "step": next }),
            legacy: Value::Null,
            phrases: Some(phrases).filter(|phrases| !phrases.is_empty()),
            ..TurnReply::default()
        }
    }
}

/// The assistant.
#[derive(Debug, Clone)]
pub struct Scripted(Arc<Script>);

impl Scripted {
    /// An assistant that follows a script.
    pub fn new(script: Script) -> Self {
        Self(Arc::new(script))
    }
}

impl Assistant for Scripted {
    fn turn(&self, request: TurnRequest, _: PartSink) -> Pending<Result<TurnReply, ServiceFailure>> {
        let reply = self.0.reply(&request);
        Box::pin(async { Ok(reply) })
    }
}
