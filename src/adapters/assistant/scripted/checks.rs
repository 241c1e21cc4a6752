//! What is wrong with a script as a whole: steps that are not there, steps nobody reaches, rings without the caller.
//!
//! Invariant: the ways are those that the script is run by ([`Script::next`]), defaults included.

use std::collections::{BTreeMap, BTreeSet};

use bellhop_dialogue::ports::TurnInput;
use bellhop_dialogue::response::{self, Response};

use super::node::At;
use super::reading::{Places, Read};
use super::{Script, ScriptMistake, Step};
use bellhop_tenancy::likely::hint;

/// Every mistake that no single line shows.
pub(super) fn check(read: &Read) -> Vec<ScriptMistake> {
    let Read { script, places, .. } = read;
    let mut mistakes = missing_steps(script, places);
    mistakes.extend(rings(script, places));
    // A name that leads nowhere leaves steps unreached: those are its followers.
    if mistakes.is_empty() && read.mistakes.is_empty() {
        mistakes.extend(without_effect(script, places));
    }
    if mistakes.is_empty() && read.mistakes.is_empty() {
        mistakes.extend(unreached(script, places));
    }
    mistakes
}

impl Step {
    /// Where it leads: key, which of its expectations, and the step's name.
    fn targets(&self) -> impl Iterator<Item = (&'static str, usize, &str)> {
        let named = [
            ("then", &self.then),
            ("otherwise", &self.otherwise),
            ("silence", &self.silence),
            ("transfer_failed", &self.transfer_failed),
            ("meanwhile", &self.meanwhile),
            ("digits", &self.digits),
        ];
        let named = named.into_iter().filter_map(|(key, target)| Some((key, 0, target.as_deref()?)));
        named.chain(self.expect.iter().enumerate().map(|(n, expectation)| ("go", n, expectation.go.as_str())))
    }
}

fn missing_steps(script: &Script, places: &Places) -> Vec<ScriptMistake> {
    let steps = || script.steps.keys().map(String::as_str);
    let told = |at: At, key: &str, target: &str| ScriptMistake {
        at: Some(at),
        why: format!("`{key}` names the step `{target}`, which is not there{}", hint(target, steps())),
    };
    // Where there is no step at all, that has been told.
    let start = (!script.start.is_empty() && !script.steps.is_empty() && !script.steps.contains_key(&script.start))
        .then(|| told(places.start, "start", &script.start));
    let within = script.steps.iter().flat_map(|(name, step)| step.targets().map(move |target| (name, target)));
    let missing = within.filter(|(_, (_, _, target))| !script.steps.contains_key(*target));
    let missing = missing.map(|(name, (key, n, target))| {
        // An expectation without a place was left out by the reader, and the ones behind it moved up.
        let at = places.targets.get(&(name.clone(), key, n)).or_else(|| places.steps.get(name));
        told(at.copied().unwrap_or((1, 1)), key, target)
    });
    start.into_iter().chain(missing).collect()
}

fn unreached(script: &Script, places: &Places) -> Vec<ScriptMistake> {
    let (mut reached, mut waiting) = (BTreeSet::new(), vec![script.start.as_str()]);
    while let Some(name) = waiting.pop() {
        let Some(step) = script.steps.get(name).filter(|_| reached.insert(name)) else { continue };
        waiting.extend(step.targets().map(|(_, _, target)| target));
    }
    let lost = script.steps.keys().filter(|name| !reached.contains(name.as_str()));
    let told = |name: &String| ScriptMistake {
        at: places.steps.get(name).copied(),
        why: format!("nothing leads to step `{name}`: name it somewhere, or take it out"),
    };
    lost.map(told).collect()
}

/// What a step does that decides where a call goes on.
#[derive(Debug, Clone, Copy, Default)]
struct Does {
    ends: bool,
    asks_at_once: bool,
    transfers: bool,
}

impl Does {
    fn of(step: &Step) -> Self {
        let (read, _) = response::read(&step.respond);
        Self {
            ends: read.iter().any(|one| matches!(one, Response::EndSession { .. })),
            asks_at_once: read.contains(&Response::ForceNoInputTurn),
            transfers: read.iter().any(|one| matches!(one, Response::ConnectToAgent(_))),
        }
    }
}

