//! One press that comes by two ways: some gateways send telephone-event *and* INFO for the same key.
//!
//! Invariant: a press by one way silences at most one press of the same key by the other, so that a digit pressed twice
//! counts twice however it travels; what comes by one way alone is never touched. Driver: `actors/call/reports.rs`.

use std::time::{Duration, Instant};

use super::Digit;

/// How far apart the two reports of one press may be, beyond the time that the key was held.
pub const TOGETHER: Duration = Duration::from_millis(300);
/// Most presses that wait for their other report; more in that time are no human's.
const WAITING_MAX: usize = 8;

/// How a press came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// In the audio stream: telephone-event, or its tone.
    Media,
    /// In the dialog: INFO.
    Signalling,
}

/// The presses of one call.
#[derive(Debug, Default)]
pub struct TwoWays {
    /// Counted, and not yet heard of by the other way.
    waiting: [Option<Counted>; WAITING_MAX],
}

#[derive(Debug, Clone, Copy)]
struct Counted {
    at: Instant,
    way: Way,
    digit: Digit,
}

impl TwoWays {
    /// Whether a press that is reported now, and was held for so long, is one that has not been counted.
    pub fn is_new(&mut self, now: Instant, way: Way, digit: Digit, held: Duration) -> bool {
        let since = |counted: &Counted| now.saturating_duration_since(counted.at);
        // An INFO is sent at the beginning or at the end of a press, and claims any duration.
        let held = if way == Way::Media { held } else { Duration::ZERO };
        let echo = self
            .waiting
            .iter_mut()
            .filter(|place| {
                place.is_some_and(|other| {
                    other.way != way && other.digit == digit && since(&other) <= held.saturating_add(TOGETHER)
                })
            })
            .max_by_key(|place| place.as_ref().map(since));
        if let Some(echo) = echo {
            *echo = None;
            return false;
        }
        // A free place, or the oldest.
        if let Some(place) = self.waiting.iter_mut().min_by_key(|place| place.map(|counted| counted.at)) {
            *place = Some(Counted { at: now, way, digit });
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Presses as `(ms, way, key, held in ms)`: those that count.
    fn counted(plan: &[(u64, Way, char, u64)]) -> String {
        let (start, mut presses) = (Instant::now(), TwoWays::default());
        plan.iter()
            .filter(|(at, way, key, held)| {
                let digit = Digit::from_char(*key).expect("a digit");
                presses.is_new(start + Duration::from_millis(*at), *way, digit, Duration::from_millis(*held))
            })
            .map(|(_, _, key, _)| *key)
            .collect()
    }

    #[test]
    fn one_press_by_two_ways_counts_once_whichever_is_first() {
        use Way::{Media, Signalling};
        assert_eq!(counted(&[(0, Media, '5', 100), (90, Signalling, '5', 0)]), "5");
        assert_eq!(counted(&[(0, Signalling, '5', 0), (90, Media, '5', 100)]), "5");
        assert_eq!(
            counted(&[(0, Signalling, '5', 0), (2000, Media, '5', 2000)]),
            "5",
            "INFO at the press, event at its end"
        );
    }

    #[test]
    fn a_key_pressed_twice_counts_twice() {
        use Way::{Media, Signalling};
        let both = [(0, Media, '5', 80), (50, Signalling, '5', 0), (200, Media, '5', 80), (250, Signalling, '5', 0)];
        assert_eq!(counted(&both), "55");
        let late = [(0, Media, '5', 80), (150, Media, '5', 80), (250, Signalling, '5', 0), (300, Signalling, '5', 0)];
        assert_eq!(counted(&late), "55");
        assert_eq!(counted(&[(0, Media, '5', 80), (100, Media, '5', 80)]), "55", "by one way alone");
        assert_eq!(counted(&[(0, Media, '5', 80), (900, Signalling, '5', 0)]), "55", "too late for an echo");
        assert_eq!(counted(&[(0, Media, '5', 80), (50, Signalling, '6', 0)]), "56");
    }

    #[test]
    fn a_report_that_is_lost_costs_no_press() {
        use Way::{Media, Signalling};
        let plan = [(0, Signalling, '5', 0), (200, Media, '5', 80), (250, Signalling, '5', 0)];
        assert_eq!(counted(&plan), "55", "the event of the first was lost");
    }
}
