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
//! responses. Invariant: the current step travels in the turn's context, so that a retried turn gets the same reply.

use std::collections::BTreeMap;
use std::sync::Arc;

use bellhop_dialogue::ports::{Assistant, PartSink, Pending, ServiceFailure, TurnInput, TurnReply, TurnRequest};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::speech_to_text::pocketsphinx::normalise;

/// A script, checked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    start: String,
    steps: BTreeMap<String, Step>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    #[serde(default)]
    respond: Vec<Value>,
    #[serde(default)]
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

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expectation {
    #[serde(default)]
    say: Vec<String>,
    press: Option<String>,
    go: String,
}

/// What is wrong with a script; one sentence each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct BadScript(pub Vec<String>);

impl Script {
    /// Reads a script and checks it: every mistake at once.
    pub fn parse(yaml: &str) -> Result<Self, BadScript> {
        let script: Self = serde_norway::from_str(yaml).map_err(|error| BadScript(vec![error.to_string()]))?;
        let mistakes = script.mistakes();
        if mistakes.is_empty() { Ok(script) } else { Err(BadScript(mistakes)) }
    }

    /// Every phrase that any step listens for.
    pub fn phrases(&self) -> Vec<String> {
        self.steps.values().flat_map(|step| step.expect.iter().flat_map(|e| e.say.clone())).collect()
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

    fn mistakes(&self) -> Vec<String> {
        let mut mistakes = vec![];
        let mut check = |place: String, step: &str| {
            if !self.steps.contains_key(step) {
                mistakes.push(format!("{place} names the step `{step}`, which is not there"));
            }
        };
        check("start".into(), &self.start);
        for (name, step) in &self.steps {
            for (key, target) in [
                ("then", &step.then),
                ("otherwise", &step.otherwise),
                ("silence", &step.silence),
                ("transfer_failed", &step.transfer_failed),
                ("digits", &step.digits),
                ("meanwhile", &step.meanwhile),
            ] {
                if let Some(target) = target {
                    check(format!("steps.{name}.{key}"), target);
                }
            }
            for (n, expectation) in step.expect.iter().enumerate() {
                check(format!("steps.{name}.expect[{n}].go"), &expectation.go);
            }
        }
        for (name, step) in &self.steps {
            for (n, expectation) in step.expect.iter().enumerate() {
                if expectation.say.is_empty() && expectation.press.is_none() {
                    mistakes.push(format!("steps.{name}.expect[{n}] has neither `say` nor `press`"));
                }
            }
            for (n, item) in step.respond.iter().enumerate() {
                if item.get("response_type").and_then(Value::as_str).is_none() {
                    mistakes.push(format!("steps.{name}.respond[{n}] has no `response_type`"));
                }
            }
            if step.then.is_some() && !step.expect.is_empty() {
                mistakes.push(format!("steps.{name} has both `then` and `expect`"));
            }
        }
        mistakes
    }

    /// The step whose expectations are in force at a step.
    fn listening_at<'a>(&'a self, name: &'a str) -> &'a str {
        let mut at = name;
        // A chain of `then` is followed a few steps: a ring of them listens nowhere.
        for _ in 0..16 {
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

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "
start: hello
steps:
  hello:
    respond: [{response_type: text, text: hi}]
    expect:
      - {say: [opening hours, When are you open?], press: '1', go: hours}
      - {press: '2', go: number}
    otherwise: pardon
    silence: bye
  pardon: {respond: [{response_type: text, text: pardon}], then: hello}
  hours: {respond: [{response_type: text, text: nine to five}], then: hello}
  number: {respond: [{response_type: dtmf}], digits: bye}
  bye: {respond: [{response_type: end_session}]}
";

    fn talk(inputs: &[TurnInput]) -> Vec<String> {
        let script = Script::parse(SCRIPT).expect("good");
        let mut context = Value::Null;
        inputs
            .iter()
            .map(|input| {
                let request = TurnRequest::new(0, input.clone(), context.clone());
                let (reply, again) = (script.reply(&request), script.reply(&request));
                assert_eq!(reply.context, again.context, "a retry gets the same");
                context = reply.context;
                context["step"].as_str().unwrap_or_default().to_owned()
            })
            .collect()
    }

    fn says(text: &str) -> TurnInput {
        TurnInput::Speech { text: text.into(), confidence: 1.0, result: None }
    }

    fn presses(digits: &str) -> TurnInput {
        TurnInput::Digits { digits: digits.into(), succeeded: true }
    }

    #[test]
    fn speech_keys_silence_and_noise_find_their_steps() {
        let said = [
            TurnInput::Start,
            says("when are you open"),
            says("nonsense"),
            presses("1"),
            TurnInput::PostResponseTimeout,
        ];
        assert_eq!(talk(&said), ["hello", "hours", "pardon", "hours", "bye"]);
        assert_eq!(talk(&[TurnInput::Start, presses("2"), presses("4711")]), ["hello", "number", "bye"]);
        assert_eq!(talk(&[TurnInput::Start, TurnInput::NotUnderstood]), ["hello", "pardon"]);
    }

    #[test]
    fn the_phrases_of_the_step_that_listens_come_with_the_reply() {
        let script = Script::parse(SCRIPT).expect("good");
        let context = json!({"step": "hello"});
        let request = TurnRequest::new(1, says("x"), context);
        assert_eq!(script.reply(&request).phrases.as_deref().map(<[String]>::len), Some(2));
    }

    #[test]
    fn every_mistake_is_named() {
        let bad = "start: a\nsteps:\n  b: {expect: [{go: c}], otherwise: d, then: b, respond: [{text: x}]}\n";
        let BadScript(mistakes) = Script::parse(bad).expect_err("bad");
        assert_eq!(mistakes.len(), 6, "{mistakes:?}");
        assert!(Script::parse("start: [").is_err() && Script::parse("start: a\nsteps: {a: {tpyo: 1}}").is_err());
    }
}
