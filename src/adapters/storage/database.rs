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
mod postgres;
mod snapshot;
mod sqlite;
mod trouble;
mod values;

use std::future::Future;
use std::path::Path;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;

pub use postgres::can_be_read;
pub(crate) use postgres::{Listener, SessionLock};
pub(crate) use snapshot::Snapshot;
pub use sqlite::file_of;
pub use trouble::CannotOpen;
pub(crate) use trouble::Trouble;
pub(crate) use values::{Argument, Row, args};

/// The longest that anything waits for a write, its turn included.
pub const WRITE_MAX: Duration = Duration::from_secs(5);
/// How long a statement waits for somebody else's lock.
pub const BUSY_MAX: Duration = Duration::from_secs(2);

/// Tries of a transaction that collides with others.
const COLLISIONS_MAX: u32 = 3;

/// An open database; clones share its connections.
#[derive(Debug, Clone)]
pub struct Database {
    connections: Connections,
}

#[derive(Debug, Clone)]
enum Connections {
    Sqlite(sqlite::Connections),
    Postgres(postgres::Connections),
}

/// A transaction. Dropped without [`Transaction::commit`], it is thrown away, and its connection with it.
pub(crate) struct Transaction(Kind);

enum Kind {
    Sqlite(sqlite::Transaction),
    Postgres(postgres::Transaction),
}

/// Whether an URL names a PostgreSQL database.
pub fn is_postgres(url: &str) -> bool {
    ["postgres:", "postgresql:"].iter().any(|scheme| url.starts_with(scheme))
}

impl Database {
    /// Opens the database of an URL like `sqlite://bellhop.db`, `sqlite::memory:` or `postgres://bellhop@db.example/bellhop`. A
    /// SQLite that is not there is made, and so are the tables of either.
    pub async fn open(url: &str, password: Option<&str>) -> Result<Self, CannotOpen> {
        Self::open_or(url, password, true).await
    }

    /// Opens the database of a server; one that is not there is an error.
    pub async fn open_existing(url: &str, password: Option<&str>) -> Result<Self, CannotOpen> {
        Self::open_or(url, password, false).await
    }

    async fn open_or(url: &str, password: Option<&str>, create: bool) -> Result<Self, CannotOpen> {
        let connections = match is_postgres(url) {
            true => postgres::Connections::open(url, password, create).await.map(Connections::Postgres),
            false => sqlite::Connections::open(url, create).await.map(Connections::Sqlite),
        };
        Ok(Self { connections: connections.map_err(|why| CannotOpen::of(url, why))? })
    }

    /// Its file; none for one that is not one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match &self.connections {
            Connections::Sqlite(connections) => connections.path(),
            Connections::Postgres(_) => None,
        }
    }

    /// Begins a transaction once it is its turn.
    pub(crate) async fn begin(&self) -> Result<Transaction, Trouble> {
        match &self.connections {
            Connections::Sqlite(connections) => Ok(Transaction(Kind::Sqlite(connections.begin().await?))),
            Connections::Postgres(connections) => Ok(Transaction(Kind::Postgres(connections.begin().await?))),
        }
    }

    /// The rows that a statement finds among what is committed. It writes nothing.
    pub(crate) async fn fetch(&self, sql: &'static str, arguments: &[Argument<'_>]) -> Result<Vec<Row>, Trouble> {
        match &self.connections {
            Connections::Sqlite(connections) => connections.fetch(sql, arguments).await,
            Connections::Postgres(connections) => connections.fetch(sql, arguments).await,
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

    /// Everything as it is committed at one moment.
    pub(crate) async fn snapshot(&self) -> Result<Snapshot, Trouble> {
        match &self.connections {
            Connections::Sqlite(connections) => Snapshot::of_sqlite(connections.reader().await?).await,
            Connections::Postgres(connections) => Snapshot::of_postgres(connections.lend().await?).await,
        }
    }

    /// Whether the last write failed.
    pub(crate) fn is_failing(&self) -> bool {
        match &self.connections {
            Connections::Sqlite(connections) => connections.is_failing(),
            Connections::Postgres(connections) => connections.is_failing(),
        }
    }

    /// Gives what was deleted back to the disk; whether nothing of it is left there.
    pub(crate) async fn shrink(&self) -> Result<bool, Trouble> {
        match &self.connections {
            Connections::Sqlite(connections) => connections.shrink().await,
            // Its server does that by itself (autovacuum), and its log is the server's.
            Connections::Postgres(_) => Ok(true),
        }
    }

    /// Whether other servers may have it open too.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self.connections, Connections::Postgres(_))
    }

    /// A lock of a shared database among all who have it; none while somebody else has it, and of one that is not shared.
    pub(crate) async fn session_lock(&self, number: i64) -> Result<Option<SessionLock>, Trouble> {
        match &self.connections {
            Connections::Sqlite(_) => Ok(None),
            Connections::Postgres(connections) => connections.session_lock(number).await,
        }
    }

    /// Hears what a shared database tells on a channel; none of one that is not shared. With an URL by that way, where the other
    /// is by a pooler that does not tell.
    pub(crate) async fn listen(
        &self,
        channel: &str,
        by: Option<(&str, Option<&str>)>,
    ) -> Result<Option<Listener>, Trouble> {
        match &self.connections {
            Connections::Sqlite(_) => Ok(None),
            Connections::Postgres(connections) => connections.listen(channel, by).await.map(Some),
        }
    }

    /// A transaction that is done again while another is in its way.
    pub(crate) async fn again<T, F>(&self, work: impl Fn() -> F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        for _ in 1..COLLISIONS_MAX {
            match work().await {
                Err(why) if why.is_collision() => {}
                done => return done,
            }
        }
        work().await
    }

    /// The connections, for tests that break them.
    #[cfg(test)]
    pub(super) fn sqlite(&self) -> &sqlite::Connections {
        match &self.connections {
            Connections::Sqlite(connections) => connections,
            Connections::Postgres(_) => panic!("a test of SQLite alone"),
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
            Kind::Postgres(transaction) => transaction.commit().await,
        }
    }

    /// Takes back what was written, where somebody was refused: unlike one that is dropped, it did not fail.
    pub(crate) async fn abandon(self) -> Result<(), Trouble> {
        match self.0 {
            Kind::Sqlite(transaction) => transaction.abandon().await,
            Kind::Postgres(transaction) => transaction.abandon().await,
        }
    }

    fn connection(&mut self) -> connection::Connection<'_> {
        match &mut self.0 {
            Kind::Sqlite(transaction) => connection::Connection::Sqlite(transaction.connection()),
            Kind::Postgres(transaction) => connection::Connection::Postgres(transaction.connection()),
        }
    }
}

/// An URL as people may see it: without a password.
fn shown(url: &str) -> String {
    if is_postgres(url) { postgres::shown(url) } else { url.to_owned() }
}

/// Does it within [`WRITE_MAX`] from now, or not at all. An `async fn` would have room for the work twice.
pub(crate) fn within<T>(work: impl Future<Output = Result<T, Trouble>>) -> impl Future<Output = Result<T, Trouble>> {
    tokio::time::timeout(WRITE_MAX, work).map(|done| done.unwrap_or(Err(Trouble::Overdue)))
}

/// Seconds since 1970, as the columns have them.
pub(crate) fn unix_now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() as i64
}
