//! The conversation as caller, assistant and agent live it, in virtual time.

use std::time::Duration;

use bellhop_dialogue::ports::RecognizerEvent;
use bellhop_dialogue::session_record::SessionRecord;
use bellhop_dialogue::transcript::Speaker;
use bellhop_media::rtp::Packet;
use bellhop_sip::message::{Message, Method};
use bellhop_tests::Stage;
use bellhop_tests::services::Behaviour;
use bellhop_tests::stage::{Choices, INVITE, play, voice};
use serde_json::json;

fn audio(n: usize, payload: &[u8]) -> Packet<'_> {
    Packet { payload_type: 0, marker: n == 0, sequence: n as u16, timestamp: n as u32 * 160, ssrc: 7, payload }
}

#[test]
fn digits_travel_from_rtp_to_the_assistant() {
    play(Choices::default(), |stage| async move {
        let collect =
            json!([{"response_type": "dtmf", "command_info": {"type": "collect", "parameters": {"count": "4"}}}]);
        stage.services.replies("number", collect);
        stage.call_answered().await;
        stage.caller_says("number").await;
        stage.pass(200).await;
        let mut at = 0;
        for digit in [1, 9, 8, 4] {
            stage.presses(&mut at, digit).await;
        }
        assert_eq!(stage.services.asked(), ["", "number", "1984"]);
    });
}

#[test]
fn speech_silences_the_assistant_within_a_frame_of_the_decision() {
    play(Choices::default(), |stage| async move {
        stage.services.replies("", json!([{"response_type": "text", "text": "x".repeat(1000)}])); // ten seconds
        stage.carrier.sends(INVITE);
        stage.pass(1000).await;
        for n in 0..40 {
            stage.line.puts(&audio(n, &voice(n)));
            stage.pass(20).await;
        }
        let sent = stage.line.sent();
        let first_silent =
            sent.iter().position(|p| p.4).and_then(|from| sent[from..].iter().position(|p| !p.4).map(|n| from + n));
        let cut = first_silent.expect("the assistant falls silent");
        assert!(sent[cut..].iter().all(|packet| !packet.4), "and stays silent");
        // 4 of 6 voiced frames decide, in batches of three, behind one frame of jitter buffer.
        let spoken_over = sent[cut].0.as_millis() - sent.iter().find(|p| p.4).expect("spoke").0.as_millis();
        assert!(spoken_over < 1000 + 20 * 14, "{spoken_over} ms");
    });
}

#[test]
fn a_cut_reaches_the_wire_with_the_next_packet() {
    play(Choices::default(), |stage| async move {
        stage.services.replies("", json!([{"response_type": "text", "text": "x".repeat(1000)}]));
        stage.carrier.sends(INVITE);
        stage.pass(1003).await;
        let before = stage.line.sent().len();
        stage.services.hears(&RecognizerEvent::FinalResult { text: "stop".into(), confidence: 0.9, result: None });
        stage.pass(100).await;
        let after = stage.line.sent();
        assert!(after[..before].iter().rev().take(20).all(|packet| packet.4));
        assert!(after[before..].iter().all(|packet| !packet.4), "every packet after the decision is silence");
        assert_eq!(stage.services.asked().last().map(String::as_str), Some("stop"));
    });
}

/// How many packets of speech went out.
fn spoken(stage: &Stage) -> usize {
    stage.line.sent().iter().filter(|packet| packet.4).count()
}

#[test]
fn a_reply_that_was_interrupted_by_nothing_goes_on_where_it_stopped() {
    play(Choices::default(), |stage| async move {
        stage.services.replies("", json!([{"response_type": "text", "text": "x".repeat(300)}])); // three seconds
        stage.carrier.sends(INVITE);
        stage.pass(1003).await;
        let before = spoken(&stage);
        stage.services.hears(&RecognizerEvent::InterimResult { text: "uh".into(), stable: false });
        stage.pass(500).await;
        assert_eq!(spoken(&stage), before, "silent while the caller seems to speak");
        stage.services.hears(&RecognizerEvent::NotUnderstood);
        stage.pass(4000).await;
        assert_eq!(spoken(&stage), 150, "every sample is heard, once");
        assert_eq!(stage.services.asked(), [""]);
    });
}

