//! The watchdog: a thread of its own that hears a beat per call and tells when one falls silent.
//!
//! A hung actor does not panic, and a blocked thread runs no timer; so who looks must not share a thread with whom it looks
//! at. And who measures the silence of others asks first whether it was away itself: a process that was stopped, or whose
//! virtual machine was moved, finds everybody silent. Invariant: a call is reported hung at most once, and never for a time in
//! which nobody ran. The beats live in `node/call_registry.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often a call beats.
pub const BEAT_EVERY: Duration = Duration::from_secs(1);
/// A call is hung after this long without a beat.
pub const HUNG_AFTER: Duration = Duration::from_secs(4);

/// A look, or a timer, that is late by more than this was not only kept waiting: the process stood still.
pub(crate) const AWAY_MIN: Duration = Duration::from_secs(1);
/// What arrived while the process stood still has its turn for so long before a deadline that passed meanwhile counts.
pub(crate) const GRACE: Duration = Duration::from_millis(300);

/// Whether a timer that was due then comes so late that the process must have stood still.
pub(crate) fn was_away(due: Instant, now: Instant) -> bool {
    now.saturating_duration_since(due) >= AWAY_MIN
}

/// What the watchdog finds when it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Time went by as it should.
    Steady(Instant),
    /// The process stood still for so long, and runs again now.
    Standstill(Instant, Duration),
}

/// Tells a clock that jumped from one that runs.
#[derive(Debug, Default)]
struct Pace(Option<Instant>);

impl Pace {
    fn look(&mut self, now: Instant) -> Look {
        let due = self.0.map_or(now, |last| last + BEAT_EVERY);
        self.0 = Some(now);
        if was_away(due, now) { Look::Standstill(now, now - due) } else { Look::Steady(now) }
    }
}

/// The running watchdog; it stops when dropped.
#[derive(Debug)]
pub struct Watchdog {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Starts the thread: `look` is called every second and reports what it finds itself.
    pub fn start(mut look: impl FnMut(Look) + Send + 'static) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("watchdog".into()).spawn(move || {
            let mut pace = Pace::default();
            while !stopped.load(Ordering::Acquire) {
                // This thread has no runtime, and no other clock than everybody's.
                #[expect(clippy::disallowed_methods, reason = "a thread without a runtime")]
                look(pace.look(Instant::now()));
                std::thread::park_timeout(BEAT_EVERY);
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumped_is_told_once() {
        let mut pace = Pace::default();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let looks: Vec<Look> = [0, 1000, 2100, 33_100, 34_100].into_iter().map(|ms| pace.look(at(ms))).collect();
        let steady = |ms| Look::Steady(at(ms));
        let jump = Look::Standstill(at(33_100), Duration::from_secs(30));
        assert_eq!(looks, [steady(0), steady(1000), steady(2100), jump, steady(34_100)]);
    }
}
