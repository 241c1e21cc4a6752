//! Figures of many sentences: word errors, cut-offs, waits, dead air; and the table of those that have a target.
//!
//! Invariant: a figure that nothing was measured for is null, and meets no target.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::calls::Outcome;
use crate::outcome::Sentence;
use crate::utterances::word_errors;

/// A caller who hears nothing for longer asks whether anybody is there.
pub(crate) const DEAD_AIR: u64 = 1500;

/// Part of a whole.
#[derive(Default, Clone, Copy)]
struct Share {
    part: usize,
    whole: usize,
}

impl Share {
    fn add(&mut self, part: usize, whole: usize) {
        (self.part, self.whole) = (self.part + part, self.whole + whole);
    }

    fn percent(self) -> Value {
        match self.whole {
            0 => Value::Null,
            whole => json!((self.part as f64 / whole as f64 * 1000.0).round() / 10.0),
        }
    }
}

fn percents(shares: BTreeMap<String, Share>) -> Value {
    Value::Object(shares.into_iter().map(|(name, share)| (name, share.percent())).collect())
}

/// The wait that this share of the sentences does not exceed.
pub(crate) fn at_share(waits: &[u64], share: f64) -> Option<u64> {
    let mut sorted = waits.to_vec();
    sorted.sort_unstable();
    sorted.get((sorted.len() as f64 * share) as usize).copied()
}

/// What callers waited in these calls.
pub(crate) fn waits(outcomes: &[Outcome]) -> Vec<u64> {
    outcomes.iter().flat_map(Outcome::sentences).filter_map(|sentence| sentence.wait).collect()
}

/// The names under which a sentence is counted.
fn kinds(sentence: &Sentence<'_>) -> Vec<String> {
    let mut kinds = vec![sentence.condition.to_owned(), format!("{} voices", sentence.said.engine)];
    if sentence.said.engine == "human" {
        kinds.push(format!("human: {}", sentence.said.speaker));
    }
    if let Some(pause) = &sentence.said.pause {
        kinds.push(format!("pause of {} ms", pause.milliseconds));
    }
    kinds
}

/// Word errors, cut-offs and waits.
pub(crate) fn judge(outcomes: &[Outcome]) -> Map<String, Value> {
    let (mut errors, mut cut, mut unanswered) = (Share::default(), Share::default(), 0);
    let (mut errors_of, mut cut_of): (BTreeMap<String, Share>, BTreeMap<String, Share>) = Default::default();
    let mut waits_of: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let (mut whole, mut waits, mut speakers) = (0, vec![], BTreeSet::new());
    for sentence in outcomes.iter().flat_map(Outcome::sentences) {
        let (wrong, all) = word_errors(&sentence.said.words, &sentence.heard);
        errors.add(wrong, all);
        cut.add(usize::from(sentence.cut_off), 1);
        whole += usize::from(wrong == 0);
        unanswered += usize::from(sentence.wait.is_none() && !sentence.cut_off);
        speakers.insert((sentence.said.engine, sentence.said.speaker));
        for kind in kinds(&sentence) {
            errors_of.entry(kind.clone()).or_default().add(wrong, all);
            cut_of.entry(kind).or_default().add(usize::from(sentence.cut_off), 1);
        }
        if let Some(wait) = sentence.wait {
            waits.push(wait);
            waits_of.entry(sentence.condition).or_default().push(wait);
        }
    }
    let late = Share { part: waits.iter().filter(|wait| **wait > DEAD_AIR).count(), whole: waits.len() };
    let mut figures = json!({
        "sentences": cut.whole,
        "speakers": speakers.len(),
        "understood_whole": whole,
        "word_error_percent": errors.percent(),
        "word_error_percent_of": percents(errors_of),
        "cut_off": cut.part,
        "cut_off_percent": cut.percent(),
        "cut_off_percent_of": percents(cut_of),
        "answered": waits.len(),
        "never_answered": unanswered,
        "never_said": outcomes.iter().map(Outcome::never_said).sum::<usize>(),
        "dead_air_percent": late.percent(),
        "wait_p50_ms": at_share(&waits, 0.5),
        "wait_p95_ms": at_share(&waits, 0.95),
    });
    if waits_of.len() > 1 {
        let told = |waits: &[u64]| json!({"p50": at_share(waits, 0.5), "p95": at_share(waits, 0.95)});
        figures["wait_ms_of"] = waits_of.iter().map(|(name, waits)| ((*name).to_owned(), told(waits))).collect();
    }
    match figures {
        Value::Object(figures) => figures,
        _ => Map::new(),
    }
}

/// How many sentences were taken for one that was expected.
pub(crate) fn misjudged(outcomes: &[Outcome]) -> Map<String, Value> {
    let (mut sentences, mut taken) = (0, 0);
    for sentence in outcomes.iter().flat_map(Outcome::sentences) {
        (sentences, taken) = (sentences + 1, taken + usize::from(!sentence.heard.is_empty()));
    }
    Map::from_iter([("sentences".to_owned(), json!(sentences)), ("taken_for_another".to_owned(), json!(taken))])
}

