//! `[tenants.conversation]`: how conversations are led.

use std::time::Duration;

use bellhop_dialogue::redaction::{Redaction, Regex};
use bellhop_dialogue::turn_loop::{Policy, Trigger};

use super::reader::Section;

/// Reads the section; `embedded` recognizers tell when they understood nothing, and their scripts expect to hear of it.
pub(super) fn read(section: &Section<'_>, embedded: bool) -> Policy {
    let default = Policy::default();
    let millis = |key: &str| Some(Duration::from_millis(section.number(key, 100..=600_000)? as u64));
    let seconds = |key: &str| Some(Duration::from_secs(section.number(key, 10..=86_400)? as u64));
    let policy = Policy {
        post_response: millis("post_response_timeout_ms").unwrap_or(default.post_response),
        final_utterance: millis("final_utterance_timeout_ms"),
        assistant: millis("assistant_timeout_ms").unwrap_or(default.assistant),
        inactivity: seconds("inactivity_timeout_seconds"),
        silent_turns: section.number("silent_turns_max", 1..=1000).map_or(default.silent_turns, |turns| turns as u32),
        barge_in: match section.renamed_choice(
            "barge_in_on",
            &["speech", "interim_result"],
            &[("hypothesis", "interim_result")],
        ) {
            Some(1) => Trigger::InterimResult,
            _ => Trigger::Speech,
        },
        resume: section.flag("resume_after_false_barge_in").unwrap_or(default.resume),
        confidence: section.share("confidence_threshold").unwrap_or(default.confidence),
        notify_filtered: section.flag("notify_on_filtered_utterances").unwrap_or(embedded),
        notify_network: section.flag("notify_on_network_warnings").unwrap_or(default.notify_network),
        redaction: Redaction::new(
            section.flag("redact_card_numbers").unwrap_or(true),
            section.list("redact", pattern).unwrap_or_default(),
        ),
        suppress_echo: section.flag("suppress_echo").unwrap_or(default.suppress_echo),
    };
    section.finish();
    policy
}

fn pattern(text: &str) -> Result<Regex, String> {
    Redaction::pattern(text).map_err(|why| format!("`{text}` is no regular expression: {why}"))
}
