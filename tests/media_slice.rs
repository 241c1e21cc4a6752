//! A slice of the media clock allocates nothing but the batch of caller audio that it hands over.
//!
//! Whole slices over real sockets: datagrams are read, authenticated, held in the jitter buffer and decoded; what waits is coded,
//! protected and sent; digits are heard and pressed, RTCP is read and written, metrics are added up.

use std::cell::Cell;
use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use bellhop_actors::media_shard::udp_port::UdpPort;
use bellhop_actors::media_shard::{
    BATCH_FRAMES, ControlPath, Datagram, Deliver, Leg, LegCores, LegEvents, LegHandle, LegMode, PHASES, PacketPort,
    SLICE, Shard,
};
use bellhop_media::codec::{Codec, Decoder, Encoder};
use bellhop_media::dtmf::Digit;
use bellhop_media::dtmf::rfc4733::Press;
use bellhop_media::g711::Law;
use bellhop_media::latch::Expected;
use bellhop_media::playout::{Clip, ClipId, DigitPress, Event, Playout, SendFormat, Sound};
use bellhop_media::receiver::{EventFormat, Receiver, StreamFormat};
use bellhop_media::rtcp::{CONTROL_BYTES_MAX, Control, Sent, Time};
use bellhop_media::rtp::{PACKET_BYTES_MAX, Packet};
use bellhop_media::srtp::{Inbound, MasterKey, Outbound, Suite};
use bellhop_media::statistics::Reception;
use metrics::{Counter, Gauge, Histogram, KeyName, Metadata, SharedString, Unit};

