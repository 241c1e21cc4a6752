//! What became of a call: a timeline while it happens, and the call detail record afterwards.
//!
//! Whoever sees something writes it down; nobody reads before the end, except for turns that are over and for who looks on.
//! Words that may turn out to be a part of something to mask are open: who looks on sees them masked, and a turn is not over
//! before they are settled. Invariants: every
//! list is bounded; words come in as the transcript shows them, redacted and masked; the record as the vendor defines it
//! ([`CallRecord::details`]) holds no words at all.

mod audio;
mod details;
mod timeline;
mod turns;
mod words;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use bellhop_dialogue::call_facts::CallFacts;
use bellhop_dialogue::ports::Origin;
pub use bellhop_dialogue::transcript::Speaker;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
pub use timeline::{Began, Event, What};
pub use turns::TURNS_MAX;
use turns::{Turn, Utterance};

pub use crate::ending::EndReason;
use crate::ending::{self, Ending};

/// Most events kept of one call; the oldest fall off.
pub const EVENTS_MAX: usize = 4000;
/// Most warnings kept of one call; later ones are counted as events alone.
pub(crate) const WARNINGS_MAX: usize = 100;

/// `failure_details` of a call whose server died while it was up.
pub const LOST: &str = "lost: the server ended while the call was up";
/// The same of one whose end nobody told.
pub const BROKEN_OFF: &str = "the call broke off";

/// What is known of a call when it begins.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Opening {
    /// Names the call among all calls of all servers: a UUID.
    pub session: String,
    /// Names it in this server's log.
    pub call: String,
    /// The name of the tenant.
    pub tenant: String,
    /// Which assistant leads it: the vendor's identifier, or the kind.
    pub assistant: String,
    /// Caller, dialled number, SIP identifiers.
    pub facts: Arc<CallFacts>,
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

/// One direction of the audio, as far as it was measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StreamSummary {
    /// The largest interarrival jitter (RFC 3550), in milliseconds.
    pub maximum_jitter: Option<u64>,
    /// Its mean, in milliseconds.
    pub average_jitter: Option<u64>,
    /// RTP packets that did not arrive.
    pub packets_lost: Option<u64>,
    /// RTP packets of this direction.
    pub packets_transmitted: u64,
    /// CNAME of the sender (RFC 3550 section 6.5.1).
    pub canonical_name: Option<String>,
    /// TOOL of the sender (RFC 3550 section 6.5.6).
    pub tool_name: Option<String>,
    /// The estimate of the E-model (ITU-T G.107), 1 to 4.5: of what we hear of the caller.
    pub mean_opinion_score: Option<f32>,
    /// There and back, in milliseconds, as RTCP tells.
    pub round_trip: Option<u64>,
}

/// How it ended.
struct Closing {
    at_ms: u64,
    reason: EndReason,
    /// `call.ending`
    ending: &'static str,
    details: Option<String>,
}

/// The record of one call.
pub struct CallRecord {
    opening: Opening,
    began: Instant,
    answered_ms: Option<u64>,
    media_encrypted: bool,
    /// Shared with who looks on.
    timeline: VecDeque<Arc<Event>>,
    events: usize,
    /// Each has room of its own: most of a call's are still to come.
    turns: VecDeque<Box<Turn>>,
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
    /// The caller's, and ours: both are known at the end.
    audio: Option<Box<(StreamSummary, StreamSummary)>>,
    recognizer: Option<&'static str>,
    closing: Option<Closing>,
}

impl CallRecord {
    /// The record of a call whose INVITE came at `began`.
    pub fn open(opening: Opening, began: Instant) -> Self {
        let what = Began {
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
            audio: None,
            recognizer: None,
            closing: None,
        };
        record.note(began, What::Began(what.into()));
        record
    }

    /// The record of a call whose server died while it was up: all that is known is how it began.
    pub fn lost(opening: Opening, now: Instant) -> Self {
        let mut record = Self::open(opening, now);
        record.close_as(now, (EndReason::Failed, ending::LOST), Some(LOST.to_owned()));
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
        self.timeline.push_back(Arc::new(Event { at_ms: self.ms(now), what }));
    }

    /// What is known since the call began.
    pub fn opening(&self) -> &Opening {
        &self.opening
    }

    /// The events since there had been so many in all, and how many there have been now.
    pub fn since(&self, events: usize) -> (impl Iterator<Item = &Arc<Event>>, usize) {
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

    /// A key was pressed. Which is not written down: it may be part of a secret.
    pub fn key_pressed(&mut self, now: Instant) {
        self.note(now, What::DigitPressed {});
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
        self.audio = Some(Box::new((inbound, outbound)));
    }

    /// The call is over, and why; `details` of what broke. Only the first end counts.
    pub fn close(&mut self, now: Instant, ending: &Ending, details: Option<String>) {
        self.close_as(now, (ending.record_reason(), ending.label()), details);
    }

    /// The call is over, and nobody told why.
    pub fn break_off(&mut self, now: Instant) {
        self.close_as(now, (EndReason::Failed, ending::BROKEN_OFF), Some(BROKEN_OFF.to_owned()));
    }

    fn close_as(&mut self, now: Instant, (reason, ending): (EndReason, &'static str), details: Option<String>) {
        if self.closing.is_some() {
            return;
        }
        self.settle();
        self.note(now, What::Ended { reason: reason.label().into(), details: details.clone() });
        self.closing = Some(Closing { at_ms: self.ms(now), reason, ending, details });
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
