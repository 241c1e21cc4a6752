//! Symmetric RTP with bounded latching: which packets belong to this leg, and where ours go.
//!
//! ```text
//! Open   -a packet of the signalled address, or an authentic one-> Pinned
//! Open   -probation of a candidate-> Pinned
//! Pinned -a packet of the signalled address, or an authentic one, that is newer-> Pinned there
//! Pinned -probation of a candidate of higher rank, or while the pin is fresh and its source silent-> Pinned there
//! Pinned -silent for MOVED_AFTER, then MOVED_PACKETS of its own SSRC with sequence numbers that go on-> Pinned there
//! Pinned -[`Latch::reopen`] (a re-INVITE): another address-> Open;  the same address-> Pinned, fresh
//! ```
//! Who may be a candidate, without SRTP: while the signalled address cannot be reached (private, and not where SIP came
//! from), whoever sends; else only the hosts of SIP and of the signalled address itself, which may have put another port
//! in front of theirs (NAT), and those only after [`HOST_PATIENCE`]. With SRTP the key decides, and nothing else.
//!
//! Invariant: a packet that is refused changes nothing: neither what is heard nor where we send. An injector who knows
//! neither the SSRC nor the sequence number of a stream cannot take its place, however long its source is silent.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

mod rivals;

use crate::rtp::DROPOUT_MAX;
use rivals::Rivals;

/// Packets of one candidate and SSRC before it is believed.
pub const PROBATION_PACKETS: u8 = 5;
/// How long a candidate waits beside a signalled address that can be reached.
pub const HOST_PATIENCE: Duration = Duration::from_millis(500);
/// Packets in a row from the pinned address before a new SSRC is believed (RFC 3550 appendix A.1 uses 2).
pub const SSRC_CHANGE_PACKETS: u8 = 2;
/// How long the pinned source must have been silent before its stream is believed from elsewhere.
pub const MOVED_AFTER: Duration = Duration::from_millis(200);
/// Packets of the stream from elsewhere before it is believed to have moved.
pub const MOVED_PACKETS: u8 = 3;
/// Packets of a pinned source until its pin is not fresh any more: a second.
pub const FRESH_PACKETS: u8 = 50;
/// How long the source of a fresh pin must have been silent before another candidate may take its place.
pub const FRESH_SILENCE: Duration = Duration::from_millis(100);
/// The same for the signalled address: it has been named by SIP, and one forged packet of it shall not deafen a leg.
pub const SIGNALLED_SILENCE: Duration = Duration::from_secs(1);

/// Where a leg's stream is expected from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expected {
    /// The address in the session description; none while the far end is on hold by `0.0.0.0`.
    pub signalled: Option<SocketAddr>,
    /// Where SIP came from.
    pub sip_source: Option<IpAddr>,
}

/// How much a packet's source proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Nothing: anybody can write it.
    Claimed,
    /// It authenticated by SRTP: its sender has the key.
    Authentic,
}

/// What a packet carries, as far as the latch cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Audio, or comfort noise: its SSRC is that of the stream.
    Audio,
    /// telephone-event: some senders give it an SSRC of its own.
    Event,
}

/// A packet as the latch sees it.
#[derive(Debug, Clone, Copy)]
pub struct Sighting {
    /// When the packet arrived.
    pub now: Instant,
    /// Where it came from.
    pub source: SocketAddr,
    /// Its synchronisation source.
    pub ssrc: u32,
    /// Its sequence number.
    pub sequence: u16,
    /// What it carries.
    pub content: Content,
    /// What it proves.
    pub trust: Trust,
}

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
    expected: Expected,
    pinned: Option<Pinned>,
    /// Of a stream that is alone nobody is remembered.
    rivals: Option<Box<Rivals>>,
}

#[derive(Debug, Clone)]
struct Pinned {
    source: SocketAddr,
    /// The stream's; none as long as only events have come.
    ssrc: Option<u32>,
    /// The newest of that SSRC.
    sequence: u16,
    last: Instant,
    /// Packets until the pin is settled.
    fresh: u8,
    candidate: Option<(u32, u8)>,
}

