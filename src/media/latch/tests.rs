//! Who is believed, packet by packet.

use super::*;

const OURS: u32 = 9;

fn public(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

fn stranger() -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 6], 6000))
}

fn private() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 5], 4000))
}

/// A latch beside a clock, in steps of a packet.
struct Bench {
    latch: Latch,
    now: Instant,
}

impl Bench {
    fn new(signalled: SocketAddr, sip_source: [u8; 4]) -> Self {
        let expected = Expected { signalled: Some(signalled), sip_source: Some(sip_source.into()) };
        Self { latch: Latch::new(expected), now: Instant::now() }
    }

    fn sees(&mut self, source: SocketAddr, ssrc: u32, sequence: u16) -> Verdict {
        self.sees_with(source, ssrc, sequence, Trust::Claimed)
    }

    fn sees_with(&mut self, source: SocketAddr, ssrc: u32, sequence: u16, trust: Trust) -> Verdict {
        let now = self.now;
        self.latch.judge(Sighting { now, source, ssrc, sequence, content: Content::Audio, trust })
    }

    /// A run of packets 20 ms apart; how many were accepted.
    fn runs(&mut self, source: SocketAddr, ssrc: u32, sequences: std::ops::Range<u16>) -> usize {
        let verdicts: Vec<_> = sequences
            .map(|sequence| {
                self.pass(20);
                self.sees(source, ssrc, sequence)
            })
            .collect();
        verdicts.iter().filter(|verdict| !matches!(verdict, Verdict::Refused(_))).count()
    }

    fn pass(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }
}

#[test]
fn the_signalled_address_is_believed_at_once() {
    let mut bench = Bench::new(public(1), [192, 0, 2, 1]);
    assert_eq!(bench.sees(public(1), OURS, 1), Verdict::Started);
    assert_eq!(bench.sees(public(1), OURS, 2), Verdict::Accepted);
}

#[test]
fn a_source_behind_nat_is_pinned_after_its_probation() {
    let mut bench = Bench::new(private(), [192, 0, 2, 1]);
    assert_eq!(bench.runs(public(7000), OURS, 0..4), 0);
    assert_eq!(bench.latch.destination(), Some(private()));
    assert_eq!(bench.sees(public(7000), OURS, 4), Verdict::Started);
    assert_eq!(bench.latch.destination(), Some(public(7000)));
}

#[test]
fn a_stranger_is_never_believed_beside_an_address_that_can_be_reached() {
    for signalled in [public(1), private()] {
        let ip = if signalled == private() { [10, 0, 0, 5] } else { [203, 0, 113, 9] };
        let mut bench = Bench::new(signalled, ip);
        assert_eq!(bench.runs(stranger(), 66, 0..500), 0);
        assert_eq!(bench.latch.destination(), Some(signalled));
        assert_eq!(bench.sees(signalled, OURS, 1), Verdict::Started);
        assert_eq!(bench.runs(stranger(), 66, 0..500), 0, "nor in a long silence");
        assert_eq!(bench.latch.destination(), Some(signalled));
    }
}

#[test]
fn another_port_of_the_far_ends_host_is_believed_after_patience() {
    let mut bench = Bench::new(public(1), [192, 0, 2, 1]);
    assert_eq!(bench.runs(public(2), OURS, 0..20), 0);
    assert!(bench.runs(public(2), OURS, 20..40) >= 10);
    assert_eq!(bench.latch.destination(), Some(public(2)));
    assert_eq!(bench.sees(public(1), 7, 1), Verdict::Started, "the signalled one all the same, when it comes");
    assert_eq!(bench.runs(public(2), OURS, 40..400), 0, "and for good");
}

/// The caller behind NAT, whose private address nobody can reach, and a stranger who was faster.
#[test]
fn the_host_of_sip_takes_its_place_back_from_a_stranger() {
    let mut bench = Bench::new(private(), [192, 0, 2, 1]);
    assert_eq!(bench.runs(stranger(), 66, 0..100), 96);
    assert_eq!(bench.runs(public(7000), OURS, 0..5), 1);
    assert_eq!(bench.latch.destination(), Some(public(7000)));
    assert_eq!(bench.runs(stranger(), 66, 100..104), 0);
}

#[test]
fn a_flood_of_sources_keeps_nobody_of_the_host_from_being_believed() {
    let mut bench = Bench::new(private(), [192, 0, 2, 1]);
    for n in 0..5u16 {
        bench.pass(20);
        for flood in 0..50u8 {
            let _ = bench.sees(SocketAddr::from(([198, 51, 100, flood], n)), 66, n);
        }
        let _ = bench.sees(public(7000), OURS, n);
    }
    assert_eq!(bench.latch.destination(), Some(public(7000)));
}

#[test]
fn one_forged_packet_of_the_signalled_address_deafens_nobody() {
    let mut bench = Bench::new(private(), [192, 0, 2, 1]);
    bench.runs(public(7000), OURS, 0..100);
    assert_eq!(bench.sees(private(), 66, 1), Verdict::Started);
    assert!(bench.runs(public(7000), OURS, 100..200) >= 45);
}

#[test]
fn a_stream_that_goes_on_elsewhere_is_followed_once_its_old_path_is_silent() {
    for elsewhere in [public(2), stranger()] {
        let mut bench = Bench::new(public(1), [203, 0, 113, 9]);
        bench.runs(public(1), OURS, 0..100);
        let heard = bench.runs(elsewhere, OURS, 100..150);
        assert!(heard >= 40, "{heard} of 50");
        assert_eq!(bench.latch.destination(), Some(elsewhere));
    }
}

