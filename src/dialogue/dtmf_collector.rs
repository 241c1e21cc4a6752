//! Gathers digits until a collection has what it waits for.
//!
//! Invariant: digits are never lost: what was gathered when the time ran out is delivered as failed.

use crate::response::DtmfCollect;

/// A collection under way.
#[derive(Debug, Clone, Default)]
pub struct DtmfCollector {
    wanted: DtmfCollect,
    digits: String,
}

/// A collection that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collected {
    /// The digits, without the termination key.
    pub digits: String,
    /// Whether it has what it waited for.
    pub succeeded: bool,
}

impl DtmfCollector {
    /// Begins a collection.
    pub fn new(wanted: DtmfCollect) -> Self {
        Self { wanted, digits: String::new() }
    }

    /// Takes a digit; returns the collection when it is complete.
    pub fn push(&mut self, digit: char) -> Option<Collected> {
        if self.wanted.termination_key == Some(digit) {
            // A key that comes before the count is reached ends the collection short.
            let succeeded = self.wanted.count.is_none_or(|count| self.digits.len() == count);
            return Some(Collected { digits: std::mem::take(&mut self.digits), succeeded });
        }
        self.digits.push(digit);
        let limit = self.wanted.count.unwrap_or(100);
        (self.digits.len() >= limit).then(|| Collected { digits: std::mem::take(&mut self.digits), succeeded: true })
    }

    /// Time ran out; `None` if no digit was pressed at all.
    pub fn time_out(&mut self) -> Option<Collected> {
        let digits = std::mem::take(&mut self.digits);
        (!digits.is_empty()).then_some(Collected { digits, succeeded: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(count: Option<usize>, key: Option<char>, pressed: &str) -> Option<(String, bool)> {
        let mut collector = DtmfCollector::new(DtmfCollect { count, termination_key: key });
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
    fn what_was_gathered_is_delivered_when_time_runs_out() {
        let mut collector = DtmfCollector::new(DtmfCollect { count: Some(4), termination_key: None });
        assert_eq!(collector.time_out(), None);
        collector.push('7');
        assert_eq!(collector.time_out(), Some(Collected { digits: "7".into(), succeeded: false }));
    }
}
