//! One leg outbound: a queue of clips and digits becomes paced RTP packets.
//!
//! Invariant: while the leg sends, every 20 ms given by [`Playout::tick`] become packets of the agreed length, silence when
//! idle (or one comfort noise packet a second, where DTX was agreed); sequence numbers rise by one, timestamps by what was
//! played, and the marker stands on the first packet of every talk spurt. At most one packet has left this queue and is
//! still unheard, so a cut is silence on the wire with the next packet. Driver: `actors/media_shard/`; the actor beside it
//! is `actors/call/tts_playback.rs`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::codec::{Codec, Encoder};
use crate::dtmf::Digit;
use crate::g711::Law;
use crate::receiver::EventFormat;
use crate::resample;
use crate::rtcp::Sent;
use crate::rtp::{PACKET_BYTES_MAX, Packet};
use crate::srtp::Outbound;

/// Most clips and digits waiting; more is a dialogue that never listens.
pub const ITEMS_MAX: usize = 64;
/// How often comfort noise is repeated while idle.
const NOISE_EVERY_MS: usize = 1000;
/// The level of comfort noise we send, in −dBov.
const NOISE_LEVEL: u8 = 70;
/// How often the end of a digit is repeated (RFC 4733 section 2.5.1.4).
const END_PACKETS: u8 = 3;
/// Samples of the longest packet: 60 ms at 16 kHz.
const SAMPLES_MAX: usize = 960;

/// Names one clip or digit of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClipId(pub u64);

/// How our stream is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendFormat {
    /// The codec.
    pub codec: Codec,
    /// The payload type of audio.
    pub payload_type: u8,
    /// Milliseconds of audio a packet: 10 to 60.
    pub ptime_ms: u8,
    /// telephone-event, if negotiated; without it digits are sent as tones.
    pub telephone_event: Option<EventFormat>,
    /// The payload type of comfort noise, if silence shall not be sent.
    pub comfort_noise: Option<u8>,
}

/// Audio of a clip.
#[derive(Debug, Clone)]
pub enum Sound {
    /// Code words of G.711, one a sample.
    Coded(Law, Arc<[u8]>),
    /// Linear samples at the rate of the codec.
    Linear(Arc<[i16]>),
}

impl Sound {
    fn samples(&self) -> usize {
        match self {
            Self::Coded(_, codes) => codes.len(),
            Self::Linear(samples) => samples.len(),
        }
    }

    /// The same sound for another codec.
    fn converted(&self, from: Codec, to: Codec) -> Self {
        let linear: Vec<i16> = match self {
            Self::Coded(law, codes) => codes.iter().map(|code| law.decode(*code)).collect(),
            Self::Linear(samples) => samples.to_vec(),
        };
        Self::of(&resample::clip(&linear, from.sample_rate(), to.sample_rate()), to)
    }

    /// Samples at the codec's rate, in the form that the codec plays best.
    pub fn of(samples: &[i16], codec: Codec) -> Self {
        match codec {
            Codec::G711(law) => Self::Coded(law, law.encode_all(samples).into()),
            Codec::G722 | Codec::Opus => Self::Linear(samples.into()),
        }
    }
}

/// Something to be heard, with a name.
#[derive(Debug, Clone)]
pub struct Clip {
    /// Its name.
    pub id: ClipId,
    /// What is heard.
    pub sound: Sound,
    /// Whether it begins again at its end, until [`Playout::stop_repeating`]; it counts as finished after the first time.
    pub repeats: bool,
}

/// A digit to press.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigitPress {
    /// Which.
    pub digit: Digit,
    /// How long it is held, in milliseconds.
    pub hold_ms: u32,
    /// The pause after it, in milliseconds.
    pub pause_ms: u32,
    /// Its level in −dBm0, 0 to 63.
    pub volume: u8,
}

/// What happened to clips since the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The first packet of a clip was sent.
    Started(ClipId),
    /// The last sample of a clip, or the last of a digit, was sent.
    Finished(ClipId),
}

