//! `calls` and `session-history`: what calls were and are, and the conversations that agents are given.
//!
//! Invariant: a call of another tenant is not there, by whatever name; a call is named by its session or its name in the log, never by
//! what a caller's side chose. What happens in a call is told to a bounded number of readers, for a bounded time.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use actix_web::web::Bytes;
use bellhop_call::ports::{KeptCall, Wanted};
use bellhop_connect::ports::{self, Counted};
use bellhop_connect::session_history_key::{RANDOM_BYTES, SessionHistoryKey, filed_under};
use bellhop_tenancy::access::{Role, Scope};
use bellhop_tenancy::id::TenantId;
use bellhop_tenancy::store::{AuditOutcome, NewAuditLine};
use futures_util::StreamExt;
use futures_util::stream;
use serde::Serialize;
use serde_json::Value as Json;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use super::asked::Asked;
use super::given::Given;
use super::route::{OF_TENANT, Outcome, Parameter, Route};
use super::shown::{Moment, time};
use crate::ports::{Events, LiveCall};
use crate::problem::Problem;

/// Readers of events at once.
const READERS_MAX: usize = 32;
/// How long one reads; who wants more asks again.
const READ_MAX: Duration = Duration::from_secs(600);
/// How often a reader who has nothing to read is told that the line is up.
const STILL_THERE: Duration = Duration::from_secs(15);
/// Calls that may begin in one millisecond where a page ends.
const TIES_MAX: u32 = 64;
/// When a reader may come who found too many.
const COME_AGAIN: Duration = Duration::from_secs(10);

/// What the audit calls that a conversation was read.
pub const HISTORY_READ: &str = "session_history.read";

static READERS: Semaphore = Semaphore::const_new(READERS_MAX);

const FROM: Parameter =
    Parameter { name: "from", says: "Calls that began at this time (RFC 3339) or later.", required: false };
const UNTIL: Parameter = Parameter { name: "until", says: "Calls that began before this time.", required: false };
const CALLER: Parameter = Parameter { name: "caller", says: "Calls from this number.", required: false };
const REASON: Parameter = Parameter { name: "reason", says: "Calls that ended so: `end_reason`.", required: false };

/// A call that is over.
#[derive(Serialize, ToSchema)]
struct Call {
    /// Its session: `global_session_id` of its record.
    id: String,
    /// Its name in the log.
    call: String,
    /// The name of its tenant.
    tenant: String,
    caller: String,
    began_at: String,
}

/// A call with all that is kept of it.
#[derive(Serialize, ToSchema)]
struct Record {
    #[serde(flatten)]
    call: Call,
    /// The call detail record.
    #[schema(value_type = Object)]
    details: Json,
    /// What happened when.
    #[schema(value_type = Vec<Object>)]
    timeline: Json,
}

/// A call that is up on this server.
#[derive(Serialize, ToSchema)]
struct Live {
    /// Its name in the log.
    id: String,
    /// The name of its tenant.
    tenant: String,
}

/// A conversation as an agent is given it.
#[derive(Serialize, ToSchema)]
struct History {
    /// The name of the tenant.
    tenant: String,
    /// The conversation.
    #[schema(value_type = Object)]
    conversation: Json,
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/calls", Role::Viewer, "Lists calls that are over, the newest first", list)
            .pages::<Call>()
            .with(OF_TENANT)
            .with(FROM)
            .with(UNTIL)
            .with(CALLER)
            .with(REASON),
        Route::get("/calls/live", Role::Viewer, "Lists calls that are up on this server", live)
            .lists::<Live>()
            .with(OF_TENANT),
        Route::get("/calls/{call}", Role::Viewer, "Shows a call that is over", show).gives::<Record>(),
        Route::get(
            "/calls/{call}/events",
            Role::Viewer,
            "Tells what happens in a call that is up on this server",
            events,
        )
        .gives_text("text/event-stream"),
        Route::post("/calls/{call}/hang-up", Role::Admin, "Ends a call that is up on this server", hang_up),
        Route::get("/session-history/{key}", Role::Agent, "Shows the conversation of a `SessionHistoryKey`", history)
            .gives::<History>(),
    ]
}

