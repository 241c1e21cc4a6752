//! The key of one tenant, and what it seals: AES-256-GCM with a random nonce of 96 bits.
//!
//! Invariant: what is sealed for one place opens in no other: tenant, owner and path are authenticated with it, each with its
//! length before it, so that no two places are written alike. A key never prints itself, and is wiped when it is dropped.

use std::fmt;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bellhop_tenancy::Secret;
use bellhop_tenancy::id::{Id, TenantId};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{KEY_BYTES, random};

/// How a sealed text begins: the way it was made, then the key's name.
const VERSION: &str = "1";
/// Bytes of a nonce.
pub(super) const NONCE_BYTES: usize = 12;

/// Seals the secrets of one tenant.
pub(crate) struct DataKey {
    key: Zeroizing<[u8; KEY_BYTES]>,
    /// Names it: the beginning of its hash.
    name: String,
}

/// Where a secret stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// Whose it is.
    pub(crate) tenant: TenantId,
    /// The document that it belongs to.
    pub(crate) owner: Id,
    /// Its path there.
    pub(crate) path: &'a str,
}

/// Why a secret does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotOpened {
    /// No program of ours wrote it.
    #[error("what is kept is no sealed text: restore it from a backup, or set the secret again")]
    Malformed,
    /// The tenant had another key when it was sealed.
    #[error(
        "it was sealed by another data key than its tenant's: restore both from one backup, or set the secret again"
    )]
    OtherKey,
    /// Something is not what it was.
    #[error(
        "what is kept was changed, or was moved here from another place: restore it from a backup, or set the secret again"
    )]
    Altered,
}

impl DataKey {
    /// A new one.
    pub(crate) fn generate() -> Self {
        Self::of(Zeroizing::new(random()))
    }

    pub(super) fn of(key: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        let name = Sha256::digest(*key).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Self { key, name }
    }

    pub(super) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.key
    }

    /// Seals a secret for a place.
    pub(crate) fn seal(&self, place: &Place<'_>, secret: &Secret) -> String {
        let sealed = seal(&self.key, &self.bound_to(place), secret.expose().as_bytes());
        format!("{VERSION}:{}:{}", self.name, BASE64.encode(sealed))
    }

    /// Opens what was sealed for a place.
    pub(crate) fn open(&self, place: &Place<'_>, sealed: &str) -> Result<Secret, NotOpened> {
        let mut parts = sealed.splitn(3, ':');
        let (Some(VERSION), Some(name), Some(text)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NotOpened::Malformed);
        };
        if name != self.name {
            return Err(NotOpened::OtherKey);
        }
        let sealed = BASE64.decode(text).map_err(|_| NotOpened::Malformed)?;
        let opened = open(&self.key, &self.bound_to(place), &sealed).ok_or(NotOpened::Altered)?;
        std::str::from_utf8(&opened).map(Secret::new).map_err(|_| NotOpened::Altered)
    }

    fn bound_to(&self, place: &Place<'_>) -> Vec<u8> {
        let (tenant, owner) = (place.tenant.to_string(), place.owner.to_string());
        bound(&["bellhop secret", VERSION, &self.name, &tenant, &owner, place.path])
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataKey({}, redacted)", self.name)
    }
}

/// Texts as what is authenticated beside a sealed one.
pub(super) fn bound(texts: &[&str]) -> Vec<u8> {
    let lengths = |text: &&str| (text.len() as u64).to_be_bytes();
    texts.iter().flat_map(|text| lengths(text).into_iter().chain(text.bytes())).collect()
}

/// Nonce and ciphertext with its tag.
pub(super) fn seal(key: &[u8; KEY_BYTES], bound: &[u8], plain: &[u8]) -> Vec<u8> {
    let nonce: [u8; NONCE_BYTES] = random();
    let payload = Payload { msg: plain, aad: bound };
    let sealed = Aes256Gcm::new(key.into()).encrypt(Nonce::from_slice(&nonce), payload);
    [&nonce[..], &sealed.expect("a secret is far below the 64 GiB of GCM")].concat()
}

pub(super) fn open(key: &[u8; KEY_BYTES], bound: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES)?;
    let payload = Payload { msg: sealed, aad: bound };
    Aes256Gcm::new(key.into()).decrypt(Nonce::from_slice(nonce), payload).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> Id {
        Id::new(1, [n; 10])
    }

    #[test]
    fn a_secret_opens_in_its_place_and_in_no_other() {
        let (key, other) = (DataKey::generate(), DataKey::generate());
        let place = Place { tenant: TenantId(id(1)), owner: id(2), path: "connect.secret_access_key" };
        let sealed = key.seal(&place, &Secret::new("s3cret"));
        assert!(!sealed.contains("s3cret"));
        assert_ne!(sealed, key.seal(&place, &Secret::new("s3cret")), "each has a nonce of its own");
        assert_eq!(key.open(&place, &sealed), Ok(Secret::new("s3cret")));
        assert_eq!(other.open(&place, &sealed), Err(NotOpened::OtherKey));
        for moved in [
            Place { tenant: TenantId(id(9)), ..place },
            Place { owner: id(9), ..place },
            Place { path: "connect.secret_access_ke", ..place },
        ] {
            assert_eq!(key.open(&moved, &sealed), Err(NotOpened::Altered), "{moved:?}");
        }
        assert_ne!(bound(&["ab", "c"]), bound(&["a", "bc"]), "no two places are written alike");
        assert_eq!(format!("{key:?}").len(), "DataKey(00000000, redacted)".len());
    }

    #[test]
    fn one_bit_that_is_another_closes_it() {
        let key = DataKey::generate();
        let place = Place { tenant: TenantId(id(1)), owner: id(2), path: "a" };
        let sealed = key.seal(&place, &Secret::new("s3cret"));
        let (head, text) = sealed.rsplit_once(':').expect("three parts");
        let bytes = BASE64.decode(text).expect("base64");
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let flipped = format!("{head}:{}", BASE64.encode(flipped));
            assert_eq!(key.open(&place, &flipped), Err(NotOpened::Altered), "bit {bit}");
        }
        for malformed in ["", "1:", "2:00000000:AA==", &format!("{head}:*"), &sealed.replacen('1', "2", 1)] {
            assert!(key.open(&place, malformed).is_err(), "{malformed}");
        }
        assert_eq!(key.open(&place, &format!("{head}:AA==")), Err(NotOpened::Altered), "shorter than a nonce");
    }
}
