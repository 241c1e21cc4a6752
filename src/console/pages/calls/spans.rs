//! What happened at the same time in a call: speech, listening, thinking, synthesis, speaking and interruptions on one axis.
//!
//! Invariant: it is made of the events of the record alone, in their order; what has not ended goes on to the last event. At most
//! [`SPANS_MAX`] are shown, the latest.

use super::moments::at;
use crate::rest::{Event, What};

/// Most spans of a picture.
pub(super) const SPANS_MAX: usize = 200;

/// A way to pass time. Each has a lane of the picture, from above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Speech,
    Recognition,
    Thinking,
    Synthesis,
    Speaking,
    BargeIn,
}

impl Lane {
    pub(super) const ALL: [Self; 6] =
        [Self::Speech, Self::Recognition, Self::Thinking, Self::Synthesis, Self::Speaking, Self::BargeIn];

    /// What people call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Speech => "Caller speaks",
            Self::Recognition => "Speech to text",
            Self::Thinking => "Assistant thinks",
            Self::Synthesis => "Text to speech",
            Self::Speaking => "Assistant speaks",
            Self::BargeIn => "Caller interrupts",
        }
    }

    /// Its class in the style.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Speech => "lane-speech",
            Self::Recognition => "lane-recognition",
            Self::Thinking => "lane-thinking",
            Self::Synthesis => "lane-synthesis",
            Self::Speaking => "lane-speaking",
            Self::BargeIn => "lane-barge-in",
        }
    }
}

/// A stretch of time in a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) lane: Lane,
    pub(super) from_ms: u64,
    pub(super) to_ms: u64,
    /// What is to be known of it; empty if nothing is.
    pub(super) note: String,
    is_open: bool,
}

impl Span {
    pub(super) fn begins(&self) -> String {
        at(self.from_ms)
    }

    pub(super) fn lasts(&self) -> String {
        match (self.lane, self.is_open) {
            (Lane::BargeIn, _) => String::new(),
            (_, true) => "goes on".to_owned(),
            (_, false) => format!("{} ms", self.to_ms - self.from_ms),
        }
    }
}

/// Those of a call.
pub(super) fn spans(events: &[Event]) -> Vec<Span> {
    let mut spans = Spans::default();
    events.iter().for_each(|event| spans.take(event));
    let last = events.last().map_or(0, |event| event.at_ms);
    let mut all = spans.0;
    all.iter_mut().filter(|span| span.is_open).for_each(|span| span.to_ms = last.max(span.from_ms));
    all.sort_by_key(|span| span.from_ms);
    all.drain(..all.len().saturating_sub(SPANS_MAX));
    all
}

#[derive(Default)]
struct Spans(Vec<Span>);

impl Spans {
    fn begins(&mut self, lane: Lane, from_ms: u64, note: String) {
        self.0.push(Span { lane, from_ms, to_ms: from_ms, note, is_open: true });
    }

    fn was(&mut self, lane: Lane, from_ms: u64, to_ms: u64, note: String) {
        self.0.push(Span { lane, from_ms, to_ms, note, is_open: false });
    }

    /// The oldest of a lane that goes on ends: what is heard is heard one after the other.
    fn ends(&mut self, lane: Lane, to_ms: u64, note: &str) {
        let open = self.0.iter_mut().find(|span| span.lane == lane && span.is_open);
        if let Some(span) = open {
            (span.to_ms, span.is_open) = (to_ms, false);
            if !note.is_empty() {
                let before = if span.note.is_empty() { String::new() } else { format!("{}; ", span.note) };
                span.note = format!("{before}{note}");
            }
        }
    }

