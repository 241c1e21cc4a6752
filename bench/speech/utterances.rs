//! What callers say: sentences in voices of espeak-ng (made of formants) and flite (made of recordings), at several rates.
//!
//! Invariant: the same arguments give the same samples.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use bellhop_adapters::text_to_speech::flite::Flite;
use bellhop_dialogue::ports::{Samples, SpeechRequest, Synthesizer};
use bellhop_media::resample;
use tokio::runtime::Runtime;

use crate::level;

/// The sentences: one a line.
const PHRASES: &str = include_str!("phrases.txt");
/// The voices in turn.
const VOICES: [Voice; 10] = [
    Voice::Espeak("en-us", 150),
    Voice::Flite("rms"),
    Voice::Espeak("en-us+f2", 150),
    Voice::Flite("slt"),
    Voice::Espeak("en-us+m3", 165),
    Voice::Espeak("en-gb", 150),
    Voice::Flite("awb"),
    Voice::Espeak("en-us+m7", 140),
    Voice::Flite("kal"),
    Voice::Espeak("en-gb+f4", 180),
];

/// A voice, and of espeak's the words a minute.
#[derive(Clone, Copy)]
enum Voice {
    Espeak(&'static str, u32),
    Flite(&'static str),
}

/// One utterance.
#[derive(Clone)]
pub(crate) struct Utterance {
    pub(crate) words: String,
    /// What made the voice.
    pub(crate) engine: &'static str,
    /// Whose voice it is, in a word.
    pub(crate) speaker: &'static str,
    pub(crate) samples: Vec<i16>,
    /// The caller's pause in mid-sentence.
    pub(crate) pause: Option<Pause>,
}

/// A pause in an utterance.
#[derive(Clone)]
pub(crate) struct Pause {
    /// The sample that it begins at.
    pub(crate) at: usize,
    pub(crate) milliseconds: u32,
}

/// How long pauses are, in turn.
pub(crate) const PAUSES: [u32; 3] = [200, 400, 600];

/// The sentences.
pub(crate) fn phrases() -> Vec<&'static str> {
    PHRASES.lines().collect()
}

/// All of them, at so many samples per second.
pub(crate) fn all(sample_rate: u32) -> Result<Vec<Utterance>> {
    let studio = Studio::open(sample_rate)?;
    phrases().iter().enumerate().map(|(n, words)| studio.say(n, words)).collect()
}

/// The first of them at 8 kHz, each in two parts with a pause between.
pub(crate) fn paused(count: usize) -> Result<Vec<Utterance>> {
    let studio = Studio::open(8000)?;
    let said = |(n, phrase): (usize, &&str)| {
        let words: Vec<&str> = phrase.split(' ').collect();
        let (first, second) = words.split_at(words.len().div_ceil(2));
        let (first, second) = (studio.say(n, &first.join(" "))?, studio.say(n, &second.join(" "))?);
        let pause = Pause { at: first.samples.len(), milliseconds: PAUSES[n % PAUSES.len()] };
        let silence = vec![0; pause.milliseconds as usize * 8];
        let samples = [first.samples, silence, second.samples].concat();
        Ok(Utterance { words: (*phrase).to_owned(), samples, pause: Some(pause), ..second })
    };
    phrases().iter().take(count).enumerate().map(said).collect()
}

/// "mhm", "uh-huh" and "aha" in all voices.
pub(crate) fn back_channels() -> Result<Vec<Utterance>> {
    let studio = Studio::open(8000)?;
    let said = |n: usize| match VOICES[n % VOICES.len()] {
        // As phonemes: it would spell the first, as flite does "hm hm" and "mm hmm".
        Voice::Espeak(..) => studio.say_by(n, ["[[mh'm]]", "[[V_h'V]]", "[[a:h'A:]]"][n % 3]),
        Voice::Flite(_) => studio.say_by(n, ["um hum", "uh huh", "aha"][n % 3]),
    };
    (0..VOICES.len() * 2).map(said).collect()
}

impl Utterance {
    /// A recording with a pause at its longest quiet between two words; `None` if it has none.
    pub(crate) fn paused(&self, milliseconds: u32) -> Option<Self> {
        let gap = level::gap(&self.samples, 8000)?;
        // What is heard in the pause is what is heard in the gap.
        let quiet = self.samples[gap.clone()].iter().copied().cycle().take(milliseconds as usize * 8);
        let mut samples = self.samples[..gap.start].to_vec();
        samples.extend(quiet);
        samples.extend(&self.samples[gap.start..]);
        Some(Self { samples, pause: Some(Pause { at: gap.start, milliseconds }), ..self.clone() })
    }
}

/// The voices, at a rate.
struct Studio {
    flite: Flite,
    runtime: Runtime,
    sample_rate: u32,
}

impl Studio {
    fn open(sample_rate: u32) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { flite: Flite::open()?, runtime, sample_rate })
    }

    /// The nth sentence; each ten is said in another order of voices.
    fn say(&self, n: usize, words: &str) -> Result<Utterance> {
        self.say_by(n + n / VOICES.len(), words)
    }

    /// Words in the nth voice.
    fn say_by(&self, n: usize, words: &str) -> Result<Utterance> {
        let (engine, speaker, (samples, from)) = match VOICES[n % VOICES.len()] {
            Voice::Espeak(voice, rate) => ("espeak", voice, espeak(words, voice, rate)?),
            Voice::Flite(voice) => {
                let request = SpeechRequest::plain(words, self.sample_rate);
                let speech = self.runtime.block_on(self.flite.voice(voice)?.synthesize(request))?;
                let Samples::Linear(samples) = speech.samples else { bail!("flite codes nothing") };
                ("flite", voice, (samples.to_vec(), speech.sample_rate))
            }
        };
        let samples = resample::clip(trimmed(&samples), from, self.sample_rate);
        Ok(Utterance { words: words.to_owned(), engine, speaker, samples, pause: None })
    }
}

