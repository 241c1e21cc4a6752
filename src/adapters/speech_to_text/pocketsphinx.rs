//! pocketsphinx: English with a grammar, in this process, from the Debian packages `libpocketsphinx3` and
//! `pocketsphinx-en-us`.
//!
//! It always finds something, so a hypothesis is believed only if it is a whole sentence of the grammar *and* explains the
//! sound about as well as a free sequence of phones does. Invariant: decoders live on a bounded pool of threads, never one
//! per call; an utterance is decoded once, when it has ended; its length and its grammar are bounded, and when its call
//! ends it is not decoded. What is being decoded cannot be stopped (the model's normalisation looks at the whole utterance
//! first, and the library then searches all of it in one call), so that long ones leave a decoder for short ones.

#[allow(unsafe_code)] // the foreign functions, and nothing else
mod ffi;

use std::collections::VecDeque;
use std::ffi::CStr;
use std::sync::Arc;
use std::time::Duration;

use bellhop_dialogue::ports::{
    Pending, Recognizer, RecognizerConfig, RecognizerEvent, RecognizerSink, RecognizerStream, ServiceFailure,
};

use tokio::task::JoinSet;
use tracing::Instrument;

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
/// Audio before the detected beginning that belongs to the utterance: 400 ms.
const PRE_ROLL: usize = 16_000 * 2 / 5;
/// An utterance with fewer sounding frames of 10 ms is a click, not worth a decoder.
const SOUNDING_MIN: usize = 10;
/// How much better, per sounding frame of 10 ms, a sentence's path must score than the free path of phones, whose words
/// cost it a language model's price. Measured on flite's voices over the
/// line: sentences of the grammar 16 to 45, nine of ten others below −5, one 11.
pub(crate) const REJECTION_MARGIN: f32 = 12.0;
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

    /// Decodes one utterance: the phrase as it was given, or `None` if it was none of them.
    pub fn recognise(
        &self,
        samples: Vec<i16>,
        phrases: Option<Arc<[String]>>,
    ) -> Result<tokio::sync::oneshot::Receiver<Option<Hypothesis>>, ServiceFailure> {
        let long = samples.len() > LONG;
        let work =
            move |decoder: &mut Decoder, asker: &Asker<'_>| decoder.recognise(&dithered(samples), phrases, asker);
        if long { self.pool.submit_long(work) } else { self.pool.submit(work) }
    }
}

/// What was understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Hypothesis {
    /// The words.
    pub text: String,
    /// 0 to 1: how close the sentence came to the free path of phones.
    pub confidence: f32,
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
        let (text, score) = self.sphinx.decode(GRAMMAR, samples)?;
        if asker.is_gone() {
            return None;
        }
        let (_, free) = self.sphinx.decode(PHONES, samples)?;
        let better = score.saturating_sub(free) as f32 / sounding_frames(samples) as f32;
        let phrase = phrases.iter().find(|phrase| normalise(phrase) == text)?;
        if better < REJECTION_MARGIN {
            return None;
        }
        let confidence = (0.5 + (better - REJECTION_MARGIN) / (4.0 * REJECTION_MARGIN)).min(1.0);
        Some(Hypothesis { text: phrase.clone(), confidence })
    }

    /// Without a grammar: the general language model, loaded when it is first needed.
    fn dictate(&mut self, samples: &[i16]) -> Option<Hypothesis> {
        if !self.has_words {
            self.has_words = self.sphinx.set_language_model(WORDS, &format!("{}/en-us.lm.bin", self.model));
        }
        let (text, _) = self.sphinx.decode(WORDS, samples)?;
        Some(Hypothesis { text, confidence: 0.5 }).filter(|hypothesis| !hypothesis.text.is_empty())
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

impl Recognizer for Pocketsphinx {
    fn sample_rate(&self, _: u32) -> u32 {
        16_000
    }

    fn open(
        &self,
        _: RecognizerConfig,
        sink: RecognizerSink,
    ) -> Pending<Result<Box<dyn RecognizerStream>, ServiceFailure>> {
        let stream: Box<dyn RecognizerStream> = Box::new(Stream {
            engine: self.clone(),
            sink: Arc::new(sink),
            phrases: None,
            recent: VecDeque::with_capacity(PRE_ROLL),
            utterance: None,
            decoding: JoinSet::new(),
        });
        Box::pin(async { Ok(stream) })
    }
}

struct Stream {
    engine: Pocketsphinx,
    sink: Arc<RecognizerSink>,
    phrases: Option<Arc<[String]>>,
    recent: VecDeque<i16>,
    utterance: Option<Vec<i16>>,
    /// Ends with the stream, and with it what waits for a decoder.
    decoding: JoinSet<()>,
}

impl RecognizerStream for Stream {
    fn hear(&mut self, samples: &[i16]) {
        if let Some(utterance) = &mut self.utterance {
            let room = UTTERANCE_MAX.saturating_sub(utterance.len());
            utterance.extend(&samples[..room.min(samples.len())]);
            return;
        }
        let overflow = (self.recent.len() + samples.len()).saturating_sub(PRE_ROLL).min(self.recent.len());
        self.recent.drain(..overflow);
        self.recent.extend(samples);
    }

    fn utterance_began(&mut self) {
        self.utterance = Some(self.recent.drain(..).collect());
    }

    fn utterance_ended(&mut self) {
        let Some(samples) = self.utterance.take().filter(|samples| sounding_frames(samples) >= SOUNDING_MIN) else {
            return (self.sink)(RecognizerEvent::NotUnderstood);
        };
        while self.decoding.try_join_next().is_some() {}
        if self.decoding.len() >= QUEUE_OF_CALL {
            return (self.sink)(RecognizerEvent::NotUnderstood);
        }
        let sink = Arc::clone(&self.sink);
        match self.engine.recognise(samples, self.phrases.clone()) {
            Err(_) => sink(RecognizerEvent::NotUnderstood),
            Ok(answer) => drop(
                self.decoding.spawn(
                    async move {
                        sink(match tokio::time::timeout(UNDERSTOOD_WITHIN, answer).await {
                            Ok(Ok(Some(Hypothesis { text, confidence }))) => {
                                RecognizerEvent::FinalResult { text, confidence, result: None }
                            }
                            Ok(Ok(None) | Err(_)) | Err(_) => RecognizerEvent::NotUnderstood,
                        });
                    }
                    .in_current_span(),
                ),
            ),
        }
    }

    fn expect_phrases(&mut self, phrases: Option<Arc<[String]>>) {
        self.phrases = phrases;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text_to_speech::flite::Flite;
    use bellhop_dialogue::ports::{SpeechRequest, Synthesizer};

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
        let narrow = narrow(&speech.samples, speech.sample_rate);
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
            answer.blocking_recv().expect("decoded")
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
}
