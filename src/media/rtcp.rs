//! RTCP of one leg (RFC 3550 section 6): sender and receiver reports, the far end's reports, BYE.
//!
//! Invariant: what is sent is a compound packet of a report, our CNAME and, at the end, BYE; what cannot be read changes
//! nothing. Sent every [`REPORT_EVERY`]. Driver: `actors/media_shard/`.

use std::time::{Duration, Instant};

use rtcp_types::prelude::*;
use rtcp_types::{Bye, Compound, ReceiverReport, ReportBlock, Sdes, SdesItem, SenderReport};

use crate::statistics::{Reception, Spread};

/// How often reports go out (RFC 3550 section 6.2: the least interval of a two-party session).
pub const REPORT_EVERY: Duration = Duration::from_secs(5);
/// The longest compound packet that is sent, before protection.
pub const CONTROL_BYTES_MAX: usize = 256;

/// The time, by both clocks that RTCP needs.
#[derive(Debug, Clone, Copy)]
pub struct Time {
    /// The monotonic one.
    pub now: Instant,
    /// The time of day in NTP format: seconds since 1900 in the upper half (RFC 3550 section 4).
    pub ntp: u64,
}

/// What we sent so far, for a sender report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// Our synchronisation source.
    pub ssrc: u32,
    /// Packets; 0 for a leg that only listens, which sends receiver reports.
    pub packets: u32,
    /// Bytes of payload.
    pub bytes: u32,
    /// The timestamp of audio that would leave now.
    pub timestamp: u32,
}

/// What a control packet told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// A report, or something that means the far end lives.
    Alive,
    /// The far end's source is gone.
    Bye,
    /// Not RTCP.
    Malformed,
}

/// The control protocol of one leg.
#[derive(Debug, Default)]
pub struct Control {
    canonical_name: String,
    /// The middle of the NTP time in the last sender report, and when it came.
    last_report: Option<(u32, Instant)>,
    round_trip: Option<Duration>,
    /// Share of our packets that the far end missed of late, in 1/256.
    far_end_missed: Option<u8>,
    far_end: Option<FarEnd>,
    /// CNAME and TOOL of the far end.
    names: (Option<String>, Option<String>),
}

/// What the far end reported of our stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FarEnd {
    /// Packets it missed in all.
    pub lost: u32,
    /// The jitter it saw, report by report.
    pub jitters: Spread,
}

/// By how much, in 1/65536 s, the two ends' clocks may disagree on nothing: 5 ms.
const ROUNDING_MAX: u32 = 65_536 / 200;

/// Most characters kept of a name of the far end.
const NAME_MAX: usize = 128;

impl Control {
    /// `canonical_name` is a random word: the far end shall learn nothing about the host (RFC 7022).
    pub fn new(canonical_name: String) -> Self {
        Self { canonical_name, ..Self::default() }
    }

    /// The round trip by the far end's last report.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// The share of our packets that the far end missed of late, 0 to 1.
    pub fn far_end_loss(&self) -> Option<f32> {
        self.far_end_missed.map(|missed| f32::from(missed) / 256.0)
    }

    /// What the far end reported of our stream, if it reports.
    pub fn far_end(&self) -> Option<FarEnd> {
        self.far_end
    }

    /// CNAME and TOOL of the far end, as far as it gives them (RFC 3550 sections 6.5.1 and 6.5.6).
    pub fn far_end_names(&self) -> (Option<&str>, Option<&str>) {
        (self.names.0.as_deref(), self.names.1.as_deref())
    }

    /// Our own CNAME.
    pub fn canonical_name(&self) -> &str {
        &self.canonical_name
    }

    /// Takes a compound packet.
    pub fn receive(&mut self, time: Time, our_ssrc: u32, bytes: &[u8]) -> Heard {
        let Time { now, ntp } = time;
        // Lengths and versions are looked at here; what stands inside is read below, in place.
        if Compound::parse(bytes).is_err() {
            return Heard::Malformed;
        }
        let mut heard = Heard::Malformed;
        for packet in packets(bytes) {
            match packet[1] {
                SenderReport::PACKET_TYPE => {
                    let Ok(report) = SenderReport::parse(packet) else { return heard };
                    self.last_report = Some(((report.ntp_timestamp() >> 16) as u32, now));
                    report.report_blocks().for_each(|block| self.block(ntp, our_ssrc, &block));
                }
                ReceiverReport::PACKET_TYPE => {
                    let Ok(report) = ReceiverReport::parse(packet) else { return heard };
                    report.report_blocks().for_each(|block| self.block(ntp, our_ssrc, &block));
                }
                Bye::PACKET_TYPE => return Heard::Bye,
                Sdes::PACKET_TYPE => self.named(packet),
                _ => {}
            }
            heard = Heard::Alive;
        }
        heard
    }

