//! The record of a call: what is in it, and that there is one however the call ends.

use bellhop_call::record::What;
use bellhop_dialogue::ports::{RecognizerEvent, ServiceFailure};
use bellhop_tests::Stage;
use bellhop_tests::services::Behaviour;
use bellhop_tests::stage::{Choices, INVITE, play};
use serde_json::{Value, json};

async fn hand_off(stage: &Stage) -> Value {
    stage.call_answered().await;
    stage.caller_says("agent").await;
    stage.settle().await;
    the_record(stage)
}

fn the_record(stage: &Stage) -> Value {
    let records = stage.services.records();
    assert_eq!(records.len(), 1, "one record a call");
    records[0].0.clone()
}

fn is_stamp(value: &Value) -> bool {
    let stamp = value.as_str().unwrap_or_default();
    stamp.len() == 24 && stamp.ends_with('Z') && stamp.as_bytes()[10] == b'T' && stamp.as_bytes()[19] == b'.'
}

#[test]
fn a_call_that_is_handed_over_is_told_field_by_field() {
    play(Choices::default(), |stage| async move {
        let record = hand_off(&stage).await;
        assert_eq!(record["primary_phone_number"], "+18005550123");
        assert_eq!(record["global_session_id"].as_str().map(str::len), Some(36));
        assert_eq!(record["failure_occurred"], false);
        assert_eq!(record["transfer_occurred"], true);
        assert_eq!(record["active_calls"], 0);
        let call = &record["call"];
        assert!(is_stamp(&call["start_timestamp"]) && is_stamp(&call["stop_timestamp"]), "{call}");
        assert_eq!((&call["outbound"], &call["end_reason"]), (&json!(false), &json!("assistant_transfer")));
        let security = json!({"media_encrypted": false, "signaling_encrypted": false, "sip_authenticated": false});
        assert_eq!(call["security"], security);
        let sip = &record["session_initiation_protocol"];
        assert_eq!(sip["headers"]["call_id"], "call-1");
        assert_eq!(sip["headers"]["from_uri"], "sip:+12065550100@10.0.58.47:5060");
        assert!(sip["setup_milliseconds"].as_u64().is_some_and(|ms| (50..2000).contains(&ms)), "{sip}");
        assert_eq!(record["max_response_milliseconds"]["assistant"], 50);
        assert_eq!(record["max_response_milliseconds"]["text_to_speech"], 50);
        let turns = record["assistant_interaction_summaries"][0]["turns"].as_array().expect("turns").clone();
        assert_eq!(turns.len(), 2);
        assert_eq!(turns[0]["request"], json!({"type": "start"}));
        assert_eq!(turns[0]["assistant"]["response_milliseconds"], 50);
        assert_eq!(turns[1]["request"]["type"], "speech_to_text");
        assert_eq!(turns[1]["request"]["streaming_statistics"]["confidence"], 0.9);
        let kinds: Vec<&str> =
            turns[1]["response"].as_array().expect("responses").iter().filter_map(|r| r["type"].as_str()).collect();
        assert_eq!(kinds, ["text_to_speech", "text_to_speech", "transfer"]);
        assert_eq!(turns[1]["response"][0]["barge_in_occurred"], false);
        assert!(is_stamp(&turns[1]["response"][0]["streaming_statistics"]["stop_timestamp"]));
        assert!(turns[1]["latency"]["first_audio_milliseconds"].as_u64().is_some_and(|ms| ms >= 100), "{}", turns[1]);
        assert!(record.get("failure_details").is_none());
        let words = record.to_string();
        assert!(!words.contains("one moment") && !words.contains("how can I help"), "it holds no words");
    });
}

#[test]
fn the_timeline_has_the_ladder_and_the_words_in_order() {
    play(Choices::default(), |stage| async move {
        hand_off(&stage).await;
        let (_, timeline) = stage.services.records().remove(0);
        assert!(timeline.is_sorted_by_key(|event| event.at_ms));
        let ladder: Vec<String> =
            timeline.iter().filter(|event| event.what.subject() == "sip").map(|event| event.what.told()).collect();
        assert_eq!(ladder, ["<- INVITE", "-> 180 INVITE", "-> 200 INVITE", "<- ACK", "-> BYE"]);
        let words: Vec<String> =
            timeline.iter().filter(|event| event.what.subject() == "words").map(|event| event.what.told()).collect();
        let said = [
            "assistant: hello, how can I help",
            "caller: agent",
            "assistant: one moment",
            "assistant: transferring you",
        ];
        assert_eq!(words, said);
        assert!(matches!(timeline.last().map(|event| &event.what), Some(What::Ended { .. })));
        let json = serde_json::to_string(&timeline).expect("plain data");
        let back: Vec<bellhop_call::record::Event> = serde_json::from_str(&json).expect("its own form");
        assert_eq!(back, timeline);
    });
}

