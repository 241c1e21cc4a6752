//! The call detail record and the log of a turn as JSON, in the vendor's shapes; what is ours beside them is `latency`, `service`,
//! `ending`, `mean_opinion_score` and `round_trip_milliseconds`.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::turns::{Clip, Response, Turn, Utterance};
use super::{CallRecord, EndReason, Event, StreamSummary};
use crate::end_of_turn::EndedBy;
use crate::ending::BROKEN_OFF;

/// The call detail record.
#[derive(Serialize)]
struct Details<'a> {
    primary_phone_number: &'a str,
    global_session_id: &'a str,
    failure_occurred: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_details: Option<&'a str>,
    transfer_occurred: bool,
    active_calls: usize,
    #[serde(rename = "x-global-sip-trunk-call-id", skip_serializing_if = "Option::is_none")]
    trunk_call_id: Option<&'a str>,
    call: CallDetails,
    session_initiation_protocol: Sip<'a>,
    max_response_milliseconds: Longest,
    assistant_interaction_summaries: [Interaction<'a>; 1],
    injected_custom_data: &'a Map<String, Value>,
    warnings_and_errors: Vec<Warning<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    realtime_transport_network_summary: Option<Streams<'a>>,
}

#[derive(Serialize)]
struct CallDetails {
    start_timestamp: Stamp,
    stop_timestamp: Stamp,
    milliseconds_elapsed: u64,
    outbound: bool,
    end_reason: &'static str,
    ending: &'static str,
    security: Security,
}

#[derive(Serialize)]
struct Security {
    media_encrypted: bool,
    signaling_encrypted: bool,
    sip_authenticated: bool,
}

#[derive(Serialize)]
struct Sip<'a> {
    invite_arrival_timestamp: Stamp,
    setup_milliseconds: u64,
    headers: SipHeaders<'a>,
}

#[derive(Serialize)]
struct SipHeaders<'a> {
    call_id: &'a str,
    from_uri: &'a str,
    to_uri: &'a str,
}

#[derive(Serialize)]
struct Longest {
    assistant: u64,
    text_to_speech: u64,
    speech_to_text: u64,
}

#[derive(Serialize)]
struct Interaction<'a> {
    assistant_id: &'a str,
    session_id: &'a str,
    turns: Vec<TurnDetails<'a>>,
}

#[derive(Serialize)]
struct TurnDetails<'a> {
    assistant: Answered<'a>,
    request: Asked<'a>,
    response: Vec<Done<'a>>,
    latency: Latency,
}

#[derive(Serialize)]
struct Answered<'a> {
    start_timestamp: Stamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_milliseconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_id: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    service: &'a str,
}

#[derive(Serialize)]
struct Asked<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    streaming_statistics: Option<Heard<'a>>,
}

#[derive(Serialize)]
struct Heard<'a> {
    start_timestamp: Stamp,
    stop_timestamp: Stamp,
    response_milliseconds: u64,
    echo_detected: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Done<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    barge_in_occurred: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    streaming_statistics: Option<Spoken<'a>>,
}

#[derive(Serialize)]
struct Spoken<'a> {
    start_timestamp: Stamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_timestamp: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_milliseconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction_id: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    service: &'a str,
}

#[derive(Serialize)]
struct Warning<'a> {
    id: &'a str,
    message: &'a str,
}

#[derive(Serialize)]
struct Streams<'a> {
    inbound_stream: Stream<'a>,
    outbound_stream: Stream<'a>,
}

#[derive(Serialize)]
struct Stream<'a> {
    packets_transmitted: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum_jitter: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    average_jitter: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    packets_lost: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    canonical_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mean_opinion_score: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    round_trip_milliseconds: Option<u64>,
}

/// `yyyy-MM-ddTHH:mm:ss.SSSZ`.
struct Stamp(Timestamp);

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"))
    }
}

impl CallRecord {
    fn stamp(&self, at_ms: u64) -> Stamp {
        let unix_ms = self.opening.began_unix_ms.saturating_add_unsigned(at_ms);
        Stamp(Timestamp::from_millisecond(unix_ms).unwrap_or_default())
    }

