//! What a leg plays: clips and digits in order, and how far the first of them is.
//!
//! Invariant: an item starts once and finishes once, or is cut, or is a repeated clip that was told to stop; a clip that
//! repeats finishes after the first time.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::FRAME_SAMPLES;
use crate::codec::Codec;
use crate::dtmf::Digit;
use crate::g711::Law;
use crate::region::Region;
use crate::resample;

/// Most clips and digits waiting; more is a dialogue that never listens.
pub const ITEMS_MAX: usize = 64;
/// How often the end of a digit is repeated (RFC 4733 section 2.5.1.4).
const END_PACKETS: u8 = 3;

/// Names one clip or digit of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClipId(pub u64);

/// Audio of a clip.
#[derive(Clone)]
pub enum Sound {
    /// Code words of G.711, one a sample.
    Coded(Law, Arc<[u8]>),
    /// Linear samples at the rate of the codec.
    Linear(Arc<[i16]>),
}

/// It never shows samples: they are too many.
impl fmt::Debug for Sound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sound({} samples)", self.samples())
    }
}

impl Sound {
    /// How many samples it has.
    pub fn samples(&self) -> usize {
        match self {
            Self::Coded(_, codes) => codes.len(),
            Self::Linear(samples) => samples.len(),
        }
    }

    /// The same sound for another codec.
    pub fn converted(&self, from: Codec, to: Codec) -> Self {
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
    /// The name that its events come back by.
    pub id: ClipId,
    /// What is heard.
    pub sound: Sound,
    /// Whether it begins again at its end, until [`Playout::stop_repeating`](super::Playout::stop_repeating); it counts as
    /// finished after the first time.
    pub repeats: bool,
}

/// A digit to press.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigitPress {
    /// 0 to 9, *, # or A to D.
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

/// What one packet tells of a digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) press: DigitPress,
    /// The timestamp when it was pressed.
    pub(super) began: u32,
    pub(super) held_ms: u32,
    pub(super) is_first: bool,
    pub(super) ends: bool,
}

/// What is played, in order.
#[derive(Debug, Default)]
pub(super) struct Queue {
    items: VecDeque<Item>,
    at: usize,
    /// Whether what waits is kept waiting: silence is sent.
    paused: bool,
    /// Whether the clip at the front was heard to its end before.
    repeated: bool,
    pressed: Option<Pressed>,
    events: VecDeque<Event>,
}

impl Queue {
    #[must_use]
    pub(super) fn enqueue(&mut self, clip: Clip) -> bool {
        self.push(Item::Clip(clip))
    }

    #[must_use]
    pub(super) fn press(&mut self, id: ClipId, press: DigitPress) -> bool {
        self.push(Item::Digit(id, press))
    }

    fn push(&mut self, item: Item) -> bool {
        let room = self.items.len() < ITEMS_MAX;
        if room {
            self.items.push_back(item);
        }
        room
    }

    /// What waits is coded anew.
    pub(super) fn convert(&mut self, from: Codec, to: Codec) {
        self.at = self.at * to.sample_rate() as usize / from.sample_rate() as usize;
        for item in &mut self.items {
            if let Item::Clip(clip) = item {
                clip.sound = clip.sound.converted(from, to);
            }
        }
    }

    /// Digits that wait become these sounds: events are no longer negotiated. One that is being pressed ends with what was
    /// sent of it.
    pub(super) fn digits_become(&mut self, sound: impl Fn(DigitPress) -> Sound) {
        if self.pressed.take().is_some()
            && let Some(Item::Digit(id, _)) = self.items.pop_front()
        {
            self.events.push_back(Event::Finished(id));
        }
        for item in &mut self.items {
            if let Item::Digit(id, press) = item {
                *item = Item::Clip(Clip { id: *id, sound: sound(*press), repeats: false });
            }
        }
    }

    pub(super) fn cut(&mut self) -> Option<Cut> {
        let cut = self.items.front().map(|item| match item {
            Item::Clip(clip) => Cut { id: clip.id, heard: self.at, of: clip.sound.samples() },
            Item::Digit(id, _) => Cut { id: *id, heard: 0, of: 0 },
        });
        self.items.clear();
        (self.at, self.pressed, self.paused, self.repeated) = (0, None, false, false);
        cut
    }