/// A clip that was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The clip that was sounding.
    pub id: ClipId,
    /// Samples of it that were sent.
    pub heard: usize,
    /// Samples it has in all.
    pub of: usize,
}

#[derive(Debug)]
enum Item {
    Clip(Clip),
    Digit(ClipId, DigitPress),
}

/// A digit on its way.
#[derive(Debug, Clone, Copy)]
struct Pressed {
    began: u32,
    held_ms: u32,
    ends_sent: u8,
    pause_ms: u32,
}

/// The sending side of one leg.
#[derive(Debug)]
pub struct Playout {
    format: SendFormat,
    encoder: Encoder,
    security: Option<Box<Outbound>>,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    due_samples: usize,
    items: VecDeque<Item>,
    at: usize,
    /// Whether what waits is kept waiting: silence is sent.
    paused: bool,
    /// Whether the clip at the front was heard to its end before.
    repeated: bool,
    pressed: Option<Pressed>,
    talking: bool,
    idle_ms: usize,
    events: VecDeque<Event>,
    packets: u32,
    bytes: u32,
    /// What was sent since the last look, for the recorder.
    monitor: Option<Vec<i16>>,
}

impl Playout {
    /// A sender with random starting values (RFC 3550 section 5.1).
    pub fn new(format: SendFormat, ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        Self {
            format,
            encoder: Encoder::new(format.codec),
            security: None,
            ssrc,
            sequence,
            timestamp,
            due_samples: 0,
            items: VecDeque::new(),
            at: 0,
            paused: false,
            repeated: false,
            pressed: None,
            talking: false,
            idle_ms: 0,
            events: VecDeque::new(),
            packets: 0,
            bytes: 0,
            monitor: None,
        }
    }

    /// What is sent is protected by this from here on; `None` for a stream in the clear.
    pub fn secure(&mut self, security: Option<Outbound>) {
        self.security = security.map(Box::new);
    }

    /// Protects an RTCP packet, if the stream is secure; its new length.
    pub fn seal_control(&mut self, buffer: &mut [u8], length: usize) -> usize {
        match &mut self.security {
            None => length,
            Some(security) => security.protect_control(buffer, length),
        }
    }

    /// Keeps what is sent for [`Playout::monitored`].
    pub fn monitor(&mut self) {
        self.monitor.get_or_insert_default();
    }

    /// Hands over what was sent since the last look, as linear samples at the codec's rate.
    pub fn monitored(&mut self, look: impl FnOnce(&[i16])) {
        if let Some(monitor) = &mut self.monitor {
            look(monitor);
            monitor.clear();
        }
    }

    /// Puts a clip at the end of the queue; `false` when [`ITEMS_MAX`] wait already.
    #[must_use]
    pub fn enqueue(&mut self, clip: Clip) -> bool {
        self.push(Item::Clip(clip))
    }

    /// Puts a digit at the end of the queue: as telephone-event where negotiated, as a tone elsewhere. `false` when
    /// [`ITEMS_MAX`] wait already.
    #[must_use]
    pub fn press(&mut self, id: ClipId, press: DigitPress) -> bool {
        if self.format.telephone_event.is_some() {
            return self.push(Item::Digit(id, press));
        }
        let tone = tone(press, self.format.codec.sample_rate());
        self.push(Item::Clip(Clip { id, sound: Sound::of(&tone, self.format.codec), repeats: false }))
    }

    fn push(&mut self, item: Item) -> bool {
        let room = self.items.len() < ITEMS_MAX;
        if room {
            self.items.push_back(item);
        }
        room
    }

    /// How the stream is coded now.
    pub fn format(&self) -> SendFormat {
        self.format
    }

    /// Another format was agreed on: what waits is coded anew.
    pub fn reformat(&mut self, format: SendFormat) {
        let old = std::mem::replace(&mut self.format, format);
        if old.codec == format.codec {
            return;
        }
        self.encoder = Encoder::new(format.codec);
        self.at = self.at * format.codec.sample_rate() as usize / old.codec.sample_rate() as usize;
        self.due_samples = 0;
        for item in &mut self.items {
            if let Item::Clip(clip) = item {
                clip.sound = clip.sound.converted(old.codec, format.codec);
            }
        }
    }

