//! The adaptive jitter buffer: packets in as they come, in order and on time out.
//!
//! ```text
//! Waiting -first packet old enough-> Playing -nothing for GAP-> Waiting
//! ```
//! The delay is scheduled, not counted: a sample with timestamp `ts` is due at `base + delay + ts`, where `base` is the
//! fastest transit seen lately (so a skewed clock is followed) and `delay` a peak of the recent spread that decays (so
//! it shrinks again after a spike). Timestamps that go back while sequence numbers go on are a sender that has begun
//! anew (a file played from its start, a transfer at the far end): [`RESTART_PACKETS`] of them and it is heard again,
//! as RFC 3550 appendix A.1 does with sequence numbers; such a packet is never merely late. Invariant: at most
//! [`PACKETS_MAX`] packets are held, and no packet is played twice. Driver: `media/receiver.rs`, called by
//! `actors/media_shard/`.

use crate::region::Region;
use crate::rtp::MISORDERED_MAX;
use std::time::{Duration, Instant};

/// Most packets held.
pub const PACKETS_MAX: usize = 32;
/// The least delay aimed at: one frame.
pub const DELAY_MIN: i64 = samples(20);
/// The most delay aimed at.
pub const DELAY_MAX: i64 = samples(240);
/// Without any packet for this long a talk spurt has ended: DTX, hold, or a dead network.
pub const GAP: i64 = samples(120);
/// A timestamp that jumps by more than this is a new stream.
pub const JUMP: i64 = samples(4000);

/// Packets in order whose timestamps lie behind what came before them, until they are believed.
pub const RESTART_PACKETS: u8 = 3;

const BASE_WINDOW: i64 = samples(2000);
const DELAY_DECAY_PACKETS: i64 = 50;

const fn samples(ms: i64) -> i64 {
    ms * 8
}

/// A packet of audio.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// Its RTP sequence number.
    pub sequence: u16,
    /// Its RTP timestamp.
    pub timestamp: u32,
    /// How long it sounds, in eighths of a millisecond.
    pub ticks: i64,
    /// Its payload.
    pub payload: &'a [u8],
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It is held.
    Held,
    /// Its time has passed.
    Late,
    /// It is here already, or was played.
    Duplicate,
    /// There is no room; it lies too far ahead.
    Overflow,
}

/// What is due now.
#[derive(Debug, PartialEq, Eq)]
pub enum Pulled<'a> {
    /// This payload.
    Payload(&'a [u8]),
    /// A packet that is not here: conceal it.
    Lost,
    /// Wait a little: the delay grows; bridge one frame.
    Stretch,
    /// Nothing is being said.
    Idle,
}

/// The buffer of one stream. Times are kept in eighths of a millisecond, whatever the clock of its timestamps.
#[derive(Debug)]
pub struct JitterBuffer {
    /// Ticks of the stream's clock in an eighth of a millisecond.
    scale: i64,
    slots: Vec<Slot>,
    epoch: Option<Instant>,
    last_timestamp: Option<(u32, i64)>,
    last_sequence: Option<u16>,
    /// Packets in order that lie behind, one after another.
    behind: u8,
    base: WindowMinimum,
    delay: i64,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Waiting,
    Playing { next: i64, last_arrival: i64 },
}

#[derive(Debug)]
struct Slot {
    timestamp: Option<i64>,
    ticks: i64,
    payload: Vec<u8>,
}

/// Room of a slot in bytes: 20 ms at 64 kbit/s, and more than Opus takes at our rate. A longer packet makes it grow.
const SLOT_BYTES: usize = 160;

impl Default for Slot {
    fn default() -> Self {
        Self { timestamp: None, ticks: 0, payload: Vec::with_capacity(SLOT_BYTES) }
    }
}

impl Default for JitterBuffer {
    fn default() -> Self {
        Self {
            scale: 1,
            slots: Vec::new(),
            epoch: None,
            last_timestamp: None,
            last_sequence: None,
            behind: 0,
            base: WindowMinimum::default(),
            delay: DELAY_MIN,
            state: State::Waiting,
        }
    }
}

