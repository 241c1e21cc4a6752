//! The settings of how conversations are led, as people call them.
//!
//! Invariant: as in `tabs.rs`.

use super::{Field, ON_OR_OFF, field, words};

/// On the tab *Conversation*.
pub(super) const FIELDS: &[Field] = &[
    field("language", "Language", "A tag like en-US or de-DE.", "en-US"),
    field(
        "conversation.post_response_timeout_ms",
        "Milliseconds of silence after a reply",
        "Then the assistant is told that nothing was said.",
        "7000",
    ),
    field("conversation.final_utterance_timeout_ms", "Milliseconds until the caller has to come to an end", "", "none"),
    field(
        "conversation.assistant_timeout_ms",
        "Milliseconds that the assistant has to reply",
        "It is asked once more before it counts as lost.",
        "5000",
    ),
    field(
        "conversation.silent_turns_max",
        "Turns in a row in which nothing is heard",
        "After one more the assistant counts as lost.",
        "20",
    ),
    field("conversation.inactivity_timeout_seconds", "Seconds of silence that end the call", "", "none"),
    words(
        "conversation.barge_in_on",
        "What interrupts a reply",
        "",
        &[("speech", "The caller's voice"), ("interim_result", "The first words that are understood")],
    ),
    words(
        "conversation.resume_after_false_barge_in",
        "A reply goes on when what interrupted it was nothing",
        "",
        ON_OR_OFF,
    ),
    field(
        "conversation.barge_in_sustained_ms",
        "Milliseconds of speech that interrupt for good",
        "Whether it is understood or not. 200 to 10,000; a cough is shorter.",
        "600",
    ),
    words(
        "conversation.end_of_turn",
        "What tells that the caller has finished",
        "",
        &[("words", "Silence, and what was said before it"), ("silence", "Silence alone")],
    ),
    words(
        "conversation.preemptive",
        "The assistant is asked before it is certain that the caller has finished",
        "If they go on, what it said is thrown away. Each assistant that is no script has to be free of side effects, which REST is told.",
        ON_OR_OFF,
    ),
    field(
        "conversation.end_of_turn_complete_ms",
        "Milliseconds of silence after a whole phrase that is expected",
        "100 to 5,000.",
        "250",
    ),
    field(
        "conversation.end_of_turn_unfinished_ms",
        "Milliseconds of silence after words that go on",
        "After the beginning of a phrase that is expected, a number half dictated, or “and”. 100 to 5,000.",
        "1200",
    ),
    field(
        "conversation.confidence_threshold",
        "How sure the recognizer has to be",
        "From 0 to 1: what is less sure is dropped.",
        "0",
    ),
    Field {
        usual: "on with the recognizer of this server, off with others",
        ..words(
            "conversation.notify_on_filtered_utterances",
            "The assistant is told of what was dropped",
            "",
            ON_OR_OFF,
        )
    },
    words("conversation.notify_on_network_warnings", "The assistant is told of a bad line", "", ON_OR_OFF),
    words("conversation.suppress_echo", "The assistant's own voice is dropped where it is heard back", "", ON_OR_OFF),
];
