//! One leg outbound: a queue of clips and digits becomes paced RTP packets.
//!
//! Invariant: while the leg sends, every 20 ms given by [`Playout::tick`] become packets of the agreed length, silence when
//! idle (or one comfort noise packet a second, where DTX was agreed); sequence numbers rise by one, timestamps by what was
//! played, and the marker stands on the first packet of every talk spurt. At most one packet has left this queue and is
//! still unheard, so a cut is silence on the wire with the next packet. Driver: `actors/media_shard/`; what is
//! queued is decided in `src/call/speech_out.rs`.

mod packetizer;
mod queue;
#[cfg(test)]
mod tests;

use std::time::Duration;

use self::packetizer::Packetizer;
use self::queue::Queue;
pub use self::queue::{Clip, ClipId, Cut, DigitPress, Event, ITEMS_MAX, Sound};
use crate::codec::Codec;
use crate::receiver::EventFormat;
use crate::region::Region;
use crate::rtcp::Sent;
use crate::rtp::PACKET_BYTES_MAX;
use crate::srtp::Outbound;

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

/// The sending side of one leg.
#[derive(Debug)]
pub struct Playout {
    queue: Queue,
    packetizer: Packetizer,
}

impl Playout {
    /// A sender with random starting values (RFC 3550 section 5.1).
    pub fn new(format: SendFormat, ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        Self { queue: Queue::default(), packetizer: Packetizer::new(format, ssrc, sequence, timestamp) }
    }

    /// What is sent is protected by this from here on; `None` for a stream in the clear.
    pub fn secure(&mut self, security: Option<Outbound>) {
        self.packetizer.secure(security);
    }

    /// Protects an RTCP packet, if the stream is secure; its new length.
    pub fn seal_control(&mut self, buffer: &mut [u8], length: usize) -> usize {
        self.packetizer.seal_control(buffer, length)
    }

    /// Keeps what is sent for [`Playout::monitored`].
    pub fn monitor(&mut self) {
        self.packetizer.monitor();
    }

    /// Hands over what was sent since the last look, as linear samples at the codec's rate.
    pub fn monitored(&mut self, look: impl FnOnce(&[i16])) {
        self.packetizer.monitored(look);
    }

    /// What the next packet touches beyond this value, and what leads to [`Playout::sound`].
    pub fn beyond(&self) -> Option<Region> {
        self.queue.front()
    }

    /// Where the sound of the next packet is.
    pub fn sound(&self) -> Option<Region> {
        self.queue.sound()
    }

    /// Puts a clip at the end of the queue; `false` when [`ITEMS_MAX`] wait already.
    #[must_use]
    pub fn enqueue(&mut self, clip: Clip) -> bool {
        self.queue.enqueue(clip)
    }

    /// Puts a digit at the end of the queue: as telephone-event where negotiated, as a tone elsewhere. `false` when
    /// [`ITEMS_MAX`] wait already.
    #[must_use]
    pub fn press(&mut self, id: ClipId, press: DigitPress) -> bool {
        let format = self.format();
        if format.telephone_event.is_some() {
            return self.queue.press(id, press);
        }
        let tone = tone(press, format.codec.sample_rate());
        self.queue.enqueue(Clip { id, sound: Sound::of(&tone, format.codec), repeats: false })
    }

    /// How the stream is coded now.
    pub fn format(&self) -> SendFormat {
        self.packetizer.format()
    }

    /// Another format was agreed on: what waits is coded anew, digits too.
    pub fn reformat(&mut self, format: SendFormat) {
        if let Some(before) = self.packetizer.reformat(format) {
            self.queue.convert(before, format.codec);
        }
        if format.telephone_event.is_none() {
            let SendFormat { codec, .. } = format;
            self.queue.digits_become(|press| Sound::of(&tone(press, codec.sample_rate()), codec));
        }
    }

    /// Drops everything that waits or sounds.
    pub fn cut(&mut self) -> Option<Cut> {
        self.queue.cut()
    }

    /// Silence from the next packet on; what waits or sounds is kept. Or the end of that: it goes on where it stopped.
    pub fn pause(&mut self, paused: bool) {
        self.queue.pause(paused);
    }

    /// What is repeated ends now, and what waits behind it is next.
    pub fn stop_repeating(&mut self) {
        self.queue.stop_repeating();
    }

    /// How many more clips and digits may wait.
    pub fn room(&self) -> usize {
        self.queue.room()
    }

    /// How much audio waits or sounds; what is repeated counts once.
    pub fn ahead(&self) -> Duration {
        self.queue.ahead(self.format().codec.sample_rate())
    }

    /// Whether something waits or sounds.
    pub fn is_playing(&self) -> bool {
        self.queue.is_playing()
    }

    /// What happened to clips; drain until `None`.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.queue.poll_event()
    }

    /// What was sent so far, for sender reports.
    pub fn sent(&self) -> Sent {
        self.packetizer.sent()
    }

    /// 20 ms have passed: their audio is due.
    pub fn tick(&mut self) {
        self.packetizer.tick();
    }

    /// Writes the next packet that is due, drain until `None`. Returns its length.
    pub fn packet(&mut self, buffer: &mut [u8; PACKET_BYTES_MAX]) -> Option<usize> {
        self.packetizer.packet(&mut self.queue, buffer)
    }

    /// Time passes without a packet: the leg is on hold, the clock of the stream goes on.
    pub fn skip(&mut self) {
        self.packetizer.skip();
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
