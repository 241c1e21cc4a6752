//! The data plane of one thread: sockets and the 20 ms clock, shared by its calls.
//!
//! A shard owns its legs' ports and one clock of 5 ms slices; legs are spread over the four phases of a frame. Per slice it
//! drains the ports that are due, pulls 20 ms from each jitter buffer and sends what each playout has due. Actors get
//! events and batches, never packets. What is measured (jitter, round trip, the delay since a sender report) counts from
//! when a datagram *arrived*, which the kernel stamps, never from when it was read: an RTCP port is read once a second.
//! Invariant: no allocation, lock or timer per leg and frame; a panic in one leg's
//! slice ends that leg alone; without legs the clock rests.

#[allow(unsafe_code)] // the one file that batches system calls
mod batch_io;
pub mod udp_port;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::{Rc, Weak};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use bellhop_media::dtmf::rfc4733::Press;
use bellhop_media::playout::{self, Playout};
use bellhop_media::receiver::{Arrival, DropReason, Receiver, Source};
use bellhop_media::recording::Recorder;
use bellhop_media::rtcp::{self, CONTROL_BYTES_MAX, Control, Heard, Time};
use bellhop_media::rtp::PACKET_BYTES_MAX;
use bellhop_media::srtp::OVERHEAD_BYTES_MAX;
use tokio::sync::Notify;

use crate::metrics;
use crate::supervision::link::panic_message;

/// One slice of the clock.
pub const SLICE: Duration = Duration::from_millis(5);
/// Slices in one 20 ms frame.
pub const PHASES: usize = 4;
/// Frames of caller audio handed over at once.
pub const BATCH_FRAMES: usize = 3;
/// Frames between two looks at what is slow: RTCP, and whether the far end is still there. One second.
pub const FRAMES_PER_LOOK: u32 = 50;
/// Looks between two RTCP reports.
const LOOKS_PER_REPORT: u32 = (rtcp::REPORT_EVERY.as_millis() / 1000) as u32;
/// Frames between two drains of a leg that rests.
const FRAMES_PER_REST: u32 = 5;
/// A clock this far behind gives up what it missed: the machine was suspended or overloaded.
pub const CATCH_UP_MAX: Duration = Duration::from_millis(200);

/// A datagram that has arrived.
#[derive(Debug)]
pub struct Datagram<'a> {
    /// Where it came from.
    pub source: SocketAddr,
    /// What it says; it may be worked on in place.
    pub bytes: &'a mut [u8],
    /// How long it has waited for being read, by the kernel's clock.
    pub age: Duration,
}

/// Takes datagrams, one after another.
pub type Deliver<'a> = dyn FnMut(Datagram<'_>) + 'a;

/// Where a leg's packets come and go: a UDP socket, or a test's carrier.
pub trait PacketPort {
    /// Hands over every datagram that has arrived.
    fn drain(&mut self, deliver: &mut Deliver<'_>);
    /// The same for the RTCP port.
    fn drain_control(&mut self, deliver: &mut Deliver<'_>);
    /// Sends one datagram; `false` if it could not be sent.
    fn send(&mut self, bytes: &[u8], to: SocketAddr) -> bool;
    /// Sends one datagram from the RTCP port.
    fn send_control(&mut self, bytes: &[u8], to: SocketAddr) -> bool;
}

/// What a leg reports; called on the shard's thread, must not block.
pub trait LegEvents {
    /// A digit was pressed.
    fn digit(&self, press: Press);
    /// Caller audio: [`BATCH_FRAMES`] frames of so many samples, silence included.
    fn audio(&self, samples: Vec<i16>, frame_samples: usize);
    /// A clip started or finished.
    fn clip(&self, event: playout::Event);
    /// Some of the recording: caller, us, caller, us.
    fn recorded(&self, samples: Vec<i16>);
    /// Nothing was heard of the far end for the media timeout, though it should send. Told once.
    fn silent(&self);
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
    /// RTCP.
    pub control: RefCell<Control>,
    /// The recording, if the tenant wants one.
    pub recorder: RefCell<Option<Recorder>>,
    /// Where RTCP goes.
    pub control_path: Cell<ControlPath>,
    /// What the leg does, and since when.
    mode: Cell<(LegMode, Instant)>,
    /// How long the far end may be silent while it should send.
    pub media_timeout: Duration,
}

impl LegCores {
    /// Cores that rest.
    pub fn new(now: Instant, receiver: Receiver, playout: Playout, control: Control, media_timeout: Duration) -> Self {
        Self {
            receiver: RefCell::new(receiver),
            playout: RefCell::new(playout),
            control: RefCell::new(control),
            recorder: RefCell::new(None),
            control_path: Cell::new(ControlPath::Nowhere),
            mode: Cell::new((LegMode::Resting, now)),
            media_timeout,
        }
    }

    /// What the leg does.
    pub fn mode(&self) -> LegMode {
        self.mode.get().0
    }

    /// From here on the leg does this.
    pub fn set_mode(&self, mode: LegMode, now: Instant) {
        if self.mode() != mode {
            self.mode.set((mode, now));
        }
    }

    /// Whether the far end should send, does not, and has not for too long.
    fn is_silent(&self, now: Instant) -> bool {
        let (mode, since) = self.mode.get();
        let heard = self.receiver.borrow().last_heard().map_or(since, |heard| heard.max(since));
        mode == LegMode::Talking && now.saturating_duration_since(heard) >= self.media_timeout
    }
}

/// Where a leg's RTCP goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlPath {
    /// Nobody told.
    Nowhere,
    /// Over the RTP port (RFC 5761).
    Muxed,
    /// From our RTCP port to this one.
    Apart(SocketAddr),
}

/// What a leg does on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegMode {
    /// Waits: what arrives is drained and forgotten, nothing is sent.
    Resting,
    /// Hears and sends.
    Talking,
    /// Hears, but sends nothing: the far end has put us on hold, perhaps with music.
    Listening,
    /// Sends, but nothing is expected: the far end is muted, or held by us.
    Speaking,
    /// Neither: held from both sides.
    Held,
}