    /// Keeps the names of the far end, each once.
    fn named(&mut self, description: &[u8]) {
        for (kind, value) in items(description) {
            let kept = match kind {
                SdesItem::CNAME => &mut self.names.0,
                SdesItem::TOOL => &mut self.names.1,
                _ => continue,
            };
            if let (None, Ok(name)) = (&kept, std::str::from_utf8(value)) {
                *kept = Some(name.chars().filter(|c| !c.is_control()).take(NAME_MAX).collect());
            }
        }
    }

    fn block(&mut self, ntp: u64, our_ssrc: u32, block: &ReportBlock<'_>) {
        if block.ssrc() != our_ssrc {
            return;
        }
        self.far_end_missed = Some(block.fraction_lost());
        let far_end = self.far_end.get_or_insert_default();
        far_end.lost = block.cumulative_lost();
        far_end.jitters.note(block.interarrival_jitter());
        let (last, delay) = (block.last_sender_report_timestamp(), block.delay_since_last_sender_report_timestamp());
        if (last, delay) == (0, 0) {
            return; // it has no report of ours yet
        }
        let trip = ((ntp >> 16) as u32).wrapping_sub(last).wrapping_sub(delay);
        // Both ends round: a trip of a little less than nothing is none.
        let trip = if trip.wrapping_neg() <= ROUNDING_MAX { 0 } else { trip };
        // In 1/65536 s; more than half a minute, or less than nothing, is a clock that was set.
        if trip < 30 << 16 {
            self.round_trip = Some(Duration::from_micros((u64::from(trip) * 1_000_000) >> 16));
        }
    }

    /// Writes a report into the front of `buffer`: a sender report, or a receiver report where nothing was sent. Returns
    /// its length, 0 if it does not fit.
    pub fn report(&self, time: Time, sent: Sent, reception: Option<&mut Reception>, buffer: &mut [u8]) -> usize {
        let block = reception.map(|reception| self.about(time.now, reception));
        let mut writer = Writer { buffer, length: 0 };
        let written = match sent.packets {
            0 => writer.receiver_report(sent.ssrc, block),
            _ => writer.sender_report(time.ntp, sent, block),
        };
        let written = written.and_then(|()| writer.name(sent.ssrc, &self.canonical_name));
        written.map_or(0, |()| writer.length)
    }

    /// Writes the last packet: an empty receiver report, our name and BYE.
    pub fn bye(&self, our_ssrc: u32, buffer: &mut [u8]) -> usize {
        let mut writer = Writer { buffer, length: 0 };
        let written = writer.receiver_report(our_ssrc, None);
        let written = written.and_then(|()| writer.name(our_ssrc, &self.canonical_name));
        written.and_then(|()| writer.bye(our_ssrc)).map_or(0, |()| writer.length)
    }

    fn about(&self, now: Instant, reception: &mut Reception) -> [u32; 6] {
        let block = reception.report();
        let (last, delay) = match self.last_report {
            Some((last, at)) => {
                let since = now.saturating_duration_since(at).as_micros() as u64;
                (last, (since << 16).div_euclid(1_000_000) as u32)
            }
            None => (0, 0),
        };
        let lost = u32::from(block.fraction_lost) << 24 | block.lost.min(LOST_MAX);
        [block.ssrc, lost, block.highest, block.jitter, last, delay]
    }
}

/// The packets of a compound one whose lengths are right, each with its header.
fn packets(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = 4 * (1 + usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?])));
        let (packet, rest) = bytes.split_at_checked(length)?;
        bytes = rest;
        Some(packet)
    })
}

/// The items of a description of sources, by their types (RFC 3550 section 6.5): those of a chunk end with a zero, and the chunk
/// with its word.
fn items(description: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    const HEADER: usize = 4;
    const SOURCE: usize = 4;
    let mut at = HEADER + SOURCE;
    std::iter::from_fn(move || {
        while *description.get(at)? == 0 {
            at = (at + 1).next_multiple_of(4) + SOURCE;
        }
        let value = at + 2..at + 2 + usize::from(*description.get(at + 1)?);
        let kind = description[at];
        at = value.end;
        Some((kind, description.get(value)?))
    })
}

/// Most packets that a report can say to be lost: 24 bits with a sign (RFC 3550 section 6.4.1).
const LOST_MAX: u32 = 0x7f_ffff;

/// Writes packets one behind the other, in place: the clock of the media allocates nothing. `None` once one does not fit.
struct Writer<'a> {
    buffer: &'a mut [u8],
    length: usize,
}

