//! Cases from the field (`tests/cases/redaction.yaml`): each through everything that shows a text.

use bellhop_dialogue::session_record::SessionRecord;
use bellhop_tests::stage::{Choices, INVITE, play};
use serde_json::{Value, json};

fn cases() -> Vec<Value> {
    serde_saphyr::from_str(include_str!("cases/redaction.yaml")).expect("a list of cases")
}

/// Says or presses it, has it said back, noted and put into the record; then everything that somebody may read.
fn shown_everywhere(said: Vec<String>, keys: Option<String>) -> Vec<(&'static str, String)> {
    let shown = std::sync::Arc::new(std::sync::Mutex::new(vec![]));
    let told = std::sync::Arc::clone(&shown);
    play(Choices::default(), |stage| async move {
        let spoken = said.join(" ");
        let back = json!({"response_type": "text", "text": spoken});
        let transfer = json!({"response_type": "connect_to_agent", "message_to_human_agent": spoken,
            "transfer_info": {"target": {"amazon_connect": {"custom_data": {"topic": "loan"}}}}});
        let collect = json!({"response_type": "dtmf", "command_info": {"type": "collect",
            "parameters": {"termination_key": "#"}}});
        stage.services.replies("", json!([{"response_type": "text", "text": "hello"}]));
        stage.services.replies("number", json!([collect]));
        stage.services.replies("agent", json!([back, transfer]));
        stage.services.returns(json!({"integrations": {"voice_telephony": {"cdr_custom_data": {"said": spoken}}}}));
        stage.carrier.sends(INVITE);
        stage.pass(2000).await;
        for utterance in &said {
            stage.caller_says(utterance).await;
            stage.pass(300).await;
        }
        if let Some(keys) = keys {
            stage.caller_says("number").await;
            stage.pass(200).await;
            let mut at = 0;
            for key in keys.bytes() {
                stage.presses(&mut at, key - b'0').await;
            }
            stage.presses(&mut at, 11).await;
        }
        stage.caller_says("agent").await;
        stage.settle().await;
        let history = SessionRecord::from_json(&stage.services.stored()[0].json).expect("a record");
        let lines: Vec<&str> = history.transcript.lines().iter().map(|line| line.text.as_str()).collect();
        let (record, timeline) = stage.services.records().remove(0);
        let events: Vec<String> =
            timeline.iter().filter(|event| event.what.subject() == "words").map(|event| event.what.told()).collect();
        let logs: Vec<String> = stage
            .services
            .turn_logs()
            .iter()
            .map(|log| {
                let input = log["request"]["input"]["text"].as_str().unwrap_or_default();
                let output: Vec<&str> = log["response"]["output"]["generic"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|item| item["text"].as_str())
                    .collect();
                format!("{input}\n{}", output.join("\n"))
            })
            .collect();
        told.lock().expect("alone").extend([
            ("transcript, agent's page and message_to_human_agent", lines.join("\n")),
            ("message_logged", logs.join("\n")),
            ("timeline", events.join("\n")),
            (
                "custom data of the record",
                record["injected_custom_data"]["said"].as_str().unwrap_or_default().to_owned(),
            ),
            ("live events", stage.services.words_seen_live().join("\n")),
        ]);
    });
    shown.lock().expect("alone").clone()
}

fn texts(case: &Value, name: &str) -> Vec<String> {
    match &case[name] {
        Value::String(text) => vec![text.clone()],
        Value::Array(all) => all.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect(),
        _ => vec![],
    }
}

#[test]
fn no_card_is_shown_anywhere_and_no_order_is_hidden() {
    for case in cases() {
        let said = [texts(&case, "text"), texts(&case, "utterances")].concat();
        let keys = case["keys"].as_str().map(str::to_owned);
        assert!(!said.is_empty() || keys.is_some(), "nothing is played of {case}");
        for (place, shown) in shown_everywhere(said, keys) {
            for forbidden in texts(&case, "must_not_hold") {
                assert!(!shown.contains(&forbidden), "{place} of {case}: {shown}");
            }
            if let Some(expected) = case["shows"].as_str() {
                assert!(!shown.contains("4111") && !shown.contains("123"), "{place} of {case}: {shown}");
                let rest = expected.split('•').map(str::trim).filter(|rest| !rest.is_empty());
                let kept = place == "live events" || rest.clone().all(|rest| shown.contains(rest));
                assert!(kept, "{place} of {case}: {shown}");
            }
            // Who looks on sees digits masked while more may come.
            for required in texts(&case, "must_hold").iter().filter(|_| place != "live events") {
                assert!(shown.contains(required), "{place} of {case}: {shown}");
            }
        }
    }
}
