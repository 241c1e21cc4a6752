//! What is played of packets that come late, twice, in another order, or not at all.

use super::*;

const MS: Duration = Duration::from_millis(1);

/// A packet of G.711: its sequence number and timestamp, and what it holds.
fn push(buffer: &mut JitterBuffer, now: Instant, (sequence, timestamp): (u16, u32), payload: &[u8]) -> Pushed {
    buffer.push(now, Incoming { sequence, timestamp, ticks: payload.len() as i64, payload })
}

/// Plays `frames` frames: `arrivals` says when (ms) frame n arrives, `None` if never. One letter a 20 ms pull:
/// P payload, L lost, S stretch, . idle; and which frames were heard.
fn play(frames: u32, ts0: u32, arrival: impl Fn(u32) -> Option<u64>, until_ms: u64) -> (String, Vec<u8>, JitterBuffer) {
    let start = Instant::now();
    let mut buffer = JitterBuffer::default();
    let mut due: Vec<(u64, u32)> = (0..frames).filter_map(|n| Some((arrival(n)?, n))).collect();
    due.sort();
    let (mut log, mut heard, mut at) = (String::new(), vec![], 0);
    for ms in 0..until_ms {
        while let Some((_, n)) = due.get(at).filter(|(when, _)| *when <= ms) {
            let when = start + MS * ms as u32;
            push(&mut buffer, when, (*n as u16, ts0.wrapping_add(n * 160)), &[*n as u8; 160]);
            at += 1;
        }
        if ms % 20 == 10 {
            log.push(match buffer.pull(start + MS * ms as u32, true) {
                Pulled::Payload(p) => {
                    heard.push(p[0]);
                    'P'
                }
                Pulled::Lost => 'L',
                Pulled::Stretch => 'S',
                Pulled::Idle => '.',
            });
        }
    }
    (log, heard, buffer)
}

#[test]
fn a_steady_stream_is_played_whole_after_one_frame_of_delay() {
    let (log, heard, _) = play(20, u32::MAX - 800, |n| Some(u64::from(n) * 20), 400);
    assert_eq!(log, ".PPPPPPPPPPPPPPPPPPP");
    assert_eq!(heard, (0..19).collect::<Vec<u8>>(), "the wrap of the timestamp is not heard");
}

#[test]
fn a_lost_packet_is_one_lost_frame() {
    let (log, _, _) = play(20, 7, |n| (n != 5).then_some(u64::from(n) * 20), 300);
    assert_eq!(log, ".PPPPPLPPPPPPPP");
}

#[test]
fn reordered_and_repeated_packets_are_played_once_in_order() {
    let (_, heard, mut buffer) = play(30, 7, |n| Some(u64::from(if n % 4 == 1 { n * 20 + 25 } else { n * 20 })), 600);
    let mut sorted = heard.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(heard, sorted);
    assert!(heard.len() >= 26, "{heard:?}");
    let now = Instant::now();
    let mut fresh = JitterBuffer::default();
    assert_eq!(push(&mut fresh, now, (0, 0), &[0; 160]), Pushed::Held);
    assert_eq!(push(&mut fresh, now, (0, 0), &[0; 160]), Pushed::Duplicate);
    assert!(buffer.pull(now, true) != Pulled::Lost || !buffer.is_empty());
}

#[test]
fn the_delay_grows_with_a_spike_and_shrinks_again() {
    let spike = |n: u32| Some(u64::from(n) * 20 + if (50..60).contains(&n) { 120 } else { 0 });
    let (_, _, after_spike) = play(62, 0, spike, 1240);
    let (log, _, later) = play(400, 0, spike, 8000);
    assert!(after_spike.delay() >= Duration::from_millis(120), "{:?}", after_spike.delay());
    assert!(later.delay() <= Duration::from_millis(30), "{:?}", later.delay());
    assert!(later.len() <= 3, "the held audio shrinks too: {}", later.len());
    assert!(!log[100..].contains('L'), "{log}");
}