impl Writer<'_> {
    fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.length + bytes.len();
        self.buffer.get_mut(self.length..end)?.copy_from_slice(bytes);
        self.length = end;
        Some(())
    }

    fn words(&mut self, words: &[u32]) -> Option<()> {
        words.iter().try_for_each(|word| self.bytes(&word.to_be_bytes()))
    }

    /// Version 2, a count, a type, and the words that follow (RFC 3550 section 6.4.1).
    fn head(&mut self, count: u8, packet_type: u8, words: usize) -> Option<()> {
        let [high, low] = u16::try_from(words).ok()?.to_be_bytes();
        self.bytes(&[2 << 6 | count, packet_type, high, low])
    }

    fn sender_report(&mut self, ntp: u64, sent: Sent, block: Option<[u32; 6]>) -> Option<()> {
        let Sent { ssrc, packets, bytes, timestamp } = sent;
        self.head(u8::from(block.is_some()), 200, 6 + block.map_or(0, |block| block.len()))?;
        self.words(&[ssrc, (ntp >> 32) as u32, ntp as u32, timestamp, packets, bytes])?;
        self.words(block.as_ref().map_or(&[], |block| block))
    }

    fn receiver_report(&mut self, ssrc: u32, block: Option<[u32; 6]>) -> Option<()> {
        self.head(u8::from(block.is_some()), 201, 1 + block.map_or(0, |block| block.len()))?;
        self.words(&[ssrc])?;
        self.words(block.as_ref().map_or(&[], |block| block))
    }

    /// One chunk with a CNAME, which at least one zero ends, to a whole word (RFC 3550 section 6.5).
    fn name(&mut self, ssrc: u32, name: &str) -> Option<()> {
        let items = (2 + name.len() + 1).next_multiple_of(4);
        self.head(1, 202, 1 + items / 4)?;
        self.words(&[ssrc])?;
        self.bytes(&[SdesItem::CNAME, u8::try_from(name.len()).ok()?])?;
        self.bytes(name.as_bytes())?;
        (2 + name.len()..items).try_for_each(|_| self.bytes(&[0]))
    }

    fn bye(&mut self, ssrc: u32) -> Option<()> {
        self.head(1, 203, 1)?;
        self.words(&[ssrc])
    }
}

