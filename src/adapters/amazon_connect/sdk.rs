//! Clients of the SDK, and what its errors say in our words.
//!
//! Invariant: no client tries anything twice by itself; TLS is rustls with ring.

use std::error::Error;
use std::io;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sdk_connect::config::timeout::TimeoutConfig;
use aws_sdk_connect::config::{
    BehaviorVersion, IdentityCache, Region, SharedCredentialsProvider, SharedHttpClient, retry::RetryConfig,
};
use aws_sdk_connect::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::result::DispatchFailure;
use aws_smithy_types::date_time::{DateTime, Format};
use bellhop_adapters::reach::{PrivateAddress, Reach};
use bellhop_connect::connection::{AccessKey, AssumedRole, Connection};
use bellhop_connect::connection_test::{Answer, Refusal, Unreached};

/// One try of a request that a hand-off waits for.
pub(crate) const ATTEMPT_MAX: Duration = Duration::from_millis(1500);

/// Connections to the service that are kept for later writes; what a burst of hand-offs opened beyond them is closed.
const IDLE_WRITE_CONNECTIONS_MAX: usize = 8;

/// Who speaks HTTP to the endpoint of a connection, over TLS by rustls with ring.
pub(crate) fn http_to(connection: &Connection) -> SharedHttpClient {
    match connection.endpoint_url.is_some() && !connection.private_networks {
        true => http(Reach::Internet),
        // Amazon's own names may lead to a private endpoint of the operator's network.
        false => http(Reach::Everywhere),
    }
}

/// Who speaks HTTP as far as this.
pub(crate) fn http(reach: Reach) -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .pool_max_idle_per_host(IDLE_WRITE_CONNECTIONS_MAX)
        .tls_provider(aws_smithy_http_client::tls::Provider::Rustls(
            aws_smithy_http_client::tls::rustls_provider::CryptoMode::Ring,
        ))
        .build_with_resolver(reach)
}

/// A key that does not change.
pub(crate) fn fixed(key: &AccessKey) -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Credentials::new(&key.id, &key.secret, None, None, "bellhop"))
}

/// A client of Amazon Connect in the instance's Region; one try has `attempt_max`.
pub(crate) fn connect(
    connection: &Connection,
    credentials: SharedCredentialsProvider,
    http: SharedHttpClient,
    attempt_max: Duration,
) -> aws_sdk_connect::Client {
    let mut config = aws_sdk_connect::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(connection.instance.region.clone()))
        .credentials_provider(credentials)
        // Who provides them keeps them.
        .identity_cache(IdentityCache::no_cache())
        .http_client(http)
        // Ours: they must take turns and keep the budget.
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(attempt_max).build());
    config.set_endpoint_url(connection.endpoint_url.clone());
    aws_sdk_connect::Client::from_conf(config.build())
}

/// A client of STS for a role of this connection.
pub(crate) fn sts(
    connection: &Connection,
    role: &AssumedRole,
    http: SharedHttpClient,
    attempt_max: Duration,
) -> aws_sdk_sts::Client {
    let mut config = aws_sdk_sts::Config::builder()
        .behavior_version(aws_sdk_sts::config::BehaviorVersion::latest())
        .region(Region::new(role.region(&connection.instance).to_owned()))
        .credentials_provider(fixed(&role.caller))
        .http_client(http)
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(attempt_max).build());
    config.set_endpoint_url(role.sts_endpoint_url.clone());
    aws_sdk_sts::Client::from_conf(config.build())
}

/// What an error of a request that had so long means; `now` is when it came.
pub(crate) fn answer<E: ProvideErrorMetadata>(error: &SdkError<E>, now: SystemTime, within: Duration) -> Answer {
    match error {
        SdkError::ServiceError(service) => {
            let raw = service.raw();
            let date = raw.headers().get("date").and_then(|date| DateTime::from_str(date, Format::HttpDate).ok());
            let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
            Answer::Refused(Refusal {
                status: raw.status().as_u16(),
                code: service.err().code().unwrap_or_default().to_owned(),
                message: service.err().message().unwrap_or_default().to_owned(),
                clock_ahead_s: date.map(|date| now - date.secs()),
            })
        }
        SdkError::TimeoutError(_) => Answer::Nothing(Unreached::NoAnswer { within }),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => Answer::Nothing(Unreached::NoAnswer { within }),
        SdkError::DispatchFailure(failure) => Answer::Nothing(unreached(failure)),
        SdkError::ResponseError(response) => Answer::Refused(Refusal {
            status: response.raw().status().as_u16(),
            code: "unreadable".to_owned(),
            message: String::new(),
            clock_ahead_s: None,
        }),
        _ => Answer::Nothing(Unreached::ConnectionLost),
    }
}

fn unreached(failure: &DispatchFailure) -> Unreached {
    for cause in causes(failure) {
        if let Some(why) = cause.downcast_ref::<rustls::Error>() {
            return Unreached::TlsFailed { why: why.to_string() };
        }
        if PrivateAddress::is_cause_of(cause) {
            return Unreached::PrivateAddress;
        }
        // What the connector says of a name has no type that could be named.
        if cause.to_string() == "dns error" {
            return Unreached::NameNotResolved;
        }
    }
    match io_kinds(failure).any(|kind| kind == io::ErrorKind::ConnectionRefused) {
        true => Unreached::ConnectionRefused,
        false => Unreached::ConnectionLost,
    }
}

/// The kinds of the system's errors below a failure.
pub(crate) fn io_kinds(failure: &DispatchFailure) -> impl Iterator<Item = io::ErrorKind> {
    causes(failure).filter_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind)
}

/// The errors below a failure, the outermost first.
fn causes(failure: &DispatchFailure) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(failure.as_connector_error().and_then(Error::source), below)
}

fn below<'a>(error: &&'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let error: &'a (dyn Error + 'static) = *error;
    // An error of the system's passes over what it wraps.
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}
