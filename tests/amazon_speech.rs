//! What Amazon Transcribe, Amazon Polly and we say to each other, against a stand-in that checks signatures.

use bellhop_amazon_speech::Account;
use bellhop_amazon_speech::polly::Polly;
use bellhop_amazon_speech::transcribe::Transcribe;
use bellhop_dialogue::ports::{
    Fields, ModelOrVoice, Recognizer, RecognizerEvent, ServiceFailure, SpeechRequest, Synthesizer,
};
use bellhop_rehearsal::amazon_speech::{REGION, StandIn};
use bellhop_rehearsal::connect::AccessKey;
use bellhop_tests::listening::{Call, config};
use serde_json::{Value, json};

fn stand_in() -> (StandIn, Account) {
    let stand_in = StandIn::new(AccessKey { id: "AKIATEST".into(), secret: "secret".into() });
    let address = stand_in.serve().expect("a port");
    let account = Account {
        region: REGION.into(),
        access_key_id: "AKIATEST".into(),
        secret_access_key: "secret".into(),
        endpoint: Some(format!("http://{address}").into()),
    };
    (stand_in, account)
}

fn fields(value: &Value) -> Fields {
    value.as_object().cloned().unwrap_or_default()
}

#[tokio::test]
async fn an_utterance_is_heard_with_a_partial_result_first() {
    for rate in [8000, 16_000] {
        let (service, account) = stand_in();
        service.will_hear("an agent please", 0.87);
        let transcribe = Transcribe::new(&account, "en-US", Fields::new());
        assert_eq!(transcribe.sample_rate(rate), rate);
        let mut call = Call::open(&transcribe, rate).await.expect("it opens");
        call.speaks();
        let RecognizerEvent::FinalResult { confidence, result: Some(result), .. } =
            call.hears_words("an agent please").await
        else {
            panic!("with its result")
        };
        assert_eq!((confidence, &result["transactionID"]), (0.87, &json!("session-1")));
        assert_eq!(
            call.heard.lock().expect("alone")[0],
            RecognizerEvent::InterimResult { text: "an".into(), stable: false }
        );
        assert_eq!(service.streams(), [format!("language-code=en-US;media-encoding=pcm;sample-rate={rate}")]);
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_in_an_utterance_loses_no_word() {
    let (service, account) = stand_in();
    service.will_hear("my order", 0.9);
    service.will_break_off();
    let mut call = Call::open(&Transcribe::new(&account, "en-US", Fields::new()), 8000).await.expect("it opens");
    call.speaks();
    call.hears_words("my order").await;
    assert!(
        call.heard.lock().expect("alone").iter().any(|heard| matches!(heard, RecognizerEvent::Reconnecting { .. }))
    );
    assert_eq!(service.streams().len(), 2);
}

#[tokio::test]
async fn another_configuration_takes_effect_between_two_utterances() {
    let (service, account) = stand_in();
    ["uno", "dos"].iter().for_each(|words| service.will_hear(words, 0.9));
    let mut call = Call::open(&Transcribe::new(&account, "en-US", Fields::new()), 8000).await.expect("it opens");
    call.speaks();
    call.hears_words("uno").await;
    call.stream.configure(config(8000, &json!({"model": "es-ES_Telephony", "vocabulary_name": "bank"})));
    call.speaks();
    call.hears_words("dos").await;
    assert_eq!(service.streams()[1], "language-code=es-ES;media-encoding=pcm;sample-rate=8000;vocabulary-name=bank");
}

#[tokio::test]
async fn a_text_whose_markup_polly_refuses_is_spoken_plainly_once() {
    let (service, account) = stand_in();
    let polly = Polly::new(&account, fields(&json!({"voice_id": "Amy"})));
    let text = "<mstts:silence value=\"x\"/>Tom &amp; <sub alias=\"Jerry\">J</sub>, 3 < 5";
    polly.synthesize(SpeechRequest::plain(text, 8000)).await.expect("speech");
    let orders = service.spoken();
    assert_eq!(orders.len(), 1);
    assert_eq!((&orders[0]["Text"], &orders[0]["TextType"]), (&json!("Tom & Jerry, 3 < 5"), &json!("text")));
}

#[tokio::test]
async fn who_has_the_wrong_key_is_told_what_to_look_at() {
    let (_, account) = stand_in();
    let account = Account { secret_access_key: "wr0ng".into(), ..account };
    let told = |failure: ServiceFailure| {
        let why = failure.to_string();
        assert!(why.contains("check the access key") && !why.contains("wr0ng"), "{why}");
    };
    told(Call::open(&Transcribe::new(&account, "en-US", Fields::new()), 8000).await.map(drop).expect_err("refused"));
    let polly = Polly::new(&account, fields(&json!({"voice_id": "Amy"})));
    told(polly.synthesize(SpeechRequest::plain("hello", 8000)).await.map(drop).expect_err("refused"));
    told(polly.voices().await.expect_err("refused"));
}

#[tokio::test]
async fn a_text_is_spoken_at_the_lines_rate_by_the_assistants_voice() {
    let (service, account) = stand_in();
    let polly = Polly::new(&account, fields(&json!({"voice_id": "Amy", "engine": "neural"})));
    for (rate, asked, voice) in [
        (8000, json!({}), "Amy"),
        (16_000, json!({"voice": "Matthew"}), "Matthew"),
        (8000, json!({"voice": "en-US_MichaelV3Voice"}), "Amy"),
        (8000, json!({"voice_id": "Joanna", "engine": "standard"}), "Joanna"),
    ] {
        let request = SpeechRequest { parameters: fields(&asked), ..SpeechRequest::plain("hello", rate) };
        let speech = polly.synthesize(request).await.expect("speech");
        assert_eq!((speech.sample_rate, speech.samples.len()), (rate, rate as usize / 20 * 5));
        assert_eq!(speech.origin.transaction.as_deref(), Some("polly-1"));
        let order = service.spoken().pop().expect("an order");
        assert_eq!((&order["VoiceId"], &order["OutputFormat"]), (&json!(voice), &json!("pcm")));
        let engine = if voice == "Joanna" { "standard" } else { "neural" };
        assert_eq!((&order["Engine"], &order["TextType"]), (&json!(engine), &json!("text")));
    }
    polly.synthesize(SpeechRequest::plain("wait <break time=\"1s\"/>", 8000)).await.expect("speech");
    assert_eq!(service.spoken().pop().expect("an order")["Text"], "<speak>wait <break time=\"1s\"/></speak>");
    polly.synthesize(SpeechRequest::plain("<speak>well", 8000)).await.expect("speech");
    assert_eq!(service.spoken().pop().expect("an order")["Text"], "<speak>well</speak>");
}

#[tokio::test]
async fn voices_are_listed_over_all_pages() {
    let (_, account) = stand_in();
    let voices = Polly::new(&account, Fields::new()).voices().await.expect("a list");
    let offer = |name: &str, language: &str, gender: &str| ModelOrVoice {
        name: name.into(),
        language: language.into(),
        gender: Some(gender.into()),
        band: None,
    };
    assert_eq!(voices, [offer("Amy", "en-GB", "female"), offer("Matthew", "en-US", "male")]);
    let models = Transcribe::new(&stand_in().1, "en-US", Fields::new()).models().await.expect("a list");
    assert!(models.iter().any(|model| model.name == "de-DE"));
}
