//! What one leg sends, packet by packet.

use super::*;
use crate::dtmf::Digit;
use crate::dtmf::in_band::ToneDetector;
use crate::dtmf::rfc4733::EventReceiver;
use crate::g711::Law;
use crate::rtp::Packet;

const MU: SendFormat = SendFormat {
    codec: Codec::G711(Law::Mu),
    payload_type: 0,
    ptime_ms: 20,
    telephone_event: None,
    comfort_noise: None,
};

fn playout(format: SendFormat) -> Playout {
    Playout::new(format, 7, 65534, u32::MAX - 200)
}

fn clip(id: u64, length: usize) -> Clip {
    Clip { id: ClipId(id), sound: Sound::Coded(Law::Mu, vec![id as u8; length].into()), repeats: false }
}

/// What one tick sends: sequence, timestamp, marker, first and last byte of each packet.
fn tick(playout: &mut Playout) -> Vec<(u16, u32, bool, u8, u8)> {
    playout.tick();
    let mut buffer = [0; PACKET_BYTES_MAX];
    std::iter::from_fn(|| {
        let length = playout.packet(&mut buffer)?;
        let p = Packet::parse(&buffer[..length]).expect("RTP");
        Some((p.sequence, p.timestamp, p.marker, p.payload[0], p.payload[p.payload.len() - 1]))
    })
    .collect()
}

#[test]
fn a_cut_is_silence_with_the_next_packet() {
    let mut playout = playout(MU);
    assert!(playout.enqueue(clip(1, 1600)) && playout.enqueue(clip(2, 1600)));
    tick(&mut playout);
    assert_eq!(playout.cut(), Some(Cut { id: ClipId(1), heard: 160, of: 1600 }));
    assert_eq!(tick(&mut playout)[0].3, 0xff);
    assert!(!playout.is_playing());
    assert_eq!(playout.cut(), None);
}

#[test]
fn another_codec_is_heard_the_same() {
    let mut playout = playout(MU);
    let loud = Law::Mu.encode(8000);
    assert!(playout.enqueue(Clip {
        id: ClipId(1),
        sound: Sound::Coded(Law::Mu, vec![loud; 1600].into()),
        repeats: false
    }));
    playout.reformat(SendFormat { codec: Codec::G711(Law::A), payload_type: 8, ..MU });
    assert!((Law::A.decode(tick(&mut playout)[0].3) - 8000).abs() < 300);
    playout.reformat(SendFormat { codec: Codec::G722, payload_type: 9, ..MU });
    tick(&mut playout);
    assert_eq!(playout.cut(), Some(Cut { id: ClipId(1), heard: 640, of: 3200 }));
}

#[test]
fn digits_are_events_that_a_receiver_understands() {
    for (clock_rate, codec) in [(8000, Codec::G711(Law::Mu)), (48_000, Codec::Opus)] {
        let telephone_event = Some(EventFormat { payload_type: 101, clock_rate });
        let mut playout = playout(SendFormat { codec, telephone_event, ..MU });
        for (n, sign) in "11#".chars().enumerate() {
            let digit = Digit::from_char(sign).expect("a digit");
            let press = DigitPress { digit, hold_ms: 100, pause_ms: 60, volume: 10 };
            assert!(playout.press(ClipId(n as u64), press));
        }
        let mut receiver = EventReceiver::new(clock_rate);
        let (mut heard, mut held) = (String::new(), vec![]);
        let mut buffer = [0; PACKET_BYTES_MAX];
        for _ in 0..60 {
            playout.tick();
            while let Some(length) = playout.packet(&mut buffer) {
                let packet = Packet::parse(&buffer[..length]).expect("RTP");
                if packet.payload_type == 101
                    && let Some(press) = receiver.push(&packet)
                {
                    heard.push(press.digit.as_char());
                    held.push(press.held.as_millis());
                }
            }
        }
        assert_eq!((heard.as_str(), held), ("11#", vec![100, 100, 100]));
        let finished = std::iter::from_fn(|| playout.poll_event()).filter(|e| matches!(e, Event::Finished(_)));
        assert_eq!(finished.count(), 3);
    }
}

/// A re-INVITE takes telephone-event away while one digit is being pressed and another waits.
#[test]
fn digits_that_wait_are_tones_once_events_are_not_negotiated_any_more() {
    let telephone_event = Some(EventFormat { payload_type: 101, clock_rate: 8000 });
    let mut playout = playout(SendFormat { telephone_event, ..MU });
    for (n, sign) in "12".chars().enumerate() {
        let digit = Digit::from_char(sign).expect("a digit");
        assert!(playout.press(ClipId(n as u64), DigitPress { digit, hold_ms: 100, pause_ms: 60, volume: 10 }));
    }
    let mut buffer = [0; PACKET_BYTES_MAX];
    let (mut packets, mut events) = (vec![], vec![]);
    for n in 0..40 {
        if n == 2 {
            playout.reformat(MU);
        }
        playout.tick();
        while let Some(length) = playout.packet(&mut buffer) {
            packets.push((n, Packet::parse(&buffer[..length]).expect("RTP").payload_type));
        }
        events.extend(std::iter::from_fn(|| playout.poll_event()));
    }
    assert!(packets.iter().all(|(n, payload_type)| (*payload_type == 101) == (*n < 2)), "{packets:?}");
    let (started, finished) = (Event::Started, Event::Finished);
    assert_eq!(events, [started(ClipId(0)), finished(ClipId(0)), started(ClipId(1)), finished(ClipId(1))]);
}

#[test]
fn without_telephone_event_digits_are_tones() {
    let mut playout = playout(MU);
    for sign in "0D".chars() {
        let digit = Digit::from_char(sign).expect("a digit");
        assert!(playout.press(ClipId(1), DigitPress { digit, hold_ms: 80, pause_ms: 60, volume: 3 }));
    }
    let (mut detector, mut heard) = (ToneDetector::default(), String::new());
    let mut buffer = [0; PACKET_BYTES_MAX];
    for _ in 0..30 {
        playout.tick();
        let length = playout.packet(&mut buffer).expect("a packet a frame");
        let mut samples = [0; 160];
        Law::Mu.decode_into(Packet::parse(&buffer[..length]).expect("RTP").payload, &mut samples);
        heard.extend(detector.push(&samples).map(|p| p.digit.as_char()));
    }
    assert_eq!(heard, "0D");
}

#[test]
fn the_queue_is_bounded() {
    let mut playout = playout(MU);
    assert_eq!((0..100).filter(|n| playout.enqueue(clip(*n, 1))).count(), ITEMS_MAX);
}
