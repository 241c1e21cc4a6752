//! Why a database did not do what was asked, and whether it is worth while to ask again.

use bellhop_connect::ports::StoreError;

use super::WRITE_MAX;

/// Why a database cannot be opened: a sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[error("the database {url} cannot be opened: {why}")]
pub struct CannotOpen {
    pub(super) url: String,
    pub(super) why: Trouble,
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
    /// The database says no.
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
