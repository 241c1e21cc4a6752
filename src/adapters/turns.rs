//! Turns at something of which there is little, like processes: an asynchronous semaphore whose tenants are treated alike.
//!
//! Invariant: no more than `at_once` turns are taken; each lane, which is a tenant's, has at most `queue` waiting; the order
//! is that of `Lanes`; a turn is given back when it is dropped, and one that was given to somebody who is gone too.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellhop_dialogue::ports::ServiceFailure;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::fair_lanes::Lanes;

/// One tenant's way to turns; clones share the lane.
#[derive(Clone)]
pub struct Turns {
    shared: Arc<Shared>,
    lane: usize,
}

struct Shared {
    state: Mutex<State>,
    queue: usize,
}

struct State {
    lanes: Lanes<oneshot::Sender<Turn>>,
    free: usize,
}

/// A turn, until it is dropped.
pub(crate) struct Turn {
    shared: Arc<Shared>,
    lane: usize,
    since: Instant,
}

impl Turns {
    /// So many turns at once, and so many waiting in each lane.
    pub fn new(at_once: usize, queue: usize) -> Self {
        let mut lanes = Lanes::new();
        let lane = lanes.add();
        let state = Mutex::new(State { lanes, free: at_once });
        Self { shared: Arc::new(Shared { state, queue }), lane }
    }

    /// Another lane to the same turns.
    #[must_use]
    pub fn lane(&self) -> Self {
        let lane = self.shared.state().lanes.add();
        Self { shared: Arc::clone(&self.shared), lane }
    }

    /// Waits for a turn. Refused when too many of this lane wait.
    pub(crate) async fn take(&self) -> Result<Turn, ServiceFailure> {
        let (turn, comes) = oneshot::channel();
        {
            let mut state = self.shared.state();
            state.lanes.clear_out(self.lane, |waiting| !waiting.is_closed());
            if state.lanes.waiting(self.lane) >= self.shared.queue {
                return Err(ServiceFailure::Overloaded);
            }
            state.lanes.push(self.lane, turn);
        }
        self.shared.give();
        comes.await.map_err(|_| ServiceFailure::Overloaded)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives what is free to those whose turn it is.
    fn give(self: &Arc<Self>) {
        loop {
            let mut state = self.state();
            if state.free == 0 {
                return;
            }
            let Some((lane, waiting)) = state.lanes.next(usize::MAX, |waiting| !waiting.is_closed()) else { return };
            state.free -= 1;
            drop(state);
            // Who went in this moment drops the turn, which gives it to the next.
            let _ = waiting.send(Turn { shared: Arc::clone(self), lane, since: Instant::now() });
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.lanes.done(self.lane, self.since.elapsed());
        state.free += 1;
        drop(state);
        self.shared.give();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_tenant_with_many_long_turns_does_not_keep_another_waiting() {
        let noisy = Turns::new(2, 100);
        let quiet = noisy.lane();
        for _ in 0..100 {
            let noisy = noisy.clone();
            tokio::spawn(async move {
                let _turn = noisy.take().await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            });
        }
        tokio::task::yield_now().await;
        for _ in 0..5 {
            let asked = Instant::now();
            let turn = quiet.take().await.expect("room");
            assert!(asked.elapsed() <= Duration::from_secs(1), "{:?}", asked.elapsed());
            tokio::time::sleep(Duration::from_millis(10)).await;
            drop(turn);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_leaves_its_place_and_its_turn() {
        let turns = Turns::new(1, 2);
        let first = turns.take().await.expect("free");
        for _ in 0..10 {
            let waited = tokio::time::timeout(Duration::from_secs(1), turns.take()).await;
            assert!(waited.is_err(), "it waits, and has room to");
        }
        let (one, two) = (turns.clone(), turns.clone());
        let mut waiting = [Box::pin(one.take()), Box::pin(two.take())];
        for wait in &mut waiting {
            assert!(futures_util::poll!(wait).is_pending());
        }
        assert!(matches!(turns.take().await, Err(ServiceFailure::Overloaded)), "the lane is full");
        drop(first); // its turn is given to the first that waits, who goes
        drop(waiting);
        assert!(turns.take().await.is_ok());
    }
}
