//! What waits to be heard and what the line has of it: orders, cuts, and what clips tell.

use std::collections::VecDeque;
use std::time::Instant;

use bellhop_dialogue::ports::{ServiceFailure, SpeechRequest};
use bellhop_dialogue::speakable;
use bellhop_dialogue::turn_loop::SayId;
use bellhop_media::parts::Parts;
use bellhop_media::playout::{Clip, ClipId, Cut, Event, Playout, Sound};

use super::item::Item;
use super::text::Text;
use super::{ANNOUNCEMENT, Input, Job, Output, Reason, SPLIT_HERE_MAX, Turn, Work};

/// The clips of digits that others of their row follow have names from here on: nobody waits for them.
const DIGITS_FROM: u64 = 1 << 61;
const DIGITS_TO: u64 = 1 << 62;

/// What waits to be heard, in order; the first may be heard in parts already.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) waiting: VecDeque<(SayId, Item)>,
    /// What the line has all of and has not told the end of, in order.
    handed: VecDeque<Handed>,
    parts: Parts,
    jobs: u64,
    /// When to look whether more has to be made, and when to ask again for what was not.
    pub(super) look: Option<Instant>,
    pub(super) again: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Handed {
    id: SayId,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It is heard once.
    Once,
    /// It is repeated, and its first end is not told.
    Repeated,
    /// It is repeated, and was reported as played.
    RepeatedAfterPlayed,
}

impl Queue {
    pub(super) fn handle(&mut self, turn: &mut Turn<'_, '_>, input: Input) -> Result<(), ServiceFailure> {
        match input {
            Input::Say { id, speech } => self.say(turn, id, speech),
            Input::Play { id, source, repeats } => self.put(turn, id, Item::Source { source, repeats }),
            Input::SendDigits { id, digits } => self.put(turn, id, Item::digits(&digits)),
            Input::Announce { text } => {
                self.cut(turn);
                self.say(turn, ANNOUNCEMENT, SpeechRequest::plain(text, 0));
            }
            Input::StopRepeating => self.stop_repeating(turn),
            Input::Pause => turn.line.playout.pause(true),
            Input::Resume => turn.line.playout.pause(false),
            Input::Cut => self.cut(turn),
            Input::Split { job, parts } => self.split(turn, job, parts),
            Input::Audio { job, samples, sample_rate } => self.audio(turn, job, &samples, sample_rate),
            Input::Made { job, result } => return self.made(turn, job, result),
            Input::Fetched { job, codec, result } => self.fetched(turn, job, codec, result),
            Input::Clip(event) => self.clip(turn, event),
        }
        Ok(())
    }

