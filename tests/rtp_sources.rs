//! Who is heard, and what is measured of it: RTP and RTCP as carriers, NAT, media nodes that fail over, and thieves send it.
//!
//! The cases are those of `tests/cases/signalling.yaml` that are about media, each under its name.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bellhop_actors::call::leg::quality;
use bellhop_actors::media_shard::{
    ControlPath, Datagram, Deliver, Leg, LegCores, LegEvents, LegMode, PacketPort, Shard,
};
use bellhop_media::codec::Codec;
use bellhop_media::dtmf::rfc4733::Press;
use bellhop_media::g711::Law;
use bellhop_media::latch::Expected;
use bellhop_media::playout::{Event, Playout, SendFormat};
use bellhop_media::receiver::{Receiver, Source, StreamFormat};
use bellhop_media::rtcp::Control;
use bellhop_media::rtp::Packet;
use bellhop_media::srtp::{MasterKey, Outbound, Suite};
use bellhop_sip::message::Method;
use bellhop_sip::sdp::crypto::CryptoLine;
use bellhop_tests::Stage;
use bellhop_tests::cases;
use bellhop_tests::stage::{Choices, INVITE, play};

/// The cases of the file that are tested here.
const HERE: [&str; 8] = [
    "the timestamp goes back under one SSRC",
    "the far end's port moves in mid-call",
    "a re-INVITE that repeats a private address after such a move",
    "foreign packets before the first of the caller",
    "SRTP after a re-INVITE with the same key",
    "ports that somebody else holds",
    "RTCP on its own port",
    "a call of two SSRCs",
];

#[test]
fn every_case_of_media_is_one_of_the_file() {
    let all = cases::names("signalling.yaml");
    HERE.iter().for_each(|name| assert!(all.contains(*name), "{name}"));
}

const CRYPTO: &str = "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

fn signalled() -> SocketAddr {
    "192.0.2.1:40000".parse().expect("an address")
}

fn stranger() -> SocketAddr {
    "198.51.100.66:4000".parse().expect("an address")
}

/// Behind the address that SIP comes from, and so far unknown.
fn behind_nat(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

/// An INVITE of a caller who names a private address.
fn from_private() -> String {
    INVITE.replace("c=IN IP4 192.0.2.1", "c=IN IP4 10.0.0.5")
}

fn answered_keys(stage: &Stage) -> String {
    stage.services.asked().into_iter().filter(|text| text.chars().count() == 1).collect()
}

fn reinvite(stage: &Stage, invite: &str, number: u32) {
    let (head, body) = invite.split_once("\n\n").expect("both parts");
    let head = head
        .replace("CSeq: 1", &format!("CSeq: {number}"))
        .replace("z9hG4bKinvite", &format!("z9hG4bKre{number}"))
        .replace(";transport=UDP\nCall", &format!(";transport=UDP;tag={}\nCall", stage.carrier.to_tag()));
    stage.carrier.sends(&format!("{head}\n\n{body}"));
}

/// A sender of audio and keys.
struct Sender<'a> {
    stage: &'a Stage,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    seal: Option<Outbound>,
}

impl<'a> Sender<'a> {
    fn new(stage: &'a Stage, ssrc: u32) -> Self {
        Self { stage, ssrc, sequence: 1000, timestamp: 160_000, seal: None }
    }

    fn sealed(stage: &'a Stage, ssrc: u32) -> Self {
        Self { seal: Some(Outbound::new(&master())), ..Self::new(stage, ssrc) }
    }

    fn puts(&mut self, from: SocketAddr, payload_type: u8, payload: &[u8]) {
        let (sequence, timestamp, ssrc) = (self.sequence, self.timestamp, self.ssrc);
        let packet = Packet { payload_type, marker: false, sequence, timestamp, ssrc, payload };
        let mut bytes = [0; 600];
        let length = packet.write(&mut bytes).expect("fits");
        let length = self.seal.as_mut().map_or(length, |seal| seal.protect(&mut bytes, length));
        self.stage.line.puts_bytes(from, &bytes[..length]);
        self.sequence = self.sequence.wrapping_add(1);
    }

    async fn talks(&mut self, from: SocketAddr, packets: u32) {
        for _ in 0..packets {
            self.puts(from, 0, &[0xff; 160]);
            self.timestamp = self.timestamp.wrapping_add(160);
            self.stage.pass(20).await;
        }
    }

    async fn presses(&mut self, from: SocketAddr, key: u8) {
        for n in 1..=5u16 {
            let [high, low] = (n * 160).to_be_bytes();
            self.puts(from, 101, &[key, if n > 2 { 0x8a } else { 0x0a }, high, low]);
            self.stage.pass(20).await;
        }
        self.timestamp = self.timestamp.wrapping_add(1600);
        self.stage.pass(100).await;
    }
}

