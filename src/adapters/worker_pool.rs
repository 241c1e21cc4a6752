//! A bounded pool of threads for work that computes: synthesis and recognition.
//!
//! Whoever hands in a job bounds its size: a thread cannot be taken away from one. Invariant: each lane, which is a
//! tenant's, has at most `queue` jobs waiting; one more is refused at once. Threads take from the lanes in the order of
//! [`Lanes`], so that one tenant's load delays another's by the jobs that run and no more, however long its own are. Jobs
//! that are known to take long never have the last thread, if there are two. A job
//! whose asker is gone is dropped where it waits; a long one asks [`Asker::is_gone`] now and then. A job that panics costs
//! its own answer, not the thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bellhop_dialogue::ports::ServiceFailure;
use tokio::sync::oneshot;
use tracing::Span;

use crate::fair_lanes::Lanes;

/// Work for a thread that owns a `W`.
trait Job<W>: Send {
    fn is_wanted(&self) -> bool;
    fn run(self: Box<Self>, worker: &mut W);
}

/// Work with the one who waits for its answer.
struct Asked<T, F> {
    answer: oneshot::Sender<T>,
    /// Whose call it is for, in what is logged.
    span: Span,
    work: F,
}

/// The one who waits for the answer of a job.
pub(crate) struct Asker<'a>(&'a dyn Fn() -> bool);

impl Asker<'_> {
    /// Nobody waits any more: the rest of the work is not worth doing.
    pub(crate) fn is_gone(&self) -> bool {
        (self.0)()
    }
}

impl<W, T: Send, F: FnOnce(&mut W, &Asker<'_>) -> T + Send> Job<W> for Asked<T, F> {
    fn is_wanted(&self) -> bool {
        !self.answer.is_closed()
    }

    fn run(self: Box<Self>, worker: &mut W) {
        let Self { answer, span, work } = *self;
        let told = span.in_scope(|| work(worker, &Asker(&|| answer.is_closed())));
        let _ = answer.send(told);
    }
}

/// A lane to threads that each own a `W`; clones share the lane.
pub(crate) struct WorkerPool<W> {
    owner: Arc<Owner<W>>,
    lane: usize,
    /// The tenant's lane of long jobs.
    long_lane: usize,
}

impl<W> Clone for WorkerPool<W> {
    fn clone(&self) -> Self {
        Self { owner: Arc::clone(&self.owner), lane: self.lane, long_lane: self.long_lane }
    }
}

/// Whoever can hand in jobs; without one the threads end.
struct Owner<W>(Arc<Shared<W>>);

struct Shared<W> {
    state: Mutex<State<W>>,
    changed: Condvar,
    queue: usize,
    /// Long jobs that run at once.
    long_max: usize,
}

struct State<W> {
    lanes: Lanes<Box<dyn Job<W>>>,
    closed: bool,
}

impl<W> Shared<W> {
    fn state(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a job; `None` once nobody can hand one in any more.
    fn wait(&self) -> Option<(usize, Box<dyn Job<W>>)> {
        let mut state = self.state();
        loop {
            if let Some(next) = state.lanes.next(self.long_max, |job| job.is_wanted()) {
                return Some(next);
            }
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<W> Drop for Owner<W> {
    fn drop(&mut self) {
        self.0.state().closed = true;
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
        let mut lanes = Lanes::new();
        let (lane, long_lane) = (lanes.add(), lanes.add_long());
        let state = Mutex::new(State { lanes, closed: false });
        let long_max = threads.saturating_sub(1).max(1);
        let shared = Arc::new(Shared { state, changed: Condvar::new(), queue, long_max });
        let pool = Self { owner: Arc::new(Owner(Arc::clone(&shared))), lane, long_lane };
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
                while let Some((lane, job)) = shared.wait() {
                    let began = Instant::now();
                    let _ = catch_unwind(AssertUnwindSafe(|| job.run(&mut worker)));
                    shared.state().lanes.done(lane, began.elapsed());
                    // A long job may have waited for this one alone.
                    shared.changed.notify_one();
                }
            };
            std::thread::Builder::new().name(name.to_owned()).spawn(run).expect("the system has a thread to give");
            is_ready.recv().expect("the thread says how it began")?;
        }
        Ok(pool)
    }

    /// Another lane to the same threads.
    pub(crate) fn lane(&self) -> Self {
        let mut state = self.owner.0.state();
        let (lane, long_lane) = (state.lanes.add(), state.lanes.add_long());
        drop(state);
        Self { owner: Arc::clone(&self.owner), lane, long_lane }
    }

    /// Hands in a job; the answer comes through the channel, and dropping that withdraws the job. Refused when the lane is
    /// full.
    pub(crate) fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut W, &Asker<'_>) -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, ServiceFailure> {
        self.submit_to(self.lane, work)
    }

    /// The same of a job that takes long.
    pub(crate) fn submit_long<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut W, &Asker<'_>) -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, ServiceFailure> {
        self.submit_to(self.long_lane, work)
    }