impl LegMode {
    fn hears(self) -> bool {
        matches!(self, Self::Talking | Self::Listening)
    }

    fn sends(self) -> bool {
        matches!(self, Self::Talking | Self::Speaking)
    }
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
    frames: u32,
    told_silent: bool,
}

/// The shard of this thread.
pub struct Shard {
    phases: RefCell<[Vec<OnClock>; PHASES]>,
    joining: RefCell<Vec<OnClock>>,
    closing: RefCell<Vec<u64>>,
    next_number: Cell<u64>,
    wake: Notify,
    counters: RefCell<metrics::MediaCounters>,
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
            let shard = Rc::new(Self {
                phases: RefCell::default(),
                joining: RefCell::default(),
                closing: RefCell::default(),
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
    pub fn register(self: &Rc<Self>, leg: Leg) -> LegHandle {
        let number = self.next_number.get();
        self.next_number.set(number + 1);
        self.joining.borrow_mut().push(OnClock { number, leg, batch: vec![], frames: 0, told_silent: false });
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
                    legs.swap_remove(at).close();
                }
            }
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
        self.frames = self.frames.wrapping_add(1);
        let mode = self.leg.cores.mode();
        if !mode.hears() && !mode.sends() {
            return self.rest(mode, now, counters);
        }
        self.hear(mode, now, counters);
        self.speak(mode, counters);
        self.record(mode);
        if self.frames.is_multiple_of(FRAMES_PER_LOOK) {
            self.look(now);
        }
    }

    /// What arrives at a leg that neither hears nor sends is read now and then, and forgotten.
    fn rest(&mut self, mode: LegMode, now: Instant, counters: &mut metrics::MediaCounters) {
        if self.frames.is_multiple_of(FRAMES_PER_REST) {
            self.leg.port.drain(&mut |_| counters.received += 1);
        }
        if mode == LegMode::Held {
            self.leg.cores.playout.borrow_mut().skip();
            if self.frames.is_multiple_of(FRAMES_PER_LOOK) {
                self.look(now);
            }
        }
    }

    fn hear(&mut self, mode: LegMode, now: Instant, counters: &mut metrics::MediaCounters) {
        let Leg { port, cores, events } = &mut self.leg;
        let mut receiver = cores.receiver.borrow_mut();
        port.drain(&mut |datagram| {
            counters.received += 1;
            let arrived = now.checked_sub(datagram.age).unwrap_or(now);
            match receiver.push(arrived, datagram.source, datagram.bytes) {
                Arrival::Audio | Arrival::ComfortNoise | Arrival::Event(None) => {}
                Arrival::Event(Some(press)) => events.digit(press),
                Arrival::Control => hear_control(cores, &mut receiver, now, datagram),
                Arrival::Dropped(why) => counters.dropped[why as usize] += 1,
            }
        });
        if !mode.hears() {
            return;
        }
        let samples = receiver.frame_samples();
        let start = self.batch.len();
        if start == 0 {
            self.batch.reserve_exact(BATCH_FRAMES * samples);
        }
        self.batch.resize(start + samples, 0);
        let (source, press) = receiver.frame(now, &mut self.batch[start..]);
        if let Some(press) = press {
            events.digit(press);
        }
        if source == Source::Concealed {
            counters.concealed += 1;
        }
    }

    /// The frame that was just heard and what was just sent go to the recorder; then a full batch goes to the recognizer.
    fn record(&mut self, mode: LegMode) {
        let Leg { cores, events, .. } = &mut self.leg;
        let samples = cores.receiver.borrow().frame_samples();
        if let Some(recorder) = cores.recorder.borrow_mut().as_mut() {
            let heard = if mode.hears() { &self.batch[self.batch.len() - samples..] } else { &[] };
            let mut full = None;
            cores.playout.borrow_mut().monitored(|ours| full = recorder.push(heard, ours));
            if let Some(chunk) = full {
                events.recorded(chunk);
            }
        }
        if self.batch.len() >= BATCH_FRAMES * samples {
            events.audio(std::mem::take(&mut self.batch), samples);
        }
    }