#[test]
fn what_does_not_go_on_is_no_move() {
    let mut bench = Bench::new(public(1), [203, 0, 113, 9]);
    bench.runs(public(1), OURS, 10_000..10_100);
    assert_eq!(bench.runs(stranger(), 66, 10_100..10_400), 0, "another SSRC");
    assert_eq!(bench.runs(stranger(), OURS, 9_000..9_300), 0, "sequence numbers of the past");
    assert_eq!(bench.runs(stranger(), OURS, 30_000..30_300), 0, "or of nowhere");
    bench.runs(public(1), OURS, 10_100..10_101);
    for sequence in 10_101..10_300 {
        assert_eq!(bench.runs(stranger(), OURS, sequence..sequence + 1), 0, "while the old path lives");
        bench.runs(public(1), OURS, sequence..sequence + 1);
    }
}

#[test]
fn who_authenticates_is_believed_wherever_it_sends_from() {
    let mut bench = Bench::new(public(1), [203, 0, 113, 9]);
    assert_eq!(bench.sees_with(stranger(), OURS, 5, Trust::Authentic), Verdict::Started);
    assert_eq!(bench.sees_with(public(2), OURS, 6, Trust::Authentic), Verdict::Accepted);
    assert_eq!(bench.latch.destination(), Some(public(2)));
    assert_eq!(bench.sees_with(stranger(), OURS, 4, Trust::Authentic), Verdict::Accepted, "one that was overtaken");
    assert_eq!(bench.latch.destination(), Some(public(2)));
}

#[test]
fn one_stray_ssrc_is_not_a_new_stream_but_two_in_a_row_are() {
    let mut bench = Bench::new(public(1), [192, 0, 2, 1]);
    bench.sees(public(1), 9, 1);
    assert_eq!(bench.sees(public(1), 8, 1), Verdict::Refused(Refused::NewSource));
    assert_eq!(bench.sees(public(1), 9, 2), Verdict::Accepted);
    assert_eq!(bench.sees(public(1), 8, 2), Verdict::Refused(Refused::NewSource));
    assert_eq!(bench.sees(public(1), 8, 3), Verdict::Started);
}

#[test]
fn a_re_invite_opens_the_latch_again() {
    let mut bench = Bench::new(public(1), [192, 0, 2, 1]);
    bench.runs(public(1), OURS, 0..100);
    bench.latch.reopen(stranger());
    assert_eq!(bench.latch.destination(), Some(stranger()));
    assert_eq!(bench.sees(stranger(), 3, 1), Verdict::Started);
}

#[test]
fn a_re_invite_with_the_same_private_address_takes_who_sends_then() {
    let mut bench = Bench::new(private(), [192, 0, 2, 1]);
    bench.runs(public(7000), OURS, 0..200);
    assert_eq!(bench.runs(public(8000), 12, 0..100), 0, "another stream, and nothing speaks for it");
    bench.latch.reopen(private());
    assert_eq!(bench.latch.destination(), Some(public(7000)), "nobody else is known yet");
    assert!(bench.runs(public(8000), 12, 100..110) >= 5);
    assert_eq!(bench.latch.destination(), Some(public(8000)));
}

#[test]
fn a_re_invite_that_changes_nothing_opens_nothing_to_strangers() {
    let mut bench = Bench::new(private(), [192, 0, 2, 1]);
    bench.runs(public(7000), OURS, 0..200);
    bench.latch.reopen(private());
    for sequence in 200..300u16 {
        for _ in 0..10 {
            assert!(matches!(bench.sees(stranger(), 66, sequence), Verdict::Refused(Refused::Foreign)));
        }
        assert_eq!(bench.runs(public(7000), OURS, sequence..sequence + 1), 1);
    }
    assert_eq!(bench.runs(stranger(), 66, 0..100), 0, "and a later silence is theirs no more");
}

/// A private address in the description of somebody out there is one of ours to whoever is sent there.
#[test]
fn a_stranger_does_not_aim_our_audio_at_our_own_hosts() {
    let (out_there, neighbour) = ([198, 51, 100, 6], [10, 0, 0, 9]);
    let loopback = SocketAddr::from(([127, 0, 0, 1], 161));
    for (signalled, sip_source, may_send) in [
        (private(), out_there, false),
        (loopback, out_there, false),
        (public(1), out_there, true),
        (private(), neighbour, true),
    ] {
        let bench = Bench::new(signalled, sip_source);
        assert_eq!(bench.latch.may_send(), may_send, "{signalled} named by {sip_source:?}");
    }
    // Behind their NAT: what is heard of them shows where they are.
    let mut bench = Bench::new(private(), out_there);
    assert_eq!(bench.runs(stranger(), OURS, 0..10), 6);
    assert!(bench.latch.may_send());
    assert_eq!(bench.latch.destination(), Some(stranger()));
    bench.latch.reopen(loopback);
    assert!(!bench.latch.may_send(), "a re-INVITE names another");
}

/// The same ranges as `src/sip/networks.rs`, which this crate does not see; documentation's are the internet's here.
#[test]
fn what_is_not_the_internets_is_not_public() {
    let address = |text: &str| text.parse::<IpAddr>().expect("an address");
    for ours in
        ["10.1.2.3", "127.0.0.1", "100.64.0.1", "192.0.0.8", "198.18.0.1", "192.88.99.1", "224.0.0.1", "fc00::1"]
    {
        assert!(!is_public(address(ours)), "{ours}");
    }
    for ours in ["2002:a00:1::1", "2001::1", "64:ff9b::a00:1", "fec0::1", "::1", "::a00:1"] {
        assert!(!is_public(address(ours)), "{ours}");
    }
    for theirs in ["203.0.113.7", "198.51.100.1", "192.0.2.1", "3.80.16.13", "2600:f0f0:c040::1", "2001:db8::1"] {
        assert!(is_public(address(theirs)), "{theirs}");
    }
}
