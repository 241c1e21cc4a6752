//! What is made ahead of need: which part is asked for, which sound is fetched, and what is done when it does not come.

use std::time::Duration;

use bellhop_dialogue::ports::{Samples, ServiceFailure, Speech};
use bellhop_media::codec::Codec;
use bellhop_media::playout::Sound;

use super::item::Item;
use super::queue::Queue;
use super::text::Part;
use super::{AHEAD_MAX, ASKED_AGAIN_AFTER, AT_ONCE, Job, LONG_CHARACTERS, LOOKED_AFTER, OVERLOADED_MAX, Output, Turn};
use crate::line_audio;

impl Queue {
    /// Hands over what is ready and asks for what is heard next.
    pub(super) fn go_on(&mut self, turn: &mut Turn<'_, '_>) {
        loop {
            self.hand_over(turn);
            if !self.ask_ahead(turn) {
                return;
            }
        }
    }

    /// Has parts made of the texts that are heard next, of one text one after the other, and sounds fetched. Returns whether
    /// something is there at once.
    fn ask_ahead(&mut self, turn: &mut Turn<'_, '_>) -> bool {
        let playout = &*turn.line.playout;
        let (codec, is_silent, mut ahead) = (playout.format().codec, !playout.is_playing(), playout.ahead());
        let (mut making, mut fetching) = (0, 0);
        for at in 0..self.waiting.len() {
            // What is there already and stands before the next.
            ahead += self.waiting[at].1.audio();
            if let Some(too_much) = ahead.checked_sub(AHEAD_MAX) {
                self.look.get_or_insert(turn.now + too_much.max(LOOKED_AFTER));
                return false;
            }
            match &self.waiting[at].1 {
                Item::Source { .. } | Item::Fetching { .. } => {
                    self.fetch(turn, at, codec);
                    fetching += 1;
                    if fetching == AT_ONCE {
                        return false;
                    }
                }
                Item::Text(_) => {
                    if self.ask_for_part(turn, at, codec) {
                        return true;
                    }
                }
                Item::Sound { .. } | Item::Nothing | Item::Digits(_) => {}
            }
            let Item::Text(text) = &self.waiting[at].1 else { continue };
            making += usize::from(text.work().is_some());
            if making == AT_ONCE || !text.is_asked_for() || is_silent && text.characters() >= LONG_CHARACTERS {
                return false;
            }
        }
        false
    }

    /// Asks for the next part of a text, if none is being made. Returns whether it needs nobody and is there.
    fn ask_for_part(&mut self, turn: &mut Turn<'_, '_>, at: usize, codec: Codec) -> bool {
        let (jobs, (_, Item::Text(text))) = self.at(at) else { return false };
        let part = text.next_part(codec, || Self::begin(jobs, turn.now));
        match (part, text.work()) {
            (Some(Part::Words(request)), Some(work)) => {
                turn.order(Output::Synthesize { job: work.job, request });
                false
            }
            (Some(Part::Silence(speech)), _) => {
                self.part_made(turn, at, &speech);
                true
            }
            (Some(Part::Words(_)) | None, _) => false,
        }
    }

    /// Begins to fetch a sound, if it is one that nobody has begun to.
    fn fetch(&mut self, turn: &mut Turn<'_, '_>, at: usize, codec: Codec) {
        let (jobs, (_, item)) = self.at(at);
        let Item::Source { source, repeats } = item else { return };
        let (source, repeats) = (std::mem::take(source), *repeats);
        let work = Self::begin(jobs, turn.now);
        *item = Item::Fetching { repeats, work };
        turn.order(Output::Fetch { job: work.job, source, codec });
    }

