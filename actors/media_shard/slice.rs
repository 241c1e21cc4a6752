//! One leg's slice of the clock: 20 ms are heard, 20 ms are sent, and once a second it is looked at what is slow.
//!
//! Invariant: no allocation, lock or timer per frame but the batch that is handed over.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bellhop_media::receiver::{Arrival, DropReason, Receiver, Source};
use bellhop_media::region::Region;
use bellhop_media::rtcp::{self, CONTROL_BYTES_MAX, Heard, Time};
use bellhop_media::rtp::PACKET_BYTES_MAX;
use bellhop_media::srtp::OVERHEAD_BYTES_MAX;

use super::leg::{ControlPath, Leg, LegCores, LegMode};
use super::ntp::ntp_at;
use super::prefetch::prefetch;
use super::{BATCH_FRAMES, Datagram, FRAMES_PER_LOOK, LegEvents};
use crate::metrics;

/// Looks between two RTCP reports.
const LOOKS_PER_REPORT: u32 = (rtcp::REPORT_EVERY.as_millis() / 1000) as u32;
/// Packets of a leg that are asked for ahead: what an undisturbed stream has waiting. After a burst there are places for many more.
const PACKETS_AHEAD: usize = 4;
/// Frames between two drains of a leg that rests.
const FRAMES_PER_REST: u32 = 5;

/// A leg on the clock.
pub(super) struct OnClock {
    pub(super) number: u64,
    pub(super) leg: Leg,
    /// Frames that were heard and not handed over; all of them have so many samples.
    batch: Vec<i16>,
    batch_frame: usize,
    frames: u32,
    told_silent: bool,
}

impl OnClock {
    pub(super) fn new(number: u64, leg: Leg) -> Self {
        Self { number, leg, batch: vec![], batch_frame: 0, frames: 0, told_silent: false }
    }

    /// Serves the leg; `coming` are those that are served after it.
    pub(super) fn frame(&mut self, now: Instant, counters: &mut metrics::MediaCounters, coming: &[Self]) {
        self.frames = self.frames.wrapping_add(1);
        // Each step reads what the one before asked for; system calls lie between them.
        coming.get(1).into_iter().for_each(Self::prefetch_cores);
        let mode = self.leg.cores.mode();
        if !mode.hears() && !mode.sends() {
            return self.rest(mode, now, counters);
        }
        self.hear(mode, now, counters);
        coming.first().into_iter().for_each(Self::prefetch_lists);
        self.speak(mode, counters);
        coming.first().into_iter().for_each(Self::prefetch_payloads);
        self.record(mode);
        if self.frames.is_multiple_of(FRAMES_PER_LOOK) {
            self.look(now);
        }
    }

    fn prefetch_cores(&self) {
        let Leg { port, cores, events } = &self.leg;
        prefetch(Region::of(&cores.receiver));
        prefetch(Region::of(&cores.playout));
        prefetch(Region::of(&**port));
        prefetch(Region::of(&**events));
    }

    fn prefetch_lists(&self) {
        let LegCores { receiver, playout, .. } = &*self.leg.cores;
        // A hint must not fail: whatever is wrong with a leg is found by its own slice.
        receiver.try_borrow().iter().flat_map(|receiver| receiver.beyond()).for_each(prefetch);
        playout.try_borrow().iter().flat_map(|playout| playout.beyond()).for_each(prefetch);
        let end = self.batch.as_ptr().wrapping_add(self.batch.len());
        prefetch(Region::at(end, self.batch_frame * size_of::<i16>()));
    }

    fn prefetch_payloads(&self) {
        let LegCores { receiver, playout, .. } = &*self.leg.cores;
        if let Ok(receiver) = receiver.try_borrow() {
            receiver.payloads().take(PACKETS_AHEAD).for_each(prefetch);
        }
        playout.try_borrow().iter().flat_map(|playout| playout.sound()).for_each(prefetch);
    }

    /// What arrives at a leg that neither hears nor sends is read now and then, and forgotten.
    fn rest(&mut self, mode: LegMode, now: Instant, counters: &mut metrics::MediaCounters) {
        self.hand_over();
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
        let samples = receiver.frame_samples();
        if !mode.hears() || samples != self.batch_frame {
            // What comes later follows it neither in time nor at its rate.
            hand_over(&mut self.batch, self.batch_frame, receiver.delay(), &**events);
            self.batch_frame = samples;
        }
        if !mode.hears() {
            return;
        }
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
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let delay = self.leg.cores.receiver.borrow().delay();
        hand_over(&mut self.batch, self.batch_frame, delay, &*self.leg.events);
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
    pub(super) fn close(mut self) {
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

/// What was heard goes to the recognizer.
fn hand_over(batch: &mut Vec<i16>, frame_samples: usize, delay: Duration, events: &dyn LegEvents) {
    if !batch.is_empty() {
        events.audio(std::mem::take(batch), frame_samples, delay);
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

const _: () = assert!(DropReason::ALL.len() == 9);
