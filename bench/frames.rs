//! `make frames`: what one 20 ms frame of one leg costs in the cores, and how often it allocates.
//!
//! In and out: a packet is taken, 20 ms are pulled, 20 ms are sent, for each codec in the clear and with SRTP. The path of
//! G.711 and Opus must not allocate once the first seconds are by; the G.722 library gives its results in vectors. The last
//! line is one JSON object.

#![allow(clippy::print_stdout)] // a command-line tool

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bellhop_media::codec::{Codec, Encoder};
use bellhop_media::g711::Law;
use bellhop_media::latch::Expected;
use bellhop_media::playout::{Clip, ClipId, Playout, SendFormat, Sound};
use bellhop_media::receiver::{EventFormat, Receiver, StreamFormat};
use bellhop_media::rtp::{PACKET_BYTES_MAX, Packet};
use bellhop_media::srtp::{Inbound, MasterKey, Outbound, Suite};
use serde_json::json;

const FRAMES: usize = 20_000;
const WARM: usize = 200;

fn main() -> Result<()> {
    let mut report = serde_json::Map::new();
    for (name, codec) in [("pcmu", Codec::G711(Law::Mu)), ("g722", Codec::G722), ("opus", Codec::Opus)] {
        for secure in [false, true] {
            let (nanoseconds, allocations) = frames(codec, secure);
            let name = if secure { format!("{name}_srtp") } else { name.to_owned() };
            println!("{name:10} {nanoseconds:6.0} ns a frame, {allocations:.3} allocations a frame");
            // The places of the jitter buffer grow with the longest packet so far, a few times in a call.
            ensure!(codec == Codec::G722 || allocations < 0.01, "{name} allocates on the audio path");
            report.insert(name, json!({"ns_per_frame": nanoseconds, "allocations_per_frame": allocations}));
        }
    }
    println!("{}", serde_json::Value::Object(report));
    Ok(())
}

/// Nanoseconds and allocations of one frame in and out, by the mean of many.
fn frames(codec: Codec, secure: bool) -> (f64, f64) {
    let packets = packets(codec, secure);
    let telephone_event = Some(EventFormat { payload_type: 101, clock_rate: 8000 });
    let source = SocketAddr::from(([192, 0, 2, 1], 4000));
    let format = StreamFormat { codec, payload_type: 96, telephone_event, comfort_noise: None };
    let mut receiver = Receiver::new(format, Expected::at(source));
    let send = SendFormat { codec, payload_type: 96, ptime_ms: 20, telephone_event, comfort_noise: None };
    let mut playout = Playout::new(send, 7, 1, 1);
    if secure {
        receiver.secure(Some(Inbound::new(&key(), 0)));
        playout.secure(Some(Outbound::new(&key())));
    }
    let clip: Vec<i16> =
        (0..codec.frame_samples() * (FRAMES + WARM)).map(|n| ((n as f64 * 0.1).sin() * 6000.0) as i16).collect();
    let queued = playout.enqueue(Clip { id: ClipId(1), sound: Sound::of(&clip, codec), repeats: false });
    assert!(queued, "an empty queue has room");
    let mut frame = vec![0; codec.frame_samples()];
    let mut buffer = [0; PACKET_BYTES_MAX];
    let start = Instant::now();
    let mut run = |range: std::ops::Range<usize>| {
        for n in range {
            let at = start + Duration::from_millis(n as u64 * 20);
            let (bytes, length) = &packets[n];
            let mut datagram = *bytes;
            receiver.push(at, source, &mut datagram[..*length]);
            receiver.frame(at, &mut frame);
            playout.tick();
            while playout.packet(&mut buffer).is_some() {}
        }
    };
    run(0..WARM);
    let mut took = Duration::ZERO;
    let counted = allocation_counter::measure(|| {
        let began = Instant::now();
        run(WARM..WARM + FRAMES);
        took = began.elapsed();
    });
    (took.as_nanos() as f64 / FRAMES as f64, counted.count_total as f64 / FRAMES as f64)
}

/// What a caller sends: a tone in packets of 20 ms.
fn packets(codec: Codec, secure: bool) -> Vec<([u8; PACKET_BYTES_MAX], usize)> {
    let mut encoder = Encoder::new(codec);
    let mut seal = secure.then(|| Outbound::new(&key()));
    let samples = codec.frame_samples();
    (0..FRAMES + WARM)
        .map(|n| {
            let tone: Vec<i16> =
                (0..samples).map(|k| (((n * samples + k) as f64 * 0.2).sin() * 6000.0) as i16).collect();
            let mut payload = [0; 480];
            let length = encoder.encode(&tone, &mut payload);
            let timestamp = n as u32 * (codec.clock_rate() / 50);
            let payload = &payload[..length];
            let packet = Packet { payload_type: 96, marker: false, sequence: n as u16, timestamp, ssrc: 9, payload };
            let mut bytes = [0; PACKET_BYTES_MAX];
            let length = packet.write(&mut bytes).expect("fits");
            let length = seal.as_mut().map_or(length, |seal| seal.protect(&mut bytes, length));
            (bytes, length)
        })
        .collect()
}

fn key() -> MasterKey {
    MasterKey::new(Suite::AesCm128HmacSha1_80, &[7; 30]).expect("30 bytes")
}
