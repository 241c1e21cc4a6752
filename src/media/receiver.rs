//! One leg inbound: from a UDP payload to the next 20 ms of linear audio.
//!
//! Invariant: [`Receiver::frame`] always fills a frame; silence when there is nothing else. With a key of the far end,
//! nothing that does not authenticate reaches the latch, and who authenticates is believed wherever it sends from. Every
//! packet that is believed counts, whatever its SSRC. Driver: `actors/media_shard/`; the actor beside it is
//! `actors/call/jitter_buffer.rs`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::FRAME_MS;
use crate::codec::{Codec, Decoder, PACKET_MS_MAX};
use crate::comfort_noise::Noise;
use crate::concealment::Concealer;
use crate::dtmf::in_band::ToneDetector;
use crate::dtmf::rfc4733::{EventReceiver, Press};
use crate::jitter_buffer::{Incoming, JitterBuffer, Pulled, Pushed};
use crate::latch::{Content, Expected, Latch, Refused, Sighting, Trust, Verdict};
use crate::region::Region;
use crate::rtcp;
use crate::rtp::Packet;
use crate::srtp::{Inbound, Unaccepted};
use crate::statistics::{Reception, Totals};
use crate::voice_activity::magnitude;

/// How one stream is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamFormat {
    /// The codec.
    pub codec: Codec,
    /// The payload type of audio.
    pub payload_type: u8,
    /// telephone-event, if negotiated. Without it keys are listened for in the audio.
    pub telephone_event: Option<EventFormat>,
    /// The payload type of comfort noise, if negotiated.
    pub comfort_noise: Option<u8>,
}

/// How telephone-event was negotiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventFormat {
    /// Its payload type.
    pub payload_type: u8,
    /// Ticks per second of its durations.
    pub clock_rate: u32,
}

/// What became of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// Audio, held or played.
    Audio,
    /// telephone-event; `Some` when it completes a key press.
    Event(Option<Press>),
    /// Comfort noise: the far end is there and silent.
    ComfortNoise,
    /// RTCP on the RTP port (RFC 5761): left to whoever drives this.
    Control,
    /// Dropped, with a reason for the counter.
    Dropped(DropReason),
}

/// Why a datagram was dropped: the label of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// Not RTP.
    NotRtp,
    /// Another source than the pinned one.
    Foreign,
    /// A synchronisation source not yet believed.
    NewSource,
    /// A payload type that was not negotiated.
    PayloadType,
    /// Its time had passed.
    Late,
    /// It was here already.
    Duplicate,
    /// No room in the jitter buffer.
    Overflow,
    /// It did not authenticate.
    NotAuthentic,
    /// It authenticated before.
    Replayed,
}

impl DropReason {
    /// All reasons, so that every counter exists from the start.
    pub const ALL: [Self; 9] = [
        Self::NotRtp,
        Self::Foreign,
        Self::NewSource,
        Self::PayloadType,
        Self::Late,
        Self::Duplicate,
        Self::Overflow,
        Self::NotAuthentic,
        Self::Replayed,
    ];

    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::NotRtp => "not_rtp",
            Self::Foreign => "foreign_source",
            Self::NewSource => "new_ssrc",
            Self::PayloadType => "payload_type",
            Self::Late => "late",
            Self::Duplicate => "duplicate",
            Self::Overflow => "overflow",
            Self::NotAuthentic => "not_authentic",
            Self::Replayed => "replayed",
        }
    }
}

/// Where a frame's samples came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// From packets.
    Heard,
    /// From the concealer, at least in part.
    Concealed,
    /// Nobody speaks.
    Silent,
}

/// The receiving side of one leg.
#[derive(Debug)]
pub struct Receiver {
    format: StreamFormat,
    latch: Latch,
    security: Option<Box<Inbound>>,
    decoder: Decoder,
    jitter: JitterBuffer,
    events: EventReceiver,
    tones: Option<Box<ToneDetector>>,
    concealer: Concealer,
    noise: Option<Noise>,
    reception: Option<Reception>,
    /// Of events with an SSRC of their own.
    event_reception: Option<Box<Reception>>,
    too_late: u32,
    last_heard: Option<Instant>,
    ready: Vec<i16>,
    ready_len: usize,
    quiet: bool,
}

