//! Tokens of IBM Cloud IAM: fetched with an API key, renewed before they run out, one request at a time.
//!
//! Invariant: the key goes to the token service alone; a token is not used within `SPARE` of its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bellhop_dialogue::ports::ServiceFailure;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::http;
use crate::reach::Endpoint;

/// Where tokens come from.
pub const TOKEN_URL: &str = "https://iam.cloud.ibm.com/identity/token";
/// The share of a token's life after which it is renewed.
const RENEW_AFTER: f64 = 0.8;
/// How long before its end a token is not used any more.
const SPARE: Duration = Duration::from_secs(10);
/// The longest a request may take.
const REQUEST_MAX: Duration = Duration::from_secs(10);

/// Who we are to a Watson service.
#[derive(Clone)]
pub enum Authentication {
    /// An API key of IBM Cloud.
    Iam(Arc<Tokens>),
    /// A token that is given (Cloud Pak for Data).
    Bearer(Arc<str>),
}

impl Authentication {
    /// The bearer token to show now.
    pub async fn token(&self) -> Result<Arc<str>, ServiceFailure> {
        match self {
            Self::Iam(tokens) => tokens.token().await,
            Self::Bearer(token) => Ok(Arc::clone(token)),
        }
    }
}

/// The tokens of one API key.
pub struct Tokens {
    client: reqwest::Client,
    url: Endpoint,
    api_key: String,
    current: Mutex<Option<Token>>,
}

struct Token {
    text: Arc<str>,
    renew_at: Instant,
    ends: Instant,
}

impl Tokens {
    /// Tokens for a key, from [`TOKEN_URL`] or a stand-in.
    pub fn new(api_key: &str, url: Option<Endpoint>) -> Self {
        let url = url.unwrap_or_else(|| TOKEN_URL.into());
        let client = http::builder(url.reach()).timeout(REQUEST_MAX).build().expect("the client is made of constants");
        Self { client, url, api_key: api_key.to_owned(), current: Mutex::new(None) }
    }

    async fn token(&self) -> Result<Arc<str>, ServiceFailure> {
        let mut current = self.current.lock().await;
        let now = Instant::now();
        if let Some(token) = current.as_ref().filter(|token| now < token.renew_at) {
            return Ok(Arc::clone(&token.text));
        }
        match self.fetch(now).await {
            Ok(token) => Ok(Arc::clone(&current.insert(token).text)),
            // The old one still holds for a while.
            Err(failure) => match current.as_ref().filter(|token| now + SPARE < token.ends) {
                Some(token) => Ok(Arc::clone(&token.text)),
                None => Err(failure),
            },
        }
    }

    async fn fetch(&self, now: Instant) -> Result<Token, ServiceFailure> {
        let refused = |why: String| ServiceFailure::Unavailable { why };
        let key: String = form_urlencoded::byte_serialize(self.api_key.as_bytes()).collect();
        let form =
            format!("grant_type=urn%3Aibm%3Aparams%3Aoauth%3Agrant-type%3Aapikey&response_type=cloud_iam&apikey={key}");
        let request = self.client.post(self.url.url()).header("Content-Type", "application/x-www-form-urlencoded");
        let response = request.header("Accept", "application/json").body(form).send().await;
        let response = response.map_err(|error| http::failure(&error))?;
        if !response.status().is_success() {
            return Err(refused(format!("IAM refused the API key with status {}", response.status().as_u16())));
        }
        let reply = http::json(response, 64 * 1024).await?;
        let text = reply.get("access_token").and_then(Value::as_str);
        let text = text.ok_or_else(|| refused("IAM gave no token".to_owned()))?;
        let lives = Duration::from_secs(reply.get("expires_in").and_then(Value::as_u64).unwrap_or(3600));
        Ok(Token { text: text.into(), renew_at: now + lives.mul_f64(RENEW_AFTER), ends: now + lives })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Answer, serve};
    use serde_json::json;

    fn token(text: &str, seconds: u64) -> Answer {
        Answer::json(200, &json!({"access_token": text, "expires_in": seconds}))
    }

    #[tokio::test]
    async fn a_token_is_fetched_once_and_renewed_in_time() {
        let (url, requests) = serve(vec![token("one", 3600), token("two", 3600)]).await;
        let tokens = Tokens::new("k&y", Some((&url).into()));
        let asked = futures_util::future::join_all((0..5).map(|_| tokens.token())).await;
        assert!(asked.iter().all(|token| token.as_deref() == Ok("one")));
        assert!(requests.lock().expect("alone")[0].ends_with("apikey=k%26y"));
        tokens.current.lock().await.as_mut().expect("a token").renew_at = Instant::now();
        assert_eq!(tokens.token().await.as_deref(), Ok("two"));
    }

    #[tokio::test]
    async fn a_token_that_still_holds_survives_a_refused_renewal() {
        let (url, _) = serve(vec![token("one", 3600), Answer::json(400, &json!({}))]).await;
        let tokens = Tokens::new("key", Some((&url).into()));
        tokens.token().await.expect("a token");
        tokens.current.lock().await.as_mut().expect("a token").renew_at = Instant::now();
        assert_eq!(tokens.token().await.as_deref(), Ok("one"));
        let mut current = tokens.current.lock().await;
        let token = current.as_mut().expect("a token");
        (token.renew_at, token.ends) = (Instant::now(), Instant::now());
        drop(current);
        assert!(tokens.token().await.is_err());
    }
}
