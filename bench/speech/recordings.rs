//! Human voices: recordings of Debian packages with their texts, read where the packages put them.
//!
//! Invariant: what is said is what was listened to when the texts were written down: a file with another hash is an error.
//! `recordings.tsv` has a line for each: source, file, SHA-256, words.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use bellhop_media::resample;
use sha2::{Digest, Sha256};

use crate::utterances::{Utterance, samples_of, wav};

const RECORDINGS: &str = include_str!("recordings.tsv");

/// Where recordings come from. Each source is one speaker.
struct Source {
    name: &'static str,
    package: &'static str,
    folder: &'static str,
    /// Samples per second of files without a header.
    sample_rate: u32,
}

const SPHINX: Source = Source {
    name: "",
    // BSD-2-Clause, Carnegie Mellon University and Alpha Cephei; the book is read for LibriVox, in the public domain.
    package: "pocketsphinx-testdata",
    folder: "/usr/share/pocketsphinx/test/data",
    sample_rate: 16_000,
};

const SOURCES: [Source; 7] = [
    // A man with playing cards; texts of cards.transcription.
    Source { name: "cards", ..SPHINX },
    // "go forward ten meters" and another; the texts are those of pocketsphinx's own tests.
    Source { name: "commands", ..SPHINX },
    // TIDIGITS: the name of the file is what is said in it.
    Source { name: "digits", ..SPHINX },
    // Sense and Sensibility; texts of the package's transcription, but "more amiable" where that has "more a amiable".
    Source { name: "book", ..SPHINX },
    // GPL-2, Jaroslav Kysela and others: a voice that tests loudspeakers. The names of the files are what is said.
    Source { name: "channels", package: "alsa-utils", folder: "/usr/share/sounds/alsa", sample_rate: 48_000 },
    // CC-BY-SA-3.0, Allison Smith, a professional speaker; texts of core-sounds-en.txt.
    PROMPTS,
    Source { name: BACK_CHANNEL, ..PROMPTS },
];

const PROMPTS: Source = Source {
    name: "prompts",
    package: "asterisk-core-sounds-en-wav",
    folder: "/usr/share/asterisk/sounds/en_US_f_Allison",
    sample_rate: 8000,
};

/// A sound by which people say that they listen: no sentence.
const BACK_CHANNEL: &str = "back-channel";

/// All sentences at 8 kHz, in the order in which tens of them are expected together.
pub(crate) fn sentences() -> Result<Vec<Utterance>> {
    lines().filter(|line| line.source != BACK_CHANNEL).map(|line| line.read()).collect()
}

/// What a human says while listening.
pub(crate) fn back_channels() -> Result<Vec<Utterance>> {
    lines().filter(|line| line.source == BACK_CHANNEL).map(|line| line.read()).collect()
}

/// The words of all sentences.
pub(crate) fn texts() -> Vec<&'static str> {
    lines().filter(|line| line.source != BACK_CHANNEL).map(|line| line.words).collect()
}

/// In hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Recording {
    source: &'static str,
    file: &'static str,
    sha256: &'static str,
    words: &'static str,
}

fn lines() -> impl Iterator<Item = Recording> {
    RECORDINGS.lines().filter_map(|line| {
        let mut fields = line.split('\t');
        let mut next = || fields.next();
        Some(Recording { source: next()?, file: next()?, sha256: next()?, words: next()? })
    })
}

impl Recording {
    fn read(&self) -> Result<Utterance> {
        let Some(source) = SOURCES.iter().find(|source| source.name == self.source) else {
            bail!("recordings.tsv: there is no source {}", self.source);
        };
        let path = Path::new(source.folder).join(self.file);
        let bytes = std::fs::read(&path)
            .with_context(|| format!("{} of the Debian package {} is needed", path.display(), source.package))?;
        let found = sha256(&bytes);
        ensure!(
            found == self.sha256,
            "{} has the SHA-256 {found}, not {}: the package {} has another recording now; listen to it, and write its \
             words and hash into bench/speech/recordings.tsv",
            path.display(),
            self.sha256,
            source.package
        );
        let (samples, from) = match bytes.starts_with(b"RIFF") {
            true => wav(&bytes).with_context(|| format!("{} is no mono WAV of 16 bits", path.display()))?,
            false => (samples_of(&bytes), source.sample_rate),
        };
        let samples = resample::clip(&samples, from, 8000);
        Ok(Utterance { words: self.words.to_owned(), engine: "human", speaker: source.name, samples, pause: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_names_a_source_a_hash_and_words() {
        assert_eq!(RECORDINGS.lines().count(), lines().count());
        for line in lines() {
            assert!(SOURCES.iter().any(|source| source.name == line.source), "{}", line.source);
            assert!(line.sha256.len() == 64 && !line.words.is_empty(), "{}", line.file);
        }
        assert_eq!(texts().len() % 10, 0);
    }
}