fn master() -> MasterKey {
    let line = CryptoLine::parse(CRYPTO).expect("a line of RFC 4568");
    MasterKey::new(Suite::AesCm128HmacSha1_80, &line.key.key_and_salt).expect("its length")
}

#[test]
fn foreign_packets_before_the_first_of_the_caller_change_nothing() {
    let _ = HERE[3];
    for how_many in [5, 30, 500] {
        play(Choices::default(), move |stage| async move {
            stage.call_answered().await;
            let mut thief = Sender::new(&stage, 66);
            thief.talks(stranger(), how_many).await;
            thief.presses(stranger(), 6).await;
            assert_eq!(stage.line.destinations(), [signalled()]);
            let mut caller = Sender::new(&stage, 7);
            caller.talks(signalled(), 1).await;
            caller.presses(signalled(), 5).await;
            thief.talks(stranger(), 200).await;
            thief.presses(stranger(), 6).await;
            assert_eq!(stage.line.destinations(), [signalled()], "our audio went nowhere else");
            assert_eq!(answered_keys(&stage), "5");
        });
    }
}

/// A private address that cannot be told from one that nobody reaches: the stranger is heard until the caller comes.
#[test]
fn a_signalled_private_address_wins_back_at_once_and_for_good() {
    play(Choices::default(), |stage| async move {
        stage.carrier.sends(&from_private());
        stage.pass(2000).await;
        let private: SocketAddr = "10.0.0.5:40000".parse().expect("an address");
        let (mut thief, mut caller) = (Sender::new(&stage, 66), Sender::new(&stage, 7));
        thief.talks(stranger(), 20).await;
        caller.talks(private, 10).await;
        assert_eq!(stage.line.destination(), Some(private));
        for _ in 0..10 {
            thief.talks(stranger(), 20).await;
            caller.talks(private, 1).await;
        }
        thief.presses(stranger(), 6).await;
        caller.presses(private, 5).await;
        assert_eq!((stage.line.destination(), answered_keys(&stage).as_str()), (Some(private), "5"));
    });
}

#[test]
fn a_stream_that_moves_in_mid_call_is_followed_and_an_injected_one_is_not() {
    let _ = HERE[1];
    for to in [behind_nat(41_000), stranger()] {
        play(Choices::default(), move |stage| async move {
            stage.call_answered().await;
            let mut caller = Sender::new(&stage, 7);
            caller.talks(signalled(), 100).await;
            caller.talks(to, 25).await;
            assert_eq!(stage.line.destination(), Some(to), "half a second later");
            caller.presses(to, 5).await;
            assert_eq!(answered_keys(&stage), "5");
        });
        play(Choices::default(), move |stage| async move {
            stage.call_answered().await;
            let mut caller = Sender::new(&stage, 7);
            caller.talks(signalled(), 100).await;
            // The caller is silent now, and somebody else is not.
            let mut thief = Sender::new(&stage, 66);
            thief.talks(to, 100).await;
            thief.presses(to, 6).await;
            assert_eq!(stage.line.destinations(), [signalled()]);
            caller.presses(signalled(), 5).await;
            assert_eq!(answered_keys(&stage), "5");
        });
    }
}

#[test]
fn a_stream_that_moves_in_mid_call_is_followed_at_once_if_it_authenticates() {
    play(Choices::default(), |stage| async move {
        stage.carrier.sends(&format!("{INVITE}a=crypto:{CRYPTO}\n"));
        stage.pass(2000).await;
        let mut caller = Sender::sealed(&stage, 7);
        caller.talks(signalled(), 100).await;
        caller.talks(stranger(), 2).await;
        assert_eq!(stage.line.destination(), Some(stranger()));
        caller.presses(stranger(), 5).await;
        let mut thief = Sender::new(&stage, 7);
        thief.sequence = caller.sequence;
        thief.talks(behind_nat(41_000), 200).await;
        thief.presses(behind_nat(41_000), 6).await;
        assert_eq!((stage.line.destination(), answered_keys(&stage).as_str()), (Some(stranger()), "5"));
    });
}

#[test]
fn a_re_invite_that_repeats_a_private_address_starts_the_latching_again() {
    let _ = HERE[2];
    play(Choices::default(), |stage| async move {
        stage.carrier.sends(&from_private());
        stage.pass(2000).await;
        let mut caller = Sender::new(&stage, 7);
        caller.talks(behind_nat(41_000), 100).await;
        assert_eq!(stage.line.destination(), Some(behind_nat(41_000)));
        // Another binding, another stream: nothing says that it is the same caller, until SIP does.
        let mut anew = Sender::new(&stage, 8);
        anew.talks(behind_nat(42_000), 50).await;
        assert_eq!(stage.line.destination(), Some(behind_nat(41_000)));
        reinvite(&stage, &from_private(), 2);
        stage.pass(100).await;
        anew.talks(behind_nat(42_000), 10).await;
        assert_eq!(stage.line.destination(), Some(behind_nat(42_000)));
        anew.presses(behind_nat(42_000), 5).await;
        assert_eq!(answered_keys(&stage), "5");
    });
}

