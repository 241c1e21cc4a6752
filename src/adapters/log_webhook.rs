//! The log webhook: call detail records and turns, posted to a tenant's URL until they arrive (`docs/log-webhook.md`).
//!
//! The vendor's shape and its JWT in `Authorization`; unlike the vendor's, an event waits in the store until the receiver
//! says 2xx, and carries the same `Idempotency-Key` however often it is sent. Invariant: the secret leaves this file only as
//! a signature; a receiver that is down delays nobody but itself; an event is sent again only once the store took what became
//! of it, so that a failing store sends nothing twice (but across a start: that is what the key is for).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bellhop_call::ports::{Change, LogEvents, Waiting};
use bellhop_connect::ports::StoreError;
use futures_util::StreamExt;
use hmac::{Hmac, Mac};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use crate::http;
use crate::reach::Endpoint;

/// The longest one post may take.
pub const POSTED_WITHIN: Duration = Duration::from_secs(10);
/// Posts under way at once, per tenant.
pub const POSTS_AT_ONCE: usize = 8;
/// The pause after the first failure; it doubles up to [`RETRY_PAUSE_MAX`].
pub const RETRY_PAUSE: Duration = Duration::from_secs(2);
/// The longest pause.
pub const RETRY_PAUSE_MAX: Duration = Duration::from_secs(15 * 60);
/// The pause after the store's first failure; it doubles up to [`LOOK_EVERY`].
const STORE_PAUSE: Duration = Duration::from_millis(500);
/// How often is looked for events that nobody told of, such as those of a process before.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How long a signature is good for.
const SIGNATURE_KEPT: u64 = 300;

/// A tenant's receiver.
#[derive(Clone)]
pub struct LogWebhook {
    client: reqwest::Client,
    tenant: String,
    url: reqwest::Url,
    secret: Vec<u8>,
    headers: Vec<(String, String)>,
    pause: Duration,
}

/// What became of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It arrived.
    Delivered,
    /// It did not, and is tried again.
    Postponed,
}

/// Hears of every try.
pub type OnOutcome = Arc<dyn Fn(Outcome) + Send + Sync>;

impl LogWebhook {
    /// A receiver at a URL, or why that is none. A header `Authorization` among `headers` takes the place of the JWT.
    pub fn new(
        tenant: &str,
        url: impl Into<Endpoint>,
        secret: &str,
        headers: Vec<(String, String)>,
    ) -> Result<Self, String> {
        let endpoint = url.into();
        let url = reqwest::Url::parse(endpoint.url()).map_err(|error| error.to_string())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("does not begin with http:// or https://".to_owned());
        }
        let client =
            http::builder(endpoint.reach()).timeout(POSTED_WITHIN).build().expect("the client is made of constants");
        Ok(Self {
            client,
            tenant: tenant.to_owned(),
            url,
            secret: secret.as_bytes().to_vec(),
            headers,
            pause: RETRY_PAUSE,
        })
    }

    /// Delivers this tenant's events as they come. `told` is notified when there are new ones; when nobody else has it any
    /// more, this ends with what it has begun.
    pub async fn deliver(self, events: Arc<dyn LogEvents>, told: Arc<Notify>, outcome: OnOutcome) {
        let mut unsettled = vec![];
        let mut failures = 0;
        loop {
            match self.deliver_due(&*events, &mut unsettled, &outcome).await {
                Ok(any) => {
                    failures = 0;
                    if any {
                        continue;
                    }
                }
                Err(error) => {
                    tracing::error!(tenant = self.tenant, %error, "the store of log events fails: none are sent");
                    tokio::time::sleep(store_pause(failures)).await;
                    failures = failures.saturating_add(1);
                    continue;
                }
            }
            if Arc::strong_count(&told) == 1 {
                return;
            }
            let next = events.next_due(&self.tenant).await.ok().flatten();
            let wait = next.map_or(LOOK_EVERY, |due| Duration::from_millis((due - now_ms()).max(50) as u64));
            let _ = tokio::time::timeout(wait.min(LOOK_EVERY), told.notified()).await;
        }
    }

    /// Tries what is due; whether anything was. What became of it goes to the store first of all next time, if it does not
    /// take it now.
    async fn deliver_due(
        &self,
        events: &dyn LogEvents,
        unsettled: &mut Vec<Change>,
        outcome: &OnOutcome,
    ) -> Result<bool, StoreError> {
        settle(events, unsettled, outcome).await?;
        let due = events.due(&self.tenant, now_ms(), POSTS_AT_ONCE as u32 * 4).await?;
        let any = !due.is_empty();
        let mut posts = futures_util::stream::iter(due)
            .map(async |event| (self.post(&event).await, event))
            .buffer_unordered(POSTS_AT_ONCE);
        while let Some((posted, event)) = posts.next().await {
            match posted {
                Ok(_) => unsettled.push(Change::Delivered { id: event.id }),
                Err(why) => {
                    let pause = self.pause.saturating_mul(1 << event.attempts.min(16)).min(RETRY_PAUSE_MAX);
                    tracing::warn!(
                        tenant = self.tenant,
                        event = event.id,
                        attempt = event.attempts + 1,
                        again_in_seconds = pause.as_secs(),
                        why,
                        "a log event could not be delivered"
                    );
                    let due_unix_ms = now_ms() + pause.as_millis() as i64;
                    unsettled.push(Change::Postponed { id: event.id, due_unix_ms });
                }
            }
        }
        settle(events, unsettled, outcome).await?;
        Ok(any)
    }

    /// Posts one event of this name that says that it is a test, and tells what came of it, within [`POSTED_WITHIN`]. It is tried once.
    pub async fn test(&self, id: String) -> Result<String, String> {
        let payload = json!({"told": "somebody tries whether events arrive: no call is told of"});
        let body = json!({"event": {"id": id, "name": "test"}, "payload": payload}).to_string();
        let status = self.post(&Waiting { id, body, attempts: 0 }).await?;
        Ok(format!("the test event arrived: it answered {status}"))
    }

    /// The status of who took it, or why it was not taken.
    async fn post(&self, event: &Waiting) -> Result<u16, String> {
        let mut request = self
            .client
            .post(self.url.clone())
            .header("Content-Type", "application/json")
            .header("Idempotency-Key", &event.id);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("Authorization")) {
            request = request.header("Authorization", self.token(event, now_ms() as u64 / 1000));
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let response =
            request.body(event.body.clone()).send().await.map_err(|error| http::failure(&error).to_string())?;
        let taken = http::accepted(response, &[]).map_err(|failure| failure.to_string())?;
        Ok(taken.status().as_u16())
    }

    /// A JWT by HS256 (RFC 7519): good for this event and body alone.
    fn token(&self, event: &Waiting, now: u64) -> String {
        let digest: String = Sha256::digest(&event.body).iter().map(|byte| format!("{byte:02x}")).collect();
        let claims = json!({
            "iss": "bellhop", "sub": self.tenant, "iat": now, "exp": now + SIGNATURE_KEPT, "jti": event.id,
            "body_sha256": digest,
        });
        let encode = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(json!({"alg": "HS256", "typ": "JWT"})), encode(claims));
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("any length is a key");
        mac.update(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }
}

