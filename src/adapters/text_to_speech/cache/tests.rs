//! What is kept, for whom, how long and how much of it; and who pays when nobody waits any more.

use bellhop_media::g711::Law;

use super::*;
use serde_json::{Map, json};
use std::sync::atomic::{AtomicUsize, Ordering};

struct Counted(Arc<AtomicUsize>);

impl Synthesizer for Counted {
    fn synthesize(&self, request: SpeechRequest) -> Pending<Result<Speech, ServiceFailure>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            tokio::task::yield_now().await;
            if request.text.is_empty() {
                return Err(ServiceFailure::Overloaded);
            }
            Ok(Speech::new(vec![7; request.text.len() * 16_000], 16_000))
        })
    }
}

fn cached() -> (Cached<Counted>, impl Fn() -> usize) {
    let asked = Arc::new(AtomicUsize::new(0));
    (Cached::new(Counted(Arc::clone(&asked)), &Budget::default()), move || asked.load(Ordering::Relaxed))
}

#[tokio::test]
async fn a_text_is_synthesised_once_and_kept_at_the_lines_rate() {
    let (cached, asked) = cached();
    for _ in 0..3 {
        let speech = cached.synthesize(SpeechRequest::plain("ab", 8000)).await.expect("speech");
        assert_eq!((speech.samples.len(), speech.sample_rate), (16_000, 8000));
    }
    assert_eq!(asked(), 1);
    let wide = cached.synthesize(SpeechRequest::plain("ab", 16_000)).await.expect("speech");
    assert_eq!((wide.samples.len(), wide.sample_rate, asked()), (32_000, 16_000, 2));
}

#[tokio::test]
async fn many_who_want_it_at_once_cost_one_synthesis() {
    let (cached, asked) = cached();
    let wants = (0..300).map(|_| cached.synthesize(SpeechRequest::plain("ab", 8000)));
    let all = futures_util::future::join_all(wants).await;
    assert!(all.iter().all(Result::is_ok) && asked() == 1);
    // Who gives up does not take it from the others, and a failure is not kept.
    drop(cached.synthesize(SpeechRequest::plain("cd", 8000)));
    assert!(cached.synthesize(SpeechRequest::plain("cd", 8000)).await.is_ok());
    for tries in [3, 4] {
        assert!(cached.synthesize(SpeechRequest::plain("", 8000)).await.is_err());
        assert_eq!(asked(), tries);
    }
}

/// Speaks by what the text says; counts who is at work.
#[derive(Clone, Default)]
struct Odd(Arc<AtomicUsize>);

struct AtWork(Arc<AtomicUsize>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Synthesizer for Odd {
    fn synthesize(&self, request: SpeechRequest) -> Pending<Result<Speech, ServiceFailure>> {
        let count = Arc::clone(&self.0);
        Box::pin(async move {
            count.fetch_add(1, Ordering::Relaxed);
            let _at_work = AtWork(count);
            tokio::time::sleep(Duration::from_secs(1)).await;
            match request.text.as_str() {
                "panics" => panic!("one bad text"),
                "hangs" => std::future::pending().await,
                _ => Ok(Speech::new(vec![7; 80], 8000)),
            }
        })
    }
}

async fn moment() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}

