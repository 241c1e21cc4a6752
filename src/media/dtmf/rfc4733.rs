//! telephone-event packets (RFC 4733): one press of a digit is one digit, whatever the sender does with its timestamps.
//!
//! ```text
//! (nothing) -a packet-> Held -an end packet-> Ended
//!                       Held -END_LOST_AFTER without a packet-> Lost
//! any       -a packet of another press-> Held
//! ```
//! Senders let the timestamp of one press grow, give the end packets one of their own, begin again at an older one, or use
//! one for everything. So packets are put in order by their *sequence number*, told apart by their SSRC, and a packet
//! belongs to the press before it or begins another by what it says: the key, whether its duration goes on, and whether
//! that press had ended. Timestamps only ever speak for the *same* press, never against a later one.
//!
//! Invariant: a press is reported once. The marker bit decides nothing, so a lost first packet loses no digit; three end
//! packets, or none, make one digit all the same.

use std::time::Duration;

use super::Digit;
use crate::rtp::{MISORDERED_MAX, Packet};

/// A digit press is reported at its end, or when this long passed without a packet of it (RFC 4733 section 2.5.1.4 sends
/// one per packet interval; three end packets follow).
pub const END_LOST_AFTER: Duration = Duration::from_millis(100);
/// After so long nothing is on its way any more, and what comes is another press.
const STALE_AFTER: Duration = Duration::from_secs(1);
/// Sequence numbers from one packet of a press to its next, with losses and audio between them.
const NEAR: u16 = 4;
/// The same for end packets, which some send many times.
const NEAR_REPEATS: u16 = 8;
/// End packets of the same key closer than this are of one press, whatever their timestamps: two presses have a pause and
/// a tone between their ends (ITU-T Q.24: 40 ms each).
const REPEATS_WITHIN: Duration = Duration::from_millis(60);
/// How much the beginning of a press may seem to move, counted back from its packets.
const ONSET_SLACK_MS: u32 = 20;

/// A digit press that was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Press {
    /// The key.
    pub digit: Digit,
    /// How long it was held, by the event's own clock.
    pub held: Duration,
}

/// The receiving side of telephone-event.
#[derive(Debug, Clone)]
pub struct EventReceiver {
    ticks_per_ms: u32,
    /// The press of the newest packet.
    press: Option<Event>,
    /// Since its last packet.
    silent_for: Duration,
}

/// One press, by its newest packet.
#[derive(Debug, Clone)]
struct Event {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    digit: Digit,
    duration: u16,
    /// The durations of its earlier segments (RFC 4733 section 2.5.1.3), in ticks.
    before: u32,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Held,
    /// By an end packet.
    Ended,
    /// By silence.
    Lost,
}

/// What a packet says.
struct Told {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    digit: Digit,
    duration: u16,
    ends: bool,
}

/// What a packet is to the press before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    /// It was overtaken, or came twice.
    Old,
    /// It belongs to it.
    Same,
    /// It continues it in another segment.
    NextSegment,
    /// It begins another.
    Another,
}

impl Told {
    fn read(packet: &Packet<'_>) -> Option<Self> {
        let [event, flags, high, low, ..] = packet.payload else { return None };
        Some(Self {
            ssrc: packet.ssrc,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            digit: Digit::from_event(*event)?,
            duration: u16::from_be_bytes([*high, *low]),
            ends: flags & 0x80 != 0,
        })
    }
}

impl Event {
    fn begin(told: &Told) -> Self {
        let Told { ssrc, sequence, timestamp, digit, duration, .. } = *told;
        Self { ssrc, sequence, timestamp, digit, duration, before: 0, phase: Phase::Held }
    }

    fn relation(&self, told: &Told, silent_for: Duration, ticks_per_ms: u32) -> Relation {
        let one_source = told.ssrc == self.ssrc;
        let ahead = told.sequence.wrapping_sub(self.sequence);
        let is_stale = silent_for >= STALE_AFTER;
        let same_time = told.timestamp == self.timestamp;
        if one_source && ahead == 0 && same_time && told.digit == self.digit && told.duration == self.duration {
            return Relation::Old;
        }
        if one_source && !is_stale && ahead > u16::MAX - MISORDERED_MAX {
            return Relation::Old;
        }
        if told.digit != self.digit {
            return Relation::Another;
        }
        let near = |most: u16| one_source && ahead <= most;
        let elapsed = told.timestamp.wrapping_sub(self.timestamp);
        let grows = told.duration >= self.duration;
        let belongs = match (self.phase, told.ends) {
            // What is no end, behind an end, is a press of its own.
            (Phase::Ended, false) => false,
            (Phase::Ended, true) => {
                let within = elapsed <= self.duration.into() || silent_for < REPEATS_WITHIN;
                let again = same_time && told.duration == self.duration && !is_stale;
                again || (near(NEAR_REPEATS) && (same_time || within))
            }
            (Phase::Held | Phase::Lost, _) if is_stale => false,
            (Phase::Held | Phase::Lost, true) if same_time || near(NEAR) => true,
            (Phase::Held | Phase::Lost, _) => {
                if one_source && elapsed == self.duration.into() && !grows {
                    return Relation::NextSegment;
                }
                let onset = |timestamp: u32, duration: u16| timestamp.wrapping_sub(duration.into());
                let moved = onset(told.timestamp, told.duration).wrapping_sub(onset(self.timestamp, self.duration));
                let one_onset = moved.wrapping_add(ONSET_SLACK_MS * ticks_per_ms) <= 2 * ONSET_SLACK_MS * ticks_per_ms;
                // With so little between them, no three ends were lost there.
                let soon = END_LOST_AFTER.as_millis() as u32 * ticks_per_ms;
                let next = (near(NEAR) && told.duration > self.duration) || (near(1) && elapsed < soon);
                grows && (same_time || one_onset || next)
            }
        };
        if belongs { Relation::Same } else { Relation::Another }
    }
}

