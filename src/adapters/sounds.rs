//! The sounds that `audio` responses name: WAV files on web servers.
//!
//! Invariant: an author's URL reaches no address of this machine or its private networks, unless the operator allows that;
//! what is fetched and what is kept is bounded.

use std::collections::HashMap;
use std::io::Cursor;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bellhop_dialogue::ports::{Pending, ServiceFailure, SoundLibrary, Speech};
use bellhop_sip::networks::is_public;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::http;

/// Most bytes of a sound: ten minutes at 8 kHz.
pub const BYTES_MAX: usize = 10 * 1024 * 1024;
/// The longest a fetch may take.
pub const FETCH_MAX: Duration = Duration::from_secs(6);
/// How long a sound is kept before it is fetched again.
pub const KEEP: Duration = Duration::from_secs(300);
/// Samples kept in all.
pub const KEPT_SAMPLES_MAX: usize = 20 * 1024 * 1024;

/// Fetches sounds; clones share what they keep.
#[derive(Clone)]
pub struct WebSounds {
    client: reqwest::Client,
    private_networks: bool,
    kept: Arc<Mutex<HashMap<String, (Instant, Speech)>>>,
}

impl WebSounds {
    /// Whether URLs may lead to private networks is the operator's to say.
    pub fn new(private_networks: bool) -> Self {
        let builder = http::builder().timeout(FETCH_MAX);
        let builder = if private_networks { builder } else { builder.dns_resolver(PublicNames) };
        let client = builder.build().expect("the client is made of constants");
        Self { client, private_networks, kept: Arc::default() }
    }

    fn kept(&self, source: &str) -> Option<Speech> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(source).filter(|(at, _)| at.elapsed() < KEEP).map(|(_, speech)| speech.clone())
    }

    fn keep(&self, source: String, speech: &Speech) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, (at, _)| at.elapsed() < KEEP);
        let samples: usize = kept.values().map(|(_, speech)| speech.samples.len()).sum();
        if samples + speech.samples.len() <= KEPT_SAMPLES_MAX {
            kept.insert(source, (Instant::now(), speech.clone()));
        }
    }

    async fn get(&self, source: &str) -> Result<Speech, ServiceFailure> {
        let refused = |why: &str| ServiceFailure::Unavailable { why: why.to_owned() };
        let url = reqwest::Url::parse(source).map_err(|_| refused("its URL is none"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refused("its URL does not begin with http:// or https://"));
        }
        // A name is looked up by our resolver; an address stands in the URL itself.
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        if !self.private_networks && host.parse().is_ok_and(|address| !is_public(address)) {
            return Err(refused("its address is private: set sounds.private_networks to allow that"));
        }
        let response = self.client.get(url).send().await.map_err(|error| http::failure(&error))?;
        let response = http::accepted(response, &[])?;
        let bytes = http::body(response, BYTES_MAX).await?;
        let read = tokio::task::spawn_blocking(move || read_wav(&bytes)).await;
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
            let speech = this.get(&source).await?;
            this.keep(source, &speech);
            Ok(speech)
        })
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
    (!samples.is_empty() && spec.sample_rate >= 4000).then(|| Speech::new(samples, spec.sample_rate))
}

/// Resolves names to public addresses alone.
struct PublicNames;

impl Resolve for PublicNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err("the name leads to private addresses: set sounds.private_networks to allow that".into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
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
        let sounds = WebSounds::new(true);
        let source = served_once(200, wav(2, &[100, 300, -100, -300])).await;
        for _ in 0..2 {
            let speech = sounds.fetch(source.clone()).await.expect("a sound");
            assert_eq!((&speech.samples[..], speech.sample_rate), (&[200, -200][..], 8000));
        }
    }

    #[tokio::test]
    async fn what_is_no_sound_is_told() {
        let sounds = WebSounds::new(true);
        for (status, body) in [(404, wav(1, &[1])), (200, b"<html>".to_vec()), (200, wav(1, &[]))] {
            assert!(sounds.fetch(served_once(status, body).await).await.is_err(), "{status}");
        }
        for source in ["", "file:///etc/passwd", "ftp://x/a.wav", "http://127.0.0.1:1/a.wav"] {
            assert!(sounds.fetch(source.into()).await.is_err(), "{source}");
        }
    }

    #[tokio::test]
    async fn private_addresses_are_out_of_reach() {
        let sounds = WebSounds::new(false);
        let source = served_once(200, wav(1, &[1, 2])).await;
        let named = source.replace("127.0.0.1", "localhost");
        for source in [source, named] {
            let refused = sounds.fetch(source.clone()).await;
            assert!(matches!(refused, Err(ServiceFailure::Unavailable { .. })), "{source}");
        }
    }
}