    /// Whether nothing waits and the line has told the end of all it was given.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.handed.is_empty()
    }

    /// When to look again, and why.
    pub(super) fn deadline(&self) -> Option<(Instant, Reason)> {
        let jobs = self.waiting.iter().filter_map(|(_, item)| item.work());
        let jobs = jobs.map(|work| (work.until(), Reason::Overdue(work.job)));
        let look = self.look.map(|at| (at, Reason::AskAhead));
        let again = self.again.map(|at| (at, Reason::AskAgain));
        jobs.chain(look).chain(again).min_by_key(|(at, _)| *at)
    }

    pub(super) fn expired(&mut self, turn: &mut Turn<'_, '_>, reason: Reason) -> Result<(), ServiceFailure> {
        match reason {
            Reason::AskAhead => self.look = None,
            Reason::AskAgain => self.again = None,
            Reason::Overdue(job) => return self.overdue(turn, job),
        }
        self.go_on(turn);
        Ok(())
    }

    /// The next job begins now.
    pub(super) fn begin(jobs: &mut u64, now: Instant) -> Work {
        *jobs += 1;
        Work::begun(Job(*jobs), now)
    }

    /// The counter of jobs beside what they are done for.
    pub(super) fn at(&mut self, at: usize) -> (&mut u64, &mut (SayId, Item)) {
        (&mut self.jobs, &mut self.waiting[at])
    }

    /// For what of that which waits a job is done.
    pub(super) fn place_of(&self, job: Job) -> Option<usize> {
        self.waiting.iter().position(|(_, item)| item.work().is_some_and(|work| work.job == job))
    }

    fn put(&mut self, turn: &mut Turn<'_, '_>, id: SayId, item: Item) {
        self.waiting.push_back((id, item));
        self.go_on(turn);
    }

    fn say(&mut self, turn: &mut Turn<'_, '_>, id: SayId, speech: SpeechRequest) {
        let work = Self::begin(&mut self.jobs, turn.now);
        let (words, mut text) = Text::of(speech, work);
        if words.len() <= SPLIT_HERE_MAX {
            text.split_into(speakable::cut(&words));
        } else {
            turn.order(Output::Split { job: work.job, text: words });
        }
        self.put(turn, id, Item::Text(text));
    }

    fn split(&mut self, turn: &mut Turn<'_, '_>, job: Job, parts: Vec<String>) {
        let mut texts = self.waiting.iter_mut().filter_map(|(_, item)| match item {
            Item::Text(text) => Some(text),
            _ => None,
        });
        if let Some(text) = texts.find(|text| text.is_split_by(job)) {
            text.split_into(parts);
            self.go_on(turn);
        }
    }

    fn audio(&mut self, turn: &mut Turn<'_, '_>, job: Job, samples: &[i16], sample_rate: u32) {
        let Some(at) = self.place_of(job) else { return };
        let (id, Item::Text(text)) = &mut self.waiting[at] else { return };
        if text.take(samples, sample_rate) {
            turn.order(Output::AudioReady(*id));
            self.hand_over(turn);
        }
    }

    fn stop_repeating(&mut self, turn: &mut Turn<'_, '_>) {
        self.waiting.retain(|(_, item)| {
            if item.repeats()
                && let Some(work) = item.work()
            {
                turn.order(Output::Abandon(work.job));
            }
            !item.repeats()
        });
        self.handed.retain(|handed| handed.kind == Kind::Once);
        turn.line.playout.stop_repeating();
        self.go_on(turn);
    }

    /// Drops everything that waits or sounds, and tells what of it was heard.
    fn cut(&mut self, turn: &mut Turn<'_, '_>) {
        let cut = turn.line.playout.cut().map(|cut| self.cut_off(cut));
        let next = self.waiting.front().map(|(id, item)| {
            // Of a text whose audio comes too slowly, all there is was heard.
            let heard = match item {
                Item::Text(text) if self.parts.queued(ClipId(id.0)) > 0 => text.share_asked_for(),
                _ => 0.0,
            };
            (*id, heard)
        });
        self.parts.forget();
        if let Some((id, share)) = cut.or(next) {
            turn.order(Output::WasCut { id, share });
        }
        for (_, item) in self.waiting.drain(..) {
            if let Some(work) = item.work() {
                turn.order(Output::Abandon(work.job));
            }
        }
        (self.look, self.again) = (None, None);
    }

    /// What was cut, and how much of it was heard. What the line had behind it is forgotten; of what it had before, the end
    /// is still to be told.
    fn cut_off(&mut self, cut: Cut) -> (SayId, f32) {
        let cut = self.parts.cut(cut);
        let id = match cut.id.0 {
            digit @ DIGITS_FROM..DIGITS_TO => SayId(digit - DIGITS_FROM),
            id => SayId(id),
        };
        if let Some(at) = self.handed.iter().position(|handed| handed.id == id) {
            self.handed.truncate(at);
        }
        // Of a text that is still being made, what there is of it is a part.
        let there = match self.waiting.front() {
            Some((first, Item::Text(text))) if *first == id => text.share_asked_for(),
            _ => 1.0,
        };
        (id, there * cut.heard as f32 / cut.of.max(1) as f32)
    }

    fn clip(&mut self, turn: &mut Turn<'_, '_>, event: Event) {
        match self.parts.event(event) {
            Some(Event::Started(ClipId(id))) => {
                let is_first = self.waiting.front().is_some_and(|(first, _)| first.0 == id);
                if is_first || self.handed.iter().any(|handed| handed.id.0 == id) {
                    turn.order(Output::AudioBegan(SayId(id)));
                }
            }
            Some(Event::Finished(ClipId(id))) => {
                if let Some(at) = self.handed.iter().position(|handed| handed.id.0 == id) {
                    match self.handed[at].kind {
                        Kind::Once => _ = self.handed.remove(at),
                        Kind::Repeated | Kind::RepeatedAfterPlayed => self.handed[at].kind = Kind::RepeatedAfterPlayed,
                    }
                    turn.order(Output::AudioEnded(SayId(id)));
                    played(turn, SayId(id));
                }
            }
            None => {}
        }
        self.go_on(turn); // there is room again
    }

    /// Hands to the line what is ready, in order.
    pub(super) fn hand_over(&mut self, turn: &mut Turn<'_, '_>) {
        while self.hand_over_next(turn) {}
    }

    /// Hands over what stands first, as far as it is there. Returns whether something was.
    fn hand_over_next(&mut self, turn: &mut Turn<'_, '_>) -> bool {
        let Some((id, item)) = self.waiting.front_mut() else { return false };
        let (id, clip, playout) = (*id, ClipId(id.0), &mut *turn.line.playout);
        // What has no room waits until something was heard.
        if playout.room() == 0 {
            return false;
        }
        let begun = self.parts.queued(clip) > 0;
        let underflows = begun && !playout.is_playing();
        let (is_whole, kind) = match item {
            Item::Source { .. } | Item::Fetching { .. } => return false,
            Item::Text(text) => match hand_over_text(playout, &mut self.parts, clip, text) {
                None => return false,
                Some(is_whole) => (is_whole, Kind::Once),
            },
            Item::Sound { sound, codec, repeats } => {
                let line = playout.format().codec;
                let sound = if *codec == line { sound.clone() } else { sound.converted(*codec, line) };
                let repeats = *repeats;
                play(playout, Clip { id: clip, sound, repeats });
                (true, if repeats { Kind::Repeated } else { Kind::Once })
            }
            Item::Nothing => {
                self.waiting.pop_front();
                played(turn, id);
                turn.order(Output::PlaybackReady);
                return true;
            }
            Item::Digits(presses) => {
                while playout.room() > 0
                    && let Some(press) = presses.pop_front()
                {
                    let name = if presses.is_empty() { clip } else { ClipId(DIGITS_FROM + id.0) };
                    assert!(playout.press(name, press), "there is room");
                }
                (presses.is_empty(), Kind::Once)
            }
        };
        if underflows {
            turn.order(Output::Underflow);
        }
        turn.order(Output::PlaybackReady);
        if is_whole {
            self.waiting.pop_front();
            self.handed.push_back(Handed { id, kind });
        }
        true
    }
}

/// Hands over what is there of a text, if it is worth a clip. Returns whether that is the last of it.
fn hand_over_text(playout: &mut Playout, parts: &mut Parts, clip: ClipId, text: &mut Text) -> Option<bool> {
    let codec = playout.format().codec;
    text.fit(codec.sample_rate());
    if !text.is_ready(parts.queued(clip) > 0) {
        return None;
    }
    let is_whole = text.is_made();
    let id = if is_whole {
        parts.last(clip, text.samples_there());
        clip
    } else {
        parts.next(clip, text.samples_there())?
    };
    play(playout, Clip { id, sound: Sound::of(&text.take_samples(), codec), repeats: false });
    Some(is_whole)
}

fn play(playout: &mut Playout, clip: Clip) {
    assert!(playout.enqueue(clip), "there is room");
}

fn played(turn: &mut Turn<'_, '_>, id: SayId) {
    turn.order(if id == ANNOUNCEMENT { Output::AnnouncementPlayed } else { Output::Played(id) });
}
