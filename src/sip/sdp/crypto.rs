//! `a=crypto` (RFC 4568): keys for SRTP in the session description.
//!
//! Invariant: a key prints itself redacted; a line with parameters that we would have to honour and do not know is passed
//! over, as RFC 4568 section 5.1.2 asks.

use std::fmt;

use base64::engine::general_purpose::{NO_PAD, STANDARD};
use base64::engine::{DecodePaddingMode, GeneralPurpose};
use base64::{Engine, alphabet};

use crate::message::params::number;

/// Base64 with its padding or without: some leave out what stands behind keys of 28, 44 and 46 bytes.
const PADDED_OR_NOT: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, NO_PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// A crypto suite (RFC 4568 section 6.2, RFC 6188, RFC 7714).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum CryptoSuite {
    AesCm128HmacSha1_80,
    AesCm128HmacSha1_32,
    AesCm256HmacSha1_80,
    AesCm256HmacSha1_32,
    AeadAes128Gcm,
    AeadAes256Gcm,
}

impl CryptoSuite {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::AesCm128HmacSha1_80,
        Self::AesCm128HmacSha1_32,
        Self::AesCm256HmacSha1_80,
        Self::AesCm256HmacSha1_32,
        Self::AeadAes128Gcm,
        Self::AeadAes256Gcm,
    ];
    /// Those in our own offers, in order.
    pub const OFFERED: [Self; 2] = [Self::AesCm128HmacSha1_80, Self::AeadAes128Gcm];

    /// Its name in session descriptions.
    pub fn token(self) -> &'static str {
        match self {
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AesCm256HmacSha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Self::AesCm256HmacSha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    fn from_token(token: &str) -> Option<Self> {
        // Some write the 256-bit suites the way of the 128-bit ones.
        let token = token.to_ascii_uppercase().replace("AES_CM_256_", "AES_256_CM_");
        Self::ALL.into_iter().find(|suite| suite.token() == token)
    }

    /// Bytes of master key and salt together.
    pub fn key_and_salt_bytes(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 30,
            Self::AesCm256HmacSha1_80 | Self::AesCm256HmacSha1_32 => 46,
            Self::AeadAes128Gcm => 28,
            Self::AeadAes256Gcm => 44,
        }
    }
}

/// One key: what one side sends with.
#[derive(Clone, PartialEq, Eq)]
pub struct CryptoKey {
    /// The suite.
    pub suite: CryptoSuite,
    /// Master key and salt, one behind the other.
    pub key_and_salt: Vec<u8>,
    /// Bytes of the master key identifier in each packet, 0 for none.
    pub mki_bytes: usize,
}

impl fmt::Debug for CryptoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CryptoKey({}, redacted)", self.suite.token())
    }
}

/// One `a=crypto` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CryptoLine {
    /// Its number, repeated in the answer.
    pub tag: u32,
    /// What its writer sends with.
    pub key: CryptoKey,
}

impl CryptoLine {
    /// Reads the value of the attribute; `None` if it is malformed, or not acceptable to us.
    pub fn parse(value: &str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let tag = number(words.next()?)?;
        let suite = CryptoSuite::from_token(words.next()?)?;
        let inline = words.next()?.strip_prefix("inline:")?;
        // One key alone; a lifetime is no limit that a call could reach.
        let mut parts = inline.split(';').next()?.split('|');
        let key_and_salt = PADDED_OR_NOT.decode(parts.next()?).ok()?;
        let mki_bytes = match parts.find_map(|part| part.split_once(':')) {
            Some((_, bytes)) => number(bytes).filter(|bytes| *bytes <= 16)?,
            None => 0,
        };
        // Whatever leaves packets unprotected, or derives keys at another rate, is not what we do.
        let acceptable = words.all(|word| word.starts_with("WSH=") || word.starts_with("FEC_ORDER="));
        let right = key_and_salt.len() == suite.key_and_salt_bytes();
        (acceptable && right).then_some(Self { tag, key: CryptoKey { suite, key_and_salt, mki_bytes } })
    }
}

impl fmt::Display for CryptoLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} inline:{}", self.tag, self.key.suite.token(), STANDARD.encode(&self.key.key_and_salt))
    }
}

/// Random bytes that our keys of one call are made of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyMaterial(pub [u8; 92]);

impl fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyMaterial(redacted)")
    }
}

impl KeyMaterial {
    /// Our key for a suite; suites whose keys may stand in one offer share no byte.
    pub fn key(&self, suite: CryptoSuite) -> CryptoKey {
        let from = if suite == CryptoSuite::AeadAes128Gcm { 46 } else { 0 };
        let key_and_salt = self.0[from..from + suite.key_and_salt_bytes()].to_vec();
        CryptoKey { suite, key_and_salt, mki_bytes: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

    #[test]
    fn lines_of_the_field_are_read() {
        for (line, tag, mki) in [
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4 FEC_ORDER=FEC_SRTP"), 1, 4),
            (format!("7 AES_CM_128_HMAC_SHA1_32 inline:{KEY}|1:32"), 7, 32),
            (format!("2 aes_cm_128_hmac_sha1_80 inline:{KEY}"), 2, 0),
        ] {
            let parsed = CryptoLine::parse(&line);
            if mki > 16 {
                assert_eq!(parsed, None, "{line}: a key identifier that long is a mistake");
                continue;
            }
            let parsed = parsed.expect("a good line");
            assert_eq!((parsed.tag, parsed.key.mki_bytes, parsed.key.key_and_salt.len()), (tag, mki, 30), "{line}");
        }
    }

    #[test]
    fn what_we_would_not_honour_is_passed_over() {
        for line in [
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTP"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} KDR=1"),
            "1 AES_CM_128_HMAC_SHA1_80 inline:QUJD".to_owned(),
            format!("1 F8_128_HMAC_SHA1_80 inline:{KEY}"),
            format!("x AES_CM_128_HMAC_SHA1_80 inline:{KEY}"),
            "1 AES_CM_128_HMAC_SHA1_80".to_owned(),
        ] {
            assert_eq!(CryptoLine::parse(&line), None, "{line}");
        }
    }

    #[test]
    fn what_is_written_is_read_and_never_printed() {
        let material = KeyMaterial(std::array::from_fn(|n| n as u8));
        for suite in CryptoSuite::ALL {
            let line = CryptoLine { tag: 3, key: material.key(suite) };
            assert_eq!(CryptoLine::parse(&line.to_string()), Some(line.clone()));
            assert_eq!(
                CryptoLine::parse(line.to_string().trim_end_matches('=')),
                Some(line.clone()),
                "without padding"
            );
            assert!(!format!("{line:?} {material:?}").contains('['));
        }
    }
}
