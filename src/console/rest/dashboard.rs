//! `dashboard`: how a tenant's calls went, by hour or day, of what is kept of them.
//!
//! Invariant: it is asked of the database alone, so every server says the same, also after a start; it names nobody but tenants, and the slots
//! of an answer are bounded.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use bellhop_call::figures::{Endings, Figures, OfTenant, Slot, Waits, WantedFigures};
use bellhop_call::record::EndReason;
use bellhop_call::why;
use bellhop_tenancy::access::Role;
use serde::Serialize;
use utoipa::ToSchema;

use super::asked::Asked;
use super::calls;
use super::given::Given;
use super::route::{OF_TENANT, Outcome, Parameter, Route};
use super::shown::time;
use crate::errors::ENDED;
use crate::problem::Problem;

/// Most hours of an answer: a week.
const HOURS_MAX: i64 = 7 * 24;
/// Most days of an answer.
const DAYS_MAX: i64 = 31;
/// How many hours are told if nobody says, this one included.
const HOURS_USUAL: i64 = 24;
/// The same of days.
const DAYS_USUAL: i64 = 14;
/// Most reasons of failures that are told.
const FAILURES_MAX: usize = 20;

const PER: Parameter =
    Parameter { name: "per", says: "`hour` or `day` (UTC); `hour` if it is left out.", required: false };
const FROM: Parameter = Parameter {
    name: "from",
    says: "From the hour or day on in which this time (RFC 3339) is; if it is left out, the last 24 hours or 14 days.",
    required: false,
};
const UNTIL: Parameter = Parameter {
    name: "until",
    says: "Up to this time; if it is left out, the end of this hour or day. At most 168 hours or 31 days are told.",
    required: false,
};

/// How calls went.
#[derive(Serialize, ToSchema)]
struct Dashboard {
    from: String,
    until: String,
    /// `hour` or `day`
    per: &'static str,
    /// The time zone of hours and days: always `UTC`.
    zone: &'static str,
    /// All of it together.
    total: Told,
    /// Each hour or day, the oldest first.
    slots: Vec<OfSlot>,
    /// Why calls failed, the commonest first.
    failures: Vec<WhyFailed>,
    /// How many calls are up now, on all servers.
    up: u64,
    /// How many calls may be up at once by the tenant's plan; null where many tenants are asked for, or one of the file.
    calls_max: Option<u32>,
    /// The tenants that were called most; empty where one is asked for.
    tenants: Vec<MostCalled>,
}

/// Calls of an hour or a day.
#[derive(Serialize, ToSchema)]
struct OfSlot {
    begins_at: String,
    #[serde(flatten)]
    told: Told,
}

/// How calls that began in a time went.
#[derive(Serialize, ToSchema)]
struct Told {
    calls: u64,
    /// Handed over to an agent, or transferred.
    handed_over: u64,
    /// Ended by the assistant.
    ended_by_assistant: u64,
    /// The caller hung up.
    caller_hung_up: u64,
    failed: u64,
    /// How long they lasted together, in hundredths of a minute.
    minutes: f64,
    /// Turns in which a caller waited for an answer.
    turns: u64,
    /// Half of them waited less than this for the first sound of the answer, in milliseconds; null where nobody waited.
    wait_median_ms: Option<u64>,
    /// 95 of a hundred waited less than this.
    wait_p95_ms: Option<u64>,
    /// How many calls were up at once at most; null where too many were counted.
    at_once: Option<u64>,
}

/// Calls that failed of one thing.
#[derive(Serialize, ToSchema)]
struct WhyFailed {
    /// By its word in `docs/errors.md`; null for what another version of this server wrote.
    reason: Option<&'static str>,
    why: String,
    calls: u64,
}

/// How the calls of a tenant went.
#[derive(Serialize, ToSchema)]
struct MostCalled {
    /// The name of the tenant.
    tenant: String,
    calls: u64,
    handed_over: u64,
    failed: u64,
}

/// `hour` or `day`.
struct PerSlot(Slot);

/// Neither.
#[derive(Debug, thiserror::Error)]
#[error("is neither `hour` nor `day`")]
struct NoSlot;

impl FromStr for PerSlot {
    type Err = NoSlot;

    fn from_str(text: &str) -> Result<Self, NoSlot> {
        match text {
            "hour" => Ok(Self(Slot::Hour)),
            "day" => Ok(Self(Slot::Day)),
            _ => Err(NoSlot),
        }
    }
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/dashboard", Role::Viewer, "Tells how calls went, by hour or day", dashboard)
            .gives::<Dashboard>()
            .with(OF_TENANT)
            .with(PER)
            .with(FROM)
            .with(UNTIL),
    ]
}

/// Counts what is told of a time.
#[derive(Default)]
struct Counted {
    by_reason: BTreeMap<String, u64>,
    milliseconds: u64,
    waits: Waits,
    at_once: Option<u64>,
}

impl Counted {
    fn ended(&mut self, endings: &Endings) {
        *self.by_reason.entry(endings.reason.clone()).or_default() += endings.calls;
        self.milliseconds += endings.milliseconds;
    }

    fn told(&self) -> Told {
        let of = |reason: EndReason| self.by_reason.get(reason.label()).copied().unwrap_or(0);
        let ms = |waited: Option<Duration>| waited.map(|waited| waited.as_millis() as u64);
        Told {
            calls: self.by_reason.values().sum(),
            handed_over: of(EndReason::AssistantTransfer),
            ended_by_assistant: of(EndReason::AssistantHangup),
            caller_hung_up: of(EndReason::CallerHangup),
            failed: of(EndReason::Failed),
            minutes: (self.milliseconds as f64 / 600.0).round() / 100.0,
            turns: self.waits.turns(),
            wait_median_ms: ms(self.waits.percentile(50)),
            wait_p95_ms: ms(self.waits.percentile(95)),
            at_once: self.at_once,
        }
    }
}

