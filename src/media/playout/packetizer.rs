//! Packets of what is played: their length, their numbers, their payload and its protection.
//!
//! Invariant: sequence numbers rise by one, timestamps by what was played; nothing allocates per packet.

use super::SendFormat;
use super::queue::{Held, Queue, Sound};
use crate::codec::{Codec, Encoder};
use crate::g711::Law;
use crate::receiver::EventFormat;
use crate::rtcp::Sent;
use crate::rtp::{PACKET_BYTES_MAX, Packet};
use crate::srtp::Outbound;

/// How often comfort noise is repeated while idle.
const NOISE_EVERY_MS: usize = 1000;
/// The level of comfort noise we send, in −dBov.
const NOISE_LEVEL: u8 = 70;
/// Samples of the longest packet: 60 ms at 16 kHz.
const SAMPLES_MAX: usize = 960;
/// Bytes of the longest payload: 60 ms of G.711.
const PAYLOAD_BYTES_MAX: usize = 480;

/// The stream of packets of one leg.
#[derive(Debug)]
pub(super) struct Packetizer {
    format: SendFormat,
    encoder: Encoder,
    security: Option<Box<Outbound>>,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    due_samples: usize,
    talking: bool,
    idle_ms: usize,
    packets: u32,
    bytes: u32,
    /// What was sent since the last look, for the recorder.
    monitor: Option<Vec<i16>>,
}

impl Packetizer {
    pub(super) fn new(format: SendFormat, ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        Self {
            format,
            encoder: Encoder::new(format.codec),
            security: None,
            ssrc,
            sequence,
            timestamp,
            due_samples: 0,
            talking: false,
            idle_ms: 0,
            packets: 0,
            bytes: 0,
            monitor: None,
        }
    }

    pub(super) fn secure(&mut self, security: Option<Outbound>) {
        self.security = security.map(Box::new);
    }

    pub(super) fn seal_control(&mut self, buffer: &mut [u8], length: usize) -> usize {
        match &mut self.security {
            None => length,
            Some(security) => security.protect_control(buffer, length),
        }
    }

    pub(super) fn monitor(&mut self) {
        self.monitor.get_or_insert_default();
    }

    pub(super) fn monitored(&mut self, look: impl FnOnce(&[i16])) {
        if let Some(monitor) = &mut self.monitor {
            look(monitor);
            monitor.clear();
        }
    }

    pub(super) fn format(&self) -> SendFormat {
        self.format
    }

    /// Another format was agreed on. Returns the codec before, if it is another.
    pub(super) fn reformat(&mut self, format: SendFormat) -> Option<Codec> {
        let old = std::mem::replace(&mut self.format, format);
        if old.codec == format.codec {
            return None;
        }
        self.encoder = Encoder::new(format.codec);
        self.due_samples = 0;
        Some(old.codec)
    }

    pub(super) fn sent(&self) -> Sent {
        Sent { ssrc: self.ssrc, packets: self.packets, bytes: self.bytes, timestamp: self.timestamp }
    }

    pub(super) fn tick(&mut self) {
        self.due_samples += self.format.codec.frame_samples();
    }

    pub(super) fn skip(&mut self) {
        self.timestamp = self.timestamp.wrapping_add(self.ticks(self.format.codec.frame_samples()));
        self.talking = false;
    }

    /// Writes the next packet that is due.
    pub(super) fn packet(&mut self, queue: &mut Queue, buffer: &mut [u8; PACKET_BYTES_MAX]) -> Option<usize> {
        let samples = self.packet_samples();
        while self.due_samples >= samples {
            self.due_samples -= samples;
            if let Some(length) = self.next(queue, samples, buffer) {
                return Some(length);
            }
        }
        None
    }

    fn packet_samples(&self) -> usize {
        self.format.codec.sample_rate() as usize / 1000 * usize::from(self.format.ptime_ms.clamp(10, 60))
    }

    /// Samples on the clock of the timestamps.
    fn ticks(&self, samples: usize) -> u32 {
        let codec = self.format.codec;
        (samples as u64 * u64::from(codec.clock_rate()) / u64::from(codec.sample_rate())) as u32
    }

