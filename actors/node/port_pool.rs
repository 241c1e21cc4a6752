//! RTP port pairs: drawn in turn, returned by being dropped, and left alone for a while after use.
//!
//! ```text
//! free -draw-> drawn -used-> resting -QUARANTINE-> free
//!                    -somebody else holds it-> held -HELD_FOR, by a draw-> drawn
//!                    -not opened for another reason-> free
//! ```
//! Invariant: a pair is drawn by one call at a time, and not again before [`QUARANTINE`] has passed since its use, so
//! that a late packet of the last call never reaches the next. A pair that somebody else holds is no free one until a call
//! has opened it: it is tried again after [`HELD_FOR`], one every [`RETRY_EVERY`]. Want of descriptors rests no pair.
//! Neighbours are drawn far apart, so that a block of held pairs costs a call a few tries and not the call.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a returned pair rests.
pub const QUARANTINE: Duration = Duration::from_secs(10);
/// How long a pair that somebody else holds is left alone.
pub const HELD_FOR: Duration = Duration::from_secs(60);
/// The least time between two tries of pairs that were held, as long as others are free.
pub const RETRY_EVERY: Duration = Duration::from_secs(1);

/// Pairs of ports for RTP and RTCP; clones are the same pool.
#[derive(Debug, Clone)]
pub struct PortPool(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    free: VecDeque<u16>,
    resting: VecDeque<(Instant, u16)>,
    held: VecDeque<(Instant, u16)>,
    retried: Option<Instant>,
    total: usize,
}

/// One pair: an even port for RTP, the next for RTCP.
#[derive(Debug)]
pub struct PortPair {
    rtp: u16,
    fate: Fate,
    pool: Arc<Mutex<State>>,
}

/// What became of a pair that was drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was, or is, a call's.
    Used,
    /// Somebody else holds one of its ports.
    HeldElsewhere,
    /// It could not be opened for another reason.
    NotOpened,
}

impl Fate {
    /// What an error of opening says of the pair.
    pub(crate) fn of_error(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::AddrInUse => Self::HeldElsewhere,
            _ => Self::NotOpened,
        }
    }
}

impl PortPool {
    /// The pairs whose both ports lie in the range.
    pub fn new(first: u16, last: u16) -> Self {
        let pairs: Vec<u16> = (first..last).filter(|port| port % 2 == 0).collect();
        let free: VecDeque<u16> = spread(&pairs).collect();
        let (resting, held) = (VecDeque::new(), VecDeque::new());
        Self(Arc::new(Mutex::new(State { total: free.len(), free, resting, held, retried: None })))
    }

    /// Sets aside the free pairs that somebody else holds, and says how many they are. An error that is not a pair's own
    /// ends the look.
    pub fn set_aside_held(&self, now: Instant, mut open: impl FnMut(u16) -> io::Result<()>) -> usize {
        let mut state = lock(&self.0);
        let free = std::mem::take(&mut state.free);
        let mut failed = false;
        for port in free {
            let outcome = if failed { Ok(()) } else { open(port) };
            match outcome.as_ref().map_err(Fate::of_error) {
                Err(Fate::HeldElsewhere) => state.held.push_back((now, port)),
                Ok(()) => state.free.push_back(port),
                Err(Fate::NotOpened | Fate::Used) => {
                    failed = true;
                    state.free.push_back(port);
                }
            }
        }
        state.held.len()
    }

    /// Draws a pair: now and then one that was held, else the one that rested longest.
    pub fn draw(&self, now: Instant) -> Option<PortPair> {
        let mut state = lock(&self.0);
        state.wake_rested(now);
        let rtp = match state.held_to_try(now) {
            Some(held) => held,
            None => state.free.pop_front()?,
        };
        Some(PortPair { rtp, fate: Fate::Used, pool: Arc::clone(&self.0) })
    }

    /// How many pairs could be drawn and opened now, as far as is known.
    pub fn free(&self, now: Instant) -> usize {
        let mut state = lock(&self.0);
        state.wake_rested(now);
        state.free.len()
    }

    /// How many pairs somebody else held when they were tried last.
    pub fn held(&self) -> usize {
        lock(&self.0).held.len()
    }

    /// How many pairs are out with calls.
    pub fn drawn(&self) -> usize {
        let state = lock(&self.0);
        state.total - state.free.len() - state.resting.len() - state.held.len()
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

    fn held_to_try(&mut self, now: Instant) -> Option<u16> {
        let (since, _) = self.held.front()?;
        let is_due = now.saturating_duration_since(*since) >= HELD_FOR;
        let seldom = self.retried.is_none_or(|last| now.saturating_duration_since(last) >= RETRY_EVERY);
        if !is_due || !(seldom || self.free.is_empty()) {
            return None;
        }
        self.retried = Some(now);
        self.held.pop_front().map(|(_, port)| port)
    }
}

impl PortPair {
    /// The RTP port.
    pub fn rtp(&self) -> u16 {
        self.rtp
    }

