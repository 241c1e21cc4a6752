//! What we send: packets are encrypted in place and tagged.

use std::fmt;

use super::MasterKey;
use super::header::{header_bytes, u16_at, u32_at};
use super::replay::estimate;
use super::session_keys::{RTCP, RTP, SessionKeys};

/// What we send.
pub struct Outbound {
    pub(super) rtp: SessionKeys,
    pub(super) rtcp: SessionKeys,
    pub(super) index: Option<u64>,
    pub(super) rtcp_index: u32,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outbound(redacted)")
    }
}

impl Outbound {
    /// The sending side of a master key of ours. One key protects one synchronisation source.
    pub fn new(master: &MasterKey) -> Self {
        let tag_bytes = master.suite.tag_bytes();
        Self {
            rtp: SessionKeys::derive(master, RTP, tag_bytes),
            rtcp: SessionKeys::derive(master, RTCP, tag_bytes.max(10)),
            index: None,
            rtcp_index: 0,
        }
    }

    /// Protects the RTP packet of `length` bytes at the front of `buffer`; its new length. The buffer must have
    /// [`OVERHEAD_BYTES_MAX`](super::OVERHEAD_BYTES_MAX) bytes of room behind the packet.
    pub fn protect(&mut self, buffer: &mut [u8], length: usize) -> usize {
        let Some(header) = header_bytes(&buffer[..length]) else { return length };
        let (sequence, ssrc) = (u16_at(buffer, 2), u32_at(buffer, 8));
        let index = match self.index {
            None => u64::from(sequence),
            Some(last) => estimate(last, sequence),
        };
        self.index = Some(self.index.unwrap_or(0).max(index));
        let keys = &self.rtp;
        if keys.is_aead() {
            let (head, rest) = buffer.split_at_mut(header);
            let tag = keys.seal(keys.nonce(ssrc, index), head, &mut rest[..length - header]);
            buffer[length..length + 16].copy_from_slice(&tag);
            return length + 16;
        }
        keys.counter(ssrc, index, &mut buffer[header..length]);
        let roll_over = ((index >> 16) as u32).to_be_bytes();
        let tag = keys.tag([&buffer[..length], &roll_over]).unwrap_or_default();
        buffer[length..length + keys.tag_bytes].copy_from_slice(&tag[..keys.tag_bytes]);
        length + keys.tag_bytes
    }

    /// Protects an RTCP compound packet, as [`Outbound::protect`] does an RTP packet.
    pub fn protect_control(&mut self, buffer: &mut [u8], length: usize) -> usize {
        if length < 8 {
            return length;
        }
        let ssrc = u32_at(buffer, 4);
        self.rtcp_index = (self.rtcp_index + 1) & 0x7fff_ffff;
        let marked = (self.rtcp_index | 1 << 31).to_be_bytes();
        let keys = &self.rtcp;
        if keys.is_aead() {
            let mut associated = [0; 12];
            associated[..8].copy_from_slice(&buffer[..8]);
            associated[8..].copy_from_slice(&marked);
            let nonce = keys.nonce(ssrc, u64::from(self.rtcp_index));
            let tag = keys.seal(nonce, &associated, &mut buffer[8..length]);
            buffer[length..length + 16].copy_from_slice(&tag);
            buffer[length + 16..length + 20].copy_from_slice(&marked);
            return length + 20;
        }
        keys.counter(ssrc, u64::from(self.rtcp_index), &mut buffer[8..length]);
        buffer[length..length + 4].copy_from_slice(&marked);
        let tag = keys.tag([&buffer[..length + 4], &[]]).unwrap_or_default();
        buffer[length + 4..length + 4 + keys.tag_bytes].copy_from_slice(&tag[..keys.tag_bytes]);
        length + 4 + keys.tag_bytes
    }
}