    fn submit_to<T: Send + 'static>(
        &self,
        lane: usize,
        work: impl FnOnce(&mut W, &Asker<'_>) -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, ServiceFailure> {
        let (answer, receiver) = oneshot::channel();
        let shared = &self.owner.0;
        let mut state = shared.state();
        state.lanes.clear_out(lane, |job| job.is_wanted());
        if state.lanes.waiting(lane) >= shared.queue {
            return Err(ServiceFailure::Overloaded);
        }
        state.lanes.push(lane, Box::new(Asked { answer, span: Span::current(), work }));
        drop(state);
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
        let first = pool.submit(move |_, _| gate.recv()).expect("free");
        // The thread may or may not have taken the first job: fill what is left.
        let mut waiting = vec![];
        while let Ok(answer) = pool.submit(|n, _| *n + 1) {
            waiting.push(answer);
            assert!(waiting.len() <= 3, "never more than the queue and the one in hand");
        }
        open.send(()).expect("the job waits");
        assert!(first.blocking_recv().is_ok());
        assert!(waiting.into_iter().all(|answer| answer.blocking_recv() == Ok(8)));
        let broken = pool.submit::<()>(|_, _| panic!("one bad text")).expect("free");
        assert!(broken.blocking_recv().is_err());
        assert_eq!(pool.submit(|n, _| *n).expect("free").blocking_recv(), Ok(7));
    }

    #[test]
    fn one_lane_s_load_delays_another_by_the_job_that_runs() {
        let pool = WorkerPool::start("test", 1, 100, || Ok::<_, ()>(vec![])).expect("starts");
        let (open, gate) = sync_channel::<()>(0);
        let first = pool.submit(move |_: &mut Vec<&str>, _| gate.recv()).expect("free");
        let other = pool.lane();
        let busy: Vec<_> = (0..50).map(|_| pool.submit(|done, _| done.push("busy")).expect("room")).collect();
        let quick = other.submit(|done, _| done.iter().filter(|name| **name == "busy").count()).expect("room");
        open.send(()).expect("the job waits");
        assert!(first.blocking_recv().is_ok());
        assert!(quick.blocking_recv().expect("done") <= 1);
        assert!(busy.into_iter().all(|answer| answer.blocking_recv().is_ok()));
        drop((pool, other)); // and the thread ends
    }

    #[test]
    fn long_jobs_leave_a_thread_for_short_ones() {
        let pool = WorkerPool::start("test", 2, 100, || Ok::<_, ()>(())).expect("starts");
        let (opens, gates): (Vec<_>, Vec<_>) = (0..3).map(|_| sync_channel::<()>(0)).unzip();
        let long: Vec<_> =
            gates.into_iter().map(|gate| pool.submit_long(move |(), _| gate.recv()).expect("room")).collect();
        // The first may have begun or not: the thread that is left is not for the second.
        for n in 0..20 {
            let other = pool.lane();
            assert_eq!(other.submit(move |(), _| n).expect("room").blocking_recv(), Ok(n));
        }
        opens.iter().for_each(|open| open.send(()).expect("it has its turn"));
        assert!(long.into_iter().all(|answer| answer.blocking_recv().is_ok()));
        let alone = WorkerPool::start("test", 1, 100, || Ok::<_, ()>(())).expect("starts");
        assert_eq!(alone.submit_long(|(), _| 7).expect("room").blocking_recv(), Ok(7), "where there is one thread");
    }

    #[test]
    fn a_job_whose_asker_is_gone_is_dropped_and_takes_nobody_s_place() {
        let pool = WorkerPool::start("test", 1, 4, || Ok::<_, ()>(0)).expect("starts");
        let (open, gate) = sync_channel::<()>(0);
        let first = pool.submit(move |_, _| gate.recv()).expect("free");
        for _ in 0..100 {
            let nobody_waits = pool.submit(|done, _| *done += 1).expect("room for it");
            drop(nobody_waits);
        }
        let last = pool.submit(|done, _| *done).expect("room for it");
        open.send(()).expect("the job waits");
        assert!(first.blocking_recv().is_ok());
        assert_eq!(last.blocking_recv(), Ok(0), "none of them was done");
    }

    #[test]
    fn a_long_job_hears_that_its_asker_is_gone() {
        let pool = WorkerPool::start("test", 1, 4, || Ok::<_, ()>(())).expect("starts");
        let (began, has_begun) = sync_channel::<()>(0);
        let (ended, has_ended) = sync_channel::<()>(0);
        let long = pool.submit(move |(), asker| {
            began.send(()).expect("the test waits");
            while !asker.is_gone() {
                std::thread::yield_now();
            }
            ended.send(()).expect("the test waits");
        });
        has_begun.recv().expect("it runs");
        drop(long);
        has_ended.recv().expect("it ends");
    }

    #[test]
    fn a_worker_that_cannot_be_made_is_told_at_the_start() {
        assert_eq!(WorkerPool::<u8>::start("test", 2, 1, || Err("no model")).err(), Some("no model"));
    }
}
