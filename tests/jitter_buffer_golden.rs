//! The jitter buffer's output, sample for sample, on seeded traces: loss, reordering, skew, wrap, and a spike.
//!
//! `BLESS=1` writes the golden files anew; a change of them is a change of what callers hear.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bellhop_media::codec::Codec;
use bellhop_media::g711::Law;
use bellhop_media::latch::Expected;
use bellhop_media::receiver::{EventFormat, Receiver, Source, StreamFormat};
use bellhop_media::rtp::{PACKET_BYTES_MAX, Packet};
use bellhop_media::{FRAME_SAMPLES, Frame};

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % n
    }
}

/// When packet `n` arrives, in microseconds; `None` if it is lost.
type Trace = fn(u64, &mut Random) -> Option<u64>;

const TRACES: [(&str, u32, Trace); 5] = [
    ("loss", 0, |n, random| (random.below(100) >= 8).then_some(n * 20_000)),
    ("reordering", 0, |n, random| Some(n * 20_000 + random.below(45_000))),
    ("skew", 0, |n, _| Some(n * 20_000 * 997 / 1000)),
    ("wrap", u32::MAX - 4000, |n, random| Some(n * 20_000 + random.below(6_000))),
    ("spike", 0, |n, _| Some(n * 20_000 + if (100..108).contains(&n) { (108 - n) * 20_000 } else { 0 })),
];

fn tone(n: u64) -> [u8; FRAME_SAMPLES] {
    std::array::from_fn(|k| {
        let t = (n * FRAME_SAMPLES as u64 + k as u64) as f64 / 8000.0;
        let sweep = 200.0 + 150.0 * (t * 0.7).sin();
        Law::Mu.encode(((t * sweep * std::f64::consts::TAU).sin() * 9000.0) as i16)
    })
}

/// One line a frame: where it came from, a checksum of its samples, and the delay aimed at.
fn play(first: u32, trace: Trace) -> (String, Vec<Duration>) {
    let start = Instant::now();
    let telephone_event = Some(EventFormat { payload_type: 101, clock_rate: 8000 });
    let codec = Codec::G711(Law::Mu);
    let format = StreamFormat { codec, payload_type: 0, telephone_event, comfort_noise: None };
    let source = "192.0.2.1:4000".parse().expect("an address");
    let mut receiver = Receiver::new(format, Expected::at(source));
    let mut random = Random(42);
    let mut due: Vec<(u64, u64)> = (0..500).filter_map(|n| Some((trace(n, &mut random)?, n))).collect();
    due.sort_unstable();
    let (mut log, mut delays, mut at) = (String::new(), vec![], 0);
    for frame_number in 0..520u64 {
        let now_us = frame_number * 20_000 + 3_000;
        while let Some((arrives, n)) = due.get(at).filter(|(arrives, _)| *arrives <= now_us) {
            let payload = tone(*n);
            let timestamp = first.wrapping_add(*n as u32 * 160);
            let sequence = (first as u16).wrapping_add(*n as u16);
            let packet = Packet { payload_type: 0, marker: false, sequence, timestamp, ssrc: 1, payload: &payload };
            let mut buffer = [0; PACKET_BYTES_MAX];
            let length = packet.write(&mut buffer).expect("fits");
            receiver.push(start + Duration::from_micros(*arrives), source, &mut buffer[..length]);
            at += 1;
        }
        let mut frame: Frame = [0; FRAME_SAMPLES];
        let (from, _) = receiver.frame(start + Duration::from_micros(now_us), &mut frame);
        let letter = match from {
            Source::Heard => 'H',
            Source::Concealed => 'C',
            Source::Silent => '.',
        };
        let sum = frame.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, sample| {
            (hash ^ u64::from(*sample as u16)).wrapping_mul(0x0100_0000_01b3)
        });
        let _ = writeln!(log, "{frame_number:3} {letter} {:08x} {}ms", sum >> 32, receiver.delay().as_millis());
        delays.push(receiver.delay());
    }
    (log, delays)
}

#[test]
fn what_callers_hear_is_what_it_was() {
    for (name, first, trace) in TRACES {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("golden/jitter_buffer/{name}.txt"));
        let (log, _) = play(first, trace);
        if std::env::var_os("BLESS").is_some() {
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(&path, &log).expect("written");
        }
        let golden = std::fs::read_to_string(&path).expect("a golden file: run with BLESS=1");
        let first_change = log.lines().zip(golden.lines()).find(|(now, then)| now != then);
        assert!(log == golden, "{name}: {first_change:?}");
    }
}

#[test]
fn the_delay_shrinks_again_after_a_spike() {
    let (_, delays) = play(0, TRACES[4].2);
    let (before, peak, after) = (delays[95], delays[100..130].iter().max().copied(), delays[519]);
    assert!(peak.is_some_and(|peak| peak >= Duration::from_millis(100)), "{peak:?}");
    assert!(after <= before + Duration::from_millis(10), "{before:?} then {after:?}");
}
