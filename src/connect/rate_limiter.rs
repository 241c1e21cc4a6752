//! The API's throttle, kept before the API: one bucket per AWS account and Region.
//!
//! Amazon Connect allows UpdateContactAttributes [`RATE_PER_SECOND`] requests with a burst of [`BURST`], shared by all
//! instances of an account in a Region (service quotas page). Invariant: turns are given in the order they were asked
//! for, so no call starves; who would wait beyond its budget is refused at once.

use std::time::{Duration, Instant};

/// Requests per second and account and Region.
pub const RATE_PER_SECOND: u32 = 10;
/// Requests at once after a pause.
pub const BURST: u32 = 15;

/// The schedule of one account and Region (the generic cell rate algorithm).
#[derive(Debug, Default)]
pub struct RateLimiter {
    next_free: Option<Instant>,
}

/// Turns that are kept for hand-offs when something else asks for one: two thirds of the burst.
pub const RESERVE: u32 = 10;

/// No turn within the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfBudget;

impl RateLimiter {
    /// Asks for a turn: how long to wait for it, if that is within `budget`. A refusal takes no turn.
    pub fn turn(&mut self, now: Instant, budget: Duration) -> Result<Duration, OutOfBudget> {
        let interval = Duration::from_secs(1) / RATE_PER_SECOND;
        let slack = interval * (BURST - 1);
        let due = self.next_free.map_or(now, |at| at.max(now));
        let wait = (due - now).saturating_sub(slack);
        if wait > budget {
            return Err(OutOfBudget);
        }
        self.next_free = Some(due + interval);
        Ok(wait)
    }

    /// Asks for a turn that hand-offs do not miss: at once, and only if [`RESERVE`] turns are left after it; else how long
    /// to wait before asking again.
    pub fn spare_turn(&mut self, now: Instant) -> Result<(), Duration> {
        let interval = Duration::from_secs(1) / RATE_PER_SECOND;
        let slack = interval * (BURST - 1 - RESERVE);
        let due = self.next_free.map_or(now, |at| at.max(now));
        let wait = (due - now).saturating_sub(slack);
        if !wait.is_zero() {
            return Err(wait);
        }
        self.next_free = Some(due + interval);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_the_rest_queues_in_order() {
        let (mut limiter, now) = (RateLimiter::default(), Instant::now());
        let waits: Vec<u128> =
            (0..20).map(|_| limiter.turn(now, Duration::from_secs(9)).expect("in budget").as_millis()).collect();
        assert_eq!(waits[..15], [0; 15]);
        assert_eq!(waits[15..], [100, 200, 300, 400, 500]);
    }

    #[test]
    fn who_would_wait_too_long_is_refused_and_takes_no_turn() {
        let (mut limiter, now) = (RateLimiter::default(), Instant::now());
        for _ in 0..25 {
            limiter.turn(now, Duration::from_secs(1)).expect("in budget");
        }
        assert_eq!(limiter.turn(now, Duration::from_secs(1)), Err(OutOfBudget));
        assert_eq!(limiter.turn(now + Duration::from_millis(100), Duration::from_secs(1)), Ok(Duration::from_secs(1)));
    }

    #[test]
    fn spare_turns_leave_a_reserve() {
        let (mut limiter, now) = (RateLimiter::default(), Instant::now());
        let spare = (0..100).filter(|_| limiter.spare_turn(now).is_ok()).count();
        assert_eq!(spare as u32, BURST - RESERVE);
        let again = limiter.spare_turn(now).expect_err("nothing is to spare");
        for n in 0..RESERVE {
            assert_eq!(limiter.turn(now, Duration::ZERO), Ok(Duration::ZERO), "hand-off {n}");
        }
        assert!(limiter.turn(now, Duration::ZERO).is_err(), "what was kept is used up");
        assert!(limiter.spare_turn(now + again).is_err(), "hand-offs have come in between");
        let mut limiter = RateLimiter::default();
        (0..BURST - RESERVE).for_each(|_| limiter.spare_turn(now).expect("to spare"));
        assert_eq!(limiter.spare_turn(now + again), Ok(()));
    }

    #[test]
    fn ten_a_second_for_ever() {
        let (mut limiter, start) = (RateLimiter::default(), Instant::now());
        let sent =
            (0..1000).filter(|n| limiter.turn(start + Duration::from_millis(n * 10), Duration::ZERO).is_ok()).count();
        assert!((110..=116).contains(&sent), "{sent} in ten seconds");
    }
}