    fn next(&mut self, queue: &mut Queue, samples: usize, buffer: &mut [u8; PACKET_BYTES_MAX]) -> Option<usize> {
        let timestamp = self.timestamp;
        self.timestamp = timestamp.wrapping_add(self.ticks(samples));
        if let Some(event) = self.format.telephone_event
            && queue.is_at_digit()
        {
            let held = queue.hold(u32::from(self.format.ptime_ms), timestamp)?;
            return Some(self.digit_packet(held, event, buffer));
        }
        let mut payload = [0; PAYLOAD_BYTES_MAX];
        let (length, spoke) = match self.format.codec {
            Codec::G711(law) => self.coded(law, queue, samples, &mut payload),
            Codec::G722 | Codec::Opus => self.encoded(queue, samples, &mut payload),
        };
        if let Some(payload_type) = self.format.comfort_noise {
            if spoke {
                self.idle_ms = 0;
            } else {
                let due = self.idle_ms.is_multiple_of(NOISE_EVERY_MS);
                self.idle_ms = (self.idle_ms + usize::from(self.format.ptime_ms)) % NOISE_EVERY_MS;
                self.talking = false;
                return due.then(|| self.write(payload_type, false, timestamp, &[NOISE_LEVEL], buffer));
            }
        }
        let marker = spoke && !self.talking;
        self.talking = spoke;
        Some(self.write(self.format.payload_type, marker, timestamp, &payload[..length], buffer))
    }

    /// The payload of a codec whose clips are code words: its length, and whether a clip sounds in it.
    fn coded(&mut self, law: Law, queue: &mut Queue, samples: usize, payload: &mut [u8]) -> (usize, bool) {
        let codes = &mut payload[..samples];
        let filled = queue.fill(samples, |sound, from, at, take| match sound {
            Sound::Coded(_, coded) => codes[at..at + take].copy_from_slice(&coded[from..from + take]),
            Sound::Linear(linear) => {
                for (code, sample) in codes[at..at + take].iter_mut().zip(&linear[from..from + take]) {
                    *code = law.encode(*sample);
                }
            }
        });
        codes[filled..].fill(law.silence());
        if let Some(monitor) = &mut self.monitor {
            let start = monitor.len();
            monitor.resize(start + samples, 0);
            law.decode_into(codes, &mut monitor[start..]);
        }
        (samples, filled > 0)
    }

    /// The same of a codec that has a state.
    fn encoded(&mut self, queue: &mut Queue, samples: usize, payload: &mut [u8]) -> (usize, bool) {
        let mut linear = [0; SAMPLES_MAX];
        let filled = queue.fill(samples, |sound, from, at, take| match sound {
            Sound::Linear(sound) => linear[at..at + take].copy_from_slice(&sound[from..from + take]),
            Sound::Coded(law, codes) => law.decode_into(&codes[from..from + take], &mut linear[at..at + take]),
        });
        if let Some(monitor) = &mut self.monitor {
            monitor.extend_from_slice(&linear[..samples]);
        }
        let length = self.encoder.encode(&linear[..samples], payload);
        (length, filled > 0)
    }

    /// One packet of a digit: its timestamp stands still, its duration grows (RFC 4733 section 2.5.1).
    fn digit_packet(&mut self, held: Held, event: EventFormat, buffer: &mut [u8; PACKET_BYTES_MAX]) -> usize {
        let Held { press, began, held_ms, is_first, ends } = held;
        let duration = (held_ms * (event.clock_rate / 1000)).min(0xffff) as u16;
        let [high, low] = duration.to_be_bytes();
        let flags = (if ends { 0x80 } else { 0 }) | press.volume.min(63);
        self.talking = false;
        self.write(event.payload_type, is_first, began, &[press.digit.event(), flags, high, low], buffer)
    }

    fn write(
        &mut self,
        payload_type: u8,
        marker: bool,
        timestamp: u32,
        payload: &[u8],
        buffer: &mut [u8; PACKET_BYTES_MAX],
    ) -> usize {
        let packet = Packet { payload_type, marker, sequence: self.sequence, timestamp, ssrc: self.ssrc, payload };
        let length = packet.write(buffer).expect("60 ms fit the buffer");
        self.sequence = self.sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(payload.len() as u32);
        match &mut self.security {
            Some(security) => security.protect(buffer, length),
            None => length,
        }
    }
}

#[cfg(test)]
mod tests;