/// How near a source is to what SIP named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Elsewhere,
    Host,
    Signalled,
}

impl Expected {
    /// Nothing is known of where SIP came from.
    pub fn at(signalled: SocketAddr) -> Self {
        Self { signalled: Some(signalled), sip_source: None }
    }

    fn rank(&self, source: SocketAddr) -> Rank {
        let host = |ip: IpAddr| ip.to_canonical() == source.ip().to_canonical();
        match self.signalled {
            Some(signalled) if signalled.port() == source.port() && host(signalled.ip()) => Rank::Signalled,
            Some(signalled) if host(signalled.ip()) => Rank::Host,
            _ if self.sip_source.is_some_and(host) => Rank::Host,
            _ => Rank::Elsewhere,
        }
    }

    /// Whether packets of the signalled address can be hoped for: it is public, or SIP came from there too.
    fn is_reachable(&self) -> bool {
        self.signalled.is_some_and(|signalled| {
            let ip = signalled.ip().to_canonical();
            is_public(ip) || self.sip_source.is_some_and(|source| source.to_canonical() == ip)
        })
    }

    /// How long a candidate of this rank is looked at; `None` if it never may.
    fn patience(&self, rank: Rank) -> Option<Duration> {
        match (self.is_reachable(), rank) {
            (false, _) | (true, Rank::Signalled) => Some(Duration::ZERO),
            (true, Rank::Host) => Some(HOST_PATIENCE),
            (true, Rank::Elsewhere) => None,
        }
    }
}

impl Latch {
    /// A latch that expects the stream from there.
    pub fn new(expected: Expected) -> Self {
        Self { expected, pinned: None, rivals: None }
    }

    /// A re-INVITE has named this address. Another than before: the next believed source is pinned. The same: the pinned
    /// source stays while it sends, and others may be candidates again.
    pub fn reopen(&mut self, signalled: SocketAddr) {
        if self.expected.signalled != Some(signalled) {
            *self = Self::new(Expected { signalled: Some(signalled), ..self.expected });
        } else if let Some(pinned) = &mut self.pinned {
            pinned.fresh = FRESH_PACKETS;
        }
    }

    /// Where to send: to the pinned source, else to the signalled address.
    pub fn destination(&self) -> Option<SocketAddr> {
        self.pinned.as_ref().map(|pinned| pinned.source).or(self.expected.signalled)
    }

    /// Whether packets may be sent to the destination. Not to an address of our own side that somebody out there has merely
    /// named: they would reach a host of ours, and never theirs. What is heard of shows where they are.
    pub fn may_send(&self) -> bool {
        let is_of_ours = |at: SocketAddr| !is_public(at.ip().to_canonical());
        let from_out_there = self.expected.sip_source.is_some_and(|source| is_public(source.to_canonical()));
        self.pinned.is_some() || !(from_out_there && self.expected.signalled.is_some_and(is_of_ours))
    }

    /// Judges one packet.
    pub fn judge(&mut self, seen: Sighting) -> Verdict {
        let rank = self.expected.rank(seen.source);
        let believed = rank == Rank::Signalled || seen.trust == Trust::Authentic;
        let Some(pinned) = &mut self.pinned else {
            if believed || self.has_passed_probation(seen, rank) {
                return self.pin(seen, rank);
            }
            return Verdict::Refused(Refused::Foreign);
        };
        if seen.source == pinned.source || seen.trust == Trust::Authentic {
            return pinned.judge(seen);
        }
        let (continues, silent) = (pinned.continues(seen), pinned.silence(seen.now));
        if believed {
            // Behind what was heard since: on its way while the stream moved.
            return if pinned.is_behind(seen) { Verdict::Accepted } else { self.pin(seen, rank) };
        }
        let pinned_rank = self.expected.rank(pinned.source);
        let needed = if pinned_rank == Rank::Signalled { SIGNALLED_SILENCE } else { FRESH_SILENCE };
        let may_replace = rank > pinned_rank || (pinned.fresh > 0 && silent >= needed);
        let has_moved =
            continues && self.rivals.get_or_insert_default().goes_on(seen) >= MOVED_PACKETS && silent >= MOVED_AFTER;
        if has_moved || (may_replace && self.has_passed_probation(seen, rank)) {
            return self.pin(seen, rank);
        }
        Verdict::Refused(Refused::Foreign)
    }