#[test]
fn hold_music_plays_until_the_answer_is_there() {
    play(Choices::tenant("conversation.assistant_timeout_ms = 20000"), |stage| async move {
        let wait = json!({"response_type": "user_defined", "user_defined": {"vgwAction": {"command": "vgwActForceNoInputTurn"}}});
        let music = json!({"response_type": "audio", "source": "hold.wav", "channel_options": {"voice_telephony": {"loop": true}}});
        stage.services.sound("hold.wav", 1600); // a fifth of a second
        stage.services.replies("order", json!([wait, music]));
        stage.services.replies("vgwNoInputTurn", json!([{"response_type": "text", "text": "found"}])); // 50 ms
        stage.call_answered().await;
        stage.services.assistant_takes(Duration::from_secs(3));
        let before = spoken(&stage);
        stage.caller_says("order").await;
        stage.pass(5900).await;
        let music = spoken(&stage) - before;
        assert!((140..=160).contains(&music), "three seconds of music, without a gap: {music} packets");
        stage.pass(1000).await;
        assert_eq!(stage.services.said().last().map(String::as_str), Some("found"));
        assert!(spoken(&stage) - before - music <= 16, "the music ended");
    });
}

#[test]
fn a_sound_that_cannot_be_fetched_is_left_out() {
    play(Choices::default(), |stage| async move {
        let lost = json!({"response_type": "audio", "source": "gone.wav"});
        stage.services.replies("music", json!([lost, {"response_type": "text", "text": "after"}]));
        stage.call_answered().await;
        stage.caller_says("music").await;
        stage.pass(8000).await;
        assert_eq!(stage.services.fetched(), ["gone.wav"]);
        assert_eq!(stage.services.said().last().map(String::as_str), Some("after"));
        assert_eq!(stage.services.asked().last().map(String::as_str), Some("vgwPostResponseTimeout"));
    });
}

#[test]
fn the_recognizer_is_configured_for_the_band_of_the_line() {
    play(Choices::default(), |stage| async move {
        let configure = json!({"response_type": "speech_to_text", "command_info": {"type": "configure", "parameters": {
            "narrowband_recognize": {"model": "narrow"}, "broadband_recognize": {"model": "broad"}}}});
        stage.services.replies("configure", json!([configure]));
        stage.call_answered().await;
        stage.caller_says("configure").await;
        stage.pass(200).await;
        assert_eq!(stage.services.understood().last(), Some(&json!({"model": "narrow"})));
    });
}

#[test]
fn before_the_answer_the_assistant_may_choose_the_band() {
    let offer = INVITE
        .replace("RTP/AVP 0 101", "RTP/AVP 0 9 101")
        .replace("a=rtpmap:101", "a=rtpmap:9 G722/8000\na=rtpmap:101");
    for (preference, first, lines) in [("broadband", "9", &[8000, 16_000][..]), ("narrowband", "0", &[8000])] {
        let offer = offer.clone();
        play(Choices::default(), move |stage| async move {
            let configure = json!({"response_type": "speech_to_text", "command_info": {"type": "configure",
                "parameters": {"band_preference": preference, "broadband_recognize": {"model": "broad"},
                               "narrowband_recognize": {"model": "narrow"}}}});
            let greeting = json!({"response_type": "text", "text": "hello, how can I help"});
            stage.services.replies("", json!([configure, greeting]));
            stage.carrier.sends(&offer);
            stage.pass(2000).await;
            let answers = stage.carrier.seen().into_iter().filter_map(|message| match message {
                Message::Response(response) if response.status.0 == 200 => {
                    Some(String::from_utf8_lossy(&response.body).into_owned())
                }
                _ => None,
            });
            let answers: Vec<String> = answers.collect();
            let media = answers.iter().find_map(|sdp| sdp.lines().find(|line| line.starts_with("m=audio")));
            let payload_types = media.and_then(|line| line.split("RTP/AVP ").nth(1)).expect("an answer");
            assert_eq!(payload_types.split(' ').next(), Some(first), "{answers:?}");
            assert_eq!(stage.services.lines(), lines);
            let model = if preference == "broadband" { "broad" } else { "narrow" };
            assert_eq!(stage.services.understood().last(), Some(&json!({"model": model})));
            assert!(stage.line.sent().iter().any(|packet| packet.4), "the greeting is heard");
            // Later it changes nothing: the codec is agreed on.
            stage.services.replies(
                "other",
                json!([{"response_type": "speech_to_text", "command_info": {"type": "configure",
                "parameters": {"band_preference": "narrowband"}}}]),
            );
            stage.caller_says("other").await;
            stage.pass(200).await;
            assert_eq!(stage.services.lines(), lines);
            stage.carrier.hangs_up();
            stage.settle().await;
            assert_eq!(stage.leaks().await, Vec::<String>::new());
        });
    }
}

