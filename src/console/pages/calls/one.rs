//! One call, the same page as it happens and afterwards.
//!
//! Invariant: it is made of what REST says of the call, at the time when it is asked: the stream of events only says when to ask again, and
//! nothing that comes by it is shown. What a caller's side wrote is text, wherever it stands.

use actix_web::http::StatusCode;
use askama::Template;
use bellhop_tenancy::access::Role;
use serde_json::Value;

use super::super::Outcome;
use super::super::answered::{status_of, text};
use super::super::frame::{Frame, file, shown};
use super::super::tenant::Tenant;
use super::super::told::Told;
use super::super::visit::{Page, Visit};
use super::failure;
use super::moments::{at, length, moment};
use super::pictures::{Axis, CALLER_X, Ladder, SERVER_X};
use crate::errors::ENDED;
use crate::problem::Problem;
use crate::rest::{Event, Inquiry, Speaker, What};

/// Most lines of the conversation that a page shows, the latest.
const LINES_MAX: usize = 500;

#[derive(Template)]
#[template(path = "calls/one.html")]
struct CallPage {
    frame: Frame,
    told: Option<Told>,
    tenant: Tenant,
    here: String,
    state: State,
    may_hang_up: bool,
    /// What is asked for what happens after what is shown.
    events: String,
    recording: Option<String>,
    caller: String,
    dialled: String,
    began: String,
    /// How it ended.
    end: Option<End>,
    facts: Vec<(&'static str, String)>,
    lines: Vec<Line>,
    hidden_lines: usize,
    /// How many events are not kept any more.
    lost_events: u64,
    ladder: Ladder,
    axis: Axis,
    quality: Vec<Quality>,
    warnings: Vec<(String, String)>,
    custom_data: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Up,
    /// It is over, and its record is not there yet.
    Ending,
    Over,
}

struct End {
    why: String,
    what_to_do: String,
    failure: String,
    /// Its entry of what can go wrong.
    entry: Option<String>,
}

/// What somebody said.
struct Line {
    at: String,
    who: &'static str,
    text: String,
}

/// How one direction of the audio was.
struct Quality {
    way: &'static str,
    packets: String,
    lost: String,
    jitter: String,
    score: String,
    round_trip: String,
}

pub(super) fn pages() -> Vec<Page> {
    vec![
        Page::new("/tenants/{tenant}/calls/{call}", Role::Viewer, show).sends(hang_up),
        Page::new("/tenants/{tenant}/calls/{call}/record", Role::Viewer, record),
    ]
}

/// Asks REST of the call that the path names, of the tenant that it names.
async fn asked(visit: &Visit) -> Result<Value, Problem> {
    visit.get(format!("/calls/{}?tenant={}", visit.name("call"), visit.name("tenant"))).await
}

async fn show(visit: Visit) -> Outcome {
    page(&visit, None).await
}

async fn page(visit: &Visit, problem: Option<&Problem>) -> Outcome {
    let (tenant, call) = (Tenant::of(visit).await?, asked(visit).await?);
    let page = CallPage::of(visit, tenant, &call, problem.map(Told::from));
    Ok(shown(status_of(problem), &page))
}

async fn hang_up(visit: Visit) -> Outcome {
    let (call, tenant) = (visit.name("call").to_owned(), visit.name("tenant").to_owned());
    match visit.ask(Inquiry::post(format!("/calls/{call}/hang-up?tenant={tenant}"))).await {
        Ok(_) => Ok(visit.see_other(&visit.path_below_root())),
        // It ended meanwhile, by itself or by somebody else: what came of it is shown.
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => {
            asked(&visit).await?;
            Ok(visit.see_other(&visit.path_below_root()))
        }
        Err(problem) if problem.status().is_client_error() => page(&visit, Some(&problem)).await,
        Err(problem) => Err(problem),
    }
}

async fn record(visit: Visit) -> Outcome {
    let call = asked(&visit).await?;
    let text = serde_json::to_vec_pretty(&call).map_err(|_| Problem::internal())?;
    Ok(file(text, "application/json", "call.json"))
}

impl CallPage {
    fn of(visit: &Visit, tenant: Tenant, call: &Value, told: Option<Told>) -> Self {
        let state = match call["state"].as_str() {
            Some("up") => State::Up,
            Some("ending") => State::Ending,
            _ => State::Over,
        };
        let read = |event: &Value| serde_json::from_value(event.clone()).ok();
        let events: Vec<Event> = call["timeline"].as_array().into_iter().flatten().filter_map(read).collect();
        let (id, details) = (visit.name("call"), &call["details"]);
        let mut lines: Vec<Line> = events.iter().filter_map(Line::of).collect();
        let hidden_lines = lines.len().saturating_sub(LINES_MAX);
        lines.drain(..hidden_lines);
        let of_tenant = format!("tenant={}", tenant.id);
        let api = |what: &str, more: &str| format!("{}/calls/{id}/{what}?{of_tenant}{more}", crate::API);
        Self {
            frame: visit.frame(),
            told,
            here: visit.path_below_root(),
            state,
            may_hang_up: state == State::Up && visit.may(Role::Admin),
            events: api("events", &format!("&after={}", call["last_event"])),
            recording: (state == State::Over && call["recording"] == true).then(|| api("recording", "")),
            caller: text(call, "caller"),
            dialled: text(call, "dialled"),
            began: moment(&text(call, "began_at")),
            end: call["ended"].is_object().then(|| End::of(&call["ended"])),
            facts: facts(call, &events),
            lines,
            hidden_lines,
            lost_events: call["first_event"].as_u64().unwrap_or(1).saturating_sub(1),
            ladder: Ladder::of(&events),
            axis: Axis::of(&events),
            quality: Quality::both(&details["realtime_transport_network_summary"]),
            warnings: warnings(details),
            custom_data: custom_data(details),
            tenant,
        }
    }