/// Without the silence around it: where it ends is what a caller's wait counts from.
fn trimmed(samples: &[i16]) -> &[i16] {
    let loud = |sample: &i16| sample.unsigned_abs() > 200;
    let first = samples.iter().position(loud).unwrap_or(0);
    let last = samples.iter().rposition(loud).unwrap_or(0);
    &samples[first..samples.len().min(last + 1)]
}

fn espeak(words: &str, voice: &str, rate: u32) -> Result<(Vec<i16>, u32)> {
    let mut child = Command::new("espeak-ng")
        .args(["-v", voice, "-s", &rate.to_string(), "--stdin", "--stdout"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("espeak-ng is needed")?;
    child.stdin.take().context("piped")?.write_all(words.as_bytes())?;
    let audio = child.wait_with_output()?.stdout;
    wav(&audio).context("espeak-ng gave no audio")
}

/// The samples of a mono WAV of 16 bits, and how many there are a second.
pub(crate) fn wav(bytes: &[u8]) -> Option<(Vec<i16>, u32)> {
    let field = |from: usize| bytes.get(from..from + 2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let (channels, bits) = (field(22)?, field(34)?);
    let rate = u32::from_le_bytes(bytes.get(24..28)?.try_into().ok()?);
    let data = bytes.windows(4).position(|window| window == b"data")? + 8;
    (channels == 1 && bits == 16).then(|| (samples_of(&bytes[data.min(bytes.len())..]), rate))
}

/// Samples of 16 bits, the low byte first.
pub(crate) fn samples_of(bytes: &[u8]) -> Vec<i16> {
    bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

/// Words that are wrong, missing or too many (Levenshtein's distance), and how many there should have been.
pub(crate) fn word_errors(said: &str, heard: &str) -> (usize, usize) {
    let words = |text: &str| -> Vec<String> {
        let letters = |c: char| if c.is_alphanumeric() || c == '\'' { c.to_ascii_lowercase() } else { ' ' };
        text.chars().map(letters).collect::<String>().split_whitespace().map(str::to_owned).collect()
    };
    let (said, heard) = (words(said), words(heard));
    let mut row: Vec<usize> = (0..=heard.len()).collect();
    for (n, word) in said.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = n + 1;
        for (m, other) in heard.iter().enumerate() {
            let replaced = diagonal + usize::from(word != other);
            diagonal = row[m + 1];
            row[m + 1] = replaced.min(row[m] + 1).min(diagonal + 1);
        }
    }
    (row[heard.len()], said.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_in_words() {
        assert_eq!(word_errors("I lost my card", "i lost my card."), (0, 4));
        assert_eq!(word_errors("I lost my card", ""), (4, 4));
        assert_eq!(word_errors("I lost my card", "we lost card now"), (3, 4));
    }
}
