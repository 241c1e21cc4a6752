//! Why a database did not do what was asked, and whether it is worth while to ask again.

use bellhop_connect::ports::StoreError;
use sqlx::postgres::PgDatabaseError;

use super::WRITE_MAX;

/// Why a database cannot be opened: a sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[error("the database {url} cannot be opened: {why}")]
pub struct CannotOpen {
    url: String,
    why: Trouble,
}

impl CannotOpen {
    /// The URL is shown without its password.
    pub(crate) fn of(url: &str, why: Trouble) -> Self {
        Self { url: super::shown(url), why }
    }
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
    /// A column holds what no program of ours wrote.
    #[error("column {column} of what was read is not what it is read as")]
    Unexpected {
        /// Counted from 0.
        column: usize,
    },
    /// A later Bellhop made it.
    #[error(
        "a later version of Bellhop made it (its shape is number {version}, and this program knows {known}): start that \
         version or a later one, or name another database"
    )]
    Later {
        /// The number of its last migration.
        version: i64,
        /// The number of ours.
        known: i64,
    },
    /// A program made it whose migrations are others.
    #[error(
        "its migration number {number} is not this program's: start the program that made it, or name another database"
    )]
    Foreign {
        /// The number of the migration, as in its file name.
        number: i64,
    },
    /// Its server's SQL is not that of our texts.
    #[error("its server is PostgreSQL {version}, and {oldest} is the oldest that will do")]
    TooOld {
        /// What it is.
        version: i64,
        /// What it has to be.
        oldest: i64,
    },
    /// It cannot hold every text.
    #[error("its encoding is {encoding}: make one with ENCODING 'UTF8'")]
    Encoding {
        /// What it is.
        encoding: String,
    },
    /// What waits for a database that is away has a bound.
    #[error("the spool is full: the database is away for too long")]
    SpoolFull,
    /// What is deleted must not come again.
    #[error("something may wait in the spool: ask again when the database is back")]
    Spooled,
    /// Somebody else has it.
    #[error("another server uses it: give each server a `storage.spool` of its own")]
    SpoolTaken,
    /// It cannot be told whether somebody else has it.
    #[error("its lock cannot be taken: {0}")]
    Lock(Box<dyn std::error::Error + Send + Sync>),
    /// The database says no.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Trouble {
    /// Whether it may pass, or would befall any other statement too: a full, missing, read-only or locked disk, a server that is
    /// away. What is left is the fault of the statement.
    pub(crate) fn may_pass(&self) -> bool {
        // https://www.sqlite.org/rescode.html: too big, constraint, mismatch, range.
        const OF_THE_STATEMENT: [&str; 4] = ["18", "19", "20", "25"];
        // https://www.postgresql.org/docs/current/errcodes-appendix.html: values, constraints, too big.
        const CLASSES_OF_THE_STATEMENT: [&str; 3] = ["22", "23", "54"];
        let Self::Database(sqlx::Error::Database(error)) = self else { return true };
        let code = error.code().unwrap_or_default();
        match error.try_downcast_ref::<PgDatabaseError>() {
            Some(_) => !CLASSES_OF_THE_STATEMENT.iter().any(|class| code.starts_with(class)),
            None => {
                let code = code.parse::<u32>().unwrap_or_default() & 0xff;
                !OF_THE_STATEMENT.contains(&code.to_string().as_str())
            }
        }
    }

    /// Whether another transaction was in the way, so that this one may simply be done again.
    pub(crate) fn is_collision(&self) -> bool {
        // serialization_failure, deadlock_detected.
        const OF_COLLISIONS: [&str; 2] = ["40001", "40P01"];
        let Self::Database(sqlx::Error::Database(error)) = self else { return false };
        error.code().is_some_and(|code| OF_COLLISIONS.contains(&&*code))
    }

    /// Whether somebody else's lock was waited for in vain.
    pub(crate) fn is_locked(&self) -> bool {
        // lock_not_available.
        let Self::Database(sqlx::Error::Database(error)) = self else { return false };
        error.code().is_some_and(|code| code == "55P03")
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
