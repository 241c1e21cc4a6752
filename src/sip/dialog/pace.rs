//! How fast requests may come inside one dialog.
//!
//! A caller who is served may ask inside the dialog as often as telephones do; each request is remembered for half a
//! minute (timer J), so a flood would have us hold whatever it sends. Invariant: at most [`AT_ONCE`] and [`PER_SECOND`] more
//! for each second are taken of one dialog, whatever comes; BYE and ACK are not asked for their pace.

use std::time::{Duration, Instant};

/// Requests at once: every key of a long number by INFO, and what else may come.
pub const AT_ONCE: u32 = 100;
/// Requests in a second from then on: twice what fingers and timers make.
pub const PER_SECOND: u32 = 20;

/// The requests of one dialog.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    left: u32,
    since: Instant,
}

impl Pace {
    /// Of a dialog that begins now.
    pub fn new(now: Instant) -> Self {
        Self { left: AT_ONCE, since: now }
    }

    /// Whether another request is taken.
    pub fn takes(&mut self, now: Instant) -> bool {
        let each = Duration::from_secs(1) / PER_SECOND;
        let earned = now.saturating_duration_since(self.since).as_nanos() / each.as_nanos();
        let earned = u32::try_from(earned).unwrap_or(u32::MAX);
        if earned > 0 {
            self.left = self.left.saturating_add(earned).min(AT_ONCE);
            self.since = now;
        }
        let takes = self.left > 0;
        self.left = self.left.saturating_sub(1);
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_inside_a_dialog_is_not_taken_and_fingers_are() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        let taken =
            (0..100_000u32).filter(|n| pace.takes(now + Duration::from_micros(u64::from(n / 10) * 1000))).count();
        assert!((290..=310).contains(&taken), "{taken} in ten seconds");
        let mut pace = Pace::new(now);
        assert!((0..10_000).all(|n| pace.takes(now + Duration::from_millis(n * 55))));
    }
}