    pub(super) fn fetched(
        &mut self,
        turn: &mut Turn<'_, '_>,
        job: Job,
        codec: Codec,
        result: Result<(Speech, Sound), ServiceFailure>,
    ) {
        let line = turn.line.playout.format().codec;
        let Some(at) = self.place_of(job) else { return };
        let (jobs, (_, item)) = self.at(at);
        let Item::Fetching { repeats, .. } = *item else { return };
        *item = match result {
            Ok((speech, _)) if codec != line => {
                // The line has another codec by now.
                let work = Self::begin(jobs, turn.now);
                turn.order(Output::Encode { job: work.job, speech, codec: line });
                Item::Fetching { repeats, work }
            }
            Ok((_, sound)) => Item::Sound { sound, codec, repeats },
            // A sound that is not to be had is left out: the conversation does not hang on it.
            Err(failure) => {
                turn.order(Output::SoundMissing(failure));
                Item::Nothing
            }
        };
        self.go_on(turn);
    }

    /// A part of a text is made, or it could not be.
    pub(super) fn made(
        &mut self,
        turn: &mut Turn<'_, '_>,
        job: Job,
        result: Result<Speech, ServiceFailure>,
    ) -> Result<(), ServiceFailure> {
        let Some(at) = self.place_of(job) else { return Ok(()) }; // cut in the meantime
        let began = self.waiting[at].1.work().map_or(turn.now, |work| work.began);
        turn.order(Output::Synthesized { took: turn.now.saturating_duration_since(began) });
        match result {
            Ok(speech) => {
                self.part_made(turn, at, &speech);
                self.go_on(turn);
                Ok(())
            }
            Err(failure) => self.not_made(turn, at, failure),
        }
    }

    fn part_made(&mut self, turn: &mut Turn<'_, '_>, at: usize, speech: &Speech) {
        let codec = turn.line.playout.format().codec;
        let (id, item) = &mut self.waiting[at];
        let Item::Text(text) = item else { return };
        if text.made(speech) {
            turn.order(Output::MadeBy { id: *id, origin: speech.origin.clone() });
        }
        if text.is_whole_speech() {
            let sound = match &speech.samples {
                Samples::Linear(samples) => turn.line.cache.encode(samples, speech.sample_rate, codec),
                Samples::G711(companding, codes) => line_audio::sound(*companding, codes, codec),
            };
            *item = Item::Sound { sound, codec, repeats: false };
        }
    }

    /// A synthesizer that has too much to do is asked again while the caller hears what is there, or has not waited for the
    /// first words for long: it is the tenant's own load, and no reason to lose a call.
    fn not_made(&mut self, turn: &mut Turn<'_, '_>, at: usize, failure: ServiceFailure) -> Result<(), ServiceFailure> {
        let may_have_time = match failure {
            ServiceFailure::Overdue => Duration::ZERO,
            ServiceFailure::Overloaded => OVERLOADED_MAX,
            ServiceFailure::Unavailable { .. } | ServiceFailure::NotNow { .. } => return Err(failure),
        };
        let (_, Item::Text(text)) = &mut self.waiting[at] else { return Ok(()) };
        let Some(late_since) = text.put_back(turn.now) else { return Err(failure) };
        let late = turn.now.saturating_duration_since(late_since);
        if !turn.line.playout.is_playing() && late >= may_have_time {
            return Err(failure);
        }
        let again = turn.now + ASKED_AGAIN_AFTER;
        self.again = Some(self.again.map_or(again, |at| at.min(again)));
        Ok(())
    }

    /// A job has had its time.
    pub(super) fn overdue(&mut self, turn: &mut Turn<'_, '_>, job: Job) -> Result<(), ServiceFailure> {
        let Some(at) = self.place_of(job) else { return Ok(()) };
        turn.order(Output::Abandon(job));
        match &self.waiting[at].1 {
            Item::Text(text) if text.is_split_by(job) => Err(ServiceFailure::Overdue),
            Item::Text(_) => self.made(turn, job, Err(ServiceFailure::Overdue)),
            _ => {
                let codec = turn.line.playout.format().codec;
                self.fetched(turn, job, codec, Err(ServiceFailure::Overdue));
                Ok(())
            }
        }
    }
}
