//! What one leg hears, packet by packet.

use super::*;
use crate::codec::Encoder;
use crate::g711::Law;
use crate::rtp::PACKET_BYTES_MAX;
use crate::srtp::{MasterKey, Outbound, Suite};

const FORMAT: StreamFormat =
    StreamFormat { codec: Codec::G711(Law::Mu), payload_type: 0, telephone_event: None, comfort_noise: Some(13) };

fn source(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

fn datagram(payload_type: u8, sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let packet = Packet { payload_type, marker: false, sequence, timestamp, ssrc: 7, payload };
    let mut buffer = [0; PACKET_BYTES_MAX];
    let length = packet.write(&mut buffer).expect("fits");
    buffer[..length].to_vec()
}

/// Packets of any length and codec become frames of sound, hardly a frame late.
#[test]
fn every_codec_and_packet_length_is_heard() {
    for codec in [Codec::G711(Law::A), Codec::G722, Codec::Opus] {
        for ptime in [10usize, 20, 30, 40, 60] {
            if codec == Codec::Opus && ptime == 30 {
                continue; // not a frame length of Opus
            }
            let format = StreamFormat { codec, payload_type: 96, telephone_event: None, comfort_noise: None };
            let mut receiver = Receiver::new(format, Expected::at(source(1)));
            let mut encoder = Encoder::new(codec);
            let per_packet = codec.sample_rate() as usize * ptime / 1000;
            let start = Instant::now();
            let (mut sent, mut heard) = (0usize, 0);
            for frame_number in 0..150u64 {
                let now = start + Duration::from_millis(frame_number * 20);
                while sent * ptime <= frame_number as usize * 20 {
                    let tone: Vec<i16> = (0..per_packet)
                        .map(|n| (((sent * per_packet + n) as f64 * 0.2).sin() * 6000.0) as i16)
                        .collect();
                    let mut payload = [0; 480];
                    let length = encoder.encode(&tone, &mut payload);
                    let timestamp = (sent * ptime) as u32 * codec.clock_rate() / 1000;
                    let mut bytes = datagram(96, sent as u16, timestamp, &payload[..length]);
                    receiver.push(now, source(1), &mut bytes);
                    sent += 1;
                }
                let mut frame = vec![0; receiver.frame_samples()];
                let (from, _) = receiver.frame(now, &mut frame);
                heard += u32::from(from == Source::Heard && magnitude(&frame) > 2000);
            }
            assert!(heard >= 140, "{codec:?} at {ptime} ms: {heard} of 150 frames");
            assert!(receiver.loss().expect("packets came") < 0.02);
        }
    }
}

#[test]
fn only_the_holder_of_the_key_is_heard() {
    let key = MasterKey::new(Suite::AesCm128HmacSha1_80, &[9; 30]).expect("30 bytes");
    let other = MasterKey::new(Suite::AesCm128HmacSha1_80, &[8; 30]).expect("30 bytes");
    let mut receiver = Receiver::new(FORMAT, Expected::at(source(1)));
    receiver.secure(Some(Inbound::new(&key, 0)));
    let now = Instant::now();
    let sealed = |key: &MasterKey, sequence| {
        let mut bytes = datagram(0, sequence, u32::from(sequence) * 160, &[0xff; 160]);
        bytes.resize(200, 0);
        let length = Outbound::new(key).protect(&mut bytes, 172);
        bytes.truncate(length);
        bytes
    };
    assert_eq!(
        receiver.push(now, source(1), &mut datagram(0, 1, 160, &[0; 160])),
        Arrival::Dropped(DropReason::NotAuthentic)
    );
    assert_eq!(receiver.push(now, source(1), &mut sealed(&other, 1)), Arrival::Dropped(DropReason::NotAuthentic));
    assert_eq!(receiver.last_heard(), None);
    assert_eq!(receiver.push(now, source(1), &mut sealed(&key, 1)), Arrival::Audio);
    assert_eq!(receiver.push(now, source(1), &mut sealed(&key, 1)), Arrival::Dropped(DropReason::Replayed));
}

#[test]
fn comfort_noise_is_life_and_a_faint_sound() {
    let mut receiver = Receiver::new(FORMAT, Expected::at(source(1)));
    let now = Instant::now();
    assert_eq!(receiver.push(now, source(1), &mut datagram(13, 1, 160, &[50])), Arrival::ComfortNoise);
    assert_eq!(receiver.last_heard(), Some(now));
    let mut frame = [0; 160];
    assert_eq!(receiver.frame(now, &mut frame).0, Source::Silent);
    assert!((20..300).contains(&magnitude(&frame)), "{}", magnitude(&frame));
}

#[test]
fn a_key_in_the_audio_is_a_press_and_no_speech() {
    let mut receiver = Receiver::new(FORMAT, Expected::at(source(1)));
    let start = Instant::now();
    let (mut presses, mut loud) = (vec![], 0);
    for n in 0..40u16 {
        let now = start + Duration::from_millis(u64::from(n) * 20);
        let on = (10..15).contains(&n);
        let codes: Vec<u8> = (0..160)
            .map(|k| {
                let t = (f64::from(n) * 160.0 + f64::from(k)) / 8000.0 * std::f64::consts::TAU;
                let tone = ((t * 770.0).sin() + (t * 1336.0).sin()) * 5000.0;
                Law::Mu.encode(if on { tone as i16 } else { 0 })
            })
            .collect();
        receiver.push(now, source(1), &mut datagram(0, n, u32::from(n) * 160, &codes));
        let mut frame = [0; 160];
        presses.extend(receiver.frame(now, &mut frame).1.map(|p| p.digit.as_char()));
        loud += u32::from(magnitude(&frame) > 1000);
    }
    assert_eq!(presses, ['5']);
    assert!(loud <= 2, "{loud} frames of the tone went on to the recognizer");
}

/// Packets of 30 ms, the sixth of which is lost: what is left of the first is heard before the gap, and at once.
#[test]
fn what_is_left_of_a_packet_is_heard_before_what_is_missing() {
    let mut receiver = Receiver::new(FORMAT, Expected::at(source(1)));
    let start = Instant::now();
    let mut levels = vec![];
    for n in 0..40u32 {
        let now = start + Duration::from_millis(u64::from(n) * 20);
        for packet in (0..20u32).filter(|packet| packet * 30 / 20 == n && *packet != 5) {
            let code = Law::Mu.encode(1000 * (packet as i16 + 1));
            let mut bytes = datagram(0, packet as u16, packet * 240, &[code; 240]);
            receiver.push(now, source(1), &mut bytes);
        }
        let mut frame = [0; 160];
        let (from, _) = receiver.frame(now, &mut frame);
        // The first and the last sample of each half of a frame.
        levels.push((from, frame[0], frame[79], frame[80], frame[159]));
    }
    let fifth = Law::Mu.decode(Law::Mu.encode(5000));
    let concealed = levels.iter().position(|(from, ..)| *from == Source::Concealed).expect("a gap");
    let (_, _, last, ..) = levels[concealed];
    assert_eq!(last, fifth, "the rest is heard at the front of the gap: {levels:?}");
    let later = &levels[concealed + 1..];
    assert!(later.iter().all(|(from, _, last, ..)| *from != Source::Heard || *last != fifth), "{levels:?}");
}
