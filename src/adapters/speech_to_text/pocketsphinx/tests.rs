//! What the engine understands, and what it leaves alone.

use super::*;
use crate::text_to_speech::flite::Flite;
use bellhop_call::line_audio::linear;
use bellhop_dialogue::ports::{
    Recognizer, RecognizerConfig, RecognizerEvent, RecognizerSink, SpeechRequest, Synthesizer,
};

const MENU: [&str; 8] = [
    "what are your opening hours",
    "when are you open",
    "I want to check my balance",
    "what is my account balance",
    "I want to speak to an agent",
    "let me talk to a person",
    "where is my order",
    "goodbye",
];
const FOREIGN: [&str; 10] = [
    "purple elephants dance on the moon",
    "the quick brown fox jumps over the lazy dog",
    "please water the flowers in the garden",
    "my favourite colour is yellow",
    "seven angry pirates stole a bicycle",
    "tomorrow it will rain in the mountains",
    "do you like chocolate ice cream",
    "nobody expected that at all",
    "the train leaves from platform nine",
    "can you sing a song about winter",
];

fn on_the_line(voice: &str, text: &str) -> Vec<i16> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("runtime");
    let speech = runtime.block_on(
        Flite::open().and_then(|f| f.voice(voice)).expect("flite").synthesize(SpeechRequest::plain(text, 8000)),
    );
    let speech = speech.expect("audio");
    // To µ-law at 8 kHz and back, as a telephone carries it.
    let narrow = narrow(&linear(&speech.samples), speech.sample_rate);
    let mut wide = vec![0; 4800];
    for pair in narrow.windows(2) {
        wide.push(pair[0]);
        wide.push(((i32::from(pair[0]) + i32::from(pair[1])) / 2) as i16);
    }
    wide.extend([0; 8000]);
    wide
}

fn narrow(samples: &[i16], rate: u32) -> Vec<i16> {
    let step = f64::from(rate) / 8000.0;
    let half = (step / 2.0).max(0.5);
    (0..(samples.len() as f64 / step) as usize)
        .map(|n| {
            let from = (n as f64 * step - half).max(0.0) as usize;
            let to = ((n as f64 * step + half) as usize).min(samples.len() - 1);
            let sum: i32 = samples[from..=to].iter().map(|s| i32::from(*s)).sum();
            (sum / (to - from + 1) as i32) as i16
        })
        .collect()
}

#[test]
fn phrases_of_the_grammar_are_understood_and_others_are_not() {
    let engine = Pocketsphinx::open(MODEL, 1).expect("pocketsphinx is installed: see README");
    let phrases: Arc<[String]> = MENU.iter().map(|p| (*p).to_owned()).collect();
    let hear = |voice: &str, text: &str| {
        let answer = engine.recognise(on_the_line(voice, text), Some(Arc::clone(&phrases))).expect("room");
        answer.blocking_recv().expect("decoded").and_then(|hypothesis| hypothesis.whole)
    };
    let mut understood = 0;
    for voice in ["slt", "rms"] {
        for text in MENU {
            let heard = hear(voice, text);
            understood += usize::from(heard.is_some_and(|h| h.text == text));
        }
    }
    let wrong: Vec<_> = FOREIGN.iter().filter(|text| hear("slt", text).is_some()).collect();
    assert!(understood >= 14, "{understood} of 16 understood");
    assert!(wrong.len() <= 1, "taken for the menu: {wrong:?}");
}

#[tokio::test]
async fn a_call_that_ends_takes_its_utterances_with_it_and_has_a_few_at_most() {
    let engine = Pocketsphinx::open(MODEL, 1).expect("pocketsphinx is installed: see README");
    let (open, gate) = std::sync::mpsc::sync_channel::<()>(0);
    let busy = engine.pool.submit(move |_, _| gate.recv()).expect("room");
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let sink: RecognizerSink = Box::new(move |what| told.send(what).expect("the test listens"));
    let mut stream = engine.open(RecognizerConfig::default(), sink).await.expect("open");
    for _ in 0..QUEUE_OF_CALL + 1 {
        stream.utterance_began();
        stream.hear(&vec![8000; 16_000]);
        stream.utterance_ended();
    }
    assert_eq!(heard.try_recv().ok(), Some(RecognizerEvent::NotUnderstood), "one too many");
    drop(stream);
    tokio::task::yield_now().await;
    open.send(()).expect("the decoder waits");
    busy.await.expect("done").expect("opened");
    assert_eq!(heard.recv().await, None, "and none of the others is heard of");
}