    /// The call detail record: the payload of `cdr_logged`.
    pub fn details(&self) -> impl Serialize {
        let opening = &self.opening;
        let (stop, reason, ending, why) = match &self.closing {
            Some(closing) => (closing.at_ms, closing.reason.label(), closing.ending, closing.details.as_deref()),
            None => (self.timeline.back().map_or(0, |event| event.at_ms), "failed", BROKEN_OFF, None),
        };
        Details {
            primary_phone_number: &opening.facts.dialled,
            global_session_id: &opening.session,
            failure_occurred: reason == "failed",
            failure_details: why.filter(|_| reason == "failed"),
            transfer_occurred: reason == EndReason::AssistantTransfer.label(),
            active_calls: opening.active_calls,
            trunk_call_id: opening.trunk_call_id.as_deref(),
            call: CallDetails {
                start_timestamp: self.stamp(0),
                stop_timestamp: self.stamp(stop),
                milliseconds_elapsed: stop,
                outbound: false,
                end_reason: reason,
                ending,
                security: Security {
                    media_encrypted: self.media_encrypted,
                    signaling_encrypted: opening.signaling_encrypted,
                    sip_authenticated: opening.sip_authenticated,
                },
            },
            session_initiation_protocol: Sip {
                invite_arrival_timestamp: self.stamp(0),
                setup_milliseconds: self.answered_ms.unwrap_or(stop),
                headers: SipHeaders {
                    call_id: &opening.facts.sip_call_id,
                    from_uri: &opening.facts.sip_from_uri,
                    to_uri: &opening.facts.sip_to_uri,
                },
            },
            max_response_milliseconds: Longest {
                assistant: self.longest(|latency| latency.assistant),
                text_to_speech: self.longest(|latency| latency.synthesis),
                speech_to_text: self.longest(|latency| latency.speech),
            },
            assistant_interaction_summaries: [Interaction {
                assistant_id: &opening.assistant,
                session_id: &opening.session,
                turns: self.turns.iter().map(|turn| self.turn(turn)).collect(),
            }],
            injected_custom_data: &self.custom_data,
            warnings_and_errors: self.warnings.iter().map(|(id, message)| Warning { id, message }).collect(),
            realtime_transport_network_summary: self.audio.as_deref().map(|(inbound, outbound)| Streams {
                inbound_stream: stream(inbound),
                outbound_stream: stream(outbound),
            }),
        }
    }

    fn longest(&self, of: impl Fn(&Latency) -> Option<u64>) -> u64 {
        self.turns.iter().filter_map(|turn| of(&turn.latency())).max().unwrap_or(0)
    }

    fn turn<'a>(&'a self, turn: &'a Turn) -> TurnDetails<'a> {
        let latency = turn.latency();
        TurnDetails {
            assistant: Answered {
                start_timestamp: self.stamp(turn.asked_ms),
                response_milliseconds: latency.assistant,
                log_id: turn.origin.transaction.as_deref(),
                service: turn.origin.service,
            },
            request: Asked {
                kind: turn.request,
                streaming_statistics: turn.utterance.as_ref().map(|said| self.heard(said, turn.asked_ms, &latency)),
            },
            response: turn.responses.iter().map(|response| self.response(response)).collect(),
            latency,
        }
    }