impl Receiver {
    /// A receiver for a stream that is expected from there.
    pub fn new(format: StreamFormat, expected: Expected) -> Self {
        let rate = format.codec.sample_rate();
        Self {
            format,
            latch: Latch::new(expected),
            security: None,
            decoder: Decoder::new(format.codec),
            jitter: JitterBuffer::with_clock(format.codec.clock_rate()),
            events: events(format),
            tones: format.telephone_event.is_none().then(Box::default),
            concealer: Concealer::new(rate),
            noise: None,
            reception: None,
            event_reception: None,
            too_late: 0,
            last_heard: None,
            ready: Vec::new(),
            ready_len: 0,
            quiet: true,
        }
    }

    /// A re-INVITE kept the far end's key: it may have made its context anew.
    pub fn expect_anew(&mut self) {
        if let Some(security) = &mut self.security {
            security.expect_anew();
        }
    }

    /// The far end's key is this from here on; `None` for a stream in the clear.
    pub fn secure(&mut self, security: Option<Inbound>) {
        self.security = security.map(Box::new);
    }

    /// A re-INVITE named another codec: the stream begins anew, from wherever the latch is.
    pub fn reformat(&mut self, format: StreamFormat) {
        if format != self.format {
            let mut anew = Self::new(format, Expected::default());
            std::mem::swap(&mut anew.latch, &mut self.latch);
            (anew.security, anew.reception) = (self.security.take(), self.reception.take());
            anew.event_reception = self.event_reception.take();
            (anew.too_late, anew.last_heard) = (self.too_late, self.last_heard);
            *self = anew;
        }
    }

    /// A re-INVITE named an address, the same or another: see [`Latch::reopen`].
    pub fn expect_from(&mut self, signalled: SocketAddr) {
        self.latch.reopen(signalled);
    }

    /// Where our own packets go.
    pub fn destination(&self) -> Option<SocketAddr> {
        self.latch.destination()
    }

    /// Whether they may go there: see [`Latch::may_send`].
    pub fn may_send(&self) -> bool {
        self.latch.may_send()
    }

    /// What the next frame touches beyond this value, and what leads to [`Receiver::payloads`].
    pub fn beyond(&self) -> [Region; 2] {
        [self.jitter.slots(), self.concealer.end()]
    }

    /// Where the packets are that wait, and where the next will be.
    pub fn payloads(&self) -> impl Iterator<Item = Region> {
        self.jitter.payloads()
    }

    /// How the stream is coded.
    pub fn format(&self) -> StreamFormat {
        self.format
    }

    /// Samples of a frame: 160 or 320.
    pub fn frame_samples(&self) -> usize {
        self.format.codec.frame_samples()
    }

    /// The delay of the jitter buffer now.
    pub fn delay(&self) -> Duration {
        self.jitter.delay()
    }

    /// What came of the stream of audio, for reports.
    pub fn reception(&mut self) -> Option<&mut Reception> {
        self.reception.as_mut()
    }

    /// What came in the whole call, of every SSRC.
    pub fn totals(&self) -> Totals {
        let of = |reception: Option<&Reception>| reception.map(Reception::totals).unwrap_or_default();
        of(self.reception.as_ref()) + of(self.event_reception.as_deref())
    }

    /// The share of packets that were not played, 0 to 1: lost on the way, or too late. `None` before the first.
    pub fn loss(&self) -> Option<f32> {
        let Totals { expected, lost } = self.totals();
        let missing = lost + self.too_late;
        (expected > 0).then(|| (missing as f32 / expected as f32).min(1.0))
    }

