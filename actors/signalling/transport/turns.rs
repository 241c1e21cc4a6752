//! How much of the endpoint's time each source of datagrams may take.
//!
//! The reader of a socket and the endpoint share a thread and take turns: the reader hands over what is there, then the endpoint
//! serves it. A flood that is dropped here costs a look at its source; one that is handed over has each datagram parsed and
//! answered while the kernel drops what others send. Pure: the time is an argument. Invariant: of the [`DATAGRAMS_PER_TURN`] datagrams that are
//! read at once, a stranger has [`STRANGER_DATAGRAMS_MAX`] handed over and all strangers [`STRANGERS_DATAGRAMS_MAX`]; who stands on a list, or had a
//! call taken within [`KNOWN_FOR`], has all of his.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bellhop_sip::networks::Source;

/// Datagrams that are read before the endpoint has its turn.
pub const DATAGRAMS_PER_TURN: usize = 128;
/// Of these, handed over of one stranger.
pub const STRANGER_DATAGRAMS_MAX: usize = 16;
/// Of these, handed over of all strangers.
pub const STRANGERS_DATAGRAMS_MAX: usize = DATAGRAMS_PER_TURN / 2;
/// How long a source is no stranger once a call of it was taken.
pub const KNOWN_FOR: Duration = Duration::from_secs(3600);
/// Sources that are known for their calls; beyond them one stays a stranger.
pub const KNOWN_SOURCES_MAX: usize = 4096;

/// Sources that had a call taken.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<HashMap<Source, Instant>>);

impl Known {
    /// A call of this source was taken.
    pub(super) fn welcome(&self, now: Instant, source: Source) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_SOURCES_MAX && !known.contains_key(&source) {
            known.retain(|_, until| *until > now);
        }
        if known.len() < KNOWN_SOURCES_MAX || known.contains_key(&source) {
            known.insert(source, now + KNOWN_FOR);
        }
    }

    /// Whether a source is no stranger.
    pub(super) fn knows(&self, now: Instant, source: Source) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&source).is_some_and(|until| *until > now)
    }
}

/// What one turn of a reader has handed over.
#[derive(Debug, Default)]
pub(super) struct Turn {
    read: usize,
    strangers: HashMap<Source, usize>,
    of_strangers: usize,
}

impl Turn {
    /// Whether another datagram may be read in this turn.
    pub(super) fn goes_on(&mut self) -> bool {
        self.read += 1;
        self.read <= DATAGRAMS_PER_TURN
    }

    /// Whether a datagram of a stranger is handed over.
    pub(super) fn takes(&mut self, stranger: Source) -> bool {
        let own = self.strangers.entry(stranger).or_default();
        let takes = *own < STRANGER_DATAGRAMS_MAX && self.of_strangers < STRANGERS_DATAGRAMS_MAX;
        if takes {
            *own += 1;
            self.of_strangers += 1;
        }
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(last: u8) -> Source {
        Source::of([192, 0, 2, last].into())
    }

    #[test]
    fn a_strangers_flood_leaves_room_for_others_in_each_turn() {
        let mut turn = Turn::default();
        assert_eq!((0..100).filter(|_| turn.takes(source(1))).count(), STRANGER_DATAGRAMS_MAX);
        assert!(turn.takes(source(2)), "another stranger is heard in the same turn");
        let all = (3..=255).filter(|last| turn.takes(source(*last))).count();
        assert_eq!(all + STRANGER_DATAGRAMS_MAX + 1, STRANGERS_DATAGRAMS_MAX, "as many as all strangers have");
        assert_eq!((0..).take_while(|_| turn.goes_on()).count(), DATAGRAMS_PER_TURN);
        assert!(Turn::default().takes(source(1)), "the next turn is another");
    }

    #[test]
    fn who_had_a_call_taken_is_no_stranger_for_an_hour() {
        let (known, now) = (Known::default(), Instant::now());
        known.welcome(now, source(1));
        assert!(known.knows(now + KNOWN_FOR / 2, source(1)) && !known.knows(now, source(2)));
        assert!(!known.knows(now + KNOWN_FOR, source(1)));
    }

    #[test]
    fn what_is_known_is_bounded_and_makes_room_with_time() {
        let (known, now) = (Known::default(), Instant::now());
        for n in 0..=KNOWN_SOURCES_MAX {
            known.welcome(now, Source::of([198, 51, (n / 256) as u8, (n % 256) as u8].into()));
        }
        let last = Source::of([198, 51, (KNOWN_SOURCES_MAX / 256) as u8, (KNOWN_SOURCES_MAX % 256) as u8].into());
        assert!(!known.knows(now, last));
        known.welcome(now + KNOWN_FOR, last);
        assert!(known.knows(now + KNOWN_FOR, last));
    }
}
