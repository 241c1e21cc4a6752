//! A circuit breaker: after some failures in a row a service is left alone, then tried once.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many failures in a row open it.
pub(super) const FAILURES: u32 = 5;
/// How long it stays open.
pub(super) const REST: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// Nobody is let through before.
    until: Option<Instant>,
}

impl Breaker {
    /// Whether the service may be tried now. Once it has rested, one is let through, and the others after that one's success.
    pub(super) fn lets_through(&self) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match state.until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                state.until = Some(now + REST);
                true
            }
        }
    }

    /// Whether it is open: nobody is let through, or one who tries.
    pub(super) fn rests(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).until.is_some()
    }

    /// How a try went.
    pub(super) fn note(&self, good: bool) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if good {
            *state = State::default();
            return;
        }
        state.failures += 1;
        if state.failures >= FAILURES {
            state.until = Some(Instant::now() + REST);
        }
    }
}
