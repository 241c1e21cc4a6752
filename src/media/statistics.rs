//! What was received of one stream: loss and jitter as RFC 3550 defines them (appendices A.1, A.3 and A.8).
//!
//! Invariant: sequence numbers may wrap, repeat and jump; the count of lost packets never goes below what is true by more
//! than the duplicates. Totals are those of the whole call: a source that begins anew, or another SSRC, is counted on.

use crate::rtp::{DROPOUT_MAX, MISORDERED_MAX};
use std::time::{Duration, Instant};

/// Packets of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Packets that should have come.
    pub expected: u32,
    /// Packets that did not.
    pub lost: u32,
}

impl std::ops::Add for Totals {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { expected: self.expected.saturating_add(other.expected), lost: self.lost.saturating_add(other.lost) }
    }
}

/// The statistics of one synchronisation source, and the totals of those before it.
#[derive(Debug, Clone, Default)]
pub struct Reception {
    ssrc: u32,
    before: Totals,
    first: u32,
    highest: u32,
    received: u32,
    received_before: u32,
    expected_before: u32,
    last_arrival: Option<(Instant, u32)>,
    /// In RTP clock ticks times 16.
    jitter: u32,
    jitters: Spread,
}

/// The values of a jitter over time, in RTP clock ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spread {
    highest: u32,
    sum: u64,
    count: u64,
}

impl Spread {
    /// Takes another value.
    pub fn note(&mut self, jitter: u32) {
        self.highest = self.highest.max(jitter);
        self.sum += u64::from(jitter);
        self.count += 1;
    }

    /// The highest so far.
    pub fn highest(&self, clock_rate: u32) -> Duration {
        ticks(self.highest.into(), clock_rate)
    }

    /// The mean so far.
    pub fn mean(&self, clock_rate: u32) -> Duration {
        ticks(self.sum / self.count.max(1), clock_rate)
    }
}

/// RTP clock ticks as time.
fn ticks(ticks: u64, clock_rate: u32) -> Duration {
    Duration::from_micros(ticks * 1_000_000 / u64::from(clock_rate.max(1)))
}

/// What a report block says (RFC 3550 section 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Block {
    /// The source it is about.
    pub ssrc: u32,
    /// Share of packets lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost in all.
    pub lost: u32,
    /// The highest sequence number with its cycles.
    pub highest: u32,
    /// Interarrival jitter in RTP clock ticks.
    pub jitter: u32,
}

impl Reception {
    /// The count of a stream that begins with this packet.
    pub fn begin(ssrc: u32, sequence: u16) -> Self {
        // One before the first, so that noting the first counts it.
        let highest = (1 << 16) + u32::from(sequence) - 1;
        Self { ssrc, first: highest + 1, highest, ..Self::default() }
    }

    /// Another source, or the same one anew, takes the place of this one: the totals are counted on.
    pub fn begin_after(&self, ssrc: u32, sequence: u16) -> Self {
        Self { before: self.totals(), jitters: self.jitters, ..Self::begin(ssrc, sequence) }
    }

    /// The source that is counted.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Counts a packet that was accepted. `clock_rate` is that of its timestamps; no timestamp where it stands still.
    pub fn note(&mut self, now: Instant, sequence: u16, timestamp: Option<u32>, clock_rate: u32) {
        let ahead = sequence.wrapping_sub(self.highest as u16);
        if ahead != 0 && ahead < DROPOUT_MAX {
            self.highest = self.highest.wrapping_add(u32::from(ahead));
        } else if (DROPOUT_MAX..=u16::MAX - MISORDERED_MAX).contains(&ahead) {
            *self = self.begin_after(self.ssrc, sequence);
            self.highest += 1;
        }
        self.received += 1;
        let Some(timestamp) = timestamp else { return };
        if let Some((then, before)) = self.last_arrival {
            let passed =
                (now.saturating_duration_since(then).as_micros() as i64 * i64::from(clock_rate) / 1_000_000) as i32;
            let spread = passed.wrapping_sub(timestamp.wrapping_sub(before) as i32).unsigned_abs();
            // A pause of the sender moves its timestamp in one step: no jitter of the network.
            if spread < clock_rate {
                self.jitter = self.jitter.wrapping_add(spread).wrapping_sub((self.jitter + 8) >> 4);
                self.jitters.note(self.jitter >> 4);
            }
        }
        self.last_arrival = Some((now, timestamp));
    }

