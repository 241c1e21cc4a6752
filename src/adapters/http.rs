//! The HTTP client of all adapters: rustls with ring, the certificates of the system, no proxies of the environment.
//!
//! Invariant: every request has a deadline; a response is read up to a limit and no further.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bellhop_dialogue::ports::ServiceFailure;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

use crate::reach::{PrivateAddress, Reach};

/// The longest a connection may take to be there.
pub(crate) const CONNECT_MAX: Duration = Duration::from_secs(3);

/// Most bytes of what a service offers: a list of its voices or models.
pub(crate) const LIST_BYTES_MAX: usize = 1 << 20;
/// The longest such a list may take.
pub(crate) const LISTED_WITHIN: Duration = Duration::from_secs(10);

/// Connections to one host that are kept for later turns, of each client: what a burst of calls opened beyond them is closed
/// when it has nothing more to do. The library would keep them all for a minute and a half.
pub const IDLE_CONNECTIONS_MAX: usize = 32;

/// Whom the system trusts.
pub fn authorities() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// How long the certificates that were read are those of the system.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// What all connections to services share, and when it was read.
static SHARED: Mutex<Option<(Instant, Arc<ClientConfig>)>> = Mutex::new(None);

/// Trust in whom the system trusts: one for all that is set up at about the same time. A hundred authorities are kept once, and a
/// TLS session with a host is taken up again by whoever asks it next.
pub(crate) fn tls() -> Arc<ClientConfig> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, config)) = shared.as_ref().filter(|(read, _)| read.elapsed() < READ_AGAIN_AFTER) {
        return Arc::clone(config);
    }
    let config = trusting_the_system();
    *shared = Some((Instant::now(), Arc::clone(&config)));
    config
}

fn trusting_the_system() -> Arc<ClientConfig> {
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

/// A client to begin with, which gets so far; redirects are not followed.
pub(crate) fn builder(reach: Reach) -> reqwest::ClientBuilder {
    let builder = match reach {
        Reach::Everywhere => reqwest::Client::builder(),
        Reach::Internet => reqwest::Client::builder().dns_resolver(reach),
    };
    builder
        .tls_backend_preconfigured(tls().as_ref().clone())
        .no_proxy()
        .connect_timeout(CONNECT_MAX)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
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
    let why = format!("HTTP status {}{}", status.as_u16(), hint.unwrap_or_default());
    Err(refusal(status.as_u16(), why, retry_after(&response, SystemTime::now())))
}

/// What a status says: a limit that is reached, a gateway or a service that restarts is a failure that passes.
pub(crate) fn refusal(status: u16, why: String, retry_after: Option<Duration>) -> ServiceFailure {
    match status {
        429 | 502 | 503 | 529 => ServiceFailure::NotNow { why, retry_after },
        _ => ServiceFailure::Unavailable { why },
    }
}

/// `Retry-After` (RFC 9110 10.2.3): seconds, or a date, which is read by the service's own clock if it tells that.
pub(crate) fn retry_after(response: &reqwest::Response, now: SystemTime) -> Option<Duration> {
    let header = |name: &str| response.headers().get(name)?.to_str().ok().map(str::trim);
    // Some of those that serve language models say it more exactly.
    if let Some(ms) = header("retry-after-ms").and_then(|ms| ms.parse::<f64>().ok()) {
        return Duration::try_from_secs_f64(ms / 1000.0).ok();
    }
    let after = header("Retry-After")?;
    if let Ok(seconds) = after.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let at = httpdate::parse_http_date(after).ok()?;
    let now = header("Date").and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(now);
    Some(at.duration_since(now).unwrap_or_default())
}

/// The service's own identifier of a request.
pub(crate) fn transaction(response: &reqwest::Response) -> Option<Arc<str>> {
    let names = ["x-global-transaction-id", "x-request-id", "x-amzn-requestid"];
    names.iter().find_map(|name| response.headers().get(*name)?.to_str().ok().map(Arc::from))
}

/// The JSON of a response, up to a limit.
pub(crate) async fn json(response: reqwest::Response, limit: usize) -> Result<Value, ServiceFailure> {
    let header = response.headers().get("Content-Type").and_then(|value| value.to_str().ok()).unwrap_or("no type");
    let media_type: String = header.split(';').next().unwrap_or_default().chars().take(60).collect();
    let body = body(response, limit).await?;
    // RFC 8259 8.1: a byte order mark may be ignored.
    let text = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&body);
    bellhop_dialogue::json::read(text).map_err(|_| {
        let size = body.len();
        ServiceFailure::Unavailable { why: format!("its reply is no JSON: {media_type}, {size} bytes") }
    })
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
        (true, _) if PrivateAddress::is_cause_of(error) => return refused(PrivateAddress),
        (true, _) if is_about_trust(error) => "it is not trusted: check its certificate",
        (true, _) if is_away(error) => return passing("it cannot be reached"),
        (true, _) => "it cannot be reached",
        (_, true) => "its URL is none",
        // It closed the connection before it answered: it restarts.
        _ if error.is_request() => return passing("it broke off"),
        _ => "it broke off",
    };
    ServiceFailure::Unavailable { why: why.to_owned() }
}

