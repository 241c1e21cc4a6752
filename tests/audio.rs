//! Audio as the far end sees it, in virtual time: timeouts, hold, RTCP, and those who would like to join.

use bellhop_media::rtcp::{Control, Heard, Sent, Time};
use bellhop_media::rtp::Packet;
use bellhop_media::srtp::Suite;
use bellhop_sip::message::{Message, Method};
use bellhop_sip::sdp::crypto::CryptoSuite;
use bellhop_tests::Stage;
use bellhop_tests::stage::{Choices, INVITE, play};
use std::time::Instant;

fn quick() -> Choices {
    Choices::tenant("media.timeout_seconds = 10")
}

fn packet(payload_type: u8, n: u16, payload: &[u8]) -> Packet<'_> {
    Packet { payload_type, marker: false, sequence: n, timestamp: u32::from(n) * 160, ssrc: 7, payload }
}

fn ended(stage: &Stage) -> bool {
    !stage.carrier.requests(&Method::Bye).is_empty()
}

fn reinvite(stage: &Stage, number: u32, direction: &str) -> String {
    let (head, body) = INVITE.split_once("\n\n").expect("both parts");
    let head = head
        .replace("CSeq: 1", &format!("CSeq: {number}"))
        .replace("z9hG4bKinvite", &format!("z9hG4bKre{number}"))
        .replace(";transport=UDP\nCall", &format!(";transport=UDP;tag={}\nCall", stage.carrier.to_tag()));
    format!("{head}\n\n{body}a={direction}\n")
}

#[test]
fn a_caller_who_sends_nothing_is_let_go() {
    play(quick(), |stage| async move {
        stage.call_answered().await;
        stage.pass(7000).await;
        assert!(!ended(&stage));
        stage.pass(4000).await;
        assert!(ended(&stage));
        let bye = &stage.carrier.requests(&Method::Bye)[0];
        assert_eq!(bye.headers.get("Reason"), Some("SIP;cause=408;text=\"media timeout\""));
        stage.settle().await;
        assert_eq!(stage.leaks().await, Vec::<String>::new());
    });
}

#[test]
fn whatever_shows_that_the_caller_is_there_keeps_the_call() {
    for what in ["audio", "comfort noise", "rtcp"] {
        play(quick(), move |stage| async move {
            stage.carrier.sends(&INVITE.replace("RTP/AVP 0 101", "RTP/AVP 0 13 101"));
            stage.pass(2000).await;
            let far_end = Control::new("far".into());
            for n in 0..8u16 {
                match what {
                    "audio" => stage.line.puts(&packet(0, n, &[0xff; 160])),
                    "comfort noise" => stage.line.puts(&packet(13, n, &[60])),
                    _ => {
                        let mut report = [0; 256];
                        let time = Time { now: Instant::now(), ntp: 7 << 32 };
                        let length = far_end.report(time, Sent { ssrc: 7, ..Sent::default() }, None, &mut report);
                        stage.line.puts_control(&report[..length]);
                    }
                }
                stage.pass(5000).await;
                assert!(!ended(&stage), "{what}");
            }
            stage.pass(12_000).await;
            assert!(ended(&stage), "{what}");
        });
    }
}

#[test]
fn a_held_call_is_silent_and_waits() {
    play(quick(), |stage| async move {
        stage.call_answered().await;
        stage.carrier.sends(&reinvite(&stage, 2, "sendonly"));
        stage.pass(100).await;
        let before = stage.line.sent().len();
        stage.pass(60_000).await;
        assert!(!ended(&stage), "hold knows no media timeout");
        assert_eq!(stage.line.sent().len(), before, "on hold nothing is sent");
        stage.carrier.sends(&reinvite(&stage, 3, "sendrecv"));
        stage.pass(1000).await;
        assert!(stage.line.sent().len() > before + 40, "and then again");
        let answers: Vec<String> = stage
            .carrier
            .seen()
            .iter()
            .filter_map(|message| match message {
                Message::Response(response) if response.status.0 == 200 => {
                    Some(String::from_utf8_lossy(&response.body).into_owned())
                }
                _ => None,
            })
            .collect();
        assert!(answers.iter().any(|sdp| sdp.contains("a=recvonly")), "{answers:?}");
        let versions: Vec<&str> = answers.iter().filter_map(|sdp| sdp.lines().nth(1)?.split(' ').nth(2)).collect();
        assert!(versions.windows(2).all(|w| w[0] < w[1]), "the version counts up with each change: {versions:?}");
    });
}

#[test]
fn reports_go_out_every_five_seconds_and_a_bye_at_the_end() {
    play(Choices::default(), |stage| async move {
        stage.call_answered().await;
        for n in 0..500u16 {
            stage.line.puts(&packet(0, n, &[0xff; 160]));
            stage.pass(20).await;
        }
        let reports = stage.line.control_sent();
        assert_eq!(reports.len(), 2, "ten seconds");
        assert_eq!(reports[0].0, "192.0.2.1:40001".parse().expect("an address"));
        assert_eq!(reports[0].1[1], 200, "a sender report");
        assert_eq!(reports[0].1[0] & 0x1f, 1, "with a block about the caller");
        stage.carrier.hangs_up();
        stage.settle().await;
        let last = stage.line.control_sent().pop().expect("a BYE").1;
        let time = Time { now: Instant::now(), ntp: 7 << 32 };
        assert_eq!(Control::new("far".into()).receive(time, 7, &last), Heard::Bye);
    });
}

/// RTP injection and RTP bleed: packets from elsewhere are neither heard nor answered, however many they are.
#[test]
fn a_flood_from_another_source_changes_nothing() {
    play(Choices::default(), |stage| async move {
        stage.call_answered().await;
        stage.line.puts(&packet(0, 0, &[0xff; 160]));
        stage.pass(100).await;
        let key = [5, 0x8a, 3, 32];
        for n in 0..2000u16 {
            let attacker = std::net::SocketAddr::from(([198, 51, 100, 66], 4000 + n % 50));
            stage.line.puts_from(attacker, &packet(0, n, &[0x12; 160]));
            stage.line.puts_from(attacker, &packet(101, n, &key));
            if n % 20 == 0 {
                stage.pass(20).await;
            }
        }
        stage.pass(1000).await;
        assert_eq!(stage.line.destinations(), ["192.0.2.1:40000".parse().expect("an address")]);
        assert!(!stage.services.asked().iter().any(|text| text == "5"), "a foreign key is no turn");
    });
}

/// The names of the session description are those of the cipher, in both rooms.
#[test]
fn every_suite_that_is_agreed_on_can_be_carried_out() {
    for suite in CryptoSuite::ALL {
        let cipher = Suite::named(suite.token()).expect("a cipher");
        assert_eq!(cipher.key_bytes() + cipher.salt_bytes(), suite.key_and_salt_bytes(), "{suite:?}");
    }
}

#[test]
fn with_a_key_agreed_plain_packets_are_not_heard() {
    let crypto = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\n";
    play(quick(), move |stage| async move {
        stage.carrier.sends(&(INVITE.to_owned() + crypto));
        stage.pass(2000).await;
        for n in 0..600u16 {
            stage.line.puts(&packet(0, n, &[0x12; 160]));
            stage.pass(20).await;
        }
        assert!(ended(&stage), "to us, this caller is silent");
    });
}
