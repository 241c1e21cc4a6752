//! UpdateContactAttributes (Amazon Connect API reference): `POST /contact/attributes`, SigV4 service `connect`.
//!
//! Retried are 429, 500 and 503 and only within the budget, with jitter; 4xx are final. A try that timed out or lost its
//! connection may have been carried out: the outcome is then uncertain unless a later try succeeds, which is the same
//! write again. With a role, nothing is asked of STS while the credentials at hand live.
//! Invariant: the outcome is `Done` only after a 200.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_connect::error::{ProvideErrorMetadata, SdkError};
use bellhop_adapters::reach::Reach;
use bellhop_connect::connection::{Connection, Identity};
use bellhop_connect::handoff::WriteOutcome;
use bellhop_connect::ports::{AttributeBlanker, AttributeWriter, Pending};
use bellhop_connect::rate_limiter::RateLimiter;
use tokio::time::Instant;

use crate::limiters::Limiters;
use crate::role_session::RoleSession;
use crate::sdk::{self, ATTEMPT_MAX};

/// Everything about one write: turns, tries and pauses.
pub const BUDGET: Duration = Duration::from_secs(3);
/// The first pause between tries; it doubles, and up to as much again is added at random.
const PAUSE: Duration = Duration::from_millis(100);
/// Tries in all.
const TRIES: u32 = 4;

/// A client for one tenant's instance.
#[derive(Clone)]
pub struct Client {
    sdk: aws_sdk_connect::Client,
    instance_id: String,
    /// Of a role; a key is always there.
    session: Option<RoleSession>,
    limiter: Arc<Mutex<RateLimiter>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("instance_id", &self.instance_id).finish_non_exhaustive()
    }
}

impl Client {
    /// A client; with a role it must be made on a tokio runtime, where the role is kept assumed for as long as there is a
    /// clone of the client.
    pub fn new(connection: &Connection, limiters: &Limiters) -> Self {
        let (credentials, session) = match &connection.identity {
            Identity::Key(key) => (sdk::fixed(key), None),
            Identity::Role(role) => {
                let session = RoleSession::of(connection, role, sdk::http(Reach::Everywhere));
                (aws_sdk_connect::config::SharedCredentialsProvider::new(session.clone()), Some(session))
            }
        };
        Self {
            sdk: sdk::connect(connection, credentials, sdk::http_to(connection), ATTEMPT_MAX),
            instance_id: connection.instance.instance_id.clone(),
            session,
            limiter: limiters.of(&connection.instance),
        }
    }

    /// Looks that there are credentials to sign with, and whose: of a key there are. What is not there for a role is told.
    async fn signer(&self, within: Duration) -> Result<Option<String>, ()> {
        let Some(session) = &self.session else { return Ok(None) };
        match tokio::time::timeout(within, session.ready()).await {
            Ok(Ok(id)) => Ok(Some(id)),
            Ok(Err(cause)) => {
                tracing::warn!(cause = cause.label(), %cause, "the role is not assumed: nothing is written");
                Err(())
            }
            Err(_) => {
                tracing::warn!("the role was not assumed in time: nothing is written");
                Err(())
            }
        }
    }

    async fn update(self, contact_id: String, attributes: Vec<(String, String)>) -> WriteOutcome {
        let deadline = Instant::now() + BUDGET;
        let mut sent_and_lost = false;
        for attempt in 0..TRIES {
            if attempt > 0 {
                let pause = PAUSE * 2u32.pow(attempt - 1);
                tokio::time::sleep(pause + pause.mul_f64(rand::random())).await;
            }
            let Ok(signer) = self.signer(deadline.saturating_duration_since(Instant::now())).await else { break };
            let left = deadline.saturating_duration_since(Instant::now());
            let turn =
                self.limiter.lock().unwrap_or_else(PoisonError::into_inner).turn(Instant::now().into_std(), left);
            let Ok(wait) = turn else { break };
            tokio::time::sleep(wait).await;
            let left = deadline.saturating_duration_since(Instant::now());
            match tokio::time::timeout(left, self.send(&contact_id, &attributes)).await {
                Ok(Try::Done) => return WriteOutcome::Done,
                Ok(Try::Refused) => return if sent_and_lost { WriteOutcome::Uncertain } else { WriteOutcome::Refused },
                Ok(Try::Again) => {}
                Ok(Try::NotSent) => {}
                Ok(Try::SessionOver) => self.forget(signer.as_deref()),
                Ok(Try::Lost) => sent_and_lost = true,
                Err(_) => {
                    sent_and_lost = true;
                    break;
                }
            }
        }
        if sent_and_lost { WriteOutcome::Uncertain } else { WriteOutcome::Refused }
    }

