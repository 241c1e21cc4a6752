//! The connections to a PostgreSQL database: a pool, shared by those who read and those who write.
//!
//! Invariant: a connection that failed, or whose user went away half-way, is closed and never used again, so nothing is written
//! into a transaction that somebody left open. The server gives up what nobody waits for any more (`statement_timeout`), and what a
//! program that hangs holds (`idle_in_transaction_session_timeout`). How an URL is read: `postgres/place.rs`.

mod listener;
mod lock;
mod place;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, Postgres};
use sqlx::{ConnectOptions, Connection as _};

pub(crate) use listener::Listener;
pub(crate) use lock::SessionLock;
pub use place::can_be_read;
pub(super) use place::shown;

use super::connection::Connection;
use super::values::{Argument, Row, args};
use super::{BUSY_MAX, Trouble, WRITE_MAX, migrations, within};

/// Connections at once: each writes or reads.
const CONNECTIONS: u32 = 8;
/// The longest that anybody waits for one of them.
const CONNECTED_WITHIN: Duration = Duration::from_secs(3);
/// How long a transaction may lie idle until the server rolls it back: its program hangs, or is cut off.
const IDLE_IN_TRANSACTION_MAX: Duration = Duration::from_secs(15);
/// The longest that giving the database its shape may take, another server's turn included.
const MIGRATED_WITHIN: Duration = Duration::from_secs(120);
/// The oldest server whose SQL is that of our texts: `server_version_num`.
const OLDEST: i64 = 130_000;

/// What each connection is told first. A commit that is told as good is on the disk, whatever the server's default.
const SETTINGS: &str = "SELECT set_config('statement_timeout', $1, false), set_config('lock_timeout', $2, false),
    set_config('idle_in_transaction_session_timeout', $3, false),
    set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'
        ELSE current_setting('synchronous_commit') END, false)";
const WHAT_IT_IS: &str =
    "SELECT CAST(current_setting('server_version_num') AS BIGINT), current_setting('server_encoding')";

/// All connections to one database; clones share them.
#[derive(Clone)]
pub(in crate::storage) struct Connections(Arc<Inner>);

struct Inner {
    pool: PgPool,
    options: PgConnectOptions,
    /// Whether the last write failed.
    failing: AtomicBool,
}

/// It never shows how to connect: that has a password.
impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("failing", &self.is_failing()).finish_non_exhaustive()
    }
}

/// A connection that goes back to the pool only if it is said to be good.
pub(super) struct Lent(Option<PoolConnection<Postgres>>);

/// A transaction.
pub(in crate::storage) struct Transaction {
    connections: Connections,
    /// None once it was committed.
    lent: Option<Lent>,
}

impl Connections {
    /// Opens the database of an URL; gives it its shape where that is wanted.
    pub(super) async fn open(url: &str, password: Option<&str>, create: bool) -> Result<Self, Trouble> {
        let options = place::options(url, password)?;
        // By itself, so that it is told why: a pool only tells that its time is over.
        let first = async {
            let mut connection = options.connect().await?;
            let what = Connection::Postgres(&mut connection).fetch(WHAT_IT_IS, args![]).await?;
            let what = what.first().ok_or(sqlx::Error::RowNotFound)?;
            let (version, encoding) = (what.integer(0)?, what.text(1)?);
            if version < OLDEST {
                return Err(Trouble::TooOld { version: version / 10_000, oldest: OLDEST / 10_000 });
            }
            if encoding != "UTF8" {
                return Err(Trouble::Encoding { encoding: encoding.to_owned() });
            }
            Ok(connection)
        };
        let mut connection = within(first).await?;
        let prepare = migrations::prepare(Connection::Postgres(&mut connection), create);
        tokio::time::timeout(MIGRATED_WITHIN, prepare).await.unwrap_or(Err(Trouble::Overdue))?;
        let _ = tokio::time::timeout(BUSY_MAX, connection.close()).await;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(CONNECTED_WITHIN)
            .after_connect(|connection, _| Box::pin(settle_in(connection)))
            .connect_lazy_with(options.clone());
        Ok(Self(Arc::new(Inner { pool, options, failing: AtomicBool::new(false) })))
    }

    /// Begins a transaction.
    pub(super) async fn begin(&self) -> Result<Transaction, Trouble> {
        let begun = async {
            let mut lent = Lent(Some(self.0.pool.acquire().await?));
            Connection::Postgres(lent.connection()).script("BEGIN").await?;
            Ok(Transaction { connections: self.clone(), lent: Some(lent) })
        };
        let begun = within(begun).await;
        if begun.is_err() {
            self.note(false);
        }
        begun
    }

    /// What a statement finds among what is committed.
    pub(super) async fn fetch(&self, sql: &'static str, arguments: &[Argument<'_>]) -> Result<Vec<Row>, Trouble> {
        within(async {
            let mut lent = Lent(Some(self.0.pool.acquire().await?));
            let rows = Connection::Postgres(lent.connection()).fetch(sql, arguments).await?;
            lent.give_back();
            Ok(rows)
        })
        .await
    }

    /// A connection for a while.
    pub(super) async fn lend(&self) -> Result<Lent, Trouble> {
        within(async { Ok(Lent(Some(self.0.pool.acquire().await?))) }).await
    }

    /// A connection of one's own, for what lasts as long as it.
    pub(super) async fn alone(&self) -> Result<PgConnection, Trouble> {
        within(async {
            let mut connection = self.0.options.connect().await?;
            settle_in(&mut connection).await?;
            Ok(connection)
        })
        .await
    }

    /// Whether the last write failed.
    pub(super) fn is_failing(&self) -> bool {
        self.0.failing.load(Ordering::Relaxed)
    }

    fn note(&self, good: bool) {
        if self.0.failing.swap(!good, Ordering::Relaxed) == good {
            match good {
                true => tracing::info!("the database takes writes again"),
                false => tracing::error!("the database takes no writes"),
            }
        }
    }
}

async fn settle_in(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let [statement, lock, idle] =
        [WRITE_MAX, BUSY_MAX, IDLE_IN_TRANSACTION_MAX].map(|limit| limit.as_millis().to_string());
    Connection::Postgres(connection).fetch(SETTINGS, args![&statement, &lock, &idle]).await.map(drop)
}

impl Transaction {
    /// What to write with.
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        self.lent.as_mut().expect("it is not committed yet").connection()
    }

    /// Commits; once this resolves well, it is on the disk (`synchronous_commit`).
    pub(super) async fn commit(mut self) -> Result<(), Trouble> {
        Connection::Postgres(self.connection()).script("COMMIT").await?;
        if let Some(lent) = self.lent.take() {
            lent.give_back();
        }
        self.connections.note(true);
        Ok(())
    }
}

impl Transaction {
    /// Takes back what was written; the connection is good for others.
    pub(super) async fn abandon(mut self) -> Result<(), Trouble> {
        Connection::Postgres(self.connection()).script("ROLLBACK").await?;
        if let Some(lent) = self.lent.take() {
            lent.give_back();
        }
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if self.lent.is_some() {
            self.connections.note(false);
        }
    }
}

impl Lent {
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        self.0.as_mut().expect("it was not given back")
    }

    /// It may be used again.
    pub(super) fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // Out of the pool, and closed.
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}
