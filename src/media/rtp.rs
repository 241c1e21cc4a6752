//! RTP packets (RFC 3550 section 5.1), read and written with `rtp-rs`.
//!
//! Invariant: reading borrows, writing fills the caller's buffer; neither allocates.

use rtp_rs::{RtpPacketBuilder, RtpReader};

/// The longest packet written: header, 60 ms of G.711 or G.722, and what SRTP adds.
pub const PACKET_BYTES_MAX: usize = 12 + 480 + crate::srtp::OVERHEAD_BYTES_MAX;
/// A packet this far behind the newest was overtaken; farther, its sender began anew (RFC 3550 appendix A.1: MAX_MISORDER).
pub const MISORDERED_MAX: u16 = 100;
/// A stream whose sequence numbers are this far ahead goes on; farther, it began anew: a minute at 20 ms a packet (RFC 3550
/// appendix A.1: MAX_DROPOUT).
pub const DROPOUT_MAX: u16 = 3000;

/// One packet as it arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Payload type.
    pub payload_type: u8,
    /// The marker bit: a talk spurt or digit begins.
    pub marker: bool,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp in units of the RTP clock.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Payload without padding.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a packet; `None` for anything that is not RTP version 2, RTCP on the same port (RFC 5761) included.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let reader = RtpReader::new(bytes).ok()?;
        if bytes.len() >= 2 && (192..=223).contains(&bytes[1]) {
            return None;
        }
        Some(Self {
            payload_type: reader.payload_type(),
            marker: reader.mark(),
            sequence: reader.sequence_number().into(),
            timestamp: reader.timestamp(),
            ssrc: reader.ssrc(),
            payload: reader.payload(),
        })
    }

    /// Writes the packet into `buffer` and returns its length, `None` when it does not fit.
    pub fn write(&self, buffer: &mut [u8]) -> Option<usize> {
        RtpPacketBuilder::new()
            .payload_type(self.payload_type)
            .marked(self.marker)
            .sequence(self.sequence.into())
            .timestamp(self.timestamp)
            .ssrc(self.ssrc)
            .payload(self.payload)
            .build_into(buffer)
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let packet = Packet {
            payload_type: 101,
            marker: true,
            sequence: 65535,
            timestamp: u32::MAX,
            ssrc: 7,
            payload: &[1, 2, 3],
        };
        let mut buffer = [0; PACKET_BYTES_MAX];
        let length = packet.write(&mut buffer).expect("fits");
        assert_eq!(Packet::parse(&buffer[..length]), Some(packet));
    }

    #[test]
    fn what_is_not_rtp_is_refused() {
        for bytes in [&b""[..], b"\x00\x01\x00\x14", &[0x80, 200, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0], &[0x40; 12]] {
            assert_eq!(Packet::parse(bytes), None);
        }
    }
}
