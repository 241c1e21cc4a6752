//! Why calls are refused, in the words of whoever refuses them.

use bellhop_actors::node::refused::Why;
use bellhop_console::ports::Reasons;

/// The words of `actors/node/refused.rs`.
pub(super) struct WhyCallsAreRefused;

impl Reasons for WhyCallsAreRefused {
    fn explain(&self, reason: &str) -> (String, String) {
        match Why::ALL.into_iter().find(|why| why.word() == reason) {
            Some(why) => (why.to_string(), why.what_to_do().to_owned()),
            None => ("a reason of another version of this server".to_owned(), "look it up there".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use bellhop_console::errors::REFUSED;

    use super::*;

    #[test]
    fn every_reason_is_explained() {
        for why in Why::ALL {
            let (sentence, what_to_do) = WhyCallsAreRefused.explain(why.word());
            assert_eq!((sentence, what_to_do.as_str()), (why.to_string(), why.what_to_do()));
        }
        assert!(WhyCallsAreRefused.explain("x").0.contains("another version"));
    }

    /// `docs/errors.md` has an entry for each, in the same words.
    #[test]
    fn every_reason_has_an_entry_and_no_entry_is_of_none() {
        let entries: Vec<_> = REFUSED.entries.iter().map(|entry| (entry.word, entry.title.to_owned())).collect();
        let reasons: Vec<_> = Why::ALL.into_iter().map(|why| (why.word(), why.to_string())).collect();
        assert_eq!(entries, reasons);
    }
}
