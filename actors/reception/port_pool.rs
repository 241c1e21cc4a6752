//! RTP port pairs: drawn in turn, returned by being dropped, and left alone for a while after use.
//!
//! Invariant: a pair is drawn by one call at a time, and not again before [`QUARANTINE`] has passed since its return, so
//! that a late packet of the last call never reaches the next.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a returned pair rests.
pub const QUARANTINE: Duration = Duration::from_secs(10);

/// The pool.
#[derive(Debug, Clone)]
pub struct PortPool(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    free: VecDeque<u16>,
    resting: VecDeque<(Instant, u16)>,
    total: usize,
}

/// One pair: an even port for RTP, the next for RTCP.
#[derive(Debug)]
pub struct PortPair {
    rtp: u16,
    pool: Arc<Mutex<State>>,
}

impl PortPool {
    /// The pairs whose both ports lie in the range.
    pub fn new(first: u16, last: u16) -> Self {
        let free: VecDeque<u16> = (first..last).filter(|port| port % 2 == 0).collect();
        Self(Arc::new(Mutex::new(State { total: free.len(), free, resting: VecDeque::new() })))
    }

    /// Draws a pair, the one that rested longest.
    pub fn draw(&self, now: Instant) -> Option<PortPair> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.wake_rested(now);
        let rtp = state.free.pop_front()?;
        Some(PortPair { rtp, pool: Arc::clone(&self.0) })
    }

    /// How many pairs could be drawn now.
    pub fn free(&self, now: Instant) -> usize {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.wake_rested(now);
        state.free.len()
    }

    /// How many pairs are out with calls.
    pub fn drawn(&self) -> usize {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.total - state.free.len() - state.resting.len()
    }
}

impl State {
    fn wake_rested(&mut self, now: Instant) {
        while let Some((since, port)) = self.resting.front().copied()
            && now.saturating_duration_since(since) >= QUARANTINE
        {
            self.resting.pop_front();
            self.free.push_back(port);
        }
    }
}

impl PortPair {
    /// The RTP port.
    pub fn rtp(&self) -> u16 {
        self.rtp
    }
}

impl Drop for PortPair {
    fn drop(&mut self) {
        let mut state = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        state.resting.push_back((crate::now(), self.rtp));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_even_unique_and_rest_after_use() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("runtime");
        runtime.block_on(async {
            let pool = PortPool::new(20000, 20005);
            let pairs: Vec<_> = std::iter::from_fn(|| pool.draw(crate::now())).collect();
            assert_eq!(pairs.iter().map(PortPair::rtp).collect::<Vec<_>>(), [20000, 20002, 20004]);
            drop(pairs);
            assert_eq!((pool.drawn(), pool.free(crate::now())), (0, 0));
            tokio::time::sleep(QUARANTINE).await;
            assert_eq!(pool.draw(crate::now()).expect("rested").rtp(), 20000);
        });
    }
}
