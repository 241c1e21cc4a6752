//! Gathers digits until a collection has what it waits for.
//!
//! Invariant: digits are never lost: what was gathered when the time ran out is delivered as failed.

use crate::response::DtmfCollect;

/// A collection under way.
#[derive(Debug, Clone, Default)]
pub(crate) struct DtmfCollector {
    wanted: DtmfCollect,
    digits: String,
}

/// A collection that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Collected {
    /// The digits, without the termination key.
    pub digits: String,
    /// Whether it has what it waited for.
    pub succeeded: bool,
}

impl DtmfCollector {
    /// Begins a collection.
    pub(crate) fn new(wanted: DtmfCollect) -> Self {
        Self { wanted, digits: String::new() }
    }

    /// What it waits for.
    pub(crate) fn wanted(&self) -> &DtmfCollect {
        &self.wanted
    }

    /// Whether a digit was pressed already.
    pub(crate) fn has_begun(&self) -> bool {
        !self.digits.is_empty()
    }

    /// Takes a digit; returns the collection when it is complete.
    pub(crate) fn push(&mut self, digit: char) -> Option<Collected> {
        if self.wanted.termination_key == Some(digit) {
            return Some(self.end(true));
        }
        self.digits.push(digit);
        let limit = [self.wanted.count, self.wanted.maximum].into_iter().flatten().min().unwrap_or(100);
        (self.digits.len() >= limit).then(|| self.end(true))
    }

    /// Time ran out; `None` if no digit was pressed at all.
    pub(crate) fn time_out(&mut self) -> Option<Collected> {
        self.has_begun().then(|| self.end(false))
    }

    /// Whether it has what it waited for: the count, or at least the minimum, or what ends it `by_key`.
    fn end(&mut self, by_key: bool) -> Collected {
        let digits = std::mem::take(&mut self.digits);
        let enough = match (self.wanted.count, self.wanted.minimum) {
            (Some(count), None) => digits.len() == count,
            (_, Some(minimum)) => digits.len() >= minimum,
            (None, None) => by_key,
        };
        Collected { digits, succeeded: enough }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(count: Option<usize>, key: Option<char>, pressed: &str) -> Option<(String, bool)> {
        let mut collector = DtmfCollector::new(DtmfCollect { count, termination_key: key, ..DtmfCollect::default() });
        pressed.chars().find_map(|digit| collector.push(digit)).map(|c| (c.digits, c.succeeded))
    }

    #[test]
    fn count_and_key_end_a_collection() {
        assert_eq!(collect(Some(4), None, "12345"), Some(("1234".into(), true)));
        assert_eq!(collect(None, Some('#'), "12#"), Some(("12".into(), true)));
        assert_eq!(collect(Some(4), Some('#'), "12#"), Some(("12".into(), false)));
        assert_eq!(collect(Some(4), None, "123"), None);
        assert_eq!(collect(None, Some('#'), &"1".repeat(100)), Some(("1".repeat(100), true)));
    }

    #[test]
    fn a_range_of_lengths_is_a_success_within() {
        let wanted = DtmfCollect { minimum: Some(2), maximum: Some(3), ..DtmfCollect::default() };
        let after = |pressed: &str| {
            let mut collector = DtmfCollector::new(wanted.clone());
            let full = pressed.chars().find_map(|digit| collector.push(digit));
            full.or_else(|| collector.time_out()).map(|collected| (collected.digits, collected.succeeded))
        };
        assert_eq!(after("1"), Some(("1".into(), false)));
        assert_eq!(after("12"), Some(("12".into(), true)));
        assert_eq!(after("1234"), Some(("123".into(), true)));
        assert_eq!(after(""), None);
    }

    #[test]
    fn what_was_gathered_is_delivered_when_time_runs_out() {
        let mut collector = DtmfCollector::new(DtmfCollect { count: Some(4), ..DtmfCollect::default() });
        assert_eq!(collector.time_out(), None);
        collector.push('7');
        assert_eq!(collector.time_out(), Some(Collected { digits: "7".into(), succeeded: false }));
    }
}