#[tokio::test(start_paused = true)]
async fn the_last_who_waits_and_goes_ends_all_work_for_it() {
    let at_work = Odd::default();
    let cached = Cached::new(at_work.clone(), &Budget::default());
    let count = || at_work.0.load(Ordering::Relaxed);
    let ask = || cached.synthesize(SpeechRequest::plain("a long text", 8000));
    let (mut one, mut two) = (ask(), ask());
    assert!(futures_util::poll!(&mut one).is_pending() && futures_util::poll!(&mut two).is_pending());
    moment().await;
    assert_eq!(count(), 1, "one synthesis for both");
    drop(one);
    moment().await;
    assert_eq!(count(), 1, "somebody still waits");
    drop(two);
    moment().await;
    assert_eq!((count(), locked(&cached.memory).under_way.len()), (0, 0), "nothing is left");
    assert!(ask().await.is_ok(), "it is made anew");
    // A caller who interrupts again and again, as fast as may be.
    for n in 0..1000 {
        let mut asked = cached.synthesize(SpeechRequest::plain(format!("text {n}"), 8000));
        assert!(futures_util::poll!(&mut asked).is_pending());
    }
    moment().await;
    assert_eq!((count(), locked(&cached.memory).under_way.len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_flight_goes_on_by_itself_and_has_a_deadline() {
    let cached = Cached::new(Odd::default(), &Budget::default());
    let mut asked = cached.synthesize(SpeechRequest::plain("a text", 8000));
    assert!(futures_util::poll!(&mut asked).is_pending());
    tokio::time::sleep(Duration::from_secs(2)).await;
    // Nobody has asked in between; it is there for the next one, who waits for nothing.
    let mut next = cached.synthesize(SpeechRequest::plain("a text", 8000));
    assert!(futures_util::poll!(&mut next).is_ready());
    assert_eq!(cached.synthesize(SpeechRequest::plain("hangs", 8000)).await.map(drop), Err(ServiceFailure::Overdue));
    assert_eq!(locked(&cached.memory).under_way.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_text_that_panics_is_poisoned_for_nobody() {
    let cached = Cached::new(Odd::default(), &Budget::default());
    for cacheable in [true, false, true] {
        let request = SpeechRequest { cacheable, ..SpeechRequest::plain("panics", 8000) };
        assert_eq!(cached.synthesize(request).await.map(drop), Err(broke_off()));
    }
    assert_eq!(locked(&cached.memory).under_way.len(), 0);
    assert!(cached.synthesize(SpeechRequest::plain("another", 8000)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn flights_are_bounded() {
    let cached = Cached::new(Odd::default(), &Budget::default());
    let asks = |n: usize| cached.synthesize(SpeechRequest::plain(format!("text {n}"), 8000));
    let mut all: Vec<_> = (0..FLIGHTS_MAX).map(asks).collect();
    for asked in &mut all {
        assert!(futures_util::poll!(asked).is_pending());
    }
    assert_eq!(asks(FLIGHTS_MAX).await.map(drop), Err(ServiceFailure::Overloaded));
    drop(all);
    assert!(asks(FLIGHTS_MAX).await.is_ok());
}

#[tokio::test]
async fn speeches_that_differ_by_a_rate_alone_are_two() {
    let (cached, asked) = cached();
    for (line_rate, percentage) in [(8000, 0), (16_000, 0), (8000, 10), (8000, -10), (16_000, 10)] {
        let parameters = Map::from_iter([("rate_percentage".to_owned(), json!(percentage))]);
        let request = SpeechRequest { parameters, ..SpeechRequest::plain("ab", line_rate) };
        cached.synthesize(request).await.expect("speech");
    }
    assert_eq!(asked(), 5);
}

#[tokio::test]
async fn lines_of_g711_share_what_they_play() {
    let (cached, asked) = cached();
    for (companding, law) in [(Companding::MuLaw, Law::Mu), (Companding::ALaw, Law::A)] {
        let request = || SpeechRequest { companding: Some(companding), ..SpeechRequest::plain("ab", 8000) };
        let [first, second] = [cached.synthesize(request()).await, cached.synthesize(request()).await];
        let [first, second] = [first, second].map(|speech| speech.expect("speech").samples);
        let (Samples::G711(coded_by, first), Samples::G711(_, second)) = (first, second) else { panic!("code words") };
        assert_eq!((coded_by, &first[8000..8001]), (companding, &[law.encode(7)][..]));
        assert!(Arc::ptr_eq(&first, &second));
    }
    assert_eq!((asked(), locked(&cached.memory).samples), (1, 2 * 16_000), "the other law's are made of what is kept");
}

#[tokio::test]
async fn another_voice_is_another_speech_and_what_must_not_be_kept_is_not() {
    let (cached, asked) = cached();
    let voice = Map::from_iter([("voice".to_owned(), json!("x"))]);
    let other = SpeechRequest { parameters: voice, ..SpeechRequest::plain("ab", 8000) };
    let secret = SpeechRequest { cacheable: false, ..SpeechRequest::plain("ab", 8000) };
    for request in [SpeechRequest::plain("ab", 8000), other.clone(), other, secret.clone(), secret] {
        cached.synthesize(request).await.expect("speech");
    }
    assert_eq!(asked(), 4);
}

#[tokio::test]
async fn all_voices_of_a_process_have_one_budget_and_the_largest_loses_first() {
    let budget = Budget::of(100_000);
    let voice = || Cached::new(Counted(Arc::default()), &budget);
    let (quiet, noisy, gone) = (voice(), voice(), voice());
    let keeps = async |voice: &Cached<Counted>, text: String| {
        voice.synthesize(SpeechRequest::plain(text, 8000)).await.expect("speech");
    };
    let kept = |voice: &Cached<Counted>| locked(&voice.memory).samples;
    // A letter is a second.
    keeps(&quiet, "ab".into()).await;
    keeps(&gone, "ab".into()).await;
    drop(gone);
    for n in 0..30 {
        keeps(&noisy, format!("{n:02}")).await;
        assert!(kept(&quiet) + kept(&noisy) <= 100_000, "at any time");
    }
    assert_eq!((kept(&quiet), kept(&noisy)), (16_000, 80_000));
    let is_there = |voice: &Cached<Counted>, text: &str| {
        locked(&voice.memory).kept.contains_key(&Key::of(&SpeechRequest::plain(text, 8000)))
    };
    assert!(is_there(&quiet, "ab") && is_there(&noisy, "29") && !is_there(&noisy, "24"));
    // Who comes later has its share of it.
    let late = voice();
    for n in 0..9 {
        keeps(&late, format!("{n:02}")).await;
    }
    assert_eq!([kept(&quiet), kept(&noisy), kept(&late)], [16_000, 48_000, 32_000]);
}

#[test]
fn what_is_kept_is_bounded_in_size_and_age() {
    let (mut memory, now) = (Memory::default(), Instant::now());
    let clip = Speech::new(vec![0; SAMPLES_MAX / 20], 8000);
    let key = |n: u8| Key([n; 32]);
    for n in 0..100 {
        memory.keep(key(n), &clip, now + Duration::from_secs(u64::from(n)));
        memory.recall(key(0), None, now + Duration::from_secs(u64::from(n)));
    }
    assert!(memory.samples <= SAMPLES_MAX);
    let has = |memory: &Memory, n: u8| memory.kept.contains_key(&key(n));
    assert!(has(&memory, 99) && has(&memory, 0) && !has(&memory, 1), "what is used stays");
    memory.keep(key(200), &clip, now + KEEP * 2);
    assert_eq!(memory.kept.len(), 1);
}