    /// When the far end was last heard of: audio, digits, comfort noise or RTCP.
    pub fn last_heard(&self) -> Option<Instant> {
        self.last_heard
    }

    /// Decrypts an RTCP packet in place, if the stream is secure; its length, `None` if it is not the far end's.
    pub fn open_control(&mut self, source: SocketAddr, packet: &mut [u8]) -> Option<usize> {
        // RTCP may come from another port, never from another host.
        if self.latch.destination().is_some_and(|far_end| far_end.ip() != source.ip()) {
            return None;
        }
        match &mut self.security {
            None => Some(packet.len()),
            Some(security) => security.unprotect_control(packet).ok(),
        }
    }

    /// RTCP of the far end has come: it lives.
    pub fn control_heard(&mut self, now: Instant) {
        self.last_heard = self.last_heard.max(Some(now));
    }

    /// Takes one datagram, which is decrypted in place. `now` is when it arrived, which may be a little ago.
    pub fn push(&mut self, now: Instant, source: SocketAddr, datagram: &mut [u8]) -> Arrival {
        if rtcp::is_control(datagram) {
            return Arrival::Control;
        }
        let length = match &mut self.security {
            None => datagram.len(),
            Some(security) => match security.unprotect(datagram) {
                Ok(length) => length,
                Err(Unaccepted::Malformed) => return Arrival::Dropped(DropReason::NotRtp),
                Err(Unaccepted::NotAuthentic) => return Arrival::Dropped(DropReason::NotAuthentic),
                Err(Unaccepted::Replayed) => return Arrival::Dropped(DropReason::Replayed),
            },
        };
        let Some(packet) = Packet::parse(&datagram[..length]) else { return Arrival::Dropped(DropReason::NotRtp) };
        let is_event = self.format.telephone_event.is_some_and(|event| event.payload_type == packet.payload_type);
        let content = if is_event { Content::Event } else { Content::Audio };
        let trust = if self.security.is_some() { Trust::Authentic } else { Trust::Claimed };
        let Packet { ssrc, sequence, .. } = packet;
        match self.latch.judge(Sighting { now, source, ssrc, sequence, content, trust }) {
            Verdict::Accepted => {}
            Verdict::Started => self.jitter.restart(),
            Verdict::Refused(Refused::Foreign) => return Arrival::Dropped(DropReason::Foreign),
            Verdict::Refused(Refused::NewSource) => return Arrival::Dropped(DropReason::NewSource),
        }
        self.last_heard = self.last_heard.max(Some(now));
        self.count(now, &packet, is_event);
        if is_event {
            return Arrival::Event(self.events.push(&packet));
        }
        if Some(packet.payload_type) == self.format.comfort_noise {
            self.noise = Noise::from_payload(packet.payload);
            return Arrival::ComfortNoise;
        }
        if packet.payload_type != self.format.payload_type {
            return Arrival::Dropped(DropReason::PayloadType);
        }
        let ticks = self.format.codec.duration_ticks(packet.payload);
        let Packet { timestamp, payload, .. } = packet;
        match self.jitter.push(now, Incoming { sequence, timestamp, ticks, payload }) {
            Pushed::Held => Arrival::Audio,
            Pushed::Late => {
                self.too_late += 1;
                Arrival::Dropped(DropReason::Late)
            }
            Pushed::Duplicate => Arrival::Dropped(DropReason::Duplicate),
            Pushed::Overflow => Arrival::Dropped(DropReason::Overflow),
        }
    }

    fn count(&mut self, now: Instant, packet: &Packet<'_>, is_event: bool) {
        let is_of_audio = self.reception.as_ref().is_some_and(|reception| reception.ssrc() == packet.ssrc);
        let begun = || Reception::begin(packet.ssrc, packet.sequence);
        let reception = match is_event && !is_of_audio {
            true => &mut **self.event_reception.get_or_insert_with(|| Box::new(begun())),
            false => self.reception.get_or_insert_with(begun),
        };
        if reception.ssrc() != packet.ssrc {
            *reception = reception.begin_after(packet.ssrc, packet.sequence);
        }
        // The timestamp of an event stands still: it says nothing about jitter.
        let timestamp = (!is_event).then_some(packet.timestamp);
        reception.note(now, packet.sequence, timestamp, self.format.codec.clock_rate());
    }