    /// It goes back as this when it is dropped.
    pub(crate) fn goes_back_as(&mut self, fate: Fate) {
        self.fate = fate;
    }
}

impl Drop for PortPair {
    fn drop(&mut self) {
        let mut state = lock(&self.pool);
        match self.fate {
            Fate::Used => state.resting.push_back((crate::now(), self.rtp)),
            Fate::HeldElsewhere => state.held.push_back((crate::now(), self.rtp)),
            Fate::NotOpened => state.free.push_front(self.rtp),
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All of them, each far from the one before: in steps of the golden section, which meet every place once.
fn spread(pairs: &[u16]) -> impl Iterator<Item = u16> {
    let count = pairs.len();
    let golden = (count as f64 * 0.618) as usize;
    let step = (golden.max(1)..).find(|step| gcd(*step, count) == 1).unwrap_or(1);
    (0..count).map(move |n| pairs[n * step % count])
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs on virtual time.
    fn in_time<F: Future>(run: F) -> F::Output {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("runtime");
        runtime.block_on(run)
    }

    #[test]
    fn pairs_are_even_unique_and_rest_after_use() {
        in_time(async {
            let pool = PortPool::new(20000, 20005);
            let pairs: Vec<_> = std::iter::from_fn(|| pool.draw(crate::now())).collect();
            let mut ports: Vec<_> = pairs.iter().map(PortPair::rtp).collect();
            assert_eq!(ports[0], 20000);
            ports.sort_unstable();
            assert_eq!(ports, [20000, 20002, 20004]);
            drop(pairs);
            assert_eq!((pool.drawn(), pool.free(crate::now())), (0, 0));
            tokio::time::sleep(QUARANTINE).await;
            assert_eq!(pool.draw(crate::now()).expect("rested").rtp(), 20000);
        });
    }

    #[test]
    fn every_pair_is_drawn_once_and_a_held_block_is_left_after_a_few_tries() {
        for count in [1u16, 2, 3, 10, 50, 500, 4999, 5000] {
            let pool = PortPool::new(20_000, 20_000 + 2 * count - 1);
            let pairs: Vec<_> = std::iter::from_fn(|| pool.draw(Instant::now())).collect();
            let mut ports: Vec<_> = pairs.iter().map(PortPair::rtp).collect();
            let in_lower_half = |port: &u16| *port < 20_000 + count;
            let longest = ports.chunk_by(|a, b| in_lower_half(a) == in_lower_half(b)).map(<[u16]>::len).max();
            assert!(longest <= Some(2), "{count}: {longest:?} in a row");
            ports.sort_unstable();
            ports.dedup();
            assert_eq!(ports.len(), usize::from(count));
            std::mem::forget(pairs);
        }
    }

    #[test]
    fn a_held_pair_is_not_free_and_is_tried_again_later_and_seldom() {
        in_time(async {
            let pool = PortPool::new(20_000, 20_007);
            assert_eq!(
                pool.set_aside_held(crate::now(), |port| {
                    if port < 20_004 { Err(io::ErrorKind::AddrInUse.into()) } else { Ok(()) }
                }),
                2
            );
            assert_eq!((pool.free(crate::now()), pool.held(), pool.drawn()), (2, 2, 0));
            tokio::time::sleep(HELD_FOR).await;
            assert_eq!(pool.free(crate::now()), 2, "nobody has opened them yet");
            let mut tried = pool.draw(crate::now()).expect("one that was held");
            assert!(tried.rtp() < 20_004);
            let next = pool.draw(crate::now()).expect("a free one");
            assert!(next.rtp() >= 20_004, "one at a time");
            tried.goes_back_as(Fate::HeldElsewhere);
            drop(tried);
            assert_eq!((pool.free(crate::now()), pool.held()), (1, 2));
            tokio::time::sleep(RETRY_EVERY).await;
            let given_back = pool.draw(crate::now()).expect("the other that was held");
            assert!(given_back.rtp() < 20_004);
            drop(given_back);
            tokio::time::sleep(QUARANTINE).await;
            assert_eq!((pool.free(crate::now()), pool.held()), (2, 1), "it is a call's like any other");
        });
    }

    #[test]
    fn want_of_descriptors_rests_nothing() {
        let pool = PortPool::new(20_000, 20_007);
        assert_eq!(pool.set_aside_held(Instant::now(), |_| Err(io::Error::from_raw_os_error(24))), 0);
        let mut pair = pool.draw(Instant::now()).expect("free");
        pair.goes_back_as(Fate::of_error(&io::Error::from_raw_os_error(24)));
        let port = pair.rtp();
        drop(pair);
        assert_eq!(pool.free(Instant::now()), 4);
        assert_eq!(pool.draw(Instant::now()).expect("at once").rtp(), port);
    }
}
