//! What callers say: sentences in voices of espeak-ng (made of formants) and flite (made of recordings), at several rates.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use bellhop_adapters::text_to_speech::flite::Flite;
use bellhop_dialogue::ports::{SpeechRequest, Synthesizer};
use bellhop_media::resample;

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
    pub(crate) samples: Vec<i16>,
}

/// The sentences.
pub(crate) fn phrases() -> Vec<&'static str> {
    PHRASES.lines().collect()
}

/// All of them, at so many samples per second.
pub(crate) fn all(sample_rate: u32) -> Result<Vec<Utterance>> {
    let flite = Flite::open()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let said = |(n, words): (usize, &&str)| {
        // Each ten is said in another order of voices.
        let (engine, (samples, from)) = match VOICES[(n + n / VOICES.len()) % VOICES.len()] {
            Voice::Espeak(voice, rate) => ("espeak", espeak(words, voice, rate)?),
            Voice::Flite(voice) => {
                let request = SpeechRequest::plain(*words, sample_rate);
                let speech = runtime.block_on(flite.voice(voice)?.synthesize(request))?;
                ("flite", (speech.samples.to_vec(), speech.sample_rate))
            }
        };
        let samples = resample::clip(trimmed(&samples), from, sample_rate);
        Ok(Utterance { words: (*words).to_owned(), engine, samples })
    };
    phrases().iter().enumerate().map(said).collect()
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
    let wav = child.wait_with_output()?.stdout;
    let Some(data) = wav.windows(4).position(|window| window == b"data") else { bail!("espeak-ng gave no audio") };
    let from = u32::from_le_bytes(wav[24..28].try_into()?);
    let samples: Vec<i16> =
        wav[data + 8..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    Ok((samples, from))
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
