//! What an integration is connected to, tried out: Amazon Connect, and who is told of its calls.
//!
//! Invariant: nothing is written at the other side but a test event, which says that it is one; no answer repeats a secret. Of a connection that
//! is not kept nothing is kept: it is tried with what the request gives alone.

use bellhop_connect::connection_test::ConnectionReport;
use bellhop_tenancy::access::Role;
use bellhop_tenancy::settings::{Beside, Composed, Mistake, Table, TenantSettings, Unopened, Value, names_kept};
use bellhop_tenancy::store::{AuditOutcome, Kept, KeptKind, NewAuditLine};
use serde::Serialize;
use utoipa::ToSchema;

use super::asked::Asked;
use super::given::Given;
use super::of_file;
use super::route::{Outcome, Route};
use super::shown::time;
use super::trials::{Came, Trial, find, keep, opened, took_place};
use crate::pointer::pointer;
use crate::ports::{Fault as TrialFault, Origin};
use crate::problem::{Fault, Problem};

/// What a test of a connection found.
#[derive(Serialize, ToSchema)]
struct Connection {
    /// Whether hand-offs would be let through.
    valid: bool,
    /// What came of it, in a sentence.
    told: String,
    /// What is the matter, by its word in `docs/errors.md`; null where nothing is.
    #[schema(example = "key_unknown")]
    cause: Option<&'static str>,
    /// What to do about it; null where nothing is to be done.
    remedy: Option<String>,
    /// Where agents open the instance, by which its pages may frame ours (`frame_ancestors`); null where that was not told.
    #[schema(example = "https://acme.my.connect.aws")]
    access_url: Option<String>,
    /// What was asked for, in order.
    requests: Vec<Request>,
    /// The revision that was tried.
    revision: i64,
    at: String,
}

/// A request of a test.
#[derive(Serialize, ToSchema)]
struct Request {
    #[schema(example = "UpdateContactAttributes")]
    action: String,
    /// Status and code.
    answered: String,
    milliseconds: u64,
}

/// A connection to Amazon Connect that is not kept.
#[derive(ToSchema)]
#[allow(dead_code)] // its shape is told; it is read by the reader of settings
struct NewConnection {
    /// The section `connect` of settings, whole: secrets that are kept are not those of another connection.
    #[schema(value_type = Object)]
    connect: Table,
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post(
            "/integrations/{id}/test-connection",
            Role::Admin,
            "Tells whether Amazon Connect would let hand-offs through; nothing is written",
            connection,
        )
        .gives::<Connection>()
        .tries(),
        Route::post(
            "/drafts/{id}/test-connection",
            Role::Admin,
            "Tells the same of a draft; nothing is written",
            connection_of_draft,
        )
        .gives::<Connection>()
        .tries(),
        Route::post(
            "/integrations/{id}/try-connection",
            Role::Admin,
            "Tells the same of a connection before it is kept; nothing is written, here or there",
            connection_given,
        )
        .takes::<NewConnection>()
        .gives::<Connection>()
        .tries(),
        Route::post(
            "/integrations/{id}/test-log-webhook",
            Role::Admin,
            "Sends a test event to who is told of calls, once",
            log_webhook,
        )
        .gives::<Trial>()
        .tries(),
    ]
}

async fn connection(asked: Asked) -> Outcome {
    if let Some(of_file) = asked.integration_of_file()? {
        let (settings, written) = (of_file.says.settings().clone(), &of_file.says.written().document);
        has_connection(&settings)?;
        let (action, on) = ("integration.open_secrets".to_owned(), Some(of_file.id.to_string()));
        let line = NewAuditLine { action, tenant: None, on, outcome: AuditOutcome::Done };
        asked.ports.store.note(&asked.by, line).await?;
        let report = asked.ports.trials.connection(settings, Origin::File).await;
        let report = report.map_err(|mistakes| faults(&mistakes, written))?;
        return Ok(Given::one(&Connection::of(&report, 0, asked.at_unix_ms)));
    }
    tested(asked, KeptKind::Integration).await
}

async fn connection_of_draft(asked: Asked) -> Outcome {
    tested(asked, KeptKind::Draft).await
}

async fn tested(asked: Asked, kind: KeptKind) -> Outcome {
    let kept = find(&asked, kind).await?;
    let settings = opened(&asked, &kept).await?;
    has_connection(&settings)?;
    match asked.ports.trials.connection(settings, Origin::Store).await {
        Ok(report) => {
            let came = Connection::of(&report, kept.stamp.revision, asked.at_unix_ms);
            let (good, told, remedy) = (came.valid, came.told.clone(), came.remedy.clone());
            keep(&asked, &kept, Came { good, told, cause: came.cause, remedy }).await?;
            Ok(Given::one(&came))
        }
        Err(mistakes) => {
            let told = mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            let cause = Some(TrialFault::Unusable.word());
            keep(&asked, &kept, Came { good: false, told, cause, remedy: None }).await?;
            Err(faults(&mistakes, &kept.document))
        }
    }
}

