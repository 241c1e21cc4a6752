//! RTCP of one leg (RFC 3550 section 6): sender and receiver reports, the far end's reports, BYE.
//!
//! Invariant: what is sent is a compound packet of a report, our CNAME and, at the end, BYE; what cannot be read changes
//! nothing. Sent every [`REPORT_EVERY`]. Driver: `actors/media_shard/`.

use std::time::{Duration, Instant};

use rtcp_types::{
    Bye, Compound, Packet, ReceiverReport, ReportBlock, RtcpPacketWriter, Sdes, SdesChunk, SdesItem, SenderReport,
};

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
        let Ok(compound) = Compound::parse(bytes) else { return Heard::Malformed };
        let mut heard = Heard::Malformed;
        for packet in compound {
            match packet {
                Ok(Packet::Sr(report)) => {
                    self.last_report = Some(((report.ntp_timestamp() >> 16) as u32, now));
                    report.report_blocks().for_each(|block| self.block(ntp, our_ssrc, &block));
                    heard = Heard::Alive;
                }
                Ok(Packet::Rr(report)) => {
                    report.report_blocks().for_each(|block| self.block(ntp, our_ssrc, &block));
                    heard = Heard::Alive;
                }
                Ok(Packet::Bye(_)) => return Heard::Bye,
                Ok(Packet::Sdes(names)) => {
                    names.chunks().for_each(|chunk| self.named(chunk));
                    heard = Heard::Alive;
                }
                Ok(_) if heard == Heard::Malformed => heard = Heard::Alive,
                Ok(_) => {}
                Err(_) => return heard,
            }
        }
        heard
    }

    fn named(&mut self, chunk: &rtcp_types::SdesChunk<'_>) {
        for item in chunk.items() {
            let kept = match item.type_() {
                SdesItem::CNAME => &mut self.names.0,
                SdesItem::TOOL => &mut self.names.1,
                _ => continue,
            };
            if let (None, Ok(name)) = (&kept, std::str::from_utf8(item.value())) {
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
        let name = self.name_of(sent.ssrc);
        let length = if sent.packets > 0 {
            let mut report = SenderReport::builder(sent.ssrc)
                .ntp_timestamp(time.ntp)
                .rtp_timestamp(sent.timestamp)
                .packet_count(sent.packets)
                .octet_count(sent.bytes);
            if let Some(block) = block {
                report = report.add_report_block(block);
            }
            write(&[&report, &name], buffer)
        } else {
            let mut report = ReceiverReport::builder(sent.ssrc);
            if let Some(block) = block {
                report = report.add_report_block(block);
            }
            write(&[&report, &name], buffer)
        };
        length.unwrap_or(0)
    }

    /// Writes the last packet: an empty receiver report, our name and BYE.
    pub fn bye(&self, our_ssrc: u32, buffer: &mut [u8]) -> usize {
        let report = ReceiverReport::builder(our_ssrc);
        write(&[&report, &self.name_of(our_ssrc), &Bye::builder().add_source(our_ssrc)], buffer).unwrap_or(0)
    }

    fn name_of(&self, ssrc: u32) -> rtcp_types::SdesBuilder<'_> {
        let name = SdesItem::builder(SdesItem::CNAME, &self.canonical_name);
        Sdes::builder().add_chunk(SdesChunk::builder(ssrc).add_item(name))
    }

    fn about(&self, now: Instant, reception: &mut Reception) -> rtcp_types::ReportBlockBuilder {
        let block = reception.report();
        let (last, delay) = match self.last_report {
            Some((last, at)) => {
                let since = now.saturating_duration_since(at).as_micros() as u64;
                (last, (since << 16).div_euclid(1_000_000) as u32)
            }
            None => (0, 0),
        };
        ReportBlock::builder(block.ssrc)
            .fraction_lost(block.fraction_lost)
            .cumulative_lost(block.lost)
            .extended_sequence_number(block.highest)
            .interarrival_jitter(block.jitter)
            .last_sender_report_timestamp(last)
            .delay_since_last_sender_report_timestamp(delay)
    }
}

fn write(parts: &[&dyn RtcpPacketWriter], buffer: &mut [u8]) -> Option<usize> {
    let mut length = 0;
    for part in parts {
        let size = part.calculate_size().ok()?;
        length += part.write_into_unchecked(buffer.get_mut(length..length + size)?);
    }
    Some(length)
}

/// Whether a datagram on the RTP port is RTCP (RFC 5761 section 4).
pub fn is_control(datagram: &[u8]) -> bool {
    datagram.len() >= 8 && datagram[0] >> 6 == 2 && (192..=223).contains(&datagram[1])
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let length = write(&[&report], &mut buffer).expect("fits");
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
