//! Pauses before a service is asked again: each about twice as long as the one before, drawn by lot so that calls that were
//! refused together do not come back together.

use std::time::Duration;

use bellhop_dialogue::ports::ServiceFailure;

/// The first pause, about.
const FIRST: Duration = Duration::from_millis(200);
/// The longest, about.
const LONGEST: Duration = Duration::from_millis(1600);
/// Time that a try needs at least: with less than that left, none is made.
const ANSWER_MIN: Duration = Duration::from_millis(300);

/// The pauses of one request.
pub(super) struct Pauses {
    next: Duration,
    left: u32,
}

impl Pauses {
    /// At most so many.
    pub(super) fn new(left: u32) -> Self {
        Self { next: FIRST, left }
    }

    /// How long to wait after a failure, with so much time left in all; none if the service is not to be asked again.
    pub(super) fn before_next(&mut self, failure: &ServiceFailure, time_left: Duration) -> Option<Duration> {
        let ServiceFailure::NotNow { retry_after, .. } = failure else { return None };
        let pause = self.next.mul_f64(rand::random_range(0.5..1.5)).max(retry_after.unwrap_or_default());
        self.left = self.left.checked_sub(1)?;
        self.next = (self.next * 2).min(LONGEST);
        (pause.saturating_add(ANSWER_MIN) <= time_left).then_some(pause)
    }
}
