//! UpdateContactAttributes (Amazon Connect API reference): `POST /contact/attributes`, SigV4 service `connect`.
//!
//! Retried are 429, 500 and 503 and only within the budget, with jitter; 4xx are final. A try that timed out or lost its
//! connection may have been carried out: the outcome is then uncertain unless a later try succeeds, which is the same
//! write again. Invariant: the outcome is `Done` only after a 200.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_connect::config::timeout::TimeoutConfig;
use aws_sdk_connect::config::{BehaviorVersion, Region, retry::RetryConfig};
use aws_sdk_connect::error::{ProvideErrorMetadata, SdkError};
use bellhop_connect::InstanceArn;
use bellhop_connect::handoff::WriteOutcome;
use bellhop_connect::ports::{AttributeBlanker, AttributeWriter, Pending};
use bellhop_connect::rate_limiter::RateLimiter;
use tokio::time::Instant;

/// Everything about one write: turns, tries and pauses.
pub const BUDGET: Duration = Duration::from_secs(3);
/// One try.
const ATTEMPT_MAX: Duration = Duration::from_millis(1500);
/// The first pause between tries; it doubles, and up to as much again is added at random.
const PAUSE: Duration = Duration::from_millis(100);
/// Connections to the service that are kept for later writes; what a burst of hand-offs opened beyond them is closed.
const IDLE_WRITE_CONNECTIONS_MAX: usize = 8;
/// Tries in all.
const TRIES: u32 = 4;

/// An access key of the tenant's account.
#[derive(Clone)]
pub struct Credentials {
    /// The key's id.
    pub access_key_id: String,
    /// The key's secret.
    pub secret_access_key: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(redacted)")
    }
}

/// The rate limiters of this process, one per account and Region.
#[derive(Debug, Clone, Default)]
pub struct Limiters(Arc<Mutex<HashMap<AccountAndRegion, Arc<Mutex<RateLimiter>>>>>);

type AccountAndRegion = (String, String);

impl Limiters {
    /// The limiter that all tenants of this account and Region share.
    fn of(&self, instance: &InstanceArn) -> Arc<Mutex<RateLimiter>> {
        let key = (instance.account.clone(), instance.region.clone());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(key).or_default())
    }
}

/// A client for one tenant's instance.
#[derive(Clone)]
pub struct Client {
    sdk: aws_sdk_connect::Client,
    instance_id: String,
    limiter: Arc<Mutex<RateLimiter>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("instance_id", &self.instance_id).finish_non_exhaustive()
    }
}

impl Client {
    /// A client; the Region is the instance's. `endpoint_url` replaces the public endpoint: a VPC endpoint, or a stand-in.
    pub fn new(
        instance: &InstanceArn,
        credentials: &Credentials,
        endpoint_url: Option<&str>,
        limiters: &Limiters,
    ) -> Self {
        let Credentials { access_key_id, secret_access_key } = credentials;
        let keys =
            aws_credential_types::Credentials::new(access_key_id, secret_access_key, None, None, "bellhop tenant");
        let http = aws_smithy_http_client::Builder::new()
            .pool_max_idle_per_host(IDLE_WRITE_CONNECTIONS_MAX)
            .tls_provider(aws_smithy_http_client::tls::Provider::Rustls(
                aws_smithy_http_client::tls::rustls_provider::CryptoMode::Ring,
            ))
            .build_https();
        let mut config = aws_sdk_connect::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(instance.region.clone()))
            .credentials_provider(aws_sdk_connect::config::SharedCredentialsProvider::new(keys))
            .http_client(http)
            // Ours, below: they must take turns and keep the budget.
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_MAX).build());
        config.set_endpoint_url(endpoint_url.map(str::to_owned));
        Self {
            sdk: aws_sdk_connect::Client::from_conf(config.build()),
            instance_id: instance.instance_id.clone(),
            limiter: limiters.of(instance),
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
                Ok(Try::Lost) => sent_and_lost = true,
                Err(_) => {
                    sent_and_lost = true;
                    break;
                }
            }
        }
        if sent_and_lost { WriteOutcome::Uncertain } else { WriteOutcome::Refused }
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
    let mut cause = failure.as_connector_error().and_then(std::error::Error::source);
    while let Some(error) = cause {
        let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if matches!(kind, Some(ConnectionRefused | HostUnreachable | NetworkUnreachable | AddrNotAvailable)) {
            return true;
        }
        cause = error.source();
    }
    false
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
            match this.send(&contact_id, &empty).await {
                Try::Done => WriteOutcome::Done,
                Try::Refused | Try::Again | Try::NotSent => WriteOutcome::Refused,
                Try::Lost => WriteOutcome::Uncertain,
            }
        })
    }
}
