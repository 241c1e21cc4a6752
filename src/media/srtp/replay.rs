//! The replay list and the index of a packet (RFC 3711 section 3.3.2 and appendix A).

use super::{REPLAY_WINDOW, Unaccepted};

/// The replay list of RFC 3711 section 3.3.2.
#[derive(Default)]
pub(super) struct Window {
    pub(super) highest: Option<u64>,
    bits: u128,
}

impl Window {
    /// Takes the packet of this sequence number if it is new and opens under its index.
    pub(super) fn accept(
        &mut self,
        sequence: u16,
        open: impl FnOnce(u64) -> Result<(), Unaccepted>,
    ) -> Result<(), Unaccepted> {
        let index = self.highest.map_or(u64::from(sequence), |highest| estimate(highest, sequence));
        if !self.is_new(index) {
            return Err(Unaccepted::Replayed);
        }
        open(index)?;
        self.note(index);
        Ok(())
    }

    /// Whether it is known of this index, or of one a little before the highest, if it came.
    pub(super) fn is_recent(&self, index: u64) -> bool {
        self.highest.is_some_and(|highest| index <= highest && highest - index < REPLAY_WINDOW)
    }

    pub(super) fn is_new(&self, index: u64) -> bool {
        match self.highest {
            Some(highest) if index <= highest => {
                let back = highest - index;
                back < REPLAY_WINDOW && self.bits >> back & 1 == 0
            }
            _ => true,
        }
    }

    pub(super) fn note(&mut self, index: u64) {
        match self.highest {
            Some(highest) if index <= highest => self.bits |= 1 << (highest - index),
            Some(highest) => {
                let ahead = index - highest;
                self.bits = if ahead < REPLAY_WINDOW { self.bits << ahead | 1 } else { 1 };
                self.highest = Some(index);
            }
            None => (self.highest, self.bits) = (Some(index), 1),
        }
    }
}

/// The packet index nearest to the highest one so far (RFC 3711 appendix A).
pub(super) fn estimate(highest: u64, sequence: u16) -> u64 {
    let roll_over = highest >> 16;
    let last = highest as u16;
    let roll_over = if last < 0x8000 {
        if sequence.wrapping_sub(last) > 0x8000 && sequence > last { roll_over.saturating_sub(1) } else { roll_over }
    } else if sequence < last - 0x8000 {
        roll_over + 1
    } else {
        roll_over
    };
    roll_over << 16 | u64::from(sequence)
}