#[test]
fn the_assistant_is_told_of_the_call_and_of_the_headers_it_asked_for() {
    play(Choices::default(), |stage| async move {
        stage.carrier.sends(&INVITE.replace("Max-Forwards", "X-Customer: Jane\nX-Other: 1\nMax-Forwards"));
        stage.pass(2000).await;
        let context = stage.services.last_context();
        let telephony = context.pointer("/integrations/voice_telephony").expect("facts");
        assert_eq!(telephony["sip_custom_invite_headers"], json!({"X-Customer": "Jane"}));
        assert_eq!(telephony["assistant_phone_number"], "+18005550123");
        assert!(telephony["private"]["sip_request_uri"].as_str().is_some_and(|uri| uri.starts_with("sip")));
    });
}

#[test]
fn rtp_goes_out_every_20_ms_with_numbers_that_run_on() {
    play(Choices::default(), |stage| async move {
        stage.call_answered().await;
        stage.pass(3000).await;
        let sent = stage.line.sent();
        assert!(sent.len() > 200);
        for pair in sent.windows(2) {
            let [(t0, _, s0, ts0, _), (t1, _, s1, ts1, _)] = [pair[0], pair[1]];
            assert_eq!((s1.wrapping_sub(s0), ts1.wrapping_sub(ts0)), (1, 160));
            let gap = (t1 - t0).as_millis();
            assert!((19..=21).contains(&gap), "{gap} ms");
        }
        let spurts = sent.windows(2).filter(|pair| pair[1].4 && !pair[0].4).count() + usize::from(sent[0].4);
        assert_eq!(sent.iter().filter(|packet| packet.1).count(), spurts, "a marker begins every talk spurt");
    });
}

#[test]
fn a_stranger_who_injects_rtp_is_not_heard() {
    play(Choices::default(), |stage| async move {
        stage.call_answered().await;
        for n in 0..10 {
            stage.line.puts(&audio(n, &[0xff; 160]));
            stage.pass(20).await;
        }
        let stranger = "198.51.100.66:4000".parse().expect("an address");
        for n in 0..200 {
            stage.line.puts_from(stranger, &audio(n, &voice(n)));
            stage.line.puts(&audio(10 + n, &[0xff; 160]));
            stage.pass(20).await;
        }
        stage.pass(1000).await;
        assert_eq!(stage.services.asked()[0], "");
        assert!(!stage.services.asked().iter().any(|text| text == "vgwSTTResultFiltered"));
    });
}

#[test]
fn silence_is_told_to_the_assistant_seven_seconds_after_the_last_sample() {
    play(Choices::default(), |stage| async move {
        stage.carrier.sends(INVITE);
        stage.pass(200).await;
        stage.pass(6900).await;
        assert_eq!(stage.services.asked(), [""]);
        stage.pass(700).await;
        assert_eq!(stage.services.asked(), ["", "vgwPostResponseTimeout"]);
    });
}

#[test]
fn the_end_of_a_conversation_tells_the_flow_to_hang_up() {
    play(Choices::default(), |stage| async move {
        stage.call_answered().await;
        stage.caller_says("goodbye").await;
        stage.settle().await;
        assert_eq!(stage.services.attributes()["SessionHistoryKey"], "hangup");
        let bye = &stage.carrier.requests(&Method::Bye)[0];
        assert_eq!(bye.headers.get("Reason"), Some("SIP;cause=200;text=\"conversation ended\""));
        assert_eq!(stage.leaks().await, Vec::<String>::new());
    });
}