/// How many greetings were cut, and how many fell silent, if only for a while.
pub(crate) fn interrupted(outcomes: &[Outcome]) -> Map<String, Value> {
    let mut cut_of: BTreeMap<&str, usize> = BTreeMap::new();
    for outcome in outcomes {
        *cut_of.entry(outcome.condition).or_default() += usize::from(outcome.was_interrupted());
    }
    Map::from_iter([
        ("calls".to_owned(), json!(outcomes.len())),
        ("cut".to_owned(), json!(cut_of.values().sum::<usize>())),
        ("cut_of".to_owned(), json!(cut_of)),
        ("fell_silent".to_owned(), json!(outcomes.iter().filter(|outcome| outcome.fell_silent()).count())),
    ])
}

/// A figure that has a target.
struct Target {
    name: &'static str,
    setting: &'static str,
    figure: &'static str,
    /// At least so much, or at most.
    at_least: bool,
    target: f64,
    unit: &'static str,
}

impl Target {
    const fn at_most(
        name: &'static str,
        setting: &'static str,
        figure: &'static str,
        target: f64,
        unit: &'static str,
    ) -> Self {
        Self { name, setting, figure, at_least: false, target, unit }
    }
}

/// The settings that the table needs.
pub(crate) const CACHED: &str = "narrowband, 10 expected";
pub(crate) const UNCACHED: &str = "uncached answer";
pub(crate) const HUMAN: &str = "human voices";
pub(crate) const PAUSED: &str = "with pauses";
pub(crate) const BY_SENTENCE: &str = "interrupted by a sentence";
pub(crate) const BY_NOTHING: &str = "not to be interrupted";

const TARGETS: [Target; 10] = [
    Target::at_most("wait, cached answer, half of them", CACHED, "wait_p50_ms", 650.0, "ms"),
    Target::at_most("wait, cached answer, 95 %", CACHED, "wait_p95_ms", 850.0, "ms"),
    Target::at_most("wait, uncached answer, half of them", UNCACHED, "wait_p50_ms", 750.0, "ms"),
    Target::at_most("wait, uncached answer, 95 %", UNCACHED, "wait_p95_ms", 950.0, "ms"),
    Target::at_most("cut-offs, pauses in mid-sentence", PAUSED, "cut_off_percent", 2.0, "%"),
    Target::at_most("cut-offs, no pauses, synthetic voices", CACHED, "cut_off_percent", 2.0, "%"),
    Target::at_most("cut-offs, no pauses, human voices", HUMAN, "cut_off_percent", 2.0, "%"),
    Target::at_most("word errors, human voices", HUMAN, "word_error_percent", 15.0, "%"),
    Target { at_least: true, ..Target::at_most("interrupted, of 20 that should", BY_SENTENCE, "cut", 19.0, "") },
    Target::at_most("interrupted, of 40 that must not", BY_NOTHING, "cut", 0.0, ""),
];

impl Target {
    fn found(&self, report: &Map<String, Value>) -> Option<f64> {
        report.get(self.setting)?.get(self.figure)?.as_f64()
    }

    fn is_met(&self, found: f64) -> bool {
        if self.at_least { found >= self.target } else { found <= self.target }
    }
}

/// The figures that have a target, as JSON: of those that were measured.
pub(crate) fn against_targets(report: &Map<String, Value>) -> Value {
    let told = |target: &Target| {
        let found = target.found(report)?;
        Some(json!({"figure": target.name, "found": found, "target": target.target, "met": target.is_met(found)}))
    };
    TARGETS.iter().filter_map(told).collect()
}

/// The same as text.
pub(crate) fn table(report: &Map<String, Value>) -> String {
    let mut table = format!("{:<40} {:>10} {:>12}\n", "10 expected, narrowband", "found", "target");
    for target in &TARGETS {
        let sign = if target.at_least { ">=" } else { "<=" };
        let (found, met) = match target.found(report) {
            Some(found) => (format!("{found} {}", target.unit), if target.is_met(found) { "met" } else { "not met" }),
            None => ("-".to_owned(), "not measured"),
        };
        let wanted = format!("{sign} {} {}", target.target, target.unit);
        let _ = writeln!(table, "{:<40} {:>10} {:>12}  {met}", target.name, found.trim_end(), wanted.trim_end());
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_meets_no_target() {
        let report = Map::from_iter([(HUMAN.to_owned(), json!({"word_error_percent": 12.5}))]);
        let told = against_targets(&report);
        assert_eq!(told, json!([{"figure": "word errors, human voices", "found": 12.5, "target": 15.0, "met": true}]));
        assert_eq!(table(&report).lines().filter(|line| line.ends_with("not measured")).count(), TARGETS.len() - 1);
    }

    #[test]
    fn shares_of_waits() {
        assert_eq!(at_share(&[30, 10, 20], 0.5), Some(20));
        assert_eq!(at_share(&[], 0.5), None);
    }
}
