//! The threads that hash passwords.
//!
//! Invariant: as many hashes are computed at once as there are threads, and few wait: calls are served by other threads and
//! notice nothing, and whoever comes when too many wait is told to come again. A hash whose asker has gone is not computed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::StatusCode;
use bellhop_tenancy::Secret;
use tokio::sync::oneshot;

use super::password::{self, Cost, SALT_BYTES};
use crate::problem::Problem;

/// Hashes at once: each is 19 MiB and some hundredths of a second of a core.
const THREADS: usize = 2;
/// Hashes that wait for a thread: half a second of work.
const WAITING_MAX: usize = 16;
/// When whoever found too many waiting may come again.
const BUSY: Duration = Duration::from_secs(2);

type Job = Box<dyn FnOnce() + Send>;

/// Hashes and compares passwords.
pub(super) struct Hashing {
    jobs: SyncSender<Job>,
    cost: Cost,
    computed: Arc<AtomicU64>,
}

/// What came of comparing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compared {
    /// It is the password.
    Right {
        /// Its hash is less work than it would be today.
        weaker: bool,
    },
    /// It is another, or there is none.
    Wrong,
}

impl Hashing {
    /// Begins its threads, which end with it.
    pub(super) fn new(cost: Cost) -> std::io::Result<Self> {
        let (jobs, waiting) = sync_channel::<Job>(WAITING_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        for n in 0..THREADS {
            let waiting = Arc::clone(&waiting);
            std::thread::Builder::new().name(format!("passwords-{n}")).spawn(move || work(&waiting))?;
        }
        Ok(Self { jobs, cost, computed: Arc::default() })
    }

    /// Compares a password with the hash that is kept, or with one of nobody: it is as much work.
    pub(super) async fn compare(&self, kept: Option<String>, shown: Secret) -> Result<Compared, Problem> {
        let cost = self.cost;
        self.on_a_thread(move || {
            let known = kept.is_some();
            let phc = kept.unwrap_or_else(|| password::of_nobody(cost));
            let right = password::is_right(&shown, &phc);
            if right && known { Compared::Right { weaker: password::is_weaker(&phc, cost) } } else { Compared::Wrong }
        })
        .await
    }

    /// The hash of a password, in PHC form.
    pub(super) async fn hash(&self, password: Secret, salt: [u8; SALT_BYTES]) -> Result<String, Problem> {
        let cost = self.cost;
        self.on_a_thread(move || password::hashed(&password, &salt, cost)).await
    }

    /// How many were computed.
    #[cfg(test)]
    pub(super) fn computed(&self) -> u64 {
        self.computed.load(Ordering::SeqCst)
    }

    async fn on_a_thread<T: Send + 'static>(&self, compute: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let (answer, answered) = oneshot::channel();
        let computed = Arc::clone(&self.computed);
        let job = Box::new(move || {
            if !answer.is_closed() {
                computed.fetch_add(1, Ordering::SeqCst);
                // Whoever went away meanwhile gets none.
                let _ = answer.send(compute());
            }
        });
        let busy = |_| {
            let detail = "too many sign in at this moment: try again";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(BUSY)
        };
        self.jobs.try_send(job).map_err(busy)?;
        answered.await.map_err(|_| Problem::internal())
    }
}

fn work(waiting: &Mutex<Receiver<Job>>) {
    loop {
        let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("hashing a password panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const CHEAP: Cost = Cost { memory_kib: 8, passes: 1 };

    #[actix_web::test]
    async fn nobody_is_as_much_work_as_somebody() {
        let hashing = Hashing::new(CHEAP).expect("threads");
        let (right, wrong) = (Secret::new("nobody expects this"), Secret::new("nobody expects that"));
        let phc = hashing.hash(right.clone(), [1; SALT_BYTES]).await.expect("hashed");
        for (kept, shown, expected) in [
            (Some(phc.clone()), &right, Compared::Right { weaker: false }),
            (Some(phc), &wrong, Compared::Wrong),
            (None, &right, Compared::Wrong),
        ] {
            let before = hashing.computed();
            assert_eq!(hashing.compare(kept, shown.clone()).await, Ok(expected));
            assert_eq!(hashing.computed(), before + 1);
        }
    }

    #[actix_web::test]
    async fn two_at_once_are_hashed_few_wait_and_the_next_is_told_to_come_again() {
        let hashing = Hashing::new(CHEAP).expect("threads");
        let (begun, begins) = channel();
        let (gates, held): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| channel::<()>()).unzip();
        let hold = |gate: Receiver<()>| {
            let begun = begun.clone();
            hashing.on_a_thread(move || {
                begun.send(()).expect("the test waits");
                assert!(gate.recv().is_err(), "until the test lets go");
            })
        };
        let mut working: Vec<_> = held.into_iter().map(|gate| Box::pin(hold(gate))).collect();
        for work in &mut working {
            assert!(futures_util::poll!(work.as_mut()).is_pending());
            begins.recv().expect("a thread begins");
        }
        let mut waiting: Vec<_> =
            (0..WAITING_MAX).map(|_| Box::pin(hashing.hash(Secret::new("x"), [1; SALT_BYTES]))).collect();
        for wait in &mut waiting {
            assert!(futures_util::poll!(wait.as_mut()).is_pending());
        }
        let refused = hashing.hash(Secret::new("x"), [1; SALT_BYTES]).await.expect_err("too many");
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        let (before, gone) = (hashing.computed(), waiting.split_off(1));
        drop(gone);
        drop(gates);
        for work in working {
            work.await.expect("done");
        }
        waiting.pop().expect("one is left").await.expect("hashed");
        hashing.hash(Secret::new("x"), [1; SALT_BYTES]).await.expect("there is room again");
        assert_eq!(hashing.computed(), before + 2, "for who has gone nothing is computed");
    }

    #[actix_web::test]
    async fn a_panic_costs_its_asker_alone() {
        let hashing = Hashing::new(CHEAP).expect("threads");
        for _ in 0..2 * THREADS {
            let lost = hashing.on_a_thread(|| assert_eq!(1, 2)).await;
            assert!(lost.is_err());
        }
        assert!(hashing.hash(Secret::new("x"), [1; SALT_BYTES]).await.is_ok());
    }
}