impl EventReceiver {
    /// A receiver of events that count at this rate: 8000, 16000 or 48000.
    pub fn new(clock_rate: u32) -> Self {
        Self { ticks_per_ms: (clock_rate / 1000).max(1), press: None, silent_for: Duration::ZERO }
    }

    /// Takes a telephone-event packet; returns the press that it ends, or the one that a new event proves ended.
    pub fn push(&mut self, packet: &Packet<'_>) -> Option<Press> {
        let told = Told::read(packet)?;
        let relation = match &self.press {
            None => Relation::Another,
            Some(press) => press.relation(&told, self.silent_for, self.ticks_per_ms),
        };
        let mut finished = None;
        match (relation, &mut self.press) {
            (Relation::Old, _) => return None,
            (Relation::Same | Relation::NextSegment, Some(press)) => {
                if relation == Relation::NextSegment {
                    press.before = press.before.saturating_add(press.duration.into());
                    press.duration = told.duration;
                }
                press.duration = press.duration.max(told.duration);
                // Of an ended press the end packet stays: its repeats are measured against it.
                if press.phase != Phase::Ended {
                    press.timestamp = told.timestamp;
                }
                (press.ssrc, press.sequence) = (told.ssrc, told.sequence);
            }
            (Relation::Same | Relation::NextSegment | Relation::Another, _) => {
                finished = self.end(Phase::Lost);
                self.press = Some(Event::begin(&told));
            }
        }
        self.silent_for = Duration::ZERO;
        if told.ends && finished.is_none() { self.end(Phase::Ended) } else { finished }
    }

    /// So much time has passed; returns the press whose end packets were lost.
    pub fn tick(&mut self, passed: Duration) -> Option<Press> {
        self.silent_for = self.silent_for.saturating_add(passed);
        if self.silent_for >= END_LOST_AFTER { self.end(Phase::Lost) } else { None }
    }

    /// Whether a digit is held down now: its tone must not reach the recognizer.
    pub fn is_held(&self) -> bool {
        self.press.as_ref().is_some_and(|press| press.phase == Phase::Held)
    }

