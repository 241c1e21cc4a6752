//! Figures of calls: how many ended how, what callers waited, how many were up at once.
//!
//! Invariant: figures are of what is kept, so they are the same whoever is asked, and name nobody but tenants. What callers waited is known
//! by steps ([`Waits`]): a figure of it is the step's end, and no less than what it stands for.

use std::collections::BTreeMap;
use std::time::Duration;

/// An hour, in milliseconds.
pub const HOUR_MS: i64 = 3_600_000;

/// How long a slot of figures is; slots begin with hours and days of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// An hour.
    Hour,
    /// A day.
    Day,
}

impl Slot {
    /// In milliseconds.
    pub fn milliseconds(self) -> i64 {
        match self {
            Self::Hour => HOUR_MS,
            Self::Day => 24 * HOUR_MS,
        }
    }

    /// When the slot began in which a moment is.
    pub fn begin_of(self, unix_ms: i64) -> i64 {
        unix_ms - unix_ms.rem_euclid(self.milliseconds())
    }
}

/// Which figures are wanted: of calls that began in whole slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedFigures {
    /// Of this tenant; of all of them if it is none.
    pub tenant: Option<String>,
    /// The slots.
    pub slot: Slot,
    /// When the first one begins, in milliseconds since 1970.
    pub from_unix_ms: i64,
    /// When the last one ends.
    pub until_unix_ms: i64,
}

/// Figures.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Figures {
    /// How many calls ended how, by slot.
    pub endings: Vec<Endings>,
    /// What callers waited, by the beginning of the slot.
    pub waits: BTreeMap<i64, Waits>,
    /// How many calls were up at once at most, by the beginning of the slot; none if there were too many calls to tell
    /// ([`COUNTED_AT_ONCE_MAX`]).
    pub at_once: Option<BTreeMap<i64, u64>>,
    /// How many calls are up now, on all servers.
    pub up: u64,
    /// Tenants that were called most; empty where one is wanted.
    pub tenants: Vec<OfTenant>,
}

/// Calls of one slot that ended alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endings {
    /// When the slot begins, in milliseconds since 1970.
    pub slot_unix_ms: i64,
    /// `end_reason` of their records.
    pub reason: String,
    /// `failure_details` of their records.
    pub failure: Option<String>,
    /// How many.
    pub calls: u64,
    /// How long they lasted together.
    pub milliseconds: u64,
}

/// Calls of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfTenant {
    /// Its name.
    pub tenant: String,
    /// How many.
    pub calls: u64,
    /// How many of them failed.
    pub failed: u64,
    /// How many of them were handed over to an agent, or transferred.
    pub handed_over: u64,
}

/// Most tenants in [`Figures::tenants`].
pub const TENANTS_MAX: u32 = 50;
/// Most calls of which it is told how many were up at once.
pub const COUNTED_AT_ONCE_MAX: u64 = 500_000;

/// What callers waited, from the end of what they said to the first sound of the answer: how many turns below each step.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Waits(BTreeMap<u64, u64>);

impl Waits {
    /// So many turns more that waited less than this, and no less than the step below.
    pub fn add(&mut self, below_ms: u64, turns: u64) {
        if turns > 0 {
            *self.0.entry(below_ms).or_default() += turns;
        }
    }

    /// The turns of others too.
    pub fn merge(&mut self, others: &Self) {
        others.0.iter().for_each(|(below, turns)| self.add(*below, *turns));
    }

    /// How many turns.
    pub fn turns(&self) -> u64 {
        self.0.values().sum()
    }

    /// So many of a hundred waited less than this; none if nobody waited.
    pub fn percentile(&self, percent: u64) -> Option<Duration> {
        let wanted = (self.turns() * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let reached = |turns: &u64| {
            seen += turns;
            seen >= wanted
        };
        let mut steps = self.0.iter();
        let mut reached = reached;
        steps.find(|(_, turns)| reached(turns)).map(|(below, _)| Duration::from_millis(*below))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_begins_with_its_hour_or_day() {
        let at = 1_764_158_400_123;
        assert_eq!(Slot::Hour.begin_of(at), 1_764_158_400_000);
        assert_eq!(Slot::Day.begin_of(at), 1_764_115_200_000);
        assert_eq!(Slot::Hour.begin_of(-1), -HOUR_MS);
    }

    #[test]
    fn of_a_hundred_turns_half_waited_less_than_the_median() {
        let mut waits = Waits::default();
        assert_eq!((waits.turns(), waits.percentile(50)), (0, None));
        waits.add(500, 50);
        waits.add(900, 45);
        waits.add(3_000, 0);
        let mut others = Waits::default();
        others.add(3_000, 4);
        others.add(10_000, 1);
        waits.merge(&others);
        let ms = |percent| waits.percentile(percent).map(|waited| waited.as_millis());
        assert_eq!((waits.turns(), ms(50), ms(51), ms(95)), (100, Some(500), Some(900), Some(900)));
        assert_eq!((ms(96), ms(100), ms(0)), (Some(3_000), Some(10_000), Some(500)));
    }
}