#[test]
fn a_context_of_srtp_made_anew_at_a_re_invite_is_heard() {
    let _ = HERE[4];
    play(Choices::default(), |stage| async move {
        let invite = format!("{INVITE}a=crypto:{CRYPTO}\n");
        stage.carrier.sends(&invite);
        stage.pass(2000).await;
        let mut caller = Sender::sealed(&stage, 7);
        caller.sequence = 65_500;
        caller.talks(signalled(), 100).await;
        caller.presses(signalled(), 1).await;
        reinvite(&stage, &invite, 2);
        stage.pass(100).await;
        caller.seal = Some(Outbound::new(&master()));
        caller.talks(signalled(), 20).await;
        caller.presses(signalled(), 5).await;
        assert_eq!(answered_keys(&stage), "15");
    });
}

#[test]
fn calls_are_served_by_the_ports_that_nobody_else_holds() {
    let _ = HERE[5];
    let choices = Choices { held_ports: Some(20_000..=20_049), ..Choices::default() };
    play(choices, |stage| async move {
        for call in 0..8 {
            stage.carrier.sends(
                &INVITE.replace("call-1", &format!("held-{call}")).replace("bKinvite", &format!("bKheld{call}")),
            );
            stage.pass(100).await;
        }
        stage.pass(2000).await;
        assert!(!stage.carrier.statuses().iter().any(|status| *status >= 300), "{:?}", stage.carrier.statuses());
        let now = bellhop_actors::now();
        assert_eq!(stage.ports.drawn(), 8);
        assert_eq!(stage.ports.free(now) + stage.ports.held() + 8, 50, "nothing rests for having been tried");
        assert!(stage.ports.held() >= 7, "{} known to be held", stage.ports.held());
    });
}

#[test]
fn want_of_descriptors_refuses_the_call_and_rests_no_port() {
    play(Choices { no_descriptors: true, ..Choices::default() }, |stage| async move {
        for call in 0..8 {
            stage.carrier.sends(
                &INVITE.replace("call-1", &format!("none-{call}")).replace("bKinvite", &format!("bKnone{call}")),
            );
            stage.pass(100).await;
        }
        stage.settle().await;
        assert_eq!((stage.ports.free(bellhop_actors::now()), stage.ports.held()), (50, 0));
    });
}

#[test]
fn a_call_of_two_ssrcs_counts_the_packets_of_both() {
    let _ = HERE[7];
    play(Choices::default(), |stage| async move {
        stage.call_answered().await;
        let mut first = Sender::new(&stage, 7);
        first.talks(signalled(), 100).await;
        let mut second = Sender::new(&stage, 8);
        second.sequence = 30_000;
        second.talks(signalled(), 101).await;
        let mut keys = Sender::new(&stage, 9);
        keys.presses(signalled(), 5).await;
        stage.carrier.hangs_up();
        stage.settle().await;
        assert!(!stage.carrier.requests(&Method::Invite).iter().any(|_| true));
        let (record, _) = stage.services.records().pop().expect("a record");
        let heard = record.to_string();
        let counted = heard
            .split("\"packets_transmitted\":")
            .skip(1)
            .filter_map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u32>().ok());
        // The first packet of another SSRC is not yet believed.
        assert!(counted.clone().any(|packets| packets == 205), "{:?}", counted.collect::<Vec<_>>());
    });
}

const FORMAT: StreamFormat =
    StreamFormat { codec: Codec::G711(Law::Mu), payload_type: 0, telephone_event: None, comfort_noise: None };

#[test]
fn audio_whose_timestamp_goes_back_is_heard_again_after_a_few_packets() {
    let _ = HERE[0];
    let mut receiver = Receiver::new(FORMAT, Expected::at(signalled()));
    let start = Instant::now();
    let mut heard = 0;
    for n in 0..250u32 {
        let now = start + Duration::from_millis(u64::from(n) * 20);
        let timestamp = if n < 200 { 100_000 + n * 160 } else { 100_000 + n * 160 - 3 * 8000 };
        let payload = [0x20; 160];
        let packet =
            Packet { payload_type: 0, marker: false, sequence: n as u16, timestamp, ssrc: 7, payload: &payload };
        let mut bytes = [0; 200];
        let length = packet.write(&mut bytes).expect("fits");
        receiver.push(now, signalled(), &mut bytes[..length]);
        let mut frame = [0; 160];
        let (source, _) = receiver.frame(now, &mut frame);
        heard += usize::from(n >= 200 && source == Source::Heard);
    }
    assert!(heard >= 44, "{heard} of the 50 frames after the jump");
}

