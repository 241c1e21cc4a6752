//! Session histories and call records in SQLite, with a time to live.
//!
//! Invariant: once [`HistoryStore::store`] resolves well, the history survives the death of the process, and the page shows
//! it: committed to a write-ahead log that is synchronised on every commit, and read back by a connection that sees nothing
//! else. A row is filed under the hash of its key, so that the file alone opens no conversation. What is deleted is
//! overwritten (`secure_delete`). How connections are used: `connections.rs`.

mod claim;
mod connections;
mod events;
mod forgetting;
mod in_flight;
mod lent;
mod records;
mod schema;
mod under_way;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bellhop_call::ports::{Answer, Readiness};
use bellhop_connect::handoff::StoreFailed;
use bellhop_connect::ports::{FiledHistories, History, HistoryStore, Pending, StoreError, WriteNotes};
use bellhop_connect::session_history_key::FiledAs;
use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

use connections::{Connections, within};
use in_flight::InFlight;

use super::Store;

/// The longest that anything waits for a write, its turn included.
pub const WRITE_MAX: Duration = Duration::from_secs(5);
/// How long a statement waits for another process's lock.
pub const BUSY_MAX: Duration = Duration::from_secs(2);
/// Rows deleted in one transaction: nobody waits longer for their turn than for these.
const DELETED_AT_ONCE: u32 = 500;

/// An open database.
#[derive(Debug, Clone)]
pub struct Database {
    connections: Connections,
    /// Names this process among all that ever wrote to the database.
    server: Arc<str>,
    path: Option<PathBuf>,
}

/// Why the store cannot be opened: a sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[error("the database {url} cannot be opened: {why}")]
pub struct CannotOpen {
    url: String,
    why: Trouble,
}

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// It is locked, or its disk hangs.
    #[error("the database did not answer within {} s", WRITE_MAX.as_secs())]
    Overdue,
    /// Nobody made it yet.
    #[error("it is not there: a server makes it when it first starts with this configuration")]
    NotThere,
    /// What was written lies in a file that nobody will find.
    #[error("the database file was deleted or replaced")]
    Replaced,
    /// It was written, and cannot be read.
    #[error("what was committed cannot be read back")]
    NotReadBack,
    /// A later Bellhop made it.
    #[error(
        "a later version of Bellhop made it (its shape is number {version}, and this program knows {known}): start that \
         version or a later one, or name another file"
    )]
    Later {
        /// The number of its last migration.
        version: i64,
        /// The number of ours.
        known: i64,
    },
    /// A program made it whose migrations are others.
    #[error(
        "its migration number {number} is not this program's: start the program that made it, or name another file"
    )]
    Foreign {
        /// The number of the migration, as in its file name.
        number: i64,
    },
    /// SQLite says no.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Trouble {
    /// Whether it may pass, or would befall any other statement too: a full, missing, read-only or locked disk. What is
    /// left is the fault of the statement.
    pub(crate) fn may_pass(&self) -> bool {
        // https://www.sqlite.org/rescode.html: too big, constraint, mismatch, range.
        const OF_THE_STATEMENT: [&str; 4] = ["18", "19", "20", "25"];
        match self {
            Self::Database(sqlx::Error::Database(error)) => {
                let code = error.code().and_then(|code| code.parse::<u32>().ok()).unwrap_or_default() & 0xff;
                !OF_THE_STATEMENT.contains(&code.to_string().as_str())
            }
            _ => true,
        }
    }
}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        match trouble.may_pass() {
            true => Self::Unavailable(trouble.into()),
            false => Self::Refused(trouble.into()),
        }
    }
}

/// The file that an URL of a database names; none for one in memory. An URL that cannot be opened for writing is an error: a
/// sentence without the URL.
pub fn file_of(url: &str) -> Result<Option<PathBuf>, String> {
    let options = SqliteConnectOptions::from_str(url).map_err(|error| match error {
        sqlx::Error::Configuration(why) => why.to_string(),
        other => other.to_string(),
    })?;
    let parameters = url.split_once('?').map_or("", |(_, parameters)| parameters);
    let read_alone = ["mode=ro", "immutable=true", "immutable=1"];
    if let Some(parameter) = parameters.split('&').find(|parameter| read_alone.contains(parameter)) {
        return Err(format!("`{parameter}` lets nothing be written, and calls are"));
    }
    let in_memory = url.contains(":memory:") || parameters.split('&').any(|parameter| parameter == "mode=memory");
    Ok((!in_memory).then(|| options.get_filename().to_owned()))
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
        let options = SqliteConnectOptions::from_str(url)
            .map_err(|error| cannot(error.into()))?
            // The file is made by us, so that nobody else can read it for a moment.
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("secure_delete", "ON")
            .pragma("journal_size_limit", "4194304")
            .busy_timeout(BUSY_MAX);
        let path = (!url.contains(":memory:")).then(|| options.get_filename().to_owned());
        let connections = Connections::open(options, path.clone(), create).await.map_err(cannot)?;
        let server: String = rand::random::<[u8; 8]>().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { connections, server: server.into(), path })
    }

    /// Its file; none for one in memory.
    pub fn path(&self) -> Option<&std::path::Path> {
        self.path.as_deref()
    }
}

