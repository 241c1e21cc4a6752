//! What Watson Speech to Text and we say to each other, against a stand-in that fails at every step.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bellhop_adapters::iam::Authentication;
use bellhop_adapters::speech_to_text::watson::WatsonSpeechToText;
use bellhop_dialogue::ports::{Heard, Recognizer, RecognizerConfig, RecognizerStream, ServiceFailure};
use bellhop_rehearsal::watson_speech::{Misbehaviour, StandIn, TOKEN};
use serde_json::{Value, json};

struct Call {
    stream: Box<dyn RecognizerStream>,
    heard: Arc<Mutex<Vec<Heard>>>,
    frame: usize,
}

fn config(line_rate: u32, parameters: &Value) -> RecognizerConfig {
    RecognizerConfig { line_rate, parameters: parameters.as_object().cloned().unwrap_or_default() }
}

async fn open(service: &StandIn, line_rate: u32, token: &str) -> Result<Call, ServiceFailure> {
    let address = service.serve().expect("a port");
    let tenant = json!({"model": if line_rate > 8000 { "en-US" } else { "en-US_Telephony" }});
    let tenant = tenant.as_object().cloned().unwrap_or_default();
    let recognizer =
        WatsonSpeechToText::new(&format!("http://{address}"), tenant, Authentication::Bearer(token.into()));
    assert_eq!(recognizer.sample_rate(line_rate), line_rate);
    let heard = Arc::new(Mutex::new(vec![]));
    let sink = Arc::clone(&heard);
    let sink = Box::new(move |what| sink.lock().expect("alone").push(what));
    let stream = recognizer.open(config(line_rate, &json!({})), sink).await?;
    Ok(Call { stream, heard, frame: if line_rate > 8000 { 320 } else { 160 } })
}

impl Call {
    /// An utterance of 600 ms and 600 ms of silence, as the voice activity detector would tell of it.
    fn speaks(&mut self) {
        self.stream.utterance_began();
        let frame = |level: i16| vec![level; self.frame];
        let (loud, quiet) = (frame(8000), frame(0));
        (0..30).for_each(|_| self.stream.hear(&loud));
        (0..30).for_each(|_| self.stream.hear(&quiet));
        self.stream.utterance_ended();
    }

    /// Waits until something was heard; what is asked about comes over real sockets.
    async fn hears(&self, wanted: impl Fn(&Heard) -> bool) -> Heard {
        let seen = async {
            loop {
                let found = self.heard.lock().expect("alone").iter().find(|heard| wanted(heard)).cloned();
                if let Some(found) = found {
                    return found;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), seen).await.expect("it is heard")
    }

    async fn hears_words(&self, words: &str) -> Heard {
        self.hears(|heard| matches!(heard, Heard::Final { text, .. } if text == words)).await
    }
}

#[tokio::test]
async fn an_utterance_is_heard_with_its_hypothesis_first() {
    for rate in [8000, 16_000] {
        let service = StandIn::default();
        service.will_hear("an agent please", 0.87);
        let mut call = open(&service, rate, TOKEN).await.expect("it opens");
        call.speaks();
        let Heard::Final { confidence, result: Some(result), .. } = call.hears_words("an agent please ").await else {
            panic!("with its result")
        };
        assert_eq!((confidence, &result["transactionID"]), (0.87, &json!("global-1")));
        assert_eq!(call.heard.lock().expect("alone")[0], Heard::Interim { text: "an ".into() });
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
