//! Trying out what is kept: a speech service, an assistant. What integrations are connected to: `connections.rs`.
//!
//! Invariant: what is tried is what is kept, with its secrets, which are opened for it alone and noted in the audit; no answer repeats one.
//! A result names the revision that was tried, and stays with the document as long as what was tested is as it was.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use actix_web::http::StatusCode;
use bellhop_tenancy::access::Role;
use bellhop_tenancy::id::Id;
use bellhop_tenancy::settings::{Beside, Composed, KeptSecrets, Table, TenantSettings, Value};
use bellhop_tenancy::store::{Kept, KeptKind, LastTest};
use serde::Serialize;
use serde_json::Value as Json;
use utoipa::ToSchema;

use super::asked::Asked;
use super::fields::{self, Fields};
use super::given::{Given, Text};
use super::route::{Outcome, Route};
use super::shown::time;
use crate::ports::{Failed, Fault as TrialFault, Offer, Said};
use crate::problem::{Fault, Problem};

/// Most characters of what is said to an assistant.
const SAID_CHARS_MAX: usize = 2_000;
/// Most keys that are pressed at once.
const DIGITS_MAX: usize = 32;
/// Most characters that a voice is given to say.
const SENTENCE_CHARS_MAX: usize = 300;
/// What speech is given as.
const WAV: &str = "audio/wav";
/// Most models or voices that are shown.
const OFFERS_MAX: usize = 1_000;

/// Somebody's service did not do what it was asked.
const NOT_ANSWERED: StatusCode = StatusCode::BAD_GATEWAY;

/// What came of a trial.
#[derive(Serialize, ToSchema)]
pub(super) struct Trial {
    /// Whether calls would be served.
    pub(super) good: bool,
    /// What came of it, in a sentence.
    pub(super) told: String,
    /// What is the matter, by its word in `docs/errors.md`; null where nothing is.
    #[schema(example = "unavailable")]
    pub(super) cause: Option<&'static str>,
    /// The revision that was tried.
    pub(super) revision: i64,
    pub(super) at: String,
}

/// A model or voice.
#[derive(Serialize, ToSchema)]
struct Offered {
    /// As it is configured.
    name: String,
    language: String,
    gender: Option<String>,
}

/// What a voice says.
#[derive(ToSchema)]
#[allow(dead_code)] // its shape is told; it is read by its field
struct Sentence {
    #[schema(max_length = 300)]
    text: String,
}

/// What an assistant is told that a caller did: one of these, or nothing as a call begins.
#[derive(ToSchema)]
#[schema(as = Said)]
#[allow(dead_code)] // its shape is told; it is read by its fields
struct Did {
    /// What the caller says.
    #[schema(required = false, max_length = 2000)]
    text: String,
    /// What the caller presses: of `0` to `9`, `*` and `#`.
    #[schema(required = false, max_length = 32)]
    digits: String,
    /// Whether the caller stays silent.
    #[schema(required = false)]
    silence: bool,
    /// `context` of the reply before.
    #[schema(required = false, value_type = Object)]
    context: Json,
}

/// What an assistant replied.
#[derive(Serialize, ToSchema)]
struct Replied {
    /// Its responses.
    #[schema(value_type = Vec<Object>)]
    responses: Vec<Json>,
    /// For what is said next.
    #[schema(value_type = Object)]
    context: Json,
    /// The revision that replied.
    revision: i64,
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/services/{id}/test", Role::Admin, "Speaks to a speech service", test).gives::<Trial>().tries(),
        Route::get(
            "/services/{id}/offers",
            Role::Admin,
            "Lists the models or voices that a speech service offers",
            offers,
        )
        .lists::<Offered>()
        .may(NOT_ANSWERED)
        .tries(),
        Route::post("/services/{id}/listen", Role::Admin, "Has a voice say something", listen)
            .takes::<Sentence>()
            .gives_text(WAV)
            .may(NOT_ANSWERED)
            .tries(),
        Route::post("/assistants/{id}/try", Role::Admin, "Says something to an assistant", say)
            .takes::<Did>()
            .gives::<Replied>()
            .may(NOT_ANSWERED)
            .tries(),
    ]
}

pub(super) async fn find(asked: &Asked, kind: KeptKind) -> Result<Kept, Problem> {
    Ok(asked.ports.store.document(&asked.by.signed_in.scope(), kind, asked.id()?).await?)
}

/// What a document says with its secrets, alone in settings.
pub(super) async fn opened(asked: &Asked, kept: &Kept) -> Result<TenantSettings, Problem> {
    let secrets = asked.ports.store.open_secrets(&asked.by, kept.kind, kept.id).await?;
    let secrets: BTreeMap<(Id, String), _> =
        secrets.into_iter().map(|(path, secret)| ((kept.id, path), Ok(secret))).collect();
    let scope = asked.by.signed_in.scope().narrowed(kept.tenant).ok_or_else(Problem::not_found)?;
    let tenant = asked.ports.store.tenant(&scope, kept.tenant).await?.name;
    let beside = Beside { tenant: &tenant, numbers: &[], calls: 1, calls_per_second: None };
    let composed = match kept.kind.part() {
        Some(part) => Composed::alone(&beside, kept.tenant.0, part, (kept.id, &kept.document)),
        None => Composed::new(&beside, (kept.id, &kept.document), |_, _| None),
    };
    Ok(composed.read(&KeptSecrets(&secrets)).settings)
}

/// What came of a test.
pub(super) struct Came {
    pub(super) good: bool,
    pub(super) told: String,
    pub(super) cause: Option<&'static str>,
    pub(super) remedy: Option<String>,
}

