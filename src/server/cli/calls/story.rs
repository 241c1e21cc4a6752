//! Calls in lines, for people and for programs.
//!
//! Invariant: what is made here may hold anything that the network sent; it goes to a terminal by `terminal::print` alone.

use anyhow::Context;
use bellhop_call::ports::{KeptCall, ListedCall};
use bellhop_call::record::Event;
use bellhop_console::errors::HowItEnded;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::terminal::table;

/// One event.
pub(super) fn told(event: &Event) -> String {
    let at = event.at_ms as f64 / 1000.0;
    format!("{at:9.3}  {:<10}  {}", event.what.subject(), event.what.told())
}

/// The widest column, in cells.
const COLUMN_MAX: usize = 32;

/// Calls, each in a line, below the names of their columns.
pub(super) fn listed(calls: &[ListedCall]) -> Vec<String> {
    let names = ["began", "call", "tenant", "from", "to", "ended", "seconds", "turns", "session"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(names).chain(calls.iter().map(summary)).collect();
    table(&rows, COLUMN_MAX)
}

fn summary(call: &ListedCall) -> [String; 9] {
    let began = Timestamp::from_millisecond(call.began_unix_ms).unwrap_or_default();
    [
        // With its zone: that of this terminal (`TZ`).
        began.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string(),
        call.call.clone(),
        call.tenant.clone(),
        call.caller.clone(),
        call.dialled.clone(),
        call.ending.clone(),
        format!("{:>7.1}", call.milliseconds as f64 / 1000.0),
        format!("{:>5}", call.turns),
        call.session.clone(),
    ]
}

/// The same for programs.
pub(super) fn summary_json(call: &ListedCall) -> String {
    let began = Timestamp::from_millisecond(call.began_unix_ms).unwrap_or_default();
    let seconds = call.milliseconds as f64 / 1000.0;
    json!({
        "began": began.to_string(), "call": call.call, "session": call.session, "tenant": call.tenant,
        "from": call.caller, "to": call.dialled, "ended": call.reason, "ending": call.ending, "seconds": seconds, "turns": call.turns,
    })
    .to_string()
}

/// Why a call ended, and what to do about it.
fn why(call: &ListedCall) -> String {
    let HowItEnded { why, what_to_do, .. } = HowItEnded::of(call);
    let details = call.failure.as_ref().map(|failure| format!(" ({failure})")).unwrap_or_default();
    format!("{why}{details}. {what_to_do}").trim_end().to_owned()
}

/// A call from beginning to end, then what each turn took.
pub(super) fn story(kept: &KeptCall) -> anyhow::Result<Vec<String>> {
    let timeline: Vec<Event> = serde_json::from_str(&kept.timeline).context("the timeline is damaged")?;
    let details: Value = serde_json::from_str(&kept.details).context("the record is damaged")?;
    let call = ListedCall::of(kept);
    let mut lines = listed(std::slice::from_ref(&call));
    lines.push(why(&call));
    lines.push(String::new());
    lines.extend(timeline.iter().map(told));
    let turns = details.pointer("/assistant_interaction_summaries/0/turns").and_then(Value::as_array);
    lines.extend([
        String::new(),
        "turn  request                          silence  speech  assistant  synthesis  first audio  (ms)".into(),
    ]);
    for (n, turn) in turns.into_iter().flatten().enumerate() {
        let ms = |name: &str| turn["latency"][name].as_u64().map_or_else(|| "-".to_owned(), |ms| ms.to_string());
        lines.push(format!(
            "{n:>4}  {:<31}  {:>7}  {:>6}  {:>9}  {:>9}  {:>11}",
            turn["request"]["type"].as_str().unwrap_or("?"),
            ms("end_of_turn_milliseconds"),
            ms("speech_milliseconds"),
            ms("assistant_milliseconds"),
            ms("synthesis_milliseconds"),
            ms("first_audio_milliseconds"),
        ));
    }
    if let Some(network) = details.get("realtime_transport_network_summary") {
        lines.push(String::new());
        for way in ["inbound_stream", "outbound_stream"] {
            let of = |name: &str| network[way][name].as_u64().map_or_else(|| "-".to_owned(), |n| n.to_string());
            lines.push(format!(
                "{way}: {} packets, {} lost, jitter {} ms on average, {} ms at most{}",
                of("packets_transmitted"),
                of("packets_lost"),
                of("average_jitter"),
                of("maximum_jitter"),
                network[way]["mean_opinion_score"]
                    .as_f64()
                    .map(|score| format!(", score {score:.1} of 4.5"))
                    .unwrap_or_default(),
            ));
        }
    }
    Ok(lines)
}