fn refused(why: PrivateAddress) -> ServiceFailure {
    ServiceFailure::Unavailable { why: why.to_string() }
}

fn passing(why: &str) -> ServiceFailure {
    ServiceFailure::NotNow { why: why.to_owned(), retry_after: None }
}

/// Whether TLS is what went wrong: that does not pass.
fn is_about_trust(error: &reqwest::Error) -> bool {
    has_cause(error, |cause| cause.is::<rustls::Error>())
}

/// Whether nobody listens, or whoever did went away: a service that restarts is back soon.
fn is_away(error: &reqwest::Error) -> bool {
    use std::io::ErrorKind as Kind;
    let kinds = [
        Kind::ConnectionRefused,
        Kind::ConnectionReset,
        Kind::ConnectionAborted,
        Kind::BrokenPipe,
        Kind::UnexpectedEof,
        Kind::HostUnreachable,
        Kind::NetworkUnreachable,
    ];
    has_cause(error, |cause| cause.downcast_ref::<std::io::Error>().is_some_and(|io| kinds.contains(&io.kind())))
}

fn has_cause(error: &reqwest::Error, is: impl Fn(&(dyn std::error::Error + 'static)) -> bool) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if is(error) {
            return true;
        }
        // An error that is wrapped in one of io is not its source.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = wrapped.map(|wrapped| wrapped as &(dyn std::error::Error + 'static)).or_else(|| error.source());
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Answer, serve};

    async fn refused(answer: Answer) -> ServiceFailure {
        let (url, _) = serve(vec![answer]).await;
        let client = builder(Reach::Everywhere).build().expect("constants");
        accepted(client.get(url).send().await.expect("an answer"), &[]).expect_err("a refusal")
    }

    #[tokio::test]
    async fn retry_after_is_read_in_seconds_and_as_a_date() {
        for (headers, expected) in [
            ("Retry-After: 2", Some(Duration::from_secs(2))),
            ("Retry-After: soon", None),
            ("retry-after-ms: 250\r\nRetry-After: 1", Some(Duration::from_millis(250))),
            (
                "Date: Wed, 21 Oct 2015 07:28:00 GMT\r\nRetry-After: Wed, 21 Oct 2015 07:28:03 GMT",
                Some(Duration::from_secs(3)),
            ),
            (
                "Date: Wed, 21 Oct 2015 07:28:00 GMT\r\nRetry-After: Wednesday, 21-Oct-15 07:27:00 GMT",
                Some(Duration::ZERO),
            ),
        ] {
            for status in [429, 503] {
                let answer = Answer::new(status, "text/plain", String::new()).with(headers);
                let ServiceFailure::NotNow { retry_after, .. } = refused(answer).await else { panic!("it passes") };
                assert_eq!(retry_after, expected, "{headers}");
            }
        }
        let answer = Answer::new(401, "text/plain", String::new()).with("Retry-After: 2");
        assert!(matches!(refused(answer).await, ServiceFailure::Unavailable { .. }));
    }

    #[tokio::test]
    async fn of_the_connections_of_a_burst_few_are_kept() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let all = IDLE_CONNECTIONS_MAX + 20;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let (closed, mut closes) = tokio::sync::mpsc::channel(all);
        tokio::spawn(async move {
            // Nobody is answered before all are there.
            let together = Arc::new(tokio::sync::Barrier::new(all));
            while let Ok((mut stream, _)) = listener.accept().await {
                let (together, closed) = (Arc::clone(&together), closed.clone());
                tokio::spawn(async move {
                    let mut buffer = [0; 1024];
                    let _ = stream.read(&mut buffer).await;
                    together.wait().await;
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
                    while stream.read(&mut buffer).await.is_ok_and(|length| length > 0) {}
                    let _ = closed.send(()).await;
                });
            }
        });
        let client = builder(Reach::Everywhere).build().expect("constants");
        let answers = futures_util::future::join_all((0..all).map(|_| client.get(&url).send())).await;
        assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status().is_success())));
        drop(answers);
        for _ in 0..20 {
            let close = tokio::time::timeout(Duration::from_secs(10), closes.recv()).await;
            assert!(close.is_ok(), "those beyond the bound are closed");
        }
        assert!(closes.try_recv().is_err(), "and no others");
    }

    #[tokio::test]
    async fn a_refused_connection_passes_and_a_wrong_certificate_does_not() {
        let client = builder(Reach::Everywhere).build().expect("constants");
        let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = free.local_addr().expect("bound");
        drop(free);
        let error = client.get(format!("http://{address}")).send().await.expect_err("refused");
        assert!(matches!(failure(&error), ServiceFailure::NotNow { retry_after: None, .. }));
        let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = plain.local_addr().expect("bound");
        tokio::spawn(async move {
            let (mut stream, _) = plain.accept().await.expect("a client");
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 No\r\n\r\n").await;
        });
        let error = client.get(format!("https://{address}")).send().await.expect_err("no TLS");
        assert!(matches!(failure(&error), ServiceFailure::Unavailable { why } if why.contains("certificate")));
    }
}
