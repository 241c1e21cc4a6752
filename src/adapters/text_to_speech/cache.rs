//! Texts that were spoken before: greetings and menus cost their synthesis once, for all calls.
//!
//! Speech is kept under the digest of everything that decides how it sounds: text, parameters of the voice, rate of the
//! line. Invariant: what is kept never exceeds [`SAMPLES_MAX`] for a voice and [`Budget`]'s for the process; what was not used
//! for longest goes first, that of the voice that keeps most, and what was not used for [`KEEP`] goes anyway; a text that many
//! calls want at once is synthesised once. Clips are kept at the line's
//! rate, so that a hit costs no resampling. Kept in memory alone.
//!
//! What is being made is a *flight*: a task of its own drives it, for [`FLIGHT_MAX`] at most, so that no caller has to
//! go on asking for it. The last caller that waits for it and goes takes it down with them: a connection, a process and
//! what they hold are free at once, and a text that is asked for again begins anew. A flight that panics is a failure of
//! that flight.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bellhop_dialogue::ports::{AudioSink, ModelOrVoice, Pending, ServiceFailure, Speech, SpeechRequest, Synthesizer};
use bellhop_media::{SAMPLE_RATE, resample};
use futures_util::FutureExt;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// Samples kept for a voice: half an hour of speech, 29 MB.
pub const SAMPLES_MAX: usize = 30 * 60 * SAMPLE_RATE as usize;
/// Samples kept for all voices of the process: four and a half hours of speech, 260 MB.
pub const SAMPLES_OF_ALL_MAX: usize = 9 * SAMPLES_MAX;
/// How long speech is kept that nobody asks for: two weeks.
pub const KEEP: Duration = Duration::from_secs(336 * 3600);

/// The longest that a flight may take; services have deadlines of their own that are shorter.
pub const FLIGHT_MAX: Duration = Duration::from_secs(15);
/// Flights at once; one more is refused.
pub const FLIGHTS_MAX: usize = 512;

/// A synthesizer with a memory. One per voice.
pub struct Cached<S> {
    inner: Arc<S>,
    memory: Arc<Mutex<Memory>>,
    budget: Budget,
}

/// What all voices of a process may keep together; clones are the same one. The voice that keeps most loses first.
#[derive(Clone)]
pub struct Budget {
    samples_max: usize,
    voices: Arc<Mutex<Vec<Weak<Mutex<Memory>>>>>,
}

impl Default for Budget {
    /// [`SAMPLES_OF_ALL_MAX`].
    fn default() -> Self {
        Self::of(SAMPLES_OF_ALL_MAX)
    }
}

impl Budget {
    fn of(samples_max: usize) -> Self {
        Self { samples_max, voices: Arc::default() }
    }

    fn join(&self, voice: &Arc<Mutex<Memory>>) {
        let mut voices = self.voices.lock().unwrap_or_else(PoisonError::into_inner);
        voices.retain(|voice| voice.strong_count() > 0);
        voices.push(Arc::downgrade(voice));
    }

    /// Makes whoever keeps most lose what was not used for longest, until all fits. No memory is locked meanwhile but one.
    fn hold(&self) {
        // One at a time: two would each make room for both.
        let voices = self.voices.lock().unwrap_or_else(PoisonError::into_inner);
        let voices: Vec<_> = voices.iter().filter_map(Weak::upgrade).collect();
        let mut shares: Vec<usize> = voices.iter().map(|voice| locked(voice).samples).collect();
        let mut over = shares.iter().sum::<usize>().saturating_sub(self.samples_max);
        while over > 0
            && let Some((largest, share)) = shares.iter_mut().enumerate().max_by_key(|(_, share)| **share)
            && let lost @ 1.. = locked(&voices[largest]).lose_oldest()
        {
            (over, *share) = (over.saturating_sub(lost), share.saturating_sub(lost));
        }
    }
}

type Outcome = Result<Speech, ServiceFailure>;

/// Speech that is being made, as long as somebody waits for it.
struct Flight {
    key: Key,
    landed: watch::Receiver<Option<Outcome>>,
    driver: AbortHandle,
    memory: Arc<Mutex<Memory>>,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.driver.abort();
        let mut memory = locked(&self.memory);
        // Another one may have taken off under the same key.
        if memory.under_way.get(&self.key).is_some_and(|known| known.strong_count() == 0) {
            memory.under_way.remove(&self.key);
        }
    }
}

impl Flight {
    /// Waits for it to land.
    async fn lands(&self) -> Outcome {
        let mut landed = self.landed.clone();
        let outcome = landed.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        outcome.unwrap_or_else(|| Err(broke_off()))
    }
}

fn broke_off() -> ServiceFailure {
    ServiceFailure::Unavailable { why: "the making of the speech broke off".to_owned() }
}

