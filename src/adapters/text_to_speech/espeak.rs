//! espeak-ng: many languages, as a subprocess (it is GPL and never linked), from the Debian package `espeak-ng`.
//!
//! Invariant: the text goes in by standard input, never by the command line, where every user of the machine could read
//! it, and as well-formed SSML; at most [`PROCESSES_AT_ONCE`] processes run, tenants take turns by the time that theirs take, and a
//! process that exceeds its deadline, or whose caller is gone, is killed.

use std::process::Stdio;

use bellhop_dialogue::ports::{Fields, ModelOrVoice, Pending, ServiceFailure, Speech, SpeechRequest, Synthesizer};
use bellhop_dialogue::ssml::Ssml;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::NoSynthesizer;
use super::{EMBEDDED_BEGINS_WITHIN, EMBEDDED_WITHIN};
use crate::turns::Turns;

/// Processes at once.
pub const PROCESSES_AT_ONCE: usize = 2;
/// Texts that may wait, of each tenant.
pub(crate) const TEXTS_WAITING_MAX: usize = 64;
/// The most audio taken from one text: two minutes.
const BYTES_MAX: u64 = 22_050 * 2 * 120;

/// A voice of espeak-ng.
pub struct Espeak {
    voice: String,
    turns: Turns,
}

impl Espeak {
    /// The turns of all voices: each has a lane of its own.
    pub fn turns() -> Turns {
        Turns::new(PROCESSES_AT_ONCE, TEXTS_WAITING_MAX)
    }

    /// Checks that the program is there and knows the voice.
    pub fn open(voice: &str, turns: Turns) -> Result<Self, NoSynthesizer> {
        let good_name = !voice.is_empty() && voice.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_+".contains(&b));
        if !good_name {
            return Err(NoSynthesizer(format!("`{voice}` is not a voice of espeak-ng: see espeak-ng --voices")));
        }
        let tried = std::process::Command::new("espeak-ng").args(["-q", "-v", voice, "--", "a"]).output();
        match tried {
            Err(error) => Err(NoSynthesizer(format!(
                "text_to_speech kind `espeak` needs the program espeak-ng (apt-get install espeak-ng): {error}"
            ))),
            Ok(output) if !output.status.success() => {
                Err(NoSynthesizer(format!("espeak-ng has no voice `{voice}`: see espeak-ng --voices")))
            }
            Ok(_) => Ok(Self { voice: voice.to_owned(), turns }),
        }
    }
}

impl Synthesizer for Espeak {
    fn synthesize(&self, request: SpeechRequest) -> Pending<Result<Speech, ServiceFailure>> {
        let (voice, turns) = (self.voice.clone(), self.turns.clone());
        // With signs escaped and tags balanced: the program would take "3 < 5" for markup and lose what follows.
        let (text, manner) = (Ssml::read(&request.text).document(), manner(&request.parameters));
        Box::pin(async move {
            let work = async {
                let turn = tokio::time::timeout(EMBEDDED_BEGINS_WITHIN, turns.take()).await;
                let _turn = turn.unwrap_or(Err(ServiceFailure::Overloaded))?;
                speak(&voice, &manner, &text).await
            };
            tokio::time::timeout(EMBEDDED_WITHIN, work).await.unwrap_or(Err(ServiceFailure::Overdue))
        })
    }

    fn voices(&self) -> Pending<Result<Vec<ModelOrVoice>, ServiceFailure>> {
        Box::pin(async {
            let listed = Command::new("espeak-ng").arg("--voices").kill_on_drop(true).output();
            let listed = tokio::time::timeout(EMBEDDED_WITHIN, listed).await.map_err(|_| ServiceFailure::Overdue)?;
            let failed = |_| ServiceFailure::Unavailable { why: "espeak-ng cannot be started".to_owned() };
            Ok(read_voices(&String::from_utf8_lossy(&listed.map_err(failed)?.stdout)))
        })
    }
}

/// The table of `--voices`: priority, language, age and gender, name, and more. A voice is configured by its language.
fn read_voices(table: &str) -> Vec<ModelOrVoice> {
    let gender = |column: &str| match column.rsplit('/').next() {
        Some("M") => Some("male".to_owned()),
        Some("F") => Some("female".to_owned()),
        _ => None,
    };
    let offer = |line: &str| {
        let mut columns = line.split_whitespace().skip(1);
        let language = columns.next()?.to_owned();
        Some(ModelOrVoice { name: language.clone(), gender: gender(columns.next()?), language, band: None })
    };
    table.lines().skip(1).filter_map(offer).collect()
}

