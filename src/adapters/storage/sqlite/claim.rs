//! Who has a database: one server at a time.
//!
//! Two on one database would take each other's calls for lost and each other's writes for abandoned. The claim is a lock of
//! the system on a file beside the database, so it is gone with its process, however that ends. Invariant: what a former
//! process left behind is touched only by who has the claim.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;

use super::Database;

/// The claim to a database; given up when it is dropped.
#[derive(Debug)]
pub struct Claim(#[allow(dead_code)] Option<File>); // the lock is the file's

/// Why there is no claim.
#[derive(Debug, thiserror::Error)]
pub enum NotClaimed {
    /// Somebody has it.
    #[error("another server uses this database (process {process})")]
    Taken {
        /// Who says so in the file; empty if nobody does.
        process: String,
    },
    /// The file cannot be made or locked.
    #[error("its lock cannot be taken: {0}")]
    Failed(#[from] io::Error),
}

impl Database {
    /// Claims the database for this process. One in memory is nobody else's.
    pub fn claim(&self) -> Result<Claim, NotClaimed> {
        let Some(path) = self.path() else { return Ok(Claim(None)) };
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(name)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut process = String::new();
                let _ = file.take(20).read_to_string(&mut process);
                process.retain(|c| c.is_ascii_digit());
                return Err(NotClaimed::Taken { process });
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        // Who has it is a courtesy: a full disk takes no claim away.
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Claim(Some(file)))
    }
}
