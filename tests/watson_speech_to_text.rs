//! What Watson Speech to Text and we say to each other, against a stand-in that fails at every step.

use bellhop_adapters::iam::Authentication;
use bellhop_adapters::speech_to_text::watson::WatsonSpeechToText;
use bellhop_dialogue::ports::{Recognizer, RecognizerEvent, ServiceFailure};
use bellhop_rehearsal::watson_speech::{Misbehaviour, StandIn, TOKEN};
use bellhop_tests::listening::{Call, config};
use serde_json::json;

async fn open(service: &StandIn, line_rate: u32, token: &str) -> Result<Call, ServiceFailure> {
    let address = service.serve().expect("a port");
    let tenant = json!({"model": if line_rate > 8000 { "en-US" } else { "en-US_Telephony" }});
    let tenant = tenant.as_object().cloned().unwrap_or_default();
    let recognizer = WatsonSpeechToText::new(format!("http://{address}"), tenant, Authentication::Bearer(token.into()));
    assert_eq!(recognizer.sample_rate(line_rate), line_rate);
    Call::open(&recognizer, line_rate).await
}

#[tokio::test]
async fn an_utterance_is_heard_with_its_interim_result_first() {
    for rate in [8000, 16_000] {
        let service = StandIn::default();
        service.will_hear("an agent please", 0.87);
        let mut call = open(&service, rate, TOKEN).await.expect("it opens");
        call.speaks();
        let RecognizerEvent::FinalResult { confidence, result: Some(result), .. } =
            call.hears_words("an agent please ").await
        else {
            panic!("with its result")
        };
        assert_eq!((confidence, &result["transactionID"]), (0.87, &json!("global-1")));
        assert_eq!(
            call.heard.lock().expect("alone")[0],
            RecognizerEvent::InterimResult { text: "an ".into(), stable: false }
        );
        assert!(service.upgrades()[0].starts_with("model=en-US"));
        assert_eq!(service.starts()[0]["interim_results"], true);
    }
}

#[tokio::test]
async fn a_connection_that_drops_in_an_utterance_loses_no_word() {
    for how in [Misbehaviour::DropInUtterance, Misbehaviour::Error("Session timed out.")] {
        let service = StandIn::default();
        service.will_hear("my order", 0.9);
        service.misbehave(how);
        let mut call = open(&service, 8000, TOKEN).await.expect("it opens");
        call.speaks();
        call.hears_words("my order ").await;
        assert_eq!(service.upgrades().len(), 2);
    }
}

#[tokio::test]
async fn an_upgrade_that_is_refused_is_tried_again_and_then_told() {
    let service = StandIn::default();
    service.misbehave(Misbehaviour::RefuseUpgrade(503));
    service.will_hear("hello", 0.9);
    let mut call = open(&service, 8000, TOKEN).await.expect("the second try");
    call.speaks();
    call.hears_words("hello ").await;
    let Err(ServiceFailure::Unavailable { why }) = open(&StandIn::default(), 8000, "wrong").await.map(drop) else {
        panic!("refused")
    };
    assert!(why.contains("403") && !why.contains("wrong"), "{why}");
}

#[tokio::test]
async fn other_parameters_start_anew_and_another_model_connects_anew() {
    let service = StandIn::default();
    ["one", "two", "three"].iter().for_each(|words| service.will_hear(words, 0.9));
    let mut call = open(&service, 8000, TOKEN).await.expect("it opens");
    call.speaks();
    call.hears_words("one ").await;
    call.stream.configure(config(8000, &json!({"smart_formatting": true, "unknown_thing": 1})));
    call.speaks();
    call.hears_words("two ").await;
    assert_eq!((service.upgrades().len(), &service.starts()[1]["smart_formatting"]), (1, &json!(true)));
    call.stream.configure(config(8000, &json!({"language_customization_id": "mine"})));
    call.speaks();
    call.hears_words("three ").await;
    assert_eq!(service.upgrades()[1], "model=en-US_Telephony&language_customization_id=mine");
}
