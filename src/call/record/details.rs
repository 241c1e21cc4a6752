//! The call detail record and the log of a turn as JSON, in the vendor's shapes; what is ours beside them is `latency`, `service`,
//! `ending`, `mean_opinion_score` and `round_trip_milliseconds`.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::turns::{Clip, Response, Turn};
use super::{CallRecord, EndReason, Event, StreamSummary};
use crate::ending::BROKEN_OFF;

impl CallRecord {
    /// `yyyy-MM-ddTHH:mm:ss.SSSZ`.
    fn stamp(&self, at_ms: u64) -> Value {
        let unix_ms = self.opening.began_unix_ms.saturating_add_unsigned(at_ms);
        let at = Timestamp::from_millisecond(unix_ms).unwrap_or_default();
        Value::String(at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
    }

    /// The call detail record: the payload of `cdr_logged`.
    pub fn details(&self) -> Value {
        let opening = &self.opening;
        let (stop, reason, ending, why) = match &self.closing {
            Some(closing) => (closing.at_ms, closing.reason.label(), closing.ending, closing.details.clone()),
            None => (self.timeline.back().map_or(0, |event| event.at_ms), "failed", BROKEN_OFF, None),
        };
        let mut record = json!({
            "primary_phone_number": opening.facts.dialled,
            "global_session_id": opening.session,
            "failure_occurred": reason == "failed",
            "transfer_occurred": reason == EndReason::AssistantTransfer.label(),
            "active_calls": opening.active_calls,
            "call": {
                "start_timestamp": self.stamp(0),
                "stop_timestamp": self.stamp(stop),
                "milliseconds_elapsed": stop,
                "outbound": false,
                "end_reason": reason,
                "ending": ending,
                "security": {
                    "media_encrypted": self.media_encrypted,
                    "signaling_encrypted": opening.signaling_encrypted,
                    "sip_authenticated": opening.sip_authenticated,
                },
            },
            "session_initiation_protocol": {
                "invite_arrival_timestamp": self.stamp(0),
                "setup_milliseconds": self.answered_ms.unwrap_or(stop),
                "headers": {
                    "call_id": opening.facts.sip_call_id,
                    "from_uri": opening.facts.sip_from_uri,
                    "to_uri": opening.facts.sip_to_uri,
                },
            },
            "max_response_milliseconds": {
                "assistant": self.longest(|turn| turn.latency().assistant),
                "text_to_speech": self.longest(|turn| turn.latency().synthesis),
                "speech_to_text": self.longest(|turn| turn.latency().speech),
            },
            "assistant_interaction_summaries": [{
                "assistant_id": opening.assistant,
                "session_id": opening.session,
                "turns": self.turns.iter().map(|turn| self.turn(turn)).collect::<Vec<_>>(),
            }],
            "injected_custom_data": self.custom_data,
            "warnings_and_errors": self.warnings.iter().map(|(id, message)| json!({"id": id, "message": message})).collect::<Vec<_>>(),
        });
        if let Some(why) = why.filter(|_| reason == "failed") {
            record["failure_details"] = json!(why);
        }
        if let Some(id) = &opening.trunk_call_id {
            record["x-global-sip-trunk-call-id"] = json!(id);
        }
        if let Some((inbound, outbound)) = self.audio.as_deref() {
            record["realtime_transport_network_summary"] =
                json!({"inbound_stream": stream(inbound), "outbound_stream": stream(outbound)});
        }
        record
    }

    fn longest(&self, of: impl Fn(&Turn) -> Option<u64>) -> u64 {
        self.turns.iter().filter_map(|turn| of(turn)).max().unwrap_or(0)
    }

    fn turn(&self, turn: &Turn) -> Value {
        let mut request = json!({"type": turn.request});
        if let Some(said) = &turn.utterance {
            let understood = said.understood_ms.unwrap_or(turn.asked_ms);
            let mut statistics = json!({
                "start_timestamp": self.stamp(said.began_ms),
                "stop_timestamp": self.stamp(understood),
                "response_milliseconds": turn.latency().speech.unwrap_or(0),
                "echo_detected": said.echo,
            });
            insert(&mut statistics, "ended_by", said.ended_by.map(|by| json!(by.label())));
            insert(&mut statistics, "confidence", said.confidence.map(|confidence| json!(rounded(confidence))));
            insert(&mut statistics, "transaction_id", said.transaction.as_ref().map(|id| json!(id)));
            request["streaming_statistics"] = statistics;
        }
        let mut assistant = json!({"start_timestamp": self.stamp(turn.asked_ms)});
        insert(&mut assistant, "response_milliseconds", turn.latency().assistant.map(|ms| json!(ms)));
        insert(&mut assistant, "log_id", turn.origin.transaction.as_deref().map(|id| json!(id)));
        insert(&mut assistant, "service", (!turn.origin.service.is_empty()).then(|| json!(turn.origin.service)));
        json!({
            "assistant": assistant,
            "request": request,
            "response": turn.responses.iter().map(|response| self.response(response)).collect::<Vec<_>>(),
            "latency": turn.latency().to_json(),
        })
    }

    fn response(&self, response: &Response) -> Value {
        let mut told = json!({"type": response.kind});
        let Some(clip) = &response.clip else { return told };
        told["barge_in_occurred"] = json!(clip.cut);
        let mut statistics = json!({"start_timestamp": self.stamp(response.at_ms)});
        insert(&mut statistics, "stop_timestamp", clip.ended_ms.map(|at| self.stamp(at)));
        insert(&mut statistics, "response_milliseconds", clip.synthesis(response.at_ms).map(|ms| json!(ms)));
        insert(&mut statistics, "transaction_id", clip.origin.transaction.as_deref().map(|id| json!(id)));
        insert(&mut statistics, "service", (!clip.origin.service.is_empty()).then(|| json!(clip.origin.service)));
        told["streaming_statistics"] = statistics;
        told
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
struct Latency {
    /// From the last of the caller's voice to the decision that it was the last.
    end_of_turn: Option<u64>,
    /// From the silence that ended the utterance, as noticed, to the recognizer's result.
    speech: Option<u64>,
    /// From the question to the reply.
    assistant: Option<u64>,
    /// From the first text to its audio.
    synthesis: Option<u64>,
    /// From the end of the caller's speech, or the key, to the first sample of the answer.
    first_audio: Option<u64>,
}

impl Latency {
    fn to_json(&self) -> Value {
        let mut told = json!({});
        for (name, value) in [
            ("end_of_turn_milliseconds", self.end_of_turn),
            ("speech_milliseconds", self.speech),
            ("assistant_milliseconds", self.assistant),
            ("synthesis_milliseconds", self.synthesis),
            ("first_audio_milliseconds", self.first_audio),
        ] {
            insert(&mut told, name, value.map(|ms| json!(ms)));
        }
        told
    }
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

fn stream(summary: &StreamSummary) -> Value {
    let mut told = json!({"packets_transmitted": summary.packets_transmitted});
    insert(&mut told, "maximum_jitter", summary.maximum_jitter.map(|ms| json!(ms)));
    insert(&mut told, "average_jitter", summary.average_jitter.map(|ms| json!(ms)));
    insert(&mut told, "packets_lost", summary.packets_lost.map(|packets| json!(packets)));
    insert(&mut told, "canonical_name", summary.canonical_name.as_ref().map(|name| json!(name)));
    insert(&mut told, "tool_name", summary.tool_name.as_ref().map(|name| json!(name)));
    insert(&mut told, "mean_opinion_score", summary.mean_opinion_score.map(|score| json!(rounded(score))));
    insert(&mut told, "round_trip_milliseconds", summary.round_trip.map(|ms| json!(ms)));
    told
}

fn insert(into: &mut Value, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        into[name] = value;
    }
}

/// To two places: what was 0.9 shall not become 0.8999999761581421.
fn rounded(share: f32) -> f64 {
    (f64::from(share) * 100.0).round() / 100.0
}
