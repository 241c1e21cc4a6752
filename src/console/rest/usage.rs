//! `usage`: how much was called, by tenant and day or month.
//!
//! Invariant: it counts calls and their time, and names nobody but tenants.

use std::str::FromStr;

use bellhop_call::ports::{Per, Usage, WantedUsage};
use bellhop_tenancy::access::Role;
use jiff::civil::Date;
use serde::Serialize;
use utoipa::ToSchema;

use super::asked::Asked;
use super::calls;
use super::given::Given;
use super::route::{OF_TENANT, Outcome, Parameter, Route};
use crate::problem::Problem;

const PER: Parameter = Parameter { name: "per", says: "`day` or `month`; `month` if it is left out.", required: false };
const FROM: Parameter =
    Parameter { name: "from", says: "Calls that began on this day (2026-11-26, UTC) or later.", required: false };
const UNTIL: Parameter = Parameter { name: "until", says: "Calls that began before this day.", required: false };

/// How much was called in a day or month.
#[derive(Serialize, ToSchema)]
struct Used {
    /// The day or month in which the calls began, in UTC.
    #[schema(example = "2026-11")]
    period: String,
    /// The name of the tenant.
    tenant: String,
    /// How many calls are over.
    calls: u64,
    /// How long they lasted together, in hundredths of a minute.
    #[schema(example = 12.25)]
    minutes: f64,
}

/// A day as a parameter gives it.
struct Day(String);

/// Not a day.
#[derive(Debug, thiserror::Error)]
#[error("is no day like 2026-11-26")]
struct NoDay;

impl FromStr for Day {
    type Err = NoDay;

    fn from_str(text: &str) -> Result<Self, NoDay> {
        let day = Date::strptime("%Y-%m-%d", text).ok().filter(|day| day.year() >= 0).ok_or(NoDay)?;
        Ok(Self(day.to_string()))
    }
}

/// `day` or `month`.
struct By(Per);

/// Neither.
#[derive(Debug, thiserror::Error)]
#[error("is neither `day` nor `month`")]
struct NoPeriod;

impl FromStr for By {
    type Err = NoPeriod;

    fn from_str(text: &str) -> Result<Self, NoPeriod> {
        match text {
            "day" => Ok(Self(Per::Day)),
            "month" => Ok(Self(Per::Month)),
            _ => Err(NoPeriod),
        }
    }
}

/// Where a page ended: a period, and a tenant in it.
struct After(String, String);

impl FromStr for After {
    type Err = NoPeriod;

    fn from_str(text: &str) -> Result<Self, NoPeriod> {
        let (period, tenant) = text.split_once('.').ok_or(NoPeriod)?;
        Ok(Self(period.to_owned(), tenant.to_owned()))
    }
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/usage", Role::Viewer, "Lists how much was called, the newest first", usage)
            .pages::<Used>()
            .with(OF_TENANT)
            .with(PER)
            .with(FROM)
            .with(UNTIL),
    ]
}

impl Used {
    fn of(usage: &Usage) -> Self {
        let minutes = (usage.milliseconds as f64 / 600.0).round() / 100.0;
        Self { period: usage.period.clone(), tenant: usage.tenant.clone(), calls: usage.calls, minutes }
    }
}

async fn usage(asked: Asked) -> Outcome {
    let (tenant, limit) = (calls::tenant(&asked).await?, asked.limit()?);
    let day = |name: &str| Ok::<_, Problem>(asked.parameter::<Day>(name)?.map(|Day(day)| day));
    let wanted = WantedUsage {
        per: asked.parameter::<By>("per")?.map_or(Per::Month, |By(per)| per),
        tenant,
        from: day("from")?,
        until: day("until")?,
        after: asked.cursor::<After>()?.map(|After(period, tenant)| (period, tenant)),
    };
    let found = asked.ports.records.usage(&wanted, limit + 1).await.map_err(|error| calls::unavailable(&error))?;
    let page = &found[..found.len().min(limit as usize)];
    let next = page.last().filter(|_| found.len() > page.len());
    Ok(Given::list(page.iter().map(Used::of).collect(), next.map(|last| format!("{}.{}", last.period, last.tenant))))
}