#[test]
fn every_turn_is_logged_once_it_is_over() {
    play(Choices::default(), |stage| async move {
        stage.call_answered().await;
        assert_eq!(stage.services.turn_logs().len(), 0, "the greeting's turn is not over");
        stage.caller_says("what is the weather").await;
        let logs = stage.services.turn_logs();
        assert_eq!(logs.len(), 1);
        assert_eq!(logs[0]["request"]["type"], "start");
        assert_eq!(logs[0]["response"]["output"]["generic"][0]["text"], "hello, how can I help");
        stage.pass(500).await;
        stage.caller_says("goodbye").await;
        stage.settle().await;
        let logs = stage.services.turn_logs();
        let texts: Vec<&Value> = logs.iter().map(|log| &log["request"]["input"]["text"]).collect();
        assert_eq!(texts, ["", "what is the weather", "goodbye"]);
        assert_eq!(the_record(&stage)["call"]["end_reason"], "assistant_hangup");
    });
}

/// Section 4.2 of the specification: the last column.
#[test]
fn every_response_has_the_type_that_the_vendor_gives_it() {
    let rows = [
        (json!({"response_type": "text", "text": "a"}), "text_to_speech"),
        (json!({"response_type": "audio", "source": "https://example.com/a.wav"}), "url"),
        (json!({"response_type": "speech_to_text", "command_info": {"type": "configure"}}), "speech_to_text_config"),
        (
            json!({"response_type": "text_to_speech", "command_info": {"type": "configure",
                "parameters": {"synthesize": {"voice": "a"}}}}),
            "text_to_speech_config",
        ),
        (
            json!({"response_type": "text_to_speech", "command_info": {"type": "disable_barge_in"}}),
            "disable_speech_barge_in",
        ),
        (
            json!({"response_type": "text_to_speech", "command_info": {"type": "enable_barge_in"}}),
            "enable_speech_barge_in",
        ),
        (json!({"response_type": "dtmf", "command_info": {"type": "disable_barge_in"}}), "disable_dtmf_barge_in"),
        (json!({"response_type": "dtmf", "command_info": {"type": "enable_barge_in"}}), "enable_dtmf_barge_in"),
        (
            json!({"response_type": "dtmf", "command_info": {"type": "send", "parameters": {"digits": [{"code": "1"}]}}}),
            "dtmf",
        ),
        (json!({"response_type": "stop_activities", "activities": [{"type": "dtmf_collection"}]}), "pause_dtmf"),
        (json!({"response_type": "start_activities", "activities": [{"type": "dtmf_collection"}]}), "unpause_dtmf"),
        (
            json!({"response_type": "stop_activities", "activities": [{"type": "speech_to_text_recognition"}]}),
            "pause_speech_to_text",
        ),
        (
            json!({"response_type": "start_activities", "activities": [{"type": "speech_to_text_recognition"}]}),
            "unpause_speech_to_text",
        ),
        (
            json!({"response_type": "option", "options": [{"label": "a", "value": {"input": {"text": "a"}}}]}),
            "text_to_speech",
        ),
        (json!({"response_type": "end_session"}), "hangup"),
    ];
    let (replies, expected): (Vec<Value>, Vec<&str>) = rows.into_iter().unzip();
    play(Choices::default(), |stage| async move {
        stage.services.sound("https://example.com/a.wav", 800);
        stage.services.replies("all", Value::Array(replies));
        stage.call_answered().await;
        stage.caller_says("all").await;
        stage.settle().await;
        let record = the_record(&stage);
        let turn = &record["assistant_interaction_summaries"][0]["turns"][1];
        let mut kinds: Vec<&str> =
            turn["response"].as_array().expect("a list").iter().filter_map(|r| r["type"].as_str()).collect();
        let mut expected = expected;
        kinds.sort_unstable();
        expected.sort_unstable();
        assert_eq!(kinds, expected);
    });
}

#[test]
fn the_log_of_a_turn_knows_that_it_was_interrupted() {
    play(Choices::default(), |stage| async move {
        stage.services.replies("", json!([{"response_type": "text", "text": "x".repeat(300)}])); // three seconds
        stage.carrier.sends(INVITE);
        stage.pass(1000).await;
        stage.caller_says("goodbye").await;
        let log = stage.services.turn_logs().remove(0);
        assert_eq!(log["statistics"]["response"][0]["barge_in_occurred"], true, "{log}");
        stage.settle().await;
        let timeline = stage.services.records().remove(0).1;
        let told: Vec<String> = timeline.iter().map(|event| event.what.told()).collect();
        let at = |text: &str| told.iter().position(|line| line.starts_with(text)).expect("it is told");
        assert!(at("interrupts") < at("cut off after"), "{told:?}");
    });
}