    /// What came of this source and of those before it.
    pub fn totals(&self) -> Totals {
        self.before + Totals { expected: self.expected(), lost: self.lost() }
    }

    fn lost(&self) -> u32 {
        self.expected().saturating_sub(self.received)
    }

    fn expected(&self) -> u32 {
        if self.received == 0 { 0 } else { self.highest.wrapping_sub(self.first).wrapping_add(1) }
    }

    /// The jitter, as time.
    pub fn jitter(&self, clock_rate: u32) -> Duration {
        ticks((self.jitter >> 4).into(), clock_rate)
    }

    /// The jitter over time.
    pub fn jitters(&self) -> Spread {
        self.jitters
    }

    /// The report block, and the beginning of the next interval.
    pub fn report(&mut self) -> Block {
        let expected = self.expected();
        let (interval, got) = (expected - self.expected_before.min(expected), self.received - self.received_before);
        (self.expected_before, self.received_before) = (expected, self.received);
        let lost = interval.saturating_sub(got);
        Block {
            ssrc: self.ssrc,
            fraction_lost: (lost << 8).checked_div(interval).unwrap_or(0).min(255) as u8,
            lost: self.lost().min(0x7f_ffff),
            highest: self.highest.wrapping_sub(1 << 16),
            jitter: self.jitter >> 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(numbers: impl Iterator<Item = u16>, late_ms: impl Fn(u32) -> u64) -> Reception {
        let start = Instant::now();
        let mut reception: Option<Reception> = None;
        for (n, sequence) in numbers.enumerate() {
            let at = start + Duration::from_millis(n as u64 * 20 + late_ms(n as u32));
            let reception = reception.get_or_insert_with(|| Reception::begin(9, sequence));
            reception.note(at, sequence, Some(n as u32 * 160), 8000);
        }
        reception.expect("some packets")
    }

    #[test]
    fn a_whole_stream_across_the_wrap_has_no_loss() {
        let mut reception = run((0..200u16).map(|n| n.wrapping_add(65_500)), |_| 0);
        assert_eq!((reception.expected(), reception.lost()), (200, 0));
        let block = reception.report();
        assert_eq!((block.fraction_lost, block.highest, block.jitter), (0, (1 << 16) + 163, 0));
    }

    #[test]
    fn losses_are_counted_in_all_and_since_the_last_report() {
        let mut reception = run((0..100u16).filter(|n| n % 4 != 2), |_| 0);
        assert_eq!(reception.lost(), 25);
        assert_eq!(reception.report().fraction_lost, 64);
        assert_eq!(reception.report().fraction_lost, 0, "nothing came since");
    }

    #[test]
    fn reordering_and_repeats_are_not_losses() {
        assert_eq!(run([1u16, 2, 4, 3, 5, 5, 6].into_iter(), |_| 0).lost(), 0);
    }

    #[test]
    fn jitter_is_the_mean_deviation() {
        let reception = run(0..500, |n| u64::from(n % 2) * 10);
        let jitter = reception.jitter(8000).as_millis();
        assert!((8..=11).contains(&jitter), "{jitter}");
    }

    #[test]
    fn a_restart_of_the_sender_is_not_a_million_losses() {
        let mut numbers: Vec<u16> = (0..50).collect();
        numbers.extend(30_000..30_050);
        assert_eq!(run(numbers.into_iter(), |_| 0).totals(), Totals { expected: 100, lost: 0 });
    }
}
