//! A database: one SQL text serves whichever it is, and what is written above this knows no other way to it.
//!
//! ```text
//! let row = database.fetch_optional(FIND, args![name, unix_now()]).await?;    // sees what is committed, and nothing else
//!
//! let mut transaction = database.begin().await?;                              // dropped without a commit: nothing happened
//! let touched = transaction.execute(DELETE, args![name]).await?;              // how many rows
//! let added = transaction.fetch(INSERT_RETURNING, args![name, None::<i64>]).await?;
//! transaction.commit().await?;                                                // on the disk once this resolves well
//! row.text(0)?  row.integer(1)?  row.optional_text(2)?  row.optional_integer(3)?
//! ```
//!
//! A text is a `&'static str`, and stands in the list `ALL` of its file, which a test prepares. It says `$1`, `ON CONFLICT`,
//! `RETURNING`; times are BIGINT, JSON is TEXT. Whoever writes wraps all of a transaction in [`within`].
//! Invariant: a transaction is committed or its connection is thrown away, and nobody waits longer than a limit with a name.

mod connection;
mod migrations;
mod sqlite;
mod trouble;
mod values;

use std::future::Future;
use std::path::Path;
use std::time::{Duration, SystemTime};

pub use sqlite::file_of;
pub use trouble::CannotOpen;
pub(crate) use trouble::Trouble;
pub(crate) use values::{Argument, Row, args};

/// The longest that anything waits for a write, its turn included.
pub const WRITE_MAX: Duration = Duration::from_secs(5);
/// How long a statement waits for somebody else's lock.
pub const BUSY_MAX: Duration = Duration::from_secs(2);

/// An open database; clones share its connections.
#[derive(Debug, Clone)]
pub struct Database {
    connections: Connections,
}

#[derive(Debug, Clone)]
enum Connections {
    Sqlite(sqlite::Connections),
}

/// A transaction. Dropped without [`Transaction::commit`], it is thrown away, and its connection with it.
pub(crate) struct Transaction(Kind);

enum Kind {
    Sqlite(sqlite::Transaction),
}

impl Database {
    /// Opens or creates the database of an URL like `sqlite://bellhop.db` or `sqlite::memory:`.
    pub async fn open(url: &str) -> Result<Self, CannotOpen> {
        Self::open_or(url, true).await
    }

    /// Opens the database of a server; one that is not there is an error.
    pub async fn open_existing(url: &str) -> Result<Self, CannotOpen> {
        Self::open_or(url, false).await
    }

    async fn open_or(url: &str, create: bool) -> Result<Self, CannotOpen> {
        let cannot = |why| CannotOpen { url: url.to_owned(), why };
        let connections = sqlite::Connections::open(url, create).await.map_err(cannot)?;
        Ok(Self { connections: Connections::Sqlite(connections) })
    }

    /// Its file; none for one that is not one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match &self.connections {
            Connections::Sqlite(connections) => connections.path(),
        }
    }

    /// Begins a transaction once it is its turn.
    pub(crate) async fn begin(&self) -> Result<Transaction, Trouble> {
        match &self.connections {
            Connections::Sqlite(connections) => Ok(Transaction(Kind::Sqlite(connections.begin().await?))),
        }
    }

    /// The rows that a statement finds among what is committed. It writes nothing.
    pub(crate) async fn fetch(&self, sql: &'static str, arguments: &[Argument<'_>]) -> Result<Vec<Row>, Trouble> {
        match &self.connections {
            Connections::Sqlite(connections) => connections.fetch(sql, arguments).await,
        }
    }

    /// The first of them.
    pub(crate) async fn fetch_optional(
        &self,
        sql: &'static str,
        arguments: &[Argument<'_>],
    ) -> Result<Option<Row>, Trouble> {
        Ok(self.fetch(sql, arguments).await?.into_iter().next())
    }

    /// Whether the last write failed.
    pub(crate) fn is_failing(&self) -> bool {
        match &self.connections {
            Connections::Sqlite(connections) => connections.is_failing(),
        }
    }

    /// Gives what was deleted back to the disk; whether nothing of it is left there.
    pub(crate) async fn shrink(&self) -> Result<bool, Trouble> {
        match &self.connections {
            Connections::Sqlite(connections) => connections.shrink().await,
        }
    }

    /// The connections, for tests that break them.
    #[cfg(test)]
    pub(super) fn sqlite(&self) -> &sqlite::Connections {
        match &self.connections {
            Connections::Sqlite(connections) => connections,
        }
    }
}

impl Transaction {
    /// How many rows a statement touched.
    pub(crate) async fn execute(&mut self, sql: &'static str, arguments: &[Argument<'_>]) -> Result<u64, Trouble> {
        Ok(self.connection().execute(sql, arguments).await?)
    }

    /// The rows that a statement finds or returns.
    pub(crate) async fn fetch(&mut self, sql: &'static str, arguments: &[Argument<'_>]) -> Result<Vec<Row>, Trouble> {
        Ok(self.connection().fetch(sql, arguments).await?)
    }

    /// The first of them.
    pub(crate) async fn fetch_optional(
        &mut self,
        sql: &'static str,
        arguments: &[Argument<'_>],
    ) -> Result<Option<Row>, Trouble> {
        Ok(self.fetch(sql, arguments).await?.into_iter().next())
    }

    /// Commits; once this resolves well, it is on the disk.
    pub(crate) async fn commit(self) -> Result<(), Trouble> {
        match self.0 {
            Kind::Sqlite(transaction) => transaction.commit().await,
        }
    }

    fn connection(&mut self) -> connection::Connection<'_> {
        match &mut self.0 {
            Kind::Sqlite(transaction) => connection::Connection::Sqlite(transaction.connection()),
        }
    }
}

/// Does it within [`WRITE_MAX`], or not at all.
pub(crate) async fn within<T>(work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    tokio::time::timeout(WRITE_MAX, work).await.unwrap_or(Err(Trouble::Overdue))
}

/// Seconds since 1970, as the columns have them.
pub(crate) fn unix_now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() as i64
}
