//! Secure RTP and RTCP (RFC 3711) with the suites of SDES (RFC 4568, RFC 6188, RFC 7714), on RustCrypto.
//!
//! Invariant: what does not authenticate changes no state, and nothing is accepted twice. Packets are worked on in place;
//! nothing allocates per packet. Keys print themselves redacted.
//!
//! A re-INVITE that keeps the key may have made the far end's context anew, with a roll-over counter of 0 (RFC 3711 section
//! 3.3.1 has no word for it): for [`ANEW_PACKETS`] packets what does not fit the context is tried as the beginning of
//! another. Both are kept then, so that packets on their way and those of a replayer cost nothing; each is entered once.

use std::fmt;

use aes::cipher::generic_array::GenericArray;
use aes::cipher::{BlockEncrypt, KeyInit};
use aes::{Aes128, Aes256};
use aes_gcm::aead::AeadInPlace;
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use hmac::{Hmac, Mac};
use sha1::Sha1;

/// The most bytes that protection adds to a packet: a tag of 16 and the index of SRTCP.
pub const OVERHEAD_BYTES_MAX: usize = 20;
/// How far back a packet may be and still be accepted (RFC 3711 section 3.3.2).
pub const REPLAY_WINDOW: u64 = 128;
/// Synchronisation sources of one stream that are remembered; more are a change of device, or an attack.
const SOURCES_MAX: usize = 4;

/// Packets of the context as it was after a re-INVITE until it is known that it stays: ten seconds.
pub const ANEW_PACKETS: u16 = 500;

/// A crypto suite, named as in `a=crypto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Suite {
    AesCm128HmacSha1_80,
    AesCm128HmacSha1_32,
    AesCm256HmacSha1_80,
    AesCm256HmacSha1_32,
    AeadAes128Gcm,
    AeadAes256Gcm,
}

impl Suite {
    /// All, in our order of preference.
    pub const ALL: [Self; 6] = [
        Self::AeadAes256Gcm,
        Self::AeadAes128Gcm,
        Self::AesCm256HmacSha1_80,
        Self::AesCm128HmacSha1_80,
        Self::AesCm256HmacSha1_32,
        Self::AesCm128HmacSha1_32,
    ];

    /// The suite of a name in session descriptions (RFC 4568 section 6.2, RFC 6188, RFC 7714).
    pub fn named(token: &str) -> Option<Self> {
        Some(match token {
            "AES_CM_128_HMAC_SHA1_80" => Self::AesCm128HmacSha1_80,
            "AES_CM_128_HMAC_SHA1_32" => Self::AesCm128HmacSha1_32,
            "AES_256_CM_HMAC_SHA1_80" => Self::AesCm256HmacSha1_80,
            "AES_256_CM_HMAC_SHA1_32" => Self::AesCm256HmacSha1_32,
            "AEAD_AES_128_GCM" => Self::AeadAes128Gcm,
            "AEAD_AES_256_GCM" => Self::AeadAes256Gcm,
            _ => return None,
        })
    }

    /// Bytes of the master key.
    pub fn key_bytes(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 | Self::AeadAes128Gcm => 16,
            Self::AesCm256HmacSha1_80 | Self::AesCm256HmacSha1_32 | Self::AeadAes256Gcm => 32,
        }
    }

    /// Bytes of the master salt.
    pub fn salt_bytes(self) -> usize {
        if self.is_aead() { 12 } else { 14 }
    }

    fn is_aead(self) -> bool {
        matches!(self, Self::AeadAes128Gcm | Self::AeadAes256Gcm)
    }

    /// Bytes of the tag of RTP packets. RTCP packets have at least 10 (RFC 4568 section 6.2).
    fn tag_bytes(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm256HmacSha1_80 => 10,
            Self::AesCm128HmacSha1_32 | Self::AesCm256HmacSha1_32 => 4,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
        }
    }
}

/// A master key with its salt.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey {
    suite: Suite,
    key: [u8; 32],
    salt: [u8; 14],
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({:?}, redacted)", self.suite)
    }
}

impl MasterKey {
    /// A key from its inline form: key and salt, one behind the other; `None` if the length is not the suite's.
    pub fn new(suite: Suite, key_and_salt: &[u8]) -> Option<Self> {
        let (key_bytes, salt_bytes) = (suite.key_bytes(), suite.salt_bytes());
        if key_and_salt.len() != key_bytes + salt_bytes {
            return None;
        }
        let (mut key, mut salt) = ([0; 32], [0; 14]);
        key[..key_bytes].copy_from_slice(&key_and_salt[..key_bytes]);
        salt[..salt_bytes].copy_from_slice(&key_and_salt[key_bytes..]);
        Some(Self { suite, key, salt })
    }
}

/// Why a packet was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unaccepted {
    /// Too short or not a packet.
    #[error("malformed")]
    Malformed,
    /// The tag is wrong.
    #[error("not authentic")]
    NotAuthentic,
    /// Seen before, or too old to tell.
    #[error("replayed")]
    Replayed,
}

