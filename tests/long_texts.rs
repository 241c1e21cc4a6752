//! What is spoken of texts that nobody thought of: a book, signs beside markup, nothing at all. The cases are those of
//! `tests/cases/replies.yaml`.

use std::time::Duration;

use bellhop_adapters::iam::Authentication;
use bellhop_adapters::text_to_speech::watson::{Transport, WatsonTextToSpeech};
use bellhop_amazon_speech::Account;
use bellhop_amazon_speech::polly::Polly;
use bellhop_dialogue::ports::{Fields, RecognizerEvent, SpeechRequest, Synthesizer};
use bellhop_dialogue::speakable::PART_BYTES_MAX;
use bellhop_rehearsal::connect::AccessKey;
use bellhop_rehearsal::{amazon_speech, watson_text_to_speech};
use bellhop_sip::message::Method;
use bellhop_tests::Stage;
use bellhop_tests::stage::{Choices, INVITE, play};
use serde_json::{Value, json};

/// The case of this name.
fn case(name: &str) -> Value {
    let text = include_str!("cases/replies.yaml");
    let cases: Vec<Value> = serde_saphyr::from_str(text).expect("cases");
    let found = cases.into_iter().find(|case| case["name"] == name);
    found.unwrap_or_else(|| panic!("there is no case `{name}`"))
}

fn text(text: &str) -> Value {
    json!([{"response_type": "text", "text": text}])
}

/// What was spoken in order, and when the first packet of it went out.
fn spoken(stage: &Stage) -> (Vec<String>, Option<Duration>) {
    let first = stage.line.sent().into_iter().find(|packet| packet.4).map(|packet| packet.0);
    (stage.services.said(), first)
}

#[test]
fn a_text_of_a_book() {
    case("a text of a book");
    let book: String = (0..20_000).map(|n| format!("word{} ", n % 10)).collect();
    assert!(book.len() >= 100_000);
    for ends in ["barge-in", "hang-up", "book"] {
        let book = book.clone();
        play(Choices::default(), move |stage| async move {
            stage.services.replies("", text(if ends == "book" { &book[..6000] } else { &book }));
            stage.call_answered().await;
            stage.pass(500).await;
            let (said, first) = spoken(&stage);
            assert!(first.is_some(), "it is heard from its beginning at once");
            assert!(said.iter().all(|part| part.len() <= PART_BYTES_MAX && part.chars().count() <= 300));
            stage.pass(10_000).await;
            let (said, _) = spoken(&stage);
            // What is not heard yet, and no more than that, is made ahead: parts of three seconds.
            assert!((5..=14).contains(&said.len()), "{} parts after ten seconds", said.len());
            let so_far = said.join(" ");
            assert!(book.starts_with(&so_far), "in order, and nothing is left out");
            match ends {
                "barge-in" => {
                    stage.services.hears(&RecognizerEvent::FinalResult {
                        text: "stop".into(),
                        confidence: 0.9,
                        result: None,
                    });
                    stage.pass(60_000).await;
                    assert_eq!(spoken(&stage).0.len(), said.len(), "no more is made for nobody");
                }
                "hang-up" => {
                    stage.carrier.hangs_up();
                    stage.pass(60_000).await;
                    assert_eq!(spoken(&stage).0.len(), said.len(), "no more is made for nobody");
                }
                _ => {
                    stage.pass(60_000).await;
                    let packets = stage.line.sent().iter().filter(|packet| packet.4).count();
                    let (said, _) = spoken(&stage);
                    let letters: usize = said.iter().map(String::len).sum();
                    assert_eq!(said.join(" "), book[..6000].trim(), "every word, once");
                    // Ten milliseconds a letter, twenty a packet: without a gap between two parts.
                    assert!(packets >= letters / 2 && packets <= letters / 2 + said.len(), "{packets} packets");
                    let sounds: Vec<bool> = stage.line.sent().iter().map(|packet| packet.4).collect();
                    let (from, to) = (sounds.iter().position(|s| *s), sounds.iter().rposition(|s| *s));
                    let gaps = sounds[from.expect("begins")..to.expect("ends")].iter().filter(|s| !**s).count();
                    assert_eq!(gaps, 0, "without a gap between two parts");
                }
            }
        });
    }
}

#[test]
fn a_text_that_says_nothing_is_over_at_once_and_loses_no_call() {
    for nothing in [
        " ",
        "?!\u{2026}",
        "\u{1f642}\u{1f389}",
        "<speak></speak>",
        "<break time=\"1s\"/>",
        "<prosody rate=\"slow\">",
        "\u{0}\u{7}",
    ] {
        play(Choices::default(), move |stage| async move {
            stage.services.replies(
                "",
                json!([{"response_type": "text", "text": nothing}, {"response_type": "text", "text": "hello"}]),
            );
            stage.call_answered().await;
            stage.pass(2500).await;
            assert_eq!(stage.services.said(), ["hello"], "{nothing:?}");
            stage.caller_says("goodbye").await;
            assert_eq!(stage.services.asked(), ["", "goodbye"], "{nothing:?}");
        });
    }
}