#[test]
fn a_skewed_sender_is_followed_for_minutes() {
    for per_mille in [995u64, 1005] {
        let (log, _, buffer) = play(6000, 0, |n| Some(u64::from(n) * 20 * per_mille / 1000), 115_000);
        assert!(buffer.len() <= 6, "{} packets held", buffer.len());
        assert!(log.matches('L').count() < 60, "{per_mille}: {} lost", log.matches('L').count());
    }
}

#[test]
fn a_pause_of_the_sender_is_idle_not_lost() {
    // 25 frames, half a second without packets while the timestamp goes on, 25 frames.
    let (log, heard, _) = play(75, 0, |n| (!(25..50).contains(&n)).then_some(u64::from(n) * 20), 1500);
    assert!(log.matches('L').count() <= 7, "{log}");
    assert!(log.contains("......"), "{log}");
    assert!(heard.len() >= 48, "{heard:?}");
}

#[test]
fn a_clock_of_48_khz_is_the_same_time() {
    let start = Instant::now();
    let mut buffer = JitterBuffer::with_clock(48_000);
    let mut heard = 0;
    for n in 0..50u32 {
        let now = start + MS * 20 * n;
        let timestamp = (u32::MAX - 10_000).wrapping_add(n * 960);
        let incoming = Incoming { sequence: n as u16, timestamp, ticks: 160, payload: &[n as u8; 60] };
        assert_eq!(buffer.push(now, incoming), Pushed::Held);
        heard += u32::from(matches!(buffer.pull(now, true), Pulled::Payload(_)));
    }
    assert!(heard >= 48, "{heard} of 50, across the wrap");
}

#[test]
fn what_is_held_is_bounded() {
    let now = Instant::now();
    let mut buffer = JitterBuffer::default();
    let held = (0..1000u32).filter(|n| push(&mut buffer, now, (*n as u16, n * 8), &[0; 8]) == Pushed::Held).count();
    assert!(held <= PACKETS_MAX + 8, "{held}");
    assert!(buffer.len() <= PACKETS_MAX);
}

/// Timestamps jump by so many milliseconds at frame 100 while sequence numbers go on, from one step to the other.
fn heard_after_a_jump(by_ms: i64, sequence_step: u16) -> usize {
    let start = Instant::now();
    let mut buffer = JitterBuffer::default();
    let mut heard = 0;
    for n in 0..150u32 {
        let now = start + MS * 20 * n;
        let jump = if n < 100 { 0 } else { samples(by_ms) };
        let step = if n < 100 { 0 } else { sequence_step };
        let timestamp = (100_000 + i64::from(n) * 160 + jump) as u32;
        push(&mut buffer, now, ((n as u16).wrapping_add(step), timestamp), &[0; 160]);
        let is_heard = matches!(buffer.pull(now, true), Pulled::Payload(_));
        heard += usize::from(is_heard && n >= 100);
    }
    heard
}

#[test]
fn a_sender_that_begins_anew_is_heard_after_a_few_packets() {
    for (by_ms, sequence_step) in [(-3000, 0), (-500, 0), (-200, 0), (-3000, 20_000), (3000, 0), (-10_000, 0)] {
        let heard = heard_after_a_jump(by_ms, sequence_step);
        assert!(heard >= 44, "{by_ms} ms, {sequence_step}: {heard} of 50");
    }
}

#[test]
fn the_memory_that_is_asked_for_is_the_legs_own() {
    let (start, mut buffer) = (Instant::now(), JitterBuffer::default());
    for n in 0..3u16 {
        let came = start + MS * u32::from(n) * 20;
        assert_eq!(push(&mut buffer, came, (n, u32::from(n) * 160), &[n as u8; 160]), Pushed::Held);
    }
    for n in 0..3u32 {
        let (list, slots) = (buffer.slots(), &buffer.slots);
        assert_eq!((list.start, list.bytes), (slots.as_ptr().cast(), size_of_val(slots.as_slice())));
        let asked: Vec<Region> = buffer.payloads().collect();
        let Pulled::Payload(taken) = buffer.pull(start + MS * (60 + 20 * n), true) else { panic!("it is due") };
        assert!(asked.iter().any(|region| region.start == taken.as_ptr() && region.bytes >= taken.len()), "{asked:?}");
    }
}
