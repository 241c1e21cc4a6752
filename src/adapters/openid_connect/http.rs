//! What the library asks of a provider, sent by the client of all adapters.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bellhop_dialogue::ports::ServiceFailure;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse, http};

use crate::reach::Reach;

/// The longest that one request may take.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// Most bytes of an answer: keys and tokens of large providers have some tens of thousands.
const BYTES_MAX: usize = 512 * 1024;

/// A client for one provider.
pub(super) struct Http {
    client: reqwest::Client,
    https_alone: bool,
}

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotAnswered(pub(super) String);

impl Http {
    /// A provider of https names no addresses of plain HTTP.
    pub(super) fn new(https_alone: bool) -> Self {
        let client =
            crate::http::builder(Reach::Everywhere).timeout(ANSWERS_WITHIN).build().expect("a client of constants");
        Self { client, https_alone }
    }

    /// Refuses an address by its scheme.
    pub(super) fn may(&self, scheme: &str) -> Result<(), NotAnswered> {
        if self.https_alone && scheme != "https" {
            return Err(NotAnswered("it is of https and names an address that is not".to_owned()));
        }
        Ok(())
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, NotAnswered> {
        let (parts, body) = request.into_parts();
        self.may(parts.uri.scheme_str().unwrap_or_default())?;
        let request = self.client.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body);
        let response = request.send().await.map_err(|error| not_answered(crate::http::failure(&error)))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = crate::http::body(response, BYTES_MAX).await.map_err(not_answered)?;
        let mut answer = http::Response::new(body);
        (*answer.status_mut(), *answer.headers_mut()) = (status, headers);
        Ok(answer)
    }
}

fn not_answered(failure: ServiceFailure) -> NotAnswered {
    match failure {
        ServiceFailure::Unavailable { why } | ServiceFailure::NotNow { why, .. } => NotAnswered(why),
        failure => NotAnswered(failure.to_string()),
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = NotAnswered;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, NotAnswered>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}
