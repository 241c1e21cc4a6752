//! What became of a call: a timeline while it happens, and the call detail record afterwards.
//!
//! Whoever sees something writes it down; nobody reads before the end, except for turns that are over and for who looks on.
//! Words that may turn out to be a part of something to mask are open: who looks on sees them masked, and a turn is not over
//! before they are settled. Invariants: every
//! list is bounded; words come in as the transcript shows them, redacted and masked; the record as the vendor defines it
//! ([`CallRecord::details`]) holds no words at all.

mod details;
mod timeline;

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use bellhop_dialogue::call_facts::CallFacts;
use bellhop_dialogue::ports::Origin;
use bellhop_dialogue::redaction::cautious;
use bellhop_dialogue::transcript::Speaker;
use bellhop_dialogue::turn_loop::SayId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
pub use timeline::{Event, What};

/// Most events kept of one call; the oldest fall off.
pub const EVENTS_MAX: usize = 4000;
/// Most turns kept of one call; the oldest fall off.
pub const TURNS_MAX: usize = 1000;
/// Most warnings kept of one call; later ones are counted as events alone.
pub const WARNINGS_MAX: usize = 100;
/// Most lines in a row that wait for what comes after them.
const OPEN_MAX: usize = 24;

/// `failure_details` of a call whose server died while it was up.
pub const LOST: &str = "lost: the server ended while the call was up";

/// What is known of a call when it begins.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Opening {
    /// Names the call among all calls of all servers: a UUID.
    pub session: String,
    /// Names it in this server's log.
    pub call: String,
    /// The tenant.
    pub tenant: String,
    /// Which assistant leads it: the vendor's identifier, or the kind.
    pub assistant: String,
    /// Caller, dialled number, SIP identifiers.
    pub facts: CallFacts,
    /// The carrier's own identifier, from `X-Global-SIP-Trunk-Call-ID`.
    pub trunk_call_id: Option<String>,
    /// When the INVITE came, in milliseconds since 1970.
    pub began_unix_ms: i64,
    /// Calls that were active then, this one not counted.
    pub active_calls: usize,
    /// Whether SIP came over TLS.
    pub signaling_encrypted: bool,
    /// Whether the caller's side had to log in.
    pub sip_authenticated: bool,
}

/// It never shows who calls.
impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opening({})", self.call)
    }
}

/// How a call ended, for the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// The caller was handed to an agent or transferred.
    AssistantTransfer,
    /// The assistant ended the conversation.
    AssistantHangup,
    /// The caller hung up.
    CallerHangup,
    /// Something broke.
    Failed,
}

impl EndReason {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::AssistantTransfer, Self::AssistantHangup, Self::CallerHangup, Self::Failed];

    /// The word in the record.
    pub fn label(self) -> &'static str {
        match self {
            Self::AssistantTransfer => "assistant_transfer",
            Self::AssistantHangup => "assistant_hangup",
            Self::CallerHangup => "caller_hangup",
            Self::Failed => "failed",
        }
    }
}

/// One direction of the audio, as far as it was measured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamSummary {
    /// Milliseconds.
    pub maximum_jitter: Option<u64>,
    /// Milliseconds.
    pub average_jitter: Option<u64>,
    /// Packets.
    pub packets_lost: Option<u64>,
    /// Packets.
    pub packets_transmitted: u64,
    /// CNAME of the sender (RFC 3550 section 6.5.1).
    pub canonical_name: Option<String>,
    /// TOOL of the sender (RFC 3550 section 6.5.6).
    pub tool_name: Option<String>,
}

/// An exchange with the assistant.
#[derive(Default)]
struct Turn {
    number: u32,
    request: &'static str,
    asked_ms: u64,
    replied_ms: Option<u64>,
    origin: Origin,
    utterance: Option<Utterance>,
    responses: Vec<Response>,
    /// What the caller said or pressed for it, as the transcript shows it.
    input: Vec<String>,
    /// What was said for it.
    output: Vec<String>,
    /// What the caller waited: from the end of their speech, or their key, to our first audio.
    first_audio: Option<Duration>,
}

