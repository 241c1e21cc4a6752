//! Vectors of the RFCs, and what no attacker gets.

use aes::Aes128;
use aes::cipher::KeyInit;
use aes::cipher::generic_array::GenericArray;
use aes_gcm::Aes128Gcm;

use super::session_keys::{Cipher, RTCP, SessionKeys, derive, keystream};
use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(char::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|c| u8::from_str_radix(&c.iter().collect::<String>(), 16).expect("hex")).collect()
}

fn master(suite: Suite) -> MasterKey {
    let bytes: Vec<u8> = (0..suite.key_bytes() + suite.salt_bytes()).map(|n| n as u8 * 3 + 1).collect();
    MasterKey::new(suite, &bytes).expect("the suite's length")
}

fn packet(sequence: u16) -> [u8; 200] {
    let mut packet = [0x5a; 200];
    packet[..12].copy_from_slice(&hex("8000 0000 00000010 decafbad"));
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet
}

/// RFC 3711 appendix B.3.
#[test]
fn keys_are_derived_as_in_rfc_3711() {
    let bytes = hex("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6");
    let master = MasterKey::new(Suite::AesCm128HmacSha1_80, &bytes).expect("30 bytes");
    let (mut key, mut salt, mut authentication) = ([0; 16], [0; 14], [0; 20]);
    derive(&master, 0, &mut key);
    derive(&master, 2, &mut salt);
    derive(&master, 1, &mut authentication);
    assert_eq!(key.to_vec(), hex("C61E7A93744F39EE10734AFE3FF7A087"));
    assert_eq!(salt.to_vec(), hex("30CBBC08863D8C85D49DB34A9AE1"));
    assert_eq!(authentication.to_vec(), hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
}

/// RFC 6188 section 7.2: the first keystream of the AES-256 derivation.
#[test]
fn keys_are_derived_as_in_rfc_6188() {
    let key = hex("f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6");
    let salt = hex("3b04803de51ee7c96423ab5b78d2");
    let master = MasterKey::new(Suite::AesCm256HmacSha1_80, &[key, salt].concat()).expect("46 bytes");
    let (mut key, mut salt, mut authentication) = ([0; 32], [0; 14], [0; 20]);
    derive(&master, 0, &mut key);
    derive(&master, 2, &mut salt);
    derive(&master, 1, &mut authentication);
    assert_eq!(key.to_vec(), hex("5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4"));
    assert_eq!(salt.to_vec(), hex("fa31791685ca444a9e07c6c64e93"));
    assert_eq!(authentication.to_vec(), hex("fd9c32d39ed5fbb5a9dc96b30818454d1313dc05"));
}

/// RFC 3711 appendix B.2: the keystream of AES in counter mode.
#[test]
fn the_keystream_is_that_of_rfc_3711() {
    let aes = Aes128::new(GenericArray::from_slice(&hex("2B7E151628AED2A6ABF7158809CF4F3C")));
    let iv: [u8; 16] = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000").try_into().expect("16 bytes");
    let mut text = [0; 48];
    keystream(&aes, iv, &mut text);
    let expected =
        hex("E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0");
    assert_eq!(text.to_vec(), expected);
}

/// RFC 7714 section 16.1.1, with the session key and salt given there.
#[test]
fn gcm_packets_are_those_of_rfc_7714() {
    let keys = SessionKeys {
        cipher: Cipher::Gcm128(Box::new(Aes128Gcm::new(GenericArray::from_slice(&hex(
            "00010203 04050607 08090a0b 0c0d0e0f",
        ))))),
        salt: hex("51756964 2070726f 2071756f 0000").try_into().expect("14 bytes"),
        tag_bytes: 16,
    };
    let rtcp = || SessionKeys::derive(&master(Suite::AeadAes128Gcm), RTCP, 16);
    let mut outbound = Outbound { rtp: keys, rtcp: rtcp(), index: None, rtcp_index: 0 };
    let plain = hex("8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 \
                     61727465 73207472 6573");
    let mut buffer = [plain.clone(), vec![0; 20]].concat();
    let length = outbound.protect(&mut buffer, plain.len());
    let expected = hex("8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a \
                        51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce");
    assert_eq!(buffer[..length], expected[..]);
}

#[test]
fn every_suite_hides_and_gives_back_across_the_wrap() {
    for suite in Suite::ALL {
        let (mut out, mut back) = (Outbound::new(&master(suite)), Inbound::new(&master(suite), 0));
        for n in 0..140_000u32 {
            let plain = packet((65_000 + n) as u16);
            let mut buffer = [0; 200 + OVERHEAD_BYTES_MAX];
            buffer[..200].copy_from_slice(&plain);
            let length = out.protect(&mut buffer, 200);
            assert_eq!(length, 200 + suite.tag_bytes());
            if n % 997 != 0 && n > 10 {
                continue; // losses, none longer than half the numbers
            }
            assert_ne!(buffer[12..200], plain[12..]);
            assert_eq!(back.unprotect(&mut buffer[..length]), Ok(200), "{suite:?} packet {n}");
            assert_eq!(buffer[..200], plain);
        }
    }
}

#[test]
fn nothing_is_accepted_twice_or_changed() {
    for suite in Suite::ALL {
        let (mut out, mut back) = (Outbound::new(&master(suite)), Inbound::new(&master(suite), 0));
        let mut sent: Vec<Vec<u8>> = vec![];
        for n in 0..300u16 {
            let mut buffer = [0; 220];
            buffer[..200].copy_from_slice(&packet(n));
            let length = out.protect(&mut buffer, 200);
            sent.push(buffer[..length].to_vec());
        }
        let mut open = |n: usize| back.unprotect(&mut sent[n].clone());
        assert_eq!(open(200), Ok(200));
        assert_eq!(open(200), Err(Unaccepted::Replayed));
        assert_eq!(open(150), Ok(200), "reordered");
        assert_eq!(open(150), Err(Unaccepted::Replayed));
        assert_eq!(open(10), Err(Unaccepted::Replayed), "older than the window");
        for byte in [1, 13, 60, sent[201].len() - 1] {
            let mut changed = sent[201].clone();
            changed[byte] ^= 1;
            assert!(back.unprotect(&mut changed).is_err(), "{suite:?} byte {byte}");
        }
        assert_eq!(back.unprotect(&mut sent[201].clone()), Ok(200), "a forgery spent nothing");
        assert_eq!(back.unprotect(&mut [0x80; 13]), Err(Unaccepted::Malformed));
    }
}

#[test]
fn a_key_identifier_is_passed_over() {
    for (suite, tag) in [(Suite::AesCm128HmacSha1_80, 10), (Suite::AeadAes128Gcm, 0)] {
        let (mut out, mut back) = (Outbound::new(&master(suite)), Inbound::new(&master(suite), 4));
        let mut buffer = [0; 220];
        buffer[..200].copy_from_slice(&packet(1));
        let length = out.protect(&mut buffer, 200);
        let mut marked = buffer[..length].to_vec();
        let at = length - tag;
        marked.splice(at..at, [0, 0, 0, 1]);
        assert_eq!(back.unprotect(&mut marked), Ok(200), "{suite:?}");
        assert_eq!(marked[..200], packet(1));
    }
}

#[test]
fn control_packets_are_hidden_and_counted() {
    for suite in Suite::ALL {
        let (mut out, mut back) = (Outbound::new(&master(suite)), Inbound::new(&master(suite), 0));
        let plain = hex("81c8000c 12345678 0001020304050607 08090a0b 0c0d0e0f 10111213");
        let mut buffer = [0; 64];
        buffer[..plain.len()].copy_from_slice(&plain);
        let length = out.protect_control(&mut buffer, plain.len());
        let mut twice = buffer;
        assert_eq!(back.unprotect_control(&mut buffer[..length]), Ok(plain.len()), "{suite:?}");
        assert_eq!(buffer[..plain.len()], plain[..]);
        assert_eq!(back.unprotect_control(&mut twice[..length]), Err(Unaccepted::Replayed));
        assert_eq!(back.unprotect_control(&mut [0; 9]), Err(Unaccepted::Malformed));
    }
}

#[test]
fn a_key_never_prints_itself() {
    let text = format!("{:?} {:?}", master(Suite::AeadAes256Gcm), Inbound::new(&master(Suite::AeadAes256Gcm), 0));
    assert!(text.contains("redacted") && !text.contains("[1"), "{text}");
}

/// Packets of one sender: `from` is the index of the first.
fn sealed(sender: &mut Outbound, sequences: impl Iterator<Item = u16>) -> Vec<(Vec<u8>, usize)> {
    sequences
        .map(|sequence| {
            let mut bytes = packet(sequence).to_vec();
            let length = sender.protect(&mut bytes, 172);
            (bytes, length)
        })
        .collect()
}

fn opened(receiver: &mut Inbound, packets: &[(Vec<u8>, usize)]) -> usize {
    packets.iter().filter(|(bytes, length)| receiver.unprotect(&mut bytes.clone()[..*length]).is_ok()).count()
}

/// A sender whose roll-over counter is 1, and the receiver that has heard it so far.
fn wrapped(suite: Suite) -> (Outbound, Inbound) {
    let (mut sender, mut receiver) = (Outbound::new(&master(suite)), Inbound::new(&master(suite), 0));
    let numbers = [60_000u16, 65_000, 200].into_iter().chain(201..400);
    assert_eq!(opened(&mut receiver, &sealed(&mut sender, numbers)), 202);
    (sender, receiver)
}

#[test]
fn a_context_made_anew_at_a_re_invite_is_followed_and_the_old_one_until_it_ends() {
    for suite in Suite::ALL {
        let (mut old, mut receiver) = wrapped(suite);
        let mut anew = Outbound::new(&master(suite));
        let later = sealed(&mut anew, 400..600);
        assert_eq!(opened(&mut receiver, &later), 0, "{suite:?}: without a re-INVITE it is a replay of the past");
        receiver.expect_anew();
        assert_eq!(opened(&mut receiver, &later[..100]), 100, "{suite:?}");
        assert_eq!(opened(&mut receiver, &sealed(&mut old, 400..410)), 10, "{suite:?}: what was on its way");
        assert_eq!(opened(&mut receiver, &later), 100, "{suite:?}: nothing twice");
    }
}

#[test]
fn a_replayer_after_a_re_invite_deafens_nobody() {
    let suite = Suite::AesCm128HmacSha1_80;
    let mut sender = Outbound::new(&master(suite));
    let mut receiver = Inbound::new(&master(suite), 0);
    let past = sealed(&mut sender, 60_000..60_100);
    assert_eq!(opened(&mut receiver, &past), 100);
    assert_eq!(opened(&mut receiver, &sealed(&mut sender, [65_000, 200].into_iter().chain(201..300))), 101);
    receiver.expect_anew();
    for round in 0..40u16 {
        let now = sealed(&mut sender, 300 + round * 50..350 + round * 50);
        assert_eq!(opened(&mut receiver, &now), 50, "round {round}");
        opened(&mut receiver, &past);
    }
}

#[test]
fn without_a_new_context_the_door_closes_after_a_while() {
    let suite = Suite::AesCm128HmacSha1_80;
    let (mut sender, mut receiver) = wrapped(suite);
    receiver.expect_anew();
    assert_eq!(opened(&mut receiver, &sealed(&mut sender, 400..400 + ANEW_PACKETS)), usize::from(ANEW_PACKETS));
    let mut anew = Outbound::new(&master(suite));
    assert_eq!(opened(&mut receiver, &sealed(&mut anew, 1000..1010)), 0);
}

#[test]
fn rtcp_that_counts_anew_after_a_re_invite_is_heard() {
    for suite in Suite::ALL {
        let mut receiver = Inbound::new(&master(suite), 0);
        let control = |sender: &mut Outbound, receiver: &mut Inbound, many: usize| {
            (0..many)
                .filter(|_| {
                    let mut bytes = [0x5a; 80];
                    bytes[..8].copy_from_slice(&hex("80c80006 decafbad"));
                    let length = sender.protect_control(&mut bytes, 28);
                    receiver.unprotect_control(&mut bytes[..length]).is_ok()
                })
                .count()
        };
        assert_eq!(control(&mut Outbound::new(&master(suite)), &mut receiver, 300), 300);
        assert_eq!(control(&mut Outbound::new(&master(suite)), &mut receiver, 5), 0);
        receiver.expect_anew();
        assert_eq!(control(&mut Outbound::new(&master(suite)), &mut receiver, 10), 10, "{suite:?}");
    }
}
