//! Symmetric RTP with bounded latching: which packets belong to this leg.
//!
//! ```text
//! Open -packet from the signalled address-> Pinned
//! Open -packet from elsewhere-> Probation -PROBATION_PACKETS in a row-> Pinned
//! Pinned -packet from elsewhere-> refused;  only [`Latch::reopen`] (a re-INVITE) lets go
//! ```
//! Invariant: once pinned, a packet from another address changes nothing: neither what is heard nor where we send.

use std::net::SocketAddr;

/// Packets in a row from one source and SSRC before it is believed against the signalled address.
pub const PROBATION_PACKETS: u8 = 5;
/// Packets in a row from the pinned address before a new SSRC is believed (RFC 3550 appendix A.1 uses 2).
pub const SSRC_CHANGE_PACKETS: u8 = 2;

/// Why a packet is not for this leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// From an address that is not the pinned one, or not yet believed.
    Foreign,
    /// From the pinned address with an SSRC not yet believed.
    NewSource,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It belongs to the stream.
    Accepted,
    /// It belongs to the stream, which begins with it: the first, or after a change of SSRC.
    Started,
    /// It does not.
    Refused(Refused),
}

/// The latch of one leg.
#[derive(Debug, Clone)]
pub struct Latch {
    signalled: Option<SocketAddr>,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    Open,
    Probation { source: SocketAddr, ssrc: u32, in_a_row: u8 },
    Pinned { source: SocketAddr, ssrc: u32, candidate: Option<(u32, u8)> },
}

impl Latch {
    /// A latch that expects the stream from the address in the session description.
    pub fn new(signalled: Option<SocketAddr>) -> Self {
        Self { signalled, state: State::Open }
    }

    /// A re-INVITE named a new address: the next believed source is pinned.
    pub fn reopen(&mut self, signalled: SocketAddr) {
        if self.signalled != Some(signalled) {
            *self = Self::new(Some(signalled));
        }
    }

    /// Where to send: to the pinned source, else to the signalled address.
    pub fn destination(&self) -> Option<SocketAddr> {
        match &self.state {
            State::Pinned { source, .. } => Some(*source),
            State::Open | State::Probation { .. } => self.signalled,
        }
    }

    /// Judges one packet.
    pub fn judge(&mut self, source: SocketAddr, ssrc: u32) -> Verdict {
        match &mut self.state {
            State::Pinned { source: pinned, ssrc: current, candidate } => {
                if source != *pinned {
                    return Verdict::Refused(Refused::Foreign);
                }
                if ssrc == *current {
                    *candidate = None;
                    return Verdict::Accepted;
                }
                let in_a_row = candidate.filter(|(same, _)| *same == ssrc).map_or(1, |(_, n)| n + 1);
                if in_a_row < SSRC_CHANGE_PACKETS {
                    *candidate = Some((ssrc, in_a_row));
                    return Verdict::Refused(Refused::NewSource);
                }
                self.pin(source, ssrc)
            }
            _ if self.signalled == Some(source) => self.pin(source, ssrc),
            State::Probation { source: same, ssrc: known, in_a_row } if *same == source && *known == ssrc => {
                *in_a_row += 1;
                if *in_a_row >= PROBATION_PACKETS { self.pin(source, ssrc) } else { Verdict::Refused(Refused::Foreign) }
            }
            State::Open | State::Probation { .. } => {
                self.state = State::Probation { source, ssrc, in_a_row: 1 };
                Verdict::Refused(Refused::Foreign)
            }
        }
    }

    fn pin(&mut self, source: SocketAddr, ssrc: u32) -> Verdict {
        self.state = State::Pinned { source, ssrc, candidate: None };
        Verdict::Started
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    #[test]
    fn the_signalled_address_is_believed_at_once() {
        let mut latch = Latch::new(Some(at(1)));
        assert_eq!(latch.judge(at(1), 9), Verdict::Started);
        assert_eq!(latch.judge(at(1), 9), Verdict::Accepted);
    }

    #[test]
    fn a_source_behind_nat_is_pinned_after_its_probation() {
        let mut latch = Latch::new(Some(at(1)));
        let verdicts: Vec<_> = (0..PROBATION_PACKETS).map(|_| latch.judge(at(2), 9)).collect();
        assert_eq!(verdicts.last(), Some(&Verdict::Started));
        assert!(verdicts[..4].iter().all(|v| *v == Verdict::Refused(Refused::Foreign)));
        assert_eq!(latch.destination(), Some(at(2)));
    }

    #[test]
    fn a_flood_from_elsewhere_changes_nothing() {
        let mut latch = Latch::new(Some(at(1)));
        latch.judge(at(1), 9);
        for n in 0..1000 {
            assert_eq!(latch.judge(at(6), if n % 2 == 0 { 9 } else { n }), Verdict::Refused(Refused::Foreign));
        }
        assert_eq!((latch.destination(), latch.judge(at(1), 9)), (Some(at(1)), Verdict::Accepted));
    }

    #[test]
    fn one_stray_ssrc_is_not_a_new_stream_but_two_in_a_row_are() {
        let mut latch = Latch::new(Some(at(1)));
        latch.judge(at(1), 9);
        assert_eq!(latch.judge(at(1), 8), Verdict::Refused(Refused::NewSource));
        assert_eq!(latch.judge(at(1), 9), Verdict::Accepted);
        assert_eq!(latch.judge(at(1), 8), Verdict::Refused(Refused::NewSource));
        assert_eq!(latch.judge(at(1), 8), Verdict::Started);
    }

    #[test]
    fn only_a_new_signalled_address_lets_go() {
        let mut latch = Latch::new(Some(at(1)));
        latch.judge(at(1), 9);
        latch.reopen(at(1));
        assert_eq!(latch.judge(at(3), 9), Verdict::Refused(Refused::Foreign));
        latch.reopen(at(3));
        assert_eq!(latch.judge(at(3), 9), Verdict::Started);
    }
}