    fn take(&mut self, event: &Event) {
        let now = event.at_ms;
        match &event.what {
            What::SpeechBegan {} => self.begins(Lane::Speech, now, String::new()),
            What::SpeechEnded { level_dbfs, .. } => self.ends(Lane::Speech, now, &format!("at {level_dbfs} dBFS")),
            What::Understood { after_ms, confidence } => {
                let note = format!("understood, confidence {confidence:.2}");
                self.was(Lane::Recognition, now.saturating_sub(*after_ms), now, note);
            }
            What::NotUnderstood {} => self.was(Lane::Recognition, now, now, "understood nothing".to_owned()),
            What::Echo {} => self.was(Lane::Recognition, now, now, "our own voice, dropped".to_owned()),
            What::Asked { turn, again: false, .. } => self.begins(Lane::Thinking, now, format!("turn {turn}")),
            What::Replied { service, .. } => self.ends(Lane::Thinking, now, &format!("replied by {service}")),
            What::AssistantFailed { why, .. } => self.ends(Lane::Thinking, now, &format!("failed: {why}")),
            What::AudioReady { after_ms } => {
                self.was(Lane::Synthesis, now.saturating_sub(*after_ms), now, String::new());
            }
            What::AudioBegan { after_ms } => {
                let note = after_ms.map(|ms| format!("the caller waited {ms} ms")).unwrap_or_default();
                self.begins(Lane::Speaking, now, note);
            }
            What::AudioEnded {} => self.ends(Lane::Speaking, now, ""),
            What::AudioCut { share } => {
                self.ends(Lane::Speaking, now, &format!("cut off after {:.0} %", share * 100.0));
            }
            What::Interrupted {} => self.was(Lane::BargeIn, now, now, String::new()),
            What::Ended { .. } => {
                for lane in Lane::ALL {
                    while self.is_open(lane) {
                        self.ends(lane, now, "");
                    }
                }
            }
            _ => {}
        }
    }

    fn is_open(&self, lane: Lane) -> bool {
        self.0.iter().any(|span| span.lane == lane && span.is_open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(at_ms: u64, what: What) -> Event {
        Event { at_ms, what }
    }

    #[test]
    fn what_happens_at_once_lies_side_by_side_on_one_axis() {
        let asked = What::Asked { turn: 1, request: "speech_to_text".into(), again: false };
        let events = [
            at(1000, What::SpeechBegan {}),
            at(2000, What::SpeechEnded { level_dbfs: -20, ended_by: "silence".into(), silence_ms: 700 }),
            at(2300, What::Understood { after_ms: 300, confidence: 0.9 }),
            at(2300, asked),
            at(2500, What::Replied { turn: 1, after_ms: 200, service: "scripted".into() }),
            at(2600, What::AudioReady { after_ms: 100 }),
            at(2620, What::AudioBegan { after_ms: Some(620) }),
            at(3000, What::SpeechBegan {}),
            at(3100, What::Interrupted {}),
            at(3150, What::AudioCut { share: 0.4 }),
            at(3400, What::AudioBegan { after_ms: None }),
            at(5000, What::Answered {}),
        ];
        let told = |events: &[Event]| -> Vec<String> {
            let told = |span: &Span| {
                format!("{} {} {} {}", span.lane.name(), span.begins(), span.lasts(), span.note).trim().to_owned()
            };
            spans(events).iter().map(told).collect()
        };
        assert_eq!(
            told(&events),
            [
                "Caller speaks 0:01.00 1000 ms at -20 dBFS",
                "Speech to text 0:02.00 300 ms understood, confidence 0.90",
                "Assistant thinks 0:02.30 200 ms turn 1; replied by scripted",
                "Text to speech 0:02.50 100 ms",
                "Assistant speaks 0:02.62 530 ms the caller waited 620 ms; cut off after 40 %",
                "Caller speaks 0:03.00 goes on",
                "Caller interrupts 0:03.10",
                "Assistant speaks 0:03.40 goes on",
            ]
        );
        let mut over = events.to_vec();
        over.push(at(6000, What::Ended { reason: "caller_hangup".into(), details: None }));
        assert!(spans(&over).iter().all(|span| !span.is_open));
    }

    #[test]
    fn a_long_call_shows_its_latest_spans() {
        let events: Vec<Event> = (0..2000).map(|n| at(n, What::NotUnderstood {})).collect();
        let spans = spans(&events);
        assert_eq!((spans.len(), spans[0].from_ms), (SPANS_MAX, 2000 - SPANS_MAX as u64));
    }
}
