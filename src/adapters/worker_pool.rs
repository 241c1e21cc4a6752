//! A bounded pool of threads for work that computes: synthesis and recognition.
//!
//! Invariant: at most `queue` jobs wait; one more is refused at once. A job that panics costs its own answer, not the
//! thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use bellhop_dialogue::ports::ServiceFailure;
use tokio::sync::oneshot;

type Job<W> = Box<dyn FnOnce(&mut W) + Send>;

/// Threads that each own a `W`.
pub(crate) struct WorkerPool<W> {
    jobs: SyncSender<Job<W>>,
}

impl<W: 'static> WorkerPool<W> {
    /// Starts `threads`; each makes its worker with `make`. The first failure to make one stops the start.
    pub(crate) fn start<E: Send + 'static>(
        name: &str,
        threads: usize,
        queue: usize,
        make: impl Fn() -> Result<W, E> + Send + Sync + 'static,
    ) -> Result<Self, E> {
        let (jobs, waiting) = sync_channel::<Job<W>>(queue);
        let waiting = Arc::new(Mutex::new(waiting));
        let make = Arc::new(make);
        for _ in 0..threads {
            let (ready, is_ready) = sync_channel(1);
            let (waiting, make) = (Arc::clone(&waiting), Arc::clone(&make));
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
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(job) = next else { return };
                    let _ = catch_unwind(AssertUnwindSafe(|| job(&mut worker)));
                }
            };
            std::thread::Builder::new().name(name.to_owned()).spawn(run).expect("the system has a thread to give");
            is_ready.recv().expect("the thread says how it began")?;
        }
        Ok(Self { jobs })
    }

    /// Hands in a job; the answer comes through the channel. Refused when the queue is full.
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
        match self.jobs.try_send(run) {
            Ok(()) => Ok(receiver),
            Err(TrySendError::Full(_)) => Err(ServiceFailure::Overloaded),
            Err(TrySendError::Disconnected(_)) => {
                Err(ServiceFailure::Unavailable { why: "its threads are gone".into() })
            }
        }
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
    fn a_worker_that_cannot_be_made_is_told_at_the_start() {
        assert_eq!(WorkerPool::<u8>::start("test", 2, 1, || Err("no model")).err(), Some("no model"));
    }
}