fn locked(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct Memory {
    kept: HashMap<Key, Kept>,
    samples: usize,
    under_way: HashMap<Key, Weak<Flight>>,
}

struct Kept {
    speech: Speech,
    used: Instant,
}

/// The digest of what decides how a speech sounds.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key([u8; 32]);

impl Key {
    fn of(request: &SpeechRequest) -> Self {
        let mut digest = Sha256::new();
        // The length keeps the parts apart; the parameters are in the order of their names.
        digest.update((request.text.len() as u64).to_le_bytes());
        digest.update(&request.text);
        digest.update(request.line_rate.to_le_bytes());
        digest.update(serde_json::to_string(&request.parameters).unwrap_or_default());
        Self(digest.finalize().into())
    }
}

impl<S: Synthesizer + 'static> Cached<S> {
    /// Puts a memory in front of a synthesizer.
    pub fn new(inner: S, budget: &Budget) -> Self {
        let memory = Arc::default();
        budget.join(&memory);
        Self { inner: Arc::new(inner), memory, budget: budget.clone() }
    }

    /// Joins the flight of a speech, or lets one take off.
    fn board(
        inner: &Arc<S>,
        (memory, budget): (&Arc<Mutex<Memory>>, Budget),
        key: Key,
        request: SpeechRequest,
        audio: AudioSink,
    ) -> Result<Arc<Flight>, ServiceFailure> {
        let mut inside = locked(memory);
        if let Some(flight) = inside.under_way.get(&key).and_then(Weak::upgrade) {
            drop(inside);
            return Ok(flight);
        }
        if inside.under_way.len() >= FLIGHTS_MAX {
            return Err(ServiceFailure::Overloaded);
        }
        let (lands, landed) = watch::channel(None);
        let (inner, kept_by) = (Arc::clone(inner), Arc::clone(memory));
        let driver = tokio::spawn(async move {
            let made = AssertUnwindSafe(tokio::time::timeout(FLIGHT_MAX, made(&*inner, request, audio)));
            let outcome = made.catch_unwind().await.unwrap_or(Ok(Err(broke_off())));
            let outcome = outcome.unwrap_or(Err(ServiceFailure::Overdue));
            let mut inside = locked(&kept_by);
            inside.under_way.remove(&key);
            if let Ok(speech) = &outcome {
                inside.keep(key, speech, Instant::now());
            }
            drop(inside);
            budget.hold();
            let _ = lands.send(Some(outcome));
        });
        let flight = Flight { key, landed, driver: driver.abort_handle(), memory: Arc::clone(memory) };
        let flight = Arc::new(flight);
        inside.under_way.insert(key, Arc::downgrade(&flight));
        drop(inside);
        Ok(flight)
    }
}

/// The speech, fitted to the line; what does not fit is not handed over before it does.
async fn made(inner: &impl Synthesizer, request: SpeechRequest, audio: AudioSink) -> Outcome {
    let line_rate = request.line_rate;
    let fitting: AudioSink = Box::new(move |samples, rate| {
        if rate == line_rate {
            audio(samples, rate);
        }
    });
    let speech = inner.stream(request, fitting).await?;
    if speech.sample_rate == line_rate {
        return Ok(speech);
    }
    // A long clip takes milliseconds: not on the thread that also paces audio.
    let fitted = tokio::task::spawn_blocking(move || Speech {
        samples: resample::clip(&speech.samples, speech.sample_rate, line_rate).into(),
        sample_rate: line_rate,
        ..speech
    });
    fitted.await.map_err(|_| ServiceFailure::Unavailable { why: "resampling failed".to_owned() })
}

impl Memory {
    fn recall(&mut self, key: Key, now: Instant) -> Option<Speech> {
        let kept = self.kept.get_mut(&key)?;
        kept.used = now;
        Some(kept.speech.clone())
    }

    fn keep(&mut self, key: Key, speech: &Speech, now: Instant) {
        if speech.samples.len() > SAMPLES_MAX / 10 || self.kept.contains_key(&key) {
            return;
        }
        self.kept.retain(|_, kept| now.saturating_duration_since(kept.used) < KEEP);
        self.samples = self.kept.values().map(|kept| kept.speech.samples.len()).sum();
        while self.samples + speech.samples.len() > SAMPLES_MAX && self.lose_oldest() > 0 {}
        self.samples += speech.samples.len();
        self.kept.insert(key, Kept { speech: speech.clone(), used: now });
    }

    /// Loses what was not used for longest; the samples that are free for it, none if nothing is kept.
    fn lose_oldest(&mut self) -> usize {
        let oldest = self.kept.iter().min_by_key(|(_, kept)| kept.used).map(|(key, _)| *key);
        let lost = oldest.and_then(|key| self.kept.remove(&key)).map_or(0, |kept| kept.speech.samples.len());
        self.samples -= lost;
        lost
    }
}

impl<S: Synthesizer + 'static> Synthesizer for Cached<S> {
    fn synthesize(&self, request: SpeechRequest) -> Pending<Result<Speech, ServiceFailure>> {
        self.stream(request, Box::new(|_, _| {}))
    }

    fn voices(&self) -> Pending<Result<Vec<ModelOrVoice>, ServiceFailure>> {
        self.inner.voices()
    }

    /// Audio is handed over to whoever asks first; those who ask while it is being made get it whole. Dropping what this
    /// returns ends all work for it that nobody else waits for.
    fn stream(&self, request: SpeechRequest, audio: AudioSink) -> Pending<Result<Speech, ServiceFailure>> {
        let (inner, memory, budget) = (Arc::clone(&self.inner), Arc::clone(&self.memory), self.budget.clone());
        Box::pin(async move {
            if !request.cacheable {
                let made = AssertUnwindSafe(made(&*inner, request, audio));
                return made.catch_unwind().await.unwrap_or_else(|_| Err(broke_off()));
            }
            let key = Key::of(&request);
            let kept = locked(&memory).recall(key, Instant::now());
            if let Some(speech) = kept {
                return Ok(speech);
            }
            Self::board(&inner, (&memory, budget), key, request, audio)?.lands().await
        })
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(
            cached.synthesize(SpeechRequest::plain("hangs", 8000)).await.map(drop),
            Err(ServiceFailure::Overdue)
        );
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
            memory.recall(key(0), now + Duration::from_secs(u64::from(n)));
        }
        assert!(memory.samples <= SAMPLES_MAX);
        let has = |memory: &Memory, n: u8| memory.kept.contains_key(&key(n));
        assert!(has(&memory, 99) && has(&memory, 0) && !has(&memory, 1), "what is used stays");
        memory.keep(key(200), &clip, now + KEEP * 2);
        assert_eq!(memory.kept.len(), 1);
    }
}