/// What the caller said.
#[derive(Default, Clone)]
struct Utterance {
    began_ms: u64,
    /// When the silence was noticed, and since when it was silent.
    noticed_ms: Option<u64>,
    silent_ms: Option<u64>,
    understood_ms: Option<u64>,
    confidence: Option<f32>,
    transaction: Option<String>,
    echo: bool,
}

/// Something that a reply had done.
struct Response {
    kind: &'static str,
    at_ms: u64,
    clip: Option<Clip>,
}

#[derive(Default)]
struct Clip {
    id: u64,
    ready_ms: Option<u64>,
    began_ms: Option<u64>,
    ended_ms: Option<u64>,
    cut: bool,
    origin: Origin,
}

/// How it ended.
struct Closing {
    at_ms: u64,
    reason: EndReason,
    details: Option<String>,
}

/// The record of one call.
pub struct CallRecord {
    opening: Opening,
    began: Instant,
    answered_ms: Option<u64>,
    media_encrypted: bool,
    timeline: VecDeque<Event>,
    events: usize,
    turns: VecDeque<Turn>,
    turns_dropped: usize,
    hearing: Option<Utterance>,
    /// Whether our own voice was heard back since the last turn.
    echo_heard: bool,
    lines: Vec<String>,
    /// Lines that may still be revised, with their words, and the first turn that has one of them.
    open: Vec<String>,
    open_from: Option<usize>,
    warnings: Vec<(&'static str, String)>,
    custom_data: Map<String, Value>,
    inbound: Option<StreamSummary>,
    outbound: Option<StreamSummary>,
    recognizer: Option<&'static str>,
    closing: Option<Closing>,
}

impl CallRecord {
    /// The record of a call whose INVITE came at `began`.
    pub fn open(opening: Opening, began: Instant) -> Self {
        let what = What::Began {
            tenant: opening.tenant.clone(),
            caller: opening.facts.caller.clone(),
            dialled: opening.facts.dialled.clone(),
            sip_call_id: opening.facts.sip_call_id.clone(),
            session: opening.session.clone(),
        };
        let mut record = Self {
            opening,
            began,
            answered_ms: None,
            media_encrypted: false,
            timeline: VecDeque::new(),
            events: 0,
            turns: VecDeque::new(),
            turns_dropped: 0,
            hearing: None,
            echo_heard: false,
            lines: vec![],
            open: vec![],
            open_from: None,
            warnings: vec![],
            custom_data: Map::new(),
            inbound: None,
            outbound: None,
            recognizer: None,
            closing: None,
        };
        record.note(began, what);
        record
    }

    /// The record of a call whose server died while it was up: all that is known is how it began.
    pub fn lost(opening: Opening, now: Instant) -> Self {
        let mut record = Self::open(opening, now);
        record.close(now, EndReason::Failed, Some(LOST.to_owned()));
        record
    }

    fn ms(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_millis() as u64
    }

    fn note(&mut self, now: Instant, what: What) {
        if self.timeline.len() == EVENTS_MAX {
            self.timeline.pop_front();
        }
        self.events += 1;
        self.timeline.push_back(Event { at_ms: self.ms(now), what });
    }

    /// What is known since the call began.
    pub fn opening(&self) -> &Opening {
        &self.opening
    }

    /// The events since there had been so many in all, and how many there have been now.
    pub fn since(&self, events: usize) -> (impl Iterator<Item = &Event>, usize) {
        let new = self.events.saturating_sub(events).min(self.timeline.len());
        (self.timeline.iter().skip(self.timeline.len() - new), self.events)
    }

    /// A SIP message came in; its first line without addresses: `BYE`, `200 INVITE`.
    pub fn sip_received(&mut self, now: Instant, message: String) {
        self.note(now, What::SipReceived { message });
    }

    /// A SIP message went out.
    pub fn sip_sent(&mut self, now: Instant, message: String) {
        self.note(now, What::SipSent { message });
    }

    /// The call was answered.
    pub fn answered(&mut self, now: Instant) {
        self.answered_ms = Some(self.ms(now));
        self.note(now, What::Answered {});
    }

    /// What audio was agreed on.
    pub fn media_agreed(&mut self, now: Instant, codec: &str, encrypted: bool) {
        self.media_encrypted = encrypted;
        self.note(now, What::MediaAgreed { codec: codec.to_owned(), encrypted });
    }

