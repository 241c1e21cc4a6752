//! The numbers, lengths and marks of packets.

use super::super::{Clip, ClipId, Event};
use super::*;

const MU: SendFormat = SendFormat {
    codec: Codec::G711(Law::Mu),
    payload_type: 0,
    ptime_ms: 20,
    telephone_event: None,
    comfort_noise: None,
};
const EVENTS: Option<EventFormat> = Some(EventFormat { payload_type: 101, clock_rate: 8000 });

type Sender = (Packetizer, Queue);

fn sender(format: SendFormat) -> Sender {
    (Packetizer::new(format, 7, 65534, u32::MAX - 200), Queue::default())
}

fn clip(id: u64, length: usize) -> Clip {
    Clip { id: ClipId(id), sound: Sound::Coded(Law::Mu, vec![id as u8; length].into()), repeats: false }
}

/// What one tick sends: sequence, timestamp, marker, first and last byte of each packet.
fn tick((packetizer, queue): &mut Sender) -> Vec<(u16, u32, bool, u8, u8)> {
    packetizer.tick();
    let mut buffer = [0; PACKET_BYTES_MAX];
    std::iter::from_fn(|| {
        let length = packetizer.packet(queue, &mut buffer)?;
        let p = Packet::parse(&buffer[..length]).expect("RTP");
        Some((p.sequence, p.timestamp, p.marker, p.payload[0], p.payload[p.payload.len() - 1]))
    })
    .collect()
}

#[test]
fn numbers_run_on_across_talk_spurts_and_wraps() {
    let mut sender = sender(MU);
    let t = u32::MAX - 200;
    assert_eq!(tick(&mut sender), [(65534, t, false, 0xff, 0xff)]);
    assert!(sender.1.enqueue(clip(1, 200)) && sender.1.enqueue(clip(2, 120)));
    assert_eq!(tick(&mut sender), [(65535, t.wrapping_add(160), true, 1, 1)]);
    assert_eq!(tick(&mut sender), [(0, t.wrapping_add(320), false, 1, 2)]);
    assert_eq!(tick(&mut sender), [(1, t.wrapping_add(480), false, 0xff, 0xff)]);
    sender.0.skip();
    assert!(sender.1.enqueue(clip(3, 10)));
    assert_eq!(tick(&mut sender), [(2, t.wrapping_add(800), true, 3, 0xff)]);
    let events: Vec<_> = std::iter::from_fn(|| sender.1.poll_event()).collect();
    let expected = [1, 2, 3].map(|id| [Event::Started(ClipId(id)), Event::Finished(ClipId(id))]).concat();
    assert_eq!(events, expected);
    assert_eq!((sender.0.sent().packets, sender.0.sent().bytes), (5, 800));
}

#[test]
fn packets_have_the_length_that_was_agreed() {
    for (ptime_ms, per_second) in [(10, 100), (20, 50), (30, 33), (40, 25), (60, 16)] {
        for codec in [Codec::G711(Law::A), Codec::G722] {
            let mut sender = sender(SendFormat { codec, ptime_ms, ..MU });
            let sent: Vec<_> = (0..50).flat_map(|_| tick(&mut sender)).collect();
            assert_eq!(sent.len(), per_second, "{codec:?} {ptime_ms} ms");
            let steps: Vec<u32> = sent.windows(2).map(|w| w[1].1.wrapping_sub(w[0].1)).collect();
            assert!(steps.iter().all(|step| *step == u32::from(ptime_ms) * 8), "{steps:?}");
        }
    }
    let mut opus = sender(SendFormat { codec: Codec::Opus, ..MU });
    let sent: Vec<_> = (0..10).flat_map(|_| tick(&mut opus)).collect();
    assert!(sent.windows(2).all(|w| w[1].1.wrapping_sub(w[0].1) == 960), "a clock of 48 kHz");
}

#[test]
fn with_dtx_silence_is_one_packet_a_second() {
    let mut sender = sender(SendFormat { comfort_noise: Some(13), telephone_event: EVENTS, ..MU });
    let idle: usize = (0..100).map(|_| tick(&mut sender).len()).sum();
    assert_eq!(idle, 2);
    assert!(sender.1.enqueue(clip(1, 320)));
    let first = tick(&mut sender);
    assert!(first[0].2, "a talk spurt begins with the marker");
    assert_eq!(tick(&mut sender).len(), 1);
    assert_eq!(tick(&mut sender), [(65534u16.wrapping_add(4), first[0].1.wrapping_add(320), false, 70, 70)]);
}
