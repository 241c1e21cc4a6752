//! A text whose parts become audio one after the other: what is asked for, what is there, what is queued.
//!
//! ```text
//! Splitting -split-> Between -next_part-> Making -made-> Between
//!                       ^-----put_back------'
//! ```
//! Invariant: samples are queued in the order of the text, each once, whatever rate the line changes to in between and however
//! often a part is asked for.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bellhop_dialogue::ports::{Speech, SpeechRequest};
use bellhop_dialogue::ssml::Ssml;
use bellhop_media::codec::Codec;
use bellhop_media::resample;

use super::{Job, Work};
use crate::line_audio;

/// The first clip of a text has at least so much audio.
const FIRST_CLIP_MIN: Duration = Duration::from_millis(120);
/// Each of the others has at least so much, but the last.
const CLIP_MIN: Duration = Duration::from_millis(500);

/// A text on its way.
pub(super) struct Text {
    /// How it is spoken; without words.
    request: SpeechRequest,
    stage: Stage,
    /// Parts that are not asked for, in order.
    rest: VecDeque<String>,
    /// Characters of the parts that were asked for, and of all.
    asked_for: usize,
    all: usize,
    /// What is there and not queued, at this rate.
    samples: Vec<i16>,
    rate: u32,
    /// Whether any of it was handed over before all of it was made.
    begun: bool,
    /// Who spoke last.
    service: Option<&'static str>,
}

#[derive(Debug)]
enum Stage {
    /// It is being split into parts.
    Splitting(Work),
    /// No part of it is being made. If the next one was tried before, what came of that.
    Between(Tried),
    /// A part is being made. Of its audio, an earlier try has handed over so many samples that this one repeats.
    Making { work: Work, part: String, repeated: usize, so_far: Tried },
}

/// What is known of a part that is not made yet.
#[derive(Debug, Clone, Copy, Default)]
struct Tried {
    /// Samples of it, at the rate of the line, that were handed over.
    taken: usize,
    /// Since when it is late.
    late_since: Option<Instant>,
}

/// It never shows words.
impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Text({} of {} characters)", self.asked_for, self.all)
    }
}

/// What a part needs.
pub(super) enum Part {
    /// A synthesizer.
    Words(SpeechRequest),
    /// Nothing but time: samples at the rate of the line.
    Silence(Speech),
}

impl Text {
    /// The words of an order, and the rest of it: a text that is being split.
    pub(super) fn of(mut speech: SpeechRequest, splitting: Work) -> (String, Self) {
        let words = std::mem::take(&mut speech.text);
        let text = Self {
            request: speech,
            stage: Stage::Splitting(splitting),
            rest: VecDeque::new(),
            asked_for: 0,
            all: 0,
            samples: vec![],
            rate: 0,
            begun: false,
            service: None,
        };
        (words, text)
    }

    /// These are its parts.
    pub(super) fn split_into(&mut self, parts: Vec<String>) {
        self.all = parts.iter().map(|part| part.chars().count()).sum();
        self.rest = parts.into();
        self.stage = Stage::Between(Tried::default());
    }

    /// What is being done for it.
    pub(super) fn work(&self) -> Option<Work> {
        match &self.stage {
            Stage::Splitting(work) | Stage::Making { work, .. } => Some(*work),
            Stage::Between(_) => None,
        }
    }

    /// Whether this job splits it.
    pub(super) fn is_split_by(&self, job: Job) -> bool {
        matches!(&self.stage, Stage::Splitting(work) if work.job == job)
    }

    /// The part that is asked for next, for a line of this codec, if there is one and none is being made.
    pub(super) fn next_part(&mut self, line: Codec, work: impl FnOnce() -> Work) -> Option<Part> {
        let line_rate = line.sample_rate();
        self.fit(line_rate);
        let Stage::Between(so_far) = self.stage else { return None };
        let part = self.rest.pop_front()?;
        self.asked_for += part.chars().count();
        let ssml = Ssml::read(&part);
        if !ssml.says_something() {
            let samples = ssml.pauses().as_millis() as usize * line_rate as usize / 1000;
            return Some(Part::Silence(Speech::new(vec![0; samples], line_rate)));
        }
        let companding = line_audio::companding(line);
        let request = SpeechRequest { text: part.clone(), line_rate, companding, ..self.request.clone() };
        self.stage = Stage::Making { work: work(), part, repeated: so_far.taken, so_far };
        Some(Part::Words(request))
    }

