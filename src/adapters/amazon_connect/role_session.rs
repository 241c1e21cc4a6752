//! A role that is kept assumed (STS AssumeRole), so that a hand-off need not wait for it.
//!
//! The session is renewed [`RENEW_BEFORE`] its end by a task of its own. While it lives it is used, whatever becomes of the
//! renewal; where none lives, whoever needs one asks at once, with a limit of its own. Invariant: there is one request at a
//! time, and who waited for it takes its outcome.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_connect::config::SharedHttpClient;
use aws_sdk_connect::error::SdkError;
use aws_sdk_sts::operation::assume_role::{AssumeRoleError, AssumeRoleOutput};
use bellhop_connect::connection::{AssumedRole, Connection};
use bellhop_connect::connection_test::{Cause, not_assumed};
use bellhop_connect::ports::Pending;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::sdk::{self, ATTEMPT_MAX};

/// How long a session is asked for: what every role allows.
const ASKED_FOR: Duration = Duration::from_secs(3600);
/// The longest session of STS; one that claims to live longer is renewed after this.
const LIVES_MAX: Duration = Duration::from_secs(12 * 3600);
/// How long before its end a session is renewed.
const RENEW_BEFORE: Duration = Duration::from_secs(5 * 60);
/// The shortest time between two renewals that went well, should sessions be that short.
const RENEW_PAUSE_MIN: Duration = Duration::from_secs(30);
/// The first pause after a renewal that failed; it doubles.
const RETRY_FIRST: Duration = Duration::from_secs(5);
/// The longest pause between two that fail.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// A role that is kept assumed for as long as there is a clone of this.
#[derive(Clone)]
pub(crate) struct RoleSession(Arc<Kept>);

/// Asks STS once.
type Assume = Box<dyn Fn() -> Pending<Result<Assumed, Cause>> + Send + Sync>;

/// A session that began.
pub(crate) struct Assumed {
    pub(crate) credentials: Credentials,
    pub(crate) lives: Duration,
}

struct Kept {
    assume: Assume,
    state: Mutex<State>,
    /// Held by whoever asks STS.
    asking: tokio::sync::Mutex<()>,
    renewal: OnceLock<AbortHandle>,
}

#[derive(Default)]
struct State {
    session: Option<(Credentials, Instant)>,
    /// How often STS has answered, or has not.
    asked: u64,
    failure: Option<Cause>,
}

impl RoleSession {
    /// Begins to keep a connection's role assumed; must be called on a tokio runtime.
    pub(crate) fn of(connection: &Connection, role: &AssumedRole, http: SharedHttpClient) -> Self {
        let sts = sdk::sts(connection, role, http, ATTEMPT_MAX);
        let (connection, role) = (connection.clone(), role.clone());
        Self::begin(Box::new(move || {
            let (connection, asked) = (connection.clone(), assume_role(sts.clone(), role.clone()));
            Box::pin(async move {
                asked.await.map_err(|error| {
                    let answer = sdk::answer(&error, SystemTime::now(), ATTEMPT_MAX);
                    not_assumed(&connection, &answer)
                })
            })
        }))
    }

    #[allow(clippy::disallowed_methods)] // it outlives every call, and is no call's
    fn begin(assume: Assume) -> Self {
        let kept = Kept { assume, state: Mutex::default(), asking: Default::default(), renewal: OnceLock::new() };
        let kept = Arc::new(kept);
        let _ = kept.renewal.set(tokio::spawn(renew(Arc::downgrade(&kept))).abort_handle());
        Self(kept)
    }

    /// Waits until there is a session that lives, and tells the id of its key; else why there is none.
    pub(crate) async fn ready(&self) -> Result<String, Cause> {
        if let Some(id) = self.0.key_id() {
            return Ok(id);
        }
        let asked = self.0.state().asked;
        let _asking = self.0.asking.lock().await;
        if let Some(id) = self.0.key_id() {
            return Ok(id);
        }
        // Whoever asked while this one waited asked for both.
        if let Some(cause) = self.0.failure_since(asked) {
            return Err(cause);
        }
        self.0.ask().await?;
        self.0.key_id().ok_or(Cause::Unexpected { status: 200, code: "session_over".to_owned() })
    }