/// Counts what is counted; looking a family up allocates, as in any recorder.
struct Recorder;

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &metrics::Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(AtomicU64::new(0)))
    }

    fn register_gauge(&self, _: &metrics::Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &metrics::Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// Legs on the clock: one in each phase.
const LEGS: usize = PHASES;
/// Frames until the first digits, reports and clips are by and everything has found its size.
const WARM: usize = 300;
/// Frames that are counted: a report of RTCP and six additions to the metrics.
const FRAMES: usize = 300;
/// The payload types of audio and of telephone-event.
const AUDIO: u8 = 96;
const EVENTS: u8 = 101;

#[derive(Default)]
struct Seen {
    batches: Cell<usize>,
    digits: Cell<usize>,
    clips: Cell<usize>,
}

/// Counts what a leg reports.
struct Counting(Rc<Seen>);

fn count(cell: &Cell<usize>) {
    cell.set(cell.get() + 1);
}

impl LegEvents for Counting {
    fn digit(&self, _: Press) {
        count(&self.0.digits);
    }

    fn audio(&self, samples: Vec<i16>, frame_samples: usize, _: Duration) {
        assert_eq!(samples.len(), BATCH_FRAMES * frame_samples);
        count(&self.0.batches);
        // Freed elsewhere, as by the recognizer.
        std::mem::forget(samples);
    }

    fn clip(&self, _: Event) {
        count(&self.0.clips);
    }

    fn recorded(&self, _: Vec<i16>) {}

    fn silent(&self) {
        panic!("the far end sends");
    }

    fn failed(&self) {
        panic!("a leg's slice panicked");
    }
}

fn key() -> MasterKey {
    MasterKey::new(Suite::AesCm128HmacSha1_80, &[7; 30]).expect("30 bytes")
}

/// A real port whose datagrams are read as they come, by the test's clock: how long they really waited is the machine's matter.
struct Punctual(UdpPort);

impl PacketPort for Punctual {
    fn drain(&mut self, deliver: &mut Deliver<'_>) {
        self.0.drain(&mut |datagram| deliver(Datagram { age: Duration::ZERO, ..datagram }));
    }

    fn drain_control(&mut self, deliver: &mut Deliver<'_>) {
        self.0.drain_control(&mut |datagram| deliver(Datagram { age: Duration::ZERO, ..datagram }));
    }

    fn send(&mut self, bytes: &[u8], to: SocketAddr) -> bool {
        self.0.send(bytes, to)
    }

    fn send_control(&mut self, bytes: &[u8], to: SocketAddr) -> bool {
        self.0.send_control(bytes, to)
    }
}

/// The far end of a leg: a caller who speaks, presses a digit each second and reports.
struct FarEnd {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    to: (SocketAddr, SocketAddr),
    codec: Codec,
    encoder: Encoder,
    seal: Option<Outbound>,
    control: Control,
    reception: Reception,
    sequence: u16,
}

impl FarEnd {
    fn speak(&mut self, frame: usize, now: Instant) {
        let samples = self.codec.frame_samples();
        let tone: Vec<i16> =
            (0..samples).map(|n| (((frame * samples + n) as f64 * 0.2).sin() * 6000.0) as i16).collect();
        let mut payload = [0; 480];
        let length = self.encoder.encode(&tone, &mut payload);
        let timestamp = frame as u32 * (self.codec.clock_rate() / 50);
        self.send(AUDIO, false, timestamp, &payload[..length]);
        let of_second = frame % 50;
        if of_second < 5 {
            let began = (frame - of_second) as u32 * (self.codec.clock_rate() / 50);
            let end = if of_second >= 2 { 0x8a } else { 0x0a };
            self.send(EVENTS, of_second == 0, began, &[5, end, 3, (of_second * 40) as u8]);
        }
        if of_second == 25 {
            let mut packet = [0; CONTROL_BYTES_MAX];
            let sent = Sent { ssrc: 9, packets: frame as u32 + 1, bytes: 160, timestamp };
            let time = Time { now, ntp: (frame as u64) << 32 };
            let length = self.control.report(time, sent, Some(&mut self.reception), &mut packet);
            let length = self.seal.as_mut().map_or(length, |seal| seal.protect_control(&mut packet, length));
            self.rtcp.send_to(&packet[..length], self.to.1).expect("loopback");
        }
    }

    fn send(&mut self, payload_type: u8, marker: bool, timestamp: u32, payload: &[u8]) {
        let packet = Packet { payload_type, marker, sequence: self.sequence, timestamp, ssrc: 9, payload };
        self.sequence = self.sequence.wrapping_add(1);
        let mut bytes = [0; PACKET_BYTES_MAX];
        let length = packet.write(&mut bytes).expect("fits");
        let length = self.seal.as_mut().map_or(length, |seal| seal.protect(&mut bytes, length));
        self.rtp.send_to(&bytes[..length], self.to.0).expect("loopback");
    }

    /// What was sent here; how many packets.
    fn hear(&self) -> usize {
        let mut bytes = [0; 1500];
        while self.rtcp.recv(&mut bytes).is_ok() {}
        std::iter::from_fn(|| self.rtp.recv(&mut bytes).ok()).count()
    }
}

/// A leg on the clock, and who is at its other end.
fn leg(shard: &Rc<Shard>, codec: Codec, secure: bool, seen: &Rc<Seen>) -> (LegHandle, Rc<LegCores>, FarEnd) {
    let here = || "127.0.0.1:0".parse::<SocketAddr>().expect("an address");
    let socket = || {
        let socket = UdpSocket::bind(here()).expect("a port");
        socket.set_nonblocking(true).expect("a socket");
        socket
    };
    let port = UdpPort::bind(here()).expect("two ports");
    let (rtp, rtcp) = (socket(), socket());
    let far_end = rtp.local_addr().expect("bound");
    let telephone_event = Some(EventFormat { payload_type: EVENTS, clock_rate: codec.clock_rate() });
    let format = StreamFormat { codec, payload_type: AUDIO, telephone_event, comfort_noise: None };
    let send = SendFormat { codec, payload_type: AUDIO, ptime_ms: 20, telephone_event, comfort_noise: None };
    let now = bellhop_actors::now();
    let (mut receiver, mut playout) = (Receiver::new(format, Expected::at(far_end)), Playout::new(send, 7, 1, 1));
    if secure {
        receiver.secure(Some(Inbound::new(&key(), 0)));
        playout.secure(Some(Outbound::new(&key())));
    }
    let cores = LegCores::new(now, receiver, playout, Control::new("near".into()), Duration::from_secs(60));
    cores.control_path.set(ControlPath::Apart(rtcp.local_addr().expect("bound")));
    cores.set_mode(LegMode::Talking, now);
    let cores = Rc::new(cores);
    let far_end = FarEnd {
        rtp,
        rtcp,
        to: port.addresses().expect("bound"),
        codec,
        encoder: Encoder::new(codec),
        seal: secure.then(|| Outbound::new(&key())),
        control: Control::new("far".into()),
        reception: Reception::begin(7, 0),
        sequence: 0,
    };
    let events = Box::new(Counting(Rc::clone(seen)));
    let handle = shard.register(Leg { port: Box::new(Punctual(port)), cores: Rc::clone(&cores), events });
    (handle, cores, far_end)
}

/// Clips and a digit wait at every leg: somebody else allocated them.
fn say(cores: &LegCores, codec: Codec, frame: usize) {
    let samples: Vec<i16> = (0..codec.frame_samples() * 30).map(|n| ((n as f64 * 0.1).sin() * 6000.0) as i16).collect();
    let clip = Clip { id: ClipId(frame as u64), sound: Sound::of(&samples, codec), repeats: false };
    let press = DigitPress { digit: Digit::from_char('5').expect("a digit"), hold_ms: 100, pause_ms: 40, volume: 10 };
    let mut playout = cores.playout.borrow_mut();
    assert!(playout.enqueue(clip) && playout.press(ClipId(frame as u64 + 1), press), "an empty queue has room");
}

/// What the slices of many frames allocated, beside the batches they handed over.
fn allocations(codec: Codec, secure: bool) -> u64 {
    // The first test of the process sets it; any other finds it there.
    let _ = metrics::set_global_recorder(Recorder);
    let (shard, seen) = (Shard::without_clock(), Rc::new(Seen::default()));
    let mut legs: Vec<_> = (0..LEGS).map(|_| leg(&shard, codec, secure, &seen)).collect();
    assert_eq!(shard.legs(), LEGS);
    let (mut counted, mut heard, start) = (0, 0, bellhop_actors::now());
    let mut batches = 0;
    for frame in 0..WARM + FRAMES {
        if frame == WARM {
            (batches, heard) = (seen.batches.get(), 0);
        }
        let now = start + SLICE * (frame * PHASES) as u32;
        for (_, cores, far_end) in &mut legs {
            far_end.speak(frame, now);
            if frame.is_multiple_of(50) {
                say(cores, codec, frame);
            }
        }
        for phase in 0..PHASES {
            let at = now + SLICE * phase as u32;
            let slice = allocation_counter::measure(|| {
                shard.legs();
                shard.slice(phase, at);
            });
            counted += if frame < WARM { 0 } else { slice.count_total };
        }
        heard += legs.iter().map(|(_, _, far_end)| far_end.hear()).sum::<usize>();
    }
    let batches = seen.batches.get() - batches;
    assert_eq!(batches, LEGS * FRAMES / BATCH_FRAMES, "audio was handed over");
    assert!(seen.digits.get() >= LEGS * FRAMES / 50, "{} digits were heard", seen.digits.get());
    assert!(seen.clips.get() >= LEGS * FRAMES / 50, "{} reports of clips", seen.clips.get());
    // Between two digits nothing is sent.
    assert!(heard >= LEGS * FRAMES * 9 / 10, "{heard} packets were sent");
    for (_, cores, _) in &legs {
        assert!(cores.control.borrow().far_end().is_some(), "the far end's reports were read");
    }
    counted.checked_sub(batches as u64).expect("a batch is an allocation")
}

#[test]
fn a_slice_allocates_nothing_but_the_batch_that_it_hands_over() {
    for codec in [Codec::G711(Law::Mu), Codec::G711(Law::A), Codec::Opus] {
        for secure in [false, true] {
            assert_eq!(allocations(codec, secure), 0, "{codec:?}, secure: {secure}");
        }
    }
}

/// The G.722 library gives what it codes and decodes in vectors of its own, which grow as they are filled; nobody else allocates.
#[test]
fn a_slice_of_g722_allocates_what_its_library_returns() {
    let (mut encoder, mut decoder) = (Encoder::new(Codec::G722), Decoder::new(Codec::G722));
    let (mut samples, mut payload) = ([0; 320], [0; 160]);
    let of_library = allocation_counter::measure(|| {
        encoder.encode(&samples, &mut payload);
        decoder.decode(&payload, &mut samples);
    });
    let most = of_library.count_total * (LEGS * FRAMES) as u64;
    for secure in [false, true] {
        let counted = allocations(Codec::G722, secure);
        assert!(counted <= most, "{counted} allocations, the library's are {most} at most, secure: {secure}");
    }
}

/// A port that panics when it is read.
struct Cursed;

impl PacketPort for Cursed {
    fn drain(&mut self, _: &mut Deliver<'_>) {
        panic!("a bad packet");
    }

    fn drain_control(&mut self, _: &mut Deliver<'_>) {}

    fn send(&mut self, _: &[u8], _: SocketAddr) -> bool {
        true
    }

    fn send_control(&mut self, _: &[u8], _: SocketAddr) -> bool {
        true
    }
}

struct Fails(Rc<Cell<usize>>);

impl LegEvents for Fails {
    fn digit(&self, _: Press) {}
    fn audio(&self, _: Vec<i16>, _: usize, _: Duration) {}
    fn clip(&self, _: Event) {}
    fn recorded(&self, _: Vec<i16>) {}
    fn silent(&self) {}
    fn failed(&self) {
        count(&self.0);
    }
}

#[test]
fn a_leg_whose_slice_panics_ends_alone() {
    let (shard, seen, failed) = (Shard::without_clock(), Rc::new(Seen::default()), Rc::default());
    let mut others: Vec<_> = (0..PHASES).map(|_| leg(&shard, Codec::G711(Law::Mu), false, &seen)).collect();
    let (_, cores, _) = &others[0];
    let events = Box::new(Fails(Rc::clone(&failed)));
    let _cursed = shard.register(Leg { port: Box::new(Cursed), cores: Rc::clone(cores), events });
    assert_eq!(shard.legs(), PHASES + 1);
    let start = bellhop_actors::now();
    for frame in 0..20 {
        let now = start + SLICE * (frame * PHASES) as u32;
        others.iter_mut().for_each(|(_, _, far_end)| far_end.speak(frame, now));
        (0..PHASES).for_each(|phase| shard.slice(phase, now));
    }
    assert_eq!((failed.get(), shard.legs()), (1, PHASES), "it is told once and is on the clock no more");
    assert!(others.iter().all(|(_, _, far_end)| far_end.hear() >= 19), "the others were served");
}

/// To ask for the memory of the next leg is a hint: what is wrong with that one is found by its own slice.
#[test]
fn a_leg_that_cannot_be_looked_at_ends_none_but_itself() {
    let (shard, seen, failed) = (Shard::without_clock(), Rc::new(Seen::default()), Rc::default());
    let mut others: Vec<_> = (0..PHASES).map(|_| leg(&shard, Codec::G711(Law::Mu), false, &seen)).collect();
    let (_elsewhere, cores, _) = leg(&Shard::without_clock(), Codec::G711(Law::Mu), false, &seen);
    let events = Box::new(Fails(Rc::clone(&failed)));
    let _cursed = shard.register(Leg { port: Box::new(Cursed), cores: Rc::clone(&cores), events });
    assert_eq!(shard.legs(), PHASES + 1);
    let held = (cores.receiver.borrow_mut(), cores.playout.borrow_mut());
    let start = bellhop_actors::now();
    for frame in 0..20 {
        let now = start + SLICE * (frame * PHASES) as u32;
        others.iter_mut().for_each(|(_, _, far_end)| far_end.speak(frame, now));
        (0..PHASES).for_each(|phase| shard.slice(phase, now));
    }
    drop(held);
    assert_eq!((failed.get(), shard.legs()), (1, PHASES), "it is told once and is on the clock no more");
    assert!(others.iter().all(|(_, _, far_end)| far_end.hear() >= 19), "the others were served");
}
