//! One change: a transaction that has the row of `counters` locked from its beginning to its end.
//!
//! ```text
//! let mut change = self.begin().await?;
//! let done = work(&mut change).await;      // looks up, refuses or writes, notes a line of the audit
//! self.end(change, done).await             // commits what was done; what was refused never happened
//! ```
//!
//! Invariant: a number of the feed or of the audit is given to what is committed alone, and no number is seen before a lower one.

use bellhop_tenancy::access::Author;
use bellhop_tenancy::id::{Id, TenantId};
use bellhop_tenancy::store::{AuditLine, AuditOutcome, Stamp, StoreError};

use super::{Argument, Row, SqlTenants, args, chain, new_id, unix_now_ms};
use crate::storage::database::Transaction;

const LOCK: &str = "UPDATE counters SET change = change WHERE one = 1 RETURNING change, audit, audit_hash";
/// PostgreSQL tells who listens, by a trigger.
const COUNT: &str = "UPDATE counters SET change = $1, audit = $2, audit_hash = $3 WHERE one = 1";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 2] = [LOCK, COUNT];

/// A change that is not committed yet.
pub(super) struct Change {
    transaction: Transaction,
    /// When it is made, in milliseconds since 1970.
    pub(super) now_ms: i64,
    /// The newest number of the feed.
    newest: i64,
    /// Whether nodes have to read what is changed.
    is_told: bool,
    audit: i64,
    audit_hash: String,
}

/// A line of the audit of a change.
#[derive(Debug, Default)]
pub(super) struct Noted<'a> {
    /// `tenant.add`
    pub(super) action: &'a str,
    pub(super) tenant: Option<TenantId>,
    pub(super) on: Option<String>,
    pub(super) fields: Vec<String>,
}

impl SqlTenants {
    /// Begins a change once all before it are done.
    pub(super) async fn begin(&self) -> Result<Change, StoreError> {
        let mut transaction = self.0.database.begin().await?;
        let row = transaction.fetch_optional(LOCK, args![]).await?.ok_or(StoreError::NotFound)?;
        let (newest, audit, audit_hash) = (row.integer(0)?, row.integer(1)?, row.text(2)?.to_owned());
        Ok(Change { transaction, now_ms: unix_now_ms(), newest, is_told: false, audit, audit_hash })
    }

    /// Commits a change that was done; throws away one that was refused.
    pub(super) async fn end<T>(&self, mut change: Change, done: Result<T, StoreError>) -> Result<T, StoreError> {
        let done = match done {
            Ok(done) => done,
            Err(StoreError::Unavailable(why)) => return Err(StoreError::Unavailable(why)),
            Err(StoreError::Refused(why)) => return Err(StoreError::Refused(why)),
            Err(refused) => {
                change.transaction.abandon().await?;
                return Err(refused);
            }
        };
        let number = change.newest + i64::from(change.is_told);
        change.transaction.execute(COUNT, args![number, change.audit, &change.audit_hash]).await?;
        change.transaction.commit().await?;
        if change.is_told {
            self.0.feed.tell();
        }
        Ok(done)
    }
}

impl Change {
    pub(super) async fn execute(&mut self, sql: &'static str, arguments: &[Argument<'_>]) -> Result<u64, StoreError> {
        Ok(self.transaction.execute(sql, arguments).await?)
    }

    pub(super) async fn fetch(
        &mut self,
        sql: &'static str,
        arguments: &[Argument<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        Ok(self.transaction.fetch(sql, arguments).await?)
    }

    /// The one row, or nothing.
    pub(super) async fn look(
        &mut self,
        sql: &'static str,
        arguments: &[Argument<'_>],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.transaction.fetch_optional(sql, arguments).await?)
    }

    /// The one row; none is no such thing.
    pub(super) async fn find(&mut self, sql: &'static str, arguments: &[Argument<'_>]) -> Result<Row, StoreError> {
        self.look(sql, arguments).await?.ok_or(StoreError::NotFound)
    }

    /// What a text counts.
    pub(super) async fn count(&mut self, sql: &'static str, arguments: &[Argument<'_>]) -> Result<i64, StoreError> {
        Ok(self.find(sql, arguments).await?.integer(0)?)
    }

    /// The number that this change has in the feed: nodes read what it changes.
    pub(super) fn number(&mut self) -> i64 {
        self.is_told = true;
        self.newest + 1
    }

    /// The newest number before this change.
    pub(super) fn newest(&self) -> i64 {
        self.newest
    }

    /// The stamp of something new.
    pub(super) fn first_stamp(&mut self) -> Stamp {
        let now = self.now_ms;
        Stamp { created_unix_ms: now, changed_unix_ms: now, revision: 1, change: self.number() }
    }

    /// The stamp of something that changes.
    pub(super) fn next_stamp(&mut self, of: Stamp) -> Stamp {
        Stamp { changed_unix_ms: self.now_ms, revision: of.revision + 1, change: self.number(), ..of }
    }

    /// Writes a line of the audit, of what was done.
    pub(super) async fn note(&mut self, by: &Author, noted: Noted<'_>) -> Result<(), StoreError> {
        let (user, name, from) = (by.signed_in.user(), by.signed_in.name(), by.from.as_str());
        self.note_as(user, name, from, AuditOutcome::Done, noted).await
    }

    /// Writes a line of the audit.
    pub(super) async fn note_as(
        &mut self,
        user: Option<Id>,
        name: &str,
        from: &str,
        outcome: AuditOutcome,
        noted: Noted<'_>,
    ) -> Result<(), StoreError> {
        self.audit += 1;
        let line = AuditLine {
            id: new_id(),
            number: self.audit,
            at_unix_ms: self.now_ms,
            user,
            name: name.to_owned(),
            from: from.to_owned(),
            action: noted.action.to_owned(),
            tenant: noted.tenant,
            on: noted.on,
            fields: noted.fields,
            outcome,
        };
        self.audit_hash = chain::hash(&self.audit_hash, &line);
        chain::insert(&mut self.transaction, &line, &self.audit_hash).await
    }
}