/// Whether a datagram on the RTP port is RTCP (RFC 5761 section 4).
pub fn is_control(datagram: &[u8]) -> bool {
    datagram.len() >= 8 && datagram[0] >> 6 == 2 && (192..=223).contains(&datagram[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtcp_types::{Packet, SdesChunk};

    const NTP: u64 = 0xe900_0007_0000_0000;

    #[test]
    fn two_ends_learn_loss_jitter_and_round_trip_from_each_other() {
        let start = Instant::now();
        let ms = |n: u64| start + Duration::from_millis(n);
        let at = |n: u64| Time { now: ms(n), ntp: NTP + (n << 32) / 1000 };
        let (mut near, mut far) = (Control::new("near".into()), Control::new("far".into()));
        let mut buffer = [0; CONTROL_BYTES_MAX];
        let sent = Sent { ssrc: 1, packets: 100, bytes: 16_000, timestamp: 7 };
        let length = near.report(at(0), sent, None, &mut buffer);
        assert!(is_control(&buffer[..length]));
        assert_eq!(far.receive(at(30), 2, &buffer[..length]), Heard::Alive);
        let mut reception = Reception::begin(1, 0);
        (0..100u16)
            .filter(|n| n % 2 == 0)
            .for_each(|n| reception.note(ms(u64::from(n) * 20), n, Some(u32::from(n) * 160), 8000));
        let length = far.report(at(2030), Sent { ssrc: 2, ..Sent::default() }, Some(&mut reception), &mut buffer);
        assert_eq!(near.receive(at(2060), 1, &buffer[..length]), Heard::Alive);
        let round_trip = near.round_trip().expect("measured").as_millis();
        assert!((58..=62).contains(&round_trip), "{round_trip} ms");
        assert!((0.45..0.55).contains(&near.far_end_loss().expect("reported")));
    }

    #[test]
    fn what_is_written_is_read_as_it_was_meant() {
        let control = Control::new("0123456789abcdef".into());
        let sent = Sent { ssrc: 0x0102_0304, packets: 100, bytes: 16_000, timestamp: 7 };
        let mut reception = Reception::begin(9, 0);
        let now = Instant::now();
        (0..10u16).filter(|n| *n != 5).for_each(|n| reception.note(now, n, Some(u32::from(n) * 160), 8000));
        let mut buffer = [0; CONTROL_BYTES_MAX];
        let length = control.report(Time { now, ntp: NTP }, sent, Some(&mut reception), &mut buffer);
        let packets: Vec<_> = Compound::parse(&buffer[..length]).expect("a compound").map(Result::unwrap).collect();
        let [Packet::Sr(report), Packet::Sdes(names)] = &packets[..] else { panic!("{packets:?}") };
        let of_us = (report.ssrc(), report.ntp_timestamp(), report.rtp_timestamp(), report.packet_count());
        assert_eq!((of_us, report.octet_count()), ((0x0102_0304, NTP, 7, 100), 16_000));
        let block = report.report_blocks().next().expect("what we heard");
        assert_eq!((block.ssrc(), block.cumulative_lost(), block.extended_sequence_number()), (9, 1, 9));
        let read = |at: usize, of: &[u8]| Control::default().receive(Time { now, ntp: NTP }, 1, &of[..at]);
        assert_eq!(read(length, &buffer), Heard::Alive);
        let mut far = Control::default();
        far.receive(Time { now, ntp: NTP }, 1, &buffer[..length]);
        assert_eq!(far.far_end_names(), (Some("0123456789abcdef"), None));
        let item = names.chunks().next().and_then(|chunk| chunk.items().next()).expect("our name");
        assert_eq!((item.type_(), item.value()), (SdesItem::CNAME, &b"0123456789abcdef"[..]));
        // Whatever is missing of the room, nothing is written that cannot be read.
        for room in 0..length {
            assert_eq!(control.report(Time { now, ntp: NTP }, sent, Some(&mut reception), &mut buffer[..room]), 0);
        }
        for length in 0..20 {
            let length = Control::new("x".repeat(length)).bye(1, &mut buffer);
            let packets = Compound::parse(&buffer[..length]).expect("a compound").map(Result::unwrap);
            assert_eq!(packets.count(), 3, "{length}");
        }
    }

    #[test]
    fn names_are_read_in_every_chunk_and_kept_once() {
        let chunk = |ssrc, name: &'static str, tool: &'static str| {
            let name = SdesItem::builder(SdesItem::CNAME, name);
            SdesChunk::builder(ssrc).add_item(name).add_item(SdesItem::builder(SdesItem::TOOL, tool))
        };
        let time = Time { now: Instant::now(), ntp: NTP };
        for tool in ["t", "to", "too", "tool", "tool\n5"] {
            let names = Sdes::builder().add_chunk(SdesChunk::builder(1)).add_chunk(chunk(2, "name", tool));
            let mut buffer = [0; CONTROL_BYTES_MAX];
            let length = names.add_chunk(chunk(3, "another", "other")).write_into(&mut buffer).expect("fits");
            let mut control = Control::default();
            assert_eq!(control.receive(time, 1, &buffer[..length]), Heard::Alive);
            assert_eq!(control.far_end_names(), (Some("name"), Some(tool.replace('\n', "").as_str())), "{tool:?}");
        }
        // Whatever stands in a description, it is read to its end and no further.
        for byte in 0..=255u8 {
            let mut damaged = [byte; 32];
            damaged[..4].copy_from_slice(&[0x81, 202, 0, 7]);
            assert_eq!(Control::default().receive(time, 1, &damaged), Heard::Alive);
        }
    }

    #[test]
    fn a_round_trip_of_a_little_less_than_nothing_is_none() {
        let at = |ms: u64| Time { now: Instant::now(), ntp: NTP + (ms << 32) / 1000 };
        for (arrives, expected) in [(1000, Some(0)), (998, Some(0)), (1002, Some(2)), (900, None)] {
            let mut control = Control::new("x".into());
            // The sender report left at 0 ms; the far end says that it held it for a second.
            let block = ReportBlock::builder(1)
                .last_sender_report_timestamp((NTP >> 16) as u32)
                .delay_since_last_sender_report_timestamp(1 << 16);
            let mut buffer = [0; CONTROL_BYTES_MAX];
            let report = ReceiverReport::builder(2).add_report_block(block);
            let length = report.write_into(&mut buffer).expect("fits");
            assert_eq!(control.receive(at(arrives), 1, &buffer[..length]), Heard::Alive);
            let trip = control.round_trip().map(|trip| (trip.as_micros() + 500) / 1000);
            assert_eq!(trip, expected, "{arrives} ms");
        }
    }

    #[test]
    fn a_bye_is_heard_and_garbage_is_not() {
        let mut control = Control::new("x".into());
        let time = Time { now: Instant::now(), ntp: NTP };
        let mut buffer = [0; CONTROL_BYTES_MAX];
        let length = Control::new("y".into()).bye(9, &mut buffer);
        assert_eq!(control.receive(time, 1, &buffer[..length]), Heard::Bye);
        assert_eq!(control.receive(time, 1, &buffer[..3]), Heard::Malformed);
        assert_eq!(control.receive(time, 1, &[0x80, 200, 0, 200, 0, 0, 0, 0]), Heard::Malformed);
        assert!(!is_control(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0]));
    }
}