impl Store for Database {
    fn histories(&self, time_to_live: Duration) -> Arc<dyn HistoryStore> {
        Arc::new(Histories { connections: self.connections.clone(), server: Arc::clone(&self.server), time_to_live })
    }

    fn write_notes(&self, tenant: &str) -> Arc<dyn WriteNotes> {
        Arc::new(InFlight::new(self.connections.clone(), Arc::clone(&self.server), tenant))
    }
}

impl FiledHistories for Database {
    fn find_history(&self, name: &FiledAs) -> Pending<Result<Option<History>, StoreError>> {
        let (filed_as, readers) = (hashed(name), self.connections.readers());
        answer(async move {
            let query = "SELECT tenant, json FROM session_histories WHERE filed_as = ? AND expires_unix > ?";
            let row = sqlx::query(query).bind(filed_as).bind(unix_now()).fetch_optional(&readers).await?;
            Ok(row
                .map(|row| Ok::<_, sqlx::Error>(History { tenant: row.try_get(0)?, json: row.try_get(1)? }))
                .transpose()?)
        })
    }
}

impl Readiness for Database {
    fn is_ready(&self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(async {
            let reads = sqlx::query("SELECT 1").execute(&self.connections.readers()).await.is_ok();
            reads && (!self.connections.is_failing() || within(self.probe()).await.is_ok())
        })
    }
}

impl Database {
    async fn probe(&self) -> Result<(), Trouble> {
        let mut transaction = self.connections.begin().await?;
        // Something that is written for certain, and nobody's.
        let query = "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'writes_in_flight'";
        let touched = sqlx::query(query).execute(transaction.connection()).await?.rows_affected();
        if touched == 0 {
            let query = "INSERT INTO sqlite_sequence (name, seq) VALUES ('writes_in_flight', 1)";
            sqlx::query(query).execute(transaction.connection()).await?;
        }
        transaction.commit().await
    }
}

/// Stores histories that are kept for so long.
#[derive(Debug, Clone)]
struct Histories {
    connections: Connections,
    server: Arc<str>,
    time_to_live: Duration,
}

impl Histories {
    async fn insert(&self, name: &FiledAs, history: &History, given: Given) -> Result<(), Trouble> {
        let filed_as = hashed(name);
        let mut transaction = self.connections.begin().await?;
        if given == Given::Lent {
            self.note_lent(&filed_as, &mut transaction).await?;
        }
        let query = "INSERT INTO session_histories (filed_as, tenant, json, expires_unix) VALUES (?, ?, ?, ?)";
        sqlx::query(query)
            .bind(&filed_as)
            .bind(&history.tenant)
            .bind(&history.json)
            .bind(unix_now().saturating_add_unsigned(self.time_to_live.as_secs()))
            .execute(transaction.connection())
            .await?;
        transaction.commit().await?;
        // The page reads by another connection: what that one does not see, no agent would.
        let query = "SELECT 1 FROM session_histories WHERE filed_as = ?";
        match sqlx::query(query).bind(&filed_as).fetch_optional(&self.connections.readers()).await? {
            Some(_) => Ok(()),
            None => Err(Trouble::NotReadBack),
        }
    }

    async fn delete(&self, name: &FiledAs) -> Result<(), Trouble> {
        let mut transaction = self.connections.begin().await?;
        let query = "DELETE FROM session_histories WHERE filed_as = ?";
        sqlx::query(query).bind(hashed(name)).execute(transaction.connection()).await?;
        transaction.commit().await
    }
}

impl HistoryStore for Histories {
    fn store(&self, name: FiledAs, history: History) -> Pending<Result<(), StoreFailed>> {
        let this = self.clone();
        Box::pin(async move { within(this.insert(&name, &history, Given::Kept)).await.map_err(told("stored")) })
    }

    fn lend(&self, name: FiledAs, history: History) -> Pending<Result<(), StoreFailed>> {
        let this = self.clone();
        Box::pin(async move { within(this.insert(&name, &history, Given::Lent)).await.map_err(told("stored")) })
    }

    fn earned(&self, name: FiledAs) -> Pending<Result<(), StoreFailed>> {
        let this = self.clone();
        Box::pin(async move { within(this.strike_out(&name)).await.map_err(told("kept for good")) })
    }

    fn void(&self, name: FiledAs) -> Pending<Result<(), StoreFailed>> {
        let this = self.clone();
        Box::pin(async move { within(this.delete(&name)).await.map_err(told("made void")) })
    }
}

/// Whether a key waits in here for its hand-off, or goes out before it is known what comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    Kept,
    Lent,
}

/// What a store answers through a port.
fn answer<'a, T>(work: impl Future<Output = Result<T, Trouble>> + Send + 'a) -> Answer<'a, T> {
    Box::pin(async move { work.await.map_err(StoreError::from) })
}

fn told(what: &'static str) -> impl FnOnce(Trouble) -> StoreFailed {
    move |error| {
        tracing::error!(%error, "a session history could not be {what}");
        StoreFailed
    }
}

fn hashed(name: &FiledAs) -> String {
    Sha256::digest(name.expose()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unix_now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() as i64
}

#[cfg(test)]
mod tests;
