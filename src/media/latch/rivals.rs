//! Sources that are not believed, and what speaks for them.
//!
//! Invariant: at most [`RIVALS_MAX`] are remembered, and a source elsewhere never displaces one of the far end's hosts: a
//! flood keeps nobody from being believed who is nearer to what SIP named.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Sighting;
use crate::rtp::DROPOUT_MAX;

/// Most sources that are looked at at once.
pub(super) const RIVALS_MAX: usize = 4;
/// A source that was silent for this long begins anew.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Default)]
pub(super) struct Rivals {
    all: [Option<Rival>; RIVALS_MAX],
    /// The one whose packets go on where the pinned stream ended.
    heir: Option<Rival>,
}

#[derive(Debug, Clone, Copy)]
struct Rival {
    source: SocketAddr,
    ssrc: u32,
    sequence: u16,
    packets: u8,
    since: Instant,
    last: Instant,
    is_elsewhere: bool,
}

impl Rival {
    fn begin(seen: Sighting, is_elsewhere: bool) -> Self {
        let Sighting { now, source, ssrc, sequence, .. } = seen;
        Self { source, ssrc, sequence, packets: 1, since: now, last: now, is_elsewhere }
    }

    fn is_of(&self, seen: Sighting) -> bool {
        self.source == seen.source
            && self.ssrc == seen.ssrc
            && seen.now.saturating_duration_since(self.last) < FORGOTTEN_AFTER
    }

    fn count(&mut self, seen: Sighting) {
        self.packets = self.packets.saturating_add(1);
        (self.last, self.sequence) = (seen.now, seen.sequence);
    }
}

impl Rivals {
    /// Counts a packet of a candidate: how many have come, and since when. `None` where there is no room for it.
    pub(super) fn note(&mut self, seen: Sighting, is_elsewhere: bool) -> Option<(u8, Instant)> {
        if let Some(known) = self.all.iter_mut().flatten().find(|rival| rival.is_of(seen)) {
            known.count(seen);
            return Some((known.packets, known.since));
        }
        // A free place, else that of whom nothing was heard for longest; of those elsewhere first.
        let place = self.all.iter_mut().min_by_key(|place| place.map(|rival| (!rival.is_elsewhere, rival.last)))?;
        if place.is_some_and(|rival| is_elsewhere && !rival.is_elsewhere && !is_stale(&rival, seen.now)) {
            return None;
        }
        *place = Some(Rival::begin(seen, is_elsewhere));
        Some((1, seen.now))
    }

    /// Counts a packet that would be the next of the pinned stream: how many in order have come from that source.
    pub(super) fn goes_on(&mut self, seen: Sighting) -> u8 {
        match &mut self.heir {
            Some(heir) if heir.is_of(seen) => {
                let ahead = seen.sequence.wrapping_sub(heir.sequence);
                if (1..=DROPOUT_MAX).contains(&ahead) {
                    heir.count(seen);
                }
                heir.packets
            }
            _ => {
                self.heir = Some(Rival::begin(seen, true));
                1
            }
        }
    }
}

fn is_stale(rival: &Rival, now: Instant) -> bool {
    now.saturating_duration_since(rival.last) >= FORGOTTEN_AFTER
}
