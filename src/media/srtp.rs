//! Secure RTP and RTCP (RFC 3711) with the suites of SDES (RFC 4568, RFC 6188, RFC 7714), on RustCrypto.
//!
//! Invariant: what does not authenticate changes no state, and nothing is accepted twice. Packets are worked on in place;
//! nothing allocates per packet. Keys print themselves redacted.
//!
//! A re-INVITE that keeps the key may have made the far end's context anew, with a roll-over counter of 0 (RFC 3711 section
//! 3.3.1 has no word for it): for [`ANEW_PACKETS`] packets what does not fit the context is tried as the beginning of
//! another. Both are kept then, so that packets on their way and those of a replayer cost nothing; each is entered once.

mod header;
mod inbound;
mod outbound;
mod replay;
mod session_keys;

use std::fmt;

pub use inbound::Inbound;
pub use outbound::Outbound;

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

#[cfg(test)]
mod tests;
