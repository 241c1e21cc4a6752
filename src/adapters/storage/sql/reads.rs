//! Reads of histories, counted where all servers count them.
//!
//! Invariant: a read is counted by one statement that looks at what is left and takes of it, so that however many ask at once,
//! a history is never read more often than it may be. Who reads is kept as a hash that is of this history alone.

use bellhop_connect::ports::{Counted, READ_LASTS, Reader};
use sha2::{Digest, Sha256};

use super::{SqlStore, Trouble, args, unix_now, within};

const GOES_ON: &str = "SELECT 1 FROM session_histories
    WHERE filed_as = $1 AND reader = $2 AND read_until_unix > $3 AND expires_unix > $3";
const COUNT: &str = "UPDATE session_histories SET reads_left = reads_left - 1, reader = $2, read_until_unix = $4
    WHERE filed_as = $1 AND expires_unix > $3 AND (reads_left IS NULL OR reads_left > 0)
        AND NOT (reader = $2 AND read_until_unix > $3)";

/// Every text of this file.
#[cfg(test)]
pub(super) const ALL: [&str; 2] = [GOES_ON, COUNT];

impl SqlStore {
    /// One reader, as it is [kept](hashed), wants to read.
    pub(in crate::storage) async fn count_one(&self, filed_as: &str, reader: &str) -> Result<Counted, Trouble> {
        // A reload writes nothing.
        if self.goes_on(filed_as, reader).await? {
            return Ok(Counted::GoesOn);
        }
        let counted = within(self.database.again(|| async {
            let now = unix_now();
            let mut transaction = self.database.begin().await?;
            let counted = transaction.execute(COUNT, args![filed_as, reader, now, lasts_until(now)]).await?;
            transaction.commit().await?;
            Ok(counted)
        }));
        if counted.await? > 0 {
            return Ok(Counted::New);
        }
        // The same reader may have come twice at once.
        Ok(if self.goes_on(filed_as, reader).await? { Counted::GoesOn } else { Counted::UsedUp })
    }

    async fn goes_on(&self, filed_as: &str, reader: &str) -> Result<bool, Trouble> {
        let found = self.database.fetch_optional(GOES_ON, args![filed_as, reader, unix_now()]).await?;
        Ok(found.is_some())
    }
}

/// When a read that begins now is over, in seconds since 1970.
pub(in crate::storage) fn lasts_until(now: i64) -> i64 {
    now.saturating_add_unsigned(READ_LASTS.as_secs())
}

/// A reader as it is kept beside a history.
pub(in crate::storage) fn hashed(filed_as: &str, by: &Reader) -> String {
    let hash = Sha256::new().chain_update(filed_as).chain_update("\n").chain_update(by.expose()).finalize();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