    fn has_passed_probation(&mut self, seen: Sighting, rank: Rank) -> bool {
        let Some(patience) = self.expected.patience(rank) else { return false };
        let rivals = self.rivals.get_or_insert_default();
        rivals.note(seen, rank == Rank::Elsewhere).is_some_and(|(packets, since)| {
            packets >= PROBATION_PACKETS && seen.now.saturating_duration_since(since) >= patience
        })
    }

    /// The stream comes from here now.
    fn pin(&mut self, seen: Sighting, rank: Rank) -> Verdict {
        let goes_on = self.pinned.as_ref().is_some_and(|pinned| pinned.continues(seen));
        let fresh = match (rank, seen.trust) {
            (_, Trust::Authentic) => 0,
            (Rank::Signalled, _) if self.expected.is_reachable() => 0,
            (Rank::Signalled, _) => PROBATION_PACKETS,
            (Rank::Elsewhere | Rank::Host, _) => FRESH_PACKETS,
        };
        let ssrc = (seen.content == Content::Audio).then_some(seen.ssrc);
        let ssrc = if goes_on { Some(seen.ssrc) } else { ssrc };
        let (source, sequence, last) = (seen.source, seen.sequence, seen.now);
        self.pinned = Some(Pinned { source, ssrc, sequence, last, fresh, candidate: None });
        self.rivals = None;
        if goes_on { Verdict::Accepted } else { Verdict::Started }
    }
}

impl Pinned {
    /// A packet of the pinned source, or an authentic one from anywhere.
    fn judge(&mut self, seen: Sighting) -> Verdict {
        let ours = self.ssrc == Some(seen.ssrc);
        if ours {
            self.candidate = None;
            if !self.is_behind(seen) {
                (self.sequence, self.source) = (seen.sequence, seen.source);
            }
        } else if seen.content == Content::Audio {
            let in_a_row = self.candidate.filter(|(same, _)| *same == seen.ssrc).map_or(1, |(_, n)| n + 1);
            if in_a_row < SSRC_CHANGE_PACKETS && self.ssrc.is_some() {
                self.candidate = Some((seen.ssrc, in_a_row));
                return Verdict::Refused(Refused::NewSource);
            }
            (self.ssrc, self.sequence, self.source) = (Some(seen.ssrc), seen.sequence, seen.source);
            self.candidate = None;
        }
        self.last = seen.now;
        self.fresh = self.fresh.saturating_sub(1);
        if ours || seen.content == Content::Event { Verdict::Accepted } else { Verdict::Started }
    }

    /// Whether it is the next of this stream, wherever it came from.
    fn continues(&self, seen: Sighting) -> bool {
        self.ssrc == Some(seen.ssrc) && (1..=DROPOUT_MAX).contains(&seen.sequence.wrapping_sub(self.sequence))
    }

    /// Whether the stream has gone on since.
    fn is_behind(&self, seen: Sighting) -> bool {
        self.ssrc == Some(seen.ssrc) && self.sequence.wrapping_sub(seen.sequence) <= DROPOUT_MAX
    }

    fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.last)
    }
}

/// Whether an address is one of the internet's. Addresses of documentation are taken as such.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => match v4.octets() {
            [0 | 10 | 127 | 224.., ..] | [169, 254, ..] | [172, 16..=31, ..] | [192, 168, ..] => false,
            // Shared, of protocols, of benchmarks, and the anycast of 6to4 relays (RFC 6890, RFC 7526).
            [100, 64..=127, ..] | [192, 0, 0, _] | [198, 18..=19, ..] | [192, 88, 99, _] => false,
            _ => true,
        },
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            // Global unicast is 2000::/3 (RFC 4291 section 2.4), without what leads elsewhere: 2001::/23 and 6to4.
            first & 0xe000 == 0x2000 && first != 0x2002 && !(first == 0x2001 && second < 0x0200)
        }
    }
}

#[cfg(test)]
mod tests;
