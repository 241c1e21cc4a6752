//! An assistant that is asked before the caller has finished: nothing of it counts that was not asked for good.

use std::time::Duration;

use bellhop_dialogue::ports::RecognizerEvent;
use bellhop_media::rtp::Packet;
use bellhop_sip::message::Method;
use bellhop_tests::Stage;
use bellhop_tests::stage::{Choices, play, voice};
use serde_json::json;

const PREEMPTIVE: &str = "[conversation]\npreemptive = true\n[assistant]\nfree_of_side_effects = true\n";

/// The caller's line: voice, then silence, frame by frame.
struct Speech<'a> {
    stage: &'a Stage,
    at: usize,
}

impl Speech<'_> {
    async fn frames(&mut self, count: usize, sounds: bool) {
        for _ in 0..count {
            let payload = if sounds { voice(self.at) } else { [0xff; 160] };
            let (sequence, timestamp) = (self.at as u16, self.at as u32 * 160);
            let packet =
                Packet { payload_type: 0, marker: self.at == 0, sequence, timestamp, ssrc: 7, payload: &payload };
            self.stage.line.puts(&packet);
            self.stage.pass(20).await;
            self.at += 1;
        }
    }

    /// They speak and make a pause, in which the recognizer says what it has so far.
    async fn says_so_far(&mut self, text: &str) {
        self.frames(40, true).await;
        self.frames(12, false).await;
        self.stage.services.hears(&RecognizerEvent::SoFar { words: Some((text.into(), 0.9)) });
        self.frames(1, false).await;
    }
}

fn understood(text: &str) -> RecognizerEvent {
    RecognizerEvent::FinalResult { text: text.into(), confidence: 0.9, result: None }
}

fn told(stage: &Stage) -> String {
    let transcript = stage.services.stored().into_iter().map(|history| history.json);
    let records = stage.services.records().into_iter().map(|(record, timeline)| format!("{record} {timeline:?}"));
    let lines = stage.services.words_seen_live().into_iter().chain(stage.services.said());
    let logs = stage.services.turn_logs().into_iter().map(|log| log.to_string());
    transcript.chain(records).chain(lines).chain(logs).collect()
}

/// The caller goes on, and what the assistant wanted with the half of it is nowhere: not said, not in the transcript, the record, the log
/// events, and not in Amazon Connect.
#[test]
fn what_was_asked_early_and_not_for_good_leaves_no_trace() {
    play(Choices::tenant(PREEMPTIVE), |stage| async move {
        let to_agent = json!([{"response_type": "text", "text": "leaked"}, {"response_type": "connect_to_agent",
            "message_to_human_agent": "leaked"}]);
        stage.services.replies("I want", to_agent);
        stage.services.replies("I want to pay", json!([{"response_type": "text", "text": "of course"}]));
        stage.call_answered().await;
        let mut speech = Speech { stage: &stage, at: 0 };
        speech.says_so_far("I want").await;
        assert_eq!(stage.services.asked(), ["", "I want"], "it is asked");
        speech.frames(10, false).await;
        assert!(
            !stage.services.has_key() && stage.carrier.requests(&Method::Bye).is_empty(),
            "and nothing comes of it"
        );
        speech.frames(40, true).await;
        speech.frames(60, false).await;
        stage.services.hears(&understood("I want to pay"));
        stage.pass(2000).await;
        assert_eq!(stage.services.asked(), ["", "I want", "I want to pay"]);
        assert!(!stage.services.has_key() && stage.services.writes_and_blanks().0 == 0);
        stage.services.replies("agent", json!([{"response_type": "connect_to_agent"}]));
        stage.services.hears(&understood("agent"));
        stage.settle().await;
        let told = told(&stage);
        assert!(told.contains("of course") && !told.contains("leaked"), "{told}");
        let record = stage.services.records().remove(0).0;
        let turns = record["assistant_interaction_summaries"][0]["turns"].as_array().expect("turns");
        assert_eq!(turns.len(), 3, "greeting, what they wanted, and the agent");
        assert_eq!(turns[1]["request"]["streaming_statistics"]["ended_by"], "silence");
        let silence = turns[1]["latency"]["end_of_turn_milliseconds"].as_u64().expect("it ended");
        assert!((700..800).contains(&silence), "the jitter buffer's delay is part of it: {silence}");
        assert!(turns[1]["latency"]["first_audio_milliseconds"].as_u64() >= Some(silence), "{}", turns[1]);
    });
}

#[test]
fn what_was_asked_early_is_the_answer_if_it_was_all() {
    play(Choices::tenant(PREEMPTIVE), |stage| async move {
        stage.services.replies("my order", json!([{"response_type": "text", "text": "it is on its way"}]));
        stage.call_answered().await;
        stage.services.assistant_takes(Duration::from_millis(400));
        let mut speech = Speech { stage: &stage, at: 0 };
        speech.says_so_far("my order").await;
        speech.frames(40, false).await;
        assert!(!stage.services.said().contains(&"it is on its way".to_owned()), "it waits until it is asked");
        stage.services.hears(&understood("my order"));
        stage.pass(60).await;
        assert_eq!(stage.services.said().last().map(String::as_str), Some("it is on its way"), "nobody thinks twice");
        assert_eq!(stage.services.asked(), ["", "my order"], "and it is asked once");
    });
}

#[test]
fn what_comes_after_it_was_asked_for_good_is_taken_too() {
    play(Choices::tenant(PREEMPTIVE), |stage| async move {
        stage.services.replies("my order", json!([{"response_type": "text", "text": "it is on its way"}]));
        stage.call_answered().await;
        stage.services.assistant_takes(Duration::from_secs(2));
        let mut speech = Speech { stage: &stage, at: 0 };
        speech.says_so_far("my order").await;
        speech.frames(40, false).await;
        stage.services.hears(&understood("my order"));
        stage.pass(2000).await;
        assert_eq!(stage.services.said().last().map(String::as_str), Some("it is on its way"));
        assert_eq!(stage.services.asked(), ["", "my order"]);
    });
}
