//! One leg inbound: from a UDP payload to the next 20 ms of linear audio.
//!
//! Invariant: [`Receiver::frame`] always fills a frame; silence when there is nothing else. Driver:
//! `actors/media_shard/`; the actor beside it is `actors/call/jitter_buffer.rs`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::concealment::Concealer;
use crate::dtmf::rfc4733::{EventReceiver, Press};
use crate::g711::Law;
use crate::jitter_buffer::{JitterBuffer, Pulled, Pushed};
use crate::latch::{Latch, Refused, Verdict};
use crate::rtp::Packet;
use crate::voice_activity::magnitude;
use crate::{FRAME_MS, FRAME_SAMPLES, Frame};

/// How one stream is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamFormat {
    /// The companding law.
    pub law: Law,
    /// The payload type of audio.
    pub payload_type: u8,
    /// The payload type of telephone-event, if negotiated.
    pub telephone_event: Option<u8>,
}

/// What became of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// Audio, held or played.
    Audio,
    /// telephone-event; `Some` when it completes a key press.
    Event(Option<Press>),
    /// Dropped, with a reason for the counter.
    Dropped(Drop),
}

/// Why a datagram was dropped: the label of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drop {
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
}

impl Drop {
    /// All reasons, so that every counter exists from the start.
    pub const ALL: [Self; 7] =
        [Self::NotRtp, Self::Foreign, Self::NewSource, Self::PayloadType, Self::Late, Self::Duplicate, Self::Overflow];

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
    jitter: JitterBuffer,
    events: EventReceiver,
    concealer: Concealer,
    ready: [i16; READY_MAX],
    ready_len: usize,
    quiet: bool,
}

const READY_MAX: usize = 960;

impl Receiver {
    /// A receiver for a stream that is expected from `signalled`.
    pub fn new(format: StreamFormat, signalled: Option<SocketAddr>) -> Self {
        Self {
            format,
            latch: Latch::new(signalled),
            jitter: JitterBuffer::default(),
            events: EventReceiver::default(),
            concealer: Concealer::default(),
            ready: [0; READY_MAX],
            ready_len: 0,
            quiet: true,
        }
    }

    /// A re-INVITE named another address.
    pub fn expect_from(&mut self, signalled: SocketAddr) {
        self.latch.reopen(signalled);
    }

    /// Where our own packets go.
    pub fn destination(&self) -> Option<SocketAddr> {
        self.latch.destination()
    }

    /// The delay of the jitter buffer now.
    pub fn delay(&self) -> Duration {
        self.jitter.delay()
    }

    /// Takes one datagram.
    pub fn push(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) -> Arrival {
        let Some(packet) = Packet::parse(datagram) else { return Arrival::Dropped(Drop::NotRtp) };
        match self.latch.judge(source, packet.ssrc) {
            Verdict::Accepted => {}
            Verdict::Started => {
                self.jitter.restart();
                self.events = EventReceiver::default();
            }
            Verdict::Refused(Refused::Foreign) => return Arrival::Dropped(Drop::Foreign),
            Verdict::Refused(Refused::NewSource) => return Arrival::Dropped(Drop::NewSource),
        }
        if Some(packet.payload_type) == self.format.telephone_event {
            return Arrival::Event(self.events.push(&packet));
        }
        if packet.payload_type != self.format.payload_type {
            return Arrival::Dropped(Drop::PayloadType);
        }
        match self.jitter.push(now, packet.timestamp, packet.payload) {
            Pushed::Held => Arrival::Audio,
            Pushed::Late => Arrival::Dropped(Drop::Late),
            Pushed::Duplicate => Arrival::Dropped(Drop::Duplicate),
            Pushed::Overflow => Arrival::Dropped(Drop::Overflow),
        }
    }

    /// The next 20 ms; call it every 20 ms. The press is one whose end packets were lost.
    pub fn frame(&mut self, now: Instant, frame: &mut Frame) -> (Source, Option<Press>) {
        let press = self.events.tick(Duration::from_millis(FRAME_MS));
        let mut source = Source::Heard;
        while self.ready_len < FRAME_SAMPLES {
            match self.jitter.pull(now, self.quiet) {
                Pulled::Payload(payload) => {
                    let room = (READY_MAX - self.ready_len).min(payload.len());
                    self.format
                        .law
                        .decode_into(&payload[..room], &mut self.ready[self.ready_len..self.ready_len + room]);
                    self.ready_len += room;
                }
                Pulled::Idle => {
                    source = Source::Silent;
                    break;
                }
                Pulled::Lost | Pulled::Stretch => {
                    source = Source::Concealed;
                    break;
                }
            }
        }
        match source {
            Source::Heard => {
                frame.copy_from_slice(&self.ready[..FRAME_SAMPLES]);
                self.ready.copy_within(FRAME_SAMPLES..self.ready_len, 0);
                self.ready_len -= FRAME_SAMPLES;
                self.concealer.good(frame);
            }
            // A key held down sends no audio; its silence is no loss.
            Source::Concealed if !self.events.is_held() => self.concealer.conceal(frame),
            Source::Concealed | Source::Silent => {
                frame.fill(0);
                source = Source::Silent;
                self.concealer.good(frame);
            }
        }
        self.quiet = source != Source::Heard || magnitude(frame) < 200;
        (source, press)
    }
}
