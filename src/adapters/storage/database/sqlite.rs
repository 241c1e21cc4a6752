//! The connections to a SQLite database: one that writes, a few that read.
//!
//! Invariants: a transaction is committed or its connection is thrown away, so that nothing is ever written into a
//! transaction that somebody left open (after a full disk SQLite rolls back by itself, and a pooled connection no longer
//! says what it is in). No write waits longer than [`WRITE_MAX`]. What was committed lies in the file that bears the name:
//! one that was deleted, moved or replaced is noticed before and after each write. A path that is dropped half-way, by a
//! deadline for instance, counts as failed. What is deleted is overwritten (`secure_delete`); how the rest of it goes:
//! `sqlite/shrinking.rs`.

mod place;
mod shrinking;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::sqlite::{Sqlite, SqliteConnectOptions, SqliteConnection, SqlitePool, SqlitePoolOptions};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::connection;
use super::migrations;
use super::values::{Argument, Row};
use super::{BUSY_MAX, Trouble, within};
pub use place::file_of;
use place::{FileId, beside, file_id, make_private};

/// Connections that read at once.
const READERS: u32 = 4;
/// The longest that a reader waits for one of them.
const READ_MAX: Duration = Duration::from_secs(3);

/// All connections to one database; clones share them.
#[derive(Debug, Clone)]
pub(in crate::storage) struct Connections(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: SqliteConnectOptions,
    /// None for a database in memory.
    path: Option<PathBuf>,
    writer: Arc<Mutex<Option<Writer>>>,
    readers: RwLock<Readers>,
    /// Whether the last write failed.
    failing: AtomicBool,
    /// A database in memory lives as long as somebody is connected to it.
    _anchor: Option<Mutex<SqliteConnection>>,
}

#[derive(Debug)]
struct Writer {
    connection: SqliteConnection,
    files: Option<Files>,
}

#[derive(Debug)]
struct Readers {
    pool: SqlitePool,
    file: Option<FileId>,
}

/// The database and its write-ahead log, as they were when a connection was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Files {
    database: FileId,
    log: FileId,
}

/// A transaction. Dropped without [`Transaction::commit`], it is thrown away, and its connection with it.
pub(in crate::storage) struct Transaction {
    connections: Connections,
    place: OwnedMutexGuard<Option<Writer>>,
    /// None once it was committed.
    writer: Option<Writer>,
}

impl Connections {
    /// Opens the database of an URL; creates it where that is wanted.
    pub(super) async fn open(url: &str, create: bool) -> Result<Self, Trouble> {
        let (options, path) = place::options(url)?;
        // Once open, a database that is deleted is made anew; one that was only asked for is not.
        match path.as_deref() {
            Some(path) if path.exists() => {
                within(migrations::refuse_others(path, beside(path, "-wal").exists())).await?
            }
            Some(_) if !create => return Err(Trouble::NotThere),
            Some(path) => make_private(path).map_err(sqlx::Error::from)?,
            None => {}
        }
        // One in memory is gone with its last connection.
        let anchor = match &path {
            None => Some(Mutex::new(options.connect().await?)),
            Some(_) => None,
        };
        let readers = Readers::of(&options, path.as_deref());
        let connections = Self(Arc::new(Inner {
            options,
            path,
            writer: Arc::default(),
            readers: RwLock::new(readers),
            failing: AtomicBool::new(false),
            _anchor: anchor,
        }));
        within(connections.first()).await?;
        Ok(connections)
    }

    /// The first connection: it also gives a database of a former version its shape.
    async fn first(&self) -> Result<(), Trouble> {
        let mut place = Arc::clone(&self.0.writer).lock_owned().await;
        let mut writer = self.connect().await?;
        shrinking::make_it_shrink(&mut writer.connection).await;
        // The rewriting of a database may leave another log behind.
        writer.files = self.files();
        *place = Some(writer);
        Ok(())
    }

    /// Begins a transaction once it is its turn.
    pub(in crate::storage) async fn begin(&self) -> Result<Transaction, Trouble> {
        let begun = self.try_begin().await;
        if begun.is_err() {
            self.note(false);
        }
        begun
    }