#[test]
fn everything_is_spoken_to_its_last_sample_before_the_hand_off() {
    play(Choices::default(), |stage| async move {
        stage.call_answered().await;
        stage.caller_says("agent").await;
        stage.settle().await;
        assert_eq!(stage.services.said(), ["hello, how can I help", "one moment", "transferring you"]);
        let sounding = stage.line.sent().iter().filter(|packet| packet.4).count();
        let samples: usize = stage.services.said().iter().map(|text| text.len() * 80).sum();
        assert!(sounding >= samples / 160, "{sounding} packets for {samples} samples");
    });
}

#[test]
fn the_history_that_is_stored_is_what_was_said() {
    play(Choices::default(), |stage| async move {
        stage.call_answered().await;
        stage.caller_says("agent").await;
        stage.settle().await;
        let stored = stage.services.stored();
        let record = SessionRecord::from_json(&stored[0].json).expect("a record");
        let said: Vec<(Speaker, &str)> =
            record.transcript.lines().iter().map(|l| (l.speaker, l.text.as_str())).collect();
        assert_eq!(record.caller, "+12065550100");
        assert_eq!(
            said,
            [
                (Speaker::Assistant, "hello, how can I help"),
                (Speaker::Caller, "agent"),
                (Speaker::Assistant, "one moment"),
                (Speaker::Assistant, "transferring you"),
            ]
        );
    });
}

#[test]
fn a_hand_off_known_to_be_impossible_follows_the_tenants_wish() {
    for (disconnect, said_unavailable) in [(true, false), (false, true)] {
        for without in ["contact", "store"] {
            let choices = Choices::tenant(format!("disconnect_on_transfer_failure = {disconnect}"));
            play(choices, move |stage| async move {
                let invite = match without {
                    "contact" => INVITE.replace("X-Amzn-ConnectInitialContactId: contact-1\n", ""),
                    _ => {
                        stage.services.store(Behaviour::Refuses);
                        INVITE.to_owned()
                    }
                };
                stage.carrier.sends(&invite);
                stage.pass(2000).await;
                stage.caller_says("agent").await;
                stage.pass(5000).await;
                let what = format!("disconnect: {disconnect}, without {without}");
                assert_eq!(stage.services.said().contains(&"nobody is there".to_owned()), said_unavailable, "{what}");
                assert_eq!(
                    stage.services.asked().contains(&"vgwCallTransferFailed".to_owned()),
                    said_unavailable,
                    "{what}"
                );
                assert_eq!(stage.carrier.requests(&Method::Bye).len(), usize::from(!said_unavailable), "{what}");
                assert_eq!(stage.services.writes_and_blanks(), (0, 0), "{what}");
            });
        }
    }
}

#[test]
fn every_sample_that_arrives_reaches_the_recognizer() {
    play(Choices::default(), |stage| async move {
        stage.call_answered().await;
        let before = stage.services.samples();
        for n in 0..500 {
            stage.line.puts(&audio(n, &[0x80 | (n % 64) as u8; 160]));
            stage.pass(20).await;
        }
        let heard = stage.services.samples() - before;
        assert!(heard.abs_diff(500 * 160) <= 480, "{heard} of {}", 500 * 160);
    });
}

/// Milliseconds from the first sound to the last, and how many of the packets between were silent.
fn sounded(stage: &Stage) -> (u128, usize) {
    let sent = stage.line.sent();
    let (first, last) = (sent.iter().position(|p| p.4), sent.iter().rposition(|p| p.4));
    let between = &sent[first.expect("something was heard")..=last.expect("something was heard")];
    let (begin, end) = (between[0].0, between[between.len() - 1].0);
    ((end - begin).as_millis() + 20, between.iter().filter(|packet| !packet.4).count())
}

#[test]
fn a_text_is_heard_while_the_rest_of_it_is_being_made() {
    for (rest_ms, gap) in [(500, false), (3000, true)] {
        play(Choices::default(), move |stage| async move {
            stage.services.speaks_in_halves(Duration::from_millis(rest_ms));
            // Two seconds: half of it is there after 50 ms.
            stage.services.replies("", json!([{"response_type": "text", "text": "x".repeat(200)}]));
            stage.carrier.sends(INVITE);
            stage.pass(6000).await;
            let (heard, silent) = sounded(&stage);
            let expected = if gap { 1000 + rest_ms as u128 } else { 2000 };
            assert!(heard.abs_diff(expected) <= 40, "{heard} ms");
            assert_eq!(silent > 5, gap, "{silent} packets without a sound");
            stage.carrier.hangs_up();
            stage.settle().await;
            let (record, _) = stage.services.records().remove(0);
            let turn = &record["assistant_interaction_summaries"][0]["turns"][0];
            assert_eq!(turn["latency"]["synthesis_milliseconds"], 50, "its first audio");
            let warned = record["warnings_and_errors"].as_array().is_some_and(|all| !all.is_empty());
            assert_eq!(warned, gap, "{}", record["warnings_and_errors"]);
        });
    }
}