    /// The press that is held has ended.
    fn end(&mut self, how: Phase) -> Option<Press> {
        let press = self.press.as_mut().filter(|press| press.phase == Phase::Held)?;
        press.phase = how;
        let ticks = u64::from(press.before) + u64::from(press.duration);
        Some(Press { digit: press.digit, held: Duration::from_millis(ticks / u64::from(self.ticks_per_ms)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: u32 = 500;

    /// Packets as `(timestamp, event, end, duration)`, one after another.
    fn digits(plan: &[(u32, u8, bool, u16)]) -> String {
        numbered(plan.iter().enumerate().map(|(n, packet)| (n as u16, *packet)))
    }

    fn numbered(plan: impl Iterator<Item = (u16, (u32, u8, bool, u16))>) -> String {
        let mut receiver = EventReceiver::new(8000);
        let mut heard = String::new();
        for (sequence, (timestamp, event, end, duration)) in plan {
            let [high, low] = duration.to_be_bytes();
            let payload = [event, if end { 0x8a } else { 0x0a }, high, low];
            let packet = Packet { payload_type: 101, marker: false, sequence, timestamp, ssrc: 1, payload: &payload };
            heard.extend(receiver.push(&packet).map(|p| p.digit.as_char()));
        }
        for _ in 0..SILENCE / 20 {
            heard.extend(receiver.tick(Duration::from_millis(20)).map(|p| p.digit.as_char()));
        }
        heard
    }

    #[test]
    fn a_digit_counts_once_whatever_is_lost() {
        let whole =
            [(100, 5, false, 160), (100, 5, false, 320), (100, 5, true, 400), (100, 5, true, 400), (100, 5, true, 400)];
        assert_eq!(digits(&whole), "5");
        for lost in 0..whole.len() {
            let some = (0..whole.len()).filter(|n| *n != lost).map(|n| (n as u16, whole[n]));
            assert_eq!(numbered(some), "5", "without packet {lost}");
        }
        assert_eq!(digits(&whole[..1]), "5", "only the first");
        assert_eq!(digits(&whole[4..]), "5", "only the last");
    }

    #[test]
    fn the_same_key_twice_is_two_digits_even_with_all_ends_lost() {
        assert_eq!(digits(&[(100, 1, false, 160), (2000, 1, false, 160), (2000, 1, true, 320)]), "11");
        let gap = [(0, (100, 1, false, 160)), (9, (2000, 1, false, 320)), (10, (2000, 1, true, 480))];
        assert_eq!(numbered(gap.into_iter()), "11", "the first packet of the second is lost too");
        assert_eq!(digits(&[(u32::MAX, 11, true, 160), (800, 10, true, 160)]), "#*");
        assert_eq!(digits(&[(9, 1, false, 160), (9, 1, true, 320), (9, 1, false, 160), (9, 1, true, 320)]), "11");
    }

    #[test]
    fn late_repeats_and_reordered_events_are_not_new_ones() {
        let late = [(4, (100, 1, true, 160)), (8, (900, 2, true, 160)), (5, (100, 1, true, 160))];
        assert_eq!(numbered(late.into_iter()), "12");
        let late = [(65_535, (100, 1, true, 320)), (65_534, (100, 1, false, 160))];
        assert_eq!(numbered(late.into_iter()), "1", "a packet of the press comes after its end");
        assert_eq!(digits(&[(100, 16, true, 160)]), "");
    }

    #[test]
    fn many_repeats_of_an_end_with_audio_between_them_are_one_press() {
        let repeats = (0..12u16).map(|n| (n * 2, (100, 7, n > 1, 320)));
        assert_eq!(numbered(repeats), "7");
        let moving = (0..12u16).map(|n| (n, (100 + u32::from(n) * 160, 7, n > 1, (n.min(4) + 1) * 160)));
        assert_eq!(numbered(moving), "7", "with the timestamp of the packet");
    }

    #[test]
    fn segments_without_end_are_one_press_and_no_overflow() {
        let mut receiver = EventReceiver::new(8000);
        let (mut timestamp, mut sequence) = (0u32, 0u16);
        for n in 0..150_000u32 {
            let duration: u16 = if n % 2 == 0 { u16::MAX } else { 1 };
            timestamp = timestamp.wrapping_add(if n % 2 == 0 { 1 } else { u16::MAX.into() });
            sequence = sequence.wrapping_add(1);
            let [high, low] = duration.to_be_bytes();
            let payload = [5, 0x0a, high, low];
            receiver.push(&Packet {
                payload_type: 101,
                marker: false,
                sequence,
                timestamp,
                ssrc: 1,
                payload: &payload,
            });
        }
        assert!(receiver.is_held());
    }

    #[test]
    fn a_key_held_for_longer_than_a_duration_can_say_is_one_press() {
        let mut plan: Vec<_> = (1..=410u32).map(|n| (0, 9, false, (n * 160).min(0xffff) as u16)).collect();
        plan.extend((1..50u16).map(|n| (0xffff, 9, n > 46, n * 160)));
        assert_eq!(digits(&plan), "9");
    }

    #[test]
    fn a_press_that_stalls_on_the_way_is_one_press() {
        let mut receiver = EventReceiver::new(8000);
        let mut heard = 0;
        for (sequence, end) in [(1, false), (2, false), (3, false), (4, true), (5, true)] {
            let payload = [5, if end { 0x8a } else { 0x0a }, 0, 40 * sequence as u8];
            let packet =
                Packet { payload_type: 101, marker: false, sequence, timestamp: 9, ssrc: 1, payload: &payload };
            heard += usize::from(receiver.push(&packet).is_some());
            let stalled = if sequence == 2 { 20 } else { 1 };
            heard += (0..stalled).filter(|_| receiver.tick(Duration::from_millis(20)).is_some()).count();
        }
        assert_eq!(heard, 1);
    }

    #[test]
    fn a_press_long_after_another_is_never_taken_for_an_overtaken_packet() {
        let mut receiver = EventReceiver::new(8000);
        let packet = |sequence| Packet {
            payload_type: 101,
            marker: false,
            sequence,
            timestamp: 9,
            ssrc: 1,
            payload: &[5, 0x8a, 3, 32],
        };
        assert!(receiver.push(&packet(50)).is_some());
        (0..1000).for_each(|_| assert_eq!(receiver.tick(Duration::from_millis(20)), None));
        assert!(receiver.push(&packet(20)).is_some(), "65,506 packets later");
    }

    #[test]
    fn the_time_held_is_the_events_own() {
        let mut receiver = EventReceiver::new(8000);
        let packet =
            Packet { payload_type: 101, marker: true, sequence: 0, timestamp: 1, ssrc: 1, payload: &[3, 0x80, 3, 32] };
        assert_eq!(receiver.push(&packet).expect("a press").held, Duration::from_millis(100));
        let mut of_opus = EventReceiver::new(48_000);
        assert_eq!(of_opus.push(&packet).expect("a press").held.as_millis(), 16);
    }
}