/// An integration that is set up here: what stands in the file is tried by who writes that.
async fn find_kept(asked: &Asked) -> Result<Kept, Problem> {
    match asked.integration_of_file()? {
        Some(_) => Err(of_file::refused()),
        None => find(asked, KeptKind::Integration).await,
    }
}

/// Tries what the request says, which is whole: nothing of what is kept goes anywhere else.
async fn connection_given(asked: Asked) -> Outcome {
    let kept = find_kept(&asked).await?;
    let body = asked.document();
    let whole = || Problem::faults(vec![Fault::at("#/connect", "is missing: the section `connect`, whole")]);
    let Some(Value::Table(_)) = body.get(CONNECT) else { return Err(whole()) };
    if let Some((key, _)) = body.iter().find(|(key, _)| *key != CONNECT) {
        return Err(Problem::faults(vec![Fault::at(pointer(key, &body), "is not known here")]));
    }
    if let Some(path) = names_kept(&body) {
        return Err(Problem::faults(vec![Fault::at(pointer(&path, &body), "is kept for another connection: give it")]));
    }
    let beside = Beside { tenant: "t", numbers: &[], calls: 1, calls_per_second: None };
    let read = Composed::new(&beside, (kept.id, &body), |_, _| None).read(&Unopened);
    let is_own = |(of, mistake): &&(_, Mistake)| *of == kept.id && mistake.path.starts_with(CONNECT);
    let own: Vec<&Mistake> = read.mistakes.iter().filter(is_own).map(|(_, mistake)| mistake).collect();
    let fault = |mistake: &&Mistake| Fault::at(pointer(&mistake.path, &body), &mistake.why);
    if !own.is_empty() {
        return Err(Problem::faults(own.iter().map(fault).collect()));
    }
    match asked.ports.trials.connection(read.settings, Origin::Store).await {
        Ok(report) => Ok(Given::one(&Connection::of(&report, kept.stamp.revision, asked.at_unix_ms))),
        Err(mistakes) => Err(Problem::mistakes(&mistakes, &body)),
    }
}

/// The section of settings that says who we are to Amazon Connect.
const CONNECT: &str = "connect";

/// One event, and one try; whether calls are told of is the receiver's to say.
async fn log_webhook(asked: Asked) -> Outcome {
    let kept = find_kept(&asked).await?;
    let settings = opened(&asked, &kept).await?;
    if settings.records.webhook.is_none() {
        let why = "the integration has no section `records.webhook`: nobody is told of its calls";
        return Err(Problem::faults(vec![Fault::at("#/settings/records/webhook", why)]));
    }
    let came = took_place(asked.ports.trials.log_webhook(settings).await)?;
    let good = came.is_ok();
    let cause = came.as_ref().err().map(|(fault, _)| fault.word());
    let told = came.unwrap_or_else(|(_, told)| told);
    Ok(Given::one(&Trial { good, told, cause, revision: kept.stamp.revision, at: time(asked.at_unix_ms) }))
}

fn has_connection(settings: &TenantSettings) -> Result<(), Problem> {
    let why = "the integration has no section `connect`: its calls do not come from Amazon Connect";
    let lacks = || Problem::faults(vec![Fault::at("#/settings/connect", why)]);
    settings.connect.as_ref().map(|_| ()).ok_or_else(lacks)
}

/// Mistakes of settings that make no connection.
fn faults(mistakes: &[Mistake], document: &Table) -> Problem {
    let at = |path: &str| format!("#/settings{}", pointer(path, document).trim_start_matches('#'));
    Problem::faults(mistakes.iter().map(|mistake| Fault::at(at(&mistake.path), &mistake.why)).collect())
}

impl Connection {
    fn of(report: &ConnectionReport, revision: i64, at_unix_ms: i64) -> Self {
        let request = |request: &bellhop_connect::connection_test::Request| Request {
            action: request.action.to_string(),
            answered: request.answered.clone(),
            milliseconds: u64::try_from(request.took.as_millis()).unwrap_or(u64::MAX),
        };
        Self {
            valid: report.is_valid(),
            told: report.outcome.to_string(),
            cause: report.outcome.cause(),
            remedy: report.outcome.remedy(),
            access_url: report.access_url.clone(),
            requests: report.requests.iter().map(request).collect(),
            revision,
            at: time(at_unix_ms),
        }
    }
}
