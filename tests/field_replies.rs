//! Cases from the field (`tests/cases/replies.yaml`) that the turn loop and the hand-off answer for, on the whole stage.
//!
//! Each test has the name of its case. What is data is read from the file, what is prose is played as code.

use std::time::Duration;

use bellhop_dialogue::ports::RecognizerEvent;
use bellhop_dialogue::session_record::SessionRecord;
use bellhop_sip::message::Method;
use bellhop_tests::Stage;
use bellhop_tests::stage::{Choices, INVITE, play};
use serde_json::{Value, json};

/// The cases of the file that have their test here.
const HERE: [&str; 8] = [
    "a name that Amazon Connect refuses does not cost the conversation",
    "many turns without the caller",
    "an SMS that failed is not a reason to race",
    "a text of a book",
    "half a reply was heard",
    "keys are not lost",
    "limits out of range are absent",
    "an option whose label is a number",
];

fn case(name: &str) -> Value {
    let cases: Vec<Value> = serde_saphyr::from_str(include_str!("cases/replies.yaml")).expect("a list of cases");
    assert!(HERE.contains(&name), "{name} is not in the list");
    cases.into_iter().find(|case| case["name"] == name).unwrap_or_else(|| panic!("no case {name}"))
}

#[test]
fn every_case_here_is_in_the_file() {
    HERE.iter().for_each(|name| drop(case(name)));
}

/// What the agent reads.
fn history(stage: &Stage) -> Vec<String> {
    let stored = stage.services.stored();
    let record = SessionRecord::from_json(&stored.last().expect("a history").json).expect("a record");
    record.transcript.lines().iter().map(|line| line.text.clone()).collect()
}

fn warnings(record: &Value, id: &str) -> Vec<String> {
    let all = record["warnings_and_errors"].as_array().into_iter().flatten();
    all.filter(|warning| warning["id"] == id).map(|warning| warning["message"].to_string()).collect()
}

#[test]
fn a_name_that_amazon_connect_refuses_does_not_cost_the_conversation() {
    let case = case("a name that Amazon Connect refuses does not cost the conversation");
    play(Choices::default(), |stage| async move {
        stage.services.replies("a person", case["generic"].clone());
        stage.call_answered().await;
        stage.caller_says("a person").await;
        stage.settle().await;
        let gets = stage.services.attributes();
        for (name, value) in case["connect_gets"].as_object().expect("attributes") {
            let got = gets.get(name).unwrap_or_else(|| panic!("{name} is missing: {gets:?}"));
            assert!(value == "present" && !got.is_empty() || value == got, "{name}: {got}");
        }
        assert_eq!(gets["tags"], r#"["a","b"]"#);
        assert!(gets.keys().all(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))));
        assert_eq!(stage.carrier.requests(&Method::Bye).len(), 1);
        let told = "`Customer Name` is called `Customer_Name`";
        assert!(
            history(&stage).iter().any(|line| line.contains(told) && !line.contains("Ada")),
            "{:?}",
            history(&stage)
        );
        let (record, _) = stage.services.records().remove(0);
        assert!(warnings(&record, "custom_data_changed").concat().contains(told), "{record}");
    });
}

#[test]
fn many_turns_without_the_caller() {
    let case = case("many turns without the caller");
    play(Choices::default(), |stage| async move {
        let reply = case["reply_to_every_turn"].clone();
        ["", "vgwNoInputTurn"].iter().for_each(|said| stage.services.replies(said, reply.clone()));
        stage.carrier.sends(INVITE);
        stage.pass(5000).await;
        // "One moment." takes 110 ms of this voice, and the turn and its text take 50 ms each.
        let turns = stage.services.asked().len();
        assert!((15..=27).contains(&turns), "{turns} turns in five seconds");
        assert_eq!(stage.services.said().len().abs_diff(turns), 0, "each text once");
    });
}

#[test]
fn many_turns_without_the_caller_and_without_a_text() {
    play(Choices::tenant("conversation.silent_turns_max = 5"), |stage| async move {
        let reply = json!([case("many turns without the caller")["reply_to_every_turn"][1]]);
        ["", "vgwNoInputTurn"].iter().for_each(|said| stage.services.replies(said, reply.clone()));
        stage.carrier.sends(INVITE);
        stage.pass(5000).await;
        assert_eq!(stage.services.asked().len(), 6);
        assert_eq!(stage.carrier.requests(&Method::Bye).len(), 1, "the assistant counts as lost");
        assert!(!stage.services.has_key());
    });
}

#[test]
fn an_sms_that_failed_is_not_a_reason_to_race() {
    let case = case("an SMS that failed is not a reason to race");
    play(Choices::default(), |stage| async move {
        stage.services.replies("", case["reply_to_every_turn"].clone());
        stage.carrier.sends(INVITE);
        stage.pass(300).await; // a third of a second of text, of which the first half is heard
        assert_eq!(stage.services.asked(), [""], "nothing is asked before the text has been heard");
        stage.pass(5700).await;
        assert_eq!(stage.services.asked()[..2], ["", "vgwSMSFailed"]);
        assert_eq!(stage.services.said().len(), 1, "the text is said once");
        let mut at = 0;
        for digit in [1, 9, 8, 4] {
            stage.presses(&mut at, digit).await;
        }
        assert_eq!(stage.services.asked()[2..], ["1984"], "the collection is not lost");
    });
}

