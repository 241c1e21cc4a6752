//! flite: English, in this process, from the Debian package `libflite1`.
//!
//! The library is opened at start, so that a missing package is one clear sentence and not a loader's. Invariant: flite is
//! called by one thread; it keeps global state.

#[allow(unsafe_code)] // the foreign functions, and nothing else
mod ffi;

use std::time::Duration;

use bellhop_dialogue::ports::{Offer, Pending, ServiceFailure, Speech, SpeechRequest, Synthesizer};

use serde_json::Value;

use super::NoSynthesizer;
use crate::worker_pool::WorkerPool;

/// Texts that may wait.
pub const QUEUE: usize = 256;
/// The longest a text may take, waiting included.
pub const DEADLINE: Duration = Duration::from_secs(6);

/// The voices of the package.
pub const VOICES: [&str; 4] = ["slt", "rms", "awb", "kal"];

/// The engine with all its voices, shared by all calls.
#[derive(Clone)]
pub struct Flite {
    pool: WorkerPool<ffi::Library>,
}

/// One voice of it.
pub struct FliteVoice {
    engine: Flite,
    voice: &'static str,
}

impl Flite {
    /// Opens the library.
    pub fn open() -> Result<Self, NoSynthesizer> {
        let pool = WorkerPool::start("flite", 1, QUEUE, ffi::Library::open)?;
        Ok(Self { pool })
    }

    /// A voice by its short name; the load of each that was asked for and that of others take turns.
    pub fn voice(&self, name: &str) -> Result<FliteVoice, NoSynthesizer> {
        let known = VOICES.into_iter().find(|voice| *voice == name);
        let voice =
            known.ok_or_else(|| NoSynthesizer(format!("flite has no voice `{name}`: {}", VOICES.join(", "))))?;
        Ok(FliteVoice { engine: Self { pool: self.pool.lane() }, voice })
    }
}

impl Synthesizer for FliteVoice {
    fn synthesize(&self, request: SpeechRequest) -> Pending<Result<Speech, ServiceFailure>> {
        // A voice of another service is none of ours: the tenant's speaks.
        let wanted = request.parameters.get("voice").and_then(Value::as_str);
        let voice = VOICES.into_iter().find(|voice| Some(*voice) == wanted).unwrap_or(self.voice);
        let plain = super::espeak::without_markup(&request.text);
        let answer = self.engine.pool.submit(move |library| library.speak(voice, &plain));
        Box::pin(async move {
            match tokio::time::timeout(DEADLINE, answer?).await {
                Ok(Ok(Some(speech))) => Ok(speech),
                Ok(Ok(None) | Err(_)) => Err(ServiceFailure::Unavailable { why: "flite gave no audio".into() }),
                Err(_) => Err(ServiceFailure::Overdue),
            }
        })
    }

    fn voices(&self) -> Pending<Result<Vec<Offer>, ServiceFailure>> {
        let offer = |(name, gender): (&str, &str)| Offer {
            name: name.to_owned(),
            language: "en-US".to_owned(),
            gender: Some(gender.to_owned()),
            band: None,
        };
        let all = VOICES.into_iter().zip(["female", "male", "male", "male"]).map(offer).collect();
        Box::pin(std::future::ready(Ok(all)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_voice_speaks() {
        let engine = Flite::open().expect("libflite1 is installed: see README");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("runtime");
        for voice in VOICES {
            let spoken =
                engine.voice(voice).expect("known").synthesize(SpeechRequest::plain("Hello <b>there</b>.", 8000));
            let speech = runtime.block_on(spoken).expect("audio");
            assert!(speech.samples.len() > speech.sample_rate as usize / 4, "{voice}: {speech:?}");
        }
        assert!(engine.voice("nobody").is_err());
    }
}