/// In a pause it is looked at what was said; if that was all, nothing is decoded again.
#[tokio::test]
async fn what_is_made_of_a_pause_is_the_result_if_nothing_follows_it() {
    let engine = Pocketsphinx::open(MODEL, 1).expect("pocketsphinx is installed: see README");
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let sink: RecognizerSink = Box::new(move |what| told.send(what).expect("the test listens"));
    let mut stream = engine.open(RecognizerConfig::default(), sink).await.expect("open");
    stream.expect_phrases(Some(MENU.iter().map(|phrase| (*phrase).to_owned()).collect()));
    let speech =
        tokio::task::spawn_blocking(|| on_the_line("slt", "what is my account balance")).await.expect("speech");
    stream.utterance_began();
    stream.hear(&speech[..speech.len() - 6400]);
    stream.utterance_paused();
    let Some(RecognizerEvent::SoFar { words: Some((text, confidence)) }) = heard.recv().await else {
        panic!("nothing was made of it")
    };
    assert_eq!(text, "what is my account balance");
    let (open, gate) = std::sync::mpsc::sync_channel::<()>(0);
    let busy = engine.pool.submit(move |_, _| gate.recv()).expect("room");
    stream.utterance_ended();
    assert_eq!(heard.recv().await, Some(RecognizerEvent::FinalResult { text, confidence, result: None }));
    // Half of it is the beginning of what is expected, and no result.
    stream.utterance_began();
    stream.hear(&speech[..4800 + (speech.len() - 4800 - 8000) / 2]);
    open.send(()).expect("the decoder waits");
    busy.await.expect("done").expect("opened");
    stream.utterance_paused();
    let Some(RecognizerEvent::SoFar { words: Some((begun, _)) }) = heard.recv().await else {
        panic!("nothing was made of its half")
    };
    assert!("what is my account balance".starts_with(&begun) && begun.len() < 26, "{begun}");
    stream.utterance_ended();
    assert_eq!(heard.recv().await, Some(RecognizerEvent::NotUnderstood));
    // The last of it was too quiet to end the pause: it is looked at again, but not for more of the same silence.
    stream.utterance_began();
    stream.hear(&speech[..4800 + (speech.len() - 4800 - 8000) / 2]);
    stream.utterance_paused();
    let again = heard.recv().await;
    assert!(matches!(again, Some(RecognizerEvent::SoFar { words: Some((words, _)) }) if words == begun));
    stream.hear(&[0; 3200]);
    stream.utterance_paused();
    stream.hear(&speech[4800 + (speech.len() - 4800 - 8000) / 2..]);
    stream.utterance_paused();
    let Some(RecognizerEvent::SoFar { words: Some((text, confidence)) }) = heard.recv().await else {
        panic!("nothing was made of the whole")
    };
    assert_eq!(text, "what is my account balance");
    stream.utterance_ended();
    assert_eq!(heard.recv().await, Some(RecognizerEvent::FinalResult { text, confidence, result: None }));
    // They go on in the pause: what was made of it is nobody's, and the whole is decoded at the end.
    stream.utterance_began();
    stream.hear(&vec![8000; 16_000]);
    stream.utterance_paused();
    stream.utterance_resumed();
    stream.hear(&vec![8000; 16_000]);
    stream.utterance_ended();
    assert_eq!(heard.recv().await, Some(RecognizerEvent::NotUnderstood));
    drop(stream);
    assert_eq!(heard.recv().await, None, "once each");
}

#[test]
fn a_grammar_is_bounded() {
    let many: Vec<String> = (0..100_000).map(|n| format!("say number {n}")).collect();
    assert!(jsgf(&many).len() < 2 * PHRASES_CHARACTERS_MAX);
    assert_eq!(jsgf(&many).matches('|').count(), PHRASES_MAX - 1);
    assert!(jsgf(&["a".repeat(1_000_000), "b".into()]).len() < 100);
}

#[test]
fn unknown_words_are_named() {
    let engine = Pocketsphinx::open(MODEL, 1).expect("pocketsphinx is installed: see README");
    assert_eq!(engine.unknown_words(vec!["I'd like Xyzzyplugh, please".into()]), ["xyzzyplugh"]);
}

#[test]
fn a_missing_model_is_one_sentence() {
    let error = Pocketsphinx::open("/nowhere", 1).map(|_| ()).expect_err("no model");
    assert!(error.to_string().contains("apt-get install pocketsphinx-en-us"), "{error}");
}