#[test]
fn of_a_text_in_parts_the_words_that_were_heard_are_shown() {
    play(Choices::default(), |stage| async move {
        stage.services.speaks_in_halves(Duration::from_millis(300));
        let text = "one two three four five six seven eight nine ten ".repeat(4); // two seconds
        stage.services.replies("", json!([{"response_type": "text", "text": text}]));
        stage.carrier.sends(INVITE);
        stage.pass(1600).await; // three quarters of it: in the part that came last
        stage.caller_says("agent").await;
        stage.settle().await;
        let history = SessionRecord::from_json(&stage.services.stored()[0].json).expect("a history");
        let line = &history.transcript.lines()[0];
        assert!(line.interrupted);
        let share = line.text.len() as f32 / text.len() as f32;
        assert!((0.6..0.9).contains(&share), "{share}: {}", line.text);
    });
}

#[test]
fn an_assistant_that_wants_to_is_told_of_a_bad_network() {
    for notify_network in [true, false] {
        let conversation =
            format!("[conversation]\nnotify_on_network_warnings = {notify_network}\npost_response_timeout_ms = 60000");
        play(Choices::tenant(conversation), move |stage| async move {
            stage.call_answered().await;
            // Packets come in pairs, each pair 200 ms after the one before, for what is 100 ms of audio.
            for n in 0..60u16 {
                stage.line.puts(&audio(usize::from(n), &[0xff; 160]));
                stage.pass(if n % 2 == 0 { 0 } else { 200 }).await;
            }
            stage.pass(100).await;
            let told = stage.services.asked().iter().filter(|text| *text == "vgwNetworkWarningMessage").count();
            assert_eq!(told, usize::from(notify_network));
            stage.carrier.hangs_up();
            stage.settle().await;
            let (record, _) = stage.services.records().remove(0);
            assert_eq!(record["warnings_and_errors"][0]["id"], "CWSMR0033W");
            let summary = &record["realtime_transport_network_summary"]["inbound_stream"];
            assert!(summary["maximum_jitter"].as_u64() > Some(30), "{summary}");
        });
    }
}

#[test]
fn a_text_whose_line_changes_its_rate_half_way_is_heard_to_its_end() {
    play(Choices::default(), |stage| async move {
        stage.services.speaks_in_halves(Duration::from_millis(800));
        stage.services.replies("", json!([{"response_type": "text", "text": "x".repeat(200)}])); // two seconds
        stage.carrier.sends(INVITE);
        stage.pass(500).await;
        let tag = stage.carrier.to_tag();
        let wide = INVITE
            .replace("CSeq: 1 ", "CSeq: 2 ")
            .replace("z9hG4bKinvite", "z9hG4bKre")
            .replace(";transport=UDP\nCall", &format!(";transport=UDP;tag={tag}\nCall"))
            .replace("RTP/AVP 0 101", "RTP/AVP 9 101")
            .replace("rtpmap:0 PCMU", "rtpmap:9 G722");
        stage.carrier.sends(&wide);
        stage.pass(4000).await;
        stage.carrier.hangs_up();
        stage.settle().await;
        let (record, timeline) = stage.services.records().remove(0);
        let codecs: Vec<String> =
            timeline.iter().filter(|e| e.what.subject() == "media").map(|e| e.what.told()).collect();
        assert!(codecs.last().is_some_and(|codec| codec.starts_with("G722")), "{codecs:?}");
        let at = |what: &str| timeline.iter().find(|e| e.what.told().starts_with(what)).map(|e| e.at_ms).expect("told");
        let heard = at("has been heard") - at("is heard");
        assert!(heard.abs_diff(2000) <= 60, "{heard} ms: {record}");
    });
}
