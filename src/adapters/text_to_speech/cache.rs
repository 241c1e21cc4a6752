//! Texts that were spoken before: greetings and menus cost their synthesis once, for all calls.
//!
//! Speech is kept under the digest of everything that decides how it sounds: text, parameters of the voice, rate of the
//! line. Invariant: what is kept never exceeds [`SAMPLES_MAX`] for a voice and [`Budget`]'s for the process; what was not used
//! for longest goes first, that of the voice that keeps most, and what was not used for [`KEEP`] goes anyway; a text that many
//! calls want at once is synthesised once. Clips are kept as the line plays them, at its rate and as its code words if it has some, so that a
//! hit costs nothing and calls share what they play. Kept in memory alone.
//!
//! What is being made is a *flight*: a task of its own drives it, for [`FLIGHT_MAX`] at most, so that no caller has to
//! go on asking for it. The last caller that waits for it and goes takes it down with them: a connection, a process and
//! what they hold are free at once, and a text that is asked for again begins anew. A flight that panics is a failure of
//! that flight.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bellhop_call::line_audio;
use bellhop_dialogue::ports::{
    AudioSink, Companding, ModelOrVoice, Pending, Samples, ServiceFailure, Speech, SpeechRequest, Synthesizer,
};
use bellhop_media::{SAMPLE_RATE, resample};
use futures_util::FutureExt;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::task;

/// Samples kept for a voice: half an hour of speech, 14 MB as code words of G.711 and 29 otherwise.
pub const SAMPLES_MAX: usize = 30 * 60 * SAMPLE_RATE as usize;
/// Samples kept for all voices of the process: four and a half hours of speech, 130 MB as code words and 260 otherwise.
pub const SAMPLES_OF_ALL_MAX: usize = 9 * SAMPLES_MAX;
/// How long speech is kept that nobody asks for: two weeks.
pub const KEEP: Duration = Duration::from_secs(336 * 3600);

/// The longest that a flight may take; services have deadlines of their own that are shorter.
pub const FLIGHT_MAX: Duration = Duration::from_secs(15);
/// Flights at once; one more is refused.
pub(crate) const FLIGHTS_MAX: usize = 512;

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
    /// As it was made.
    speech: Speech,
    /// The same for lines of the other law, once one of them asked for it.
    recoded: Option<Samples>,
    used: Instant,
}

impl Kept {
    fn samples(&self) -> usize {
        self.speech.samples.len() + self.recoded.as_ref().map_or(0, Samples::len)
    }
}

/// Whether a line plays these samples as they are.
fn fits(samples: &Samples, companding: Option<Companding>) -> bool {
    match (samples, companding) {
        (_, None) => true,
        (Samples::G711(law, _), Some(companding)) => *law == companding,
        (Samples::Linear(_), Some(_)) => false,
    }
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
        let driver = task::spawn(async move {
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
    let (line_rate, companding) = (request.line_rate, request.companding);
    let fitting: AudioSink = Box::new(move |samples, rate| {
        if rate == line_rate {
            audio(samples, rate);
        }
    });
    let speech = inner.stream(request, fitting).await?;
    if speech.sample_rate == line_rate {
        let Some(companding) = companding else { return Ok(speech) };
        let samples = line_audio::coded(&line_audio::linear(&speech.samples), companding);
        return Ok(Speech { samples, ..speech });
    }
    // A long clip takes milliseconds: not on the thread that also paces audio.
    let fitted = task::spawn_blocking(move || {
        let fitted = resample::clip(&line_audio::linear(&speech.samples), speech.sample_rate, line_rate);
        let samples = match companding {
            Some(companding) => line_audio::coded(&fitted, companding),
            None => Samples::Linear(fitted.into()),
        };
        Speech { samples, sample_rate: line_rate, ..speech }
    });
    fitted.await.map_err(|_| ServiceFailure::Unavailable { why: "resampling failed".to_owned() })
}

impl Memory {
    fn recall(&mut self, key: Key, companding: Option<Companding>, now: Instant) -> Option<Speech> {
        let kept = self.kept.get_mut(&key)?;
        kept.used = now;
        let speech = kept.speech.clone();
        let Some(companding) = companding.filter(|_| !fits(&speech.samples, companding)) else { return Some(speech) };
        let before = kept.samples();
        // Made of what was made first, so that nothing is coded twice over.
        let recode = || line_audio::coded(&line_audio::linear(&speech.samples), companding);
        let known = kept.recoded.take_if(|recoded| fits(recoded, Some(companding)));
        let samples = kept.recoded.insert(known.unwrap_or_else(recode)).clone();
        self.samples += kept.samples() - before;
        while self.samples > SAMPLES_MAX && self.lose_oldest() > 0 {}
        Some(Speech { samples, ..speech })
    }

    fn keep(&mut self, key: Key, speech: &Speech, now: Instant) {
        if speech.samples.len() > SAMPLES_MAX / 10 || self.kept.contains_key(&key) {
            return;
        }
        self.kept.retain(|_, kept| now.saturating_duration_since(kept.used) < KEEP);
        self.samples = self.kept.values().map(Kept::samples).sum();
        while self.samples + speech.samples.len() > SAMPLES_MAX && self.lose_oldest() > 0 {}
        self.samples += speech.samples.len();
        self.kept.insert(key, Kept { speech: speech.clone(), recoded: None, used: now });
    }

    /// Loses what was not used for longest; the samples that are free for it, none if nothing is kept.
    fn lose_oldest(&mut self) -> usize {
        let oldest = self.kept.iter().min_by_key(|(_, kept)| kept.used).map(|(key, _)| *key);
        let lost = oldest.and_then(|key| self.kept.remove(&key)).map_or(0, |kept| kept.samples());
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
            let kept = locked(&memory).recall(key, request.companding, Instant::now());
            if let Some(speech) = kept {
                return Ok(speech);
            }
            Self::board(&inner, (&memory, budget), key, request, audio)?.lands().await
        })
    }
}
