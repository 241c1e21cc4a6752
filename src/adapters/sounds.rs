//! The sounds that `audio` responses name: WAV files on web servers.
//!
//! Invariant: an author's URL reaches no address of this machine or its private networks, unless the operator allows that;
//! what is fetched and what is kept is bounded, and so is what one tenant fetches at once: whoever waits behind it for the
//! same sound finds it kept. When what is kept is full, the tenant that has most of it loses its oldest.

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bellhop_dialogue::ports::{Pending, ServiceFailure, SoundLibrary, Speech};
use tokio::sync::Semaphore;

use crate::reach::Reach;
use crate::{http, task};

/// Most bytes of a sound: ten minutes at 8 kHz.
pub const BYTES_MAX: usize = 10 * 1024 * 1024;
/// The longest a fetch may take.
pub(crate) const FETCH_MAX: Duration = Duration::from_secs(6);
/// How long a sound is kept before it is fetched again.
pub const KEEP: Duration = Duration::from_secs(300);
/// Sounds that one tenant fetches at once; its others wait.
pub const AT_ONCE: usize = 4;
/// Samples a second of a sound.
const RATES: std::ops::RangeInclusive<u32> = 4000..=192_000;
/// Samples kept in all.
pub(crate) const KEPT_SAMPLES_MAX: usize = 20 * 1024 * 1024;

/// Fetches sounds; clones share what they keep.
#[derive(Clone)]
pub struct WebSounds {
    client: reqwest::Client,
    reach: Reach,
    kept: Arc<Mutex<HashMap<String, Kept>>>,
    /// The tenant's turns, and its name: they are another tenant's if they are at another address.
    turns: Arc<Semaphore>,
}

struct Kept {
    at: Instant,
    speech: Speech,
    by: Arc<Semaphore>,
}

impl WebSounds {
    /// How far URLs may lead is the operator's to say.
    pub fn new(reach: Reach) -> Self {
        let client = http::builder(reach).timeout(FETCH_MAX).build().expect("the client is made of constants");
        Self { client, reach, kept: Arc::default(), turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// The same for another tenant: its fetching does not keep others waiting.
    #[must_use]
    pub fn for_another_tenant(&self) -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)), ..self.clone() }
    }

    fn kept(&self, source: &str) -> Option<Speech> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(source).filter(|kept| kept.at.elapsed() < KEEP).map(|kept| kept.speech.clone())
    }

    fn keep(&self, source: String, speech: &Speech) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, kept| kept.at.elapsed() < KEEP);
        kept.insert(source, Kept { at: Instant::now(), speech: speech.clone(), by: Arc::clone(&self.turns) });
        loop {
            // What each tenant has of it.
            let mut shares: HashMap<*const Semaphore, usize> = HashMap::new();
            for kept in kept.values() {
                *shares.entry(Arc::as_ptr(&kept.by)).or_default() += kept.speech.samples.len();
            }
            if shares.values().sum::<usize>() <= KEPT_SAMPLES_MAX {
                return;
            }
            let most = shares.into_iter().max_by_key(|(_, samples)| *samples).map(|(by, _)| by);
            let theirs = kept.iter().filter(|(_, kept)| Some(Arc::as_ptr(&kept.by)) == most);
            let Some(oldest) = theirs.min_by_key(|(_, kept)| kept.at).map(|(source, _)| source.clone()) else { return };
            kept.remove(&oldest);
        }
    }

    async fn get(&self, source: &str) -> Result<Speech, ServiceFailure> {
        let refused = |why: &str| ServiceFailure::Unavailable { why: why.to_owned() };
        let url = address_of(source).map_err(refused)?;
        if let Some(why) = self.reach.refuses(url.as_str()) {
            return Err(refused(&why.to_string()));
        }
        let response = self.client.get(url).send().await.map_err(|error| http::failure(&error))?;
        let response = http::accepted(response, &[])?;
        let bytes = http::body(response, BYTES_MAX).await?;
        let read = task::spawn_blocking(move || read_wav(&bytes)).await;
        read.ok().flatten().ok_or_else(|| refused("it is no WAV file of 16-bit PCM"))
    }
}

impl SoundLibrary for WebSounds {
    fn fetch(&self, source: String) -> Pending<Result<Speech, ServiceFailure>> {
        if let Some(speech) = self.kept(&source) {
            return Box::pin(async { Ok(speech) });
        }
        let this = self.clone();
        Box::pin(async move {
            let _turn = this.turns.acquire().await.map_err(|_| ServiceFailure::Overloaded)?;
            if let Some(speech) = this.kept(&source) {
                return Ok(speech); // somebody fetched it while we waited
            }
            let speech = this.get(&source).await?;
            this.keep(source, &speech);
            Ok(speech)
        })
    }
}

/// Where a sound is, as an author names it; else what is wrong with that.
pub(crate) fn address_of(source: &str) -> Result<reqwest::Url, &'static str> {
    let url = reqwest::Url::parse(source).map_err(|_| "its URL is none")?;
    if matches!(url.scheme(), "http" | "https") {
        Ok(url)
    } else {
        Err("its URL does not begin with http:// or https://")
    }
}