    async fn try_begin(&self) -> Result<Transaction, Trouble> {
        let mut place = Arc::clone(&self.0.writer).lock_owned().await;
        let mut writer = match place.take() {
            Some(writer) if writer.files == self.files() => writer,
            Some(writer) => {
                tracing::error!("the database file was deleted or replaced while it was served: it is opened anew");
                self.let_go(writer).await;
                self.connect().await?
            }
            None => self.connect().await?,
        };
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut writer.connection).await?;
        Ok(Transaction { connections: self.clone(), place, writer: Some(writer) })
    }

    /// A connection of its own for what is no transaction; thrown away if it fails.
    pub(in crate::storage) async fn maintain(
        &self,
        work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<(), sqlx::Error>,
    ) -> Result<(), Trouble> {
        let mut place = Arc::clone(&self.0.writer).lock_owned().await;
        let mut writer = match place.take().filter(|writer| writer.files == self.files()) {
            Some(writer) => writer,
            None => self.connect().await?,
        };
        work(&mut writer.connection).await?;
        *place = Some(writer);
        Ok(())
    }

    /// A connection that sees what is committed, and nothing else.
    pub(super) async fn reader(&self) -> Result<PoolConnection<Sqlite>, Trouble> {
        Ok(self.readers().acquire().await?)
    }

    /// What a statement finds among what is committed.
    pub(super) async fn fetch(&self, sql: &'static str, arguments: &[Argument<'_>]) -> Result<Vec<Row>, Trouble> {
        let mut reader = self.readers().acquire().await?;
        Ok(connection::Connection::Sqlite(&mut reader).fetch(sql, arguments).await?)
    }

    /// Its file; none for one in memory.
    pub(super) fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// Connections that see what is committed, and nothing else.
    fn readers(&self) -> SqlitePool {
        let now = self.0.path.as_deref().and_then(file_id);
        let readers = self.0.readers.read().unwrap_or_else(PoisonError::into_inner);
        if readers.file == now {
            return readers.pool.clone();
        }
        drop(readers);
        let mut readers = self.0.readers.write().unwrap_or_else(PoisonError::into_inner);
        if readers.file != now {
            *readers = Readers::of(&self.0.options, self.0.path.as_deref());
        }
        readers.pool.clone()
    }

    /// Whether the last write failed.
    pub(super) fn is_failing(&self) -> bool {
        self.0.failing.load(Ordering::Relaxed)
    }

    fn note(&self, good: bool) {
        if self.0.failing.swap(!good, Ordering::Relaxed) == good {
            match good {
                true => tracing::info!("the database takes writes again"),
                false => tracing::error!("the database takes no writes: no caller can be handed to an agent"),
            }
        }
    }

    async fn connect(&self) -> Result<Writer, Trouble> {
        if let Some(path) = self.0.path.as_deref().filter(|path| !path.exists()) {
            make_private(path).map_err(sqlx::Error::from)?;
        }
        let mut connection = self.0.options.connect().await?;
        migrations::prepare(connection::Connection::Sqlite(&mut connection), true).await?;
        Ok(Writer { connection, files: self.files() })
    }

    /// Closes everything that is open on a file that is not the database any more, before another is opened.
    async fn let_go(&self, writer: Writer) {
        let pool = self.0.readers.read().unwrap_or_else(PoisonError::into_inner).pool.clone();
        pool.close().await;
        let _ = writer.connection.close().await;
        *self.0.readers.write().unwrap_or_else(PoisonError::into_inner) =
            Readers::of(&self.0.options, self.0.path.as_deref());
    }

    fn files(&self) -> Option<Files> {
        let path = self.0.path.as_deref()?;
        Some(Files { database: file_id(path)?, log: file_id(&beside(path, "-wal"))? })
    }
}

impl Transaction {
    /// What to write with.
    pub(in crate::storage) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.writer.as_mut().expect("it is not committed yet").connection
    }

    /// Commits; once this resolves well, it is on the disk (`synchronous=FULL`), in the file that bears the name.
    pub(in crate::storage) async fn commit(mut self) -> Result<(), Trouble> {
        sqlx::raw_sql("COMMIT").execute(self.connection()).await?;
        if let Some(writer) = self.writer.take_if(|writer| writer.files != self.connections.files()) {
            self.connections.note(false);
            // SQLite takes the log away by its name: done later, it would be the log of whoever came next.
            self.connections.let_go(writer).await;
            return Err(Trouble::Replaced);
        }
        *self.place = self.writer.take();
        self.connections.note(true);
        Ok(())
    }
}

impl Transaction {
    /// Takes back what was written; the connection is good for others.
    pub(in crate::storage) async fn abandon(mut self) -> Result<(), Trouble> {
        sqlx::raw_sql("ROLLBACK").execute(self.connection()).await?;
        *self.place = self.writer.take();
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if self.writer.is_some() {
            self.connections.note(false);
        }
    }
}

impl Readers {
    fn of(options: &SqliteConnectOptions, path: Option<&Path>) -> Self {
        let options = options.clone().pragma("query_only", "ON");
        let pool = SqlitePoolOptions::new().max_connections(READERS).acquire_timeout(READ_MAX);
        Self { pool: pool.connect_lazy_with(options), file: path.and_then(file_id) }
    }
}