/// The keys of one direction, for RTP or for RTCP (RFC 3711 section 4.3).
struct SessionKeys {
    cipher: Cipher,
    salt: [u8; 14],
    tag_bytes: usize,
}

enum Cipher {
    Counter128(Box<Aes128>, Hmac<Sha1>),
    Counter256(Box<Aes256>, Hmac<Sha1>),
    Gcm128(Box<Aes128Gcm>),
    Gcm256(Box<Aes256Gcm>),
}

/// The labels of RFC 3711 section 4.3.1 for encryption, authentication and salt.
const RTP: [u8; 3] = [0, 1, 2];
const RTCP: [u8; 3] = [3, 4, 5];

impl SessionKeys {
    fn derive(master: &MasterKey, labels: [u8; 3], tag_bytes: usize) -> Self {
        let (mut key, mut authentication, mut salt) = ([0; 32], [0; 20], [0; 14]);
        let key_bytes = master.suite.key_bytes();
        derive(master, labels[0], &mut key[..key_bytes]);
        derive(master, labels[1], &mut authentication);
        derive(master, labels[2], &mut salt[..master.suite.salt_bytes()]);
        let mac = || <Hmac<Sha1> as Mac>::new_from_slice(&authentication).expect("any length is a key of HMAC");
        let (short, long) = (GenericArray::from_slice(&key[..16]), GenericArray::from_slice(&key));
        let cipher = match master.suite {
            Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => {
                Cipher::Counter128(Box::new(Aes128::new(short)), mac())
            }
            Suite::AesCm256HmacSha1_80 | Suite::AesCm256HmacSha1_32 => {
                Cipher::Counter256(Box::new(Aes256::new(long)), mac())
            }
            Suite::AeadAes128Gcm => Cipher::Gcm128(Box::new(Aes128Gcm::new(short))),
            Suite::AeadAes256Gcm => Cipher::Gcm256(Box::new(Aes256Gcm::new(long))),
        };
        Self { cipher, salt, tag_bytes }
    }

    /// Encrypts or decrypts with the counter modes; `index` is that of RFC 3711 section 4.1.1.
    fn counter(&self, ssrc: u32, index: u64, text: &mut [u8]) {
        let mut iv = [0; 16];
        iv[..14].copy_from_slice(&self.salt);
        xor(&mut iv[4..8], &ssrc.to_be_bytes());
        xor(&mut iv[8..14], &index.to_be_bytes()[2..]);
        match &self.cipher {
            Cipher::Counter128(aes, _) => keystream(&**aes, iv, text),
            Cipher::Counter256(aes, _) => keystream(&**aes, iv, text),
            Cipher::Gcm128(_) | Cipher::Gcm256(_) => {}
        }
    }

    fn tag(&self, parts: [&[u8]; 2]) -> Option<[u8; 20]> {
        let (Cipher::Counter128(_, mac) | Cipher::Counter256(_, mac)) = &self.cipher else { return None };
        let mut mac = mac.clone();
        parts.iter().for_each(|part| mac.update(part));
        Some(mac.finalize().into_bytes().into())
    }

    /// The IV of RFC 7714 sections 8.1 and 9.1.
    fn nonce(&self, ssrc: u32, index: u64) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce.copy_from_slice(&self.salt[..12]);
        xor(&mut nonce[2..6], &ssrc.to_be_bytes());
        xor(&mut nonce[6..12], &index.to_be_bytes()[2..]);
        nonce
    }

    fn seal(&self, nonce: [u8; 12], associated: &[u8], text: &mut [u8]) -> [u8; 16] {
        let nonce = GenericArray::from_slice(&nonce);
        let sealed = match &self.cipher {
            Cipher::Gcm128(gcm) => gcm.encrypt_in_place_detached(nonce, associated, text),
            Cipher::Gcm256(gcm) => gcm.encrypt_in_place_detached(nonce, associated, text),
            Cipher::Counter128(..) | Cipher::Counter256(..) => return [0; 16],
        };
        sealed.expect("a packet is shorter than GCM's limit").into()
    }

    fn open(&self, nonce: [u8; 12], associated: &[u8], text: &mut [u8], tag: &[u8]) -> bool {
        let (nonce, tag) = (GenericArray::from_slice(&nonce), GenericArray::from_slice(tag));
        match &self.cipher {
            Cipher::Gcm128(gcm) => gcm.decrypt_in_place_detached(nonce, associated, text, tag).is_ok(),
            Cipher::Gcm256(gcm) => gcm.decrypt_in_place_detached(nonce, associated, text, tag).is_ok(),
            Cipher::Counter128(..) | Cipher::Counter256(..) => false,
        }
    }

    fn is_aead(&self) -> bool {
        matches!(self.cipher, Cipher::Gcm128(_) | Cipher::Gcm256(_))
    }

    /// Authenticates an RTP packet of this index and decrypts it in place; `header` bytes of its `length` are in the clear,
    /// the tag stands behind. What does not authenticate stays as it is.
    fn open_packet(
        &self,
        packet: &mut [u8],
        (header, length): (usize, usize),
        ssrc: u32,
        index: u64,
    ) -> Result<(), Unaccepted> {
        if self.is_aead() {
            let (body, tag) = packet.split_at_mut(length);
            let (head, text) = body.split_at_mut(header);
            return self.open(self.nonce(ssrc, index), head, text, tag).then_some(()).ok_or(Unaccepted::NotAuthentic);
        }
        let roll_over = ((index >> 16) as u32).to_be_bytes();
        let tag = self.tag([&packet[..length], &roll_over]).unwrap_or_default();
        if !same(&tag[..self.tag_bytes], &packet[length..]) {
            return Err(Unaccepted::NotAuthentic);
        }
        self.counter(ssrc, index, &mut packet[header..length]);
        Ok(())
    }
}

