//! From what settings say of conversations to how the turn loop leads them.
//!
//! Invariant: whatever the settings are, there is a policy; a pattern that is none is told by its path, and left out. Slow where there are
//! many patterns: it belongs where services are opened, and not on the thread of all calls.

use bellhop_dialogue::redaction::Redaction;
use bellhop_dialogue::turn_loop::{Policy, Silences, Trigger};
use bellhop_tenancy::settings::{BargeIn, ConversationSettings, EndOfTurn, Mistake};

/// How conversations are led, with every mistake by its path in the document.
pub fn of(settings: &ConversationSettings) -> (Policy, Vec<Mistake>) {
    let default = Policy::default();
    let (mut patterns, mut mistakes) = (vec![], vec![]);
    for (n, text) in settings.redact.iter().enumerate() {
        match Redaction::pattern(text) {
            Ok(pattern) => patterns.push(pattern),
            Err(why) => {
                let why = format!("`{text}` is no regular expression: {why}");
                mistakes.push(Mistake::of_value(format!("conversation.redact[{n}]"), why));
            }
        }
    }
    let policy = Policy {
        post_response: settings.post_response.unwrap_or(default.post_response),
        final_utterance: settings.final_utterance,
        assistant: settings.assistant.unwrap_or(default.assistant),
        inactivity: settings.inactivity,
        silent_turns: settings.silent_turns.unwrap_or(default.silent_turns),
        barge_in: match settings.barge_in {
            BargeIn::Speech => Trigger::Speech,
            BargeIn::InterimResult => Trigger::InterimResult,
        },
        resume: settings.resume,
        sustained: settings.sustained.unwrap_or(default.sustained),
        end_of_turn: match settings.end_of_turn {
            EndOfTurn::Words => {
                let silences = Silences::default();
                Some(Silences {
                    complete: settings.complete.unwrap_or(silences.complete),
                    unfinished: settings.unfinished.unwrap_or(silences.unfinished),
                })
            }
            EndOfTurn::Silence => None,
        },
        preemptive: settings.preemptive,
        confidence: settings.confidence,
        notify_filtered: settings.notify_filtered,
        notify_network: settings.notify_network,
        suppress_echo: settings.suppress_echo,
        redaction: Redaction::new(settings.redact_card_numbers, patterns),
    };
    (policy, mistakes)
}

#[cfg(test)]
mod tests {
    use bellhop_tenancy::settings::{Alone, Reading, json};

    use super::*;

    #[test]
    fn there_is_a_policy_whatever_the_patterns_are() {
        let document =
            r#"{"name": "acme", "conversation": {"redact": ["[0-9]{4}", "("], "barge_in_on": "interim_result"}}"#;
        let settings = Reading::of(&json::read(document).expect("JSON"), &Alone).settings;
        let (policy, mistakes) = of(&settings.conversation);
        assert_eq!(policy.barge_in, Trigger::InterimResult);
        assert_eq!(
            mistakes.iter().map(|mistake| mistake.path.as_str()).collect::<Vec<_>>(),
            ["conversation.redact[1]"]
        );
    }
}
