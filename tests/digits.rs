//! Keys as real telephones and gateways send them: the outcome is what a person pressed, once each.
//!
//! The cases are those of `tests/cases/digits.yaml`, each under its name. What a session description says of
//! telephone-event is tested beside the reader of session descriptions.

use bellhop_media::g711::Law;
use bellhop_media::rtp::Packet;
use bellhop_tests::Stage;
use bellhop_tests::cases;
use bellhop_tests::stage::{Choices, INVITE, play};

/// The cases of the file that are tested here.
const HERE: [&str; 7] = [
    "the timestamp grows with every packet of one press",
    "the last end packets get a timestamp of their own",
    "the timestamp goes back",
    "one timestamp for everything",
    "events have an SSRC of their own while audio goes on",
    "one press by event and by INFO",
    "tones a little off",
];
/// Those that are about SIP and session descriptions.
const OF_SIGNALLING: [&str; 3] =
    ["INFO in its other dresses", "telephone-event with a channel count", "telephone-event without rtpmap"];

const AUDIO: u8 = 0;
const EVENT: u8 = 101;

#[test]
fn every_case_of_the_file_has_a_test() {
    let tested = HERE.iter().chain(&OF_SIGNALLING).map(|name| (*name).to_owned()).collect();
    assert_eq!(cases::names("digits.yaml"), tested);
}

/// A telephone on the stage: its sequence numbers go on with every packet of an SSRC.
struct Telephone<'a> {
    stage: &'a Stage,
    next: std::cell::RefCell<std::collections::BTreeMap<u32, u16>>,
}

impl<'a> Telephone<'a> {
    fn on(stage: &'a Stage) -> Self {
        Self { stage, next: std::cell::RefCell::default() }
    }

    async fn sends(&self, ssrc: u32, payload_type: u8, timestamp: u32, payload: &[u8]) {
        let sequence = {
            let mut next = self.next.borrow_mut();
            let next = next.entry(ssrc).or_insert(65_500);
            *next = next.wrapping_add(1);
            *next
        };
        self.stage.line.puts(&Packet { payload_type, marker: false, sequence, timestamp, ssrc, payload });
        if payload_type == EVENT || ssrc == 7 {
            self.stage.pass(20).await;
        }
    }

    async fn event(&self, ssrc: u32, key: u8, timestamp: u32, duration: u16, ends: bool) {
        let [high, low] = duration.to_be_bytes();
        self.sends(ssrc, EVENT, timestamp, &[key, if ends { 0x8a } else { 0x0a }, high, low]).await;
    }

    /// A press as the RFC has it: some packets, three of them the end.
    async fn press(&self, ssrc: u32, key: u8, timestamp: u32) {
        for n in 1..=4u16 {
            self.event(ssrc, key, timestamp, n * 160, false).await;
        }
        for _ in 0..3 {
            self.event(ssrc, key, timestamp, 800, true).await;
        }
    }

    async fn audio(&self, ssrc: u32, timestamp: u32) {
        self.sends(ssrc, AUDIO, timestamp, &[0xff; 160]).await;
    }
}

/// Answers a call, does something to it, and says which digits became turns.
fn digits<F: AsyncFnOnce(&Stage) + 'static>(case: &'static str, invite: String, act: F) -> String {
    assert!(HERE.contains(&case), "{case}");
    let heard = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let out = std::sync::Arc::clone(&heard);
    play(Choices::default(), |stage| async move {
        stage.carrier.sends(&invite);
        stage.pass(2000).await;
        act(&stage).await;
        stage.pass(1000).await;
        let digits = stage.services.asked().into_iter().filter(|text| text.chars().count() == 1);
        *out.lock().expect("no test panics with it") = digits.collect();
    });
    std::mem::take(&mut *heard.lock().expect("no test panics with it"))
}

#[test]
fn a_press_whose_timestamp_grows_is_one_key() {
    let heard = digits(HERE[0], INVITE.to_owned(), async |stage: &Stage| {
        let telephone = Telephone::on(stage);
        for n in 0..8u16 {
            telephone.event(7, 2, 1000 + u32::from(n) * 160, (n + 1) * 160, n >= 5).await;
        }
    });
    assert_eq!(heard, "2");
}

#[test]
fn end_packets_with_a_timestamp_of_their_own_are_no_key() {
    let heard = digits(HERE[1], INVITE.to_owned(), async |stage: &Stage| {
        let telephone = Telephone::on(stage);
        for n in 1..=5u16 {
            telephone.event(7, 1, 1000, n * 160, false).await;
        }
        telephone.event(7, 1, 1000, 800, true).await;
        telephone.event(7, 1, 1800, 800, true).await;
        telephone.event(7, 1, 1800, 800, true).await;
    });
    assert_eq!(heard, "1");
}

#[test]
fn keys_after_a_timestamp_that_went_back_are_heard() {
    for back_to in [50_000, 1_999_000, 4_000_000_000] {
        let heard = digits(HERE[2], INVITE.to_owned(), async move |stage: &Stage| {
            let telephone = Telephone::on(stage);
            telephone.press(7, 1, 2_000_000).await;
            for n in 0..10u32 {
                telephone.audio(7, back_to + n * 160).await;
            }
            telephone.press(7, 1, back_to + 1600).await;
            telephone.press(7, 3, back_to + 4000).await;
        });
        assert_eq!(heard, "113", "back to {back_to}");
    }
}

