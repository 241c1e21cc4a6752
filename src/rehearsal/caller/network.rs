//! The network between a caller and the far end: which packets it loses, and how late it brings the others.
//!
//! Loss comes in bursts after Gilbert and Elliott: a good state that loses nothing and a bad one that loses everything.
//! Invariant: packets arrive in the order in which they were sent.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::Conditions;

/// A network, decided packet by packet: a pure schedule, without a clock.
#[derive(Debug)]
pub(super) struct Network {
    /// How likely a good state ends with a packet, and a bad one.
    falls: f32,
    recovers: f32,
    jitter: Duration,
    bad: bool,
    chance: StdRng,
    latest: Duration,
}

impl Network {
    pub(super) fn new(conditions: &Conditions) -> Self {
        let loss = conditions.loss.clamp(0.0, 1.0);
        // Without bursts the next packet's chance is the same in both states.
        let recovers = if conditions.burst > 1.0 { 1.0 / conditions.burst } else { 1.0 - loss };
        let falls = if loss < 1.0 { (recovers * loss / (1.0 - loss)).min(1.0) } else { 1.0 };
        Self {
            falls,
            recovers,
            jitter: conditions.jitter,
            bad: false,
            // Not the numbers that the noise is made of.
            chance: StdRng::seed_from_u64(conditions.seed ^ 0x006e_6574),
            latest: Duration::ZERO,
        }
    }

    /// When a packet that is sent at `now` arrives; `None` if it is lost.
    pub(super) fn arrival(&mut self, now: Duration) -> Option<Duration> {
        let changes = self.chance.random::<f32>() < if self.bad { self.recovers } else { self.falls };
        self.bad ^= changes;
        let late = self.jitter.mul_f32(self.chance.random::<f32>());
        if self.bad {
            return None;
        }
        self.latest = self.latest.max(now + late);
        Some(self.latest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKETS: u32 = 50_000;

    fn sent(conditions: &Conditions) -> Vec<Option<Duration>> {
        let mut network = Network::new(conditions);
        (0..PACKETS).map(|n| network.arrival(Duration::from_millis(20) * n)).collect()
    }

    /// Share of the packets that were lost, and how many in a row.
    fn losses(conditions: &Conditions) -> (f32, f32) {
        let sent = sent(conditions);
        let lost = sent.iter().filter(|arrival| arrival.is_none()).count() as f32;
        let bursts = sent.windows(2).filter(|pair| pair[0].is_some() && pair[1].is_none()).count() as f32;
        (lost / PACKETS as f32, lost / bursts.max(1.0))
    }

    #[test]
    fn a_good_network_brings_everything_at_once() {
        let all = sent(&Conditions::default());
        assert!(all.iter().zip(0..).all(|(arrival, n)| *arrival == Some(Duration::from_millis(20) * n)));
    }

    #[test]
    fn loss_without_bursts_is_independent() {
        let (share, length) = losses(&Conditions { loss: 0.2, ..Conditions::default() });
        assert!((share - 0.2).abs() < 0.02, "{share}");
        // Of independent losses 1 / (1 - loss) stand in a row.
        assert!((length - 1.25).abs() < 0.05, "{length}");
    }

    #[test]
    fn losses_come_in_bursts_of_the_length_that_was_asked_for() {
        let (share, length) = losses(&Conditions { loss: 0.05, burst: 4.0, ..Conditions::default() });
        assert!((share - 0.05).abs() < 0.01, "{share}");
        assert!((length - 4.0).abs() < 0.5, "{length}");
    }

    #[test]
    fn a_dead_network_brings_nothing() {
        assert!(sent(&Conditions { loss: 1.0, ..Conditions::default() }).iter().all(Option::is_none));
    }

    #[test]
    fn jitter_delays_within_its_bound_and_keeps_the_order() {
        let jitter = Duration::from_millis(80);
        let arrivals: Vec<_> = sent(&Conditions { jitter, ..Conditions::default() }).into_iter().flatten().collect();
        assert_eq!(arrivals.len(), PACKETS as usize);
        assert!(arrivals.is_sorted());
        let late = arrivals.iter().zip(0..).map(|(arrival, n)| *arrival - Duration::from_millis(20) * n);
        assert!(late.clone().all(|late| late < jitter));
        assert!(late.max() > Some(Duration::from_millis(70)));
    }

    #[test]
    fn a_seed_says_everything() {
        let conditions =
            Conditions { loss: 0.1, burst: 3.0, jitter: Duration::from_millis(40), ..Conditions::default() };
        assert_eq!(sent(&conditions), sent(&conditions));
        assert_ne!(sent(&conditions), sent(&Conditions { seed: 2, ..conditions.clone() }));
    }
}
