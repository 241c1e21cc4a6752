//! Texts that are heard while the rest of them is still being made: which clip is a part of which text.
//!
//! A text's audio is queued in clips, the last of which has the text's own name. Invariant: to whom listens to events and
//! cuts a text is one clip: it starts once and finishes once. Driver: `src/call/speech_out.rs`.

use std::collections::HashMap;

use crate::playout::{ClipId, Cut, Event};

/// Most parts of one text that wait or sound at once; the rest waits until one of them was heard.
pub const PARTS_MAX: usize = 24;
/// The names of parts begin here.
const NAMES_FROM: u64 = 1 << 62;

/// The parts of one leg.
#[derive(Debug, Default)]
pub struct Parts {
    named: u64,
    parts: HashMap<ClipId, Part>,
    texts: HashMap<ClipId, Text>,
}

#[derive(Debug, Clone, Copy)]
struct Part {
    text: ClipId,
    /// Samples of the text before it.
    before: usize,
}

#[derive(Debug, Default, Clone, Copy)]
struct Text {
    /// How many of them wait or sound.
    parts: usize,
    samples: usize,
    started: bool,
}

impl Parts {
    /// The name of the next part of a text, which has so many samples; `None` if it has too many.
    pub fn next(&mut self, text: ClipId, samples: usize) -> Option<ClipId> {
        let known = self.texts.entry(text).or_default();
        if known.parts == PARTS_MAX {
            return None;
        }
        let part = Part { text, before: known.samples };
        (known.parts, known.samples) = (known.parts + 1, known.samples + samples);
        let name = ClipId(NAMES_FROM + self.named);
        self.named += 1;
        self.parts.insert(name, part);
        Some(name)
    }

    /// The last part of a text, with its own name; it has so many samples. A text that had none before is whole.
    pub fn last(&mut self, text: ClipId, samples: usize) {
        if let Some(known) = self.texts.get_mut(&text) {
            self.parts.insert(text, Part { text, before: known.samples });
            known.samples += samples;
        }
    }

    /// How many samples of a text are in its parts so far.
    pub fn queued(&self, text: ClipId) -> usize {
        self.texts.get(&text).map_or(0, |text| text.samples)
    }

    /// What an event of a clip means to its text, if anything.
    pub fn event(&mut self, event: Event) -> Option<Event> {
        match event {
            Event::Started(clip) => {
                let Some(part) = self.parts.get(&clip) else { return Some(event) };
                let text = self.texts.get_mut(&part.text)?;
                (!std::mem::replace(&mut text.started, true)).then_some(Event::Started(part.text))
            }
            Event::Finished(clip) => {
                let Some(part) = self.parts.remove(&clip) else { return Some(event) };
                if let Some(text) = self.texts.get_mut(&part.text) {
                    text.parts = text.parts.saturating_sub(1);
                }
                (part.text == clip).then(|| self.texts.remove(&clip)).map(|_| event)
            }
        }
    }

    /// What a cut means to the text of the clip. Everything else is forgotten: it was cut too.
    pub fn cut(&mut self, cut: Cut) -> Cut {
        let part = self.parts.get(&cut.id).copied();
        let cut = part.map_or(cut, |Part { text, before }| {
            let known = self.queued(text);
            Cut { id: text, heard: before + cut.heard, of: known.max(before + cut.of) }
        });
        self.forget();
        cut
    }

    /// Nothing waits any more.
    pub fn forget(&mut self) {
        self.parts.clear();
        self.texts.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: ClipId = ClipId(7);

    #[test]
    fn a_text_in_parts_is_one_clip() {
        let mut parts = Parts::default();
        let first = parts.next(TEXT, 100).expect("room");
        let second = parts.next(TEXT, 200).expect("room");
        assert_eq!(parts.queued(TEXT), 300);
        parts.last(TEXT, 50);
        let told: Vec<_> = [first, second, TEXT]
            .into_iter()
            .flat_map(|clip| [Event::Started(clip), Event::Finished(clip)])
            .filter_map(|event| parts.event(event))
            .collect();
        assert_eq!(told, [Event::Started(TEXT), Event::Finished(TEXT)]);
        assert!(parts.parts.is_empty() && parts.texts.is_empty());
    }

    #[test]
    fn a_clip_that_has_no_parts_passes() {
        let mut parts = Parts::default();
        parts.last(TEXT, 100);
        assert_eq!(parts.event(Event::Started(TEXT)), Some(Event::Started(TEXT)));
        assert_eq!(parts.event(Event::Finished(TEXT)), Some(Event::Finished(TEXT)));
        assert_eq!(parts.cut(Cut { id: TEXT, heard: 3, of: 9 }), Cut { id: TEXT, heard: 3, of: 9 });
    }

    #[test]
    fn what_was_heard_counts_from_the_beginning_of_the_text() {
        for (clip, heard) in [(0, 60), (1, 160), (2, 360)] {
            let mut parts = Parts::default();
            let first = parts.next(TEXT, 100).expect("room");
            let second = parts.next(TEXT, 200).expect("room");
            parts.last(TEXT, 100);
            let cut = parts.cut(Cut { id: [first, second, TEXT][clip], heard: 60, of: [100, 200, 100][clip] });
            assert_eq!(cut, Cut { id: TEXT, heard, of: 400 });
            assert_eq!(parts.event(Event::Finished(first)), Some(Event::Finished(first)), "it is forgotten");
        }
    }

    #[test]
    fn parts_are_bounded() {
        let mut parts = Parts::default();
        let waiting: Vec<ClipId> = (0..100).filter_map(|_| parts.next(TEXT, 1)).collect();
        assert_eq!(waiting.len(), PARTS_MAX);
        assert_eq!(parts.event(Event::Finished(waiting[0])), None);
        assert!(parts.next(TEXT, 1).is_some() && parts.next(TEXT, 1).is_none(), "one was heard: there is room for one");
    }
}
