//! A text whose parts become audio one after the other: what is asked for, what is there, what is queued.
//!
//! Invariant: samples are queued in the order of the text, each once, whatever rate the line changes to in between.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use actix::SpawnHandle;
use bellhop_dialogue::ports::{Speech, SpeechRequest};
use bellhop_dialogue::ssml::Ssml;
use bellhop_media::resample;

/// The first clip of a text has at least so much audio, and each of the others but the last.
const FIRST_CLIP_MIN: Duration = Duration::from_millis(120);
const CLIP_MIN: Duration = Duration::from_millis(500);

/// A text on its way.
pub(in crate::call) struct Text {
    /// How it is spoken; without words.
    request: SpeechRequest,
    /// `None` until it is cut.
    rest: Option<VecDeque<String>>,
    /// Characters of the parts that were asked for, and of all.
    asked_for: usize,
    all: usize,
    /// Who makes the part that was asked for last; it is over when this is cancelled.
    pub(super) work: Option<SpawnHandle>,
    /// What is there and not queued, at this rate.
    pub(super) samples: Vec<i16>,
    rate: u32,
    /// The part that was asked for last, until it is made.
    asked: Option<String>,
    /// Samples of the part that is being made that were handed over before it was whole.
    taken: usize,
    /// Of those, what an earlier try handed over and this one says again.
    again: usize,
    /// Since when its part is late.
    late_since: Option<Instant>,
    /// Who spoke last.
    service: Option<&'static str>,
    /// Whether anything was queued or made before.
    begun: bool,
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
    /// Nothing but time.
    Silence(Speech),
}

impl Text {
    /// The words of an order, and the rest of it.
    pub(super) fn of(mut speech: SpeechRequest) -> (String, Self) {
        let words = std::mem::take(&mut speech.text);
        let text = Self {
            request: speech,
            rest: None,
            asked_for: 0,
            all: 0,
            work: None,
            samples: vec![],
            rate: 0,
            asked: None,
            taken: 0,
            again: 0,
            late_since: None,
            service: None,
            begun: false,
        };
        (words, text)
    }

    /// These are its parts.
    pub(super) fn is_cut(&mut self, parts: Vec<String>) {
        self.all = parts.iter().map(|part| part.chars().count()).sum();
        (self.rest, self.work) = (Some(parts.into()), None);
    }

    /// The part that is asked for next, if there is one, for a line of this rate.
    pub(super) fn next_part(&mut self, line_rate: u32) -> Option<Part> {
        let text = self.rest.as_mut()?.pop_front()?;
        self.asked_for += text.chars().count();
        self.fit(line_rate);
        let ssml = Ssml::read(&text);
        if !ssml.says_something() {
            let samples = ssml.pauses().as_millis() as usize * line_rate as usize / 1000;
            return Some(Part::Silence(Speech::new(vec![0; samples], line_rate)));
        }
        self.asked = Some(text.clone());
        Some(Part::Words(SpeechRequest { text, line_rate, ..self.request.clone() }))
    }

    /// The part that was asked for last was not made: it is asked for once more. Returns since when it is late.
    pub(super) fn put_back(&mut self, now: Instant) -> Option<Instant> {
        let (rest, part) = (self.rest.as_mut()?, self.asked.take()?);
        self.asked_for -= part.chars().count();
        rest.push_front(part);
        (self.work, self.again) = (None, self.taken);
        Some(*self.late_since.get_or_insert(now))
    }

    /// Characters of all of it.
    pub(super) fn characters(&self) -> usize {
        self.all
    }

    /// Whether all parts were asked for.
    pub(super) fn is_asked_for(&self) -> bool {
        self.rest.as_ref().is_some_and(VecDeque::is_empty)
    }

    /// Whether all of it is there.
    pub(super) fn is_made(&self) -> bool {
        self.is_asked_for() && self.work.is_none()
    }

    /// The share of it that was asked for, 0 to 1.
    pub(super) fn share_asked_for(&self) -> f32 {
        self.asked_for as f32 / self.all.max(1) as f32
    }

    /// Audio of the part that is being made; `false` if it has to be fitted to the line first, which waits for the whole
    /// part.
    pub(super) fn take(&mut self, samples: &[i16], rate: u32) -> bool {
        let fits = rate == self.rate && self.work.is_some();
        if fits {
            let again = self.again.min(samples.len());
            self.again -= again;
            self.samples.extend_from_slice(&samples[again..]);
            self.taken += samples.len() - again;
        }
        fits
    }

    /// The part that was asked for last is whole. Returns whether somebody else spoke it than the one before.
    pub(super) fn made(&mut self, speech: &Speech) -> bool {
        self.work = None;
        let rest = speech.samples.get(self.taken..).unwrap_or_default();
        self.begun |= self.taken > 0 || !self.is_asked_for();
        (self.taken, self.again, self.asked, self.late_since) = (0, 0, None, None);
        if self.begun {
            self.samples.extend(resample::clip(rest, speech.sample_rate, self.rate));
        }
        self.service.replace(speech.origin.service) != Some(speech.origin.service)
    }

    /// Whether this speech, which was made last, is all of it and none of it was handed over before.
    pub(super) fn is_whole_speech(&self) -> bool {
        !self.begun
    }

    /// The line has this rate now.
    pub(super) fn fit(&mut self, line_rate: u32) {
        if self.rate != line_rate {
            self.samples = resample::clip(&self.samples, self.rate, line_rate);
            self.rate = line_rate;
        }
    }

    /// Whether so much is there that it is worth a clip.
    pub(super) fn is_ready(&self, queued_before: bool) -> bool {
        let enough = if queued_before { CLIP_MIN } else { FIRST_CLIP_MIN };
        let enough = enough.as_millis() as usize * self.rate as usize / 1000;
        // Between two parts all that is there may go.
        let between = self.rest.is_some() && self.work.is_none() && !self.samples.is_empty();
        self.is_made() || between || self.samples.len() >= enough.max(1)
    }
}
