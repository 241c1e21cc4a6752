//! *Dashboard*: how calls went, by hour or day: the first page of a tenant's people, and one of all tenants for operators.
//!
//! Invariant: every figure of a picture stands in the table below it too; a page without a call says what to do next.

use actix_web::http::StatusCode;
use askama::Template;
use bellhop_tenancy::access::Role;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::Outcome;
use super::answered::{list_of, text};
use super::chart::{Chart, Figures, Stand};
use super::frame::{Frame, shown};
use super::tenant::Tenant;
use super::visit::{Page, Visit};
use crate::errors::ENDED;
use crate::problem::Problem;

#[derive(Template)]
#[template(path = "dashboard.html")]
struct DashboardPage {
    frame: Frame,
    heading: String,
    /// Times to choose from: how each is called, its link, and whether it is shown.
    times: Vec<(&'static str, String, bool)>,
    /// From when until when.
    told: String,
    facts: Vec<(&'static str, String)>,
    charts: Vec<Chart>,
    rows: Vec<Row>,
    failures: Vec<Failed>,
    tenants: Vec<MostCalled>,
    /// What to do where nobody called.
    next: Option<(&'static str, String)>,
    is_empty: bool,
}

/// A row of the table.
struct Row {
    begins: String,
    cells: [String; 9],
}

struct Failed {
    why: String,
    entry: Option<String>,
    calls: String,
}

struct MostCalled {
    name: String,
    calls: String,
    handed_over: String,
    failed: String,
}

/// A time that is shown.
struct Time {
    word: &'static str,
    name: &'static str,
    per: &'static str,
    /// How long before now it begins, in hours.
    hours: i64,
}

const TIMES: [Time; 4] = [
    Time { word: "24h", name: "24 hours", per: "hour", hours: 23 },
    Time { word: "7d", name: "7 days by hour", per: "hour", hours: 7 * 24 - 1 },
    Time { word: "14d", name: "14 days", per: "day", hours: 13 * 24 },
    Time { word: "31d", name: "31 days", per: "day", hours: 30 * 24 },
];

const ENDINGS: [(&str, &str, &str); 4] = [
    ("Handed over to an agent", "handed-over", "handed_over"),
    ("Ended by the assistant", "assistant", "ended_by_assistant"),
    ("The caller hung up", "caller", "caller_hung_up"),
    ("Failed", "failed", "failed"),
];

pub(super) fn pages() -> Vec<Page> {
    vec![
        Page::new("/tenants/{tenant}", Role::Viewer, of_tenant),
        Page::new("/dashboard", Role::Operator, |visit| async move { made(&visit, None).await }),
    ]
}

async fn of_tenant(visit: Visit) -> Outcome {
    let tenant = Tenant::of(&visit).await?;
    made(&visit, Some(tenant)).await
}

async fn made(visit: &Visit, tenant: Option<Tenant>) -> Outcome {
    let time = TIMES.iter().find(|time| time.word == visit.query("time")).unwrap_or(&TIMES[0]);
    let from = Timestamp::now().saturating_sub(SignedDuration::from_hours(time.hours)).unwrap_or_default();
    let of = tenant.as_ref().map_or_else(String::new, |tenant| format!("&tenant={}", tenant.id));
    let told = visit.get(format!("/dashboard?per={}&from={from}{of}", time.per)).await?;
    let here = visit.path_below_root();
    let slots = told["slots"].as_array().map_or(&[][..], Vec::as_slice);
    let is_empty = told["total"]["calls"] == 0 && told["up"] == 0;
    let next = match &tenant {
        Some(tenant) if is_empty => Some(next(visit, tenant).await?),
        _ => None,
    };
    let page = DashboardPage {
        frame: visit.frame(),
        heading: tenant
            .as_ref()
            .map_or_else(|| "Calls of all tenants".to_owned(), |tenant| format!("Calls of {}", tenant.title)),
        times: TIMES.iter().map(|one| (one.name, format!("{here}?time={}", one.word), one.word == time.word)).collect(),
        told: format!("Calls that began from {} to {}, in UTC", minute(&told, "from"), minute(&told, "until")),
        facts: facts(&told),
        charts: charts(&told, slots, time.per),
        rows: slots.iter().map(Row::of).collect(),
        failures: told["failures"].as_array().into_iter().flatten().map(Failed::of).collect(),
        tenants: told["tenants"].as_array().into_iter().flatten().map(MostCalled::of).collect(),
        next,
        is_empty,
    };
    Ok(shown(StatusCode::OK, &page))
}

/// What to do where nobody called yet.
async fn next(visit: &Visit, tenant: &Tenant) -> Result<(&'static str, String), Problem> {
    let is_none = |listed: &Value| list_of(listed).is_empty();
    let integrations = format!("/tenants/{}/integrations", tenant.id);
    if is_none(&visit.get(format!("/integrations?tenant={}&limit=1", tenant.id)).await?) {
        return Ok(("There is no phone integration yet: add one", integrations));
    }
    if is_none(&visit.get(format!("/numbers?tenant={}&limit=1", tenant.id)).await?) {
        return Ok(("There is no number yet: give an integration one", integrations));
    }
    Ok(("Call, and watch what arrives", format!("/tenants/{}/refusals/call-me", tenant.id)))
}

fn minute(value: &Value, key: &str) -> String {
    at(value, key).strftime("%Y-%m-%d %H:%M").to_string()
}

fn at(value: &Value, key: &str) -> Timestamp {
    value[key].as_str().and_then(|at| at.parse().ok()).unwrap_or_default()
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_default()
}

/// How long somebody waited.
fn waited(value: &Value, key: &str) -> String {
    value[key].as_f64().map_or_else(|| "–".to_owned(), |ms| format!("{:.2} s", ms / 1000.0))
}

fn whole(value: &Value, key: &str) -> String {
    value[key].as_u64().map_or_else(|| "–".to_owned(), |count| count.to_string())
}

fn facts(told: &Value) -> Vec<(&'static str, String)> {
    let total = &told["total"];
    let calls = number(total, "calls");
    let share = |key: &str| {
        let count = number(total, key);
        if calls > 0.0 { format!("{count} ({:.0} %)", 100.0 * count / calls) } else { format!("{count}") }
    };
    let may_be = told["calls_max"].as_u64().map(|most| format!(", of {most} that the plan allows")).unwrap_or_default();
    vec![
        ("Calls", whole(total, "calls")),
        ("Handed over to an agent", share("handed_over")),
        ("Failed", share("failed")),
        ("Minutes", format!("{:.1}", number(total, "minutes"))),
        (
            "Callers waited for an answer",
            format!(
                "{} in the middle, {} at the 95th of a hundred, in {} turns",
                waited(total, "wait_median_ms"),
                waited(total, "wait_p95_ms"),
                whole(total, "turns")
            ),
        ),
        ("Calls at once", format!("{} now, {} at most{may_be}", whole(told, "up"), whole(total, "at_once"))),
    ]
}

fn charts(told: &Value, slots: &[Value], per: &str) -> Vec<Chart> {
    let format = if per == "day" { "%d %b" } else { "%H:%M" };
    let slots_of = |keys: &[&str], scale: f64| -> Vec<(String, Vec<f64>)> {
        let slot = |slot: &Value| {
            let label = at(slot, "begins_at").strftime(format).to_string();
            (label, keys.iter().map(|key| number(slot, key) * scale).collect())
        };
        slots.iter().map(slot).collect()
    };
    let (total, each) = (&told["total"], format!("each {per} (UTC)"));
    let endings = slots_of(&ENDINGS.map(|(_, _, key)| key), 1.0);
    let waits = slots_of(&["wait_p95_ms", "wait_median_ms"], 0.001);
    let at_once = slots_of(&["at_once"], 1.0);
    let limit = told["calls_max"].as_f64();
    let may_be = limit.map(|limit| format!("; {limit} may be")).unwrap_or_default();
    let whole_number = |value: f64| format!("{value}");
    vec![
        Chart::of(Figures {
            id: "calls",
            title: "Calls, by how they ended",
            description: format!("{} calls; how many ended how in {each}.", whole(total, "calls")),
            legend: ENDINGS.map(|(name, class, _)| (name, class)).to_vec(),
            slots: &endings,
            stand: Stand::Stacked,
            limit: None,
            told: whole_number,
        }),
        Chart::of(Figures {
            id: "waits",
            title: "What callers waited for an answer",
            description: format!(
                "From the end of what a caller said to the first sound of the answer, in {each}: half of them waited less than {} over all, 95 of a hundred less than {}.",
                waited(total, "wait_median_ms"),
                waited(total, "wait_p95_ms")
            ),
            legend: vec![("95 of a hundred waited less", "most"), ("Half of them waited less", "half")],
            slots: &waits,
            stand: Stand::Nested,
            limit: None,
            told: |value| format!("{value} s"),
        }),
        Chart::of(Figures {
            id: "at-once",
            title: "Calls at once, at most",
            description: format!("{} at most, in {each}{may_be}.", whole(total, "at_once")),
            legend: vec![("Calls that were up at once", "at-once")],
            slots: &at_once,
            stand: Stand::Stacked,
            limit,
            told: whole_number,
        }),
    ]
}

impl Row {
    fn of(slot: &Value) -> Self {
        let cells = [
            whole(slot, "calls"),
            whole(slot, "handed_over"),
            whole(slot, "ended_by_assistant"),
            whole(slot, "caller_hung_up"),
            whole(slot, "failed"),
            format!("{:.1}", number(slot, "minutes")),
            waited(slot, "wait_median_ms"),
            waited(slot, "wait_p95_ms"),
            whole(slot, "at_once"),
        ];
        Self { begins: minute(slot, "begins_at"), cells }
    }
}

impl Failed {
    fn of(failed: &Value) -> Self {
        let word = text(failed, "reason");
        Self { why: text(failed, "why"), entry: ENDED.path(&word), calls: whole(failed, "calls") }
    }
}

impl MostCalled {
    fn of(of: &Value) -> Self {
        Self {
            name: text(of, "tenant"),
            calls: whole(of, "calls"),
            handed_over: whole(of, "handed_over"),
            failed: whole(of, "failed"),
        }
    }
}
