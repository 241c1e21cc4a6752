//! The data plane of one thread: sockets and the 20 ms clock, shared by its calls.
//!
//! A shard owns its legs' ports and one clock of 5 ms slices; legs are spread over the four phases of a frame. Per slice it
//! drains the ports that are due, pulls 20 ms from each jitter buffer and sends what each playout has due. Actors get
//! events and batches, never packets. Invariant: no allocation, lock or timer per leg and frame; a panic in one leg's
//! slice ends that leg alone; without legs the clock rests.

#[allow(unsafe_code)] // the one file that batches system calls
mod batch_io;
pub mod udp_port;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use bellhop_media::dtmf::rfc4733::Press;
use bellhop_media::playout::{self, Playout};
use bellhop_media::receiver::{Arrival, Drop as Dropped, Receiver, Source};
use bellhop_media::rtp::PACKET_BYTES_MAX;
use bellhop_media::{FRAME_SAMPLES, Frame};
use tokio::sync::Notify;

use crate::metrics;
use crate::supervision::link::panic_message;

/// One slice of the clock.
pub const SLICE: Duration = Duration::from_millis(5);
/// Slices in one 20 ms frame.
pub const PHASES: usize = 4;
/// Frames of caller audio handed over at once.
pub const BATCH_FRAMES: usize = 3;
/// A clock this far behind gives up what it missed: the machine was suspended or overloaded.
pub const CATCH_UP_MAX: Duration = Duration::from_millis(200);

/// Where a leg's packets come and go: a UDP socket, or a test's carrier.
pub trait PacketPort {
    /// Hands over every datagram that has arrived.
    fn drain(&mut self, deliver: &mut dyn FnMut(SocketAddr, &[u8]));
    /// Sends one datagram; `false` if it could not be sent.
    fn send(&mut self, bytes: &[u8], to: SocketAddr) -> bool;
}

/// What a leg reports; called on the shard's thread, must not block.
pub trait LegEvents {
    /// A key was pressed.
    fn digit(&self, press: Press);
    /// Caller audio: [`BATCH_FRAMES`] frames, silence included.
    fn audio(&self, samples: Vec<i16>);
    /// A clip started or finished.
    fn clip(&self, event: playout::Event);
    /// The leg's slice panicked; it has been taken off the clock.
    fn failed(&self, message: String);
}

/// The cores of one leg, shared between the shard and the actors that own them.
#[derive(Debug)]
pub struct LegCores {
    /// Inbound; the JitterBuffer actor's.
    pub receiver: RefCell<Receiver>,
    /// Outbound; the TtsPlayback actor's.
    pub playout: RefCell<Playout>,
    /// What the leg does.
    pub mode: Cell<LegMode>,
}

/// What a leg does on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegMode {
    /// Waits: what arrives is drained and forgotten, nothing is sent.
    Resting,
    /// Hears and sends.
    Talking,
    /// Hears, but sends nothing: the far end is on hold.
    Listening,
}

/// One leg as it is put on the clock.
pub struct Leg {
    /// Its port.
    pub port: Box<dyn PacketPort>,
    /// Its cores.
    pub cores: Rc<LegCores>,
    /// Its listener.
    pub events: Box<dyn LegEvents>,
}

struct OnClock {
    number: u64,
    leg: Leg,
    batch: Vec<i16>,
}

/// The shard of this thread.
pub struct Shard {
    phases: RefCell<[Vec<OnClock>; PHASES]>,
    joining: RefCell<Vec<OnClock>>,
    leaving: RefCell<Vec<u64>>,
    next_number: Cell<u64>,
    wake: Notify,
    counters: RefCell<metrics::MediaCounters>,
}

/// Keeps a leg on the clock until it is dropped.
pub struct OnAir {
    shard: Weak<Shard>,
    number: u64,
}

impl std::fmt::Debug for OnAir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OnAir({})", self.number)
    }
}