    fn speak(&mut self, mode: LegMode, counters: &mut metrics::MediaCounters) {
        let Leg { port, cores, events } = &mut self.leg;
        let Some(destination) = cores.receiver.borrow().destination() else { return };
        let may_send = cores.receiver.borrow().may_send();
        let mut playout = cores.playout.borrow_mut();
        if !mode.sends() {
            return playout.skip();
        }
        playout.tick();
        let mut packet = [0; PACKET_BYTES_MAX];
        while let Some(length) = playout.packet(&mut packet) {
            if may_send && port.send(&packet[..length], destination) {
                counters.sent += 1;
            } else {
                counters.send_failed += 1;
            }
        }
        while let Some(event) = playout.poll_event() {
            events.clip(event);
        }
    }

    /// Once a second: what the far end reports, our own report, and whether the far end is still there.
    fn look(&mut self, now: Instant) {
        let Leg { port, cores, events } = &mut self.leg;
        port.drain_control(&mut |datagram| {
            if rtcp::is_control(datagram.bytes) {
                hear_control(cores, &mut cores.receiver.borrow_mut(), now, datagram);
            }
        });
        if cores.is_silent(now) {
            if !self.told_silent {
                events.silent();
            }
            self.told_silent = true;
        }
        if (self.frames / FRAMES_PER_LOOK).is_multiple_of(LOOKS_PER_REPORT) {
            let (mut receiver, playout) = (cores.receiver.borrow_mut(), cores.playout.borrow_mut());
            let mut packet = [0; CONTROL_BYTES_MAX];
            let mut sent = playout.sent();
            drop(playout);
            if !cores.mode().sends() {
                sent.packets = 0;
            }
            // The slice began a while ago, by what the legs before this one took.
            let now = crate::now();
            let time = Time { now, ntp: ntp_at(now) };
            let length = cores.control.borrow().report(time, sent, receiver.reception(), &mut packet[..]);
            drop(receiver);
            self.send_control(&mut packet, length);
        }
    }

    /// The leg has left the clock: the far end's RTCP hears of it.
    fn close(mut self) {
        if let Some(recorder) = self.leg.cores.recorder.borrow_mut().as_mut() {
            self.leg.events.recorded(recorder.finish());
        }
        if self.leg.cores.mode() != LegMode::Resting {
            let mut packet = [0; CONTROL_BYTES_MAX];
            let ssrc = self.leg.cores.playout.borrow().sent().ssrc;
            let length = self.leg.cores.control.borrow().bye(ssrc, &mut packet);
            self.send_control(&mut packet, length);
        }
    }

    fn send_control(&mut self, packet: &mut [u8; CONTROL_BYTES_MAX], length: usize) {
        let Leg { port, cores, .. } = &mut self.leg;
        let Some(destination) = cores.receiver.borrow().destination() else { return };
        if !cores.receiver.borrow().may_send() {
            return;
        }
        if length == 0 || length + OVERHEAD_BYTES_MAX > packet.len() {
            return;
        }
        let length = cores.playout.borrow_mut().seal_control(packet, length);
        match cores.control_path.get() {
            ControlPath::Nowhere => {}
            ControlPath::Muxed => {
                port.send(&packet[..length], destination);
            }
            // Behind NAT the signalled address is no use; the port above the pinned one is the best guess.
            ControlPath::Apart(signalled) if signalled.ip() == destination.ip() => {
                port.send_control(&packet[..length], signalled);
            }
            ControlPath::Apart(_) => {
                let above = SocketAddr::new(destination.ip(), destination.port().saturating_add(1));
                port.send_control(&packet[..length], above);
            }
        }
    }
}

fn hear_control(cores: &LegCores, receiver: &mut Receiver, now: Instant, datagram: Datagram<'_>) {
    let Datagram { source, bytes, age } = datagram;
    let Some(length) = receiver.open_control(source, bytes) else { return };
    let ssrc = cores.playout.borrow().sent().ssrc;
    let arrived = now.checked_sub(age).unwrap_or(now);
    let time = Time { now: arrived, ntp: ntp_at(arrived) };
    if cores.control.borrow_mut().receive(time, ssrc, &bytes[..length]) == Heard::Alive {
        receiver.control_heard(arrived);
    }
}

/// A span of time in NTP format.
fn ntp_of(span: Duration) -> u64 {
    (span.as_secs() << 32) + (u64::from(span.subsec_nanos()) << 32) / 1_000_000_000
}

/// The time of day in NTP format: seconds since 1900 in the upper half (RFC 3550 section 4). It is read once and goes on with
/// the monotonic clock from there, so that setting the clock is no round trip.
fn ntp_at(now: Instant) -> u64 {
    static READ: OnceLock<(Instant, u64)> = OnceLock::new();
    let (then, ntp) = *READ.get_or_init(|| {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        (now, ntp_of(since_1970 + Duration::from_secs(2_208_988_800)))
    });
    match now.checked_duration_since(then) {
        Some(later) => ntp.wrapping_add(ntp_of(later)),
        None => ntp.wrapping_sub(ntp_of(then - now)),
    }
}

const _: () = assert!(DropReason::ALL.len() == 9);
