//! telephone-event packets (RFC 4733), keyed by RTP timestamp.
//!
//! Invariant: one timestamp is one key press. The marker bit decides nothing, so a lost first packet loses no digit; three
//! end packets, or none, make one digit all the same.

use std::time::Duration;

use super::Digit;
use crate::rtp::Packet;

/// A key press is reported at its end, or when this long passed without a packet of it (RFC 4733 section 2.5.1.4 sends
/// one per packet interval; three end packets follow).
pub const END_LOST_AFTER: Duration = Duration::from_millis(100);

/// A key press that was heard.
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
    ticks_per_ms: u64,
    current: Option<Current>,
    last_ended: Option<u32>,
}

#[derive(Debug, Clone)]
struct Current {
    digit: Digit,
    timestamp: u32,
    duration: u16,
    silent_for: Duration,
}

impl EventReceiver {
    /// A receiver of events that count at this rate: 8000, 16000 or 48000.
    pub fn new(clock_rate: u32) -> Self {
        Self { ticks_per_ms: u64::from(clock_rate / 1000).max(1), current: None, last_ended: None }
    }

    /// Takes a telephone-event packet; returns the press that it ends, or the one that a new event proves ended.
    pub fn push(&mut self, packet: &Packet<'_>) -> Option<Press> {
        let [event, flags, high, low, ..] = packet.payload else { return None };
        let digit = Digit::from_event(*event)?;
        let (ends, duration) = (flags & 0x80 != 0, u16::from_be_bytes([*high, *low]));
        if self.last_ended.is_some_and(|ended| !is_after(packet.timestamp, ended)) {
            return None; // a repeat of an event already reported, or one that overtook it
        }
        let mut finished = None;
        match &mut self.current {
            Some(current) if current.timestamp == packet.timestamp => {
                current.duration = current.duration.max(duration);
                current.silent_for = Duration::ZERO;
            }
            Some(current) if !is_after(packet.timestamp, current.timestamp) => return None,
            _ => {
                finished = self.end();
                self.current =
                    Some(Current { digit, timestamp: packet.timestamp, duration, silent_for: Duration::ZERO });
            }
        }
        if ends && finished.is_none() { self.end() } else { finished }
    }

    /// 20 ms have passed; returns the press whose end packets were lost.
    pub fn tick(&mut self, passed: Duration) -> Option<Press> {
        let current = self.current.as_mut()?;
        current.silent_for += passed;
        if current.silent_for >= END_LOST_AFTER { self.end() } else { None }
    }

    /// Whether a key is held down now: its tone must not reach the recognizer.
    pub fn is_held(&self) -> bool {
        self.current.is_some()
    }

    fn end(&mut self) -> Option<Press> {
        let current = self.current.take()?;
        self.last_ended = Some(current.timestamp);
        Some(Press {
            digit: current.digit,
            held: Duration::from_millis(u64::from(current.duration) / self.ticks_per_ms),
        })
    }
}

fn is_after(timestamp: u32, other: u32) -> bool {
    timestamp != other && timestamp.wrapping_sub(other) < 1 << 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(plan: &[(u32, u8, bool, u16)]) -> String {
        let mut receiver = EventReceiver::new(8000);
        let mut heard = String::new();
        for (timestamp, event, end, duration) in plan {
            let [high, low] = duration.to_be_bytes();
            let payload = [*event, if *end { 0x8a } else { 0x0a }, high, low];
            let packet = Packet {
                payload_type: 101,
                marker: false,
                sequence: 0,
                timestamp: *timestamp,
                ssrc: 1,
                payload: &payload,
            };
            heard.extend(receiver.push(&packet).map(|p| p.digit.as_char()));
        }
        for _ in 0..10 {
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
            let mut some = whole.to_vec();
            some.remove(lost);
            assert_eq!(digits(&some), "5", "without packet {lost}");
        }
        assert_eq!(digits(&whole[..1]), "5", "only the first");
        assert_eq!(digits(&whole[4..]), "5", "only the last");
    }

    #[test]
    fn the_same_key_twice_is_two_digits_even_with_all_ends_lost() {
        assert_eq!(digits(&[(100, 1, false, 160), (2000, 1, false, 160), (2000, 1, true, 320)]), "11");
        assert_eq!(digits(&[(u32::MAX, 11, true, 160), (800, 10, true, 160)]), "#*");
    }

    #[test]
    fn late_repeats_and_reordered_events_are_not_new_ones() {
        assert_eq!(digits(&[(100, 1, true, 160), (900, 2, true, 160), (100, 1, true, 160)]), "12");
        assert_eq!(digits(&[(100, 16, true, 160)]), "");
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