/// `rate_percentage` and `pitch_percentage`, −100 to 100, as the program's words a minute and pitch.
fn manner(parameters: &Fields) -> [String; 4] {
    let percentage = |name: &str| {
        let value = parameters.get(name);
        let number = value.and_then(|value| value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()));
        1.0 + number.unwrap_or(0.0).clamp(-100.0, 100.0) / 100.0
    };
    let words = (175.0 * percentage("rate_percentage")).clamp(80.0, 450.0);
    let pitch = (50.0 * percentage("pitch_percentage")).clamp(0.0, 99.0);
    ["-s".to_owned(), words.round().to_string(), "-p".to_owned(), pitch.round().to_string()]
}

async fn speak(voice: &str, manner: &[String], text: &str) -> Result<Speech, ServiceFailure> {
    let failed = |why: &str| ServiceFailure::Unavailable { why: why.to_owned() };
    let mut child = Command::new("espeak-ng")
        .args(["-v", voice, "--stdin", "--stdout", "-m"])
        .args(manner)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| ServiceFailure::Unavailable { why: format!("espeak-ng cannot be started: {error}") })?;
    let mut stdin = child.stdin.take().ok_or_else(|| failed("espeak-ng has no input"))?;
    let stdout = child.stdout.take().ok_or_else(|| failed("espeak-ng has no output"))?;
    let text = text.as_bytes().to_vec();
    let feed = async move {
        let _ = stdin.write_all(&text).await;
        drop(stdin);
    };
    let mut wav = Vec::new();
    let mut bounded = stdout.take(BYTES_MAX);
    let (_, read) = tokio::join!(feed, bounded.read_to_end(&mut wav));
    read.map_err(|_| failed("espeak-ng broke off"))?;
    read_wav(&wav).ok_or_else(|| failed("espeak-ng gave no audio"))
}

/// The stream has a WAV header whose lengths are unknown: samples go on to the end.
fn read_wav(bytes: &[u8]) -> Option<Speech> {
    let rate = bytes.get(24..28)?;
    let sample_rate = u32::from_le_bytes(rate.try_into().ok()?);
    let data = bytes.windows(4).position(|window| window == b"data")? + 8;
    let samples: Vec<i16> =
        bytes.get(data..)?.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    Some(Speech::new(samples, sample_rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_language_is_spoken() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let voice = Espeak::open("de", Espeak::turns()).expect("espeak-ng is installed: see README");
        let speech = runtime.block_on(voice.synthesize(SpeechRequest::plain("Guten Tag", 8000))).expect("audio");
        assert!(speech.sample_rate >= 8000 && speech.samples.len() > speech.sample_rate as usize / 4, "{speech:?}");
    }

    #[test]
    fn rate_and_pitch_are_percentages() {
        let fields = |json: serde_json::Value| json.as_object().cloned().unwrap_or_default();
        let said = |json| manner(&fields(json)).join(" ");
        assert_eq!(said(serde_json::json!({})), "-s 175 -p 50");
        assert_eq!(said(serde_json::json!({"rate_percentage": "-20", "pitch_percentage": 50})), "-s 140 -p 75");
        assert_eq!(said(serde_json::json!({"rate_percentage": -400})), "-s 80 -p 50");
    }

    #[test]
    fn a_voice_that_is_none_is_told() {
        for voice in ["", "xx-nobody", "-f/etc/passwd", "a b"] {
            assert!(Espeak::open(voice, Espeak::turns()).is_err(), "{voice}");
        }
    }

    #[test]
    fn the_table_of_voices_is_read() {
        let table = "Pty Language       Age/Gender VoiceName          File\n 5  af              --/M      Afrikaans          gmw/af\n 2  en-gb           --/F      English_(GB)       gmw/en\n";
        let voices = read_voices(table);
        assert_eq!(
            voices[1],
            ModelOrVoice { name: "en-gb".into(), language: "en-gb".into(), gender: Some("female".into()), band: None }
        );
        assert_eq!((voices.len(), voices[0].gender.as_deref()), (2, Some("male")));
    }
}
