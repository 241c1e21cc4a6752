//! `plans`: what tenants may have.
//!
//! Everybody sees them; operators make their own, and change those. What a plan says is the store's `Plans`.

use bellhop_tenancy::access::Role;
use bellhop_tenancy::settings::patch::merge;
use bellhop_tenancy::settings::{Table, Value};
use bellhop_tenancy::store::{KeptPlan, Stamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::asked::Asked;
use super::fields::{self, Fields};
use super::given::Given;
use super::names;
use super::route::{Outcome, Route};
use super::shown::time;
use crate::problem::Problem;

/// Most calls at once that a plan may give.
const CALLS_MAX: usize = 100_000;

/// A plan as it is shown.
#[derive(Serialize, ToSchema)]
struct Plan {
    /// Its name.
    name: String,
    /// Calls at once, of all integrations together.
    calls: u32,
    /// Calls that may begin in a second; null for any number.
    calls_per_second: Option<u32>,
    /// Whether calls may be handed over to Amazon Connect.
    contact_center: bool,
    /// Whether Bellhop brings it; such a one is not changed.
    built_in: bool,
    created_at: String,
    changed_at: String,
    revision: i64,
}

/// A plan to be made.
#[derive(ToSchema)]
struct NewPlan {
    /// Letters, digits, `-` and `_`, at most 64.
    name: String,
    #[schema(inline)]
    #[serde(flatten)]
    says: PlanChange,
}

/// What changes of a plan; what is not named stays, and null takes away.
#[derive(ToSchema)]
struct PlanChange {
    /// Calls at once, of all integrations together.
    #[schema(minimum = 1, maximum = 100_000)]
    calls: u32,
    /// Calls that may begin in a second; any number if it is left out.
    #[schema(minimum = 1, maximum = 100_000)]
    calls_per_second: Option<u32>,
    /// Whether calls may be handed over to Amazon Connect; they may not if it is left out.
    #[schema(required = false)]
    contact_center: bool,
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/plans", Role::Viewer, "Lists plans", list).lists::<Plan>(),
        Route::post("/plans", Role::Operator, "Makes a plan", add).takes::<NewPlan>().makes::<Plan>(),
        Route::get("/plans/{name}", Role::Viewer, "Shows a plan", show).gives::<Plan>(),
        Route::patch::<PlanChange, _, _>("/plans/{name}", Role::Operator, "Changes a plan", change).gives::<Plan>(),
        Route::delete("/plans/{name}", Role::Operator, "Deletes a plan that no tenant has", delete),
    ]
}

impl Plan {
    fn of(kept: KeptPlan) -> Self {
        let KeptPlan { name, calls, calls_per_second, contact_center, built_in, stamp } = kept;
        let (created_at, changed_at) = (time(stamp.created_unix_ms), time(stamp.changed_unix_ms));
        let revision = stamp.revision;
        Self { name, calls, calls_per_second, contact_center, built_in, created_at, changed_at, revision }
    }

    fn given(kept: KeptPlan) -> Given {
        let revision = kept.stamp.revision;
        Given::one(&Self::of(kept)).tagged(revision)
    }
}

impl PlanChange {
    fn read(fields: &Fields<'_>) -> Self {
        let number = |number: Option<usize>| number.map(|number| number as u32);
        Self {
            calls: number(fields.number("calls", 1..=CALLS_MAX)).unwrap_or_default(),
            calls_per_second: number(fields.number_or_none("calls_per_second", 1..=CALLS_MAX)),
            contact_center: fields.flag("contact_center", false),
        }
    }

    /// What a plan says, as a body would.
    fn of(plan: &KeptPlan) -> Table {
        let number = |number: u32| Value::Whole { written: number.to_string(), number: Some(number.into()) };
        let rate = plan.calls_per_second.map(|rate| ("calls_per_second".to_owned(), number(rate)));
        let always =
            [("calls".to_owned(), number(plan.calls)), ("contact_center".to_owned(), Value::Flag(plan.contact_center))];
        always.into_iter().chain(rate).collect()
    }

    fn plan(self, name: String, stamp: Stamp) -> KeptPlan {
        let Self { calls, calls_per_second, contact_center } = self;
        KeptPlan { name, calls, calls_per_second, contact_center, built_in: false, stamp }
    }
}

async fn list(asked: Asked) -> Outcome {
    let plans = asked.ports.store.plans().await?;
    Ok(Given::list(plans.into_iter().map(Plan::of).collect(), None))
}

async fn find(asked: &Asked) -> Result<KeptPlan, Problem> {
    let name = asked.name("name")?;
    asked.ports.store.plans().await?.into_iter().find(|plan| plan.name == name).ok_or_else(Problem::not_found)
}

async fn show(asked: Asked) -> Outcome {
    find(&asked).await.map(Plan::given)
}

async fn add(asked: Asked) -> Outcome {
    let read = |fields: &Fields<'_>| NewPlan { name: names::read(fields, "name"), says: PlanChange::read(fields) };
    let new = fields::read(&asked.document(), read)?;
    let stamp = Stamp { created_unix_ms: 0, changed_unix_ms: 0, revision: 0, change: 0 };
    let kept = asked.ports.store.put_plan(&asked.by, new.says.plan(new.name, stamp), None).await?;
    let (name, revision) = (kept.name.clone(), kept.stamp.revision);
    Ok(Given::made("/plans", name, &Plan::of(kept)).tagged(revision))
}

async fn change(asked: Asked) -> Outcome {
    let plan = find(&asked).await?;
    let seen = asked.expect(plan.stamp.revision)?;
    let says = fields::read(&merge(&PlanChange::of(&plan), &asked.document()), PlanChange::read)?;
    let changed = says.plan(plan.name.clone(), plan.stamp);
    asked.ports.store.put_plan(&asked.by, changed, Some(seen)).await.map(Plan::given).map_err(Problem::from)
}

async fn delete(asked: Asked) -> Outcome {
    let plan = find(&asked).await?;
    let seen = asked.expect(plan.stamp.revision)?;
    asked.ports.store.delete_plan(&asked.by, &plan.name, seen).await?;
    Ok(Given::done())
}
