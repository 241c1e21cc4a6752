//! Turns: what the caller said or pressed, what the assistant was asked, and what it had done.

use std::time::{Duration, Instant};

use bellhop_dialogue::ports::Origin;
use bellhop_dialogue::turn_loop::SayId;

use super::{CallRecord, What};
use crate::end_of_turn::EndedBy;

/// Most turns kept of one call; the oldest fall off.
pub const TURNS_MAX: usize = 1000;

/// An exchange with the assistant.
#[derive(Default)]
pub(super) struct Turn {
    pub(super) number: u32,
    pub(super) request: &'static str,
    pub(super) asked_ms: u64,
    pub(super) replied_ms: Option<u64>,
    pub(super) origin: Origin,
    pub(super) utterance: Option<Utterance>,
    pub(super) responses: Vec<Response>,
    /// What the caller said or pressed for it, as the transcript shows it.
    pub(super) input: Vec<String>,
    /// What was said for it.
    pub(super) output: Vec<String>,
    /// What the caller waited: from the end of their speech, or their key, to our first audio.
    pub(super) first_audio: Option<Duration>,
}

/// What the caller said.
#[derive(Default, Clone)]
pub(super) struct Utterance {
    pub(super) began_ms: u64,
    /// When the silence was noticed, and since when it was silent.
    pub(super) noticed_ms: Option<u64>,
    pub(super) silent_ms: Option<u64>,
    pub(super) ended_by: Option<EndedBy>,
    pub(super) understood_ms: Option<u64>,
    pub(super) confidence: Option<f32>,
    pub(super) transaction: Option<String>,
    pub(super) echo: bool,
}

/// Something that a reply had done.
pub(super) struct Response {
    pub(super) kind: &'static str,
    pub(super) at_ms: u64,
    pub(super) clip: Option<Clip>,
}

#[derive(Default)]
pub(super) struct Clip {
    pub(super) id: u64,
    pub(super) ready_ms: Option<u64>,
    pub(super) began_ms: Option<u64>,
    pub(super) ended_ms: Option<u64>,
    pub(super) cut: bool,
    pub(super) origin: Origin,
}

impl CallRecord {
    /// The caller began to speak.
    pub fn speech_began(&mut self, now: Instant) {
        self.hearing = Some(Utterance { began_ms: self.ms(now), ..Utterance::default() });
        self.note(now, What::SpeechBegan {});
    }

    /// The caller has been silent for `silence`, and that is the end of what they say; `level` is what their speech had, in dBFS.
    pub fn speech_ended(&mut self, now: Instant, silence: Duration, level: f32, by: EndedBy) {
        let (noticed, silence_ms) = (self.ms(now), silence.as_millis() as u64);
        if let Some(hearing) = &mut self.hearing {
            hearing.noticed_ms = Some(noticed);
            hearing.silent_ms = Some(noticed.saturating_sub(silence_ms));
            hearing.ended_by = Some(by);
        }
        let (level_dbfs, ended_by) = (level.round() as i32, by.label().into());
        self.note(now, What::SpeechEnded { level_dbfs, ended_by, silence_ms });
    }

    /// The recognizer has its result.
    pub fn understood(&mut self, now: Instant, confidence: f32, transaction: Option<String>) {
        let at = self.ms(now);
        let hearing = self.hearing.get_or_insert_with(|| Utterance { began_ms: at, ..Utterance::default() });
        (hearing.understood_ms, hearing.confidence, hearing.transaction) = (Some(at), Some(confidence), transaction);
        let after_ms = hearing.noticed_ms.map_or(0, |noticed| at.saturating_sub(noticed));
        self.note(now, What::Understood { after_ms, confidence });
    }

    /// The recognizer has none.
    pub fn not_understood(&mut self, now: Instant) {
        self.note(now, What::NotUnderstood {});
    }

    /// An utterance was dropped as the echo of our own voice.
    pub fn echo_heard(&mut self, now: Instant) {
        self.echo_heard = true;
        self.note(now, What::Echo {});
    }

    /// The assistant is asked; again, with the number of the first try.
    pub fn asked(&mut self, now: Instant, number: u32, request: &'static str) {
        let again = self.turns.back().is_some_and(|turn| turn.number == number);
        self.note(now, What::Asked { turn: number, request: request.into(), again });
        if again {
            return;
        }
        if self.turns.len() == TURNS_MAX {
            self.turns.pop_front();
            self.turns_dropped += 1;
        }
        let spoken = matches!(request, "speech_to_text" | "speech_to_text_result_filtered");
        let echo = std::mem::take(&mut self.echo_heard);
        let utterance = self.hearing.take_if(|_| spoken).map(|heard| Utterance { echo, ..heard });
        let (asked_ms, input) = (self.ms(now), std::mem::take(&mut self.lines));
        self.turns.push_back(Box::new(Turn { number, request, asked_ms, utterance, input, ..Turn::default() }));
    }

    /// The assistant has replied, or this try has failed.
    pub fn replied(&mut self, now: Instant, number: u32, result: Result<&Origin, &str>) {
        let at = self.ms(now);
        let Some(turn) = self.turns.iter_mut().rev().find(|turn| turn.number == number) else { return };
        let after_ms = at.saturating_sub(turn.asked_ms);
        match result {
            Ok(origin) => {
                (turn.replied_ms, turn.origin) = (Some(at), origin.clone());
                let service = origin.service.into();
                self.note(now, What::Replied { turn: number, after_ms, service });
                self.served(now, "assistant", origin);
            }
            Err(why) => self.note(now, What::AssistantFailed { turn: number, after_ms, why: why.to_owned() }),
        }
    }

    /// A reply has something done that is not heard: one of the vendor's `response[].type`.
    pub fn did(&mut self, now: Instant, kind: &'static str) {
        self.respond(now, kind, None);
        self.note(now, What::Did { kind: kind.into() });
    }

    /// A reply wants something heard.
    pub fn wants_heard(&mut self, now: Instant, kind: &'static str, id: SayId) {
        self.respond(now, kind, Some(Clip { id: id.0, ..Clip::default() }));
    }

    fn respond(&mut self, now: Instant, kind: &'static str, clip: Option<Clip>) {
        let at_ms = self.ms(now);
        if let Some(turn) = self.turns.back_mut() {
            turn.responses.push(Response { kind, at_ms, clip });
        }
    }
}
