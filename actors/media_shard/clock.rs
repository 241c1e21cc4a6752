//! The clock of one thread: which legs are served in which slice.
//!
//! Invariant: legs are spread over the phases of a frame; a panic in one leg's slice ends that leg alone; without legs the clock
//! rests.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::{Rc, Weak};
use std::time::Instant;

use tokio::sync::Notify;

use super::leg::Leg;
use super::slice::OnClock;
use super::{CATCH_UP_MAX, PHASES, SLICE};
use crate::metrics;

/// Slices between two additions to the metrics: one second.
const SLICES_PER_FLUSH: u32 = 200;

/// The shard of this thread.
pub struct Shard {
    phases: RefCell<[Vec<OnClock>; PHASES]>,
    joining: RefCell<Vec<OnClock>>,
    closing: RefCell<Vec<u64>>,
    next_number: Cell<u64>,
    wake: Notify,
    counters: RefCell<metrics::MediaCounters>,
    /// What its calls count in.
    pub families: metrics::MediaFamilies,
}

/// Keeps a leg on the clock until it is dropped.
pub struct LegHandle {
    shard: Weak<Shard>,
    number: u64,
}

impl std::fmt::Debug for LegHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LegHandle({})", self.number)
    }
}

impl Drop for LegHandle {
    fn drop(&mut self) {
        if let Some(shard) = self.shard.upgrade() {
            shard.closing.borrow_mut().push(self.number);
            shard.wake.notify_one();
        }
    }
}

thread_local! {
    static SHARD: RefCell<Weak<Shard>> = const { RefCell::new(Weak::new()) };
}

impl Shard {
    /// The shard of this thread; its clock is started with the first use.
    pub fn current() -> Rc<Self> {
        SHARD.with_borrow_mut(|current| {
            if let Some(shard) = current.upgrade() {
                return shard;
            }
            let shard = Self::without_clock();
            *current = Rc::downgrade(&shard);
            let clock = Rc::clone(&shard);
            actix_rt::spawn(async move { clock.run().await });
            shard
        })
    }

    /// A shard whose slices somebody else asks for, by [`Shard::slice`].
    pub fn without_clock() -> Rc<Self> {
        Rc::new(Self {
            phases: RefCell::default(),
            joining: RefCell::default(),
            closing: RefCell::default(),
            next_number: Cell::new(0),
            wake: Notify::new(),
            counters: RefCell::default(),
            families: metrics::MediaFamilies::default(),
        })
    }

    /// Puts a leg on the clock.
    pub fn register(self: &Rc<Self>, leg: Leg) -> LegHandle {
        let number = self.next_number.get();
        self.next_number.set(number + 1);
        self.joining.borrow_mut().push(OnClock::new(number, leg));
        self.wake.notify_one();
        LegHandle { shard: Rc::downgrade(self), number }
    }

    /// How many legs are on the clock.
    pub fn legs(&self) -> usize {
        self.join_and_leave();
        self.phases.borrow().iter().map(Vec::len).sum()
    }

    async fn run(self: Rc<Self>) {
        let mut phase = 0;
        let mut due = crate::now();
        loop {
            if self.legs() == 0 {
                self.flush_counters();
                self.wake.notified().await;
                due = crate::now();
                continue;
            }
            tokio::time::sleep_until(due.into()).await;
            let now = crate::now();
            self.slice(phase, now);
            phase = (phase + 1) % PHASES;
            due += SLICE;
            if crate::now().saturating_duration_since(due) > CATCH_UP_MAX {
                self.counters.borrow_mut().clock_slips += 1;
                due = crate::now();
            }
        }
    }

    /// Newcomers go to the phase with the fewest legs.
    fn join_and_leave(&self) {
        let mut phases = self.phases.borrow_mut();
        for leg in self.joining.borrow_mut().drain(..) {
            if let Some(quietest) = phases.iter_mut().min_by_key(|legs| legs.len()) {
                quietest.push(leg);
            }
        }
        for number in self.closing.borrow_mut().drain(..) {
            for legs in phases.iter_mut() {
                if let Some(at) = legs.iter().position(|leg| leg.number == number) {
                    let leg = legs.swap_remove(at);
                    // A leg that cannot say BYE must not stop the clock of all others.
                    let _ = catch_unwind(AssertUnwindSafe(|| leg.close()));
                }
            }
        }
    }

    /// One slice of the clock: 20 ms of every leg of a phase, which is one of [`PHASES`], in and out.
    ///
    /// It allocates nothing but the batch of caller audio that is handed over, what the G.722 library returns, and
    /// with the first packet of a stranger, or of events with an SSRC of their own, what they are remembered in:
    /// `tests/media_slice.rs`.
    pub fn slice(&self, phase: usize, now: Instant) {
        let mut phases = self.phases.borrow_mut();
        let mut counters = self.counters.borrow_mut();
        let mut at = 0;
        while let Some((on_clock, coming)) = phases[phase][at..].split_first_mut() {
            let outcome = catch_unwind(AssertUnwindSafe(|| on_clock.frame(now, &mut counters, coming)));
            if outcome.is_ok() {
                at += 1;
            } else {
                on_clock.leg.events.failed();
                phases[phase].remove(at);
            }
        }
        drop(phases);
        counters.slices += 1;
        if counters.slices >= SLICES_PER_FLUSH {
            drop(counters);
            self.flush_counters();
        }
    }

    fn flush_counters(&self) {
        self.counters.borrow_mut().flush(&self.families);
    }
}
