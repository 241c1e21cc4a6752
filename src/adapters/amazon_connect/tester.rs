//! Asks Amazon Connect for what a hand-off needs, and writes nothing.
//!
//! Invariant: each request is tried once and has [`REQUEST_MAX`], the whole test [`TEST_MAX`]; UpdateContactAttributes
//! takes a turn only if hand-offs do not miss it, and names a contact that cannot exist.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_connect::config::SharedCredentialsProvider;
use aws_sdk_connect::error::{ProvideErrorMetadata, SdkError};
use bellhop_adapters::reach::Reach;
use bellhop_connect::connection::{Connection, Identity};
use bellhop_connect::connection_test::{
    Action, Answer, Cause, ConnectionReport, InstanceSeen, Outcome, Request, Unreached, described, not_assumed, updated,
};
use bellhop_connect::ports::{ConnectionTester, Pending};
use bellhop_connect::rate_limiter::RateLimiter;
use tokio::time::Instant;

use crate::limiters::Limiters;
use crate::role_session::assume_role;
use crate::sdk;

/// One request.
const REQUEST_MAX: Duration = Duration::from_secs(4);
/// How long a turn is waited for that hand-offs do not miss.
const SPARE_TURN_MAX: Duration = Duration::from_secs(2);
/// The whole test.
pub const TEST_MAX: Duration = Duration::from_secs(10);

/// Tests connections within the rates of this process.
#[derive(Debug, Clone)]
pub struct Tester {
    limiters: Limiters,
}

impl Tester {
    /// One that shares the rates of hand-offs.
    pub fn new(limiters: &Limiters) -> Self {
        Self { limiters: limiters.clone() }
    }
}

impl ConnectionTester for Tester {
    fn test(&self, connection: Connection) -> Pending<ConnectionReport> {
        let limiter = self.limiters.of(&connection.instance);
        Box::pin(async move {
            let deadline = Instant::now() + TEST_MAX;
            let mut test = Test { connection: &connection, deadline, access_url: None, requests: vec![] };
            let outcome = match test.run(&limiter).await {
                Ok(instance) => Outcome::Valid { instance },
                Err((action, cause)) => Outcome::Invalid { action, cause },
            };
            ConnectionReport { outcome, access_url: test.access_url, requests: test.requests }
        })
    }
}

/// One test as it goes.
struct Test<'a> {
    connection: &'a Connection,
    deadline: Instant,
    access_url: Option<String>,
    requests: Vec<Request>,
}

impl Test<'_> {
    async fn run(&mut self, limiter: &Arc<Mutex<RateLimiter>>) -> Result<InstanceSeen, (Action, Cause)> {
        let connection = self.connection;
        let credentials = match &connection.identity {
            Identity::Key(key) => sdk::fixed(key),
            Identity::Role(role) => {
                let sts = sdk::sts(connection, role, sdk::http(Reach::Everywhere), REQUEST_MAX);
                let session = self.ask(Action::AssumeRole, assume_role(sts, role.clone())).await;
                let session = session.map_err(|answer| (Action::AssumeRole, not_assumed(connection, &answer)))?;
                SharedCredentialsProvider::new(session.credentials)
            }
        };
        let sdk = sdk::connect(connection, credentials, sdk::http_to(connection), REQUEST_MAX);
        let instance_id = &connection.instance.instance_id;
        let action = Action::UpdateContactAttributes;
        let answer = if self.spare_turn(limiter).await {
            // An empty value removes an attribute: even a contact that were there would keep all it has but a key that is
            // not its.
            let update = sdk.update_contact_attributes().instance_id(instance_id);
            let update = update.initial_contact_id(nobody()).attributes("SessionHistoryKey", "");
            self.ask(action, update.send()).await.map_or_else(|answer| answer, |_| Answer::Done)
        } else {
            self.note(action, &Answer::NotSent, Duration::ZERO);
            Answer::NotSent
        };
        if let Some(cause) = updated(connection, &answer) {
            return Err((action, cause));
        }
        let describe = sdk.describe_instance().instance_id(instance_id).send();
        let came = self.ask(Action::DescribeInstance, describe).await;
        let instance = came.as_ref().ok().and_then(|came| came.instance());
        let status = instance.and_then(|instance| Some(instance.instance_status()?.as_str().to_owned()));
        self.access_url = instance.and_then(|instance| instance.instance_access_url()).map(str::to_owned);
        let answer = came.map_or_else(|answer| answer, |_| Answer::Done);
        described(connection, &answer, status.as_deref()).map_err(|cause| (Action::DescribeInstance, cause))
    }

    /// Sends a request, within what is left.
    async fn ask<T, E: ProvideErrorMetadata>(
        &mut self,
        action: Action,
        send: impl Future<Output = Result<T, SdkError<E>>>,
    ) -> Result<T, Answer> {
        let began = Instant::now();
        let within = REQUEST_MAX.min(self.deadline.saturating_duration_since(began));
        let came = match tokio::time::timeout(within, send).await {
            Ok(came) => came.map_err(|error| sdk::answer(&error, SystemTime::now(), within)),
            Err(_) => Err(Answer::Nothing(Unreached::NoAnswer { within })),
        };
        self.note(action, came.as_ref().map_or_else(|answer| answer, |_| &Answer::Done), began.elapsed());
        came
    }

    fn note(&mut self, action: Action, answer: &Answer, took: Duration) {
        self.requests.push(Request { action, answered: answer.to_string(), took });
    }

    /// Waits for a turn that hand-offs do not miss; whether there was one.
    async fn spare_turn(&self, limiter: &Mutex<RateLimiter>) -> bool {
        let until = self.deadline.min(Instant::now() + SPARE_TURN_MAX);
        loop {
            let now = Instant::now();
            let turn = limiter.lock().unwrap_or_else(PoisonError::into_inner).spare_turn(now.into_std());
            match turn {
                Ok(()) => return true,
                Err(wait) if now + wait <= until => tokio::time::sleep(wait).await,
                Err(_) => return false,
            }
        }
    }
}

/// The id of a contact that cannot exist: a random UUID (RFC 9562, version 4).
fn nobody() -> String {
    let bits = rand::random::<u128>() & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_a_uuid_and_never_the_same() {
        let (one, other) = (nobody(), nobody());
        assert_ne!(one, other);
        for id in [one, other] {
            assert_eq!((id.len(), &id[14..15]), (36, "4"), "{id}");
            assert!("89ab".contains(&id[19..20]), "{id}");
        }
    }
}