    /// The part that was asked for last was not made: it is asked for once more. Returns since when it is late.
    pub(super) fn put_back(&mut self, now: Instant) -> Option<Instant> {
        let stage = std::mem::replace(&mut self.stage, Stage::Between(Tried::default()));
        let Stage::Making { part, so_far, .. } = stage else {
            self.stage = stage;
            return None;
        };
        self.asked_for -= part.chars().count();
        self.rest.push_front(part);
        let late_since = so_far.late_since.unwrap_or(now);
        self.stage = Stage::Between(Tried { late_since: Some(late_since), ..so_far });
        Some(late_since)
    }

    /// Characters of all of it.
    pub(super) fn characters(&self) -> usize {
        self.all
    }

    /// Whether all parts were asked for.
    pub(super) fn is_asked_for(&self) -> bool {
        self.rest.is_empty() && !matches!(self.stage, Stage::Splitting(_))
    }

    /// Whether all of it is there.
    pub(super) fn is_made(&self) -> bool {
        self.rest.is_empty() && matches!(self.stage, Stage::Between(_))
    }

    /// The share of it that was asked for, 0 to 1.
    pub(super) fn share_asked_for(&self) -> f32 {
        self.asked_for as f32 / self.all.max(1) as f32
    }

    /// Audio of the part that is being made; `false` if it has to be fitted to the line first, which waits for the whole
    /// part.
    pub(super) fn take(&mut self, samples: &[i16], rate: u32) -> bool {
        let Stage::Making { repeated, so_far, .. } = &mut self.stage else { return false };
        let fits = rate == self.rate;
        if fits {
            let again = (*repeated).min(samples.len());
            *repeated -= again;
            self.samples.extend_from_slice(&samples[again..]);
            so_far.taken += samples.len() - again;
        }
        fits
    }

    /// The part that was asked for last is whole. Returns whether somebody else spoke it than the one before.
    pub(super) fn made(&mut self, speech: &Speech) -> bool {
        let stage = std::mem::replace(&mut self.stage, Stage::Between(Tried::default()));
        let taken = if let Stage::Making { so_far, .. } = stage { so_far.taken } else { 0 };
        // What was taken is counted in samples of the line, and another service may speak at another rate.
        let taken = taken * speech.sample_rate as usize / self.rate.max(1) as usize;
        self.begun |= taken > 0 || !self.is_asked_for();
        if self.begun {
            let rest = line_audio::linear_from(&speech.samples, taken);
            self.samples.extend(resample::clip(&rest, speech.sample_rate, self.rate));
        }
        self.service.replace(speech.origin.service) != Some(speech.origin.service)
    }

    /// Whether the speech that was made last is all of it and none of it was handed over before.
    pub(super) fn is_whole_speech(&self) -> bool {
        !self.begun
    }

    /// The line has this rate now.
    pub(super) fn fit(&mut self, line_rate: u32) {
        if self.rate != line_rate {
            self.samples = resample::clip(&self.samples, self.rate, line_rate);
            let scaled = |samples: usize| samples * line_rate as usize / self.rate.max(1) as usize;
            match &mut self.stage {
                Stage::Splitting(_) => {}
                Stage::Between(so_far) => so_far.taken = scaled(so_far.taken),
                Stage::Making { repeated, so_far, .. } => {
                    (*repeated, so_far.taken) = (scaled(*repeated), scaled(so_far.taken));
                }
            }
            self.rate = line_rate;
        }
    }

