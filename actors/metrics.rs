//! Every metric family, once: described, and zero-initialised so that a fault is a change and not an appearance.
//!
//! Invariant: no file outside this module names a metric.

mod buckets;
mod node;
mod signalling;
mod turn_taking;

use std::time::Duration;

use bellhop_connect::UnknownContact;
use bellhop_dialogue::ports::TurnInput;
use bellhop_dialogue::turn_loop;
use bellhop_media::quality::MediaQuality;
use bellhop_media::receiver::DropReason;
use metrics::{Counter, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use bellhop_call::ending::Ending;

pub use buckets::HISTOGRAMS;
pub use node::{
    ConfigurationRead, Process, build, certificate_expires, configuration_read, draining, log_events_waiting,
    node_limits, process, service_at_rest, spooled, store_applied, tenant_limit, tenant_skipped,
};
pub use signalling::{SIP_STATUSES, SignallingFamilies, TEARDOWN_KINDS};
pub use turn_taking::{EarlyQuestion, asked_early, barge_in};

const CALLS_ACTIVE: &str = "bellhop_calls_active";
const CALLS_OFFERED: &str = "bellhop_calls_offered_total";
const CALLS_ENDED: &str = "bellhop_calls_ended_total";
const CALL_SETUP: &str = "bellhop_call_setup_seconds";
const CALL_DURATION: &str = "bellhop_call_duration_seconds";
const TURNS: &str = "bellhop_turns_total";
const RESPONSES_SKIPPED: &str = "bellhop_responses_skipped_total";
const UTTERANCES_DROPPED: &str = "bellhop_utterances_dropped_total";
const SOUNDS_FAILED: &str = "bellhop_sounds_failed_total";
const SERVICE_SWITCHES: &str = "bellhop_service_switches_total";
const LOG_EVENTS: &str = "bellhop_log_events_total";
const RECORDS_LOST: &str = "bellhop_records_lost_total";
const FIRST_AUDIO: &str = "bellhop_first_audio_seconds";
const ASSISTANT: &str = "bellhop_assistant_seconds";
const SPEECH: &str = "bellhop_speech_to_text_seconds";
const SYNTHESIS: &str = "bellhop_text_to_speech_seconds";
const HANDOFFS: &str = "bellhop_handoffs_total";
const HANDOFF_SECONDS: &str = "bellhop_handoff_seconds";
const SIP_DROPPED: &str = "bellhop_sip_messages_dropped_total";
const RTP_PACKETS: &str = "bellhop_rtp_packets_total";
const RTP_DROPPED: &str = "bellhop_rtp_packets_dropped_total";
const RTP_CONCEALED: &str = "bellhop_rtp_frames_concealed_total";
const RTP_SEND_FAILED: &str = "bellhop_rtp_send_failures_total";
const CLOCK_SLIPS: &str = "bellhop_media_clock_slips_total";
const AUDIO_DROPPED: &str = "bellhop_caller_audio_batches_dropped_total";
const SAMPLES_HEARD: &str = "bellhop_recognizer_samples_total";
const PORTS_FREE: &str = "bellhop_rtp_ports_free";
const CALL_MOS: &str = "bellhop_call_mean_opinion_score";
const CALL_LOSS: &str = "bellhop_call_packet_loss_ratio";
const CALL_JITTER: &str = "bellhop_call_jitter_seconds";
const CALL_ROUND_TRIP: &str = "bellhop_call_round_trip_seconds";
const BYES_UNANSWERED: &str = "bellhop_sip_byes_unanswered_total";
const STANDSTILLS: &str = "bellhop_standstills_total";
const MAIN_THREAD_STUCK: &str = "bellhop_main_thread_stuck_total";
const STANDSTILL_SECONDS: &str = "bellhop_standstill_seconds_total";
const CONTACTS_UNKNOWN: &str = "bellhop_calls_without_contact_total";
const SENT_AS_TEXT: &str = "bellhop_flow_references_sent_as_text_total";
const CALLS_HUNG: &str = "bellhop_calls_hung_total";

/// The results of a hand-off, as labels.
pub const HANDOFF_RESULTS: [&str; 4] = ["committed", "refused", "uncertain", "impossible"];
/// Why SIP bytes were dropped.
pub const SIP_DROPS: [&str; 7] = ["malformed", "overload", "unsendable", "source", "shut_out", "tls", "protocol"];

/// Describes every family and sets every known series to zero. Call it once the recorder is installed.
pub fn describe(tenants: &[&str]) {
    describe_families();
    node::describe();
    signalling::describe();
    turn_taking::describe();
    tenants.iter().for_each(|tenant| describe_tenant(tenant));
    zero_series();
}

fn describe_families() {
    describe_gauge!(CALLS_ACTIVE, "Calls that are up, per tenant.");
    describe_counter!(CALLS_OFFERED, "INVITEs that reached a tenant.");
    describe_counter!(CALLS_ENDED, "Calls that ended, by tenant and why.");
    describe_histogram!(CALL_SETUP, Unit::Seconds, "From INVITE to 200.");
    describe_histogram!(CALL_DURATION, Unit::Seconds, "From INVITE to the end.");
    describe_counter!(TURNS, "Turns sent to the assistant, by what the caller did.");
    describe_counter!(RESPONSES_SKIPPED, "Responses of a type this channel does not serve.");
    describe_counter!(UTTERANCES_DROPPED, "Utterances that were dropped, by reason.");
    describe_counter!(SERVICE_SWITCHES, "Requests and streams that another service took over, by kind.");
    describe_counter!(LOG_EVENTS, "Tries to deliver an event to a tenant's log webhook, by result.");
    describe_counter!(RECORDS_LOST, "Records of calls and turns that the store did not take in time.");
    describe_histogram!(
        FIRST_AUDIO,
        Unit::Seconds,
        "From the end of the caller's speech, or a key, to our first audio."
    );
    describe_counter!(SOUNDS_FAILED, "Sounds that the assistant named and that could not be fetched.");
    describe_histogram!(ASSISTANT, Unit::Seconds, "From a turn's request to its reply.");
    describe_histogram!(SPEECH, Unit::Seconds, "From the end of an utterance to its words.");
    describe_histogram!(SYNTHESIS, Unit::Seconds, "From a text to its audio.");
    describe_counter!(HANDOFFS, "Hand-offs to Amazon Connect, by result.");
    describe_histogram!(HANDOFF_SECONDS, Unit::Seconds, "From the commit to the outcome of UpdateContactAttributes.");
    describe_counter!(SIP_DROPPED, "SIP messages dropped, by reason.");
    describe_counter!(RTP_PACKETS, "RTP packets, by direction.");
    describe_counter!(RTP_DROPPED, "Inbound RTP packets dropped, by reason.");
    describe_counter!(RTP_CONCEALED, "Frames of 20 ms filled by concealment: losses as the caller's audio had them.");
    describe_counter!(RTP_SEND_FAILED, "Outbound RTP packets the kernel refused.");
    describe_counter!(CLOCK_SLIPS, "Times a media clock fell so far behind that frames were given up.");
    describe_counter!(AUDIO_DROPPED, "Batches of caller audio a full recognizer mailbox refused.");
    describe_counter!(SAMPLES_HEARD, "8 kHz samples of caller audio handed to recognizers.");
    describe_gauge!(PORTS_FREE, "RTP port pairs that can be drawn now.");
    describe_histogram!(CALL_MOS, "Mean opinion score of a call's inbound audio, estimated by the E-model: 1 to 4.5.");
    describe_histogram!(CALL_LOSS, "Share of a call's inbound packets that were lost or too late: 0 to 1.");
    describe_histogram!(CALL_JITTER, Unit::Seconds, "Interarrival jitter of a call (RFC 3550).");
    describe_histogram!(CALL_ROUND_TRIP, Unit::Seconds, "Round trip of a call, by RTCP.");
    describe_counter!(SENT_AS_TEXT, "Calls whose flow sent a reference like $.InstanceARN as text.");
    describe_counter!(
        CONTACTS_UNKNOWN,
        "Calls of tenants of Amazon Connect that were served without their contact, by reason."
    );
    describe_counter!(CALLS_HUNG, "Calls the watchdog found hung.");
    describe_counter!(MAIN_THREAD_STUCK, "Times the main thread, which carries all signalling, was found to be stuck.");
    describe_counter!(STANDSTILLS, "Times the process was found to have stood still: stopped, or its machine moved.");
    describe_counter!(STANDSTILL_SECONDS, Unit::Seconds, "How long the process stood still in all.");
    describe_counter!(BYES_UNANSWERED, "BYEs that nobody answered, by no way there was.");
}

/// The series of the node, at zero; those of a tenant: [`describe_tenant`].
fn zero_series() {
    SIP_DROPS.iter().for_each(|reason| counter!(SIP_DROPPED, "reason" => *reason).absolute(0));
    ["received", "sent"].iter().for_each(|direction| counter!(RTP_PACKETS, "direction" => *direction).absolute(0));
    DropReason::ALL.iter().for_each(|why| counter!(RTP_DROPPED, "reason" => why.label()).absolute(0));
    for name in [
        RTP_CONCEALED,
        RTP_SEND_FAILED,
        CLOCK_SLIPS,
        AUDIO_DROPPED,
        SAMPLES_HEARD,
        CALLS_HUNG,
        BYES_UNANSWERED,
        MAIN_THREAD_STUCK,
        STANDSTILLS,
        STANDSTILL_SECONDS,
    ] {
        counter!(name).absolute(0);
    }
    gauge!(PORTS_FREE).set(0.0);
}

/// Makes every series of a tenant, at zero where it was not there before. A tenant may be added while calls run.
pub fn describe_tenant(tenant: &str) {
    node::describe_tenant(tenant);
    turn_taking::describe_tenant(tenant);
    for (family, _) in HISTOGRAMS {
        // It is there as soon as it is named; nothing is recorded.
        drop(histogram!(family, "tenant" => tenant.to_owned()));
    }
    // It may have calls already: a tenant that comes back.
    gauge!(CALLS_ACTIVE, "tenant" => tenant.to_owned()).increment(0.0);
    counter!(CALLS_OFFERED, "tenant" => tenant.to_owned()).absolute(0);
    counter!(RESPONSES_SKIPPED, "tenant" => tenant.to_owned()).absolute(0);
    counter!(SOUNDS_FAILED, "tenant" => tenant.to_owned()).absolute(0);
    for result in ["delivered", "postponed", "dropped"] {
        counter!(LOG_EVENTS, "tenant" => tenant.to_owned(), "result" => result).absolute(0);
    }
    counter!(RECORDS_LOST, "tenant" => tenant.to_owned()).absolute(0);
    for port in ["assistant", "speech_to_text", "text_to_speech"] {
        counter!(SERVICE_SWITCHES, "tenant" => tenant.to_owned(), "port" => port).absolute(0);
    }
    for why in turn_loop::DropReason::ALL {
        counter!(UTTERANCES_DROPPED, "tenant" => tenant.to_owned(), "reason" => why.label()).absolute(0);
    }
    counter!(SENT_AS_TEXT, "tenant" => tenant.to_owned()).absolute(0);
    for why in UnknownContact::ALL {
        counter!(CONTACTS_UNKNOWN, "tenant" => tenant.to_owned(), "reason" => why.label()).absolute(0);
    }
    for ending in Ending::LABELS {
        counter!(CALLS_ENDED, "tenant" => tenant.to_owned(), "reason" => *ending).absolute(0);
    }
    for input in TurnInput::LABELS {
        counter!(TURNS, "tenant" => tenant.to_owned(), "type" => input).absolute(0);
    }
    for result in HANDOFF_RESULTS {
        counter!(HANDOFFS, "tenant" => tenant.to_owned(), "result" => result).absolute(0);
    }
}

/// What a shard counts between two flushes, in plain integers.
#[derive(Debug, Default)]
pub struct MediaCounters {
    /// Datagrams read.
    pub received: u64,
    /// Packets sent.
    pub sent: u64,
    /// Packets the kernel refused.
    pub send_failed: u64,
    /// Frames concealed.
    pub concealed: u64,
    /// Drops by [`DropReason`].
    pub dropped: [u64; DropReason::ALL.len()],
    /// Times the clock gave up frames.
    pub clock_slips: u64,
    /// Slices since the last flush.
    pub slices: u32,
}

impl MediaCounters {
    /// Adds everything to the families and starts again.
    pub fn flush(&mut self, families: &MediaFamilies) {
        families.received.increment(self.received);
        families.sent.increment(self.sent);
        families.send_failed.increment(self.send_failed);
        families.concealed.increment(self.concealed);
        families.clock_slips.increment(self.clock_slips);
        for (family, count) in families.dropped.iter().zip(self.dropped) {
            family.increment(count);
        }
        *self = Self::default();
    }
}

/// The families that a clock of the media and its calls count in, looked up once: looking up allocates.
pub struct MediaFamilies {
    /// Samples that are handed to a recognizer.
    pub heard: Counter,
    received: Counter,
    sent: Counter,
    send_failed: Counter,
    concealed: Counter,
    clock_slips: Counter,
    dropped: [Counter; DropReason::ALL.len()],
}

impl Default for MediaFamilies {
    fn default() -> Self {
        Self {
            heard: counter!(SAMPLES_HEARD),
            received: counter!(RTP_PACKETS, "direction" => "received"),
            sent: counter!(RTP_PACKETS, "direction" => "sent"),
            send_failed: counter!(RTP_SEND_FAILED),
            concealed: counter!(RTP_CONCEALED),
            clock_slips: counter!(CLOCK_SLIPS),
            dropped: DropReason::ALL.map(|why| counter!(RTP_DROPPED, "reason" => why.label())),
        }
    }
}

/// A call was offered to a tenant.
pub fn call_offered(tenant: &str) {
    counter!(CALLS_OFFERED, "tenant" => tenant.to_owned()).increment(1);
}

/// A call came up.
pub fn call_began(tenant: &str) {
    gauge!(CALLS_ACTIVE, "tenant" => tenant.to_owned()).increment(1.0);
}

/// A call that had begun is over.
pub fn call_over(tenant: &str, lasted: Duration) {
    gauge!(CALLS_ACTIVE, "tenant" => tenant.to_owned()).decrement(1.0);
    histogram!(CALL_DURATION, "tenant" => tenant.to_owned()).record(lasted);
}

/// Why a call ended.
pub fn call_ended(tenant: &str, ending: &'static str) {
    counter!(CALLS_ENDED, "tenant" => tenant.to_owned(), "reason" => ending).increment(1);
}

/// A call was answered.
pub fn call_answered(tenant: &str, after: Duration) {
    histogram!(CALL_SETUP, "tenant" => tenant.to_owned()).record(after);
}

/// The audio of a call was so.
pub fn call_quality(tenant: &str, quality: &MediaQuality) {
    histogram!(CALL_MOS, "tenant" => tenant.to_owned()).record(f64::from(quality.mean_opinion_score));
    histogram!(CALL_LOSS, "tenant" => tenant.to_owned()).record(f64::from(quality.loss));
    histogram!(CALL_JITTER, "tenant" => tenant.to_owned()).record(quality.jitter);
    if let Some(round_trip) = quality.round_trip {
        histogram!(CALL_ROUND_TRIP, "tenant" => tenant.to_owned()).record(round_trip);
    }
}

/// A turn was sent.
pub fn turn(tenant: &str, input: &'static str) {
    counter!(TURNS, "tenant" => tenant.to_owned(), "type" => input).increment(1);
}

/// A response was skipped.
pub fn response_skipped(tenant: &str) {
    counter!(RESPONSES_SKIPPED, "tenant" => tenant.to_owned()).increment(1);
}

/// An utterance was dropped.
pub fn utterance_dropped(tenant: &str, why: turn_loop::DropReason) {
    counter!(UTTERANCES_DROPPED, "tenant" => tenant.to_owned(), "reason" => why.label()).increment(1);
}

/// The next service of a kind took over: `assistant`, `speech_to_text` or `text_to_speech`.
pub fn service_switched(tenant: &str, port: &'static str) {
    counter!(SERVICE_SWITCHES, "tenant" => tenant.to_owned(), "port" => port).increment(1);
}

/// A try to deliver an event to a tenant's log webhook.
pub fn log_event(tenant: &str, delivered: bool) {
    let result = if delivered { "delivered" } else { "postponed" };
    counter!(LOG_EVENTS, "tenant" => tenant.to_owned(), "result" => result).increment(1);
}

/// Events that made place for later ones: the receiver of a tenant takes none, or too few.
pub fn log_events_dropped(tenant: &str, events: u64) {
    counter!(LOG_EVENTS, "tenant" => tenant.to_owned(), "result" => "dropped").increment(events);
}

/// A record, or the log of a turn, that the store did not take in time.
pub fn record_lost(tenant: &str) {
    counter!(RECORDS_LOST, "tenant" => tenant.to_owned()).increment(1);
}

/// What a caller waited: from the end of their speech, or their key, to our first audio.
pub fn first_audio(tenant: &str, waited: Duration) {
    histogram!(FIRST_AUDIO, "tenant" => tenant.to_owned()).record(waited);
}

/// A sound that the assistant named could not be fetched.
pub fn sound_failed(tenant: &str) {
    counter!(SOUNDS_FAILED, "tenant" => tenant.to_owned()).increment(1);
}

/// The assistant answered.
pub fn assistant_answered(tenant: &str, after: Duration) {
    histogram!(ASSISTANT, "tenant" => tenant.to_owned()).record(after);
}

/// An utterance was recognised.
pub fn utterance_recognised(tenant: &str, after: Duration) {
    histogram!(SPEECH, "tenant" => tenant.to_owned()).record(after);
}

/// A text was synthesised.
pub fn text_synthesised(tenant: &str, after: Duration) {
    histogram!(SYNTHESIS, "tenant" => tenant.to_owned()).record(after);
}

/// A hand-off ended; `result` is one of [`HANDOFF_RESULTS`].
pub fn handoff(tenant: &str, result: &'static str, after: Option<Duration>) {
    counter!(HANDOFFS, "tenant" => tenant.to_owned(), "result" => result).increment(1);
    if let Some(after) = after {
        histogram!(HANDOFF_SECONDS, "tenant" => tenant.to_owned()).record(after);
    }
}

/// A SIP message was dropped; `reason` is one of [`SIP_DROPS`].
pub fn sip_dropped(reason: &'static str) {
    counter!(SIP_DROPPED, "reason" => reason).increment(1);
}

/// Caller audio was refused by a full mailbox.
pub fn caller_audio_dropped() {
    counter!(AUDIO_DROPPED).increment(1);
}

/// How many RTP port pairs are free.
pub fn ports_free(count: usize) {
    gauge!(PORTS_FREE).set(count as f64);
}

/// Nobody answered a BYE, by no way there was.
pub fn bye_unanswered() {
    counter!(BYES_UNANSWERED).increment(1);
}

/// The thread that carries all signalling is silent.
pub fn main_thread_stuck() {
    counter!(MAIN_THREAD_STUCK).increment(1);
}

/// The process stood still for so long.
pub fn standstill(lasted: Duration) {
    counter!(STANDSTILLS).increment(1);
    counter!(STANDSTILL_SECONDS).increment(lasted.as_secs());
}

/// A call of a tenant of Amazon Connect is served without its contact.
pub fn contact_unknown(tenant: &str, why: UnknownContact) {
    counter!(CONTACTS_UNKNOWN, "tenant" => tenant.to_owned(), "reason" => why.label()).increment(1);
}

/// A flow sent a reference as text where its value should be.
pub fn sent_as_text(tenant: &str) {
    counter!(SENT_AS_TEXT, "tenant" => tenant.to_owned()).increment(1);
}

/// The watchdog found a hung call.
pub fn call_hung() {
    counter!(CALLS_HUNG).increment(1);
}
