//! One leg outbound: a queue of clips becomes one paced RTP packet every 20 ms.
//!
//! Invariant: while the leg sends, every call of [`Playout::packet`] writes one frame, silence when idle; sequence numbers
//! rise by one and timestamps by 160 whatever is played, and the marker stands on the first frame of every talk spurt. At
//! most one frame has left this queue and is still unheard, so a cut is silence on the wire with the next packet.
//! Driver: `actors/media_shard/`; the actor beside it is `actors/call/tts_playback.rs`.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::FRAME_SAMPLES;
use crate::g711::Law;
use crate::rtp::{PACKET_BYTES_MAX, Packet};

/// Most clips waiting; more is a dialogue that never listens.
pub const CLIPS_MAX: usize = 64;

/// Names one clip of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClipId(pub u64);

/// Encoded audio, one byte a sample.
#[derive(Debug, Clone)]
pub struct Clip {
    /// Its name.
    pub id: ClipId,
    /// Code words of the leg's law.
    pub codes: Arc<[u8]>,
}

/// What happened to clips since the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The first frame of a clip was sent.
    Started(ClipId),
    /// The last sample of a clip was sent.
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

/// The sending side of one leg.
#[derive(Debug)]
pub struct Playout {
    law: Law,
    payload_type: u8,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    clips: VecDeque<Clip>,
    at: usize,
    talking: bool,
    events: VecDeque<Event>,
}

impl Playout {
    /// A sender with random starting values (RFC 3550 section 5.1).
    pub fn new(law: Law, payload_type: u8, ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        Self {
            law,
            payload_type,
            ssrc,
            sequence,
            timestamp,
            clips: VecDeque::new(),
            at: 0,
            talking: false,
            events: VecDeque::new(),
        }
    }

    /// Puts a clip at the end of the queue; `false` when [`CLIPS_MAX`] wait already.
    #[must_use]
    pub fn enqueue(&mut self, clip: Clip) -> bool {
        if self.clips.len() >= CLIPS_MAX {
            return false;
        }
        self.clips.push_back(clip);
        true
    }

    /// The law that clips must be coded in.
    pub fn law(&self) -> Law {
        self.law
    }

    /// Another codec was agreed on: what waits is coded anew.
    pub fn reformat(&mut self, law: Law, payload_type: u8) {
        let old = std::mem::replace(&mut self.law, law);
        self.payload_type = payload_type;
        if old != law {
            for clip in &mut self.clips {
                clip.codes = clip.codes.iter().map(|code| law.encode(old.decode(*code))).collect();
            }
        }
    }

    /// Drops everything that waits or sounds.
    pub fn cut(&mut self) -> Option<Cut> {
        let cut = self.clips.front().map(|clip| Cut { id: clip.id, heard: self.at, of: clip.codes.len() });
        self.clips.clear();
        self.at = 0;
        cut
    }

    /// Whether something waits or sounds.
    pub fn is_playing(&self) -> bool {
        !self.clips.is_empty()
    }

    /// What happened to clips; drain until `None`.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Writes the next packet; call it every 20 ms. Returns its length.
    pub fn packet(&mut self, buffer: &mut [u8; PACKET_BYTES_MAX]) -> usize {
        let mut frame = [self.law.silence(); FRAME_SAMPLES];
        let spoke = self.fill(&mut frame);
        let marker = spoke && !self.talking;
        self.talking = spoke;
        let packet = Packet {
            payload_type: self.payload_type,
            marker,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            payload: &frame,
        };
        self.advance();
        packet.write(buffer).expect("a 20 ms frame fits the buffer")
    }

    /// Time passes without a packet: the leg is on hold, the clock of the stream goes on.
    pub fn skip(&mut self) {
        self.timestamp = self.timestamp.wrapping_add(FRAME_SAMPLES as u32);
        self.talking = false;
    }

    fn advance(&mut self) {
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(FRAME_SAMPLES as u32);
    }

    /// Fills a frame from the queue; clips follow each other without a gap.
    fn fill(&mut self, frame: &mut [u8; FRAME_SAMPLES]) -> bool {
        let mut filled = 0;
        while filled < FRAME_SAMPLES
            && let Some(clip) = self.clips.front()
        {
            if self.at == 0 {
                self.events.push_back(Event::Started(clip.id));
            }
            let take = (clip.codes.len() - self.at).min(FRAME_SAMPLES - filled);
            frame[filled..filled + take].copy_from_slice(&clip.codes[self.at..self.at + take]);
            filled += take;
            self.at += take;
            if self.at == clip.codes.len() {
                self.events.push_back(Event::Finished(clip.id));
                self.clips.pop_front();
                self.at = 0;
            }
        }
        filled > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn playout() -> Playout {
        Playout::new(Law::Mu, 0, 7, 65534, u32::MAX - 200)
    }

    fn clip(id: u64, length: usize) -> Clip {
        Clip { id: ClipId(id), codes: vec![id as u8; length].into() }
    }

    fn next(playout: &mut Playout) -> (u16, u32, bool, u8, u8) {
        let mut buffer = [0; PACKET_BYTES_MAX];
        let length = playout.packet(&mut buffer);
        let p = Packet::parse(&buffer[..length]).expect("RTP");
        (p.sequence, p.timestamp, p.marker, p.payload[0], p.payload[159])
    }

    #[test]
    fn numbers_run_on_across_talk_spurts_and_wraps() {
        let mut playout = playout();
        let t = u32::MAX - 200;
        assert_eq!(next(&mut playout), (65534, t, false, 0xff, 0xff));
        assert!(playout.enqueue(clip(1, 200)) && playout.enqueue(clip(2, 120)));
        assert_eq!(next(&mut playout), (65535, t.wrapping_add(160), true, 1, 1));
        assert_eq!(next(&mut playout), (0, t.wrapping_add(320), false, 1, 2));
        assert_eq!(next(&mut playout), (1, t.wrapping_add(480), false, 0xff, 0xff));
        playout.skip();
        assert!(playout.enqueue(clip(3, 10)));
        assert_eq!(next(&mut playout), (2, t.wrapping_add(800), true, 3, 0xff));
        let events: Vec<_> = std::iter::from_fn(|| playout.poll_event()).collect();
        let expected = [1, 2, 3].map(|id| [Event::Started(ClipId(id)), Event::Finished(ClipId(id))]).concat();
        assert_eq!(events, expected);
    }

    #[test]
    fn a_cut_is_silence_with_the_next_packet() {
        let mut playout = playout();
        assert!(playout.enqueue(clip(1, 1600)) && playout.enqueue(clip(2, 1600)));
        next(&mut playout);
        assert_eq!(playout.cut(), Some(Cut { id: ClipId(1), heard: 160, of: 1600 }));
        assert_eq!(next(&mut playout).3, 0xff);
        assert!(!playout.is_playing());
        assert_eq!(playout.cut(), None);
    }

    #[test]
    fn another_law_is_heard_the_same() {
        let mut playout = playout();
        let loud = Law::Mu.encode(8000);
        assert!(playout.enqueue(Clip { id: ClipId(1), codes: vec![loud; 160].into() }));
        playout.reformat(Law::A, 8);
        let (_, _, _, first, _) = next(&mut playout);
        assert!((Law::A.decode(first) - 8000).abs() < 300);
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut playout = playout();
        assert_eq!((0..100).filter(|n| playout.enqueue(clip(*n, 1))).count(), CLIPS_MAX);
    }
}