    /// Drops everything that waits or sounds.
    pub fn cut(&mut self) -> Option<Cut> {
        let cut = self.items.front().map(|item| match item {
            Item::Clip(clip) => Cut { id: clip.id, heard: self.at, of: clip.sound.samples() },
            Item::Digit(id, _) => Cut { id: *id, heard: 0, of: 0 },
        });
        self.items.clear();
        (self.at, self.pressed, self.paused, self.repeated) = (0, None, false, false);
        cut
    }

    /// Silence from the next packet on; what waits or sounds is kept. Or the end of that: it goes on where it stopped.
    pub fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// What is repeated ends now, and what waits behind it is next.
    pub fn stop_repeating(&mut self) {
        let repeats = |item: &Item| matches!(item, Item::Clip(Clip { repeats: true, .. }));
        if self.items.front().is_some_and(repeats) {
            (self.at, self.repeated) = (0, false);
        }
        self.items.retain(|item| !repeats(item));
    }

    /// How many more clips and digits may wait.
    pub fn room(&self) -> usize {
        ITEMS_MAX.saturating_sub(self.items.len())
    }

    /// How much audio waits or sounds; what is repeated counts once.
    pub fn ahead(&self) -> Duration {
        let samples = self.items.iter().map(|item| match item {
            Item::Clip(clip) => clip.sound.samples(),
            Item::Digit(..) => 0,
        });
        let samples = samples.sum::<usize>().saturating_sub(self.at);
        Duration::from_millis(samples as u64 * 1000 / u64::from(self.format.codec.sample_rate()))
    }

    /// Whether something waits or sounds.
    pub fn is_playing(&self) -> bool {
        !self.items.is_empty()
    }

    /// What happened to clips; drain until `None`.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What was sent so far, for sender reports.
    pub fn sent(&self) -> Sent {
        Sent { ssrc: self.ssrc, packets: self.packets, bytes: self.bytes, timestamp: self.timestamp }
    }

    /// 20 ms have passed: their audio is due.
    pub fn tick(&mut self) {
        self.due_samples += self.format.codec.frame_samples();
    }

    /// Writes the next packet that is due, drain until `None`. Returns its length.
    pub fn packet(&mut self, buffer: &mut [u8; PACKET_BYTES_MAX]) -> Option<usize> {
        let samples = self.packet_samples();
        while self.due_samples >= samples {
            self.due_samples -= samples;
            if let Some(length) = self.next(samples, buffer) {
                return Some(length);
            }
        }
        None
    }

    /// Time passes without a packet: the leg is on hold, the clock of the stream goes on.
    pub fn skip(&mut self) {
        self.timestamp = self.timestamp.wrapping_add(self.ticks(self.format.codec.frame_samples()));
        self.talking = false;
    }

    fn packet_samples(&self) -> usize {
        self.format.codec.sample_rate() as usize / 1000 * usize::from(self.format.ptime_ms.clamp(10, 60))
    }

    /// Samples on the clock of the timestamps.
    fn ticks(&self, samples: usize) -> u32 {
        let codec = self.format.codec;
        (samples as u64 * u64::from(codec.clock_rate()) / u64::from(codec.sample_rate())) as u32
    }

