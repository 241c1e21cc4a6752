//! What was taken from interim results, until the results of it come.
//!
//! Invariant: a result says nothing a second time that was taken less than [`TAKEN_FOR_MAX`] ago; what never gets a result hides none after that.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::end_of_turn::words;

/// A result that has not come for so long does not come.
const TAKEN_FOR_MAX: Duration = Duration::from_secs(5);
/// Utterances that may await their results at once; the oldest is forgotten.
const TAKEN_MAX: usize = 4;

/// The utterances, oldest first.
#[derive(Default)]
pub(super) struct Taken(VecDeque<(Instant, String)>);

/// What a result is of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ResultOf {
    /// Nothing was taken.
    Nothing,
    /// This follows what was taken.
    Taken { rest: String },
    /// Other words than were taken.
    Other,
}

impl Taken {
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// An utterance is taken.
    pub(super) fn push(&mut self, now: Instant, text: String) {
        if self.0.len() == TAKEN_MAX {
            self.0.pop_front();
        }
        self.0.push_back((now, text));
    }

    /// The oldest has its result.
    pub(super) fn pop(&mut self, now: Instant) -> Option<String> {
        self.expire(now);
        self.0.pop_front().map(|(_, text)| text)
    }

    /// A result came. Those before the one that it is of have none.
    pub(super) fn result(&mut self, now: Instant, text: &str) -> ResultOf {
        self.expire(now);
        let found =
            self.0.iter().enumerate().find_map(|(n, (_, taken))| Some((n, words::rest(text, taken)?.to_owned())));
        match found {
            Some((n, rest)) => {
                self.0.drain(..=n);
                ResultOf::Taken { rest }
            }
            None if self.0.pop_front().is_some() => ResultOf::Other,
            None => ResultOf::Nothing,
        }
    }

    /// What an interim result says that was not taken.
    pub(super) fn new_of(&mut self, now: Instant, text: String) -> String {
        self.expire(now);
        self.0.iter().find_map(|(_, taken)| words::rest(&text, taken).map(str::to_owned)).unwrap_or(text)
    }

    fn expire(&mut self, now: Instant) {
        while self.0.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) >= TAKEN_FOR_MAX) {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(now: Instant, texts: &[&str]) -> Taken {
        let mut taken = Taken::default();
        texts.iter().for_each(|text| taken.push(now, (*text).to_owned()));
        taken
    }

    #[test]
    fn each_result_is_of_one_and_says_nothing_twice() {
        let now = Instant::now();
        let mut both = taken(now, &["yes", "an agent"]);
        assert_eq!(both.new_of(now, "Yes please".into()), "please");
        assert_eq!(both.result(now, "Yes."), ResultOf::Taken { rest: String::new() });
        assert_eq!(both.result(now, "an agent please"), ResultOf::Taken { rest: "please".into() });
        assert_eq!(both.result(now, "yes"), ResultOf::Nothing);
        // The first never gets one.
        let mut second = taken(now, &["yes", "an agent"]);
        assert_eq!(second.result(now, "an agent"), ResultOf::Taken { rest: String::new() });
        assert_eq!(second.result(now, "yes"), ResultOf::Nothing);
        assert_eq!(taken(now, &["no"]).result(now, "know what I owe"), ResultOf::Other);
    }

    #[test]
    fn what_never_gets_a_result_hides_none_for_ever() {
        let now = Instant::now();
        let mut late = taken(now, &["yes"]);
        assert_eq!(late.result(now + TAKEN_FOR_MAX, "yes"), ResultOf::Nothing);
        let many = taken(now, &["a", "b", "c", "d", "e"]);
        assert_eq!(many.0.len(), TAKEN_MAX);
    }
}
