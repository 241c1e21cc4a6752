//! `arrivals`: what came for a tenant since a moment, on any server: calls that are up, calls that are over, calls that were refused.
//!
//! Invariant: it is bounded, and tells of no other tenant; a refusal of a number of nobody is nobody's here.

use bellhop_call::ports::{UnderWay, Wanted};
use bellhop_tenancy::access::Role;
use bellhop_tenancy::store::{KeptRefusal, Page};
use serde::Serialize;
use utoipa::ToSchema;

use super::asked::Asked;
use super::calls;
use super::given::Given;
use super::route::{Outcome, Parameter, Route};
use super::shown::time;
use crate::errors::HowItEnded;
use crate::problem::Problem;

/// Most that is told.
const ARRIVALS_MAX: u32 = 50;
/// Refusals that are looked at: what is alike is one, which stands where its first came.
const REFUSALS_MAX: u32 = 100;

const TENANT: Parameter = Parameter {
    name: "tenant",
    says: "The identifier of the tenant. Operators name one; for others it is their own.",
    required: false,
};
const SINCE: Parameter = Parameter {
    name: "since",
    says: "What came at this time (RFC 3339) or later; if it is left out, in the last five minutes.",
    required: false,
};
/// From when on is looked if nobody says.
const SINCE_USUAL_MS: i64 = 5 * 60_000;

/// Something that came.
#[derive(Serialize, ToSchema)]
struct Arrival {
    at: String,
    /// `up`, `over` or `refused`
    state: &'static str,
    /// The session of a call; null for what was refused.
    call: Option<String>,
    /// The number that was dialled.
    number: Option<String>,
    /// Who called; null for what was refused.
    caller: Option<String>,
    /// From which address what was refused came.
    source: Option<String>,
    /// Why it is over or was refused, by its word in `docs/errors.md`.
    reason: Option<String>,
    /// The same in a sentence.
    why: Option<String>,
    /// What to do about it.
    what_to_do: Option<String>,
    #[serde(skip)]
    unix_ms: i64,
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/arrivals", Role::Viewer, "Lists what came since a moment: calls, and what was refused", list)
            .lists::<Arrival>()
            .with(TENANT)
            .with(SINCE),
    ]
}

impl Arrival {
    fn of_call(state: &'static str, call: String, unix_ms: i64, caller: &str) -> Self {
        Self {
            at: time(unix_ms),
            state,
            call: Some(call),
            number: None,
            caller: Some(caller.to_owned()),
            source: None,
            reason: None,
            why: None,
            what_to_do: None,
            unix_ms,
        }
    }

    fn up(call: UnderWay) -> Self {
        let (began, facts) = (call.opening.began_unix_ms, call.opening.facts);
        Self { number: Some(facts.dialled.clone()), ..Self::of_call("up", call.session, began, &facts.caller) }
    }
}

async fn list(asked: Asked) -> Outcome {
    let since = asked.moment("since")?.unwrap_or(asked.at_unix_ms - SINCE_USUAL_MS);
    let missing = || Problem::parameter("tenant", "is missing: an operator says for which tenant");
    let tenant = calls::tenant(&asked).await?.ok_or_else(missing)?;
    let records = &asked.ports.records;
    let up = records.up(&tenant, ARRIVALS_MAX).await.map_err(|error| calls::unavailable(&error))?;
    let wanted = Wanted { tenant: Some(tenant), from_unix_ms: Some(since), ..Wanted::default() };
    let over = records.latest(&wanted, ARRIVALS_MAX).await.map_err(|error| calls::unavailable(&error))?;
    let page = Page { after: None, count: REFUSALS_MAX };
    let refused = asked.ports.store.refusals(&asked.scope().await?, page).await?.items;
    let up = up.into_iter().filter(|call| call.opening.began_unix_ms >= since).map(Arrival::up);
    let over = over.iter().map(|kept| {
        let HowItEnded { cause, why, what_to_do } = HowItEnded::of(kept);
        Arrival {
            number: Some(kept.dialled.clone()).filter(|number| !number.is_empty()),
            reason: cause.map(str::to_owned),
            why: Some(why),
            what_to_do: Some(what_to_do.to_owned()),
            ..Arrival::of_call("over", kept.session.clone(), kept.began_unix_ms, &kept.caller)
        }
    });
    let refused = refused.into_iter().filter(|kept| kept.refusal.at_unix_ms >= since).map(|kept| refusal(&asked, kept));
    let mut all: Vec<Arrival> = up.chain(over).chain(refused).collect();
    all.sort_by_key(|arrival| std::cmp::Reverse(arrival.unix_ms));
    all.truncate(ARRIVALS_MAX as usize);
    Ok(Given::list(all, None))
}

fn refusal(asked: &Asked, KeptRefusal { refusal, .. }: KeptRefusal) -> Arrival {
    let (why, what_to_do) = asked.ports.reasons.explain(&refusal.reason);
    Arrival {
        at: time(refusal.at_unix_ms),
        state: "refused",
        call: None,
        number: refusal.number.map(|number| number.e164()),
        caller: None,
        source: Some(refusal.source),
        reason: Some(refusal.reason),
        why: Some(why),
        what_to_do: Some(what_to_do),
        unix_ms: refusal.at_unix_ms,
    }
}