    /// The session with this key is over, whatever its end was to be.
    pub(crate) fn forget(&self, key_id: &str) {
        let mut state = self.0.state();
        if state.session.as_ref().is_some_and(|(credentials, _)| credentials.access_key_id() == key_id) {
            state.session = None;
        }
    }
}

impl Kept {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The credentials of the session that lives, and for how long.
    fn living(&self) -> Option<(Credentials, Duration)> {
        let state = self.state();
        let (credentials, ends) = state.session.as_ref()?;
        let left = ends.saturating_duration_since(Instant::now());
        (!left.is_zero()).then(|| (credentials.clone(), left))
    }

    fn key_id(&self) -> Option<String> {
        self.living().map(|(credentials, _)| credentials.access_key_id().to_owned())
    }

    fn failure_since(&self, asked: u64) -> Option<Cause> {
        let state = self.state();
        if state.asked == asked { None } else { state.failure.clone() }
    }

    /// Asks STS; only for whoever holds `asking`.
    async fn ask(&self) -> Result<(), Cause> {
        let came = (self.assume)().await;
        let mut state = self.state();
        state.asked += 1;
        match came {
            Ok(Assumed { credentials, lives }) => {
                state.session = Some((credentials, Instant::now() + lives.min(LIVES_MAX)));
                state.failure = None;
                Ok(())
            }
            Err(cause) => {
                state.failure = Some(cause.clone());
                Err(cause)
            }
        }
    }

    /// How long the session at hand needs no renewal; none if it does, or there is none.
    fn rest(&self) -> Option<Duration> {
        let (_, left) = self.living()?;
        left.checked_sub(RENEW_BEFORE).filter(|rest| !rest.is_zero())
    }
}

/// Renews a session in time, for as long as somebody has it.
async fn renew(kept: Weak<Kept>) {
    let mut pause = RETRY_FIRST;
    loop {
        let Some(session) = kept.upgrade() else { return };
        let asking = session.asking.lock().await;
        let wait = match session.rest() {
            Some(rest) => rest,
            None => match session.ask().await {
                Ok(()) => {
                    pause = RETRY_FIRST;
                    session.rest().unwrap_or_default().max(RENEW_PAUSE_MIN)
                }
                Err(cause) => {
                    let lives = session.living().is_some();
                    tracing::warn!(cause = cause.label(), %cause, lives, "the role could not be assumed: it is tried again");
                    let wait = pause;
                    pause = (pause * 2).min(RETRY_MAX);
                    wait
                }
            },
        };
        drop(asking);
        drop(session);
        tokio::time::sleep(wait).await;
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(renewal) = self.renewal.get() {
            renewal.abort();
        }
    }
}

/// AssumeRole, once.
pub(crate) async fn assume_role(
    sts: aws_sdk_sts::Client,
    role: AssumedRole,
) -> Result<Assumed, SdkError<AssumeRoleError>> {
    let request = sts.assume_role().role_arn(role.arn.as_str()).external_id(role.external_id);
    let seconds = ASKED_FOR.as_secs() as i32;
    let began = request.role_session_name(role.session_name).duration_seconds(seconds).send().await?;
    Ok(assumed(&began, SystemTime::now()))
}

/// What of an answer is needed. One without credentials is a session that is over.
fn assumed(began: &AssumeRoleOutput, now: SystemTime) -> Assumed {
    let session = began.credentials();
    let text = |get: fn(&aws_sdk_sts::types::Credentials) -> &str| session.map(get).unwrap_or_default();
    let (id, secret) = (text(|session| session.access_key_id()), text(|session| session.secret_access_key()));
    let token = text(|session| session.session_token()).to_owned();
    let ends = session.and_then(|session| SystemTime::try_from(*session.expiration()).ok());
    let lives = ends.and_then(|ends| ends.duration_since(now).ok()).unwrap_or_default();
    Assumed { credentials: Credentials::new(id, secret, Some(token), None, "bellhop role"), lives }
}

impl ProvideCredentials for RoleSession {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        // Whoever sends has waited for them.
        let living = self.0.living().map(|(credentials, _)| credentials);
        future::ProvideCredentials::ready(living.ok_or_else(|| CredentialsError::not_loaded("no session lives")))
    }
}

impl fmt::Debug for RoleSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoleSession(redacted)")
    }
}

#[cfg(test)]
mod tests;