    fn next(&mut self, samples: usize, buffer: &mut [u8; PACKET_BYTES_MAX]) -> Option<usize> {
        let timestamp = self.timestamp;
        self.timestamp = timestamp.wrapping_add(self.ticks(samples));
        if let Some(&Item::Digit(id, press)) = self.items.front()
            && !self.paused
            && let Some(event) = self.format.telephone_event
        {
            return self.digit_packet(id, press, event, timestamp, buffer);
        }
        let mut payload = [0; 480];
        let (length, spoke) = match self.format.codec {
            Codec::G711(law) => {
                let codes = &mut payload[..samples];
                let filled = self.fill(samples, |sound, from, at, take| match sound {
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
            Codec::G722 | Codec::Opus => {
                let mut linear = [0; SAMPLES_MAX];
                let filled = self.fill(samples, |sound, from, at, take| match sound {
                    Sound::Linear(sound) => linear[at..at + take].copy_from_slice(&sound[from..from + take]),
                    Sound::Coded(law, codes) => law.decode_into(&codes[from..from + take], &mut linear[at..at + take]),
                });
                if let Some(monitor) = &mut self.monitor {
                    monitor.extend_from_slice(&linear[..samples]);
                }
                let length = self.encoder.encode(&linear[..samples], &mut payload);
                (length, filled > 0)
            }
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

    /// One packet of a digit: its timestamp stands still, its duration grows (RFC 4733 section 2.5.1).
    fn digit_packet(
        &mut self,
        id: ClipId,
        press: DigitPress,
        event: EventFormat,
        timestamp: u32,
        buffer: &mut [u8; PACKET_BYTES_MAX],
    ) -> Option<usize> {
        let ptime = u32::from(self.format.ptime_ms);
        let first = self.pressed.is_none();
        let pressed = self.pressed.get_or_insert(Pressed { began: timestamp, held_ms: 0, ends_sent: 0, pause_ms: 0 });
        if pressed.ends_sent == END_PACKETS {
            pressed.pause_ms += ptime;
            if pressed.pause_ms >= press.pause_ms {
                self.pressed = None;
                self.items.pop_front();
                self.events.push_back(Event::Finished(id));
            }
            return None; // nothing is heard between two digits
        }
        pressed.held_ms = (pressed.held_ms + ptime).min(press.hold_ms.max(ptime));
        let ends = pressed.held_ms >= press.hold_ms;
        pressed.ends_sent += u8::from(ends);
        let duration = (pressed.held_ms * (event.clock_rate / 1000)).min(0xffff) as u16;
        let [high, low] = duration.to_be_bytes();
        let flags = (if ends { 0x80 } else { 0 }) | press.volume.min(63);
        let began = pressed.began;
        if first {
            self.events.push_back(Event::Started(id));
        }
        self.talking = false;
        Some(self.write(event.payload_type, first, began, &[press.digit.event(), flags, high, low], buffer))
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

    /// Takes up to `wanted` samples from the clips at the front; they follow each other without a gap. `copy` gets the
    /// sound, where in it to begin, where to put it, and how many samples.
    fn fill(&mut self, wanted: usize, mut copy: impl FnMut(&Sound, usize, usize, usize)) -> usize {
        let mut filled = 0;
        while filled < wanted
            && !self.paused
            && let Some(Item::Clip(clip)) = self.items.front()
        {
            if self.at == 0 && !self.repeated {
                self.events.push_back(Event::Started(clip.id));
            }
            let take = (clip.sound.samples() - self.at).min(wanted - filled);
            copy(&clip.sound, self.at, filled, take);
            filled += take;
            self.at += take;
            if self.at == clip.sound.samples() {
                if !self.repeated {
                    self.events.push_back(Event::Finished(clip.id));
                }
                self.repeated = clip.repeats && clip.sound.samples() > 0;
                if !self.repeated {
                    self.items.pop_front();
                }
                self.at = 0;
            }
        }
        filled
    }
}

/// The tone pair of a digit (ITU-T Q.23) with its pause.
fn tone(press: DigitPress, sample_rate: u32) -> Vec<i16> {
    let (row, column) = press.digit.tone_hz();
    let per_ms = sample_rate / 1000;
    let level = 9000.0 * 10f64.powf(-f64::from(press.volume) / 20.0);
    let at = |n: u32, hz: f64| (f64::from(n) / f64::from(sample_rate) * hz * std::f64::consts::TAU).sin() * level;
    let mut samples: Vec<i16> = (0..press.hold_ms * per_ms).map(|n| (at(n, row) + at(n, column)) as i16).collect();
    samples.resize(samples.len() + (press.pause_ms * per_ms) as usize, 0);
    samples
}

#[cfg(test)]
mod tests;