    pub(super) fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    pub(super) fn stop_repeating(&mut self) {
        let repeats = |item: &Item| matches!(item, Item::Clip(Clip { repeats: true, .. }));
        if self.items.front().is_some_and(repeats) {
            (self.at, self.repeated) = (0, false);
        }
        self.items.retain(|item| !repeats(item));
    }

    pub(super) fn room(&self) -> usize {
        ITEMS_MAX.saturating_sub(self.items.len())
    }

    /// How much audio waits or sounds, at so many samples per second.
    pub(super) fn ahead(&self, sample_rate: u32) -> Duration {
        let samples = self.items.iter().map(|item| match item {
            Item::Clip(clip) => clip.sound.samples(),
            Item::Digit(..) => 0,
        });
        let samples = samples.sum::<usize>().saturating_sub(self.at);
        Duration::from_millis(samples as u64 * 1000 / u64::from(sample_rate))
    }

    pub(super) fn is_playing(&self) -> bool {
        !self.items.is_empty()
    }

    /// Where the first of it is.
    pub(super) fn front(&self) -> Option<Region> {
        self.items.front().map(|item| Region::of(std::slice::from_ref(item)))
    }

    /// Where its sound goes on, for a frame.
    pub(super) fn sound(&self) -> Option<Region> {
        let Some(Item::Clip(clip)) = self.items.front() else { return None };
        match &clip.sound {
            Sound::Coded(_, codes) => {
                codes.get(self.at..).map(|rest| Region::of(&rest[..rest.len().min(FRAME_SAMPLES)]))
            }
            Sound::Linear(samples) => {
                samples.get(self.at..).map(|rest| Region::of(&rest[..rest.len().min(2 * FRAME_SAMPLES)]))
            }
        }
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether a digit is what is played now.
    pub(super) fn is_at_digit(&self) -> bool {
        !self.paused && matches!(self.items.front(), Some(Item::Digit(..)))
    }

    /// The digit at the front is held for one packet more, of so many milliseconds and with this timestamp; `None` in the pause
    /// after it.
    pub(super) fn hold(&mut self, packet_ms: u32, timestamp: u32) -> Option<Held> {
        let Some(&Item::Digit(id, press)) = self.items.front() else { return None };
        let is_first = self.pressed.is_none();
        let pressed = self.pressed.get_or_insert(Pressed { began: timestamp, held_ms: 0, ends_sent: 0, pause_ms: 0 });
        if pressed.ends_sent == END_PACKETS {
            pressed.pause_ms += packet_ms;
            if pressed.pause_ms >= press.pause_ms {
                self.pressed = None;
                self.items.pop_front();
                self.events.push_back(Event::Finished(id));
            }
            return None; // nothing is heard between two digits
        }
        pressed.held_ms = (pressed.held_ms + packet_ms).min(press.hold_ms.max(packet_ms));
        let ends = pressed.held_ms >= press.hold_ms;
        pressed.ends_sent += u8::from(ends);
        let held = Held { press, began: pressed.began, held_ms: pressed.held_ms, is_first, ends };
        if is_first {
            self.events.push_back(Event::Started(id));
        }
        Some(held)
    }

    /// Takes up to `wanted` samples from the clips at the front; they follow each other without a gap. `copy` gets the
    /// sound, where in it to begin, where to put it, and how many samples.
    pub(super) fn fill(&mut self, wanted: usize, mut copy: impl FnMut(&Sound, usize, usize, usize)) -> usize {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(id: u64, samples: usize, repeats: bool) -> Clip {
        Clip { id: ClipId(id), sound: Sound::Coded(Law::Mu, vec![id as u8; samples].into()), repeats }
    }

    /// The codes of so many samples.
    fn take(queue: &mut Queue, wanted: usize) -> Vec<u8> {
        let mut taken = vec![];
        queue.fill(wanted, |sound, from, _, count| {
            let Sound::Coded(_, codes) = sound else { panic!("{sound:?}") };
            taken.extend_from_slice(&codes[from..from + count]);
        });
        taken
    }

    fn events(queue: &mut Queue) -> Vec<Event> {
        std::iter::from_fn(|| queue.poll_event()).collect()
    }

    #[test]
    fn what_is_asked_for_is_what_is_taken() {
        let mut queue = Queue::default();
        assert!(queue.front().is_none() && queue.sound().is_none());
        assert!(queue.enqueue(clip(1, 400, false)));
        for (at, bytes) in [(0, 160), (160, 160), (320, 80)] {
            let asked = queue.sound().expect("it goes on");
            let mut taken = None;
            queue.fill(160, |sound, from, _, _| {
                let Sound::Coded(_, codes) = sound else { panic!("{sound:?}") };
                taken = Some((from, codes[from..].as_ptr()));
            });
            assert_eq!((Some((at, asked.start)), asked.bytes), (taken, bytes));
        }
    }

    #[test]
    fn clips_follow_each_other_without_a_gap() {
        let mut queue = Queue::default();
        assert!(queue.enqueue(clip(1, 3, false)) && queue.enqueue(clip(2, 2, false)));
        assert_eq!(queue.ahead(1000), Duration::from_millis(5));
        assert_eq!((take(&mut queue, 4), queue.ahead(1000)), (vec![1, 1, 1, 2], Duration::from_millis(1)));
        assert_eq!(take(&mut queue, 4), [2]);
        let expected = [1, 2].map(|id| [Event::Started(ClipId(id)), Event::Finished(ClipId(id))]).concat();
        assert_eq!((events(&mut queue), queue.is_playing()), (expected, false));
    }

    #[test]
    fn what_repeats_finishes_once_and_ends_when_it_is_told_to() {
        let mut queue = Queue::default();
        assert!(queue.enqueue(clip(1, 2, true)) && queue.enqueue(clip(2, 1, false)));
        assert_eq!(take(&mut queue, 5), [1; 5]);
        assert_eq!(events(&mut queue), [Event::Started(ClipId(1)), Event::Finished(ClipId(1))]);
        queue.stop_repeating();
        assert_eq!(take(&mut queue, 5), [2]);
        assert_eq!(events(&mut queue), [Event::Started(ClipId(2)), Event::Finished(ClipId(2))]);
    }

    #[test]
    fn a_pause_keeps_what_waits_and_a_cut_ends_the_pause() {
        let mut queue = Queue::default();
        assert!(queue.enqueue(clip(1, 4, false)));
        assert_eq!(take(&mut queue, 1), [1]);
        queue.pause(true);
        assert!(take(&mut queue, 1).is_empty() && queue.is_playing());
        assert_eq!(queue.cut(), Some(Cut { id: ClipId(1), heard: 1, of: 4 }));
        assert!(queue.enqueue(clip(2, 1, false)));
        assert_eq!(take(&mut queue, 9), [2]);
    }

    #[test]
    fn a_digit_is_held_ends_thrice_and_is_followed_by_its_pause() {
        let (mut queue, digit) = (Queue::default(), Digit::from_char('5').expect("a digit"));
        assert!(queue.press(ClipId(1), DigitPress { digit, hold_ms: 60, pause_ms: 40, volume: 10 }));
        assert!(queue.is_at_digit());
        let packets: Vec<Option<(u32, u32, bool)>> =
            (0..7).map(|n| queue.hold(20, 160 * n).map(|held| (held.began, held.held_ms, held.ends))).collect();
        let held = [(0, 20, false), (0, 40, false), (0, 60, true), (0, 60, true), (0, 60, true)].map(Some);
        assert_eq!(packets, [&held[..], &[None, None]].concat());
        assert_eq!(events(&mut queue), [Event::Started(ClipId(1)), Event::Finished(ClipId(1))]);
        assert!(!queue.is_playing());
    }

    #[test]
    fn another_rate_leaves_a_clip_where_it_was_heard() {
        let mut queue = Queue::default();
        assert!(queue.enqueue(clip(1, 800, false)));
        take(&mut queue, 200);
        queue.convert(Codec::G711(Law::Mu), Codec::G722);
        assert_eq!(queue.cut(), Some(Cut { id: ClipId(1), heard: 400, of: 1600 }));
    }
}
