//! `audit` and `refusals`: what was done, and which calls were turned away.
//!
//! Invariant: both are read alone; the newest come first, and `next` leads to older ones.

use bellhop_tenancy::access::Role;
use bellhop_tenancy::store::{AuditLine, AuditOutcome, AuditWanted, KeptRefusal};
use serde::Serialize;
use utoipa::ToSchema;

use super::asked::Asked;
use super::given::Given;
use super::route::{OF_TENANT, Outcome, Parameter, Route};
use super::shown::time;
use crate::problem::Problem;

const OF_NOBODY: Parameter =
    Parameter { name: "nobody", says: "`true`: those for numbers of nobody alone. For operators.", required: false };

const ACTION: Parameter =
    Parameter { name: "action", says: "What an action is or begins with: `sign_in`, `assistant.`.", required: false };
const NAME: Parameter = Parameter { name: "name", says: "What who did it is called.", required: false };

/// A line of the audit.
#[derive(Serialize, ToSchema)]
struct Line {
    id: String,
    /// Counts lines from 1, without a gap.
    number: i64,
    at: String,
    /// Who: null for the server itself and its command line.
    user: Option<String>,
    /// What they are called.
    name: String,
    /// From where.
    from: String,
    #[schema(example = "service.change")]
    action: String,
    tenant: Option<String>,
    /// On what: its identifier.
    on: Option<String>,
    /// The names of the fields that changed.
    fields: Vec<String>,
    /// `done` or `refused`
    outcome: &'static str,
}

/// An INVITE that was refused, or many that are alike.
#[derive(Serialize, ToSchema)]
struct Refusal {
    id: String,
    /// The tenants that have the number; none for a number of nobody's.
    tenants: Vec<String>,
    /// When the last one came.
    at: String,
    /// When the first one came.
    first_at: String,
    /// How many.
    count: u64,
    /// The number that was dialled; null where it was none.
    number: Option<String>,
    /// The address that it came from.
    source: String,
    /// UDP, TCP or TLS.
    transport: String,
    /// The host name that was asked for in TLS.
    server_name: Option<String>,
    /// What it was answered.
    status: u16,
    /// The reason by its word.
    #[schema(example = "nobodys_number")]
    reason: String,
    /// The reason in a sentence.
    why: String,
    /// What to do about it.
    what_to_do: String,
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/audit", Role::Admin, "Lists what was done, the newest first", audit)
            .pages::<Line>()
            .with(OF_TENANT)
            .with(ACTION)
            .with(NAME),
        Route::get("/refusals", Role::Viewer, "Lists refused calls, the newest first", refusals)
            .pages::<Refusal>()
            .with(OF_TENANT)
            .with(OF_NOBODY),
    ]
}

async fn audit(asked: Asked) -> Outcome {
    let text = |name: &str| asked.parameter_text(name).unwrap_or_default().to_owned();
    let wanted = AuditWanted { action: text(ACTION.name), name: text(NAME.name) };
    let listed = asked.ports.store.audit_of(&asked.scope().await?, &wanted, asked.page()?).await?;
    Ok(Given::page(listed, |line: AuditLine| Line {
        id: line.id.to_string(),
        number: line.number,
        at: time(line.at_unix_ms),
        user: line.user.map(|user| user.to_string()),
        name: line.name,
        from: line.from,
        action: line.action,
        tenant: line.tenant.map(|tenant| tenant.to_string()),
        on: line.on,
        fields: line.fields,
        outcome: match line.outcome {
            AuditOutcome::Done => "done",
            AuditOutcome::Refused => "refused",
        },
    }))
}

async fn refusals(asked: Asked) -> Outcome {
    let scope = asked.scope().await?;
    let page = asked.page()?;
    let listed = match asked.parameter::<bool>("nobody")?.unwrap_or(false) {
        false => asked.ports.store.refusals(&scope, page).await?,
        true if scope.tenant().is_none() => asked.ports.store.refusals_of_nobody(&scope, page).await?,
        true => return Err(Problem::parameter("nobody", "is for operators, and not beside `tenant`")),
    };
    Ok(Given::page(listed, |KeptRefusal { id, refusal, count, first_unix_ms }| {
        let (why, what_to_do) = asked.ports.reasons.explain(&refusal.reason);
        Refusal {
            id: id.to_string(),
            // Who else has a number is nobody's concern.
            tenants: refusal.tenants.iter().filter(|one| scope.reaches(**one)).map(ToString::to_string).collect(),
            at: time(refusal.at_unix_ms),
            first_at: time(first_unix_ms),
            count,
            number: refusal.number.map(|number| number.e164()),
            source: refusal.source,
            transport: refusal.transport,
            server_name: refusal.server_name,
            status: refusal.status,
            reason: refusal.reason,
            why,
            what_to_do,
        }
    }))
}