/// The name of the tenant whose calls are asked for; none for everybody's.
pub(super) async fn tenant(asked: &Asked) -> Result<Option<String>, Problem> {
    let scope = asked.scope().await?;
    match scope.tenant() {
        Some(tenant) => match asked.tenant_of_file(tenant) {
            Some(of_file) => Ok(Some(of_file.name)),
            None => kept_name(asked, &scope, tenant).await.map(Some),
        },
        None => Ok(None),
    }
}

/// Calls know their tenant by its name: where the file has one of that name, they are that one's.
async fn kept_name(asked: &Asked, scope: &Scope, tenant: TenantId) -> Result<String, Problem> {
    let name = asked.ports.store.tenant(scope, tenant).await?.name;
    match asked.has_name_of_file(&name) {
        true => Err(Problem::forbidden(
            "whoever runs this server has another tenant of this name in its configuration, whose calls these are: ask them to rename one",
        )),
        false => Ok(name),
    }
}

impl Call {
    fn of(kept: &KeptCall) -> Self {
        Self {
            id: kept.session.clone(),
            call: kept.call.clone(),
            tenant: kept.tenant.clone(),
            caller: kept.caller.clone(),
            began_at: time(kept.began_unix_ms),
        }
    }
}

/// Where a page ended: when its last call began, and which that was.
struct After {
    began_unix_ms: i64,
    session: String,
}

impl After {
    fn of(kept: &KeptCall) -> Self {
        Self { began_unix_ms: kept.began_unix_ms, session: kept.session.clone() }
    }

    /// What comes after it, of calls that begin with the newest.
    fn of_these<'a>(&self, found: &'a [KeptCall]) -> &'a [KeptCall] {
        let itself = found.iter().position(|kept| kept.session == self.session);
        let older = || found.iter().position(|kept| kept.began_unix_ms < self.began_unix_ms);
        let from = itself.map(|at| at + 1).or_else(older).unwrap_or(found.len());
        &found[from..]
    }
}

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.began_unix_ms, self.session)
    }
}

impl FromStr for After {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (began, session) = text.split_once('.').ok_or(())?;
        Ok(Self { began_unix_ms: began.parse().map_err(|_| ())?, session: session.to_owned() })
    }
}

async fn list(asked: Asked) -> Outcome {
    let (tenant, limit) = (tenant(&asked).await?, asked.limit()?);
    let moment = |name: &str| Ok::<_, Problem>(asked.parameter::<Moment>(name)?.map(|Moment(at)| at));
    let (from, until) = (moment("from")?, moment("until")?);
    let after = asked.cursor::<After>()?;
    let behind = after.as_ref().map(|after| after.began_unix_ms.saturating_add(1));
    let wanted = Wanted {
        tenant,
        caller: asked.parameter_text("caller").map(str::to_owned),
        reason: asked.parameter_text("reason").map(str::to_owned),
        from_unix_ms: from,
        until_unix_ms: [until, behind].into_iter().flatten().min(),
    };
    let found = asked.ports.records.latest(&wanted, limit + 1 + TIES_MAX).await.map_err(|error| unavailable(&error))?;
    let rest = after.as_ref().map_or(&found[..], |after| after.of_these(&found));
    let page = &rest[..rest.len().min(limit as usize)];
    let next = page.last().filter(|_| rest.len() > page.len()).map(|last| After::of(last).to_string());
    Ok(Given::list(page.iter().map(Call::of).collect(), next))
}

