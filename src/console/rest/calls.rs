//! `calls` and `session-history`: what calls were and are, and the conversations that agents are given.
//!
//! Invariant: a call of another tenant is not there, by whatever name; a call is named by its session or its name in the log, never by
//! what a caller's side chose.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bellhop_call::ports::{KeptCall, ListedCall, Wanted, WantedWords};
use bellhop_connect::ports::{self, Counted};
use bellhop_connect::session_history_key::{RANDOM_BYTES, SessionHistoryKey, filed_under};
use bellhop_tenancy::access::{Role, Scope};
use bellhop_tenancy::id::TenantId;
use bellhop_tenancy::store::{AuditOutcome, NewAuditLine};
use serde::Serialize;
use serde_json::Value as Json;
use utoipa::ToSchema;

use super::asked::Asked;
use super::given::Given;
use super::route::{OF_TENANT, Outcome, Parameter, Route};
use super::shown::time;
use crate::errors::{HowItEnded, endings_that_say};
use crate::ports::{LiveCall, SoFar};
use crate::problem::Problem;

/// When to come again where the database does not answer.
const COME_AGAIN: Duration = Duration::from_secs(10);

/// What the audit calls that a conversation was read.
pub const HISTORY_READ: &str = "session_history.read";

const fn parameter(name: &'static str, says: &'static str) -> Parameter {
    Parameter { name, says, required: false }
}

const FROM: Parameter = parameter("from", "Calls that began at this time (RFC 3339) or later.");
const UNTIL: Parameter = parameter("until", "Calls that began before this time.");
const CALLER: Parameter = parameter("caller", "Calls from this number, in whatever way it is written.");
const NUMBER: Parameter = parameter("number", "Calls from this number or to it, in whatever way it is written.");
const LONGER_THAN: Parameter = parameter("longer_than", "Calls that lasted longer than so many seconds.");
const REASON: Parameter = parameter("reason", "Calls that ended so: `reason` or `ending`.");
const WORDS: Parameter =
    parameter("words", "Calls of whose ending these words are told: in `why`, `ending` or `failure`.");

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
    /// The number that was dialled.
    dialled: String,
    began_at: String,
    /// How long it lasted, in milliseconds.
    milliseconds: u64,
    /// How many turns the conversation had.
    turns: u64,
    /// `end_reason` of its record.
    #[schema(example = "failed")]
    reason: String,
    /// How it ended, exactly: `call.ending` of its record.
    #[schema(example = "failed_media_timeout")]
    ending: String,
    /// The same in a sentence.
    why: String,
    /// What to do about it; empty where all went as it should.
    what_to_do: &'static str,
    /// `failure_details` of its record; null unless it failed.
    failure: Option<String>,
    /// What came of it, by its word in `docs/errors.md`; null for what another version of this server wrote.
    #[schema(example = "media_timeout")]
    cause: Option<&'static str>,
}

/// A call with all that is known of it: as its record is kept, or, while it is up on this server and for half a minute after, as it has been
/// so far.
#[derive(Serialize, ToSchema)]
struct Record {
    /// `up`, `ending` while its record is being written, or `over`.
    state: &'static str,
    /// Its session.
    id: Option<String>,
    /// Its name in the log.
    call: String,
    /// The name of its tenant.
    tenant: String,
    caller: Option<String>,
    dialled: Option<String>,
    began_at: Option<String>,
    /// How it ended; null while it has not.
    ended: Option<Call>,
    /// Whether it has a recording on the server that is asked: `/calls/{call}/recording`.
    recording: bool,
    /// The call detail record; null while there is none.
    #[schema(value_type = Option<Object>)]
    details: Json,
    /// What happened when: an array of events.
    #[schema(value_type = Vec<Object>)]
    timeline: Json,
    /// The number of the first event of the timeline: more than 1 where earlier ones are not kept.
    first_event: u64,
    /// The number of the last one: events after it are told by `/calls/{call}/events?after=`.
    last_event: u64,
}

