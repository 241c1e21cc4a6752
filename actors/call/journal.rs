//! The journal of a call: its children write down what they see, each in its own words; the record goes to the tenant's
//! keeper when the call is over, however that comes about.
//!
//! Invariant: exactly one record a call leaves here; a call whose supervisor dies leaves one that says that it failed.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use actix::{Message, Recipient};
use bellhop_call::record::{CallRecord, Opening, StreamSummary};
use bellhop_sip::hop::Transport;

use super::{NewCall, leg};
use crate::media_shard::LegCores;
use crate::node::call_registry::CallId;
use crate::services::{Observer, RecordKeeper};
use bellhop_call::ending::Ending;

/// The vendor's identifier of jitter beyond 30 ms.
pub(crate) const JITTER: &str = "CWSMR0033W";
/// More jitter than this is told.
pub(crate) const JITTER_MAX: Duration = Duration::from_millis(30);
/// The vendor's identifier of speech that is made more slowly than it is heard.
pub(crate) const UNDERFLOW: &str = "CWSMR0031W";
/// The vendor's identifier of an utterance of too little confidence.
pub(crate) const CONFIDENCE: &str = "CWSMR0032W";
/// The vendor's identifier of a recognizer that broke off and is connected to again.
pub(crate) const RECOGNIZER: &str = "CWSMR0070W";

/// A parameter of a reply that is out of range; ours.
pub(crate) const OUT_OF_RANGE: &str = "reply_parameter_ignored";
/// Custom data that Amazon Connect would refuse as they are; ours.
pub(crate) const CUSTOM_DATA: &str = "custom_data_changed";

/// The identifier of the warning that nobody answered the BYE.
pub(crate) const BYE_UNANSWERED: &str = "bye_unanswered";

/// A call's journal; all actors of the call hold it.
#[derive(Clone)]
pub(crate) struct Journal(Rc<RefCell<Pages>>);

struct Pages {
    /// None once it is with the keeper.
    record: Option<CallRecord>,
    call: CallId,
    keeper: Arc<dyn RecordKeeper>,
    observer: Option<Arc<dyn Observer>>,
    /// Where the record waits for what comes of the teardown.
    files: Recipient<FileRecord>,
    observed: usize,
    turns_told: usize,
}

impl Journal {
    /// The journal of a call that begins.
    pub(super) fn open(new_call: &NewCall) -> Self {
        let services = &new_call.services;
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let began = since_1970.saturating_sub(crate::now() - new_call.began);
        let opening = Opening {
            session: uuid(rand::random()),
            call: new_call.id.to_string(),
            tenant: services.integration.tenant.name.clone(),
            assistant: services.assistant_id.to_string(),
            facts: Arc::clone(&new_call.facts),
            trunk_call_id: new_call.invite.headers.get("X-Global-SIP-Trunk-Call-ID").map(str::to_owned),
            began_unix_ms: began.as_millis() as i64,
            active_calls: new_call.active_calls,
            signaling_encrypted: new_call.hop.transport == Transport::Tls,
            sip_authenticated: services.integration.login.is_some(),
        };
        services.records.began(&opening);
        let pages = Pages {
            record: Some(CallRecord::open(opening, new_call.began)),
            call: new_call.id,
            keeper: Arc::clone(&services.records),
            observer: services.observer.clone(),
            files: new_call.reception.files.clone(),
            observed: 0,
            turns_told: 0,
        };
        let journal = Self(Rc::new(RefCell::new(pages)));
        journal.write(|record, now| record.sip_received(now, "INVITE".to_owned()));
        journal
    }

    /// Writes something down. After the end nothing is.
    pub(crate) fn write<T>(&self, write: impl FnOnce(&mut CallRecord, Instant) -> T) -> Option<T> {
        let mut pages = self.0.borrow_mut();
        let written = write(pages.record.as_mut()?, crate::now());
        pages.tell();
        Some(written)
    }

    /// The call is over, and why.
    pub(super) fn end(&self, ending: &Ending, cores: Option<&LegCores>, teardown: Vec<String>) {
        if let Some(cores) = cores {
            self.write(|record, now| audio(record, now, cores));
        }
        // The endpoint sends them once this call is gone.
        for message in teardown {
            self.write(|record, now| record.sip_sent(now, message));
        }
        let details = ending.details();
        self.write(|record, now| record.close(now, ending, details));
    }

    /// Nobody has anything more to write.
    pub(super) fn hand_in(&self) {
        self.0.borrow_mut().hand_in();
    }
}

