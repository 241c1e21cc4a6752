//! `failures`: calls that broke off, each with why and what to do.
//!
//! Invariant: it tells of a call what its record does, and opens none of another tenant.

use bellhop_call::ports::{ListedCall, Wanted};
use bellhop_call::record::EndReason;
use bellhop_call::why;
use bellhop_tenancy::access::Role;
use serde::Serialize;
use utoipa::ToSchema;

use super::asked::Asked;
use super::calls;
use super::given::Given;
use super::route::{OF_TENANT, Outcome, Parameter, Route};
use super::shown::{Moment, time};
use crate::errors::{ENDED, Entry};
use crate::problem::Problem;

/// Most calls that are listed.
const FAILURES_MAX: u32 = 100;

const FROM: Parameter =
    Parameter { name: "from", says: "Calls that began at this time (RFC 3339) or later.", required: false };
const UNTIL: Parameter = Parameter { name: "until", says: "Calls that began before this time.", required: false };

/// A call that broke off.
#[derive(Serialize, ToSchema)]
struct Failure {
    /// Its session: `global_session_id` of its record.
    id: String,
    /// The name of its tenant.
    tenant: String,
    caller: String,
    /// The number that was dialled.
    number: String,
    began_at: String,
    /// How long it lasted.
    seconds: f64,
    #[serde(flatten)]
    ended: HowItEnded,
}

/// How a call ended, and what to do about it.
#[derive(Serialize, ToSchema)]
pub(super) struct HowItEnded {
    /// Why, by its word in `docs/errors.md`; null for what another version of this server wrote.
    #[schema(example = "assistant_lost")]
    pub(super) reason: Option<&'static str>,
    /// The same in a sentence.
    pub(super) why: String,
    /// What to do about it; null where nothing is known to be done.
    pub(super) what_to_do: Option<&'static str>,
    /// `failure_details` of its record.
    pub(super) details: Option<String>,
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/failures", Role::Viewer, "Lists the latest hundred calls that broke off, the newest first", list)
            .lists::<Failure>()
            .with(OF_TENANT)
            .with(FROM)
            .with(UNTIL),
    ]
}

impl HowItEnded {
    /// Of a call that is over.
    pub(super) fn of(call: &ListedCall) -> Self {
        let told = call.failure.as_deref();
        let entry: Option<&Entry> = why::word_of(&call.reason, told).and_then(|word| ENDED.entry(word));
        let unknown = || told.unwrap_or("nothing is known of why it ended").to_owned();
        Self {
            reason: entry.map(|entry| entry.word),
            why: entry.map_or_else(unknown, |entry| entry.title.to_owned()),
            what_to_do: entry.map(|entry| entry.remedy),
            details: told.map(str::to_owned),
        }
    }
}

impl Failure {
    fn of(kept: &ListedCall) -> Self {
        Self {
            id: kept.session.clone(),
            tenant: kept.tenant.clone(),
            caller: kept.caller.clone(),
            number: kept.dialled.clone(),
            began_at: time(kept.began_unix_ms),
            seconds: kept.milliseconds as f64 / 1000.0,
            ended: HowItEnded::of(kept),
        }
    }
}

async fn list(asked: Asked) -> Outcome {
    let moment = |name: &str| Ok::<_, Problem>(asked.parameter::<Moment>(name)?.map(|Moment(at)| at));
    let wanted = Wanted {
        tenant: calls::tenant(&asked).await?,
        reason: Some(EndReason::Failed.label().to_owned()),
        from_unix_ms: moment("from")?,
        until_unix_ms: moment("until")?,
        ..Wanted::default()
    };
    let found = asked.ports.records.latest(&wanted, FAILURES_MAX).await.map_err(|error| calls::unavailable(&error))?;
    Ok(Given::list(found.iter().map(Failure::of).collect(), None))
}
