//! `conversation`: how conversations are led.

use std::time::Duration;

use super::section::Section;

/// How a tenant's conversations are led. What is none has the engine's default.
#[derive(Debug, Clone, PartialEq)]
pub struct ConversationSettings {
    /// `post_response_timeout_ms`: silence after a reply until the assistant is told.
    pub post_response: Option<Duration>,
    /// `final_utterance_timeout_ms`: the longest the caller may take for one utterance; none for no limit.
    pub final_utterance: Option<Duration>,
    /// `assistant_timeout_ms`: one try of the assistant.
    pub assistant: Option<Duration>,
    /// `inactivity_timeout_seconds`: silence of the caller over all turns that ends the call; none for no limit.
    pub inactivity: Option<Duration>,
    /// `silent_turns_max`: turns in a row without the caller in which nothing is heard.
    pub silent_turns: Option<u32>,
    /// `barge_in_on`: what interrupts a reply.
    pub barge_in: BargeIn,
    /// `resume_after_false_barge_in`
    pub resume: bool,
    /// `barge_in_sustained_ms`: so much speech interrupts for good, whether it is understood or not.
    pub sustained: Option<Duration>,
    /// `end_of_turn`: what tells that the caller's turn is over.
    pub end_of_turn: EndOfTurn,
    /// `end_of_turn_complete_ms`: silence after a whole expected phrase.
    pub complete: Option<Duration>,
    /// `end_of_turn_unfinished_ms`: silence after words that go on.
    pub unfinished: Option<Duration>,
    /// `preemptive`: whether the assistant is asked before it is certain that the caller has finished.
    pub preemptive: bool,
    /// `confidence_threshold`: utterances below are dropped, 0 to 1.
    pub confidence: f32,
    /// `notify_on_filtered_utterances`
    pub notify_filtered: bool,
    /// `notify_on_network_warnings`
    pub notify_network: bool,
    /// `suppress_echo`
    pub suppress_echo: bool,
    /// `redact_card_numbers`
    pub redact_card_numbers: bool,
    /// `redact`: regular expressions, as they were written.
    pub redact: Vec<String>,
}

/// What interrupts a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BargeIn {
    /// `speech`: voice activity.
    #[default]
    Speech,
    /// `interim_result`: the recognizer's first words.
    InterimResult,
}

/// What tells that the caller's turn is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EndOfTurn {
    /// `words`: silence, and what was said before it.
    #[default]
    Words,
    /// `silence` alone.
    Silence,
}

/// Reads the section; `embedded` recognizers tell when they understood nothing, and their scripts expect to hear of it. Whether assistants may be
/// asked for nothing is theirs to say.
pub(super) fn read(section: &Section<'_>, embedded: bool, free_of_side_effects: bool) -> ConversationSettings {
    let within = |key: &str, range| Some(Duration::from_millis(section.number(key, range)? as u64));
    let millis = |key: &str| within(key, 100..=600_000);
    let seconds = |key: &str| Some(Duration::from_secs(section.number(key, 10..=86_400)? as u64));
    let settings = ConversationSettings {
        post_response: millis("post_response_timeout_ms"),
        final_utterance: millis("final_utterance_timeout_ms"),
        assistant: millis("assistant_timeout_ms"),
        inactivity: seconds("inactivity_timeout_seconds"),
        silent_turns: section.number("silent_turns_max", 1..=1000).map(|turns| turns as u32),
        barge_in: match section.renamed_choice(
            "barge_in_on",
            &["speech", "interim_result"],
            &[("hypothesis", "interim_result")],
        ) {
            Some(1) => BargeIn::InterimResult,
            _ => BargeIn::Speech,
        },
        resume: section.flag("resume_after_false_barge_in").unwrap_or(true),
        sustained: within("barge_in_sustained_ms", 200..=10_000),
        end_of_turn: match section.choice("end_of_turn", &["words", "silence"]) {
            Some(1) => EndOfTurn::Silence,
            _ => EndOfTurn::Words,
        },
        complete: within("end_of_turn_complete_ms", 100..=5000),
        unfinished: within("end_of_turn_unfinished_ms", 100..=5000),
        preemptive: read_preemptive(section, free_of_side_effects),
        confidence: section.share("confidence_threshold").unwrap_or(0.0),
        notify_filtered: section.flag("notify_on_filtered_utterances").unwrap_or(embedded),
        notify_network: section.flag("notify_on_network_warnings").unwrap_or(false),
        suppress_echo: section.flag("suppress_echo").unwrap_or(true),
        redact_card_numbers: section.flag("redact_card_numbers").unwrap_or(true),
        redact: read_patterns(section),
    };
    section.finish();
    settings
}

fn read_preemptive(section: &Section<'_>, free_of_side_effects: bool) -> bool {
    let wanted = section.flag("preemptive").unwrap_or(false);
    if wanted && !free_of_side_effects {
        let why = "has an assistant asked what the caller may not have said yet: each has to say `free_of_side_effects = true`";
        section.mistake("preemptive", why);
    }
    wanted
}

/// Most patterns: each call looks for all of them in every line.
const PATTERNS_MAX: usize = 16;

fn read_patterns(section: &Section<'_>) -> Vec<String> {
    let mut patterns = section.texts("redact").unwrap_or_default();
    if patterns.len() > PATTERNS_MAX {
        section.mistake("redact", &format!("has {} patterns, and {PATTERNS_MAX} are the most", patterns.len()));
        patterns.truncate(PATTERNS_MAX);
    }
    patterns
}
