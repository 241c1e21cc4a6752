//! The synthesizer and the library of sounds: whatever becomes audio for the caller.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{ModelOrVoice, Origin, Pending, ServiceFailure};

/// Makes audio of texts, for all calls of a tenant.
pub trait Synthesizer: Send + Sync {
    /// All audio of a text, at the rate of the voice.
    fn synthesize(&self, request: SpeechRequest) -> Pending<Result<Speech, ServiceFailure>>;

    /// The same, handing over audio as it is made. What was handed over is the beginning of the speech that comes of it.
    fn stream(&self, request: SpeechRequest, _audio: AudioSink) -> Pending<Result<Speech, ServiceFailure>> {
        self.synthesize(request)
    }

    /// Its voices; empty if there is no choice.
    fn voices(&self) -> Pending<Result<Vec<ModelOrVoice>, ServiceFailure>> {
        Box::pin(std::future::ready(Ok(vec![])))
    }
}

/// Fetches the sounds of `audio` responses.
pub trait SoundLibrary: Send + Sync {
    /// The sound at a URL.
    fn fetch(&self, source: String) -> Pending<Result<Speech, ServiceFailure>>;
}

/// A text to be spoken.
#[derive(Clone, PartialEq)]
pub struct SpeechRequest {
    /// Plain text, or SSML.
    pub text: String,
    /// Samples per second of the line. The speech may have another rate: that of the voice.
    pub line_rate: u32,
    /// How the line codes its samples, if it does so by G.711: the speech may come as its code words.
    pub companding: Option<Companding>,
    /// The service's own parameters, as the assistant configured them: `synthesize`.
    pub parameters: Map<String, Value>,
    /// Whether the speech may be kept for others.
    pub cacheable: bool,
}

impl SpeechRequest {
    /// A text for a line of so many samples per second, with the voice as it is.
    pub fn plain(text: impl Into<String>, line_rate: u32) -> Self {
        Self { text: text.into(), line_rate, companding: None, parameters: Map::new(), cacheable: true }
    }
}

impl fmt::Debug for SpeechRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpeechRequest({} bytes)", self.text.len())
    }
}

/// The laws by which G.711 codes samples in eight bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Companding {
    /// North America, Japan.
    MuLaw,
    /// Elsewhere.
    ALaw,
}

/// Samples of a clip; clones share them.
#[derive(Clone, PartialEq, Eq)]
pub enum Samples {
    /// Linear, of 16 bits.
    Linear(Arc<[i16]>),
    /// Code words of G.711, one a sample.
    G711(Companding, Arc<[u8]>),
}

/// It never shows samples: they are too many.
impl fmt::Debug for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Samples({})", self.len())
    }
}

impl Samples {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Linear(samples) => samples.len(),
            Self::G711(_, codes) => codes.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A whole clip: synthesised speech, or a sound that was fetched.
#[derive(Clone)]
pub struct Speech {
    /// One channel.
    pub samples: Samples,
    /// Samples per second.
    pub sample_rate: u32,
    /// The service that made it, and whether it stands in for another.
    pub origin: Origin,
}

impl Speech {
    /// A clip of which nobody says who made it.
    pub fn new(samples: impl Into<Arc<[i16]>>, sample_rate: u32) -> Self {
        Self { samples: Samples::Linear(samples.into()), sample_rate, origin: Origin::default() }
    }
}

impl fmt::Debug for Speech {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Speech({} samples at {} Hz)", self.samples.len(), self.sample_rate)
    }
}

/// Takes audio of a speech that is still being made, with its samples per second: it follows what was handed over before.
pub type AudioSink = Box<dyn Fn(&[i16], u32) + Send + Sync>;