#[test]
fn our_own_voice_heard_back_is_told_with_the_next_turn() {
    play(Choices::default(), |stage| async move {
        let greeting = json!([{"response_type": "text", "text": "thank you for calling acme today"}]);
        stage.services.replies("", greeting);
        stage.carrier.sends(INVITE);
        stage.pass(1000).await;
        for said in ["thank you for calling acme", "goodbye"] {
            stage.caller_says(said).await;
        }
        stage.settle().await;
        let turns = the_record(&stage)["assistant_interaction_summaries"][0]["turns"].clone();
        assert_eq!(turns.as_array().map(Vec::len), Some(2), "the echo is no turn");
        assert_eq!(turns[1]["request"]["streaming_statistics"]["echo_detected"], true);
    });
}

#[test]
fn masked_digits_are_in_no_record() {
    play(Choices::default(), |stage| async move {
        let collect = json!([{"response_type": "dtmf", "command_info": {"type": "collect",
            "parameters": {"count": 3, "ignore_speech": true}}}]);
        stage.services.replies("pin", collect);
        stage.call_answered().await;
        stage.caller_says("pin").await;
        let mut at = 0;
        for digit in [4, 7, 1] {
            stage.presses(&mut at, digit).await;
        }
        assert_eq!(stage.services.asked().last().map(String::as_str), Some("471"));
        stage.caller_says("goodbye").await;
        stage.settle().await;
        let (_, timeline) = stage.services.records().remove(0);
        let all = format!("{}{:?}", serde_json::to_string(&timeline).expect("plain data"), stage.services.turn_logs());
        assert!(!all.contains("471"), "{all}");
        assert!(all.contains("•••"));
    });
}

#[test]
fn how_it_ended_is_told_in_the_vendors_words() {
    play(Choices::default(), |stage| async move {
        stage.call_answered().await;
        stage.carrier.hangs_up();
        stage.settle().await;
        let record = the_record(&stage);
        assert_eq!(
            (&record["call"]["end_reason"], &record["failure_occurred"]),
            (&json!("caller_hangup"), &json!(false))
        );
    });
    play(Choices::default(), |stage| async move {
        stage.call_answered().await;
        stage.services.assistant(Behaviour::Refuses);
        stage.caller_says("anything").await;
        stage.settle().await;
        let record = the_record(&stage);
        assert_eq!((&record["call"]["end_reason"], &record["failure_occurred"]), (&json!("failed"), &json!(true)));
        assert_eq!(record["failure_details"], "turn_loop: the assistant was lost");
    });
}

#[test]
fn trouble_with_a_service_stands_in_the_record() {
    play(Choices::default(), |stage| async move {
        stage.call_answered().await;
        let why = ServiceFailure::Unavailable { why: "the connection was lost".into() };
        stage.services.hears(&RecognizerEvent::Reconnecting { why });
        stage.services.hears(&RecognizerEvent::ServedBy { service: "pocketsphinx", stands_in: true });
        stage.services.hears(&RecognizerEvent::ServedBy { service: "pocketsphinx", stands_in: true });
        let doubtful = RecognizerEvent::FinalResult { text: "mumble".into(), confidence: 0.0, result: None };
        stage.services.hears(&doubtful);
        stage.pass(10).await;
        stage.carrier.hangs_up();
        stage.settle().await;
        let warnings = the_record(&stage)["warnings_and_errors"].as_array().expect("warnings").clone();
        let ids: Vec<&Value> = warnings.iter().map(|warning| &warning["id"]).collect();
        assert_eq!(ids, ["CWSMR0070W", "service_switched"]);
        assert_eq!(warnings[1]["message"], "speech_to_text: pocketsphinx has taken over");
    });
}

#[test]
fn a_call_that_cannot_be_served_has_a_record_too() {
    play(Choices::default(), |stage| async move {
        stage.carrier.sends(&INVITE.replace("RTP/AVP 0 101", "RTP/AVP 98").replace("rtpmap:0 PCMU", "rtpmap:98 X"));
        stage.settle().await;
        let record = the_record(&stage);
        assert_eq!(record["failure_details"], "refused_not_acceptable");
        assert_eq!(record["assistant_interaction_summaries"][0]["turns"], json!([]));
    });
}
