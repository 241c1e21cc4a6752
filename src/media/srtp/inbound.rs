//! What we receive: packets are authenticated and decrypted in place, each accepted once.

use std::fmt;

use super::header::{header_bytes, u16_at, u32_at};
use super::replay::Window;
use super::session_keys::{RTCP, RTP, SessionKeys, same};
use super::{ANEW_PACKETS, MasterKey, SOURCES_MAX, Unaccepted};

/// What we receive.
pub struct Inbound {
    rtp: SessionKeys,
    rtcp: SessionKeys,
    /// Bytes of the master key identifier before the tag (RFC 3711 section 3.1); the one key needs no name.
    mki_bytes: usize,
    sources: Vec<Seen>,
    rtcp_seen: Window,
    /// How many more packets a context made anew is looked for.
    anew: u16,
    rtcp_anew: bool,
}

struct Seen {
    ssrc: u32,
    window: Window,
    /// The context before the far end made it anew, and how many packets were of the new one since the last of that.
    before: Option<(Window, u16)>,
    /// Whether the far end may have made it anew.
    may_restart: bool,
}

impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inbound(redacted)")
    }
}

impl Inbound {
    /// The receiving side of the far end's master key, whose packets carry an identifier of so many bytes.
    pub fn new(master: &MasterKey, mki_bytes: usize) -> Self {
        let tag_bytes = master.suite.tag_bytes();
        Self {
            rtp: SessionKeys::derive(master, RTP, tag_bytes),
            rtcp: SessionKeys::derive(master, RTCP, tag_bytes.max(10)),
            mki_bytes,
            sources: Vec::new(),
            rtcp_seen: Window::default(),
            anew: 0,
            rtcp_anew: false,
        }
    }

    /// A re-INVITE kept the key: the far end may have begun anew with its roll-over counter and its SRTCP index.
    pub fn expect_anew(&mut self) {
        (self.anew, self.rtcp_anew) = (ANEW_PACKETS, self.rtcp_seen.highest.is_some());
        self.sources.iter_mut().for_each(|seen| seen.may_restart = true);
    }

    /// Authenticates and decrypts an RTP packet in place; its length without the tag.
    pub fn unprotect(&mut self, packet: &mut [u8]) -> Result<usize, Unaccepted> {
        let packet = self.without_mki(packet, self.rtp.tag_bytes)?;
        let header = header_bytes(packet).ok_or(Unaccepted::Malformed)?;
        let keys = &self.rtp;
        let length = packet.len().checked_sub(keys.tag_bytes).filter(|l| *l >= header).ok_or(Unaccepted::Malformed)?;
        let (sequence, ssrc) = (u16_at(packet, 2), u32_at(packet, 8));
        let known = self.sources.iter().position(|seen| seen.ssrc == ssrc);
        let Some(at) = known else {
            keys.open_packet(packet, (header, length), ssrc, u64::from(sequence))?;
            if self.sources.len() == SOURCES_MAX {
                self.sources.remove(0);
            }
            let mut window = Window::default();
            window.note(u64::from(sequence));
            self.sources.push(Seen { ssrc, window, before: None, may_restart: false });
            return Ok(length);
        };
        let seen = &mut self.sources[at];
        let refused =
            match seen.window.accept(sequence, |index| keys.open_packet(packet, (header, length), ssrc, index)) {
                Ok(()) => {
                    self.anew = self.anew.saturating_sub(1);
                    seen.before = seen.before.take().map(|(before, since)| (before, since + 1));
                    seen.before = seen.before.take().filter(|(_, since)| *since < ANEW_PACKETS);
                    return Ok(length);
                }
                Err(refused) => refused,
            };
        if let Some((before, since)) = &mut seen.before
            && before.accept(sequence, |index| keys.open_packet(packet, (header, length), ssrc, index)).is_ok()
        {
            *since = 0;
            return Ok(length);
        }
        // Too old to tell, or another roll-over counter: tried as the first packet of a context made anew.
        if self.anew == 0 || !seen.may_restart || seen.window.is_recent(u64::from(sequence)) {
            return Err(refused);
        }
        keys.open_packet(packet, (header, length), ssrc, u64::from(sequence))?;
        let mut window = Window::default();
        window.note(u64::from(sequence));
        seen.before = Some((std::mem::replace(&mut seen.window, window), 0));
        seen.may_restart = false;
        Ok(length)
    }

    /// Authenticates and decrypts an RTCP compound packet in place; its length without index and tag.
    pub fn unprotect_control(&mut self, packet: &mut [u8]) -> Result<usize, Unaccepted> {
        let packet = self.without_mki(packet, self.rtcp.tag_bytes)?;
        let keys = &self.rtcp;
        let length = packet.len().checked_sub(keys.tag_bytes + 4).filter(|l| *l >= 8).ok_or(Unaccepted::Malformed)?;
        let ssrc = u32_at(packet, 4);
        let marked_at = if keys.is_aead() { packet.len() - 4 } else { length };
        let marked: [u8; 4] = packet[marked_at..marked_at + 4].try_into().expect("four bytes");
        let word = u32::from_be_bytes(marked);
        let (encrypted, index) = (word >> 31 == 1, u64::from(word & 0x7fff_ffff));
        let is_new = self.rtcp_seen.is_new(index);
        if !is_new && (!self.rtcp_anew || self.rtcp_seen.is_recent(index)) {
            return Err(Unaccepted::Replayed);
        }
        if keys.is_aead() {
            let mut associated = [0; 12];
            associated[..8].copy_from_slice(&packet[..8]);
            associated[8..].copy_from_slice(&marked);
            let (body, rest) = packet.split_at_mut(length);
            // Unencrypted packets would be wholly associated data; nobody who asked for AEAD sends them.
            if !encrypted || !keys.open(keys.nonce(ssrc, index), &associated, &mut body[8..], &rest[..16]) {
                return Err(Unaccepted::NotAuthentic);
            }
        } else {
            let tag = keys.tag([&packet[..length + 4], &[]]).unwrap_or_default();
            if !same(&tag[..keys.tag_bytes], &packet[length + 4..]) {
                return Err(Unaccepted::NotAuthentic);
            }
            if encrypted {
                keys.counter(ssrc, index, &mut packet[8..length]);
            }
        }
        if !is_new {
            (self.rtcp_seen, self.rtcp_anew) = (Window::default(), false);
        }
        self.rtcp_seen.note(index);
        Ok(length)
    }
}

impl Inbound {
    /// The identifier stands before the tag of the counter modes, and behind everything with AEAD (RFC 7714 section 7).
    fn without_mki<'a>(&self, packet: &'a mut [u8], tag_bytes: usize) -> Result<&'a mut [u8], Unaccepted> {
        let length = packet.len().checked_sub(self.mki_bytes + tag_bytes).ok_or(Unaccepted::Malformed)?;
        if self.mki_bytes > 0 && !self.rtp.is_aead() {
            packet.copy_within(length + self.mki_bytes.., length);
        }
        let kept = packet.len() - self.mki_bytes;
        Ok(&mut packet[..kept])
    }
}