/// The slots that are asked for.
fn wanted(asked: &Asked, tenant: Option<String>) -> Result<WantedFigures, Problem> {
    let slot = asked.parameter::<PerSlot>("per")?.map_or(Slot::Hour, |PerSlot(slot)| slot);
    let (most, usual) = match slot {
        Slot::Hour => (HOURS_MAX, HOURS_USUAL),
        Slot::Day => (DAYS_MAX, DAYS_USUAL),
    };
    let (from, until) = (asked.moment("from")?, asked.moment("until")?);
    if from.into_iter().chain(until).any(|at| at < 0) {
        return Err(Problem::parameter("from", "is before 1970"));
    }
    let step = slot.milliseconds();
    // What is up to the beginning of a slot ends with the one before.
    let end_of = |at: i64| slot.begin_of(at.saturating_sub(1)) + step;
    let until_unix_ms = end_of(until.unwrap_or(asked.at_unix_ms.saturating_add(1)));
    let from_unix_ms = from.map_or(until_unix_ms - usual * step, |from| slot.begin_of(from)).max(0);
    let slots = (until_unix_ms - from_unix_ms) / step;
    if slots < 1 {
        return Err(Problem::parameter("until", "is not after `from`"));
    }
    if slots > most {
        return Err(Problem::parameter("from", format!("is too long before `until`: at most {most} are told at once")));
    }
    Ok(WantedFigures { tenant, slot, from_unix_ms, until_unix_ms })
}

async fn dashboard(asked: Asked) -> Outcome {
    let wanted = wanted(&asked, calls::tenant(&asked).await?)?;
    let calls_max = calls_max(&asked).await?;
    let figures = asked.ports.records.figures(&wanted).await.map_err(|error| calls::unavailable(&error))?;
    Ok(Given::one(&Dashboard::of(&wanted, &figures, asked.at_unix_ms, calls_max)))
}

/// What the plan of the tenant allows that is asked for.
async fn calls_max(asked: &Asked) -> Result<Option<u32>, Problem> {
    let scope = asked.scope().await?;
    let Some(tenant) = scope.tenant().filter(|tenant| asked.tenant_of_file(*tenant).is_none()) else { return Ok(None) };
    let plan = asked.ports.store.tenant(&scope, tenant).await?.plan;
    let plans = asked.ports.store.plans().await?;
    Ok(plans.into_iter().find(|known| known.name == plan).map(|known| known.calls))
}

impl Dashboard {
    fn of(wanted: &WantedFigures, figures: &Figures, now_unix_ms: i64, calls_max: Option<u32>) -> Self {
        let step = wanted.slot.milliseconds();
        let count = (wanted.until_unix_ms - wanted.from_unix_ms) / step;
        let begins = (0..count).map(|n| wanted.from_unix_ms + n * step);
        let mut slots: BTreeMap<i64, Counted> = begins.map(|begin| (begin, Counted::default())).collect();
        let mut total = Counted::default();
        for endings in &figures.endings {
            total.ended(endings);
            slots.entry(endings.slot_unix_ms).or_default().ended(endings);
        }
        for (begin, waits) in &figures.waits {
            total.waits.merge(waits);
            slots.entry(*begin).or_default().waits.merge(waits);
        }
        let now = wanted.slot.begin_of(now_unix_ms);
        for (begin, counted) in &mut slots {
            // Calls that are up have no record yet.
            let up = if *begin == now { figures.up } else { 0 };
            let most = |at_once: &BTreeMap<i64, u64>| at_once.get(begin).copied().unwrap_or(0).max(up);
            counted.at_once = figures.at_once.as_ref().map(most);
        }
        total.at_once = slots.values().filter_map(|counted| counted.at_once).max();
        let slot = |(begin, counted): (&i64, &Counted)| OfSlot { begins_at: time(*begin), told: counted.told() };
        Self {
            from: time(wanted.from_unix_ms),
            until: time(wanted.until_unix_ms),
            per: match wanted.slot {
                Slot::Hour => "hour",
                Slot::Day => "day",
            },
            zone: "UTC",
            total: total.told(),
            slots: slots.iter().map(slot).collect(),
            failures: failures(&figures.endings),
            up: figures.up,
            calls_max,
            tenants: figures.tenants.iter().map(MostCalled::of).collect(),
        }
    }
}

fn failures(endings: &[Endings]) -> Vec<WhyFailed> {
    let mut by_word = BTreeMap::<(Option<&'static str>, String), u64>::new();
    for failed in endings.iter().filter(|endings| endings.reason == EndReason::Failed.label()) {
        let entry = why::word_of(&failed.reason, failed.failure.as_deref()).and_then(|word| ENDED.entry(word));
        let other = || failed.failure.clone().unwrap_or_else(|| "nothing is known of why".to_owned());
        let why = entry.map_or_else(other, |entry| entry.title.to_owned());
        *by_word.entry((entry.map(|entry| entry.word), why)).or_default() += failed.calls;
    }
    let mut all: Vec<WhyFailed> =
        by_word.into_iter().map(|((reason, why), calls)| WhyFailed { reason, why, calls }).collect();
    all.sort_by_key(|failed| std::cmp::Reverse(failed.calls));
    all.truncate(FAILURES_MAX);
    all
}

impl MostCalled {
    fn of(of: &OfTenant) -> Self {
        Self { tenant: of.tenant.clone(), calls: of.calls, handed_over: of.handed_over, failed: of.failed }
    }
}