impl Pages {
    /// Tells the observer what is new, and the keeper of turns that are over.
    fn tell(&mut self) {
        let Some(record) = &self.record else { return };
        if let Some(observer) = &self.observer {
            let (events, observed) = record.since(self.observed);
            events.for_each(|event| observer.saw(self.call, event));
            self.observed = observed;
        }
        if !self.keeper.wants_turns() {
            return;
        }
        while self.turns_told < record.turns_over() {
            if let Some(log) = record.turn_log(self.turns_told) {
                self.keeper.turn(record, log);
            }
            self.turns_told += 1;
        }
    }

    fn hand_in(&mut self) {
        if let Some(record) = self.record.take() {
            let (keeper, observer) = (Arc::clone(&self.keeper), self.observer.clone());
            self.files.do_send(FileRecord { id: self.call, record, keeper, observer });
        }
    }
}

/// The supervisor died, or its thread: what is known is handed in all the same.
impl Drop for Pages {
    fn drop(&mut self) {
        if let Some(record) = &mut self.record {
            record.break_off(crate::now());
            self.tell();
            self.hand_in();
        }
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Journal({})", self.0.borrow().call)
    }
}

/// How the audio was, both ways.
fn audio(record: &mut CallRecord, now: Instant, cores: &LegCores) {
    let quality = leg::quality(cores);
    let mut receiver = cores.receiver.borrow_mut();
    let clock_rate = receiver.format().codec.clock_rate();
    let totals = receiver.totals();
    let Some(reception) = receiver.reception() else { return };
    let control = cores.control.borrow();
    let sent = cores.playout.borrow().sent();
    let maximum = reception.jitters().highest(clock_rate);
    if maximum > JITTER_MAX {
        let maximum = maximum.as_millis();
        record.warn(now, JITTER, format!("the caller's audio came with up to {maximum} ms of jitter"));
    }
    let (canonical_name, tool_name) = control.far_end_names();
    let inbound = StreamSummary {
        maximum_jitter: Some(maximum.as_millis() as u64),
        average_jitter: Some(reception.jitters().mean(clock_rate).as_millis() as u64),
        packets_lost: Some(totals.lost.into()),
        packets_transmitted: totals.expected.into(),
        canonical_name: canonical_name.map(str::to_owned),
        tool_name: tool_name.map(str::to_owned),
        mean_opinion_score: quality.map(|quality| quality.mean_opinion_score),
        round_trip: quality.and_then(|quality| quality.round_trip).map(|trip| trip.as_millis() as u64),
    };
    let reported = control.far_end();
    let outbound = StreamSummary {
        maximum_jitter: reported.map(|report| report.jitters.highest(clock_rate).as_millis() as u64),
        average_jitter: reported.map(|report| report.jitters.mean(clock_rate).as_millis() as u64),
        packets_lost: reported.map(|report| report.lost.into()),
        packets_transmitted: sent.packets.into(),
        canonical_name: Some(control.canonical_name().to_owned()),
        tool_name: Some(concat!("Bellhop/", env!("CARGO_PKG_VERSION")).to_owned()),
        mean_opinion_score: None,
        round_trip: None,
    };
    record.audio_summary(inbound, outbound);
}

/// A UUID of random bits (RFC 9562 section 5.4).
fn uuid(random: u128) -> String {
    let bits = random & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// A call has nothing to add to its record: it is kept as soon as it is known what came of the teardown.
#[derive(Message)]
#[rtype(result = "()")]
pub struct FileRecord {
    /// The call whose record waits.
    pub id: CallId,
    /// Its record.
    pub record: CallRecord,
    /// Takes the record once the teardown is known.
    pub keeper: Arc<dyn RecordKeeper>,
    /// Who follows the call.
    pub observer: Option<Arc<dyn Observer>>,
}

impl FileRecord {
    /// Hands it to its keeper, with what came of the BYE.
    pub(crate) fn keep(mut self, bye_unanswered: bool) {
        if bye_unanswered {
            let (_, seen) = self.record.since(usize::MAX);
            self.record.warn(crate::now(), BYE_UNANSWERED, "nobody answered the BYE, by no way there is".to_owned());
            if let Some(observer) = &self.observer {
                self.record.since(seen).0.for_each(|event| observer.saw(self.id, event));
            }
        }
        self.keeper.keep(self.record);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_says_that_it_is_random() {
        assert_eq!(uuid(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