/// Ways that no call can take: those of a step that hangs up, and those for what never happens where they are.
fn without_effect(script: &Script, places: &Places) -> Vec<ScriptMistake> {
    // What is said before a step listens: by itself, and by those that lead there by `then`.
    let mut before: BTreeMap<&str, Does> = BTreeMap::new();
    let mut mistakes = vec![];
    for (name, step) in &script.steps {
        let does = Does::of(step);
        if does.ends {
            continue;
        }
        let listening = before.entry(script.listening_at(name)).or_default();
        listening.asks_at_once |= does.asks_at_once;
        listening.transfers |= does.transfers;
    }
    for (name, step) in &script.steps {
        let Some(heard) = before.get(name.as_str()) else {
            if Does::of(step).ends && step.targets().next().is_some() {
                let why = format!("step `{name}` hangs up (`end_session`): nothing can follow it");
                mistakes.push(ScriptMistake { at: places.steps.get(name).copied(), why });
            }
            continue;
        };
        for (key, there, happens, what) in [
            ("meanwhile", &step.meanwhile, heard.asks_at_once, "asks for a turn at once (`vgwActForceNoInputTurn`)"),
            ("transfer_failed", &step.transfer_failed, heard.transfers, "hands the caller over (`connect_to_agent`)"),
        ] {
            if there.is_some() && !happens {
                let at = places.targets.get(&(name.clone(), key, 0)).copied();
                let why = format!("`{key}` of step `{name}` has no effect: nothing that is said before it {what}");
                mistakes.push(ScriptMistake { at, why });
            }
        }
    }
    mistakes
}

/// What goes on by itself: each turn follows from the last reply, and the caller has no say.
fn rings(script: &Script, places: &Places) -> Vec<ScriptMistake> {
    let by_itself = |name: &str| -> Option<String> {
        let step = script.steps.get(name)?;
        let (read, _) = response::read(&step.respond);
        let asks = |wanted: &Response| read.iter().any(|one| one == wanted);
        if asks(&Response::ForceNoInputTurn) {
            return Some(script.next(name, &TurnInput::NoInput));
        }
        if asks(&Response::SendSms) {
            return Some(script.next(name, &TurnInput::SmsFailed));
        }
        // Most tenants hang up when a transfer fails: only who says where it goes on is asked whether it ends.
        let transfers = read.iter().any(|one| matches!(one, Response::ConnectToAgent(_)));
        step.transfer_failed.clone().filter(|_| transfers)
    };
    let listens = |name: &str| script.steps.get(name).and_then(|step| step.then.clone());
    let mut mistakes = ring_of(script, places, by_itself, |ring| {
        format!("the steps {ring} follow each other without the caller, for ever")
    });
    mistakes.extend(ring_of(script, places, listens, |ring| {
        format!("`then` leads in a ring ({ring}): none of these steps listens to anything")
    }));
    mistakes
}

/// The rings of a way that leads from each step to at most one other; each is told once, at its first step.
fn ring_of(
    script: &Script,
    places: &Places,
    way: impl Fn(&str) -> Option<String>,
    why: impl Fn(&str) -> String,
) -> Vec<ScriptMistake> {
    // Each step is gone through once: a way that comes to one of an earlier way has nothing new behind it.
    let (mut known, mut mistakes) = (BTreeSet::new(), vec![]);
    for first in script.steps.keys() {
        let (mut path, mut at) = (Vec::<String>::new(), Some(first.clone()));
        while let Some(name) = at.filter(|name| script.steps.contains_key(name)) {
            if !known.insert(name.clone()) {
                if let Some(begins) = path.iter().position(|seen| *seen == name) {
                    let ring = &path[begins..];
                    let told = ring.iter().chain(ring.first()).map(|name| format!("`{name}`")).collect::<Vec<_>>();
                    mistakes
                        .push(ScriptMistake { at: places.steps.get(&name).copied(), why: why(&told.join(" → ")) });
                }
                break;
            }
            at = way(&name);
            path.push(name);
        }
    }
    mistakes
}
