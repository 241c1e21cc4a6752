//! What Watson Text to Speech and we say to each other, by HTTP and by WebSocket.

use std::sync::{Arc, Mutex};

use bellhop_adapters::fallback::InOrder;
use bellhop_adapters::iam::Authentication;
use bellhop_adapters::text_to_speech::cache::{Budget, Cached};
use bellhop_adapters::text_to_speech::watson::{Transport, WatsonTextToSpeech};
use bellhop_call::line_audio::linear;
use bellhop_dialogue::ports::{AudioSink, Fields, ServiceFailure, Speech, SpeechRequest, Synthesizer};
use bellhop_rehearsal::watson_speech::TOKEN;
use bellhop_rehearsal::watson_text_to_speech::StandIn;

fn voice(stand_in: &StandIn, transport: Transport, token: &str) -> WatsonTextToSpeech {
    let url = format!("http://{}", stand_in.serve().expect("a port"));
    let parameters: Fields = [("voice".to_owned(), "en-US_MichaelV3Voice".into())].into_iter().collect();
    WatsonTextToSpeech::new(&url, transport, parameters, Authentication::Bearer(token.into()))
}

/// The speech of a text, and the pieces in which it was handed over.
async fn spoken(voice: &dyn Synthesizer, text: &str, rate: u32) -> (Result<Speech, ServiceFailure>, Vec<Vec<i16>>) {
    let pieces = Arc::new(Mutex::new(vec![]));
    let taken = Arc::clone(&pieces);
    let sink: AudioSink = Box::new(move |samples, at| {
        assert_eq!(at, rate);
        taken.lock().expect("alone").push(samples.to_vec());
    });
    let speech = voice.stream(SpeechRequest::plain(text, rate), sink).await;
    let pieces = std::mem::take(&mut *pieces.lock().expect("alone"));
    (speech, pieces)
}

const TEXT: &str = "The pieces of this are the beginning of the whole.";

#[tokio::test]
async fn what_is_handed_over_is_the_beginning_of_the_speech() {
    for transport in [Transport::Http, Transport::WebSocket] {
        for rate in [8000, 16_000] {
            let stand_in = StandIn::default();
            let (speech, pieces) = spoken(&voice(&stand_in, transport, TOKEN), TEXT, rate).await;
            let speech = speech.expect("speech");
            assert_eq!((speech.sample_rate, speech.samples.len()), (rate, TEXT.len() * 400 * rate as usize / 8000));
            assert_eq!(pieces.concat(), &linear(&speech.samples)[..], "{transport:?}");
            let by_socket = transport == Transport::WebSocket;
            assert_eq!(stand_in.by_socket(), usize::from(by_socket));
            assert_eq!(speech.origin.transaction.as_deref(), Some(if by_socket { "global-2" } else { "global-1" }));
            assert_eq!(stand_in.spoken()[0].1, "voice=en-US_MichaelV3Voice");
        }
    }
}

#[tokio::test]
async fn a_socket_that_breaks_off_is_finished_by_http_without_a_word_twice() {
    let stand_in = StandIn::default();
    stand_in.will_break_off(4000);
    let (speech, pieces) = spoken(&voice(&stand_in, Transport::WebSocket, TOKEN), TEXT, 8000).await;
    let (speech, begun) = (speech.expect("speech"), pieces.concat());
    assert_eq!(stand_in.spoken().len(), 2);
    assert!(begun.len() >= 4000 && begun.len() < speech.samples.len());
    assert!(linear(&speech.samples).starts_with(&begun));
}

#[tokio::test]
async fn a_text_that_is_kept_is_there_at_once_and_whole() {
    let stand_in = StandIn::default();
    let cached = Arc::new(Cached::new(voice(&stand_in, Transport::WebSocket, TOKEN), &Budget::default()));
    let voices = InOrder::<dyn Synthesizer>::new(vec![("watson", cached)], Arc::new(|_, _| {}));
    let (first, pieces) = spoken(&voices, TEXT, 8000).await;
    let (second, none) = spoken(&voices, TEXT, 8000).await;
    assert!(!pieces.is_empty() && none.is_empty());
    assert_eq!(first.expect("speech").samples, second.expect("speech").samples);
    assert_eq!(stand_in.spoken().len(), 1);
}

#[tokio::test]
async fn what_is_refused_is_told_without_the_text() {
    for transport in [Transport::Http, Transport::WebSocket] {
        let (speech, _) = spoken(&voice(&StandIn::default(), transport, "wrong"), TEXT, 8000).await;
        assert!(speech.expect_err("refused").to_string().contains("API key"));
        let (speech, _) = spoken(&voice(&StandIn::default(), transport, TOKEN), "<b>secret", 8000).await;
        assert!(speech.is_ok(), "what is no element of SSML is left out");
        let stand_in = StandIn::default();
        let (speech, _) = spoken(&voice(&stand_in, transport, TOKEN), &"secret ".repeat(1000), 8000).await;
        let why = speech.expect_err("too long").to_string();
        assert!(why.contains("more than 5120 bytes") && !why.contains("secret"), "{why}");
        assert_eq!(stand_in.spoken().len(), 0);
    }
}

#[tokio::test]
async fn voices_are_listed() {
    let voices = voice(&StandIn::default(), Transport::Http, TOKEN).voices().await.expect("a list");
    assert_eq!((voices[0].name.as_str(), voices[0].gender.as_deref()), ("en-US_MichaelV3Voice", Some("male")));
}