impl JitterBuffer {
    /// A buffer for timestamps that count at this rate: 8000 or a multiple of it.
    pub fn with_clock(clock_rate: u32) -> Self {
        Self { scale: i64::from(clock_rate / 8000).max(1), ..Self::default() }
    }

    /// Takes a packet that arrived now.
    pub fn push(&mut self, now: Instant, incoming: Incoming<'_>) -> Pushed {
        let Incoming { sequence, timestamp, ticks, payload } = incoming;
        if payload.is_empty() || ticks <= 0 {
            return Pushed::Overflow;
        }
        let arrival = self.clock(now);
        let mut extended = self.extend(timestamp);
        if self.jumped(extended) || self.has_begun_anew(sequence, extended) {
            self.restart();
            extended = self.extend(timestamp);
        }
        let transit = arrival - extended;
        let base = self.base.push(arrival, transit);
        self.widen(transit - base);
        if let State::Playing { next, last_arrival } = &mut self.state {
            *last_arrival = arrival;
            if extended + ticks <= *next {
                return Pushed::Late;
            }
        }
        if self.slots.iter().any(|slot| slot.timestamp == Some(extended)) {
            return Pushed::Duplicate;
        }
        let free = match self.slots.iter().position(|slot| slot.timestamp.is_none()) {
            Some(free) => free,
            None if self.slots.len() < PACKETS_MAX => {
                self.slots.push(Slot::default());
                self.slots.len() - 1
            }
            None => return Pushed::Overflow,
        };
        let slot = &mut self.slots[free];
        slot.timestamp = Some(extended);
        slot.ticks = ticks;
        slot.payload.clear();
        slot.payload.extend_from_slice(payload);
        Pushed::Held
    }

