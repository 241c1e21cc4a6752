//! flite: English, in this process, from the Debian package `libflite1`.
//!
//! The library is opened at start, so that a missing package is one clear sentence and not a loader's. It makes a text in
//! one go, which nothing can stop: so it is given pieces of [`PIECE_COST_MAX`], one after the other, and a caller who is
//! gone asks for no more of them. Invariant: flite is called by one thread, for it keeps global state, and for no longer
//! than a piece takes (some 50 ms on an idle core, at most 300).

#[allow(unsafe_code)] // the foreign functions, and nothing else
mod ffi;

use std::time::Duration;

use bellhop_call::line_audio;
use bellhop_dialogue::ports::{AudioSink, ModelOrVoice, Pending, ServiceFailure, Speech, SpeechRequest, Synthesizer};
use bellhop_dialogue::ssml::Ssml;
use bellhop_media::{lead, resample};
use serde_json::Value;

use super::NoSynthesizer;
use super::{EMBEDDED_BEGINS_WITHIN, EMBEDDED_WITHIN};
use crate::worker_pool::WorkerPool;

/// Pieces of texts that may wait, of each tenant.
pub(crate) const PIECES_WAITING_MAX: usize = 256;
/// The most that a piece costs: letters, as it were. What is spelt out costs more.
pub const PIECE_COST_MAX: usize = 160;
/// Letters that a figure or a sign is said with.
const SPELT_OUT: usize = 5;
/// A word that is longer is spelt out too.
const WORD_MAX: usize = 24;

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
        let pool = WorkerPool::start("flite", 1, PIECES_WAITING_MAX, ffi::Library::open)?;
        Ok(Self { pool })
    }

    /// The same library for another tenant: its load and that of others take turns.
    #[must_use]
    pub fn for_another_tenant(&self) -> Self {
        Self { pool: self.pool.lane() }
    }

    /// A voice by its short name.
    pub fn voice(&self, name: &str) -> Result<FliteVoice, NoSynthesizer> {
        let known = VOICES.into_iter().find(|voice| *voice == name);
        let voice =
            known.ok_or_else(|| NoSynthesizer(format!("flite has no voice `{name}`: {}", VOICES.join(", "))))?;
        Ok(FliteVoice { engine: self.clone(), voice })
    }
}

impl FliteVoice {
    /// Speaks piece by piece, at the line's rate.
    async fn speak(
        engine: Flite,
        voice: &'static str,
        request: SpeechRequest,
        audio: AudioSink,
    ) -> Result<Speech, ServiceFailure> {
        let (rate, ssml) = (request.line_rate, Ssml::read(&request.text));
        if !ssml.says_something() {
            return Ok(silence(ssml.pauses(), rate));
        }
        let mut samples = vec![];
        for piece in pieces(&ssml.spoken()) {
            let piece = piece.to_owned();
            let answer = engine.pool.submit(move |library, _| {
                let speech = library.speak(voice, &piece)?;
                Some(lead::moved_behind(
                    resample::clip(&line_audio::linear(&speech.samples), speech.sample_rate, rate),
                    rate,
                ))
            });
            let gave_none = || ServiceFailure::Unavailable { why: "flite gave no audio".into() };
            let limit = if samples.is_empty() { EMBEDDED_BEGINS_WITHIN } else { EMBEDDED_WITHIN };
            let made = tokio::time::timeout(limit, answer?).await.map_err(|_| ServiceFailure::Overloaded)?;
            let made = made.ok().flatten().ok_or_else(gave_none)?;
            audio(&made, rate);
            samples.extend(made);
        }
        Ok(Speech::new(samples, rate))
    }
}

/// So much silence, at least a moment.
fn silence(pause: Duration, rate: u32) -> Speech {
    let samples = pause.as_millis().max(20) as usize * rate as usize / 1000;
    Speech::new(vec![0; samples], rate)
}

/// A text in pieces that end where a sentence does, else a clause, else a word, else anywhere.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text.trim();
    std::iter::from_fn(move || {
        let end = end_of_piece(rest);
        let (piece, after) = rest.split_at(end);
        rest = after.trim_start();
        (!piece.is_empty()).then_some(piece)
    })
}

fn end_of_piece(text: &str) -> usize {
    let (mut cost, mut word, mut before) = (0, 0, ' ');
    // Where a word, a clause and a sentence end.
    let mut ends = [0; 3];
    for (at, c) in text.char_indices() {
        if c.is_whitespace() {
            word = 0;
            let end = if ".!?…".contains(before) { 3 } else { 1 + usize::from(",;:–—)".contains(before)) };
            ends[..end].fill(at);
        } else {
            word += 1;
        }
        cost += if c.is_alphabetic() && word <= WORD_MAX || c.is_whitespace() { 1 } else { SPELT_OUT };
        if cost > PIECE_COST_MAX {
            // The last word's end is good enough only if the better ones are near the beginning.
            let good = ends.into_iter().rev().find(|end| *end > at / 3);
            return good.or((ends[0] > 0).then_some(ends[0])).unwrap_or(at);
        }
        before = c;
    }
    text.len()
}

impl Synthesizer for FliteVoice {
    fn synthesize(&self, request: SpeechRequest) -> Pending<Result<Speech, ServiceFailure>> {
        self.stream(request, Box::new(|_, _| {}))
    }

