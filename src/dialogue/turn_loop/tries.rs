//! Tries: a turn that is asked again has two answers under way; one of them is spoken.
//!
//! The first try goes on when the second is put, for its answer may come any moment. Invariant: of one turn no two tries are
//! heard, and the failure of a try that is given up anyway says nothing about the one that counts.

use crate::ports::Part;

/// The tries of the turn that was asked last.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tries {
    number: u32,
    newest: u32,
    /// The one whose words are heard.
    heard: Option<u32>,
}

impl Tries {
    /// A try is put to the assistant.
    pub fn asked(&mut self, number: u32, attempt: u32) {
        let heard = self.heard.filter(|_| self.number == number);
        *self = Self { number, newest: attempt, heard };
    }

    /// Whether a part of a try counts.
    pub fn takes_part(&mut self, number: u32, attempt: u32, part: &Part) -> bool {
        if number != self.number {
            return true; // of a turn before: the turn loop knows what to do with it
        }
        if matches!(part, Part::Item(_)) {
            self.heard.get_or_insert(attempt);
        }
        self.heard.is_none_or(|heard| heard == attempt)
    }

    /// Whether the end of a try counts.
    pub fn takes_end(&self, number: u32, attempt: u32, succeeded: bool) -> bool {
        number != self.number
            || match self.heard {
                Some(heard) => heard == attempt,
                None => succeeded || attempt == self.newest,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn of_two_tries_the_one_that_speaks_first_is_heard() {
        let mut tries = Tries::default();
        tries.asked(3, 1);
        tries.asked(3, 2);
        let item = Part::Item(Value::Null);
        assert!(tries.takes_part(3, 2, &Part::Progress) && tries.takes_part(3, 1, &item));
        assert!(!tries.takes_part(3, 2, &item) && !tries.takes_end(3, 2, true));
        assert!(tries.takes_part(3, 1, &item) && tries.takes_end(3, 1, false));
        tries.asked(4, 1);
        assert!(tries.takes_part(4, 1, &item) && tries.takes_end(3, 2, true), "the turn loop knows what is old");
    }

    #[test]
    fn a_try_that_was_given_up_may_still_succeed_and_its_failure_is_nothing() {
        let mut tries = Tries::default();
        tries.asked(0, 1);
        assert!(tries.takes_end(0, 1, false));
        tries.asked(0, 2);
        assert!(tries.takes_end(0, 1, true) && !tries.takes_end(0, 1, false) && tries.takes_end(0, 2, false));
    }
}