impl Drop for OnAir {
    fn drop(&mut self) {
        if let Some(shard) = self.shard.upgrade() {
            shard.leaving.borrow_mut().push(self.number);
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
            let shard = Rc::new(Self {
                phases: RefCell::default(),
                joining: RefCell::default(),
                leaving: RefCell::default(),
                next_number: Cell::new(0),
                wake: Notify::new(),
                counters: RefCell::default(),
            });
            *current = Rc::downgrade(&shard);
            let clock = Rc::clone(&shard);
            actix_rt::spawn(async move { clock.run().await });
            shard
        })
    }

    /// Puts a leg on the clock.
    pub fn register(self: &Rc<Self>, leg: Leg) -> OnAir {
        let number = self.next_number.get();
        self.next_number.set(number + 1);
        let batch = Vec::with_capacity(BATCH_FRAMES * FRAME_SAMPLES);
        self.joining.borrow_mut().push(OnClock { number, leg, batch });
        self.wake.notify_one();
        OnAir { shard: Rc::downgrade(self), number }
    }

    /// How many legs are on the clock.
    pub fn legs(&self) -> usize {
        self.join_and_leave();
        self.phases.borrow().iter().map(Vec::len).sum()
    }

    async fn run(self: Rc<Self>) {
        let mut phase = 0;
        let mut due = tokio::time::Instant::now();
        loop {
            if self.legs() == 0 {
                self.flush_counters();
                self.wake.notified().await;
                due = tokio::time::Instant::now();
                continue;
            }
            tokio::time::sleep_until(due).await;
            let now = crate::now();
            self.slice(phase, now);
            phase = (phase + 1) % PHASES;
            due += SLICE;
            if tokio::time::Instant::now().saturating_duration_since(due) > CATCH_UP_MAX {
                self.counters.borrow_mut().clock_slips += 1;
                due = tokio::time::Instant::now();
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
        for number in self.leaving.borrow_mut().drain(..) {
            phases.iter_mut().for_each(|legs| legs.retain(|leg| leg.number != number));
        }
    }

    fn slice(&self, phase: usize, now: Instant) {
        let mut phases = self.phases.borrow_mut();
        let mut counters = self.counters.borrow_mut();
        phases[phase].retain_mut(|on_clock| {
            let outcome = catch_unwind(AssertUnwindSafe(|| on_clock.frame(now, &mut counters)));
            let Err(panic) = outcome else { return true };
            on_clock.leg.events.failed(panic_message(&*panic));
            false
        });
        drop(phases);
        counters.slices += 1;
        if counters.slices >= 200 {
            drop(counters);
            self.flush_counters();
        }
    }

    fn flush_counters(&self) {
        self.counters.borrow_mut().flush();
    }
}

impl OnClock {
    fn frame(&mut self, now: Instant, counters: &mut metrics::MediaCounters) {
        let Leg { port, cores, events } = &mut self.leg;
        let mode = cores.mode.get();
        let mut receiver = cores.receiver.borrow_mut();
        port.drain(&mut |source, datagram| {
            counters.received += 1;
            if mode == LegMode::Resting {
                return;
            }
            match receiver.push(now, source, datagram) {
                Arrival::Audio | Arrival::Event(None) => {}
                Arrival::Event(Some(press)) => events.digit(press),
                Arrival::Dropped(why) => counters.dropped[why as usize] += 1,
            }
        });
        if mode == LegMode::Resting {
            return;
        }
        let start = self.batch.len();
        self.batch.resize(start + FRAME_SAMPLES, 0);
        let frame: &mut Frame = (&mut self.batch[start..]).try_into().expect("one frame was added");
        let (source, press) = receiver.frame(now, frame);
        if let Some(press) = press {
            events.digit(press);
        }
        if source == Source::Concealed {
            counters.concealed += 1;
        }
        if self.batch.len() >= BATCH_FRAMES * FRAME_SAMPLES {
            let full = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH_FRAMES * FRAME_SAMPLES));
            events.audio(full);
        }
        let Some(destination) = receiver.destination() else { return };
        drop(receiver);
        let mut playout = cores.playout.borrow_mut();
        if mode == LegMode::Listening {
            return playout.skip();
        }
        let mut packet = [0; PACKET_BYTES_MAX];
        let length = playout.packet(&mut packet);
        if port.send(&packet[..length], destination) {
            counters.sent += 1;
        } else {
            counters.send_failed += 1;
        }
        while let Some(event) = playout.poll_event() {
            events.clip(event);
        }
    }
}

const _: () = assert!(Dropped::ALL.len() == 7);