/// Tells the store what became of events, and then whoever counts; they are not sent again before that is done.
async fn settle(events: &dyn LogEvents, unsettled: &mut Vec<Change>, outcome: &OnOutcome) -> Result<(), StoreError> {
    if !unsettled.is_empty() {
        events.settle(unsettled).await?;
        for change in unsettled.drain(..) {
            outcome(match change {
                Change::Delivered { .. } => Outcome::Delivered,
                Change::Postponed { .. } => Outcome::Postponed,
            });
        }
    }
    Ok(())
}

/// The pause after so many failures of the store.
fn store_pause(failures: u32) -> Duration {
    STORE_PAUSE.saturating_mul(1 << failures.min(8)).min(LOOK_EVERY)
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellhop_call::ports::{Entry, RecordWriter};

    use crate::reach::Reach;
    use crate::storage::SqlStore;
    use crate::testing::{Answer, serve};

    fn webhook(url: &str, headers: Vec<(String, String)>) -> LogWebhook {
        let webhook = LogWebhook::new("acme", url, "s3cret", headers).expect("a URL");
        LogWebhook { pause: Duration::from_millis(20), ..webhook }
    }

    async fn waiting() -> SqlStore {
        let records = SqlStore::open("sqlite::memory:", None).await.expect("opens");
        let log = json!({"turn": 3});
        records
            .write(&[Entry::Turn { tenant: "acme".into(), session: "s".into(), caller: "+1".into(), log }])
            .await
            .expect("written");
        records
    }

    #[test]
    fn a_token_is_the_one_that_other_libraries_make() {
        let event = Waiting { id: "s:cdr".into(), body: "{}".into(), attempts: 0 };
        let token = webhook("https://example.com", vec![]).token(&event, 1_700_000_000);
        // Made with Python's hmac, hashlib and base64 from the same claims.
        let expected = [
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
            "eyJib2R5X3NoYTI1NiI6IjQ0MTM2ZmEzNTViMzY3OGExMTQ2YWQxNmY3ZTg2NDllOTRmYjRmYzIxZmU3N2U4MzEwYz\
             A2MGY2MWNhYWZmOGEiLCJleHAiOjE3MDAwMDAzMDAsImlhdCI6MTcwMDAwMDAwMCwiaXNzIjoiYmVsbGhvcCIsImp0\
             aSI6InM6Y2RyIiwic3ViIjoiYWNtZSJ9",
            "wjEVXx1TSAEJi4RT8oIcuY3-0WF33dkvQwHS7BMDPpA",
        ];
        assert_eq!(token, expected.join("."));
    }

    /// What a name leads to is looked at with every post.
    #[tokio::test]
    async fn a_receiver_of_a_tenant_is_not_on_this_machine() {
        let event = Waiting { id: "s:cdr".into(), body: "{}".into(), attempts: 0 };
        for (reach, arrives) in [(Reach::Internet, false), (Reach::Everywhere, true)] {
            let (url, requests) = serve(vec![Answer::json(204, &json!({}))]).await;
            let url = url.replace("127.0.0.1", "localhost");
            let webhook = LogWebhook::new("acme", reach.at(&url), "s3cret", vec![]).expect("a URL");
            assert_eq!(webhook.post(&event).await.is_ok(), arrives);
            assert_eq!(requests.lock().expect("alone").len(), usize::from(arrives));
        }
    }

    #[tokio::test]
    async fn what_is_refused_is_tried_again_under_the_same_name_until_it_arrives() {
        let answers = vec![Answer::json(500, &json!({})), Answer::json(401, &json!({})), Answer::json(204, &json!({}))];
        let (url, requests) = serve(answers).await;
        let records = waiting().await;
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let outcome: OnOutcome = Arc::new(move |outcome| {
            let _ = tell.send(outcome);
        });
        let newer = Arc::new(Notify::new());
        let delivering =
            tokio::spawn(webhook(&url, vec![]).deliver(Arc::new(records.clone()), Arc::clone(&newer), outcome));
        let mut outcomes = vec![];
        while outcomes.len() < 3 {
            outcomes.push(told.recv().await.expect("it goes on"));
        }
        newer.notify_one();
        drop(newer);
        delivering.await.expect("it ends with whoever would tell it of events");
        assert_eq!(outcomes, [Outcome::Postponed, Outcome::Postponed, Outcome::Delivered]);
        assert_eq!(records.next_due("acme").await.expect("answers"), None);
        let requests = requests.lock().expect("alone").clone();
        assert!(requests.iter().all(|request| request.to_ascii_lowercase().contains("idempotency-key: s:turn:3\r\n")));
        assert!(requests[2].ends_with(r#"{"event":{"id":"s:turn:3","name":"message_logged"},"payload":{"turn":3}}"#));
        assert!(requests[0].contains("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."), "a JWT");
    }

    #[tokio::test]
    async fn a_store_that_fails_sends_nothing_twice() {
        use sqlx::Connection;
        let own = tempfile::tempdir().expect("a folder");
        let folder = own.path();
        let database = format!("sqlite://{}/a.db", folder.display());
        let records = SqlStore::open(&database, None).await.expect("opens");
        let (tenant, session, caller) = ("acme".to_owned(), "s".to_owned(), "+1".to_owned());
        let turn = Entry::Turn { tenant, session, caller, log: json!({"turn": 3}) };
        records.write(&[turn]).await.expect("written");
        let (url, requests) = serve(vec![Answer::json(200, &json!({})), Answer::json(200, &json!({}))]).await;
        let mut stranger = sqlx::SqliteConnection::connect(&database).await.expect("connects");
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut stranger).await.expect("locked");
        let (webhook, nobody, mut unsettled) = (webhook(&url, vec![]), Arc::new(|_| {}) as OnOutcome, vec![]);
        for _ in 0..2 {
            assert!(webhook.deliver_due(&records, &mut unsettled, &nobody).await.is_err(), "locked");
        }
        sqlx::raw_sql("ROLLBACK").execute(&mut stranger).await.expect("free");
        assert!(
            !webhook.deliver_due(&records, &mut unsettled, &nobody).await.expect("free"),
            "nothing is due any more"
        );
        assert_eq!(requests.lock().expect("alone").len(), 1);
        assert_eq!(records.next_due("acme").await.expect("answers"), None);
    }

    #[test]
    fn a_store_that_goes_on_failing_is_asked_more_and_more_rarely() {
        let pauses = [0, 1, 2, 5, 6, 20].map(|failures| store_pause(failures).as_millis());
        assert_eq!(pauses, [500, 1000, 2000, 16_000, 30_000, 30_000]);
    }

    #[tokio::test]
    async fn the_users_own_authorization_wins() {
        let (url, requests) = serve(vec![Answer::json(200, &json!({}))]).await;
        let records = waiting().await;
        let own = vec![("authorization".to_owned(), "Splunk abc".to_owned())];
        let any = webhook(&url, own).deliver_due(&records, &mut vec![], &(Arc::new(|_| {}) as OnOutcome)).await;
        assert!(any.expect("delivered"));
        let request = requests.lock().expect("alone")[0].clone();
        assert!(request.contains("Splunk abc") && !request.contains("eyJ"), "{request}");
    }
}
