//! One leg inbound: from a UDP payload to the next 20 ms of linear audio.
//!
//! Invariant: [`Receiver::frame`] always fills a frame; silence when there is nothing else. With a key of the far end,
//! nothing that does not authenticate reaches the latch. Driver: `actors/media_shard/`; the actor beside it is
//! `actors/call/jitter_buffer.rs`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::FRAME_MS;
use crate::codec::{Codec, Decoder, PACKET_MS_MAX};
use crate::comfort_noise::Noise;
use crate::concealment::Concealer;
use crate::dtmf::in_band::ToneDetector;
use crate::dtmf::rfc4733::{EventReceiver, Press};
use crate::jitter_buffer::{JitterBuffer, Pulled, Pushed};
use crate::latch::{Latch, Refused, Verdict};
use crate::rtcp;
use crate::rtp::Packet;
use crate::srtp::{Inbound, Unaccepted};
use crate::statistics::Reception;
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
    /// RTCP on the RTP port (RFC 5761): not looked into.
    Control,
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
    /// It did not authenticate.
    NotAuthentic,
    /// It authenticated before.
    Replayed,
}

impl Drop {
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
    too_late: u32,
    last_heard: Option<Instant>,
    ready: Vec<i16>,
    ready_len: usize,
    quiet: bool,
}

impl Receiver {
    /// A receiver for a stream that is expected from `signalled`.
    pub fn new(format: StreamFormat, signalled: Option<SocketAddr>) -> Self {
        let rate = format.codec.sample_rate();
        Self {
            format,
            latch: Latch::new(signalled),
            security: None,
            decoder: Decoder::new(format.codec),
            jitter: JitterBuffer::with_clock(format.codec.clock_rate()),
            events: events(format),
            tones: format.telephone_event.is_none().then(Box::default),
            concealer: Concealer::new(rate),
            noise: None,
            reception: None,
            too_late: 0,
            last_heard: None,
            ready: Vec::new(),
            ready_len: 0,
            quiet: true,
        }
    }

    /// The far end's key is this from here on; `None` for a stream in the clear.
    pub fn secure(&mut self, security: Option<Inbound>) {
        self.security = security.map(Box::new);
    }

