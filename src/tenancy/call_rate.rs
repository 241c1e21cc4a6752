//! How many calls may begin in a second.
//!
//! A token bucket that holds one second's worth, kept as the time at which it is full again (the generic cell rate
//! algorithm, ITU-T I.371). Invariant: in no time `t` do more calls begin than one second's worth and those of `t`; a call
//! that is turned away costs nothing. Enforced in `actors/reception/admission.rs`.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A limit on calls per second; whoever shares it shares its bucket.
#[derive(Debug)]
pub struct CallRate(Mutex<Bucket>);

#[derive(Debug)]
struct Bucket {
    per_second: Option<u32>,
    /// When it is full; none until a call has begun.
    full_at: Option<Instant>,
}

/// More calls than may begin in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{per_second} calls a second may begin, and more came")]
pub struct RateExceeded {
    /// The limit.
    pub per_second: u32,
}

const SECOND: Duration = Duration::from_secs(1);

impl CallRate {
    /// So many calls a second, at least one; none for any number. The bucket is full.
    pub fn new(per_second: Option<u32>) -> Self {
        Self(Mutex::new(Bucket { per_second, full_at: None }))
    }

    /// From now on it is so many; what has been taken stays taken.
    pub fn change(&self, per_second: Option<u32>) {
        self.bucket().per_second = per_second;
    }

    /// How many may begin in a second; none for any number.
    pub fn per_second(&self) -> Option<u32> {
        self.bucket().per_second
    }

    /// A call begins.
    pub fn take(&self, now: Instant) -> Result<(), RateExceeded> {
        let mut bucket = self.bucket();
        let Some(per_second) = bucket.per_second else { return Ok(()) };
        let each = SECOND / per_second.max(1);
        // The time that it takes to fill what is missing: no more than a second's worth may be.
        let missing = bucket.full_at.map_or(Duration::ZERO, |full_at| full_at.saturating_duration_since(now));
        if missing + each > SECOND {
            return Err(RateExceeded { per_second });
        }
        bucket.full_at = Some(now + missing + each);
        Ok(())
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of a hundred calls begin at this time.
    fn begin(rate: &CallRate, now: Instant) -> usize {
        (0..100).filter(|_| rate.take(now).is_ok()).count()
    }

    #[test]
    fn a_seconds_worth_begins_at_once_and_the_rest_in_its_time() {
        let (rate, start) = (CallRate::new(Some(10)), Instant::now());
        let at = |ms: u64| start + Duration::from_millis(ms);
        assert_eq!([0, 99, 100, 350, 1000].map(|ms| begin(&rate, at(ms))), [10, 0, 1, 2, 7]);
        assert_eq!(rate.take(at(1000)), Err(RateExceeded { per_second: 10 }));
        assert_eq!(begin(&rate, at(60_000)), 10, "a quiet minute saves no more than a second's worth");
        assert_eq!(begin(&rate, at(59_000)), 0, "a clock that goes back gives nothing");
    }

    #[test]
    fn a_limit_of_one_and_none_at_all() {
        let now = Instant::now();
        let one = CallRate::new(Some(1));
        assert_eq!([0, 999, 1000].map(|ms| begin(&one, now + Duration::from_millis(ms))), [1, 0, 1]);
        assert_eq!(begin(&CallRate::new(None), now), 100);
    }

    #[test]
    fn a_change_gives_nothing_back() {
        let (rate, now) = (CallRate::new(Some(2)), Instant::now());
        assert_eq!(begin(&rate, now), 2);
        rate.change(Some(100));
        assert_eq!(begin(&rate, now), 0, "the second's worth is gone");
        assert_eq!(begin(&rate, now + Duration::from_millis(500)), 50);
        rate.change(None);
        assert_eq!(begin(&rate, now + Duration::from_millis(500)), 100);
    }
}