/// A wire between two legs: what one sends has arrived at the other, which reads it when it likes.
#[derive(Default)]
struct Wire {
    rtp: VecDeque<(Instant, Vec<u8>)>,
    rtcp: VecDeque<(Instant, Vec<u8>)>,
}

struct End {
    ours: Rc<RefCell<Wire>>,
    theirs: Rc<RefCell<Wire>>,
    from: SocketAddr,
}

fn deliver_all(waiting: VecDeque<(Instant, Vec<u8>)>, source: SocketAddr, deliver: &mut Deliver<'_>) {
    for (arrived, mut bytes) in waiting {
        deliver(Datagram { source, bytes: &mut bytes, age: bellhop_actors::now() - arrived });
    }
}

impl PacketPort for End {
    fn drain(&mut self, deliver: &mut Deliver<'_>) {
        let waiting = std::mem::take(&mut self.ours.borrow_mut().rtp);
        deliver_all(waiting, self.from, deliver);
    }

    fn drain_control(&mut self, deliver: &mut Deliver<'_>) {
        let waiting = std::mem::take(&mut self.ours.borrow_mut().rtcp);
        deliver_all(waiting, SocketAddr::new(self.from.ip(), self.from.port() + 1), deliver);
    }

    fn send(&mut self, bytes: &[u8], _: SocketAddr) -> bool {
        self.theirs.borrow_mut().rtp.push_back((bellhop_actors::now(), bytes.to_vec()));
        true
    }

    fn send_control(&mut self, bytes: &[u8], _: SocketAddr) -> bool {
        self.theirs.borrow_mut().rtcp.push_back((bellhop_actors::now(), bytes.to_vec()));
        true
    }
}

/// Nobody listens.
struct Deaf;

impl LegEvents for Deaf {
    fn digit(&self, _: Press) {}
    fn audio(&self, _: Vec<i16>, _: usize, _: Duration) {}
    fn clip(&self, _: Event) {}
    fn recorded(&self, _: Vec<i16>) {}
    fn silent(&self) {}
    fn failed(&self) {
        panic!("a leg's slice panicked");
    }
}

fn cores(far_end: SocketAddr, path: ControlPath) -> Rc<LegCores> {
    let send =
        SendFormat { codec: FORMAT.codec, payload_type: 0, ptime_ms: 20, telephone_event: None, comfort_noise: None };
    let now = bellhop_actors::now();
    let ssrc = u32::from(far_end.port());
    let playout = Playout::new(send, ssrc, 1, 1);
    let receiver = Receiver::new(FORMAT, Expected::at(far_end));
    let control = Control::new(format!("end {ssrc}"));
    let cores = LegCores::new(now, receiver, playout, control, Duration::from_secs(60));
    cores.control_path.set(path);
    cores.set_mode(LegMode::Talking, now);
    Rc::new(cores)
}

/// Two legs of one node talk to each other for some seconds; the RTCP of each is read once a second.
#[test]
fn the_round_trip_counts_from_arrival_and_a_perfect_call_is_rated_so() {
    let _ = HERE[6];
    for muxed in [false, true] {
        // The second leg begins in another part of the second than the first.
        for apart_ms in [0u64, 333, 931] {
            play(Choices::default(), move |stage| async move {
                let wires: [Rc<RefCell<Wire>>; 2] = Default::default();
                let [a, b]: [SocketAddr; 2] = ["192.0.2.1:4000", "192.0.2.2:5000"].map(|at| at.parse().expect("one"));
                let path = |far_end: SocketAddr| match muxed {
                    true => ControlPath::Muxed,
                    false => ControlPath::Apart(SocketAddr::new(far_end.ip(), far_end.port() + 1)),
                };
                let mut legs = vec![];
                for (n, far_end) in [(0, b), (1, a)] {
                    let cores = cores(far_end, path(far_end));
                    let (ours, theirs) = (Rc::clone(&wires[n]), Rc::clone(&wires[1 - n]));
                    let port = Box::new(End { ours, theirs, from: far_end });
                    let leg = Leg { port, cores: Rc::clone(&cores), events: Box::new(Deaf) };
                    legs.push((Shard::current().register(leg), cores));
                    stage.pass(apart_ms).await;
                }
                stage.pass(30_000).await;
                for (_, cores) in &legs {
                    let quality = quality(cores).expect("packets came");
                    let trip = quality.round_trip.expect("both report");
                    assert!(trip < Duration::from_millis(5), "{trip:?}, muxed {muxed}, {apart_ms} ms apart");
                    assert!(quality.mean_opinion_score > 4.3, "{}", quality.mean_opinion_score);
                }
            });
        }
    }
}
