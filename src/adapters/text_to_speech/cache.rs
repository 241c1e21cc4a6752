//! Texts that were spoken before: greetings and menus cost their synthesis once, for all calls.
//!
//! Speech is kept under the digest of everything that decides how it sounds: text, parameters of the voice, rate of the
//! line. Invariant: what is kept never exceeds [`SAMPLES_MAX`]; what was not used for longest goes first, and what was not
//! used for [`KEEP`] goes anyway; a text that many calls want at once is synthesised once. Clips are kept at the line's
//! rate, so that a hit costs no resampling. Kept in memory alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bellhop_dialogue::ports::{AudioSink, Offer, Pending, ServiceFailure, Speech, SpeechRequest, Synthesizer};
use bellhop_media::{SAMPLE_RATE, resample};
use futures_util::FutureExt;
use futures_util::future::Shared;
use sha2::{Digest, Sha256};

/// Samples kept in all: half an hour of speech, 29 MB.
pub const SAMPLES_MAX: usize = 30 * 60 * SAMPLE_RATE as usize;
/// How long speech is kept that nobody asks for: two weeks.
pub const KEEP: Duration = Duration::from_secs(336 * 3600);

/// A synthesizer with a memory. One per voice.
pub struct Cached<S> {
    inner: S,
    memory: Arc<Mutex<Memory>>,
}

type Work = Shared<Pending<Result<Speech, ServiceFailure>>>;

#[derive(Default)]
struct Memory {
    kept: HashMap<Key, Kept>,
    samples: usize,
    under_way: HashMap<Key, Work>,
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

impl<S: Synthesizer> Cached<S> {
    /// Puts a memory in front of a synthesizer.
    pub fn new(inner: S) -> Self {
        Self { inner, memory: Arc::default() }
    }

    /// The speech, fitted to the line; what does not fit is not handed over before it does.
    fn work(&self, request: SpeechRequest, audio: AudioSink) -> Pending<Result<Speech, ServiceFailure>> {
        let line_rate = request.line_rate;
        let fitting: AudioSink = Box::new(move |samples, rate| {
            if rate == line_rate {
                audio(samples, rate);
            }
        });
        let work = self.inner.stream(request, fitting);
        Box::pin(async move {
            let speech = work.await?;
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
        })
    }
}

impl Memory {
    fn recall(&mut self, key: Key, now: Instant) -> Option<Speech> {
        let kept = self.kept.get_mut(&key)?;
        kept.used = now;
        Some(kept.speech.clone())
    }

    fn keep(&mut self, key: Key, speech: &Speech, now: Instant) {
        self.under_way.remove(&key);
        if speech.samples.len() > SAMPLES_MAX / 10 || self.kept.contains_key(&key) {
            return;
        }
        self.kept.retain(|_, kept| now.saturating_duration_since(kept.used) < KEEP);
        self.samples = self.kept.values().map(|kept| kept.speech.samples.len()).sum();
        while self.samples + speech.samples.len() > SAMPLES_MAX
            && let Some(oldest) = self.kept.iter().min_by_key(|(_, kept)| kept.used).map(|(key, _)| *key)
        {
            self.samples -= self.kept.remove(&oldest).map_or(0, |kept| kept.speech.samples.len());
        }
        self.samples += speech.samples.len();
        self.kept.insert(key, Kept { speech: speech.clone(), used: now });
    }
}

impl<S: Synthesizer> Synthesizer for Cached<S> {
    fn synthesize(&self, request: SpeechRequest) -> Pending<Result<Speech, ServiceFailure>> {
        self.stream(request, Box::new(|_, _| {}))
    }

    fn voices(&self) -> Pending<Result<Vec<Offer>, ServiceFailure>> {
        self.inner.voices()
    }

    /// Audio is handed over to whoever asks first; those who ask while it is being made get it whole.
    fn stream(&self, request: SpeechRequest, audio: AudioSink) -> Pending<Result<Speech, ServiceFailure>> {
        if !request.cacheable {
            return self.work(request, audio);
        }
        let (key, memory) = (Key::of(&request), Arc::clone(&self.memory));
        let mut inside = memory.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(speech) = inside.recall(key, Instant::now()) {
            return Box::pin(async { Ok(speech) });
        }
        let work = match inside.under_way.get(&key) {
            // Somebody who gave up has left it unfinished: whoever waits drives it on.
            Some(work) => work.clone(),
            None => {
                let work = self.work(request, audio).shared();
                inside.under_way.insert(key, work.clone());
                work
            }
        };
        drop(inside);
        Box::pin(async move {
            let result = work.await;
            let mut inside = memory.lock().unwrap_or_else(PoisonError::into_inner);
            match &result {
                Ok(speech) => inside.keep(key, speech, Instant::now()),
                Err(_) => drop(inside.under_way.remove(&key)),
            }
            result
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
        (Cached::new(Counted(Arc::clone(&asked))), move || asked.load(Ordering::Relaxed))
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
