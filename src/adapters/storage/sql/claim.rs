//! Who looks after what former servers left behind in a database: one server at a time.
//!
//! Two on one SQLite database would take each other's calls for lost and each other's writes for abandoned. The claim is a lock
//! of the system on a file beside it, so it is gone with its process, however that ends. A PostgreSQL database is shared by
//! servers that know of each other (`servers.rs`); the claim to it is a lock of a connection. Invariant: what a former process
//! left behind is touched only by who has the claim.

use std::fs::{OpenOptions, TryLockError};
use std::future::Future;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::pin::Pin;

use bellhop_call::ports::{Claim, Lock, NotClaimed, SoleUse};

use super::SqlStore;
use crate::storage::database::SessionLock;

/// The number of the lock of a shared database.
const CLAIM: i64 = 4_774_451_407_313_060_419;

impl SoleUse for SqlStore {
    fn claim(&self) -> Pin<Box<dyn Future<Output = Result<Claim, NotClaimed>> + Send + '_>> {
        Box::pin(async {
            if !self.database.is_shared() {
                return self.take_claim();
            }
            match self.database.session_lock(CLAIM).await {
                Ok(Some(lock)) => Ok(Claim::held_while(Connected(lock))),
                Ok(None) => Err(NotClaimed::Shared),
                Err(why) => Err(NotClaimed::Failed(why.into())),
            }
        })
    }
}

struct Connected(SessionLock);

impl Lock for Connected {
    fn stands(&mut self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(self.0.stands())
    }
}

impl SqlStore {
    /// One in memory is nobody else's.
    fn take_claim(&self) -> Result<Claim, NotClaimed> {
        let Some(path) = self.database.path() else { return Ok(Claim::held_by(())) };
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(name).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut process = String::new();
                let _ = file.take(20).read_to_string(&mut process);
                process.retain(|c| c.is_ascii_digit());
                return Err(NotClaimed::Taken { process });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // Who has it is a courtesy: a full disk takes no claim away.
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Claim::held_by(file))
    }
}

fn failed(error: std::io::Error) -> NotClaimed {
    NotClaimed::Failed(error.into())
}