    fn stream(&self, request: SpeechRequest, audio: AudioSink) -> Pending<Result<Speech, ServiceFailure>> {
        // A voice of another service is none of ours: the tenant's speaks.
        let wanted = request.parameters.get("voice").and_then(Value::as_str);
        let voice = VOICES.into_iter().find(|voice| Some(*voice) == wanted).unwrap_or(self.voice);
        let work = Self::speak(self.engine.clone(), voice, request, audio);
        // A piece takes a moment: what is late waits for others, the tenant's own or of the other tenants.
        Box::pin(
            async move { tokio::time::timeout(EMBEDDED_WITHIN, work).await.unwrap_or(Err(ServiceFailure::Overloaded)) },
        )
    }

    fn voices(&self) -> Pending<Result<Vec<ModelOrVoice>, ServiceFailure>> {
        let offer = |(name, gender): (&str, &str)| ModelOrVoice {
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

    fn spoken(text: &str) -> Result<Speech, ServiceFailure> {
        let engine = Flite::open().expect("libflite1 is installed: see README");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("runtime");
        runtime.block_on(engine.voice("slt").expect("known").synthesize(SpeechRequest::plain(text, 8000)))
    }

    #[test]
    fn every_voice_speaks() {
        let engine = Flite::open().expect("libflite1 is installed: see README");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("runtime");
        for voice in VOICES {
            let spoken =
                engine.voice(voice).expect("known").synthesize(SpeechRequest::plain("Hello <b>there</b>.", 8000));
            let speech = runtime.block_on(spoken).expect("audio");
            assert!(speech.sample_rate == 8000 && speech.samples.len() > 2000, "{voice}: {speech:?}");
        }
        assert!(engine.voice("nobody").is_err());
    }

    #[test]
    fn a_text_is_made_in_pieces_of_bounded_cost_that_end_where_people_pause() {
        let all = |text: &str| pieces(text).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(all(" Hello there. How are you? "), ["Hello there. How are you?"]);
        assert_eq!(all(" "), Vec::<String>::new());
        let sentence = "It was the best of times, it was the worst of times. ";
        assert!(all(&sentence.repeat(20)).iter().all(|piece| piece.ends_with("times.")));
        assert!(all(&"one two three, four five ".repeat(50)).iter().rev().skip(1).all(|piece| piece.ends_with(',')));
        for (text, most) in [
            ("word ".repeat(20_000), PIECE_COST_MAX),
            ("x".repeat(100_000), PIECE_COST_MAX / SPELT_OUT + WORD_MAX),
            ("1234567890 ".repeat(1000), PIECE_COST_MAX / 4),
            ("é\u{301}".repeat(1000), PIECE_COST_MAX),
        ] {
            let pieces = all(&text);
            assert!(pieces.iter().all(|piece| piece.chars().count() <= most), "{:?}", &pieces[..2]);
            let (joined, whole) = (pieces.concat(), text.replace(' ', ""));
            assert_eq!(joined.replace(' ', ""), whole);
        }
    }

    /// On real threads: what is asserted is the order in which things end, not their time.
    #[test]
    fn a_tenant_with_a_book_in_each_of_many_calls_keeps_nobody_waiting() {
        use futures_util::StreamExt;
        use futures_util::stream::FuturesUnordered;
        let engine = Flite::open().expect("libflite1 is installed: see README");
        let noisy = engine.voice("slt").expect("known");
        let quiet = engine.for_another_tenant().voice("rms").expect("known");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("runtime");
        runtime.block_on(async {
            let book = |n: usize| noisy.synthesize(SpeechRequest::plain(format!("{n} {}", "word ".repeat(50)), 8000));
            let mut books: FuturesUnordered<_> = (0..20).map(book).collect();
            let mut read = 0;
            for n in 0..10 {
                let mut asked = quiet.synthesize(SpeechRequest::plain(format!("caller {n}, hello"), 8000));
                let before = read;
                loop {
                    tokio::select! {
                        biased;
                        heard = &mut asked => break drop(heard.expect("speech")),
                        Some(book) = books.next() => read += usize::from(book.is_ok()),
                    }
                }
                assert!(read - before <= 2, "{} texts of another went before a quiet caller's", read - before);
            }
        });
    }

    /// It would rest for having been slow, and with it all calls of the tenant.
    #[tokio::test(start_paused = true)]
    async fn who_waits_for_others_is_told_of_their_number_and_not_of_a_slow_service() {
        let engine = Flite::open().expect("libflite1 is installed: see README");
        let voice = engine.voice("slt").expect("known");
        let (open, gate) = std::sync::mpsc::sync_channel::<()>(0);
        let busy = engine.pool.submit(move |_, _| gate.recv()).expect("room");
        let began = tokio::time::Instant::now();
        let waited = voice.synthesize(SpeechRequest::plain("hello", 8000)).await;
        assert_eq!(waited.map(|_| ()), Err(ServiceFailure::Overloaded));
        assert!(began.elapsed() < crate::fallback::SLOW, "{:?} of virtual time", began.elapsed());
        open.send(()).expect("the thread waits");
        busy.await.expect("done").expect("opened");
    }

    #[test]
    fn what_no_voice_can_say_is_silence_and_no_failure() {
        for text in
            ["", " ", "?!", "🙂🎉", "<break time='250ms'/>", "<speak></speak>", "<prosody rate='slow'>", "\u{0}\u{7}"]
        {
            let speech = spoken(text).unwrap_or_else(|failure| panic!("{text:?}: {failure}"));
            assert!(
                speech.samples.len() <= 2000 && line_audio::linear(&speech.samples).iter().all(|sample| *sample == 0),
                "{text:?}"
            );
        }
        for text in [
            "a\u{0}b",
            "Is 3 < 5? AT&T",
            "\u{1b}[31mred",
            "日本語 and 🙂",
            "%s%n%d",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        ] {
            assert!(spoken(text).is_ok_and(|speech| !speech.samples.is_empty()), "{text:?}");
        }
    }
}