#[test]
fn keys_that_share_one_timestamp_are_all_heard() {
    let heard = digits(HERE[3], INVITE.to_owned(), async |stage: &Stage| {
        let telephone = Telephone::on(stage);
        for key in [1, 2, 3, 3] {
            telephone.press(7, key, 4000).await;
            stage.pass(200).await;
        }
    });
    assert_eq!(heard, "1233");
    let ends_alone = digits(HERE[3], INVITE.to_owned(), async |stage: &Stage| {
        let telephone = Telephone::on(stage);
        for key in [1, 2, 3] {
            telephone.event(7, key, 4000, 800, true).await;
        }
    });
    assert_eq!(ends_alone, "123");
}

#[test]
fn events_with_an_ssrc_of_their_own_are_heard_beside_audio_that_goes_on() {
    let heard = digits(HERE[4], INVITE.to_owned(), async |stage: &Stage| {
        let telephone = Telephone::on(stage);
        let (a, b) = (70, 71);
        for n in 0..100u32 {
            telephone.audio(a, n * 160).await;
            // Keys of 100 ms: 6 from the tenth packet on, 7 from the fiftieth.
            let since = if n < 50 { n.wrapping_sub(10) } else { n - 50 };
            if since < 7 {
                let (key, timestamp) = if n < 50 { (6, 1600) } else { (7, 8000) };
                telephone.event(b, key, timestamp, (since.min(4) as u16 + 1) * 160, since >= 4).await;
            } else {
                stage.pass(20).await;
            }
        }
        let heard_of = stage.line.destinations();
        assert_eq!(heard_of.len(), 1);
    });
    assert_eq!(heard, "67");
}

fn info(stage: &Stage, number: u32, key: char) {
    let (head, _) = INVITE.split_once("\nX-Amzn").expect("a head");
    let head = head
        .replace("INVITE sip", "INFO sip")
        .replace("CSeq: 1 INVITE", &format!("CSeq: {number} INFO"))
        .replace("z9hG4bKinvite", &format!("z9hG4bKinfo{number}"))
        .replace(";transport=UDP\nCall", &format!(";transport=UDP;tag={}\nCall", stage.carrier.to_tag()));
    let body = format!("Signal={key}\r\nDuration=160\r\n");
    let length = body.len();
    stage.carrier.sends(&format!("{head}\nContent-Type: application/dtmf-relay\nContent-Length: {length}\n\n{body}"));
}

#[test]
fn a_press_that_comes_by_event_and_by_info_is_one_key() {
    let event_first = digits(HERE[5], INVITE.to_owned(), async |stage: &Stage| {
        let telephone = Telephone::on(stage);
        telephone.press(7, 5, 1000).await;
        info(stage, 2, '5');
    });
    assert_eq!(event_first, "5");
    let info_first = digits(HERE[5], INVITE.to_owned(), async |stage: &Stage| {
        let telephone = Telephone::on(stage);
        info(stage, 2, '5');
        telephone.press(7, 5, 1000).await;
    });
    assert_eq!(info_first, "5");
    let twice = digits(HERE[5], INVITE.to_owned(), async |stage: &Stage| {
        let telephone = Telephone::on(stage);
        for n in 0..2 {
            telephone.press(7, 5, 1000 + n * 4000).await;
            info(stage, 2 + n, '5');
            stage.pass(150).await;
        }
    });
    assert_eq!(twice, "55");
    let by_info_alone = digits(HERE[5], INVITE.to_owned(), async |stage: &Stage| {
        info(stage, 2, '5');
        stage.pass(100).await;
        info(stage, 3, '5');
    });
    assert_eq!(by_info_alone, "55");
}

/// A digit's two tones in the audio, each so far off, for a tenth of a second.
fn off(relative: f64, hz: f64) -> String {
    let without_events =
        INVITE.replace("RTP/AVP 0 101", "RTP/AVP 0").replace("a=rtpmap:101 telephone-event/8000\n", "");
    digits(HERE[6], without_events, async move |stage: &Stage| {
        let telephone = Telephone::on(stage);
        for n in 0..40u32 {
            let sounds = (10..15).contains(&n);
            let codes: Vec<u8> = (0..160)
                .map(|k| {
                    let t = f64::from(n * 160 + k) / 8000.0 * std::f64::consts::TAU;
                    let tone = |nominal: f64| (t * (nominal * (1.0 + relative) + hz)).sin() * 5000.0;
                    Law::Mu.encode(if sounds { (tone(852.0) + tone(1477.0)) as i16 } else { 0 })
                })
                .collect();
            telephone.sends(7, AUDIO, n * 160, &codes).await;
        }
    })
}

#[test]
fn tones_as_far_off_as_telephones_may_be_are_heard_and_others_are_not() {
    for (relative, hz, key) in
        [(0.0, 0.0, "9"), (0.015, 2.0, "9"), (-0.015, -2.0, "9"), (0.035, 0.0, ""), (-0.035, 0.0, "")]
    {
        assert_eq!(off(relative, hz), key, "{relative} and {hz} Hz");
    }
}