/// What is the matter with what was tried, and in a sentence.
pub(super) type NotGood = (TrialFault, String);

/// It could be tried, and did not do what it should.
fn not_answered((_, told): NotGood) -> Problem {
    Problem::new(NOT_ANSWERED, told)
}

/// What a trial came to, good or bad. One that did not take place is no result.
pub(super) fn took_place<T>(came: Result<T, Failed>) -> Result<Result<T, NotGood>, Problem> {
    match came {
        Ok(good) => Ok(Ok(good)),
        Err(Failed::Tried(fault, told)) => Ok(Err((fault, told))),
        Err(Failed::Untried(why)) => {
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, why).retry_after(Duration::from_secs(1)))
        }
    }
}

/// Keeps what came of a test, for whoever looks at the document later. If it has changed meanwhile, what was tested is not what it says.
pub(super) async fn keep(asked: &Asked, kept: &Kept, Came { good, told, cause, remedy }: Came) -> Result<(), Problem> {
    let (fingerprint, cause) = (kept.fingerprint(), cause.map(str::to_owned));
    let test = LastTest { fingerprint, at_unix_ms: asked.at_unix_ms, good, told, cause, remedy };
    Ok(asked.ports.store.keep_test(&asked.by, kept.kind, kept.id, test).await?)
}

async fn test(asked: Asked) -> Outcome {
    let kept = find(&asked, KeptKind::Service).await?;
    let came = took_place(asked.ports.trials.service(opened(&asked, &kept).await?).await)?;
    let good = came.is_ok();
    let cause = came.as_ref().err().map(|(fault, _)| fault.word());
    let told = came.unwrap_or_else(|(_, told)| told);
    keep(&asked, &kept, Came { good, told: told.clone(), cause, remedy: None }).await?;
    Ok(Given::one(&Trial { good, told, cause, revision: kept.stamp.revision, at: time(asked.at_unix_ms) }))
}

async fn offers(asked: Asked) -> Outcome {
    let kept = find(&asked, KeptKind::Service).await?;
    let offers = asked.ports.trials.offers(opened(&asked, &kept).await?).await;
    let offers = took_place(offers)?.map_err(not_answered)?;
    let shown = |Offer { name, language, gender }| Offered { name, language, gender };
    Ok(Given::list(offers.into_iter().take(OFFERS_MAX).map(shown).collect(), None))
}

async fn listen(asked: Asked) -> Outcome {
    let kept = find(&asked, KeptKind::Service).await?;
    let text = fields::read(&asked.document(), |fields| fields.line("text", SENTENCE_CHARS_MAX))?;
    let speech = asked.ports.trials.speech(opened(&asked, &kept).await?, text).await;
    let bytes = took_place(speech)?.map_err(not_answered)?;
    Ok(Given::text(Text { media_type: WAV.to_owned(), file: None, policy: None, bytes }))
}

async fn say(asked: Asked) -> Outcome {
    let kept = find(&asked, KeptKind::Assistant).await?;
    let body = asked.document();
    let context = match body.get("context") {
        None | Some(Value::Nothing) => Json::Object(serde_json::Map::new()),
        Some(Value::Table(table)) => serde_json::to_value(table).map_err(|_| Problem::internal())?,
        Some(_) => return Err(Problem::faults(vec![Fault::at("#/context", "is not `context` of a reply")])),
    };
    let rest: Table =
        body.iter().filter(|(key, _)| *key != "context").map(|(key, value)| (key.to_owned(), value.clone())).collect();
    let said = did(&rest)?;
    let begins = said == Said::Nothing && body.get("context").is_none();
    let reply = took_place(asked.ports.trials.assistant(opened(&asked, &kept).await?, said, context).await)?;
    let told = reply.as_ref().map_or_else(|(_, told)| told.clone(), |_| "it replies".to_owned());
    let cause = reply.as_ref().err().map(|(fault, _)| fault.word());
    // What a reply is to depends on what was said: that a conversation begins does not.
    if begins {
        keep(&asked, &kept, Came { good: reply.is_ok(), told, cause, remedy: None }).await?;
    }
    let reply = reply.map_err(not_answered)?;
    let revision = kept.stamp.revision;
    Ok(Given::one(&Replied { responses: reply.responses, context: reply.context, revision }))
}

/// Keys that were pressed.
struct Keys(String);

/// Not keys.
#[derive(Debug, thiserror::Error)]
#[error("is not of the keys 0 to 9, * and #, at most {DIGITS_MAX}")]
struct NoKeys;

impl FromStr for Keys {
    type Err = NoKeys;

    fn from_str(text: &str) -> Result<Self, NoKeys> {
        let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'*' || b == b'#');
        if plain && text.len() <= DIGITS_MAX { Ok(Self(text.to_owned())) } else { Err(NoKeys) }
    }
}

/// What the caller did.
fn did(body: &Table) -> Result<Said, Problem> {
    let read = |fields: &Fields<'_>| {
        let digits = fields.parsed_or_none::<Keys>("digits").map_or_else(String::new, |Keys(keys)| keys);
        (fields.line_or_none("text", SAID_CHARS_MAX), digits, fields.flag("silence", false))
    };
    let (text, digits, silence) = fields::read(body, read)?;
    match (text.is_empty(), digits.is_empty(), silence) {
        (true, true, false) => Ok(Said::Nothing),
        (false, true, false) => Ok(Said::Words(text)),
        (true, false, false) => Ok(Said::Digits(digits)),
        (true, true, true) => Ok(Said::Silence),
        _ => Err(Problem::faults(vec![Fault::at("#", "says more than one of `text`, `digits` and `silence`")])),
    }
}
