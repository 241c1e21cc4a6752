//! Why calls ended, in words for people who have never seen SIP: one place for records, pages and the command line.
//!
//! Invariant: every label of an ending has its words, and so has every reason of a record from before it had a label.

/// What an ending means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explained {
    /// By its label in `call.ending` of the call detail record.
    pub label: &'static str,
    /// What happened, in a sentence without its full stop.
    pub sentence: &'static str,
    /// What to do about it, in sentences; nothing where all went as it should.
    pub remedy: &'static str,
}

/// `call.ending` of a call whose server died while it was up.
pub const LOST: &str = "lost";
/// The same of one whose end nobody told.
pub const BROKEN_OFF: &str = "broken_off";

const fn of(label: &'static str, sentence: &'static str, remedy: &'static str) -> Explained {
    Explained { label, sentence, remedy }
}

const LATER: &str = "It takes calls again by itself: if this lasts, ask whoever runs this server.";
const OURS: &str = "This is a fault of the server: look for the call's name in its log, and send what stands there to whoever runs it.";

/// All of them: labels of endings, and then those of records alone.
pub const ALL: &[Explained] = &[
    of("caller_hung_up", "the caller hung up", ""),
    of("assistant_ended", "the assistant ended the conversation", ""),
    of("handed_off", "the caller was handed over to an agent, with the conversation", ""),
    of("transferred", "the caller was transferred to another number", ""),
    of("operator_hung_up", "somebody of yours hung up, by a page, REST or the command line", ""),
    of(
        "drained",
        "the server was being stopped, and the call lasted longer than it waits",
        "Stop it when less is called, or have it wait longer: `sip.drain_seconds`.",
    ),
    of("too_long", "the call had lasted for as long as a call may, which is four hours", ""),
    of("refused_unknown_number", "the number that was dialled is nobody's", "Add the number to an integration."),
    of(
        "refused_foreign_instance",
        "the call came from another Amazon Connect instance than the integration's",
        "Compare the instance's ARN in the flow with the one of the integration.",
    ),
    of("refused_quota", "as many calls were up as your plan allows", "Ask an operator for a plan with more calls."),
    of("refused_rate", "more calls began in a second than may", "Ask an operator for a plan with more calls a second."),
    of("refused_node_full", "the server had as many calls as it takes", LATER),
    of("refused_no_ports", "the server had no port for the audio left", "Whoever runs it widens `media.ports`."),
    of("refused_draining", "the server was being stopped and took no more calls", LATER),
    of(
        "refused_not_acceptable",
        "no audio format was offered that both sides speak",
        "Allow G.711, G.722 or Opus at the caller's side; whether SRTP is asked for has to be alike on both sides.",
    ),
    of("refused_unacknowledged", "too many calls of this source were never acknowledged", LATER),
    of(
        "failed_service",
        "a service that the call needs was lost: its speech to text, text to speech or assistant",
        "Test the service on its page; what it answered stands among the warnings. A second service of the same kind takes over where one fails.",
    ),
    of(
        "failed_handoff",
        "Amazon Connect did not take the conversation, and the flow was told so",
        "Test the connection to Amazon Connect on the integration's page: it says what is missing.",
    ),
    of(
        "failed_handoff_uncertain",
        "Amazon Connect did not say in time whether it took the conversation, and so it was taken back",
        "If it happens again, look whether this server reaches Amazon Connect, and whether your account is throttled there.",
    ),
    of(
        "failed_signalling",
        "the caller's side stopped answering, or no audio could be agreed on with it",
        "Look at the ladder for the last message that was answered: a firewall between both sides is the usual cause.",
    ),
    of(
        "failed_transfer",
        "the caller could not be transferred",
        "Look at the ladder for what the other side answered, and whether the target of the transfer can be reached from there.",
    ),
    of(
        "failed_media_timeout",
        "no audio came from the caller any more",
        "Let UDP through to the ports of `media.ports`, and have `sip.advertise` be the address that others reach this server at.",
    ),
    of("failed_panic", "a part of the server failed", OURS),
    of("failed_overdue", "a part of the server did not do its work in time", OURS),
    of(
        LOST,
        "the server ended while the call was up",
        "Look why it ended: a restart that does not wait for calls, or a machine that went down.",
    ),
    of(BROKEN_OFF, "the call broke off within the server", OURS),
    of("assistant_transfer", "the caller was handed over to an agent or transferred", ""),
    of("assistant_hangup", "the assistant ended the conversation", ""),
    of("caller_hangup", "the caller hung up", ""),
    of("failed", "the call failed", "Its details tell of what; a record of today says more."),
];

/// What the label of an ending means; nothing of another version's.
pub fn explain(label: &str) -> Option<&'static Explained> {
    ALL.iter().find(|explained| explained.label == label)
}

/// Labels whose words hold these, in whatever case.
pub fn that_say(words: &str) -> Vec<&'static str> {
    let words = words.to_lowercase();
    let holds = |explained: &&Explained| {
        explained.sentence.to_lowercase().contains(&words) || explained.label.contains(words.as_str())
    };
    ALL.iter().filter(holds).map(|explained| explained.label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ending::{EndReason, Ending};

    #[test]
    fn every_ending_has_its_words_once() {
        let mut labels: Vec<&str> = Ending::LABELS.to_vec();
        labels.extend([LOST, BROKEN_OFF]);
        labels.extend(EndReason::ALL.map(EndReason::label));
        assert_eq!(ALL.iter().map(|explained| explained.label).collect::<Vec<_>>(), labels);
        for explained in ALL {
            assert!(!explained.sentence.ends_with('.') && !explained.sentence.is_empty(), "{explained:?}");
            assert!(explained.remedy.is_empty() || explained.remedy.ends_with('.'), "{explained:?}");
            assert_eq!(explain(explained.label), Some(explained));
            let needs_none = !explained.label.starts_with("failed") && !explained.label.starts_with("refused");
            assert!(needs_none || !explained.remedy.is_empty(), "{explained:?}");
        }
        assert_eq!(explain("of tomorrow"), None);
    }

    #[test]
    fn an_ending_is_found_by_words_of_its_sentence() {
        assert_eq!(that_say("No AUDIO came"), ["failed_media_timeout"]);
        assert_eq!(that_say("caller hung up"), ["caller_hung_up", "caller_hangup"]);
        assert!(that_say("no such words").is_empty());
    }
}