    /// Whether so much is there that it is worth a clip.
    pub(super) fn is_ready(&self, queued_before: bool) -> bool {
        let enough = if queued_before { CLIP_MIN } else { FIRST_CLIP_MIN };
        let enough = enough.as_millis() as usize * self.rate as usize / 1000;
        // Between two parts all that is there may go.
        let between = matches!(self.stage, Stage::Between(_)) && !self.samples.is_empty();
        self.is_made() || between || self.samples.len() >= enough.max(1)
    }

    /// What is there and not queued; it is queued now.
    pub(super) fn take_samples(&mut self) -> Vec<i16> {
        std::mem::take(&mut self.samples)
    }

    /// How many samples [`Text::take_samples`] would give.
    pub(super) fn samples_there(&self) -> usize {
        self.samples.len()
    }
}

#[cfg(test)]
mod tests {
    use bellhop_media::g711::Law;

    use super::*;

    fn work(now: Instant) -> Work {
        Work::begun(Job(1), now)
    }

    fn text(parts: &[&str]) -> Text {
        let (_, mut text) = Text::of(SpeechRequest::plain("", 0), work(Instant::now()));
        text.split_into(parts.iter().map(|part| (*part).to_owned()).collect());
        text
    }

    fn ask(text: &mut Text, rate: u32) -> Option<Part> {
        let line = if rate == 8000 { Codec::G711(Law::Mu) } else { Codec::G722 };
        text.next_part(line, || work(Instant::now()))
    }

    #[test]
    fn a_part_that_is_asked_for_again_is_heard_once() {
        let (mut text, now) = (text(&["one", "two"]), Instant::now());
        assert!(matches!(ask(&mut text, 8000), Some(Part::Words(_))));
        assert!(text.take(&[1, 2, 3], 8000));
        assert_eq!(text.put_back(now), Some(now));
        assert!(!text.take(&[9], 8000), "nothing is made for it");
        assert!(matches!(ask(&mut text, 8000), Some(Part::Words(request)) if request.text == "one"));
        assert!(text.take(&[1, 2], 8000) && text.take(&[3, 4], 8000));
        assert_eq!(text.put_back(now + Duration::from_secs(1)), Some(now), "late since the first time");
        assert!(matches!(ask(&mut text, 8000), Some(Part::Words(_))));
        text.made(&Speech::new(vec![1, 2, 3, 4, 5], 8000));
        assert!(!text.is_whole_speech() && !text.is_made());
        assert_eq!(text.take_samples(), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn another_rate_of_whoever_takes_a_part_over_repeats_nothing() {
        let (mut text, now) = (text(&["one"]), Instant::now());
        ask(&mut text, 8000);
        assert!(text.take(&[0; 800], 8000));
        text.put_back(now);
        ask(&mut text, 8000);
        text.made(&Speech::new(vec![0; 3200], 16_000));
        assert_eq!(text.samples_there(), 1600, "a fifth of a second in all");
    }

    #[test]
    fn one_part_at_once_is_whole_and_is_made_of_one_speech() {
        let mut text = text(&["one"]);
        assert!(ask(&mut text, 8000).is_some() && ask(&mut text, 8000).is_none());
        assert!(text.is_asked_for() && !text.is_made());
        assert!(text.made(&Speech::new(vec![7; 160], 16_000)), "somebody spoke");
        assert!(text.is_whole_speech() && text.is_made() && text.take_samples().is_empty());
    }

    #[test]
    fn a_break_needs_nobody() {
        let mut text = text(&["<break time=\"1s\"/>", "word"]);
        let Some(Part::Silence(speech)) = ask(&mut text, 8000) else { panic!("silence") };
        assert_eq!((speech.samples.len(), text.work()), (8000, None));
    }

    #[test]
    fn what_is_there_follows_the_rate_of_the_line() {
        let mut text = text(&["one", "two"]);
        ask(&mut text, 8000);
        assert!(text.take(&[0; 800], 8000));
        assert!(!text.is_ready(false), "less than the first clip has");
        text.fit(16_000);
        assert!(!text.take(&[0; 800], 8000), "it is fitted when the part is whole");
        text.made(&Speech::new(vec![0; 1600], 8000));
        assert!(text.is_ready(true));
        assert_eq!(text.samples_there(), 3200);
    }
}
