//! How a call ended and what to do about it, of what a record tells: for REST, pages and the command line.
//!
//! Invariant: what is told is that of an entry, and where there is none, what the record says.

use bellhop_call::ending::{BROKEN_OFF, EndReason, Ending, LOST};
use bellhop_call::ports::ListedCall;
use bellhop_call::why;

use super::{ENDED, Entry};

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HowItEnded {
    /// By its word in `docs/errors.md`; none for what another version of this server wrote.
    pub cause: Option<&'static str>,
    /// The same in a sentence, without its full stop.
    pub why: String,
    /// What to do about it, in sentences; nothing where all went as it should.
    pub what_to_do: &'static str,
}

impl HowItEnded {
    /// Of a call that is over.
    pub fn of(call: &ListedCall) -> Self {
        // The label of an ending that did not fail is its word.
        let entry: Option<&Entry> = ENDED.entry(&call.ending).or_else(|| {
            let told = why::word_of(&call.reason, call.failure.as_deref());
            ENDED.entry(told.or_else(|| why::word_of_ending(&call.ending))?)
        });
        let unknown = || {
            let failure = call.failure.clone();
            failure.unwrap_or_else(|| "it ended in a way that this version of the server does not know".to_owned())
        };
        let failed = call.reason == EndReason::Failed.label();
        Self {
            cause: entry.map(|entry| entry.word),
            why: entry.map_or_else(unknown, |entry| entry.title.to_owned()),
            what_to_do: entry.filter(|_| failed).map_or("", |entry| entry.remedy),
        }
    }
}

/// The endings (`call.ending`) of which these words are told, in whatever case. What `failure_details` tells itself is not among them.
pub fn endings_that_say(words: &str) -> Vec<&'static str> {
    let words = words.to_lowercase();
    let told = ENDED.entries.iter().filter(|entry| entry.title.to_lowercase().contains(&words));
    let labels = Ending::LABELS.iter().copied().chain([LOST, BROKEN_OFF]);
    let named = labels.chain(EndReason::ALL.map(EndReason::label)).filter(|ending| ending.contains(words.as_str()));
    let mut endings: Vec<&str> = told.flat_map(|entry| why::endings_of(entry.word)).chain(named).collect();
    endings.sort_unstable();
    endings.dedup();
    endings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(reason: &str, ending: &str, failure: Option<&str>) -> (Option<&'static str>, String, &'static str) {
        let (reason, ending, failure) = (reason.to_owned(), ending.to_owned(), failure.map(str::to_owned));
        let HowItEnded { cause, why, what_to_do } =
            HowItEnded::of(&ListedCall { reason, ending, failure, ..ListedCall::default() });
        (cause, why, what_to_do)
    }

    #[test]
    fn a_call_says_how_it_ended_as_exactly_as_its_record_does() {
        let (cause, why, what_to_do) = told("failed", "failed_service", Some("turn_loop: the assistant was lost"));
        assert_eq!((cause, why.as_str()), (Some("assistant_lost"), "the assistant was lost"));
        assert!(what_to_do.ends_with('.'));
        let transferred = told("assistant_transfer", "transferred", None);
        assert_eq!((transferred.0, transferred.2), (Some("transferred"), ""), "nothing is to be done");
        assert_eq!(told("assistant_transfer", "assistant_transfer", None).0, Some("handed_off"), "an older record");
        assert_eq!(told("failed", "lost", Some(bellhop_call::record::LOST)).0, Some("server_lost"));
        assert_eq!(told("failed", "failed_media_timeout", Some("of another version")).0, Some("media_timeout"));
        assert_eq!(told("failed", "failed_service", Some("of another version")).0, None, "it may be one of several");
        assert_eq!(told("failed", "failed_tomorrow", Some("x: y")), (None, "x: y".to_owned(), ""));
        assert!(told("failed", "failed_tomorrow", None).1.contains("does not know"));
    }

    #[test]
    fn an_ending_is_found_by_words_of_its_sentence_and_by_its_label() {
        assert_eq!(endings_that_say("the CALLER hung up"), ["caller_hangup", "caller_hung_up"]);
        assert_eq!(endings_that_say("media_timeout"), ["failed_media_timeout"]);
        assert_eq!(endings_that_say("server ended while"), ["lost"]);
        assert!(endings_that_say("no such words").is_empty());
    }
}