/// The key derivation of RFC 3711 section 4.3.3, with a rate of zero.
fn derive(master: &MasterKey, label: u8, out: &mut [u8]) {
    let mut iv = [0; 16];
    iv[..14].copy_from_slice(&master.salt);
    iv[7] ^= label;
    out.fill(0);
    if master.suite.key_bytes() == 16 {
        keystream(&Aes128::new(GenericArray::from_slice(&master.key[..16])), iv, out);
    } else {
        keystream(&Aes256::new(GenericArray::from_slice(&master.key)), iv, out);
    }
}

const BLOCKS_AT_ONCE: usize = 8;

/// Adds the keystream of AES in counter mode: eight blocks at a time, as the processor likes them.
fn keystream<A>(aes: &A, mut counter: [u8; 16], text: &mut [u8])
where
    A: BlockEncrypt + aes::cipher::BlockSizeUser<BlockSize = aes::cipher::consts::U16>,
{
    let mut number = 0u16;
    for part in text.chunks_mut(16 * BLOCKS_AT_ONCE) {
        let mut blocks = [GenericArray::default(); BLOCKS_AT_ONCE];
        let used = part.len().div_ceil(16);
        for block in &mut blocks[..used] {
            counter[14..].copy_from_slice(&number.to_be_bytes());
            *block = counter.into();
            number = number.wrapping_add(1);
        }
        aes.encrypt_blocks(&mut blocks[..used]);
        for (sixteen, block) in part.chunks_mut(16).zip(&blocks) {
            xor(sixteen, block);
        }
    }
}

fn xor(bytes: &mut [u8], with: &[u8]) {
    for (byte, other) in bytes.iter_mut().zip(with) {
        *byte ^= other;
    }
}

/// Compares without telling where the difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |all, (x, y)| all | (x ^ y)) == 0
}

/// What we send.
pub struct Outbound {
    rtp: SessionKeys,
    rtcp: SessionKeys,
    index: Option<u64>,
    rtcp_index: u32,
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
    /// [`OVERHEAD_BYTES_MAX`] bytes of room behind the packet.
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

/// The replay list of RFC 3711 section 3.3.2.
#[derive(Default)]
struct Window {
    highest: Option<u64>,
    bits: u128,
}

impl Window {
    /// Takes the packet of this sequence number if it is new and opens under its index.
    fn accept(&mut self, sequence: u16, open: impl FnOnce(u64) -> Result<(), Unaccepted>) -> Result<(), Unaccepted> {
        let index = self.highest.map_or(u64::from(sequence), |highest| estimate(highest, sequence));
        if !self.is_new(index) {
            return Err(Unaccepted::Replayed);
        }
        open(index)?;
        self.note(index);
        Ok(())
    }

    /// Whether it is known of this index, or of one a little before the highest, if it came.
    fn is_recent(&self, index: u64) -> bool {
        self.highest.is_some_and(|highest| index <= highest && highest - index < REPLAY_WINDOW)
    }

    fn is_new(&self, index: u64) -> bool {
        match self.highest {
            Some(highest) if index <= highest => {
                let back = highest - index;
                back < REPLAY_WINDOW && self.bits >> back & 1 == 0
            }
            _ => true,
        }
    }

    fn note(&mut self, index: u64) {
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
fn estimate(highest: u64, sequence: u16) -> u64 {
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

/// The unencrypted front of an RTP packet: fixed header, contributing sources, extension.
fn header_bytes(packet: &[u8]) -> Option<usize> {
    if packet.len() < 12 || packet[0] >> 6 != 2 {
        return None;
    }
    let mut bytes = 12 + 4 * usize::from(packet[0] & 0x0f);
    if packet[0] & 0x10 != 0 {
        let words = packet.get(bytes + 2..bytes + 4)?;
        bytes += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
    }
    (bytes <= packet.len()).then_some(bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests;