    /// A re-INVITE named another codec: the stream begins anew, from wherever the latch is.
    pub fn reformat(&mut self, format: StreamFormat) {
        if format != self.format {
            let mut anew = Self::new(format, None);
            std::mem::swap(&mut anew.latch, &mut self.latch);
            (anew.security, anew.reception) = (self.security.take(), self.reception.take());
            (anew.too_late, anew.last_heard) = (self.too_late, self.last_heard);
            *self = anew;
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

    /// What came of the stream so far, for reports.
    pub fn reception(&mut self) -> Option<&mut Reception> {
        self.reception.as_mut()
    }

    /// The share of packets that were not played, 0 to 1: lost on the way, or too late. `None` before the first.
    pub fn loss(&self) -> Option<f32> {
        let reception = self.reception.as_ref()?;
        let missing = reception.lost() + self.too_late;
        Some((missing as f32 / reception.expected().max(1) as f32).min(1.0))
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
        self.last_heard = Some(now);
    }

    /// Takes one datagram, which is decrypted in place.
    pub fn push(&mut self, now: Instant, source: SocketAddr, datagram: &mut [u8]) -> Arrival {
        if rtcp::is_control(datagram) {
            return Arrival::Control;
        }
        let length = match &mut self.security {
            None => datagram.len(),
            Some(security) => match security.unprotect(datagram) {
                Ok(length) => length,
                Err(Unaccepted::Malformed) => return Arrival::Dropped(Drop::NotRtp),
                Err(Unaccepted::NotAuthentic) => return Arrival::Dropped(Drop::NotAuthentic),
                Err(Unaccepted::Replayed) => return Arrival::Dropped(Drop::Replayed),
            },
        };
        let Some(packet) = Packet::parse(&datagram[..length]) else { return Arrival::Dropped(Drop::NotRtp) };
        match self.latch.judge(source, packet.ssrc) {
            Verdict::Accepted => {}
            Verdict::Started => {
                self.jitter.restart();
                self.events = events(self.format);
                self.reception = Some(Reception::begin(packet.ssrc, packet.sequence));
            }
            Verdict::Refused(Refused::Foreign) => return Arrival::Dropped(Drop::Foreign),
            Verdict::Refused(Refused::NewSource) => return Arrival::Dropped(Drop::NewSource),
        }
        self.last_heard = Some(now);
        let is_event = self.format.telephone_event.is_some_and(|event| event.payload_type == packet.payload_type);
        if let Some(reception) = &mut self.reception {
            // The timestamp of an event stands still: it says nothing about jitter.
            let (clock_rate, timestamp) = (self.format.codec.clock_rate(), packet.timestamp);
            reception.note(now, packet.sequence, (!is_event).then_some(timestamp), clock_rate);
        }
        if is_event {
            return Arrival::Event(self.events.push(&packet));
        }
        if Some(packet.payload_type) == self.format.comfort_noise {
            self.noise = Noise::from_payload(packet.payload);
            return Arrival::ComfortNoise;
        }
        if packet.payload_type != self.format.payload_type {
            return Arrival::Dropped(Drop::PayloadType);
        }
        let ticks = self.format.codec.duration_ticks(packet.payload);
        match self.jitter.push(now, packet.timestamp, ticks, packet.payload) {
            Pushed::Held => Arrival::Audio,
            Pushed::Late => {
                self.too_late += 1;
                Arrival::Dropped(Drop::Late)
            }
            Pushed::Duplicate => Arrival::Dropped(Drop::Duplicate),
            Pushed::Overflow => Arrival::Dropped(Drop::Overflow),
        }
    }

    /// The next 20 ms into `frame`, which has [`Receiver::frame_samples`] samples; call it every 20 ms. The press is one
    /// whose end packets were lost, or one that was heard in the audio.
    pub fn frame(&mut self, now: Instant, frame: &mut [i16]) -> (Source, Option<Press>) {
        let mut press = self.events.tick(Duration::from_millis(FRAME_MS));
        let samples = frame.len();
        let mut source = Source::Heard;
        // A packet of one frame, as almost all are, is decoded where it is wanted.
        let mut direct = false;
        while self.ready_len < samples && !direct {
            match self.jitter.pull(now, self.quiet) {
                Pulled::Payload(payload) if self.ready_len == 0 && self.decoder.fills(payload, samples) => {
                    direct = self.decoder.decode(payload, frame).is_some();
                }
                Pulled::Payload(payload) => {
                    if self.ready.is_empty() {
                        // The longest packet behind what is left of a frame.
                        self.ready.resize(samples / FRAME_MS as usize * (PACKET_MS_MAX + FRAME_MS as usize), 0);
                    }
                    let Some(decoded) = self.decoder.decode(payload, &mut self.ready[self.ready_len..]) else {
                        source = Source::Concealed;
                        break;
                    };
                    self.ready_len += decoded;
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
                if !direct {
                    frame.copy_from_slice(&self.ready[..samples]);
                    self.ready.copy_within(samples..self.ready_len, 0);
                    self.ready_len -= samples;
                }
                self.noise = None;
                self.concealer.good(frame);
            }
            // A key held down sends no audio; its silence is no loss.
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
        if let Some(tones) = &mut self.tones
            && source == Source::Heard
        {
            press = press.or(hear(tones, frame));
        }
        self.quiet = source != Source::Heard || magnitude(frame) < 200;
        (source, press)
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
mod tests {
    use super::*;
    use crate::codec::Encoder;
    use crate::g711::Law;
    use crate::rtp::PACKET_BYTES_MAX;
    use crate::srtp::{MasterKey, Outbound, Suite};

    const FORMAT: StreamFormat =
        StreamFormat { codec: Codec::G711(Law::Mu), payload_type: 0, telephone_event: None, comfort_noise: Some(13) };

    fn source(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    fn datagram(payload_type: u8, sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let packet = Packet { payload_type, marker: false, sequence, timestamp, ssrc: 7, payload };
        let mut buffer = [0; PACKET_BYTES_MAX];
        let length = packet.write(&mut buffer).expect("fits");
        buffer[..length].to_vec()
    }

    /// Packets of any length and codec become frames of sound, hardly a frame late.
    #[test]
    fn every_codec_and_packet_length_is_heard() {
        for codec in [Codec::G711(Law::A), Codec::G722, Codec::Opus] {
            for ptime in [10usize, 20, 30, 40, 60] {
                if codec == Codec::Opus && ptime == 30 {
                    continue; // not a frame length of Opus
                }
                let format = StreamFormat { codec, payload_type: 96, telephone_event: None, comfort_noise: None };
                let mut receiver = Receiver::new(format, Some(source(1)));
                let mut encoder = Encoder::new(codec);
                let per_packet = codec.sample_rate() as usize * ptime / 1000;
                let start = Instant::now();
                let (mut sent, mut heard) = (0usize, 0);
                for frame_number in 0..150u64 {
                    let now = start + Duration::from_millis(frame_number * 20);
                    while sent * ptime <= frame_number as usize * 20 {
                        let tone: Vec<i16> = (0..per_packet)
                            .map(|n| (((sent * per_packet + n) as f64 * 0.2).sin() * 6000.0) as i16)
                            .collect();
                        let mut payload = [0; 480];
                        let length = encoder.encode(&tone, &mut payload);
                        let timestamp = (sent * ptime) as u32 * codec.clock_rate() / 1000;
                        let mut bytes = datagram(96, sent as u16, timestamp, &payload[..length]);
                        receiver.push(now, source(1), &mut bytes);
                        sent += 1;
                    }
                    let mut frame = vec![0; receiver.frame_samples()];
                    let (from, _) = receiver.frame(now, &mut frame);
                    heard += u32::from(from == Source::Heard && magnitude(&frame) > 2000);
                }
                assert!(heard >= 140, "{codec:?} at {ptime} ms: {heard} of 150 frames");
                assert!(receiver.loss().expect("packets came") < 0.02);
            }
        }
    }

    #[test]
    fn only_the_holder_of_the_key_is_heard() {
        let key = MasterKey::new(Suite::AesCm128HmacSha1_80, &[9; 30]).expect("30 bytes");
        let other = MasterKey::new(Suite::AesCm128HmacSha1_80, &[8; 30]).expect("30 bytes");
        let mut receiver = Receiver::new(FORMAT, Some(source(1)));
        receiver.secure(Some(Inbound::new(&key, 0)));
        let now = Instant::now();
        let sealed = |key: &MasterKey, sequence| {
            let mut bytes = datagram(0, sequence, u32::from(sequence) * 160, &[0xff; 160]);
            bytes.resize(200, 0);
            let length = Outbound::new(key).protect(&mut bytes, 172);
            bytes.truncate(length);
            bytes
        };
        assert_eq!(
            receiver.push(now, source(1), &mut datagram(0, 1, 160, &[0; 160])),
            Arrival::Dropped(Drop::NotAuthentic)
        );
        assert_eq!(receiver.push(now, source(1), &mut sealed(&other, 1)), Arrival::Dropped(Drop::NotAuthentic));
        assert_eq!(receiver.last_heard(), None);
        assert_eq!(receiver.push(now, source(1), &mut sealed(&key, 1)), Arrival::Audio);
        assert_eq!(receiver.push(now, source(1), &mut sealed(&key, 1)), Arrival::Dropped(Drop::Replayed));
    }

    #[test]
    fn comfort_noise_is_life_and_a_faint_sound() {
        let mut receiver = Receiver::new(FORMAT, Some(source(1)));
        let now = Instant::now();
        assert_eq!(receiver.push(now, source(1), &mut datagram(13, 1, 160, &[50])), Arrival::ComfortNoise);
        assert_eq!(receiver.last_heard(), Some(now));
        let mut frame = [0; 160];
        assert_eq!(receiver.frame(now, &mut frame).0, Source::Silent);
        assert!((20..300).contains(&magnitude(&frame)), "{}", magnitude(&frame));
    }

    #[test]
    fn a_key_in_the_audio_is_a_press_and_no_speech() {
        let mut receiver = Receiver::new(FORMAT, Some(source(1)));
        let start = Instant::now();
        let (mut presses, mut loud) = (vec![], 0);
        for n in 0..40u16 {
            let now = start + Duration::from_millis(u64::from(n) * 20);
            let on = (10..15).contains(&n);
            let codes: Vec<u8> = (0..160)
                .map(|k| {
                    let t = (f64::from(n) * 160.0 + f64::from(k)) / 8000.0 * std::f64::consts::TAU;
                    let tone = ((t * 770.0).sin() + (t * 1336.0).sin()) * 5000.0;
                    Law::Mu.encode(if on { tone as i16 } else { 0 })
                })
                .collect();
            receiver.push(now, source(1), &mut datagram(0, n, u32::from(n) * 160, &codes));
            let mut frame = [0; 160];
            presses.extend(receiver.frame(now, &mut frame).1.map(|p| p.digit.as_char()));
            loud += u32::from(magnitude(&frame) > 1000);
        }
        assert_eq!(presses, ['5']);
        assert!(loud <= 2, "{loud} frames of the tone went on to the recognizer");
    }
}