/// A call that is up on this server.
#[derive(Serialize, ToSchema)]
struct Live {
    /// Its name in the log.
    id: String,
    /// The name of its tenant.
    tenant: String,
    /// `global_session_id` of the record that it will have.
    session: Option<String>,
    caller: Option<String>,
    /// The number that was dialled.
    dialled: Option<String>,
    began_at: Option<String>,
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
            .with(NUMBER)
            .with(LONGER_THAN)
            .with(REASON)
            .with(WORDS),
        Route::get("/calls/live", Role::Viewer, "Lists calls that are up on this server, the newest first", live)
            .lists::<Live>()
            .with(OF_TENANT)
            .with(FROM)
            .with(UNTIL)
            .with(NUMBER)
            .with(LONGER_THAN),
        Route::get("/calls/{call}", Role::Viewer, "Shows a call that is over, or is up on this server", show)
            .gives::<Record>()
            .with(OF_TENANT),
        Route::post("/calls/{call}/hang-up", Role::Admin, "Ends a call that is up on this server", hang_up)
            .with(OF_TENANT),
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

/// For the audit: the tenant whose calls are asked for, where the store knows it.
pub(super) async fn of_whom(asked: &Asked) -> Result<Option<TenantId>, Problem> {
    let tenant = asked.scope().await?.tenant();
    Ok(tenant.filter(|tenant| asked.tenant_of_file(*tenant).is_none()))
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

impl From<&ListedCall> for Call {
    fn from(call: &ListedCall) -> Self {
        let HowItEnded { cause, why, what_to_do } = HowItEnded::of(call);
        Self {
            id: call.session.clone(),
            call: call.call.clone(),
            tenant: call.tenant.clone(),
            caller: call.caller.clone(),
            dialled: call.dialled.clone(),
            began_at: time(call.began_unix_ms),
            milliseconds: call.milliseconds,
            turns: call.turns,
            reason: call.reason.clone(),
            ending: call.ending.clone(),
            why,
            what_to_do,
            failure: call.failure.clone(),
            cause,
        }
    }
}

/// Where a page ended: when its last call began, and which that was.
struct After {
    began_unix_ms: i64,
    session: String,
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

/// Which calls a request is about.
async fn wanted(asked: &Asked) -> Result<Wanted, Problem> {
    let tenant = tenant(asked).await?;
    let text = |name: &str| asked.parameter_text(name).map(str::trim).filter(|text| !text.is_empty());
    Ok(Wanted {
        tenant,
        caller: text("caller").map(str::to_owned),
        number: text("number").map(str::to_owned),
        reason: text("reason").map(str::to_owned),
        from_unix_ms: asked.moment("from")?,
        until_unix_ms: asked.moment("until")?,
        longer_than: asked.parameter::<u32>("longer_than")?.map(|seconds| Duration::from_secs(seconds.into())),
        words: text("words").map(|words| WantedWords { text: words.to_owned(), endings: endings_that_say(words) }),
        after: None,
    })
}

async fn list(asked: Asked) -> Outcome {
    let (wanted, limit) = (wanted(&asked).await?, asked.limit()?);
    let after = asked.cursor::<After>()?.map(|After { began_unix_ms, session }| (began_unix_ms, session));
    let wanted = Wanted { after, ..wanted };
    let found = asked.ports.records.latest(&wanted, limit + 1).await.map_err(|error| unavailable(&error))?;
    let page = &found[..found.len().min(limit as usize)];
    let last = page.last().filter(|_| found.len() > page.len());
    let next = last.map(|last| After { began_unix_ms: last.began_unix_ms, session: last.session.clone() }.to_string());
    Ok(Given::list(page.iter().map(Call::from).collect(), next))
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
    let so_far = || asked.ports.calls.so_far(tenant.as_deref(), name);
    // Of a call that is up there is no record to be looked for.
    if let Some(up) = so_far().filter(|so_far| so_far.is_up) {
        return Ok(Given::one(&Record::of_live(&up)));
    }
    match kept(&asked, tenant.as_deref(), name).await {
        Ok(kept) => {
            let recording = asked.ports.recordings.find(kept.tenant.clone(), kept.call.clone()).await;
            // A folder that cannot be read keeps nobody from the record.
            Ok(Given::one(&Record { recording: matches!(recording, Ok(Some(_))), ..Record::of_kept(&kept)? }))
        }
        // Its record is being written, or none is kept.
        Err(problem) => so_far().map(|ended| Given::one(&Record::of_live(&ended))).ok_or(problem),
    }
}

/// The record of a call, by our names for it.
pub(super) async fn kept(asked: &Asked, tenant: Option<&str>, name: &str) -> Result<KeptCall, Problem> {
    let found = asked.ports.records.find_call(name).await.map_err(|error| unavailable(&error))?;
    let is_theirs = |kept: &KeptCall| tenant.is_none_or(|tenant| kept.tenant == tenant);
    // A caller's side chooses its Call-ID: by it a call may be somebody else's.
    let is_named = |kept: &KeptCall| kept.session == name || kept.call == name;
    found.filter(|kept| is_named(kept) && is_theirs(kept)).ok_or_else(Problem::not_found)
}

impl Record {
    fn of_kept(kept: &KeptCall) -> Result<Self, Problem> {
        let call = Call::from(&ListedCall::of(kept));
        let (details, timeline) = (as_json(&kept.details)?, as_json(&kept.timeline)?);
        Ok(Self {
            state: "over",
            id: Some(call.id.clone()),
            call: call.call.clone(),
            tenant: call.tenant.clone(),
            caller: Some(call.caller.clone()),
            dialled: Some(call.dialled.clone()),
            began_at: Some(call.began_at.clone()),
            first_event: 1,
            last_event: timeline.as_array().map_or(0, |events| events.len() as u64),
            ended: Some(call),
            recording: false,
            details,
            timeline,
        })
    }

    fn of_live(so_far: &SoFar) -> Self {
        let SoFar { call, is_up, first, events } = so_far;
        let facts = call.facts.as_ref();
        Self {
            state: if *is_up { "up" } else { "ending" },
            id: facts.map(|facts| facts.session.clone()),
            call: call.call.clone(),
            tenant: call.tenant.clone(),
            caller: facts.map(|facts| facts.caller.clone()),
            dialled: facts.map(|facts| facts.dialled.clone()),
            began_at: facts.map(|facts| time(facts.began_unix_ms)),
            ended: None,
            recording: false,
            details: Json::Null,
            timeline: serde_json::to_value(events).expect("events are plain data"),
            first_event: *first,
            last_event: (first + events.len() as u64).saturating_sub(1),
        }
    }
}

async fn live(asked: Asked) -> Outcome {
    let wanted = wanted(&asked).await?;
    let calls = asked.ports.calls.list(wanted.tenant.as_deref());
    let shown = calls.iter().filter(|call| is_wanted(call, &wanted, asked.at_unix_ms)).map(Live::of);
    Ok(Given::list(shown.collect(), None))
}

/// The digits of a number; of a name the name.
fn plain(number: &str) -> String {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    if digits.len() < 3 { number.trim_start_matches('+').to_owned() } else { digits }
}

fn is_wanted(call: &LiveCall, wanted: &Wanted, now_unix_ms: i64) -> bool {
    let Some(facts) = &call.facts else {
        return wanted.number.is_none() && wanted.from_unix_ms.is_none() && wanted.longer_than.is_none();
    };
    let (began, number) = (facts.began_unix_ms, wanted.number.as_deref().map(plain));
    let lasted = u128::try_from(now_unix_ms.saturating_sub(began)).unwrap_or(0);
    number.is_none_or(|number| [&facts.caller, &facts.dialled].iter().any(|one| plain(one) == number))
        && wanted.from_unix_ms.is_none_or(|from| began >= from)
        && wanted.until_unix_ms.is_none_or(|until| began < until)
        && wanted.longer_than.is_none_or(|than| lasted > than.as_millis())
}

impl Live {
    fn of(call: &LiveCall) -> Self {
        let facts = call.facts.as_ref();
        Self {
            id: call.call.clone(),
            tenant: call.tenant.clone(),
            session: facts.map(|facts| facts.session.clone()),
            caller: facts.map(|facts| facts.caller.clone()),
            dialled: facts.map(|facts| facts.dialled.clone()),
            began_at: facts.map(|facts| time(facts.began_unix_ms)),
        }
    }
}

async fn hang_up(asked: Asked) -> Outcome {
    let (tenant, call) = (tenant(&asked).await?, asked.name("call")?);
    if !asked.ports.calls.hang_up(tenant.as_deref(), call) {
        return Err(Problem::not_found());
    }
    let (action, on, tenant) = ("call.hang_up".to_owned(), Some(call.to_owned()), of_whom(&asked).await?);
    let line = NewAuditLine { action, tenant, on, outcome: AuditOutcome::Done };
    if let Err(error) = asked.ports.store.note(&asked.by, line).await {
        tracing::warn!(%error, "a call was hung up, and the audit could not be told");
    }
    Ok(Given::done())
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
