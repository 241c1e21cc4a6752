//! The store of tenants in a database: what is kept of them, of their people, and of what was done to them.
//!
//! Whatever changes locks the one row of `counters` first, and writes the next number of the audit and of the feed into it last
//! (`tenants/change.rs`): so numbers are committed in their order, two changes never cross, and what was looked up before a
//! change still holds when it is written. Invariant: each text that finds a tenant's things compares with the scope that it is
//! asked with; what is promised is tested in `tenants/tests/`, on every database.

mod audit;
mod chain;
mod change;
mod checks;
mod credentials;
mod documents;
mod entries;
mod everything;
mod feed;
mod integrations;
mod invitations;
mod keys;
mod nodes;
mod number_lists;
mod numbers;
mod people;
mod plans;
mod refusals;
mod requests;
mod rotation;
mod rows;
mod sealed;
mod sign_in;
mod tenant;
mod users;
mod versions;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bellhop_tenancy::access::{Author, Scope};
use bellhop_tenancy::id::Id;
use bellhop_tenancy::store::{Answer, StoreError, TenantStore};

use super::database::{Argument, Database, Row, Trouble, WRITE_MAX, args};
use feed::Feed;
pub use feed::ListenOn;
use keys::Keys;
pub use keys::{CannotUnlock, MasterKeys};
pub use rotation::{Left, Unopened};

/// The store of tenants; clones share it.
#[derive(Debug, Clone)]
pub struct SqlTenants(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    database: Database,
    keys: Keys,
    feed: Feed,
    failures: sign_in::Failures,
}

impl SqlTenants {
    /// The store in an open database. With PostgreSQL `listen_on` names a way to it on which it can tell of changes, where the
    /// other is by a pooler that cannot.
    pub async fn open(
        database: Database,
        master_keys: &MasterKeys,
        listen_on: Option<ListenOn>,
    ) -> Result<Self, CannotUnlock> {
        let keys = Keys::acquaint(&database, master_keys).await?;
        let (feed, failures) = (Feed::new(listen_on), sign_in::Failures::default());
        Ok(Self(Arc::new(Inner { database, keys, feed, failures })))
    }

    async fn fetch(&self, sql: &'static str, arguments: &[Argument<'_>]) -> Result<Vec<Row>, StoreError> {
        Ok(self.0.database.fetch(sql, arguments).await?)
    }

    /// The one row; none that the scope reaches is no such thing.
    async fn find(&self, sql: &'static str, arguments: &[Argument<'_>]) -> Result<Row, StoreError> {
        self.0.database.fetch_optional(sql, arguments).await?.ok_or(StoreError::NotFound)
    }
}

impl TenantStore for SqlTenants {}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        match trouble.may_pass() {
            true => Self::Unavailable(trouble.into()),
            false => Self::Refused(trouble.into()),
        }
    }
}

/// What is answered within [`WRITE_MAX`], or not at all.
fn answer<'a, T: 'a>(work: impl Future<Output = Result<T, StoreError>> + Send + 'a) -> Answer<'a, T> {
    Box::pin(bounded(WRITE_MAX, work))
}

async fn bounded<T>(limit: Duration, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(Trouble::Overdue.into()))
}

/// Milliseconds since 1970.
fn unix_now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn new_id() -> Id {
    Id::new(unix_now_ms(), rand::random())
}

/// The tenant that a scope is narrowed to, as a text to compare with; none for one that reaches everybody.
fn within(scope: &Scope) -> Option<String> {
    scope.tenant().map(|tenant| tenant.to_string())
}

/// What only they may do who reach everybody is not there for others.
fn everybodys(by: &Author) -> Result<(), StoreError> {
    if by.signed_in.scope().tenant().is_none() { Ok(()) } else { Err(StoreError::NotFound) }
}

#[cfg(test)]
mod tests;
