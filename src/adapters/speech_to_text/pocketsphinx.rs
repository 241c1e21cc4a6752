//! pocketsphinx: English with a grammar, in this process, from the Debian packages `libpocketsphinx3` and
//! `pocketsphinx-en-us`.
//!
//! It always finds something, so a hypothesis is believed only if it is a whole sentence of the grammar *and* explains the
//! sound about as well as a free sequence of phones does. Where the beginning of a sentence explains it better than any whole one, the rest of it
//! was not said yet. Invariant: decoders live on a bounded pool of threads, never one
//! per call; what was decoded in a pause is not decoded again if nothing follows it; lengths and grammars are bounded, and when a call
//! ends nothing of it is decoded any more. What is being decoded cannot be stopped (the model's normalisation looks at the whole utterance
//! first, and the library then searches all of it in one call), so that long ones leave a decoder for short ones. For the same
//! reason nobody is decoded piece by piece: each pause that may be the end has all that was said looked at, while it is still being decided
//! whether it is.

#[allow(unsafe_code)] // the foreign functions, and nothing else
mod ffi;
mod stream;

use std::ffi::CStr;
use std::sync::Arc;
use std::time::Duration;

use bellhop_dialogue::ports::ServiceFailure;
use tokio::sync::oneshot;

use crate::worker_pool::{Asker, WorkerPool};

/// Utterances that may wait for a decoder, of each tenant.
pub(crate) const UTTERANCES_WAITING_MAX: usize = 64;
/// Utterances of one call that may wait; another is not understood.
pub(crate) const QUEUE_OF_CALL: usize = 4;
/// The longest a caller waits until an utterance is understood or is not.
pub const UNDERSTOOD_WITHIN: Duration = Duration::from_secs(10);
/// Phrases of a grammar, and characters of all of them: what goes beyond is not listened for.
pub(crate) const PHRASES_MAX: usize = 1000;
/// See [`PHRASES_MAX`].
pub(crate) const PHRASES_CHARACTERS_MAX: usize = 30_000;
/// The longest utterance that is decoded, in samples at 16 kHz: 15 s.
pub const UTTERANCE_MAX: usize = 15 * 16_000;
/// An utterance of more samples takes seconds to decode, which nothing can stop: 4 s. Such ones never have every decoder.
pub(crate) const LONG: usize = 4 * 16_000;
/// How much better, per sounding frame of 10 ms, a sentence's path must score than the free path of phones, whose words
/// cost it a language model's price. Measured on flite's voices over the
/// line: sentences of the grammar 16 to 45, nine of ten others below −5, one 11.
pub(crate) const REJECTION_MARGIN: f32 = 12.0;
/// The same of the beginning of a sentence, of which there is less to go by: all that comes of it is that more is waited for.
pub(crate) const BEGINNING_MARGIN: f32 = 0.0;
/// The amplitude of the noise under an utterance: 60 of 32,768, far below any line. Measured by `make speech`: of
/// sentences in espeak's voices without it 57 % of the words are wrong or lost, with it 16 %.
const DITHER: i16 = 60;
/// The mean magnitude of a frame that sounds.
const SOUNDING: i32 = 150;

const GRAMMAR: &CStr = c"grammar";
const PHONES: &CStr = c"phones";
const WORDS: &CStr = c"words";

/// Why the recognizer cannot start: a sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoRecognizer(pub String);

/// The engine, shared by all calls.
#[derive(Clone)]
pub struct Pocketsphinx {
    pool: WorkerPool<Decoder>,
}

struct Decoder {
    sphinx: ffi::Sphinx,
    model: String,
    grammar: Option<Arc<[String]>>,
    has_words: bool,
}

/// Where Debian installs the model.
pub const MODEL: &str = "/usr/share/pocketsphinx/model/en-us";

impl Pocketsphinx {
    /// Loads the model on each of `threads`.
    pub fn open(model: &str, threads: usize) -> Result<Self, NoRecognizer> {
        let model = model.to_owned();
        let pool = WorkerPool::start("pocketsphinx", threads, UTTERANCES_WAITING_MAX, move || Decoder::open(&model))?;
        Ok(Self { pool })
    }

    /// The same threads for another tenant: its load and that of others take turns.
    pub fn for_another_tenant(&self) -> Self {
        Self { pool: self.pool.lane() }
    }

    /// The words of these phrases that the dictionary lacks; they could never be heard.
    pub fn unknown_words(&self, phrases: Vec<String>) -> Vec<String> {
        let answer = self.pool.submit(move |decoder, _| {
            let words =
                phrases.iter().flat_map(|phrase| normalise(phrase).split(' ').map(str::to_owned).collect::<Vec<_>>());
            let mut unknown: Vec<String> =
                words.filter(|word| !word.is_empty() && !decoder.sphinx.knows(word)).collect();
            unknown.sort();
            unknown.dedup();
            unknown
        });
        answer.ok().and_then(|answer| answer.blocking_recv().ok()).unwrap_or_default()
    }

    /// Decodes one utterance; `None` if nothing of it is understood.
    pub fn recognise(
        &self,
        samples: Vec<i16>,
        phrases: Option<Arc<[String]>>,
    ) -> Result<oneshot::Receiver<Option<Hypothesis>>, ServiceFailure> {
        let long = samples.len() > LONG;
        let work =
            move |decoder: &mut Decoder, asker: &Asker<'_>| decoder.recognise(&dithered(samples), phrases, asker);
        if long { self.pool.submit_long(work) } else { self.pool.submit(work) }
    }
}