    /// The caller began to speak.
    pub fn speech_began(&mut self, now: Instant) {
        self.hearing = Some(Utterance { began_ms: self.ms(now), ..Utterance::default() });
        self.note(now, What::SpeechBegan {});
    }

    /// The caller has been silent for `silence`; `level` is what their speech had, in dBFS.
    pub fn speech_ended(&mut self, now: Instant, silence: Duration, level: f32) {
        let noticed = self.ms(now);
        if let Some(hearing) = &mut self.hearing {
            hearing.noticed_ms = Some(noticed);
            hearing.silent_ms = Some(noticed.saturating_sub(silence.as_millis() as u64));
        }
        self.note(now, What::SpeechEnded { level_dbfs: level.round() as i32 });
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

    /// A key was pressed. Which is not written down: it may be part of a secret.
    pub fn key_pressed(&mut self, now: Instant) {
        self.note(now, What::DigitPressed {});
    }

    /// A line of the transcript; `open` if it may still be revised.
    pub fn said(&mut self, now: Instant, speaker: Speaker, text: &str, open: bool) {
        let callers = matches!(speaker, Speaker::Caller | Speaker::CallerDigits);
        if callers && (!open || self.open.len() == OPEN_MAX) {
            self.settle();
        }
        match speaker {
            Speaker::Caller | Speaker::CallerDigits => self.lines.push(text.to_owned()),
            Speaker::Assistant => {
                if let Some(turn) = self.turns.back_mut() {
                    turn.output.push(text.to_owned());
                }
            }
            Speaker::Note => {}
        }
        let shown = if open { cautious(text) } else { text.to_owned() };
        if open {
            self.open_from.get_or_insert(self.turns_dropped + self.turns.len());
            self.open.push(text.to_owned());
        }
        self.note(now, What::Said { speaker, text: shown });
    }

    /// A line is other than it was told.
    pub fn revised(&mut self, was: &str, is: &str) {
        let of_turns = self.turns.iter_mut().rev().flat_map(|turn| turn.input.iter_mut().chain(&mut turn.output));
        let lines = self.lines.iter_mut().rev().chain(of_turns).chain(self.open.iter_mut().rev());
        lines.filter(|line| *line == was).for_each(|line| is.clone_into(line));
        for event in self.timeline.iter_mut().rev() {
            if let What::Said { text, .. } = &mut event.what
                && text == was
            {
                is.clone_into(text);
            }
        }
    }

    /// What was open is as it stands.
    fn settle(&mut self) {
        // Masked, a line and what it was revised to are alike; of lines that are alike the last is the last.
        for line in self.open.drain(..).rev() {
            let masked = cautious(&line);
            let told = self.timeline.iter_mut().rev().find_map(|event| match &mut event.what {
                What::Said { text, .. } if *text == masked => Some(text),
                _ => None,
            });
            if let Some(text) = told {
                *text = line;
            }
        }
        self.open_from = None;
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
        self.turns.push_back(Turn { number, request, asked_ms, utterance, input, ..Turn::default() });
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

    fn clip(&mut self, id: SayId) -> Option<(&mut Turn, usize)> {
        let found = |response: &Response| response.clip.as_ref().is_some_and(|clip| clip.id == id.0);
        self.turns.iter_mut().rev().find_map(|turn| {
            let at = turn.responses.iter().position(found)?;
            Some((turn, at))
        })
    }

    /// The first audio of something is there; only the first time counts.
    pub fn audio_ready(&mut self, now: Instant, id: SayId) {
        let at = self.ms(now);
        let Some((turn, n)) = self.clip(id) else { return };
        let after_ms = at.saturating_sub(turn.responses[n].at_ms);
        let Some(clip) = turn.responses[n].clip.as_mut().filter(|clip| clip.ready_ms.is_none()) else { return };
        clip.ready_ms = Some(at);
        self.note(now, What::AudioReady { after_ms });
    }

    /// All audio of something is there, and who made it.
    pub fn made_by(&mut self, now: Instant, id: SayId, origin: &Origin) {
        self.audio_ready(now, id);
        let Some((turn, n)) = self.clip(id) else { return };
        if let Some(clip) = &mut turn.responses[n].clip {
            clip.origin = origin.clone();
        }
        self.served(now, "text_to_speech", origin);
    }

    /// The first sample of something goes out. Returns what the caller waited if it is the first of its turn.
    pub fn audio_began(&mut self, now: Instant, id: SayId) -> Option<Duration> {
        let at = self.ms(now);
        let (turn, n) = self.clip(id)?;
        if let Some(clip) = &mut turn.responses[n].clip {
            clip.began_ms = Some(at);
        }
        let first = turn.first_audio.is_none().then(|| {
            let since = turn.utterance.as_ref().and_then(|utterance| utterance.silent_ms).unwrap_or(turn.asked_ms);
            Duration::from_millis(at.saturating_sub(since))
        });
        turn.first_audio = turn.first_audio.or(first);
        let after_ms = first.map(|waited| waited.as_millis() as u64);
        self.note(now, What::AudioBegan { after_ms });
        first
    }

    /// The last sample went out.
    pub fn audio_ended(&mut self, now: Instant, id: SayId) {
        let at = self.ms(now);
        let Some((turn, n)) = self.clip(id) else { return };
        if let Some(clip) = &mut turn.responses[n].clip {
            clip.ended_ms = Some(at);
        }
        self.note(now, What::AudioEnded {});
    }

    /// The caller interrupts what is being heard; how much of it was heard is told later.
    pub fn interrupted(&mut self, now: Instant) {
        let clips = self.turns.back_mut().into_iter().flat_map(|turn| &mut turn.responses);
        let sounding = clips.filter_map(|response| response.clip.as_mut()).find(|clip| clip.ended_ms.is_none());
        if let Some(clip) = sounding {
            clip.cut = true;
            self.note(now, What::Interrupted {});
        }
    }

    /// The caller interrupted it after this share of it.
    pub fn audio_cut(&mut self, now: Instant, id: SayId, share: f32) {
        let at = self.ms(now);
        let Some((turn, n)) = self.clip(id) else { return };
        if let Some(clip) = &mut turn.responses[n].clip {
            (clip.ended_ms, clip.cut) = (Some(at), true);
        }
        self.note(now, What::AudioCut { share });
    }

    /// Another recognizer listens from here on.
    pub fn listened_by(&mut self, now: Instant, service: &'static str, stands_in: bool) {
        if self.recognizer.replace(service) != Some(service) {
            self.note(now, What::ListenedBy { service: service.into() });
            self.served(now, "speech_to_text", &Origin { service, stands_in, transaction: None });
        }
    }

    /// Tells once a service and port that another took over.
    fn served(&mut self, now: Instant, port: &str, origin: &Origin) {
        let message = format!("{port}: {} has taken over", origin.service);
        if origin.stands_in && !self.warnings.iter().any(|(_, told)| *told == message) {
            self.warn(now, "service_switched", message);
        }
    }

    /// Something that is not as it should be, by the vendor's message identifier where there is one.
    pub fn warn(&mut self, now: Instant, id: &'static str, message: impl Into<String>) {
        let message = message.into();
        if self.warnings.len() < WARNINGS_MAX {
            self.warnings.push((id, message.clone()));
        }
        self.note(now, What::Warned { id: id.into(), message });
    }

    /// The custom data as merged so far.
    pub fn custom_data(&mut self, data: &Map<String, Value>) {
        if self.custom_data != *data {
            self.custom_data.clone_from(data);
        }
    }

    /// How the audio was: the caller's, and ours as the far end reports it.
    pub fn audio_summary(&mut self, inbound: StreamSummary, outbound: StreamSummary) {
        (self.inbound, self.outbound) = (Some(inbound), Some(outbound));
    }

    /// The call is over. Only the first end counts.
    pub fn close(&mut self, now: Instant, reason: EndReason, details: Option<String>) {
        if self.closing.is_some() {
            return;
        }
        self.settle();
        self.note(now, What::Ended { reason: reason.label().into(), details: details.clone() });
        self.closing = Some(Closing { at_ms: self.ms(now), reason, details });
    }

    /// Whether it has been closed.
    pub fn is_closed(&self) -> bool {
        self.closing.is_some()
    }
}

/// It never shows what was said, nor by whom.
impl fmt::Debug for CallRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallRecord({}, {} turns, {} events)", self.opening.call, self.turns.len(), self.events)
    }
}