    fn heard<'a>(&self, said: &'a Utterance, asked_ms: u64, latency: &Latency) -> Heard<'a> {
        Heard {
            start_timestamp: self.stamp(said.began_ms),
            stop_timestamp: self.stamp(said.understood_ms.unwrap_or(asked_ms)),
            response_milliseconds: latency.speech.unwrap_or(0),
            echo_detected: said.echo,
            ended_by: said.ended_by.map(EndedBy::label),
            confidence: said.confidence.map(rounded),
            transaction_id: said.transaction.as_deref(),
        }
    }

    fn response<'a>(&self, response: &'a Response) -> Done<'a> {
        let spoken = |clip: &'a Clip| Spoken {
            start_timestamp: self.stamp(response.at_ms),
            stop_timestamp: clip.ended_ms.map(|at| self.stamp(at)),
            response_milliseconds: clip.synthesis(response.at_ms),
            transaction_id: clip.origin.transaction.as_deref(),
            service: clip.origin.service,
        };
        Done {
            kind: response.kind,
            barge_in_occurred: response.clip.as_ref().map(|clip| clip.cut),
            streaming_statistics: response.clip.as_ref().map(spoken),
        }
    }

    /// How many turns are over; their logs do not change any more, except for audio that is still being heard.
    pub fn turns_over(&self) -> usize {
        let under_way = usize::from(!self.is_closed() && !self.turns.is_empty());
        let over = self.turns_dropped + self.turns.len() - under_way;
        self.open_from.map_or(over, |open| over.min(open))
    }

    /// The log of a turn, counted from 0: the payload of `message_logged`. `None` if it is not over, or has fallen off.
    pub fn turn_log(&self, n: usize) -> Option<Value> {
        let turn = self.turns.get(n.checked_sub(self.turns_dropped)?).filter(|_| n < self.turns_over())?;
        let opening = &self.opening;
        let generic = |text: &String| json!({"response_type": "text", "text": text});
        Some(json!({
            "global_session_id": opening.session,
            "assistant_id": opening.assistant,
            "primary_phone_number": opening.facts.dialled,
            "turn": turn.number,
            "request_timestamp": self.stamp(turn.asked_ms),
            "response_timestamp": turn.replied_ms.map(|at| self.stamp(at)),
            "request": {"type": turn.request, "input": {"message_type": "text", "text": turn.input.join(" ")}},
            "response": {"output": {"generic": turn.output.iter().map(generic).collect::<Vec<_>>()}},
            "statistics": self.turn(turn),
        }))
    }

    /// The timeline as JSON: one array of [`Event`].
    pub fn timeline(&self) -> String {
        let events: Vec<&Event> = self.timeline.iter().map(Arc::as_ref).collect();
        serde_json::to_string(&events).expect("events are plain data")
    }
}

/// The parts of what the caller waits for in one turn, in milliseconds.
#[derive(Serialize)]
struct Latency {
    /// From the last of the caller's voice to the decision that it was the last.
    #[serde(rename = "end_of_turn_milliseconds", skip_serializing_if = "Option::is_none")]
    end_of_turn: Option<u64>,
    /// From the silence that ended the utterance, as noticed, to the recognizer's result.
    #[serde(rename = "speech_milliseconds", skip_serializing_if = "Option::is_none")]
    speech: Option<u64>,
    /// From the question to the reply.
    #[serde(rename = "assistant_milliseconds", skip_serializing_if = "Option::is_none")]
    assistant: Option<u64>,
    /// From the first text to its audio.
    #[serde(rename = "synthesis_milliseconds", skip_serializing_if = "Option::is_none")]
    synthesis: Option<u64>,
    /// From the end of the caller's speech, or the key, to the first sample of the answer.
    #[serde(rename = "first_audio_milliseconds", skip_serializing_if = "Option::is_none")]
    first_audio: Option<u64>,
}

impl Turn {
    fn latency(&self) -> Latency {
        let said = self.utterance.as_ref();
        let first = self.responses.iter().find_map(|response| Some((response.at_ms, response.clip.as_ref()?)));
        Latency {
            end_of_turn: said.and_then(|said| Some(said.noticed_ms?.saturating_sub(said.silent_ms?))),
            speech: said.and_then(|said| Some(said.understood_ms?.saturating_sub(said.noticed_ms?))),
            assistant: self.replied_ms.map(|at| at.saturating_sub(self.asked_ms)),
            synthesis: first.and_then(|(sent, clip)| clip.synthesis(sent)),
            first_audio: self.first_audio.as_ref().map(Duration::as_millis).map(|ms| ms as u64),
        }
    }
}

impl Clip {
    fn synthesis(&self, sent_ms: u64) -> Option<u64> {
        self.ready_ms.map(|at| at.saturating_sub(sent_ms))
    }
}

fn stream(summary: &StreamSummary) -> Stream<'_> {
    Stream {
        packets_transmitted: summary.packets_transmitted,
        maximum_jitter: summary.maximum_jitter,
        average_jitter: summary.average_jitter,
        packets_lost: summary.packets_lost,
        canonical_name: summary.canonical_name.as_deref(),
        tool_name: summary.tool_name.as_deref(),
        mean_opinion_score: summary.mean_opinion_score.map(rounded),
        round_trip_milliseconds: summary.round_trip,
    }
}

/// To two places: what was 0.9 shall not become 0.8999999761581421.
fn rounded(share: f32) -> f64 {
    (f64::from(share) * 100.0).round() / 100.0
}