/// Words that were understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// A phrase as it was given, or the beginning of one in small letters.
    pub text: String,
    /// 0 to 1: how close it came to the free path of phones.
    pub confidence: f32,
}

/// What was understood of an utterance.
#[derive(Debug, Clone, PartialEq)]
pub struct Hypothesis {
    /// One of the phrases that were expected, should that have been all.
    pub whole: Option<Heard>,
    /// What has been said up to here, should it go on.
    pub so_far: Option<Heard>,
}

impl Decoder {
    fn open(model: &str) -> Result<Self, NoRecognizer> {
        let mut sphinx = ffi::Sphinx::open(model)?;
        if !sphinx.set_phone_loop(PHONES, &format!("{model}/en-us-phone.lm.bin")) {
            return Err(NoRecognizer(format!("pocketsphinx could not load {model}/en-us-phone.lm.bin")));
        }
        Ok(Self { sphinx, model: model.to_owned(), grammar: None, has_words: false })
    }

    fn recognise(&mut self, samples: &[i16], phrases: Option<Arc<[String]>>, asker: &Asker<'_>) -> Option<Hypothesis> {
        let Some(phrases) = phrases.filter(|phrases| !phrases.is_empty()) else { return self.dictate(samples) };
        if self.grammar.as_ref() != Some(&phrases) {
            self.grammar = None;
            if !self.sphinx.set_grammar(GRAMMAR, &jsgf(&phrases)) {
                return None;
            }
            self.grammar = Some(Arc::clone(&phrases));
        }
        let ffi::Decoded { so_far, whole } = self.sphinx.decode(GRAMMAR, samples)?;
        if so_far.text.is_empty() || asker.is_gone() {
            return None;
        }
        let free = self.sphinx.decode(PHONES, samples)?;
        let free = free.whole.unwrap_or(free.so_far);
        let sounding = sounding_frames(samples) as f32;
        let heard = |text: String, score: i32, least: f32| {
            let better = score.saturating_sub(free.score) as f32 / sounding;
            let confidence = (0.5 + (better - least) / (4.0 * REJECTION_MARGIN)).min(1.0);
            (better >= least).then_some(Heard { text, confidence })
        };
        let is_begun = whole.as_ref().is_none_or(|whole| whole.text != so_far.text);
        let whole = whole.and_then(|path| {
            let phrase = phrases.iter().find(|phrase| normalise(phrase) == path.text)?;
            heard(phrase.clone(), path.score, REJECTION_MARGIN)
        });
        let so_far = if is_begun { heard(so_far.text, so_far.score, BEGINNING_MARGIN) } else { whole.clone() };
        Some(Hypothesis { whole, so_far })
    }

    /// Without a grammar: the general language model, loaded when it is first needed.
    fn dictate(&mut self, samples: &[i16]) -> Option<Hypothesis> {
        if !self.has_words {
            self.has_words = self.sphinx.set_language_model(WORDS, &format!("{}/en-us.lm.bin", self.model));
        }
        let ffi::Decoded { so_far, whole } = self.sphinx.decode(WORDS, samples)?;
        let text = Some(whole.unwrap_or(so_far).text).filter(|text| !text.is_empty())?;
        let heard = Some(Heard { text, confidence: 0.5 });
        Some(Hypothesis { whole: heard.clone(), so_far: heard })
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        for search in [GRAMMAR, PHONES, WORDS] {
            self.sphinx.unset(search);
        }
    }
}

/// With a little noise, the same for the same samples: in digital silence, which no telephone has but synthetic voices and
/// suppressed silence do, the features that the model was trained on come apart.
fn dithered(mut samples: Vec<i16>) -> Vec<i16> {
    let mut state = 0x9e37_79b9_u32;
    for sample in &mut samples {
        // Marsaglia's xorshift.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let noise = (state >> 16) as i16 % (DITHER + 1);
        *sample = sample.saturating_add(noise);
    }
    samples
}

/// How many 10 ms frames are not silence: the pauses around an utterance fit every path and would water the score down.
fn sounding_frames(samples: &[i16]) -> usize {
    let sounds =
        |frame: &&[i16]| frame.iter().map(|s| i32::from(*s).abs()).sum::<i32>() > SOUNDING * frame.len() as i32;
    samples.chunks(160).filter(sounds).count().max(1)
}

/// Lower case, letters and apostrophes only: how the dictionary spells.
pub(crate) fn normalise(phrase: &str) -> String {
    let plain: String =
        phrase.chars().map(|c| if c.is_alphanumeric() || c == '\'' { c.to_ascii_lowercase() } else { ' ' }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn jsgf(phrases: &[String]) -> String {
    let mut characters = 0;
    let fits = |phrase: &String| {
        characters += phrase.len();
        characters <= PHRASES_CHARACTERS_MAX
    };
    let normalised = phrases.iter().take(PHRASES_MAX).map(|phrase| normalise(phrase));
    let alternatives: Vec<String> = normalised.take_while(fits).filter(|phrase| !phrase.is_empty()).collect();
    if alternatives.len() < phrases.len() {
        tracing::warn!(phrases = phrases.len(), listened_for = alternatives.len(), "too many phrases are expected");
    }
    format!("#JSGF V1.0;\ngrammar step;\npublic <said> = {};\n", alternatives.join(" | "))
}

#[cfg(test)]
mod tests;