    /// What is due. Call it whenever the listener needs more samples; `quiet` says that the last frame played was quiet,
    /// so that a correction of the delay would not be heard.
    pub fn pull(&mut self, now: Instant, quiet: bool) -> Pulled<'_> {
        let clock = self.clock(now);
        let ideal = clock - self.base.value() - self.delay;
        match self.state {
            State::Waiting => match self.earliest() {
                Some(first) if first <= ideal => {
                    self.state = State::Playing { next: first, last_arrival: clock };
                    self.take(first)
                }
                _ => Pulled::Idle,
            },
            State::Playing { next, last_arrival } => {
                let Some(earliest) = self.earliest() else {
                    if clock - last_arrival >= GAP {
                        self.state = State::Waiting;
                        return Pulled::Idle;
                    }
                    // Nothing to play: time goes on only while the schedule says so.
                    return if next <= ideal { self.lose() } else { Pulled::Stretch };
                };
                let early = next - ideal;
                if early > samples(20) && (quiet || early > samples(60)) {
                    return Pulled::Stretch;
                }
                if earliest - next >= GAP && clock - last_arrival < GAP {
                    // A talk spurt begins after a pause of the sender: wait for it as for a first packet.
                    self.state = State::Waiting;
                    return Pulled::Idle;
                }
                if earliest > next {
                    return self.lose();
                }
                if -early > samples(40) && (quiet || -early > samples(100)) {
                    // Too much delay: leave one packet out.
                    let skipped = self.remove(earliest).unwrap_or(0);
                    let next = (earliest + skipped).max(next);
                    self.state = State::Playing { next, last_arrival };
                    return match self.earliest() {
                        Some(then) if then <= next => self.take(then),
                        _ => self.lose(),
                    };
                }
                self.take(earliest)
            }
        }
    }

    /// The delay aimed at beyond the fastest transit.
    pub fn delay(&self) -> Duration {
        Duration::from_micros(self.delay as u64 * 125)
    }

    /// Where what is held is listed.
    pub(crate) fn slots(&self) -> Region {
        Region::of(self.slots.as_slice())
    }

    /// Where its payloads are, and places for others.
    pub(crate) fn payloads(&self) -> impl Iterator<Item = Region> {
        self.slots.iter().map(|slot| Region::at(slot.payload.as_ptr(), SLOT_BYTES))
    }

    /// How many packets are held.
    pub fn len(&self) -> usize {
        self.slots.iter().filter(|slot| slot.timestamp.is_some()).count()
    }

    /// Whether no packet is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything: a new synchronisation source begins.
    pub fn restart(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.timestamp = None);
        self.last_timestamp = None;
        self.behind = 0;
        self.base = WindowMinimum::default();
        self.delay = DELAY_MIN;
        self.state = State::Waiting;
    }

    fn take(&mut self, timestamp: i64) -> Pulled<'_> {
        let State::Playing { last_arrival, .. } = self.state else { return Pulled::Idle };
        let Some(at) = self.slots.iter().position(|slot| slot.timestamp == Some(timestamp)) else {
            return Pulled::Lost;
        };
        let slot = &mut self.slots[at];
        slot.timestamp = None;
        self.state = State::Playing { next: timestamp + slot.ticks, last_arrival };
        Pulled::Payload(&self.slots[at].payload)
    }

    fn lose(&mut self) -> Pulled<'_> {
        if let State::Playing { next, .. } = &mut self.state {
            *next += samples(20);
        }
        Pulled::Lost
    }

    fn remove(&mut self, timestamp: i64) -> Option<i64> {
        let slot = self.slots.iter_mut().find(|slot| slot.timestamp == Some(timestamp))?;
        slot.timestamp = None;
        Some(slot.ticks)
    }

    fn earliest(&self) -> Option<i64> {
        self.slots.iter().filter_map(|slot| slot.timestamp).min()
    }

    /// The delay follows the spread up at once and down slowly.
    fn widen(&mut self, spread: i64) {
        let wanted = (spread + DELAY_MIN).clamp(DELAY_MIN, DELAY_MAX);
        if wanted > self.delay {
            self.delay = wanted;
        } else {
            self.delay -= (self.delay - wanted + DELAY_DECAY_PACKETS - 1) / DELAY_DECAY_PACKETS;
        }
    }

    fn clock(&mut self, now: Instant) -> i64 {
        let epoch = *self.epoch.get_or_insert(now);
        (now.saturating_duration_since(epoch).as_micros() / 125) as i64
    }

    /// 32-bit timestamps to a line without wrap, in eighths of a millisecond.
    fn extend(&mut self, timestamp: u32) -> i64 {
        let extended = match self.last_timestamp {
            Some((last, line)) => line + i64::from(timestamp.wrapping_sub(last) as i32),
            None => i64::from(timestamp),
        };
        let ahead = |line: i64| extended > line && extended - line <= JUMP * self.scale;
        if self.last_timestamp.is_none_or(|(_, line)| ahead(line)) {
            self.last_timestamp = Some((timestamp, extended));
        }
        extended / self.scale
    }

    /// Whether timestamps have gone back under sequence numbers that go on.
    fn has_begun_anew(&mut self, sequence: u16, extended: i64) -> bool {
        let ahead = self.last_sequence.map_or(1, |last| sequence.wrapping_sub(last));
        if ahead == 0 || ahead > u16::MAX - MISORDERED_MAX {
            return false; // overtaken, or twice here
        }
        self.last_sequence = Some(sequence);
        let is_behind = self.last_timestamp.is_some_and(|(_, line)| extended < line / self.scale);
        self.behind = if is_behind { self.behind + 1 } else { 0 };
        self.behind >= RESTART_PACKETS
    }

    fn jumped(&self, extended: i64) -> bool {
        self.last_timestamp.is_some_and(|(_, line)| (extended - line / self.scale).abs() > JUMP)
    }
}

/// The minimum over the last one to two windows.
#[derive(Debug, Default)]
struct WindowMinimum {
    previous: Option<i64>,
    current: Option<i64>,
    began: i64,
}

impl WindowMinimum {
    fn push(&mut self, clock: i64, value: i64) -> i64 {
        if clock - self.began >= BASE_WINDOW {
            self.previous = self.current.take();
            self.began = clock;
        }
        self.current = Some(self.current.map_or(value, |c| c.min(value)));
        self.value()
    }

    fn value(&self) -> i64 {
        self.previous.into_iter().chain(self.current).min().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