#[test]
fn a_text_of_a_book() {
    case("a text of a book");
    play(Choices::default(), |stage| async move {
        let book = "lorem ipsum dolor sit amet ".repeat(4000);
        stage.services.replies("", json!([{"response_type": "text", "text": book}]));
        stage.carrier.sends(INVITE);
        stage.pass(2000).await;
        let said = stage.services.said();
        assert!(said.iter().all(|part| part.len() <= 300) && said[0].starts_with("lorem"), "{said:?}");
        assert!(said.len() <= 4, "{} parts are being made at once", said.len());
        assert!(stage.line.sent().iter().any(|packet| packet.4), "its beginning is heard");
        stage.pass(20_000).await;
        let before = stage.services.said().len();
        assert!(before > said.len(), "it goes on");
        stage.services.hears(&RecognizerEvent::FinalResult { text: "stop".into(), confidence: 0.9, result: None });
        stage.pass(60_000).await;
        assert_eq!(stage.services.said().len(), before, "nothing of it is made any more");
        assert!(stage.services.asked().contains(&"stop".to_owned()));
    });
}

#[test]
fn a_thousand_items_are_a_long_reply_and_nothing_else() {
    play(Choices::default(), |stage| async move {
        let items: Vec<Value> =
            (0..1000).map(|n| json!({"response_type": "text", "text": format!("Number {n}.")})).collect();
        stage.services.replies("", json!(items));
        stage.carrier.sends(INVITE);
        stage.pass(3000).await;
        assert!(stage.services.said().len() < 100, "{} texts are being made", stage.services.said().len());
        stage.pass(30_000).await;
        assert!(stage.carrier.requests(&Method::Bye).is_empty(), "the call lives");
        stage.carrier.hangs_up();
        stage.settle().await;
        assert_eq!(stage.leaks().await, Vec::<String>::new());
    });
}

#[test]
fn half_a_reply_was_heard() {
    case("half a reply was heard");
    play(Choices::default(), |stage| async move {
        let sentences = json!([{"response_type": "text", "text": "one two three four five. ".repeat(4)},
            {"response_type": "text", "text": "Never heard."}]);
        stage.services.replies("tell me", sentences);
        stage.call_answered().await;
        stage.caller_says("tell me").await;
        stage.pass(600).await; // a second of text, half of it heard
        stage.services.hears(&RecognizerEvent::FinalResult { text: "stop".into(), confidence: 0.9, result: None });
        stage.pass(200).await;
        let request = stage.services.last_request().expect("a turn");
        let interrupted = request.interrupted.expect("it was interrupted");
        assert!(request.barge_in_occurred && interrupted.unknown_turn.is_none());
        let heard = interrupted.heard.len();
        assert!(interrupted.heard.starts_with("one two three") && (20..80).contains(&heard), "{}", interrupted.heard);
        stage.caller_says("again").await;
        assert!(stage.services.last_request().expect("a turn").interrupted.is_none(), "it is told once");
    });
}

#[test]
fn keys_are_not_lost() {
    case("keys are not lost");
    play(Choices::default(), |stage| async move {
        let collect =
            json!([{"response_type": "dtmf", "command_info": {"type": "collect", "parameters": {"count": 4}}}]);
        stage.services.replies("number", collect);
        stage.call_answered().await;
        stage.caller_says("number").await;
        stage.pass(200).await;
        let mut at = 0;
        stage.presses(&mut at, 4).await;
        stage.presses(&mut at, 7).await;
        stage.caller_says("I do not know it").await;
        let request = stage.services.last_request().expect("a turn");
        assert_eq!((request.input.text(), request.digits_before.as_str()), ("I do not know it", "47"));
        stage.caller_says("agent").await;
        stage.settle().await;
        let read = history(&stage);
        let keys = read.iter().position(|line| line == "47").expect("the keys are shown");
        assert_eq!(read[keys + 1], "I do not know it");
    });
}

#[test]
fn limits_out_of_range_are_absent() {
    let case = case("limits out of range are absent");
    play(Choices::default(), |stage| async move {
        stage.services.replies("number", case["generic"].clone());
        stage.call_answered().await;
        stage.caller_says("number").await;
        stage.pass(200).await;
        let mut at = 0;
        stage.presses(&mut at, 4).await;
        stage.pass(5000).await;
        stage.presses(&mut at, 7).await;
        assert_eq!(stage.services.asked(), ["", "number"], "four digits are waited for, without a timer between them");
        stage.carrier.hangs_up();
        stage.settle().await;
        let (record, _) = stage.services.records().remove(0);
        let told = warnings(&record, "reply_parameter_ignored").concat();
        assert!(told.contains("inter_digit_timeout_count"), "{record}");
    });
}

#[test]
fn an_option_whose_label_is_a_number() {
    let case = case("an option whose label is a number");
    play(Choices::default(), |stage| async move {
        stage.services.replies("year", case["generic"].clone());
        stage.call_answered().await;
        stage.caller_says("year").await;
        stage.pass(2000).await;
        assert_eq!(stage.services.said()[1..], ["Which year", "1. 2025", "2. 2026"]);
        stage.presses(&mut 0, 2).await;
        assert_eq!(stage.services.asked().last().map(String::as_str), Some("2026"));
    });
}

#[test]
fn an_interruption_is_told_within_a_moment_even_if_nobody_says_how_much_was_heard() {
    play(Choices::default(), |stage| async move {
        stage.services.replies("", json!([{"response_type": "text", "text": "x".repeat(300)}]));
        stage.carrier.sends(INVITE);
        stage.pass(1000).await;
        stage.services.hears(&RecognizerEvent::FinalResult { text: "stop".into(), confidence: 0.9, result: None });
        stage.pass(Duration::from_millis(20).as_millis() as u64).await;
        assert_eq!(stage.services.asked().last().map(String::as_str), Some("stop"));
    });
}