#[test]
fn a_list_of_a_hundred_choices_is_read_out_and_loses_no_call() {
    play(Choices::default(), |stage| async move {
        let options: Vec<Value> = (0..99).map(|n| json!({"label": format!("choice {n}")})).collect();
        stage.services.replies("", json!([{"response_type": "option", "title": "Which?", "options": options}]));
        stage.call_answered().await;
        stage.pass(60_000).await;
        assert_eq!(stage.services.said().len(), 100);
        assert!(stage.services.asked().len() > 1, "it was heard to its end, and the call goes on");
    });
}

#[tokio::test]
async fn signs_beside_markup() {
    let case = case("signs beside markup");
    let text = case["text"].as_str().expect("a text");
    let well_formed = "Welcome to AT&amp;T. <break time=\"300ms\"/> Is 3 &lt; 5?";
    let polly = amazon_speech::StandIn::new(AccessKey { id: "AKIATEST".into(), secret: "secret".into() });
    let account = Account {
        region: amazon_speech::REGION.into(),
        access_key_id: "AKIATEST".into(),
        secret_access_key: "secret".into(),
        endpoint: Some(format!("http://{}", polly.serve().expect("a port")).into()),
    };
    let voice: Fields = [("voice_id".to_owned(), "Amy".into())].into_iter().collect();
    Polly::new(&account, voice).synthesize(SpeechRequest::plain(text, 8000)).await.expect("speech");
    assert_eq!(polly.spoken()[0]["Text"], format!("<speak>{well_formed}</speak>"));
    for transport in [Transport::Http, Transport::WebSocket] {
        let watson = watson_text_to_speech::StandIn::default();
        let url = format!("http://{}", watson.serve().expect("a port"));
        let token = Authentication::Bearer(bellhop_rehearsal::watson_speech::TOKEN.into());
        let voice = WatsonTextToSpeech::new(&url, transport, Fields::new(), token);
        voice.synthesize(SpeechRequest::plain(text, 8000)).await.expect("speech");
        assert_eq!(watson.spoken()[0].0, well_formed);
    }
}

/// Other calls of the same tenant have texts of books: what is made ahead of its time is no reason to lose a call, nor is a
/// moment before the first words.
#[test]
fn a_synthesizer_that_has_too_much_to_do_is_asked_again() {
    let book: String = (0..500).map(|n| format!("word{} ", n % 10)).collect();
    play(Choices::default(), move |stage| async move {
        stage.services.replies("", text(&book));
        stage.services.speech_is_overloaded(true);
        stage.carrier.sends(INVITE);
        stage.pass(3000).await;
        assert!(stage.carrier.requests(&Method::Bye).is_empty(), "the first words wait");
        stage.services.speech_is_overloaded(false);
        stage.pass(5000).await;
        let before = spoken(&stage).0.len();
        assert!(before > 2, "they are there: {before} parts");
        stage.services.speech_is_overloaded(true);
        stage.pass(4000).await;
        assert!(stage.carrier.requests(&Method::Bye).is_empty(), "there is something to be heard meanwhile");
        stage.services.speech_is_overloaded(false);
        stage.pass(40_000).await;
        assert!(spoken(&stage).0.join(" ") == book.trim(), "every word, once");
    });
    play(Choices::default(), |stage| async move {
        stage.services.replies("", text("Hello."));
        stage.services.speech_is_overloaded(true);
        stage.carrier.sends(INVITE);
        stage.pass(20_000).await;
        assert_eq!(stage.carrier.requests(&Method::Bye).len(), 1, "nobody waits for ever");
    });
}

#[test]
fn a_row_of_long_sounds_is_not_held_all_at_once() {
    play(Choices::default(), |stage| async move {
        let sources: Vec<String> = (0..40).map(|n| format!("https://example.com/{n}.wav")).collect();
        sources.iter().for_each(|source| stage.services.sound(source, 15 * 8000));
        let sounds: Vec<Value> =
            sources.iter().map(|source| json!({"response_type": "audio", "source": source})).collect();
        stage.services.replies("", json!(sounds));
        stage.call_answered().await;
        stage.pass(5000).await;
        let fetched = stage.services.fetched();
        assert!(fetched.len() <= 3 && sources.starts_with(&fetched), "{} sounds are held", fetched.len());
        stage.pass(40_000).await;
        let fetched = stage.services.fetched().len();
        assert!((4..=6).contains(&fetched), "{fetched} of a quarter of a minute, after three");
        assert!(stage.carrier.requests(&Method::Bye).is_empty());
    });
}