/// Of a database that cannot be read: the caller may ask again.
pub(super) fn unavailable(error: &dyn std::error::Error) -> Problem {
    tracing::warn!(%error, "call records cannot be read");
    let detail = "the database does not answer: ask again";
    Problem::new(actix_web::http::StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(COME_AGAIN)
}

/// What a store has kept as JSON.
fn as_json(text: &str) -> Result<Json, Problem> {
    serde_json::from_str(text).map_err(|error| {
        // Its text would quote what was kept.
        tracing::error!(line = error.line(), column = error.column(), "what is kept of a call is damaged");
        Problem::internal()
    })
}

async fn show(asked: Asked) -> Outcome {
    let (tenant, name) = (tenant(&asked).await?, asked.name("call")?);
    let found = asked.ports.records.find_call(name).await.map_err(|error| unavailable(&error))?;
    let is_theirs = |kept: &KeptCall| tenant.as_ref().is_none_or(|tenant| kept.tenant == *tenant);
    // A caller's side chooses its Call-ID: by it a call may be somebody else's.
    let is_named = |kept: &KeptCall| kept.session == name || kept.call == name;
    let kept = found.filter(|kept| is_named(kept) && is_theirs(kept)).ok_or_else(Problem::not_found)?;
    let (details, timeline) = (as_json(&kept.details)?, as_json(&kept.timeline)?);
    Ok(Given::one(&Record { call: Call::of(&kept), details, timeline }))
}

async fn live(asked: Asked) -> Outcome {
    let tenant = tenant(&asked).await?;
    let calls = asked.ports.calls.list(tenant.as_deref());
    Ok(Given::list(calls.into_iter().map(|LiveCall { call, tenant }| Live { id: call, tenant }).collect(), None))
}

async fn hang_up(asked: Asked) -> Outcome {
    let (tenant, call) = (tenant(&asked).await?, asked.name("call")?);
    if !asked.ports.calls.hang_up(tenant.as_deref(), call) {
        return Err(Problem::not_found());
    }
    let (action, on) = ("call.hang_up".to_owned(), Some(call.to_owned()));
    let tenant = asked.by.signed_in.scope().tenant();
    let line = NewAuditLine { action, tenant, on, outcome: AuditOutcome::Done };
    if let Err(error) = asked.ports.store.note(&asked.by, line).await {
        tracing::warn!(%error, "a call was hung up, and the audit could not be told");
    }
    Ok(Given::done())
}

/// Whoever reads what happens in a call.
struct Reader {
    events: Box<dyn Events>,
    until: Instant,
    _place: SemaphorePermit<'static>,
}

async fn events(asked: Asked) -> Outcome {
    let (tenant, call) = (tenant(&asked).await?, asked.name("call")?);
    let events = asked.ports.calls.events(tenant.as_deref(), call).ok_or_else(Problem::not_found)?;
    let place = READERS.try_acquire().map_err(|_| {
        let detail = "too many read what happens in calls";
        Problem::new(actix_web::http::StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(COME_AGAIN)
    })?;
    let reader = Reader { events, until: Instant::now() + READ_MAX, _place: place };
    let lines = stream::unfold(reader, |mut reader| async move {
        let wait = (Instant::now() + STILL_THERE).min(reader.until);
        let line = match timeout_at(wait, reader.events.next()).await {
            Ok(Some(json)) => format!("data: {json}\n\n"),
            Ok(None) => return None,
            Err(_) if Instant::now() >= reader.until => return None,
            Err(_) => ": still there\n\n".to_owned(),
        };
        Some((Ok(Bytes::from(line)), reader))
    });
    Ok(Given::events(lines.boxed_local()))
}

async fn history(asked: Asked) -> Outcome {
    let tenant = tenant(&asked).await?;
    // What can be no key is looked for all the same, under a name that nobody has.
    let name = filed_under(asked.name("key")?);
    let name = name.unwrap_or_else(|| SessionHistoryKey::from_random(rand::random::<[u8; RANDOM_BYTES]>()).filed_as());
    let found = asked.ports.histories.find_history(&name).await.map_err(|error| unavailable(&error))?;
    let theirs = found.filter(|history| tenant.as_ref().is_none_or(|tenant| history.tenant == *tenant));
    let history = theirs.ok_or_else(Problem::not_found)?;
    let (conversation, who) = (as_json(&history.json)?, &asked.by.signed_in);
    let reader = ports::Reader::user(&who.user().map_or_else(|| who.name().to_owned(), |user| user.to_string()));
    match asked.ports.histories.count_read(&name, &reader).await.map_err(|error| unavailable(&error))? {
        Counted::UsedUp => return Err(Problem::not_found()),
        Counted::GoesOn => {}
        Counted::New => was_read(&asked, &history.tenant, &conversation).await,
    }
    Ok(Given::one(&History { tenant: history.tenant, conversation }))
}

/// The audit is told who read a conversation, by the name of its call and never by its key.
async fn was_read(asked: &Asked, tenant: &str, conversation: &Json) {
    let of_file = asked.has_name_of_file(tenant).then(|| TenantId::of_file(tenant));
    let tenant = asked.by.signed_in.scope().tenant().or(of_file);
    let on = conversation["call"].as_str().map(str::to_owned);
    let line = NewAuditLine { action: HISTORY_READ.to_owned(), tenant, on, outcome: AuditOutcome::Done };
    if let Err(error) = asked.ports.store.note(&asked.by, line).await {
        tracing::warn!(%error, "a conversation was read, and the audit could not be told");
    }
}
