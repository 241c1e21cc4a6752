//! A bounded pool of threads for work that computes: synthesis and recognition.
//!
//! Invariant: each lane, which is a tenant's, has at most `queue` jobs waiting; one more is refused at once. Threads take
//! from the lanes in turn, so that one tenant's load does not delay another's by more than a job. A job that panics costs
//! its own answer, not the thread.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bellhop_dialogue::ports::ServiceFailure;
use tokio::sync::oneshot;

type Job<W> = Box<dyn FnOnce(&mut W) + Send>;

/// A lane to threads that each own a `W`; clones share the lane.
pub(crate) struct WorkerPool<W> {
    owner: Arc<Owner<W>>,
    lane: usize,
}

impl<W> Clone for WorkerPool<W> {
    fn clone(&self) -> Self {
        Self { owner: Arc::clone(&self.owner), lane: self.lane }
    }
}

/// Whoever can hand in jobs; without one the threads end.
struct Owner<W>(Arc<Shared<W>>);

struct Shared<W> {
    lanes: Mutex<Lanes<W>>,
    changed: Condvar,
    queue: usize,
}

struct Lanes<W> {
    waiting: Vec<VecDeque<Job<W>>>,
    /// Whose turn it is.
    turn: usize,
    closed: bool,
}

impl<W> Lanes<W> {
    /// The next job: lane by lane, so that everybody gets a turn.
    fn next(&mut self) -> Option<Job<W>> {
        for _ in 0..self.waiting.len() {
            self.turn = (self.turn + 1) % self.waiting.len();
            if let Some(job) = self.waiting[self.turn].pop_front() {
                return Some(job);
            }
        }
        None
    }
}

impl<W> Shared<W> {
    fn lanes(&self) -> MutexGuard<'_, Lanes<W>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a job; `None` once nobody can hand one in any more.
    fn wait(&self) -> Option<Job<W>> {
        let mut lanes = self.lanes();
        loop {
            if let Some(job) = lanes.next() {
                return Some(job);
            }
            if lanes.closed {
                return None;
            }
            lanes = self.changed.wait(lanes).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<W> Drop for Owner<W> {
    fn drop(&mut self) {
        self.0.lanes().closed = true;
        self.0.changed.notify_all();
    }
}

impl<W: 'static> WorkerPool<W> {
    /// Starts `threads`; each makes its worker with `make`. The first failure to make one stops the start.
    pub(crate) fn start<E: Send + 'static>(
        name: &str,
        threads: usize,
        queue: usize,
        make: impl Fn() -> Result<W, E> + Send + Sync + 'static,
    ) -> Result<Self, E> {
        let lanes = Lanes { waiting: vec![VecDeque::new()], turn: 0, closed: false };
        let shared = Arc::new(Shared { lanes: Mutex::new(lanes), changed: Condvar::new(), queue });
        let pool = Self { owner: Arc::new(Owner(Arc::clone(&shared))), lane: 0 };
        let make = Arc::new(make);
        for _ in 0..threads {
            let (ready, is_ready) = sync_channel(1);
            let (shared, make) = (Arc::clone(&shared), Arc::clone(&make));
            let run = move || {
                let mut worker = match make() {
                    Ok(worker) => {
                        let _ = ready.send(Ok(()));
                        worker
                    }
                    Err(error) => {
                        let _ = ready.send(Err(error));
                        return;
                    }
                };
                while let Some(job) = shared.wait() {
                    let _ = catch_unwind(AssertUnwindSafe(|| job(&mut worker)));
                }
            };
            std::thread::Builder::new().name(name.to_owned()).spawn(run).expect("the system has a thread to give");
            is_ready.recv().expect("the thread says how it began")?;
        }
        Ok(pool)
    }

    /// Another lane to the same threads.
    pub(crate) fn lane(&self) -> Self {
        let mut lanes = self.owner.0.lanes();
        lanes.waiting.push(VecDeque::new());
        Self { owner: Arc::clone(&self.owner), lane: lanes.waiting.len() - 1 }
    }

    /// Hands in a job; the answer comes through the channel. Refused when the lane is full.
    pub(crate) fn submit<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut W) -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, ServiceFailure> {
        let (answer, receiver) = oneshot::channel();
        let run: Job<W> = Box::new(move |worker| {
            // Nobody waits any more: the work is not worth doing.
            if !answer.is_closed() {
                let _ = answer.send(job(worker));
            }
        });
        let shared = &self.owner.0;
        let mut lanes = shared.lanes();
        let lane = &mut lanes.waiting[self.lane];
        if lane.len() >= shared.queue {
            return Err(ServiceFailure::Overloaded);
        }
        lane.push_back(run);
        drop(lanes);
        shared.changed.notify_one();
        Ok(receiver)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_refuses_and_a_panic_costs_one_answer() {
        let pool = WorkerPool::start("test", 1, 2, || Ok::<_, ()>(7)).expect("starts");
        let (open, gate) = sync_channel::<()>(0);
        let first = pool.submit(move |_| gate.recv()).expect("free");
        // The thread may or may not have taken the first job: fill what is left.
        let mut waiting = vec![];
        while let Ok(answer) = pool.submit(|n| *n + 1) {
            waiting.push(answer);
            assert!(waiting.len() <= 3, "never more than the queue and the one in hand");
        }
        open.send(()).expect("the job waits");
        assert!(first.blocking_recv().is_ok());
        assert!(waiting.into_iter().all(|answer| answer.blocking_recv() == Ok(8)));
        let broken = pool.submit::<()>(|_| panic!("one bad text")).expect("free");
        assert!(broken.blocking_recv().is_err());
        assert_eq!(pool.submit(|n| *n).expect("free").blocking_recv(), Ok(7));
    }

    #[test]
    fn one_lane_s_load_delays_another_by_a_job_at_most() {
        let pool = WorkerPool::start("test", 1, 100, || Ok::<_, ()>(vec![])).expect("starts");
        let (open, gate) = sync_channel::<()>(0);
        let first = pool.submit(move |_: &mut Vec<&str>| gate.recv()).expect("free");
        let other = pool.lane();
        let busy: Vec<_> = (0..50).map(|_| pool.submit(|done| done.push("busy")).expect("room")).collect();
        let quick = other.submit(|done| done.iter().filter(|name| **name == "busy").count()).expect("room");
        open.send(()).expect("the job waits");
        assert!(first.blocking_recv().is_ok());
        assert!(quick.blocking_recv().expect("done") <= 1);
        assert!(busy.into_iter().all(|answer| answer.blocking_recv().is_ok()));
        drop((pool, other)); // and the thread ends
    }

    #[test]
    fn a_worker_that_cannot_be_made_is_told_at_the_start() {
        assert_eq!(WorkerPool::<u8>::start("test", 2, 1, || Err("no model")).err(), Some("no model"));
    }
}
