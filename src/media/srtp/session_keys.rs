//! The session keys of one direction: derivation (RFC 3711 section 4.3), counter mode, and AES-GCM (RFC 7714).
//!
//! Invariant: nothing allocates per packet.

use aes::cipher::generic_array::GenericArray;
use aes::cipher::{BlockEncrypt, KeyInit};
use aes::{Aes128, Aes256};
use aes_gcm::aead::AeadInPlace;
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use hmac::{Hmac, Mac};
use sha1::Sha1;

use super::{MasterKey, Suite, Unaccepted};

/// The keys of one direction, for RTP or for RTCP (RFC 3711 section 4.3).
pub(super) struct SessionKeys {
    pub(super) cipher: Cipher,
    pub(super) salt: [u8; 14],
    pub(super) tag_bytes: usize,
}

pub(super) enum Cipher {
    Counter128(Box<Aes128>, Hmac<Sha1>),
    Counter256(Box<Aes256>, Hmac<Sha1>),
    Gcm128(Box<Aes128Gcm>),
    Gcm256(Box<Aes256Gcm>),
}

/// The labels of RFC 3711 section 4.3.1 for encryption, authentication and salt.
pub(super) const RTP: [u8; 3] = [0, 1, 2];
pub(super) const RTCP: [u8; 3] = [3, 4, 5];

impl SessionKeys {
    pub(super) fn derive(master: &MasterKey, labels: [u8; 3], tag_bytes: usize) -> Self {
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
    pub(super) fn counter(&self, ssrc: u32, index: u64, text: &mut [u8]) {
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

    pub(super) fn tag(&self, parts: [&[u8]; 2]) -> Option<[u8; 20]> {
        let (Cipher::Counter128(_, mac) | Cipher::Counter256(_, mac)) = &self.cipher else { return None };
        let mut mac = mac.clone();
        parts.iter().for_each(|part| mac.update(part));
        Some(mac.finalize().into_bytes().into())
    }

    /// The IV of RFC 7714 sections 8.1 and 9.1.
    pub(super) fn nonce(&self, ssrc: u32, index: u64) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce.copy_from_slice(&self.salt[..12]);
        xor(&mut nonce[2..6], &ssrc.to_be_bytes());
        xor(&mut nonce[6..12], &index.to_be_bytes()[2..]);
        nonce
    }

    pub(super) fn seal(&self, nonce: [u8; 12], associated: &[u8], text: &mut [u8]) -> [u8; 16] {
        let nonce = GenericArray::from_slice(&nonce);
        let sealed = match &self.cipher {
            Cipher::Gcm128(gcm) => gcm.encrypt_in_place_detached(nonce, associated, text),
            Cipher::Gcm256(gcm) => gcm.encrypt_in_place_detached(nonce, associated, text),
            Cipher::Counter128(..) | Cipher::Counter256(..) => return [0; 16],
        };
        sealed.expect("a packet is shorter than GCM's limit").into()
    }

    pub(super) fn open(&self, nonce: [u8; 12], associated: &[u8], text: &mut [u8], tag: &[u8]) -> bool {
        let (nonce, tag) = (GenericArray::from_slice(&nonce), GenericArray::from_slice(tag));
        match &self.cipher {
            Cipher::Gcm128(gcm) => gcm.decrypt_in_place_detached(nonce, associated, text, tag).is_ok(),
            Cipher::Gcm256(gcm) => gcm.decrypt_in_place_detached(nonce, associated, text, tag).is_ok(),
            Cipher::Counter128(..) | Cipher::Counter256(..) => false,
        }
    }

    pub(super) fn is_aead(&self) -> bool {
        matches!(self.cipher, Cipher::Gcm128(_) | Cipher::Gcm256(_))
    }

    /// Authenticates an RTP packet of this index and decrypts it in place; `header` bytes of its `length` are in the clear,
    /// the tag stands behind. What does not authenticate stays as it is.
    pub(super) fn open_packet(
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
pub(super) fn derive(master: &MasterKey, label: u8, out: &mut [u8]) {
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

/// Blocks of 16 bytes of key stream that are made by one call of the cipher.
const BLOCKS_AT_ONCE: usize = 8;

/// Adds the keystream of AES in counter mode: eight blocks at a time, as the processor likes them.
pub(super) fn keystream<A>(aes: &A, mut counter: [u8; 16], text: &mut [u8])
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
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |all, (x, y)| all | (x ^ y)) == 0
}