    /// The next 20 ms into `frame`, which has [`Receiver::frame_samples`] samples; call it every 20 ms. The press is one
    /// whose end packets were lost, or one that was heard in the audio.
    pub fn frame(&mut self, now: Instant, frame: &mut [i16]) -> (Source, Option<Press>) {
        let mut press = self.events.tick(Duration::from_millis(FRAME_MS));
        let mut source = self.decoded(now, frame);
        match source {
            Source::Heard => {
                self.noise = None;
                self.concealer.good(frame);
            }
            // A digit held down sends no audio; its silence is no loss.
            Source::Concealed if !self.events.is_held() => {
                if !self.decoder.conceal(frame) {
                    self.concealer.conceal(frame);
                }
            }
            Source::Concealed | Source::Silent => {
                match &mut self.noise {
                    Some(noise) => noise.fill(frame),
                    None => frame.fill(0),
                }
                source = Source::Silent;
                self.concealer.good(frame);
            }
        }
        if source != Source::Heard {
            // What is left of a packet is heard in its place: before what is missing.
            frame[..self.ready_len].copy_from_slice(&self.ready[..self.ready_len]);
            self.ready_len = 0;
        }
        if let Some(tones) = &mut self.tones
            && source == Source::Heard
        {
            press = press.or(hear(tones, frame));
        }
        self.quiet = source != Source::Heard || magnitude(frame) < 200;
        (source, press)
    }

    /// Decodes the next frame as far as it has come. A packet of one frame, as almost all are, is decoded where it is
    /// wanted; what a longer one holds beyond it is kept for the frames after.
    fn decoded(&mut self, now: Instant, frame: &mut [i16]) -> Source {
        let samples = frame.len();
        while self.ready_len < samples {
            match self.jitter.pull(now, self.quiet) {
                Pulled::Payload(payload) if self.ready_len == 0 && self.decoder.fills(payload, samples) => {
                    if self.decoder.decode(payload, frame).is_some() {
                        return Source::Heard;
                    }
                }
                Pulled::Payload(payload) => {
                    if self.ready.is_empty() {
                        // The longest packet behind what is left of a frame.
                        self.ready.resize(samples / FRAME_MS as usize * (PACKET_MS_MAX + FRAME_MS as usize), 0);
                    }
                    let Some(decoded) = self.decoder.decode(payload, &mut self.ready[self.ready_len..]) else {
                        return Source::Concealed;
                    };
                    self.ready_len += decoded;
                }
                Pulled::Idle => return Source::Silent,
                Pulled::Lost | Pulled::Stretch => return Source::Concealed,
            }
        }
        frame.copy_from_slice(&self.ready[..samples]);
        self.ready.copy_within(samples..self.ready_len, 0);
        self.ready_len -= samples;
        Source::Heard
    }
}

fn events(format: StreamFormat) -> EventReceiver {
    EventReceiver::new(format.telephone_event.map_or(8000, |event| event.clock_rate))
}

/// Listens for keys; a key's tone is no speech.
fn hear(tones: &mut ToneDetector, frame: &mut [i16]) -> Option<Press> {
    let press = match frame.len() {
        crate::FRAME_SAMPLES => tones.push(frame),
        _ => {
            let mut narrow = [0; crate::FRAME_SAMPLES];
            for (sample, pair) in narrow.iter_mut().zip(frame.chunks_exact(2)) {
                *sample = ((i32::from(pair[0]) + i32::from(pair[1])) / 2) as i16;
            }
            tones.push(&narrow)
        }
    };
    if tones.is_held() {
        frame.fill(0);
    }
    press
}

#[cfg(test)]
mod tests;