    fn is_up(&self) -> bool {
        self.state == State::Up
    }

    fn is_ending(&self) -> bool {
        self.state == State::Ending
    }
}

impl End {
    fn of(ended: &Value) -> Self {
        let (why, what_to_do) = (text(ended, "why"), text(ended, "what_to_do"));
        Self { why, what_to_do, failure: failure(ended), entry: ENDED.path(&text(ended, "cause")) }
    }
}

impl Line {
    fn of(event: &Event) -> Option<Self> {
        let What::Said { speaker, text } = &event.what else { return None };
        let who = match speaker {
            Speaker::Caller => "Caller",
            Speaker::CallerDigits => "Caller, by keys",
            Speaker::Assistant => "Assistant",
            Speaker::Note => "Note",
        };
        Some(Self { at: at(event.at_ms), who, text: text.clone() })
    }
}

/// What is known of a call in a few words.
fn facts(call: &Value, events: &[Event]) -> Vec<(&'static str, String)> {
    let ended = &call["ended"];
    let audio = events.iter().rev().find(|event| matches!(event.what, What::MediaAgreed { .. }));
    let sip = &call["details"]["session_initiation_protocol"]["headers"];
    let facts = [
        ("From", text(call, "caller")),
        ("To", text(call, "dialled")),
        ("Began", moment(&text(call, "began_at"))),
        ("Lasted", ended["milliseconds"].as_u64().map(length).unwrap_or_default()),
        ("Turns", ended["turns"].as_u64().map(|turns| turns.to_string()).unwrap_or_default()),
        ("Audio", audio.map(|event| event.what.told()).unwrap_or_default()),
        ("From, as SIP has it", text(sip, "from_uri")),
        ("To, as SIP has it", text(sip, "to_uri")),
        ("SIP Call-ID", text(sip, "call_id")),
        ("Name in the log", text(call, "call")),
        ("Session", text(call, "id")),
    ];
    facts.into_iter().filter(|(_, told)| !told.is_empty()).collect()
}

impl Quality {
    fn both(network: &Value) -> Vec<Self> {
        let ways =
            [("What we heard of the caller", "inbound_stream"), ("What the caller heard of us", "outbound_stream")];
        let there = ways.into_iter().filter(|(_, stream)| network[stream].is_object());
        there.map(|(way, stream)| Self::of(way, &network[stream])).collect()
    }

    fn of(way: &'static str, stream: &Value) -> Self {
        let number = |name: &str, unit: &str| match stream[name].as_u64() {
            Some(number) => format!("{number}{unit}"),
            None => "not told".to_owned(),
        };
        let jitter = format!("{}, at most {}", number("average_jitter", " ms"), number("maximum_jitter", " ms"));
        Self {
            way,
            packets: number("packets_transmitted", ""),
            lost: number("packets_lost", ""),
            jitter: if stream["average_jitter"].is_u64() { jitter } else { "not told".to_owned() },
            score: stream["mean_opinion_score"].as_f64().map(|score| format!("{score:.1}")).unwrap_or_default(),
            round_trip: stream["round_trip_milliseconds"].as_u64().map(|ms| format!("{ms} ms")).unwrap_or_default(),
        }
    }
}

fn warnings(details: &Value) -> Vec<(String, String)> {
    let all = details["warnings_and_errors"].as_array().into_iter().flatten();
    all.map(|warning| (text(warning, "id"), text(warning, "message"))).collect()
}

fn custom_data(details: &Value) -> Vec<(String, String)> {
    let all = details["injected_custom_data"].as_object().into_iter().flatten();
    all.map(|(name, value)| (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))).collect()
}