    /// A session that Amazon says is over is over.
    fn forget(&self, signer: Option<&str>) {
        if let (Some(session), Some(id)) = (&self.session, signer) {
            session.forget(id);
        }
    }

    async fn send(&self, contact_id: &str, attributes: &[(String, String)]) -> Try {
        let mut request =
            self.sdk.update_contact_attributes().instance_id(&self.instance_id).initial_contact_id(contact_id);
        for (name, value) in attributes {
            request = request.attributes(name, value);
        }
        match request.send().await {
            Ok(_) => Try::Done,
            Err(error) => classify(&error),
        }
    }
}

/// How one try ended.
enum Try {
    Done,
    /// Said no for good.
    Refused,
    /// Said no this time; it was not carried out.
    Again,
    /// Never left this machine.
    NotSent,
    /// Signed with what is good no more; it was not carried out.
    SessionOver,
    /// Went out; nobody knows.
    Lost,
}

fn classify<E>(error: &SdkError<E>) -> Try
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match error {
        SdkError::ConstructionFailure(_) => Try::Refused,
        SdkError::DispatchFailure(failure) if failure.is_user() => Try::Refused,
        SdkError::DispatchFailure(failure) if never_connected(failure) => Try::NotSent,
        SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) | SdkError::ResponseError(_) => Try::Lost,
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            // Its message may repeat what was written: the type and the request's id say enough.
            let error_type = service.err().code();
            let request_id = service.raw().headers().get("x-amzn-requestid");
            tracing::warn!(status, error_type, request_id, "UpdateContactAttributes was refused");
            match status {
                _ if matches!(error_type, Some("ExpiredTokenException" | "ExpiredToken")) => Try::SessionOver,
                429 | 503 => Try::Again,
                // The model says «internal error»; it may have been carried out before.
                500 => Try::Lost,
                _ => Try::Refused,
            }
        }
        _ => Try::Lost,
    }
}

/// Whether the connection was never made, so that nothing can have been carried out.
fn never_connected(failure: &aws_smithy_runtime_api::client::result::DispatchFailure) -> bool {
    use std::io::ErrorKind::{AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkUnreachable};
    let never = [ConnectionRefused, HostUnreachable, NetworkUnreachable, AddrNotAvailable];
    sdk::io_kinds(failure).any(|kind| never.contains(&kind))
}

impl AttributeWriter for Client {
    fn write(&self, contact_id: String, attributes: Vec<(String, String)>) -> Pending<WriteOutcome> {
        Box::pin(self.clone().update(contact_id, attributes))
    }
}

impl AttributeBlanker for Client {
    fn blank(&self, contact_id: String, names: Vec<String>) -> Pending<WriteOutcome> {
        let this = self.clone();
        Box::pin(async move {
            // An empty value removes an attribute; once, without waiting for a turn: the caller is waiting for the BYE.
            let empty: Vec<_> = names.into_iter().map(|name| (name, String::new())).collect();
            if this.signer(ATTEMPT_MAX).await.is_err() {
                return WriteOutcome::Refused;
            }
            match this.send(&contact_id, &empty).await {
                Try::Done => WriteOutcome::Done,
                Try::Refused | Try::Again | Try::NotSent | Try::SessionOver => WriteOutcome::Refused,
                Try::Lost => WriteOutcome::Uncertain,
            }
        })
    }
}