/// Any rate, mono or more channels: the mean of all.
fn read_wav(bytes: &[u8]) -> Option<Speech> {
    let mut reader = hound::WavReader::new(Cursor::new(bytes)).ok()?;
    let spec = reader.spec();
    if spec.sample_format != hound::SampleFormat::Int || spec.bits_per_sample != 16 || spec.channels == 0 {
        return None;
    }
    let all: Vec<i16> = reader.samples().collect::<Result<_, _>>().ok()?;
    let channels = usize::from(spec.channels);
    let mean = |frame: &[i16]| (frame.iter().map(|s| i32::from(*s)).sum::<i32>() / channels as i32) as i16;
    let samples: Vec<i16> = all.chunks_exact(channels).map(mean).collect();
    (!samples.is_empty() && RATES.contains(&spec.sample_rate)).then(|| Speech::new(samples, spec.sample_rate))
}

#[cfg(test)]
mod tests {
    use bellhop_call::line_audio::linear;

    use super::*;
    use crate::testing::{Answer, serve};
    use serde_json::json;

    fn wav(channels: u16, samples: &[i16]) -> Vec<u8> {
        let spec = hound::WavSpec {
            channels,
            sample_rate: 8000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut bytes = Cursor::new(vec![]);
        let mut writer = hound::WavWriter::new(&mut bytes, spec).expect("a header");
        samples.iter().for_each(|sample| writer.write_sample(*sample).expect("room"));
        writer.finalize().expect("an end");
        bytes.into_inner()
    }

    /// The URL of one answer.
    async fn served_once(status: u16, body: Vec<u8>) -> String {
        let answer = if status == 200 { Answer::bytes("audio/wav", body) } else { Answer::json(status, &json!({})) };
        format!("{}/a.wav", serve(vec![answer]).await.0)
    }

    #[tokio::test]
    async fn a_sound_is_fetched_once_and_mixed_to_one_channel() {
        let sounds = WebSounds::new(Reach::Everywhere);
        let source = served_once(200, wav(2, &[100, 300, -100, -300])).await;
        for _ in 0..2 {
            let speech = sounds.fetch(source.clone()).await.expect("a sound");
            assert_eq!((&linear(&speech.samples)[..], speech.sample_rate), (&[200, -200][..], 8000));
        }
    }

    #[tokio::test]
    async fn a_sound_that_many_calls_want_at_once_is_fetched_as_often_as_there_are_turns_at_most() {
        let sounds = WebSounds::new(Reach::Everywhere);
        let answers = (0..AT_ONCE).map(|_| Answer::bytes("audio/wav", wav(1, &[1; 800]))).collect();
        let source = format!("{}/a.wav", serve(answers).await.0);
        let all = futures_util::future::join_all((0..100).map(|_| sounds.fetch(source.clone()))).await;
        assert!(all.iter().all(Result::is_ok));
    }

    #[test]
    fn who_keeps_most_loses_its_oldest() {
        let noisy = WebSounds::new(Reach::Everywhere);
        let quiet = noisy.for_another_tenant();
        let sound = |samples: usize| Speech::new(vec![0; samples], 8000);
        quiet.keep("quiet".into(), &sound(1000));
        for n in 0..10 {
            noisy.keep(format!("noisy {n}"), &sound(KEPT_SAMPLES_MAX / 4));
        }
        assert!(quiet.kept("quiet").is_some() && noisy.kept("noisy 9").is_some());
        assert!(noisy.kept("noisy 0").is_none());
        let all: usize = noisy.kept.lock().expect("alone").values().map(|kept| kept.speech.samples.len()).sum();
        assert!(all <= KEPT_SAMPLES_MAX);
    }

    #[test]
    fn a_rate_that_no_sound_has_is_none() {
        let mut fast = wav(1, &[1; 100]);
        assert!(read_wav(&fast).is_some());
        for rate in [0, 1, 192_001, u32::MAX] {
            fast[24..28].copy_from_slice(&rate.to_le_bytes());
            assert!(read_wav(&fast).is_none(), "{rate}");
        }
    }

    #[tokio::test]
    async fn what_is_no_sound_is_told() {
        let sounds = WebSounds::new(Reach::Everywhere);
        for (status, body) in [(404, wav(1, &[1])), (200, b"<html>".to_vec()), (200, wav(1, &[]))] {
            assert!(sounds.fetch(served_once(status, body).await).await.is_err(), "{status}");
        }
        for source in ["", "file:///etc/passwd", "ftp://x/a.wav", "http://127.0.0.1:1/a.wav"] {
            assert!(sounds.fetch(source.into()).await.is_err(), "{source}");
        }
    }

    #[tokio::test]
    async fn private_addresses_are_out_of_reach() {
        let sounds = WebSounds::new(Reach::Internet);
        let source = served_once(200, wav(1, &[1, 2])).await;
        let named = source.replace("127.0.0.1", "localhost");
        for source in [source, named] {
            let refused = sounds.fetch(source.clone()).await;
            assert!(matches!(refused, Err(ServiceFailure::Unavailable { .. })), "{source}");
        }
    }
}
