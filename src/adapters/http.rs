//! The HTTP client of all adapters: rustls with ring, the certificates of the system, no proxies of the environment.
//!
//! Invariant: every request has a deadline; a response is read up to a limit and no further.

use std::sync::Arc;
use std::time::Duration;

use bellhop_dialogue::ports::ServiceFailure;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

/// The longest a connection may take to be there.
pub(crate) const CONNECT_MAX: Duration = Duration::from_secs(3);

/// Whom the system trusts.
pub fn authorities() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// Trust in whom the system trusts.
pub(crate) fn tls() -> Arc<ClientConfig> {
    let roots = authorities();
    if roots.is_empty() {
        tracing::warn!(
            "the system trusts no certificate (apt-get install ca-certificates): HTTPS services cannot be reached"
        );
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring knows TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// A client to begin with; redirects are not followed.
pub(crate) fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls().as_ref().clone())
        .no_proxy()
        .connect_timeout(CONNECT_MAX)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("bellhop/", env!("CARGO_PKG_VERSION")))
}

/// A response that is no refusal. `hints` say what to look at, by status; the service's own text stays out of the log, for it
/// may repeat what a caller said.
pub(crate) fn accepted(
    response: reqwest::Response,
    hints: &[(u16, &str)],
) -> Result<reqwest::Response, ServiceFailure> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let hint = hints.iter().find(|(of, _)| *of == status.as_u16()).map(|(_, hint)| format!(": {hint}"));
    Err(ServiceFailure::Unavailable { why: format!("HTTP status {}{}", status.as_u16(), hint.unwrap_or_default()) })
}

/// The service's own identifier of a request.
pub(crate) fn transaction(response: &reqwest::Response) -> Option<Arc<str>> {
    let names = ["x-global-transaction-id", "x-request-id", "x-amzn-requestid"];
    names.iter().find_map(|name| response.headers().get(*name)?.to_str().ok().map(Arc::from))
}

/// The JSON of a response, up to a limit.
pub(crate) async fn json(response: reqwest::Response, limit: usize) -> Result<Value, ServiceFailure> {
    let body = body(response, limit).await?;
    let not_json = |_| ServiceFailure::Unavailable { why: "its reply is no JSON".to_owned() };
    serde_json::from_slice(&body).map_err(not_json)
}

/// The body of a response, up to a limit.
pub(crate) async fn body(mut response: reqwest::Response, limit: usize) -> Result<Vec<u8>, ServiceFailure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(&error))? {
        if body.len() + chunk.len() > limit {
            return Err(ServiceFailure::Unavailable { why: format!("its answer has more than {limit} bytes") });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What went wrong, without the URL: it may hold a secret.
pub(crate) fn failure(error: &reqwest::Error) -> ServiceFailure {
    if error.is_timeout() {
        return ServiceFailure::Overdue;
    }
    let why = match (error.is_connect(), error.is_builder()) {
        (true, _) => "it cannot be reached",
        (_, true) => "its URL is none",
        _ => "it broke off",
    };
    ServiceFailure::Unavailable { why: why.to_owned() }
}
